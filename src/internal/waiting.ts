/**
 * Waiting for flights: who is counted as a waiter also leaves, and the last one to leave ends a flight that is not held.
 *
 * Who waits is one object in its flight, and is made while its fiber registers a callback. So it is counted, and can be
 * interrupted, from the same step on: there is no mask, no finalizer and no `Deferred` for each of many thousand.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { isServable } from "./aging.ts"
import { maxStacked } from "./computing.ts"
import type { CurrentFlight, Flight, Landing, Waiter } from "./flight.ts"
import type { Judge } from "./judge.ts"
import { landed } from "./landing.ts"
import type { Answer, Lookup } from "./lookup.ts"
import { plain } from "./policy.ts"

/** One lookup, and who asks. */
export interface Asking {
  readonly request: Lookup
  /** The fiber that asks. */
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** The computation that asks, if it is one. */
  readonly current: CurrentFlight["Service"] | undefined
  /** What is made of the answer, in the step in which it is given. */
  readonly finish: Finish
  /** Whether nothing may be read that was there before. */
  readonly doubts?: boolean | undefined
}

/** Goes on with an answer. */
export type Finish = (answer: Answer, request: Lookup) => Answering

/** An answer, or what was made of it. */
export type Answering = Effect.Effect<unknown, unknown, any>

/** Goes on with an answer, or with what leads to one. */
export type Resume = (answering: Answering) => void

/** Run where a fiber is interrupted that waits. */
export type Leave = Effect.Effect<void>

/** What becomes of who has waited, made of what a flight gives. */
export type Then = (landing: Landing, asking: Asking) => Answering

interface Parts {
  readonly judge: Pick<Judge, "isValid">
  readonly retire: (flight: Flight) => void
  readonly now: () => number
}

export const makeWaiting = ({ judge: { isValid }, now, retire }: Parts) => {
  const wait = (waiter: Waiting, flight: Flight): Leave | void => {
    if (!flight.has(waiter)) return
    const { asking: { fiber, request } } = waiter
    const { softTimeout } = request.policy ?? plain
    if (softTimeout !== Infinity && request.fresh !== true && request.durable !== true) {
      const timer = Effect.runForkWith(fiber.context)(Effect.sleep(softTimeout))
      waiter.timer = timer
      timer.addObserver((exit) => {
        if (exit._tag === "Success") tire(flight, waiter, request)
      })
    }
    return Effect.suspend(() => {
      waiter.timer?.interruptUnsafe()
      return flight.leave(waiter) ? left(flight, request) : Effect.void
    })
  }

  const left = (flight: Flight, request: Lookup): Effect.Effect<void> => {
    if (flight.waiters > 0 || flight.landing !== undefined || (flight.held && isServed(flight, request))) {
      return Effect.void
    }
    // The last one leaves. Nobody may join any more while the computation is being interrupted.
    flight.abandoned = true
    retire(flight)
    if (flight.stopLooking !== undefined) return flight.stopLooking()
    // It only looks, and is being ended with its layer.
    if (flight.fiber === undefined) return Effect.void
    const interrupted = Fiber.interrupt(flight.fiber)
    // Of a chain of keys that ask for one another each is the last to leave the next: from a fresh stack now and then, on both ways.
    return flight.depth % maxStacked === maxStacked - 1
      ? Effect.andThen(Effect.yieldNow, Effect.andThen(interrupted, Effect.yieldNow))
      : interrupted
  }

  // Who is tired of waiting is served what is stale, where there is something, and the flight goes on.
  const tire = (flight: Flight, waiter: Waiter, request: Lookup): void => {
    if (!flight.has(waiter)) return
    if (isServed(flight, request)) {
      flight.held = true
      flight.leave(waiter)
      waiter.end(flight, landed(flight.stale!, flight.since, "slow"))
    } else if (!flight.found) {
      // What the store has is not known before it has answered.
      flight.onFound(() => tire(flight, waiter, request))
    }
  }

  // Whether something stale is served for a flight now.
  const isServed = ({ stale }: Flight, { fingerprint }: Lookup): boolean =>
    stale !== undefined && isValid(stale, fingerprint) && isServable(stale, now())

  return {
    /** Waits for a flight, and goes on with what `then` makes of its landing. */
    await: (flight: Flight, asking: Asking, resume: Resume, then: Then): Leave | void => {
      if (flight.landing !== undefined) return resume(untilStored(flight, asking, flight.landing, then))
      const waiter = new Waiting(asking, resume, then)
      flight.board(waiter)
      return wait(waiter, flight)
    },
    /** The same for a flight that is started with who waits in it: it may have landed by then. */
    launch: (asking: Asking, resume: Resume, then: Then, start: (waiter: Waiter) => Flight): Leave | void => {
      const waiter = new Waiting(asking, resume, then)
      return wait(waiter, start(waiter))
    }
  }
}

// One object and no closures: while many thousand wait, all that each of them holds is moved about by the collector.
class Waiting implements Waiter {
  readonly asking: Asking
  timer: Fiber.Fiber<unknown> | undefined = undefined
  line: object | undefined = undefined
  before: Waiter | undefined = undefined
  after: Waiter | undefined = undefined
  private readonly resume: Resume
  private readonly next: Then

  constructor(asking: Asking, resume: Resume, next: Then) {
    this.asking = asking
    this.resume = resume
    this.next = next
  }

  get inside(): Flight | undefined {
    return this.asking.current?.flight
  }

  takes(landing: Landing): boolean {
    return takes(this.asking.request, landing)
  }

  end(flight: Flight, landing: Landing): void {
    this.timer?.interruptUnsafe()
    this.resume(this.answering(flight, landing))
  }

  // What goes wrong there belongs to the fiber that asks.
  private answering(flight: Flight, landing: Landing): Answering {
    try {
      return untilStored(flight, this.asking, landing, this.next)
    } catch (defect) {
      return Effect.die(defect)
    }
  }
}

// Who wants a result to be stored, or computed anew, waits on when others are let go with what there was.
const takes = ({ durable, fresh }: Lookup, { stale }: Landing): boolean =>
  fresh !== true && (durable !== true || stale === undefined)

// Who wants a result to be stored waits until the store has answered. What was found in it is there: what becomes of the flight
// that replaces it is nothing to wait for.
const untilStored = (flight: Flight, asking: Asking, landing: Landing, then: Then): Answering => {
  if (asking.request.durable !== true) return then(landing, asking)
  if (flight.final !== undefined) return then(flight.final, asking)
  const isFound = flight.landing === undefined && landing.entry?.unsaved === false
  return isFound
    ? then(landing, asking)
    : Effect.flatMap(Fiber.await(flight.fiber!), () => then(flight.final ?? landing, asking))
}
