/**
 * How long an invalidation takes to reach the other processes.
 */
import { check, type Settings } from "../fixtures.ts"
import { type Distribution, distribution, paired, ratio, type Samples } from "../paired.ts"
import { type How, now, type Sent, type Told } from "../redis/messages.ts"
import { type Nodes, startNodes } from "../redis/nodes.ts"
import { startRedis } from "../redis/server.ts"
import { cells, type Goal, goal, type Report, row, type Table, time, times } from "../report.ts"

const ways = ["publish", "invalidate"] as const

/** Messages per second, all nodes together. */
const rates = { idle: 100, busy: 1000 } as const
type Rate = keyof typeof rates

export const run = async (settings: Settings): Promise<Report> => {
  const redis = await startRedis()
  try {
    const measured: Array<Measured> = []
    // Ten processes are seconds of starting alone.
    const sizes = settings.smoke ? [2] : [2, 10]
    for (const size of sizes) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      const nodes = await startNodes(redis.url, `benchmark ${size}`, size)
      try {
        for (const rate of Object.keys(rates) as ReadonlyArray<Rate>) {
          // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
          measured.push(await measure(nodes, size, rate, settings))
        }
      } finally {
        nodes.stop()
      }
    }
    return {
      tables: measured.map(table),
      goals: measured.flatMap(goals),
      notes: [
        "From the call of `invalidate` in one process until another has been told; all pairs of processes.",
        "\"publish\" is a PUBLISH and the message that a subscriber gets: what a hop through Redis costs by itself."
      ]
    }
  } finally {
    await redis.stop()
  }
}

interface Measured {
  readonly size: number
  readonly rate: Rate
  readonly p50: Samples
  readonly p99: Samples
  /** Until `invalidate` itself has succeeded, or the reply to PUBLISH is there. */
  readonly acknowledged: Samples
}

const measure = async (nodes: Nodes, size: number, rate: Rate, { quick, smoke }: Settings): Promise<Measured> => {
  const millis = smoke ? 100 : quick ? 400 : 600
  const each = Math.ceil(rates[rate] * millis / 1000 / size)
  const p99: Record<string, Array<number>> = {}
  const acknowledged: Record<string, Array<number>> = {}
  let round = 0
  const sample = (how: How) => async (): Promise<number> => {
    const name = `${rate}:${how}:${round++}`
    await nodes.all(() => ({ _tag: "begin" }))
    const begin = now() + 20_000
    const every = size * 1000 / rates[rate]
    const sent = await nodes.all<Sent>((index) => ({
      _tag: "send",
      how,
      name: `${name}:${index}`,
      count: each,
      every,
      at: begin + index * every * 1000 / size
    }))
    const told = await nodes.all<Told>(() => ({ _tag: "told", count: each * size }))
    const hops = sent.flatMap((one, sender) =>
      Object.entries(one.sent).flatMap(([message, at]) =>
        told.filter((_, receiver) => receiver !== sender).map((of) => (of[message]! - at) * 1000)
      )
    )
    check(hops.length === each * size * (size - 1), "every node hears of every message")
    const own = sent.flatMap((one) =>
      Object.entries(one.sent).map(([message, at]) => (one.acknowledged[message]! - at) * 1000)
    )
    ;(p99[how] ??= []).push(percentile(hops, 0.99))
    ;(acknowledged[how] ??= []).push(percentile(own, 0.5))
    return percentile(hops, 0.5)
  }
  const p50 = await paired(
    Object.fromEntries(ways.map((how) => [how, sample(how)])),
    { rounds: quick ? 5 : 15, warmups: 1, millis: quick ? 3500 : 5000 }
  )
  const rounds = p50["invalidate"]!.length
  const measured = (samples: Record<string, Array<number>>): Samples =>
    Object.fromEntries(Object.entries(samples).map(([how, figures]) => [how, figures.slice(-rounds)]))
  return { size, rate, p50, p99: measured(p99), acknowledged: measured(acknowledged) }
}

const percentile = (figures: ReadonlyArray<number>, part: number): number =>
  figures.toSorted((a, b) => a - b)[Math.ceil(figures.length * part) - 1]!

const table = ({ acknowledged, p50, p99, rate, size }: Measured): Table => ({
  title: `${size} processes, ${rates[rate]} per second`,
  columns: ["", "p50", "quartiles", "p99", "quartiles", "p50 of publish's", "acknowledged"],
  rows: ways.map((how) =>
    row(
      how,
      cells(distribution(p50[how]!), time),
      cells(distribution(p99[how]!), time),
      times(ratio(p50, how, "publish").median),
      time(distribution(acknowledged[how]!).median)
    )
  )
})

const goals = ({ p50, p99, rate, size }: Measured): ReadonlyArray<Goal> => {
  const what = `an invalidation reaches ${size - 1} other${size > 2 ? "s" : ""}, ${rates[rate]} per second`
  return [
    within(`${what}: p50 under 1 ms`, distribution(p50["invalidate"]!), 1e6),
    within(`${what}: p99 under 5 ms`, distribution(p99["invalidate"]!), 5e6)
  ]
}

const within = (text: string, figure: Distribution, nanos: number): Goal => goal(text, figure, { atMost: nanos }, time)
