/**
 * Waiting for flights: who is counted as a waiter also leaves, and the last one to leave ends a flight that is not held.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { isServable } from "./aging.ts"
import type { Flight, Landing } from "./flight.ts"
import type { Departure } from "./flying.ts"
import type { Judge } from "./judge.ts"
import { landed } from "./landing.ts"
import type { Lookup } from "./lookup.ts"
import { plain } from "./policy.ts"

/** One lookup, who asks, and how to wait for it. */
export interface Asking extends Departure {
  readonly draw: () => number
  readonly restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

interface Parts {
  readonly judge: Pick<Judge, "isValid">
  readonly retire: (flight: Flight) => void
  readonly now: () => number
}

export const makeWaiting = ({ judge: { isValid }, now, retire }: Parts) => {
  // Waits as one who is counted among the waiters already.
  const wait = (flight: Flight, asking: Asking, deferred: Flight["deferred"]): Effect.Effect<Landing> => {
    const landed = waitToLand(flight, asking, deferred)
    const { request, restore } = asking
    if (request.durable !== true) return landed
    return Effect.flatMap(landed, (landing) =>
      flight.final === undefined
        ? Effect.map(restore(Fiber.await(flight.fiber!)), () => flight.final ?? landing)
        : Effect.succeed(flight.final))
  }

  const waitToLand = (
    flight: Flight,
    asking: Asking,
    deferred: Flight["deferred"]
  ): Effect.Effect<Landing> => {
    if (flight.landing !== undefined) return Effect.succeed(flight.landing)
    const waiting = asking.current?.flight
    waiting?.startWaitingFor(flight)
    return Effect.onExit(asking.restore(landingOf(flight, asking, deferred)), () => {
      waiting?.stopWaitingFor(flight)
      flight.waiters--
      if (flight.waiters > 0 || flight.landing !== undefined || (flight.held && isServed(flight, asking))) {
        return Effect.void
      }
      // The last one leaves. Nobody may join any more while the computation is being interrupted.
      flight.abandoned = true
      retire(flight)
      return Fiber.interrupt(flight.fiber!)
    })
  }

  // Who has waited for long is served what is stale, where there is something, and the flight goes on.
  const landingOf = (
    flight: Flight,
    asking: Asking,
    deferred: Flight["deferred"]
  ): Effect.Effect<Landing> => {
    const { request } = asking
    const landing = Effect.flatMap(
      Deferred.await(deferred),
      (landing) =>
        landing.exit === undefined && flight.landing === undefined && isRefused(landing, request)
          ? Deferred.await(flight.deferred)
          : Effect.succeed(landing)
    )
    const { softTimeout } = request.policy ?? plain
    if (softTimeout === Infinity || request.fresh === true || request.durable === true) return landing
    const late = (): Effect.Effect<Landing> => {
      if (flight.landing !== undefined) return landing
      if (isServed(flight, asking)) {
        flight.held = true
        return Effect.succeed(landed(flight.stale!, flight.since, "slow"))
      }
      // What the store has is not known before it has answered.
      return flight.found
        ? landing
        : Effect.flatMap(
          Effect.raceFirst(landing, flight.awaitFound()),
          (landing) => landing === undefined ? late() : Effect.succeed(landing)
        )
    }
    return Effect.flatMap(
      Effect.timeoutOption(landing, softTimeout),
      Option.match({ onSome: Effect.succeed, onNone: late })
    )
  }

  // Whether something stale is served for a flight now.
  const isServed = ({ stale }: Flight, { request }: Asking): boolean =>
    stale !== undefined && isValid(stale, request.fingerprint) && isServable(stale, now())

  return wait
}

// Who wants a result to be stored, or computed anew, waits on when others are let go with what there was.
const isRefused = ({ stale }: Landing, { durable, fresh }: Lookup): boolean =>
  fresh === true || (durable === true && stale !== undefined)
