/**
 * Random programs over one cache. Whatever runs at the same time and whatever fails, no reader gets a value that is older
 * than what was committed before it began to read, nobody waits for ever, and nothing goes on running.
 *
 * Each seed is one program, the same in every run. A failure says its seed: put that into `seeds` alone.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Option, Scheduler, Schema } from "effect"
import {
  addDeps,
  Broadcaster,
  ByteStore,
  Cached,
  CacheError,
  clear,
  Codec,
  DependencyGraph,
  invalidate,
  ResultCache,
  Store
} from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest, FaultyBroadcaster, FaultyStore } from "effect-cached/testing"
import { airborne, landings } from "../src/internal/flight.ts"
import { makeRandom, type Random, withinTurns } from "./random.ts"

const seeds = Array.from({ length: 10 }, (_, n) => n + 1)
const timeout = 30_000

const inMsgPack = ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer()))
const inJson = ByteStore.layerMemory().pipe(Layer.provide(Codec.layerJson))
const small = Store.layerMemory({ maxEntries: 2 })
const stores: ReadonlyArray<readonly [name: string, store: Layer.Layer<Store.Store, CacheError.CacheError>]> = [
  ["live values", Store.layerMemory()],
  ["two live values", small],
  ["bytes", inMsgPack],
  ["two tiers", Store.layerTiered({ near: small, far: inJson })],
  ["values elsewhere", FaultyStore.layer(Store.layerMemory())]
]

const tags = ["a", "a:1", "a:2", "b", "b:1"]
const atOrBelow = (tag: string) => tags.filter((other) => other === tag || other.startsWith(`${tag}:`))

/** The version of what each tag stands for. */
type Versions = Readonly<Record<string, number>>
const Versions = Schema.Record(Schema.String, Schema.Number)

// The data that is cached: `written` is what a computation reads, `committed` what every reader must see from now on.
const makeData = () => {
  const written: Record<string, number> = Object.fromEntries(tags.map((tag) => [tag, 0]))
  const committed = { ...written }
  return {
    read: (tag: string): Versions => ({ [tag]: written[tag]! }),
    now: (): Versions => ({ ...written }),
    committed: (): Versions => ({ ...committed }),
    write: (tag: string) => {
      for (const changed of atOrBelow(tag)) written[changed]!++
    },
    commit: (versions: Versions, of: ReadonlyArray<string>) => {
      for (const tag of of) committed[tag] = Math.max(committed[tag]!, versions[tag]!)
    }
  }
}

type Data = ReturnType<typeof makeData>

const makeFunctions = Effect.fnUntraced(function*(data: Data, { below, pause }: Random) {
  const inner = yield* Cached.make(
    "inner",
    {
      input: { tag: Schema.String },
      success: Versions,
      timeToLive: "1 hour",
      deps: ({ tag }) => tag === "b:1" ? [tag] : []
    },
    Effect.fnUntraced(function*({ tag }) {
      const early = below(3) === 0
      if (early) yield* addDeps(tag)
      yield* pause
      const value = data.read(tag)
      // Late tags: who joins meanwhile cannot know of them.
      yield* Effect.repeat(pause, { times: 2 })
      if (!early) yield* addDeps(tag)
      if (below(10) === 0) return yield* Effect.fail("no luck" as const)
      return value
    })
  )
  const outer = yield* Cached.make(
    "outer",
    { input: { n: Schema.Number }, success: Versions },
    Effect.fnUntraced(function*({ n }) {
      yield* pause
      const concurrency = below(2) === 0 ? "unbounded" : 1
      const both = [tags[n % tags.length]!, tags[(n + 2) % tags.length]!]
      const parts = yield* Effect.forEach(both, (tag) => inner({ tag }), { concurrency })
      yield* pause
      return Object.assign({}, ...parts) as Versions
    })
  )
  return { inner, outer }
})

type Functions = Effect.Success<ReturnType<typeof makeFunctions>>

// What a reader may end with: values that are new enough, the failure of the function, or its own interruption.
const checked = (what: string, data: Data, call: Effect.Effect<Versions, unknown>) =>
  Effect.suspend(() => {
    const committed = data.committed()
    return Effect.onExit(call, (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) {
          for (const [tag, version] of Object.entries(exit.value)) {
            assert.isAtLeast(version, committed[tag]!, `${what}: the version of ${tag}`)
          }
        } else if (!Cause.hasInterruptsOnly(exit.cause)) {
          assert.strictEqual(Cause.squash(exit.cause), "no luck", `${what}: ${Cause.pretty(exit.cause)}`)
        }
      }))
  })

const reader = Effect.fnUntraced(function*(data: Data, { inner, outer }: Functions, { below, pause, pick }: Random) {
  for (let call = 0; call < 8; call++) {
    yield* pause
    const tag = pick(tags)
    const n = below(3)
    const [what, effect] = pick<readonly [string, Effect.Effect<Versions, unknown>]>([
      [`inner ${tag}`, inner({ tag })],
      [`inner ${tag}`, inner({ tag })],
      [`outer ${n}`, outer({ n })],
      [`outer ${n}`, outer({ n })],
      [`inner.refresh ${tag}`, inner.refresh({ tag })],
      [`outer ${n}`, outer({ n })],
      [`outer ${n}`, outer({ n })],
      [`outer.refresh ${n}`, outer.refresh({ n })]
    ])
    const startImmediately = below(2) === 0
    const fiber = yield* Effect.forkChild(checked(what, data, effect), { startImmediately })
    const leaves = below(5) === 0
    if (leaves) {
      yield* pause
      yield* Fiber.interrupt(fiber)
    }
    const exit = yield* Fiber.await(fiber)
    if (Exit.isSuccess(exit) || exit.cause.reasons.some((reason) => reason._tag === "Fail")) continue
    assert.isFalse(Cause.hasDies(exit.cause), Cause.pretty(exit.cause))
    assert.isTrue(leaves, `${what} was interrupted by nobody`)
  }
})

const writer = Effect.fnUntraced(function*(data: Data, { inner, outer }: Functions, { below, pause, pick }: Random) {
  const log = yield* Broadcaster.Broadcaster
  const faults = yield* FaultyBroadcaster.FaultyBroadcaster
  const graph = yield* DependencyGraph.DependencyGraph
  for (let step = 0; step < 5; step++) {
    // Seldom enough for what is read to be hit.
    yield* Effect.repeat(pause, { times: 6 })
    const tag = pick(tags)
    data.write(tag)
    const versions = data.now()
    // Also when the log did not take the record: then the tag stays invalid here.
    const committing = Effect.andThen(
      Effect.exit(invalidate(tag)),
      Effect.sync(() => data.commit(versions, atOrBelow(tag)))
    )
    switch (below(12)) {
      case 0:
        yield* Effect.ignore(clear)
        data.commit(versions, tags)
        break
      case 1:
        yield* faults.become("failing")
        yield* committing
        yield* faults.become("healthy")
        break
      case 2: {
        yield* faults.become("slow")
        const fiber = yield* Effect.forkChild(committing, { startImmediately: true })
        yield* pause
        yield* faults.become("healthy")
        yield* faults.release
        yield* Fiber.join(fiber)
        break
      }
      case 3: {
        // Whoever invalidates may leave: whether the tag is invalid then, nobody was told.
        yield* faults.become("slow")
        const fiber = yield* Effect.forkChild(committing, { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        yield* pause
        yield* faults.become("healthy")
        yield* faults.release
        break
      }
      case 4:
        // By another process.
        yield* Effect.ignore(log.append([tag]))
        yield* committing
        break
      case 5:
        yield* faults.inject({ _tag: "Lost", error: lost })
        yield* committing
        yield* faults.inject({ _tag: "Gap", position: graph.position() })
        break
      case 6:
        yield* faults.inject({ _tag: "Gap", position: graph.position() })
        yield* committing
        break
      case 7:
        yield* Effect.ignore(below(2) === 0 ? inner.forget({ tag }) : outer.forgetAll)
        yield* committing
        break
      default:
        yield* committing
    }
  }
})

const lost = new CacheError.CacheError({ reason: new CacheError.LogError({ message: "The log cannot be followed" }) })

// Faults of a store elsewhere, where there is one.
const weather = Effect.fnUntraced(function*({ pause, pick }: Random) {
  const store = yield* Effect.serviceOption(FaultyStore.FaultyStore)
  if (Option.isNone(store)) return
  const { become, release } = store.value
  for (let change = 0; change < 8; change++) {
    yield* become(pick(["healthy", "healthy", "slow", "failing", "dying"]))
    yield* pause
    yield* release
  }
  yield* become("healthy")
  yield* release
})

// All is well in the end: everything is up to date, and cached.
const afterwards = Effect.fnUntraced(function*(data: Data, { inner }: Functions) {
  const { misses } = yield* CacheTest.CacheTest
  yield* clear
  for (const tag of tags) {
    const read = Effect.retry(inner({ tag }), { while: (error) => error === "no luck" })
    assert.deepStrictEqual(yield* read, data.read(tag))
    const before = (yield* misses).length
    assert.deepStrictEqual(yield* read, data.read(tag))
    assert.lengthOf(yield* misses, before, `${tag} is cached`)
  }
})

const program = Effect.fnUntraced(function*(random: Random) {
  const data = makeData()
  const functions = yield* makeFunctions(data, random)
  const everyone = [
    weather(random),
    ...Array.from({ length: 2 }, () => writer(data, functions, random)),
    ...Array.from({ length: 4 }, () => reader(data, functions, random))
  ]
  yield* withinTurns(100_000, "someone waits for ever", Effect.all(everyone, { concurrency: "unbounded" }))
  yield* withinTurns(100_000, "a reader waits for ever in the end", afterwards(data, functions))
  assert.deepStrictEqual([airborne.count, landings.depth], [0, 0], "computations that still run")
  return yield* (yield* ResultCache.ResultCache).counts
})

const run = (seed: number, store: (typeof stores)[number][1]) => {
  const random = makeRandom(seed)
  const maxOps = random.pick([3, 5, 11, 2048])
  const graph = DependencyGraph.layer(random.pick([{}, { maxMarks: 2, maxRecent: 3 }]))
  const layer = CacheTest.layerWith().pipe(
    Layer.provideMerge(Layer.mergeAll(store, graph, FaultyBroadcaster.layer(Broadcaster.layerLocal)))
  )
  return program(random).pipe(
    Effect.provideService(Scheduler.MaxOpsBeforeYield, maxOps),
    Effect.provide(Layer.fresh(layer)),
    Effect.catchCause((cause) =>
      Effect.die(new Error(`seed ${seed}, yielding every ${maxOps}: ${Cause.pretty(cause)}`))
    )
  )
}

describe("readers and writers at random", () => {
  it.effect.each(stores)(
    "read nothing that is older than what was committed, on a store of %s",
    ([, store]) =>
      Effect.gen(function*() {
        const total = { Hit: 0, Joined: 0, Rejected: 0 }
        for (const seed of seeds) {
          const counts = yield* run(seed, store)
          for (const event of ["Hit", "Joined", "Rejected"] as const) total[event] += counts[event]
        }
        // Whoever always computes is never wrong.
        for (const [event, count] of Object.entries(total)) assert.isAbove(count, seeds.length, event)
      }),
    timeout
  )
})
