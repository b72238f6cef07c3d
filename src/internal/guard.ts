/**
 * Guards what a cache asks of its store: within a time limit, and whatever goes wrong is reported and is otherwise the same as
 * nothing found or nothing stored.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { isDone } from "./eager.ts"
import { storeError, timeoutError } from "./errors.ts"
import { readerOf } from "./reader.ts"
import { makeTimeLimit, type Watch } from "./timeLimit.ts"

/** The operations of a store, and what is told when one fails. */
export interface Guarded {
  /** Runs one. Who asks for a result to be stored waits longer for it than others do. */
  <A>(
    key: string,
    operation: CacheError.StoreError["operation"],
    run: () => Effect.Effect<A, CacheError.CacheError>,
    isDurable?: boolean
  ): Effect.Effect<Result.Result<A, CacheError.CacheError>>
  /**
   * Makes of what gives an entry what gives it to who has no fiber. `done` is called once, in the step in which it ends, which may be
   * before this returns, and not after the returned function was called, whose effect ends it.
   */
  readonly reading: <A>(store: Readable<A>) => Read<A>
}

interface Readable<A> {
  readonly get: (key: string) => Effect.Effect<A, CacheError.CacheError>
}

type Read<A> = (
  context: Context.Context<never>,
  key: string,
  done: (result: Result.Result<A, CacheError.CacheError>) => void
) => () => Effect.Effect<void>

/** `storeTimeout` is in milliseconds, and for stores outside this process. */
export const makeGuard = Effect.fnUntraced(function*(
  remote: boolean,
  storeTimeout: number,
  tell: (event: CacheEvent.CacheEvent) => void
): Effect.fn.Return<Guarded, never, Scope.Scope> {
  const usual = yield* makeLimit(storeTimeout)
  const durable = yield* makeLimit(Math.max(storeTimeout, durableTimeout))

  const settled = <A>(
    key: string,
    operation: CacheError.StoreError["operation"],
    exit: Exit.Exit<A, CacheError.CacheError>
  ): Result.Result<A, CacheError.CacheError> => {
    if (Exit.isSuccess(exit)) return Result.succeed(exit.value)
    const squashed = Cause.squash(exit.cause)
    const error = squashed instanceof CacheError.CacheError ? squashed : storeError(operation, squashed)
    tell(
      error.reason._tag === "CodecError"
        ? CacheEvent.Undecodable({ key, error })
        : CacheEvent.StoreFailed({ key, error })
    )
    return Result.fail(error)
  }

  const guarded = <A>(
    key: string,
    operation: CacheError.StoreError["operation"],
    run: () => Effect.Effect<A, CacheError.CacheError>,
    isDurable?: boolean
  ): Effect.Effect<Result.Result<A, CacheError.CacheError>> =>
    remote
      ? Effect.withFiber(({ context }) =>
        Effect.callback((resume) => {
          const limit = isDurable === true ? durable : usual
          const begin: Begin<A> = (begun) => begun(asking(operation, key, run))
          const end = withinLimit(context, operation, limit, begin, (exit) => {
            resume(Exit.succeed(settled(key, operation, exit)))
          })
          return Effect.suspend(end)
        })
      )
      : Effect.map(Effect.exit(Effect.suspend(run)), (exit) => settled(key, operation, exit))

  // Asked as what it is, with the `get` that it has by then: only what is known to be a reader is called without it.
  const reading = <A>(store: Readable<A>): Read<A> => {
    const { get } = store
    const reader = readerOf(get)
    return (context, key, done) => {
      const begin: Begin<A> = reader === undefined || store.get !== get || isTraced(context)
        ? (run) => run(asking("get", key, () => store.get(key)))
        : (run) => reader(key, run)
      return withinLimit(context, "get", usual, begin, (exit) => done(settled(key, "get", exit)))
    }
  }

  return Object.assign(guarded, { reading })
})

// In milliseconds.
const durableTimeout = 60_000

interface Limit {
  readonly millis: number
  readonly watch: Watch
}

const makeLimit = (millis: number) => Effect.map(makeTimeLimit(millis), (watch): Limit => ({ millis, watch }))

// Begins something, and has what is left of it run, once: an `Exit` where that is nothing.
type Begin<A> = (run: (effect: Effect.Effect<A, CacheError.CacheError>) => void) => void

const asking = <A>(
  operation: CacheError.StoreError["operation"],
  key: string,
  run: () => Effect.Effect<A, CacheError.CacheError>
) => traced(`effect-cached.${operation}`, key, Effect.suspend(run))

// Begins at once, and watches no time for what is done at once.
const withinLimit = <A>(
  context: Context.Context<never>,
  operation: CacheError.StoreError["operation"],
  { millis, watch }: Limit,
  begin: Begin<A>,
  done: (exit: Exit.Exit<A, CacheError.CacheError>) => void
): () => Effect.Effect<void> => {
  // Whether it has ended for who waits: with an exit, or because nobody waits any more.
  let isGiven = false
  let isLate = false
  let stop: (() => void) | undefined
  const give = (exit: Exit.Exit<A, CacheError.CacheError>) => {
    if (isGiven) return
    isGiven = true
    stop?.()
    done(exit)
  }
  let fiber: Fiber.Fiber<A, CacheError.CacheError> | undefined
  const ended = (exit: Exit.Exit<A, CacheError.CacheError>) => {
    if (!isLate) give(exit)
  }
  const run = (effect: Effect.Effect<A, CacheError.CacheError>) => {
    if (isDone(effect)) return ended(effect)
    // Nobody waits for it any more.
    if (isGiven || isLate) return
    fiber = Effect.runForkWith(context)(effect)
    fiber.addObserver(ended)
  }
  try {
    begin(run)
  } catch (defect) {
    // What throws once it is given belongs to who was given it.
    if (isGiven) throw defect
    ended(Exit.die(defect))
  }
  if (isGiven) return () => Effect.void
  const interrupted = () => fiber === undefined ? Effect.void : Fiber.interrupt(fiber)
  // The timer of a thread that was busy fires before the answer is seen that came long ago.
  stop = watch(() =>
    void Effect.runForkWith(context)(Effect.flatMap(Effect.yieldNow, () => {
      if (isGiven) return Effect.void
      isLate = true
      return Effect.andThen(
        interrupted(),
        Effect.sync(() => give(Exit.fail(timeoutError(`Store.${operation}`, millis))))
      )
    }))
  )
  return () => {
    if (isGiven) return Effect.void
    isGiven = true
    stop?.()
    return interrupted()
  }
}

/** With a span, which costs more than a hit: there is one only where a tracer records it. */
export const traced = <A, E, R>(name: string, key: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber<A, E, R>(({ context }) =>
    isTraced(context)
      ? Effect.withSpan(effect, name, { attributes: { "effect_cached.function": key.slice(0, key.indexOf("\t")) } })
      : effect
  )

const isTraced = (context: Context.Context<never>): boolean =>
  Context.get(context, Tracer.Tracer) !== Tracer.nativeTracer
