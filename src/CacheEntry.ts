/**
 * Entries: what a store keeps.
 *
 * @since 0.1.0
 */
import type * as Exit from "effect/Exit"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"

/**
 * The status and headers of an HTTP response that is cached whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResponseHead {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

/**
 * What the policy that an entry was made under says about its time, besides when it expires. All times are milliseconds
 * since the epoch.
 *
 * **Details**
 *
 * - `staleUntil`: until when it may be served while it is computed anew, never before `expiresAt`.
 * - `errorUntil`: until when it may be served where computing it anew fails, or takes long.
 * - `keptUntil`: until when it is kept to be revalidated.
 * - `idle`: how long it lives without being read, in milliseconds, `Infinity` for as long as it lives at all.
 * - `usedAt`: when it was last read, as far as whoever wrote this knew.
 * - `eager`: how long before its end it is worth to compute it anew, in milliseconds: what the computation took, weighed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Terms {
  readonly staleUntil: number
  readonly errorUntil: number
  readonly keptUntil: number
  readonly idle: number
  readonly usedAt: number
  readonly eager: number
}

/**
 * What is stored of an entry, in plain values.
 *
 * **Details**
 *
 * `key` is the name of the cached function and its canonical input, in full: a store that shortens keys compares it.
 * `body` is the encoded result, exactly as it is served over HTTP. `tags` are unique and in code unit order. `position`
 * is where the invalidation log stood for the writing process when the computation **started**. `createdAt` and
 * `expiresAt` are milliseconds since the epoch; `expiresAt` is `Infinity` for an entry that only ends by invalidation.
 * `fingerprint` identifies the schemas and the version of the function that wrote it. `failed` tells that `body` is the
 * error that the computation failed with. Without `terms`, an entry is over when it expires. `etag` is the validator of `body`
 * (RFC 9110, section 8.8.3), where it is known.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stored {
  readonly key: string
  readonly fingerprint: string
  readonly body: string | Uint8Array
  readonly head: ResponseHead | undefined
  readonly tags: ReadonlyArray<string>
  readonly position: number
  readonly createdAt: number
  readonly expiresAt: number
  readonly failed?: boolean | undefined
  readonly terms?: Terms | undefined
  readonly etag?: string | undefined
}

/**
 * An entry, with what one process remembers about it. Only the {@link Stored} part ever leaves the process.
 *
 * @category models
 * @since 0.1.0
 */
export class CacheEntry implements Stored {
  readonly key: string
  readonly fingerprint: string
  readonly body: string | Uint8Array
  readonly head: ResponseHead | undefined
  readonly tags: ReadonlyArray<string>
  readonly position: number
  readonly createdAt: number
  readonly expiresAt: number
  readonly failed: boolean
  readonly terms: Terms | undefined

  /** When it was last read, as far as this process knows; only where there are `terms`. */
  usedAt: number

  /** When its store was last told of that, after it had given it. A number takes memory of its own in each entry. */
  toldAt: number | undefined = undefined

  /** Until when it may be served without looking at its `terms`. */
  goodUntil: number

  /** Where people may have changed it, until it was checked: nothing of it is served before. */
  unchecked: string | undefined = undefined

  /**
   * Whether `body` is known to be as the schema of its function has written it, which has this fingerprint: it has just done so, or a
   * checksum says so.
   */
  intact = false

  /** Whether its store holds it in memory only, because it could not be written where it should be. */
  unsaved = false

  /** The revision of the dependency graph at which this entry was last found valid. */
  revision = -1

  /** The decoded result, where nobody can change it: what a hit returns without decoding anything. */
  value: Exit.Exit<unknown> | undefined = undefined

  /** The validator of `body` (RFC 9110, section 8.8.3), once it was asked for, or where it was stored. */
  etag: string | undefined

  /** The response last sent for a hit, the second of the entry's age in which it is exact, and what it was made for. */
  served: {
    readonly age: number
    readonly style: object
    /** Those of the response, where a 304 may be made of them. */
    readonly headers: Readonly<Record<string, string>>
    /** In its place, once it was asked for. */
    notModified: Exit.Exit<HttpServerResponse.HttpServerResponse> | undefined
    readonly response: Exit.Exit<HttpServerResponse.HttpServerResponse>
  } | undefined = undefined

  constructor(stored: Stored) {
    this.key = stored.key
    this.fingerprint = stored.fingerprint
    this.body = stored.body
    this.head = stored.head
    this.tags = stored.tags
    this.position = stored.position
    this.createdAt = stored.createdAt
    this.expiresAt = stored.expiresAt
    this.failed = stored.failed === true
    this.terms = stored.terms
    this.etag = stored.etag
    this.usedAt = stored.terms === undefined ? stored.createdAt : stored.terms.usedAt
    this.goodUntil = goodUntil(this)
  }

  /**
   * When the response was made, in milliseconds since the epoch: before `createdAt` where it came with an `Age` (RFC 9111, section
   * 4.2.3), which its head has then.
   */
  get generatedAt(): number {
    return this.head === undefined ? this.createdAt : this.createdAt - ageOf(this.head)
  }
}

const ageOf = ({ headers }: ResponseHead): number => {
  const age = headers["age"]
  const seconds = age === undefined ? 0 : Number(age)
  return seconds > 0 && seconds < Infinity ? seconds * 1000 : 0
}

// No number that `Random` gives makes an early refresh that is earlier than this many times its scale: -ln(2^-53) is 36.7.
const farthest = 37

const goodUntil = ({ expiresAt, terms, usedAt }: CacheEntry): number =>
  terms === undefined
    ? expiresAt
    : Math.min(terms.eager > 0 ? expiresAt - terms.eager * farthest : expiresAt, usedAt + terms.idle)

/**
 * What is stored of an entry, with when it was last read as far as this process knows.
 *
 * @category accessors
 * @since 0.1.0
 */
export const stored = (entry: CacheEntry): Stored => {
  const { body, createdAt, etag, expiresAt, failed, fingerprint, head, key, position, tags, terms } = entry
  const now = terms === undefined || terms.usedAt === entry.usedAt ? terms : { ...terms, usedAt: entry.usedAt }
  return { key, fingerprint, body, head, tags, position, createdAt, expiresAt, failed, terms: now, etag }
}

/**
 * Notes that an entry was read. Nothing that is over is read.
 *
 * **Example** (A time to idle)
 *
 * ```ts import.meta.vitest
 * import { CacheEntry } from "effect-cached"
 *
 * const entry = new CacheEntry.CacheEntry({
 *   key: "user\t{\"id\":7}",
 *   fingerprint: "1",
 *   body: "\"Ada\"",
 *   head: undefined,
 *   tags: [],
 *   position: 1,
 *   createdAt: 0,
 *   expiresAt: Infinity,
 *   terms: { staleUntil: Infinity, errorUntil: Infinity, keptUntil: Infinity, idle: 60_000, usedAt: 0, eager: 0 }
 * })
 *
 * CacheEntry.endsAt(entry) // => 60000
 * CacheEntry.use(entry, 40_000)
 * CacheEntry.endsAt(entry) // => 100000
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const use = (entry: CacheEntry, now: number): void => {
  if (entry.terms === undefined || now <= entry.usedAt) return
  entry.usedAt = now
  entry.goodUntil = goodUntil(entry)
}

/**
 * When nothing can be done with an entry any more, in milliseconds since the epoch: it is neither served stale nor
 * revalidated after that.
 *
 * @category accessors
 * @since 0.1.0
 */
export const endsAt = ({ expiresAt, terms, usedAt }: CacheEntry): number =>
  terms === undefined
    ? expiresAt
    : Math.min(Math.max(expiresAt, terms.staleUntil, terms.errorUntil, terms.keptUntil), usedAt + terms.idle)

/**
 * The result as text. Bodies are UTF-8.
 *
 * @category accessors
 * @since 0.1.0
 */
export const text = (entry: Stored): string => typeof entry.body === "string" ? entry.body : decoder.decode(entry.body)

// Throws for bytes that are not UTF-8, so that they are never served as if they were a text.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * The size of an entry in bytes, as bounds on size count it: key, body, tags and head as they are encoded, and 128 bytes
 * for the rest. A string body counts one byte for each UTF-16 unit, so text outside ASCII counts somewhat less than it
 * takes.
 *
 * @category accessors
 * @since 0.1.0
 */
export const size = (entry: Stored): number => {
  let bytes = 128 + entry.key.length + entry.body.length
  for (const tag of entry.tags) bytes += tag.length
  if (entry.head !== undefined) {
    for (const name in entry.head.headers) bytes += name.length + entry.head.headers[name]!.length
  }
  return bytes
}
