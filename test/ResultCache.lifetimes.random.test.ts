import { assert } from "@effect/vitest"
import { Clock, Effect, Fiber, Random } from "effect"
import { invalidate } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { airborne } from "../src/internal/flight.ts"
import { andSettle, atOnce, eventsOf, makeSource, onEveryStore, rows, staleBecause } from "./suites/lifetimesSuite.ts"
import { settled, until } from "./suites/stores.ts"
import { start } from "./suites/worlds.ts"

const inputs = (count: number) => Array.from({ length: count }, (_, n) => n + 1)

onEveryStore("Jitter", (test) => {
  // How long each of so many results lives that are computed now.
  const lifetimes = Effect.fnUntraced(function*(name: string, jitter: number, count: number) {
    const fn = yield* rows(makeSource(), { timeToLive: "100 seconds", jitter }, { name })
    const now = yield* Clock.currentTimeMillis
    yield* andSettle(Effect.forEach(inputs(count), (n) => fn({ n })))
    const stored = yield* eventsOf("Stored")
    return stored.filter(({ key }) => key.startsWith(`${name}\t`)).map(({ expiresAt }) => expiresAt - now)
  })

  test("makes a time to live shorter by up to its part of it, never longer, and not for all the same (scenario 39)", () =>
    Effect.gen(function*() {
      const lived = yield* Random.withSeed(lifetimes("fn", 0.5, 200), "jitter")
      assert.lengthOf(lived, 200)
      assert.isTrue(lived.every((millis) => millis >= 50_000 && millis <= 100_000), lived.join())
      const mean = lived.reduce((sum, millis) => sum + millis, 0) / 200
      assert.approximately(mean, 75_000, 5000)
      assert.isAbove(new Set(lived).size, 190)
      assert.isBelow(Math.min(...lived), 55_000)
      assert.isAbove(Math.max(...lived), 95_000)
    }))

  test("is the same for the same seed (scenario 39)", () =>
    Effect.gen(function*() {
      const first = yield* Random.withSeed(lifetimes("a", 0.3, 20), "one")
      const second = yield* Random.withSeed(lifetimes("b", 0.3, 20), "one")
      const other = yield* Random.withSeed(lifetimes("c", 0.3, 20), "another")
      assert.deepStrictEqual(first, second)
      assert.notDeepEqual(first, other)
    }))

  test("of one may take all of it, of zero nothing", () =>
    Effect.gen(function*() {
      const all = yield* Random.withSeed(lifetimes("all", 1, 200), "seed")
      assert.isTrue(all.every((millis) => millis > 0 && millis <= 100_000))
      assert.isBelow(Math.min(...all), 5000)
      const nothing = yield* Random.withSeed(lifetimes("nothing", 0, 5), "seed")
      assert.deepStrictEqual(nothing, [100_000, 100_000, 100_000, 100_000, 100_000])
    }))

  test("decides when a result ends, to the millisecond (scenario 39)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "100 seconds", jitter: 0.9 })
      const now = yield* Clock.currentTimeMillis
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      const ends = Math.ceil((yield* eventsOf("Stored"))[0]!.expiresAt - now)
      yield* TestClock.adjust(ends - 1)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
    }).pipe(Random.withSeed("ends")))

  test("moves the end, and the windows after it with it", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "100 seconds", jitter: 0.9, staleIfError: "10 seconds" })
      const now = yield* Clock.currentTimeMillis
      yield* andSettle(fn({ n: 1 }))
      yield* source.become("down")
      const ends = Math.ceil((yield* eventsOf("Stored"))[0]!.expiresAt - now)
      yield* TestClock.adjust(ends + 9998)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* TestClock.adjust(2)
      assert.include(yield* andSettle(Effect.flip(fn({ n: 1 }))), { _tag: "Down" })
    }).pipe(Random.withSeed("windows")))

  test("leaves what lives for ever, or not at all, as it is", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const forever = yield* rows(source, { jitter: 0.5 }, { name: "forever" })
      const never = yield* rows(source, { timeToLive: 0, jitter: 0.5 }, { name: "never" })
      assert.strictEqual(yield* andSettle(forever({ n: 1 })), 1)
      yield* TestClock.adjust("1000 days")
      assert.strictEqual(yield* andSettle(forever({ n: 1 })), 1)
      assert.deepStrictEqual([yield* andSettle(never({ n: 1 })), yield* andSettle(never({ n: 1 }))], [2, 3])
    }))
})

onEveryStore("An eager refresh", (test) => {
  // Those that were computed anew, of so many that took so long to compute and are read once, so long before their end.
  const refreshed = Effect.fnUntraced(function*(
    name: string,
    options: { readonly takes: number; readonly before: number; readonly eagerRefresh: boolean | number }
  ) {
    const count = 200
    const source = makeSource()
    const fn = yield* rows(source, { timeToLive: "100 seconds", eagerRefresh: options.eagerRefresh }, {
      name,
      takes: options.takes
    })
    const computing = yield* start(
      Effect.forEach(inputs(count), (n) => fn({ n }), { concurrency: "unbounded", discard: true })
    )
    yield* source.started(count)
    yield* TestClock.adjust(options.takes)
    yield* Fiber.join(computing)
    yield* settled
    yield* TestClock.adjust(100_000 - options.before)
    const test = yield* CacheTest.CacheTest
    yield* test.reset
    const values = yield* Effect.forEach(inputs(count), (n) => atOnce(fn({ n })))
    assert.isTrue(values.every((value) => value <= count), "they are answered at once, by what is stored")
    yield* until("all computations have begun", () => airborne.count === source.running())
    yield* TestClock.adjust(options.takes)
    yield* settled
    assert.strictEqual(source.runs() - count, (yield* test.misses).length)
    return (yield* test.misses).map((key) => key.slice(name.length))
  })

  test("comes earlier, the longer computing takes and the larger its factor is (scenario 39)", () =>
    Effect.gen(function*() {
      // The probability is e to the minus (time that is left / (what computing took × factor)).
      const cases = [
        { takes: 1000, before: 1000, eagerRefresh: true, expected: Math.exp(-1) },
        { takes: 4000, before: 1000, eagerRefresh: true, expected: Math.exp(-1 / 4) },
        { takes: 1000, before: 1000, eagerRefresh: 3, expected: Math.exp(-1 / 3) },
        { takes: 1000, before: 1000, eagerRefresh: 0.5, expected: Math.exp(-2) },
        { takes: 1000, before: 4000, eagerRefresh: true, expected: Math.exp(-4) },
        { takes: 1000, before: 60_000, eagerRefresh: true, expected: 0 },
        { takes: 1000, before: 1000, eagerRefresh: false, expected: 0 }
      ]
      for (const [index, { expected, ...options }] of cases.entries()) {
        const { length: begun } = yield* Random.withSeed(refreshed(`case ${index}`, options), "seed")
        assert.approximately(begun / 200, expected, 0.1, JSON.stringify(options))
        if (expected === 0) assert.strictEqual(begun, 0)
      }
    }))

  test("is the same for the same seed (scenario 39)", () =>
    Effect.gen(function*() {
      const options = { takes: 1000, before: 1000, eagerRefresh: true }
      const first = yield* Random.withSeed(refreshed("first", options), "one")
      const second = yield* Random.withSeed(refreshed("second", options), "one")
      const other = yield* Random.withSeed(refreshed("other", options), "another")
      assert.deepStrictEqual(first, second)
      assert.notDeepEqual(first, other)
    }))

  // So slow that it is computed anew as soon as anybody reads it.
  const eager = Effect.fnUntraced(function*(source: ReturnType<typeof makeSource>, more?: object) {
    const fn = yield* rows(source, { timeToLive: "10 seconds", eagerRefresh: 1e9, ...more }, { takes: 1000 })
    const first = yield* start(fn({ n: 1 }))
    yield* source.started(1)
    yield* TestClock.adjust(1000)
    assert.strictEqual(yield* Fiber.join(first), 1)
    yield* settled
    return fn
  })

  test("runs once, in the background, while all are given what is stored (scenario 39)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* eager(source)
      const readers = Effect.all(Array.from({ length: 30 }, () => fn({ n: 1 })), { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(yield* atOnce(readers)), new Set([1]))
      yield* source.started(2)
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(new Set(yield* atOnce(readers)), new Set([1]))
      yield* TestClock.adjust(1)
      yield* settled
      assert.strictEqual(source.runs(), 2)
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 2)
      assert.deepStrictEqual(yield* staleBecause, [])
      yield* source.started(3)
      yield* TestClock.adjust(1000)
      yield* settled
    }))

  test("that fails leaves what is stored as it is, and is told to nobody who asks", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* eager(source)
      yield* source.become("down")
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      yield* source.started(2)
      yield* TestClock.adjust(1000)
      yield* settled
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      yield* TestClock.adjust(1000)
      yield* settled
      yield* TestClock.adjust(7999)
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      yield* TestClock.adjust(1000)
      yield* settled
      const before = source.runs()
      const late = yield* start(Effect.flip(fn({ n: 1 })))
      yield* source.started(before + 1)
      yield* TestClock.adjust(1000)
      assert.include(yield* Fiber.join(late), { _tag: "Down" })
    }))

  test("goes on when whoever was given the stored result is gone", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* eager(source)
      const reader = yield* start(Effect.andThen(fn({ n: 1 }), Effect.never))
      yield* source.started(2)
      yield* Fiber.interrupt(reader)
      yield* TestClock.adjust(1000)
      yield* settled
      assert.deepStrictEqual([source.runs(), source.interrupted()], [2, 0])
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 2)
      yield* source.started(3)
      yield* TestClock.adjust(1000)
      yield* settled
    }))

  test("is of no use after an invalidation: neither the old result nor the one that is computed is served", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* eager(source)
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      yield* source.started(2)
      yield* TestClock.adjust(500)
      yield* invalidate("row:1")
      const reader = yield* start(fn({ n: 1 }))
      yield* source.started(3)
      yield* TestClock.adjust(500)
      assert.isUndefined(reader.pollUnsafe())
      yield* TestClock.adjust(500)
      assert.strictEqual(yield* Fiber.join(reader), 3)
      yield* settled
      assert.strictEqual(yield* atOnce(fn({ n: 1 })), 3)
      yield* source.started(4)
      yield* TestClock.adjust(1000)
      yield* settled
    }))

  test("is of no use to what lives for ever, or took no time to compute", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const forever = yield* rows(source, { eagerRefresh: 1000 }, { name: "forever", takes: 1000 })
      const first = yield* start(forever({ n: 1 }))
      yield* source.started(1)
      yield* TestClock.adjust(1000)
      yield* Fiber.join(first)
      yield* settled
      const instant = yield* rows(source, { timeToLive: "10 seconds", eagerRefresh: 1000 }, { name: "instant" })
      yield* andSettle(instant({ n: 1 }))
      yield* TestClock.adjust(9999)
      assert.deepStrictEqual(yield* andSettle(Effect.all([forever({ n: 1 }), instant({ n: 1 })])), [1, 2])
      assert.strictEqual(source.runs(), 2)
    }))
})
