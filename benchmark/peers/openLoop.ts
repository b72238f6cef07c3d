/**
 * Requests that come when they come, whatever the server does: Poisson arrivals, keys by a Zipf distribution, computations of
 * 20 ms, and changes that invalidate while they are asked for. Latency counts from the time at which a request should have been
 * sent, so that a server that stalls is not asked less (coordinated omission).
 */
import { check, type Settings } from "../fixtures.ts"
import { distribution } from "../paired.ts"
import { type Bar, cells, type Figure, type Report, row, type Table, times, whole } from "../report.ts"
import { type Candidate, candidates, differs, type OpenDone } from "./http/messages.ts"
import { waits } from "./http/pages.ts"
import { startServers } from "./http/servers.ts"
import { versions } from "./versions.ts"

const { bare, fastifyCaching, fastifyDedupe, honoCacheManager, honoOcache, route, uncached, whole: wholeResponse } =
  candidates
const everything: ReadonlyArray<Candidate> = [
  bare,
  uncached,
  route,
  wholeResponse,
  fastifyCaching,
  fastifyDedupe,
  honoOcache,
  honoCacheManager
]

const changes = 50

/** One turn of a candidate at a rate. */
interface Turn extends OpenDone {
  /** Microseconds of the server. */
  readonly cpu: number
  readonly computed: number
}

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const keys = smoke ? 50 : 500
  const all = smoke ? [bare, uncached, route] : everything
  const rates = quick ? [1000] : [500, 1500, 3000]
  const millis = smoke ? 30 : quick ? 150 : 300
  const rounds = smoke ? 1 : quick ? 2 : 3
  const budget = quick ? 2500 : 18_000
  const servers = await startServers("slow", all)
  try {
    const turn = async (candidate: Candidate, rate: number, seed: number): Promise<Turn> => {
      const { path } = candidate
      const before = await servers.state(candidate)
      const done = await servers.open({ port: before.port, path, seed, rate, changes, keys, millis })
      const after = await servers.state(candidate)
      check(done.failures === 0, `${candidate.name} has failed ${done.failures} times`)
      return {
        ...done,
        cpu: after.cpu - before.cpu,
        computed: (after.computed[path] ?? 0) - (before.computed[path] ?? 0)
      }
    }
    // Every key is there, and the code compiled.
    for (const candidate of all) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { port } = await servers.state(candidate)
      // oxlint-disable-next-line no-await-in-loop -- the same
      await servers.closed({
        port,
        paths: Array.from({ length: keys }, (_, key) => `/${candidate.path}/${key}`),
        connections: keys / 2,
        millis: 0,
        atLeast: smoke ? keys : quick ? 2 * keys : 5 * keys
      })
    }
    const turns = new Map<string, Array<Turn>>()
    const start = performance.now()
    // A slow machine makes a run coarser, not longer.
    for (let round = 0; round < rounds && (round === 0 || performance.now() - start < budget); round++) {
      for (const rate of rates) {
        for (const candidate of round % 2 === 0 ? all : all.toReversed()) {
          // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
          const taken = await turn(candidate, rate, round * 100_000 + rate)
          const of = `${candidate.name}, ${rate}`
          turns.set(of, [...(turns.get(of) ?? []), taken])
        }
      }
    }
    const of = (candidate: Candidate, rate: number): ReadonlyArray<Turn> => turns.get(`${candidate.name}, ${rate}`)!
    const stale = (candidate: Candidate) =>
      rates.flatMap((rate) => of(candidate, rate)).reduce((sum, { stale }) => sum + stale, 0)
    const own = all.filter(({ kind }) => kind === "own").reduce((sum, candidate) => sum + stale(candidate), 0)
    check(stale(uncached) === 0, "what is computed for each request cannot be stale")
    const late = Array.from(turns.values()).flat().flatMap(({ late }) => late)
    return {
      tables: rates.map((rate) => table(rate, all, (candidate) => of(candidate, rate))),
      figures: rates.map((rate) => figure(rate, all, (candidate) => of(candidate, rate))),
      goals: [{
        goal: "open loop: responses of effect-cached that are older than an invalidation acknowledged before: none",
        measured: String(own),
        pass: own === 0
      }],
      notes: [
        versions(
          "effect-cached",
          "effect",
          "fastify",
          "@fastify/caching",
          "async-cache-dedupe",
          "hono",
          "ocache",
          "cache-manager"
        ),
        ...(quick
          ? ["Left out in a quick run: 500, 1 500 and 3 000 requests per second; 1 000 are measured instead."]
          : []),
        `A computation waits ${waits} ms and computes for about 0.1. There are ${keys} keys and ${changes} changes a second, each of ` +
        "which invalidates its key and is acknowledged after that. Everybody gets the same requests at the same times, from a seed.",
        "\"stale\" counts responses older than a change that had been acknowledged before their request was sent. Who is never stale " +
        "computes anew what was changed while it was computed, so there are more computations.",
        `The generator sent half of its requests ${
          at(late, 0.5).toFixed(2)
        } ms after their time or less, 99 % of them ${
          at(late, 0.99).toFixed(2)
        } ms or less. That is in every latency, and so is all that the machine did: the bare handler, which ignores keys and ` +
        "changes, is the floor."
      ]
    }
  } finally {
    servers.stop()
  }
}

const table = (
  rate: number,
  all: ReadonlyArray<Candidate>,
  of: (candidate: Candidate) => ReadonlyArray<Turn>
): Table => ({
  title: `Open loop, ${whole(rate)} requests per second: latency from the intended arrival`,
  columns: ["", "p50", "p99", "of its turns", "p99.9", "computed per request", "CPU per request", "stale", "differs"],
  rows: all.map((candidate) => {
    const turns = of(candidate)
    const latencies = turns.flatMap(({ latencies }) => latencies)
    const sum = (figure: (turn: Turn) => number) => turns.reduce((sum, turn) => sum + figure(turn), 0)
    const [, spread] = cells(distribution(turns.map(({ latencies }) => at(latencies, 0.99))), millis)
    return row(
      candidate.name,
      millis(at(latencies, 0.5)),
      millis(at(latencies, 0.99)),
      spread,
      millis(at(latencies, 0.999)),
      candidate.path === bare.path ? "" : (sum(({ computed }) => computed) / latencies.length).toFixed(3),
      `${(sum(({ cpu }) => cpu) / latencies.length).toFixed(0)} µs`,
      candidate.path === bare.path ? "" : String(sum(({ stale }) => stale)),
      differs(candidate)
    )
  })
})

const figure = (
  rate: number,
  all: ReadonlyArray<Candidate>,
  of: (candidate: Candidate) => ReadonlyArray<Turn>
): Figure => ({
  title: `Open loop, ${whole(rate)} requests per second: the middle half of the latencies, and p99`,
  unit: "ms",
  scale: "log",
  bars: all.map((candidate): Bar => {
    const latencies = of(candidate).flatMap(({ latencies }) => latencies)
    const { high, low, median } = distribution(latencies)
    return { label: candidate.name, median, low, high, p99: at(latencies, 0.99), kind: candidate.kind }
  })
})

const millis = (figure: number): string => `${times(figure)} ms`

// The smallest figure that this part of all is not above.
const at = (figures: ReadonlyArray<number>, part: number): number =>
  figures.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(figures.length * part) - 1)]!
