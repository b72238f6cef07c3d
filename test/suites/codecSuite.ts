/**
 * What every codec must do.
 */
import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, type Layer, Schema } from "effect"
import { CacheEntry, type CacheError, Codec } from "effect-cached"
import { anyEntry, bytes, makeEntry, makeTerms, storedPart } from "./entries.ts"

/** Decodes, and says how that ended: a throw is neither an entry nor a typed error. */
export const decoded = (codec: Codec.Codec["Service"], input: Uint8Array) =>
  Effect.map(Effect.exit(Effect.suspend(() => codec.decode(input))), (exit) => {
    if (Exit.isSuccess(exit)) return exit.value
    const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
    assert.isDefined(error, `decoding must not throw: ${String(exit.cause)}`)
    assert.strictEqual(error.reason._tag, "CodecError")
    return undefined
  })

const natural = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000_000 }))

export const codecSuite = <E>(name: string, layer: Layer.Layer<Codec.Codec, E>): void =>
  it.layer(layer)(`Codec (${name})`, (it) => {
    const refusal = Effect.fnUntraced(function*(input: Uint8Array) {
      const codec = yield* Codec.Codec
      const result = yield* decoded(codec, input)
      assert.isUndefined(result, "the bytes must be refused")
    })

    it.effect.prop("gives back every entry as it was", [anyEntry], ([entry]) =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const back = yield* codec.decode(yield* codec.encode(entry))
        assert.instanceOf(back, CacheEntry.CacheEntry)
        assert.deepStrictEqual(storedPart(back), storedPart(entry))
        assert.strictEqual(back.revision, -1)
      }), { arbitrary: { runs: 300 } })

    it.effect.each(
      [
        ["empty", ""],
        ["small", "{\"a\":1}"],
        ["of 10 000 elements", JSON.stringify(Array.from({ length: 10_000 }, (_, n) => ({ n, name: `n${n}` })))],
        ["binary", Uint8Array.from({ length: 512 }, (_, n) => n % 256)],
        ["an empty list of bytes", new Uint8Array()],
        ["of 1 MB", "0123456789abcdef".repeat(65_536)],
        ["of 1 MB that does not compress", noise(1_048_576)],
        ["text that starts with a byte order mark", "\ufeff{}"],
        ["text outside ASCII", "Zürich, 東京, 😀"]
      ] as const
    )("gives back a body (scenario 43): %s", ([, body]) =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const entry = makeEntry("k", { body })
        const back = yield* codec.decode(yield* codec.encode(entry))
        assert.deepStrictEqual(storedPart(back), storedPart(entry))
      }))

    it.effect("gives back the largest position and the ends of time", () =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        for (const expiresAt of [0, 0.5, Number.MAX_SAFE_INTEGER, Infinity]) {
          const entry = makeEntry("k", { position: Number.MAX_SAFE_INTEGER, createdAt: 1.25, expiresAt, tags: [] })
          const back = yield* codec.decode(yield* codec.encode(entry))
          assert.deepStrictEqual(storedPart(back), storedPart(entry))
        }
      }))

    it.effect("gives back a failure, and what a policy says, with all ends of time", () =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const ends = [0, 0.5, 1_900_000_000_000, Number.MAX_SAFE_INTEGER, Infinity]
        const names = ["staleUntil", "errorUntil", "keptUntil", "idle"] as const
        const terms = [
          undefined,
          ...names.flatMap((name) => ends.map((end) => makeTerms(5, { usedAt: 7.5, eager: 0.25, [name]: end }))),
          makeTerms(Infinity, { usedAt: Number.MAX_SAFE_INTEGER, eager: 1_000_000 })
        ]
        for (const failed of [false, true]) {
          for (const each of terms) {
            const entry = makeEntry("k", { failed, terms: each, expiresAt: 5 })
            const back = yield* codec.decode(yield* codec.encode(entry))
            assert.deepStrictEqual(storedPart(back), storedPart(entry))
            assert.strictEqual(back.usedAt, entry.usedAt)
            assert.strictEqual(CacheEntry.endsAt(back), CacheEntry.endsAt(entry))
          }
        }
      }))

    it.effect("gives back 10 000 tags", () =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const tags = Array.from({ length: 10_000 }, (_, n) => `user:${n}:%2F%00`).toSorted()
        const back = yield* codec.decode(yield* codec.encode(makeEntry("k", { tags })))
        assert.deepStrictEqual(back.tags, tags)
      }))

    it.effect("never gives back another text where a text has no UTF-8 form", () =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const lone = ["\ud800", "\udc00", "a\ud83d".repeat(100)]
        for (const text of lone) {
          for (
            const entry of [makeEntry(text), makeEntry("k", { fingerprint: text }), makeEntry("k", { body: text })]
          ) {
            const result = yield* Effect.exit(Effect.flatMap(codec.encode(entry), codec.decode))
            if (Exit.isFailure(result)) assert.isTrue(Exit.hasFails(result), "refused, not thrown")
            else {
              const { body, fingerprint, key } = result.value
              assert.deepStrictEqual({ body, fingerprint, key }, {
                body: entry.body,
                fingerprint: entry.fingerprint,
                key: entry.key
              })
            }
          }
        }
      }))

    it.effect("keeps no hold on the bytes that it was given, nor they on the entry", () =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const entry = makeEntry("k", { body: Uint8Array.from({ length: 300 }, (_, n) => n % 256) })
        const first = yield* codec.encode(entry)
        const copy = Uint8Array.from(first)
        yield* codec.encode(makeEntry("other", { body: "x".repeat(10_000) }))
        assert.deepStrictEqual(Uint8Array.from(first), copy, "a later encode writes elsewhere")
        const back = yield* codec.decode(first)
        first.fill(0)
        assert.deepStrictEqual(storedPart(back), storedPart(entry))
      }))

    it.effect("decodes bytes that lie inside other bytes", () =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const entry = makeEntry("k")
        const encoded = yield* codec.encode(entry)
        const around = new Uint8Array(encoded.length + 20).fill(255)
        around.set(encoded, 7)
        const back = yield* codec.decode(around.subarray(7, 7 + encoded.length))
        assert.deepStrictEqual(storedPart(back), storedPart(entry))
      }))

    it.effect("refuses every truncation of an entry (scenario 44)", () =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const head = { status: 200, headers: { etag: "\"1\"" } }
        for (const more of [{}, { failed: true }, { failed: true, terms: makeTerms(5, { idle: 3 }) }]) {
          const encoded = yield* codec.encode(makeEntry("k", { head, ...more }))
          for (let length = 0; length < encoded.length; length++) yield* refusal(encoded.subarray(0, length))
        }
      }))

    it.effect("refuses an entry with every single bit flipped, or it is the very entry (scenario 44)", () =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const head = { status: 200, headers: { etag: "\"1\"" } }
        const terms = makeTerms(5, { errorUntil: Infinity, idle: 3, usedAt: 2 })
        for (const more of [{}, { failed: true }, { failed: true, terms }]) {
          const entry = makeEntry("k", { head, expiresAt: 5, ...more })
          const encoded = yield* codec.encode(entry)
          let refused = 0
          for (let bit = 0; bit < encoded.length * 8; bit++) {
            const back = yield* decoded(codec, flipped(encoded, bit))
            if (back === undefined) refused++
            else assert.deepStrictEqual(storedPart(back), storedPart(entry), `bit ${bit}`)
          }
          assert.isAtLeast(refused, encoded.length * 8 - 4)
        }
      }))

    it.effect.prop(
      "never takes a damaged entry for another one (scenario 44)",
      { entry: anyEntry, bit: natural, length: natural },
      ({ bit, entry, length }) =>
        Effect.gen(function*() {
          const codec = yield* Codec.Codec
          const encoded = yield* codec.encode(entry)
          const back = yield* decoded(codec, flipped(encoded, bit % (encoded.length * 8)))
          if (back !== undefined) assert.deepStrictEqual(storedPart(back), storedPart(entry))
          yield* refusal(encoded.subarray(0, length % encoded.length))
        }),
      { arbitrary: { runs: 300 } }
    )

    it.effect.prop("refuses bytes that are no entry (scenario 44)", [bytes], ([input]) => refusal(input), {
      arbitrary: { runs: 300 }
    })

    it.effect.prop(
      "refuses an entry with bytes after it (scenario 44)",
      { entry: anyEntry, more: Arbitrary.map(bytes, (more) => Uint8Array.of(...more, 0)) },
      ({ entry, more }) =>
        Effect.gen(function*() {
          const codec = yield* Codec.Codec
          const encoded = yield* codec.encode(entry)
          const longer = new Uint8Array(encoded.length + more.length)
          longer.set(encoded)
          longer.set(more, encoded.length)
          yield* refusal(longer)
        })
    )

    it.effect.each(
      [
        ["nothing", ""],
        ["JSON of something else", "{\"a\":1}"],
        ["an entry without its parts", "{\"version\":2,\"checksum\":\"\",\"entry\":{}}"],
        ["a list where the entry should be", "{\"version\":2,\"checksum\":\"\",\"entry\":[]}"],
        ["null", "null"],
        ["deeply nested lists", `{"version":2,"checksum":"","entry":${"[".repeat(200_000)}${"]".repeat(200_000)}}`],
        [
          "deeply nested records",
          `{"version":2,"checksum":"","entry":${"{\"a\":".repeat(200_000)}1${"}".repeat(200_000)}}`
        ],
        ["text", "ECE and nothing of the kind"]
      ] as const
    )("refuses what something else wrote (scenario 44): %s", ([, input]) => refusal(new TextEncoder().encode(input)))

    it.effect("says what is wrong with bytes that it refuses", () =>
      Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const error: CacheError.CacheError = yield* Effect.flip(codec.decode(Uint8Array.of(1, 2, 3)))
        assert.strictEqual(error._tag, "CacheError")
        assert.isAbove(error.message.length, 10)
      }))
  })

export const flipped = (input: Uint8Array, bit: number): Uint8Array => {
  const out = Uint8Array.from(input)
  out[bit >> 3]! ^= 1 << (bit & 7)
  return out
}

/** Bytes without a pattern, the same in each run. */
export function noise(length: number): Uint8Array {
  const out = new Uint8Array(length)
  let state = 0x9e3779b9
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    out[i] = state & 255
  }
  return out
}
