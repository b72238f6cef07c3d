import { assert } from "@effect/vitest"
import { Cause, Effect, Fiber } from "effect"
import { clear, invalidate } from "effect-cached"
import { TestClock } from "effect/testing"
import {
  andSettle,
  atOnce,
  Down,
  eventsOf,
  makeSource,
  missBecause,
  onEveryStore,
  rows,
  staleBecause
} from "./suites/lifetimesSuite.ts"
import { settled } from "./suites/stores.ts"
import { start } from "./suites/worlds.ts"

const policy = {
  timeToLive: "10 seconds",
  staleIfError: { upTo: "1 minute", backOff: "2 seconds", maxBackOff: "8 seconds" }
} as const

onEveryStore("What is stale while computing it fails", (test) => {
  test("is served from the millisecond in which it expires, to the one in which its bound ends (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      // Not so long that it is swept out before.
      const upTo = "40 seconds"
      const fn = yield* rows(source, { ...policy, staleIfError: { ...policy.staleIfError, upTo } })
      const call = (n: number) => andSettle(fn({ n }))
      yield* Effect.forEach([1, 2, 3, 4], call)
      yield* source.become("down")
      yield* TestClock.adjust(9999)
      assert.strictEqual(yield* call(1), 1)
      assert.strictEqual(source.runs(), 4)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* call(2), 2)
      assert.strictEqual(source.runs(), 5)
      yield* TestClock.adjust(39_999)
      assert.strictEqual(yield* call(3), 3)
      assert.strictEqual(source.runs(), 6)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Effect.flip(call(4)), new Down({ run: 7 }))
      assert.deepStrictEqual(yield* staleBecause, ["error", "error"])
      assert.deepStrictEqual((yield* missBecause).slice(4), ["expired", "expired", "expired"])
    }))

  test("is not served while computing it succeeds: who asks waits for that", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* TestClock.adjust("30 seconds")
      assert.isUndefined(reader.pollUnsafe())
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(reader), 2)
      yield* settled
      assert.lengthOf(yield* staleBecause, 0)
    }))

  test("is served at once for as long as it is not tried again: that doubles up to a bound (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* source.become("down")
      yield* TestClock.adjust(10_000)
      let tries = 1
      for (const pause of [2000, 4000, 8000, 8000, 8000]) {
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
        assert.strictEqual(source.runs(), ++tries)
        assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
        yield* TestClock.adjust(pause - 1)
        assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
        assert.strictEqual(source.runs(), tries)
        yield* TestClock.adjust(1)
      }
      const because = yield* staleBecause
      assert.deepStrictEqual(because, Array.from({ length: 5 }, () => ["error", "back-off", "back-off"]).flat())
      assert.lengthOf(yield* eventsOf("RefreshFailed"), 5)
    }))

  test("is tried again after a second by default, and after a minute at most (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "10 seconds", staleIfError: "1 day" })
      yield* andSettle(fn({ n: 1 }))
      yield* source.become("down")
      yield* TestClock.adjust(10_000)
      let tries = 1
      for (const pause of [1, 2, 4, 8, 16, 32, 60, 60]) {
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
        assert.strictEqual(source.runs(), ++tries)
        yield* TestClock.adjust(pause * 1000 - 1)
        assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
        assert.strictEqual(source.runs(), tries)
        yield* TestClock.adjust(1)
      }
    }))

  test("waits for the shortest time again after a success (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      const call = andSettle(fn({ n: 1 }))
      yield* call
      yield* source.become("down")
      yield* TestClock.adjust(10_000)
      yield* call
      yield* TestClock.adjust(2000)
      yield* call
      yield* TestClock.adjust(4000)
      yield* source.become("up")
      assert.strictEqual(yield* call, 4)
      assert.strictEqual(yield* call, 4)
      assert.strictEqual(source.runs(), 4)
      yield* source.become("down")
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* call, 4)
      yield* TestClock.adjust(1999)
      assert.strictEqual(yield* call, 4)
      assert.strictEqual(source.runs(), 5)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* call, 4)
      assert.strictEqual(source.runs(), 6)
    }))

  test("is tried for each input by itself (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(Effect.forEach([1, 2], (n) => fn({ n })))
      yield* source.become("down")
      yield* TestClock.adjust(10_000)
      yield* andSettle(fn({ n: 1 }))
      yield* andSettle(fn({ n: 1 }))
      assert.strictEqual(source.runs(), 3)
      assert.strictEqual(yield* andSettle(fn({ n: 2 })), 2)
      assert.strictEqual(source.runs(), 4)
      yield* TestClock.adjust(2000)
      yield* source.become("up")
      assert.deepStrictEqual(yield* andSettle(Effect.forEach([1, 2], (n) => fn({ n }))), [5, 6])
    }))

  test("is tried once for all who ask at the same time, and given to each (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const readers = yield* start(
        Effect.all(Array.from({ length: 20 }, () => fn({ n: 1 })), { concurrency: "unbounded" })
      )
      yield* source.started(2)
      const late = yield* start(fn({ n: 1 }))
      yield* source.release("down")
      assert.deepStrictEqual(new Set([...yield* Fiber.join(readers), yield* Fiber.join(late)]), new Set([1]))
      yield* settled
      assert.strictEqual(source.runs(), 2)
      assert.lengthOf(yield* eventsOf("RefreshFailed"), 1)
      assert.lengthOf(yield* staleBecause, 21)
    }))

  test("is not served once it is invalidated, not even while it would not be tried again (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      for (const end of [invalidate("row:1"), fn.forget({ n: 1 }), clear]) {
        yield* source.become("up")
        yield* andSettle(fn({ n: 1 }))
        yield* source.become("down")
        yield* TestClock.adjust(10_000)
        const value = yield* andSettle(fn({ n: 1 }))
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), value)
        yield* end
        for (let read = 0; read < 3; read++) {
          const before = source.runs()
          assert.deepStrictEqual(yield* andSettle(Effect.flip(fn({ n: 1 }))), new Down({ run: before + 1 }))
        }
      }
    }))

  test("is not served once it is invalidated while it is computed anew (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const early = yield* start(Effect.exit(fn({ n: 1 })))
      yield* source.started(2)
      yield* invalidate("row:1")
      const late = yield* start(Effect.flip(fn({ n: 1 })))
      yield* source.started(3)
      yield* source.release("down")
      assert.deepStrictEqual(yield* Fiber.join(late), new Down({ run: 3 }))
      // What is served stale is valid when it is served.
      assert.strictEqual((yield* Fiber.join(early))._tag, "Failure")
      yield* settled
      assert.lengthOf(yield* staleBecause, 0)
    }))

  test("is served as well when computing it has a bug, or interrupts itself (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(Effect.forEach([1, 2], (n) => fn({ n })))
      yield* TestClock.adjust(10_000)
      yield* source.become("dying")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* source.become("interrupting")
      assert.strictEqual(yield* andSettle(fn({ n: 2 })), 2)
      const [bug, interrupted] = yield* eventsOf("RefreshFailed")
      assert.isTrue(Cause.hasDies(bug!.cause))
      assert.isTrue(Cause.hasInterrupts(interrupted!.cause))
      assert.deepStrictEqual(yield* staleBecause, ["error", "error"])
    }))

  test("is no failure where whoever asked has left: nobody waits for the next try", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      yield* Fiber.interrupt(reader)
      yield* settled
      assert.strictEqual(source.interrupted(), 1)
      yield* source.become("up")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 3)
      assert.lengthOf(yield* eventsOf("RefreshFailed"), 0)
      assert.lengthOf(yield* staleBecause, 0)
    }))

  test("is nothing that a function has which never succeeded: failures are given to who asks, each time", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* source.become("down")
      for (const run of [1, 2, 3]) {
        assert.deepStrictEqual(yield* andSettle(Effect.flip(fn({ n: 1 }))), new Down({ run }))
      }
      assert.lengthOf(yield* eventsOf("RefreshFailed"), 0)
    }))

  test("is served at once first, where it is also stale while it is revalidated, and tried no more often (scenario 37)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { ...policy, staleWhileRevalidate: "20 seconds" })
      yield* andSettle(fn({ n: 1 }))
      yield* source.become("down")
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 2)
      yield* TestClock.adjust(1999)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 2)
      yield* TestClock.adjust(18_001)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 3)
      assert.deepStrictEqual(yield* staleBecause, ["revalidating", "back-off", "error"])
      yield* TestClock.adjust(40_000)
      assert.deepStrictEqual(yield* andSettle(Effect.flip(fn({ n: 1 }))), new Down({ run: 4 }))
    }))

  test("is served without an end where its bound has none", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "10 seconds", staleIfError: Infinity })
      yield* andSettle(fn({ n: 1 }))
      yield* source.become("down")
      for (let turn = 0; turn < 3; turn++) {
        yield* TestClock.adjust("100 days")
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      }
      assert.strictEqual(source.runs(), 4)
    }))
})
