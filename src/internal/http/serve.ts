/**
 * Serves a cached function over HTTP.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { CachedFunction } from "../cachedFunction.ts"
import { inputError, releasedError, resultError } from "../errors.ts"
import type { Encoded } from "../inputKey.ts"
import type { Answer, Cache, Lookup } from "../lookup.ts"
import { withVaried, withVariedUnsafe } from "../varied.ts"
import * as CacheStatus from "./cacheStatus.ts"
import type { BypassDetail } from "./cacheStatus.ts"
import { type Fields, isBodiless, readBody, readInput } from "./requestInput.ts"
import { respondComputed, respondHit, type Style } from "./respond.ts"

/** A cached function that is bound to a cache. */
export interface Served {
  readonly fn: CachedFunction
  readonly cache: Cache
  readonly claim: { readonly released: boolean }
  readonly varyBy: Effect.Effect<unknown, unknown, any> | undefined
  readonly request: (key: string, encoded: Encoded, varied: unknown, fiber: Fiber.Fiber<unknown, unknown>) => Lookup
}

/**
 * The handler of a cached function. `headers` maps input fields to request headers.
 */
export const serve = (
  { cache, claim, fn, request: lookupOf, varyBy }: Served,
  headers: Readonly<Record<string, string | undefined>>
): Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, any> => {
  const { input } = fn
  const fields: Fields = { names: input.names, lists: input.lists, headers: lowerCase(headers) }
  const mapped = Object.values(fields.headers).join(", ")
  const style: Style = { isPrivate: varyBy !== undefined, vary: mapped === "" ? undefined : mapped }

  const peek = (key: string, request: HttpServerRequest.HttpServerRequest, fiber: Fiber.Fiber<unknown, unknown>) => {
    const entry = fn.strong ? undefined : cache.peek(key, fn.fingerprint, fiber)
    if (entry === undefined) return undefined
    cache.took(entry, fiber)
    return respondHit(entry, request, cache.now(), style)
  }

  // The values of a request that are just as the schema encodes them give the key without decoding anything: an entry
  // that has this key was stored for an input that encodes to these very values. Other ways to write the same input
  // are decoded and encoded first.
  const directKey = (values: Encoded, varied: unknown): string | undefined => {
    try {
      return withVariedUnsafe(input.ofPrimitives(values) ?? input.ofEncodedUnsafe(values), varied)
    } catch {
      return undefined
    }
  }

  const handle = (
    request: HttpServerRequest.HttpServerRequest,
    values: Encoded,
    varied: unknown,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, any> => {
    if (claim.released) return Effect.fail(releasedError(fn.name))
    const direct = directKey(values, varied)
    const served = direct === undefined ? undefined : peek(direct, request, fiber)
    return served ?? look(request, values, varied, direct, fiber)
  }

  const look = Effect.fnUntraced(function*(
    request: HttpServerRequest.HttpServerRequest,
    values: Encoded,
    varied: unknown,
    direct: string | undefined,
    fiber: Fiber.Fiber<unknown, unknown>
  ) {
    const decoded = yield* fn.decodeRequest(values)
    const { encoded, key: ofInput } = yield* fn.keyed(decoded)
    const key = yield* withVaried(ofInput, varied)
    const found = key === direct ? undefined : peek(key, request, fiber)
    if (found !== undefined) return yield* found
    const answer = yield* cache.lookup(lookupOf(key === direct ? direct : key, encoded, varied, fiber))
    return yield* respond(answer, request)
  })

  const respond = (answer: Answer, request: HttpServerRequest.HttpServerRequest) => {
    const { entry, exit } = answer
    if (exit !== undefined && Exit.isFailure(exit)) return exit as Exit.Exit<never, unknown>
    // A result that could not be encoded cannot be served either.
    if (entry === undefined) return Effect.fail(resultError(fn.name, "it has no JSON form"))
    return exit === undefined
      ? respondHit(entry, request, cache.now(), style)
      : respondComputed(entry, answer, request, style)
  }

  return Effect.withFiber((fiber) => {
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    if (isBodiless(request) && varyBy === undefined) {
      return handle(request, readInput(fields, fiber.context, request, none), undefined, fiber)
    }
    const body = isBodiless(request)
      ? Effect.succeed(none)
      : readBody(request, (cause) => inputError(fn.name, cause))
    return Effect.flatMap(
      body,
      (body) =>
        Effect.flatMap(
          varyBy ?? Effect.undefined,
          (varied) => handle(request, readInput(fields, fiber.context, request, body), varied, fiber)
        )
    )
  })
}

/**
 * The handler of a function past the cache: its own computation for each request.
 */
export const serveUncached = (
  fn: CachedFunction,
  varyBy: Effect.Effect<unknown, unknown, any> | "nothing" | undefined,
  headers: Readonly<Record<string, string | undefined>>
) => {
  const fields: Fields = { names: fn.input.names, lists: fn.input.lists, headers: lowerCase(headers) }
  return Effect.fnUntraced(function*(detail: BypassDetail): Effect.fn.Return<
    HttpServerResponse.HttpServerResponse,
    unknown,
    any
  > {
    const context = yield* Effect.context<HttpServerRequest.HttpServerRequest>()
    const request = Context.get(context, HttpServerRequest.HttpServerRequest)
    const body = isBodiless(request) ? none : yield* readBody(request, (cause) => inputError(fn.name, cause))
    const varied = varyBy === undefined || varyBy === "nothing" ? undefined : yield* varyBy
    const values = readInput(fields, context, request, body)
    const decoded = yield* fn.decodeRequest(values)
    const json = yield* fn.encodeBody(yield* fn.bypass(decoded, varied))
    return HttpServerResponse.text(json, {
      contentType: "application/json",
      headers: { "cache-control": "private, no-cache", "cache-status": CacheStatus.bypass(detail) }
    })
  })
}

const none: Encoded = {}

const lowerCase = (headers: Readonly<Record<string, string | undefined>>) =>
  Object.fromEntries(Object.entries(headers).map(([field, header]) => [field, header?.toLowerCase()]))
