/**
 * What a flight does once nothing else is left: it computes, and stores what comes of that, or says why not.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { isServable } from "./aging.ts"
import type { BackOff } from "./backOff.ts"
import { timeoutError } from "./errors.ts"
import { type Flight, type Landing, landings } from "./flight.ts"
import { traced } from "./guard.ts"
import type { Judge } from "./judge.ts"
import { settled } from "./landing.ts"
import type { Lookup } from "./lookup.ts"
import { plain, type Policy } from "./policy.ts"
import type { Shelf } from "./shelf.ts"
import { spanOf } from "./span.ts"

interface Parts {
  readonly store: { readonly remote: boolean }
  readonly graph: { readonly isValid: (entry: CacheEntry.CacheEntry) => boolean }
  readonly log: { readonly isCurrent: () => boolean }
  readonly shelf: Shelf
  readonly judge: Pick<Judge, "isValid">
  readonly clock: Clock.Clock
  readonly backOff: BackOff
  /** Whether no other flight has taken its place. */
  readonly isOnly: (flight: Flight) => boolean
  readonly finish: (flight: Flight, landing: Landing) => void
  readonly tell: (event: CacheEvent.CacheEvent) => void
}

/** Tells those who wait for a lease how it ended. */
export type Give = (ending: "stored" | "nothing") => void

export const makeComputing = ({
  backOff,
  clock,
  finish,
  graph,
  isOnly,
  judge: { isValid },
  log,
  shelf,
  store,
  tell
}: Parts) => {
  const compute = Effect.fnUntraced(function*(flight: Flight, request: Lookup, give: Give | undefined) {
    const { policy = plain } = request
    const random = yield* Random.Random
    const started = clock.currentTimeMillisUnsafe()
    flight.setFound()
    tell(CacheEvent.Miss({ key: request.key, because: flight.because }))
    const exit = yield* Effect.exit(
      traced("effect-cached.compute", request.key, Effect.scoped(limited(request, policy, flight)))
    )
    if (landings.depth > maxStacked) yield* Effect.yieldNow
    if (Exit.isFailure(exit)) {
      return finish(flight, settled(flight, exit, { fallback: fallbackFor(flight, request, exit) }))
    }
    const { age = 0, body, error, failure, key = request.key, rejected, unwell, value } = exit.value
    const head = aged(exit.value.head, age)
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
    const isBad = unwell === true || failure !== undefined
    // A failure that has a lifetime is a result, where nothing says that what is stale is better than a failure.
    const isResult = failure !== undefined && span !== undefined && (flight.stale?.terms?.errorUntil ?? 0) <= ended
    const fallback = isBad && !isResult ? fallbackFor(flight, request, computed) : undefined
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
    if (!isOnly(flight)) return reject("superseded", undefined)
    if (!log.isCurrent()) return reject("silent-log", undefined)
    if (!graph.isValid(entry)) return reject("invalidated", undefined)
    if (span === undefined) return reject("no-lifetime", undefined)
    if (flight.unwanted || flight.optedOut) return reject("opt-out", undefined)
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

  // What may be served in place of a failure, which is reported and not tried again for a while. Who wants a
  // result anew is told what has come of that.
  const fallbackFor = (
    flight: Flight,
    { fingerprint, fresh, key, policy = plain }: Lookup,
    exit: Exit.Exit<unknown, unknown>
  ): CacheEntry.CacheEntry | undefined => {
    const { stale } = flight
    const cause = Exit.isFailure(exit) ? exit.cause : Cause.empty
    if (stale === undefined || fresh === true) return undefined
    const isThere = isValid(stale, fingerprint) &&
      isServable(stale, clock.currentTimeMillisUnsafe())
    if (!isThere) return undefined
    backOff.failed(key, policy)
    tell(CacheEvent.RefreshFailed({ key, cause }))
    return stale
  }

  return compute
}

// Of two results of one position the one that was computed later stays, however old each was: so that is not counted as time.
const aged = (head: CacheEntry.ResponseHead | undefined, age: number): CacheEntry.ResponseHead | undefined => {
  if (head === undefined || (age === 0 && head.headers["age"] === undefined)) return head
  const { age: _, ...headers } = head.headers
  return { ...head, headers: age === 0 ? headers : { ...headers, age: String(age / 1000) } }
}

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
export const maxStacked = 16
