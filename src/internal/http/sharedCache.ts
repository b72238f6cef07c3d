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
import type * as CacheEntry from "../../CacheEntry.ts"
import type { Flight } from "../flight.ts"
import type { Answer, Cache, Computed, Lookup } from "../lookup.ts"
import type { Policy } from "../policy.ts"
import { functionTag, keyTag } from "../tagText.ts"
import { answerStatus, type CacheStatus } from "./cacheStatus.ts"
import { type Answered, makeForwarding } from "./forwarding.ts"
import { makePassing } from "./passing.ts"
import { anew } from "./requestDirectives.ts"
import { keyOf, makeSharedKeys } from "./sharedKeys.ts"
import { type Asking, askingOf, isFieldName, pastBecause } from "./sharedRequest.ts"
import { isForAll } from "./storedHead.ts"
import { respondHit, respondStored, type SharedStyle, withCacheStatus, withCookiesOf } from "./storedResponse.ts"
import { besideUri, changedBy, hasHost, targetUri } from "./targetUri.ts"
import { makeVariants, type Names } from "./variants.ts"
import { varyNames } from "./varyHeader.ts"

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

const success = HttpServerResponse.empty()
const fingerprint = "rfc9111-1"
const maxNames = 32
// A request that joins a flight and then turns out not to share its variant asks again.
const maxAttempts = 3

export const makeSharedCache = (
  { keep, maxBodyBytes, maxVariants, name, obeys, policy, style }: SharedCache,
  handler: Handled,
  cache: Cache
): Handled => {
  const tag = functionTag(name)
  const keys = makeSharedKeys(name)
  const variants = makeVariants<undefined>({
    cache,
    maxVariants,
    maxNames,
    isName: isFieldName,
    tags: (base) => [tag, keyTag(tag, base)],
    derive: () => undefined
  })
  const ask = makeForwarding({ handler, now: cache.now, keep, maxBodyBytes })
  const passing = makePassing()
  let computedAlone = 0

  const currentKey = (asking: Asking): string => {
    const known = variants.known(asking.base)
    return known === undefined ? keyOf(asking, []) : keys.ofVariant(asking, known)
  }

  const served = Effect.withFiber((fiber): Handled => {
    const { context } = fiber
    const request = Context.getUnsafe(context, HttpServerRequest.HttpServerRequest)
    const because = pastBecause(request)
    if (because !== undefined) return forward(request, because)
    const asking = askingOf(request, context, keys.ofRequest(request), obeys)
    const known = variants.known(asking.base)
    return known === undefined
      ? Effect.flatMap(variants.load(asking.base, fiber), (loaded) => attempt(asking, loaded, fiber))
      : attempt(asking, known, fiber)
  })

  // Past the cache; where the request has changed something, what is stored of that ends.
  const forward = (request: Request, because: CacheStatus): Handled =>
    // What a handler had done when its client hung up nobody knows.
    Effect.flatMap(Effect.onInterrupt(handler, () => ended(request, success)), (response) =>
      Effect.as(
        ended(request, response),
        withCacheStatus(response, { ...because, fwdStatus: response.status })
      ))

  // That the log does not take it keeps nobody from the response: it has ended here, and the log is told later.
  const ended = (request: Request, response: Response): Effect.Effect<void> => {
    const changed = hasHost(request.headers) ? changedBy(targetUri(request), request.method, response) : []
    if (changed.length === 0) return Effect.void
    const tags = changed.map((uri) => keyTag(tag, keys.ofUri(uri, besideUri(request))))
    return Effect.catch(cache.forget(tags), (error) => Effect.logWarning(error.message))
  }

  const attempt = (asking: Asking, known: Names<undefined>, fiber: Fiber.Fiber<unknown, unknown>): Handled => {
    const { asked, base, isAuthorized, request } = asking
    const key = keys.ofVariant(asking, known)
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
      return stored(asking, key, isRequired ? alone : forward(request, { fwd: "miss" }))
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
    const key = currentKey(asking)
    if (attempts === 0 || passing.has(key)) return computeAlone(asking)
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
    const origin = exit?.value as Answered | undefined
    const status = { ...answerStatus(answer, now), fwdStatus: origin?.status }
    if (how === "joined" && origin !== undefined) {
      if (entry === undefined) return computeAlone(asking)
      if (entry.key !== currentKey(asking)) return look(asking, attempts - 1)
      if (entry.expiresAt <= now) return computeAlone(asking, entry)
    }
    if (entry === undefined) return Effect.succeed(withCacheStatus(origin!.response, status))
    const response = respondStored(entry, request, status, now, style, origin?.response)
    if (how !== "miss" || origin === undefined) {
      variants.used(base, entry)
      return Effect.succeed(response)
    }
    return Effect.as(variants.stored(base, entry), withCookiesOf(response, origin.response))
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
    const asked = currentKey(asking)
    const answered = yield* ask({
      request,
      context,
      held: flight.stale ?? alone?.known,
      isAlone: alone !== undefined,
      isAuthorized
    })
    const { isHint, storable, unwell } = answered
    if (storable === undefined) {
      if (isHint) passing.hint(asked)
      else if (!isAuthorized && !unwell && !passing.has(asked)) passing.add(asked)
      return { value: answered, body: undefined, timeToLive: 0, rejected: "response", unwell }
    }
    const { body, head, retention } = storable
    const names = varyNames(head.headers["vary"])
    const learned = yield* variants.learn(base, names)
    if (learned === undefined) {
      passing.add(asked)
      return {
        ...retention,
        key: keyOf(asking, Array.from(names)),
        value: answered,
        body,
        head,
        unwell,
        rejected: "response"
      }
    }
    passing.remove(asked)
    return { ...retention, key: keys.ofVariant(asking, learned), value: answered, body, head, unwell }
  })

  return served
}
