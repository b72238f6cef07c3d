/**
 * Effects that have ended before they run. Schemas that need no services end at once, and going on from what they give without a
 * step of a fiber in between makes a miss several times cheaper.
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** What an effect has succeeded with, if it has ended already. */
export const successOf = <A>(effect: Effect.Effect<A, unknown, any>): Exit.Exit<A> & Exit.Success<A> | undefined =>
  Exit.isExit(effect) && Exit.isSuccess(effect) ? effect as Exit.Exit<A> & Exit.Success<A> : undefined

/** Whether an effect has ended before it runs. */
export const isDone = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Exit<A, E> => Exit.isExit(effect)
