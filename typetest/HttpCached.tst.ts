import { Context, Effect, Layer, Schema } from "effect"
import { Cached, cached, type CacheError, CacheLive, ResultCache, tag } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { describe, expect, test } from "tstyche"

class User extends Schema.Class<User>("User")({ id: Schema.Number, name: Schema.String }) {}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.Number }) {}
class Users extends Context.Service<Users, {
  readonly find: (id: number) => Effect.Effect<User, NotFound>
}>()("typetest/Users") {}
class CurrentUser extends Context.Service<CurrentUser, { readonly id: string }>()("typetest/CurrentUser") {}

const ada = new User({ id: 7, name: "Ada" })
const input = { id: Schema.NumberFromString }
const userId = Effect.map(CurrentUser, ({ id }) => id)
const page = Effect.succeed(HttpServerResponse.text("page"))

type Response = HttpServerResponse.HttpServerResponse

describe("cached(fn)", () => {
  const made = Cached.make("f", { input, success: User }, ({ id }) => Users.use((users) => users.find(id)))

  test("is a handler with the errors of the function, and needs nothing but the request", () => {
    void Effect.map(made, (f) => {
      expect(cached(f)).type.toBe<
        Effect.Effect<Response, NotFound | CacheError.CacheError, Cached.RequestServices>
      >()
      const Route = HttpRouter.add("GET", "/users/:id", cached(f))
      expect(HttpRouter.toWebHandler).type.toBeCallableWith(Route)
    })
  })

  test("needs what varyBy needs", () => {
    const varied = Cached.make(
      "f",
      { success: User, varyBy: Effect.map(CurrentUser, ({ id }) => id) },
      () => Effect.succeed(ada)
    )
    void Effect.map(varied, (f) => {
      expect(cached(f)).type.toBe<
        Effect.Effect<Response, CacheError.CacheError, CurrentUser | Cached.RequestServices>
      >()
    })
  })

  test("takes headers for declared fields only", () => {
    void Effect.map(made, (f) => {
      expect(cached).type.toBeCallableWith(f, { headers: { id: "x-id" } })
      expect(cached).type.not.toBeCallableWith(f, { headers: { name: "x-name" } })
      expect(cached).type.not.toBeCallableWith(f, { header: { id: "x-id" } })
    })
  })
})

describe("cached(handler, definition)", () => {
  test("infers the decoded input in handler, deps and timeToLive", () => {
    const handler = cached((input, varied) => {
      expect(input).type.toBe<{ readonly id: number }>()
      expect(varied).type.toBe<undefined>()
      return Users.use((users) => users.find(input.id))
    }, {
      input,
      success: User,
      deps: ({ id }) => {
        expect(id).type.toBe<number>()
        return [tag`user:${id}`]
      },
      timeToLive: (exit, { id }) => {
        expect(id).type.toBe<number>()
        return exit._tag === "Success" ? "1 minute" : 0
      }
    })
    expect(handler).type.toBe<
      Effect.Effect<
        Response,
        NotFound | CacheError.CacheError,
        Users | ResultCache.ResultCache | Cached.RequestServices
      >
    >()
  })

  test("infers the decoded input in a generator function", () => {
    const handler = cached(
      Effect.fnUntraced(function*({ id }) {
        expect(id).type.toBe<number>()
        return yield* (yield* Users).find(id)
      }),
      { input, success: User }
    )
    expect(handler).type.toBe<
      Effect.Effect<
        Response,
        NotFound | CacheError.CacheError,
        Users | ResultCache.ResultCache | Cached.RequestServices
      >
    >()
  })

  test("can be added to a router", () => {
    const handler = cached(({ id }) => Effect.succeed(new User({ id, name: "Ada" })), { input, success: User })
    const Route = HttpRouter.add("GET", "/users/:id", handler)
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(Layer.provideMerge(Route, CacheLive))
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(Layer.provideMerge(Route, CacheTest.layer))
  })

  test("may use a service that middleware provides per request", () => {
    const handler = cached(() => Effect.map(CurrentUser, ({ id }) => id), {
      success: Schema.String,
      varyBy: Effect.map(CurrentUser, ({ id }) => id)
    })
    expect<Effect.Services<typeof handler>>().type.toBe<
      CurrentUser | ResultCache.ResultCache | Cached.RequestServices
    >()
  })

  test("hands varyBy's value to the handler, and nothing with \"nothing\"", () => {
    void cached((_, user) => {
      expect(user).type.toBe<string>()
      return Effect.succeed(user)
    }, { success: Schema.String, varyBy: userId })
    void cached((_, varied) => {
      expect(varied).type.toBe<undefined>()
      return Effect.succeed("x")
    }, { success: Schema.String, varyBy: "nothing" })
    // @ts-expect-error No overload matches this call
    void cached(() => Effect.succeed("x"), { success: Schema.String, varyBy: "everything" })
  })

  test("provides a Scope to the handler", () => {
    const handler = cached(() => Effect.acquireRelease(Effect.succeed("x"), () => Effect.void), {
      success: Schema.String
    })
    expect<Effect.Services<typeof handler>>().type.toBe<ResultCache.ResultCache | Cached.RequestServices>()
  })

  test("rejects a handler that reads the raw request", () => {
    const definition = { success: Schema.String }
    // @ts-expect-error No overload matches this call
    void cached(() => Effect.map(HttpServerRequest.HttpServerRequest, (request) => request.url), definition)
    // @ts-expect-error No overload matches this call
    void cached(() => Effect.map(HttpServerRequest.ParsedSearchParams, (params) => String(params["q"])), definition)
    // @ts-expect-error No overload matches this call
    void cached(() => Effect.map(HttpRouter.RouteContext, ({ params }) => params["id"] ?? ""), definition)
    void cached(
      // @ts-expect-error No overload matches this call
      Effect.fnUntraced(function*() {
        return (yield* HttpServerRequest.HttpServerRequest).url
      }),
      definition
    )
  })

  test("rejects a wrong result and unknown options", () => {
    // @ts-expect-error No overload matches this call
    void cached(() => Effect.succeed(1), { success: Schema.String })
    // @ts-expect-error No overload matches this call
    void cached(() => Effect.succeed("x"), { success: Schema.String, ttl: 1 })
    // @ts-expect-error Property 'id' does not exist
    void cached(({ id }) => Effect.succeed(String(id)), { success: Schema.String })
    expect(cached).type.not.toBeCallableWith(() => Effect.succeed("x"), {
      input,
      success: Schema.String,
      headers: { lang: "accept-language" }
    })
  })
})

describe("cached(handler, deps)", () => {
  test("takes a response, or a function of the request, and tags or a definition", () => {
    expect(cached(page)).type.toBe<
      Effect.Effect<Response, CacheError.CacheError, ResultCache.ResultCache | Cached.RequestServices>
    >()
    expect(cached(page, ["pages", tag`page:${1}`])).type.toBe<
      Effect.Effect<Response, CacheError.CacheError, ResultCache.ResultCache | Cached.RequestServices>
    >()
    const handler = cached((request) => {
      expect(request).type.toBe<HttpServerRequest.HttpServerRequest>()
      return Users.use((users) => users.find(1)).pipe(Effect.map(({ name }) => HttpServerResponse.text(name)))
    }, {
      deps: (params) => {
        expect(params).type.toBe<Readonly<Record<string, string | undefined>>>()
        return [tag`user:${params["id"] ?? ""}`]
      },
      timeToLive: "1 minute"
    })
    expect(handler).type.toBe<
      Effect.Effect<
        Response,
        NotFound | CacheError.CacheError,
        Users | ResultCache.ResultCache | Cached.RequestServices
      >
    >()
  })

  test("may read the raw request, which is recorded", () => {
    const handler = cached(Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => HttpServerResponse.text(url)))
    const Route = HttpRouter.add("GET", "/page", handler)
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(Layer.provideMerge(Route, CacheLive))
  })

  test("can be added to a router", () => {
    for (const handler of [cached(page), cached(page, ["pages"]), cached(() => page, { varyBy: "nothing" })]) {
      const Route = HttpRouter.add("GET", "/page", handler)
      expect(HttpRouter.toWebHandler).type.toBeCallableWith(Layer.provideMerge(Route, CacheLive))
    }
  })

  test("needs what varyBy needs", () => {
    const handler = cached(page, { varyBy: Effect.map(CurrentUser, ({ id }) => id) })
    expect<Effect.Services<typeof handler>>().type.toBe<
      CurrentUser | ResultCache.ResultCache | Cached.RequestServices
    >()
  })

  test("rejects what is no response, tags that are no text, and unknown options", () => {
    expect(cached).type.not.toBeCallableWith(Effect.succeed("page"))
    expect(cached).type.not.toBeCallableWith(page, [7])
    expect(cached).type.not.toBeCallableWith(page, { tags: ["pages"] })
    expect(cached).type.not.toBeCallableWith(page, { timeToLive: "soon" })
    expect(cached).type.not.toBeCallableWith(page, { varyBy: "everything" })
  })
})
