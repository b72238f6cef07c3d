/**
 * The cache for tests.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Broadcaster from "../Broadcaster.ts"
import type * as CacheEvent from "../CacheEvent.ts"
import * as DependencyGraph from "../DependencyGraph.ts"
import * as ResultCache from "../ResultCache.ts"
import * as Store from "../Store.ts"

/**
 * What happened in the cache of a test, in the order in which it happened.
 *
 * **Details**
 *
 * Keys are the name of the function and its canonical input, separated by a space (in `events` by a tab, as they are).
 *
 * @category services
 * @since 0.1.0
 */
export class CacheTest extends Context.Service<CacheTest, {
  /** Every event since the layer was built, or since `reset`. */
  readonly events: Effect.Effect<ReadonlyArray<CacheEvent.CacheEvent>>
  /** The keys that were answered from the store. */
  readonly hits: Effect.Effect<ReadonlyArray<string>>
  /** The keys for which a computation was started. */
  readonly misses: Effect.Effect<ReadonlyArray<string>>
  /** The keys for which someone waited for a computation that ran already. */
  readonly joined: Effect.Effect<ReadonlyArray<string>>
  /** The keys whose results were stored. */
  readonly stored: Effect.Effect<ReadonlyArray<string>>
  /** The tags that were invalidated, one list for each record. */
  readonly invalidated: Effect.Effect<ReadonlyArray<ReadonlyArray<string>>>
  /** Forgets what happened so far. The cache keeps what it holds. */
  readonly reset: Effect.Effect<void>
}>()("effect-cached/testing/CacheTest") {}

const make = () => {
  const events: Array<CacheEvent.CacheEvent> = []
  const keysOf = (tag: "Hit" | "Miss" | "Joined" | "Stored") =>
    Effect.sync(() => events.flatMap((event) => event._tag === tag ? [event.key.replaceAll("\t", " ")] : []))
  return {
    record: (event: CacheEvent.CacheEvent) => void events.push(event),
    service: CacheTest.of({
      events: Effect.sync(() => [...events]),
      hits: keysOf("Hit"),
      misses: keysOf("Miss"),
      joined: keysOf("Joined"),
      stored: keysOf("Stored"),
      invalidated: Effect.sync(() => events.flatMap((event) => event._tag === "Invalidated" ? [event.tags] : [])),
      reset: Effect.sync(() => {
        events.length = 0
      })
    })
  }
}

/**
 * A recording cache over services of one's own choice: over fakes, to see what a cache makes of their faults.
 *
 * **Example** (A cache whose store is down)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { Broadcaster, Cached, DependencyGraph, Store } from "effect-cached"
 * import { CacheTest, FaultyStore } from "effect-cached/testing"
 *
 * const layer = CacheTest.layerWith().pipe(
 *   Layer.provideMerge(FaultyStore.layer(Store.layerMemory())),
 *   Layer.provide([DependencyGraph.layer(), Broadcaster.layerLocal])
 * )
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* FaultyStore.FaultyStore
 *   const answer = yield* Cached.make("answer", { success: Schema.Number }, () => Effect.succeed(42))
 *   yield* store.become("failing")
 *   const value = yield* answer()
 *   const events = yield* (yield* CacheTest.CacheTest).events
 *   return [value, events.map((event) => event._tag)]
 * }).pipe(Effect.provide(layer))
 *
 * await Effect.runPromise(program) // => [42, ["StoreFailed", "Miss", "StoreFailed"]]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options?: ResultCache.Options) =>
  Layer.unwrap(Effect.sync(() => {
    const { record, service } = make()
    const onEvent = (event: CacheEvent.CacheEvent) => {
      record(event)
      options?.onEvent?.(event)
    }
    return Layer.merge(ResultCache.layer({ ...options, onEvent }), Layer.succeed(CacheTest)(service))
  }))

/**
 * The cache for tests, in place of `CacheLive`: in memory, new for each layer, on the test's `Clock`, and it can be asked
 * what happened.
 *
 * **Example** (A route that is computed once)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached } from "effect-cached"
 * import { CacheTest } from "effect-cached/testing"
 *
 * const program = Effect.gen(function*() {
 *   const double = yield* Cached.make(
 *     "double",
 *     { input: { n: Schema.Number }, success: Schema.Number },
 *     ({ n }) => Effect.succeed(2 * n)
 *   )
 *   yield* double({ n: 1 })
 *   yield* double({ n: 1 })
 *   const test = yield* CacheTest.CacheTest
 *   return [yield* test.misses, yield* test.hits]
 * }).pipe(Effect.provide(CacheTest.layer))
 *
 * await Effect.runPromise(program) // => [["double {\"n\":1}"], ["double {\"n\":1}"]]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<ResultCache.ResultCache | CacheTest> = layerWith().pipe(
  Layer.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal]),
  Layer.orDie
)
