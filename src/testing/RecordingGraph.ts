/**
 * A dependency graph that records what it is told, and that a test can make lose the log.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DependencyGraph } from "../DependencyGraph.ts"

/**
 * What a graph was told.
 *
 * @category models
 * @since 0.1.0
 */
export type Told =
  | { readonly _tag: "Applied"; readonly tags: ReadonlyArray<string>; readonly position: number }
  | { readonly _tag: "Gap"; readonly position: number }
  | { readonly _tag: "Lost" }
  | { readonly _tag: "Resumed" }
  | { readonly _tag: "Held" | "Released"; readonly tags: ReadonlyArray<string> }

/**
 * The controls.
 *
 * @category services
 * @since 0.1.0
 */
export class RecordingGraph extends Context.Service<RecordingGraph, {
  /** Everything that the graph was told, in order. */
  readonly told: Effect.Effect<ReadonlyArray<Told>>
  /** Makes the graph know nothing, as when the log cannot be followed: nothing is valid until `gap`. */
  readonly lose: Effect.Effect<void>
  /** Makes the graph forget what is older than a position. */
  readonly gap: (position: number) => Effect.Effect<void>
}>()("effect-cached/testing/RecordingGraph") {}

/**
 * Records what a graph is told.
 *
 * **Example** (An invalidation reaches the graph)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer } from "effect"
 * import { Broadcaster, DependencyGraph, invalidate, ResultCache, Store } from "effect-cached"
 * import { RecordingGraph } from "effect-cached/testing"
 *
 * const layer = ResultCache.layer().pipe(
 *   Layer.provideMerge(RecordingGraph.layer(DependencyGraph.layer())),
 *   Layer.provide([Store.layerMemory(), Broadcaster.layerLocal])
 * )
 *
 * const program = Effect.gen(function*() {
 *   yield* invalidate("user:7")
 *   const graph = yield* RecordingGraph.RecordingGraph
 *   return (yield* graph.told).map((told) => told._tag)
 * }).pipe(Effect.provide(layer))
 *
 * await Effect.runPromise(program) // => ["Gap", "Applied"]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R>(
  inner: Layer.Layer<DependencyGraph, E, R>
): Layer.Layer<DependencyGraph | RecordingGraph, E, R> =>
  Layer.effectContext(Effect.gen(function*() {
    const graph = Context.get(yield* Layer.build(Layer.fresh(inner)), DependencyGraph)
    const told: Array<Told> = []

    const recording = DependencyGraph.of({
      ...graph,
      apply: (record) => {
        told.push({ _tag: "Applied", tags: record.tags, position: record.position })
        graph.apply(record)
      },
      gap: (position) => {
        told.push({ _tag: "Gap", position })
        graph.gap(position)
      },
      lose: () => {
        told.push({ _tag: "Lost" })
        graph.lose()
      },
      resume: () => {
        told.push({ _tag: "Resumed" })
        graph.resume()
      },
      hold: (tags) => {
        told.push({ _tag: "Held", tags })
        const { release } = graph.hold(tags)
        return {
          release: () => {
            told.push({ _tag: "Released", tags })
            release()
          }
        }
      }
    })

    return Context.make(DependencyGraph, recording).pipe(Context.add(
      RecordingGraph,
      RecordingGraph.of({
        told: Effect.sync(() => [...told]),
        lose: Effect.sync(recording.lose),
        gap: (position) => Effect.sync(() => recording.gap(position))
      })
    ))
  }))
