/**
 * The input of a cached route, from a request: a mapped field from its header, any other from the path, then the query, then
 * the fields of a JSON body.
 * Nothing else of the request reaches the key or the function.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { hasBody } from "effect/http/HttpMethod"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as CacheError from "../../CacheError.ts"
import type { Encoded } from "../inputKey.ts"
import { isStep, type Level, makeKnownKeys } from "./knownKeys.ts"

/** Which fields a route has, which of them are lists, and which come from a header. */
export interface Fields {
  readonly names: ReadonlyArray<string>
  readonly lists: ReadonlySet<string>
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** Whether the input of a request is complete without its body. */
export const isBodiless = (request: HttpServerRequest.HttpServerRequest): boolean => !hasBody(request.method as "POST")

/** The values of the declared fields, as the request has them. */
export const readInput = (
  { headers, lists, names }: Fields,
  context: Context.Context<never>,
  request: HttpServerRequest.HttpServerRequest,
  body: Encoded
): Encoded => {
  const { params } = Context.getUnsafe(context, HttpRouter.RouteContext)
  const search = Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams)
  const out: Record<string, unknown> = {}
  for (const name of names) {
    const header = own(headers, name)
    const value = header === undefined ? own(params, name) ?? own(search, name) : own(request.headers, header)
    if (value !== undefined) out[name] = typeof value === "string" && lists.has(name) ? [value] : value
    else if (header === undefined && Object.hasOwn(body, name)) out[name] = body[name]
  }
  return out
}

/**
 * Gives the key of a request that has one text, or none, for each declared field, and no body: the text that `keyOf` makes of its
 * input. `undefined` for any other request. A key that is known is found without making its input.
 */
export const makeDirectKey = (fields: Fields, keyOf: (input: Encoded) => string) => {
  const { names } = fields
  const headers = names.map((name) => own(fields.headers, name))
  const keys = makeKnownKeys()

  const valueAt = (index: number, params: Params, context: Context.Context<never>, request: Request) => {
    const header = headers[index]
    return header === undefined
      ? own(params, names[index]!) ??
        own(Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams), names[index]!)
      : own(request.headers, header)
  }

  const make = (params: Params, context: Context.Context<never>, request: Request): string | undefined => {
    const values = names.map((_, index) => valueAt(index, params, context, request))
    if (!values.every(isStep)) return undefined
    const key = keyOf(readInput(fields, context, request, noBody))
    keys.add(values, key)
    return key
  }

  if (names.length === 0) {
    const key = keyOf(noBody)
    return () => key
  }
  return (context: Context.Context<never>, request: Request): string | undefined => {
    const { params } = Context.getUnsafe(context, HttpRouter.RouteContext)
    let known: Level | string | undefined = keys.first()
    for (let index = 0; index < names.length; index++) {
      const value = valueAt(index, params, context, request)
      if (!isStep(value)) return undefined
      known = (known as Level).get(value)
      if (known === undefined) return make(params, context, request)
    }
    return known as string
  }
}

type Params = Readonly<Record<string, string | undefined>>
type Request = HttpServerRequest.HttpServerRequest

/** What a request has that has no body. */
export const noBody: Encoded = {}

const own = <A>(record: Readonly<Record<string, A>>, name: string): A | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined

/** The fields of a JSON body, none where there is no body. Fails with `invalid` for a body that is not a JSON object. */
export const readBody = (
  request: HttpServerRequest.HttpServerRequest,
  invalid: (cause: unknown) => CacheError.CacheError
): Effect.Effect<Encoded, CacheError.CacheError> =>
  Effect.flatMap(Effect.mapError(request.text, invalid), (text) => {
    if (text === "") return Effect.succeed({})
    return Effect.flatMap(
      Effect.try({ try: (): unknown => JSON.parse(text), catch: invalid }),
      (json) =>
        typeof json === "object" && json !== null && !Array.isArray(json)
          ? Effect.succeed(json as Encoded)
          : Effect.fail(invalid(new Error("the body is not a JSON object")))
    )
  })
