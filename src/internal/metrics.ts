/**
 * Counts of events, and how they show in effect's metric registry.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type * as CacheEvent from "../CacheEvent.ts"
import * as CacheMetrics from "../CacheMetrics.ts"

/**
 * Makes counts of zero.
 */
export const makeCounts = (): CacheMetrics.Counts => ({
  Hit: 0,
  Stale: 0,
  Miss: 0,
  RefreshFailed: 0,
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
  LogIgnored: 0,
  CaughtUp: 0,
  VariantsExceeded: 0
})

/**
 * Shows counts in the metric registry of the current context. Several caches with one registry add up, and the counts of
 * a closed cache stay in the sum, because a counter never falls.
 *
 * **Details**
 *
 * The registry reads the counts when it is read itself, so that a hit costs one addition and no metric update.
 */
export const registerCounts = (counts: CacheMetrics.Counts): Effect.Effect<void, never, Scope.Scope> =>
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
  readonly open: Set<CacheMetrics.Counts>
  readonly closed: CacheMetrics.Counts
}

const registered = new WeakMap<Metric.MetricRegistry, Sum>()

const registerSum = (registry: Metric.MetricRegistry, context: Context.Context<never>): Sum => {
  const sum: Sum = { open: new Set(), closed: makeCounts() }
  registered.set(registry, sum)
  for (const event of names) {
    Metric.registerUnsafe(CacheMetrics.events(event), context, {
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

const names = Object.keys(makeCounts()) as ReadonlyArray<CacheEvent.CacheEvent["_tag"]>
