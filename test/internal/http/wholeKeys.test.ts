import { assert, describe, it } from "@effect/vitest"
import { Context } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import { canonicalUnsafe } from "../../../src/internal/canonical.ts"
import { readerOf } from "../../../src/internal/http/recordedRequest.ts"
import { keyOf, makeWholeKeys } from "../../../src/internal/http/wholeKeys.ts"

describe("baseOf", () => {
  it("gives the canonical text of the parameters, the first time and any other", () => {
    const { baseOf } = makeWholeKeys("page\t")
    const all: ReadonlyArray<Record<string, string | undefined>> = [
      {},
      { a: "1" },
      { a: "1", b: "2" },
      { b: "2", a: "1" },
      { a: "b", b: "a" },
      { a: "1", b: undefined },
      { b: "1" },
      { "*": "a/b" }
    ]
    for (const params of [...all, ...all]) assert.strictEqual(baseOf(params), `page\t${canonicalUnsafe(params)}`)
  })
})

const asking = (
  base: string,
  headers: Record<string, string>,
  search: Record<string, string | Array<string>> = {}
) => ({
  base,
  request: HttpServerRequest.fromWeb(new Request("http://localhost/", { headers })),
  context: Context.make(HttpRouter.RouteContext, { params: {}, route: undefined } as never).pipe(
    Context.add(HttpServerRequest.ParsedSearchParams, search)
  ) as Parameters<typeof keyOf>[0]["context"]
})

const knownOf = (names: ReadonlyArray<string>) => ({ names, of: { readers: names.map(readerOf) } })

describe("variantOf", () => {
  it("gives the key of these parts, the first time and any other, also once more of them are known", () => {
    const { variantOf } = makeWholeKeys("page\t")
    const all = [[], ["header:a"], ["cookie:c", "header:a", "query:q"], ["url"], ["protocol"]].map(knownOf)
    const requests = [
      asking("b", {}),
      asking("b", { a: "1" }),
      asking("b", { a: "1", cookie: "c=2" }, { q: "3" }),
      asking("b", { a: "1" }, { q: ["3", "4"] })
    ]
    for (const known of [...all, ...all]) {
      for (const request of requests) {
        assert.strictEqual(variantOf(request, known), keyOf(request, known.names))
      }
    }
  })

  it("keeps base keys apart", () => {
    const { variantOf } = makeWholeKeys("page\t")
    const [one, other] = [knownOf(["header:a"]), knownOf(["header:a"])]
    assert.strictEqual(variantOf(asking("b", { a: "1" }), one), "b\t[[\"header:a\",\"1\"]]")
    assert.strictEqual(variantOf(asking("c", { a: "1" }), other), "c\t[[\"header:a\",\"1\"]]")
    assert.strictEqual(variantOf(asking("b", { a: "1" }), one), "b\t[[\"header:a\",\"1\"]]")
  })
})
