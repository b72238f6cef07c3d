import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import type { CacheError } from "effect-cached"
import { createHash } from "node:crypto"
import { makeFiles } from "../../../src/internal/jsonFile/files.ts"
import { readJournal } from "../../../src/internal/jsonFile/journal.ts"
import { makeJournalFile } from "../../../src/internal/jsonFile/journalFile.ts"
import { type Folder, inFolder, makeDisk } from "../../jsonFile.ts"

const makeHash = () => {
  const hash = createHash("sha256")
  return { update: (bytes: Uint8Array) => hash.update(bytes), digest: () => hash.digest("hex") }
}

const make = Effect.fnUntraced(function*(
  { fs, path }: Folder,
  options?: {
    readonly found?: { readonly lines: number; readonly size: number }
    readonly permit?: Effect.Effect<void, CacheError.CacheError>
  }
) {
  const disk = yield* makeDisk
  const scope = yield* Scope.make()
  const permit = options?.permit ?? Effect.void
  const journal = makeJournalFile(
    makeFiles(disk.fs, makeHash),
    path,
    scope,
    { permit, confirm: permit },
    () => "base",
    options?.found
  )
  const records = Effect.map(fs.readFile(path), (bytes) => readJournal(bytes).records.map(({ record }) => record))
  return { journal, disk, scope, records }
})

const remove = (key: string) => ({ remove: key })

describe("makeJournalFile", () => {
  it.effect("begins with the file that it belongs to, and has the lines in the order in which they were given", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { journal, records } = yield* make(folder)
      const waiting = ["a", "b", "c"].map((key) => journal.enqueueUnsafe(remove(key)))
      assert.deepStrictEqual(yield* Effect.all(waiting.toReversed(), { concurrency: "unbounded" }), [4, 3, 2])
      assert.deepStrictEqual(yield* records, [{ base: "base" }, remove("a"), remove("b"), remove("c")])
      assert.strictEqual(journal.size(), Number((yield* folder.fs.stat(folder.path)).size))
    })))

  it.effect("writes together what was given together, and flushes once for all who ask for it", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { disk, journal } = yield* make(folder)
      const waiting = ["a", "b", "c", "d"].map((key, n) => journal.enqueueUnsafe(remove(key), { flush: n % 2 === 0 }))
      yield* Effect.all(waiting, { concurrency: "unbounded" })
      const onJournal = () => disk.operations.flatMap(({ name, path }) => path === folder.path ? [name] : [])
      assert.deepStrictEqual(onJournal(), ["open", "write", "sync"])
      yield* journal.enqueueUnsafe(remove("e"))
      assert.deepStrictEqual(onJournal(), ["open", "write", "sync", "write"])
    })))

  it.effect("tells of each change in order, before anyone hears of one, and of none that failed", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { disk, journal } = yield* make(folder)
      const told: Array<string> = []
      const add = (key: string) => journal.enqueueUnsafe(remove(key), { onWritten: () => told.push(key) })
      yield* Effect.all(["a", "b"].map(add), { concurrency: "unbounded" })
      assert.deepStrictEqual(told, ["a", "b"])
      disk.decide(() => Effect.succeed("fail"))
      const error = yield* Effect.flip(add("c"))
      assert.include(error.message, "it cannot be written: ENOSPC")
      disk.decide(() => Effect.succeed("do"))
      yield* add("d")
      assert.deepStrictEqual(told, ["a", "b", "d"])
    })))

  it.effect("cuts off what was half written before it goes on", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { disk, journal, records } = yield* make(folder)
      yield* journal.enqueueUnsafe(remove("a"))
      disk.decide(() => Effect.succeed("tear"))
      yield* Effect.flip(journal.enqueueUnsafe(remove("b")))
      disk.decide(() => Effect.succeed("do"))
      yield* journal.enqueueUnsafe(remove("c"))
      assert.deepStrictEqual(yield* records, [{ base: "base" }, remove("a"), remove("c")])
      assert.strictEqual(journal.size(), Number((yield* folder.fs.stat(folder.path)).size))
    })))

  it.effect("goes on behind what was found whole", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const first = yield* make(folder)
      yield* first.journal.enqueueUnsafe(remove("a"))
      const whole = yield* folder.fs.readFile(folder.path)
      yield* folder.fs.writeFile(folder.path, Uint8Array.from([...whole, 1, 2, 3]))
      const second = yield* make(folder, { found: { lines: 2, size: whole.length } })
      assert.strictEqual(yield* second.journal.enqueueUnsafe(remove("b")), 3)
      assert.deepStrictEqual(yield* second.records, [{ base: "base" }, remove("a"), remove("b")])
    })))

  it.effect("keeps what came after the mark, and nothing about itself", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { journal, records } = yield* make(folder)
      const before = journal.enqueueUnsafe(remove("a"))
      const marked = journal.markUnsafe()
      const after = journal.enqueueUnsafe(remove("b"))
      const [, through] = yield* Effect.all([before, marked, after], { concurrency: "unbounded" })
      assert.strictEqual(through, 2)
      yield* journal.enqueueUnsafe({ fold: { file: "next", through: 2 } })
      yield* journal.cut("next")
      assert.deepStrictEqual(yield* records, [{ base: "next" }, remove("b")])
      assert.strictEqual(yield* journal.enqueueUnsafe(remove("c")), 3)
      assert.deepStrictEqual(yield* records, [{ base: "next" }, remove("b"), remove("c")])
      assert.strictEqual(journal.size(), Number((yield* folder.fs.stat(folder.path)).size))
    })))

  it.effect("is not there when nothing came after the mark, and begins anew", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { journal, records } = yield* make(folder)
      yield* Effect.all([journal.enqueueUnsafe(remove("a")), journal.markUnsafe()], { concurrency: "unbounded" })
      yield* journal.cut("next")
      assert.strictEqual(journal.size(), 0)
      assert.isFalse(yield* folder.fs.exists(folder.path))
      assert.strictEqual(yield* journal.enqueueUnsafe(remove("b")), 2)
      assert.deepStrictEqual(yield* records, [{ base: "base" }, remove("b")])
    })))

  it.effect("is as it was when it could not be cut, at whichever step", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      let failed = true
      for (let step = 1; failed; step++) {
        const path = `${folder.path}-${step}`
        const { disk, journal, records } = yield* make({ ...folder, path })
        yield* Effect.all([
          journal.enqueueUnsafe(remove("a")),
          journal.markUnsafe(),
          journal.enqueueUnsafe(remove("b"))
        ], {
          concurrency: "unbounded"
        })
        const before = disk.operations.length
        disk.decide(({ number }) => Effect.succeed(number === before + step ? "fail" : "do"))
        yield* Effect.exit(journal.cut("next"))
        failed = disk.operations.length >= before + step
        disk.decide(() => Effect.succeed("do"))
        yield* journal.enqueueUnsafe(remove("c"))
        disk.decide(() => Effect.succeed("tear"))
        yield* Effect.flip(journal.enqueueUnsafe(remove("d")))
        disk.decide(() => Effect.succeed("do"))
        const lines = yield* journal.enqueueUnsafe(remove("e"))
        const found = yield* records
        assert.strictEqual(lines, found.length, `step ${step}`)
        assert.deepStrictEqual(found.slice(-3), [remove("b"), remove("c"), remove("e")], `step ${step}`)
      }
    })))

  it.effect("writes nothing without permission", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const gate = yield* Deferred.make<void, CacheError.CacheError>()
      const { disk, journal, records } = yield* make(folder, { permit: Deferred.await(gate) })
      const waiting = yield* Effect.forkChild(journal.enqueueUnsafe(remove("a")), { startImmediately: true })
      yield* Effect.yieldNow
      assert.deepStrictEqual(disk.operations, [])
      assert.isUndefined(waiting.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(yield* records, [{ base: "base" }, remove("a")])
    })))

  it.effect("has written what was given before it was closed or says so, and takes nothing afterwards", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { journal, records, scope } = yield* make(folder)
      const waiting = Array.from({ length: 2_500 }, (_, n) => journal.enqueueUnsafe(remove(`${n}`)))
      const answers = yield* Effect.forkChild(Effect.all(waiting.map(Effect.exit), { concurrency: "unbounded" }), {
        startImmediately: true
      })
      yield* journal.close
      yield* Scope.close(scope, Exit.void)
      const exits = yield* Fiber.join(answers)
      const written = yield* Effect.orElseSucceed(records, () => [])
      assert.strictEqual(exits.filter(Exit.isSuccess).length, Math.max(written.length - 1, 0))
      const error = yield* Effect.flip(journal.enqueueUnsafe(remove("late")))
      assert.include(error.message, "the store is closed")
    })))
})
