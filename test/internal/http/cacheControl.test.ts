import { assert, describe, it } from "@effect/vitest"
import {
  deltaSeconds,
  formatCacheControl,
  parseCacheControl,
  parseTargetedControl
} from "../../../src/internal/http/cacheControl.ts"

const directives = (value: string | undefined) => Object.fromEntries(parseCacheControl(value))
const targeted = (value: string | undefined) => {
  const parsed = parseTargetedControl(value)
  return parsed === undefined ? undefined : Object.fromEntries(parsed)
}

describe("parseCacheControl", () => {
  it.each<[string | undefined, Record<string, string | undefined>]>([
    [undefined, {}],
    ["", {}],
    [" , ,, ", {}],
    ["no-store", { "no-store": undefined }],
    ["nO-StOrE", { "no-store": undefined }],
    ["MaX-aGe=60", { "max-age": "60" }],
    ["public,max-age=60 ,\t private", { public: undefined, "max-age": "60", private: undefined }],
    ["foobar, max-age=60", { foobar: undefined, "max-age": "60" }],
    ["community=\"UCI\"", { community: "UCI" }],
    ["no-cache=\"set-cookie, x-a\", max-age=1", { "no-cache": "set-cookie, x-a", "max-age": "1" }],
    ["x=\"a \\\"b, c\\\" \\\\\", no-store", { x: "a \"b, c\" \\", "no-store": undefined }],
    ["=5, max-age=1", { "max-age": "1" }],
    ["x==", { x: "=" }],
    ["x=\"\"", { x: "" }],
    // Names that every object has.
    ["constructor, toString=1", { constructor: undefined, tostring: "1" }]
  ])("reads %j", (value, expected) => {
    assert.deepStrictEqual(directives(value), expected)
  })

  it.each<[string, Record<string, string | undefined>]>([
    ["private, private=\"a\"", { private: undefined }],
    ["private=\"a\", private", { private: undefined }],
    ["no-cache=\"a\", no-cache=\"b, c\"", { "no-cache": "a, b, c" }],
    ["max-age=60, max-age=5", { "max-age": "5" }],
    ["max-age=5, max-age=60", { "max-age": "5" }],
    ["max-age=60, max-age=x", { "max-age": "x" }],
    ["max-age, max-age=60", { "max-age": undefined }]
  ])("keeps the most restrictive form in %j", (value, expected) => {
    assert.deepStrictEqual(directives(value), expected)
  })

  it.each([
    "x=\"a, no-store",
    "x=\"a\\\", no-store",
    "\", no-store",
    "x=\"a\" \", no-store"
  ])("does not let a quoted string without an end hide a directive: %j", (value) => {
    assert.isTrue(parseCacheControl(value).has("no-store"))
  })

  it("takes its time in proportion to a hostile field", () => {
    for (const part of ["\"", "\"\\", "\\\"", "a=\"", ",", "a,", " ", "= ", "max-age=1,", "a=\"b\","]) {
      assert.doesNotThrow(() => parseCacheControl(part.repeat(100_000)))
    }
  })
})

describe("deltaSeconds", () => {
  it.each([
    ["max-age=3600", 3600],
    ["max-age=\"3600\"", 3600],
    ["max-age=003600", 3600],
    ["max-age=0", 0],
    ["max-age=2147483647", 2_147_483_647],
    ["max-age=2147483648", 2_147_483_648],
    ["max-age=2147483649", 2_147_483_648],
    ["max-age=99999999999", 2_147_483_648],
    [`max-age=${"9".repeat(400)}`, 2_147_483_648],
    ["max-age=1, extension=\"max-age=3600\"", 1],
    ["extension=\"max-age=3600\", max-age=1", 1],
    ["extension=\"max-age=3600\", max-age=\"1\"", 1],
    ["max-age=\"1\", extension=\"max-age=3600\"", 1],
    ["max-age=1, max-age=1800", 1],
    ["max-age=1800, max-age=1", 1]
  ])("reads %s as %d", (value, seconds) => {
    assert.strictEqual(deltaSeconds(parseCacheControl(value), "max-age"), seconds)
  })

  it.each([
    "max-age",
    "max-age=",
    "max-age=-3600",
    "max-age=+3600",
    "max-age='3600'",
    "max-age=3600.0",
    "max-age=3600.5",
    "max-age=36e2",
    "max-age=0x10",
    "max-age=a3600",
    "max-age=3600a",
    "max-age =3600",
    "max-age= 3600",
    "max-age=\" 3600\"",
    "max-age=3 600",
    "max-age=\"3600",
    "max-age=3600, max-age=a",
    "max-age=\u0663"
  ])("takes %s, which is no number of seconds, for 0", (value) => {
    assert.strictEqual(deltaSeconds(parseCacheControl(value), "max-age"), 0)
  })

  it("tells a directive that is not there from one without a number", () => {
    assert.isUndefined(deltaSeconds(parseCacheControl("s-maxage=1, x=\"max-age=5\""), "max-age"))
  })

  it.each([
    ["max-stale", Infinity],
    ["max-stale=30", 30],
    ["max-stale=x", 0],
    ["min-fresh", 0]
  ])("reads %s of a request as %d", (value, seconds) => {
    assert.strictEqual(deltaSeconds(parseCacheControl(value), value.split("=")[0]!), seconds)
  })
})

describe("parseTargetedControl", () => {
  it.each<[string, Record<string, string | undefined>]>([
    ["max-age=3600", { "max-age": "3600" }],
    ["max-age=99999999999", { "max-age": "99999999999" }],
    ["max-age=-1", { "max-age": "-1" }],
    ["foobar, max-age=3600", { foobar: undefined, "max-age": "3600" }],
    ["no-store", { "no-store": undefined }],
    ["private, no-cache=\"a, b\"", { private: undefined, "no-cache": "a, b" }],
    ["max-age=60;x=1, must-revalidate;y", { "max-age": "60", "must-revalidate": undefined }],
    ["no-store=?0, max-age=1", { "max-age": "1" }],
    ["x=1.5, y=(a b)", { x: "1.5", y: "(a b)" }],
    ["max-age=60, max-age=5", { "max-age": "5" }]
  ])("reads %j", (value, expected) => {
    assert.deepStrictEqual(targeted(value), expected)
  })

  it.each([
    undefined,
    "",
    "   ",
    "max-age=10000, &&&&&",
    "max-age=\"10000\"",
    "max-age=10000.0",
    "max-age",
    "s-maxage=x",
    "stale-if-error=?1",
    "MaX-aGe=3600",
    "max-age =100",
    "max-age= 100",
    "max-age=1000000000000000",
    "no-store,"
  ])("ignores %j as a whole", (value) => {
    assert.isUndefined(targeted(value))
  })
})

describe("formatCacheControl", () => {
  it("writes the directives that are there, in their order", () => {
    assert.strictEqual(
      formatCacheControl({
        private: true,
        "no-cache": false,
        "max-age": 60.9,
        "s-maxage": undefined,
        "stale-if-error": Infinity,
        x: "token",
        y: "a, \"b\"",
        z: "",
        "stale-while-revalidate": -1
      }),
      "private, max-age=60, stale-if-error=2147483648, x=token, y=\"a, \\\"b\\\"\", z=\"\", stale-while-revalidate=0"
    )
    assert.strictEqual(formatCacheControl({}), "")
  })

  it("is undone by reading it", () => {
    assert.deepStrictEqual(
      directives(formatCacheControl({ private: "a, b", "max-age": 5, c: "\\", "no-store": true })),
      {
        private: "a, b",
        "max-age": "5",
        c: "\\",
        "no-store": undefined
      }
    )
  })
})

describe("a malformed Cache-Control", () => {
  it.each([
    ["no-store; max-age=60", "no-store"],
    ["private; max-age=0", "private"],
    ["max-age=60; private=\"x\"", "private"],
    ["\"no-store\"", "no-store"],
    ["max-age=60; No-Store", "no-store"],
    ["max-age=\"60, no-store", "no-store"],
    ["public; no-cache", "no-cache"]
  ])("forbids what it seems to: %s", (field, name) => {
    const directives = parseCacheControl(field)
    assert.isTrue(directives.has(name))
    assert.isUndefined(directives.get(name))
  })

  it.each(["x=\"a, no-store; private\"", "my-no-store", "max-age=60", ", ,", "x=private", "a=b=c"])(
    "forbids nothing that is not there: %s",
    (field) => {
      for (const name of ["no-store", "private", "no-cache"]) assert.isFalse(parseCacheControl(field).has(name))
    }
  )

  it("takes no time that grows faster than its length", () => {
    for (const part of ["a=\"", "a=\"\\", "a ", "; ", "no-store;", "\"\\\""]) {
      assert.isDefined(parseCacheControl(part.repeat(50_000)))
    }
  })
})
