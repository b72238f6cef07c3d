import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Option, Queue, Schema, Stream } from "effect"
import { addDeps, cached, invalidate } from "effect-cached"
import {
  Headers,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import {
  again,
  bypass,
  collapsed,
  expired,
  hit,
  type Init,
  makeCache,
  miss,
  type Reply,
  type Send,
  serve
} from "./http.ts"
import { asked, Forwarded, get, readers, sync, text } from "./httpReaders.ts"

const statusOf = (send: Send, path: string, init?: Init) => Effect.map(send(path, init), (reply) => reply.cacheStatus)

describe("cached(handler, deps)", () => {
  it.effect("computes once, and serves status, headers and body of the handler's response", () =>
    Effect.gen(function*() {
      let executions = 0
      const handler = Effect.sync(() => {
        executions++
        return HttpServerResponse.text("créé", {
          status: 203,
          contentType: "text/plain; charset=utf-8",
          headers: { "x-custom": "1", "content-language": "fr" }
        })
      })
      const { send } = yield* serve(get("/page", cached(handler, ["page"])))
      const first = yield* send("/page")
      const second = yield* send("/page")
      assert.strictEqual(first.cacheStatus, miss)
      assert.strictEqual(second.cacheStatus, hit)
      for (const reply of [first, second]) {
        assert.strictEqual(reply.status, 203)
        assert.strictEqual(reply.body, "créé")
        assert.include(reply.headers, {
          "content-type": "text/plain; charset=utf-8",
          "x-custom": "1",
          "content-language": "fr",
          "cache-control": "no-cache"
        })
        assert.strictEqual(reply.headers["etag"], first.headers["etag"])
      }
      assert.strictEqual(executions, 1)
    }))

  it.effect("ends with its tags, those of its path, and those that it adds", () =>
    Effect.gen(function*() {
      const handler = text(() => Effect.as(addDeps("learned"), "x"))
      const { cache, send } = yield* serve(
        get("/pages/:id", cached(handler.run, { deps: ({ id }) => ["pages", `page:${id}`] }))
      )
      for (const tag of ["pages", "page:7", "page", "learned"]) {
        yield* send("/pages/7")
        assert.strictEqual(yield* statusOf(send, "/pages/7"), hit)
        yield* cache.invalidate([tag])
        assert.strictEqual(yield* statusOf(send, "/pages/7"), again, tag)
      }
      yield* cache.invalidate(["page:8"])
      assert.strictEqual(yield* statusOf(send, "/pages/7"), hit)
    }))

  it.effect("is done after its time to live, and has an Age until then (scenario 64)", () =>
    Effect.gen(function*() {
      const handler = text(() => Effect.succeed("x"))
      const { send } = yield* serve(get("/page", cached(handler.run, { timeToLive: "30 seconds" })))
      yield* send("/page")
      yield* TestClock.adjust("29999 millis")
      const reply = yield* send("/page")
      assert.strictEqual(reply.cacheStatus, `${hit}; ttl=1`)
      assert.strictEqual(reply.headers["age"], "29")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* statusOf(send, "/page"), expired)
    }))

  it.effect("keeps the parameters of the path apart", () =>
    Effect.gen(function*() {
      const handler = text(() => Effect.map(HttpRouter.params, (params) => JSON.stringify({ ...params })))
      const { send } = yield* serve(Layer.merge(
        get("/files/:dir/:name", cached(handler.run, [])),
        get("/all/*", cached(handler.run, []))
      ))
      const paths = [
        "/files/a%2Fb/c",
        "/files/a/b%2Fc",
        "/files/a%22%2C%22name%22%3A%22b/c",
        "/files/a%09b/c",
        "/files/a/b%09c",
        "/all/a/b",
        "/all/a%2Fb/c",
        "/all",
        "/all/"
      ]
      const bodies = new Map<string, string>()
      for (const path of paths) bodies.set(path, (yield* send(path)).body)
      for (const path of paths.toReversed()) {
        const reply = yield* send(path)
        assert.strictEqual(reply.body, bodies.get(path))
        assert.strictEqual(reply.cacheStatus, hit)
      }
      assert.strictEqual(bodies.get("/files/a%2Fb/c"), "{\"dir\":\"a/b\",\"name\":\"c\"}")
      assert.strictEqual(bodies.get("/files/a/b%2Fc"), "{\"dir\":\"a\",\"name\":\"b/c\"}")
    }))

  it.effect("does not split entries by query parameters that the handler does not read (scenario 59)", () =>
    Effect.gen(function*() {
      const handler = text(() =>
        Effect.map(HttpServerRequest.ParsedSearchParams, (search) => `page ${String(search["page"])}`)
      )
      const { send } = yield* serve(get("/list", cached(handler.run, [])))
      assert.strictEqual(yield* statusOf(send, "/list?page=1"), miss)
      for (const query of ["page=1&utm_source=a", "utm_source=b&page=1", "page=1&__proto__=2&constructor=3"]) {
        assert.strictEqual(yield* statusOf(send, `/list?${query}`), hit, query)
      }
      const others = [["page=2", "page 2"], ["page=1&page=2", "page 1,2"], ["page=1,2", "page 1,2"], [
        "",
        "page undefined"
      ]]
      for (const [query, body] of others) {
        const reply = yield* send(`/list?${query}`)
        assert.strictEqual(reply.cacheStatus, miss, query)
        assert.strictEqual(reply.body, body)
      }
      assert.strictEqual(handler.executions, 5)
    }))

  it.effect("answers HEAD and GET from one entry, whichever came first (scenario 62)", () =>
    Effect.gen(function*() {
      const handler = text((request) => Effect.sync(() => `answer to ${request.method}`))
      const { send } = yield* serve(get("/pages/:id", cached(handler.run, [])))
      for (
        const [path, methods] of [["/pages/1", ["HEAD", "GET", "HEAD"]], ["/pages/2", ["GET", "HEAD", "GET"]]] as const
      ) {
        for (const [index, method] of methods.entries()) {
          const reply = yield* send(path, { method })
          assert.strictEqual(reply.cacheStatus, index === 0 ? miss : hit)
          assert.strictEqual(reply.body, method === "GET" ? "answer to GET" : "")
        }
      }
      assert.strictEqual(handler.executions, 2)
    }))

  it.effect("is not for methods that change something", () =>
    Effect.gen(function*() {
      const handler = text((request) => Effect.map(Effect.orDie(request.text), (body) => `${request.method} ${body}`))
      const { send } = yield* serve(
        HttpRouter.add("*", "/page", cached(handler.run, [])) as Layer.Layer<never, any, any>
      )
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        for (const body of ["a", "b"]) {
          const reply = yield* send("/page", { method, body })
          assert.strictEqual(reply.body, `${method} ${body}`)
          assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=method")
        }
      }
    }))

  it.effect("answers 304 by the validator of the handler or by its own, and only in place of a success (scenario 62)", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(Layer.mergeAll(
        get("/own", cached(Effect.sync(() => HttpServerResponse.text("x", { headers: { etag: "W/\"v1\"" } })))),
        get("/ours", cached(Effect.sync(() => HttpServerResponse.text("x")))),
        get("/missing", cached(Effect.sync(() => HttpServerResponse.text("x", { status: 404 }))))
      ))
      const conditional = (path: string, field: string) => send(path, { headers: { "if-none-match": field } })
      for (const _ of ["on a miss", "on a hit"]) {
        for (const field of ["\"v1\"", "W/\"v1\"", "\"v0\", W/\"v1\"", "*"]) {
          const reply = yield* conditional("/own", field)
          assert.strictEqual(reply.status, 304)
          assert.strictEqual(reply.headers["etag"], "W/\"v1\"")
          assert.strictEqual(reply.body, "")
        }
        assert.strictEqual((yield* conditional("/own", "\"v2\"")).status, 200)
        const missing = yield* conditional("/missing", "*")
        assert.strictEqual(missing.status, 404)
        assert.strictEqual(missing.body, "x")
      }
      const { headers: { etag = "" } } = yield* send("/ours")
      assert.strictEqual((yield* conditional("/ours", etag)).status, 304)
      assert.strictEqual((yield* conditional("/own", etag)).status, 200)
    }))

  it.effect("has bytes, an empty body and a redirect just as the handler made them", () =>
    Effect.gen(function*() {
      const bytes = Uint8Array.from([0, 255, 128, 10])
      const { send } = yield* serve(Layer.mergeAll(
        get(
          "/bytes",
          cached(Effect.sync(() => {
            const response = HttpServerResponse.uint8Array(bytes, { contentType: "application/x-bytes" })
            return response
          }))
        ),
        get("/empty", cached(Effect.sync(() => HttpServerResponse.empty()))),
        get("/moved", cached(Effect.sync(() => HttpServerResponse.redirect("/new", { status: 308 }))))
      ))
      const first = yield* send("/bytes")
      // The handler uses its buffer again.
      bytes.fill(65)
      const second = yield* send("/bytes")
      assert.strictEqual(second.body, first.body)
      assert.strictEqual(second.headers["content-type"], "application/x-bytes")
      assert.strictEqual(second.cacheStatus, hit)
      for (const [path, status, location] of [["/empty", 204, undefined], ["/moved", 308, "/new"]] as const) {
        for (const cacheStatus of [miss, hit]) {
          const reply = yield* send(path)
          assert.strictEqual(reply.status, status)
          assert.strictEqual(reply.body, "")
          assert.strictEqual(reply.headers["location"], location)
          assert.strictEqual(reply.cacheStatus, cacheStatus)
        }
      }
    }))

  it.effect("gives what the handler says of caching and of Vary to the client", () =>
    Effect.gen(function*() {
      const handler = Effect.sync(() =>
        HttpServerResponse.text("x", {
          headers: { "cache-control": "public, max-age=60", vary: "Accept-Encoding, Origin" }
        })
      )
      const { send } = yield* serve(get("/page", cached(handler)))
      for (const cacheStatus of [miss, `${hit}; ttl=60`]) {
        const reply = yield* send("/page")
        assert.strictEqual(reply.headers["cache-control"], "public, max-age=60")
        assert.strictEqual(reply.headers["vary"]?.toLowerCase(), "accept-encoding, origin, authorization, cookie")
        assert.strictEqual(reply.cacheStatus, cacheStatus)
      }
      // What the handler says it depends on is a part of the key, read or not.
      assert.strictEqual(yield* statusOf(send, "/page", { headers: { origin: "http://a" } }), miss)
      assert.strictEqual(yield* statusOf(send, "/page", { headers: { origin: "http://b" } }), miss)
      assert.strictEqual(yield* statusOf(send, "/page", { headers: { origin: "http://a" } }), `${hit}; ttl=60`)
      assert.strictEqual(yield* statusOf(send, "/page", { headers: { accept: "text/html" } }), `${hit}; ttl=60`)
    }))

  it.effect("tells the client in Vary what the handler read, on a miss and on a hit", () =>
    Effect.gen(function*() {
      const handler = text(sync((request) => request.headers["accept-language"]))
      const { send } = yield* serve(get("/page", cached(handler.run)))
      for (const cacheStatus of [miss, hit]) {
        for (const language of ["de", "fr"]) {
          const reply = yield* send("/page", { headers: { "accept-language": language } })
          assert.strictEqual(reply.body, language)
          assert.strictEqual(reply.headers["vary"]?.toLowerCase(), "accept-language")
          assert.strictEqual(reply.cacheStatus, cacheStatus)
        }
      }
    }))

  it.effect("goes on to serve from the cache what is no stream, though another variant of the page is one", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(get(
        "/page",
        cached(HttpServerRequest.ParsedSearchParams.useSync((search) =>
          search["download"] === "1"
            ? HttpServerResponse.stream(Stream.make(new TextEncoder().encode("stream")))
            : HttpServerResponse.text("page")
        ))
      ))
      for (const _ of [1, 2]) assert.strictEqual((yield* send("/page?download=1")).body, "stream")
      assert.strictEqual(yield* statusOf(send, "/page"), miss)
      assert.strictEqual((yield* send("/page?download=1")).body, "stream")
      assert.strictEqual(yield* statusOf(send, "/page"), hit)
    }))
})

const ok = (headers: Record<string, string>) => HttpServerResponse.text("body", { headers })

describe("what may not be stored (scenario 63)", () => {
  const stream = Stream.make(new TextEncoder().encode("bo"), new TextEncoder().encode("dy"))
  const cases: ReadonlyArray<
    readonly [name: string, make: () => HttpServerResponse.HttpServerResponse, detail?: string]
  > = [
    ["Set-Cookie", () => ok({ "set-cookie": "id=1" })],
    ["a cookie", () => HttpServerResponse.setCookieUnsafe(ok({}), "id", "1")],
    ["no-store", () => ok({ "cache-control": "max-age=1, No-Store" })],
    ["private", () => ok({ "cache-control": "Private=\"x-user\", max-age=60" })],
    ["no-cache", () => ok({ "cache-control": "max-age=60, No-Cache" })],
    ["Vary: *", () => ok({ vary: "accept, *" })],
    ...[201, 202, 206, 302, 303, 307, 400, 401, 403, 409, 422, 429, 500, 502, 503].map((status) =>
      [`status ${status}`, () => HttpServerResponse.text("body", { status })] as const
    ),
    ["a stream", () => HttpServerResponse.stream(stream)],
    ["a raw body", () => HttpServerResponse.raw(new Response("body").body)],
    ["a form", () => HttpServerResponse.formData(new FormData())]
  ]

  it.effect.each(cases.map(([name, make]) => ({ name, make })))(
    "$name is served whole, each time anew",
    ({ make, name }) =>
      Effect.gen(function*() {
        let executions = 0
        const handler = Effect.sync(() => {
          executions++
          return make()
        })
        const plain = yield* serve(get("/page", handler))
        const server = yield* serve(get("/page", cached(handler, ["page"])))
        const expected = yield* plain.send("/page")
        executions = 0
        for (let i = 1; i <= 3; i++) {
          const reply = yield* server.send("/page")
          assert.strictEqual(reply.status, expected.status)
          if (name !== "a form") assert.strictEqual(reply.body, expected.body)
          for (const header of ["set-cookie", "cache-control"]) {
            assert.strictEqual(reply.headers[header], expected.headers[header])
          }
          assert.match(reply.cacheStatus!, /^effect-cached; fwd=(miss; detail=response|bypass; detail=stream)$/)
          assert.isAtLeast(executions, i)
        }
      })
  )

  it.effect("a body over the size of the store is served whole, and does not push out others", () =>
    Effect.gen(function*() {
      const cache = yield* makeCache({ maxBytes: 20_000 })
      const handler = text(() => Effect.map(HttpRouter.params, ({ size }) => "x".repeat(Number(size))))
      const { send } = yield* serve(get("/bytes/:size", cached(handler.run)), cache)
      assert.strictEqual(yield* statusOf(send, "/bytes/10"), miss)
      for (const _ of [1, 2]) {
        const reply = yield* send("/bytes/30000")
        assert.strictEqual(reply.body.length, 30_000)
        assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=miss; detail=too-large")
      }
      assert.strictEqual(yield* statusOf(send, "/bytes/10"), hit)
    }))

  it.effect("a stream is computed once for each request, when it is known to be one", () =>
    Effect.gen(function*() {
      let executions = 0
      const { send } = yield* serve(get(
        "/stream",
        cached(Effect.sync(() => {
          executions++
          return HttpServerResponse.stream(stream)
        }))
      ))
      yield* send("/stream")
      executions = 0
      for (const times of [1, 2]) {
        assert.strictEqual(yield* statusOf(send, "/stream"), bypass("stream"))
        assert.strictEqual(executions, times)
      }
    }))

  it.effect("each of those who ask at once for a stream gets one of its own", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const { next, send } = yield* serve(get(
        "/stream",
        cached(Effect.map(Deferred.await(gate), () => {
          executions++
          return HttpServerResponse.stream(stream)
        }))
      ))
      const fibers = []
      for (let i = 0; i < 3; i++) {
        fibers.push(yield* Effect.forkChild(send("/stream"), { startImmediately: true }))
        yield* next(i === 0 ? "Miss" : "Joined")
      }
      yield* Deferred.succeed(gate, undefined)
      for (const reply of yield* Effect.forEach(fibers, Fiber.join)) assert.strictEqual(reply.body, "body")
      assert.isAtLeast(executions, 3)
    }))

  it.effect("each of those who ask at once gets a cookie of their own", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let sessions = 0
      const { next, send } = yield* serve(get(
        "/login",
        cached(Effect.map(Deferred.await(gate), () => ok({ "set-cookie": `session=${++sessions}` })))
      ))
      const fibers = []
      for (let i = 0; i < 3; i++) {
        fibers.push(yield* Effect.forkChild(send("/login"), { startImmediately: true }))
        yield* next(i === 0 ? "Miss" : "Joined")
      }
      yield* Deferred.succeed(gate, undefined)
      const replies = yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual(new Set(replies.map((reply) => reply.headers["set-cookie"])).size, 3)
    }))

  it.effect("those who joined what may not be stored do not wait for each other after it", () =>
    Effect.gen(function*() {
      const first = yield* Deferred.make<void>()
      const others = yield* Deferred.make<void>()
      const started = yield* Queue.unbounded<number>()
      let executions = 0
      const { next, send } = yield* serve(get(
        "/login",
        cached(Effect.suspend(() => {
          const id = ++executions
          Queue.offerUnsafe(started, id)
          return Effect.as(Deferred.await(id === 1 ? first : others), ok({ "set-cookie": `session=${id}` }))
        }))
      ))
      const fibers = []
      for (let i = 0; i < 3; i++) {
        fibers.push(yield* Effect.forkChild(send("/login"), { startImmediately: true }))
        yield* next(i === 0 ? "Miss" : "Joined")
      }
      yield* Deferred.succeed(first, undefined)
      // The two that joined run, though neither has ended.
      assert.deepStrictEqual(yield* Queue.takeN(started, 3), [1, 2, 3])
      yield* Deferred.succeed(others, undefined)
      const replies = yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual(new Set(replies.map((reply) => reply.headers["set-cookie"])).size, 3)
    }))
})

describe("two users never share what was computed from their requests (scenario 60)", () => {
  const users = ["ada", "bob"]

  it.effect.each(readers)("$name, one after the other", (reader) =>
    Effect.gen(function*() {
      const { run } = text(reader.read)
      // Credentials go past the cache. To see what the recording does without that rule, half of the requests are not
      // under it.
      const { send } = yield* serve(Layer.mergeAll(
        Forwarded,
        get("/page", cached(run, [])),
        get("/nothing/page", cached(run, { varyBy: "nothing" }))
      ))
      for (const prefix of ["", "/nothing"]) {
        for (let round = 0; round < 4; round++) {
          for (const user of round % 2 === 0 ? users : users.toReversed()) {
            const [path, init] = asked(reader, user)
            const reply = yield* send(prefix + path, init)
            assert.strictEqual(reply.status, 200)
            assert.strictEqual(reply.body, user, `${prefix} ${reply.cacheStatus}`)
          }
        }
      }
    }))

  it.effect.each(readers)("$name, at the same time", (reader) =>
    Effect.gen(function*() {
      for (const leader of users) {
        const gate = yield* Deferred.make<void>()
        const { run } = text((request) => Effect.andThen(Deferred.await(gate), reader.read(request)))
        const { next, send } = yield* serve(Layer.merge(Forwarded, get("/page", cached(run, { varyBy: "nothing" }))))
        const ask = (user: string) => Effect.forkChild(send(...asked(reader, user)), { startImmediately: true })
        const other = users.find((user) => user !== leader)!
        const first = yield* ask(leader)
        yield* next("Miss")
        const second = yield* ask(other)
        yield* next("Joined")
        const third = yield* ask(leader)
        yield* next("Joined")
        yield* Deferred.succeed(gate, undefined)
        const replies = yield* Effect.forEach([first, second, third], Fiber.join)
        assert.deepStrictEqual(replies.map((reply) => reply.body), [leader, other, leader])
        assert.strictEqual((yield* send(...asked(reader, other))).body, other)
        assert.strictEqual((yield* send(...asked(reader, leader))).body, leader)
      }
    }))

  it.effect("a failure that comes from a request is not for those who joined it", () =>
    Effect.gen(function*() {
      class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", { user: Schema.String }) {
        [HttpServerRespondable.symbol]() {
          return Effect.succeed(HttpServerResponse.text(`not for ${this.user}`, { status: 403 }))
        }
      }
      const gate = yield* Deferred.make<void>()
      const { run } = text((request) =>
        Effect.flatMap(Deferred.await(gate), () => {
          const user = String(request.headers["x-user"])
          return user === "eve" ? Effect.fail(new Forbidden({ user })) : Effect.succeed(`secrets of ${user}`)
        })
      )
      const { next, send } = yield* serve(get("/page", cached(run, [])))
      const ask = (user: string) =>
        Effect.forkChild(send("/page", { headers: { "x-user": user } }), { startImmediately: true })
      const eve = yield* ask("eve")
      yield* next("Miss")
      const ada = yield* ask("ada")
      yield* next("Joined")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(eve)).body, "not for eve")
      const reply = yield* Fiber.join(ada)
      assert.strictEqual(reply.body, "secrets of ada")
      assert.strictEqual(reply.status, 200)
    }))

  it.effect("a defect that comes from a request is not for those who joined it", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { run } = text((request) =>
        Effect.map(Deferred.await(gate), () => decodeURIComponent(request.headers["x-user"] ?? ""))
      )
      const { next, send } = yield* serve(get("/page", cached(run, [])))
      const ask = (user: string) =>
        Effect.forkChild(send("/page", { headers: { "x-user": user } }), { startImmediately: true })
      const eve = yield* ask("%")
      yield* next("Miss")
      const ada = yield* ask("ada")
      yield* next("Joined")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(eve)).status, 500)
      assert.strictEqual((yield* Fiber.join(ada)).body, "ada")
    }))

  it.effect("a failure that comes from nothing in the request is for all fifty who wait (scenario 61)", () =>
    Effect.gen(function*() {
      class Missing extends Schema.TaggedError<Missing>()("Missing", {}) {
        [HttpServerRespondable.symbol]() {
          return Effect.succeed(HttpServerResponse.text("none", { status: 404 }))
        }
      }
      const gate = yield* Deferred.make<void>()
      const handler = text(() => Effect.andThen(Deferred.await(gate), Effect.fail(new Missing())))
      const { next, send } = yield* serve(get("/page", cached(handler.run, [])))
      const fibers: Array<Fiber.Fiber<Reply>> = []
      for (let i = 0; i < 50; i++) {
        fibers.push(yield* Effect.forkChild(send("/page"), { startImmediately: true }))
        yield* next(i === 0 ? "Miss" : "Joined")
      }
      yield* Deferred.succeed(gate, undefined)
      for (const reply of yield* Effect.forEach(fibers, Fiber.join)) {
        assert.strictEqual(reply.status, 404)
        assert.strictEqual(reply.body, "none")
      }
      assert.strictEqual(handler.executions, 1)
    }))

  it.effect("those who sent the same share what was computed from it, also when they joined", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const handler = text((request) => Effect.map(Deferred.await(gate), () => request.headers["x-lang"]))
      const { next, send } = yield* serve(get("/page", cached(handler.run, [])))
      const ask = (lang: string) =>
        Effect.forkChild(send("/page", { headers: { "x-lang": lang } }), { startImmediately: true })
      const first = yield* ask("de")
      yield* next("Miss")
      const second = yield* ask("de")
      yield* next("Joined")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(first)).cacheStatus, miss)
      assert.strictEqual((yield* Fiber.join(second)).cacheStatus, collapsed)
      assert.strictEqual(handler.executions, 1)
      assert.strictEqual(yield* statusOf(send, "/page", { headers: { "x-lang": "de" } }), hit)
    }))

  it.effect("a url that middleware rewrites by who asks is not taken for the one that was asked for", () =>
    Effect.gen(function*() {
      const Tenants = HttpRouter.middleware((httpEffect) =>
        Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          return yield* Effect.provideService(
            httpEffect,
            HttpServerRequest.HttpServerRequest,
            request.modify({ url: `${request.url}?tenant=${request.headers["x-tenant"]}` })
          )
        }), { global: true })
      const { run } = text(sync((request) => request.url))
      const { send } = yield* serve(Layer.merge(Tenants, get("/page", cached(run, []))))
      for (const _ of [1, 2]) {
        for (const tenant of ["a", "b"]) {
          const reply = yield* send("/page", { headers: { "x-tenant": tenant } })
          assert.strictEqual(reply.body, `/page?tenant=${tenant}`)
        }
      }
    }))

  it.effect("headers that middleware changes are the ones that count", () =>
    Effect.gen(function*() {
      const Users = HttpRouter.middleware((httpEffect) =>
        Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          return yield* Effect.provideService(
            httpEffect,
            HttpServerRequest.HttpServerRequest,
            request.modify({ headers: Headers.set(request.headers, "x-user", request.headers["x-key"] ?? "") })
          )
        }), { global: true })
      const { run } = text(sync((request) => request.headers["x-user"]))
      const { send } = yield* serve(Layer.merge(Users, get("/page", cached(run, []))))
      for (const _ of [1, 2]) {
        for (const user of ["a", "b"]) {
          assert.strictEqual((yield* send("/page", { headers: { "x-key": user } })).body, user)
        }
      }
    }))

  it.effect.each(["headers", "cookies"] as const)(
    "more %s than a key can hold are not cached",
    (kind) =>
      Effect.gen(function*() {
        const { run } = text(sync((request) => {
          const names = Array.from({ length: 100 }, (_, i) => `x-${i}`)
          return names.map((name) => request[kind][name] ?? "").join("")
        }))
        const { send } = yield* serve(get("/page", cached(run, { varyBy: "nothing" })))
        for (const _ of [1, 2]) {
          for (const user of ["a", "b"]) {
            const headers = kind === "headers" ? { "x-99": user } : { cookie: `x-99=${user}` }
            assert.strictEqual((yield* send("/page", { headers })).body, user)
          }
        }
      })
  )

  it.effect("values that look like the separators of a key are kept apart", () =>
    Effect.gen(function*() {
      const { run } = text(sync((request) => JSON.stringify([request.headers["x-a"], request.headers["x-b"]])))
      const { send } = yield* serve(get("/page", cached(run, [])))
      const pairs = [["1\"],[\"x\",\"2", ""], ["1", "\"],[\"x\",\"2"], ["undefined", ""], ["", "undefined"], [
        "a, b",
        "c"
      ]]
      for (const _ of [1, 2]) {
        for (const [a = "", b = ""] of pairs) {
          assert.deepStrictEqual(
            JSON.parse((yield* send("/page", { headers: { "x-a": a, "x-b": b } })).body),
            [a, b]
          )
        }
        assert.strictEqual((yield* send("/page")).body, "[null,null]")
      }
    }))
})

describe("requests that carry credentials (scenario 60)", () => {
  const credentials = [{ authorization: "Bearer ada" }, { cookie: "session=1" }, { cookie: "" }, { authorization: "" }]

  it.effect.each(credentials)(
    "are neither stored nor answered from the store without varyBy: %j",
    (headers) =>
      Effect.gen(function*() {
        const whole = text(() => Effect.succeed("x"))
        let executions = 0
        const { send } = yield* serve(Layer.merge(
          get("/whole", cached(whole.run, [])),
          get("/value", cached(() => Effect.sync(() => ++executions), { success: Schema.Number }))
        ))
        for (const path of ["/whole", "/value"]) {
          assert.strictEqual(yield* statusOf(send, path, { headers }), bypass("credentials"))
          assert.strictEqual(yield* statusOf(send, path), miss)
          assert.strictEqual(yield* statusOf(send, path, { headers }), bypass("credentials"))
          assert.strictEqual(yield* statusOf(send, path), hit)
        }
        assert.strictEqual(whole.executions, 3)
        assert.strictEqual(executions, 3)
        assert.strictEqual((yield* send("/value", { headers })).headers["cache-control"], "private, no-cache")
      })
  )

  it.effect("do not join those without", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const handler = text((request) =>
        Effect.andThen(
          request.headers["authorization"] === undefined ? Deferred.await(gate) : Effect.void,
          Effect.sync(() => request.headers["authorization"] ?? "nobody")
        )
      )
      const { next, send } = yield* serve(get("/page", cached(handler.run, [])))
      const anonymous = yield* Effect.forkChild(send("/page"), { startImmediately: true })
      yield* next("Miss")
      const reply = yield* send("/page", { headers: { authorization: "Bearer ada" } })
      assert.strictEqual(reply.body, "Bearer ada")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(anonymous)).body, "nobody")
    }))

  it.effect("have an entry for each value of varyBy", () =>
    Effect.gen(function*() {
      const user = HttpServerRequest.HttpServerRequest.useSync((request) => request.headers["authorization"] ?? null)
      const handler = text(() => user)
      let executions = 0
      const { send } = yield* serve(Layer.merge(
        get("/whole", cached(handler.run, { varyBy: user })),
        get(
          "/value",
          cached((_: {}, name: string | null) => Effect.sync(() => `${++executions} ${name}`), {
            success: Schema.String,
            varyBy: user
          })
        )
      ))
      for (const status of [miss, hit, hit]) {
        for (const authorization of ["ada", "bob", undefined, "null"]) {
          const init = { headers: authorization === undefined ? {} : { authorization, cookie: "session=1" } }
          const whole = yield* send("/whole", init)
          assert.strictEqual(whole.cacheStatus, status)
          assert.strictEqual(whole.body, String(authorization ?? null))
          assert.strictEqual(whole.headers["cache-control"], "private, no-cache")
          const value = yield* send("/value", init)
          assert.strictEqual(value.cacheStatus, status)
          assert.include(value.body, ` ${authorization ?? null}`)
        }
      }
      assert.strictEqual(handler.executions, 4)
      assert.strictEqual(executions, 4)
    }))

  it.effect("share what says varyBy nothing, as far as it reads nothing of them", () =>
    Effect.gen(function*() {
      const handler = text((request) => Effect.sync(() => request.cookies["theme"]))
      const { send } = yield* serve(get("/page", cached(handler.run, { varyBy: "nothing" })))
      const themed = (theme: string, session: string) =>
        send("/page", { headers: { cookie: `theme=${theme}; session=${session}`, authorization: session } })
      assert.strictEqual((yield* themed("dark", "1")).cacheStatus, miss)
      assert.strictEqual((yield* themed("dark", "2")).cacheStatus, hit)
      assert.strictEqual((yield* themed("light", "1")).body, "light")
      assert.strictEqual((yield* themed("dark", "3")).body, "dark")
      assert.strictEqual(handler.executions, 2)
    }))
})

class CurrentUser extends Context.Service<CurrentUser, { readonly name: string }>()("test/HttpCached/CurrentUser") {}

const Authentication = () => {
  const seen: Array<string> = []
  const layer = HttpRouter.middleware<{ provides: CurrentUser }>()((httpEffect) =>
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const name = request.headers["authorization"] ?? ""
      seen.push(name)
      return name === ""
        ? HttpServerResponse.empty({ status: 401 })
        : yield* Effect.provideService(httpEffect, CurrentUser, { name })
    })
  ).layer
  return { layer, seen }
}

describe("a service that middleware provides (scenario 60)", () => {
  it.effect("is that of each request, where the route does not say varyBy", () =>
    Effect.gen(function*() {
      const { layer } = Authentication()
      const name = CurrentUser.useSync((user) => user.name)
      const { send } = yield* serve(
        Layer.merge(
          get("/whole", cached(text(() => name).run, [])),
          get("/value", cached(() => name, { success: Schema.String }))
        ).pipe(Layer.provide(layer))
      )
      for (const _ of [1, 2]) {
        for (const user of ["ada", "bob"]) {
          const init = { headers: { authorization: user } }
          assert.strictEqual((yield* send("/whole", init)).body, user)
          assert.strictEqual((yield* send("/value", init)).body, `"${user}"`)
        }
      }
    }))

  it.effect("is a part of the key, where it says varyBy, and is asked on every request (scenario 65)", () =>
    Effect.gen(function*() {
      const { layer, seen } = Authentication()
      const name = CurrentUser.useSync((user) => user.name)
      let executions = 0
      const { send } = yield* serve(
        get(
          "/value/:id",
          cached(({ id }, user) => Effect.map(name, (mine) => `${++executions} ${id} ${user} ${mine}`), {
            input: { id: Schema.String },
            success: Schema.String,
            varyBy: name
          })
        ).pipe(Layer.provide(layer))
      )
      for (const status of [miss, hit]) {
        for (const [index, user] of ["ada", "bob"].entries()) {
          const reply = yield* send("/value/7", { headers: { authorization: user } })
          assert.strictEqual(reply.body, `"${index + 1} 7 ${user} ${user}"`)
          assert.strictEqual(reply.cacheStatus, status)
        }
        assert.strictEqual((yield* send("/value/7")).status, 401)
      }
      assert.deepStrictEqual(seen, ["ada", "bob", "", "ada", "bob", ""])
    }))
})

describe("cached(handler, definition)", () => {
  it.effect("decodes the input, encodes the result, and runs with the services of the request", () =>
    Effect.gen(function*() {
      class Calendar extends Context.Service<Calendar, { readonly year: number }>()("test/HttpCached/Calendar") {}
      const executions: Array<number> = []
      const { send } = yield* serve(
        get(
          "/ages/:born",
          cached(
            Effect.fnUntraced(function*({ born }) {
              executions.push(born)
              return { age: (yield* Calendar).year - born, at: new Date(0) }
            }),
            {
              input: { born: Schema.FiniteFromString },
              success: Schema.Struct({ age: Schema.Number, at: Schema.Date }),
              deps: ({ born }) => [`born:${born}`]
            }
          )
        ).pipe(HttpRouter.provideRequest(Layer.succeed(Calendar)({ year: 2026 })))
      )
      const first = yield* send("/ages/1815")
      assert.strictEqual(first.body, "{\"age\":211,\"at\":\"1970-01-01T00:00:00.000Z\"}")
      assert.strictEqual((yield* send("/ages/01815?x=1")).cacheStatus, hit)
      assert.strictEqual((yield* send("/ages/x")).status, 400)
      assert.deepStrictEqual(executions, [1815])
    }))

  it.effect("does not hand out the request where types are circumvented", () =>
    Effect.gen(function*() {
      const reads = [
        HttpServerRequest.HttpServerRequest.useSync((request) => request.headers["x-user"] ?? ""),
        HttpServerRequest.ParsedSearchParams.useSync((search) => String(search["user"])),
        Effect.map(HttpRouter.params, (params) => String(params["id"]))
      ]
      for (const read of reads) {
        const { send } = yield* serve(get("/value/:id", cached((() => read) as never, { success: Schema.String })))
        for (const user of ["ada", "bob"]) {
          assert.strictEqual((yield* send(`/value/${user}?user=${user}`, { headers: { "x-user": user } })).status, 500)
        }
      }
    }))

  it.effect("gives a 404 to all who wait for it (scenario 61)", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      class Missing extends Schema.TaggedError<Missing>()("Missing", { id: Schema.String }) {
        [HttpServerRespondable.symbol]() {
          return Effect.succeed(HttpServerResponse.text(`no ${this.id}`, { status: 404 }))
        }
      }
      let executions = 0
      const handler = cached(({ id }) =>
        Effect.suspend(() => {
          executions++
          return Effect.andThen(Deferred.await(gate), Effect.fail(new Missing({ id })))
        }), { input: { id: Schema.String }, success: Schema.String })
      const { next, send } = yield* serve(get("/value/:id", handler))
      const fibers: Array<Fiber.Fiber<Reply>> = []
      for (let i = 0; i < 50; i++) {
        fibers.push(yield* Effect.forkChild(send("/value/7"), { startImmediately: true }))
        yield* next(i === 0 ? "Miss" : "Joined")
      }
      yield* Deferred.succeed(gate, undefined)
      for (const reply of yield* Effect.forEach(fibers, Fiber.join)) {
        assert.strictEqual(reply.status, 404)
        assert.strictEqual(reply.body, "no 7")
      }
      assert.strictEqual(executions, 1)
    }))
})

/** Routes that answer with a value. */
const constant = (value: string, options?: { readonly name: string }) =>
  Layer.merge(
    get("/whole", cached(text(() => Effect.succeed(value)).run, { deps: ["x"], ...options })),
    get("/value", cached(() => Effect.succeed(value), { success: Schema.String }))
  )

describe("the name of a cached handler", () => {
  it.effect("is its method and full path: one handler that is mounted twice has entries of its own at each place", () =>
    Effect.gen(function*() {
      let executions = 0
      const whole = cached(Effect.sync(() => HttpServerResponse.text(String(++executions))))
      const value = cached(() => Effect.sync(() => ++executions), { success: Schema.Number })
      const { send } = yield* serve(Layer.mergeAll(
        get("/a", whole),
        get("/b", whole),
        get("/c", value),
        get("/d", value),
        HttpRouter.use((router) => router.prefixed("/v1").add("GET", "/a", whole)) as Layer.Layer<never, any, any>,
        HttpRouter.use((router) => router.prefixed("/v2").add("GET", "/a", whole)) as Layer.Layer<never, any, any>
      ))
      const paths = ["/a", "/b", "/c", "/d", "/v1/a", "/v2/a"]
      const first = yield* Effect.forEach(paths, (path) => send(path))
      assert.deepStrictEqual(first.map((reply) => reply.body), ["1", "2", "3", "4", "5", "6"])
      const second = yield* Effect.forEach(paths, (path) => send(path))
      assert.deepStrictEqual(second.map((reply) => reply.body), ["1", "2", "3", "4", "5", "6"])
      assert.isTrue(second.every((reply) => reply.cacheStatus === hit))
    }))

  it.effect("belongs to the first router that takes it: another one on the same cache works past the cache", () =>
    Effect.gen(function*() {
      const cache = yield* makeCache()
      const one = yield* serve(constant("one"), cache)
      const two = yield* serve(constant("two"), cache)
      for (const path of ["/whole", "/value"]) {
        for (const status of [miss, hit]) {
          const mine = yield* one.send(path)
          assert.include(mine.body, "one")
          assert.strictEqual(mine.cacheStatus, status)
          const theirs = yield* two.send(path)
          assert.include(theirs.body, "two")
          assert.strictEqual(theirs.cacheStatus, bypass("name-taken"))
        }
      }
    }))

  it.effect("can be given, so that two handlers with one path have entries of their own", () =>
    Effect.gen(function*() {
      const cache = yield* makeCache()
      const one = yield* serve(constant("one", { name: "one" }), cache)
      const two = yield* serve(constant("two", { name: "two" }), cache)
      for (const status of [miss, hit]) {
        for (const [server, body] of [[one, "one"], [two, "two"]] as const) {
          const reply = yield* server.send("/whole")
          assert.strictEqual(reply.body, body)
          assert.strictEqual(reply.cacheStatus, status)
        }
      }
    }))
})

describe("a handler that invalidates", () => {
  it.effect("is not answered to whoever asks after it", () =>
    Effect.gen(function*() {
      let value = 1
      const { send } = yield* serve(Layer.merge(
        get("/value", cached(text(() => Effect.sync(() => value)).run, ["value"])),
        HttpRouter.add(
          "POST",
          "/value",
          Effect.gen(function*() {
            value++
            yield* invalidate("value")
            return HttpServerResponse.empty()
          })
        ) as Layer.Layer<never, any, any>
      ))
      for (let i = 1; i <= 3; i++) {
        assert.strictEqual((yield* send("/value")).body, String(i))
        assert.strictEqual((yield* send("/value")).cacheStatus, hit)
        yield* send("/value", { method: "POST" })
      }
    }))

  it.effect("ends what is computed from the value before it, learned headers or not", () =>
    Effect.gen(function*() {
      let value = "old"
      const gate = yield* Deferred.make<void>()
      const { cache, next, send } = yield* serve(get(
        "/value",
        cached(
          (request) =>
            Effect.suspend(() => {
              const read = `${value} ${request.headers["x-lang"]}`
              return Effect.as(Deferred.await(gate), HttpServerResponse.text(read))
            }),
          ["value"]
        )
      ))
      const ask = Effect.forkChild(send("/value", { headers: { "x-lang": "de" } }), { startImmediately: true })
      const before = yield* ask
      yield* next("Miss")
      value = "new"
      yield* cache.invalidate(["value"])
      const after = yield* ask
      yield* next("Miss")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(before)).body, "old de")
      assert.strictEqual((yield* Fiber.join(after)).body, "new de")
      assert.strictEqual((yield* send("/value", { headers: { "x-lang": "de" } })).body, "new de")
    }))
})

describe("over a socket", () => {
  it.effect("users are kept apart by what a handler reads of a request of Node", () =>
    Effect.gen(function*() {
      const { run } = text(
        sync((request) => [request.headers["x-user"], request.cookies["user"], request.url].join(" "))
      )
      const source = text(sync((request) => (request.source as any).headers["x-user"]))
      const address = text(sync((request) => Option.getOrElse(request.remoteAddress, () => "")))
      const routes = Layer.mergeAll(
        get("/page", cached(run, { varyBy: "nothing" })),
        get("/source", cached(source.run, [])),
        get("/address", cached(address.run, [])),
        get("/quiet", cached(Effect.sync(() => HttpServerResponse.text("quiet"))))
      )
      const { layer } = yield* makeCache()
      const context = yield* Layer.build(
        HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
          Layer.provide(layer)
        ) as Layer.Layer<HttpServer.HttpServer>
      )
      const base = HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)
      const send = (path: string, user: string, method = "GET") =>
        Effect.promise(async () => {
          const headers = { connection: "close", "x-user": user, cookie: `user=${user}` }
          const response = await fetch(base + path, { method, headers })
          return {
            headers: response.headers,
            body: await response.text(),
            status: response.headers.get("cache-status")
          }
        })
      for (const status of [miss, hit]) {
        for (const user of ["ada", "bob"]) {
          const reply = yield* send("/page?a=1", user)
          assert.strictEqual(reply.body, `${user} ${user} /page?a=1`)
          assert.strictEqual(reply.status, status)
        }
      }
      for (const _ of [1, 2]) {
        for (const user of ["ada", "bob"]) {
          assert.strictEqual((yield* send("/source", user)).body, user)
          assert.strictEqual((yield* send("/address", user)).body, "127.0.0.1")
        }
      }
      const first = yield* send("/page?a=1", "ada")
      const head = yield* send("/page?a=1", "ada", "HEAD")
      assert.strictEqual(head.body, "")
      for (const name of ["etag", "content-type", "content-length"]) {
        assert.isNotNull(first.headers.get(name))
        assert.strictEqual(head.headers.get(name), first.headers.get(name))
      }
    }))
})
