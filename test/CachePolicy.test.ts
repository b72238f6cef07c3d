import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Schema } from "effect"
import { Cached, ResultCache, Store } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"

const unusable: ReadonlyArray<readonly [string, unknown]> = [
  ["-1", -1],
  ["-1n", -1n],
  ["NaN", NaN],
  ["minus infinity", -Infinity],
  ["\"-5 seconds\"", "-5 seconds"],
  ["\"soon\"", "soon"],
  ["\"5 parsecs\"", "5 parsecs"],
  ["{ seconds: -5 }", { seconds: -5 }],
  ["[-1, 0]", [-1, 0]],
  ["a negative Duration", Duration.seconds(-5)],
  ["null", null]
]

const usable: ReadonlyArray<readonly [string, Duration.Input, number]> = [
  ["0", 0, 0],
  ["1500", 1500, 1500],
  ["\"5 minutes\"", "5 minutes", 300_000],
  ["{ hours: 1, seconds: 1 }", { hours: 1, seconds: 1 }, 3_601_000],
  ["a Duration", Duration.millis(5), 5],
  ["infinity", Duration.infinity, Infinity],
  ["Infinity", Infinity, Infinity]
]

const make = (timeToLive: unknown) => {
  let executions = 0
  return Cached.make(
    "clock",
    { input: { n: Schema.Number }, success: Schema.Number, timeToLive: timeToLive as Duration.Input },
    () => Effect.sync(() => ++executions)
  )
}

describe("timeToLive", () => {
  it.effect.each(unusable)(
    "cannot be %s: a typed error that names the function (scenario 34)",
    ([, timeToLive]) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(make(timeToLive))
        assert.strictEqual(error.reason._tag, "DefinitionError")
        assert.include(error.message, "cached function \"clock\", timeToLive: ")
        assert.include(error.message, "is not a duration of zero or more")
      }).pipe(Effect.provide(CacheTest.layer))
  )

  it.effect.each(usable)(
    "can be %s, and ends to the millisecond (scenario 34)",
    ([, timeToLive, millis]) =>
      Effect.gen(function*() {
        const clock = yield* make(timeToLive)
        assert.strictEqual(yield* clock({ n: 1 }), 1)
        if (millis === 0) return assert.strictEqual(yield* clock({ n: 1 }), 2)
        yield* TestClock.adjust(millis === Infinity ? "1 day" : millis - 1)
        assert.strictEqual(yield* clock({ n: 1 }), 1)
        if (millis === Infinity) return
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* clock({ n: 1 }), 2)
      }).pipe(Effect.provide(CacheTest.layer))
  )

  it.effect("is infinite where a definition has none", () =>
    Effect.gen(function*() {
      const clock = yield* make(undefined)
      assert.strictEqual(yield* clock({ n: 1 }), 1)
      yield* TestClock.adjust("1 day")
      assert.strictEqual(yield* clock({ n: 1 }), 1)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("can be a function of the result and the input, for each entry its own", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const clock = yield* make((exit: Exit.Exit<number>, input: { readonly n: number }) => {
        seen.push([exit, input])
        return Duration.seconds(input.n)
      })
      yield* clock({ n: 1 })
      yield* clock({ n: 2 })
      assert.deepStrictEqual(seen, [[Exit.succeed(1), { n: 1 }], [Exit.succeed(2), { n: 2 }]])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* clock({ n: 2 }), 2)
      assert.strictEqual(yield* clock({ n: 1 }), 3)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect.each([...unusable, ["undefined", undefined] as const])(
    "that a function gives for one result cannot be %s: the caller has its value, nothing is stored, it is reported",
    ([, timeToLive]) =>
      Effect.gen(function*() {
        const clock = yield* make(() => timeToLive)
        assert.strictEqual(yield* clock({ n: 1 }), 1)
        assert.strictEqual(yield* clock({ n: 1 }), 2)
        const test = yield* CacheTest.CacheTest
        assert.deepStrictEqual(yield* test.stored, [])
        const rejected = (yield* test.events).flatMap((event) => event._tag === "Rejected" ? [event] : [])
        assert.deepStrictEqual(rejected.map(({ reason }) => reason), ["policy", "policy"])
        assert.strictEqual(rejected[0]?.error?.reason._tag, "DefinitionError")
        assert.include(rejected[0]?.error?.message, "clock")
      }).pipe(Effect.provide(CacheTest.layer))
  )

  it.effect("that is a function that throws costs nobody the value, and is reported", () =>
    Effect.gen(function*() {
      const clock = yield* make(() => {
        throw new Error("no idea")
      })
      assert.strictEqual(yield* clock({ n: 1 }), 1)
      const test = yield* CacheTest.CacheTest
      const rejected = (yield* test.events).flatMap((event) => event._tag === "Rejected" ? [event] : [])
      assert.deepStrictEqual(rejected.map(({ reason }) => reason), ["policy"])
      assert.include(rejected[0]?.error?.message, "no idea")
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("of zero is one execution for all who ask at once, and stores nothing", () =>
    Effect.gen(function*() {
      const clock = yield* make(0)
      assert.deepStrictEqual(yield* Effect.all([clock({ n: 1 }), clock({ n: 1 })], { concurrency: 2 }), [1, 2])
      const test = yield* CacheTest.CacheTest
      assert.deepStrictEqual(yield* test.stored, [])
      const rejected = (yield* test.events).flatMap((event) => event._tag === "Rejected" ? [event.reason] : [])
      assert.deepStrictEqual(rejected, ["no-lifetime", "no-lifetime"])
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("options", () => {
  it.effect.each(unusable.filter(([, value]) => value !== null))(
    "a store timeout cannot be %s",
    ([, storeTimeout]) =>
      Effect.gen(function*() {
        const layer = ResultCache.layerMemory({ storeTimeout: storeTimeout as Duration.Input })
        const error = yield* Effect.flip(Effect.provide(Effect.void, layer))
        assert.strictEqual(error.reason._tag, "DefinitionError")
        assert.include(error.message, "ResultCache.storeTimeout")
      })
  )

  it.effect.each<readonly [keyof Store.MemoryOptions, unknown]>([
    ...[0, -1, 1.5, NaN, -Infinity, "7"].map((value) => ["maxEntries", value] as const),
    ...[0, -1, 1.5, NaN, Infinity, "7"].map((value) => ["maxBytes", value] as const),
    ...[-1, NaN, "never"].map((value) => ["sweepEvery", value] as const)
  ])("%s cannot be %s: a typed error that names the option", ([option, value]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(Effect.void, Store.layerMemory({ [option]: value })))
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.include(error.message, `Store.${option}: ${String(value)} is not a`)
    }))
})
