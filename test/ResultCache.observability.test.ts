import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Logger, Metric, Option, Schema, Stream, Tracer } from "effect"
import {
  addDeps,
  Broadcaster,
  ByteStore,
  Cached,
  type CacheEvent,
  CacheMetrics,
  clear,
  DependencyGraph,
  invalidate,
  ResultCache
} from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest, FaultyBroadcaster, FaultyCodec, FaultyStore } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { faulty, start } from "./suites/worlds.ts"

const counts = ResultCache.ResultCache.use((cache) => cache.counts)

const identity = (timeToLive?: number) =>
  Cached.make(
    "identity",
    {
      input: { n: Schema.Number },
      success: Schema.Number,
      deps: ({ n }) => [`n:${n}`],
      ...(timeToLive === undefined ? {} : { timeToLive })
    },
    ({ n }) => Effect.succeed(n)
  )

// A cache in which everything can be made to happen: two entries of bytes, and every service has its faults.
const eventful = (options?: ResultCache.Options) =>
  CacheTest.layerWith(options).pipe(
    Layer.provideMerge([
      FaultyStore.layer(ByteStore.layerMemory({ maxEntries: 2, sweepEvery: "1 minute" })),
      FaultyBroadcaster.layer(Broadcaster.layerLocal)
    ]),
    Layer.provideMerge(FaultyCodec.layer(MsgPackCodec.layer())),
    Layer.provide(DependencyGraph.layer()),
    Layer.orDie
  )

// Makes everything happen, and gives what the callers got.
const everything = Effect.gen(function*() {
  const store = yield* FaultyStore.FaultyStore
  const codec = yield* FaultyCodec.FaultyCodec
  const log = yield* FaultyBroadcaster.FaultyBroadcaster
  const read = yield* identity(1000)
  const gate = yield* Deferred.make<void>()
  const slow = yield* Cached.make(
    "slow",
    { success: Schema.Number, timeToLive: 0 },
    () => Effect.as(Deferred.await(gate), 42)
  )
  const bad = yield* Cached.make("bad", { success: Schema.Number }, () => Effect.as(addDeps("a::b"), 7))

  const values: Array<unknown> = [yield* read({ n: 1 }), yield* read({ n: 1 })]
  const first = yield* start(slow())
  const second = yield* start(slow())
  yield* Deferred.succeed(gate, undefined)
  values.push(yield* Fiber.join(first), yield* Fiber.join(second), yield* bad())
  values.push(yield* read({ n: 2 }), yield* read({ n: 3 }))
  yield* invalidate("n:3")
  yield* TestClock.adjust("1 minute")
  yield* codec.become("corrupting")
  values.push(yield* read({ n: 4 }), yield* read({ n: 4 }))
  yield* codec.become("healthy")
  yield* store.become("failing")
  values.push(yield* read({ n: 5 }))
  yield* store.become("dying")
  values.push(yield* read({ n: 6 }))
  yield* store.become("healthy")
  yield* log.inject({ _tag: "Lost", error: yield* Effect.flip(invalidate("a::b")) })
  values.push(yield* read({ n: 7 }))
  yield* log.inject({ _tag: "Gap", position: 1 })
  yield* log.inject({ _tag: "Gap", position: 2 })
  yield* log.inject({ _tag: "Ignored", problem: "something else" })
  values.push(yield* read({ n: 8 }), yield* read({ n: 8 }))
  yield* clear
  values.push(yield* read({ n: 8 }))
  let isDown = false
  const policy = { timeToLive: 10, staleIfError: 10 }
  const flaky = yield* Cached.make(
    "flaky",
    { success: Schema.Number, policy },
    () => isDown ? Effect.fail("down") : Effect.succeed(9)
  )
  values.push(yield* flaky())
  isDown = true
  yield* TestClock.adjust(10)
  values.push(yield* flaky())
  yield* (yield* ResultCache.ResultCache).evict("flaky\tvariant")
  return values
})

const expectedValues = [1, 1, 42, 42, 7, 2, 3, 4, 4, 5, 6, 7, 8, 8, 8, 9, 9]

const allKinds: ReadonlyArray<CacheEvent.CacheEvent["_tag"]> = [
  "CaughtUp",
  "Evicted",
  "Expired",
  "Hit",
  "Invalidated",
  "Joined",
  "LogFailed",
  "LogGap",
  "LogIgnored",
  "Miss",
  "RefreshFailed",
  "Rejected",
  "Stale",
  "StoreFailed",
  "Stored",
  "Undecodable",
  "VariantsExceeded"
]

const tally = (events: Iterable<CacheEvent.CacheEvent>) => {
  const result: Record<string, number> = Object.fromEntries(allKinds.map((kind) => [kind, 0]))
  for (const event of events) result[event._tag]!++
  return result
}

describe("events", () => {
  it.effect("tell everything that happens, to onEvent and to the stream alike, and the counts agree", () => {
    const seen: Array<CacheEvent.CacheEvent> = []
    return Effect.gen(function*() {
      const cache = yield* ResultCache.ResultCache
      const streamed: Array<CacheEvent.CacheEvent> = []
      const last = yield* Deferred.make<void>()
      yield* start(Stream.runForEach(cache.events, (event) => {
        streamed.push(event)
        return event._tag === "Joined" && event.key === "end\t{}" ? Deferred.succeed(last, undefined) : Effect.void
      }))
      assert.deepStrictEqual(yield* everything, expectedValues)
      const gate = yield* Deferred.make<void>()
      const end = yield* Cached.make("end", { success: Schema.Void }, () => Deferred.await(gate))
      yield* start(end())
      yield* start(end())
      yield* Deferred.await(last)
      assert.deepStrictEqual(streamed, seen)
      assert.deepStrictEqual(Array.from(new Set(seen.map(({ _tag }) => _tag))).toSorted(), allKinds)
      assert.deepStrictEqual({ ...(yield* counts) }, tally(seen) as CacheMetrics.Counts)
    }).pipe(Effect.provide(eventful({ onEvent: (event) => seen.push(event) })))
  })

  it.effect("say what happened to one key, in order", () =>
    Effect.gen(function*() {
      const test = yield* CacheTest.CacheTest
      const read = yield* identity(1000)
      yield* read({ n: 1 })
      yield* read({ n: 1 })
      const key = "identity\t{\"n\":1}"
      const events = yield* test.events
      assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Miss", "Stored", "Hit"])
      for (const event of events) assert.strictEqual("key" in event && event.key, key)
      const stored = events[1]
      assert(stored?._tag === "Stored")
      assert.strictEqual(stored.expiresAt, 1000)
      assert.include(stored.tags, "n:1")
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("are counted from the start, though nobody listens", () =>
    Effect.gen(function*() {
      const read = yield* identity()
      yield* read({ n: 1 })
      yield* Effect.repeat(read({ n: 1 }), { times: 9 })
      const { Hit, Miss, Stored } = yield* counts
      assert.deepStrictEqual({ Hit, Miss, Stored }, { Hit: 10, Miss: 1, Stored: 1 })
    }).pipe(Effect.provide(ResultCache.layerMemory())))

  it.effect("are told to a listener only from when it listens on, and to each listener all of them", () =>
    Effect.gen(function*() {
      const cache = yield* ResultCache.ResultCache
      const read = yield* identity()
      const keys = (count: number) =>
        start(Stream.runCollect(Stream.take(
          Stream.map(cache.events, (event) => `${event._tag} ${"key" in event ? event.key.slice(9) : ""}`),
          count
        )))
      yield* read({ n: 1 })
      const early = yield* keys(3)
      yield* read({ n: 1 })
      const late = yield* keys(2)
      yield* read({ n: 2 })
      assert.deepStrictEqual(yield* Fiber.join(early), ["Hit {\"n\":1}", "Miss {\"n\":2}", "Stored {\"n\":2}"])
      assert.deepStrictEqual(yield* Fiber.join(late), ["Miss {\"n\":2}", "Stored {\"n\":2}"])
    }).pipe(Effect.provide(ResultCache.layerMemory())))

  it.effect("counts are a copy: who changes it changes nothing", () =>
    Effect.gen(function*() {
      const read = yield* identity()
      yield* read({ n: 1 })
      const copy: { Miss: number } = yield* counts
      copy.Miss = 100
      assert.strictEqual((yield* counts).Miss, 1)
    }).pipe(Effect.provide(ResultCache.layerMemory())))
})

describe("An observer (scenario 31)", () => {
  it.effect("that throws at every event changes no result and leaves no flight behind", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* everything, expectedValues)
      // Only the two that were to meet have met.
      assert.strictEqual((yield* counts).Joined, 1)
    }).pipe(Effect.provide(eventful({
      onEvent: () => {
        throw new Error("an observer that is broken")
      }
    }))))

  it.effect("that throws does not keep a failing computation from ending for all who wait", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.suspend(() => {
          executions++
          return Effect.andThen(Deferred.await(gate), Effect.fail("down"))
        }))
      const readers = yield* Effect.forEach([1, 2, 3], () => start(Effect.flip(fn())))
      yield* Deferred.succeed(gate, undefined)
      for (const reader of readers) assert.strictEqual(yield* Fiber.join(reader), "down")
      assert.strictEqual(executions, 1)
      assert.strictEqual(yield* Effect.flip(fn()), "down")
      assert.strictEqual(executions, 2)
    }).pipe(Effect.provide(ResultCache.layerMemory({
      onEvent: () => {
        throw new Error("an observer that is broken")
      }
    }))))

  it.effect("that throws does not keep others from hearing", () =>
    Effect.gen(function*() {
      const cache = yield* ResultCache.ResultCache
      const read = yield* identity()
      const heard = yield* start(Stream.runCollect(Stream.take(cache.events, 2)))
      yield* read({ n: 1 })
      assert.deepStrictEqual((yield* Fiber.join(heard)).map(({ _tag }) => _tag), ["Miss", "Stored"])
    }).pipe(Effect.provide(ResultCache.layerMemory({
      onEvent: () => {
        throw new Error("an observer that is broken")
      }
    }))))

  it.effect("that is a logger that throws changes no result and leaves no flight behind", () => {
    let logged = 0
    const logger = Logger.make(() => {
      logged++
      throw new Error("a logger that is broken")
    })
    return Effect.gen(function*() {
      assert.deepStrictEqual(yield* everything, expectedValues)
      assert.strictEqual((yield* counts).Joined, 1)
      assert.isAbove(logged, 0)
    }).pipe(Effect.provide(eventful().pipe(Layer.provide(Logger.layer([logger])))))
  })

  it.effect("of the stream that never goes on delays nobody, and loses only the oldest events", () =>
    Effect.gen(function*() {
      const cache = yield* ResultCache.ResultCache
      const read = yield* identity()
      const [entered, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const heard = yield* start(
        cache.events.pipe(
          Stream.filter(({ _tag }) => _tag === "Miss"),
          Stream.tap(() => Effect.andThen(Deferred.succeed(entered, undefined), Deferred.await(gate))),
          Stream.map((event) => "key" in event ? Number(event.key.slice("identity\t{\"n\":".length, -1)) : NaN),
          Stream.take(500),
          Stream.runCollect
        )
      )
      assert.strictEqual(yield* read({ n: 0 }), 0)
      yield* Deferred.await(entered)
      for (let n = 1; n < 5000; n++) assert.strictEqual(yield* read({ n }), n)
      yield* Deferred.succeed(gate, undefined)
      const [first, ...others] = yield* Fiber.join(heard)
      assert.strictEqual(first, 0)
      // Half of the 1 024 events that wait are those of misses.
      assert.deepStrictEqual(others, Array.from({ length: 499 }, (_, n) => 5000 - 512 + n))
    }).pipe(Effect.provide(ResultCache.layerMemory())))

  it.effect("of the stream that goes away disturbs neither the cache nor who stays", () =>
    Effect.gen(function*() {
      const cache = yield* ResultCache.ResultCache
      const read = yield* identity()
      const gone = yield* start(Stream.runDrain(cache.events))
      const failed = yield* start(Stream.runForEach(cache.events, () => Effect.die("a listener with a bug")))
      const stays = yield* start(Stream.runCollect(Stream.take(cache.events, 3)))
      yield* read({ n: 1 })
      yield* Fiber.interrupt(gone)
      yield* Fiber.await(failed)
      assert.strictEqual(yield* read({ n: 1 }), 1)
      assert.deepStrictEqual((yield* Fiber.join(stays)).map(({ _tag }) => _tag), ["Miss", "Stored", "Hit"])
      assert.strictEqual((yield* counts).Hit, 1)
    }).pipe(Effect.provide(ResultCache.layerMemory())))
})

const value = (event: CacheEvent.CacheEvent["_tag"]) =>
  Effect.map(Metric.value(CacheMetrics.events(event)), ({ count }) => count)

describe("metrics", () => {
  const useCache = Effect.gen(function*() {
    const read = yield* identity()
    yield* read({ n: 1 })
    yield* read({ n: 1 })
  })

  it.effect("are the counts of every event, labelled with nothing but the event", () =>
    Effect.gen(function*() {
      yield* everything
      const counted = yield* counts
      for (const kind of allKinds) {
        assert.strictEqual(yield* value(kind), counted[kind], kind)
        assert.isAbove(counted[kind], 0, kind)
      }
      const ours = (yield* Metric.snapshot).filter(({ id }) => id.startsWith("effect_cached"))
      for (const { attributes } of ours) assert.deepStrictEqual(Object.keys(attributes!), ["event"])
      assert.strictEqual(ours.length, allKinds.length)
    }).pipe(
      Effect.provide(eventful()),
      Effect.provideService(Metric.MetricRegistry, new Map())
    ))

  it.effect("of two caches add up, and those of a closed one stay in the sum", () =>
    Effect.gen(function*() {
      const cache = Layer.fresh(ResultCache.layerMemory())
      yield* Effect.scoped(Effect.gen(function*() {
        const one = yield* Layer.build(cache)
        yield* Effect.provide(useCache, one)
        assert.deepStrictEqual([yield* value("Miss"), yield* value("Hit")], [1, 1])
        yield* Effect.scoped(Effect.gen(function*() {
          const other = yield* Layer.build(cache)
          yield* Effect.provide(useCache, other)
          assert.deepStrictEqual([yield* value("Miss"), yield* value("Hit")], [2, 2])
        }))
        assert.deepStrictEqual([yield* value("Miss"), yield* value("Hit")], [2, 2])
      }))
      assert.deepStrictEqual([yield* value("Miss"), yield* value("Hit")], [2, 2])
      yield* Effect.provide(useCache, cache)
      assert.deepStrictEqual([yield* value("Miss"), yield* value("Hit")], [3, 3])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("of another registry are its own", () =>
    Effect.gen(function*() {
      yield* Effect.provide(useCache, Layer.fresh(ResultCache.layerMemory())).pipe(
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
      assert.strictEqual(yield* value("Miss"), 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
})

// The cache with a logger that keeps what it is told.
const logged = () => {
  const messages: Array<string> = []
  const levels = new Set<string>()
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    levels.add(logLevel)
    messages.push(String(message))
  })
  return { messages, levels, layer: eventful().pipe(Layer.provide(Logger.layer([logger]))) }
}

describe("warnings", () => {
  it.effect("of one kind are logged at most once in ten seconds", () => {
    const { layer, levels, messages } = logged()
    return Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      const read = yield* identity()
      yield* store.become("failing")
      for (let n = 0; n < 100; n++) yield* read({ n })
      assert.strictEqual(messages.length, 1)
      yield* TestClock.adjust(9_999)
      yield* read({ n: 1 })
      assert.strictEqual(messages.length, 1)
      yield* TestClock.adjust(1)
      yield* read({ n: 1 })
      assert.strictEqual(messages.length, 2)
      for (const message of messages) assert.include(message, "effect-cached: the store was passed over: ")
      assert.deepStrictEqual(Array.from(levels), ["Warn"])
      assert.isAtLeast((yield* counts).StoreFailed, 200)
    }).pipe(Effect.provide(layer))
  })

  it.effect("of different kinds do not keep each other back", () => {
    const { layer, messages } = logged()
    return Effect.gen(function*() {
      yield* everything
      const kinds = [
        "a result was not stored: ",
        "a stored entry was discarded: ",
        "the store was passed over: ",
        "nothing that is held is served: ",
        "a part of the invalidation log was missed: ",
        "something in the invalidation log was passed over: ",
        "something stale was served, because computing it anew failed: ",
        "a response has too many variants, and the least recently used one was removed: "
      ]
      for (const kind of kinds) {
        assert.strictEqual(messages.filter((message) => message.startsWith(`effect-cached: ${kind}`)).length, 1, kind)
      }
      assert.strictEqual(messages.length, kinds.length)
    }).pipe(Effect.provide(layer))
  })

  it.effect("are not made of what is in order", () => {
    const { layer, messages } = logged()
    return Effect.gen(function*() {
      const read = yield* identity(0)
      yield* read({ n: 1 })
      const kept = yield* Cached.make("kept", { success: Schema.Number, deps: () => ["a"] }, () => Effect.succeed(1))
      yield* kept()
      yield* kept()
      yield* invalidate("a")
      yield* clear
      assert.deepStrictEqual(messages, [])
    }).pipe(Effect.provide(layer))
  })
})

const traced = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span(options) {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}
describe("spans", () => {
  const secret = "secret-7f3a"
  const find = Cached.make(
    "find",
    { input: { token: Schema.String }, success: Schema.String, varyBy: Effect.succeed(secret) },
    () => Effect.succeed("found")
  )

  it.effect("are made of computing, reading and writing, and tell the function but no key", () => {
    const { spans, tracer } = traced()
    return Effect.gen(function*() {
      const call = yield* find
      yield* call({ token: secret })
      yield* call({ token: secret })
      assert.deepStrictEqual(spans.map(({ name }) => name), [
        "effect-cached.get",
        "effect-cached.compute",
        "effect-cached.set",
        "effect-cached.get"
      ])
      for (const span of spans) {
        assert.deepStrictEqual(Array.from(span.attributes), [["effect_cached.function", "find"]])
        assert.strictEqual(span.status._tag, "Ended")
      }
    }).pipe(Effect.provide(faulty()), Effect.provideService(Tracer.Tracer, tracer))
  })

  it.effect("of the memory store are made of computing only: a hit makes none", () => {
    const { spans, tracer } = traced()
    return Effect.gen(function*() {
      const call = yield* find
      yield* call({ token: secret })
      yield* call({ token: secret })
      assert.deepStrictEqual(spans.map(({ name }) => name), ["effect-cached.compute"])
    }).pipe(Effect.provide(CacheTest.layer), Effect.provideService(Tracer.Tracer, tracer))
  })

  it.effect("stand under the span of the caller who caused them", () => {
    const { spans, tracer } = traced()
    return Effect.gen(function*() {
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number },
        () => Effect.withSpan(Effect.succeed(1), "inside")
      )
      yield* Effect.withSpan(fn(), "caller")
      const [caller, compute, inside] = spans
      assert.deepStrictEqual(spans.map(({ name }) => name), ["caller", "effect-cached.compute", "inside"])
      assert.strictEqual(Option.getOrUndefined(compute!.parent)?.spanId, caller!.spanId)
      assert.strictEqual(Option.getOrUndefined(inside!.parent)?.spanId, compute!.spanId)
    }).pipe(Effect.provide(CacheTest.layer), Effect.provideService(Tracer.Tracer, tracer))
  })

  it.effect("of a failed computation end, and the failure is the caller's", () => {
    const { spans, tracer } = traced()
    return Effect.gen(function*() {
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.fail("down"))
      assert.strictEqual(yield* Effect.flip(fn()), "down")
      assert.deepStrictEqual(spans.map(({ name, status }) => [name, status._tag]), [["effect-cached.compute", "Ended"]])
    }).pipe(Effect.provide(CacheTest.layer), Effect.provideService(Tracer.Tracer, tracer))
  })

  it.effect("are not made where no tracer records them", () =>
    Effect.gen(function*() {
      const inside: Array<Option.Option<Tracer.AnySpan>> = []
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number },
        () =>
          Effect.contextWith((context: Context.Context<never>) => {
            inside.push(Context.getOption(context, Tracer.ParentSpan))
            return Effect.succeed(1)
          })
      )
      yield* fn()
      assert.deepStrictEqual(inside.map(Option.isNone), [true])
    }).pipe(Effect.provide(CacheTest.layer)))
})
