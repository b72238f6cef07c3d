import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Fiber, Layer, Queue, Schema } from "effect"
import { Broadcaster, Cached, cached, type CacheEvent, DependencyGraph, ResultCache, Store } from "effect-cached"
import { FaultyStore } from "effect-cached/testing"
import { HttpRouter } from "effect/http"
import { collapsed, hit, makeCache, miss, type Send, serve } from "./http.ts"

const input = {
  id: Schema.NumberFromString,
  text: Schema.String,
  filters: Schema.optional(Schema.Array(Schema.Struct({ field: Schema.String, min: Schema.Number })))
}

/** A route that has a body in each of the forms in which one can be written. */
const forms = ["QUERY", "POST"].flatMap((method) => {
  const typed = method as "QUERY" | "POST"
  return [
    {
      method,
      form: "Cached.route",
      make: (run: (value: unknown) => Effect.Effect<string>) =>
        Cached.route(typed, "/search/:id", { input, success: Schema.String }, run) as Layer.Layer<never, any, any>
    },
    {
      method,
      form: "cached(handler, definition)",
      make: (run: (value: unknown) => Effect.Effect<string>) =>
        HttpRouter.add(
          typed,
          "/search/:id",
          cached((value: Cached.Input<typeof input>) => run(value), { input, success: Schema.String })
        ) as Layer.Layer<never, any, any>
    }
  ]
})

const echo = () => {
  const executions: Array<unknown> = []
  return {
    executions,
    run: (value: unknown) =>
      Effect.sync(() => {
        executions.push(value)
        return `${executions.length}: ${JSON.stringify(value)}`
      })
  }
}

const post = (send: Send, method: string, body: unknown, path = "/search/7") =>
  send(path, {
    method,
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json" }
  })

describe.each(forms)("the body of a cached $method, by $form", ({ make, method }) => {
  it.effect("is in the key as it was decoded: its form does not count, each value in it does", () =>
    Effect.gen(function*() {
      const { executions, run } = echo()
      const { send } = yield* serve(make(run))
      const first = yield* post(send, method, { text: "a", filters: [{ field: "price", min: 1 }] })
      assert.strictEqual(first.cacheStatus, miss)
      assert.strictEqual(first.status, 200)
      for (
        const same of [
          "{\"filters\":[{\"min\":1,\"field\":\"price\"}],\"text\":\"a\"}",
          " { \"text\" : \"\\u0061\", \"filters\": [ { \"field\": \"price\", \"min\": 1.0 } ] } ",
          "{\"text\":\"a\",\"filters\":[{\"field\":\"price\",\"min\":1}],\"undeclared\":7}"
        ]
      ) {
        const reply = yield* post(send, method, same)
        assert.strictEqual(reply.cacheStatus, hit, same)
        assert.strictEqual(reply.body, first.body)
        assert.strictEqual(reply.headers["etag"], first.headers["etag"])
      }
      const others = [
        { text: "b", filters: [{ field: "price", min: 1 }] },
        { text: "a", filters: [{ field: "price", min: 2 }] },
        { text: "a", filters: [{ field: "size", min: 1 }] },
        { text: "a", filters: [] },
        { text: "a" },
        { text: "a", filters: [{ field: "price", min: 1 }, { field: "price", min: 1 }] },
        { text: "a\",\"filters\":[{\"field\":\"price\",\"min\":1}]" }
      ]
      for (const other of others) assert.strictEqual((yield* post(send, method, other)).cacheStatus, miss)
      assert.strictEqual((yield* post(send, method, others[0], "/search/8")).cacheStatus, miss)
      for (const other of others) assert.strictEqual((yield* post(send, method, other)).cacheStatus, hit)
      assert.strictEqual(executions.length, 2 + others.length)
    }))

  it.effect("comes after the path and the query", () =>
    Effect.gen(function*() {
      const { executions, run } = echo()
      const { send } = yield* serve(make(run))
      yield* post(send, method, { id: "9", text: "of the body" }, "/search/7?text=of%20the%20query")
      assert.deepStrictEqual(executions, [{ id: 7, text: "of the query" }])
    }))

  it.effect.each(["", "{", "[]", "null", "{\"text\":7}", "{\"text\":\"a\",\"filters\":[{\"field\":\"price\"}]}"])(
    "is a 400 where it does not fit, and nothing is computed: %s",
    (body) =>
      Effect.gen(function*() {
        const { executions, run } = echo()
        const { send } = yield* serve(make(run))
        assert.strictEqual((yield* post(send, method, body)).status, 400)
        assert.strictEqual(executions.length, 0)
      })
  )

  it.effect("is that of those who wait for one computation, too", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let executions = 0
      const { next, send } = yield* serve(make(() => Effect.map(Deferred.await(gate), () => `${++executions}`)))
      const ask = (body: string) => Effect.forkChild(post(send, method, body), { startImmediately: true })
      const first = yield* ask("{\"text\":\"a\"}")
      yield* next("Miss")
      const second = yield* ask("{ \"text\": \"a\" }")
      yield* next("Joined")
      const other = yield* ask("{\"text\":\"b\"}")
      yield* next("Miss")
      yield* Deferred.succeed(gate, undefined)
      const replies = yield* Effect.forEach([first, second, other], Fiber.join)
      assert.deepStrictEqual(replies.map(({ cacheStatus }) => cacheStatus), [miss, collapsed, miss])
      assert.strictEqual(replies[0]!.body, replies[1]!.body)
      assert.notStrictEqual(replies[0]!.body, replies[2]!.body)
    }))

  it.effect(
    method === "QUERY"
      ? "is answered 304 where the client has the result, as GET is"
      : "is answered whole, whatever the conditions: they are not about what is stored",
    () =>
      Effect.gen(function*() {
        const { send } = yield* serve(make(echo().run))
        const { headers: { etag = "" } } = yield* post(send, method, { text: "a" })
        const reply = yield* send("/search/7", {
          method,
          body: "{\"text\":\"a\"}",
          headers: { "if-none-match": etag }
        })
        assert.strictEqual(reply.cacheStatus, hit)
        assert.strictEqual(reply.status, method === "QUERY" ? 304 : 200)
      })
  )
})

const modes: ReadonlyArray<FaultyStore.Mode> = ["failing", "dying", "hanging", "slow"]

describe("a cached handler that writes (scenario 66)", () => {
  /** A handler with a side effect, on a cache whose parts can fail. */
  const makeWriter = Effect.fnUntraced(function*(
    definition: { readonly deps?: () => ReadonlyArray<string> } = {},
    meanwhile: FaultyStore.Mode = "healthy"
  ) {
    const clock = Layer.succeed(Clock.Clock)(yield* Clock.Clock)
    const queue = yield* Queue.unbounded<CacheEvent.CacheEvent>()
    const built = yield* Layer.build(
      ResultCache.layer({ storeTimeout: "1 second", onEvent: (event) => Queue.offerUnsafe(queue, event) }).pipe(
        Layer.provideMerge(FaultyStore.layer(Store.layerMemory())),
        Layer.provide([DependencyGraph.layer(), Broadcaster.layerLocal]),
        Layer.provide(clock)
      )
    )
    const cache = Context.get(built, ResultCache.ResultCache)
    const faults = Context.get(built, FaultyStore.FaultyStore)
    const written: Array<string> = []
    const { send } = yield* serve(
      Cached.route("POST", "/orders", {
        input: { item: Schema.String },
        success: Schema.Struct({ ordered: Schema.String }),
        ...definition
      }, ({ item }) =>
        Effect.map(faults.become(meanwhile), () => {
          written.push(item)
          return { ordered: item }
        })),
      {
        cache,
        layer: Layer.succeed(ResultCache.ResultCache)(cache),
        next: Effect.fnUntraced(function*(tag) {
          while ((yield* Queue.take(queue))._tag !== tag);
        })
      }
    )
    return {
      written,
      faults,
      order: (item: string) => send("/orders", { method: "POST", body: JSON.stringify({ item }) })
    }
  })

  it.effect.each(modes.filter((mode) => mode === "failing" || mode === "dying"))(
    "answers success once, where the store is %s",
    (mode) =>
      Effect.gen(function*() {
        const { faults, order, written } = yield* makeWriter()
        yield* faults.become(mode)
        const reply = yield* order("book")
        assert.strictEqual(reply.status, 200)
        assert.strictEqual(reply.body, "{\"ordered\":\"book\"}")
        assert.deepStrictEqual(written, ["book"])
      })
  )

  it.effect.each(modes)(
    "answers success once, where the store is %s by the time it was done",
    (mode) =>
      Effect.gen(function*() {
        const { order, written } = yield* makeWriter({}, mode)
        const reply = yield* order("book")
        assert.strictEqual(reply.status, 200)
        assert.strictEqual(reply.body, "{\"ordered\":\"book\"}")
        assert.deepStrictEqual(written, ["book"])
      })
  )

  it.effect.each(
    [
      ["a tag is malformed", () => ["order::7"]],
      ["the function for the tags throws", () => {
        throw new Error("no tags")
      }]
    ] as const
  )("answers success once, where %s", ([, deps]) =>
    Effect.gen(function*() {
      const { order, written } = yield* makeWriter({ deps })
      const reply = yield* order("book")
      assert.strictEqual(reply.status, 200)
      assert.strictEqual(reply.body, "{\"ordered\":\"book\"}")
      assert.strictEqual(reply.cacheStatus, "effect-cached; fwd=miss; detail=tag")
      assert.deepStrictEqual(written, ["book"])
    }))

  it.effect("answers success once, where the result is too large to be stored, or has no lifetime", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const routes = Layer.merge(
        Cached.route("POST", "/large", { success: Schema.String }, () =>
          Effect.sync(() => {
            written.push("large")
            return "x".repeat(10_000)
          })),
        Cached.route(
          "POST",
          "/short",
          { success: Schema.String, timeToLive: () => "not a duration" as "1 second" },
          () =>
            Effect.sync(() => {
              written.push("short")
              return "x"
            })
        )
      )
      const { send } = yield* serve(routes, yield* makeCache({ maxBytes: 5000 }))
      const large = yield* send("/large", { method: "POST" })
      assert.strictEqual(large.status, 200)
      assert.strictEqual(large.cacheStatus, "effect-cached; fwd=miss; detail=too-large")
      const short = yield* send("/short", { method: "POST" })
      assert.strictEqual(short.status, 200)
      assert.strictEqual(short.cacheStatus, "effect-cached; fwd=miss; detail=policy")
      assert.deepStrictEqual(written, ["large", "short"])
    }))
})
