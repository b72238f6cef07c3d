/**
 * From what a shared cache has stored to responses (RFC 9111, section 4).
 */
import * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as CacheEntry from "../../CacheEntry.ts"
import { type CacheStatus, hitStatus } from "./cacheStatus.ts"
import { isNotModified, notModifiedHeaders } from "./conditional.ts"
import { ageOf, withStatus } from "./respond.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** What the responses of one shared cache have in common. */
export interface SharedStyle {
  /** Whether `Cache-Status` has the key (RFC 9211, section 2.7). */
  readonly statusKey: boolean
}

/** The response of a hit. Without conditions it is made once for each second of its age, which is all that changes in it. */
export const respondHit = (
  entry: CacheEntry.CacheEntry,
  request: Request,
  now: number,
  style: SharedStyle
): Exit.Exit<Response> => {
  const age = ageOf(entry, now)
  const { headers } = request
  const isConditional = headers["if-none-match"] !== undefined || headers["if-modified-since"] !== undefined
  const { served } = entry
  if (!isConditional && served?.age === age && served.style === style) return served.response
  const made = respondStored(entry, request, hitStatus(entry, now), now, style)
  const response = Exit.succeed(made)
  if (!isConditional) entry.served = { age, style, headers: made.headers, response, notModified: undefined }
  return response
}

/**
 * The response with which a request is answered. `origin` is what the handler has answered for it just now, where it has: a new
 * response, or a 304 to the conditions of the cache.
 */
export const respondStored = (
  entry: CacheEntry.CacheEntry,
  request: Request,
  status: CacheStatus,
  now: number,
  { statusKey }: SharedStyle,
  origin?: Response
): Response => {
  const head = entry.head!
  const headers: Record<string, string> = { ...head.headers }
  // What was not stored before this request has the age that it came with (section 5.1).
  const age = origin === undefined ? String(ageOf(entry, now)) : origin.headers["age"]
  if (age === undefined) delete headers["age"]
  else headers["age"] = age
  headers["cache-status"] = withStatus(headers["cache-status"], statusKey ? { ...status, key: entry.key } : status)
  return respondWith(entry.body, { status: head.status, headers }, request, now)
}

/** A whole response, or a 304 in its place where the conditions of the request say so (section 4.3.2). */
export const respondWith = (
  body: string | Uint8Array,
  { headers, status }: CacheEntry.ResponseHead,
  request: Request,
  now: number
): Response => {
  const isSuccess = status >= 200 && status < 300
  if (isSuccess && isNotModified(request.headers, headers, now)) {
    return HttpServerResponse.empty({ status: 304, headers: Headers.fromRecordUnsafe(notModifiedHeaders(headers)) })
  }
  // The empty type is none: what came without one goes without one.
  const options = { status, headers: Headers.fromRecordUnsafe(headers), contentType: headers["content-type"] ?? "" }
  if (body.length === 0) return HttpServerResponse.empty(options)
  return typeof body === "string"
    ? HttpServerResponse.text(body, options)
    : HttpServerResponse.uint8Array(body, options)
}

/** A response with the cookies that the handler has just set: they are for who asked. */
export const withCookiesOf = (response: Response, origin: Response): Response => {
  const field = origin.headers["set-cookie"]
  const merged = HttpServerResponse.mergeCookies(response, origin.cookies)
  return field === undefined ? merged : HttpServerResponse.setHeader(merged, "set-cookie", field)
}

/** A response that is sent on, with what this cache did. */
export const withCacheStatus = (response: Response, status: CacheStatus): Response =>
  HttpServerResponse.setHeader(response, "cache-status", withStatus(response.headers["cache-status"], status))
