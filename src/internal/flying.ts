/**
 * Flights from their start to their landing: they look into the store, wait for a lease where there is one, compute, and store.
 *
 * Invariants:
 * - A flight is in the map before it runs and leaves it by identity, once, and before anyone hears of its landing.
 * - The position that its result is stamped with was read before the computation started, in the same step.
 * - The computation runs in the cache's scope, with a scope of its own that is never its caller's.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { isServable, neverEarly, stageOf } from "./aging.ts"
import type { BackOff } from "./backOff.ts"
import { awaitTurn, type Lease } from "./elsewhere.ts"
import { timeoutError } from "./errors.ts"
import { airborne, CurrentFlight, doubters, Flight, type Landing, landings } from "./flight.ts"
import { traced } from "./guard.ts"
import type { Judge } from "./judge.ts"
import { landed, settled } from "./landing.ts"
import type { Lookup } from "./lookup.ts"
import { type Moment, momentOf } from "./moment.ts"
import { plain, type Policy } from "./policy.ts"
import type { Finding, Got, Shelf } from "./shelf.ts"
import { spanOf } from "./span.ts"

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
  readonly behind?: CacheEvent.Because | undefined
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
  judge: { isValid, whyNot },
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
      computed
    )
    if (stale !== undefined) {
      flight.stale = stale
      flight.because = whyNot(stale, request)
    }
    if (behind !== undefined) {
      flight.held = true
      flight.because = behind
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
      if (!flight.held) flight.because = whyNot(store.peek(request.key), request)
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
    if (isPutOff && (stage === "stale" || stage === "fallback")) {
      finish(flight, landed(entry, flight.since, "back-off"))
      return Effect.succeed(true)
    }
    if (stage === "early") {
      used(entry)
      tellHit(entry.key)
      flight.release(landed(entry, flight.since))
    }
    if (stage === "stale") flight.release(landed(entry, flight.since, "revalidating"))
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
    tellHit(entry.key)
    const landing = landed(entry, flight.since)
    if (request.durable !== true || !entry.unsaved) return finish(flight, landing)
    const result = yield* shelf.put(entry, true)
    const error = Result.isFailure(result) ? result.failure : undefined
    finish(flight, { ...landing, stored: !entry.unsaved, error })
  })

  const compute = Effect.fnUntraced(function*(flight: Flight, request: Lookup, give: Give | undefined) {
    const { policy = plain } = request
    const random = yield* Random.Random
    const started = clock.currentTimeMillisUnsafe()
    tell(CacheEvent.Miss({ key: request.key, because: flight.because }))
    const exit = yield* Effect.exit(
      traced("effect-cached.compute", request.key, Effect.scoped(limited(request, policy, flight)))
    )
    if (landings.depth > maxStacked) yield* Effect.yieldNow
    if (Exit.isFailure(exit)) {
      return finish(flight, settled(flight, exit, { fallback: fallbackFor(flight, request, exit) }))
    }
    const { body, error, failure, head, key = request.key, rejected, unwell, value } = exit.value
    const computed = failure ?? Exit.succeed(value)
    const { position, tags } = flight
    const ended = clock.currentTimeMillisUnsafe()
    const span = spanOf({
      policy,
      computed: exit.value,
      own: flight.own,
      started,
      ended,
      readsEnd: flight.expiresAt,
      draw: () => random.nextDoubleUnsafe()
    })
    const entry = body === undefined ? undefined : new CacheEntry.CacheEntry({
      key,
      fingerprint: request.fingerprint,
      body,
      head,
      tags,
      position,
      failed: failure !== undefined,
      ...(span ?? { createdAt: ended, expiresAt: ended, terms: undefined })
    })
    const fallback = failure === undefined && unwell !== true ? undefined : fallbackFor(flight, request, computed)
    if (fallback !== undefined) return finish(flight, settled(flight, computed, { entry, fallback }))
    backOff.succeeded(request.key)
    const reject = (rejected: CacheEvent.RejectedReason, error: CacheError.CacheError | undefined) => {
      tell(CacheEvent.Rejected({ key, reason: rejected, error }))
      finish(flight, settled(flight, computed, { entry, rejected, error }))
    }
    if (entry === undefined || rejected !== undefined) return reject(rejected ?? "result", error)
    if (flight.problem !== undefined) return reject("tag", flight.problem)
    if (flight.badLifetime !== undefined) return reject("policy", flight.badLifetime)
    // By identity, because a computation that was started after this one may have the same position.
    if (flights.get(request.key) !== flight) return reject("superseded", undefined)
    if (!log.isCurrent()) return reject("silent-log", undefined)
    if (!graph.isValid(entry)) return reject("invalidated", undefined)
    if (span === undefined) return reject("no-lifetime", undefined)
    if (request.noStore === true || flight.optedOut) return reject("opt-out", undefined)
    const set = shelf.put(entry, request.durable === true)
    // A store outside this process is told first and not waited for. The flight stays until it has answered, for those who come.
    const telling = store.remote ? yield* Effect.forkChild(set, { startImmediately: true }) : undefined
    if (telling !== undefined) flight.land(settled(flight, computed, { entry }))
    const result = yield* telling === undefined ? set : Fiber.join(telling)
    if (Result.isFailure(result)) return finish(flight, settled(flight, computed, { entry, error: result.failure }))
    if (result.success !== "stored") return reject(result.success, undefined)
    give?.("stored")
    tell(CacheEvent.Stored({ key, tags, expiresAt: entry.expiresAt }))
    finish(flight, settled(flight, computed, { entry, stored: true }))
  })

  // What may be served in place of a failure, which is reported and not tried again for a while. That everyone has left is none.
  const fallbackFor = (
    flight: Flight,
    { fingerprint, key, policy = plain }: Lookup,
    exit: Exit.Exit<unknown, unknown>
  ): CacheEntry.CacheEntry | undefined => {
    const { stale } = flight
    const cause = Exit.isFailure(exit) ? exit.cause : Cause.empty
    if (stale === undefined || flight.abandoned) return undefined
    const isThere = isValid(stale, fingerprint) &&
      isServable(stageOf(stale, clock.currentTimeMillisUnsafe(), neverEarly))
    if (!isThere) return undefined
    backOff.failed(key, policy)
    tell(CacheEvent.RefreshFailed({ key, cause }))
    return stale
  }

  return {
    /** Those that run, and those that are still being stored. */
    flights,
    /** Takes a flight out, so that nobody joins it any more. */
    retire,
    /** Starts a flight. */
    start
  }
}

type Give = (ending: "stored" | "nothing") => void

// Whether an entry is another one than what is to be replaced, and newer.
const isBetter = (
  { stale }: Flight,
  entry: CacheEntry.CacheEntry | undefined
): entry is CacheEntry.CacheEntry =>
  entry !== undefined &&
  (stale === undefined || entry.position > stale.position || entry.createdAt > stale.createdAt)

// From its start, and with nothing of what comes before and after it: waiting for a lease, and storing.
const limited = (request: Lookup, { hardTimeout }: Policy, flight: Flight) => {
  const computation = request.compute(flight)
  return hardTimeout === Infinity ? computation : Effect.timeoutOrElse(computation, {
    duration: hardTimeout,
    orElse: () => Effect.fail(timeoutError(`Computing ${nameOf(request.key)}`, hardTimeout))
  })
}

const nameOf = (key: string): string => JSON.stringify(key.split("\t", 1)[0])

// A computation starts on the stack of its caller, and resumes who waits for it on its own. A long chain of keys that ask for
// one another goes on from a fresh stack now and then, on both ways.
const maxStacked = 16
