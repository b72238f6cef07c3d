/**
 * One run of a process that does everything a file can go through, stopped at each of its steps on the disk, or with one of
 * them failing. Whatever happens, the file opens and has what was acknowledged, and nothing that was invalidated.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, FileSystem, Scope } from "effect"
import { type CacheEntry, type CacheError } from "effect-cached"
import type * as JsonFileStore from "effect-cached/JsonFileStore"
import {
  bodies,
  type Disk,
  entryOf,
  type Folder,
  inFolder,
  keyOf,
  makeDisk,
  open,
  type Operation,
  tagsOf,
  type Verdict
} from "./jsonFile.ts"

const a = keyOf("f", "\"a\"")
const b = keyOf("f", "\"b\"")
const ofA = keyOf("g", "\"a\"")
const many = Array.from({ length: 6 }, (_, n) => keyOf("many", n))

// What every key may have: what it had before, and what becomes of it while something goes on that was not acknowledged.
const makeModel = (before?: ReadonlyMap<string, ReadonlyArray<unknown>>, edited = false): Model => {
  const allowed = new Map(before)
  const of = (key: string) => allowed.get(key) ?? [undefined]
  const must = (changes: Changes) => {
    for (const [key, value] of changes) allowed.set(key, [value])
  }
  return {
    must,
    doing: (changes, effect) =>
      Effect.suspend(() => {
        for (const [key, value] of changes) allowed.set(key, [...of(key), value])
        return Effect.tap(effect, () => Effect.sync(() => must(changes)))
      }),
    edited,
    copy() {
      return makeModel(allowed, this.edited)
    },
    keys: () => Array.from(allowed.keys()),
    check: (found: Readonly<Record<string, unknown>>, what: string) => {
      for (const key of new Set([...allowed.keys(), ...Object.keys(found)])) {
        assert.include(of(key), found[key], `${what}: ${key}`)
      }
    }
  }
}

interface Model {
  readonly must: (changes: Changes) => void
  /** Whatever becomes of it, and only that once it is acknowledged. */
  readonly doing: <A, E, R>(changes: Changes, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly keys: () => ReadonlyArray<string>
  readonly copy: () => Model
  /** Whether someone has changed the file, and it was not taken over yet. */
  edited: boolean
  readonly check: (found: Readonly<Record<string, unknown>>, what: string) => void
}

type Changes = ReadonlyArray<readonly [key: string, value: unknown]>
type Functions = Record<string, Record<string, { value?: unknown }>>

// Whoever edits the file has a disk that works.
const person = ({ fs, path, save }: Folder, model: Model, change: (functions: Functions) => boolean) =>
  Effect.gen(function*() {
    if (!(yield* fs.exists(path))) return false
    const json = JSON.parse(yield* fs.readFileString(path)) as { functions: Functions }
    if (!change(json.functions)) return false
    yield* save(JSON.stringify(json, undefined, 2))
    model.edited = true
    return true
  })

const stepsOf = (folder: Folder, { log, store, ...file }: JsonFileStore.JsonFile, model: Model) => {
  const set = (key: string, value: unknown, options?: Partial<CacheEntry.Stored>) =>
    model.doing([[key, value]], Effect.flatMap(entryOf({ log }, key, value, options), store.set))
  const invalidate = (tags: ReadonlyArray<string>, keys: ReadonlyArray<string>) =>
    model.doing(keys.map((key) => [key, undefined] as const), Effect.retry(log.append(tags), { times: 1 }))
  const takenOver = Effect.sync(() => {
    model.edited = false
  })
  const steps: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
    set(a, 1),
    set(b, 1, { tags: tagsOf(b, ["b"]) }),
    set(ofA, 2, { tags: [...tagsOf(ofA), ...tagsOf(a)].toSorted() }),
    Effect.forEach(many, (key) => set(key, "first"), { concurrency: "unbounded" }),
    file.fold,
    invalidate(["b"], [b]),
    set(a, 2),
    model.doing([[many[0]!, undefined]], store.remove(many[0]!)),
    Effect.all([
      file.fold,
      set(many[0]!, "second"),
      invalidate([tagsOf(many[1]!)[1]!], [many[1]!]),
      Effect.andThen(Effect.yieldNow, set(many[2]!, "second")),
      Effect.andThen(Effect.yieldNow, model.doing([[many[3]!, undefined]], store.remove(many[3]!)))
    ], { concurrency: "unbounded", mode: "result" }),
    Effect.tap(
      person(folder, model, ({ f }) => {
        const entry = f?.["n=a"]
        if (entry === undefined) return false
        entry.value = 77
        return true
      }),
      (edited) => Effect.sync(() => edited && model.must([[a, 77], [ofA, undefined]]))
    ),
    set(b, 3),
    Effect.tap(file.pull, takenOver),
    set(many[5]!, "third"),
    file.fold,
    Effect.flatMap(
      person(folder, model, ({ many: functions }) => {
        if (functions?.["n=4"] === undefined) return false
        delete functions["n=4"]
        return true
      }),
      (gone) => gone ? model.doing([[many[4]!, undefined]], Effect.tap(file.pull, takenOver)) : Effect.void
    ),
    set(ofA, 154),
    file.fold,
    Effect.suspend(() => invalidate([], model.keys())),
    store.clear,
    set(a, 4),
    set(b, 4)
  ]
  return steps
}

type Decide = (operation: Operation, model: Model) => Effect.Effect<Verdict>

// A process on a disk on which things go wrong. `killed` tells whether it is gone after a step.
const run = Effect.fnUntraced(function*(folder: Folder, decide: Decide, killed: () => boolean = () => false) {
  const model = makeModel()
  const disk: Disk = yield* makeDisk
  disk.decide((operation) => decide(operation, model))
  const life = Effect.gen(function*() {
    const file = yield* Effect.provideService(open({ path: folder.path }), FileSystem.FileSystem, disk.fs)
    for (const step of stepsOf(folder, file, model)) {
      yield* Effect.ignore(step)
      if (killed()) return yield* disk.stop
    }
  })
  const error = yield* Effect.scoped(life).pipe(
    Effect.as(undefined),
    Effect.catch(Effect.succeed<CacheError.CacheError>)
  )
  return { model, error, operations: disk.operations }
})

// A file that is there is whole.
const checkWhole = Effect.fnUntraced(function*({ fs, path }: Folder, what: string) {
  if (!(yield* fs.exists(path))) return
  const text = yield* fs.readFileString(path)
  const json = Effect.try({ try: () => JSON.parse(text) as { functions: Functions }, catch: () => text })
  const { functions } = yield* Effect.catch(json, (text) => Effect.sync(() => assert.fail(`${what}: ${text}`)))
  for (const entries of Object.values(functions)) {
    for (const key of Object.keys(entries)) {
      const name = `${JSON.stringify(key)}: {`
      const inFunction = Object.values(functions).filter((other) => other[key] !== undefined).length
      assert.strictEqual(text.split(name).length - 1, inFunction, `${what}: ${key} is there twice`)
    }
  }
})

const checkOnce = Effect.fnUntraced(function*(folder: Folder, model: Model, what: string) {
  yield* checkWhole(folder, what)
  model.check(yield* Effect.scoped(Effect.flatMap(open({ path: folder.path }), bodies)), what)
  yield* checkWhole(folder, what)
})

// Also that it stays so, whether the next process is killed, too, or writes.
const check = Effect.fnUntraced(function*(folder: Folder, model: Model, what: string) {
  yield* checkWhole(folder, what)
  const before = folder.messages.length
  const first = yield* Effect.scoped(Effect.gen(function*() {
    const disk = yield* makeDisk
    const file = yield* Effect.provideService(open({ path: folder.path }), FileSystem.FileSystem, disk.fs)
    const found = yield* bodies(file)
    model.check(found, what)
    // Killed before it has done anything.
    yield* disk.stop
    return found
  }))
  yield* Effect.scoped(Effect.gen(function*() {
    const disk = yield* makeDisk
    const file = yield* Effect.provideService(open({ path: folder.path }), FileSystem.FileSystem, disk.fs)
    assert.deepStrictEqual(yield* bodies(file), first, `${what}, opened again`)
    yield* file.store.set(yield* entryOf(file, keyOf("new", 1), "new"))
    yield* disk.stop
  }))
  yield* checkWhole(folder, what)
  const kept = yield* Effect.scoped(Effect.flatMap(open({ path: folder.path }), bodies))
  assert.deepStrictEqual(kept, { ...first, [keyOf("new", 1)]: "new" }, `${what}, written again`)
  for (const message of folder.messages.slice(before)) {
    assert.notInclude(message, "damaged", what)
    if (!model.edited) assert.notInclude(message, "aside", what)
  }
})

const working = () => Effect.succeed<Verdict>("do")

// One process for each step on the disk, with something that goes wrong there.
const each = Effect.fnUntraced(function*(
  what: string,
  applies: (operation: Operation) => boolean,
  process: (folder: Folder, at: Operation) => Effect.Effect<Model, unknown, FileSystem.FileSystem>,
  thorough = false
) {
  const { operations } = yield* inFolder((folder) => run(folder, working))
  assert.isAbove(operations.length, 50)
  const failures: Array<string> = []
  for (const operation of operations.filter(applies)) {
    const where = `${what} ${named(operation)}`
    yield* inFolder(Effect.fnUntraced(function*(folder) {
      const model = yield* process(folder, operation)
      yield* thorough ? check(folder, model, where) : checkOnce(folder, model, where)
    })).pipe(Effect.catchCause((cause) => Effect.sync(() => failures.push(`${where}: ${Cause.pretty(cause)}`))))
  }
  assert.deepStrictEqual(failures, [])
})

const named = ({ name, number, path }: Operation) => `${number} ${name} ${path.replace(/.*\//, "")}`
const isWrite = ({ bytes }: Operation) => bytes > 0
const timeout = 120_000

describe("whatever happens", () => {
  it.effect("has at the end what was acknowledged when nothing goes wrong", () =>
    inFolder(Effect.fnUntraced(function*(folder) {
      const { error, model } = yield* run(folder, working)
      assert.isUndefined(error)
      assert.deepStrictEqual(folder.messages.filter((message) => message.includes("journal")), [])
      yield* check(folder, model, "nothing")
      assert.deepStrictEqual(yield* folder.names, ["x.json"])
    })))

  // What a killed process leaves is what is on the disk at that moment.
  it.effect(
    "opens with every acknowledged result, and none that was invalidated, whenever it was killed (scenarios 47 and 68)",
    () =>
      inFolder(Effect.fnUntraced(function*(folder) {
        const { fs } = folder
        const scope = yield* Effect.scope
        const left: Array<readonly [what: string, model: Model, copy: string]> = []
        const { operations } = yield* run(folder, (operation, model) =>
          Effect.gen(function*() {
            const copy = `${folder.folder}.${operation.number}`
            yield* Effect.acquireRelease(
              fs.copy(folder.folder, copy),
              () => Effect.orDie(fs.remove(copy, { recursive: true }))
            )
            left.push([`killed before ${named(operation)}`, model.copy(), copy])
            return "do" as const
          }).pipe(Effect.orDie, Effect.provideService(Scope.Scope, scope)))
        assert.strictEqual(left.length, operations.length)
        for (const [what, model, copy] of left) {
          yield* check({ ...folder, path: `${copy}/x.json` }, model, what)
        }
      })),
    timeout
  )

  it.effect(
    "cuts off what was half written when it was killed (scenario 47)",
    () =>
      each("killed within", isWrite, (folder, at) => {
        let alive = true
        const decide: Decide = ({ number }) =>
          Effect.sync(() => {
            if (number >= at.number) alive = false
            return number < at.number ? "do" : number === at.number ? "tear" : "fail"
          })
        return Effect.map(run(folder, decide, () => !alive), ({ model }) => model)
      }, true),
    timeout
  )

  it.effect(
    "goes on after a disk that failed once",
    () =>
      each("failed once at", () => true, (folder, at) =>
        Effect.map(
          run(folder, ({ number }) => Effect.succeed(number === at.number ? "fail" : "do")),
          ({ model }) => model
        )),
    timeout
  )

  it.effect(
    "goes on after a disk that was full in the middle of a write once, also when it is killed soon",
    () =>
      each("full within", isWrite, (folder, at) => {
        let steps = -Infinity
        const decide: Decide = ({ number }) =>
          Effect.sync(() => {
            if (number !== at.number) return "do"
            steps = 0
            return "tear"
          })
        return Effect.map(run(folder, decide, () => ++steps > 2), ({ model }) => model)
      }),
    timeout
  )

  it.effect("never loses what a person saves, whenever that is (scenario 69)", () =>
    Effect.gen(function*() {
      const failures: Array<string> = []
      let total = 1
      for (let number = 1; number <= total; number++) {
        yield* inFolder(Effect.fnUntraced(function*(folder) {
          yield* Effect.scoped(Effect.flatMap(open({ path: folder.path }), (file) =>
            Effect.forEach([a, b], (key) =>
              Effect.flatMap(entryOf(file, key, 1), file.store.set))))
          const edit = person(folder, makeModel(), ({ f }) => {
            f!["n=a"]!.value = 77
            return true
          })
          const disk = yield* makeDisk
          let where = ""
          disk.decide((operation) => {
            // No file system compares and replaces in one step: who saves between the two is too late.
            const tooLate = operation.name === "rename" && operation.path === folder.path
            if (operation.number !== number || tooLate) {
              return Effect.succeed("do")
            }
            where = `saved before ${named(operation)}`
            return Effect.as(Effect.orDie(edit), "do")
          })
          yield* Effect.scoped(Effect.gen(function*() {
            const file = yield* Effect.provideService(open({ path: folder.path }), FileSystem.FileSystem, disk.fs)
            yield* file.store.set(yield* entryOf(file, b, 2))
            yield* file.fold
            yield* file.log.append([tagsOf(b)[1]!])
            yield* file.fold
            yield* file.store.set(yield* entryOf(file, b, 3))
          }))
          total = disk.operations.length
          if (where === "") {
            return
          }
          const found = yield* Effect.scoped(Effect.flatMap(open({ path: folder.path }), bodies))
          assert.deepStrictEqual(found, { [a]: 77, [b]: 3 }, where)
        })).pipe(Effect.catchCause((cause) =>
          Effect.sync(() => failures.push(Cause.pretty(cause).split("\n")[0]!))
        ))
      }
      assert.isAbove(total, 40)
      assert.deepStrictEqual(failures, [])
    }), timeout)
})
