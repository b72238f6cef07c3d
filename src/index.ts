/**
 * A cache for the results of Effect programs and of the HTTP routes that serve them.
 *
 * Modules that need a driver are not here, so that importing the root loads none: `effect-cached/MsgPackCodec`.
 *
 * @since 0.1.0
 */
export * as Broadcaster from "./Broadcaster.ts"
export * as ByteStore from "./ByteStore.ts"
export * as Cached from "./Cached.ts"
export * as CacheEntry from "./CacheEntry.ts"
export * as CacheError from "./CacheError.ts"
export * as CacheEvent from "./CacheEvent.ts"
export * as CacheMetrics from "./CacheMetrics.ts"
export * as CachePolicy from "./CachePolicy.ts"
export * as Codec from "./Codec.ts"
export * as DependencyGraph from "./DependencyGraph.ts"
export * as HttpCached from "./HttpCached.ts"
export { cached } from "./HttpCached.ts"
export * as HttpPolicy from "./HttpPolicy.ts"
export * as Lease from "./Lease.ts"
export * as Precompute from "./Precompute.ts"
export * as ResultCache from "./ResultCache.ts"
export { addDeps, CacheLive, clear, doNotStore, invalidate, setLifetime, untracked } from "./ResultCache.ts"
export * as SchemaDomain from "./SchemaDomain.ts"
export * as Store from "./Store.ts"
export * as Tag from "./Tag.ts"
export { tag } from "./Tag.ts"
