/**
 * Guards what a cache asks of its store: within a time limit, and whatever goes wrong is reported and is otherwise the same as
 * nothing found or nothing stored.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { storeError, timeoutError } from "./errors.ts"
import { makeTimeLimit, type Watch } from "./timeLimit.ts"

export type Guarded = <A>(
  key: string,
  operation: CacheError.StoreError["operation"],
  run: () => Effect.Effect<A, CacheError.CacheError>,
  isDurable?: boolean
) => Effect.Effect<Result.Result<A, CacheError.CacheError>>

/**
 * `storeTimeout` is in milliseconds, and for stores outside this process. Who asks for a result to be stored waits longer for it
 * than others do.
 */
export const makeGuard = Effect.fnUntraced(function*(
  remote: boolean,
  storeTimeout: number,
  tell: (event: CacheEvent.CacheEvent) => void
): Effect.fn.Return<Guarded, never, Scope.Scope> {
  const usual = yield* makeLimit(storeTimeout)
  const durable = yield* makeLimit(Math.max(storeTimeout, durableTimeout))

  return (key, operation, run, isDurable) => {
    const effect = Effect.suspend(run)
    const limited = remote
      ? withinLimit(operation, traced(`effect-cached.${operation}`, key, effect), isDurable === true ? durable : usual)
      : effect
    return Effect.matchCause(limited, {
      onFailure: (cause) => {
        const squashed = Cause.squash(cause)
        const error = squashed instanceof CacheError.CacheError ? squashed : storeError(operation, squashed)
        tell(
          error.reason._tag === "CodecError"
            ? CacheEvent.Undecodable({ key, error })
            : CacheEvent.StoreFailed({ key, error })
        )
        return Result.fail(error)
      },
      onSuccess: Result.succeed
    })
  }
})

// In milliseconds.
const durableTimeout = 60_000

interface Limit {
  readonly millis: number
  readonly watch: Watch
}

const makeLimit = (millis: number) => Effect.map(makeTimeLimit(millis), (watch): Limit => ({ millis, watch }))

// Begins at once, and watches no time for what is done at once.
const withinLimit = <A>(
  operation: CacheError.StoreError["operation"],
  effect: Effect.Effect<A, CacheError.CacheError>,
  { millis, watch }: Limit
): Effect.Effect<A, CacheError.CacheError> =>
  Effect.flatMap(Effect.forkChild(effect, { startImmediately: true }), (fiber) => {
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return exit
    // The timer of a thread that was busy fires before the answer is seen that came long ago.
    const late = Effect.flatMap(Effect.yieldNow, () =>
      fiber.pollUnsafe() ??
        Effect.andThen(Fiber.interrupt(fiber), Effect.fail(timeoutError(`Store.${operation}`, millis))))
    return Effect.callback<A, CacheError.CacheError>((resume) => {
      const stop = watch(() => resume(late))
      fiber.addObserver((exit) => {
        stop()
        resume(exit)
      })
      return Effect.suspend(() => {
        stop()
        return Fiber.interrupt(fiber)
      })
    })
  })

/** With a span, which costs more than a hit: there is one only where a tracer records it. */
export const traced = <A, E, R>(name: string, key: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber<A, E, R>((fiber) =>
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? effect
      : Effect.withSpan(effect, name, { attributes: { "effect_cached.function": key.slice(0, key.indexOf("\t")) } })
  )
