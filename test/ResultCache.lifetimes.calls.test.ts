import { assert } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Cached, invalidate } from "effect-cached"
import { TestClock } from "effect/testing"
import {
  andSettle,
  atOnce,
  Down,
  eventsOf,
  makeSource,
  missBecause,
  onEveryStore,
  reasonOf,
  rejectedFor,
  rows,
  staleBecause
} from "./suites/lifetimesSuite.ts"
import { settled } from "./suites/stores.ts"
import { start } from "./suites/worlds.ts"

const policy = { timeToLive: "10 seconds", staleWhileRevalidate: "20 seconds", staleIfError: "1 minute" } as const

onEveryStore("A call that is to be fresh", (test) => {
  test("computes what is stored already, and stores it", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      assert.strictEqual(yield* andSettle(fn.with({ fresh: true })({ n: 1 })), 2)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(fn.with({ fresh: true })({ n: 1 })), 3)
      assert.deepStrictEqual(yield* missBecause, ["missing", "asked", "asked"])
      assert.deepStrictEqual(yield* staleBecause, [])
    }))

  test("that says nothing is a call like all others", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      const calls = [
        fn.with({}),
        fn.with({ fresh: false, onlyIfCached: false, noStore: false }),
        fn.with({ fresh: undefined })
      ]
      for (const call of calls) assert.strictEqual(yield* andSettle(call({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 1)
    }))
})

onEveryStore("A call that is only to be answered from what is cached", (test) => {
  test("is given a hit, and a typed error that names the key where there is nothing", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      const cached = fn.with({ onlyIfCached: true })
      const error = yield* andSettle(Effect.flip(cached({ n: 1 })))
      assert.strictEqual(reasonOf(error), "NotCachedError")
      assert.include((error as { readonly reason: object }).reason, { key: "rows\t{\"n\":1}" })
      assert.strictEqual(source.runs(), 0)
      yield* andSettle(fn({ n: 1 }))
      assert.strictEqual(yield* andSettle(cached({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 1)
    }))

  test("does not wait for a computation that runs", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* source.become("held")
      const computing = yield* start(fn({ n: 1 }))
      yield* source.started(1)
      assert.strictEqual(
        reasonOf(yield* atOnce(Effect.flip(fn.with({ onlyIfCached: true })({ n: 1 })))),
        "NotCachedError"
      )
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(computing), 1)
      yield* settled
      assert.lengthOf(yield* eventsOf("Joined"), 0)
    }))

  test("is given what is stale while it is revalidated, and has nothing computed for that; nothing that is over", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      const cached = fn.with({ onlyIfCached: true })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(29_999)
      assert.strictEqual(yield* andSettle(cached({ n: 1 })), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(yield* andSettle(Effect.flip(cached({ n: 1 })))), "NotCachedError")
      assert.strictEqual(source.runs(), 1)
    }))

  test("is not given what is invalidated", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      const cached = fn.with({ onlyIfCached: true })
      yield* andSettle(fn({ n: 1 }))
      yield* invalidate("row:1")
      assert.strictEqual(reasonOf(yield* andSettle(Effect.flip(cached({ n: 1 })))), "NotCachedError")
      assert.strictEqual(source.runs(), 1)
    }))

  test("and to be fresh has no answer", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      const both = fn.with({ onlyIfCached: true, fresh: true })
      assert.strictEqual(reasonOf(yield* andSettle(Effect.flip(both({ n: 1 })))), "NotCachedError")
      assert.strictEqual(source.runs(), 1)
    }))

  test("is given a failure that is stored", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* Cached.make(
        "fails",
        { success: Schema.Number, error: Down, policy: { errorTimeToLive: "5 seconds" } },
        () => source.run()
      )
      yield* source.become("down")
      yield* andSettle(Effect.flip(fn()))
      assert.deepStrictEqual(yield* andSettle(Effect.flip(fn.with({ onlyIfCached: true })())), new Down({ run: 1 }))
      yield* TestClock.adjust(5000)
      assert.strictEqual(reasonOf(yield* andSettle(Effect.flip(fn.with({ onlyIfCached: true })()))), "NotCachedError")
    }))

  test("counts as a use of what it is given", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToIdle: "10 seconds" })
      yield* andSettle(fn({ n: 1 }))
      for (let read = 0; read < 3; read++) {
        yield* TestClock.adjust(9999)
        assert.strictEqual(yield* andSettle(fn.with({ onlyIfCached: true })({ n: 1 })), 1)
      }
      yield* TestClock.adjust(10_000)
      assert.strictEqual(
        reasonOf(yield* andSettle(Effect.flip(fn.with({ onlyIfCached: true })({ n: 1 })))),
        "NotCachedError"
      )
    }))
})

onEveryStore("A call that is not to be stored", (test) => {
  test("is given what is stored, or computes it and leaves nothing behind", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      const passing = fn.with({ noStore: true })
      assert.strictEqual(yield* andSettle(passing({ n: 1 })), 1)
      assert.deepStrictEqual(yield* rejectedFor, ["opt-out"])
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      assert.strictEqual(yield* andSettle(passing({ n: 1 })), 2)
      assert.strictEqual(source.runs(), 2)
    }))

  test("and is to be fresh leaves what is stored as it is", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, policy)
      yield* andSettle(fn({ n: 1 }))
      assert.strictEqual(yield* andSettle(fn.with({ noStore: true, fresh: true })({ n: 1 })), 2)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* TestClock.adjust(9999)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 2)
    }))

  test("is not stored by a computation that asks so, nor is that", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* rows(source, policy)
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.Number },
        () => inner.with({ noStore: true })({ n: 1 })
      )
      assert.deepStrictEqual([yield* andSettle(outer()), yield* andSettle(outer())], [1, 2])
      assert.lengthOf(yield* eventsOf("Stored"), 0)
    }))
})
