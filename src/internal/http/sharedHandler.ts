/**
 * A handler behind a shared cache, whichever cache its requests bring.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as CacheError from "../../CacheError.ts"
import * as CachePolicy from "../../CachePolicy.ts"
import type { Cache } from "../lookup.ts"
import { resolvePolicy } from "../policy.ts"
import { millis, size } from "../settings.ts"
import { makeSharedCache } from "./sharedCache.ts"

type Handled = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, any>

/** As `HttpCached.SharedOptions` describes them. */
interface Options {
  readonly name?: string | undefined
  readonly policy?: CachePolicy.CachePolicy | undefined
  readonly keep?: Parameters<typeof millis>[1] | undefined
  readonly maxBodyBytes?: number | undefined
  readonly maxVariants?: number | undefined
  readonly http?: {
    readonly requestCacheControl?: "ignore" | "obey" | undefined
    readonly cacheStatusKey?: boolean | undefined
  } | undefined
}

/** `cacheOf` finds the cache of a request. What cannot be used of the options fails each request. */
export const sharedHandler = (
  handler: Handled,
  options: Options,
  cacheOf: (fiber: Fiber.Fiber<unknown, unknown>) => Cache
): Handled => {
  const made = new WeakMap<object, Handled>()
  return Effect.withFiber((fiber) => {
    const cache = cacheOf(fiber)
    const known = made.get(cache)
    if (known !== undefined) return known
    return Effect.flatMap(makeHandler(handler, options, cache), (served) => {
      // What one request has begun to learn is for all.
      const first = made.get(cache) ?? served
      made.set(cache, first)
      return first
    })
  })
}

// Whoever cannot reach the handler may go on with what is stored (RFC 9111, section 4.2.4), if nobody says for how long.
const defaults: CachePolicy.CachePolicy = { staleIfError: "1 hour" }

const makeHandler = Effect.fnUntraced(function*(
  handler: Handled,
  { http, keep, maxBodyBytes, maxVariants, name = "rfc9111", policy }: Options,
  cache: Cache
): Effect.fn.Return<Handled, CacheError.CacheError> {
  const where = `shared cache ${JSON.stringify(name)}`
  const resolved = yield* resolvePolicy(
    where,
    { policy, bringsWindows: true },
    CachePolicy.override(defaults, cache.policy ?? {})
  )
  const settings = {
    name,
    policy: resolved.policy,
    keep: yield* millis(`${where}, keep`, keep ?? "1 day"),
    maxBodyBytes: yield* size(`${where}, maxBodyBytes`, maxBodyBytes ?? 1_048_576),
    maxVariants: yield* size(`${where}, maxVariants`, maxVariants ?? 64),
    obeys: http?.requestCacheControl === "obey",
    style: { statusKey: http?.cacheStatusKey === true }
  }
  return makeSharedCache(settings, handler, cache)
})
