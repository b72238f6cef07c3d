/**
 * How one route speaks HTTP, with its defaults.
 */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpPolicy, TagHeader } from "../../HttpPolicy.ts"

/** What the responses of one route have in common. */
export interface Style {
  /** Whether the response belongs to one user. */
  readonly isPrivate: boolean
  /** All request headers that the response depends on, for `Vary` (RFC 9110, section 12.5.5). */
  readonly vary: string | undefined
  /** The same for what caches in front may use without asking. */
  readonly varyUsed: string | undefined
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
 * user, also where caches in front do not know about `Vary`. Of a `guarded` route nobody has said what it makes of credentials:
 * what it answers without them is not for a request that has some, in front neither.
 */
export const styleOf = (
  http: HttpPolicy | undefined,
  isPrivate: boolean,
  headers: ReadonlyArray<string>,
  guarded = false
): Style => {
  // What is no token is the name of no header: nobody can send it (RFC 9110, section 5.1).
  const vary = Array.from(new Set(headers.filter((name) => token.test(name))))
  return {
    isPrivate: isPrivate || vary.includes("authorization") || vary.includes("cookie"),
    vary: listed(vary),
    varyUsed: listed(guarded ? Array.from(new Set([...vary, ...credentials])) : vary),
    toClients: http?.cacheControl === "policy",
    toCdns: http?.cdnCacheControl === "policy",
    etag: http?.etag ?? "strong",
    tagHeader: http?.tagHeader,
    statusKey: http?.cacheStatusKey === true,
    obeys: http?.requestCacheControl === "obey"
  }
}

const credentials = ["authorization", "cookie"]

const listed = (names: ReadonlyArray<string>): string | undefined => names.length === 0 ? undefined : names.join(", ")

const token = /^[\w!#$%&'*+.^`|~-]+$/

/** Whether a request carries credentials, or did so before middleware took them out. */
export const hasCredentials = ({ headers, source }: HttpServerRequest): boolean =>
  headers["authorization"] !== undefined || headers["cookie"] !== undefined || sentCredentials(source)

const sentCredentials = (source: object): boolean => {
  const sent = sentHeaders(source)
  if (sent instanceof globalThis.Headers) return credentials.some((name) => sent.has(name))
  return sent !== undefined && (sent["authorization"] !== undefined || sent["cookie"] !== undefined)
}

/** Whether a header was sent, also where middleware took it out. */
export const wasSent = (source: object, name: string): boolean => {
  const sent = sentHeaders(source)
  return sent instanceof globalThis.Headers ? sent.has(name) : sent?.[name] !== undefined
}

/** The headers of a request as its source has them, `undefined` where the source is none that is known. Nothing is made of them. */
export const sentHeaders = (source: object): globalThis.Headers | Readonly<Record<string, unknown>> | undefined => {
  const { headers } = source as { readonly headers?: unknown }
  return typeof headers === "object" && headers !== null ? headers as Record<string, unknown> : undefined
}
