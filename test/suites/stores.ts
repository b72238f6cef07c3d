/**
 * Caches over every kind of store, on the clock of the tests.
 *
 * Redis lives by real time: it is asked by the live clock, and drops what is over by its own. Its cache lives by the clock of
 * the tests, which begins a day ahead and only goes on from there, so that Redis has everything for longer than it is served.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { Clock, Context, Effect, FileSystem, Layer } from "effect"
import {
  Broadcaster,
  ByteStore,
  type CacheEvent,
  Codec,
  DependencyGraph,
  Lease,
  ResultCache,
  Store
} from "effect-cached"
import * as JsonFileStore from "effect-cached/JsonFileStore"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import * as RedisBroadcaster from "effect-cached/RedisBroadcaster"
import * as RedisClient from "effect-cached/RedisClient"
import * as RedisLease from "effect-cached/RedisLease"
import * as RedisStore from "effect-cached/RedisStore"
import { CacheTest, FaultyBroadcaster } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import { airborne } from "../../src/internal/flight.ts"
import { makeDisk } from "../jsonFile.ts"
import { Steps, type World, worlds } from "./worlds.ts"

type Base = Store.Store | Broadcaster.Broadcaster

// What stores were asked and have not answered.
const asked = { count: 0 }

/** Waits until nothing is computed and nothing is being stored. Dies for what goes on without an end. */
export const settled: Effect.Effect<void> = Effect.suspend(() =>
  until("everything is at rest", () => airborne.count === 0 && asked.count === 0)
)

/** Waits until all stores have answered, and whoever asked has gone on as far as it goes without waiting for time. */
export const answered: Effect.Effect<void> = Effect.suspend(() =>
  until("stores have answered", () => asked.count === 0).pipe(
    Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 10 })),
    Effect.andThen(Effect.suspend(() => asked.count === 0 ? Effect.void : answered))
  )
)

/** Waits, without any time going by, until something is so. */
export const until = Effect.fnUntraced(function*(what: string, isSo: () => boolean) {
  for (let turn = 0; turn < 200_000; turn++) {
    if (isSo()) {
      // Who is told of it in the same turn has its turn.
      yield* Effect.yieldNow
      if (isSo()) return
    }
    yield* Effect.yieldNow
  }
  throw new Error(`still not: ${what}`)
})

const watched = (store: Store.Store["Service"], steps: Steps["Service"]): Store.Store["Service"] => {
  const ask = <A, E>(operation: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      asked.count++
      return steps.reach(`before Store.${operation}`).pipe(
        Effect.andThen(effect),
        Effect.tap(() => steps.reach(`after Store.${operation}`)),
        Effect.ensuring(Effect.sync(() => asked.count--))
      )
    })
  return Store.Store.of({
    ...store,
    get: (key) => ask("get", store.get(key)),
    set: (entry) => ask("set", store.set(entry)),
    touch: (entry) => ask("touch", store.touch(entry))
  })
}

/** A cache over a store with a log of its own. */
const world = <E>(base: Layer.Layer<Base, E>, options?: ResultCache.Options): World => {
  const parts = Layer.effectContext(Effect.gen(function*() {
    const steps = yield* Steps
    const context = yield* Layer.build(Layer.fresh(base))
    const log = Layer.succeed(Broadcaster.Broadcaster)(Context.get(context, Broadcaster.Broadcaster))
    return Context.merge(
      Context.make(Store.Store, watched(Context.get(context, Store.Store), steps)),
      yield* Layer.build(FaultyBroadcaster.layer(log))
    )
  }))
  return Layer.unwrap(
    Effect.map(Steps, ({ reachUnsafe }) =>
      CacheTest.layerWith({
        ...options,
        onEvent: (event) => reachUnsafe(`event ${event._tag}`)
      }))
  ).pipe(
    Layer.provideMerge(parts),
    Layer.provide(DependencyGraph.layer()),
    Layer.provideMerge(Steps.layer),
    Layer.orDie
  )
}

// On a disk that is not flushed: no test turns the power off.
const jsonFile = Layer.effectContext(Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const disk = yield* makeDisk
  return yield* Effect.provideService(
    Layer.build(Layer.fresh(JsonFileStore.layer({ path: `${folder}/x.json` }))),
    FileSystem.FileSystem,
    disk.fs
  )
})).pipe(Layer.provide(NodeFileSystem.layer))

const day = 24 * 60 * 60 * 1000

const inRedis = (namespace: string, leases = false): Layer.Layer<Base, unknown> =>
  Layer.effectContext(Effect.gen(function*() {
    const client = Layer.effect(RedisClient.RedisClient)(Effect.map(
      RedisClient.make({ url: process.env["REDIS_URL"], commandTimeout: "30 seconds", required: true }),
      // The same for all of a test, so that times come back as they were, and not zero, so that each way counts.
      (client) => RedisClient.RedisClient.of({ ...client, clockOffset: () => 12_345.6, learnTime: () => {} })
    ))
    const layer = Layer.mergeAll(
      RedisStore.layer({ namespace }).pipe(Layer.provide(MsgPackCodec.layer())),
      RedisBroadcaster.layer({ namespace, maxStaleness: "30 seconds", required: true }),
      leases ? RedisLease.layer({ namespace, duration: "1 minute" }) : Layer.empty
    ).pipe(Layer.provide(client))
    const context = yield* TestClock.withLive(Layer.build(Layer.fresh(layer)))
    const ahead = (yield* TestClock.withLive(Clock.currentTimeMillis)) + day
    if ((yield* Clock.currentTimeMillis) < ahead) yield* TestClock.setTime(ahead)
    return context
  }))

// A server is slow in real time only.
const patient = { storeTimeout: "10000 days" } as const

/** One cache for each kind of store. */
export const kinds: ReadonlyArray<readonly [name: string, layer: World]> = [
  ...worlds,
  ["a JSON file", world(jsonFile)],
  ["Redis", Layer.unwrap(Effect.sync(() => world(inRedis(`lifetimes-${randomUUID()}`), patient)))]
]

/** A process of several that share a store and a log. */
export interface Process {
  readonly cache: ResultCache.ResultCache["Service"]
  readonly events: ReadonlyArray<CacheEvent.CacheEvent>
  readonly provide: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, Exclude<R, ResultCache.ResultCache>>
}

/** Processes over one store, each with a memory of its own in front of it. */
export const sharing = Effect.fnUntraced(function*(shared: Layer.Layer<Base, unknown>) {
  const context = yield* Effect.orDie(Layer.build(Layer.fresh(shared)))
  const steps = Context.get(yield* Layer.build(Steps.layer), Steps)
  const store = watched(Context.get(context, Store.Store), steps)
  let writes = 0
  const far = Layer.succeed(Store.Store)(Store.Store.of({
    ...store,
    set: (entry) =>
      Effect.suspend(() => {
        writes++
        return store.set(entry)
      }),
    touch: (entry) =>
      Effect.suspend(() => {
        writes++
        return store.touch(entry)
      })
  }))
  const log = Layer.succeed(Broadcaster.Broadcaster)(Context.get(context, Broadcaster.Broadcaster))
  const lease = Layer.succeed(Lease.Lease)(Context.get(context, Lease.Lease))
  return {
    /** How often the shared store was written to. */
    writes: () => writes,
    /** Starts a process. */
    open: Effect.fnUntraced(function*(options?: ResultCache.Options) {
      const events: Array<CacheEvent.CacheEvent> = []
      const layer = ResultCache.layer({ ...patient, ...options, onEvent: (event) => void events.push(event) }).pipe(
        Layer.provide([
          Store.layerTiered({ near: Store.layerMemory(), far }),
          log,
          lease,
          DependencyGraph.layer()
        ])
      )
      const cache = Context.get(yield* Effect.orDie(Layer.build(Layer.fresh(layer))), ResultCache.ResultCache)
      const process: Process = { cache, events, provide: Effect.provideService(ResultCache.ResultCache, cache) }
      return process
    })
  }
})

/** What processes can share. */
export const shared: ReadonlyArray<readonly [name: string, layer: Layer.Layer<Base, unknown>]> = [
  [
    "bytes",
    Layer.merge(ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer())), Broadcaster.layerLocal)
  ],
  ["JSON", Layer.merge(ByteStore.layerMemory().pipe(Layer.provide(Codec.layerJson)), Broadcaster.layerLocal)],
  ["Redis", Layer.unwrap(Effect.sync(() => inRedis(`lifetimes-${randomUUID()}`)))]
]

/** Redis, with leases: a computation runs in one process, and the others wait for it. */
export const leased: Layer.Layer<Base, unknown> = Layer.unwrap(
  Effect.sync(() => inRedis(`lifetimes-${randomUUID()}`, true))
)
