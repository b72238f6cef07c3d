/**
 * Lifetimes: how long a result may be served when nothing invalidates it.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import { dual } from "effect/Function"

/**
 * What a read may be given that is invalidated by another process at that moment. `"strong"`: nothing that was invalidated
 * before the read began. The invalidation log is asked first, in the same round trip as the store; where it does not answer,
 * the result is computed.
 *
 * @category models
 * @since 0.1.0
 */
export type Consistency = "strong"

/**
 * How long results live: one duration, or a function of the result and the input it was computed from.
 *
 * **Details**
 *
 * `Duration.infinity` lives until it is invalidated or evicted; zero is computed once for all who ask at the same time,
 * and not stored.
 *
 * @category models
 * @since 0.1.0
 */
export type TimeToLive<A, E, Input> =
  | Duration.Input
  | ((exit: Exit.Exit<A, E>, input: Input) => Duration.Input)

/**
 * What may be served when a computation fails, and how often it is tried.
 *
 * **Details**
 *
 * - `upTo`: how long after its end a result may be served.
 * - `backOff`: how long nobody tries again after a failure, default one second. It doubles with each failure in a row.
 * - `maxBackOff`: up to this, default one minute.
 *
 * @category models
 * @since 0.1.0
 */
export interface StaleIfError {
  readonly upTo: Duration.Input
  readonly backOff?: Duration.Input | undefined
  readonly maxBackOff?: Duration.Input | undefined
}

/**
 * A policy: how long a result lives, and what happens at its end. A plain value; policies are put together with
 * {@link override} or by spreading.
 *
 * **Details**
 *
 * Everything here is about results that are **stale by time**. What was invalidated is never served, under no policy.
 *
 * - `timeToLive`: default infinite.
 * - `jitter`: by which part of it, from 0 to 1, a time to live may turn out shorter, at random. Default 0.
 * - `timeToIdle`: how long a result lives after it was last read. Default: as long as it lives at all.
 * - `staleWhileRevalidate`: how long after its end a result is still served at once while it is computed anew in the
 *   background (RFC 5861, section 3). Default zero.
 * - `staleIfError`: how long after its end a result is served where computing it anew fails (RFC 5861, section 4), and how
 *   often that is tried. Default: failures are given to who asks.
 * - `softTimeout`: after this long, what is stale is served, as far as `staleIfError` or `staleWhileRevalidate` reach; the
 *   computation goes on and is stored.
 * - `hardTimeout`: after this long, a computation is interrupted and has failed with a `CacheError` of reason
 *   `TimeoutError`. What cannot be interrupted is waited for. Give one wherever something stale is served meanwhile: a source
 *   that hangs would keep its refresh for as long as the window is open.
 * - `eagerRefresh`: computes a result anew in the background shortly before its end, at random, the earlier the longer
 *   computing takes: XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB
 *   2015). `true` is their β of 1; a larger number is earlier.
 * - `errorTimeToLive`: how long a typed failure is stored, for a function whose definition has an `error` schema. Default:
 *   failures are not stored, unless `timeToLive` is a function.
 * - `outlivesReads`: whether a result may live longer than the cached values that it was computed from. Default `false`. What was
 *   computed from something that must not be stored is not stored in any case.
 *
 * @category models
 * @since 0.1.0
 */
export interface CachePolicy<in A = unknown, in E = unknown, in Input = unknown> {
  readonly timeToLive?: TimeToLive<A, E, Input> | undefined
  readonly jitter?: number | undefined
  readonly timeToIdle?: Duration.Input | undefined
  readonly staleWhileRevalidate?: Duration.Input | undefined
  readonly staleIfError?: Duration.Input | StaleIfError | undefined
  readonly softTimeout?: Duration.Input | undefined
  readonly hardTimeout?: Duration.Input | undefined
  readonly eagerRefresh?: boolean | number | undefined
  readonly errorTimeToLive?: Duration.Input | ((error: E, input: Input) => Duration.Input) | undefined
  readonly outlivesReads?: boolean | undefined
}

/**
 * What a computation can say about its own lifetime while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lifetime {
  readonly timeToLive?: Duration.Input | undefined
  readonly staleWhileRevalidate?: Duration.Input | undefined
  readonly staleIfError?: Duration.Input | undefined
}

/**
 * A policy with the parts that another one sets in place of its own.
 *
 * **Example** (A base, and what one function does differently)
 *
 * ```ts import.meta.vitest
 * import { CachePolicy } from "effect-cached"
 *
 * const base = CachePolicy.make({ timeToLive: "5 minutes", jitter: 0.1 })
 * const slow = CachePolicy.override(base, { timeToLive: "1 hour" })
 *
 * slow.timeToLive // => "1 hour"
 * slow.jitter // => 0.1
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const override: {
  <A, E, Input>(
    overrides: CachePolicy<A, E, Input>
  ): <A1, E1, Input1>(self: CachePolicy<A1, E1, Input1>) => CachePolicy<A & A1, E & E1, Input & Input1>
  <A1, E1, Input1, A, E, Input>(
    self: CachePolicy<A1, E1, Input1>,
    overrides: CachePolicy<A, E, Input>
  ): CachePolicy<A & A1, E & E1, Input & Input1>
} = dual(2, <A, E, Input>(
  self: CachePolicy<A, E, Input>,
  overrides: CachePolicy<A, E, Input>
): CachePolicy<A, E, Input> => ({
  ...self,
  ...Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined))
}))

/**
 * A policy, for its type: one that takes nothing from a result or an input fits every function.
 *
 * **Example** (One policy for several functions)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached, CacheLive, CachePolicy } from "effect-cached"
 *
 * const patient = CachePolicy.make({ timeToLive: "1 minute", staleIfError: "1 hour" })
 *
 * const program = Effect.gen(function*() {
 *   const one = yield* Cached.make("one", { success: Schema.Number, policy: patient }, () => Effect.succeed(1))
 *   const two = yield* Cached.make("two", { success: Schema.String, policy: patient }, () => Effect.succeed("2"))
 *   return [yield* one(), yield* two()]
 * }).pipe(Effect.provide(CacheLive))
 *
 * await Effect.runPromise(program) // => [1, "2"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A = unknown, E = unknown, Input = unknown>(
  policy: CachePolicy<A, E, Input>
): CachePolicy<A, E, Input> => policy
