/**
 * Lifetimes where one thing meets another: processes with each other, reads with removals, computations with those behind them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Latch, Layer, Schema, Stream } from "effect"
import {
  Broadcaster,
  ByteStore,
  Cached,
  type CacheEvent,
  Codec,
  DependencyGraph,
  doNotStore,
  invalidate,
  Lease,
  Precompute,
  ResultCache,
  setLifetime,
  Store
} from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest, FaultyStore } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { Flight } from "../src/internal/flight.ts"
import { makeIdle, storedPart } from "./suites/entries.ts"
import {
  andSettle,
  eventsOf,
  isDone,
  makeSource,
  onEveryStore,
  rejectedFor,
  rows,
  type Source,
  staleBecause
} from "./suites/lifetimesSuite.ts"
import { answered, settled, shared, sharing } from "./suites/stores.ts"
import { start, Steps, worlds } from "./suites/worlds.ts"

const bytes = ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer()))

/** A cache in memory, in front of a store elsewhere whose faults a test decides. */
const inFront = CacheTest.layerWith().pipe(
  Layer.provideMerge(Layer.effectContext(Effect.gen(function*() {
    const faulty = yield* Layer.build(FaultyStore.layer(bytes))
    const far = Layer.succeed(Store.Store)(Context.get(faulty, Store.Store))
    const tiers = yield* Layer.build(Store.layerTiered({ near: Store.layerMemory(), far }))
    return Context.merge(faulty, tiers)
  }))),
  Layer.provideMerge([Broadcaster.layerLocal, DependencyGraph.layer()]),
  Layer.orDie
)

/** A function that is computed in a run ahead of all calls. */
const single = (source: Source, policy: Parameters<typeof rows>[1], takes?: number) =>
  Cached.make(
    "single",
    { input: { n: Schema.Literal(1) }, success: Schema.Number, policy },
    () => source.run(takes)
  )

const finished = <E, R>(run: Stream.Stream<Precompute.Progress, E, R>) =>
  Effect.map(Stream.runCollect(run), (steps) => {
    const last = steps.at(-1)!
    assert(last._tag === "Finished")
    const { computed, failed, present } = last.summary.counts
    return { computed, failed, present }
  })

onEveryStore("A run of Precompute", (test) => {
  test("that joins a reader who is given what is stale has it computed all the same", () =>
    Effect.gen(function*() {
      const { arm } = yield* Steps
      const source = makeSource()
      const fn = yield* single(source, {
        timeToLive: "10 seconds",
        staleIfError: { upTo: "1 hour", backOff: "1 minute" }
      })
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("down")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      yield* source.become("up")
      const gate = yield* Latch.make(false)
      yield* arm("before Store.get", gate.await)
      const reader = yield* start(fn({ n: 1 }))
      const running = yield* start(finished(Precompute.run(fn)))
      yield* gate.open
      assert.deepStrictEqual(yield* Fiber.join(running), { computed: 1, failed: 0, present: 0 })
      assert.isAtLeast(yield* Fiber.join(reader), 1)
      yield* settled
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 3)
    }))

  test("counts as present what is fresh, though computing it anew before its end fails", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* single(source, { timeToLive: "100 seconds", eagerRefresh: 1e6 }, 50)
      const first = yield* start(fn({ n: 1 }))
      yield* source.started(1)
      yield* TestClock.adjust(50)
      yield* Fiber.join(first)
      yield* settled
      yield* TestClock.adjust(10_000)
      yield* source.become("held")
      assert.strictEqual(yield* fn({ n: 1 }), 1)
      yield* source.started(2)
      yield* TestClock.adjust(50)
      const running = yield* start(finished(Precompute.run(fn)))
      yield* answered
      yield* source.release("down")
      assert.deepStrictEqual(yield* Fiber.join(running), { computed: 0, failed: 0, present: 1 })
      yield* settled
      assert.strictEqual(source.runs(), 2)
    }))
})

describe("Who waits for a store of bytes", () => {
  const [, layer] = worlds.find(([name]) => name === "bytes")!

  it.effect.each(
    [
      ["while it is revalidated", { staleWhileRevalidate: "1 hour" }],
      ["because nobody tries again yet", { staleIfError: { upTo: "1 hour", backOff: "1 minute" } }]
    ] as const
  )(
    "is not given what is stale %s once that is invalidated, not even by who was given it just before",
    ([, windows]) =>
      Effect.gen(function*() {
        const { arm } = yield* Steps
        const source = makeSource()
        const fn = yield* rows(source, { timeToLive: "10 seconds", ...windows })
        yield* andSettle(fn({ n: 1 }))
        yield* TestClock.adjust(10_000)
        if ("staleIfError" in windows) {
          yield* source.become("down")
          yield* andSettle(fn({ n: 1 }))
          yield* source.become("up")
        }
        const gate = yield* Latch.make(false)
        yield* arm("before Store.get", gate.await)
        let isInvalid = false
        // Both are let go together, and one after the other.
        const first = yield* start(Effect.tap(fn({ n: 1 }), () =>
          Effect.andThen(
            invalidate("row:1"),
            Effect.sync(() => {
              isInvalid = true
            })
          )))
        const second = yield* start(Effect.map(fn({ n: 1 }), (value) => ({ value, isInvalid })))
        yield* gate.open
        assert.strictEqual(yield* Fiber.join(first), 1)
        const { isInvalid: wasInvalid, value } = yield* Fiber.join(second)
        assert.isTrue(wasInvalid)
        assert.isAbove(value, 1)
        yield* settled
      }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

onEveryStore("What is made of a result that must not be stored", (test) => {
  test("is not stored either, where it may outlive what it reads", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const define = (name: string, before: Effect.Effect<void>) =>
        Cached.make(name, { success: Schema.Number }, () => Effect.andThen(before, source.run()))
      const [opting, wrong, passing] = [
        yield* define("opting", doNotStore),
        yield* define("wrong", setLifetime({ timeToLive: -1 })),
        yield* define("passing", Effect.void)
      ]
      for (
        const [name, inner] of [
          ["of opting", opting],
          ["of wrong", wrong],
          ["of passing", passing.with({ noStore: true })]
        ] as const
      ) {
        const outer = yield* Cached.make(
          name,
          { success: Schema.Number, policy: { outlivesReads: true } },
          () => inner()
        )
        const before = source.runs()
        assert.deepStrictEqual([yield* andSettle(outer()), yield* andSettle(outer())], [before + 1, before + 2], name)
      }
      assert.lengthOf(yield* eventsOf("Stored"), 0)
    }))
})

onEveryStore("A result that one call wants stored and another does not", (test) => {
  test("is stored, whoever asked first", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "1 hour" })
      const passing = fn.with({ noStore: true })
      for (const [n, one, other] of [[1, passing, fn], [2, fn, passing]] as const) {
        yield* source.become("held")
        const first = yield* start(one({ n }))
        yield* source.started(n)
        const second = yield* start(other({ n }))
        yield* answered
        yield* source.release()
        assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [n, n])
        yield* settled
        assert.strictEqual(yield* andSettle(fn({ n })), n)
      }
      assert.deepStrictEqual(yield* rejectedFor, [])
    }))

  test("is not stored where nobody wants it", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const fn = yield* rows(source, { timeToLive: "1 hour" })
      const passing = fn.with({ noStore: true })
      yield* source.become("held")
      const readers = yield* Effect.forEach([1, 2], () => start(passing({ n: 1 })))
      yield* source.started(1)
      yield* answered
      yield* source.release()
      assert.deepStrictEqual(yield* Fiber.joinAll(readers), [1, 1])
      yield* settled
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
    }))
})

onEveryStore("A computation that runs behind what is stale", (test) => {
  const policy = { timeToLive: "10 seconds", staleWhileRevalidate: "1 hour" } as const

  /** Functions each of which gives what the one before gives. The first one gives what the source does. */
  const chain = Effect.fnUntraced(function*(source: Source, length: number) {
    const state = { runs: 0 }
    let last: Effect.Effect<number, unknown> = source.run()
    for (let level = 0; level < length; level++) {
      const inner = last
      const fn = yield* Cached.make(`level ${level}`, { success: Schema.Number, policy }, () => {
        state.runs++
        return Effect.orDie(inner)
      })
      last = fn()
    }
    return { state, outermost: last }
  })

  test("waits for what is new of all that it reads, so that the second read of a chain of five sees it", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const { outermost, state } = yield* chain(source, 5)
      assert.strictEqual(yield* andSettle(outermost), 1)
      yield* TestClock.adjust(10_000)
      state.runs = 0
      assert.deepStrictEqual([yield* andSettle(outermost), yield* andSettle(outermost)], [1, 2])
      assert.strictEqual(state.runs, 5)
    }))

  test("waits along chains of any length, and each is computed once", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const { outermost, state } = yield* chain(source, 200)
      yield* andSettle(outermost)
      yield* TestClock.adjust(10_000)
      state.runs = 0
      assert.deepStrictEqual([yield* andSettle(outermost), yield* andSettle(outermost)], [1, 2])
      assert.strictEqual(state.runs, 200)
    }))

  test("takes what is stale where computing that anew fails", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const inner = yield* rows(source, policy)
      let runs = 0
      const outer = yield* Cached.make("outer", { success: Schema.String, policy }, () =>
        Effect.map(Effect.orDie(inner({ n: 1 })), (row) =>
          `${row} of run ${++runs}`))
      yield* andSettle(outer())
      yield* TestClock.adjust(10_000)
      yield* source.become("down")
      assert.strictEqual(yield* andSettle(outer()), "1 of run 1")
      assert.strictEqual(yield* andSettle(outer()), "1 of run 2")
      assert.deepStrictEqual((yield* staleBecause).slice(0, 2), ["revalidating", "error"])
    }))

  test("takes what is stale where that waits for itself", () =>
    Effect.gen(function*() {
      let version = 1
      // Each gives the newest version that it knows, itself or from the other.
      let other: Effect.Effect<number> = Effect.succeed(0)
      const one = yield* Cached.make("one", { success: Schema.Number, policy }, () =>
        Effect.suspend(() =>
          Effect.map(other, (value) => Math.max(value, version))
        ))
      const second = yield* Cached.make("other", { success: Schema.Number, policy }, () =>
        version === 1 ? Effect.succeed(1) : Effect.orDie(one()))
      yield* andSettle(one())
      yield* andSettle(second())
      other = Effect.orDie(second())
      version = 2
      yield* TestClock.adjust(10_000)
      const both = andSettle(Effect.all([one(), second()], { concurrency: "unbounded" }))
      assert.deepStrictEqual(yield* both, [1, 1])
      assert.strictEqual((yield* both)[0], 2)
      assert.lengthOf(yield* eventsOf("RefreshFailed"), 0)
    }))
})

it("What a flight remembers of those because of which it was started is no more than their keys", () => {
  const owner = new Map()
  const flight = (key: string, parent: Flight | undefined, because?: Flight) =>
    new Flight(owner, key, 0, 0, parent, undefined, false, undefined, because?.origin)
  const outer = flight("outer", undefined)
  const behind = flight("behind", undefined, flight("inner", outer))
  assert.deepStrictEqual(behind.origin, {
    owner,
    key: "behind",
    because: { owner, key: "inner", because: { owner, key: "outer", because: undefined } }
  })
  for (const key of ["outer", "inner", "behind"]) assert.isTrue(behind.comesFrom(owner, key), key)
  assert.isFalse(behind.comesFrom(owner, "another"))
  assert.isFalse(behind.comesFrom(new Map(), "outer"))
})

describe("A cache in front of a store elsewhere", () => {
  const idle = { timeToIdle: "80 seconds" } as const

  it.effect("does not bring back what was removed while the store was told of a read", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      const [store, cache] = [yield* Store.Store, yield* ResultCache.ResultCache]
      const source = makeSource()
      const fn = yield* rows(source, idle)
      yield* andSettle(fn({ n: 1 }))
      const [stored] = yield* eventsOf("Stored")
      yield* TestClock.adjust(20_000)
      const before = (yield* faults.operations).length
      yield* faults.become("slow")
      yield* fn({ n: 1 })
      yield* answered
      assert.deepStrictEqual((yield* faults.operations).slice(before), [["set", stored!.key]])
      yield* faults.become("healthy")
      yield* cache.remove(stored!.key)
      yield* faults.release
      yield* answered
      assert.isUndefined(yield* store.get(stored!.key))
    }).pipe(Effect.provide(inFront)))

  it.effect("tells the store of reads once in an eighth of the time to idle, also where that fails", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      const source = makeSource()
      const fn = yield* rows(source, idle)
      yield* andSettle(fn({ n: 1 }))
      const before = (yield* faults.operations).length
      yield* faults.become("failing")
      for (let eighth = 1; eighth <= 3; eighth++) {
        yield* TestClock.adjust(10_001)
        for (let read = 0; read < 100; read++) yield* andSettle(fn({ n: 1 }))
        yield* answered
        assert.lengthOf((yield* faults.operations).slice(before), eighth)
        assert.lengthOf(yield* eventsOf("StoreFailed"), eighth)
      }
      assert.strictEqual(source.runs(), 1)
    }).pipe(Effect.provide(inFront)))

  it.effect("remembers what it knows of an entry when the store is told of a read of it", () =>
    Effect.gen(function*() {
      const [store, faults] = [yield* Store.Store, yield* FaultyStore.FaultyStore]
      const source = makeSource()
      const fn = yield* rows(source, idle)
      yield* andSettle(fn({ n: 1 }))
      const [stored] = yield* eventsOf("Stored")
      const entry = store.peek(stored!.key)
      const before = (yield* faults.operations).length
      yield* TestClock.adjust(20_000)
      yield* andSettle(fn({ n: 1 }))
      yield* answered
      assert.lengthOf((yield* faults.operations).slice(before), 1)
      assert.isDefined(entry)
      assert.strictEqual(store.peek(stored!.key), entry)
    }).pipe(Effect.provide(inFront)))

  it.effect("serves what is stale and valid, though the store has something older that is invalid and not over", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      const source = makeSource()
      let timeToLive = "1 hour" as "1 hour" | "10 seconds"
      const fn = yield* Cached.make("fn", {
        success: Schema.Number,
        deps: () => ["row"],
        policy: { timeToLive: () => timeToLive, staleIfError: { upTo: "1 hour", backOff: "1 second" } }
      }, () => source.run())
      yield* andSettle(fn())
      yield* invalidate("row")
      yield* faults.become("failing")
      timeToLive = "10 seconds"
      assert.strictEqual(yield* andSettle(fn()), 2)
      yield* faults.become("healthy")
      yield* source.become("down")
      yield* TestClock.adjust(10_000)
      for (let read = 0; read < 4; read++) {
        assert.strictEqual(yield* andSettle(fn()), 2)
        yield* TestClock.adjust(2000)
      }
      assert.isAbove(source.runs(), 3)
    }).pipe(Effect.provide(inFront)))
})

describe("A store of bytes that is told of a read", () => {
  // A codec that takes a while for what was read.
  const slow = Effect.map(Latch.make(false), (latch) => ({
    release: latch.open,
    layer: ByteStore.layerMemory().pipe(
      Layer.provide(
        Layer.effect(Codec.Codec)(Effect.map(Codec.Codec, (codec) =>
          Codec.Codec.of({
            ...codec,
            encode: (entry) =>
              entry.terms?.usedAt === 0 ? codec.encode(entry) : Effect.andThen(latch.await, codec.encode(entry))
          })))
      ),
      Layer.provide(Codec.layerJson)
    )
  }))

  it.effect.each(
    [
      ["what is removed while the read is made into bytes", undefined],
      ["what is stored in its place meanwhile", makeIdle("a", 60_000, 0, { body: "new", position: 11 })]
    ] as const
  )("leaves as it is %s", ([, other]) =>
    Effect.gen(function*() {
      const { layer, release } = yield* slow
      const store = yield* Effect.provide(Store.Store, yield* Layer.build(layer))
      yield* store.set(makeIdle("a", 60_000, 0))
      const telling = yield* start(store.touch(makeIdle("a", 60_000, 10_000)))
      assert.isFalse(isDone(telling))
      yield* other === undefined ? store.remove("a") : store.set(other)
      yield* release
      yield* Fiber.join(telling)
      const found = yield* store.get("a")
      assert.deepStrictEqual(found && storedPart(found), other && storedPart(other))
    }).pipe(Effect.scoped))
})

describe("Who waits for another process", () => {
  /** A lease that is someone else's until it is ended. */
  const taken = Effect.map(Latch.make(false), (ended) => ({
    end: ended.open,
    layer: CacheTest.layerWith().pipe(
      Layer.provide(
        Layer.succeed(Lease.Lease)({
          take: () => Effect.succeed({ _tag: "Taken", ended: Effect.as(ended.await, "nothing") })
        })
      ),
      Layer.provideMerge([bytes, Broadcaster.layerLocal, DependencyGraph.layer()]),
      Layer.orDie
    )
  }))

  it.effect("for the first result of a key looks at the clock once, whatever the soft timeout is (scenario 38)", () =>
    Effect.gen(function*() {
      const { end, layer } = yield* taken
      yield* Effect.gen(function*() {
        const clock = yield* Clock.Clock
        let sleeps = 0
        const counting: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
          sleep: (duration: Parameters<Clock.Clock["sleep"]>[0]) => {
            sleeps++
            return clock.sleep(duration)
          }
        })
        const source = makeSource()
        const fn = yield* rows(source, { timeToLive: "10 seconds", staleIfError: "1 hour", softTimeout: 100 })
        const reader = yield* start(Effect.provideService(fn({ n: 1 }), Clock.Clock, counting))
        yield* answered
        for (let wait = 0; wait < 50; wait++) {
          yield* TestClock.adjust(100)
          yield* answered
        }
        assert.isFalse(isDone(reader))
        assert.isAtMost(sleeps, 1)
        yield* end
        assert.strictEqual(yield* Fiber.join(reader), 1)
        yield* settled
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))
})

const told = (events: ReadonlyArray<CacheEvent.CacheEvent>, tag: CacheEvent.CacheEvent["_tag"]) =>
  events.filter(({ _tag }) => _tag === tag).length

describe.each(shared)("Processes that share a store of %s", (_, layer) => {
  it.effect("leave to a new version of a function what that has stored, whatever an old one reads", () =>
    Effect.gen(function*() {
      const { open, writes } = yield* sharing(layer)
      const source = makeSource()
      const version = Effect.fnUntraced(function*(name: string) {
        const { provide } = yield* open()
        return yield* provide(Cached.make(
          "fn",
          { success: Schema.Number, version: name, policy: { timeToIdle: "80 seconds" } },
          () => source.run()
        ))
      })
      const [old, recent] = [yield* version("old"), yield* version("recent")]
      assert.strictEqual(yield* andSettle(old()), 1)
      yield* TestClock.adjust(1000)
      assert.strictEqual(yield* andSettle(recent()), 2)
      yield* TestClock.adjust(20_000)
      const before = writes()
      assert.strictEqual(yield* andSettle(old()), 1)
      assert.isAbove(writes(), before, "the store is told of that read")
      const another = yield* version("recent")
      assert.strictEqual(yield* andSettle(another()), 2)
    }))

  it.effect("wait anew, and not for long, when something fails that another process has computed meanwhile", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const source = makeSource()
      const policy = {
        timeToLive: "10 seconds",
        staleIfError: { upTo: "1 day", backOff: "1 second", maxBackOff: "1 hour" }
      } as const
      const [here, there] = [yield* open(), yield* open()]
      const [fn, other] = [yield* here.provide(rows(source, policy)), yield* there.provide(rows(source, policy))]
      yield* andSettle(fn({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* source.become("down")
      for (const wait of [1000, 2000, 4000]) {
        assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
        yield* TestClock.adjust(wait)
      }
      yield* source.become("up")
      const elsewhere = yield* andSettle(other({ n: 1 }))
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), elsewhere)
      yield* TestClock.adjust(10_000)
      yield* source.become("down")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), elsewhere)
      yield* source.become("up")
      yield* TestClock.adjust(1000)
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), source.runs())
      assert.isAbove(source.runs(), elsewhere)
    }))

  it.effect("count a call once that is given what is stale, though what is new is found elsewhere", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const source = makeSource()
      const policy = { timeToLive: "10 seconds", staleWhileRevalidate: "1 hour" } as const
      const [here, there] = [yield* open(), yield* open()]
      const [fn, other] = [yield* here.provide(rows(source, policy)), yield* there.provide(rows(source, policy))]
      yield* andSettle(fn({ n: 1 }))
      yield* andSettle(other({ n: 1 }))
      yield* TestClock.adjust(10_000)
      yield* andSettle(other({ n: 1 }))
      assert.strictEqual(source.runs(), 2)
      const hits = told(here.events, "Hit")
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 1)
      assert.deepStrictEqual([told(here.events, "Hit") - hits, told(here.events, "Stale")], [0, 1])
      assert.strictEqual(yield* andSettle(fn({ n: 1 })), 2)
      assert.strictEqual(source.runs(), 2)
    }))
})
