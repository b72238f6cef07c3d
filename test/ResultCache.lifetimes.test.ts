import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { addDeps, Broadcaster, Cached, DependencyGraph, invalidate, ResultCache, Store, untracked } from "effect-cached"
import { CacheTest, FaultyStore } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { kinds, settled, until } from "./suites/stores.ts"
import { faulty, start } from "./suites/worlds.ts"

const counts = ResultCache.ResultCache.use((cache) => cache.counts)

// A function that gives how often it ran, with a time to live.
const counting = (name: string, timeToLive: Duration.Input) => {
  let executions = 0
  return Cached.make(name, { success: Schema.Number, timeToLive }, () => Effect.sync(() => ++executions))
}

describe.each(kinds)("A result's time to live, in a store of %s", (_, layer) => {
  it.effect("ends to the millisecond, and begins anew with each computation (scenario 34)", () =>
    Effect.gen(function*() {
      const fn = yield* counting("fn", "1 minute")
      for (const run of [1, 2, 3]) {
        assert.strictEqual(yield* fn(), run)
        yield* TestClock.adjust(59_999)
        assert.strictEqual(yield* fn(), run)
        yield* TestClock.adjust(1)
      }
    }).pipe(Effect.provide(layer)))

  it.effect("is not made longer by reading (scenario 34)", () =>
    Effect.gen(function*() {
      const fn = yield* counting("fn", "10 seconds")
      for (let second = 0; second < 10; second++) {
        assert.strictEqual(yield* fn(), 1)
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(layer)))

  it.effect("is each definition's own (scenario 34)", () =>
    Effect.gen(function*() {
      const [short, long, endless, none] = yield* Effect.all([
        counting("short", "1 second"),
        counting("long", "1 hour"),
        counting("endless", Duration.infinity),
        counting("none", 0)
      ])
      const all = Effect.all([short(), long(), endless(), none()])
      assert.deepStrictEqual(yield* all, [1, 1, 1, 1])
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(yield* all, [1, 1, 1, 2])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* all, [2, 1, 1, 3])
      yield* TestClock.adjust(3_599_000)
      assert.deepStrictEqual(yield* all, [3, 2, 1, 4])
    }).pipe(Effect.provide(layer)))

  it.effect("can depend on the result and on the input (scenario 34)", () =>
    Effect.gen(function*() {
      let executions = 0
      const job = yield* Cached.make(
        "job",
        {
          input: { seconds: Schema.Number },
          success: Schema.Struct({ done: Schema.Boolean, run: Schema.Number }),
          timeToLive: (exit, { seconds }) =>
            Exit.isSuccess(exit) && exit.value.done ? Duration.infinity : Duration.seconds(seconds)
        },
        ({ seconds }) => Effect.sync(() => ({ run: ++executions, done: executions > 3 && seconds === 1 }))
      )
      const runs = Effect.forEach([1, 2], (seconds) => Effect.map(job({ seconds }), ({ run }) => run))
      assert.deepStrictEqual(yield* runs, [1, 2])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* runs, [3, 2])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* runs, [4, 5])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* runs, [4, 6])
      yield* TestClock.adjust("365 days")
      assert.deepStrictEqual(yield* runs, [4, 7])
    }).pipe(Effect.provide(layer)))

  it.effect("begins when the computation ends, not when it begins", () =>
    Effect.gen(function*() {
      let begun = 0
      let executions = 0
      const slow = yield* Cached.make(
        "slow",
        { success: Schema.Number, timeToLive: "10 seconds" },
        () =>
          Effect.suspend(() => {
            begun++
            return Effect.delay(Effect.sync(() => ++executions), "1 minute")
          })
      )
      const first = yield* start(slow())
      yield* until("it begins", () => begun === 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(first), 1)
      yield* TestClock.adjust(9_999)
      assert.strictEqual(yield* slow(), 1)
      yield* TestClock.adjust(1)
      const second = yield* start(slow())
      yield* until("it begins again", () => begun === 2)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(second), 2)
    }).pipe(Effect.provide(layer)))

  it.effect("that is over does not come back, whatever becomes of the next computation (scenario 34)", () =>
    Effect.gen(function*() {
      let executions = 0
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, timeToLive: "1 second" },
        () => Effect.suspend(() => ++executions === 1 ? Effect.succeed(1) : Effect.fail("down"))
      )
      assert.strictEqual(yield* fn(), 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Effect.flip(fn()), "down")
      assert.strictEqual(yield* Effect.flip(fn()), "down")
      assert.strictEqual(yield* Effect.flip(fn.refresh()), "down")
      assert.strictEqual(executions, 4)
      assert.strictEqual((yield* counts).Hit, 0)
    }).pipe(Effect.provide(layer)))

  it.effect("that has ended is not in the way of a new result", () =>
    Effect.gen(function*() {
      const fn = yield* counting("fn", "1 second")
      yield* fn()
      yield* settled
      yield* TestClock.adjust("1 second")
      yield* fn()
      yield* settled
      assert.strictEqual(yield* fn(), 2)
      assert.strictEqual((yield* counts).Stored, 2)
    }).pipe(Effect.provide(layer)))

  it.effect("that is infinite ends with an invalidation all the same", () =>
    Effect.gen(function*() {
      let executions = 0
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, timeToLive: Infinity, deps: () => ["a"] },
        () => Effect.sync(() => ++executions)
      )
      yield* fn()
      yield* TestClock.adjust("3650 days")
      assert.strictEqual(yield* fn(), 1)
      yield* invalidate("a")
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(layer)))
})

describe.each(kinds)("What is made of another result, in a store of %s", (_, layer) => {
  // An inner function that lives for 10 seconds, and one that reads it.
  const nested = Effect.fnUntraced(function*(
    timeToLive: Duration.Input | undefined,
    read: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = (effect) => effect
  ) {
    const inner = yield* counting("inner", "10 seconds")
    const outer = yield* Cached.make(
      "outer",
      { success: Schema.Number, ...(timeToLive === undefined ? {} : { timeToLive }) },
      () => read(inner())
    )
    return { inner, outer }
  })

  it.effect("does not outlive it when it was computed on the way", () =>
    Effect.gen(function*() {
      const { outer } = yield* nested(undefined)
      assert.strictEqual(yield* outer(), 1)
      yield* TestClock.adjust(9_999)
      assert.strictEqual(yield* outer(), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* outer(), 2)
    }).pipe(Effect.provide(layer)))

  it.effect("does not outlive it when it was in the store already", () =>
    Effect.gen(function*() {
      const { inner, outer } = yield* nested("1 hour")
      yield* inner()
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(yield* outer(), 1)
      yield* TestClock.adjust(999)
      assert.strictEqual(yield* outer(), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* outer(), 2)
    }).pipe(Effect.provide(layer)))

  it.effect("does not outlive it when it waited for another's computation", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const inner = yield* Cached.make(
        "inner",
        { success: Schema.Number, timeToLive: "10 seconds" },
        () => Effect.andThen(executions === 0 ? Deferred.await(gate) : Effect.void, Effect.sync(() => ++executions))
      )
      const outer = yield* Cached.make("outer", { success: Schema.Number }, () => inner())
      const other = yield* start(inner())
      const waiting = yield* start(outer())
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual([yield* Fiber.join(other), yield* Fiber.join(waiting)], [1, 1])
      assert.strictEqual((yield* counts).Joined, 1)
      yield* TestClock.adjust(9_999)
      assert.strictEqual(yield* outer(), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* outer(), 2)
    }).pipe(Effect.provide(layer)))

  it.effect("may end sooner", () =>
    Effect.gen(function*() {
      const { outer } = yield* nested("1 second")
      yield* outer()
      yield* settled
      yield* TestClock.adjust("1 second")
      yield* outer()
      yield* settled
      assert.strictEqual((yield* counts).Stored, 3)
      assert.strictEqual(yield* outer(), 1)
    }).pipe(Effect.provide(layer)))

  it.effect("ends with the first of several", () =>
    Effect.gen(function*() {
      const [long, short] = yield* Effect.all([counting("long", "1 hour"), counting("short", "10 seconds")])
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.Tuple([Schema.Number, Schema.Number]) },
        () => Effect.all([long(), short()])
      )
      assert.deepStrictEqual(yield* outer(), [1, 1])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* outer(), [1, 2])
    }).pipe(Effect.provide(layer)))

  it.effect("is not stored when that one has no lifetime at all", () =>
    Effect.gen(function*() {
      const inner = yield* counting("inner", 0)
      const outer = yield* Cached.make("outer", { success: Schema.Number }, () => inner())
      assert.deepStrictEqual([yield* outer(), yield* outer()], [1, 2])
      assert.strictEqual((yield* counts).Stored, 0)
    }).pipe(Effect.provide(layer)))

  it.effect("is not stored when that one ended while it was computed", () =>
    Effect.gen(function*() {
      const inner = yield* counting("inner", "10 seconds")
      let sleeping = 0
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.Number },
        () =>
          Effect.tap(inner(), () =>
            Effect.suspend(() => {
              sleeping++
              return Effect.sleep("1 minute")
            }))
      )
      const reading = yield* start(outer())
      yield* until("it sleeps", () => sleeping === 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(reading), 1)
      const again = yield* start(outer())
      yield* until("it sleeps again", () => sleeping === 2)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(again), 2)
    }).pipe(Effect.provide(layer)))

  it.effect("outlives it where it was read untracked", () =>
    Effect.gen(function*() {
      const { inner, outer } = yield* nested("1 hour", untracked)
      assert.strictEqual(yield* outer(), 1)
      yield* TestClock.adjust(3_599_999)
      assert.strictEqual(yield* outer(), 1)
      assert.strictEqual(yield* inner(), 2)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* outer(), 2)
    }).pipe(Effect.provide(layer)))

  it.effect("takes the end over through any number of levels", () =>
    Effect.gen(function*() {
      let fn: Effect.Effect<number, unknown> = (yield* counting("level 0", "10 seconds"))()
      for (let level = 1; level <= 5; level++) {
        const below = fn
        fn = (yield* Cached.make(`level ${level}`, { success: Schema.Number }, () => below))()
      }
      assert.strictEqual(yield* fn, 1)
      yield* TestClock.adjust(9_999)
      assert.strictEqual(yield* fn, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* fn, 2)
    }).pipe(Effect.provide(layer)))
})

describe("An expired result", () => {
  it.effect("is not served from a store that still has it, nor revived by being found there (scenario 34)", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      const fn = yield* counting("fn", "1 second")
      yield* fn()
      yield* TestClock.adjust("1 second")
      assert.isDefined(yield* store.get("fn\t{}"), "the sweeper has not come by yet")
      assert.strictEqual(yield* fn(), 2)
      yield* TestClock.adjust(999)
      assert.strictEqual(yield* fn(), 2)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* fn(), 3)
      assert.strictEqual((yield* counts).Hit, 1)
    }).pipe(Effect.provide(
      CacheTest.layerWith().pipe(
        Layer.provideMerge(Store.layerMemory({ sweepEvery: "1 day" })),
        Layer.provide([DependencyGraph.layer(), Broadcaster.layerLocal])
      )
    )))

  it.effect("that a slow store finds too late is not served: expiry is judged when it is found", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      const fn = yield* counting("fn", "1 second")
      yield* fn()
      yield* TestClock.adjust(999)
      yield* faults.become("slow")
      const reading = yield* start(fn())
      yield* TestClock.adjust(1)
      yield* faults.become("healthy")
      yield* faults.release
      assert.strictEqual(yield* Fiber.join(reading), 2)
    }).pipe(Effect.provide(faulty())))

  it.effect("is not given to those who come while a hanging store is still being written to", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      let executions = 0
      // The look-up is let through, the first write is not.
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, timeToLive: "1 second" },
        () => Effect.suspend(() => Effect.as(++executions === 1 ? faults.become("slow") : Effect.void, executions))
      )
      const first = yield* start(fn())
      assert.strictEqual(yield* Fiber.join(first), 1)
      yield* TestClock.adjust(999)
      assert.strictEqual(yield* fn(), 1)
      yield* TestClock.adjust(1)
      yield* faults.become("healthy")
      assert.strictEqual(yield* fn(), 2)
      yield* faults.release
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(faulty({ storeTimeout: "1 hour" }))))

  it.effect("has one computation for all who ask after it (scenario 34)", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, timeToLive: "1 second" },
        () => Effect.suspend(() => ++executions === 1 ? Effect.succeed(1) : Effect.as(Deferred.await(gate), executions))
      )
      yield* fn()
      yield* TestClock.adjust("1 second")
      const readers = yield* start(Effect.all(Array.from({ length: 100 }, () => fn()), { concurrency: "unbounded" }))
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(new Set(yield* Fiber.join(readers)), new Set([2]))
      assert.strictEqual(executions, 2)
      assert.strictEqual((yield* counts).Joined, 99)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("does not make what was added to a computation later end: tags have no lifetime", () =>
    Effect.gen(function*() {
      let executions = 0
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, timeToLive: "1 hour" },
        () => Effect.andThen(addDeps("a"), Effect.sync(() => ++executions))
      )
      yield* fn()
      yield* invalidate("b")
      yield* TestClock.adjust(3_599_999)
      assert.strictEqual(yield* fn(), 1)
    }).pipe(Effect.provide(CacheTest.layer)))
})
