import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type CacheEntry, Codec } from "effect-cached"
import { digest } from "../src/internal/digest.ts"
import { codecSuite } from "./suites/codecSuite.ts"
import { makeEntry, makeTerms } from "./suites/entries.ts"

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
        expiresAt: 5,
        etag: `"${digest("\"user\\t{}\"")}"`
      })
    }).pipe(Effect.provide(Codec.layerJson)))

  it.effect("keeps the validator of the body, and makes it where nobody has asked for it yet", () =>
    Effect.gen(function*() {
      const codec = yield* Codec.Codec
      const etag = Effect.fnUntraced(function*(stored: Partial<CacheEntry.Stored>) {
        return (yield* codec.decode(yield* codec.encode(makeEntry("k", stored)))).etag
      })
      const body = "\ufeff{\"name\":\"Zürich\"}"
      assert.strictEqual(yield* etag({ body }), `"${digest(body)}"`)
      assert.strictEqual(yield* etag({ body: new TextEncoder().encode(body) }), `"${digest(body)}"`)
      assert.strictEqual(yield* etag({ body: Uint8Array.of(255, 0) }), `"${digest(Uint8Array.of(255, 0))}"`)
      assert.strictEqual(yield* etag({ body, etag: "\"known\"" }), "\"known\"")
      assert.isUndefined(yield* etag({ failed: true }), "nobody asks for that of a failure")
      assert.isUndefined(
        yield* etag({ head: { status: 200, headers: { etag: "W/\"1\"" } } }),
        "a response that has its own needs no other"
      )
    }).pipe(Effect.provide(Codec.layerJson)))

  it.effect("writes that an entry is a failure, and what its policy says, without what never comes", () =>
    Effect.gen(function*() {
      const codec = yield* Codec.Codec
      const terms = makeTerms(5, { errorUntil: Infinity, usedAt: 2, eager: 3 })
      const bytes = yield* codec.encode(makeEntry("k", { failed: true, expiresAt: 5, terms }))
      const { entry } = JSON.parse(new TextDecoder().decode(bytes))
      assert.isTrue(entry.failed)
      assert.deepStrictEqual(entry.terms, { staleUntil: 5, keptUntil: 5, usedAt: 2, eager: 3 })
    }).pipe(Effect.provide(Codec.layerJson)))

  it.effect("refuses terms and validators that are none, also behind a valid checksum (scenario 44)", () =>
    Effect.gen(function*() {
      const entry = JSON.parse(yield* written).entry
      const forged = (more: object) => {
        const text = JSON.stringify({ ...entry, ...more })
        return problemOf(`{"version":${Codec.formatVersion},"checksum":"${digest(text)}","entry":${text}}`)
      }
      const codec = yield* Codec.Codec
      const right = { usedAt: 5, eager: 0 }
      const text = JSON.stringify({ ...entry, terms: right })
      const bytes = `{"version":${Codec.formatVersion},"checksum":"${digest(text)}","entry":${text}}`
      const { terms } = yield* codec.decode(new TextEncoder().encode(bytes))
      assert.deepStrictEqual(terms, makeTerms(Infinity, right))
      for (
        const wrong of [
          { failed: 1 },
          { failed: null },
          { terms: null },
          { terms: [] },
          { terms: {} },
          { terms: { usedAt: 5 } },
          ...Object.keys(terms!).flatMap((name) =>
            [null, "5", true, [5], {}].map((value) => ({ terms: { ...right, [name]: value } }))
          ),
          { terms: { ...right, idle: -1 } },
          { terms: { ...right, eager: -1 } },
          { etag: 7 },
          { etag: null }
        ]
      ) {
        assert.strictEqual(yield* forged(wrong), "malformed", JSON.stringify(wrong))
      }
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
      assert.strictEqual(yield* problemOf(text.replace("\"etag\":\"\\\"", "\"etag\":\"\\\"0")), "checksum")
      assert.strictEqual(yield* problemOf(text.replace("\"position\":10", "\"position\":99")), "checksum")
      assert.strictEqual(yield* problemOf(text.replace(`"version":${Codec.formatVersion}`, "\"version\":1")), "version")
      assert.strictEqual(yield* problemOf("{}"), "malformed")
      const codec = yield* Codec.Codec
      const { reason } = yield* Effect.flip(codec.decode(Uint8Array.of(255)))
      assert.strictEqual(reason._tag === "CodecError" && reason.problem, "foreign")
    }).pipe(Effect.provide(Codec.layerJson)))
})
