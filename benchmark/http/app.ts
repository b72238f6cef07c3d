/**
 * The routes that are measured: the same path, answered from the cache and by a prebuilt response.
 */
import { Effect, Layer, Schema } from "effect"
import { Cached, CacheLive } from "effect-cached"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Article, article, articleTags } from "../fixtures.ts"

/** How many ids the requests of a sample go through. */
export const ids = 20

export const body = (id: number): string => JSON.stringify(article(id))

const prebuilt = HttpServerResponse.text(body(7), { contentType: "application/json" })

// The headers of a hit, on a prebuilt response: what they cost by themselves.
const prebuiltWithHeaders = HttpServerResponse.text(body(7), {
  contentType: "application/json",
  headers: {
    etag: `"0123456789abcdef0123456789abcdef"`,
    "cache-control": "no-cache",
    "cache-status": "effect-cached; hit",
    age: "7"
  }
})

export const paths = {
  prebuilt: (id: number) => `/prebuilt/${id}`,
  "prebuilt, again": (id: number) => `/again/${id}`,
  "prebuilt, with the headers of a hit": (id: number) => `/headers/${id}`,
  hit: (id: number) => `/cached/${id}`
} as const

export type Subject = keyof typeof paths

export const subjects = Object.keys(paths) as ReadonlyArray<Subject>

export const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/prebuilt/:id", prebuilt),
  HttpRouter.add("GET", "/again/:id", prebuilt),
  HttpRouter.add("GET", "/headers/:id", prebuiltWithHeaders),
  Cached.route("GET", "/cached/:id", {
    input: { id: Schema.NumberFromString },
    success: Article,
    deps: ({ id }) => articleTags(id)
  }, ({ id }) => Effect.succeed(article(id)))
).pipe(Layer.provide(CacheLive))
