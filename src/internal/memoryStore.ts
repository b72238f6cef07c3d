/**
 * Entries in memory, bounded by their number and their size. Everything is synchronous.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { LRUCache } from "lru-cache"
import * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import { millis, size } from "./settings.ts"

interface Removal {
  readonly key: string
  readonly cause: "evicted" | "expired"
}

interface Options {
  readonly maxEntries?: number | undefined
  readonly maxBytes?: number | undefined
  readonly sweepEvery?: Duration.Input | undefined
}

export interface MemoryStore {
  /** The entry of a key. Counts as a use of it. */
  readonly peek: (key: string) => CacheEntry.CacheEntry | undefined
  readonly set: (entry: CacheEntry.CacheEntry) => "stored" | "superseded" | "too-large"
  readonly remove: (key: string) => void
  /** Those that are not over, see {@link CacheEntry.endsAt}. */
  readonly entries: () => ReadonlyArray<CacheEntry.CacheEntry>
  readonly clear: () => void
  /** Whoever is told of entries that are removed for want of space or because their time was over. */
  readonly listeners: Set<(removal: Removal) => void>
}

/** Expired entries are swept out until the scope closes. Options, defaults and errors as in `Store.MemoryOptions`. */
export const makeMemoryStore = Effect.fnUntraced(function*(
  options: Options | undefined
): Effect.fn.Return<MemoryStore, CacheError.CacheError, Scope.Scope> {
  const max = options?.maxEntries === Infinity
    ? 0 // as lru-cache says it
    : yield* size("Store.maxEntries", options?.maxEntries ?? 100_000, maxMapSize)
  const maxBytes = yield* size("Store.maxBytes", options?.maxBytes ?? 64 * 1024 * 1024)
  const sweepEvery = yield* millis("Store.sweepEvery", options?.sweepEvery ?? "1 minute")
  const clock = yield* Clock.Clock
  const listeners = new Set<(removal: Removal) => void>()
  const tell = (key: string, cause: Removal["cause"]) => {
    for (const listener of listeners) listener({ key, cause })
  }

  // lru-cache decides what to evict. Expiry is by `Clock`, so its own timers stay off.
  const entries = new LRUCache<string, CacheEntry.CacheEntry>({
    max,
    maxSize: maxBytes,
    sizeCalculation: CacheEntry.size,
    dispose: (_, key, reason) => {
      if (reason === "evict") tell(key, "evicted")
    }
  })

  const schedule = yield* makeSweeper(clock, sweepEvery, (now) => {
    let earliest = Infinity
    for (const [key, entry] of entries.entries()) {
      // Asked anew each time: what was read since ends later.
      const end = CacheEntry.endsAt(entry)
      if (end > now) earliest = Math.min(earliest, end)
      else {
        entries.delete(key)
        tell(key, "expired")
      }
    }
    return earliest
  })

  return {
    peek: (key) => entries.get(key, getOptions),
    set: (entry) => {
      const present = entries.peek(entry.key)
      if (present !== undefined && supersedes(present, entry, clock.currentTimeMillisUnsafe())) return "superseded"
      if (CacheEntry.size(entry) > maxBytes) {
        entries.delete(entry.key)
        return "too-large"
      }
      entries.set(entry.key, entry)
      schedule(CacheEntry.endsAt(entry))
      return "stored"
    },
    remove: (key) => void entries.delete(key),
    entries: () => {
      const now = clock.currentTimeMillisUnsafe()
      return Array.from(entries.values()).filter((entry) => CacheEntry.endsAt(entry) > now)
    },
    clear: () => entries.clear(),
    listeners
  }
})

// The most that a Map holds.
const maxMapSize = 2 ** 24

// One object for all look-ups, in place of one that lru-cache makes for each.
const getOptions = {}

// The entry of the later position counts, and of two of one position the newer one, as long as it can be used.
const supersedes = (present: CacheEntry.CacheEntry, entry: CacheEntry.CacheEntry, now: number): boolean =>
  CacheEntry.endsAt(present) > now && (
    present.position > entry.position || (
      present.position === entry.position && present.createdAt > entry.createdAt &&
      present.fingerprint === entry.fingerprint
    )
  )

// Sweeps soon after the earliest end, and at most once in `every` milliseconds: no entry, no timer. `sweep` returns the
// earliest end that is left.
const makeSweeper = Effect.fnUntraced(function*(
  clock: Clock.Clock,
  every: number,
  sweep: (now: number) => number
) {
  const scope = yield* Effect.scope
  const context = yield* Effect.context()
  let planned = Infinity
  let sleeper: Fiber.Fiber<void> | undefined

  const schedule = (earliest: number): void => {
    const at = Math.max(earliest, clock.currentTimeMillisUnsafe() + every)
    if (at >= planned) return
    planned = at
    sleeper?.interruptUnsafe()
    sleeper = Fiber.runIn(Effect.runForkWith(context)(wake(at)), scope)
  }

  const wake = (at: number): Effect.Effect<void> =>
    Effect.andThen(
      Effect.sleep(at - clock.currentTimeMillisUnsafe()),
      Effect.sync(() => {
        planned = Infinity
        sleeper = undefined
        schedule(sweep(clock.currentTimeMillisUnsafe()))
      })
    )

  return schedule
})
