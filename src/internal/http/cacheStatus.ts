/**
 * The `Cache-Status` header field (RFC 9211).
 */
import type * as CacheEntry from "../../CacheEntry.ts"
import type * as CacheEvent from "../../CacheEvent.ts"
import type { Answer } from "../lookup.ts"
import { formatString } from "./structured.ts"

const name = "effect-cached"

/** What one cache did with a request (section 2). */
export interface CacheStatus {
  /** It was answered from the store (section 2.1). */
  readonly hit?: boolean | undefined
  /** Why it was not (section 2.2). */
  readonly fwd?: "bypass" | "method" | "miss" | "request" | "stale" | undefined
  /** What the origin answered, where one was asked (section 2.3). */
  readonly fwdStatus?: number | undefined
  /** The seconds of freshness that are left, below zero after its time (section 2.4). `Infinity` is not sent. */
  readonly ttl?: number | undefined
  /** Whether the response is known to be stored (section 2.5). */
  readonly stored?: boolean | undefined
  /** Whether several requests shared one computation (section 2.6). */
  readonly collapsed?: boolean | undefined
  /** Section 2.7. */
  readonly key?: string | undefined
  /** A token with the rest of the story (section 2.8). */
  readonly detail?: string | undefined
}

// Proxies and clients bound the size of headers, some at 4 KB.
const maxKey = 2048

/** The field value. A key that is too long for one is left out. */
export const cacheStatus = (status: CacheStatus): string => {
  let text = name
  if (status.hit === true) text += "; hit"
  if (status.fwd !== undefined) text += `; fwd=${status.fwd}`
  if (status.fwdStatus !== undefined) text += `; fwd-status=${status.fwdStatus}`
  if (status.ttl !== undefined && status.ttl !== Infinity) text += `; ttl=${status.ttl}`
  if (status.stored === true) text += "; stored"
  if (status.collapsed === true) text += "; collapsed"
  const key = status.key === undefined ? undefined : formatString(status.key)
  if (key !== undefined && key.length <= maxKey) text += `; key=${key}`
  if (status.detail !== undefined) text += `; detail=${status.detail}`
  return text
}

/** The seconds of freshness that an entry has left. They change when its age in whole seconds does, and at its end. */
export const ttlOf = ({ expiresAt, generatedAt }: CacheEntry.CacheEntry, now: number): number => {
  const ttl = Math.floor((expiresAt - generatedAt) / 1000) - Math.floor((now - generatedAt) / 1000)
  // What is over is below zero (section 2.4), also by less than a second.
  return expiresAt <= now ? Math.min(-1, ttl) : ttl
}

/** A hit on an entry. */
export const hitStatus = (entry: CacheEntry.CacheEntry, now: number): CacheStatus => ({
  hit: true,
  ttl: ttlOf(entry, now)
})

/** What became of a lookup that has a response. */
export const answerStatus = (answer: Answer, now: number): CacheStatus => {
  const { because, entry, exit, how, rejected, stale, stored } = answer
  if (stale !== undefined) {
    const ttl = entry === undefined ? undefined : ttlOf(entry, now)
    // Whoever waited for the computation in vain was not answered from the store at once.
    return stale === "slow" || stale === "error"
      ? { fwd: "stale", ttl, detail: stale }
      : { hit: true, ttl, detail: stale }
  }
  if (exit === undefined && entry !== undefined) return hitStatus(entry, now)
  return {
    fwd: forwarded(because),
    stored,
    collapsed: how === "joined",
    // What was stored before was invalidated, which is something else than being over.
    detail: rejected ?? (because === "invalidated" ? because : undefined)
  }
}

const forwarded = (because: CacheEvent.Because): "miss" | "request" | "stale" => {
  if (because === "asked") return "request"
  return because === "expired" ? "stale" : "miss"
}

/**
 * Why a request went past the cache: it carries credentials and the route does not say `varyBy`; its method is not one
 * that can be cached whole; the response depends on something that no key can hold, or is a stream, or was not for all who
 * waited for it; the name of the handler is taken.
 */
export type BypassDetail = "credentials" | "method" | "request" | "response" | "stream" | "name-taken"

/** Past the cache, neither read nor stored (section 2.2). */
export const bypassStatus = (detail: BypassDetail): CacheStatus =>
  detail === "method" ? { fwd: "method" } : { fwd: "bypass", detail }
