/**
 * Guards what a cache asks of its store: within a time limit, and whatever goes wrong is reported and is otherwise the same as
 * nothing found or nothing stored.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { storeError, timeoutError } from "./errors.ts"

export type Guarded = <A>(
  key: string,
  operation: CacheError.StoreError["operation"],
  run: () => Effect.Effect<A, CacheError.CacheError>,
  limit?: number
) => Effect.Effect<Result.Result<A, CacheError.CacheError>>

/** Limits are in milliseconds, and for stores outside this process. */
export const makeGuard = (
  remote: boolean,
  storeTimeout: number,
  tell: (event: CacheEvent.CacheEvent) => void
): Guarded =>
<A>(
  key: string,
  operation: CacheError.StoreError["operation"],
  run: () => Effect.Effect<A, CacheError.CacheError>,
  limit: number = storeTimeout
) => {
  const effect = Effect.suspend(run)
  const limited = remote
    ? withinLimit(operation, traced(`effect-cached.${operation}`, key, effect), limit)
    : effect
  return Effect.catchCause(Effect.map(limited, Result.succeed<A>), (cause) =>
    Effect.sync(() => {
      const squashed = Cause.squash(cause)
      const error = squashed instanceof CacheError.CacheError ? squashed : storeError(operation, squashed)
      tell(
        error.reason._tag === "CodecError"
          ? CacheEvent.Undecodable({ key, error })
          : CacheEvent.StoreFailed({ key, error })
      )
      return Result.fail(error)
    }))
}

// Begins at once, and sets no timer for what is done at once.
const withinLimit = Effect.fnUntraced(function*<A>(
  operation: CacheError.StoreError["operation"],
  effect: Effect.Effect<A, CacheError.CacheError>,
  limit: number
) {
  const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
  // The timer of a thread that was busy fires before the answer is seen that came long ago.
  const late = Effect.flatMap(Effect.yieldNow, () =>
    fiber.pollUnsafe() ??
      Effect.andThen(Fiber.interrupt(fiber), Effect.fail(timeoutError(`Store.${operation}`, limit))))
  return yield* fiber.pollUnsafe() ??
    Effect.timeoutOrElse(Fiber.join(fiber), { duration: limit, orElse: () => late })
})

/** With a span, which costs more than a hit: there is one only where a tracer records it. */
export const traced = <A, E, R>(name: string, key: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber<A, E, R>((fiber) =>
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? effect
      : Effect.withSpan(effect, name, { attributes: { "effect_cached.function": key.slice(0, key.indexOf("\t")) } })
  )
