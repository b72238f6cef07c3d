import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Latch, Layer, Logger, References, Schema, Scope, Stream } from "effect"
import {
  addDeps,
  Broadcaster,
  Cached,
  type CacheError,
  DependencyGraph,
  invalidate,
  ResultCache,
  Store,
  untracked
} from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { start, worlds } from "./suites/worlds.ts"

const times = (count: number) => Array.from({ length: count }, (_, n) => n)

// A function whose runs wait at a gate of their own, and which says what became of them.
const gated = (deps: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const log: Array<string> = []
    const gates = yield* Effect.forEach(times(4), () => Deferred.make<void>())
    const started = yield* Effect.forEach(times(4), () => Deferred.make<void>())
    let runs = 0
    const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => deps }, () =>
      Effect.gen(function*() {
        const run = runs++
        yield* Effect.acquireRelease(
          Effect.sync(() => log.push(`open ${run}`)),
          () => Effect.sync(() => log.push(`close ${run}`))
        )
        yield* Deferred.succeed(started[run]!, undefined)
        yield* Deferred.await(gates[run]!)
        log.push(`end ${run}`)
        return run
      }))
    return {
      fn,
      log,
      runs: () => runs,
      open: (run: number) => Deferred.succeed(gates[run]!, undefined),
      running: (run: number) => Deferred.await(started[run]!)
    }
  })

const isRecursion = (error: CacheError.CacheError): boolean => error.reason._tag === "RecursionError"

describe("Callers who ask for one key at once", () => {
  it.effect.each([10, 100, 1_000, 10_000])(
    "share one execution: %i of them (scenario 26)",
    (callers) =>
      Effect.gen(function*() {
        const test = yield* CacheTest.CacheTest
        const gate = yield* Deferred.make<void>()
        let runs = 0
        const fn = yield* Cached.make(
          "fn",
          { input: { n: Schema.Number }, success: Schema.Struct({ run: Schema.Number }) },
          () => Effect.andThen(Deferred.await(gate), Effect.sync(() => ({ run: ++runs })))
        )
        const waiting = yield* Effect.forEach(times(callers), () => start(fn({ n: 1 })))
        yield* Deferred.succeed(gate, undefined)
        const values = yield* Fiber.joinAll(waiting)
        assert.strictEqual(runs, 1)
        assert.isTrue(values.every(({ run }) => run === 1))
        assert.strictEqual((yield* test.joined).length, callers - 1)
        assert.strictEqual((yield* test.misses).length, 1)
      }).pipe(Effect.provide(CacheTest.layer))
  )

  it.effect.each(worlds)(
    "share one execution over every store, also those who come between (scenario 26): %s",
    ([, world]) =>
      Effect.gen(function*() {
        const { fn, open, running, runs } = yield* gated()
        const first = yield* Effect.forEach(times(50), () => start(fn()))
        yield* running(0)
        const second = yield* Effect.forEach(times(50), () => start(fn()))
        yield* open(0)
        assert.deepStrictEqual(new Set(yield* Fiber.joinAll([...first, ...second])), new Set([0]))
        assert.strictEqual(yield* fn(), 0)
        assert.strictEqual(runs(), 1)
      }).pipe(Effect.provide(world))
  )

  it.effect.each(worlds)(
    "get the same typed error, and the next call executes again (scenario 27): %s",
    ([, world]) =>
      Effect.gen(function*() {
        const test = yield* CacheTest.CacheTest
        const gate = yield* Deferred.make<void>()
        let runs = 0
        const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
          Effect.gen(function*() {
            const run = ++runs
            yield* Deferred.await(gate)
            return run < 3 ? yield* Effect.fail({ _tag: "NotFound" as const, run }) : run
          }))
        const waiting = yield* Effect.forEach(times(50), () => start(Effect.flip(fn())))
        yield* Deferred.succeed(gate, undefined)
        const errors = yield* Fiber.joinAll(waiting)
        assert.strictEqual(runs, 1)
        for (const error of errors) assert.strictEqual(error, errors[0]!)
        assert.deepStrictEqual(errors[0], { _tag: "NotFound", run: 1 })
        assert.deepStrictEqual(yield* Effect.flip(fn()), { _tag: "NotFound", run: 2 })
        assert.deepStrictEqual(yield* test.stored, [])
        assert.strictEqual(yield* fn(), 3)
        assert.strictEqual(yield* fn(), 3)
      }).pipe(Effect.provide(world))
  )

  it.effect("get the same defect, and the next call executes again (scenario 27)", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const defect = new Error("a bug")
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.andThen(
          Deferred.await(gate),
          Effect.suspend(() => ++runs === 1 ? Effect.die(defect) : Effect.succeed(runs))
        ))
      const waiting = yield* Effect.forEach(times(10), () => start(Effect.exit(fn())))
      yield* Deferred.succeed(gate, undefined)
      for (const exit of yield* Fiber.joinAll(waiting)) {
        assert.deepStrictEqual(exit, Exit.die(defect))
      }
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(CacheTest.layer)), 60_000)

  it.effect.each(worlds)(
    "never join an execution that is over: each attempt of a retry executes: %s",
    ([, world]) =>
      Effect.gen(function*() {
        let runs = 0
        const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.suspend(() => ++runs < 4 ? Effect.fail("not yet" as const) : Effect.succeed(runs))
          ))
        const patient = Effect.retry(fn(), { times: 3 })
        const all = yield* Effect.forEach(times(5), () => start(patient))
        assert.deepStrictEqual(yield* Fiber.joinAll(all), [4, 4, 4, 4, 4])
        assert.strictEqual(runs, 4)
      }).pipe(Effect.provide(world))
  )
})

describe("Callers who leave", () => {
  it.effect.each(worlds)(
    "do not end the execution while another waits (scenario 28): %s",
    ([, world]) =>
      Effect.gen(function*() {
        const { fn, log, open, running, runs } = yield* gated()
        const leader = yield* start(fn())
        yield* running(0)
        const followers = yield* Effect.forEach(times(3), () => start(fn()))
        yield* Fiber.interrupt(leader)
        yield* Fiber.interrupt(followers[1]!)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(leader)))
        yield* open(0)
        assert.deepStrictEqual([yield* Fiber.join(followers[0]!), yield* Fiber.join(followers[2]!)], [0, 0])
        assert.strictEqual(yield* fn(), 0)
        assert.strictEqual(runs(), 1)
        assert.deepStrictEqual(log, ["open 0", "end 0", "close 0"])
      }).pipe(Effect.provide(world))
  )

  it.effect.each(worlds)(
    "all of them, end the execution, and the next call works at once (scenario 29): %s",
    ([, world]) =>
      Effect.gen(function*() {
        const { fn, log, open, running, runs } = yield* gated()
        const callers = yield* Effect.forEach(times(3), () => start(fn()))
        yield* running(0)
        yield* Effect.forEach(callers, Fiber.interrupt)
        assert.deepStrictEqual(log, ["open 0", "close 0"])
        const next = yield* start(fn())
        yield* running(1)
        yield* open(1)
        assert.strictEqual(yield* Fiber.join(next), 1)
        assert.strictEqual(yield* fn(), 1)
        assert.strictEqual(runs(), 2)
        assert.deepStrictEqual(log, ["open 0", "close 0", "open 1", "end 1", "close 1"])
      }).pipe(Effect.provide(world))
  )

  it.effect("do not make the next caller wait for what the execution they ended still cleans up (scenario 29)", () =>
    Effect.gen(function*() {
      const cleaned = yield* Latch.make(false)
      const cleaning = yield* Deferred.make<void>()
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.suspend(() =>
          ++runs > 1
            ? Effect.succeed(runs)
            : Effect.onInterrupt(
              Effect.never,
              () => Effect.andThen(Deferred.succeed(cleaning, undefined), cleaned.await)
            )
        ))
      const caller = yield* start(fn())
      const leaving = yield* start(Fiber.interrupt(caller))
      yield* Deferred.await(cleaning)
      assert.strictEqual(yield* fn(), 2)
      yield* cleaned.open
      yield* Fiber.join(leaving)
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("at whatever point, leave no key behind that is stuck (scenario 30)", () =>
    Effect.gen(function*() {
      let running = 0
      let shared = 0
      for (const budget of [3, 4, 5, 8, 13, 2048]) {
        const fn = yield* Cached.make(
          `fn ${budget}`,
          { input: { n: Schema.Number }, success: Schema.Number },
          ({ n }) =>
            Effect.acquireUseRelease(
              Effect.sync(() => running++),
              () => Effect.andThen(Effect.yieldNow, Effect.andThen(Effect.yieldNow, Effect.succeed(n))),
              () => Effect.sync(() => running--)
            )
        ).pipe(Effect.provideService(References.MaxOpsBeforeYield, budget))
        for (const turns of times(40)) {
          const call = fn({ n: turns }).pipe(Effect.provideService(References.MaxOpsBeforeYield, budget))
          const leader = yield* start(call)
          for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          const follower = turns % 2 === 0 ? yield* start(call) : undefined
          yield* Fiber.interrupt(leader)
          if (follower !== undefined) {
            shared++
            assert.strictEqual(yield* Fiber.join(follower), turns)
          }
          assert.strictEqual(yield* fn({ n: turns }), turns)
          assert.strictEqual(running, 0)
        }
      }
      assert.strictEqual(shared, 120)
    }).pipe(Effect.provide(CacheTest.layer)), 60_000)

  it.effect("as soon as they have come, before anything ran, leave nothing behind (scenario 30)", () =>
    Effect.gen(function*() {
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.sync(() => ++runs))
      const caller = yield* Effect.forkScoped(fn())
      yield* Fiber.interrupt(caller)
      assert.strictEqual(yield* fn(), 1)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("An execution", () => {
  it.effect("whose function or whose callbacks throw at once leaves no key behind that is stuck (scenario 30)", () =>
    Effect.gen(function*() {
      let broken = true
      const trip = (what: string) => {
        if (broken) throw new Error(what)
      }
      const definitions = [
        yield* Cached.make("function", { success: Schema.Number }, () => {
          trip("function")
          return Effect.succeed(1)
        }),
        yield* Cached.make("deps", {
          success: Schema.Number,
          deps: () => {
            trip("deps")
            return ["a"]
          }
        }, () => Effect.succeed(1)),
        yield* Cached.make("timeToLive", {
          success: Schema.Number,
          timeToLive: () => {
            trip("timeToLive")
            return "1 minute"
          }
        }, () => Effect.succeed(1)),
        yield* Cached.make("varyBy", {
          success: Schema.Number,
          varyBy: Effect.sync(() => {
            trip("varyBy")
            return 1
          })
        }, () => Effect.succeed(1))
      ]
      const exits = yield* Effect.forEach(definitions, (fn) => Effect.exit(fn()))
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [false, true, true, false])
      broken = false
      for (const fn of definitions) assert.strictEqual(yield* fn(), 1)
      assert.strictEqual((yield* CacheTest.CacheTest.use((test) => test.stored)).length, 4)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("keeps its resources open until it ends, although its leader's scope closes (scenario 33)", () =>
    Effect.gen(function*() {
      const { fn, log, open, running } = yield* gated()
      const request = yield* Scope.make()
      const leader = yield* Effect.forkIn(Scope.provide(fn(), request), request, { startImmediately: true })
      yield* running(0)
      const follower = yield* start(fn())
      yield* Scope.close(request, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(leader)))
      assert.deepStrictEqual(log, ["open 0"])
      yield* open(0)
      assert.strictEqual(yield* Fiber.join(follower), 0)
      assert.deepStrictEqual(log, ["open 0", "end 0", "close 0"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is interrupted, with its finalizers, when the layer of the cache is released", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const cache = yield* Layer.buildWithScope(ResultCache.layerMemory(), scope)
      const { fn, log, running } = yield* Effect.provide(gated(), cache)
      const caller = yield* start(fn())
      yield* running(0)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(caller)))
      assert.deepStrictEqual(log, ["open 0", "close 0"])
    }))
})

describe("An observer that throws (scenario 31)", () => {
  const throwing = CacheTest.layerWith({
    onEvent: () => {
      throw new Error("a broken subscriber")
    }
  }).pipe(
    Layer.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal]),
    Layer.provide(Logger.layer([Logger.make(() => {
      throw new Error("a broken logger")
    })])),
    Layer.orDie
  )

  it.effect("changes no result and leaves no execution behind", () =>
    Effect.gen(function*() {
      const cache = yield* ResultCache.ResultCache
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const fn = yield* Cached.make(
        "fn",
        { input: { how: Schema.String }, success: Schema.Number, deps: () => ["a"] },
        ({ how }) =>
          Effect.gen(function*() {
            const run = ++runs
            yield* Deferred.await(gate)
            if (how === "tag") yield* addDeps("::")
            return how === "fail" ? yield* Effect.fail("failed" as const) : run
          })
      )
      // A listener whose stream dies.
      const listener = yield* start(Stream.runForEach(cache.events, () => Effect.die("a broken listener")))
      const waiting = yield* Effect.forEach(times(5), () => start(fn({ how: "" })))
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.joinAll(waiting), [1, 1, 1, 1, 1])
      assert.strictEqual(yield* fn({ how: "" }), 1)
      yield* invalidate("a")
      assert.strictEqual(yield* fn({ how: "" }), 2)
      assert.strictEqual(yield* fn({ how: "tag" }), 3)
      assert.strictEqual(yield* fn({ how: "tag" }), 4)
      assert.strictEqual(yield* Effect.flip(fn({ how: "fail" })), "failed")
      assert.strictEqual(yield* Effect.flip(fn({ how: "fail" })), "failed")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(listener)))
      assert.include(yield* cache.counts, { Hit: 1, Joined: 4, Miss: 6, Stored: 2, Rejected: 2, Invalidated: 1 })
    }).pipe(Effect.provide(throwing)))
})

describe("A computation that asks for its own result (scenario 32)", () => {
  const input = { n: Schema.Number }

  it.effect.each(worlds)(
    "fails at once, directly, by refresh, and over others: %s",
    ([, world]) =>
      Effect.gen(function*() {
        let inner: Effect.Effect<number, CacheError.CacheError> = Effect.die("not made yet")
        const a = yield* Cached.make("a", { input, success: Schema.Number }, () => Effect.suspend(() => inner))
        const b = yield* Cached.make("b", { input, success: Schema.Number }, () => a({ n: 1 }))
        const c = yield* Cached.make("c", { input, success: Schema.Number }, () => b({ n: 1 }))
        for (inner of [a({ n: 1 }), a.refresh({ n: 1 }), b({ n: 1 }), c({ n: 1 }), b.refresh({ n: 1 })]) {
          const error = yield* Effect.flip(a({ n: 1 }))
          assert.isTrue(isRecursion(error))
          assert.include(error.message, "a")
        }
        inner = Effect.succeed(7)
        assert.strictEqual(yield* c({ n: 1 }), 7, "nothing is left behind")
      }).pipe(Effect.provide(world))
  )

  it.effect("fails at once, in child fibers, detached fibers that it waits for, and timeouts", () =>
    Effect.gen(function*() {
      let inner: Effect.Effect<number, CacheError.CacheError> = Effect.die("not made yet")
      const a = yield* Cached.make("a", { input, success: Schema.Number }, () => Effect.suspend(() => inner))
      const self = a({ n: 1 })
      for (
        inner of [
          Effect.flatMap(Effect.forkChild(self), Fiber.join),
          Effect.flatMap(Effect.forkDetach(self), Fiber.join),
          Effect.map(Effect.all([Effect.succeed(1), self], { concurrency: 2 }), ([, value]) => value),
          Effect.timeoutOrElse(self, { duration: "1 hour", orElse: () => Effect.succeed(0) }),
          untracked(self)
        ]
      ) assert.isTrue(isRecursion(yield* Effect.flip(self)))
      inner = Effect.succeed(7)
      assert.strictEqual(yield* self, 7)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is not what remains of a wait that was given up", () =>
    Effect.gen(function*() {
      const waiting = yield* Deferred.make<void>()
      const givenUp = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      let asks: Effect.Effect<number, CacheError.CacheError> = Effect.die("not made yet")
      const slow = yield* Cached.make("slow", { success: Schema.Number }, () =>
        Effect.gen(function*() {
          yield* Deferred.await(gate)
          return yield* Effect.orDie(Effect.suspend(() => asks))
        }))
      const asker = yield* Cached.make("asker", { success: Schema.Number }, () =>
        Effect.gen(function*() {
          const wait = yield* Effect.forkChild(slow(), { startImmediately: true })
          yield* Deferred.succeed(waiting, undefined)
          yield* Fiber.interrupt(wait)
          yield* Deferred.await(givenUp)
          return 1
        }))
      asks = asker()
      const kept = yield* start(slow())
      const asked = yield* start(asks)
      yield* Deferred.await(waiting)
      yield* Deferred.succeed(gate, undefined)
      yield* Deferred.succeed(givenUp, undefined)
      assert.deepStrictEqual([yield* Fiber.join(asked), yield* Fiber.join(kept)], [1, 1])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("can do without it, and is stored", () =>
    Effect.gen(function*() {
      let inner: Effect.Effect<number, CacheError.CacheError> = Effect.die("not made yet")
      const a = yield* Cached.make(
        "a",
        { input, success: Schema.Number },
        () => Effect.catchReason(Effect.suspend(() => inner), "CacheError", "RecursionError", () => Effect.succeed(-1))
      )
      inner = a({ n: 1 })
      assert.strictEqual(yield* a({ n: 1 }), -1)
      assert.strictEqual(yield* a({ n: 1 }), -1)
      assert.deepStrictEqual(yield* CacheTest.CacheTest.use((test) => test.hits), ["a {\"n\":1}"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect.each(worlds)(
    "fails where two, started by different callers, wait for each other: %s",
    ([, world]) =>
      Effect.gen(function*() {
        const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()] as const
        let readB: Effect.Effect<number, CacheError.CacheError> = Effect.die("not made yet")
        const a = yield* Cached.make(
          "a",
          { success: Schema.Number },
          () => Effect.andThen(Deferred.await(gates[0]), Effect.suspend(() => readB))
        )
        const b = yield* Cached.make(
          "b",
          { success: Schema.Number },
          () => Effect.andThen(Deferred.await(gates[1]), a())
        )
        readB = b()
        const callers = [yield* start(Effect.flip(a())), yield* start(Effect.flip(b()))] as const
        yield* Deferred.succeed(gates[0], undefined)
        while (
          (yield* CacheTest.CacheTest.use((test) => test.joined)).length === 0
        ) yield* Effect.yieldNow
        yield* Deferred.succeed(gates[1], undefined)
        for (const error of yield* Fiber.joinAll(callers)) assert.isTrue(isRecursion(error))
        readB = Effect.succeed(7)
        assert.strictEqual(yield* b(), 7)
      }).pipe(Effect.provide(world))
  )

  it.effect("may ask for another input of its own function", () =>
    Effect.gen(function*() {
      const reads = new Map<number, Effect.Effect<number, CacheError.CacheError>>()
      const factorial = yield* Cached.make(
        "factorial",
        { input, success: Schema.Number },
        ({ n }) => n === 0 ? Effect.succeed(1) : Effect.map(reads.get(n - 1)!, (value) => n * value)
      )
      for (const n of times(11)) reads.set(n, factorial({ n }))
      assert.strictEqual(yield* factorial({ n: 10 }), 3_628_800)
      assert.strictEqual((yield* CacheTest.CacheTest.use((test) => test.misses)).length, 11)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is not what a fiber does that outlives the computation it was started in", () =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const gate = yield* Deferred.make<void>()
      let again: Effect.Effect<number, CacheError.CacheError> = Effect.die("not made yet")
      let detached: Fiber.Fiber<number, CacheError.CacheError> | undefined
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => ["a"] }, () =>
        Effect.gen(function*() {
          const run = ++runs
          if (run === 1) {
            detached = yield* Effect.forkIn(Effect.andThen(Deferred.await(gate), Effect.suspend(() => again)), scope)
          }
          return run
        }))
      again = fn()
      assert.strictEqual(yield* fn(), 1)
      yield* invalidate("a")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(detached!), 2)
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("refresh", () => {
  it.effect.each(worlds)(
    "stores over an older execution, which then stores nothing: %s",
    ([, world]) =>
      Effect.gen(function*() {
        const test = yield* CacheTest.CacheTest
        const { fn, open, running } = yield* gated()
        const old = yield* start(fn())
        yield* running(0)
        const refreshed = yield* start(fn.refresh())
        yield* running(1)
        yield* open(1)
        assert.strictEqual(yield* Fiber.join(refreshed), 1)
        assert.isUndefined(old.pollUnsafe(), "the newer one has not completed it")
        yield* open(0)
        assert.strictEqual(yield* Fiber.join(old), 0)
        assert.strictEqual(yield* fn(), 1)
        const rejected = (yield* test.events).flatMap((event) => event._tag === "Rejected" ? [event.reason] : [])
        assert.deepStrictEqual(rejected, ["superseded"])
        assert.strictEqual((yield* test.stored).length, 1)
      }).pipe(Effect.provide(world))
  )

  it.effect.each(worlds)(
    "is neither completed nor ended by an older execution that ends before it: %s",
    ([, world]) =>
      Effect.gen(function*() {
        const { fn, open, running, runs } = yield* gated()
        const old = yield* start(fn())
        yield* running(0)
        const refreshed = yield* start(fn.refresh())
        yield* running(1)
        yield* open(0)
        assert.strictEqual(yield* Fiber.join(old), 0)
        const late = yield* start(fn())
        assert.isUndefined(refreshed.pollUnsafe())
        assert.isUndefined(late.pollUnsafe(), "who asks now waits for the newer one")
        yield* open(1)
        assert.deepStrictEqual([yield* Fiber.join(refreshed), yield* Fiber.join(late)], [1, 1])
        assert.strictEqual(yield* fn(), 1)
        assert.strictEqual(runs(), 2)
      }).pipe(Effect.provide(world))
  )

  it.effect("whose caller leaves does not take the older execution along, nor what is stored", () =>
    Effect.gen(function*() {
      const { fn, log, open, running } = yield* gated()
      const old = yield* start(fn())
      yield* running(0)
      const refreshed = yield* start(fn.refresh())
      yield* running(1)
      yield* Fiber.interrupt(refreshed)
      assert.deepStrictEqual(log, ["open 0", "open 1", "close 1"])
      yield* open(0)
      assert.strictEqual(yield* Fiber.join(old), 0)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect.each([worlds[0]!, worlds[2]!])(
    "lets who asks meanwhile have what this process holds: %s",
    ([, world]) =>
      Effect.gen(function*() {
        const { fn, open, running } = yield* gated()
        yield* open(0)
        assert.strictEqual(yield* fn(), 0)
        const refreshed = yield* start(fn.refresh())
        yield* running(1)
        assert.deepStrictEqual((yield* start(fn())).pollUnsafe(), Exit.succeed(0))
        yield* open(1)
        assert.strictEqual(yield* Fiber.join(refreshed), 1)
        assert.strictEqual(yield* fn(), 1)
      }).pipe(Effect.provide(world))
  )
})

const chain = (wait: (n: number) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const reads: Array<Effect.Effect<number, CacheError.CacheError>> = []
    const fn = yield* Cached.make(
      "fn",
      { input: { n: Schema.Number }, success: Schema.Number, deps: ({ n }) => n === 0 ? ["root"] : [] },
      ({ n }) =>
        Effect.andThen(
          wait(n),
          Effect.suspend(() => n === 0 ? Effect.succeed(1) : Effect.map(reads[n - 1]!, (value) => value + 1))
        )
    )
    for (const n of times(2_000)) reads.push(fn({ n }))
    return reads
  })

describe("A chain of 2 000 keys that depend on one another", () => {
  const misses = CacheTest.CacheTest.use((test) => Effect.map(test.misses, (keys) => keys.length))

  it.effect.each(worlds)("ends when it is computed from the top: %s", ([, world]) =>
    Effect.gen(function*() {
      const reads = yield* chain(() => Effect.void)
      assert.strictEqual(yield* reads[1_999]!, 2_000)
      assert.strictEqual(yield* misses, 2_000)
      assert.strictEqual(yield* reads[1_999]!, 2_000)
      yield* invalidate("root")
      assert.strictEqual(yield* reads[1_999]!, 2_000)
      assert.strictEqual(yield* misses, 4_000, "what the last one depends on ends them all")
    }).pipe(Effect.provide(world)), 60_000)

  it.effect.each(worlds)("ends when each waits for one that runs already: %s", ([, world]) =>
    Effect.gen(function*() {
      const gates = yield* Effect.forEach(times(2_000), () => Deferred.make<void>())
      const reads = yield* chain((n) => Deferred.await(gates[n]!))
      const callers = yield* Effect.forEach(reads, (read) => start(read))
      for (const gate of gates.toReversed()) yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.joinAll(callers), times(2_000).map((n) => n + 1))
      assert.strictEqual(yield* misses, 2_000)
    }).pipe(Effect.provide(world)), 60_000)
})
