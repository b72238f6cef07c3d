import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { isDeepStrictEqual } from "node:util"
import { canonicalUnsafe, quote, UnstableValue } from "../../src/internal/canonical.ts"

type Plain =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | ReadonlyArray<Plain>
  | { readonly [key: string]: Plain }

// Small and full of separators, so that texts that could be mistaken for one another come up.
const Text = Schema.String.check(Schema.isPattern(/^["\\,:{}[\]\tan10]{0,4}$/))
const edges = [0, -0, 1, NaN, Infinity, "1", "true", "null", "undefined", "1n", "-0", "NaN", true, null, undefined, 1n]

type Tree =
  | { readonly edge: number }
  | { readonly scalar: string | number | bigint }
  | { readonly list: ReadonlyArray<Tree> }
  | { readonly record: { readonly [key: string]: Tree } }

const Subtree = Schema.suspend((): Schema.Codec<Tree> => Tree)
const Tree: Schema.Codec<Tree> = Schema.Union([
  Schema.Struct({ edge: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: edges.length - 1 })) }),
  Schema.Struct({ scalar: Schema.Union([Text, Schema.Number, Schema.BigInt, Schema.String]) }),
  Schema.Struct({ list: Schema.Array(Subtree) }),
  Schema.Struct({ record: Schema.Record(Text, Subtree) })
])

const plainOf = (tree: Tree): Plain => {
  if ("edge" in tree) return edges[tree.edge]
  if ("scalar" in tree) return tree.scalar
  if ("list" in tree) return tree.list.map(plainOf)
  return Object.fromEntries(Object.entries(tree.record).map(([key, item]) => [key, plainOf(item)]))
}

const Plain = Arbitrary.map(Arbitrary.schema(Tree), plainOf)

const reversed = (value: Plain): Plain => {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).toReversed().map(([key, item]) => [key, reversed(item)]))
}

describe("canonicalUnsafe", () => {
  it.prop("gives two plain values the same text iff they are equal", [Plain, Plain], ([a, b]) => {
    assert.strictEqual(canonicalUnsafe(a) === canonicalUnsafe(b), isDeepStrictEqual(a, b))
  }, { arbitrary: { runs: 2000 } })

  it.prop("gives two small lists of texts the same text iff they are equal", [
    Schema.Array(Text),
    Schema.Array(Text)
  ], ([a, b]) => {
    assert.strictEqual(canonicalUnsafe(a) === canonicalUnsafe(b), isDeepStrictEqual(a, b))
  }, { arbitrary: { runs: 2000, size: 3 } })

  it.prop("does not depend on the order of fields, at any depth", [Plain], ([value]) => {
    assert.strictEqual(canonicalUnsafe(reversed(value)), canonicalUnsafe(value))
  }, { arbitrary: { runs: 500 } })

  it.prop("has no control characters, so that a tab can stand between texts", [Plain], ([value]) => {
    assert.isTrue(Array.from(canonicalUnsafe(value)).every((character) => character >= " "))
  }, { arbitrary: { runs: 500 } })

  it("tells all values apart that JSON or String() would mix up (scenario 6)", () => {
    const values = [
      1,
      "1",
      true,
      "true",
      1n,
      "1n",
      [1],
      ["1"],
      [[1]],
      { 1: 1 },
      0,
      -0,
      NaN,
      "NaN",
      Infinity,
      -Infinity,
      null,
      "null",
      undefined,
      "undefined",
      [],
      [null],
      [undefined],
      {},
      { a: null },
      { a: undefined },
      { a: {} },
      { a: [] },
      ["a", "b"],
      ["a,b"],
      ["a\",\"b"],
      [["a"], "b"],
      ["a", ["b"]],
      { a: "b" },
      "{\"a\":\"b\"}",
      "",
      " ",
      "\"",
      "\\",
      "\\\"",
      "\n",
      "\\n",
      "	",
      "\0",
      "\ud800",
      "\\ud800",
      "\udfff",
      "😀",
      new Date(0),
      new Date(NaN),
      "Date(0)",
      new URL("http://a/"),
      "http://a/",
      /a/,
      /a/g,
      "/a/",
      new Uint8Array(),
      new Uint8Array([1]),
      new Uint8Array([0, 1]),
      new Uint8Array([1, 0]),
      "Bytes(01)",
      new Map(),
      new Map([["a", 1]]),
      new Map([["a", "1"]]),
      new Map([[1, "a"]]),
      new Map([["a", new Map()]]),
      new Set(),
      new Set([1]),
      new Set(["1"]),
      new Set([[1, 2]]),
      new Set([1, 2])
    ]
    const texts = values.map((value) => canonicalUnsafe(value))
    texts.forEach((text, index) =>
      assert.strictEqual(texts.indexOf(text), index, `${text} at ${texts.indexOf(text)} and ${index}`)
    )
  })

  it("does not depend on the order in which a Map or a Set was filled", () => {
    assert.strictEqual(canonicalUnsafe(new Map([["a", 1], ["b", 2]])), canonicalUnsafe(new Map([["b", 2], ["a", 1]])))
    assert.strictEqual(canonicalUnsafe(new Set(["a", "b"])), canonicalUnsafe(new Set(["b", "a"])))
  })

  it("treats an object without a prototype as any other record", () => {
    const bare: Record<string, unknown> = Object.create(null)
    bare["a"] = 1
    assert.strictEqual(canonicalUnsafe(bare), canonicalUnsafe({ a: 1 }))
  })

  it("keeps a field that is called __proto__", () => {
    const value: unknown = JSON.parse(`{"__proto__":{"a":1}}`)
    assert.notStrictEqual(canonicalUnsafe(value), canonicalUnsafe({}))
  })

  class Point {
    readonly x = 1
  }
  it.each([
    ["a function", () => 1, "function"],
    ["a symbol", Symbol("s"), "symbol"],
    ["an instance of an unknown class", new Point(), "Point"],
    [
      "an instance of an anonymous class",
      new (class {
        x = 1
      })(),
      "anonymous"
    ],
    ["a field that is a function", { a: [{ b: () => 1 }] }, "function"],
    ["a symbol as a field name", { [Symbol("s")]: 1 }, "symbol"],
    ["a promise", Promise.resolve(1), "Promise"],
    ["a weak map", new WeakMap(), "WeakMap"]
  ])("throws UnstableValue for %s (scenario 3)", (_, value, word) => {
    assert.throws(() => canonicalUnsafe(value), UnstableValue, word)
  })

  it("throws UnstableValue for a value that contains itself, and for one that is nested too deep", () => {
    const cyclic: Record<string, unknown> = {}
    cyclic["self"] = [cyclic]
    assert.throws(() => canonicalUnsafe(cyclic), UnstableValue)
    let deep: unknown = 1
    for (let i = 0; i < 1000; i++) deep = [deep]
    assert.throws(() => canonicalUnsafe(deep), UnstableValue)
  })
})

describe("quote", () => {
  it.prop("writes a text as JSON does", [Schema.String], ([text]) => {
    assert.strictEqual(quote(text), JSON.stringify(text))
  }, { arbitrary: { runs: 500 } })

  it.prop(
    "writes lone surrogates as JSON does",
    [Arbitrary.map(
      Arbitrary.array(Arbitrary.schema(Schema.Literals([0xd800, 0xdbff, 0xdc00, 0xdfff, 0x41]))),
      (units) => String.fromCharCode(...units)
    )],
    ([text]) => {
      assert.strictEqual(quote(text), JSON.stringify(text))
    }
  )
})
