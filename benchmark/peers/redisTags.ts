/**
 * Invalidates a tag that many entries in Redis have, then reads one of them. Nothing is kept in memory.
 */
import { Schema } from "effect"
import { Redis } from "ioredis"
import { setTimeout } from "node:timers/promises"
import { check, type Settings } from "../fixtures.ts"
import { distribution, ratio, type Samples } from "../paired.ts"
import { startRedis } from "../redis/server.ts"
import { goal, type Report, stated, whole } from "../report.ts"
import { allGuarantees, compare, type Comparison, type Subject, summary } from "./compare.ts"
import { untilStored } from "./redisLoops.ts"
import * as Peers from "./redisPeers.ts"
import { probe } from "./redisProbe.ts"
import { versions } from "./versions.ts"

interface Entrant {
  readonly candidate: Peers.Candidate
  /** An invalidation removes the entries, so that they have to be there again for the next. */
  readonly removes?: boolean
}

const entrants: ReadonlyArray<Entrant> = [
  { candidate: Peers.effectCached },
  { candidate: { ...Peers.bento, name: "bentocache, tags", differs: "a hit asks Redis for each of its tags" } },
  {
    candidate: {
      ...Peers.cacheable,
      name: "cacheable, get and set with tags",
      differs: "a hit asks Redis for its tags"
    }
  },
  { candidate: { ...Peers.dedupe, name: "async-cache-dedupe, references" }, removes: true }
]
const own = Peers.effectCached.name

// So many are computed, the rest is copied by Redis. All names of keys have the same length.
const computed = 100
const firstId = 1_000_000
const idOf = (index: number): number => firstId + index

export const run = async (settings: Settings): Promise<Report> => {
  const sizes = settings.smoke ? [100, 200] : settings.quick ? [100, 10_000] : [100, 10_000, 100_000]
  const redis = await startRedis()
  const closing: Array<() => Promise<unknown>> = []
  try {
    const subjects: Array<Subject> = []
    const once: Array<string> = []
    // What takes seconds, once its code is warm.
    const later: Array<() => Promise<void>> = []
    const reads: Record<string, Array<number>> = {}
    for (const [index, entrant] of entrants.entries()) {
      // oxlint-disable no-await-in-loop -- one at a time, so that its executions are its own
      const about = {
        own: entrant.candidate.own === true,
        ...await probe(entrant.candidate, { url: `${redis.url}/15`, memory: false, tags: true, settings })
      }
      check(about.gives.tags, `${entrant.candidate.name} has tags`)
      for (const [position, size] of sizes.entries()) {
        const name = named(entrant.candidate.name, size)
        const url = `${redis.url}/${index * sizes.length + position}`
        const { close, sample } = await makeWorld(entrant, url, size, settings)
        closing.push(close)
        if (entrant.removes === true && size > mostRemoved) {
          later.push(async () => {
            const { invalidation } = await sample()
            once.push(
              `${entrant.candidate.name}, of ${whole(size)} entries, is measured once, after the others: about ${
                (invalidation / 1e9).toFixed(1)
              } s.`
            )
          })
          continue
        }
        subjects.push({
          ...about,
          name,
          sample: async () => {
            const { invalidation, read } = await sample()
            ;(reads[name] ??= []).push(read)
            return invalidation
          }
        })
      }
    }
    for (const [index, floor] of floors.entries()) {
      const connection = new Redis(`${redis.url}/14`)
      closing.push(() => connection.quit())
      subjects.push(bare(floor.name, await floor.make(connection, `floor:${index}`)))
    }
    const { samples } = await compare({
      title: "Invalidate a tag over Redis",
      subjects,
      settings,
      rounds: settings.quick ? 6 : 30,
      warmups: 1,
      millis: settings.quick ? 1500 : 8000,
      control: named(own, sizes[0]!)
    })
    for (const measureOnce of later) await measureOnce()
    const next: Samples = Object.fromEntries(
      Object.entries(reads).map(([name, figures]) => [name, figures.slice(-samples[name]!.length)])
    )
    const among = (size: number) =>
      entrants.map(({ candidate }) => candidate.name).filter((name) => named(name, size) in samples)
    const tableOf = (title: string, size: number, of: Samples): Comparison => {
      const bares = subjects.filter(({ name }) => name in of && floors.some((floor) => floor.name === name))
      return summary(
        {
          title,
          subjects: [
            ...among(size).map((name) =>
              Object.assign({}, subjects.find((subject) => subject.name === named(name, size)), { name })
            ),
            ...bares
          ],
          control: own,
          scale: "log"
        },
        Object.fromEntries([
          ...among(size).map((name) => [name, of[named(name, size)]!] as const),
          ...bares.map(({ name }) => [name, of[name]!] as const)
        ])
      )
    }
    const invalidations = sizes.map((size) =>
      tableOf(`Invalidate a tag of ${whole(size)} entries in Redis`, size, samples)
    )
    const afterwards = sizes.map((size) =>
      tableOf(`The read after that, of ${whole(size)} entries in Redis: the result is computed again`, size, next)
    )
    const works = sizes.flatMap((_, index) => [invalidations[index]!, afterwards[index]!])
    const [least, most] = [sizes[0]!, sizes.at(-1)!]
    return {
      tables: works.map(({ table }) => table),
      figures: works.flatMap(({ figures }) => figures),
      goals: [
        stated(goal(
          `invalidation over Redis flat: with ${
            whole(most)
          } entries under the tag at most 1.3 times that with ${least}`,
          ratio(samples, named(own, most), named(own, least)),
          { atMost: 1.3 }
        )),
        ...sizes.map((size, index) => {
          const work = invalidations[index]!
          const peer = work.fastest()
          return stated(
            goal(
              `invalidation over Redis with ${
                whole(size)
              } entries faster than every peer with tags (the next: ${peer})`,
              work.ratio(peer, own),
              { atLeast: 1 }
            ),
            "An invalidation here is a record in a log in Redis, which a script appends and which every process is told of in order. The " +
              "others write one key or one counter, and every hit from Redis has to ask for its tags. A script that does no more than " +
              "read the time and append takes as long as the row says that is called so."
          )
        })
      ],
      notes: [
        versions("effect-cached", "bentocache", "cacheable", "@keyv/redis", "async-cache-dedupe"),
        "The results are numbers, and each has the one tag. 100 are computed, and Redis copies the rest. Those that remove entries when a tag ends have all of them put there again each time; those that only note the tag keep them.",
        "An invalidation of effect-cached is a record that every process hears of; those of the others are read by who reads an entry with the tag.",
        "Between a read and the next invalidation there are two milliseconds, for what is written behind the answer of the read: of effect-cached, whose reads do not wait for it, it is in neither row. SET, XADD and the script are calls of ioredis that do nothing else, and are not followed by a read.",
        ...once,
        ...(settings.quick ? ["Left out in a quick run: 100 000 entries."] : [])
      ]
    }
  } finally {
    await Promise.all(closing.map((close) => close()))
    await redis.stop()
  }
}

// What a read still writes behind its answer is no part of the invalidation after it.
const quiet = () => setTimeout(2)

// What a command takes on a connection that does nothing else: the least that can be written down under a tag, and the least
// that can be appended to a log.
interface Floor {
  readonly name: string
  readonly make: (redis: Redis, key: string) => Promise<() => Promise<unknown>>
}

const length = ["MAXLEN", "~", 20_000] as const
const record = ["p", "1700000000000000-0", "t", "[\"all\"]", "h", "0123456789abcdef"] as const

const floors: ReadonlyArray<Floor> = [
  { name: "SET", make: async (redis, key) => () => redis.set(key, "1700000000000") },
  { name: "XADD", make: async (redis, key) => () => redis.call("XADD", key, ...length, "*", ...record) },
  {
    name: "TIME and XADD in a script",
    make: async (redis, key) => {
      const sha = String(await redis.call("SCRIPT", "LOAD", leastScript))
      return () => redis.call("EVALSHA", sha, 1, key, ...length, ...record)
    }
  }
]

const leastScript = `
local time = redis.call("TIME")
return redis.call("XADD", KEYS[1], ARGV[1], ARGV[2], ARGV[3], string.format("%.0f-*", time[1] * 1e6 + time[2]), unpack(ARGV, 4))`

const bare = (name: string, send: () => Promise<unknown>): Subject => ({
  name,
  control: true,
  gives: allGuarantees,
  differs: "",
  sample: async () => {
    const nanos: Array<number> = []
    for (let turn = 0; turn < 10; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await quiet()
      const start = performance.now()
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await send()
      nanos.push((performance.now() - start) * 1e6)
    }
    return distribution(nanos).median
  }
})

// To remove more takes seconds, and to put them there again as well.
const mostRemoved = 1000

const named = (name: string, size: number): string => `${name}, ${size}`

const makeWorld = async ({ candidate, removes = false }: Entrant, url: string, size: number, settings: Settings) => {
  let executions = 0
  const observer = new Redis(url)
  const instance = await candidate.make<number>({
    url,
    schema: Schema.Number,
    compute: () => (executions++, 42),
    delay: 0,
    memory: false,
    tags: () => ["all"]
  })
  const invalidate = instance.invalidate!
  const fill = async () => {
    const before = executions
    await untilStored(() => instance.run(1, computed, (_, index) => idOf(index)), () => executions)
    check(executions > before, `${candidate.name}: what is not there has to be computed`)
    await copy(observer, size)
  }
  await fill()
  check(await observer.dbsize() >= size, `${candidate.name}: the entries have to be in Redis`)
  const turns = removes ? 1 : 10
  for (let turn = 0; turn < (removes || settings.quick ? 0 : 1000); turn++) {
    await invalidate("all")
    await instance.run(1, 1, () => idOf(turn % computed), () => {})
  }
  return {
    sample: async () => {
      if (removes && await observer.dbsize() < size) await fill()
      const invalidations: Array<number> = []
      const reads: Array<number> = []
      for (let turn = 0; turn < turns; turn++) {
        const id = idOf(turn)
        const before = executions
        await quiet()
        const start = performance.now()
        await invalidate("all")
        invalidations.push((performance.now() - start) * 1e6)
        await instance.run(1, 1, () => id, (nanos) => reads.push(nanos))
        check(executions === before + 1, `${candidate.name}: the read after an invalidation has to compute`)
      }
      if (removes) check(await observer.dbsize() < 10, `${candidate.name}: an invalidation removes the entries`)
      return { invalidation: distribution(invalidations).median, read: distribution(reads).median }
    },
    close: async () => {
      await instance.close()
      await observer.quit()
    }
  }
}

// Whatever a candidate has about the first entry, under its name or in a set, is there for each of the others.
const copy = async (redis: Redis, size: number): Promise<void> => {
  if (size <= computed) return
  const id = String(firstId)
  const all = await redis.keys("*")
  const sources = all.filter((key) => key.includes(id))
  const lists: Array<string> = []
  const members: Array<string> = []
  for (const key of all) {
    if (sources.includes(key) || await redis.type(key) !== "set") continue
    const member = (await redis.smembers(key)).find((member) => member.includes(id))
    if (member === undefined) continue
    lists.push(key)
    members.push(member)
  }
  for (let from = computed; from < size; from += step) {
    await redis.eval(
      script,
      sources.length + lists.length,
      ...sources,
      ...lists,
      sources.length,
      id,
      firstId + from,
      firstId + Math.min(from + step, size) - 1,
      ...members
    )
  }
}

// One after the other, so that no script takes long.
const step = 10_000

const script = `
local count = tonumber(ARGV[1])
for n = tonumber(ARGV[3]), tonumber(ARGV[4]) do
  local other = string.format("%d", n)
  for index, key in ipairs(KEYS) do
    if index <= count then
      local name = string.gsub(key, ARGV[2], other)
      redis.call("COPY", key, name, "REPLACE")
    else
      local member = string.gsub(ARGV[4 + index - count], ARGV[2], other)
      redis.call("SADD", key, member)
    end
  end
end`
