/**
 * What flights end with.
 */
import type * as Exit from "effect/Exit"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import type * as CacheEvent from "../CacheEvent.ts"
import type { Flight, Landing } from "./flight.ts"

/** The landing of a flight that found an entry, and why it may be served after its time, where it is over. */
export const landed = (
  entry: CacheEntry.CacheEntry,
  since: number,
  stale?: CacheEvent.StaleBecause
): Landing => ({
  because: stale === undefined ? "missing" : "expired",
  exit: undefined,
  entry,
  rejected: undefined,
  error: undefined,
  stored: true,
  tags: entry.tags,
  problem: undefined,
  stale,
  fallback: undefined,
  position: entry.position,
  since,
  started: undefined,
  untouchedAt: -1
})

/** What there is besides the exit of a computation. */
export interface Ending {
  readonly entry?: CacheEntry.CacheEntry | undefined
  readonly rejected?: CacheEvent.RejectedReason | undefined
  readonly error?: CacheError.CacheError | undefined
  readonly stored?: boolean | undefined
  readonly fallback?: CacheEntry.CacheEntry | undefined
}

/** The landing of a flight whose computation has ended; of one that left it to another process without an exit. */
export const settled = (
  { because, position, problem, since, started, tags }: Flight,
  exit: Exit.Exit<unknown, unknown> | undefined,
  { entry, error, fallback, rejected, stored = false }: Ending = nothing
): Landing => ({
  because,
  exit,
  entry,
  rejected,
  error,
  stored,
  tags,
  problem,
  stale: undefined,
  fallback,
  position,
  since,
  started,
  untouchedAt: -1
})

const nothing: Ending = {}

/** Whether its entry is in memory only, where it should have been stored: its starter did not wait until it was. */
export const isUnsaved = ({ entry, stored }: Landing): boolean => entry !== undefined && entry.unsaved && !stored
