import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Latch, Layer, Redacted, Schema, SchemaTransformation, Stream } from "effect"
import { addDeps, Broadcaster, CacheError, DependencyGraph, ResultCache, Store } from "effect-cached"
import * as HttpApiCached from "effect-cached/HttpApiCached"
import { FaultyBroadcaster } from "effect-cached/testing"
import { FetchHttpClient, HttpEffect, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { bypass, hit, makeCache, miss, type Reply, serve } from "./http.ts"
import { makeRandom } from "./random.ts"

// The two forms in which one endpoint is cached. Types are erased here: typetest/HttpApiCached.tst.ts is about them.
type Form = "handler" | "annotation"
type AnyOptions = HttpApiCached.Options<any, any, any, any>
type AnyHandler = (request: any, varied?: any) => Effect.Effect<any, any, any>

const forms: ReadonlyArray<Form> = ["handler", "annotation"]

interface Case {
  readonly endpoint: HttpApiEndpoint.Top
  readonly run: AnyHandler
  /** Not cached where there are none. */
  readonly options?: AnyOptions | undefined
  /** Middleware that is declared on the endpoint. */
  readonly middleware?: ReadonlyArray<HttpApiMiddleware.AnyService> | undefined
}

const one = (
  endpoint: unknown,
  run: AnyHandler,
  options?: AnyOptions,
  ...middleware: ReadonlyArray<unknown>
): Case => ({
  endpoint: endpoint as HttpApiEndpoint.Top,
  run,
  options,
  middleware: middleware as ReadonlyArray<HttpApiMiddleware.AnyService>
})

const apiOf = (form: Form | "plain", cases: ReadonlyArray<Case>) =>
  HttpApi.make("api").add(
    HttpApiGroup.make("group").add(
      ...(cases.map(({ endpoint, middleware = [], options }) => {
        const declared = form === "annotation" && options !== undefined
          ? HttpApiCached.annotate(options as never)(endpoint) as HttpApiEndpoint.Top
          : endpoint
        return middleware.reduce((all, key) => all.middleware(key as any) as never, declared)
      }) as [HttpApiEndpoint.Top])
    )
  )

const routesOf = (form: Form | "plain", cases: ReadonlyArray<Case>): Layer.Layer<never, any, any> => {
  const api: any = apiOf(form, cases)
  const build = (handlers: any) =>
    cases.reduce(
      (all, { endpoint, options, run }) =>
        all.handle(
          endpoint.identifier,
          form === "handler" && options !== undefined ? HttpApiCached.handler(run as any, options) : run
        ),
      handlers
    )
  const group = form === "handler" ? HttpApiCached.group : HttpApiBuilder.group
  return HttpApiBuilder.layer(api).pipe(
    Layer.provide(group(api, "group" as never, build as never) as Layer.Layer<never, any, any>),
    Layer.provide(HttpApiCached.layer),
    Layer.provide(HttpServer.layerServices)
  )
}

const served = (form: Form | "plain", ...cases: ReadonlyArray<Case>) => serve(routesOf(form, cases))

const number = () => Effect.succeed(1)

class User extends Schema.Class<User>("User")({ id: Schema.Number, name: Schema.String }) {}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.Number }, { httpApiStatus: 404 }) {}
class Down extends Schema.TaggedError<Down>()("Down", {}, { httpApiStatus: 503 }) {}

// A number in a text, whose schema tells how often it was used.
const counting = () => {
  const counts = { decoded: 0, encoded: 0 }
  const schema = Schema.String.pipe(
    Schema.decodeTo(
      Schema.Number,
      SchemaTransformation.transform({
        decode: (text) => {
          counts.decoded++
          return Number(text)
        },
        encode: (value) => {
          counts.encoded++
          return String(value)
        }
      })
    )
  )
  return { counts, schema }
}

const executed = <A>(f: (request: any, varied: any) => A | Effect.Effect<A, any, any>) => {
  const self = {
    executions: 0,
    run: (request: any, varied?: any) =>
      Effect.suspend(() => {
        self.executions++
        const result = f(request, varied)
        return Effect.isEffect(result) ? result : Effect.succeed(result)
      })
  }
  return self
}

const isHit = ({ cacheStatus }: Reply) => cacheStatus?.startsWith(hit) === true
const assertHit = (reply: Reply) => assert.isTrue(isHit(reply), String(reply.cacheStatus))

const representation = ({ body, headers, status }: Reply) => {
  const { age: _, "cache-status": __, ...rest } = headers
  return { body, status, headers: rest }
}

const causeOf = (layer: Layer.Layer<never, any, any>) =>
  Effect.map(
    Effect.exit(Effect.scoped(Effect.flatMap(makeCache(), (cache) =>
      Layer.build(Layer.provide(layer, [cache.layer, HttpRouter.layer]) as Layer.Layer<never, unknown>)))),
    (exit) =>
      Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  )

const problemOf = (form: Form, endpoint: unknown, options: AnyOptions = {}) =>
  causeOf(routesOf(form, [one(endpoint, number, options)]))

const assertDefinitionError = (error: unknown, message: RegExp) => {
  assert.instanceOf(error, CacheError.CacheError)
  assert.strictEqual(error.reason._tag, "DefinitionError")
  assert.match(error.message, message)
}

for (const form of forms) {
  describe(`HttpApiCached, ${form}`, () => {
    it.effect("serves a hit byte for byte as the miss, without decoding the request or encoding the response", () =>
      Effect.gen(function*() {
        const { counts, schema } = counting()
        const handler = executed(({ headers, params, query }) => ({
          id: params.id,
          name: `${headers["x-lang"]} ${query.tag.join("+")}`
        }))
        const { send } = yield* served(
          form,
          one(
            HttpApiEndpoint.get("get", "/users/:id", {
              params: { id: schema },
              query: { tag: Schema.Array(Schema.String) },
              headers: { "x-lang": Schema.String },
              success: Schema.Struct({ id: schema, name: Schema.String })
            }),
            handler.run,
            {}
          )
        )
        const init = { headers: { "x-lang": "de" } }
        const first = yield* send("/users/7?tag=a", init)
        assert.strictEqual(first.cacheStatus, miss)
        assert.strictEqual(first.body, `{"id":"7","name":"de a"}`)
        assert.strictEqual(first.headers["vary"], "x-lang")
        const after = { ...counts }
        for (const _ of [1, 2]) {
          const again = yield* send("/users/7?tag=a", init)
          assertHit(again)
          assert.deepStrictEqual(representation(again), representation(first))
        }
        assert.deepStrictEqual(counts, after)
        assert.strictEqual(handler.executions, 1)
        for (
          const [path, lang] of [["/users/8?tag=a", "de"], ["/users/7?tag=a&tag=b", "de"], [
            "/users/7?tag=a",
            "fr"
          ]] as const
        ) {
          assert.strictEqual((yield* send(path, { headers: { "x-lang": lang } })).cacheStatus, miss)
        }
      }))

    it.effect("gives one entry to all ways to write an input, and none of what is not declared to the handler (scenario 59)", () =>
      Effect.gen(function*() {
        const handler = executed(({ params }) =>
          Effect.map(
            HttpServerRequest.HttpServerRequest,
            ({ headers, url }) => `${params.id} ${url} ${headers["x-other"]}`
          )
        )
        const { send } = yield* served(
          form,
          one(
            HttpApiEndpoint.get("get", "/users/:id", {
              params: { id: Schema.FiniteFromString },
              success: Schema.String
            }),
            handler.run,
            {}
          )
        )
        const first = yield* send("/users/007?utm=1", { headers: { "x-other": "secret" } })
        assert.strictEqual(first.body, `"7 /users/7 undefined"`)
        for (const path of ["/users/7", "/users/007", "/users/7.0?utm=2"]) {
          const reply = yield* send(path)
          assertHit(reply)
          assert.strictEqual(reply.body, first.body)
        }
        assert.strictEqual(handler.executions, 1)
      }))

    it.effect("gives the handler what the key holds, where a schema loses a part of its input", () =>
      Effect.gen(function*() {
        const Minute = Schema.String.pipe(
          Schema.decodeTo(
            Schema.String,
            SchemaTransformation.transform({ decode: (text) => text, encode: (time) => time.slice(0, 5) })
          )
        )
        const handler = executed(({ params }) => params.time)
        const { cache, send } = yield* served(
          form,
          one(
            HttpApiEndpoint.get("get", "/at/:time", { params: { time: Minute }, success: Schema.String }),
            handler.run,
            { deps: ({ params }) => [`at:${params.time.replaceAll(":", "-")}`] }
          )
        )
        for (const time of ["12:30:15", "12:30:59", "12:30"]) {
          assert.strictEqual((yield* send(`/at/${time}`)).body, `"12:30"`)
        }
        assert.strictEqual(handler.executions, 1)
        yield* cache.invalidate(["at:12-30"])
        yield* send("/at/12:30")
        assert.strictEqual(handler.executions, 2)
      }))

    it.effect("keeps the status, the content type and the headers that the schemas say (scenario 62)", () =>
      Effect.gen(function*() {
        const paths = ["text", "bytes", "nothing", "headers", "second", "own"]
        const cases = [
          one(
            HttpApiEndpoint.get("text", "/text", {
              success: Schema.String.pipe(HttpApiSchema.asText(), HttpApiSchema.status(201))
            }),
            () => Effect.succeed("créé"),
            {}
          ),
          one(
            HttpApiEndpoint.get("bytes", "/bytes", {
              success: Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array({ contentType: "image/x-test" }))
            }),
            () => Effect.succeed(new Uint8Array([65, 66])),
            {}
          ),
          one(HttpApiEndpoint.get("nothing", "/nothing"), () => Effect.void, {}),
          one(
            HttpApiEndpoint.get("headers", "/headers", {
              success: HttpApiSchema.WithHeaders(Schema.Number, { "x-total": Schema.FiniteFromString })
            }),
            () => Effect.succeed(HttpApiSchema.withHeaders({ body: 1, headers: { "x-total": 12 } })),
            {}
          ),
          one(
            HttpApiEndpoint.get("second", "/second", {
              success: [
                Schema.Struct({ a: Schema.Number }),
                Schema.Struct({ b: Schema.Number }).pipe(HttpApiSchema.status(202))
              ]
            }),
            () => Effect.succeed({ b: 1 }),
            {}
          ),
          one(
            HttpApiEndpoint.get("own", "/own", { success: Schema.String }),
            () => Effect.succeed(HttpServerResponse.text("own", { status: 203, headers: { "x-own": "1" } })),
            {}
          )
        ]
        const plain = yield* served("plain", ...cases)
        const { send } = yield* served(form, ...cases)
        for (const path of paths) {
          const uncached = yield* plain.send(`/${path}`)
          const first = yield* send(`/${path}`)
          const second = yield* send(`/${path}`)
          assert.strictEqual(first.cacheStatus, miss, path)
          assertHit(second)
          assert.deepStrictEqual(representation(second), representation(first))
          assert.strictEqual(first.status, uncached.status)
          assert.strictEqual(first.body, uncached.body)
          assert.include(first.headers, uncached.headers)
        }
      }))

    it.effect("answers HEAD from the entry of GET, and a condition with 304, and tells the age", () =>
      Effect.gen(function*() {
        const handler = executed(() => 1)
        const { send } = yield* served(
          form,
          one(HttpApiEndpoint.get("get", "/one", { success: Schema.Number }), handler.run, {
            policy: { timeToLive: "1 minute" }
          })
        )
        const first = yield* send("/one")
        yield* TestClock.adjust("3 seconds")
        const head = yield* send("/one", { method: "HEAD" })
        assert.strictEqual(head.cacheStatus, `${hit}; ttl=57`)
        assert.strictEqual(head.headers["age"], "3")
        assert.strictEqual(head.body, "")
        const same = yield* send("/one", { headers: { "if-none-match": first.headers["etag"]! } })
        assert.strictEqual(same.status, 304)
        assert.strictEqual(same.body, "")
        yield* TestClock.adjust("1 minute")
        assert.isFalse(isHit(yield* send("/one")))
        assert.strictEqual(handler.executions, 2)
      }))

    it.effect("ends with the tags of its input, and with those that it adds (scenarios 14 and 17)", () =>
      Effect.gen(function*() {
        const handler = executed(({ params }) => Effect.as(addDeps("learned"), params.id))
        const { cache, send } = yield* served(
          form,
          one(
            HttpApiEndpoint.get("get", "/users/:id", {
              params: { id: Schema.FiniteFromString },
              success: Schema.Finite
            }),
            handler.run,
            { deps: ({ params }) => [`user:${params.id}`] }
          )
        )
        for (const tag of ["user:7", "user", "learned"]) {
          yield* send("/users/7")
          assertHit(yield* send("/users/7"))
          yield* cache.invalidate([tag])
          assert.strictEqual((yield* send("/users/7")).cacheStatus, `${miss}; detail=invalidated`)
        }
        yield* cache.invalidate(["user:8"])
        assertHit(yield* send("/users/7"))
        // What is written otherwise has the tags of what it means.
        yield* send("/users/09")
        yield* cache.invalidate(["user:9"])
        assert.isFalse(isHit(yield* send("/users/9")))
      }))

    it.effect("answers success where its tags or its lifetime turn out to be wrong after a write (scenario 66)", () =>
      Effect.gen(function*() {
        const handler = executed(({ payload }) => payload)
        const wrong: ReadonlyArray<AnyOptions> = [
          { deps: () => ["a::b"] },
          {
            deps: () => {
              throw new Error("no tags")
            }
          },
          { timeToLive: () => -1 }
        ]
        const { send } = yield* served(
          form,
          ...wrong.map((options, index) =>
            one(
              HttpApiEndpoint.post(`post${index}`, `/${index}`, {
                payload: Schema.Struct({ a: Schema.Number }),
                success: Schema.Unknown
              }),
              handler.run,
              options
            )
          )
        )
        for (const index of wrong.keys()) {
          const before = handler.executions
          for (const executions of [1, 2]) {
            const reply = yield* send(`/${index}`, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: `{"a":1}`
            })
            assert.strictEqual(reply.status, 200)
            assert.strictEqual(reply.body, `{"a":1}`)
            assert.strictEqual(handler.executions, before + executions)
          }
        }
      }))

    it.effect("stores a typed failure for as long as the policy says, once for 50 who wait (scenario 61)", () =>
      Effect.gen(function*() {
        const { counts, schema } = counting()
        class Missing extends Schema.TaggedError<Missing>()("Missing", { id: schema }, { httpApiStatus: 410 }) {}
        const latch = yield* Latch.make()
        const running = yield* Latch.make()
        const handler = executed(({ params }) =>
          running.open.pipe(Effect.andThen(latch.await), Effect.andThen(Effect.fail(new Missing({ id: params.id }))))
        )
        const { send } = yield* served(
          form,
          one(
            HttpApiEndpoint.get("get", "/users/:id", {
              params: { id: Schema.FiniteFromString },
              success: User,
              error: [NotFound, Missing]
            }),
            handler.run,
            {
              deps: () => ["users"],
              policy: {
                errorTimeToLive: (error: Missing, { params }: any) => error.id === params.id ? "10 seconds" : 0
              }
            }
          )
        )
        const [replies] = yield* Effect.all([
          Effect.all(Array.from({ length: 50 }, () => send("/users/7")), { concurrency: "unbounded" }),
          Effect.andThen(running.await, latch.open)
        ], { concurrency: "unbounded" })
        for (const reply of replies) {
          assert.strictEqual(reply.status, 410)
          assert.strictEqual(reply.body, `{"_tag":"Missing","id":"7"}`)
        }
        assert.strictEqual(handler.executions, 1)
        const after = { ...counts }
        const again = yield* send("/users/7")
        assert.strictEqual(again.cacheStatus, `${hit}; ttl=10`)
        assert.deepStrictEqual(representation(again), representation(replies[0]!))
        assert.deepStrictEqual(counts, after)
        yield* TestClock.adjust("11 seconds")
        assert.isFalse(isHit(yield* send("/users/7")))
        assert.strictEqual(handler.executions, 2)
      }))

    it.effect("fails for all who wait, and stores nothing, where failures have no lifetime", () =>
      Effect.gen(function*() {
        const handler = executed(({ params }) => Effect.fail(new NotFound({ id: params.id })))
        const { send } = yield* served(
          form,
          one(
            HttpApiEndpoint.get("get", "/users/:id", {
              params: { id: Schema.FiniteFromString },
              success: User,
              error: NotFound
            }),
            handler.run,
            {}
          )
        )
        for (const executions of [1, 2]) {
          const reply = yield* send("/users/7")
          assert.strictEqual(reply.status, 404)
          assert.strictEqual(reply.body, `{"_tag":"NotFound","id":7}`)
          assert.strictEqual(handler.executions, executions)
        }
      }))

    it.effect("does not store an error that is not the endpoint's", () =>
      Effect.gen(function*() {
        const reason = new CacheError.TimeoutError({ operation: "test", message: "too slow" })
        const undeclared = new CacheError.CacheError({ reason })
        const handler = executed(({ params }) => params.how === "die" ? Effect.die("broken") : Effect.fail(undeclared))
        const { send } = yield* served(
          form,
          one(
            HttpApiEndpoint.get("get", "/:how", { params: { how: Schema.String }, success: User, error: NotFound }),
            handler.run,
            { policy: { errorTimeToLive: "1 minute" } }
          )
        )
        for (const executions of [1, 2]) {
          assert.strictEqual((yield* send("/die")).status, 500)
          assert.strictEqual((yield* send("/fail")).status, 504)
          assert.strictEqual(handler.executions, executions * 2)
        }
      }))

    it.effect("has the payload of QUERY and POST in the key, whatever its text and its content type", () =>
      Effect.gen(function*() {
        const { counts, schema } = counting()
        const handler = executed(({ payload }) => payload)
        const payload = Schema.Struct({ a: schema, b: Schema.optional(Schema.String) })
        const { send } = yield* served(
          form,
          one(HttpApiEndpoint.query("query", "/query", { payload, success: payload }), handler.run, {}),
          one(
            HttpApiEndpoint.post("post", "/post", {
              payload: [
                payload,
                Schema.Struct({ a: Schema.String }).pipe(HttpApiSchema.asFormUrlEncoded()),
                Schema.String.pipe(HttpApiSchema.asText())
              ],
              success: Schema.Unknown
            }),
            handler.run,
            {}
          )
        )
        const json = { "content-type": "application/json" }
        for (const [method, path] of [["QUERY", "/query"], ["POST", "/post"]] as const) {
          const before = handler.executions
          const body = `{"a":"1","b":"x"}`
          const first = yield* send(path, { method, headers: json, body })
          assert.strictEqual(first.cacheStatus, miss)
          const after = { ...counts }
          for (const same of [body, `{ "b": "x", "a": "1" }`]) {
            assertHit(yield* send(path, { method, headers: json, body: same }))
          }
          assert.deepStrictEqual(counts, after)
          assertHit(yield* send(path, { method, headers: json, body: `{"a":"1","b":"x","c":1}` }))
          assert.strictEqual(handler.executions, before + 1)
          assert.strictEqual((yield* send(path, { method, headers: json, body: `{"a":"2"}` })).cacheStatus, miss)
          const invalid = yield* send(path, { method, headers: json, body: `{"a":` })
          assert.strictEqual(invalid.status, 400)
          assert.strictEqual(invalid.cacheStatus, undefined)
        }
        const fields = { "content-type": "application/x-www-form-urlencoded" }
        for (
          const [headers, body] of [[fields, "a=1"], [{ "content-type": "text/plain; charset=utf-8" }, "a=1"]] as const
        ) {
          assert.strictEqual((yield* send("/post", { method: "POST", headers, body })).cacheStatus, miss)
          assertHit(yield* send("/post", { method: "POST", headers, body }))
        }
        assert.strictEqual((yield* send("/post", { method: "POST", headers: fields, body: "a=1" })).body, `{"a":"1"}`)
        const unknown = yield* send("/post", { method: "POST", headers: { "content-type": "text/csv" }, body: "a" })
        assert.strictEqual(unknown.status, 415)
      }))

    it.effect("leaves it to the endpoint to refuse a request", () =>
      Effect.gen(function*() {
        const handler = executed(() => 1)
        const endpoint = HttpApiEndpoint.get("get", "/users/:id", {
          params: { id: Schema.FiniteFromString },
          success: Schema.Finite
        })
        const plain = yield* served("plain", one(endpoint, handler.run))
        const { cache, send } = yield* served(form, one(endpoint, handler.run, {}))
        const { body, headers, status } = yield* send("/users/x")
        const expected = yield* plain.send("/users/x")
        assert.deepStrictEqual({ body, headers, status }, {
          body: expected.body,
          headers: expected.headers,
          status: expected.status
        })
        assert.strictEqual(status, 400)
        assert.strictEqual(handler.executions, 0)
        assert.strictEqual((yield* cache.counts).Stored, 0)
      }))

    it.effect("runs authentication on a hit, and never gives a result to another user (scenarios 60 and 65)", () =>
      Effect.gen(function*() {
        const { Auth, CurrentUser, authenticated, layer, revoked } = makeAuth()
        const handler = executed(() => Effect.map(CurrentUser, ({ id }) => `for ${id}`))
        const { send } = yield* serve(
          routesOf(form, [
            one(
              HttpApiEndpoint.get("me", "/me", { success: Schema.String, error: NotFound }),
              handler.run,
              { varyBy: Effect.map(CurrentUser, ({ id }) => id) },
              Auth
            )
          ]).pipe(Layer.provide(layer))
        )
        const as = (user: string) => send("/me", { headers: { authorization: `Bearer ${user}` } })
        for (const user of ["ada", "bob"]) {
          const first = yield* as(user)
          assert.strictEqual(first.cacheStatus, miss)
          assert.strictEqual(first.headers["cache-control"], "private, no-cache")
          const second = yield* as(user)
          assertHit(second)
          assert.strictEqual(second.body, `"for ${user}"`)
        }
        assert.strictEqual(handler.executions, 2)
        assert.strictEqual(authenticated.count, 4)
        revoked.add("ada")
        const refused = yield* as("ada")
        assert.strictEqual(refused.status, 401)
        assert.notInclude(refused.body, "for ada")
        assertHit(yield* as("bob"))
      }))

    it.effect("neither stores nor serves what has credentials, unless varyBy says what it depends on", () =>
      Effect.gen(function*() {
        // @effect-diagnostics-next-line leakingRequirements:off
        class Key extends HttpApiMiddleware.Service<Key>()("test/Key", {
          security: {
            header: HttpApiSecurity.apiKey({ in: "header", key: "X-Key" }),
            query: HttpApiSecurity.apiKey({ in: "query", key: "key" })
          }
        }) {}
        const handler = executed(() => 1)
        const { send } = yield* serve(
          routesOf(form, [
            one(HttpApiEndpoint.get("closed", "/closed", { success: Schema.Finite }), handler.run, {}, Key),
            one(
              HttpApiEndpoint.get("open", "/open", { success: Schema.Finite }),
              handler.run,
              { varyBy: "nothing" },
              Key
            )
          ]).pipe(Layer.provide(Layer.succeed(Key)({ header: (effect) => effect, query: (effect) => effect })))
        )
        assert.strictEqual((yield* send("/closed")).cacheStatus, miss)
        for (
          const [path, headers] of [
            ["/closed", { authorization: "Basic x" }],
            ["/closed", { cookie: "a=1" }],
            ["/closed", { "x-key": "k" }],
            ["/closed?key=k", {}]
          ] as const
        ) {
          const before = handler.executions
          const reply = yield* send(path, { headers })
          assert.strictEqual(reply.cacheStatus, bypass("credentials"))
          assert.strictEqual(reply.headers["cache-control"], "private, no-cache")
          assert.strictEqual(handler.executions, before + 1)
        }
        assertHit(yield* send("/closed"))
        assert.strictEqual((yield* send("/open", { headers: { cookie: "a=1" } })).cacheStatus, miss)
        assertHit(yield* send("/open", { headers: { authorization: "Basic x" } }))
      }))

    it.effect("serves what is stale as its policy says (scenarios 36 and 37)", () =>
      Effect.gen(function*() {
        let broken = false
        const handler = executed(() => broken ? Effect.fail(new Down()) : 1)
        const { next, send } = yield* served(
          form,
          one(HttpApiEndpoint.get("swr", "/swr", { success: Schema.Finite }), handler.run, {
            policy: { timeToLive: "10 seconds", staleWhileRevalidate: "1 minute" }
          }),
          one(HttpApiEndpoint.get("sie", "/sie", { success: Schema.Finite, error: Down }), handler.run, {
            policy: { timeToLive: "10 seconds", staleIfError: "1 minute" }
          })
        )
        yield* send("/swr")
        yield* send("/sie")
        yield* next("Stored")
        yield* next("Stored")
        yield* TestClock.adjust("12 seconds")
        assert.strictEqual((yield* send("/swr")).cacheStatus, "effect-cached; hit; ttl=-2; detail=revalidating")
        yield* next("Stored")
        assertHit(yield* send("/swr"))
        broken = true
        const stale = yield* send("/sie")
        assert.strictEqual(stale.cacheStatus, "effect-cached; fwd=stale; ttl=-2; detail=error")
        assert.strictEqual(stale.body, "1")
        assert.strictEqual(stale.status, 200)
      }))

    it.effect.each([undefined, "10 seconds"] as const)(
      "serves nothing stale in place of an error that is an answer, stored for %s",
      (errorTimeToLive) =>
        Effect.gen(function*() {
          let isThere = true
          const handler = executed(() => isThere ? 1 : Effect.fail(new NotFound({ id: 1 })))
          const { next, send } = yield* served(
            form,
            one(HttpApiEndpoint.get("get", "/get", { success: Schema.Finite, error: [NotFound, Down] }), handler.run, {
              policy: { timeToLive: "1 second", staleIfError: "1 day", errorTimeToLive }
            })
          )
          yield* send("/get")
          yield* TestClock.adjust("2 seconds")
          isThere = false
          for (const n of [2, 3]) {
            const reply = yield* send("/get")
            assert.deepStrictEqual([reply.status, reply.body], [404, `{"_tag":"NotFound","id":1}`])
            assert.strictEqual(handler.executions, errorTimeToLive === undefined ? n : 2)
          }
          yield* next("Miss")
        })
    )

    it.effect("does not store what gets a cookie through its request, be it a success or an error", () =>
      Effect.gen(function*() {
        let count = 0
        const cookie = Effect.suspend(() => {
          const value = String(++count)
          return HttpEffect.appendPreResponseHandler((_, response) =>
            Effect.succeed(HttpServerResponse.setCookieUnsafe(response, "session", value))
          )
        })
        const { cache, send } = yield* served(
          form,
          one(HttpApiEndpoint.get("a", "/a", { success: Schema.Finite }), () => Effect.as(cookie, 1), {}),
          one(
            HttpApiEndpoint.get("b", "/b", { success: Schema.Finite, error: NotFound }),
            () => Effect.andThen(cookie, Effect.fail(new NotFound({ id: 1 }))),
            { policy: { errorTimeToLive: "1 minute" } }
          )
        )
        for (const [path, value] of [["/a", "1"], ["/a", "2"], ["/b", "3"], ["/b", "4"]] as const) {
          assert.strictEqual((yield* send(path)).headers["set-cookie"], `session=${value}`)
        }
        assert.strictEqual((yield* cache.counts).Stored, 0)
      }))

    it.effect("gives the handler what the request says where a query and a payload share a field of it", () =>
      Effect.gen(function*() {
        const handler = executed(({ payload, query }) => `${query.a} ${payload.a}`)
        const { send } = yield* served(
          form,
          one(
            HttpApiEndpoint.get("get", "/get", {
              query: { a: Schema.String, b: Schema.Array(Schema.String) },
              payload: { a: Schema.Finite, b: Schema.String },
              success: Schema.String
            }),
            handler.run,
            {}
          )
        )
        for (const _ of [1, 2]) {
          const reply = yield* send("/get?a=01&b=x")
          assert.deepStrictEqual([reply.body, reply.cacheStatus], [`"01 1"`, bypass("request")])
        }
        assert.deepStrictEqual((yield* send("/get?a=1&b=x")).body, `"1 1"`)
        assertHit(yield* send("/get?a=1&b=x"))
        assert.strictEqual((yield* send("/get?a=1&b=y")).cacheStatus, miss)
      }))

    it.effect("does not store what is for one request (scenario 63)", () =>
      Effect.gen(function*() {
        const handler = executed(({ params }) => {
          if (params.kind === "stream") {
            return HttpServerResponse.stream(Stream.succeed(new TextEncoder().encode("streamed")))
          }
          const response = HttpServerResponse.text("own")
          if (params.kind === "cookie") return HttpServerResponse.setCookieUnsafe(response, "session", "1")
          const [name, value] = params.kind === "vary" ? ["vary", "x-undeclared"] : ["cache-control", "private"]
          return HttpServerResponse.setHeader(response, name, value)
        })
        const { send } = yield* served(
          form,
          one(
            HttpApiEndpoint.get("get", "/own/:kind", { params: { kind: Schema.String }, success: Schema.String }),
            handler.run,
            {}
          )
        )
        for (const kind of ["cookie", "vary", "private"]) {
          const before = handler.executions
          const first = yield* send(`/own/${kind}`)
          yield* send(`/own/${kind}`)
          assert.strictEqual(first.cacheStatus, "effect-cached; fwd=miss; detail=response")
          assert.strictEqual(first.body, "own")
          assert.strictEqual(handler.executions, before + 2)
        }
        for (const _ of [1, 2]) {
          const reply = yield* send("/own/stream")
          assert.strictEqual(reply.body, "streamed")
          assert.strictEqual(reply.cacheStatus, bypass("stream"))
        }
      }))

    it.effect("speaks HTTP as its options say", () =>
      Effect.gen(function*() {
        const { send } = yield* served(
          form,
          one(HttpApiEndpoint.get("get", "/one", { success: Schema.Finite }), () => Effect.succeed(1), {
            name: "one",
            deps: () => ["a:b"],
            timeToLive: "1 minute",
            consistency: "strong",
            version: "2",
            http: { cacheControl: "policy", tagHeader: "Surrogate-Key", etag: "weak", requestCacheControl: "obey" }
          })
        )
        yield* send("/one")
        const { headers } = yield* send("/one")
        assert.strictEqual(headers["cache-control"], "max-age=60")
        assert.strictEqual(headers["surrogate-key"], "a a:b")
        assert.match(headers["etag"]!, /^W\//)
        assertHit(yield* send("/one"))
        const asked = yield* send("/one", { headers: { "cache-control": "no-cache" } })
        assert.match(String(asked.cacheStatus), /fwd=request/)
        const gone = yield* send("/one", { headers: { "cache-control": "no-cache, only-if-cached" } })
        assert.strictEqual(gone.status, 504)
      }))

    it.effect("asks the log first where its consistency is strong, and computes where it does not answer", () =>
      Effect.gen(function*() {
        const log = FaultyBroadcaster.layer(Broadcaster.layerLocal)
        const services = yield* Layer.build(
          ResultCache.layer().pipe(
            Layer.provide([Store.layerMemory(), DependencyGraph.layer()]),
            Layer.provideMerge(log)
          )
        )
        const cache = Context.get(services, ResultCache.ResultCache)
        const handler = executed(() => 1)
        const { send } = yield* serve(
          routesOf(form, [
            one(HttpApiEndpoint.get("strong", "/strong", { success: Schema.Finite }), handler.run, {
              consistency: "strong"
            }),
            one(HttpApiEndpoint.get("plain", "/plain", { success: Schema.Finite }), handler.run, {})
          ]),
          { cache, layer: Layer.succeed(ResultCache.ResultCache)(cache), next: () => Effect.void }
        )
        for (const path of ["/strong", "/plain"]) {
          yield* send(path)
          assertHit(yield* send(path))
        }
        yield* Context.get(services, FaultyBroadcaster.FaultyBroadcaster).become("failing")
        assertHit(yield* send("/plain"))
        assert.isFalse(isHit(yield* send("/strong")))
        assert.strictEqual(handler.executions, 3)
      }))

    it.effect("obeys the parse options of the endpoint", () =>
      Effect.gen(function*() {
        const endpoint = HttpApiEndpoint.get("get", "/one", {
          query: { a: Schema.optional(Schema.String) },
          success: Schema.Finite
        }).annotate(HttpApi.QueryParseOptions, { onExcessProperty: "error" })
        const { send } = yield* served(form, one(endpoint, () => Effect.succeed(1), {}))
        yield* send("/one?a=1")
        assertHit(yield* send("/one?a=1"))
        assert.strictEqual((yield* send("/one?a=1&b=2")).status, 400)
      }))

    it.effect("leaves the OpenAPI document as it is", () =>
      Effect.sync(() => {
        const cases = [
          one(
            HttpApiEndpoint.get("get", "/users/:id", {
              params: { id: Schema.FiniteFromString },
              success: User,
              error: NotFound
            }),
            () => Effect.succeed(1),
            { deps: () => ["users"], policy: { timeToLive: "1 minute" } },
            makeAuth().Auth
          )
        ]
        const spec = () => JSON.stringify(OpenApi.fromApi(apiOf(form, cases) as never))
        const before = spec()
        routesOf(form, cases)
        assert.strictEqual(before, JSON.stringify(OpenApi.fromApi(apiOf("plain", cases) as never)))
        assert.strictEqual(spec(), before)
      }))

    it.effect("refuses what cannot be cached when it is built", () =>
      Effect.gen(function*() {
        const stream = HttpApiSchema.StreamNdjson({ schema: Schema.Number })
        assertDefinitionError(
          yield* problemOf(form, HttpApiEndpoint.get("a", "/a", { success: stream })),
          /"group.a": a stream/
        )
        assertDefinitionError(
          yield* problemOf(form, HttpApiEndpoint.get("a", "/a", { success: [Schema.String, stream] })),
          /"group.a": a stream/
        )
        assertDefinitionError(
          yield* problemOf(
            form,
            HttpApiEndpoint.post("a", "/a", {
              payload: Schema.Struct({ f: Schema.String }).pipe(HttpApiSchema.asMultipart())
            })
          ),
          /multipart\/form-data/
        )
        const plain = HttpApiEndpoint.get("a", "/a", { success: Schema.Number })
        assertDefinitionError(yield* problemOf(form, plain, { timeToLive: -1 }), /timeToLive/)
        assertDefinitionError(yield* problemOf(form, plain, { policy: { errorTimeToLive: 1 } }), /errorTimeToLive/)
        // Its response may say itself how long it may be stale.
        assert.strictEqual(yield* problemOf(form, plain, { policy: { softTimeout: "1 second" } }), undefined)
        assert.strictEqual(yield* problemOf(form, plain), undefined)
      }))

    it.effect("serves a typed client over a socket, 50 at once with one execution (scenario 26)", () =>
      Effect.gen(function*() {
        const latch = yield* Latch.make()
        const handler = executed(({ params }) =>
          params.id < 0
            ? Effect.fail(new NotFound({ id: params.id }))
            : Effect.as(latch.await, new User({ id: params.id, name: "Ada" }))
        )
        const endpoint = HttpApiEndpoint.get("get", "/users/:id", {
          params: { id: Schema.FiniteFromString },
          success: User,
          error: NotFound
        })
        const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
        const { layer, next } = yield* makeCache()
        const context = yield* Layer.build(
          HttpRouter.serve(
            routesOf(form, [one(endpoint, handler.run, { policy: { errorTimeToLive: "1 minute" } })]),
            { disableLogger: true, disableListenLog: true }
          ).pipe(
            Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
            Layer.provide(layer)
          ) as Layer.Layer<HttpServer.HttpServer>
        )
        const baseUrl = HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)
        const client = yield* HttpApiClient.make(Api, { baseUrl }).pipe(
          Effect.provide(FetchHttpClient.layer)
        )
        const get = (id: number) => client.group.get({ params: { id }, responseMode: "decoded-and-response" })
        const joined = Effect.andThen(Effect.forEach(Array.from({ length: 49 }), () => next("Joined")), latch.open)
        const [users] = yield* Effect.all([
          Effect.all(Array.from({ length: 50 }, () => get(7)), { concurrency: "unbounded" }),
          joined
        ], { concurrency: "unbounded" })
        for (const [user] of users) {
          assert.instanceOf(user, User)
          assert.deepStrictEqual(user, new User({ id: 7, name: "Ada" }))
        }
        assert.strictEqual(handler.executions, 1)
        const [, response] = yield* get(7)
        assert.strictEqual(response.headers["cache-status"], hit)
        for (const _ of [1, 2]) {
          const error = yield* Effect.flip(client.group.get({ params: { id: -1 } }))
          assert.instanceOf(error, NotFound)
          assert.strictEqual(error.id, -1)
        }
        assert.strictEqual(handler.executions, 2)
      }))
  })
}

describe("HttpApiCached", () => {
  // What a handler was given, in JSON.
  const shown = (value: unknown): unknown => {
    if (value === undefined || typeof value === "bigint") return String(value)
    if (value instanceof Uint8Array) return Array.from(value)
    if (typeof value !== "object" || value === null || value instanceof Date) return value
    if (Array.isArray(value)) return value.map(shown)
    return Object.fromEntries(
      Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1).map(([key, item]) => [key, shown(item)])
    )
  }
  const run = ({ headers, params, payload, query }: any) =>
    Effect.succeed(shown({ headers: { ...headers }, params, payload, query }))

  const cases = (() => {
    const { Array: List, Finite, Option, String: Text, optional } = Schema
    const success = Schema.Unknown
    const endpoints: ReadonlyArray<unknown> = [
      HttpApiEndpoint.get("both", "/both/:id/:kind", {
        params: { id: Finite, kind: Schema.Literals(["a", "b"]) },
        query: { q: optional(List(Finite)), a: Schema.optionalKey(Text), d: optional(Schema.Date) },
        success
      }),
      HttpApiEndpoint.get("all", "/all", { query: Schema.Record(Text, Text), success }),
      HttpApiEndpoint.get("one", "/one", {
        query: Schema.Union([Schema.Struct({ a: Finite }), Schema.Struct({ b: Text })]),
        success
      }),
      HttpApiEndpoint.get("form", "/form", { payload: { a: Finite, q: optional(List(Text)) }, success }),
      HttpApiEndpoint.get("header", "/header", {
        headers: { "x-a": optional(Finite) },
        query: { b: optional(Schema.Boolean), d: optional(Option(Text)) },
        success
      }),
      HttpApiEndpoint.get("raw", "/raw", {
        disableCodecs: true,
        query: { a: optional(Text), q: optional(Schema.NumberFromString) },
        success
      }),
      HttpApiEndpoint.post("body", "/body", {
        payload: [
          Schema.Null,
          Schema.Struct({ a: optional(Finite), b: Schema.NullOr(Schema.Date) }),
          Schema.Struct({ a: Finite }).pipe(HttpApiSchema.asFormUrlEncoded()),
          Text.pipe(HttpApiSchema.asText()),
          Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array())
        ],
        success
      }),
      HttpApiEndpoint.query("list", "/list", { payload: List(Schema.Union([Schema.BigInt, Text])), success })
    ]
    return endpoints.map((endpoint) => one(endpoint, run, {}))
  })()

  const values = ["1", "01", "-0", "0", "x", "", "true", "2020-01-01", "2020-01-01T00:00:00.000Z", "a", "b"]
  const types = [
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain",
    "application/octet-stream",
    "x/y"
  ]
  const bodies = [
    "",
    "null",
    "{}",
    `{"a":1,"b":null}`,
    `{"b":null,"a":1,"c":2}`,
    `{"a":-0,"b":"2020-01-01"}`,
    `["1","x"]`
  ]
    .concat(["a=1", "a=01&a=2", `{"a":`])

  const requestOf = ({ below, pick }: ReturnType<typeof makeRandom>) => {
    const search = Array.from({ length: below(4) }, () => `${pick(["a", "b", "q", "d"])}=${pick(values)}`).join("&")
    const path = pick(["both/1/a", "both/01/b", "both/x/a", "all", "one", "form", "header", "raw", "body", "list"])
    const headers = { "x-a": pick(values), "content-type": pick(types) }
    return path === "body" || path === "list"
      ? [`/${path}`, { method: path === "body" ? "POST" : "QUERY", headers, body: pick(bodies) }] as const
      : [`/${path}?${search}`, { headers }] as const
  }

  it.effect("answers as the endpoint does without a cache, whatever the request", () =>
    Effect.gen(function*() {
      const plain = yield* served("plain", ...cases)
      const cached = yield* served("handler", ...cases)
      const random = makeRandom(65)
      let hits = 0
      for (let i = 0; i < 300; i++) {
        const [path, init] = requestOf(random)
        const expected = yield* plain.send(path, init)
        for (const _ of [1, 2]) {
          const reply = yield* cached.send(path, init)
          const message = `${path} ${JSON.stringify(init)}`
          assert.strictEqual(reply.status, expected.status, message)
          assert.strictEqual(reply.body, expected.body, message)
          assert.strictEqual(reply.headers["content-type"], expected.headers["content-type"], message)
          if (isHit(reply)) hits++
        }
      }
      assert.isAbove(hits, 100)
    }))
})

describe("HttpApiCached.handler", () => {
  const plain = HttpApiEndpoint.get("get", "/one/:n", {
    params: { n: Schema.FiniteFromString },
    success: Schema.Finite
  })

  it.effect("is given the value of varyBy, and gives its policy what it returned before that was encoded", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const handler = executed(({ params }, varied) => params.n + varied.length)
      const { send } = yield* served(
        "handler",
        one(plain, handler.run, {
          varyBy: Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-tenant"] ?? ""),
          policy: {
            timeToLive: (exit: unknown, input: unknown) => {
              seen.push(exit, input)
              return "1 minute"
            }
          }
        })
      )
      const of = (tenant: string) => send("/one/1", { headers: { "x-tenant": tenant } })
      assert.strictEqual((yield* of("abc")).body, "4")
      assert.strictEqual((yield* of("ab")).body, "3")
      assertHit(yield* of("abc"))
      assert.deepStrictEqual(seen, [Exit.succeed(4), { params: { n: 1 } }, Exit.succeed(3), { params: { n: 1 } }])
    }))

  it.effect("leaves the other endpoints of its group as they are", () =>
    Effect.gen(function*() {
      const other = executed(() => 2)
      const { send } = yield* served(
        "handler",
        one(plain, () => Effect.succeed(1), {}),
        one(HttpApiEndpoint.get("other", "/other", { success: Schema.Finite }), other.run)
      )
      for (const _ of [1, 2]) assert.strictEqual((yield* send("/other")).cacheStatus, undefined)
      assert.strictEqual(other.executions, 2)
    }))

  it.effect("does not give two endpoints of one name each other's results: the layer fails", () =>
    Effect.gen(function*() {
      const twice = routesOf("handler", [
        one(plain, () => Effect.succeed(1), { name: "same" }),
        one(HttpApiEndpoint.get("other", "/other"), () => Effect.void, { name: "same" })
      ])
      assertDefinitionError(yield* causeOf(twice), /"same".*has this name/)
    }))

  it.effect("frees its name with its layer", () =>
    Effect.gen(function*() {
      const cache = yield* makeCache()
      for (const n of [1, 2]) {
        const { send } = yield* Effect.scoped(
          Effect.tap(
            serve(routesOf("handler", [one(plain, () => Effect.succeed(n), {})]), cache),
            ({ send }) => Effect.map(send("/one/1"), ({ body }) => assert.strictEqual(body, String(n)))
          )
        )
        void send
      }
    }))

  it.effect("is refused together with an annotation", () =>
    Effect.gen(function*() {
      const annotated = HttpApiCached.annotate({})(plain)
      const error = yield* causeOf(routesOf("handler", [one(annotated, () => Effect.succeed(1), {})]))
      assertDefinitionError(error, /leave one of them out/)
    }))
})

describe("HttpApiCached.Middleware", () => {
  class Around extends HttpApiMiddleware.Service<Around>()("test/Around") {}
  const around = Layer.succeed(Around)((effect) => effect)
  const endpoint = HttpApiEndpoint.get("get", "/one", { success: Schema.Finite })

  const routes = (of: (endpoint: any) => any, run: AnyHandler) => {
    const api: any = HttpApi.make("api").add(HttpApiGroup.make("group").add(of(endpoint)))
    return HttpApiBuilder.layer(api).pipe(
      Layer.provide(
        HttpApiBuilder.group(
          api,
          "group" as never,
          ((handlers: any) => handlers.handle("get", run)) as never
        ) as Layer.Layer<never>
      ),
      Layer.provide([HttpApiCached.layer, around, HttpServer.layerServices])
    ) as Layer.Layer<never, any, any>
  }

  it.effect("caches what has a definition, and nothing else", () =>
    Effect.gen(function*() {
      const handler = executed(() => 1)
      const without = yield* serve(routes((endpoint) => endpoint.middleware(HttpApiCached.Middleware), handler.run))
      for (const _ of [1, 2]) assert.strictEqual((yield* without.send("/one")).cacheStatus, undefined)
      const { send } = yield* serve(
        routes(
          (endpoint) => endpoint.annotate(HttpApiCached.Definition, {}).middleware(HttpApiCached.Middleware),
          handler.run
        )
      )
      yield* send("/one")
      assertHit(yield* send("/one"))
    }))

  it.effect("is nearest to the handler, or refused: what it would skip on a hit is named", () =>
    Effect.gen(function*() {
      const wrong = routes(
        (endpoint) =>
          endpoint.middleware(Around).annotate(HttpApiCached.Definition, {}).middleware(HttpApiCached.Middleware),
        number
      )
      assertDefinitionError(yield* causeOf(wrong), /on a hit, test\/Around would not run/)
      const right = routes((endpoint) => HttpApiCached.annotate({})(endpoint.middleware(Around)), number)
      assert.strictEqual(yield* causeOf(right), undefined)
    }))

  it.effect("works past the cache where its name is taken", () =>
    Effect.gen(function*() {
      const handler = executed(() => 1)
      const { send } = yield* served(
        "annotation",
        one(endpoint, handler.run, { name: "same" }),
        one(HttpApiEndpoint.get("other", "/other", { success: Schema.Finite }), handler.run, { name: "same" })
      )
      yield* send("/one")
      for (const _ of [1, 2]) assert.strictEqual((yield* send("/other")).cacheStatus, bypass("name-taken"))
      assertHit(yield* send("/one"))
      assert.strictEqual(handler.executions, 3)
    }))
})

// Users by their bearer token, and how often they were asked for it.
const makeAuth = () => {
  class CurrentUser extends Context.Service<CurrentUser, { readonly id: string }>()("test/CurrentUser") {}
  class Refused extends Schema.TaggedError<Refused>()("Refused", {}, { httpApiStatus: 401 }) {}
  class Auth extends HttpApiMiddleware.Service<Auth, { provides: CurrentUser }>()("test/Auth", {
    error: Refused,
    security: { bearer: HttpApiSecurity.bearer }
  }) {}
  const authenticated = { count: 0 }
  const revoked = new Set<string>()
  const layer = Layer.succeed(Auth)({
    bearer: (effect, { credential }) =>
      Effect.suspend(() => {
        authenticated.count++
        const id = Redacted.value(credential)
        return revoked.has(id)
          ? Effect.fail(new Refused())
          : Effect.provideService(
            effect as Effect.Effect<HttpServerResponse.HttpServerResponse, never, any>,
            CurrentUser,
            { id }
          )
      })
  })
  return { Auth, CurrentUser, authenticated, layer, revoked }
}
