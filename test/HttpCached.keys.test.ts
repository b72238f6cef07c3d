/**
 * Keys of requests that are found again by their texts, and what else a hit looks at only once: hostile requests, and middleware
 * between a client and the cache.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Schema } from "effect"
import { Cached, cached, HttpCached } from "effect-cached"
import * as HttpApiCached from "effect-cached/HttpApiCached"
import { Headers, HttpEffect, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import { type Level, makeKnownKeys, type Step } from "../src/internal/http/knownKeys.ts"
import { bypass, hit, miss, serve } from "./http.ts"
import { get } from "./httpReaders.ts"
import { makeRandom } from "./random.ts"

type Routes = Layer.Layer<never, any, any>

const input = {
  id: Schema.String,
  a: Schema.optional(Schema.String),
  b: Schema.optional(Schema.String),
  list: Schema.optional(Schema.Array(Schema.String)),
  h: Schema.optional(Schema.String)
}
type Input = Schema.Struct<typeof input>["Type"]

const said = ({ a, b, h, id, list }: Input) => JSON.stringify([id, a ?? null, b ?? null, list ?? null, h ?? null])

// What it reads depends on what it has read.
const page = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  const { a, b } = yield* HttpServerRequest.ParsedSearchParams
  const read: Array<unknown> = [yield* HttpRouter.params, a]
  if (a !== undefined) read.push(request.headers["x-h"])
  if (request.headers["x-h"] === "late") read.push(b, request.cookies["c"])
  if (b === "url") read.push(request.url)
  return HttpServerResponse.text(JSON.stringify(read.map((part) => part ?? null)))
})

const origin = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers, originalUrl, url }) =>
    HttpServerResponse.text(JSON.stringify([headers["host"] ?? null, originalUrl, url, headers["x-h"] ?? null]), {
      headers: { "cache-control": "max-age=60", vary: "X-H" }
    })
)

const varyBy = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["authorization"] ?? "-")

const routes = (isCached: boolean): Routes => {
  const timeToLive = isCached ? "1 hour" : 0
  const definition = { input, headers: { h: "X-H" }, success: Schema.String, timeToLive } as const
  return Layer.mergeAll(
    Cached.route("GET", "/one/:id", definition, (input) => Effect.succeed(said(input))) as Routes,
    Cached.route("GET", "/other/:id", definition, (input) => Effect.succeed(`other ${said(input)}`)) as Routes,
    get(
      "/varied/:id",
      cached((input: Input, user: string) => Effect.succeed(user + said(input)), { ...definition, varyBy }) as never
    ),
    get("/page/:a/:b?", cached(page, { varyBy: "nothing", timeToLive })),
    get("/rest/*", cached(page, { timeToLive })),
    get("/shared/*", isCached ? HttpCached.rfc9111(origin) : origin)
  )
}

const paths = ["/one/", "/other/", "/varied/", "/page/", "/rest/", "/shared/"]
const names = ["a", "b", "list", "list", "id", "h", "x", "%61", "__proto__"]
// As they stand in a URL: encoded or not, and on both sides of what is kept.
const values = [
  ..."1 2 + %2B %20 %2F a%00b %C3%A4 a%CC%88 %22 %5C undefined null url a,b %2C %26a=1 %3D %5B%5D __proto__ constructor"
    .split(" "),
  "",
  ...[255, 256, 257, 300].map((length) => "x".repeat(length))
]
const headers: ReadonlyArray<Record<string, string>> = [
  {},
  { "x-h": "1" },
  { "X-H": "late" },
  { "x-h": "" },
  { "x-h": "1, 2" },
  { "x-h": "late", cookie: "c=1" },
  { cookie: "c=2; c=1" },
  { authorization: "ada" },
  { authorization: "bob" },
  { host: "b" },
  { "x-h": "y".repeat(300) }
]

describe("requests", () => {
  it.effect.each([1, 2, 3, 4])(
    "are answered as without a cache, however they are written, seed %s",
    (seed) =>
      Effect.gen(function*() {
        const { below, pick } = makeRandom(seed)
        const one = yield* serve(routes(true))
        const other = yield* serve(routes(false))
        let hits = 0
        for (let n = 0; n < 400; n++) {
          const path = pick(paths) + pick(values) + (below(4) === 0 ? `/${pick(values)}` : "")
          const query = Array.from({ length: below(4) }, () => pick(names) + (below(6) === 0 ? "" : `=${pick(values)}`))
          const url = query.length === 0 ? path : `${path}?${query.join("&")}`
          const init = { method: below(5) === 0 ? "HEAD" : "GET", headers: pick(headers) }
          const expected = yield* other.send(url, init)
          for (const _ of [1, 2]) {
            const { body, cacheStatus, status } = yield* one.send(url, init)
            assert.deepStrictEqual({ status, body }, { status: expected.status, body: expected.body }, url)
            if (cacheStatus?.startsWith(hit) === true) hits++
          }
        }
        assert.isAbove(hits, 100)
      })
  )

  it.effect("find their own entries after thousands of others", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(routes(true))
      const ask = Effect.fnUntraced(function*(user: number) {
        const path = `/shared/${user % 3}`
        const { body } = yield* send(path, { headers: { "x-h": `user ${user}` } })
        assert.include(body, `"${path}","user ${user}"`)
        assert.strictEqual((yield* send(`/one/${user}`)).body, JSON.stringify(said({ id: String(user) })))
      })
      for (let user = 0; user < 4200; user++) yield* ask(user)
      for (const user of [0, 1, 2, 4095, 4096, 4199]) yield* ask(user)
    }), 60_000)

  it("take no more memory where a route declares much that they leave out", () => {
    const keys = makeKnownKeys()
    const kept = (level: Level | string | undefined): number =>
      typeof level === "string" || level === undefined
        ? 0
        : Array.from(level.values()).reduce((sum, next) => sum + kept(next), 1)
    let most = 0
    for (let n = 0; n < 5000; n++) {
      const steps: ReadonlyArray<Step> = [String(n), ...Array.from({ length: 40 }, () => undefined)]
      keys.add(steps, `key ${n}`)
      assert.strictEqual(steps.reduce<any>((level, step) => level?.get(step), keys.first()), `key ${n}`)
      if (n % 100 === 0) most = Math.max(most, kept(keys.first()))
    }
    assert.isAbove(most, 4096)
    assert.isBelow(most, 16_500)
  })
})

class User extends Context.Service<User, string>()("test/User") {}

// Who has sent the request is a service from here on, and its header is gone.
const authentication = HttpRouter.middleware(
  ((app: Effect.Effect<HttpServerResponse.HttpServerResponse>) =>
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const others = request.modify({ headers: Headers.remove(request.headers, "authorization") })
      return yield* app.pipe(
        Effect.provideService(User, request.headers["authorization"] ?? "nobody"),
        Effect.provideService(HttpServerRequest.HttpServerRequest, others)
      )
    })) as never,
  { global: true }
) as unknown as Routes

const user = Effect.map(Effect.serviceOption(User), (user) => user._tag === "Some" ? user.value : "none")

describe("credentials that middleware takes out of a request", () => {
  const Api = HttpApi.make("api").add(
    HttpApiGroup.make("users").add(
      HttpApiEndpoint.get("me", "/me", { success: Schema.String }).pipe(HttpApiCached.annotate({}))
    )
  )
  const api = HttpApiBuilder.layer(Api).pipe(
    Layer.provide(HttpApiBuilder.group(Api, "users", (handlers) => handlers.handle("me", () => user))),
    Layer.provide(HttpServer.layerServices),
    Layer.provide(HttpApiCached.layer)
  ) as Routes

  it.effect.each<readonly [string, Routes]>([
    ["a handler", get("/me", cached(Effect.map(user, (user) => HttpServerResponse.text(`"${user}"`))))],
    ["a value", get("/me", cached(() => user, { input: {}, success: Schema.String }) as never)],
    ["an endpoint", api]
  ])("count: %s", ([, route]) =>
    Effect.gen(function*() {
      const { send } = yield* serve(Layer.mergeAll(route, authentication))
      for (const name of ["ada", "bob", "ada"]) {
        const { body, cacheStatus } = yield* send("/me", { headers: { authorization: name } })
        assert.deepStrictEqual([body, cacheStatus], [`"${name}"`, bypass("credentials")])
      }
      assert.strictEqual((yield* send("/me")).body, "\"nobody\"")
      assert.include((yield* send("/me")).cacheStatus, hit)
    }))
})

const addHeader = (name: string) =>
  HttpEffect.appendPreResponseHandler((_, response) =>
    Effect.succeed(HttpServerResponse.setHeader(response, name, "added"))
  )

describe("what middleware adds to a request after its route has answered something stale", () => {
  it.effect("is not taken for what the handler adds: what is computed behind it is stored", () =>
    Effect.gen(function*() {
      const [started, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let n = 0
      const handler = Effect.gen(function*() {
        const response = HttpServerResponse.text(`answer ${++n}`)
        if (n === 1) return response
        yield* Deferred.succeed(started, undefined)
        return yield* Effect.as(Deferred.await(gate), response)
      })
      let asked = 0
      const late = HttpRouter.middleware(
        ((app: Effect.Effect<unknown>) =>
          Effect.tap(
            app,
            () => Effect.andThen(++asked === 2 ? Deferred.await(started) : Effect.void, addHeader("x-late"))
          )) as never,
        { global: true }
      ) as unknown as Routes
      const { next, send } = yield* serve(Layer.mergeAll(
        get("/page", cached(handler, { policy: { timeToLive: "1 minute", staleWhileRevalidate: "1 hour" } })),
        late
      ))
      assert.strictEqual((yield* send("/page")).cacheStatus, miss)
      yield* next("Stored")
      yield* TestClock.adjust("2 minutes")
      const stale = yield* send("/page")
      assert.deepStrictEqual([stale.body, stale.headers["x-late"]], ["answer 1", "added"])
      yield* Deferred.succeed(gate, undefined)
      yield* next("Stored")
      const { body, cacheStatus } = yield* send("/page")
      assert.strictEqual(body, "answer 2")
      assert.include(cacheStatus, hit)
    }))

  it.effect.each<readonly [string, (handler: Effect.Effect<HttpServerResponse.HttpServerResponse, any, any>) => any]>([
    ["cached", cached],
    ["rfc9111", HttpCached.rfc9111]
  ])(
    "what the handler itself adds, after a failure too, reaches the client, and is not stored: %s",
    ([, wrap]) =>
      Effect.gen(function*() {
        let n = 0
        const handler = Effect.gen(function*() {
          yield* addHeader("x-own")
          if (++n === 2) return yield* Effect.die("second")
          return HttpServerResponse.text(`answer ${n}`, { headers: { "cache-control": "max-age=60" } })
        })
        const { send } = yield* serve(get("/page", wrap(handler)))
        for (const [status, body] of [[200, "answer 1"], [500, ""], [200, "answer 3"]]) {
          const reply = yield* send("/page")
          assert.deepStrictEqual([reply.status, reply.body, reply.headers["x-own"]], [status, body, "added"])
        }
      })
  )
})
