/**
 * Metrics: how often what happened, through effect's `Metric`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type * as CacheEvent from "./CacheEvent.ts"

/**
 * How often each event has happened.
 *
 * @category models
 * @since 0.1.0
 */
export type Counts = { [Tag in CacheEvent.CacheEvent["_tag"]]: number }

/**
 * Makes counts of zero.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Counts => ({
  Hit: 0,
  Miss: 0,
  Joined: 0,
  Stored: 0,
  Rejected: 0,
  Invalidated: 0,
  Evicted: 0,
  Expired: 0,
  Undecodable: 0,
  StoreFailed: 0,
  LogGap: 0,
  LogFailed: 0,
  CaughtUp: 0
})

/**
 * The counter of one event: `effect_cached_events`, with the event's name in the attribute `event`. Those are the only
 * labels: never a key or a tag.
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

/**
 * Shows counts in the metric registry of the current context. Several caches with one registry add up, and the counts of
 * a closed cache stay in the sum, because a counter never falls.
 *
 * **Details**
 *
 * The registry reads the counts when it is read itself, so that a hit costs one addition and no metric update.
 *
 * @category registration
 * @since 0.1.0
 */
export const register = (counts: Counts): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.context(), (context) => {
    const registry = Context.get(context, Metric.MetricRegistry)
    const sum = registered.get(registry) ?? registerSum(registry, context)
    return Effect.acquireRelease(
      Effect.sync(() => void sum.open.add(counts)),
      () =>
        Effect.sync(() => {
          sum.open.delete(counts)
          for (const event of names) sum.closed[event] += counts[event]
        })
    )
  })

interface Sum {
  readonly open: Set<Counts>
  readonly closed: Counts
}

const registered = new WeakMap<Metric.MetricRegistry, Sum>()

const registerSum = (registry: Metric.MetricRegistry, context: Context.Context<never>): Sum => {
  const sum: Sum = { open: new Set(), closed: make() }
  registered.set(registry, sum)
  for (const event of names) {
    Metric.registerUnsafe(events(event), context, {
      get: () => {
        let count = sum.closed[event]
        for (const counts of sum.open) count += counts[event]
        return { count, incremental: true }
      },
      update: () => {},
      modify: () => {}
    })
  }
  return sum
}

const names = Object.keys(make()) as ReadonlyArray<CacheEvent.CacheEvent["_tag"]>
