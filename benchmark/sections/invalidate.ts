/**
 * Invalidation of a tag, by how many entries carry it.
 */
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { Broadcaster, Cached, CacheEntry, DependencyGraph, invalidate, ResultCache, Store } from "effect-cached"
import { check, type Settings } from "../fixtures.ts"
import { distribution, paired, ratio } from "../paired.ts"
import { cells, goal, type Report, row, time, times, whole } from "../report.ts"

// A world of its own for each size: one store with that many entries under the tag `all`.
const makeWorld = async (size: number) => {
  const runtime = ManagedRuntime.make(
    ResultCache.layer().pipe(
      Layer.provide([DependencyGraph.layer(), Broadcaster.layerLocal]),
      Layer.provideMerge(Store.layerMemory({ maxEntries: size + 10, maxBytes: 4 * 1024 ** 3 }))
    )
  )
  let executions = 0
  const cached = await runtime.runPromise(Effect.gen(function*() {
    const store = yield* Store.Store
    const cached = yield* Cached.make("numbered", {
      input: { n: Schema.Number },
      success: Schema.Number,
      deps: () => ["all"]
    }, ({ n }) => Effect.sync(() => (executions++, n)))
    // One entry is computed, and the others are made after its pattern: a million computations would take a minute.
    yield* cached({ n: 0 })
    const { fingerprint, position, tags } = (yield* store.get(`numbered\t{"n":0}`))!
    for (let n = 1; n < size; n++) {
      yield* store.set(
        new CacheEntry.CacheEntry({
          key: `numbered\t{"n":${n}}`,
          fingerprint,
          body: String(n),
          head: undefined,
          tags: tags.slice(0),
          position,
          createdAt: 0,
          expiresAt: Infinity
        })
      )
    }
    return cached
  }))
  const read = (n: number) => runtime.runPromise(cached({ n }))
  await read(size - 1)
  check(executions === 1, "an entry that was put into the store has to be a hit")

  const calls = 200
  const invalidateOnce = () =>
    runtime.runPromise(Effect.gen(function*() {
      const start = performance.now()
      for (let call = 0; call < calls; call++) yield* invalidate("all")
      return (performance.now() - start) * 1e6 / calls
    }))
  return {
    invalidateOnce,
    verify: async () => {
      await read(size - 1)
      check(executions === 2, "after the invalidation, a read has to compute")
    },
    dispose: () => runtime.dispose()
  }
}

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const sizes = smoke ? [100, 1000] : [100, 10_000, 1_000_000]
  const worlds = new Map<string, Awaited<ReturnType<typeof makeWorld>>>()
  // oxlint-disable-next-line no-await-in-loop -- one after the other, to keep the heap small
  for (const size of sizes) worlds.set(String(size), await makeWorld(size))
  const samples = await paired(
    Object.fromEntries(Array.from(worlds, ([size, world]) => [size, world.invalidateOnce])),
    { rounds: quick ? 25 : 100, warmups: 10, millis: quick ? 2000 : 7000 }
  )
  await Promise.all(Array.from(worlds.values(), (world) => world.verify()))
  await Promise.all(Array.from(worlds.values(), (world) => world.dispose()))
  return {
    tables: [{
      title: "invalidate(tag), by entries under the tag",
      columns: ["entries", "median", "quartiles", "of 100 entries'"],
      rows: sizes.map((size) =>
        row(
          whole(size),
          cells(distribution(samples[size]!), time),
          times(ratio(samples, String(size), "100").median)
        )
      )
    }],
    goals: sizes.slice(1).map((size) =>
      goal(
        `invalidate with ${whole(size)} entries under the tag: flat, at most 1.3 times that with 100`,
        ratio(samples, String(size), "100"),
        { atMost: 1.3 }
      )
    ),
    notes: []
  }
}
