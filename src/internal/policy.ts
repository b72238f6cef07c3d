/**
 * Policies, checked: durations in milliseconds, with their defaults.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as CacheError from "../CacheError.ts"
import * as CachePolicy from "../CachePolicy.ts"
import { definitionError } from "./errors.ts"
import type { OwnLifetime } from "./flight.ts"
import { type Lifetime, lifetime, millis, shown } from "./settings.ts"

/** What a cache needs to know of a policy. Durations are milliseconds. */
export interface Policy {
  readonly jitter: number
  readonly timeToIdle: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly backOff: number
  readonly maxBackOff: number
  readonly softTimeout: number
  readonly hardTimeout: number
  /** XFetch's beta, zero for none. */
  readonly eagerRefresh: number
  readonly outlivesReads: boolean
}

/** A policy and how long results and typed failures live under it. */
export interface Resolved<A = any, E = any, Input = any> {
  readonly policy: Policy
  readonly timeToLive: Lifetime<A, E, Input>
  /** `undefined` where failures are not stored. */
  readonly errorTimeToLive: Lifetime<A, E, Input> | undefined
}

/** The parts of a definition that say how long results live. Types of results, errors and inputs are checked where it is written. */
interface Own {
  readonly timeToLive?: CachePolicy.TimeToLive<any, any, any> | undefined
  readonly policy?: CachePolicy.CachePolicy<any, any, any> | undefined
  readonly error?: unknown
  /** Whether results may say themselves how long they may be stale. */
  readonly bringsWindows?: boolean | undefined
}

/**
 * The policy of a definition: its own, over the defaults of its cache. Fails with a `CacheError` of reason `DefinitionError`;
 * `where` names the definition.
 */
export const resolvePolicy = Effect.fnUntraced(function*(
  where: string,
  { bringsWindows, error, policy: own = {}, timeToLive }: Own,
  defaults: CachePolicy.CachePolicy<any, any, any> | undefined
): Effect.fn.Return<Resolved, CacheError.CacheError> {
  const merged = CachePolicy.override(CachePolicy.override(defaults ?? {}, own), { timeToLive })
  const duration = (name: keyof CachePolicy.CachePolicy, input: Duration.Input | undefined, otherwise: number) =>
    input === undefined ? Effect.succeed(otherwise) : millis(`${where}, ${name}`, input)

  const failing = staleIfErrorOf(merged.staleIfError)
  const staleWhileRevalidate = yield* duration("staleWhileRevalidate", merged.staleWhileRevalidate, 0)
  const staleIfError = yield* duration("staleIfError", failing?.upTo, 0)
  const mayBeStale = staleWhileRevalidate > 0 || staleIfError > 0 || bringsWindows === true
  if (own.softTimeout !== undefined && !mayBeStale) {
    return yield* definitionError(
      `${where}, softTimeout`,
      "it serves what is stale, and nothing may be: give staleIfError or staleWhileRevalidate"
    )
  }
  if (own.errorTimeToLive !== undefined && error === undefined) {
    return yield* definitionError(
      `${where}, errorTimeToLive`,
      "a failure is stored through its schema: give the schema as error"
    )
  }
  const policy: Policy = {
    jitter: yield* fraction(`${where}, jitter`, merged.jitter ?? 0),
    timeToIdle: yield* duration("timeToIdle", merged.timeToIdle, Infinity),
    staleWhileRevalidate,
    staleIfError,
    backOff: yield* duration("staleIfError", failing?.backOff, 1_000),
    maxBackOff: yield* duration("staleIfError", failing?.maxBackOff, 60_000),
    softTimeout: yield* duration("softTimeout", merged.softTimeout, Infinity),
    hardTimeout: yield* duration("hardTimeout", merged.hardTimeout, Infinity),
    eagerRefresh: yield* factor(`${where}, eagerRefresh`, merged.eagerRefresh ?? 0),
    outlivesReads: merged.outlivesReads === true
  }
  return {
    policy,
    timeToLive: yield* lifetime(`${where}, timeToLive`, merged.timeToLive),
    errorTimeToLive: error === undefined ? undefined : yield* lifetimeOfErrors(where, merged)
  }
})

const staleIfErrorOf = (
  staleIfError: CachePolicy.CachePolicy["staleIfError"]
): CachePolicy.StaleIfError | undefined =>
  typeof staleIfError === "object" && staleIfError !== null && "upTo" in staleIfError
    ? staleIfError
    : staleIfError === undefined
    ? undefined
    : { upTo: staleIfError }

// What a function says of a result it says of a failure, too, unless failures have a lifetime of their own.
const lifetimeOfErrors = (
  where: string,
  { errorTimeToLive, timeToLive }: CachePolicy.CachePolicy<any, any, any>
): Effect.Effect<Lifetime<any, any, any> | undefined, CacheError.CacheError> => {
  if (errorTimeToLive === undefined) {
    return typeof timeToLive === "function" ? lifetime(`${where}, timeToLive`, timeToLive) : Effect.undefined
  }
  return lifetime(
    `${where}, errorTimeToLive`,
    typeof errorTimeToLive === "function"
      ? (exit: Exit.Exit<unknown, unknown>, input: unknown) =>
        Option.match(Exit.findErrorOption(exit), { onNone: () => 0, onSome: (error) => errorTimeToLive(error, input) })
      : errorTimeToLive
  )
}

const fraction = (where: string, value: number): Effect.Effect<number, CacheError.CacheError> =>
  typeof value === "number" && value >= 0 && value <= 1
    ? Effect.succeed(value)
    : Effect.fail(
      definitionError(where, `${shown(value)} is not a part of the time to live: give a number from 0 to 1`)
    )

const factor = (where: string, value: boolean | number): Effect.Effect<number, CacheError.CacheError> => {
  const beta = value === true ? 1 : value === false ? 0 : value
  return typeof beta === "number" && beta >= 0 && beta < Infinity
    ? Effect.succeed(beta)
    : Effect.fail(definitionError(where, `${shown(value)} is not a factor: give true, or a number above 0`))
}

/** What a computation says about its own lifetime. Fails as `resolvePolicy` does. */
export const ownLifetime = Effect.fnUntraced(function*(
  where: string,
  lifetime: CachePolicy.Lifetime
): Effect.fn.Return<OwnLifetime, CacheError.CacheError> {
  const own: { -readonly [K in keyof OwnLifetime]: OwnLifetime[K] } = {}
  for (const name of ["timeToLive", "staleWhileRevalidate", "staleIfError"] as const) {
    const input = lifetime[name]
    if (input !== undefined) own[name] = yield* millis(`${where}, ${name}`, input)
  }
  return own
})

/** A policy that says nothing. */
export const plain: Policy = {
  jitter: 0,
  timeToIdle: Infinity,
  staleWhileRevalidate: 0,
  staleIfError: 0,
  backOff: 0,
  maxBackOff: 0,
  softTimeout: Infinity,
  hardTimeout: Infinity,
  eagerRefresh: 0,
  outlivesReads: false
}
