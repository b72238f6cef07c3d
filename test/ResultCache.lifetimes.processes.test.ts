import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Cached, type CachePolicy, invalidate, setLifetime } from "effect-cached"
import { TestClock } from "effect/testing"
import { inFolder, lives } from "./jsonFile.ts"
import {
  andSettle,
  atOnce,
  Down,
  eventsOf,
  makeSource,
  missBecause,
  rows,
  staleBecause
} from "./suites/lifetimesSuite.ts"
import { answered, leased, settled, sharing, until } from "./suites/stores.ts"
import { start } from "./suites/worlds.ts"

describe("A JSON file that is opened again", () => {
  const policy = {
    timeToLive: "10 seconds",
    staleWhileRevalidate: "20 seconds",
    staleIfError: "1 minute"
  } as const

  it.effect("has what is stale, for as long as it may be served (scenario 36, scenario 37)", () =>
    inFolder(({ path }) =>
      Effect.gen(function*() {
        const source = makeSource()
        const called = Effect.flatMap(rows(source, policy), (fn) => andSettle(fn({ n: 1 })))
        yield* lives({ path }, called)
        yield* TestClock.adjust(29_999)
        yield* source.become("down")
        assert.strictEqual(yield* lives({ path }, called), 1)
        yield* TestClock.adjust(1)
        const [value, because] = yield* lives({ path }, Effect.all([called, staleBecause]))
        assert.strictEqual(value, 1)
        assert.deepStrictEqual(because, ["error"])
        yield* TestClock.adjust(39_999)
        assert.strictEqual(yield* lives({ path }, called), 1)
        yield* TestClock.adjust(1)
        assert.instanceOf(yield* lives({ path }, Effect.flip(called)), Down)
      })
    ))

  it.effect("has none of it once it is invalidated, though nobody read it before the end (scenario 46)", () =>
    inFolder(({ path }) =>
      Effect.gen(function*() {
        const source = makeSource()
        const made = rows(source, policy)
        yield* lives({ path }, Effect.flatMap(made, (fn) => andSettle(fn({ n: 1 }))))
        yield* TestClock.adjust(10_000)
        yield* lives({ path }, Effect.andThen(made, invalidate("row:1")))
        yield* source.become("down")
        const failed = Effect.flatMap(made, (fn) => andSettle(Effect.flip(fn({ n: 1 }))))
        assert.instanceOf(yield* lives({ path }, failed), Down)
      })
    ))

  it.effect("knows how long a result lives unread, and not that it was read: it never lives longer for that (scenario 35)", () =>
    inFolder(({ path }) =>
      Effect.gen(function*() {
        const source = makeSource()
        const called = Effect.flatMap(rows(source, { timeToIdle: "10 seconds" }), (fn) => andSettle(fn({ n: 1 })))
        yield* lives({ path }, called)
        yield* TestClock.adjust(9999)
        assert.strictEqual(yield* lives({ path }, called), 1)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* lives({ path }, called), 2)
      })
    ))

  it.effect("has failures, as errors of their class (scenario 39)", () =>
    inFolder(({ path }) =>
      Effect.gen(function*() {
        const source = makeSource()
        yield* source.become("down")
        const failed = Effect.flatMap(
          Cached.make(
            "fails",
            { success: Schema.Number, error: Down, policy: { errorTimeToLive: "10 seconds" } },
            () => source.run()
          ),
          (fn) => andSettle(Effect.flip(fn()))
        )
        yield* lives({ path }, failed)
        yield* TestClock.adjust(9999)
        const error = yield* lives({ path }, failed)
        assert.instanceOf(error, Down)
        assert.deepStrictEqual(error, new Down({ run: 1 }))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* lives({ path }, failed), new Down({ run: 2 }))
      })
    ))

  it.effect("goes by what was stored, not by what the function says now (scenario 34)", () =>
    inFolder(({ path }) =>
      Effect.gen(function*() {
        const source = makeSource()
        const called = (policy: CachePolicy.CachePolicy, says: Effect.Effect<void>) =>
          Effect.flatMap(
            Cached.make("fn", { success: Schema.Number, policy }, () => Effect.andThen(says, source.run())),
            (fn) => andSettle(fn())
          )
        const set = setLifetime({ timeToLive: "10 seconds", staleWhileRevalidate: "10 seconds" })
        yield* lives({ path }, called({}, set))
        yield* TestClock.adjust(9999)
        const [hit, because] = yield* lives(
          { path },
          Effect.all([called({ timeToLive: "1 second" }, Effect.void), staleBecause])
        )
        assert.deepStrictEqual([hit, because], [1, []])
        yield* TestClock.adjust(10_000)
        const [stale, revalidating] = yield* lives({ path }, Effect.all([called({}, Effect.void), staleBecause]))
        assert.deepStrictEqual([stale, revalidating], [1, ["revalidating"]])
      })
    ))
})

describe("Processes that share leases", () => {
  const policy = { timeToLive: "10 seconds", staleWhileRevalidate: "20 seconds", staleIfError: "1 minute" } as const

  it.effect("compute anew in one of them what all serve stale (scenario 36)", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(leased)
      const source = makeSource()
      const processes = yield* Effect.forEach([1, 2, 3], () => open())
      const fns = yield* Effect.forEach(processes, ({ provide }) => provide(rows(source, policy)))
      for (const fn of fns) assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      for (const fn of fns) assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      yield* source.started(2)
      yield* answered
      for (const fn of fns) assert.strictEqual(yield* atOnce(fn({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 2)
      yield* source.release()
      yield* settled
      for (const fn of fns) assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      assert.strictEqual(source.runs(), 2)
    }))

  it.effect("are served what is stale after the soft timeout, also where another of them computes (scenario 38)", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(leased)
      const source = makeSource()
      const [here, there] = [yield* open(), yield* open()]
      const soft = { timeToLive: "10 seconds", staleIfError: "1 minute", softTimeout: "2 seconds" } as const
      const fn = yield* here.provide(rows(source, soft))
      const other = yield* there.provide(rows(source, soft))
      yield* andSettle(fn({ n: 1 }))
      yield* andSettle(other({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      const first = yield* start(fn({ n: 1 }))
      yield* source.started(2)
      const second = yield* start(other({ n: 1 }))
      yield* until("both wait", () => first.pollUnsafe() === undefined && second.pollUnsafe() === undefined)
      yield* answered
      yield* TestClock.adjust(2000)
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [1, 1])
      yield* source.release()
      yield* settled
      assert.strictEqual(yield* andSettle(other({ n: 1 })), 2)
      assert.strictEqual(source.runs(), 2)
    }))

  it.effect("each try what fails, and serve what is stale (scenario 37)", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(leased)
      const source = makeSource()
      const [here, there] = [yield* open(), yield* open()]
      const failing = { timeToLive: "10 seconds", staleIfError: "1 minute" } as const
      const fn = yield* here.provide(rows(source, failing))
      const other = yield* there.provide(rows(source, failing))
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("down")
      for (const call of [fn, other, fn, other]) assert.strictEqual(yield* andSettle(call({ n: 1 })), 1)
      assert.strictEqual(source.runs(), 3)
    }))
})

it.effect("A result that is kept for its windows is one that a later cache over the same store says was there", () =>
  inFolder(({ path }) =>
    Effect.gen(function*() {
      const source = makeSource()
      const called = Effect.flatMap(
        rows(source, { timeToLive: "1 second", staleIfError: "1 second" }),
        (fn) => andSettle(fn({ n: 1 }))
      )
      yield* lives({ path }, called)
      yield* TestClock.adjust(1500)
      const [value, because, stored] = yield* lives(
        { path },
        Effect.all([called, missBecause, Effect.map(eventsOf("Stored"), (events) => events.length)])
      )
      assert.deepStrictEqual([value, because, stored], [2, ["expired"], 1])
    })
  ))
