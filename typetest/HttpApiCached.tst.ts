import { Context, Effect, type Exit, Layer, Schema } from "effect"
import { type CacheError, CacheLive, type ResultCache, type Tag, tag } from "effect-cached"
import * as HttpApiCached from "effect-cached/HttpApiCached"
import { HttpRouter, HttpServer, HttpServerRequest, type HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSecurity
} from "effect/http-api"
import { describe, expect, test } from "tstyche"

class User extends Schema.Class<User>("User")({ id: Schema.Number, name: Schema.String }) {}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.Number }) {}
class Other extends Schema.TaggedError<Other>()("Other", {}) {}
class Users extends Context.Service<Users, {
  readonly find: (id: number) => Effect.Effect<User, NotFound>
}>()("typetest/Users") {}
class CurrentUser extends Context.Service<CurrentUser, { readonly id: string }>()("typetest/CurrentUser") {}
class Auth extends HttpApiMiddleware.Service<Auth, { provides: CurrentUser }>()("typetest/Auth", {
  security: { bearer: HttpApiSecurity.bearer }
}) {}

const ada = new User({ id: 7, name: "Ada" })
const userId = Effect.map(CurrentUser, ({ id }) => id)

const getById = HttpApiEndpoint.get("getById", "/users/:id", {
  params: { id: Schema.FiniteFromString },
  query: { full: Schema.optional(Schema.Boolean) },
  headers: { "x-lang": Schema.String },
  success: User,
  error: NotFound
})
const search = HttpApiEndpoint.query("search", "/search", {
  payload: Schema.Struct({ text: Schema.String }),
  success: Schema.Array(User)
})
const me = HttpApiEndpoint.get("me", "/me", { success: User }).middleware(Auth)

const Api = HttpApi.make("api").add(HttpApiGroup.make("users").add(getById))
const SearchApi = HttpApi.make("api").add(HttpApiGroup.make("search").add(search))
const MeApi = HttpApi.make("api").add(HttpApiGroup.make("me").add(me))

interface ById {
  readonly params: { readonly id: number }
  readonly query: { readonly full?: boolean | undefined }
  readonly headers: { readonly "x-lang": string }
}

type R<L> = L extends Layer.Layer<any, any, infer R> ? R : never

describe("HttpApiCached.handler", () => {
  test("infers what the endpoint declares, in handler, deps and policy", () => {
    HttpApiCached.group(Api, "users", (handlers) =>
      handlers.handle(
        "getById",
        HttpApiCached.handler((input) => {
          expect(input).type.toBe<ById>()
          return Users.use((users) => users.find(input.params.id))
        }, {
          deps: (input) => {
            expect(input).type.toBe<ById>()
            return [tag`user:${input.params.id}`]
          },
          timeToLive: (exit, input) => {
            expect(exit).type.toBeAssignableTo<Exit.Exit<User, NotFound>>()
            expect(input).type.toBe<ById>()
            return "1 minute"
          },
          policy: {
            errorTimeToLive: (error, { params }) => {
              expect(error).type.toBe<NotFound>()
              return params.id
            }
          }
        })
      ))
    HttpApiCached.group(SearchApi, "search", (handlers) =>
      handlers.handle(
        "search",
        HttpApiCached.handler(({ payload }) => {
          expect(payload).type.toBe<{ readonly text: string }>()
          return Effect.succeed([ada])
        }, { deps: ({ payload }) => [tag`text:${payload.text}`] })
      ))
  })

  test("infers a generator", () => {
    const Group = HttpApiCached.group(Api, "users", (handlers) =>
      handlers.handle(
        "getById",
        HttpApiCached.handler(Effect.fnUntraced(function*({ params }) {
          return yield* (yield* Users).find(params.id)
        }))
      ))
    expect(Group).type.toBe<
      Layer.Layer<
        HttpApiGroup.Service<"api", "users">,
        CacheError.CacheError,
        ResultCache.ResultCache | HttpRouter.Request<"Requires", Users>
      >
    >()
  })

  test("needs nothing but the cache when its services are provided", () => {
    const Group = HttpApiCached.group(
      Api,
      "users",
      (handlers) => handlers.handle("getById", HttpApiCached.handler(() => Effect.succeed(ada)))
    )
    expect<R<typeof Group>>().type.toBe<ResultCache.ResultCache>()
    const Routes = HttpApiBuilder.layer(Api).pipe(
      Layer.provide([Group, HttpServer.layerServices]),
      Layer.provide(CacheLive)
    )
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(Routes)
  })

  test("cannot be in a group that decodes before it asks the cache", () => {
    const Group = HttpApiBuilder.group(
      Api,
      "users",
      (handlers) => handlers.handle("getById", HttpApiCached.handler(() => Effect.succeed(ada)))
    )
    expect<R<typeof Group>>().type.toBe<HttpRouter.Request<"Requires", HttpApiCached.Computation>>()
  })

  test("rejects what the endpoint does not declare", () => {
    HttpApiCached.group(Api, "users", (handlers) =>
      handlers.handle(
        "getById",
        // @ts-expect-error Type 'string' is not assignable
        HttpApiCached.handler(() => Effect.succeed("x"))
      ))
    type Handler = HttpApiEndpoint.Handler<typeof getById, never, HttpApiCached.Computation>
    const failing = HttpApiCached.handler(() => Effect.fail(new Other()))
    expect(failing).type.not.toBeAssignableTo<Handler>()
    const declared = HttpApiCached.handler(() => Effect.fail(new NotFound({ id: 1 })))
    expect(declared).type.toBeAssignableTo<Handler>()
    HttpApiCached.group(Api, "users", (handlers) =>
      handlers.handle(
        "getById",
        HttpApiCached.handler((input) => {
          // @ts-expect-error Property 'payload' does not exist
          void input.payload
          // @ts-expect-error Property 'request' does not exist
          void input.request
          return Effect.succeed(ada)
        }, {
          // @ts-expect-error Property 'name' does not exist
          deps: ({ params }) => [tag`user:${params.name}`]
        })
      ))
  })

  test("rejects the raw request", () => {
    HttpApiCached.group(Api, "users", (handlers) =>
      handlers.handle(
        "getById",
        // @ts-expect-error a cached function may read only what its key covers
        HttpApiCached.handler(() => Effect.as(HttpServerRequest.HttpServerRequest, ada))
      ))
  })

  test("rejects a service of middleware, unless varyBy says what the result depends on", () => {
    HttpApiCached.group(MeApi, "me", (handlers) =>
      handlers.handle(
        "me",
        // @ts-expect-error services of middleware belong to one request
        HttpApiCached.handler(() => Effect.as(CurrentUser, ada))
      ))
    const Group = HttpApiCached.group(MeApi, "me", (handlers) =>
      handlers.handle(
        "me",
        HttpApiCached.handler((_, id) => {
          expect(id).type.toBe<string>()
          return Effect.as(CurrentUser, ada)
        }, { varyBy: userId })
      ))
    expect<R<typeof Group>>().type.toBe<ResultCache.ResultCache | Auth>()
    const Nothing = HttpApiCached.group(
      MeApi,
      "me",
      (handlers) =>
        handlers.handle("me", HttpApiCached.handler(() => Effect.as(CurrentUser, ada), { varyBy: "nothing" }))
    )
    expect<R<typeof Nothing>>().type.toBe<ResultCache.ResultCache | Auth>()
  })

  test("rejects services where the endpoint is not known, unless varyBy says what the result depends on", () => {
    // @ts-expect-error make it where it is handled
    HttpApiCached.handler(() => Effect.as(CurrentUser, ada))
    HttpApiCached.handler(() => Effect.as(CurrentUser, ada), { varyBy: userId })
    HttpApiCached.handler(() => Effect.succeed(ada))
  })

  test("needs the services and the errors of varyBy to be the endpoint's", () => {
    const Group = HttpApiCached.group(
      Api,
      "users",
      (handlers) => handlers.handle("getById", HttpApiCached.handler(() => Effect.succeed(ada), { varyBy: userId }))
    )
    expect<R<typeof Group>>().type.toBe<ResultCache.ResultCache | HttpRouter.Request<"Requires", CurrentUser>>()
    const varied = HttpApiCached.handler(() => Effect.succeed(ada), { varyBy: Effect.fail(new Other()) })
    expect(varied).type.not.toBeAssignableTo<
      HttpApiEndpoint.Handler<typeof getById, never, HttpApiCached.Computation>
    >()
  })
})

describe("HttpApiCached.group", () => {
  test("rejects a group with an endpoint that has no handler", () => {
    // @ts-expect-error Endpoint not handled: getById
    HttpApiCached.group(Api, "users", (handlers) => handlers)
  })

  test("takes handlers that are made by an effect, with their errors and services", () => {
    const Group = HttpApiCached.group(Api, "users", (handlers) =>
      Effect.gen(function*() {
        const users = yield* Users
        if (users === undefined) return yield* new Other()
        return handlers.handle("getById", HttpApiCached.handler(({ params }) => users.find(params.id)))
      }))
    expect(Group).type.toBe<
      Layer.Layer<
        HttpApiGroup.Service<"api", "users">,
        Other | CacheError.CacheError,
        ResultCache.ResultCache | Users
      >
    >()
  })
})

describe("HttpApiCached.annotate", () => {
  test("infers what the endpoint declares", () => {
    const annotated = getById.pipe(HttpApiCached.annotate({
      deps: (input) => {
        expect(input).type.toBe<ById>()
        return [tag`user:${input.params.id}`]
      },
      timeToLive: (exit) => {
        expect(exit).type.toBe<Exit.Exit<HttpServerResponse.HttpServerResponse, NotFound>>()
        return "1 minute"
      }
    }))
    expect(annotated.identifier).type.toBe<"getById">()
    expect<HttpApiEndpoint.Middleware<typeof annotated>>().type.toBe<HttpApiCached.Middleware>()
    expect<HttpApiEndpoint.Request<typeof annotated>["params"]>().type.toBe<{ readonly id: number }>()
    expect<HttpApiEndpoint.Errors<typeof annotated>>().type.toBe<NotFound>()
  })

  test("rejects tags of what the endpoint does not declare", () => {
    getById.pipe(HttpApiCached.annotate({
      // @ts-expect-error Property 'name' does not exist
      deps: ({ params }): Array<Tag.Input> => [tag`user:${params.name}`]
    }))
  })

  test("leaves clients as they are", () => {
    const Annotated = HttpApi.make("api").add(
      HttpApiGroup.make("users").add(getById.pipe(HttpApiCached.annotate({ timeToLive: "1 minute" })))
    )
    void Effect.all([HttpApiClient.make(Api), HttpApiClient.make(Annotated)]).pipe(Effect.map(([plain, client]) => {
      const request = { params: { id: 1 }, query: {}, headers: { "x-lang": "de" } } as const
      expect(client.users.getById(request)).type.toBe<ReturnType<typeof plain.users.getById<"decoded-only">>>()
    }))
    expect<R<ReturnType<typeof groupOf>>>().type.toBe<HttpApiCached.Middleware>()
    const groupOf = () =>
      HttpApiBuilder.group(Annotated, "users", (handlers) => handlers.handle("getById", () => Effect.succeed(ada)))
  })

  test("needs the services of varyBy from middleware or from the group", () => {
    const before = HttpApiEndpoint.get("me", "/me", { success: User }).pipe(HttpApiCached.annotate({ varyBy: userId }))
    expect<HttpApiEndpoint.MiddlewareServices<typeof before>>().type.toBe<CurrentUser>()
    const provided = before.middleware(Auth)
    expect<HttpApiEndpoint.MiddlewareServices<typeof provided>>().type.toBe<never>()
    const after = me.pipe(HttpApiCached.annotate({ varyBy: userId }))
    expect<HttpApiEndpoint.MiddlewareServices<typeof after>>().type.toBe<never>()
  })

  test("demands varyBy where middleware is known that makes services for one request", () => {
    // @ts-expect-error services of middleware belong to one request
    me.pipe(HttpApiCached.annotate({ timeToLive: "1 minute" }))
    me.pipe(HttpApiCached.annotate({ varyBy: "nothing" }))
  })

  test("rejects a varyBy with errors that are not the endpoint's", () => {
    expect(HttpApiCached.annotate).type.not.toBeInstantiableWith<[typeof getById, Effect.Effect<string, Other>]>()
    getById.pipe(HttpApiCached.annotate({ varyBy: Effect.fail(new NotFound({ id: 1 })) }))
  })
})
