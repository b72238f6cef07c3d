import { assert } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { Cached, type CachePolicy, Precompute } from "effect-cached"
import { TestClock } from "effect/testing"
import { Down, onEveryStore } from "./suites/lifetimesSuite.ts"
import { settled } from "./suites/stores.ts"

// A function over three inputs, some of which fail.
const makeThird = (policy: CachePolicy.CachePolicy) => {
  const state = { runs: 0, down: new Set<number>() }
  const third = Cached.make(
    "third",
    { input: { n: Schema.Literals([1, 2, 3]) }, success: Schema.Number, error: Down, policy },
    ({ n }) =>
      Effect.suspend((): Effect.Effect<number, Down> => {
        const run = ++state.runs
        return state.down.has(n) ? Effect.fail(new Down({ run })) : Effect.succeed(run)
      })
  )
  return { state, third }
}

const stepsOf = <E, R>(run: Stream.Stream<Precompute.Progress, E, R>) =>
  Effect.map(
    Stream.runCollect(run),
    (steps) =>
      steps.flatMap((step) =>
        step._tag === "Computed" || step._tag === "Failed" || step._tag === "Present" ? [step._tag] : []
      ).toSorted()
  )

onEveryStore("A run of Precompute", (test) => {
  test("finds what lives, and computes again what is over, though it may still be served stale", () =>
    Effect.gen(function*() {
      const { state, third } = makeThird({
        timeToLive: "10 seconds",
        staleWhileRevalidate: "1 hour",
        staleIfError: "1 hour"
      })
      const fn = yield* third
      const run = stepsOf(Precompute.run(fn, { concurrency: 1 }))
      assert.deepStrictEqual(yield* run, ["Computed", "Computed", "Computed"])
      yield* TestClock.adjust(9999)
      assert.deepStrictEqual(yield* run, ["Present", "Present", "Present"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* run, ["Computed", "Computed", "Computed"])
      yield* settled
      assert.strictEqual(state.runs, 6)
      assert.isAbove(yield* fn({ n: 1 }), 3)
      assert.deepStrictEqual(yield* run, ["Present", "Present", "Present"])
    }))

  test("counts what failed as failed, stored or not", () =>
    Effect.gen(function*() {
      const { state, third } = makeThird({ errorTimeToLive: "1 hour" })
      const fn = yield* third
      state.down.add(2)
      const run = stepsOf(Precompute.run(fn, { concurrency: 1 }))
      assert.deepStrictEqual(yield* run, ["Computed", "Computed", "Failed"])
      yield* settled
      const again = yield* run
      assert.deepStrictEqual(again, ["Failed", "Present", "Present"])
      assert.instanceOf(yield* Effect.flip(fn({ n: 2 })), Down)
      state.down.clear()
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* run, ["Computed", "Present", "Present"])
    }))

  test("counts as failed what cannot be computed anew, though what is stale is served in its place", () =>
    Effect.gen(function*() {
      const { state, third } = makeThird({ timeToLive: "10 seconds", staleIfError: "1 hour" })
      const fn = yield* third
      const run = stepsOf(Precompute.run(fn, { concurrency: 1 }))
      yield* run
      state.down.add(1)
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(yield* run, ["Computed", "Computed", "Failed"])
      yield* settled
      assert.strictEqual(yield* fn({ n: 1 }), 1)
    }))
})
