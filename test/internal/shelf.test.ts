import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import type { CacheEntry, CacheError, CacheEvent } from "effect-cached"
import { TestClock } from "effect/testing"
import { codecError, logError, storeError } from "../../src/internal/errors.ts"
import { makeGuard } from "../../src/internal/guard.ts"
import { type Got, makeShelf, type Shelf } from "../../src/internal/shelf.ts"
import { makeEntry } from "../suites/entries.ts"
import { start } from "../suites/worlds.ts"

const request = {
  key: "k",
  fingerprint: "0123456789abcdef",
  context: undefined as never,
  compute: () => Effect.die("nobody computes here")
}

// A shelf over a store that does what the test says, and a log that has come up to `position`.
const world = Effect.gen(function*() {
  const asked: Array<string> = []
  const events: Array<CacheEvent.CacheEvent> = []
  const state = { position: 10, heard: 10, failing: false }
  const store = {
    get: (): Effect.Effect<CacheEntry.CacheEntry | undefined, CacheError.CacheError> => Effect.undefined,
    set: (): Effect.Effect<"stored", CacheError.CacheError> => Effect.succeed("stored"),
    remove: (): Effect.Effect<void, CacheError.CacheError> => Effect.void
  }
  const noted = <A>(name: string, effect: () => Effect.Effect<A, CacheError.CacheError>) => () =>
    Effect.suspend(() => {
      asked.push(name)
      return effect()
    })
  const tell = (event: CacheEvent.CacheEvent) => void events.push(event)
  const shelf = makeShelf(
    {
      get: noted("get", () => store.get()),
      set: noted("set", () => store.set()),
      touch: () => Effect.void,
      remove: noted("remove", () => store.remove())
    },
    yield* makeGuard(true, 1000, tell),
    {
      isValid: (entry, fingerprint) => entry.fingerprint === fingerprint && entry.position <= state.heard,
      whyNot: (entry) => entry === undefined ? "missing" : "invalidated",
      now: () => 0,
      isAhead: (entry) => entry.position > state.heard,
      catchUp: Effect.suspend(() => {
        asked.push("catchUp")
        if (state.failing) return Effect.fail(logError("down"))
        state.heard = state.position
        return Effect.void
      })
    },
    tell
  )
  return { shelf, store, state, asked, events: () => events.map(({ _tag }) => _tag) }
})

// What is there, without its stage.
const finding = (shelf: Shelf, got: Got | undefined) =>
  Effect.map(
    shelf.find(request, got, () => 0),
    ({ answered, because, entry }) => entry === undefined ? { entry, because, answered } : { entry }
  )

describe("find", () => {
  it.effect("asks the store once, and the log only for what is ahead of it", () =>
    Effect.gen(function*() {
      const { asked, shelf, store } = yield* world
      const entry = makeEntry("k")
      store.get = () => Effect.succeed(entry)
      assert.deepStrictEqual(yield* finding(shelf, undefined), { entry })
      assert.deepStrictEqual(asked, ["get"])
    }))

  it.effect("does not ask the store for what it gave already", () =>
    Effect.gen(function*() {
      const { asked, shelf } = yield* world
      const entry = makeEntry("k")
      assert.deepStrictEqual(yield* finding(shelf, Result.succeed(entry)), { entry })
      const nothing = yield* finding(shelf, Result.succeed(undefined))
      assert.deepStrictEqual(nothing, { entry: undefined, because: "missing", answered: true })
      const failed = yield* finding(shelf, Result.fail(storeError("get", "down")))
      assert.deepStrictEqual(failed, { entry: undefined, because: "missing", answered: false })
      assert.deepStrictEqual(asked, [])
    }))

  it.effect("says that the store did not answer when it failed or was late", () =>
    Effect.gen(function*() {
      const { events, shelf, store } = yield* world
      store.get = () => Effect.fail(storeError("get", "down"))
      const missing = { entry: undefined, because: "missing", answered: false } as const
      assert.deepStrictEqual(yield* finding(shelf, undefined), missing)
      store.get = () => Effect.never
      const fiber = yield* start(finding(shelf, undefined))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), missing)
      assert.deepStrictEqual(events(), ["StoreFailed", "StoreFailed"])
    }))

  it.effect("serves what is ahead when the log has come so far", () =>
    Effect.gen(function*() {
      const { asked, shelf, state } = yield* world
      const entry = makeEntry("k", { position: 20 })
      state.position = 20
      assert.deepStrictEqual(yield* finding(shelf, Result.succeed(entry)), { entry })
      assert.deepStrictEqual(asked, ["catchUp"])
    }))

  it.effect("removes what is ahead of a log that was asked, and leaves it where that cannot be asked", () =>
    Effect.gen(function*() {
      const { asked, events, shelf, state } = yield* world
      const ahead = Result.succeed(makeEntry("k", { position: 20 }))
      state.failing = true
      assert.deepStrictEqual(yield* finding(shelf, ahead), {
        entry: undefined,
        because: "invalidated",
        answered: true
      })
      assert.deepStrictEqual(asked, ["catchUp"])
      state.failing = false
      assert.deepStrictEqual(yield* finding(shelf, ahead), {
        entry: undefined,
        because: "malformed",
        answered: true
      })
      assert.deepStrictEqual(asked, ["catchUp", "catchUp", "remove"])
      assert.deepStrictEqual(events(), ["Undecodable"])
    }))

  it.effect("asks nobody about an entry of another key that has the same hash", () =>
    Effect.gen(function*() {
      const { asked, events, shelf } = yield* world
      const found = yield* finding(shelf, Result.succeed(makeEntry("another", { position: 20 })))
      assert.isUndefined(found.entry)
      assert.deepStrictEqual([asked, events()], [[], []])
    }))
})

describe("discard", () => {
  it.effect("removes an entry once, and once more where the first was interrupted", () =>
    Effect.gen(function*() {
      const { asked, events, shelf, store } = yield* world
      const entry = makeEntry("k")
      const error = codecError("malformed", "it is broken")
      store.remove = () => Effect.never
      const fiber = yield* start(shelf.discard(entry, error))
      yield* shelf.discard(entry, error)
      assert.deepStrictEqual(asked, ["remove"])
      yield* Fiber.interrupt(fiber)
      store.remove = () => Effect.void
      yield* shelf.discard(entry, error)
      yield* shelf.discard(entry, error)
      assert.deepStrictEqual(asked, ["remove", "remove"])
      assert.deepStrictEqual(events(), ["Undecodable", "Undecodable"])
    }))
})

describe("put", () => {
  it.effect("gives up in time, and later for who waits until it is stored", () =>
    Effect.gen(function*() {
      const { shelf, store } = yield* world
      store.set = () => Effect.never
      const usual = yield* start(shelf.put(makeEntry("k"), false))
      const durable = yield* start(shelf.put(makeEntry("k"), true))
      yield* TestClock.adjust("1 second")
      assert.isTrue(Result.isFailure(yield* Fiber.join(usual)))
      assert.isUndefined(durable.pollUnsafe())
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Result.isFailure(yield* Fiber.join(durable)))
    }))
})
