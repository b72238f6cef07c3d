/**
 * Lifetimes where one rule meets another.
 */
import { assert } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Schema } from "effect"
import { Cached, doNotStore, setLifetime } from "effect-cached"
import { TestClock } from "effect/testing"
import {
  andSettle,
  atOnce,
  Down,
  isDone,
  makeSource,
  onEveryStore,
  rows,
  staleBecause
} from "./suites/lifetimesSuite.ts"
import { answered, settled, until } from "./suites/stores.ts"
import { start, Steps } from "./suites/worlds.ts"

onEveryStore("Results that are computed anew", (test) => {
  test("and read each other stale are not computed again and again while nobody asks", () =>
    Effect.gen(function*() {
      const runs = { one: 0, other: 0 }
      const policy = { timeToLive: "10 seconds", staleWhileRevalidate: "1 day" } as const
      // Each reads the other, but for the first time.
      let other: Effect.Effect<number> = Effect.succeed(0)
      const one = yield* Cached.make("one", { success: Schema.Number, policy }, () =>
        Effect.suspend(() => {
          runs.one++
          return other
        }))
      const second = yield* Cached.make("other", { success: Schema.Number, policy }, () =>
        Effect.suspend(() => {
          runs.other++
          return runs.other === 1 ? Effect.succeed(0) : Effect.orDie(one())
        }))
      yield* andSettle(one())
      yield* andSettle(second())
      other = Effect.orDie(second())
      yield* TestClock.adjust(10_000)
      yield* one()
      yield* settled
      assert.isAtMost(runs.one + runs.other, 6)
    }))

  test("without an end, after their window, are left by the last who waits, and computed again for the next", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "10 seconds", staleWhileRevalidate: "1 minute" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      yield* source.started(2)
      yield* TestClock.adjust("1 hour")
      const waiting = yield* start(fn({ n: 1 }))
      yield* answered
      assert.isFalse(isDone(waiting))
      yield* Fiber.interrupt(waiting)
      yield* settled
      assert.strictEqual(source.running(), 0)
      yield* source.become("up")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 3)
    }))

  test("give way to a failure that is stored, where nothing is said of failures", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* Cached.make(
        "fn",
        {
          success: Schema.Number,
          error: Down,
          policy: { timeToLive: "10 seconds", staleWhileRevalidate: "1 hour", errorTimeToLive: "1 minute" }
        },
        () => source.run()
      )
      yield* andSettle(fn())
      yield* source.become("down")
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(fn()), 1)
      assert.deepStrictEqual(yield* andSettle(Effect.flip(fn())), new Down({ run: 2 }))
      assert.strictEqual(source.runs(), 2)
    }))

  test("by who wants that give way to a failure that is stored", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, error: Down, policy: { timeToLive: "1 hour", errorTimeToLive: "1 minute" } },
        () => source.run()
      )
      yield* andSettle(fn())
      yield* source.become("down")
      for (const call of [fn.refresh, fn, fn]) {
        assert.deepStrictEqual(yield* andSettle(Effect.flip(call())), new Down({ run: 2 }))
      }
    }))
})

onEveryStore("What is served stale", (test) => {
  test("is read, as far as its time to idle goes", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "10 seconds", timeToIdle: "1 minute", staleIfError: "1 hour" })
      yield* andSettle(fn({ n: 1 }))
      yield* source.become("down")
      for (let read = 0; read < 5; read++) {
        yield* TestClock.adjust(59_999)
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      }
      yield* TestClock.adjust(60_000)
      assert.instanceOf(yield* andSettle(Effect.flip(fn({ n: 1 }))), Down)
    }))

  test("is served after the soft timeout, also where that passes before the store has answered (scenario 38)", () =>
    Effect.gen(function*() {
      const { arm } = yield* Steps
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "10 seconds", staleIfError: "1 hour", softTimeout: 100 })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const gate = yield* Deferred.make<void>()
      let reached = false
      yield* arm(
        "before Store.get",
        Effect.suspend(() => {
          reached = true
          return Deferred.await(gate)
        })
      )
      const reader = yield* start(fn({ n: 1 }))
      yield* until("the store is asked, or need not be", () => reached || source.runs() === 2)
      yield* TestClock.adjust(200)
      yield* Deferred.succeed(gate, undefined)
      yield* source.started(2)
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* Fiber.join(reader), 1)
      yield* source.release()
      yield* settled
    }))

  test("is read each time, however soon after the last one", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const policy = { timeToLive: "1 second", timeToIdle: "80 seconds" } as const
      const fns = [
        yield* rows(source, { ...policy, staleIfError: "1 hour" }, { name: "after a failure" }),
        yield* rows(source, { ...policy, staleWhileRevalidate: "1 hour" }, { name: "at once" })
      ]
      const call = andSettle(Effect.forEach(fns, (fn) => fn({ n: 1 })))
      yield* call
      yield* source.become("down")
      for (const wait of [10_000, 75_000]) {
        yield* TestClock.adjust(wait)
        assert.deepStrictEqual(yield* call, [1, 2])
      }
    }))
})

onEveryStore("What is made of a result", (test) => {
  test("that is not to be stored is not stored either, whatever its windows", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* Cached.make("inner", { success: Schema.Number }, () =>
        Effect.andThen(doNotStore, source.run()))
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.Number, policy: { staleWhileRevalidate: Infinity, staleIfError: Infinity } },
        () =>
          inner()
      )
      assert.deepStrictEqual([yield* andSettle(outer()), yield* andSettle(outer())], [1, 2])
      assert.deepStrictEqual(yield* staleBecause, [])
    }))

  test("that has no lifetime is stored where it may outlive what it reads, and only there", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* Cached.make("inner", { success: Schema.Number, timeToLive: 0 }, () => source.run())
      const make = (name: string, outlivesReads: boolean) =>
        Cached.make(name, { success: Schema.Number, policy: { outlivesReads } }, () => inner())
      const [free, bound] = [yield* make("free", true), yield* make("bound", false)]
      assert.deepStrictEqual([yield* andSettle(free()), yield* andSettle(free())], [1, 1])
      assert.deepStrictEqual([yield* andSettle(bound()), yield* andSettle(bound())], [2, 3])
    }))

  test("whose lifetime is not known is not stored either", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* Cached.make("inner", { success: Schema.Number }, () =>
        Effect.andThen(setLifetime({ timeToLive: -1 }), source.run()))
      const outer = yield* Cached.make("outer", { success: Schema.Number }, () =>
        inner())
      assert.deepStrictEqual([yield* andSettle(outer()), yield* andSettle(outer())], [1, 2])
    }))
})

onEveryStore("A clock that is set back while something eager is computed", (test) => {
  test("does not make it live longer", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "10 seconds", eagerRefresh: true })
      const now = yield* Clock.currentTimeMillis
      yield* TestClock.adjust(20_000)
      yield* source.become("held")
      const computing = yield* start(fn({ n: 1 }))
      yield* source.started(1)
      yield* TestClock.setTime(now + 10_000)
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(computing), 1)
      yield* settled
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
    }))
})
