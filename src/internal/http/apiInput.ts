/**
 * The input of an `HttpApi` endpoint: what its own schemas declare of a request.
 *
 * Invariant: a computation runs with a request that is made of encoded values and of nothing else, and the key is the
 * canonical text of these values. So a handler can see nothing of a request that the key does not hold.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as Headers from "effect/http/Headers"
import { hasBody } from "effect/http/HttpMethod"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { canonicalUnsafe } from "../canonical.ts"
import type { Encoded } from "../inputKey.ts"
import { bodyFor, bodyOf, jsonText, parsed, searchOf, slotOf, typeOf, urlOf } from "./apiSlot.ts"

type Request = HttpServerRequest.HttpServerRequest

/** The declared parts of a request, as their schemas encode them. A part that is not declared is absent. */
export interface Values {
  readonly params?: Encoded
  readonly query?: Encoded
  readonly headers?: Encoded
  /** Schemas of two content types may encode different values alike, so the type is a part of it. */
  readonly payload?: { readonly type: string; readonly value: unknown }
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** The input of an endpoint. `annotations` are those of the endpoint and of what it is in. */
export const makeApiInput = (endpoint: HttpApiEndpoint.Top, annotations: Context.Context<never>) => {
  const every = Context.getOrUndefined(annotations, HttpApi.ParseOptions)
  const payloadOptions = Context.getOrUndefined(annotations, HttpApi.PayloadParseOptions) ?? every
  const params = slotOf(endpoint.params, Context.getOrUndefined(annotations, HttpApi.ParamsParseOptions) ?? every)
  const headers = slotOf(endpoint.headers, Context.getOrUndefined(annotations, HttpApi.HeadersParseOptions) ?? every)
  const query = slotOf(
    endpoint.query,
    Context.getOrUndefined(annotations, HttpApi.QueryParseOptions) ?? every,
    Schema.toCodecArrayFromSingle
  )
  const payloads = new Map(
    Array.from(endpoint.payload, ([type, { encoding, schemas }]) => {
      const isForm = encoding._tag === "FormUrlEncoded"
      const slot = slotOf(Schema.Union(schemas), payloadOptions, isForm ? Schema.toCodecArrayFromSingle : undefined)!
      // What an empty body stands for.
      const empty = schemas.some(({ ast }) => SchemaAST.isNull(SchemaAST.toEncoded(ast))) ? null : undefined
      return [type, { encoding: encoding._tag, slot, empty }] as const
    })
  )

  const decode = Effect.fnUntraced(function*(values: Values) {
    const decoded: Record<string, unknown> = {}
    if (params !== undefined) decoded["params"] = yield* params.decode(values.params)
    if (headers !== undefined) decoded["headers"] = yield* headers.decode(values.headers)
    if (query !== undefined) decoded["query"] = yield* query.decode(values.query)
    if (values.payload !== undefined) {
      decoded["payload"] = yield* payloads.get(values.payload.type)!.slot.decode(values.payload.value)
    }
    return decoded
  })

  // What is in the search of a request without a body, besides the query.
  const besideQuery = ({ payload }: Values): Encoded | undefined =>
    payload === undefined || hasBody(endpoint.method) ? undefined : payload.value as Encoded

  const encode = Effect.fnUntraced(function*(type: string | undefined, decoded: Encoded) {
    const values: Mutable<Values> = {}
    // As a request has it: without what is undefined, and of JSON what its text holds.
    if (params !== undefined) values.params = params.pick((yield* params.encode(decoded["params"])) as Encoded)
    if (headers !== undefined) values.headers = headers.pick((yield* headers.encode(decoded["headers"])) as Encoded)
    if (query !== undefined) values.query = query.pick((yield* query.encode(decoded["query"])) as Encoded)
    if (type !== undefined) {
      const { encoding, slot } = payloads.get(type)!
      const value = yield* slot.encode(decoded["payload"])
      values.payload = { type, value: encoding === "Json" ? parsed(jsonText(value), undefined) : value }
    }
    return searchOf(values.query, besideQuery(values)) === undefined ? undefined : values
  })

  return {
    /** The request headers that a response may depend on: `*` where all of them may be read. */
    headers: headers === undefined ? [] : headers.names ?? ["*"],
    /**
     * What a request says, as it says it. `undefined` where the endpoint does not take such a payload, or it cannot be
     * read: to tell why is left to the endpoint.
     */
    read: (request: Request, context: Context.Context<never>): Values | Effect.Effect<Values | undefined> => {
      const values: Mutable<Values> = {}
      const search = Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams)
      if (params !== undefined) values.params = params.pick(Context.getUnsafe(context, HttpRouter.RouteContext).params)
      if (headers !== undefined) values.headers = headers.pick(request.headers)
      if (query !== undefined) values.query = query.pick(search)
      if (payloads.size === 0) return values
      const type = typeOf(request)
      const payload = payloads.get(type)
      if (payload === undefined) return Effect.undefined
      const { empty, encoding, slot } = payload
      if (!hasBody(request.method as "POST")) return { ...values, payload: { type, value: slot.pick(search) } }
      return Effect.match(bodyOf(request, encoding, empty), {
        onFailure: () => undefined,
        onSuccess: (value) => ({
          ...values,
          payload: { type, value: encoding === "FormUrlEncoded" ? slot.pick(value as Encoded) : value }
        })
      })
    },
    /** The canonical text of values. Throws `UnstableValue`. */
    textUnsafe: (values: Values): string => {
      const parts: Array<string> = []
      if (headers !== undefined) parts.push(`"headers":${headers.textUnsafe(values.headers!)}`)
      if (params !== undefined) parts.push(`"params":${params.textUnsafe(values.params!)}`)
      if (values.payload !== undefined) parts.push(`"payload":${canonicalUnsafe(values.payload)}`)
      if (query !== undefined) parts.push(`"query":${query.textUnsafe(values.query!)}`)
      return `{${parts.join(",")}}`
    },
    /** The typed parts of a request. */
    decode,
    /**
     * The values that stand for these parts, however the request wrote them; `undefined` where no request has them all, because a
     * query and a payload that share a field of it encode it differently.
     */
    encode: (values: Values, decoded: Encoded) => encode(values.payload?.type, decoded),
    /** The services of a request that holds these values, and nothing else. */
    requestOf: (values: Values, context: Context.Context<never>): Context.Context<never> => {
      const { route } = Context.getUnsafe(context, HttpRouter.RouteContext)
      const search = { ...searchOf(values.query, besideQuery(values)) } as Record<string, string | Array<string>>
      const fields = { ...values.headers } as Record<string, string>
      let body: string | Uint8Array<ArrayBuffer> | undefined
      if (values.payload !== undefined && hasBody(endpoint.method)) {
        const { type, value } = values.payload
        fields["content-type"] = type
        body = bodyFor(payloads.get(type)!.encoding, value)
      }
      const source = new globalThis.Request(`http://localhost${urlOf(endpoint.path, values.params, search)}`, {
        method: endpoint.method,
        ...(body === undefined ? {} : { body })
      })
      return context.pipe(
        Context.add(
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(source).modify({ headers: Headers.fromRecordUnsafe(fields) })
        ),
        Context.add(HttpServerRequest.ParsedSearchParams, search),
        Context.add(HttpRouter.RouteContext, { route, params: { ...values.params } as Record<string, string> })
      )
    }
  }
}

export type ApiInput = ReturnType<typeof makeApiInput>
