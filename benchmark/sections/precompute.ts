/**
 * Precomputing a domain: what a run adds to the calls that it makes, what it holds in memory, and how full it keeps its
 * workers.
 */
import { Effect, Layer, Logger, ManagedRuntime, Schema, Sink, Stdio, Stream } from "effect"
import { Cached, Precompute, ResultCache } from "effect-cached"
import { check, type Settings } from "../fixtures.ts"
import { distribution, paired, ratio, type Samples } from "../paired.ts"
import { cells, type Goal, goal, type Report, row, type Table, times, whole } from "../report.ts"

const concurrency = 10

// So few that every input of the smallest run but the last ones has been evicted at its end.
const maxEntries = 1000

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const small = await speeds(smoke ? 400 : 10_000, {
    rounds: quick ? 3 : 20,
    warmups: 2,
    millis: quick ? 10_000 : 60_000
  })
  const large = await speeds(smoke ? 900 : quick ? 90_000 : 1_000_000, {
    rounds: quick ? 1 : 2,
    warmups: 0,
    millis: 600_000
  })
  const waiting = await waits(quick)
  return {
    tables: [speedTable([small, large]), memoryTable(large), waiting.table],
    goals: [
      goal(
        `precompute ${whole(large.size)} inputs: the live heap grows by at most a quarter of what a list of them takes`,
        distribution(large.heaps.map(({ peak, start }) => (peak - start) / large.listed)),
        { atMost: 0.25 }
      ),
      ...waiting.goals
    ],
    notes: [
      ...(quick ? [`--quick takes ${whole(large.size)} inputs in the place of 1 000 000.`] : []),
      "The display draws its bar on a terminal that takes all and shows nothing."
    ]
  }
}

interface Heap {
  readonly before: number
  readonly start: number
  readonly peak: number
  readonly end: number
  readonly after: number
}

interface Speeds {
  readonly size: number
  readonly samples: Samples
  readonly heaps: ReadonlyArray<Heap>
  /** In bytes: all inputs in an array. */
  readonly listed: number
}

// Inputs per second of CPU time: a run takes so long that other programs come and go meanwhile.
const speeds = async (size: number, options: Parameters<typeof paired>[1]): Promise<Speeds> => {
  const heaps: Array<Heap> = []
  const samples = await paired({
    "Precompute.run": () =>
      onCache(size, (plan) => Stream.runDrain(Precompute.run(plan, { concurrency, maxSize: size }))),
    "Precompute.layer, with its display": () =>
      onCache(size, (plan) => Effect.scoped(Layer.build(Precompute.layer(plan, { concurrency, maxSize: size })))),
    "calls, Effect.forEach": () =>
      onCache(size, (_, call) => Effect.forEach(inputs(size), call, { concurrency, discard: true }))
  }, options)
  // Where there are more, the collections would be most of what is measured.
  if (options.warmups === 0) {
    for (let round = 0; round < options.rounds; round++) {
      // oxlint-disable-next-line no-await-in-loop -- one heap, one at a time
      heaps.push(await heapOf(size))
    }
  }
  return { size, samples, heaps, listed: bytesOfList(size) }
}

// Two fields of as many values as make up the size.
const valuesOf = (size: number): ReadonlyArray<number> => {
  const side = Math.round(Math.sqrt(size))
  check(side * side === size, "the size has to be a square")
  return Array.from({ length: side }, (_, value) => value)
}

const inputs = function*(size: number) {
  const values = valuesOf(size)
  for (const a of values) for (const b of values) yield { a, b }
}

const makeFunction = (compute: Effect.Effect<number>) =>
  Cached.make("nothing", { input: { a: Schema.Int, b: Schema.Int }, success: Schema.Int }, () => compute)

type Function = Effect.Success<ReturnType<typeof makeFunction>>

// Runs all inputs on a cache of their own, and returns how many a second of CPU time.
const onCache = async <E>(
  size: number,
  use: (plan: Precompute.Plan, call: Function) => Effect.Effect<unknown, E>
): Promise<number> => {
  const runtime = ManagedRuntime.make(cache)
  let executions = 0
  const rate = await runtime.runPromise(Effect.gen(function*() {
    const call = yield* makeFunction(Effect.sync(() => executions++))
    const values = valuesOf(size)
    const start = process.cpuUsage()
    yield* use(Precompute.over(call, { values: { a: values, b: values } }), call)
    const { system, user } = process.cpuUsage(start)
    return size / (system + user) * 1e6
  }))
  await runtime.dispose()
  check(executions === size, "every input has to be computed once")
  return rate
}

const cache = ResultCache.layerMemory({ maxEntries }).pipe(
  Layer.provideMerge(Stdio.layerTest({ stderrIsTerminal: Effect.succeed(true), stderr: () => Sink.drain })),
  Layer.provideMerge(Logger.layer([]))
)

// What is reachable while a run goes on, looked at twenty times.
const heapOf = async (size: number): Promise<Heap> => {
  const before = liveHeap()
  const seen: Array<number> = []
  await onCache(size, (plan) => {
    let handled = 0
    return Stream.runForEach(Precompute.run(plan, { concurrency, maxSize: size }), () =>
      Effect.sync(() => {
        if (++handled % Math.floor(size / 20) === 0) seen.push(liveHeap())
      }))
  })
  check(seen.length === 20, "the heap is looked at twenty times")
  return { before, start: seen[0]!, peak: Math.max(...seen), end: seen.at(-1)!, after: liveHeap() }
}

const liveHeap = (): number => {
  globalThis.gc!()
  return process.memoryUsage().heapUsed
}

const bytesOfList = (size: number): number => {
  const before = liveHeap()
  const all = Array.from(inputs(size))
  const bytes = liveHeap() - before
  check(all.length === size, "the list is still there")
  return bytes
}

const speedTable = (all: ReadonlyArray<Speeds>): Table => {
  const control = "calls, Effect.forEach"
  return {
    title: `Inputs per second of CPU time: a handler that does nothing, ${concurrency} at a time, ${
      whole(maxEntries)
    } entries are kept`,
    columns: ["", "inputs", "median", "quartiles", "of the calls'"],
    rows: all.flatMap(({ samples, size }) =>
      Object.keys(samples).map((name) =>
        row(
          name,
          whole(size),
          cells(distribution(samples[name]!), whole),
          name === control ? "" : times(ratio(samples, name, control).median)
        )
      )
    )
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)

const memoryTable = ({ heaps, listed, size }: Speeds): Table => {
  const median = (key: keyof Heap) => megabytes(distribution(heaps.map((heap) => heap[key])).median)
  return {
    title: `Live heap in MB, after a collection, while ${whole(size)} inputs are run through`,
    columns: ["", "before", "after 5 %", "peak", "at the end", "when all is closed"],
    rows: [
      row("Precompute.run", median("before"), median("start"), median("peak"), median("end"), median("after")),
      row("for comparison: the same inputs in an array", "", "", megabytes(listed), "", "")
    ]
  }
}

const millis = (figure: number): string => `${figure.toFixed(1)} ms`

// Computations that only wait.
const waits = async (quick: boolean): Promise<{ readonly table: Table; readonly goals: ReadonlyArray<Goal> }> => {
  const delay = 20
  const size = 100
  const ideal = size / concurrency * delay
  const waiting = Effect.sleep(delay)
  const subject = (size: number, use: (plan: Precompute.Plan) => Effect.Effect<unknown, unknown>) => async () => {
    const runtime = ManagedRuntime.make(cache)
    const took = await runtime.runPromise(Effect.gen(function*() {
      const call = yield* makeFunction(Effect.as(waiting, 1))
      const values = Array.from({ length: size }, (_, value) => value)
      const start = performance.now()
      yield* use(Precompute.over(call, { values: { a: values, b: [0] } }))
      return performance.now() - start
    }))
    await runtime.dispose()
    return took
  }
  const precompute = (plan: Precompute.Plan) => Stream.runDrain(Precompute.run(plan, { concurrency }))
  const samples = await paired({
    [`Precompute.run, ${size} inputs`]: subject(size, precompute),
    [`Effect.forEach, ${size} times`]: subject(
      size,
      () => Effect.forEach(Array.from({ length: size }), () => waiting, { concurrency, discard: true })
    ),
    "Precompute.run, 10 inputs": subject(10, precompute)
  }, { rounds: quick ? 9 : 40, warmups: 2, millis: quick ? 8000 : 60_000 })

  const relative = (name: string, best: number) => distribution(samples[name]!.map((figure) => figure / best))
  const [all, control, ten] = Object.keys(samples) as [string, string, string]
  return {
    table: {
      title: `Computations that wait for ${delay} ms, ${concurrency} at a time`,
      columns: ["", "ideal", "median", "quartiles", "of the ideal"],
      rows: [[all, ideal], [control, ideal], [ten, delay]].map(([name, best]) =>
        row(
          String(name),
          millis(Number(best)),
          cells(distribution(samples[name!]!), millis),
          times(relative(String(name), Number(best)).median)
        )
      )
    },
    goals: [
      goal(
        `precompute ${size} inputs of ${delay} ms, ${concurrency} at a time: at most 1.2 times the ideal of ${ideal} ms`,
        relative(all, ideal),
        { atMost: 1.2 }
      ),
      goal(
        `precompute 10 inputs of ${delay} ms, 10 at a time: less than 60 ms`,
        distribution(samples[ten]!),
        { atMost: 60 },
        millis
      )
    ]
  }
}
