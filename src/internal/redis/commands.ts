/**
 * Runs commands: each ends in time, and a server that fails is left alone for a moment.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import type * as Scope from "effect/Scope"
import type * as CacheError from "../../CacheError.ts"
import { serverError } from "../errors.ts"
import { Line, Place } from "../passing.ts"
import { steadyClock } from "../steadyClock.ts"
import { makeTimeLimit } from "../timeLimit.ts"
import { replyError, timedOut } from "./replyError.ts"

/** Sends a command and waits for its answer. `send` is called in the same step in which the effect is run. */
export type Run = <A>(send: () => Promise<A>) => Effect.Effect<A, CacheError.CacheError>

/**
 * Makes a `Run` with a limit for each command in milliseconds. `unusable` says why nothing can be sent now, which costs
 * nothing to find out, and so is not counted against the server.
 */
export const makeCommands = Effect.fnUntraced(function*(
  { limit, unusable }: { readonly limit: number; readonly unusable: () => CacheError.CacheError | undefined }
): Effect.fn.Return<Run, never, Scope.Scope> {
  const inTime = yield* makeInTime(limit)
  const breaker = yield* Effect.provide(
    CircuitBreaker.make({ tripPolicy: CircuitBreaker.consecutive(failuresToOpen), openDuration: "1 second" }),
    CircuitBreaker.layerStoreMemory()
  )
  // The breaker costs more than a command does. While all goes well it is left out, and only told of the first failures.
  let troubled = false
  let last: CacheError.CacheError | undefined
  let isClosed = false
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
    })
  )

  const classify = (exit: Exit.Exit<unknown, CacheError.CacheError>): CircuitBreaker.Outcome => {
    const error = failureOf(exit)
    if (error === undefined) {
      troubled = false
      return CircuitBreaker.success
    }
    troubled = true
    last = error
    return CircuitBreaker.failure()
  }

  // The breaker counts by the wall clock, which may be set back while it is open.
  const clock = steadyClock(yield* Clock.Clock)
  const guarded = <A>(effect: Effect.Effect<A, CacheError.CacheError>) =>
    Effect.provideService(breaker.execute(effect, { key: "server", classify }), Clock.Clock, clock)

  const open = () =>
    serverError("circuit-open", `Redis failed ${failuresToOpen} times in a row, and is not asked for a moment`, last)

  // What it failed with is the failure, even when the circuit was open by the time it did.
  const told = (error: CacheError.CacheError): Effect.Effect<never, CacheError.CacheError> =>
    speaksOfServer(error)
      ? Effect.mapError(guarded(Effect.fail(error)), () => error)
      : Effect.fail(error)

  return (send) =>
    Effect.suspend(() => {
      const down = isClosed ? closed() : unusable()
      if (down !== undefined) return Effect.fail(down)
      if (!troubled) return inTime(send, told)
      return Effect.catchTag(
        guarded(inTime(send, Effect.fail)),
        "CircuitBreakerError",
        () => Effect.fail(open())
      )
    })
})

const failuresToOpen = 3

const failureOf = (exit: Exit.Exit<unknown, CacheError.CacheError>): CacheError.CacheError | undefined => {
  const error = Exit.isFailure(exit) ? Exit.findErrorOption(exit) : undefined
  return error?._tag === "Some" && speaksOfServer(error.value) ? error.value : undefined
}

// A server that refuses a command is there, and quick enough.
const speaksOfServer = (error: CacheError.CacheError): boolean =>
  error.reason._tag === "ServerError" && (error.reason.problem === "unreachable" || error.reason.problem === "timeout")

const closed = () => serverError("unreachable", "The connection to Redis was closed")

type InTime = <A>(
  send: () => Promise<A>,
  failed: (error: CacheError.CacheError) => Effect.Effect<never, CacheError.CacheError>
) => Effect.Effect<A, CacheError.CacheError>

const makeInTime = Effect.fnUntraced(function*(limit: number): Effect.fn.Return<InTime, never, Scope.Scope> {
  const watch = yield* makeTimeLimit(limit)
  const underWay = new Line<Place<(error: CacheError.CacheError) => void>>()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const { value: end } of underWay.members) end(closed())
    })
  )

  return (send, failed) =>
    Effect.callback((resume) => {
      const end = (error: CacheError.CacheError) => {
        if (settle()) resume(failed(error))
      }
      const stop = watch(() => end(timedOut()))
      const place = new Place(end)
      underWay.join(place)
      // An answer that comes too late finds nobody waiting.
      const settle = () => {
        stop()
        return underWay.leave(place)
      }
      let answer
      try {
        answer = send()
      } catch (cause) {
        return end(replyError(cause))
      }
      answer.then(
        (value) => {
          if (settle()) resume(Exit.succeed(value))
        },
        (cause) => end(replyError(cause))
      )
    })
})
