import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Schema } from "effect"
import { cached, type CachePolicy, doNotStore, setLifetime } from "effect-cached"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { again, expired, hit, makeCache, miss, type Send, serve } from "./http.ts"
import { get } from "./httpReaders.ts"

/** A handler that counts, and whose response has these headers. */
const counted = (headers: Readonly<Record<string, string>>, status = 200) => {
  const handler = {
    executions: 0,
    status,
    run: Effect.sync(() => HttpServerResponse.text(`${++handler.executions}`, { headers, status: handler.status }))
  } as { executions: number; status: number; readonly run: Effect.Effect<HttpServerResponse.HttpServerResponse> }
  return handler
}

const statusOf = (send: Send) => Effect.map(send("/page"), (reply) => reply.cacheStatus)

/** Whether the response of a handler is fresh after so many seconds, and not a second later. */
const livesFor = Effect.fnUntraced(function*(
  headers: Readonly<Record<string, string | number>>,
  seconds: number,
  policy?: CachePolicy.CachePolicy
) {
  const now = yield* Clock.currentTimeMillis
  const dated = Object.entries(headers).map(([name, value]) =>
    [name, typeof value === "number" ? new Date(now + value * 1000).toUTCString() : value] as const
  )
  const handler = counted(Object.fromEntries(dated))
  const { send } = yield* serve(get("/page", cached(handler.run, { policy })))
  assert.strictEqual(yield* statusOf(send), miss)
  yield* TestClock.adjust(seconds * 1000 - 1)
  assert.match((yield* statusOf(send))!, /^effect-cached; hit; ttl=\d+$/)
  yield* TestClock.adjust(1)
  assert.strictEqual((yield* send("/page")).body, "2")
})

describe("what a response says of its lifetime", () => {
  it.effect.each(
    [
      [{ "cache-control": "max-age=20" }, 20],
      [{ "cache-control": "Max-Age=20, S-MaxAge=10" }, 10],
      [{ "cache-control": "s-maxage=20, max-age=10" }, 20],
      // Numbers are dates, in seconds from now.
      [{ "cache-control": "max-age=20", expires: 10 }, 20],
      [{ expires: 10 }, 10],
      [{ expires: 70, date: 60 }, 10],
      [{ expires: 10, date: -5 }, 10],
      [{ "cache-control": "max-age=20", date: -5 }, 15],
      // How old it is already counts.
      [{ "cache-control": "max-age=20", age: "5" }, 15],
      [{ "cache-control": "max-age=20", "cdn-cache-control": "max-age=5" }, 20]
    ] as const
  )("counts before what the policy says: %j", ([headers, seconds]) =>
    Effect.gen(function*() {
      yield* livesFor(headers, seconds)
      yield* livesFor(headers, seconds, { timeToLive: "7 seconds" })
      yield* livesFor(headers, seconds, { timeToLive: () => "7 seconds" })
    }))

  it.effect("is left to the policy where it says nothing", () =>
    Effect.gen(function*() {
      yield* livesFor({ "cache-control": "public" }, 7, { timeToLive: "7 seconds" })
      yield* livesFor({}, 7, { timeToLive: (exit) => exit._tag === "Success" ? "7 seconds" : 0 })
    }))

  it.effect("is left to the defaults of the cache where the definition says nothing either", () =>
    Effect.gen(function*() {
      const cache = yield* makeCache({ policy: { timeToLive: "7 seconds", staleWhileRevalidate: "3 seconds" } })
      const { send } = yield* serve(get("/page", cached(counted({}).run)), cache)
      assert.strictEqual(yield* statusOf(send), miss)
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual(yield* statusOf(send), `${hit}; ttl=-1; detail=revalidating`)
    }))

  it.effect("can be set while it is made", () =>
    Effect.gen(function*() {
      const run = Effect.as(setLifetime({ timeToLive: "5 seconds" }), HttpServerResponse.text("x"))
      const { send } = yield* serve(get("/page", cached(run)))
      assert.strictEqual(yield* statusOf(send), miss)
      yield* TestClock.adjust(4999)
      assert.strictEqual(yield* statusOf(send), `${hit}; ttl=1`)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* statusOf(send), expired)
    }))

  it.effect.each([
    { "cache-control": "max-age=0" },
    { "cache-control": "s-maxage=0, max-age=60" },
    { "cache-control": "max-age=tomorrow" },
    { "cache-control": "max-age=20", age: "20" },
    { expires: "0" },
    { expires: "Thu, 01 Jan 1970 00:00:00 GMT" }
  ])("can be that it is over already: %j", (headers) =>
    Effect.gen(function*() {
      const { send } = yield* serve(get("/page", cached(counted(headers).run, { timeToLive: "1 minute" })))
      for (const body of ["1", "2"]) {
        const reply = yield* send("/page")
        assert.strictEqual(reply.body, body)
        assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=miss; detail=no-lifetime")
      }
    }))

  it.effect("is told in its Age, from the first answer on", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(get("/page", cached(counted({ "cache-control": "max-age=20", age: "5" }).run)))
      const first = yield* send("/page")
      assert.strictEqual(first.headers["age"], "5")
      assert.strictEqual(first.cacheStatus, miss)
      yield* TestClock.adjust("3 seconds")
      const second = yield* send("/page")
      assert.strictEqual(second.headers["age"], "8")
      assert.strictEqual(second.cacheStatus, `${hit}; ttl=12`)
    }))

  it.effect("lets other statuses be stored than those that are cacheable by default", () =>
    Effect.gen(function*() {
      for (const status of [302, 307, 403]) {
        const { send } = yield* serve(get("/page", cached(counted({ "cache-control": "max-age=60" }, status).run)))
        assert.strictEqual(yield* statusOf(send), miss)
        const reply = yield* send("/page")
        assert.strictEqual(reply.status, status)
        assert.strictEqual(reply.cacheStatus, `${hit}; ttl=60`)
      }
      for (const status of [206, 304]) {
        const { send } = yield* serve(get("/page", cached(counted({ "cache-control": "max-age=60" }, status).run)))
        for (const _ of [1, 2]) {
          assert.strictEqual(yield* statusOf(send), "effect-cached; fwd=miss; detail=response")
        }
      }
    }))
})

describe("what a response says of the time after its end", () => {
  const both: CachePolicy.CachePolicy = {
    timeToLive: "10 seconds",
    staleWhileRevalidate: "1 minute",
    staleIfError: "1 minute"
  }

  it.effect.each(["stale-while-revalidate=5", "s-maxage=10, stale-while-revalidate=5"])(
    "counts before what the policy says, while it is computed anew: %s",
    (control) =>
      Effect.gen(function*() {
        for (const policy of [{}, { ...both, staleIfError: 0 }]) {
          const handler = counted({ "cache-control": `max-age=10, ${control}` })
          const { next, send } = yield* serve(get("/page", cached(handler.run, { policy })))
          yield* send("/page")
          yield* next("Stored")
          yield* TestClock.adjust(14_999)
          assert.strictEqual(yield* statusOf(send), `${hit}; ttl=-4; detail=revalidating`)
          yield* next("Stored")
          yield* TestClock.adjust("15 seconds")
          const reply = yield* send("/page")
          assert.strictEqual(reply.cacheStatus, expired)
          assert.strictEqual(reply.body, "3")
        }
      })
  )

  it.effect("counts before what the policy says, where computing it anew fails", () =>
    Effect.gen(function*() {
      for (const policy of [{}, { ...both, staleWhileRevalidate: 0 }]) {
        let failing = false
        const run = Effect.suspend(() =>
          failing
            ? Effect.fail("down")
            : Effect.succeed(
              HttpServerResponse.text("x", { headers: { "cache-control": "max-age=10, stale-if-error=5" } })
            )
        )
        const { send } = yield* serve(get("/page", cached(run, { policy })))
        yield* send("/page")
        failing = true
        yield* TestClock.adjust(14_999)
        assert.strictEqual(yield* statusOf(send), "effect-cached; fwd=stale; ttl=-4; detail=error")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual((yield* send("/page")).status, 500)
      }
    }))

  it.effect.each([
    "max-age=10, must-revalidate",
    "max-age=10, proxy-revalidate",
    "s-maxage=10",
    "max-age=10, must-revalidate, stale-while-revalidate=60, stale-if-error=60",
    "max-age=10, stale-while-revalidate=0, stale-if-error=0"
  ])("can be that nothing is served then, whatever the policy says: %s", (control) =>
    Effect.gen(function*() {
      const handler = counted({ "cache-control": control })
      const { send } = yield* serve(get("/page", cached(handler.run, { policy: both })))
      yield* send("/page")
      yield* TestClock.adjust("10 seconds")
      const reply = yield* send("/page")
      assert.strictEqual(reply.body, "2")
      assert.strictEqual(reply.cacheStatus, expired)
    }))

  it.effect.each([500, 502, 503, 504])(
    "lets a response with status %d stand behind what is stale",
    (status) =>
      Effect.gen(function*() {
        const handler = counted({})
        const { send } = yield* serve(
          get("/page", cached(handler.run, { policy: { timeToLive: "10 seconds", staleIfError: "1 minute" } }))
        )
        yield* send("/page")
        handler.status = status
        yield* TestClock.adjust("20 seconds")
        const stale = yield* send("/page")
        assert.strictEqual(stale.status, 200)
        assert.strictEqual(stale.body, "1")
        assert.strictEqual(stale.cacheStatus, "effect-cached; fwd=stale; ttl=-10; detail=error")
        assert.strictEqual(yield* statusOf(send), `${hit}; ttl=-10; detail=back-off`)
        yield* TestClock.adjust("1 hour")
        const failed = yield* send("/page")
        assert.strictEqual(failed.status, status)
        handler.status = 200
        assert.strictEqual((yield* send("/page")).status, 200)
      })
  )

  it.effect.each([404, 410, 403, 501])(
    "takes a response with status %d for an answer",
    (status) =>
      Effect.gen(function*() {
        const handler = counted({})
        const { send } = yield* serve(
          get("/page", cached(handler.run, { policy: { timeToLive: "10 seconds", staleIfError: "1 minute" } }))
        )
        yield* send("/page")
        handler.status = status
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* send("/page")).status, status)
      })
  )

  it.effect("is about time: what was invalidated is never served", () =>
    Effect.gen(function*() {
      const handler = counted({ "cache-control": "max-age=10, stale-while-revalidate=60, stale-if-error=60" })
      const { cache, send } = yield* serve(get("/page", cached(handler.run, ["page"])))
      yield* send("/page")
      yield* cache.invalidate(["page"])
      assert.strictEqual(yield* statusOf(send), again)
      yield* TestClock.adjust("20 seconds")
      yield* cache.invalidate(["page"])
      handler.status = 503
      const reply = yield* send("/page")
      assert.strictEqual(reply.status, 503)
      assert.strictEqual(reply.body, "3")
    }))

  it.effect("is that of each variant: what is computed in the background for one user is for this one", () =>
    Effect.gen(function*() {
      let gate: Deferred.Deferred<void> | undefined
      let round = 0
      const { next, send } = yield* serve(get(
        "/page",
        cached((request) =>
          Effect.gen(function*() {
            const mine = ++round
            if (gate !== undefined) yield* Deferred.await(gate)
            return HttpServerResponse.text(`${mine} ${request.headers["x-user"]}`)
          }), { policy: { timeToLive: "10 seconds", staleWhileRevalidate: "1 minute" } })
      ))
      const as = (user: string) => send("/page", { headers: { "x-user": user } })
      for (const user of ["ada", "bob"]) yield* as(user)
      yield* next("Stored")
      yield* next("Stored")
      yield* TestClock.adjust("20 seconds")
      gate = yield* Deferred.make<void>()
      // Both are computed anew at once, behind what is stale.
      assert.strictEqual((yield* as("bob")).body, "2 bob")
      assert.strictEqual((yield* as("ada")).body, "1 ada")
      yield* Deferred.succeed(gate, undefined)
      yield* next("Stored")
      yield* next("Stored")
      for (const user of ["ada", "bob"]) {
        const reply = yield* as(user)
        assert.strictEqual(reply.cacheStatus, `${hit}; ttl=10`)
        assert.strictEqual(reply.body, user === "bob" ? "3 bob" : "4 ada")
      }
    }))

  it.effect("does not let a failure that comes from one request be served to another one", () =>
    Effect.gen(function*() {
      let reading = false
      const { send } = yield* serve(get(
        "/page",
        cached(
          (request) =>
            Effect.suspend(() =>
              reading && request.headers["x-user"] === "eve"
                ? Effect.fail("not for eve")
                : Effect.succeed(HttpServerResponse.text(reading ? request.headers["x-user"]! : "page"))
            ),
          { policy: { timeToLive: "10 seconds", staleIfError: "1 minute" } }
        )
      ))
      const as = (user: string) => send("/page", { headers: { "x-user": user } })
      assert.strictEqual((yield* as("ada")).body, "page")
      reading = true
      yield* TestClock.adjust("20 seconds")
      // What is stale was computed from nothing in the request: it is for everyone.
      assert.strictEqual((yield* as("eve")).body, "page")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* as("ada")).body, "ada")
      assert.strictEqual((yield* as("eve")).status, 500)
      assert.strictEqual((yield* as("bob")).body, "bob")
    }))
})

describe("the size of a response (scenario 63)", () => {
  it.effect("is bounded: over the bound it is served whole to all who wait, and not stored", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const run = Effect.map(Deferred.await(gate), () => HttpServerResponse.text(`${++executions} `.padEnd(101, "x")))
      const { next, send } = yield* serve(get("/page", cached(run, { maxBodyBytes: 100 })))
      const first = yield* Effect.forkChild(send("/page"), { startImmediately: true })
      yield* next("Miss")
      const second = yield* Effect.forkChild(send("/page"), { startImmediately: true })
      yield* next("Joined")
      yield* Deferred.succeed(gate, undefined)
      const replies = yield* Effect.forEach([first, second], Fiber.join)
      assert.deepStrictEqual(replies.map(({ body }) => body), Array(2).fill("1 ".padEnd(101, "x")))
      assert.deepStrictEqual(replies.map(({ cacheStatus }) => cacheStatus), [
        "effect-cached; fwd=miss; detail=too-large",
        "effect-cached; fwd=miss; collapsed; detail=too-large"
      ])
      assert.strictEqual((yield* send("/page")).body.slice(0, 2), "2 ")
    }))

  it.effect("counts bytes", () =>
    Effect.gen(function*() {
      for (
        const [body, status] of [["é".repeat(50), hit], ["é".repeat(51), "effect-cached; fwd=miss; detail=too-large"]]
      ) {
        const { send } = yield* serve(
          get("/page", cached(Effect.succeed(HttpServerResponse.text(body!)), { maxBodyBytes: 100 }))
        )
        yield* send("/page")
        assert.strictEqual(yield* statusOf(send), status)
      }
    }))

  it.effect("is at most 1 MiB by default", () =>
    Effect.gen(function*() {
      for (
        const [size, status] of [[2 ** 20, hit], [2 ** 20 + 1, "effect-cached; fwd=miss; detail=too-large"]] as const
      ) {
        const body = new Uint8Array(size)
        const { send } = yield* serve(get("/page", cached(Effect.sync(() => HttpServerResponse.uint8Array(body)))))
        yield* send("/page")
        assert.strictEqual(yield* statusOf(send), status)
      }
    }))

  it.effect.each([0, -1, NaN])("cannot be bounded by %s", (maxBodyBytes) =>
    Effect.gen(function*() {
      const { send } = yield* serve(get("/page", cached(counted({}).run, { maxBodyBytes })))
      assert.strictEqual((yield* send("/page")).status, 500)
    }))
})

describe("a handler that does not want to be stored", () => {
  it.effect("is not, and its clients are told to ask", () =>
    Effect.gen(function*() {
      let executions = 0
      const policy: CachePolicy.CachePolicy = { timeToLive: "1 minute" }
      const { send } = yield* serve(get(
        "/page",
        cached(Effect.as(doNotStore, HttpServerResponse.text("x")), { policy, http: { cacheControl: "policy" } })
      ))
      const other = yield* serve(get(
        "/page",
        cached(() => Effect.as(doNotStore, ++executions), {
          success: Schema.Number,
          policy,
          http: { cacheControl: "policy" }
        })
      ))
      for (const server of [send, other.send]) {
        for (const _ of [1, 2]) {
          const reply = yield* server("/page")
          assert.strictEqual(reply.status, 200)
          assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=miss; detail=opt-out")
          assert.strictEqual(reply.headers["cache-control"], "no-cache")
        }
      }
      assert.strictEqual(executions, 2)
    }))
})

class Missing extends Schema.TaggedError<Missing>()("Missing", { id: Schema.String }) {
  [HttpServerRespondable.symbol]() {
    return Effect.succeed(HttpServerResponse.jsonUnsafe({ missing: this.id }, { status: 404 }))
  }
}

describe("a stored failure (scenario 61)", () => {
  it.effect("is the same failure for all who come, until its time is over", () =>
    Effect.gen(function*() {
      let executions = 0
      const { send } = yield* serve(get(
        "/items/:id",
        cached(({ id }) => Effect.suspend(() => Effect.fail(new Missing({ id: `${id} ${++executions}` }))), {
          input: { id: Schema.String },
          success: Schema.Number,
          error: Missing,
          policy: { errorTimeToLive: "10 seconds" }
        })
      ))
      for (const _ of [1, 2, 3]) {
        const reply = yield* send("/items/7", { headers: { "if-none-match": "*" } })
        assert.strictEqual(reply.status, 404)
        assert.strictEqual(reply.body, "{\"missing\":\"7 1\"}")
      }
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* send("/items/7")).body, "{\"missing\":\"7 2\"}")
      assert.strictEqual(executions, 2)
    }))
})

describe("a policy that cannot be used", () => {
  it.effect("is a 500 response, and nothing is computed", () =>
    Effect.gen(function*() {
      const handler = counted({})
      const { send } = yield* serve(get("/page", cached(handler.run, { policy: { staleWhileRevalidate: -1 } })))
      assert.strictEqual((yield* send("/page")).status, 500)
      assert.strictEqual(handler.executions, 0)
    }))
})
