/**
 * What `consistency: "strong"` costs: a hit that asks the log first.
 */
import { Effect, ManagedRuntime, Schema } from "effect"
import { Cached, type ResultCache } from "effect-cached"
import { Redis } from "ioredis"
import { Article, article, articleTags, check, type Settings } from "../fixtures.ts"
import { distribution, paired, ratio, type Samples } from "../paired.ts"
import { inFibers, inPromises, keysPerCaller, onlyRedis, sharing } from "../redis/caches.ts"
import { startRedis } from "../redis/server.ts"
import { cells, type Report, row, type Table, times, whole } from "../report.ts"

const widths = [64, 1] as const

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const redis = await startRedis()
  const inMemory = ManagedRuntime.make(sharing(redis.url, "benchmark memory"))
  const inRedis = ManagedRuntime.make(onlyRedis(redis.url, "benchmark redis"))
  const bare = new Redis(redis.url)
  try {
    const total = Math.max(...widths) * keysPerCaller
    let executions = 0
    const make = (name: string, consistency?: "strong") =>
      Effect.gen(function*() {
        const call = yield* Cached.make(name, {
          input: { id: Schema.Number },
          success: Article,
          deps: ({ id }) => articleTags(id),
          consistency
        }, ({ id }) => Effect.sync(() => (executions++, article(id))))
        yield* Effect.forEach(Array.from({ length: total }, (_, id) => id), (id) => call({ id }), {
          concurrency: 64,
          discard: true
        })
        return (id: number) => call({ id })
      })
    type Runtime = ManagedRuntime.ManagedRuntime<ResultCache.ResultCache, unknown>
    const calls = async (runtime: Runtime) => {
      const [normal, strong] = await runtime.runPromise(Effect.all([make("normal"), make("strong", "strong")]))
      return {
        normal: (width: number, count: number) => runtime.runPromise(inFibers(width, count, normal)),
        strong: (width: number, count: number) => runtime.runPromise(inFibers(width, count, strong))
      }
    }
    const memory = await calls(inMemory)
    const remote = await calls(inRedis)
    await bare.set("bare", Buffer.alloc(1024))

    const tables: Array<Table> = []
    for (const width of widths) {
      const count = smoke ? 64 : width === 1 ? 500 : 6400
      const before = executions
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      const samples = await paired({
        "getBuffer": () => inPromises(width, count, () => bare.getBuffer("bare")),
        "normal, from memory": () => memory.normal(width, count * 10),
        "strong, from memory": () => memory.strong(width, count),
        "normal, from Redis": () => remote.normal(width, count),
        "strong, from Redis": () => remote.strong(width, count)
      }, { rounds: quick ? 12 : 60, warmups: 3, millis: quick ? 2000 : 4000 })
      check(executions === before && before === 4 * total, "everything that is measured has to be a hit")
      tables.push(table(width, samples))
    }
    return {
      tables,
      goals: [],
      notes: ["\"getBuffer\", of as many bytes, is what a round trip costs."]
    }
  } finally {
    await Promise.all([inMemory.dispose(), inRedis.dispose(), bare.quit()])
    await redis.stop()
  }
}

const table = (width: number, samples: Samples): Table => ({
  title: `Hits per second, 1 KB, ${width === 1 ? "one at a time" : `${width} at once`}`,
  columns: ["", "per second", "quartiles", "of getBuffer", "of the normal hit from Redis"],
  rows: Object.keys(samples).map((name) =>
    row(
      name,
      cells(distribution(samples[name]!), whole),
      times(ratio(samples, name, "getBuffer").median),
      times(ratio(samples, name, "normal, from Redis").median)
    )
  )
})
