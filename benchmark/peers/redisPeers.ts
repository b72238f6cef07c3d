/**
 * The candidates over Redis, each set up as its own documentation recommends, and what they have in common for the works:
 * one cached function of a number, with or without memory in front, in a database of its own on one server.
 */
import { NodeRedis } from "@effect/platform-node"
import { createKeyv } from "@keyv/redis"
import { createCache as createDedupe } from "async-cache-dedupe"
import { BentoCache, bentostore } from "bentocache"
import { memoryDriver } from "bentocache/drivers/memory"
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis"
import { createCache as createManager } from "cache-manager"
import { Cacheable, createKeyv as createKeyvMemory } from "cacheable"
import { Effect, Layer, ManagedRuntime, Schema, Scope } from "effect"
import { Cached, invalidate, ResultCache } from "effect-cached"
import { Persistable, PersistedCache, Persistence } from "effect/persistence"
import { Redis } from "ioredis"
import { setTimeout } from "node:timers/promises"
import { composeStorage, createBlobStorage, createMemoryStorage, defineCachedFunction } from "ocache"
import { inFibers, inPromises, type Run } from "./redisLoops.ts"

/** What is cached, and where. */
export interface Work<A> {
  /** With the database. Two instances of one candidate on one URL are two processes that share a cache. */
  readonly url: string
  readonly schema: Schema.Codec<A, unknown>
  readonly compute: (id: number) => A
  /** How long a computation takes, in milliseconds. */
  readonly delay: number
  /** Whether the process keeps entries in memory, in front of Redis. */
  readonly memory: boolean
  /** The tags of an entry. Without it a candidate is set up without tags, where that makes a difference to it. */
  readonly tags: ((id: number) => ReadonlyArray<string>) | undefined
}

/** A candidate at work. */
export interface Instance<A> {
  /** One call, as promise code makes it. */
  readonly get: (id: number) => Promise<A>
  /** Callers that each wait for one answer after the other, in the candidate's own way. */
  readonly run: Run
  readonly invalidate?: (tag: string) => Promise<unknown>
  /** Ends one entry, in the way that it is meant to be done. */
  readonly remove: (id: number) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

export interface Candidate {
  readonly name: string
  readonly own?: boolean
  /** What else is unequal; what it does not guarantee is found out by `probe`. */
  readonly differs?: string
  readonly make: <A>(work: Work<A>) => Promise<Instance<A>>
}

const hour = 3_600_000

const computation = <A>({ compute, delay }: Work<A>) => async (id: number): Promise<A> => {
  if (delay > 0) await setTimeout(delay)
  return compute(id)
}

const inPromise = <A>(get: (id: number) => Promise<A>): Pick<Instance<A>, "get" | "run"> => ({
  get,
  run: inPromises(get)
})

// docs/08-many-processes.md
const own = async <A>(work: Work<A>) => {
  const runtime = ManagedRuntime.make(
    ResultCache.layerRedis({ url: work.url, required: true, ...(work.memory ? {} : { memory: false }) })
  )
  const cached = await runtime.runPromise(Cached.make("article", {
    input: { id: Schema.Number },
    success: work.schema,
    deps: ({ id }) => work.tags?.(id) ?? []
  }, ({ id }) => {
    const value = Effect.sync(() => work.compute(id))
    return work.delay > 0 ? Effect.delay(value, work.delay) : value
  }))
  return { cached, runtime }
}

export const effectCached: Candidate = {
  name: "effect-cached",
  own: true,
  make: async (work) => {
    const { cached, runtime } = await own(work)
    return {
      get: (id) => runtime.runPromise(cached({ id })),
      run: inFibers(runtime.runPromise, (id) => cached({ id })),
      invalidate: (tag) => runtime.runPromise(invalidate(tag)),
      remove: (id) => runtime.runPromise(invalidate(...work.tags?.(id) ?? [])),
      close: () => runtime.dispose()
    }
  }
}

export const effectCachedFromPromises: Candidate = {
  ...effectCached,
  name: "effect-cached, runPromise for each call",
  make: async (work) => {
    const instance = await effectCached.make(work)
    return { ...instance, run: inPromises(instance.get) }
  }
}

// bentocache.dev, "Quick setup" and "Multi-tier"
const bentocache = (name: string, connect: (url: string) => Redis): Candidate => ({
  name,
  make: async (work) => {
    const connection = connect(work.url)
    const remote = bentostore().useL2Layer(redisDriver({ connection }))
    const bento = new BentoCache({
      default: "articles",
      stores: {
        articles: work.memory
          ? remote.useL1Layer(memoryDriver({ maxSize: "100mb" })).useBus(
            redisBusDriver({ connection: redisOptions(work.url) })
          )
          : remote
      }
    })
    const compute = computation(work)
    return {
      ...inPromise((id) =>
        bento.getOrSet({
          key: `article:${id}`,
          ttl: "1h",
          factory: () => compute(id),
          ...(work.tags === undefined ? {} : { tags: [...work.tags(id)] })
        })
      ),
      invalidate: (tag) => bento.deleteByTag({ tags: [tag] }),
      remove: (id) => bento.delete({ key: `article:${id}` }),
      close: () => bento.disconnectAll()
    }
  }
})

const redisOptions = (url: string) => {
  const { hostname, pathname, port } = new URL(url)
  return { host: hostname, port: Number(port), db: Number(pathname.slice(1)) }
}

const plain = (url: string) => new Redis(url)
const pipelined = (url: string) => new Redis(url, { enableAutoPipelining: true })

export const bento = bentocache("bentocache", plain)
export const bentoPipelined = bentocache("bentocache, pipelined", pipelined)

// cacheable.org, "Storage Tiering and Caching", "Get Or Set Memoization Function" and "Tag Based Invalidation".
// `getOrSet` takes no tags, so an entry with tags is read and written by hand.
export const cacheable: Candidate = {
  name: "cacheable",
  make: async (work) => {
    const redis = createKeyv(work.url)
    const cache = new Cacheable({
      ...(work.memory ? { primary: createKeyvMemory({ lruSize: 100_000 }), secondary: redis } : { primary: redis }),
      ttl: "1h",
      tags: work.tags !== undefined
    })
    const compute = computation(work)
    const { tags } = work
    const get = tags === undefined
      ? (id: number) => cache.getOrSet(`article:${id}`, () => compute(id))
      : async (id: number) => {
        const found = await cache.get(`article:${id}`)
        if (found !== undefined) return found
        const value = await compute(id)
        await cache.set(`article:${id}`, value, { tags: [...tags(id)] })
        return value
      }
    return {
      ...inPromise(get as (id: number) => Promise<never>),
      ...(tags === undefined ? {} : { invalidate: (tag: string) => cache.tags.invalidateTag(tag) }),
      remove: (id) => cache.delete(`article:${id}`),
      close: () => cache.disconnect()
    }
  }
}

// cachemanager.org, "Quick start"
export const cacheManager: Candidate = {
  name: "cache-manager",
  make: async (work) => {
    const redis = createKeyv(work.url)
    const cache = createManager({
      stores: work.memory ? [createKeyvMemory({ lruSize: 100_000 }), redis] : [redis],
      ttl: hour
    })
    const compute = computation(work)
    return {
      ...inPromise((id) => cache.wrap(`article:${id}`, () => compute(id))),
      remove: (id) => cache.del(`article:${id}`),
      close: () => cache.disconnect()
    }
  }
}

// README of async-cache-dedupe, "createCache(opts)" and "Invalidation"
const asyncCacheDedupe = (name: string, connect: (url: string) => Redis): Candidate => ({
  name,
  make: async (work) => {
    const client = connect(work.url)
    const { tags } = work
    const compute = computation(work)
    const cache = createDedupe({
      ttl: hour / 1000,
      storage: {
        type: "redis",
        options: {
          client,
          ...(tags === undefined ? {} : { invalidation: { referencesTTL: hour / 1000 } })
        }
      }
    }).define("article", tags === undefined ? {} : { references: (id: number) => [...tags(id)] }, compute)
    return {
      ...inPromise((id) => cache.article(id)),
      remove: (id) => cache.clear("article", id),
      ...(tags === undefined ? {} : { invalidate: (tag: string) => cache.invalidateAll(tag) }),
      close: () => client.quit()
    }
  }
})

export const dedupe = asyncCacheDedupe("async-cache-dedupe", plain)
export const dedupePipelined = asyncCacheDedupe("async-cache-dedupe, pipelined", pipelined)

// README of ocache, "defineCachedFunction", "createBlobStorage" and "composeStorage". Its reference names `getBuffer` and
// `set` of a Redis client as such a backend; the driver of unstorage would add base64.
export const ocache: Candidate = {
  name: "ocache",
  make: async (work) => {
    const redis = new Redis(work.url)
    const remote = createBlobStorage({
      get: (key) => redis.getBuffer(key),
      set: async (key, value, options) => {
        if (value === null) await redis.del(key)
        else await redis.set(key, Buffer.from(value), "EX", Math.ceil(options?.ttl ?? hour / 1000))
      }
    })
    const cached = defineCachedFunction(computation(work), {
      name: "article",
      getKey: (id: number) => String(id),
      maxAge: hour / 1000,
      storage: work.memory ? composeStorage([createMemoryStorage({ maxSize: 100_000 }), remote]) : remote
    })
    return {
      ...inPromise((id) => cached(id) as Promise<never>),
      remove: (id) => cached.invalidate(id),
      close: () => redis.quit()
    }
  }
}

// effect/persistence/PersistedCache. Without memory: what it keeps there has ended when it comes.
export const persistedCache: Candidate = {
  name: "effect's PersistedCache",
  make: async <A>(work: Work<A>) => {
    class Article extends Persistable.Class<{ payload: { readonly id: number } }>()("Article", {
      primaryKey: ({ id }) => String(id),
      success: work.schema
    }) {}
    const runtime = ManagedRuntime.make(Layer.provide(Persistence.layerRedis, NodeRedis.layer({ url: work.url })))
    const cache = await runtime.runPromise(
      PersistedCache.make(
        ({ id }: Article) => {
          const value = Effect.sync(() => work.compute(id))
          return work.delay > 0 ? Effect.delay(value, work.delay) : value
        },
        {
          storeId: "articles",
          timeToLive: () => hour,
          inMemoryCapacity: 100_000,
          inMemoryTTL: () => work.memory ? hour : 0
        }
      ).pipe(Scope.provide(runtime.scope))
    )
    const get = (id: number) => cache.get(new Article({ id }))
    return {
      get: (id) => runtime.runPromise(get(id)),
      run: inFibers(runtime.runPromise, get),
      remove: (id) => runtime.runPromise(cache.invalidate(new Article({ id }))),
      close: () => runtime.dispose()
    }
  }
}
