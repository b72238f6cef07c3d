/**
 * Checks of options: lifetimes, durations, sizes.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as CacheError from "../CacheError.ts"
import type * as CachePolicy from "../CachePolicy.ts"
import { definitionError } from "./errors.ts"

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
          catch: (thrown) => definitionError(where, `the function threw ${String(thrown)}`)
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
  // `fromInput` is lenient: it makes zero of a number that is negative, and of one that is none.
  const numbers: ReadonlyArray<unknown> = typeof input === "object" && input !== null ? Object.values(input) : [input]
  return !(value >= 0) || numbers.some((number) => typeof number === "number" && !(number >= 0))
    ? Effect.fail(
      definitionError(
        where,
        `${typeof input === "object" ? JSON.stringify(input) : String(input)} is not a duration of zero or more`
      )
    )
    : Effect.succeed(value)
}

/**
 * A size or a count. Fails with a `CacheError` of reason `DefinitionError` unless it is a whole number of at least one;
 * `where` names it in the message.
 */
export const size = (where: string, value: number): Effect.Effect<number, CacheError.CacheError> =>
  Number.isSafeInteger(value) && value >= 1
    ? Effect.succeed(value)
    : Effect.fail(definitionError(where, `${value} is not a whole number of at least 1`))
