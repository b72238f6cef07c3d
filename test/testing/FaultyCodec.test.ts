import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Broadcaster, ByteStore, Cached, Codec, DependencyGraph } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest, FaultyCodec } from "effect-cached/testing"
import { codecSuite } from "../suites/codecSuite.ts"
import { makeEntry, storedPart } from "../suites/entries.ts"

codecSuite("FaultyCodec", FaultyCodec.layer(MsgPackCodec.layer()))

describe("FaultyCodec", () => {
  const layers = [
    ["MsgPackCodec", FaultyCodec.layer(MsgPackCodec.layer())],
    ["Codec.layerJson", FaultyCodec.layer(Codec.layerJson)]
  ] as const

  it.effect.each(layers)("is the codec itself while it is healthy: %s", ([, layer]) =>
    Effect.gen(function*() {
      const codec = yield* Codec.Codec
      const faults = yield* FaultyCodec.FaultyCodec
      for (const key of ["a", "b"]) {
        const entry = makeEntry(key)
        assert.deepStrictEqual(storedPart(yield* codec.decode(yield* codec.encode(entry))), storedPart(entry))
      }
      assert.deepStrictEqual(yield* faults.encoded, ["a", "b"])
    }).pipe(Effect.provide(layer)))

  it.effect.each(layers)(
    "fails both ways with a typed error while it is failing, and recovers: %s",
    ([, layer]) =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const faults = yield* FaultyCodec.FaultyCodec
        const bytes = yield* codec.encode(makeEntry("a"))
        yield* faults.become("failing")
        for (
          const error of [yield* Effect.flip(codec.encode(makeEntry("b"))), yield* Effect.flip(codec.decode(bytes))]
        ) {
          assert.strictEqual(error.reason._tag, "CodecError")
        }
        yield* faults.become("healthy")
        assert.strictEqual((yield* codec.decode(bytes)).key, "a")
        assert.deepStrictEqual(yield* faults.encoded, ["a"])
      }).pipe(Effect.provide(layer))
  )

  it.effect.each(layers)(
    "makes bytes that do not decode while it is corrupting: %s",
    ([, layer]) =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const faults = yield* FaultyCodec.FaultyCodec
        const right = yield* codec.encode(makeEntry("a"))
        yield* faults.become("corrupting")
        const wrong = yield* codec.encode(makeEntry("a"))
        assert.strictEqual(wrong.filter((byte, index) => byte !== right[index]).length, 1)
        assert.strictEqual((yield* Effect.flip(codec.decode(wrong))).reason._tag, "CodecError")
        yield* faults.become("healthy")
        assert.strictEqual((yield* codec.decode(right)).key, "a", "what was encoded before is as it was")
      }).pipe(Effect.provide(layer))
  )

  it.effect("shows what a cache makes of a codec that fails: values, and no entries", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyCodec.FaultyCodec
      let executions = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.sync(() => ++executions))
      yield* faults.become("failing")
      assert.deepStrictEqual([yield* fn(), yield* fn()], [1, 2])
      yield* faults.become("healthy")
      assert.deepStrictEqual([yield* fn(), yield* fn()], [3, 3])
      const events = yield* CacheTest.CacheTest.use((test) => test.events)
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        ["Miss", "Undecodable", "Miss", "Undecodable", "Miss", "Stored", "Hit"]
      )
    }).pipe(Effect.provide(
      CacheTest.layerWith().pipe(
        Layer.provide([ByteStore.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal]),
        Layer.provideMerge(FaultyCodec.layer(MsgPackCodec.layer())),
        Layer.orDie
      )
    )))
})
