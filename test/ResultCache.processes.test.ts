/**
 * What a cache does that shares a store and a log with other processes. Here they are caches in one process, each with what
 * it has heard of the log so far, which the test decides.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import {
  addDeps,
  Broadcaster,
  ByteStore,
  Cached,
  cached,
  CacheError,
  type CacheEvent,
  type CachePolicy,
  Codec,
  DependencyGraph,
  invalidate,
  Lease,
  ResultCache,
  Store
} from "effect-cached"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { serve } from "./http.ts"
import { makeEntry } from "./suites/entries.ts"
import { start } from "./suites/worlds.ts"

const maxStaleness = 5000

const down = new CacheError.CacheError({ reason: new CacheError.LogError({ message: "down", cause: undefined }) })

/** Something that a test holds up: who passes waits while it is closed. */
const makeGate = () => {
  let closed: Deferred.Deferred<void> | undefined
  let waiting = 0
  return {
    close: Effect.sync(() => {
      closed ??= Deferred.makeUnsafe()
    }),
    open: Effect.suspend(() => {
      const gate = closed
      closed = undefined
      return gate === undefined ? Effect.void : Deferred.succeed(gate, undefined)
    }),
    pass: Effect.suspend(() => {
      if (closed === undefined) return Effect.void
      waiting++
      return Effect.ensuring(Deferred.await(closed), Effect.sync(() => waiting--))
    }),
    waiting: () => waiting
  }
}

/** The log that all share. */
const makeLog = () => {
  const records: Array<{ readonly tags: ReadonlyArray<string>; readonly position: number }> = []
  return {
    records,
    append: (tags: ReadonlyArray<string>) => {
      const position = 101 + records.length
      records.push({ tags, position })
      return position
    }
  }
}

/**
 * What one process knows of the log. It hears of what others append only when it asks. `before` holds a question up on its
 * way to the log, `after` the answer on its way back.
 */
const joinLog = (log: ReturnType<typeof makeLog>, bound: number) => {
  const followers = new Set<(change: Broadcaster.Change) => void>()
  const before = makeGate()
  const after = makeGate()
  const state = { silent: false, failing: false, asked: 0 }
  let told = log.records.length
  const tell = (change: Broadcaster.Change) => followers.forEach((follower) => follower(change))
  const hearUpTo = (end: number) => {
    while (told < end) tell({ _tag: "Record", ...log.records[told++]! })
  }
  const asks = <A>(question: () => A) =>
    Effect.gen(function*() {
      state.asked++
      const { failing } = state
      yield* before.pass
      const answer = failing ? undefined : question()
      const end = log.records.length
      yield* after.pass
      if (failing) return yield* down
      hearUpTo(end)
      return answer!
    })
  const service = Broadcaster.Broadcaster.of({
    append: (tags) => asks(() => log.append(tags)),
    catchUp: Effect.asVoid(asks(() => true)),
    isCurrent: () => !state.silent,
    maxStaleness: bound,
    follow: (follower) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          followers.add(follower)
          follower({ _tag: "Gap", position: 100 + told })
        }),
        () => Effect.sync(() => followers.delete(follower))
      )
  })
  return { service, state, before, after, tell, hear: Effect.sync(() => hearUpTo(log.records.length)) }
}

/** The store that all share: bytes, only seen through what is asked of it, and held up where the test says so. */
const makeFar = Effect.gen(function*() {
  const context = yield* Layer.build(Layer.fresh(ByteStore.layerMemory().pipe(Layer.provide(Codec.layerJson))))
  const bytes = Context.get(context, Store.Store)
  const operations: Array<string> = []
  const gates = { get: makeGate(), set: makeGate(), remove: makeGate() }
  const answers = makeGate()
  const state = { failing: false }
  const does = <A>(
    operation: keyof typeof gates,
    key: string,
    effect: Effect.Effect<A, CacheError.CacheError>
  ): Effect.Effect<A, CacheError.CacheError> =>
    Effect.suspend(() => {
      operations.push(`${operation} ${key.replace("\t", " ")}`)
      return Effect.andThen(gates[operation].pass, state.failing ? Effect.fail(down) : effect)
    })
  const service = Store.Store.of({
    ...bytes,
    remote: true,
    peek: () => undefined,
    get: (key) => Effect.ensuring(does("get", key, Effect.suspend(() => bytes.get(key))), answers.pass),
    set: (entry) => does("set", entry.key, Effect.suspend(() => bytes.set(entry))),
    remove: (key) => does("remove", key, Effect.suspend(() => bytes.remove(key)))
  })
  return { service, bytes, operations, gates, answers, state }
})

/** Leases of which the test sees what is taken and how it ends. */
const makeLeases = () => {
  interface Held {
    readonly over: Deferred.Deferred<Lease.Ending, CacheError.CacheError>
    ending: Lease.Ending
  }
  const held = new Map<string, Held>()
  const history: Array<string> = []
  let waiting = 0
  const release = (key: string, mine: Held) =>
    Effect.sync(() => {
      history.push(mine.ending)
      if (held.get(key) === mine) held.delete(key)
      Deferred.doneUnsafe(mine.over, Effect.succeed(mine.ending))
    })
  const state = { take: undefined as Lease.Lease["take"] | undefined }
  const service: Lease.Lease = {
    take: (key) =>
      Effect.suspend(() => {
        if (state.take !== undefined) return state.take(key)
        const other = held.get(key)
        if (other !== undefined) {
          history.push("taken")
          const ended = Effect.suspend(() => {
            waiting++
            return Effect.ensuring(Deferred.await(other.over), Effect.sync(() => waiting--))
          })
          return Effect.succeed<Lease.Taking>({ _tag: "Taken", ended })
        }
        const mine: Held = { over: Deferred.makeUnsafe(), ending: "nothing" }
        history.push("held")
        held.set(key, mine)
        return Effect.as(
          Effect.acquireRelease(Effect.void, () => release(key, mine)),
          {
            _tag: "Held" as const,
            give: (ending: "stored" | "nothing") => {
              mine.ending = ending
            }
          }
        )
      })
  }
  return {
    service,
    state,
    history,
    waiting: () => waiting,
    isHeld: (key: string) => held.has(key),
    /** As a process that has it and is not one of the test's. */
    hold: (key: string) => void held.set(key, { over: Deferred.makeUnsafe(), ending: "nothing" }),
    /** Ends what `hold` has, and for those who wait, in any way. */
    end: (key: string, how: Effect.Effect<Lease.Ending, CacheError.CacheError>, keep = false) =>
      Effect.suspend(() => {
        const { over } = held.get(key)!
        if (keep) held.set(key, { over: Deferred.makeUnsafe(), ending: "nothing" })
        else held.delete(key)
        return Deferred.completeWith(over, how)
      })
  }
}

type Far = Effect.Success<typeof makeFar>
type Leases = ReturnType<typeof makeLeases>

/** What processes share. */
const makeCluster = Effect.map(makeFar, (far) => ({ far, log: makeLog(), leases: makeLeases() }))

/** One process of a cluster. */
const makeNode = Effect.fnUntraced(function*(
  { far, leases, log }: { readonly far: Far; readonly log: ReturnType<typeof makeLog>; readonly leases: Leases },
  options: {
    readonly near?: boolean
    readonly leased?: boolean
    readonly bound?: number
    readonly clock?: Clock.Clock
  } = {}
) {
  const events: Array<CacheEvent.CacheEvent> = []
  const line = joinLog(log, options.bound ?? maxStaleness)
  const shared = Layer.succeed(Store.Store)(far.service)
  const store = options.near === false
    ? shared
    : Store.layerTiered({ near: Store.layerMemory(), far: shared })
  const layer = ResultCache.layer({ onEvent: (event) => events.push(event) }).pipe(
    Layer.provide([
      store,
      DependencyGraph.layer(),
      Layer.succeed(Broadcaster.Broadcaster)(line.service),
      Layer.succeed(Lease.Lease)(options.leased === true ? leases.service : undefined),
      options.clock === undefined ? Layer.empty : Layer.succeed(Clock.Clock)(options.clock)
    ])
  )
  const scope = yield* Scope.fork(yield* Scope.Scope)
  const cache = Context.get(yield* Layer.buildWithScope(Layer.fresh(layer), scope), ResultCache.ResultCache)
  return {
    cache,
    line,
    events,
    close: Scope.close(scope, Exit.void),
    provide: Effect.provideService(ResultCache.ResultCache, cache),
    kinds: () => events.map(({ _tag }) => _tag),
    rejected: () => events.flatMap((event) => event._tag === "Rejected" ? [event.reason] : []),
    faults: () =>
      events.flatMap((event) =>
        event._tag === "StoreFailed" || event._tag === "Undecodable" ? [`${event._tag} ${event.error.reason._tag}`] : []
      )
  }
})

type Node = Effect.Success<ReturnType<typeof makeNode>>

/** Rows with versions, and functions that read them. */
const makeSource = () => {
  let version = 1
  const gate = makeGate()
  const state = { runs: 0 }
  const read = Effect.gen(function*() {
    const read = version
    state.runs++
    yield* gate.pass
    return read
  })
  const make = (node: Node, consistency?: CachePolicy.Consistency, name = "row") =>
    node.provide(
      Cached.make(name, { success: Schema.Number, deps: () => ["row"], consistency, timeToLive: "1 hour" }, () => read)
    )
  return {
    gate,
    state,
    read,
    make,
    /** Changes the row. */
    update: Effect.sync(() => {
      version++
    }),
    /** Changes the row in another process, which invalidates it. Here that is only known to who asks. */
    updateElsewhere: ({ log }: { readonly log: ReturnType<typeof makeLog> }) =>
      Effect.sync(() => {
        version++
        log.append(["row"])
      })
  }
}

const key = "row\t{}"

// The same by every way that there is to a result: a reader of the version, strong or not.
const routes = (source: ReturnType<typeof makeSource>, consistency: CachePolicy.Consistency | undefined) => {
  const definition = { success: Schema.Number, deps: () => ["row"], consistency }
  return {
    "Cached.route": () => Cached.route("GET", "/", definition, () => source.read),
    "cached(fn)": (node: Node) =>
      Layer.unwrap(Effect.map(
        Effect.orDie(source.make(node, consistency)),
        (fn) => HttpRouter.add("GET", "/", cached(fn))
      )),
    "cached(handler, definition)": () => HttpRouter.add("GET", "/", cached(() => source.read, definition)),
    "cached(handler, deps)": () =>
      HttpRouter.add(
        "GET",
        "/",
        cached(Effect.map(source.read, (version) => HttpServerResponse.text(`${version}`)), {
          deps: ["row"],
          consistency
        })
      )
  }
}

// What a precomputation asks.
const impatient = (fn: Cached.Cached<{}, typeof Schema.Number>, node: Node) =>
  Effect.withFiber((fiber) =>
    Effect.flatMap(
      fn[Cached.TypeId].fn.keyed({}),
      ({ encoded, key }) =>
        node.cache.lookup({ ...fn[Cached.TypeId].request(key, encoded, undefined, fiber), patient: false })
    )
  )

const typed = (node: Node) =>
  node.provide(Cached.make(
    "typed",
    {
      success: Schema.Struct({ at: Schema.Date, map: Schema.ReadonlyMap(Schema.String, Schema.BigInt) }),
      consistency: "strong"
    },
    () => Effect.sync(() => ({ at: new Date(7), map: new Map([["a", 1n]]) }))
  ))

// A function over another one, which is held up after it has read that.
const nested = Effect.fnUntraced(function*(consistency?: CachePolicy.Consistency) {
  const cluster = yield* makeCluster
  const node = yield* makeNode(cluster)
  const source = makeSource()
  const inner = yield* source.make(node, undefined, "inner")
  const gate = makeGate()
  const state = { runs: 0 }
  const outer = yield* node.provide(
    Cached.make("outer", { success: Schema.Number, consistency }, () =>
      Effect.gen(function*() {
        state.runs++
        const value = yield* Effect.orDie(inner())
        yield* gate.pass
        return value
      }))
  )
  return { cluster, node, source, inner, outer, gate, state }
})

const isRunning = (...fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) =>
  fibers.map((fiber) => fiber.pollUnsafe() === undefined)

describe("A log that is silent (scenario 55)", () => {
  // The same row by every way that there is to it, with a line for each answer: the version, and whether it was a hit.
  const ways = Effect.fnUntraced(function*(node: Node, source: ReturnType<typeof makeSource>) {
    const fn = yield* source.make(node, undefined, "called")
    const routed = yield* source.make(node, undefined, "routed")
    const definition = { success: Schema.Number, deps: () => ["row"] }
    const { send } = yield* serve(
      Layer.mergeAll(
        Cached.route("GET", "/route", definition, () => source.read),
        HttpRouter.add("GET", "/function", cached(routed)),
        HttpRouter.add("GET", "/value", cached(() => source.read, definition)),
        HttpRouter.add(
          "GET",
          "/whole",
          cached(Effect.map(source.read, (version) => HttpServerResponse.text(`${version}`)), ["row"])
        )
      ),
      { layer: Layer.succeed(ResultCache.ResultCache)(node.cache), cache: node.cache, next: () => Effect.void }
    )
    return Effect.gen(function*() {
      const before = node.kinds().filter((kind) => kind === "Hit").length
      const answers = [`${yield* fn()}`]
      for (const path of ["/route", "/function", "/value", "/whole"]) answers.push((yield* send(path)).body)
      return { answers, hits: node.kinds().filter((kind) => kind === "Hit").length - before }
    })
  })

  it.effect.each([true, false])(
    "makes nothing be served of what is held, on any way; and the store and the leases are not asked (memory in front: %s)",
    (near) =>
      Effect.gen(function*() {
        const cluster = yield* makeCluster
        const node = yield* makeNode(cluster, { near, leased: true })
        const source = makeSource()
        const read = yield* ways(node, source)
        yield* read
        assert.deepStrictEqual(yield* read, { answers: ["1", "1", "1", "1", "1"], hits: 5 })
        yield* source.update
        node.line.state.silent = true
        const { far: { operations }, leases } = cluster
        operations.length = leases.history.length = 0
        assert.deepStrictEqual(yield* read, { answers: ["2", "2", "2", "2", "2"], hits: 0 })
        assert.deepStrictEqual(yield* read, { answers: ["2", "2", "2", "2", "2"], hits: 0 })
        assert.deepStrictEqual(node.rejected(), Array.from({ length: 10 }, () => "silent-log"))
        assert.deepStrictEqual([operations, leases.history], [[], []])
        assert.deepStrictEqual(node.faults(), [])
        node.line.state.silent = false
        assert.deepStrictEqual(yield* read, { answers: ["1", "1", "1", "1", "1"], hits: 5 })
      })
  )

  it.effect("is said to who asks why a result was not stored, also once it is known to be lost", () =>
    Effect.gen(function*() {
      const node = yield* makeNode(yield* makeCluster)
      const fn = yield* makeSource().make(node)
      node.line.state.silent = true
      yield* fn()
      node.line.tell({ _tag: "Lost", error: down })
      yield* fn()
      assert.deepStrictEqual(node.rejected(), ["silent-log", "silent-log"])
    }))

  it.effect("makes nothing be served that the store gives after it has become silent", () =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      const writer = yield* makeNode(cluster)
      const node = yield* makeNode(cluster)
      const source = makeSource()
      yield* (yield* source.make(writer))()
      const fn = yield* source.make(node)
      yield* cluster.far.gates.get.close
      const caller = yield* start(fn())
      node.line.state.silent = true
      yield* source.update
      yield* cluster.far.gates.get.open
      assert.strictEqual(yield* Fiber.join(caller), 2)
      assert.deepStrictEqual(node.rejected(), ["silent-log"])
      node.line.state.silent = false
      assert.strictEqual(yield* fn(), 1)
    }))

  it.effect("keeps what was computed meanwhile when it is heard before the end, and nothing was missed", () =>
    Effect.gen(function*() {
      const node = yield* makeNode(yield* makeCluster)
      const source = makeSource()
      const fn = yield* source.make(node)
      yield* source.gate.close
      node.line.state.silent = true
      node.line.tell({ _tag: "Lost", error: down })
      const caller = yield* start(fn())
      node.line.state.silent = false
      node.line.tell({ _tag: "Heartbeat", position: 100 })
      yield* source.gate.open
      assert.strictEqual(yield* Fiber.join(caller), 1)
      assert.deepStrictEqual(node.rejected(), [])
      assert.strictEqual(yield* fn(), 1)
      assert.strictEqual(source.state.runs, 1)
    }))

  it.effect("keeps nothing that was computed meanwhile when something was missed", () =>
    Effect.gen(function*() {
      const node = yield* makeNode(yield* makeCluster)
      const source = makeSource()
      const fn = yield* source.make(node)
      yield* source.gate.close
      node.line.state.silent = true
      const caller = yield* start(fn())
      node.line.state.silent = false
      node.line.tell({ _tag: "Gap", position: 101 })
      yield* source.gate.open
      yield* Fiber.join(caller)
      assert.deepStrictEqual(node.rejected(), ["invalidated"])
      yield* fn()
      assert.strictEqual(source.state.runs, 2)
    }))

  it.effect("keeps nothing that was begun before", () =>
    Effect.gen(function*() {
      const node = yield* makeNode(yield* makeCluster)
      const source = makeSource()
      const fn = yield* source.make(node)
      yield* source.gate.close
      const caller = yield* start(fn())
      node.line.state.silent = true
      yield* source.gate.open
      assert.strictEqual(yield* Fiber.join(caller), 1)
      assert.deepStrictEqual(node.rejected(), ["silent-log"])
    }))

  it.effect("does not keep an invalidation from being heard: what it ends stays ended when the log is back", () =>
    Effect.gen(function*() {
      const node = yield* makeNode(yield* makeCluster)
      const source = makeSource()
      const fn = yield* source.make(node)
      yield* fn()
      node.line.state.silent = true
      yield* source.update
      yield* node.provide(invalidate("row"))
      node.line.state.silent = false
      assert.deepStrictEqual([yield* fn(), yield* fn()], [2, 2])
      assert.strictEqual(source.state.runs, 2)
    }))
})

describe("A log that was lost (scenario 50)", () => {
  // Two rows that are held, then the log is lost.
  const lost = Effect.gen(function*() {
    const cluster = yield* makeCluster
    const node = yield* makeNode(cluster)
    const runs = { a: 0, b: 0 }
    const make = (name: "a" | "b") =>
      node.provide(
        Cached.make(name, { success: Schema.Number, deps: () => [name] }, () => Effect.sync(() => ++runs[name]))
      )
    const a = yield* make("a")
    const b = yield* make("b")
    const read = Effect.all([a(), b()])
    yield* read
    node.line.tell({ _tag: "Lost", error: down })
    assert.deepStrictEqual(yield* read, [2, 2])
    return { ...node, read }
  })

  it.effect("leaves everything as it was when nothing was missed after all", () =>
    Effect.gen(function*() {
      const { kinds, line, read } = yield* lost
      line.tell({ _tag: "Heartbeat", position: 100 })
      assert.strictEqual(kinds().at(-1), "CaughtUp")
      assert.deepStrictEqual(yield* read, [1, 1])
      line.tell({ _tag: "Heartbeat", position: 100 })
      assert.strictEqual(kinds().filter((kind) => kind === "CaughtUp").length, 1, "and says so once")
    }))

  it.effect("ends what the records say that were told meanwhile", () =>
    Effect.gen(function*() {
      const { line, read } = yield* lost
      line.tell({ _tag: "Record", tags: ["a"], position: 101 })
      assert.deepStrictEqual(yield* read, [3, 3], "and is still lost")
      line.tell({ _tag: "Heartbeat", position: 101 })
      assert.deepStrictEqual(yield* read, [4, 1])
    }))

  it.effect("ends everything where nobody knows what was missed", () =>
    Effect.gen(function*() {
      const { kinds, line, read } = yield* lost
      line.tell({ _tag: "Gap", position: 101 })
      assert.strictEqual(kinds().at(-1), "CaughtUp")
      assert.deepStrictEqual(yield* read, [3, 3])
      assert.deepStrictEqual(yield* read, [3, 3])
    }))

  it.effect("knows nothing by a heartbeat when it knew nothing before", () =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      const runs = { count: 0 }
      const line = joinLog(cluster.log, maxStaleness)
      const followers: Array<(change: Broadcaster.Change) => void> = []
      const log = Broadcaster.Broadcaster.of({
        ...line.service,
        follow: (follower) =>
          Effect.sync(() => {
            followers.push(follower)
            follower({ _tag: "Lost", error: down })
          })
      })
      const cache = yield* ResultCache.make().pipe(
        Effect.provide([Store.layerMemory(), DependencyGraph.layer(), Layer.succeed(Broadcaster.Broadcaster)(log)])
      )
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.sync(() => ++runs.count)).pipe(
        Effect.provideService(ResultCache.ResultCache, cache)
      )
      followers[0]!({ _tag: "Heartbeat", position: 100 })
      assert.deepStrictEqual([yield* fn(), yield* fn()], [1, 2])
      followers[0]!({ _tag: "Gap", position: 100 })
      assert.deepStrictEqual([yield* fn(), yield* fn()], [3, 3])
    }))
})

// A function that reads another one twice, and is held up in between.
const twice = Effect.fnUntraced(function*(consistency?: CachePolicy.Consistency) {
  const node = yield* makeNode(yield* makeCluster)
  const source = makeSource()
  const inner = yield* source.make(node, undefined, "inner")
  const gate = makeGate()
  const outer = yield* node.provide(
    Cached.make(
      "outer",
      { success: Schema.Array(Schema.Number), consistency },
      () =>
        Effect.orDie(Effect.gen(function*() {
          const first = yield* inner()
          yield* gate.pass
          return [first, yield* inner()]
        }))
    )
  )
  return { node, source, gate, outer, inner: () => source.state.runs }
})

// A function that is defined by itself at smaller inputs.
const fibonacci = Effect.fnUntraced(function*(consistency?: CachePolicy.Consistency) {
  const node = yield* makeNode(yield* makeCluster)
  const runs: Array<number> = []
  const fib: Cached.Cached<{ readonly n: typeof Schema.Number }, typeof Schema.Number> = yield* node.provide(
    Cached.make(
      "fib",
      { input: { n: Schema.Number }, success: Schema.Number, consistency },
      ({ n }): Effect.Effect<number> =>
        Effect.suspend(() => {
          runs.push(n)
          return n < 2
            ? Effect.succeed(n)
            : Effect.orDie(Effect.zipWith(fib({ n: n - 1 }), fib({ n: n - 2 }), (one, other) => one + other))
        })
    )
  )
  /** At which inputs it runs for that of 20. */
  const runsFor20 = Effect.gen(function*() {
    runs.length = 0
    assert.strictEqual(yield* fib({ n: 20 }), 6765)
    return runs.toSorted((one, other) => one - other)
  })
  return { node, runsFor20 }
})

const upTo20 = Array.from({ length: 21 }, (_, n) => n)

describe("A computation that runs while the log is silent (scenario 55)", () => {
  it.effect("computes what it asks for again and again once, also by others that it asks for", () =>
    Effect.gen(function*() {
      const { node, runsFor20 } = yield* fibonacci()
      node.line.state.silent = true
      assert.deepStrictEqual(yield* runsFor20, upTo20)
      // The next one is another computation.
      assert.deepStrictEqual(yield* runsFor20, upTo20)
    }))

  it.effect("is given again what it has computed for as long as that would be served", () =>
    Effect.gen(function*() {
      for (const [millis, expected] of [[maxStaleness, [1, 1]], [maxStaleness + 1, [1, 2]]] as const) {
        const { gate, node, outer, source } = yield* twice()
        node.line.state.silent = true
        yield* gate.close
        const reading = yield* start(outer())
        yield* source.update
        yield* TestClock.adjust(millis)
        yield* gate.open
        assert.deepStrictEqual(yield* Fiber.join(reading), [...expected])
      }
    }))

  it.effect("is not given again what was invalidated since", () =>
    Effect.gen(function*() {
      const { gate, node, outer, source } = yield* twice()
      node.line.state.silent = true
      yield* gate.close
      const reading = yield* start(outer())
      yield* source.update
      yield* node.provide(invalidate("row"))
      yield* gate.open
      assert.deepStrictEqual(yield* Fiber.join(reading), [1, 2])
    }))

  // Somebody asked, and waits; then the log is heard no more.
  const begun = Effect.fnUntraced(function*(options?: Parameters<typeof makeNode>[1]) {
    const cluster = yield* makeCluster
    const node = yield* makeNode(cluster, options)
    const source = makeSource()
    const fn = yield* source.make(node)
    yield* source.gate.close
    const first = yield* start(fn())
    node.line.state.silent = true
    yield* source.update
    return { cluster, node, source, fn, first }
  })

  it.effect("is shared for as long as what is stored would be served, to the millisecond", () =>
    Effect.gen(function*() {
      const { first, fn, source } = yield* begun()
      yield* TestClock.adjust(maxStaleness)
      const last = yield* start(fn())
      assert.strictEqual(source.state.runs, 1)
      yield* TestClock.adjust(1)
      const late = yield* start(fn())
      assert.strictEqual(source.state.runs, 2)
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, last, late]))], [1, 1, 2])
    }))

  it.effect("is shared for as long by those who come after the first who did not share it", () =>
    Effect.gen(function*() {
      const { first, fn, source } = yield* begun()
      yield* TestClock.adjust(maxStaleness + 1)
      const second = yield* start(fn())
      yield* TestClock.adjust(maxStaleness)
      const third = yield* start(fn())
      assert.strictEqual(source.state.runs, 2)
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, second, third]))], [1, 2, 2])
    }))

  it.effect("is shared again when the log is heard again and knows of nothing, however long it runs", () =>
    Effect.gen(function*() {
      const { first, fn, node, source } = yield* begun()
      yield* TestClock.adjust(10 * maxStaleness)
      node.line.state.silent = false
      const second = yield* start(fn())
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, second]))], [1, 1])
      assert.strictEqual(source.state.runs, 1)
    }))

  it.effect("is shared for no longer while its result is being stored", () =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      // A bound below the time that the store has to answer.
      const node = yield* makeNode(cluster, { near: false, bound: 500 })
      const source = makeSource()
      const fn = yield* source.make(node)
      yield* cluster.far.gates.set.close
      assert.strictEqual(yield* fn(), 1)
      node.line.state.silent = true
      yield* source.update
      yield* TestClock.adjust(500)
      assert.strictEqual(yield* fn(), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* fn(), 2)
    }))

  it.effect("is shared no longer than what it has read would be served", () =>
    Effect.gen(function*() {
      const { cluster, gate, inner, node, outer, source } = yield* nested()
      yield* inner()
      yield* source.updateElsewhere(cluster)
      yield* gate.close
      // The log was heard from just before the change: for so long it is relied on.
      yield* TestClock.adjust(maxStaleness - 1)
      const first = yield* start(outer())
      yield* TestClock.adjust(2)
      node.line.state.silent = true
      const second = yield* start(outer())
      yield* gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, second]))], [1, 2])
    }))

  it.effect("is shared no longer than what it waits for would be shared", () =>
    Effect.gen(function*() {
      const { cluster, inner, node, outer, source } = yield* nested()
      yield* source.gate.close
      const before = yield* start(inner())
      node.line.state.silent = true
      yield* source.updateElsewhere(cluster)
      yield* TestClock.adjust(maxStaleness)
      const first = yield* start(outer())
      assert.strictEqual(source.state.runs, 1)
      yield* TestClock.adjust(maxStaleness)
      const second = yield* start(outer())
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([before, first, second]))], [1, 1, 2])
    }))

  it.effect("is shared no longer than what would be served of what those have read for which it waits", () =>
    Effect.gen(function*() {
      const { cluster, gate, inner, node, outer, source } = yield* nested()
      const outermost = yield* node.provide(
        Cached.make("outermost", { success: Schema.Number }, () => Effect.orDie(outer()))
      )
      const another = yield* node.provide(
        Cached.make("another", { success: Schema.Number }, () => Effect.orDie(outermost()))
      )
      yield* inner()
      yield* source.updateElsewhere(cluster)
      yield* gate.close
      yield* TestClock.adjust(maxStaleness - 1)
      const first = yield* start(outermost())
      const second = yield* start(another())
      yield* TestClock.adjust(2)
      node.line.state.silent = true
      const third = yield* start(outermost())
      const fourth = yield* start(another())
      yield* gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, second, third, fourth]))], [1, 1, 2, 2])
    }))

  it.effect("is not shared at all where the log has no bound", () =>
    Effect.gen(function*() {
      const { first, fn, source } = yield* begun({ bound: 0 })
      const second = yield* start(fn())
      assert.strictEqual(source.state.runs, 2)
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, second]))], [1, 2])
    }))

  it.effect.each(
    [
      ["the wall clock is set back", { wall: -3_600_000, monotonic: maxStaleness + 1 }],
      ["the monotonic clock stands still", { wall: maxStaleness + 1, monotonic: 0 }]
    ] as const
  )("is shared for no longer when %s", ([, after]) =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let wall = 10_000_000
      let monotonic = 0
      const own = Object.assign(Object.create(clock) as Clock.Clock, {
        currentTimeMillisUnsafe: () => wall,
        monotonicTimeNanosUnsafe: () => BigInt(monotonic) * 1_000_000n
      })
      const { first, fn, source } = yield* begun({ clock: own })
      wall += after.wall
      monotonic += after.monotonic
      const late = yield* start(fn())
      assert.strictEqual(source.state.runs, 2)
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, late]))], [1, 2])
    }))

  it.effect("is shared when a clock that was set back says that no time has passed, and none has", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let wall = 10_000_000
      const own = Object.assign(Object.create(clock) as Clock.Clock, { currentTimeMillisUnsafe: () => wall })
      const { first, fn, source } = yield* begun({ clock: own })
      wall -= 3_600_000
      const second = yield* start(fn())
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, second]))], [1, 1])
      assert.strictEqual(source.state.runs, 1)
    }))

  it.effect("counts from where it began to compute, not from where it began to wait for a lease", () =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      const node = yield* makeNode(cluster, { leased: true })
      const source = makeSource()
      const fn = yield* source.make(node)
      yield* source.gate.close
      cluster.leases.hold(key)
      const first = yield* start(fn())
      yield* TestClock.adjust(10 * maxStaleness)
      yield* cluster.leases.end(key, Effect.succeed("nothing"))
      assert.strictEqual(source.state.runs, 1)
      node.line.state.silent = true
      yield* TestClock.adjust(maxStaleness)
      const second = yield* start(fn())
      assert.strictEqual(source.state.runs, 1)
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, second]))], [1, 1])
    }))
})

describe("An entry that is ahead of what this process has heard (scenario 51)", () => {
  // Another process has heard of a record, and stored a result after it.
  const ahead = Effect.fnUntraced(function*(options?: Parameters<typeof makeNode>[1]) {
    const cluster = yield* makeCluster
    const node = yield* makeNode(cluster, options)
    const source = makeSource()
    const writer = yield* makeNode(cluster)
    yield* source.update
    yield* writer.provide(invalidate("row"))
    yield* (yield* source.make(writer))()
    const fn = yield* source.make(node)
    const stored = (yield* cluster.far.bytes.get(key))!
    assert.strictEqual(stored.position, 101)
    cluster.far.operations.length = 0
    return { cluster, node, source, writer, fn, stored, operations: cluster.far.operations }
  })

  // As it is left in a store by processes whose log was lost.
  const foreign = Effect.fnUntraced(function*(options?: Parameters<typeof makeNode>[1]) {
    const world = yield* ahead(options)
    const { fingerprint, tags } = world.stored
    const entry = makeEntry(key, { fingerprint, tags, position: 1_000_000, body: "99" })
    assert.strictEqual(yield* world.cluster.far.bytes.set(entry), "stored")
    yield* world.node.line.hear
    return { ...world, entry }
  })

  it.effect.each([true, false])(
    "is served when the log says that it was heard of there (memory in front: %s)",
    (near) =>
      Effect.gen(function*() {
        const { fn, node, operations, source } = yield* ahead({ near })
        assert.strictEqual(yield* fn(), 2)
        assert.strictEqual(source.state.runs, 1)
        assert.strictEqual(node.line.state.asked, 1)
        assert.deepStrictEqual(operations, ["get row {}"])
        assert.strictEqual(yield* fn(), 2)
        assert.strictEqual(node.line.state.asked, 1, "and from then on without a question")
        assert.deepStrictEqual(node.faults(), [])
      })
  )

  it.effect("is a miss when what the log says has ended it since", () =>
    Effect.gen(function*() {
      const { cluster, fn, node, source } = yield* ahead()
      yield* source.update
      cluster.log.append(["row"])
      assert.strictEqual(yield* fn(), 3)
      assert.strictEqual(source.state.runs, 2)
      assert.deepStrictEqual(node.faults(), [])
    }))

  it.effect("is not served before the log has answered, by nobody", () =>
    Effect.gen(function*() {
      const { fn, node, source } = yield* ahead()
      yield* node.line.before.close
      const first = yield* start(fn())
      const second = yield* start(fn())
      assert.deepStrictEqual(isRunning(first, second), [true, true])
      yield* node.line.before.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, second]))], [2, 2])
      assert.strictEqual(source.state.runs, 1)
    }))

  it.effect.each([true, false])(
    "is discarded when the log has never been there: counted, removed, computed anew and stored (memory in front: %s)",
    (near) =>
      Effect.gen(function*() {
        const { cluster, fn, node, operations, source } = yield* foreign({ near })
        assert.strictEqual(yield* fn(), 2)
        assert.deepStrictEqual(node.faults(), ["Undecodable CodecError"])
        assert.deepStrictEqual(operations, ["get row {}", "remove row {}", "set row {}"])
        assert.strictEqual((yield* cluster.far.bytes.get(key))!.position, 101)
        assert.strictEqual(yield* fn(), 2)
        assert.strictEqual(source.state.runs, 2)
        const undecodable = node.events.find((event) => event._tag === "Undecodable")!
        assert.nestedPropertyVal(undecodable, "error.reason.problem", "foreign")
        assert.include(undecodable.error.message, "1000000")
      })
  )

  it.effect("is discarded once, however many find it at once", () =>
    Effect.gen(function*() {
      const { fn, node, operations } = yield* foreign()
      yield* node.line.before.close
      const callers = yield* Effect.forEach(Array.from({ length: 10 }), () => start(fn()))
      yield* node.line.before.open
      assert.deepStrictEqual(new Set(yield* Fiber.joinAll(callers)), new Set([2]))
      assert.deepStrictEqual(node.faults(), ["Undecodable CodecError"])
      assert.deepStrictEqual(operations, ["get row {}", "remove row {}", "set row {}"])
    }))

  it.effect("costs nobody the value when it cannot be removed", () =>
    Effect.gen(function*() {
      const { cluster, fn, node } = yield* foreign({ near: false })
      yield* cluster.far.gates.remove.close
      const caller = yield* start(fn())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(caller), 2)
      assert.deepStrictEqual(node.faults(), ["Undecodable CodecError", "StoreFailed TimeoutError"])
      assert.deepStrictEqual(node.rejected(), ["superseded"])
    }))

  it.effect.each([true, false])(
    "is neither served nor removed while the log cannot be asked (memory in front: %s)",
    (near) =>
      Effect.gen(function*() {
        const { cluster, fn, node, operations, source, stored } = yield* ahead({ near })
        node.line.state.failing = true
        yield* source.update
        assert.strictEqual(yield* fn(), 3)
        assert.strictEqual(yield* fn(), 3)
        assert.strictEqual(source.state.runs, 3)
        assert.isFalse(operations.some((operation) => operation.startsWith("remove")))
        assert.deepStrictEqual(node.faults(), [])
        assert.strictEqual((yield* cluster.far.bytes.get(key))!.position, stored.position, "it is not replaced either")
        node.line.state.failing = false
        assert.strictEqual(yield* fn(), 2, "which is still what the log stands for")
      })
  )

  it.effect("is not served out of the memory in front, which has a copy of it, before it was reached", () =>
    Effect.gen(function*() {
      const { cluster, fn, node, source, stored } = yield* ahead()
      node.line.state.failing = true
      yield* fn()
      // Now nobody but the memory in front has it.
      yield* cluster.far.bytes.clear
      assert.isUndefined(node.cache.peek(key, stored.fingerprint))
      yield* node.line.hear
      node.line.state.failing = false
      assert.strictEqual(yield* fn(), 2)
      assert.strictEqual(source.state.runs, 2)
    }))
})

describe("A strong read (scenario 55)", () => {
  const strong = Effect.fnUntraced(function*(options?: Parameters<typeof makeNode>[1]) {
    const cluster = yield* makeCluster
    const node = yield* makeNode(cluster, options)
    const source = makeSource()
    return { cluster, node, source, fn: yield* source.make(node, "strong") }
  })

  for (const way of Object.keys(routes(makeSource(), "strong")) as ReadonlyArray<keyof ReturnType<typeof routes>>) {
    it.effect(`asks the log before it takes what is held: ${way}`, () =>
      Effect.gen(function*() {
        for (const consistency of ["strong", undefined] as const) {
          const cluster = yield* makeCluster
          const node = yield* makeNode(cluster)
          const source = makeSource()
          const { send } = yield* serve(
            routes(source, consistency)[way](node),
            { layer: Layer.succeed(ResultCache.ResultCache)(node.cache), cache: node.cache, next: () => Effect.void }
          )
          const read = Effect.map(send("/"), ({ body }) => body)
          assert.deepStrictEqual([yield* read, yield* read], ["1", "1"])
          assert.strictEqual(source.state.runs, 1)
          assert.strictEqual(node.line.state.asked, consistency === "strong" ? 2 : 0)
          yield* source.updateElsewhere(cluster)
          assert.deepStrictEqual([yield* read, yield* read], consistency === "strong" ? ["2", "2"] : ["1", "1"])
          node.line.state.failing = true
          yield* source.updateElsewhere(cluster)
          assert.deepStrictEqual([yield* read, yield* read], consistency === "strong" ? ["3", "3"] : ["1", "1"])
          assert.strictEqual(source.state.runs, consistency === "strong" ? 4 : 1)
        }
      }))
  }

  it.effect("asks the log each time, and the store only where nothing is held", () =>
    Effect.gen(function*() {
      const { cluster, fn, node, source } = yield* strong()
      for (let n = 1; n <= 3; n++) {
        assert.strictEqual(yield* fn(), 1)
        assert.strictEqual(node.line.state.asked, n)
      }
      assert.deepStrictEqual(cluster.far.operations, ["get row {}", "set row {}"])
      assert.strictEqual(source.state.runs, 1)
    }))

  it.effect.each([true, false])(
    "asks log and store at the same time (memory in front: %s)",
    (near) =>
      Effect.gen(function*() {
        const { cluster, fn, node, source } = yield* strong({ near })
        yield* (yield* source.make(yield* makeNode(cluster), "strong"))()
        cluster.far.operations.length = 0
        yield* node.line.before.close
        yield* cluster.far.gates.get.close
        const reader = yield* start(fn())
        assert.deepStrictEqual([node.line.before.waiting(), cluster.far.gates.get.waiting()], [1, 1])
        yield* node.line.before.open
        assert.deepStrictEqual(isRunning(reader), [true])
        yield* cluster.far.gates.get.open
        assert.strictEqual(yield* Fiber.join(reader), 1)
        assert.deepStrictEqual(cluster.far.operations, ["get row {}"], "once")
        assert.strictEqual(node.line.state.asked, 1)
        assert.strictEqual(source.state.runs, 1)
      })
  )

  describe("never gives what was invalidated elsewhere before it began", () => {
    // When the question comes to the log, when its answer comes here, when the store is asked, and when its answer comes.
    const orders = [
      ["ask", "told", "get", "got"],
      ["ask", "get", "told", "got"],
      ["ask", "get", "got", "told"],
      ["get", "ask", "told", "got"],
      ["get", "ask", "got", "told"],
      ["get", "got", "ask", "told"]
    ] as const

    const holders = ["here", "in the store", "here and in the store", "nowhere"] as const

    for (const order of orders) {
      it.effect.each(holders)(`${order.join(", ")}: where the old one is %s`, (where) =>
        Effect.gen(function*() {
          const { cluster, fn, node, source } = yield* strong()
          const other = yield* source.make(yield* makeNode(cluster), "strong")
          if (where.includes("here")) yield* fn()
          if (where === "here") yield* cluster.far.bytes.clear
          if (where === "in the store") yield* other()
          yield* source.updateElsewhere(cluster)
          const gates = {
            ask: node.line.before,
            told: node.line.after,
            get: cluster.far.gates.get,
            got: cluster.far.answers
          }
          for (const step of order) yield* gates[step].close
          const reader = yield* start(fn())
          for (const step of order) yield* gates[step].open
          assert.strictEqual(yield* Fiber.join(reader), 2)
          assert.strictEqual(yield* fn(), 2)
        }))
    }

    it.effect("in a computation that began before, and depends on it", () =>
      Effect.gen(function*() {
        const { cluster, fn, source } = yield* strong()
        yield* source.gate.close
        const before = yield* start(fn())
        yield* source.updateElsewhere(cluster)
        const after = yield* start(fn())
        yield* source.gate.open
        assert.deepStrictEqual([...(yield* Fiber.joinAll([before, after]))], [1, 2])
        assert.strictEqual(source.state.runs, 2)
      }))

    it.effect("in a computation that began before, and learns only later that it depends on it", () =>
      Effect.gen(function*() {
        const cluster = yield* makeCluster
        const node = yield* makeNode(cluster)
        const source = makeSource()
        const fn = yield* node.provide(Cached.make(
          "late",
          { success: Schema.Number, consistency: "strong" },
          () => Effect.tap(source.read, () => addDeps("row"))
        ))
        yield* source.gate.close
        const before = yield* start(fn())
        yield* source.updateElsewhere(cluster)
        const after = yield* start(fn())
        yield* source.gate.open
        assert.deepStrictEqual([...(yield* Fiber.joinAll([before, after]))], [1, 2])
        assert.strictEqual(source.state.runs, 2)
      }))

    it.effect("in what it is computed from, which is read as it is otherwise", () =>
      Effect.gen(function*() {
        const { cluster, node, source } = yield* strong()
        const inner = yield* source.make(node, undefined, "inner")
        const outer = yield* node.provide(
          Cached.make("outer", { success: Schema.Number, consistency: "strong" }, () => Effect.orDie(inner()))
        )
        assert.deepStrictEqual([yield* inner(), yield* outer()], [1, 1])
        yield* source.updateElsewhere(cluster)
        assert.strictEqual(yield* inner(), 1)
        assert.strictEqual(yield* outer(), 2)
        assert.strictEqual(yield* inner(), 2)
        assert.strictEqual(source.state.runs, 2)
      }))
  })

  it.effect("is computed when the log fails, whatever is held and stored, and is kept for as long as others hear the log", () =>
    Effect.gen(function*() {
      const { cluster, fn, node, source } = yield* strong()
      yield* fn()
      node.line.state.failing = true
      yield* source.update
      assert.strictEqual(yield* fn(), 2)
      assert.deepStrictEqual(node.faults(), [])
      assert.deepStrictEqual(node.kinds().filter((kind) => kind === "Stored").length, 2)
      node.line.state.failing = false
      assert.strictEqual(yield* fn(), 2)
      assert.strictEqual(source.state.runs, 2)
      assert.isDefined(yield* cluster.far.bytes.get(key))
    }))

  it.effect("is computed and not kept when the log fails and is silent", () =>
    Effect.gen(function*() {
      const { cluster, fn, node, source } = yield* strong()
      yield* fn()
      node.line.state.failing = node.line.state.silent = true
      cluster.far.operations.length = 0
      yield* source.update
      assert.deepStrictEqual([yield* fn(), yield* fn()], [2, 2])
      assert.deepStrictEqual(node.rejected(), ["silent-log", "silent-log"])
      assert.isFalse(cluster.far.operations.includes("set row {}"))
    }))

  it.effect("does not ask the store when the log fails at once", () =>
    Effect.gen(function*() {
      const { cluster, fn, node, source } = yield* strong({ near: false })
      yield* fn()
      node.line.state.failing = true
      cluster.far.operations.length = 0
      assert.strictEqual(yield* fn(), 1)
      assert.strictEqual(source.state.runs, 2)
      assert.deepStrictEqual(cluster.far.operations, ["set row {}"])
    }))

  it.effect("does not share a computation that began before it came when the log fails, but one that began later", () =>
    Effect.gen(function*() {
      const { fn, node, source } = yield* strong()
      yield* source.gate.close
      const before = yield* start(fn())
      node.line.state.failing = true
      yield* source.update
      yield* node.line.before.close
      const readers = yield* Effect.forEach(Array.from({ length: 10 }), () => start(fn()))
      assert.strictEqual(source.state.runs, 1)
      yield* node.line.before.open
      assert.strictEqual(source.state.runs, 2)
      // It comes after that one began.
      yield* source.update
      const late = yield* start(fn())
      assert.strictEqual(source.state.runs, 3)
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([before, ...readers, late]))], [1, ...readers.map(() => 2), 3])
    }))

  it.effect("does not share what a later reader finds in the store when the log fails", () =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      const { far, leases } = cluster
      const source = makeSource()
      const node = yield* makeNode(cluster, { leased: true })
      const fn = yield* source.make(node, "strong")
      const other = yield* source.make(yield* makeNode(cluster), "strong")
      leases.hold(key)
      // Another process computes it from what is there now, and has not stored it yet.
      yield* far.gates.set.close
      yield* other()
      // One has asked the log, and is told late.
      yield* node.line.after.close
      const first = yield* start(fn())
      yield* source.updateElsewhere(cluster)
      node.line.state.failing = true
      const second = yield* start(fn())
      yield* node.line.after.open
      yield* far.gates.set.open
      if (leases.isHeld(key)) yield* leases.end(key, Effect.succeed("stored"))
      assert.include([1, 2], yield* Fiber.join(first))
      assert.strictEqual(yield* Fiber.join(second), 2)
    }))

  it.effect("is not computed from what is held when the log fails", () =>
    Effect.gen(function*() {
      const { cluster, inner, node, outer, source } = yield* nested("strong")
      yield* inner()
      yield* source.updateElsewhere(cluster)
      node.line.state.failing = true
      assert.strictEqual(yield* outer(), 2)
    }))

  it.effect("of itself at other inputs computes each of them once when the log fails", () =>
    Effect.gen(function*() {
      const { node, runsFor20 } = yield* fibonacci("strong")
      assert.deepStrictEqual(yield* runsFor20, upTo20)
      assert.deepStrictEqual(yield* runsFor20, [])
      node.line.state.failing = true
      for (const silent of [false, true]) {
        node.line.state.silent = silent
        assert.deepStrictEqual(yield* runsFor20, upTo20)
        // Another read is another question.
        assert.deepStrictEqual(yield* runsFor20, upTo20)
      }
    }))

  it.effect("is not given again when the log fails, and what was read is invalidated while it is computed from", () =>
    Effect.gen(function*() {
      const { gate, inner, node, outer, source } = yield* twice("strong")
      node.line.state.failing = true
      yield* gate.close
      const reading = yield* start(outer())
      yield* source.update
      node.line.tell({ _tag: "Record", tags: ["row"], position: 200 })
      yield* gate.open
      assert.deepStrictEqual(yield* Fiber.join(reading), [1, 2])
      assert.strictEqual(inner(), 2)
    }))

  it.effect("runs again what has failed in it and is tried again when the log fails", () =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      const node = yield* makeNode(cluster)
      node.line.state.failing = true
      let runs = 0
      const inner = yield* node.provide(
        Cached.make("inner", { success: Schema.Number }, () =>
          Effect.suspend(() =>
            ++runs < 3 ? Effect.fail("not yet") : Effect.succeed(runs)
          ))
      )
      const outer = yield* node.provide(
        Cached.make("outer", { success: Schema.Number, consistency: "strong" }, () =>
          Effect.orDie(Effect.retry(inner(), { times: 5 })))
      )
      assert.strictEqual(yield* outer(), 3)
      assert.strictEqual(runs, 3)
    }))

  it.effect("shares what others compute at the same time", () =>
    Effect.gen(function*() {
      const { fn, node, source } = yield* strong()
      yield* node.line.before.close
      yield* source.gate.close
      const together = yield* Effect.forEach(Array.from({ length: 10 }), () => start(fn()))
      yield* node.line.before.open
      const later = yield* Effect.forEach(Array.from({ length: 10 }), () => start(fn()))
      yield* source.gate.open
      assert.deepStrictEqual(new Set(yield* Fiber.joinAll([...together, ...later])), new Set([1]))
      assert.strictEqual(source.state.runs, 1)
    }))

  it.effect("gives the same value of the same type, computed, held here or stored elsewhere", () =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      const here = yield* typed(yield* makeNode(cluster))
      const elsewhere = yield* typed(yield* makeNode(cluster))
      const values = [yield* here(), yield* here(), yield* elsewhere(), yield* elsewhere()]
      for (const value of values) {
        assert.deepStrictEqual(value, { at: new Date(7), map: new Map([["a", 1n]]) })
        assert.instanceOf(value.at, Date)
      }
    }))

  it.effect("asks nothing once its caller has left", () =>
    Effect.gen(function*() {
      const { cluster, fn, node, source } = yield* strong()
      yield* node.line.before.close
      yield* cluster.far.gates.get.close
      const reader = yield* start(fn())
      yield* Fiber.interrupt(reader)
      assert.deepStrictEqual([node.line.before.waiting(), cluster.far.gates.get.waiting()], [0, 0])
      yield* node.line.before.open
      yield* cluster.far.gates.get.open
      assert.strictEqual(source.state.runs, 0)
      assert.strictEqual(yield* fn(), 1)
    }))

  it.effect("of its own key fails and does not hang", () =>
    Effect.gen(function*() {
      for (const failing of [false, true]) {
        const node = yield* makeNode(yield* makeCluster)
        node.line.state.failing = failing
        const fn: Cached.Cached<{}, typeof Schema.Number> = yield* node.provide(Cached.make(
          "self",
          { success: Schema.Number, consistency: "strong" },
          (): Effect.Effect<number> => Effect.orDie(fn())
        ))
        const exit = yield* Effect.exit(fn())
        assert.isTrue(Exit.isFailure(exit))
        assert.include(String(exit), "asks for its own result")
      }
    }))

  it.effect("waits for a log that is slow, and takes it for one that fails when it dies", () =>
    Effect.gen(function*() {
      const { cluster, node, source } = yield* strong()
      const dying = Broadcaster.Broadcaster.of({ ...node.line.service, catchUp: Effect.die("a bug in the log") })
      const cache = yield* ResultCache.make().pipe(Effect.provide([
        Layer.succeed(Store.Store)(cluster.far.service),
        DependencyGraph.layer(),
        Layer.succeed(Broadcaster.Broadcaster)(dying)
      ]))
      const fn = yield* source.make(
        { ...node, provide: Effect.provideService(ResultCache.ResultCache, cache) },
        "strong"
      )
      assert.deepStrictEqual([yield* fn(), yield* fn()], [1, 1])
      assert.strictEqual(source.state.runs, 2)
    }))
})

describe("Processes with leases (scenario 56)", () => {
  const leased = Effect.fnUntraced(function*(options?: Parameters<typeof makeNode>[1]) {
    const cluster = yield* makeCluster
    const source = makeSource()
    const process = Effect.gen(function*() {
      const node = yield* makeNode(cluster, { leased: true, ...options })
      return { ...node, fn: yield* source.make(node) }
    })
    return { ...cluster, cluster, source, process, here: yield* process, there: yield* process }
  })

  it.effect("compute what all of them miss once", () =>
    Effect.gen(function*() {
      const { here, leases, process, source, there } = yield* leased()
      const third = yield* process
      yield* source.gate.close
      const callers = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, n) => [here, there, third][n % 3]!),
        ({ fn }) => start(fn())
      )
      assert.strictEqual(source.state.runs, 1)
      yield* source.gate.open
      assert.deepStrictEqual(new Set(yield* Fiber.joinAll(callers)), new Set([1]))
      assert.strictEqual(source.state.runs, 1)
      assert.deepStrictEqual(leases.history, ["held", "taken", "taken", "stored"])
      assert.deepStrictEqual([here, there, third].flatMap((node) => node.faults()), [])
      assert.deepStrictEqual([yield* here.fn(), yield* there.fn(), yield* third.fn()], [1, 1, 1])
    }))

  it.effect("ask the store before the lease, and once more when they have it", () =>
    Effect.gen(function*() {
      const { far, here, leases, source } = yield* leased()
      yield* here.fn()
      assert.deepStrictEqual(far.operations, ["get row {}", "get row {}", "set row {}"])
      far.operations.length = leases.history.length = 0
      yield* here.fn()
      assert.deepStrictEqual([far.operations, leases.history, source.state.runs], [[], [], 1])
    }))

  it.effect("take what was stored between the look into the store and the lease", () =>
    Effect.gen(function*() {
      const { far, here, leases, source, there } = yield* leased()
      const { take } = leases.service
      leases.state.take = (key) =>
        Effect.suspend(() => {
          leases.state.take = undefined
          // Somebody else has it, stores a result, and gives it back.
          return Effect.andThen(Effect.orDie(there.fn()), take(key))
        })
      assert.strictEqual(yield* here.fn(), 1)
      assert.strictEqual(source.state.runs, 1)
      assert.deepStrictEqual(leases.history, ["held", "stored", "held", "nothing"])
      assert.strictEqual(far.operations.filter((operation) => operation === "set row {}").length, 1)
    }))

  describe("end to wait", () => {
    const waiting = Effect.gen(function*() {
      const world = yield* leased()
      world.leases.hold(key)
      const caller = yield* start(world.here.fn())
      assert.deepStrictEqual([world.leases.waiting(), world.source.state.runs], [1, 0])
      assert.deepStrictEqual(isRunning(caller), [true])
      return { ...world, caller }
    })

    // By a process that has no leases, or does not ask for one any more.
    const storedElsewhere = Effect.fnUntraced(function*({ cluster, source }: Effect.Success<typeof waiting>) {
      yield* (yield* source.make(yield* makeNode(cluster)))()
      source.state.runs = 0
    })

    it.effect.each(["stored", "nothing", "expired"] as const)(
      "when the lease of another ends, and take what is stored: %s",
      (ending) =>
        Effect.gen(function*() {
          const world = yield* waiting
          yield* storedElsewhere(world)
          yield* world.leases.end(key, Effect.succeed(ending))
          assert.strictEqual(yield* Fiber.join(world.caller), 1)
          assert.strictEqual(world.source.state.runs, 0)
          assert.deepStrictEqual(world.here.kinds().filter((kind) => kind === "Miss"), [])
        })
    )

    it.effect.each(["stored", "nothing", "expired"] as const)(
      "when the lease of another ends, and have the next where nothing is stored: %s",
      (ending) =>
        Effect.gen(function*() {
          const { caller, leases, source } = yield* waiting
          yield* leases.end(key, Effect.succeed(ending))
          assert.strictEqual(yield* Fiber.join(caller), 1)
          assert.strictEqual(source.state.runs, 1)
          assert.deepStrictEqual(leases.history, ["taken", "held", "stored"])
        })
    )

    it.effect("after as long as anyone waits, and compute without a lease", () =>
      Effect.gen(function*() {
        const { caller, far, leases, source } = yield* waiting
        yield* leases.end(key, Effect.succeed("waited"), true)
        assert.strictEqual(yield* Fiber.join(caller), 1)
        assert.strictEqual(source.state.runs, 1)
        assert.deepStrictEqual(leases.history, ["taken"])
        assert.isTrue(leases.isHeld(key), "which is still the other's")
        assert.isDefined(yield* far.bytes.get(key), "and store it all the same")
      }))

    it.effect("after three others came first, and compute without a lease", () =>
      Effect.gen(function*() {
        const { caller, leases, source } = yield* waiting
        for (let round = 1; round <= 3; round++) {
          assert.deepStrictEqual([source.state.runs, leases.waiting()], [0, 1])
          yield* leases.end(key, Effect.succeed("nothing"), true)
        }
        assert.strictEqual(yield* Fiber.join(caller), 1)
        assert.deepStrictEqual(leases.history, ["taken", "taken", "taken"])
      }))

    it.effect("when nobody can tell any more, report it, and compute", () =>
      Effect.gen(function*() {
        const { caller, here, leases, source } = yield* waiting
        yield* leases.end(key, Effect.fail(down))
        assert.strictEqual(yield* Fiber.join(caller), 1)
        assert.strictEqual(source.state.runs, 1)
        assert.deepStrictEqual(here.faults(), ["StoreFailed LogError"])
      }))

    it.effect("when their callers leave, and nothing is left behind", () =>
      Effect.gen(function*() {
        const { caller, here, leases, source } = yield* waiting
        const second = yield* start(here.fn())
        yield* Fiber.interrupt(caller)
        assert.strictEqual(leases.waiting(), 1)
        yield* Fiber.interrupt(second)
        assert.strictEqual(leases.waiting(), 0)
        assert.strictEqual(source.state.runs, 0)
        yield* leases.end(key, Effect.succeed("nothing"))
        assert.strictEqual(yield* here.fn(), 1)
      }))

    it.effect("when their cache is closed", () =>
      Effect.gen(function*() {
        const { caller, here, leases } = yield* waiting
        yield* here.close
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(caller)))
        assert.strictEqual(leases.waiting(), 0)
      }))

    it.effect("with what was invalidated meanwhile not being held against what they compute", () =>
      Effect.gen(function*() {
        const { caller, cluster, far, here, leases, source } = yield* waiting
        yield* source.updateElsewhere(cluster)
        yield* here.line.hear
        yield* leases.end(key, Effect.succeed("nothing"))
        assert.strictEqual(yield* Fiber.join(caller), 2)
        assert.deepStrictEqual(here.rejected(), [])
        assert.strictEqual((yield* far.bytes.get(key))!.position, 101)
        assert.strictEqual(yield* here.fn(), 2)
        assert.strictEqual(source.state.runs, 1)
      }))

    it.effect("with what is invalidated while they compute being held against it", () =>
      Effect.gen(function*() {
        const { caller, cluster, here, leases, source } = yield* waiting
        yield* source.gate.close
        yield* leases.end(key, Effect.succeed("nothing"))
        assert.strictEqual(source.state.runs, 1)
        yield* source.updateElsewhere(cluster)
        yield* here.line.hear
        yield* source.gate.open
        assert.strictEqual(yield* Fiber.join(caller), 1)
        assert.deepStrictEqual(here.rejected(), ["invalidated"])
        assert.deepStrictEqual(leases.history, ["taken", "held", "nothing"])
        assert.strictEqual(yield* here.fn(), 2)
      }))

    it.effect("without taking what was stored, and was invalidated since", () =>
      Effect.gen(function*() {
        const world = yield* waiting
        const { caller, cluster, here, leases, source } = world
        yield* storedElsewhere(world)
        yield* source.updateElsewhere(cluster)
        yield* here.line.hear
        yield* leases.end(key, Effect.succeed("stored"))
        assert.strictEqual(yield* Fiber.join(caller), 2)
        assert.strictEqual(source.state.runs, 1)
      }))

    it.effect("with all who came meanwhile, in one computation", () =>
      Effect.gen(function*() {
        const { caller, here, leases, source } = yield* waiting
        const others = yield* Effect.forEach(Array.from({ length: 10 }), () => start(here.fn()))
        assert.strictEqual(leases.waiting(), 1)
        yield* leases.end(key, Effect.succeed("nothing"))
        assert.deepStrictEqual(new Set(yield* Fiber.joinAll([caller, ...others])), new Set([1]))
        assert.strictEqual(source.state.runs, 1)
      }))
  })

  it.effect("compute where leases cannot be had, and report it", () =>
    Effect.gen(function*() {
      const { here, leases, source } = yield* leased()
      leases.state.take = () => Effect.fail(down)
      assert.strictEqual(yield* here.fn(), 1)
      assert.deepStrictEqual(here.faults(), ["StoreFailed LogError"])
      assert.deepStrictEqual(here.events.flatMap((event) => event._tag === "StoreFailed" ? [event.key] : []), [key])
      assert.strictEqual(yield* here.fn(), 1)
      assert.strictEqual(source.state.runs, 1)
    }))

  it.effect.each(
    [
      ["dies", () => Effect.die("a bug")],
      ["throws", () => {
        throw new Error("a bug")
      }]
    ] as const
  )("compute where a lease that is asked for %s", ([, take]) =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      cluster.leases.state.take = take
      const node = yield* makeNode(cluster, { leased: true })
      assert.strictEqual(yield* (yield* makeSource().make(node))(), 1)
    }))

  it.effect("compute where a lease that is waited for dies", () =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      cluster.leases.state.take = () => Effect.succeed({ _tag: "Taken", ended: Effect.die("a bug") })
      const node = yield* makeNode(cluster, { leased: true })
      assert.strictEqual(yield* (yield* makeSource().make(node))(), 1)
    }))

  it.effect("do not wait for a computation of their own that was ended by an invalidation", () =>
    Effect.gen(function*() {
      const cluster = yield* makeCluster
      const source = makeSource()
      const node = yield* makeNode(cluster, { leased: true })
      const fn = yield* source.make(node)
      yield* source.gate.close
      const first = yield* start(fn())
      yield* source.update
      yield* node.provide(invalidate("row"))
      const second = yield* start(fn())
      assert.strictEqual(source.state.runs, 2)
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll([first, second]))], [1, 2])
    }))

  it.effect("do not ask for leases where the store does not answer", () =>
    Effect.gen(function*() {
      const { far, here, leases, source } = yield* leased()
      far.state.failing = true
      leases.hold(key)
      assert.strictEqual(yield* here.fn(), 1)
      assert.strictEqual(source.state.runs, 1)
      assert.deepStrictEqual(leases.history, [])
    }))

  it.effect("hold a lease until the store has answered, and not only until the caller has the value", () =>
    Effect.gen(function*() {
      const { far, here, leases, source, there } = yield* leased()
      yield* far.gates.set.close
      assert.strictEqual(yield* here.fn(), 1)
      const other = yield* start(there.fn())
      assert.deepStrictEqual([leases.history, isRunning(other)], [["held", "taken"], [true]])
      yield* far.gates.set.open
      assert.strictEqual(yield* Fiber.join(other), 1)
      assert.deepStrictEqual(leases.history, ["held", "taken", "stored"])
      assert.strictEqual(source.state.runs, 1)
    }))

  it.effect("give a lease back for nothing when the store does not answer in time", () =>
    Effect.gen(function*() {
      const { far, here, leases } = yield* leased({ near: false })
      yield* far.gates.set.close
      assert.strictEqual(yield* here.fn(), 1)
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(leases.history, ["held"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(leases.history, ["held", "nothing"])
    }))

  it.effect.each(
    [
      ["fails", Effect.fail("no")],
      ["dies", Effect.die("bug")],
      ["interrupts itself", Effect.interrupt]
    ] as const
  )("give a lease back for nothing when the computation %s", ([, computation]) =>
    Effect.gen(function*() {
      const { cluster, leases } = yield* leased()
      const node = yield* makeNode(cluster, { leased: true })
      const fn = yield* node.provide(Cached.make("row", { success: Schema.Number }, () => computation))
      for (let n = 0; n < 2; n++) {
        assert.isTrue(Exit.isFailure(yield* Effect.exit(fn())))
        assert.isFalse(leases.isHeld(key))
      }
      assert.deepStrictEqual(leases.history, ["held", "nothing", "held", "nothing"])
    }))

  it.effect("give a lease back for nothing when the store has something newer", () =>
    Effect.gen(function*() {
      const { far, here, leases, source } = yield* leased({ near: false })
      yield* source.gate.close
      const caller = yield* start(here.fn())
      yield* far.bytes.set(makeEntry(key, { position: 1_000_000 }))
      yield* source.gate.open
      assert.strictEqual(yield* Fiber.join(caller), 1)
      assert.deepStrictEqual(here.rejected(), ["superseded"])
      assert.deepStrictEqual(leases.history, ["held", "nothing"])
    }))

  it.effect("give a lease back for nothing when all who wait for the computation leave", () =>
    Effect.gen(function*() {
      const { here, leases, source } = yield* leased()
      yield* source.gate.close
      const callers = [yield* start(here.fn()), yield* start(here.fn())]
      yield* Fiber.interrupt(callers[0]!)
      assert.deepStrictEqual(leases.history, ["held"])
      yield* Fiber.interrupt(callers[1]!)
      assert.deepStrictEqual(leases.history, ["held", "nothing"])
      assert.strictEqual(source.gate.waiting(), 0)
    }))

  it.effect("give a lease back for nothing when the cache is closed", () =>
    Effect.gen(function*() {
      const { here, leases, source } = yield* leased()
      yield* source.gate.close
      yield* start(here.fn())
      yield* here.close
      assert.deepStrictEqual(leases.history, ["held", "nothing"])
    }))

  it.effect("give a lease back when the cache is closed while the store is told", () =>
    Effect.gen(function*() {
      const { far, here, leases } = yield* leased()
      yield* far.gates.set.close
      yield* here.fn()
      yield* here.close
      assert.deepStrictEqual(leases.history, ["held", "nothing"])
      assert.strictEqual(far.gates.set.waiting(), 0)
    }))

  it.effect("take none for what is to be computed in any case", () =>
    Effect.gen(function*() {
      const { here, leases, source } = yield* leased()
      leases.hold(key)
      assert.strictEqual(yield* here.fn.refresh(), 1)
      assert.strictEqual(source.state.runs, 1)
      assert.deepStrictEqual(leases.history, [])
      assert.strictEqual(yield* here.fn(), 1, "and it is stored")
      assert.strictEqual(source.state.runs, 1)
    }))

  it.effect("take none where the store is this process's own", () =>
    Effect.gen(function*() {
      const leases = makeLeases()
      const cache = yield* ResultCache.make().pipe(Effect.provide([
        Store.layerMemory(),
        DependencyGraph.layer(),
        Broadcaster.layerLocal,
        Layer.succeed(Lease.Lease)(leases.service)
      ]))
      const fn = yield* Cached.make("row", { success: Schema.Number }, () => Effect.succeed(1)).pipe(
        Effect.provideService(ResultCache.ResultCache, cache)
      )
      assert.strictEqual(yield* fn(), 1)
      assert.deepStrictEqual(leases.history, [])
    }))

  it.effect("compute once for strong readers, too", () =>
    Effect.gen(function*() {
      const { cluster, leases, source } = yield* leased()
      const process = Effect.flatMap(
        makeNode(cluster, { leased: true }),
        (node) => source.make(node, "strong", "strong")
      )
      const [a, b] = [yield* process, yield* process]
      yield* source.gate.close
      const callers = [yield* start(a()), yield* start(b()), yield* start(b())]
      yield* source.gate.open
      assert.deepStrictEqual([...(yield* Fiber.joinAll(callers))], [1, 1, 1])
      assert.strictEqual(source.state.runs, 1)
      assert.deepStrictEqual(leases.history, ["held", "taken", "stored"])
    }))

  describe("with someone who rather does something else than wait", () => {
    it.effect("tell him at once that another process computes it", () =>
      Effect.gen(function*() {
        const { here, leases, source } = yield* leased()
        leases.hold(key)
        const { entry, exit, how, stored } = yield* impatient(here.fn, here)
        assert.deepStrictEqual({ how, entry, exit, stored }, {
          how: "elsewhere",
          entry: undefined,
          exit: undefined,
          stored: false
        })
        assert.deepStrictEqual([leases.waiting(), source.state.runs], [0, 0])
        assert.notInclude(here.kinds(), "Miss")
      }))

    it.effect("compute for him what nobody computes, and give him what is stored", () =>
      Effect.gen(function*() {
        const { here, leases, there } = yield* leased()
        assert.strictEqual((yield* impatient(here.fn, here)).how, "miss")
        assert.deepStrictEqual(leases.history, ["held", "stored"])
        assert.strictEqual((yield* impatient(there.fn, there)).how, "hit")
      }))

    it.effect("let him wait with someone here who does", () =>
      Effect.gen(function*() {
        const { here, leases, source } = yield* leased()
        leases.hold(key)
        const patient = yield* start(here.fn())
        const other = yield* start(impatient(here.fn, here))
        assert.deepStrictEqual(isRunning(patient, other), [true, true])
        yield* leases.end(key, Effect.succeed("nothing"))
        assert.strictEqual(yield* Fiber.join(patient), 1)
        assert.strictEqual((yield* Fiber.join(other)).how, "joined")
        assert.strictEqual(source.state.runs, 1)
      }))

    it.effect("let someone wait with him who came before it was known that another process computes it", () =>
      Effect.gen(function*() {
        const { far, here, leases, source } = yield* leased()
        leases.hold(key)
        yield* far.gates.get.close
        const first = yield* start(impatient(here.fn, here))
        const patient = yield* start(here.fn())
        yield* far.gates.get.open
        assert.deepStrictEqual(isRunning(first, patient), [true, true])
        yield* leases.end(key, Effect.succeed("expired"))
        assert.strictEqual(yield* Fiber.join(patient), 1)
        assert.strictEqual((yield* Fiber.join(first)).how, "miss")
        assert.strictEqual(source.state.runs, 1)
      }))

    it.effect.each(["who waits", "who would rather do something else, too"] as const)(
      "do not leave someone who came meanwhile, though he himself is gone before it is known: %s",
      (who) =>
        Effect.gen(function*() {
          const { here, leases, source } = yield* leased()
          leases.hold(key)
          const asking = makeGate()
          yield* asking.close
          const { take } = leases.service
          leases.state.take = (key) =>
            Effect.suspend(() => {
              leases.state.take = undefined
              return Effect.andThen(asking.pass, take(key))
            })
          const first = yield* start(impatient(here.fn, here))
          const asks = who === "who waits"
            ? here.fn()
            : Effect.map(impatient(here.fn, here), ({ exit }) => exit?._tag === "Success" ? exit.value : exit)
          const other = yield* start<unknown, CacheError.CacheError, never>(asks)
          yield* Fiber.interrupt(first)
          yield* asking.open
          assert.deepStrictEqual([leases.waiting(), isRunning(other)], [1, [true]])
          yield* leases.end(key, Effect.succeed("nothing"))
          assert.strictEqual(yield* Fiber.join(other), 1)
          assert.strictEqual(source.state.runs, 1)
        })
    )

    it.effect("do not keep who comes after from waiting by himself", () =>
      Effect.gen(function*() {
        const { here, leases } = yield* leased()
        leases.hold(key)
        yield* impatient(here.fn, here)
        const patient = yield* start(here.fn())
        assert.deepStrictEqual([leases.waiting(), isRunning(patient)], [1, [true]])
        yield* leases.end(key, Effect.succeed("nothing"))
        assert.strictEqual(yield* Fiber.join(patient), 1)
      }))
  })
})
