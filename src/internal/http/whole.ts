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
import type * as CachePolicy from "../../CachePolicy.ts"
import { canonicalUnsafe } from "../canonical.ts"
import { definitionError, describe } from "../errors.ts"
import type { Flight } from "../flight.ts"
import type { Answer, Cache, Computed } from "../lookup.ts"
import { lifetime } from "../settings.ts"
import { functionTag, keyTag } from "../tagText.ts"
import { withVaried } from "../varied.ts"
import * as CacheStatus from "./cacheStatus.ts"
import type { BypassDetail } from "./cacheStatus.ts"
import { makeRecording, partOf, recordedRecord, recordedRequest, type Recording } from "./recordedRequest.ts"
import { respondComputed, respondHit, type Style } from "./respond.ts"
import { storable } from "./storable.ts"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest
type RequestServices = Request | HttpServerRequest.ParsedSearchParams | HttpRouter.RouteContext
type Params = Readonly<Record<string, string | undefined>>

interface Definition {
  readonly deps?: ReadonlyArray<string> | ((params: Params) => Iterable<string>) | undefined
  readonly timeToLive?: CachePolicy.TimeToLive<Response, never, Params> | undefined
  readonly consistency?: CachePolicy.Consistency | undefined
  readonly varyBy?: Effect.Effect<unknown, unknown, any> | undefined
}

const fingerprint = "response-1"
const maxRoutes = 10_000
const maxParts = 32
// A request that joins a flight and then turns out not to share its key asks again.
const maxAttempts = 3

/** The parts of a request that responses of one route and path depend on. */
interface Parts {
  readonly names: ReadonlyArray<string>
  readonly style: Style
}

const makeParts = (names: ReadonlyArray<string>, isPrivate: boolean): Parts => {
  const headers = names.flatMap((name) => {
    if (name.startsWith("header:")) return [name.slice("header:".length)]
    return name.startsWith("cookie:") ? ["cookie"] : []
  })
  return {
    names,
    style: { isPrivate, vary: headers.length === 0 ? undefined : Array.from(new Set(headers)).join(", ") }
  }
}

export const makeWhole = Effect.fnUntraced(function*(
  name: string,
  { consistency, deps, timeToLive, varyBy }: Definition,
  handler: (request: Request) => Effect.Effect<Response, unknown, any>,
  cache: Cache
) {
  const millisOf = yield* lifetime(`cached handler ${JSON.stringify(name)}, timeToLive`, timeToLive)
  const strong = consistency === "strong"
  const tag = functionTag(name)
  const prefix = `${name}\t`
  const noParts = makeParts([], varyBy !== undefined)
  const learned = new LRUCache<string, Parts | "unshareable">({ max: maxRoutes })
  const streams = new LRUCache<string, true>({ max: maxRoutes })

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
        `threw ${describe(defect)}`
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
    const settled = (exit: Exit.Exit<Response, unknown>): Effect.Effect<Computed, unknown> => {
      const form = Exit.isSuccess(exit) ? storable(exit.value) : undefined
      const vary = typeof form === "object" ? form.vary : []
      const parts = learn(base, names, recording, vary)
      if (parts === undefined) return Effect.succeed(alone(exit))
      // A failure is for all who wait, if it came from nothing but what they have in common.
      if (Exit.isFailure(exit)) {
        return parts.names.length > names.length ? Effect.succeed(alone(exit)) : Effect.failCause(exit.cause)
      }
      const key = keyOf(base, partsOf(parts.names, request, context))
      if (form === "stream") streams.set(key, true)
      if (typeof form !== "object") return Effect.succeed(alone(exit))
      const { body, head } = form
      return Effect.match(millisOf(Exit.succeed(exit.value), params), {
        onFailure: (error): Computed => ({ key, value: exit, body, head, timeToLive: 0, rejected: "policy", error }),
        onSuccess: (timeToLive): Computed => ({ key, value: exit, body, head, timeToLive })
      })
    }

    return {
      context: Context.omit(Scope.Scope)(context).pipe(
        Context.add(HttpServerRequest.HttpServerRequest, recorded),
        Context.add(HttpServerRequest.ParsedSearchParams, recordedRecord(search, "query:", recording))
      ) as Context.Context<never>,
      compute: (flight: Flight): Effect.Effect<Computed, unknown, Scope.Scope> =>
        Effect.suspend(() => {
          flight.addTags([tag, keyTag(tag, base)])
          addDeps(flight, params)
          return Effect.flatMap(Effect.exit(run(recorded)), settled)
        }) as Effect.Effect<Computed, unknown, Scope.Scope>
    }
  }

  // What this computation tells about those to come: the parts of the request that it depended on, or `undefined` where
  // no key can hold them.
  const learn = (
    base: string,
    names: ReadonlyArray<string>,
    recording: Recording,
    vary: ReadonlyArray<string>
  ): Parts | undefined => {
    const known = learned.get(base)
    const all = new Set([...names, ...recording.parts, ...vary.map((header) => `header:${header}`)])
    if (typeof known === "object") { for (const name of known.names) all.add(name) }
    if (recording.unshareable || all.size > maxParts) {
      learned.set(base, "unshareable")
      return undefined
    }
    const parts = makeParts(Array.from(all).toSorted(), varyBy !== undefined)
    learned.set(base, parts)
    return parts
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
        Effect.flatMap(varyBy, (varied) => withVaried(path, varied)),
        (base) => attempt(base, request, context, fiber, maxAttempts)
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
    if (typeof parts === "string" || attempts === 0) return uncached("request")
    const { names, style } = parts
    const key = keyOf(base, partsOf(names, request, context))
    if (streams.has(key)) return uncached("stream")
    const entry = strong ? undefined : cache.peek(key, fingerprint, fiber)
    if (entry !== undefined) {
      cache.took(entry, fiber)
      return respondHit(entry, request, cache.now(), style)
    }
    return Effect.flatMap(
      cache.lookup({ key, fingerprint, strong, ...compute(base, names, request, context) }),
      (answer) => settle(answer, key, base, request, context, fiber, attempts)
    )
  }

  const settle = (
    answer: Answer,
    asked: string,
    base: string,
    request: Request,
    context: Context.Context<RequestServices>,
    fiber: Fiber.Fiber<unknown, unknown>,
    attempts: number
  ): Effect.Effect<Response, unknown, any> => {
    const { entry, exit, how } = answer
    if (exit !== undefined && Exit.isFailure(exit)) return exit as Exit.Exit<never, unknown>
    const parts = learned.get(base) ?? noParts
    const key = typeof parts === "string" ? undefined : keyOf(base, partsOf(parts.names, request, context))
    if (entry === undefined) {
      // A stream belongs to the flight, which has ended: the handler runs again, for this request.
      const isStream = key !== undefined && streams.has(key)
      if (how === "miss" && !isStream) {
        return Effect.map(
          exit!.value as Exit.Exit<Response, unknown>,
          HttpServerResponse.setHeader("cache-status", CacheStatus.miss(false, false, answer.rejected))
        )
      }
      // Whoever joined may have a key of its own by now. With the same key it would only wait for the next one.
      return key === asked
        ? uncached(isStream ? "stream" : "request")
        : attempt(base, request, context, fiber, attempts - 1)
    }
    // The computation may have read more than the key of this request held when it joined.
    if (how === "joined" && key !== entry.key) return attempt(base, request, context, fiber, attempts - 1)
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

// What is for this request alone: its own response or failure, and nothing to store.
const alone = (exit: Exit.Exit<Response, unknown>): Computed => ({
  value: exit,
  body: undefined,
  timeToLive: 0,
  rejected: "response"
})
