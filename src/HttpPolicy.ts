/**
 * What a cached route tells its clients, and what it takes from them.
 *
 * @since 0.1.0
 */

/**
 * The header field in which the tags of a response are sent, for a CDN in front that can purge by them.
 *
 * @category models
 * @since 0.1.0
 */
export type TagHeader = "Cache-Tag" | "Surrogate-Key" | "xkey" | "Cache-Groups"

/**
 * How a cached route speaks HTTP. A plain value.
 *
 * **Details**
 *
 * - `cacheControl`: what `Cache-Control` says to browsers and all other caches. `"no-cache"`, the default: they ask before they
 *   use a response again, because no invalidation could reach them. `"policy"`: they may use it for as long as it lives here
 *   (RFC 9111, section 5.2.2.1), with the stale windows of the policy (RFC 5861).
 * - `cdnCacheControl`: `"policy"` sends `CDN-Cache-Control` with the lifetime (RFC 9213), for a CDN that is purged by tags.
 *   Default: it is not sent.
 * - `etag`: `"strong"`, the default; `"weak"` for bodies that something in between rewrites, for instance by compressing them;
 *   `false` for none.
 * - `tagHeader`: default, tags are not sent.
 * - `cacheStatusKey`: whether `Cache-Status` has the key (RFC 9211, section 2.7). Default `false`: keys may hold what only the
 *   server should know. One of more than 2 048 characters is left out.
 * - `requestCacheControl`: `"ignore"`, the default: who asks does not decide what the server computes. `"obey"`: `no-cache`,
 *   `no-store`, `max-age`, `min-fresh`, `max-stale` and `only-if-cached` of a request count (RFC 9111, section 5.2.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpPolicy {
  readonly cacheControl?: "no-cache" | "policy" | undefined
  readonly cdnCacheControl?: "policy" | undefined
  readonly etag?: "strong" | "weak" | false | undefined
  readonly tagHeader?: TagHeader | undefined
  readonly cacheStatusKey?: boolean | undefined
  readonly requestCacheControl?: "ignore" | "obey" | undefined
}
