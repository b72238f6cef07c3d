/**
 * Random requests of several users to responses that are cached whole, in two processes over one store and log, while time
 * passes, computations fail, and things end: nobody gets what was computed for another, however old.
 *
 * Each seed is one run, but for the order in which requests of one batch end. A failure says its seed: put that into `seeds`
 * alone.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Layer, type Scope, Stream } from "effect"
import { Broadcaster, ByteStore, cached, DependencyGraph, ResultCache, Store } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { serve } from "./http.ts"
import { makeRandom, type Random } from "./random.ts"

const seeds = Array.from({ length: 16 }, (_, n) => n + 1)

const stores = {
  "live values": Store.layerMemory(),
  "bytes": ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer()))
}

/** Caches over one store and one log, each with a graph of its own. */
const makeProcesses = Effect.fnUntraced(function*(store: Layer.Layer<Store.Store, unknown>, routes: Routes) {
  const clock = Layer.succeed(Clock.Clock)(yield* Clock.Clock)
  const shared = yield* Effect.orDie(
    Layer.build(Layer.provide(Layer.merge(Layer.fresh(store), Broadcaster.layerLocal), clock))
  )
  const layer = ResultCache.layer().pipe(
    Layer.provide([DependencyGraph.layer(), Layer.succeedContext(shared), clock]),
    Layer.orDie
  )
  const open = Effect.gen(function*() {
    const cache = Context.get(yield* Layer.build(Layer.fresh(layer)), ResultCache.ResultCache)
    return yield* serve(routes, { cache, layer: Layer.succeed(ResultCache.ResultCache)(cache), next: nobody })
  })
  return [yield* open, yield* open]
})

const nobody = () => Effect.void

type Routes = Layer.Layer<never, any, any>

const kinds = [
  "plain",
  "no-store",
  "cookie",
  "short",
  "vary",
  "stream",
  "all headers",
  "fails",
  "unavailable"
] as const

// What it says depends on who asks, and so does what it reads to say it. Whatever it has not read is a star.
const pageHandler = (random: Random, isWell: () => boolean) =>
  Effect.gen(function*() {
    yield* random.pause
    const request = yield* HttpServerRequest.HttpServerRequest
    const user = request.headers["x-user"] ?? "nobody"
    yield* random.pause
    const theme = user === "ada" ? request.cookies["theme"] ?? "none" : "*"
    yield* random.pause
    const credentials = user === "bob" ? request.headers["authorization"] ?? "none" : "*"
    const body = `${user} ${theme} ${credentials}`
    switch (random.pick(isWell() ? kinds.slice(0, -2) : kinds)) {
      case "plain":
        return HttpServerResponse.text(body)
      case "no-store":
        return HttpServerResponse.text(body, { headers: { "cache-control": "no-store" } })
      case "cookie":
        return HttpServerResponse.setCookieUnsafe(HttpServerResponse.text(body), "user", user)
      case "short":
        return HttpServerResponse.text(body, { headers: { "cache-control": "max-age=3, stale-while-revalidate=10" } })
      case "vary":
        return HttpServerResponse.text(body, { headers: { vary: "authorization" } })
      case "stream":
        return HttpServerResponse.stream(Stream.encodeText(Stream.make(body)))
      case "all headers": {
        const all: Readonly<Record<string, string>> = { ...request.headers }
        return HttpServerResponse.text(`${all["x-user"]} ${theme} ${all["authorization"]}`)
      }
      case "fails":
        return yield* Effect.die(new Error("down"))
      case "unavailable":
        return HttpServerResponse.text(body, { status: 503 })
    }
  })

const routeOf = (random: Random, isWell: () => boolean): Routes =>
  HttpRouter.add(
    "GET",
    "/pages/:id",
    cached(pageHandler(random, isWell), {
      varyBy: "nothing",
      deps: ["pages"],
      policy: {
        timeToLive: random.pick(["1 second", "5 seconds", "1 minute"] as const),
        staleWhileRevalidate: random.pick(["0 seconds", "20 seconds"] as const),
        staleIfError: random.pick(["0 seconds", "40 seconds"] as const),
        eagerRefresh: random.pick([0, 5])
      },
      maxVariants: random.pick([2, 5, 100]),
      consistency: random.pick(["strong", undefined, undefined] as const),
      http: { requestCacheControl: random.pick(["obey", "ignore"] as const), cacheControl: "policy" }
    })
  )

const cacheControls = ["", "", "", "no-cache", "max-age=2", "no-store", "only-if-cached", "max-stale=5"]

const run = Effect.fnUntraced(function*(
  seed: number,
  store: Layer.Layer<Store.Store, unknown>
): Effect.fn.Return<number, never, Scope.Scope> {
  const random = makeRandom(seed)
  let isWell = true
  let hits = 0
  const processes = yield* makeProcesses(store, routeOf(random, () => isWell))

  const ask = Effect.gen(function*() {
    const { send } = random.pick(processes)
    const user = random.pick(["ada", "bob", "cat"])
    const theme = random.pick(["dark", "light"])
    const credentials = random.pick(["one", "two"])
    const control = random.pick(cacheControls)
    const isHead = random.below(5) === 0
    const reply = yield* send(`/pages/${random.below(2)}`, {
      method: isHead ? "HEAD" : "GET",
      headers: {
        "x-user": user,
        "cookie": `theme=${theme}; n=${random.below(3)}`,
        "authorization": credentials,
        ...(control === "" ? {} : { "cache-control": control })
      }
    })
    const status = reply.cacheStatus ?? ""
    const about = `seed ${seed}: ${user} ${theme} ${credentials} was given ${reply.status} ${reply.body}, ${status}`
    const isHit = status.includes("; hit")
    if (isHit) hits++
    if (reply.headers["set-cookie"] !== undefined) {
      assert.include(reply.headers["set-cookie"], `user=${user}`, about)
      assert.isFalse(isHit || status.includes("stored"), about)
    }
    assert.isFalse(isHit && reply.status === 503, about)
    if (isHead || reply.status >= 500 && reply.status !== 503) return
    const [user2, theme2, credentials2] = reply.body.split(" ")
    assert.strictEqual(user2, user, about)
    assert.include(user === "ada" ? [theme] : ["*"], theme2, about)
    assert.include(user === "bob" ? [credentials] : ["*", credentials], credentials2, about)
  })

  for (let round = 0; round < 20; round++) {
    isWell = random.below(3) > 0
    const batch = yield* Effect.forkChild(
      Effect.all(Array.from({ length: 12 }, () => ask), { concurrency: "unbounded" })
    )
    if (random.below(4) === 0) yield* Effect.orDie(random.pick(processes).cache.invalidate(["pages"]))
    yield* Fiber.join(batch)
    yield* TestClock.adjust(random.pick(["100 millis", "1 second", "3 seconds", "10 seconds"]))
  }
  return hits
})

describe.each(Object.entries(stores))("responses that are cached whole, over a store of %s", (_, store) => {
  it.effect("are given to nobody whose request differs in what was read, by no process and at no age", () =>
    Effect.gen(function*() {
      let hits = 0
      for (const seed of seeds) hits += yield* Effect.scoped(run(seed, store))
      assert.isAbove(hits, 100)
    }))
})
