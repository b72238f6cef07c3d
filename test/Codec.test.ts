import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Codec } from "effect-cached"
import { codecSuite } from "./suites/codecSuite.ts"
import { makeEntry } from "./suites/entries.ts"

codecSuite("layerJson", Codec.layerJson)

const problemOf = (text: string) =>
  Effect.gen(function*() {
    const codec = yield* Codec.Codec
    const { reason } = yield* Effect.flip(codec.decode(new TextEncoder().encode(text)))
    return reason._tag === "CodecError" ? reason.problem : reason._tag
  })

const written = Effect.gen(function*() {
  const codec = yield* Codec.Codec
  return new TextDecoder().decode(yield* codec.encode(makeEntry("user\t{}", { expiresAt: 5 })))
})

describe("layerJson", () => {
  it.effect("writes JSON that people can read", () =>
    Effect.gen(function*() {
      const { entry, version } = JSON.parse(yield* written)
      assert.strictEqual(version, Codec.formatVersion)
      assert.deepStrictEqual(entry, {
        key: "user\t{}",
        fingerprint: "0123456789abcdef",
        body: "\"user\\t{}\"",
        tags: ["user:7"],
        position: 10,
        createdAt: 0,
        expiresAt: 5
      })
    }).pipe(Effect.provide(Codec.layerJson)))

  it.effect("writes bytes that are no text in base64", () =>
    Effect.gen(function*() {
      const codec = yield* Codec.Codec
      const bytes = yield* codec.encode(makeEntry("k", { body: Uint8Array.of(255, 0) }))
      assert.strictEqual(JSON.parse(new TextDecoder().decode(bytes)).entry.base64, "/wA=")
    }).pipe(Effect.provide(Codec.layerJson)))

  it.effect("tells a changed entry, another version and other text apart", () =>
    Effect.gen(function*() {
      const text = yield* written
      assert.strictEqual(yield* problemOf(text.replace("user:7", "user:8")), "checksum")
      assert.strictEqual(yield* problemOf(text.replace("\"position\":10", "\"position\":99")), "checksum")
      assert.strictEqual(yield* problemOf(text.replace("\"version\":1", "\"version\":2")), "version")
      assert.strictEqual(yield* problemOf("{}"), "malformed")
      const codec = yield* Codec.Codec
      const { reason } = yield* Effect.flip(codec.decode(Uint8Array.of(255)))
      assert.strictEqual(reason._tag === "CodecError" && reason.problem, "foreign")
    }).pipe(Effect.provide(Codec.layerJson)))
})
