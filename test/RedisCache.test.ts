/**
 * The cache over Redis as programs have it: by `ResultCache.layerRedis`. Each layer stands for a process.
 */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Deferred, Effect, Fiber, Layer, Option, Schema } from "effect"
import { Cached, cached, type CacheEvent, clear, invalidate, ResultCache } from "effect-cached"
import * as RedisCache from "effect-cached/RedisCache"
import * as RedisClient from "effect-cached/RedisClient"
import { HttpRouter } from "effect/http"
import { Cluster, Redis } from "ioredis"
import { hit, serve } from "./http.ts"
import * as RedisServer from "./redis/RedisServer.ts"
import { start } from "./suites/worlds.ts"

let namespaces = 0
const newNamespace = () => `redis-cache-${++namespaces}`

type Built = Layer.Layer<ResultCache.ResultCache, unknown>

/** Builds a layer as a process of its own would. */
const build = (layer: Built) =>
  Effect.map(Effect.orDie(Layer.build(Layer.fresh(layer))), (context) => Context.get(context, ResultCache.ResultCache))

/** A process whose events the test sees. */
const open = Effect.fnUntraced(function*(options: ResultCache.RedisOptions) {
  const events: Array<CacheEvent.CacheEvent> = []
  const onEvent = (event: CacheEvent.CacheEvent) => void events.push(event)
  const cache = yield* build(ResultCache.layerRedis({ ...patient, onEvent, ...options }))
  const count = (tag: CacheEvent.CacheEvent["_tag"]) => events.filter(({ _tag }) => _tag === tag).length
  return {
    cache,
    provide: Effect.provideService(ResultCache.ResultCache, cache),
    count,
    has: (tag: CacheEvent.CacheEvent["_tag"], times: number = 1) => until(tag, () => count(tag) >= times),
    faults: () =>
      events.flatMap((event) =>
        event._tag === "StoreFailed" || event._tag === "Undecodable" ? [event.error.message] : []
      )
  }
})

// A slow machine is no fault of the server.
const patient = { commandTimeout: "30 seconds", storeTimeout: "30 seconds", maxStaleness: "30 seconds" } as const

type Process = Effect.Success<ReturnType<typeof open>>

/** Waits for a condition, looking every few milliseconds, for at most 20 seconds. */
const until = (what: string, check: () => boolean) =>
  Effect.gen(function*() {
    for (let look = 0; look < 4000; look++) {
      if (check()) return
      yield* Effect.sleep(5)
    }
    throw new Error(`still not: ${what}`)
  })

/** A row with versions, and in each process a function that reads it. */
const makeRow = () => {
  const state = { version: 1, runs: 0 }
  const make = (process: Process, options?: { readonly strong?: boolean; readonly name?: string }) =>
    process.provide(Cached.make(
      options?.name ?? "row",
      {
        success: Schema.Number,
        deps: () => ["row"],
        timeToLive: "1 hour",
        consistency: options?.strong === true ? "strong" : undefined
      },
      () =>
        Effect.sync(() => {
          state.runs++
          return state.version
        })
    ))
  return { state, make }
}

/** Computes in one process, and waits until it is stored. */
const stored = Effect.fnUntraced(
  function*(process: Process, options?: Parameters<ReturnType<typeof makeRow>["make"]>[1]) {
    const row = makeRow()
    const fn = yield* row.make(process, options)
    yield* fn()
    yield* process.has("Stored")
    return { ...row, fn }
  }
)

const entries = (server: RedisServer.Server, namespace: string) =>
  Effect.map(
    server.cli("KEYS", `${namespace}:3:entry:*`),
    (printed) => printed.split("\n").filter((name) => name !== "")
  )

/** What a layer fails with when it is built. */
const refusal = (layer: Built) => Effect.flip(Effect.scoped(Layer.build(Layer.fresh(layer))))

const reasonOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "reason" in error
    ? (error.reason as { readonly _tag: string })._tag
    : String(error)

it.layer(RedisServer.layer(), { excludeTestServices: true })("ResultCache.layerRedis", (it) => {
  describe("shares what is computed", () => {
    it.effect("between processes with the same URL", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const options = { url: server.url, namespace: newNamespace() }
        const here = yield* open(options)
        const { make, state } = yield* stored(here)
        const there = yield* open(options)
        const fn = yield* make(there)
        assert.deepStrictEqual([yield* fn(), yield* fn()], [1, 1])
        assert.strictEqual(state.runs, 1)
        assert.strictEqual(there.count("Hit"), 2)
        assert.deepStrictEqual([...here.faults(), ...there.faults()], [])
      }))

    it.effect("over a client that the program has, which stays as it was", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const redis = yield* Effect.acquireRelease(
          Effect.sync(() => new Redis(server.url)),
          (redis) => Effect.sync(() => redis.disconnect())
        )
        const { make, state } = yield* stored(yield* open({ url: server.url, namespace }))
        yield* Effect.scoped(Effect.gen(function*() {
          const process = yield* open({ client: redis, namespace })
          assert.strictEqual(yield* (yield* make(process))(), 1)
          yield* process.provide(invalidate("row"))
        }))
        assert.strictEqual(state.runs, 1)
        assert.strictEqual(redis.status, "ready")
        assert.strictEqual(yield* Effect.promise(() => redis.ping()), "PONG")
      }))

    it.effect("over a client that is provided", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const { make, state } = yield* stored(yield* open({ url: server.url, namespace }))
        const cache = yield* build(
          RedisCache.layer({ namespace }).pipe(Layer.provide(RedisClient.layer({ url: server.url })))
        )
        const fn = yield* make({
          ...(yield* open({ url: server.url, namespace })),
          provide: Effect.provideService(ResultCache.ResultCache, cache)
        })
        assert.strictEqual(yield* fn(), 1)
        assert.strictEqual(state.runs, 1)
      }))

    it.effect("with options from the configuration", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const layer = ResultCache.layerRedisConfig({
          url: Config.Redacted("CACHE_URL"),
          namespace: Config.String("CACHE_NAMESPACE"),
          memory: Config.succeed(false as const)
        })
        const withConfig = (config: object) =>
          Layer.provide(layer, ConfigProvider.layer(ConfigProvider.fromUnknown(config)))
        const here = yield* open({ url: server.url, namespace })
        const { make, state } = yield* stored(here)
        const cache = yield* build(withConfig({ CACHE_URL: server.url, CACHE_NAMESPACE: namespace }))
        const fn = yield* make({ ...here, provide: Effect.provideService(ResultCache.ResultCache, cache) })
        assert.strictEqual(yield* fn(), 1)
        assert.strictEqual(state.runs, 1)
        const missing = yield* refusal(withConfig({ CACHE_NAMESPACE: namespace }))
        assert.include(String(missing), "CACHE_URL")
        const wrong = yield* refusal(withConfig({ CACHE_URL: "no URL", CACHE_NAMESPACE: namespace }))
        assert.strictEqual(reasonOf(wrong), "DefinitionError")
      }))

    it.effect("as values of the same type, and equal to what was computed", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const options = { url: server.url, namespace: newNamespace() }
        const Value = Schema.Struct({
          at: Schema.Date,
          byName: Schema.ReadonlyMap(Schema.String, Schema.Struct({ seen: Schema.Date, count: Schema.BigInt })),
          chosen: Schema.optionalKey(Schema.String),
          left: Schema.Option(Schema.Number),
          set: Schema.ReadonlySet(Schema.String),
          many: Schema.Array(Schema.Number)
        })
        const values: ReadonlyArray<typeof Value.Type> = [
          {
            at: new Date(1234),
            byName: new Map([["ä", { seen: new Date(5), count: 9007199254740993n }]]),
            chosen: "x",
            left: Option.some(-0.5),
            set: new Set(["one", "two"]),
            many: Array.from({ length: 20_000 }, (_, n) => n / 3)
          },
          { at: new Date(0), byName: new Map(), left: Option.none(), set: new Set(), many: [] }
        ]
        let runs = 0
        const make = (process: Process) =>
          process.provide(Cached.make("typed", { input: { n: Schema.Number }, success: Value }, ({ n }) =>
            Effect.sync(() => {
              runs++
              return values[n]!
            })))
        const here = yield* open(options)
        const there = yield* open({ ...options, memory: false })
        const [first, second] = [yield* make(here), yield* make(there)]
        for (const [n, value] of values.entries()) {
          const computed = yield* first({ n })
          yield* here.has("Stored", n + 1)
          for (const given of [computed, yield* first({ n }), yield* second({ n }), yield* second({ n })]) {
            assert.deepStrictEqual(given, value)
            assert.instanceOf(given.at, Date)
            assert.strictEqual("chosen" in given, "chosen" in value)
          }
        }
        assert.strictEqual(runs, values.length)
        assert.deepStrictEqual([...here.faults(), ...there.faults()], [])
      }))
  })

  describe("hands its options on", () => {
    it.effect("namespace: what the names of all keys begin with, by default that of the library", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        for (const [namespace, written] of [["a:b", "a%3ab"], [undefined, "effect-cached"]] as const) {
          yield* server.cli("FLUSHALL")
          const process = yield* open({ url: server.url, namespace })
          yield* stored(process)
          yield* process.provide(invalidate("other"))
          const names = (yield* server.cli("KEYS", "*")).split("\n")
          assert.isAbove(names.length, 1)
          for (const name of names) assert.isTrue(name.startsWith(`${written}:3:`), name)
        }
      }))

    it.effect("memory: what it holds in front is given without Redis, and with `false` there is none", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        for (const memory of [undefined, { maxEntries: 1 }, false] as const) {
          const options = { url: server.url, namespace: newNamespace(), memory }
          const process = yield* open(options)
          const { fn, make, state } = yield* stored(process)
          const [name] = yield* entries(server, options.namespace)
          yield* server.cli("DEL", name!)
          assert.strictEqual(yield* fn(), 1)
          assert.strictEqual(state.runs, memory === false ? 2 : 1)
          yield* (yield* make(process, { name: "other" }))()
          yield* process.has("Stored", memory === false ? 3 : 2)
          assert.strictEqual(process.count("Evicted"), memory === undefined || memory === false ? 0 : 1)
        }
      }))

    it.effect("lease: others wait for one that computes, for as long as it says, and with `false` do not", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        for (const lease of [{ duration: "1 hour" }, { waitAtMost: "1 millis" }, false] as const) {
          const namespace = newNamespace()
          const gate = yield* Deferred.make<void>()
          let runs = 0
          const make = (process: Process) =>
            process.provide(
              Cached.make("slow", { success: Schema.Number }, () =>
                Effect.suspend(() =>
                  ++runs === 1 ? Effect.as(Deferred.await(gate), 1) : Effect.succeed(2)
                ))
            )
          const options = { url: server.url, namespace, lease }
          const [here, there] = [yield* open(options), yield* open(options)]
          const first = yield* start((yield* make(here))())
          yield* until("the first computes", () => runs === 1)
          const taken = yield* server.cli("KEYS", `${namespace}:3:lease:*`)
          const left = Number(yield* server.cli("PTTL", taken))
          const second = yield* start((yield* make(there))())
          if (lease !== false && "duration" in lease) {
            assert.isAbove(left, 30 * 60_000)
            yield* server.until((printed) => /[1-9]\d*$/.test(printed), "PUBSUB", "NUMSUB", `${namespace}:3:wake`)
            yield* Deferred.succeed(gate, undefined)
            assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second), runs], [1, 1, 1])
          } else {
            assert.isTrue(lease === false ? left === -2 : left <= 5000)
            assert.strictEqual(yield* Fiber.join(second), 2)
            yield* Deferred.succeed(gate, undefined)
            assert.strictEqual(yield* Fiber.join(first), 1)
          }
        }
      }))

    it.effect("maxLifetime: for how long Redis keeps an entry that lives longer", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        for (
          const [maxLifetime, least, most] of [["10 minutes", 0, 600_000], [undefined, 600_001, 3_600_000]] as const
        ) {
          const namespace = newNamespace()
          yield* stored(yield* open({ url: server.url, namespace, maxLifetime }))
          const [name] = yield* entries(server, namespace)
          const left = Number(yield* server.cli("PTTL", name!))
          assert.isTrue(left > least && left <= most, `${left}`)
        }
      }))

    it.effect("compressFrom: the smallest entry that is compressed, by default a large one", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const sizeOf = Effect.fnUntraced(function*(characters: number, compressFrom: number | undefined) {
          const namespace = newNamespace()
          const process = yield* open({ url: server.url, namespace, compressFrom })
          const fn = yield* process.provide(
            Cached.make("text", { success: Schema.String }, () => Effect.succeed("a".repeat(characters)))
          )
          yield* fn()
          yield* process.has("Stored")
          const [name] = yield* entries(server, namespace)
          return Number(yield* server.cli("STRLEN", name!))
        })
        assert.isAbove(yield* sizeOf(2000, undefined), 2000)
        assert.isBelow(yield* sizeOf(2000, 1000), 1000)
        assert.isBelow(yield* sizeOf(100_000, undefined), 50_000)
        assert.isAbove(yield* sizeOf(100_000, 1_000_000), 100_000)
      }))

    it.effect("maxLogLength: how many invalidations the log keeps, about", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const lengthWith = Effect.fnUntraced(function*(maxLogLength: number | undefined) {
          const namespace = newNamespace()
          const process = yield* open({ url: server.url, namespace, maxLogLength })
          yield* Effect.forEach(Array.from({ length: 500 }, (_, n) => `t:${n}`), (tag) =>
            process.provide(invalidate(tag)), {
            concurrency: 50,
            discard: true
          })
          return Number(yield* server.cli("XLEN", `${namespace}:3:log:{${namespace}}`))
        })
        assert.isBelow(yield* lengthWith(10), 300)
        assert.isAtLeast(yield* lengthWith(undefined), 500)
      }))
  })

  describe("refuses options that cannot be used when it is built, and says which", () => {
    const url = "redis://127.0.0.1:1"
    const cases: ReadonlyArray<readonly [ResultCache.RedisOptions, RegExp]> = [
      [{}, /is the environment variable set/],
      [{ url: undefined }, /is the environment variable set/],
      [{ url: "" }, /RedisClient\.url/],
      [{ url: "localhost:6379" }, /RedisClient\.url.*redis:\/\//],
      [{ url, client: new Redis({ lazyConnect: true }) }, /only one of/],
      [{ client: {} as Redis }, /no client of ioredis/],
      [{ client: new Redis({ lazyConnect: true, keyPrefix: "app:" }) }, /keyPrefix/],
      [{ url, namespace: "" }, /namespace/],
      [{ url, commandTimeout: 0 }, /commandTimeout/],
      [{ url, maxStaleness: "10 millis" }, /maxStaleness/],
      [{ url, maxStaleness: Infinity }, /maxStaleness/],
      [{ url, maxLogLength: 0.5 }, /maxLength/],
      [{ url, maxLifetime: Infinity }, /maxLifetime/],
      [{ url, maxLifetime: -1 }, /maxLifetime/],
      [{ url, memory: { maxEntries: -1 } }, /maxEntries/],
      [{ url, memory: { maxBytes: Number.NaN } }, /maxBytes/],
      [{ url, lease: { duration: "2 days" } }, /RedisLease\.duration/],
      [{ url, lease: { waitAtMost: -1 } }, /RedisLease\.waitAtMost/],
      [{ url, storeTimeout: -1 }, /storeTimeout/],
      [{ url, compressFrom: -1 }, /compressFrom/]
    ]
    for (const [index, [options, message]] of cases.entries()) {
      it.effect(`${index}: ${message.source}`, () =>
        Effect.gen(function*() {
          const error = yield* refusal(ResultCache.layerRedis(options))
          assert.strictEqual(reasonOf(error), "DefinitionError")
          assert.match(String(error), message)
        }))
    }
  })

  describe("with namespaces of their own, processes", () => {
    it.effect("share no entry, and hear nothing of each other's invalidations", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const near = yield* open({ url: server.url, namespace })
        const far = yield* open({ url: server.url, namespace: `${namespace}:1` })
        const { fn, make, state } = yield* stored(near)
        state.version = 2
        const other = yield* make(far)
        assert.deepStrictEqual([yield* other(), yield* fn()], [2, 1])
        yield* far.has("Stored")
        state.version = 3
        yield* far.provide(invalidate("row"))
        // It would be told of it by now.
        yield* near.provide(invalidate("another"))
        assert.deepStrictEqual([yield* other(), yield* fn()], [3, 1])
      }))

    it.effect("clear only their own", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const near = yield* open({ url: server.url, namespace })
        const far = yield* open({ url: server.url, namespace: `${namespace}:1` })
        const kept = yield* stored(near)
        const cleared = yield* stored(far)
        yield* server.cli("SET", `${namespace}-of-somebody-else`, "value")
        yield* far.provide(clear)
        assert.deepStrictEqual(yield* entries(server, `${namespace}%3a1`), [])
        assert.strictEqual((yield* entries(server, namespace)).length, 1)
        assert.strictEqual(yield* server.cli("GET", `${namespace}-of-somebody-else`), "value")
        yield* kept.fn()
        yield* cleared.fn()
        assert.deepStrictEqual([kept.state.runs, cleared.state.runs], [1, 2])
      }))
  })

  describe("over HTTP", () => {
    it.effect("gives what another process has stored, and a strong route what is valid everywhere", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const options = { url: server.url, namespace: newNamespace() }
        const row = makeRow()
        const web = Effect.fnUntraced(function*(process: Process) {
          const definition = { input: {}, success: Schema.Number, deps: () => ["row"] } as const
          const read = Effect.sync(() => {
            row.state.runs++
            return row.state.version
          })
          return yield* serve(
            Layer.mergeAll(
              HttpRouter.add("GET", "/row", cached(() => read, definition)),
              HttpRouter.add("GET", "/strong", cached(() => read, { ...definition, consistency: "strong" }))
            ),
            {
              layer: Layer.succeed(ResultCache.ResultCache)(process.cache),
              cache: process.cache,
              next: () => Effect.void
            }
          )
        })
        const [one, two] = [yield* open(options), yield* open(options)]
        const [first, second] = [yield* web(one), yield* web(two)]
        const { cacheStatus, headers } = yield* first.send("/row")
        // Nobody waits until Redis has answered.
        assert.strictEqual(cacheStatus, "effect-cached; fwd=miss")
        yield* one.has("Stored")
        const other = yield* second.send("/row")
        assert.deepStrictEqual([other.body, other.cacheStatus], ["1", hit])
        assert.strictEqual(other.headers["etag"], headers["etag"])
        assert.strictEqual(row.state.runs, 1)
        for (let version = 2; version < 12; version++) {
          row.state.version = version
          const [writer, reader] = version % 2 === 0 ? [one, second] as const : [two, first] as const
          yield* writer.provide(invalidate("row"))
          assert.strictEqual((yield* reader.send("/strong")).body, `${version}`)
        }
        assert.deepStrictEqual([...one.faults(), ...two.faults()], [])
      }))
  })

  describe("with strong consistency", () => {
    it.effect("gives in each process what was invalidated in another before it was asked, without waiting (scenario 55)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const options = { url: server.url, namespace: newNamespace() }
        const processes = yield* Effect.forEach([1, 2, 3], () => open(options))
        const { make, state } = makeRow()
        const readers = yield* Effect.forEach(processes, (process) => make(process, { strong: true }))
        for (let version = 1; version <= 40; version++) {
          state.version = version
          yield* processes[version % 3]!.provide(invalidate("row"))
          const read = yield* Effect.forEach(readers, (fn) => fn(), { concurrency: "unbounded" })
          assert.deepStrictEqual(read, [version, version, version])
        }
        assert.deepStrictEqual(processes.flatMap((process) => process.faults()), [])
      }))
  })

  describe("where Redis cannot be used", () => {
    const unusable = {
      "a replica": Effect.gen(function*() {
        const replica = yield* RedisServer.startReplica(yield* RedisServer.RedisServer)
        return { url: replica.url }
      }),
      "something else at the key of the log": Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        yield* server.cli("SET", `${namespace}:3:log:{${namespace}}`, "value")
        return { url: server.url, namespace }
      }),
      "a user who may not write": Effect.gen(function*() {
        const server = yield* RedisServer.start()
        yield* server.cli(..."ACL SETUSER app reset on >pw +time +info +@connection".split(" "))
        return { url: `redis://app:pw@127.0.0.1:${server.port}` }
      }),
      "a database that there is not": Effect.gen(function*() {
        const server = yield* RedisServer.start({ args: ["--databases", "4"] })
        return { url: `${server.url}/4` }
      })
    }
    for (const [name, prepare] of Object.entries(unusable)) {
      it.effect(`fails when it is built, and required: ${name}`, () =>
        Effect.gen(function*() {
          const error = yield* refusal(ResultCache.layerRedis({ ...(yield* prepare), required: true }))
          assert.include(["LogError", "ServerError"], reasonOf(error))
        }))

      it.effect(`computes, fails to invalidate, and serves nothing that is not valid, where it is not required: ${name}`, () =>
        Effect.gen(function*() {
          const process = yield* open(yield* prepare)
          const { make, state } = makeRow()
          const fn = yield* make(process)
          assert.strictEqual(yield* fn(), 1)
          state.version = 2
          assert.strictEqual(reasonOf(yield* Effect.flip(process.provide(invalidate("row")))), "LogError")
          assert.strictEqual(yield* fn(), 2)
        }))
    }
  })
})

it.layer(RedisServer.layerCluster, { excludeTestServices: true })("ResultCache.layerRedis over a cluster", (it) => {
  it.effect("shares what is computed, and hears of invalidations, by clients that the program has", () =>
    Effect.gen(function*() {
      const { nodes } = yield* RedisServer.RedisCluster
      const connect = Effect.acquireRelease(
        Effect.sync(() => new Cluster(nodes.map(({ port }) => ({ host: "127.0.0.1", port })))),
        (cluster) => Effect.sync(() => cluster.disconnect())
      )
      const namespace = newNamespace()
      const here = yield* open({ client: yield* connect, namespace, required: true })
      const there = yield* open({ client: yield* connect, namespace, required: true })
      let runs = 0
      const make = (process: Process) =>
        process.provide(Cached.make(
          "n",
          { input: { n: Schema.Number }, success: Schema.Number, deps: () => ["row"], consistency: "strong" },
          ({ n }) => Effect.sync(() => ++runs && n)
        ))
      const [first, second] = [yield* make(here), yield* make(there)]
      for (let n = 0; n < 20; n++) yield* first({ n })
      yield* here.has("Stored", 20)
      for (let n = 0; n < 20; n++) assert.strictEqual(yield* second({ n }), n)
      assert.strictEqual(runs, 20)
      yield* here.provide(invalidate("row"))
      for (let n = 0; n < 20; n++) assert.strictEqual(yield* second({ n }), n)
      assert.strictEqual(runs, 40)
      assert.deepStrictEqual([...here.faults(), ...there.faults()], [])
    }))
})
