import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { Flight, type Landing } from "../../src/internal/flight.ts"

const cache = {}
const flight = (key: string, parent?: Flight) => new Flight(cache, key, 10, 1, parent)

const landing: Landing = {
  exit: Exit.void,
  entry: undefined,
  because: "missing",
  rejected: undefined,
  error: undefined,
  stored: false,
  tags: [],
  problem: undefined,
  stale: undefined,
  fallback: undefined,
  position: 10,
  since: 1,
  started: undefined,
  untouchedAt: -1
}

describe("Flight", () => {
  it("collects tags once each, in code unit order", () => {
    const one = flight("k")
    for (const tag of ["b", "a:b", "a", "b", "a-"]) one.addTag(tag)
    one.addTags(["a", "c"])
    assert.deepStrictEqual(one.tags, ["a", "a-", "a:b", "b", "c"])
  })

  it("forgets at which revision it was valid when it learns of another tag, and only then", () => {
    const one = flight("k")
    one.addTag("a")
    one.untouchedAt = 7
    one.addTag("a")
    assert.strictEqual(one.untouchedAt, 7)
    one.addTag("b")
    assert.strictEqual(one.untouchedAt, -1)
  })

  it("keeps the first malformed tag and takes none of them", () => {
    const one = flight("k")
    one.addTag("a::b")
    one.addTag("")
    one.addTag("c")
    assert.deepStrictEqual(one.tags, ["c"])
    assert.include(one.problem?.message ?? "", "a::b")
  })

  it("takes over the earliest end of what it read", () => {
    const one = flight("k")
    one.addRead(["a"], Infinity, undefined, undefined)
    one.addRead(["b"], 50, undefined, undefined)
    one.addRead(["c"], 100, undefined, undefined)
    assert.strictEqual(one.expiresAt, 50)
    assert.deepStrictEqual(one.tags, ["a", "b", "c"])
  })

  it("takes over why not all tags of what it read are known", () => {
    const [one, other] = [flight("k"), flight("l")] as const
    other.addTag("a::b")
    one.addRead(["a"], Infinity, undefined, undefined)
    assert.isUndefined(one.problem)
    one.addRead(["b"], Infinity, undefined, other.problem)
    assert.strictEqual(one.problem, other.problem)
    one.addTag("")
    assert.strictEqual(one.problem, other.problem)
  })

  it("lands once, and adds nothing afterwards", () => {
    const one = flight("k")
    one.addTag("a")
    one.land(landing)
    one.land({ ...landing, position: 99 })
    one.addTag("b")
    assert.strictEqual(one.landing, landing)
    assert.deepStrictEqual(one.tags, ["a"])
  })

  describe("wouldWaitForItself", () => {
    it("finds its own key and the keys of those for whom it computes (scenario 32)", () => {
      const top = flight("top")
      const middle = flight("middle", top)
      const bottom = flight("bottom", middle)
      assert.isTrue(bottom.wouldWaitForItself(cache, "bottom", undefined))
      assert.isTrue(bottom.wouldWaitForItself(cache, "top", undefined))
      assert.isFalse(bottom.wouldWaitForItself(cache, "other", undefined))
      assert.isFalse(top.wouldWaitForItself(cache, "bottom", undefined))
    })

    it("does not take a key of another cache for its own", () => {
      const inner = flight("k", new Flight({}, "other", 10, 1, undefined))
      assert.isFalse(inner.wouldWaitForItself(cache, "other", undefined))
      assert.isTrue(inner.wouldWaitForItself(cache, "k", undefined))
    })

    it("finds a way back over flights that wait for one another (scenario 32)", () => {
      const [a, b, c] = [flight("a"), flight("b"), flight("c")] as const
      assert.isFalse(a.wouldWaitForItself(cache, "b", b))
      a.startWaitingFor(b)
      assert.isFalse(b.wouldWaitForItself(cache, "c", c))
      b.startWaitingFor(c)
      assert.isTrue(c.wouldWaitForItself(cache, "a", a))
      b.stopWaitingFor(c)
      assert.isFalse(c.wouldWaitForItself(cache, "a", a))
    })

    it("counts how often one flight waits for another", () => {
      const [a, b] = [flight("a"), flight("b")] as const
      a.startWaitingFor(b)
      a.startWaitingFor(b)
      a.stopWaitingFor(b)
      assert.isTrue(b.wouldWaitForItself(cache, "a", a))
      a.stopWaitingFor(b)
      assert.isFalse(b.wouldWaitForItself(cache, "a", a))
    })

    it("never holds for a flight that has landed: nobody waits for it any more", () => {
      const one = flight("k")
      one.land(landing)
      assert.isFalse(one.wouldWaitForItself(cache, "k", undefined))
    })

    it("looks at each flight once, however many ways lead to it", () => {
      // 60 levels of two, each waiting for both of the next: 2^60 ways.
      const levels = Array.from({ length: 60 }, (_, n) => [flight(`a${n}`), flight(`b${n}`)] as const)
      levels.slice(1).forEach((next, n) => {
        for (const one of levels[n]!) for (const other of next) one.startWaitingFor(other)
      })
      const outside = flight("outside")
      assert.isFalse(outside.wouldWaitForItself(cache, "a0", levels[0]![0]))
      levels.at(-1)![1].startWaitingFor(outside)
      assert.isTrue(outside.wouldWaitForItself(cache, "a0", levels[0]![0]))
    })

    it("follows chains of 100 000 without running out of stack", () => {
      const chain = Array.from({ length: 100_000 }, (_, n) => flight(`k${n}`))
      chain.slice(1).forEach((next, n) => chain[n]!.startWaitingFor(next))
      assert.isTrue(chain.at(-1)!.wouldWaitForItself(cache, "k0", chain[0]))
      let nested = flight("n0")
      for (let n = 1; n < 100_000; n++) nested = flight(`n${n}`, nested)
      assert.isTrue(nested.wouldWaitForItself(cache, "n0", undefined))
      assert.isFalse(nested.wouldWaitForItself(cache, "other", undefined))
    })
  })
})
