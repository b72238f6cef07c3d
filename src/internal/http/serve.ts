/**
 * Serves a cached function over HTTP.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as CacheEntry from "../../CacheEntry.ts"
import type { HttpPolicy } from "../../HttpPolicy.ts"
import type { CachedFunction } from "../cachedFunction.ts"
import { inputError, notCachedError, releasedError, resultError } from "../errors.ts"
import type { Encoded } from "../inputKey.ts"
import type { Answer, Cache, Lookup } from "../lookup.ts"
import { withVaried, withVariedUnsafe } from "../varied.ts"
import { type BypassDetail, bypassStatus, cacheStatus } from "./cacheStatus.ts"
import { styleOf } from "./httpPolicy.ts"
import { anew, type Asked, askedBy } from "./requestDirectives.ts"
import { type Fields, isBodiless, makeDirectKey, noBody, readBody, readInput } from "./requestInput.ts"
import { isStored, respondAnswer, respondHit } from "./respond.ts"

type Request = HttpServerRequest.HttpServerRequest
type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, any>

/** A handler that is asked in the step of the fiber that asks. */
export type InFiber = (fiber: Fiber.Fiber<unknown, unknown>) => Handler

/** A cached function that is bound to a cache. */
export interface Served {
  readonly fn: CachedFunction
  readonly cache: Cache
  readonly claim: { readonly released: boolean }
  readonly varyBy: Effect.Effect<unknown, unknown, any> | undefined
  readonly request: (key: string, encoded: Encoded, varied: unknown, fiber: Fiber.Fiber<unknown, unknown>) => Lookup
}

/** One request on its way through the cache. */
interface Asking {
  readonly request: Request
  readonly asked: Asked | undefined
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

/**
 * The handler of a cached function. `headers` maps input fields to request headers; `http` says how the route speaks HTTP; a
 * `guarded` one is not asked by requests with credentials.
 */
export const serve = (
  { cache, claim, fn, request: lookupOf, varyBy }: Served,
  headers: Readonly<Record<string, string | undefined>>,
  http?: HttpPolicy,
  guarded = false
): InFiber => {
  const { fingerprint, input, strong } = fn
  const fields: Fields = { names: input.names, lists: input.lists, headers: lowerCase(headers) }
  const mapped = Object.values(fields.headers).filter((header) => header !== undefined)
  const style = styleOf(http, varyBy !== undefined, mapped, guarded)

  // What is stored of a failure is a failure again. One that cannot be read any more is computed anew.
  const serveStored = (entry: CacheEntry.CacheEntry, { request }: Asking, again: () => Handler): Handler =>
    entry.failed ? fn.resultOf(found(entry), again) as Handler : respondHit(entry, request, cache.now(), style)

  // The values of a request that are just as the schema encodes them give the key without decoding anything: an entry
  // that has this key was stored for an input that encodes to these very values. Other ways to write the same input
  // are decoded and encoded first.
  const keyOf = makeDirectKey(fields, input.ofEncodedUnsafe)

  const directKey = (values: Encoded, varied: unknown, known: string | undefined): string | undefined => {
    try {
      return withVariedUnsafe(known ?? input.ofEncodedUnsafe(values), varied)
    } catch {
      return undefined
    }
  }

  const peek = ({ asked, fiber }: Asking, direct: string | undefined): CacheEntry.CacheEntry | undefined =>
    direct === undefined || strong || claim.released || asked?.options.fresh === true
      ? undefined
      : cache.peek(direct, fingerprint, fiber)

  const handle = (asking: Asking, values: Encoded, varied: unknown, known: string | undefined): Handler => {
    if (claim.released) return Effect.fail(releasedError(fn.name))
    const { asked, fiber } = asking
    const direct = directKey(values, varied, known)
    const entry = peek(asking, direct)
    if (entry === undefined) return look(asking, values, varied, direct, false)
    const again = () => look(asking, values, varied, direct, true)
    if (asked !== undefined && !asked.accepts(entry, cache.now())) return again()
    cache.took(entry, fiber)
    return serveStored(entry, asking, again)
  }

  const look = Effect.fnUntraced(function*(
    asking: Asking,
    values: Encoded,
    varied: unknown,
    direct: string | undefined,
    fresh: boolean
  ) {
    const decoded = yield* fn.decodeRequest(values)
    const { encoded, key: ofInput } = yield* fn.keyed(decoded)
    const key = yield* withVaried(ofInput, varied)
    const lookup = {
      ...lookupOf(key === direct ? direct : key, encoded, varied, asking.fiber),
      ...asking.asked?.options
    }
    return yield* settle(fresh ? anew(lookup) : lookup, asking)
  })

  // What is stored and not young enough for who asks is computed anew.
  const settle = (lookup: Lookup, asking: Asking): Handler =>
    Effect.flatMap(cache.lookup(lookup), (answer) => {
      const { entry } = answer
      const again = () => settle(anew(lookup), asking)
      if (!isStored(answer) || entry === undefined) return respond(answer, asking)
      const isOld = lookup.fresh !== true && asking.asked?.accepts(entry, cache.now()) === false
      if (isOld) return again()
      return entry.failed ? serveStored(entry, asking, again) : respond(answer, asking)
    })

  const respond = (answer: Answer, { request }: Asking): Handler => {
    const { entry, exit } = answer
    if (exit !== undefined && Exit.isFailure(exit) && !isStored(answer)) return exit as Exit.Exit<never, unknown>
    // A result that could not be encoded cannot be served either.
    if (entry === undefined) return Effect.fail(resultError(fn.name, "it has no JSON form"))
    return respondAnswer(entry, answer, request, cache.now(), style)
  }

  const ask = (fiber: Asking["fiber"], request: Request, known: string | undefined): Handler => {
    const asking: Asking = { request, asked: style.obeys ? askedBy(request) : undefined, fiber }
    const handled = (body: Encoded) => {
      const values = readInput(fields, fiber.context, request, body)
      return varyBy === undefined
        ? handle(asking, values, undefined, known)
        : Effect.flatMap(varyBy, (varied) => handle(asking, values, varied, known))
    }
    return isBodiless(request)
      ? handled(noBody)
      : Effect.flatMap(readBody(request, (cause) => inputError(fn.name, cause)), handled)
  }

  const isPlain = varyBy === undefined && !strong && !style.obeys

  return (fiber) => {
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    const known = isBodiless(request) ? keyOf(fiber.context, request) : undefined
    // The hit path of nearly all requests. Anything else is for `handle`, which begins anew.
    if (isPlain && known !== undefined && !claim.released) {
      const entry = cache.peek(known, fingerprint, fiber)
      if (entry !== undefined && !entry.failed) {
        cache.took(entry, fiber)
        return respondHit(entry, request, cache.now(), style)
      }
    }
    return ask(fiber, request, known)
  }
}

/**
 * The handler of a function past the cache: its own computation for each request.
 */
export const serveUncached = (
  fn: CachedFunction,
  varyBy: Effect.Effect<unknown, unknown, any> | "nothing" | undefined,
  headers: Readonly<Record<string, string | undefined>>,
  http?: HttpPolicy
) => {
  const fields: Fields = { names: fn.input.names, lists: fn.input.lists, headers: lowerCase(headers) }
  return Effect.fnUntraced(function*(detail: BypassDetail): Effect.fn.Return<
    HttpServerResponse.HttpServerResponse,
    unknown,
    any
  > {
    const context = yield* Effect.context<HttpServerRequest.HttpServerRequest>()
    const request = Context.get(context, HttpServerRequest.HttpServerRequest)
    if (http?.requestCacheControl === "obey" && askedBy(request)?.options.onlyIfCached === true) {
      return yield* Effect.fail(notCachedError(fn.name))
    }
    const body = isBodiless(request) ? noBody : yield* readBody(request, (cause) => inputError(fn.name, cause))
    const varied = varyBy === undefined || varyBy === "nothing" ? undefined : yield* varyBy
    const values = readInput(fields, context, request, body)
    const decoded = yield* fn.decodeRequest(values)
    const json = yield* fn.encodeBody(yield* fn.bypass(decoded, varied))
    return HttpServerResponse.text(json, {
      contentType: "application/json",
      headers: { "cache-control": "private, no-cache", "cache-status": cacheStatus(bypassStatus(detail)) }
    })
  })
}

const found = (entry: CacheEntry.CacheEntry): Answer => ({
  how: "hit",
  stale: undefined,
  because: "missing",
  exit: undefined,
  entry,
  rejected: undefined,
  error: undefined,
  stored: true
})

const lowerCase = (headers: Readonly<Record<string, string | undefined>>) =>
  Object.fromEntries(Object.entries(headers).map(([field, header]) => [field, header?.toLowerCase()]))
