/**
 * Which responses may be stored (RFC 9111, section 3).
 */
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as CacheEntry from "../../CacheEntry.ts"

// Statuses that are cacheable without explicit freshness (RFC 9110, section 15.1), without 206, which is a part.
const statuses = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])

// What belongs to one connection or one message, not to the representation (RFC 9111, section 3.1).
const perMessage = new Set([
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

/** A response as it can be stored. */
export interface Storable {
  readonly body: string | Uint8Array
  readonly head: CacheEntry.ResponseHead
  /** The request headers that the response says it depends on. */
  readonly vary: ReadonlyArray<string>
}

/**
 * The storable form of a response; `stream` where its body is not at hand, `forbidden` where HTTP does not allow to
 * store it: another status, `Set-Cookie` (it is for one user), `no-store`, `private` or `Vary: *`.
 */
export const storable = (response: HttpServerResponse.HttpServerResponse): Storable | "stream" | "forbidden" => {
  const { body, headers, status } = response
  if (body._tag !== "Empty" && body._tag !== "Uint8Array") return "stream"
  const vary = tokens(headers["vary"])
  const directives = new Set(tokens(headers["cache-control"]).map((directive) => directive.split("=")[0]!.trim()))
  if (
    !statuses.has(status) || headers["set-cookie"] !== undefined ||
    Object.keys(response.cookies.cookies).length > 0 ||
    directives.has("no-store") || directives.has("private") || vary.includes("*")
  ) {
    return "forbidden"
  }
  const kept: Record<string, string> = {}
  for (const name in headers) if (!perMessage.has(name)) kept[name] = headers[name]!
  if (body._tag === "Uint8Array") kept["content-type"] ??= body.contentType
  return {
    // A copy: the handler may use its buffer again.
    body: body._tag === "Empty" ? "" : body.text ?? Uint8Array.from(body.body),
    head: { status, headers: kept },
    vary
  }
}

const tokens = (field: string | undefined): ReadonlyArray<string> =>
  field === undefined ? [] : field.split(",").map((token) => token.trim().toLowerCase()).filter((token) => token !== "")
