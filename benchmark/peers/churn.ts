/**
 * Hits, while 100 invalidations per second arrive of tags that only other entries have.
 */
import { Article, article, check, type Settings } from "../fixtures.ts"
import { goal, type Report } from "../report.ts"
import { candidates, packages } from "./candidates.ts"
import { compare, sameGuarantees, type Subject } from "./compare.ts"
import { type Probed, probed } from "./probe.ts"
import { versions } from "./versions.ts"

const between = 10

export const run = async (settings: Settings): Promise<Report> => {
  const others = settings.smoke ? 20 : 1000
  const everyone = await probed(candidates)
  const subjects: Array<Subject> = []
  let recomputed = 0
  for (const one of everyone) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
    if (one.about.gives.tags) subjects.push(await subject(one))
  }
  const comparison = await compare({
    title: "A hit of 1 KB, while 100 unrelated invalidations per second arrive",
    subjects,
    settings,
    rounds: settings.quick ? 7 : 30,
    warmups: 1,
    millis: settings.quick ? 2500 : 10_000,
    control: "effect-cached",
    scale: "log"
  })
  const peer = comparison.fastest(sameGuarantees)
  const any = comparison.fastest()
  return {
    tables: [comparison.table],
    figures: comparison.figures,
    goals: [
      {
        goal: "100 unrelated invalidations per second: nothing is computed again",
        measured: `${recomputed} computations`,
        pass: recomputed === 0
      },
      goal(
        `hit while 100 unrelated invalidations per second arrive: at least 1.5 times as fast as the fastest peer that gives the same guarantees (${peer})`,
        comparison.ratio(peer, "effect-cached"),
        { atLeast: 1.5 }
      ),
      goal(
        `hit while 100 unrelated invalidations per second arrive: at least as fast as the fastest of all with tags (${any}: ${
          comparison.differs(any)
        })`,
        comparison.ratio(any, "effect-cached"),
        { atLeast: 1 }
      )
    ],
    notes: [
      versions(...packages),
      "An invalidation every 10 ms and reads one after the other between them; the time is that of a read, with its share of the invalidations. The entry that is read has three tags, and each tag that ends is one of another entry."
    ]
  }

  async function subject({ about, candidate }: Probed): Promise<Subject> {
    let executions = 0
    const world = await candidate.make({
      schema: Article,
      compute: (id) => (executions++, article(id)),
      tags: (id) => [`article:${id}`, `author:${id}`, `shelf:${id % 7}`],
      maxEntries: 2 * others
    })
    await world.reads(others, (index) => index)
    await world.reads(settings.smoke ? 10 : 500, () => 0)
    check(executions === others, "each entry has to be computed once")
    let next = 0
    return {
      ...about,
      sample: async () => {
        let reads = 0
        let invalidations = 0
        const start = performance.now()
        while (invalidations < (settings.smoke ? 1 : 3)) {
          // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
          await world.invalidate!(`author:${1 + next++ % (others - 1)}`)
          invalidations++
          while (performance.now() - start < invalidations * between) {
            // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
            await world.reads(100, () => 0)
            reads += 100
          }
        }
        const nanos = (performance.now() - start) * 1e6 / reads
        if (candidate.own === true) recomputed += executions - others
        check(candidate.own === true || executions === others, `${about.name}: every read has to be a hit`)
        return nanos
      },
      close: world.close
    }
  }
}
