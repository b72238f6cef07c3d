import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Option, Schema, SchemaGetter } from "effect"
import { Cached, type CacheError, CacheLive, SchemaDomain } from "effect-cached"
import { canonicalUnsafe } from "../src/internal/canonical.ts"
import { makeRandom, type Random } from "./random.ts"

const valuesOf = Effect.fnUntraced(function*<A>(schema: Schema.Codec<A, unknown>) {
  const domain = yield* SchemaDomain.make(schema)
  const values = Array.from(domain)
  assert.strictEqual(domain.size, values.length)
  return values
})

const inputsOf = <A, R>(domain: Effect.Effect<SchemaDomain.SchemaDomain<A>, CacheError.CacheError, R>) =>
  Effect.map(domain, (domain) => {
    const inputs = Array.from(domain)
    assert.strictEqual(domain.size, inputs.length)
    assert.deepStrictEqual(Array.from(domain), inputs)
    return inputs
  })

const firstOf = <A>(domain: Iterable<A>, count: number): ReadonlyArray<A> => {
  const iterator = domain[Symbol.iterator]()
  return Array.from({ length: count }, () => iterator.next().value as A)
}

const reasonOf = <A, R>(effect: Effect.Effect<A, CacheError.CacheError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => {
    assert.strictEqual(reason._tag, "DomainError")
    return reason as CacheError.DomainError
  })

/** A text that is a number of one or two, and its number. */
const Digit = Schema.Literals(["1", "2", "01"]).pipe(
  Schema.decodeTo(Schema.Number, {
    decode: SchemaGetter.Number(),
    encode: SchemaGetter.transform((n) => String(n) as "1" | "2")
  })
)

const OnOff = Schema.Literals(["on", "off"]).pipe(
  Schema.decodeTo(Schema.Boolean, {
    decode: SchemaGetter.transform((text) => text === "on"),
    encode: SchemaGetter.transform((on) => on ? "on" : "off")
  })
)

/** A schema of which one side throws for `b`. */
const throwing = (side: "decode" | "encode") => {
  const fails = SchemaGetter.transform((text: "a" | "b") => {
    if (text === "b") throw new Error("boom")
    return text
  })
  const passes = SchemaGetter.passthrough<"a" | "b">()
  return Schema.Literals(["a", "b"]).pipe(
    Schema.decodeTo(Schema.Literals(["a", "b"]), { decode: passes, encode: passes, [side]: fails })
  )
}

describe("SchemaDomain.make", () => {
  it.effect("has the values of literals, booleans, enums, null, undefined and never, in the order of the definition", () =>
    Effect.gen(function*() {
      // As TypeScript compiles an enum.
      const Direction = { Up: 0, Down: 1, Also: 1, 0: "Up", 1: "Down" } as const
      assert.deepStrictEqual(yield* valuesOf(Schema.Literal("a")), ["a"])
      assert.deepStrictEqual(yield* valuesOf(Schema.Literals(["b", 1, true, 2n])), ["b", 1, true, 2n])
      assert.deepStrictEqual(yield* valuesOf(Schema.Boolean), [false, true])
      assert.deepStrictEqual(yield* valuesOf(Schema.Enum(Direction)), [0, 1])
      assert.deepStrictEqual(yield* valuesOf(Schema.Enum({ A: "x", B: "y" })), ["x", "y"])
      assert.deepStrictEqual(yield* valuesOf(Schema.Null), [null])
      assert.deepStrictEqual(yield* valuesOf(Schema.Undefined), [undefined])
      assert.deepStrictEqual(yield* valuesOf(Schema.Void), [undefined])
      assert.deepStrictEqual(yield* valuesOf(Schema.Never), [])
    }))

  it.effect("has each value of a union once, whichever members accept it", () =>
    Effect.gen(function*() {
      const Size = Schema.Literals(["s", "m"])
      assert.deepStrictEqual(yield* valuesOf(Schema.Union([Size, Schema.Null, Schema.Literals(["m", "l"])])), [
        "s",
        "m",
        null,
        "l"
      ])
      assert.deepStrictEqual(yield* valuesOf(Schema.Literals(["a", "a"])), ["a"])
      // The first member reads every value of the second, and drops `b`.
      const A = Schema.Struct({ a: Schema.Boolean })
      const AB = Schema.Struct({ a: Schema.Boolean, b: Size })
      assert.deepStrictEqual(yield* valuesOf(Schema.Union([A, AB])), [{ a: false }, { a: true }])
      assert.strictEqual((yield* valuesOf(Schema.Union([AB, A]))).length, 6)
      const one = Schema.Struct({ a: Schema.optionalKey(Schema.Literal(1)) })
      const two = Schema.Struct({ a: Schema.optionalKey(Schema.Literal(2)) })
      assert.deepStrictEqual(yield* valuesOf(Schema.Union([one, two])), [{}, { a: 1 }, { a: 2 }])
    }))

  it.effect("takes a value of a union for what the first member makes of it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* valuesOf(Schema.Union([Schema.Void, Schema.Struct({ a: Schema.Boolean })])), [
        undefined
      ])
      const Renamed = Schema.Literal("z").pipe(
        Schema.decodeTo(Schema.Literal("a"), {
          decode: SchemaGetter.succeed("a" as const),
          encode: SchemaGetter.succeed("z" as const)
        })
      )
      const schema = Schema.Union([
        Schema.Struct({ tag: Renamed }),
        Schema.Struct({ tag: Schema.Literal("z"), b: Schema.Boolean })
      ])
      assert.deepStrictEqual(yield* valuesOf(schema), [{ tag: "a" }])
    }))

  it.effect("leaves out what two members of a union accept where just one may", () =>
    Effect.gen(function*() {
      const schema = Schema.Union([Schema.Literals(["a", "b"]), Schema.Literals(["b", "c"])], { mode: "oneOf" })
      assert.deepStrictEqual(yield* valuesOf(schema), ["a", "c"])
      // A struct without fields accepts all but null and undefined.
      const open = Schema.Union([Schema.Struct({}), Schema.Literals(["a", "b"])], { mode: "oneOf" })
      assert.deepStrictEqual(yield* valuesOf(open), [{}])
    }))

  it.effect("has the structs of a union that a field tells apart", () =>
    Effect.gen(function*() {
      const schema = Schema.Union([
        Schema.Struct({ kind: Schema.Literal("square"), large: Schema.Boolean }),
        Schema.Struct({ kind: Schema.Literal("round") }),
        Schema.Null
      ])
      assert.deepStrictEqual(yield* valuesOf(schema), [
        { kind: "square", large: false },
        { kind: "square", large: true },
        { kind: "round" },
        null
      ])
    }))

  it.effect("has every choice of a struct and of the structs in it, the last field varying fastest", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        a: Schema.Literals(["x", "y"]),
        b: Schema.Struct({ c: Schema.Boolean, d: Schema.Null })
      })
      assert.deepStrictEqual(yield* valuesOf(schema), [
        { a: "x", b: { c: false, d: null } },
        { a: "x", b: { c: true, d: null } },
        { a: "y", b: { c: false, d: null } },
        { a: "y", b: { c: true, d: null } }
      ])
      assert.deepStrictEqual(yield* valuesOf(Schema.Struct({})), [{}])
      assert.deepStrictEqual(yield* valuesOf(Schema.Struct({ a: Schema.Boolean, none: Schema.Never })), [])
    }))

  it.effect("has an optional key as absent first, and where it may be undefined as that last", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* valuesOf(Schema.Struct({ a: Schema.optionalKey(Schema.Boolean) })), [
        {},
        { a: false },
        { a: true }
      ])
      assert.deepStrictEqual(yield* valuesOf(Schema.Struct({ a: Schema.optional(Schema.Literal("x")) })), [
        {},
        { a: "x" },
        { a: undefined }
      ])
    }))

  it.effect("has a default once, though the key may be absent", () =>
    Effect.gen(function*() {
      const size = Schema.Literals(["s", "m"])
      const kept = Schema.Struct({ size: size.pipe(Schema.withDecodingDefaultKey(Effect.succeed("m" as const))) })
      assert.deepStrictEqual(yield* valuesOf(kept), [{ size: "m" }, { size: "s" }])
      const omitted = Schema.Struct({
        size: size.pipe(Schema.withDecodingDefault(Effect.succeed("m" as const), { encodingStrategy: "omit" }))
      })
      assert.deepStrictEqual(yield* valuesOf(omitted), [{ size: "m" }])
    }))

  it.effect("has every tuple, the shorter ones first where elements are optional", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* valuesOf(Schema.Tuple([])), [[]])
      assert.deepStrictEqual(yield* valuesOf(Schema.Tuple([Schema.Literals(["a", "b"]), Schema.Boolean])), [
        ["a", false],
        ["a", true],
        ["b", false],
        ["b", true]
      ])
      const X = Schema.Literal("x")
      assert.deepStrictEqual(
        yield* valuesOf(Schema.Tuple([X, Schema.optionalKey(Schema.Boolean), Schema.optional(X)])),
        [
          ["x"],
          ["x", false],
          ["x", true],
          ["x", false, "x"],
          ["x", false, undefined],
          ["x", true, "x"],
          ["x", true, undefined]
        ]
      )
      assert.deepStrictEqual(yield* valuesOf(Schema.Tuple([X, Digit])), [["x", 1], ["x", 2]])
    }))

  it.effect("has a tuple once where an element with a default may be absent", () =>
    Effect.gen(function*() {
      const size = Schema.Literals(["s", "m"]).pipe(Schema.withDecodingDefaultKey(Effect.succeed("m" as const)))
      assert.deepStrictEqual(yield* valuesOf(Schema.Tuple([Schema.Boolean, size])), [
        [false, "m"],
        [true, "m"],
        [false, "s"],
        [true, "s"]
      ])
    }))

  it.effect("has the texts of a template literal of finite parts, each once", () =>
    Effect.gen(function*() {
      const schema = Schema.TemplateLiteral([
        Schema.Literals(["a", "ab"]),
        "-",
        Schema.Union([Schema.Literal(1), Schema.TemplateLiteral(["x", Schema.Literals(["y", "z"])])])
      ])
      assert.deepStrictEqual(yield* valuesOf(schema), ["a-1", "a-xy", "a-xz", "ab-1", "ab-xy", "ab-xz"])
      const ambiguous = Schema.TemplateLiteral([Schema.Literals(["a", "ab"]), Schema.Literals(["bc", "c"])])
      assert.deepStrictEqual(yield* valuesOf(ambiguous), ["abc", "ac", "abbc"])
    }))

  it.effect("has the records of finite keys", () =>
    Effect.gen(function*() {
      const schema = Schema.Record(Schema.Literals(["a", "b"]), Schema.Boolean)
      assert.deepStrictEqual(yield* valuesOf(schema), [
        { a: false, b: false },
        { a: false, b: true },
        { a: true, b: false },
        { a: true, b: true }
      ])
    }))

  it.effect("decodes what is encoded, brands, transformations, options and classes", () =>
    Effect.gen(function*() {
      class Point extends Schema.Class<Point>("Point")({ x: Digit, y: Schema.Boolean }) {}
      const Size = Schema.Literals(["s", "m"])
      assert.deepStrictEqual<ReadonlyArray<string>>(yield* valuesOf(Size.pipe(Schema.brand("Size"))), ["s", "m"])
      assert.deepStrictEqual(yield* valuesOf(Schema.OptionFromNullOr(Size)), [
        Option.some("s"),
        Option.some("m"),
        Option.none()
      ])
      const points = yield* valuesOf(Point)
      assert.isTrue(points.every((point) => point instanceof Point))
      assert.deepStrictEqual(points.map(({ x, y }) => [x, y]), [[1, false], [1, true], [2, false], [2, true]])
      // "01" is decoded as "1" is.
      assert.deepStrictEqual(yield* valuesOf(Digit), [1, 2])
      const renamed = Schema.Struct({ a: Schema.Boolean }).pipe(Schema.encodeKeys({ a: "b" }))
      assert.deepStrictEqual(yield* valuesOf(renamed), [{ a: false }, { a: true }])
    }))

  it.effect("leaves out what a check refuses, on either side, at any depth", () =>
    Effect.gen(function*() {
      const Small = Schema.Literals([1, 2, 3]).check(Schema.makeFilter((n) => n < 3))
      assert.deepStrictEqual(yield* valuesOf(Small), [1, 2])
      const Ordered = Schema.Struct({ from: Small, to: Small }).check(Schema.makeFilter(({ from, to }) => from < to))
      assert.deepStrictEqual(yield* valuesOf(Ordered), [{ from: 1, to: 2 }])
      assert.deepStrictEqual(
        yield* valuesOf(Schema.Struct({ ordered: Schema.optionalKey(Ordered), flag: Schema.Null })),
        [
          { flag: null },
          { ordered: { from: 1, to: 2 }, flag: null }
        ]
      )
      assert.deepStrictEqual(yield* valuesOf(Schema.Struct({ d: Digit.check(Schema.isGreaterThan(1)) })), [{ d: 2 }])
      assert.deepStrictEqual(yield* valuesOf(Schema.Literal("a").check(Schema.makeFilter(() => false))), [])
    }))

  it.effect("leaves out what a check of the encoded side refuses", () =>
    Effect.gen(function*() {
      const struct = Schema.Struct({ a: OnOff }).check(Schema.makeFilter(({ a }) => a))
      assert.deepStrictEqual(yield* valuesOf(Schema.flip(struct)), [{ a: "on" }])
      const tuple = Schema.Tuple([OnOff]).check(Schema.makeFilter(([a]) => a))
      assert.deepStrictEqual(yield* valuesOf(Schema.flip(tuple)), [["on"]])
      const union = Schema.NullOr(Schema.Struct({ a: OnOff })).check(Schema.makeFilter((value) => value !== null))
      assert.deepStrictEqual(yield* valuesOf(Schema.flip(union)), [{ a: "off" }, { a: "on" }])
    }))

  it.effect("follows a suspended schema that ends", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        a: Schema.suspend((): Schema.Codec<boolean> => Schema.Boolean),
        b: Schema.suspend((): Schema.Codec<{ readonly c: number }, { readonly c: string }> =>
          Schema.Struct({ c: Digit })
        )
      })
      assert.deepStrictEqual((yield* valuesOf(schema)).map(({ a, b }) => [a, b.c]), [
        [false, 1],
        [false, 2],
        [true, 1],
        [true, 2]
      ])
    }))

  it.effect("takes names that mean something to JavaScript as names", () =>
    Effect.gen(function*() {
      const values = yield* valuesOf(Schema.Struct({ ["__proto__"]: Schema.Boolean, constructor: Schema.Literal("x") }))
      assert.deepStrictEqual(values.map((value) => Object.entries(value)), [
        [["__proto__", false], ["constructor", "x"]],
        [["__proto__", true], ["constructor", "x"]]
      ])
    }))

  it.effect("keeps apart zeros and texts that a schema keeps apart", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* valuesOf(Schema.Literals([0, "0", "", false])), [0, "0", "", false])
    }))

  const Recursive: Schema.Codec<unknown> = Schema.Struct({
    next: Schema.optionalKey(Schema.suspend((): Schema.Codec<unknown> => Recursive))
  })
  const grow = (): Schema.Codec<unknown> => Schema.Struct({ next: Schema.NullOr(Schema.suspend(grow)) })

  it.effect.each<[schema: Schema.Codec<unknown, unknown>, field: string | undefined, problem: string]>([
    [Schema.String, undefined, "String has no finite domain"],
    [Schema.Struct({ a: Schema.Number }), "a", "Number has no finite domain"],
    [Schema.Struct({ a: Schema.Struct({ b: Schema.BigInt }) }), "a.b", "BigInt has no finite domain"],
    [Schema.Struct({ a: Schema.optional(Schema.NumberFromString) }), "a", "String has no finite domain"],
    [Schema.Struct({ a: Schema.NullOr(Schema.Int) }), "a", "Number has no finite domain"],
    [Schema.Tuple([Schema.Null, Schema.Symbol]), "1", "Symbol has no finite domain"],
    [Schema.Array(Schema.Boolean), undefined, "Array has no finite domain"],
    [Schema.Record(Schema.String, Schema.Boolean), undefined, "Record has no finite domain"],
    [Schema.Struct({ a: Schema.TemplateLiteral(["a", Schema.Number]) }), "a", "Number has no finite domain"],
    [Schema.Struct({ at: Schema.Date }), "at", "a valid Date has no finite domain"],
    [Schema.Any, undefined, "Any has no finite domain"],
    [Schema.Unknown, undefined, "Unknown has no finite domain"],
    [Schema.ObjectKeyword, undefined, "ObjectKeyword has no finite domain"],
    [Schema.UniqueSymbol(Symbol.iterator), undefined, "UniqueSymbol has no finite domain"],
    [Schema.Struct({ [Symbol.iterator]: Schema.Null }), undefined, "a symbol as a key has no stable encoding"],
    [Schema.Struct({ a: Recursive }), "a.next.next", "a recursive schema has no finite domain"],
    [
      Schema.suspend(grow),
      Array.from({ length: 64 }, () => "next").join("."),
      "a recursive schema has no finite domain"
    ]
  ])("refuses what is not finite: %#", ([schema, field, problem]) =>
    Effect.gen(function*() {
      const reason = yield* reasonOf(SchemaDomain.make(schema))
      assert.strictEqual(reason.field, field)
      assert.isTrue(reason.message.endsWith(`: ${problem}`), reason.message)
    }))

  it.effect("refuses a value that is decoded and cannot be encoded", () =>
    Effect.gen(function*() {
      const broken = Schema.Literals(["a", "b"]).pipe(
        Schema.decodeTo(Schema.Number, { decode: SchemaGetter.succeed(1), encode: SchemaGetter.succeed("c" as "a") })
      )
      const { field, message } = yield* reasonOf(SchemaDomain.make(Schema.Struct({ in: Schema.Struct({ broken }) })))
      assert.strictEqual(field, "in.broken")
      assert.include(message, `"a" is decoded to a value that cannot be encoded`)
      assert.notMatch(message, /\n|"value"/u)
    }))

  it.effect("names the place of a schema that throws", () =>
    Effect.gen(function*() {
      const decoding = yield* reasonOf(SchemaDomain.fields("f", { n: Schema.Struct({ x: throwing("decode") }) }))
      assert.strictEqual(decoding.message, `The domain of "f", field "n.x": "b" makes its schema throw: boom`)
      const encoding = yield* reasonOf(SchemaDomain.fields("f", { x: throwing("encode") }))
      assert.strictEqual(
        encoding.message,
        `The domain of "f", field "x": "b" is decoded to a value that cannot be encoded: boom`
      )
      const given = yield* reasonOf(
        SchemaDomain.fields("f", { x: throwing("encode") }, { values: { x: ["a", "b"] } })
      )
      assert.strictEqual(given.message, `The domain of "f", field "x": values[1] does not fit its schema: boom`)
    }))

  it.effect("reads what is plain off a schema, however many there are", () =>
    Effect.gen(function*() {
      const codes = Array.from({ length: 100_001 }, (_, n) => `c${n}`)
      assert.strictEqual((yield* SchemaDomain.make(Schema.NullOr(Schema.Literals(codes)))).size, 100_002)
      // Told apart by a tag, so that nothing of it has to be tried, and beside them what is of another kind.
      const tagged = codes.slice(0, 2000).map((code) =>
        Schema.Struct({ n: Schema.Boolean, kind: Schema.Literals([code, `${code}!`]) })
      )
      const domain = yield* SchemaDomain.make(
        Schema.Union([
          ...tagged,
          Schema.Null,
          Schema.Union([Schema.Tuple([Schema.Literal(1)]), Schema.Literals(codes)])
        ])
      )
      assert.strictEqual(domain.size, 2000 * 2 * 2 + 1 + 1 + 100_001)
      assert.deepStrictEqual(firstOf(domain, 1), [{ n: false, kind: "c0" }])
    }))

  it.effect("has each value of a union once where a tag does not tell all members apart", () =>
    Effect.gen(function*() {
      const tags = (one: Schema.Codec<unknown, unknown>, two: Schema.Codec<unknown, unknown>) =>
        Effect.map(
          valuesOf(Schema.Union([Schema.Struct({ t: one, a: Schema.Boolean }), Schema.Struct({ t: two })])),
          (values) => values.length
        )
      const [a, b, ab] = [Schema.Literal("a"), Schema.Literal("b"), Schema.Literals(["a", "b"])]
      assert.strictEqual(yield* tags(a, b), 3)
      assert.strictEqual(yield* tags(ab, Schema.NullOr(b)), 6)
      assert.strictEqual(yield* tags(ab, Schema.Struct({})), 5)
      assert.deepStrictEqual(yield* valuesOf(Schema.Union([Schema.Void, Schema.Literal("a")])), [undefined])
      assert.deepStrictEqual(yield* valuesOf(Schema.Literals([0, -0, 1, 0])), [0, -0, 1])
      assert.deepStrictEqual(
        yield* valuesOf(Schema.NullOr(Schema.Union([ab, b], { mode: "oneOf" }))),
        ["a", null]
      )
    }))

  it.effect("names the schema where it has a name", () =>
    Effect.gen(function*() {
      const { message } = yield* reasonOf(SchemaDomain.make(Schema.String.annotate({ identifier: "Name" })))
      assert.strictEqual(message, `The domain of "Name": Name has no finite domain`)
    }))

  it.effect("knows the number of a product that no memory could hold, and has its first values at once", () =>
    Effect.gen(function*() {
      const Ten = Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      const Digits = Schema.Tuple([Ten, Ten, Ten, Ten, Ten, Ten])
      const schema = Schema.Struct({
        a: Digits,
        b: Schema.Struct({ c: Digits }),
        d: Schema.Union([Schema.Struct({ d: Digits, t: Schema.Literal("d") }), Schema.Null])
      })
      const domain = yield* SchemaDomain.make(schema)
      assert.strictEqual(domain.size, 1e12 * (1e6 + 1))
      assert.deepStrictEqual(firstOf(domain, 11).map(({ d }) => d?.d[5]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
      const nothing = yield* SchemaDomain.make(
        Schema.Struct({ huge: Schema.Tuple(Array.from({ length: 400 }, () => Ten)), none: Schema.Never })
      )
      assert.strictEqual(nothing.size, 0)
      assert.deepStrictEqual(Array.from(nothing), [])
    }))

  it.effect("refuses a part that is too large to be tried", () =>
    Effect.gen(function*() {
      const Ten = Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      const Digits = Schema.Tuple([Ten, Ten, Ten, Ten, Ten, Ten]).check(Schema.makeFilter(() => true))
      const { field, message } = yield* reasonOf(SchemaDomain.make(Schema.Struct({ a: Digits })))
      assert.strictEqual(field, "a")
      assert.include(message, "has more than 100000 of them")
    }))

  it.effect("gives objects of their own to everybody who goes through it", () =>
    Effect.gen(function*() {
      const domain = yield* SchemaDomain.make(Schema.Struct({ a: Schema.Boolean }))
      for (const value of domain) Object.assign(value, { a: "changed" })
      assert.deepStrictEqual(Array.from(domain), [{ a: false }, { a: true }])
    }))

  it.effect("has as many values as it says, all different, in one order, each of which decodes and encodes back", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 150; seed++) {
        const schema = anySchema(makeRandom(seed), 3)
        const domain = yield* SchemaDomain.make(schema)
        const values = Array.from(domain)
        const encoded = yield* Effect.forEach(values, (value) => Schema.encodeUnknownEffect(schema)(value))
        const decoded = yield* Effect.forEach(encoded, (value) => Schema.decodeUnknownEffect(schema)(value))
        assert.strictEqual(domain.size, values.length, `seed ${seed}`)
        assert.deepStrictEqual(decoded, values, `seed ${seed}`)
        assert.strictEqual(new Set(encoded.map(canonicalUnsafe)).size, values.length, `seed ${seed}`)
        assert.deepStrictEqual(Array.from(domain), values, `seed ${seed}`)
        assert.deepStrictEqual(yield* valuesOf(schema), values, `seed ${seed}`)
      }
    }))

  // The small schemas of every kind, also those that meet the same value twice.
  const anySchema = (random: Random, depth: number): Schema.Codec<unknown, unknown> => {
    const part = () => anySchema(random, depth - 1)
    const key = () =>
      random.pick([
        (schema: Schema.Codec<unknown, unknown>) => schema,
        Schema.optionalKey,
        Schema.optional
      ])(part())
    const leaves: ReadonlyArray<() => Schema.Codec<unknown, unknown>> = [
      () => Schema.Literals(["a", "b", 1].slice(random.below(2))),
      () => Schema.Boolean,
      () => Schema.Null,
      () => Schema.Undefined,
      () => Schema.Enum({ A: "a", C: "c" }),
      () => Digit,
      () => Schema.OptionFromNullOr(Schema.Literals(["a", "b"])),
      () => Schema.Literals([1, 2, 3]).check(Schema.isGreaterThan(random.below(4))),
      () => Schema.TemplateLiteral([Schema.Literals(["a", "ab"]), Schema.Literals(["bc", "c"])])
    ]
    const wholes: ReadonlyArray<() => Schema.Codec<unknown, unknown>> = [
      () => Schema.Struct({ a: key(), b: key() }),
      () => Schema.Struct({ tag: Schema.Literals(["t", "u"]), c: key() }),
      () => Schema.Tuple([part(), part()]),
      () => Schema.Tuple([part(), Schema.optionalKey(part())]),
      () => Schema.NullOr(part()),
      () => Schema.Union([part(), part()]),
      () =>
        Schema.Union([
          Schema.Struct({ tag: Schema.Literal("x"), a: key() }),
          Schema.Struct({ tag: Schema.Literals(["y", "z"]), b: key() })
        ]),
      () => Schema.suspend(part),
      () => Schema.Struct({ a: key(), b: key() }).check(Schema.makeFilter((value) => Object.keys(value).length < 2)),
      () => Schema.Struct({ a: key() }).pipe(Schema.encodeKeys({ a: "b" })) as Schema.Codec<unknown, unknown>
    ]
    return random.pick(depth === 0 ? leaves : [...leaves, ...wholes, ...wholes])()
  }
})

class Factor extends Context.Service<Factor, number>()("test/Factor") {}

/** A number that is encoded as the text of a part of it. */
const Scaled = Schema.Literals(["1", "2"]).pipe(
  Schema.decodeTo(Schema.Number, {
    decode: SchemaGetter.transformEffect((text: string) => Effect.map(Factor, (factor) => Number(text) * factor)),
    encode: SchemaGetter.transformEffect((n: number) => Effect.map(Factor, (factor) => String(n / factor) as "1" | "2"))
  })
)

describe("SchemaDomain.fields", () => {
  const kind = Schema.Literals(["city", "river"])

  it.effect("has one input where there are no fields, and none where a field has no values", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* inputsOf(SchemaDomain.fields("f", {})), [{}])
      assert.deepStrictEqual(yield* inputsOf(SchemaDomain.fields("f", { kind, none: Schema.Never })), [])
      const fields = { kind, page: Schema.Int }
      assert.deepStrictEqual(yield* inputsOf(SchemaDomain.fields("f", fields, { values: { page: [] } })), [])
    }))

  it.effect("has every combination of the values of its fields, the last field varying fastest", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* inputsOf(SchemaDomain.fields("f", { kind, large: Schema.optionalKey(Schema.Boolean) })),
        [
          { kind: "city" },
          { kind: "city", large: false },
          { kind: "city", large: true },
          { kind: "river" },
          { kind: "river", large: false },
          { kind: "river", large: true }
        ]
      )
    }))

  it.effect("takes given values in the place of a field's own, each once, in the order in which they are given", () =>
    Effect.gen(function*() {
      const fields = { kind, page: Schema.NumberFromString }
      assert.deepStrictEqual(
        yield* inputsOf(SchemaDomain.fields("f", fields, { values: { page: [3, 1, 3], kind: ["river"] } })),
        [{ kind: "river", page: 3 }, { kind: "river", page: 1 }]
      )
    }))

  it.effect("leaves an optional field of given values absent, too", () =>
    Effect.gen(function*() {
      const fields = {
        page: Schema.optionalKey(Schema.Int),
        limit: Schema.Int.pipe(Schema.withDecodingDefaultKey(Effect.succeed(10)))
      }
      assert.deepStrictEqual(
        yield* inputsOf(SchemaDomain.fields("f", fields, { values: { page: [1], limit: [5, 10] } })),
        [{ limit: 5 }, { limit: 10 }, { page: 1, limit: 5 }, { page: 1, limit: 10 }]
      )
    }))

  it.effect("varies the fields of `order` slowest", () =>
    Effect.gen(function*() {
      const fields = { kind, large: Schema.Boolean, page: Schema.Int }
      const options = { values: { page: [1, 2] }, order: ["page", "large"] as const }
      const inputs = yield* inputsOf(SchemaDomain.fields("f", fields, options))
      assert.deepStrictEqual(inputs.slice(0, 5), [
        { kind: "city", large: false, page: 1 },
        { kind: "river", large: false, page: 1 },
        { kind: "city", large: true, page: 1 },
        { kind: "river", large: true, page: 1 },
        { kind: "city", large: false, page: 2 }
      ])
      assert.isTrue(inputs.every((input) => Object.keys(input).join() === "kind,large,page"))
    }))

  it.effect("says which field of which function is not finite, and what to do (scenario 71)", () =>
    Effect.gen(function*() {
      // Types that cannot tell.
      const fields: Record<string, Schema.Codec<unknown, unknown>> = {
        kind,
        page: Schema.String,
        filter: Schema.Struct({ name: Schema.String })
      }
      const page = yield* reasonOf(SchemaDomain.fields("cities", fields))
      assert.strictEqual(page.function, "cities")
      assert.strictEqual(page.field, "page")
      assert.strictEqual(
        page.message,
        `The domain of "cities", field "page": String has no finite domain: give its values with Precompute.over(…, { values: { page: […] } })`
      )
      const filter = yield* reasonOf(SchemaDomain.fields("cities", fields, { values: { page: ["1"] } }))
      assert.strictEqual(
        filter.message,
        `The domain of "cities", field "filter.name": String has no finite domain: give its values with Precompute.over(…, { values: { filter: […] } })`
      )
    }))

  it.effect("says which given value does not fit its schema", () =>
    Effect.gen(function*() {
      const { field, message } = yield* reasonOf(
        SchemaDomain.fields("f", { kind, page: Schema.Int }, { values: { page: [1, 2.5] } })
      )
      assert.strictEqual(field, "page")
      assert.include(message, "values[1] does not fit its schema: ")
      // Neither a second line nor a name that is not theirs.
      assert.notMatch(message, /\n|"value"/u)
      const unstable = yield* reasonOf(
        SchemaDomain.fields("f", { page: Schema.Symbol }, { values: { page: [Symbol("a")] } })
      )
      assert.include(unstable.message, "a symbol has no stable encoding")
    }))

  it.effect("refuses options for a field that is not there", () =>
    Effect.gen(function*() {
      const order = ["kind", "size" as "kind"] as const
      assert.strictEqual((yield* reasonOf(SchemaDomain.fields("f", { kind }, { order }))).field, "size")
      const values = { kind: ["city"], size: [1] } as const
      assert.strictEqual((yield* reasonOf(SchemaDomain.fields("f", { kind }, { values }))).field, "size")
    }))

  it.effect("asks schemas with the services of whoever makes it", () =>
    Effect.gen(function*() {
      const inputs = inputsOf(SchemaDomain.fields("f", { scaled: Scaled }))
      assert.deepStrictEqual(yield* Effect.provideService(inputs, Factor, 10), [{ scaled: 10 }, { scaled: 20 }])
    }))

  it.effect("has the inputs of a cached function, under as many keys", () =>
    Effect.gen(function*() {
      const executed: Array<unknown> = []
      const fields = { kind, page: Digit, large: Schema.optional(Schema.Boolean) }
      const f = yield* Cached.make(
        "f",
        { input: fields, success: Schema.Null },
        (input) => Effect.as(Effect.sync(() => executed.push(input)), null)
      )
      const inputs = yield* inputsOf(SchemaDomain.fields("f", fields))
      for (const input of [...inputs, ...inputs]) yield* f(input)
      assert.deepStrictEqual(executed, inputs)
    }).pipe(Effect.provide(CacheLive)))
})
