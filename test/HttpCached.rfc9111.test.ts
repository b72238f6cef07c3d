import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Exit, Fiber, Layer, Queue, type Scope, Stream } from "effect"
import {
  addDeps,
  Broadcaster,
  ByteStore,
  CacheError,
  type CacheEvent,
  DependencyGraph,
  HttpCached,
  ResultCache,
  Store
} from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { FaultyBroadcaster } from "effect-cached/testing"
import { HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { type Init, makeCache, type Send, serve } from "./http.ts"

type Fields = Readonly<Record<string, string>>

interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | undefined>>
}

type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, Scope.Scope>

/** An origin whose answers a test decides. `n` counts them. */
const makeOrigin = (answer: (request: Asked, n: number) => Answer) => {
  const asked: Array<Asked> = []
  const state = { asked, answer }
  const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, method, url }) => {
    const request = { method, url, headers: { ...headers } }
    asked.push(request)
    return state.answer(request, asked.length)
  })
  return Object.assign(state, { handler })
}

const answers = (headers: Fields, status = 200) => (_: Asked, n: number): Answer =>
  Effect.succeed(HttpServerResponse.text(`answer ${n}`, { status, headers }))

const fresh = { "cache-control": "max-age=60" }

/** Fresh for GET, and something else for all other methods. */
const changing = (headers: Fields, status = 200) => (request: Asked, n: number) =>
  request.method === "GET" ? answers(fresh)(request, n) : answers(headers, status)(request, n)

const notModified = (headers: Fields): Answer => Effect.succeed(HttpServerResponse.empty({ status: 304, headers }))
const unavailable: Answer = Effect.succeed(HttpServerResponse.text("down", { status: 503 }))

type Origin = ReturnType<typeof makeOrigin>

const behind = (origin: Origin, options?: HttpCached.SharedOptions) =>
  HttpRouter.add("*", "/*", HttpCached.rfc9111(origin.handler, options)) as Layer.Layer<never, any, any>

/** An origin that answers each request when the test says so. */
const makeHeld = (answer: (request: Asked, n: number) => Answer) => {
  const gates: Array<Deferred.Deferred<void>> = []
  const origin = makeOrigin((request, n) =>
    Effect.suspend(() => {
      const gate = Deferred.makeUnsafe<void>()
      gates.push(gate)
      return Effect.andThen(Deferred.await(gate), answer(request, n))
    })
  )
  return { origin, open: (n: number) => Deferred.succeed(gates[n - 1]!, undefined), running: () => gates.length }
}

const start = (send: Send, path: string, init?: Init) => Effect.forkChild(send(path, init), { startImmediately: true })

const as = (user: string) => ({ headers: { authorization: user } })

const speaking = (language: string) => ({ headers: { "accept-language": language } })

const bodyOf = (send: Send, path: string, init?: Init) => Effect.map(send(path, init), ({ body }) => body)

const second = TestClock.adjust("1 second")

/** Caches with a store of their own each, in front of one origin, and one log. */
const makeProcesses = Effect.gen(function*() {
  const clock = Layer.succeed(Clock.Clock)(yield* Clock.Clock)
  const shared = yield* Layer.build(FaultyBroadcaster.layer(Broadcaster.layerLocal).pipe(Layer.provide(clock)))
  const makeStart = (store: Layer.Layer<Store.Store, CacheError.CacheError>) =>
    Effect.fnUntraced(function*(routes: Layer.Layer<never, any, any>) {
      const layer = ResultCache.layer().pipe(
        Layer.provide([store, DependencyGraph.layer(), Layer.succeedContext(shared), clock])
      )
      const cache = Context.get(yield* Layer.build(Layer.fresh(layer)), ResultCache.ResultCache)
      return yield* serve(routes, {
        cache,
        layer: Layer.succeed(ResultCache.ResultCache)(cache),
        next: () => Effect.void
      })
    })
  const store = Context.get(yield* Layer.build(Layer.provide(Store.layerMemory(), clock)), Store.Store)
  return {
    faults: Context.get(shared, FaultyBroadcaster.FaultyBroadcaster),
    startWithOwnStore: makeStart(Layer.provide(Store.layerMemory(), clock)),
    startWithOneStore: makeStart(Layer.succeed(Store.Store)(store))
  }
})

describe("HttpCached.rfc9111", () => {
  describe("stores and serves", () => {
    it.effect("a newer response in place of an older one, though it has come from further away", () =>
      Effect.gen(function*() {
        const cacheControl = "max-age=60, stale-if-error=600"
        const origin = makeOrigin((request, n) =>
          answers({ "cache-control": cacheControl, "etag": `"${n}"`, "age": n === 1 ? "0" : "50" })(request, n)
        )
        const { send } = yield* serve(behind(origin))
        assert.strictEqual((yield* send("/a")).body, "answer 1")
        yield* TestClock.adjust("61 seconds")
        assert.strictEqual((yield* send("/a")).body, "answer 2")
        yield* TestClock.adjust("9 seconds")
        const hit = yield* send("/a")
        assert.deepStrictEqual([hit.body, hit.headers["age"]], ["answer 2", "59"])
        assert.strictEqual(origin.asked.length, 2)
      }))

    it.effect("with the age of the response that has confirmed it last", () =>
      Effect.gen(function*() {
        const headers = { "cache-control": "max-age=60", "etag": "\"1\"" }
        const origin = makeOrigin((request, n) =>
          n === 1 ? answers({ ...headers, age: "40" })(request, n) : notModified(headers)
        )
        const { send } = yield* serve(behind(origin))
        yield* send("/a")
        yield* TestClock.adjust("21 seconds")
        yield* send("/a")
        yield* TestClock.adjust("5 seconds")
        const hit = yield* send("/a")
        assert.deepStrictEqual([hit.body, hit.headers["age"], origin.asked.length], ["answer 1", "5", 2])
      }))

    it.effect("what says how long it is fresh, with the age that it has", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers({ "cache-control": "max-age=60", "age": "10", "x-custom": "1" }))
        const { send } = yield* serve(behind(origin))
        const first = yield* send("/page")
        assert.strictEqual(first.headers["age"], "10")
        assert.strictEqual(first.cacheStatus, "effect-cached; fwd=miss; fwd-status=200; stored")
        yield* TestClock.adjust("20 seconds")
        const reply = yield* send("/page")
        assert.deepStrictEqual([reply.body, reply.status], ["answer 1", 200])
        assert.include(reply.headers, {
          "age": "30",
          "cache-control": "max-age=60",
          "content-type": "text/plain",
          "date": "Thu, 01 Jan 1970 00:00:00 GMT",
          "x-custom": "1"
        })
        assert.strictEqual(reply.cacheStatus, "effect-cached; hit; ttl=30")
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 2")
      }))

    it.effect("with the time that the handler took, and without the part of a second that a date does not say", () =>
      Effect.gen(function*() {
        const origin = makeOrigin((request, n) =>
          Effect.delay(answers({ ...fresh, age: "10" })(request, n), "5 seconds")
        )
        const { next, send } = yield* serve(behind(origin))
        const slow = yield* start(send, "/slow")
        yield* next("Miss")
        yield* TestClock.adjust("5500 millis")
        yield* Fiber.join(slow)
        assert.strictEqual((yield* send("/slow")).headers["age"], "15")
        origin.answer = answers({ "cache-control": "max-age=1", "date": "Thu, 01 Jan 1970 00:00:05 GMT" })
        yield* send("/page")
        yield* TestClock.adjust("900 millis")
        assert.strictEqual((yield* send("/page")).cacheStatus, "effect-cached; hit; ttl=1")
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 3")
      }))

    it.effect("nothing that only a heuristic would call fresh", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers({ "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT" }))
        const { send } = yield* serve(behind(origin))
        yield* TestClock.adjust("1000 days")
        yield* send("/page")
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 2")
        assert.strictEqual(origin.asked[1]!.headers["if-modified-since"], "Thu, 01 Jan 1970 00:00:00 GMT")
      }))

    it.effect.each<readonly [string, Fields, number, Fields]>([
      ["no-store", { "cache-control": "max-age=60, no-store" }, 200, {}],
      ["private", { "cache-control": "max-age=60, private" }, 200, {}],
      ["private for one field", { "cache-control": "max-age=60, private=\"x-user\"" }, 200, {}],
      ["no-cache without a validator", { "cache-control": "max-age=60, no-cache" }, 200, {}],
      ["Vary: *", { ...fresh, "vary": "accept, *" }, 200, {}],
      ["a cookie that is set", { ...fresh, "set-cookie": "a=b" }, 200, {}],
      ["a part", { ...fresh, "content-range": "bytes 0-7/20" }, 206, {}],
      ["must-understand of a status that nobody knows", { "cache-control": "max-age=60, must-understand" }, 299, {}],
      ["a lifetime that is over", { "cache-control": "max-age=60", "age": "60" }, 200, {}],
      ["an event stream", { ...fresh, "content-type": "text/event-stream" }, 200, {}],
      ["what answers a request with a body", fresh, 200, { "content-length": "3" }],
      ["what answers a request for a part", fresh, 200, { "range": "bytes=0-1" }],
      ["what answers a request under a condition", fresh, 200, { "if-match": "\"a\"" }],
      ["a request with credentials", fresh, 200, { authorization: "Basic YTpi" }]
    ])("never %s", ([, headers, status, request]) =>
      Effect.gen(function*() {
        const bytes = new TextEncoder().encode("data")
        const origin = makeOrigin((asked, n) =>
          headers["content-type"] === undefined
            ? answers(headers, status)(asked, n)
            : Effect.succeed(
              HttpServerResponse.stream(Stream.make(bytes), { headers, contentType: headers["content-type"] })
            )
        )
        const { cache, send } = yield* serve(behind(origin))
        for (const n of [1, 2]) {
          const reply = yield* send("/page", { headers: request })
          assert.strictEqual(reply.status, status)
          assert.strictEqual(origin.asked.length, n)
        }
        assert.strictEqual((yield* cache.counts).Stored, 0)
      }))

    it.effect.each<readonly [string, Fields, number, "stored" | "not"]>([
      ["a cookie in the request", { ...fresh }, 200, "stored"],
      ["an unknown status that says how long it is fresh", fresh, 299, "stored"],
      ["an error that says how long it is fresh", fresh, 500, "stored"],
      [
        "CDN-Cache-Control over no-store",
        { "cache-control": "no-store", "cdn-cache-control": "max-age=60" },
        200,
        "stored"
      ],
      ["CDN-Cache-Control over a past date", { "expires": "0", "cdn-cache-control": "max-age=60" }, 200, "stored"],
      ["CDN-Cache-Control: no-store over max-age", { ...fresh, "cdn-cache-control": "no-store" }, 200, "not"],
      ["CDN-Cache-Control: private over max-age", { ...fresh, "cdn-cache-control": "private" }, 200, "not"],
      ["CDN-Cache-Control: max-age=0 over max-age", { ...fresh, "cdn-cache-control": "max-age=0" }, 200, "not"],
      [
        "Cache-Control where CDN-Cache-Control is invalid",
        { ...fresh, "cdn-cache-control": "max-age=0, &&" },
        200,
        "stored"
      ],
      [
        "no-store where CDN-Cache-Control is of another type",
        {
          "cache-control": "no-store",
          "cdn-cache-control": "max-age=\"60\""
        },
        200,
        "not"
      ]
    ])("as the response says: %s", ([, headers, status, ends]) =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers(headers, status))
        const { send } = yield* serve(behind(origin))
        yield* send("/page", { headers: { cookie: "a=b" } })
        assert.strictEqual(yield* bodyOf(send, "/page"), ends === "stored" ? "answer 1" : "answer 2")
      }))

    it.effect.each(["vary", "Cache-Control, vary"])(
      "what all are told, whatever Connection names: %s",
      (connection) =>
        Effect.gen(function*() {
          const origin = makeOrigin(({ headers }) =>
            Effect.succeed(
              HttpServerResponse.text(headers["accept-language"]!, {
                headers: { ...fresh, "connection": connection, "vary": "accept-language" }
              })
            )
          )
          const { send } = yield* serve(behind(origin))
          assert.strictEqual(yield* bodyOf(send, "/page", speaking("en")), "en")
          assert.strictEqual(yield* bodyOf(send, "/page", speaking("de")), "de")
          assert.strictEqual(yield* bodyOf(send, "/page", speaking("en")), "en")
          assert.strictEqual(origin.asked.length, 2)
        })
    )

    it.effect("nothing to which a handler adds a cookie through its request", () =>
      Effect.gen(function*() {
        const origin = makeOrigin((request, n) =>
          Effect.andThen(
            HttpEffect.appendPreResponseHandler((_, response) =>
              Effect.succeed(HttpServerResponse.setCookieUnsafe(response, "session", String(n)))
            ),
            answers(fresh)(request, n)
          ) as unknown as Answer
        )
        const { send } = yield* serve(behind(origin))
        for (const n of [1, 2]) {
          const reply = yield* send("/page")
          assert.deepStrictEqual([reply.body, reply.headers["set-cookie"]], [`answer ${n}`, `session=${n}`])
        }
      }))

    it.effect("under no URI of another host, whatever stands in Host", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(({ url }) => Effect.succeed(HttpServerResponse.text(url, { headers: fresh })))
        const { send } = yield* serve(behind(origin))
        for (const host of ["a.test/p", "a.test/p?q=", "a.test#", "u@a.test", "a.test\\"]) {
          const reply = yield* send("/evil", { headers: { host } })
          assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=bypass; fwd-status=200; detail=request")
        }
        const host = "a.test"
        for (const path of ["/p/evil", "/p?q=/evil"]) {
          assert.strictEqual(yield* bodyOf(send, path, { headers: { host } }), path)
          yield* send("/evil", { method: "POST", headers: { host: "a.test/p" } })
          assert.strictEqual((yield* send(path, { headers: { host } })).cacheStatus, "effect-cached; hit; ttl=60")
        }
      }))

    it.effect("apart what a handler sees besides the URI: another authority, and a URL that was rewritten", () =>
      Effect.gen(function*() {
        const origin = makeOrigin((_, n) =>
          Effect.map(
            HttpServerRequest.HttpServerRequest,
            ({ originalUrl, url }) => HttpServerResponse.text(`${n} ${originalUrl} ${url}`, { headers: fresh })
          ) as unknown as Answer
        )
        const { layer } = yield* makeCache()
        const handler = HttpCached.rfc9111(origin.handler)
        const ask = (target: string, url?: string) =>
          handler.pipe(
            Effect.provideService(
              HttpServerRequest.HttpServerRequest,
              HttpServerRequest.fromWeb(new Request(target, { headers: { host: "a.test" } })).modify(
                url === undefined ? {} : { url }
              )
            ),
            Effect.map(({ body }) => body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""),
            Effect.scoped
          )
        yield* Effect.gen(function*() {
          for (const _ of [1, 2]) {
            assert.strictEqual(yield* ask("http://a.test/x"), "1 http://a.test/x /x")
            assert.strictEqual(yield* ask("http://b.test/x"), "2 http://b.test/x /x")
            assert.strictEqual(yield* ask("http://a.test/x", "/a/x"), "3 http://a.test/x /a/x")
            assert.strictEqual(yield* ask("http://b.test/x", "/a/x"), "4 http://b.test/x /a/x")
          }
        }).pipe(Effect.provide(layer))
      }))

    it.effect("nothing that is about one connection", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(
          answers({ ...fresh, "connection": "x-hop", "x-hop": "1", "keep-alive": "timeout=5", "x": "1" })
        )
        const { send } = yield* serve(behind(origin))
        yield* send("/page")
        const { headers } = yield* send("/page")
        assert.doesNotHaveAnyKeys(headers, ["connection", "x-hop", "keep-alive"])
        assert.strictEqual(headers["x"], "1")
      }))

    it.effect("HEAD from what GET has stored, and sends it on where there is nothing", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers(fresh))
        const { send } = yield* serve(behind(origin))
        const missed = yield* send("/page", { method: "HEAD" })
        assert.strictEqual(missed.cacheStatus, "effect-cached; fwd=miss; fwd-status=200")
        assert.deepStrictEqual(origin.asked.map(({ method }) => method), ["HEAD"])
        yield* send("/page")
        const reply = yield* send("/page", { method: "HEAD" })
        assert.deepStrictEqual([reply.body, reply.headers["content-length"]], ["", "8"])
        assert.strictEqual(reply.cacheStatus, "effect-cached; hit; ttl=60")
        assert.strictEqual(origin.asked.length, 2)
      }))

    it.effect("URIs apart, by host, path and query", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers(fresh))
        const { send } = yield* serve(behind(origin))
        const one = (headers: Fields, path: string) => bodyOf(send, path, { headers })
        for (const _ of [1, 2]) {
          assert.strictEqual(yield* one({ host: "a.test" }, "/page"), "answer 1")
          assert.strictEqual(yield* one({ host: "b.test" }, "/page"), "answer 2")
          assert.strictEqual(yield* one({ host: "a.test:8080" }, "/page"), "answer 3")
          assert.strictEqual(yield* one({ host: "a.test" }, "/page?"), "answer 4")
          assert.strictEqual(yield* one({ host: "a.test" }, "/page?a=1&b=2"), "answer 5")
          assert.strictEqual(yield* one({ host: "a.test" }, "/page?b=2&a=1"), "answer 6")
        }
        assert.strictEqual(yield* one({ host: "A.test:80" }, "/page"), "answer 1")
      }))

    it.effect("bytes as they are, in a store of bytes", () =>
      Effect.gen(function*() {
        const bytes = Uint8Array.from({ length: 512 }, (_, index) => index)
        const origin = makeOrigin(() =>
          Effect.succeed(
            HttpServerResponse.stream(Stream.make(bytes.slice(0, 300), bytes.slice(300)), { headers: fresh })
          )
        )
        const layer = ResultCache.layer().pipe(Layer.provide([
          ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer())),
          DependencyGraph.layer(),
          Broadcaster.layerLocal
        ]))
        const cached = HttpRouter.toWebHandler(
          Layer.provideMerge(behind(origin), layer) as Layer.Layer<never, any, any>,
          {
            disableLogger: true
          }
        )
        yield* Effect.addFinalizer(() => Effect.promise(cached.dispose))
        const handler = cached.handler as (request: Request) => Promise<Response>
        for (const _ of [1, 2]) {
          const read = yield* Effect.promise(() =>
            handler(new Request("http://localhost/bytes")).then((response) => response.bytes())
          )
          assert.deepStrictEqual(read, bytes)
        }
        assert.strictEqual(origin.asked.length, 1)
      }))
  })

  describe("at the same time", () => {
    it.effect("asks the handler once for all who ask", () =>
      Effect.gen(function*() {
        const { open, origin } = makeHeld(answers(fresh))
        const { next, send } = yield* serve(behind(origin))
        const fibers = [yield* start(send, "/page"), yield* start(send, "/page"), yield* start(send, "/page")]
        yield* next("Joined")
        yield* next("Joined")
        yield* open(1)
        const replies = []
        for (const fiber of fibers) replies.push(yield* Fiber.join(fiber))
        assert.deepStrictEqual(replies.map(({ body }) => body), ["answer 1", "answer 1", "answer 1"])
        assert.deepStrictEqual(replies.map(({ cacheStatus }) => cacheStatus), [
          "effect-cached; fwd=miss; fwd-status=200; stored",
          "effect-cached; fwd=miss; fwd-status=200; stored; collapsed",
          "effect-cached; fwd=miss; fwd-status=200; stored; collapsed"
        ])
        assert.strictEqual(origin.asked.length, 1)
      }))

    it.effect.each<readonly [string, Fields]>([
      ["private", { "cache-control": "private, max-age=60" }],
      ["not to be stored", { "cache-control": "no-store" }],
      ["for who gets the cookie", { ...fresh, "set-cookie": "user=1" }],
      ["to be validated before each use", { "cache-control": "no-cache", "etag": "\"a\"" }],
      ["over at once", { "cache-control": "max-age=0", "etag": "\"a\"" }]
    ])("gives nobody the response of another that is %s", ([, headers]) =>
      Effect.gen(function*() {
        const { open, origin, running } = makeHeld((request, n) =>
          Effect.succeed(HttpServerResponse.text(`for ${request.headers["x-user"]}, ${n}`, { headers }))
        )
        const { next, send } = yield* serve(behind(origin))
        const one = yield* start(send, "/page", { headers: { "x-user": "ada" } })
        const other = yield* start(send, "/page", { headers: { "x-user": "bob" } })
        yield* next("Joined")
        yield* open(1)
        assert.strictEqual((yield* Fiber.join(one)).body, "for ada, 1")
        yield* next("Miss")
        while (running() < 2) yield* Effect.yieldNow
        yield* open(2)
        assert.strictEqual((yield* Fiber.join(other)).body, "for bob, 2")
      }))

    it.effect("gives each the variant that it asked for, also where nobody knew that there are some", () =>
      Effect.gen(function*() {
        const { open, origin, running } = makeHeld((request) =>
          Effect.succeed(HttpServerResponse.text(request.headers["accept-language"]!, {
            headers: { ...fresh, vary: "Accept-Language" }
          }))
        )
        const { next, send } = yield* serve(behind(origin))
        const english = yield* start(send, "/page", speaking("en"))
        const german = yield* start(send, "/page", speaking("de"))
        const same = yield* start(send, "/page", speaking("EN;q=1"))
        yield* next("Joined")
        yield* next("Joined")
        yield* open(1)
        assert.strictEqual((yield* Fiber.join(english)).body, "en")
        assert.strictEqual((yield* Fiber.join(same)).body, "en")
        while (running() < 2) yield* Effect.yieldNow
        yield* open(2)
        assert.strictEqual((yield* Fiber.join(german)).body, "de")
        assert.strictEqual(origin.asked.length, 2)
        assert.strictEqual(yield* bodyOf(send, "/page", speaking("de")), "de")
        assert.strictEqual(yield* bodyOf(send, "/page", speaking("en")), "en")
      }))

    it.effect("never shares between users by Authorization, whoever comes first", () =>
      Effect.gen(function*() {
        const { open, origin, running } = makeHeld((request) =>
          Effect.succeed(HttpServerResponse.text(String(request.headers["authorization"]), { headers: fresh }))
        )
        const { send } = yield* serve(behind(origin))
        const ada = yield* start(send, "/page", as("ada"))
        const bob = yield* start(send, "/page", as("bob"))
        const nobody = yield* start(send, "/page")
        while (running() < 3) yield* Effect.yieldNow
        yield* Effect.forEach([1, 2, 3], open)
        assert.strictEqual((yield* Fiber.join(ada)).body, "ada")
        assert.strictEqual((yield* Fiber.join(bob)).body, "bob")
        assert.strictEqual((yield* Fiber.join(nobody)).body, "undefined")
        // What was computed for nobody in particular is no answer for somebody, and the other way round.
        const again = yield* start(send, "/page", as("ada"))
        while (running() < 4) yield* Effect.yieldNow
        yield* open(4)
        assert.strictEqual((yield* Fiber.join(again)).body, "ada")
        assert.strictEqual(yield* bodyOf(send, "/page"), "undefined")
      }))

    it.effect("goes on for those who wait when the first has left", () =>
      Effect.gen(function*() {
        const { open, origin } = makeHeld(answers(fresh))
        const { next, send } = yield* serve(behind(origin))
        const abort = new AbortController()
        const leaving = yield* Effect.forkChild(
          Effect.exit(Effect.sandbox(send("/page", { signal: abort.signal }))),
          { startImmediately: true }
        )
        yield* next("Miss")
        const staying = yield* start(send, "/page")
        yield* next("Joined")
        abort.abort()
        yield* Fiber.await(leaving)
        yield* open(1)
        assert.strictEqual((yield* Fiber.join(staying)).body, "answer 1")
        assert.strictEqual(origin.asked.length, 1)
      }))

    it.effect("is not served what was computed before its URI changed", () =>
      Effect.gen(function*() {
        const { open, origin, running } = makeHeld(answers(fresh))
        const { next, send } = yield* serve(behind(origin))
        const before = yield* start(send, "/page")
        yield* next("Miss")
        const change = yield* start(send, "/page", { method: "PUT", body: "new" })
        while (running() < 2) yield* Effect.yieldNow
        yield* open(2)
        yield* Fiber.join(change)
        yield* open(1)
        assert.strictEqual((yield* Fiber.join(before)).body, "answer 1")
        const after = yield* start(send, "/page")
        while (running() < 3) yield* Effect.yieldNow
        yield* open(3)
        assert.strictEqual((yield* Fiber.join(after)).body, "answer 3")
      }))
  })

  describe("gives to requests with Authorization, and of them to others,", () => {
    it.effect.each(["public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"])(
      "what says %s",
      (control) =>
        Effect.gen(function*() {
          const origin = makeOrigin(answers({ "cache-control": control }))
          const { send } = yield* serve(behind(origin))
          assert.strictEqual(yield* bodyOf(send, "/page", as("ada")), "answer 1")
          assert.strictEqual(yield* bodyOf(send, "/page", as("bob")), "answer 1")
          assert.strictEqual(yield* bodyOf(send, "/page"), "answer 1")
        })
    )

    it.effect.each(["max-age=60", "max-age=60, proxy-revalidate"])(
      "not what says %s",
      (control) =>
        Effect.gen(function*() {
          const origin = makeOrigin(answers({ "cache-control": control }))
          const { send } = yield* serve(behind(origin))
          assert.strictEqual(yield* bodyOf(send, "/page", as("ada")), "answer 1")
          assert.strictEqual(yield* bodyOf(send, "/page", as("ada")), "answer 2")
          assert.strictEqual(yield* bodyOf(send, "/page"), "answer 3")
          assert.strictEqual(yield* bodyOf(send, "/page", as("bob")), "answer 4")
          assert.strictEqual(yield* bodyOf(send, "/page"), "answer 3")
        })
    )
  })

  describe("revalidates", () => {
    const tagged = { "cache-control": "max-age=10", "etag": "\"a\"", "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT" }

    it.effect("with the validators of what is stored, and a 304 makes that fresh again, with its headers", () =>
      Effect.gen(function*() {
        const origin = makeOrigin((request, n) =>
          request.headers["if-none-match"] === "\"a\""
            ? notModified({
              "etag": "\"a\"",
              "x-version": String(n),
              "content-encoding": "gzip",
              "cache-control": "max-age=10"
            })
            : answers({ ...tagged, "x-version": "1", "x-kept": "1" })(request, n)
        )
        const { send } = yield* serve(behind(origin))
        yield* send("/page")
        yield* TestClock.adjust("10 seconds")
        const reply = yield* send("/page")
        assert.deepStrictEqual([reply.status, reply.body], [200, "answer 1"])
        assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=stale; fwd-status=304; stored")
        assert.include(origin.asked[1]!.headers, {
          "if-none-match": "\"a\"",
          "if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"
        })
        yield* TestClock.adjust("9 seconds")
        const { body, cacheStatus, headers } = yield* send("/page")
        assert.deepStrictEqual([body, cacheStatus], ["answer 1", "effect-cached; hit; ttl=1"])
        assert.include(headers, {
          "x-version": "2",
          "x-kept": "1",
          "age": "9",
          "date": "Thu, 01 Jan 1970 00:00:10 GMT"
        })
        assert.notProperty(headers, "content-encoding")
      }))

    it.effect("and asks again without conditions where the 304 is about something else", () =>
      Effect.gen(function*() {
        const origin = makeOrigin((request, n) =>
          request.headers["if-none-match"] === undefined ? answers(tagged)(request, n) : notModified({ etag: "\"b\"" })
        )
        const { send } = yield* serve(behind(origin))
        yield* send("/page")
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 3")
        assert.deepStrictEqual(origin.asked.map(({ headers }) => headers["if-none-match"]), [
          undefined,
          "\"a\"",
          undefined
        ])
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 3")
      }))

    it.effect("each time what says no-cache, and answers the conditions of its clients itself", () =>
      Effect.gen(function*() {
        const origin = makeOrigin((request, n) =>
          request.headers["if-none-match"] === "\"a\""
            ? notModified({ "etag": "\"a\"", "cache-control": "no-cache" })
            : answers({ "etag": "\"a\"", "cache-control": "no-cache" })(request, n)
        )
        const { send } = yield* serve(behind(origin))
        const held = yield* send("/page", { headers: { "if-none-match": "\"a\"" } })
        assert.deepStrictEqual([held.status, held.body, held.headers["etag"]], [304, "", "\"a\""])
        // The conditions of one client are not those of the cache.
        assert.strictEqual(origin.asked[0]!.headers["if-none-match"], undefined)
        const other = yield* send("/page", { headers: { "if-none-match": "\"b\", \"c\"" } })
        assert.deepStrictEqual([other.status, other.body], [200, "answer 1"])
        assert.strictEqual(origin.asked[1]!.headers["if-none-match"], "\"a\"")
        assert.strictEqual((yield* send("/page")).body, "answer 1")
        assert.strictEqual(origin.asked.length, 3)
      }))

    it.effect("and a 304 may be for whoever asked alone", () =>
      Effect.gen(function*() {
        const origin = makeOrigin((request, n) =>
          request.headers["if-none-match"] === "\"mine\""
            ? notModified({ etag: "\"mine\"" })
            : answers({ "cache-control": "private", "etag": "\"mine\"" })(request, n)
        )
        const { send } = yield* serve(behind(origin))
        assert.strictEqual((yield* send("/page")).status, 200)
        // By now it is known that nothing is stored here.
        const reply = yield* send("/page", { headers: { "if-none-match": "\"mine\"" } })
        assert.deepStrictEqual([reply.status, origin.asked[1]!.headers["if-none-match"]], [304, "\"mine\""])
      }))

    it.effect.each<readonly [string, Fields, HttpCached.SharedOptions]>([
      ["no-store", { "cache-control": "no-store" }, {}],
      ["private", { "cache-control": "private" }, {}],
      ["Vary: *", { "cache-control": "max-age=60", "vary": "*" }, {}],
      ["nothing that could be used", { "cache-control": "max-age=0" }, { keep: 0 }]
    ])("and sends the whole response on where its 304 says %s", ([, headers, options]) =>
      Effect.gen(function*() {
        const stored = { "etag": "\"a\"", "cache-control": "max-age=1, stale-if-error=100", "x-version": "1" }
        const origin = makeOrigin((request, n) =>
          request.headers["if-none-match"] === undefined
            ? answers(stored)(request, n)
            : notModified({ "etag": "\"a\"", "x-version": "2", "age": "3", "set-cookie": "a=b", ...headers })
        )
        const { send } = yield* serve(behind(origin, options))
        yield* send("/page")
        yield* send("/other")
        yield* TestClock.adjust("2 seconds")
        const reply = yield* send("/page")
        assert.deepStrictEqual([reply.status, reply.body], [200, "answer 1"])
        assert.include(reply.headers, { "x-version": "2", "age": "3", "set-cookie": "a=b" })
        assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=stale; fwd-status=304; detail=response")
        const conditional = yield* send("/other", { headers: { "if-none-match": "\"a\"" } })
        assert.deepStrictEqual([conditional.status, conditional.body], [304, ""])
        // What it was good for is over.
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 5")
      }))

    it.effect("what could not be stored once, as soon as a 304 to a client says that it can be", () =>
      Effect.gen(function*() {
        const mine = { headers: { "if-none-match": "\"a\"" } }
        const state = { headers: { "cache-control": "no-store" } as Fields }
        const origin = makeOrigin((request, n) =>
          request.headers["if-none-match"] === "\"a\"" ? notModified({ etag: "\"a\"", ...state.headers }) : answers({
            etag: "\"a\"",
            ...state.headers
          })(request, n)
        )
        const { send } = yield* serve(behind(origin))
        yield* send("/page")
        for (const _ of [1, 2, 3]) assert.strictEqual((yield* send("/page", mine)).status, 304)
        // The conditions of a client that does not share are its own.
        assert.deepStrictEqual(origin.asked.map(({ headers }) => headers["if-none-match"]), [
          undefined,
          "\"a\"",
          "\"a\"",
          "\"a\""
        ])
        state.headers = fresh
        for (const _ of [1, 2, 3]) assert.strictEqual((yield* send("/page", mine)).status, 304)
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 6")
        assert.strictEqual(origin.asked.length, 6)
      }))

    it.effect("asks for the whole ever more rarely where only its 304 says that it can be stored", () =>
      Effect.gen(function*() {
        const mine = { headers: { "if-none-match": "\"a\"" } }
        const origin = makeOrigin((request, n) =>
          request.headers["if-none-match"] === "\"a\""
            ? notModified({ etag: "\"a\"" })
            : answers({ "etag": "\"a\"", "cache-control": "no-store" })(request, n)
        )
        const { send } = yield* serve(behind(origin))
        for (let i = 0; i < 40; i++) yield* send("/page", mine)
        const whole = origin.asked.flatMap(({ headers }, n) => headers["if-none-match"] === undefined ? [n] : [])
        assert.deepStrictEqual(whole, [0, 2, 5, 10, 19, 36])
      }))

    it.effect.each<readonly [string, (response: HttpServerResponse.HttpServerResponse) => typeof response]>([
      ["cookie", HttpServerResponse.setCookieUnsafe("session", "ada")],
      ["field", HttpServerResponse.setHeader("set-cookie", "session=ada")]
    ])(
      "gives the %s of a 304 that sets a cookie to who asked, and to nobody else",
      ([, setCookie]) =>
        Effect.gen(function*() {
          const origin = makeOrigin((request, n) =>
            request.headers["if-none-match"] === undefined
              ? answers(tagged)(request, n)
              : Effect.map(notModified({ ...tagged }), setCookie)
          )
          const { send } = yield* serve(behind(origin))
          yield* send("/page")
          yield* TestClock.adjust("10 seconds")
          assert.strictEqual((yield* send("/page")).headers["set-cookie"], "session=ada")
          const next = yield* send("/page")
          assert.deepStrictEqual([next.body, next.headers["set-cookie"]], ["answer 1", undefined])
        })
    )
  })

  describe("after the end of a response", () => {
    it.effect("serves it while it is computed anew, as long as it says", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers({ "cache-control": "max-age=10, stale-while-revalidate=20" }))
        const { next, send } = yield* serve(behind(origin))
        yield* send("/page")
        yield* TestClock.adjust("15 seconds")
        const stale = yield* send("/page")
        assert.deepStrictEqual(
          [stale.body, stale.headers["age"], stale.cacheStatus],
          ["answer 1", "15", "effect-cached; hit; ttl=-5; detail=revalidating"]
        )
        yield* next("Stored")
        yield* next("Stored")
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 2")
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 3")
      }))

    it.effect("serves it instead of an error, and does not try again for a while", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers({ "cache-control": "max-age=10, stale-if-error=600" }))
        const { send } = yield* serve(
          behind(origin, { policy: { staleIfError: { upTo: "1 minute", backOff: "2 seconds" } } })
        )
        yield* send("/page")
        yield* TestClock.adjust("10500 millis")
        origin.answer = () => unavailable
        const stale = yield* send("/page")
        assert.deepStrictEqual(
          [stale.status, stale.body, stale.cacheStatus],
          [200, "answer 1", "effect-cached; fwd=stale; ttl=-1; detail=error"]
        )
        yield* second
        const waiting = yield* send("/page")
        assert.deepStrictEqual(
          [waiting.body, waiting.cacheStatus],
          ["answer 1", "effect-cached; hit; ttl=-1; detail=back-off"]
        )
        assert.strictEqual(origin.asked.length, 2)
        yield* second
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 1")
        assert.strictEqual(origin.asked.length, 3)
        // It failed twice in a row: nobody tries for twice as long.
        yield* TestClock.adjust("3 seconds")
        yield* send("/page")
        assert.strictEqual(origin.asked.length, 3)
        yield* second
        origin.answer = answers(fresh)
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 4")
      }))

    it.effect("serves it where the handler fails, up to the time of the policy", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers({ "cache-control": "max-age=10" }))
        const cached = HttpCached.rfc9111(origin.handler, { policy: { staleIfError: "1 minute" } })
        const { send } = yield* serve(
          HttpRouter.add(
            "*",
            "/*",
            Effect.catch(cached, (error) => Effect.succeed(HttpServerResponse.text(String(error), { status: 502 })))
          ) as Layer.Layer<never, any, any>
        )
        yield* send("/page")
        origin.answer = () => Effect.fail("unreachable")
        yield* TestClock.adjust("69 seconds")
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 1")
        yield* TestClock.adjust("1 minute")
        const failed = yield* send("/page")
        assert.deepStrictEqual([failed.status, failed.body], [502, "unreachable"])
        const elsewhere = yield* send("/other")
        assert.deepStrictEqual([elsewhere.status, elsewhere.body], [502, "unreachable"])
      }))

    it.effect.each([
      "max-age=10, must-revalidate",
      "max-age=10, proxy-revalidate",
      "s-maxage=10",
      "max-age=10, no-cache",
      "max-age=10, stale-if-error=0",
      "max-age=10, must-revalidate, stale-if-error=60, stale-while-revalidate=60",
      "s-maxage=10, stale-if-error=60, stale-while-revalidate=60"
    ])("serves nothing stale that says %s, whatever happens", (control) =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers({ "cache-control": control, "etag": "\"a\"" }))
        const { send } = yield* serve(behind(origin))
        yield* send("/page")
        yield* TestClock.adjust("10 seconds")
        origin.answer = () => unavailable
        const reply = yield* send("/page")
        assert.deepStrictEqual([reply.status, reply.body], [503, "down"])
        assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=stale; fwd-status=503; detail=response")
      }))

    it.effect("serves nothing that was invalidated meanwhile", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(
          answers({ "cache-control": "max-age=10, stale-while-revalidate=60, stale-if-error=60" })
        )
        const { send } = yield* serve(behind(origin))
        yield* send("/page")
        yield* TestClock.adjust("10 seconds")
        yield* send("/page", { method: "DELETE" })
        origin.answer = () => unavailable
        assert.strictEqual((yield* send("/page")).status, 503)
      }))
  })

  describe("unsafe methods", () => {
    it.effect("end what is stored of their URI in all variants, and of those that the response names", () =>
      Effect.gen(function*() {
        const origin = makeOrigin((request, n) =>
          request.method === "GET"
            ? answers({ ...fresh, vary: "x-user" })(request, n)
            : answers({ "location": "/new?a=1", "content-location": "http://localhost/pages/7" }, 201)(request, n)
        )
        const { send } = yield* serve(behind(origin))
        const paths = ["/pages", "/new?a=1", "/pages/7"]
        const read = Effect.forEach(
          paths,
          (path) => Effect.forEach(["ada", "bob"], (user) => bodyOf(send, path, { headers: { "x-user": user } }))
        )
        const before = yield* read
        assert.deepStrictEqual(yield* read, before)
        const reply = yield* send("/pages", { method: "POST", body: "x" })
        assert.deepStrictEqual([reply.status, reply.cacheStatus], [201, "effect-cached; fwd=method; fwd-status=201"])
        const after = (yield* read).flat()
        for (const body of before.flat()) assert.notInclude(after, body)
      }))

    it.effect.each<readonly [string, string, number]>([
      ["an error", "DELETE", 404],
      ["a failure of the server", "POST", 500],
      ["a safe method", "OPTIONS", 200]
    ])("end nothing of a URI for %s", ([, method, status]) =>
      Effect.gen(function*() {
        const origin = makeOrigin(changing({}, status))
        const { send } = yield* serve(behind(origin))
        yield* send("/page")
        yield* send("/page", { method })
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 1")
      }))

    it.effect("end nothing of another origin", () =>
      Effect.gen(function*() {
        const named = "http://elsewhere.test/page"
        const origin = makeOrigin(changing({ "location": named, "content-location": named }))
        const { send } = yield* serve(behind(origin))
        const elsewhere = { headers: { host: "elsewhere.test" } }
        yield* send("/page", elsewhere)
        yield* send("/other", { method: "POST" })
        assert.strictEqual(yield* bodyOf(send, "/page", elsewhere), "answer 1")
        yield* send("/other", { ...elsewhere, method: "POST" })
        assert.strictEqual(yield* bodyOf(send, "/page", elsewhere), "answer 4")
      }))

    it.effect("end it where their client hangs up, since nobody knows what was done by then", () =>
      Effect.gen(function*() {
        const started = Deferred.makeUnsafe<void>()
        const origin = makeOrigin((request, n) =>
          request.method === "GET"
            ? answers(fresh)(request, n)
            : Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
        )
        const { next, send } = yield* serve(behind(origin))
        yield* send("/page")
        const client = new AbortController()
        const { signal } = client
        const put = yield* Effect.forkChild(Effect.exit(send("/page", { method: "PUT", signal })), {
          startImmediately: true
        })
        yield* Deferred.await(started)
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 1")
        client.abort()
        yield* next("Invalidated")
        yield* Fiber.await(put)
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 3")
      }))

    it.effect("end it in all processes", () =>
      Effect.gen(function*() {
        const { startWithOwnStore } = yield* makeProcesses
        const origin = makeOrigin(changing({}))
        const here = yield* startWithOwnStore(behind(origin))
        const there = yield* startWithOwnStore(behind(origin))
        assert.strictEqual(yield* bodyOf(here.send, "/page"), "answer 1")
        assert.strictEqual(yield* bodyOf(there.send, "/page"), "answer 2")
        yield* here.send("/page", { method: "PATCH", body: "x" })
        assert.strictEqual(yield* bodyOf(there.send, "/page"), "answer 4")
        assert.strictEqual(yield* bodyOf(here.send, "/page"), "answer 5")
      }))

    it.effect("are answered where the log takes no record, and end it here all the same", () =>
      Effect.gen(function*() {
        const { faults, startWithOwnStore } = yield* makeProcesses
        const origin = makeOrigin(changing({}))
        const { send } = yield* startWithOwnStore(behind(origin))
        yield* send("/page")
        yield* faults.become("failing")
        const reply = yield* send("/page", { method: "DELETE" })
        assert.deepStrictEqual([reply.status, reply.body], [200, "answer 2"])
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 3")
      }))
  })

  it.effect("shares what is stored, and what it varies by, with other processes", () =>
    Effect.gen(function*() {
      const { startWithOneStore } = yield* makeProcesses
      const origin = makeOrigin((request) =>
        Effect.succeed(
          HttpServerResponse.text(String(request.headers["x-user"]), { headers: { ...fresh, vary: "X-User" } })
        )
      )
      const here = yield* startWithOneStore(behind(origin))
      const there = yield* startWithOneStore(behind(origin))
      for (const send of [here.send, there.send]) {
        for (const user of ["ada", "bob"]) {
          assert.strictEqual(yield* bodyOf(send, "/page", { headers: { "x-user": user } }), user)
        }
      }
      assert.strictEqual(origin.asked.length, 2)
    }))

  it.effect("keeps as many variants as it may, and tells of the others", () =>
    Effect.gen(function*() {
      const events: Array<CacheEvent.CacheEvent> = []
      const cache = yield* makeCache()
      yield* Effect.forkChild(Stream.runForEach(cache.cache.events, (event) => Effect.sync(() => events.push(event))), {
        startImmediately: true
      })
      const origin = makeOrigin(answers({ ...fresh, vary: "x-user" }))
      const { next, send } = yield* serve(behind(origin, { maxVariants: 2 }), cache)
      for (const user of ["ada", "bob", "cyd"]) yield* send("/page", { headers: { "x-user": user } })
      yield* next("VariantsExceeded")
      assert.strictEqual(yield* bodyOf(send, "/page", { headers: { "x-user": "cyd" } }), "answer 3")
      assert.strictEqual(yield* bodyOf(send, "/page", { headers: { "x-user": "bob" } }), "answer 2")
      assert.strictEqual(yield* bodyOf(send, "/page", { headers: { "x-user": "ada" } }), "answer 4")
    }))

  it.effect("does not store what names more headers than it keeps apart", () =>
    Effect.gen(function*() {
      const vary = Array.from({ length: 33 }, (_, index) => `x-${index}`).join(", ")
      const origin = makeOrigin(answers({ ...fresh, vary }))
      const { send } = yield* serve(behind(origin))
      assert.strictEqual(yield* bodyOf(send, "/page"), "answer 1")
      assert.strictEqual(yield* bodyOf(send, "/page"), "answer 2")
    }))

  describe("bodies that are streams", () => {
    const chunk = new Uint8Array(1000).fill(97)

    /** An origin that answers with a stream, and what is open of that. */
    const makeStreaming = (chunks: number, headers: Fields = fresh) => {
      const state = { opened: 0, closed: 0, sent: 0 }
      const origin = makeOrigin(() =>
        Effect.gen(function*() {
          yield* Effect.acquireRelease(
            Effect.sync(() => state.opened++),
            () => Effect.sync(() => state.closed++)
          )
          const opened = state.closed
          const body = Stream.range(1, chunks).pipe(
            Stream.rechunk(1),
            Stream.mapEffect(() =>
              Effect.suspend(() => {
                state.sent++
                return state.closed === opened ? Effect.succeed(chunk) : Effect.die("it was closed while it was read")
              })
            )
          )
          return HttpServerResponse.stream(body, { headers })
        })
      )
      return { origin, state }
    }

    it.effect("are stored in whole", () =>
      Effect.gen(function*() {
        const { origin, state } = makeStreaming(10)
        const { send } = yield* serve(behind(origin, { maxBodyBytes: 10_000 }))
        for (const _ of [1, 2]) assert.strictEqual((yield* send("/page")).body.length, 10_000)
        assert.deepStrictEqual(state, { opened: 1, closed: 1, sent: 10 })
      }))

    it.effect("are sent on as they come where they are larger, and not stored, and what they need stays open until then", () =>
      Effect.gen(function*() {
        const { origin, state } = makeStreaming(20)
        const { cache, send } = yield* serve(behind(origin, { maxBodyBytes: 5_500 }))
        for (const n of [1, 2]) {
          const reply = yield* send("/page")
          assert.strictEqual(reply.body, "a".repeat(20_000))
          assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=miss; fwd-status=200; detail=response")
          assert.deepStrictEqual(state, { opened: n, closed: n, sent: 20 * n })
        }
        assert.strictEqual((yield* cache.counts).Stored, 0)
      }))

    it.effect("are not read at all before they are sent on where they may not be stored", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<Uint8Array>()
        const origin = makeOrigin(() =>
          Effect.succeed(
            HttpServerResponse.stream(Stream.concat(Stream.make(chunk), Stream.fromEffect(Deferred.await(gate))), {
              headers: { "cache-control": "no-store" }
            })
          )
        )
        const cache = yield* makeCache()
        const cached = HttpRouter.toWebHandler(Layer.provideMerge(behind(origin), cache.layer), { disableLogger: true })
        yield* Effect.addFinalizer(() => Effect.promise(cached.dispose))
        const handler = cached.handler as (request: Request) => Promise<Response>
        const response = yield* Effect.promise(() => handler(new Request("http://localhost/page")))
        const reader = response.body!.getReader()
        assert.strictEqual((yield* Effect.promise(() => reader.read())).value?.length, 1000)
        yield* Deferred.succeed(gate, chunk)
        assert.strictEqual((yield* Effect.promise(() => reader.read())).value?.length, 1000)
        assert.isTrue((yield* Effect.promise(() => reader.read())).done)
      }))

    it.effect.each<readonly [string, HttpServerResponse.Options, Fields, "stored" | "not"]>([
      ["shorter than its length", { contentLength: 1001 }, {}, "not"],
      ["shorter than its field says", {}, { "content-length": "1001" }, "not"],
      ["longer than its length", { contentLength: 999 }, {}, "not"],
      ["as long as its length", { contentLength: 1000 }, {}, "stored"],
      ["decoded by who has read it", {}, { "content-length": "99", "content-encoding": "gzip" }, "stored"]
    ])("are stored only where they are complete: %s", ([, options, headers, ends]) =>
      Effect.gen(function*() {
        const origin = makeOrigin(() =>
          Effect.succeed(
            HttpServerResponse.stream(Stream.make(chunk), { ...options, headers: { ...fresh, ...headers } })
          )
        )
        const { cache, send } = yield* serve(behind(origin))
        for (const _ of [1, 2]) yield* Effect.exit(send("/page"))
        assert.strictEqual((yield* cache.counts).Stored, ends === "stored" ? 1 : 0)
        assert.strictEqual(origin.asked.length, ends === "stored" ? 1 : 2)
      }))

    it.effect("are sent on as they come after five seconds, and not stored", () =>
      Effect.gen(function*() {
        const clock = Layer.succeed(Clock.Clock)(yield* Clock.Clock)
        const waiting = yield* Queue.unbounded<Deferred.Deferred<Uint8Array>>()
        const origin = makeOrigin(() =>
          Effect.succeed(
            HttpServerResponse.stream(
              Stream.concat(
                Stream.make(chunk),
                Stream.fromEffectRepeat(Effect.suspend(() => {
                  const gate = Deferred.makeUnsafe<Uint8Array>()
                  Queue.offerUnsafe(waiting, gate)
                  return Deferred.await(gate)
                }))
              ).pipe(Stream.take(4)),
              { headers: fresh }
            )
          )
        )
        const cache = yield* makeCache()
        const web = HttpRouter.toWebHandler(Layer.provideMerge(behind(origin), Layer.merge(cache.layer, clock)), {
          disableLogger: true
        })
        yield* Effect.addFinalizer(() => Effect.promise(web.dispose))
        const handler = web.handler as (request: Request) => Promise<Response>
        const answering = yield* Effect.forkChild(
          Effect.promise(() => handler(new Request("http://localhost/page"))),
          { startImmediately: true }
        )
        const first = yield* Queue.take(waiting)
        yield* TestClock.adjust("5 seconds")
        const reader = (yield* Fiber.join(answering)).body!.getReader()
        const read = Effect.promise(() => reader.read())
        assert.strictEqual((yield* read).value?.length, 1000)
        yield* Deferred.succeed(first, new Uint8Array(1))
        assert.strictEqual((yield* read).value?.length, 1)
        for (const size of [2, 3]) {
          const next = yield* Effect.forkChild(read, { startImmediately: true })
          yield* Deferred.succeed(yield* Queue.take(waiting), new Uint8Array(size))
          assert.strictEqual((yield* Fiber.join(next)).value?.length, size)
        }
        assert.isTrue((yield* read).done)
        assert.strictEqual((yield* cache.cache.counts).Stored, 0)
      }))

    it.effect("that break off are never stored, and something stale is better", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers(fresh))
        const { send } = yield* serve(behind(origin))
        yield* send("/page")
        origin.answer = () =>
          Effect.succeed(
            HttpServerResponse.stream(Stream.concat(Stream.make(chunk), Stream.fail("broken off")), { headers: fresh })
          )
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* bodyOf(send, "/page"), "answer 1")
        assert.strictEqual((yield* send("/other")).status, 500)
        origin.answer = answers(fresh)
        assert.strictEqual(yield* bodyOf(send, "/other"), "answer 4")
      }))
  })

  describe("the Cache-Control of a request", () => {
    it.effect("does not count by default", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers(fresh))
        const { send } = yield* serve(behind(origin))
        yield* send("/page")
        for (const control of ["no-cache", "no-store", "max-age=0", "only-if-cached"]) {
          assert.strictEqual(yield* bodyOf(send, "/page", { headers: { "cache-control": control } }), "answer 1")
        }
        const other = yield* send("/other", { headers: { "cache-control": "only-if-cached" } })
        assert.strictEqual(other.status, 200)
      }))

    it.effect("counts where the handler's options say so", () =>
      Effect.gen(function*() {
        const origin = makeOrigin(answers(fresh))
        const { send } = yield* serve(behind(origin, { http: { requestCacheControl: "obey" } }))
        const ask = (control: string, path = "/page") => send(path, { headers: { "cache-control": control } })
        yield* send("/page")
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* ask("max-age=20")).body, "answer 1")
        assert.strictEqual((yield* ask("min-fresh=40")).body, "answer 1")
        assert.strictEqual((yield* ask("only-if-cached")).body, "answer 1")
        assert.strictEqual((yield* ask("only-if-cached", "/other")).status, 504)
        assert.strictEqual((yield* ask("only-if-cached, max-age=19")).status, 504)
        for (
          const [path, control] of [["/other", "only-if-cached"], ["/page", "only-if-cached, max-age=19"]] as const
        ) {
          const head = yield* send(path, { method: "HEAD", headers: { "cache-control": control } })
          assert.strictEqual(head.status, 504)
        }
        assert.strictEqual(origin.asked.length, 1)
        assert.strictEqual((yield* ask("max-age=19")).body, "answer 2")
        assert.strictEqual((yield* ask("no-cache")).body, "answer 3")
        assert.strictEqual((yield* ask("no-store", "/other")).body, "answer 4")
        assert.strictEqual((yield* ask("max-age=60", "/other")).body, "answer 5")
        assert.strictEqual((yield* ask("max-age=60")).body, "answer 3")
      }))
  })

  it.effect("says what caches before it did, and its key where it is asked to", () =>
    Effect.gen(function*() {
      const origin = makeOrigin(answers({ ...fresh, "cache-status": "near; hit" }))
      const { send } = yield* serve(behind(origin, { http: { cacheStatusKey: true } }))
      yield* send("/page")
      const { cacheStatus } = yield* send("/page")
      assert.strictEqual(
        cacheStatus,
        "near; hit, effect-cached; hit; ttl=60; key=\"rfc9111%09http://localhost/page%09[]\""
      )
    }))

  it.effect("ends with the tags that its handler adds", () =>
    Effect.gen(function*() {
      const origin = makeOrigin((request, n) => Effect.andThen(addDeps("pages"), answers(fresh)(request, n)))
      const { cache, send } = yield* serve(behind(origin))
      yield* send("/page")
      yield* cache.invalidate(["pages"])
      assert.strictEqual(yield* bodyOf(send, "/page"), "answer 2")
    }))

  it.effect("keeps handlers of different names apart, and shares between those of one", () =>
    Effect.gen(function*() {
      const origin = makeOrigin(answers(fresh))
      const cache = yield* makeCache()
      const one = yield* serve(behind(origin), cache)
      const same = yield* serve(behind(origin), cache)
      const other = yield* serve(behind(origin, { name: "other" }), cache)
      assert.strictEqual(yield* bodyOf(one.send, "/page"), "answer 1")
      assert.strictEqual(yield* bodyOf(same.send, "/page"), "answer 1")
      assert.strictEqual(yield* bodyOf(other.send, "/page"), "answer 2")
    }))

  it.effect.each<readonly [HttpCached.SharedOptions, string]>([
    [{ maxBodyBytes: 0 }, "maxBodyBytes"],
    [{ maxVariants: 1.5 }, "maxVariants"],
    [{ keep: -1 }, "keep"],
    [{ policy: { staleIfError: -1 } }, "staleIfError"]
  ])("fails each request where its options cannot be used: %j", ([options, name]) =>
    Effect.gen(function*() {
      const { layer } = yield* makeCache()
      const request = HttpServerRequest.fromWeb(new Request("http://localhost/page"))
      const exit = yield* HttpCached.rfc9111(Effect.die("asked"), options).pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, request),
        Effect.provide(layer),
        Effect.flip,
        Effect.exit
      )
      assert.isTrue(Exit.isSuccess(exit))
      const error = Exit.isSuccess(exit) ? exit.value : undefined
      assert.instanceOf(error, CacheError.CacheError)
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.include(error.message, name)
    }))
})
