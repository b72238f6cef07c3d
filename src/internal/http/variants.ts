/**
 * The two levels of responses that depend on parts of their requests: for each base key the names of those parts, and under it a
 * variant for each value of them.
 *
 * Names are learned by computing. They are kept in memory, and noted in the store under the base key, so that a new process
 * learns them by one read. A note is a hint and needs no validity: a variant is only ever stored under a key that holds all that
 * it was computed from, with the values of its own request. Names too many cost variants, names too few cost misses.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { LRUCache } from "lru-cache"
import * as CacheEntry from "../../CacheEntry.ts"
import { canonicalUnsafe, quote } from "../canonical.ts"
import type { Cache } from "../lookup.ts"

/** What is known of one base key. */
export interface Names<A> {
  /** Unique, in code unit order. */
  readonly names: ReadonlyArray<string>
  /** What was made of them, once. */
  readonly of: A
}

interface Options<A> {
  readonly cache: Pick<Cache, "notes" | "evict" | "now">
  /** The most variants of one base key. */
  readonly maxVariants: number
  readonly maxNames: number
  /** Whether a text from a note can be a name. */
  readonly isName: (name: string) => boolean
  /** The tags of a note. */
  readonly tags: (base: string) => ReadonlyArray<string>
  readonly derive: (names: ReadonlyArray<string>) => A
}

export interface Variants<A> {
  /** What this process knows, `undefined` before it has asked the store. */
  readonly known: (base: string) => Names<A> | undefined
  /** The same, and the note is read where nothing is known: once for all who ask. `fiber` is who asks. */
  readonly load: (base: string, fiber: Fiber.Fiber<unknown, unknown>) => Effect.Effect<Names<A>>
  /** Adds names to what is known; `undefined` where they are too many. */
  readonly learn: (base: string, names: Iterable<string>) => Effect.Effect<Names<A> | undefined>
  /** A variant was served. It is the most recently used now. */
  readonly used: (base: string, entry: CacheEntry.CacheEntry) => void
  /** A variant was computed and stored. Past the bound, the one that was not used for the longest time is removed. */
  readonly stored: (base: string, entry: CacheEntry.CacheEntry) => Effect.Effect<void>
}

/** The key of a variant: another text than that of any base. */
export const variantKey = (base: string, parts: ReadonlyArray<readonly [name: string, value: unknown]>): string => {
  // The canonical text of `parts`, for every request.
  let text = ""
  for (const [name, value] of parts) {
    text += `${text === "" ? "" : ","}[${quote(name)},${canonicalUnsafe(value)}]`
  }
  return `${base}\t[${text}]`
}

interface Base<A> {
  names: Names<A>
  /** The variants that this process has stored or served, and when they are over. The least recently used one is first. */
  readonly variants: Map<string, number>
  newest: string | undefined
  characters: number
  /** When this process wrote the note. */
  noted: number
}

const maxBases = 10_000
// Bounds what keys take in memory. A base that is forgotten costs a read, and the order of its variants.
const maxCharacters = 2 ** 24
const maxNote = 16_384
// A note is kept for a day (`notes.ts`). While there are computations it is written again before that is over.
const renewAfter = 12 * 3_600_000

export const makeVariants = <A>(
  { cache, derive, isName, maxNames, maxVariants, tags }: Options<A>
): Variants<A> => {
  const total = { characters: 0 }
  const bases = new LRUCache<string, Base<A>>({
    max: maxBases,
    dispose: (base) => {
      total.characters -= base.characters
    }
  })
  const reading = new Map<string, Fiber.Fiber<Names<A>>>()

  const remember = (key: string, names: Iterable<string>): Names<A> => {
    const base = bases.get(key)
    const all = Array.from(new Set([...base?.names.names ?? [], ...names])).toSorted()
    if (base !== undefined && all.length === base.names.names.length) return base.names
    const known = { names: all, of: derive(all) }
    if (base === undefined) {
      const added = { names: known, variants: new Map(), newest: undefined, characters: 0, noted: -Infinity }
      bases.set(key, added)
      count(added, key.length)
      bound()
    } else base.names = known
    return known
  }

  // Belongs to nobody: a client that hangs up leaves it to the others.
  const read = (key: string, fiber: Fiber.Fiber<unknown, unknown>): Fiber.Fiber<Names<A>> => {
    const started = Effect.runForkWith(fiber.context)(
      Effect.map(cache.notes.read(key), (text) => remember(key, namesIn(text)))
    )
    reading.set(key, started)
    started.addObserver(() => reading.delete(key))
    return started
  }

  // Anything may stand where a note should.
  const namesIn = (text: string | undefined): ReadonlyArray<string> => {
    if (text === undefined || text.length > maxNote) return []
    try {
      const names: unknown = JSON.parse(text)
      return Array.isArray(names) && names.length <= maxNames &&
          names.every((name) => typeof name === "string" && isName(name))
        ? names
        : []
    } catch {
      return []
    }
  }

  const touch = (base: Base<A>, entry: CacheEntry.CacheEntry): void => {
    const { key } = entry
    if (!base.variants.delete(key)) count(base, key.length)
    base.variants.set(key, CacheEntry.endsAt(entry))
    base.newest = key
    bound()
  }

  const bound = (): void => {
    while (total.characters > maxCharacters && bases.pop() !== undefined);
  }

  const count = (base: Base<A>, length: number): void => {
    base.characters += length
    total.characters += length
  }

  const drop = (base: Base<A>, key: string): void => {
    if (base.variants.delete(key)) count(base, -key.length)
  }

  // What is over has gone by itself.
  const past = (base: Base<A>): ReadonlyArray<string> => {
    const now = cache.now()
    for (const [key, ends] of base.variants) if (ends <= now) drop(base, key)
    const keys = Array.from(base.variants.keys()).slice(0, Math.max(0, base.variants.size - maxVariants))
    for (const key of keys) drop(base, key)
    return keys
  }

  return {
    known: (key) => bases.get(key)?.names,
    load: (key, fiber) => {
      const known = bases.get(key)?.names
      return known === undefined ? Fiber.join(reading.get(key) ?? read(key, fiber)) : Effect.succeed(known)
    },
    learn: (key, names) =>
      Effect.suspend(() => {
        const before = bases.get(key)?.names.names ?? []
        const all = new Set([...before, ...names])
        if (all.size > maxNames) return Effect.undefined
        const known = remember(key, all)
        const base = bases.get(key)
        const now = cache.now()
        const isNoted = known.names.length === before.length && now - (base?.noted ?? now) < renewAfter
        if (isNoted || known.names.length === 0) return Effect.succeed(known)
        if (base !== undefined) base.noted = now
        return Effect.as(cache.notes.write(key, JSON.stringify(known.names), tags(key)), known)
      }),
    used: (key, entry) => {
      const base = bases.get(key)
      if (base !== undefined && base.newest !== entry.key && base.names.names.length > 0) touch(base, entry)
    },
    stored: (key, entry) =>
      Effect.suspend(() => {
        const base = bases.get(key)
        if (base === undefined || base.names.names.length === 0) return Effect.void
        touch(base, entry)
        return base.variants.size > maxVariants ? Effect.forEach(past(base), cache.evict, discard) : Effect.void
      })
  }
}

const discard = { discard: true } as const
