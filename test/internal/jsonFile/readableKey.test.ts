import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { canonicalUnsafe } from "../../../src/internal/canonical.ts"
import { fromReadable, toReadable } from "../../../src/internal/jsonFile/readableKey.ts"

// Small and full of separators, so that texts that could be mistaken for one another come up.
const Text = Schema.String.check(Schema.isPattern(/^["\\,:{}[\]()=| \tan1_.-]{0,8}$/))
const Word = Schema.Literals([
  "",
  "a",
  "AF",
  "true",
  "null",
  "undefined",
  "NaN",
  "Infinity",
  "-Infinity",
  "None",
  "1",
  "1n",
  "New York",
  "a=b",
  "a, b=c",
  " | ",
  "__proto__",
  "constructor",
  "São",
  "\ud800"
])
const Value = Schema.Union([
  Word,
  Text,
  Schema.Number,
  Schema.BigInt,
  Schema.Boolean,
  Schema.Null,
  Schema.Undefined,
  Schema.Array(Word),
  Schema.Record(Word, Schema.NullOr(Word))
])

// As keys are made: the names sorted, then the values.
const keyOf = (fields: ReadonlyArray<readonly [string, unknown]>): string => {
  const values = new Map(fields)
  const names = Array.from(values.keys()).toSorted()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalUnsafe(values.get(name))}`).join(",")}}`
}

const Fields = Arbitrary.schema(Schema.Array(Schema.Tuple([Schema.Union([Word, Text]), Value])))

const examples: ReadonlyArray<readonly [rest: string, readable: string]> = [
  ["{\"continent\":\"AF\",\"limit\":10,\"measure\":\"cities\"}", "continent=AF, limit=10, measure=cities"],
  ["{\"user\":7}\t\"ada\"", "user=7 | \"ada\""],
  ["{\"user\":7}\t[[\"header:accept\",\"a|b, c\"]]", "user=7 | [[\"header:accept\",\"a|b, c\"]]"],
  ["{\"user\":7}\t\"ada\"\t[1]", "user=7 | \"ada\" | [1]"],
  ["{}", "()"],
  ["{}\t\"ada\"", "() | \"ada\""],
  ["{\"a\":\"true\",\"b\":true}", "a=\"true\", b=true"],
  ["{\"a\":\"None\",\"b\":None}", "a=\"None\", b=None"],
  ["{\"a\":\"10\",\"b\":10,\"c\":10n}", "a=\"10\", b=10, c=10n"],
  ["{\"a\":undefined,\"b\":null,\"c\":-0,\"d\":NaN}", "a=undefined, b=null, c=-0, d=NaN"],
  ["{\"city\":\"New York\"}", "city=\"New York\""],
  ["{\"a b\":1}", "\"a b\"=1"],
  ["{\"filter\":{\"from\":1,\"to\":[1,2]}}", "filter={\"from\":1,\"to\":[1,2]}"],
  ["{\"at\":Date(5),\"b\":Some(\"x\")}", "at=Date(5), b=Some(\"x\")"],
  ["{\"__proto__\":1}", "__proto__=1"],
  ["anything", "anything"],
  ["a=1", "=a=1"],
  ["=a", "==a"],
  ["()", "=()"],
  ["", "="],
  ["{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2}"],
  ["{\"a\":1}trailing", "{\"a\":1}trailing"],
  ["{\"a\":", "{\"a\":"]
]

describe("toReadable", () => {
  it.each(examples)("writes %s as %s", (rest, readable) => {
    assert.strictEqual(toReadable(rest), readable)
    assert.strictEqual(fromReadable(readable), rest)
  })

  it.prop("comes back from the readable form of any text", [Schema.Union([Text, Schema.String])], ([text]) => {
    assert.strictEqual(fromReadable(toReadable(text)), text)
  }, { arbitrary: { runs: 2000 } })

  it.prop("comes back from texts that look like readable keys", [Schema.Array(Text)], ([parts]) => {
    for (const text of [parts.join("="), parts.join(", "), `{${parts.join(",")}}`, parts.join(" | ")]) {
      assert.strictEqual(fromReadable(toReadable(text)), text)
    }
  }, { arbitrary: { runs: 2000 } })

  it.prop("writes every input as name=value, and it comes back", [Fields, Value], ([fields, varied]) => {
    for (const rest of [keyOf(fields), `${keyOf(fields)}\t${canonicalUnsafe(varied)}`]) {
      const readable = toReadable(rest)
      assert.strictEqual(fromReadable(readable), rest)
      assert.isFalse(readable.startsWith("{") || readable.startsWith("=") && !readable.startsWith("=="), readable)
      assert.notStrictEqual(readable, "")
    }
  }, { arbitrary: { runs: 2000 } })
})

describe("fromReadable", () => {
  it.each([
    ["measure=cities, continent=AF", "{\"continent\":\"AF\",\"measure\":\"cities\"}"],
    ["continent=AF,measure=cities", "{\"continent\":\"AF\",\"measure\":\"cities\"}"],
    ["  continent = \"AF\" ,  measure=cities  ", "{\"continent\":\"AF\",\"measure\":\"cities\"}"],
    ["limit=010", "{\"limit\":10}"],
    ["limit=1.0", "{\"limit\":1}"],
    ["city=New York", "{\"city\":\"New York\"}"],
    ["ids=[1, 2]", "{\"ids\":[1,2]}"],
    ["filter={ \"to\": 2, \"from\": 1 }", "{\"filter\":{\"from\":1,\"to\":2}}"],
    ["user=7|ada", "{\"user\":7}\t\"ada\""],
    ["( )", "( )"],
    ["() | 1", "{}\t1"],
    ["a=1, a=2", "a=1, a=2"],
    ["a=1,", "a=1,"],
    ["a=", "a="],
    ["a=\"x", "a=\"x"],
    ["a=1]", "a=1]"],
    ["a=1 |", "a=1 |"]
  ])("reads what a person wrote: %s", (written, rest) => {
    assert.strictEqual(fromReadable(written), rest)
  })
})
