import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Layer, Schema } from "effect"
import { Broadcaster, Cached, CachePolicy, DependencyGraph, ResultCache, Store } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { settled } from "./suites/stores.ts"

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

describe("override", () => {
  const base = CachePolicy.make({ timeToLive: "5 minutes", jitter: 0.1, staleIfError: "1 hour" })

  it("takes what is set in place of what was there, and leaves the rest", () => {
    const expected: CachePolicy.CachePolicy = {
      timeToLive: "1 hour",
      jitter: 0.1,
      staleIfError: "1 hour",
      eagerRefresh: true
    }
    assert.deepStrictEqual(CachePolicy.override(base, { timeToLive: "1 hour", eagerRefresh: true }), expected)
    assert.deepStrictEqual(CachePolicy.override({ timeToLive: "1 hour", eagerRefresh: true })(base), expected)
  })

  it("takes nothing for a part that is undefined, and zero for zero", () => {
    assert.deepStrictEqual(CachePolicy.override(base, { timeToLive: undefined, jitter: 0 }), {
      timeToLive: "5 minutes",
      jitter: 0,
      staleIfError: "1 hour"
    })
  })

  it("leaves both as they were: policies are plain values", () => {
    const overrides = { jitter: 0.5 }
    const before = [{ ...base }, { ...overrides }]
    CachePolicy.override(base, overrides)
    assert.deepStrictEqual([base, overrides], before)
    assert.strictEqual(CachePolicy.make(base), base)
  })

  it("chains, the last one counts", () => {
    const policy = CachePolicy.override(CachePolicy.override(base, { jitter: 0.2 }), { jitter: 0.3, softTimeout: 5 })
    assert.deepStrictEqual(policy, { timeToLive: "5 minutes", jitter: 0.3, staleIfError: "1 hour", softTimeout: 5 })
  })
})

const define = (policy: object) => Cached.make("clock", { success: Schema.Number, policy }, () => Effect.succeed(1))

describe("A policy that is unusable", () => {
  const durations = ["timeToLive", "timeToIdle", "staleWhileRevalidate", "staleIfError", "hardTimeout"] as const

  it.effect.each(durations.flatMap((part) => unusable.map(([shown, value]) => [part, shown, value] as const)))(
    "%s cannot be %s: a typed error that names the function and the part",
    ([part, , value]) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(define({ [part]: value }))
        assert.strictEqual(error.reason._tag, "DefinitionError")
        assert.include(error.message, `cached function "clock", ${part}: `)
        assert.include(error.message, "is not a duration of zero or more")
      }).pipe(Effect.provide(CacheTest.layer))
  )

  it.effect.each<readonly [object, string, RegExp]>([
    [{ jitter: -0.1 }, "jitter", /-0\.1 .*from 0 to 1/],
    [{ jitter: 1.1 }, "jitter", /1\.1 .*from 0 to 1/],
    [{ jitter: NaN }, "jitter", /NaN .*from 0 to 1/],
    [{ jitter: "0.5" }, "jitter", /from 0 to 1/],
    [{ eagerRefresh: -1 }, "eagerRefresh", /-1 /],
    [{ eagerRefresh: NaN }, "eagerRefresh", /NaN /],
    [{ eagerRefresh: Infinity }, "eagerRefresh", /Infinity /],
    [{ staleIfError: { upTo: -1 } }, "staleIfError", /-1 is not a duration of zero or more/],
    [{ staleIfError: { upTo: "1 hour", backOff: -1 } }, "staleIfError", /-1 is not a duration of zero or more/],
    [
      { staleIfError: { upTo: "1 hour", maxBackOff: "soon" } },
      "staleIfError",
      /soon is not a duration of zero or more/
    ],
    [{ staleIfError: "1 hour", softTimeout: -1 }, "softTimeout", /-1 is not a duration of zero or more/],
    [{ softTimeout: "1 second" }, "softTimeout", /nothing may be.*staleIfError or staleWhileRevalidate/],
    [{ softTimeout: "1 second", staleIfError: 0 }, "softTimeout", /nothing may be/],
    [{ errorTimeToLive: "1 second" }, "errorTimeToLive", /schema.*error/],
    [{ errorTimeToLive: () => 1 }, "errorTimeToLive", /schema.*error/]
  ])("%o: a typed error that says where, what and what to do", ([policy, part, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(define(policy))
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.propertyVal(error.reason, "where", `cached function "clock", ${part}`)
      assert.match(error.message, message)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect.each<readonly [object]>([
    [{ jitter: 0 }],
    [{ jitter: 1 }],
    [{ eagerRefresh: 0 }],
    [{ eagerRefresh: false }],
    [{ eagerRefresh: 0.5 }],
    [{ hardTimeout: Infinity }],
    [{ staleIfError: Infinity, softTimeout: 0 }],
    [{ staleIfError: { upTo: 0 } }],
    [{ staleIfError: { seconds: 5 } }],
    [{ staleIfError: Duration.seconds(5) }],
    [{ staleIfError: [5, 0] }],
    [{ staleWhileRevalidate: Infinity, softTimeout: "1 second" }],
    [Object.fromEntries(durations.map((part) => [part, undefined]))]
  ])("is none of the usual ones: %o", ([policy]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* (yield* define(policy))(), 1)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is an error of the cache where its defaults are", () =>
    Effect.gen(function*() {
      for (
        const [policy, part] of [
          [{ timeToLive: -1 }, "timeToLive"],
          [{ jitter: 2 }, "jitter"],
          [{ staleIfError: "soon" }, "staleIfError"]
        ] as const
      ) {
        const layer = ResultCache.layerMemory({ policy: policy as CachePolicy.CachePolicy })
        const error = yield* Effect.flip(Effect.provide(Effect.void, layer))
        assert.strictEqual(error.reason._tag, "DefinitionError")
        assert.include(error.message, "ResultCache.policy")
        assert.include(error.message, part)
      }
    }))
})

const cacheWith = (policy: CachePolicy.CachePolicy) =>
  CacheTest.layerWith({ policy }).pipe(
    Layer.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal]),
    Layer.orDie
  )

// How long the results of a definition live.
const lifetimeOf = Effect.fnUntraced(function*(
  definition: { readonly timeToLive?: Duration.Input; readonly policy?: CachePolicy.CachePolicy }
) {
  const test = yield* CacheTest.CacheTest
  yield* test.reset
  yield* Effect.scoped(
    Effect.flatMap(Cached.make("fn", { success: Schema.Number, ...definition }, () => Effect.succeed(1)), (fn) => fn())
  )
  const [stored] = (yield* test.events).flatMap((event) => event._tag === "Stored" ? [event.expiresAt] : [])
  return stored! - (yield* Clock.currentTimeMillis)
})

describe("The defaults of a cache", () => {
  it.effect("stand behind a definition's policy, and that behind its own time to live", () =>
    Effect.gen(function*() {
      const policy = { timeToLive: "2 minutes" } as const
      assert.strictEqual(yield* lifetimeOf({}), 60_000)
      assert.strictEqual(yield* lifetimeOf({ policy: {} }), 60_000)
      assert.strictEqual(yield* lifetimeOf({ policy: { timeToLive: undefined } }), 60_000)
      assert.strictEqual(yield* lifetimeOf({ policy }), 120_000)
      assert.strictEqual(yield* lifetimeOf({ timeToLive: "3 minutes" }), 180_000)
      assert.strictEqual(yield* lifetimeOf({ timeToLive: "3 minutes", policy }), 180_000)
      assert.strictEqual(yield* lifetimeOf({ timeToLive: Infinity, policy }), Infinity)
    }).pipe(Effect.provide(cacheWith({ timeToLive: "1 minute" }))))

  it.effect("are taken part by part", () =>
    Effect.gen(function*() {
      let runs = 0
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, timeToLive: "10 seconds", policy: { staleIfError: "1 hour" } },
        () => Effect.suspend(() => ++runs === 1 ? Effect.succeed(1) : Effect.fail("down"))
      )
      yield* fn()
      yield* TestClock.adjust("10 seconds")
      // The back-off is its own, the window in which it is served at once comes from the cache.
      assert.strictEqual(yield* fn(), 1)
      yield* settled
      assert.strictEqual(yield* fn(), 1)
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual(yield* fn(), 1)
      const events = yield* (yield* CacheTest.CacheTest).events
      const because = events.flatMap((event) => event._tag === "Stale" ? [event.because] : [])
      assert.deepStrictEqual(because, ["revalidating", "back-off", "error"])
    }).pipe(Effect.provide(cacheWith({ timeToLive: "1 minute", staleWhileRevalidate: "5 seconds", staleIfError: 0 }))))

  it.effect("are a cache's own: another one has others, or none", () =>
    Effect.gen(function*() {
      for (const [timeToLive, millis] of [[1000, 1000], [2000, 2000], [undefined, Infinity]] as const) {
        const layer = Layer.fresh(cacheWith({ timeToLive }))
        assert.strictEqual(yield* Effect.provide(lifetimeOf({}), layer), millis)
      }
    }))

  it.effect("may have a soft timeout, and a lifetime of failures, for those functions that can use them", () =>
    Effect.gen(function*() {
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.succeed(1))
      assert.strictEqual(yield* fn(), 1)
    }).pipe(Effect.provide(cacheWith({ softTimeout: "1 second", errorTimeToLive: "1 second" }))))
})
