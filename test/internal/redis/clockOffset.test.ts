import { assert, describe, it } from "@effect/vitest"
import { makeClockOffset } from "../../../src/internal/redis/clockOffset.ts"

describe("makeClockOffset", () => {
  it("is zero before anything was learned, and while zero is possible", () => {
    const offset = makeClockOffset()
    assert.strictEqual(offset.current(), 0)
    offset.learn(100, 105, 110)
    assert.strictEqual(offset.current(), 0)
  })

  it("moves to the nearest offset that an answer allows, and stays while the next allows it", () => {
    const offset = makeClockOffset()
    offset.learn(100, 1_100, 110)
    assert.strictEqual(offset.current(), 990)
    offset.learn(200, 1_195, 300)
    assert.strictEqual(offset.current(), 990)
    offset.learn(300, 1_280, 301)
    assert.strictEqual(offset.current(), 980)
    offset.learn(400, -600, 402)
    assert.strictEqual(offset.current(), -1_000)
  })

  it("learns nothing from an answer between which and its question the own clock was set back, or that has no time", () => {
    const offset = makeClockOffset()
    offset.learn(500, 9_000, 400)
    offset.learn(100, NaN, 110)
    assert.strictEqual(offset.current(), 0)
  })
})
