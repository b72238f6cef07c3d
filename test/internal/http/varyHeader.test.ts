import { assert, describe, it } from "@effect/vitest"
import { normalised, varyNames } from "../../../src/internal/http/varyHeader.ts"

describe("varyNames", () => {
  it.each<[string | undefined, ReadonlyArray<string> | "*"]>([
    [undefined, []],
    ["", []],
    [" , ", []],
    ["Foo", ["foo"]],
    ["Foo, Bar,baz", ["foo", "bar", "baz"]],
    ["foo , FOO,\tfoo", ["foo"]],
    [", foo,", ["foo"]],
    ["*", "*"],
    [" * ", "*"],
    ["*, *", "*"],
    [", *", "*"],
    ["*, Foo", "*"],
    ["Foo, *", "*"],
    ["foo*", ["foo*"]]
  ])("reads %j", (value, names) => {
    assert.deepStrictEqual(varyNames(value), names)
  })
})

describe("normalised", () => {
  it.each([
    ["accept-language", "en, de", "en,de"],
    ["accept-language", "en, de", "eN, De"],
    ["accept-language", "en, de", " en ,\t   de"],
    ["accept-language", "en, de", "en, de,,"],
    ["accept-language", "en, de", "en;q=1, de;q=1.000"],
    ["accept-language", "en, de;q=0.5", "de;q=0.5, en"],
    ["accept-language", "en, de;q=0.5", "en, DE ; Q=0.50"],
    ["accept-language", "zh-Hant-TW, *;q=0.1", "*;q=0.1,ZH-hant-tw"],
    ["accept-encoding", "gzip, br;q=0, identity;q=0.2", "GZIP,identity;q=0.200,br;q=0."],
    ["accept-charset", "UTF-8", "utf-8"]
  ])("takes two values of %s for the same: %j and %j", (name, one, other) => {
    assert.strictEqual(normalised(name, one), normalised(name, other))
  })

  it.each<[string, string | undefined, string | undefined]>([
    // Many servers take the first of several for the preferred one.
    ["accept-language", "en, de", "de, en"],
    ["accept-encoding", "gzip, br", "br, gzip"],
    ["accept-language", "en, de", "en"],
    ["accept-language", "en", "en-GB"],
    ["accept-language", "en, de;q=0.5", "en;q=0.5, de"],
    ["accept-language", "en, de;q=0.5", "en, de;q=0.4"],
    ["accept-encoding", "gzip, br;q=0", "gzip, br"],
    // A header that is not there accepts anything, an empty one nothing.
    ["accept-encoding", undefined, ""],
    ["accept-language", "en;x=A", "en;x=a"],
    ["accept-language", "en;q=2", "en;q=1"],
    ["accept-language", "e n, de", "en, de"],
    ["accept", "text/html", "text/HTML"],
    ["user-agent", "a, b", "a,b"],
    ["cookie", "a=B", "a=b"],
    ["foo", "1", "2"],
    ["foo", undefined, "1"],
    ["foo", undefined, ""],
    ["authorization", "Bearer a", "bearer a"]
  ])("takes two values of %s for different ones: %j and %j", (name, one, other) => {
    assert.notStrictEqual(normalised(name, one), normalised(name, other))
  })

  it("leaves values alone that it does not know", () => {
    assert.strictEqual(normalised("foo", " 1,  2"), " 1,  2")
    assert.strictEqual(normalised("accept-language", "en;q=high, DE"), "en;q=high, DE")
    assert.isUndefined(normalised("accept-language", undefined))
    assert.isUndefined(normalised("foo", undefined))
  })

  it("takes its time in proportion to a hostile field", () => {
    for (const part of ["a,", "a;", ";q=", " ", "a ;q=0.1,", ","]) {
      assert.isString(normalised("accept-language", part.repeat(50_000)))
    }
  })
})
