import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
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
})
