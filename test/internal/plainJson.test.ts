import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { makeJsonForm } from "../../src/internal/jsonForm.ts"
import { isPlainJson, isPlainText } from "../../src/internal/plainJson.ts"

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

class Account extends Schema.Class<Account>("Account")({ id: Schema.Number }) {}

describe("isPlainJson", () => {
  it.each<[string, Schema.Codec<any>, ReadonlyArray<unknown>]>([
    ["texts", Schema.String, ["", "a\"b\u2028", "NaN"]],
    ["numbers", Schema.Number, [0, -1.5, 1e300, NaN, Infinity, -Infinity]],
    ["integers", Schema.Int, [1, -2]],
    ["texts with a check of effect's", Schema.String.check(Schema.isMinLength(2)), ["ab"]],
    ["booleans and null", Schema.NullOr(Schema.Boolean), [true, false, null]],
    ["literals", Schema.Literals(["a", 1, true]), ["a", 1, true]],
    ["templates", Schema.TemplateLiteral(["user:", Schema.Number]), ["user:7"]],
    [
      "structs, with keys that may be missing",
      Schema.Struct({ b: Schema.optionalKey(Schema.Number), a: Schema.String }),
      [
        { b: 1, a: "x" },
        { a: "x" },
        { b: NaN, a: "Infinity" },
        { b: 2, a: "__proto__" }
      ]
    ],
    ["tuples and lists", Schema.Tuple([Schema.Number, Schema.Array(Schema.String)]), [[1, []], [Infinity, [
      "NaN",
      "b"
    ]]]],
    ["nulls beside numbers", Schema.Array(Schema.NullOr(Schema.Number)), [[null, 1], [null, NaN], [1, -0]]],
    ["structs that say nothing", Schema.Struct({}), [{}, { a: 1, b: NaN, c: [null] }]],
    ["records by number", Schema.Record(Schema.Number, Schema.NullOr(Schema.Number)), [{ 1: 2, 7: null }, {
      1: Infinity
    }]],
    ["records", Schema.Record(Schema.String, Schema.Number), [
      {},
      { a: 1, toString: 2 },
      JSON.parse("{\"__proto__\":1}")
    ]],
    [
      "unions of structs",
      Schema.Union([
        Schema.TaggedStruct("A", { a: Schema.Number }),
        Schema.TaggedStruct("B", { a: Schema.String })
      ]),
      [{ _tag: "A", a: NaN }, { _tag: "B", a: "NaN" }]
    ],
    ["a recursive schema", Tree, [{ name: "root", children: [{ name: "leaf", children: [] }] }]]
  ])("holds for %s: what is parsed is what would be decoded", (_, schema, values) => {
    assert.isTrue(isPlainJson(schema.ast))
    const codec = Schema.toCodecJson(schema)
    const form = makeJsonForm(schema)
    for (const value of values) {
      const text = JSON.stringify(Schema.encodeUnknownSync(codec)(value))
      assert.strictEqual(Effect.runSync(form.write(value) as Effect.Effect<string>), text)
      const decoded = Schema.decodeUnknownSync(codec)(JSON.parse(text))
      if (isPlainText(text)) assert.deepStrictEqual(JSON.parse(text), decoded)
      // What is left to the schema are a number without a JSON form, and texts that look as if they held one.
      else assert.match(text, /Infinity"|NaN"|__proto__/)
    }
  })

  it("refuses what its codec refuses, and says so in the same words", () => {
    const fields = { id: Schema.Int, name: Schema.NonEmptyString, kind: Schema.Literals(["a", 1]) }
    for (
      const schema of [Schema.Struct(fields), Schema.Array(Schema.Struct(fields)), Schema.NullOr(Schema.Struct(fields))]
    ) {
      const { write } = makeJsonForm(schema)
      const encode = Schema.encodeUnknownEffect(Schema.toCodecJson(schema))
      const good = { id: 1, name: "x", kind: "a" }
      for (
        const bad of [{ ...good, id: 1.5 }, { ...good, id: NaN }, { ...good, name: "" }, { ...good, kind: 2 }, {
          id: 1
        }, 7]
      ) {
        for (const value of [bad, [good, bad]]) {
          const refusal = Effect.runSync(Effect.flip(write(value) as Effect.Effect<string, Schema.SchemaError>))
          assert.strictEqual(refusal.message, Effect.runSync(Effect.flip(encode(value))).message)
        }
      }
    }
  })

  it.each<[string, Schema.Top]>([
    ["dates", Schema.Date],
    ["bigints", Schema.BigInt],
    ["undefined", Schema.Struct({ a: Schema.optional(Schema.String) })],
    ["instances of a class", Schema.Array(Account)],
    ["options", Schema.Struct({ a: Schema.Option(Schema.String) })],
    ["transformations", Schema.Struct({ id: Schema.NumberFromString })],
    ["a literal bigint", Schema.Literal(1n)],
    ["anything", Schema.Unknown],
    [
      "a check of somebody's own",
      Schema.Struct({ a: Schema.String.check(Schema.makeFilter((text) => text !== "no")) })
    ],
    ["such a check beside one of effect's", Schema.Int.check(Schema.makeFilter((number) => number !== 7))]
  ])("does not hold for %s", (_, schema) => {
    assert.isFalse(isPlainJson(schema.ast))
  })
})

describe("isPlainText", () => {
  it("refuses texts in which a number may stand as a text, or a key for a prototype", () => {
    assert.isTrue(isPlainText("{\"a\":[1,\"b\",null]}"))
    for (const text of ["\"NaN\"", "[\"Infinity\"]", "{\"a\":\"-Infinity\"}", "{\"__proto__\":{}}"]) {
      assert.isFalse(isPlainText(text))
    }
  })
})
