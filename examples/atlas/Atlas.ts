/**
 * An atlas of the world: 252 countries and territories, 135 233 cities, and questions that are worth caching.
 *
 * This is the data layer of the example service. It knows nothing of the cache: every call is a query, and `queries`
 * counts them.
 */
import { Config, Context, Effect, Layer, Option, Schema } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"
import { open } from "./database.ts"

/** The seven continents, by code. */
export const Continent = Schema.Literals(["AF", "AN", "AS", "EU", "NA", "OC", "SA"])
export type Continent = typeof Continent.Type

/** An ISO 3166-1 alpha-2 code in capitals: `CH`. */
export const CountryCode = Schema.String.check(Schema.isPattern(/^[A-Z]{2}$/))

/** A country or territory. */
export class Country extends Schema.Class<Country>("Country")({
  code: CountryCode,
  name: Schema.String,
  /** The name in the country's own language. */
  native: Schema.String,
  /** The main one, where there are two: Russia is in `AS`. */
  continent: Continent,
  /** In English; `null` where there is none, as in Antarctica. */
  capital: Schema.NullOr(Schema.String),
  /** ISO 4217 codes, the main currency first. */
  currencies: Schema.Array(Schema.String),
  /** ISO 639-1 codes. */
  languages: Schema.Array(Schema.String)
}) {}

/** A populated place, mostly of a thousand people or more; also sections of cities, whose people then count twice. */
export class City extends Schema.Class<City>("City")({
  /** The GeoNames id. */
  id: Schema.Int,
  name: Schema.String,
  country: CountryCode,
  /** 0 where it is not known. */
  population: Schema.Natural,
  /** In degrees, north is positive. */
  latitude: Schema.Finite,
  /** In degrees, east is positive. */
  longitude: Schema.Finite,
  /** The first-level division, by its GeoNames code; empty where the place has none. */
  adminCode: Schema.String,
  /** The GeoNames class of the place: `PPLC` is a capital, `PPLX` a section of a city. */
  featureCode: Schema.String
}) {}

/** A city and how far it is from the point that was asked about. */
export class NearbyCity extends City.extend<NearbyCity>("NearbyCity")({
  /** Along the great circle, in kilometres. */
  distance: Schema.Finite
}) {}

/** A place on earth, in degrees. */
export const Point = Schema.Struct({
  latitude: Schema.Finite.check(Schema.isBetween({ minimum: -90, maximum: 90 })),
  longitude: Schema.Finite.check(Schema.isBetween({ minimum: -180, maximum: 180 }))
})
export type Point = typeof Point.Type

/** What countries are ranked by: how many cities they have, and how many people in all of them, or in the largest. */
export const Measure = Schema.Literals(["cities", "population", "largest-city"])
export type Measure = typeof Measure.Type

/** One line of a ranking. */
export class Ranking extends Schema.Class<Ranking>("Ranking")({
  /** From 1; equal values share a rank, and the next rank is skipped. */
  rank: Schema.Int,
  country: CountryCode,
  name: Schema.String,
  /** Cities or people, by the measure. */
  value: Schema.Natural
}) {}

/** How large a city is: below 10 000 people, below 100 000, below a million, or above. */
export const Band = Schema.Literals(["small", "medium", "large", "million"])
export type Band = typeof Band.Type

/** Which cities are counted: all, or those that a country or one of its first-level divisions is governed from. */
export const Places = Schema.Literals(["all", "capitals"])
export type Places = typeof Places.Type

/** The cities of a continent that are of one size, added up. */
export class Census extends Schema.Class<Census>("Census")({
  cities: Schema.Natural,
  people: Schema.Natural,
  /** The population of the one in the middle; `null` where there is none. */
  median: Schema.NullOr(Schema.Natural)
}) {}

/** No country has this code. */
export class CountryNotFound extends Schema.TaggedError<CountryNotFound>()("CountryNotFound", {
  code: Schema.String
}, { httpApiStatus: 404 }) {
  override get message(): string {
    return `No country has the code ${JSON.stringify(this.code)}`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return notFound({ _tag: this._tag, code: this.code })
  }
}

/** No city has this id. */
export class CityNotFound extends Schema.TaggedError<CityNotFound>()("CityNotFound", {
  id: Schema.Finite
}, { httpApiStatus: 404 }) {
  override get message(): string {
    return `No city has the id ${this.id}`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return notFound({ _tag: this._tag, id: this.id })
  }
}

const notFound = (body: typeof CountryNotFound.Encoded | typeof CityNotFound.Encoded) =>
  Effect.sync(() => HttpServerResponse.jsonUnsafe(body, { status: 404 }))

/** The methods of the atlas that ask the database. */
export type Query = "country" | "citiesOf" | "city" | "nearest" | "rankings" | "census" | "setPopulation"

/**
 * The atlas.
 *
 * **Details**
 *
 * A query runs in one synchronous step, so every read sees all writes that ended before it began. What the database
 * refuses, such as a negative population or a limit that is not an integer, is a defect: routes decode their input
 * first.
 */
export class Atlas extends Context.Service<Atlas, {
  /** The country with this code. */
  readonly country: (code: string) => Effect.Effect<Country, CountryNotFound>
  /**
   * The cities of a country, the largest first, equal ones by id; none for a code that no country has.
   *
   * **Details**
   *
   * `minPopulation` is 0 by default, `limit` is 100.
   */
  readonly citiesOf: (code: string, options?: {
    readonly minPopulation?: number | undefined
    readonly limit?: number | undefined
  }) => Effect.Effect<ReadonlyArray<City>>
  /** The city with this GeoNames id. */
  readonly city: (id: number) => Effect.Effect<City, CityNotFound>
  /**
   * The `count` cities nearest to a point, the nearest first, equally near ones by id.
   *
   * **Gotchas**
   *
   * It measures the distance to every city and uses no index, so it blocks the thread for tens of milliseconds. That is
   * on purpose: it stands for the query that one cannot make fast.
   */
  readonly nearest: (point: Point, count: number) => Effect.Effect<ReadonlyArray<NearbyCity>>
  /**
   * The countries of a continent, ranked by a measure of their cities, the highest first, equal ones by code.
   *
   * **Details**
   *
   * All of them by default, also those without a city.
   */
  readonly rankings: (continent: Continent, measure: Measure, options?: {
    readonly limit?: number | undefined
  }) => Effect.Effect<ReadonlyArray<Ranking>>
  /**
   * Counts the cities of a continent that are of one size.
   *
   * **Gotchas**
   *
   * It goes through all cities of the world and sorts those that it finds, so it blocks the thread for tens of
   * milliseconds. It stands for the report that one does not want to wait for.
   */
  readonly census: (continent: Continent, band: Band, places: Places) => Effect.Effect<Census>
  /** Changes the population of a city, which every later read sees, and returns the city as it now is. */
  readonly setPopulation: (id: number, population: number) => Effect.Effect<City, CityNotFound>
  /** How often each method has run so far, those included that found nothing. */
  readonly queries: Effect.Effect<Readonly<Record<Query, number>>>
}>()("effect-cached/examples/atlas/Atlas") {
  /** The atlas with the database in the file at `path`, by default one of its own, which takes up to a second to fill. */
  static readonly make = Effect.fnUntraced(function*(path?: string) {
    const database = yield* open(path)
    const selectCountry = database.prepare("SELECT * FROM country WHERE code = ?")
    const selectCities = database.prepare(
      "SELECT * FROM city WHERE country = ? AND population >= ? ORDER BY population DESC, id LIMIT ?"
    )
    const selectCity = database.prepare("SELECT * FROM city WHERE id = ?")
    const selectNearest = database.prepare(
      "SELECT *, distance(latitude, longitude, ?, ?) AS distance FROM city ORDER BY distance, id LIMIT ?"
    )
    const selectRankings = {
      "cities": database.prepare(rankingsBy("COUNT(city.id)")),
      "population": database.prepare(rankingsBy("COALESCE(SUM(city.population), 0)")),
      "largest-city": database.prepare(rankingsBy("COALESCE(MAX(city.population), 0)"))
    }
    const selectCensus = database.prepare(census)
    const updatePopulation = database.prepare("UPDATE city SET population = ? WHERE id = ? RETURNING *")

    const counts: Record<Query, number> = {
      country: 0,
      citiesOf: 0,
      city: 0,
      nearest: 0,
      rankings: 0,
      census: 0,
      setPopulation: 0
    }
    const query = <A>(name: Query, run: () => A): Effect.Effect<A> =>
      Effect.sync(() => {
        counts[name]++
        return run()
      })

    return Atlas.of({
      country: Effect.fnUntraced(function*(code) {
        const row = yield* query("country", () => selectCountry.get(code))
        if (row === undefined) return yield* new CountryNotFound({ code })
        return decodeCountry(row)
      }),
      citiesOf: (code, options) =>
        query(
          "citiesOf",
          () => decodeCities(selectCities.all(code, options?.minPopulation ?? 0, options?.limit ?? 100))
        ),
      city: Effect.fnUntraced(function*(id) {
        const row = yield* query("city", () => selectCity.get(id))
        if (row === undefined) return yield* new CityNotFound({ id })
        return decodeCity(row)
      }),
      nearest: ({ latitude, longitude }, count) =>
        query("nearest", () => decodeNearbyCities(selectNearest.all(latitude, longitude, count))),
      rankings: (continent, measure, options) =>
        // SQLite reads a negative limit as none.
        query("rankings", () => decodeRankings(selectRankings[measure].all(continent, options?.limit ?? -1))),
      census: (continent, band, places) =>
        query("census", () => {
          const [from, to] = bounds[band]
          return decodeCensus(selectCensus.get({ continent, places, from, to }))
        }),
      setPopulation: Effect.fnUntraced(function*(id, population) {
        const row = yield* query("setPopulation", () => updatePopulation.get(population, id))
        if (row === undefined) return yield* new CityNotFound({ id })
        return decodeCity(row)
      }),
      queries: Effect.sync(() => ({ ...counts }))
    })
  })

  /** An atlas with a database of its own. */
  static readonly layer: Layer.Layer<Atlas> = Layer.effect(Atlas, Atlas.make())

  /** The same, or where `DATABASE` is the path of a file, an atlas that several processes share. */
  static readonly layerConfig: Layer.Layer<Atlas, Config.ConfigError> = Layer.effect(
    Atlas,
    Effect.flatMap(Config.option(Config.String("DATABASE")), (path) => Atlas.make(Option.getOrUndefined(path)))
  )
}

/** The text of a query that ranks the countries of a continent by an aggregate of their cities. */
const rankingsBy = (aggregate: string): string => `
  SELECT RANK() OVER (ORDER BY value DESC) AS rank, country, name, value
  FROM (
    SELECT country.code AS country, country.name AS name, ${aggregate} AS value
    FROM country LEFT JOIN city ON city.country = country.code
    WHERE country.continent = ?
    GROUP BY country.code
  )
  ORDER BY rank, country
  LIMIT ?
`

/** From a population that is in the band to the first that is not. */
const bounds: { readonly [K in Band]: readonly [from: number, to: number] } = {
  small: [0, 10_000],
  medium: [10_000, 100_000],
  large: [100_000, 1_000_000],
  million: [1_000_000, Number.MAX_SAFE_INTEGER]
}

/** The text of the query that counts cities. */
const census = `
  WITH place AS (
    SELECT population, ROW_NUMBER() OVER (ORDER BY population) AS number, COUNT(*) OVER () AS total
    FROM city
    WHERE (SELECT continent FROM country WHERE code = city.country) = :continent
      AND (:places = 'all' OR featureCode IN ('PPLC', 'PPLA'))
      AND population >= :from AND population < :to
  )
  SELECT
    COUNT(*) AS cities,
    COALESCE(SUM(population), 0) AS people,
    MAX(CASE WHEN number = (total + 1) / 2 THEN population END) AS median
  FROM place
`

// A row that does not decode is a bug in the queries above, so it may throw inside the effects and become a defect.
const JsonStrings = Schema.fromJsonString(Schema.Array(Schema.String))
const decodeCountryRow = Schema.decodeUnknownSync(
  Schema.Struct({ ...Country.fields, currencies: JsonStrings, languages: JsonStrings })
)
const decodeCountry = (row: unknown): Country => new Country(decodeCountryRow(row))
const decodeCity = Schema.decodeUnknownSync(City)
const decodeCities = Schema.decodeUnknownSync(Schema.Array(City))
const decodeNearbyCities = Schema.decodeUnknownSync(Schema.Array(NearbyCity))
const decodeCensus = Schema.decodeUnknownSync(Census)
const decodeRankings = Schema.decodeUnknownSync(Schema.Array(Ranking))
