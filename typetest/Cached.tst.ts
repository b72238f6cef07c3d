import { Context, type Duration, Effect, type Exit, Layer, Option, Schema, type Scope } from "effect"
import { Cached, cached, type CacheError, CacheLive, CachePolicy, ResultCache, tag } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { HttpRouter, type HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { describe, expect, test } from "tstyche"

class User extends Schema.Class<User>("User")({ id: Schema.Number, name: Schema.String }) {}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.Number }) {}
class Users extends Context.Service<Users, {
  readonly find: (id: number) => Effect.Effect<User, NotFound>
}>()("typetest/Users") {}
class CurrentUser extends Context.Service<CurrentUser, { readonly id: string }>()("typetest/CurrentUser") {}

const ada = new User({ id: 7, name: "Ada" })

const id: { id: typeof Schema.NumberFromString } = { id: Schema.NumberFromString }

const factory = <S extends Schema.Top>(success: S, value: S["Type"]) =>
  Cached.make("f", { success }, () => Effect.succeed(value))

describe("Cached.make", () => {
  test("infers the decoded input in f, deps and timeToLive", () => {
    void Cached.make("f", {
      input: {
        id: Schema.NumberFromString,
        at: Schema.optional(Schema.DateFromString),
        role: Schema.Literals(["a", "b"])
      },
      success: User,
      deps: (input) => {
        expect(input).type.toBe<{ readonly id: number; readonly at?: Date | undefined; readonly role: "a" | "b" }>()
        return [tag`user:${input.id}`]
      },
      timeToLive: (exit, input) => {
        expect(exit).type.toBe<Exit.Exit<User>>()
        expect(input.id).type.toBe<number>()
        expect(input.at).type.toBe<Date | undefined>()
        return "5 minutes"
      }
    }, (input) => {
      expect(input).type.toBe<{ readonly id: number; readonly at?: Date | undefined; readonly role: "a" | "b" }>()
      return Effect.succeed(ada)
    })
  })

  test("infers the decoded input in a generator function", () => {
    const made = Cached.make(
      "f",
      { input: id, success: User },
      Effect.fnUntraced(function*({ id }) {
        expect(id).type.toBe<number>()
        return yield* (yield* Users).find(id)
      })
    )
    expect(made).type.toBe<
      Effect.Effect<
        Cached.Cached<{ id: typeof Schema.NumberFromString }, typeof User, NotFound>,
        CacheError.CacheError,
        Users | ResultCache.ResultCache
      >
    >()
  })

  test("gives a function of the input that returns the success type and fails with what f fails with", () => {
    const made = Cached.make("f", { input: id, success: User }, ({ id }) => Users.use((users) => users.find(id)))
    void Effect.map(made, (f) => {
      expect(f({ id: 7 })).type.toBe<Effect.Effect<User, NotFound | CacheError.CacheError>>()
      expect(f.refresh({ id: 7 })).type.toBe<Effect.Effect<User, NotFound | CacheError.CacheError>>()
      expect(f.forget).type.toBeCallableWith({ id: 7 })
      expect(f.forgetAll).type.toBe<Effect.Effect<void, CacheError.CacheError>>()
    })
  })

  test("returns the type side of the schema", () => {
    const Result = Schema.Struct({ at: Schema.DateFromString, tags: Schema.Array(Schema.NumberFromString) })
    void Effect.map(
      Cached.make("f", { success: Result }, () => Effect.succeed({ at: new Date(0), tags: [1] })),
      (f) => {
        expect(f()).type.toBe<
          Effect.Effect<{ readonly at: Date; readonly tags: ReadonlyArray<number> }, CacheError.CacheError>
        >()
      }
    )
  })

  test("keeps the tags of several errors, so that callers can select them", () => {
    class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}
    const made = Cached.make(
      "f",
      { input: id, success: User },
      Effect.fnUntraced(function*({ id }) {
        if (id < 0) return yield* new Busy()
        return yield* (yield* Users).find(id)
      })
    )
    void Effect.map(made, (f) => {
      expect(f({ id: 7 })).type.toBe<Effect.Effect<User, Busy | NotFound | CacheError.CacheError>>()
      const caught = f({ id: 7 }).pipe(
        Effect.catchTag("NotFound", () => Effect.succeed(ada)),
        Effect.catchReason("CacheError", "InputError", () => Effect.succeed(ada))
      )
      expect(caught).type.toBeAssignableTo<Effect.Effect<User, Busy | CacheError.CacheError>>()
    })
  })

  test("needs the services of f when it is made, none when it is called", () => {
    const made = Cached.make("f", { success: User }, () => Users.use((users) => users.find(1)))
    expect<Effect.Services<typeof made>>().type.toBe<Users | ResultCache.ResultCache>()
    void Effect.map(made, (f) => {
      expect<Effect.Services<ReturnType<typeof f>>>().type.toBe<never>()
    })
  })

  test("provides a Scope to f", () => {
    const made = Cached.make(
      "f",
      { success: Schema.Number },
      () => Effect.acquireRelease(Effect.succeed(1), () => Effect.void)
    )
    expect<Effect.Services<typeof made>>().type.toBe<ResultCache.ResultCache>()
    const also = Cached.make(
      "f",
      { success: User },
      () => Effect.andThen(Effect.scope, Users.use((users) => users.find(1)))
    )
    expect<Effect.Services<typeof also>>().type.toBe<Users | ResultCache.ResultCache>()
  })

  test("can be called without an input where nothing is required", () => {
    void Effect.map(Cached.make("f", { success: Schema.Number }, () => Effect.succeed(1)), (f) => {
      expect(f).type.toBeCallableWith()
      expect(f).type.toBeCallableWith({})
      expect(f.refresh).type.toBeCallableWith()
      expect(f.forget).type.toBeCallableWith()
    })
    const optional = { limit: Schema.optional(Schema.Number), name: Schema.optionalKey(Schema.String) }
    void Effect.map(Cached.make("f", { input: optional, success: Schema.Number }, () => Effect.succeed(1)), (f) => {
      expect(f).type.toBeCallableWith()
      expect(f).type.toBeCallableWith({ limit: 1 })
      expect(f).type.toBeCallableWith({ name: "x" })
      expect(f).type.not.toBeCallableWith({ limit: "1" })
    })
  })

  test("gives f an empty input where none is declared", () => {
    void Cached.make("f", { success: Schema.Number }, (input) => {
      expect(input).type.toBe<{}>()
      return Effect.succeed(1)
    })
  })

  test("rejects a wrong input at the call", () => {
    void Effect.map(Cached.make("f", { input: id, success: User }, () => Effect.succeed(ada)), (f) => {
      expect(f).type.toBeCallableWith({ id: 7 })
      expect(f).type.not.toBeCallableWith()
      expect(f).type.not.toBeCallableWith({})
      expect(f).type.not.toBeCallableWith({ id: "7" })
      expect(f).type.not.toBeCallableWith({ id: 7, name: "Ada" })
      expect(f).type.not.toBeCallableWith({ id: 7 }, { id: 8 })
      expect(f.refresh).type.not.toBeCallableWith()
      expect(f.refresh).type.not.toBeCallableWith({ id: "7" })
      expect(f.forget).type.not.toBeCallableWith()
      expect(f.forget).type.not.toBeCallableWith({ id: "7" })
    })
  })

  test("rejects a result of another type", () => {
    // @ts-expect-error Type 'string' is not assignable to type 'number'
    void Cached.make("f", { success: Schema.Number }, () => Effect.succeed("1"))
    // @ts-expect-error 'User'
    void Cached.make("f", { success: User }, () => Effect.succeed({ id: 7 }))
    // @ts-expect-error Type 'string' is not assignable to type 'Date'
    void Cached.make("f", { success: Schema.DateFromString }, () => Effect.succeed("1970-01-01"))
    // @ts-expect-error Type 'undefined' is not assignable to type 'number'
    void Cached.make("f", { success: Schema.Number }, () => Effect.succeed(undefined))
  })

  test("rejects an f that wants an input that is not declared", () => {
    void Cached.make(
      "f",
      { input: id, success: Schema.String },
      // @ts-expect-error Property 'name' is missing
      (input: { readonly name: string }) => Effect.succeed(input.name)
    )
    // @ts-expect-error Property 'name' does not exist
    void Cached.make("f", { input: id, success: Schema.String }, ({ name }) => Effect.succeed(name))
    void Cached.make("f", {
      input: id,
      success: User,
      // @ts-expect-error Property 'name' does not exist
      deps: ({ name }) => [tag`user:${name}`]
    }, () => Effect.succeed(ada))
  })

  test("rejects a definition without a result schema, and options that it does not know", () => {
    // @ts-expect-error Property 'success' is missing
    void Cached.make("f", { input: id }, () => Effect.succeed(1))
    // @ts-expect-error 'ttl' does not exist
    void Cached.make("f", { success: User, ttl: "5 minutes" }, () => Effect.succeed(ada))
    // @ts-expect-error 'dependencies' does not exist
    void Cached.make("f", { input: id, success: User, dependencies: () => [] }, () => Effect.succeed(ada))
    // @ts-expect-error 'headers' does not exist
    void Cached.make("f", { input: id, success: User, headers: { id: "x-id" } }, () => Effect.succeed(ada))
  })

  test("rejects tags that are not text, and durations that are not durations", () => {
    // @ts-expect-error Type 'number' is not assignable to type 'Input'
    void Cached.make("f", { input: id, success: User, deps: ({ id }) => [id] }, () => Effect.succeed(ada))
    void Cached.make("f", {
      input: id,
      success: User,
      // @ts-expect-error Argument of type '{ id: number; }' is not assignable to parameter of type 'Segment'
      deps: ({ id }) => [tag`user:${{ id }}`]
    }, () => Effect.succeed(ada))
    // @ts-expect-error is not assignable to type
    void Cached.make("f", { success: User, timeToLive: "soon" }, () => Effect.succeed(ada))
    // @ts-expect-error is not assignable to type
    void Cached.make("f", { success: User, timeToLive: () => "soon" }, () => Effect.succeed(ada))
    const duration: Duration.Input = "5 minutes"
    void Cached.make("f", { success: User, timeToLive: duration }, () => Effect.succeed(ada))
  })

  test("rejects an f that reads the raw request, and says what to do", () => {
    void Cached.make(
      "f",
      { success: Schema.String },
      // @ts-expect-error a cached function may read only what its key covers: declare this request input in `input`
      () => Effect.map(HttpServerRequest.HttpServerRequest, (request) => request.url)
    )
    void Cached.make(
      "f",
      { success: Schema.Boolean },
      // @ts-expect-error a cached function may read only what its key covers: declare this request input in `input`
      () => Effect.map(HttpServerRequest.ParsedSearchParams, (params) => "verbose" in params)
    )
    void Cached.make(
      "f",
      { success: Schema.Boolean },
      // @ts-expect-error a cached function may read only what its key covers: declare this request input in `input`
      () => Effect.map(HttpRouter.RouteContext, ({ params }) => "id" in params)
    )
    void Cached.make(
      "f",
      { input: id, success: User },
      // @ts-expect-error a cached function may read only what its key covers: declare this request input in `input`
      Effect.fnUntraced(function*({ id }) {
        yield* HttpServerRequest.HttpServerRequest
        return yield* (yield* Users).find(id)
      })
    )
    void Cached.make(
      "f",
      { success: Schema.String },
      // @ts-expect-error a cached function may read only what its key covers: declare this request input in `input`
      () => Effect.as(HttpServerRequest.schemaCookies(Schema.Struct({ session: Schema.String })), "x")
    )
  })

  test("puts varyBy's value after the input, its errors into the call, and its services into who calls", () => {
    const made = Cached.make("f", {
      input: id,
      success: User,
      varyBy: Effect.map(CurrentUser, (user) => user.id)
    }, ({ id }, user) => {
      expect(id).type.toBe<number>()
      expect(user).type.toBe<string>()
      return Users.use((users) => users.find(id))
    })
    expect<Effect.Services<typeof made>>().type.toBe<Users | ResultCache.ResultCache>()
    void Effect.map(made, (f) => {
      expect(f({ id: 7 })).type.toBe<Effect.Effect<User, NotFound | CacheError.CacheError, CurrentUser>>()
      expect(f.refresh({ id: 7 })).type.toBe<Effect.Effect<User, NotFound | CacheError.CacheError, CurrentUser>>()
      expect<Effect.Services<ReturnType<typeof f.forget>>>().type.toBe<CurrentUser>()
    })
    const failing = Cached.make("f", {
      success: Schema.Number,
      varyBy: Effect.as(Effect.fail(new NotFound({ id: 1 })), { a: [1, "x"] as const })
    }, (_, varied) => {
      expect(varied).type.toBeAssignableTo<{ readonly a: readonly [1, "x"] }>()
      return Effect.succeed(1)
    })
    void Effect.map(failing, (f) => {
      expect(f()).type.toBe<Effect.Effect<number, NotFound | CacheError.CacheError>>()
    })
  })

  test("gives f no second value to rely on without varyBy", () => {
    void Cached.make("f", { success: Schema.Number }, (_, varied) => {
      expect(varied).type.toBe<undefined>()
      return Effect.succeed(1)
    })
    // @ts-expect-error Type 'undefined' is not assignable to type 'string'
    void Cached.make("f", { success: Schema.Number }, (_: {}, varied: string) => Effect.succeed(varied.length))
  })

  test("rejects a varyBy whose value has no stable encoding", () => {
    // @ts-expect-error Date
    void Cached.make("f", { success: Schema.Number, varyBy: Effect.succeed(new Date(0)) }, () => Effect.succeed(1))
    // @ts-expect-error is not assignable to type
    void Cached.make("f", { success: Schema.Number, varyBy: Effect.succeed(() => 1) }, () => Effect.succeed(1))
    // @ts-expect-error is not assignable to type
    void Cached.make("f", { success: Schema.Number, varyBy: Effect.succeed(Symbol("s")) }, () => Effect.succeed(1))
  })

  test("may read the raw request in varyBy, which is the key", () => {
    const made = Cached.make("f", {
      success: Schema.String,
      varyBy: Effect.map(HttpServerRequest.HttpServerRequest, (request) => request.headers["accept-language"])
    }, (_, language) => {
      expect(language).type.toBe<string | undefined>()
      return Effect.succeed(language ?? "en")
    })
    expect<Effect.Services<typeof made>>().type.toBe<ResultCache.ResultCache>()
  })

  test("asks for the services of the schemas, of the input and of the result", () => {
    interface Needed {
      readonly needed: unique symbol
    }
    const withService = Schema.String as Schema.Codec<string, string, Needed>
    const input = Cached.make("f", { input: { a: withService }, success: Schema.Number }, () => Effect.succeed(1))
    expect<Effect.Services<typeof input>>().type.toBe<Needed | ResultCache.ResultCache>()
    const result = Cached.make("f", { success: withService }, () => Effect.succeed("x"))
    expect<Effect.Services<typeof result>>().type.toBe<Needed | ResultCache.ResultCache>()
  })

  test("is given by a factory whose schema is generic", () => {
    expect(factory(User, ada)).type.toBeAssignableTo<
      Effect.Effect<Cached.Cached<{}, typeof User>, CacheError.CacheError, ResultCache.ResultCache>
    >()
  })
})

describe("Cached.route", () => {
  const GetUser = Cached.route(
    "GET",
    "/users/:id",
    {
      input: id,
      success: User,
      deps: ({ id }) => [tag`user:${id}`],
      timeToLive: "5 minutes"
    },
    Effect.fnUntraced(function*({ id }) {
      return yield* (yield* Users).find(id)
    })
  )

  test("is a layer that needs the router, the cache and the services of f, and tells its errors to the router", () => {
    expect(GetUser).type.toBe<
      Layer.Layer<
        never,
        CacheError.CacheError,
        | HttpRouter.HttpRouter
        | Users
        | ResultCache.ResultCache
        | HttpRouter.Request<"Error", NotFound>
        | HttpRouter.Request<"Error", CacheError.CacheError>
      >
    >()
  })

  const served = Layer.provide(GetUser, Layer.succeed(Users)({ find: () => Effect.succeed(ada) }))

  test("can be served once its services and a cache are there, be it CacheLive or the cache for tests", () => {
    expect(HttpRouter.toWebHandler).type.not.toBeCallableWith(served)
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(Layer.provide(served, CacheLive))
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(Layer.provide(served, CacheTest.layer))
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(
      Layer.provide(served, ResultCache.layerMemory({ maxEntries: 10 }))
    )
    expect<Layer.Services<ReturnType<typeof provided>>>().type.toBe<
      Layer.Services<ReturnType<typeof providedForTests>>
    >()
  })
  const provided = () => Layer.provide(served, CacheLive)
  const providedForTests = () => Layer.provide(served, CacheTest.layer)

  test("takes headers for declared fields only", () => {
    void Cached.route(
      "GET",
      "/",
      { input: { lang: Schema.String }, success: User, headers: { lang: "accept-language" } },
      () => Effect.succeed(ada)
    )
    const input = { lang: Schema.String }
    // @ts-expect-error 'language' does not exist
    const unknown: Parameters<typeof localised>[0] = { input, success: User, headers: { language: "x" } }
    // @ts-expect-error Type 'number' is not assignable to type 'string'
    const number: Parameters<typeof localised>[0] = { input, success: User, headers: { lang: 1 } }
    expect([unknown, number]).type.toBeAssignableTo<ReadonlyArray<unknown>>()
  })
  const localised = (definition: Cached.RouteDefinition<{ lang: typeof Schema.String }, typeof User>) => definition

  test("rejects unknown methods, paths, options, wrong results and inputs", () => {
    // @ts-expect-error is not assignable to parameter of type
    void Cached.route("FETCH", "/", { success: User }, () => Effect.succeed(ada))
    // @ts-expect-error is not assignable to parameter of type
    void Cached.route("GET", "users", { success: User }, () => Effect.succeed(ada))
    // @ts-expect-error 'ttl' does not exist
    void Cached.route("GET", "/", { success: User, ttl: 1 }, () => Effect.succeed(ada))
    // @ts-expect-error Type 'number' is not assignable to type 'User'
    void Cached.route("GET", "/", { success: User }, () => Effect.succeed(1))
    // @ts-expect-error Property 'name' does not exist
    void Cached.route("GET", "/", { input: id, success: Schema.String }, ({ name }) => Effect.succeed(name))
  })

  test("rejects an f that reads the raw request", () => {
    void Cached.route(
      "GET",
      "/",
      { success: Schema.String },
      // @ts-expect-error a cached function may read only what its key covers: declare this request input in `input`
      () => Effect.map(HttpServerRequest.HttpServerRequest, (request) => request.url)
    )
    void Cached.route(
      "GET",
      "/",
      { success: Schema.Boolean },
      // @ts-expect-error a cached function may read only what its key covers: declare this request input in `input`
      () => Effect.map(HttpServerRequest.ParsedSearchParams, (params) => "verbose" in params)
    )
    void Cached.route(
      "GET",
      "/",
      { success: Schema.Boolean },
      // @ts-expect-error a cached function may read only what its key covers: declare this request input in `input`
      () => Effect.map(HttpRouter.RouteContext, ({ params }) => "id" in params)
    )
    void Cached.route(
      "GET",
      "/:id",
      { success: Schema.Unknown },
      // @ts-expect-error a cached function may read only what its key covers: declare this request input in `input`
      () => Effect.orDie(HttpRouter.schemaPathParams(Schema.Struct(id)))
    )
  })

  const Authentication = HttpRouter.middleware<{ provides: CurrentUser }>()(
    Effect.succeed((httpEffect) => Effect.provideService(httpEffect, CurrentUser, { id: "ada" }))
  )

  test("cannot take a service that middleware provides per request: the program does not compile", () => {
    const Mine = Cached.route(
      "GET",
      "/mine",
      { success: Schema.String },
      () => Effect.map(CurrentUser, (user) => user.id)
    )
    const app = Mine.pipe(Layer.provide(Authentication.layer), Layer.provide(CacheLive))
    expect<Extract<Layer.Services<typeof app>, CurrentUser>>().type.toBe<CurrentUser>()
    expect(HttpRouter.toWebHandler).type.not.toBeCallableWith(app)
    expect<
      Layer.Services<
        ReturnType<typeof HttpRouter.serve<never, CacheError.CacheError, Layer.Services<typeof app>, unknown>>
      >
    >()
      .type.toBeAssignableFrom<CurrentUser>()
    // The same handler without a cache is served.
    const plain = HttpRouter.add("GET", "/mine", Effect.map(CurrentUser, (user) => HttpServerResponse.text(user.id)))
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(Layer.provide(plain, Authentication.layer))
  })

  test("can depend on it through varyBy, whose value reaches f", () => {
    const Mine = Cached.route("GET", "/mine", {
      success: Schema.String,
      varyBy: Effect.map(CurrentUser, (user) => user.id)
    }, (_, user) => {
      expect(user).type.toBe<string>()
      return Effect.succeed(user)
    })
    expect<Extract<Layer.Services<typeof Mine>, HttpRouter.Request<"Requires", any>>>().type.toBe<
      HttpRouter.Request<"Requires", CurrentUser>
    >()
    const without = HttpRouter.serve(Layer.provide(Mine, CacheLive))
    expect<Extract<Layer.Services<typeof without>, CurrentUser>>().type.toBe<CurrentUser>()
    const authenticated = HttpRouter.serve(Mine.pipe(Layer.provide(Authentication.layer), Layer.provide(CacheLive)))
    expect<Layer.Services<typeof authenticated>>().type.toBe<HttpServer.HttpServer>()
  })

  test("may read the raw request in varyBy, which every request has", () => {
    const Localised = Cached.route("GET", "/", {
      success: Schema.String,
      varyBy: Effect.map(HttpServerRequest.HttpServerRequest, (request) => request.headers["accept-language"] ?? "en")
    }, (_, language) => Effect.succeed(language))
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(Layer.provide(Localised, CacheLive))
  })

  test("provides a Scope to f", () => {
    const Scoped = Cached.route(
      "GET",
      "/",
      { success: Schema.Number },
      () => Effect.acquireRelease(Effect.succeed(1), () => Effect.void)
    )
    expect<Extract<Layer.Services<typeof Scoped>, Scope.Scope>>().type.toBe<never>()
    expect(HttpRouter.toWebHandler).type.toBeCallableWith(Layer.provide(Scoped, CacheLive))
  })
})

describe("Cached.isCached", () => {
  test("narrows what it is given", () => {
    const value: unknown = Option.none()
    if (Cached.isCached(value)) {
      expect(value).type.toBe<Cached.Cached<any, any, unknown, unknown>>()
      expect(cached).type.toBeCallableWith(value)
    }
  })
})

const find = ({ id }: { readonly id: number }): Effect.Effect<User, NotFound> => Effect.fail(new NotFound({ id }))

describe("Policies", () => {
  test("are typed by the result, the error and the input of the definition", () => {
    void Cached.make("f", {
      input: id,
      success: User,
      error: NotFound,
      policy: {
        timeToLive: (exit, input) => {
          expect(exit).type.toBeAssignableTo<Exit.Exit<User, NotFound>>()
          expect(input).type.toBe<{ readonly id: number }>()
          return "1 minute"
        },
        errorTimeToLive: (error, input) => {
          expect(error).type.toBe<NotFound>()
          expect(input).type.toBe<{ readonly id: number }>()
          return 1000
        }
      }
    }, ({ id }) => find({ id }))
  })

  test("that take nothing from a definition fit every one, and compose", () => {
    const base = CachePolicy.make({ timeToLive: "1 minute", staleIfError: { upTo: "1 hour", backOff: "1 second" } })
    void Cached.make("f", { success: User, policy: base }, () => Effect.succeed(ada))
    void Cached.make(
      "g",
      { success: Schema.Number, policy: CachePolicy.override(base, { jitter: 0.1 }) },
      () => Effect.succeed(1)
    )
    expect(ResultCache.layerMemory).type.toBeCallableWith({ policy: base })
  })

  test("of one function do not fit one with another result", () => {
    const ofUser = CachePolicy.make<User, never, {}>({
      timeToLive: (exit) => exit._tag === "Success" ? exit.value.id : 0
    })
    expect(Cached.make).type.not.toBeCallableWith(
      "f",
      { success: Schema.Number, policy: ofUser },
      () => Effect.succeed(1)
    )
  })

  test("of a schema that is not that of the error do not compile", () => {
    expect(Cached.make).type.not.toBeCallableWith(
      "f",
      { input: id, success: User, error: Schema.String },
      ({ id }: { readonly id: number }) => find({ id })
    )
  })
})

describe("Cached.with", () => {
  test("gives the same function, which can still be handed on as it is", () => {
    void Effect.gen(function*() {
      const fn = yield* Cached.make("f", { input: id, success: User }, () => Effect.succeed(ada))
      const fresh = fn.with({ fresh: true, noStore: true })
      expect(fresh({ id: 7 })).type.toBe<Effect.Effect<User, CacheError.CacheError>>()
      expect(fresh).type.not.toBeCallableWith({ id: "7" })
      expect(fn.with).type.not.toBeCallableWith({ stale: true })
      expect(Effect.forEach([{ id: 7 }], fn)).type.toBe<Effect.Effect<Array<User>, CacheError.CacheError>>()
    })
  })
})
