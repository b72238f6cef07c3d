/**
 * Cached handlers for `HttpRouter`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Cached from "./Cached.ts"
import type * as CacheError from "./CacheError.ts"
import type * as CachePolicy from "./CachePolicy.ts"
import type { HttpPolicy } from "./HttpPolicy.ts"
import { makeCachedFunction } from "./internal/cachedFunction.ts"
import type { BypassDetail } from "./internal/http/cacheStatus.ts"
import { hasCredentials } from "./internal/http/httpPolicy.ts"
import { type InFiber, serve, serveUncached } from "./internal/http/serve.ts"
import { sharedHandler } from "./internal/http/sharedHandler.ts"
import { makeWhole } from "./internal/http/whole.ts"
import { ResultCache } from "./ResultCache.ts"
import type * as Tag from "./Tag.ts"

/**
 * What the key of a cached handler has besides the input: the value of an effect, or, in one visible word, nothing.
 *
 * **Details**
 *
 * Without it, a request that carries credentials (`Authorization` or `Cookie`) is neither stored nor answered from the
 * store.
 *
 * @category models
 * @since 0.1.0
 */
export type VaryBy = Cached.VaryBy | "nothing"

/**
 * The definition of a handler whose value is cached.
 *
 * @category models
 * @since 0.1.0
 */
export interface ValueDefinition<
  F extends Schema.Struct.Fields,
  S extends Schema.Top,
  E = never,
  VB extends VaryBy = undefined
> extends Omit<Cached.RouteDefinition<F, S, E>, "varyBy"> {
  readonly varyBy?: VB | undefined
}

/**
 * The definition of a handler whose response is cached whole.
 *
 * **Details**
 *
 * - `deps`: the tags that end it, or a function from the path parameters to them.
 * - `timeToLive`, `policy`: as for {@link Cached.Definition}. What the response says itself counts before them: `s-maxage`,
 *   `max-age` or `Expires` for its lifetime, `stale-while-revalidate` and `stale-if-error` (RFC 5861) for how long it may be
 *   served after that, `must-revalidate` and `proxy-revalidate` that it may not be at all (RFC 9111, section 5.2.2). Responses
 *   with status 500, 502, 503 or 504 count as failures where something stale may be served in their place.
 * - `consistency`: as for {@link Cached.Definition}.
 * - `name`: default method and path.
 * - `http`: what the route tells its clients, and what it takes from them.
 * - `version`: what was stored under another one is computed anew. Change it with what the handler renders.
 * - `maxVariants`: the most responses for different headers, cookies and query parameters that this process keeps of one path,
 *   default 100. Past that, the one that was not used for the longest time is removed, and a `VariantsExceeded` event told.
 * - `maxBodyBytes`: the largest body that is stored, default 1 MiB.
 *
 * Not stored are streams, bodies over `maxBodyBytes`, and what HTTP does not allow to be stored (RFC 9111, section 3):
 * responses with `Set-Cookie`, `no-store`, `private`, `no-cache` or `Vary: *`, and those of a status that is not cacheable by
 * default, unless they give a lifetime themselves.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResponseDefinition<VB extends VaryBy = undefined> {
  readonly name?: string | undefined
  readonly deps?:
    | ReadonlyArray<Tag.Input>
    | ((params: Readonly<Record<string, string | undefined>>) => Iterable<Tag.Input>)
    | undefined
  readonly timeToLive?:
    | CachePolicy.TimeToLive<HttpServerResponse.HttpServerResponse, never, Readonly<Record<string, string | undefined>>>
    | undefined
  readonly policy?:
    | CachePolicy.CachePolicy<
      HttpServerResponse.HttpServerResponse,
      never,
      Readonly<Record<string, string | undefined>>
    >
    | undefined
  readonly consistency?: CachePolicy.Consistency | undefined
  readonly varyBy?: VB | undefined
  readonly http?: HttpPolicy | undefined
  readonly version?: string | undefined
  readonly maxVariants?: number | undefined
  readonly maxBodyBytes?: number | undefined
}

type Response = HttpServerResponse.HttpServerResponse

/**
 * A cached handler for `HttpRouter.add`, in three forms.
 *
 * **Details**
 *
 * - `cached(fn)` serves a cached function: input from the request, result as JSON. `headers` and `http` are as for
 *   {@link Cached.RouteDefinition}.
 * - `cached(handler, definition)` makes a cached function of a handler that uses the request's services. It gets the
 *   decoded input and returns a value.
 * - `cached(handler, deps)` caches the response of any handler whole. The handler gets a request that records which
 *   headers, cookies and query parameters it reads; they become a part of the key. `deps` are tags, or a
 *   {@link ResponseDefinition}.
 *
 * In the last two, types cannot tell what belongs to one request. There, a request that carries credentials is neither
 * stored nor answered from the store, unless `varyBy` says what the response depends on.
 *
 * **Example** (A response that is cached whole)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { cached, CacheLive } from "effect-cached"
 *
 * let rendered = 0
 * const Page = HttpRouter.add(
 *   "GET",
 *   "/page",
 *   cached(Effect.sync(() => HttpServerResponse.text(`rendered ${++rendered}`)), ["pages"])
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(Page.pipe(Layer.provideMerge(CacheLive)), { disableLogger: true })
 *
 * const first = await (await handler(new Request("http://localhost/page"))).text()
 * const second = await (await handler(new Request("http://localhost/page"))).text()
 * const pages = [first, second]
 * pages // => ["rendered 1", "rendered 1"]
 *
 * await dispose()
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const cached: {
  <F extends Schema.Struct.Fields, S extends Schema.Top, E, RV>(
    self: Cached.Cached<F, S, E, RV>,
    options?: {
      readonly headers?: { readonly [K in keyof F]?: string } | undefined
      readonly http?: HttpPolicy | undefined
    }
  ): Effect.Effect<Response, E | CacheError.CacheError, RV | Cached.RequestServices>
  <
    const F extends Schema.Struct.Fields = {},
    S extends Schema.Top = Schema.Top,
    E = never,
    R = never,
    VB extends VaryBy = undefined
  >(
    handler:
      & ((input: Cached.Input<F>, varied: Cached.VaryBy.Value<VB>) => Effect.Effect<S["Type"], E, R>)
      & Cached.KeySound<NoInfer<R>>,
    // Of several signatures, those are out that do not fit before `E` was inferred from the handler: `error` must say it, too.
    definition: Omit<ValueDefinition<F, S, NoInfer<E>, VB>, "error"> & Pick<ValueDefinition<F, S, E, VB>, "error">
  ): Effect.Effect<
    Response,
    E | Cached.VaryBy.Error<VB> | CacheError.CacheError,
    | Exclude<R, Scope.Scope>
    | Cached.VaryBy.Services<VB>
    | ResultCache
    | Cached.RequestServices
    | Cached.SchemaServices<F, S>
  >
  <E, R, VB extends VaryBy = undefined>(
    handler:
      | Effect.Effect<Response, E, R>
      | ((request: HttpServerRequest.HttpServerRequest) => Effect.Effect<Response, E, R>),
    deps?: ReadonlyArray<Tag.Input> | ResponseDefinition<VB>
  ): Effect.Effect<
    Response,
    E | Cached.VaryBy.Error<VB> | CacheError.CacheError,
    Exclude<R, Scope.Scope> | Cached.VaryBy.Services<VB> | ResultCache | Cached.RequestServices
  >
} = (first: unknown, second?: unknown): any => { // one implementation for three signatures
  if (Cached.isCached(first)) {
    const { headers = {}, http } = (second ?? {}) as ServeOptions
    return Effect.withFiber(serve(first[Cached.TypeId], headers, http))
  }
  if (isDefinition(second)) return cachedValue(first as Handler, second)
  const definition = Array.isArray(second) ? { deps: second } : (second ?? {}) as ResponseDefinition
  const handler = Effect.isEffect(first) ? () => first : first as Handler
  return cachedResponse(handler as never, definition as ResponseDefinition)
}

interface ServeOptions {
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined
  readonly http?: HttpPolicy | undefined
}

// Types are erased from here on: the signatures above have checked them.
type Handler = (input: any, varied: any) => Effect.Effect<unknown, unknown, any>
type AnyDefinition = ValueDefinition<Schema.Struct.Fields, Schema.Top, any, VaryBy>

const isDefinition = (u: unknown): u is AnyDefinition => typeof u === "object" && u !== null && "success" in u

type Handling = Effect.Effect<Response, unknown, any>
type Route = HttpRouter.Route<unknown, unknown>

// A handler learns from the request where it is mounted and which cache is there. What it makes of that is made once for
// both: the entry in the map is set before the making starts.
const mounted = (
  make: (cache: ResultCache["Service"], route: Route) => Effect.Effect<InFiber, CacheError.CacheError>
): Handling => {
  const caches = new WeakMap<object, WeakMap<Route, InFiber>>()
  return Effect.withFiber((fiber) => {
    const context = fiber.context as Context.Context<ResultCache | HttpRouter.RouteContext>
    const cache = Context.getUnsafe(context, ResultCache)
    const { route } = Context.getUnsafe(context, HttpRouter.RouteContext)
    const known = caches.get(cache)?.get(route)
    if (known !== undefined) return known(fiber)
    const routes = caches.get(cache) ?? new WeakMap<Route, InFiber>()
    caches.set(cache, routes)
    // The making belongs to nobody: a client that hangs up leaves it to the others.
    const made = Effect.runForkWith(withoutRequest(fiber.context))(make(cache, route))
    const mounting = Effect.flatMap(Fiber.join(made), (handler) => {
      routes.set(route, handler)
      return Effect.withFiber(handler)
    })
    routes.set(route, () => mounting)
    // What could not be made, because the log did not answer, is tried again by the next request.
    made.addObserver((exit) => {
      if (Exit.isFailure(exit)) routes.delete(route)
    })
    return mounting
  })
}

const nameOf = (name: string | undefined, route: Route): string => name ?? `${route.method} ${route.path}`

const cachedValue = (handler: Handler, definition: AnyDefinition): Handling =>
  mounted(Effect.fnUntraced(function*(cache, route) {
    const { headers = {}, http, name, varyBy } = definition
    const fn = yield* makeCachedFunction(nameOf(name, route), definition, handler, Context.empty(), cache.policy)
    const served = serve(
      {
        fn,
        cache,
        claim: { released: false },
        varyBy: varyBy === "nothing" ? undefined : varyBy,
        request: (key, encoded, varied, { context }) => ({
          key,
          fingerprint: fn.fingerprint,
          context: withoutRequest(context),
          compute: fn.compute,
          encoded,
          varied,
          strong: fn.strong,
          policy: fn.policy
        })
      },
      headers,
      http,
      varyBy === undefined
    )
    return yield* claimed(cache, fn.name, guarded(varyBy, served, serveUncached(fn, varyBy, headers, http)))
  }))

const cachedResponse = (
  handler: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<Response, unknown, any>,
  definition: ResponseDefinition<VaryBy>
): Handling =>
  mounted(Effect.fnUntraced(function*(cache, route) {
    const { varyBy } = definition
    const name = nameOf(definition.name, route)
    const whole = yield* makeWhole(name, definition, handler, cache)
    return yield* claimed(cache, name, guarded(varyBy, whole.served, whole.uncached))
  }))

// What a computation runs with: the request's services, without the request.
const withoutRequest: (context: Context.Context<never>) => Context.Context<never> = Context.omit(
  Scope.Scope,
  HttpServerRequest.HttpServerRequest,
  HttpServerRequest.ParsedSearchParams,
  HttpRouter.RouteContext
)

interface Guarded {
  readonly served: InFiber
  readonly uncached: (detail: BypassDetail) => Handling
}

// Without `varyBy` nobody has said what a response to somebody's credentials depends on.
const guarded = (varyBy: unknown, served: InFiber, uncached: Guarded["uncached"]): Guarded => ({
  uncached,
  served: varyBy !== undefined ? served : (fiber) => {
    const request = Context.getUnsafe(
      fiber.context as Context.Context<HttpServerRequest.HttpServerRequest>,
      HttpServerRequest.HttpServerRequest
    )
    return hasCredentials(request) ? uncached("credentials") : served(fiber)
  }
})

// A handler whose name is taken works, past the cache: two handlers must never get each other's results.
const claimed = (
  cache: ResultCache["Service"],
  name: string,
  { served, uncached }: Guarded
): Effect.Effect<InFiber, CacheError.CacheError> =>
  Effect.matchEffect(cache.claim(name, undefined), {
    onSuccess: () => Effect.succeed(served),
    onFailure: (error) =>
      error.reason._tag === "DefinitionError"
        ? Effect.succeed(() => Effect.tap(uncached("name-taken"), () => Effect.logWarning(error.message)))
        : Effect.fail(error)
  })

/**
 * Options of {@link rfc9111}.
 *
 * **Details**
 *
 * - `name`: default `"rfc9111"`. What is stored is found by this name and the target URI: handlers of one name over one store share
 *   it.
 * - `policy`: how results age beyond what responses say. `staleIfError`, default one hour: how long after its end a response is
 *   served where the handler fails or answers 500, 502, 503 or 504, unless the response says something else (RFC 5861, section 4)
 *   or forbids it (RFC 9111, section 4.2.4).
 * - `keep`: how long what has a validator is kept after its end, to be revalidated. Default one day.
 * - `maxBodyBytes`: larger bodies are sent on as they come and not stored, default 1 MiB.
 * - `maxVariants`: the most variants of one URI, default 64. Past it the one that was not used for the longest time goes.
 * - `http`: `requestCacheControl` and `cacheStatusKey`, as {@link HttpPolicy.HttpPolicy} describes them. The rest is for the
 *   responses to say.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedOptions {
  readonly name?: string | undefined
  readonly policy?:
    | Pick<
      CachePolicy.CachePolicy,
      "staleIfError" | "softTimeout" | "hardTimeout" | "jitter" | "timeToIdle" | "eagerRefresh"
    >
    | undefined
  readonly keep?: Duration.Input | undefined
  readonly maxBodyBytes?: number | undefined
  readonly maxVariants?: number | undefined
  readonly http?: Pick<HttpPolicy, "requestCacheControl" | "cacheStatusKey"> | undefined
}

/**
 * A handler behind a shared HTTP cache (RFC 9111): a proxy to an origin, or any handler that says in its headers how its responses
 * may be used.
 *
 * **When to use**
 *
 * Where responses come with their own `Cache-Control`, `Vary` and validators. Where the program decides what is stored, and until
 * when, use {@link cached}.
 *
 * **Details**
 *
 * - The key is the target URI, and the headers that responses of it name in `Vary`. What a response depends on and does not
 *   name, such as a cookie, is not in it: that is for the handler to say.
 * - Used without asking only as long as the response itself says: `CDN-Cache-Control` (RFC 9213) before `s-maxage`, `max-age` and
 *   `Expires`. There is no heuristic freshness.
 * - What is over is revalidated: the handler sees `If-None-Match` and `If-Modified-Since` of what is stored, and its 304 makes
 *   that fresh again (section 4.3). Conditions of clients are answered here.
 * - Served after its time: `stale-while-revalidate`, `stale-if-error`, and `policy.staleIfError`; never with `no-cache`,
 *   `must-revalidate`, `proxy-revalidate` or `s-maxage` (section 4.2.4).
 * - Never stored: `no-store`, `private`, `Vary: *`, `Set-Cookie`, 206, and what belongs to a request with `Authorization`, unless it
 *   says `public`, `s-maxage` or `must-revalidate` (section 3.5). Requests with `Range`, `If-Match` or a body go past the cache.
 * - Requests that come while the handler computes the same response wait for it, and each gets its own if it turns out not to be
 *   for all.
 * - A request with another method than GET and HEAD reaches the handler. If the method is not known to be safe, and the
 *   response is no error, what is stored of its URI ends in all processes, and of those that `Location` and `Content-Location`
 *   name on the same origin (section 4.4).
 * - `Age` and `Cache-Status` (RFC 9211) say what happened. Tags that the handler adds with `addDeps` end what is stored, too.
 *
 * **Example** (A response that says how long it may be used)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { CacheLive, HttpCached } from "effect-cached"
 *
 * let asked = 0
 * const origin = Effect.sync(() =>
 *   HttpServerResponse.text(`answer ${++asked}`, { headers: { "cache-control": "max-age=60" } })
 * )
 * const App = HttpRouter.add("*", "/*", HttpCached.rfc9111(origin))
 * const { dispose, handler } = HttpRouter.toWebHandler(App.pipe(Layer.provideMerge(CacheLive)), { disableLogger: true })
 * const ask = async (method: string) => {
 *   const response = await handler(new Request("http://localhost/page", { method }))
 *   return [await response.text(), response.headers.get("cache-status")]
 * }
 *
 * await ask("GET") // => ["answer 1", "effect-cached; fwd=miss; fwd-status=200; stored"]
 * await ask("GET") // => ["answer 1", "effect-cached; hit; ttl=60"]
 * await ask("DELETE") // => ["answer 2", "effect-cached; fwd=method; fwd-status=200"]
 * await ask("GET") // => ["answer 3", "effect-cached; fwd=miss; fwd-status=200; stored; detail=invalidated"]
 *
 * await dispose()
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const rfc9111 = <E, R>(
  handler: Effect.Effect<Response, E, R>,
  options: SharedOptions = {}
): Effect.Effect<
  Response,
  E | CacheError.CacheError,
  Exclude<R, Scope.Scope> | ResultCache | HttpServerRequest.HttpServerRequest
> =>
  sharedHandler(
    handler,
    options,
    (fiber) => Context.getUnsafe(fiber.context as Context.Context<ResultCache>, ResultCache)
  ) as any // types are erased inside
