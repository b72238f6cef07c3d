/**
 * What stores must do. Each test has a store of its own.
 */
import { assert, describe, it, type Vitest } from "@effect/vitest"
import { Clock, Effect, type Layer, Option, Scope, Stream } from "effect"
import { CacheEntry, Store } from "effect-cached"
import { TestClock } from "effect/testing"
import { noise } from "./codecSuite.ts"
import { makeEntry, storedPart } from "./entries.ts"

const found = (store: Store.Store["Service"], key: string) =>
  Effect.map(store.get(key), (entry) => entry === undefined ? undefined : storedPart(entry))

const keys = (store: Store.Store["Service"]) =>
  Effect.map(Stream.runCollect(store.entries), (entries) => entries.map((entry) => entry.key).toSorted())

/** All tests, for a store that is bounded and lives by the clock of the tests. */
export const storeSuite = <E>(
  name: string,
  layer: (options?: Store.MemoryOptions) => Layer.Layer<Store.Store, E>
) =>
  describe(`Store (${name})`, () => {
    anyStoreSuite(it, layer())
    boundedStoreSuite(layer)
  })

/** What every store must do, wherever it keeps its entries and whatever clock it lives by. */
export const anyStoreSuite = <E, R>(it: Vitest.MethodsNonLive<R>, layer: Layer.Layer<Store.Store, E, R>) =>
  describe("any store", () => {
    it.effect("has nothing at first", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        assert.isUndefined(store.peek("a"))
        assert.isUndefined(yield* store.get("a"))
        assert.deepStrictEqual(yield* keys(store), [])
      }).pipe(Effect.provide(layer)))

    it.effect("gives back what was set, whole", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const now = yield* Clock.currentTimeMillis
        const entry = makeEntry("f\t{\"a\":\"ü\"}", {
          head: { status: 404, headers: { "content-type": "text/plain" } },
          tags: ["a", "b:c"],
          position: Number.MAX_SAFE_INTEGER,
          createdAt: now + 5,
          expiresAt: now + 100_000
        })
        assert.strictEqual(yield* store.set(entry), "stored")
        assert.deepStrictEqual(yield* found(store, entry.key), storedPart(entry))
        assert.isUndefined(yield* store.get("f"))
      }).pipe(Effect.provide(layer)))

    it.effect("shows through peek nothing that get does not find, and all of it unless it is remote", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        yield* store.set(makeEntry("a"))
        const peeked = store.peek("a")
        if (!store.remote) assert.isDefined(peeked)
        if (peeked !== undefined) assert.deepStrictEqual(storedPart(peeked), yield* found(store, "a"))
      }).pipe(Effect.provide(layer)))

    it.effect.each(
      [
        ["empty", ""],
        ["small", "1"],
        ["of 10 000 elements", JSON.stringify(Array.from({ length: 10_000 }, (_, n) => n))],
        ["binary", noise(5_000)],
        ["of 1 MB", "x".repeat(1_000_000)]
      ] as const
    )("gives back a body (scenario 43): %s", ([, body]) =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const entry = makeEntry("a", { body })
        yield* store.set(entry)
        assert.deepStrictEqual(yield* found(store, "a"), storedPart(entry))
      }).pipe(Effect.provide(layer)))

    it.effect("replaces an entry by one of the same or a later position", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        for (const [position, body] of [[10, "a"], [10, "b"], [11, "c"]] as const) {
          assert.strictEqual(yield* store.set(makeEntry("k", { position, body })), "stored")
          assert.deepStrictEqual(yield* found(store, "k"), storedPart(makeEntry("k", { position, body })))
        }
      }).pipe(Effect.provide(layer)))

    it.effect("keeps an entry when one of an older computation comes late (scenario 48)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const newer = makeEntry("k", { position: 11, body: "new" })
        yield* store.set(newer)
        assert.strictEqual(yield* store.set(makeEntry("k", { position: 10, body: "old" })), "superseded")
        assert.deepStrictEqual(yield* found(store, "k"), storedPart(newer))
      }).pipe(Effect.provide(layer)))

    it.effect("forgets what is removed, whatever its position was", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        yield* store.set(makeEntry("a", { position: 11 }))
        yield* store.set(makeEntry("b"))
        yield* store.remove("a")
        yield* store.remove("a")
        yield* store.remove("never there")
        assert.isUndefined(yield* store.get("a"))
        assert.isUndefined(store.peek("a"))
        assert.deepStrictEqual(yield* keys(store), ["b"])
        assert.strictEqual(yield* store.set(makeEntry("a", { position: 10 })), "stored")
      }).pipe(Effect.provide(layer)))

    it.effect("clears everything, again and again", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        yield* store.set(makeEntry("a", { position: 11 }))
        yield* store.set(makeEntry("b"))
        yield* store.clear
        yield* store.clear
        assert.deepStrictEqual(yield* keys(store), [])
        assert.isUndefined(yield* store.get("a"))
        assert.isUndefined(store.peek("b"))
        assert.strictEqual(yield* store.set(makeEntry("a", { position: 10 })), "stored")
      }).pipe(Effect.provide(layer)))

    it.effect("keeps, of two entries of one position, that which was created later, if one function wrote both", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const createdAt = yield* Clock.currentTimeMillis
        const present = makeEntry("k", { createdAt, body: "new" })
        yield* store.set(present)
        assert.strictEqual(yield* store.set(makeEntry("k", { createdAt: createdAt - 1000, body: "old" })), "superseded")
        assert.deepStrictEqual(yield* found(store, "k"), storedPart(present))
        for (
          const entry of [
            makeEntry("k", { createdAt, body: "as new" }),
            makeEntry("k", { createdAt: createdAt - 1000, body: "of another version", fingerprint: "f" })
          ]
        ) {
          assert.strictEqual(yield* store.set(entry), "stored")
          assert.deepStrictEqual(yield* found(store, "k"), storedPart(entry))
        }
      }).pipe(Effect.provide(layer)))

    it.effect("keeps the newest of many that are stored at the same time (scenario 48)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const positions = Array.from({ length: 100 }, (_, n) => (n * 37) % 100 + 1)
        yield* Effect.forEach(
          positions,
          (position) => store.set(makeEntry("k", { position, body: `${position}` })),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(yield* found(store, "k"), storedPart(makeEntry("k", { position: 100, body: "100" })))
      }).pipe(Effect.provide(layer)))

    it.effect("keeps apart keys that look alike, long keys among them", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const long = "x".repeat(10_000)
        const alike = ["a", "A", "a ", "a*", "a?", "[a]", "{a}", "%7ba}", "a:b", "a\0b", "ä", "#a", long, `${long}x`]
        for (const key of alike) yield* store.set(makeEntry(key))
        for (const key of alike) assert.deepStrictEqual(yield* found(store, key), storedPart(makeEntry(key)))
        assert.deepStrictEqual(yield* keys(store), alike.toSorted())
        yield* store.remove("a*")
        assert.strictEqual((yield* keys(store)).length, alike.length - 1)
      }).pipe(Effect.provide(layer)))
  })

const boundedStoreSuite = <E>(layer: (options?: Store.MemoryOptions) => Layer.Layer<Store.Store, E>) =>
  describe("a bounded store", () => {
    it.effect("lists all entries but the expired ones (scenario 42)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        yield* store.set(makeEntry("soon", { expiresAt: 1000 }))
        yield* store.set(makeEntry("later", { expiresAt: 1001 }))
        yield* store.set(makeEntry("never"))
        assert.deepStrictEqual(yield* keys(store), ["later", "never", "soon"])
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(yield* keys(store), ["later", "never"])
      }).pipe(Effect.provide(layer())))

    it.effect("evicts the least recently used over its bound of entries, and says so (scenario 40)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const removals = new Set<string>()
        yield* store.onRemoval(({ cause, key }) => removals.add(`${cause} ${key}`))
        for (const key of ["a", "b", "c"]) yield* store.set(makeEntry(key))
        yield* store.get("a")
        yield* store.set(makeEntry("d"))
        assert.deepStrictEqual(yield* keys(store), ["a", "c", "d"])
        assert.isUndefined(yield* store.get("b"))
        assert.deepStrictEqual(Array.from(removals), ["evicted b"])
      }).pipe(Effect.provide(layer({ maxEntries: 3 }))))

    it.effect("evicts the least recently used over its bound of bytes (scenario 40)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        for (let n = 0; n < 100; n++) {
          assert.strictEqual(yield* store.set(makeEntry(`k${n}`, { body: noise(1_000) })), "stored")
          yield* store.get("k0")
        }
        const kept = yield* keys(store)
        assert.include(kept, "k0")
        assert.include(kept, "k99")
        assert.isAtLeast(kept.length, 4)
        assert.isAtMost(kept.length, 10)
      }).pipe(Effect.provide(layer({ maxBytes: 10_000 }))))

    it.effect("refuses an entry that alone is over the bound, and keeps the others (scenario 40)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        yield* store.set(makeEntry("a"))
        yield* store.set(makeEntry("k", { body: "old" }))
        assert.strictEqual(yield* store.set(makeEntry("k", { body: noise(10_000) })), "too-large")
        assert.isUndefined(yield* store.get("k"), "what it would have replaced is not given in its place")
        assert.deepStrictEqual(yield* keys(store), ["a"])
      }).pipe(Effect.provide(layer({ maxBytes: 10_000 }))))

    it.effect("reclaims expired entries that nobody reads (scenario 42)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const removals = new Set<string>()
        yield* store.onRemoval(({ cause, key }) => removals.add(`${cause} ${key}`))
        for (let n = 0; n < 50; n++) yield* store.set(makeEntry(`k${n}`, { expiresAt: n % 2 === 0 ? 1000 : Infinity }))
        yield* TestClock.adjust(9_999)
        assert.strictEqual(removals.size, 0)
        yield* TestClock.adjust(1)
        assert.strictEqual(removals.size, 25)
        for (let n = 0; n < 50; n++) {
          assert.strictEqual((yield* store.get(`k${n}`)) === undefined, n % 2 === 0)
          assert.strictEqual(removals.has(`expired k${n}`), n % 2 === 0)
        }
        yield* store.set(makeEntry("again", { expiresAt: 11_000 }))
        yield* TestClock.adjust(10_000)
        assert.isTrue(removals.has("expired again"))
      }).pipe(Effect.provide(layer({ sweepEvery: "10 seconds" }))))

    it.effect("tells of removals only those who still listen, and not of what others do", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const removals: Array<string> = []
        const scope = yield* Scope.make()
        yield* Scope.provide(store.onRemoval(({ key }) => removals.push(key)), scope)
        yield* store.set(makeEntry("a"))
        yield* store.set(makeEntry("a", { position: 11 }))
        yield* store.remove("a")
        yield* store.set(makeEntry("b"))
        yield* store.clear
        assert.deepStrictEqual(removals, [])
        yield* Scope.close(scope, Effect.runSyncExit(Effect.void))
        yield* store.set(makeEntry("c"))
        yield* store.set(makeEntry("d"))
        assert.deepStrictEqual(removals, [])
      }).pipe(Effect.provide(layer({ maxEntries: 1 }))))

    it.effect("counts for its bound of bytes what it really holds after replacing and removing", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        for (let n = 0; n < 50; n++) yield* store.set(makeEntry("a", { body: noise(2_000), position: n + 1 }))
        for (let n = 0; n < 50; n++) {
          yield* store.set(makeEntry("b", { body: noise(2_000) }))
          yield* store.remove("b")
        }
        yield* store.set(makeEntry("c", { body: noise(2_000) }))
        assert.deepStrictEqual(yield* keys(store), ["a", "c"])
      }).pipe(Effect.provide(layer({ maxBytes: 6_000 }))))

    it.effect.each(
      [
        ["maxEntries", 0],
        ["maxEntries", -1],
        ["maxEntries", 1.5],
        ["maxEntries", NaN],
        ["maxBytes", 0],
        ["maxBytes", Infinity],
        ["sweepEvery", -1],
        ["sweepEvery", "soon"]
      ] as const
    )("refuses the option %s: %s", ([option, value]) =>
      Effect.gen(function*() {
        const error: unknown = yield* Effect.flip(
          Effect.provide(Store.Store, layer({ [option]: value }))
        )
        assert.propertyVal(error, "_tag", "CacheError")
        assert.nestedPropertyVal(error, "reason._tag", "DefinitionError")
        assert.include((error as Error).message, option)
      }))

    it.effect("keeps its size as CacheEntry.size counts it, or less", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const entry = makeEntry("k", { body: "x".repeat(500) })
        assert.isAtMost(CacheEntry.size(entry), 1000)
        assert.strictEqual(yield* store.set(entry), "stored")
        assert.isTrue(Option.isSome(Option.fromUndefinedOr(yield* store.get("k"))))
      }).pipe(Effect.provide(layer({ maxBytes: 1_200 }))))
  })
