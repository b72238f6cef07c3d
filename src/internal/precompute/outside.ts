/**
 * Entries of a function that are outside its domain.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as CacheError from "../../CacheError.ts"
import type { CachedFunction } from "../cachedFunction.ts"
import type { Cache, Target } from "./input.ts"

/** The keys of a function that are stored and of which no input is known yet. */
export type Keys = ReadonlyMap<CachedFunction, Set<string>>

/** All keys that are stored. What a function stores under a `varyBy` says nothing of its domain, and is left out. */
export const collectKeys = Effect.fnUntraced(function*(
  targets: ReadonlyArray<Target>
): Effect.fn.Return<Keys, CacheError.CacheError> {
  const keys = new Map<CachedFunction, Set<string>>()
  const caches = new Map<Cache, Map<string, Set<string>>>()
  for (const { cache, fn, varyBy } of targets) {
    if (varyBy !== undefined) continue
    const ofFunction = new Set<string>()
    keys.set(fn, ofFunction)
    caches.set(cache, (caches.get(cache) ?? new Map<string, Set<string>>()).set(fn.name, ofFunction))
  }
  for (const [{ entries }, byName] of caches) {
    yield* Stream.runForEachArray(entries, (chunk) =>
      Effect.sync(() => {
        for (const { key } of chunk) byName.get(key.slice(0, key.indexOf("\t")))?.add(key)
      }))
  }
  return keys
})

/** Ends the entries, so that no process serves them, and removes them. */
export const removeKeys = (
  { cache, fn }: Target,
  keys: ReadonlyArray<string>
): Effect.Effect<void, CacheError.CacheError> =>
  Effect.andThen(cache.forget(keys.map(fn.tagOf)), Effect.forEach(keys, cache.remove, { discard: true }))

/** How many are removed at a time: so many tags has one record of the log. */
export const batchSize = 100
