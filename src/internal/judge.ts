/**
 * What is against an entry: its schemas, its log, an invalidation, its time.
 */
import type * as Scope from "effect/Scope"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheEvent from "../CacheEvent.ts"
import { neverEarly, stageOf } from "./aging.ts"
import type { Lookup } from "./lookup.ts"

interface Parts {
  readonly store: { readonly peek: (key: string) => CacheEntry.CacheEntry | undefined }
  readonly graph: {
    readonly position: () => number
    readonly isValid: (entry: CacheEntry.CacheEntry) => boolean
  }
  readonly log: { readonly isCurrent: () => boolean; readonly maxStaleness: number }
  readonly scope: Scope.Scope
  readonly now: () => number
}

export type Judge = ReturnType<typeof makeJudge>

export const makeJudge = ({ graph, log, now, scope, store }: Parts) => {
  // Of a log of this process there is nothing to catch up with.
  const isAhead = (entry: CacheEntry.CacheEntry): boolean => log.maxStaleness > 0 && entry.position > graph.position()

  const isValid = (entry: CacheEntry.CacheEntry, fingerprint: string): boolean =>
    entry.fingerprint === fingerprint && entry.unchecked === undefined && !isAhead(entry) && graph.isValid(entry) &&
    log.isCurrent() && scope.state._tag !== "Closed"

  const isGood = ({ goodUntil }: CacheEntry.CacheEntry): boolean => goodUntil === Infinity || goodUntil > now()

  const held = ({ fingerprint, key }: Lookup): CacheEntry.CacheEntry | undefined => {
    const entry = store.peek(key)
    return entry !== undefined && isValid(entry, fingerprint) ? entry : undefined
  }

  const whyNot = (entry: CacheEntry.CacheEntry | undefined, { fingerprint, key }: Lookup): CacheEvent.Because => {
    if (entry === undefined || entry.key !== key) return "missing"
    if (entry.fingerprint !== fingerprint) return "changed"
    return graph.isValid(entry) && stageOf(entry, now(), neverEarly) !== "fresh" ? "expired" : "invalidated"
  }

  return {
    /** Whether an entry is stamped with a position that this process has not heard of. */
    isAhead,
    /** Whether nothing but its time is against an entry. */
    isValid,
    /** Whether an entry may be served without looking at its terms. */
    isGood,
    /** What this process holds that is valid, whatever its time allows. */
    held,
    whyNot
  }
}
