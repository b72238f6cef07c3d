import { assert, describe, it } from "@effect/vitest"
import { CacheEntry } from "effect-cached"
import { etagOf, isNotModified, matches, notModifiedHeaders, weak } from "../../../src/internal/http/conditional.ts"

const now = Date.UTC(2026, 0, 15)
const modified = "Wed, 14 Jan 2026 12:00:00 GMT"

const entry = (body: string | Uint8Array) =>
  new CacheEntry.CacheEntry({
    key: "k",
    fingerprint: "f",
    body,
    head: undefined,
    tags: [],
    position: 0,
    createdAt: 0,
    expiresAt: Infinity
  })

describe("etagOf", () => {
  it("is a strong validator of the bytes of the body", () => {
    const etag = etagOf(entry("caf\u00e9"))
    assert.match(etag, /^"[0-9a-f]{32}"$/)
    assert.strictEqual(etagOf(entry(new TextEncoder().encode("caf\u00e9"))), etag)
    assert.notStrictEqual(etagOf(entry("cafe")), etag)
  })

  it("is computed once", () => {
    const remembered = entry("a")
    remembered.etag = "\"x\""
    assert.strictEqual(etagOf(remembered), "\"x\"")
  })
})

describe("weak", () => {
  it("makes a validator weak, once", () => {
    assert.strictEqual(weak("\"a\""), "W/\"a\"")
    assert.strictEqual(weak("W/\"a\""), "W/\"a\"")
  })
})

describe("matches", () => {
  it.each([
    ["*", "\"a\""],
    [" * ", "\"a\""],
    ["\"a\"", "\"a\""],
    ["W/\"a\"", "\"a\""],
    ["\"a\"", "W/\"a\""],
    ["W/\"a\"", "W/\"a\""],
    ["\"a\", \"b\", \"c\"", "\"a\""],
    ["\"b\", \"a\", \"c\"", "\"a\""],
    ["\"b\", \"c\", \"a\"", "\"a\""],
    ["\"b\",\"a\"", "\"a\""],
    ["\"b\" ,\t\"a\" , W/\"c\"", "\"a\""],
    [", \"a\" ,", "\"a\""],
    ["\"x,y\", \"a\"", "\"a\""],
    ["\"x,y\"", "\"x,y\""],
    ["\"\"", "\"\""],
    ["\"\u00e9\"", "\"\u00e9\""],
    // No entity-tags, but the same text.
    ["abcdef", "abcdef"],
    [" abcdef ", "abcdef"],
    ["w/\"abcdef\"", "w/\"abcdef\""],
    ["W\\\"abcdef\"", "W\\\"abcdef\""],
    ["W\"abcdef\"", "W\"abcdef\""]
  ])("says that %s names %s", (field, etag) => {
    assert.isTrue(matches(field, etag))
  })

  it.each([
    ["", "\"a\""],
    ["a", "\"a\""],
    ["\"a\"", "a"],
    ["a, b", "a"],
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

describe("isNotModified", () => {
  it.each<[Record<string, string>, Record<string, string>]>([
    [{ "if-none-match": "\"a\"" }, { etag: "\"a\"" }],
    [{ "if-none-match": "\"b\", W/\"a\"" }, { etag: "\"a\"" }],
    [{ "if-none-match": "*" }, { etag: "\"a\"" }],
    [{ "if-none-match": "*" }, {}],
    [{ "if-none-match": "\"a\"", "if-modified-since": "Tue, 13 Jan 2026 12:00:00 GMT" }, {
      etag: "\"a\"",
      "last-modified": modified
    }],
    [{ "if-modified-since": modified }, { "last-modified": modified }],
    [{ "if-modified-since": modified }, { "last-modified": modified, etag: "\"a\"" }],
    [{ "if-modified-since": "Wed, 14 Jan 2026 12:00:01 GMT" }, { "last-modified": modified }],
    [{ "if-modified-since": "Wednesday, 14-Jan-26 12:00:00 GMT" }, { "last-modified": modified }],
    [{ "if-modified-since": "Wed Jan 14 12:00:00 2026" }, { "last-modified": modified }],
    [{ "if-modified-since": modified }, { date: modified }]
  ])("answers %j with a 304 in place of %j", (request, response) => {
    assert.isTrue(isNotModified(request, response, now))
  })

  it.each<[Record<string, string>, Record<string, string>]>([
    [{}, { etag: "\"a\"", "last-modified": modified }],
    [{ "if-none-match": "\"b\"" }, { etag: "\"a\"" }],
    [{ "if-none-match": "\"a\"" }, {}],
    [{ "if-none-match": "" }, {}],
    // What `If-None-Match` says is not asked again by date.
    [{ "if-none-match": "\"b\"", "if-modified-since": modified }, { etag: "\"a\"", "last-modified": modified }],
    [{ "if-none-match": "\"b\"", "if-modified-since": modified }, { "last-modified": modified }],
    [{ "if-modified-since": "Wed, 14 Jan 2026 11:59:59 GMT" }, { "last-modified": modified }],
    [{ "if-modified-since": modified }, {}],
    [{ "if-modified-since": modified }, { etag: "\"a\"" }],
    [{ "if-modified-since": "2026-01-14" }, { "last-modified": modified }],
    [{ "if-modified-since": "" }, { "last-modified": modified }],
    [{ "if-modified-since": `${modified}, ${modified}` }, { "last-modified": modified }],
    [{ "if-modified-since": modified }, { "last-modified": "yesterday" }],
    [{ "if-modified-since": modified }, { "last-modified": "Thu, 15 Jan 2026 12:00:00 GMT", date: modified }],
    [{ "if-modified-since": "Wed, 14 Jan 2026 11:59:59 GMT" }, { date: modified }],
    // Other conditions are for other methods and for ranges.
    [{ "if-match": "*", "if-unmodified-since": modified }, { etag: "\"a\"", "last-modified": modified }]
  ])("answers %j with all of %j", (request, response) => {
    assert.isFalse(isNotModified(request, response, now))
  })
})

describe("notModifiedHeaders", () => {
  it("keeps what the full response would have had, but for what describes its content", () => {
    assert.deepStrictEqual(
      notModifiedHeaders({
        "access-control-allow-origin": "*",
        age: "5",
        "cache-control": "max-age=60",
        "cache-status": "effect-cached; hit",
        "cache-tag": "a,b",
        "cdn-cache-control": "max-age=600",
        "content-encoding": "gzip",
        "content-language": "de",
        "content-length": "5",
        "content-location": "/a",
        "content-security-policy": "default-src 'self'",
        "content-type": "text/plain",
        date: modified,
        etag: "\"a\"",
        expires: modified,
        "last-modified": modified,
        "transfer-encoding": "chunked",
        vary: "accept"
      }),
      {
        "access-control-allow-origin": "*",
        age: "5",
        "cache-control": "max-age=60",
        "cache-status": "effect-cached; hit",
        "cache-tag": "a,b",
        "cdn-cache-control": "max-age=600",
        "content-location": "/a",
        "content-security-policy": "default-src 'self'",
        date: modified,
        etag: "\"a\"",
        expires: modified,
        vary: "accept"
      }
    )
  })

  it("keeps the date of the last change where there is no other validator", () => {
    assert.deepStrictEqual(notModifiedHeaders({ "last-modified": modified, "content-type": "text/plain" }), {
      "last-modified": modified
    })
  })
})
