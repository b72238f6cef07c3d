import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import { addDeps, Cached, type CachePolicy, doNotStore, invalidate, setLifetime } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import {
  andSettle,
  Down,
  eventsOf,
  makeSource,
  onEveryStore,
  reasonOf,
  rejectedFor,
  rows,
  staleBecause
} from "./suites/lifetimesSuite.ts"
import { settled } from "./suites/stores.ts"
import { start } from "./suites/worlds.ts"

// A function that says something about its own lifetime before it asks its source.
const saying = (
  source: ReturnType<typeof makeSource>,
  says: Effect.Effect<unknown>,
  policy: CachePolicy.CachePolicy = {},
  name = "saying"
) =>
  Cached.make(
    name,
    { success: Schema.Number, deps: () => ["row"], policy },
    () => Effect.andThen(says, source.run())
  )

onEveryStore("A lifetime that a computation sets while it runs", (test) => {
  test("takes the place of its policy's, shorter or longer, to the millisecond", () =>
    Effect.gen(function*() {
      for (const [seconds, name] of [[5, "shorter"], [60, "longer"]] as const) {
        const source = makeSource()
        const fn = yield* saying(source, setLifetime({ timeToLive: `${seconds} seconds` }), {
          timeToLive: "10 seconds"
        }, name)
        yield* andSettle(fn())
        yield* TestClock.adjust(seconds * 1000 - 1)
        assert.strictEqual(yield* andSettle(fn()), 1)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* andSettle(fn()), 2)
      }
    }))

  test("sets how long it may be stale as well, and leaves the rest", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* saying(
        source,
        setLifetime({ timeToLive: "5 seconds", staleWhileRevalidate: "5 seconds" }),
        { timeToLive: "1 hour", staleIfError: "1 minute" }
      )
      yield* andSettle(fn())
      yield* source.become("down")
      yield* TestClock.adjust(9999)
      assert.strictEqual(yield* andSettle(fn()), 1)
      yield* TestClock.adjust(55_000)
      assert.strictEqual(yield* andSettle(fn()), 1)
      yield* TestClock.adjust(1)
      assert.instanceOf(yield* andSettle(Effect.flip(fn())), Down)
      assert.deepStrictEqual(yield* staleBecause, ["revalidating", "error"])
    }))

  test("sets how long it may be stale while computing it fails", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* saying(source, setLifetime({ staleIfError: "5 seconds" }), {
        timeToLive: "10 seconds",
        staleIfError: "1 minute"
      })
      yield* andSettle(fn())
      yield* source.become("down")
      yield* TestClock.adjust(14_999)
      assert.strictEqual(yield* andSettle(fn()), 1)
      yield* TestClock.adjust(1)
      assert.instanceOf(yield* andSettle(Effect.flip(fn())), Down)
    }))

  test("is the last that it says, each part by itself", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* saying(
        source,
        setLifetime({ timeToLive: "1 second", staleWhileRevalidate: "10 seconds" }).pipe(
          Effect.andThen(setLifetime({ timeToLive: "5 seconds" }))
        )
      )
      yield* andSettle(fn())
      yield* TestClock.adjust(4999)
      assert.strictEqual(yield* andSettle(fn()), 1)
      assert.deepStrictEqual(yield* staleBecause, [])
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* andSettle(fn()), 1)
      assert.deepStrictEqual(yield* staleBecause, ["revalidating"])
    }))

  test("counts from fibers of its own, and for the computation that runs, not for one that asked it", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* saying(
        source,
        Effect.forkChild(setLifetime({ timeToLive: "5 seconds" })).pipe(
          Effect.flatMap(Fiber.join)
        )
      )
      const other = yield* Cached.make("other", { success: Schema.Number }, () => Effect.succeed(0))
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.Number },
        () => other().pipe(Effect.andThen(setLifetime({ timeToLive: "20 seconds" })), Effect.as(7))
      )
      yield* andSettle(Effect.all([inner(), outer(), other()]))
      yield* TestClock.adjust(5000)
      assert.strictEqual(yield* andSettle(inner()), 2)
      yield* TestClock.adjust(15_000)
      yield* andSettle(Effect.all([outer(), other()]))
      const stored = (yield* eventsOf("Stored")).map(({ key }) => key.split("\t")[0])
      assert.deepStrictEqual(stored.filter((name) => name === "outer"), ["outer", "outer"])
      assert.deepStrictEqual(stored.filter((name) => name === "other"), ["other"])
    }))

  test("of zero is computed for all who ask at once, and not stored", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* saying(source, setLifetime({ timeToLive: 0 }), { timeToLive: "1 hour" })
      assert.deepStrictEqual([yield* andSettle(fn()), yield* andSettle(fn())], [1, 2])
      assert.deepStrictEqual(yield* rejectedFor, ["no-lifetime", "no-lifetime"])
    }))

  test("that is unusable costs nobody the value, and is reported", () =>
    Effect.gen(function*() {
      const unusable: ReadonlyArray<readonly [object, string]> = [
        [{ timeToLive: -1 }, "timeToLive"],
        [{ timeToLive: "soon" }, "timeToLive"],
        [{ timeToLive: null }, "timeToLive"],
        [{ staleWhileRevalidate: NaN }, "staleWhileRevalidate"],
        [{ staleIfError: "-5 seconds" }, "staleIfError"]
      ]
      for (const [index, [lifetime, part]] of unusable.entries()) {
        const source = makeSource()
        const fn = yield* saying(source, setLifetime(lifetime), {}, `fn ${index}`)
        assert.deepStrictEqual([yield* andSettle(fn()), yield* andSettle(fn())], [1, 2])
        const { error, reason } = (yield* eventsOf("Rejected")).at(-1)!
        assert.strictEqual(reason, "policy")
        assert.strictEqual(reasonOf(error), "DefinitionError")
        assert.include(error?.message, part)
      }
    }))

  test("does not make a result outlive what it is made of, unless the policy says that it may", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* rows(source, { timeToLive: "5 seconds" })
      const make = (name: string, outlivesReads: boolean) =>
        Cached.make(
          name,
          { success: Schema.Number, policy: { outlivesReads } },
          () => Effect.andThen(setLifetime({ timeToLive: "1 hour" }), inner({ n: 1 }))
        )
      const [bound, free] = [yield* make("bound", false), yield* make("free", true)]
      assert.deepStrictEqual(yield* andSettle(Effect.all([bound(), free()])), [1, 1])
      yield* TestClock.adjust(4999)
      assert.deepStrictEqual(yield* andSettle(Effect.all([bound(), free()])), [1, 1])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* andSettle(Effect.all([bound(), free()])), [2, 1])
      yield* TestClock.adjust(3_594_999)
      assert.strictEqual(yield* andSettle(free()), 1)
      // Its tags are its own all the same.
      yield* invalidate("row:1")
      assert.strictEqual(yield* andSettle(free()), source.runs())
    }))

  test("is a lifetime that what reads it does not outlive", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* saying(source, setLifetime({ timeToLive: "5 seconds" }))
      const outer = yield* Cached.make("outer", { success: Schema.Number }, () => inner())
      yield* andSettle(outer())
      yield* TestClock.adjust(4999)
      assert.strictEqual(yield* andSettle(outer()), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* andSettle(outer()), 2)
    }))

  test("is a lifetime of failures, too, where they are stored", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* Cached.make(
        "fails",
        { success: Schema.Number, error: Down, policy: { errorTimeToLive: "1 hour" } },
        () => Effect.andThen(setLifetime({ timeToLive: "5 seconds" }), source.run())
      )
      yield* source.become("down")
      for (const run of [1, 1]) assert.deepStrictEqual(yield* andSettle(Effect.flip(fn())), new Down({ run }))
      yield* TestClock.adjust(5000)
      assert.deepStrictEqual(yield* andSettle(Effect.flip(fn())), new Down({ run: 2 }))
    }))
})

onEveryStore("A lifetime that a computation sets, and then fails", (test) => {
  test("does not make the failure live longer than failures do", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* Cached.make(
        "fails",
        { success: Schema.Number, error: Down, policy: { errorTimeToLive: ({ run }) => run === 3 ? 0 : "5 seconds" } },
        () => Effect.andThen(setLifetime({ timeToLive: "1 hour" }), source.run())
      )
      yield* source.become("down")
      for (const run of [1, 1]) assert.deepStrictEqual(yield* andSettle(Effect.flip(fn())), new Down({ run }))
      yield* TestClock.adjust(5000)
      assert.deepStrictEqual(yield* andSettle(Effect.flip(fn())), new Down({ run: 2 }))
      yield* TestClock.adjust(5000)
      for (const run of [3, 4]) assert.deepStrictEqual(yield* andSettle(Effect.flip(fn())), new Down({ run }))
    }))
})

onEveryStore("A computation that is not to be stored", (test) => {
  test("is given to all who wait for it, and computed again for the next", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* saying(source, doNotStore)
      yield* source.become("held")
      const waiting = yield* start(
        Effect.all(Array.from({ length: 10 }, () => fn()), { concurrency: "unbounded" })
      )
      yield* source.started(1)
      yield* source.release()
      assert.deepStrictEqual(new Set(yield* Fiber.join(waiting)), new Set([1]))
      yield* settled
      assert.strictEqual(yield* andSettle(fn()), 2)
      assert.deepStrictEqual(yield* rejectedFor, ["opt-out", "opt-out"])
      assert.lengthOf(yield* eventsOf("Stored"), 0)
    }))

  test("leaves what is stored as it is, to be served stale for as long as it may", () =>
    Effect.gen(function*() {
      const source = makeSource()
      let says: Effect.Effect<void> = Effect.void
      const fn = yield* saying(source, Effect.suspend(() => says), {
        timeToLive: "10 seconds",
        staleWhileRevalidate: "20 seconds"
      })
      yield* andSettle(fn())
      says = doNotStore
      yield* TestClock.adjust(10_000)
      for (let read = 0; read < 3; read++) assert.strictEqual(yield* andSettle(fn()), 1)
      yield* TestClock.adjust(20_000)
      assert.strictEqual(yield* andSettle(fn()), source.runs())
    }))

  test("has nothing stored that is made of it (and nothing that is made of that)", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* saying(source, doNotStore)
      const outer = yield* Cached.make("outer", { success: Schema.Number }, () => inner())
      const outermost = yield* Cached.make("outermost", { success: Schema.Number }, () => outer())
      assert.deepStrictEqual([yield* andSettle(outermost()), yield* andSettle(outermost())], [1, 2])
      assert.lengthOf(yield* eventsOf("Stored"), 0)
    }))

  test("is none of its failures either", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* Cached.make(
        "fails",
        { success: Schema.Number, error: Down, policy: { errorTimeToLive: "1 hour" } },
        () => Effect.andThen(doNotStore, source.run())
      )
      yield* source.become("down")
      for (const run of [1, 2]) assert.deepStrictEqual(yield* andSettle(Effect.flip(fn())), new Down({ run }))
      assert.lengthOf(yield* eventsOf("Stored"), 0)
    }))

  test("may add tags as well", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* saying(source, Effect.andThen(addDeps("a"), doNotStore))
      assert.deepStrictEqual([yield* andSettle(fn()), yield* andSettle(fn())], [1, 2])
    }))
})

it.effect("Outside of a computation, setLifetime and doNotStore do nothing", () =>
  Effect.gen(function*() {
    const source = makeSource()
    const fn = yield* rows(source, {})
    yield* setLifetime({ timeToLive: 0 })
    yield* doNotStore
    assert.deepStrictEqual([yield* fn({ n: 1 }), yield* fn({ n: 1 })], [1, 1])
    assert.isTrue(Exit.isSuccess(yield* Effect.exit(setLifetime({ timeToLive: -1 }))))
  }).pipe(Effect.provide(CacheTest.layer)))
