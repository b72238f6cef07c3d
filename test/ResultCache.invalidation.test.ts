import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Schema, SchemaGetter } from "effect"
import {
  addDeps,
  Broadcaster,
  Cached,
  clear,
  DependencyGraph,
  invalidate,
  ResultCache,
  Store,
  tag
} from "effect-cached"
import { CacheTest, FaultyBroadcaster } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { faulty, start, Steps, worlds } from "./suites/worlds.ts"

const counts = ResultCache.ResultCache.use((cache) => cache.counts)

// How often an invalidation touches the store that holds so many entries under its tag.
const touched = (entries: number) =>
  Effect.gen(function*() {
    const store = yield* Store.Store
    let touches = 0
    const watched = Store.Store.of({
      ...store,
      peek: (key) => {
        touches++
        return store.peek(key)
      },
      get: (key) => Effect.tap(store.get(key), () => Effect.sync(() => touches++)),
      remove: (key) => Effect.tap(store.remove(key), () => Effect.sync(() => touches++)),
      clear: Effect.tap(store.clear, () => Effect.sync(() => touches++))
    })
    const cache = yield* ResultCache.make().pipe(Effect.provideService(Store.Store, watched))
    const fn = yield* Cached.make(
      "many",
      { input: { n: Schema.Number }, success: Schema.Number, deps: () => ["all"] },
      ({ n }) => Effect.succeed(n)
    ).pipe(Effect.provideService(ResultCache.ResultCache, cache))
    for (let n = 0; n < entries; n++) yield* fn({ n })
    touches = 0
    yield* cache.invalidate(["all"])
    const invalidation = touches
    yield* fn({ n: 0 })
    assert.strictEqual((yield* cache.counts).Miss, entries + 1)
    return invalidation
  }).pipe(Effect.provide([
    Store.layerMemory({ maxEntries: 1_000_000, maxBytes: 1e9 }),
    DependencyGraph.layer(),
    Broadcaster.layerLocal
  ]))

describe("invalidate", () => {
  // A function whose result carries the tags that it is asked for, and that counts how often it ran.
  const tagged = Effect.gen(function*() {
    const ran = new Map<string, number>()
    const fn = yield* Cached.make(
      "tagged",
      { input: { tags: Schema.String }, success: Schema.Number, deps: ({ tags }) => tags.split(" ") },
      ({ tags }) =>
        Effect.sync(() => {
          const count = (ran.get(tags) ?? 0) + 1
          ran.set(tags, count)
          return count
        })
    )
    return (tags: string) => fn({ tags })
  })

  it.effect("ends what is under the tag and nothing beside it (scenario 17)", () =>
    Effect.gen(function*() {
      const read = yield* tagged
      const all = ["org:1", "org:1:user:1", "org:2", "org", "org:10", "user:1", "user:10", "org:1-a"]
      yield* Effect.forEach(all, read)
      yield* invalidate(tag`org:${1}`)
      assert.deepStrictEqual(yield* Effect.forEach(all, read), [2, 2, 1, 1, 1, 1, 1, 1])
      yield* invalidate("user:1")
      assert.deepStrictEqual(yield* Effect.forEach(all, read), [2, 2, 1, 1, 1, 2, 1, 1])
      yield* invalidate("org:1:user")
      assert.deepStrictEqual(yield* Effect.forEach(all, read), [2, 3, 1, 1, 1, 2, 1, 1])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("ends an entry by any of its tags (scenario 18)", () =>
    Effect.gen(function*() {
      const read = yield* tagged
      let expected = 1
      assert.strictEqual(yield* read("a b:c d:e:f"), 1)
      for (const one of ["a", "b:c", "b", "d:e:f", "d:e", "d"]) {
        yield* invalidate(one)
        assert.strictEqual(yield* read("a b:c d:e:f"), ++expected, one)
        assert.strictEqual(yield* read("a b:c d:e:f"), expected)
      }
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("ends an entry 17 levels deep by its leaf and by every ancestor (scenario 18)", () =>
    Effect.gen(function*() {
      const read = yield* tagged
      const segments = Array.from({ length: 17 }, (_, n) => `s${n}`)
      let expected = 1
      assert.strictEqual(yield* read(segments.join(":")), 1)
      for (let depth = 17; depth > 0; depth--) {
        yield* invalidate(segments.slice(0, depth).join(":"))
        assert.strictEqual(yield* read(segments.join(":")), ++expected)
      }
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("makes one record of several tags (scenario 19)", () =>
    Effect.gen(function*() {
      const read = yield* tagged
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      yield* Effect.forEach(["a", "b", "c"], read)
      yield* invalidate("a", "b")
      assert.deepStrictEqual(yield* log.appended, [["a", "b"]])
      assert.deepStrictEqual(yield* CacheTest.CacheTest.use((test) => test.invalidated), [["a", "b"]])
      assert.deepStrictEqual(yield* Effect.forEach(["a", "b", "c"], read), [2, 2, 1])
    }).pipe(Effect.provide(faulty())))

  it.effect("is never seen by halves, not even while the log is slow (scenario 19)", () =>
    Effect.gen(function*() {
      const cache = yield* ResultCache.ResultCache
      const read = yield* tagged
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      yield* Effect.forEach(["a", "b"], read)
      yield* log.become("slow")
      const invalidation = yield* start(cache.invalidate(["a", "b"]))
      assert.deepStrictEqual(yield* Effect.forEach(["a", "b"], read), [2, 2])
      yield* log.release
      yield* Fiber.join(invalidation)
      assert.deepStrictEqual(yield* Effect.forEach(["a", "b"], read), [3, 3])
      assert.deepStrictEqual(yield* Effect.forEach(["a", "b"], read), [3, 3])
    }).pipe(Effect.provide(faulty())))

  it.effect("with no tags does nothing", () =>
    Effect.gen(function*() {
      const read = yield* tagged
      yield* read("a")
      yield* invalidate()
      assert.strictEqual(yield* read("a"), 1)
      assert.strictEqual((yield* counts).Invalidated, 0)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("with one malformed tag among others invalidates none of them", () =>
    Effect.gen(function*() {
      const read = yield* tagged
      yield* read("a")
      const error = yield* Effect.flip(invalidate("a", "b::c"))
      assert.strictEqual(error.reason._tag === "TagError" && error.reason.tag, "b::c")
      assert.strictEqual(yield* read("a"), 1)
      assert.strictEqual((yield* counts).Invalidated, 0)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect(
    "costs the same with 10 and with 100 000 entries: it touches none of them (scenario 20)",
    () =>
      Effect.gen(function*() {
        for (const entries of [10, 1_000, 100_000]) assert.strictEqual(yield* touched(entries), 0)
      }),
    60_000
  )
})

describe("clear (scenario 21)", () => {
  it.effect.each(worlds)("empties the cache and its store, again and again: %s", ([, world]) =>
    Effect.gen(function*() {
      let runs = 0
      const fn = yield* Cached.make(
        "fn",
        { input: { n: Schema.Number }, success: Schema.Number, deps: ({ n }) => n === 1 ? ["a"] : [] },
        () => Effect.sync(() => ++runs)
      )
      yield* fn({ n: 1 })
      yield* fn({ n: 2 })
      yield* clear
      const store = yield* Store.Store
      assert.isUndefined(yield* store.get("fn\t{\"n\":1}"))
      yield* clear
      yield* clear
      assert.deepStrictEqual([yield* fn({ n: 1 }), yield* fn({ n: 2 })], [3, 4])
      assert.deepStrictEqual([yield* fn({ n: 1 }), yield* fn({ n: 2 })], [3, 4])
    }).pipe(Effect.provide(world)))

  it.effect.each(worlds)(
    "does not let a computation be retained that runs meanwhile: %s",
    ([, world]) =>
      Effect.gen(function*() {
        const started = yield* Deferred.make<void>()
        const gate = yield* Deferred.make<void>()
        let runs = 0
        const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
          Effect.gen(function*() {
            const run = ++runs
            yield* Deferred.succeed(started, undefined)
            yield* Deferred.await(gate)
            return run
          }))
        const early = yield* start(fn())
        yield* Deferred.await(started)
        yield* clear
        const late = yield* start(fn())
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual([yield* Fiber.join(early), yield* Fiber.join(late)], [1, 2])
        assert.strictEqual(yield* fn(), 2)
      }).pipe(Effect.provide(world))
  )
})

// Every way to end the result, and every way in which the computation can come to its dependency.
const endings = ["its tag", "an ancestor of its tag", "everything", "the key", "the function"] as const
const ways = ["known up front", "added late", "taken over from a value that it reads"] as const

// Where a read can be overtaken, in the order in which a read that finds nothing comes along.
const coldSteps = [
  "varyBy",
  "before Store.get",
  "after Store.get",
  "event Miss",
  "deps",
  "before the source is read",
  "after the source is read",
  "before the computation ends",
  "encode",
  "timeToLive",
  "before Store.set",
  "after Store.set",
  "event Stored"
] as const

// The same for a read that finds an entry.
const warmSteps = ["varyBy", "before Store.get", "after Store.get", "event Hit", "decode"] as const

const observed = (reachUnsafe: (step: string) => void) =>
  Schema.Number.pipe(Schema.decodeTo(Schema.Number, {
    decode: SchemaGetter.transform((value: number) => {
      reachUnsafe("decode")
      return value
    }),
    encode: SchemaGetter.transform((value: number) => {
      reachUnsafe("encode")
      return value
    })
  }))

// A source, and a cached function of it that reaches all steps.
const sourced = Effect.fnUntraced(function*(way: typeof ways[number]) {
  const { reach, reachUnsafe } = yield* Steps
  const source = { value: 0, reads: 0 }
  const readSource = Effect.gen(function*() {
    yield* reach("before the source is read")
    source.reads++
    const { value } = source
    yield* reach("after the source is read")
    return value
  })
  const definition = {
    success: observed(reachUnsafe),
    varyBy: Effect.as(reach("varyBy"), "someone"),
    timeToLive: () => {
      reachUnsafe("timeToLive")
      return Duration.hours(1)
    }
  }
  const upFront = () => {
    reachUnsafe("deps")
    return ["source:7"]
  }
  if (way !== "taken over from a value that it reads") {
    const fn = yield* Cached.make(
      "fn",
      { ...definition, deps: way === "known up front" ? upFront : () => (reachUnsafe("deps"), []) },
      () =>
        Effect.gen(function*() {
          const value = yield* readSource
          if (way === "added late") yield* addDeps("source:7")
          yield* reach("before the computation ends")
          return value
        })
    )
    return { source, read: fn(), forget: fn.forget(), forgetAll: fn.forgetAll }
  }
  const inner = yield* Cached.make("inner", { success: Schema.Number, deps: upFront }, () => readSource)
  const outer = yield* Cached.make("outer", definition, () => Effect.tap(inner(), reach("before the computation ends")))
  return { source, read: outer(), forget: inner.forget(), forgetAll: inner.forgetAll }
})

const changeOf = (ending: typeof endings[number], fn: Effect.Success<ReturnType<typeof sourced>>) =>
  Effect.gen(function*() {
    const cache = yield* ResultCache.ResultCache
    const end = {
      "its tag": cache.invalidate(["source:7"]),
      "an ancestor of its tag": cache.invalidate(["source"]),
      everything: cache.clear,
      "the key": fn.forget,
      "the function": fn.forgetAll
    }[ending]
    return Effect.orDie(Effect.andThen(Effect.sync(() => fn.source.value++), end))
  })

describe("A read that is overtaken by an invalidation (scenario 22)", () => {
  describe.each(worlds)("%s", (_, world) => {
    // Whether the step was reached at all.
    const overtaken = (step: string, warm: boolean, way: typeof ways[number]) =>
      Effect.gen(function*() {
        const { arm } = yield* Steps
        const fn = yield* sourced(way)
        const scope = yield* Effect.scope
        let reached = false
        for (const ending of endings) {
          const what = `${ending}, ${way}`
          yield* clear
          if (warm) yield* fn.read
          const before = fn.source.value
          fn.source.reads = 0
          const change = yield* changeOf(ending, fn)
          const late: Array<Fiber.Fiber<number, unknown>> = []
          const act = Effect.gen(function*() {
            yield* change
            late.push(yield* Effect.forkIn(fn.read, scope, { startImmediately: true }))
          })
          yield* arm(step, act)
          assert.include([before, before + 1], yield* fn.read, what)
          reached ||= late.length > 0
          for (const fiber of late) {
            assert.strictEqual(yield* Fiber.join(fiber), before + 1, `${what}: started after invalidate returned`)
          }
          assert.strictEqual(yield* fn.read, fn.source.value, `${what}: after all that`)
          assert.strictEqual(yield* fn.read, fn.source.value, `${what}: and once more`)
          assert.isAtMost(fn.source.reads, 4, what)
        }
        return reached
      }).pipe(Effect.provide(world))

    const inEveryWay = Effect.fnUntraced(function*(step: string, warm: boolean) {
      const reached = yield* Effect.forEach(ways, (way) => overtaken(step, warm, way))
      return reached.includes(true)
    })

    it.effect.each(coldSteps)("and finds nothing, at the step: %s", (step) =>
      Effect.gen(function*() {
        const reached = yield* inEveryWay(step, false)
        const remote = yield* Effect.provide(Store.Store.use((store) => Effect.succeed(store.remote)), world)
        assert.strictEqual(reached, remote || !step.endsWith("Store.get"), "the step exists in this cache")
      }))

    it.effect.each(warmSteps)("and finds an entry, at the step: %s", (step) => inEveryWay(step, true))

    it.effect.each(endings)(
      "while others wait for its computation, by %s",
      (ending) =>
        Effect.forEach(ways, (way) =>
          Effect.gen(function*() {
            const { arm } = yield* Steps
            const fn = yield* sourced(way)
            const change = yield* changeOf(ending, fn)
            const read = yield* Deferred.make<void>()
            const gate = yield* Deferred.make<void>()
            yield* arm(
              "before the computation ends",
              Effect.andThen(Deferred.succeed(read, undefined), Deferred.await(gate))
            )
            const leader = yield* start(fn.read)
            yield* Deferred.await(read)
            const waiting = [yield* start(fn.read), yield* start(fn.read)]
            yield* change
            const late = [yield* start(fn.read), yield* start(fn.read)]
            yield* Deferred.succeed(gate, undefined)
            assert.include([0, 1], yield* Fiber.join(leader))
            for (const fiber of waiting) assert.include([0, 1], yield* Fiber.join(fiber))
            for (const fiber of late) assert.strictEqual(yield* Fiber.join(fiber), 1, `${ending}, ${way}`)
            assert.strictEqual(yield* fn.read, 1)
            assert.isAtMost(fn.source.reads, 4)
          }).pipe(Effect.provide(world)), { discard: true })
    )

    it.effect.each(endings)(
      "while its result is being written, by %s",
      (ending) =>
        Effect.forEach(ways, (way) =>
          Effect.gen(function*() {
            const { arm } = yield* Steps
            const fn = yield* sourced(way)
            const change = yield* changeOf(ending, fn)
            const writing = yield* Deferred.make<void>()
            const gate = yield* Deferred.make<void>()
            yield* arm("before Store.set", Effect.andThen(Deferred.succeed(writing, undefined), Deferred.await(gate)))
            const first = yield* start(fn.read)
            yield* Deferred.await(writing)
            yield* change
            const late = yield* start(fn.read)
            yield* Deferred.succeed(gate, undefined)
            assert.include([0, 1], yield* Fiber.join(first))
            assert.strictEqual(yield* Fiber.join(late), 1, `${ending}, ${way}`)
            assert.strictEqual(yield* fn.read, 1)
          }).pipe(Effect.provide(world)), { discard: true })
    )

    it.effect("by an invalidation that begins before it and ends after it", () =>
      Effect.forEach(ways, (way) =>
        Effect.gen(function*() {
          const log = yield* FaultyBroadcaster.FaultyBroadcaster
          const fn = yield* sourced(way)
          const cache = yield* ResultCache.ResultCache
          assert.strictEqual(yield* fn.read, 0)
          yield* log.become("slow")
          fn.source.value = 1
          const invalidation = yield* start(cache.invalidate(["source:7"]))
          assert.strictEqual(yield* fn.read, 1, "invalid here from the moment when it begins")
          fn.source.value = 2
          yield* log.release
          yield* Fiber.join(invalidation)
          assert.strictEqual(yield* fn.read, 2, `${way}: nothing from before it returned is kept`)
          assert.strictEqual(yield* fn.read, 2)
        }).pipe(Effect.provide(world)), { discard: true }))
  })
})

describe("A computation whose tag is invalidated while it runs", () => {
  it.effect.each(worlds)(
    "gives its callers the value, and later readers never (scenario 23): %s",
    ([, world]) =>
      Effect.gen(function*() {
        const { arm } = yield* Steps
        const test = yield* CacheTest.CacheTest
        const fn = yield* sourced("known up front")
        yield* arm("after the source is read", yield* changeOf("its tag", fn))
        assert.strictEqual(yield* fn.read, 0)
        const rejected = (yield* test.events).flatMap((event) => event._tag === "Rejected" ? [event.reason] : [])
        assert.deepStrictEqual(rejected, ["invalidated"])
        assert.deepStrictEqual(yield* test.stored, [])
        assert.strictEqual(yield* fn.read, 1)
        assert.strictEqual(yield* fn.read, 1)
      }).pipe(Effect.provide(world))
  )

  it.effect.each(worlds)(
    "is not joined by who comes after, and runs on for who came before (scenario 24): %s",
    ([, world]) =>
      Effect.gen(function*() {
        const test = yield* CacheTest.CacheTest
        const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()] as const
        const started = [yield* Deferred.make<void>(), yield* Deferred.make<void>()] as const
        let runs = 0
        const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => ["a"] }, () =>
          Effect.gen(function*() {
            const run = runs++
            yield* Deferred.succeed(started[run]!, undefined)
            yield* Deferred.await(gates[run]!)
            return run
          }))
        const early = yield* start(fn())
        yield* Deferred.await(started[0])
        yield* invalidate("a")
        const late = yield* start(fn())
        yield* Deferred.await(started[1])
        const later = yield* start(fn())
        assert.deepStrictEqual(yield* test.joined, ["fn {}"])
        // The newer one ends first: the older one neither replaces nor completes it.
        yield* Deferred.succeed(gates[1], undefined)
        assert.deepStrictEqual([yield* Fiber.join(late), yield* Fiber.join(later)], [1, 1])
        assert.strictEqual(yield* fn(), 1)
        yield* Deferred.succeed(gates[0], undefined)
        assert.strictEqual(yield* Fiber.join(early), 0)
        assert.strictEqual(yield* fn(), 1)
        assert.strictEqual(runs, 2)
      }).pipe(Effect.provide(world))
  )

  it.effect.each(worlds)(
    "does not answer, with a failure, who came after (scenario 24): %s",
    ([, world]) =>
      Effect.gen(function*() {
        const started = yield* Deferred.make<void>()
        const gate = yield* Deferred.make<void>()
        let runs = 0
        const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
          Effect.gen(function*() {
            if (runs++ > 0) return 7
            yield* Deferred.succeed(started, undefined)
            yield* Deferred.await(gate)
            yield* addDeps("a")
            return yield* Effect.fail("before" as const)
          }))
        const early = yield* start(Effect.flip(fn()))
        yield* Deferred.await(started)
        yield* invalidate("a")
        const late = yield* start(fn())
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(yield* Fiber.join(early), "before")
        assert.strictEqual(yield* Fiber.join(late), 7)
      }).pipe(Effect.provide(world))
  )

  it.effect.each(worlds)(
    "again and again, answers every caller after a bounded number of runs (scenario 25): %s",
    ([, world]) =>
      Effect.gen(function*() {
        const callers = 50
        let runs = 0
        const gate = yield* Deferred.make<void>()
        const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => ["a"] }, () =>
          Effect.gen(function*() {
            const run = ++runs
            if (run === 1) yield* Deferred.await(gate)
            // Whoever computes is overtaken, each time.
            yield* Effect.orDie(cacheInvalidate)
            return run
          }))
        const cache = yield* ResultCache.ResultCache
        const cacheInvalidate = cache.invalidate(["a"])
        const waiting = yield* Effect.forEach(Array.from({ length: callers }), () => start(fn()))
        assert.strictEqual(runs, 1)
        yield* Deferred.succeed(gate, undefined)
        const values = yield* Fiber.joinAll(waiting)
        assert.strictEqual(values.length, callers)
        assert.isAtMost(runs, callers)
        const before = runs
        yield* fn()
        assert.strictEqual(runs, before + 1)
      }).pipe(Effect.provide(world))
  )

  it.effect("asks again only once, whatever happens to the second computation (scenario 25)", () =>
    Effect.gen(function*() {
      const cache = yield* ResultCache.ResultCache
      const gates = yield* Effect.forEach([0, 1, 2, 3], () => Deferred.make<void>())
      const started = yield* Effect.forEach([0, 1, 2, 3], () => Deferred.make<void>())
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.gen(function*() {
          const run = runs++
          yield* Deferred.succeed(started[run]!, undefined)
          yield* Deferred.await(gates[run]!)
          yield* addDeps("a")
          return run
        }))
      const leader = yield* start(fn())
      yield* Deferred.await(started[0]!)
      const followers = [yield* start(fn()), yield* start(fn())]
      yield* cache.invalidate(["a"])
      yield* Deferred.succeed(gates[0]!, undefined)
      assert.strictEqual(yield* Fiber.join(leader), 0)
      yield* Deferred.await(started[1]!)
      yield* cache.invalidate(["a"])
      yield* Effect.forEach(gates, (gate) => Deferred.succeed(gate, undefined))
      // The first of them computes, the other one waits for it: what started after they came is good enough for both.
      assert.deepStrictEqual(yield* Fiber.joinAll(followers), [1, 1])
      assert.strictEqual(runs, 2)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("An invalidation that the log does not take", () => {
  it.effect("fails, and the tags stay invalid here until the log has taken it after all (scenario 54)", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      let runs = 0
      const fn = yield* Cached.make(
        "fn",
        { input: { n: Schema.Number }, success: Schema.Number, deps: ({ n }) => [tag`n:${n}`] },
        () => Effect.sync(() => ++runs)
      )
      assert.strictEqual(yield* fn({ n: 1 }), 1)
      assert.strictEqual(yield* fn({ n: 2 }), 2)
      yield* log.become("failing")
      const error = yield* Effect.flip(invalidate("n:1", "x"))
      assert.strictEqual(error.reason._tag, "LogError")
      assert.strictEqual(yield* fn({ n: 1 }), 3)
      assert.strictEqual(yield* fn({ n: 1 }), 4, "nothing is kept while nobody else knows")
      assert.strictEqual(yield* fn({ n: 2 }), 2, "nothing else is affected")
      assert.strictEqual((yield* counts).Invalidated, 0)
      yield* log.become("healthy")
      assert.strictEqual(yield* fn({ n: 1 }), 5)
      assert.strictEqual(yield* fn({ n: 1 }), 6)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* log.appended, [["n:1", "x"]])
      assert.strictEqual(yield* fn({ n: 1 }), 7)
      assert.strictEqual(yield* fn({ n: 1 }), 7)
    }).pipe(Effect.provide(faulty())))

  it.effect("is delivered before the next one, and so is a clear", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      let runs = 0
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, deps: () => ["a"] },
        () => Effect.sync(() => ++runs)
      )
      yield* fn()
      yield* log.become("failing")
      yield* Effect.flip(invalidate("a"))
      yield* Effect.flip(clear)
      yield* log.become("healthy")
      yield* fn()
      assert.strictEqual(yield* fn(), 3, "everything is held")
      yield* invalidate("b")
      assert.deepStrictEqual(yield* log.appended, [["a"], []])
      yield* fn()
      assert.strictEqual(yield* fn(), 4)
    }).pipe(Effect.provide(faulty())))

  it.effect("that fails thousands of times is remembered within bounds, as one that ends everything", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      let runs = 0
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, deps: () => ["other"] },
        () => Effect.sync(() => ++runs)
      )
      yield* fn()
      yield* log.become("failing")
      for (let n = 0; n < 10_001; n++) yield* Effect.exit(invalidate(tag`n:${n}`))
      yield* fn()
      assert.strictEqual(yield* fn(), 3)
      yield* log.become("healthy")
      yield* clear
      yield* fn()
      assert.strictEqual(yield* fn(), 4)
    }).pipe(Effect.provide(faulty())))

  it.effect("goes on although its caller is interrupted, because the record may be in the log", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      let runs = 0
      const fn = yield* Cached.make(
        "fn",
        { success: Schema.Number, deps: () => ["a"] },
        () => Effect.sync(() => ++runs)
      )
      yield* fn()
      yield* log.become("slow")
      const cache = yield* ResultCache.ResultCache
      const invalidation = yield* start(cache.invalidate(["a"]))
      yield* Fiber.interrupt(invalidation)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(invalidation)))
      assert.deepStrictEqual(yield* log.appended, [])
      assert.strictEqual(yield* fn(), 2)
      yield* log.release
      assert.deepStrictEqual(yield* log.appended, [["a"]])
      assert.strictEqual(yield* fn(), 3)
      assert.strictEqual(yield* fn(), 3)
    }).pipe(Effect.provide(faulty())))
})

describe("What the log tells", () => {
  const counter = Effect.gen(function*() {
    let runs = 0
    const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => ["a"] }, () => Effect.sync(() => ++runs))
    return fn()
  })

  const eventTags = CacheTest.CacheTest.use((test) =>
    Effect.map(
      test.events,
      (events) => events.map((event) => event._tag).filter((tag) => tag.startsWith("Log") || tag === "CaughtUp")
    )
  )

  it.effect("ends entries by records of others, in duplicate and in any order", () =>
    Effect.gen(function*() {
      const { inject } = yield* FaultyBroadcaster.FaultyBroadcaster
      const read = yield* counter
      const graph = yield* DependencyGraph.DependencyGraph
      yield* read
      const position = graph.position()
      yield* inject({ _tag: "Record", tags: ["b"], position: position + 5 })
      assert.strictEqual(yield* read, 1)
      yield* inject({ _tag: "Record", tags: ["a"], position: position + 3 })
      assert.strictEqual(yield* read, 2)
      yield* inject({ _tag: "Record", tags: ["a"], position: position + 3 })
      yield* inject({ _tag: "Record", tags: ["a"], position: position + 1 })
      assert.strictEqual(yield* read, 2)
      yield* inject({ _tag: "Heartbeat", position: position + 9 })
      assert.strictEqual(yield* read, 2)
      assert.deepStrictEqual(yield* eventTags, [])
    }).pipe(Effect.provide(faulty())))

  it.effect("ends everything by a gap, and computes from there on as before", () =>
    Effect.gen(function*() {
      const { inject } = yield* FaultyBroadcaster.FaultyBroadcaster
      const graph = yield* DependencyGraph.DependencyGraph
      const read = yield* counter
      yield* read
      yield* inject({ _tag: "Gap", position: graph.position() + 5 })
      assert.strictEqual(yield* read, 2)
      assert.strictEqual(yield* read, 2)
      assert.deepStrictEqual(yield* eventTags, ["LogGap"])
    }).pipe(Effect.provide(faulty())))

  it.effect("serves nothing that is held while the log is lost, and is fast again by itself", () =>
    Effect.gen(function*() {
      const { inject } = yield* FaultyBroadcaster.FaultyBroadcaster
      const graph = yield* DependencyGraph.DependencyGraph
      const read = yield* counter
      yield* read
      const error = yield* Effect.flip(invalidate("::"))
      yield* inject({ _tag: "Lost", error })
      assert.strictEqual(yield* read, 2)
      assert.strictEqual(yield* read, 3, "and nothing is stored")
      yield* inject({ _tag: "Gap", position: graph.position() + 5 })
      assert.strictEqual(yield* read, 4)
      assert.strictEqual(yield* read, 4)
      assert.deepStrictEqual(yield* eventTags, ["LogFailed", "CaughtUp"])
    }).pipe(Effect.provide(faulty())))

  it.effect("a computation that began before the log was lost and ends after it is followed again is not kept", () =>
    Effect.gen(function*() {
      const { inject } = yield* FaultyBroadcaster.FaultyBroadcaster
      const graph = yield* DependencyGraph.DependencyGraph
      const started = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.gen(function*() {
          const run = ++runs
          yield* Deferred.succeed(started, undefined)
          yield* Deferred.await(gate)
          return run
        }))
      const early = yield* start(fn())
      yield* Deferred.await(started)
      const error = yield* Effect.flip(invalidate("::"))
      yield* inject({ _tag: "Lost", error })
      yield* inject({ _tag: "Gap", position: graph.position() + 5 })
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(early), 1)
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(faulty())))
})

describe("Two caches over one log", () => {
  // The second one is as another process would be: its own store, its own graph.
  const cache = Layer.fresh(ResultCache.layer().pipe(Layer.provide([Store.layerMemory(), DependencyGraph.layer()])))

  it.effect("hear of each other's invalidations before they return", () =>
    Effect.gen(function*() {
      const here = yield* Layer.build(cache)
      const there = yield* Layer.build(cache)
      let source = 0
      const make = Cached.make("fn", { success: Schema.Number, deps: () => ["a"] }, () => Effect.sync(() => source))
      const readHere = (yield* make.pipe(Effect.provide(here)))()
      const readThere = (yield* make.pipe(Effect.provide(there)))()
      for (let n = 1; n < 10; n++) {
        assert.deepStrictEqual([yield* readHere, yield* readThere], [source, source])
        source = n
        yield* invalidate("a").pipe(Effect.provide(n % 2 === 0 ? here : there))
      }
    }).pipe(Effect.provide(Broadcaster.layerLocal)))

  it.effect("do not keep a computation that the other one's invalidation overtook", () =>
    Effect.gen(function*() {
      const here = yield* Layer.build(cache)
      const there = yield* Layer.build(cache)
      let source = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number, deps: () => ["a"] }, () =>
        Effect.gen(function*() {
          const value = source
          if (source === 0) {
            source = 1
            yield* Effect.orDie(invalidate("a").pipe(Effect.provide(there)))
          }
          return value
        })).pipe(Effect.provide(here))
      assert.strictEqual(yield* fn(), 0)
      assert.strictEqual(yield* fn(), 1)
      // An own record after that of the other one does not make up for it.
      yield* invalidate("b").pipe(Effect.provide(here))
      assert.strictEqual(yield* fn(), 1)
    }).pipe(Effect.provide(Broadcaster.layerLocal)))
})
