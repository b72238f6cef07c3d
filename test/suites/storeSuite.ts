/**
 * What stores must do. Each test has a store of its own.
 */
import { assert, describe, it, type Vitest } from "@effect/vitest"
import { Clock, Effect, type Layer, Option, Scope, Stream } from "effect"
import { CacheEntry, Store } from "effect-cached"
import { TestClock } from "effect/testing"
import { noise } from "./codecSuite.ts"
import { makeEntry, makeIdle, makeTerms, storedPart } from "./entries.ts"

// With its times since it was created: what a process knows of the clock of a server changes by fractions of a millisecond.
const part = (entry: CacheEntry.Stored) => {
  const since = (time: number) => time - entry.createdAt
  const { terms } = entry
  return storedPart({
    ...entry,
    createdAt: 0,
    expiresAt: since(entry.expiresAt),
    terms: terms && {
      ...terms,
      staleUntil: since(terms.staleUntil),
      errorUntil: since(terms.errorUntil),
      keptUntil: since(terms.keptUntil),
      usedAt: since(terms.usedAt)
    }
  })
}

// In milliseconds: how wrong the clock of a server may be taken on a busy machine.
const slack = 30_000

const found = (store: Store.Store["Service"], key: string) =>
  Effect.map(store.get(key), (entry) => entry === undefined ? undefined : part(CacheEntry.stored(entry)))

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
        assert.deepStrictEqual(yield* found(store, entry.key), part(entry))
        assert.approximately((yield* store.get(entry.key))!.createdAt, entry.createdAt, slack)
        assert.isUndefined(yield* store.get("f"))
      }).pipe(Effect.provide(layer)))

    it.effect.each(
      [
        ["with windows that end", { staleUntil: 200_000, errorUntil: 300_000, keptUntil: 400_000, eager: 1.5 }],
        ["with windows that never end", { staleUntil: Infinity, errorUntil: Infinity, keptUntil: Infinity }],
        ["that lives as long as it is read", { idle: 50_000, eager: 7 }]
      ] as const
    )(
      "gives back a failure, and what its policy says of its time (scenario 39): %s",
      ([, options]) =>
        Effect.gen(function*() {
          const store = yield* Store.Store
          const now = yield* Clock.currentTimeMillis
          const { eager, errorUntil, idle, keptUntil, staleUntil } = makeTerms(100_000, options)
          const entry = makeEntry("a", {
            createdAt: now,
            expiresAt: now + 100_000,
            failed: true,
            terms: {
              staleUntil: now + staleUntil,
              errorUntil: now + errorUntil,
              keptUntil: now + keptUntil,
              idle,
              usedAt: now - 1,
              eager
            }
          })
          yield* store.set(entry)
          assert.deepStrictEqual(yield* found(store, "a"), part(entry))
          const plain = makeEntry("a", { position: 11 })
          yield* store.set(plain)
          assert.deepStrictEqual(yield* found(store, "a"), part(plain), "nothing of it is left")
        }).pipe(Effect.provide(layer))
    )

    it.effect("takes an entry once more, with the time at which it was last read (scenario 35)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const now = yield* Clock.currentTimeMillis
        const read = (usedAt: number) => makeIdle("a", 60_000, usedAt, { createdAt: now })
        for (const usedAt of [now, now + 10_000]) {
          assert.strictEqual(yield* store.set(read(usedAt)), "stored")
          assert.deepStrictEqual(yield* found(store, "a"), part(read(usedAt)))
        }
      }).pipe(Effect.provide(layer)))

    describe("that is told of a read", () => {
      const idle = 60_000
      const present = Effect.map(Clock.currentTimeMillis, (now) => makeIdle("a", idle, now, { createdAt: now }))

      // What a reader has got, and has read so much later.
      const readLater = Effect.fnUntraced(function*(store: Store.Store["Service"], by: number) {
        const entry = (yield* store.get("a"))!
        CacheEntry.use(entry, entry.usedAt + by)
        return entry
      })

      it.effect("gives the time of that, and all the rest as it was (scenario 35)", () =>
        Effect.gen(function*() {
          const store = yield* Store.Store
          const now = yield* Clock.currentTimeMillis
          const read = (usedAt: number) =>
            makeEntry("a", {
              head: { status: 404, headers: { "content-type": "text/plain" } },
              body: noise(5_000),
              tags: ["a", "b:c"],
              createdAt: now,
              expiresAt: now + 100_000,
              failed: true,
              terms: makeTerms(now + 100_000, { keptUntil: now + 200_000, idle, usedAt, eager: 1.5 })
            })
          yield* store.set(makeEntry("b"))
          yield* store.set(read(now))
          for (const by of [1, 10_000]) yield* store.touch(yield* readLater(store, by))
          assert.deepStrictEqual(yield* found(store, "a"), part(read(now + 10_001)))
          assert.deepStrictEqual(yield* keys(store), ["a", "b"])
        }).pipe(Effect.provide(layer)))

      it.effect("does nothing where there is no such entry", () =>
        Effect.gen(function*() {
          const store = yield* Store.Store
          yield* store.touch(yield* present)
          assert.isUndefined(yield* store.get("a"))
          assert.deepStrictEqual(yield* keys(store), [])
        }).pipe(Effect.provide(layer)))

      it.effect("does not bring back what was removed meanwhile, or cleared", () =>
        Effect.gen(function*() {
          const store = yield* Store.Store
          for (const end of [store.remove("a"), store.clear]) {
            yield* store.set(yield* present)
            const read = yield* readLater(store, 10_000)
            yield* end
            yield* store.touch(read)
            assert.isUndefined(yield* store.get("a"))
            assert.deepStrictEqual(yield* keys(store), [])
          }
        }).pipe(Effect.provide(layer)))

      it.effect.each(
        [
          ["of a later position", 0, { position: 11 }],
          ["of an earlier position", 0, { position: 9 }],
          ["computed later", 10_000, {}],
          ["computed earlier", -10_000, {}],
          ["of another version of its function", 0, { fingerprint: "f" }]
        ] as const
      )("leaves what was stored in its place as it is: what is %s", ([, later, options]) =>
        Effect.gen(function*() {
          const store = yield* Store.Store
          const entry = yield* present
          yield* store.set(entry)
          const read = yield* readLater(store, 20_000)
          const createdAt = entry.createdAt + later
          const other = makeIdle("a", idle, createdAt, { body: "other", createdAt, ...options })
          yield* store.remove("a")
          yield* store.set(other)
          yield* store.touch(read)
          assert.deepStrictEqual(yield* found(store, "a"), part(other))
        }).pipe(Effect.provide(layer)))

      it.effect("keeps the newest of many that are stored and read at the same time (scenario 48)", () =>
        Effect.gen(function*() {
          const store = yield* Store.Store
          const now = yield* Clock.currentTimeMillis
          const entryAt = (position: number, usedAt: number) =>
            makeIdle("a", idle, usedAt, { createdAt: now, position, body: `${position}`.repeat(1000) })
          yield* Effect.forEach(
            Array.from({ length: 50 }, (_, n) => (n * 37) % 50 + 1),
            (position) =>
              Effect.andThen(
                store.set(entryAt(position, now)),
                Effect.all([store.touch(entryAt(position, now + 1)), store.touch(entryAt(position - 1, now + 2))], {
                  concurrency: "unbounded",
                  discard: true
                })
              ),
            { concurrency: "unbounded", discard: true }
          )
          const { terms: _, ...newest } = (yield* found(store, "a"))!
          const { terms: __, ...expected } = part(entryAt(50, now))
          assert.deepStrictEqual(newest, expected)
        }).pipe(Effect.provide(layer)))
    })

    it.effect("gives and lists what has expired and may be served stale (scenario 36)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const now = yield* Clock.currentTimeMillis
        for (const name of ["staleUntil", "errorUntil", "keptUntil"] as const) {
          const terms = makeTerms(now - 1, { usedAt: now, [name]: now + 100_000 })
          yield* store.set(makeEntry(name, { createdAt: now - 10, expiresAt: now - 1, terms }))
          assert.isDefined(yield* store.get(name))
        }
        assert.deepStrictEqual(yield* keys(store), ["errorUntil", "keptUntil", "staleUntil"])
      }).pipe(Effect.provide(layer)))

    it.effect("shows through peek nothing that get does not find, and all of it unless it is remote", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        yield* store.set(makeEntry("a"))
        const peeked = store.peek("a")
        if (!store.remote) assert.isDefined(peeked)
        if (peeked !== undefined) assert.deepStrictEqual(part(peeked), yield* found(store, "a"))
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
        assert.deepStrictEqual(yield* found(store, "a"), part(entry))
      }).pipe(Effect.provide(layer)))

    it.effect("replaces an entry by one of the same or a later position", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        for (const [position, body] of [[10, "a"], [10, "b"], [11, "c"]] as const) {
          assert.strictEqual(yield* store.set(makeEntry("k", { position, body })), "stored")
          assert.deepStrictEqual(yield* found(store, "k"), part(makeEntry("k", { position, body })))
        }
      }).pipe(Effect.provide(layer)))

    it.effect("keeps an entry when one of an older computation comes late (scenario 48)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const newer = makeEntry("k", { position: 11, body: "new" })
        yield* store.set(newer)
        assert.strictEqual(yield* store.set(makeEntry("k", { position: 10, body: "old" })), "superseded")
        assert.deepStrictEqual(yield* found(store, "k"), part(newer))
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
        assert.deepStrictEqual(yield* found(store, "k"), part(present))
        for (
          const entry of [
            makeEntry("k", { createdAt, body: "as new" }),
            makeEntry("k", { createdAt: createdAt - 1000, body: "of another version", fingerprint: "f" })
          ]
        ) {
          assert.strictEqual(yield* store.set(entry), "stored")
          assert.deepStrictEqual(yield* found(store, "k"), part(entry))
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
        assert.deepStrictEqual(yield* found(store, "k"), part(makeEntry("k", { position: 100, body: "100" })))
      }).pipe(Effect.provide(layer)))

    it.effect("keeps apart keys that look alike, long keys among them", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const long = "x".repeat(10_000)
        const alike = ["a", "A", "a ", "a*", "a?", "[a]", "{a}", "%7ba}", "a:b", "a\0b", "ä", "#a", long, `${long}x`]
        for (const key of alike) yield* store.set(makeEntry(key))
        for (const key of alike) assert.deepStrictEqual(yield* found(store, key), part(makeEntry(key)))
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

    it.effect("lists what has expired until nothing can be done with it (scenario 36)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const expiresAt = 1000
        yield* store.set(makeEntry("none", { expiresAt, terms: makeTerms(expiresAt) }))
        yield* store.set(makeEntry("stale", { expiresAt, terms: makeTerms(expiresAt, { staleUntil: 2000 }) }))
        yield* store.set(makeEntry("error", { expiresAt, terms: makeTerms(expiresAt, { errorUntil: 3000 }) }))
        yield* store.set(makeEntry("kept", { expiresAt, terms: makeTerms(expiresAt, { keptUntil: 4000 }) }))
        yield* store.set(makeEntry("idle", { expiresAt, terms: makeTerms(9000, { idle: 1500 }) }))
        for (
          const expected of [
            ["error", "idle", "kept", "none", "stale"],
            ["error", "idle", "kept", "stale"],
            ["error", "kept"],
            ["kept"],
            []
          ]
        ) {
          assert.deepStrictEqual(yield* keys(store), expected)
          yield* TestClock.adjust(1000)
        }
      }).pipe(Effect.provide(layer())))

    it.effect("keeps what is read for as long as it may live unread, from the last read on (scenario 35)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        yield* store.set(makeIdle("read", 1000, 0))
        yield* store.set(makeIdle("unread", 1000, 0))
        for (const now of [900, 1800]) {
          yield* TestClock.adjust(900)
          const entry = (yield* store.get("read"))!
          CacheEntry.use(entry, now)
          yield* store.touch(entry)
        }
        yield* TestClock.adjust(999)
        assert.deepStrictEqual(yield* keys(store), ["read"])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* keys(store), [])
      }).pipe(Effect.provide(layer({ sweepEvery: "1 hour" }))))

    it.effect("replaces an entry that is over by any other", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const later = { position: 11, createdAt: 5, expiresAt: 1000, terms: makeTerms(1000, { staleUntil: 2000 }) }
        yield* store.set(makeEntry("k", later))
        yield* TestClock.adjust(1999)
        assert.strictEqual(yield* store.set(makeEntry("k", { position: 10 })), "superseded")
        assert.strictEqual(yield* store.set(makeEntry("k", { position: 11, createdAt: 4 })), "superseded")
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* store.set(makeEntry("k", { position: 10 })), "stored")
        assert.deepStrictEqual(yield* found(store, "k"), part(makeEntry("k", { position: 10 })))
      }).pipe(Effect.provide(layer({ sweepEvery: "1 hour" }))))

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

    it.effect("reclaims what may be served stale when that is over, and not earlier (scenario 42)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const removals: Array<string> = []
        yield* store.onRemoval(({ cause, key }) => removals.push(`${cause} ${key}`))
        yield* store.set(makeEntry("a", { expiresAt: 1000, terms: makeTerms(1000, { staleUntil: 20_000 }) }))
        yield* store.set(makeEntry("b", { expiresAt: 1000, terms: makeTerms(1000, { errorUntil: Infinity }) }))
        yield* TestClock.adjust(19_999)
        assert.deepStrictEqual(removals, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(new Set(removals), new Set(["expired a"]))
        assert.isUndefined(yield* store.get("a"))
        yield* TestClock.adjust("1 day")
        assert.isDefined(yield* store.get("b"))
      }).pipe(Effect.provide(layer({ sweepEvery: "10 seconds" }))))

    it.effect("reclaims what nobody reads, and keeps what is read (scenario 35)", () =>
      Effect.gen(function*() {
        const store = yield* Store.Store
        const removals = new Set<string>()
        yield* store.onRemoval(({ cause, key }) => removals.add(`${cause} ${key}`))
        yield* store.set(makeIdle("read", 10_000, 0))
        yield* store.set(makeIdle("stored again", 10_000, 0))
        yield* store.set(makeIdle("left alone", 10_000, 0))
        yield* TestClock.adjust(8000)
        // A store of bytes decodes for each reader: what one of them remembers is not in it.
        const entry = store.peek("read") ?? makeIdle("read", 10_000, 8000)
        CacheEntry.use(entry, 8000)
        if (store.remote) yield* store.set(makeIdle("read", 10_000, 8000))
        yield* store.set(makeIdle("stored again", 10_000, 8000))
        yield* TestClock.adjust(2000)
        assert.deepStrictEqual(Array.from(removals), ["expired left alone"])
        assert.deepStrictEqual(yield* keys(store), ["read", "stored again"])
        yield* TestClock.adjust(7999)
        assert.deepStrictEqual(yield* keys(store), ["read", "stored again"])
        yield* TestClock.adjust(2001)
        assert.deepStrictEqual(removals, new Set(["expired left alone", "expired read", "expired stored again"]))
      }).pipe(Effect.provide(layer({ sweepEvery: "1 second" }))))

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
      }).pipe(Effect.provide(layer({ maxBytes: 6_300 }))))

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
