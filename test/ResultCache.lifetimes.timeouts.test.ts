import { assert } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import { Cached, invalidate, ResultCache } from "effect-cached"
import { TestClock } from "effect/testing"
import {
  andSettle,
  atOnce,
  Down,
  eventsOf,
  isDone,
  makeSource,
  onEveryStore,
  reasonOf,
  rows,
  staleBecause
} from "./suites/lifetimesSuite.ts"
import { settled, until } from "./suites/stores.ts"
import { start } from "./suites/worlds.ts"

const soft = { timeToLive: "10 seconds", staleIfError: "1 minute", softTimeout: "2 seconds" } as const
const hard = { timeToLive: "10 seconds", hardTimeout: "5 seconds" } as const

onEveryStore("A soft timeout", (test) => {
  test("serves what is stale after exactly that time, while the computation goes on and is stored (scenario 38)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, soft)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust(1999)
      assert.isFalse(isDone(reader))
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(reader), 1)
      assert.deepStrictEqual(yield* staleBecause, ["slow"])
      // Nobody waits for it any more.
      assert.deepStrictEqual([source.running(), source.interrupted()], [1, 0])
      yield* TestClock.adjust("1 second")
      yield* source.release()
      yield* settled
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      assert.strictEqual(source.runs(), 2)
    }))

  test("lets nobody who comes meanwhile wait for longer than that, and starts nothing else (scenario 38)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, soft)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const first = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust(1000)
      const second = yield* start(fn({ n: 1 }))
      yield* TestClock.adjust(1000)
      assert.strictEqual(yield* Fiber.join(first), 1)
      const third = yield* start(fn({ n: 1 }))
      yield* TestClock.adjust(2000)
      assert.deepStrictEqual([yield* Fiber.join(second), yield* Fiber.join(third)], [1, 1])
      yield* source.release()
      yield* settled
      assert.strictEqual(source.runs(), 2)
      assert.deepStrictEqual(yield* staleBecause, ["slow", "slow", "slow"])
    }))

  test("that does not pass gives the new result", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, soft)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust(1999)
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(reader), 2)
      yield* settled
      yield* TestClock.adjust(5000)
      assert.deepStrictEqual(yield* staleBecause, [])
    }))

  test("means nothing where there is nothing stale: who asks waits (scenario 38)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, soft)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(1)
      yield* TestClock.adjust("1 hour")
      assert.isFalse(isDone(reader))
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(reader), 1)
      yield* settled
      // Also for what was stale too long ago.
      yield* TestClock.adjust(70_000)
      yield* source.become("held")
      const late = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust("1 hour")
      assert.isFalse(isDone(late))
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(late), 2)
    }))

  test("serves nothing whose time is over by then", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, soft)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(69_000)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust("1 minute")
      assert.isFalse(isDone(reader))
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(reader), 2)
    }))

  test("serves nothing that is invalidated, neither before nor meanwhile (scenario 38)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, soft)
      yield* andSettle(Effect.forEach([1, 2], (n) => fn({ n })))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      yield* invalidate("row:1")
      const before = yield* start(fn({ n: 1 }))
      const meanwhile = yield* start(fn({ n: 2 }))
      yield* source.started(4)
      yield* TestClock.adjust(1000)
      yield* invalidate("row:2")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([isDone(before), isDone(meanwhile)], [false, false])
      yield* source.release()
      const values = [yield* Fiber.join(before), yield* Fiber.join(meanwhile)]
      assert.isTrue(values.every((value) => value > 2), values.join())
      assert.deepStrictEqual(yield* staleBecause, [])
    }))

  test("before a failure: it is reported, and not tried again at once", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, soft)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust(2000)
      assert.strictEqual(yield* Fiber.join(reader), 1)
      yield* source.release("down")
      yield* settled
      assert.lengthOf(yield* eventsOf("RefreshFailed"), 1)
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 2)
      assert.deepStrictEqual(yield* staleBecause, ["slow", "back-off"])
    }))

  test("is nothing that a policy has by itself: who asks waits for as long as it takes (scenario 38)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "10 seconds", staleIfError: "1 day" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust("10 hours")
      assert.isFalse(isDone(reader))
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(reader), 2)
    }))
})

onEveryStore("A hard timeout", (test) => {
  test("is a typed error for all who wait, after exactly that time; the computation is interrupted (scenario 38)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      let closed = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number, policy: hard }, () =>
        Effect.andThen(
          Effect.acquireRelease(Effect.void, () => Effect.sync(() => void closed++)),
          source.run()
        ))
      yield* source.become("held")
      const leader = yield* start(Effect.flip(fn()))
      yield* source.started(1)
      const follower = yield* start(Effect.flip(fn()))
      yield* TestClock.adjust(3000)
      const late = yield* start(Effect.flip(fn()))
      yield* TestClock.adjust(1999)
      assert.deepStrictEqual([leader, follower, late].map(isDone), [false, false, false])
      assert.deepStrictEqual([source.interrupted(), closed], [0, 0])
      yield* TestClock.adjust(1)
      for (const fiber of [leader, follower, late]) {
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(reasonOf(error), "TimeoutError")
        assert.include((error as Error).message, "fn")
        assert.include((error as Error).message, "5000")
      }
      yield* settled
      assert.deepStrictEqual([source.runs(), source.interrupted(), closed], [1, 1, 1])
      assert.lengthOf(yield* eventsOf("Stored"), 0)
      // The next one is computed as if nothing had been.
      yield* source.become("up")
      assert.strictEqual(yield* andSettle(fn()), 2)
    }))

  test("leaves alone what is done in time", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, hard)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(1)
      yield* TestClock.adjust(4999)
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(reader), 1)
      yield* settled
      yield* TestClock.adjust(9999)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      assert.deepStrictEqual([source.runs(), source.interrupted()], [1, 0])
    }))

  test("serves what is stale in place of an error, as far as the policy says (scenario 38)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { ...hard, staleIfError: { upTo: "1 minute", backOff: "3 seconds" } })
      yield* andSettle(Effect.forEach([1, 2], (n) => fn({ n })))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(3)
      yield* TestClock.adjust(5000)
      assert.strictEqual(yield* Fiber.join(reader), 1)
      yield* settled
      assert.strictEqual(source.interrupted(), 1)
      const [failed] = yield* eventsOf("RefreshFailed")
      assert.strictEqual(reasonOf(yield* Effect.flip(Effect.failCause(failed!.cause))), "TimeoutError")
      yield* TestClock.adjust(2999)
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 3)
      assert.deepStrictEqual(yield* staleBecause, ["error", "back-off"])
      // The other one is computed when its bound is nearly over, and is past it when that is given up.
      yield* TestClock.adjust(49_001)
      const late = yield* start(Effect.flip(fn({ n: 2 })))
      yield* source.started(4)
      yield* TestClock.adjust(5000)
      assert.strictEqual(reasonOf(yield* Fiber.join(late)), "TimeoutError")
    }))

  test("after a soft one: stale first, and then the computation ends (scenario 38)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { ...soft, hardTimeout: "5 seconds" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust(2000)
      assert.strictEqual(yield* Fiber.join(reader), 1)
      yield* TestClock.adjust(2999)
      assert.deepStrictEqual([source.running(), source.interrupted()], [1, 0])
      yield* TestClock.adjust(1)
      yield* settled
      assert.deepStrictEqual([source.running(), source.interrupted()], [0, 1])
      assert.lengthOf(yield* eventsOf("RefreshFailed"), 1)
    }))

  test("ends what runs in the background", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { ...hard, staleWhileRevalidate: "1 minute" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      yield* source.started(2)
      yield* TestClock.adjust(5000)
      yield* settled
      assert.deepStrictEqual([source.running(), source.interrupted()], [0, 1])
      assert.lengthOf(yield* eventsOf("RefreshFailed"), 1)
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
    }))

  test("is an error of the computation that asked", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* rows(source, hard)
      const outer = yield* Cached.make("outer", { success: Schema.String }, () =>
        inner({ n: 1 }).pipe(
          Effect.map(String),
          Effect.catchReason("CacheError", "TimeoutError", () => Effect.succeed("too slow"))
        ))
      yield* source.become("held")
      const reader = yield* start(outer())
      yield* source.started(1)
      yield* TestClock.adjust(5000)
      assert.strictEqual(yield* Fiber.join(reader), "too slow")
    }))

  test("of one that asks ends with it what only that waits for", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* rows(source, {})
      const outer = yield* Cached.make("outer", { success: Schema.Number, policy: hard }, () => inner({ n: 1 }))
      yield* source.become("held")
      const reader = yield* start(Effect.flip(outer()))
      yield* source.started(1)
      yield* TestClock.adjust(5000)
      assert.strictEqual(reasonOf(yield* Fiber.join(reader)), "TimeoutError")
      yield* settled
      assert.strictEqual(source.interrupted(), 1)
    }))

  test("is not needed by who leaves before", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, hard)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(1)
      yield* TestClock.adjust(1000)
      yield* Fiber.interrupt(reader)
      yield* settled
      assert.strictEqual(source.interrupted(), 1)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(reader)))
      // Nothing of it is left that could end the next one.
      const next = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust(4500)
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(next), 2)
    }))

  test("is nothing that a policy has by itself (scenario 38)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "10 seconds" })
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(1)
      yield* TestClock.adjust("10 hours")
      assert.isFalse(isDone(reader))
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(reader), 1)
    }))

  test("that passes while a source fails gives what came first", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, hard)
      yield* source.become("held")
      const reader = yield* start(Effect.flip(fn({ n: 1 })))
      yield* source.started(1)
      yield* TestClock.adjust(4999)
      yield* source.release("down")
      assert.deepStrictEqual(yield* Fiber.join(reader), new Down({ run: 1 }))
      yield* TestClock.adjust(5000)
      yield* until("nothing runs", () => source.running() === 0)
      assert.isDefined(yield* ResultCache.ResultCache)
    }))
})
