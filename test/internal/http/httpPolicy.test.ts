import { assert, describe, it } from "@effect/vitest"
import { Headers, HttpServerRequest } from "effect/http"
import { hasCredentials, styleOf } from "../../../src/internal/http/httpPolicy.ts"

describe("styleOf", () => {
  it("has defaults: clients ask, the validator is strong, and nothing more is told", () => {
    assert.deepStrictEqual(styleOf(undefined, false, []), {
      isPrivate: false,
      vary: undefined,
      varyUsed: undefined,
      toClients: false,
      toCdns: false,
      etag: "strong",
      tagHeader: undefined,
      statusKey: false,
      obeys: false
    })
  })

  it("is what the route says", () => {
    assert.deepStrictEqual(
      styleOf(
        {
          cacheControl: "policy",
          cdnCacheControl: "policy",
          etag: false,
          tagHeader: "xkey",
          cacheStatusKey: true,
          requestCacheControl: "obey"
        },
        false,
        ["accept", "accept-language", "accept"]
      ),
      {
        isPrivate: false,
        vary: "accept, accept-language",
        varyUsed: "accept, accept-language",
        toClients: true,
        toCdns: true,
        etag: false,
        tagHeader: "xkey",
        statusKey: true,
        obeys: true
      }
    )
  })

  it("is private where the route is, and where responses depend on credentials", () => {
    assert.isTrue(styleOf({}, true, []).isPrivate)
    assert.isTrue(styleOf({}, false, ["accept", "cookie"]).isPrivate)
    assert.isTrue(styleOf({}, false, ["authorization"]).isPrivate)
    assert.isFalse(styleOf({}, false, ["x-authorization"]).isPrivate)
  })

  it("names credentials of a guarded route for what may be used, and does not make it private", () => {
    const { isPrivate, vary, varyUsed } = styleOf({}, false, ["accept"], true)
    assert.deepStrictEqual([isPrivate, vary, varyUsed], [false, "accept", "accept, authorization, cookie"])
    assert.strictEqual(styleOf({}, false, ["cookie"], true).varyUsed, "cookie, authorization")
  })

  it("names no header that nobody can send", () => {
    assert.strictEqual(styleOf({}, false, ["a b", "x\r\nset-cookie: a", "", "ü", "x-user"]).vary, "x-user")
    assert.isUndefined(styleOf({}, false, ["x,y"]).vary)
  })
})

const request = (headers: Record<string, string>) =>
  HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))

describe("hasCredentials", () => {
  it("sees Authorization and Cookie, also where middleware has taken them out", () => {
    assert.isFalse(hasCredentials(request({ "x-user": "ada" })))
    for (const name of ["authorization", "cookie"]) {
      assert.isTrue(hasCredentials(request({ [name]: "ada" })))
      assert.isTrue(hasCredentials(request({ [name]: "ada" }).modify({ headers: Headers.empty })))
      assert.isTrue(hasCredentials(request({}).modify({ headers: Headers.fromInput({ [name]: "ada" }) })))
    }
  })
})
