import { assert, describe, it } from "@effect/vitest"
import { Context } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import { canonicalUnsafe } from "../../../src/internal/canonical.ts"
import { makeDirectKey, noBody, readInput } from "../../../src/internal/http/requestInput.ts"
import { makeRandom } from "../../random.ts"

type Values = Record<string, string | ReadonlyArray<string>>

const asked = (params: Values, search: Values, headers: Record<string, string> = {}) => {
  const request = HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))
  const context = Context.make(HttpRouter.RouteContext, { params, route: undefined } as never).pipe(
    Context.add(HttpServerRequest.ParsedSearchParams, search as never)
  ) as Context.Context<never>
  return { request, context }
}

describe("makeDirectKey", () => {
  const fields = { names: ["a", "b", "list"], lists: new Set(["list"]), headers: { b: "x-b" } }

  it("gives the text that is made of the input, the first time and any other", () => {
    const random = makeRandom(7)
    const keyOf = makeDirectKey(fields, canonicalUnsafe)
    const values = ["", "a", "b", "undefined", "\"", "1"]
    const some = (name: string): Values => random.below(5) < 3 ? { [name]: random.pick(values) } : {}
    for (let n = 0; n < 2000; n++) {
      const { context, request } = asked(
        some("a"),
        { ...some("a"), ...some("list") },
        some("x-b") as Record<string, string>
      )
      const expected = canonicalUnsafe(readInput(fields, context, request, noBody))
      assert.strictEqual(keyOf(context, request), expected)
      assert.strictEqual(keyOf(context, request), expected)
    }
  })

  it("makes a key once", () => {
    let made = 0
    const keyOf = makeDirectKey(fields, () => `key ${++made}`)
    const keys = ["7", "8", "7"].map((a) => {
      const { context, request } = asked({ a }, {})
      return keyOf(context, request)
    })
    assert.deepStrictEqual(keys, ["key 1", "key 2", "key 1"])
  })

  it("gives none where a parameter has several values, whatever is known", () => {
    const keyOf = makeDirectKey(fields, canonicalUnsafe)
    const one = asked({}, { a: "1", list: "1" })
    assert.strictEqual(keyOf(one.context, one.request), "{\"a\":\"1\",\"list\":[\"1\"]}")
    for (const search of [{ a: ["1"], list: "1" }, { a: "1", list: ["1", "2"] }]) {
      const { context, request } = asked({}, search)
      assert.isUndefined(keyOf(context, request))
    }
  })

  it("reads nothing that is inherited, and nothing that is not declared", () => {
    const keyOf = makeDirectKey({ names: ["toString"], lists: new Set(), headers: {} }, canonicalUnsafe)
    const { context, request } = asked({}, { other: "1" })
    assert.strictEqual(keyOf(context, request), "{}")
    const nothing = makeDirectKey({ names: [], lists: new Set(), headers: {} }, canonicalUnsafe)
    assert.strictEqual(nothing(context, request), "{}")
  })
})
