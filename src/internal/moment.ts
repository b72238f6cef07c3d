/**
 * How much time has passed, by both clocks of a process. Each may be wrong in its own way: the wall clock is set, the monotonic
 * one stands still while the machine sleeps. What may not last longer than a bound counts by the one that says more.
 */
import type * as Clock from "effect/Clock"

/** In milliseconds. */
export interface Moment {
  readonly wall: number
  readonly monotonic: number
}

export const momentOf = (clock: Clock.Clock): Moment => ({
  wall: clock.currentTimeMillisUnsafe(),
  monotonic: Number(clock.monotonicTimeNanosUnsafe()) / 1e6
})

/** In milliseconds, never less than zero. */
export const elapsedSince = (clock: Clock.Clock, { monotonic, wall }: Moment): number =>
  Math.max(
    0,
    clock.currentTimeMillisUnsafe() - wall,
    Number(clock.monotonicTimeNanosUnsafe()) / 1e6 - monotonic
  )

/** The earlier of two, of which one that is not known is the earliest. */
export const olderOf = (one: Moment | undefined, other: Moment | undefined): Moment | undefined =>
  one === undefined || other === undefined ? undefined : one.monotonic <= other.monotonic ? one : other
