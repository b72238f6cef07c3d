/**
 * Leases on a Redis server: one computation of a key at a time, in all processes that share the server.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as CacheError from "./CacheError.ts"
import { formatVersion } from "./Codec.ts"
import { definitionError } from "./internal/errors.ts"
import { elapsedSince, momentOf } from "./internal/moment.ts"
import { type Given, releaseLease, renewLease, takeLease, watchLease } from "./internal/redis/leaseScripts.ts"
import { defaultNamespace, names } from "./internal/redis/names.ts"
import { makeWakes } from "./internal/redis/wakes.ts"
import { millis } from "./internal/settings.ts"
import * as Lease from "./Lease.ts"
import * as RedisClient from "./RedisClient.ts"

/**
 * Options of leases on a Redis server.
 *
 * **Details**
 *
 * - `namespace`: what all names of keys on the server begin with, default `"effect-cached"`. That of the store.
 * - `duration`: for how long a holder that has disappeared keeps others waiting, from one millisecond to one day. Default 5
 *   seconds. One that is alive renews its lease three times as often.
 * - `waitAtMost`: the longest that anyone waits for the lease of another, default 30 seconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly namespace?: string | undefined
  readonly duration?: Duration.Input | undefined
  readonly waitAtMost?: Duration.Input | undefined
}

/**
 * Makes leases on a Redis server.
 *
 * **Details**
 *
 * Taking a lease is one round trip, giving it back another. Who waits is woken by a message, on a connection that is made when
 * somebody waits for the first time. Where there is none, it asks ten times in each `duration`, and at least once a second.
 *
 * Fails with a `CacheError` of reason `DefinitionError` for an option that is unusable.
 *
 * **Example** (The second one waits for the first)
 *
 * ```ts import.meta.vitest
 * import { Config, Deferred, Effect, Fiber } from "effect"
 * import * as RedisClient from "effect-cached/RedisClient"
 * import * as RedisLease from "effect-cached/RedisLease"
 *
 * const program = Effect.gen(function*() {
 *   const leases = yield* RedisLease.make({ namespace: "docs:lease" })
 *   const held = yield* Deferred.make<void>()
 *   const waits = yield* Deferred.make<void>()
 *
 *   const first = Effect.scoped(Effect.gen(function*() {
 *     const taking = yield* leases.take("report")
 *     yield* Deferred.succeed(held, undefined)
 *     yield* Deferred.await(waits)
 *     if (taking._tag === "Held") taking.give("stored")
 *     return taking._tag
 *   }))
 *   const second = Effect.scoped(Effect.gen(function*() {
 *     yield* Deferred.await(held)
 *     const taking = yield* leases.take("report")
 *     yield* Deferred.succeed(waits, undefined)
 *     return taking._tag
 *   }))
 *   return yield* Effect.all([first, second], { concurrency: "unbounded" })
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(RedisClient.layerConfig({ url: Config.Redacted("REDIS_URL") }))
 * )
 *
 * await Effect.runPromise(program) // => ["Held", "Taken"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options?: Options
): Effect.fn.Return<Lease.Lease, CacheError.CacheError, RedisClient.RedisClient | Scope.Scope> {
  const client = yield* RedisClient.RedisClient
  const own = yield* names("RedisLease.namespace", options?.namespace ?? defaultNamespace, formatVersion)
  const duration = Math.floor(yield* millis("RedisLease.duration", options?.duration ?? "5 seconds"))
  if (duration < 1 || duration > oneDay) {
    return yield* definitionError("RedisLease.duration", `${duration} ms is not from one millisecond to one day`)
  }
  const waitAtMost = yield* millis("RedisLease.waitAtMost", options?.waitAtMost ?? "30 seconds")
  // For how long nobody asks again who is not woken: where nothing wakes, and where something should.
  const pause = Math.min(duration / 10, 1000)
  const patience = Math.min(duration / 3, 1000)
  const scope = yield* Effect.scope
  const wakes = yield* makeWakes({ channel: own.wake, connect: client.subscriber, limit: client.commandTimeout })
  const process = (yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)
  let count = 0

  const take = Effect.fnUntraced(function*(key: string) {
    const lease: Place = { name: own.lease(key), token: `${process}.${(count++).toString(36)}` }
    let given: Given = "nothing"
    const giveBack = Effect.suspend(() =>
      client.run((redis) => releaseLease(redis, { ...lease, channel: own.wake, given }))
    )
    // Nobody waits for a second attempt. After `duration` the lease has ended by itself.
    const again = Effect.timeoutOption(Effect.retry(giveBack, Schedule.spaced(pause)), duration)
    const release = Effect.catch(giveBack, () => Effect.forkIn(Effect.delay(Effect.ignore(again), pause), scope))
    // What was not waited for to the end may have been done all the same.
    const undo = (cause: Cause.Cause<CacheError.CacheError>) =>
      mayHaveTaken(cause) ? Effect.forkIn(release, scope, { uninterruptible: true }) : Effect.void
    return yield* Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      const holder = yield* restore(client.run((redis) => takeLease(redis, { ...lease, millis: duration }))).pipe(
        Effect.onError(undo)
      )
      if (holder !== null) return { _tag: "Taken", ended: ended({ name: lease.name, token: holder }) } as const
      yield* Effect.addFinalizer(() => release)
      yield* Effect.forkScoped(renewed(lease))
      return {
        _tag: "Held",
        give: (ending: Given) => {
          given = ending
        }
      } as const
    }))
  })

  // Until it is another's. Where nobody answers, the next one may.
  const renewed = (lease: Place): Effect.Effect<unknown> =>
    Effect.orElseSucceed(client.run((redis) => renewLease(redis, { ...lease, millis: duration })), () => true).pipe(
      Effect.delay(duration / 3),
      Effect.repeat({ while: (held) => held })
    )

  const ended = Effect.fnUntraced(function*(
    lease: Place
  ): Effect.fn.Return<Lease.Ending, CacheError.CacheError> {
    const clock = yield* Clock.Clock
    const start = momentOf(clock)
    while (true) {
      const left = waitAtMost - elapsedSince(clock, start)
      if (left <= 0) return "waited"
      const ending = yield* Effect.scoped(watched(lease, left))
      if (ending !== undefined) return ending
    }
  })

  // Listens before it asks: of what happens after the answer there is a message. `undefined` where it is not known to have
  // ended.
  const watched = Effect.fnUntraced(function*(lease: Place, most: number) {
    const signal = yield* wakes.listen(lease.token)
    yield* wakes.connected
    const left = yield* client.run((redis) => watchLease(redis, lease))
    if (left < 0) return "expired"
    // Not before the server sees it as over, too.
    const told = yield* Effect.timeoutOption(Deferred.await(signal), Math.min(left + 1, most, patience))
    if (Option.isNone(told)) return undefined
    if (told.value !== "lost") return told.value
    yield* Effect.sleep(pause)
    return undefined
  })

  return { take }
})

interface Place {
  readonly name: string
  readonly token: string
}

const oneDay = 86_400_000

const mayHaveTaken = (cause: Cause.Cause<CacheError.CacheError>): boolean => {
  const reason = Option.getOrUndefined(Cause.findErrorOption(cause))?.reason
  return Cause.hasInterrupts(cause) || (reason?._tag === "ServerError" && reason.problem === "timeout")
}

/**
 * Leases on a Redis server, for a cache that shares a store with other processes. Options and errors as for {@link make}.
 *
 * **When to use**
 *
 * `ResultCache.layerRedis` has them. Use it where a cache is put together by hand.
 *
 * **Example** (One process computes what two ask for)
 *
 * ```ts import.meta.vitest
 * import { Config, Effect, Layer, Schema } from "effect"
 * import { Cached, DependencyGraph, ResultCache } from "effect-cached"
 * import * as MsgPackCodec from "effect-cached/MsgPackCodec"
 * import * as RedisBroadcaster from "effect-cached/RedisBroadcaster"
 * import * as RedisClient from "effect-cached/RedisClient"
 * import * as RedisLease from "effect-cached/RedisLease"
 * import * as RedisStore from "effect-cached/RedisStore"
 *
 * const namespace = "docs:leases"
 * const cache = ResultCache.layer().pipe(Layer.provide([
 *   RedisStore.layer({ namespace }).pipe(Layer.provide(MsgPackCodec.layer())),
 *   RedisBroadcaster.layer({ namespace }),
 *   RedisLease.layer({ namespace, duration: "2 seconds" }),
 *   DependencyGraph.layer()
 * ])).pipe(Layer.provide(RedisClient.layerConfig({ url: Config.Redacted("REDIS_URL") })))
 *
 * let computed = 0
 * const ask = Effect.gen(function*() {
 *   const answer = yield* Cached.make("answer", { success: Schema.Number }, () => Effect.sync(() => ++computed))
 *   return yield* answer()
 * })
 *
 * // Each would be a process of its own.
 * const program = Effect.all([Effect.provide(ask, Layer.fresh(cache)), Effect.provide(ask, Layer.fresh(cache))], {
 *   concurrency: "unbounded"
 * })
 *
 * await Effect.runPromise(program) // => [1, 1]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<never, CacheError.CacheError, RedisClient.RedisClient> => Layer.effect(Lease.Lease)(make(options))
