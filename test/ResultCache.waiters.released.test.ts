import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { Broadcaster, Cached, CacheLive, DependencyGraph, Store } from "effect-cached"
import { CacheTest, FaultyStore } from "effect-cached/testing"
import { start } from "./suites/worlds.ts"

const times = (count: number) => Array.from({ length: count }, (_, n) => n)

const isInterrupted = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) && Exit.hasInterrupts(exit)

// A store outside this process.
const remote = CacheTest.layerWith().pipe(
  Layer.provideMerge(FaultyStore.layer(Store.layerMemory())),
  Layer.provide([DependencyGraph.layer(), Broadcaster.layerLocal])
)

describe("A cache whose layer is released while its store is asked", () => {
  it.effect.each<[string, FaultyStore.Mode]>([["does not answer", "hanging"], ["answers later", "slow"]])(
    "keeps nobody waiting and computes nothing any more, where the store %s",
    ([, mode]) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const services = yield* Layer.buildWithScope(remote, scope)
        const faults = Context.get(services, FaultyStore.FaultyStore)
        let runs = 0
        const fn = yield* Effect.provideContext(
          Cached.make("fn", { input: { n: Schema.Number }, success: Schema.Number }, () => Effect.sync(() => ++runs)),
          services
        )
        yield* faults.become(mode)
        const before = yield* Effect.forEach(times(3), () => start(fn({ n: 1 })))
        yield* Scope.close(scope, Exit.void)
        const after = yield* start(fn({ n: 2 }))
        yield* faults.release
        for (const caller of [...before, after]) assert.isTrue(isInterrupted(yield* Fiber.await(caller)))
        assert.strictEqual(runs, 0)
      })
  )

  it.effect("lets its last caller go while the store still ends what it was asked", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const ending = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const slowToEnd = Layer.effect(Store.Store)(Effect.map(Store.Store, (store) =>
        Store.Store.of({
          ...store,
          remote: true,
          get: () =>
            Effect.andThen(Deferred.succeed(asked, undefined), Effect.never).pipe(
              Effect.onInterrupt(() => Effect.andThen(Deferred.succeed(ending, undefined), Deferred.await(ended)))
            )
        }))).pipe(Layer.provide(Store.layerMemory()))
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(
        CacheTest.layerWith().pipe(Layer.provide([slowToEnd, DependencyGraph.layer(), Broadcaster.layerLocal])),
        scope
      )
      const fn = yield* Effect.provideContext(
        Cached.make("fn", { success: Schema.Number }, () => Effect.never),
        services
      )
      const caller = yield* start(fn())
      yield* Deferred.await(asked)
      const closing = yield* start(Scope.close(scope, Exit.void))
      yield* Deferred.await(ending)
      yield* start(Fiber.interrupt(caller))
      const exit = yield* Fiber.await(caller)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      yield* Deferred.succeed(ended, undefined)
      yield* Fiber.join(closing)
    }))
})

describe("An execution behind a store outside this process whose first step", () => {
  it.effect("makes its only caller leave is interrupted", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      const started = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
        Effect.onExit(
          Effect.andThen(Deferred.succeed(started, undefined), Effect.never),
          (exit) => Deferred.succeed(ended, exit)
        ))
      yield* faults.become("slow")
      const caller = yield* start(fn())
      yield* start(Effect.andThen(Deferred.await(started), Effect.sync(() => caller.interruptUnsafe())))
      yield* faults.release
      assert.isTrue(isInterrupted(yield* Fiber.await(caller)))
      assert.isTrue(isInterrupted(yield* Deferred.await(ended)))
    }).pipe(Effect.provide(remote)))
})

describe("A long chain of keys that ask for one another", () => {
  it.effect("is interrupted to its end when its only caller leaves", () =>
    Effect.gen(function*() {
      const atBottom = yield* Deferred.make<void>()
      let open = 0
      const fn: (input: { readonly n: number }) => Effect.Effect<number, unknown> = yield* Cached.make(
        "fn",
        { input: { n: Schema.Number }, success: Schema.Number },
        ({ n }): Effect.Effect<number, never, Scope.Scope> =>
          Effect.andThen(
            Effect.acquireRelease(Effect.sync(() => void open++), () => Effect.sync(() => void open--)),
            n === 0
              ? Effect.andThen(Deferred.succeed(atBottom, undefined), Effect.never)
              : Effect.orDie(fn({ n: n - 1 }))
          )
      )
      const caller = yield* start(fn({ n: 3000 }))
      yield* Deferred.await(atBottom)
      assert.strictEqual(open, 3001)
      yield* Fiber.interrupt(caller)
      assert.strictEqual(open, 0)
    }).pipe(Effect.provide(CacheLive)))
})

describe("An observer of a fiber that waits", () => {
  it.effect("that throws keeps nobody else waiting", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.as(Deferred.await(gate), 1))
      const first = yield* start(fn())
      Effect.runCallback(fn(), {
        onExit: () => {
          throw new Error("an observer")
        }
      })
      const last = yield* start(fn())
      yield* Effect.exit(Deferred.succeed(gate, undefined))
      assert.deepStrictEqual(yield* Fiber.joinAll([first, last]), [1, 1])
    }).pipe(Effect.provide(CacheLive)))
})
