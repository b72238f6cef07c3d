import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { elapsedSince, momentOf } from "../../src/internal/moment.ts"

// A clock of which the test sets both parts, in milliseconds.
const makeClock = Effect.map(Clock.Clock, (clock) => {
  const time = { wall: 1_000_000, monotonic: 500 }
  return {
    time,
    clock: Object.assign(Object.create(clock) as Clock.Clock, {
      currentTimeMillisUnsafe: () => time.wall,
      monotonicTimeNanosUnsafe: () => BigInt(Math.round(time.monotonic * 1e6))
    })
  }
})

describe("elapsedSince", () => {
  it.effect("is what passed by the clock of the program", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const moment = momentOf(clock)
      assert.strictEqual(elapsedSince(clock, moment), 0)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(elapsedSince(clock, moment), 1500)
    }))

  it.effect.each(
    [
      ["both agree", { wall: 100, monotonic: 100 }, 100],
      ["the wall clock is set forward", { wall: 3_600_000, monotonic: 100 }, 3_600_000],
      ["the wall clock is set back", { wall: -3_600_000, monotonic: 100 }, 100],
      ["the monotonic clock stood still, as while a machine sleeps", { wall: 100, monotonic: 0 }, 100],
      ["the monotonic clock runs fast", { wall: 100, monotonic: 101 }, 101],
      ["the wall clock is set back at once", { wall: -1, monotonic: 0 }, 0],
      ["less than a millisecond has passed", { wall: 0, monotonic: 0.25 }, 0.25]
    ] as const
  )(
    "counts by the clock that says more, and never less than nothing: %s",
    ([, passed, elapsed]) =>
      Effect.gen(function*() {
        const { clock, time } = yield* makeClock
        const moment = momentOf(clock)
        time.wall += passed.wall
        time.monotonic += passed.monotonic
        assert.strictEqual(elapsedSince(clock, moment), elapsed)
      })
  )

  it.effect("stays exact to the millisecond after years of running", () =>
    Effect.gen(function*() {
      const { clock, time } = yield* makeClock
      time.monotonic = 10 * 365 * 24 * 3_600_000
      const moment = momentOf(clock)
      time.wall += 5000
      time.monotonic += 5001
      assert.strictEqual(elapsedSince(clock, moment), 5001)
    }))
})
