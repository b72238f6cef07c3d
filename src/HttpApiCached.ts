/**
 * Cached endpoints of an `HttpApi`.
 *
 * Nothing of an endpoint is repeated: its own `params`, `query`, `headers` and `payload` schemas are the input, and with it
 * the key; its `success` and `error` schemas make the response that is stored. There are two forms:
 *
 * - **At the handler**: {@link handler} in a group that is built by {@link group}. The server decides what it caches, and
 *   types see what the handler needs.
 * - **Where it is declared**: {@link annotate} puts a definition and {@link Middleware} on the endpoint, whoever writes its
 *   handler; {@link layer} is the middleware. For groups, {@link Definition} and {@link Middleware} can be added alone.
 *
 * Clients and the OpenAPI document know nothing of either.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Types from "effect/Types"
import type * as Cached from "./Cached.ts"
import type * as CacheError from "./CacheError.ts"
import type * as CachePolicy from "./CachePolicy.ts"
import type { HttpPolicy } from "./HttpPolicy.ts"
import { definitionError } from "./internal/errors.ts"
import type { Run } from "./internal/http/apiComputation.ts"
import { type AnyOptions, type ApiEndpoint, makeApiEndpoint } from "./internal/http/apiEndpoint.ts"
import { serveEndpoint, serveUncached } from "./internal/http/apiServe.ts"
import { ResultCache } from "./ResultCache.ts"
import type * as Tag from "./Tag.ts"

/**
 * What the key of a cached endpoint has besides its input: the value of an effect, or, in one visible word, nothing.
 *
 * **Details**
 *
 * Without it, a request that carries credentials (`Authorization`, `Cookie`, or the key of a security scheme of the endpoint)
 * is neither stored nor answered from the store.
 *
 * @category models
 * @since 0.1.0
 */
export type VaryBy = Cached.VaryBy | "nothing"

/**
 * The typed parts of a request that an endpoint declares: `params`, `query`, `headers` and `payload`.
 *
 * @category models
 * @since 0.1.0
 */
export type Input<Request> = {
  readonly [K in keyof Request as Exclude<K, "request" | "endpoint" | "group" | "upgrade">]: Request[K]
}

/**
 * How an endpoint is cached.
 *
 * **Details**
 *
 * - `name`: default method and path. Two functions of one cache cannot have the same name.
 * - `deps`: the tags that end the result, from the typed request.
 * - `timeToLive`: default infinite; before what `policy` says.
 * - `policy`: over the policy of the cache. A failure that the endpoint declares is stored where `errorTimeToLive` says so, as
 *   the response that the endpoint makes of it.
 * - `varyBy`: see {@link VaryBy}. Its services may be those that middleware of the endpoint provides.
 * - `http`: how the endpoint speaks HTTP.
 * - `version`: what is stored under another one is not used. Changes of the schemas are noticed without it.
 * - `consistency`: as for cached functions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in Request, in A, in E, VB extends VaryBy = undefined> {
  readonly name?: string | undefined
  readonly deps?: ((request: Request) => Iterable<Tag.Input>) | undefined
  readonly timeToLive?: CachePolicy.TimeToLive<A, E, Request> | undefined
  readonly policy?: CachePolicy.CachePolicy<A, E, Request> | undefined
  readonly varyBy?: VB | undefined
  readonly http?: HttpPolicy | undefined
  readonly version?: string | undefined
  readonly consistency?: CachePolicy.Consistency | undefined
}

interface AnyRequest {
  readonly request: HttpServerRequest.HttpServerRequest
  readonly endpoint: HttpApiEndpoint.Constraint
}

/**
 * Nothing to say about a handler whose services are the same for all requests, or that says what its result depends on, and
 * a type that no handler has otherwise. Which services middleware makes for one request is said by the endpoint, so a handler
 * that has services is made where it is handled.
 *
 * @category models
 * @since 0.1.0
 */
export type UserSound<R, Request, VB> = unknown extends R ? unknown
  : [VB] extends [undefined]
    ? Request extends { readonly endpoint: infer Endpoint }
      ? HttpApiEndpoint.Constraint extends Endpoint ? [R] extends [never] ? unknown
        : {
          readonly "make it where it is handled, so that its endpoint is known, or say in `varyBy` what the result depends on":
            never
        }
      : [Extract<R, HttpApiEndpoint.MiddlewareProvides<Endpoint>>] extends [never] ? unknown
      : {
        readonly "services of middleware belong to one request: say in `varyBy` what the result depends on": never
      }
    : unknown
  : unknown

/**
 * The run of a cached handler, which {@link group} provides. With `HttpApiBuilder.group` in its place, the program does not
 * compile: it would decode each request before the cache is asked.
 *
 * @category services
 * @since 0.1.0
 */
export class Computation extends Context.Service<Computation, Run>()("effect-cached/HttpApiCached/Computation") {}

/**
 * Where a cached handler keeps how it is cached.
 *
 * @category type ids
 * @since 0.1.0
 */
export const TypeId = "~effect-cached/HttpApiCached"

/**
 * A cached handler, for `handlers.handle` in a group that is built by {@link group}.
 *
 * **Details**
 *
 * One execution for all who ask the same at once, and a stored response for all who ask later. The handler gets what its
 * endpoint declares of a request, and nothing else. On a hit, neither the request is decoded nor the response encoded;
 * middleware of the endpoint, such as authentication, runs before the cache is asked. Responses carry `ETag`, `Age` and
 * `Cache-Status` (RFC 9211), and have the status, content type and headers that the schemas say.
 *
 * The handler runs with the services of the request. Where it uses one that middleware of the endpoint provides, types demand
 * `varyBy`. The value of that effect is its second argument.
 *
 * **Gotchas**
 *
 * A `varyBy` that is written as a lambda in the options is not inferred, because TypeScript looks at the handler first. Give the
 * effect a name.
 *
 * **Example** (An endpoint that ends with its tag)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { HttpRouter, HttpServer } from "effect/http"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { CacheLive, tag } from "effect-cached"
 * import * as HttpApiCached from "effect-cached/HttpApiCached"
 *
 * const Api = HttpApi.make("api").add(
 *   HttpApiGroup.make("squares").add(
 *     HttpApiEndpoint.get("get", "/squares/:n", { params: { n: Schema.FiniteFromString }, success: Schema.Finite })
 *   )
 * )
 *
 * const Squares = HttpApiCached.group(Api, "squares", (handlers) =>
 *   handlers.handle(
 *     "get",
 *     HttpApiCached.handler(({ params }) => Effect.succeed(params.n * params.n), {
 *       deps: ({ params }) => [tag`square:${params.n}`],
 *       policy: { timeToLive: "5 minutes" }
 *     })
 *   ))
 *
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   HttpApiBuilder.layer(Api).pipe(Layer.provide([Squares, HttpServer.layerServices]), Layer.provide(CacheLive)),
 *   { disableLogger: true }
 * )
 * const first = await handler(new Request("http://localhost/squares/12"))
 * const second = await handler(new Request("http://localhost/squares/12"))
 *
 * await first.text() // => "144"
 * first.headers.get("cache-status") // => "effect-cached; fwd=miss; stored"
 * second.headers.get("cache-status")?.slice(0, 18) // => "effect-cached; hit"
 *
 * await dispose()
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const handler = <Request extends AnyRequest, A, E, R, VB extends VaryBy = undefined>(
  f:
    & ((input: Input<Request>, varied: Cached.VaryBy.Value<VB>) => Effect.Effect<A, E, R>)
    & Cached.KeySound<NoInfer<R>>
    & UserSound<NoInfer<R>, NoInfer<Request>, NoInfer<VB>>,
  options?: Options<NoInfer<Input<Request>>, NoInfer<A>, NoInfer<E>, VB>
): {
  (request: Request): Effect.Effect<
    A,
    E | Cached.VaryBy.Error<VB>,
    R | Cached.VaryBy.Services<VB> | Computation
  >
  readonly [TypeId]: Options<Input<Request>, A, E, VB>
} =>
  Object.assign(
    (request: Request) =>
      Effect.flatMap(Computation, (run) =>
        Effect.onExit(f(request, run.varied as Cached.VaryBy.Value<VB>), (exit) =>
          Effect.sync(() => {
            run.exit = exit
          }))),
    { [TypeId]: options ?? {} } as const
  )

/**
 * As `HttpApiBuilder.group`, for groups with handlers that {@link handler} made. The others are as they are there.
 *
 * **Details**
 *
 * Fails with a `CacheError` of reason `DefinitionError` for an endpoint that cannot be cached (streams, uploads), for a name
 * that is taken, and for durations that cannot be used. Names are free again when the layer is released.
 *
 * **Example** (One endpoint of two is cached)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { HttpRouter, HttpServer } from "effect/http"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { CacheLive } from "effect-cached"
 * import * as HttpApiCached from "effect-cached/HttpApiCached"
 *
 * const Api = HttpApi.make("api").add(
 *   HttpApiGroup.make("counts").add(
 *     HttpApiEndpoint.get("once", "/once", { success: Schema.Number }),
 *     HttpApiEndpoint.get("each", "/each", { success: Schema.Number })
 *   )
 * )
 *
 * let count = 0
 * const Counts = HttpApiCached.group(Api, "counts", (handlers) =>
 *   handlers
 *     .handle("once", HttpApiCached.handler(() => Effect.sync(() => ++count)))
 *     .handle("each", () => Effect.sync(() => ++count)))
 *
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   HttpApiBuilder.layer(Api).pipe(Layer.provide([Counts, HttpServer.layerServices]), Layer.provide(CacheLive)),
 *   { disableLogger: true }
 * )
 * const bodies: Array<string> = []
 * for (const path of ["/once", "/once", "/each", "/each"]) {
 *   bodies.push(await (await handler(new Request(`http://localhost${path}`))).text())
 * }
 *
 * bodies // => ["1", "1", "2", "3"]
 *
 * await dispose()
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const group = <
  ApiId extends string,
  Groups extends HttpApiGroup.Constraint,
  const Identifier extends HttpApiGroup.Identifier<Groups>,
  Return
>(
  api: HttpApi.HttpApi<ApiId, Groups>,
  groupIdentifier: Identifier,
  build: (
    handlers: HttpApiBuilder.Handlers.FromGroup<HttpApiGroup.WithIdentifier<Groups, Identifier>>
  ) => HttpApiBuilder.Handlers.ValidateReturn<Return>
): Layer.Layer<
  HttpApiGroup.Service<ApiId, Identifier>,
  HttpApiBuilder.Handlers.Error<Return> | CacheError.CacheError,
  | Exclude<
    HttpApiBuilder.Handlers.Context<Return>,
    Scope.Scope | HttpRouter.Request<"Requires", Computation>
  >
  | ResultCache
> =>
  HttpApiBuilder.group(
    api,
    groupIdentifier,
    // Types are erased here: the signature above says what comes of it.
    ((handlers: unknown) =>
      Effect.gen(function*() {
        const result: unknown = build(handlers as never)
        const built = (Effect.isEffect(result) ? yield* (result as Effect.Effect<unknown>) : result) as Built
        for (const [identifier, item] of built.handlers) {
          if (isCachedHandler(item.handler)) {
            built.handlers.set(identifier, {
              ...item,
              endpoint: yield* cachedEndpoint(item.endpoint, built.group, api.annotations, item.handler[TypeId])
            })
          }
        }
        return built
      })) as never
  ) as never

// What `HttpApiBuilder` makes routes of.
interface Built {
  readonly group: HttpApiGroup.Top
  readonly handlers: Map<string, { readonly endpoint: HttpApiEndpoint.Top; readonly handler: unknown }>
}

const isCachedHandler = (u: unknown): u is { readonly [TypeId]: AnyOptions } =>
  typeof u === "function" && Object.hasOwn(u, TypeId)

// `HttpApiBuilder` decodes a request before it calls the handler, and middleware before that: the cache is the middleware
// that is nearest to the handler. A reference brings its own value, so nobody has to provide it.
const cachedEndpoint = Effect.fnUntraced(function*(
  endpoint: HttpApiEndpoint.Top,
  group: HttpApiGroup.Top,
  annotations: Context.Context<never>,
  options: AnyOptions
) {
  const cache = yield* ResultCache
  const made = yield* makeApiEndpoint(endpoint, group, annotations, options, cache.policy)
  const claim = yield* cache.claim(made.name, yield* Effect.scope)
  const apply = (inner: Inner) =>
    serveEndpoint({
      endpoint: made,
      cache,
      claim,
      inner,
      provide: (inner, run) => Effect.provideService(inner, Computation, Computation.of(run))
    })
  const key = Context.Reference(handlerKey, { defaultValue: () => apply })
  return innermost(endpoint, Object.assign(key, { error: new Set() }))
})

const handlerKey = "effect-cached/HttpApiCached/handler"

type Inner = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, any>

// A copy of an endpoint with one more middleware, which the others are around. That it is one of the same type is not in the type
// of `annotateMerge`, and what its middleware does is in no part of an endpoint that its users see.
const innermost = <Endpoint extends HttpApiEndpoint.Top>(endpoint: Endpoint, key: unknown): Endpoint =>
  Object.assign(endpoint.annotateMerge(Context.empty()), {
    middlewares: new Set([key, ...endpoint.middlewares])
  }) as unknown as Endpoint

/**
 * How an endpoint is cached, as an annotation: of the endpoint, or of the endpoints of a group. It takes effect together with
 * {@link Middleware}. For several endpoints at once, leave out `name`: each has its own.
 *
 * @see {@link annotate}, which adds both to an endpoint, and knows its types.
 *
 * @category annotations
 * @since 0.1.0
 */
export class Definition extends Context.Service<
  Definition,
  Options<any, HttpServerResponse.HttpServerResponse, any, VaryBy>
>()("effect-cached/HttpApiCached/Definition") {}

/**
 * The middleware that answers from the cache where there is a {@link Definition}. {@link layer} is its implementation.
 *
 * **Details**
 *
 * On a hit, only middleware that was added after it runs: add it first. Where another one was there before, building the group
 * dies with a `CacheError` of reason `DefinitionError`.
 *
 * **Example** (A policy for all endpoints of a group)
 *
 * ```ts import.meta.vitest
 * import { Schema } from "effect"
 * import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import * as HttpApiCached from "effect-cached/HttpApiCached"
 *
 * const Group = HttpApiGroup.make("numbers")
 *   .add(HttpApiEndpoint.get("one", "/one", { success: Schema.Number }))
 *   .add(HttpApiEndpoint.get("two", "/two", { success: Schema.Number }))
 *   .annotateEndpoints(HttpApiCached.Definition, { policy: { timeToLive: "1 minute" } })
 *   .middleware(HttpApiCached.Middleware)
 *
 * Group.endpoints.two.middlewares.has(HttpApiCached.Middleware) // => true
 * ```
 *
 * @category annotations
 * @since 0.1.0
 */
export class Middleware extends HttpApiMiddleware.Service<Middleware>()("effect-cached/HttpApiCached/Middleware") {}

/**
 * Caches an endpoint where it is declared: annotates it with a {@link Definition} and puts {@link Middleware} nearest to its
 * handler, so that all other middleware runs on a hit, too.
 *
 * **When to use**
 *
 * Use when the declaration shall say how an endpoint is cached, whoever writes its handler. Use {@link handler} when that is
 * the server's affair, or when the handler uses services that middleware provides: only there types can see it.
 *
 * **Details**
 *
 * The handler is an ordinary one. Its raw request has nothing but what the endpoint declares.
 *
 * **Gotchas**
 *
 * Middleware that is added later, to the endpoint or to its group, is not seen by types. Where it tells users apart by something
 * else than credentials, say `varyBy`, or they share.
 *
 * Parse options that are annotations of the whole API are not seen here: annotate the group or the endpoint with them.
 *
 * **Example** (Cached where it is declared)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { HttpRouter, HttpServer } from "effect/http"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { CacheLive, tag } from "effect-cached"
 * import * as HttpApiCached from "effect-cached/HttpApiCached"
 *
 * const Api = HttpApi.make("api").add(
 *   HttpApiGroup.make("squares").add(
 *     HttpApiEndpoint.get("get", "/squares/:n", { params: { n: Schema.FiniteFromString }, success: Schema.Finite }).pipe(
 *       HttpApiCached.annotate({ deps: ({ params }) => [tag`square:${params.n}`] })
 *     )
 *   )
 * )
 *
 * const Squares = HttpApiBuilder.group(Api, "squares", (handlers) =>
 *   handlers.handle("get", ({ params }) => Effect.succeed(params.n * params.n)))
 *
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   HttpApiBuilder.layer(Api).pipe(
 *     Layer.provide([Squares, HttpServer.layerServices]),
 *     Layer.provide(HttpApiCached.layer),
 *     Layer.provide(CacheLive)
 *   ),
 *   { disableLogger: true }
 * )
 * const first = await handler(new Request("http://localhost/squares/12"))
 * const second = await handler(new Request("http://localhost/squares/12"))
 *
 * first.headers.get("cache-status") // => "effect-cached; fwd=miss; stored"
 * await second.text() // => "144"
 *
 * await dispose()
 * ```
 *
 * @category annotations
 * @since 0.1.0
 */
export const annotate = <
  Endpoint extends HttpApiEndpoint.ConstraintRequest,
  VB extends Effect.Effect<Cached.KeyPart, HttpApiEndpoint.Errors<Endpoint>, any> | "nothing" | undefined = undefined
>(
  options:
    & Options<
      Input<Types.Simplify<HttpApiEndpoint.Request<Endpoint>>>,
      HttpServerResponse.HttpServerResponse,
      HttpApiEndpoint.Errors<Endpoint>,
      VB
    >
    & UserSound<HttpApiEndpoint.MiddlewareProvides<Endpoint>, { readonly endpoint: Endpoint }, NoInfer<VB>>
) =>
(endpoint: Endpoint): Annotated<Endpoint, Cached.VaryBy.Services<VB>> =>
  // `Annotated` says what `varyBy` needs, of which there is nothing at run time.
  innermost((endpoint as unknown as HttpApiEndpoint.Top).annotate(Definition, options), Middleware) as never

/**
 * An endpoint with {@link Middleware}, which needs the services of `varyBy` from the other middleware, or from the group.
 *
 * @category models
 * @since 0.1.0
 */
export type Annotated<Endpoint, R> = Endpoint extends HttpApiEndpoint.HttpApiEndpoint<
  infer Identifier,
  infer Method,
  infer Path,
  infer Params,
  infer Query,
  infer Payload,
  infer Headers,
  infer Success,
  infer Error,
  infer M,
  infer MR
> ? HttpApiEndpoint.HttpApiEndpoint<
    Identifier,
    Method,
    Path,
    Params,
    Query,
    Payload,
    Headers,
    Success,
    Error,
    M | Middleware,
    MR | Exclude<R, HttpRouter.Provided | HttpApiMiddleware.Provides<M>>
  >
  : never

/**
 * The implementation of {@link Middleware}.
 *
 * **Details**
 *
 * Building a group dies with a `CacheError` of reason `DefinitionError` for an endpoint that cannot be cached (streams,
 * uploads) and for durations that cannot be used. An endpoint whose name is taken works, past the cache, with a warning for
 * each request.
 *
 * **Example** (For a group whose endpoints are annotated)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { HttpRouter, HttpServer } from "effect/http"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { CacheLive } from "effect-cached"
 * import * as HttpApiCached from "effect-cached/HttpApiCached"
 *
 * const Api = HttpApi.make("api").add(
 *   HttpApiGroup.make("numbers")
 *     .add(HttpApiEndpoint.get("one", "/one", { success: Schema.Finite }))
 *     .annotateEndpoints(HttpApiCached.Definition, { policy: { timeToLive: "1 minute" } })
 *     .middleware(HttpApiCached.Middleware)
 * )
 *
 * const Numbers = HttpApiBuilder.group(Api, "numbers", (handlers) => handlers.handle("one", () => Effect.succeed(1)))
 *
 * const Server = HttpApiBuilder.layer(Api).pipe(
 *   Layer.provide([Numbers, HttpServer.layerServices]),
 *   Layer.provide(HttpApiCached.layer),
 *   Layer.provide(CacheLive)
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(Server, { disableLogger: true })
 * await handler(new Request("http://localhost/one"))
 * const response = await handler(new Request("http://localhost/one"))
 *
 * response.headers.get("cache-status") // => "effect-cached; hit; ttl=60"
 *
 * await dispose()
 * ```
 *
 * @see {@link annotate}, which adds both to an endpoint.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Middleware, never, ResultCache> = Layer.effect(Middleware)(Effect.gen(function*() {
  const cache = yield* ResultCache
  const scope = yield* Effect.scope
  return (inner, { endpoint, group }) => {
    const options = Context.getOrUndefined(Context.merge(group.annotations, endpoint.annotations), Definition)
    if (options === undefined) return inner
    const [first] = endpoint.middlewares
    if (first !== Middleware) {
      throw definitionError(
        `cached endpoint ${JSON.stringify(`${group.identifier}.${endpoint.identifier}`)}`,
        first!.key === handlerKey
          ? "it is cached where it is declared and at its handler: leave one of them out"
          : `on a hit, ${
            first!.key
          } would not run: add HttpApiCached.Middleware before it, or use HttpApiCached.annotate`
      )
    }
    const made = Effect.runSync(makeApiEndpoint(endpoint, group, Context.empty(), options, cache.policy))
    return claimed(cache, scope, made, inner)
  }
}))

// The name is taken with the first request, once for all that come at the same time.
const claimed = (
  cache: ResultCache["Service"],
  scope: Scope.Scope,
  endpoint: ApiEndpoint,
  inner: Inner
): Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled, HttpRouter.Provided> => {
  const provide = (inner: Inner) => inner
  let served: Inner | undefined = undefined
  const claiming = Effect.matchEffect(cache.claim(endpoint.name, scope), {
    onSuccess: (claim) => Effect.succeed(serveEndpoint({ endpoint, cache, claim, inner, provide })),
    onFailure: (error) =>
      error.reason._tag === "DefinitionError"
        ? Effect.succeed(Effect.tap(serveUncached({ endpoint, inner, provide }), Effect.logWarning(error.message)))
        : Effect.fail(error)
  })
  const once = Semaphore.makeUnsafe(1).withPermit(
    // A client that hangs up leaves it to the others.
    Effect.uninterruptible(Effect.suspend(() =>
      served === undefined
        ? Effect.map(claiming, (handler) => served = handler)
        : Effect.succeed(served)
    ))
  )
  return Effect.suspend(() => served ?? Effect.flatten(once)) as Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    Types.unhandled,
    HttpRouter.Provided
  >
}
