import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { Broadcaster, cached, type CacheEvent, DependencyGraph, ResultCache, Store } from "effect-cached"
import { Headers, HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { bypass, hit, makeCache, miss, serve } from "./http.ts"
import { get, text } from "./httpReaders.ts"

const http = { requestCacheControl: "obey" } as const
const onlyIfCached = { "cache-control": "only-if-cached" }
const stream = HttpServerResponse.stream(Stream.make(new Uint8Array([65])))
const statusOf = ({ cacheStatus }: { readonly cacheStatus: string | undefined }) => cacheStatus

describe("what goes past the cache", () => {
  it.effect("comes back when it is no stream any more", () =>
    Effect.gen(function*() {
      let response = stream
      const { send } = yield* serve(get("/page", cached(Effect.sync(() => response), ["page"])))
      yield* send("/page")
      assert.strictEqual((yield* send("/page")).cacheStatus, bypass("stream"))
      response = HttpServerResponse.text("a")
      assert.strictEqual((yield* send("/page")).cacheStatus, bypass("stream"))
      assert.strictEqual((yield* send("/page")).cacheStatus, miss)
      assert.strictEqual((yield* send("/page")).cacheStatus, hit)
    }))

  it.effect("comes back when it depends on nothing any more that no key can hold", () =>
    Effect.gen(function*() {
      let all = true
      const handler = text((request) => Effect.sync(() => all ? Object.keys(request.headers).length : "page"))
      const { send } = yield* serve(get("/page", cached(handler.run)))
      yield* send("/page")
      assert.strictEqual((yield* send("/page")).cacheStatus, bypass("request"))
      all = false
      const statuses = [yield* send("/page"), yield* send("/page"), yield* send("/page")].map(statusOf)
      assert.deepStrictEqual(statuses, [bypass("request"), miss, hit])
    }))

  it.effect("is one odd request, and not the others of its path", () =>
    Effect.gen(function*() {
      const handler = text((request) =>
        Effect.map(
          HttpServerRequest.ParsedSearchParams,
          (search) => search["debug"] === undefined ? "page" : JSON.stringify(request)
        )
      )
      const { send } = yield* serve(get("/page", cached(handler.run)))
      const debug = "effect-cached; fwd=miss; detail=response"
      assert.strictEqual((yield* send("/page?debug=1")).cacheStatus, debug)
      assert.strictEqual((yield* send("/page?debug=1")).cacheStatus, bypass("request"))
      assert.strictEqual((yield* send("/page")).cacheStatus, miss)
      assert.strictEqual((yield* send("/page?debug=2")).cacheStatus, debug)
      // What is read after that is no name of the path: other URLs share.
      assert.strictEqual((yield* send("/page?utm=1")).cacheStatus, hit)
    }))

  it.effect("is a response to which its handler adds something through the request, which would be missing in a hit", () =>
    Effect.gen(function*() {
      let n = 0
      const handler = Effect.andThen(
        HttpEffect.appendPreResponseHandler((_, response) =>
          Effect.succeed(HttpServerResponse.setHeader(response, "x-added", String(n)))
        ),
        Effect.sync(() => HttpServerResponse.text(`answer ${++n}`))
      )
      const { send } = yield* serve(get("/page", cached(handler)))
      for (const answer of [1, 2]) {
        const reply = yield* send("/page")
        assert.deepStrictEqual([reply.body, reply.headers["x-added"]], [`answer ${answer}`, String(answer)])
      }
    }))

  it.effect("says that the response was not for all who waited for it", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const handler = Effect.as(
        Deferred.await(gate),
        HttpServerResponse.text("a", { headers: { "set-cookie": "a=b" } })
      )
      const { next, send } = yield* serve(get("/page", cached(handler)))
      const first = yield* Effect.forkChild(send("/page"), { startImmediately: true })
      yield* next("Miss")
      const second = yield* Effect.forkChild(send("/page"), { startImmediately: true })
      yield* next("Joined")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(first)).cacheStatus, "effect-cached; fwd=miss; detail=response")
      assert.strictEqual((yield* Fiber.join(second)).cacheStatus, bypass("response"))
    }))

  it.effect("runs no handler for who wants only what is cached", () =>
    Effect.gen(function*() {
      let executions = 0
      const run = Effect.sync(() => {
        executions++
        return stream
      })
      const value = cached(() => Effect.sync(() => ++executions), { success: Schema.Number, http })
      const odd = (request: HttpServerRequest.HttpServerRequest) =>
        Effect.sync(() => HttpServerResponse.text(`${++executions} ${Object.keys(request.headers).length}`))
      const { send } = yield* serve(Layer.mergeAll(
        get("/stream", cached(run, { http })),
        get("/odd", cached(odd, { http })),
        get("/value", value)
      ))
      for (const path of ["/stream", "/odd"]) for (const _ of [1, 2]) yield* send(path)
      executions = 0
      for (
        const [path, headers] of [
          ["/stream", onlyIfCached],
          ["/odd", onlyIfCached],
          ["/stream", { ...onlyIfCached, cookie: "a=b" }],
          ["/value", { ...onlyIfCached, authorization: "ada" }]
        ] as const
      ) {
        assert.strictEqual((yield* send(path, { headers })).status, 504, path)
      }
      assert.strictEqual(executions, 0)
    }))
})

describe("the number of variants (past the cache)", () => {
  it.effect("does not count what is not stored", () =>
    Effect.gen(function*() {
      const exceeded: Array<CacheEvent.CacheEvent> = []
      const layer = ResultCache.layerMemory({
        onEvent: (event) => {
          if (event._tag === "VariantsExceeded") exceeded.push(event)
        }
      })
      const handler = text((request) => Effect.sync(() => (request.headers["x-user"] ?? "").repeat(10)))
      const cache = { ...(yield* makeCache()), layer: Layer.succeedContext(yield* Layer.build(layer)) }
      const { send } = yield* serve(
        get("/page", cached(handler.run, { maxVariants: 2, maxBodyBytes: 20 })),
        cache
      )
      const as = (user: string) => send("/page", { headers: { "x-user": user } })
      for (const user of ["a", "b", "too large 1", "too large 2", "too large 3"]) yield* as(user)
      for (const user of ["a", "b"]) assert.strictEqual((yield* as(user)).cacheStatus, hit)
      assert.deepStrictEqual(exceeded, [])
    }))
})

const page = (headers: Record<string, string>) => HttpServerResponse.text("x", { headers })
const byCookie = (headers: Record<string, string>) => (request: HttpServerRequest.HttpServerRequest) =>
  Effect.sync(() => HttpServerResponse.text(`${request.cookies["user"]}`, { headers }))

describe("what caches in front are told", () => {
  const tell = Effect.fnUntraced(function*(handler: Parameters<typeof get>[1], headers: Record<string, string> = {}) {
    const { send } = yield* serve(get("/page", handler))
    const replies = [yield* send("/page", { headers }), yield* send("/page", { headers })]
    const [first, second] = replies.map((reply) => ({
      control: reply.headers["cache-control"],
      cdn: reply.headers["cdn-cache-control"],
      vary: reply.headers["vary"]
    }))
    assert.deepStrictEqual(first, second)
    return first!
  })
  it.effect("is that a lifetime alone does not share what belongs to one user", () =>
    Effect.gen(function*() {
      const cookie = { cookie: "user=ada" }
      const varied = cached(Effect.sync(() => page({ "cache-control": "max-age=60" })), {
        varyBy: Effect.succeed("ada"),
        http: { cdnCacheControl: "policy" }
      })
      assert.deepStrictEqual(yield* tell(varied), {
        control: "private, max-age=60",
        cdn: undefined,
        vary: undefined
      })
      for (
        const [own, control] of [
          ["max-age=60", "private, max-age=60"],
          ["max-age=60, private=\"x-a\"", undefined],
          ["public, max-age=60", "public, max-age=60"],
          ["s-maxage=60", "s-maxage=60"],
          ["no-store", "no-store"]
        ] as const
      ) {
        const told = yield* tell(cached(byCookie({ "cache-control": own }), { varyBy: "nothing" }), cookie)
        assert.strictEqual(told.vary, "cookie")
        assert.strictEqual(told.control, control ?? `private, ${own}`)
      }
      // What is not stored belongs to who asked likewise.
      const notStored = cached(byCookie({ "cache-control": "max-age=60", "set-cookie": "a=b" }), { varyBy: "nothing" })
      assert.strictEqual((yield* tell(notStored, cookie)).control, "private, max-age=60")
    }))

  it.effect("is that nobody has said what a route makes of credentials", () =>
    Effect.gen(function*() {
      const vary = "authorization, cookie"
      const policy = { timeToLive: "1 minute" } as const
      const told = { control: "max-age=60", cdn: undefined, vary }
      const value = { success: Schema.Number, policy, http: { cacheControl: "policy" } } as const
      assert.deepStrictEqual(yield* tell(cached(() => Effect.succeed(1), value)), told)
      const whole = Effect.sync(() => page({}))
      assert.deepStrictEqual(yield* tell(cached(whole, { policy, http: { cacheControl: "policy" } })), told)
      assert.deepStrictEqual(yield* tell(cached(whole, { policy, http: { cdnCacheControl: "policy" } })), {
        control: "no-cache",
        cdn: "max-age=60",
        vary
      })
      assert.deepStrictEqual(yield* tell(cached(Effect.sync(() => page({ "cache-control": "max-age=60" })))), told)
      // Who has to ask gets the right answer. Who has said something is taken at his word.
      assert.strictEqual((yield* tell(cached(whole))).vary, undefined)
      const said = { varyBy: "nothing", policy, http: { cacheControl: "policy" } } as const
      assert.deepStrictEqual(yield* tell(cached(whole, said)), { ...told, vary: undefined })
    }))

  it.effect("is that a response to credentials is for nobody else, where nobody has said what they change", () =>
    Effect.gen(function*() {
      const credentials = { cookie: "a=b" }
      const dated = { "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT" }
      for (
        const [own, control] of [
          [dated, "private, no-cache"],
          [{ "cache-control": "max-age=60" }, "private, max-age=60"],
          [{ "cache-control": "public, max-age=60" }, "public, max-age=60"]
        ] as const
      ) {
        assert.strictEqual((yield* tell(cached(Effect.sync(() => page(own))), credentials)).control, control)
      }
    }))

  it.effect("is what the handler says to a method that is not cached", () =>
    Effect.gen(function*() {
      const own = { "cache-control": "max-age=60", "cdn-cache-control": "max-age=9" }
      const handler = (request: HttpServerRequest.HttpServerRequest) => Effect.as(Effect.orDie(request.text), page(own))
      const { send } = yield* serve(HttpRouter.add("*", "/page", cached(handler)) as Layer.Layer<never, any, any>)
      const { headers } = yield* send("/page", { method: "POST", body: "a", headers: { cookie: "a=b" } })
      assert.strictEqual(headers["cache-control"], "max-age=60")
      assert.strictEqual(headers["cdn-cache-control"], "max-age=9")
      assert.isUndefined(headers["vary"])
    }))
})

describe("the version of a response", () => {
  it.effect("has what was stored under another one computed anew", () =>
    Effect.gen(function*() {
      const shared = yield* Layer.build(Layer.merge(Store.layerMemory(), Broadcaster.layerLocal))
      const render = Effect.fnUntraced(function*(body: string, version?: string) {
        const layer = ResultCache.layer().pipe(Layer.provide([DependencyGraph.layer(), Layer.succeedContext(shared)]))
        const process = { ...(yield* makeCache()), layer: Layer.succeedContext(yield* Layer.build(Layer.fresh(layer))) }
        const handler = cached(Effect.succeed(HttpServerResponse.text(body)), { version })
        const { send } = yield* serve(get("/page", handler), process)
        return (yield* send("/page")).body
      })
      const bodies = [yield* render("a"), yield* render("b"), yield* render("b", "2"), yield* render("c", "2")]
      assert.deepStrictEqual(bodies, ["a", "a", "b", "b"])
    }))
})

describe("the policy of a response", () => {
  it.effect("may have a soft limit and leave the windows to the response", () =>
    Effect.gen(function*() {
      const response = Effect.sync(() => page({ "cache-control": "max-age=1, stale-if-error=60" }))
      const { send } = yield* serve(get("/page", cached(response, { policy: { softTimeout: "1 second" } })))
      assert.strictEqual((yield* send("/page")).status, 200)
    }))
})

describe("a request whose credentials middleware has taken out", () => {
  it.effect("is one with credentials", () =>
    Effect.gen(function*() {
      class User extends Context.Service<User, string>()("test/User") {}
      const Authentication = HttpRouter.middleware<{ provides: User }>()((handler) =>
        Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          const headers = Headers.remove(request.headers, "authorization")
          return yield* handler.pipe(
            Effect.provideService(User, request.headers["authorization"] ?? "nobody"),
            Effect.provideService(HttpServerRequest.HttpServerRequest, request.modify({ headers }))
          )
        })
      ).layer
      const handler = cached(Effect.map(User, (user) => HttpServerResponse.text(user)))
      const { send } = yield* serve(get("/page", handler).pipe(Layer.provide(Authentication)))
      for (const user of ["ada", "bob"]) {
        const { body, cacheStatus } = yield* send("/page", { headers: { authorization: user } })
        assert.deepStrictEqual([body, cacheStatus], [user, bypass("credentials")])
      }
    }))
})
