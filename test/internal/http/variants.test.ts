import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { makeVariants, variantKey } from "../../../src/internal/http/variants.ts"
import { makeEntry } from "../../suites/entries.ts"

/** Variants over notes that a test sees and sets. */
const setUp = (options?: { readonly maxVariants?: number; readonly read?: Effect.Effect<string | undefined> }) => {
  const notes = new Map<string, string>()
  const log: Array<string> = []
  let time = 0
  const variants = makeVariants({
    cache: {
      notes: {
        read: (key) =>
          Effect.suspend(() => {
            log.push(`read ${key}`)
            return options?.read ?? Effect.sync(() => notes.get(key))
          }),
        write: (key, text, tags) =>
          Effect.sync(() => {
            log.push(`write ${key} ${text} ${tags.join()}`)
            notes.set(key, text)
          })
      },
      evict: (key) => Effect.sync(() => void log.push(`evict ${key}`)),
      now: () => time
    },
    maxVariants: options?.maxVariants ?? 2,
    maxNames: 3,
    isName: (name) => /^[a-z]+$/.test(name),
    tags: (base) => [`tag of ${base}`],
    derive: (names) => names.join("+")
  })
  return {
    variants,
    notes,
    log,
    at: (now: number) => {
      time = now
    }
  }
}

const load = (variants: ReturnType<typeof setUp>["variants"], base = "b") =>
  Effect.withFiber((fiber) => variants.load(base, fiber))

describe("variantKey", () => {
  it("is another text for other parts, and never that of a base", () => {
    const keys = [
      variantKey("b", []),
      variantKey("b", [["a", "1"]]),
      variantKey("b", [["a", "1"], ["b", "2"]]),
      variantKey("b", [["a", "1\",\"b\",\"2"]]),
      variantKey("b", [["a", undefined]]),
      variantKey("b", [["a", "undefined"]]),
      variantKey("b", [["a", ["1"]]]),
      variantKey("c", []),
      "b",
      "c"
    ]
    assert.strictEqual(new Set(keys).size, keys.length)
  })
})

describe("makeVariants", () => {
  it.effect("knows nothing before it has asked, asks once, and knows it then", () =>
    Effect.gen(function*() {
      const { log, notes, variants } = setUp()
      notes.set("b", "[\"y\",\"x\",\"x\"]")
      assert.isUndefined(variants.known("b"))
      for (const _ of [1, 2]) assert.deepStrictEqual(yield* load(variants), { names: ["x", "y"], of: "x+y" })
      assert.deepStrictEqual(variants.known("b"), { names: ["x", "y"], of: "x+y" })
      assert.deepStrictEqual(log, ["read b"])
    }))

  it.effect("makes what is made of the names once", () =>
    Effect.gen(function*() {
      const { variants } = setUp()
      const known = yield* variants.learn("b", ["x"])
      assert.strictEqual(variants.known("b"), known)
      assert.strictEqual(yield* variants.learn("b", ["x"]), known)
      assert.strictEqual(yield* load(variants), known)
    }))

  it.effect("notes names when there are more of them, all together, and only then", () =>
    Effect.gen(function*() {
      const { log, variants } = setUp()
      for (const names of [[], ["y"], ["y"], ["x"], []]) yield* variants.learn("b", names)
      assert.deepStrictEqual(log, ["write b [\"y\"] tag of b", "write b [\"x\",\"y\"] tag of b"])
    }))

  it.effect("forgets nothing that it has learned while the note was read", () =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<string | undefined>()
      const { variants } = setUp({ read: Deferred.await(answer) })
      const loading = yield* Effect.forkChild(load(variants), { startImmediately: true })
      yield* variants.learn("b", ["x"])
      yield* Deferred.succeed(answer, "[\"y\"]")
      assert.deepStrictEqual((yield* Fiber.join(loading)).names, ["x", "y"])
      assert.deepStrictEqual(variants.known("b")?.names, ["x", "y"])
    }))

  it.effect("reads once for all who ask, whoever leaves meanwhile", () =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<string | undefined>()
      const { log, variants } = setUp({ read: Deferred.await(answer) })
      const fibers = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.forkChild(load(variants), { startImmediately: true })
      )
      yield* Fiber.interrupt(fibers[0]!)
      yield* Deferred.succeed(answer, "[\"x\"]")
      for (const fiber of fibers.slice(1)) assert.deepStrictEqual((yield* Fiber.join(fiber)).names, ["x"])
      assert.deepStrictEqual(log, ["read b"])
    }))

  it.effect.each([
    "",
    "x",
    "{\"names\":[\"x\"]}",
    "[\"x\",\"Y\"]",
    "[\"x\",1]",
    "[\"a\",\"b\",\"c\",\"d\"]",
    `["${"x".repeat(16_384)}"]`
  ])("takes nothing from a note that it would not have written: %s", (note) =>
    Effect.gen(function*() {
      const { notes, variants } = setUp()
      notes.set("b", note)
      assert.deepStrictEqual((yield* load(variants)).names, [])
    }))

  it.effect("says where there are too many names, and keeps those that it knows", () =>
    Effect.gen(function*() {
      const { log, variants } = setUp()
      yield* variants.learn("b", ["x", "y"])
      assert.isUndefined(yield* variants.learn("b", ["z", "u"]))
      assert.deepStrictEqual(variants.known("b")?.names, ["x", "y"])
      assert.strictEqual(log.length, 1)
    }))

  it.effect("removes the least recently used variant past the bound", () =>
    Effect.gen(function*() {
      const { log, variants } = setUp()
      yield* variants.learn("b", ["x"])
      log.length = 0
      const [one, two, three] = [makeEntry("1"), makeEntry("2"), makeEntry("3")] as const
      yield* variants.stored("b", one)
      yield* variants.stored("b", two)
      yield* variants.stored("b", two)
      variants.used("b", one)
      yield* variants.stored("b", three)
      assert.deepStrictEqual(log, ["evict 2"])
      yield* variants.stored("b", two)
      assert.deepStrictEqual(log, ["evict 2", "evict 1"])
      yield* variants.stored("c", one)
      assert.strictEqual(log.length, 2)
    }))

  it.effect("removes all that are too many, where more were served than there should be", () =>
    Effect.gen(function*() {
      const { log, variants } = setUp({ maxVariants: 1 })
      yield* variants.learn("b", ["x"])
      log.length = 0
      for (const key of ["1", "2", "3"]) variants.used("b", makeEntry(key))
      yield* variants.stored("b", makeEntry("4"))
      assert.deepStrictEqual(log, ["evict 1", "evict 2", "evict 3"])
    }))

  it.effect("does not count what is over, nor what depends on nothing", () =>
    Effect.gen(function*() {
      const { at, log, variants } = setUp({ maxVariants: 1 })
      yield* variants.learn("b", ["x"])
      yield* variants.learn("c", [])
      log.length = 0
      yield* variants.stored("b", makeEntry("1", { expiresAt: 10 }))
      at(10)
      yield* variants.stored("b", makeEntry("2", { expiresAt: 20 }))
      for (const key of ["3", "4"]) yield* variants.stored("c", makeEntry(key))
      for (const key of ["5", "6"]) yield* variants.stored("unknown", makeEntry(key))
      assert.deepStrictEqual(log, [])
      yield* variants.stored("b", makeEntry("7"))
      assert.deepStrictEqual(log, ["evict 2"])
    }))

  it.effect("forgets the least recently used bases, where there are very many or their keys are very long", () =>
    Effect.gen(function*() {
      const { variants } = setUp()
      for (let n = 0; n <= 10_000; n++) yield* variants.learn(`b${n}`, ["x"])
      assert.isUndefined(variants.known("b0"))
      assert.isDefined(variants.known("b1"))
      const long = setUp()
      for (let n = 0; n < 20; n++) {
        yield* long.variants.learn(`b${n}`, ["x"])
        yield* long.variants.stored(`b${n}`, makeEntry(`${n}`.padEnd(2 ** 20, "k")))
      }
      const kept = Array.from({ length: 20 }, (_, n) => n).filter((n) => long.variants.known(`b${n}`) !== undefined)
      assert.deepStrictEqual(kept, Array.from({ length: 15 }, (_, n) => n + 5))
      // Their own keys count as well.
      const bases = Array.from({ length: 20 }, (_, n) => `b${n}`.padEnd(2 ** 20, "k"))
      for (const base of bases) yield* long.variants.learn(base, ["x"])
      assert.strictEqual(bases.filter((base) => long.variants.known(base) !== undefined).length, 16)
    }))

  it.effect("writes a note again before it ends, while there are computations", () =>
    Effect.gen(function*() {
      const { at, log, variants } = setUp()
      const hour = 3_600_000
      const writes = Effect.fnUntraced(function*(now: number) {
        at(now * hour)
        log.length = 0
        yield* variants.learn("b", ["x"])
        return log.length
      })
      assert.deepStrictEqual(yield* Effect.forEach([0, 1, 11, 12, 13, 24, 30], writes), [1, 0, 0, 1, 0, 1, 0])
    }))

  it.effect("writes no note of what depends on nothing", () =>
    Effect.gen(function*() {
      const { at, log, variants } = setUp()
      yield* variants.learn("b", [])
      at(1e9)
      yield* variants.learn("b", [])
      assert.deepStrictEqual(log, [])
    }))
})
