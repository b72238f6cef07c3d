/**
 * The candidates for the works in memory. Each is set up as its own documentation recommends; the comment names the page.
 *
 * All results live for an hour. A peer is given the key in the form that costs it least: a text or a number. This library
 * and PersistedCache are given an object.
 */
import { createCache as createDedupe } from "async-cache-dedupe"
import { BentoCache, bentostore } from "bentocache"
import { memoryDriver } from "bentocache/drivers/memory"
import { createCache as createCacheManager } from "cache-manager"
import { Cacheable, createKeyv } from "cacheable"
import { Cache, Effect, ManagedRuntime, Schema } from "effect"
import { Cached, invalidate, ResultCache } from "effect-cached"
import { Persistable, PersistedCache, Persistence } from "effect/persistence"
import { createMemoryStorage, defineCachedFunction } from "ocache"
import { fibered, promised, type World } from "./worlds.ts"

/** What a candidate is set up for. */
export interface Work<A> {
  /** The results. */
  readonly schema: Schema.Codec<A, unknown>
  readonly compute: (id: number) => A
  /** What the computation waits for before that. Nothing without it. */
  readonly wait?: (() => Promise<void>) | undefined
  /** The tags of a result, for those that have tags. */
  readonly tags: (id: number) => ReadonlyArray<string>
  /** How many results there is room for. */
  readonly maxEntries: number
}

export interface Candidate {
  readonly name: string
  readonly own?: boolean
  /** It is never full: it cannot be told how many results it may keep. */
  readonly unbounded?: boolean
  /** The entries of a tag are removed when it is invalidated, not looked at when they are read. */
  readonly removes?: boolean
  /** What the probes do not see. */
  readonly differs: string
  readonly make: <A>(work: Work<A>) => Promise<World<A>>
}

const hour = 3_600_000

const effects = <A>({ compute, wait }: Work<A>): (id: number) => Effect.Effect<A> =>
  wait === undefined
    ? (id) => Effect.sync(() => compute(id))
    : (id) => Effect.map(Effect.promise(wait), () => compute(id))

const promises = <A>({ compute, wait }: Work<A>): (id: number) => Promise<A> =>
  wait === undefined
    ? async (id) => compute(id)
    : async (id) => {
      await wait()
      return compute(id)
    }

// This library: docs/01-getting-started.md and docs/03-tags-and-invalidation.md.
const makeOwn = async <A>(work: Work<A>) => {
  const runtime = ManagedRuntime.make(ResultCache.layerMemory({ maxEntries: work.maxEntries, maxBytes: 4 * 1024 ** 3 }))
  const compute = effects(work)
  const get = await runtime.runPromise(Cached.make("result", {
    input: { id: Schema.Number },
    success: work.schema,
    deps: ({ id }) => work.tags(id),
    timeToLive: "1 hour"
  }, ({ id }) => compute(id)))
  return { runtime, get }
}

const frozen = "one frozen object for everyone; what cannot be frozen is copied"

const own: Candidate = {
  name: "effect-cached",
  own: true,
  differs: frozen,
  make: async (work) => {
    const { get, runtime } = await makeOwn(work)
    return fibered({ runtime, get: (id) => get({ id }), invalidate })
  }
}

const ownByPromise: Candidate = {
  name: "effect-cached, runPromise for each call",
  own: true,
  differs: frozen,
  make: async (work) => {
    const { get, runtime } = await makeOwn(work)
    return promised({
      get: (id) => runtime.runPromise(get({ id })),
      invalidate: (tag) => runtime.runPromise(invalidate(tag)),
      close: () => runtime.dispose()
    })
  }
}

// effect: the documentation of Cache.make.
const effectCache: Candidate = {
  name: "effect's Cache",
  differs: "",
  make: async (work) => {
    const runtime = ManagedRuntime.make(Persistence.layerMemory)
    const cache = await runtime.runPromise(
      Cache.make({ capacity: work.maxEntries, lookup: effects(work), timeToLive: "1 hour" })
    )
    return fibered({ runtime, get: (id) => Cache.get(cache, id) })
  }
}

// effect: the documentation of PersistedCache.make and of Persistable.Class.
const persistedCache: Candidate = {
  name: "effect's PersistedCache",
  differs: "keeps results twice, the encoded ones without a bound",
  make: async <A>(work: Work<A>) => {
    class Result extends Persistable.Class<{ payload: { readonly id: number } }>()("Result", {
      primaryKey: ({ id }) => String(id),
      success: work.schema
    }) {}
    const compute = effects(work)
    const runtime = ManagedRuntime.make(Persistence.layerMemory)
    const cache = await runtime.runPromise(
      PersistedCache.make((request: Result) => compute(request.id), {
        storeId: "results",
        timeToLive: () => "1 hour",
        inMemoryTTL: () => "1 hour",
        inMemoryCapacity: work.maxEntries
      }).pipe(Effect.scoped)
    )
    return fibered({ runtime, get: (id) => cache.get(new Result({ id })) })
  }
}

// bentocache.dev/docs/cache-drivers, "Memory", and /docs/tagging. `serialize: false` is named there for speed, with a warning.
const bentocache = (tagged: boolean, serialize: boolean): Candidate => ({
  name: `bentocache${serialize ? "" : ", serialize: false"}${tagged ? ", tags" : ""}`,
  differs: "",
  make: async (work) => {
    const compute = promises(work)
    const bento = new BentoCache({
      default: "memory",
      stores: {
        memory: bentostore({ ttl: "1h" }).useL1Layer(
          // A tag that is looked up is an item as well: three for each result.
          memoryDriver({ maxItems: work.maxEntries * (tagged ? 4 : 1), serialize })
        )
      }
    })
    return promised({
      get: tagged
        ? (id) => bento.getOrSet({ key: `result:${id}`, factory: () => compute(id), tags: [...work.tags(id)] })
        : (id) => bento.getOrSet({ key: `result:${id}`, factory: () => compute(id) }),
      invalidate: tagged ? (tag) => bento.deleteByTag({ tags: [tag] }) : undefined,
      close: () => bento.disconnectAll()
    })
  }
})

// cacheable's readme, "Get Or Set Memoization Function" and, for the bound and the clones, "CacheableMemory".
const cacheable = (useClone: boolean): Candidate => ({
  name: `cacheable, getOrSet${useClone ? "" : ", no clones"}`,
  differs: "",
  make: async (work) => {
    const compute = promises(work)
    const cache = new Cacheable({ primary: createKeyv({ ttl: hour, lruSize: work.maxEntries, useClone }), ttl: hour })
    return promised({
      get: async (id) => (await cache.getOrSet(`result:${id}`, () => compute(id)))!,
      close: () => cache.disconnect()
    })
  }
})

// cacheable's readme, "Tag Based Invalidation": tags are given to `set` alone, not to `getOrSet` or `wrap`.
const cacheableTags: Candidate = {
  name: "cacheable, get and set with tags",
  differs: "",
  make: async <A>(work: Work<A>) => {
    const compute = promises(work)
    // What it remembers for the tags of an entry is an entry as well.
    const cache = new Cacheable({
      primary: createKeyv({ ttl: hour, lruSize: work.maxEntries * 3 }),
      ttl: hour,
      tags: true
    })
    return promised({
      get: async (id) => {
        const key = `result:${id}`
        const kept = await cache.get<A>(key)
        if (kept !== undefined) return kept
        const computed = await compute(id)
        await cache.set(key, computed, { ttl: hour, tags: [...work.tags(id)] })
        return computed
      },
      invalidate: (tag) => cache.tags.invalidateTag(tag),
      close: () => cache.disconnect()
    })
  }
}

// cache-manager's readme, "Quick start" and "wrap".
const cacheManager: Candidate = {
  name: "cache-manager",
  unbounded: true,
  differs: "keeps results without a bound",
  make: async (work) => {
    const compute = promises(work)
    const cache = createCacheManager({ ttl: hour })
    return promised({
      get: (id) => cache.wrap(`result:${id}`, () => compute(id)),
      close: () => cache.disconnect()
    })
  }
}

// cache-manager's readme, "Using CacheableMemory or lru-cache as storage adapter".
const cacheManagerBounded: Candidate = {
  name: "cache-manager, CacheableMemory",
  differs: "",
  make: async (work) => {
    const compute = promises(work)
    const cache = createCacheManager({ stores: [createKeyv({ ttl: hour, lruSize: work.maxEntries })] })
    return promised({
      get: (id) => cache.wrap(`result:${id}`, () => compute(id)),
      close: () => cache.disconnect()
    })
  }
}

// async-cache-dedupe's readme, "Example", "Invalidation" and, for the transformer, "createCache".
const asyncCacheDedupe = (options: { readonly references: boolean; readonly transformer: boolean }): Candidate => ({
  name: `async-cache-dedupe${options.references ? ", references" : ""}${options.transformer ? ", JSON" : ""}`,
  removes: true,
  differs: "",
  make: async <A>(work: Work<A>) => {
    const compute = promises(work)
    const cache = createDedupe({
      ttl: hour / 1000,
      storage: { type: "memory", options: { size: work.maxEntries, invalidation: options.references } },
      ...(options.transformer ? { transformer: { serialize: JSON.stringify, deserialize: JSON.parse } } : {})
    }).define("result", options.references ? { references: (id: number) => [...work.tags(id)] } : {}, compute)
    return promised<A>({
      get: (id) => cache.result(id),
      invalidate: options.references ? (tag) => cache.invalidateAll(tag) : undefined
    })
  }
})

// ocache's readme, "Caching Functions". `getKey` spares it the digest of the arguments.
const ocache: Candidate = {
  name: "ocache",
  differs: "",
  make: async (work) =>
    promised({
      get: defineCachedFunction(promises(work), {
        name: "result",
        getKey: (id) => String(id),
        maxAge: hour / 1000,
        storage: createMemoryStorage({ maxSize: work.maxEntries })
      })
    })
}

export const candidates: ReadonlyArray<Candidate> = [
  own,
  ownByPromise,
  effectCache,
  persistedCache,
  bentocache(true, true),
  bentocache(false, true),
  bentocache(true, false),
  bentocache(false, false),
  cacheableTags,
  cacheable(true),
  cacheable(false),
  cacheManager,
  cacheManagerBounded,
  asyncCacheDedupe({ references: true, transformer: true }),
  asyncCacheDedupe({ references: true, transformer: false }),
  asyncCacheDedupe({ references: false, transformer: false }),
  ocache
]

/** The packages that they are from, for the versions. */
export const packages: ReadonlyArray<string> = [
  "effect",
  "bentocache",
  "cacheable",
  "cache-manager",
  "async-cache-dedupe",
  "ocache"
]
