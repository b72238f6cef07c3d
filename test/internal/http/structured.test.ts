import { assert, describe, it } from "@effect/vitest"
import { formatString, parseDictionary } from "../../../src/internal/http/structured.ts"

describe("parseDictionary", () => {
  it.each<[string, Array<[string, unknown]>]>([
    ["", []],
    ["   ", []],
    ["a", [["a", true]]],
    [" a ", [["a", true]]],
    ["a=1", [["a", 1]]],
    ["a=-1", [["a", -1]]],
    ["a=999999999999999", [["a", 999_999_999_999_999]]],
    ["a=1.5", [["a", { text: "1.5" }]]],
    ["a=1.0", [["a", { text: "1.0" }]]],
    ["a=?0, b=?1", [["a", false], ["b", true]]],
    ["a=token:/x", [["a", "token:/x"]]],
    ["a=\"x, \\\"y\\\" \\\\\"", [["a", "x, \"y\" \\"]]],
    ["a=:aGk=:", [["a", { text: ":aGk=:" }]]],
    ["a=@1659578233", [["a", { text: "@1659578233" }]]],
    ["a=%\"caf%c3%a9\"", [["a", { text: "%\"caf%c3%a9\"" }]]],
    ["a=(1 \"b\";c=2 d);e, f", [["a", { text: "(1 \"b\";c=2 d)" }], ["f", true]]],
    ["a=()", [["a", { text: "()" }]]],
    ["a;x;y=1; z=\"b,c\", d", [["a", true], ["d", true]]],
    ["a\t,\t b", [["a", true], ["b", true]]],
    ["*a-b_c.d=1", [["*a-b_c.d", 1]]],
    // The last one counts, where the first one stood.
    ["a=1, b, a=2", [["a", 2], ["b", true]]]
  ])("reads %j", (text, members) => {
    assert.deepStrictEqual(Array.from(parseDictionary(text)!), members)
  })

  it.each([
    "A",
    "a=",
    "a =1",
    "a= 1",
    "a=1.",
    "a=.5",
    "a=1.2345",
    "a=1000000000000000",
    "a=1a",
    "a=--1",
    "a=?2",
    "a=\"x",
    "a=\"\\x\"",
    "a=\"caf\u00e9\"",
    "a=(1",
    "a=(1,2)",
    "a,",
    ",a",
    "a,,b",
    "a;",
    "a b",
    "a, &&&&&",
    "a=\u00e9"
  ])("knows that %j is none", (text) => {
    assert.isUndefined(parseDictionary(text))
  })

  it("takes its time in proportion to a hostile field", () => {
    for (const part of ["a", "a,", "\"", "a=\"", "a=\"\\\"", "a=(", "a=(a ", "a;b", "a;b=", "a=1;", " ", "9"]) {
      assert.doesNotThrow(() => parseDictionary(part.repeat(50_000)))
      assert.doesNotThrow(() => parseDictionary(`a=(${part.repeat(50_000)}`))
    }
  })
})

describe("formatString", () => {
  it.each([
    ["", "\"\""],
    ["a b:c=[1]~", "\"a b:c=[1]~\""],
    ["\"\\", "\"\\\"\\\\\""],
    ["a\tb\n", "\"a%09b%0A\""],
    ["caf\u00e9 \u{1f600}", "\"caf%C3%A9 %F0%9F%98%80\""],
    ["50%", "\"50%25\""],
    ["\ud800", "\"%EF%BF%BD\""]
  ])("writes %j as %s", (text, formatted) => {
    assert.strictEqual(formatString(text), formatted)
  })

  it("gives two texts that have a UTF-8 form different forms, and is undone by percent-decoding", () => {
    const text = Array.from({ length: 0x17f }, (_, code) => String.fromCodePoint(code)).join("") + "%22%5C"
    const formatted = formatString(text)
    assert.match(formatted, /^"(?:[ !#-[\]-~]|\\["\\])*"$/)
    assert.strictEqual(decodeURIComponent(formatted.slice(1, -1).replaceAll(/\\(.)/g, "$1")), text)
  })
})
