/**
 * One process's view of the invalidation log: is an entry still valid?
 *
 * The rule: an entry is valid iff for every tag it carries and every ancestor of that tag
 * `lastInvalidated(tag) <= entry.position`, and `entry.position >= floor`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as CacheError from "./CacheError.ts"
import { makeMarks } from "./internal/marks.ts"
import { size } from "./internal/settings.ts"

/**
 * What validity is asked about: an entry, or a computation that may become one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject {
  /** Unique, in code unit order. */
  readonly tags: ReadonlyArray<string>
  readonly position: number
  /** The revision at which it was last found valid, -1 before. The graph keeps it here. */
  revision: number
}

/**
 * A computation that runs or has ended: what others who ask for the same may be given, if nothing came in between.
 *
 * @category models
 * @since 0.1.0
 */
export interface Started {
  /** Unique, in code unit order. */
  readonly tags: ReadonlyArray<string>
  readonly position: number
  /** The revision when it started. */
  readonly since: number
  /** The revision at which it was last found untouched, -1 before. The graph keeps it here. */
  untouchedAt: number
}

/**
 * The service.
 *
 * **Details**
 *
 * Everything is synchronous, so that a caller can check and act in one step.
 *
 * @category services
 * @since 0.1.0
 */
export class DependencyGraph extends Context.Service<DependencyGraph, {
  /**
   * Whether a subject is valid now. In an unchanged world one integer comparison; otherwise the smaller of the records
   * since the subject was last found valid and the tags and ancestors that it carries.
   */
  readonly isValid: (subject: Subject) => boolean
  /**
   * Whether nothing that is known to have been invalidated, or is held, since a computation started affects it. Other than
   * validity this does not ask whether the log can be followed, nor for holds that are older than the computation: who
   * asks now may share it all the same.
   */
  readonly isUntouched: (started: Started) => boolean
  /** Grows with every change of what is known. */
  readonly revision: () => number
  /** The position of the newest record or gap that was applied: what a computation that starts now is stamped with. */
  readonly position: () => number
  /** The lowest position about which everything is known; `Infinity` while nothing is. */
  readonly floor: () => number
  /**
   * Applies a record: `tags` were invalidated at `position`. No tags at all stands for the root, above every tag.
   * Applying a record twice, or records in another order, changes nothing.
   */
  readonly apply: (record: { readonly tags: ReadonlyArray<string>; readonly position: number }) => void
  /**
   * Everything up to `position` may have been missed: nothing stamped before it is valid any more.
   */
  readonly gap: (position: number) => void
  /** Nothing may be relied on any more. Nothing is valid until the next `gap` or `resume`. */
  readonly lose: () => void
  /** Nothing was missed since `lose`: all records in between were applied. Without a gap before, nothing is known still. */
  readonly resume: () => void
  /**
   * Holds tags invalid whatever the position, from before the log is asked to take a record until `release` is called.
   * No tags at all holds everything.
   */
  readonly hold: (tags: ReadonlyArray<string>) => { readonly release: () => void }
}>()("effect-cached/DependencyGraph") {}

/**
 * Makes a graph that knows nothing yet.
 *
 * **Details**
 *
 * - `maxMarks`: how many invalidated tags are remembered, default 100 000. A tag that is forgotten raises the floor to
 *   its position, so entries may become misses and none comes back to life.
 * - `maxRecent`: how many records are kept to validate by difference, default 1 024.
 *
 * Fails with a `CacheError` of reason `DefinitionError` for a bound that is not a whole number of at least one.
 *
 * **Example** (The one rule)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { DependencyGraph } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   const graph = yield* DependencyGraph.make()
 *   graph.gap(100)
 *   const entry = { tags: ["user:7:orders"], position: 105, revision: -1 }
 *   const before = graph.isValid(entry)
 *   graph.apply({ tags: ["user:7"], position: 110 })
 *   return [before, graph.isValid(entry)]
 * })
 *
 * await Effect.runPromise(program) // => [true, false]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options?: {
  readonly maxMarks?: number | undefined
  readonly maxRecent?: number | undefined
}): Effect.fn.Return<DependencyGraph["Service"], CacheError.CacheError> {
  const maxMarks = yield* size("DependencyGraph.maxMarks", options?.maxMarks ?? 100_000)
  const maxRecent = yield* size("DependencyGraph.maxRecent", options?.maxRecent ?? 1024)
  return DependencyGraph.of(makeMarks(maxMarks, maxRecent))
})

/**
 * A graph of its own for each cache. Options and errors as for {@link make}.
 *
 * **Example** (A small memory of what was invalidated)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { DependencyGraph } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   const graph = yield* DependencyGraph.DependencyGraph
 *   graph.gap(1)
 *   graph.apply({ tags: ["a"], position: 2 })
 *   graph.apply({ tags: ["b"], position: 3 })
 *   // The record of "a" was forgotten: whatever is older than it is no longer valid.
 *   return graph.floor()
 * }).pipe(Effect.provide(DependencyGraph.layer({ maxMarks: 1 })))
 *
 * await Effect.runPromise(program) // => 2
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  readonly maxMarks?: number | undefined
  readonly maxRecent?: number | undefined
}): Layer.Layer<DependencyGraph, CacheError.CacheError> => Layer.effect(DependencyGraph)(make(options))
