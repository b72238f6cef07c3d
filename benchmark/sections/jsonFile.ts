/**
 * A store in one JSON file: precomputing into it, the bytes that it writes for those that it keeps, and opening it.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { type Duration, Effect, FileSystem, Layer, Logger, ManagedRuntime, Schema, Stream } from "effect"
import { Cached, DependencyGraph, Precompute, ResultCache } from "effect-cached"
import * as JsonFileStore from "effect-cached/JsonFileStore"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Article as ArticleSchema, article, check, type Settings } from "../fixtures.ts"
import { distribution, paired, ratio, type Samples } from "../paired.ts"
import { cells, type Goal, type Report, row, type Table, times, whole } from "../report.ts"

const concurrency = 10

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const folder = mkdtempSync(join(tmpdir(), "effect-cached-benchmark-"))
  try {
    const sizes = smoke ? [400] : quick ? [10_000] : [10_000, 100_000]
    const speed: Array<Speeds> = []
    const opening: Array<Openings> = []
    for (const size of sizes) {
      const rounds = size > 10_000 ? { rounds: 2, warmups: 0 } : { rounds: quick ? 2 : 10, warmups: 1 }
      // oxlint-disable-next-line no-await-in-loop -- one after the other, to keep the heap small
      speed.push(await speeds(folder, size, { ...rounds, millis: 600_000 }))
      // oxlint-disable-next-line no-await-in-loop -- one after the other, to keep the heap small
      opening.push(await openings(folder, size, { ...rounds, millis: 600_000 }))
    }
    const bytes = await writtenBytes(folder, sizes, smoke ? 100 : 1500, smoke ? 1 : quick ? 6 : 40)
    return {
      tables: [speedTable(speed), bytes.table, openTable(opening)],
      goals: bytes.goals,
      notes: quick ? ["--quick leaves out the 100 000 entries."] : []
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What was written, to whatever file. */
interface Written {
  bytes: number
  /** How often a file was written anew. */
  folds: number
}

// The file system of node, with every byte counted that is written through it.
const counting = (written: Written) =>
  Layer.effect(FileSystem.FileSystem)(Effect.map(FileSystem.FileSystem, (fs) => ({
    ...fs,
    open: (path, options) =>
      Effect.map(fs.open(path, options), (file) => {
        const write = file.write.bind(file)
        const writeAll = file.writeAll.bind(file)
        return Object.assign(file, {
          write: (bytes: Uint8Array) => Effect.tap(write(bytes), (size) => count(written, size)),
          writeAll: (bytes: Uint8Array) => Effect.tap(writeAll(bytes), () => count(written, bytes.length))
        })
      }),
    writeFile: (path, bytes, options) =>
      Effect.tap(fs.writeFile(path, bytes, options), () => count(written, bytes.length)),
    rename: (from, to) =>
      Effect.tap(fs.rename(from, to), () =>
        Effect.sync(() => {
          if (to.endsWith(".json")) written.folds++
        }))
  }))).pipe(Layer.provide(NodeFileSystem.layer))

const count = (written: Written, size: number) =>
  Effect.sync(() => {
    written.bytes += size
  })

const inFile = (path: string, options?: { readonly foldEvery?: Duration.Input; readonly written?: Written }) =>
  ResultCache.layer().pipe(
    Layer.provide([JsonFileStore.layer({ path, foldEvery: options?.foldEvery }), DependencyGraph.layer()]),
    Layer.provide(counting(options?.written ?? { bytes: 0, folds: 0 })),
    Layer.provideMerge(Logger.layer([]))
  )

const inMemory = ResultCache.layerMemory({ maxEntries: 1_000_000, maxBytes: 1024 ** 3 })

type Cache = Layer.Layer<ResultCache.ResultCache, unknown>

const makeArticles = Effect.fnUntraced(function*() {
  let executions = 0
  const call = yield* Cached.make("article", {
    input: { id: Schema.Int },
    success: ArticleSchema
  }, ({ id }) => Effect.sync(() => (executions++, article(id))))
  return { call, executions: () => executions }
})

const makeNumbers = Effect.fnUntraced(function*() {
  let executions = 0
  const call = yield* Cached.make("number", {
    input: { id: Schema.Int },
    success: Schema.Int
  }, ({ id }) =>
    // Calls that never wait would leave the file no time to be written before all of them are done.
    Effect.andThen(Effect.yieldNow, Effect.sync(() => (executions++, id))))
  return { call, executions: () => executions }
})

const ids = (size: number) => Array.from({ length: size }, (_, id) => id)

const plan = (call: Effect.Success<ReturnType<typeof makeArticles | typeof makeNumbers>>["call"], size: number) =>
  Precompute.run(Precompute.over(call as Articles, { values: { id: ids(size) } }), { concurrency, maxSize: size })

type Articles = Effect.Success<ReturnType<typeof makeArticles>>["call"]

// The folder is empty before and after.
const onFile = async <A>(folder: string, use: (path: string) => Promise<A>): Promise<A> => {
  const own = mkdtempSync(join(folder, "run-"))
  const result = await use(join(own, "results.json"))
  rmSync(own, { recursive: true, force: true })
  return result
}

interface Speeds {
  readonly size: number
  readonly samples: Samples
}

// Inputs per second of CPU time, from the opening to the end of the closing.
const speeds = async (folder: string, size: number, options: Parameters<typeof paired>[1]): Promise<Speeds> => {
  const cpu = async (cache: Cache, use: (call: Articles) => Effect.Effect<unknown, unknown>) => {
    const runtime = ManagedRuntime.make(cache)
    const start = process.cpuUsage()
    await runtime.runPromise(Effect.gen(function*() {
      const { call, executions } = yield* makeNumbers()
      yield* use(call as unknown as Articles)
      check(executions() === size, "every input has to be computed once")
    }))
    // Calls do not wait until their results are written: closing does.
    await runtime.dispose()
    return size / spent(start) * 1e6
  }
  return {
    size,
    samples: await paired({
      "Precompute.run, into a file": () =>
        onFile(folder, (path) => cpu(inFile(path), (call) => Stream.runDrain(plan(call, size)))),
      "calls, into a file": () =>
        onFile(
          folder,
          (path) =>
            cpu(inFile(path), (call) => Effect.forEach(ids(size), (id) => call({ id }), { concurrency, discard: true }))
        ),
      "Precompute.run, in memory": () => cpu(inMemory, (call) => Stream.runDrain(plan(call, size)))
    }, options)
  }
}

const speedTable = (all: ReadonlyArray<Speeds>): Table => ({
  title:
    `Inputs per second of CPU time, opening and closing included: a handler that only yields, ${concurrency} at a time`,
  columns: ["", "inputs", "median", "quartiles", "of the calls'"],
  rows: all.flatMap(({ samples, size }) =>
    Object.keys(samples).map((name) =>
      row(
        name,
        whole(size),
        cells(distribution(samples[name]!), whole),
        name === "calls, into a file" ? "" : times(ratio(samples, name, "calls, into a file").median)
      )
    )
  )
})

interface Bytes extends Written {
  readonly label: string
  readonly size: number
  readonly kept: number
}

// From an empty folder to a file that is complete and closed.
const fill = (
  folder: string,
  label: string,
  size: number,
  foldEvery: Duration.Input,
  make: typeof makeArticles | typeof makeNumbers
) =>
  onFile(folder, async (path): Promise<Bytes> => {
    const written: Written = { bytes: 0, folds: 0 }
    const runtime = ManagedRuntime.make(inFile(path, { foldEvery, written }))
    await runtime.runPromise(Effect.gen(function*() {
      const { call, executions } = yield* make()
      yield* Stream.runDrain(plan(call as Articles, size))
      check(executions() === size, "every input has to be computed once")
    }))
    await runtime.dispose()
    return { ...written, label, size, kept: statSync(path).size }
  })

// While results come one after the other, and with a fold at every moment at which none came since the last look.
const [busily, often] = ["20 millis", "1 millis"] as const

const writtenBytes = async (
  folder: string,
  sizes: ReadonlyArray<number>,
  shortest: number,
  steps: number
): Promise<{ readonly table: Table; readonly goals: ReadonlyArray<Goal> }> => {
  const all: Array<Bytes> = []
  for (const size of sizes) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, to keep the heap small
    all.push(await fill(folder, "1 KB, foldEvery as by default", size, "10 seconds", makeArticles))
    // oxlint-disable-next-line no-await-in-loop -- one after the other, to keep the heap small
    all.push(await fill(folder, "1 KB, folded while it is busy", size, busily, makeArticles))
  }
  all.push(await fill(folder, "a number, folded while it is busy", sizes[0]!, busily, makeNumbers))
  all.push(await fill(folder, "1 KB, folded in every pause", sizes[0]!, often, makeArticles))
  // How much is written depends on how long before the end the last fold was. So runs of all lengths, to find the worst.
  const ends: Array<Bytes> = []
  for (let step = 0; step < steps; step++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, to keep the heap small
    ends.push(await fill(folder, "", Math.round(shortest * 5 ** (step / steps)), busily, makeArticles))
  }
  const worst = ends.toSorted((one, other) => perByte(other) - perByte(one))[0]!
  all.push({
    ...worst,
    label: `1 KB, busy, the worst of ${steps} runs of ${whole(ends[0]!.size)} to ${whole(ends.at(-1)!.size)}`
  })
  return {
    table: {
      title: "Bytes written for each byte kept, from an empty folder to a closed file",
      columns: ["results", "inputs", "MB kept", "MB written", "folds", "written per byte kept"],
      rows: all.map((bytes) => [
        bytes.label,
        whole(bytes.size),
        (bytes.kept / 1e6).toFixed(2),
        (bytes.bytes / 1e6).toFixed(2),
        String(bytes.folds),
        times(perByte(bytes))
      ])
    },
    goals: all.map((bytes) => ({
      goal: `${whole(bytes.size)} results into a file (${bytes.label}): less than 3 bytes written per byte kept`,
      measured: `${times(perByte(bytes))}, with ${bytes.folds} folds`,
      pass: perByte(bytes) < 3
    }))
  }
}

const perByte = ({ bytes, kept }: Bytes): number => bytes / kept

interface Openings {
  readonly size: number
  readonly bytes: number
  readonly samples: Samples
}

// Microseconds of CPU time of a start with a complete file.
const openings = async (folder: string, size: number, options: Parameters<typeof paired>[1]): Promise<Openings> =>
  onFile(folder, async (path) => {
    const filling = ManagedRuntime.make(inFile(path))
    await filling.runPromise(Effect.flatMap(makeArticles(), ({ call }) => Stream.runDrain(plan(call, size))))
    await filling.dispose()
    const { mtimeMs, size: bytes } = statSync(path)

    const start =
      (use: (articles: Effect.Success<ReturnType<typeof makeArticles>>) => Effect.Effect<unknown, unknown>) =>
      async () => {
        globalThis.gc!()
        const begun = process.cpuUsage()
        const runtime = ManagedRuntime.make(inFile(path))
        const took = await runtime.runPromise(Effect.gen(function*() {
          const articles = yield* makeArticles()
          yield* use(articles)
          check(articles.executions() === 0, "with a complete file nothing is computed")
          return spent(begun)
        }))
        await runtime.dispose()
        return took
      }
    const samples = await paired({
      "JSON.parse": () => {
        globalThis.gc!()
        const begun = process.cpuUsage()
        const parsed = JSON.parse(readFileSync(path, "utf8")) as { readonly functions: { readonly article: object } }
        const took = spent(begun)
        check(Object.keys(parsed.functions.article).length === size, "the file has to be complete")
        return took
      },
      "open": start(() => Effect.void),
      "open, and each call answered once": start(({ call }) =>
        Effect.forEach(ids(size), (id) => call({ id }), { concurrency, discard: true })
      ),
      "open, and Precompute.run": start(({ call }) => Stream.runDrain(plan(call, size)))
    }, options)
    check(statSync(path).mtimeMs === mtimeMs, "a complete file is not written again")
    return { size, bytes, samples }
  })

const spent = (since: NodeJS.CpuUsage): number => {
  const { system, user } = process.cpuUsage(since)
  return system + user
}

const millis = (micros: number): string => `${whole(micros / 1000)} ms`

const openTable = (all: ReadonlyArray<Openings>): Table => ({
  title: "Start with a complete file, results of 1 KB: CPU time",
  columns: ["", "entries", "MB", "median", "quartiles", "of JSON.parse's"],
  rows: all.flatMap(({ bytes, samples, size }) =>
    Object.keys(samples).map((name) =>
      row(
        name,
        whole(size),
        (bytes / 1e6).toFixed(1),
        cells(distribution(samples[name]!), millis),
        name === "JSON.parse" ? "" : times(ratio(samples, name, "JSON.parse").median)
      )
    )
  )
})
