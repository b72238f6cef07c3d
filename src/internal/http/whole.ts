/**
 * Responses that are cached whole, with the parts of the request that they turn out to depend on in the key.
 *
 * Two levels: for each route and path parameters the names of the parts that responses were seen to depend on, and for
 * each value of those parts an entry. An entry is stored only under a key that holds every part its computation read,
 * so names that are forgotten cost misses and nothing else.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Scope from "effect/Scope"
import { LRUCache } from "lru-cache"
import * as CacheError from "../../CacheError.ts"
import type * as CacheEvent from "../../CacheEvent.ts"
import type * as CachePolicy from "../../CachePolicy.ts"
import type { Answer } from "../answer.ts"
import { canonicalUnsafe } from "../canonical.ts"
import { definitionError } from "../errors.ts"
import type { Flight } from "../flight.ts"
import { lifetime } from "../settings.ts"
import { functionTag, keyTag } from "../tagText.ts"
import * as CacheStatus from "./cacheStatus.ts"
import type { BypassDetail } from "./cacheStatus.ts"
import { makeRecording, partOf, recordedRecord, recordedRequest, type Recording } from "./recordedRequest.ts"
import { respondComputed, respondHit, type Style } from "./respond.ts"
import type { Cache } from "./serve.ts"
import { storable } from "./storable.ts"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest
type RequestServices = Request | HttpServerRequest.ParsedSearchParams | HttpRouter.RouteContext
type Params = Readonly<Record<string, string | undefined>>

interface Definition {
  readonly deps?: ReadonlyArray<string> | ((params: Params) => Iterable<string>) | undefined
  readonly timeToLive?: CachePolicy.TimeToLive<Response, never, Params> | undefined
  readonly varyBy?: Effect.Effect<unknown, unknown, any> | undefined
}

interface Computed {
  readonly key?: string | undefined
  readonly value: unknown
  readonly body: string | Uint8Array | undefined
  readonly head?: { readonly status: number; readonly headers: Readonly<Record<string, string>> } | undefined
  readonly timeToLive: number
  readonly rejected?: CacheEvent.RejectedReason | undefined
  readonly error?: CacheError.CacheError | undefined
}

interface Lookup {
  readonly key: string
  readonly fingerprint: string
  readonly context: Context.Context<never>
  readonly compute: (flight: Flight) => Effect.Effect<Computed, unknown, Scope.Scope>
}

const fingerprint = "response-1"
const maxRoutes = 10_000
const maxParts = 32
const maxAttempts = 3

/** What responses of one route and path depend on, or why they cannot be cached. */
type Learned = Parts | "request" | "stream"

interface Parts {
  readonly names: ReadonlyArray<string>
  readonly style: Style
}

const makeParts = (names: ReadonlyArray<string>, isPrivate: boolean): Parts => {
  const headers = names.flatMap((name) => {
    if (name.startsWith("header:")) return [name.slice("header:".length)]
    return name.startsWith("cookie:") ? ["cookie"] : []
  })
  return { names, style: { isPrivate, vary: headers.length === 0 ? undefined : Array.from(new Set(headers)).join(", ") } }
}

export const makeWhole = Effect.fnUntraced(function*(
  name: string,
  { deps, timeToLive, varyBy }: Definition,
  handler: (request: Request) => Effect.Effect<Response, unknown, any>,
  cache: Cache<Lookup>
) {
  const millisOf = yield* lifetime(`cached handler ${JSON.stringify(name)}, timeToLive`, timeToLive)
  const tag = functionTag(name)
  const prefix = `${name}\t`
  const noParts = makeParts([], varyBy !== undefined)
  const learned = new LRUCache<string, Learned>({ max: maxRoutes })

  const run = (request: Request): Effect.Effect<Response, unknown, any> => Effect.suspend(() => handler(request))

  const uncached = (detail: BypassDetail): Effect.Effect<Response, unknown, any> =>
    Effect.map(
      Effect.flatMap(HttpServerRequest.HttpServerRequest, run),
      HttpServerResponse.setHeader("cache-status", CacheStatus.bypass(detail))
    )

  const addDeps = (flight: Flight, params: Params) => {
    if (deps === undefined) return
    try {
      for (const dependency of typeof deps === "function" ? deps(params) : deps) flight.addTag(dependency)
    } catch (defect) {
      flight.problem ??= definitionError(
        `cached handler ${JSON.stringify(name)}, deps`,
        `threw ${String(defect)}`
      )
    }
  }

  const compute = (
    base: string,
    names: ReadonlyArray<string>,
    request: Request,
    context: Context.Context<RequestServices>
  ) => {
    const recording = makeRecording()
    const { params } = Context.getUnsafe(context, HttpRouter.RouteContext)
    const search = Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams)
    const recorded = recordedRequest(request, recording)
    return {
      context: Context.omit(Scope.Scope)(context).pipe(
        Context.add(HttpServerRequest.HttpServerRequest, recorded),
        Context.add(HttpServerRequest.ParsedSearchParams, recordedRecord(search, "query:", recording))
      ) as Context.Context<never>,
      compute: (flight: Flight): Effect.Effect<Computed, unknown, Scope.Scope> =>
        Effect.suspend(() => {
          flight.addTags([tag, keyTag(tag, base)])
          addDeps(flight, params)
          return Effect.flatMap(run(recorded), (response) => {
            const outcome = learn(base, names, recording, response)
            if (typeof outcome === "string") {
              return Effect.succeed<Computed>({ value: response, body: undefined, timeToLive: 0, rejected: "response" })
            }
            const { body, head } = outcome.storable
            const key = keyOf(base, partsOf(outcome.names, request, context))
            return Effect.match(millisOf(Exit.succeed(response), params), {
              onFailure: (error): Computed => ({
                key,
                value: response,
                body,
                head,
                timeToLive: 0,
                rejected: "policy",
                error
              }),
              onSuccess: (timeToLive): Computed => ({ key, value: response, body, head, timeToLive })
            })
          })
        }) as Effect.Effect<Computed, unknown, Scope.Scope>
    }
  }

  // What this response tells about the ones to come.
  const learn = (base: string, names: ReadonlyArray<string>, recording: Recording, response: Response) => {
    const form = storable(response)
    if (form === "stream" || recording.unshareable) {
      learned.set(base, form === "stream" ? "stream" : "request")
      return "unshareable"
    }
    if (form === "forbidden") return form
    const all = new Set([...names, ...recording.parts, ...form.vary.map((header) => `header:${header}`)])
    if (all.size > maxParts) {
      learned.set(base, "request")
      return "unshareable"
    }
    const parts = makeParts(Array.from(all).toSorted(), varyBy !== undefined)
    learned.set(base, parts)
    return { storable: form, names: parts.names }
  }

  const served: Effect.Effect<Response, unknown, any> = Effect.withFiber((fiber) => {
    const context = fiber.context as Context.Context<RequestServices>
    const request = Context.getUnsafe(context, HttpServerRequest.HttpServerRequest)
    if (request.method !== "GET" && request.method !== "HEAD") return uncached("method")
    const { params } = Context.getUnsafe(context, HttpRouter.RouteContext)
    const path = prefix + canonicalUnsafe(params)
    return varyBy === undefined
      ? attempt(path, request, context, fiber, maxAttempts)
      : Effect.flatMap(
        varyBy,
        (varied) => attempt(`${path}\t${canonicalUnsafe(varied)}`, request, context, fiber, maxAttempts)
      )
  })

  const attempt = (
    base: string,
    request: Request,
    context: Context.Context<RequestServices>,
    fiber: Fiber.Fiber<unknown, unknown>,
    attempts: number
  ): Effect.Effect<Response, unknown, any> => {
    const parts = learned.get(base) ?? noParts
    if (typeof parts === "string") return uncached(parts)
    const { names, style } = parts
    if (attempts === 0) return uncached("request")
    const key = keyOf(base, partsOf(names, request, context))
    const entry = cache.peek(key, fingerprint)
    if (entry !== undefined) {
      cache.took(entry, fiber)
      return respondHit(entry, request, cache.now(), style)
    }
    return Effect.flatMap(
      cache.lookup({ key, fingerprint, ...compute(base, names, request, context) }),
      (answer) => settle(answer, base, request, context, fiber, attempts)
    )
  }

  const settle = (
    answer: Answer,
    base: string,
    request: Request,
    context: Context.Context<RequestServices>,
    fiber: Fiber.Fiber<unknown, unknown>,
    attempts: number
  ): Effect.Effect<Response, unknown, any> => {
    const { entry, exit, how } = answer
    if (exit !== undefined && Exit.isFailure(exit)) return exit as Exit.Exit<never, unknown>
    if (entry === undefined) {
      // Not for anyone else. A stream belongs to the flight that has ended; the handler runs again, for this request.
      const response = exit?.value as Response
      return how === "miss" && learned.get(base) !== "stream"
        ? Effect.succeed(
          HttpServerResponse.setHeader(response, "cache-status", CacheStatus.miss(false, false, answer.rejected))
        )
        : uncached(learned.get(base) === "stream" ? "stream" : "request")
    }
    // The computation may have read more than the key of this request held when it joined.
    const parts = learned.get(base) ?? noParts
    if (
      how === "joined" && (typeof parts === "string" || keyOf(base, partsOf(parts.names, request, context)) !== entry.key)
    ) {
      return attempt(base, request, context, fiber, attempts - 1)
    }
    const { style } = typeof parts === "string" ? noParts : parts
    return exit === undefined
      ? respondHit(entry, request, cache.now(), style)
      : respondComputed(entry, answer, request, style)
  }

  return { served, uncached }
})

const partsOf = (names: ReadonlyArray<string>, request: Request, context: Context.Context<RequestServices>) => {
  const search = Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams)
  return names.map((part) => [part, partOf(part, request, search)])
}

const keyOf = (base: string, parts: ReadonlyArray<ReadonlyArray<unknown>>): string =>
  `${base}\t${canonicalUnsafe(parts)}`
