/**
 * The result cache over Redis, for many processes.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type * as CacheError from "./CacheError.ts"
import * as DependencyGraph from "./DependencyGraph.ts"
import * as MsgPackCodec from "./MsgPackCodec.ts"
import * as RedisBroadcaster from "./RedisBroadcaster.ts"
import * as RedisClient from "./RedisClient.ts"
import * as RedisLease from "./RedisLease.ts"
import * as RedisStore from "./RedisStore.ts"
import * as ResultCache from "./ResultCache.ts"
import * as Store from "./Store.ts"

/**
 * Options of a cache over Redis, as for `ResultCache.layerRedis`.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = ResultCache.RedisCacheOptions

/**
 * The result cache over a client that is provided: a cluster, Sentinel, or what the program uses already.
 *
 * **Details**
 *
 * Memory in front, Redis behind, the invalidation log and the leases of all processes on the same server. While Redis cannot
 * be reached, results are computed. Fails with a `CacheError` of reason `DefinitionError` for an option that is unusable.
 *
 * **When to use**
 *
 * Use `ResultCache.layerRedis` where a URL says all.
 *
 * **Example** (Over a client of one's own)
 *
 * ```ts import.meta.vitest
 * import { Config, Effect, Layer, Schema } from "effect"
 * import { Cached } from "effect-cached"
 * import * as RedisCache from "effect-cached/RedisCache"
 * import * as RedisClient from "effect-cached/RedisClient"
 *
 * const cache = RedisCache.layer({ namespace: "docs:cache" }).pipe(
 *   Layer.provide(RedisClient.layerConfig({ url: Config.Redacted("REDIS_URL") }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const answer = yield* Cached.make("answer", { success: Schema.Number }, () => Effect.succeed(42))
 *   return yield* answer()
 * }).pipe(Effect.provide(cache))
 *
 * await Effect.runPromise(program) // => 42
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<ResultCache.ResultCache, CacheError.CacheError, RedisClient.RedisClient> => {
  const { compressFrom, lease, maxLifetime, maxLogLength, maxStaleness, memory, namespace, required } = options ?? {}
  const far = RedisStore.layer({ namespace, maxLifetime }).pipe(
    Layer.provide(MsgPackCodec.layer({ compressFrom: compressFrom ?? 32 * 1024 }))
  )
  return ResultCache.layer(options).pipe(
    Layer.provide([
      memory === false ? far : Store.layerTiered({ near: Store.layerMemory(memory), far }),
      DependencyGraph.layer(),
      RedisBroadcaster.layer({ namespace, maxStaleness, maxLength: maxLogLength, required }),
      lease === false ? Layer.empty : RedisLease.layer({ ...lease, namespace })
    ])
  )
}

/**
 * The result cache over a client that is made of these options.
 *
 * **When to use**
 *
 * Use `ResultCache.layerRedis`, which is this and loads the driver only when it is built.
 *
 * **Example** (From a URL)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached } from "effect-cached"
 * import * as RedisCache from "effect-cached/RedisCache"
 *
 * const program = Effect.gen(function*() {
 *   const answer = yield* Cached.make("answer", { success: Schema.Number }, () => Effect.succeed(42))
 *   return yield* answer()
 * }).pipe(Effect.provide(RedisCache.layerClient({ url: process.env.REDIS_URL, namespace: "docs:client" })))
 *
 * await Effect.runPromise(program) // => 42
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (
  options: ResultCache.RedisOptions
): Layer.Layer<ResultCache.ResultCache, CacheError.CacheError> => {
  const { client, commandTimeout, required, url } = options
  // The driver's own type is not named where the driver may be missing.
  const given = client as RedisClient.Options["client"]
  return layer(options).pipe(
    Layer.provide(RedisClient.layer({ url, client: given, commandTimeout, required }))
  )
}
