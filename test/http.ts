/**
 * Routes over HTTP without a port, and a cache whose events a test can wait for.
 */
import { Clock, Context, Effect, Layer, Queue, type Scope } from "effect"
import { type CacheEvent, ResultCache } from "effect-cached"
import { HttpRouter } from "effect/http"

export const hit = "effect-cached; hit"
export const miss = "effect-cached; fwd=miss; stored"
export const collapsed = "effect-cached; fwd=miss; stored; collapsed"
export const again = "effect-cached; fwd=miss; stored; detail=invalidated"
export const expired = "effect-cached; fwd=stale; stored"
export const bypass = (detail: string) => `effect-cached; fwd=bypass; detail=${detail}`

export interface Init {
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Reply {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly cacheStatus: string | undefined
}

export type Send = (path: string, init?: Init) => Effect.Effect<Reply>

/** A cache on the clock of the test. */
export const makeCache = Effect.fnUntraced(function*(options?: Parameters<typeof ResultCache.layerMemory>[0]) {
  const queue = yield* Queue.unbounded<CacheEvent.CacheEvent>()
  const layer = ResultCache.layerMemory({ ...options, onEvent: (event) => Queue.offerUnsafe(queue, event) }).pipe(
    Layer.provide(Layer.succeed(Clock.Clock)(yield* Clock.Clock))
  )
  const cache = Context.get(yield* Layer.build(layer), ResultCache.ResultCache)
  return {
    layer: Layer.succeed(ResultCache.ResultCache)(cache),
    cache,
    /** Waits for the next event of a kind, past all others. */
    next: Effect.fnUntraced(function*(tag: CacheEvent.CacheEvent["_tag"]) {
      while ((yield* Queue.take(queue))._tag !== tag);
    })
  }
})

type Cache = Effect.Success<ReturnType<typeof makeCache>>

/** Serves routes on a cache, a new one by default, until the scope of the test closes. */
export const serve = Effect.fnUntraced(function*(routes: Layer.Layer<never, any, any>, shared?: Cache) {
  const cache = shared ?? (yield* makeCache())
  const web = HttpRouter.toWebHandler(Layer.provideMerge(routes, cache.layer), { disableLogger: true })
  yield* Effect.addFinalizer(() => Effect.promise(web.dispose))
  const handler = web.handler as (request: Request) => Promise<Response>
  const send: Send = (path, init = {}) =>
    Effect.promise(async () => {
      const { body, ...rest } = init
      const response = await handler(
        new Request(`http://localhost${path}`, { ...rest, ...(body === undefined ? {} : { body }) } as RequestInit)
      )
      return {
        status: response.status,
        body: await response.text(),
        headers: Object.fromEntries(response.headers),
        cacheStatus: response.headers.get("cache-status") ?? undefined
      }
    })
  return { ...cache, send }
}) as (
  routes: Layer.Layer<never, any, any>,
  shared?: Cache
) => Effect.Effect<Cache & { readonly send: Send }, never, Scope.Scope>
