/**
 * Many callers of one cold key at once.
 */
import { Deferred, Effect, Layer, ManagedRuntime } from "effect"
import { setTimeout as sleep } from "node:timers/promises"
import { Article, article, check, type Settings } from "../fixtures.ts"
import { distribution } from "../paired.ts"
import { cells, type Goal, goal, type Report, row, stated, time, times, whole } from "../report.ts"
import { type Candidate, candidates, packages, type Work } from "./candidates.ts"
import { compare, type Comparison, difference, type Subject } from "./compare.ts"
import { type Probed, probed } from "./probe.ts"
import { versions } from "./versions.ts"
import { fibered, promised } from "./worlds.ts"

// Those that differ by what they keep and not by how callers join.
const sameHere: ReadonlySet<string> = new Set([
  "bentocache, serialize: false",
  "cacheable, getOrSet, no clones",
  "async-cache-dedupe"
])

export const run = async (settings: Settings): Promise<Report> => {
  const found = await probed(
    candidates.filter(({ name }) => !sameHere.has(name) && !(settings.quick && slow.has(name))),
    true
  )
  const works: Array<Stampede> = []
  // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
  for (const callers of sizes(settings)) works.push(await stampede(callers, found, settings))
  return {
    tables: works.map(({ table }) => table),
    figures: works.flatMap(({ comparison }) => comparison.figures),
    goals: works.flatMap(goals),
    notes: [
      versions(...packages),
      "The time beyond the computation begins when the first caller asks and ends when the last has its answer, without what the computation took. What callers do while the computation waits is not in it, but it is in the CPU time, and so is the callers' own part, which the rows without a cache show alone.",
      "A fiber is more than a promise: each of 10 000 fibers can be interrupted by itself and has a place to go on from. Those who all get one promise and its one object do the least.",
      ...(settings.quick
        ? ["Left out in a quick run: 1 000 callers, computations of 50 ms, and some of the candidates."]
        : [])
    ]
  }
}

const mostCallers = 10_000

const sizes = (settings: Settings): ReadonlyArray<number> =>
  settings.smoke ? [100] : settings.quick ? [mostCallers] : [1000, mostCallers]

const slow: ReadonlySet<string> = new Set([
  "effect's PersistedCache",
  "bentocache, tags",
  "bentocache, serialize: false, tags",
  "cacheable, get and set with tags",
  "cacheable, getOrSet",
  "cache-manager, CacheableMemory"
])

interface Stampede {
  readonly callers: number
  readonly comparison: Comparison
  readonly executions: ReadonlyMap<string, number>
  readonly table: Report["tables"][number]
}

const stampede = async (callers: number, found: ReadonlyArray<Probed>, settings: Settings): Promise<Stampede> => {
  const computation = settings.quick ? 20 : 50
  const cpus: Record<string, Array<number>> = {}
  const executions = new Map<string, number>()
  const subjects: Array<Subject> = []
  // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
  for (const one of [...found, ...floors]) subjects.push(await subject(one))
  const comparison = await compare({
    title: `${whole(callers)} callers of a cold key, computation of ${computation} ms: time beyond it`,
    subjects,
    settings,
    rounds: settings.quick ? 5 : 6,
    warmups: settings.quick ? 0 : 1,
    millis: settings.quick ? 4000 : 12_000,
    operations: 0,
    control: "effect-cached",
    scale: "log"
  })
  return {
    callers,
    comparison,
    executions,
    table: {
      title: comparison.table.title,
      columns: ["", "executions", "median", "quartiles", "of effect-cached's", "CPU time", "differs"],
      rows: subjects.map((subject) =>
        row(
          subject.name,
          whole(executions.get(subject.name)!),
          cells(distribution(comparison.samples[subject.name]!), time),
          subject.name === "effect-cached" ? "" : times(comparison.ratio(subject.name, "effect-cached").median),
          time(distribution(cpus[subject.name]!).median),
          difference(subject)
        )
      )
    }
  }

  async function subject({ about, candidate }: Probed): Promise<Subject> {
    let computed = 0
    let took = 0
    const world = await candidate.make({
      schema: Article,
      compute: (id) => (computed++, article(id)),
      wait: async () => {
        const start = performance.now()
        await sleep(computation)
        took = performance.now() - start
      },
      tags: (id) => [`article:${id}`],
      maxEntries: 1000
    })
    let runs = 0
    // With warm code.
    await world.together(Math.min(callers, 1000), runs++)
    return {
      ...about,
      sample: async () => {
        const id = runs++
        computed = 0
        // Nobody clears away what the one before has left.
        globalThis.gc!()
        const before = process.cpuUsage()
        const start = performance.now()
        const results = await world.together(callers, id)
        const nanos = (performance.now() - start - took) * 1e6
        const { system, user } = process.cpuUsage(before)
        check(results.length === callers && results.every((result) => result.id === id), "everyone gets the result")
        ;(cpus[about.name] ??= []).push((user + system) * 1000)
        executions.set(about.name, Math.max(computed, executions.get(about.name) ?? 0))
        return nanos
      },
      close: world.close
    }
  }
}

// What so many callers take by themselves: they wait together, for what no cache is asked.
const floor = (name: string, make: Candidate["make"]): Probed => ({
  candidate: { name, differs: "", make },
  about: {
    name,
    control: true,
    gives: { singleFlight: true, tags: false, copies: false, typed: true },
    differs: "no cache: the callers alone"
  }
})

const floors = [
  floor(
    "no cache, fibers that await one Deferred",
    async <A>({ compute, wait = () => sleep(1) }: Work<A>) => {
      const runtime = ManagedRuntime.make(Layer.empty)
      const started = new Map<number, Deferred.Deferred<A>>()
      return fibered<A, never>({
        runtime,
        get: (id) =>
          Effect.suspend(() => {
            const running = started.get(id)
            if (running !== undefined) return Deferred.await(running)
            const deferred = Deferred.makeUnsafe<A>()
            started.set(id, deferred)
            return Effect.andThen(
              Effect.forkDetach(
                Deferred.into(Effect.map(Effect.promise(wait), () => compute(id)), deferred)
              ),
              Deferred.await(deferred)
            )
          })
      })
    }
  ),
  floor(
    "no cache, async functions that await one promise",
    async <A>({ compute, wait = () => sleep(1) }: Work<A>) => {
      const started = new Map<number, Promise<A>>()
      const start = (id: number) => {
        const running = wait().then(() => compute(id))
        started.set(id, running)
        return running
      }
      return promised({ get: async (id) => await (started.get(id) ?? start(id)) })
    }
  )
]

const goals = ({ callers, comparison, executions }: Stampede): ReadonlyArray<Goal> => {
  const own = executions.get("effect-cached")!
  const apart = comparison.fastest(({ gives }) => gives.singleFlight && gives.copies)
  const any = comparison.fastest(({ gives }) => gives.singleFlight)
  const fibers = "effect's Cache"
  const cold = `a cold key with ${whole(callers)} callers`
  const least = (who: string, peer: string) =>
    goal(`${cold}: the least time of ${who} (the next: ${peer})`, comparison.ratio(peer, "effect-cached"), {
      atLeast: 1
    })
  const main = [
    { goal: `${cold}: one execution`, measured: String(own), pass: own === 1 },
    least("all in which no caller can change what another gets", apart)
  ]
  return [
    ...(callers === mostCallers ? main.map((each) => stated(each)) : main),
    least("all that compute it once", any),
    ...(any === fibers ? [] : [least("all whose callers are fibers", fibers)])
  ]
}
