/**
 * The result cache: where store, dependency graph and invalidation log meet, and where computations run.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Broadcaster from "./Broadcaster.ts"
import * as CacheEntry from "./CacheEntry.ts"
import * as CacheError from "./CacheError.ts"
import * as CacheEvent from "./CacheEvent.ts"
import type * as CacheMetrics from "./CacheMetrics.ts"
import * as DependencyGraph from "./DependencyGraph.ts"
import type * as claims from "./internal/claims.ts"
import { makeClaims } from "./internal/claims.ts"
import { definitionError, describe, recursionError, tagError } from "./internal/errors.ts"
import { makeEventBus } from "./internal/eventBus.ts"
import { airborne, CurrentFlight, doubters, type Flight, type Landing, takenOff } from "./internal/flight.ts"
import { type Departure, makeFlying } from "./internal/flying.ts"
import { makeGuard } from "./internal/guard.ts"
import { isUnsaved, landed } from "./internal/landing.ts"
import { follow, makeForget } from "./internal/log.ts"
import type * as internal from "./internal/lookup.ts"
import { makeCounts, registerCounts } from "./internal/metrics.ts"
import { elapsedSince, type Moment } from "./internal/moment.ts"
import type { Driver } from "./internal/redis/driver.ts"
import { millis } from "./internal/settings.ts"
import { type Got, makeShelf } from "./internal/shelf.ts"
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
  /**
   * Answers from the store, from a computation that runs, or from one that is started. Failures of the computation are
   * in the answer; fails itself with a `CacheError` of reason `RecursionError` where a computation asks for its own
   * result.
   */
  readonly lookup: (lookup: Lookup) => Effect.Effect<Answer, CacheError.CacheError>
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
}>()("effect-cached/ResultCache") {}

/**
 * Options of a result cache.
 *
 * **Details**
 *
 * - `storeTimeout`: the longest that a store outside this process may delay an answer, default one second. What is to be stored
 *   durably, and a store that is cleared, may take up to a minute.
 * - `onEvent`: called synchronously for every event. What it throws is ignored.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
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
  const scope = yield* Scope.Scope
  const clock = yield* Clock.Clock
  const storeTimeout = yield* millis("ResultCache.storeTimeout", options?.storeTimeout ?? "1 second")
  const now = () => clock.currentTimeMillisUnsafe()
  const counts = makeCounts()
  yield* registerCounts(counts)
  const { events, tell, tellHit } = yield* makeEventBus(counts, options?.onEvent, now)
  yield* store.onRemoval(({ cause, key }) =>
    tell(cause === "evicted" ? CacheEvent.Evicted({ key }) : CacheEvent.Expired({ key }))
  )
  yield* follow(log, graph, tell)
  const forget = makeForget(log, graph, scope, tell)
  const lease = store.remote ? yield* Lease.Lease : undefined
  const guarded = yield* makeGuard(store.remote, storeTimeout, tell)

  const peek = (
    key: string,
    fingerprint: string,
    fiber?: Fiber.Fiber<unknown, unknown>
  ): CacheEntry.CacheEntry | undefined => {
    const doubts = fiber !== undefined && doubters.count > 0 &&
      Context.getOrUndefined(fiber.context, CurrentFlight)?.flight.doubts === true
    const entry = doubts ? undefined : store.peek(key)
    return entry !== undefined && mayServe(entry, fingerprint) ? entry : undefined
  }

  const mayServe = (entry: CacheEntry.CacheEntry, fingerprint: string): boolean =>
    entry.fingerprint === fingerprint && entry.unchecked === undefined && !isAhead(entry) && graph.isValid(entry) &&
    log.isCurrent() && scope.state._tag !== "Closed" &&
    (entry.expiresAt === Infinity || entry.expiresAt > now())

  // Of a log of this process there is nothing to catch up with.
  const isAhead = (entry: CacheEntry.CacheEntry): boolean => log.maxStaleness > 0 && entry.position > graph.position()

  const whyNot = (entry: CacheEntry.CacheEntry | undefined, { fingerprint, key }: Lookup): CacheEvent.Because => {
    if (entry === undefined || entry.key !== key) return "missing"
    if (entry.fingerprint !== fingerprint) return "changed"
    return entry.expiresAt <= now() ? "expired" : "invalidated"
  }

  const shelf = makeShelf(store, guarded, { mayServe, whyNot, isAhead, catchUp: log.catchUp }, tell)
  const { flights, retire, start } = makeFlying({
    store,
    graph,
    log,
    lease,
    shelf,
    scope,
    clock,
    whyNot,
    tell,
    tellHit
  })

  const took = (entry: CacheEntry.CacheEntry, fiber: Fiber.Fiber<unknown, unknown>): void => {
    if (airborne.count > 0) {
      const current = Context.getOrUndefined(fiber.context, CurrentFlight)
      if (current !== undefined && current.tracked) {
        current.flight.addRead(entry.tags, entry.expiresAt, undefined, undefined)
      }
    }
    tellHit(entry.key)
  }

  // Uninterruptible up to the wait itself: whoever is counted as a waiter also leaves.
  const lookup = (request: Lookup): Effect.Effect<Answer, CacheError.CacheError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber) => {
        const asking: Asking = { request, restore, current: Context.getOrUndefined(fiber.context, CurrentFlight) }
        if (request.fresh === true) return takeOff(asking, undefined)
        if (asking.current?.flight.doubts === true) return doubtfully(asking)
        return request.strong === true ? strongly(asking) : attempt(asking, true, undefined)
      })
    )

  // From here on, whoever has looked also acts: what follows a look into graph, store and flights is called, and not put into an
  // effect that something could come before.

  // The log is asked for what it has by now, and the store in the same round trip. Where the log does not answer, nothing that
  // was there before is good enough, only a computation that was started later than this call.
  const strongly = (asking: Asking): Effect.Effect<Answer, CacheError.CacheError> => {
    const { fingerprint, key } = asking.request
    const arrival = takenOff.count
    const isNear = !store.remote || flights.has(key) || peek(key, fingerprint) !== undefined
    const asked = Effect.gen(function*() {
      const getting = isNear ? undefined : yield* Effect.forkChild(shelf.get(key), { startImmediately: true })
      const heard = yield* Effect.exit(log.catchUp)
      if (getting === undefined) return { heard, got: undefined }
      if (Exit.isSuccess(heard)) return { heard, got: yield* Fiber.join(getting) }
      yield* Fiber.interrupt(getting)
      return { heard, got: undefined }
    })
    return Effect.flatMap(asking.restore(asked), ({ got, heard }) => {
      if (Exit.isSuccess(heard)) return attempt(asking, true, got)
      const flight = flights.get(key)
      const again = () => takeOff(inDoubt(asking), undefined)
      return flight?.doubts === true && flight.number > arrival ? join(flight, asking, again) : again()
    })
  }

  // Computes what this computation has not computed yet.
  const doubtfully = (asking: Asking): Effect.Effect<Answer, CacheError.CacheError> => {
    const known = alreadyComputed(asking)
    return known === undefined
      ? takeOff(inDoubt(asking), undefined)
      : join(known, asking, () => takeOff(inDoubt(asking), undefined))
  }

  // A computation that asks twice for the same, or through others, would be given it from the store if the log said anything.
  const alreadyComputed = ({ current, request }: Asking): Flight | undefined => {
    const known = current?.flight.computed?.get(request.key)
    if (known === undefined || known.owner !== flights || known.abandoned) return undefined
    const { landing } = known
    const isGood = landing === undefined
      ? graph.isUntouched(known)
      : graph.isUntouched(landing) && landing.exit?._tag === "Success"
    return isGood && (known.doubts || isRecent(known.oldest)) ? known : undefined
  }

  // A follower that finds its flight's result invalidated asks once more: the next flight started after it arrived, so
  // whatever that one ends with is acceptable.
  const attempt = (
    asking: Asking,
    mayRepeat: boolean,
    got: Got | undefined
  ): Effect.Effect<Answer, CacheError.CacheError> => {
    const { durable, fingerprint, key } = asking.request
    const entry = peek(key, fingerprint)
    const flight = flights.get(key)
    // What is still being stored is no hit for who waits until it is.
    if (entry !== undefined && !(durable === true && (flight !== undefined || entry.unsaved))) {
      tellHit(key)
      return Effect.succeed(answer("hit", landed(entry, graph.revision()), asking.current))
    }
    const again = mayRepeat ? () => attempt(asking, false, undefined) : undefined
    if (flight !== undefined && mayJoin(flight)) return join(flight, asking, again)
    const known = log.isCurrent() ? undefined : alreadyComputed(asking)
    return known === undefined ? takeOff(asking, got) : join(known, asking, again)
  }

  // `again` is for who finds, in the end, that the result was invalidated after the flight had started.
  const join = (
    flight: Flight,
    asking: Asking,
    again: (() => Effect.Effect<Answer, CacheError.CacheError>) | undefined
  ): Effect.Effect<Answer, CacheError.CacheError> => {
    const { current, request } = asking
    if (current?.flight.wouldWaitForItself(flights, request.key, flight) === true) {
      return Effect.fail(recursionError(request.key))
    }
    flight.waiters++
    flight.joined = true
    current?.flight.computed?.set(request.key, flight)
    tell(CacheEvent.Joined({ key: request.key }))
    return Effect.flatMap(
      wait(flight, asking),
      (landing) =>
        again !== undefined && (!graph.isUntouched(landing) || (request.durable === true && isUnsaved(landing)))
          ? again()
          : Effect.succeed(answer("joined", landing, current))
    )
  }

  // A flight that has landed may still be storing what it has. While the log is silent, nobody can tell what has become of
  // the data that a flight has read: it may be joined for as long as what is stored would be served.
  const mayJoin = (flight: Flight): boolean => {
    if (!log.isCurrent() && !isRecent(flight.oldest)) return false
    const { landing } = flight
    return landing === undefined
      ? graph.isUntouched(flight)
      : graph.isUntouched(landing) && (landing.entry === undefined || landing.entry.expiresAt > now())
  }

  const isRecent = (started: Moment | undefined): boolean =>
    started !== undefined && elapsedSince(clock, started) <= log.maxStaleness

  const takeOff = (asking: Asking, got: Got | undefined): Effect.Effect<Answer, CacheError.CacheError> => {
    const { current, request } = asking
    if (current?.flight.wouldWaitForItself(flights, request.key, undefined) === true) {
      return Effect.fail(recursionError(request.key))
    }
    const flight = start(asking, got)
    return Effect.map(
      wait(flight, asking),
      (landing) =>
        answer(
          landing.exit !== undefined ? "miss" : landing.entry === undefined ? "elsewhere" : "hit",
          landing,
          current
        )
    )
  }

  // Waits as one who is counted among the waiters already.
  const wait = (flight: Flight, asking: Asking): Effect.Effect<Landing> => {
    const landed = waitToLand(flight, asking)
    const { request, restore } = asking
    if (request.durable !== true) return landed
    return Effect.flatMap(landed, (landing) =>
      flight.final === undefined
        ? Effect.map(restore(Fiber.await(flight.fiber!)), () => flight.final ?? landing)
        : Effect.succeed(flight.final))
  }

  const waitToLand = (flight: Flight, { current, restore }: Asking): Effect.Effect<Landing> => {
    if (flight.landing !== undefined) return Effect.succeed(flight.landing)
    const waiting = current?.flight
    waiting?.startWaitingFor(flight)
    return Effect.onExit(restore(Deferred.await(flight.deferred)), () => {
      waiting?.stopWaitingFor(flight)
      flight.waiters--
      if (flight.waiters > 0 || flight.landing !== undefined) return Effect.void
      // The last one leaves. Nobody may join any more while the computation is being interrupted.
      flight.abandoned = true
      retire(flight)
      return Fiber.interrupt(flight.fiber!)
    })
  }

  // Everything has ended already. A large store goes on clearing after nobody waits for it any more.
  const clearStore = Effect.flatMap(
    Effect.forkIn(guarded("", "clear", () => store.clear, true), scope, { startImmediately: true }),
    (clearing) => Effect.asVoid(Effect.timeoutOption(Fiber.await(clearing), storeTimeout))
  )

  return ResultCache.of({
    invalidate: (tags) =>
      Effect.suspend(() => {
        for (const tag of tags) {
          const problem = tagProblem(tag)
          if (problem !== undefined) return Effect.fail(tagError(tag, problem))
        }
        return tags.length === 0 ? Effect.void : forget(tags)
      }),
    clear: Effect.andThen(forget([]), clearStore),
    events,
    counts: Effect.sync(() => ({ ...counts })),
    peek,
    took,
    lookup,
    entries: Stream.filter(store.entries, (entry) => !isAhead(entry) && graph.isValid(entry) && log.isCurrent()),
    flush: store.flush,
    remove: store.remove,
    discard: shelf.discard,
    claim: makeClaims(forget),
    forget,
    now
  })
})

/** One lookup, who asks, and how to wait for it. */
interface Asking extends Departure {
  readonly restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

// What a lookup ends with. The computation that asked is made of it.
const answer = (how: Answer["how"], landing: Landing, current: Asking["current"]): Answer => {
  if (current !== undefined && current.tracked) {
    const { entry, exit, problem, started, tags } = landing
    // A value without an entry has no lifetime that could be taken over: what is made of it is not stored either.
    const expiresAt = entry?.expiresAt ?? (exit !== undefined && Exit.isSuccess(exit) ? 0 : Infinity)
    current.flight.addRead(tags, expiresAt, started, problem)
  }
  const { because, entry, error, exit, rejected, stored } = landing
  return { how, because, exit, entry, rejected, error, stored }
}

// Computes, and so does all that it asks for.
const inDoubt = (asking: Asking): Asking => ({
  ...asking,
  request: { ...asking.request, fresh: true },
  doubts: true
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
