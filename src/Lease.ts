/**
 * Leases: one computation of a key at a time, in all processes that share a store.
 *
 * A lease saves work. Nothing is wrong without one, or with two at once: what may be served is decided by the
 * dependency graph alone.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as CacheError from "./CacheError.ts"

/**
 * How a lease that someone else held came to its end.
 *
 * **Details**
 *
 * `stored`: its holder stored a result. `nothing`: its holder gave it back without having stored one. `expired`: its
 * holder was not heard from any more. `waited`: it is still held, and this is as long as anyone waits.
 *
 * @category models
 * @since 0.1.0
 */
export type Ending = "stored" | "nothing" | "expired" | "waited"

/**
 * What asking for a lease gives.
 *
 * **Details**
 *
 * - `Held`: it is this caller's until the scope closes. `give` says how it will end, which is `nothing` before.
 * - `Taken`: it is someone else's. `ended` waits until it has come to an end, for a bounded time.
 *
 * @category models
 * @since 0.1.0
 */
export type Taking =
  | { readonly _tag: "Held"; readonly give: (ending: "stored" | "nothing") => void }
  | { readonly _tag: "Taken"; readonly ended: Effect.Effect<Ending, CacheError.CacheError> }

/**
 * The service.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease {
  /** Asks to be the only one who computes a key. Fails with a `CacheError` where nobody can tell. */
  readonly take: (key: string) => Effect.Effect<Taking, CacheError.CacheError, Scope.Scope>
}

/**
 * The leases that a cache takes over a store outside its process. Without any, which is the default, every process computes for
 * itself. `RedisLease.layer` has those of a Redis server.
 *
 * **Example** (A lease that is always to be had)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { Broadcaster, ByteStore, Cached, Codec, DependencyGraph, Lease, ResultCache } from "effect-cached"
 *
 * const endings: Array<string> = []
 * const leases = Layer.succeed(Lease.Lease)({
 *   take: () => Effect.succeed({ _tag: "Held", give: (ending) => endings.push(ending) })
 * })
 * const cache = ResultCache.layer().pipe(Layer.provide([
 *   ByteStore.layerMemory().pipe(Layer.provide(Codec.layerJson)),
 *   DependencyGraph.layer(),
 *   Broadcaster.layerLocal,
 *   leases
 * ]))
 *
 * const program = Effect.gen(function*() {
 *   const one = yield* Cached.make("one", { success: Schema.Number }, () => Effect.succeed(1))
 *   return [yield* one(), yield* one(), endings]
 * }).pipe(Effect.provide(cache))
 *
 * await Effect.runPromise(program) // => [1, 1, ["stored"]]
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const Lease: Context.Reference<Lease | undefined> = Context.Reference<Lease | undefined>("effect-cached/Lease", {
  defaultValue: () => undefined
})
