/**
 * Lifetimes, on every store: tests of a topic run on each kind, and decide what a computation does.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, type Scope } from "effect"
import { Cached, type CacheError, type CacheEvent, type CachePolicy, type ResultCache, type Store } from "effect-cached"
import { CacheTest, type FaultyBroadcaster } from "effect-cached/testing"
import { kinds, settled, until } from "./stores.ts"
import type { Steps } from "./worlds.ts"

/** What a test on a kind of store can use. */
export type Services =
  | ResultCache.ResultCache
  | CacheTest.CacheTest
  | FaultyBroadcaster.FaultyBroadcaster
  | Store.Store
  | Steps
  | Scope.Scope

/** Runs the tests of a topic on each kind of store. */
export const onEveryStore = (
  topic: string,
  tests: (test: <A, E>(name: string, body: () => Effect.Effect<A, E, Services>) => void) => void
): void =>
  describe.each(kinds)(`${topic}, in a store of %s`, (_, layer) => {
    tests((name, body) => it.effect(name, () => Effect.provide(Effect.scoped(body()), layer)))
  })

/** What a source fails with. */
export class Down extends Schema.TaggedError<Down>("test/Down")("Down", { run: Schema.Number }) {}

type Mode = "up" | "down" | "dying" | "interrupting" | "held"

/** Something that is computed, which does what a test says, and gives how often it was asked. */
export const makeSource = () => {
  let mode: Mode = "up"
  let gate = Deferred.makeUnsafe<void>()
  const state = { runs: 0, running: 0, interrupted: 0 }

  const outcome = (run: number, how: Mode): Effect.Effect<number, Down> => {
    switch (how) {
      case "up":
        return Effect.succeed(run)
      case "down":
        return Effect.fail(new Down({ run }))
      case "dying":
        return Effect.die(new Error("a bug"))
      case "interrupting":
        return Effect.interrupt
      case "held":
        return Effect.suspend(() => Effect.andThen(Deferred.await(gate), Effect.suspend(() => outcome(run, mode))))
    }
  }

  return {
    /** Set before the next computation starts; for those that are held, also before they are let go. */
    become: (next: Mode) =>
      Effect.sync(() => {
        mode = next
      }),
    /** Lets those go that are held; they end as `next`, and so do all that start from now on. */
    release: (next: Exclude<Mode, "held"> = "up") =>
      Effect.suspend(() => {
        mode = next
        const held = gate
        gate = Deferred.makeUnsafe()
        return Deferred.succeed(held, undefined)
      }),
    /** Number of executions so far. */
    runs: () => state.runs,
    running: () => state.running,
    interrupted: () => state.interrupted,
    /** Waits until so many executions have begun. */
    started: (runs: number) => until(`execution ${runs} begins`, () => state.runs >= runs),
    run: (takes: number = 0): Effect.Effect<number, Down> =>
      Effect.suspend(() => {
        const run = ++state.runs
        state.running++
        const computing = outcome(run, mode)
        return Effect.onExit(takes === 0 ? computing : Effect.andThen(Effect.sleep(takes), computing), (exit) =>
          Effect.sync(() => {
            state.running--
            if (Exit.hasInterrupts(exit)) {
              state.interrupted++
            }
          }))
      })
  }
}

export type Source = ReturnType<typeof makeSource>

/** A cached function that asks a source, with a row for each input: `row:1` under `row`. */
export const rows = (
  source: Source,
  policy: CachePolicy.CachePolicy,
  options?: {
    readonly name?: string
    readonly takes?: number
    readonly consistency?: CachePolicy.Consistency
  }
) =>
  Cached.make(
    options?.name ?? "rows",
    {
      input: { n: Schema.Number },
      success: Schema.Number,
      deps: ({ n }) => [`row:${n}`],
      policy,
      consistency: options?.consistency
    },
    () => source.run(options?.takes)
  )

/** The events of one kind so far, in order. */
export const eventsOf = <Tag extends CacheEvent.CacheEvent["_tag"]>(tag: Tag) =>
  Effect.map(
    CacheTest.CacheTest.use(({ events }) => events),
    (events) =>
      events.filter((event): event is Extract<CacheEvent.CacheEvent, { readonly _tag: Tag }> => event._tag === tag)
  )

/** Why something was served stale, each time. */
export const staleBecause = Effect.map(eventsOf("Stale"), (events) => events.map(({ because }) => because))

/** Why there was no hit, each time. */
export const missBecause = Effect.map(eventsOf("Miss"), (events) => events.map(({ because }) => because))

/** Why something was not stored, each time. */
export const rejectedFor = Effect.map(eventsOf("Rejected"), (events) => events.map(({ reason }) => reason))

/** What a call gives that is not waited for: nothing else goes on meanwhile, neither time nor what is held. */
export const atOnce = Effect.fnUntraced(function*<A, E, R>(call: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(call, { startImmediately: true })
  yield* until("it is answered at once", () => fiber.pollUnsafe() !== undefined)
  return yield* Fiber.join(fiber)
})

/** A call, and then everything that it has brought about. */
export const andSettle = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.tap(call, () => settled)

/** Whether a call that was started has been answered. */
export const isDone = <A, E>(fiber: Fiber.Fiber<A, E>): boolean => fiber.pollUnsafe() !== undefined

/** The reason of an error of the library. */
export const reasonOf = (error: unknown): string => {
  const { reason } = error as CacheError.CacheError
  assert.isDefined(reason, `it is ${String(error)}`)
  return reason._tag
}
