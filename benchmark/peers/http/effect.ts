/**
 * effect's router, with and without the cache.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { Cached, cached, CacheLive, invalidate } from "effect-cached"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { Article } from "../../fixtures.ts"
import { candidates } from "./messages.ts"
import { keepAliveTimeout, type Pages, pageTag, pageTags, prebuiltText } from "./pages.ts"

const Page = Schema.Struct({ version: Schema.Number, ...Article.fields })

const json = { contentType: "application/json" }

const prebuilt = HttpServerResponse.text(prebuiltText, json)

const prebuiltWithHeaders = HttpServerResponse.text(prebuiltText, {
  ...json,
  headers: {
    etag: `"0123456789abcdef0123456789abcdef"`,
    "cache-control": "no-cache",
    "cache-status": "effect-cached; hit",
    age: "7"
  }
})

const idOf = Effect.map(HttpRouter.params, ({ id }) => Number(id))

const routes = (pages: Pages) => {
  const find = (path: string, id: number) => Effect.promise(() => pages.find(path, id))
  const { route, uncached, whole } = candidates
  return Layer.mergeAll(
    HttpRouter.add("GET", `/${candidates.prebuilt.path}/:id`, prebuilt),
    HttpRouter.add("GET", `/${candidates.again.path}/:id`, prebuilt),
    HttpRouter.add("GET", `/${candidates.sameHeaders.path}/:id`, prebuiltWithHeaders),
    HttpRouter.add(
      "GET",
      `/${uncached.path}/:id`,
      Effect.flatMap(
        idOf,
        (id) => Effect.map(find(uncached.path, id), (page) => HttpServerResponse.text(JSON.stringify(page), json))
      )
    ),
    Cached.route("GET", `/${route.path}/:id`, {
      input: { id: Schema.NumberFromString },
      success: Page,
      deps: ({ id }) => pageTags(id)
    }, ({ id }) => find(route.path, id)),
    HttpRouter.add(
      "GET",
      `/${whole.path}/:id`,
      cached(
        Effect.flatMap(idOf, (id) => Effect.map(find(whole.path, id), (page) => HttpServerResponse.jsonUnsafe(page))),
        { deps: ({ id }) => pageTags(id!) }
      )
    ),
    ...[uncached, route, whole].map(({ path }) =>
      HttpRouter.add(
        "PUT",
        `/${path}/:id`,
        Effect.gen(function*() {
          const id = yield* idOf
          const version = pages.change(path, id)
          if (path !== uncached.path) yield* invalidate(pageTag(id))
          return HttpServerResponse.jsonUnsafe({ version })
        })
      )
    )
  )
}

export const serve = (pages: Pages): Promise<number> =>
  new Promise((resolve) => {
    const Main = HttpRouter.serve(routes(pages), { disableListenLog: true, disableLogger: true }).pipe(
      Layer.flatMap(() =>
        Layer.effectDiscard(Effect.map(HttpServer.HttpServer, ({ address }) => {
          if ("port" in address) resolve(address.port)
        }))
      ),
      Layer.provide(CacheLive),
      Layer.provide(NodeHttpServer.layer(() => createServer({ keepAliveTimeout }), { host: "127.0.0.1", port: 0 }))
    )
    Effect.runFork(Layer.launch(Main))
  })
