/**
 * Validators and conditional requests (RFC 9110, sections 8.8 and 13).
 */
import type * as CacheEntry from "../../CacheEntry.ts"
import { validatorOf } from "../validator.ts"
import { parseHttpDate } from "./httpDate.ts"

/** The strong validator of an entry's body. */
export const etagOf = (entry: CacheEntry.CacheEntry): string => entry.etag ??= validatorOf(entry.body)

/** The weak form of a validator (RFC 9110, section 8.8.3): for bodies that are rewritten on their way. */
export const weak = (etag: string): string => etag.startsWith("W/") ? etag : `W/${etag}`

/**
 * Whether `If-None-Match` names a validator: `*`, or a list in which one is equal by weak comparison (section 8.8.3.2). What is
 * no entity-tag names only what is the very same text.
 */
export const matches = (ifNoneMatch: string, etag: string): boolean => {
  const field = ifNoneMatch.trim()
  if (field === "*" || field === etag) return true
  const opaque = withoutWeak(etag)
  return (field.match(entityTag) ?? []).some((candidate) => withoutWeak(candidate) === opaque)
}

// An opaque tag may hold commas, so a list is not split at them.
const entityTag = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

const withoutWeak = (etag: string): string => etag.startsWith("W/") ? etag.slice(2) : etag

type Fields = Readonly<Record<string, string | undefined>>

/**
 * Whether the conditions of a request make a successful response to GET or HEAD a 304 (RFC 9110, section 13.2.2). Where there
 * is `If-None-Match`, it alone decides. `If-Modified-Since` is compared with `Last-Modified`, and where that is missing, with
 * `Date` (RFC 9111, section 4.3.2); a field that is no date is ignored. `now` is milliseconds since the epoch.
 */
export const isNotModified = (request: Fields, response: Fields, now: number): boolean => {
  const ifNoneMatch = request["if-none-match"]
  const etag = response["etag"]
  if (ifNoneMatch !== undefined) return etag === undefined ? ifNoneMatch.trim() === "*" : matches(ifNoneMatch, etag)
  const since = dateOf(request["if-modified-since"], now)
  const modified = dateOf(response["last-modified"] ?? response["date"], now)
  return since !== undefined && modified !== undefined && modified <= since
}

const dateOf = (field: string | undefined, now: number): number | undefined =>
  field === undefined ? undefined : parseHttpDate(field, now)

/**
 * The headers of a response as those of a 304 in its place (RFC 9110, section 15.4.5): without what describes the content,
 * which is not there. `Last-Modified` is needed only where there is no `ETag`.
 */
export const notModifiedHeaders = (headers: Readonly<Record<string, string>>): Record<string, string> => {
  const kept: Record<string, string> = {}
  for (const name in headers) {
    if (!ofContent.has(name) && (name !== "last-modified" || headers["etag"] === undefined)) kept[name] = headers[name]!
  }
  return kept
}

const ofContent = new Set([
  "content-digest",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-length",
  "content-md5",
  "content-range",
  "content-type",
  "repr-digest",
  "trailer",
  "transfer-encoding"
])
