/**
 * Requests, as a shared cache sees them.
 */
import type * as Context from "effect/Context"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { CacheStatus } from "./cacheStatus.ts"
import { type Asked, askedBy } from "./requestDirectives.ts"
import { hasHost } from "./targetUri.ts"

export type Request = HttpServerRequest.HttpServerRequest

/** One request for something that may be stored. */
export interface Asking {
  readonly request: Request
  /** Its services. */
  readonly context: Context.Context<never>
  /** The key of its URI: the variants are below. */
  readonly base: string
  readonly isAuthorized: boolean
  readonly asked: Asked | undefined
}

/** `obeys`: whether the `Cache-Control` of the request counts. */
export const askingOf = (
  request: Request,
  context: Context.Context<never>,
  base: string,
  obeys: boolean
): Asking => ({
  request,
  context,
  base,
  isAuthorized: field(request, "authorization") !== undefined,
  asked: obeys ? askedBy(request) : undefined
})

/** The value of a header, whatever its name. */
export const field = ({ headers }: Request, name: string): string | undefined =>
  Object.hasOwn(headers, name) ? headers[name] : undefined

/** Whether a text can be the name of a header (RFC 9110, section 5.1), as the cache writes it. */
export const isFieldName = (text: string): boolean => /^[a-z\d!#$%&'*+.^_`|~-]+$/.test(text)

/**
 * Why a request goes past the cache: its method, or because no stored response answers it, or the handler has to judge. It is for a
 * part, under a condition that is about changing something, with a body, or for another protocol, or its host
 * is none.
 */
export const pastBecause = ({ headers, method }: Request): CacheStatus | undefined => {
  if (method !== "GET" && method !== "HEAD") return { fwd: "method" }
  const hasBody = headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0"
  const isPast = hasBody || !hasHost(headers) || ofHandler.some((name) => headers[name] !== undefined)
  return isPast ? { fwd: "bypass", detail: "request" } : undefined
}

const ofHandler = ["range", "if-match", "if-unmodified-since", "upgrade"]
