import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { ByteStore, type CacheError, Codec, Store } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { flipped } from "./suites/codecSuite.ts"
import { makeEntry, storedPart } from "./suites/entries.ts"
import { storeSuite } from "./suites/storeSuite.ts"

storeSuite(
  "ByteStore.layerMemory with MsgPackCodec",
  (options) => ByteStore.layerMemory(options).pipe(Layer.provide(MsgPackCodec.layer()))
)
storeSuite(
  "ByteStore.layerMemory with MsgPackCodec that compresses from 1 byte",
  (options) => ByteStore.layerMemory(options).pipe(Layer.provide(MsgPackCodec.layer({ compressFrom: 1 })))
)
storeSuite(
  "ByteStore.layerMemory with Codec.layerJson",
  (options) => ByteStore.layerMemory(options).pipe(Layer.provide(Codec.layerJson))
)
storeSuite("layerTiered of live values over bytes", (options) =>
  Store.layerTiered({
    near: Store.layerMemory(options),
    far: ByteStore.layerMemory(options).pipe(Layer.provide(MsgPackCodec.layer()))
  }))

describe("ByteStore.layerMemory", () => {
  const layer = ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer()))

  it.effect("decodes for each reader", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      const entry = makeEntry("a")
      yield* store.set(entry)
      const first = yield* store.get("a")
      const second = yield* store.get("a")
      assert.notStrictEqual(first, entry)
      assert.notStrictEqual(first, second)
      assert.deepStrictEqual(storedPart(first!), storedPart(second!))
      assert.isTrue(store.remote)
      assert.isUndefined(store.peek("a"))
    }).pipe(Effect.provide(layer)))

  it.effect("bounds the bytes that it holds, not those that they stand for (scenario 40)", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      assert.strictEqual(yield* store.set(makeEntry("a", { body: "x".repeat(100_000) })), "stored")
    }).pipe(Effect.provide(
      ByteStore.layerMemory({ maxBytes: 5_000 }).pipe(Layer.provide(MsgPackCodec.layer()))
    )))

  it.effect("keeps no more memory than what it counts: small entries are no views of a larger buffer", () => {
    const kept: Array<Uint8Array> = []
    const watching = Layer.effect(Codec.Codec)(Effect.map(Codec.Codec, (codec) =>
      Codec.Codec.of({
        encode: codec.encode,
        decode: (bytes) => {
          kept.push(bytes)
          return codec.decode(bytes)
        }
      }))).pipe(Layer.provide(MsgPackCodec.layer()))
    return Effect.gen(function*() {
      const store = yield* Store.Store
      for (const key of ["a", "b"]) {
        yield* store.set(makeEntry(key))
        yield* store.get(key)
      }
      assert.deepStrictEqual(kept.map((bytes) => bytes.buffer.byteLength), kept.map((bytes) => bytes.length))
      assert.lengthOf(kept, 2)
    }).pipe(Effect.provide(ByteStore.layerMemory().pipe(Layer.provide(watching))))
  })

  // A codec that damages what it wrote, for the entries whose key says so.
  const damaging = Layer.effect(Codec.Codec)(Effect.map(Codec.Codec, (codec) =>
    Codec.Codec.of({
      encode: (entry) =>
        Effect.map(codec.encode(entry), (bytes) => entry.key === "bad" ? flipped(bytes, bytes.length * 8 - 1) : bytes),
      decode: codec.decode
    }))).pipe(Layer.provide(MsgPackCodec.layer()))
  const damaged = ByteStore.layerMemory().pipe(Layer.provide(damaging))

  it.effect("says that bytes cannot be decoded, and replaces them (scenario 44)", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      yield* store.set(makeEntry("bad", { position: 5 }))
      const error: CacheError.CacheError = yield* Effect.flip(store.get("bad"))
      assert.strictEqual(error.reason._tag, "CodecError")
      assert.strictEqual(yield* store.set(makeEntry("bad", { position: 5 })), "stored")
      yield* store.remove("bad")
      assert.isUndefined(yield* store.get("bad"))
    }).pipe(Effect.provide(damaged)))

  it.effect("lists the other entries although one of them cannot be decoded (scenario 44)", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      for (const key of ["a", "bad", "c"]) yield* store.set(makeEntry(key))
      const keys = yield* Stream.runCollect(Stream.map(store.entries, (entry) => entry.key))
      assert.deepStrictEqual(keys.toSorted(), ["a", "c"])
    }).pipe(Effect.provide(damaged)))

  it.effect("stores nothing of an entry that cannot be encoded", () =>
    Effect.gen(function*() {
      const store = yield* Store.Store
      yield* store.set(makeEntry("a", { body: "short" }))
      const error = yield* Effect.flip(store.set(makeEntry("a", { body: "x".repeat(5_000), position: 11 })))
      assert.strictEqual(error.reason._tag, "CodecError")
    }).pipe(Effect.provide(ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer({ maxBytes: 1_000 }))))))
})
