/**
 * Metrics: how often what happened, through effect's `Metric`.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import type * as CacheEvent from "./CacheEvent.ts"

/**
 * How often each event has happened.
 *
 * @category models
 * @since 0.1.0
 */
export type Counts = { [Tag in CacheEvent.CacheEvent["_tag"]]: number }

/**
 * The counter of one event: `effect_cached_events`, with the event's name in the attribute `event`. Those are the only
 * labels: never a key or a tag.
 *
 * **Example** (How many computations were started)
 *
 * ```ts import.meta.vitest
 * import { Effect, Metric, Schema } from "effect"
 * import { Cached, CacheLive, CacheMetrics } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   const one = yield* Cached.make("one", { success: Schema.Number }, () => Effect.succeed(1))
 *   yield* one()
 *   yield* one()
 *   const { count } = yield* Metric.value(CacheMetrics.events("Miss"))
 *   return count
 * }).pipe(
 *   Effect.provide(CacheLive),
 *   Effect.provideService(Metric.MetricRegistry, new Map())
 * )
 *
 * await Effect.runPromise(program) // => 1
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const events = (event: CacheEvent.CacheEvent["_tag"]): Metric.Counter<number> =>
  Metric.counter("effect_cached_events", {
    description: "Events of result caches",
    attributes: { event },
    incremental: true
  })
