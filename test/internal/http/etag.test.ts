import { assert, describe, it } from "@effect/vitest"
import { matches } from "../../../src/internal/http/etag.ts"

describe("matches", () => {
  it.each([
    ["*", "\"a\""],
    [" * ", "\"a\""],
    ["\"a\"", "\"a\""],
    ["W/\"a\"", "\"a\""],
    ["\"a\"", "W/\"a\""],
    ["W/\"a\"", "W/\"a\""],
    ["\"b\", \"a\"", "\"a\""],
    ["\"b\",\"a\"", "\"a\""],
    ["\"b\" ,\t\"a\" , W/\"c\"", "\"a\""],
    ["\"x,y\", \"a\"", "\"a\""],
    ["\"x,y\"", "\"x,y\""],
    ["\"\"", "\"\""],
    ["\"\u00e9\"", "\"\u00e9\""]
  ])("says that %s names %s", (field, etag) => {
    assert.isTrue(matches(field, etag))
  })

  it.each([
    ["", "\"a\""],
    ["a", "\"a\""],
    ["\"A\"", "\"a\""],
    ["\"a", "\"a\""],
    ["a\"", "\"a\""],
    ["\"a \"", "\"a\""],
    ["\"x,a,y\"", "\"a\""],
    ["\"*\"", "\"a\""],
    ["**", "\"a\""],
    ["w/\"b\"", "\"a\""],
    ["W/", "\"a\""],
    [",,,", "\"a\""]
  ])("says that %s does not name %s", (field, etag) => {
    assert.isFalse(matches(field, etag))
  })

  it("takes its time in proportion to a hostile field", () => {
    for (const field of ["\"".repeat(100_000), "W/".repeat(100_000), "W/\"".repeat(50_000), "\"a\",".repeat(50_000)]) {
      assert.isFalse(matches(field, "\"b\""))
    }
  })
})
