import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ResultCache } from "effect-cached"
import { FetchHttpClient, HttpServer } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { createServer } from "node:http"
import { Api } from "../../examples/atlas/api.ts"
import { Atlas, type Query } from "../../examples/atlas/Atlas.ts"
import * as Reports from "../../examples/atlas/reports.ts"
import * as Routes from "../../examples/atlas/routes.ts"

const Live = Routes.layer.pipe(
  Layer.provide(Reports.layer),
  Layer.provideMerge([Atlas.layer, NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })]),
  Layer.provide(ResultCache.layerMemory())
)

const hit = "effect-cached; hit"
const miss = "effect-cached; fwd=miss; stored"
const invalidated = `${miss}; detail=invalidated`
// The seconds that are left pass while the test runs.
const timedHit = /^effect-cached; hit(?:; ttl=\d+)?$/

interface Init {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

const send = Effect.fnUntraced(function*(path: string, init?: Init) {
  return yield* HttpServer.addressFormattedWith((address) =>
    Effect.promise(async () => {
      const response = await fetch(address + path, { ...init, headers: { connection: "close", ...init?.headers } })
      return {
        status: response.status,
        cacheStatus: response.headers.get("cache-status"),
        headers: response.headers,
        body: await response.text()
      }
    })
  )
})

const sendJson = (path: string, init?: Init) =>
  Effect.map(send(path, init), (response) => ({ ...response, json: JSON.parse(response.body) }))

const put = (path: string, body: string) =>
  send(path, { method: "PUT", headers: { "content-type": "application/json" }, body })

const setPopulation = (id: number, population: number) => put(`/cities/${id}`, JSON.stringify({ population }))

const page = (language: string) => send("/", { headers: { "accept-language": language } })

const as = (name: string) => send("/me/favourites", { headers: { authorization: `Bearer ${name}` } })

const names = (body: string): ReadonlyArray<string> => JSON.parse(body).map((city: any) => city.name)

/** How many queries of each kind an effect caused, those of no kind left out. */
const queriesOf = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const { queries } = yield* Atlas
  const before = yield* queries
  yield* effect
  const after = yield* queries
  return Object.fromEntries(
    (Object.keys(after) as Array<Query>).map((name) => [name, after[name] - before[name]]).filter(([, count]) => count)
  )
})

// Every test has countries of its own, so that no test ends what another one looks at.
it.layer(Live, { excludeTestServices: true, timeout: "30 seconds" })("the atlas over HTTP", (it) => {
  describe("GET /countries/:code", () => {
    it.effect("is a miss, then a hit that asks the database nothing", () =>
      Effect.gen(function*() {
        const first = yield* sendJson("/countries/PT")
        assert.strictEqual(first.status, 200)
        assert.strictEqual(first.cacheStatus, miss)
        assert.include(first.json, { code: "PT", name: "Portugal", capital: "Lisbon" })
        const queries = yield* queriesOf(Effect.gen(function*() {
          const second = yield* send("/countries/PT")
          assert.strictEqual(second.cacheStatus, hit)
          assert.strictEqual(second.body, first.body)
        }))
        assert.deepStrictEqual(queries, {})
      }))

    it.effect("is a 404 with a JSON body for a country that does not exist, and remembers that", () =>
      Effect.gen(function*() {
        const queries = yield* queriesOf(Effect.gen(function*() {
          for (const _ of [1, 2]) {
            const response = yield* sendJson("/countries/ZZ")
            assert.strictEqual(response.status, 404)
            assert.strictEqual(response.headers.get("content-type"), "application/json")
            assert.deepStrictEqual(response.json, { _tag: "CountryNotFound", code: "ZZ" })
          }
        }))
        assert.deepStrictEqual(queries, { country: 1 })
      }))

    it.effect("is a 400 that says what is wrong for something that is no code", () =>
      Effect.gen(function*() {
        const queries = yield* queriesOf(Effect.gen(function*() {
          const response = yield* send("/countries/portugal")
          assert.strictEqual(response.status, 400)
          assert.include(response.body, "[\"code\"]")
        }))
        assert.deepStrictEqual(queries, {})
      }))

    it.effect("answers 304 without a body to whoever has the response already", () =>
      Effect.gen(function*() {
        const etag = (yield* send("/countries/GR")).headers.get("etag")!
        const again = yield* send("/countries/GR", { headers: { "if-none-match": `"other", W/${etag}` } })
        assert.strictEqual(again.status, 304)
        assert.strictEqual(again.body, "")
        assert.strictEqual(again.headers.get("etag"), etag)
        assert.strictEqual((yield* send("/countries/GR", { headers: { "if-none-match": "\"other\"" } })).status, 200)
      }))

    it.effect("answers HEAD from the entry of GET, with the same headers", () =>
      Effect.gen(function*() {
        yield* send("/countries/NO")
        const get = yield* send("/countries/NO")
        const head = yield* send("/countries/NO", { method: "HEAD" })
        assert.strictEqual(head.status, 200)
        assert.strictEqual(head.body, "")
        assert.strictEqual(head.cacheStatus, hit)
        for (const name of ["etag", "content-type", "content-length", "cache-control"]) {
          assert.isNotNull(get.headers.get(name))
          assert.strictEqual(head.headers.get(name), get.headers.get(name))
        }
      }))
  })

  describe("GET /countries/:code/cities", () => {
    it.effect("keeps one entry for each minimum and limit, however they are written, and for nothing else", () =>
      Effect.gen(function*() {
        const first = yield* sendJson("/countries/AT/cities?minPopulation=100000&limit=2")
        assert.strictEqual(first.cacheStatus, miss)
        assert.deepStrictEqual(first.json.map((city: any) => city.name), ["Vienna", "Graz"])
        for (
          const path of [
            "/countries/AT/cities?limit=2&minPopulation=100000",
            "/countries/AT/cities?minPopulation=1e5&limit=02",
            "/countries/AT/cities?minPopulation=100000&limit=2&utm_source=mail&code=DE"
          ]
        ) {
          const again = yield* send(path)
          assert.strictEqual(again.cacheStatus, hit)
          assert.strictEqual(again.body, first.body)
        }
        assert.strictEqual((yield* send("/countries/AT/cities?minPopulation=100000&limit=3")).cacheStatus, miss)
        assert.strictEqual((yield* send("/countries/AT/cities")).cacheStatus, miss)
        assert.strictEqual((yield* send("/countries/AT/cities?limit=10&minPopulation=0")).cacheStatus, hit)
      }))

    it.effect.each([
      "limit=0",
      "limit=1001",
      "limit=1.5",
      "limit=many",
      "limit=",
      "limit=1&limit=2",
      "minPopulation=-1"
    ])(
      "refuses %s",
      (query) =>
        Effect.gen(function*() {
          const queries = yield* queriesOf(Effect.gen(function*() {
            const response = yield* send(`/countries/AT/cities?${query}`)
            assert.strictEqual(response.status, 400)
            assert.include(response.body, `["${query.split("=")[0]}"]`)
          }))
          assert.deepStrictEqual(queries, {})
        })
    )

    it.effect("is a 404 for a country that does not exist", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* send("/countries/ZZ/cities")).status, 404)
      }))
  })

  describe("PUT /cities/:id", () => {
    it.effect("ends the lists that show the city, and those that it enters", () =>
      Effect.gen(function*() {
        const largest = "/countries/JP/cities?limit=1"
        const before = yield* sendJson(largest)
        assert.deepInclude(before.json[0], { name: "Tokyo", population: 8_336_599 })
        assert.strictEqual((yield* send(largest)).cacheStatus, hit)

        // Yokohama is not on the list.
        const changed = yield* setPopulation(1848354, 9_000_000)
        assert.strictEqual(changed.status, 200)
        assert.include(JSON.parse(changed.body), { name: "Yokohama", population: 9_000_000 })
        const after = yield* sendJson(largest)
        assert.strictEqual(after.cacheStatus, invalidated)
        assert.deepInclude(after.json[0], { name: "Yokohama", population: 9_000_000 })
        assert.notStrictEqual(after.headers.get("etag"), before.headers.get("etag"))

        // Now it is.
        yield* setPopulation(1848354, 3_574_443)
        assert.strictEqual((yield* sendJson(largest)).body, before.body)
      }))

    it.effect("ends what shows the city, whatever it is asked by", () =>
      Effect.gen(function*() {
        const near = "/nearest?latitude=-36.84853&longitude=174.76349&count=1"
        assert.deepInclude((yield* sendJson(near)).json[0], { name: "Auckland", population: 417_910 })
        assert.match((yield* send(near)).cacheStatus!, timedHit)
        yield* setPopulation(2193733, 1_500_000)
        const after = yield* sendJson(near)
        assert.strictEqual(after.cacheStatus, invalidated)
        assert.strictEqual(after.json[0].population, 1_500_000)
      }))

    it.effect("ends the rankings of its continent, through the cached function that they are made of", () =>
      Effect.gen(function*() {
        const rankings = "/rankings/SA/largest-city?limit=1"
        assert.deepStrictEqual((yield* sendJson(rankings)).json.map((line: any) => line.name), ["Argentina"])
        assert.strictEqual((yield* send(rankings)).cacheStatus, hit)
        // Lima.
        yield* setPopulation(3936456, 30_000_000)
        const after = yield* sendJson(rankings)
        assert.strictEqual(after.cacheStatus, invalidated)
        assert.deepInclude(after.json[0], { country: "PE", value: 30_000_000 })
      }))

    it.effect("leaves the country and other countries alone", () =>
      Effect.gen(function*() {
        const others = [
          "/countries/CL",
          "/countries/UY/cities",
          "/nearest?latitude=-34.90328&longitude=-56.18816&count=1"
        ]
        for (const path of others) yield* send(path)
        // Santiago de Chile.
        assert.strictEqual((yield* setPopulation(3871336, 1)).status, 200)
        for (const path of others) assert.match((yield* send(path)).cacheStatus!, timedHit)
      }))

    it.effect("is a 404 for a city that does not exist", () =>
      Effect.gen(function*() {
        const response = yield* setPopulation(1, 1)
        assert.strictEqual(response.status, 404)
        assert.deepStrictEqual(JSON.parse(response.body), { _tag: "CityNotFound", id: 1 })
      }))

    it.effect.each(["{\"population\":-1}", "{\"population\":1.5}", "{\"population\":\"1\"}", "{}", "[]", "{", ""])(
      "refuses the body %s, and changes nothing",
      (body) =>
        Effect.gen(function*() {
          const list = "/countries/MT/cities?limit=1"
          const before = yield* sendJson(list)
          const response = yield* put(`/cities/${before.json[0].id}`, body)
          assert.strictEqual(response.status, 400)
          assert.strictEqual((yield* send(list)).cacheStatus, hit)
        })
    )

    it.effect("refuses an id that is no number", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* put("/cities/lisbon", "{\"population\":1}")).status, 400)
      }))
  })

  describe("GET /nearest", () => {
    it.effect("is computed once, however the point is written", () =>
      Effect.gen(function*() {
        const queries = yield* queriesOf(Effect.gen(function*() {
          const first = yield* sendJson("/nearest?latitude=64.13548&longitude=-21.89541&count=2")
          assert.strictEqual(first.cacheStatus, miss)
          assert.strictEqual(first.json[0].name, "Reykjavík")
          const second = yield* send("/nearest?count=2&longitude=-21.895410&latitude=%2B64.13548")
          assert.match(second.cacheStatus!, timedHit)
          assert.strictEqual(second.body, first.body)
        }))
        assert.deepStrictEqual(queries, { nearest: 1 })
      }))

    it.effect("computes once for all who ask at once", () =>
      Effect.gen(function*() {
        const queries = yield* queriesOf(Effect.gen(function*() {
          const path = "/nearest?latitude=10&longitude=10&count=1"
          const all = yield* Effect.all(Array.from({ length: 20 }, () => send(path)), { concurrency: "unbounded" })
          assert.strictEqual(new Set(all.map((response) => response.body)).size, 1)
        }))
        assert.deepStrictEqual(queries, { nearest: 1 })
      }))

    it.effect.each([
      "latitude=91&longitude=0",
      "latitude=0",
      "latitude=NaN&longitude=0",
      "latitude=0&longitude=0&count=x"
    ])(
      "refuses %s",
      (query) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* send(`/nearest?${query}`)).status, 400)
        })
    )
  })

  describe("GET /rankings/:continent/:measure", () => {
    it.effect("shares one query between all limits", () =>
      Effect.gen(function*() {
        const queries = yield* queriesOf(Effect.gen(function*() {
          const one = yield* sendJson("/rankings/AF/cities?limit=1")
          const three = yield* sendJson("/rankings/AF/cities?limit=3")
          assert.strictEqual(three.cacheStatus, miss)
          assert.strictEqual(three.json.length, 3)
          assert.deepStrictEqual(three.json[0], one.json[0])
        }))
        assert.deepStrictEqual(queries, { rankings: 1 })
      }))

    it.effect("refuses an unknown continent and an unknown measure", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* send("/rankings/XX/cities")).status, 400)
        assert.strictEqual((yield* send("/rankings/EU/rivers")).status, 400)
        assert.strictEqual((yield* send("/rankings/EU/__proto__")).status, 400)
      }))
  })

  describe("GET /reports/population/:continent/:places/:band", () => {
    it.effect("is a miss, then a hit, and ends with the cities of the continent", () =>
      Effect.gen(function*() {
        const path = "/reports/population/AN/all/small"
        const first = yield* sendJson(path)
        assert.strictEqual(first.cacheStatus, miss)
        assert.strictEqual((yield* send(path)).cacheStatus, hit)
        const [city] = (yield* sendJson("/countries/GS/cities?limit=1")).json
        yield* setPopulation(city.id, 500)
        const after = yield* sendJson(path)
        assert.strictEqual(after.cacheStatus, invalidated)
        assert.strictEqual(after.json.people, first.json.people - city.population + 500)
        assert.strictEqual(after.json.share, 100)
      }))

    it.effect("refuses what is not in its domain", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* send("/reports/population/XX/all/small")).status, 400)
        assert.strictEqual((yield* send("/reports/population/EU/some/small")).status, 400)
        assert.strictEqual((yield* send("/reports/population/EU/all/tiny")).status, 400)
      }))
  })

  describe("GET /", () => {
    it.effect("keeps one page for each language, and ends it with the cities", () =>
      Effect.gen(function*() {
        const german = yield* page("de")
        assert.strictEqual(german.cacheStatus, miss)
        assert.match(german.body, /^Die größten Länder\n/)
        assert.strictEqual(german.headers.get("vary"), "accept-language, authorization, cookie")
        const french = yield* page("fr-CH")
        assert.strictEqual(french.cacheStatus, miss)
        assert.match(french.body, /^Les plus grands pays\n/)
        for (const [language, { body }] of [["de", german], ["fr-CH", french]] as const) {
          const again = yield* page(language)
          assert.match(again.cacheStatus!, timedHit)
          assert.strictEqual(again.body, body)
        }
        assert.match(german.body, /^OC: Australia, New Zealand, Papua New Guinea$/m)
        // Apia, the capital of Samoa.
        yield* setPopulation(4035413, 50_000_000)
        const after = yield* page("de")
        assert.strictEqual(after.cacheStatus, invalidated)
        assert.match(after.body, /^OC: Samoa, Australia, New Zealand$/m)
      }))
  })

  describe("GET / behind a CDN", () => {
    it.effect("lets the CDN keep it for its hour, with the tags to purge it by, and has browsers ask", () =>
      Effect.gen(function*() {
        const { headers } = yield* page("en")
        assert.strictEqual(headers.get("cache-control"), "no-cache")
        assert.strictEqual(headers.get("cdn-cache-control"), "max-age=3600")
        const tags = headers.get("cache-tag")!.split(",")
        for (const tag of ["continent", "continent:AF", "continent:AF:cities", "continent:SA:cities"]) {
          assert.include(tags, tag)
        }
        assert.strictEqual(tags.length, 15)
      }))
  })

  describe("GET /api/cities/:id", () => {
    const client = HttpServer.addressFormattedWith((baseUrl) => HttpApiClient.make(Api, { baseUrl })).pipe(
      Effect.provide(FetchHttpClient.layer)
    )

    it.effect("is what the typed client expects, computed once, until the city changes", () =>
      Effect.gen(function*() {
        const { cities } = yield* client
        // Lagos.
        const params = { id: 2332459 }
        const queries = yield* queriesOf(Effect.gen(function*() {
          assert.include(yield* cities.get({ params }), { name: "Lagos", country: "NG" })
          assert.include(yield* cities.get({ params }), { name: "Lagos", country: "NG" })
          assert.strictEqual((yield* send("/api/cities/2332459")).cacheStatus, hit)
        }))
        assert.deepStrictEqual(queries, { city: 1 })
        yield* setPopulation(2332459, 20_000_000)
        assert.strictEqual((yield* send("/api/cities/2332459")).cacheStatus, invalidated)
        assert.include(yield* cities.get({ params }), { name: "Lagos", population: 20_000_000 })
      }))

    it.effect("fails as it is declared to", () =>
      Effect.gen(function*() {
        const { cities } = yield* client
        const error = yield* Effect.flip(cities.get({ params: { id: 1 } }))
        assert.deepInclude(error, { _tag: "CityNotFound", id: 1 })
        assert.strictEqual((yield* send("/api/cities/lisbon")).status, 400)
      }))

    it.effect("is in the OpenAPI document", () =>
      Effect.gen(function*() {
        const { json } = yield* sendJson("/api/openapi.json")
        assert.deepStrictEqual(Object.keys(json.paths), ["/api/cities/{id}"])
      }))
  })

  describe("GET /me/favourites", () => {
    it.effect("keeps an entry for each user, which ends with the cities in it, and lets nobody else in", () =>
      Effect.gen(function*() {
        const queries = yield* queriesOf(Effect.gen(function*() {
          const ada = yield* as("ada")
          assert.strictEqual(ada.cacheStatus, miss)
          assert.deepStrictEqual(names(ada.body), ["London", "Paris"])
          assert.strictEqual(ada.headers.get("cache-control"), "private, no-cache")
          const grace = yield* as("grace")
          assert.strictEqual(grace.cacheStatus, miss)
          assert.deepStrictEqual(names(grace.body), ["New York City"])
          const again = yield* as("ada")
          assert.strictEqual(again.cacheStatus, hit)
          assert.strictEqual(again.body, ada.body)
        }))
        assert.deepStrictEqual(queries, { city: 3 })

        for (const name of ["eve", "ada2", "constructor", "__proto__", ""]) {
          const response = yield* as(name)
          assert.strictEqual(response.status, 401)
          assert.strictEqual(response.body, "")
        }
        assert.strictEqual((yield* send("/me/favourites")).status, 401)

        // Paris.
        yield* setPopulation(2988507, 1)
        assert.strictEqual((yield* as("grace")).cacheStatus, hit)
        const after = yield* as("ada")
        assert.strictEqual(after.cacheStatus, invalidated)
        assert.strictEqual(JSON.parse(after.body)[1].population, 1)
      }))
  })
})
