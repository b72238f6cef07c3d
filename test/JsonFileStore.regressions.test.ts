/**
 * What once went wrong with a file, each with the smallest program that showed it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FileSystem, Layer, Schedule, Schema, SchemaGetter, Stream } from "effect"
import { Broadcaster, ByteStore, Cached, DependencyGraph, invalidate, Precompute, Store } from "effect-cached"
import * as JsonFileStore from "effect-cached/JsonFileStore"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import {
  bodies,
  type Disk,
  entryOf,
  inFolder,
  keyOf,
  killed,
  lives,
  makeDisk,
  open,
  type Operation,
  settled,
  squares,
  tagsOf
} from "./jsonFile.ts"

const squaresOf = (inputs: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const { executed, square } = yield* squares()
    const values = yield* Effect.forEach(inputs, square)
    yield* settled
    return { values, executed }
  })

const write = (path: string, inputs: ReadonlyArray<number>) => lives({ path }, squaresOf(inputs))

const cacheOf = (file: JsonFileStore.JsonFile) =>
  Layer.fresh(
    CacheTest.layerWith().pipe(Layer.provideMerge([
      Layer.succeed(Store.Store)(file.store),
      Layer.succeed(Broadcaster.Broadcaster)(file.log),
      DependencyGraph.layer()
    ]))
  )

// A process whose file and disk a test has in its hands. It stops as it should, unless the test stops the disk.
const running = Effect.fnUntraced(
  function*<A, E, R>(
    options: JsonFileStore.Options,
    disk: Disk,
    body: (file: JsonFileStore.JsonFile) => Effect.Effect<A, E, R>
  ) {
    const file = yield* Effect.provideService(open(options), FileSystem.FileSystem, disk.fs)
    return yield* Effect.provide(body(file), cacheOf(file))
  },
  Effect.scoped
)

const working = Effect.succeed<"do">("do")

// Lets one operation wait until the test lets it go on.
const makeGate = Effect.gen(function*() {
  const reached = yield* Deferred.make<void>()
  const go = yield* Deferred.make<"do" | "fail">()
  let closed = true
  return {
    reached: Deferred.await(reached),
    pass: (verdict: "do" | "fail" = "do") => Deferred.succeed(go, verdict),
    at: (disk: Disk, matches: (operation: Operation) => boolean) =>
      disk.decide((operation) => {
        if (!closed || !matches(operation)) return working
        closed = false
        return Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(go))
      })
  }
})

const isAside = ({ bytes, path }: Operation) => bytes > 0 && path.includes(".aside-")
const isJournalWrite = ({ bytes, path }: Operation) => bytes > 0 && path.endsWith(".journal")

const ofTwo = "{ \"n\": 2, \"squared\": 4 }"
const byHand = "{ \"n\": 2, \"squared\": 40 }"
const unfit = "{ \"n\": 2, \"squared\": \"four\" }"

const failOnce = (disk: Disk, matches: (operation: Operation) => boolean) => {
  let failed = false
  disk.decide((operation) => {
    if (failed || !matches(operation)) return working
    failed = true
    return Effect.succeed("fail")
  })
}

const stepsOf = (run: Stream.Stream<Precompute.Progress, unknown, any>) =>
  Effect.map(Stream.runCollect(run), (steps) => steps.flatMap((step) => step._tag === "Finished" ? [] : [step]))

const tagsIn = (steps: ReadonlyArray<{ readonly _tag: string }>) => steps.map(({ _tag }) => _tag).toSorted()

// A function of two inputs.
const smallFunction = Cached.make(
  "f",
  { input: { n: Schema.Literals([1, 2]) }, success: Schema.Number },
  ({ n }) => Effect.succeed(10 * n)
)
const ofBoth = { [keyOf("f", 1)]: 10, [keyOf("f", 2)]: 20 }

const reopened = (path: string) => Effect.scoped(Effect.flatMap(open({ path }), bodies))

describe("a result that could not be written", () => {
  it.effect("is stored again by a run that tries again, and then outlives the process (scenario 68)", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      failOnce(disk, isJournalWrite)
      yield* running({ path }, disk, () =>
        Effect.gen(function*() {
          const fn = yield* smallFunction
          const first = yield* stepsOf(Precompute.run(fn, { concurrency: 2, retry: Schedule.recurs(3) }))
          assert.deepStrictEqual(tagsIn(first), ["Present", "Present"])
          assert.deepStrictEqual(tagsIn(yield* stepsOf(Precompute.run(fn))), ["Present", "Present"])
          yield* disk.stop
        }))
      assert.deepStrictEqual(yield* reopened(path), ofBoth)
    })))

  it.effect("is stored at the latest by the next run (scenario 68)", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      failOnce(disk, isJournalWrite)
      yield* running({ path }, disk, () =>
        Effect.gen(function*() {
          const fn = yield* smallFunction
          assert.deepStrictEqual(
            tagsIn(yield* stepsOf(Precompute.run(fn, { concurrency: 2 }))),
            ["Failed", "Failed"]
          )
          // A run may have written the file at its end.
          for (const step of yield* stepsOf(Precompute.run(fn))) assert.include(["Computed", "Present"], step._tag)
          yield* disk.stop
        }))
      assert.deepStrictEqual(yield* reopened(path), ofBoth)
    })))

  it.effect("is served to live calls, and written when the file is", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      yield* running({ path }, disk, (file) =>
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          const test = yield* CacheTest.CacheTest
          disk.decide((operation) => isJournalWrite(operation) ? Effect.succeed("fail") : working)
          yield* square(2)
          while (!(yield* test.events).some(({ _tag }) => _tag === "StoreFailed")) yield* Effect.yieldNow
          assert.strictEqual(yield* square(2), 4)
          assert.deepStrictEqual(executed, [2])
          disk.decide(() => working)
          yield* file.fold
          yield* disk.stop
        }))
      assert.deepStrictEqual(yield* write(path, [2]), { values: [4], executed: [] })
    })))

  it.effect("is written when the process stops", () =>
    inFolder(Effect.fnUntraced(function*({ path, text }) {
      const disk = yield* makeDisk
      failOnce(disk, isJournalWrite)
      yield* running({ path }, disk, (file) =>
        Effect.gen(function*() {
          yield* Effect.flip(file.store.set(yield* entryOf(file, keyOf("f", 1), 1)))
        }))
      assert.include(yield* text, "\"n=1\"")
      assert.deepStrictEqual(yield* reopened(path), { [keyOf("f", 1)]: 1 })
    })))

  it.effect("is not stored for a run that comes while it is being written (scenarios 68 and 75)", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      const gate = yield* makeGate
      gate.at(disk, isJournalWrite)
      yield* running({ path }, disk, () =>
        Effect.gen(function*() {
          const fn = yield* smallFunction
          const test = yield* CacheTest.CacheTest
          assert.deepStrictEqual([yield* fn({ n: 1 }), yield* fn({ n: 2 })], [10, 20])
          yield* gate.reached
          const run = yield* Effect.forkChild(
            stepsOf(Precompute.run(fn, { concurrency: 2, retry: Schedule.recurs(1) })),
            { startImmediately: true }
          )
          const joined = Effect.map(test.events, (events) => events.filter(({ _tag }) => _tag === "Joined").length)
          while ((yield* joined) < 2 && run.pollUnsafe() === undefined) yield* Effect.yieldNow
          const ended = run.pollUnsafe() !== undefined
          yield* gate.pass("fail")
          assert.isFalse(ended)
          assert.deepStrictEqual(tagsIn(yield* Fiber.join(run)), ["Present", "Present"])
          yield* disk.stop
        }))
      assert.deepStrictEqual(yield* reopened(path), ofBoth)
    })))

  it.effect("is not called stored when an invalidation that could not be written has ended it", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      yield* running({ path }, disk, (file) =>
        Effect.gen(function*() {
          const key = keyOf("f", 2)
          const entry = yield* entryOf(file, key, 2, { tags: tagsOf(key, ["n:2"]) })
          failOnce(disk, isJournalWrite)
          yield* Effect.flip(file.log.append(["n:2"]))
          assert.strictEqual(yield* file.store.set(entry), "superseded")
          assert.deepStrictEqual(yield* bodies(file), {})
        }))
    })))
})

describe("what people have edited", () => {
  it.effect("is served by a cache that is made after the file was edited again", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path, text }) {
      yield* write(path, [1, 2, 3])
      yield* edit(ofTwo, byHand)
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, disk.fs)
        yield* edit("{ \"n\": 3, \"squared\": 9 }", "{ \"n\": 3, \"squared\": 90 }")
        yield* file.pull
        assert.deepStrictEqual(
          yield* Effect.provide(squaresOf([1, 2, 3]), cacheOf(file)),
          { values: [1, 40, 90], executed: [] }
        )
      }))
      assert.include(yield* text, byHand)
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 40, 90], executed: [] })
    })))

  it.effect("with a time that is not yet is replaced by a refresh", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [2])
      yield* edit("1970-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z")
      yield* lives(
        { path },
        Effect.gen(function*() {
          const { fn, square } = yield* squares({ compute: () => 100 })
          assert.strictEqual(yield* square(2), 4)
          assert.strictEqual((yield* fn.refresh({ n: 2 })).squared, 100)
          yield* settled
          assert.strictEqual(yield* square(2), 100)
        })
      )
      assert.deepStrictEqual(yield* write(path, [2]), { values: [100], executed: [] })
    })))

  it.effect("is served when it was mended while the unfit one was being kept aside", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path, text }) {
      yield* write(path, [2])
      yield* edit(ofTwo, unfit)
      const disk = yield* makeDisk
      const gate = yield* makeGate
      gate.at(disk, isAside)
      yield* running({ path }, disk, (file) =>
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          const call = yield* Effect.forkChild(square(2), { startImmediately: true })
          yield* gate.reached
          yield* edit(unfit, "{ \"n\": 2, \"squared\": 44 }")
          yield* file.pull
          yield* gate.pass()
          yield* Fiber.join(call)
          yield* settled
          assert.strictEqual(yield* square(2), 44)
          assert.isAtMost(executed.length, 1)
        }))
      assert.include(yield* text, "{ \"n\": 2, \"squared\": 44 }")
      assert.deepStrictEqual(yield* write(path, [2]), { values: [44], executed: [] })
    })))

  it.effect("is computed again where its schema throws, and the caller gets the value", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      const Next = Schema.Number.pipe(Schema.decodeTo(Schema.Number, {
        decode: SchemaGetter.transform((n: number) => n + 1),
        encode: SchemaGetter.transform((n: number) => {
          if (n > 100) throw new Error("too large to encode")
          return n - 1
        })
      }))
      let executions = 0
      const run = Effect.gen(function*() {
        const fn = yield* Cached.make("next", { success: Next }, () => Effect.sync(() => (executions++, 8)))
        const values = [yield* fn(), yield* fn()]
        yield* settled
        return values
      })
      assert.deepStrictEqual(yield* lives({ path }, run), [8, 8])
      yield* edit("\"value\": 7", "\"value\": 700")
      assert.deepStrictEqual(yield* lives({ path }, run), [8, 8])
      assert.deepStrictEqual(yield* lives({ path }, run), [8, 8])
      assert.strictEqual(executions, 2)
    })))

  it.effect("and written by hand, without tags, ends with the tags of its function", () =>
    inFolder(Effect.fnUntraced(function*({ path, save }) {
      yield* save(`{"effect-cached": 1, "functions": {"square": {"n=2": {"value": {"n": 2, "squared": 40}}}}}`)
      assert.deepStrictEqual(yield* write(path, [2]), { values: [40], executed: [] })
      yield* lives(
        { path },
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          assert.strictEqual(yield* square(2), 40)
          yield* invalidate("n:2")
          assert.strictEqual(yield* square(2), 4)
          assert.deepStrictEqual(executed, [2])
          yield* settled
        })
      )
      assert.deepStrictEqual(yield* write(path, [2]), { values: [4], executed: [] })
    })))

  it.effect("and taken back when it could not be taken over leaves what is served and what is written the same", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path, save, text }) {
      yield* write(path, [2, 3])
      const before = yield* text
      const disk = yield* makeDisk
      yield* running({ path }, disk, ({ pull }) =>
        Effect.gen(function*() {
          const { square } = yield* squares()
          yield* Effect.forEach([2, 3], square)
          yield* edit(ofTwo, byHand)
          failOnce(disk, isJournalWrite)
          yield* Effect.flip(pull)
          yield* save(before)
          yield* pull
          assert.deepStrictEqual(yield* Effect.forEach([2, 3, 5], square), [4, 9, 25])
          yield* settled
        }))
      assert.deepStrictEqual(yield* write(path, [2, 3, 5]), { values: [4, 9, 25], executed: [] })
    })))

  it.effect("is kept aside where there is no room for it, and that is said", () =>
    inFolder(Effect.fnUntraced(function*({ aside, messages, path, text }) {
      yield* write(path, [1, 2, 3, 4, 5])
      const before = yield* text
      yield* lives({ path, maxEntries: 2 }, squaresOf([6]))
      assert.deepStrictEqual(yield* aside, [before])
      assert.include(messages.join("\n"), `${path} has 3 entries more than \`maxEntries\` and \`maxBytes\` allow`)
    })))

  it.effect("is checked also where it comes through a tier of bytes, each time it is asked for", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [2])
      yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 4, \"extra\": 1 }")
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        const tiered = Store.layerTiered({
          near: ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer())),
          far: Layer.succeed(Store.Store)(file.store)
        })
        yield* Effect.provide(
          Effect.gen(function*() {
            const { get } = yield* Store.Store
            for (let time = 1; time <= 2; time++) {
              assert.isDefined((yield* get(keyOf("square", 2)))?.unchecked, `time ${time}`)
            }
          }),
          tiered
        )
      }))
    })))

  it.effect("and does not fit is kept aside also when its caller leaves meanwhile", () =>
    inFolder(Effect.fnUntraced(function*({ aside, edit, path, text }) {
      yield* write(path, [2])
      yield* edit(ofTwo, unfit)
      const disk = yield* makeDisk
      const gate = yield* makeGate
      gate.at(disk, isAside)
      yield* running({ path }, disk, () =>
        Effect.gen(function*() {
          const { square } = yield* squares()
          const call = yield* Effect.forkChild(square(2), { startImmediately: true })
          yield* gate.reached
          const leaving = yield* Effect.forkChild(Fiber.interrupt(call), { startImmediately: true })
          yield* Effect.repeat(Effect.yieldNow, { times: 20 })
          yield* gate.pass()
          yield* Fiber.join(leaving)
          assert.strictEqual(yield* square(2), 4)
          yield* settled
        }))
      assert.include(yield* text, ofTwo)
      assert.include((yield* aside).join("\n"), unfit)
    })))

  it.effect("is kept aside when the function has another version by now, and that is said", () =>
    inFolder(Effect.fnUntraced(function*({ aside, edit, messages, path }) {
      yield* write(path, [1, 2])
      yield* edit(ofTwo, byHand)
      const next = Effect.gen(function*() {
        const { executed, square } = yield* squares({ version: "2" })
        yield* Effect.forEach([1, 2], square)
        yield* settled
        return executed
      })
      assert.deepStrictEqual(yield* lives({ path }, next), [1, 2])
      const kept = yield* aside
      assert.strictEqual(kept.length, 1)
      assert.include(kept[0], byHand)
      assert.include(messages.join("\n"), `is ${path} as it was found`)
    })))

  it.effect("is not replaced by another version's result before it could be kept aside", () =>
    inFolder(Effect.fnUntraced(function*({ aside, edit, path, text }) {
      yield* write(path, [2])
      yield* edit(ofTwo, byHand)
      const disk = yield* makeDisk
      failOnce(disk, isAside)
      yield* running({ path }, disk, (file) =>
        Effect.gen(function*() {
          const entry = yield* entryOf(file, keyOf("square", 2), { n: 2, squared: 5 })
          yield* Effect.flip(file.store.set(entry))
          assert.deepStrictEqual((yield* bodies(file))[entry.key], { n: 2, squared: 40 })
          assert.strictEqual(yield* file.store.set(entry), "stored")
        }))
      assert.include((yield* aside).join("\n"), byHand)
      assert.include(yield* text, "\"squared\": 5")
    })))

  it.effect("is taken over when the file was empty for a moment while it was to be written", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path, text }) {
      yield* write(path, [1, 2])
      const before = yield* text
      const disk = yield* makeDisk
      yield* running({ path }, disk, ({ fold }) =>
        Effect.gen(function*() {
          yield* squaresOf([9])
          // An editor that writes into the file.
          const editor = yield* fs.open(path, { flag: "w" })
          yield* fold
          yield* editor.writeAll(new TextEncoder().encode(before.replace(ofTwo, byHand)))
          yield* fold
        }).pipe(Effect.scoped))
      assert.include(yield* text, byHand)
      assert.deepStrictEqual(yield* write(path, [1, 2, 9]), { values: [1, 40, 81], executed: [] })
    })))

  it.effect("and does not fit is kept aside once, however many entries there are", () =>
    inFolder(Effect.fnUntraced(function*({ aside, messages, path, save, text }) {
      const inputs = Array.from({ length: 30 }, (_, n) => n)
      yield* write(path, inputs)
      yield* save((yield* text).replace(/"squared": (\d+)/g, "\"squared\": \"$1\""))
      const disk = yield* makeDisk
      yield* running({ path }, disk, () =>
        Effect.gen(function*() {
          const { square } = yield* squares()
          const before = disk.operations.length
          yield* Effect.forEach(inputs, square, { concurrency: 10 })
          yield* settled
          const reads = disk.operations.slice(before).filter((one) => one.name === "readFile" && one.path === path)
          assert.isAtMost(reads.length, 1)
        }))
      assert.strictEqual((yield* aside).length, 1)
      assert.strictEqual(messages.filter((message) => message.includes("as it was found")).length, 1)
    })))

  it.effect("is on the disk aside before it is replaced", () =>
    inFolder(Effect.fnUntraced(function*({ edit, folder, path }) {
      yield* write(path, [2])
      yield* edit(ofTwo, unfit)
      const disk = yield* makeDisk
      yield* running({ path }, disk, () => squaresOf([2]))
      const { operations } = disk
      const written = operations.findIndex(isAside)
      const flushed = operations.findIndex(({ name, path }) => name === "sync" && path.includes(".aside-"))
      const renamed = operations.findIndex(({ name, path }) => name === "rename" && path.includes(".aside-"))
      const folderFlushed = operations.findIndex(({ name, path }, at) =>
        at > renamed && name === "sync" && path === folder
      )
      const replaced = operations.findIndex((one) => one.name === "rename" && one.path === path)
      const order = [written, flushed, renamed, folderFlushed, replaced]
      assert.notInclude(order, -1)
      assert.deepStrictEqual(order, order.toSorted((a, b) => a - b))
    })))
})

describe("an invalidation", () => {
  it.effect("is acknowledged when also the name of a new journal is on the disk", () =>
    inFolder(Effect.fnUntraced(function*({ folder, path }) {
      const disk = yield* makeDisk
      yield* running({ path }, disk, ({ log }) =>
        Effect.gen(function*() {
          yield* log.append(["a"])
          const opened = disk.operations.findIndex((one) => one.name === "open" && one.path === `${path}.journal`)
          assert.isAtLeast(opened, 0)
          assert.isTrue(disk.operations.slice(opened).some(({ name, path }) => name === "sync" && path === folder))
        }))
    })))

  it.effect("whose line was damaged ends what was said before it, and what was said later stays", () =>
    inFolder(Effect.fnUntraced(function*({ fs, messages, path }) {
      yield* write(path, [2])
      yield* killed(
        { path },
        Effect.gen(function*() {
          const { square } = yield* squares()
          yield* square(6)
          yield* settled
          yield* invalidate("n:2")
          yield* square(7)
          yield* settled
        })
      )
      const journal = `${path}.journal`
      const before = yield* fs.readFileString(journal)
      const after = before.replace("{\"invalidate\":[\"n:2\"]}", "{\"invalidate\":[\"n:3\"]}")
      assert.notStrictEqual(after, before)
      yield* fs.writeFileString(journal, after)
      assert.deepStrictEqual(yield* killed({ path }, squaresOf([2, 6, 7])), { values: [4, 36, 49], executed: [2, 6] })
      assert.include(messages.join("\n"), "damaged")
      assert.deepStrictEqual(yield* write(path, [2, 6, 7]), { values: [4, 36, 49], executed: [] })
    })))

  it.effect("is known to a reader that opens while the writer folds it into the file", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      yield* write(path, [2])
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const writer = yield* open({ path })
        yield* writer.log.append(["n:2"])
        yield* writer.store.set(yield* entryOf(writer, keyOf("square", 3), { n: 3, squared: 9 }))
        let folded = false
        disk.decide(({ name, path: at }) => {
          // The reader has the old file. The journal will be gone.
          if (folded || name !== "readFile" || at !== `${path}.journal`) return working
          folded = true
          return Effect.as(Effect.orDie(writer.fold), "do")
        })
        const reader = yield* Effect.provideService(open({ path, access: "read" }), FileSystem.FileSystem, disk.fs)
        assert.isTrue(folded)
        assert.deepStrictEqual(yield* bodies(reader), { [keyOf("square", 3)]: { n: 3, squared: 9 } })
      }))
    })))
})

describe("two writers", () => {
  it.effect("are not let in where the other is a second copy of the library in the same process", () =>
    inFolder(Effect.fnUntraced(function*({ folder, fs, path }) {
      const lock = yield* Effect.scoped(Effect.andThen(open({ path }), fs.readFileString(`${path}.lock`)))
      const holder = JSON.parse(lock)
      const other = `${folder}/other.json`
      yield* fs.writeFileString(`${other}.lock`, `${JSON.stringify({ ...holder, token: "of another copy" })}\n`)
      const error = yield* Effect.flip(Effect.scoped(open({ path: other })))
      assert(error.reason._tag === "FileError")
      assert.strictEqual(error.reason.problem, "held")
      assert.include(yield* fs.readFileString(`${other}.lock`), "of another copy")
    })))

  it.effect("do not both write once the first has found out that its lock is another's", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        yield* file.store.set(yield* entryOf(file, keyOf("f", 1), 1))
        const holder = JSON.parse(yield* fs.readFileString(`${path}.lock`))
        yield* fs.writeFileString(
          `${path}.lock`,
          `${JSON.stringify({ ...holder, host: "elsewhere", token: "other" })}\n`
        )
        yield* Effect.flip(file.fold)
        const journal = yield* fs.readFileString(`${path}.journal`)
        // At once, without any time in between.
        yield* Effect.flip(file.log.append(["a"]))
        yield* Effect.flip(file.store.set(yield* entryOf(file, keyOf("f", 2), 2)))
        assert.strictEqual(yield* fs.readFileString(`${path}.journal`), journal)
      }))
    })))

  it.effect("do not write into one another's file when the first stood still while it wrote", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path, text }) {
      const [slow, fast] = [yield* makeDisk, yield* makeDisk]
      const [writing, renaming] = [yield* makeGate, yield* makeGate]
      yield* Effect.scoped(Effect.gen(function*() {
        const first = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, slow.fs)
        yield* first.store.set(yield* entryOf(first, keyOf("f", 1), 1))
        writing.at(slow, (one) => one.bytes > 0 && one.path === `${path}.tmp`)
        const slowFold = yield* Effect.forkChild(Effect.exit(first.fold), { startImmediately: true })
        yield* writing.reached
        yield* fs.remove(`${path}.lock`)
        const second = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, fast.fs)
        for (const n of [2, 3, 4, 5]) yield* second.store.set(yield* entryOf(second, keyOf("f", n), n))
        renaming.at(fast, (one) => one.name === "rename" && one.path === path)
        const fastFold = yield* Effect.forkChild(second.fold, { startImmediately: true })
        yield* renaming.reached
        yield* writing.pass()
        assert.isTrue(Exit.isFailure(yield* Fiber.join(slowFold)))
        yield* renaming.pass()
        yield* Fiber.join(fastFold)
        assert.deepStrictEqual(Object.keys(JSON.parse(yield* text).functions.f), ["n=1", "n=2", "n=3", "n=4", "n=5"])
      }))
      assert.deepStrictEqual(
        yield* reopened(path),
        Object.fromEntries([1, 2, 3, 4, 5].map((n) => [keyOf("f", n), n]))
      )
    })))
})

// The keys of the entries that can be served.
const keysIn = (path: string) =>
  Effect.scoped(Effect.gen(function*() {
    const { store } = yield* open({ path })
    const entries = yield* Stream.runCollect(store.entries)
    return entries.map(({ key }) => key).toSorted((a, b) => (a < b ? -1 : 1))
  }))

describe("the head of a response", () => {
  const headers = { "content-type": "text/plain", "x-note": "as it was" }
  const response = Effect.fnUntraced(function*(path: string) {
    yield* Effect.scoped(Effect.gen(function*() {
      const file = yield* open({ path })
      const head = { status: 200, headers }
      yield* file.store.set(yield* entryOf(file, keyOf("page", 1), 1, { body: "hello", head }))
      yield* file.store.set(yield* entryOf(file, keyOf("page", 2), 2, { body: "world", head }))
    }))
  })

  it.effect.each(
    [
      ["a status above", "\"status\": 200", "\"status\": 999"],
      ["a status that no response has in the end", "\"status\": 200", "\"status\": 101"],
      ["a status between", "\"status\": 200", "\"status\": 600"],
      ["a header's name with a space", "\"x-note\"", "\"x note\""],
      ["a header without a name", "\"x-note\"", "\"\""],
      ["a header's value of two lines", "as it was", "as it was\\r\\nset-cookie: a=b"],
      ["a header's value that is no Latin", "as it was", "as it was ✓"]
    ] as const
  )(
    "that HTTP does not allow, for %s, is reported, kept aside, and nobody's answer",
    ([, from, to]) =>
      inFolder(Effect.fnUntraced(function*({ aside, edit, messages, path }) {
        yield* response(path)
        yield* edit(from, to)
        assert.deepStrictEqual(yield* keysIn(path), [keyOf("page", 2)])
        assert.include(messages.join("\n"), "\"page\", \"n=1\"")
        assert.strictEqual((yield* aside).length, 1)
      }))
  )

  it.effect.each(
    [
      ["another status", "\"status\": 200", "\"status\": 599"],
      ["another value", "as it was", "as it is: \\tà la carte"],
      ["another name", "\"x-note\"", "\"x_note.2\""]
    ] as const
  )("is taken over with %s", ([, from, to]) =>
    inFolder(Effect.fnUntraced(function*({ edit, messages, path }) {
      yield* response(path)
      yield* edit(from, to)
      assert.deepStrictEqual(yield* keysIn(path), [keyOf("page", 1), keyOf("page", 2)])
      assert.deepStrictEqual(messages, [])
    })))

  it.effect("does not belong to the result of a function, which is computed again", () =>
    inFolder(Effect.fnUntraced(function*({ aside, edit, path }) {
      yield* write(path, [2])
      yield* edit("\"tags\"", "\"head\": { \"status\": 500, \"headers\": {} },\n        \"tags\"")
      assert.deepStrictEqual(yield* write(path, [2]), { values: [4], executed: [2] })
      assert.strictEqual((yield* aside).length, 1)
    })))
})

describe("a file that cannot be used", () => {
  it.effect("is not made: more bytes than can be read as one text are refused", () =>
    inFolder(Effect.fnUntraced(function*({ names, path }) {
      const error = yield* Effect.flip(Effect.scoped(open({ path, maxBytes: 256 * 1024 * 1024 + 1 })))
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.include(error.message, "JsonFileStore.maxBytes")
      assert.include(error.message, `${256 * 1024 * 1024}`)
      assert.deepStrictEqual(yield* names, [])
      yield* Effect.scoped(open({ path, maxBytes: 256 * 1024 * 1024 }))
    })))

  it.effect.each([["an edit", "\"value\": 40", 40], ["one that was taken out", undefined, undefined]] as const)(
    "by what is in an old journal that could not be removed: %s stays as people have made it",
    ([, to, expected]) =>
      inFolder(Effect.fnUntraced(function*({ edit, names, path, save, text }) {
        const key = keyOf("f", 2)
        const disk = yield* makeDisk
        yield* running({ path }, disk, ({ fold, log, store }) =>
          Effect.gen(function*() {
            yield* log.append(["n:2"])
            yield* store.set(yield* entryOf({ log }, key, 5, { tags: tagsOf(key, ["n:2"]) }))
            failOnce(disk, (one) => one.name === "remove" && one.path.endsWith(".journal"))
            yield* Effect.flip(fold)
          }))
        assert.deepStrictEqual(yield* names, ["x.json"])
        if (to !== undefined) yield* edit("\"value\": 5", to)
        else {
          const json = JSON.parse(yield* text)
          delete json.functions.f["n=2"]
          yield* save(JSON.stringify(json))
        }
        assert.strictEqual((yield* reopened(path))[key], expected)
      }))
  )

  it.effect("leaves nothing open when its first record cannot be written", () =>
    inFolder(Effect.fnUntraced(function*({ path, save, text }) {
      yield* write(path, [1, 2])
      yield* save((yield* text).slice(0, -20))
      const disk = yield* makeDisk
      let opened = 0
      let held = 0
      const counting: FileSystem.FileSystem = {
        ...disk.fs,
        open: (at, options) =>
          Effect.tap(
            disk.fs.open(at, options),
            () => Effect.acquireRelease(Effect.sync(() => (opened++, held++)), () => Effect.sync(() => held--))
          )
      }
      disk.decide((operation) => isJournalWrite(operation) ? Effect.succeed("fail") : working)
      yield* Effect.flip(Effect.provideService(Effect.scoped(open({ path })), FileSystem.FileSystem, counting))
      assert.isAbove(opened, 0)
      assert.strictEqual(held, 0)
    })))
})

// Decoded into something else than what is in the key.
const Day = (days: ReadonlyArray<string>) =>
  Schema.Literals(days).pipe(Schema.decodeTo(Schema.Struct({ day: Schema.String }), {
    decode: SchemaGetter.transform((day: string) => ({ day })),
    encode: SchemaGetter.transform(({ day }: { readonly day: string }) => day)
  }))

const texts = (codes: ReadonlyArray<string>) =>
  Effect.map(
    Cached.make(
      "standings",
      { input: { of: Schema.Literals(codes) }, success: Schema.String },
      ({ of }) => Effect.succeed(`standings of ${of}`)
    ),
    (fn) => ({ fn })
  )

const runOver = (path: string, codes: ReadonlyArray<string>) =>
  lives(
    { path },
    Effect.gen(function*() {
      const { fn } = yield* texts(codes)
      const steps = yield* stepsOf(Precompute.run(fn))
      return {
        steps: steps.map((step) =>
          step._tag === "Outside"
            ? `Outside ${step.key}`
            : `${step._tag} ${JSON.stringify(step.input)}${step._tag === "Computed" ? step.because : ""}`
        ).toSorted(),
        values: yield* Effect.forEach(codes, (of) => fn({ of }))
      }
    })
  )

describe("a domain that changes", () => {
  it.effect("has only its new members computed, and what people have edited stays (scenarios 69 and 73)", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* runOver(path, ["AF", "EU"])
      yield* edit("standings of EU", "edited by hand")
      assert.deepStrictEqual(yield* runOver(path, ["AF", "AN", "EU"]), {
        steps: ["Computed {\"of\":\"AN\"}missing", "Present {\"of\":\"AF\"}", "Present {\"of\":\"EU\"}"],
        values: ["standings of AF", "standings of AN", "edited by hand"]
      })
    })))

  it.effect("leaves its removed members where they are, and reports them (scenario 73)", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path, text }) {
      yield* runOver(path, ["AF", "AN", "EU"])
      yield* edit("standings of EU", "edited by hand")
      assert.deepStrictEqual(yield* runOver(path, ["AF", "EU"]), {
        steps: ["Outside standings\t{\"of\":\"AN\"}", "Present {\"of\":\"AF\"}", "Present {\"of\":\"EU\"}"],
        values: ["standings of AF", "edited by hand"]
      })
      assert.include(yield* text, "standings of AN")
    })))

  it.effect("ends everything where its values are not in the key as they are", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const run = (days: ReadonlyArray<string>) =>
        lives(
          { path },
          Effect.gen(function*() {
            const executed: Array<string> = []
            const fn = yield* Cached.make(
              "day",
              { input: { of: Day(days) }, success: Schema.String },
              ({ of: { day } }) => Effect.sync(() => (executed.push(day), day))
            )
            for (const day of days) yield* fn({ of: { day } })
            yield* settled
            return executed
          })
        )
      assert.deepStrictEqual(yield* run(["Mo"]), ["Mo"])
      assert.deepStrictEqual(yield* run(["Mo"]), [])
      assert.deepStrictEqual(yield* run(["Mo", "Tu"]), ["Mo", "Tu"])
    })))
})

describe("an edit on a disk that fails", () => {
  it.effect("is stored again, and not computed, when its own form could not be written", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path, text }) {
      yield* write(path, [2])
      yield* edit(ofTwo, "{ \"squared\": 40, \"n\": 2 }")
      const disk = yield* makeDisk
      failOnce(disk, isJournalWrite)
      const executed = yield* running({ path }, disk, () =>
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          assert.strictEqual(yield* square(2), 40)
          yield* settled
          assert.strictEqual(yield* square(2), 40)
          return executed
        }))
      assert.deepStrictEqual(executed, [])
      assert.include(yield* text, "\"squared\": 40")
    })))

  it.effect("is kept aside before the file is replaced, when it could not be at first", () =>
    inFolder(Effect.fnUntraced(function*({ aside, edit, path, text }) {
      yield* write(path, [2])
      yield* edit(ofTwo, unfit)
      const disk = yield* makeDisk
      failOnce(disk, isAside)
      yield* running({ path }, disk, () =>
        Effect.gen(function*() {
          const { square } = yield* squares()
          assert.strictEqual(yield* square(2), 4)
          yield* settled
        }))
      assert.notInclude(yield* text, "four")
      assert.deepStrictEqual((yield* aside).map((kept) => kept.includes("four")), [true])
    })))

  it.effect("does not hold the answer for longer than the time limit of the store", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [2])
      yield* edit(ofTwo, unfit)
      const disk = yield* makeDisk
      const gate = yield* makeGate
      gate.at(disk, isAside)
      yield* running({ path }, disk, () =>
        Effect.gen(function*() {
          const { square } = yield* squares()
          const caller = yield* Effect.forkChild(square(2), { startImmediately: true })
          yield* gate.reached
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* Fiber.join(caller), 4)
          yield* gate.pass()
        }))
    })))
})

describe("a journal of which nothing is whole", () => {
  it.effect("is not removed by a process that has lost its lock", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      yield* fs.writeFileString(`${path}.journal`, "garb")
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        yield* fs.writeFileString(
          `${path}.lock`,
          "{\"host\":\"elsewhere\",\"system\":\"\",\"pid\":7,\"started\":\"\",\"token\":\"b\",\"since\":0}\n"
        )
        yield* fs.writeFileString(`${path}.journal`, "what the other one writes")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(file.fold)))
      }))
      assert.strictEqual(yield* fs.readFileString(`${path}.journal`), "what the other one writes")
    })))
})

describe("a lock that is gone for a moment", () => {
  it.effect("costs nothing but the writes of that moment", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      yield* lives(
        { path },
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          yield* square(2)
          yield* settled
          yield* fs.rename(`${path}.lock`, `${path}.held`)
          yield* TestClock.adjust("5 seconds")
          yield* fs.rename(`${path}.held`, `${path}.lock`)
          assert.deepStrictEqual([yield* square(2), executed], [4, [2]])
        })
      )
    })))
})
