/**
 * Random lives of one file: results, invalidations, removals, writing the file anew, edits by people, a disk on which
 * things fail or stop halfway; killed or closed, and opened again. Whatever was acknowledged is there, whatever was
 * invalidated is not, and nothing appears that nobody has written.
 *
 * Each seed is one program. A failure says its seed: put that into `seeds` alone.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem } from "effect"
import type * as JsonFileStore from "effect-cached/JsonFileStore"
import { bodies, entryOf, type Folder, inFolder, keyOf, makeDisk, open, tagsOf } from "./jsonFile.ts"
import { makeRandom, type Random } from "./random.ts"

const seeds = Array.from({ length: 24 }, (_, n) => n + 1)
const lives = 3
const steps = 25
const numbers = [0, 1, 2, 3, 4]
const timeout = 60_000

type Value = number | undefined

// What each key may have. One value alone is what it must have.
const makeModel = () => {
  const allowed = new Map<number, ReadonlySet<Value>>()
  // What someone has edited, until the process takes it over: what else is done meanwhile may come before or after.
  const edited = new Set<number>()
  // What was done to a key since the file had all of it: the journal may have a word against an edit.
  const touched = new Set<number>()
  // What ended for this process alone, as it said; its line may be in the journal all the same until something follows it.
  const doubtful = new Set<number>()
  // What could not be written, and is to be written with the file.
  const waiting = new Map<number, number>()
  const of = (n: number) => allowed.get(n) ?? new Set<Value>([undefined])
  const may = (n: number, value: Value) => allowed.set(n, new Set([...of(n), value]))
  const must = (n: number, value: Value) => edited.has(n) ? may(n, value) : allowed.set(n, new Set([value]))
  return {
    /** Something that makes `value` of a key, and has succeeded or failed. */
    did: (n: number, value: Value, succeeded: boolean) => {
      touched.add(n)
      waiting.delete(n)
      if (succeeded) return void must(n, value)
      may(n, value)
      if (value === undefined) doubtful.add(n)
      else if (!edited.has(n)) waiting.set(n, value)
    },
    /** What is in the file as someone has written it may win over the journal when the file is edited again. */
    old: (n: number, value: number) => {
      if (touched.has(n)) may(n, value)
    },
    edited: (n: number, value: Value) => {
      waiting.delete(n)
      if (touched.has(n)) may(n, value)
      else allowed.set(n, new Set([value]))
      edited.add(n)
      touched.add(n)
    },
    /** Everything is in the file. */
    folded: () => {
      for (const [n, value] of waiting) allowed.set(n, new Set([value]))
      waiting.clear()
      edited.clear()
      touched.clear()
      for (const n of doubtful) touched.add(n)
    },
    pulled: () => edited.clear(),
    check: (found: Readonly<Record<string, unknown>>, what: string) => {
      for (const n of numbers) {
        const value = found[keyOf("square", n)]
        assert.isTrue(
          of(n).has(value as Value),
          `${what}: ${n} is ${String(value)}, and not ${Array.from(of(n), String).join(" or ")}`
        )
        allowed.set(n, new Set([value as Value]))
      }
      assert.isAtMost(Object.keys(found).length, numbers.length, what)
      waiting.clear()
      doubtful.clear()
    }
  }
}

type Model = ReturnType<typeof makeModel>

interface Life {
  readonly folder: Folder
  readonly random: Random
  readonly model: Model
  /** What was done, for the message of a failure. */
  readonly history: Array<string>
  /** Grows, so that no two results are the same. */
  readonly next: () => number
}

const set = ({ history, model, next }: Life, file: JsonFileStore.JsonFile, n: number) =>
  Effect.gen(function*() {
    const value = next()
    const key = keyOf("square", n)
    const entry = yield* entryOf(file, key, value, { tags: tagsOf(key, [`n:${n}`]), createdAt: value })
    const exit = yield* Effect.exit(file.store.set(entry))
    history.push(`set ${n}=${value} ${Exit.isSuccess(exit) ? exit.value : "failed"}`)
    if (Exit.isFailure(exit)) model.did(n, value, false)
    else if (exit.value === "stored") model.did(n, value, true)
  })

const end = ({ history, model }: Life, what: string, n: number, effect: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.exit(effect), (exit) => {
    history.push(`${what} ${n} ${exit._tag}`)
    model.did(n, undefined, Exit.isSuccess(exit))
  })

// Someone with an editor, whose disk works.
const edit = ({ folder: { fs, path, save }, history, model, next, random }: Life, n: number) =>
  Effect.gen(function*() {
    if (!(yield* fs.exists(path))) return
    const json = JSON.parse(yield* fs.readFileString(path))
    const entries = json.functions.square
    const entry = entries?.[`n=${n}`]
    if (entry === undefined) return
    for (const other of numbers) {
      const value = entries[`n=${other}`]?.value
      if (value !== undefined) model.old(other, value)
    }
    const value = random.below(4) === 0 ? undefined : next()
    if (value === undefined) delete entries[`n=${n}`]
    else entry.value = value
    yield* save(JSON.stringify(json))
    history.push(`edit ${n}=${value}`)
    model.edited(n, value)
  })

const step = (life: Life, file: JsonFileStore.JsonFile) =>
  Effect.gen(function*() {
    const { history, model, random } = life
    const n = random.pick(numbers)
    const choice = random.below(100)
    if (choice < 45) return yield* set(life, file, n)
    if (choice < 60) return yield* end(life, "invalidate", n, file.log.append([`n:${n}`]))
    if (choice < 68) return yield* end(life, "remove", n, file.store.remove(keyOf("square", n)))
    if (choice < 78) {
      const exit = yield* Effect.exit(file.fold)
      history.push(`fold ${exit._tag}`)
      if (Exit.isSuccess(exit)) model.folded()
      return
    }
    if (choice < 82) {
      const exit = yield* Effect.exit(file.pull)
      history.push(`pull ${exit._tag}`)
      if (Exit.isSuccess(exit)) model.pulled()
      return
    }
    if (choice < 90) return yield* edit(life, n)
    history.push("at once:")
    const others = random.pick([[0, 1], [2, 3, 4], [0, 1, 2, 3, 4]])
    yield* Effect.all([
      Effect.exit(file.fold),
      ...others.map((n) => Effect.andThen(random.pause, set(life, file, n))),
      Effect.andThen(random.pause, Effect.exit(file.fold))
    ], { concurrency: "unbounded" })
    history.push("done.")
  })

const run = (seed: number) =>
  inFolder(Effect.fnUntraced(function*(folder) {
    const random = makeRandom(seed)
    const model = makeModel()
    const history: Array<string> = []
    let last = 0
    const life: Life = { folder, random, model, history, next: () => ++last }
    const what = () => `seed ${seed}, after ${history.join(", ")}`
    for (let number = 1; number <= lives; number++) {
      const disk = yield* makeDisk
      const failing = random.pick([0, 0, 5, 15])
      const killed = random.below(10) < 7
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* Effect.provideService(open({ path: folder.path }), FileSystem.FileSystem, disk.fs)
        model.check(yield* bodies(file), what())
        model.pulled()
        disk.decide(({ name }) =>
          Effect.sync(() =>
            ["stat", "readFile"].includes(name) || random.below(100) >= failing
              ? "do"
              : random.pick(["fail", "tear"])
          )
        )
        for (let n = 0; n < steps; n++) yield* step(life, file)
        disk.decide(() => Effect.succeed("do"))
        history.push(killed ? "killed" : "closed")
        if (killed) yield* disk.stop
      }))
      if (!killed) model.folded()
      if (random.below(3) === 0) yield* edit(life, random.pick(numbers))
    }
    model.check(yield* Effect.scoped(Effect.flatMap(open({ path: folder.path }), bodies)), what())
  }))

describe("JsonFileStore", () => {
  it.effect(
    "has what was acknowledged and nothing that was invalidated, whatever happens (scenarios 47, 68 and 69)",
    () => Effect.forEach(seeds, run, { discard: true }),
    timeout
  )
})
