import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope, Stream } from "effect"
import {
  addDeps,
  Broadcaster,
  ByteStore,
  Cached,
  CacheEntry,
  clear,
  DependencyGraph,
  invalidate,
  ResultCache,
  Store
} from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest, FaultyBroadcaster, FaultyCodec, FaultyStore } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { makeEntry } from "./suites/entries.ts"
import { faulty, start } from "./suites/worlds.ts"

// What went wrong, one line each: the event, and of which operation and kind the error is.
const faults = CacheTest.CacheTest.use((test) =>
  Effect.map(test.events, (events) =>
    events.flatMap((event) => {
      if (event._tag !== "StoreFailed" && event._tag !== "Undecodable") return []
      const { reason } = event.error
      switch (reason._tag) {
        case "StoreError":
          return [`${event._tag} ${reason._tag} ${reason.operation}`]
        case "TimeoutError":
          return [`${event._tag} ${reason._tag} ${reason.operation}`]
        case "CodecError":
          return [`${event._tag} ${reason._tag} ${reason.problem}`]
        default:
          return [`${event._tag} ${reason._tag}`]
      }
    }))
)

const rejected = CacheTest.CacheTest.use((test) =>
  Effect.map(test.events, (events) => events.flatMap((event) => event._tag === "Rejected" ? [event.reason] : []))
)

// Counts its runs.
const counter = (deps: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    let runs = 0
    const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => deps }, () => Effect.sync(() => ++runs))
    return { fn, read: fn(), runs: () => runs }
  })

const key = "fn\t{}"

// Any error of the library.
const cacheError = invalidate("::").pipe(Effect.provide(ResultCache.CacheLive))

describe("A store that is down (scenario 45)", () => {
  it.effect.each(["failing", "dying"] as const)(
    "costs nobody the value, is reported, and recovers by itself: %s",
    (mode) =>
      Effect.gen(function*() {
        const store = yield* FaultyStore.FaultyStore
        const { read } = yield* counter()
        yield* store.become(mode)
        assert.strictEqual(yield* read, 1)
        assert.strictEqual(yield* read, 2)
        assert.deepStrictEqual(yield* faults, [
          "StoreFailed StoreError get",
          "StoreFailed StoreError set",
          "StoreFailed StoreError get",
          "StoreFailed StoreError set"
        ])
        yield* store.become("healthy")
        assert.strictEqual(yield* read, 3)
        assert.strictEqual(yield* read, 3)
      }).pipe(Effect.provide(faulty()))
  )

  it.effect.each(["failing", "dying"] as const)("after it held the value: %s", (mode) =>
    Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      const { read } = yield* counter()
      assert.strictEqual(yield* read, 1)
      yield* store.become(mode)
      assert.strictEqual(yield* read, 2)
      yield* store.become("healthy")
      assert.include([1, 2], yield* read)
    }).pipe(Effect.provide(faulty())))

  it.effect("and that even throws, instead of failing, is the same as one that fails", () =>
    Effect.gen(function*() {
      const inner = yield* Store.Store
      const broken = Store.Store.of({
        ...inner,
        remote: true,
        peek: () => undefined,
        get: () => {
          throw new Error("a bug in get")
        },
        set: () => {
          throw new Error("a bug in set")
        }
      })
      const cache = yield* ResultCache.make().pipe(Effect.provideService(Store.Store, broken))
      const { read } = yield* counter().pipe(Effect.provideService(ResultCache.ResultCache, cache))
      assert.strictEqual(yield* read, 1)
      assert.strictEqual(yield* read, 2)
      assert.strictEqual((yield* cache.counts).StoreFailed, 4)
    }).pipe(Effect.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal])))

  it.effect.each(["failing", "dying", "hanging"] as const)(
    "does not make many callers many executions: %s",
    (mode) =>
      Effect.gen(function*() {
        const store = yield* FaultyStore.FaultyStore
        const gate = yield* Deferred.make<void>()
        let runs = 0
        const fn = yield* Cached.make(
          "fn",
          { success: Schema.Number },
          () => Effect.andThen(Deferred.await(gate), Effect.sync(() => ++runs))
        )
        yield* store.become(mode)
        const waiting = yield* Effect.forEach(Array.from({ length: 100 }), () => start(fn()))
        yield* TestClock.adjust("1 second")
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(new Set(yield* Fiber.joinAll(waiting)), new Set([1]))
        assert.strictEqual(runs, 1)
      }).pipe(Effect.provide(faulty()))
  )
})

describe("A store that hangs (scenario 45)", () => {
  it.effect.each([undefined, "50 millis"] as const)(
    "when it is read, delays the caller by its time limit and no longer: %s",
    (storeTimeout) =>
      Effect.gen(function*() {
        const limit = storeTimeout === undefined ? 1000 : 50
        const store = yield* FaultyStore.FaultyStore
        const { read, runs } = yield* counter()
        yield* store.become("hanging")
        const caller = yield* start(read)
        yield* TestClock.adjust(limit - 1)
        assert.isUndefined(caller.pollUnsafe())
        assert.strictEqual(runs(), 0)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Fiber.join(caller), 1)
        assert.deepStrictEqual(yield* faults, ["StoreFailed TimeoutError Store.get"])
        yield* TestClock.adjust(limit)
        assert.deepStrictEqual(yield* faults, [
          "StoreFailed TimeoutError Store.get",
          "StoreFailed TimeoutError Store.set"
        ])
        yield* store.become("healthy")
        assert.strictEqual(yield* read, 2)
        assert.strictEqual(yield* read, 2)
      }).pipe(Effect.provide(faulty({ storeTimeout })))
  )

  it.effect("when it is written, delays nobody, and who comes meanwhile is given the value", () =>
    Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      const started = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.gen(function*() {
          yield* Deferred.succeed(started, undefined)
          yield* Deferred.await(gate)
          return ++runs
        }))
      const caller = yield* start(fn())
      yield* Deferred.await(started)
      yield* store.become("hanging")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(caller), 1)
      assert.strictEqual(yield* fn(), 1)
      assert.strictEqual(yield* fn(), 1)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* fn(), 1)
      assert.deepStrictEqual(yield* faults, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* faults, ["StoreFailed TimeoutError Store.set"])
      assert.deepStrictEqual(yield* CacheTest.CacheTest.use((test) => test.stored), [])
      yield* store.become("healthy")
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(faulty())))

  it.effect("when it is written, does not keep the value from being invalidated", () =>
    Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => ["a"] }, () =>
        Effect.gen(function*() {
          yield* store.become("hanging")
          return ++runs
        }))
      assert.strictEqual(yield* fn(), 1)
      yield* invalidate("a")
      yield* store.become("healthy")
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(faulty())))

  it.effect("is let go when the only caller leaves", () =>
    Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      const { read, runs } = yield* counter()
      yield* store.become("hanging")
      const caller = yield* start(read)
      yield* Fiber.interrupt(caller)
      yield* store.become("healthy")
      assert.strictEqual(yield* read, 1)
      assert.strictEqual(runs(), 1)
      assert.deepStrictEqual(yield* faults, [])
    }).pipe(Effect.provide(faulty())))

  it.effect.each(
    [["hangs", Effect.never], ["dies", Effect.die(new Error("a bug"))]] as const
  )(
    "or dies when it is cleared does not keep clear from ending everything: it %s",
    ([, cleared]) =>
      Effect.gen(function*() {
        const inner = yield* Store.Store
        const cache = yield* ResultCache.make().pipe(
          Effect.provideService(Store.Store, Store.Store.of({ ...inner, remote: true, clear: cleared }))
        )
        const { read } = yield* counter().pipe(Effect.provideService(ResultCache.ResultCache, cache))
        assert.strictEqual(yield* read, 1)
        const clearing = yield* start(cache.clear)
        assert.strictEqual(yield* read, 2, "it ends everything before the store has answered")
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(clearing)
        assert.strictEqual(yield* read, 2)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* cache.counts).StoreFailed, 1)
      }).pipe(Effect.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal]))
  )
})

describe("A store that is slow (scenario 45)", () => {
  it.effect("but within its time limit is waited for, and its entry is served", () =>
    Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      const { read } = yield* counter()
      assert.strictEqual(yield* read, 1)
      yield* store.become("slow")
      const callers = [yield* start(read), yield* start(read)] as const
      yield* TestClock.adjust("999 millis")
      yield* store.release
      assert.deepStrictEqual(yield* Fiber.joinAll(callers), [1, 1])
      assert.deepStrictEqual(yield* faults, [])
    }).pipe(Effect.provide(faulty())))

  it.effect("does not give what was invalidated while it was read", () =>
    Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      const { read } = yield* counter(["a"])
      assert.strictEqual(yield* read, 1)
      yield* store.become("slow")
      const caller = yield* start(read)
      yield* invalidate("a")
      yield* store.become("healthy")
      yield* store.release
      assert.strictEqual(yield* Fiber.join(caller), 2)
      // It began before the invalidation, so what it computed is not kept either.
      assert.deepStrictEqual([yield* read, yield* read], [3, 3])
    }).pipe(Effect.provide(faulty())))
})

describe("A store that takes long to be cleared", () => {
  // One entry each time, as a large store is cleared page by page.
  const slowlyCleared = Effect.fnUntraced(function*(millisEach: number) {
    const bytes = Context.get(
      yield* Layer.build(ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer()))),
      Store.Store
    )
    const remove = Effect.fnUntraced(function*(key: string) {
      yield* Effect.sleep(millisEach)
      yield* bytes.remove(key)
    })
    const store = Store.Store.of({
      ...bytes,
      remote: true,
      clear: Stream.runForEach(bytes.entries, ({ key }) => remove(key))
    })
    const services = yield* Layer.build(
      CacheTest.layerWith().pipe(
        Layer.provide([Layer.succeed(Store.Store)(store), DependencyGraph.layer(), Broadcaster.layerLocal])
      )
    )
    const fn = yield* Effect.provide(
      Cached.make("fn", { input: { n: Schema.Number }, success: Schema.Number }, ({ n }) => Effect.succeed(n)),
      services
    )
    for (let n = 0; n < 10; n++) yield* fn({ n })
    return {
      clearing: yield* start(Effect.provide(clear, services)),
      left: Effect.map(Stream.runCollect(bytes.entries), (entries) => entries.length),
      faults: Effect.provide(faults, services)
    }
  })

  it.effect("is cleared to its end, though who asked is answered as soon as after any other delay", () =>
    Effect.gen(function*() {
      const { clearing, faults, left } = yield* slowlyCleared(900)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(clearing)
      assert.strictEqual(yield* left, 9)
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual([yield* left, yield* faults], [0, []])
    }))

  it.effect("is cleared to its end, though who asked has left", () =>
    Effect.gen(function*() {
      const { clearing, faults, left } = yield* slowlyCleared(900)
      yield* Fiber.interrupt(clearing)
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual([yield* left, yield* faults], [0, []])
    }))

  it.effect("is cleared for a minute at most, and it is reported that something is left", () =>
    Effect.gen(function*() {
      const { faults, left } = yield* slowlyCleared(25_000)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual([yield* left, yield* faults], [8, ["StoreFailed TimeoutError Store.clear"]])
    }))
})

describe("A store that is full (scenario 45)", () => {
  it.effect("costs nobody the value, and it is reported", () =>
    Effect.gen(function*() {
      let runs = 0
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.String },
        () => Effect.sync(() => `${++runs}`.repeat(10_000))
      )
      assert.strictEqual(yield* fn(), "1".repeat(10_000))
      assert.strictEqual(yield* fn(), "2".repeat(10_000))
      assert.deepStrictEqual(yield* rejected, ["too-large", "too-large"])
    }).pipe(Effect.provide(
      CacheTest.layerWith().pipe(
        Layer.provide([Store.layerMemory({ maxBytes: 5_000 }), DependencyGraph.layer(), Broadcaster.layerLocal])
      )
    )))
})

// Puts another body into the entry that is stored.
const corrupt = (body: string) =>
  Effect.gen(function*() {
    const store = yield* Store.Store
    const entry = yield* store.get(key)
    yield* store.remove(key)
    yield* store.set(makeEntry(key, { ...CacheEntry.stored(entry!), body }))
  })

describe("An entry that cannot be used", () => {
  it.effect.each(["not JSON", "\"another type\"", "null", ""])(
    "is reported, computed anew and replaced: %s",
    (body) =>
      Effect.gen(function*() {
        const { read, runs } = yield* counter()
        assert.strictEqual(yield* read, 1)
        yield* corrupt(body)
        assert.strictEqual(yield* read, 2)
        assert.deepStrictEqual(yield* faults, ["Undecodable CodecError malformed"])
        assert.strictEqual(yield* read, 2)
        assert.strictEqual(runs(), 2)
      }).pipe(Effect.provide(faulty()))
  )

  it.effect("is computed once for all who find it at the same time", () =>
    Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      const { read, runs } = yield* counter()
      assert.strictEqual(yield* read, 1)
      yield* corrupt("not JSON")
      yield* store.become("slow")
      const callers = yield* Effect.forEach(Array.from({ length: 20 }), () => start(read))
      yield* store.become("healthy")
      yield* store.release
      assert.deepStrictEqual(new Set(yield* Fiber.joinAll(callers)), new Set([2]))
      assert.strictEqual(runs(), 2)
    }).pipe(Effect.provide(faulty())))

  it.effect.each(["failing", "dying", "hanging"] as const)(
    "is computed anew although the store does not let go of it: %s",
    (mode) =>
      Effect.gen(function*() {
        const inner = yield* Store.Store
        const ways = {
          failing: Effect.fail(yield* Effect.flip(cacheError)),
          dying: Effect.die(new Error("a bug")),
          hanging: Effect.never
        }
        const cache = yield* ResultCache.make().pipe(
          Effect.provideService(
            Store.Store,
            Store.Store.of({
              ...inner,
              remote: true,
              peek: () => undefined,
              remove: () => ways[mode]
            })
          )
        )
        const { read } = yield* counter().pipe(Effect.provideService(ResultCache.ResultCache, cache))
        assert.strictEqual(yield* read, 1)
        yield* corrupt("not JSON")
        const caller = yield* start(read)
        // Once for each attempt to be rid of it.
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(caller), 2)
        const { StoreFailed, Undecodable } = yield* cache.counts
        assert.isAtLeast(Undecodable, 1)
        assert.isAtLeast(StoreFailed, 1)
      }).pipe(Effect.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal]))
  )

  it.effect("because it is that of another key, or of other schemas, is not served", () =>
    Effect.gen(function*() {
      const inner = yield* Store.Store
      let change: Partial<CacheEntry.Stored> = {}
      const store = Store.Store.of({
        ...inner,
        remote: true,
        peek: () => undefined,
        get: (key) =>
          Effect.map(inner.get(key), (entry) => entry && makeEntry(key, { ...CacheEntry.stored(entry), ...change }))
      })
      const cache = yield* ResultCache.make().pipe(Effect.provideService(Store.Store, store))
      const { read } = yield* counter().pipe(Effect.provideService(ResultCache.ResultCache, cache))
      assert.deepStrictEqual([yield* read, yield* read], [1, 1])
      change = { key: "fn\t{\"n\":1}" }
      assert.strictEqual(yield* read, 2)
      change = { fingerprint: "another" }
      assert.strictEqual(yield* read, 3)
    }).pipe(Effect.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal])))
})

describe("A codec that is broken", () => {
  const layer = CacheTest.layerWith().pipe(
    Layer.provideMerge(ByteStore.layerMemory()),
    Layer.provideMerge(FaultyCodec.layer(MsgPackCodec.layer())),
    Layer.provide([DependencyGraph.layer(), Broadcaster.layerLocal])
  )

  it.effect("costs nobody the value, is reported, and recovers by itself", () =>
    Effect.gen(function*() {
      const codec = yield* FaultyCodec.FaultyCodec
      const { read } = yield* counter()
      yield* codec.become("failing")
      assert.deepStrictEqual([yield* read, yield* read], [1, 2])
      assert.deepStrictEqual(yield* faults, ["Undecodable CodecError encode", "Undecodable CodecError encode"])
      yield* codec.become("healthy")
      assert.deepStrictEqual([yield* read, yield* read], [3, 3])
      yield* codec.become("failing")
      assert.strictEqual(yield* read, 4)
      assert.include(yield* faults, "Undecodable CodecError malformed")
    }).pipe(Effect.provide(layer)))

  it.effect("and changes a bit of what it writes: it is not served, and replaced", () =>
    Effect.gen(function*() {
      const codec = yield* FaultyCodec.FaultyCodec
      const { read } = yield* counter()
      yield* codec.become("corrupting")
      assert.deepStrictEqual([yield* read, yield* read], [1, 2])
      yield* codec.become("healthy")
      assert.deepStrictEqual([yield* read, yield* read], [3, 3])
      assert.deepStrictEqual(yield* faults, ["Undecodable CodecError checksum", "Undecodable CodecError checksum"])
    }).pipe(Effect.provide(layer)))
})

describe("A malformed tag", () => {
  it.effect("of a value that was read keeps what is made of it from being stored", () =>
    Effect.gen(function*() {
      let runs = 0
      const inner = yield* Cached.make("inner", { success: Schema.Number }, () => Effect.as(addDeps("a", "::"), 1))
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.Number },
        () => Effect.map(inner(), () => ++runs)
      )
      assert.deepStrictEqual([yield* outer(), yield* outer()], [1, 2])
      assert.deepStrictEqual(yield* rejected, ["tag", "tag", "tag", "tag"])
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("A log that is in trouble", () => {
  const share = Effect.gen(function*() {
    const gate = yield* Deferred.make<void>()
    let runs = 0
    const fn = yield* Cached.make(
      "shared",
      { success: Schema.Number, deps: () => ["a"] },
      () => Effect.andThen(Deferred.await(gate), Effect.sync(() => ++runs))
    )
    return Effect.gen(function*() {
      const waiting = yield* Effect.forEach(Array.from({ length: 100 }), () => start(fn()))
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(new Set(yield* Fiber.joinAll(waiting)), new Set([1]))
      assert.strictEqual(runs, 1)
      assert.strictEqual(yield* fn(), 2, "and nothing is stored")
    })
  })

  it.effect("and did not take an invalidation: many callers are still one execution", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      const shared = yield* share
      yield* log.become("failing")
      assert.strictEqual((yield* Effect.flip(invalidate("a"))).reason._tag, "LogError")
      yield* shared
    }).pipe(Effect.provide(faulty())))

  it.effect("and did not take a clear: many callers are still one execution", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      const shared = yield* share
      yield* log.become("failing")
      assert.strictEqual((yield* Effect.flip(clear)).reason._tag, "LogError")
      yield* shared
    }).pipe(Effect.provide(faulty())))

  it.effect("and is lost: many callers are still one execution", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      const shared = yield* share
      yield* log.inject({ _tag: "Lost", error: yield* Effect.flip(invalidate("::")) })
      yield* shared
    }).pipe(Effect.provide(faulty())))

  it.effect("and takes its time: what is asked for meanwhile is computed, not stored, and stored again afterwards", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      const { read } = yield* counter(["a"])
      assert.strictEqual(yield* read, 1)
      yield* log.become("slow")
      const cache = yield* ResultCache.ResultCache
      const one = yield* start(cache.invalidate(["a"]))
      const other = yield* start(cache.invalidate(["a", "b"]))
      assert.deepStrictEqual([yield* read, yield* read], [2, 3])
      yield* log.release
      yield* Fiber.joinAll([one, other])
      assert.deepStrictEqual([yield* read, yield* read], [4, 4])
    }).pipe(Effect.provide(faulty())))

  it.effect.each(["dies", "throws"] as const)(
    "and %s: the tags stay invalid until a later record covers them",
    (how) =>
      Effect.gen(function*() {
        const inner = yield* Broadcaster.Broadcaster
        let broken = true
        const log = Broadcaster.Broadcaster.of({
          ...inner,
          append: (tags) => {
            if (!broken) return inner.append(tags)
            if (how === "dies") return Effect.die(new Error("a bug"))
            throw new Error("a bug")
          }
        })
        const cache = yield* ResultCache.make().pipe(Effect.provideService(Broadcaster.Broadcaster, log))
        const { read } = yield* counter(["a"]).pipe(Effect.provideService(ResultCache.ResultCache, cache))
        assert.strictEqual(yield* read, 1)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(cache.invalidate(["a"]))))
        assert.deepStrictEqual([yield* read, yield* read], [2, 3])
        broken = false
        yield* cache.invalidate(["a"])
        assert.deepStrictEqual([yield* read, yield* read], [4, 4])
      }).pipe(Effect.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal]))
  )
})

describe("A cache whose layer was released", () => {
  it.effect("serves nothing that it held, and takes no invalidation", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const services = yield* Effect.context<Store.Store | DependencyGraph.DependencyGraph | Broadcaster.Broadcaster>()
      const built = yield* Layer.buildWithScope(
        Layer.provide(ResultCache.layer(), Layer.succeedContext(services)),
        scope
      )
      const cache = Context.get(built, ResultCache.ResultCache)
      const { read, runs } = yield* Effect.provide(counter(), built)
      assert.deepStrictEqual([yield* read, yield* read], [1, 1])
      const store = yield* Store.Store
      const entry = store.peek(key)!
      assert.strictEqual(cache.peek(key, entry.fingerprint), entry)
      yield* Scope.close(scope, Exit.void)
      assert.isUndefined(cache.peek(key, entry.fingerprint))
      assert.strictEqual((yield* Effect.flip(cache.invalidate(["a"]))).reason._tag, "LogError")
      assert.strictEqual((yield* Effect.flip(cache.clear)).reason._tag, "LogError")
      const late = yield* Effect.exit(read)
      assert.isFalse(Exit.isSuccess(late) && late.value === 1)
      assert.isAtMost(runs(), 2)
    }).pipe(Effect.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal])))
})
