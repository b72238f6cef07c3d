import { assert, describe, it } from "@effect/vitest"
import { freshnessOf } from "../../../src/internal/http/freshness.ts"
import { formatHttpDate } from "../../../src/internal/http/httpDate.ts"

const now = Date.UTC(2026, 0, 15, 12)
const at = (seconds: number): string => formatHttpDate(now + seconds * 1000)
const read = (headers: Record<string, string>, status = 200) => freshnessOf(headers, status, now, { targeted: false })
const aged = (millis: number) => freshnessOf({ date: at(0) }, 200, now + millis, { targeted: false }).age
const delayed = (headers: Record<string, string>) =>
  freshnessOf(headers, 200, now, { targeted: false, delay: 1500 }).age
const readTargeted = (headers: Record<string, string>) => freshnessOf(headers, 200, now, { targeted: true })

// What the tests of a conformance suite can see: whether it may be used again three seconds later without asking.
const isReusable = ({ age, isPrivate, lifetime, noCache, noStore }: ReturnType<typeof freshnessOf>): boolean =>
  lifetime !== undefined && !noStore && !isPrivate && !noCache && lifetime > age + 3

describe("freshnessOf", () => {
  it.each<Record<string, string>>([
    { "cache-control": "max-age=3600" },
    { "cache-control": "max-age=2147483648" },
    { "cache-control": "max-age=99999999999" },
    { "cache-control": "max-age=3600", expires: at(-7200), date: at(0) },
    { "cache-control": "max-age=3600", expires: "0", date: at(0) },
    { "cache-control": "foobar, max-age=3600" },
    { "cache-control": "MaX-aGe=3600" },
    { "cache-control": "s-maxage=3600" },
    { "cache-control": "max-age=1, s-maxage=3600" },
    { "cache-control": "max-age=0, s-maxage=3600", expires: at(-10) },
    { "cache-control": "max-age=3600, must-revalidate" },
    { "cache-control": "max-age=3600, immutable" },
    { "cache-control": "public, max-age=3600" },
    { expires: at(30 * 86_400), date: at(0) },
    { expires: at(30 * 86_400) },
    { expires: at(10), date: "foo" },
    { expires: "Thursday, 18-Aug-50 02:01:18 GMT", date: at(0) },
    { expires: "Thu Aug  8 02:01:18 2050", date: at(0) },
    // The directives that count do not say how long.
    { "cache-control": "foobar", expires: at(3600), date: at(0) },
    { date: at(0), "cache-control": "max-age=3600", age: "0, 7200" },
    { date: at(0), "cache-control": "max-age=3600", age: "old" }
  ])("may be used again: %j", (headers) => {
    assert.isTrue(isReusable(read(headers)))
  })

  it.each<Record<string, string>>([
    {},
    { "last-modified": at(-86_400), date: at(0) },
    { "cache-control": "public", "last-modified": at(-86_400) },
    { "cache-control": "max-age=0" },
    { "cache-control": "max-age=-3600" },
    { "cache-control": "max-age='3600'" },
    { "cache-control": "extension=\"max-age=3600\", max-age=1" },
    { "cache-control": "max-age=0", expires: at(3600), date: at(0) },
    { "cache-control": "max-age=3600", date: at(0), age: "7200" },
    { "cache-control": "max-age=3600", date: at(-7200) },
    { "cache-control": "max-age=3600, s-maxage=1" },
    { "cache-control": "s-maxage=1, max-age=3600" },
    { "cache-control": "max-age=3600, s-maxage=x" },
    { "cache-control": "no-store", expires: at(3600) },
    { "cache-control": "max-age=3600, No-StOrE" },
    { "cache-control": "private, max-age=3600" },
    { "cache-control": "private=\"x-user\", max-age=3600" },
    { "cache-control": "max-age=3600, No-CaChE" },
    { "cache-control": "no-cache=\"x-user\", max-age=3600" },
    { expires: at(-30 * 86_400), date: at(0) },
    { expires: at(0), date: at(0) },
    { expires: at(300), date: at(400) },
    { expires: "0", date: at(0) },
    { expires: "", date: at(0) },
    { expires: "-1" },
    { expires: "Thu, 18 Aug 2050 02:01:18 UTC" },
    { expires: `${at(3600)}, ${at(3600)}`, date: at(0) },
    { expires: at(10), date: at(-10), age: "25" },
    { expires: at(20), date: at(10), age: "15" },
    { date: at(0), "cache-control": "max-age=3600", age: "7200, 0" },
    // Targeted at others.
    { "cdn-cache-control": "max-age=3600" },
    { "surrogate-control": "max-age=3600" }
  ])("may not be used again: %j", (headers) => {
    assert.isFalse(isReusable(read(headers)))
  })

  it.each<Record<string, string>>([
    { "cdn-cache-control": "max-age=3600" },
    { "cdn-cache-control": "max-age=99999999999" },
    { "cdn-cache-control": "foobar, max-age=3600" },
    { "cdn-cache-control": "max-age=3600", expires: at(-10_000), date: at(0) },
    { "cdn-cache-control": "max-age=3600", expires: "0", date: at(0) },
    { "cdn-cache-control": "max-age=3600", "cache-control": "max-age=1" },
    { "cdn-cache-control": "max-age=3600", "cache-control": "no-store" },
    { "cdn-cache-control": "max-age=3600", "cache-control": "private, no-cache" },
    { "cdn-cache-control": "no-store, &&&&&", "cache-control": "max-age=3600" },
    { "cdn-cache-control": "", "cache-control": "max-age=3600" },
    { "cdn-cache-control": "NO-STORE", expires: at(3600) },
    { "cache-control": "max-age=3600" }
  ])("may be used again where CDN-Cache-Control counts: %j", (headers) => {
    assert.isTrue(isReusable(readTargeted(headers)))
  })

  it.each<Record<string, string>>([
    { "cdn-cache-control": "max-age=3600", date: at(0), age: "7200" },
    { "cdn-cache-control": "max-age=0" },
    { "cdn-cache-control": "max-age=0", expires: at(10_000), date: at(0) },
    { "cdn-cache-control": "max-age=1", "cache-control": "max-age=3600" },
    { "cdn-cache-control": "private", "cache-control": "max-age=3600", expires: at(10_000) },
    { "cdn-cache-control": "no-cache", "cache-control": "max-age=3600", expires: at(10_000) },
    { "cdn-cache-control": "no-store", "cache-control": "max-age=3600", expires: at(10_000) },
    // It is valid and says nothing about time, so nothing else does.
    { "cdn-cache-control": "public", "cache-control": "max-age=3600", expires: at(10_000) },
    { "cdn-cache-control": "max-age=10000, &&&&&", "cache-control": "no-store" },
    { "cdn-cache-control": "max-age=\"10000\"", "cache-control": "no-store" },
    { "cdn-cache-control": "max-age =100", "cache-control": "max-age=1" },
    { "cdn-cache-control": "max-age= 100", "cache-control": "max-age=1" }
  ])("may not be used again where CDN-Cache-Control counts: %j", (headers) => {
    assert.isFalse(isReusable(readTargeted(headers)))
  })

  it.each<[Record<string, string>, number | undefined]>([
    [{}, undefined],
    [{ "cache-control": "max-age=60, s-maxage=30", expires: at(90) }, 30],
    [{ "cache-control": "max-age=60", expires: at(90) }, 60],
    [{ expires: at(90) }, 90],
    [{ expires: at(90), date: at(-10) }, 100],
    [{ expires: at(90), date: at(100) }, 0],
    [{ expires: "0" }, 0],
    [{ expires: "THU, 15 JAN 2026 12:01:30 gmt" }, 90],
    [{ expires: "Fri, 31 Dec 9999 23:59:59 GMT" }, 2 ** 31]
  ])("reads the lifetime of %j as %d seconds", (headers, lifetime) => {
    assert.strictEqual(read(headers).lifetime, lifetime)
  })

  it.each<[Record<string, string>, number]>([
    [{}, 0],
    [{ date: at(0) }, 0],
    [{ date: at(-10) }, 10],
    [{ date: at(10) }, 0],
    [{ age: "25" }, 25],
    [{ date: at(-10), age: "25" }, 25],
    [{ date: at(-30), age: "25" }, 30],
    [{ age: "007" }, 7],
    [{ age: "7200, 0" }, 7200],
    [{ age: "0, 7200" }, 0],
    [{ age: "99999999999" }, 2 ** 31],
    [{ age: "" }, 0],
    [{ age: "-7200" }, 0],
    [{ age: "7200.0" }, 0],
    [{ age: "7200;foo=bar" }, 0],
    [{ age: "old, 7200" }, 0],
    [{ date: "foo", age: "5" }, 5]
  ])("reads the age of %j as %d seconds", (headers, age) => {
    assert.strictEqual(read(headers).age, age)
  })

  it("does not count the part of a second that a date does not say", () => {
    assert.deepStrictEqual([aged(999), aged(1000), aged(1999)], [0, 1, 1])
  })

  it("counts the time that the response took as age, where another cache told its own", () => {
    assert.strictEqual(delayed({ age: "10" }), 11.5)
    assert.strictEqual(delayed({}), 1.5)
    assert.strictEqual(delayed({ date: at(-60), age: "10" }), 60)
  })

  it.each([
    ["must-revalidate", true],
    ["proxy-revalidate", true],
    ["s-maxage=5", true],
    ["max-age=5", false],
    ["immutable", false]
  ])("says whether a response with %s may not be used once it is over: %s", (value, expected) => {
    assert.strictEqual(read({ "cache-control": value }).mustRevalidate, expected)
  })

  it("reads the stale windows (RFC 5861)", () => {
    const windows = read({ "cache-control": "max-age=1, stale-while-revalidate=30, stale-if-error=x" })
    assert.strictEqual(windows.staleWhileRevalidate, 30)
    assert.strictEqual(windows.staleIfError, 0)
    const none = read({ "cache-control": "max-age=1" })
    assert.isUndefined(none.staleWhileRevalidate)
    assert.isUndefined(none.staleIfError)
    const targeted = readTargeted({ "cdn-cache-control": "stale-if-error=7", "cache-control": "stale-if-error=8" })
    assert.strictEqual(targeted.staleIfError, 7)
  })

  it("says whether a response is public", () => {
    assert.isTrue(read({ "cache-control": "Public" }).isPublic)
    assert.isFalse(read({ "cache-control": "x-public" }).isPublic)
  })

  it.each([
    ["no-store", 200, true],
    ["must-understand, no-store", 200, false],
    ["must-understand, no-store", 404, false],
    ["must-understand, max-age=60", 599, true],
    ["must-understand, max-age=60", 299, true],
    ["must-understand, max-age=60", 206, true],
    ["must-understand, max-age=60", 304, true],
    ["max-age=60", 599, false]
  ])("with %s, whether a response of status %d may not be stored: %s", (value, status, noStore) => {
    assert.strictEqual(read({ "cache-control": value }, status).noStore, noStore)
  })
})
