import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { lossOf } from "../../src/internal/faithful.ts"

interface Tree {
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

interface Loose {
  readonly value: string | null | undefined
  readonly children: ReadonlyArray<Loose>
}
const Loose: Schema.Codec<Loose> = Schema.Struct({
  children: Schema.Array(Schema.suspend((): Schema.Codec<Loose> => Loose)),
  value: Schema.NullishOr(Schema.String)
})

describe("lossOf", () => {
  it.each<[string, Schema.Top]>([
    ["texts", Schema.String],
    ["numbers", Schema.Number],
    ["bigints", Schema.BigInt],
    ["dates", Schema.Date],
    ["bytes", Schema.Uint8Array],
    [
      "structs with optional fields",
      Schema.Struct({ a: Schema.optional(Schema.String), b: Schema.optionalKey(Schema.Int) })
    ],
    ["tuples and lists", Schema.Tuple([Schema.Number, Schema.Array(Schema.Date)])],
    ["records", Schema.Record(Schema.String, Schema.Boolean)],
    ["maps and sets", Schema.ReadonlyMap(Schema.String, Schema.ReadonlySet(Schema.Number))],
    ["options", Schema.Option(Schema.String)],
    ["a text or null", Schema.NullOr(Schema.String)],
    ["a text or undefined", Schema.UndefinedOr(Schema.String)],
    ["literals", Schema.Literals(["a", "b", 1, true])],
    ["a number or a list", Schema.Union([Schema.Number, Schema.Array(Schema.Number)])],
    [
      "structs that a literal tells apart",
      Schema.Union([
        Schema.TaggedStruct("A", { a: Schema.optional(Schema.String) }),
        Schema.TaggedStruct("B", { a: Schema.optional(Schema.String) })
      ])
    ],
    ["a recursive schema", Tree]
  ])("is none for %s", (_, schema) => {
    assert.strictEqual(lossOf(schema.ast), "none")
  })

  it.each<[string, Schema.Top]>([
    ["null and undefined", Schema.NullishOr(Schema.String)],
    ["a number, whose NaN is a text, and a text", Schema.Union([Schema.Number, Schema.String])],
    ["a bigint and a text", Schema.Union([Schema.BigInt, Schema.String])],
    ["a bigint and the literal \"1\"", Schema.Union([Schema.BigInt, Schema.Literal("1")])],
    ["the literals 1n and \"1\"", Schema.Union([Schema.Literal(1n), Schema.Literal("1")])],
    ["a date and a text", Schema.Union([Schema.Date, Schema.String])],
    ["bytes and a text", Schema.Union([Schema.Uint8Array, Schema.String])],
    ["two structs", Schema.Union([Schema.Struct({ a: Schema.Number }), Schema.Struct({ b: Schema.Number })])],
    ["two lists", Schema.Union([Schema.Array(Schema.Number), Schema.Array(Schema.Date)])],
    [
      "a map and a list of pairs",
      Schema.Union([
        Schema.ReadonlyMap(Schema.String, Schema.Number),
        Schema.Array(Schema.Tuple([Schema.String, Schema.Number]))
      ])
    ],
    ["an enum and a text", Schema.Union([Schema.Enum({ A: "a" }), Schema.String])],
    ["unions of unions", Schema.Union([Schema.NullOr(Schema.Number), Schema.UndefinedOr(Schema.Boolean)])],
    ["a field that is null or undefined", Schema.Struct({ a: Schema.NullishOr(Schema.String) })],
    ["an option of null or undefined", Schema.Option(Schema.NullishOr(Schema.String))],
    ["an index signature with null or undefined", Schema.Record(Schema.String, Schema.NullishOr(Schema.String))],
    [
      "a rest element with null or undefined",
      Schema.TupleWithRest(Schema.Tuple([]), [Schema.NullishOr(Schema.String)])
    ],
    [
      "structs whose literals are in different fields",
      Schema.Union([Schema.Struct({ a: Schema.Literal("x") }), Schema.Struct({ b: Schema.Literal("x") })])
    ],
    [
      "structs whose literals are the same",
      Schema.Union([Schema.TaggedStruct("A", { a: Schema.Number }), Schema.TaggedStruct("A", { b: Schema.Number })])
    ],
    [
      "structs whose literals may be absent",
      Schema.Union([
        Schema.Struct({ kind: Schema.optionalKey(Schema.Literal("a")) }),
        Schema.Struct({ kind: Schema.optionalKey(Schema.Literal("b")) })
      ])
    ],
    [
      "structs whose literals are 1 and \"1\" after encoding",
      Schema.Union([Schema.Struct({ kind: Schema.Literal(1n) }), Schema.Struct({ kind: Schema.Literal("1") })])
    ],
    ["a recursive schema with null or undefined", Loose],
    [
      "null or undefined beside a transformation",
      Schema.Struct({
        a: Schema.NumberFromString,
        b: Schema.NullishOr(Schema.String)
      })
    ]
  ])("is mistaken where values look alike in JSON: %s", (_, schema) => {
    assert.strictEqual(lossOf(schema.ast), "mistaken")
  })

  class Point extends Schema.Class<Point>("Point")({ x: Schema.Number }) {}
  it.each<[string, Schema.Top]>([
    ["numbers from text", Schema.NumberFromString],
    ["a field", Schema.Struct({ at: Schema.DateFromString })],
    ["a class", Point],
    ["a list of a class", Schema.Array(Point)],
    ["an option", Schema.Option(Schema.DateFromString)],
    ["anything", Schema.Any]
  ])("is transformed for %s that is transformed", (_, schema) => {
    assert.strictEqual(lossOf(schema.ast), "transformed")
  })
})
