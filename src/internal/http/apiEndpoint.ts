/**
 * Endpoints of an `HttpApi` as they can be cached: checked, with what is known of them beforehand.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import type * as CacheError from "../../CacheError.ts"
import type * as CachePolicy from "../../CachePolicy.ts"
import type { HttpPolicy } from "../../HttpPolicy.ts"
import { definitionError } from "../errors.ts"
import { described, fingerprintOf } from "../fingerprint.ts"
import { type Resolved, resolvePolicy } from "../policy.ts"
import { type ApiInput, makeApiInput } from "./apiInput.ts"
import { type Style, styleOf, wasSent } from "./httpPolicy.ts"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest

/** Options, their types erased: `HttpApiCached` has checked them. */
export interface AnyOptions {
  readonly name?: string | undefined
  readonly deps?: ((request: any) => Iterable<string>) | undefined
  readonly timeToLive?: CachePolicy.TimeToLive<any, any, any> | undefined
  readonly policy?: CachePolicy.CachePolicy<any, any, any> | undefined
  readonly varyBy?: Effect.Effect<unknown, unknown, any> | "nothing" | undefined
  readonly http?: HttpPolicy | undefined
  readonly version?: string | undefined
  readonly consistency?: CachePolicy.Consistency | undefined
}

/** An endpoint that can be cached. */
export interface ApiEndpoint {
  readonly name: string
  readonly options: AnyOptions
  readonly input: ApiInput
  readonly fingerprint: string
  readonly resolved: Resolved
  readonly style: Style
  /** The statuses that its schemas declare, which it may be stored with. */
  readonly statuses: ReadonlySet<number>
  /** The status of one of its own errors, `undefined` for what is none. */
  readonly statusOf: (error: unknown) => number | undefined
  /** The response of one of its own errors. */
  readonly respondError: (error: unknown) => Effect.Effect<Response, never, any>
  readonly hasCredentials: (request: Request, search: Readonly<Record<string, unknown>>) => boolean
}

/**
 * Checks an endpoint and its options. Fails with a `CacheError` of reason `DefinitionError` for what cannot be cached and
 * for durations that cannot be used. `above` are the annotations of its API, where they are known.
 */
export const makeApiEndpoint = Effect.fnUntraced(function*(
  endpoint: HttpApiEndpoint.Top,
  group: HttpApiGroup.Top,
  above: Context.Context<never>,
  options: AnyOptions,
  defaults: CachePolicy.CachePolicy<any, any, any> | undefined
): Effect.fn.Return<ApiEndpoint, CacheError.CacheError> {
  const name = options.name ?? `${endpoint.method} ${endpoint.path}`
  const where = `cached endpoint ${JSON.stringify(`${group.identifier}.${endpoint.identifier}`)}`
  const { errors, successes } = schemasOf(endpoint, group)
  if (successes.size < endpoint.success.size) {
    return yield* definitionError(where, "a stream or an upgrade cannot be stored: leave this endpoint uncached")
  }
  for (const { encoding } of endpoint.payload.values()) {
    if (encoding._tag === "Stream" || encoding._tag === "Multipart") {
      return yield* definitionError(where, `a payload of ${encoding.contentType} cannot be a part of a key`)
    }
  }
  const annotations = Context.merge(above, Context.merge(group.annotations, endpoint.annotations))
  const input = makeApiInput(endpoint, annotations)
  const error = errors.size === 0 ? undefined : errors
  return {
    name,
    options,
    input,
    fingerprint: fingerprint(endpoint, successes, errors, options.version),
    resolved: yield* resolvePolicy(where, { ...options, error, bringsWindows: true }, defaults),
    style: styleOf(options.http, Effect.isEffect(options.varyBy), input.headers, options.varyBy === undefined),
    statuses: new Set(successes.values()),
    statusOf: makeStatusOf(errors),
    respondError: yield* errorResponder(endpoint, group, annotations, errors),
    hasCredentials: credentialsOf(endpoint)
  }
})

type Statuses = ReadonlyMap<Schema.Top, number>

// The schemas of responses that are not streams, with their statuses. What middleware may fail with is among the errors.
const schemasOf = (endpoint: HttpApiEndpoint.Top, group: HttpApiGroup.Top) => {
  const successes = new Map<Schema.Top, number>()
  const errors = new Map<Schema.Top, number>()
  const only = { ...group, endpoints: { [endpoint.identifier]: endpoint } }
  HttpApi.reflect(asApi(Context.empty(), only), {
    onGroup: () => {},
    onEndpoint: (found) => {
      for (const [status, schemas] of found.successes) for (const schema of schemas) successes.set(schema, status)
      for (const [status, schemas] of found.errors) for (const schema of schemas) errors.set(schema, status)
    }
  })
  return { successes: successes as Statuses, errors: errors as Statuses }
}

// What `effect` reads of an API: its groups and its annotations. It is no API, and nobody else sees it.
const asApi = (annotations: Context.Context<never>, group: object) =>
  ({ annotations, groups: { group } }) as unknown as HttpApi.Top

const makeStatusOf = (errors: Statuses): ApiEndpoint["statusOf"] => {
  const tests = Array.from(errors, ([schema, status]) => ({ is: Schema.is(schema), status }))
  return (error) => tests.find(({ is }) => is(error))?.status
}

class Failure
  extends Context.Service<Failure, { readonly error: unknown }>()("effect-cached/internal/http/apiEndpoint/Failure")
{}

// The endpoint as it is built for a handler that only fails: what it makes of that is the response. Whoever waits for the
// computation reports the failure, so it is not reported here.
const errorResponder = (
  endpoint: HttpApiEndpoint.Top,
  group: HttpApiGroup.Top,
  annotations: Context.Context<never>,
  errors: Statuses
): Effect.Effect<ApiEndpoint["respondError"]> => {
  const failing = Object.assign(endpoint.annotateMerge(Context.empty()), {
    params: undefined,
    query: undefined,
    headers: undefined,
    payload: new Map(),
    success: new Set(),
    // In its own order: the first one that fits is taken.
    error: new Set([...endpoint.error, ...errors.keys()]),
    middlewares: new Set()
  })
  const only = { ...group, endpoints: { endpoint: failing } }
  const respond = HttpApiBuilder.endpoint(
    asApi(annotations, only),
    "group",
    "endpoint" as never,
    () => Effect.flatMap(Failure, ({ error }) => Effect.fail(error as never))
  ) as Effect.Effect<Effect.Effect<Response, never, any>>
  return Effect.map(respond, (response) => (error: unknown) =>
    response.pipe(
      Effect.provideService(Failure, { error }),
      Effect.provideService(ErrorReporter.CurrentErrorReporters, new Set<never>())
    ))
}

// `Authorization`, `Cookie`, and the keys that its security schemes look at, also those that middleware took out.
const credentialsOf = (endpoint: HttpApiEndpoint.Top): ApiEndpoint["hasCredentials"] => {
  const headers = new Set(["authorization", "cookie"])
  const fields = new Set<string>()
  for (const key of endpoint.middlewares as ReadonlySet<HttpApiMiddleware.AnyService>) {
    if (!HttpApiMiddleware.isSecurity(key)) continue
    for (const security of Object.values(key.security)) {
      if (security._tag !== "ApiKey") continue
      if (security.in === "header") headers.add(security.key.toLowerCase())
      if (security.in === "query") fields.add(security.key)
    }
  }
  return (request, search) => {
    for (const name of headers) if (request.headers[name] !== undefined || wasSent(request.source, name)) return true
    for (const name of fields) if (Object.hasOwn(search, name)) return true
    return false
  }
}

// Schemas as data, with the statuses of responses, and what the endpoint was told about its version.
const fingerprint = (
  { headers, params, payload, query }: HttpApiEndpoint.Top,
  successes: Statuses,
  errors: Statuses,
  version: string | undefined
): string => {
  const input = [params, query, headers].map((schema) => schema === undefined ? [] : described(schema))
  const bodies = Array.from(payload, ([type, { schemas }]) => [type, ...schemas.map(described)])
  const responses = [...successes, ...errors].map(([schema, status]) => [
    status,
    HttpApiSchema.isWithHeaders(schema) ? [described(schema.schema), described(schema.headers)] : described(schema)
  ])
  return fingerprintOf([input, bodies, responses, version ?? ""])
}
