/**
 * Serving what is there: at once, as far as its time allows, and with what is computed behind it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { neverEarly, stageOf } from "./aging.ts"
import { answer } from "./answer.ts"
import type { BackOff } from "./backOff.ts"
import { notCachedError } from "./errors.ts"
import type { EventBus } from "./eventBus.ts"
import type { Flight } from "./flight.ts"
import type { Flying } from "./flying.ts"
import type { Judge } from "./judge.ts"
import { landed } from "./landing.ts"
import type { Answer } from "./lookup.ts"
import type { Shelf } from "./shelf.ts"
import type { Asking } from "./waiting.ts"

interface Parts {
  readonly store: { readonly remote: boolean }
  readonly graph: { readonly revision: () => number }
  readonly log: { readonly isCurrent: () => boolean; readonly catchUp: Effect.Effect<void, CacheError.CacheError> }
  readonly shelf: Shelf
  readonly judge: Judge
  readonly backOff: BackOff
  readonly now: () => number
  readonly flights: Flying["flights"]
  readonly start: Flying["start"]
  readonly mayJoin: (flight: Flight) => boolean
  readonly used: (entry: CacheEntry.CacheEntry) => void
  readonly bus: EventBus
}

export const makeServing = ({
  backOff,
  bus: { tell, tellHit },
  flights,
  graph,
  judge: { held },
  log,
  mayJoin,
  now,
  shelf,
  start,
  store,
  used
}: Parts) => {
  // Serves a valid entry at once, as far as its time allows, and has it computed anew behind that. Who wants a result to be
  // stored takes nothing that is over.
  const serve = (entry: CacheEntry.CacheEntry, asking: Asking): Answer | undefined => {
    const { durable, key, noStore } = asking.request
    const stage = stageOf(
      entry,
      now(),
      durable === true ? neverEarly : () => asking.fiber.getRef(Random.Random).nextDoubleUnsafe()
    )
    if (stage === "fresh" || stage === "early") {
      if (stage === "early" && noStore !== true && !backOff.isWaiting(key)) computeBehind(asking, entry, "early")
      used(entry)
      tellHit(key)
      return answer("hit", landed(entry, graph.revision()), asking.current)
    }
    const isPutOff = backOff.isWaiting(key)
    if (durable === true || (!isPutOff && waitsForNew(asking))) return undefined
    if (stage !== "stale" && !(stage === "fallback" && isPutOff)) return undefined
    if (!isPutOff && noStore !== true) computeBehind(asking, entry, "expired")
    return standIn(entry, isPutOff ? "back-off" : "revalidating", asking)
  }

  // What is computed behind waits for what is new, unless that waits for it: nobody waits for it, and it would be over itself.
  const waitsForNew = ({ current, request: { key } }: Asking): boolean => {
    const flight = current?.flight
    return flight?.isAlone === true && !flight.comesFrom(flights, key) &&
      !flight.wouldWaitForItself(flights, key, flights.get(key))
  }

  const standIn = (entry: CacheEntry.CacheEntry, stale: CacheEvent.StaleBecause, { current }: Asking): Answer => {
    used(entry)
    tell(CacheEvent.Stale({ key: entry.key, because: stale }))
    return answer("stale", landed(entry, graph.revision(), stale), current)
  }

  // Once, for all who are served meanwhile. It belongs to no computation that asks. What is computed anew because of a key does
  // not have that computed anew in turn: two that read each other would never end.
  const computeBehind = (
    { current, request }: Asking,
    stale: CacheEntry.CacheEntry,
    because: CacheEvent.Because
  ): void => {
    const flight = flights.get(request.key)
    const isRunning = flight !== undefined && mayJoin(flight)
    if (isRunning || current?.flight.comesFrom(flights, request.key) === true) return
    start({ request, current: undefined }, { stale, behind: { because, origin: current?.flight.origin } })
  }

  // Nothing is started, and nobody is waited for but the store.
  const cachedOnly = (asking: Asking): Effect.Effect<Answer, CacheError.CacheError> => {
    const { request } = asking
    const missing = Effect.fail(notCachedError(request.key))
    if (request.fresh === true || asking.current?.flight.doubts === true) return missing
    const inReach = (entry: CacheEntry.CacheEntry | undefined): Answer | undefined => {
      const stage = entry === undefined ? "over" : stageOf(entry, now(), neverEarly)
      if (entry === undefined || (stage !== "fresh" && stage !== "stale")) return undefined
      if (stage === "stale") return standIn(entry, "only-if-cached", asking)
      used(entry)
      tellHit(entry.key)
      return answer("hit", landed(entry, graph.revision()), asking.current)
    }
    return Effect.gen(function*() {
      if (request.strong === true && Exit.isFailure(yield* Effect.exit(log.catchUp))) return yield* missing
      const near = inReach(held(request))
      if (near !== undefined) return near
      if (!store.remote || !log.isCurrent()) return yield* missing
      const { entry } = yield* shelf.find(request, undefined, neverEarly)
      return inReach(entry) ?? (yield* missing)
    })
  }

  return { serve, standIn, cachedOnly }
}
