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
import { watchAdded } from "./addedTo.ts"
import { makeRecording, readerOf, recordedRecord, recordedRequest, type Recording } from "./recordedRequest.ts"
import { isUnwell, type Storable, storable } from "./storable.ts"
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
   * Gives all names, or `undefined` where they are too many.
   */
  readonly learn: (base: string, parts: Iterable<string>) => Effect.Effect<ReadonlyArray<string> | undefined>
  /** Called with what turned out to be a stream, or to depend on something that no key can hold. */
  readonly goesPast: (asking: Asking, because: "request" | "stream") => void
}

/** A request, and the key that it has but for the parts that responses depend on. */
export interface Asking {
  readonly base: string
  readonly request: Request
  readonly context: Context.Context<RequestServices>
}

export const makeComputation = (
  { deps, goesPast, handler, learn, maxBodyBytes, name, now, tags, timeToLive }: Options
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
  return (asking: Asking, names: ReadonlyArray<string>) => {
    const { base, context, request } = asking
    const recording = makeRecording()
    const { params } = Context.getUnsafe(context, HttpRouter.RouteContext)
    const recorded = recordedServices(request, context, recording)

    const settled = Effect.fnUntraced(function*(
      exit: Exit.Exit<Response, unknown>,
      hasAdded: boolean
    ): Effect.fn.Return<Computed, unknown> {
      const form = Exit.isFailure(exit)
        ? undefined
        : hasAdded
        ? "forbidden"
        : storable(exit.value, now(), maxBodyBytes)
      if (typeof form === "object") { for (const header of form.vary) recording.parts.add(`header:${header}`) }
      for (const name of names) recording.parts.add(name)
      // What was read before something that no key can hold tells this request from those that do not get there.
      const all = yield* learn(base, recording.parts)
      if (all === undefined || recording.unshareable) {
        goesPast(asking, "request")
        return alone(exit)
      }
      // A failure is for all who wait, if it came from nothing but what they have in common.
      if (Exit.isFailure(exit)) return all.length > names.length ? alone(exit) : yield* Effect.failCause(exit.cause)
      if (form === "stream") goesPast(asking, "stream")
      if (typeof form !== "object") return alone(exit)
      return yield* stored(variantKey(base, partsOf(all, request, context)), Exit.succeed(exit.value), form)
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
      context: Context.omit(Scope.Scope)(recorded.context) as Context.Context<never>,
      compute: (flight: Flight): Effect.Effect<Computed, unknown, Scope.Scope> =>
        Effect.suspend(() => {
          flight.addTags(tags(base))
          addDeps(flight, params)
          // What the handler adds through its request is not in the response that it returns, and would be missing in a hit.
          const watched = watchAdded(context, Effect.suspend(() => handler(recorded.request)))
          return Effect.flatMap(Effect.exit(watched.handler), (exit) => settled(exit, watched.hasAdded()))
        }) as Effect.Effect<Computed, unknown, Scope.Scope>
    }
  }
}

/** A request, and the services of it, that record what is read of them. */
export const recordedServices = (
  request: Request,
  context: Context.Context<RequestServices>,
  recording: Recording
): { readonly request: Request; readonly context: Context.Context<RequestServices> } => {
  const search = Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams)
  const recorded = recordedRequest(request, recording)
  return {
    request: recorded,
    context: context.pipe(
      Context.add(HttpServerRequest.HttpServerRequest, recorded),
      Context.add(HttpServerRequest.ParsedSearchParams, recordedRecord(search, "query:", recording))
    )
  }
}

/** The values of parts in a request, with their names. */
export const partsOf = (
  names: ReadonlyArray<string>,
  request: Request,
  context: Context.Context<RequestServices>
): ReadonlyArray<readonly [name: string, value: unknown]> => {
  const search = Context.getUnsafe(context, HttpServerRequest.ParsedSearchParams)
  return names.map((part) => [part, readerOf(part)(request, search)] as const)
}

// What is for this request alone: its own response or failure, and nothing to store.
const alone = (exit: Exit.Exit<Response, unknown>): Computed => ({
  value: exit,
  body: undefined,
  timeToLive: 0,
  rejected: "response",
  unwell: Exit.isFailure(exit) || isUnwell(exit.value.status)
})
