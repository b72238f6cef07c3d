import { assert, describe, it } from "@effect/vitest"
import { Context } from "effect"
import { HttpServerRequest } from "effect/http"
import { keyOf, makeSharedKeys } from "../../../src/internal/http/sharedKeys.ts"
import { askingOf } from "../../../src/internal/http/sharedRequest.ts"
import { besideUri, targetUri } from "../../../src/internal/http/targetUri.ts"

const request = (url: string, headers: Record<string, string> = {}) =>
  HttpServerRequest.fromWeb(new Request(url, { headers }))

describe("ofRequest", () => {
  it("gives the key of what a request is for, the first time and any other, for whichever host, protocol or rewritten URL", () => {
    const keys = makeSharedKeys("proxy")
    const requests = ["http://a/x", "http://a/y", "http://b/x", "https://a/x", "http://a:80/x"].flatMap((url) => [
      request(url),
      request(url, { host: "a" }),
      request(url, { host: "B" }),
      request(url).modify({ url: "/rewritten" }),
      request(url).modify({ protocol: "https" })
    ])
    for (const request of [...requests, ...requests]) {
      assert.strictEqual(keys.ofRequest(request), keys.ofUri(targetUri(request), besideUri(request)))
    }
  })
})

const asking = (base: string, headers: Record<string, string>) =>
  askingOf(request("http://a/", headers), Context.empty(), base, false)

describe("ofVariant", () => {
  it("gives the key of these headers, the first time and any other, however they are written", () => {
    const keys = makeSharedKeys("proxy")
    const known = [[], ["accept-encoding"], ["accept-encoding", "x"]].map((names) => ({ names, of: undefined }))
    const headers = [
      {},
      { "accept-encoding": "gzip, br;q=0.5" },
      { "accept-encoding": "br;q=0.50,gzip" },
      { x: "1" },
      { "accept-encoding": "a".repeat(1000), x: "2" }
    ].map((fields) => asking("b", fields as Record<string, string>))
    for (const one of [...known, ...known]) {
      for (const asked of headers) assert.strictEqual(keys.ofVariant(asked, one), keyOf(asked, one.names))
    }
  })

  it("keeps base keys apart", () => {
    const keys = makeSharedKeys("proxy")
    const [one, other] = [{ names: ["x"], of: undefined }, { names: ["x"], of: undefined }]
    assert.strictEqual(keys.ofVariant(asking("b", { x: "1" }), one), "b\t[[\"x\",\"1\"]]")
    assert.strictEqual(keys.ofVariant(asking("c", { x: "1" }), other), "c\t[[\"x\",\"1\"]]")
  })
})
