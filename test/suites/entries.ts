/**
 * Entries for the tests of stores and codecs.
 */
import { Arbitrary, Schema } from "effect"
import { CacheEntry } from "effect-cached"

export const makeEntry = (key: string, options?: Partial<CacheEntry.Stored>): CacheEntry.CacheEntry =>
  new CacheEntry.CacheEntry({
    key,
    fingerprint: "0123456789abcdef",
    body: JSON.stringify(key),
    head: undefined,
    tags: ["user:7"],
    position: 10,
    createdAt: 0,
    expiresAt: Infinity,
    ...options
  })

/** An entry that lives as long as it is read, and was last read at a time. */
export const makeIdle = (
  key: string,
  idle: number,
  usedAt: number,
  options?: Partial<CacheEntry.Stored>
): CacheEntry.CacheEntry => makeEntry(key, { terms: makeTerms(Infinity, { idle, usedAt }), ...options })

/** What is stored of an entry. Text and its bytes in UTF-8 are the same body. */
export const storedPart = (entry: CacheEntry.Stored) => ({
  key: entry.key,
  fingerprint: entry.fingerprint,
  body: Array.from(typeof entry.body === "string" ? new TextEncoder().encode(entry.body) : entry.body),
  head: entry.head === undefined ? undefined : { status: entry.head.status, headers: { ...entry.head.headers } },
  tags: [...entry.tags],
  position: entry.position,
  createdAt: entry.createdAt,
  expiresAt: entry.expiresAt,
  failed: entry.failed === true,
  terms: entry.terms === undefined ? undefined : { ...entry.terms }
})

/** Terms of an entry that ends when it expires. */
export const makeTerms = (expiresAt: number, options?: Partial<CacheEntry.Terms>): CacheEntry.Terms => ({
  staleUntil: expiresAt,
  errorUntil: expiresAt,
  keptUntil: expiresAt,
  idle: Infinity,
  usedAt: 0,
  eager: 0,
  ...options
})

const text = Arbitrary.map(
  Arbitrary.schema(Schema.Array(Schema.String)),
  (parts) => [...parts, "ü\t\n\"\\€😀\u0000"].join("\u2028").toWellFormed()
)
const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const time = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })))
const timeOrNever = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.schema(Schema.Boolean),
    Arbitrary.schema(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1e15 })))
  ]),
  ([never, time]) => never ? Infinity : time + 0
)
const tag = Arbitrary.schema(Schema.String.check(Schema.isPattern(/^[a-z0-9_.-]{1,12}(:[a-z0-9_.-]{1,12}){0,3}$/)))

export const bytes = Arbitrary.map(Arbitrary.array(byte), (numbers) => Uint8Array.from(numbers))

/** Any entry that the library could make. */
export const anyEntry: Arbitrary.Arbitrary<CacheEntry.CacheEntry> = Arbitrary.map(
  Arbitrary.all({
    key: text,
    fingerprint: text,
    text,
    bytes,
    asBytes: Arbitrary.schema(Schema.Boolean),
    repeated: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))),
    whole: Arbitrary.schema(Schema.Boolean),
    status: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 }))),
    headers: Arbitrary.array(Arbitrary.all([tag, text])),
    tags: Arbitrary.array(tag),
    position: time,
    createdAt: time,
    lifetime: time,
    endless: Arbitrary.schema(Schema.Boolean),
    failed: Arbitrary.schema(Schema.Boolean),
    hasTerms: Arbitrary.schema(Schema.Boolean),
    terms: Arbitrary.all({
      staleUntil: timeOrNever,
      errorUntil: timeOrNever,
      keptUntil: timeOrNever,
      idle: timeOrNever,
      usedAt: time,
      eager: time
    })
  }),
  (it) =>
    new CacheEntry.CacheEntry({
      key: it.key,
      fingerprint: it.fingerprint,
      body: it.asBytes ? it.bytes : it.text.repeat(it.repeated),
      head: it.whole ? { status: it.status, headers: Object.fromEntries(it.headers) } : undefined,
      tags: Array.from(new Set(it.tags)).toSorted(),
      position: it.position,
      createdAt: it.createdAt,
      expiresAt: it.endless ? Infinity : it.lifetime,
      failed: it.failed,
      terms: it.hasTerms ? it.terms : undefined
    })
)
