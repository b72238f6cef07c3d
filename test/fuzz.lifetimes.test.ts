/**
 * Random policies, reads, failures, invalidations and steps of the clock, against a model that says what may be served when.
 *
 * Each seed is one program, the same in every run. A failure says its seed: put that into `seeds` alone.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Random, Schema, type Scope } from "effect"
import { Cached, type CacheError, type CachePolicy, clear, invalidate, type ResultCache } from "effect-cached"
import { TestClock } from "effect/testing"
import { airborne } from "../src/internal/flight.ts"
import { makeRandom, type Random as Choices } from "./random.ts"
import { Down } from "./suites/lifetimesSuite.ts"
import { answered, kinds, settled, until } from "./suites/stores.ts"

const seeds = Array.from({ length: 30 }, (_, n) => n + 1)
const steps = 60
const keys = [1, 2, 3]

// All of a policy in milliseconds. Zero is none; `Infinity` is no end, and for limits of time no limit.
interface Model {
  readonly timeToLive: number
  readonly jitter: number
  readonly timeToIdle: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly backOff: number
  readonly softTimeout: number
  readonly hardTimeout: number
  readonly eagerRefresh: number
  readonly errorTimeToLive: number
}

const randomModel = ({ below, pick }: Choices): Model => {
  const staleWhileRevalidate = pick([0, 0, 500, 4000])
  const staleIfError = pick([0, 0, 1000, 8000])
  return {
    timeToLive: pick([Infinity, 1000, 1000, 2000, 5000, 0]),
    jitter: pick([0, 0, 0.5]),
    timeToIdle: pick([Infinity, Infinity, 1500, 3000]),
    staleWhileRevalidate,
    staleIfError,
    backOff: pick([0, 500, 1000]),
    softTimeout: staleWhileRevalidate + staleIfError > 0 && below(2) === 0 ? pick([100, 500]) : Infinity,
    hardTimeout: pick([Infinity, Infinity, 400, 2000]),
    eagerRefresh: pick([0, 0, 1, 50]),
    errorTimeToLive: pick([0, 0, 700])
  }
}

const policyOf = (model: Model): CachePolicy.CachePolicy => ({
  timeToLive: model.timeToLive,
  jitter: model.jitter,
  timeToIdle: model.timeToIdle,
  staleWhileRevalidate: model.staleWhileRevalidate,
  staleIfError: { upTo: model.staleIfError, backOff: model.backOff, maxBackOff: 4 * model.backOff },
  ...(model.softTimeout === Infinity ? {} : { softTimeout: model.softTimeout }),
  hardTimeout: model.hardTimeout,
  eagerRefresh: model.eagerRefresh,
  errorTimeToLive: model.errorTimeToLive
})

/** One execution. */
interface Run {
  readonly id: number
  readonly key: number
  readonly startedAt: number
  /** How many invalidations had ended this key when it started. */
  readonly generation: number
  endedAt: number
  outcome: "runs" | "succeeded" | "failed" | "interrupted"
}

type Mode = "up" | "down"

/** The source, and all that was done to the cache. */
const makeWorld = (choices: Choices) => {
  const runs: Array<Run> = []
  const generations = new Map(keys.map((key) => [key, 0]))
  const usedAt = new Map<number, number>()
  let mode: Mode = "up"
  let takes = 0
  return {
    runs,
    generations,
    usedAt,
    become: (next: Mode, time: number) => {
      mode = next
      takes = time
    },
    mode: () => mode,
    ended: (ended: ReadonlyArray<number>) => {
      for (const key of ended) generations.set(key, generations.get(key)! + 1)
    },
    compute: (key: number): Effect.Effect<number, Down> =>
      Effect.flatMap(Clock.currentTimeMillis, (startedAt) => {
        const run: Run = {
          id: runs.length + 1,
          key,
          startedAt,
          generation: generations.get(key)!,
          endedAt: Infinity,
          outcome: "runs"
        }
        runs.push(run)
        const fails = mode === "down"
        const computing = fails ? Effect.fail(new Down({ run: run.id })) : Effect.succeed(run.id)
        const taking = takes === 0 ? computing : Effect.andThen(Effect.sleep(choices.below(takes) + 1), computing)
        return Effect.onExit(taking, (exit) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            run.endedAt = now
            run.outcome = Exit.isSuccess(exit) ? "succeeded" : Exit.hasInterrupts(exit) ? "interrupted" : "failed"
          }))
      })
  }
}

type World = ReturnType<typeof makeWorld>

/** A read, as whoever asked sees it. */
interface Read {
  readonly key: number
  readonly from: number
  /** How many invalidations had ended the key when it began. */
  readonly generation: number
  readonly runsBefore: number
  readonly usedAt: number
  readonly to: number
}

// Whether the answer of a read is one that may be given. Each claim is about every read, whatever else goes on.
const judge = (model: Model, world: World, read: Read, exit: Exit.Exit<number, unknown>) => {
  const { from, generation, key, runsBefore, to } = read
  const id = Exit.isSuccess(exit) ? exit.value : failedRun(exit.cause)
  if (id === undefined) {
    // Only a computation that took too long gives no run.
    assert.strictEqual(reasonOf(exit), "TimeoutError")
    assert.isAtLeast(to - from, 0)
    assert.isTrue(
      world.runs.some((run) =>
        run.key === key && run.outcome === "interrupted" && run.endedAt >= from &&
        run.endedAt - run.startedAt === model.hardTimeout
      ),
      "a computation took as long as the hard timeout"
    )
    return
  }
  const run = world.runs[id - 1]!
  assert.strictEqual(run.key, key, "it is a result of this key")
  assert.strictEqual(run.outcome, Exit.isSuccess(exit) ? "succeeded" : "failed")
  assert.isAtLeast(run.generation, generation, "it was computed after the last invalidation before the read")
  const isNew = run.endedAt >= from
  if (Exit.isFailure(exit)) {
    if (!isNew) assert.isBelow(to, run.endedAt + model.errorTimeToLive, "a stored failure lives")
    return
  }
  if (isNew) return
  const expiresAt = run.endedAt + model.timeToLive
  const reach = Math.max(model.staleWhileRevalidate, model.staleIfError)
  assert.isBelow(to, expiresAt + reach || 1, "nothing is served after its last window")
  assert.isBelow(from, read.usedAt + model.timeToIdle, "nothing is served after its time to idle")
  if (from >= expiresAt + model.staleWhileRevalidate) {
    // Then it is there for failures and for what is slow, and there was one.
    const failed = world.runs.some((other) =>
      other.key === key && other.id !== id && other.startedAt >= run.endedAt &&
      (other.outcome === "failed" || other.outcome === "interrupted") && other.endedAt <= to
    )
    const slow = to - from >= model.softTimeout
    assert.isTrue(failed || slow, "something failed, or was slow")
  }
  // Fresh, and the newest there is.
  const newer = world.runs.slice(0, runsBefore).some((other) =>
    other.key === key && other.id > id && other.outcome === "succeeded" && other.endedAt < from &&
    other.generation === world.generations.get(key)! && model.timeToLive > 0
  )
  assert.isFalse(newer, "there is no newer result")
}

// What must be a hit: nothing of the policy, and nothing that was done, ends it.
const mustHit = (model: Model, world: World, key: number, now: number): number | undefined => {
  const run = world.runs.findLast((run) => run.key === key && run.outcome === "succeeded")
  if (run === undefined || run.generation !== world.generations.get(key)) return undefined
  const last = world.runs.findLast((run) => run.key === key)
  if (last !== run) return undefined
  const isFresh = now < run.endedAt + model.timeToLive * (1 - model.jitter) && model.timeToLive > 0
  return isFresh && now < Math.max(run.endedAt, world.usedAt.get(key) ?? 0) + model.timeToIdle ? run.id : undefined
}

const failedRun = (cause: Cause.Cause<unknown>): number | undefined => {
  const error = Cause.squash(cause)
  return error instanceof Down ? error.run : undefined
}

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  return (error as CacheError.CacheError | undefined)?.reason?._tag ?? String(error)
}

// From there on nothing goes on but what waits for more time.
const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), answered)

type Services = ResultCache.ResultCache | Scope.Scope

const program = Effect.fnUntraced(
  function*(choices: Choices): Effect.fn.Return<Record<string, number>, unknown, Services> {
    const model = randomModel(choices)
    const world = makeWorld(choices)
    const { below, pick } = choices
    const did = { fresh: 0, stale: 0, computed: 0, failed: 0, timedOut: 0 }
    const fn = yield* Cached.make(
      "fn",
      {
        input: { key: Schema.Number },
        success: Schema.Number,
        error: Down,
        deps: ({ key }) => [`key:${key}`],
        policy: policyOf(model)
      },
      ({ key }) => world.compute(key)
    )

    const readOf = Effect.fnUntraced(function*(key: number) {
      const from = yield* Clock.currentTimeMillis
      const generation = world.generations.get(key)!
      const runsBefore = world.runs.length
      const expected = mustHit(model, world, key, from)
      const ended = world.runs.findLast((run) => run.key === key && run.outcome === "succeeded")?.endedAt ?? 0
      const usedAt = Math.max(world.usedAt.get(key) ?? 0, ended)
      const exit = yield* Effect.exit(fn({ key }))
      const to = yield* Clock.currentTimeMillis
      judge(model, world, { key, from, generation, runsBefore, usedAt, to }, exit)
      world.usedAt.set(key, to)
      if (expected !== undefined) assert.deepStrictEqual([exit, to], [Exit.succeed(expected), from], "a hit, at once")
      if (Exit.isFailure(exit)) did[failedRun(exit.cause) === undefined ? "timedOut" : "failed"]++
      else if (world.runs[exit.value - 1]!.endedAt >= from) did.computed++
      else if (from < world.runs[exit.value - 1]!.endedAt + model.timeToLive) did.fresh++
      else did.stale++
    })

    // Ends of windows are what goes wrong.
    const pause = () =>
      pick([
        0,
        1,
        below(300),
        below(1200),
        ...[
          model.timeToLive,
          model.timeToLive + model.staleWhileRevalidate,
          model.timeToLive + model.staleIfError,
          model.timeToIdle
        ]
          .flatMap((millis) => millis > 0 && millis < Infinity ? [millis - 1, millis] : [])
      ])

    for (let step = 0; step < steps; step++) {
      switch (below(10)) {
        case 0:
          world.become(pick<Mode>(["up", "down"]), pick([0, 0, 300, 3000]))
          break
        case 1: {
          const [end, ended] = pick(
            [
              [invalidate("key"), keys],
              [clear, keys],
              [invalidate("key:2"), [2]],
              [fn.forget({ key: 1 }), [1]]
            ] as const
          )
          yield* end
          world.ended(ended)
          break
        }
        case 2:
        case 3:
        case 4:
          yield* pass(pause())
          break
        default: {
          // Some at once, and time goes by until all are answered.
          const readers = yield* Effect.forEach(
            Array.from({ length: pick([1, 1, 1, 3]) }, () => pick(keys)),
            (key) => Effect.forkChild(readOf(key), { startImmediately: true })
          )
          const areDone = () => readers.every((reader) => reader.pollUnsafe() !== undefined)
          yield* answered
          for (let wait = 0; wait < 200 && !areDone(); wait++) yield* pass(pick([1, 50, 99, 100, 400]))
          yield* until("all are answered", areDone)
          yield* Fiber.joinAll(readers)
          if (below(3) > 0) yield* rest
        }
      }
    }
    world.become("up", 0)
    yield* rest
    return did
  }
)

// All that goes on in the background comes to its end.
const rest = Effect.gen(function*() {
  yield* answered
  for (let wait = 0; wait < 200 && airborne.count > 0; wait++) {
    yield* pass(100)
  }
  yield* settled
})

describe("Random policies", () => {
  it.effect.each(kinds)(
    "serve what they allow when they allow it, and nothing else, in a store of %s",
    ([name, layer]) =>
      Effect.gen(function*() {
        const total: Record<string, number> = {}
        // Each is a program of its own: those that wait for a server take longer.
        for (const seed of seeds.slice(0, name === "Redis" || name === "a JSON file" ? 15 : seeds.length)) {
          const did = yield* Effect.scoped(program(makeRandom(seed))).pipe(
            Effect.provide(layer, { local: true }),
            Random.withSeed(seed),
            Effect.catchCause((cause) => Effect.die(new Error(`seed ${seed}: ${Cause.pretty(cause)}`)))
          )
          for (const [what, count] of Object.entries(did)) total[what] = (total[what] ?? 0) + count
        }
        for (const what of ["fresh", "stale", "computed", "failed"]) assert.isAbove(total[what]!, 10, what)
      })
  )
})
