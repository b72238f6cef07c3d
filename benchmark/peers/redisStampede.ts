/**
 * Many callers of one cold key at once, in two caches that share one Redis as two processes do.
 */
import { Schema } from "effect"
import { check, type Settings } from "../fixtures.ts"
import { distribution } from "../paired.ts"
import { startRedis } from "../redis/server.ts"
import { cells, type Report, row, time, times } from "../report.ts"
import { compare, difference, type Subject } from "./compare.ts"
import * as Peers from "./redisPeers.ts"
import { probe } from "./redisProbe.ts"
import { versions } from "./versions.ts"

const computation = 50
const callers = 500
const instances = 2

const entrants: ReadonlyArray<{ readonly candidate: Peers.Candidate; readonly tags: boolean }> = [
  { candidate: Peers.effectCached, tags: true },
  { candidate: Peers.bento, tags: false },
  { candidate: { ...Peers.cacheable, name: "cacheable, getOrSet" }, tags: false },
  { candidate: Peers.cacheManager, tags: false },
  { candidate: { ...Peers.dedupe, differs: "has Redis alone" }, tags: false },
  { candidate: Peers.ocache, tags: false },
  { candidate: Peers.persistedCache, tags: false }
]
const own = Peers.effectCached.name

export const run = async (settings: Settings): Promise<Report> => {
  const redis = await startRedis()
  const closing: Array<() => Promise<unknown>> = []
  try {
    const subjects: Array<Subject> = []
    const counts = new Map<string, { executions: number; keys: number }>()
    for (const [index, { candidate, tags }] of entrants.entries()) {
      const url = `${redis.url}/${index}`
      // oxlint-disable no-await-in-loop -- one at a time, so that its executions are its own
      const found = await probe(candidate, { url: `${redis.url}/15`, memory: true, tags, settings })
      const count = { executions: 0, keys: 0 }
      counts.set(candidate.name, count)
      const together = await Promise.all(Array.from({ length: instances }, () =>
        candidate.make<number>({
          url,
          schema: Schema.Number,
          compute: (id) => (count.executions++, id),
          delay: computation,
          memory: true,
          tags: tags ? () => ["all"] : undefined
        })))
      closing.push(...together.map(({ close }) => close))
      subjects.push({
        name: candidate.name,
        own: candidate.own === true,
        ...found,
        sample: async () => {
          const key = ++count.keys
          const start = performance.now()
          await Promise.all(together.map(({ run }) => run(callers, callers, () => key)))
          const nanos = (performance.now() - start) * 1e6
          check(count.executions >= key, `${candidate.name}: a cold key has to be computed`)
          check(await together[1]!.get(key) === key, `${candidate.name}: everyone gets the result`)
          return nanos - computation * 1e6
        }
      })
    }
    const comparison = await compare({
      title:
        `${instances} caches on one Redis, ${callers} callers of a cold key in each, computation of ${computation} ms: time beyond it`,
      subjects,
      settings,
      rounds: settings.quick ? 5 : 30,
      warmups: 2,
      millis: settings.quick ? 2500 : 10_000,
      control: own,
      scale: "log"
    })
    const perKey = ({ name }: Subject) => counts.get(name)!.executions / counts.get(name)!.keys
    return {
      tables: [{
        title: comparison.table.title,
        columns: ["", "executions", "median", "quartiles", `of ${own}'s`, "differs"],
        rows: subjects.map((subject) =>
          row(
            subject.name,
            times(perKey(subject)),
            cells(distribution(comparison.samples[subject.name]!), time),
            subject.name === own ? "" : times(comparison.ratio(subject.name, own).median),
            difference(subject)
          )
        )
      }],
      figures: comparison.figures,
      goals: [{
        goal: `${instances} × ${callers} callers of a cold key over Redis: one execution in all`,
        measured: `${times(perKey(subjects[0]!))} executions per key`,
        pass: perKey(subjects[0]!) === 1
      }],
      notes: [
        versions("effect-cached", "bentocache", "cacheable", "cache-manager", "async-cache-dedupe", "ocache", "effect"),
        "Both caches are in one process, each with connections and memory of its own. The time begins when the first caller asks and ends when the last has its answer, without the computation.",
        "Who computes twice does not wait for the other: a time is to be read together with the executions."
      ]
    }
  } finally {
    await Promise.all(closing.map((close) => close()))
    await redis.stop()
  }
}
