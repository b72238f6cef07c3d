/**
 * Flights from their start to their landing: they look into the store, wait for a lease where there is one, compute, and store.
 *
 * Invariants:
 * - A flight is in the map before it runs and leaves it by identity, once, and before anyone hears of its landing.
 * - The position that its result is stamped with was read before the computation started, in the same step.
 * - The computation runs in the cache's scope, with a scope of its own that is never its caller's.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type * as CacheEntry from "../CacheEntry.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { neverEarly } from "./aging.ts"
import type { BackOff } from "./backOff.ts"
import { type Give, makeComputing, maxStacked } from "./computing.ts"
import { awaitTurn, type Lease } from "./elsewhere.ts"
import { airborne, CurrentFlight, doubters, Flight, type Landing, type Origin } from "./flight.ts"
import type { Judge } from "./judge.ts"
import { landed, settled } from "./landing.ts"
import type { Lookup } from "./lookup.ts"
import { type Moment, momentOf } from "./moment.ts"
import type { Finding, Got, Shelf } from "./shelf.ts"

/** What a flight is started for. */
export interface Departure {
  readonly request: Lookup
  /** The computation that asks, if it is one. */
  readonly current: CurrentFlight["Service"] | undefined
  /** Whether nothing may be read that was there before. */
  readonly doubts?: boolean | undefined
}

/** What a flight is started with. */
interface Luggage {
  /** What the store has given for its key already. */
  readonly got?: Got | undefined
  /** What is stored and valid, and is to be replaced. */
  readonly stale?: CacheEntry.CacheEntry | undefined
  /** Whether nobody waits for it. */
  readonly behind?: Behind | undefined
}

/** A flight that nobody waits for: why, and in which computation it was started, if in one. */
interface Behind {
  readonly because: CacheEvent.Because
  readonly origin: Origin | undefined
}

/** The parts of a cache that flights need. */
interface Parts {
  readonly store: {
    readonly remote: boolean
    readonly peek: (key: string) => CacheEntry.CacheEntry | undefined
  }
  readonly graph: {
    readonly position: () => number
    readonly revision: () => number
    readonly isValid: (entry: CacheEntry.CacheEntry) => boolean
  }
  readonly log: { readonly isCurrent: () => boolean; readonly maxStaleness: number }
  readonly lease: Lease | undefined
  readonly shelf: Shelf
  readonly scope: Scope.Scope
  readonly clock: Clock.Clock
  readonly backOff: BackOff
  readonly judge: Judge
  /** Notes that an entry was read that the store has just given. */
  readonly used: (entry: CacheEntry.CacheEntry) => void
  readonly tell: (event: CacheEvent.CacheEvent) => void
  readonly tellHit: (key: string) => void
}

export type Flying = ReturnType<typeof makeFlying>

export const makeFlying = ({
  backOff,
  clock,
  graph,
  judge,
  lease,
  log,
  scope,
  shelf,
  store,
  tell,
  tellHit,
  used
}: Parts) => {
  const flights = new Map<string, Flight>()

  const retire = (flight: Flight) => {
    if (flights.get(flight.key) === flight) flights.delete(flight.key)
  }

  // Out of the map before anyone hears of it: whoever asks again on being answered is not given the same answer again.
  const finish = (flight: Flight, landing: Landing) => {
    retire(flight)
    flight.final ??= landing
    flight.land(landing)
  }

  const compute = makeComputing({
    store,
    graph,
    log,
    shelf,
    judge,
    clock,
    backOff,
    isOnly: (flight) => flights.get(flight.key) === flight,
    finish,
    tell
  })

  // Registered, started and observed in one step: from here on the flight lands and leaves the map, whatever happens.
  const start = ({ current, doubts, request }: Departure, { behind, got, stale }: Luggage): Flight => {
    const parent = current?.flight
    const inDoubt = doubts === true || parent?.doubts === true
    const computed = parent?.computed ?? (inDoubt || !log.isCurrent() ? new Map<string, Flight>() : undefined)
    const flight = new Flight(
      flights,
      request.key,
      graph.position(),
      graph.revision(),
      parent,
      startedNow(),
      inDoubt,
      computed,
      behind?.origin
    )
    flight.unwanted = request.noStore === true
    if (stale !== undefined) {
      flight.stale = stale
      flight.because = judge.whyNot(stale, request)
    }
    if (behind !== undefined) {
      flight.held = true
      flight.waiters = 0
      flight.because = behind.because
    }
    computed?.set(request.key, flight)
    // Who comes after an invalidation does not stand behind the computation that was ended by it.
    const mayWait = !flights.has(request.key)
    flights.set(request.key, flight)
    const context = Context.add(request.context, CurrentFlight, { flight, tracked: true })
    // Who is served something stale does not stand behind the first steps of its computation either.
    const run = behind !== undefined || flight.depth % maxStacked === maxStacked - 1
      ? Effect.andThen(Effect.yieldNow, fly(flight, request, got, mayWait))
      : fly(flight, request, got, mayWait)
    airborne.count++
    if (inDoubt) doubters.count++
    // The computation may ask for something before this returns: that its caller waits for it has to be known by then.
    parent?.startWaitingFor(flight)
    flight.fiber = Effect.runForkWith(context)(run)
    parent?.stopWaitingFor(flight)
    flight.fiber.addObserver((exit) => {
      airborne.count--
      if (inDoubt) doubters.count--
      finish(flight, settled(flight, exit))
    })
    Fiber.runIn(flight.fiber, scope)
    return flight
  }

  // How old a flight is matters only where the log can fall silent.
  const startedNow = (): Moment | undefined => log.maxStaleness > 0 ? momentOf(clock) : undefined

  const fly = (flight: Flight, request: Lookup, got: Got | undefined, mayWait: boolean): Effect.Effect<void> => {
    if (request.fresh === true) {
      if (!flight.doubts) flight.because = "asked"
      return compute(flight, request, undefined)
    }
    if (!store.remote) {
      if (!flight.held) flight.because = judge.whyNot(store.peek(request.key), request)
      return compute(flight, request, undefined)
    }
    // While the log is silent, nothing of what is stored may be served.
    if (!log.isCurrent()) return compute(flight, request, undefined)
    return lease === undefined || !mayWait
      ? search(flight, request, got, undefined)
      : Effect.scopedWith((scope) => search(flight, request, got, { lease, scope }))
  }

  const search = Effect.fnUntraced(function*(
    flight: Flight,
    request: Lookup,
    got: Got | undefined,
    leased: { readonly lease: Lease; readonly scope: Scope.Scope } | undefined
  ) {
    const random = yield* Random.Random
    const found = yield* shelf.find(request, got, () => random.nextDoubleUnsafe())
    if (yield* offer(flight, request, found)) return
    flight.setFound()
    let give: Give | undefined
    if (leased !== undefined && found.answered && log.isCurrent()) {
      const better = Effect.map(
        shelf.find(request, undefined, neverEarly),
        ({ entry, stage }) => stage === "fresh" && isBetter(flight, entry) ? entry : undefined
      )
      const turn = yield* Scope.provide(
        awaitTurn(
          leased.lease,
          request.key,
          better,
          () => leave(flight, request),
          (error) => tell(CacheEvent.StoreFailed({ key: request.key, error }))
        ),
        leased.scope
      )
      if (turn._tag === "Left") return
      if (turn._tag === "Found") return yield* serve(flight, request, turn.entry)
      give = turn.give
      // It may have waited for long.
      flight.depart(graph.position(), graph.revision(), startedNow())
    }
    return yield* compute(flight, request, give)
  })

  // Serves what was found, as far as its time allows. Whether the flight has ended with that.
  const offer = (flight: Flight, request: Lookup, { because, entry, stage }: Finding): Effect.Effect<boolean> => {
    if (!isBetter(flight, entry)) {
      if (flight.stale === undefined) flight.because = because
      return Effect.succeed(false)
    }
    const isPutOff = backOff.isWaiting(request.key)
    if (stage === "fresh" || (stage === "early" && (isPutOff || request.durable === true))) {
      return Effect.as(serve(flight, request, entry), true)
    }
    flight.stale = stage === "over" ? undefined : entry
    flight.because = stage === "early" ? "early" : because
    if (request.durable === true) return Effect.succeed(false)
    // What is computed anew because of a key does not have that computed anew in turn.
    const isCircular = flight.parent?.comesFrom(flights, request.key) === true
    // Nor has who does not want its result stored.
    const isLeft = isCircular || (flight.unwanted && flight.parent?.isAlone !== true)
    if (isLeft && stage === "early") return Effect.as(serve(flight, request, entry), true)
    if ((isPutOff && (stage === "stale" || stage === "fallback")) || (isLeft && stage === "stale")) {
      finish(flight, landed(entry, flight.since, isPutOff ? "back-off" : "revalidating"))
      return Effect.succeed(true)
    }
    if (stage === "early") {
      used(entry)
      tellHit(entry.key)
      flight.release(landed(entry, flight.since))
    }
    // What is computed behind waits for what is new.
    if (stage === "stale" && flight.parent?.isAlone !== true) {
      flight.release(landed(entry, flight.since, "revalidating"))
    }
    // Who was let go does not stand behind the first steps of the computation.
    return Effect.as(Effect.yieldNow, false)
  }

  // Leaves the computation to another process, unless someone came to wait for it here. Who started it may be gone by then.
  const leave = (flight: Flight, request: Lookup): boolean => {
    if (request.patient !== false || flight.joined) return false
    finish(flight, settled(flight, undefined))
    return true
  }

  // What is only in memory is stored once more for who waits until it is.
  const serve = Effect.fnUntraced(function*(flight: Flight, request: Lookup, entry: CacheEntry.CacheEntry) {
    used(entry)
    backOff.succeeded(request.key)
    if (flight.waiters > 0) tellHit(entry.key)
    const landing = landed(entry, flight.since)
    if (request.durable !== true || !entry.unsaved) return finish(flight, landing)
    const result = yield* shelf.put(entry, true)
    const error = Result.isFailure(result) ? result.failure : undefined
    finish(flight, { ...landing, stored: !entry.unsaved, error })
  })

  return {
    /** Those that run, and those that are still being stored. */
    flights,
    /** Takes a flight out, so that nobody joins it any more. */
    retire,
    /** Starts a flight. */
    start
  }
}

// Whether an entry is another one than what is to be replaced, and newer.
const isBetter = (
  { stale }: Flight,
  entry: CacheEntry.CacheEntry | undefined
): entry is CacheEntry.CacheEntry =>
  entry !== undefined &&
  (stale === undefined || entry.position > stale.position || entry.createdAt > stale.createdAt)
