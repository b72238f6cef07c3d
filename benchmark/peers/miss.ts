/**
 * A miss with a free computation, in a full cache: all of it is the cache's own work.
 */
import { Article, article, articleTags, check, type Settings } from "../fixtures.ts"
import type { Report } from "../report.ts"
import { candidates, packages } from "./candidates.ts"
import { compare, type Subject } from "./compare.ts"
import { type Probed, probed } from "./probe.ts"
import { versions } from "./versions.ts"

export const run = async (settings: Settings): Promise<Report> => {
  const found = await probed(candidates.filter(({ unbounded }) => unbounded !== true))
  const maxEntries = settings.smoke ? 10 : 1000
  const made = article(1)
  let executions = 0
  let reads = 0
  const subjects: Array<Subject> = []
  // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
  for (const one of found) subjects.push(await subject(one))
  const comparison = await compare({
    title: `Miss with a free computation: 1 KB, in a full cache of ${maxEntries} entries`,
    subjects,
    settings,
    millis: settings.quick ? 2000 : 7000,
    operations: settings.quick ? 1000 : 3000,
    control: "effect-cached",
    scale: "log"
  })
  check(executions === reads, "every operation has to be a miss")
  return {
    tables: [comparison.table],
    figures: comparison.figures,
    goals: [],
    notes: [versions(...packages), "Three tags on each result, one of them on all, for those that have tags."]
  }

  async function subject({ about, candidate }: Probed): Promise<Subject> {
    const world = await candidate.make({
      schema: Article,
      compute: () => (executions++, made),
      tags: articleTags,
      maxEntries
    })
    let next = 0
    const idOf = () => (reads++, next++)
    await world.reads(2 * maxEntries, idOf)
    const nanos = await world.reads(settings.smoke ? 5 : 300, idOf)
    const count = settings.smoke ? 5 : Math.max(20, Math.min(2000, Math.round(4e6 / nanos)))
    return {
      ...about,
      sample: () => world.reads(count, idOf),
      latencies: (operations) => world.latencies(operations, idOf),
      close: world.close
    }
  }
}
