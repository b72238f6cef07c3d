/**
 * The computation of an endpoint's response.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import * as Exit from "effect/Exit"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { definitionError, describe } from "../errors.ts"
import type { Flight } from "../flight.ts"
import type { Encoded } from "../inputKey.ts"
import type { Computed } from "../lookup.ts"
import { functionTag, keyTag } from "../tagText.ts"
import { watchAdded } from "./addedTo.ts"
import type { ApiEndpoint } from "./apiEndpoint.ts"
import type { Values } from "./apiInput.ts"
import { isUnwell, storable } from "./storable.ts"

type Response = HttpServerResponse.HttpServerResponse
type Handler = Effect.Effect<Response, unknown, any>

/**
 * One run of an endpoint's handler: the value of `varyBy`, and what the handler ended with before it was encoded, where it
 * says so.
 */
export interface Run {
  readonly varied: unknown
  exit: Exit.Exit<unknown, unknown> | undefined
}

interface Options {
  readonly endpoint: ApiEndpoint
  /** The endpoint without the cache, for one run. */
  readonly run: (run: Run) => Handler
  readonly now: () => number
  /** Called with the key of what turned out to be a stream. */
  readonly isStream: (key: string) => void
}

/**
 * What a lookup of a key computes. It runs with the services of a request that holds `encoded`; `known` is what these values
 * decode to, where that is known.
 */
export const makeApiComputation = ({ endpoint, isStream, now, run: runWith }: Options) => {
  const { input, name, options: { deps }, resolved: { errorTimeToLive, timeToLive } } = endpoint
  const tag = functionTag(name)
  const tagsOf = (key: string) => [tag, keyTag(tag, key.slice(name.length + 1))]

  const addDeps = (flight: Flight, decoded: Encoded) => {
    if (deps === undefined) return
    try {
      for (const dependency of deps(decoded)) flight.addTag(dependency)
    } catch (defect) {
      flight.problem ??= definitionError(`cached endpoint ${JSON.stringify(name)}, deps`, `threw ${describe(defect)}`)
    }
  }

  // Who gets a response that is not stored gets the very response. What was added to it is for one request.
  const succeeded = (
    key: string,
    response: Response,
    exit: Exit.Exit<unknown, unknown>,
    decoded: Encoded,
    isAdded: boolean
  ): Effect.Effect<Computed> => {
    const form = storableOf(response, endpoint.statuses)
    if (form === "stream") isStream(key)
    if (isAdded || typeof form !== "object" || form.vary.some((header) => !input.headers.includes(header))) {
      return Effect.succeed(notStored(Exit.succeed(response), isUnwell(response.status)))
    }
    const { age, body, head, staleIfError, staleWhileRevalidate } = form
    const unwell = isUnwell(response.status)
    const computed = { value: Exit.succeed(response), body, head, age, staleIfError, staleWhileRevalidate, unwell }
    // What the response says of its lifetime counts before what the policy says.
    if (form.timeToLive !== undefined) return Effect.succeed({ ...computed, timeToLive: form.timeToLive })
    return Effect.match(timeToLive(exit, decoded), {
      onFailure: (error): Computed => ({ ...computed, timeToLive: 0, rejected: "policy", error }),
      onSuccess: (timeToLive): Computed => ({ ...computed, timeToLive })
    })
  }

  // An error of the endpoint is stored as the response that it makes of it.
  const failed = (
    flight: Flight,
    cause: Cause.Cause<unknown>,
    decoded: Encoded,
    isAdded: boolean
  ): Effect.Effect<Computed, unknown, any> => {
    const error = Cause.hasDies(cause) || Cause.hasInterrupts(cause) ? Option.none() : Cause.findErrorOption(cause)
    const status = Option.isNone(error) ? undefined : endpoint.statusOf(error.value)
    if (Option.isNone(error) || status === undefined) return Effect.failCause(cause)
    const failure = Exit.failCause(cause)
    // One that is an answer, as `404` is: what is stale is no better.
    const isAnswer = !isUnwell(status)
    if (errorTimeToLive === undefined || isAdded) {
      return isAnswer ? Effect.succeed(notStored(failure, false)) : failure
    }
    if (isAnswer) flight.stale = undefined
    const stored = Effect.gen(function*() {
      const response = yield* endpoint.respondError(error.value)
      const form = storableOf(response, new Set([response.status]))
      if (typeof form !== "object") return yield* failure
      // Nobody fails with it any more: whoever waits gets the response.
      yield* ErrorReporter.report(cause)
      const computed = { value: undefined, body: form.body, head: form.head, failure }
      return yield* Effect.match(errorTimeToLive(failure, decoded), {
        onFailure: (error): Computed => ({ ...computed, timeToLive: 0, rejected: "policy", error }),
        onSuccess: (timeToLive): Computed => ({ ...computed, timeToLive })
      })
    })
    return Effect.catchCause(stored, () => Effect.failCause(cause))
  }

  const storableOf = (response: Response, statuses: ReadonlySet<number>) => {
    // A status that the endpoint declares is one that it may be cached with, whatever HTTP says about it by default.
    const { status } = response
    const isDeclared = statuses.has(status) && status >= 200 && status !== 206 && status !== 304
    const form = storable(isDeclared ? HttpServerResponse.setStatus(response, 200) : response, now(), Infinity)
    return typeof form === "object" ? { ...form, head: { ...form.head, status } } : form
  }

  return (key: string, encoded: Values, known: Encoded | undefined, varied: unknown) =>
  (flight: Flight): Effect.Effect<Computed, unknown, Scope.Scope> => {
    const run: Run = { varied, exit: undefined }
    return Effect.flatMap(known === undefined ? input.decode(encoded) : Effect.succeed(known), (decoded) => {
      flight.addTags(tagsOf(key))
      addDeps(flight, decoded)
      return Effect.withFiber(({ context }) => {
        const { handler, hasAdded } = watchAdded(context, runWith(run))
        return Effect.matchCauseEffect(handler, {
          onFailure: (cause) => failed(flight, cause, decoded, hasAdded()),
          onSuccess: (response) => succeeded(key, response, run.exit ?? Exit.succeed(response), decoded, hasAdded())
        })
      })
    }) as Effect.Effect<Computed, unknown, Scope.Scope>
  }
}

const notStored = (exit: Exit.Exit<Response, unknown>, unwell: boolean): Computed => ({
  value: exit,
  body: undefined,
  timeToLive: 0,
  rejected: "response",
  unwell
})
