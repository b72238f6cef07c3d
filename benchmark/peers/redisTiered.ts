/**
 * Memory over Redis: a hit from memory, and the first hit of a process that has nothing in memory yet.
 */
import { Redis } from "ioredis"
import { setTimeout } from "node:timers/promises"
import { Article, article, articleTags, check, type Settings } from "../fixtures.ts"
import { startRedis } from "../redis/server.ts"
import type { Report, Table } from "../report.ts"
import { compare, type Comparison, type Subject } from "./compare.ts"
import { commandsSo } from "./redisCounts.ts"
import { calibrate, type Ids } from "./redisLoops.ts"
import * as Peers from "./redisPeers.ts"
import { probe, type Probed } from "./redisProbe.ts"
import { versions } from "./versions.ts"

interface Entrant {
  readonly candidate: Peers.Candidate
  readonly tags: boolean
}

const entrants: ReadonlyArray<Entrant> = [
  { candidate: Peers.effectCached, tags: true },
  { candidate: Peers.effectCachedFromPromises, tags: true },
  { candidate: { ...Peers.bento, name: "bentocache, tags" }, tags: true },
  { candidate: Peers.bento, tags: false },
  { candidate: { ...Peers.cacheable, name: "cacheable, get and set with tags" }, tags: true },
  { candidate: { ...Peers.cacheable, name: "cacheable, getOrSet" }, tags: false },
  { candidate: Peers.cacheManager, tags: false },
  { candidate: Peers.ocache, tags: false },
  { candidate: Peers.persistedCache, tags: false }
]
const own = Peers.effectCached.name

// Names of keys have the same length, so that one tells those of the others.
const firstId = 1_000_000
const inMemory = 64

// How many hits are made while the commands are counted.
const asked = 100

export const run = async (settings: Settings): Promise<Report> => {
  const redis = await startRedis()
  const observer = new Redis(redis.url)
  const closing: Array<() => Promise<unknown>> = [() => observer.quit()]
  try {
    const worlds: Array<World> = []
    for (const [index, { candidate, tags }] of entrants.entries()) {
      // oxlint-disable no-await-in-loop -- one at a time, so that its executions are its own
      const found = await probe(candidate, { url: `${redis.url}/15`, memory: true, tags, settings })
      const world = await makeWorld({ candidate, tags }, found, `${redis.url}/${index}`)
      closing.push(world.close)
      worlds.push(world)
    }

    const { quick, smoke } = settings
    const millis = { warmUp: smoke ? 0 : quick ? 50 : 300, sample: smoke ? 0 : quick ? 5 : 20 }
    const commands = new Map<string, number>()
    const hits: Array<Subject> = []
    for (const { hit, latencies, subject } of worlds) {
      const count = await calibrate(10, hit, millis)
      const before = await commandsSo(observer)
      await hit(asked)
      commands.set(subject.name, (await commandsSo(observer) - before) / asked)
      hits.push({ ...subject, sample: () => hit(count), latencies: quick ? undefined : latencies })
    }
    const memory = await compare({
      title: "A hit from memory, with Redis behind it",
      subjects: hits,
      settings,
      millis: quick ? 600 : 3000,
      operations: 2000,
      control: own,
      scale: "log"
    })
    const batch = smoke ? 4 : quick ? 16 : 64
    const first = await compare({
      title: "The first hit of a process that has nothing in memory yet",
      subjects: worlds.map(({ firstHits, subject }) => Object.assign({ sample: () => firstHits(batch) }, subject)),
      settings,
      rounds: quick ? 10 : 40,
      millis: quick ? 800 : 4000,
      control: own
    })
    return {
      tables: [withCommands(memory, commands), first.table],
      figures: [...memory.figures, ...first.figures],
      goals: [],
      notes: [
        versions("effect-cached", "bentocache", "cacheable", "cache-manager", "ocache", "effect"),
        "A value is an article of 1 KB, one call after the other. async-cache-dedupe has no tiers. \"commands\" is what redis-server is asked per hit.",
        ...(quick ? ["Left out in a quick run: p99."] : [])
      ]
    }
  } finally {
    await Promise.all(closing.map((close) => close()))
    await redis.stop()
  }
}

const withCommands = ({ table }: Comparison, commands: ReadonlyMap<string, number>): Table => ({
  ...table,
  columns: table.columns.toSpliced(-1, 0, "commands"),
  rows: table.rows.map((cells) => cells.toSpliced(-1, 0, commands.get(cells[0]!)!.toFixed(1)))
})

type World = Awaited<ReturnType<typeof makeWorld>>

// Two caches as two processes have them: what one has computed is new to the other.
const makeWorld = async ({ candidate, tags }: Entrant, found: Probed, url: string) => {
  let executions = 0
  const observer = new Redis(url)
  const make = () =>
    candidate.make<Article>({
      url,
      schema: Article,
      compute: (id) => (executions++, article(id)),
      delay: 0,
      memory: true,
      tags: tags ? articleTags : undefined
    })
  const [writer, reader] = await Promise.all([make(), make()])
  const warm: Ids = (_, index) => firstId + index % inMemory
  let next = firstId
  const write = async (count: number): Promise<Ids> => {
    const from = next
    next += count
    const before = executions
    await writer.run(1, count, (_, index) => from + index)
    check(executions === before + count, `${candidate.name}: a cold key has to be computed`)
    await written(observer, from, count)
    return (_, index) => from + index
  }
  await reader.run(1, inMemory, await write(inMemory))
  const subject: Omit<Subject, "sample"> = {
    name: candidate.name,
    own: candidate.own === true,
    ...found
  }
  const hit = async (count: number, each?: (nanos: number) => void) => {
    const before = executions
    const nanos = await reader.run(1, count, warm, each)
    check(executions === before, `${candidate.name}: everything that is measured has to be a hit`)
    return nanos
  }
  return {
    subject,
    hit,
    latencies: async (count: number) => {
      const nanos: Array<number> = []
      await hit(count, (one) => nanos.push(one))
      return nanos
    },
    firstHits: async (count: number) => {
      const ids = await write(count)
      const before = executions
      const nanos = await reader.run(1, count, ids)
      check(executions === before, `${candidate.name}: what another process has stored has to be a hit`)
      return nanos
    },
    close: async () => {
      await Promise.all([writer.close(), reader.close()])
      await observer.quit()
    }
  }
}

// Some write in the background.
const written = async (redis: Redis, from: number, count: number): Promise<void> => {
  const names = (await redis.keys(`*${firstId}*`)).filter((name) => !name.includes(":lease:"))
  const expected = names.flatMap((name) =>
    Array.from({ length: count }, (_, index) => name.replaceAll(String(firstId), String(from + index)))
  )
  if (expected.length > 0 && await redis.exists(...expected) === expected.length) return
  await setTimeout(1)
  return written(redis, from, count)
}
