/**
 * A store whose faults a test decides.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as CacheEntry from "../CacheEntry.ts"
import * as CacheError from "../CacheError.ts"
import { storeError } from "../internal/errors.ts"
import * as Store from "../Store.ts"

/**
 * What happens to `get`, `set` and `remove`: `healthy` leaves them alone, `failing` fails them, `dying` makes them
 * defects, `hanging` never lets them end. `slow` makes them wait until the latch that `slow` stands for is opened by
 * `release`.
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = "healthy" | "failing" | "dying" | "hanging" | "slow"

/**
 * The controls.
 *
 * @category services
 * @since 0.1.0
 */
export class FaultyStore extends Context.Service<FaultyStore, {
  /** Decides what happens to the operations that start from now on. */
  readonly become: (mode: Mode) => Effect.Effect<void>
  /** Lets all operations that are slow go on. */
  readonly release: Effect.Effect<void>
  /** The operations so far, with their keys. */
  readonly operations: Effect.Effect<ReadonlyArray<readonly [operation: "get" | "set" | "remove", key: string]>>
}>()("effect-cached/testing/FaultyStore") {}

/**
 * Puts faults between a cache and its store. What the store holds is only seen through `get`, as if it were in another
 * process.
 *
 * **Example** (A store that fails and recovers)
 *
 * ```ts import.meta.vitest
 * import { Effect, Result } from "effect"
 * import { Store } from "effect-cached"
 * import { FaultyStore } from "effect-cached/testing"
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* Store.Store
 *   const faults = yield* FaultyStore.FaultyStore
 *   yield* faults.become("failing")
 *   const down = yield* Effect.result(store.get("key"))
 *   yield* faults.become("healthy")
 *   const up = yield* Effect.result(store.get("key"))
 *   return [Result.isFailure(down), Result.isSuccess(up)]
 * }).pipe(Effect.provide(FaultyStore.layer(Store.layerMemory())))
 *
 * await Effect.runPromise(program) // => [true, true]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R>(inner: Layer.Layer<Store.Store, E, R>): Layer.Layer<Store.Store | FaultyStore, E, R> =>
  Layer.effectContext(Effect.gen(function*() {
    const store = Context.get(yield* Layer.build(Layer.fresh(inner)), Store.Store)
    const operations: Array<readonly ["get" | "set" | "remove", string]> = []
    let mode: Mode = "healthy"
    let latch = Latch.makeUnsafe(false)

    const fault = <A>(
      operation: "get" | "set" | "remove",
      key: string,
      effect: Effect.Effect<A, CacheError.CacheError>
    ): Effect.Effect<A, CacheError.CacheError> =>
      Effect.suspend(() => {
        operations.push([operation, key])
        switch (mode) {
          case "healthy":
            return effect
          case "failing":
            return Effect.fail(storeError(operation, new Error("the store is down")))
          case "dying":
            return Effect.die(new Error("the store has a bug"))
          case "hanging":
            return Effect.never
          case "slow":
            return Effect.andThen(latch.await, effect)
        }
      })

    const faulty = Store.Store.of({
      ...store,
      remote: true,
      peek: () => undefined,
      get: (key) => fault("get", key, store.remote ? store.get(key) : Effect.sync(() => store.peek(key))),
      set: (entry: CacheEntry.CacheEntry) => fault("set", entry.key, store.set(entry)),
      touch: (entry) => fault("set", entry.key, store.touch(entry)),
      remove: (key) => fault("remove", key, store.remove(key))
    })

    return Context.make(Store.Store, faulty).pipe(Context.add(
      FaultyStore,
      FaultyStore.of({
        become: (next) =>
          Effect.sync(() => {
            mode = next
          }),
        release: Effect.sync(() => {
          latch.openUnsafe()
          latch = Latch.makeUnsafe(false)
        }),
        operations: Effect.sync(() => [...operations])
      })
    ))
  }))
