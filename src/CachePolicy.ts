/**
 * Lifetimes: how long a result may be served when nothing invalidates it.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"

/**
 * What a read may be given that is invalidated by another process at that moment. `"strong"`: nothing that was invalidated
 * before the read began. The invalidation log is asked first, in the same round trip as the store; where it does not answer,
 * the result is computed.
 *
 * @category models
 * @since 0.1.0
 */
export type Consistency = "strong"

/**
 * How long results live: one duration, or a function of the result and the input it was computed from.
 *
 * **Details**
 *
 * `Duration.infinity` lives until it is invalidated or evicted; zero is computed once for all who ask at the same time,
 * and not stored.
 *
 * @category models
 * @since 0.1.0
 */
export type TimeToLive<A, E, Input> =
  | Duration.Input
  | ((exit: Exit.Exit<A, E>, input: Input) => Duration.Input)
