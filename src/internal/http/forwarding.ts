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
import type * as Stream from "effect/Stream"
import type * as CacheEntry from "../../CacheEntry.ts"
import { collected } from "./collected.ts"
import { conditionsOf, headOf, isAbout, type Retention, retentionOf, setsCookies, updatedHead } from "./storedHead.ts"

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
  /** Whether the handler failed to answer, as far as what is stored is concerned (section 4.3.3; RFC 5861, section 4). */
  readonly unwell: boolean
  readonly storable: {
    readonly head: CacheEntry.ResponseHead
    readonly body: string | Uint8Array
    readonly retention: Retention
  } | undefined
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
    const run = (request: Request) =>
      Scope.provide(Effect.provideService(handler, HttpServerRequest.HttpServerRequest, request), scope)
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
    const unwell = failures.has(response.status)
    const sentOn = (response: Response): Answered => {
      handOver()
      return { response, unwell, storable: undefined }
    }
    const head = isGood ? updatedHead(stored!, response, came) : headOf(response, came)
    const retention = retentionOf(head, response.headers, { asked, came, isAuthorized, keep })
    if (retention === undefined || (!isGood && setsCookies(response))) return sentOn(response)
    const body = isGood ? held!.body : yield* Scope.provide(bodyOf(response, maxBodyBytes), scope)
    if (typeof body === "object" && "response" in body) return sentOn(body.response)
    return { response, unwell, storable: { head, body, retention } }
  })

const failures = new Set([500, 502, 503, 504])

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

// The body of a response, or a response with all of it that is sent on, because it is more than is stored, or never ends.
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
  const read = yield* collected(body.stream, most)
  return read.bytes ?? { response: withStream(response, body, read.stream) }
})

const withStream = (
  response: Response,
  { contentLength, contentType }: HttpBody.Stream,
  stream: Stream.Stream<Uint8Array, unknown>
): Response => HttpServerResponse.setBody(response, HttpBody.stream(stream, contentType, contentLength))
