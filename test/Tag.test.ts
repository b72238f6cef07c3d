import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema, SchemaGetter } from "effect"
import { Cached, invalidate, Tag, tag } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { escapeSegment } from "../src/internal/tagText.ts"

// Short, so that no tag gets too long when every byte is escaped.
const Value = Schema.Union([
  Schema.String.check(Schema.isMaxLength(4)),
  Schema.Literals(["", ":", "a:b", "%3A", "a", "b", "{", "}", "\0", "\ud800"]),
  Schema.Int,
  Schema.Boolean
])

describe("tag", () => {
  it("makes a tag of a template", () => {
    assert.strictEqual(tag`users`, "users")
    assert.strictEqual(tag`user:${7}`, "user:7")
    assert.strictEqual(tag`user:${7}:orders`, "user:7:orders")
    assert.strictEqual(tag`${"eu"}:user:${7n}:${true}`, "eu:user:7:true")
    assert.strictEqual(tag`${"eu"}`, "eu")
  })

  it.effect.each([
    "6f1b7c3e-0000-4000-8000-1234567890ab",
    "ada.lovelace+cache@example.org",
    "a:b",
    "a::b:",
    "://",
    "",
    " ",
    "100%",
    "%3A",
    "../../etc/passwd",
    "日本語",
    "😀",
    "line\nfeed",
    "{id}",
    "a{the value of interpolation 1}b"
  ])("makes exactly one segment of %j (scenario 12)", (value) =>
    Effect.gen(function*() {
      const made = tag`user:${value}:orders`
      assert.strictEqual(yield* Tag.parse(made), made)
      const [first, , last, ...rest] = made.split(":")
      assert.deepStrictEqual([first, last, ...rest], ["user", "orders"])
    }))

  it.effect.prop("makes one well-formed segment of every value, and leaves the hierarchy as it is", [
    Value,
    Value,
    Value
  ], ([a, b, c]) =>
    Effect.gen(function*() {
      const made = tag`${a}:x:${b}:${c}:y`
      assert.strictEqual(yield* Tag.parse(made), made)
      const segments = [a, "x", b, c, "y"].map((value) => escapeSegment(String(value)))
      assert.deepStrictEqual(made.split(":"), segments)
    }), { arbitrary: { runs: 1000 } })

  it.prop("makes different tags of different lists of values", [Value, Value, Value, Value], ([a, b, c, d]) => {
    assert.strictEqual(tag`x:${a}:${b}` === tag`x:${c}:${d}`, String(a) === String(c) && String(b) === String(d))
  }, { arbitrary: { runs: 2000 } })

  const pieces = ["", "a", "b", ":", "::", "a:b", "%3A"]
  const Piece = Arbitrary.map(
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: pieces.length - 1 }))),
    (index) => pieces[index]!
  )
  it.prop("makes different tags of values that are alike when they are joined", [Piece, Piece, Piece, Piece], ([
    a,
    b,
    c,
    d
  ]) => {
    assert.strictEqual(tag`x:${a}:${b}` === tag`x:${c}:${d}`, a === c && b === d)
  }, { arbitrary: { runs: 2000 } })

  it.effect.each<readonly [string, Tag.Tag, number]>([
    ["in front of a text", tag`user:${7}s`, 1],
    ["behind a text", tag`user-${7}`, 1],
    ["next to another", tag`user:${7}${8}`, 1],
    ["at second place", tag`user:${7}:${8}x`, 2]
  ])("has no tag for a value that is only a part of a segment, %s", ([, made, index]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Tag.parse(made))
      assert.strictEqual(error.reason._tag, "TagError")
      assert.include(error.message, `the value of interpolation ${index} is only a part of its segment`)
    }))

  it.effect("never throws: a malformed literal is refused by whoever receives the tag (scenario 11)", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(invalidate(tag`user ${7}`))
      assert.strictEqual(error.reason._tag, "TagError")
      const empty = yield* Effect.flip(invalidate(tag`user::${7}`))
      assert.include(empty.message, "empty segment")
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("Tag.family", () => {
  const Orders = Tag.family("user", { user: Schema.Number, order: Schema.String })

  it("makes a tag of its name and of each field, in the order in which the fields are written", () => {
    assert.strictEqual(Orders({ user: 7, order: "x" }), "user:7:x")
    assert.strictEqual(Orders({ order: "x", user: 7 }), "user:7:x")
    assert.strictEqual(Orders.all, "user")
  })

  it("makes exactly one segment of every value (scenario 12)", () => {
    assert.strictEqual(Orders({ user: -1.5, order: "2026/11:a" }), "user:-1.5:2026%2F11%3Aa")
  })

  it("writes values as their schemas encode them", () => {
    class Color extends Schema.Class<Color>("Color")({ name: Schema.String }) {}
    const ColorName = Schema.String.pipe(Schema.decodeTo(Color, {
      decode: SchemaGetter.transform((name: string) => ({ name })),
      encode: SchemaGetter.transform((color: { readonly name: string }) => color.name)
    }))
    const Events = Tag.family("events", { at: Schema.DateFromString, color: ColorName })
    assert.strictEqual(
      Events({ at: new Date(0), color: new Color({ name: "red" }) }),
      "events:1970-01-01T00%3A00%3A00.000Z:red"
    )
  })

  it.effect.prop("makes well-formed tags, different for different values", [
    Schema.Struct({ user: Schema.Number, order: Schema.String.check(Schema.isMaxLength(8)) }),
    Schema.Struct({ user: Schema.Number, order: Schema.String.check(Schema.isMaxLength(8)) })
  ], ([a, b]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Tag.parse(Orders(a)), Orders(a))
      const equal = String(a.user) === String(b.user) && a.order === b.order
      assert.strictEqual(Orders(a) === Orders(b), equal)
      assert.strictEqual(Orders(a) === Orders({ ...b, user: a.user }), a.order === b.order)
    }), { arbitrary: { runs: 500 } })

  it.effect("has no tag for a value that does not fit its schema, and names the field (scenario 11)", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Tag.parse(Orders({ user: "7" as never, order: "x" })))
      assert.strictEqual(error.reason._tag, "TagError")
      assert.include(error.message, "the value of field \"user\" does not fit its schema: Expected number")
      const missing = yield* Effect.flip(Tag.parse(Orders({ user: 7 } as never)))
      assert.include(missing.message, "the value of field \"order\" does not fit its schema")
    }))

  it.effect("stands above all its tags with `all`", () =>
    Effect.gen(function*() {
      const order = yield* Cached.make("order", {
        input: { user: Schema.Number, order: Schema.String },
        success: Schema.String,
        deps: (input) => [Orders(input)]
      }, ({ order }) => Effect.succeed(order))
      yield* order({ user: 7, order: "a:b" })
      yield* order({ user: 8, order: "c" })
      yield* invalidate(Orders.all)
      yield* order({ user: 7, order: "a:b" })
      yield* order({ user: 8, order: "c" })
      const test = yield* CacheTest.CacheTest
      assert.deepStrictEqual(yield* test.hits, [])
      assert.lengthOf(yield* test.misses, 4)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("Tag.parse", () => {
  it.effect("returns a text that is a tag", () =>
    Effect.gen(function*() {
      const parsed: Tag.Tag = yield* Tag.parse("user:7:orders")
      assert.strictEqual(parsed, "user:7:orders")
    }))

  it.effect.each<readonly [string, string]>([
    ["", "it is empty"],
    [":a", "it starts with ':'"],
    ["a:", "it ends with ':'"],
    ["a::b", "it has an empty segment ('::')"],
    ["a b", "character \" \" at index 1 is not allowed"],
    ["a%zz", "character \"%\" at index 1 is not allowed"],
    ["x".repeat(257), "it has 257 bytes, the most is 256"],
    [Array.from({ length: 18 }, () => "a").join(":"), "it has 18 segments, the most is 17"]
  ])("fails for %j with the reason (scenario 11)", ([text, reason]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Tag.parse(text))
      assert.strictEqual(error._tag, "CacheError")
      assert.strictEqual(error.reason._tag, "TagError")
      if (error.reason._tag === "TagError") assert.strictEqual(error.reason.tag, text)
      assert.include(error.message, `Tag ${JSON.stringify(text)} is malformed: ${reason}`)
    }))

  it.effect("does not repeat a huge text in its message", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Tag.parse("x".repeat(1_000_000)))
      assert.isBelow(error.message.length, 1000)
    }))
})

describe("malformed tags", () => {
  it.effect("make invalidate fail before anything is invalidated (scenario 11)", () =>
    Effect.gen(function*() {
      const f = yield* Cached.make("f", { success: Schema.Number, deps: () => ["good"] }, () => Effect.succeed(1))
      yield* f()
      const error = yield* Effect.flip(invalidate("good", "a::b"))
      assert.strictEqual(error.reason._tag, "TagError")
      yield* f()
      const test = yield* CacheTest.CacheTest
      assert.deepStrictEqual(yield* test.hits, ["f {}"])
      assert.deepStrictEqual(yield* test.invalidated, [])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("are selected by their reason", () =>
    invalidate("a b").pipe(
      Effect.as("invalidated"),
      Effect.catchReason("CacheError", "TagError", (reason) => Effect.succeed(reason.tag)),
      Effect.map((tag) => assert.strictEqual(tag, "a b")),
      Effect.provide(CacheTest.layer)
    ))

  it.effect("that a user could only write to reach implicit tags are refused", () =>
    Effect.gen(function*() {
      for (const text of ["%fn", "%fn:f", "%fn:f:%00", "%sha00"]) {
        const error = yield* Effect.flip(invalidate(text))
        assert.strictEqual(error.reason._tag, "TagError")
      }
    }).pipe(Effect.provide(CacheTest.layer)))
})
