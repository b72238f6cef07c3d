/**
 * fastify, bare and with the caches that are used with it.
 */
import caching from "@fastify/caching"
import { createCache } from "async-cache-dedupe"
import fastify, { type FastifyInstance } from "fastify"
import { createHash } from "node:crypto"
import type { AddressInfo } from "node:net"
import { candidates } from "./messages.ts"
import { type Page, type Pages, pageTag, pageTags, prebuiltText } from "./pages.ts"

interface Params {
  readonly Params: { readonly id: string }
}

// fastify's page "Validation and Serialization" recommends a schema of the response: it is compiled to a function that
// writes the JSON.
const schema = {
  response: {
    200: {
      type: "object",
      properties: {
        version: { type: "number" },
        id: { type: "number" },
        title: { type: "string" },
        author: { type: "object", properties: { id: { type: "number" }, name: { type: "string" } } },
        keywords: { type: "array", items: { type: "string" } },
        ratings: { type: "array", items: { type: "number" } },
        published: { type: "boolean" },
        text: { type: "string" }
      }
    }
  }
} as const

export const serve = async (pages: Pages): Promise<number> => {
  const app = fastify()
  bare(app)
  // A plugin of its own for each, so that no route gets the hooks of another.
  await app.register(async (scope) => withCaching(scope, pages))
  await app.register(async (scope) => withDedupe(scope, pages))
  await app.register(async (scope) => withDedupeOfText(scope, pages))
  await app.listen({ port: 0, host: "127.0.0.1" })
  return (app.server.address() as AddressInfo).port
}

const bare = (app: FastifyInstance): void => {
  const body = Buffer.from(prebuiltText)
  app.get(
    `/${candidates.fastify.path}/:id`,
    (_, reply) => reply.type("application/json").send(body)
  )
}

// The README of @fastify/caching: `fastify.cache` with callbacks, `reply.etag` with a value of the program's own, as it
// recommends. Its default cache is an LRU in memory, which copies what it hands out.
interface Kept {
  readonly etag: string
  readonly value: Page
}

interface CallbackCache {
  readonly get: (key: string, done: (error: unknown, found: { readonly item: Kept } | null) => void) => void
  readonly set: (key: string, kept: Kept, millis: number, done: (error: unknown) => void) => void
  readonly delete: (key: string, done: (error: unknown) => void) => void
}

const withCaching = async (app: FastifyInstance, pages: Pages): Promise<void> => {
  const { path } = candidates.fastifyCaching
  await app.register(caching, { privacy: caching.privacy.NOCACHE })
  const cache = app.cache as unknown as CallbackCache
  app.get<Params>(`/${path}/:id`, { schema }, (request, reply) => {
    const { id } = request.params
    cache.get(id, (_, found) => {
      if (found !== null) return void reply.etag(found.item.etag).send(found.item.value)
      void pages.find(path, Number(id)).then((value) => {
        const etag = `"${createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32)}"`
        cache.set(id, { etag, value }, 3_600_000, () => void reply.etag(etag).send(value))
      })
    })
    return reply
  })
  app.put<Params>(`/${path}/:id`, (request, reply) => {
    const version = pages.change(path, Number(request.params.id))
    cache.delete(request.params.id, () => void reply.send({ version }))
    return reply
  })
}

// The README of async-cache-dedupe: a function of the cache for each resource, `references` for its tags. Memory keeps 1 024
// results unless it is told otherwise.
const dedupe = <A>(find: (id: string) => Promise<A>) =>
  createCache({
    ttl: 3600,
    storage: { type: "memory", options: { size: 10_000, invalidation: true } }
  }).define("page", { references: (id: string) => [...pageTags(id)] }, find)

const withDedupe = async (app: FastifyInstance, pages: Pages): Promise<void> => {
  const { path } = candidates.fastifyDedupe
  const cache = dedupe((id) => pages.find(path, Number(id)))
  app.get<Params>(`/${path}/:id`, { schema }, (request) => cache.page(request.params.id))
  app.put<Params>(`/${path}/:id`, async (request) => {
    const version = pages.change(path, Number(request.params.id))
    await cache.invalidateAll(pageTag(request.params.id))
    return { version }
  })
}

const withDedupeOfText = async (app: FastifyInstance, pages: Pages): Promise<void> => {
  const { path } = candidates.fastifyDedupeText
  const cache = dedupe(async (id) => JSON.stringify(await pages.find(path, Number(id))))
  app.get<Params>(`/${path}/:id`, async (request, reply) => {
    void reply.type("application/json")
    return cache.page(request.params.id)
  })
  app.put<Params>(`/${path}/:id`, async (request) => {
    const version = pages.change(path, Number(request.params.id))
    await cache.invalidateAll(pageTag(request.params.id))
    return { version }
  })
}
