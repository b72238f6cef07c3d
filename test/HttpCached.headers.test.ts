import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, type Layer, Schema } from "effect"
import { Cached, cached, type CachePolicy, type HttpPolicy } from "effect-cached"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { again, bypass, collapsed, expired, hit, makeCache, miss, type Reply, type Send, serve } from "./http.ts"
import { get } from "./httpReaders.ts"

interface Definition {
  readonly policy?: CachePolicy.CachePolicy | undefined
  readonly http?: HttpPolicy.HttpPolicy | undefined
  readonly deps?: (() => ReadonlyArray<string>) | undefined
}

/** The same route in all forms. Its body is what the computation gives, as JSON. */
const forms: ReadonlyArray<{
  readonly form: string
  readonly make: (compute: Effect.Effect<number, unknown>, definition: Definition) => Layer.Layer<never, any, any>
}> = [
  {
    form: "Cached.route",
    make: (compute, definition) =>
      Cached.route("GET", "/page", { success: Schema.Number, ...definition }, () => compute)
  },
  {
    form: "cached(fn)",
    make: (compute, { http, ...definition }) =>
      HttpRouter.use((router) =>
        Effect.gen(function*() {
          const fn = yield* Cached.make("page", { success: Schema.Number, ...definition }, () => compute)
          yield* router.add("GET", "/page", cached(fn, { http }) as Effect.Effect<never>)
        })
      )
  },
  {
    form: "cached(handler, definition)",
    make: (compute, definition) => get("/page", cached(() => compute, { success: Schema.Number, ...definition }))
  },
  {
    form: "cached(handler, deps)",
    make: (compute, definition) =>
      get("/page", cached(Effect.map(compute, (value) => HttpServerResponse.jsonUnsafe(value)), definition))
  }
]

/** What a client is told about caching. */
const told = ({ body, headers, status }: Reply) => ({
  status,
  body,
  cacheStatus: headers["cache-status"],
  cacheControl: headers["cache-control"],
  age: headers["age"]
})

/** A source that counts, can be slow and can fail. */
const makeSource = () => {
  const state = { value: 0, failing: false, gate: undefined as Deferred.Deferred<void> | undefined }
  return Object.assign(state, {
    read: Effect.suspend(() =>
      Effect.andThen(
        state.gate === undefined ? Effect.void : Deferred.await(state.gate),
        Effect.suspend(() => state.failing ? Effect.fail("the source is down") : Effect.succeed(++state.value))
      )
    )
  })
}

const policy: CachePolicy.CachePolicy = {
  timeToLive: "60 seconds",
  staleWhileRevalidate: "30 seconds",
  staleIfError: { upTo: "5 minutes", backOff: "5 seconds" }
}
const control = "max-age=60, stale-while-revalidate=30, stale-if-error=300"

describe.each(forms)("the headers of $form (scenario 64)", ({ make }) => {
  it.effect("are right on a miss, a hit, after the end while it is computed anew, and then again", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const { next, send } = yield* serve(make(source.read, { policy, http: { cacheControl: "policy" } }))
      const ok = { status: 200, body: "1", cacheControl: control }
      assert.deepStrictEqual(told(yield* send("/page")), { ...ok, cacheStatus: miss, age: undefined })
      assert.deepStrictEqual(told(yield* send("/page")), { ...ok, cacheStatus: `${hit}; ttl=60`, age: "0" })
      yield* TestClock.adjust("10500 millis")
      assert.deepStrictEqual(told(yield* send("/page")), { ...ok, cacheStatus: `${hit}; ttl=50`, age: "10" })
      yield* TestClock.adjust("60 seconds")
      source.gate = yield* Deferred.make<void>()
      for (const _ of [1, 2]) {
        assert.deepStrictEqual(told(yield* send("/page")), {
          ...ok,
          cacheControl: "no-cache",
          cacheStatus: `${hit}; ttl=-10; detail=revalidating`,
          age: "70"
        })
      }
      yield* next("Stale")
      yield* Deferred.succeed(source.gate, undefined)
      yield* next("Stored")
      assert.deepStrictEqual(told(yield* send("/page")), {
        ...ok,
        body: "2",
        cacheStatus: `${hit}; ttl=60`,
        age: "0"
      })
      assert.strictEqual(source.value, 2)
    }))

  it.effect("are right where computing anew fails, and is not tried again for a while", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const { send } = yield* serve(make(source.read, { policy, http: { cacheControl: "policy" } }))
      yield* send("/page")
      yield* TestClock.adjust("100 seconds")
      source.failing = true
      const stale = { status: 200, body: "1", cacheControl: "no-cache" }
      assert.deepStrictEqual(told(yield* send("/page")), {
        ...stale,
        cacheStatus: "effect-cached; fwd=stale; ttl=-40; detail=error",
        age: "100"
      })
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(told(yield* send("/page")), {
        ...stale,
        cacheStatus: `${hit}; ttl=-44; detail=back-off`,
        age: "104"
      })
      yield* TestClock.adjust("1 second")
      source.failing = false
      assert.deepStrictEqual(told(yield* send("/page")), {
        status: 200,
        body: "2",
        cacheControl: control,
        cacheStatus: expired,
        age: undefined
      })
    }))

  it.effect("are right where computing anew is slow", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const { next, send } = yield* serve(
        make(source.read, {
          policy: { timeToLive: "60 seconds", staleIfError: "5 minutes", softTimeout: "1 second" },
          http: { cacheControl: "policy" }
        })
      )
      yield* send("/page")
      yield* TestClock.adjust("100 seconds")
      source.gate = yield* Deferred.make<void>()
      const asking = yield* Effect.forkChild(send("/page"), { startImmediately: true })
      yield* next("Miss")
      yield* next("Miss")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(told(yield* Fiber.join(asking)), {
        status: 200,
        body: "1",
        cacheControl: "no-cache",
        cacheStatus: "effect-cached; fwd=stale; ttl=-41; detail=slow",
        age: "101"
      })
      yield* Deferred.succeed(source.gate, undefined)
      yield* next("Stored")
      assert.strictEqual((yield* send("/page")).cacheStatus, `${hit}; ttl=60`)
    }))

  it.effect("are right for those who joined, and after an invalidation", () =>
    Effect.gen(function*() {
      const source = makeSource()
      source.gate = yield* Deferred.make<void>()
      const { cache, next, send } = yield* serve(
        make(source.read, { policy, deps: () => ["page"], http: { cacheControl: "policy" } })
      )
      const first = yield* Effect.forkChild(send("/page"), { startImmediately: true })
      yield* next("Miss")
      const second = yield* Effect.forkChild(send("/page"), { startImmediately: true })
      yield* next("Joined")
      yield* Deferred.succeed(source.gate, undefined)
      const ok = { status: 200, body: "1", cacheControl: control, age: undefined }
      assert.deepStrictEqual(told(yield* Fiber.join(first)), { ...ok, cacheStatus: miss })
      assert.deepStrictEqual(told(yield* Fiber.join(second)), { ...ok, cacheStatus: collapsed })
      yield* cache.invalidate(["page"])
      assert.deepStrictEqual(told(yield* send("/page")), { ...ok, body: "2", cacheStatus: again })
    }))

  it.effect("let nobody use what is not stored", () =>
    Effect.gen(function*() {
      const cache = yield* makeCache({ maxBytes: 150 })
      const { send } = yield* serve(make(Effect.succeed(1), { policy, http: { cacheControl: "policy" } }), cache)
      assert.deepStrictEqual(told(yield* send("/page")), {
        status: 200,
        body: "1",
        cacheControl: "no-cache",
        cacheStatus: "effect-cached; fwd=miss; detail=too-large",
        age: undefined
      })
    }))

  it.effect("let nobody use what has no end without asking, and say so by default of all", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(
        make(Effect.succeed(1), { http: { cacheControl: "policy", cdnCacheControl: "policy" } })
      )
      const other = yield* serve(make(Effect.succeed(1), { policy }))
      for (const [cacheStatus, ttl] of [[miss, ""], [hit, "; ttl=60"]] as const) {
        const reply = yield* send("/page")
        assert.strictEqual(reply.cacheStatus, cacheStatus)
        assert.strictEqual(reply.headers["cache-control"], "no-cache")
        assert.strictEqual(reply.headers["cdn-cache-control"], "no-cache")
        const plain = yield* other.send("/page")
        assert.strictEqual(plain.cacheStatus, cacheStatus === hit ? `${hit}${ttl}` : miss)
        assert.strictEqual(plain.headers["cache-control"], "no-cache")
        for (const header of ["cdn-cache-control", "cache-tag", "surrogate-key", "xkey", "cache-groups"]) {
          assert.isUndefined(plain.headers[header])
        }
      }
    }))

  it.effect("tell CDNs alone where the route says so, and after the end that they must ask", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const { send } = yield* serve(make(source.read, { policy, http: { cdnCacheControl: "policy" } }))
      for (const _ of [miss, hit]) {
        const { headers } = yield* send("/page")
        assert.strictEqual(headers["cdn-cache-control"], control)
        assert.strictEqual(headers["cache-control"], "no-cache")
      }
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual((yield* send("/page")).headers["cdn-cache-control"], "no-cache")
    }))

  it.effect.each(
    [
      ["Cache-Tag", "page,user,page:7,user:7,user:7:orders"],
      ["Surrogate-Key", "page user page:7 user:7 user:7:orders"],
      ["xkey", "page user page:7 user:7 user:7:orders"],
      ["Cache-Groups", "\"page\", \"user\", \"page:7\", \"user:7\", \"user:7:orders\""]
    ] as const
  )("have the tags and their ancestors in %s, on every answer", ([tagHeader, value]) =>
    Effect.gen(function*() {
      const source = makeSource()
      const { send } = yield* serve(
        make(source.read, { policy, deps: () => ["user:7:orders", "page:7"], http: { tagHeader } })
      )
      const name = tagHeader.toLowerCase()
      const first = yield* send("/page")
      assert.strictEqual(first.headers[name], value)
      assert.strictEqual((yield* send("/page")).headers[name], value)
      const conditional = yield* send("/page", { headers: { "if-none-match": first.headers["etag"]! } })
      assert.strictEqual(conditional.status, 304)
      assert.strictEqual(conditional.headers[name], value)
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual((yield* send("/page")).headers[name], value)
    }))

  it.effect("have the key where the route says so", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(make(Effect.succeed(1), { http: { cacheStatusKey: true } }))
      for (const status of [miss, hit]) {
        const { cacheStatus } = yield* send("/page")
        assert.match(cacheStatus!, new RegExp(`^${status}; key="(GET /)?page%09[^"]*"$`))
      }
    }))

  it.effect("have a strong validator, a weak one, or none", () =>
    Effect.gen(function*() {
      const etags: Record<string, string | undefined> = {}
      for (const etag of ["strong", "weak", false] as const) {
        const { send } = yield* serve(make(Effect.succeed(1), { http: { etag } }))
        for (const status of [miss, hit]) {
          const reply = yield* send("/page")
          assert.strictEqual(reply.cacheStatus, status)
          etags[String(etag)] = reply.headers["etag"]
          const named = yield* send("/page", { headers: { "if-none-match": reply.headers["etag"] ?? "\"x\"" } })
          assert.strictEqual(named.status, etag === false ? 200 : 304)
        }
      }
      assert.match(etags["strong"]!, /^"[\w+/-]+"$/)
      assert.strictEqual(etags["weak"], `W/${etags["strong"]}`)
      assert.isUndefined(etags["false"])
    }))

  it.effect("of a 304 are those of the 200 but for what describes the body, computed or not", () =>
    Effect.gen(function*() {
      const source = makeSource()
      const { send } = yield* serve(make(Effect.as(source.read, 7), { policy, http: { cacheControl: "policy" } }))
      const { headers: { etag = "" } } = yield* send("/page")
      const conditional = { headers: { "if-none-match": etag } }
      for (const method of ["GET", "HEAD"]) {
        assert.deepStrictEqual(told(yield* send("/page", { ...conditional, method })), {
          status: 304,
          body: "",
          cacheControl: control,
          cacheStatus: `${hit}; ttl=60`,
          age: "0"
        })
      }
      yield* TestClock.adjust("70 seconds")
      const stale = yield* send("/page", conditional)
      assert.deepStrictEqual(told(stale), {
        status: 304,
        body: "",
        cacheControl: "no-cache",
        cacheStatus: `${hit}; ttl=-10; detail=revalidating`,
        age: "70"
      })
      assert.strictEqual(stale.headers["etag"], etag)
      assert.isUndefined(stale.headers["content-type"])
      assert.isUndefined(stale.headers["content-length"])
    }))
})

describe("what belongs to one user (scenario 64)", () => {
  const http: HttpPolicy.HttpPolicy = { cacheControl: "policy", cdnCacheControl: "policy" }
  const user = HttpServerRequest.HttpServerRequest.useSync(({ headers }) => headers["x-user"] ?? null)
  const private_ = "private, max-age=60, stale-while-revalidate=30, stale-if-error=300"

  it.effect("is private, and CDNs are told nothing else", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(get(
        "/page",
        cached(() => Effect.succeed(1), {
          success: Schema.Number,
          policy,
          http,
          varyBy: user
        })
      ))
      for (const cacheStatus of [miss, `${hit}; ttl=60`]) {
        const reply = yield* send("/page", { headers: { "x-user": "ada" } })
        assert.strictEqual(reply.cacheStatus, cacheStatus)
        assert.strictEqual(reply.headers["cache-control"], private_)
        assert.isUndefined(reply.headers["cdn-cache-control"])
      }
      yield* TestClock.adjust("70 seconds")
      const stale = yield* send("/page", { headers: { "x-user": "ada" } })
      assert.strictEqual(stale.headers["cache-control"], "private, no-cache")
    }))

  it.effect.each(["authorization", "cookie"])(
    "is what depends on %s, whatever the route says of it",
    (name) =>
      Effect.gen(function*() {
        const read = HttpServerRequest.HttpServerRequest.useSync(({ headers }) =>
          HttpServerResponse.text(headers[name]!)
        )
        const { send } = yield* serve(get("/page", cached(read, { policy, http, varyBy: "nothing" })))
        for (const cacheStatus of [miss, `${hit}; ttl=60`]) {
          const reply = yield* send("/page", { headers: { [name]: "ada=1" } })
          assert.strictEqual(reply.cacheStatus, cacheStatus)
          assert.strictEqual(reply.headers["vary"], name)
          assert.strictEqual(reply.headers["cache-control"], private_)
          assert.isUndefined(reply.headers["cdn-cache-control"])
        }
      })
  )

  it.effect("is an input that comes from such a header", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(
        Cached.route("GET", "/page", {
          input: { token: Schema.String, lang: Schema.String },
          headers: { token: "Authorization", lang: "Accept-Language" },
          success: Schema.String,
          http: { cdnCacheControl: "policy" }
        }, ({ token }) => Effect.succeed(token))
      )
      const reply = yield* send("/page", { headers: { authorization: "ada", "accept-language": "de" } })
      assert.strictEqual(reply.headers["vary"], "authorization, accept-language")
      assert.strictEqual(reply.headers["cache-control"], "private, no-cache")
      assert.isUndefined(reply.headers["cdn-cache-control"])
    }))
})

describe("responses past the cache (scenario 64)", () => {
  it.effect("are as the handler made them, say why, and belong to who has credentials", () =>
    Effect.gen(function*() {
      let executions = 0
      const handler = Effect.sync(() =>
        HttpServerResponse.text(`${++executions}`, { headers: { "cache-control": "max-age=60", age: "7" } })
      )
      const { send } = yield* serve(
        HttpRouter.add("*", "/page", cached(handler, { http: { tagHeader: "xkey" } })) as Layer.Layer<never, any, any>
      )
      const expected = { status: 200, cacheControl: "max-age=60", age: "7" }
      const authorized = { headers: { authorization: "ada" } }
      assert.deepStrictEqual(told(yield* send("/page", authorized)), {
        ...expected,
        cacheControl: "private, max-age=60",
        body: "1",
        cacheStatus: bypass("credentials")
      })
      assert.deepStrictEqual(told(yield* send("/page", { method: "POST" })), {
        ...expected,
        body: "2",
        cacheStatus: "effect-cached; fwd=method"
      })
    }))

  it.effect("of a value belong to who asked", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(
        get("/page", cached(() => Effect.succeed(1), { success: Schema.Number, http: { cacheControl: "policy" } }))
      )
      assert.deepStrictEqual(told(yield* send("/page", { headers: { cookie: "a=b" } })), {
        status: 200,
        body: "1",
        cacheControl: "private, no-cache",
        cacheStatus: bypass("credentials"),
        age: undefined
      })
    }))
})

describe("the headers of a response that is cached whole", () => {
  const send304 = Effect.fnUntraced(function*(send: Send, headers: Record<string, string>) {
    return (yield* send("/page", { headers })).status
  })

  it.effect("make If-Modified-Since count where there is Last-Modified, and no If-None-Match (scenario 62)", () =>
    Effect.gen(function*() {
      const modified = "Sun, 22 Nov 2026 03:00:00 GMT"
      const { send } = yield* serve(
        get("/page", cached(Effect.succeed(HttpServerResponse.text("x", { headers: { "last-modified": modified } }))))
      )
      for (const status of [miss, hit]) {
        const reply = yield* send("/page", { headers: { "if-modified-since": modified } })
        assert.strictEqual(reply.status, 304)
        assert.strictEqual(reply.cacheStatus, status)
        assert.strictEqual(reply.body, "")
      }
      assert.strictEqual(yield* send304(send, { "if-modified-since": "Sun, 22 Nov 2026 03:00:01 GMT" }), 304)
      assert.strictEqual(yield* send304(send, { "if-modified-since": "Sun, 22 Nov 2026 02:59:59 GMT" }), 200)
      assert.strictEqual(yield* send304(send, { "if-modified-since": "yesterday" }), 200)
      assert.strictEqual(yield* send304(send, { "if-modified-since": modified, "if-none-match": "\"x\"" }), 200)
      // What is made for one second of its age is not what those with a condition get, nor the other way round.
      assert.strictEqual((yield* send("/page")).body, "x")
      assert.strictEqual(yield* send304(send, { "if-modified-since": modified }), 304)
      assert.strictEqual((yield* send("/page")).status, 200)
    }))

  it.effect("do not make If-Modified-Since count where there is no Last-Modified", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(get("/page", cached(Effect.succeed(HttpServerResponse.text("x")))))
      for (const _ of [miss, hit]) {
        assert.strictEqual(yield* send304(send, { "if-modified-since": "Sun, 22 Nov 2226 03:00:00 GMT" }), 200)
      }
    }))

  it.effect("keep the handler's validator and what it tells CDNs, and tell what caches before did", () =>
    Effect.gen(function*() {
      const headers = {
        etag: "\"own\"",
        "cdn-cache-control": "max-age=7",
        "cache-status": "Origin; hit"
      }
      const { send } = yield* serve(
        get(
          "/page",
          cached(Effect.succeed(HttpServerResponse.text("x", { headers })), {
            http: { etag: "weak", cdnCacheControl: "policy" }
          })
        )
      )
      for (const status of [miss, hit]) {
        const reply = yield* send("/page")
        assert.strictEqual(reply.headers["etag"], "\"own\"")
        assert.strictEqual(reply.headers["cdn-cache-control"], "max-age=7")
        assert.strictEqual(reply.cacheStatus, `Origin; hit, ${status}`)
      }
    }))
})
