/**
 * Hits with few headers and with many, and beside them prebuilt responses with the very same headers.
 */
import { Effect, Layer, Schema } from "effect"
import { Cached, cached, type HttpPolicy } from "effect-cached"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { Article, article, articleTags } from "../fixtures.ts"
import { ids } from "./app.ts"

/** Every request is the same, but for what it is about: a cookie, or the validator of a 304. */
export const headers = {
  host: "127.0.0.1:3000",
  "user-agent": "benchmark",
  accept: "application/json",
  "accept-encoding": "identity",
  "accept-language": "en"
}

export const cookie = "theme=dark; session=3f9d0c1a"

export const paths = {
  "prebuilt": "/prebuilt",
  "prebuilt, with the headers of the hit without": "/prebuilt-least",
  "prebuilt, with the headers of a hit": "/prebuilt-etag",
  "prebuilt, with all headers": "/prebuilt-all",
  "hit without ETag and Vary": "/least",
  "hit": "/etag",
  "hit, with Vary": "/vary",
  "hit, with all headers": "/all",
  "not modified": "/vary",
  "whole response": "/whole",
  "whole response, of a header": "/whole-header",
  "whole response, of a cookie": "/whole-cookie"
} as const

export type Subject = keyof typeof paths

export const subjects = Object.keys(paths) as ReadonlyArray<Subject>

export const urls = (subject: Subject): ReadonlyArray<string> =>
  Array.from({ length: ids }, (_, id) => `${paths[subject]}/${id}`)

const made = { computed: 0 }

/** How often anything was computed. */
export const computed = (): number => made.computed

const least = { "cache-control": "no-cache", age: "7", "cache-status": "effect-cached; hit" }
const withEtag = { ...least, etag: `"${"0123456789abcdef".repeat(2)}"` }
const all = {
  ...withEtag,
  vary: "accept-language",
  "cache-control": "max-age=3600",
  "cdn-cache-control": "max-age=3600",
  "cache-tag": "article,articles,author,article:7,author:7",
  "cache-status": `effect-cached; hit; ttl=3593; key="GET /all/:id%09{\\"id\\":\\"7\\",\\"language\\":\\"en\\"}"`
}

const prebuilt = (path: `/${string}`, headers: Readonly<Record<string, string>>) =>
  HttpRouter.add(
    "GET",
    `${path}/:id`,
    HttpServerResponse.text(JSON.stringify(article(7)), { contentType: "application/json", headers })
  )

const find = ({ id }: { readonly id: number }) => Effect.sync(() => (made.computed++, article(id)))

const plain = (path: `/${string}`, http?: HttpPolicy.HttpPolicy) =>
  Cached.route("GET", `${path}/:id`, {
    input: { id: Schema.NumberFromString },
    success: Article,
    deps: ({ id }) => articleTags(id),
    http
  }, find)

const ofHeader = (
  path: `/${string}`,
  options?: { readonly timeToLive: "1 hour"; readonly http: HttpPolicy.HttpPolicy }
) =>
  Cached.route("GET", `${path}/:id`, {
    input: { id: Schema.NumberFromString, language: Schema.String },
    headers: { language: "accept-language" },
    success: Article,
    deps: ({ id }) => articleTags(id),
    ...options
  }, find)

const whole = (
  path: `/${string}`,
  read: (request: HttpServerRequest.HttpServerRequest) => unknown,
  varyBy?: "nothing"
) =>
  HttpRouter.add(
    "GET",
    `${path}/:id`,
    cached((request) =>
      Effect.map(HttpRouter.params, ({ id }) => {
        made.computed++
        read(request)
        return HttpServerResponse.jsonUnsafe(article(Number(id)))
      }), { deps: ({ id }) => articleTags(id!), varyBy })
  )

export const routes = Layer.mergeAll(
  prebuilt("/prebuilt", {}),
  prebuilt("/prebuilt-least", least),
  prebuilt("/prebuilt-etag", withEtag),
  prebuilt("/prebuilt-all", all),
  plain("/least", { etag: false }),
  plain("/etag"),
  ofHeader("/vary"),
  ofHeader("/all", {
    timeToLive: "1 hour",
    http: { cacheControl: "policy", cdnCacheControl: "policy", tagHeader: "Cache-Tag", cacheStatusKey: true }
  }),
  whole("/whole", () => undefined),
  whole("/whole-header", (request) => request.headers["accept-language"]),
  whole("/whole-cookie", (request) => request.cookies["theme"], "nothing")
)
