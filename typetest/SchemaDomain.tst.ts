import { Context, Effect, Schema, SchemaGetter } from "effect"
import { type CacheError, SchemaDomain } from "effect-cached"
import { describe, expect, test } from "tstyche"

class Point extends Schema.Class<Point>("Point")({ x: Schema.Literals([1, 2]), y: Schema.Boolean }) {}

interface Category {
  readonly name: "a" | "b"
  readonly below?: Category
}

declare enum Direction {
  Up = 0,
  Down = 1
}

type Name = string & { readonly Name: true }

describe("SchemaDomain.IsFinite", () => {
  test("is true for what has finitely many values", () => {
    expect<SchemaDomain.IsFinite<never>>().type.toBe<true>()
    expect<SchemaDomain.IsFinite<"a" | 1 | 2n | true | null | undefined | void>>().type.toBe<true>()
    expect<SchemaDomain.IsFinite<boolean>>().type.toBe<true>()
    expect<SchemaDomain.IsFinite<Direction>>().type.toBe<true>()
    expect<SchemaDomain.IsFinite<`${"a" | "b"}-${1 | 2}`>>().type.toBe<true>()
    expect<SchemaDomain.IsFinite<{ readonly a: "x"; readonly b?: { readonly c: boolean } | undefined }>>().type.toBe<
      true
    >()
    expect<SchemaDomain.IsFinite<{}>>().type.toBe<true>()
    expect<SchemaDomain.IsFinite<readonly ["a" | "b", boolean?]>>().type.toBe<true>()
    expect<SchemaDomain.IsFinite<readonly []>>().type.toBe<true>()
    expect<SchemaDomain.IsFinite<{ readonly [K in "a" | "b"]: boolean }>>().type.toBe<true>()
  })

  test("is false for what has infinitely many, at any depth", () => {
    expect<SchemaDomain.IsFinite<string>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<number>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<bigint>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<symbol>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<unknown>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<Name>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<Date>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<() => void>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<`a-${string}`>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<null | number>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<ReadonlyArray<"a">>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<readonly ["a", ...ReadonlyArray<"b">]>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<readonly ["a", string?]>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<{ readonly a?: { readonly b: number } }>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<{ readonly [name: string]: "a" }>>().type.toBe<false>()
    expect<SchemaDomain.IsFinite<{ readonly [name: `a-${string}`]: "a"; readonly b: "c" }>>().type.toBe<false>()
  })

  test("is true where types do not tell", () => {
    expect<SchemaDomain.IsFinite<any>>().type.toBe<true>()
    expect<SchemaDomain.IsFinite<Category>>().type.toBe<true>()
  })
})

describe("SchemaDomain.make", () => {
  test("has the decoded values", () => {
    expect(SchemaDomain.make(Schema.NullOr(Schema.Literals(["a", "b"])))).type.toBe<
      Effect.Effect<SchemaDomain.SchemaDomain<"a" | "b" | null>, CacheError.CacheError>
    >()
    expect(SchemaDomain.make(Point)).type.toBe<
      Effect.Effect<SchemaDomain.SchemaDomain<Point>, CacheError.CacheError>
    >()
  })
})

describe("SchemaDomain.fields", () => {
  const kind = Schema.Literals(["city", "river"])
  const page = Schema.NumberFromString

  test("has the decoded inputs", () => {
    const made = SchemaDomain.fields("f", { kind, page, large: Schema.optionalKey(Schema.Boolean), at: Point }, {
      values: { page: [1, 2] }
    })
    expect(made).type.toBe<
      Effect.Effect<
        SchemaDomain.SchemaDomain<
          { readonly kind: "city" | "river"; readonly page: number; readonly large?: boolean; readonly at: Point }
        >,
        CacheError.CacheError
      >
    >()
  })

  test("does not compile where a field is infinite and has no values, and names it (scenario 71)", () => {
    // @ts-expect-error the field page has no finite domain: give its values in 'values'
    void SchemaDomain.fields("f", { kind, page })
    // @ts-expect-error the field page has no finite domain: give its values in 'values'
    void SchemaDomain.fields("f", { kind, page }, {})
    // @ts-expect-error the field page has no finite domain: give its values in 'values'
    void SchemaDomain.fields("f", { kind, page }, { values: { kind: ["city"] } })
    // @ts-expect-error the field filter has no finite domain: give its values in 'values'
    void SchemaDomain.fields("f", { filter: Schema.Struct({ names: Schema.Array(kind) }) })
    expect<SchemaDomain.InfiniteFields<{ kind: typeof kind; page: typeof page }>>().type.toBe<"page">()
    expect<SchemaDomain.InfiniteFields<{ kind: typeof kind; page: typeof page }, { page: [1] }>>().type.toBe<never>()
  })

  test("takes literals that are only known at run time", () => {
    const codes: ReadonlyArray<string> = ["AF", "EU"]
    const code = Schema.Literals(codes)
    void SchemaDomain.fields("f", { code, maybe: Schema.optional(code), key: Schema.optionalKey(code) })
    expect<SchemaDomain.InfiniteFields<{ code: typeof code; page: typeof page }>>().type.toBe<"page">()
  })

  test("leaves to the runtime what types do not tell", () => {
    const erased: Schema.Struct.Fields = { kind, page }
    void SchemaDomain.fields("f", erased)
    void SchemaDomain.fields("f", { page: page as Schema.Codec<any, any> })
  })

  test("takes values of the decoded type, and orders declared fields", () => {
    // @ts-expect-error Type 'string' is not assignable to type 'number'
    void SchemaDomain.fields("f", { page }, { values: { page: ["1"] } })
    // @ts-expect-error Type '"lake"' is not assignable to type '"city" | "river"'
    void SchemaDomain.fields("f", { kind }, { values: { kind: ["lake"] } })
    // @ts-expect-error Type '"size"' is not assignable to type '"kind"'
    void SchemaDomain.fields("f", { kind }, { order: ["size"] })
    // @ts-expect-error 'size' does not exist
    void SchemaDomain.fields("f", { kind }, { values: { size: [1] } })
  })

  test("needs the services of the schemas", () => {
    class Factor extends Context.Service<Factor, number>()("typetest/Factor") {}
    const scaled = kind.pipe(
      Schema.decodeTo(Schema.Number, {
        decode: SchemaGetter.transformEffect(() => Factor),
        encode: SchemaGetter.succeed("city")
      })
    )
    const made = SchemaDomain.fields("f", { scaled })
    expect<Effect.Services<typeof made>>().type.toBe<Factor>()
    expect<Effect.Services<ReturnType<typeof SchemaDomain.make<typeof scaled>>>>().type.toBe<Factor>()
  })
})
