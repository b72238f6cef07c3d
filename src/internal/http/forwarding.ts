/**
 * Asking the handler behind a shared cache: conditions under which what is stored may be used again, and the form in which its
 * answer can be stored (RFC 9111, sections 3 and 4.3).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as CacheEntry from "../../CacheEntry.ts"
import { watchAdded } from "./addedTo.ts"
import { collected } from "./collected.ts"
import { isUnwell } from "./storable.ts"
import { conditionsOf, headOf, isAbout, type Retention, retentionOf, setsCookies, updatedHead } from "./storedHead.ts"
import { respondWith, withCookiesOf } from "./storedResponse.ts"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest

/** What is asked. */
export interface Question {
  readonly request: Request
  /** The services of the request. */
  readonly context: Context.Context<never>
  /** What is stored, and over. */
  readonly held: CacheEntry.CacheEntry | undefined
  /** Whether the answer is for this request only, which then may keep its own conditions. */
  readonly isAlone: boolean
  readonly isAuthorized: boolean
}

/** What the handler answered. */
export interface Answered {
  /** To be sent on where it is not stored. */
  readonly response: Response
  /** The status that the handler answered with. */
  readonly status: number
  /** Whether the handler failed to answer, as far as what is stored is concerned (section 4.3.3; RFC 5861, section 4). */
  readonly unwell: boolean
  readonly storable: {
    readonly head: CacheEntry.ResponseHead
    readonly body: string | Uint8Array
    readonly retention: Retention
  } | undefined
  /** Whether it is a 304 to the conditions of the client, which says that the whole response could be stored. */
  readonly isHint: boolean
}

interface Forwarding {
  readonly handler: Effect.Effect<Response, unknown, any>
  readonly now: () => number
  readonly keep: number
  readonly maxBodyBytes: number
}

export const makeForwarding = ({ handler, keep, maxBodyBytes, now }: Forwarding) =>
  Effect.fnUntraced(function*(
    { context, held, isAlone, isAuthorized, request }: Question
  ): Effect.fn.Return<Answered, unknown, any> {
    const { handOver, scope } = yield* handlerScope(context)
    const watched = watchAdded(context, handler)
    const run = (request: Request) =>
      Scope.provide(Effect.provideService(watched.handler, HttpServerRequest.HttpServerRequest, request), scope)
    const stored = held?.head
    const conditions = stored === undefined ? undefined : conditionsOf(stored)
    const asked = now()
    // A 304 to the conditions of one client would be of no use to others.
    let response: Response = yield* run(
      isAlone && conditions === undefined ? request : conditioned(request, conditions ?? none)
    )
    const isGood = conditions !== undefined && response.status === 304 && isAbout(response, stored!)
    // It is about something else than what is stored (section 4.3.4).
    if (conditions !== undefined && response.status === 304 && !isGood) {
      response = yield* run(conditioned(request, none))
    }
    const came = now()
    const { status } = response
    const unwell = isUnwell(status)
    const sentOn = (response: Response, isHint = false): Answered => {
      handOver()
      return { response, status, unwell, storable: undefined, isHint }
    }
    const exchange = { asked, came, isAuthorized, keep }
    const head = isGood ? updatedHead(stored!, response, came) : headOf(response, came)
    if (status === 304 && !isGood) {
      // It has the fields that the whole response would have (RFC 9110, section 15.4.5).
      return sentOn(response, retentionOf({ ...head, status: 200 }, response.headers, exchange) !== undefined)
    }
    const retention = retentionOf(head, response.headers, exchange)
    if (isGood && retention === undefined) {
      // Nobody but the cache has asked under its conditions.
      const { age } = response.headers
      const headers = age === undefined ? head.headers : { ...head.headers, age }
      return sentOn(withCookiesOf(respondWith(held!.body, { ...head, headers }, request, came), response))
    }
    if (retention === undefined || (!isGood && (setsCookies(response) || watched.hasAdded()))) return sentOn(response)
    const body = isGood ? held!.body : yield* Scope.provide(bodyOf(response, maxBodyBytes), scope)
    if (typeof body === "object" && "response" in body) return sentOn(body.response)
    return { response, status, unwell, storable: { head, body, retention }, isHint: false }
  })

const none: Readonly<Record<string, string>> = {}

// The request with these conditions in place of its own.
const conditioned = (request: Request, conditions: Readonly<Record<string, string>>): Request => {
  const { "if-modified-since": _, "if-none-match": __, ...headers } = request.headers
  return request.modify({ headers: Headers.fromRecordUnsafe({ ...headers, ...conditions }) })
}

// What a handler acquires ends with its computation, or, where its response is sent on and may be a stream, with the request
// that gets it.
const handlerScope = Effect.fnUntraced(function*(context: Context.Context<never>) {
  const scope = yield* Scope.make()
  const request = Context.getOrUndefined(context as Context.Context<Scope.Scope>, Scope.Scope)
  let isHandedOver = false
  yield* Effect.addFinalizer((exit) => {
    const closing = Scope.close(scope, exit)
    return isHandedOver && request !== undefined ? Scope.addFinalizer(request, closing) : closing
  })
  return {
    scope,
    handOver: (): void => {
      isHandedOver = true
    }
  }
})

// How long a client waits for a body that could be stored to end, in milliseconds.
const maxReading = 5000

// The body of a response, or a response with all of it that is sent on: because it is more than is stored, takes too long, never
// ends, or is not the whole of it (RFC 9111, section 3.3).
const bodyOf = Effect.fnUntraced(function*(
  response: Response,
  most: number
): Effect.fn.Return<string | Uint8Array | { readonly response: Response }, unknown, Scope.Scope> {
  const { body } = response
  if (body._tag === "Empty") return ""
  if (body._tag === "Raw" || body._tag === "FormData" || (body.contentLength ?? 0) > most) return { response }
  // A copy: the handler may use its buffer again.
  if (body._tag === "Uint8Array") return body.text ?? Uint8Array.from(body.body)
  if (body.contentType.startsWith("text/event-stream")) return { response }
  const read = yield* collected(body.stream, most, maxReading)
  if (read.bytes === undefined) return { response: withStream(response, body, read.stream) }
  return isWhole(response, read.bytes.length)
    ? read.bytes
    : { response: withStream(response, body, Stream.make(read.bytes)) }
})

// Who has decoded the content of a response may have left the length of what was encoded.
const isWhole = ({ headers }: Response, size: number): boolean => {
  const length = headers["content-length"]
  return length === undefined || headers["content-encoding"] !== undefined || Number(length) === size
}

const withStream = (
  response: Response,
  { contentLength, contentType }: HttpBody.Stream,
  stream: Stream.Stream<Uint8Array, unknown>
): Response => HttpServerResponse.setBody(response, HttpBody.stream(stream, contentType, contentLength))
