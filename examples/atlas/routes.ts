/**
 * The routes of the atlas, cached in every form that the library has.
 *
 * **Tags**
 *
 * A tag ends what carries it, and what carries anything below it. There are two families:
 *
 * - `city:<id>` is one city. Every result that shows the city carries it.
 * - `country:<code>` is one country, and `country:<code>:cities`, below it, is which cities it has and how large they
 *   are. Every result that selects, sorts or adds up cities carries it, because there the cities count that it does not
 *   show: the next one to enter a list is not on it yet.
 *
 * So whoever changes a city invalidates two tags, `city:<id>` and `country:<code>:cities`, and has to know of no route.
 * Rankings of a continent follow from that: they carry `country:<code>:cities` of each country in them. What is said about
 * the country itself stays. To end all that is known of France, invalidate `country:FR`.
 */
import { Array, Context, Effect, Layer, Schema } from "effect"
import { addDeps, Cached, cached, invalidate, tag } from "effect-cached"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Atlas, City, Continent, Country, CountryCode, Measure, NearbyCity, Point, Ranking } from "./Atlas.ts"

// Inputs come as text. `?limit=10`, `?limit=010` and no limit at all are the same input, and so the same entry.
const Natural = Schema.FiniteFromString.pipe(Schema.decodeTo(Schema.Natural))
const MinPopulation = Natural.pipe(Schema.withDecodingDefaultKey(Effect.succeed("0")))
const Limit = Natural.check(Schema.isBetween({ minimum: 1, maximum: 1000 })).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed("10"))
)

// A route in one piece: its input is the key, its result the body, and its services are taken when the layer is built.
// A `CountryNotFound` is a 404 for all who wait, and is not stored.
const GetCountry = Cached.route(
  "GET",
  "/countries/:code",
  {
    input: { code: CountryCode },
    success: Country,
    deps: ({ code }) => [tag`country:${code}`]
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

// A handler with a definition, for `HttpRouter.add`: it runs with the services of the request, and gets its input decoded.
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
      success: Schema.Array(NearbyCity)
    }
  )
)

const makeStandings = Cached.make(
  "standings",
  {
    input: { continent: Continent, measure: Measure },
    success: Schema.Array(Ranking)
  },
  Effect.fnUntraced(function*({ continent, measure }) {
    const lines = yield* (yield* Atlas).rankings(continent, measure)
    yield* addDeps(...lines.map(({ country }) => tag`country:${country}:cities`))
    return lines
  })
)

/** The whole ranking of a continent: a cached function, which other cached results are made of. */
export class Standings
  extends Context.Service<Standings, Effect.Success<typeof makeStandings>>()("effect-cached/examples/atlas/Standings")
{
  static readonly layer = Layer.effect(Standings, makeStandings)
}

// A cached function that reads another, and is served as it is. It says nothing of tags: what it reads ends it.
const GetRankings = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const standings = yield* Standings
  const rankings = yield* Cached.make("rankings", {
    input: { continent: Continent, measure: Measure, limit: Limit },
    success: Schema.Array(Ranking)
  }, ({ continent, limit, measure }) => Effect.map(standings({ continent, measure }), Array.take(limit)))
  yield* router.add("GET", "/rankings/:continent/:measure", cached(rankings))
}))

const titles = { en: "The largest countries", de: "Die größten Länder", fr: "Les plus grands pays" }

// Any handler, its response cached whole. What it reads of the request, here one header, becomes a part of the key
// and of `Vary`.
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
    { timeToLive: "1 hour" }
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

// First the write, then the invalidation: whatever is computed from the old row in between is not kept. And both or
// none: a client that hangs up must not come between them.
const setPopulation = Effect.fnUntraced(function*(id: number, population: number) {
  const city = yield* (yield* Atlas).setPopulation(id, population)
  yield* invalidate(tag`city:${id}`, tag`country:${city.country}:cities`)
  return city
}, Effect.uninterruptible)

const PutCity = HttpRouter.add(
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

/**
 * The service, on whatever `HttpServer` and cache it is given.
 *
 * Without the logger: a line for each request would cost more than a hit.
 */
export const layer = HttpRouter.serve(
  Layer.mergeAll(GetOverview, GetCountry, GetCities, GetNearest, GetRankings, GetFavourites, PutCity),
  { disableLogger: true, disableListenLog: true }
).pipe(Layer.provide(Standings.layer))
