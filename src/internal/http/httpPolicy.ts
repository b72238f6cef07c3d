/**
 * How one route speaks HTTP, with its defaults.
 */
import type { HttpPolicy, TagHeader } from "../../HttpPolicy.ts"

/** What the responses of one route have in common. */
export interface Style {
  /** Whether the response belongs to one user. */
  readonly isPrivate: boolean
  /** All request headers that the response depends on, for `Vary` (RFC 9110, section 12.5.5). */
  readonly vary: string | undefined
  /** Whether clients are told how long they may use a response, and CDNs are. */
  readonly toClients: boolean
  readonly toCdns: boolean
  readonly etag: "strong" | "weak" | false
  readonly tagHeader: TagHeader | undefined
  readonly statusKey: boolean
  /** Whether the `Cache-Control` of a request counts. */
  readonly obeys: boolean
}

/**
 * The style of a route whose responses depend on these request headers. What depends on somebody's credentials belongs to one
 * user, also where caches in front do not know about `Vary`.
 */
export const styleOf = (
  http: HttpPolicy | undefined,
  isPrivate: boolean,
  headers: ReadonlyArray<string>
): Style => {
  // What is no token is the name of no header: nobody can send it (RFC 9110, section 5.1).
  const vary = Array.from(new Set(headers.filter((name) => token.test(name))))
  return {
    isPrivate: isPrivate || vary.includes("authorization") || vary.includes("cookie"),
    vary: vary.length === 0 ? undefined : vary.join(", "),
    toClients: http?.cacheControl === "policy",
    toCdns: http?.cdnCacheControl === "policy",
    etag: http?.etag ?? "strong",
    tagHeader: http?.tagHeader,
    statusKey: http?.cacheStatusKey === true,
    obeys: http?.requestCacheControl === "obey"
  }
}

const token = /^[\w!#$%&'*+.^`|~-]+$/
