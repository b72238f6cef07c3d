/**
 * Lookups: from what is asked to an answer, through what is held, what runs, and what is started.
 *
 * Invariant: whoever looks also acts. What follows a look into graph, store and flights is called, and not put into an effect
 * that something could come before. A fiber looks and acts while it registers one callback, with which it waits if it has to.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { neverEarly, stageOf } from "./aging.ts"
import { answer } from "./answer.ts"
import type { BackOff } from "./backOff.ts"
import { recursionError } from "./errors.ts"
import type { EventBus } from "./eventBus.ts"
import { CurrentFlight, type Flight, type Landing, takenOff } from "./flight.ts"
import type { Flying } from "./flying.ts"
import type { Judge } from "./judge.ts"
import { isUnsaved } from "./landing.ts"
import type { Answer, Lookup } from "./lookup.ts"
import { elapsedSince, type Moment } from "./moment.ts"
import { makeServing } from "./serving.ts"
import type { Got, Shelf } from "./shelf.ts"
import { type Answering, type Asking, type Finish, type Leave, makeWaiting, type Resume, type Then } from "./waiting.ts"

/** Looks and acts in one step. What is returned has to be run where the fiber is interrupted before it is resumed. */
type Act = (asking: Asking, resume: Resume) => Leave | void

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
  readonly bus: EventBus
}

export const makeLookups = ({ backOff, bus, clock, flying, graph, judge, log, shelf, store, used }: Parts) => {
  const { flights, retire, start } = flying
  const { held, isValid } = judge
  const now = () => clock.currentTimeMillisUnsafe()
  const waiting = makeWaiting({ judge, now, retire })
  const { cachedOnly, serve, standIn } = makeServing({
    store,
    graph,
    log,
    shelf,
    judge,
    backOff,
    now,
    flights,
    start,
    mayJoin: (flight) => mayJoin(flight),
    used,
    bus
  })

  const ask = (request: Lookup, finish: Finish): Answering =>
    Effect.callback((resume) => {
      // It registers itself.
      const fiber = Fiber.getCurrent()!
      const asking: Asking = { request, fiber, current: Context.getOrUndefined(fiber.context, CurrentFlight), finish }
      if (request.onlyIfCached === true) {
        return resume(Effect.flatMap(cachedOnly(asking), (answer) => finish(answer, request)))
      }
      if (request.fresh === true) return takeOff(asking, resume, undefined, held(request))
      if (asking.current?.flight.doubts === true) return doubtfully(asking, resume)
      return request.strong === true ? strongly(asking, resume) : attempt(asking, resume, true, undefined)
    })

  // The log is asked for what it has by now, and the store in the same round trip. Where the log does not answer, nothing that
  // was there before is good enough, only a computation that was started later than this call.
  const strongly = (asking: Asking, resume: Resume): Leave => {
    const { fiber: { context }, request } = asking
    const arrival = takenOff.count
    const isNear = !store.remote || flights.get(request.key) !== undefined || isHeld(request)
    let heard: Exit.Exit<void, CacheError.CacheError> | undefined
    let got: Got | undefined
    let stop: (() => Effect.Effect<void>) | undefined
    const goOn = () => {
      if (heard === undefined || (Exit.isSuccess(heard) && !isNear && got === undefined)) return
      const acted = Exit.isSuccess(heard)
        ? acting((asking, resume) => attempt(asking, resume, true, got), asking)
        : acting((asking, resume) => unheard(asking, arrival, resume), asking)
      resume(Exit.isSuccess(heard) || stop === undefined ? acted : Effect.andThen(stop(), acted))
    }
    // The log first: then both questions go out together.
    const asked = Effect.runForkWith(context)(log.catchUp)
    asked.addObserver((exit) => {
      heard = exit
      goOn()
    })
    // A log that fails at once has already led to a computation.
    if (!isNear && asked.pollUnsafe()?._tag !== "Failure") {
      stop = shelf.look(context, request.key, (given) => {
        got = given
        goOn()
      })
    }
    return Effect.suspend(() => Effect.andThen(Fiber.interrupt(asked), stop === undefined ? Effect.void : stop()))
  }

  const unheard = (asking: Asking, arrival: number, resume: Resume): Leave | void => {
    const flight = flights.get(asking.request.key)
    return flight?.doubts === true && flight.number > arrival
      ? join(flight, asking, resume, orComputed)
      : computed(asking, resume)
  }

  const computed: Act = (asking, resume) => takeOff(inDoubt(asking), resume)

  const isHeld = (request: Lookup): boolean => {
    const entry = held(request)
    return entry !== undefined && judge.isGood(entry)
  }

  // Computes what this computation has not computed yet.
  const doubtfully = (asking: Asking, resume: Resume): Leave | void => {
    const known = alreadyComputed(asking)
    return known === undefined ? computed(asking, resume) : join(known, asking, resume, orComputed)
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
  const attempt = (asking: Asking, resume: Resume, mayRepeat: boolean, got: Got | undefined): Leave | void => {
    const { request } = asking
    const { durable, key } = request
    const entry = held(request)
    const flight = flights.get(key)
    // What is still being stored is no hit for who waits until it is. An early refresh replaces what is.
    const isStoring = entry?.unsaved === true || (flight !== undefined && flight.because !== "early")
    const isSettled = durable !== true || !isStoring
    const served = entry === undefined || !isSettled ? undefined : serve(entry, asking)
    if (served !== undefined) return resume(finished(asking, served))
    const then = mayRepeat ? orRepeated : atLast
    if (flight !== undefined && mayJoin(flight)) {
      // What a store outside this process has given to the flight.
      const found = entry === undefined && isSettled && flight.stale !== undefined &&
          isValid(flight.stale, request.fingerprint)
        ? serve(flight.stale, asking)
        : undefined
      return found === undefined ? join(flight, asking, resume, then) : resume(finished(asking, found))
    }
    const known = log.isCurrent() ? undefined : alreadyComputed(asking)
    return known === undefined
      ? takeOff(asking, resume, got, isSettled ? entry : undefined)
      : join(known, asking, resume, then)
  }

  const join = (flight: Flight, asking: Asking, resume: Resume, then: Then): Leave | void => {
    const { current, request } = asking
    if (current?.flight.wouldWaitForItself(flights, request.key, flight) === true) {
      return resume(Effect.fail(recursionError(request.key)))
    }
    flight.joined = true
    if (request.noStore !== true) flight.unwanted = false
    current?.flight.computed?.set(request.key, flight)
    bus.tellOften("Joined", () => CacheEvent.Joined({ key: request.key }))
    return waiting.await(flight, asking, resume, then)
  }

  // `again` is for who finds, in the end, that the result was invalidated after the flight had started.
  const joined = (again: Act | undefined): Then => (landing, asking) => {
    const instead = insteadOf(landing, asking)
    if (instead !== undefined) return finished(asking, instead)
    if (landing.stale !== undefined) return acting(again ?? insist, asking)
    const { current, request: { durable } } = asking
    return again !== undefined && (!graph.isUntouched(landing) || (durable === true && isUnsaved(landing)))
      ? acting(again, asking)
      : finished(asking, answer("joined", landing, current))
  }
  const orRepeated = joined((asking, resume) => attempt(asking, resume, false, undefined))
  const orComputed = joined(computed)
  const atLast = joined(undefined)

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
  const insist: Act = (asking, resume) => takeOff({ ...asking, request: { ...asking.request, fresh: true } }, resume)

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
    resume: Resume,
    got?: Got,
    stale?: CacheEntry.CacheEntry
  ): Leave | void => {
    const { current, request } = asking
    if (current?.flight.wouldWaitForItself(flights, request.key, undefined) === true) {
      return resume(Effect.fail(recursionError(request.key)))
    }
    const isOver = stale === undefined || stageOf(stale, now(), neverEarly) === "over"
    return waiting.launch(
      asking,
      resume,
      started,
      (waiter) => start(asking, { got, stale: isOver ? undefined : stale, waiter })
    )
  }

  const started: Then = (landing, asking) => {
    const instead = insteadOf(landing, asking)
    if (instead !== undefined) return finished(asking, instead)
    if (landing.stale !== undefined) return acting(insist, asking)
    const how = landing.exit !== undefined ? "miss" : landing.entry === undefined ? "elsewhere" : "hit"
    return finished(asking, answer(how, landing, asking.current))
  }

  return ask
}

const finished = (asking: Asking, answer: Answer): Answering => asking.finish(answer, asking.request)

const acting = (act: Act, asking: Asking): Answering => Effect.callback((resume) => act(asking, resume))

// Computes, and so does all that it asks for.
const inDoubt = (asking: Asking): Asking => ({
  ...asking,
  request: { ...asking.request, fresh: true },
  doubts: true
})
