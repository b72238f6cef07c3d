/**
 * The invalidation log: the totally ordered list of invalidations that all who share a store share.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type * as CacheError from "./CacheError.ts"
import { size } from "./internal/settings.ts"

/**
 * One thing that a follower of the log learns.
 *
 * **Details**
 *
 * - `Record`: `tags` were invalidated at `position`; no tags at all stands for everything (`clear`).
 * - `Gap`: everything up to `position` may have been missed. The first change is always a gap: it says where the
 *   follower's knowledge begins.
 * - `Heartbeat`: nothing happened, and the log stood at `position` when it was asked.
 *
 * @category models
 * @since 0.1.0
 */
export type Change =
  | { readonly _tag: "Record"; readonly tags: ReadonlyArray<string>; readonly position: number }
  | { readonly _tag: "Gap"; readonly position: number }
  | { readonly _tag: "Heartbeat"; readonly position: number }

/**
 * The service.
 *
 * **Details**
 *
 * Positions are safe integers that only grow: `max(last + 1, time in µs)`, so that they keep growing over restarts and
 * a log that was lost starts above everything that was stamped before.
 *
 * @category services
 * @since 0.1.0
 */
export class Broadcaster extends Context.Service<Broadcaster, {
  /**
   * Appends one record, atomic for all who read it, and returns its position. Fails with a `CacheError` of reason
   * `LogError` when the log did not take it.
   */
  readonly append: (tags: ReadonlyArray<string>) => Effect.Effect<number, CacheError.CacheError>
  /**
   * The log from now on. Starts promptly with a `Gap`, whatever state the log is in. A follower that is too slow gets a
   * `Gap` in place of what it missed.
   */
  readonly changes: Stream.Stream<Change, CacheError.CacheError>
}>()("effect-cached/Broadcaster") {}

/**
 * Makes a log that lives and dies with this process. `backlog` is how many changes are kept for a follower that is
 * behind, default 4 096; fails with a `CacheError` of reason `DefinitionError` unless that is a whole number of at least
 * one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLocal = Effect.fnUntraced(function*(options?: {
  readonly backlog?: number | undefined
}): Effect.fn.Return<Broadcaster["Service"], CacheError.CacheError> {
  const backlog = yield* size("Broadcaster.backlog", options?.backlog ?? 4096)
  const clock = yield* Clock.Clock
  const followers = new Set<Queue.Queue<Change>>()
  let last = clock.currentTimeMillisUnsafe() * 1000

  const tell = (follower: Queue.Queue<Change>, record: Change) => {
    if (Queue.sizeUnsafe(follower) < backlog) return Queue.offerUnsafe(follower, record)
    while (Queue.sizeUnsafe(follower) > 0) Queue.takeUnsafe(follower)
    return Queue.offerUnsafe(follower, { _tag: "Gap", position: record.position })
  }

  const follow = Effect.acquireRelease(
    Effect.map(Queue.unbounded<Change>(), (follower) => {
      followers.add(follower)
      Queue.offerUnsafe(follower, { _tag: "Gap", position: last })
      return follower
    }),
    (follower) => {
      followers.delete(follower)
      return Queue.shutdown(follower)
    }
  )

  return Broadcaster.of({
    append: (tags) =>
      Effect.sync(() => {
        last = Math.max(last + 1, clock.currentTimeMillisUnsafe() * 1000)
        for (const follower of followers) tell(follower, { _tag: "Record", tags, position: last })
        return last
      }),
    changes: Stream.unwrap(Effect.map(follow, Stream.fromQueue))
  })
})

/**
 * A log that lives and dies with this process: entries do not outlive it. Options and errors as for {@link makeLocal}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLocal = (options?: {
  readonly backlog?: number | undefined
}): Layer.Layer<Broadcaster, CacheError.CacheError> => Layer.effect(Broadcaster)(makeLocal(options))
