/**
 * What is counted: a cached function, a cached route and a response that is cached whole, and what they are compared with.
 */
import { Clock, Context, Effect, Exit, Layer, ManagedRuntime, Schema, SchemaTransformation, Scope } from "effect"
import { Cached, cached, ResultCache } from "effect-cached"
import type * as CacheError from "effect-cached/CacheError"
import { HttpClientRequest, HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Article, article } from "../../benchmark/fixtures.ts"

/** How often results of `toldOf`, and of the route, were decoded and encoded by their schema. */
export const schema = { decoded: 0, encoded: 0 }

const Counted = Schema.Number.pipe(Schema.decodeTo(
  Schema.Number,
  SchemaTransformation.transform({
    decode: (id) => {
      schema.decoded++
      return id
    },
    encode: (id) => {
      schema.encoded++
      return id
    }
  })
))

const Told = Schema.Struct({ ...Article.fields, id: Counted })

/** How often results were computed. */
export const computed = { count: 0 }

// A response says how many seconds old it is: the time that a count takes must not change what is counted.
const real = Effect.runSync(Clock.Clock)
const now = 1_800_000_000_000
const still: Clock.Clock = Object.assign(Object.create(real) as Clock.Clock, {
  currentTimeMillisUnsafe: () => now,
  currentTimeMillis: Effect.succeed(now),
  currentTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
  currentTimeNanos: Effect.succeed(BigInt(now) * 1_000_000n)
})

const textOf = (id: number, bytes: number) => {
  const { text, ...rest } = article(id)
  return { ...rest, text: bytes === 0 ? text : "a cached response, ".repeat(Math.ceil(bytes / 19)) }
}

const deps = ({ id }: { readonly id: number }) => [`article:${id}`, "articles", `author:${id}`]

/** A cache with functions and routes over it, whose results have so many bytes: by default, about 1 KB. */
export const open = async (
  layer: Layer.Layer<ResultCache.ResultCache, CacheError.CacheError>,
  bytes: number = 0
) => {
  const compute = ({ id }: { readonly id: number }) =>
    Effect.sync(() => {
      computed.count++
      return textOf(id, bytes)
    })
  const runtime = ManagedRuntime.make(Layer.provide(layer, Layer.succeed(Clock.Clock)(still)))
  const input = { id: Schema.Number }
  const { articleOf, cache, toldOf } = await runtime.runPromise(Effect.gen(function*() {
    return {
      cache: yield* ResultCache.ResultCache,
      articleOf: yield* Cached.make("article", { input, success: Article, deps }, compute),
      toldOf: yield* Cached.make("told", { input, success: Told, deps }, compute)
    }
  }))
  const prebuilt = HttpServerResponse.text(JSON.stringify(textOf(7, bytes)), { contentType: "application/json" })
  const routes = Layer.mergeAll(
    HttpRouter.add("GET", "/prebuilt/:id", prebuilt),
    Cached.route("GET", "/cached/:id", { input: { id: Schema.NumberFromString }, success: Told, deps }, compute),
    HttpRouter.add(
      "GET",
      "/whole/:id",
      cached(
        Effect.flatMap(
          HttpRouter.params,
          ({ id }) => Effect.map(compute({ id: Number(id) }), (article) => HttpServerResponse.jsonUnsafe(article))
        ),
        { deps: ({ id }) => deps({ id: Number(id) }) }
      )
    )
  ).pipe(Layer.provide(Layer.succeed(ResultCache.ResultCache)(cache)))
  const scope = Scope.makeUnsafe()
  const router = await Effect.runPromise(Effect.provideService(HttpRouter.toHttpEffect(routes), Scope.Scope, scope))
  let response: HttpServerResponse.HttpServerResponse | undefined
  const handled = HttpEffect.toHandled(router, (_, answer) => {
    response = answer
    return Exit.void
  })
  // As a server has them: the services of all requests, and the request.
  const services = Context.make(ResultCache.ResultCache, cache)
  const contexts = Object.fromEntries(
    ["prebuilt", "cached", "whole"].map((path) => [
      path,
      Array.from({ length: ids }, (_, id) =>
        Context.add(
          services,
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromClientRequest(HttpClientRequest.get(`/${path}/${id}`))
        ))
    ])
  )
  /** One request in process, which has to be answered at once. */
  const request = (path: "prebuilt" | "cached" | "whole", id: number): void => {
    const fiber = Effect.runForkWith(contexts[path]![id]!)(handled)
    const exit = fiber.pollUnsafe()
    if (exit?._tag !== "Success") throw new Error(`${path} was not answered at once: ${JSON.stringify(exit)}`)
  }
  return {
    cache,
    articleOf,
    /** The same with a schema that tells what it does. */
    toldOf,
    runtime,
    request,
    /** Has all ids computed, by the function and by both routes. */
    fill: async () => {
      for (const path of ["cached", "whole"] as const) {
        for (let id = 0; id < ids; id++) request(path, id)
      }
      await runtime.runPromise(Effect.all(Array.from({ length: ids }, (_, id) => articleOf({ id }))))
    },
    response: () => response,
    /** What a lookup asks for, to peek by. */
    fingerprint: articleOf[Cached.TypeId].fn.fingerprint,
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await runtime.dispose()
    }
  }
}

/** Ids that are asked for in turn. */
export const ids = 20

/** So many operations in one fiber, none of which waits. */
export const inFiber = (operation: (index: number) => Effect.Effect<unknown, unknown>) => (times: number): void =>
  Effect.runSync(Effect.gen(function*() {
    for (let index = 0; index < times; index++) yield* operation(index)
  }))

/** So many operations, for one id after the other. */
export const inTurn = (operation: (id: number) => unknown) => (times: number): void => {
  for (let index = 0; index < times; index++) operation(index % ids)
}

/** Fails where something else was done than what is counted. */
export const check = (holds: boolean, message: string): void => {
  if (!holds) throw new Error(`what is counted is something else: ${message}`)
}

/** Gives what was counted to who has started this process. */
export const print = (counted: object): void => void process.stdout.write(`${JSON.stringify(counted)}\n`)
