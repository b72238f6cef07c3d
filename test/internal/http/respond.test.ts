import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { styleOf } from "../../../src/internal/http/httpPolicy.ts"
import { respondAnswer, respondHit } from "../../../src/internal/http/respond.ts"
import type { Answer } from "../../../src/internal/lookup.ts"
import { makeEntry, makeTerms } from "../../suites/entries.ts"

const request = (headers: Record<string, string> = {}, method = "GET") =>
  HttpServerRequest.fromWeb(new Request("http://localhost/", { headers, method }))

const plain = request()
const style = styleOf(undefined, false, [])
const toClients = styleOf({ cacheControl: "policy", cdnCacheControl: "policy" }, false, [])

const of = (response: Exit.Exit<HttpServerResponse.HttpServerResponse>) => {
  assert.isTrue(Exit.isSuccess(response))
  return (response as Exit.Success<HttpServerResponse.HttpServerResponse>).value
}

const answer = (options?: Partial<Answer>): Answer => ({
  how: "miss",
  stale: undefined,
  because: "missing",
  exit: Exit.succeed(1),
  entry: undefined,
  rejected: undefined,
  error: undefined,
  stored: true,
  ...options
})

const windows = (staleUntil: number, errorUntil: number) => {
  const entry = makeEntry("a", { expiresAt: 10_500, terms: makeTerms(10_500, { staleUntil, errorUntil }) })
  return of(respondHit(entry, plain, 0, toClients)).headers["cache-control"]
}

const told = (options: Partial<Answer>, expiresAt = 60_000, now = 0) =>
  of(respondAnswer(makeEntry("a", { expiresAt }), answer(options), plain, now, toClients)).headers

const ageOf = (options: Partial<Answer>, createdAt: number) =>
  of(respondAnswer(makeEntry("a", { createdAt }), answer(options), plain, 5000, style)).headers["age"]

describe("respondHit", () => {
  it("makes a response once for each second of the entry's age, each route, and no condition", () => {
    const entry = makeEntry("a", { createdAt: 500 })
    const first = respondHit(entry, plain, 500, style)
    assert.strictEqual(respondHit(entry, plain, 1499, style), first)
    assert.strictEqual(respondHit(entry, request({ "x-user": "ada" }), 1499, style), first)
    const second = respondHit(entry, plain, 1500, style)
    assert.notStrictEqual(second, first)
    assert.strictEqual(of(second).headers["age"], "1")
    assert.notStrictEqual(respondHit(entry, plain, 1500, styleOf(undefined, false, [])), second)
    const made = respondHit(entry, plain, 1500, style)
    for (const field of ["if-none-match", "if-match"]) {
      respondHit(entry, request({ [field]: "*" }), 1500, style)
      assert.strictEqual(respondHit(entry, plain, 1500, style), made)
    }
  })

  it("takes no age below zero from a clock that was set back", () => {
    const response = of(respondHit(makeEntry("a", { createdAt: 5000 }), plain, 1000, style))
    assert.strictEqual(response.headers["age"], "0")
  })

  it("tells the windows of the policy in whole seconds, those of none not at all", () => {
    assert.strictEqual(windows(10_500, 10_500), "max-age=10")
    assert.strictEqual(windows(11_499, 12_600), "max-age=10, stale-if-error=2")
    assert.strictEqual(windows(11_500, 10_500), "max-age=10, stale-while-revalidate=1")
  })

  it("looks at conditions only where a success is answered to a method that reads", () => {
    const head = { status: 404, headers: { "content-type": "text/plain" } }
    const conditional = { "if-none-match": "*" }
    assert.strictEqual(of(respondHit(makeEntry("a", { head }), request(conditional), 0, style)).status, 404)
    for (
      const [method, status] of [["GET", 304], ["HEAD", 304], ["QUERY", 304], ["POST", 200], ["DELETE", 200]] as const
    ) {
      assert.strictEqual(of(respondHit(makeEntry("a"), request(conditional, method), 0, style)).status, status, method)
    }
  })

  it("tells caches in front nothing of what the handler has not left open", () => {
    const headers = {
      "cache-control": "max-age=7",
      "cdn-cache-control": "max-age=8",
      vary: "Accept, X-User",
      etag: "\"v\""
    }
    const entry = makeEntry("a", { head: { status: 200, headers }, expiresAt: 60_000 })
    const response = of(
      respondHit(entry, plain, 0, styleOf({ ...toClients, etag: "weak" }, false, ["x-user", "x-lang"]))
    )
    assert.include(response.headers, {
      "cache-control": "max-age=7",
      vary: "Accept, X-User, x-lang",
      etag: "\"v\""
    })
  })
})

describe("respondAnswer", () => {
  it("lets nobody use what was rejected, is stale, or has no end", () => {
    assert.strictEqual(told({})["cache-control"], "max-age=60")
    assert.strictEqual(told({})["cdn-cache-control"], "max-age=60")
    for (
      const headers of [
        told({ rejected: "invalidated", stored: false }),
        told({ how: "stale", stale: "revalidating", exit: undefined }, 60_000, 61_000),
        told({ how: "stale", stale: "error" }, 60_000, 61_000),
        told({}, Infinity),
        told({}, 60_000, 60_000)
      ]
    ) {
      assert.strictEqual(headers["cache-control"], "no-cache")
      assert.strictEqual(headers["cdn-cache-control"], "no-cache")
    }
  })

  it("has an age where the result had one", () => {
    assert.isUndefined(ageOf({}, 5000))
    assert.isUndefined(ageOf({ how: "joined" }, 4001))
    assert.strictEqual(ageOf({}, 2000), "3")
    assert.strictEqual(ageOf({ how: "hit", exit: undefined }, 5000), "0")
    assert.strictEqual(ageOf({ how: "stale", stale: "slow", exit: undefined }, 5000), "0")
  })

  it("is no response of a hit for those who come after something stale was served", () => {
    const entry = makeEntry("a", { expiresAt: 1000 })
    const hit = respondHit(entry, plain, 500, style)
    respondAnswer(entry, answer({ how: "stale", stale: "revalidating", exit: undefined }), plain, 600, style)
    assert.strictEqual(respondHit(entry, plain, 700, style), hit)
  })
})
