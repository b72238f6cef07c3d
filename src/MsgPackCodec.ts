/**
 * The compact codec: MessagePack, compressed with LZ4 when that pays.
 *
 * Layout: `ECE`, the format version (1 byte), CRC-32 of all that follows (4 bytes), flags (1 byte, bit 0: compressed),
 * length of the uncompressed payload (4 bytes), payload. Numbers are little-endian. The payload is a MessagePack array
 * of key, fingerprint, body, head, tags, position, createdAt and expiresAt; where the entry is a failure or has terms, also of
 * failed, and where it has terms, of these as an array. The tags are one text, joined by line feeds, so that no length in
 * the payload can ask for more than the payload holds.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { compressSync, uncompressSync } from "lz4-napi"
// On node, the same without its native reader of strings, which is slow where a payload lies in a large buffer.
import { Packr } from "msgpackr/pack"
import { crc32 } from "node:zlib"
import * as CacheEntry from "./CacheEntry.ts"
import * as CacheError from "./CacheError.ts"
import { Codec, formatVersion } from "./Codec.ts"
import { codecError } from "./internal/errors.ts"
import { size } from "./internal/settings.ts"

/**
 * MessagePack and LZ4.
 *
 * **Details**
 *
 * - `compressFrom`: the smallest payload in bytes that is compressed, default 4 096. `Infinity` never compresses.
 * - `maxBytes`: the largest entry in bytes, uncompressed, default 64 MiB. Larger ones are refused in both directions,
 *   before anything of their size is allocated.
 *
 * Fails with a `CacheError` of reason `DefinitionError` for a bound that is not a whole number of at least one.
 *
 * **Example** (There and back)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { CacheEntry, Codec } from "effect-cached"
 * import * as MsgPackCodec from "effect-cached/MsgPackCodec"
 *
 * const program = Effect.gen(function*() {
 *   const codec = yield* Codec.Codec
 *   const bytes = yield* codec.encode({
 *     key: "user\t{\"id\":7}",
 *     fingerprint: "f",
 *     body: "{\"name\":\"Ada\"}",
 *     head: undefined,
 *     tags: ["user:7"],
 *     position: 1,
 *     createdAt: 0,
 *     expiresAt: Infinity
 *   })
 *   const entry = yield* codec.decode(bytes)
 *   return [CacheEntry.text(entry), entry.tags]
 * }).pipe(Effect.provide(MsgPackCodec.layer({ compressFrom: 1024 })))
 *
 * await Effect.runPromise(program) // => ["{\"name\":\"Ada\"}", ["user:7"]]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  readonly compressFrom?: number | undefined
  readonly maxBytes?: number | undefined
}): Layer.Layer<Codec, CacheError.CacheError> =>
  Layer.effect(Codec)(Effect.gen(function*() {
    const compressFrom = options?.compressFrom === Infinity
      ? Infinity
      : yield* size("MsgPackCodec.compressFrom", options?.compressFrom ?? 4096)
    const maxBytes = yield* size("MsgPackCodec.maxBytes", options?.maxBytes ?? 64 * 1024 * 1024)
    return Codec.of({
      encode: (entry) => Effect.suspend(() => Effect.fromResult(encode(entry, compressFrom, maxBytes))),
      decode: (bytes) => Effect.suspend(() => Effect.fromResult(decode(bytes, maxBytes)))
    })
  }))

const headerBytes = 13
const magic = 0x454345
// No records and no extensions: the payload holds texts, bytes and numbers only.
const packr = new Packr({ useRecords: false })

const encode = (
  { body, createdAt, expiresAt, failed, fingerprint, head, key, position, tags, terms }: CacheEntry.Stored,
  compressFrom: number,
  maxBytes: number
): Result.Result<Uint8Array, CacheError.CacheError> => {
  const texts = [key, fingerprint, head === undefined ? "" : JSON.stringify(head), tags.join("\n")] as const
  if (!(texts.every((text) => text.isWellFormed()) && (typeof body !== "string" || body.isWellFormed()))) {
    return refuse("encode", `Entry ${JSON.stringify(key)} has a text with half a surrogate pair, which UTF-8 lacks`)
  }
  const fields: Array<unknown> = [texts[0], texts[1], body, texts[2], texts[3], position, createdAt, expiresAt]
  if (failed === true || terms !== undefined) fields.push(failed === true)
  if (terms !== undefined) {
    fields.push([terms.staleUntil, terms.errorUntil, terms.keptUntil, terms.idle, terms.usedAt, terms.eager])
  }
  const payload = packr.pack(fields)
  if (payload.length > maxBytes) return Result.fail(tooLarge(payload.length, maxBytes))
  const compressed = payload.length >= compressFrom ? compressSync(payload) : payload
  const content = compressed.length < payload.length ? compressed : payload
  const bytes = Buffer.allocUnsafe(headerBytes + content.length)
  bytes.writeUIntLE(magic, 0, 3)
  bytes.writeUInt8(formatVersion, 3)
  bytes.writeUInt8(content === payload ? 0 : 1, 8)
  bytes.writeUInt32LE(payload.length, 9)
  bytes.set(content, headerBytes)
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
  return Result.succeed(bytes)
}

const decode = (input: Uint8Array, maxBytes: number): Result.Result<CacheEntry.CacheEntry, CacheError.CacheError> => {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  if (bytes.length < headerBytes) {
    return refuse("truncated", `${bytes.length} bytes are fewer than the header of an entry`)
  }
  if (bytes.readUIntLE(0, 3) !== magic) return refuse("foreign", "The bytes do not start like an entry")
  const version = bytes.readUInt8(3)
  if (version !== formatVersion) {
    return refuse("version", `The entry has format version ${version}, this library reads ${formatVersion}`)
  }
  if (bytes.readUInt32LE(4) !== crc32(bytes.subarray(8))) {
    return refuse("checksum", "The entry does not match its checksum: it was truncated or changed")
  }
  const length = bytes.readUInt32LE(9)
  if (length > maxBytes) return Result.fail(tooLarge(length, maxBytes))
  const content = bytes.subarray(headerBytes)
  if (bytes.readUInt8(8) === 0) return content.length === length ? unpack(content) : refuse("malformed", "Wrong length")
  // lz4-napi starts its output with the length that it will allocate. LZ4 cannot expand by more than 255.
  if (content.length < 4 || content.readUInt32LE(0) !== length || length > content.length * 255) {
    return refuse("malformed", `${content.length} bytes cannot be the compressed form of ${length}`)
  }
  return Result.flatMap(
    attempt(() => uncompressSync(content)),
    (payload) => payload.length === length ? unpack(payload) : refuse("malformed", "Wrong length")
  )
}

const unpack = (payload: Uint8Array): Result.Result<CacheEntry.CacheEntry, CacheError.CacheError> =>
  Result.flatMap(
    attempt(() => decodePayload(packr.unpack(payload))),
    ([key, fingerprint, body, head, tags, position, createdAt, expiresAt, failed, terms]) =>
      attempt(() =>
        new CacheEntry.CacheEntry({
          key,
          fingerprint,
          // Unpacked bytes are a view: a copy does not keep the whole payload in memory.
          body: typeof body === "string" ? body : Uint8Array.from(body),
          head: head === "" ? undefined : decodeHead(head),
          tags: tags === "" ? [] : tags.split("\n"),
          position,
          createdAt,
          expiresAt,
          failed,
          terms: terms === undefined ? undefined : asTerms(terms)
        })
      )
  )

const asTerms = (
  [staleUntil, errorUntil, keptUntil, idle, usedAt, eager]: NonNullable<ReturnType<typeof decodePayload>[9]>
): CacheEntry.Terms => ({ staleUntil, errorUntil, keptUntil, idle, usedAt, eager })

// Either may be infinite, and neither NaN.
const time = Schema.Number.check(Schema.makeFilter((millis) => millis > -Infinity))
const duration = Schema.Number.check(Schema.makeFilter((millis) => millis >= 0))

const decodePayload = Schema.decodeUnknownSync(Schema.Tuple([
  Schema.String,
  Schema.String,
  Schema.Union([Schema.String, Schema.Uint8Array]),
  Schema.String,
  Schema.String,
  Schema.Int,
  Schema.Finite,
  time,
  Schema.optionalKey(Schema.Boolean),
  Schema.optionalKey(Schema.Tuple([time, time, time, duration, Schema.Finite, duration.check(Schema.isFinite())]))
]))

const decodeHead = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({
  status: Schema.Int,
  headers: Schema.Record(Schema.String, Schema.String)
})))

const attempt = <A>(f: () => A): Result.Result<A, CacheError.CacheError> =>
  Result.try({
    try: f,
    catch: (cause) => codecError("malformed", "The bytes are not an entry", cause)
  })

const refuse = (problem: CacheError.CodecError["problem"], message: string) => Result.fail(codecError(problem, message))

const tooLarge = (length: number, maxBytes: number) =>
  codecError("too-large", `An entry of ${length} bytes is larger than the bound of ${maxBytes}`)
