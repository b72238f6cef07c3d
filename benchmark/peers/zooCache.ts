/**
 * What ZooCache publishes about itself, done by this library. Its `compare_caches.py` stores 5 000 keys one after the other, each with
 * three bytes and the same tag, reads them, and invalidates the tag once, three times over. Its `test_core.py` and `test_lazy.py`
 * measure a call of a decorated function that is a hit, with up to 10 000 tags, and the first one after an invalidation of
 * another tag.
 */
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import {
  Broadcaster,
  Cached,
  CacheEntry,
  CacheLive,
  clear,
  DependencyGraph,
  invalidate,
  ResultCache,
  Store
} from "effect-cached"
import { check, loop, type Settings } from "../fixtures.ts"
import { type Distribution, distribution, paired, type Samples } from "../paired.ts"
import { type Bar, cells, type Report, row, time } from "../report.ts"

const sizes = [1, 10, 100, 1000, 10_000] as const

const value = "val"
const tag = "semantic_tag"

/** Nanoseconds, and the machines as ZooCache names them. */
const published = {
  write: { nanos: 1010, machine: "Apple M1" },
  read: { nanos: 430, machine: "Apple M1" },
  invalidate: { nanos: 8200, machine: "Apple M1" },
  hit: { nanos: 1450, machine: "Apple M1" },
  hitOnCi: { nanos: 2800, machine: "its CI" },
  firstHit: { nanos: 2.6e6, machine: "its CI" }
} as const

export const run = async (settings: Settings): Promise<Report> => {
  const bulk = await measureBulk(settings)
  const { after, unchanged } = await measureHits(settings)

  const bulkRows: ReadonlyArray<readonly [string, string, keyof typeof published]> = [
    ["set of one key", "a miss of a cached function that computes nothing", "write"],
    ["set of one key", "Store.set, the store alone", "write"],
    ["get of one key", "a hit of a cached function", "read"],
    ["invalidate, once", "invalidate(tag), right after them", "invalidate"],
    ["invalidate, once", "invalidate(tag), 5 000 times one after the other", "invalidate"]
  ]
  return {
    tables: [
      {
        title: "5 000 sequential operations, a value of three bytes, one tag that all entries share",
        columns: ["ZooCache does", "published", "on", "this library does", "median here", "quartiles"],
        rows: bulkRows.map(([theirs, ours, figure]) =>
          row(
            theirs,
            time(published[figure].nanos),
            published[figure].machine,
            ours,
            cells(distribution(bulk[ours]!), time)
          )
        )
      },
      {
        title: "A decorated function that is a hit, by tags on its entry",
        columns: ["tags", "ZooCache published", "a cached function here", "quartiles"],
        rows: sizes.map((tags) =>
          row(
            String(tags),
            tags === 1
              ? `${time(published.hit.nanos)} (${published.hit.machine}), ${
                time(published.hitOnCi.nanos)
              } (${published.hitOnCi.machine})`
              : "",
            cells(unchanged[tags]!, time)
          )
        )
      },
      {
        title: "The first hit after an invalidation of another tag, by tags on the entry",
        columns: ["tags", "ZooCache published", "a cached function here", "quartiles"],
        rows: sizes.map((tags) =>
          row(
            String(tags),
            tags === 10_000 ? `${time(published.firstHit.nanos)} (${published.firstHit.machine})` : "",
            cells(after[tags]!, time)
          )
        )
      }
    ],
    goals: [],
    notes: [
      "Its figures are published by its authors and of another machine and another language: what is to be seen is how they grow, not a ratio.",
      "ZooCache's set and get take a key, bytes and tags. This library has no such function at the cache itself: what stands for set is a " +
      "miss of a cached function whose computation is free, which also encodes the result and hands out a copy, and the store alone, which " +
      "asks nobody whether an entry is valid. What stands for get is a hit, which makes the key from an input and checks the entry.",
      "A first hit is one operation, so reading the clock is in its figure, some dozens of nanoseconds. So it is in that of one invalidation.",
      "The one invalidation comes right after 5 000 misses, when the caches of the processor hold other things. That is most of its time, as " +
      "the loop shows."
    ],
    figures: [
      {
        title: "ZooCache's operations",
        unit: "ns",
        scale: "log",
        bars: [
          of("ZooCache, set (M1)", published.write.nanos),
          own("a miss (here)", distribution(bulk["a miss of a cached function that computes nothing"]!)),
          own("Store.set (here)", distribution(bulk["Store.set, the store alone"]!)),
          of("ZooCache, get (M1)", published.read.nanos),
          own("a hit (here)", distribution(bulk["a hit of a cached function"]!)),
          of("ZooCache, invalidate (M1)", published.invalidate.nanos),
          own("invalidate, right after (here)", distribution(bulk["invalidate(tag), right after them"]!)),
          own("invalidate, in a loop (here)", distribution(bulk["invalidate(tag), 5 000 times one after the other"]!))
        ]
      },
      {
        title: "A hit by tags, unchanged and after an unrelated invalidation",
        unit: "ns",
        scale: "log",
        bars: [
          of(`ZooCache, hit (${published.hit.machine})`, published.hit.nanos),
          of(`ZooCache, hit (${published.hitOnCi.machine})`, published.hitOnCi.nanos),
          ...sizes.map((tags) => own(`hit, ${tags} tags (here)`, unchanged[tags]!)),
          of(`ZooCache, first hit, 10000 tags (${published.firstHit.machine})`, published.firstHit.nanos),
          ...sizes.map((tags) => own(`first hit, ${tags} tags (here)`, after[tags]!))
        ]
      }
    ]
  }
}

const own = (label: string, figure: Distribution): Bar => ({ label, ...figure, kind: "own" })
const of = (label: string, nanos: number): Bar => ({ label, median: nanos, low: nanos, high: nanos, kind: "peer" })

// Each sample begins with an empty cache, as in ZooCache's own script.
const measureBulk = async ({ quick, smoke }: Settings) => {
  const items = smoke ? 100 : 5000
  const runtime = ManagedRuntime.make(
    ResultCache.layer().pipe(
      Layer.provide([DependencyGraph.layer(), Broadcaster.layerLocal]),
      Layer.provideMerge(Store.layerMemory({ maxEntries: 2 * items }))
    )
  )
  let executions = 0
  const { cached, store } = await runtime.runPromise(Effect.gen(function*() {
    const store = yield* Store.Store
    const cached = yield* Cached.make("get", {
      input: { key: Schema.String },
      success: Schema.String,
      deps: () => [tag]
    }, () => Effect.sync(() => (executions++, value)))
    return { cached, store }
  }))
  const all = loop(items, (index) => cached({ key: `zc_${index}` }))
  // One invalidation in a round is too few for its code to be compiled, as it is in a service that has run for a while.
  await runtime.runPromise(loop(items, () => invalidate("warm:up")))

  const samples = await paired({
    "a miss of a cached function that computes nothing": () => runtime.runPromise(Effect.andThen(clear, all)),
    // What is measured is the second time.
    "a hit of a cached function": () => runtime.runPromise(Effect.andThen(all, all)),
    "Store.set, the store alone": () =>
      runtime.runPromise(Effect.andThen(
        clear,
        loop(items, (index) =>
          store.set(
            new CacheEntry.CacheEntry({
              key: `zc_${index}`,
              fingerprint: "",
              body: value,
              head: undefined,
              tags: [tag],
              position: 0,
              createdAt: 0,
              expiresAt: Infinity
            })
          ))
      )),
    "invalidate(tag), 5 000 times one after the other": () => runtime.runPromise(loop(items, () => invalidate(tag))),
    "invalidate(tag), right after them": () =>
      runtime.runPromise(Effect.gen(function*() {
        yield* clear
        yield* all
        const start = process.hrtime.bigint()
        yield* invalidate(tag)
        const nanos = Number(process.hrtime.bigint() - start)
        const before = executions
        yield* cached({ key: "zc_7" })
        check(executions === before + 1, "after the invalidation, a read has to compute")
        return nanos
      }))
  }, { rounds: quick ? 20 : 60, warmups: 5, millis: quick ? 1500 : 6000 })
  const before = executions
  await runtime.runPromise(Effect.andThen(all, all))
  check(executions - before <= items, "what is read a second time has to be a hit")
  await runtime.dispose()
  return samples
}

const measureHits = async ({ quick, smoke }: Settings) => {
  const runtime = ManagedRuntime.make(CacheLive)
  let executions = 0
  const cached = await runtime.runPromise(Effect.gen(function*() {
    const cached = yield* Cached.make("decorated", {
      input: { tags: Schema.Number },
      success: Schema.String,
      deps: ({ tags }) => Array.from({ length: tags }, (_, index) => `tag:${index}`)
    }, () => Effect.sync(() => (executions++, value)))
    for (const tags of sizes) yield* cached({ tags })
    return cached
  }))
  const count = smoke ? 100 : 20_000
  const unchanged = await paired(
    Object.fromEntries(sizes.map((tags) => {
      const input = { tags }
      return [tags, () => runtime.runPromise(loop(count, () => cached(input)))]
    })),
    { rounds: quick ? 20 : 60, warmups: 5, millis: quick ? 1000 : 4000 }
  )
  // A sample is the median of many first hits; what makes them first ones is outside the measured time.
  const firstHits = (tags: number) =>
    Effect.gen(function*() {
      const input = { tags }
      const nanos: Array<number> = []
      for (let index = 0; index < 200; index++) {
        yield* invalidate("other:tag")
        const start = process.hrtime.bigint()
        yield* cached(input)
        nanos.push(Number(process.hrtime.bigint() - start))
      }
      return distribution(nanos).median
    })
  const after = await paired(
    Object.fromEntries(sizes.map((tags) => [tags, () => runtime.runPromise(firstHits(tags))])),
    { rounds: quick ? 20 : 60, warmups: 5, millis: quick ? 1000 : 4000 }
  )
  check(executions === sizes.length, "everything that is measured has to be a hit")
  await runtime.dispose()
  return { unchanged: distributions(unchanged), after: distributions(after) }
}

const distributions = (samples: Samples): Readonly<Record<string, Distribution>> =>
  Object.fromEntries(Object.entries(samples).map(([name, figures]) => [name, distribution(figures)]))
