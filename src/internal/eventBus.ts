/**
 * Where events go: to the counts, to those who listen, and, when something is wrong, to the log.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as CacheEvent from "../CacheEvent.ts"
import type * as CacheMetrics from "../CacheMetrics.ts"
import { describe } from "./errors.ts"

const backlog = 1024
const warnEveryMillis = 10_000

export type EventBus = Effect.Success<ReturnType<typeof makeEventBus>>

export const makeEventBus = Effect.fnUntraced(function*(
  counts: CacheMetrics.Counts,
  onEvent: ((event: CacheEvent.CacheEvent) => void) | undefined,
  now: () => number
) {
  const context = yield* Effect.context()
  const listeners = new Set<Queue.Queue<CacheEvent.CacheEvent>>()
  yield* Effect.addFinalizer(() => Effect.forEach(listeners, Queue.shutdown, { discard: true }))
  const lastWarning = new Map<string, number>()

  // Each kind of warning at most once in ten seconds: a store that is down must not flood the log. The log is written
  // by a fiber of its own, so that a logger that throws disturbs nobody.
  const warn = (kind: string, message: string) => {
    const last = lastWarning.get(kind)
    if (last !== undefined && now() - last < warnEveryMillis) return
    lastWarning.set(kind, now())
    Effect.runForkWith(context)(Effect.ignoreCause(Effect.logWarning(`effect-cached: ${message}`)))
  }

  const tell = (event: CacheEvent.CacheEvent): void => {
    counts[event._tag]++
    for (const listener of listeners) Queue.offerUnsafe(listener, event)
    if (onEvent !== undefined) {
      try {
        onEvent(event)
      } catch {
        // An observer never changes what it observes.
      }
    }
    const message = warning(event)
    if (message !== undefined) warn(event._tag, message)
  }

  const isHeard = (): boolean => listeners.size > 0 || onEvent !== undefined

  return {
    tell,
    /** Counts a hit, and makes an event of it only for those who listen. */
    tellHit: (key: string): void => {
      if (isHeard()) tell(CacheEvent.Hit({ key }))
      else counts.Hit++
    },
    /** The same for what happens about as often, and is never warned of. */
    tellOften: (
      tag: "Miss" | "Joined" | "Stored" | "Evicted",
      make: () => CacheEvent.CacheEvent
    ): void => {
      if (isHeard()) tell(make())
      else counts[tag]++
    },
    /** The same for an invalidation. */
    tellInvalidated: (tags: ReadonlyArray<string>, position: number): void => {
      if (isHeard()) tell(CacheEvent.Invalidated({ tags, position }))
      else counts.Invalidated++
    },
    events: Stream.unwrap(Effect.map(
      Effect.acquireRelease(
        Effect.tap(
          Queue.sliding<CacheEvent.CacheEvent>(backlog),
          (listener) => Effect.sync(() => listeners.add(listener))
        ),
        (listener) => {
          listeners.delete(listener)
          return Queue.shutdown(listener)
        }
      ),
      Stream.fromQueue
    ))
  }
})

const warning = (event: CacheEvent.CacheEvent): string | undefined => {
  switch (event._tag) {
    case "Rejected":
      return event.error === undefined ? undefined : `a result was not stored: ${event.error.message}`
    case "Undecodable":
      return `a stored entry was discarded: ${event.error.message}`
    case "StoreFailed":
      return `the store was passed over: ${event.error.message}`
    case "LogFailed":
      return `nothing that is held is served: ${event.error.message}`
    case "LogGap":
      return `a part of the invalidation log was missed: what was held from before position ${event.position} is forgotten`
    case "RefreshFailed":
      return `something stale was served, because computing it anew failed: ${describe(Cause.squash(event.cause))}`
    case "VariantsExceeded":
      return `a response has too many variants, and the least recently used one was removed: ${event.key}`
    case "LogIgnored":
      return `something in the invalidation log was passed over: ${event.problem}`
    default:
      return undefined
  }
}
