import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { freezeDeep, frozenJson } from "../../src/internal/freeze.ts"

class Point extends Schema.Class<Point>("Point")({ x: Schema.Number, tags: Schema.Array(Schema.String) }) {}

class Plain {
  x = 1
}

describe("freezeDeep", () => {
  it.each([
    ["a text", "a"],
    ["null", null],
    ["undefined", undefined],
    ["a bigint", 1n],
    ["an empty object", {}],
    ["a record", { a: { b: [{ c: 1 }] } }],
    ["a list", [[1], { a: [2] }]],
    ["an Option", Option.some({ a: [1] })],
    ["no Option", Option.none()],
    ["an instance of a schema's class", new Point({ x: 1, tags: ["a"] })],
    ["what is frozen already", Object.freeze({ a: 1 })]
  ])("makes %s safe to share", (_, value) => {
    assert.isTrue(freezeDeep(value))
  })

  it("sees what a list with holes has besides its items", () => {
    // oxlint-disable-next-line no-sparse-arrays -- that is what it is about
    const list = Object.assign([, 1], { more: { a: 1 } })
    assert.isTrue(freezeDeep(list))
    assert.isTrue(Object.isFrozen(list.more))
  })

  it("freezes what it holds, at any depth", () => {
    const point = new Point({ x: 1, tags: ["a"] })
    const value = { list: [{ point }], option: Option.some({ a: 1 }) as Option.Some<{ readonly a: number }> }
    assert.isTrue(freezeDeep(value))
    for (const part of [value, value.list, value.list[0]!, point, point.tags, value.option, value.option.value]) {
      assert.isTrue(Object.isFrozen(part))
    }
  })

  it.each([
    ["a Date", new Date(0)],
    ["a Map", new Map([["a", 1]])],
    ["a Set", new Set([1])],
    ["bytes", new Uint8Array([1])],
    ["no bytes", new Uint8Array()],
    ["an instance of an unknown class", new Plain()],
    ["a function", () => 1],
    ["a Date in a record", { a: 1, b: [{ c: new Date(0) }] }],
    ["bytes in an Option", Option.some(new Uint8Array([1]))],
    ["a Date behind a symbol", { [Symbol("hidden")]: new Date(0) }],
    ["a Date behind a name that is not enumerable", Object.defineProperty({}, "hidden", { value: new Date(0) })],
    ["a Date in what is frozen already", Object.freeze({ a: new Date(0) })],
    ["a record that is not frozen, with a Date, in what is", Object.freeze([{ a: new Date(0) }])]
  ])("says that %s has to be made anew for each reader (scenario 9)", (_, value) => {
    assert.isFalse(freezeDeep(value))
  })

  it("freezes what a frozen value holds", () => {
    const inner = { a: 1 }
    assert.isTrue(freezeDeep(Object.freeze([inner])))
    assert.isTrue(Object.isFrozen(inner))
  })
})

describe("frozenJson", () => {
  it("freezes what was parsed, at any depth, and changes nothing of it", () => {
    const text = "{\"a\":[1,{\"b\":null,\"c\":[]},\"x\"],\"d\":{\"e\":true}}"
    const value = frozenJson(JSON.parse(text))
    assert.deepStrictEqual(value, JSON.parse(text))
    const frozen = (part: unknown): boolean =>
      typeof part !== "object" || part === null || (Object.isFrozen(part) && Object.values(part).every(frozen))
    assert.isTrue(frozen(value))
    assert.strictEqual(frozenJson(7), 7)
  })

  it("leaves alone what somebody has put on the prototype of all objects", () => {
    const shared = { changes: true }
    // oxlint-disable-next-line no-extend-native -- somebody does
    Object.defineProperty(Object.prototype, "shared", { value: shared, enumerable: true, configurable: true })
    try {
      frozenJson(JSON.parse("{\"a\":{\"b\":1}}"))
    } finally {
      Reflect.deleteProperty(Object.prototype, "shared")
    }
    assert.isFalse(Object.isFrozen(shared))
  })
})
