/**
 * What a lookup ends with, as far as whoever serves it has to know.
 */
import type * as Exit from "effect/Exit"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheEvent from "../CacheEvent.ts"

export interface Answer {
  readonly how: "hit" | "miss" | "joined"
  readonly exit: Exit.Exit<unknown, unknown> | undefined
  readonly entry: CacheEntry.CacheEntry | undefined
  readonly rejected: CacheEvent.RejectedReason | undefined
  readonly stored: boolean
}
