import type { CacheEntry } from "effect-cached"

/**
 * What a file keeps of the terms of an entry: not when it was last read, and no window that ends before the entry expires.
 * Terms that say nothing are none.
 */
export const asInFile = <A extends Pick<CacheEntry.Stored, "createdAt" | "expiresAt" | "terms">>(entry: A): A => {
  const { createdAt, expiresAt, terms } = entry
  if (terms === undefined) return entry
  const until = (time: number) => Math.max(time, expiresAt)
  const kept = {
    staleUntil: until(terms.staleUntil),
    errorUntil: until(terms.errorUntil),
    keptUntil: until(terms.keptUntil),
    idle: terms.idle,
    usedAt: createdAt,
    eager: terms.eager
  }
  const isNothing = kept.idle === Infinity && kept.eager === 0 &&
    [kept.staleUntil, kept.errorUntil, kept.keptUntil].every((time) => time === expiresAt)
  return { ...entry, terms: isNothing ? undefined : kept }
}
