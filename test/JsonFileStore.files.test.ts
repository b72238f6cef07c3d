import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { type CacheError, ResultCache } from "effect-cached"
import { bodies, entryOf, type Folder, inFolder, keyOf, lives, makeDisk, open, squares } from "./jsonFile.ts"

const squaresOf = (inputs: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const { executed, square } = yield* squares()
    return { values: yield* Effect.forEach(inputs, square), executed }
  })

const write = (path: string, inputs: ReadonlyArray<number>) => lives({ path }, squaresOf(inputs))

// Opening fails, says what to do, and leaves everything as it was.
const refused = Effect.fnUntraced(function*(
  { folder, fs, names, path }: Folder,
  problem: CacheError.FileError["problem"],
  ...says: ReadonlyArray<string>
) {
  const content = Effect.flatMap(names, (all) =>
    Effect.forEach(all, (name) =>
      Effect.map(
        Effect.orElseSucceed(fs.readFile(`${folder}/${name}`), () => new Uint8Array()),
        (bytes) => [name, Array.from(bytes)]
      )))
  const before = yield* content
  for (const access of ["write", "read", "write-or-read"] as const) {
    const error = yield* Effect.flip(Effect.scoped(open({ path, access })))
    assert(error.reason._tag === "FileError")
    assert.strictEqual(error.reason.problem, problem)
    assert.strictEqual(error.reason.path, path)
    for (const text of [path, ...says]) assert.include(error.message, text)
    assert.deepStrictEqual(yield* content, before)
  }
})

describe("a file that is not ours (scenario 74)", () => {
  it.effect.each(
    [
      ["text", "hello", "expected an object that starts with \"effect-cached\": 1"],
      ["JSON of something else", "{ \"name\": \"x\", \"version\": \"1.0.0\" }", "found none"],
      ["a list", "[1, 2]", "expected an object"],
      ["a number", "7", "expected an object"],
      ["null", "null", "expected an object"],
      ["JSON that is broken, of something else", "{ \"name\": ", "expected an object"],
      ["a mark that is no version", "{ \"effect-cached\": \"one\", \"functions\": {} }", "found \"one\""],
      ["functions that are none", "{ \"effect-cached\": 1, \"functions\": [] }", "\"functions\" to be an object"]
    ] as const
  )("is refused and left as it is: %s", ([, text, says]) =>
    inFolder(Effect.fnUntraced(function*(folder) {
      yield* folder.save(text)
      yield* refused(folder, "foreign", says, "left as it is", "Move it away, or name another file")
    })))

  it.effect("is refused and left as it is: in another encoding", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { fs, path } = folder
      yield* write(path, [1])
      const text = yield* folder.text
      yield* fs.writeFile(path, Uint8Array.from([0xff, 0xfe, ...Buffer.from(text, "utf16le")]))
      yield* refused(folder, "foreign", "it is not text in UTF-8")
      yield* fs.writeFile(path, Buffer.from(text.replace("n:1", "n:é"), "latin1"))
      yield* refused(folder, "foreign", "it is not text in UTF-8")
    })))

  it.effect("is refused and left as it is: of a newer version", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      yield* write(folder.path, [1])
      yield* folder.edit("\"effect-cached\": 1", "\"effect-cached\": 2")
      yield* refused(folder, "version", "version 2", "Use a version of this library that can read it")
    })))

  it.effect("is refused and left as it is: a folder", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      yield* folder.fs.makeDirectory(folder.path)
      yield* refused(folder, "unreadable", "it cannot be read", "EISDIR")
    })))

  it.effect("is refused and left as it is: one that may not be read", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      yield* write(folder.path, [1])
      const disk = yield* makeDisk
      disk.decide(({ name, path }) => Effect.succeed(name === "readFile" && path === folder.path ? "fail" : "do"))
      yield* Effect.provideService(refused(folder, "unreadable", "it cannot be read"), FileSystem.FileSystem, disk.fs)
      assert.deepStrictEqual((yield* write(folder.path, [1])).executed, [])
    })))

  it.effect("is refused where its folder cannot be made", () =>
    inFolder(Effect.fnUntraced(function*({ folder, fs }) {
      yield* fs.writeFileString(`${folder}/file`, "")
      const error = yield* Effect.flip(Effect.scoped(open({ path: `${folder}/file/x.json` })))
      assert(error.reason._tag === "FileError")
      assert.strictEqual(error.reason.problem, "unwritable")
      assert.include(error.message, `${folder}/file`)
    })))

  it.effect("fails the layer of a cache with the same error", () =>
    inFolder(Effect.fnUntraced(function*({ path, save }) {
      yield* save("[]")
      const error = yield* Effect.flip(lives({ path }, ResultCache.ResultCache))
      assert(error.reason._tag === "FileError")
    })))
})

describe("a file of ours that is damaged (scenario 74)", () => {
  // What can be read is served, what cannot is computed, and the file is kept as it was found.
  const survives = Effect.fnUntraced(function*(
    { aside, messages, path, save, text }: Folder,
    damage: (text: string) => string,
    executed: ReadonlyArray<number>
  ) {
    yield* write(path, [1, 2, 3])
    const damaged = damage(yield* text)
    yield* save(damaged)
    assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 4, 9], executed })
    assert.deepStrictEqual(yield* aside, [damaged])
    assert.include(messages.join("\n"), `${path} is not JSON any more`)
    assert.include(messages.join("\n"), `${path}.aside-`)
    assert.deepStrictEqual(yield* write(path, [1, 2, 3]), { values: [1, 4, 9], executed: [] })
    if (executed.length > 0) assert.isObject(JSON.parse(yield* text))
  })

  it.effect("is read as far as it goes: cut off", () =>
    inFolder((folder) => survives(folder, (text) => text.slice(0, text.indexOf("\"n=3\"") + 40), [3])))

  it.effect("is read as far as it goes: without a comma", () =>
    inFolder((folder) =>
      survives(folder, (text) => text.replace("      },\n      \"n=2\"", "      }\n      \"n=2\""), [])
    ))

  it.effect("is read as far as it goes: with a word too much in an entry", () =>
    inFolder((folder) =>
      survives(folder, (text) => text.replace("{ \"n\": 2, \"squared\": 4 }", "{ \"n\": 2, squared: 4 }"), [2])
    ))

  it.effect("is read as far as it goes: with the marks of a merge conflict", () =>
    inFolder((folder) =>
      survives(folder, (text) => {
        const start = text.indexOf("      \"n=2\"")
        const end = text.indexOf("      \"n=3\"")
        const ours = text.slice(start, end)
        const theirs = ours.replace("\"squared\": 4", "\"squared\": 40")
        return `${text.slice(0, start)}<<<<<<< HEAD\n${ours}=======\n${theirs}>>>>>>> theirs\n${text.slice(end)}`
      }, [2])
    ))

  it.effect("keeps every such file aside, each under its own name", () =>
    inFolder(Effect.fnUntraced(function*({ aside, path, save, text }) {
      yield* write(path, [1, 2])
      const good = yield* text
      for (const end of [30, 40, 30]) {
        yield* save(good.slice(0, -end))
        yield* write(path, [1, 2])
      }
      assert.sameMembers(Array.from(yield* aside), [good.slice(0, -30), good.slice(0, -40)])
    })))

  it.effect("is left alone by a process that only reads", () =>
    inFolder(Effect.fnUntraced(function*({ names, path, save, text }) {
      yield* write(path, [1, 2])
      const damaged = (yield* text).slice(0, -30)
      yield* save(damaged)
      yield* lives({ path, access: "read" }, squaresOf([1, 2, 3]))
      assert.deepStrictEqual(yield* names, ["x.json"])
      assert.strictEqual(yield* text, damaged)
    })))
})

describe("a file without entries (scenario 74)", () => {
  it.effect.each(
    [
      ["nothing", ""],
      ["blanks", " \n\n"],
      ["a byte order mark", "\ufeff"],
      ["no functions", "{ \"effect-cached\": 1 }"],
      ["functions without entries", "{ \"effect-cached\": 1, \"functions\": { \"square\": {} } }"]
    ] as const
  )("is used: %s", ([, text]) =>
    inFolder(Effect.fnUntraced(function*({ messages, path, save }) {
      yield* save(text)
      assert.deepStrictEqual((yield* write(path, [1])).executed, [1])
      assert.deepStrictEqual((yield* write(path, [1])).executed, [])
      assert.deepStrictEqual(messages, [])
    })))

  it.effect("is used: one that is not there, in a folder that is not there", () =>
    inFolder(Effect.fnUntraced(function*({ folder, messages }) {
      const path = `${folder}/a/b/x.json`
      assert.deepStrictEqual((yield* write(path, [1])).executed, [1])
      assert.deepStrictEqual((yield* write(path, [1])).executed, [])
      assert.deepStrictEqual(messages, [])
    })))
})

describe("how a file is written", () => {
  it.effect("does not matter: with a byte order mark and the line ends of Windows", () =>
    inFolder(Effect.fnUntraced(function*({ messages, path, save, text }) {
      yield* write(path, [1, 2])
      yield* save(`\ufeff${(yield* text).replaceAll("\n", "\r\n")}`)
      assert.deepStrictEqual((yield* write(path, [1, 2])).executed, [])
      assert.deepStrictEqual(messages, [])
    })))

  it.effect("stays: whoever may not read it may not read the next one", () =>
    inFolder(Effect.fnUntraced(function*({ fs, path }) {
      yield* write(path, [1])
      yield* fs.chmod(path, 0o600)
      yield* write(path, [2])
      assert.strictEqual((yield* fs.stat(path)).mode & 0o777, 0o600)
    })))

  it.effect("follows a link, which stays one", () =>
    inFolder(Effect.fnUntraced(function*({ folder, fs, path }) {
      yield* write(path, [1])
      yield* fs.symlink(path, `${folder}/link.json`)
      yield* write(`${folder}/link.json`, [2])
      assert.strictEqual(yield* fs.readLink(`${folder}/link.json`), path)
      assert.deepStrictEqual((yield* write(path, [1, 2])).executed, [])
    })))
})

const found = (path: string) => Effect.scoped(Effect.flatMap(open({ path }), bodies))

describe("a journal", () => {
  const left = Effect.fnUntraced(function*({ path }: Folder) {
    const disk = yield* makeDisk
    yield* Effect.scoped(Effect.gen(function*() {
      const file = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, disk.fs)
      for (const n of [1, 2, 3]) yield* file.store.set(yield* entryOf(file, keyOf("f", n), n))
      yield* disk.stop
    }))
    return `${path}.journal`
  })

  it.effect("with a damaged line loses what is older, which that line may have invalidated, and says so", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { fs, messages, path } = folder
      const journal = yield* left(folder)
      const lines = (yield* fs.readFileString(journal)).split("\n")
      assert.strictEqual(lines.length, 5)
      lines[2] = lines[2]!.replace("\"body\":\"2\"", "\"body\":\"7\"")
      yield* fs.writeFileString(journal, lines.join("\n"))
      assert.deepStrictEqual(yield* found(path), { [keyOf("f", 3)]: 3 })
      assert.include(messages.join("\n"), `${journal} has 1 damaged lines`)
    })))

  it.effect("that ends in the middle of a line loses that line, and goes on behind the one before", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { fs, messages, path } = folder
      const journal = yield* left(folder)
      const text = yield* fs.readFileString(journal)
      yield* fs.writeFileString(journal, text.slice(0, -10))
      const disk = yield* makeDisk
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* Effect.provideService(open({ path }), FileSystem.FileSystem, disk.fs)
        assert.deepStrictEqual(yield* bodies(file), { [keyOf("f", 1)]: 1, [keyOf("f", 2)]: 2 })
        yield* file.store.set(yield* entryOf(file, keyOf("f", 4), 4))
        yield* disk.stop
      }))
      assert.deepStrictEqual(yield* found(path), { [keyOf("f", 1)]: 1, [keyOf("f", 2)]: 2, [keyOf("f", 4)]: 4 })
      assert.deepStrictEqual(messages.filter((message) => message.includes("damaged")), [])
    })))

  it.effect("that is something else altogether does not stand in the way", () =>
    inFolder(Effect.fnUntraced(function*({ fs, names, path }) {
      yield* fs.writeFileString(`${path}.journal`, "hello\nworld\n")
      assert.deepStrictEqual((yield* write(path, [1])).executed, [1])
      assert.deepStrictEqual((yield* write(path, [1])).executed, [])
      assert.deepStrictEqual(yield* names, ["x.json"])
    })))

  it.effect("of a file that was changed since is added to it, except where an entry was edited, and the file is kept", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { aside, messages, path, save, text } = folder
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* open({ path })
        for (const n of [1, 2]) yield* file.store.set(yield* entryOf(file, keyOf("f", n), 0))
      }))
      yield* left(folder)
      const edited = (yield* text).replace("\"value\": 0", "\"value\": 77")
      yield* save(edited)
      const expected = { [keyOf("f", 1)]: 77, [keyOf("f", 2)]: 2, [keyOf("f", 3)]: 3 }
      assert.deepStrictEqual(yield* found(path), expected)
      assert.deepStrictEqual(yield* aside, [edited])
      assert.include(messages.join("\n"), "was changed after its writer was stopped in the middle of its work")
      assert.deepStrictEqual(yield* found(path), expected)
    })))
})
