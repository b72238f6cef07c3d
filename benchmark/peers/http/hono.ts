/**
 * hono on node, bare and with the caches that are used with it.
 */
import { serve as listen } from "@hono/node-server"
import { createCache } from "cache-manager"
import { createKeyv } from "cacheable"
import { Hono } from "hono"
import { cache } from "hono/cache"
import { defineCachedHandler } from "ocache"
import { candidates } from "./messages.ts"
import { keepAliveTimeout, type Page, type Pages, prebuiltText } from "./pages.ts"

export const serve = (pages: Pages): Promise<number> => {
  const app = new Hono()
  app.get(
    `/${candidates.hono.path}/:id`,
    (context) => context.body(prebuiltText, 200, { "content-type": "application/json" })
  )
  withHonoCache(app, pages)
  withOcache(app, pages)
  withCacheManager(app, pages)
  return new Promise((resolve) => {
    listen(
      { fetch: app.fetch, port: 0, hostname: "127.0.0.1", serverOptions: { keepAliveTimeout } },
      ({ port }) => resolve(port)
    )
  })
}

// hono's page "Cache Middleware": it needs the Cache API, which Cloudflare and Deno have. Without it every request goes
// through, and a line on the console says so, which is turned off here.
const withHonoCache = (app: Hono, pages: Pages): void => {
  const { path } = candidates.honoCache
  app.get(
    `/${path}/:id`,
    cache({ cacheName: "pages", cacheControl: "max-age=3600", onCacheNotAvailable: false }),
    async (context) => context.json(await pages.find(path, Number(context.req.param("id"))))
  )
}

// The README of ocache: a handler with standard requests and responses. Without `maxAge` it keeps for a second.
const withOcache = (app: Hono, pages: Pages): void => {
  const { path } = candidates.honoOcache
  const handler = defineCachedHandler(
    async ({ req }) => {
      const found = await pages.find(path, Number(req.url.slice(req.url.lastIndexOf("/") + 1)))
      return Response.json(found)
    },
    { name: "page", maxAge: 3600 }
  )
  app.get(`/${path}/:id`, async (context) => await handler({ req: context.req.raw }) as Response)
  app.put(`/${path}/:id`, async (context) => {
    const version = pages.change(path, Number(context.req.param("id")))
    await handler.invalidate({ req: new Request(context.req.url) })
    return context.json({ version })
  })
}

// The README of cache-manager: `wrap`, and in memory the store of cacheable, with a limit, in the place of a plain map.
const withCacheManager = (app: Hono, pages: Pages): void => {
  const { path } = candidates.honoCacheManager
  const memory = createCache({ stores: [createKeyv({ ttl: 3_600_000, lruSize: 10_000 })] })
  app.get(`/${path}/:id`, async (context) => {
    const id = context.req.param("id")
    return context.json(await memory.wrap<Page>(id, () => pages.find(path, Number(id))))
  })
  app.put(`/${path}/:id`, async (context) => {
    const id = context.req.param("id")
    const version = pages.change(path, Number(id))
    await memory.del(id)
    return context.json({ version })
  })
}
