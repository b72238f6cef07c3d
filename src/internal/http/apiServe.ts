/**
 * Serves an endpoint of an `HttpApi` from the cache.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Scope from "effect/Scope"
import { LRUCache } from "lru-cache"
import { releasedError } from "../errors.ts"
import type { Answer, Cache, Lookup } from "../lookup.ts"
import { withVariedUnsafe } from "../varied.ts"
import { makeApiComputation, type Run } from "./apiComputation.ts"
import type { ApiEndpoint } from "./apiEndpoint.ts"
import type { Values } from "./apiInput.ts"
import { answerStatus, type BypassDetail, bypassStatus, type CacheStatus } from "./cacheStatus.ts"
import { anew, type Asked, askedBy } from "./requestDirectives.ts"
import { isStored, respondAnswer, respondHit, withStatus } from "./respond.ts"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest
type Handler = Effect.Effect<Response, unknown, any>

/** An endpoint that is bound to a cache. */
export interface Served {
  readonly endpoint: ApiEndpoint
  readonly cache: Cache
  readonly claim: { readonly released: boolean }
  /** The endpoint without the cache: it decodes the request, runs the handler and encodes what it returns. */
  readonly inner: Handler
  /** Gives a run to the handler. */
  readonly provide: (inner: Handler, run: Run) => Handler
}

/** One request on its way through the cache. */
interface Asking {
  readonly request: Request
  readonly values: Values
  readonly varied: unknown
  readonly asked: Asked | undefined
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

// Bounds what the keys of streams take in memory.
const maxCharacters = 2 ** 20

/** The endpoint through the cache. */
export const serveEndpoint = ({ cache, claim, endpoint, inner, provide }: Served): Handler => {
  const { fingerprint, input, name, options: { consistency, varyBy }, resolved: { policy }, style } = endpoint
  const strong = consistency === "strong"
  const prefix = `${name}\t`
  const streams = new LRUCache<string, true>({ maxSize: maxCharacters, sizeCalculation: (_, key) => key.length + 1 })
  const compute = makeApiComputation({
    endpoint,
    run: (run) => provide(inner, run),
    now: cache.now,
    isStream: (key) => void streams.set(key, true)
  })

  const keyOf = (values: Values, varied: unknown): string | undefined => {
    try {
      return withVariedUnsafe(prefix + input.textUnsafe(values), varied)
    } catch {
      return undefined
    }
  }

  const uncached = (detail: BypassDetail, varied: unknown): Handler =>
    Effect.map(provide(inner, { varied, exit: undefined }), (response) => bypassed(response, detail))

  // The values of a request that are just as the schemas encode them give the key without decoding anything: an entry that has
  // this key was stored for an input that encodes to these very values.
  const handle = (asking: Asking): Handler => {
    if (claim.released) return Effect.fail(releasedError(name))
    const { asked, fiber, request, values, varied } = asking
    const direct = keyOf(values, varied)
    const entry = direct === undefined || strong || asked?.options.fresh === true
      ? undefined
      : cache.peek(direct, fingerprint, fiber)
    if (entry === undefined || asked?.accepts(entry, cache.now()) === false) {
      return look(asking, direct, entry !== undefined)
    }
    cache.took(entry, fiber)
    return respondHit(entry, request, cache.now(), style)
  }

  // What the schemas refuse is not for the cache: the endpoint says what is wrong.
  const look = (asking: Asking, direct: string | undefined, fresh: boolean): Handler => {
    const { asked, fiber, values, varied } = asking
    const encoded = Effect.flatMap(
      input.decode(values),
      (decoded) => Effect.map(input.encode(values, decoded), (encoded) => ({ decoded, encoded }))
    )
    return Effect.matchCauseEffect(encoded, {
      onFailure: (cause) => Cause.hasInterrupts(cause) ? Effect.failCause(cause) : uncached("request", varied),
      onSuccess: ({ decoded, encoded }) => {
        const key = encoded === undefined ? undefined : keyOf(encoded, varied)
        if (encoded === undefined || key === undefined) return uncached("request", varied)
        if (streams.has(key)) return uncached("stream", varied)
        const known = key === direct ? decoded : undefined
        const lookup: Lookup = {
          key: known === undefined ? key : direct!,
          fingerprint,
          strong,
          policy,
          ...asked?.options,
          context: Context.omit(Scope.Scope)(input.requestOf(encoded, fiber.context)),
          compute: compute(key, encoded, known, varied)
        }
        return settle(fresh ? anew(lookup) : lookup, asking)
      }
    })
  }

  // What is stored and not young enough for who asks is computed anew.
  const settle = (lookup: Lookup, asking: Asking): Handler =>
    Effect.flatMap(cache.lookup(lookup), (answer) => {
      const isOld = isStored(answer) && answer.entry !== undefined && lookup.fresh !== true &&
        asking.asked?.accepts(answer.entry, cache.now()) === false
      return isOld ? settle(anew(lookup), asking) : respond(answer, lookup.key, asking)
    })

  const respond = (answer: Answer, key: string, { request, varied }: Asking): Handler => {
    const { entry, exit, how } = answer
    if (entry !== undefined) return respondAnswer(entry, answer, request, cache.now(), style)
    if (exit !== undefined && Exit.isFailure(exit)) return exit as Exit.Exit<never, unknown>
    const own = exit?.value as Exit.Exit<Response, unknown> | undefined
    if (own !== undefined && Exit.isFailure(own)) return own
    // The body of a stream ended with its computation, and what must not be stored is for one request alone.
    if (how !== "miss" || own === undefined || streams.has(key)) {
      return uncached(streams.has(key) ? "stream" : "request", varied)
    }
    return Effect.succeed(marked(own.value, answerStatus(answer, cache.now())))
  }

  const enter = (asking: Omit<Asking, "values">, context: Context.Context<never>): Handler => {
    const values = input.read(asking.request, context)
    return Effect.isEffect(values)
      ? Effect.flatMap(
        values,
        (values) => values === undefined ? uncached("request", asking.varied) : handle({ ...asking, values })
      )
      : handle({ ...asking, values })
  }

  return Effect.withFiber((fiber) => {
    const { context } = fiber
    const request = Context.getUnsafe(context, HttpServerRequest.HttpServerRequest)
    if (varyBy === undefined) {
      const search = Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams)
      // Nobody has said what a response to somebody's credentials depends on.
      if (endpoint.hasCredentials(request, search)) return uncached("credentials", undefined)
    }
    const asked = style.obeys ? askedBy(request) : undefined
    return varyBy === undefined || varyBy === "nothing"
      ? enter({ request, varied: undefined, asked, fiber }, context)
      : Effect.flatMap(varyBy, (varied) => enter({ request, varied, asked, fiber }, context))
  })
}

/** The endpoint past the cache, for one whose name is taken. */
export const serveUncached = (
  { endpoint, inner, provide }: Pick<Served, "endpoint" | "inner" | "provide">
): Handler => {
  const { varyBy } = endpoint.options
  return Effect.flatMap(
    varyBy === undefined || varyBy === "nothing" ? Effect.undefined : varyBy,
    (varied) => Effect.map(provide(inner, { varied, exit: undefined }), (response) => bypassed(response, "name-taken"))
  )
}

const bypassed = (response: Response, detail: BypassDetail): Response => {
  const named = marked(response, bypassStatus(detail))
  return response.headers["cache-control"] === undefined
    ? HttpServerResponse.setHeader(named, "cache-control", "private, no-cache")
    : named
}

const marked = (response: Response, status: CacheStatus): Response =>
  HttpServerResponse.setHeader(response, "cache-status", withStatus(response.headers["cache-status"], status))
