/**
 * Lookups: from what is asked to an answer, through what is held, what runs, and what is started.
 *
 * Invariant: whoever looks also acts. What follows a look into graph, store and flights is called, and not put into an effect
 * that something could come before.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { neverEarly, stageOf } from "./aging.ts"
import type { BackOff } from "./backOff.ts"
import { notCachedError, recursionError } from "./errors.ts"
import { CurrentFlight, type Flight, type Landing, takenOff } from "./flight.ts"
import type { Flying } from "./flying.ts"
import type { Judge } from "./judge.ts"
import { isUnsaved, landed } from "./landing.ts"
import type { Answer, Lookup } from "./lookup.ts"
import { elapsedSince, type Moment } from "./moment.ts"
import type { Got, Shelf } from "./shelf.ts"
import { type Asking, makeWaiting } from "./waiting.ts"

interface Parts {
  readonly store: { readonly remote: boolean }
  readonly graph: {
    readonly revision: () => number
    readonly isUntouched: (about: Flight | Landing) => boolean
  }
  readonly log: {
    readonly isCurrent: () => boolean
    readonly maxStaleness: number
    readonly catchUp: Effect.Effect<void, CacheError.CacheError>
  }
  readonly flying: Flying
  readonly shelf: Shelf
  readonly judge: Judge
  readonly backOff: BackOff
  readonly clock: Clock.Clock
  /** Notes that an entry was read that this process holds. */
  readonly used: (entry: CacheEntry.CacheEntry) => void
  readonly tell: (event: CacheEvent.CacheEvent) => void
  readonly tellHit: (key: string) => void
}

export const makeLookups = (
  { backOff, clock, flying, graph, judge, log, shelf, store, tell, tellHit, used }: Parts
) => {
  const { flights, retire, start } = flying
  const { held, isValid } = judge
  const now = () => clock.currentTimeMillisUnsafe()
  const wait = makeWaiting({ judge, now, retire })

  // Uninterruptible up to the wait itself: whoever is counted as a waiter also leaves.
  const lookup = (request: Lookup): Effect.Effect<Answer, CacheError.CacheError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber) => {
        const asking: Asking = {
          request,
          restore,
          current: Context.getOrUndefined(fiber.context, CurrentFlight),
          draw: () => fiber.getRef(Random.Random).nextDoubleUnsafe()
        }
        if (request.onlyIfCached === true) return cachedOnly(asking)
        if (request.fresh === true) return takeOff(asking, undefined, held(request))
        if (asking.current?.flight.doubts === true) return doubtfully(asking)
        return request.strong === true ? strongly(asking) : attempt(asking, true, undefined)
      })
    )

  // The log is asked for what it has by now, and the store in the same round trip. Where the log does not answer, nothing that
  // was there before is good enough, only a computation that was started later than this call.
  const strongly = (asking: Asking): Effect.Effect<Answer, CacheError.CacheError> => {
    const { key } = asking.request
    const arrival = takenOff.count
    const isNear = !store.remote || flights.has(key) || isHeld(asking.request)
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
      const again = () => takeOff(inDoubt(asking), undefined, undefined)
      return flight?.doubts === true && flight.number > arrival ? join(flight, asking, again) : again()
    })
  }

  const isHeld = (request: Lookup): boolean => {
    const entry = held(request)
    return entry !== undefined && judge.isGood(entry)
  }

  // Computes what this computation has not computed yet.
  const doubtfully = (asking: Asking): Effect.Effect<Answer, CacheError.CacheError> => {
    const known = alreadyComputed(asking)
    return known === undefined
      ? takeOff(inDoubt(asking), undefined, undefined)
      : join(known, asking, () => takeOff(inDoubt(asking), undefined, undefined))
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
    const { request } = asking
    const { durable, key } = request
    const entry = held(request)
    const flight = flights.get(key)
    // What is still being stored is no hit for who waits until it is. An early refresh replaces what is.
    const isStoring = entry?.unsaved === true || (flight !== undefined && flight.because !== "early")
    const isSettled = durable !== true || !isStoring
    const served = entry === undefined || !isSettled ? undefined : serve(entry, asking)
    if (served !== undefined) return Effect.succeed(served)
    const again = mayRepeat ? () => attempt(asking, false, undefined) : undefined
    if (flight !== undefined && mayJoin(flight)) {
      // What a store outside this process has given to the flight.
      const found = entry === undefined && isSettled && flight.stale !== undefined &&
          isValid(flight.stale, request.fingerprint)
        ? serve(flight.stale, asking)
        : undefined
      return found === undefined ? join(flight, asking, again) : Effect.succeed(found)
    }
    const known = log.isCurrent() ? undefined : alreadyComputed(asking)
    return known === undefined ? takeOff(asking, got, isSettled ? entry : undefined) : join(known, asking, again)
  }

  // Serves a valid entry at once, as far as its time allows, and has it computed anew behind that. Who wants a result to be
  // stored takes nothing that is over.
  const serve = (entry: CacheEntry.CacheEntry, asking: Asking): Answer | undefined => {
    const { durable, key, noStore } = asking.request
    const stage = stageOf(entry, now(), durable === true ? neverEarly : asking.draw)
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
    return asking.restore(Effect.gen(function*() {
      if (request.strong === true && Exit.isFailure(yield* Effect.exit(log.catchUp))) return yield* missing
      const near = inReach(held(request))
      if (near !== undefined) return near
      if (!store.remote || !log.isCurrent()) return yield* missing
      const { entry } = yield* shelf.find(request, undefined, neverEarly)
      return inReach(entry) ?? (yield* missing)
    }))
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
    if (request.noStore !== true) flight.unwanted = false
    current?.flight.computed?.set(request.key, flight)
    tell(CacheEvent.Joined({ key: request.key }))
    return Effect.flatMap(
      wait(flight, asking, flight.deferred),
      (landing) => {
        const instead = insteadOf(landing, asking)
        if (instead !== undefined) return Effect.succeed(instead)
        if (landing.stale !== undefined) return (again ?? (() => insist(asking)))()
        return again !== undefined && (!graph.isUntouched(landing) || (request.durable === true && isUnsaved(landing)))
          ? again()
          : Effect.succeed(answer("joined", landing, current))
      }
    )
  }

  // Something stale in place of what a flight has ended with, for who takes that. It may have been invalidated meanwhile.
  const insteadOf = (landing: Landing, asking: Asking): Answer | undefined => {
    const { durable, fingerprint, fresh } = asking.request
    if (fresh === true || durable === true) return undefined
    const stale = landing.stale === undefined
      ? landing.fallback ?? (landing.exit?._tag === "Failure" ? heldFallback(asking.request) : undefined)
      : landing.entry
    return stale !== undefined && isValid(stale, fingerprint)
      ? standIn(stale, landing.stale ?? "error", asking)
      : undefined
  }

  // Who was let go with something stale that it does not take has it computed, whatever happens meanwhile.
  const insist = (asking: Asking): Effect.Effect<Answer, CacheError.CacheError> =>
    takeOff({ ...asking, request: { ...asking.request, fresh: true } }, undefined, undefined)

  // For who joined a computation that was wanted anew, for which nothing was held.
  const heldFallback = (request: Lookup): CacheEntry.CacheEntry | undefined => {
    const entry = held(request)
    const stage = entry === undefined ? "over" : stageOf(entry, now(), neverEarly)
    return stage === "stale" || stage === "fallback" ? entry : undefined
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

  const takeOff = (
    asking: Asking,
    got: Got | undefined,
    stale: CacheEntry.CacheEntry | undefined
  ): Effect.Effect<Answer, CacheError.CacheError> => {
    const { current, request } = asking
    if (current?.flight.wouldWaitForItself(flights, request.key, undefined) === true) {
      return Effect.fail(recursionError(request.key))
    }
    const isOver = stale === undefined || stageOf(stale, now(), neverEarly) === "over"
    const flight = start(asking, { got, stale: isOver ? undefined : stale })
    return Effect.flatMap(wait(flight, asking, flight.first), (landing) => {
      const instead = insteadOf(landing, asking)
      if (instead !== undefined) return Effect.succeed(instead)
      if (landing.stale !== undefined) return insist(asking)
      const how = landing.exit !== undefined ? "miss" : landing.entry === undefined ? "elsewhere" : "hit"
      return Effect.succeed(answer(how, landing, current))
    })
  }

  return lookup
}

// What a lookup ends with. The computation that asked is made of it.
const answer = (how: Answer["how"], landing: Landing, current: Asking["current"]): Answer => {
  if (current !== undefined && current.tracked) {
    const { entry, exit, problem, rejected, started, tags } = landing
    // A value without an entry has no lifetime that could be taken over: what is made of it is not stored either.
    const isLasting = entry !== undefined && rejected !== "opt-out" && rejected !== "policy"
    const expiresAt = isLasting ? entry.expiresAt : exit !== undefined && Exit.isSuccess(exit) ? -Infinity : Infinity
    current.flight.addRead(tags, expiresAt, started, problem)
  }
  const { because, entry, error, exit, rejected, stale, stored } = landing
  return { how, because, stale, exit, entry, rejected, error, stored }
}

// Computes, and so does all that it asks for.
const inDoubt = (asking: Asking): Asking => ({
  ...asking,
  request: { ...asking.request, fresh: true },
  doubts: true
})
