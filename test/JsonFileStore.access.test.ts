import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Queue, Scope } from "effect"
import { type Broadcaster, type CacheError, invalidate } from "effect-cached"
import { TestClock } from "effect/testing"
import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"
import { bodies, entryOf, inFolder, keyOf, lives, makeDisk, open, settled, squares } from "./jsonFile.ts"

const squaresOf = (inputs: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const { executed, square } = yield* squares()
    const values = yield* Effect.forEach(inputs, square)
    yield* settled
    return { values, executed }
  })

const write = (path: string, inputs: ReadonlyArray<number>) => lives({ path }, squaresOf(inputs))

const problemOf = (error: CacheError.CacheError) => error.reason._tag === "FileError" ? error.reason.problem : undefined

const read = (of: () => string): string => {
  try {
    return of().trim()
  } catch {
    return ""
  }
}

// As a process of this system would say it.
const here = {
  system: `${read(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8"))} ${
    read(() => readlinkSync("/proc/self/ns/pid"))
  }`.trim(),
  started: "in another life"
}

// The lock of another process.
const lockOf = (holder: { readonly host?: string; readonly pid: number }) =>
  `${JSON.stringify({ ...here, host: hostname(), token: "another", since: 1_000, ...holder })}\n`

// No process has such a number.
const gone = 2 ** 30

describe("one writer for each file", () => {
  it.effect("refuses a second one, and says who holds the file and what to do", () =>
    inFolder(Effect.fnUntraced(function*({ names, path }) {
      yield* Effect.scoped(Effect.gen(function*() {
        yield* open({ path })
        const error = yield* Effect.flip(Effect.scoped(open({ path })))
        assert.strictEqual(problemOf(error), "held")
        assert.strictEqual(
          error.message,
          `${path}: the process ${process.pid} on ${hostname()} writes to it since 1970-01-01T00:00:00.000Z, which is this one. ` +
            "Stop that one first, open the file with `access: \"read\"`, or give this one a file of its own"
        )
        assert.deepStrictEqual(yield* names, ["x.json.lock"])
      }))
      assert.deepStrictEqual(yield* names, [])
      yield* Effect.scoped(open({ path }))
    })))

  it.effect("refuses a second one while another process runs that has it", () =>
    inFolder(Effect.fnUntraced(function*({ fs, names, path }) {
      const lock = lockOf({ pid: process.ppid })
      yield* fs.writeFileString(`${path}.lock`, lock)
      const error = yield* Effect.flip(Effect.scoped(open({ path })))
      assert.include(
        error.message,
        `the process ${process.ppid} on ${hostname()} writes to it since 1970-01-01T00:00:01.000Z`
      )
      assert.notInclude(error.message, "this one. ")
      assert.deepStrictEqual(yield* names, ["x.json.lock"])
      assert.strictEqual(yield* fs.readFileString(`${path}.lock`), lock)
    })))

  it.effect("refuses a second one under another name of the file", () =>
    inFolder(Effect.fnUntraced(function*({ folder, fs, path }) {
      yield* write(path, [1])
      yield* fs.symlink(path, `${folder}/link.json`)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* open({ path })
        assert.strictEqual(problemOf(yield* Effect.flip(open({ path: `${folder}/link.json` }))), "held")
        assert.strictEqual(problemOf(yield* Effect.flip(open({ path: `${folder}/./x.json` }))), "held")
      }))
    })))

  it.effect("takes the place of one that is gone", () =>
    inFolder(Effect.fnUntraced(function*({ fs, names, path }) {
      yield* fs.writeFileString(`${path}.lock`, lockOf({ pid: gone }))
      assert.deepStrictEqual((yield* write(path, [1])).executed, [1])
      assert.deepStrictEqual(yield* names, ["x.json"])
    })))

  it.effect("takes the place of one that had this process's number in another life", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      yield* fs.writeFileString(`${path}.lock`, lockOf({ pid: process.pid }))
      assert.deepStrictEqual((yield* write(path, [1])).executed, [1])
    })))

  it.effect.each(
    [
      ["on another host", lockOf({ host: "elsewhere", pid: gone }), "the process 1073741824 on elsewhere writes to it"],
      ["that nothing is known of", "", "another process writes to it, and its lock file"]
    ] as const
  )(
    "takes the place of one %s only when it has been silent for long",
    ([, lock, says]) =>
      inFolder(Effect.fnUntraced(function*({ fs, path }) {
        const file = `${path}.lock`
        yield* fs.writeFileString(file, lock)
        const error = yield* Effect.flip(Effect.scoped(open({ path })))
        assert.strictEqual(problemOf(error), "held")
        assert.include(error.message, says)
        const { mtime } = yield* fs.stat(file)
        const written = mtime._tag === "Some" ? mtime.value.getTime() : 0
        yield* fs.utimes(file, new Date(written - 60_000), new Date(written - 60_000))
        assert.deepStrictEqual((yield* write(path, [1])).executed, [1])
      }))
  )

  it.effect("gives the lock back when the file cannot be used", () =>
    inFolder(Effect.fnUntraced(function*({ names, path, save }) {
      yield* save("[]")
      yield* Effect.flip(Effect.scoped(open({ path })))
      assert.deepStrictEqual(yield* names, ["x.json"])
    })))

  it.effect("lets one of many that start at once write", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      yield* Effect.scoped(Effect.gen(function*() {
        const exits = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, n) => n),
          () => Effect.exit(open({ path })),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      }))
    })))
})

describe("a lock that was taken over", () => {
  it.effect("ends the writing: nothing is overwritten any more, and followers are told", () =>
    inFolder(Effect.fnUntraced(function*({ fs, messages, names, path, text }) {
      yield* write(path, [1])
      const before = yield* text
      const others = lockOf({ host: "elsewhere", pid: 7 })
      const changes: Array<Broadcaster.Change> = []
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        yield* file.log.follow((change) => changes.push(change))
        yield* file.store.set(yield* entryOf(file, keyOf("f", 1), 1))
        yield* fs.remove(`${path}.lock`)
        yield* fs.writeFileString(`${path}.lock`, others)
        const error = yield* Effect.flip(file.fold)
        assert.strictEqual(problemOf(error), "held")
        assert.include(error.message, "the process 7 on elsewhere writes to it")
        assert.deepStrictEqual(Array.from(new Set(changes.map(({ _tag }) => _tag))), ["Gap", "Lost"])
        const journal = yield* fs.readFileString(`${path}.journal`)
        yield* TestClock.adjust("10 seconds")
        const unstored = yield* Effect.flip(file.store.set(yield* entryOf(file, keyOf("f", 2), 2)))
        assert.strictEqual(unstored.reason._tag, "StoreError")
        assert.include(unstored.message, "the process 7 on elsewhere writes to it")
        assert.strictEqual((yield* Effect.flip(file.log.append(["a"]))).reason._tag, "LogError")
        assert.strictEqual(yield* fs.readFileString(`${path}.journal`), journal)
      }))
      assert.strictEqual(yield* text, before)
      assert.strictEqual(yield* fs.readFileString(`${path}.lock`), others)
      assert.notInclude(yield* names, "x.json.aside")
      assert.include(messages.join("\n"), "the process 7 on elsewhere writes to it")
    })))

  it.effect("is found out without anything being written", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      const changes: Array<Broadcaster.Change> = []
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        yield* file.log.follow((change) => changes.push(change))
        yield* fs.remove(`${path}.lock`)
        yield* fs.writeFileString(`${path}.lock`, lockOf({ host: "elsewhere", pid: 7 }))
        while (changes.length < 2) yield* TestClock.adjust("5 seconds")
        const [, lost] = changes
        assert(lost?._tag === "Lost")
        assert.strictEqual(problemOf(lost.error), "held")
      }))
    })))

  it.effect("is not, from one who touches it again and again", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, disk.fs)
        const touches = () => disk.operations.filter((one) => one.bytes > 0 && one.path.includes(".lock-")).length
        for (let n = 1; n <= 10; n++) {
          while (touches() <= n) yield* TestClock.adjust("5 seconds")
          yield* file.store.set(yield* entryOf(file, keyOf("f", n), n))
        }
      }))
    })))
})

describe("reading only", () => {
  it.effect("serves what is there, keeps other results in memory, and leaves the disk as it is", () =>
    inFolder(Effect.fnUntraced(function*({ names, path, text }) {
      yield* write(path, [1])
      const before = yield* text
      yield* lives(
        { path, access: "read" },
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          assert.deepStrictEqual(yield* Effect.forEach([1, 2, 2], square), [1, 4, 4])
          assert.deepStrictEqual(executed, [2])
          assert.deepStrictEqual(yield* names, ["x.json"])
        })
      )
      assert.strictEqual(yield* text, before)
    })))

  it.effect("cannot invalidate, and says what to do", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      yield* write(path, [1])
      yield* lives(
        { path, access: "read" },
        Effect.gen(function*() {
          const error = yield* Effect.flip(invalidate("n:1"))
          assert(error.reason._tag === "LogError")
          assert.strictEqual(
            error.message,
            `${path} is open for reading: invalidate in the process that writes to it, or use a log that both follow`
          )
        })
      )
      assert.deepStrictEqual((yield* write(path, [1])).executed, [])
    })))

  it.effect("reads beside a writer what is in the journal, too", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      yield* write(path, [1, 2])
      yield* lives(
        { path },
        Effect.gen(function*() {
          yield* squaresOf([3])
          yield* invalidate("n:2")
          const found = yield* lives({ path, access: "read" }, squaresOf([1, 2, 3]))
          assert.deepStrictEqual(found.executed, [2])
        })
      )
    })))

  it.effect("reads a file and a journal that fit together while the writer writes both anew", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        for (const n of [1, 2]) yield* file.store.set(yield* entryOf(file, keyOf("f", n), n))
        let folded = false
        disk.decide(({ name, path: at }) => {
          // Between the two that the reader reads.
          if (folded || name !== "readFile" || at !== `${path}.journal`) return Effect.succeed("do")
          folded = true
          return Effect.as(
            Effect.orDie(Effect.andThen(
              file.fold,
              Effect.flatMap(entryOf(file, keyOf("f", 3), 3), file.store.set)
            )),
            "do"
          )
        })
        const found = yield* Effect.scoped(Effect.flatMap(open({ path, access: "read" }), bodies)).pipe(
          Effect.provideService(FileSystem.FileSystem, disk.fs)
        )
        assert.isTrue(folded)
        assert.deepStrictEqual(found, { [keyOf("f", 1)]: 1, [keyOf("f", 2)]: 2, [keyOf("f", 3)]: 3 })
      }))
    })))

  it.effect("opens a file that is not there", () =>
    inFolder(Effect.fnUntraced(function*({ folder, names }) {
      const path = `${folder}/a/x.json`
      assert.deepStrictEqual((yield* lives({ path, access: "read" }, squaresOf([1]))).executed, [1])
      assert.deepStrictEqual(yield* names, [])
    })))

  it.live("takes over what the writer writes where it watches, and ends all that it held", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      yield* write(path, [1, 2])
      const changes = yield* Queue.unbounded<Broadcaster.Change["_tag"]>()
      yield* Effect.scoped(Effect.gen(function*() {
        const writer = yield* open({ path })
        const reader = yield* open({ path, access: "read", watch: true })
        yield* reader.log.follow(({ _tag }) => Queue.offerUnsafe(changes, _tag))
        assert.strictEqual(yield* Queue.take(changes), "Gap")
        yield* reader.store.set(yield* entryOf(reader, keyOf("f", 1), "only here"))
        yield* writer.store.set(yield* entryOf(writer, keyOf("f", 2), "new"))
        yield* writer.log.append(["n:2"])
        yield* writer.fold
        assert.strictEqual(yield* Queue.take(changes), "Record")
        assert.deepStrictEqual(yield* bodies(reader), {
          [keyOf("f", 2)]: "new",
          [keyOf("square", 1)]: { n: 1, squared: 1 }
        })
      }))
    })))
})

describe("writing if nobody else does", () => {
  it.effect("writes", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      yield* lives({ path, access: "write-or-read" }, squaresOf([1]))
      assert.deepStrictEqual((yield* write(path, [1])).executed, [])
    })))

  it.effect("reads while another writes, and says so", () =>
    inFolder(Effect.fnUntraced(function*({ messages, path }) {
      yield* write(path, [1])
      const scope = yield* Scope.make()
      yield* Scope.provide(open({ path }), scope)
      const { executed } = yield* lives({ path, access: "write-or-read" }, squaresOf([1, 2]))
      assert.deepStrictEqual(executed, [2])
      assert.include(messages.join("\n"), "which is this one")
      assert.include(messages.join("\n"), "It is opened for reading")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual((yield* write(path, [1, 2])).executed, [2])
    })))

  it.effect("fails for a file that is not ours", () =>
    inFolder(Effect.fnUntraced(function*({ path, save }) {
      yield* save("[]")
      assert.strictEqual(
        problemOf(yield* Effect.flip(Effect.scoped(open({ path, access: "write-or-read" })))),
        "foreign"
      )
    })))
})
