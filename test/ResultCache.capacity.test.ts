import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Fiber, Layer, Schema, Stream } from "effect"
import {
  Broadcaster,
  ByteStore,
  Cached,
  CacheEntry,
  type CacheEvent,
  DependencyGraph,
  invalidate,
  ResultCache,
  Store
} from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { start } from "./suites/worlds.ts"

const counts = ResultCache.ResultCache.use((cache) => cache.counts)

const bytes = (options?: Store.MemoryOptions) =>
  ByteStore.layerMemory(options).pipe(Layer.provide(MsgPackCodec.layer()))

const stores: ReadonlyArray<
  readonly [name: string, layer: (options?: Store.MemoryOptions) => Layer.Layer<Store.Store, unknown>]
> = [
  ["live values", Store.layerMemory],
  ["bytes", bytes],
  ["two tiers", (options) => Store.layerTiered({ near: Store.layerMemory(options), far: bytes(options) })]
]

const cacheOf = (store: Layer.Layer<Store.Store, unknown>, maxMarks?: number) =>
  CacheTest.layerWith().pipe(
    Layer.provideMerge([store, DependencyGraph.layer(maxMarks === undefined ? {} : { maxMarks })]),
    Layer.provide(Broadcaster.layerLocal),
    Layer.orDie
  )

// Gives a text of some length, and counts how often each was made.
const texts = Effect.gen(function*() {
  const runs = new Map<number, number>()
  const text = yield* Cached.make(
    "text",
    {
      input: { n: Schema.Number, length: Schema.Number },
      success: Schema.String,
      deps: ({ n }) => [`text:${n}`]
    },
    ({ length, n }) =>
      Effect.sync(() => {
        runs.set(n, (runs.get(n) ?? 0) + 1)
        // Nothing that could be compressed.
        let made = ""
        for (let state = n + 1; made.length < length;) {
          state = (state * 48_271) % 2_147_483_647
          made += state.toString(36)
        }
        return made.slice(0, length)
      })
  )
  return { runs, text: (n: number, length = 10) => text({ n, length }) }
})

const kept = Effect.flatMap(
  Store.Store,
  (store) =>
    Effect.map(
      Stream.runCollect(store.entries),
      (entries) => entries.map(({ key }) => Number(/"n":(\d+)/.exec(key)![1])).toSorted((a, b) => a - b)
    )
)

const ofKind = (kind: CacheEvent.CacheEvent["_tag"]) =>
  CacheTest.CacheTest.use((test) => Effect.map(test.events, (events) => events.filter(({ _tag }) => _tag === kind)))

describe.each(stores)("A bound, in a store of %s (scenario 40)", (_, store) => {
  it.effect("of entries holds, and the recently used survive", () =>
    Effect.gen(function*() {
      const { runs, text } = yield* texts
      for (let n = 0; n < 100; n++) {
        yield* text(n)
        // Used again and again, so never the one that was used least recently.
        yield* text(0)
      }
      assert.strictEqual((yield* kept).length, 10)
      for (const n of [0, 91, 92, 93, 94, 95, 96, 97, 98, 99]) {
        yield* text(n)
        assert.strictEqual(runs.get(n), 1)
      }
      yield* text(50)
      assert.strictEqual(runs.get(50), 2)
      assert.isAtLeast((yield* counts).Evicted, 91)
      assert.strictEqual((yield* counts).Expired, 0)
    }).pipe(Effect.provide(cacheOf(store({ maxEntries: 10 })))))

  it.effect("of bytes holds, and the recently used survive", () =>
    Effect.gen(function*() {
      const { runs, text } = yield* texts
      for (let n = 0; n < 100; n++) {
        yield* text(n, 1000)
        yield* text(0, 1000)
      }
      const left = yield* kept
      assert.isAtLeast(left.length, 4)
      assert.isAtMost(left.length, 9)
      for (const n of [0, 97, 98, 99]) {
        yield* text(n, 1000)
        assert.strictEqual(runs.get(n), 1)
      }
      yield* text(50, 1000)
      assert.strictEqual(runs.get(50), 2)
      assert.isAtLeast((yield* counts).Evicted, 91)
    }).pipe(Effect.provide(cacheOf(store({ maxBytes: 10_000 })))))

  it.effect("is not broken by a result that alone is larger: it is returned, not stored, and reported", () =>
    Effect.gen(function*() {
      const { runs, text } = yield* texts
      for (let n = 0; n < 3; n++) yield* text(n)
      for (const run of [1, 2]) {
        assert.strictEqual((yield* text(3, 20_000)).length, 20_000)
        assert.strictEqual(runs.get(3), run)
      }
      assert.deepStrictEqual(yield* kept, [0, 1, 2])
      const rejected = (yield* ofKind("Rejected")).map((event) => event._tag === "Rejected" && event.reason)
      assert.deepStrictEqual(rejected, ["too-large", "too-large"])
      assert.strictEqual((yield* counts).Evicted, 0)
      assert.strictEqual((yield* counts).Stored, 3)
    }).pipe(Effect.provide(cacheOf(store({ maxBytes: 10_000 })))))

  it.effect("is not broken by a refresh whose result has become too large, and the older result is gone", () =>
    Effect.gen(function*() {
      let length = 10
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.String },
        () =>
          Effect.sync(() =>
            Array.from({ length }, (_, n) => String.fromCodePoint(0x4e00 + (n * 7919) % 20_000)).join("")
          )
      )
      yield* fn()
      length = 20_000
      assert.strictEqual((yield* fn.refresh()).length, 20_000)
      assert.strictEqual((yield* fn()).length, 20_000)
      assert.strictEqual((yield* counts).Hit, 0)
    }).pipe(Effect.provide(cacheOf(store({ maxBytes: 10_000 })))))
})

describe("A bound of bytes", () => {
  it.effect("is kept to the byte, as CacheEntry.size counts it (scenario 40)", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      const { text } = yield* texts
      for (let n = 0; n < 200; n++) {
        yield* text(n, 37 * (n % 50))
        const size = (yield* Stream.runCollect(store.entries)).reduce((sum, entry) => sum + CacheEntry.size(entry), 0)
        assert.isAtMost(size, 10_000)
      }
    }).pipe(Effect.provide(cacheOf(Store.layerMemory({ maxBytes: 10_000 })))))
})

describe.each(stores)("An invalidated entry, in a store of %s (scenario 41)", (_, layer) => {
  const forgetMarks = Effect.forEach(Array.from({ length: 20 }, (_, n) => n), (n) => invalidate(`other:${n}`))

  it.effect("stays invalid though the record that ended it is forgotten", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      const { runs, text } = yield* texts
      yield* text(1)
      const old = (yield* Stream.runCollect(store.entries))[0]!
      yield* invalidate("text:1")
      yield* forgetMarks
      assert.isDefined(yield* store.get(old.key), "it is still in the store")
      yield* text(1)
      assert.strictEqual(runs.get(1), 2)
      yield* text(1)
      assert.strictEqual(runs.get(1), 2, "the new one is served")
    }).pipe(Effect.provide(cacheOf(layer(), 2))))

  it.effect("stays invalid though it was evicted and is put back", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      const { runs, text } = yield* texts
      yield* text(1)
      const old = (yield* store.get((yield* Stream.runCollect(store.entries))[0]!.key))!
      yield* invalidate("text:1")
      for (let n = 2; n < 10; n++) yield* text(n)
      assert.isUndefined(yield* store.get(old.key))
      for (const forgetting of [Effect.void, forgetMarks]) {
        yield* forgetting
        yield* store.remove(old.key)
        assert.strictEqual(yield* store.set(old), "stored")
        const before = runs.get(1)!
        yield* text(1)
        assert.strictEqual(runs.get(1), before + 1)
      }
    }).pipe(Effect.provide(cacheOf(layer({ maxEntries: 3 }), 2))))

  it.effect("stays invalid though it is written only after the record that ended it is forgotten", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => ["a"] }, () =>
        Effect.suspend(() => {
          const run = ++executions
          return run === 1 ? Effect.as(Deferred.await(gate), run) : Effect.succeed(run)
        }))
      const reader = yield* start(fn())
      yield* invalidate("a")
      yield* forgetMarks
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(reader), 1)
      assert.strictEqual(yield* fn(), 2)
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(cacheOf(layer(), 2))))
})

describe("Many tags (scenario 41)", () => {
  it.effect("that are invalidated in a cache, each of them once, leave the marks bounded", () =>
    Effect.gen(function*() {
      const graph = yield* DependencyGraph.DependencyGraph
      const cache = yield* ResultCache.ResultCache
      const { runs, text } = yield* texts
      const records = 200
      const perRecord = 50
      yield* text(1)
      const positions: Array<number> = []
      for (let record = 0; record < records; record++) {
        yield* cache.invalidate(Array.from({ length: perRecord }, (_, n) => `unique:${record * perRecord + n}`))
        positions.push(graph.position())
      }
      // Whatever is above the floor is remembered, tag by tag: 1 000 tags are the last 20 records.
      assert.isAtMost(positions.filter((position) => position > graph.floor()).length, 1000 / perRecord)
      assert.isAbove(graph.floor(), positions[records - 1000 / perRecord - 2]!)
      yield* text(1)
      assert.strictEqual(runs.get(1), 2, "older than what is remembered: computed again, to be on the safe side")
      yield* text(1)
      assert.strictEqual(runs.get(1), 2)
      yield* invalidate("text:1")
      yield* text(1)
      assert.strictEqual(runs.get(1), 3)
    }).pipe(Effect.provide(cacheOf(Store.layerMemory(), 1000))))

  it.effect("that entries carry leave nothing behind when the entries are gone", () =>
    Effect.gen(function*() {
      const graph = yield* DependencyGraph.DependencyGraph
      const { text } = yield* texts
      const revision = graph.revision()
      for (let n = 0; n < 5000; n++) yield* text(n)
      assert.strictEqual(graph.revision(), revision, "the graph was told nothing about any entry")
      assert.deepStrictEqual(yield* kept, Array.from({ length: 10 }, (_, n) => 4990 + n))
      assert.strictEqual((yield* counts).Evicted, 4990)
    }).pipe(Effect.provide(cacheOf(Store.layerMemory({ maxEntries: 10 })))))
})

describe.each(stores)("Expired entries that nobody reads, in a store of %s (scenario 42)", (_, store) => {
  const short = Cached.make(
    "short",
    { input: { n: Schema.Number }, success: Schema.Number, timeToLive: "10 seconds" },
    ({ n }) => Effect.succeed(n)
  )

  it.effect("are reclaimed and reported, and are in no list before", () =>
    Effect.gen(function*() {
      const call = yield* short
      const { text } = yield* texts
      for (let n = 0; n < 50; n++) yield* call({ n })
      yield* text(1000)
      assert.strictEqual((yield* kept).length, 51)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* kept, [1000])
      assert.strictEqual((yield* counts).Expired, 0, "the sweeper has not come by yet")
      yield* TestClock.adjust("50 seconds")
      assert.deepStrictEqual(yield* kept, [1000])
      const expired = new Set((yield* ofKind("Expired")).map((event) => "key" in event && event.key))
      assert.deepStrictEqual(expired, new Set(Array.from({ length: 50 }, (_, n) => `short\t{"n":${n}}`)))
      assert.strictEqual((yield* counts).Evicted, 0)
      const before = yield* counts
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(yield* counts, before, "each of them was reported once")
    }).pipe(Effect.provide(cacheOf(store({ sweepEvery: "1 minute" })))))

  it.effect("are reclaimed again after the store had been empty", () =>
    Effect.gen(function*() {
      const call = yield* short
      for (let round = 1; round <= 3; round++) {
        yield* call({ n: round })
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* kept, [])
        const keys = (yield* ofKind("Expired")).map((event) => "key" in event && event.key)
        assert.strictEqual(new Set(keys).size, round)
      }
    }).pipe(Effect.provide(cacheOf(store()))))
})

describe("The sweeper (scenario 42)", () => {
  // The clock of the test, which counts who sleeps by it.
  const counted = Effect.map(Clock.Clock, (clock) => {
    const sleeps: Array<number> = []
    const counting: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
      sleep: (...duration: Parameters<Clock.Clock["sleep"]>) => {
        sleeps.push(clock.currentTimeMillisUnsafe())
        return clock.sleep(...duration)
      }
    })
    return { counting, sleeps }
  })

  it.effect("sets no timer while nothing expires, and none when all is over", () =>
    Effect.gen(function*() {
      const { counting, sleeps } = yield* counted
      yield* Effect.gen(function*() {
        const { text } = yield* texts
        for (let n = 0; n < 100; n++) yield* text(n)
        assert.deepStrictEqual(sleeps, [])
        yield* TestClock.adjust("365 days")
        assert.deepStrictEqual(sleeps, [])
        const short = yield* Cached.make(
          "short",
          { success: Schema.Number, timeToLive: "1 second" },
          () => Effect.succeed(1)
        )
        yield* short()
        assert.strictEqual(sleeps.length, 1)
        yield* TestClock.adjust("365 days")
        assert.strictEqual((yield* counts).Expired, 1)
        assert.strictEqual(sleeps.length, 1)
      }).pipe(Effect.provide(cacheOf(Store.layerMemory())), Effect.provideService(Clock.Clock, counting))
    }))

  it.effect("comes by at most once in its time, however many entries expire one after the other", () =>
    Effect.gen(function*() {
      const { counting, sleeps } = yield* counted
      yield* Effect.gen(function*() {
        const short = yield* Cached.make(
          "short",
          {
            input: { n: Schema.Number },
            success: Schema.Number,
            timeToLive: (_, { n }) => 1000 * (1 + n)
          },
          ({ n }) => Effect.succeed(n)
        )
        for (let n = 0; n < 600; n++) yield* short({ n })
        assert.strictEqual(sleeps.length, 1)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual((yield* counts).Expired, 600)
        assert.isAtMost(sleeps.length, 11)
      }).pipe(Effect.provide(cacheOf(Store.layerMemory())), Effect.provideService(Clock.Clock, counting))
    }))

  it.effect("ends with its cache", () =>
    Effect.gen(function*() {
      const { counting, sleeps } = yield* counted
      yield* Effect.scoped(Effect.gen(function*() {
        const context = yield* Layer.build(cacheOf(Store.layerMemory()))
        const short = yield* Cached.make(
          "short",
          { success: Schema.Number, timeToLive: "1 second" },
          () => Effect.succeed(1)
        ).pipe(Effect.provide(context))
        yield* short()
        assert.isDefined(Context.get(context, Store.Store).peek("short\t{}"))
      })).pipe(Effect.provideService(Clock.Clock, counting))
      assert.strictEqual(sleeps.length, 1)
      yield* TestClock.adjust("365 days")
      assert.strictEqual(sleeps.length, 1)
    }))
})
