/**
 * Responses that are cached whole, with the parts of the request that they turn out to depend on in the key.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import { LRUCache } from "lru-cache"
import type * as CachePolicy from "../../CachePolicy.ts"
import type { HttpPolicy } from "../../HttpPolicy.ts"
import { fingerprintOf } from "../fingerprint.ts"
import type { Answer, Cache, Lookup } from "../lookup.ts"
import { resolvePolicy } from "../policy.ts"
import { size } from "../settings.ts"
import { functionTag, keyTag } from "../tagText.ts"
import { withVaried } from "../varied.ts"
import { answerStatus } from "./cacheStatus.ts"
import { styleOf } from "./httpPolicy.ts"
import { isPart, readerOf } from "./recordedRequest.ts"
import { anew, type Asked, askedBy } from "./requestDirectives.ts"
import { isStored, respondAnswer, respondHit } from "./respond.ts"
import type { InFiber } from "./serve.ts"
import { makeVariants } from "./variants.ts"
import { type Asking as Computing, makeComputation, type Params, type RequestServices } from "./wholeComputation.ts"
import { keyOf, makeWholeKeys } from "./wholeKeys.ts"
import { makeUncached, told } from "./wholeUncached.ts"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest

interface Definition {
  readonly deps?: ReadonlyArray<string> | ((params: Params) => Iterable<string>) | undefined
  readonly timeToLive?: CachePolicy.TimeToLive<Response, never, Params> | undefined
  readonly policy?: CachePolicy.CachePolicy<Response, never, Params> | undefined
  readonly consistency?: CachePolicy.Consistency | undefined
  readonly varyBy?: Effect.Effect<unknown, unknown, any> | "nothing" | undefined
  readonly http?: HttpPolicy | undefined
  readonly version?: string | undefined
  readonly maxVariants?: number | undefined
  readonly maxBodyBytes?: number | undefined
}

/** One request on its way through the cache. */
interface Asking extends Computing {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly asked: Asked | undefined
}

// Of requests that go past the cache, and in characters of their keys.
const maxPast = 10_000
const maxPastSize = 2 ** 22
const maxNames = 32
// A request that joins a flight and then turns out not to share its key asks again.
const maxAttempts = 3
const defaultMaxVariants = 100
const defaultMaxBodyBytes = 1024 * 1024

export const makeWhole = Effect.fnUntraced(function*(
  name: string,
  definition: Definition,
  handler: (request: Request) => Effect.Effect<Response, unknown, any>,
  cache: Cache
) {
  const { http } = definition
  const varyBy = definition.varyBy === "nothing" ? undefined : definition.varyBy
  const isGuarded = definition.varyBy === undefined
  const where = `cached handler ${JSON.stringify(name)}`
  // No handler fails in the eyes of its policy: `any` stands for what the definition says in types.
  const own: { readonly policy?: any; readonly timeToLive?: any } = definition
  const { policy, timeToLive } = yield* resolvePolicy(where, { ...own, bringsWindows: true }, cache.policy)
  const maxVariants = yield* size(`${where}, maxVariants`, definition.maxVariants ?? defaultMaxVariants)
  const maxBodyBytes = yield* size(`${where}, maxBodyBytes`, definition.maxBodyBytes ?? defaultMaxBodyBytes)
  const fingerprint = fingerprintOf(["response-1", definition.version ?? ""])
  const strong = definition.consistency === "strong"
  const tag = functionTag(name)
  const derive = (names: ReadonlyArray<string>) =>
    styleOf(http, varyBy !== undefined, names.flatMap(headerOf), isGuarded)
  const deriveAll = (names: ReadonlyArray<string>) => ({ style: derive(names), readers: names.map(readerOf) })
  const nothing = { names: [], of: deriveAll([]) }
  const tags = (base: string) => [tag, keyTag(tag, base)]
  const variants = makeVariants({ cache, maxVariants, maxNames, isName: isPart, tags, derive: deriveAll })
  const keys = makeWholeKeys(`${name}\t`)
  // Whose requests run the handler themselves, until it answers one of them with something that can be stored.
  const past = new LRUCache<string, "request" | "stream">({
    max: maxPast,
    maxSize: maxPastSize,
    sizeCalculation: (_, key) => key.length
  })
  const namesOf = (base: string) => variants.known(base)?.names ?? nothing.names

  const compute = makeComputation({
    name,
    deps: definition.deps,
    handler,
    timeToLive,
    maxBodyBytes,
    now: cache.now,
    tags,
    learn: (base, parts) => Effect.map(variants.learn(base, parts), (known) => known?.names),
    goesPast: (asking, because) => void past.set(keyOf(asking, namesOf(asking.base)), because)
  })

  const uncached = makeUncached({
    name,
    handler,
    isGuarded,
    obeys: nothing.of.style.obeys,
    derive,
    namesOf,
    // It may be cached again.
    answered: (asking, parts) => {
      if (new Set([...namesOf(asking.base), ...parts]).size > maxNames) return
      past.delete(keyOf(asking, namesOf(asking.base)))
    }
  })

  const served: InFiber = (fiber) => {
    const context = fiber.context as Context.Context<RequestServices>
    const request = Context.getUnsafe(context, HttpServerRequest.HttpServerRequest)
    if (request.method !== "GET" && request.method !== "HEAD") return uncached("method")
    const asked = nothing.of.style.obeys ? askedBy(request) : undefined
    const { params } = Context.getUnsafe(context, HttpRouter.RouteContext)
    const path = keys.baseOf(params)
    return varyBy === undefined
      ? attempt({ base: path, request, context, fiber, asked }, maxAttempts)
      : Effect.flatMap(
        Effect.flatMap(varyBy, (varied) => withVaried(path, varied)),
        (base) => attempt({ base, request, context, fiber, asked }, maxAttempts)
      )
  }

  const attempt = (
    asking: Asking,
    attempts: number,
    known = variants.known(asking.base)
  ): Effect.Effect<Response, unknown, any> => {
    const { asked, base, fiber, request } = asking
    const { names, of: { style } } = known ?? nothing
    const key = known === undefined ? keyOf(asking, names) : keys.variantOf(asking, known)
    const entry = strong || asked?.options.fresh === true ? undefined : cache.peek(key, fingerprint, fiber)
    if (entry !== undefined && (asked === undefined || asked.accepts(entry, cache.now()))) {
      cache.took(entry, fiber)
      if (names.length > 0) variants.used(base, entry)
      return respondHit(entry, request, cache.now(), style)
    }
    if (known === undefined) {
      return Effect.flatMap(variants.load(base, fiber), (loaded) => attempt(asking, attempts, loaded))
    }
    const because = attempts === 0 ? "request" : past.get(key)
    if (because !== undefined) return uncached(because, asking)
    const lookup = { key, fingerprint, strong, policy, ...asked?.options, ...compute(asking, names) }
    // What is there and not young enough is computed anew.
    return look(entry === undefined ? lookup : anew(lookup), asking, attempts)
  }

  const look = (lookup: Lookup, asking: Asking, attempts: number): Effect.Effect<Response, unknown, any> =>
    Effect.flatMap(cache.lookup(lookup), (answer) => {
      const { entry } = answer
      const isOld = isStored(answer) && entry !== undefined && lookup.fresh !== true &&
        asking.asked?.accepts(entry, cache.now()) === false
      return isOld ? look(anew(lookup), asking, attempts) : settle(answer, lookup.key, asking, attempts)
    })

  const settle = (
    answer: Answer,
    key: string,
    asking: Asking,
    attempts: number
  ): Effect.Effect<Response, unknown, any> => {
    const { base, request } = asking
    const { entry, exit, how } = answer
    if (exit !== undefined && Exit.isFailure(exit) && !isStored(answer)) return exit as Exit.Exit<never, unknown>
    const { names, of: { style } } = variants.known(base) ?? nothing
    // By now more may be known of what it depends on.
    const current = keyOf(asking, names)
    if (entry === undefined) {
      // A stream belongs to the flight, which has ended: the handler runs again, for this request.
      const because = past.get(current)
      if (how === "miss" && because !== "stream") {
        return Effect.map(
          (exit as Exit.Success<Exit.Exit<Response, unknown>>).value,
          (response) =>
            told(response, request, style, answerStatus(answer, cache.now()), isGuarded, because !== undefined)
        )
      }
      // Whoever joined may have a key of its own by now. With the same key it would only wait for the next one.
      return key === current ? uncached(because ?? "response", asking) : attempt(asking, attempts - 1)
    }
    // The computation may have read more than the key of this request held when it joined.
    if (how === "joined" && entry.key !== key && entry.key !== current) return attempt(asking, attempts - 1)
    const response = respondAnswer(entry, answer, request, cache.now(), style)
    if (names.length === 0) return response
    if (how === "miss") {
      return answer.rejected === undefined ? Effect.andThen(variants.stored(base, entry), response) : response
    }
    variants.used(base, entry)
    return response
  }

  return { served, uncached }
})

// The request headers that a response depends on, by the part that it depends on.
const headerOf = (part: string): ReadonlyArray<string> => {
  if (part.startsWith("header:")) return [part.slice("header:".length)]
  return part.startsWith("cookie:") ? ["cookie"] : []
}
