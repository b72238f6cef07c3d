/**
 * When the log was last heard from, and whether that is recent enough.
 *
 * Invariants:
 * - What counts is when the question was asked. Its answer says nothing about what came after that, however late it is.
 * - It is only ever moved forward.
 * - Whoever asks reads both clocks at that moment. A wall clock that is set back cannot stretch the bound, because the other
 *   goes on; nor can a machine that sleeps, in which the other may stand still.
 */

/** What it needs of effect's `Clock`. */
export interface Clocks {
  readonly currentTimeMillisUnsafe: () => number
  readonly monotonicTimeNanosUnsafe: () => bigint
}

/** A moment on both clocks: milliseconds since the epoch, and nanoseconds since some moment. */
export interface Moment {
  readonly wall: number
  readonly monotonic: bigint
}

export interface Heard {
  readonly now: () => Moment
  /** A question that was asked at that moment has been answered, and all that was in the log then has been told. */
  readonly note: (asked: Moment) => void
  readonly isCurrent: () => boolean
  /** For how many milliseconds nothing was heard; `Infinity` before the first time. */
  readonly silence: () => number
}

/** `maxStaleness` is in milliseconds. */
export const makeHeard = (clock: Clocks, maxStaleness: number): Heard => {
  const bound = nanos(maxStaleness)
  let last: Moment | undefined
  // The last moment at which `last` is recent enough, so that the path of a hit has one comparison and nothing to subtract.
  let until = 0n
  return {
    now: () => ({ wall: clock.currentTimeMillisUnsafe(), monotonic: clock.monotonicTimeNanosUnsafe() }),
    note: (asked) => {
      if (last !== undefined && asked.monotonic < last.monotonic) return
      last = asked
      until = asked.monotonic + bound
    },
    isCurrent: () => {
      if (last === undefined) return false
      const elapsed = clock.currentTimeMillisUnsafe() - last.wall
      return elapsed >= 0 && elapsed <= maxStaleness && clock.monotonicTimeNanosUnsafe() <= until
    },
    silence: () =>
      last === undefined ? Infinity : Number(clock.monotonicTimeNanosUnsafe() - last.monotonic) / nanosPerMilli
  }
}

const nanosPerMilli = 1_000_000

const nanos = (millis: number): bigint => BigInt(Math.floor(millis * nanosPerMilli))
