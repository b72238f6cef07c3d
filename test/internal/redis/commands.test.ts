import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { makeCommands } from "../../../src/internal/redis/commands.ts"

// Commands to a server that can be down, by a wall clock that can be set.
const world = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  let set = 0
  const millis = () => clock.currentTimeMillisUnsafe() + set
  const nanos = () => BigInt(millis()) * 1_000_000n
  const wall: Clock.Clock = {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
  const state = { down: false, sent: 0 }
  const run = yield* Effect.provideService(makeCommands({ limit: 1000, unusable: () => undefined }), Clock.Clock, wall)
  const ask = Effect.exit(run(() => {
    state.sent++
    return state.down ? Promise.reject(new Error("Connection is closed.")) : Promise.resolve("answer")
  })).pipe(
    Effect.map((exit) =>
      Exit.match(exit, {
        onSuccess: (answer) => answer,
        onFailure: () => {
          const error = Exit.findErrorOption(exit)
          return error._tag === "Some" && error.value.reason._tag === "ServerError" ? error.value.reason.problem : "?"
        }
      })
    ),
    Effect.provideService(Clock.Clock, wall)
  )
  return {
    state,
    ask,
    setClock: (by: number) => {
      set += by
    }
  }
})

const hour = 3_600_000

describe("makeCommands", () => {
  it.effect("asks a server that failed three times in a row nothing for a second", () =>
    Effect.gen(function*() {
      const { ask, state } = yield* world
      state.down = true
      assert.deepStrictEqual([yield* ask, yield* ask, yield* ask], ["unreachable", "unreachable", "unreachable"])
      assert.deepStrictEqual([yield* ask, yield* ask, state.sent], ["circuit-open", "circuit-open", 3])
      state.down = false
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* ask, "circuit-open")
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([yield* ask, yield* ask, state.sent], ["answer", "answer", 5])
    }))

  for (const [how, by] of [["back", -hour], ["forward", hour]] as const) {
    it.effect(`asks it again after a second, and not before, when the clock is set ${how} meanwhile`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(10 * hour)
        const { ask, setClock, state } = yield* world
        state.down = true
        for (let n = 0; n < 3; n++) yield* ask
        setClock(by)
        state.down = false
        assert.deepStrictEqual([yield* ask, state.sent], ["circuit-open", 3])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual([yield* ask, state.sent], ["answer", 4])
      }))
  }
})
