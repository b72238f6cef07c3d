import { Effect, Schema } from "effect"
import { addDeps, type CacheError, clear, invalidate, ResultCache, Tag, tag, untracked } from "effect-cached"
import { describe, expect, test } from "tstyche"

describe("tag", () => {
  test("takes texts, numbers, bigints and booleans", () => {
    expect(tag`user:${"a"}:${1}:${1n}:${true}`).type.toBe<Tag.Tag>()
  })

  const literals = Object.assign(["user:", ""], { raw: ["user:", ""] })

  test("rejects values that would be written as [object Object], null or undefined", () => {
    expect(tag).type.toBeCallableWith(literals, 1)
    expect(tag).type.not.toBeCallableWith(literals, {})
    expect(tag).type.not.toBeCallableWith(literals, null)
    expect(tag).type.not.toBeCallableWith(literals, undefined)
    expect(tag).type.not.toBeCallableWith(literals, new Date(0))
    expect(tag).type.not.toBeCallableWith(literals, ["a"])
    expect(tag).type.not.toBeCallableWith(literals, Symbol("s"))
  })

  test("is a text, and a text is accepted where a tag is", () => {
    expect<Tag.Tag>().type.toBeAssignableTo<string>()
    expect<string>().type.not.toBeAssignableTo<Tag.Tag>()
    expect<Tag.Input>().type.toBeAssignableFrom<string>()
    expect<Tag.Input>().type.toBeAssignableFrom<Tag.Tag>()
  })
})

describe("Tag.family", () => {
  const Orders = Tag.family("user", { user: Schema.Number, at: Schema.DateFromString })

  test("takes the decoded values of all its fields", () => {
    expect(Orders({ user: 7, at: new Date(0) })).type.toBe<Tag.Tag>()
    expect(Orders.all).type.toBe<Tag.Tag>()
    expect(Orders).type.not.toBeCallableWith({ user: 7 })
    expect(Orders).type.not.toBeCallableWith({ user: "7", at: new Date(0) })
    expect(Orders).type.not.toBeCallableWith({ user: 7, at: "1970-01-01" })
    expect(Orders).type.not.toBeCallableWith({ user: 7, at: new Date(0), order: 1 })
  })

  test("takes only fields whose encoded side can stand in a tag", () => {
    expect(Tag.family).type.toBeCallableWith("x", { a: Schema.Literals(["a", "b"]), b: Schema.BigInt })
    expect(Tag.family).type.not.toBeCallableWith("x", { a: Schema.Date })
    expect(Tag.family).type.not.toBeCallableWith("x", { a: Schema.Struct({}) })
    expect(Tag.family).type.not.toBeCallableWith("x", { a: Schema.NullOr(Schema.String) })
  })
})

describe("operations on tags", () => {
  test("take tags and texts", () => {
    expect(invalidate(tag`user:${7}`, "users")).type.toBe<
      Effect.Effect<void, CacheError.CacheError, ResultCache.ResultCache>
    >()
    expect(addDeps(tag`user:${7}`, "users")).type.toBe<Effect.Effect<void>>()
    expect(Tag.parse("user:7")).type.toBe<Effect.Effect<Tag.Tag, CacheError.CacheError>>()
    expect(clear).type.toBe<Effect.Effect<void, CacheError.CacheError, ResultCache.ResultCache>>()
  })

  test("reject what is neither", () => {
    expect(invalidate).type.not.toBeCallableWith(7)
    expect(invalidate).type.not.toBeCallableWith(["user:7"])
    expect(invalidate).type.not.toBeCallableWith(undefined)
    expect(addDeps).type.not.toBeCallableWith(7)
    expect(addDeps).type.not.toBeCallableWith(["user:7"])
  })

  test("untracked changes no type", () => {
    const effect = Effect.succeed(1) as Effect.Effect<number, "error", ResultCache.ResultCache>
    expect(untracked(effect)).type.toBe<Effect.Effect<number, "error", ResultCache.ResultCache>>()
  })
})
