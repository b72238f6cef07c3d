/**
 * The result cache: where store, dependency graph and invalidation log meet, and where computations run.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Broadcaster from "./Broadcaster.ts"
import * as CacheEntry from "./CacheEntry.ts"
import * as CacheError from "./CacheError.ts"
import * as CacheEvent from "./CacheEvent.ts"
import type * as CacheMetrics from "./CacheMetrics.ts"
import type * as CachePolicy from "./CachePolicy.ts"
import * as DependencyGraph from "./DependencyGraph.ts"
import { makeBackOff } from "./internal/backOff.ts"
import type * as claims from "./internal/claims.ts"
import { makeClaims } from "./internal/claims.ts"
import { definitionError, describe, tagError } from "./internal/errors.ts"
import { makeEventBus } from "./internal/eventBus.ts"
import { airborne, CurrentFlight, doubters } from "./internal/flight.ts"
import { makeFlying } from "./internal/flying.ts"
import { makeGuard } from "./internal/guard.ts"
import { makeJudge } from "./internal/judge.ts"
import { follow, makeForget } from "./internal/log.ts"
import type * as internal from "./internal/lookup.ts"
import { makeLookups } from "./internal/lookups.ts"
import { makeCounts, registerCounts } from "./internal/metrics.ts"
import { noteOf, textOfNote } from "./internal/notes.ts"
import { ownLifetime, resolvePolicy } from "./internal/policy.ts"
import { makeReading } from "./internal/reading.ts"
import type { Driver } from "./internal/redis/driver.ts"
import { millis } from "./internal/settings.ts"
import { makeShelf } from "./internal/shelf.ts"
import { tagProblem } from "./internal/tagText.ts"
import * as Lease from "./Lease.ts"
import * as Store from "./Store.ts"
import type * as Tag from "./Tag.ts"

/**
 * What a computation gives to the cache.
 *
 * @category models
 * @since 0.1.0
 */
export type Computed = internal.Computed

/**
 * What a cache is asked for: the entry of a key, or its computation.
 *
 * @category models
 * @since 0.1.0
 */
export type Lookup = internal.Lookup

/**
 * What a lookup ends with.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer = internal.Answer

/**
 * Why there was no hit.
 *
 * @category models
 * @since 0.1.0
 */
export type Because = CacheEvent.Because

/**
 * The right to store results under a name, until `released`.
 *
 * @category models
 * @since 0.1.0
 */
export type Claim = claims.Claim

/**
 * The service.
 *
 * **Details**
 *
 * Applications use `invalidate`, `clear` and `events`; the other members are what cached functions and routes are made
 * of.
 *
 * @category services
 * @since 0.1.0
 */
export class ResultCache extends Context.Service<ResultCache, {
  /**
   * Ends every entry that carries one of the tags or anything below it, as one record in the log. Once it succeeds, no
   * reader of this process gets a value that was computed before. Fails with a `CacheError` of reason `TagError` for a malformed tag, before anything is invalidated, and of
   * reason `LogError` when the log did not take the record: then the tags stay invalid in this process.
   */
  readonly invalidate: (tags: ReadonlyArray<Tag.Input>) => Effect.Effect<void, CacheError.CacheError>
  /** Ends every entry. Errors as for `invalidate`. */
  readonly clear: Effect.Effect<void, CacheError.CacheError>
  /** What happens from now on. A listener that is more than 1 024 events behind loses the oldest. */
  readonly events: Stream.Stream<CacheEvent.CacheEvent>
  /** How often each event has happened since the cache was made. */
  readonly counts: Effect.Effect<Readonly<CacheMetrics.Counts>>

  /** The entry of a key if this process holds it and may serve it to this fiber now. Synchronous; counts nothing. */
  readonly peek: (
    key: string,
    fingerprint: string,
    fiber?: Fiber.Fiber<unknown, unknown>
  ) => CacheEntry.CacheEntry | undefined
  /** Counts a hit on an entry that was peeked, and adds it to what the computation of this fiber has read. */
  readonly took: (entry: CacheEntry.CacheEntry, fiber: Fiber.Fiber<unknown, unknown>) => void
  /** Whether a computation of a key runs, or what it has ended with is being stored. */
  readonly isFlying: (key: string) => boolean
  /**
   * Answers from the store, from a computation that runs, or from one that is started. Failures of the computation are
   * in the answer; fails itself with a `CacheError` of reason `RecursionError` where a computation asks for its own
   * result.
   */
  readonly lookup: (lookup: Lookup) => Effect.Effect<Answer, CacheError.CacheError>
  /** The same, with what is made of the answer: without a step in between, and with nothing more for each who waits. */
  readonly ask: <A, E, R>(
    lookup: Lookup,
    finish: (answer: Answer, lookup: Lookup) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | CacheError.CacheError, R>
  /** The entries of the store that are valid now. */
  readonly entries: Stream.Stream<CacheEntry.CacheEntry, CacheError.CacheError>
  /** Tells the store that nothing more will come for a while. */
  readonly flush: Effect.Effect<void, CacheError.CacheError>
  /** Removes the entry of a key from the store. Who must not be given it any more has to `forget` it, too. */
  readonly remove: (key: string) => Effect.Effect<void, CacheError.CacheError>
  /** Reports that a stored entry could not be used, and removes it. */
  readonly discard: (entry: CacheEntry.CacheEntry, error: CacheError.CacheError) => Effect.Effect<void>
  /**
   * Takes the name of a cached function, until `scope` closes where there is one. Fails with a `CacheError` of reason
   * `DefinitionError` while someone else has it. A name that was released and is taken again starts empty.
   */
  readonly claim: (name: string, scope: Scope.Scope | undefined) => Effect.Effect<Claim, CacheError.CacheError>
  /** Invalidates implicit tags, which `invalidate` refuses. Errors as for `invalidate`. */
  readonly forget: (tags: ReadonlyArray<string>) => Effect.Effect<void, CacheError.CacheError>
  /** The time by which entries expire, in milliseconds since the epoch. */
  readonly now: () => number
  /** What functions do whose own policy does not say otherwise. */
  readonly policy: CachePolicy.CachePolicy<any, any, any> | undefined
  /**
   * Texts that are kept in the store for as long as it likes, and say nothing that anyone relies on. No event tells of
   * them, but for a store that fails.
   */
  readonly notes: {
    readonly read: (key: string) => Effect.Effect<string | undefined>
    readonly write: (key: string, text: string, tags: ReadonlyArray<string>) => Effect.Effect<void>
  }
  /** Removes a variant of a response of which there are too many. */
  readonly evict: (key: string) => Effect.Effect<void>
}>()("effect-cached/ResultCache") {}

/**
 * Options of a result cache.
 *
 * **Details**
 *
 * - `storeTimeout`: the longest that a store outside this process may delay an answer, default one second. What is to be stored
 *   durably, and a store that is cleared, may take up to a minute.
 * - `onEvent`: called synchronously for every event. What it throws is ignored.
 * - `policy`: what functions do whose own policy does not say otherwise. What it says of typed failures counts for
 *   functions that have a schema for them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly policy?: CachePolicy.CachePolicy | undefined
  readonly storeTimeout?: Duration.Input | undefined
  readonly onEvent?: ((event: CacheEvent.CacheEvent) => void) | undefined
}

/**
 * Makes a result cache from its services.
 *
 * **Example** (A cache without a layer)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { Broadcaster, Cached, DependencyGraph, ResultCache, Store } from "effect-cached"
 *
 * const services = Layer.mergeAll(Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal)
 *
 * const program = Effect.gen(function*() {
 *   const cache = yield* ResultCache.make()
 *   const one = yield* Cached.make("one", { success: Schema.Number }, () => Effect.succeed(1)).pipe(
 *     Effect.provideService(ResultCache.ResultCache, cache)
 *   )
 *   yield* one()
 *   yield* one()
 *   return (yield* cache.counts).Hit
 * })
 *
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(services))) // => 1
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options?: Options
): Effect.fn.Return<
  ResultCache["Service"],
  CacheError.CacheError,
  Store.Store | DependencyGraph.DependencyGraph | Broadcaster.Broadcaster | Scope.Scope
> {
  const store = yield* Store.Store
  const graph = yield* DependencyGraph.DependencyGraph
  const log = yield* Broadcaster.Broadcaster
  const context = yield* Effect.context<Scope.Scope>()
  const scope = Context.get(context, Scope.Scope)
  const clock = yield* Clock.Clock
  const storeTimeout = yield* millis("ResultCache.storeTimeout", options?.storeTimeout ?? "1 second")
  // What it says of failures is for functions that have a schema for them.
  yield* resolvePolicy("ResultCache.policy", { error: true }, options?.policy)
  const now = () => clock.currentTimeMillisUnsafe()
  const counts = makeCounts()
  yield* registerCounts(counts)
  const bus = yield* makeEventBus(counts, options?.onEvent, now)
  const { events, tell, tellHit } = bus
  yield* store.onRemoval(({ cause, key }) =>
    cause === "evicted"
      ? bus.tellOften("Evicted", () => CacheEvent.Evicted({ key }))
      : tell(CacheEvent.Expired({ key }))
  )
  yield* follow(log, graph, tell)
  const forgetNow = makeForget(log, graph, scope, bus.tellInvalidated)
  const forget = (tags: ReadonlyArray<string>) =>
    Effect.withFiber<void, CacheError.CacheError>((fiber) => forgetNow(tags, fiber))
  const lease = store.remote ? yield* Lease.Lease : undefined
  const guarded = yield* makeGuard(store.remote, storeTimeout, tell)

  const judge = makeJudge({ store, graph, log, scope, now })
  const backOff = makeBackOff(now)
  const shelf = makeShelf(store, guarded, { ...judge, catchUp: log.catchUp, now }, tell)
  const read = makeReading({ store, shelf, context, scope, now })
  const flying = makeFlying({
    store,
    graph,
    log,
    lease,
    shelf,
    judge,
    scope,
    clock,
    backOff,
    used: (entry) => read(entry, true),
    bus
  })
  yield* Effect.addFinalizer(() => flying.stopLooking)
  const used = (entry: CacheEntry.CacheEntry) => read(entry, false)
  const ask = makeLookups({ store, graph, log, flying, shelf, judge, backOff, clock, used, bus })

  const peek = (
    key: string,
    fingerprint: string,
    fiber?: Fiber.Fiber<unknown, unknown>
  ): CacheEntry.CacheEntry | undefined => {
    const doubts = fiber !== undefined && doubters.count > 0 &&
      Context.getOrUndefined(fiber.context, CurrentFlight)?.flight.doubts === true
    const entry = doubts ? undefined : store.peek(key)
    return entry !== undefined && judge.isValid(entry, fingerprint) && judge.isGood(entry) ? entry : undefined
  }

  const took = (entry: CacheEntry.CacheEntry, fiber: Fiber.Fiber<unknown, unknown>): void => {
    if (airborne.count > 0) {
      const current = Context.getOrUndefined(fiber.context, CurrentFlight)
      if (current !== undefined && current.tracked) {
        current.flight.addRead(entry.tags, entry.expiresAt, undefined, undefined)
      }
    }
    used(entry)
    tellHit(entry.key)
  }

  // Everything has ended already. A large store goes on clearing after nobody waits for it any more.
  const clearStore = Effect.flatMap(
    Effect.forkIn(guarded("", "clear", () => store.clear, true), scope, { startImmediately: true }),
    (clearing) => Effect.asVoid(Effect.timeoutOption(Fiber.await(clearing), storeTimeout))
  )

  return ResultCache.of({
    invalidate: (tags) =>
      Effect.withFiber((fiber) => {
        for (const tag of tags) {
          const problem = tagProblem(tag)
          if (problem !== undefined) return Effect.fail(tagError(tag, problem))
        }
        return tags.length === 0 ? Effect.void : forgetNow(tags, fiber)
      }),
    clear: Effect.andThen(forget([]), clearStore),
    events,
    counts: Effect.sync(() => ({ ...counts })),
    peek,
    took,
    isFlying: (key) => flying.flights.get(key) !== undefined,
    lookup: (lookup) => ask(lookup, Effect.succeed) as Effect.Effect<Answer, CacheError.CacheError>,
    // What is made of an answer, and nothing else, comes out of it.
    ask: ask as ResultCache["Service"]["ask"],
    entries: Stream.filter(store.entries, (entry) => !judge.isAhead(entry) && graph.isValid(entry) && log.isCurrent()),
    flush: store.flush,
    remove: store.remove,
    discard: shelf.discard,
    claim: makeClaims(forget),
    forget,
    now,
    policy: options?.policy,
    notes: {
      read: (key) => {
        const near = store.peek(key)
        return near !== undefined || !store.remote
          ? Effect.succeed(textOfNote(near, key))
          : Effect.map(shelf.get(key), (got) => textOfNote(Result.getOrUndefined(got), key))
      },
      write: (key, text, tags) =>
        Effect.suspend(() =>
          // Nobody waits for it.
          Effect.asVoid(Effect.forkIn(shelf.put(noteOf(key, text, tags, graph.position(), now()), false), scope, {
            startImmediately: true
          }))
        )
    },
    evict: (key) =>
      Effect.suspend(() => {
        tell(CacheEvent.VariantsExceeded({ key }))
        return Effect.asVoid(guarded(key, "remove", () => store.remove(key)))
      })
  })
})

/**
 * The cache over services of one's own choice.
 *
 * **Example** (The embedded cache, put together by hand)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { Broadcaster, Cached, DependencyGraph, ResultCache, Store } from "effect-cached"
 *
 * const cache = ResultCache.layer().pipe(
 *   Layer.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal])
 * )
 *
 * const program = Effect.gen(function*() {
 *   let computed = 0
 *   const squares = yield* Cached.make(
 *     "squares",
 *     { input: { upTo: Schema.Number }, success: Schema.Array(Schema.Number) },
 *     ({ upTo }) => Effect.sync(() => {
 *       computed++
 *       return Array.from({ length: upTo }, (_, n) => n * n)
 *     })
 *   )
 *   yield* squares({ upTo: 3 })
 *   return [yield* squares({ upTo: 3 }), computed]
 * }).pipe(Effect.provide(cache))
 *
 * await Effect.runPromise(program) // => [[0, 1, 4], 1]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<
  ResultCache,
  CacheError.CacheError,
  Store.Store | DependencyGraph.DependencyGraph | Broadcaster.Broadcaster
> => Layer.effect(ResultCache)(make(options))

/**
 * The embedded cache: everything in this process, no server needed.
 *
 * **Details**
 *
 * Takes the options of `Store.layerMemory` and of {@link layer}. Fails with a `CacheError` of reason `DefinitionError`
 * for an option that is unusable.
 *
 * **Example** (A bound of 1 000 entries)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached, ResultCache } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   const square = yield* Cached.make(
 *     "square",
 *     { input: { n: Schema.Number }, success: Schema.Number },
 *     ({ n }) => Effect.succeed(n * n)
 *   )
 *   return yield* square({ n: 12 })
 * }).pipe(Effect.provide(ResultCache.layerMemory({ maxEntries: 1000 })))
 *
 * await Effect.runPromise(program) // => 144
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (
  options?: Options & Store.MemoryOptions
): Layer.Layer<ResultCache, CacheError.CacheError> =>
  layer(options).pipe(
    Layer.provide([Store.layerMemory(options), DependencyGraph.layer(), Broadcaster.layerLocal])
  )

/**
 * The embedded cache with its defaults: what applications provide, and exchange for `CacheTest` in tests.
 *
 * **Example** (Provide it once)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached, CacheLive } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   const now = yield* Cached.make("now", { success: Schema.Date }, () => Effect.succeed(new Date(0)))
 *   return (yield* now()).getTime()
 * }).pipe(Effect.provide(CacheLive))
 *
 * await Effect.runPromise(program) // => 0
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const CacheLive: Layer.Layer<ResultCache> = Layer.orDie(layerMemory())

/**
 * Options of a cache over Redis, wherever it is.
 *
 * **Details**
 *
 * - `namespace`: what the names of all keys begin with, default `"effect-cached"`. Processes with the same one share a cache.
 *   In names of keys its `:` is written `%3a`, and `%`, `{` and `}` likewise.
 * - `maxStaleness`: the staleness bound, default 5 seconds. Once an invalidation has succeeded, no process serves what it ended
 *   for longer than this, whatever fails.
 * - `memory`: bounds of the store in memory that stands in front, as for `Store.layerMemory`; `false` for none.
 * - `lease`: how long a process that has disappeared keeps the others waiting for what it computes, and how long they wait
 *   for one that is at work, as for `RedisLease.layer`; `false` for none.
 * - `maxLifetime`: the longest that Redis keeps an entry, default 7 days.
 * - `maxLogLength`: how many invalidations the log keeps, default 20 000. A process that starts knows what is stored as far
 *   back as the log reaches.
 * - `required`: whether to fail when Redis cannot be used at first, default `false`: then results are computed until it can.
 * - `compressFrom`: the smallest entry in bytes that is compressed, default 32 KiB. Compressing takes longer than sending on a
 *   fast network; where memory or the network is scarce, take less.
 * - `storeTimeout`, `onEvent`: as for {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RedisCacheOptions extends Options {
  readonly namespace?: string | undefined
  readonly maxStaleness?: Duration.Input | undefined
  readonly memory?: Store.MemoryOptions | false | undefined
  readonly lease?:
    | { readonly duration?: Duration.Input | undefined; readonly waitAtMost?: Duration.Input | undefined }
    | false
    | undefined
  readonly maxLifetime?: Duration.Input | undefined
  readonly maxLogLength?: number | undefined
  readonly required?: boolean | undefined
  readonly compressFrom?: number | undefined
}

/**
 * Options of {@link layerRedis}: where Redis is, and the rest.
 *
 * **Details**
 *
 * - `url`: as for `RedisClient.layer`. Or:
 * - `client`: a client of ioredis 6 that the program has already, a `Redis` or a `Cluster`. It is used as it is, and never closed.
 * - `commandTimeout`: the longest that Redis may delay anything, default 1 second. When the layer is built, the first connection
 *   is waited for up to 5 seconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface RedisOptions extends RedisCacheOptions {
  readonly url?: string | Redacted.Redacted | undefined
  readonly client?: Driver | undefined
  readonly commandTimeout?: Duration.Input | undefined
}

/**
 * The cache over Redis, for many processes: memory in front, Redis behind, and an invalidation log and leases that all
 * processes share. No route changes.
 *
 * **Details**
 *
 * It needs the package `ioredis`, which nothing else here loads. Fails with a `CacheError` of reason `DefinitionError` for a URL
 * or an option that cannot be used, or where `ioredis` is not installed, and of reason `ServerError` or `LogError` if Redis is
 * `required` and cannot be used.
 *
 * **Example** (Two processes, one cache)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { Cached, invalidate, ResultCache } from "effect-cached"
 *
 * const Redis = ResultCache.layerRedis({ url: process.env.REDIS_URL, namespace: "docs:two" })
 *
 * let population = 100
 * const city = Cached.make("city", { success: Schema.Number, deps: () => ["city"] }, () => Effect.sync(() => population))
 *
 * const program = Effect.gen(function*() {
 *   // Each would be a process of its own.
 *   const here = yield* Layer.build(Layer.fresh(Redis))
 *   const there = yield* Layer.build(Layer.fresh(Redis))
 *   const cityHere = yield* Effect.provide(city, here)
 *   const cityThere = yield* Effect.provide(city, there)
 *   const before = [yield* cityHere(), yield* cityThere()]
 *   population = 200
 *   yield* Effect.provide(invalidate("city"), there)
 *   return [before, yield* cityThere()]
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => [[100, 100], 200]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRedis = (options: RedisOptions): Layer.Layer<ResultCache, CacheError.CacheError> =>
  Layer.unwrap(Effect.map(
    // Only now, so that who does not use Redis needs no driver for it.
    Effect.tryPromise({
      try: () => import("./RedisCache.ts"),
      catch: (cause) =>
        definitionError("ResultCache.layerRedis", `it needs ioredis 6: npm install ioredis (${describe(cause)})`)
    }),
    ({ layerClient }) => layerClient(options)
  ))

/**
 * As {@link layerRedis}, with options from `Config`.
 *
 * **Example** (The URL from the environment)
 *
 * ```ts import.meta.vitest
 * import { Config, Effect, Schema } from "effect"
 * import { Cached, ResultCache } from "effect-cached"
 *
 * const Redis = ResultCache.layerRedisConfig({
 *   url: Config.Redacted("REDIS_URL"),
 *   namespace: Config.succeed("docs:config")
 * })
 *
 * const program = Effect.gen(function*() {
 *   const answer = yield* Cached.make("answer", { success: Schema.Number }, () => Effect.succeed(42))
 *   return yield* answer()
 * }).pipe(Effect.provide(Redis))
 *
 * await Effect.runPromise(program) // => 42
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRedisConfig = (
  options: Config.Wrap<RedisOptions>
): Layer.Layer<ResultCache, CacheError.CacheError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layerRedis))

/**
 * Ends every entry that carries one of the tags or anything below it.
 *
 * **Details**
 *
 * Several tags are one record, atomic for readers. Once this succeeds, no reader of this process gets a value that was
 * computed before. Fails with a `CacheError` of reason `TagError` or `LogError`.
 *
 * **Example** (A value is computed anew)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached, CacheLive, invalidate, tag } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   let population = 100
 *   const city = yield* Cached.make(
 *     "population",
 *     { input: { id: Schema.Number }, success: Schema.Number, deps: ({ id }) => [tag`city:${id}`] },
 *     () => Effect.sync(() => population)
 *   )
 *   const first = yield* city({ id: 7 })
 *   population = 200
 *   const second = yield* city({ id: 7 })
 *   yield* invalidate(tag`city:${7}`)
 *   return [first, second, yield* city({ id: 7 })]
 * }).pipe(Effect.provide(CacheLive))
 *
 * await Effect.runPromise(program) // => [100, 100, 200]
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const invalidate = (
  ...tags: ReadonlyArray<Tag.Input>
): Effect.Effect<void, CacheError.CacheError, ResultCache> => ResultCache.use((cache) => cache.invalidate(tags))

/**
 * Ends every entry of the cache. Computations that run meanwhile are not retained.
 *
 * **Example** (Everything is computed anew)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached, CacheLive, clear } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   let computed = 0
 *   const count = yield* Cached.make("count", { success: Schema.Number }, () => Effect.sync(() => ++computed))
 *   yield* count()
 *   yield* clear
 *   return yield* count()
 * }).pipe(Effect.provide(CacheLive))
 *
 * await Effect.runPromise(program) // => 2
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const clear: Effect.Effect<void, CacheError.CacheError, ResultCache> = ResultCache.use((cache) => cache.clear)

/**
 * Adds tags to the cached computation that runs, for what it only learns on its way. Outside one it does nothing.
 *
 * **Example** (The members of a team)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { addDeps, Cached, CacheLive, invalidate, tag } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   let computed = 0
 *   const members = yield* Cached.make(
 *     "members",
 *     { input: { team: Schema.String }, success: Schema.Array(Schema.Number) },
 *     Effect.fnUntraced(function*() {
 *       computed++
 *       const ids = [7, 8]
 *       yield* addDeps(...ids.map((id) => tag`user:${id}`))
 *       return ids
 *     })
 *   )
 *   yield* members({ team: "red" })
 *   yield* invalidate(tag`user:${8}`)
 *   yield* members({ team: "red" })
 *   return computed
 * }).pipe(Effect.provide(CacheLive))
 *
 * await Effect.runPromise(program) // => 2
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const addDeps = (...tags: ReadonlyArray<Tag.Input>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const current = Context.getOrUndefined(fiber.context, CurrentFlight)
    if (current !== undefined) { for (const tag of tags) current.flight.addTag(tag) }
    return Effect.void
  })

/**
 * Says how long the result of the cached computation that runs may live, in place of what its definition says. Outside one it
 * does nothing.
 *
 * **Details**
 *
 * What is left out stays as the definition says; the last word counts. It never makes a result outlive the cached values
 * that it was computed from. A duration that is unusable costs the result its place in the store, and nothing else: it is
 * reported as an event `Rejected` of reason `policy`.
 *
 * **Example** (As long as its source says)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached, setLifetime } from "effect-cached"
 * import { CacheTest } from "effect-cached/testing"
 * import { TestClock } from "effect/testing"
 *
 * const program = Effect.gen(function*() {
 *   let asked = 0
 *   const rate = yield* Cached.make("rate", { success: Schema.Number }, Effect.fnUntraced(function*() {
 *     const source = { rate: ++asked, validForSeconds: 30 }
 *     yield* setLifetime({ timeToLive: `${source.validForSeconds} seconds` })
 *     return source.rate
 *   }))
 *   const before = [yield* rate(), yield* rate()]
 *   yield* TestClock.adjust("30 seconds")
 *   return [...before, yield* rate()]
 * }).pipe(Effect.provide(CacheTest.layer), Effect.provide(TestClock.layer()))
 *
 * await Effect.runPromise(program) // => [1, 1, 2]
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const setLifetime = (lifetime: CachePolicy.Lifetime): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const current = Context.getOrUndefined(fiber.context, CurrentFlight)
    return current === undefined ? Effect.void : Effect.matchEffect(ownLifetime("setLifetime", lifetime), {
      onFailure: (error) => Effect.sync(() => void (current.flight.badLifetime ??= error)),
      onSuccess: (own) => Effect.sync(() => void (current.flight.own = { ...current.flight.own, ...own }))
    })
  })

/**
 * Has the result of the cached computation that runs not stored. Outside one it does nothing.
 *
 * **Details**
 *
 * All who wait for it get it, and the next call computes again. What another cached computation makes of it is not stored
 * either.
 *
 * **Example** (A partial answer)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached, CacheLive, doNotStore } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   let attempts = 0
 *   const report = yield* Cached.make("report", { success: Schema.String }, Effect.fnUntraced(function*() {
 *     const isComplete = ++attempts > 1
 *     if (!isComplete) yield* doNotStore
 *     return isComplete ? "complete" : "partial"
 *   }))
 *   return [yield* report(), yield* report(), yield* report(), attempts]
 * }).pipe(Effect.provide(CacheLive))
 *
 * await Effect.runPromise(program) // => ["partial", "complete", "complete", 2]
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const doNotStore: Effect.Effect<void> = Effect.withFiber((fiber) => {
  const current = Context.getOrUndefined(fiber.context, CurrentFlight)
  if (current !== undefined) current.flight.optedOut = true
  return Effect.void
})

/**
 * Runs an effect without making the cached values that it reads dependencies of the computation that runs: neither
 * their tags nor their lifetimes are taken over.
 *
 * **Example** (A report that may show an old name)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached, CacheLive, invalidate, untracked } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   let name = "Ada"
 *   const user = yield* Cached.make(
 *     "user",
 *     { success: Schema.String, deps: () => ["user"] },
 *     () => Effect.sync(() => name)
 *   )
 *   const report = yield* Cached.make("report", { success: Schema.String }, () => untracked(Effect.orDie(user())))
 *   yield* report()
 *   name = "Grace"
 *   yield* invalidate("user")
 *   return [yield* user(), yield* report()]
 * }).pipe(Effect.provide(CacheLive))
 *
 * await Effect.runPromise(program) // => ["Grace", "Ada"]
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const untracked = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(effect, (context: Context.Context<R>) => {
    const current = Context.getOrUndefined(context, CurrentFlight)
    return current === undefined ? context : Context.add(context, CurrentFlight, { ...current, tracked: false })
  })
