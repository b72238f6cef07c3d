import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { Cached, clear, invalidate, ResultCache } from "effect-cached"
import { CacheTest, FaultyBroadcaster } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { airborne } from "../src/internal/flight.ts"
import {
  andSettle,
  atOnce,
  Down,
  eventsOf,
  makeSource,
  missBecause,
  onEveryStore,
  rejectedFor,
  rows,
  staleBecause
} from "./suites/lifetimesSuite.ts"
import { settled, shared, sharing, until } from "./suites/stores.ts"
import { start, Steps } from "./suites/worlds.ts"

const policy = { timeToLive: "10 seconds", staleWhileRevalidate: "20 seconds" } as const

onEveryStore("What is stale while it is revalidated", (test) => {
  test("is served from the millisecond in which it expires, to the one in which its window ends (scenario 36)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      const call = (n: number) => andSettle(fn({ n }))
      yield* Effect.forEach([1, 2, 3, 4], call)
      yield* TestClock.adjust(9999)
      assert.strictEqual(yield* call(1), 1)
      assert.strictEqual(source.runs(), 4)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* call(2), 2)
      assert.strictEqual(source.runs(), 5)
      yield* TestClock.adjust(19_999)
      assert.strictEqual(yield* call(3), 3)
      assert.strictEqual(source.runs(), 6)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* call(4), 7)
      assert.deepStrictEqual(yield* staleBecause, ["revalidating", "revalidating"])
    }))

  test("is served at once, to all who ask, while one computation runs; after it, all get the new one (scenario 36)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const readers = Effect.all(Array.from({ length: 50 }, () => fn({ n: 1 })), { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(yield* atOnce(readers)), new Set([1]))
      for (let read = 0; read < 5; read++) {
        assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
        yield* TestClock.adjust(1000)
      }
      yield* source.started(2)
      assert.strictEqual(source.runs(), 2)
      yield* source.release()
      yield* settled
      assert.deepStrictEqual(new Set(yield* andSettle(readers)), new Set([2]))
      assert.strictEqual(source.runs(), 2)
      // Its time begins when it was computed.
      yield* TestClock.adjust(9999)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      assert.strictEqual(source.runs(), 2)
      assert.lengthOf(yield* staleBecause, 55)
    }))

  test("is told apart from what is invalidated, and from a hit", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      const call = andSettle(fn({ n: 1 }))
      yield* call
      yield* call
      yield* TestClock.adjust(10_000)
      yield* call
      yield* invalidate("row:1")
      yield* call
      yield* TestClock.adjust(30_000)
      yield* call
      const { events } = yield* CacheTest.CacheTest
      const told = (yield* events).flatMap((event) =>
        event._tag === "Hit" ? ["hit"] : event._tag === "Stale" || event._tag === "Miss" ? [event.because] : []
      )
      // The computation in the background is a miss of its own.
      const [computed, hit, ...rest] = told
      assert.deepStrictEqual([computed, hit], ["missing", "hit"])
      assert.sameMembers(rest.slice(0, 2), ["revalidating", "expired"])
      assert.deepStrictEqual(rest.slice(2), ["invalidated", "expired"])
      const counts = yield* ResultCache.ResultCache.use((cache) => cache.counts)
      assert.deepInclude(counts, { Hit: 1, Stale: 1, Miss: 4, Stored: 4, RefreshFailed: 0 })
    }))

  test("stays served when computing it anew fails, which is reported, until its window ends (scenario 36)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("down")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      const [failed] = yield* eventsOf("RefreshFailed")
      assert.deepStrictEqual(Cause.squash(failed!.cause), new Down({ run: 2 }))
      assert.strictEqual(failed!.key, "rows\t{\"n\":1}")
      yield* TestClock.adjust(19_999)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* TestClock.adjust(1)
      assert.instanceOf(yield* andSettle(Effect.flip(fn({ n: 1 }))), Down)
      yield* source.become("up")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), source.runs())
    }))

  test("stays served when computing it anew has a bug", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("dying")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      const [failed] = yield* eventsOf("RefreshFailed")
      assert.isTrue(Cause.hasDies(failed!.cause))
    }))

  test("is not served once it is invalidated (scenario 36)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      for (const end of [invalidate("row:1"), invalidate("row"), fn.forget({ n: 1 }), fn.forgetAll, clear]) {
        yield* andSettle(fn({ n: 1 }))
        yield* TestClock.adjust(10_000)
        yield* end
        const before = source.runs()
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), before + 1)
      }
      assert.lengthOf(yield* staleBecause, 0)
    }))

  test("is not served once it is invalidated while it is computed anew, nor is what comes of that (scenario 36)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      yield* source.started(2)
      yield* invalidate("row:1")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(3)
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(reader), 3)
      yield* settled
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 3)
      assert.strictEqual(source.runs(), 3)
    }))

  test("is not served to who asks after an invalidation, whichever computation ends first (scenario 36)", () =>
    Effect.gen(function*() {
      for (const first of [2, 3]) {
        const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        let runs = 0
        const name = `first ${first}`
        const fn = yield* Cached.make(
          name,
          { success: Schema.Number, policy, deps: () => ["row"] },
          () =>
            Effect.suspend(() => {
              const run = ++runs
              return run === 1 ? Effect.succeed(1) : Effect.as(Deferred.await(gates[run - 2]!), run)
            })
        )
        yield* andSettle(fn())
        yield* TestClock.adjust(10_000)
        assert.strictEqual(yield* atOnce(fn()), 1)
        yield* until("it is computed anew", () => runs === 2)
        yield* invalidate("row")
        const reader = yield* start(fn())
        yield* until("it is computed once more", () => runs === 3)
        yield* Deferred.succeed(gates[first - 2]!, undefined)
        if (first === 2) {
          yield* until("the first is over", () => airborne.count === 1)
          assert.isUndefined(reader.pollUnsafe())
        } else assert.strictEqual(yield* Fiber.join(reader), 3)
        yield* Deferred.succeed(gates[3 - first]!, undefined)
        assert.strictEqual(yield* Fiber.join(reader), 3)
        yield* settled
        assert.strictEqual(yield* andSettle(fn()), 3)
        assert.strictEqual(runs, 3)
      }
    }))

  for (
    const step of [
      "before Store.get",
      "after Store.get",
      "event Stale",
      "event Miss",
      "before Store.set",
      "after Store.set",
      "event Stored"
    ]
  ) {
    test(`is not served after an invalidation at the step "${step}" (scenario 36)`, () =>
      Effect.gen(function*() {
        const { arm } = yield* Steps
        const source = makeSource()
        // How often it had been computed when the invalidation began.
        let before = 0
        let begun = false
        let done = false
        const invalidation = Effect.gen(function*() {
          before = source.runs()
          begun = true
          yield* invalidate("row:1")
          done = true
        })
        const fn = yield* rows(source, policy)
        yield* andSettle(fn({ n: 1 }))
        yield* TestClock.adjust(10_000)
        yield* arm(
          step,
          Effect.orDie(Effect.provideService(invalidation, ResultCache.ResultCache, yield* ResultCache.ResultCache))
        )
        assert.oneOf(yield* andSettle(fn({ n: 1 })), [1, 2])
        // Not every store takes every step.
        if (begun) yield* until("it is invalidated", () => done)
        const value = yield* andSettle(fn({ n: 1 }))
        if (begun) assert.isAbove(value, before)
        else assert.strictEqual(value, 2)
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), value)
      }))
  }

  test("is computed anew though whoever asked is gone (scenario 36)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const request = yield* Scope.make()
      const leader = yield* Effect.forkIn(Effect.andThen(fn({ n: 1 }), Effect.never), request, {
        startImmediately: true
      })
      yield* source.started(2)
      yield* Fiber.interrupt(leader)
      yield* Scope.close(request, Exit.void)
      assert.deepStrictEqual([source.running(), source.interrupted()], [1, 0])
      yield* source.release()
      yield* settled
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      assert.strictEqual(source.runs(), 2)
    }))

  test("has a computation with a scope of its own, which closes when that ends", () =>
    Effect.gen(function*() {
      const source = makeSource()
      let closed = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number, policy }, () =>
        Effect.andThen(
          Effect.acquireRelease(Effect.void, () => Effect.sync(() => void closed++)),
          source.run()
        ))
      yield* andSettle(fn())
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      yield* Effect.scoped(atOnce(fn()))
      yield* source.started(2)
      assert.strictEqual(closed, 1)
      yield* source.release()
      yield* settled
      assert.strictEqual(closed, 2)
    }))

  test("is given to a computation, which then lives no longer than that", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* rows(source, policy)
      let outerRuns = 0
      const outer = yield* Cached.make("outer", { success: Schema.Number }, () => {
        outerRuns++
        return inner({ n: 1 })
      })
      yield* andSettle(inner({ n: 1 }))
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(outer()), 1)
      assert.strictEqual(yield* andSettle(outer()), 2)
      assert.strictEqual(yield* andSettle(outer()), 2)
      assert.deepStrictEqual([source.runs(), outerRuns], [2, 2])
    }))

  test("takes a computation that somebody wants anew for its own", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const refreshing = yield* start(fn.refresh({ n: 1 }))
      yield* source.started(2)
      // At once where it is in memory; else it waits for the one that runs.
      const reader = yield* start(fn({ n: 1 }))
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(refreshing), 2)
      assert.oneOf(yield* Fiber.join(reader), [1, 2])
      yield* settled
      assert.strictEqual(source.runs(), 2)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
    }))

  test("is served again and again where its lifetime is zero, each time with a computation", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: 0, staleWhileRevalidate: "20 seconds" })
      for (const value of [1, 1, 2, 3]) {
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), value)
        yield* TestClock.adjust(1)
      }
      assert.strictEqual(source.runs(), 4)
    }))

  test("may be stale without an end", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "10 seconds", staleWhileRevalidate: Infinity })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust("300 days")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
    }))

  test("with strong consistency, is served while the log says that it is valid, and only then", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy, { consistency: "strong" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      yield* TestClock.adjust(10_000)
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      yield* log.become("failing")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 3, "the log does not answer")
      yield* log.become("healthy")
      yield* invalidate("row:1")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 4)
      assert.deepStrictEqual(yield* staleBecause, ["revalidating"])
    }))

  test("is not served while the log is silent", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { ...policy, staleIfError: "20 seconds" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      yield* log.fallSilent(true)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      yield* source.become("down")
      assert.instanceOf(yield* andSettle(Effect.flip(fn({ n: 1 }))), Down)
      assert.deepStrictEqual(yield* staleBecause, [])
      assert.include(yield* rejectedFor, "silent-log")
      yield* log.fallSilent(false)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
    }))

  test("is an entry that nobody reads any more: a miss says that it was there", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "1 second", staleWhileRevalidate: "1 second" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(2000)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      assert.deepStrictEqual(yield* missBecause, ["missing", "expired"])
    }))
})

describe("A cache that is closed while it computes something anew", () => {
  it.effect("interrupts that, runs what it has to end, and leaves nothing behind (scenario 36)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      let closed = 0
      const scope = yield* Scope.make()
      const cache = Context.get(
        yield* Scope.provide(Layer.build(Layer.fresh(CacheTest.layer)), scope),
        ResultCache.ResultCache
      )
      const fn = yield* Effect.provideService(
        Cached.make("fn", { success: Schema.Number, policy }, () =>
          Effect.andThen(
            Effect.acquireRelease(Effect.void, () => Effect.sync(() => void closed++)),
            source.run()
          )),
        ResultCache.ResultCache,
        cache
      )
      yield* andSettle(fn())
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      assert.strictEqual(yield* atOnce(fn()), 1)
      yield* source.started(2)
      yield* Scope.close(scope, Exit.void)
      yield* settled
      assert.deepStrictEqual([source.running(), source.interrupted(), closed, airborne.count], [0, 1, 2, 0])
    }))
})

describe.each(shared)("Processes that share a store of %s", (_, layer) => {
  it.effect("serve stale what another has stored, and find what another has computed anew (scenario 36)", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const source = makeSource()
      const [here, there] = [yield* open(), yield* open()]
      const [fn, other] = [yield* here.provide(rows(source, policy)), yield* there.provide(rows(source, policy))]
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(other({ n: 1 })), 1)
      // Its own copy is over, and still it need not compute: the other has stored a new one.
      const value = yield* andSettle(fn({ n: 1 }))
      assert.oneOf(value, [1, 2])
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      assert.strictEqual(yield* andSettle(other({ n: 1 })), 2)
      assert.strictEqual(source.runs(), 2)
    }))

  it.effect("serve nothing stale that another has invalidated, where they ask the log first (scenario 36)", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const source = makeSource()
      const [here, there] = [yield* open(), yield* open()]
      const strong = { consistency: "strong" } as const
      const [fn, other] = [
        yield* here.provide(rows(source, policy, strong)),
        yield* there.provide(rows(source, policy, strong))
      ]
      for (let turn = 0; turn < 5; turn++) {
        yield* andSettle(fn({ n: 1 }))
        yield* andSettle(other({ n: 1 }))
        yield* TestClock.adjust(10_000)
        const before = source.runs()
        yield* there.provide(invalidate("row:1"))
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), before + 1)
      }
      assert.isEmpty(here.events.filter(({ _tag }) => _tag === "Stale"))
    }))
})
