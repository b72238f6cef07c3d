/**
 * A hit that comes from Redis every time, because nothing is kept in memory.
 */
import { Schema } from "effect"
import { Redis } from "ioredis"
import { Article, check, type Settings } from "../fixtures.ts"
import { distribution } from "../paired.ts"
import { longArticle } from "../redis/caches.ts"
import { type RedisServer, startRedis } from "../redis/server.ts"
import { type Figure, type Goal, goal, type Report, stated, type Table, time } from "../report.ts"
import { allGuarantees, compare, type Comparison, type Subject } from "./compare.ts"
import { commandsSo, serverCpu } from "./redisCounts.ts"
import { calibrate, type Ids, inPromises, type Run, untilStored } from "./redisLoops.ts"
import * as Peers from "./redisPeers.ts"
import { probe, type Probed } from "./redisProbe.ts"
import { versions } from "./versions.ts"

/** A value is a page of so many articles, of about 1 KB each. */
const Page = Schema.Struct({ number: Schema.Number, articles: Schema.Array(Article) })
type Page = typeof Page.Type

const sizes = { "1 KB": 1, "10 KB": 10, "100 KB": 100 } as const
type Size = keyof typeof sizes

const pages = (size: Size): ReadonlyArray<Page> =>
  Array.from({ length: keys }, (_, number) => ({
    number,
    articles: Array.from({ length: sizes[size] }, (_, index) => longArticle(number * 100 + index, 700))
  }))
const pageTags = (number: number): ReadonlyArray<string> => [`page:${number}`, "pages", `author:${number}`]

const widths = [64, 1] as const
type Width = (typeof widths)[number]

// How many calls are made while the commands are counted.
const asked = 64

// Every caller has a key of its own, so that nobody waits together with another.
const keys = Math.max(...widths)
const ids: Ids = (caller) => caller

interface Entrant {
  readonly candidate: Peers.Candidate
  readonly tags: boolean
}

const entrants: ReadonlyArray<Entrant> = [
  { candidate: Peers.effectCached, tags: true },
  { candidate: Peers.effectCachedFromPromises, tags: true },
  { candidate: Peers.bento, tags: false },
  { candidate: Peers.bentoPipelined, tags: false },
  { candidate: { ...Peers.bento, name: "bentocache, tags" }, tags: true },
  { candidate: Peers.cacheable, tags: false },
  { candidate: { ...Peers.cacheable, name: "cacheable, get and set with tags" }, tags: true },
  { candidate: Peers.cacheManager, tags: false },
  { candidate: Peers.dedupe, tags: false },
  { candidate: Peers.dedupePipelined, tags: false },
  { candidate: Peers.ocache, tags: false },
  { candidate: Peers.persistedCache, tags: false }
]

export const run = async (settings: Settings): Promise<Report> => {
  const found = new Map<string, Probed>()
  const measured: Array<Measured> = []
  for (const size of Object.keys(sizes) as ReadonlyArray<Size>) {
    if (settings.quick && size !== "1 KB") continue
    // oxlint-disable no-await-in-loop -- one after the other is the point
    const redis = await startRedis()
    try {
      measured.push(...await measure(redis, size, settings, found))
    } finally {
      await redis.stop()
    }
  }
  return {
    tables: measured.map(table),
    goals: measured.filter(({ width }) => width === 64).flatMap(reached),
    figures: measured.flatMap(({ comparison }): ReadonlyArray<Figure> => comparison.figures),
    notes: [
      versions(
        "effect-cached",
        "bentocache",
        "cacheable",
        "cache-manager",
        "@keyv/redis",
        "async-cache-dedupe",
        "ocache",
        "effect",
        "ioredis"
      ),
      "A value is a page of 1, 10 or 100 articles of 1 KB each. Nothing is kept in memory.",
      "\"pipelined\" is the option enableAutoPipelining of ioredis, which effect-cached sets for its own connection, and which no page of the others asks for; the client of @keyv/redis, which cacheable and cache-manager use, sends together what is asked for in one turn by itself.",
      "\"CPU\" is what this process takes per call, \"of Redis\" what redis-server takes, \"commands\" what it is asked.",
      "Entries of effect-cached carry three tags; those of the others none, where the row does not say so.",
      ...(settings.quick
        ? ["Left out in a quick run: 10 KB, 100 KB, p99, and most of the time that code takes to be compiled."]
        : [])
    ]
  }
}

interface Measured {
  readonly size: Size
  readonly width: Width
  readonly comparison: Comparison
  readonly costs: ReadonlyMap<string, Costs>
}

interface Costs {
  readonly client: Array<number>
  readonly server: Array<number>
  commands: number
}

const measure = async (
  redis: RedisServer,
  size: Size,
  settings: Settings,
  found: Map<string, Probed>
): Promise<ReadonlyArray<Measured>> => {
  const { quick, smoke } = settings
  const observer = new Redis(redis.url)
  const closing: Array<() => Promise<unknown>> = [() => observer.quit()]
  try {
    const works: Array<{ readonly subject: Omit<Subject, "sample">; readonly run: Run }> = []
    const values = pages(size)
    let executions = 0
    for (const [index, { candidate, tags }] of entrants.entries()) {
      const url = `${redis.url}/${index + 1}`
      if (!found.has(candidate.name)) {
        found.set(candidate.name, await probe(candidate, { url, memory: false, tags, settings }))
      }
      const instance = await candidate.make<Page>({
        url,
        schema: Page,
        compute: (number) => (executions++, values[number]!),
        delay: 0,
        memory: false,
        tags: tags ? (number) => pageTags(number) : undefined
      })
      closing.push(instance.close)
      await untilStored(
        () => instance.run(16, keys, (caller, index) => caller + index * 16),
        () => executions
      )
      check((await instance.get(1)).articles.length === sizes[size], "a value has to be what was computed")
      works.push({
        subject: {
          name: candidate.name,
          own: candidate.own === true,
          ...found.get(candidate.name)!
        },
        run: instance.run
      })
    }
    const expected = executions
    check(expected >= entrants.length * keys, "every value has to be computed")

    for (let id = 0; id < keys; id++) await observer.set(`bare:${id}`, JSON.stringify(values[id]))
    const pipelined = new Redis(redis.url, { enableAutoPipelining: true })
    closing.push(() => pipelined.quit())
    const control = (name: string, differs: string, get: (id: number) => unknown) =>
      works.push({ subject: { name, control: true, gives: allGuarantees, differs }, run: inPromises(get) })
    control("getBuffer", "the bytes of the JSON", (id) => observer.getBuffer(`bare:${id}`))
    control("getBuffer, pipelined", "the bytes of the JSON", (id) => pipelined.getBuffer(`bare:${id}`))
    control(
      "getBuffer, pipelined, JSON.parse",
      "the parsed JSON",
      async (id) => JSON.parse((await pipelined.getBuffer(`bare:${id}`))!.toString())
    )

    const measured: Array<Measured> = []
    for (const width of widths) {
      if (smoke && width === 1) continue
      const costs = new Map<string, Costs>()
      const subjects: Array<Subject> = []
      for (const { run, subject } of works) {
        const cost: Costs = { client: [], server: [], commands: 0 }
        costs.set(subject.name, cost)
        // The first table is where the code is compiled.
        const warmUp = smoke ? 0 : size === "1 KB" && width === 64 ? quick ? 150 : 400 : 50
        const step = size === "1 KB" ? width * 4 : width
        const count = await calibrate(step, (count) => run(width, count, ids), {
          warmUp,
          sample: smoke ? 0 : quick ? 5 : 8
        })
        const before = await commandsSo(observer)
        await run(width, asked, ids)
        cost.commands = (await commandsSo(observer) - before) / asked
        const sample = async () => {
          const server = await serverCpu(observer)
          const start = process.cpuUsage()
          const nanos = await run(width, count, ids)
          const { system, user } = process.cpuUsage(start)
          cost.client.push((system + user) * 1000 / count)
          cost.server.push((await serverCpu(observer) - server) / count)
          return nanos
        }
        const latencies = async (count: number) => {
          const nanos: Array<number> = []
          await run(width, Math.max(count, width), ids, (one) => nanos.push(one))
          return nanos
        }
        subjects.push({ ...subject, sample, latencies: quick || size !== "1 KB" ? undefined : latencies })
      }
      const comparison = await compare({
        title: `A hit from Redis, ${size}, ${width === 1 ? "one at a time" : `${width} at once`}`,
        subjects,
        settings,
        millis: quick ? 400 : 1500,
        operations: 1000,
        control: Peers.effectCached.name
      })
      measured.push({ size, width, comparison, costs })
    }
    check(executions === expected, "everything that is measured has to be a hit")
    return measured
  } finally {
    await Promise.all(closing.map((close) => close()))
  }
}

const table = ({ comparison, costs }: Measured): Table => {
  const { columns, rows, title } = comparison.table
  const median = (name: string, figures: ReadonlyArray<number>) =>
    time(distribution(figures.slice(-comparison.samples[name]!.length)).median)
  return {
    title,
    columns: columns.toSpliced(-1, 0, "CPU", "of Redis", "commands"),
    rows: rows.map((cells) => {
      const name = cells[0]!
      const { client, commands, server } = costs.get(name)!
      return cells.toSpliced(-1, 0, median(name, client), median(name, server), commands.toFixed(1))
    })
  }
}

const reached = ({ comparison, size }: Measured): ReadonlyArray<Goal> => {
  const documented = comparison.fastest(({ name }) => !name.endsWith(", pipelined"))
  const any = comparison.fastest()
  const atLeastAsFast = (peer: string, of: string) =>
    goal(
      `Redis hit, ${size}, 64 concurrent: at least as fast as the fastest peer${of} (${peer})`,
      comparison.ratio(peer, Peers.effectCached.name),
      { atLeast: 1 }
    )
  return [
    stated(
      atLeastAsFast(documented, ""),
      "Others parse a text and hand it out. Here an entry has a checksum and the fingerprint of its schema, its tags are " +
        "compared with the invalidations so far, the result has the types of its schema and is frozen, and a caller can be interrupted."
    ),
    atLeastAsFast(any, ", with a client that pipelines")
  ]
}
