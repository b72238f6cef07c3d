import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { Broadcaster } from "effect-cached"
import { FaultyBroadcaster } from "effect-cached/testing"
import { broadcasterSuite } from "../suites/broadcasterSuite.ts"
import { start } from "../suites/worlds.ts"

const layer = FaultyBroadcaster.layer(Broadcaster.layerLocal)

broadcasterSuite("FaultyBroadcaster", layer)

describe("FaultyBroadcaster", () => {
  const following = Effect.gen(function*() {
    const seen: Array<Broadcaster.Change> = []
    const log = yield* Broadcaster.Broadcaster
    yield* log.follow((change) => seen.push(change))
    return { log, seen, faults: yield* FaultyBroadcaster.FaultyBroadcaster }
  })

  it.effect("takes no record while it is failing, and recovers", () =>
    Effect.gen(function*() {
      const { faults, log, seen } = yield* following
      yield* faults.become("failing")
      assert.strictEqual((yield* Effect.flip(log.append(["a"]))).reason._tag, "LogError")
      yield* faults.become("healthy")
      yield* log.append(["b"])
      assert.deepStrictEqual(yield* faults.appended, [["b"]])
      assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["Gap", "Record"])
    }).pipe(Effect.provide(layer)))

  it.effect("takes a slow record only on release", () =>
    Effect.gen(function*() {
      const { faults, log, seen } = yield* following
      yield* faults.become("slow")
      const append = yield* start(log.append(["a"]))
      assert.isUndefined(append.pollUnsafe())
      assert.deepStrictEqual(yield* faults.appended, [])
      assert.strictEqual(seen.length, 1)
      yield* faults.release
      yield* Fiber.join(append)
      assert.deepStrictEqual(yield* faults.appended, [["a"]])
      assert.strictEqual(seen.length, 2)
    }).pipe(Effect.provide(layer)))

  it.effect("tells an injected change to all who still follow", () =>
    Effect.gen(function*() {
      const { faults, seen } = yield* following
      const gone = yield* Effect.scoped(following)
      yield* faults.inject({ _tag: "Gap", position: 7 })
      assert.deepStrictEqual(seen.at(-1), { _tag: "Gap", position: 7 })
      assert.strictEqual(gone.seen.length, 1)
    }).pipe(Effect.provide(layer)))

  it.effect("answers no question while it is failing, and slow ones only on release", () =>
    Effect.gen(function*() {
      const { faults, log } = yield* following
      yield* faults.become("failing")
      assert.strictEqual((yield* Effect.flip(log.catchUp)).reason._tag, "LogError")
      yield* faults.become("slow")
      const question = yield* start(log.catchUp)
      assert.isUndefined(question.pollUnsafe())
      yield* faults.release
      yield* Fiber.join(question)
      yield* faults.become("healthy")
      yield* log.catchUp
    }).pipe(Effect.provide(layer)))

  it.effect("is not current while it is silent, and goes on otherwise as before", () =>
    Effect.gen(function*() {
      const { faults, log, seen } = yield* following
      assert.isTrue(log.isCurrent())
      yield* faults.fallSilent(true)
      assert.isFalse(log.isCurrent())
      yield* log.append(["a"])
      yield* log.catchUp
      assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["Gap", "Record"])
      yield* faults.fallSilent(false)
      assert.isTrue(log.isCurrent())
    }).pipe(Effect.provide(layer)))

  it.effect("has the bound of the log behind it, asks that, and is not current when that is not", () =>
    Effect.gen(function*() {
      let current = true
      let asked = 0
      const inner = Broadcaster.Broadcaster.of({
        append: () => Effect.succeed(1),
        follow: (follower) => Effect.sync(() => follower({ _tag: "Gap", position: 1 })),
        catchUp: Effect.sync(() => void asked++),
        isCurrent: () => current,
        maxStaleness: 5000
      })
      const { log } = yield* Effect.provide(
        following,
        FaultyBroadcaster.layer(Layer.succeed(Broadcaster.Broadcaster)(inner))
      )
      assert.strictEqual(log.maxStaleness, 5000)
      yield* log.catchUp
      assert.strictEqual(asked, 1)
      assert.isTrue(log.isCurrent())
      current = false
      assert.isFalse(log.isCurrent())
    }).pipe(Effect.scoped))
})
