/**
 * The compact codec: MessagePack, compressed with LZ4 when that pays.
 *
 * Layout: `ECE`, the format version (1 byte), CRC-32 of all that follows (4 bytes), flags (1 byte, bit 0: compressed),
 * length of the uncompressed payload (4 bytes), payload. Numbers are little-endian. The payload is the length of what describes
 * the entry (4 bytes), that, and the body as it is served, to the end. What describes the entry is a MessagePack array of key,
 * fingerprint, head, tags, position, createdAt, expiresAt and the validator of the body; where the entry is a failure or has
 * terms, also of failed, and where it has terms, of these as an array. The tags are one text, joined by line feeds, so that no
 * length in the payload can ask for more than the payload holds.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { compressSync, uncompressSync } from "lz4-napi"
// On node, the same without its native reader of strings, which is slow where a payload lies in a large buffer.
import { Packr } from "msgpackr/pack"
import { crc32 } from "node:zlib"
import * as CacheEntry from "./CacheEntry.ts"
import * as CacheError from "./CacheError.ts"
import { Codec, formatVersion } from "./Codec.ts"
import { codecError } from "./internal/errors.ts"
import { size } from "./internal/settings.ts"
import { storedValidator } from "./internal/validator.ts"

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
      encode: (entry) => Effect.suspend(() => encode(entry, compressFrom, maxBytes)),
      // At once, so that who reads many entries needs no further step for each.
      decode: (bytes) => decode(bytes, maxBytes)
    })
  }))

const headerBytes = 13
const magic = 0x454345
// No records and no extensions: what describes an entry holds texts and numbers only.
const packr = new Packr({ useRecords: false })

const encode = (
  entry: CacheEntry.Stored,
  compressFrom: number,
  maxBytes: number
): Exit.Exit<Uint8Array, CacheError.CacheError> => {
  const { body, createdAt, expiresAt, failed, fingerprint, head, key, position, tags, terms } = entry
  const texts = [key, fingerprint, head === undefined ? "" : JSON.stringify(head), tags.join("\n")] as const
  if (!(texts.every((text) => text.isWellFormed()) && (typeof body !== "string" || body.isWellFormed()))) {
    return refuse("encode", `Entry ${JSON.stringify(key)} has a text with half a surrogate pair, which UTF-8 lacks`)
  }
  const fields: Array<unknown> = [...texts, position, createdAt, expiresAt, storedValidator(entry) ?? ""]
  if (failed === true || terms !== undefined) fields.push(failed === true)
  if (terms !== undefined) {
    fields.push([terms.staleUntil, terms.errorUntil, terms.keptUntil, terms.idle, terms.usedAt, terms.eager])
  }
  const description = packr.pack(fields)
  const bodyAt = 4 + description.length
  const length = bodyAt + (typeof body === "string" ? Buffer.byteLength(body) : body.length)
  if (length > maxBytes) return Exit.fail(tooLarge(length, maxBytes))
  const plain = Buffer.allocUnsafe(headerBytes + length)
  const payload = plain.subarray(headerBytes)
  payload.writeUInt32LE(description.length, 0)
  payload.set(description, 4)
  if (typeof body === "string") payload.write(body, bodyAt)
  else payload.set(body, bodyAt)
  const compressed = length >= compressFrom ? compressSync(payload) : payload
  const isSmaller = compressed.length < length
  const bytes = isSmaller ? Buffer.allocUnsafe(headerBytes + compressed.length) : plain
  if (isSmaller) bytes.set(compressed, headerBytes)
  bytes.writeUIntLE(magic, 0, 3)
  bytes.writeUInt8(formatVersion, 3)
  bytes.writeUInt8(isSmaller ? 1 : 0, 8)
  bytes.writeUInt32LE(length, 9)
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
  return Exit.succeed(bytes)
}

const decode = (input: Uint8Array, maxBytes: number): Exit.Exit<CacheEntry.CacheEntry, CacheError.CacheError> => {
  const bytes = Buffer.isBuffer(input) ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength)
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
  if (length > maxBytes) return Exit.fail(tooLarge(length, maxBytes))
  try {
    if (bytes.readUInt8(8) === 0) {
      return bytes.length === headerBytes + length
        ? unpack(bytes, headerBytes, true)
        : refuse("malformed", "Wrong length")
    }
    const content = bytes.subarray(headerBytes)
    // lz4-napi starts its output with the length that it will allocate. LZ4 cannot expand by more than 255.
    if (content.length < 4 || content.readUInt32LE(0) !== length || length > content.length * 255) {
      return refuse("malformed", `${content.length} bytes cannot be the compressed form of ${length}`)
    }
    const payload = uncompressSync(content)
    return payload.length === length ? unpack(payload, 0, false) : refuse("malformed", "Wrong length")
  } catch (cause) {
    return Exit.fail(codecError("malformed", "The bytes are not an entry", cause))
  }
}

// The payload that starts at `from`. Throws for what is none.
const unpack = (
  bytes: Buffer,
  from: number,
  isView: boolean
): Exit.Exit<CacheEntry.CacheEntry, CacheError.CacheError> => {
  const bodyAt = from + 4 + bytes.readUInt32LE(from)
  if (bodyAt > bytes.length) return refuse("malformed", "What describes the entry is longer than it")
  const fields: unknown = packr.unpack(bytes.subarray(from + 4, bodyAt))
  if (!isDescription(fields)) return refuse("malformed", "What describes the entry does not")
  const [key, fingerprint, head, tags, position, createdAt, expiresAt, etag, failed, terms] = fields
  const body = bytes.subarray(bodyAt)
  const entry = new CacheEntry.CacheEntry({
    key,
    fingerprint,
    // A view would keep all in memory that came with it.
    body: isView ? new Uint8Array(body) : body,
    head: head === "" ? undefined : headOf(head),
    tags: tags === "" ? [] : tags.split("\n"),
    position,
    createdAt,
    expiresAt,
    failed,
    terms: terms === undefined ? undefined : termsOf(terms),
    etag: etag === "" ? undefined : etag
  })
  // The checksum was right.
  entry.intact = true
  return Exit.succeed(entry)
}

type Description = readonly [
  key: string,
  fingerprint: string,
  head: string,
  tags: string,
  position: number,
  createdAt: number,
  expiresAt: number,
  etag: string,
  failed?: boolean,
  terms?: ReadonlyArray<number>
]

// By hand, because a schema takes longer for it than all the rest of decoding.
const isDescription = (fields: unknown): fields is Description =>
  Array.isArray(fields) && fields.length >= 8 && fields.length <= 10 &&
  typeof fields[0] === "string" && typeof fields[1] === "string" && typeof fields[2] === "string" &&
  typeof fields[3] === "string" && Number.isSafeInteger(fields[4]) && Number.isFinite(fields[5]) &&
  isTime(fields[6]) && typeof fields[7] === "string" && (fields.length < 9 || typeof fields[8] === "boolean") &&
  (fields.length < 10 || isTerms(fields[9]))

const isTerms = (terms: unknown): boolean =>
  Array.isArray(terms) && terms.length === 6 && isTime(terms[0]) && isTime(terms[1]) && isTime(terms[2]) &&
  isDuration(terms[3]) && Number.isFinite(terms[4]) && isDuration(terms[5]) && terms[5] !== Infinity

// Either may be infinite, and neither NaN.
const isTime = (value: unknown): boolean => typeof value === "number" && value > -Infinity
const isDuration = (value: unknown): boolean => typeof value === "number" && value >= 0

const termsOf = (terms: ReadonlyArray<number>): CacheEntry.Terms => ({
  staleUntil: terms[0]!,
  errorUntil: terms[1]!,
  keptUntil: terms[2]!,
  idle: terms[3]!,
  usedAt: terms[4]!,
  eager: terms[5]!
})

// Throws for what is none.
const headOf = (text: string): CacheEntry.ResponseHead => {
  const head: CacheEntry.ResponseHead = JSON.parse(text)
  const { headers, status } = head
  if (!Number.isSafeInteger(status) || typeof headers !== "object" || headers === null || Array.isArray(headers)) {
    throw new TypeError("no head of a response")
  }
  for (const name in headers) {
    if (typeof headers[name] !== "string") throw new TypeError("a header that is no text")
  }
  return { status, headers }
}

const refuse = (problem: CacheError.CodecError["problem"], message: string) => Exit.fail(codecError(problem, message))

const tooLarge = (length: number, maxBytes: number) =>
  codecError("too-large", `An entry of ${length} bytes is larger than the bound of ${maxBytes}`)
