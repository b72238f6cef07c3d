import { assert, describe, it } from "@effect/vitest"
import { isStep, type Level, makeKnownKeys, type Step } from "../../../src/internal/http/knownKeys.ts"

const find = (first: Level, steps: ReadonlyArray<Step>) =>
  steps.reduce<Level | string | undefined>((level, step) => (level as Level | undefined)?.get(step), first)

describe("makeKnownKeys", () => {
  it("finds a key by its steps, in their order, and by no others", () => {
    const keys = makeKnownKeys()
    keys.add(["a", "b"], "ab")
    keys.add(["a", undefined], "a")
    keys.add([undefined, "undefined"], "u")
    assert.strictEqual(find(keys.first(), ["a", "b"]), "ab")
    assert.strictEqual(find(keys.first(), ["a", undefined]), "a")
    assert.strictEqual(find(keys.first(), [undefined, "undefined"]), "u")
    for (const steps of [["b", "a"], ["a", "undefined"], ["undefined", "undefined"], [undefined, undefined]]) {
      assert.isUndefined(find(keys.first(), steps))
    }
  })

  it("finds texts that JSON escapes", () => {
    const keys = makeKnownKeys()
    for (const text of ["\"", "\\", "\n", "\ud800", "\u{1f600}", ""]) {
      keys.add([text], `of ${text}`)
      assert.strictEqual(find(keys.first(), [text]), `of ${text}`)
    }
  })

  it("does not keep what is long, and forgets all when there are too many", () => {
    const keys = makeKnownKeys()
    keys.add(["long"], "x".repeat(1000))
    keys.add(["x".repeat(1000)], "key of a long text")
    assert.isUndefined(find(keys.first(), ["long"]))
    assert.isUndefined(find(keys.first(), ["x".repeat(1000)]))
    for (let n = 0; n < 4096; n++) keys.add([String(n)], `key ${n}`)
    assert.strictEqual(find(keys.first(), ["0"]), "key 0")
    keys.add(["one more"], "key")
    assert.isUndefined(find(keys.first(), ["0"]))
    assert.strictEqual(find(keys.first(), ["one more"]), "key")
  })
})

describe("isStep", () => {
  it("tells texts and what is missing from lists and other values", () => {
    assert.deepStrictEqual(["", "a", undefined, ["a"], null, 1, {}].map(isStep), [
      true,
      true,
      true,
      false,
      false,
      false,
      false
    ])
  })
})
