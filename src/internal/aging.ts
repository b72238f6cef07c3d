/**
 * What the time allows to do with an entry. Whether it is valid is another question, and comes first.
 */
import type * as CacheEntry from "../CacheEntry.ts"

/**
 * - `fresh`: it may be served
 * - `early`: it may be served, and is worth computing anew
 * - `stale`: it may be served while it is computed anew
 * - `fallback`: it may be served where computing it anew fails or takes long
 * - `kept`: it may be revalidated, and not served
 * - `over`: nothing
 */
export type Stage = "fresh" | "early" | "stale" | "fallback" | "kept" | "over"

/** `draw` gives a random number from zero up to, and without, one. It is asked once at most. */
export const stageOf = (entry: CacheEntry.CacheEntry, now: number, draw: () => number): Stage => {
  if (entry.goodUntil > now) return "fresh"
  const { expiresAt, terms, usedAt } = entry
  if (terms === undefined || now >= usedAt + terms.idle) return "over"
  if (now < expiresAt) return isEarly(now, expiresAt, terms.eager, draw) ? "early" : "fresh"
  if (now < terms.staleUntil) return "stale"
  if (now < terms.errorUntil) return "fallback"
  return now < terms.keptUntil ? "kept" : "over"
}

// XFetch (Vattani, Chierichetti, Lowenstein 2015, figure 3). Its logarithm is of a number above zero.
const isEarly = (now: number, expiresAt: number, eager: number, draw: () => number): boolean =>
  eager > 0 && now - eager * Math.log(1 - draw()) >= expiresAt

/** For who only asks whether an entry is over: it is not early then. */
export const neverEarly = (): number => 0

/** Whether it may be served for want of something better: nothing is worse than a failure. */
export const isServable = (entry: CacheEntry.CacheEntry, now: number): boolean => {
  const stage = stageOf(entry, now, neverEarly)
  return stage !== "kept" && stage !== "over"
}
