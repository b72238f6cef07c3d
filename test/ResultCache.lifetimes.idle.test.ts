import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Cached, invalidate } from "effect-cached"
import { TestClock } from "effect/testing"
import { andSettle, eventsOf, makeSource, missBecause, onEveryStore, rows } from "./suites/lifetimesSuite.ts"
import { settled, shared, sharing } from "./suites/stores.ts"
import { start } from "./suites/worlds.ts"

onEveryStore("A result's time to idle", (test) => {
  test("begins anew with each read, and ends to the millisecond (scenario 35)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToIdle: "10 seconds" })
      yield* andSettle(fn({ n: 1 }))
      for (let read = 0; read < 5; read++) {
        yield* TestClock.adjust(9999)
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      }
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
    }))

  test("ends without a read, to the millisecond (scenario 35)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToIdle: "10 seconds" })
      yield* andSettle(Effect.forEach([1, 2], (n) => fn({ n })))
      yield* TestClock.adjust(9999)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* andSettle(fn({ n: 2 })), 3)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      assert.deepStrictEqual(yield* missBecause, ["missing", "missing", "expired"])
    }))

  test("is each entry's own, never a default (scenario 35)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const short = yield* rows(source, { timeToIdle: "10 seconds" }, { name: "short" })
      const long = yield* rows(source, { timeToIdle: "1 hour" }, { name: "long" })
      const none = yield* rows(source, {}, { name: "none" })
      const all = andSettle(Effect.all([short({ n: 1 }), long({ n: 1 }), none({ n: 1 })]))
      assert.deepStrictEqual(yield* all, [1, 2, 3])
      yield* TestClock.adjust(9999)
      assert.deepStrictEqual(yield* all, [1, 2, 3])
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(yield* all, [4, 2, 3])
      yield* TestClock.adjust(3_599_999)
      assert.deepStrictEqual(yield* all, [5, 2, 3])
      yield* TestClock.adjust(3_600_000)
      assert.deepStrictEqual(yield* all, [6, 7, 3])
    }))

  test("counts for each input by itself", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToIdle: "10 seconds" })
      yield* andSettle(Effect.forEach([1, 2], (n) => fn({ n })))
      yield* TestClock.adjust(6000)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* TestClock.adjust(6000)
      assert.deepStrictEqual(yield* andSettle(Effect.forEach([1, 2], (n) => fn({ n }))), [1, 3])
    }))

  test("that is over does not come back, however late it is read and whatever fails then (scenario 35)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToIdle: "10 seconds" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("down")
      for (const run of [2, 3, 4]) {
        assert.include(yield* andSettle(Effect.flip(fn({ n: 1 }))), { run })
      }
      yield* source.become("up")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 5)
      yield* TestClock.adjust(9999)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 5)
    }))

  test("does not reach beyond its time to live (scenario 35)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "25 seconds", timeToIdle: "10 seconds" })
      const call = andSettle(fn({ n: 1 }))
      yield* call
      for (const wait of [9000, 9000, 6999]) {
        yield* TestClock.adjust(wait)
        assert.strictEqual(yield* call, 1)
      }
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* call, 2)
    }))

  test("leaves a time to live alone that is shorter", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "5 seconds", timeToIdle: "10 seconds" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(4999)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
    }))

  test("that is over leaves nothing to be served stale", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, {
        timeToIdle: "10 seconds",
        timeToLive: "1 minute",
        staleWhileRevalidate: "1 hour",
        staleIfError: "1 hour",
        softTimeout: "1 second"
      })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("down")
      assert.include(yield* andSettle(Effect.flip(fn({ n: 1 }))), { run: 2 })
      yield* source.become("held")
      const waiting = yield* start(fn({ n: 1 }))
      yield* source.started(3)
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(waiting.pollUnsafe(), "it waits")
      yield* source.release()
      assert.strictEqual(yield* Fiber.join(waiting), 3)
      yield* settled
      assert.lengthOf(yield* eventsOf("Stale"), 0)
    }))

  test("ends with an invalidation all the same", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToIdle: "10 seconds" })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(5000)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* invalidate("row:1")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
    }))

  test("goes on for what is read by another computation", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* rows(source, { timeToIdle: "10 seconds" })
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.Number, timeToLive: "1 second" },
        () => inner({ n: 1 })
      )
      yield* andSettle(outer())
      for (let read = 0; read < 3; read++) {
        yield* TestClock.adjust(9000)
        assert.strictEqual(yield* andSettle(outer()), 1)
      }
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(outer()), 2)
    }))

  test("of zero is a lifetime of zero", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToIdle: 0 })
      assert.deepStrictEqual([yield* andSettle(fn({ n: 1 })), yield* andSettle(fn({ n: 1 }))], [1, 2])
    }))
})

describe.each(shared)("Processes that share a store of %s", (_, layer) => {
  const policy = { timeToIdle: "16 seconds" } as const

  it.effect("keep a result alive for each other by reading it (scenario 35)", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const source = makeSource()
      const [here, there] = [yield* open(), yield* open()]
      const [fn, other] = [yield* here.provide(rows(source, policy)), yield* there.provide(rows(source, policy))]
      yield* andSettle(fn({ n: 1 }))
      // Each reads only after what it knows itself is over.
      for (let turn = 0; turn < 3; turn++) {
        yield* TestClock.adjust(10_000)
        assert.strictEqual(yield* andSettle(other({ n: 1 })), 1)
        yield* TestClock.adjust(10_000)
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      }
      yield* TestClock.adjust(16_000)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      assert.strictEqual(yield* andSettle(other({ n: 1 })), 2)
    }))

  it.effect("tell each other of reads from memory, so that what is read often is not over elsewhere", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const source = makeSource()
      const [here, there] = [yield* open(), yield* open()]
      const [fn, other] = [yield* here.provide(rows(source, policy)), yield* there.provide(rows(source, policy))]
      yield* andSettle(fn({ n: 1 }))
      for (let second = 0; second < 60; second++) {
        yield* TestClock.adjust(1000)
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      }
      // The last of these reads may be an eighth of the time to idle newer than what was told of them.
      yield* TestClock.adjust(13_999)
      assert.strictEqual(yield* andSettle(other({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 1)
    }))

  it.effect("go by what an entry was stored with, whatever they would store it with themselves (scenario 35)", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const source = makeSource()
      const [here, there] = [yield* open(), yield* open()]
      const fn = yield* here.provide(rows(source, policy))
      const other = yield* there.provide(rows(source, { timeToIdle: "1 hour" }))
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(15_999)
      assert.strictEqual(yield* andSettle(other({ n: 1 })), 1)
      yield* TestClock.adjust(16_000)
      assert.strictEqual(yield* andSettle(other({ n: 1 })), 2)
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual(yield* andSettle(other({ n: 1 })), 2)
    }))

  it.effect("do not bring back what is over elsewhere", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const source = makeSource()
      const [here, there] = [yield* open(), yield* open()]
      const [fn, other] = [yield* here.provide(rows(source, policy)), yield* there.provide(rows(source, policy))]
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* andSettle(other({ n: 1 }))
      yield* TestClock.adjust(16_000)
      // Both have a copy, and neither is good.
      yield* source.become("down")
      assert.include(yield* andSettle(Effect.flip(fn({ n: 1 }))), { run: 2 })
      assert.include(yield* andSettle(Effect.flip(other({ n: 1 }))), { run: 3 })
    }))

  it.effect("store a read of an entry at most eight times while it would live unread", () =>
    Effect.gen(function*() {
      const { open, writes } = yield* sharing(layer)
      const source = makeSource()
      const here = yield* open()
      const fn = yield* here.provide(rows(source, policy))
      yield* andSettle(fn({ n: 1 }))
      const before = writes()
      // As long as its time to idle.
      for (let read = 0; read < 160; read++) {
        yield* TestClock.adjust(100)
        yield* andSettle(fn({ n: 1 }))
      }
      assert.isAtLeast(writes() - before, 1)
      assert.isAtMost(writes() - before, 8)
      assert.strictEqual(here.events.filter(({ _tag }) => _tag === "Stored").length, 1, "a read is no computation")
    }))
})
