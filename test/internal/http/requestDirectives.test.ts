import { assert, describe, it } from "@effect/vitest"
import { HttpServerRequest } from "effect/http"
import { askedBy } from "../../../src/internal/http/requestDirectives.ts"
import { makeEntry } from "../../suites/entries.ts"

const asked = (control?: string) =>
  askedBy(HttpServerRequest.fromWeb(
    new Request("http://localhost/", { headers: control === undefined ? {} : { "cache-control": control } })
  ))

/** Whether an entry of so many seconds, that ends after so many, is taken. */
const accepts = (control: string, age: number, lifetime: number) =>
  asked(control)?.accepts(makeEntry("a", { createdAt: 1000, expiresAt: 1000 + lifetime * 1000 }), 1000 + age * 1000)

describe("askedBy", () => {
  it("is nothing without Cache-Control", () => {
    assert.isUndefined(asked())
  })

  it.each([
    ["no-cache", { fresh: true, onlyIfCached: false, noStore: false }],
    ["max-age=0", { fresh: true, onlyIfCached: false, noStore: false }],
    ["max-age=0, max-stale=9", { fresh: false, onlyIfCached: false, noStore: false }],
    ["max-age=1, min-fresh=1", { fresh: false, onlyIfCached: false, noStore: false }],
    ["NO-STORE , only-if-cached", { fresh: false, onlyIfCached: true, noStore: true }],
    ["", { fresh: false, onlyIfCached: false, noStore: false }]
  ])("means for a lookup: %s", (control, options) => {
    assert.deepStrictEqual(asked(control)?.options, options)
  })

  it.each([
    ["no-store", 100, 10, true],
    ["max-age=10", 10, 60, true],
    ["max-age=10", 10.001, 60, false],
    ["max-age=10", 5, Infinity, true],
    ["max-age=100", 61, 60, false],
    ["max-age=100, max-stale=1", 61, 60, true],
    ["max-age=100, max-stale=1", 61.001, 60, false],
    ["max-age=10, max-stale=5", 15, 60, true],
    ["max-age=10, max-stale=5", 16, 60, false],
    ["max-stale", 1e6, 60, true],
    ["max-stale=0", 60, 60, true],
    ["max-stale=0", 61, 60, false],
    ["min-fresh=10", 50, 60, true],
    ["min-fresh=10", 50.001, 60, false],
    ["min-fresh=10", 1e6, Infinity, true],
    ["min-fresh=10, max-stale", 1e6, 60, true]
  ])("takes what is young enough: %s, %d of %d seconds", (control, age, lifetime, expected) => {
    assert.strictEqual(accepts(control, age, lifetime), expected)
  })
})
