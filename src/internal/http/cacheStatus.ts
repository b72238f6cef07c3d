/**
 * The `Cache-Status` header field (RFC 9211).
 */
import type * as CacheEvent from "../../CacheEvent.ts"

const name = "effect-cached"

/** Answered from the store. `ttl` is the remaining freshness in seconds (section 2.4), left out where there is no end. */
export const hit = (ttl: number): string => ttl === Infinity ? `${name}; hit` : `${name}; hit; ttl=${ttl}`

/** Computed for this request (section 2.2, `miss`), or together with others (section 2.6, `collapsed`), and whether it is known to be stored. */
export const miss = (
  collapsed: boolean,
  stored: boolean,
  rejected: CacheEvent.RejectedReason | undefined
): string =>
  `${name}; fwd=miss${collapsed ? "; collapsed" : ""}${stored ? "; stored" : ""}${
    rejected === undefined ? "" : `; detail=${rejected}`
  }`

/**
 * Why a request went past the cache: it carries credentials and the route does not say `varyBy`; its method is not one
 * that can be cached whole; the response depends on something that no key can hold, or is a stream; the name of the
 * handler is taken.
 */
export type BypassDetail = "credentials" | "method" | "request" | "stream" | "name-taken"

/** Past the cache, neither read nor stored (section 2.2, `bypass`). */
export const bypass = (detail: BypassDetail): string => `${name}; fwd=bypass; detail=${detail}`
