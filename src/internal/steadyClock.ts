/**
 * A clock that nobody sets.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** The same clock, whose time of day is the time since some moment. */
export const steadyClock = (clock: Clock.Clock): Clock.Clock => {
  const millis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const nanos = () => clock.monotonicTimeNanosUnsafe()
  return {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: clock.monotonicTimeNanos,
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
}
