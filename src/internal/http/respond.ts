/**
 * From entries to responses.
 */
import * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as CacheEntry from "../../CacheEntry.ts"
import type { Answer } from "../lookup.ts"
import { formatCacheControl, parseCacheControl } from "./cacheControl.ts"
import { answerStatus, type CacheStatus, cacheStatus, hitStatus } from "./cacheStatus.ts"
import { etagOf, isNotModified, notModifiedHeaders, weak } from "./conditional.ts"
import { sentHeaders, type Style } from "./httpPolicy.ts"
import { tagHeader } from "./tagHeader.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = Exit.Exit<HttpServerResponse.HttpServerResponse>

/**
 * The response of a hit, and the 304 in its place. They are made once for each second of the entry's age, which is all
 * that changes in them.
 */
export const respondHit = (entry: CacheEntry.CacheEntry, request: Request, now: number, style: Style): Response => {
  const age = ageOf(entry, now)
  let { served } = entry
  if (served?.age !== age || served.style !== style) {
    const headers = headersOf(entry, style, hitStatus(entry, now), age, entry.expiresAt > now)
    served = entry.served = {
      age,
      style,
      headers,
      response: Exit.succeed(full(entry, headers)),
      notModified: undefined
    }
  }
  return mayBeConditional(entry, request) && isNotModified(request.headers, served.headers, now)
    ? served.notModified ??= notModified(served.headers)
    : served.response
}

/** The response of an answer that has an entry. */
export const respondAnswer = (
  entry: CacheEntry.CacheEntry,
  answer: Answer,
  request: Request,
  now: number,
  style: Style
): Response => {
  if (isStored(answer) && answer.stale === undefined) return respondHit(entry, request, now, style)
  // What is computed for this request has no age, unless it had one already.
  const age = ageOf(entry, now)
  const mayBeUsed = answer.stale === undefined && answer.rejected === undefined && entry.expiresAt > now
  const headers = headersOf(
    entry,
    style,
    answerStatus(answer, now),
    isStored(answer) || age > 0 ? age : undefined,
    mayBeUsed
  )
  return mayBeConditional(entry, request) && isNotModified(request.headers, headers, now)
    ? notModified(headers)
    : Exit.succeed(full(entry, headers))
}

/** Whether an answer is something that was stored. */
export const isStored = ({ exit, stale }: Answer): boolean => exit === undefined || stale !== undefined

/** How old a response is, in whole seconds (RFC 9111, section 5.1). */
export const ageOf = ({ generatedAt }: CacheEntry.CacheEntry, now: number): number =>
  Math.max(0, Math.floor((now - generatedAt) / 1000))

// For other methods the condition would be a reason not to act (RFC 9110, section 13.1.2), and where the answer without it
// would not be a success it does not count (section 13.2.1). Reading `request.headers` builds a record of all of them: the
// source says sooner that there is none.
const mayBeConditional = ({ head }: CacheEntry.CacheEntry, { method, source }: Request): boolean => {
  const wantsDate = head?.headers["last-modified"] !== undefined
  return mayBeSent(sentHeaders(source), wantsDate) && (method === "GET" || method === "HEAD" || method === "QUERY") &&
    (head === undefined || (head.status >= 200 && head.status < 300))
}

const mayBeSent = (sent: ReturnType<typeof sentHeaders>, wantsDate: boolean): boolean => {
  if (sent === undefined) return true
  if (sent instanceof globalThis.Headers) {
    return sent.has("if-none-match") || (wantsDate && sent.has("if-modified-since"))
  }
  return sent["if-none-match"] !== undefined || (wantsDate && sent["if-modified-since"] !== undefined)
}

const headersOf = (
  entry: CacheEntry.CacheEntry,
  style: Style,
  status: CacheStatus,
  age: number | undefined,
  mayBeUsed: boolean
): Record<string, string> => {
  const own = entry.head?.headers ?? none
  const headers: Record<string, string> = { ...own }
  if (own["etag"] === undefined && style.etag !== false) {
    headers["etag"] = style.etag === "weak" ? weak(etagOf(entry)) : etagOf(entry)
  }
  headers["cache-control"] ??= control(entry, style.isPrivate, style.toClients && mayBeUsed)
  // A CDN takes this in place of `Cache-Control`: it says nothing of what belongs to one user.
  if (style.toCdns && !style.isPrivate) headers["cdn-cache-control"] ??= control(entry, false, mayBeUsed)
  tellCaches(headers, style, style.isPrivate)
  const tags = style.tagHeader === undefined ? undefined : tagHeader(style.tagHeader, entry.tags)
  if (tags !== undefined) headers[tags[0]] = tags[1]
  if (age === undefined) delete headers["age"]
  else headers["age"] = String(age)
  headers["cache-status"] = withStatus(own["cache-status"], style.statusKey ? { ...status, key: entry.key } : status)
  return headers
}

const none: Readonly<Record<string, string>> = {}

/** Has the headers of a response tell caches in front whose it is, and for which requests it may be used. */
export const tellCaches = (headers: Record<string, string>, style: Style, isPrivate: boolean): void => {
  if (isPrivate) headers["cache-control"] = toPrivate(headers["cache-control"])
  const vary = style.vary === style.varyUsed || !mayBeUsed(headers) ? style.vary : style.varyUsed
  if (vary !== undefined) headers["vary"] = merged(headers["vary"], vary)
}

// `public` and `s-maxage` are words for shared caches: they say that it may be shared, also what belongs to credentials (RFC
// 9111, section 3.5). A lifetime alone does not.
const toPrivate = (own: string | undefined): string => {
  if (own === undefined) return "private, no-cache"
  const directives = parseCacheControl(own)
  const isSaid = directives.has("no-store") || directives.has("public") || directives.has("s-maxage") ||
    (directives.has("private") && directives.get("private") === undefined)
  return isSaid ? own : `private, ${own}`
}

// Where nothing is said of it, a date is enough for a cache to guess (RFC 9111, section 4.2.2).
const mayBeUsed = (headers: Readonly<Record<string, string>>): boolean => {
  if (headers["cdn-cache-control"] !== undefined) return true
  const own = headers["cache-control"]
  if (own === undefined) return headers["expires"] !== undefined || headers["last-modified"] !== undefined
  const directives = parseCacheControl(own)
  return !directives.has("no-store") && !directives.has("no-cache")
}

// Whoever stores the response has to ask before using it again, where no invalidation could reach it: `no-cache` is that (RFC
// 9111, section 5.2.2.4), and the validator makes the question cheap. As `Age` is sent, `max-age` is the whole lifetime.
const control = ({ expiresAt, generatedAt, terms }: CacheEntry.CacheEntry, isPrivate: boolean, mayBeUsed: boolean) => {
  if (!mayBeUsed || expiresAt === Infinity) return isPrivate ? "private, no-cache" : "no-cache"
  return formatCacheControl({
    private: isPrivate,
    "max-age": (expiresAt - generatedAt) / 1000,
    "stale-while-revalidate": terms === undefined ? undefined : windowOf(terms.staleUntil - expiresAt),
    "stale-if-error": terms === undefined ? undefined : windowOf(terms.errorUntil - expiresAt)
  })
}

const windowOf = (millis: number): number | undefined => millis >= 1000 ? millis / 1000 : undefined

// The handler's own list, and what it left out. Names of headers are the same in any case.
const merged = (own: string | undefined, all: string): string => {
  if (own === undefined) return all
  const listed = new Set(own.toLowerCase().split(",").map((name) => name.trim()))
  return listed.has("*") ? own : [own, ...all.split(", ").filter((name) => !listed.has(name))].join(", ")
}

/** `Cache-Status` with what this cache did, after what caches before it did (RFC 9211, section 2). */
export const withStatus = (before: string | undefined, status: CacheStatus): string =>
  before === undefined ? cacheStatus(status) : `${before}, ${cacheStatus(status)}`

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

const notModified = (headers: Readonly<Record<string, string>>): Response =>
  Exit.succeed(
    HttpServerResponse.empty({ status: 304, headers: Headers.fromRecordUnsafe(notModifiedHeaders(headers)) })
  )
