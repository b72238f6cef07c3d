import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Cached, CacheLive, clear, invalidate, ResultCache } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { start } from "./suites/worlds.ts"

const times = (count: number) => Array.from({ length: count }, (_, n) => n)

// A function whose runs wait at one gate, and which says what became of them.
const gated = Effect.gen(function*() {
  const gate = yield* Deferred.make<void>()
  const log: Array<string> = []
  let runs = 0
  const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => ["a"] }, () =>
    Effect.suspend(() => {
      const run = runs++
      return Effect.onExit(
        Effect.as(Deferred.await(gate), run),
        (exit) => Effect.sync(() => log.push(Exit.isSuccess(exit) ? `end ${run}` : `stop ${run}`))
      )
    }))
  return { fn, log, runs: () => runs, open: Deferred.succeed(gate, undefined) }
})

const isInterrupted = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) && Exit.hasInterrupts(exit)

describe("Who waits for an execution", () => {
  it.effect("may be interrupted by another one who is resumed before it", () =>
    Effect.gen(function*() {
      const { fn, log, open, runs } = yield* gated
      const others: Array<Fiber.Fiber<number, unknown>> = []
      const first = yield* start(Effect.tap(fn(), () =>
        Effect.sync(() => {
          for (const other of others) other.interruptUnsafe()
        })))
      for (const _ of times(3)) others.push(yield* start(fn()))
      const last = yield* start(fn())
      yield* open
      assert.strictEqual(yield* Fiber.join(first), 0)
      for (const other of others) assert.isTrue(isInterrupted(yield* Fiber.await(other)))
      assert.strictEqual(yield* Fiber.join(last), 0)
      // It had ended by then: nobody who leaves ends it.
      assert.deepStrictEqual(log, ["end 0"])
      assert.strictEqual(yield* fn(), 0)
      assert.strictEqual(runs(), 1)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("wins a race against another one, and the execution ends as if both had waited", () =>
    Effect.gen(function*() {
      const { fn, log, open } = yield* gated
      const racing = yield* start(Effect.race(fn(), fn()))
      yield* open
      assert.strictEqual(yield* Fiber.join(racing), 0)
      assert.deepStrictEqual(log, ["end 0"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("and cannot be interrupted is counted until it is answered", () =>
    Effect.gen(function*() {
      const { fn, log, open } = yield* gated
      let answered: number | undefined
      const caller = yield* start(Effect.uninterruptible(Effect.tap(fn(), (n) => Effect.sync(() => (answered = n)))))
      caller.interruptUnsafe()
      yield* Effect.yieldNow
      assert.deepStrictEqual(log, [])
      yield* open
      yield* Fiber.await(caller)
      assert.strictEqual(answered, 0)
      assert.deepStrictEqual(log, ["end 0"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect.each<[string, Effect.Effect<void, unknown, ResultCache.ResultCache>]>([
    ["invalidates", invalidate("a")],
    ["clears", clear]
  ])(
    "and %s as soon as it is answered keeps those behind it from being given the same",
    ([, act]) =>
      Effect.gen(function*() {
        const { fn, log, open, runs } = yield* gated
        const first = yield* start(Effect.tap(fn(), () => act))
        const behind = yield* Effect.forEach(times(3), () => start(fn()))
        yield* open
        assert.strictEqual(yield* Fiber.join(first), 0)
        // They came before that, so one more execution for all of them is enough.
        assert.deepStrictEqual(yield* Fiber.joinAll(behind), [1, 1, 1])
        assert.strictEqual(yield* fn(), 1)
        assert.deepStrictEqual(log, ["end 0", "end 1"])
        assert.strictEqual(runs(), 2)
      }).pipe(Effect.provide(CacheTest.layer))
  )

  it.effect("and asks again as soon as it is answered with a failure starts the next execution, which nobody else waits for", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.suspend(() => {
          const run = runs++
          return run === 0 ? Effect.andThen(Deferred.await(gate), Effect.fail("first" as const)) : Effect.succeed(run)
        }))
      const first = yield* start(Effect.catch(fn(), () => fn()))
      const behind = yield* Effect.forEach(times(3), () => start(Effect.flip(fn())))
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(first), 1)
      assert.deepStrictEqual(yield* Fiber.joinAll(behind), ["first", "first", "first"])
      assert.strictEqual(runs, 2)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is let go once, where its time is over in the moment in which the execution ends", () =>
    Effect.gen(function*() {
      let runs = 0
      const fn = yield* Cached.make(
        "fn",
        {
          success: Schema.Number,
          timeToLive: "1 second",
          policy: { staleIfError: "1 hour", softTimeout: "1 second" }
        },
        () => Effect.suspend(() => runs++ === 0 ? Effect.succeed(0) : Effect.delay(Effect.succeed(1), "1 second"))
      )
      yield* fn()
      yield* TestClock.adjust("1 second")
      let answers = 0
      const callers = yield* Effect.forEach(
        times(3),
        () => start(Effect.tap(fn(), () => Effect.sync(() => answers++)))
      )
      yield* TestClock.adjust("1 second")
      const values = yield* Fiber.joinAll(callers)
      assert.isTrue(values.every((value) => value === 0 || value === 1))
      assert.strictEqual(answers, 3)
      // The execution went on in any case.
      assert.strictEqual(yield* fn(), 1)
      assert.strictEqual(runs, 2)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect.each<
    [string, (caller: Fiber.Fiber<unknown, unknown>, open: Effect.Effect<unknown>) => Effect.Effect<unknown>]
  >([
    ["is interrupted", (caller) => Fiber.interrupt(caller)],
    ["is answered in time", (_, open) => open]
  ])("and %s leaves no timer behind", ([, end]) =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let sleeping = 0
      const counting: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: (duration: Parameters<Clock.Clock["sleep"]>[0]) =>
          Effect.acquireUseRelease(
            Effect.sync(() => void sleeping++),
            () => clock.sleep(duration),
            () => Effect.sync(() => void sleeping--)
          )
      })
      const gate = yield* Deferred.make<void>()
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, timeToLive: "1 second", policy: { staleIfError: "1 hour", softTimeout: "1 second" } },
        () => Effect.as(Deferred.await(gate), 1)
      )
      const callers = yield* Effect.forEach(
        times(3),
        () => start(Effect.provideService(fn(), Clock.Clock, counting))
      )
      assert.strictEqual(sleeping, 3)
      const open = Deferred.succeed(gate, undefined)
      for (const caller of callers) yield* end(caller, open)
      assert.strictEqual(sleeping, 0)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is counted, whether anybody listens or not", () =>
    Effect.gen(function*() {
      const { fn, open } = yield* gated
      const cache = yield* ResultCache.ResultCache
      const callers = yield* Effect.forEach(times(3), () => start(fn()))
      yield* open
      yield* Fiber.joinAll(callers)
      yield* fn()
      const { Hit, Joined, Miss, Stored } = yield* cache.counts
      assert.deepStrictEqual({ Hit, Joined, Miss, Stored }, { Hit: 1, Joined: 2, Miss: 1, Stored: 1 })
    }).pipe(Effect.provide(CacheLive)))
})

describe("An execution whose first step", () => {
  it.effect("makes its only caller leave is interrupted, and the next caller has its own", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const log: Array<string> = []
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.suspend(() => {
          const run = runs++
          return Effect.onInterrupt(
            Effect.andThen(Deferred.succeed(started, undefined), run === 0 ? Effect.never : Effect.succeed(run)),
            () => Effect.sync(() => log.push(`stop ${run}`))
          )
        }))
      const racing = yield* start(Effect.raceFirst(Effect.as(Deferred.await(started), "left"), fn()))
      assert.strictEqual(yield* Fiber.join(racing), "left")
      assert.deepStrictEqual(log, ["stop 0"])
      assert.strictEqual(yield* fn(), 1)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("lets someone join who then loses its starter goes on for who has joined", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.andThen(Deferred.succeed(started, undefined), Effect.as(Deferred.await(gate), 7)))
      const joining = yield* start(Effect.andThen(Deferred.await(started), fn()))
      const leader = yield* start(fn())
      yield* Fiber.interrupt(leader)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(joining), 7)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("lets someone join, and which ends in the next one, answers both", () =>
    Effect.gen(function*() {
      const test = yield* CacheTest.CacheTest
      const started = yield* Deferred.make<void>()
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.as(Deferred.succeed(started, undefined), 7))
      const joining = yield* start(Effect.andThen(Deferred.await(started), fn()))
      assert.strictEqual(yield* fn(), 7)
      assert.strictEqual(yield* Fiber.join(joining), 7)
      assert.deepStrictEqual(yield* test.joined, ["fn {}"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is its last can be asked for by who does not wait at all", () =>
    Effect.gen(function*() {
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.sync(() => ++runs))
      assert.deepStrictEqual(times(2).map(() => Effect.runSync(fn())), [1, 1])
    }).pipe(Effect.provide(CacheTest.layer)))
})
