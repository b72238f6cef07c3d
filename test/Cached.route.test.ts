import { assert, describe, it } from "@effect/vitest"
import { BigDecimal, Context, DateTime, Deferred, Effect, Fiber, Layer, Option, Schema } from "effect"
import { addDeps, Cached, cached, invalidate, tag } from "effect-cached"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { again, collapsed, expired, hit, makeCache, miss, type Send, serve } from "./http.ts"

/** A route that returns its input as it decoded it, and counts its executions. */
const echo = <const F extends Schema.Struct.Fields>(
  method: "GET" | "POST" | "PUT" | "*",
  path: HttpRouter.PathInput,
  input: F,
  headers?: { readonly [K in keyof F]?: string }
) => {
  const inputs: Array<unknown> = []
  const route = Cached.route(method, path, { input, headers, success: Schema.Json }, (value) =>
    Effect.sync(() => {
      inputs.push(value)
      return JSON.parse(JSON.stringify(value))
    }))
  return { route: route as Layer.Layer<never, any, any>, inputs }
}

class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.String }) {
  [HttpServerRespondable.symbol]() {
    return Effect.succeed(HttpServerResponse.jsonUnsafe({ missing: this.id }, { status: 404 }))
  }
}

/** The headers that belong to the response, not to how it came about. */
const lasting = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "age" && name !== "cache-status"))

/** Starts a request whose computation waits, and one or more that join it. */
const joining = Effect.fnUntraced(function*(
  { next, send }: Effect.Success<ReturnType<typeof serve>>,
  path: string,
  followers: number
) {
  const leader = yield* Effect.forkChild(send(path), { startImmediately: true })
  yield* next("Miss")
  const others = []
  for (let i = 0; i < followers; i++) {
    others.push(yield* Effect.forkChild(send(path), { startImmediately: true }))
    yield* next("Joined")
  }
  return [leader, ...others] as const
})

const cacheStatusOf = (send: Send, path: string, headers?: Record<string, string>) =>
  Effect.map(send(path, { headers }), (reply) => reply.cacheStatus)

const under = (prefix: string, value: string) =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const fn = yield* Cached.make(`${prefix} name`, { success: Schema.String }, () => Effect.succeed(value))
      yield* router.prefixed(prefix).add("GET", "/name", cached(fn))
    })
  )

describe("the key of a cached route", () => {
  it.effect("holds declared query parameters, and no others (scenario 59)", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/items", { page: Schema.optionalKey(Schema.FiniteFromString) })
      const { send } = yield* serve(route)
      assert.strictEqual(yield* cacheStatusOf(send, "/items?page=1"), miss)
      for (
        const query of [
          "page=1&utm_source=x",
          "utm_source=x&page=1",
          "page=1&Page=2",
          "page=1&constructor=2",
          "page=1&__proto__=2",
          "page=1&__proto__[page]=2"
        ]
      ) {
        assert.strictEqual(yield* cacheStatusOf(send, `/items?${query}`), hit, query)
      }
      assert.strictEqual(yield* cacheStatusOf(send, "/items?page=2"), miss)
      assert.strictEqual(yield* cacheStatusOf(send, "/items"), miss)
      assert.strictEqual(yield* cacheStatusOf(send, "/items?utm_source=x"), hit)
      assert.deepStrictEqual(inputs, [{ page: 1 }, { page: 2 }, {}])
    }))

  it.effect("takes a name from the path before it takes it from the query (scenario 59)", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/users/:id", { id: Schema.String, tab: Schema.optionalKey(Schema.String) })
      const { send } = yield* serve(route)
      assert.strictEqual(yield* cacheStatusOf(send, "/users/7?id=8"), miss)
      assert.strictEqual(yield* cacheStatusOf(send, "/users/7?id=9&id=10"), hit)
      assert.strictEqual(yield* cacheStatusOf(send, "/users/8?id=7"), miss)
      assert.deepStrictEqual(inputs, [{ id: "7" }, { id: "8" }])
    }))

  it.effect("keeps repeated parameters apart from one with separators in it (scenario 59)", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/items", { a: Schema.optionalKey(Schema.Array(Schema.String)) })
      const { send } = yield* serve(route)
      const queries = ["a=1&a=2", "a=1,2", "a=1%2C2&a=", "a=2&a=1", "a=1", "a=", "", "a=%5B%221%22%2C%222%22%5D"]
      for (const query of queries) assert.strictEqual(yield* cacheStatusOf(send, `/items?${query}`), miss, query)
      for (const query of queries) assert.strictEqual(yield* cacheStatusOf(send, `/items?${query}`), hit, query)
      assert.deepStrictEqual(inputs, [
        { a: ["1", "2"] },
        { a: ["1,2"] },
        { a: ["1,2", ""] },
        { a: ["2", "1"] },
        { a: ["1"] },
        { a: [""] },
        {},
        { a: ["[\"1\",\"2\"]"] }
      ])
    }))

  it.effect("refuses a parameter that is repeated where one value is declared, and stores nothing", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/items", { page: Schema.String })
      const { send } = yield* serve(route)
      const reply = yield* send("/items?page=1&page=2")
      assert.strictEqual(reply.status, 400)
      assert.include(reply.body, "[\"page\"]")
      assert.deepStrictEqual(inputs, [])
    }))

  it.effect("is one for all spellings of one input", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/items/:id", { id: Schema.FiniteFromString })
      const { send } = yield* serve(route)
      assert.strictEqual(yield* cacheStatusOf(send, "/items/07"), miss)
      for (const id of ["7", "07", "7.0", "7e0", "%2B7", "0x7", "%37", "%207"]) {
        const reply = yield* send(`/items/${id}`)
        assert.strictEqual(reply.cacheStatus, hit, id)
        assert.strictEqual(reply.body, "{\"id\":7}")
      }
      assert.deepStrictEqual(inputs, [{ id: 7 }])
    }))

  it.effect("keeps separators inside values apart from those between them", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/files/:dir/:name", { dir: Schema.String, name: Schema.String })
      const { send } = yield* serve(route)
      const paths = ["a%2Fb/c", "a/b%2Fc", "a%22%2C%22name%22%3A%22b/c", "a%09b/c", "a/b%09c", "a%5C/b", "a/%5Cb"]
      for (const path of paths) assert.strictEqual(yield* cacheStatusOf(send, `/files/${path}`), miss, path)
      for (const path of paths) assert.strictEqual(yield* cacheStatusOf(send, `/files/${path}`), hit, path)
      assert.strictEqual(inputs.length, paths.length)
      assert.deepStrictEqual(inputs[0], { dir: "a/b", name: "c" })
      assert.deepStrictEqual(inputs[1], { dir: "a", name: "b/c" })
    }))

  it.effect("finds no fields in the prototypes of what a request is parsed into", () =>
    Effect.gen(function*() {
      const fields = { constructor: Schema.String, toString: Schema.String }
      const get = echo("GET", "/items", fields)
      const post = echo("POST", "/items", fields)
      const { send } = yield* serve(Layer.merge(get.route, post.route))
      for (const method of ["GET", "POST"]) {
        const body = method === "GET" ? undefined : "{\"__proto__\":{\"toString\":\"b\"}}"
        assert.strictEqual((yield* send("/items?constructor=a", { method, body })).status, 400)
        assert.strictEqual((yield* send("/items?constructor=a&__proto__=b", { method, body })).status, 400)
        assert.strictEqual(
          (yield* send("/items?constructor=a&toString=b", { method, body })).body,
          "{\"constructor\":\"a\",\"toString\":\"b\"}"
        )
      }
    }))

  it.effect("takes a header only where it is mapped, whatever its case, and says so in Vary", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/greeting", {
        lang: Schema.optionalKey(Schema.String),
        accept: Schema.optionalKey(Schema.String)
      }, { lang: "Accept-Language" })
      const { send } = yield* serve(route)
      const first = yield* send("/greeting?lang=query", { headers: { "accept-language": "de", accept: "text/html" } })
      assert.strictEqual(first.body, "{\"lang\":\"de\"}")
      assert.strictEqual(first.headers["vary"], "accept-language")
      const second = yield* send("/greeting?lang=other", { headers: { "ACCEPT-LANGUAGE": "de", accept: "image/png" } })
      assert.strictEqual(second.cacheStatus, hit)
      assert.strictEqual(second.headers["vary"], "accept-language")
      assert.strictEqual((yield* send("/greeting?lang=de")).body, "{}")
      assert.strictEqual((yield* send("/greeting", { headers: { "accept-language": "fr" } })).body, "{\"lang\":\"fr\"}")
      assert.deepStrictEqual(inputs, [{ lang: "de" }, {}, { lang: "fr" }])
    }))

  it.effect("takes the fields of a JSON body last, for methods that have one", () =>
    Effect.gen(function*() {
      const fields = {
        kind: Schema.String,
        q: Schema.String,
        page: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.String]))
      }
      const post = echo("POST", "/search/:kind", fields)
      const get = echo("GET", "/search/:kind", fields)
      const { send } = yield* serve(Layer.merge(post.route, get.route))
      const search = (body: string, query = "") => send(`/search/users${query}`, { method: "POST", body })
      const first = yield* search("{\"kind\":\"admins\",\"q\":\"ada\",\"page\":1,\"extra\":true}")
      assert.deepStrictEqual(JSON.parse(first.body), { kind: "users", q: "ada", page: 1 })
      assert.strictEqual(first.cacheStatus, miss)
      assert.strictEqual((yield* search("{\"page\":1,\"q\":\"ada\"}")).cacheStatus, hit)
      assert.strictEqual((yield* search("{\"page\":\"1\",\"q\":\"ada\"}")).cacheStatus, miss)
      assert.strictEqual(
        (yield* search("{\"page\":1,\"q\":\"ada\"}", "?q=bob")).body,
        "{\"kind\":\"users\",\"q\":\"bob\",\"page\":1}"
      )
      assert.strictEqual((yield* search("", "?q=cy")).body, "{\"kind\":\"users\",\"q\":\"cy\"}")
      assert.strictEqual((yield* send("/search/users?q=ada&page=1")).cacheStatus, miss)
    }))

  it.effect.each(["{", "[]", "null", "1", "\"q\"", "{}", "{\"q\":1}", "{\"q\":null}"])(
    "refuses the body %s with the reason",
    (body) =>
      Effect.gen(function*() {
        const { inputs, route } = echo("POST", "/search", { q: Schema.String })
        const { send } = yield* serve(route)
        const reply = yield* send("/search", { method: "POST", body })
        assert.strictEqual(reply.status, 400)
        assert.include(reply.body, "POST /search")
        assert.deepStrictEqual(inputs, [])
      })
  )

  it.effect("copes with values of 10 000 characters, to the last one", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/items/:id?", {
        id: Schema.optionalKey(Schema.String),
        q: Schema.optionalKey(Schema.String)
      })
      const { send } = yield* serve(route)
      const long = "x".repeat(10_000)
      assert.strictEqual(yield* cacheStatusOf(send, `/items?q=${long}a`), miss)
      assert.strictEqual(yield* cacheStatusOf(send, `/items?q=${long}b`), miss)
      assert.strictEqual(yield* cacheStatusOf(send, `/items?q=${long}a`), hit)
      assert.strictEqual(inputs.length, 2)
      // The router's own limit for a parameter of the path.
      assert.strictEqual((yield* send(`/items/${long}`)).status, 404)
      assert.strictEqual(inputs.length, 2)
    }))

  it.effect("is not upset by percent-encoding that is invalid", () =>
    Effect.gen(function*() {
      const { route } = echo("GET", "/items/:id", { id: Schema.String, q: Schema.optionalKey(Schema.String) })
      const { send } = yield* serve(route)
      for (
        const path of ["/items/%E0%A4%A", "/items/%", "/items/%zz", "/items/a?q=%E0%A4%A", "/items/a?q=%", "/items/%00"]
      ) {
        const first = yield* send(path)
        assert.isBelow(first.status, 500, path)
        assert.strictEqual((yield* send(path)).body, first.body)
      }
    }))

  it.effect("does not hold the method, where one route answers several", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("*", "/items", { q: Schema.String })
      const { send } = yield* serve(route)
      assert.strictEqual(yield* cacheStatusOf(send, "/items?q=1"), miss)
      assert.strictEqual((yield* send("/items?q=1", { method: "POST" })).cacheStatus, hit)
      assert.deepStrictEqual(inputs, [{ q: "1" }])
    }))

  it.effect("lets one router have a name that another one of the same cache has taken only after it", () =>
    Effect.gen(function*() {
      const cache = yield* makeCache()
      const one = yield* serve(
        Cached.route("GET", "/name", { success: Schema.String }, () => Effect.succeed("one")),
        cache
      )
      assert.strictEqual((yield* one.send("/name")).body, "\"one\"")
      const two = yield* Effect.exit(Effect.scoped(Layer.build(
        Cached.route("GET", "/name", { success: Schema.String }, () => Effect.succeed("two")).pipe(
          Layer.provide([cache.layer, HttpRouter.layer])
        ) as Layer.Layer<never, unknown>
      )))
      assert.include(String(two), "GET /name")
      const three = yield* serve(
        Cached.route("GET", "/name", { name: "three", success: Schema.String }, () => Effect.succeed("three")),
        cache
      )
      assert.strictEqual((yield* three.send("/name")).body, "\"three\"")
      assert.strictEqual((yield* one.send("/name")).body, "\"one\"")
    }))

  it.effect("is another one under another prefix", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(Layer.merge(under("/v1", "one"), under("/v2", "two")))
      for (const status of [miss, hit]) {
        for (const [path, body] of [["/v1/name", "\"one\""], ["/v2/name", "\"two\""]] as const) {
          const reply = yield* send(path)
          assert.strictEqual(reply.body, body)
          assert.strictEqual(reply.cacheStatus, status)
        }
      }
    }))
})

describe("the response of a cached route", () => {
  const Sample = Schema.Struct({
    at: Schema.Date,
    when: Schema.DateTimeUtc,
    price: Schema.BigDecimal,
    note: Schema.Option(Schema.String),
    members: Schema.Array(Schema.Struct({ name: Schema.String, seen: Schema.NullOr(Schema.Date) }))
  })
  const sample: typeof Sample.Type = {
    at: new Date(0),
    when: DateTime.makeUnsafe("2026-11-22T03:00:00.123Z"),
    price: BigDecimal.fromStringUnsafe("19.990"),
    note: Option.some("x"),
    members: [{ name: "Ådä, 日本 \u2028", seen: null }, { name: "\"", seen: new Date(1) }]
  }

  it.effect("has the same status, body and headers on a hit as on a miss (scenario 62)", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(
        Cached.route("GET", "/sample", { success: Schema.Array(Sample) }, () =>
          Effect.succeed([sample, { ...sample, note: Option.none() }]))
      )
      const first = yield* send("/sample")
      const second = yield* send("/sample")
      assert.strictEqual(first.cacheStatus, miss)
      assert.strictEqual(second.cacheStatus, hit)
      assert.strictEqual(second.status, first.status)
      assert.strictEqual(second.body, first.body)
      assert.deepStrictEqual(lasting(second.headers), lasting(first.headers))
      assert.strictEqual(first.headers["content-type"], "application/json")
    }))

  it.effect("answers HEAD from the entry of GET, and GET from that of HEAD (scenario 62)", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/items/:id", { id: Schema.String })
      const { send } = yield* serve(route)
      const head = yield* send("/items/1", { method: "HEAD" })
      assert.strictEqual(head.cacheStatus, miss)
      assert.strictEqual(head.body, "")
      const get = yield* send("/items/1")
      assert.strictEqual(get.cacheStatus, hit)
      assert.strictEqual(get.body, "{\"id\":\"1\"}")
      const again = yield* send("/items/1", { method: "HEAD" })
      assert.strictEqual(again.body, "")
      assert.strictEqual(again.headers["etag"], get.headers["etag"])
      assert.strictEqual(again.headers["content-type"], get.headers["content-type"])
      assert.strictEqual(inputs.length, 1)
    }))

  it.effect("is a 304 without a body where If-None-Match names its validator (scenario 62)", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/items/:id", { id: Schema.String })
      const { send } = yield* serve(route)
      const { headers: { etag = "" } } = yield* send("/items/1")
      assert.match(etag, /^"[\x21\x23-\x7e]+"$/)
      for (const field of [etag, `W/${etag}`, `"a", ${etag}`, `"a,b", W/"c" ,${etag}`, "*", " * "]) {
        for (const method of ["GET", "HEAD"]) {
          const reply = yield* send("/items/1", { method, headers: { "if-none-match": field } })
          assert.strictEqual(reply.status, 304, field)
          assert.strictEqual(reply.body, "")
          assert.strictEqual(reply.headers["etag"], etag)
          assert.strictEqual(reply.headers["cache-control"], "no-cache")
          assert.strictEqual(reply.cacheStatus, hit)
          assert.isUndefined(reply.headers["content-type"])
          assert.isUndefined(reply.headers["content-length"])
        }
      }
      for (const field of ["\"a\"", etag.slice(1, -1), "", "W/", `"${etag}"x`.replaceAll("\"\"", "\"x\""), "\"*\""]) {
        const reply = yield* send("/items/1", { headers: { "if-none-match": field } })
        assert.strictEqual(reply.status, 200, field)
        assert.strictEqual(reply.body, "{\"id\":\"1\"}")
      }
      assert.strictEqual(inputs.length, 1)
    }))

  it.effect("is a 304 also where it had to be computed to know", () =>
    Effect.gen(function*() {
      const { inputs, route } = echo("GET", "/items/:id", { id: Schema.String })
      const { cache, send } = yield* serve(route)
      const { headers: { etag = "" } } = yield* send("/items/1")
      yield* cache.clear
      const reply = yield* send("/items/1", { headers: { "if-none-match": etag } })
      assert.strictEqual(reply.status, 304)
      assert.strictEqual(reply.cacheStatus, miss)
      assert.strictEqual(inputs.length, 2)
      assert.strictEqual((yield* send("/items/1")).body, "{\"id\":\"1\"}")
    }))

  it.effect("has another validator when the data has changed", () =>
    Effect.gen(function*() {
      let value = 1
      const { cache, send } = yield* serve(
        Cached.route("GET", "/value", { success: Schema.Number, deps: () => ["value"] }, () => Effect.sync(() => value))
      )
      const { headers: { etag = "" } } = yield* send("/value")
      value = 2
      assert.strictEqual((yield* send("/value", { headers: { "if-none-match": etag } })).status, 304)
      yield* cache.invalidate(["value"])
      const reply = yield* send("/value", { headers: { "if-none-match": etag } })
      assert.strictEqual(reply.status, 200)
      assert.strictEqual(reply.body, "2")
    }))

  it.effect("has an Age and a ttl that follow the clock (scenario 64)", () =>
    Effect.gen(function*() {
      let value = 0
      const { send } = yield* serve(
        Cached.route("GET", "/value", { success: Schema.Number, timeToLive: "10 seconds" }, () =>
          Effect.sync(() =>
            ++value
          ))
      )
      const first = yield* send("/value")
      assert.strictEqual(first.cacheStatus, miss)
      assert.isUndefined(first.headers["age"])
      const expected = [[0, "0", 10], [999, "0", 10], [1, "1", 9], [1500, "2", 8], [7499, "9", 1]] as const
      for (const [millis, age, ttl] of expected) {
        yield* TestClock.adjust(millis)
        for (const _ of [1, 2]) {
          const reply = yield* send("/value")
          assert.strictEqual(reply.cacheStatus, `${hit}; ttl=${ttl}`)
          assert.strictEqual(reply.headers["age"], age)
          assert.strictEqual(reply.body, "1")
        }
        assert.strictEqual((yield* send("/value", { headers: { "if-none-match": "*" } })).headers["age"], age)
      }
      yield* TestClock.adjust(1)
      const last = yield* send("/value")
      assert.strictEqual(last.cacheStatus, expired)
      assert.strictEqual(last.body, "2")
      assert.isUndefined(last.headers["age"])
    }))

  it.effect("has an Age and no ttl without a lifetime, and asks to be checked before it is used again (scenario 64)", () =>
    Effect.gen(function*() {
      const { route } = echo("GET", "/items/:id", { id: Schema.String })
      const { send } = yield* serve(route)
      assert.strictEqual((yield* send("/items/1")).headers["cache-control"], "no-cache")
      yield* TestClock.adjust("400 days")
      const reply = yield* send("/items/1")
      assert.strictEqual(reply.cacheStatus, hit)
      assert.strictEqual(reply.headers["age"], String(400 * 86_400))
      assert.strictEqual(reply.headers["cache-control"], "no-cache")
    }))

  it.effect("says who was computed for, who joined, and who came later (scenario 64)", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const server = yield* serve(
        Cached.route("GET", "/value", { success: Schema.Number }, () =>
          Effect.map(Deferred.await(gate), () =>
            ++executions))
      )
      const fibers = yield* joining(server, "/value", 2)
      yield* Deferred.succeed(gate, undefined)
      const replies = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(
        replies.map((reply) =>
          reply.cacheStatus
        ),
        [miss, collapsed, collapsed]
      )
      assert.deepStrictEqual(replies.map((reply) => reply.body), ["1", "1", "1"])
      assert.isTrue(replies.every((reply) => reply.headers["age"] === undefined))
      assert.strictEqual(yield* cacheStatusOf(server.send, "/value"), hit)
    }))

  it.effect.each([
    { reason: "no-lifetime", definition: { timeToLive: 0 } },
    { reason: "tag", definition: { deps: () => ["user::7"] } },
    { reason: "policy", definition: { timeToLive: () => -1 } }
  ])("says that it is not stored, and why: $reason (scenario 64)", ({ definition, reason }) =>
    Effect.gen(function*() {
      let executions = 0
      const { send } = yield* serve(
        Cached.route("GET", "/value", { success: Schema.Number, ...definition }, () => Effect.sync(() => ++executions))
      )
      for (const body of ["1", "2"]) {
        const reply = yield* send("/value")
        assert.strictEqual(reply.status, 200)
        assert.strictEqual(reply.body, body)
        assert.strictEqual(reply.cacheStatus, `effect-cached; fwd=miss; detail=${reason}`)
      }
    }))

  it.effect("says that it is not stored because the data changed meanwhile", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const server = yield* serve(
        Cached.route("GET", "/value", { success: Schema.Number, deps: () => ["value"] }, () =>
          Effect.as(Deferred.await(gate), 1))
      )
      const [leader] = yield* joining(server, "/value", 0)
      yield* server.cache.invalidate(["value"])
      yield* Deferred.succeed(gate, undefined)
      const reply = yield* Fiber.join(leader)
      assert.strictEqual(reply.body, "1")
      assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=miss; detail=invalidated")
      assert.strictEqual(yield* cacheStatusOf(server.send, "/value"), miss)
    }))

  it.effect("is a 500 for a result that does not fit its schema, which is not stored", () =>
    Effect.gen(function*() {
      let executions = 0
      const { send } = yield* serve(
        Cached.route("GET", "/value", { success: Schema.Number.check(Schema.isGreaterThan(1)) }, () =>
          Effect.sync(() =>
            ++executions
          ))
      )
      assert.strictEqual((yield* send("/value")).status, 500)
      assert.strictEqual((yield* send("/value")).body, "2")
    }))

  it.effect("has the Vary of its own route, where one function is served by two", () =>
    Effect.gen(function*() {
      const routes = HttpRouter.use((router) =>
        Effect.gen(function*() {
          const fn = yield* Cached.make("hello", {
            input: { lang: Schema.optionalKey(Schema.String) },
            success: Schema.String
          }, ({ lang }) => Effect.succeed(`hello ${lang}`))
          yield* router.add("GET", "/by-query", cached(fn))
          yield* router.add("GET", "/by-header", cached(fn, { headers: { lang: "accept-language" } }))
        })
      )
      const { send } = yield* serve(routes)
      const byHeader = send("/by-header", { headers: { "accept-language": "de" } })
      for (const _ of [1, 2]) {
        const query = yield* send("/by-query?lang=de")
        assert.strictEqual(query.body, "\"hello de\"")
        assert.isUndefined(query.headers["vary"])
        const header = yield* byHeader
        assert.strictEqual(header.body, "\"hello de\"")
        assert.strictEqual(header.headers["vary"], "accept-language")
      }
    }))
})

describe("the failures of a cached route", () => {
  it.effect("a typed error with a status reaches all fifty who wait for it, and nobody later (scenario 61)", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const route = Cached.route(
        "GET",
        "/items/:id",
        { input: { id: Schema.String }, success: Schema.Number },
        ({ id }) =>
          Effect.suspend(() => {
            executions++
            return Effect.andThen(Deferred.await(gate), Effect.fail(new NotFound({ id })))
          })
      )
      const server = yield* serve(route)
      const fibers = yield* joining(server, "/items/7", 49)
      yield* Deferred.succeed(gate, undefined)
      for (const reply of yield* Effect.forEach(fibers, Fiber.join)) {
        assert.strictEqual(reply.status, 404)
        assert.deepStrictEqual(JSON.parse(reply.body), { missing: "7" })
        assert.strictEqual(reply.headers["content-type"], "application/json")
      }
      assert.strictEqual(executions, 1)
      assert.strictEqual((yield* server.send("/items/7")).status, 404)
      assert.strictEqual(executions, 2)
    }))

  it.effect("a defect is a 500 for all who wait for it, and nobody later (scenario 61)", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let broken = true
      const server = yield* serve(
        Cached.route("GET", "/value", { success: Schema.Number }, () =>
          Effect.andThen(
            Deferred.await(gate),
            Effect.suspend(() => broken ? Effect.die("broken") : Effect.succeed(1))
          ))
      )
      const fibers = yield* joining(server, "/value", 9)
      yield* Deferred.succeed(gate, undefined)
      for (const reply of yield* Effect.forEach(fibers, Fiber.join)) {
        assert.strictEqual(reply.status, 500)
      }
      broken = false
      assert.strictEqual((yield* server.send("/value")).body, "1")
    }))

  it.effect("a 404 stays one, whatever the condition of the request", () =>
    Effect.gen(function*() {
      const route = Cached.route(
        "GET",
        "/items/:id",
        { input: { id: Schema.String }, success: Schema.Number },
        ({ id }) => Effect.fail(new NotFound({ id }))
      )
      const { send } = yield* serve(route)
      for (const _ of [1, 2]) {
        const reply = yield* send("/items/7", { headers: { "if-none-match": "*" } })
        assert.strictEqual(reply.status, 404)
        assert.deepStrictEqual(JSON.parse(reply.body), { missing: "7" })
      }
    }))

  it.effect("a client that hangs up does not take the result from those who wait for its computation", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const { next, send } = yield* serve(
        Cached.route(
          "GET",
          "/value",
          { success: Schema.Number },
          () => Effect.map(Deferred.await(gate), () => ++executions)
        )
      )
      const abort = new AbortController()
      const leader = yield* Effect.forkChild(send("/value", { signal: abort.signal }), { startImmediately: true })
      yield* next("Miss")
      const follower = yield* Effect.forkChild(send("/value"), { startImmediately: true })
      yield* next("Joined")
      abort.abort()
      yield* Fiber.await(leader)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(follower)).body, "1")
      assert.strictEqual(executions, 1)
    }))

  it.effect("a computation whose every client hangs up is interrupted, and the next request starts anew", () =>
    Effect.gen(function*() {
      const interrupted = yield* Deferred.make<void>()
      let executions = 0
      const { next, send } = yield* serve(
        Cached.route("GET", "/value", { success: Schema.Number }, () =>
          Effect.suspend(() =>
            ++executions === 1
              ? Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
              : Effect.succeed(executions)
          ))
      )
      const abort = new AbortController()
      yield* Effect.forkChild(send("/value", { signal: abort.signal }), { startImmediately: true })
      yield* next("Miss")
      abort.abort()
      yield* Deferred.await(interrupted)
      assert.strictEqual((yield* send("/value")).body, "2")
    }))
})

class CurrentUser extends Context.Service<CurrentUser, { readonly name: string }>()("test/CurrentUser") {}

const authenticated = () => {
  const seen: Array<string | undefined> = []
  const layer = HttpRouter.middleware<{ provides: CurrentUser }>()((httpEffect) =>
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const name = request.headers["x-api-key"]
      seen.push(name)
      return name === undefined || name === "nobody"
        ? HttpServerResponse.empty({ status: 401 })
        : HttpServerResponse.setHeader(
          yield* Effect.provideService(httpEffect, CurrentUser, { name }),
          "x-served-to",
          name
        )
    })
  ).layer
  return { layer, seen }
}

describe("a cached route behind middleware", () => {
  it.effect("is asked behind it on every request, hit or miss (scenario 65)", () =>
    Effect.gen(function*() {
      const { layer, seen } = authenticated()
      const { inputs, route } = echo("GET", "/items/:id", { id: Schema.String })
      const { send } = yield* serve(route.pipe(Layer.provide(layer)))
      const as = (name: string, etag = "") =>
        send("/items/1", { headers: { "x-api-key": name, "if-none-match": etag } })
      const first = yield* as("ada")
      assert.strictEqual(first.headers["x-served-to"], "ada")
      const second = yield* as("bob")
      assert.strictEqual(second.cacheStatus, hit)
      assert.strictEqual(second.headers["x-served-to"], "bob")
      assert.strictEqual((yield* as("cy", first.headers["etag"])).headers["x-served-to"], "cy")
      assert.strictEqual((yield* as("nobody")).status, 401)
      assert.strictEqual((yield* as("nobody", first.headers["etag"])).status, 401)
      assert.strictEqual((yield* send("/items/1")).status, 401)
      assert.strictEqual((yield* as("ada")).headers["x-served-to"], "ada")
      assert.deepStrictEqual(seen, ["ada", "bob", "cy", "nobody", "nobody", undefined, "ada"])
      assert.strictEqual(inputs.length, 1)
    }))

  it.effect("has an entry for each user that it varies by (scenario 60)", () =>
    Effect.gen(function*() {
      const { layer } = authenticated()
      let executions = 0
      const server = yield* serve(
        Cached.route(
          "GET",
          "/me/:id",
          {
            input: { id: Schema.String },
            success: Schema.String,
            varyBy: Effect.map(CurrentUser, (user) => user.name)
          },
          Effect.fnUntraced(function*({ id }, name) {
            executions++
            yield* addDeps(tag`user:${name}`)
            return `${id} of ${name}`
          })
        ).pipe(Layer.provide(layer))
      )
      const as = (name: string, headers?: Record<string, string>) =>
        server.send("/me/1", { headers: { "x-api-key": name, ...headers } })
      for (const status of [miss, hit, hit]) {
        for (const name of ["ada", "bob", "undefined", "\t", "ada\",\"x"]) {
          const reply = yield* as(name, { authorization: `Bearer ${name}`, cookie: "a=b" })
          assert.strictEqual(reply.body, JSON.stringify(`1 of ${name.trim()}`))
          assert.strictEqual(reply.cacheStatus, status)
          assert.strictEqual(reply.headers["cache-control"], "private, no-cache")
        }
      }
      assert.strictEqual(executions, 5)
      yield* server.cache.invalidate([tag`user:${"ada"}`])
      assert.strictEqual((yield* as("ada")).cacheStatus, again)
      assert.strictEqual((yield* as("bob")).cacheStatus, hit)
    }))

  it.effect("keeps the users apart whose requests run at the same time (scenario 60)", () =>
    Effect.gen(function*() {
      const { layer } = authenticated()
      const gate = yield* Deferred.make<void>()
      const { next, send } = yield* serve(
        Cached.route("GET", "/me", {
          success: Schema.String,
          varyBy: Effect.map(CurrentUser, (user) => user.name)
        }, (_, name) => Effect.as(Deferred.await(gate), name)).pipe(Layer.provide(layer))
      )
      const ask = (name: string) =>
        Effect.forkChild(send("/me", { headers: { "x-api-key": name } }), { startImmediately: true })
      const ada = yield* ask("ada")
      yield* next("Miss")
      const bob = yield* ask("bob")
      yield* next("Miss")
      const again = yield* ask("ada")
      yield* next("Joined")
      yield* Deferred.succeed(gate, undefined)
      const bodies = yield* Effect.forEach([ada, bob, again], Fiber.join)
      assert.deepStrictEqual(bodies.map((reply) => reply.body), ["\"ada\"", "\"bob\"", "\"ada\""])
    }))

  it.effect("does not have the request where types are circumvented", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(
        Cached.route(
          "GET",
          "/value",
          { success: Schema.String },
          (() =>
            Effect.map(
              HttpServerRequest.HttpServerRequest,
              (request) => String(request.headers["x-user"])
            )) as never
        )
      )
      assert.strictEqual((yield* send("/value", { headers: { "x-user": "ada" } })).status, 500)
      assert.strictEqual((yield* send("/value", { headers: { "x-user": "bob" } })).status, 500)
    }))
})

describe("invalidation from another route", () => {
  it.effect("is seen by the next request", () =>
    Effect.gen(function*() {
      const values = new Map([["1", 1], ["2", 1]])
      const routes = Layer.mergeAll(
        Cached.route("GET", "/values/:id", {
          input: { id: Schema.String },
          success: Schema.NullOr(Schema.Number),
          deps: ({ id }) => [tag`value:${id}`]
        }, ({ id }) => Effect.sync(() => values.get(id) ?? null)),
        HttpRouter.add(
          "PUT",
          "/values/:id",
          Effect.gen(function*() {
            const { id = "" } = yield* HttpRouter.params
            values.set(id, (values.get(id) ?? 0) + 1)
            yield* invalidate(tag`value:${id}`)
            return HttpServerResponse.empty()
          })
        )
      )
      const { send } = yield* serve(routes)
      for (const id of ["1", "2", "3"]) yield* send(`/values/${id}`)
      assert.strictEqual((yield* send("/values/3")).cacheStatus, hit)
      assert.strictEqual((yield* send("/values/3")).body, "null")
      assert.strictEqual((yield* send("/values/1", { method: "PUT" })).status, 204)
      const reply = yield* send("/values/1")
      assert.strictEqual(reply.body, "2")
      assert.strictEqual(reply.cacheStatus, again)
      assert.strictEqual((yield* send("/values/2")).cacheStatus, hit)
    }))
})
