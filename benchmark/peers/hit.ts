/**
 * A hit in memory: small, 1 KB and 100 small objects.
 */
import { Schema } from "effect"
import { Article, article, articleTags, check, type Settings } from "../fixtures.ts"
import { type Goal, goal, type Report, stated } from "../report.ts"
import { candidates, packages, type Work } from "./candidates.ts"
import { allGuarantees, awaited, compare, type Comparison, sameGuarantees, type Subject } from "./compare.ts"
import { type Probed, probed } from "./probe.ts"
import { versions } from "./versions.ts"
import type { IdOf } from "./worlds.ts"

const maxEntries = 2000

const Person = Schema.Struct({ id: Schema.Number, name: Schema.String, admin: Schema.Boolean })
const people = (id: number): ReadonlyArray<typeof Person.Type> =>
  Array.from({ length: 100 }, (_, index) => ({ id: id + index, name: `Person ${id + index}`, admin: index % 7 === 0 }))

interface Value<A> {
  readonly title: string
  readonly schema: Schema.Codec<A, unknown>
  readonly compute: (id: number) => A
  readonly idOf: IdOf
  /** How many entries are there, from 0. */
  readonly entries: number
}

export const run = async (settings: Settings): Promise<Report> => {
  const found = await probed(candidates)
  if (!settings.smoke) await warmUp(settings)
  const of = <A>(value: Value<A>) => one(value, found, settings)
  const small = () =>
    of({ title: "Hot hit: a number", schema: Schema.Number, compute: (id) => id, idOf: () => 7, entries: 8 })
  const oneKey = () =>
    of({ title: "Hot hit: 1 KB, one key", schema: Article, compute: article, idOf: () => 7, entries: 8 })
  const inTurn = () =>
    of({
      title: "Hot hit: 1 KB, 1 000 keys in turn",
      schema: Article,
      compute: article,
      idOf: (index) => index % 1000,
      entries: 1000
    })
  const list = () =>
    of({
      title: "Hot hit: 100 small objects",
      schema: Schema.Array(Person),
      compute: people,
      idOf: () => 7,
      entries: 8
    })
  const works: Array<Comparison> = []
  // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
  for (const work of settings.smoke ? [oneKey] : [small, oneKey, inTurn, list]) works.push(await work())
  return {
    tables: works.map(({ table }) => table),
    figures: works.flatMap(({ figures }) => figures),
    goals: works.flatMap(goals),
    notes: [
      versions(...packages),
      "Three tags on each result, for those that have tags. A single operation that is timed for p99 has reading the clock in it."
    ]
  }
}

const goals = (work: Comparison): ReadonlyArray<Goal> => {
  const hit = work.table.title.replace("Hot hit:", "hot hit,")
  const same = work.fastest(sameGuarantees)
  const any = work.fastest()
  return [
    stated(
      goal(
        `${hit}: at least 1.5 times as fast as the fastest peer that gives the same guarantees (${same})`,
        work.ratio(same, "effect-cached"),
        { atLeast: 1.5 }
      ),
      "A number has no copy to make and next to nothing to parse, so what is left is the loop and the key."
    ),
    goal(
      `${hit}: at least 1.5 times as fast as the same peer, called by \`Effect.runPromise\` each time`,
      work.ratio(same, "effect-cached, runPromise for each call"),
      { atLeast: 1.5 }
    ),
    goal(
      `${hit}: at least as fast as the fastest of all (${any}: ${work.differs(any)})`,
      work.ratio(any, "effect-cached"),
      { atLeast: 1 }
    )
  ]
}

// The first table is not measured with cold code. Everybody gets the same time for it.
const warmUp = async ({ quick }: Settings) => {
  for (const candidate of candidates) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    const world = await candidate.make<number>({
      schema: Schema.Number,
      compute: (id) => id,
      tags: articleTags,
      maxEntries
    })
    const start = performance.now()
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    while (performance.now() - start < (quick ? 100 : 250)) await world.reads(200, () => 7)
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    await world.close()
  }
}

const one = async <A>(value: Value<A>, found: ReadonlyArray<Probed>, settings: Settings) => {
  let executions = 0
  const work: Work<A> = {
    schema: value.schema,
    compute: (id) => (executions++, value.compute(id)),
    tags: articleTags,
    maxEntries
  }
  const subjects: Array<Subject> = []
  for (const candidate of found) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time, so that its executions are its own
    subjects.push(await subject(candidate))
  }
  const filled = executions
  check(filled === candidates.length * value.entries, "each candidate has to compute each result once")
  const comparison = await compare({
    title: value.title,
    subjects: [...subjects, map()],
    settings,
    millis: settings.quick ? 700 : 3000,
    operations: settings.quick ? 1000 : 3000,
    control: "effect-cached",
    scale: "log"
  })
  check(executions === filled, "every operation that is measured has to be a hit")
  return comparison

  async function subject({ about, candidate }: Probed): Promise<Subject> {
    const world = await candidate.make(work)
    for (let id = 0; id < value.entries; id++) {
      // oxlint-disable-next-line no-await-in-loop -- one at a time
      check(JSON.stringify(await world.get(id)) === JSON.stringify(value.compute(id)), "a miss gives the result")
    }
    check(JSON.stringify(await world.get(7)) === JSON.stringify(value.compute(7)), "a hit gives the result")
    // About 3 ms for a sample, however long one operation takes.
    const few = settings.smoke ? 20 : 300
    await world.reads(few, value.idOf)
    const nanos = await world.reads(few, value.idOf)
    const count = settings.smoke ? 20 : Math.max(50, Math.min(20_000, Math.round(3e6 / nanos)))
    return {
      ...about,
      sample: () => world.reads(count, value.idOf),
      latencies: (operations) => world.latencies(operations, value.idOf),
      close: world.close
    }
  }

  function map(): Subject {
    const kept = new Map(Array.from({ length: value.entries }, (_, id) => [id, value.compute(id)]))
    const get = (index: number) => kept.get(value.idOf(index))
    return {
      name: "a Map, awaited",
      control: true,
      gives: { ...allGuarantees, copies: false },
      differs: "nothing but the loop",
      sample: awaited(5000, get)
    }
  }
}
