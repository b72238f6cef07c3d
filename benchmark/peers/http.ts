/**
 * A route that is answered from a cache, 1 KB of JSON over real sockets, against the same with fastify and with hono and what
 * is used as a cache there. The servers in processes of their own, a load generator in another.
 */
import { check, type Settings } from "../fixtures.ts"
import { ids } from "../http/app.ts"
import { distribution, paired, ratio, type Samples } from "../paired.ts"
import { cells, type Figure, goal, type Report, row, stated, type Table, times, whole } from "../report.ts"
import { type Candidate, candidates, differs } from "./http/messages.ts"
import { startServers } from "./http/servers.ts"
import { versions } from "./versions.ts"

const { again, bare, prebuilt, route, sameHeaders, uncached: _, ...others } = candidates
const everything: ReadonlyArray<Candidate> = [bare, prebuilt, again, sameHeaders, route, ...Object.values(others)]
// A quick run has no time for those that tell the least.
const leftOut: ReadonlySet<Candidate> = new Set([again, candidates.honoCache, candidates.fastifyDedupeText])

// Of the warm-up: a few hundred requests each.
const turns = 40

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const all = quick ? everything.filter((candidate) => !leftOut.has(candidate)) : everything
  const servers = await startServers("free", all)
  try {
    const perCpu: Record<string, Array<number>> = {}
    const busy: Record<string, Array<number>> = {}
    const tails: Record<string, Array<number>> = {}
    const sample = (candidate: Candidate, millis: number) => async (): Promise<number> => {
      const before = await servers.state(candidate)
      const start = performance.now()
      const { p99, requests, ...done } = await servers.closed({
        port: before.port,
        paths: Array.from({ length: ids }, (_, id) => `/${candidate.path}/${id}`),
        connections: 32,
        millis
      })
      const wall = performance.now() - start
      const cpu = (await servers.state(candidate)).cpu - before.cpu
      ;(perCpu[candidate.name] ??= []).push(requests / cpu * 1e6)
      ;(busy[candidate.name] ??= []).push(cpu / wall / 1000)
      ;(tails[candidate.name] ??= []).push(p99)
      return requests / done.millis * 1000
    }
    // Everything is computed and compiled, before anything is measured: every process has the same time for it, and its candidates
    // have it in short turns. Code that V8 makes while it has met one of them alone stays faster for that one: a prebuilt
    // response was up to a quarter faster than the very same one under another path.
    const warmUp = smoke ? 0 : quick ? 700 : 2000
    const together = ({ framework }: Candidate) => all.filter((other) => other.framework === framework).length
    for (let turn = 0; turn < (smoke ? 1 : turns); turn++) {
      for (const candidate of all) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await sample(candidate, warmUp / together(candidate) / turns)()
      }
    }
    const computed = await servers.computed()
    const samples = await paired(
      Object.fromEntries(all.map((candidate) => [candidate.name, sample(candidate, smoke ? 0 : quick ? 40 : 50)])),
      { rounds: quick ? 20 : 60, warmups: quick ? 0 : 1, millis: quick ? 2400 : 15_000 }
    )
    const more = await servers.computed()
    for (const { framework, kind, name, path } of all) {
      if (kind === "control" || name === candidates.honoCache.name) continue
      check(more[framework]![path] === computed[framework]![path], `${name} has computed while hits were measured`)
    }

    const rounds = samples[route.name]!.length
    const last = (figures: Record<string, Array<number>>): Samples =>
      Object.fromEntries(Object.entries(figures).map(([name, of]) => [name, of.slice(-rounds)]))
    const ofCpu = last(perCpu)
    const atLeast = (figures: Samples, what: string, control: Candidate, of: string) =>
      stated(
        goal(
          `route hit at least 0.95 of the same router's prebuilt response${of}, by ${what}`,
          ratio(figures, route.name, control.name),
          { atLeast: 0.95 }
        ),
        of === ""
          ? "A hit has four headers more. What those cost is the row of the prebuilt response with the headers of a hit; the rest is " +
            "said of the line below."
          : "What is left is the key from the path, the look at the entry and the age of the response, and that there are many responses, where " +
            "the prebuilt one is always the same object."
      )
    const [clock, cpu] = ["requests per second", "requests per second of the server's CPU time"]
    const same = " with the same headers"
    return {
      tables: [
        table("Requests per second, 1 KB of JSON, 32 connections", samples, { p99: last(tails), busy: last(busy) }),
        table("Requests per second of the server's CPU time", ofCpu)
      ],
      figures: [figure("A route hit over HTTP, requests per second of the server's CPU time", ofCpu)],
      goals: [
        atLeast(samples, clock, prebuilt, ""),
        atLeast(ofCpu, cpu, prebuilt, ""),
        atLeast(samples, clock, sameHeaders, same),
        atLeast(ofCpu, cpu, sameHeaders, same),
        ...fastest(ofCpu)
      ],
      notes: [
        versions(
          "effect-cached",
          "effect",
          "fastify",
          "@fastify/caching",
          "async-cache-dedupe",
          "hono",
          "@hono/node-server"
        ),
        versions("ocache", "cache-manager", "cacheable"),
        "The candidates of one process are warmed up in short turns. Code that V8 compiles while it has met one of them alone stays faster for that one: a prebuilt response, alone in its process, by up to a quarter.",
        quick
          ? `Left out in a quick run: ${Array.from(leftOut, ({ name }) => name).join("; ")}.`
          : `"${again.name}" is the control against itself: how far it is from 1 is how far noise reaches.`,
        "\"busy\" is the share of the time that the server was computing: below 1 something else was the limit, the load generator or " +
        "what else the machine does, and the second table is the one to read.",
        "Everybody gets 20 ids in turns, each answered from memory, with a time to live of an hour. How each is set up, and by which " +
        "page of its documentation, stands in `benchmark/peers/http/`."
      ]
    }
  } finally {
    servers.stop()
  }
}

const table = (title: string, samples: Samples, more?: { readonly p99: Samples; readonly busy: Samples }): Table => ({
  title,
  columns: [
    "",
    "requests/s",
    "quartiles",
    "of bare",
    "of prebuilt",
    "of ours",
    ...(more === undefined ? [] : ["p99", "busy"]),
    "differs"
  ],
  rows: measured(samples).map((candidate) => {
    const { name } = candidate
    const of = (control: Candidate) => times(ratio(samples, name, control.name).median)
    return row(
      name,
      cells(distribution(samples[name]!), whole),
      of(bare),
      of(prebuilt),
      of(route),
      more === undefined ? [] : [
        `${distribution(more.p99[name]!).median.toFixed(1)} ms`,
        times(distribution(more.busy[name]!).median)
      ],
      differs(candidate)
    )
  })
})

const measured = (samples: Samples): ReadonlyArray<Candidate> => everything.filter(({ name }) => name in samples)

const figure = (title: string, samples: Samples): Figure => ({
  title,
  unit: "per second",
  scale: "linear",
  bars: measured(samples).map(({ kind, name }) => {
    const { high, low, median } = distribution(samples[name]!)
    return { label: name, median, low, high, kind }
  })
})

// Every peer that answers from memory; what guarantees less is in the comparison, too.
const fastest = (samples: Samples) => {
  const peers = measured(samples).filter(({ kind, name }) => kind === "peer" && name !== candidates.honoCache.name)
  const median = ({ name }: Candidate): number => distribution(samples[name]!).median
  const best = peers.reduce((best, peer) => median(peer) > median(best) ? peer : best)
  const figure = ratio(samples, route.name, best.name)
  return [
    goal(
      `route hit at least as fast as the fastest peer's, by requests per second of CPU time (${best.name})`,
      figure,
      {
        atLeast: 1
      }
    )
  ]
}
