import { assert, describe, it } from "@effect/vitest"
import { formatHttpDate, parseHttpDate } from "../../../src/internal/http/httpDate.ts"

const now = Date.UTC(2026, 0, 15)
const example = Date.UTC(1994, 10, 6, 8, 49, 37)

describe("parseHttpDate", () => {
  it.each([
    ["Sun, 06 Nov 1994 08:49:37 GMT", example],
    ["Sunday, 06-Nov-94 08:49:37 GMT", example],
    ["Sun Nov  6 08:49:37 1994", example],
    ["Wed Nov 16 08:49:37 1994", Date.UTC(1994, 10, 16, 8, 49, 37)],
    ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
    ["Wed, 31 Dec 1969 23:59:59 GMT", -1000],
    ["Tue, 19 Jan 2038 14:14:08 GMT", Date.UTC(2038, 0, 19, 14, 14, 8)],
    ["Sun, 21 Nov 2286 04:46:39 GMT", Date.UTC(2286, 10, 21, 4, 46, 39)],
    ["Fri, 31 Dec 9999 23:59:59 GMT", Date.UTC(9999, 11, 31, 23, 59, 59)],
    ["Thu, 29 Feb 2024 00:00:00 GMT", Date.UTC(2024, 1, 29)],
    ["Sat, 31 Dec 2016 23:59:60 GMT", Date.UTC(2017, 0, 1)],
    ["Thu Aug  8 02:01:18 2050", Date.UTC(2050, 7, 8, 2, 1, 18)],
    ["THU, 18 Aug 2050 02:01:18 GMT", Date.UTC(2050, 7, 18, 2, 1, 18)],
    ["Thu, 18 AUG 2050 02:01:18 GMT", Date.UTC(2050, 7, 18, 2, 1, 18)],
    ["Thu, 18 Aug 2050 02:01:18 gMT", Date.UTC(2050, 7, 18, 2, 1, 18)],
    ["THURSDAY, 18-aug-50 02:01:18 gmt", Date.UTC(2050, 7, 18, 2, 1, 18)],
    ["thu aug  8 02:01:18 2050", Date.UTC(2050, 7, 8, 2, 1, 18)]
  ])("reads %s", (text, millis) => {
    assert.strictEqual(parseHttpDate(text, now), millis)
  })

  it.each([
    ["26", 2026],
    ["50", 2050],
    ["76", 2076],
    ["77", 1977],
    ["99", 1999],
    ["00", 2000]
  ])("takes the year %s for %d, which is at most 50 years ahead", (year, expected) => {
    assert.strictEqual(parseHttpDate(`Thursday, 18-Aug-${year} 02:01:18 GMT`, now), Date.UTC(expected, 7, 18, 2, 1, 18))
  })

  it("moves the century of a year with two digits with the present", () => {
    assert.strictEqual(parseHttpDate("Thursday, 18-Aug-50 00:00:00 GMT", Date.UTC(1999, 0)), Date.UTC(1950, 7, 18))
    assert.strictEqual(parseHttpDate("Thursday, 18-Aug-50 00:00:00 GMT", Date.UTC(2000, 0)), Date.UTC(2050, 7, 18))
  })

  it.each([
    "",
    "0",
    "-1",
    "foo",
    "1994-11-06T08:49:37Z",
    "784111777",
    "Thu, 18 Aug 2050 02:01:18 UTC",
    "Thu, 18 Aug 2050 02:01:18 AEST",
    "Thu, 18 Aug 2050 02:01:18 +0000",
    "Thu, 18 Aug 2050 02:01:18",
    "Thu, 18 Aug 50 02:01:18 GMT",
    "Thu 18 Aug 2050 02:01:18 GMT",
    "Tue 19 Jan 2038 14:14:08 GMT",
    "Thu, 18  Aug  2050 02:01:18 GMT",
    "Thu, 18-Aug-2050 02:01:18 GMT",
    "Thu, 18-Aug-50 02:01:18 GMT",
    "Thu, 18 Aug 2050 02.01.18 GMT",
    "Thu, 18 Aug 2050 2:01:18 GMT",
    "Thu, 8 Aug 2050 02:01:18 GMT",
    "Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:19 GMT",
    " Thu, 18 Aug 2050 02:01:18 GMT",
    "Thu, 18 Aug 2050 24:00:00 GMT",
    "Thu, 18 Aug 2050 00:60:00 GMT",
    "Thu, 18 Aug 2050 00:00:61 GMT",
    "Thu, 00 Aug 2050 00:00:00 GMT",
    "Thu, 32 Aug 2050 00:00:00 GMT",
    "Wed, 29 Feb 2023 00:00:00 GMT",
    "Thu, 31 Apr 2050 00:00:00 GMT",
    "Thu, 18 Aug 0050 02:01:18 GMT",
    "Thu Aug 8 02:01:18 2050",
    "Thu Aug 08 02:01:18 2050 GMT",
    "Thu, 18 Aug 12050 02:01:18 GMT"
  ])("knows that %j is no date", (text) => {
    assert.isUndefined(parseHttpDate(text, now))
  })
})

describe("formatHttpDate", () => {
  it("writes the preferred form, in whole seconds", () => {
    assert.strictEqual(formatHttpDate(example + 999), "Sun, 06 Nov 1994 08:49:37 GMT")
    assert.strictEqual(formatHttpDate(0), "Thu, 01 Jan 1970 00:00:00 GMT")
  })

  it.each([0, example, now, Date.UTC(2024, 1, 29, 23, 59, 59), Date.UTC(2286, 10, 21)])(
    "is undone by reading it: %d",
    (millis) => {
      assert.strictEqual(parseHttpDate(formatHttpDate(millis), now), millis)
    }
  )
})
