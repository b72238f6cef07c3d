import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { prettyJson, prettyText } from "../../../src/internal/jsonFile/prettyJson.ts"

// Not the name of one backslash: where JSON.parse of node 24 has made an object with that name, it later takes any name that
// starts with an escape for it. `JSON.parse('{"\\n":[]}')` then has the name "\\", whatever this library does.
const Name = Schema.String.check(Schema.isPattern(/^(?!\\$)["\\,:{}[\] \nan]{0,30}$/))
const Text = Schema.String.check(Schema.isPattern(/^["\\,:{}[\] \nan]{0,30}$/))

describe("prettyJson", () => {
  it.each([
    [1, "1"],
    ["a,b:{}", "\"a,b:{}\""],
    [[], "[]"],
    [{}, "{}"],
    [{ a: {}, b: [] }, "{ \"a\": {}, \"b\": [] }"],
    [{ a: 1, b: [1, 2] }, "{ \"a\": 1, \"b\": [1, 2] }"],
    [[[1], { a: "}" }], "[[1], { \"a\": \"}\" }]"]
  ])("writes what is short on one line: %o", (value, text) => {
    assert.strictEqual(prettyJson(value, 0), text)
  })

  it("breaks what is wider than 100 columns, with its indentation and the comma after it", () => {
    const fits = ["x".repeat(95)]
    assert.strictEqual(prettyJson(fits, 0), `["${"x".repeat(95)}"]`)
    assert.strictEqual(prettyJson(fits, 1), `[\n   "${"x".repeat(95)}"\n ]`)
    assert.strictEqual(prettyText(JSON.stringify(fits), 0, 1), `[\n  "${"x".repeat(95)}"\n]`)
    assert.strictEqual(prettyJson({ a: fits, b: 1 }, 0), `{\n  "a": [\n    "${"x".repeat(95)}"\n  ],\n  "b": 1\n}`)
  })

  it("puts as many numbers on a line as fit, and each text on its own", () => {
    const lines = prettyJson(Array.from({ length: 100 }, (_, n) => n), 4).split("\n")
    assert.deepStrictEqual(lines.map((line) => line.length <= 100), lines.map(() => true))
    assert.strictEqual(lines.length, 7)
    assert.strictEqual(prettyJson(Array.from({ length: 30 }, String), 0).split("\n").length, 32)
  })

  it.prop("comes back, is the same again, and only strings and names are too wide", [
    Schema.Json,
    Schema.Array(Schema.Record(Name, Schema.Array(Schema.NullOr(Text)))),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))
  ], ([json, texts, indent]) => {
    for (const value of [json, texts, { texts, json }]) {
      const text = prettyJson(value, indent)
      assert.strictEqual(JSON.stringify(JSON.parse(text)), JSON.stringify(value))
      assert.strictEqual(prettyJson(JSON.parse(text), indent), text)
      for (const line of text.split("\n")) {
        assert.isTrue(line.length <= 100 || !/^ *(\{ |\[.)/.test(line), line)
      }
    }
  }, { arbitrary: { runs: 500 } })

  it("writes a value that is nested as deep as JSON.stringify can, without growing beyond it", () => {
    const depth = 3000
    const text = "[1,".repeat(depth) + "{\"a\":[]}" + "]".repeat(depth)
    const pretty = prettyText(text, 8, 8)
    assert.strictEqual(JSON.stringify(JSON.parse(pretty)), text)
    assert.isBelow(pretty.length, text.length * 2)
  })

  it("writes text that is nested deeper than any call could go", () => {
    const depth = 200_000
    const text = "[".repeat(depth) + "]".repeat(depth)
    assert.strictEqual(prettyText(text, 0, 0).replaceAll(/\s/g, ""), text)
  })
})
