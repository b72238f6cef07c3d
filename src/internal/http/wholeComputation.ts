/**
 * The computation of a response that is cached whole: the handler runs with a request that records what it reads.
 *
 * Invariant: what is stored has a key that holds every part of the request that the handler read, with this request's values.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Scope from "effect/Scope"
import { definitionError, describe } from "../errors.ts"
import type { Flight } from "../flight.ts"
import type { Computed } from "../lookup.ts"
import type { Lifetime } from "../settings.ts"
import { makeRecording, partOf, recordedRecord, recordedRequest, type Recording } from "./recordedRequest.ts"
import { type Storable, storable } from "./storable.ts"
import { variantKey } from "./variants.ts"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest
export type RequestServices = Request | HttpServerRequest.ParsedSearchParams | HttpRouter.RouteContext
export type Params = Readonly<Record<string, string | undefined>>

interface Options {
  readonly name: string
  readonly deps: ReadonlyArray<string> | ((params: Params) => Iterable<string>) | undefined
  readonly handler: (request: Request) => Effect.Effect<Response, unknown, any>
  readonly timeToLive: Lifetime<Response, never, Params>
  readonly maxBodyBytes: number
  readonly now: () => number
  readonly tags: (base: string) => ReadonlyArray<string>
  /**
   * What a computation tells about those to come: the names of the parts that it read are added to those that are known.
   * Gives all names, or `undefined` where no key can hold them.
   */
  readonly learn: (base: string, recording: Recording) => Effect.Effect<ReadonlyArray<string> | undefined>
  /** Called with the key of what turned out to be a stream. */
  readonly isStream: (key: string) => void
}

export const makeComputation = (
  { deps, handler, isStream, learn, maxBodyBytes, name, now, tags, timeToLive }: Options
) => {
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

  /** What a lookup of a variant computes, whose key holds the parts `names`. */
  return (base: string, names: ReadonlyArray<string>, request: Request, context: Context.Context<RequestServices>) => {
    const recording = makeRecording()
    const { params } = Context.getUnsafe(context, HttpRouter.RouteContext)
    const search = Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams)
    const recorded = recordedRequest(request, recording)

    const settled = Effect.fnUntraced(function*(
      exit: Exit.Exit<Response, unknown>
    ): Effect.fn.Return<Computed, unknown> {
      const form = Exit.isSuccess(exit) ? storable(exit.value, now(), maxBodyBytes) : undefined
      if (typeof form === "object") { for (const header of form.vary) recording.parts.add(`header:${header}`) }
      for (const name of names) recording.parts.add(name)
      const all = yield* learn(base, recording)
      if (all === undefined) return alone(exit)
      // A failure is for all who wait, if it came from nothing but what they have in common.
      if (Exit.isFailure(exit)) return all.length > names.length ? alone(exit) : yield* Effect.failCause(exit.cause)
      const key = variantKey(base, partsOf(all, request, context))
      if (form === "stream") isStream(key)
      return typeof form === "object" ? yield* stored(key, Exit.succeed(exit.value), form) : alone(exit)
    })

    // What the response says of its lifetime counts before what the policy says.
    const stored = (key: string, exit: Exit.Exit<Response>, form: Storable): Effect.Effect<Computed> => {
      const { age, body, head, staleIfError, staleWhileRevalidate, tooLarge } = form
      const computed = {
        key,
        value: exit,
        body,
        head,
        age,
        staleWhileRevalidate,
        staleIfError,
        unwell: isUnwell(head.status),
        rejected: tooLarge ? "too-large" : undefined
      } as const
      if (form.timeToLive !== undefined) return Effect.succeed({ ...computed, timeToLive: form.timeToLive })
      return Effect.match(timeToLive(exit, params), {
        onFailure: (error): Computed => ({ ...computed, timeToLive: 0, rejected: "policy", error }),
        onSuccess: (timeToLive): Computed => ({ ...computed, timeToLive })
      })
    }

    return {
      context: Context.omit(Scope.Scope)(context).pipe(
        Context.add(HttpServerRequest.HttpServerRequest, recorded),
        Context.add(HttpServerRequest.ParsedSearchParams, recordedRecord(search, "query:", recording))
      ) as Context.Context<never>,
      compute: (flight: Flight): Effect.Effect<Computed, unknown, Scope.Scope> =>
        Effect.suspend(() => {
          flight.addTags(tags(base))
          addDeps(flight, params)
          return Effect.flatMap(Effect.exit(Effect.suspend(() => handler(recorded))), settled)
        }) as Effect.Effect<Computed, unknown, Scope.Scope>
    }
  }
}

/** The values of parts in a request, with their names. */
export const partsOf = (
  names: ReadonlyArray<string>,
  request: Request,
  context: Context.Context<RequestServices>
): ReadonlyArray<readonly [name: string, value: unknown]> => {
  const search = Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams)
  return names.map((part) => [part, partOf(part, request, search)] as const)
}

// What is for this request alone: its own response or failure, and nothing to store.
const alone = (exit: Exit.Exit<Response, unknown>): Computed => ({
  value: exit,
  body: undefined,
  timeToLive: 0,
  rejected: "response",
  unwell: Exit.isFailure(exit) || isUnwell(exit.value.status)
})

// The errors in whose place something stale may be served (RFC 5861, section 4).
const isUnwell = (status: number): boolean => status === 500 || (status >= 502 && status <= 504)
