/**
 * How long a response may be used, as its headers say (RFC 9111, section 4.2). Nothing is guessed: there is no heuristic freshness.
 */
import { deltaSeconds, type Directives, maxSeconds, parseCacheControl, parseTargetedControl } from "./cacheControl.ts"
import { parseHttpDate } from "./httpDate.ts"

/** What a response says about being stored and used again, for a shared cache. All times are seconds. */
export interface Freshness {
  /** The explicit freshness lifetime (section 4.2.1): `s-maxage`, `max-age`, or `Expires`. `undefined` for none. */
  readonly lifetime: number | undefined
  /** How old the response was when it arrived (section 4.2.3). It is fresh for `lifetime - age` from then on. */
  readonly age: number
  /** It may not be stored: `no-store`, or `must-understand` for a status that is not understood (section 5.2.2.3). */
  readonly noStore: boolean
  /** It is for one user (section 5.2.2.7), also where only some of its fields are. */
  readonly isPrivate: boolean
  /** It may be stored also where the request had credentials, or the status is not known (section 5.2.2.9). */
  readonly isPublic: boolean
  /** It has to be validated before each use (section 5.2.2.4), also where only some of its fields have to. */
  readonly noCache: boolean
  /** Once it is over it may not be used, whatever happens: `must-revalidate`, `proxy-revalidate` and `s-maxage`. */
  readonly mustRevalidate: boolean
  /** RFC 5861, section 3. */
  readonly staleWhileRevalidate: number | undefined
  /** RFC 5861, section 4. */
  readonly staleIfError: number | undefined
}

/**
 * Reads the headers of a response that arrived at `now`, milliseconds since the epoch. With `targeted`, a valid
 * `CDN-Cache-Control` takes the place of `Cache-Control` and `Expires` (RFC 9213, section 2.2). `delay` is how long the
 * response took, in milliseconds; default 0.
 */
export const freshnessOf = (
  headers: Readonly<Record<string, string | undefined>>,
  status: number,
  now: number,
  { delay = 0, targeted }: { readonly targeted: boolean; readonly delay?: number | undefined }
): Freshness => {
  const target = targeted ? parseTargetedControl(headers["cdn-cache-control"]) : undefined
  const directives = target ?? parseCacheControl(headers["cache-control"])
  const date = headers["date"] === undefined ? undefined : parseHttpDate(headers["date"], now)
  const sharedMaxAge = deltaSeconds(directives, "s-maxage")
  return {
    lifetime: sharedMaxAge ?? deltaSeconds(directives, "max-age") ??
      (target === undefined ? expiresIn(headers["expires"], date, now) : undefined),
    age: Math.max(date === undefined ? 0 : apparentAge(date, now), ageOf(headers["age"]) + delay / 1000),
    noStore: directives.has("must-understand") ? !isUnderstood(status) : directives.has("no-store"),
    isPrivate: directives.has("private"),
    isPublic: directives.has("public"),
    noCache: directives.has("no-cache"),
    mustRevalidate: mustRevalidate(directives),
    staleWhileRevalidate: deltaSeconds(directives, "stale-while-revalidate"),
    staleIfError: deltaSeconds(directives, "stale-if-error")
  }
}

// Two lines of `Expires` are one invalid date, and an invalid date is in the past (section 5.3). Without a usable `Date` the
// response was made when it arrived (RFC 9110, section 6.6.1).
const expiresIn = (expires: string | undefined, date: number | undefined, now: number): number | undefined => {
  if (expires === undefined) return undefined
  const end = parseHttpDate(expires, now)
  return end === undefined ? 0 : Math.min(Math.max(0, (end - (date ?? now)) / 1000), maxSeconds)
}

// Dates are in whole seconds: a response is not older for the part of a second that its date does not say.
const apparentAge = (date: number, now: number): number => Math.floor((now - date) / 1000)

// Of a list the first counts, and what is no number is ignored (section 5.1).
const ageOf = (age: string | undefined): number => {
  const first = age?.split(",", 1)[0]!.trim()
  return first !== undefined && /^\d+$/.test(first) ? Math.min(Number(first), maxSeconds) : 0
}

const mustRevalidate = (directives: Directives): boolean =>
  directives.has("must-revalidate") || directives.has("proxy-revalidate") || directives.has("s-maxage")

// The final statuses of RFC 9110, section 15, without 206 and 304, which are no whole responses.
const isUnderstood = (status: number): boolean =>
  (status >= 200 && status <= 205) || (status >= 300 && status <= 303) || status === 307 || status === 308 ||
  (status >= 400 && status <= 417) || status === 421 || status === 422 || status === 426 ||
  (status >= 500 && status <= 505)
