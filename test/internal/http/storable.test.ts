import { assert, describe, it } from "@effect/vitest"
import { Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import { storable as storableUpTo } from "../../../src/internal/http/storable.ts"

const now = Date.UTC(2026, 10, 22, 3)
const storable = (response: HttpServerResponse.HttpServerResponse, maxBodyBytes = 100) =>
  storableUpTo(response, now, maxBodyBytes)

const withHeaders = (headers: Record<string, string>) => storable(HttpServerResponse.text("x", { headers }))

const termsOf = (headers: Record<string, string>) => {
  const form = withHeaders(headers)
  if (typeof form === "string") return form
  const { age, staleIfError, staleWhileRevalidate, timeToLive } = form
  return { age, timeToLive, staleWhileRevalidate, staleIfError }
}

const isTooLarge = (response: HttpServerResponse.HttpServerResponse) => {
  const form = storable(response, 4)
  return typeof form === "string" ? form : form.tooLarge
}

describe("storable", () => {
  it.each([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])("stores the status %d", (status) => {
    assert.isObject(storable(HttpServerResponse.text("x", { status })))
  })

  it.each([
    201,
    202,
    205,
    206,
    207,
    302,
    303,
    304,
    307,
    400,
    401,
    403,
    408,
    409,
    412,
    416,
    421,
    429,
    500,
    502,
    503,
    504
  ])(
    "does not store the status %d",
    (status) => {
      assert.strictEqual(storable(HttpServerResponse.text("x", { status })), "forbidden")
    }
  )

  it.each([
    { "set-cookie": "a=b" },
    { "cache-control": "no-store" },
    { "cache-control": "NO-STORE" },
    { "cache-control": "max-age=60,no-store" },
    { "cache-control": "max-age=60 , private" },
    { "cache-control": "private=\"set-cookie\"" },
    { "cache-control": "no-cache" },
    { "cache-control": "max-age=60, no-cache=\"x-user\"" },
    { vary: "*" },
    { vary: "accept, *" }
  ])("does not store a response with %j", (headers) => {
    assert.strictEqual(withHeaders(headers), "forbidden")
  })

  it.each([
    { "cache-control": "public, max-age=60" },
    { "cache-control": "x-no-store, not-private" },
    { "cache-control": "" },
    { vary: "accept, accept-language" },
    { "x-cache-control": "no-store" }
  ])("stores a response with %j", (headers) => {
    assert.isObject(withHeaders(headers))
  })

  it("does not store a cookie that is not yet a header", () => {
    const response = HttpServerResponse.setCookieUnsafe(HttpServerResponse.text("x"), "a", "b")
    assert.strictEqual(storable(response), "forbidden")
  })

  it("does not store a body that is not at hand", () => {
    for (
      const response of [
        HttpServerResponse.stream(Stream.empty),
        HttpServerResponse.raw("x"),
        HttpServerResponse.formData(new FormData())
      ]
    ) {
      assert.strictEqual(storable(response), "stream")
    }
  })

  it("leaves out what belongs to one connection or one message, and keeps the rest", () => {
    const form = withHeaders({
      connection: "close",
      date: "Sun, 22 Nov 2026 03:00:00 GMT",
      "content-length": "1",
      "transfer-encoding": "chunked",
      "keep-alive": "timeout=5",
      upgrade: "h2c",
      "content-language": "en",
      "last-modified": "Sun, 22 Nov 2026 03:00:00 GMT"
    })
    assert.deepStrictEqual(typeof form === "string" ? form : form.head, {
      status: 200,
      headers: {
        "content-language": "en",
        "last-modified": "Sun, 22 Nov 2026 03:00:00 GMT",
        "content-type": "text/plain"
      }
    })
  })

  it("names the headers of Vary in lower case", () => {
    const form = withHeaders({ vary: "Accept-Language ,X-User,," })
    assert.deepStrictEqual(typeof form === "string" ? form : form.vary, ["accept-language", "x-user"])
  })

  it("copies bytes that the handler may use again", () => {
    const bytes = Uint8Array.from([1, 2, 3])
    const form = storable(HttpServerResponse.uint8Array(bytes))
    bytes.fill(0)
    assert.deepStrictEqual(typeof form === "string" ? form : form.body, Uint8Array.from([1, 2, 3]))
  })

  const nothing = { age: 0, timeToLive: undefined, staleWhileRevalidate: undefined, staleIfError: undefined }

  it.each(
    [
      [{}, nothing],
      [{ "cache-control": "max-age=60" }, { ...nothing, timeToLive: 60_000 }],
      [{ "cache-control": "max-age=60", age: "10" }, { ...nothing, timeToLive: 60_000, age: 10_000 }],
      [{ "cache-control": "max-age=60, stale-while-revalidate=5, stale-if-error=6" }, {
        ...nothing,
        timeToLive: 60_000,
        staleWhileRevalidate: 5000,
        staleIfError: 6000
      }],
      [{ "cache-control": "stale-if-error=6, must-revalidate" }, {
        ...nothing,
        staleWhileRevalidate: 0,
        staleIfError: 0
      }],
      [{ "cache-control": "proxy-revalidate" }, { ...nothing, staleWhileRevalidate: 0, staleIfError: 0 }],
      [{ "cache-control": "s-maxage=1, stale-if-error=6" }, {
        ...nothing,
        timeToLive: 1000,
        staleWhileRevalidate: 0,
        staleIfError: 6000
      }],
      [{ expires: "Sun, 22 Nov 2026 03:00:10 GMT" }, { ...nothing, timeToLive: 10_000 }],
      [{ expires: "never" }, { ...nothing, timeToLive: 0 }]
    ] as const
  )("reads the lifetime of %j", (headers, expected) => {
    assert.deepStrictEqual(termsOf(headers), expected)
  })

  it.each([201, 302, 307, 403, 429, 500, 503])("stores the status %d where it has a lifetime of its own", (status) => {
    for (const headers of [{ "cache-control": "max-age=60" }, { expires: "Sun, 22 Nov 2026 03:00:10 GMT" }]) {
      assert.isObject(storable(HttpServerResponse.text("x", { status, headers })))
    }
    for (const headers of [{}, { "cache-control": "public, stale-if-error=60" }]) {
      assert.strictEqual(storable(HttpServerResponse.text("x", { status, headers })), "forbidden")
    }
  })

  it.each([206, 304])("never stores the status %d", (status) => {
    const headers = { "cache-control": "public, max-age=60" }
    assert.strictEqual(storable(HttpServerResponse.text("x", { status, headers })), "forbidden")
  })

  it("leaves out what Connection names", () => {
    const form = withHeaders({ connection: "close, X-Hop", "x-hop": "1", "x-kept": "2" })
    assert.deepStrictEqual(typeof form === "string" ? form : form.head.headers, {
      "x-kept": "2",
      "content-type": "text/plain"
    })
  })

  it("says whether a body is too large, in bytes", () => {
    assert.isFalse(isTooLarge(HttpServerResponse.text("éé")))
    assert.isTrue(isTooLarge(HttpServerResponse.text("ééé")))
    assert.isFalse(isTooLarge(HttpServerResponse.uint8Array(new Uint8Array(4))))
    assert.isTrue(isTooLarge(HttpServerResponse.uint8Array(new Uint8Array(5))))
    assert.isFalse(isTooLarge(HttpServerResponse.empty()))
  })
})
