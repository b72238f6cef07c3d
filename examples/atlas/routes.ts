/**
 * The routes of the atlas, cached in every form that the library has.
 *
 * **Tags**
 *
 * A tag ends what carries it, and what carries anything below it. There are three families:
 *
 * - `city:<id>` is one city. Every result that shows the city carries it.
 * - `country:<code>` is one country, and `country:<code>:cities`, below it, is which cities it has and how large they
 *   are. Every result that selects, sorts or adds up cities carries it, because there the cities count that it does not
 *   show: the next one to enter a list is not on it yet.
 * - `continent:<code>:cities` is the same for a whole continent. Rankings and reports, in `reports.ts`, carry it: one tag
 *   in the place of fifty.
 *
 * So whoever changes a city invalidates three tags, and has to know of no route. What is said about the country itself
 * stays.
 */
import { Clock, Context, DateTime, Effect, Layer, Schema } from "effect"
import { addDeps, Cached, cached, CachePolicy, invalidate, setLifetime, type Tag, tag } from "effect-cached"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as CityApi from "./api.ts"
import { Atlas, City, Continent, Country, CountryCode, CountryNotFound, NearbyCity, Point } from "./Atlas.ts"
import { Limit, Natural } from "./inputs.ts"
import { PopulationReports, Rankings, Standings } from "./reports.ts"
import { Sun, sunAt } from "./sun.ts"

const MinPopulation = Natural.pipe(Schema.withDecodingDefaultKey(Effect.succeed("0")))

// A route in one piece: its input is the key, its result the body, and its services are taken when the layer is built.
// A `CountryNotFound` is a 404 for all who wait. Failures are not stored, unless they are given a lifetime, as here.
const GetCountry = Cached.route(
  "GET",
  "/countries/:code",
  {
    input: { code: CountryCode },
    success: Country,
    error: CountryNotFound,
    deps: ({ code }) => [tag`country:${code}`],
    policy: { errorTimeToLive: "1 minute" }
  },
  Effect.fnUntraced(function*({ code }) {
    return yield* (yield* Atlas).country(code)
  })
)

// Some tags are known from the input, and the others only with the result: `addDeps` adds those.
const GetCities = Cached.route(
  "GET",
  "/countries/:code/cities",
  {
    input: { code: CountryCode, minPopulation: MinPopulation, limit: Limit },
    success: Schema.Array(City),
    deps: ({ code }) => [tag`country:${code}:cities`]
  },
  Effect.fnUntraced(function*({ code, limit, minPopulation }) {
    const atlas = yield* Atlas
    yield* atlas.country(code)
    const cities = yield* atlas.citiesOf(code, { limit, minPopulation })
    yield* addDeps(...cities.map(({ id }) => tag`city:${id}`))
    return cities
  })
)

// A computation that knows best how long its result is good for says so while it runs.
const GetSun = Cached.route(
  "GET",
  "/cities/:id/sun",
  {
    input: { id: Natural },
    success: Sun,
    deps: ({ id }) => [tag`city:${id}`]
  },
  Effect.fnUntraced(function*({ id }) {
    const city = yield* (yield* Atlas).city(id)
    const now = yield* Clock.currentTimeMillis
    const sun = sunAt(city, now)
    yield* setLifetime({ timeToLive: DateTime.toEpochMillis(sun.until) - now })
    return sun
  })
)

// Nobody waits twice for what is slow: after its hour a result is served on while it is computed anew, and for a day where that
// fails. What is invalidated is not served on.
const slow = CachePolicy.make({ timeToLive: "1 hour", staleWhileRevalidate: "1 hour", staleIfError: "1 day" })

// A handler with a definition, for `HttpRouter.add`: it runs with the services of the request, and gets its input decoded.
// No tag tells of a city that is founded, so the result has a lifetime.
const GetNearest = HttpRouter.add(
  "GET",
  "/nearest",
  cached(
    Effect.fnUntraced(function*({ count, ...point }) {
      const cities = yield* (yield* Atlas).nearest(point, count)
      yield* addDeps(...cities.map(({ id }) => tag`city:${id}`))
      return cities
    }),
    {
      input: {
        latitude: Schema.FiniteFromString.pipe(Schema.decodeTo(Point.fields.latitude)),
        longitude: Schema.FiniteFromString.pipe(Schema.decodeTo(Point.fields.longitude)),
        count: Limit
      },
      success: Schema.Array(NearbyCity),
      policy: slow
    }
  )
)

// A cached function is served as it is.
const GetRankings = HttpRouter.use(Effect.fnUntraced(function*(router) {
  yield* router.add("GET", "/rankings/:continent/:measure", cached(yield* Rankings))
}))

const GetPopulationReport = HttpRouter.use(Effect.fnUntraced(function*(router) {
  yield* router.add("GET", "/reports/population/:continent/:places/:band", cached(yield* PopulationReports))
}))

const titles = { en: "The largest countries", de: "Die größten Länder", fr: "Les plus grands pays" }

// Any handler, its response cached whole. What it reads of the request, here one header, becomes a part of the key
// and of `Vary`. Browsers ask each time. A CDN in front may keep it as long as it lives here: it gets the tags, and can be told
// by them what has ended.
const GetOverview = HttpRouter.add(
  "GET",
  "/",
  cached(
    Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
      const standings = yield* Standings
      const language = request.headers["accept-language"]?.slice(0, 2)
      const lines = [language === "de" || language === "fr" ? titles[language] : titles.en]
      for (const continent of Continent.literals) {
        const [first, second, third] = yield* standings({ continent, measure: "population" })
        lines.push(`${continent}: ${first?.name}, ${second?.name}, ${third?.name}`)
      }
      return HttpServerResponse.text(lines.join("\n"), { contentType: "text/plain; charset=utf-8" })
    }),
    { timeToLive: "1 hour", http: { cdnCacheControl: "policy", tagHeader: "Cache-Tag" } }
  )
)

/** Whoever sent the request. */
export class CurrentUser extends Context.Service<CurrentUser, {
  readonly name: string
}>()("effect-cached/examples/atlas/CurrentUser") {}

const favourites = new Map<string, ReadonlyArray<number>>([
  ["ada", [2643743, 2988507]],
  ["grace", [5128581]]
])

// Middleware runs for every request, also for those that are answered from the cache.
const Authentication = HttpRouter.middleware<{ provides: CurrentUser }>()((httpEffect) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const name = /^Bearer (\w+)$/.exec(request.headers["authorization"] ?? "")?.[1]
    return name !== undefined && favourites.has(name)
      ? yield* Effect.provideService(httpEffect, CurrentUser, { name })
      : HttpServerResponse.empty({ status: 401, headers: { "www-authenticate": "Bearer" } })
  })
).layer

// `CurrentUser` differs between requests, so the function cannot ask for it: that would not compile. `varyBy` puts the name
// into the key and hands it over.
const GetFavourites = Cached.route(
  "GET",
  "/me/favourites",
  {
    success: Schema.Array(City),
    varyBy: Effect.map(CurrentUser, (user) => user.name)
  },
  Effect.fnUntraced(function*(_, name) {
    const atlas = yield* Atlas
    const ids = favourites.get(name) ?? []
    yield* addDeps(...ids.map((id) => tag`city:${id}`))
    return yield* Effect.forEach(ids, atlas.city)
  })
).pipe(Layer.provide(Authentication))

const cityId = HttpRouter.schemaPathParams(Schema.Struct({ id: Natural }))
const newPopulation = HttpServerRequest.schemaBodyJson(Schema.Struct({ population: Schema.Natural }))
const cityJson = HttpServerResponse.schemaJson(City)

const PutCity = HttpRouter.use(Effect.fnUntraced(function*(router) {
  // This database begins anew with each start, and a cache in a file does not: it must not remember what was undone.
  const changed = new Set<Tag.Tag>()
  yield* Effect.addFinalizer(() => Effect.ignore(invalidate(...changed), { log: true }))

  // First the write, then the invalidation: whatever is computed from the old row in between is not kept. And both or
  // none: a client that hangs up must not come between them.
  const setPopulation = Effect.fnUntraced(function*(id: number, population: number) {
    const atlas = yield* Atlas
    const city = yield* atlas.setPopulation(id, population)
    const { code, continent } = yield* Effect.orDie(atlas.country(city.country))
    const tags = [tag`city:${id}`, tag`country:${code}:cities`, tag`continent:${continent}:cities`]
    tags.forEach((tag) => changed.add(tag))
    yield* invalidate(...tags)
    return city
  }, Effect.uninterruptible)

  yield* router.add(
    "PUT",
    "/cities/:id",
    Effect.gen(function*() {
      const { id } = yield* cityId
      const { population } = yield* newPopulation
      return yield* cityJson(yield* setPopulation(id, population))
    }).pipe(
      Effect.catchTag("SchemaError", (error) => Effect.succeed(HttpServerResponse.text(error.message, { status: 400 })))
    )
  )
}))

/**
 * The service, on whatever `HttpServer`, reports and cache it is given.
 *
 * Without the logger: a line for each request would cost more than a hit.
 */
export const layer = HttpRouter.serve(
  Layer.mergeAll(
    GetOverview,
    GetCountry,
    GetCities,
    GetSun,
    GetNearest,
    GetRankings,
    GetPopulationReport,
    GetFavourites,
    PutCity,
    CityApi.layer
  ),
  { disableLogger: true, disableListenLog: true }
)
