/**
 * A hit from Redis, against a bare `getBuffer` of the same bytes.
 */
import { Effect, ManagedRuntime, Schema } from "effect"
import { Cached, Codec, Store } from "effect-cached"
import { Redis } from "ioredis"
import { Article, articleTags, check, type Settings } from "../fixtures.ts"
import { distribution, paired, ratio, type Samples } from "../paired.ts"
import { inFibers, inPromises, keysPerCaller, longArticle, onlyRedis } from "../redis/caches.ts"
import { startRedis } from "../redis/server.ts"
import { cells, type Goal, goal, type Report, row, type Table, times, whole } from "../report.ts"

const sizes = { "1 KB": 700, "10 KB": 10_000 } as const
const widths = [64, 1] as const
const namespace = "benchmark"

type Size = keyof typeof sizes
type Width = (typeof widths)[number]

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const redis = await startRedis()
  try {
    const measured: Array<Measured> = []
    for (const size of (smoke ? ["1 KB"] : Object.keys(sizes)) as ReadonlyArray<Size>) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      measured.push(...await measure(redis.url, size, { quick, smoke }))
    }
    const largest = measured.at(-1)!
    return {
      tables: measured.map(table),
      goals: measured.filter(({ width }) => width === 64).flatMap(goals),
      notes: [
        "\"getBuffer\" is ioredis as it is, \"pipelined getBuffer\" is ioredis with enableAutoPipelining.",
        "\"getBuffer and decode\" is the latter in fibers with the codec's decoding, and nothing else.",
        `Of a result of ${largest.size}, Redis holds ${whole(largest.bytes)} bytes.`
      ]
    }
  } finally {
    await redis.stop()
  }
}

interface Measured {
  readonly size: Size
  readonly width: Width
  /** What Redis holds of one entry. */
  readonly bytes: number
  readonly samples: Samples
  readonly perCpu: Samples
}

const measure = async (url: string, size: Size, { quick, smoke }: Settings): Promise<ReadonlyArray<Measured>> => {
  const bare = new Redis(url)
  const pipelined = new Redis(url, { enableAutoPipelining: true })
  const runtime = ManagedRuntime.make(onlyRedis(url, `${namespace} ${size}`))
  try {
    let executions = 0
    const total = Math.max(...widths) * keysPerCaller
    const { articleOf, decode, get, keys } = await runtime.runPromise(Effect.gen(function*() {
      const articleOf = yield* Cached.make("article", {
        input: { id: Schema.Number },
        success: Article,
        deps: ({ id }) => articleTags(id)
      }, ({ id }) => Effect.sync(() => (executions++, longArticle(id, sizes[size]))))
      yield* Effect.forEach(Array.from({ length: total }, (_, id) => id), (id) => articleOf({ id }), {
        concurrency: 64,
        discard: true
      })
      const { get } = yield* Store.Store
      const codec = yield* Codec.Codec
      const keys = Array.from({ length: total }, (_, id) => `article\t{"id":${id}}`)
      for (const [id, key] of keys.entries()) {
        const entry = yield* get(key)
        check(entry?.key === key, "every entry has to be in Redis")
        const encoded = yield* codec.encode(entry!)
        yield* Effect.promise(() => bare.set(`encoded ${id}`, Buffer.from(encoded)))
      }
      return { articleOf, decode: codec.decode, get, keys }
    }))
    // The key that Redis has for an entry is the store's own affair, so it is looked up.
    const redisKeys = (await allKeys(bare)).filter((key) => key.startsWith(`${namespace} ${size}`))
    const names = keys.map((_, id) => redisKeys.find((key) => key.endsWith(`"id":${id}}`))!)
    check(names.every((name) => name !== undefined), "every entry has a key in Redis")
    const bytes = await bare.strlen(names[7]!)

    const measured: Array<Measured> = []
    for (const width of widths) {
      const count = smoke ? 64 : width === 1 ? 500 : 6400
      const inRuntime = (operation: (key: number) => Effect.Effect<unknown, unknown>) => () =>
        runtime.runPromise(inFibers(width, count, operation))
      const subjects: Record<string, () => Promise<number>> = {
        "getBuffer": () => inPromises(width, count, (key) => bare.getBuffer(names[key]!)),
        "pipelined getBuffer": () => inPromises(width, count, (key) => pipelined.getBuffer(names[key]!)),
        "getBuffer and decode": inRuntime((key) =>
          Effect.flatMap(Effect.promise(() => pipelined.getBuffer(`encoded ${key}`)), (bytes) => decode(bytes!))
        ),
        "RedisStore.get": inRuntime((key) => get(keys[key]!)),
        "cached function": inRuntime((key) => articleOf({ id: key }))
      }
      const cpu: Record<string, Array<number>> = {}
      const before = executions
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      const samples = await paired(
        Object.fromEntries(
          Object.entries(subjects).map(([name, subject]) => [name, async () => {
            const start = process.cpuUsage()
            const figure = await subject()
            const { system, user } = process.cpuUsage(start)
            ;(cpu[name] ??= []).push(count / (system + user) * 1e6)
            return figure
          }])
        ),
        { rounds: quick ? 12 : 60, warmups: 3, millis: quick ? 1500 : 2500 }
      )
      check(executions === before, "everything that is measured has to be a hit")
      const rounds = samples["getBuffer"]!.length
      const perCpu = Object.fromEntries(Object.entries(cpu).map(([name, figures]) => [name, figures.slice(-rounds)]))
      measured.push({ size, width, bytes, samples, perCpu })
    }
    check(executions === total, "every entry is computed once")
    return measured
  } finally {
    await runtime.dispose()
    await Promise.all([bare.quit(), pipelined.quit()])
  }
}

const allKeys = async (redis: Redis): Promise<ReadonlyArray<string>> => {
  const keys: Array<string> = []
  for await (const page of redis.scanStream({ count: 1000 })) keys.push(...page as ReadonlyArray<string>)
  return keys
}

const table = ({ perCpu, samples, size, width }: Measured): Table => ({
  title: `Hits per second from Redis, ${size}, ${width === 1 ? "one at a time" : `${width} at once`}`,
  columns: [
    "",
    "per second",
    "quartiles",
    "of getBuffer",
    "quartiles",
    "of pipelined",
    "per second of CPU",
    "of getBuffer"
  ],
  rows: Object.keys(samples).map((name) =>
    row(
      name,
      cells(distribution(samples[name]!), whole),
      cells(ratio(samples, name, "getBuffer"), times),
      times(ratio(samples, name, "pipelined getBuffer").median),
      whole(distribution(perCpu[name]!).median),
      times(ratio(perCpu, name, "getBuffer").median)
    )
  )
})

const goals = ({ samples, size, width }: Measured): ReadonlyArray<Goal> =>
  ["RedisStore.get", "cached function"].map((name) =>
    goal(
      `${name}, ${size}, ${width} at once, of getBuffer's throughput: at least 0.80`,
      ratio(samples, name, "getBuffer"),
      { atLeast: 0.8 }
    )
  )
