/**
 * What a request asks of a cache that obeys it (RFC 9111, section 5.2.1).
 */
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as CacheEntry from "../../CacheEntry.ts"
import type { Lookup } from "../lookup.ts"
import { deltaSeconds, parseCacheControl } from "./cacheControl.ts"

export interface Asked {
  /** What it means for a lookup. */
  readonly options: Pick<Lookup, "fresh" | "onlyIfCached" | "noStore">
  /** Whether what is stored is young enough. */
  readonly accepts: (entry: CacheEntry.CacheEntry, now: number) => boolean
}

/**
 * What the `Cache-Control` of a request asks, `undefined` for nothing. `max-stale` only narrows what is served after its time: a
 * request cannot have what the policy would not serve.
 */
export const askedBy = (request: HttpServerRequest.HttpServerRequest): Asked | undefined => {
  const field = request.headers["cache-control"]
  if (field === undefined) return undefined
  const directives = parseCacheControl(field)
  const maxAge = deltaSeconds(directives, "max-age")
  const minFresh = deltaSeconds(directives, "min-fresh")
  const maxStale = deltaSeconds(directives, "max-stale")
  return {
    options: {
      fresh: directives.has("no-cache") || (maxAge === 0 && maxStale === undefined),
      onlyIfCached: directives.has("only-if-cached"),
      noStore: directives.has("no-store")
    },
    accepts: ({ expiresAt, generatedAt }, now) => {
      if (maxAge === undefined && minFresh === undefined && maxStale === undefined) return true
      const left = Math.min(expiresAt - generatedAt, (maxAge ?? Infinity) * 1000) - (now - generatedAt)
      return left >= ((minFresh ?? 0) - (maxStale ?? 0)) * 1000
    }
  }
}

/** The same lookup, past what is stored. */
export const anew = <A extends Lookup>(lookup: A): A & { readonly fresh: true } => ({ ...lookup, fresh: true })
