/**
 * An invalidation log whose faults a test decides.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Broadcaster from "../Broadcaster.ts"
import { logError } from "../internal/errors.ts"

/**
 * The controls.
 *
 * @category services
 * @since 0.1.0
 */
export class FaultyBroadcaster extends Context.Service<FaultyBroadcaster, {
  /**
   * What happens to what is asked of the log from now on: `healthy` leaves it alone, `failing` fails it and takes no
   * record, `slow` asks the log only after `release`.
   */
  readonly become: (mode: "healthy" | "failing" | "slow") => Effect.Effect<void>
  /** Whether the log has not been heard from for longer than the staleness bound. At first it has. */
  readonly fallSilent: (silent: boolean) => Effect.Effect<void>
  /** Lets all that is slow be answered. */
  readonly release: Effect.Effect<void>
  /** Tells the followers a change that the log itself did not make: a gap, a duplicate, that the log is lost. */
  readonly inject: (change: Broadcaster.Change) => Effect.Effect<void>
  /** The tags of the records that were appended, one list for each. */
  readonly appended: Effect.Effect<ReadonlyArray<ReadonlyArray<string>>>
}>()("effect-cached/testing/FaultyBroadcaster") {}

/**
 * Puts faults between a cache and its log.
 *
 * **Example** (A log that takes no record)
 *
 * ```ts import.meta.vitest
 * import { Effect, Result } from "effect"
 * import { Broadcaster } from "effect-cached"
 * import { FaultyBroadcaster } from "effect-cached/testing"
 *
 * const program = Effect.gen(function*() {
 *   const log = yield* Broadcaster.Broadcaster
 *   const faults = yield* FaultyBroadcaster.FaultyBroadcaster
 *   yield* faults.become("failing")
 *   const appended = yield* Effect.result(log.append(["user:7"]))
 *   return [Result.isFailure(appended), yield* faults.appended]
 * }).pipe(Effect.provide(FaultyBroadcaster.layer(Broadcaster.layerLocal)))
 *
 * await Effect.runPromise(program) // => [true, []]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R>(
  inner: Layer.Layer<Broadcaster.Broadcaster, E, R>
): Layer.Layer<Broadcaster.Broadcaster | FaultyBroadcaster, E, R> =>
  Layer.effectContext(Effect.gen(function*() {
    const log = Context.get(yield* Layer.build(Layer.fresh(inner)), Broadcaster.Broadcaster)
    const appended: Array<ReadonlyArray<string>> = []
    const followers = new Set<(change: Broadcaster.Change) => void>()
    let mode: "healthy" | "failing" | "slow" = "healthy"
    let latch = Latch.makeUnsafe(false)

    let silent = false

    const reach = Effect.suspend(() => {
      if (mode === "failing") return Effect.fail(logError("The invalidation log is down"))
      return mode === "slow" ? latch.await : Effect.void
    })

    const append = Effect.fnUntraced(function*(tags: ReadonlyArray<string>) {
      yield* reach
      const position = yield* log.append(tags)
      appended.push(tags)
      return position
    })

    const faulty = Broadcaster.Broadcaster.of({
      append,
      catchUp: Effect.andThen(reach, log.catchUp),
      isCurrent: () => !silent && log.isCurrent(),
      maxStaleness: log.maxStaleness,
      follow: (follower) =>
        Effect.andThen(
          Effect.acquireRelease(
            Effect.sync(() => followers.add(follower)),
            () => Effect.sync(() => followers.delete(follower))
          ),
          log.follow(follower)
        )
    })

    return Context.make(Broadcaster.Broadcaster, faulty).pipe(Context.add(
      FaultyBroadcaster,
      FaultyBroadcaster.of({
        become: (next) =>
          Effect.sync(() => {
            mode = next
          }),
        fallSilent: (is) =>
          Effect.sync(() => {
            silent = is
          }),
        release: Effect.sync(() => {
          latch.openUnsafe()
          latch = Latch.makeUnsafe(false)
        }),
        inject: (change) => Effect.sync(() => followers.forEach((follower) => follower(change))),
        appended: Effect.sync(() => [...appended])
      })
    ))
  }))
