/**
 * Connections to Redis: a single server, Sentinel, or a cluster.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Cluster, type ClusterNode, type ClusterOptions, Redis, type RedisOptions } from "ioredis"
import { setImmediate } from "node:timers"
import type * as CacheError from "./CacheError.ts"
import { definitionError, describe, serverError } from "./internal/errors.ts"
import { getOf } from "./internal/reader.ts"
import { makeClockOffset } from "./internal/redis/clockOffset.ts"
import { makeCommands } from "./internal/redis/commands.ts"
import { makeCorked } from "./internal/redis/corked.ts"
import type * as driver from "./internal/redis/driver.ts"
import { makeReads } from "./internal/redis/reads.ts"
import { replyError } from "./internal/redis/replyError.ts"
import { parseUrl } from "./internal/redis/url.ts"
import { millis } from "./internal/settings.ts"

// ioredis declares a class that extends String. With that, V8 keeps `String.prototype` as a dictionary, and every string of
// the process is slow: packing takes twice as long, hashing ten times. As the prototype of an object that is written to, it is
// made fast again.
Object.create(String.prototype).x = true

/**
 * A connection, as ioredis has it.
 *
 * @category models
 * @since 0.1.0
 */
export type Driver = driver.Driver

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class RedisClient extends Context.Service<RedisClient, {
  /**
   * Runs commands on the shared connection, and waits for at most `commandTimeout`. `send` is called in the same step in which
   * the effect is run, so that what many fibers send in one turn is one pipeline. Fails with a `CacheError` of reason
   * `ServerError`; after three failures in a row it does so at once, for about a second.
   */
  readonly run: <A>(send: (redis: Driver) => Promise<A>) => Effect.Effect<A, CacheError.CacheError>
  /**
   * The bytes at a key, `null` where there are none. As `run`, and what many fibers ask for in one turn are few commands, `MGET`
   * except for a cluster: the reads of one command fail together. The bytes may be a view of all that came with them.
   */
  readonly get: (key: string) => Effect.Effect<Uint8Array | null, CacheError.CacheError>
  /**
   * A connection that nobody else uses, for commands that block. It is connected, ends with the scope, and does not connect
   * again when it is lost: then its commands fail, and another has to be made. Its commands have no time limit. For a cluster,
   * these are connections to its nodes, of which each is replaced when it is lost.
   */
  readonly dedicated: Effect.Effect<Driver, CacheError.CacheError, Scope.Scope>
  /** As `dedicated`, for messages: of a cluster, a connection to one of its masters, which is sent the messages of all. */
  readonly subscriber: Effect.Effect<Driver, CacheError.CacheError, Scope.Scope>
  /** The shared connections to all masters: one, unless it is a cluster. Use them inside `run`. */
  readonly masters: Effect.Effect<ReadonlyArray<Driver>, CacheError.CacheError>
  /** In milliseconds. */
  readonly commandTimeout: number
  /** The server's time minus that of this process, in milliseconds, as it was last learned: when it connects, by `TIME`. */
  readonly clockOffset: () => number
  /** Learns from an answer: own time when it was asked for, the server's time in it, and own time when it came. */
  readonly learnTime: (asked: number, serverMillis: number, answered: number) => void
}>()("effect-cached/RedisClient") {}

/**
 * Options of a client. One of the first four says where the server is.
 *
 * **Details**
 *
 * - `url`: `redis://user:password@host:port/database`, `rediss://` for TLS, `unix:///path?db=1` or a plain path for a socket.
 * - `options`: the options of ioredis, for Sentinel, for certificates, and for what a URL cannot say.
 * - `cluster`: nodes of a cluster, and the options of ioredis for it.
 * - `client`: a client that the program has already. It is used as it is, and never closed.
 * - `commandTimeout`: the longest that a command may take, default 1 second.
 * - `connectTimeout`: the longest that connecting may take, default 5 seconds.
 * - `required`: whether to fail when the server cannot be reached, default `false`: then all that is asked of it fails, and it
 *   is tried again for ever.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly url?: string | Redacted.Redacted | undefined
  readonly options?: RedisOptions | undefined
  readonly cluster?:
    | { readonly nodes: ReadonlyArray<ClusterNode>; readonly options?: ClusterOptions | undefined }
    | undefined
  readonly client?: Redis | Cluster | undefined
  readonly commandTimeout?: Duration.Input | undefined
  readonly connectTimeout?: Duration.Input | undefined
  readonly required?: boolean | undefined
}

/**
 * Connects to Redis, until the scope closes.
 *
 * **Details**
 *
 * Waits for the first connection. Where there is none, and it is not `required`, it goes on without, says so in the log, and
 * connects as soon as it can.
 *
 * Fails with a `CacheError` of reason `DefinitionError` for options or a URL that cannot be used, of reason `ServerError` if
 * the server is `required` and cannot be reached.
 *
 * A server with rights for each user has to allow `TIME` and `INFO` besides what is sent to it.
 *
 * **Example** (Sending commands)
 *
 * ```ts import.meta.vitest
 * import { Config, Effect } from "effect"
 * import * as RedisClient from "effect-cached/RedisClient"
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* RedisClient.make({ url: yield* Config.Redacted("REDIS_URL") })
 *   yield* client.run((redis) => redis.call("SET", "docs:client", "kept", "PX", 60_000))
 *   return yield* client.run((redis) => redis.getBuffer("docs:client"))
 * }).pipe(Effect.scoped)
 *
 * const found = await Effect.runPromise(program)
 * found?.toString() // => "kept"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<RedisClient["Service"], CacheError.CacheError, Scope.Scope> {
  const commandTimeout = yield* limit("RedisClient.commandTimeout", options.commandTimeout ?? "1 second")
  const connectTimeout = yield* limit("RedisClient.connectTimeout", options.connectTimeout ?? "5 seconds")
  const redis = yield* connect(options, { commandTimeout, connectTimeout })
  const unusable = watchProblems(redis, options.client === undefined)
  const run = yield* makeCommands({ limit: commandTimeout, unusable })
  const cork = makeCorked(
    () => isCluster(redis) ? redis.nodes().map(streamOf) : [streamOf(redis)],
    setImmediate,
    () => reads?.send()
  )
  // The keys of one command have to be on one node.
  const reads = isCluster(redis) ? undefined : makeReads(yield* Effect.context(), run, redis, cork)
  const offset = makeClockOffset()
  const clock = yield* Clock.Clock

  const askTime = (): Promise<void> => {
    const asked = clock.currentTimeMillisUnsafe()
    return redis.call("TIME").then((reply) => {
      const [seconds, micros] = reply as [string, string]
      offset.learn(asked, Number(seconds) * 1000 + Number(micros) / 1000, clock.currentTimeMillisUnsafe())
    })
  }
  yield* firstAttempt(redis, connectTimeout)
  yield* options.required === true
    ? run(askTime)
    : Effect.catch(run(askTime), (error) => Effect.logWarning(`${error.message}. The cache goes on without it`))
  // Another server may have another clock.
  yield* listen(redis, "ready", () => void askTime().catch(ignore))

  const masters = Effect.suspend((): Effect.Effect<ReadonlyArray<Redis>, CacheError.CacheError> => {
    const down = unusable()
    return down === undefined ? Effect.succeed(isCluster(redis) ? redis.nodes("master") : [redis]) : Effect.fail(down)
  })
  // Any of them: one that is there, but says nothing, is not asked every time.
  const oneMaster = Effect.flatMap(
    masters,
    (all) =>
      Effect.flatMap(Random.nextIntBetween(0, all.length, { halfOpen: true }), (index) => {
        const node = all[index]
        return node === undefined ? Effect.fail(noConnection()) : Effect.succeed(node)
      })
  )
  const send: RedisClient["Service"]["run"] = (send) =>
    run(() => {
      cork()
      return send(redis)
    })
  return RedisClient.of({
    run: send,
    get: reads === undefined ? (key) => send((redis) => redis.getBuffer(key)) : getOf(reads.read),
    dedicated: dedicated(() => isCluster(redis) ? copyOfCluster(redis) : copyOf(redis), connectTimeout),
    subscriber: Effect.flatMap(oneMaster, (node) => dedicated(() => copyOf(node), connectTimeout)),
    masters,
    commandTimeout,
    clockOffset: offset.current,
    learnTime: offset.learn
  })
})

const ignore = () => {}

const noConnection = () =>
  serverError(
    "unreachable",
    "There is no connection to Redis: is the address right, and TLS on both sides or on none?"
  )

const limit = Effect.fnUntraced(function*(where: string, input: Duration.Input) {
  const value = yield* millis(where, input)
  return value >= 1 && value <= longestLimit
    ? value
    : yield* definitionError(where, `${value} ms is not from 1 millisecond to 1 hour`)
})

const longestLimit = 60 * 60 * 1000

type Client = Redis | Cluster

// The program may have a copy of ioredis of its own, with other classes.
const isCluster = (client: Client): client is Cluster => client.isCluster

interface Limits {
  readonly commandTimeout: number
  readonly connectTimeout: number
}

const connect = Effect.fnUntraced(function*(
  options: Options,
  limits: Limits
): Effect.fn.Return<Client, CacheError.CacheError, Scope.Scope> {
  const { client, cluster, options: own, url } = options
  const given = [url, own, cluster, client].filter((one) => one !== undefined).length
  if (given !== 1) {
    return yield* definitionError(
      "RedisClient",
      given === 0
        ? "nothing says where the server is, neither `url` nor another option: is the environment variable set?"
        : "only one of `url`, `options`, `cluster` and `client` can say where the server is"
    )
  }
  if (client !== undefined && typeof client.options !== "object") {
    return yield* definitionError("RedisClient.client", "it is no client of ioredis")
  }
  if (client !== undefined) return yield* Effect.as(check("RedisClient.client", client.options), client)
  // Nodes that start together do not come back together.
  const jitter = yield* Random.nextIntBetween(0, 100)
  const backoff = (times: number) => Math.min(25 * 2 ** Math.min(times, 8), longestBackoff) + jitter
  if (cluster !== undefined) {
    yield* check("RedisClient.cluster", cluster.options ?? {})
    const settings = clusterOptions(cluster.options, limits, backoff)
    return yield* open("RedisClient.cluster", () => new Cluster([...cluster.nodes], settings))
  }
  const where = own === undefined ? "RedisClient.url" : "RedisClient.options"
  const address = url === undefined
    ? { ...own }
    : yield* parseUrl(where, Redacted.isRedacted(url) ? Redacted.value(url) : url)
  yield* check(where, address)
  return yield* open(where, () => new Redis(serverOptions(address, limits, backoff)))
})

const longestBackoff = 1000

// A client that changes what is sent or what comes back is of no use: keys would be found under other names, or not at all.
const check = (where: string, options: RedisOptions | ClusterOptions): Effect.Effect<void, CacheError.CacheError> => {
  const both = options as RedisOptions & ClusterOptions
  const problem = unusableOption(both) ?? unusableOption(both.redisOptions ?? {})
  return problem === undefined ? Effect.void : Effect.fail(definitionError(where, problem))
}

const unusableOption = (options: RedisOptions): string | undefined => {
  if ((options.keyPrefix ?? "") !== "") return "`keyPrefix` has to be left out: a cache has a namespace of its own"
  if (options.stringNumbers === true) return "`stringNumbers` has to be left out: numbers in answers are read as such"
  if (options.replyMapping === "resp3") return "`replyMapping` has to be left out: answers are read in their older form"
  if ("scaleReads" in options && options.scaleReads !== "master") {
    return "`scaleReads` has to be left out: a replica may not have yet what was stored"
  }
  if (options.role === "slave") return "`role` has to be \"master\": a replica takes no writes"
  return undefined
}

// Sockets are not closed politely, see `close`. ioredis waits so long in vain, also for one that is closed already.
const noGoodbye = { disconnectTimeout: 1 }

// What is down fails at once. What was under way when the connection was lost has failed too: nobody knows whether it was done.
const failFast = {
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  replyMapping: "legacy",
  ...noGoodbye
} as const

const serverOptions = (options: RedisOptions, limits: Limits, backoff: (times: number) => number) => ({
  ...(options.sentinels && { sentinelCommandTimeout: limits.connectTimeout, reconnectOnError: isReadOnly }),
  ...options,
  ...failFast,
  connectTimeout: options.connectTimeout ?? limits.connectTimeout,
  retryStrategy: options.retryStrategy ?? backoff,
  lazyConnect: false,
  enableOfflineQueue: false,
  socketTimeout: silence(limits)
})

// The master that Sentinel named is none any more: ask again.
const isReadOnly = (error: Error): boolean => error.message.startsWith("READONLY")

// For how long a connection on which something was asked may say nothing at all. A network that has swallowed it says nothing
// for many minutes.
const silence = ({ commandTimeout, connectTimeout }: Limits): number => Math.max(connectTimeout, 2 * commandTimeout)

const clusterOptions = (
  options: ClusterOptions | undefined,
  limits: Limits,
  backoff: (times: number) => number
) => ({
  ...options,
  clusterRetryStrategy: options?.clusterRetryStrategy ?? backoff,
  slotsRefreshTimeout: options?.slotsRefreshTimeout ?? limits.connectTimeout,
  lazyConnect: false,
  // Without it, connecting fails whenever ioredis picks a node to ask that it is not connected with yet.
  enableOfflineQueue: true,
  redisOptions: {
    ...options?.redisOptions,
    ...failFast,
    // Each is connected with when it is asked.
    lazyConnect: true,
    connectTimeout: options?.redisOptions?.connectTimeout ?? limits.connectTimeout,
    socketTimeout: silence(limits)
  }
})

const open = (where: string, make: () => Client): Effect.Effect<Client, CacheError.CacheError, Scope.Scope> =>
  Effect.acquireRelease(Effect.try({ try: make, catch: (cause) => definitionError(where, describe(cause)) }), close)

// Without a goodbye: a server that is stopped would be waited for. Whoever has sent something has waited for the answer.
const close = (client: Client): Effect.Effect<void> =>
  isCluster(client)
    ? Effect.suspend(() => {
      const nodes = client.nodes()
      client.disconnect()
      return Effect.forEach(nodes, closeOne, { concurrency: "unbounded", discard: true })
    })
    : closeOne(client)

const closeOne = (client: Redis): Effect.Effect<void> =>
  Effect.callback((resume) => {
    client.disconnect()
    const stream = streamOf(client)
    if (stream === undefined || stream.closed) return resume(Effect.void)
    stream.once("close", () => resume(Effect.void))
    stream.destroy()
  })

// Why nothing can be sent now, `undefined` where it can.
const watchProblems = (client: Client, own: boolean): () => CacheError.CacheError | undefined => {
  let problem: unknown
  // ioredis goes on with database 0, which is someone else's.
  let wrongDatabase: unknown
  if (own) {
    client.on("connect", () => {
      wrongDatabase = undefined
    })
    // A client without such a listener writes to the console. The listeners end with the client.
    const note = (cause: unknown) => {
      problem = cause
      if (databaseProblem.test(describe(cause))) wrongDatabase = cause
    }
    client.on("error", note)
    client.on("node error", note)
    client.on("ready", () => note(undefined))
  }
  const sends = own ? ownSends : foreignSends
  return () => {
    if (wrongDatabase !== undefined) return replyError(wrongDatabase)
    if (sends.has(client.status)) return undefined
    return problem === undefined ? noConnection() : replyError(problem)
  }
}

const databaseProblem = /DB index is out of range|SELECT is not allowed/

const ownSends: ReadonlySet<string> = new Set(["ready"])

// A client that was given may keep commands until it is connected for the first time, or connect when one is sent.
const foreignSends: ReadonlySet<string> = new Set(["ready", "wait", "connecting", "connect"])

// There is none before the first connection.
const streamOf = (client: Redis): Redis["stream"] | undefined => client.stream

const listen = (client: Client, event: string, listener: () => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => client.on(event, listener)),
    () => Effect.sync(() => client.off(event, listener))
  ))

// Waits while a connection is being made, until it is there or has failed.
const firstAttempt = (client: Client, connectTimeout: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (client.status !== "connecting" && client.status !== "connect") return resume(Effect.void)
    // A cluster that is there may still take more than one attempt.
    const ends = ["ready", "end", isCluster(client) ? "error" : "close"]
    const forget = () => {
      for (const event of ends) client.off(event, done)
    }
    const done = () => {
      forget()
      resume(Effect.void)
    }
    for (const event of ends) client.on(event, done)
    return Effect.sync(forget)
  }).pipe(Effect.timeoutOption(connectTimeout), Effect.asVoid)

// A connection of its own, which is there once, and not made again.
const dedicated = Effect.fnUntraced(function*(
  copy: () => Client,
  connectTimeout: number
): Effect.fn.Return<Driver, CacheError.CacheError, Scope.Scope> {
  const client = yield* Effect.acquireRelease(Effect.sync(copy), close)
  let problem: unknown
  const note = (cause: unknown) => {
    problem = cause
  }
  client.on("error", note)
  client.on("node error", note)
  yield* Effect.tryPromise({ try: () => client.connect(), catch: (cause) => replyError(problem ?? cause) }).pipe(
    Effect.timeoutOrElse({ duration: connectTimeout, orElse: () => Effect.fail(replyError(problem ?? notConnected)) })
  )
  if (databaseProblem.test(describe(problem))) return yield* replyError(problem)
  return client
})

const notConnected = new Error("Connection is closed: it could not be made in time")

const copyOf = (client: Redis): Redis =>
  client.duplicate({
    ...alone,
    lazyConnect: true,
    enableOfflineQueue: true,
    retryStrategy: null,
    autoResubscribe: false
  })

const copyOfCluster = (client: Cluster): Cluster =>
  client.duplicate([], {
    lazyConnect: true,
    enableOfflineQueue: true,
    enableAutoPipelining: false,
    redisOptions: alone
  })

// Who blocks is not in a hurry, and is not to be mixed with others.
const alone = {
  enableAutoPipelining: false,
  commandTimeout: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
  ...noGoodbye
}

/**
 * Connects to Redis, for as long as the layer lives. Options and errors as for {@link make}.
 *
 * **Example** (A client that the program has already)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import * as RedisClient from "effect-cached/RedisClient"
 * import { Redis } from "ioredis"
 *
 * const redis = new Redis(process.env.REDIS_URL ?? "")
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* RedisClient.RedisClient
 *   return yield* client.run((redis) => redis.call("PING"))
 * }).pipe(Effect.provide(RedisClient.layer({ client: redis })))
 *
 * await Effect.runPromise(program) // => "PONG"
 * redis.status // => "ready"
 * redis.disconnect()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<RedisClient, CacheError.CacheError> =>
  Layer.effect(RedisClient)(make(options))

/**
 * What of the options can come from a `Config`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigOptions extends Pick<Options, "commandTimeout" | "connectTimeout" | "required"> {
  readonly url: string | Redacted.Redacted
}

/**
 * Connects to the Redis that the configuration names. Options and errors as for {@link make}.
 *
 * **Example** (A password that nobody prints)
 *
 * ```ts import.meta.vitest
 * import { Config, Effect } from "effect"
 * import * as RedisClient from "effect-cached/RedisClient"
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* RedisClient.RedisClient
 *   return yield* client.run((redis) => redis.call("PING"))
 * }).pipe(Effect.provide(RedisClient.layerConfig({
 *   url: Config.Redacted("REDIS_URL"),
 *   required: Config.succeed(true)
 * })))
 *
 * await Effect.runPromise(program) // => "PONG"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions>
): Layer.Layer<RedisClient, CacheError.CacheError | Config.ConfigError> =>
  Layer.effect(RedisClient)(Effect.flatMap(Config.unwrap(config), make))
