/**
 * Lifetimes: how long a result may be served when nothing invalidates it.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as CacheError from "./CacheError.ts"

/**
 * How long results live: one duration, or a function of the result and the input it was computed from.
 *
 * **Details**
 *
 * `Duration.infinity` lives until it is invalidated or evicted; zero is computed for everyone who asks at once and not
 * stored.
 *
 * @category models
 * @since 0.1.0
 */
export type TimeToLive<A, E, Input> =
  | Duration.Input
  | ((exit: Exit.Exit<A, E>, input: Input) => Duration.Input)

/**
 * A checked {@link TimeToLive}, in milliseconds. Fails where a function gives an unusable duration.
 *
 * @category models
 * @since 0.1.0
 */
export type Lifetime<A, E, Input> = (
  exit: Exit.Exit<A, E>,
  input: Input
) => Effect.Effect<number, CacheError.CacheError>

/**
 * Checks a time to live. Fails with a `CacheError` of reason `DefinitionError` when it is a duration that is negative or
 * not a duration at all; `where` names it in the message. Default: infinite.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lifetime = <A, E, Input>(
  where: string,
  timeToLive: TimeToLive<A, E, Input> | undefined
): Effect.Effect<Lifetime<A, E, Input>, CacheError.CacheError> => {
  if (timeToLive === undefined) return Effect.succeed(() => infinite)
  if (typeof timeToLive === "function") {
    return Effect.succeed((exit, input) => Effect.suspend(() => millis(where, timeToLive(exit, input))))
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
 *
 * @category constructors
 * @since 0.1.0
 */
export const millis = (where: string, input: Duration.Input): Effect.Effect<number, CacheError.CacheError> => {
  const duration = Duration.fromInput(input)
  const value = duration._tag === "Some" ? Duration.toMillis(duration.value) : NaN
  const written = typeof input === "number" ? input : value
  return Number.isNaN(value) || written < 0 || Number.isNaN(written)
    ? Effect.fail(
      CacheError.definition(
        where,
        `${typeof input === "object" ? JSON.stringify(input) : String(input)} is not a duration of zero or more`
      )
    )
    : Effect.succeed(value)
}

/**
 * A size or a count. Fails with a `CacheError` of reason `DefinitionError` unless it is a whole number of at least one;
 * `where` names it in the message.
 *
 * @category constructors
 * @since 0.1.0
 */
export const size = (where: string, value: number): Effect.Effect<number, CacheError.CacheError> =>
  Number.isSafeInteger(value) && value >= 1
    ? Effect.succeed(value)
    : Effect.fail(CacheError.definition(where, `${value} is not a whole number of at least 1`))
