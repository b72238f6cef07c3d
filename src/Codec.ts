/**
 * Codecs: entries to bytes and back, for stores that keep bytes.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as CacheEntry from "./CacheEntry.ts"
import * as CacheError from "./CacheError.ts"
import { digest } from "./internal/digest.ts"
import { codecError } from "./internal/errors.ts"
import { storedValidator } from "./internal/validator.ts"

/**
 * The version of the stored form. Entries of another version are misses.
 *
 * @category models
 * @since 0.1.0
 */
export const formatVersion = 3

/**
 * The service.
 *
 * **Details**
 *
 * Whatever bytes are given, `decode` either returns the entry that `encode` was given, or fails with a `CacheError` of
 * reason `CodecError`: it never throws and never returns another entry. Only the form of the body may differ, a text or
 * its bytes in UTF-8, and the `etag` may have been made meanwhile.
 *
 * @category services
 * @since 0.1.0
 */
export class Codec extends Context.Service<Codec, {
  readonly encode: (entry: CacheEntry.Stored) => Effect.Effect<Uint8Array, CacheError.CacheError>
  readonly decode: (bytes: Uint8Array) => Effect.Effect<CacheEntry.CacheEntry, CacheError.CacheError>
}>()("effect-cached/Codec") {}

/**
 * Entries as JSON in UTF-8, for people and tools that read a store. Slower and larger than `MsgPackCodec`; all of an
 * entry is covered by a SHA-256.
 *
 * **Example** (There and back)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { CacheEntry, Codec } from "effect-cached"
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
 * }).pipe(Effect.provide(Codec.layerJson))
 *
 * await Effect.runPromise(program) // => ["{\"name\":\"Ada\"}", ["user:7"]]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerJson: Layer.Layer<Codec> = Layer.sync(Codec)(() =>
  Codec.of({
    encode: (entry) => Effect.sync(() => textEncoder.encode(toJson(entry))),
    // Deeply nested text overflows the stack of what parses it.
    decode: (bytes) =>
      Effect.suspend(() => Effect.fromResult(fromJson(bytes))).pipe(
        Effect.catchDefect((defect) => Effect.fail(malformed(defect)))
      )
  })
)

const toJson = (stored: CacheEntry.Stored): string => {
  const { body, createdAt, expiresAt, failed, fingerprint, head, key, position, tags, terms } = stored
  const etag = storedValidator(stored)
  const text = typeof body === "string" ? body : asText(body)
  const entry = JSON.stringify({
    key,
    fingerprint,
    ...(text === undefined ? { base64: Base64.encode(body) } : { body: text }),
    ...(head === undefined ? {} : { head }),
    tags,
    position,
    createdAt,
    ...finite({ expiresAt }),
    ...(failed === true ? { failed } : {}),
    ...(terms === undefined ? {} : { terms: finite(terms) }),
    ...(etag === undefined ? {} : { etag })
  })
  return `{"version":${formatVersion},"checksum":"${digest(entry)}","entry":${entry}}`
}

// JSON has no infinity: a time that never comes is left out.
const finite = (times: object): Record<string, number> =>
  Object.fromEntries(Object.entries(times).filter(([, time]) => time !== Infinity))

const fromJson = (bytes: Uint8Array): Result.Result<CacheEntry.CacheEntry, CacheError.CacheError> => {
  const text = asText(bytes)
  if (text === undefined) return Result.fail(codecError("foreign", "The stored bytes are not text in UTF-8"))
  return Result.flatMap(Result.mapError(decodeEnvelope(text), malformed), ({ checksum, entry, version }) => {
    if (version !== formatVersion) {
      const problem = `The stored entry has format version ${version}, this library reads ${formatVersion}`
      return Result.fail(codecError("version", problem))
    }
    if (checksum !== digest(JSON.stringify(entry))) {
      return Result.fail(codecError("checksum", "The stored entry does not match its checksum"))
    }
    return Result.map(Result.mapError(decodeFields(entry), malformed), (fields) => {
      const decoded = new CacheEntry.CacheEntry({
        ...fields,
        body: fields.body ?? fields.base64 ?? "",
        head: fields.head,
        etag: fields.etag,
        expiresAt: fields.expiresAt ?? Infinity,
        terms: fields.terms === undefined ? undefined : { ...endless, ...fields.terms }
      })
      // The checksum was right.
      decoded.intact = true
      return decoded
    })
  })
}

const decodeEnvelope = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Struct({
  version: Schema.Int,
  checksum: Schema.String,
  entry: Schema.Json
})))

const notNegative = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

const decodeFields = Schema.decodeUnknownResult(Schema.Struct({
  key: Schema.String,
  fingerprint: Schema.String,
  body: Schema.optionalKey(Schema.String),
  base64: Schema.optionalKey(Schema.Uint8ArrayFromBase64),
  head: Schema.optionalKey(Schema.Struct({
    status: Schema.Int,
    headers: Schema.Record(Schema.String, Schema.String)
  })),
  tags: Schema.Array(Schema.String),
  position: Schema.Int,
  createdAt: Schema.Finite,
  expiresAt: Schema.optionalKey(Schema.Finite),
  failed: Schema.optionalKey(Schema.Boolean),
  terms: Schema.optionalKey(Schema.Struct({
    staleUntil: Schema.optionalKey(Schema.Finite),
    errorUntil: Schema.optionalKey(Schema.Finite),
    keptUntil: Schema.optionalKey(Schema.Finite),
    idle: Schema.optionalKey(notNegative),
    usedAt: Schema.Finite,
    eager: notNegative
  })),
  etag: Schema.optionalKey(Schema.String)
}))

const endless = { staleUntil: Infinity, errorUntil: Infinity, keptUntil: Infinity, idle: Infinity }

const malformed = (cause: unknown) => codecError("malformed", "The stored text is not an entry in JSON", cause)

const asText = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

const textEncoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
