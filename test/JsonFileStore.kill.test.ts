/**
 * Processes that keep results in a file and are killed: what they acknowledged is there.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import {
  Array as Arr,
  type Cause,
  Context,
  Deferred,
  Effect,
  FileSystem,
  Layer,
  Logger,
  Option,
  Queue,
  Schema,
  Stream
} from "effect"
import { Broadcaster, Cached, DependencyGraph, Precompute, ResultCache, Store } from "effect-cached"
import * as JsonFileStore from "effect-cached/JsonFileStore"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Settings } from "./fixtures/precomputing.ts"
import { inputs, makeProducts, textOf } from "./fixtures/products.ts"
import { makeRandom, type Random } from "./random.ts"

const fixtures = fileURLToPath(new URL("fixtures/", import.meta.url))
const register = fileURLToPath(new URL("bin/fixtures/register.ts", import.meta.url))

/** A folder for the files of all tests. */
class Folder extends Context.Service<Folder, {
  /** The path of a new file. */
  readonly file: Effect.Effect<string>
  readonly path: string
}>()("test/JsonFileStore/Folder") {
  static readonly layer = Layer.effect(Folder)(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* fs.realPath(yield* fs.makeTempDirectoryScoped())
    let files = 0
    return { path, file: Effect.sync(() => `${path}/${files++}/table.json`) }
  }))
}

interface Ended {
  readonly killed: boolean
  /** What it said. */
  readonly lines: ReadonlyArray<string>
  readonly stderr: string
}

/** Starts the program. It is killed with the scope, and as soon as it says a line for which `isLast` is true. */
const start = Effect.fnUntraced(function*(settings: Settings, isLast: (line: string) => boolean = () => false) {
  const folder = yield* Folder
  const said = yield* Queue.unbounded<string, Cause.Done>()
  const end = yield* Deferred.make<Ended>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        process.execPath,
        ["--import", register, `${fixtures}precomputing.ts`, JSON.stringify(settings)],
        { env: { ...process.env, NODE_COMPILE_CACHE: `${folder.path}/compiled` }, stdio: ["ignore", "pipe", "pipe"] }
      )
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const kill = () => void child.kill("SIGKILL")
  const lines: Array<string> = []
  let rest = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const [last, ...whole] = `${rest}${text}`.split("\n").toReversed()
    rest = last!
    for (const line of whole.toReversed()) {
      lines.push(line)
      Queue.offerUnsafe(said, line)
      if (isLast(line)) kill()
    }
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
  child.once("close", (_code, signal) => {
    Queue.endUnsafe(said)
    Deferred.doneUnsafe(end, Effect.succeed({ killed: signal === "SIGKILL", lines, stderr }))
  })
  return {
    pid: child.pid!,
    kill: Effect.sync(kill),
    /** Waits for a line. */
    says: (line: string) => Effect.repeat(Queue.take(said), { until: (next) => next === line }),
    ended: Deferred.await(end)
  }
})

/** Runs the program until it ends or is killed. */
const life = (settings: Settings, isLast?: (line: string) => boolean) =>
  Effect.scoped(Effect.flatMap(start(settings, isLast), ({ ended }) => ended))

const linesOf = (kind: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1))

const cacheOver = ({ log, store }: JsonFileStore.JsonFile) =>
  ResultCache.layer().pipe(Layer.provide([
    Layer.succeed(Store.Store)(store),
    Layer.succeed(Broadcaster.Broadcaster)(log),
    DependencyGraph.layer()
  ]))

/**
 * Opens the file for reading, as it was left behind, and looks at everything in it. Returns the generations of what is there,
 * by input, and what was logged.
 */
const open = Effect.fnUntraced(function*(path: string) {
  yield* checkText(path)
  const warnings: Array<string> = []
  const warned = Logger.layer([Logger.make(({ message }) => void warnings.push(String(message)))])
  const found = yield* Effect.gen(function*() {
    const file = yield* JsonFileStore.make({ path, access: "read" })
    const keys = (yield* Stream.runCollect(file.store.entries)).map(({ key }) => key)
    assert.strictEqual(new Set(keys).size, keys.length, "an entry is there twice")
    const found = yield* readAll(file)
    assert.strictEqual(found.size, keys.length, "an entry is there that cannot be read")
    return found
  }).pipe(Effect.scoped, Effect.provide(warned))
  return { found, warnings }
})

// The file is whole, and no key is in it twice.
const checkText = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  if (!(yield* fs.exists(path))) return
  const text = yield* fs.readFileString(path)
  const document = JSON.parse(text) as { readonly functions: Readonly<Record<string, object>> }
  const keys = Object.values(document.functions).flatMap((entries) => Object.keys(entries))
  assert.deepStrictEqual(
    text.match(/^ {6}"(?:[^"\\]|\\.)*"(?=: )/gmu)?.map((key) => JSON.parse(key) as string) ?? [],
    keys
  )
})

// What is not there is computed, which tells that it is not there.
const readAll = Effect.fnUntraced(function*(file: JsonFileStore.JsonFile) {
  const found = new Map<string, number>()
  yield* Effect.gen(function*() {
    const products = yield* makeProducts(() => Effect.succeed(missing))
    for (const input of inputs) {
      const { x, y } = valueOf(input)
      const { generation, text } = yield* products({ x, y })
      assert.strictEqual(text, textOf(x, y))
      if (generation !== missing) found.set(input, generation)
    }
  }).pipe(Effect.scoped, Effect.provide(cacheOver(file)))
  return found
})

const missing = -1

const valueOf = (input: string) => {
  const [x, y] = input.split(",").map(Number)
  return { x: x as 0, y: y as 0 }
}

const without = (all: ReadonlyArray<string>, some: Iterable<string>) => {
  const left = new Set(some)
  return all.filter((input) => !left.has(input))
}

/** The names in the folder of a file. */
const beside = (path: string) =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fs) => Effect.map(fs.readDirectory(path.slice(0, path.lastIndexOf("/"))), (names) => names.toSorted())
  )

/** A life of random length: what is to be done in it, and when it ends. */
const anyLife = (path: string, random: Random, generation: number) => {
  const folding = random.pick(["always", "always", "often", undefined] as const)
  const ends = random.below(3) === 0 ? `row:${random.below(10)}` : undefined
  const steps = ends === undefined ? ["precompute"] : [`invalidate ${ends}`, "precompute"]
  const settings = { path, steps, folding, generation }
  const kind = random.pick(["ack", "call", "itself"])
  if (kind === "itself") return { ends, settings: { ...settings, dies: 1 + random.below(50) } }
  let left = 1 + random.below(kind === "ack" ? 40 : 60)
  return { ends, settings, isLast: (line: string) => line.startsWith(kind) && --left === 0 }
}

/**
 * Goes on with one file until as many processes were killed, and takes another when everything is computed. After each
 * everything is looked at.
 */
const killAgainAndAgain = Effect.fnUntraced(function*(seed: number, times: number) {
  const folder = yield* Folder
  const random = makeRandom(seed)
  let kills = 0
  let found: ReadonlyMap<string, number> = new Map()
  for (let path = yield* folder.file, generation = 1; kills < times; generation++) {
    const { ends, isLast, settings } = anyLife(path, random, generation)
    const { killed, lines, stderr } = yield* life(settings, isLast)
    const opened = yield* open(path)

    const told = `seed ${seed}, after ${kills} kills: ${JSON.stringify(settings)}, ${lines.length} lines`
    assert.deepStrictEqual({ stderr, warnings: opened.warnings, failed: linesOf("failed", lines) }, quiet, told)
    const acknowledged = linesOf("ack", lines)
    const run = linesOf("run", lines)
    assert.strictEqual(new Set(run).size, run.length, `${told}: computed twice`)
    // What was there before, and surely is there; and what may be there of an invalidation that did not return.
    const isEnded = (input: string) => ends !== undefined && `row:${valueOf(input).x}` === ends
    const before = new Map(Array.from(found).filter(([input]) => !isEnded(input)))
    const may = lines.includes(`did invalidate ${ends}`) ? before : found
    found = opened.found
    assert.deepStrictEqual(run.filter((input) => before.has(input)), [], `${told}: computed again`)
    assert.deepStrictEqual(without([...before.keys(), ...acknowledged], found.keys()), [], `${told}: lost`)
    for (const [input, of] of found) {
      assert.strictEqual(of, run.includes(input) ? generation : may.get(input), `${told}: ${input}`)
    }
    if (killed) kills++
    else {
      assert.deepStrictEqual(run.toSorted(), without(inputs, before.keys()).toSorted(), told)
      assert.strictEqual(found.size, inputs.length, told)
      path = yield* folder.file
      found = new Map()
    }
  }
  return kills
})

const quiet = { stderr: "", warnings: [], failed: [] }

/** The next start, in this process: opens the file, computes what is missing, and tells what that was. */
const goOn = Effect.fnUntraced(function*(path: string) {
  const run: Array<string> = []
  const file = yield* JsonFileStore.make({ path })
  yield* Effect.gen(function*() {
    const products = yield* makeProducts((x, y) => Effect.as(Effect.sync(() => run.push(`${x},${y}`)), 1))
    yield* Stream.runDrain(Precompute.run(products))
  }).pipe(Effect.scoped, Effect.provide(cacheOver(file)))
  return run
}, Effect.scoped)

/** A new file with everything in it, of generation 1. */
const complete = Effect.gen(function*() {
  const path = yield* (yield* Folder).file
  assert.deepStrictEqual(yield* goOn(path), inputs)
  return path
})

/** Tries with the first call, the second, and so on, until one says that it has done them all. */
const atEachCall = Effect.fnUntraced(function*<E, R>(attempt: (call: number) => Effect.Effect<boolean, E, R>) {
  for (let call = 1, done = false; !done; call += 2) {
    done = (yield* Effect.all([attempt(call), attempt(call + 1)], { concurrency: 2 })).includes(true)
  }
})

const inRow = (...rows: ReadonlyArray<number>) => inputs.filter((input) => rows.includes(valueOf(input).x))

/** What a person does. */
const edit = Effect.fnUntraced(function*(path: string, input: string, generation: number) {
  const fs = yield* FileSystem.FileSystem
  const { x, y } = valueOf(input)
  const place = new RegExp(`("x=${x}, y=${y}": \\{\\s+"value": \\{\\s*"generation": )\\d+`, "u")
  const text = yield* fs.readFileString(path)
  assert.match(text, place)
  yield* fs.writeFileString(path, text.replace(place, `$1${generation}`))
})

// Only a process that ends by itself leaves behind what it has compiled. All others start in half the time.
const Compiled = Layer.effectDiscard(Effect.gen(function*() {
  const { file } = yield* Folder
  yield* life({ path: yield* file, steps: [] })
}))

const Services = Compiled.pipe(Layer.provideMerge(Folder.layer), Layer.provideMerge(NodeFileSystem.layer))

// Processes take their time.
it.layer(Services, { timeout: "1 minute" })("JsonFileStore, killed", (it) => {
  const test = (name: string, effect: Effect.Effect<void, unknown, Layer.Success<typeof Services>>) =>
    it.effect(name, () => effect, 240_000)

  describe("a process that precomputes", () => {
    test(
      "loses nothing that it acknowledged at 100 random points, and the next one computes only the rest (scenarios 47, 68)",
      Effect.gen(function*() {
        const chains = Arr.makeBy(10, (index) => killAgainAndAgain(index + 1, 10))
        const kills = yield* Effect.all(chains, { concurrency: 3 })
        assert.strictEqual(kills.reduce((sum, some) => sum + some, 0), 100)
      })
    )

    test(
      "loses nothing at any call of its very first fold (scenario 47)",
      Effect.gen(function*() {
        const folder = yield* Folder
        const states = new Set<string>()
        yield* atEachCall(Effect.fnUntraced(function*(call) {
          const path = yield* folder.file
          const fold = `fold ${call}`
          const { killed, lines } = yield* life(
            { path, steps: ["precompute", fold, "hang"] },
            (line) => line === `did ${fold}`
          )
          const last = lines.at(-1)!
          assert.isTrue(killed, last)
          const { found, warnings } = yield* open(path)
          assert.deepStrictEqual([found.size, warnings], [inputs.length, []], last)
          states.add((yield* beside(path)).join())
          assert.deepStrictEqual(yield* goOn(path), [], last)
          assert.deepStrictEqual(yield* beside(path), ["table.json"], last)
          return lines.includes(`did ${fold}`)
        }))
        assert.sameMembers(Array.from(states), [
          "table.json.journal,table.json.lock",
          "table.json.journal,table.json.lock,table.json.tmp",
          "table.json,table.json.journal,table.json.lock",
          "table.json,table.json.lock"
        ])
      })
    )

    test(
      "computes each input once in several runs, and none with the complete file (scenario 67)",
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* (yield* Folder).file
        const fields = { x: Schema.Literals([1, 2, 3]), y: Schema.Literals(["a", "b", "c", "d", "e"]) }
        let executions = 0
        const start = Effect.gen(function*() {
          const f = yield* Cached.make("f", { input: fields, success: Schema.String }, ({ x, y }) =>
            Effect.sync(() => {
              executions++
              return `${x}${y}`
            }))
          const run = Effect.map(Stream.runLast(Precompute.run(f)), Option.getOrThrow)
          yield* Effect.all([run, run], { concurrency: 2 })
          const last = yield* run
          assert.strictEqual(yield* f({ x: 2, y: "d" }), "2d")
          return last._tag === "Finished" ? last.summary.counts.present : last
        }).pipe(
          Effect.provide(
            ResultCache.layer().pipe(
              Layer.provide([JsonFileStore.layer({ path }), DependencyGraph.layer()])
            )
          ),
          Effect.scoped
        )
        assert.deepStrictEqual([yield* start, executions], [15, 15])
        const text = yield* fs.readFileString(path)
        assert.deepStrictEqual([yield* start, executions], [15, 15])
        assert.strictEqual(yield* fs.readFileString(path), text)
        assert.deepStrictEqual(yield* beside(path), ["table.json"])
      })
    )
  })

  describe("a process that invalidates", () => {
    const others = without(inputs, inRow(3))

    test(
      "is killed as soon as it knows: what was invalidated is a miss after the restart (scenario 46)",
      Effect.gen(function*() {
        const path = yield* complete
        const { killed } = yield* life(
          { path, steps: ["invalidate row:3", "hang"] },
          (line) => line === "did invalidate row:3"
        )
        assert.isTrue(killed)
        assert.deepStrictEqual(Array.from((yield* open(path)).found.keys()), others)
        assert.deepStrictEqual(yield* goOn(path), inRow(3))
      })
    )

    test(
      "is killed while it computes what was invalidated: it is a miss after the restart (scenario 46)",
      Effect.gen(function*() {
        const path = yield* complete
        const steps = ["read 3,4", "invalidate row:3", "read 3,4 hang"]
        const { killed, lines } = yield* life({ path, steps }, (line) => line === "run 3,4")
        assert.deepStrictEqual([killed, linesOf("run", lines)], [true, ["3,4"]])
        assert.deepStrictEqual(Array.from((yield* open(path)).found.keys()), others)
      })
    )

    test(
      "is killed at any call of the fold that follows: nothing invalidated comes back, and nothing else is lost (scenario 46)",
      Effect.gen(function*() {
        const expected = new Map(without(inputs, inRow(3, 9)).map((input) => [input, 1])).set("3,4", 2)
        yield* atEachCall(Effect.fnUntraced(function*(call) {
          const path = yield* complete
          const fold = `fold ${call}`
          const steps = ["invalidate row:3", "read 3,4", "invalidate row:9", fold, "hang"]
          const { killed, lines } = yield* life({ path, steps, generation: 2 }, (line) => line === `did ${fold}`)
          assert.isTrue(killed, lines.at(-1))
          const { found, warnings } = yield* open(path)
          assert.deepStrictEqual(found, expected, lines.at(-1))
          assert.deepStrictEqual(warnings, [], lines.at(-1))
          assert.deepStrictEqual(yield* goOn(path), without(inRow(3, 9), ["3,4"]), lines.at(-1))
          assert.deepStrictEqual(yield* beside(path), ["table.json"], lines.at(-1))
          return lines.includes(`did ${fold}`)
        }))
      })
    )
  })

  describe("a file", () => {
    test(
      "has one writer: another process is told which one, and takes over at once when that one was killed",
      Effect.scoped(Effect.gen(function*() {
        const path = yield* (yield* Folder).file
        const first = yield* start({ path, steps: ["precompute", "hang"] })
        yield* first.says("did precompute")
        const second = yield* life({ path, steps: ["precompute"] })
        assert.deepStrictEqual([second.killed, linesOf("run", second.lines)], [false, []])
        assert.include(second.lines.at(-1), `the process ${first.pid} on `)
        const error = yield* Effect.flip(Effect.scoped(JsonFileStore.make({ path })))
        assert.deepInclude(error.reason, { _tag: "FileError", problem: "held" })
        assert.include(error.message, `the process ${first.pid} on `)

        yield* first.kill
        yield* first.ended
        assert.include(yield* beside(path), "table.json.lock")
        // The clock of this test stands still, so nothing was waited for.
        const file = yield* JsonFileStore.make({ path })
        assert.strictEqual((yield* readAll(file)).size, inputs.length)
      }))
    )

    test(
      "keeps what a person edits while its writer runs, and what that one has acknowledged, when it is killed (scenario 68)",
      Effect.gen(function*() {
        const path = yield* complete
        yield* Effect.scoped(Effect.gen(function*() {
          const steps = ["invalidate row:3", "precompute", "hang"]
          const writer = yield* start({ path, steps, generation: 2 })
          yield* writer.says("did precompute")
          yield* edit(path, "5,1", 7)
          yield* writer.kill
          yield* writer.ended
        }))
        const expected = new Map(inputs.map((input) => [input, inRow(3).includes(input) ? 2 : 1]))
        expected.set("5,1", 7)
        assert.deepStrictEqual((yield* open(path)).found, expected)
        // Whoever opens it next may be killed as well.
        for (let call = 1, folded = false; !folded; call++) {
          const { killed, lines } = yield* life({ path, steps: [`fold ${call}`] })
          folded = !killed
          assert.deepStrictEqual((yield* open(path)).found, expected, lines.at(-1))
        }
        assert.deepStrictEqual(yield* goOn(path), [])
        assert.match((yield* beside(path)).join(), /^table\.json,table\.json\.aside-[0-9a-f]{8}$/u)
      })
    )

    test(
      "that is edited between two processes that are killed serves the edit, and all that was acknowledged (scenario 68)",
      Effect.gen(function*() {
        const path = yield* complete
        const first = yield* life(
          { path, steps: ["invalidate row:3", "precompute", "hang"], generation: 2 },
          (line) => line.startsWith("ack")
        )
        yield* edit(path, "5,1", 7)
        const second = yield* life(
          { path, steps: ["precompute", "hang"], generation: 3, folding: "always" },
          (line) => line.startsWith("ack") || line === "did precompute"
        )
        const { found } = yield* open(path)
        assert.deepStrictEqual([first.killed, second.killed, found.get("5,1")], [true, true, 7])
        const there = without(inputs, inRow(3))
        const acknowledged = [first, second].flatMap(({ lines }) => linesOf("ack", lines))
        assert.deepStrictEqual(without([...there, ...acknowledged], found.keys()), [])
        assert.deepStrictEqual(without(linesOf("run", second.lines), inRow(3)), [])
        for (const input of there) assert.strictEqual(found.get(input), input === "5,1" ? 7 : 1)
      })
    )
  })
})
