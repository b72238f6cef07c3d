/**
 * What flights end with.
 */
import type * as Exit from "effect/Exit"
import type * as CacheEntry from "../CacheEntry.ts"
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

/** The landing of a flight whose computation has ended; of one that left it to another process without an exit. */
export const settled = (
  flight: Flight,
  exit: Exit.Exit<unknown, unknown> | undefined,
  ending?: Partial<Pick<Landing, "entry" | "rejected" | "error" | "stored" | "fallback">>
): Landing => {
  const { because, position, problem, since, started, tags } = flight
  return {
    because,
    exit,
    entry: undefined,
    rejected: undefined,
    error: undefined,
    stored: false,
    tags,
    problem,
    stale: undefined,
    fallback: undefined,
    position,
    since,
    started,
    untouchedAt: -1,
    ...ending
  }
}

/** Whether its entry is in memory only, where it should have been stored: its starter did not wait until it was. */
export const isUnsaved = ({ entry, stored }: Landing): boolean => entry !== undefined && entry.unsaved && !stored
