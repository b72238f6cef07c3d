import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FileSystem, Scope } from "effect"
import type { CacheError } from "effect-cached"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import { makeFiles } from "../../../src/internal/jsonFile/files.ts"
import { type Holder, type Lock, takeLock } from "../../../src/internal/jsonFile/lock.ts"
import { inFolder, makeDisk } from "../../jsonFile.ts"

const makeHash = () => {
  const hash = createHash("sha256")
  return { update: (bytes: Uint8Array) => hash.update(bytes), digest: () => hash.digest("hex") }
}

let tokens = 0
const holder = (pid: number, host = "here", started = "once"): Holder => ({
  host,
  system: "one",
  pid,
  started,
  token: `token-${++tokens}`,
  since: 0
})

// Takes the lock as some process. No process runs but those that are named.
const take = (
  path: string,
  self: Holder,
  options?: { readonly running?: ReadonlyArray<number>; readonly onLost?: (error: CacheError.CacheError) => void }
): Effect.Effect<Lock, CacheError.CacheError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* takeLock(fs, makeFiles(fs, makeHash), path, {
      self,
      isRunning: (pid) => options?.running?.includes(pid) ?? false,
      onLost: options?.onLost ?? (() => {})
    })
  })

describe("takeLock", () => {
  it.effect("says in the lock who has it, and takes it away at the end", () =>
    inFolder(Effect.fnUntraced(function*({ fs, names, path }) {
      const self = holder(1)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* take(path, self)
        assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(`${path}.lock`)), { ...self })
        assert.deepStrictEqual(yield* names, ["x.json.lock"])
      }))
      assert.deepStrictEqual(yield* names, [])
    })))

  it.effect("gives it to one of two that find the same dead holder, however they meet", () =>
    inFolder(Effect.fnUntraced(function*({ fs, names, path }) {
      const dead = `${JSON.stringify(holder(7))}\n`
      const disk = yield* makeDisk
      // The other does all that it does before each of the first one's steps in turn.
      for (let step = 1; step <= 14; step++) {
        yield* Effect.ignore(fs.remove(`${path}.lock`))
        yield* fs.writeFileString(`${path}.lock`, dead)
        const before = disk.operations.length
        let other: Exit.Exit<Lock, CacheError.CacheError> | undefined
        yield* Effect.scoped(Effect.gen(function*() {
          const scope = yield* Effect.scope
          disk.decide(({ number }) =>
            number !== before + step ? Effect.succeed("do") : Effect.as(
              Effect.map(
                Effect.exit(take(path, holder(2), { running: [1, 2] })),
                (exit) => {
                  other = exit
                }
              ).pipe(Effect.provideService(FileSystem.FileSystem, fs), Effect.provideService(Scope.Scope, scope)),
              "do"
            )
          )
          const first = yield* Effect.exit(
            Effect.provideService(take(path, holder(1), { running: [1, 2] }), FileSystem.FileSystem, disk.fs)
          )
          if (other === undefined) return assert.isTrue(Exit.isSuccess(first))
          const winners = [first, other].filter(Exit.isSuccess)
          assert.strictEqual(winners.length, 1, `step ${step}`)
          yield* winners[0]!.value.confirm
          assert.deepStrictEqual((yield* names).filter((name) => name.includes("moved")), [], `step ${step}`)
        }))
      }
    })))

  it.effect("is confirmed as long as it is one's own", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      const lost: Array<string> = []
      yield* Effect.scoped(Effect.gen(function*() {
        const lock = yield* take(path, holder(1), { onLost: ({ message }) => lost.push(message) })
        yield* lock.confirm
        yield* fs.writeFileString(`${path}.lock.other`, JSON.stringify(holder(2, "there")))
        yield* fs.rename(`${path}.lock.other`, `${path}.lock`)
        const error = yield* Effect.flip(lock.confirm)
        assert.include(error.message, "the process 2 on there")
        assert.deepStrictEqual(lost, [error.message])
      }))
      assert.isTrue(yield* fs.exists(`${path}.lock`))
    })))

  it.effect("permits without asking the disk for as long as nobody may have taken it over, and asks then", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const lock = yield* Effect.provideService(take(path, holder(1)), FileSystem.FileSystem, disk.fs)
        // From here on no heartbeat comes through.
        const goOn = yield* Deferred.make<void>()
        disk.decide(({ bytes }) => bytes === 0 ? Effect.succeed("do") : Effect.as(Deferred.await(goOn), "do"))
        yield* TestClock.adjust("9 seconds")
        assert.isTrue(Exit.isSuccess(Effect.runSyncExit(lock.permit)))
        yield* TestClock.adjust("1 second")
        yield* fs.remove(`${path}.lock`)
        const asked = yield* Effect.forkChild(Effect.flip(lock.permit), { startImmediately: true })
        assert.isUndefined(asked.pollUnsafe())
        yield* Deferred.succeed(goOn, undefined)
        assert.include((yield* Fiber.join(asked)).message, "another process writes to it")
      }))
    })))

  it.effect("leaves nothing behind when the disk is full", () =>
    inFolder(Effect.fnUntraced(function*({ names, path }) {
      const disk = yield* makeDisk
      disk.decide(({ bytes }) => Effect.succeed(bytes > 0 ? "tear" : "do"))
      const error = yield* Effect.scoped(take(path, holder(1))).pipe(
        Effect.flip,
        Effect.provideService(FileSystem.FileSystem, disk.fs)
      )
      assert(error.reason._tag === "FileError")
      assert.strictEqual(error.reason.problem, "unwritable")
      assert.deepStrictEqual(yield* names, [])
    })))
})
