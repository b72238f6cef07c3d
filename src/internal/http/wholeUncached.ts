/**
 * Responses of handlers past the cache, and what is said of those that were not stored.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { notCachedError } from "../errors.ts"
import { type BypassDetail, bypassStatus, type CacheStatus } from "./cacheStatus.ts"
import { hasCredentials, type Style } from "./httpPolicy.ts"
import { makeRecording } from "./recordedRequest.ts"
import { askedBy } from "./requestDirectives.ts"
import { tellCaches, withStatus } from "./respond.ts"
import { type Asking, recordedServices, type RequestServices } from "./wholeComputation.ts"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest

interface Options {
  readonly name: string
  readonly handler: (request: Request) => Effect.Effect<Response, unknown, any>
  /** Whether nobody has said what the route makes of credentials. */
  readonly isGuarded: boolean
  readonly obeys: boolean
  readonly derive: (names: ReadonlyArray<string>) => Style
  readonly namesOf: (base: string) => ReadonlyArray<string>
  /** Called with the parts that a response depends on which is no stream, and could have a key. */
  readonly answered: (asking: Asking, parts: Iterable<string>) => void
}

export const makeUncached = ({ answered, derive, handler, isGuarded, name, namesOf, obeys }: Options) =>
(
  detail: BypassDetail,
  asking?: Asking
): Effect.Effect<Response, unknown, any> =>
  Effect.contextWith((context: Context.Context<RequestServices>) => {
    const request = Context.get(context, HttpServerRequest.HttpServerRequest)
    const status = bypassStatus(detail)
    if (request.method !== "GET" && request.method !== "HEAD") {
      return Effect.map(Effect.suspend(() => handler(request)), (response) => marked(response, status))
    }
    if (obeys && askedBy(request)?.options.onlyIfCached === true) {
      return Effect.fail(notCachedError(asking?.base ?? name))
    }
    // What such a response depends on is recorded, too: it is told to caches in front.
    const recording = makeRecording()
    const recorded = recordedServices(request, context, recording)
    return Effect.map(
      Effect.provideContext(Effect.suspend(() => handler(recorded.request)), recorded.context),
      (response) => {
        const { parts, unshareable } = recording
        const style = derive([...asking === undefined ? [] : namesOf(asking.base), ...parts])
        if (asking !== undefined && !unshareable && !isStream(response)) answered(asking, parts)
        return told(response, request, style, status, isGuarded, unshareable)
      }
    )
  })

const isStream = ({ body }: Response): boolean => body._tag !== "Empty" && body._tag !== "Uint8Array"

/** A response that does not come from the store, with what is to be said of it. */
export const told = (
  response: Response,
  request: Request,
  style: Style,
  status: CacheStatus,
  isGuarded: boolean,
  isUnshareable: boolean
): Response => {
  const headers: Record<string, string> = { ...response.headers }
  const isPrivate = style.isPrivate || ((isGuarded || isUnshareable) && hasCredentials(request)) ||
    (isUnshareable && headers["cache-control"] === undefined)
  tellCaches(headers, style, isPrivate)
  return marked(HttpServerResponse.setHeaders(response, headers), status)
}

const marked = (response: Response, status: CacheStatus): Response =>
  HttpServerResponse.setHeader(response, "cache-status", withStatus(response.headers["cache-status"], status))
