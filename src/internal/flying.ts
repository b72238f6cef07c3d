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
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheEvent from "../CacheEvent.ts"
import type { BackOff } from "./backOff.ts"
import { makeComputing, maxStacked } from "./computing.ts"
import type { Lease } from "./elsewhere.ts"
import type { EventBus } from "./eventBus.ts"
import { airborne, CurrentFlight, doubters, Flight, type Landing, type Origin, type Waiter } from "./flight.ts"
import type { Judge } from "./judge.ts"
import { settled } from "./landing.ts"
import type { Lookup } from "./lookup.ts"
import { type Moment, momentOf } from "./moment.ts"
import { Line, Place, Table } from "./passing.ts"
import { makeSearching } from "./searching.ts"
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
  /** Who waits for it, unless nobody does. It may be resumed before `start` returns. */
  readonly waiter?: Waiter | undefined
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
  readonly bus: EventBus
}

export type Flying = ReturnType<typeof makeFlying>

export const makeFlying = (
  { backOff, bus: { tell, tellHit, tellOften }, clock, graph, judge, lease, log, scope, shelf, store, used }: Parts
) => {
  const flights = new Table<Flight>()
  // They have no fiber that the scope would end.
  const looking = new Line<Place<Flight>>()

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
    tell,
    tellOften
  })

  // How old a flight is matters only where the log can fall silent.
  const startedNow = (): Moment | undefined => log.maxStaleness > 0 ? momentOf(clock) : undefined

  const { isFresh, reached, search } = makeSearching({
    graph,
    log,
    shelf,
    backOff,
    flights,
    compute,
    finish,
    startedNow,
    used,
    tell,
    tellHit
  })

  // Registered, started and observed in one step: from here on the flight lands and leaves the map, whatever happens.
  const start = ({ current, doubts, request }: Departure, { behind, got, stale, waiter }: Luggage): Flight => {
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
      flight.because = behind.because
    }
    computed?.set(request.key, flight)
    // Who comes after an invalidation does not stand behind the computation that was ended by it.
    const mayWait = flights.get(request.key) === undefined
    flights.set(request.key, flight)
    airborne.count++
    if (inDoubt) doubters.count++
    // The computation may ask for something before this returns: that its caller waits for it has to be known by then.
    if (waiter !== undefined) flight.board(waiter)
    // Who is served something stale does not stand behind the first steps of its computation, and a long chain of keys that ask for
    // one another goes on from a fresh stack.
    const isPutOff = behind !== undefined || flight.depth % maxStacked === maxStacked - 1
    const depart = (found: Got | Finding | undefined) => {
      const context = Context.add(request.context, CurrentFlight, { flight, tracked: true })
      const flying = fly(flight, request, found, mayWait)
      const run = Effect.withFiber<void>((fiber) => {
        // Before its first step, which may be what makes its last waiter leave.
        flight.fiber = fiber
        return isPutOff ? Effect.andThen(Effect.yieldNow, flying) : flying
      })
      const fiber = Effect.runForkWith(context)(run)
      // One that is interrupted before its first step does not take it.
      flight.fiber ??= fiber
      fiber.addObserver((exit) => end(flight, settled(flight, exit)))
      Fiber.runIn(fiber, scope)
    }
    const isAsked = store.remote && got === undefined && request.fresh !== true && request.durable !== true && !inDoubt
    if (isAsked && !isPutOff && log.isCurrent() && scope.state._tag !== "Closed") look(flight, request, depart)
    else depart(got)
    return flight
  }

  // The end of all that a flight does.
  const end = (flight: Flight, landing: Landing) => {
    airborne.count--
    if (flight.doubts) doubters.count--
    if (flight.final === undefined) finish(flight, landing)
  }

  // Most of what a store outside this process has is fresh and valid: no fiber is needed for that, only for what is not.
  const look = (flight: Flight, request: Lookup, depart: (found: Got | Finding) => void) => {
    const draw = () => Context.get(request.context, Random.Random).nextDoubleUnsafe()
    let place: Place<Flight> | undefined
    const stop = shelf.look(request.context, request.key, (got) => {
      if (place !== undefined) looking.leave(place)
      flight.stopLooking = undefined
      let finding: Finding | undefined
      let landing: Landing | undefined
      try {
        finding = shelf.judged(request, got, draw)
        if (finding !== undefined && isFresh(flight, finding)) landing = reached(flight, request, finding.entry)
      } catch {
        // It throws once more in the fiber that the flight departs with.
      }
      if (landing === undefined) return depart(finding ?? got)
      end(flight, landing)
    })
    if (flight.fiber !== undefined || flight.landing !== undefined) return
    const left = place = new Place(flight)
    looking.join(left)
    // By its name: V8 puts a function that is written where it is assigned to a property among what is old at once, and that keeps the
    // flight with its result until the next full collection.
    const stopLooking = () => {
      looking.leave(left)
      flight.stopLooking = undefined
      return Effect.andThen(stop(), Effect.sync(() => end(flight, settled(flight, Exit.interrupt()))))
    }
    flight.stopLooking = stopLooking
  }

  const fly = (
    flight: Flight,
    request: Lookup,
    found: Got | Finding | undefined,
    mayWait: boolean
  ): Effect.Effect<void> => {
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
      ? search(flight, request, found, undefined)
      : Effect.scopedWith((scope) => search(flight, request, found, { lease, scope }))
  }

  return {
    /** Those that run, and those that are still being stored. */
    flights,
    /** Takes a flight out, so that nobody joins it any more. */
    retire,
    /** Starts a flight. */
    start,
    /** Ends the flights that only look into the store. */
    stopLooking: Effect.suspend(() =>
      Effect.forEach(looking.members, ({ value }) => value.stopLooking?.() ?? Effect.void, {
        concurrency: "unbounded",
        discard: true
      })
    )
  }
}
