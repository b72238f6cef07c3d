import { assert, describe, it } from "@effect/vitest"
import { Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import { storable } from "../../../src/internal/http/storable.ts"

const withHeaders = (headers: Record<string, string>) => storable(HttpServerResponse.text("x", { headers }))

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
    { vary: "*" },
    { vary: "accept, *" }
  ])("does not store a response with %j", (headers) => {
    assert.strictEqual(withHeaders(headers), "forbidden")
  })

  it.each([
    { "cache-control": "public, max-age=60" },
    { "cache-control": "no-cache" },
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
})
