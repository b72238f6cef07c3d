/**
 * What a flight does with a store outside this process: it serves what it finds there, waits for a lease, or computes.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type * as CacheEntry from "../CacheEntry.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { neverEarly } from "./aging.ts"
import type { BackOff } from "./backOff.ts"
import type { Give } from "./computing.ts"
import { awaitTurn, type Lease } from "./elsewhere.ts"
import type { Flight, Landing } from "./flight.ts"
import { landed, settled } from "./landing.ts"
import type { Lookup } from "./lookup.ts"
import type { Moment } from "./moment.ts"
import type { Finding, Got, Shelf } from "./shelf.ts"

interface Parts {
  readonly graph: {
    readonly position: () => number
    readonly revision: () => number
  }
  readonly log: { readonly isCurrent: () => boolean }
  readonly shelf: Shelf
  readonly backOff: BackOff
  readonly flights: object
  readonly compute: (flight: Flight, request: Lookup, give: Give | undefined) => Effect.Effect<void>
  readonly finish: (flight: Flight, landing: Landing) => void
  readonly startedNow: () => Moment | undefined
  /** Notes that an entry was read that the store has just given. */
  readonly used: (entry: CacheEntry.CacheEntry) => void
  readonly tell: (event: CacheEvent.CacheEvent) => void
  readonly tellHit: (key: string) => void
}

export const makeSearching = (
  { backOff, compute, finish, flights, graph, log, shelf, startedNow, tell, tellHit, used }: Parts
) => {
  const search = Effect.fnUntraced(function*(
    flight: Flight,
    request: Lookup,
    known: Got | Finding | undefined,
    leased: { readonly lease: Lease; readonly scope: Scope.Scope } | undefined
  ) {
    // What was found was judged once: whether it is refreshed early is drawn.
    const found = known !== undefined && "stage" in known ? known : yield* find(request, known)
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

  const find = (request: Lookup, got: Got | undefined) =>
    Effect.flatMap(Random.Random, (random) => shelf.find(request, got, () => random.nextDoubleUnsafe()))

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

  const reached = (flight: Flight, request: Lookup, entry: CacheEntry.CacheEntry): Landing => {
    used(entry)
    backOff.succeeded(request.key)
    if (flight.waiters > 0) tellHit(entry.key)
    return landed(entry, flight.since)
  }

  // What is only in memory is stored once more for who waits until it is.
  const serve = Effect.fnUntraced(function*(flight: Flight, request: Lookup, entry: CacheEntry.CacheEntry) {
    const landing = reached(flight, request, entry)
    if (request.durable !== true || !entry.unsaved) return finish(flight, landing)
    const result = yield* shelf.put(entry, true)
    const error = Result.isFailure(result) ? result.failure : undefined
    finish(flight, { ...landing, stored: !entry.unsaved, error })
  })

  return {
    /** Looks into the store, waits for a lease, or computes. */
    search,
    /** The landing of a flight that found an entry which is fresh, and what is noted of that. */
    reached,
    /** Whether all there is to do about a finding is to serve it. */
    isFresh: (flight: Flight, finding: Finding): finding is Finding & { readonly entry: CacheEntry.CacheEntry } =>
      finding.stage === "fresh" && isBetter(flight, finding.entry)
  }
}

// Whether an entry is another one than what is to be replaced, and newer.
const isBetter = (
  { stale }: Flight,
  entry: CacheEntry.CacheEntry | undefined
): entry is CacheEntry.CacheEntry =>
  entry !== undefined &&
  (stale === undefined || entry.position > stale.position || entry.createdAt > stale.createdAt)
