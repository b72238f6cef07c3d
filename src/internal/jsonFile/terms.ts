/**
 * What the file says of the time of an entry besides when it expires: only what would not be so without saying it.
 */
import type * as CacheEntry from "../../CacheEntry.ts"
import type { Kept } from "./kept.ts"

/** Fields that are times. Where one is missing, it is when the entry expires. */
export const timeNames = ["staleUntil", "errorUntil", "keptUntil"] as const

/** Fields that are milliseconds. Where one is missing, the entry does not end when nobody reads it, or is not computed early. */
export const durationNames = ["idle", "eager"] as const

/** JSON has no infinity. */
export const forever = "forever"

/** Terms as they are written. When an entry was last read is not. */
export type WrittenTerms = {
  readonly [K in (typeof timeNames)[number] | (typeof durationNames)[number]]?: number | typeof forever
}

/** What is to be written of the terms of an entry. */
export const writtenTerms = ({ expiresAt, terms }: Kept): WrittenTerms => {
  if (terms === undefined) return nothing
  const written: { -readonly [K in keyof WrittenTerms]: WrittenTerms[K] } = {}
  for (const name of timeNames) {
    if (terms[name] > expiresAt) written[name] = terms[name] === Infinity ? forever : terms[name]
  }
  if (terms.idle !== Infinity) written.idle = terms.idle
  if (terms.eager > 0) written.eager = terms.eager
  return written
}

const nothing: WrittenTerms = {}

/** The terms of an entry that says this of them. As far as the file knows it was last read when it was created. */
export const readTerms = (
  { createdAt, expiresAt }: Pick<CacheEntry.Stored, "createdAt" | "expiresAt">,
  { eager, errorUntil, idle, keptUntil, staleUntil }: WrittenTerms
): CacheEntry.Terms | undefined =>
  [eager, errorUntil, idle, keptUntil, staleUntil].every((value) => value === undefined) ? undefined : {
    staleUntil: numberOf(staleUntil ?? expiresAt),
    errorUntil: numberOf(errorUntil ?? expiresAt),
    keptUntil: numberOf(keptUntil ?? expiresAt),
    idle: numberOf(idle ?? Infinity),
    usedAt: createdAt,
    eager: numberOf(eager ?? 0)
  }

const numberOf = (value: number | typeof forever): number => value === forever ? Infinity : value
