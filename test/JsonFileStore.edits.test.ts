import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import { Broadcaster, CacheEntry, DependencyGraph, invalidate, Store } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import {
  bodies,
  doubles,
  entryOf,
  type Folder,
  inFolder,
  keyOf,
  killed,
  lives,
  makeDisk,
  open,
  settled,
  squares
} from "./jsonFile.ts"
import { makeTerms } from "./suites/entries.ts"

const squaresOf = (inputs: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const { executed, square } = yield* squares()
    return { values: yield* Effect.forEach(inputs, square), executed }
  })

const write = (path: string, inputs: ReadonlyArray<number>) => lives({ path }, squaresOf(inputs))

// A process that also folds and pulls when the test says so.
const running = <A, E, R>(
  path: string,
  body: (
    file: { readonly fold: Effect.Effect<void, unknown>; readonly pull: Effect.Effect<void, unknown> }
  ) => Effect.Effect<A, E, R>
) =>
  Effect.scoped(Effect.flatMap(open({ path }), (file) =>
    Effect.provide(
      body(file),
      Layer.fresh(
        CacheTest.layerWith().pipe(Layer.provideMerge([
          Layer.succeed(Store.Store)(file.store),
          Layer.succeed(Broadcaster.Broadcaster)(file.log),
          DependencyGraph.layer()
        ]))
      )
    )))

const ofTwo = "{ \"n\": 2, \"squared\": 4 }"

// What was reported must say where to look and what to do.
const checkReport = ({ messages, path }: Folder, ...parts: ReadonlyArray<string>) => {
  const report = messages.find((message) => parts.every((part) => message.includes(part)))
  assert.isDefined(report, `${parts.join(" … ")} in:\n${messages.join("\n")}`)
  assert.include(report, path)
}

describe("an edit while nothing runs", () => {
  it.effect("is served (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*({ aside, edit, path }) {
      yield* write(path, [1, 2, 3])
      yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 40 }")
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 40, 9], executed: [] })
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 40, 9], executed: [] })
      assert.deepStrictEqual(yield* aside, [])
    })))

  it.effect("is still there when other results came, and the process was killed (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [1, 2])
      yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 40 }")
      yield* killed({ path }, Effect.andThen(squaresOf([3]), settled))
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 40, 9], executed: [] })
    })))

  it.effect("ends what was computed from it, once", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      const run = Effect.gen(function*() {
        const { executed, square } = yield* squares()
        const { double, executed: doubled } = yield* doubles(square)
        const values = yield* Effect.forEach([1, 2], double)
        yield* settled
        return [values, executed, doubled]
      })
      yield* lives({ path }, run)
      yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 40 }")
      assert.deepStrictEqual(yield* killed({ path }, run), [[2, 80], [], [2]])
      assert.deepStrictEqual(yield* killed({ path }, run), [[2, 80], [], []])
      assert.deepStrictEqual(yield* lives({ path }, run), [[2, 80], [], []])
      assert.deepStrictEqual(yield* lives({ path }, run), [[2, 80], [], []])
    })))

  it.effect("that does not fit is reported with file, function, key, path and what was expected, and computed again (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { aside, edit, path } = folder
      yield* write(path, [1, 2, 3])
      yield* edit(ofTwo, "{ \"n\": 2, \"squared\": \"four\" }")
      const events = yield* lives(
        { path },
        Effect.gen(function*() {
          const { executed, values } = yield* squaresOf([1, 2, 3])
          assert.deepStrictEqual([values, executed], [[1, 4, 9], [2]])
          return yield* (yield* CacheTest.CacheTest).events
        })
      )
      checkReport(folder, "\"square\"", "\"n=2\"", "[\"squared\"]", "Expected number")
      assert.strictEqual(events.filter(({ _tag }) => _tag === "Undecodable").length, 1)
      const kept = yield* aside
      assert.strictEqual(kept.length, 1)
      assert.include(kept[0], "\"squared\": \"four\"")
      assert.include(folder.messages.join("\n"), "x.json.aside-")
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 4, 9], executed: [] })
    })))

  it.effect("that does not fit is kept aside also when the file was written before anyone asked for it (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*({ aside, edit, path }) {
      yield* write(path, [1, 2])
      yield* edit(ofTwo, "{ \"n\": 2, \"squared\": \"four\" }")
      for (const n of [3, 4]) yield* write(path, [n])
      assert.deepStrictEqual(yield* write(path, [2]), { values: [4], executed: [2] })
      assert.include((yield* aside).join("\n"), "\"squared\": \"four\"")
    })))

  it.effect("with more than the schema has is reported, and computed again", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { edit, path } = folder
      yield* write(path, [1, 2])
      yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 4, \"sqared\": 5 }")
      assert.deepStrictEqual(yield* write(path, [1, 2]), { values: [1, 4], executed: [2] })
      checkReport(folder, "\"n=2\"", "sqared")
    })))

  it.effect.each(
    [
      ["a field that is none", "\"tags\": [\"n:2\"]", "\"tgas\": [\"n:2\"]", "\"tgas\""],
      ["a tag that is none", "\"tags\": [\"n:2\"]", "\"tags\": [\"n 2\"]", "expected a tag"],
      ["tags that are no list", "\"tags\": [\"n:2\"]", "\"tags\": \"n:2\"", "expected a list of tags, found \"n:2\""],
      ["a time that is none", "1970-01-01T00:00:00.000Z", "yesterday", "expected a time"]
    ] as const
  )(
    "with %s is reported with its line, and computed again, and the file is kept (scenario 69)",
    ([, from, to, says]) =>
      inFolder(Effect.fnUntraced(function*(folder) {
        const { aside, path, save, text } = folder
        yield* write(path, [1, 2, 3])
        const before = yield* text
        const at = before.indexOf(from, before.indexOf("\"n=2\""))
        const after = before.slice(0, at) + to + before.slice(at + from.length)
        yield* save(after)
        assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 4, 9], executed: [2] })
        const line = before.slice(0, before.indexOf("\"n=2\"")).split("\n").length
        checkReport(folder, `x.json:${line}, "square", "n=2"`, says)
        assert.deepStrictEqual(yield* aside, [after])
      }))
  )

  it.effect("that removes an entry has it computed again", () =>
    inFolder(Effect.fnUntraced(function*({ path, save, text }) {
      yield* write(path, [1, 2, 3])
      const json = JSON.parse(yield* text)
      delete json.functions.square["n=2"]
      yield* save(JSON.stringify(json))
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 4, 9], executed: [2] })
    })))

  it.effect("that adds an entry with nothing but a value is served, also without a fingerprint", () =>
    inFolder(Effect.fnUntraced(function*({ path, save, text }) {
      yield* write(path, [1])
      const json = JSON.parse(yield* text)
      json.functions.square["n=7"] = { value: { n: 7, squared: 50 } }
      yield* save(JSON.stringify(json))
      assert.deepStrictEqual(yield* write(path, [1, 7]), { values: [1, 50], executed: [] })
      assert.deepStrictEqual(yield* write(path, [1, 7]), { values: [1, 50], executed: [] })
      assert.match(yield* text, /"n=7": \{[^}]*\}[^}]*"fingerprint": "[0-9a-f]{16}"/)
    })))

  it.effect("that changes the tags changes what ends it", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [1, 2])
      yield* edit("\"tags\": [\"n:2\"]", "\"tags\": [\"season:2026\"]")
      yield* lives({ path }, invalidate("n:2"))
      assert.deepStrictEqual((yield* write(path, [1, 2])).executed, [])
      yield* lives({ path }, invalidate("season"))
      assert.deepStrictEqual((yield* write(path, [1, 2])).executed, [2])
    })))

  it.effect("that sets an end is served until then", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [2])
      yield* edit("\"fingerprint\"", "\"expiresAt\": \"1969-12-31\",\n        \"fingerprint\"")
      assert.deepStrictEqual((yield* write(path, [2])).executed, [2])
    })))

  it.effect("counts as a read of an entry that lives as long as it is read (scenario 35)", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      const key = keyOf("f", 1)
      const terms = makeTerms(Infinity, { idle: 10_000 })
      const opened = Effect.scoped(Effect.map(open({ path }), ({ store }) => store.peek(key)))
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        yield* file.store.set(yield* entryOf(file, key, 1, { terms }))
      }))
      yield* TestClock.adjust(15_000)
      yield* edit("\"value\": 1,", "\"value\": 2,")
      const entry = yield* opened
      assert.deepInclude(entry, { body: "2", createdAt: 0, usedAt: 15_000, goodUntil: 25_000 })
    })))

  it.effect("wins over an entry that lives as long as it is read, although that was made long ago (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      const file = yield* open({ path })
      const entry = yield* entryOf(file, keyOf("f", 1), 1, { terms: makeTerms(Infinity, { idle: 10_000 }) })
      yield* file.store.set(entry)
      yield* file.fold
      yield* TestClock.adjust(9000)
      CacheEntry.use(entry, 9000)
      yield* TestClock.adjust(9000)
      yield* edit("\"value\": 1,", "\"value\": 2,")
      yield* file.pull
      assert.deepStrictEqual(yield* bodies(file), { [entry.key]: 2 })
    })))

  it.effect("that sets how long it may be served stale keeps it that long", () =>
    inFolder(Effect.fnUntraced(function*({ edit, messages, path }) {
      yield* write(path, [2])
      const terms = "\"expiresAt\": 1000, \"staleUntil\": \"1970-01-01T00:00:05Z\", \"errorUntil\": \"forever\","
      yield* edit("\"fingerprint\"", `${terms}\n        "fingerprint"`)
      yield* TestClock.adjust(2000)
      const entry = yield* Effect.scoped(
        Effect.map(open({ path, access: "read" }), ({ store }) => store.peek(keyOf("square", 2)))
      )
      assert.deepInclude(entry?.terms, { staleUntil: 5000, errorUntil: Infinity, keptUntil: 1000, idle: Infinity })
      assert.deepStrictEqual(messages, [])
    })))

  it.effect("that only lays it out anew is none: what was computed from it stays", () =>
    inFolder(Effect.fnUntraced(function*({ path, save, text }) {
      const run = Effect.gen(function*() {
        const { executed, square } = yield* squares()
        const { double, executed: doubled } = yield* doubles(square)
        yield* Effect.forEach([1, 2], double)
        return [...executed, ...doubled]
      })
      yield* lives({ path }, run)
      const { functions, ...rest } = JSON.parse(yield* text)
      yield* save(
        JSON.stringify({ ...rest, functions: { square: functions.square, double: functions.double } }, null, 7)
      )
      assert.deepStrictEqual(yield* lives({ path }, run), [])
    })))
})

describe("an edit while a process runs that does not watch", () => {
  it.effect("is not overwritten, and served as soon as the file is written (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { edit, messages, path, text } = folder
      yield* write(path, [1, 2])
      yield* running(path, ({ fold }) =>
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          const { double, executed: doubled } = yield* doubles(square)
          assert.deepStrictEqual(yield* Effect.forEach([1, 2], double), [2, 8])
          yield* settled
          yield* fold
          yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 40 }")
          yield* square(3)
          yield* settled
          yield* fold
          assert.include(yield* text, "\"squared\": 40")
          assert.include(messages.join("\n"), `${path} was edited: 1 entries are new or changed, 0 are gone`)
          assert.strictEqual(yield* square(2), 40)
          assert.deepStrictEqual(yield* Effect.forEach([1, 2], double), [2, 80])
          assert.deepStrictEqual([executed, doubled], [[3], [1, 2, 2]])
        }))
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 40, 9], executed: [] })
    })))

  it.effect("is not overwritten when the process stops (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [1, 2])
      yield* lives({ path }, Effect.andThen(squaresOf([3]), edit(ofTwo, "{ \"n\": 2, \"squared\": 40 }")))
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 40, 9], executed: [] })
    })))

  it.effect("is not overwritten when the process is killed (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [1, 2])
      yield* killed(
        { path },
        Effect.gen(function*() {
          yield* squaresOf([3])
          yield* settled
          yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 40 }")
        })
      )
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 40, 9], executed: [] })
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 40, 9], executed: [] })
    })))

  it.effect("wins over a result that is computed while it is being read", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [1, 2])
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        yield* file.log.follow((change) => {
          if (change._tag !== "Record") return
          Effect.runFork(Effect.flatMap(
            entryOf(file, keyOf("square", 2), { n: 2, squared: 4 }, { position: change.position, createdAt: 1e15 }),
            (entry) =>
              file.store.get(entry.key).pipe(
                Effect.flatMap((found) =>
                  found === undefined || found.position < change.position ? file.store.set(entry) : Effect.void
                )
              )
          ))
        })
        yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 40 }")
        yield* file.pull
        assert.deepStrictEqual((yield* bodies(file))[keyOf("square", 2)], { n: 2, squared: 40 })
      }))
      assert.deepStrictEqual(yield* write(path, [1, 2]), { values: [1, 40], executed: [] })
    })))

  it.effect("that removes or adds entries is taken over", () =>
    inFolder(Effect.fnUntraced(function*({ path, save, text }) {
      yield* write(path, [1, 2])
      yield* running(path, ({ pull }) =>
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          yield* Effect.forEach([1, 2], square)
          const json = JSON.parse(yield* text)
          delete json.functions.square["n=2"]
          json.functions.square["n=7"] = { value: { n: 7, squared: 50 } }
          yield* save(JSON.stringify(json))
          yield* pull
          assert.deepStrictEqual(yield* Effect.forEach([1, 2, 7], square), [1, 4, 50])
          assert.deepStrictEqual(executed, [2])
        }))
      assert.deepStrictEqual(yield* write(path, [1, 2, 7]), { values: [1, 4, 50], executed: [] })
    })))

  it.effect("that does not fit is reported, computed again and kept aside (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { aside, edit, path } = folder
      yield* write(path, [1, 2])
      yield* running(path, ({ fold, pull }) =>
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          yield* Effect.forEach([1, 2], square)
          yield* edit(ofTwo, "{ \"n\": 2, \"squared\": \"four\" }")
          yield* pull
          yield* square(3)
          yield* settled
          yield* fold
          yield* edit("{ \"n\": 1, \"squared\": 1 }", "{ \"n\": 1, \"squared\": 10 }")
          yield* pull
          assert.deepStrictEqual(yield* Effect.forEach([1, 2], square), [10, 4])
          assert.deepStrictEqual(executed, [3, 2])
        }))
      checkReport(folder, "\"square\"", "\"n=2\"", "[\"squared\"]", "Expected number")
      assert.include((yield* aside).join("\n"), "\"squared\": \"four\"")
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [10, 4, 9], executed: [] })
    })))

  it.effect("that is no JSON is not overwritten, and results wait until it is mended (scenario 74)", () =>
    inFolder(Effect.fnUntraced(function*({ messages, path, save, text }) {
      yield* write(path, [1, 2])
      const good = yield* text
      const broken = good.replace("\"square\"", "square")
      yield* running(path, ({ fold }) =>
        Effect.gen(function*() {
          const { square } = yield* squares()
          yield* square(3)
          yield* settled
          yield* save(broken)
          const error = yield* Effect.flip(fold)
          assert.include(String(error), "it was edited and is not JSON any more")
          assert.strictEqual(yield* text, broken)
          assert.strictEqual(yield* square(2), 4)
          yield* save(good.replace(ofTwo, "{ \"n\": 2, \"squared\": 40 }"))
          yield* fold
          assert.strictEqual(yield* square(2), 40)
          yield* save(broken)
          yield* square(4)
          yield* settled
        }))
      assert.strictEqual(yield* text, broken)
      assert.include(messages.join("\n"), "Until that is mended it is not written")
      yield* save(good)
      const { executed } = yield* write(path, [1, 2, 3, 4])
      assert.deepStrictEqual(executed.filter((n) => n > 3), [])
    })))

  it.effect("that takes the file away has it written anew", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path, text }) {
      yield* write(path, [1, 2])
      yield* running(path, ({ fold }) =>
        Effect.gen(function*() {
          const { square } = yield* squares()
          yield* square(3)
          yield* settled
          yield* fs.remove(path)
          yield* fold
          assert.include(yield* text, "n=1")
        }))
      assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 4, 9], executed: [] })
    })))

  it.effect("that empties the file for a moment loses nothing", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path, text }) {
      yield* write(path, [1, 2])
      yield* running(path, ({ pull }) =>
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          const good = yield* text
          yield* fs.writeFileString(path, "")
          yield* pull
          yield* fs.writeFileString(path, good)
          yield* pull
          assert.deepStrictEqual(yield* Effect.forEach([1, 2], square), [1, 4])
          assert.deepStrictEqual(executed, [])
        }))
    })))

  it.effect("is taken over later when the disk was full", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      yield* write(path, [1, 2])
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, disk.fs)
        yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 40 }")
        disk.decide(({ path }) => Effect.succeed(path.endsWith(".journal") ? "fail" : "do"))
        yield* Effect.flip(file.pull)
        disk.decide(() => Effect.succeed("do"))
        yield* file.pull
        assert.deepStrictEqual((yield* bodies(file))[keyOf("square", 2)], { n: 2, squared: 40 })
      }))
      assert.deepStrictEqual(yield* write(path, [1, 2]), { values: [1, 40], executed: [] })
    })))
})

const watching = <A, E, R>(path: string, body: Effect.Effect<A, E, R>) => lives({ path, watch: true }, body)

describe("an edit of a file that is watched", () => {
  it.live("is served, and ends what was computed from it (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path, said }) {
      yield* write(path, [1, 2])
      yield* watching(
        path,
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          const { double } = yield* doubles(square)
          assert.deepStrictEqual(yield* Effect.forEach([1, 2], double), [2, 8])
          yield* edit(ofTwo, "{ \"n\": 2, \"squared\": 40 }")
          yield* said("was edited: 1 entries")
          assert.deepStrictEqual(yield* Effect.forEach([1, 2], double), [2, 80])
          assert.deepStrictEqual(executed, [])
        })
      )
    })))

  it.live("is served when the editor writes into the file", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path, said, text }) {
      yield* write(path, [1, 2])
      yield* watching(
        path,
        Effect.gen(function*() {
          const { square } = yield* squares()
          yield* fs.writeFileString(path, (yield* text).replace(ofTwo, "{ \"n\": 2, \"squared\": 40 }"))
          yield* said("was edited: 1 entries")
          assert.strictEqual(yield* square(2), 40)
        })
      )
    })))

  it.live("that does not fit is reported, and is nobody's answer (scenario 69)", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { aside, edit, path, said } = folder
      yield* write(path, [1, 2])
      yield* watching(
        path,
        Effect.gen(function*() {
          const { executed, square } = yield* squares()
          yield* edit(ofTwo, "{ \"n\": 2, \"squared\": \"four\" }")
          yield* said("was edited: 1 entries")
          assert.deepStrictEqual(yield* Effect.forEach([1, 2], square), [1, 4])
          assert.deepStrictEqual(executed, [2])
        })
      )
      checkReport(folder, "\"square\"", "\"n=2\"", "[\"squared\"]")
      assert.include((yield* aside).join("\n"), "\"squared\": \"four\"")
    })))

  it.live("that is no JSON is said at once, and served again when it is mended (scenario 74)", () =>
    inFolder(Effect.fnUntraced(function*({ path, said, save, text }) {
      yield* write(path, [1, 2])
      yield* watching(
        path,
        Effect.gen(function*() {
          const { square } = yield* squares()
          const good = yield* text
          yield* save(good.slice(0, -20))
          yield* said("is not JSON any more")
          assert.strictEqual(yield* square(2), 4)
          yield* save(good.replace(ofTwo, "{ \"n\": 2, \"squared\": 40 }"))
          yield* said("was edited: 1 entries")
          assert.strictEqual(yield* square(2), 40)
        })
      )
    })))
})

describe("a result that cannot be encoded", () => {
  it.effect("leaves the file as it is, and what is beside it in order (scenario 73)", () =>
    inFolder(Effect.fnUntraced(function*({ names, path, text }) {
      yield* write(path, [1])
      const before = yield* text
      yield* lives(
        { path },
        Effect.gen(function*() {
          const { square } = yield* squares({ compute: (n) => (n === 2 ? "no number" as unknown as number : n * n) })
          assert.strictEqual(yield* square(2), "no number" as unknown as number)
          const events = yield* (yield* CacheTest.CacheTest).events
          assert.isTrue(events.some((event) => event._tag === "Rejected" && event.reason === "result"))
        })
      )
      assert.strictEqual(yield* text, before)
      assert.deepStrictEqual(yield* names, ["x.json"])
      assert.deepStrictEqual(yield* write(path, [1, 2]), { values: [1, 4], executed: [2] })
    })))
})
