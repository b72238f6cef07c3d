import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Store } from "effect-cached"
import { FaultyStore } from "effect-cached/testing"
import { makeEntry } from "../suites/entries.ts"
import { storeSuite } from "../suites/storeSuite.ts"
import { start } from "../suites/worlds.ts"

storeSuite("FaultyStore", (options) => FaultyStore.layer(Store.layerMemory(options)))

describe("FaultyStore", () => {
  const layer = FaultyStore.layer(Store.layerMemory())
  const all = Effect.map(Store.Store, (store) => [
    Effect.asVoid(store.get("a")),
    Effect.asVoid(store.set(makeEntry("a"))),
    store.remove("a")
  ])

  it.effect("is the store itself while it is healthy, seen only through get", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      const entry = makeEntry("a")
      assert.strictEqual(yield* store.set(entry), "stored")
      assert.isTrue(store.remote)
      assert.isUndefined(store.peek("a"))
      assert.strictEqual(yield* store.get("a"), entry)
      yield* store.remove("a")
      assert.isUndefined(yield* store.get("a"))
    }).pipe(Effect.provide(layer)))

  it.effect("fails every operation with a typed error while it is failing, and recovers", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      yield* faults.become("failing")
      for (const operation of yield* all) {
        assert.strictEqual((yield* Effect.flip(operation)).reason._tag, "StoreError")
      }
      yield* faults.become("healthy")
      for (const operation of yield* all) yield* operation
    }).pipe(Effect.provide(layer)))

  it.effect("dies in every operation while it is dying", () =>
    Effect.gen(function*() {
      yield* FaultyStore.FaultyStore.use((faults) => faults.become("dying"))
      for (const operation of yield* all) assert.isTrue(Exit.hasDies(yield* Effect.exit(operation)))
    }).pipe(Effect.provide(layer)))

  it.effect("never answers while it is hanging, and can be interrupted", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      yield* faults.become("hanging")
      for (const operation of yield* all) {
        const fiber = yield* start(operation)
        yield* faults.become("healthy")
        yield* faults.release
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        yield* faults.become("hanging")
      }
    }).pipe(Effect.provide(layer)))

  it.effect("answers what is slow on release, and is slow anew after it", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      yield* faults.become("slow")
      for (const operation of yield* all) {
        const fiber = yield* start(operation)
        assert.isUndefined(fiber.pollUnsafe())
        yield* faults.release
        yield* Fiber.join(fiber)
      }
    }).pipe(Effect.provide(layer)))

  it.effect("records the operations in order, those that fail as well", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      for (const operation of yield* all) yield* operation
      yield* faults.become("failing")
      yield* Effect.exit(Store.Store.use((store) => store.get("b")))
      assert.deepStrictEqual(yield* faults.operations, [["get", "a"], ["set", "a"], ["remove", "a"], ["get", "b"]])
    }).pipe(Effect.provide(layer)))
})
