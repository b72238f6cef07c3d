/**
 * What a flight does once nothing else is left: it computes, and stores what comes of that, or says why not.
 *
 * No generators here: where a computation is free, a miss is little more than these steps.
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
import type { EventBus } from "./eventBus.ts"
import { type Flight, type Landing, landings } from "./flight.ts"
import { traced } from "./guard.ts"
import type { Judge } from "./judge.ts"
import { settled } from "./landing.ts"
import type { Computed, Lookup } from "./lookup.ts"
import { plain } from "./policy.ts"
import type { Shelf } from "./shelf.ts"
import { type Span, spanOf } from "./span.ts"

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
  readonly tell: EventBus["tell"]
  readonly tellOften: EventBus["tellOften"]
}

/** Tells those who wait for a lease how it ended. */
export type Give = (ending: "stored" | "nothing") => void

/** A flight that has computed something. */
interface Ended {
  readonly flight: Flight
  readonly request: Lookup
  readonly give: Give | undefined
  /** What everyone is given who gets it from the flight. */
  readonly exit: Exit.Exit<unknown, unknown>
  readonly entry: CacheEntry.CacheEntry | undefined
}

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
  tell,
  tellOften
}: Parts) => {
  const compute = (flight: Flight, request: Lookup, give: Give | undefined): Effect.Effect<void> =>
    Effect.suspend(() => {
      const started = clock.currentTimeMillisUnsafe()
      flight.setFound()
      tellOften("Miss", () => CacheEvent.Miss({ key: request.key, because: flight.because }))
      const computation = traced("effect-cached.compute", request.key, Effect.scoped(limited(flight, request)))
      return Effect.flatMap(Effect.exit(computation), (exit) =>
        landings.depth > maxStacked
          ? Effect.flatMap(Effect.yieldNow, () => conclude(flight, request, give, started, exit))
          : conclude(flight, request, give, started, exit))
    })

  const conclude = (
    flight: Flight,
    request: Lookup,
    give: Give | undefined,
    started: number,
    computed: Exit.Exit<Computed, unknown>
  ): Effect.Effect<void> => {
    if (Exit.isFailure(computed)) {
      return land(flight, settled(flight, computed, { fallback: fallbackFor(flight, request, computed) }))
    }
    const { error, failure, key = request.key, rejected, unwell, value } = computed.value
    const exit = failure ?? Exit.succeed(value)
    const now = clock.currentTimeMillisUnsafe()
    const { policy = plain } = request
    const given = { policy, computed: computed.value, own: flight.own, started, ended: now, readsEnd: flight.expiresAt }
    const span = spanOf(given, drawHere)
    const entry = entryOf(flight, request, computed.value, span ?? { createdAt: now, expiresAt: now, terms: undefined })
    const isBad = unwell === true || failure !== undefined
    // A failure that has a lifetime is a result, where nothing says that what is stale is better than a failure.
    const isResult = failure !== undefined && span !== undefined && (flight.stale?.terms?.errorUntil ?? 0) <= now
    const fallback = isBad && !isResult ? fallbackFor(flight, request, exit) : undefined
    if (fallback !== undefined) return land(flight, settled(flight, exit, { entry, fallback }))
    backOff.succeeded(request.key)
    const ended: Ended = { flight, request, give, exit, entry }
    if (entry === undefined || rejected !== undefined) return reject(ended, key, rejected ?? "result", error)
    if (flight.problem !== undefined) return reject(ended, key, "tag", flight.problem)
    if (flight.badLifetime !== undefined) return reject(ended, key, "policy", flight.badLifetime)
    // By identity, because a computation that was started after this one may have the same position.
    if (!isOnly(flight)) return reject(ended, key, "superseded")
    if (!log.isCurrent()) return reject(ended, key, "silent-log")
    if (!graph.isValid(entry)) return reject(ended, key, "invalidated")
    if (span === undefined) return reject(ended, key, "no-lifetime")
    if (flight.unwanted || flight.optedOut) return reject(ended, key, "opt-out")
    return put(ended, entry)
  }

  const put = (ended: Ended, entry: CacheEntry.CacheEntry): Effect.Effect<void> => {
    const { exit, flight, give, request } = ended
    const set = shelf.put(entry, request.durable === true)
    const answered = (result: Effect.Success<typeof set>): Effect.Effect<void> => {
      if (Result.isFailure(result)) return land(flight, settled(flight, exit, { entry, error: result.failure }))
      if (result.success !== "stored") return reject(ended, entry.key, result.success)
      give?.("stored")
      tellOften("Stored", () => CacheEvent.Stored({ key: entry.key, tags: entry.tags, expiresAt: entry.expiresAt }))
      return land(flight, settled(flight, exit, { entry, stored: true }))
    }
    if (!store.remote) return Effect.flatMap(set, answered)
    // A store outside this process is told first and not waited for. The flight stays until it has answered, for those who come.
    return Effect.flatMap(Effect.forkChild(set, { startImmediately: true }), (telling) => {
      flight.land(settled(flight, exit, { entry }))
      return Effect.flatMap(Fiber.join(telling), answered)
    })
  }

  const reject = (
    { entry, exit, flight }: Ended,
    key: string,
    rejected: CacheEvent.RejectedReason,
    error?: CacheError.CacheError
  ): Effect.Effect<void> => {
    tell(CacheEvent.Rejected({ key, reason: rejected, error }))
    return land(flight, settled(flight, exit, { entry, rejected, error }))
  }

  const land = (flight: Flight, landing: Landing): Effect.Effect<void> => {
    finish(flight, landing)
    return Effect.void
  }

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

// From its start, and with nothing of what comes before and after it: waiting for a lease, and storing. Suspended, so that what
// the function throws is an end of the computation.
const limited = (flight: Flight, request: Lookup) => {
  const { hardTimeout } = request.policy ?? plain
  const computation = Effect.suspend(() => request.compute(flight, request))
  return hardTimeout === Infinity ? computation : Effect.timeoutOrElse(computation, {
    duration: hardTimeout,
    orElse: () => Effect.fail(timeoutError(`Computing ${nameOf(request.key)}`, hardTimeout))
  })
}

const nameOf = (key: string): string => JSON.stringify(key.split("\t", 1)[0])

const drawHere = (): number => Fiber.getCurrent()!.getRef(Random.Random).nextDoubleUnsafe()

const entryOf = (
  { position, tags }: Flight,
  request: Lookup,
  { age = 0, body, failure, head, key = request.key }: Computed,
  { createdAt, expiresAt, terms }: Span
): CacheEntry.CacheEntry | undefined => {
  if (body === undefined) return undefined
  const entry = new CacheEntry.CacheEntry({
    key,
    fingerprint: request.fingerprint,
    body,
    head: aged(head, age),
    tags,
    position,
    createdAt,
    expiresAt,
    failed: failure !== undefined,
    terms
  })
  entry.intact = true
  return entry
}

// Of two results of one position the one that was computed later stays, however old each was: so that is not counted as time.
const aged = (head: CacheEntry.ResponseHead | undefined, age: number): CacheEntry.ResponseHead | undefined => {
  if (head === undefined || (age === 0 && head.headers["age"] === undefined)) return head
  const { age: _, ...headers } = head.headers
  return { ...head, headers: age === 0 ? headers : { ...headers, age: String(age / 1000) } }
}

// A computation starts on the stack of its caller, and resumes who waits for it on its own. A long chain of keys that ask for
// one another goes on from a fresh stack now and then, on both ways.
export const maxStacked = 16
