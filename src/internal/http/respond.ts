/**
 * From entries to responses.
 */
import * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as CacheEntry from "../../CacheEntry.ts"
import type { Answer } from "../lookup.ts"
import * as CacheStatus from "./cacheStatus.ts"
import { etagOf, matches } from "./etag.ts"

/** What the responses of one route have in common. */
export interface Style {
  /** Whether the response belongs to one user. */
  readonly isPrivate: boolean
  /** All request headers that the response depends on, for `Vary` (RFC 9110, section 12.5.5). */
  readonly vary: string | undefined
}

type Response = Exit.Exit<HttpServerResponse.HttpServerResponse>

/**
 * The response of a hit. The one without conditions is made once for each second of the entry's age, which is all
 * that changes in it.
 */
export const respondHit = (
  entry: CacheEntry.CacheEntry,
  request: HttpServerRequest.HttpServerRequest,
  now: number,
  style: Style
): Response => {
  const age = Math.max(0, Math.floor((now - entry.createdAt) / 1000))
  const condition = conditionOf(request)
  const { served } = entry
  if (condition === undefined && served?.age === age && served.style === style) return served.response
  const ttl = entry.expiresAt === Infinity ? Infinity : Math.floor((entry.expiresAt - entry.createdAt) / 1000) - age
  const headers = { ...common(entry, style), "cache-status": CacheStatus.hit(Math.max(0, ttl)), age: String(age) }
  if (condition !== undefined && isSuccess(entry) && matches(condition, headers.etag)) return notModified(headers)
  const response = Exit.succeed(full(entry, headers))
  if (condition === undefined) entry.served = { age, style, response }
  return response
}

/** The response of a result that was computed for this request. */
export const respondComputed = (
  entry: CacheEntry.CacheEntry,
  { how, rejected, stored }: Answer,
  request: HttpServerRequest.HttpServerRequest,
  style: Style
): Response => {
  const headers = { ...common(entry, style), "cache-status": CacheStatus.miss(how === "joined", stored, rejected) }
  const condition = conditionOf(request)
  return condition !== undefined && isSuccess(entry) && matches(condition, headers.etag)
    ? notModified(headers)
    : Exit.succeed(full(entry, headers))
}

// For other methods the condition would be a reason not to act (RFC 9110, section 13.1.2). Reading `request.headers` builds
// a record of all of them: the source says sooner that there is none.
const conditionOf = (request: HttpServerRequest.HttpServerRequest): string | undefined =>
  (request.method === "GET" || request.method === "HEAD" || request.method === "QUERY") &&
    mayHaveCondition(request.source)
    ? request.headers["if-none-match"]
    : undefined

const mayHaveCondition = (source: object): boolean => {
  const headers: unknown = "headers" in source ? source.headers : undefined
  if (headers instanceof globalThis.Headers) return headers.has("if-none-match")
  return typeof headers !== "object" || headers === null || "if-none-match" in headers
}

// Whoever stores the response has to ask before using it again: no invalidation could reach it there. `no-cache` is that
// (RFC 9111, section 5.2.2.4), and the validator makes the question cheap.
const common = (entry: CacheEntry.CacheEntry, { isPrivate, vary }: Style) => ({
  ...entry.head?.headers,
  etag: entry.head?.headers["etag"] ?? etagOf(entry),
  "cache-control": entry.head?.headers["cache-control"] ?? (isPrivate ? "private, no-cache" : "no-cache"),
  ...(vary === undefined ? {} : { vary: merged(entry.head?.headers["vary"], vary) })
})

// The handler's own list, and what it left out. Names of headers are the same in any case.
const merged = (own: string | undefined, all: string): string => {
  if (own === undefined) return all
  const listed = new Set(own.toLowerCase().split(",").map((name) => name.trim()))
  return [own, ...all.split(", ").filter((name) => !listed.has(name))].join(", ")
}

// A condition is looked at only where the answer without it would be a success (RFC 9110, section 13.2.1).
const isSuccess = (entry: CacheEntry.CacheEntry): boolean =>
  entry.head === undefined || (entry.head.status >= 200 && entry.head.status < 300)

const full = (entry: CacheEntry.CacheEntry, headers: Readonly<Record<string, string>>) => {
  const options = {
    status: entry.head?.status ?? 200,
    headers: Headers.fromRecordUnsafe(headers),
    contentType: entry.head === undefined ? "application/json" : entry.head.headers["content-type"]
  }
  if (entry.head !== undefined && entry.body.length === 0) return HttpServerResponse.empty(options)
  return typeof entry.body === "string"
    ? HttpServerResponse.text(entry.body, options)
    : HttpServerResponse.uint8Array(entry.body, options)
}

const notModified = (headers: Readonly<Record<string, string>>): Response => {
  const { "content-length": _, "content-type": __, ...kept } = headers
  return Exit.succeed(HttpServerResponse.empty({ status: 304, headers: Headers.fromRecordUnsafe(kept) }))
}
