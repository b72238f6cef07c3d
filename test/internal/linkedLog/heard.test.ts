import { assert, describe, it } from "@effect/vitest"
import { makeHeard } from "../../../src/internal/linkedLog/heard.ts"

const makeClocks = () => {
  let wall = 1_000_000
  let monotonic = 0
  return {
    clock: {
      currentTimeMillisUnsafe: () => wall,
      monotonicTimeNanosUnsafe: () => BigInt(monotonic) * 1_000_000n
    },
    pass: (millis: number) => {
      wall += millis
      monotonic += millis
    },
    /** Someone sets the clock, or the machine sleeps. */
    set: (millis: number) => {
      wall += millis
    }
  }
}

describe("makeHeard", () => {
  it("is not current before anything was heard", () => {
    const heard = makeHeard(makeClocks().clock, 5000)
    assert.isFalse(heard.isCurrent())
    assert.strictEqual(heard.silence(), Infinity)
  })

  it("is current up to the bound, and not a moment longer", () => {
    const { clock, pass } = makeClocks()
    const heard = makeHeard(clock, 5000)
    heard.note(heard.now())
    pass(5000)
    assert.isTrue(heard.isCurrent())
    pass(1)
    assert.isFalse(heard.isCurrent())
  })

  it("counts from when the question was asked, however late the answer is", () => {
    const { clock, pass } = makeClocks()
    const heard = makeHeard(clock, 5000)
    const asked = heard.now()
    pass(4000)
    heard.note(asked)
    pass(1000)
    assert.isTrue(heard.isCurrent())
    pass(1)
    assert.isFalse(heard.isCurrent())
  })

  it("is not made older by an answer that comes after that of a later question", () => {
    const { clock, pass } = makeClocks()
    const heard = makeHeard(clock, 5000)
    const first = heard.now()
    pass(3000)
    const second = heard.now()
    pass(1000)
    heard.note(second)
    heard.note(first)
    assert.strictEqual(heard.silence(), 1000)
  })

  it("does not trust a clock that was set back", () => {
    const { clock, pass, set } = makeClocks()
    const heard = makeHeard(clock, 5000)
    heard.note(heard.now())
    set(-1)
    assert.isFalse(heard.isCurrent())
    pass(1)
    assert.isTrue(heard.isCurrent())
  })

  it("keeps the bound when the clock is set back again and again", () => {
    const { clock, pass, set } = makeClocks()
    const heard = makeHeard(clock, 5000)
    heard.note(heard.now())
    for (let second = 0; second < 5; second++) {
      pass(1000)
      set(-1000)
    }
    assert.isTrue(heard.isCurrent())
    pass(1)
    assert.isFalse(heard.isCurrent())
  })

  it("keeps the bound while the machine sleeps and its other clock stands still", () => {
    const { clock, set } = makeClocks()
    const heard = makeHeard(clock, 5000)
    heard.note(heard.now())
    set(5001)
    assert.isFalse(heard.isCurrent())
  })

  it("is current again with the first answer after the clock was set", () => {
    const { clock, set } = makeClocks()
    const heard = makeHeard(clock, 5000)
    heard.note(heard.now())
    set(-3_600_000)
    assert.isFalse(heard.isCurrent())
    heard.note(heard.now())
    assert.isTrue(heard.isCurrent())
  })
})
