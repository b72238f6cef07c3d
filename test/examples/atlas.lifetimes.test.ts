import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Data, Effect, Layer, Queue } from "effect"
import { type CacheEvent, ResultCache } from "effect-cached"
import { HttpServer } from "effect/http"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { Atlas } from "../../examples/atlas/Atlas.ts"
import * as Reports from "../../examples/atlas/reports.ts"
import * as Routes from "../../examples/atlas/routes.ts"
import { sunAt } from "../../examples/atlas/sun.ts"

const hit = "effect-cached; hit"
const miss = "effect-cached; fwd=miss; stored"
const invalidated = `${miss}; detail=invalidated`

class Down extends Data.TaggedError("Down") {}

class World extends Context.Service<World, {
  /** Runs an effect while no city near a point can be found. */
  readonly whileDown: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Waits until a result is stored that has this text in its key. */
  readonly stored: (text: string) => Effect.Effect<void>
}>()("test/examples/atlas.lifetimes/World") {}

const Live = Layer.unwrap(Effect.gen(function*() {
  const events = yield* Queue.unbounded<CacheEvent.CacheEvent>()
  let isDown = false
  const setDown = (value: boolean) =>
    Effect.sync(() => {
      isDown = value
    })
  const Controls = Layer.succeed(World, {
    whileDown: (effect) => Effect.acquireUseRelease(setDown(true), () => effect, () => setDown(false)),
    stored: Effect.fnUntraced(function*(text) {
      yield* Effect.repeat(Queue.take(events), {
        until: (event) => event._tag === "Stored" && event.key.includes(text)
      })
    })
  })
  const Source = Layer.effect(
    Atlas,
    Effect.map(Atlas.make(), (atlas) =>
      Atlas.of({
        ...atlas,
        nearest: (point, count) => Effect.suspend(() => isDown ? Effect.die(new Down()) : atlas.nearest(point, count))
      }))
  )
  return Routes.layer.pipe(
    Layer.provide(Reports.layer),
    Layer.provideMerge([Source, Controls, NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })]),
    Layer.provide(ResultCache.layerMemory({ onEvent: (event) => Queue.offerUnsafe(events, event) }))
  )
}))

const get = (path: string) =>
  HttpServer.addressFormattedWith((address) =>
    Effect.promise(async () => {
      const response = await fetch(address + path, { headers: { connection: "close" } })
      return { status: response.status, headers: response.headers, body: await response.text() }
    })
  )

const cacheStatus = (path: string) => Effect.map(get(path), ({ headers }) => headers.get("cache-status"))

const setPopulation = (id: number, population: number) =>
  HttpServer.addressFormattedWith((address) =>
    Effect.promise(() =>
      fetch(`${address}/cities/${id}`, {
        method: "PUT",
        headers: { connection: "close", "content-type": "application/json" },
        body: JSON.stringify({ population })
      })
    )
  )

// Sockets are real, and the time is the test's: that of the cache, and that of the computations.
it.layer(Live, { timeout: "30 seconds" })("the atlas as time goes by", (it) => {
  describe("GET /nearest", () => {
    it.effect("is served after its hour while it is computed anew, for a day where that fails, and then no more", () =>
      Effect.gen(function*() {
        const { stored, whileDown } = yield* World
        const reykjavik = "/nearest?latitude=64.13548&longitude=-21.89541&count=1"
        assert.strictEqual(yield* cacheStatus(reykjavik), miss)
        yield* stored("64.13548")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* cacheStatus(reykjavik), `${hit}; ttl=-1; detail=revalidating`)
        yield* stored("64.13548")
        assert.strictEqual(yield* cacheStatus(reykjavik), `${hit}; ttl=3600`)

        yield* whileDown(Effect.gen(function*() {
          yield* TestClock.adjust("2 hours")
          assert.strictEqual(yield* cacheStatus(reykjavik), "effect-cached; fwd=stale; ttl=-3600; detail=error")
          // It is not tried again for a second.
          assert.strictEqual(yield* cacheStatus(reykjavik), `${hit}; ttl=-3600; detail=back-off`)
          yield* TestClock.adjust("1 day")
          assert.strictEqual((yield* get(reykjavik)).status, 500)
        }))
        assert.strictEqual(yield* cacheStatus(reykjavik), miss)
      }))

    it.effect("is not served any more once it was invalidated, whatever fails", () =>
      Effect.gen(function*() {
        const { whileDown } = yield* World
        const wellington = "/nearest?latitude=-41.28664&longitude=174.77557&count=1"
        const [city] = JSON.parse((yield* get(wellington)).body)
        yield* setPopulation(city.id, 1)
        assert.strictEqual((yield* whileDown(get(wellington))).status, 500)
        const after = yield* get(wellington)
        assert.strictEqual(after.headers.get("cache-status"), invalidated)
        assert.strictEqual(JSON.parse(after.body)[0].population, 1)
      }))
  })

  describe("GET /cities/:id/sun", () => {
    it.effect("lives until the sun rises or sets", () =>
      Effect.gen(function*() {
        const quito = "/cities/3652462/sun"
        const first = yield* get(quito)
        const { isUp, until } = JSON.parse(first.body)
        const seconds = Math.floor((Date.parse(until) - (yield* Clock.currentTimeMillis)) / 1000)
        assert.strictEqual(yield* cacheStatus(quito), `${hit}; ttl=${seconds}`)
        yield* TestClock.adjust(seconds * 1000 + 1000)
        const second = yield* get(quito)
        assert.strictEqual(second.headers.get("cache-status"), miss)
        assert.strictEqual(JSON.parse(second.body).isUp, !isUp)
      }))
  })

  describe("GET /countries/:code", () => {
    it.effect("remembers for a minute that there is no such country", () =>
      Effect.gen(function*() {
        const { queries } = yield* Atlas
        const asked = Effect.map(queries, ({ country }) => country)
        const before = yield* asked
        for (const _ of [1, 2]) {
          const { body, status } = yield* get("/countries/ZZ")
          assert.strictEqual(status, 404)
          assert.deepStrictEqual(JSON.parse(body), { _tag: "CountryNotFound", code: "ZZ" })
          assert.strictEqual((yield* asked) - before, 1)
        }
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* get("/countries/ZZ")).status, 404)
        assert.strictEqual((yield* asked) - before, 2)
      }))
  })
})

const sun = (latitude: number, longitude: number, time: string) => {
  const { isUp, until } = sunAt({ latitude, longitude }, Date.parse(time))
  return { isUp, until: new Date(until.epochMilliseconds).toISOString() }
}
const minutes = (time: string) => Date.parse(time) / 60_000

describe("sunAt", () => {
  // Rising and setting as almanacs have them, which count refraction, and the hours that the sun is ahead of the clock.
  it.each(
    [
      [[51.48, 0, "2024-06-21T12:00Z"], true, "2024-06-21T20:21Z"],
      [[51.48, 0, "2024-06-21T22:00Z"], false, "2024-06-22T03:43Z"],
      [[51.48, 0, "2024-12-21T04:00Z"], false, "2024-12-21T08:04Z"],
      [[-33.87, 151.21, "2024-12-21T00:00Z"], true, "2024-12-21T09:05Z"],
      [[0, 0, "2024-03-20T12:00Z"], true, "2024-03-20T18:11Z"]
    ] as const
  )("knows within twenty minutes when the sun rises and sets: %j", ([latitude, longitude, time], isUp, until) => {
    const found = sun(latitude, longitude, time)
    assert.strictEqual(found.isUp, isUp)
    assert.approximately(minutes(found.until), minutes(until), 20)
  })

  it("asks again within a day where the sun does not set, or does not rise", () => {
    assert.deepStrictEqual(sun(80, 0, "2024-06-21T12:00Z"), { isUp: true, until: "2024-06-22T00:00:00.000Z" })
    assert.deepStrictEqual(sun(80, 0, "2024-12-21T13:00Z"), { isUp: false, until: "2024-12-22T12:00:00.000Z" })
  })
})
