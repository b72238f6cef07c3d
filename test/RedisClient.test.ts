import { assert, describe, it } from "@effect/vitest"
import { Clock, Config, ConfigProvider, Effect, Exit, Fiber, Redacted, Result, Scope } from "effect"
import type { CacheError } from "effect-cached"
import * as RedisClient from "effect-cached/RedisClient"
import { Cluster, Redis } from "ioredis"
import { execFile } from "node:child_process"
import { once } from "node:events"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { inspect, promisify } from "node:util"
import * as RedisServer from "./redis/RedisServer.ts"

type Client = RedisClient.RedisClient["Service"]

const ping = (client: Client) => client.run((redis) => redis.call("PING"))

const problemOf = ({ reason }: CacheError.CacheError) => reason._tag === "ServerError" ? reason.problem : reason._tag

const set = (client: Client) => client.run((redis) => redis.call("SET", "key", "value"))

/** The problem that an effect fails with. */
const problem = <A, R>(effect: Effect.Effect<A, CacheError.CacheError, R>) => Effect.map(Effect.flip(effect), problemOf)

/** Asks again until the server answers, as programs do. */
const untilAnswered = (client: Client) =>
  Effect.timeout(Effect.eventually(Effect.tapError(ping(client), () => Effect.sleep("5 millis"))), "30 seconds")

/** A client of ioredis, as a program has one. */
const ioredis = <A extends Redis | Cluster>(make: () => A) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = make()
      await once(client, "ready")
      return client
    }),
    (client) => Effect.sync(() => client.disconnect())
  )

const leavesAsItWas = Effect.fnUntraced(function*(redis: Redis | Cluster) {
  const state = () => ({
    options: { ...redis.options },
    listeners: redis.eventNames().map((name) => [name, redis.listenerCount(name)])
  })
  const before = state()
  yield* Effect.scoped(Effect.gen(function*() {
    const client = yield* RedisClient.make({ client: redis, required: true })
    const [, value] = yield* client.run((redis) => Promise.all([redis.call("SET", "a", "1"), redis.getBuffer("a")]))
    assert.strictEqual(value?.toString(), "1")
    const dedicated = yield* client.dedicated
    assert.notStrictEqual<unknown>(dedicated, redis)
    assert.strictEqual(yield* Effect.promise(() => dedicated.call("GET", "a")), "1")
  }))
  assert.deepStrictEqual(state(), before)
  assert.strictEqual(redis.status, "ready")
  assert.strictEqual(yield* Effect.promise(() => redis.get("a")), "1")
})

describe("RedisClient.make, one of whose options says where the server is", () => {
  it.live("takes a URL of a host or of a socket, with a database, and options of ioredis", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { port, socket } = server
      const forms: ReadonlyArray<readonly [RedisClient.Options, number]> = [
        [{ url: server.url }, 0],
        [{ url: Redacted.make(`${server.url}/3`) }, 3],
        [{ url: socket }, 0],
        [{ url: `unix://${socket}?db=4` }, 4],
        [{ options: { port, host: "127.0.0.1", db: 5 } }, 5],
        [{ options: { path: socket, retryStrategy: undefined, connectTimeout: undefined } }, 0]
      ]
      for (const [options, database] of forms) {
        const client = yield* RedisClient.make({ ...options, required: true })
        assert.include(yield* client.run((redis) => redis.call("CLIENT", "INFO")), ` db=${database} `)
      }
    }))

  it.live("takes the URL from the configuration", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const program = Effect.flatMap(RedisClient.RedisClient, ping).pipe(
        Effect.provide(RedisClient.layerConfig({
          url: Config.Redacted("CACHE_URL"),
          commandTimeout: Config.Duration("CACHE_TIMEOUT").pipe(Config.withDefault("2 seconds"))
        }))
      )
      const withConfig = (config: object) =>
        Effect.provide(program, ConfigProvider.layer(ConfigProvider.fromUnknown(config)))
      assert.strictEqual(yield* withConfig({ CACHE_URL: server.url }), "PONG")
      assert.strictEqual((yield* Effect.flip(withConfig({})))._tag, "ConfigError")
      const error = yield* Effect.flip(withConfig({ CACHE_URL: "redis://:secret@:1" }))
      assert.isTrue(error._tag === "CacheError" && error.reason._tag === "DefinitionError")
      assert.notInclude(inspect(error, { depth: 9 }), "secret")
    }))

  it.live("speaks TLS, and refuses a certificate that it does not know", () =>
    Effect.gen(function*() {
      const { ca, port, url } = yield* RedisServer.start({ tls: true })
      const tls = { host: "127.0.0.1", port, tls: { ca } }
      assert.strictEqual(yield* ping(yield* RedisClient.make({ options: tls })), "PONG")
      const error = yield* Effect.flip(RedisClient.make({ url, required: true }))
      assert.strictEqual(problemOf(error), "unreachable")
      assert.match(error.message, /certificate/)
    }))

  it.live("gives the password of the URL, and says at once that another is wrong, without showing it", () =>
    Effect.gen(function*() {
      const { port, url } = yield* RedisServer.start({ password: "right" })
      assert.strictEqual(yield* ping(yield* RedisClient.make({ url })), "PONG")
      for (const wrong of [`redis://:s3cret@127.0.0.1:${port}`, `redis://127.0.0.1:${port}`]) {
        const error = yield* Effect.flip(RedisClient.make({ url: wrong, required: true }))
        assert.strictEqual(problemOf(error), "unauthorized")
        assert.notInclude(inspect(error, { depth: 9 }), "s3cret")
        const client = yield* RedisClient.make({ url: wrong })
        const later = yield* Effect.flip(ping(client))
        assert.strictEqual(problemOf(later), "unauthorized")
        assert.notInclude(inspect(later, { depth: 9 }), "s3cret")
        assert.strictEqual(yield* problem(Effect.scoped(client.dedicated)), "unauthorized")
      }
    }))

  it.live("is the user of the URL, who may do what the server allows", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      yield* server.cli("ACL", "SETUSER", "cache", "on", ">p%ss", "~cache:*", "+@all", "-flushall")
      const client = yield* RedisClient.make({ url: `redis://cache:p%25ss@127.0.0.1:${server.port}`, required: true })
      assert.strictEqual(yield* client.run((redis) => redis.call("SET", "cache:1", "value")), "OK")
      assert.strictEqual(yield* problem(client.run((redis) => redis.call("SET", "other", "value"))), "unauthorized")
      assert.strictEqual(yield* problem(client.run((redis) => redis.call("FLUSHALL"))), "unauthorized")
    }))

  it.live("finds the master by Sentinel, and the next one when that has failed", () =>
    Effect.gen(function*() {
      const master = yield* RedisServer.start()
      const replica = yield* RedisServer.startReplica(master)
      const sentinel = yield* RedisServer.startSentinel({ master, replicas: 1 })
      const options = { sentinels: [{ host: "127.0.0.1", port: sentinel.port }], name: sentinel.name }
      const client = yield* RedisClient.make({ options, required: true })
      const write = client.run((redis) => redis.call("SET", "key", "value"))
      yield* write
      assert.strictEqual(yield* master.cli("GET", "key"), "value")
      yield* sentinel.failover
      yield* master.kill9
      yield* replica.until((printed) => printed.startsWith("master"), "ROLE")
      yield* replica.cli("DEL", "key")
      yield* Effect.timeout(Effect.eventually(Effect.tapError(write, () => Effect.sleep("10 millis"))), "30 seconds")
      assert.strictEqual(yield* replica.cli("GET", "key"), "value")
      const dedicated = yield* client.dedicated
      assert.strictEqual(yield* Effect.promise(() => dedicated.call("GET", "key")), "value")
    }))

  it.live("uses a client of the program as it is, and leaves it open and as it was", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      yield* leavesAsItWas(yield* ioredis(() => new Redis(server.port)))
      yield* leavesAsItWas(yield* ioredis(() => new Redis(server.port, { enableAutoPipelining: true })))
    }))

  it.live("waits for a client that is just connecting, and lets one connect that has not been asked yet", () =>
    Effect.gen(function*() {
      const { port } = yield* RedisServer.start()
      for (const lazyConnect of [true, false]) {
        const redis = yield* Effect.acquireRelease(
          Effect.sync(() => new Redis(port, { lazyConnect })),
          (redis) => Effect.sync(() => redis.disconnect())
        )
        assert.strictEqual(yield* ping(yield* RedisClient.make({ client: redis, required: true })), "PONG")
      }
    }))
})

describe("RedisClient.make fails", () => {
  const lazy = new Redis({ lazyConnect: true, keyPrefix: "app:" })
  const cases: ReadonlyArray<readonly [string, RedisClient.Options, RegExp]> = [
    ["for options that name no server", {}, /is the environment variable set/],
    ["for a client of something else", { client: {} as Redis }, /no client of ioredis/],
    ["for options that name two", { url: "redis://host", options: {} }, /only one of/],
    ["for a URL that is none", { url: "host" }, /RedisClient\.url.*redis:\/\//],
    ["for a client that changes keys", { client: lazy }, /RedisClient\.client.*keyPrefix/],
    ["for options that change keys", { options: { keyPrefix: "app:" } }, /RedisClient\.options.*keyPrefix/],
    ["for a cluster that changes keys", { cluster: { nodes: [1], options: { keyPrefix: "app:" } } }, /keyPrefix/],
    ["for nodes that change answers", {
      cluster: { nodes: [1], options: { redisOptions: { stringNumbers: true } } }
    }, /RedisClient\.cluster.*stringNumbers/],
    ["for options that change answers", { options: { stringNumbers: true } }, /stringNumbers/],
    ["for options that change maps in answers", { options: { replyMapping: "resp3" } }, /replyMapping/],
    ["for a cluster whose replicas are read", {
      cluster: { nodes: [1], options: { scaleReads: "slave" } }
    }, /RedisClient\.cluster.*scaleReads/],
    ["for a replica", { options: { sentinels: [{}], name: "a", role: "slave" } }, /role/],
    ["for a Sentinel without a name", { options: { sentinels: [{}] } }, /RedisClient\.options.*name/],
    ["for a time that is none", { url: "redis://host", commandTimeout: -1 }, /RedisClient\.commandTimeout/],
    ["for no time at all", { url: "redis://host", commandTimeout: 0 }, /RedisClient\.commandTimeout/],
    ["for endless time", { url: "redis://host", connectTimeout: Infinity }, /RedisClient\.connectTimeout/]
  ]
  for (const [name, options, message] of cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(RedisClient.make(options))
        assert.strictEqual(error.reason._tag, "DefinitionError")
        assert.match(error.message, message)
      }))
  }
})

// The connection that is not the one of `redis-cli` which asks.
const idOf = (printed: string) => /^id=(\d+) (?!.*cmd=client)/m.exec(printed)?.[1]

describe("RedisClient, for a database that the server does not have", () => {
  it.live("fails where it is required", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start({ args: ["--databases", "4"] })
      yield* RedisClient.make({ url: `${server.url}/3`, required: true })
      const error = yield* Effect.flip(RedisClient.make({ url: `${server.url}/4`, required: true }))
      assert.strictEqual(problemOf(error), "rejected")
      assert.match(error.message, /DB index is out of range/)
    }))

  it.live("fails whatever is asked of it, and never uses database 0 instead", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start({ args: ["--databases", "4"] })
      const client = yield* RedisClient.make({ url: `${server.url}/4`, commandTimeout: "1 hour" })
      assert.match((yield* Effect.flip(set(client))).message, /DB index is out of range/)
      assert.strictEqual(yield* problem(client.masters), "rejected")
      assert.strictEqual(yield* problem(Effect.scoped(client.dedicated)), "rejected")
      // Nor when it has connected again.
      const list = ["CLIENT", "LIST", "TYPE", "normal"] as const
      for (let round = 0; round < 3; round++) {
        const before = idOf(yield* server.cli(...list))
        yield* server.cli("CLIENT", "KILL", "TYPE", "normal")
        yield* Effect.raceFirst(
          Effect.forever(Effect.andThen(Effect.flip(set(client)), Effect.sleep(1))),
          server.until((printed) => idOf(printed) !== undefined && idOf(printed) !== before, ...list)
        )
        const refused = Effect.repeat(Effect.delay(problem(set(client)), 5), { until: (found) => found === "rejected" })
        yield* Effect.timeout(refused, "30 seconds")
        assert.strictEqual(yield* server.cli("DBSIZE"), "0")
      }
    }))
})

describe("RedisClient, when something else answers", () => {
  it.live("says that it is no Redis", () =>
    Effect.gen(function*() {
      const web = yield* Effect.acquireRelease(
        Effect.callback<http.Server>((resume) => {
          const server = http.createServer((_, response) => response.end("hello"))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) =>
          Effect.callback<void>((resume) => {
            server.close(() => resume(Effect.void))
            server.closeAllConnections()
          })
      )
      const url = `redis://127.0.0.1:${(web.address() as AddressInfo).port}`
      const error = yield* Effect.flip(RedisClient.make({ url, required: true }))
      assert.strictEqual(problemOf(error), "unreachable")
      assert.match(error.message, /no Redis/)
      const client = yield* RedisClient.make({ url })
      assert.strictEqual(yield* problem(ping(client)), "unreachable")
    }))
})

describe("RedisClient, when there is no server", () => {
  it.live("fails where it is required, and else answers at once and connects when it can", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      yield* server.kill9
      const error = yield* Effect.flip(RedisClient.make({ url: server.url, required: true }))
      assert.strictEqual(problemOf(error), "unreachable")
      assert.match(error.message, /ECONNREFUSED/)

      const client = yield* RedisClient.make({ url: server.url, commandTimeout: "1 hour", connectTimeout: "1 hour" })
      const ended = yield* Effect.forEach([1, 2, 3, 4, 5], () => problem(ping(client)))
      assert.deepStrictEqual(ended, ["unreachable", "unreachable", "unreachable", "unreachable", "unreachable"])
      assert.strictEqual(yield* problem(client.masters), "unreachable")
      assert.strictEqual(yield* problem(Effect.scoped(client.dedicated)), "unreachable")
      assert.strictEqual(yield* problem(Effect.scoped(client.subscriber)), "unreachable")

      yield* server.restart
      yield* untilAnswered(client)
    }))

  it.live("fails where a cluster is required, and else answers at once and connects when it can", () =>
    Effect.gen(function*() {
      const [node] = (yield* RedisServer.startCluster(1)).nodes
      if (node === undefined) return assert.fail()
      yield* node.kill9
      const cluster = { nodes: [{ host: "127.0.0.1", port: node.port }] }
      assert.strictEqual(yield* problem(RedisClient.make({ cluster, required: true })), "unreachable")
      const client = yield* RedisClient.make({ cluster, commandTimeout: "1 hour", connectTimeout: "1 hour" })
      assert.strictEqual(yield* problem(ping(client)), "unreachable")
      assert.strictEqual(yield* problem(client.masters), "unreachable")
      yield* node.restart
      yield* untilAnswered(client)
    }))

  it.live("ends what was under way when it is killed, and goes on when it is back", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const client = yield* RedisClient.make({ url: server.url, commandTimeout: "1 hour" })
      const under = yield* Effect.forkChild(problem(client.run((redis) => redis.call("BLPOP", "nothing", 0))))
      yield* server.until((printed) => printed.includes("blocked_clients:1"), "INFO", "clients")
      yield* server.kill9
      assert.strictEqual(yield* Fiber.join(under), "unreachable")
      yield* server.restart
      yield* untilAnswered(client)
    }))

  it.live("goes on after the server has closed its connection", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const client = yield* RedisClient.make({ url: server.url, commandTimeout: "30 seconds" })
      for (let round = 0; round < 3; round++) {
        yield* server.cli("CLIENT", "KILL", "TYPE", "normal")
        yield* untilAnswered(client)
      }
    }))
})

describe("RedisClient.run", () => {
  it.live("says what the server refuses a command for, and goes on asking it", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const replica = yield* RedisServer.startReplica(server)
      const client = yield* RedisClient.make({ url: server.url })
      const reader = yield* RedisClient.make({ url: replica.url })

      assert.strictEqual(yield* problem(set(reader)), "read-only")
      yield* client.run((redis) => redis.call("RPUSH", "list", "value"))
      assert.strictEqual(yield* problem(client.run((redis) => redis.getBuffer("list"))), "foreign")
      yield* server.cli("CONFIG", "SET", "maxmemory", "1")
      assert.strictEqual(yield* problem(set(client)), "out-of-memory")
      const script = "return redis.call('SET', KEYS[1], 'value')"
      assert.strictEqual(yield* problem(client.run((redis) => redis.call("EVAL", script, 1, "key"))), "out-of-memory")
      yield* server.cli("CONFIG", "SET", "maxmemory", "0")
      yield* server.cli("CONFIG", "SET", "min-replicas-to-write", "5")
      assert.strictEqual(yield* problem(set(client)), "rejected")
      const unknown = yield* Effect.flip(client.run((redis) => redis.call("NOTHING", "s3cret")))
      assert.strictEqual(problemOf(unknown), "rejected")
      assert.notInclude(inspect(unknown, { depth: 9 }), "s3cret")
      assert.strictEqual(yield* ping(client), "PONG")
    }))

  it.live("fails with what is thrown before a command is sent, without a word against the server", () =>
    Effect.gen(function*() {
      const client = yield* RedisClient.make({ url: yield* Config.Redacted("REDIS_URL") })
      const thrown = client.run(() => {
        throw new Error("a mistake")
      })
      for (let n = 0; n < 5; n++) assert.strictEqual(yield* problem(thrown), "rejected")
      assert.strictEqual(yield* ping(client), "PONG")
    }))

  it.live("ends each command in time when the server is stopped, then answers at once, and recovers by itself", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const client = yield* RedisClient.make({ url: server.url, commandTimeout: "200 millis" })
      yield* client.run((redis) => redis.call("SET", "key", "value"))
      yield* server.stop
      const [first, ...others] = yield* Effect.all(
        Array.from({ length: 5 }, (_, n) => problem(client.run((redis) => redis.call("SET", `late${n}`, "value")))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(first, "timeout")
      assert.deepStrictEqual(others, ["timeout", "timeout", "timeout", "timeout"])

      // The circuit is open for a second: of the commands of the next moment at most one is let through, to see.
      const next = yield* Effect.forEach(Array.from({ length: 50 }), () => problem(ping(client)))
      assert.isAtLeast(next.filter((problem) => problem === "circuit-open").length, 49)

      yield* server.cont
      yield* untilAnswered(client)
      // The answers to what was given up come first, and are not taken for the answers to something else.
      const value = yield* client.run((redis) => redis.getBuffer("key"))
      assert.strictEqual(value?.toString(), "value")
    }))

  it.live("never takes much longer than its limit, also where every answer is missing for long", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const client = yield* RedisClient.make({
        url: server.url,
        commandTimeout: "100 millis",
        connectTimeout: "400 millis"
      })
      yield* server.stop
      // Longer than a silent connection is kept: it is closed, and a new one does not come about.
      const end = performance.now() + 1500
      let longest = 0
      const seen = new Set<string>()
      while (performance.now() < end) {
        const start = performance.now()
        seen.add(yield* problem(ping(client)))
        longest = Math.max(longest, performance.now() - start)
        yield* Effect.sleep("5 millis")
      }
      assert.isTrue(seen.has("timeout") && seen.has("unreachable"), [...seen].join())
      // A loaded machine may be late, but not by a multiple of what connecting or silence may take.
      assert.isBelow(longest, 400)
      yield* server.cont
      yield* untilAnswered(client)
    }))

  it.live("leaves a caller who is interrupted alone, and takes no answer for another's", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const client = yield* RedisClient.make({ url: server.url, commandTimeout: "1 hour" })
      yield* server.stop
      const fiber = yield* Effect.forkChild(client.run((redis) => redis.call("ECHO", "first")), {
        startImmediately: true
      })
      const next = yield* Effect.forkChild(client.run((redis) => redis.call("ECHO", "second")), {
        startImmediately: true
      })
      yield* Fiber.interrupt(fiber)
      yield* server.cont
      assert.strictEqual(yield* Fiber.join(next), "second")
    }))

  it.live("sends what many fibers ask in one turn at once", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const client = yield* RedisClient.make({ url: server.url })
      const reads = Effect.map(
        server.cli("INFO", "stats"),
        (info) => Number(/total_reads_processed:(\d+)/.exec(info)?.[1])
      )
      const before = yield* reads
      yield* Effect.all(Array.from({ length: 200 }, () => ping(client)), { concurrency: "unbounded" })
      assert.isBelow((yield* reads) - before, 20)
    }))

  it.live("fails when its scope has closed, also what is under way on a client that stays open", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const redis = yield* ioredis(() => new Redis(server.port))
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(RedisClient.make({ client: redis, commandTimeout: "1 hour" }), scope)
      const under = yield* Effect.forkChild(problem(client.run((redis) => redis.call("BLPOP", "nothing", 0))))
      yield* server.until((printed) => printed.includes("blocked_clients:1"), "INFO", "clients")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Fiber.join(under), "unreachable")
      assert.strictEqual(yield* problem(ping(client)), "unreachable")
    }))
})

describe("RedisClient.dedicated", () => {
  it.live("blocks without holding anyone up, and ends with its scope", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const client = yield* RedisClient.make({ url: server.url, commandTimeout: "5 seconds" })
      yield* Effect.scoped(Effect.gen(function*() {
        const redis = yield* client.dedicated
        const popped = redis.call("BLPOP", "list", 0)
        yield* server.until((printed) => printed.includes("blocked_clients:1"), "INFO", "clients")
        yield* client.run((redis) => redis.call("RPUSH", "list", "value"))
        assert.deepStrictEqual(yield* Effect.promise(() => popped), ["list", "value"])
      }))
      yield* server.until((printed) => printed.includes("connected_clients:2"), "INFO", "clients")
    }))

  it.live("says that it was lost, and fails from then on", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const client = yield* RedisClient.make({ url: server.url })
      const redis = yield* client.dedicated
      const lost = new Promise<void>((resolve) => redis.on("close", () => resolve()))
      const popped = Effect.exit(Effect.tryPromise(() => redis.call("BLPOP", "list", 0)))
      const under = yield* Effect.forkChild(popped, { startImmediately: true })
      yield* server.until((printed) => printed.includes("blocked_clients:1"), "INFO", "clients")
      yield* server.cli("CLIENT", "KILL", "TYPE", "normal")
      yield* Effect.promise(() => lost)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(under)))
      assert.isTrue(Exit.isFailure(yield* popped))
    }))

  it.live("is given up when the server says nothing while it connects", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const client = yield* RedisClient.make({ url: server.url, connectTimeout: "200 millis" })
      yield* server.stop
      assert.strictEqual(yield* problem(Effect.scoped(client.dedicated)), "unreachable")
    }))
})

describe("RedisClient.clockOffset", () => {
  it.live("is what the server's clock is ahead of the own, from the start", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const ahead = 5 * 60_000
      const skewed: Clock.Clock = Object.assign(Object.create(clock), {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + ahead
      })
      const start = performance.now()
      const client = yield* RedisClient.make({ url: yield* Config.Redacted("REDIS_URL") }).pipe(
        Effect.provideService(Clock.Clock, skewed)
      )
      const took = performance.now() - start
      // What is learned is as wrong as the answer took long; clocks count whole milliseconds.
      assert.isAtMost(Math.abs(client.clockOffset() + ahead), took + 2)
      client.learnTime(0, 10_000, 0)
      assert.strictEqual(client.clockOffset(), 10_000)
    }))
})

// A socket that was closed is gone with one of the next turns, long before what is forgotten would be. Looked for in a turn
// without a timer, which would be found.
const hasOnly = Effect.fnUntraced(function*(resources: ReadonlyArray<string>) {
  const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
  const left = Effect.map(Effect.andThen(Effect.sleep("2 millis"), turn), () => process.getActiveResourcesInfo())
  const last = yield* Effect.repeat(left, { until: (all) => all.length <= resources.length, times: 100 })
  assert.isAtMost(last.length, resources.length, `${resources.join()} became ${last.join()}`)
})

/** Connects in each way, and closes all. */
const used = (options: RedisClient.Options) =>
  Effect.scoped(Effect.gen(function*() {
    const client = yield* RedisClient.make(options)
    yield* Effect.exit(ping(client))
    yield* Effect.exit(client.dedicated)
    yield* Effect.exit(client.subscriber)
  }))

describe("RedisClient, when it is closed", () => {
  it.live("leaves no socket, no timer and no listener, a hundred times (scenario 58)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const stopped = yield* RedisServer.start()
      const redis = yield* ioredis(() => new Redis(server.port))
      const state = () => ({
        listeners: redis.eventNames().map((name) => redis.listenerCount(name)).join(),
        process: process.eventNames().map((name) => process.listenerCount(name)).join()
      })
      yield* used({ url: server.url })
      const resources = process.getActiveResourcesInfo()
      const before = state()
      for (let round = 0; round < 32; round++) {
        yield* used({ url: server.url })
        yield* used({ client: redis })
        yield* used({ url: "redis://127.0.0.1:1" })
      }
      yield* stopped.stop
      for (let round = 0; round < 4; round++) {
        yield* used({ url: stopped.url, commandTimeout: "20 millis", connectTimeout: "20 millis" })
      }
      assert.deepStrictEqual(state(), before)
      yield* hasOnly(resources)
      yield* server.until((printed) => printed.includes("connected_clients:2"), "INFO", "clients")
    }))
})

it.layer(RedisServer.layerCluster, { excludeTestServices: true })("RedisClient over a cluster", (it) => {
  it.effect("uses a cluster: its masters, and connections of one's own", () =>
    Effect.gen(function*() {
      const { nodes } = yield* RedisServer.RedisCluster
      const cluster = { nodes: [`redis://127.0.0.1:${nodes[0]?.port}`] }
      const client = yield* RedisClient.make({ cluster, required: true })
      const keys = ["a", "b", "c", "d", "e"]
      yield* client.run((redis) => Promise.all(keys.map((key) => redis.call("SET", key, key))))
      const masters = yield* client.masters
      assert.strictEqual(masters.length, 3)
      const sizes = yield* client.run(() => Promise.all(masters.map((node) => node.call("DBSIZE"))))
      assert.strictEqual(sizes.map(Number).reduce((sum, size) => sum + size), keys.length)

      const dedicated = yield* client.dedicated
      assert.deepStrictEqual(
        yield* Effect.promise(() => Promise.all(keys.map((key) => dedicated.call("GET", key)))),
        keys
      )

      const subscriber = yield* client.subscriber
      const received = new Promise((resolve) => subscriber.on("message", (...message) => resolve(message)))
      yield* Effect.promise(() => subscriber.subscribe("channel"))
      for (const node of nodes) yield* node.cli("PUBLISH", "channel", "text")
      assert.deepStrictEqual(yield* Effect.promise(() => received), ["channel", "text"])
      assert.strictEqual(yield* problem(client.run((redis) => redis.call("GET", "a", "b"))), "rejected")
    }))

  it.effect("says how to make a client of it, where it is given the address of one of its nodes", () =>
    Effect.gen(function*() {
      const { nodes } = yield* RedisServer.RedisCluster
      const client = yield* RedisClient.make({ url: nodes[0]!.url, required: true })
      // They are in different thirds of the slots.
      const results = yield* Effect.forEach(
        ["a", "b", "c", "d", "e"],
        (key) => Effect.result(client.run((redis) => redis.call("GET", key)))
      )
      const refused = results.flatMap((result) => Result.isFailure(result) ? [result.failure] : [])
      assert.isTrue(refused.length > 0 && refused.length < results.length)
      const both = yield* Effect.flip(client.run((redis) => redis.call("MGET", "a", "b")))
      for (const error of [...refused, both]) {
        assert.strictEqual(problemOf(error), "rejected")
        assert.match(error.message, /one node of a cluster/)
      }
    }))

  it.effect("uses a client of the program as it is, and leaves it open and as it was", () =>
    Effect.gen(function*() {
      const { nodes } = yield* RedisServer.RedisCluster
      yield* leavesAsItWas(yield* ioredis(() => new Cluster([nodes[0]?.port ?? 0])))
    }))

  it.effect("leaves no socket and no timer (scenario 58)", () =>
    Effect.gen(function*() {
      const { nodes } = yield* RedisServer.RedisCluster
      const cluster = { nodes: [nodes[0]?.port ?? 0] }
      yield* used({ cluster })
      const resources = process.getActiveResourcesInfo()
      for (let round = 0; round < 10; round++) yield* used({ cluster })
      yield* hasOnly(resources)
    }))
})

// V8 tells whether the prototype of strings is fast. In a process of its own, because others mend it, too.
const isFastWith = (imported: string) =>
  Effect.promise(async () => {
    const code = `await import(${JSON.stringify(imported)}); console.log(%HasFastProperties(String.prototype))`
    const register = new URL("bin/fixtures/register.ts", import.meta.url).href
    const flags = ["--allow-natives-syntax", "--import", register, "--input-type=module", "--eval", code]
    const { stdout } = await promisify(execFile)(process.execPath, flags, { cwd: new URL("..", import.meta.url) })
    return stdout.trim()
  })

describe("RedisClient, once imported", () => {
  it.live("leaves strings as fast as they were before ioredis was", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* isFastWith("effect-cached/RedisClient"), "true")
      // Should this be true, too, ioredis does not need mending any more.
      assert.strictEqual(yield* isFastWith("ioredis"), "false")
    }))
})
