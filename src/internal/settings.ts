/**
 * Checks of options: lifetimes, durations, sizes.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { format } from "effect/Formatter"
import type * as CacheError from "../CacheError.ts"
import type * as CachePolicy from "../CachePolicy.ts"
import { definitionError, describe } from "./errors.ts"

/**
 * A checked time to live, in milliseconds. Fails where a function gives an unusable duration.
 */
export type Lifetime<A, E, Input> = (
  exit: Exit.Exit<A, E>,
  input: Input
) => Effect.Effect<number, CacheError.CacheError>

/**
 * Checks a time to live. Fails with a `CacheError` of reason `DefinitionError` when it is a duration that is negative or
 * not a duration at all; `where` names it in the message. Default: infinite.
 */
export const lifetime = <A, E, Input>(
  where: string,
  timeToLive: CachePolicy.TimeToLive<A, E, Input> | undefined
): Effect.Effect<Lifetime<A, E, Input>, CacheError.CacheError> => {
  if (timeToLive === undefined) return Effect.succeed(() => infinite)
  if (typeof timeToLive === "function") {
    return Effect.succeed((exit, input) =>
      Effect.flatMap(
        Effect.try({
          try: () => timeToLive(exit, input),
          catch: (thrown) => definitionError(where, `the function threw ${describe(thrown)}`)
        }),
        (duration) => millis(where, duration)
      )
    )
  }
  return Effect.map(millis(where, timeToLive), (value) => {
    const constant = Effect.succeed(value)
    return () => constant
  })
}

const infinite = Effect.succeed(Infinity)

/**
 * A duration in milliseconds. Fails with a `CacheError` of reason `DefinitionError` when it is negative or not a
 * duration; `where` names it in the message.
 */
export const millis = (where: string, input: Duration.Input): Effect.Effect<number, CacheError.CacheError> => {
  const duration = Duration.fromInput(input)
  const value = duration._tag === "Some" ? Duration.toMillis(duration.value) : NaN
  // `fromInput` is lenient: it makes zero of a number that is negative, of one that is none, and of `{}`.
  const parts: ReadonlyArray<unknown> = typeof input === "object" && input !== null && !Duration.isDuration(input)
    ? Object.values(input)
    : [input]
  return value >= 0 && parts.length > 0 && parts.every((part) => typeof part !== "number" || part >= 0)
    ? Effect.succeed(value)
    : Effect.fail(definitionError(where, `${shown(input)} is not a duration of zero or more`))
}

/**
 * A size or a count. Fails with a `CacheError` of reason `DefinitionError` unless it is a whole number from one to `most`;
 * `where` names it in the message.
 */
export const size = (
  where: string,
  value: number,
  most: number = Number.MAX_SAFE_INTEGER
): Effect.Effect<number, CacheError.CacheError> =>
  Number.isSafeInteger(value) && value >= 1 && value <= most
    ? Effect.succeed(value)
    : Effect.fail(definitionError(where, `${shown(value)} is not a whole number from 1 to ${most}`))

/** A value as messages name it. */
export const shown = (value: unknown): string => typeof value === "string" ? value : format(value)
