/**
 * What tags cost a hit: nothing while the world is unchanged, and little after it has changed elsewhere.
 */
import { Effect, ManagedRuntime, Schema } from "effect"
import { Cached, CacheLive, invalidate } from "effect-cached"
import { Article, article, check, loop, type Settings } from "../fixtures.ts"
import { distribution, paired, ratio } from "../paired.ts"
import { cells, goal, type Report, row, time, times, whole } from "../report.ts"

const sizes = [1, 10, 1000, 10_000] as const

// What reading the clock costs, which is in every first read.
const clock = (): number =>
  distribution(Array.from({ length: 200 }, () => {
    const start = process.hrtime.bigint()
    return Number(process.hrtime.bigint() - start)
  })).median

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const runtime = ManagedRuntime.make(CacheLive)
  let executions = 0
  const cached = await runtime.runPromise(Effect.gen(function*() {
    const cached = yield* Cached.make("article", {
      input: { tags: Schema.Number },
      success: Article,
      deps: ({ tags }) => Array.from({ length: tags }, (_, index) => `tags:${tags}:${index}`)
    }, ({ tags }) => Effect.sync(() => (executions++, article(tags))))
    for (const tags of sizes) yield* cached({ tags })
    return cached
  }))

  const count = smoke ? 64 : quick ? 20_000 : 50_000
  const unchanged = await paired(
    Object.fromEntries(sizes.map((tags) => {
      const input = { tags }
      return [String(tags), () => runtime.runPromise(loop(count, () => cached(input)))]
    })),
    { rounds: quick ? 30 : 100, warmups: 5, millis: quick ? 1200 : 5000 }
  )

  // Each read is made a first read by invalidations that are outside the measured time. A sample is the median of many.
  let unrelated = 0
  const firstReads = (tags: number, history: number, reads = 200) =>
    Effect.gen(function*() {
      const input = { tags }
      const nanos: Array<number> = []
      for (let read = 0; read < reads; read++) {
        for (let i = 0; i < history; i++) yield* invalidate(`elsewhere:${unrelated++ % 50_000}`)
        const start = process.hrtime.bigint()
        yield* cached(input)
        nanos.push(Number(process.hrtime.bigint() - start))
      }
      return distribution(nanos).median
    })
  const changed = await paired({
    clock,
    ...Object.fromEntries(
      sizes.map((tags) => [`${tags} after 1`, () => runtime.runPromise(firstReads(tags, 1))])
    ),
    "10000 after 10": () => runtime.runPromise(firstReads(10_000, 10)),
    // More records than are kept for this: each of the tags is looked up.
    "10000 after 2000": () => runtime.runPromise(firstReads(10_000, 2000, 5))
  }, { rounds: quick ? 7 : 40, warmups: 2, millis: quick ? 1500 : 6000 })

  check(executions === sizes.length, "every read has to be a hit")
  await runtime.runPromise(invalidate("tags:10000:9999"))
  await runtime.runPromise(cached({ tags: 10_000 }))
  check(executions === sizes.length + 1, "an invalidation of the last tag has to be seen")
  await runtime.dispose()

  const first = distribution(changed["10000 after 1"]!)
  return {
    tables: [
      {
        title: "Hit in an unchanged world, by tags on the entry",
        columns: ["tags", "median", "quartiles", "of one tag's"],
        rows: sizes.map((tags) =>
          row(
            whole(tags),
            cells(distribution(unchanged[tags]!), time),
            times(ratio(unchanged, String(tags), "1").median)
          )
        )
      },
      {
        title: "First read after invalidations of other tags (the clock's own cost is in it)",
        columns: ["tags and invalidations", "median", "quartiles"],
        rows: Object.entries(changed).map(([name, figures]) =>
          row(
            name === "clock" ? "the clock alone" : name.replace("after", "tags, after"),
            cells(distribution(figures), time)
          )
        )
      }
    ],
    goals: [
      ...sizes.slice(1).map((tags) =>
        goal(
          `hit with ${tags} tags, unchanged world: at most 1.2 times that with one tag`,
          ratio(unchanged, String(tags), "1"),
          { atMost: 1.2 }
        )
      ),
      goal("first read after one unrelated invalidation, 10 000 tags: under 10 µs", first, { atMost: 10_000 }, time)
    ],
    notes: []
  }
}
