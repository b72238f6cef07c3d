/**
 * The invalidation log: the totally ordered list of invalidations that all who share a store share.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as CacheError from "./CacheError.ts"
import { setAtOnce } from "./internal/atOnce.ts"

/**
 * One thing that a follower of the log learns.
 *
 * **Details**
 *
 * - `Record`: `tags` were invalidated at `position`; no tags at all stands for everything (`clear`).
 * - `Gap`: everything up to `position` may have been missed, and from there on the log is followed.
 * - `Heartbeat`: nothing was missed, and the log stood at `position` when it was asked.
 * - `Ignored`: something in the log is no record, and is passed over. `problem` says what.
 * - `Lost`: the log cannot be followed at the moment, and nothing may be relied on. That ends with the next gap, or with
 *   a heartbeat when all records in between were told after all.
 *
 * @category models
 * @since 0.1.0
 */
export type Change =
  | { readonly _tag: "Record"; readonly tags: ReadonlyArray<string>; readonly position: number }
  | { readonly _tag: "Gap"; readonly position: number }
  | { readonly _tag: "Heartbeat"; readonly position: number }
  | { readonly _tag: "Ignored"; readonly problem: string }
  | { readonly _tag: "Lost"; readonly error: CacheError.CacheError }

/**
 * The service.
 *
 * **Details**
 *
 * Positions are safe integers that only grow: `max(last + 1, time in µs)`, so that they keep growing over restarts and
 * a log that was lost starts above everything that was stamped before.
 *
 * Followers are told synchronously and in the order of the log. That is what makes positions mean something: whoever
 * knows of one record knows of all before it.
 *
 * @category services
 * @since 0.1.0
 */
export class Broadcaster extends Context.Service<Broadcaster, {
  /**
   * Appends one record, atomic for all who read it, and returns its position. When it returns, the followers of this
   * service have been told everything up to and including that record. Fails with a `CacheError` of reason `LogError`
   * when the log did not take it.
   */
  readonly append: (tags: ReadonlyArray<string>) => Effect.Effect<number, CacheError.CacheError>
  /**
   * Tells `follower`, which must not throw, every change until the scope closes. The first is told before this returns:
   * a `Gap`, where its knowledge begins, or `Lost`.
   */
  readonly follow: (follower: (change: Change) => void) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Asks the log. When it returns, the followers of this service have been told everything that was appended anywhere
   * before it was called. Fails with a `CacheError` of reason `LogError`.
   */
  readonly catchUp: Effect.Effect<void, CacheError.CacheError>
  /**
   * Whether what was told may be relied on at this moment: the log was heard from within `maxStaleness`. Reads the clock,
   * so that nothing that is late, not even a timer, can stretch the bound.
   */
  readonly isCurrent: () => boolean
  /**
   * The staleness bound, in milliseconds: for how long what was told is relied on without hearing from the log. Zero for a
   * log of this process, which tells everything at once.
   */
  readonly maxStaleness: number
}>()("effect-cached/Broadcaster") {}

/**
 * What is so of every log whose only process is this one: its followers know everything at any moment.
 *
 * **Example** (A log whose followers are told by hand)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Broadcaster } from "effect-cached"
 *
 * const log = Broadcaster.Broadcaster.of({
 *   ...Broadcaster.inProcess,
 *   append: () => Effect.succeed(1),
 *   follow: (follower) => Effect.sync(() => follower({ _tag: "Gap", position: 1 }))
 * })
 *
 * log.isCurrent() // => true
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const inProcess: Pick<Broadcaster["Service"], "catchUp" | "isCurrent" | "maxStaleness"> = {
  catchUp: Effect.void,
  isCurrent: () => true,
  maxStaleness: 0
}

/**
 * Makes a log that lives and dies with this process.
 *
 * **Example** (A record reaches a follower before `append` returns)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Broadcaster } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   const log = yield* Broadcaster.makeLocal
 *   const seen: Array<string> = []
 *   yield* log.follow((change) => seen.push(change._tag))
 *   yield* log.append(["user:7"])
 *   return seen
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => ["Gap", "Record"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLocal: Effect.Effect<Broadcaster["Service"]> = Effect.map(Clock.Clock, (clock) => {
  // Made anew when somebody comes or leaves: those who are being told of a record are those who followed when it came.
  let followers: ReadonlyArray<Follower> = []
  let last = clock.currentTimeMillisUnsafe() * 1000
  // Records that somebody may not have been told yet, in order.
  const untold: Array<Untold> = []
  // A follower that appends has the rest told: each look is at the first that is left. One that throws keeps nothing from the others.
  const tell = (): void => {
    let failed: { readonly thrown: unknown } | undefined
    for (let first = untold[0]; first !== undefined; first = untold[0]) {
      const follower = first.due[first.next++]
      if (follower === undefined) {
        untold.shift()
      } else if (first.due === followers || followers.includes(follower)) {
        try {
          follower(first.change)
        } catch (thrown) {
          failed ??= { thrown }
        }
      }
    }
    if (failed !== undefined) throw failed.thrown
  }
  const appendNow = (tags: ReadonlyArray<string>): number => {
    const position = last = Math.max(last + 1, clock.currentTimeMillisUnsafe() * 1000)
    untold.push({ change: { _tag: "Record", tags, position }, due: followers, next: 0 })
    tell()
    return position
  }
  const append = (tags: ReadonlyArray<string>) => Effect.sync(() => appendNow(tags))
  setAtOnce(append, appendNow)
  return Broadcaster.of({
    ...inProcess,
    append,
    follow: (follower) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          followers = [...followers, follower]
          follower({ _tag: "Gap", position: last })
        }),
        () =>
          Effect.sync(() => {
            followers = followers.filter((other) => other !== follower)
          })
      )
  })
})

type Follower = (change: Change) => void

// A follower that appends has all told what came before it first: who knows of a record knows of all before it.
interface Untold {
  readonly change: Change
  readonly due: ReadonlyArray<Follower>
  /** Which of them is told next. */
  next: number
}

/**
 * A log that lives and dies with this process: entries do not outlive it. Caches that are given the same one hear of each
 * other's invalidations.
 *
 * **Example** (Two caches, one log)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { Broadcaster, Cached, DependencyGraph, ResultCache, Store } from "effect-cached"
 *
 * // A cache with a store and a graph of its own.
 * const cache = Layer.fresh(
 *   ResultCache.layer().pipe(Layer.provide([Store.layerMemory(), DependencyGraph.layer()]))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const here = yield* Layer.build(cache)
 *   const there = yield* Layer.build(cache)
 *   let computed = 0
 *   const counter = yield* Cached.make(
 *     "counter",
 *     { success: Schema.Number, deps: () => ["counter"] },
 *     () => Effect.sync(() => ++computed)
 *   ).pipe(Effect.provide(here))
 *   yield* counter()
 *   yield* ResultCache.invalidate("counter").pipe(Effect.provide(there))
 *   return yield* counter()
 * })
 *
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Broadcaster.layerLocal))) // => 2
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLocal: Layer.Layer<Broadcaster> = Layer.effect(Broadcaster)(makeLocal)
