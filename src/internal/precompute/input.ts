/**
 * One input of a domain: looked up as a live call would, and judged by what is stored then.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Stream from "effect/Stream"
import * as CacheEntry from "../../CacheEntry.ts"
import type * as CacheError from "../../CacheError.ts"
import type * as CacheEvent from "../../CacheEvent.ts"
import type { CachedFunction } from "../cachedFunction.ts"
import { canonicalUnsafe } from "../canonical.ts"
import type { Claim } from "../claims.ts"
import { notStoredError, releasedError } from "../errors.ts"
import { Flight } from "../flight.ts"
import type { Answer, Lookup, MakeLookup } from "../lookup.ts"
import { withVaried } from "../varied.ts"

/** What a run takes of a cache. */
export interface Cache {
  readonly lookup: (lookup: Lookup) => Effect.Effect<Answer, CacheError.CacheError>
  readonly entries: Stream.Stream<CacheEntry.CacheEntry, CacheError.CacheError>
  readonly remove: (key: string) => Effect.Effect<void, CacheError.CacheError>
  readonly flush: Effect.Effect<void, CacheError.CacheError>
  readonly forget: (tags: ReadonlyArray<string>) => Effect.Effect<void, CacheError.CacheError>
}

/** What a run takes of a cached function. The types of `varyBy` are in the signatures of `Precompute`. */
export interface Target {
  readonly fn: CachedFunction
  readonly cache: Cache
  readonly claim: Claim
  readonly varyBy: Effect.Effect<unknown, unknown, any> | undefined
  readonly request: MakeLookup
}

/** What became of an input: it was handled, or another process computes it and nobody waited for that. */
export type Outcome = Handled | { readonly _tag: "Elsewhere" }

export type Handled =
  | { readonly _tag: "Computed"; readonly because: CacheEvent.Because }
  | { readonly _tag: "Present"; readonly difference: Difference | undefined }
  | {
    readonly _tag: "Failed"
    readonly cause: Cause.Cause<unknown>
    /** Whether computing it again could help. */
    readonly passing: boolean
  }

/** What is stored and what was computed in its place, as JSON. */
export interface Difference {
  readonly stored: string
  readonly computed: string
}

interface Settings {
  readonly retry: Schedule.Schedule<unknown> | undefined
  readonly verify: number
  /** Nothing is computed again that would start then or later. */
  readonly deadline: number
  /** Whether to wait for what another process computes. */
  readonly patient: boolean
}

/** Handles one input; `passed` is told its key. */
export const handleInput = (
  target: Target,
  input: unknown,
  { deadline, patient, retry, verify }: Settings,
  passed: (key: string) => void
): Effect.Effect<Outcome, never, any> => {
  const handle = (again: boolean) => {
    const attempt = (patient: boolean) =>
      Effect.catchCause(
        Effect.flatMap(lookupOf(target, input, passed), (lookup) => ask(target, { ...lookup, patient }, again, true)),
        // What is released stays so.
        (cause) => Effect.succeed(failed(cause, !target.claim.released))
      )
    // What failed once is not put off: how often it is tried again is counted here.
    return retry === undefined ? attempt(patient) : repeated(attempt(patient), attempt(true), retry, deadline)
  }
  return verify === 0 ? handle(false) : Effect.flatMap(Random.next, (chance) => handle(chance < verify))
}

/** The key of an input, and what is asked of the cache for it. */
const lookupOf = (
  { claim, fn, request, varyBy }: Target,
  input: unknown,
  passed: (key: string) => void
): Effect.Effect<Lookup, unknown, any> =>
  claim.released
    ? Effect.fail(releasedError(fn.name))
    : Effect.flatMap(fn.keyed(input), ({ encoded, key }) => {
      passed(key)
      const lookup = (key: string, varied: unknown) =>
        Effect.withFiber((fiber) => Effect.succeed({ ...request(key, encoded, varied, fiber), durable: true }))
      return varyBy === undefined
        ? lookup(key, undefined)
        : Effect.flatMap(varyBy, (varied) => Effect.flatMap(withVaried(key, varied), (key) => lookup(key, varied)))
    })

const ask = (
  target: Target,
  lookup: Lookup,
  verify: boolean,
  mayRepeat: boolean
): Effect.Effect<Outcome, unknown> =>
  Effect.flatMap(target.cache.lookup(lookup), (answer) => {
    const { because, entry, error, exit, how, rejected, stored } = answer
    if (how === "elsewhere") return elsewhere
    if (exit === undefined && !stored) {
      return Effect.succeed(failed(Cause.fail(error ?? notStoredError(target.fn.name, rejected)), true))
    }
    if (exit === undefined && entry!.failed) {
      return Effect.map(failureOf(target, answer), (cause) => failed(cause, true))
    }
    if (exit === undefined) return verify ? verified(target, lookup, entry!) : present
    if (exit._tag === "Failure") return Effect.succeed(failed(exit.cause, true))
    if (stored) return Effect.succeed<Outcome>({ _tag: "Computed", because })
    const overtaken = rejected === "invalidated" || rejected === "superseded"
    if (overtaken && mayRepeat) return ask(target, lookup, verify, false)
    // A value that cannot be stored is not made storable by computing it once more.
    const passing = rejected === undefined || rejected === "silent-log" || overtaken
    return Effect.succeed(failed(Cause.fail(error ?? notStoredError(target.fn.name, rejected)), passing))
  })

// The failure that is stored.
const failureOf = ({ fn }: Target, answer: Answer): Effect.Effect<Cause.Cause<unknown>> =>
  Effect.map(
    Effect.exit(fn.resultOf(answer, (_, error) => Effect.fail(error)) as Effect.Effect<unknown, unknown>),
    (exit) => exit._tag === "Failure" ? exit.cause : Cause.empty
  )

const failed = (cause: Cause.Cause<unknown>, passing: boolean): Outcome => ({ _tag: "Failed", cause, passing })

const elsewhere = Effect.succeed<Outcome>({ _tag: "Elsewhere" })

const present = Effect.succeed<Outcome>({ _tag: "Present", difference: undefined })

// Computes past the cache what is there already, in a flight that nobody sees.
const verified = (
  { fn }: Target,
  lookup: Lookup,
  entry: CacheEntry.CacheEntry
): Effect.Effect<Outcome, unknown> => {
  const flight = new Flight({}, lookup.key, 0, 0, undefined)
  return Effect.map(
    Effect.provideContext(Effect.scoped(lookup.compute(flight, lookup)), lookup.context),
    ({ body, error, rejected }): Outcome => {
      if (typeof body !== "string") return failed(Cause.fail(error ?? notStoredError(fn.name, rejected)), false)
      const stored = CacheEntry.text(entry)
      return { _tag: "Present", difference: isSameJson(stored, body) ? undefined : { stored, computed: body } }
    }
  )
}

// A file that people edit may have its properties in another order.
const isSameJson = (one: string, other: string): boolean => {
  if (one === other) return true
  try {
    return canonicalUnsafe(JSON.parse(one)) === canonicalUnsafe(JSON.parse(other))
  } catch {
    return false
  }
}

const repeated = Effect.fnUntraced(function*(
  first: Effect.Effect<Outcome, never, any>,
  again: Effect.Effect<Outcome, never, any>,
  schedule: Schedule.Schedule<unknown>,
  deadline: number
) {
  let outcome = yield* first
  if (outcome._tag !== "Failed") return outcome
  const step = yield* Schedule.toStep(schedule)
  while (outcome._tag === "Failed" && outcome.passing) {
    const now = yield* Clock.currentTimeMillis
    const delay: number | undefined = yield* Effect.match(step(now, Cause.squash(outcome.cause)), {
      onFailure: () => undefined,
      onSuccess: ([, delay]) => Duration.toMillis(delay)
    })
    if (delay === undefined || now + delay >= deadline) return outcome
    yield* Effect.sleep(delay)
    outcome = yield* again
  }
  return outcome
})
