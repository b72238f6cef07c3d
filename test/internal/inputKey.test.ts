import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Option, Schema } from "effect"
import { isDeepStrictEqual } from "node:util"
import { UnstableValue } from "../../src/internal/canonical.ts"
import { makeInputKey } from "../../src/internal/inputKey.ts"

const keyOf = <F extends Schema.Struct.Fields>(fields: F) => {
  const input = makeInputKey("", fields)
  return (value: unknown) => Effect.map(input.encode(value), (encoded) => input.ofEncodedUnsafe(encoded))
}

const edges = ["", "a", "a\",\"b", "a:b", "1", "true", "null", "NaN", 0, -0, 1, NaN, 1n, true, false, null, undefined]
const Edge = Arbitrary.map(
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: edges.length - 1 }))),
  (index) => edges[index]
)
const edgeFields = {
  a: Schema.Union([Schema.String, Schema.Number, Schema.BigInt, Schema.Boolean, Schema.Null, Schema.Undefined]),
  b: Schema.optional(Schema.Union([Schema.String, Schema.Number, Schema.BigInt, Schema.Boolean, Schema.Null])),
  "c\"": Schema.optionalKey(Schema.String)
}
const Present = Schema.Struct({ b: Schema.Boolean, c: Schema.Boolean })
const EdgeInput = Arbitrary.map(
  Arbitrary.all([Edge, Edge, Arbitrary.schema(Schema.String), Arbitrary.schema(Present)]),
  ([a, b, c, present]) => ({ a, ...(present.b ? { b } : {}), ...(present.c ? { "c\"": c } : {}) })
)

const Rich = Schema.Struct({
  at: Schema.Date,
  name: Schema.String,
  n: Schema.NumberFromString.check(Schema.isFinite()),
  list: Schema.Array(Schema.Union([Schema.Number, Schema.String])),
  nested: Schema.Struct({ x: Schema.NullOr(Schema.BigInt), y: Schema.optional(Schema.String) }),
  option: Schema.Option(Schema.Int)
})

// In decimal digits −0 and 0 are one number: the function is given 0 for both.
const withoutSignedZero = (input: typeof Rich.Type) => ({ ...input, n: input.n + 0 })

describe("makeInputKey", () => {
  it.effect.prop(
    "gives two inputs the same key iff they are equal",
    [EdgeInput, EdgeInput],
    ([a, b]) =>
      Effect.gen(function*() {
        const key = keyOf(edgeFields)
        assert.strictEqual((yield* key(a)) === (yield* key(b)), isDeepStrictEqual(a, b))
      }),
    { arbitrary: { runs: 2000 } }
  )

  it.effect.prop("gives two rich inputs, which differ in one field at most, the same key iff they are equal", [
    Rich,
    Rich
  ], ([a, b]) =>
    Effect.gen(function*() {
      const key = keyOf(Rich.fields)
      for (const field of ["at", "name", "n", "list", "nested", "option"] as const) {
        const mixed = { ...a, [field]: b[field] }
        const equal = isDeepStrictEqual(withoutSignedZero(mixed), withoutSignedZero(a))
        assert.strictEqual((yield* key(mixed)) === (yield* key(a)), equal)
      }
    }), { arbitrary: { runs: 500 } })

  it.effect.prop("does not depend on the order of fields (scenario 2)", [Rich], ([input]) =>
    Effect.gen(function*() {
      const key = keyOf(Rich.fields)
      const turned = Object.fromEntries(
        Object.entries({ ...input, nested: Object.fromEntries(Object.entries(input.nested).toReversed()) }).toReversed()
      )
      assert.notDeepEqual(Object.keys(turned), Object.keys(input))
      assert.strictEqual(yield* key(turned), yield* key(input))
    }))

  it.effect.prop(
    "does not depend on the order in which the fields are declared",
    [EdgeInput],
    ([input]) =>
      Effect.gen(function*() {
        const turned = Object.fromEntries(Object.entries(edgeFields).toReversed())
        assert.strictEqual(yield* keyOf(turned)(input), yield* keyOf(edgeFields)(input))
      })
  )

  it.effect.prop("gives an input of plain fields the key that its encoding has, without encoding it", [EdgeInput], ([
    input
  ]) =>
    Effect.gen(function*() {
      assert.strictEqual(makeInputKey("", edgeFields).ofPlain(input), yield* keyOf(edgeFields)(input))
    }), { arbitrary: { runs: 1000 } })

  it.effect.prop("gives a request whose values are as the schema encodes them the key of the input", [Rich], ([
    input
  ]) =>
    Effect.gen(function*() {
      const { at: _, list: __, nested: ___, option: ____, ...fields } = Rich.fields
      const key = makeInputKey("", fields)
      const encoded = yield* key.encode(input)
      assert.strictEqual(key.ofEncodedUnsafe({ ...encoded, undeclared: "x" }), key.ofEncodedUnsafe(encoded))
    }))

  it.effect("reads declared fields only", () =>
    Effect.gen(function*() {
      const key = keyOf({ a: Schema.String })
      assert.strictEqual(yield* key({ a: "x", b: "y" }), yield* key({ a: "x" }))
      assert.strictEqual(makeInputKey("", { a: Schema.String }).ofPlain({ a: "x", b: () => 1 }), yield* key({ a: "x" }))
      assert.strictEqual(makeInputKey("", { a: Schema.String }).ofEncodedUnsafe({ b: () => 1, a: "x" }), `{"a":"x"}`)
    }))

  it("has no fast way for schemas that encode, and for values that are not plain", () => {
    assert.isUndefined(makeInputKey("", { a: Schema.NumberFromString }).ofPlain({ a: 1 }))
    assert.isUndefined(makeInputKey("", { a: Schema.Date }).ofPlain({ a: new Date(0) }))
    assert.isUndefined(makeInputKey("", { a: Schema.Array(Schema.String) }).ofPlain({ a: ["x"] }))
    const plain = makeInputKey("", { a: Schema.String })
    for (const value of [undefined, null, "a", { a: [] }, { a: {} }, { a: Symbol("s") }, { a: () => 1 }]) {
      assert.isUndefined(plain.ofPlain(value))
    }
  })

  it.effect("keeps what is absent and what is undefined apart", () =>
    Effect.gen(function*() {
      const key = keyOf({ a: Schema.optional(Schema.String) })
      assert.notStrictEqual(yield* key({}), yield* key({ a: undefined }))
    }))

  it.effect("does not depend on the order in which a Map or a Set was filled", () =>
    Effect.gen(function*() {
      const map = keyOf({ v: Schema.ReadonlyMap(Schema.String, Schema.Number) })
      assert.strictEqual(
        yield* map({ v: new Map([["a", 1], ["b", 2]]) }),
        yield* map({ v: new Map([["b", 2], ["a", 1]]) })
      )
      const set = keyOf({ v: Schema.ReadonlySet(Schema.String) })
      assert.strictEqual(yield* set({ v: new Set(["a", "b"]) }), yield* set({ v: new Set(["b", "a"]) }))
    }))

  it.effect("keeps a Map, a Set and an Option apart from the lists and structs that they could be written as", () =>
    Effect.gen(function*() {
      const Pairs = Schema.Array(Schema.Tuple([Schema.String, Schema.Number]))
      const Some = Schema.Struct({ _tag: Schema.Literal("Some"), value: Schema.Number })
      const map = keyOf({ v: Schema.Union([Schema.ReadonlyMap(Schema.String, Schema.Number), Pairs]) })
      assert.notStrictEqual(yield* map({ v: new Map([["a", 1]]) }), yield* map({ v: [["a", 1]] }))
      const set = keyOf({ v: Schema.Union([Schema.ReadonlySet(Schema.Number), Schema.Array(Schema.Number)]) })
      assert.notStrictEqual(yield* set({ v: new Set([1]) }), yield* set({ v: [1] }))
      const option = keyOf({ v: Schema.Union([Schema.Option(Schema.Number), Some]) })
      assert.notStrictEqual(yield* option({ v: Option.some(1) }), yield* option({ v: { _tag: "Some", value: 1 } }))
    }))

  it.effect.prop("gives an input of one plain field the key that its encoding has, when it is asked again, too", [
    Arbitrary.array(Edge)
  ], ([values]) =>
    Effect.gen(function*() {
      const input = makeInputKey("", { a: edgeFields.a })
      for (const a of [...values, 0, -0, ...values, -0, 0]) {
        assert.strictEqual(input.ofPlain({ a }), input.ofEncodedUnsafe(yield* input.encode({ a })))
      }
    }))

  it.effect("never gives an input whose fields are inherited another key than its encoding has", () =>
    Effect.gen(function*() {
      const one = { a: Schema.optionalKey(Schema.Number) }
      const two = Object.assign({ b: Schema.optionalKey(Schema.String) }, one)
      const all: ReadonlyArray<typeof one> = [one, two]
      for (const fields of all) {
        const input = makeInputKey("", fields)
        const inherited: unknown = Object.create({ a: 1 })
        const key = input.ofEncodedUnsafe(yield* input.encode(inherited))
        assert.include([undefined, key], input.ofPlain(inherited))
        assert.include([undefined, key], input.ofPlain(inherited))
      }
    }))

  it.effect("throws for a value without a stable text (scenario 3)", () =>
    Effect.gen(function*() {
      const input = makeInputKey("", { v: Schema.Unknown })
      for (const v of [() => 1, Symbol("s"), { deep: [() => 1] }, new WeakMap()]) {
        const encoded = yield* input.encode({ v })
        assert.throws(() => input.ofEncodedUnsafe(encoded), UnstableValue)
      }
    }))
})
