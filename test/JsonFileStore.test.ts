import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Schema, type Scope, Stream } from "effect"
import {
  Broadcaster,
  Cached,
  CacheEntry,
  type CacheError,
  clear,
  invalidate,
  Precompute,
  ResultCache,
  Store
} from "effect-cached"
import * as JsonFileStore from "effect-cached/JsonFileStore"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import {
  bodies,
  cacheIn,
  doubles,
  entryOf,
  inFolder,
  keyOf,
  killed,
  lives,
  makeDisk,
  open,
  positionOf,
  settled,
  squares,
  tagsOf
} from "./jsonFile.ts"
import { broadcasterSuite } from "./suites/broadcasterSuite.ts"
import { noise } from "./suites/codecSuite.ts"
import { makeTerms } from "./suites/entries.ts"
import { storeSuite } from "./suites/storeSuite.ts"

// Each test of a suite has a folder of its own.
const inTemporaryFolder = (
  options?: Partial<JsonFileStore.Options>
): Layer.Layer<Store.Store | Broadcaster.Broadcaster, CacheError.CacheError> =>
  Layer.unwrap(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* Effect.orDie(fs.makeTempDirectoryScoped())
    return JsonFileStore.layer({ path: `${folder}/x.json`, ...options })
  })).pipe(Layer.provide(NodeFileSystem.layer))

storeSuite("JsonFileStore", inTemporaryFolder)
broadcasterSuite("JsonFileStore", inTemporaryFolder())

const idleEntry = (file: Pick<JsonFileStore.JsonFile, "log">, key: string, usedAt: number) =>
  entryOf(file, key, 1, { terms: makeTerms(Infinity, { idle: 10_000, usedAt }) })

describe("restarts", () => {
  it.effect("computes nothing that is in the file (scenario 67)", () =>
    inFolder(Effect.fnUntraced(function*({ names, path }) {
      const inputs = [1, 2, 3, 4, 5]
      yield* lives(
        { path },
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          yield* Effect.forEach(inputs, square)
          assert.deepStrictEqual(executed, inputs)
        })
      )
      assert.deepStrictEqual(yield* names, ["x.json"])
      yield* lives(
        { path },
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          assert.deepStrictEqual(yield* Effect.forEach(inputs, square), [1, 4, 9, 16, 25])
          assert.deepStrictEqual(executed, [])
        })
      )
    })))

  it.effect("computes nothing that a killed process had answered (scenarios 47 and 68)", () =>
    inFolder(Effect.fnUntraced(function*({ names, path }) {
      yield* killed(
        { path },
        Effect.gen(function*() {
          const { square } = yield* squares()
          yield* Effect.forEach([1, 2], square)
          yield* settled
        })
      )
      assert.deepStrictEqual(yield* names, ["x.json.journal", "x.json.lock"])
      yield* lives(
        { path },
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3], square), [1, 4, 9])
          assert.deepStrictEqual(executed, [3])
        })
      )
      assert.deepStrictEqual(yield* names, ["x.json"])
    })))

  it.effect.each(["stopped", "killed"] as const)(
    "misses what was invalidated before the process was %s (scenario 46)",
    (end) =>
      inFolder(Effect.fnUntraced(function*({ path }) {
        const process = end === "killed" ? killed : lives
        yield* process(
          { path },
          Effect.gen(function*() {
            const { square } = yield* squares()
            const { double } = yield* doubles(square)
            yield* Effect.forEach([1, 2], double)
            yield* settled
            yield* invalidate("n:1")
          })
        )
        yield* lives(
          { path },
          Effect.gen(function*() {
            const { executed, square } = yield* squares()
            const { double, executed: doubled } = yield* doubles(square)
            assert.deepStrictEqual(yield* Effect.forEach([1, 2], double), [2, 8])
            assert.deepStrictEqual([executed, doubled], [[1], [1]])
          })
        )
      }))
  )

  it.effect.each(["stopped", "killed"] as const)(
    "misses what was in the file when it was invalidated and the process was %s (scenario 46)",
    (end) =>
      inFolder(Effect.fnUntraced(function*({ path }) {
        yield* lives({ path }, Effect.flatMap(squares(), ({ square }) => Effect.forEach([1, 2], square)))
        yield* (end === "killed" ? killed : lives)({ path }, invalidate("n:1"))
        yield* lives(
          { path },
          Effect.gen(function*() {
            const { executed, square } = yield* squares()
            yield* Effect.forEach([1, 2], square)
            assert.deepStrictEqual(executed, [1])
          })
        )
      }))
  )

  it.effect.each(["stopped", "killed"] as const)(
    "misses everything after clear when the process was %s",
    (end) =>
      inFolder(Effect.fnUntraced(function*({ path }) {
        yield* lives({ path }, Effect.flatMap(squares(), ({ square }) => Effect.forEach([1, 2], square)))
        yield* (end === "killed" ? killed : lives)({ path }, clear)
        const left = yield* Effect.scoped(Effect.flatMap(open({ path }), bodies))
        assert.deepStrictEqual(left, {})
      }))
  )

  it.effect("keeps lifetimes (scenario 42)", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const run = Effect.gen(function*() {
        const { executed, square } = yield* squares({ timeToLive: "1 hour" })
        yield* square(1)
        return executed.length
      })
      assert.strictEqual(yield* lives({ path }, run), 1)
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual(yield* lives({ path }, run), 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* lives({ path }, run), 1)
    })))

  it.effect("drops what has expired from the file", () =>
    inFolder(Effect.fnUntraced(function*({ path, text }) {
      yield* lives({ path }, Effect.flatMap(squares({ timeToLive: "1 hour" }), ({ square }) => square(1)))
      assert.include(yield* text, "n=1")
      yield* TestClock.adjust("1 hour")
      yield* lives({ path }, Effect.flatMap(squares(), ({ square }) => square(2)))
      assert.notInclude(yield* text, "n=1")
      assert.include(yield* text, "n=2")
    })))

  it.effect.each(["stopped", "killed"] as const)(
    "keeps failures, and what policies say of the time of results, when the process was %s (scenario 36)",
    (how) =>
      inFolder(Effect.fnUntraced(function*({ path, text }) {
        const run = how === "stopped" ? lives : killed
        const expiresAt = 1000
        const terms = makeTerms(expiresAt, { staleUntil: 5000, errorUntil: Infinity, idle: 7000, eager: 5, usedAt: 0 })
        yield* run(
          { path },
          Effect.gen(function*() {
            const store = yield* Store.Store
            const log = yield* Broadcaster.Broadcaster
            yield* store.set(yield* entryOf({ log }, keyOf("f", 1), 1, { failed: true, expiresAt, terms }))
            yield* store.set(yield* entryOf({ log }, keyOf("f", 2), 2, { expiresAt }))
            yield* settled
          })
        )
        if (how === "stopped") assert.include(yield* text, "\"errorUntil\": \"forever\"")
        yield* TestClock.adjust(2000)
        yield* lives(
          { path },
          Effect.gen(function*() {
            const store = yield* Store.Store
            const entry = yield* store.get(keyOf("f", 1))
            assert.deepInclude(entry, { failed: true, expiresAt, terms })
            assert.isUndefined(yield* store.get(keyOf("f", 2)))
          })
        )
      }))
  )

  it.effect("takes what it has read for read when it was created, and drops what is unread for too long (scenario 35)", () =>
    inFolder(Effect.fnUntraced(function*({ path, text }) {
      const key = keyOf("f", 1)
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        yield* file.store.set(yield* idleEntry(file, key, 0))
        yield* TestClock.adjust(9000)
        yield* file.store.set(yield* idleEntry(file, key, 9000))
        yield* TestClock.adjust(500)
        assert.isDefined(file.store.peek(key))
      }))
      assert.notInclude(yield* text, "9000")
      const opened = (access: "write" | "read") =>
        Effect.scoped(Effect.map(open({ path, access }), ({ store }) => store.peek(key)))
      assert.strictEqual((yield* opened("read"))?.usedAt, 0)
      yield* TestClock.adjust(500)
      assert.isUndefined(yield* opened("read"))
      assert.isUndefined(yield* opened("write"))
    })))

  it.effect("has no more than its bounds after a restart (scenario 40)", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      yield* lives({ path }, Effect.flatMap(squares(), ({ square }) => Effect.forEach([1, 2, 3, 4, 5], square)))
      const count = (options: Partial<JsonFileStore.Options>) =>
        Effect.scoped(
          Effect.map(Effect.flatMap(open({ path, access: "read", ...options }), bodies), (found) =>
            Object.keys(found).length)
        )
      assert.strictEqual(yield* count({}), 5)
      assert.strictEqual(yield* count({ maxEntries: 2 }), 2)
      assert.isBelow(yield* count({ maxBytes: 800 }), 5)
    })))

  it.effect("gives back bodies of every kind (scenario 43)", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const kinds = ["", "1", "{\"a\": 1}", "\"ü\\u2028\"", "not JSON", noise(2_000), "x".repeat(100_000)]
      const head = { status: 404, headers: { "content-type": "text/plain" } }
      const read = Effect.gen(function*() {
        const { store } = yield* open({ path })
        return yield* Effect.forEach(kinds, (_, n) =>
          Effect.map(store.get(keyOf("f", n)), (entry) => [entry?.body, entry?.head]))
      })
      const written = yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        for (const [n, body] of kinds.entries()) {
          const options = { body, head: n % 2 === 0 ? head : undefined }
          yield* file.store.set(yield* entryOf(file, keyOf("f", n), 1, options))
        }
        return kinds.map((body, n) => [body, n % 2 === 0 ? head : undefined])
      }))
      assert.deepStrictEqual(yield* Effect.scoped(read), written)
    })))
})

describe("what changed", () => {
  const because = Effect.fnUntraced(function*(path: string, definition: {
    readonly version?: string
    readonly success?: Schema.Codec<unknown, unknown>
  }) {
    return yield* lives(
      { path },
      Effect.gen(function*() {
        const cache = yield* ResultCache.ResultCache
        const changing = yield* Cached.make(
          "changing",
          { input: { n: Schema.Number }, success: definition.success ?? Schema.Number, version: definition.version },
          ({ n }) => Effect.succeed(n)
        )
        const { executed, square } = yield* squares()
        yield* square(1)
        const { fn } = changing[Cached.TypeId]
        const { encoded, key } = yield* fn.keyed({ n: 1 })
        const answer = yield* cache.lookup({
          key,
          fingerprint: fn.fingerprint,
          context: Context.empty(),
          compute: fn.compute,
          check: fn.check,
          encoded,
          durable: true
        })
        return [answer.how === "hit" ? "hit" : answer.because, executed.length]
      })
    )
  })

  it.effect("computes again what is of another version, and only that", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      assert.deepStrictEqual(yield* because(path, {}), ["missing", 1])
      assert.deepStrictEqual(yield* because(path, {}), ["hit", 0])
      assert.deepStrictEqual(yield* because(path, { version: "2" }), ["changed", 0])
      assert.deepStrictEqual(yield* because(path, { version: "2" }), ["hit", 0])
    })))

  it.effect("computes again what is of another schema, and only that", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      yield* because(path, {})
      assert.deepStrictEqual(yield* because(path, { success: Schema.Unknown }), ["changed", 0])
      assert.deepStrictEqual(yield* because(path, { success: Schema.Unknown }), ["hit", 0])
    })))
})

describe("the file", () => {
  it.effect("is the same for the same results, whatever their order", () =>
    inFolder(Effect.fnUntraced(function*({ path, text }) {
      const written = Effect.fnUntraced(function*(inputs: ReadonlyArray<number>) {
        yield* lives(
          { path },
          Effect.gen(function*() {
            const { square } = yield* squares()
            const { square: other } = yield* squares({ name: "other" })
            for (const n of inputs) yield* Effect.andThen(other(n), square(n))
          })
        )
        return yield* text
      })
      const first = yield* written([1, 10, 2])
      assert.deepStrictEqual(Array.from(first.matchAll(/^ {6}"(.*)": \{$/gm), ([, key]) => key), [
        "n=1",
        "n=10",
        "n=2",
        "n=1",
        "n=10",
        "n=2"
      ])
      yield* lives({ path }, clear)
      assert.strictEqual(yield* written([10, 2, 1]), first)
      assert.strictEqual(yield* written([2]), first)
    })))

  it.effect("is not touched when there is nothing to write", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      yield* lives({ path }, Effect.flatMap(squares(), ({ square }) => square(1)))
      const before = yield* fs.stat(path)
      yield* lives({ path }, Effect.flatMap(squares(), ({ square }) => square(1)))
      const after = yield* fs.stat(path)
      assert.deepStrictEqual([after.mtime, after.ino], [before.mtime, before.ino])
    })))

  it.effect("has no line in its journal for an entry that was only read (scenario 35)", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      const file = yield* open({ path })
      const size = Effect.map(fs.stat(`${path}.journal`), ({ size }) => size)
      const first = yield* idleEntry(file, keyOf("f", 1), 0)
      yield* file.store.set(first)
      const before = yield* size
      CacheEntry.use(first, 1000)
      yield* file.store.touch(first)
      assert.strictEqual(file.store.peek(first.key)?.usedAt, 1000)
      assert.strictEqual(yield* size, before)
    })))

  it.effect("is not made by a process that keeps nothing, in a folder that is made for it", () =>
    inFolder(Effect.fnUntraced(function*({ folder, fs }) {
      yield* lives({ path: `${folder}/a/b/x.json` }, Effect.void)
      assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/a/b`), [])
    })))

  it.effect("has two functions and keys of any text, and gives them back", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const keys = [
        "__proto__\t{\"n\":1}",
        "a \"b\"\\\t{\"s\":\"x, y=1\"}",
        "f\t",
        "f\t()",
        "f\t{\"constructor\":\"null\"}",
        "f\t{\"s\":\"ü😀\"}\t\"ada\""
      ]
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        for (const key of keys) yield* file.store.set(yield* entryOf(file, key, key, { tags: ["x"] }))
      }))
      const found = yield* Effect.scoped(Effect.flatMap(open({ path }), bodies))
      assert.deepStrictEqual(found, Object.fromEntries(keys.map((key) => [key, key] as const)))
    })))
})

const bytesOf = (operations: ReadonlyArray<{ readonly bytes: number; readonly path: string }>) =>
  operations.filter(({ path }) => !path.includes(".lock")).reduce((sum, { bytes }) => sum + bytes, 0)

describe("folding", () => {
  it.effect("is done when a run of Precompute ends, while the store stays open", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      const numbers = Schema.Literals([1, 2, 3])
      yield* Effect.gen(function*() {
        const fn = yield* Cached.make(
          "f",
          { input: { n: numbers }, success: Schema.Number },
          ({ n }) => Effect.succeed(n)
        )
        yield* Stream.runDrain(Precompute.run(fn))
        const { functions } = JSON.parse(yield* fs.readFileString(path))
        assert.deepStrictEqual(Object.keys(functions.f), ["n=1", "n=2", "n=3"])
        assert.isFalse(yield* fs.exists(`${path}.journal`))
      }).pipe(Effect.provide(cacheIn({ path })))
    })))

  it.effect(
    "writes less than three times what it keeps, however many results come (scenario 72)",
    () =>
      inFolder(Effect.fnUntraced(function*({ fs, path }) {
        for (const count of [200, 2_000]) {
          const disk = yield* makeDisk
          const file = `${path}-${count}`
          yield* Effect.scoped(Effect.gen(function*() {
            const json = yield* Effect.provideService(open({ path: file }), FileSystem.FileSystem, disk.fs)
            for (let n = 0; n < count; n++) {
              yield* json.store.set(yield* entryOf(json, keyOf("f", n), noise(50).join(" ")))
              if (n % 50 === 0) yield* TestClock.adjust("1 second")
            }
          }))
          const { size } = yield* fs.stat(file)
          assert.isBelow(bytesOf(disk.operations) / Number(size), 3, `for ${count} results`)
        }
      })),
    60_000
  )

  it.effect("writes many results that come at once with few writes (scenario 72)", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, disk.fs)
        yield* Effect.forEach(
          Array.from({ length: 500 }, (_, n) => n),
          (n) => Effect.flatMap(entryOf(file, keyOf("f", n), n), file.store.set),
          { concurrency: "unbounded" }
        )
        assert.isAtMost(disk.operations.filter((one) => one.path.endsWith(".journal") && one.bytes > 0).length, 5)
      }))
      const found = yield* Effect.scoped(Effect.flatMap(open({ path }), bodies))
      assert.strictEqual(Object.keys(found).length, 500)
    })))

  it.effect("writes the file at intervals, once nothing more comes, and takes the journal away", () =>
    inFolder(Effect.fnUntraced(function*({ names, path }) {
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path, foldEvery: "1 second" })
        yield* file.store.set(yield* entryOf(file, keyOf("f", 1), 1))
        assert.deepStrictEqual(yield* names, ["x.json.journal", "x.json.lock"])
        while ((yield* names).includes("x.json.journal")) yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* names, ["x.json", "x.json.lock"])
      }))
      assert.deepStrictEqual(yield* names, ["x.json"])
    })))

  it.effect("leaves in the journal what comes while the file is being written", () =>
    inFolder(Effect.fnUntraced(function*({ path, text }) {
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, disk.fs)
        const [first, second, third] = yield* Effect.forEach([1, 2, 3], (n) => entryOf(file, keyOf("f", n), n))
        yield* Effect.forEach([first!, second!], file.store.set)
        disk.decide((operation) =>
          operation.name !== "rename" || operation.path !== path ? Effect.succeed("do") : Effect.gen(function*() {
            yield* file.store.set(third!)
            yield* file.log.append([tagsOf(first!.key)[1]!])
            return "do" as const
          }).pipe(Effect.orDie)
        )
        yield* file.fold
        assert.notInclude(yield* text, "n=3")
        yield* disk.stop
      }))
      assert.deepStrictEqual(
        yield* Effect.scoped(Effect.flatMap(open({ path }), bodies)),
        { [keyOf("f", 2)]: 2, [keyOf("f", 3)]: 3 }
      )
    })))

  it.effect("says what it could not do, keeps it in the journal, and does it later", () =>
    inFolder(Effect.fnUntraced(function*({ messages, names, path }) {
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, disk.fs)
        yield* file.store.set(yield* entryOf(file, keyOf("f", 1), 1))
        disk.decide(({ path }) => Effect.succeed(path.endsWith(".tmp") ? "fail" : "do"))
        const error = yield* Effect.flip(file.fold)
        assert(error.reason._tag === "FileError")
        assert.strictEqual(error.reason.problem, "unwritable")
        assert.include(error.message, "x.json.tmp: it cannot be written: ENOSPC")
      }))
      assert.include(messages.join("\n"), "ENOSPC: no space left on device")
      assert.include(messages.join("\n"), `What is not in ${path} yet stays in ${path}.journal`)
      assert.deepStrictEqual(yield* names, ["x.json.journal"])
      yield* Effect.scoped(open({ path }))
      assert.deepStrictEqual(yield* names, ["x.json"])
    })))
})

describe("a disk that is full", () => {
  it.effect("is reported, leaves callers with their values, and what was computed is kept later (scenario 45)", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      yield* Effect.gen(function*() {
        const { executed, square } = yield* squares()
        disk.decide(({ path }) => Effect.succeed(path.endsWith(".journal") ? "fail" : "do"))
        assert.strictEqual(yield* square(2), 4)
        const { events } = yield* CacheTest.CacheTest
        const failed = Effect.map(events, (seen) => seen.some(({ _tag }) => _tag === "StoreFailed"))
        while (!(yield* failed)) yield* Effect.yieldNow
        disk.decide(() => Effect.succeed("do"))
        yield* square(3)
        assert.deepStrictEqual(executed, [2, 3])
      }).pipe(Effect.provide(cacheIn({ path })), Effect.provideService(FileSystem.FileSystem, disk.fs))
      const kept = yield* Effect.scoped(Effect.flatMap(open({ path }), bodies))
      assert.deepStrictEqual(kept, {
        [keyOf("square", 2)]: { n: 2, squared: 4 },
        [keyOf("square", 3)]: { n: 3, squared: 9 }
      })
    })))

  it.effect("makes an invalidation fail that is not on it, which holds in this process all the same", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const disk = yield* makeDisk
      yield* Effect.gen(function*() {
        const { executed, square } = yield* squares()
        yield* square(1)
        yield* settled
        disk.decide(({ path }) => Effect.succeed(path.endsWith(".journal") ? "fail" : "do"))
        const error = yield* Effect.flip(invalidate("n:1"))
        assert.strictEqual(error.reason._tag, "LogError")
        yield* square(1)
        assert.deepStrictEqual(executed, [1, 1])
        disk.decide(() => Effect.succeed("do"))
      }).pipe(Effect.provide(cacheIn({ path })), Effect.provideService(FileSystem.FileSystem, disk.fs))
      assert.notProperty(yield* Effect.scoped(Effect.flatMap(open({ path }), bodies)), keyOf("square", 1))
    })))
})

describe("options", () => {
  it.effect("refuses an interval that is none", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      const error: CacheError.CacheError = yield* Effect.flip(
        open({ path, foldEvery: -1 }) as Effect.Effect<
          never,
          CacheError.CacheError,
          Scope.Scope | FileSystem.FileSystem
        >
      )
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.include(error.message, "JsonFileStore.foldEvery")
    })))

  it.effect("stamps what it has read with the position of its own log", () =>
    inFolder(Effect.fnUntraced(function*({ path }) {
      yield* lives({ path }, Effect.flatMap(squares(), ({ square }) => square(1)))
      yield* TestClock.adjust("1 day")
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        const entry = yield* file.store.get(keyOf("square", 1))
        assert.strictEqual(entry?.position, yield* positionOf(file))
        assert.notInclude(JSON.stringify(yield* bodies(file)), "position")
      }))
    })))
})
