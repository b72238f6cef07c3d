/**
 * Cached functions.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as CacheError from "./CacheError.ts"
import type * as CachePolicy from "./CachePolicy.ts"
import type { HttpPolicy } from "./HttpPolicy.ts"
import { type CachedFunction, makeCachedFunction } from "./internal/cachedFunction.ts"
import { makeCalling } from "./internal/calling.ts"
import { serve } from "./internal/http/serve.ts"
import type { MakeLookup } from "./internal/lookup.ts"
import { type Claim, ResultCache } from "./ResultCache.ts"
import type * as Tag from "./Tag.ts"

/**
 * The services that hold the raw request, which a cached function must not read: whatever may differ between two requests
 * enters through the key.
 *
 * @category models
 * @since 0.1.0
 */
export type RequestServices =
  | HttpServerRequest.HttpServerRequest
  | HttpServerRequest.ParsedSearchParams
  | HttpRouter.RouteContext

/**
 * Nothing to say about a function that reads only what its key covers, and a type that no function has otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export type KeySound<R> = ReadsRequest<R> extends true
  ? { readonly "a cached function may read only what its key covers: declare this request input in `input`": never }
  : unknown

// One question for each service: `Extract<R, …>` sees nothing in a union that comes out of `NoInfer`. While R is being
// inferred it is `unknown`, and nothing must be said about it yet.
type ReadsRequest<R> = unknown extends R ? false
  : [HttpServerRequest.HttpServerRequest] extends [R] ? true
  : [HttpServerRequest.ParsedSearchParams] extends [R] ? true
  : [HttpRouter.RouteContext] extends [R] ? true
  : false

/**
 * The decoded input of a function with these fields.
 *
 * @category models
 * @since 0.1.0
 */
export type Input<F extends Schema.Struct.Fields> = Schema.Struct<F>["Type"]

/**
 * A value that can be a part of a key as it is.
 *
 * @category models
 * @since 0.1.0
 */
export type KeyPart =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | ReadonlyArray<KeyPart>
  | { readonly [key: string]: KeyPart }

/**
 * What a `varyBy` can be.
 *
 * @category models
 * @since 0.1.0
 */
export type VaryBy = Effect.Effect<KeyPart, any, any> | undefined

/**
 * What the parts of a `varyBy` are: its value, which is handed to the function, its errors and its services.
 *
 * @since 0.1.0
 */
export declare namespace VaryBy {
  /**
   * @category models
   * @since 0.1.0
   */
  export type Value<VB> = [VB] extends [Effect.Effect<infer V, any, any>] ? V : undefined

  /**
   * @category models
   * @since 0.1.0
   */
  export type Error<VB> = [VB] extends [Effect.Effect<any, infer E, any>] ? E : never

  /**
   * @category models
   * @since 0.1.0
   */
  export type Services<VB> = [VB] extends [Effect.Effect<any, any, infer R>] ? R : never
}

/**
 * What a cached function is, besides what it computes.
 *
 * **Details**
 *
 * - `input`: the fields of the input. They are the key: a computation is given what the key was made of, decoded, and
 *   nothing else. Default: no input.
 * - `success`: how the result is encoded, stored, decoded and served. Whoever asks gets a decoded copy, on a hit as on a
 *   miss: a frozen one, or one of their own where it holds dates, maps or bytes. Only a value that cannot be encoded is
 *   handed out as it is.
 * - `deps`: the tags that end the result, from the input. What depends on more than that adds tags with `addDeps`.
 * - `timeToLive`: default infinite. What it says comes before what `policy` says.
 * - `policy`: how long results live besides, and what may be served after that. Default: what the cache's options say.
 * - `error`: how a typed failure is encoded and stored, where the policy gives failures a lifetime.
 * - `consistency`: default, what other processes invalidate ends here within the staleness bound of the invalidation log.
 *   `"strong"`: each read asks the log first.
 * - `varyBy`: what else the result depends on, a current user for instance. It is evaluated for each call, is a part of the
 *   key, and is handed to the function after the input.
 * - `version`: changes when the function changes what it computes though its schemas stay as they are. Entries of
 *   another version are misses.
 *
 * @category models
 * @since 0.1.0
 */
export interface Definition<
  F extends Schema.Struct.Fields,
  S extends Schema.Top,
  E = never,
  VB extends VaryBy = undefined
> {
  readonly input?: F | undefined
  readonly success: S
  readonly deps?: ((input: Input<F>) => Iterable<Tag.Input>) | undefined
  readonly error?: Schema.Codec<E, any> | undefined
  readonly timeToLive?: CachePolicy.TimeToLive<S["Type"], E, Input<F>> | undefined
  readonly policy?: CachePolicy.CachePolicy<S["Type"], E, Input<F>> | undefined
  readonly consistency?: CachePolicy.Consistency | undefined
  readonly varyBy?: VB | undefined
  readonly version?: string | undefined
}

/**
 * Where the error of a function is inferred from, besides the function: a function that takes an input is looked at only after
 * its definition.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failing<E> {
  readonly error?: Schema.Codec<E, any> | undefined
}

/**
 * The definition of a function that is served as a route.
 *
 * **Details**
 *
 * - `name`: default method and path. Two functions of one cache cannot have the same name.
 * - `headers`: which input fields come from which request header. All others come from the path, the query, and, for
 *   methods with a body, the fields of a JSON body, in this order.
 * - `http`: what the route tells its clients, and what it takes from them.
 *
 * @category models
 * @since 0.1.0
 */
export interface RouteDefinition<
  F extends Schema.Struct.Fields,
  S extends Schema.Top,
  E = never,
  VB extends VaryBy = undefined
> extends Definition<F, S, E, VB> {
  readonly name?: string | undefined
  readonly headers?: { readonly [K in keyof F]?: string } | undefined
  readonly http?: HttpPolicy | undefined
}

/**
 * A cached function.
 *
 * **Details**
 *
 * Calling it returns an Effect of the result: from the store, from a computation that runs, or computed. It fails with
 * what the function fails with, or with a `CacheError`: of reason `InputError`, of reason `RecursionError` where a
 * computation asks for its own result, or of reason `DefinitionError` once the scope in which it was made has closed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cached<
  in out F extends Schema.Struct.Fields,
  out S extends Schema.Top,
  out E = never,
  out RV = never
> {
  (...input: Arguments<F>): Effect.Effect<S["Type"], E | CacheError.CacheError, RV>
  readonly [TypeId]: Internals<RV>
  /** The function for calls that want something otherwise than the others. */
  readonly with: (
    options: CallOptions
  ) => (...input: Arguments<F>) => Effect.Effect<S["Type"], E | CacheError.CacheError, RV>
  /** Computes the result anew, stores it and returns it. Who asks meanwhile gets what is stored, or waits for it. */
  readonly refresh: (...input: Arguments<F>) => Effect.Effect<S["Type"], E | CacheError.CacheError, RV>
  /** Ends the entry of one input, here and wherever the log is followed. */
  readonly forget: (...input: Arguments<F>) => Effect.Effect<void, CacheError.CacheError, RV>
  /** Ends all entries of the function. */
  readonly forgetAll: Effect.Effect<void, CacheError.CacheError>
}

/**
 * What one call wants otherwise than the others: `user.with({ onlyIfCached: true })({ id: 7 })`.
 *
 * **Details**
 *
 * - `fresh`: computes the result anew and stores it, as `refresh` does.
 * - `onlyIfCached`: computes nothing and waits for no computation. Fails with a `CacheError` of reason `NotCachedError` where
 *   nothing is stored that may be served.
 * - `noStore`: does not store what it computes.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  readonly fresh?: boolean | undefined
  readonly onlyIfCached?: boolean | undefined
  readonly noStore?: boolean | undefined
}

/**
 * The input of a cached function, which may be left out where nothing in it is required.
 *
 * @category models
 * @since 0.1.0
 */
export type Arguments<F extends Schema.Struct.Fields> = {} extends Input<F> ? [input?: Input<F>] : [input: Input<F>]

/**
 * Where a cached function keeps what its routes are made of.
 *
 * @category type ids
 * @since 0.1.0
 */
export const TypeId = "~effect-cached/Cached"

/**
 * Where the effect that {@link make} returns keeps the name of the function that it makes.
 *
 * @category type ids
 * @since 0.1.0
 */
export const MakeTypeId = "~effect-cached/Cached/make"

interface Internals<out RV> {
  readonly fn: CachedFunction
  readonly cache: ResultCache["Service"]
  readonly claim: Claim
  readonly varyBy: Effect.Effect<unknown, unknown, RV> | undefined
  readonly request: MakeLookup
}

/**
 * The services that the schemas of a definition need.
 *
 * @category models
 * @since 0.1.0
 */
export type SchemaServices<F extends Schema.Struct.Fields, S extends Schema.Top> =
  | Schema.Struct<F>["DecodingServices"]
  | Schema.Struct<F>["EncodingServices"]
  | S["DecodingServices"]
  | S["EncodingServices"]

/**
 * Makes a cached function: one execution for all who ask at once, and a stored result for all who ask later.
 *
 * **Details**
 *
 * Its services are taken here, once, so a computation cannot depend on anything that belongs to one request. Where
 * it has to, `varyBy` puts that into the key. The function gets a `Scope` for each computation.
 *
 * Fails with a `CacheError` of reason `DefinitionError` when the name is taken or a duration is unusable. The name
 * is free again when the scope around this effect closes, where there is one.
 *
 * **Example** (One execution for equal inputs)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Cached, CacheLive } from "effect-cached"
 *
 * const program = Effect.gen(function*() {
 *   let executions = 0
 *   const greeting = yield* Cached.make(
 *     "greeting",
 *     { input: { name: Schema.String }, success: Schema.String, timeToLive: "5 minutes" },
 *     ({ name }) => Effect.sync(() => `Hello, ${name}: ${++executions}`)
 *   )
 *   return [yield* greeting({ name: "Ada" }), yield* greeting({ name: "Ada" })]
 * }).pipe(Effect.provide(CacheLive))
 *
 * await Effect.runPromise(program) // => ["Hello, Ada: 1", "Hello, Ada: 1"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const F extends Schema.Struct.Fields = {},
  S extends Schema.Top = Schema.Top,
  E = never,
  R = never,
  VB extends VaryBy = undefined
>(
  name: string,
  definition: Definition<F, S, NoInfer<E>, VB> & Failing<E>,
  f: ((input: Input<F>, varied: VaryBy.Value<VB>) => Effect.Effect<S["Type"], E, R>) & KeySound<NoInfer<R>>
): Effect.Effect<
  Cached<F, S, E | VaryBy.Error<VB>, VaryBy.Services<VB>>,
  CacheError.CacheError,
  Exclude<R, Scope.Scope> | ResultCache | SchemaServices<F, S>
> => {
  const made = Effect.gen(function*() {
    const cache = yield* ResultCache
    const context = yield* Effect.context<Scope.Scope>()
    // The computation's services: taken now, and nothing from whoever calls. A caller's span becomes the parent of ours.
    const captured = Context.omit(Scope.Scope, Tracer.ParentSpan)(context)
    const fn = yield* makeCachedFunction(name, definition, f, captured, cache.policy)
    const claim = yield* cache.claim(name, Context.getOrUndefined(context, Scope.Scope))
    const request: Internals<VaryBy.Services<VB>>["request"] = (key, encoded, varied, fiber) => {
      const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
      return {
        key,
        fingerprint: fn.fingerprint,
        context: span === undefined ? captured : Context.add(captured, Tracer.ParentSpan, span),
        compute: fn.compute,
        check: fn.check,
        encoded,
        varied,
        strong: fn.strong,
        policy: fn.policy
      }
    }
    return assemble<VaryBy.Services<VB>>({ fn, cache, claim, varyBy: definition.varyBy, request }) as Cached<
      F,
      S,
      E | VaryBy.Error<VB>,
      VaryBy.Services<VB>
    >
  }) as Effect.Effect<
    Cached<F, S, E | VaryBy.Error<VB>, VaryBy.Services<VB>>,
    CacheError.CacheError,
    any
  >
  return Object.assign(made, { [MakeTypeId]: name })
}

const assemble = <RV>(parts: Internals<RV>): Cached<any, any, unknown, any> => {
  const { cache, fn } = parts
  const { call, callWith, keyOf } = makeCalling(parts)
  return Object.assign(call as Cached<any, any, unknown, any>, {
    [TypeId]: parts,
    with: callWith,
    refresh: callWith({ fresh: true }),
    forget: (value: unknown) => Effect.flatMap(keyOf(value), ({ key }) => cache.forget([fn.tagOf(key)])),
    forgetAll: cache.forget([fn.tag])
  })
}

type Handler<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E | CacheError.CacheError, R>

/**
 * Whether a value is a cached function.
 *
 * @category guards
 * @since 0.1.0
 */
export const isCached = (u: unknown): u is Cached<any, any, unknown, unknown> =>
  typeof u === "function" && Object.hasOwn(u, TypeId)

/**
 * Whether a value is an effect that {@link make} returned: one that is safe to run, because it makes a cached function and
 * does nothing else.
 *
 * @category guards
 * @since 0.1.0
 */
export const isMake = (
  u: unknown
): u is Effect.Effect<Cached<any, any, unknown, unknown>, CacheError.CacheError, unknown> =>
  Effect.isEffect(u) && Object.hasOwn(u, MakeTypeId)

/**
 * Makes a cached function and serves it as a route.
 *
 * **Details**
 *
 * Mapped fields come from their header, all others from the path, the query, or the fields of a JSON body. What is not
 * declared reaches neither the key nor the function. An input that does not fit its schema is a 400 response with the
 * schema's message. `HEAD` shares the entries of `GET`. Hits carry `Age`, `ETag` and `Cache-Status` (RFC 9211), and
 * `If-None-Match` is answered with 304.
 *
 * The services of the function are taken when the layer is built; those of `varyBy` come from the request. Fails as
 * {@link make} does.
 *
 * **Example** (A route that ends with its tag)
 *
 * ```ts import.meta.vitest
 * import { Layer, Schema } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { Cached, CacheLive, tag } from "effect-cached"
 * import { Effect } from "effect"
 *
 * const GetSquare = Cached.route("GET", "/squares/:n", {
 *   input: { n: Schema.FiniteFromString },
 *   success: Schema.Struct({ square: Schema.Number }),
 *   deps: ({ n }) => [tag`square:${n}`]
 * }, ({ n }) => Effect.succeed({ square: n * n }))
 *
 * const { dispose, handler } = HttpRouter.toWebHandler(GetSquare.pipe(Layer.provide(CacheLive)), { disableLogger: true })
 *
 * const first = await handler(new Request("http://localhost/squares/12"))
 * const second = await handler(new Request("http://localhost/squares/12"))
 *
 * await first.text() // => "{\"square\":144}"
 * first.headers.get("cache-status") // => "effect-cached; fwd=miss; stored"
 * second.headers.get("cache-status") // => "effect-cached; hit"
 *
 * await dispose()
 * ```
 *
 * @category HTTP
 * @since 0.1.0
 */
export const route = <
  const F extends Schema.Struct.Fields = {},
  S extends Schema.Top = Schema.Top,
  E = never,
  R = never,
  VB extends VaryBy = undefined
>(
  method: Parameters<typeof HttpRouter.add>[0],
  path: HttpRouter.PathInput,
  definition: RouteDefinition<F, S, NoInfer<E>, VB> & Failing<E>,
  f: ((input: Input<F>, varied: VaryBy.Value<VB>) => Effect.Effect<S["Type"], E, R>) & KeySound<NoInfer<R>>
): Layer.Layer<
  never,
  CacheError.CacheError,
  | HttpRouter.HttpRouter
  | Exclude<R, Scope.Scope>
  | ResultCache
  | SchemaServices<F, S>
  | HttpRouter.Request.From<"Requires", Exclude<VaryBy.Services<VB>, HttpRouter.Provided>>
  | HttpRouter.Request.From<"Error", E | VaryBy.Error<VB> | CacheError.CacheError>
> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const cached = yield* make<F, S, E, R, VB>(definition.name ?? `${method} ${path}`, definition, f)
    const router = yield* HttpRouter.HttpRouter
    yield* router.add(
      method,
      path,
      Effect.withFiber(serve(cached[TypeId], definition.headers ?? {}, definition.http)) as Handler<
        E | VaryBy.Error<VB>,
        VaryBy.Services<VB>
      >
    )
  }))
