/**
 * From what a policy and a computation say to the times of an entry.
 */
import type * as CacheEntry from "../CacheEntry.ts"
import type { OwnLifetime } from "./flight.ts"
import type { Computed } from "./lookup.ts"
import type { Policy } from "./policy.ts"

/** The times of an entry, in milliseconds since the epoch. */
export interface Span {
  readonly createdAt: number
  readonly expiresAt: number
  readonly terms: CacheEntry.Terms | undefined
}

interface Given {
  readonly policy: Policy
  readonly computed: Computed
  /** What the computation said while it ran. */
  readonly own: OwnLifetime | undefined
  /** When the computation began and ended. */
  readonly started: number
  readonly ended: number
  /** The earliest end of what it has read. */
  readonly readsEnd: number
}

/**
 * The times of what was computed; `undefined` if it has no lifetime at all, and is not stored. `draw` gives a random number from
 * zero up to, and without, one.
 */
export const spanOf = (
  { computed, ended, own, policy, readsEnd, started }: Given,
  draw: () => number
): Span | undefined => {
  const { age = 0, failure, keep = 0 } = computed
  // What a computation says about its result makes no failure live longer.
  const said = failure === undefined
    ? own?.timeToLive ?? computed.timeToLive
    : Math.min(computed.timeToLive, own?.timeToLive ?? Infinity)
  const staleWhileRevalidate = own?.staleWhileRevalidate ?? computed.staleWhileRevalidate ?? policy.staleWhileRevalidate
  const staleIfError = own?.staleIfError ?? computed.staleIfError ?? policy.staleIfError
  if (readsEnd === -Infinity) return undefined
  const timeToLive = policy.jitter === 0 || said === Infinity ? said : said * (1 - policy.jitter * draw())
  const expiresAt = Math.min(ended - age + timeToLive, policy.outlivesReads ? Infinity : readsEnd)
  if (failure !== undefined) return expiresAt > ended ? { createdAt: ended, expiresAt, terms: undefined } : undefined
  const staleUntil = expiresAt + staleWhileRevalidate
  const errorUntil = expiresAt + staleIfError
  const keptUntil = expiresAt + keep
  const idle = policy.timeToIdle
  const eager = expiresAt === Infinity ? 0 : policy.eagerRefresh * Math.max(0, ended - started)
  const lastsUntil = Math.max(expiresAt, staleUntil, errorUntil, keptUntil)
  if (lastsUntil <= ended || idle === 0) return undefined
  const isPlain = lastsUntil === expiresAt && idle === Infinity && eager === 0
  const terms = isPlain ? undefined : { staleUntil, errorUntil, keptUntil, idle, usedAt: ended, eager }
  return { createdAt: ended, expiresAt, terms }
}
