import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer } from "effect"
import { ByteStore, CacheEntry, Codec, Store } from "effect-cached"
import { FaultyStore } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { makeEntry, makeIdle, makeTerms, storedPart } from "./suites/entries.ts"
import { storeSuite } from "./suites/storeSuite.ts"

storeSuite("layerMemory", Store.layerMemory)
storeSuite(
  "layerTiered",
  (options) => Store.layerTiered({ near: Store.layerMemory(options), far: Store.layerMemory(options) })
)

const setWithin = (maxBytes: number) =>
  Effect.provide(Effect.flatMap(Store.Store, (store) => store.set(makeEntry("k"))), Store.layerMemory({ maxBytes }))

describe("layerMemory", () => {
  it.effect("hands out the very entry, so that what a reader remembers about it stays", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      const entry = makeEntry("a")
      yield* store.set(entry)
      assert.strictEqual(store.peek("a"), entry)
      assert.strictEqual(yield* store.get("a"), entry)
      assert.isFalse(store.remote)
    }).pipe(Effect.provide(Store.layerMemory())))

  it.effect("counts a peek as a use (scenario 40)", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      yield* store.set(makeEntry("a"))
      yield* store.set(makeEntry("b"))
      store.peek("a")
      yield* store.set(makeEntry("c"))
      assert.isDefined(store.peek("a"))
      assert.isUndefined(store.peek("b"))
    }).pipe(Effect.provide(Store.layerMemory({ maxEntries: 2 }))))

  it.effect("does not judge: an expired entry that was not swept is there", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      yield* store.set(makeEntry("a", { expiresAt: -1 }))
      assert.isDefined(store.peek("a"))
    }).pipe(Effect.provide(Store.layerMemory())))

  it.effect("does not wake for what was read before its sweep, but when that ends (scenario 42)", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      const removals: Array<string> = []
      yield* store.onRemoval(({ key }) => removals.push(key))
      const entry = makeIdle("a", 1000, 0)
      yield* store.set(entry)
      for (let now = 900; now <= 9000; now += 900) {
        yield* TestClock.adjust(900)
        CacheEntry.use(entry, now)
      }
      assert.deepStrictEqual(removals, [])
      yield* TestClock.adjust(999)
      assert.strictEqual(store.peek("a"), entry)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(removals, ["a"])
      assert.isUndefined(store.peek("a"))
    }).pipe(Effect.provide(Store.layerMemory({ sweepEvery: 0 }))))

  it.effect("stores what is exactly as large as its bound, and not one byte more (scenario 40)", () =>
    Effect.gen(function*() {
      const exact = CacheEntry.size(makeEntry("k"))
      assert.strictEqual(yield* setWithin(exact), "stored")
      assert.strictEqual(yield* setWithin(exact - 1), "too-large")
    }))

  it.effect("has nothing in common with another store of the same layer, built anew", () =>
    Effect.gen(function*() {
      const layer = Store.layerMemory()
      const first = Context.get(yield* Layer.build(Layer.fresh(layer)), Store.Store)
      const second = Context.get(yield* Layer.build(Layer.fresh(layer)), Store.Store)
      yield* first.set(makeEntry("a"))
      assert.isUndefined(second.peek("a"))
    }))
})

// Expires at 1000, and may be served until 5000.
const stale = (options?: Partial<CacheEntry.Stored>) =>
  makeEntry("a", { body: "stale", expiresAt: 1000, terms: makeTerms(1000, { staleUntil: 5000 }), ...options })

const read = (usedAt: number) => makeIdle("a", 60_000, usedAt)

describe("layerTiered", () => {
  // The two tiers, each of them watched, and the store that they make.
  const tiers = Effect.gen(function*() {
    const near = yield* Layer.build(Layer.orDie(FaultyStore.layer(Store.layerMemory({ maxEntries: 2 }))))
    const far = yield* Layer.build(Layer.orDie(FaultyStore.layer(Store.layerMemory())))
    const both = Store.layerTiered({
      near: Layer.succeed(Store.Store)(Context.get(near, Store.Store)),
      far: Layer.succeed(Store.Store)(Context.get(far, Store.Store))
    })
    return {
      near: Context.get(near, Store.Store),
      nearFaults: Context.get(near, FaultyStore.FaultyStore),
      far: Context.get(far, Store.Store),
      farFaults: Context.get(far, FaultyStore.FaultyStore),
      store: Context.get(yield* Layer.build(both), Store.Store)
    }
  })

  it.effect("writes to both tiers and removes from both", () =>
    Effect.gen(function*() {
      const { far, near, store } = yield* tiers
      yield* store.set(makeEntry("a"))
      assert.isDefined(yield* near.get("a"))
      assert.isDefined(yield* far.get("a"))
      yield* store.remove("a")
      assert.isUndefined(yield* near.get("a"))
      assert.isUndefined(yield* far.get("a"))
      yield* store.set(makeEntry("a"))
      yield* store.clear
      assert.isUndefined(yield* near.get("a"))
      assert.isUndefined(yield* far.get("a"))
    }))

  it.effect("copies to the near tier what it finds in the far one", () =>
    Effect.gen(function*() {
      const { far, near, store } = yield* tiers
      yield* far.set(makeEntry("a"))
      assert.isDefined(yield* store.get("a"))
      assert.isDefined(yield* near.get("a"))
    }))

  it.effect("gives the entry of the later position, wherever it is", () =>
    Effect.gen(function*() {
      const { far, near, store } = yield* tiers
      yield* near.set(makeEntry("a", { position: 10, body: "old" }))
      yield* far.set(makeEntry("a", { position: 11, body: "new" }))
      assert.deepStrictEqual(
        storedPart((yield* store.get("a"))!),
        storedPart(makeEntry("a", { position: 11, body: "new" }))
      )
      assert.deepStrictEqual((yield* near.get("a"))?.body, "new")
      yield* near.set(makeEntry("a", { position: 12, body: "newest" }))
      assert.deepStrictEqual((yield* store.get("a"))?.body, "newest")
    }))

  it.effect("gives what another process stored in the place of an expired entry, or later", () =>
    Effect.gen(function*() {
      const { far, near, store } = yield* tiers
      yield* near.set(makeEntry("a", { body: "old", createdAt: 0, expiresAt: 1000 }))
      yield* far.set(makeEntry("a", { body: "later", createdAt: 500, expiresAt: 5000 }))
      assert.strictEqual((yield* store.get("a"))?.body, "later")
      yield* near.remove("a")
      yield* near.set(makeEntry("a", { body: "old", position: 12, expiresAt: 1000 }))
      assert.strictEqual((yield* store.get("a"))?.body, "old", "of a later position, as long as it lasts")
      yield* TestClock.adjust(1000)
      assert.strictEqual((yield* store.get("a"))?.body, "later")
      assert.strictEqual((yield* near.get("a"))?.body, "later")
    }))

  describe("of what has expired", () => {
    const bodies = Effect.fnUntraced(function*(
      one: CacheEntry.CacheEntry | undefined,
      other: CacheEntry.CacheEntry | undefined
    ) {
      const { far, near, store } = yield* tiers
      if (one !== undefined) yield* near.set(one)
      if (other !== undefined) yield* far.set(other)
      const given = (yield* store.get("a"))?.body
      return [given, (yield* near.get("a"))?.body, (yield* far.get("a"))?.body]
    })

    it.effect("keeps and gives the near one where the far tier has none", () =>
      Effect.gen(function*() {
        yield* TestClock.adjust(2000)
        assert.deepStrictEqual(yield* bodies(stale(), undefined), ["stale", "stale", undefined])
      }))

    it.effect("copies the far one to the near tier where that has none", () =>
      Effect.gen(function*() {
        yield* TestClock.adjust(2000)
        assert.deepStrictEqual(yield* bodies(undefined, stale()), ["stale", "stale", "stale"])
      }))

    it.effect("gives a fresh one rather than a stale one, whichever is newer", () =>
      Effect.gen(function*() {
        yield* TestClock.adjust(2000)
        const fresh = makeEntry("a", { body: "fresh" })
        assert.deepStrictEqual(yield* bodies(stale(), fresh), ["fresh", "fresh", "fresh"])
        // The other one may be invalid, which only the cache knows.
        assert.deepStrictEqual(yield* bodies(stale({ position: 11, createdAt: 500 }), fresh), [
          "fresh",
          "stale",
          "fresh"
        ])
        assert.deepStrictEqual(yield* bodies(fresh, stale({ position: 11 })), ["fresh", "fresh", "stale"])
      }))

    it.effect("gives a stale one rather than one that is over", () =>
      Effect.gen(function*() {
        yield* TestClock.adjust(2000)
        const over = makeEntry("a", { body: "over", position: 11, expiresAt: 1500 })
        assert.deepStrictEqual(yield* bodies(stale(), over), ["stale", "stale", "over"])
        assert.deepStrictEqual(yield* bodies(over, stale()), ["stale", "stale", "stale"])
      }))

    it.effect("gives the newer of two stale ones", () =>
      Effect.gen(function*() {
        yield* TestClock.adjust(2000)
        const newer = stale({ body: "newer", createdAt: 5 })
        assert.deepStrictEqual(yield* bodies(stale(), newer), ["newer", "newer", "newer"])
        assert.deepStrictEqual(yield* bodies(newer, stale()), ["newer", "newer", "stale"])
        assert.deepStrictEqual(yield* bodies(stale({ body: "later", position: 11 }), newer), [
          "later",
          "later",
          "newer"
        ])
      }))

    it.effect("gives what another process has read rather than what nobody reads here (scenario 35)", () =>
      Effect.gen(function*() {
        yield* TestClock.adjust(2000)
        const unread = makeIdle("a", 1000, 0, { body: "unread" })
        const read = makeIdle("a", 1000, 1500, { body: "read" })
        assert.deepStrictEqual(yield* bodies(unread, read), ["read", "read", "read"])
      }))
  })

  it.effect("finds in the far tier what the near one evicted", () =>
    Effect.gen(function*() {
      const { near, store } = yield* tiers
      for (const key of ["a", "b", "c"]) yield* store.set(makeEntry(key))
      assert.isUndefined(yield* near.get("a"))
      assert.isDefined(yield* store.get("a"))
    }))

  it.effect("stores where at least one tier has room", () =>
    Effect.gen(function*() {
      const large = makeEntry("k", { body: "x".repeat(5_000) })
      const set = (near: number, far: number) =>
        Effect.gen(function*() {
          const store = yield* Store.Store
          const result = yield* store.set(large)
          return [result, (yield* store.get("k")) !== undefined]
        }).pipe(Effect.provide(Store.layerTiered({
          near: Store.layerMemory({ maxBytes: near }),
          far: Store.layerMemory({ maxBytes: far })
        })))
      assert.deepStrictEqual(yield* set(1_000, 10_000), ["stored", true])
      assert.deepStrictEqual(yield* set(10_000, 1_000), ["stored", true])
      assert.deepStrictEqual(yield* set(1_000, 1_000), ["too-large", false])
    }))

  describe("that is told of a read", () => {
    const bytes = ByteStore.layerMemory().pipe(Layer.provide(Codec.layerJson))

    // Two tiers that remember by themselves when an entry was read.
    const remembering = Effect.gen(function*() {
      const faulty = Effect.map(Layer.build(Layer.fresh(FaultyStore.layer(bytes))), (context) => ({
        store: Context.get(context, Store.Store),
        faults: Context.get(context, FaultyStore.FaultyStore)
      }))
      const [near, far] = [yield* faulty, yield* faulty]
      const both = Store.layerTiered({
        near: Layer.succeed(Store.Store)(near.store),
        far: Layer.succeed(Store.Store)(far.store)
      })
      const store = Context.get(yield* Layer.build(both), Store.Store)
      const usedAt = Effect.forEach(
        [near, far],
        (tier) => Effect.map(tier.store.get("a"), (entry) => entry?.usedAt)
      )
      return { near: near.faults, far: far.faults, store, usedAt }
    })

    it.effect("tells both tiers, and the object in front stays the same", () =>
      Effect.gen(function*() {
        const far = Context.get(yield* Layer.build(bytes), Store.Store)
        const store = Context.get(
          yield* Layer.build(Store.layerTiered({
            near: Store.layerMemory(),
            far: Layer.succeed(Store.Store)(far)
          })),
          Store.Store
        )
        yield* far.set(read(0))
        const entry = (yield* store.get("a"))!
        entry.etag = "\"1\""
        CacheEntry.use(entry, 10_000)
        yield* store.touch(entry)
        assert.strictEqual(store.peek("a"), entry)
        assert.strictEqual(store.peek("a")?.etag, "\"1\"")
        assert.strictEqual((yield* far.get("a"))?.usedAt, 10_000)
      }))

    it.effect("tells each tier that keeps the time of it", () =>
      Effect.gen(function*() {
        const { store, usedAt } = yield* remembering
        yield* store.set(read(0))
        yield* store.touch(read(10_000))
        assert.deepStrictEqual(yield* usedAt, [10_000, 10_000])
      }))

    it.effect("tells the one tier although the other fails, and says that it failed", () =>
      Effect.gen(function*() {
        const { far, near, store, usedAt } = yield* remembering
        yield* store.set(read(0))
        yield* near.become("failing")
        assert.strictEqual((yield* Effect.flip(store.touch(read(10_000)))).reason._tag, "StoreError")
        yield* near.become("healthy")
        assert.deepStrictEqual(yield* usedAt, [0, 10_000])
        yield* far.become("failing")
        assert.strictEqual((yield* Effect.flip(store.touch(read(20_000)))).reason._tag, "StoreError")
        yield* far.become("healthy")
        assert.deepStrictEqual(yield* usedAt, [20_000, 10_000])
      }))

    it.effect("tells the far tier although the near one has a bug", () =>
      Effect.gen(function*() {
        const { near, store, usedAt } = yield* remembering
        yield* store.set(read(0))
        yield* near.become("dying")
        assert.isTrue(Exit.hasDies(yield* Effect.exit(store.touch(read(10_000)))))
        yield* near.become("healthy")
        assert.deepStrictEqual(yield* usedAt, [0, 10_000])
      }))
  })

  it.effect("removes from the far tier although the near one fails", () =>
    Effect.gen(function*() {
      const { far, nearFaults, store } = yield* tiers
      yield* store.set(makeEntry("a"))
      yield* nearFaults.become("failing")
      const error = yield* Effect.flip(store.remove("a"))
      assert.strictEqual(error.reason._tag, "StoreError")
      assert.isUndefined(yield* far.get("a"))
    }))

  it.effect("says that a tier failed", () =>
    Effect.gen(function*() {
      const { farFaults, store } = yield* tiers
      yield* farFaults.become("failing")
      assert.strictEqual((yield* Effect.flip(store.get("a"))).reason._tag, "StoreError")
      assert.strictEqual((yield* Effect.flip(store.set(makeEntry("a")))).reason._tag, "StoreError")
      assert.strictEqual((yield* Effect.flip(store.remove("a"))).reason._tag, "StoreError")
    }))
})
