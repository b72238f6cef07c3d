import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Schema } from "effect"
import { Cached, cached, type CachePolicy, type HttpPolicy } from "effect-cached"
import { HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { hit, miss, serve } from "./http.ts"
import { get } from "./httpReaders.ts"

interface Definition {
  readonly policy?: CachePolicy.CachePolicy | undefined
  readonly http?: HttpPolicy.HttpPolicy | undefined
}

const forms: ReadonlyArray<{
  readonly form: string
  readonly make: (compute: Effect.Effect<number>, definition: Definition) => Layer.Layer<never, any, any>
}> = [
  {
    form: "Cached.route",
    make: (compute, definition) =>
      Cached.route("GET", "/page", { success: Schema.Number, ...definition }, () => compute)
  },
  {
    form: "cached(handler, definition)",
    make: (compute, definition) => get("/page", cached(() => compute, { success: Schema.Number, ...definition }))
  },
  {
    form: "cached(handler, deps)",
    make: (compute, definition) =>
      get("/page", cached(Effect.map(compute, (value) => HttpServerResponse.text(`${value}`)), definition))
  }
]

const asked = "effect-cached; fwd=request; stored"

const start = Effect.fnUntraced(function*(
  make: (typeof forms)[number]["make"],
  http: HttpPolicy.HttpPolicy = { requestCacheControl: "obey" }
) {
  let value = 0
  const { cache, next, send } = yield* serve(make(Effect.sync(() => ++value), {
    policy: { timeToLive: "60 seconds", staleWhileRevalidate: "60 seconds" },
    http
  }))
  return {
    next,
    hits: Effect.map(cache.counts, ({ Hit }) => Hit),
    /** What a request with this `Cache-Control` gets. */
    ask: (control?: string) =>
      Effect.map(
        send("/page", { headers: control === undefined ? {} : { "cache-control": control } }),
        ({ body, cacheStatus, status }) => [status, body, cacheStatus] as const
      )
  }
})

const directives = [
  "no-cache",
  "no-store",
  "max-age=0",
  "max-age=5",
  "min-fresh=60",
  "max-stale=1",
  "only-if-cached"
]

describe.each(forms)("the Cache-Control of a request to $form", ({ make }) => {
  it.effect.each([{}, { requestCacheControl: "ignore" }] as const)(
    "is ignored by default: %j",
    (http) =>
      Effect.gen(function*() {
        const { ask } = yield* start(make, http)
        assert.deepStrictEqual(yield* ask("no-store, only-if-cached"), [200, "1", miss])
        yield* TestClock.adjust("30 seconds")
        for (const control of directives) {
          assert.deepStrictEqual(yield* ask(control), [200, "1", `${hit}; ttl=30`], control)
        }
      })
  )

  it.effect.each(["no-cache", "No-Cache, max-age=60", "max-age=0", "max-age=now"])(
    "has the result computed anew, and stored for the others: %s",
    (control) =>
      Effect.gen(function*() {
        const { ask } = yield* start(make)
        assert.deepStrictEqual(yield* ask(), [200, "1", miss])
        assert.deepStrictEqual(yield* ask(control), [200, "2", asked])
        assert.deepStrictEqual(yield* ask(), [200, "2", `${hit}; ttl=60`])
      })
  )

  it.effect("keeps what is computed for it from being stored: no-store", () =>
    Effect.gen(function*() {
      const { ask } = yield* start(make)
      for (const body of ["1", "2"]) {
        assert.deepStrictEqual(yield* ask("no-store"), [200, body, "effect-cached; fwd=miss; detail=opt-out"])
      }
      assert.deepStrictEqual(yield* ask(), [200, "3", miss])
      assert.deepStrictEqual(yield* ask("no-store"), [200, "3", `${hit}; ttl=60`])
    }))

  it.effect("wants no result that is older: max-age", () =>
    Effect.gen(function*() {
      const { ask } = yield* start(make)
      yield* ask()
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* ask("max-age=10"), [200, "1", `${hit}; ttl=50`])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* ask("max-age=11"), [200, "1", `${hit}; ttl=50`])
      assert.deepStrictEqual(yield* ask("max-age=10"), [200, "2", asked])
      assert.deepStrictEqual(yield* ask("max-age=1"), [200, "2", `${hit}; ttl=60`])
    }))

  it.effect("wants a result that lasts: min-fresh", () =>
    Effect.gen(function*() {
      const { ask, hits } = yield* start(make)
      yield* ask()
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* ask("min-fresh=50"), [200, "1", `${hit}; ttl=50`])
      assert.deepStrictEqual(yield* ask("min-fresh=51"), [200, "2", asked])
      // What is not taken is no hit.
      assert.strictEqual(yield* hits, 1)
    }))

  it.effect("says how long after its end it takes a result, as far as the policy serves it: max-stale", () =>
    Effect.gen(function*() {
      const { ask, next } = yield* start(make)
      const cases = [
        [undefined, true],
        ["max-stale", true],
        ["max-stale=10", true],
        ["max-age=60, max-stale=10", true],
        ["max-stale=9", false],
        ["max-age=1000", false],
        ["min-fresh=1", false],
        ["max-age=65, max-stale=4", false]
      ] as const
      for (const [control, isTaken] of cases) {
        yield* ask("no-cache")
        yield* next("Stored")
        const [, stored] = yield* ask()
        yield* TestClock.adjust("70 seconds")
        const [, body, cacheStatus] = yield* ask(control)
        assert.strictEqual(body === stored, isTaken, control)
        assert.strictEqual(cacheStatus, isTaken ? `${hit}; ttl=-10; detail=revalidating` : asked, control)
        yield* next("Stored")
      }
      // Past what the policy serves, nothing stale is served at all.
      yield* ask("no-cache")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* ask("max-stale"))[0], 200)
      assert.notInclude((yield* ask("max-stale"))[2], "detail=revalidating")
    }))

  it.effect("wants nothing to be computed: only-if-cached", () =>
    Effect.gen(function*() {
      const { ask } = yield* start(make)
      assert.deepStrictEqual(yield* ask("only-if-cached"), [504, "", undefined])
      assert.deepStrictEqual(yield* ask(), [200, "1", miss])
      assert.deepStrictEqual(yield* ask("only-if-cached"), [200, "1", `${hit}; ttl=60`])
      yield* TestClock.adjust("10 seconds")
      for (const control of ["only-if-cached, no-cache", "only-if-cached, max-age=9", "only-if-cached, min-fresh=51"]) {
        assert.deepStrictEqual(yield* ask(control), [504, "", undefined], control)
      }
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(yield* ask("only-if-cached"), [
        200,
        "1",
        `${hit}; ttl=-10; detail=only-if-cached`
      ])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* ask("only-if-cached"), [504, "", undefined])
      assert.strictEqual((yield* ask())[1], "2")
    }))

  it.effect("is passed over where it says nothing to a cache", () =>
    Effect.gen(function*() {
      const { ask } = yield* start(make)
      yield* ask()
      for (const control of ["", "no-transform", "x-no-cache", "stale-if-error=7"]) {
        assert.deepStrictEqual(yield* ask(control), [200, "1", `${hit}; ttl=60`], control)
      }
    }))
})
