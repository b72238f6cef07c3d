/**
 * The invalidation log of many processes, in a stream of Redis.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Broadcaster from "./Broadcaster.ts"
import type * as CacheError from "./CacheError.ts"
import { formatVersion } from "./Codec.ts"
import { definitionError, describe, logError, serverError } from "./internal/errors.ts"
import { makeLinkedLog } from "./internal/linkedLog/linkedLog.ts"
import type { Question, Remote } from "./internal/linkedLog/remote.ts"
import { readAnswer, type Reading, readWaited } from "./internal/redis/logReply.ts"
import { askLog } from "./internal/redis/logScript.ts"
import { defaultNamespace, names } from "./internal/redis/names.ts"
import { replyError, timedOut } from "./internal/redis/replyError.ts"
import { millis, size } from "./internal/settings.ts"
import { type Driver, RedisClient } from "./RedisClient.ts"

/**
 * Options of the log.
 *
 * **Details**
 *
 * - `namespace`: who shares it shares the log. Default `"effect-cached"`.
 * - `maxStaleness`: for how long what was told is relied on without hearing from the server, default 5 seconds. The server is
 *   asked whenever it was not heard from for a fifth of that.
 * - `maxLength`: about how many records the log keeps, default 20 000. Who was cut off for longer begins anew, as does who is
 *   new and finds entries that are older.
 * - `maxRecordBytes`: a record with more bytes of tags invalidates everything instead, default 1 MiB.
 * - `required`: whether to fail when the log cannot be reached, default `false`: then nothing is relied on until it can.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly namespace?: string | undefined
  readonly maxStaleness?: Duration.Input | undefined
  readonly maxLength?: number | undefined
  readonly maxRecordBytes?: number | undefined
  readonly required?: boolean | undefined
}

/**
 * Makes a log of a namespace, and follows it until the scope closes.
 *
 * **Details**
 *
 * Fails with a `CacheError` of reason `DefinitionError` for an option that cannot be used, and of reason `LogError` if it is
 * `required` and cannot be reached.
 *
 * **Example** (Two connections, one log)
 *
 * ```ts import.meta.vitest
 * import { Config, Effect } from "effect"
 * import * as RedisBroadcaster from "effect-cached/RedisBroadcaster"
 * import * as RedisClient from "effect-cached/RedisClient"
 *
 * // REDIS_URL says where the server is.
 * const client = RedisClient.layerConfig({ url: Config.String("REDIS_URL") })
 *
 * const program = Effect.gen(function*() {
 *   const here = yield* RedisBroadcaster.make({ namespace: "example-log" })
 *   const there = yield* RedisBroadcaster.make({ namespace: "example-log" })
 *   const told: Array<string> = []
 *   yield* there.follow((change) => change._tag === "Record" && told.push(...change.tags))
 *   yield* here.append(["user:7"])
 *   yield* there.catchUp
 *   return told.includes("user:7")
 * }).pipe(Effect.scoped, Effect.provide(client))
 *
 * await Effect.runPromise(program) // => true
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<Broadcaster.Broadcaster["Service"], CacheError.CacheError, RedisClient | Scope.Scope> {
  const maxStaleness = yield* millis("RedisBroadcaster.maxStaleness", options.maxStaleness ?? "5 seconds")
  if (!(maxStaleness >= shortestBound && maxStaleness < Infinity)) {
    return yield* definitionError(
      "RedisBroadcaster.maxStaleness",
      `${maxStaleness} ms is no bound: it is at least ${shortestBound} milliseconds, and has an end`
    )
  }
  const maxRecordBytes = yield* size("RedisBroadcaster.maxRecordBytes", options.maxRecordBytes ?? 1024 * 1024)
  const maxLength = yield* size("RedisBroadcaster.maxLength", options.maxLength ?? 20_000)
  const { log } = yield* names("RedisBroadcaster.namespace", options.namespace ?? defaultNamespace, formatVersion)
  const { commandTimeout: limit } = yield* RedisClient
  const remote = yield* makeRemote({ key: log, maxLength, maxRecordBytes })
  if (options.required === true) yield* remote.ask({ cursor: undefined, known: 0, append: undefined })
  return Broadcaster.Broadcaster.of(yield* makeLinkedLog(remote, { maxStaleness, limit, maxRecordBytes }))
})

// In milliseconds. Less than a few times the way to the server and back is never kept.
const shortestBound = 50

interface Settings {
  readonly key: string
  readonly maxLength: number
  readonly maxRecordBytes: number
}

const makeRemote = Effect.fnUntraced(function*(
  { key, maxLength, maxRecordBytes }: Settings
): Effect.fn.Return<Remote, never, RedisClient | Scope.Scope> {
  const client = yield* RedisClient
  const clock = yield* Clock.Clock
  const connection = yield* makeConnection(client)
  const now = () => clock.currentTimeMillisUnsafe()
  let history = ""
  let latest = 0

  const reading = (): Reading => ({ time: Math.max(now() * 1000, latest), maxRecordBytes })

  const ask = ({ append, cursor, known }: Question) =>
    Effect.suspend(() => {
      const asked = now()
      const page = append === undefined ? largePage : smallPage
      const tags = append === undefined ? "" : JSON.stringify(append)
      const args = [
        cursor?.id ?? "",
        cursor?.previous ?? "",
        known,
        asked * 1000,
        maxLength,
        page,
        tags,
        cursor?.history ?? ""
      ]
      return Effect.flatMap(client.run((redis) => askLog(redis, [key], args)), (reply) =>
        understood(() => {
          const [answer, server] = readAnswer(reply, reading())
          latest = answer.time
          client.learnTime(asked, answer.time / 1000, now())
          // Who waits may be waiting where nothing comes any more.
          if (server !== history) connection.renew()
          history = server
          return answer
        }))
    })

  const wait = (after: string, millis: number) => {
    const block = Math.max(1, Math.floor(millis))
    const read = connection.use(
      (redis) => redis.call("XREAD", "COUNT", largePage, "BLOCK", block, "STREAMS", key, after),
      block + client.commandTimeout
    )
    return Effect.flatMap(read, (reply) => understood(() => readWaited(reply, reading())))
  }

  return {
    ask: (question) => Effect.mapError(ask(question), (error) => failed("asked", error)),
    wait: (after, millis) => Effect.mapError(wait(after, millis), (error) => failed("followed", error))
  }
})

// In records. Who appends is told at once what was appended by others at the same time; what is more is read together.
const largePage = 200
const smallPage = 4

const failed = (how: string, error: CacheError.CacheError): CacheError.CacheError =>
  logError(`The invalidation log cannot be ${how}: ${error.message}`, error)

const understood = <A>(read: () => A): Effect.Effect<A, CacheError.CacheError> =>
  Effect.try({
    try: read,
    catch: (cause) => serverError("foreign", `The server answers what no Redis does: ${describe(cause)}`, cause)
  })

interface Connection {
  /** Runs a command that blocks, for at most so many milliseconds. After one that failed there is another connection. */
  readonly use: (
    send: (redis: Driver) => Promise<unknown>,
    millis: number
  ) => Effect.Effect<unknown, CacheError.CacheError>
  /** Makes another connection for the next command. */
  readonly renew: () => void
}

const makeConnection = Effect.fnUntraced(function*(
  client: RedisClient["Service"]
): Effect.fn.Return<Connection, never, Scope.Scope> {
  const scope = yield* Effect.scope
  let current: { readonly redis: Driver; readonly scope: Scope.Closeable } | undefined
  let outdated = false

  const leave = Effect.suspend(() => {
    const left = current
    current = undefined
    outdated = false
    return left === undefined ? Effect.void : Scope.close(left.scope, Exit.void)
  })

  const enter = Effect.gen(function*() {
    const own = yield* Scope.fork(scope)
    const redis = yield* Effect.onError(Scope.provide(client.dedicated, own), () => Scope.close(own, Exit.void))
    current = { redis, scope: own }
    return redis
  })

  return {
    use: Effect.fnUntraced(function*(send: (redis: Driver) => Promise<unknown>, millis: number) {
      if (outdated) yield* leave
      const redis = current?.redis ?? (yield* enter)
      return yield* Effect.tryPromise({ try: () => send(redis), catch: replyError }).pipe(
        Effect.timeoutOrElse({ duration: millis, orElse: () => Effect.fail(timedOut()) }),
        Effect.onError(() => leave)
      )
    }),
    renew: () => {
      outdated = current !== undefined
    }
  }
})

/**
 * The log of a namespace. Options and errors as for {@link make}.
 *
 * **Example** (A cache of this process whose invalidations others hear)
 *
 * ```ts import.meta.vitest
 * import { Config, Effect, Layer, Schema } from "effect"
 * import { Cached, DependencyGraph, ResultCache, Store } from "effect-cached"
 * import * as RedisBroadcaster from "effect-cached/RedisBroadcaster"
 * import * as RedisClient from "effect-cached/RedisClient"
 *
 * const log = RedisBroadcaster.layer({ namespace: "example-broadcaster" }).pipe(
 *   Layer.provide(RedisClient.layerConfig({ url: Config.String("REDIS_URL") }))
 * )
 *
 * // Each process has a store of its own, and all have one log.
 * const cache = ResultCache.layer().pipe(Layer.provide([Store.layerMemory(), DependencyGraph.layer(), log]))
 *
 * const program = Effect.gen(function*() {
 *   let computed = 0
 *   const counter = yield* Cached.make(
 *     "counter",
 *     { success: Schema.Number, deps: () => ["counter"] },
 *     () => Effect.sync(() => ++computed)
 *   )
 *   yield* counter()
 *   yield* ResultCache.invalidate("counter")
 *   return yield* counter()
 * }).pipe(Effect.provide(cache))
 *
 * await Effect.runPromise(program) // => 2
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<Broadcaster.Broadcaster, CacheError.CacheError, RedisClient> =>
  Layer.effect(Broadcaster.Broadcaster)(make(options))
