import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { CacheEntry, Codec } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { Packr } from "msgpackr"
import { Buffer } from "node:buffer"
import { crc32 } from "node:zlib"
import { codecSuite, decoded, flipped, noise } from "./suites/codecSuite.ts"
import { anyEntry, bytes, makeEntry, makeTerms, storedPart } from "./suites/entries.ts"

codecSuite("MsgPackCodec", MsgPackCodec.layer())
codecSuite("MsgPackCodec that compresses from 1 byte", MsgPackCodec.layer({ compressFrom: 1 }))
codecSuite("MsgPackCodec that never compresses", MsgPackCodec.layer({ compressFrom: Infinity }))

// What an attacker writes who knows the format: everything is right but the content.
const forged = (content: Uint8Array, options?: { readonly flags?: number; readonly length?: number }): Buffer => {
  const out = Buffer.alloc(13 + content.length)
  out.write("ECE", "latin1")
  out.writeUInt8(Codec.formatVersion, 3)
  out.writeUInt8(options?.flags ?? 0, 8)
  out.writeUInt32LE(options?.length ?? content.length, 9)
  out.set(content, 13)
  out.writeUInt32LE(crc32(out.subarray(8)), 4)
  return out
}

// As a payload: what describes an entry, and its body.
const payload = (fields: unknown, body = "1"): Uint8Array => {
  const description = new Packr({ useRecords: false }).pack(fields)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(description.length)
  return Buffer.concat([length, description, Buffer.from(body)])
}

const problemOf = (input: Uint8Array) =>
  Effect.gen(function*() {
    const codec = yield* Codec.Codec
    const { reason } = yield* Effect.flip(codec.decode(input))
    return reason._tag === "CodecError" ? reason.problem : reason._tag
  })

const compressedFlag = (input: Uint8Array) => input[8]

const encodedWith = (options: Parameters<typeof MsgPackCodec.layer>[0], body: string | Uint8Array) =>
  Effect.gen(function*() {
    const codec = yield* Codec.Codec
    return yield* codec.encode(makeEntry("k", { body }))
  }).pipe(Effect.provide(MsgPackCodec.layer(options)))

describe("MsgPackCodec.layer", () => {
  it.effect("writes no byte for terms that an entry does not have", () =>
    Effect.gen(function*() {
      const codec = yield* Codec.Codec
      const length = (options?: Partial<CacheEntry.Stored>) =>
        Effect.map(codec.encode(makeEntry("k", options)), (bytes) => bytes.length)
      // The header, the length of what describes it, one byte for the array, its eight values, and the body.
      assert.strictEqual(yield* length(), 13 + 4 + (1 + 2 + 17 + 1 + 7 + 1 + 1 + 9 + 36) + 3)
      assert.strictEqual(yield* length({ failed: false, terms: undefined }), yield* length())
      // Failures have no validator.
      assert.strictEqual(yield* length({ failed: true }), (yield* length()) + 1 - 35)
      assert.isAtMost(yield* length({ terms: makeTerms(1_900_000_000_000) }), (yield* length()) + 1 + 1 + 6 * 9)
    }).pipe(Effect.provide(MsgPackCodec.layer())))

  it.effect("leaves small entries uncompressed and compresses large ones (scenario 43)", () =>
    Effect.gen(function*() {
      assert.strictEqual(compressedFlag(yield* encodedWith({}, "a".repeat(3000))), 0)
      const large = yield* encodedWith({}, "a".repeat(100_000))
      assert.strictEqual(compressedFlag(large), 1)
      assert.isBelow(large.length, 2000)
    }))

  it.effect("compresses from the threshold of its option", () =>
    Effect.gen(function*() {
      const body = "a".repeat(1000)
      const payload = (yield* encodedWith({ compressFrom: Infinity }, body)).length - 13
      assert.strictEqual(compressedFlag(yield* encodedWith({ compressFrom: payload }, body)), 1)
      assert.strictEqual(compressedFlag(yield* encodedWith({ compressFrom: payload + 1 }, body)), 0)
      assert.strictEqual(compressedFlag(yield* encodedWith({ compressFrom: Infinity }, "a".repeat(1_000_000))), 0)
    }))

  it.effect("keeps the plain form where compression makes nothing smaller", () =>
    Effect.gen(function*() {
      const encoded = yield* encodedWith({ compressFrom: 1 }, noise(10_000))
      assert.strictEqual(compressedFlag(encoded), 0)
      assert.isBelow(encoded.length, 10_200)
    }))

  it.effect.each(
    [
      ["compressFrom", 0],
      ["compressFrom", -1],
      ["compressFrom", NaN],
      ["compressFrom", 1.5],
      ["maxBytes", 0],
      ["maxBytes", NaN],
      ["maxBytes", Infinity]
    ] as const
  )("refuses the option %s: %s", ([option, value]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(Codec.Codec, MsgPackCodec.layer({ [option]: value })))
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.include(error.message, option)
    }))

  it.effect("refuses an entry over its bound in both directions", () =>
    Effect.gen(function*() {
      const large = yield* encodedWith({}, "a".repeat(10_000))
      yield* Effect.gen(function*() {
        const codec = yield* Codec.Codec
        const { reason } = yield* Effect.flip(codec.encode(makeEntry("k", { body: "a".repeat(10_000) })))
        assert.strictEqual(reason._tag === "CodecError" && reason.problem, "too-large")
        assert.strictEqual(yield* problemOf(large), "too-large")
        assert.instanceOf(
          yield* codec.decode(yield* codec.encode(makeEntry("k", { body: "a".repeat(9_000) }))),
          CacheEntry.CacheEntry
        )
      }).pipe(Effect.provide(MsgPackCodec.layer({ maxBytes: 9_500 })))
    }))
})

it.layer(MsgPackCodec.layer())("Bytes that MsgPackCodec refuses (scenario 44)", (it) => {
  it.effect("are told apart by what is wrong with them", () =>
    Effect.gen(function*() {
      const codec = yield* Codec.Codec
      const encoded = yield* codec.encode(makeEntry("k"))
      assert.strictEqual(yield* problemOf(new Uint8Array()), "truncated")
      assert.strictEqual(yield* problemOf(encoded.subarray(0, 12)), "truncated")
      assert.strictEqual(yield* problemOf(encoded.subarray(0, encoded.length - 1)), "checksum")
      assert.strictEqual(yield* problemOf(flipped(encoded, 0)), "foreign")
      assert.strictEqual(yield* problemOf(flipped(encoded, 3 * 8 + 1)), "version")
      assert.strictEqual(yield* problemOf(flipped(encoded, 4 * 8)), "checksum")
      assert.strictEqual(yield* problemOf(flipped(encoded, 8 * 8)), "checksum")
      assert.strictEqual(yield* problemOf(flipped(encoded, 13 * 8)), "checksum")
    }))

  it.effect.prop("are all that have a single bit flipped", {
    entry: anyEntry,
    bit: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000_000 }))
  }, ({ bit, entry }) =>
    Effect.gen(function*() {
      const codec = yield* Codec.Codec
      const encoded = yield* codec.encode(entry)
      assert.isUndefined(yield* decoded(codec, flipped(encoded, bit % (encoded.length * 8))))
    }))

  it.effect.each([0, 1, 255])(
    "claim 4 GiB with a valid checksum and the flags %i: nothing of the kind is allocated",
    (flags) =>
      Effect.gen(function*() {
        const content = Buffer.alloc(64)
        content.writeUInt32LE(0xffff_ffff, 0)
        const before = process.resourceUsage().maxRSS
        assert.include(["too-large", "malformed"], yield* problemOf(forged(content, { flags, length: 0xffff_ffff })))
        assert.isBelow(process.resourceUsage().maxRSS - before, 512 * 1024)
      })
  )

  it.effect("claim to expand to more than LZ4 can: nothing of the kind is allocated", () =>
    Effect.gen(function*() {
      const length = 64 * 1024 * 1024
      const content = Buffer.alloc(64)
      content.writeUInt32LE(length, 0)
      const before = process.memoryUsage().rss
      for (let i = 0; i < 64; i++) {
        assert.strictEqual(yield* problemOf(forged(content, { flags: 1, length })), "malformed")
      }
      assert.isBelow(process.memoryUsage().rss - before, length)
    }))

  it.effect("claim one length in the header and another in the compressed form", () =>
    Effect.gen(function*() {
      const codec = yield* Codec.Codec
      const encoded = Buffer.from(yield* codec.encode(makeEntry("k", { body: "a".repeat(10_000) })))
      const content = encoded.subarray(13)
      const length = encoded.readUInt32LE(9)
      assert.instanceOf(yield* codec.decode(forged(content, { flags: 1, length })), CacheEntry.CacheEntry)
      assert.strictEqual(yield* problemOf(forged(content, { flags: 1, length: length - 1 })), "malformed")
      const lying = Buffer.from(content)
      lying.writeUInt32LE(length + 1, 0)
      assert.strictEqual(yield* problemOf(forged(lying, { flags: 1, length: length + 1 })), "malformed")
      lying.writeUInt32LE(length - 1, 0)
      assert.strictEqual(yield* problemOf(forged(lying, { flags: 1, length: length - 1 })), "malformed")
      assert.strictEqual(yield* problemOf(forged(content, { flags: 0, length })), "malformed")
    }))

  it.effect("hold MessagePack that asks for more than there is", () =>
    Effect.gen(function*() {
      const claims = [
        [0xdd, 0xff, 0xff, 0xff, 0xff], // a list of 2^32 - 1 values
        [0xdd, 0x01, 0xc0, 0x00, 0x00], // a list that would still fit into memory
        [0xdf, 0xff, 0xff, 0xff, 0xff], // a map
        [0xdb, 0xff, 0xff, 0xff, 0xff], // a text
        [0xc6, 0xff, 0xff, 0xff, 0xff], // bytes
        [0xc9, 0xff, 0xff, 0xff, 0xff, 1], // an extension
        [0x98, 0xdd, 0xff, 0xff, 0xff, 0xff], // eight values, the first of them a list
        [0xc1]
      ]
      const before = process.resourceUsage().maxRSS
      const described = (bytes: Uint8Array) => {
        const length = Buffer.alloc(4)
        length.writeUInt32LE(bytes.length)
        return forged(Buffer.concat([length, bytes]))
      }
      for (const claim of claims) assert.strictEqual(yield* problemOf(described(Uint8Array.from(claim))), "malformed")
      assert.strictEqual(yield* problemOf(described(new Uint8Array(2_000_000).fill(0x91))), "malformed")
      // A length that is more than there is, and none at all.
      assert.strictEqual(yield* problemOf(forged(Buffer.alloc(64, 255))), "malformed")
      assert.strictEqual(yield* problemOf(forged(Buffer.alloc(3))), "malformed")
      assert.isBelow(process.resourceUsage().maxRSS - before, 512 * 1024)
    }))

  it.effect("hold MessagePack of something else", () =>
    Effect.gen(function*() {
      const right: ReadonlyArray<unknown> = ["k", "f", "", "user:7", 10, 0, Infinity, "\"e\""]
      // staleUntil, errorUntil, keptUntil, idle, usedAt, eager
      const terms: ReadonlyArray<unknown> = [1, 2, Infinity, Infinity, 5, 0]
      const codec = yield* Codec.Codec
      assert.deepInclude(storedPart(yield* codec.decode(forged(payload(right)))), { key: "k", tags: ["user:7"] })
      assert.deepInclude(storedPart(yield* codec.decode(forged(payload([...right, true, terms])))), {
        failed: true,
        terms: { staleUntil: 1, errorUntil: 2, keptUntil: Infinity, idle: Infinity, usedAt: 5, eager: 0 }
      })
      const wrong: ReadonlyArray<unknown> = [
        null,
        7,
        {},
        [],
        right.slice(1),
        [...right, 1],
        right.with(0, 1),
        right.with(1, null),
        right.with(2, 5),
        right.with(2, "{"),
        right.with(2, "null"),
        right.with(2, "{\"status\":\"200\",\"headers\":{}}"),
        right.with(2, "{\"status\":200,\"headers\":[]}"),
        right.with(2, "{\"status\":200,\"headers\":null}"),
        right.with(2, "{\"status\":200,\"headers\":{\"a\":1}}"),
        right.with(3, ["user:7"]),
        right.with(4, 1.5),
        right.with(4, "10"),
        right.with(5, NaN),
        right.with(6, "never"),
        right.with(6, NaN),
        right.with(6, -Infinity),
        right.with(7, undefined),
        right.with(7, 7),
        [...right, null],
        [...right, "true"],
        [...right, false, null],
        [...right, false, { staleUntil: 1 }],
        [...right, false, terms, 1],
        [...right, terms],
        [...right, false, terms.slice(1)],
        [...right, false, [...terms, 0]],
        ...terms.flatMap((_, index) =>
          [NaN, -Infinity, "5", null, true, [5], Buffer.from("5")].map((value) =>
            right.concat([true, terms.with(index, value)])
          )
        ),
        [...right, true, terms.with(3, -1)],
        [...right, true, terms.with(4, Infinity)],
        [...right, true, terms.with(5, Infinity)],
        [...right, true, terms.with(5, -1)]
      ]
      for (const value of wrong) assert.strictEqual(yield* problemOf(forged(payload(value))), "malformed")
    }))

  it.effect.prop("hold anything at all behind a valid checksum", {
    content: bytes,
    flags: Schema.Literals([0, 1]),
    length: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 })),
    honest: Schema.Boolean
  }, ({ content, flags, honest, length }) =>
    Effect.gen(function*() {
      const codec = yield* Codec.Codec
      const claimed = honest ? content.length : length
      const prefixed = Buffer.alloc(4 + content.length)
      prefixed.writeUInt32LE(claimed)
      prefixed.set(content, 4)
      const result = yield* decoded(codec, forged(flags === 1 ? prefixed : content, { flags, length: claimed }))
      assert.isUndefined(result)
    }), { arbitrary: { runs: 500 } })
})
