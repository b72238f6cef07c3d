/**
 * Which responses may be stored (RFC 9111, section 3), and for how long.
 */
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as CacheEntry from "../../CacheEntry.ts"
import { type Directives, parseCacheControl } from "./cacheControl.ts"
import { type Freshness, freshnessOf } from "./freshness.ts"
import { varyNames } from "./varyHeader.ts"

/** Statuses that are cacheable without explicit freshness (RFC 9110, section 15.1), without 206, which is a part. */
export const cacheable = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])

// What belongs to one connection or one message, not to the representation (RFC 9111, section 3.1).
const perMessage = new Set([
  "age",
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

// What all recipients are told, and never a connection option (RFC 9110, section 7.6.1), whoever says so.
const forAll = new Set(["cache-control", "cdn-cache-control", "etag", "expires", "last-modified", "vary"])

/** A response as it can be stored. */
export interface Storable {
  readonly body: string | Uint8Array
  readonly head: CacheEntry.ResponseHead
  /** The request headers that the response says it depends on. */
  readonly vary: ReadonlyArray<string>
  /** In milliseconds, what the response says itself; `undefined` where it leaves it to the policy. */
  readonly timeToLive: number | undefined
  readonly staleWhileRevalidate: number | undefined
  readonly staleIfError: number | undefined
  /** How old the response is already, in milliseconds. */
  readonly age: number
  /** Whether it is larger than what is stored. */
  readonly tooLarge: boolean
}

/**
 * The storable form of a response that was made at `now`; `stream` where its body is not at hand, `forbidden` where HTTP does
 * not allow to store it: `Set-Cookie` (it is for one user), `no-store`, `private`, `Vary: *`, or a status that is not
 * cacheable without a lifetime of its own. With `no-cache` nothing could be served without asking, so it is not stored either.
 */
export const storable = (
  response: HttpServerResponse.HttpServerResponse,
  now: number,
  maxBodyBytes: number
): Storable | "stream" | "forbidden" => {
  const { body, headers, status } = response
  if (body._tag !== "Empty" && body._tag !== "Uint8Array") return "stream"
  const vary = varyNames(headers["vary"])
  const freshness = freshnessOf(headers, status, now, { targeted: false })
  if (
    vary === "*" || !isCacheable(status, freshness) || freshness.noStore || freshness.isPrivate || freshness.noCache ||
    headers["set-cookie"] !== undefined || Object.keys(response.cookies.cookies).length > 0
  ) {
    return "forbidden"
  }
  const directives = parseCacheControl(headers["cache-control"])
  const kept = withoutPerMessage(headers)
  if (body._tag === "Uint8Array") kept["content-type"] ??= body.contentType
  const tooLarge = body._tag === "Uint8Array" && body.contentLength > maxBodyBytes
  return {
    // A copy: the handler may use its buffer again.
    body: body._tag === "Empty" ? "" : body.text ?? Uint8Array.from(body.body),
    head: { status, headers: kept },
    vary,
    timeToLive: millis(freshness.lifetime),
    staleWhileRevalidate: millis(window(freshness, directives, freshness.staleWhileRevalidate)),
    staleIfError: millis(window(freshness, directives, freshness.staleIfError)),
    age: freshness.age * 1000,
    tooLarge
  }
}

// Any final response with explicit freshness may be stored, but for one that is a part, or that is only about another one.
const isCacheable = (status: number, { lifetime }: Freshness): boolean =>
  cacheable.has(status) || (lifetime !== undefined && status >= 200 && status !== 206 && status !== 304)

/** Whether a status is one of the errors in whose place something stale may be served (RFC 5861, section 4). */
export const isUnwell = (status: number): boolean => status === 500 || (status >= 502 && status <= 504)

/** The headers of a response that are stored: those of the representation (RFC 9111, section 3.1). */
export const withoutPerMessage = (headers: Readonly<Record<string, string>>): Record<string, string> => {
  const named = new Set(headers["connection"]?.toLowerCase().split(",").map((name) => name.trim()))
  const kept: Record<string, string> = {}
  for (const name in headers) {
    if (!perMessage.has(name) && (forAll.has(name) || !named.has(name))) kept[name] = headers[name]!
  }
  return kept
}

// Nothing stale is served of what has to be validated (RFC 9111, section 4.2.4). That `s-maxage` means the same (section
// 5.2.2.10) does not count against a window that the response itself gives.
const window = (
  { mustRevalidate }: Freshness,
  directives: Directives,
  given: number | undefined
): number | undefined =>
  directives.has("must-revalidate") || directives.has("proxy-revalidate")
    ? 0
    : given ?? (mustRevalidate ? 0 : undefined)

const millis = (seconds: number | undefined): number | undefined => seconds === undefined ? undefined : seconds * 1000
