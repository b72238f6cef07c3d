/**
 * Handlers that read who sent a request, in all the ways in which that can be read.
 */
import { Context, Effect, Fiber, type Layer, Option, Schema } from "effect"
import { Headers, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { format, inspect } from "node:util"
import type { Init } from "./http.ts"

type Request = HttpServerRequest.HttpServerRequest
type Services = Request | HttpServerRequest.ParsedSearchParams | HttpRouter.RouteContext

/** A handler whose response is a text, counted. */
export const text = <E, R>(read: (request: Request) => Effect.Effect<unknown, E, R>) => {
  const handler = {
    executions: 0,
    run: (request: Request) =>
      Effect.suspend(() => {
        handler.executions++
        return Effect.map(read(request), (value) => HttpServerResponse.text(String(value)))
      })
  }
  return handler
}

export const get = <E, R>(
  path: HttpRouter.PathInput,
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => HttpRouter.add("GET", path, handler) as Layer.Layer<never, any, any>

/** A way to read who sent a request, as `user`. */
export interface Reader {
  readonly name: string
  readonly read: (request: Request) => Effect.Effect<unknown, unknown, Services>
  /** How a request says who sent it. Default: the header `x-user`. */
  readonly as?: (user: string) => { readonly path?: string; readonly init?: Init }
}

export const sync = (read: (request: Request) => unknown) => (request: Request) => Effect.sync(() => read(request))
const byQuery = (user: string) => ({ path: `/page?user=${user}` })
const byCookie = (user: string) => ({ init: { headers: { cookie: `theme=dark; user=${user}` } } })

export const readers: ReadonlyArray<Reader> = [
  { name: "a header", read: sync((request) => request.headers["x-user"]) },
  {
    name: "a header of the service",
    read: () => HttpServerRequest.HttpServerRequest.useSync((r) => r.headers["x-user"])
  },
  {
    name: "a header of the context",
    read: () =>
      Effect.map(
        Effect.context<Request>(),
        (context) => Context.get(context, HttpServerRequest.HttpServerRequest).headers["x-user"]
      )
  },
  { name: "Headers.get", read: sync((request) => Option.getOrUndefined(Headers.get(request.headers, "X-User"))) },
  {
    name: "Headers.remove of others",
    read: sync((request) => Headers.remove(request.headers, "host")["x-user"])
  },
  {
    name: "schemaHeaders",
    read: () =>
      Effect.map(
        HttpServerRequest.schemaHeaders(Schema.Struct({ "x-user": Schema.String })),
        (headers) => headers["x-user"]
      )
  },
  {
    name: "schemaNoBody",
    read: () =>
      Effect.map(
        HttpRouter.schemaNoBody(Schema.Struct({ headers: Schema.Struct({ "x-user": Schema.String }) })),
        ({ headers }) => headers["x-user"]
      )
  },
  { name: "a spread of the headers", read: sync((request) => ({ ...request.headers })["x-user"]) },
  {
    name: "the entries of the headers",
    read: sync((request) => Object.fromEntries(Object.entries(request.headers))["x-user"])
  },
  {
    name: "a loop over the headers",
    read: sync((request) => {
      const seen: Array<string> = []
      for (const name in request.headers) if (name === "x-user") seen.push(request.headers[name]!)
      return seen.join()
    })
  },
  { name: "the headers as JSON", read: sync((request) => JSON.parse(JSON.stringify(request.headers))["x-user"]) },
  {
    name: "the descriptor of a header",
    read: sync((request) => Object.getOwnPropertyDescriptor(request.headers, "x-user")?.value)
  },
  { name: "the request as JSON", read: sync((request) => JSON.parse(JSON.stringify(request)).headers["x-user"]) },
  {
    name: "the source of the request",
    read: sync((request) => (request.source as globalThis.Request).headers.get("x-user"))
  },
  {
    name: "the descriptor of the source",
    read: sync((request) => {
      const source = Object.getOwnPropertyDescriptor(request, "source")?.value as globalThis.Request | undefined
      return source === undefined ? request.headers["x-user"] : source.headers.get("x-user")
    })
  },
  {
    name: "the values of the request",
    read: sync((request) => {
      const source = Object.values(request).find((value: unknown) => value instanceof globalThis.Request)
      return source === undefined ? request.headers["x-user"] : source.headers.get("x-user")
    })
  },
  {
    name: "the getter of the headers, on the request",
    read: sync((request) => Reflect.get(Object.getPrototypeOf(request) as object, "headers", request)["x-user"])
  },
  { name: "a modified request", read: sync((request) => request.modify({ url: "/other" }).headers["x-user"]) },
  {
    name: "a client request made of it",
    read: sync((request) => HttpServerRequest.toClientRequest(request).headers["x-user"])
  },
  {
    name: "a web request made of it",
    read: (request) => Effect.map(HttpServerRequest.toWeb(request), (web) => web.headers.get("x-user"))
  },
  {
    name: "the address of the client",
    read: sync((request) => Option.getOrElse(request.remoteAddress, () => "nobody")),
    as: (user) => ({ init: { headers: { "x-forwarded-for": user } } })
  },
  {
    name: "the address of the peer",
    read: sync((request) => Option.getOrElse(request.peerAddress, () => "nobody")),
    as: (user) => ({ init: { headers: { "x-forwarded-for": user } } })
  },
  { name: "a cookie", read: sync((request) => request.cookies["user"]), as: byCookie },
  {
    name: "schemaCookies",
    read: () =>
      Effect.map(HttpServerRequest.schemaCookies(Schema.Struct({ user: Schema.String })), (cookies) => cookies.user),
    as: byCookie
  },
  {
    name: "all cookies",
    read: sync((request) => Object.fromEntries(Object.entries(request.cookies))["user"]),
    as: byCookie
  },
  {
    name: "the cookies as they are shown",
    read: sync((request) => /user: '(\w+)'/.exec(inspect(request.cookies))?.[1]),
    as: byCookie
  },
  {
    name: "the query parameters as they are shown",
    read: () =>
      HttpServerRequest.ParsedSearchParams.useSync((search) => /user: '(\w+)'/.exec(format("%o", search))?.[1] ?? ""),
    as: byQuery
  },
  {
    name: "a header that it changes",
    read: sync((request) => {
      const user = request.headers["x-user"]
      Object.assign(request.headers, { "x-user": "ada" })
      return user
    })
  },
  { name: "the cookie header", read: sync((request) => request.headers["cookie"]?.split("user=")[1]), as: byCookie },
  {
    name: "Authorization",
    read: sync((request) => request.headers["authorization"]?.slice(7)),
    as: (user) => ({ init: { headers: { authorization: `Bearer ${user}` } } })
  },
  {
    name: "a query parameter",
    read: () => HttpServerRequest.ParsedSearchParams.useSync((search) => search["user"]),
    as: byQuery
  },
  {
    name: "all query parameters",
    read: () => HttpServerRequest.ParsedSearchParams.useSync((search) => new Map(Object.entries(search)).get("user")),
    as: byQuery
  },
  {
    name: "schemaSearchParams",
    read: () =>
      Effect.map(
        HttpServerRequest.schemaSearchParams(Schema.Struct({ user: Schema.String })),
        (search) => search.user
      ),
    as: byQuery
  },
  {
    name: "schemaParams",
    read: () => Effect.map(HttpRouter.schemaParams(Schema.Struct({ user: Schema.String })), (params) => params.user),
    as: byQuery
  },
  { name: "url", read: sync((request) => request.url.split("user=")[1]), as: byQuery },
  { name: "originalUrl", read: sync((request) => request.originalUrl.split("user=")[1]), as: byQuery },
  {
    name: "toURL",
    read: sync((request) => Option.getOrThrow(HttpServerRequest.toURL(request)).searchParams.get("user")),
    as: byQuery
  },
  {
    name: "a header that another one names",
    read: sync((request) => request.headers[request.headers["x-where"] ?? ""]),
    as: (user) => ({ init: { headers: { "x-where": `x-of-${user}`, [`x-of-${user}`]: user } } })
  },
  {
    name: "one of two headers",
    read: sync((request) => request.headers["x-first"] ?? request.headers["x-second"]),
    as: (user) => ({ init: { headers: { [user === "ada" ? "x-first" : "x-second"]: user } } })
  },
  {
    name: "whether there is a header",
    read: sync((request) => "x-ada" in request.headers ? "ada" : "bob"),
    as: (user) => ({ init: { headers: { [`x-${user}`]: "1" } } })
  },
  {
    name: "whether there is a header of its own",
    read: sync((request) => Object.hasOwn(request.headers, "x-ada") ? "ada" : "bob"),
    as: (user) => ({ init: { headers: { [`x-${user}`]: "1" } } })
  },
  {
    name: "a header, in another fiber",
    read: (request) => Effect.flatMap(Effect.forkChild(Effect.sync(() => request.headers["x-user"])), Fiber.join)
  },
  {
    name: "a header, after a while",
    read: (request) => Effect.andThen(Effect.yieldNow, Effect.sync(() => request.headers["x-user"]))
  }
]

// Stands for a proxy that is trusted: the address that the handler sees is the client's.
export const Forwarded = HttpRouter.middleware((httpEffect) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const address = request.headers["x-forwarded-for"]
    return yield* address === undefined
      ? httpEffect
      : Effect.provideService(
        httpEffect,
        HttpServerRequest.HttpServerRequest,
        request.modify({ remoteAddress: Option.some(address) })
      )
  }), { global: true })

export const asked = ({ as }: Reader, user: string) => {
  const { init = as === undefined ? { headers: { "x-user": user } } : {}, path = "/page" } = as?.(user) ?? {}
  return [path, init] as const
}
