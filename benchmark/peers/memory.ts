/**
 * Bytes per entry: what the heap holds after a collection, with the entries less without.
 */
import { setImmediate as immediate } from "node:timers/promises"
import { type Article, Article as ArticleSchema, article, check, type Settings } from "../fixtures.ts"
import type { Report } from "../report.ts"
import { type Candidate, candidates, packages } from "./candidates.ts"
import { type Subject, summary } from "./compare.ts"
import { type Probed, probed } from "./probe.ts"
import { versions } from "./versions.ts"

// An article that shares no text with any other.
const own = (id: number): Article => JSON.parse(JSON.stringify(article(id))) as Article

export const run = async (settings: Settings): Promise<Report> => {
  const entries = settings.smoke ? 20 : settings.quick ? 600 : 1000
  const found = (await probed(candidates)).filter(({ candidate }) =>
    // Called in another way, it keeps the same.
    candidate.name === "effect-cached" || candidate.own !== true
  )
  const untagged = await table(
    "no tags",
    found.filter(({ about }) => about.own === true || !about.gives.tags),
    () => []
  )
  const tagged = await table(
    "three tags, one of its own",
    found.filter(({ about }) => about.gives.tags),
    (id) => [`article:${id}`, "articles", `author:${id % 100}`]
  )
  return {
    tables: [untagged.table, tagged.table],
    figures: [...untagged.figures, ...tagged.figures],
    goals: [],
    notes: [
      versions(...packages),
      "This library keeps the value and its JSON, which it serves over HTTP as it is; a cache that keeps JSON alone parses it for each hit, and one that keeps the value alone cannot send it as it is."
    ]
  }

  async function table(what: string, of: ReadonlyArray<Probed>, tags: (id: number) => ReadonlyArray<string>) {
    const subjects = [...of.map(({ about, candidate }) => subject(about, candidate, tags)), map()]
    // One heap, so not in pairs: what one takes has nothing to do with what another took just before.
    const samples: Record<string, Array<number>> = {}
    for (let round = 0; round < (settings.quick ? 1 : 3); round++) {
      for (const { name, sample } of subjects) {
        // oxlint-disable-next-line no-await-in-loop -- one heap, one at a time
        ;(samples[name] ??= []).push(await sample())
      }
    }
    return summary({
      title: `Bytes per entry: a result of ${JSON.stringify(article(1)).length} bytes as JSON, ${what}`,
      subjects,
      unit: "bytes",
      control: "effect-cached"
    }, samples)
  }

  function subject(
    about: Probed["about"],
    candidate: Candidate,
    tags: (id: number) => ReadonlyArray<string>
  ): Subject {
    let warm = settings.smoke
    return {
      ...about,
      sample: async () => {
        let executions = 0
        const make = () =>
          candidate.make({
            schema: ArticleSchema,
            compute: (id) => (executions++, own(id)),
            tags,
            maxEntries: entries
          })
        // What is made once is not counted: the code, and what a cache is without entries.
        if (!warm) {
          warm = true
          const other = await make()
          await other.reads(1000, (index) => index % 500)
          await other.close()
        }
        const world = await make()
        await world.get(-1)
        executions = 1
        const before = await held(settings)
        // Read twice: what a first hit adds is kept as well.
        for (let turn = 0; turn < 2; turn++) {
          // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
          await world.reads(entries - 1, (index) => index)
        }
        const after = await held(settings)
        check(executions === entries, `${about.name}: every result has to be kept`)
        await world.close()
        return (after - before) / (entries - 1)
      }
    }
  }

  function map(): Subject {
    return {
      name: "the value alone, in a Map",
      control: true,
      gives: { singleFlight: false, tags: false, copies: false, typed: true },
      differs: "what the value itself takes",
      sample: async () => {
        const before = await held(settings)
        const kept = new Map(Array.from({ length: entries }, (_, id) => [id, own(id)]))
        const after = await held(settings)
        return (after - before) / kept.size
      }
    }
  }
}

// What only a pending callback still holds is let go of first.
const held = async ({ smoke }: Settings): Promise<number> => {
  await immediate()
  await immediate()
  globalThis.gc!({ type: smoke ? "minor" : "major" })
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}
