/**
 * A handler behind a shared HTTP cache (RFC 9111): what is stored, used, revalidated and invalidated is decided by what the
 * responses say.
 *
 * Invariants:
 * - A response is stored only under a key that holds the target URI and every header that its `Vary` names.
 * - Whoever waited for the computation of another request is given its response only if that may be used again, or instead of an
 *   error. Otherwise it gets one of its own.
 * - What a request with credentials gets was computed for it, or may be given to anyone (section 3.5).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Scope from "effect/Scope"
import { LRUCache } from "lru-cache"
import type * as CacheEntry from "../../CacheEntry.ts"
import type { Flight } from "../flight.ts"
import type { Answer, Cache, Computed, Lookup } from "../lookup.ts"
import type { Policy } from "../policy.ts"
import { functionTag, keyTag } from "../tagText.ts"
import { answerStatus, type CacheStatus } from "./cacheStatus.ts"
import { makeForwarding } from "./forwarding.ts"
import { anew } from "./requestDirectives.ts"
import { type Asking, askingOf, field, isFieldName, pastBecause } from "./sharedRequest.ts"
import { isForAll } from "./storedHead.ts"
import { respondHit, respondStored, type SharedStyle, withCacheStatus } from "./storedResponse.ts"
import { changedBy, targetUri } from "./targetUri.ts"
import { makeVariants, variantKey } from "./variants.ts"
import { normalised, varyNames } from "./varyHeader.ts"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest
type Handled = Effect.Effect<Response, unknown, any>

export interface SharedCache {
  readonly name: string
  readonly policy: Policy
  /** How long what can be revalidated is kept after its end, in milliseconds. */
  readonly keep: number
  readonly maxBodyBytes: number
  readonly maxVariants: number
  readonly obeys: boolean
  readonly style: SharedStyle
}

/** A computation for one request only; what was stored a moment ago is `known`. */
interface Alone {
  readonly known: CacheEntry.CacheEntry | undefined
}

const withoutScope: (context: Context.Context<never>) => Context.Context<never> = Context.omit(Scope.Scope)

const fingerprint = "rfc9111-1"
const maxNames = 32
const maxPassed = 10_000
// A request that joins a flight and then turns out not to share its variant asks again.
const maxAttempts = 3

export const makeSharedCache = (
  { keep, maxBodyBytes, maxVariants, name, obeys, policy, style }: SharedCache,
  handler: Handled,
  cache: Cache
): Handled => {
  const tag = functionTag(name)
  const baseOf = (uri: string): string => `${name}\t${uri}`
  const variants = makeVariants<undefined>({
    cache,
    maxVariants,
    maxNames,
    isName: isFieldName,
    tags: (base) => [tag, keyTag(tag, base)],
    derive: () => undefined
  })
  const ask = makeForwarding({ handler, now: cache.now, keep, maxBodyBytes })
  // What could not be stored the last time: nobody waits for it.
  const passed = new LRUCache<string, true>({ max: maxPassed })
  let computedAlone = 0

  const keyOf = ({ base, request }: Asking, names: Iterable<string> = variants.known(base)?.names ?? []): string =>
    variantKey(base, Array.from(names, (name) => [name, normalised(name, field(request, name))]))

  const served = Effect.withFiber((fiber): Handled => {
    const { context } = fiber
    const request = Context.getUnsafe(context, HttpServerRequest.HttpServerRequest)
    const uri = targetUri(request)
    const because = pastBecause(request)
    if (because !== undefined) return forward(request, uri, because)
    const asking = askingOf(request, context, uri, baseOf(uri), obeys)
    return variants.known(asking.base) === undefined
      ? Effect.flatMap(variants.load(asking.base, fiber), () => attempt(asking, fiber))
      : attempt(asking, fiber)
  })

  // Past the cache; where the request has changed something, what is stored of that ends. That the log does not take it keeps
  // nobody from the response: it has ended here, and the log is told later.
  const forward = (request: Request, uri: string, because: CacheStatus): Handled =>
    Effect.flatMap(handler, (response) => {
      const answered = withCacheStatus(response, { ...because, fwdStatus: response.status })
      const tags = changedBy(uri, request.method, response).map((changed) => keyTag(tag, baseOf(changed)))
      return tags.length === 0
        ? Effect.succeed(answered)
        : Effect.as(Effect.catch(cache.forget(tags), (error) => Effect.logWarning(error.message)), answered)
    })

  const attempt = (asking: Asking, fiber: Fiber.Fiber<unknown, unknown>): Handled => {
    const { asked, base, isAuthorized, request, uri } = asking
    const key = keyOf(asking)
    const isFresh = asked?.options.fresh === true
    const entry = isFresh ? undefined : cache.peek(key, fingerprint, fiber)
    if (entry !== undefined && mayHave(entry, asking)) {
      cache.took(entry, fiber)
      variants.used(base, entry)
      return respondHit(entry, request, cache.now(), style)
    }
    // Where nothing may be computed, this fails.
    const alone = Effect.suspend(() => computeAlone(asking))
    if (request.method === "HEAD") {
      const isRequired = asked?.options.onlyIfCached === true
      return stored(asking, key, isRequired ? alone : forward(request, uri, { fwd: "miss" }))
    }
    if (!isAuthorized) return look(asking, maxAttempts)
    return isFresh ? alone : stored(asking, key, alone)
  }

  const mayHave = (entry: CacheEntry.CacheEntry, { asked, isAuthorized }: Asking): boolean =>
    (asked === undefined || asked.accepts(entry, cache.now())) && (!isAuthorized || isForAll(entry.head!.headers))

  // What is stored and may be given to this request, and otherwise something else, without waiting for anybody. Nothing is computed
  // anew behind it, so what is over is only for who wants nothing else.
  const stored = (asking: Asking, key: string, otherwise: Handled): Handled =>
    Effect.matchEffect(cache.lookup({ ...lookupOf(asking, key), onlyIfCached: true }), {
      onFailure: (error) => error.reason._tag === "NotCachedError" ? otherwise : Effect.fail(error),
      onSuccess: (answer) =>
        mayHave(answer.entry!, asking) && (answer.stale === undefined || asking.asked?.options.onlyIfCached === true)
          ? settle(answer, asking, 0)
          : otherwise
    })

  const look = (asking: Asking, attempts: number): Handled => {
    const key = keyOf(asking)
    if (attempts === 0 || passed.has(key)) return computeAlone(asking)
    const lookup = lookupOf(asking, key)
    return Effect.flatMap(cache.lookup(lookup), (answer) => {
      const isStored = answer.exit === undefined && answer.entry !== undefined
      return isStored && !mayHave(answer.entry, asking)
        ? Effect.flatMap(cache.lookup(anew(lookup)), (fresh) => settle(fresh, asking, attempts))
        : settle(answer, asking, attempts)
    })
  }

  // For this request only. What comes of it is stored as ever: the next one may be luckier.
  const computeAlone = (asking: Asking, known?: CacheEntry.CacheEntry): Handled =>
    Effect.flatMap(
      cache.lookup(anew(lookupOf(asking, `${asking.base}\t#${++computedAlone}`, { known }))),
      (answer) => settle({ ...answer, because: known === undefined ? "missing" : "expired" }, asking, 0)
    )

  const settle = (answer: Answer, asking: Asking, attempts: number): Handled => {
    const { entry, exit, how } = answer
    const { base, request } = asking
    const now = cache.now()
    if (answer.stale !== undefined) {
      return Effect.succeed(respondStored(entry!, request, answerStatus(answer, now), now, style))
    }
    if (exit !== undefined && Exit.isFailure(exit)) return exit as Exit.Exit<never, unknown>
    const origin = exit?.value as Response | undefined
    const status = { ...answerStatus(answer, now), fwdStatus: origin?.status }
    if (how === "joined" && origin !== undefined) {
      if (entry === undefined) return computeAlone(asking)
      if (entry.key !== keyOf(asking)) return look(asking, attempts - 1)
      if (entry.expiresAt <= now) return computeAlone(asking, entry)
    }
    if (entry === undefined) return Effect.succeed(withCacheStatus(origin!, status))
    const response = respondStored(entry, request, status, now, style, origin)
    if (how !== "miss" || origin === undefined) {
      variants.used(base, entry)
      return Effect.succeed(response)
    }
    // Cookies are for who asked.
    return Effect.as(variants.stored(base, entry), HttpServerResponse.mergeCookies(response, origin.cookies))
  }

  const lookupOf = (asking: Asking, key: string, alone?: Alone): Lookup => ({
    ...asking.asked?.options,
    key,
    fingerprint,
    policy,
    context: withoutScope(asking.context),
    compute: (flight) => compute(flight, asking, alone)
  })

  const compute = Effect.fnUntraced(function*(
    flight: Flight,
    asking: Asking,
    alone: Alone | undefined
  ): Effect.fn.Return<Computed, unknown, any> {
    const { base, context, isAuthorized, request } = asking
    flight.addTags([tag, keyTag(tag, base)])
    const asked = keyOf(asking)
    const { response, storable, unwell } = yield* ask({
      request,
      context,
      held: flight.stale ?? alone?.known,
      isAlone: alone !== undefined,
      isAuthorized
    })
    if (storable === undefined) {
      if (!isAuthorized && !unwell) passed.set(asked, true)
      return { value: response, body: undefined, timeToLive: 0, rejected: "response", unwell }
    }
    const { body, head, retention } = storable
    const names = varyNames(head.headers["vary"])
    const learned = yield* variants.learn(base, names)
    if (learned === undefined) {
      passed.set(asked, true)
      return { ...retention, key: keyOf(asking, names), value: response, body, head, unwell, rejected: "response" }
    }
    passed.delete(asked)
    return { ...retention, key: keyOf(asking, learned.names), value: response, body, head, unwell }
  })

  return served
}
