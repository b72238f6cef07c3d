/**
 * Bugs that were found by review, each with the behaviour that was missing.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { Broadcaster, Cached, cached, CacheLive, DependencyGraph, invalidate, ResultCache, Store } from "effect-cached"
import { CacheTest, FaultyBroadcaster, FaultyStore } from "effect-cached/testing"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { withinTurns } from "./random.ts"
import { makeEntry } from "./suites/entries.ts"
import { faulty, start } from "./suites/worlds.ts"

const turns = (count: number) => Effect.repeat(Effect.yieldNow, { times: count })

describe("who asks again on being answered", () => {
  it.effect("is not given the failure that it was just given", () =>
    Effect.gen(function*() {
      let executions = 0
      const f = yield* Cached.make(
        "f",
        { success: Schema.Number },
        () =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.suspend(() => ++executions < 3 ? Effect.fail("not yet") : Effect.succeed(executions))
          )
      )
      assert.strictEqual(yield* Effect.retry(f(), { times: 5 }), 3)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is not given a value without a lifetime twice", () =>
    Effect.gen(function*() {
      let executions = 0
      const f = yield* Cached.make(
        "f",
        { success: Schema.Number, timeToLive: 0 },
        () => Effect.andThen(Effect.yieldNow, Effect.sync(() => ++executions))
      )
      assert.deepStrictEqual([yield* f(), yield* f()], [1, 2])
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("a function whose scope has closed", () => {
  it.effect("neither stores under its name nor reads what the next one stored there", () =>
    Effect.gen(function*() {
      const [before, after] = yield* Effect.forEach(
        ["before", "after"],
        (value) => Effect.scoped(Cached.make("f", { success: Schema.String }, () => Effect.succeed(value)))
      )
      const first = yield* Effect.exit(before!())
      const second = yield* Effect.exit(after!())
      assert.notDeepEqual(second, Exit.succeed("before"), String(first))
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("recursion", () => {
  it.effect("is none where the computation that is asked for again has ended", () =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      const later = yield* Deferred.make<Exit.Exit<number, unknown>>()
      const functions: { b?: Effect.Effect<number, unknown> } = {}
      let forked = false
      const a = yield* Cached.make(
        "a",
        { success: Schema.Number, timeToLive: 0 },
        Effect.fnUntraced(function*() {
          if (!forked) {
            forked = true
            const read = Effect.suspend(() => functions.b!)
            yield* Effect.forkDetach(
              Effect.andThen(
                Deferred.await(go),
                Effect.flatMap(Effect.exit(read), (exit) => Deferred.succeed(later, exit))
              )
            )
          }
          return 1
        })
      )
      const b = yield* Cached.make("b", { success: Schema.Number }, () => Effect.map(a(), (n) => n + 1))
      functions.b = b()
      yield* a()
      yield* Deferred.succeed(go, undefined)
      assert.deepStrictEqual(yield* Deferred.await(later), Exit.succeed(2))
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is none between functions of one name in two caches", () =>
    Effect.gen(function*() {
      const success = { success: Schema.Number }
      const here = yield* Layer.build(Layer.fresh(CacheTest.layer))
      const there = yield* Layer.build(Layer.fresh(CacheTest.layer))
      const inner = yield* Effect.provide(Cached.make("user", success, () => Effect.succeed(1)), there)
      const outer = yield* Effect.provide(Cached.make("user", success, () => inner()), here)
      assert.strictEqual(yield* outer(), 1)
    }))
})

describe("two caches", () => {
  it.effect("with one store and a graph each do not take each other's word for what is valid", () =>
    Effect.gen(function*() {
      const shared = Layer.succeedContext(yield* Layer.build(Layer.merge(Store.layerMemory(), Broadcaster.layerLocal)))
      const cache = Layer.fresh(ResultCache.layer()).pipe(
        Layer.provide([shared, Layer.fresh(DependencyGraph.layer())])
      )
      const here = yield* Layer.build(cache)
      const there = yield* Layer.build(cache)
      let executions = 0
      const make = Cached.make(
        "f",
        { success: Schema.Number, deps: () => ["t"] },
        () => Effect.sync(() => ++executions)
      )
      const f = yield* Effect.provide(make, here)
      const g = yield* Effect.provide(make, there)
      yield* Effect.provide(invalidate("other"), there)
      yield* f()
      assert.strictEqual(yield* g(), 1)
      yield* Effect.provide(invalidate("t"), there)
      assert.deepStrictEqual([yield* f(), yield* g()], [2, 2])
    }))

  it.effect("with one graph: closing one leaves the other working", () =>
    Effect.gen(function*() {
      const services = Layer.mergeAll(Store.layerMemory(), Broadcaster.layerLocal, DependencyGraph.layer())
      const shared = Layer.succeedContext(yield* Layer.build(services))
      const cache = Layer.build(Layer.fresh(ResultCache.layer()).pipe(Layer.provide(shared)))
      const stays = yield* cache
      const scope = yield* Scope.make()
      yield* Scope.provide(cache, scope)
      let executions = 0
      const f = yield* Effect.provide(
        Cached.make("f", { success: Schema.Number, deps: () => ["t"] }, () => Effect.sync(() => ++executions)),
        stays
      )
      yield* f()
      yield* Scope.close(scope, Exit.void)
      yield* f()
      assert.strictEqual(yield* f(), executions)
      assert.isAtMost(executions, 2)
      yield* Effect.provide(invalidate("t"), stays)
      assert.strictEqual(yield* f(), executions)
      assert.isAtLeast(executions, 2, "and it still hears of invalidations")
    }))
})

const makeChain = (leaf: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const functions: { chain?: Cached.Cached<{ readonly n: typeof Schema.Number }, typeof Schema.Number, unknown> } = {}
    return functions.chain = yield* Cached.make(
      "chain",
      { input: { n: Schema.Number }, success: Schema.Number },
      ({ n }): Effect.Effect<number, unknown> =>
        n === 0
          ? Effect.as(leaf, 0)
          : Effect.map(Effect.suspend(() => functions.chain!({ n: n - 1 })), (below) => below + 1)
    )
  })

describe("a chain of a thousand keys", () => {
  it.effect("that ask for one another is answered", () =>
    Effect.gen(function*() {
      const chain = yield* makeChain(Effect.yieldNow)
      assert.strictEqual(yield* withinTurns(100_000, "the chain hangs", chain({ n: 1000 })), 1000)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("that joined one another is answered", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const chain = yield* makeChain(Deferred.await(gate))
      const fibers = yield* Effect.forEach(Array.from({ length: 1001 }, (_, n) => n), (n) => start(chain({ n })))
      yield* start(Deferred.succeed(gate, undefined))
      const last = yield* withinTurns(100_000, "the chain hangs", Effect.forEach(fibers, (fiber) => Fiber.join(fiber)))
      assert.strictEqual(last.at(-1), 1000)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is left by its only caller", () =>
    Effect.gen(function*() {
      let running = 0
      const leaf = Effect.ensuring(
        Effect.suspend(() => (running++, Effect.never)),
        Effect.sync(() => running--)
      )
      const chain = yield* makeChain(leaf)
      const caller = yield* start(chain({ n: 1000 }))
      yield* turns(1000)
      assert.strictEqual(running, 1)
      yield* withinTurns(100_000, "the interruption hangs", Fiber.interrupt(caller))
      assert.strictEqual(running, 0)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("a list of tags", () => {
  it.effect("may be used again by whoever invalidated it", () =>
    Effect.gen(function*() {
      const { invalidate } = yield* ResultCache.ResultCache
      let executions = 0
      const f = yield* Cached.make(
        "f",
        { success: Schema.Number, deps: () => ["a", "b", "c"] },
        () => Effect.sync(() => ++executions)
      )
      yield* f()
      yield* f()
      const batch = ["a"]
      yield* invalidate(batch)
      batch.length = 0
      assert.deepStrictEqual([yield* f(), yield* f()], [2, 2])
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("the first requests of a cached handler", () => {
  const requests = Effect.gen(function*() {
    let executions = 0
    const route = HttpRouter.add("GET", "/x", cached(() => Effect.sync(() => ++executions), { success: Schema.Number }))
    // The log is slow to forget whoever had the name before: the route is being made for as long as a test wants.
    const services = yield* Layer.build(faulty())
    const log = Context.get(services, FaultyBroadcaster.FaultyBroadcaster)
    yield* Effect.provide(
      Effect.scoped(Cached.make("GET /x", { success: Schema.Number }, () => Effect.succeed(0))),
      services
    )
    yield* log.become("slow")
    const web = HttpRouter.toWebHandler(Layer.provideMerge(route, Layer.succeedContext(services)), {
      disableLogger: true
    })
    yield* Effect.addFinalizer(() => Effect.promise(web.dispose))
    const handler = web.handler
    const send = Effect.promise((signal) => handler(new Request("http://localhost/x", { signal })))
    const status = Effect.map(send, (response) => response.headers.get("cache-status"))
    const proceed = Effect.andThen(log.become("healthy"), log.release)
    return { proceed, status }
  })

  it.effect("make it once, though they come at once", () =>
    Effect.gen(function*() {
      const { proceed, status } = yield* requests
      const first = yield* start(status)
      const second = yield* start(status)
      yield* turns(50)
      yield* proceed
      const both = [yield* Fiber.join(first), yield* Fiber.join(second)]
      assert.notInclude(both.join(), "name-taken")
      assert.strictEqual(yield* status, "effect-cached; hit")
    }))

  it.effect("may be given up by their client", () =>
    Effect.gen(function*() {
      const { proceed, status } = yield* requests
      const first = yield* start(status)
      yield* turns(50)
      yield* Fiber.interrupt(first)
      const second = yield* start(status)
      yield* turns(50)
      yield* proceed
      yield* Fiber.join(second)
      assert.strictEqual(yield* status, "effect-cached; hit")
    }))
})

const read = (value: unknown): unknown =>
  value instanceof Date ? value.getTime() : value instanceof URL ? value.href : JSON.stringify(value)

describe("an input that is changed while it is computed with", () => {
  it.effect.each<readonly [string, Schema.Top, () => unknown, (value: any) => void]>([
    ["date", Schema.Date, () => new Date(1), (date: Date) => date.setTime(2)],
    ["list of bytes", Schema.Uint8Array, () => new Uint8Array([1]), (bytes: Uint8Array) => bytes.fill(2)],
    ["URL", Schema.URL, () => new URL("http://a/1"), (url: URL) => url.pathname = "/2"],
    ["value of any kind", Schema.Unknown, () => ({ a: [1] }), (value: { a: Array<number> }) => value.a.push(2)]
  ])("is not: a %s", ([, schema, make, change]) =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const f = yield* Cached.make(
        "f",
        { input: { value: schema as Schema.Schema<unknown> as Schema.Codec<unknown> }, success: Schema.Unknown },
        ({ value }) => Effect.andThen(Deferred.await(gate), Effect.sync(() => read(value)))
      )
      const mine = make()
      const call = yield* start(f({ value: mine }))
      change(mine)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(call)
      assert.strictEqual(yield* f({ value: make() }), read(make()))
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("an input that contains itself, or holds one value in very many places", () => {
  const cyclic: Record<string, unknown> = {}
  cyclic["self"] = [cyclic]
  let shared: unknown = {}
  for (let level = 0; level < 40; level++) shared = { left: shared, right: shared }

  it.effect.each([["contains itself", cyclic], ["is shared 2^40 times", shared]] as const)(
    "is a typed error, soon: one that %s",
    ([, value]) =>
      Effect.gen(function*() {
        const f = yield* Cached.make("f", { input: { value: Schema.Unknown }, success: Schema.Number }, () =>
          Effect.succeed(1))
        const error = yield* Effect.flip(f({ value }))
        assert.strictEqual(error.reason._tag, "InputError")
      }).pipe(Effect.provide(CacheTest.layer))
  )
})

describe("a store elsewhere that is slow", () => {
  it.effect("does not put an old result over one that was refreshed meanwhile", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      let data = "old"
      const f = yield* Cached.make(
        "f",
        { success: Schema.String },
        () => Effect.suspend(() => Effect.as(faults.become(data === "old" ? "slow" : "healthy"), data))
      )
      const first = yield* f()
      data = "new"
      yield* TestClock.adjust("1 milli")
      const second = yield* f.refresh()
      yield* turns(20)
      yield* faults.release
      yield* turns(20)
      assert.deepStrictEqual([first, second, yield* f()], ["old", "new", "new"])
    }).pipe(Effect.provide(faulty())))
})

describe("an entry of another format", () => {
  it.effect("is replaced, although the clock of whoever wrote it was ahead", () =>
    Effect.gen(function*() {
      const { get, set } = yield* Store.Store
      yield* set(makeEntry("k", { position: 5, createdAt: 1000, fingerprint: "before" }))
      assert.strictEqual(
        yield* set(makeEntry("k", { position: 5, createdAt: 900, fingerprint: "after" })),
        "stored"
      )
      assert.strictEqual((yield* get("k"))?.fingerprint, "after")
    }).pipe(Effect.provide(Store.layerMemory())))
})

describe("a computation that starts another one", () => {
  it.effect("is known to wait for it before that one asks for anything", () =>
    Effect.gen(function*() {
      const open = yield* Deferred.make<void>()
      type Fn = Cached.Cached<{}, typeof Schema.Number, unknown>
      const fns: { x?: Fn; c?: Fn } = {}
      const ask = (name: "x" | "c"): Effect.Effect<number, unknown> => Effect.suspend(() => fns[name]!())
      const p = yield* Cached.make(
        "p",
        { success: Schema.Number },
        () => Effect.andThen(Deferred.await(open), ask("c"))
      )
      fns.x = yield* Cached.make("x", { success: Schema.Number }, () => p())
      fns.c = yield* Cached.make("c", { success: Schema.Number }, () => ask("x"))
      const callers = yield* Effect.forEach([p, fns.x], (fn) => start(Effect.exit(fn())))
      yield* Deferred.succeed(open, undefined)
      const exits = yield* withinTurns(1000, "someone waits for ever", Fiber.joinAll(callers))
      assert.isTrue(exits.every(Exit.isFailure))
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("a request", () => {
  it.effect("is told apart by cookies and parameters of any name", () =>
    Effect.gen(function*() {
      const Page = HttpRouter.add(
        "GET",
        "/page",
        cached(
          Effect.gen(function*() {
            const { cookies } = yield* HttpServerRequest.HttpServerRequest
            const search = yield* HttpServerRequest.ParsedSearchParams
            return HttpServerResponse.text(`${cookies["~c"]} ${String(search["~q"])} ${String(search["~effect/q"])}`)
          }),
          { varyBy: "nothing" }
        )
      )
      const { dispose, handler } = HttpRouter.toWebHandler(Page.pipe(Layer.provideMerge(CacheLive)), {
        disableLogger: true
      })
      yield* Effect.addFinalizer(() => Effect.promise(dispose))
      const send = (cookie: string, query: string) =>
        Effect.promise(async () => {
          const request = new Request(`http://localhost/page?${query}`, { headers: { cookie: `~c=${cookie}` } })
          return await (await handler(request)).text()
        })
      assert.strictEqual(yield* send("a", "~q=1"), "a 1 undefined")
      assert.strictEqual(yield* send("b", "~q=1"), "b 1 undefined")
      assert.strictEqual(yield* send("b", "~q=2"), "b 2 undefined")
      assert.strictEqual(yield* send("b", "~q=2&~effect%2Fq=3"), "b 2 3")
      assert.strictEqual(yield* send("b", "~q=2&~effect%2Fq=4"), "b 2 4")
    }))
})

describe("tags that are held because the log did not take their record", () => {
  it.effect("stay held when the log answers for an earlier record", () =>
    Effect.gen(function*() {
      const inner = yield* Broadcaster.Broadcaster
      const answer = yield* Deferred.make<void>()
      let appends = 0
      const log = Broadcaster.Broadcaster.of({
        ...inner,
        // The first record is in the log and told at once, and answered late. The second one is not taken.
        append: (tags) =>
          ++appends === 1 ? Effect.tap(inner.append(tags), () => Deferred.await(answer)) : Effect.die(new Error("down"))
      })
      const cache = yield* ResultCache.make().pipe(Effect.provideService(Broadcaster.Broadcaster, log))
      let data = "old"
      const computing = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const read = yield* Cached.make("read", { success: Schema.String, deps: () => ["a"] }, () =>
        Effect.gen(function*() {
          const seen = data
          yield* Deferred.succeed(computing, undefined)
          yield* Deferred.await(go)
          return seen
        })).pipe(Effect.provideService(ResultCache.ResultCache, cache))
      const first = yield* start(cache.invalidate(["a"]))
      const reader = yield* start(read())
      yield* Deferred.await(computing)
      data = "new"
      yield* Effect.exit(cache.invalidate(["a"]))
      yield* Deferred.succeed(answer, undefined)
      yield* Fiber.join(first)
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(reader)
      assert.strictEqual(yield* read(), "new")
    }).pipe(Effect.provide([Store.layerMemory(), DependencyGraph.layer(), Broadcaster.layerLocal])))
})
