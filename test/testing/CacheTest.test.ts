import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { Cached, clear, invalidate } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { start } from "../suites/worlds.ts"

describe("CacheTest", () => {
  const double = Cached.make(
    "double",
    { input: { n: Schema.Number }, success: Schema.Number, timeToLive: "1 minute" },
    ({ n }) => Effect.succeed(2 * n)
  )

  it.effect("says what happened, by readable keys", () =>
    Effect.gen(function*() {
      const test = yield* CacheTest.CacheTest
      const call = yield* double
      const gate = yield* Deferred.make<void>()
      const slow = yield* Cached.make("slow", { success: Schema.Void, timeToLive: 0 }, () => Deferred.await(gate))
      yield* call({ n: 1 })
      yield* call({ n: 1 })
      const readers = yield* Effect.all([start(slow()), start(slow())])
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach(readers, Fiber.join)
      yield* invalidate("a", "b")
      yield* clear
      assert.deepStrictEqual(yield* test.misses, ["double {\"n\":1}", "slow {}"])
      assert.deepStrictEqual(yield* test.hits, ["double {\"n\":1}"])
      assert.deepStrictEqual(yield* test.joined, ["slow {}"])
      assert.deepStrictEqual(yield* test.stored, ["double {\"n\":1}"])
      assert.deepStrictEqual(yield* test.invalidated, [["a", "b"], []])
      assert.strictEqual((yield* test.events).length, 8)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("forgets on reset what happened, and keeps what the cache holds", () =>
    Effect.gen(function*() {
      const test = yield* CacheTest.CacheTest
      const call = yield* double
      yield* call({ n: 1 })
      const before = yield* test.events
      yield* test.reset
      assert.deepStrictEqual(yield* test.events, [])
      assert.strictEqual(before.length, 2)
      yield* call({ n: 1 })
      assert.deepStrictEqual([yield* test.misses, yield* test.hits], [[], ["double {\"n\":1}"]])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("goes by the clock of the test", () =>
    Effect.gen(function*() {
      const test = yield* CacheTest.CacheTest
      const call = yield* double
      yield* call({ n: 1 })
      yield* TestClock.adjust("1 minute")
      yield* call({ n: 1 })
      assert.strictEqual((yield* test.misses).length, 2)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect.each([1, 2])("is new each time that it is provided: %i", () =>
    Effect.gen(function*() {
      yield* (yield* double)({ n: 1 })
      assert.strictEqual((yield* CacheTest.CacheTest.use((test) => test.misses)).length, 1)
    }).pipe(Effect.provide(Layer.fresh(CacheTest.layer))))
})
