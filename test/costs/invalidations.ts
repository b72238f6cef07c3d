/**
 * What an invalidation executes, and the next look at an entry, with few and with many entries.
 */
import { countFibers, counting, type Counts } from "./counting.ts"

// Counts only what is loaded after it.
import { Effect, Layer } from "effect"
import { Broadcaster, CacheEntry, DependencyGraph, invalidate, ResultCache, Store } from "effect-cached"
import { check, print } from "./subjects.ts"

export interface Invalidations {
  /** An invalidation of a tag that so many entries carry. */
  readonly invalidate: ReadonlyArray<{ readonly entries: number; readonly counts: Counts }>
  /** Steps of a look at an entry, by its tags and by the records since the last look. */
  readonly look: ReadonlyArray<{ readonly tags: number; readonly records: number; readonly steps: number }>
}

countFibers(() => Effect.runFork(Effect.void).id)

const entryOf = (id: number, position: number) =>
  new CacheEntry.CacheEntry({
    key: `article\t{"id":${id}}`,
    fingerprint: "",
    body: "1",
    head: undefined,
    tags: [`article:${id}`, "articles"],
    position,
    createdAt: 0,
    expiresAt: Infinity
  })

const invalidations: Array<Invalidations["invalidate"][number]> = []
for (const entries of [10, 1000, 100_000]) {
  const store = Store.layerMemory({ maxEntries: Infinity, maxBytes: 2 ** 32 })
  const layer = ResultCache.layer().pipe(
    Layer.provide(Broadcaster.layerLocal),
    Layer.provideMerge([store, DependencyGraph.layer()])
  )
  // oxlint-disable-next-line no-await-in-loop -- one cache after the other
  await Effect.runPromise(
    Effect.gen(function*() {
      const { counts, peek } = yield* ResultCache.ResultCache
      const { set } = yield* Store.Store
      const graph = yield* DependencyGraph.DependencyGraph
      // The first one loads what it needs.
      yield* invalidate("unrelated")
      for (let id = 0; id < entries; id++) yield* set(entryOf(id, graph.position()))
      const last = entryOf(entries - 1, 0).key
      check(peek(last, "") !== undefined, "they are valid")
      const stop = counting()
      yield* invalidate("articles")
      invalidations.push({ entries, counts: stop(1) })
      check(peek(last, "") === undefined && (yield* counts).Invalidated === 2, "they are invalid")
    }).pipe(Effect.provide(layer))
  )
}

const look = await Effect.runPromise(Effect.gen(function*() {
  const looks: Array<Invalidations["look"][number]> = []
  for (const [tags, records] of [[3, 0], [1000, 1], [3, 1000]] as const) {
    const graph = yield* DependencyGraph.make()
    graph.gap(1)
    // The graph knows of many invalidations, none of which concerns the subject.
    for (let record = 0; record < 5000; record++) graph.apply({ tags: [`other:${record}`], position: 2 + record })
    const subject = {
      tags: Array.from({ length: tags }, (_, tag) => `tag:${String(tag).padStart(4, "0")}`),
      position: 10_000,
      revision: -1
    }
    check(graph.isValid(subject), "nothing of it was invalidated")
    for (let record = 0; record < records; record++) graph.apply({ tags: [`new:${record}`], position: 20_000 + record })
    const stop = counting()
    const isValid = graph.isValid(subject)
    const { steps } = stop(1)
    check(isValid, "nothing of it was invalidated since")
    looks.push({ tags, records, steps })
  }
  return looks
}))

print({ invalidate: invalidations, look } satisfies Invalidations)
