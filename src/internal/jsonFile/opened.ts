/**
 * A file that is open, and the entries of it that are in memory.
 */
import type * as FileSystem from "effect/FileSystem"
import * as CacheEntry from "../../CacheEntry.ts"
import type { MemoryStore } from "../memoryStore.ts"
import type { FileLog } from "./fileLog.ts"
import type { Files } from "./files.ts"
import type { Kept } from "./kept.ts"
import { whereIs } from "./load.ts"

/** What is known of a file in this process. */
export interface Opened {
  readonly fs: FileSystem.FileSystem
  readonly files: Files
  readonly path: string
  readonly memory: MemoryStore
  readonly log: FileLog
  readonly now: () => number
}

// Nothing of it is served before its function has checked it.
const keep = ({ now, path }: Opened, entry: Kept, position: number): CacheEntry.CacheEntry => {
  // Of two results of one position the newer one counts: none is newer than what is computed now.
  const createdAt = Math.min(entry.createdAt, now())
  const terms = entry.terms && { ...entry.terms, usedAt: Math.min(entry.terms.usedAt, now()) }
  const kept = new CacheEntry.CacheEntry({ ...entry, createdAt, terms, position })
  kept.unchecked = whereIs(path, entry.key)
  return kept
}

/** Takes entries of the file, valid at a position. Returns how many there was no room for. */
export const keepAll = (opened: Opened, entries: Iterable<Kept>, position: number): number => {
  const { memory } = opened
  const now = opened.now()
  let lost = 0
  const count = () => void lost++
  memory.listeners.add(count)
  for (const entry of entries) {
    const kept = keep(opened, entry, position)
    if (CacheEntry.endsAt(kept) > now && memory.set(kept) === "too-large") lost++
  }
  memory.listeners.delete(count)
  return lost
}
