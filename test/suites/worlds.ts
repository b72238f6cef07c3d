/**
 * Caches in which a test can act at every step of a read.
 */
import { Context, Effect, Fiber, Layer, type Scope } from "effect"
import { Broadcaster, ByteStore, DependencyGraph, type ResultCache, Store } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest, FaultyBroadcaster, FaultyStore } from "effect-cached/testing"

/**
 * What a test does at a step. `arm` says what, for the next time that the step is reached; it runs in a fiber of its own,
 * with the services of whoever armed it, so it belongs to no computation.
 */
export class Steps extends Context.Service<Steps, {
  readonly arm: (step: string, action: Effect.Effect<void>) => Effect.Effect<void>
  /** Does what was armed and waits for it. */
  readonly reach: (step: string) => Effect.Effect<void>
  /** Does what was armed as far as it goes without waiting. */
  readonly reachUnsafe: (step: string) => void
}>()("test/worlds/Steps") {
  static readonly layer = Layer.sync(Steps)(() => {
    const armed = new Map<string, () => Fiber.Fiber<void>>()
    const run = (step: string) => {
      const action = armed.get(step)
      armed.delete(step)
      return action?.()
    }
    return Steps.of({
      arm: (step, action) =>
        Effect.map(Effect.context(), (context) => {
          armed.set(step, () => Effect.runForkWith(context)(action))
        }),
      reach: (step) =>
        Effect.suspend(() => {
          const fiber = run(step)
          return fiber === undefined ? Effect.void : Fiber.join(fiber)
        }),
      reachUnsafe: (step) => void run(step)
    })
  })
}

const stepping = <E>(inner: Layer.Layer<Store.Store, E>): Layer.Layer<Store.Store, E, Steps> =>
  Layer.effect(Store.Store)(Effect.gen(function*() {
    const steps = yield* Steps
    const store = Context.get(yield* Layer.build(Layer.fresh(inner)), Store.Store)
    return Store.Store.of({
      ...store,
      get: (key) =>
        steps.reach("before Store.get").pipe(
          Effect.andThen(store.get(key)),
          Effect.tap(() => steps.reach("after Store.get"))
        ),
      set: (entry) =>
        steps.reach("before Store.set").pipe(
          Effect.andThen(store.set(entry)),
          Effect.tap(() => steps.reach("after Store.set"))
        )
    })
  }))

const bytes = ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer()))

/** A cache whose store, events and log take part in the steps. */
export type World = Layer.Layer<
  Steps | ResultCache.ResultCache | CacheTest.CacheTest | FaultyBroadcaster.FaultyBroadcaster | Store.Store
>

const world = <E>(store: Layer.Layer<Store.Store, E>): World =>
  Layer.unwrap(
    Effect.map(Steps, ({ reachUnsafe }) =>
      CacheTest.layerWith({
        onEvent: (event) => reachUnsafe(`event ${event._tag}`)
      }))
  ).pipe(
    Layer.provideMerge([
      stepping(store),
      FaultyBroadcaster.layer(Broadcaster.layerLocal)
    ]),
    Layer.provide(DependencyGraph.layer()),
    Layer.provideMerge(Steps.layer),
    Layer.orDie
  )

/** One cache for each kind of store. */
export const worlds: ReadonlyArray<readonly [name: string, layer: World]> = [
  ["live values", world(Store.layerMemory())],
  ["bytes", world(bytes)],
  ["two tiers", world(Store.layerTiered({ near: Store.layerMemory(), far: bytes }))]
]

/** A cache over a store and a log whose faults a test decides. */
export const faulty = (options?: ResultCache.Options) =>
  CacheTest.layerWith(options).pipe(
    Layer.provideMerge([
      FaultyStore.layer(Store.layerMemory()),
      FaultyBroadcaster.layer(Broadcaster.layerLocal),
      DependencyGraph.layer()
    ]),
    Layer.orDie
  )

/** Starts a call that goes on beside the test, as far as it goes without waiting. */
export const start = <A, E, R>(
  call: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.Fiber<A, E>, never, R | Scope.Scope> => Effect.forkScoped(call, { startImmediately: true })
