/**
 * Bytes per entry and per tag: what the heap holds after a collection, with the entries and without.
 */
import { Cache, Effect, ManagedRuntime, Schema } from "effect"
import { Cached, invalidate, ResultCache } from "effect-cached"
import { setImmediate as immediate } from "node:timers/promises"
import { type Article, Article as ArticleSchema, article, check, type Settings } from "../fixtures.ts"
import { distribution } from "../paired.ts"
import { type Report, times, whole } from "../report.ts"

// What only a pending callback still holds is let go of first.
const collectGarbage = async (): Promise<number> => {
  for (let i = 0; i < 2; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one collection after the other
    await immediate()
    globalThis.gc!()
  }
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

// An article that shares no text with any other.
const own = (id: number): Article => JSON.parse(JSON.stringify(article(id))) as Article

const tags = (count: number, of: (index: number, id: number) => string) => (id: number) =>
  Array.from({ length: count }, (_, index) => of(index, id))

type Fill = Effect.Effect<unknown, unknown, ResultCache.ResultCache>

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const entries = smoke ? 100 : quick ? 3000 : 6000
  // What holds the entries stays reachable until the heap was measured.
  const bytesPer = async (count: number, fill: Fill): Promise<number> => {
    const runtime = ManagedRuntime.make(ResultCache.layerMemory({ maxEntries: entries, maxBytes: 4 * 1024 ** 3 }))
    await runtime.runPromise(Effect.void)
    const before = await collectGarbage()
    const held = await runtime.runPromise(fill)
    const after = await collectGarbage()
    check(held !== undefined, "what was filled is still there")
    await runtime.dispose()
    return (after - before) / count
  }

  const filled = (deps: (id: number) => ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const cached = yield* Cached.make("article", {
        input: { id: Schema.Number },
        success: ArticleSchema,
        deps: ({ id }) => deps(id)
      }, ({ id }) => Effect.sync(() => own(id)))
      for (let id = 0; id < entries; id++) yield* cached({ id })
      return cached
    })
  const marks = smoke ? 100 : quick ? 20_000 : 30_000

  const subjects: Record<string, () => Promise<number>> = {
    "value in a Map": () =>
      bytesPer(entries, Effect.sync(() => new Map(Array.from({ length: entries }, (_, id) => [id, own(id)])))),
    "Cache of effect": () =>
      bytesPer(
        entries,
        Effect.gen(function*() {
          const cache = yield* Cache.make({ capacity: entries, lookup: (id: number) => Effect.sync(() => own(id)) })
          for (let id = 0; id < entries; id++) yield* Cache.get(cache, id)
          return cache
        })
      ),
    "no tags": () => bytesPer(entries, filled(() => [])),
    "10 own tags": () => bytesPer(entries, filled(tags(10, (index, id) => `article:${id}:part:${index}`))),
    "10 shared tags": () => bytesPer(entries, filled(tags(10, (index, id) => `group:${(id + index) % 100}`))),
    "small": () =>
      bytesPer(
        entries,
        Effect.gen(function*() {
          const cached = yield* Cached.make(
            "number",
            { input: { id: Schema.Number }, success: Schema.Number },
            ({ id }) => Effect.succeed(id)
          )
          for (let id = 0; id < entries; id++) yield* cached({ id })
          return cached
        })
      ),
    "marks": () =>
      bytesPer(
        marks,
        Effect.gen(function*() {
          for (let id = 0; id < marks; id++) yield* invalidate(`article:${id}`)
          return marks
        })
      )
  }

  const samples: Record<string, Array<number>> = {}
  for (let round = smoke ? 1 : 0; round < (smoke ? 2 : quick ? 3 : 4); round++) {
    for (const [name, subject] of Object.entries(subjects)) {
      // oxlint-disable-next-line no-await-in-loop -- one heap, one at a time
      const bytes = await subject()
      // The first round also counts what is compiled and allocated once.
      if (round > 0) (samples[name] ??= []).push(bytes)
    }
  }
  const median = (name: string) => distribution(samples[name]!).median
  const control = median("Cache of effect")
  const body = JSON.stringify(article(1)).length
  const entry = (label: string, name: string) => [label, whole(median(name)), times(median(name) / control)]
  return {
    tables: [
      {
        title: `Bytes per entry: result of ${body} bytes as JSON, ${whole(entries)} entries`,
        columns: ["", "bytes", "of effect's Cache"],
        rows: [
          entry("the value alone, in a Map", "value in a Map"),
          entry("effect's Cache", "Cache of effect"),
          entry("cached function, no tags (value and encoded body)", "no tags"),
          entry("cached function, 10 tags of its own", "10 own tags"),
          entry("cached function, 10 tags shared with others", "10 shared tags"),
          entry("cached function that returns a number", "small")
        ]
      },
      {
        title: "Bytes per tag",
        columns: ["", "bytes"],
        rows: [
          [
            "tag that only one entry has, of 14 to 19 characters",
            whole((median("10 own tags") - median("no tags")) / 10)
          ],
          [
            "tag that others have too, of 7 to 8 characters",
            whole((median("10 shared tags") - median("no tags")) / 10)
          ],
          ["tag that was ever invalidated", whole(median("marks"))]
        ]
      }
    ],
    goals: [],
    notes: ["The dependency graph holds nothing for a tag that was never invalidated."]
  }
}
