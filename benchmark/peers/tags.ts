/**
 * Invalidates a tag that many entries have, then reads one of them.
 */
import { Schema } from "effect"
import { check, type Settings } from "../fixtures.ts"
import { distribution, ratio, type Samples } from "../paired.ts"
import { type Goal, goal, type Report, stated, whole } from "../report.ts"
import { candidates, packages } from "./candidates.ts"
import { compare, type Comparison, type Subject, summary } from "./compare.ts"
import { type Probed, probed } from "./probe.ts"
import { versions } from "./versions.ts"

const control = "effect-cached"

// How it is called and how results are encoded changes nothing about an invalidation.
const sameHere: ReadonlySet<string> = new Set([
  "effect-cached, runPromise for each call",
  "async-cache-dedupe, references, JSON"
])

export const run = async (settings: Settings): Promise<Report> => {
  const sizes = settings.smoke ? [10, 100] : settings.quick ? [100, 10_000] : [100, 10_000, 100_000]
  const everyone = await probed(candidates.filter(({ name }) => !sameHere.has(name)))
  const found = everyone.filter(({ about }) => about.gives.tags)
  const among = (size: number) => found.filter(({ candidate }) => candidate.removes !== true || size <= mostRemoved)

  // What the reads took, in the order of the samples.
  const reads: Record<string, Array<number>> = {}
  const subjects: Array<Subject> = []
  for (const size of sizes) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time, so that its executions are its own
    for (const one of among(size)) subjects.push(await subject(one, size))
  }
  const { samples } = await compare({
    title: "Invalidate a tag",
    subjects,
    settings,
    rounds: settings.quick ? 100 : 400,
    warmups: 1,
    millis: settings.quick ? 1500 : 6000,
    control: named(control, sizes[0]!)
  })
  // Once the others are closed, and its code is warm.
  const once: Array<string> = []
  if (!settings.quick) {
    for (const one of found.filter(({ candidate }) => candidate.removes === true)) {
      // oxlint-disable-next-line no-await-in-loop -- one at a time
      const { close, sample } = await subject(one, removedOnce)
      // oxlint-disable-next-line no-await-in-loop -- one at a time
      const seconds = await sample() / 1e9
      once.push(
        `${one.about.name}, of ${whole(removedOnce)} entries, is measured once, after the others: about ${
          seconds.toFixed(1)
        } s.`
      )
      // oxlint-disable-next-line no-await-in-loop -- one at a time
      await close?.()
    }
  }
  const measured: Samples = Object.fromEntries(
    subjects.map(({ name }) => [name, reads[name]!.slice(-samples[name]!.length)])
  )

  const works = sizes.flatMap((size) => [
    tableOf(`Invalidate a tag of ${whole(size)} entries`, size, samples),
    tableOf(`The read after that, of ${whole(size)} entries: the result is computed again`, size, measured)
  ])
  return {
    tables: works.map(({ table }) => table),
    figures: works.flatMap(({ figures }) => figures),
    goals: goals(),
    notes: [
      versions(...packages),
      "The results are numbers, and each has the one tag. Those that remove entries when a tag ends have all of them filled in again each time; those that only note the tag keep them.",
      ...once,
      ...(settings.quick
        ? ["Left out in a quick run: 100 000 entries, and more than 100 where they are removed at once."]
        : [])
    ]
  }

  function tableOf(title: string, size: number, of: Samples): Comparison {
    return summary(
      { title, subjects: among(size).map(({ about }) => about), control, scale: "log" },
      Object.fromEntries(among(size).map(({ about: { name } }) => [name, of[named(name, size)]!]))
    )
  }

  function goals(): ReadonlyArray<Goal> {
    const [least, most] = [sizes[0]!, sizes.at(-1)!]
    return [
      stated(goal(
        `invalidation flat: with ${whole(most)} entries under the tag at most 1.3 times that with ${least}`,
        ratio(samples, named(control, most), named(control, least)),
        { atMost: 1.3 }
      )),
      ...sizes.map((size, index) => {
        const work = works[2 * index]!
        const peer = work.fastest()
        return stated(
          goal(
            `invalidation with ${whole(size)} entries faster than every peer with tags (the next: ${peer})`,
            work.ratio(peer, control),
            { atLeast: 1 }
          ),
          "bentocache writes the time down under the tag, and each later hit looks up all of its tags. Here whoever follows the log is told " +
            "before an invalidation returns, and what was invalidated is kept within bounds; a hit looks at its tags only where " +
            "something was invalidated since it last did."
        )
      })
    ]
  }

  async function subject({ about, candidate }: Probed, size: number): Promise<Subject> {
    let executions = 0
    const world = await candidate.make<number>({
      schema: Schema.Number,
      compute: (id) => (executions++, id),
      tags: () => ["all"],
      maxEntries: size + 10
    })
    const fill = () => world.reads(size, (index) => index)
    await fill()
    check(executions === size, "each entry has to be computed once")
    // Where entries are removed, there is something to remove only once. The others are measured with warm code, so they are
    // called as they are when it counts.
    for (
      let turn = 0;
      turn < (candidate.removes === true || settings.smoke ? 0 : settings.quick ? 1000 : 10_000);
      turn++
    ) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await world.invalidate!("all")
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await world.latencies(1, () => turn % size)
    }
    const turns = candidate.removes === true ? 1 : 15
    const name = named(about.name, size)
    return {
      ...about,
      name,
      sample: async () => {
        if (candidate.removes === true) await fill()
        const invalidations: Array<number> = []
        const next: Array<number> = []
        for (let turn = 0; turn < turns; turn++) {
          const before = executions
          // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
          invalidations.push(await world.invalidate!("all"))
          // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
          next.push(...await world.latencies(1, () => turn % size))
          check(executions === before + 1, `${name}: the read after an invalidation has to compute`)
        }
        ;(reads[name] ??= []).push(distribution(next).median)
        return distribution(invalidations).median
      },
      close: world.close
    }
  }
}

// Removing 10 000 entries takes a second, and ten times as many a hundred times as long.
const mostRemoved = 100
const removedOnce = 10_000

const named = (name: string, size: number): string => `${name}, ${whole(size)} entries`
