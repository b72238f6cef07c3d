/**
 * Storms: calls of every kind, reads within reads, invalidations, failures, interruptions, steps of the clock and slow stores,
 * all at once, under random policies. Whatever is served stale or computed behind somebody's back, nobody who asks after an
 * invalidation gets what was there before it, nobody waits for ever, nothing goes on running, and every key can be had in the end.
 *
 * Each seed is one program, the same in every run. A failure says its seed: put that into `seeds` alone.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Random, Schema, type Scope } from "effect"
import {
  Broadcaster,
  ByteStore,
  Cached,
  type CacheError,
  type CacheEvent,
  type CachePolicy,
  Codec,
  DependencyGraph,
  invalidate,
  Lease,
  ResultCache,
  Store
} from "effect-cached"
import { FaultyBroadcaster } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { airborne } from "../src/internal/flight.ts"
import { makeRandom, type Random as Choices } from "./random.ts"
import { isDone } from "./suites/lifetimesSuite.ts"
import { answered, settled } from "./suites/stores.ts"
import { start, Steps, worlds } from "./suites/worlds.ts"

const seeds = Array.from({ length: 20 }, (_, n) => n + 1)
const steps = 150
const rows = [0, 1, 2]

/** What a computation fails with: the version of the row that it has read. */
class Failed extends Schema.TaggedError<Failed>("test/Failed")("Failed", {
  row: Schema.Number,
  version: Schema.Number
}) {}

const randomPolicy = ({ below, pick }: Choices): CachePolicy.CachePolicy => {
  const staleWhileRevalidate = pick([0, 0, 30_000])
  const upTo = pick([0, 60_000, 60_000])
  return {
    timeToLive: pick([0, 1000, 1000, 10_000]),
    staleWhileRevalidate,
    staleIfError: { upTo, backOff: 1000 },
    timeToIdle: pick([Infinity, Infinity, 20_000]),
    eagerRefresh: pick([0, 0, 3]),
    hardTimeout: pick([Infinity, 8000]),
    outlivesReads: below(4) === 0,
    errorTimeToLive: pick([0, 0, 2000]),
    ...(staleWhileRevalidate + upTo > 0 && below(3) > 0 ? { softTimeout: 500 } : {})
  }
}

/** The rows that are cached: `written` is what a computation reads, `committed` what everybody sees who asks from now on. */
const makeData = ({ pick }: Choices) => {
  const written = rows.map(() => 0)
  const committed = rows.map(() => 0)
  let mode: "up" | "down" | "dying" = "up"
  let isCalm = false
  return {
    become: (next: typeof mode) => {
      mode = next
    },
    /** From now on everything succeeds at once. */
    calmDown: () => {
      mode = "up"
      isCalm = true
    },
    committed: () => [...committed],
    change: (row: number) =>
      Effect.suspend(() => {
        const version = ++written[row]!
        return Effect.andThen(
          invalidate(`row:${row}`),
          Effect.sync(() => {
            committed[row] = Math.max(committed[row]!, version)
          })
        )
      }),
    read: (row: number): Effect.Effect<number, Failed> =>
      Effect.suspend(() => {
        const version = written[row]!
        const outcome = mode === "up"
          ? Effect.succeed(version)
          : mode === "down"
          ? Effect.fail(new Failed({ row, version }))
          : Effect.die(new Error("a bug"))
        const takes = isCalm ? 0 : pick([0, 0, 100, 1000, 5000, 20_000])
        return takes === 0 ? outcome : Effect.andThen(Effect.sleep(takes), outcome)
      })
  }
}

type Data = ReturnType<typeof makeData>

/** A row, and a row together with the next one, as one process has them. */
const makeFunctions = Effect.fnUntraced(
  function*(data: Data, policy: CachePolicy.CachePolicy, consistency: CachePolicy.Consistency | undefined) {
    const row = yield* Cached.make("row", {
      input: { n: Schema.Number },
      success: Schema.Number,
      error: Failed,
      deps: ({ n }) => [`row:${n}`],
      policy,
      consistency
    }, ({ n }) => data.read(n))
    const { errorTimeToLive: _, ...ofPairs } = policy
    const pair = yield* Cached.make(
      "pair",
      { input: { n: Schema.Number }, success: Schema.Array(Schema.Number), policy: ofPairs, consistency },
      ({ n }) => Effect.all([row({ n }), row({ n: next(n) })])
    )
    return { row, pair }
  }
)

type Functions = Effect.Success<ReturnType<typeof makeFunctions>>

const next = (row: number) => (row + 1) % rows.length

// A call, of which it is checked that it gives nothing that was invalidated before it.
const makeCall = (data: Data, { row, pair }: Functions, { below, pick }: Choices): Effect.Effect<void> => {
  const n = pick(rows)
  const options = pick<Cached.CallOptions>([
    {},
    {},
    {},
    { fresh: true },
    { noStore: true },
    { fresh: true, noStore: true },
    { onlyIfCached: true }
  ])
  const call: Effect.Effect<ReadonlyArray<number>, unknown> = below(2) === 0
    ? pair.with(options)({ n })
    : Effect.map(row.with(options)({ n }), (version) => [version])
  return Effect.suspend(() => {
    const floor = data.committed()
    const isRecent = (version: number, of: number) => assert.isAtLeast(version, floor[of]!, `the version of ${of}`)
    return Effect.flatMap(Effect.exit(call), (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) {
          return exit.value.forEach((version, index) => isRecent(version, index === 0 ? n : next(n)))
        }
        const error = Cause.squash(exit.cause)
        if (error instanceof Failed) return isRecent(error.version, error.row)
        if (Cause.hasInterruptsOnly(exit.cause) || (error as Error).message === "a bug") return
        assert.include(["TimeoutError", "NotCachedError"], (error as CacheError.CacheError).reason?._tag, String(error))
      }))
  })
}

type Services = Steps | FaultyBroadcaster.FaultyBroadcaster | ResultCache.ResultCache | Scope.Scope

/** A storm over the caches of some processes. It gives what they have counted. */
const storm = Effect.fnUntraced(function*(
  choices: Choices,
  caches: ReadonlyArray<ResultCache.ResultCache["Service"]>,
  mayFallSilent: boolean
): Effect.fn.Return<ReadonlyArray<Counts>, unknown, Services> {
  const { below, pick } = choices
  const { arm } = yield* Steps
  const log = yield* FaultyBroadcaster.FaultyBroadcaster
  const data = makeData(choices)
  const policy = randomPolicy(choices)
  const consistency = pick([undefined, undefined, "strong"] as const)
  const processes = yield* Effect.forEach(
    caches,
    (cache) => Effect.provideService(makeFunctions(data, policy, consistency), ResultCache.ResultCache, cache)
  )
  const readers: Array<Fiber.Fiber<void>> = []

  for (let step = 0; step < steps; step++) {
    if (below(3) === 0) {
      const slow = Effect.sleep(pick([0, 50, 600, 900]))
      yield* arm(pick(["before Store.get", "after Store.get", "before Store.set", "after Store.set"]), slow)
    }
    switch (below(20)) {
      case 0:
      case 1:
        data.become(pick(["up", "up", "down", "dying"]))
        break
      case 2:
      case 3:
        yield* data.change(pick(rows))
        break
      case 4:
        if (readers.length > 0) yield* Fiber.interrupt(pick(readers))
        break
      case 5:
        yield* Effect.repeat(Effect.yieldNow, { times: below(6) })
        break
      case 6:
        if (mayFallSilent) yield* log.fallSilent(below(3) === 0)
        break
      case 7:
        if (mayFallSilent && below(3) === 0) yield* log.inject({ _tag: "Gap", position: 1 })
        break
      case 8:
      case 9:
      case 10:
      case 11:
        yield* TestClock.adjust(pick([1, 99, 600, 600, 1000, 3000, 12_000]))
        break
      default:
        readers.push(yield* start(makeCall(data, pick(processes), choices)))
    }
  }

  data.calmDown()
  yield* log.fallSilent(false)
  yield* TestClock.adjust("10 minutes")
  yield* settled
  assert.isTrue(readers.every(isDone), "nobody waits for ever")
  for (const reader of readers) {
    const exit = yield* Fiber.await(reader)
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.failCause(exit.cause)
  }
  for (const n of rows) {
    const last = yield* start(pick(processes).row({ n }))
    yield* answered
    yield* TestClock.adjust("1 minute")
    yield* answered
    assert.isTrue(isDone(last), `row ${n} can be had`)
    assert.isAtLeast(yield* Fiber.join(last), data.committed()[n]!)
  }
  yield* TestClock.adjust("10 minutes")
  yield* settled
  assert.strictEqual(airborne.count, 0)
  return yield* Effect.forEach(caches, ({ counts }) => counts)
})

type Counts = Readonly<Record<CacheEvent.CacheEvent["_tag"], number>>

// The storms of all seeds, which have to bring about what they are about.
const storms = Effect.fnUntraced(function*<E>(run: (choices: Choices) => Effect.Effect<ReadonlyArray<Counts>, E>) {
  const total = { Hit: 0, Stale: 0, Joined: 0, RefreshFailed: 0, Rejected: 0, Invalidated: 0 }
  for (const seed of seeds) {
    const counts = yield* run(makeRandom(seed)).pipe(
      Random.withSeed(seed),
      Effect.catchCause((cause) => Effect.die(new Error(`seed ${seed}: ${Cause.pretty(cause)}`)))
    )
    for (const count of counts) {
      for (const what of Object.keys(total) as Array<keyof typeof total>) total[what] += count[what]
    }
  }
  for (const [what, count] of Object.entries(total)) assert.isAtLeast(count, 3, what)
})

describe("A storm of calls", () => {
  it.effect.each(worlds)(
    "never gives what was invalidated before, and calms down, in a store of %s",
    ([, layer]) =>
      storms((choices) =>
        Effect.flatMap(ResultCache.ResultCache, (cache) => storm(choices, [cache], false)).pipe(
          Effect.scoped,
          Effect.provide(layer, { local: true })
        )
      )
  )

  it.effect("never gives what was invalidated before, and calms down, in two processes with leases and a silent log", () =>
    storms((choices) =>
      Effect.scoped(Effect.flatMap(
        twoProcesses,
        ({ caches, context }) => Effect.provide(storm(choices, caches, true), context)
      ))
    ))
})

/** Two processes that share a store, a log and leases. One has a memory of its own in front of the store. */
const twoProcesses = Effect.gen(function*() {
  const inJson = ByteStore.layerMemory().pipe(Layer.provide(Codec.layerJson))
  const shared = yield* Layer.build(Layer.mergeAll(
    Layer.fresh(inJson),
    Layer.fresh(FaultyBroadcaster.layer(Broadcaster.layerLocal)),
    Layer.fresh(Steps.layer)
  ))
  const [bytes, { reach }] = [Context.get(shared, Store.Store), Context.get(shared, Steps)]
  const around = <A, E>(operation: string, effect: Effect.Effect<A, E>) =>
    reach(`before Store.${operation}`).pipe(
      Effect.andThen(effect),
      Effect.tap(() => reach(`after Store.${operation}`))
    )
  const far = Layer.succeed(Store.Store)(Store.Store.of({
    ...bytes,
    get: (key) => around("get", bytes.get(key)),
    set: (entry) => around("set", bytes.set(entry))
  }))
  const parts = [
    Layer.succeed(Broadcaster.Broadcaster)(Context.get(shared, Broadcaster.Broadcaster)),
    Layer.succeed(Lease.Lease)(makeLease()),
    DependencyGraph.layer()
  ] as const
  const open = (store: Layer.Layer<Store.Store, CacheError.CacheError>) =>
    Effect.map(
      Layer.build(Layer.fresh(ResultCache.layer().pipe(Layer.provide([store, ...parts])))),
      (context) => Context.get(context, ResultCache.ResultCache)
    )
  const caches = [yield* open(Store.layerTiered({ near: Store.layerMemory(), far })), yield* open(far)] as const
  return { caches, context: Context.add(shared, ResultCache.ResultCache, caches[0]) }
})

// Of each key one at a time.
const makeLease = (): Lease.Lease => {
  const held = new Map<string, Deferred.Deferred<Lease.Ending>>()
  return {
    take: (key) =>
      Effect.suspend((): Effect.Effect<Lease.Taking, never, Scope.Scope> => {
        const other = held.get(key)
        if (other !== undefined) return Effect.succeed({ _tag: "Taken", ended: Deferred.await(other) })
        const mine = Deferred.makeUnsafe<Lease.Ending>()
        let ending: Lease.Ending = "nothing"
        held.set(key, mine)
        const give = (how: "stored" | "nothing") => {
          ending = how
        }
        const end = Effect.suspend(() => {
          held.delete(key)
          return Deferred.succeed(mine, ending)
        })
        return Effect.as(Effect.addFinalizer(() => end), { _tag: "Held", give })
      })
  }
}
