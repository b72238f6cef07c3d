/**
 * What a shared cache keeps of a response besides its body, for how long, and what a 304 changes in it (RFC 9111, sections 3, 3.1,
 * 3.2 and 4.3.4).
 */
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as CacheEntry from "../../CacheEntry.ts"
import { parseCacheControl, parseTargetedControl } from "./cacheControl.ts"
import { type Freshness, freshnessOf } from "./freshness.ts"
import { formatHttpDate } from "./httpDate.ts"
import { cacheable, withoutPerMessage } from "./storable.ts"
import { varyNames } from "./varyHeader.ts"

type Response = HttpServerResponse.HttpServerResponse
type Fields = Readonly<Record<string, string>>

/** The head of a response that arrived at `now`. Whoever stores one without a date gives it one (RFC 9110, section 6.6.1). */
export const headOf = ({ body, headers, status }: Response, now: number): CacheEntry.ResponseHead => {
  const kept = withoutPerMessage(headers)
  kept["date"] = headers["date"] ?? formatHttpDate(now)
  if (body._tag === "Uint8Array" || body._tag === "Stream") kept["content-type"] ??= body.contentType
  return { status, headers: kept }
}

/**
 * The head of what is stored, with the fields of a 304 that came at `now` in place of its own (section 3.2). What describes the
 * body as it is stored stays: the 304 has none.
 */
export const updatedHead = (
  head: CacheEntry.ResponseHead,
  { headers }: Response,
  now: number
): CacheEntry.ResponseHead => {
  // How old it was is said by the 304, or it has just been made.
  const { age: _, ...stored } = head.headers
  const updated: Record<string, string> = { ...stored, date: headers["date"] ?? formatHttpDate(now) }
  const newer = withoutPerMessage(headers)
  for (const name in newer) if (!ofBody.has(name)) updated[name] = newer[name]!
  return { ...head, headers: updated }
}

// `Set-Cookie` is for who asked, as it is in any other response.
const ofBody = new Set(["content-digest", "content-encoding", "content-md5", "content-range", "set-cookie"])

/** The conditions under which a 304 says that a stored response is still good (section 4.3.1); `undefined` where it has no validator. */
export const conditionsOf = ({ headers }: CacheEntry.ResponseHead): Fields | undefined => {
  const conditions: Record<string, string> = {}
  if (headers["etag"] !== undefined) conditions["if-none-match"] = headers["etag"]
  if (headers["last-modified"] !== undefined) conditions["if-modified-since"] = headers["last-modified"]
  return hasValidator(headers) ? conditions : undefined
}

const hasValidator = (headers: Fields): boolean =>
  headers["etag"] !== undefined || headers["last-modified"] !== undefined

/**
 * Whether a 304 is about a stored response (section 4.3.4): its validator, where it has one, is the same. A strong one only
 * matches a strong one.
 */
export const isAbout = ({ headers }: Response, head: CacheEntry.ResponseHead): boolean => {
  const { etag } = headers
  if (etag === undefined) {
    return headers["last-modified"] === undefined || headers["last-modified"] === head.headers["last-modified"]
  }
  const stored = head.headers["etag"]
  return stored === etag || (etag.startsWith("W/") && (stored === etag.slice(2) || stored === undefined))
}

/** How long what is stored lives, in milliseconds; what is missing is for the policy to say. */
export interface Retention {
  readonly timeToLive: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number | undefined
  readonly keep: number
  readonly age: number
}

/** When a response was asked for and when it came, in milliseconds since the epoch, and what was asked. */
export interface Exchange {
  readonly asked: number
  readonly came: number
  readonly isAuthorized: boolean
  /** How long what can be revalidated is kept after its end. */
  readonly keep: number
}

/**
 * For how long a response may be stored, by its head and the headers that it came with; `undefined` where it may not be, or
 * where nothing could be done with it.
 */
export const retentionOf = (
  head: CacheEntry.ResponseHead,
  came: Fields,
  exchange: Exchange
): Retention | undefined => {
  const { headers, status } = head
  const age = came["age"]
  const freshness = freshnessOf(age === undefined ? headers : { ...headers, age }, status, exchange.came, {
    targeted: true,
    delay: exchange.came - exchange.asked
  })
  if (!mayBeStored(head, freshness, exchange)) return undefined
  const isFresh = !freshness.noCache && freshness.lifetime !== undefined && freshness.lifetime > freshness.age
  const mayBeStale = !freshness.noCache && !freshness.mustRevalidate
  const staleWhileRevalidate = mayBeStale ? (freshness.staleWhileRevalidate ?? 0) * 1000 : 0
  const keep = hasValidator(headers) ? exchange.keep : 0
  if (!isFresh && staleWhileRevalidate === 0 && keep === 0) return undefined
  const staleIfError = freshness.staleIfError === undefined ? undefined : freshness.staleIfError * 1000
  return {
    timeToLive: freshness.noCache ? 0 : (freshness.lifetime ?? 0) * 1000,
    staleWhileRevalidate,
    staleIfError: mayBeStale ? staleIfError : 0,
    keep,
    age: freshness.age * 1000
  }
}

// Section 3. A status that is not known may be stored where the response says how long it is fresh.
const mayBeStored = (
  { headers, status }: CacheEntry.ResponseHead,
  freshness: Freshness,
  { isAuthorized }: Exchange
): boolean =>
  status >= 200 && status !== 206 && status !== 304 && !freshness.noStore && !freshness.isPrivate &&
  varyNames(headers["vary"]) !== "*" &&
  (freshness.lifetime !== undefined || freshness.isPublic || cacheable.has(status)) &&
  (!isAuthorized || isForAll(headers))

/**
 * Whether a response may be given to others than the one whose credentials it was computed for, and to someone with credentials
 * where it was computed without (section 3.5).
 */
export const isForAll = (headers: Fields): boolean => {
  const directives = parseTargetedControl(headers["cdn-cache-control"]) ?? parseCacheControl(headers["cache-control"])
  return directives.has("public") || directives.has("s-maxage") || directives.has("must-revalidate")
}

/** Whether a response sets cookies, which are for one user: such a response is not stored. */
export const setsCookies = ({ cookies, headers }: Response): boolean =>
  headers["set-cookie"] !== undefined || Object.keys(cookies.cookies).length > 0
