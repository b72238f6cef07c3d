import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Fiber, Layer, Queue, Stream } from "effect"
import { Broadcaster, cached, type CacheEvent, DependencyGraph, ResultCache, Store } from "effect-cached"
import { FaultyStore } from "effect-cached/testing"
import { HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { bypass, hit, miss, type Send, serve } from "./http.ts"
import { asked, Forwarded, get, readers, sync, text } from "./httpReaders.ts"

const base = "GET /page\t{}"
const users = ["ada", "bob"]
const as = (send: Send, user: string) => send("/page", { headers: { "x-user": user } })
const themed = (send: Send, theme: string) => send("/page", { headers: { "x-user": "ada", cookie: `theme=${theme}` } })
const keyOf = (user: string) => `${base}\t[["header:x-user","${user}"]]`
const byUser = sync((request) => request.headers["x-user"])

/** Processes with one store and one log. */
const makeProcesses = Effect.gen(function*() {
  const clock = Layer.succeed(Clock.Clock)(yield* Clock.Clock)
  const shared = yield* Layer.build(
    Layer.merge(FaultyStore.layer(Store.layerMemory()), Broadcaster.layerLocal).pipe(Layer.provide(clock))
  )
  const store = Context.get(shared, Store.Store)
  const start = Effect.gen(function*() {
    const queue = yield* Queue.unbounded<CacheEvent.CacheEvent>()
    const events: Array<CacheEvent.CacheEvent> = []
    const layer = ResultCache.layer({
      storeTimeout: "1 hour",
      onEvent: (event) => {
        events.push(event)
        Queue.offerUnsafe(queue, event)
      }
    }).pipe(Layer.provide([DependencyGraph.layer(), Layer.succeedContext(shared), clock]))
    const cache = Context.get(yield* Layer.build(Layer.fresh(layer)), ResultCache.ResultCache)
    return {
      cache,
      layer: Layer.succeed(ResultCache.ResultCache)(cache),
      exceeded: () => events.flatMap((event) => event._tag === "VariantsExceeded" ? [event.key] : []),
      next: Effect.fnUntraced(function*(tag: CacheEvent.CacheEvent["_tag"]) {
        while ((yield* Queue.take(queue))._tag !== tag);
      })
    }
  })
  return {
    start,
    store,
    faults: Context.get(shared, FaultyStore.FaultyStore),
    note: Effect.map(store.get(base), (entry) => entry?.body),
    /** The keys of what is stored but for notes. */
    variants: Effect.map(
      Stream.runCollect(store.entries),
      (entries) => entries.flatMap(({ fingerprint, key }) => fingerprint === "note-1" ? [] : [key]).toSorted()
    )
  }
})

describe("the variants of a response", () => {
  it.effect("are found by another process, which learns by one read what they depend on", () =>
    Effect.gen(function*() {
      const { faults, note, start } = yield* makeProcesses
      const handler = text(byUser)
      const first = yield* serve(get("/page", cached(handler.run)), yield* start)
      const second = yield* serve(get("/page", cached(handler.run)), yield* start)
      for (const user of users) assert.strictEqual((yield* as(first.send, user)).body, user)
      assert.strictEqual(yield* note, "[\"header:x-user\"]")
      const before = (yield* faults.operations).length
      for (const user of users) {
        const reply = yield* as(second.send, user)
        assert.strictEqual(reply.body, user)
        assert.strictEqual(reply.cacheStatus, hit)
        assert.strictEqual(reply.headers["vary"], "x-user")
      }
      assert.strictEqual(handler.executions, 2)
      assert.deepStrictEqual((yield* faults.operations).slice(before).map(([, key]) => key), [
        base,
        `${base}\t[["header:x-user","ada"]]`,
        `${base}\t[["header:x-user","bob"]]`
      ])
      const cat = yield* as(second.send, "cat")
      assert.strictEqual(cat.body, "cat")
      assert.strictEqual(handler.executions, 3)
    }))

  it.effect("need no note where responses depend on nothing", () =>
    Effect.gen(function*() {
      const { note, start } = yield* makeProcesses
      const { send } = yield* serve(get("/page", cached(text(() => Effect.succeed("x")).run)), yield* start)
      for (const _ of [1, 2]) yield* send("/page")
      assert.isUndefined(yield* note)
    }))

  it.effect("are noted anew when responses turn out to depend on more", () =>
    Effect.gen(function*() {
      const { note, start } = yield* makeProcesses
      const handler = text(sync(({ cookies, headers }) => headers["x-user"] === "ada" ? cookies["theme"] : "none"))
      const first = yield* serve(get("/page", cached(handler.run, { varyBy: "nothing" })), yield* start)
      const second = yield* serve(get("/page", cached(handler.run, { varyBy: "nothing" })), yield* start)
      yield* as(first.send, "bob")
      assert.strictEqual(yield* note, "[\"header:x-user\"]")
      // The other process has read the first note, and finds out by itself.
      yield* as(second.send, "bob")
      assert.strictEqual((yield* themed(first.send, "dark")).body, "dark")
      assert.strictEqual(yield* note, "[\"cookie:theme\",\"header:x-user\"]")
      for (const theme of ["light", "dark"]) assert.strictEqual((yield* themed(second.send, theme)).body, theme)
      for (const theme of ["light", "dark"]) {
        const reply = yield* themed(second.send, theme)
        assert.strictEqual(reply.body, theme)
        assert.strictEqual(reply.cacheStatus, hit)
        assert.strictEqual(reply.headers["vary"], "cookie, x-user")
        assert.strictEqual(reply.headers["cache-control"], "private, no-cache")
      }
    }))

  it.effect("are learned with one read for all who ask at once, though the first of them hangs up", () =>
    Effect.gen(function*() {
      const { faults, start } = yield* makeProcesses
      const handler = text(byUser)
      const first = yield* serve(get("/page", cached(handler.run)), yield* start)
      const second = yield* serve(get("/page", cached(handler.run)), yield* start)
      yield* as(first.send, "ada")
      const before = (yield* faults.operations).length
      yield* faults.become("slow")
      const hangUp = new AbortController()
      const ask = (signal?: AbortSignal) =>
        Effect.forkChild(Effect.exit(second.send("/page", { headers: { "x-user": "ada" }, signal })), {
          startImmediately: true
        })
      const fibers = [yield* ask(hangUp.signal), yield* ask(), yield* ask()]
      hangUp.abort()
      yield* Fiber.await(fibers[0]!)
      yield* faults.become("healthy")
      yield* faults.release
      for (const fiber of fibers.slice(1)) {
        const reply = yield* yield* Fiber.join(fiber)
        assert.strictEqual(reply.body, "ada")
        assert.strictEqual(reply.cacheStatus, hit)
      }
      const reads = (yield* faults.operations).slice(before).filter(([, key]) => key === base)
      assert.strictEqual(reads.length, 1)
    }))
})

describe("two users of two processes never share what was computed from their requests (scenario 60)", () => {
  it.effect.each(readers)("$name, one after the other", (reader) =>
    Effect.gen(function*() {
      const { start } = yield* makeProcesses
      const { run } = text(reader.read)
      const routes = Layer.merge(Forwarded, get("/page", cached(run, { varyBy: "nothing" })))
      const servers = [yield* serve(routes, yield* start), yield* serve(routes, yield* start)]
      for (const round of [0, 1, 2, 3]) {
        for (const { send } of round % 2 === 0 ? servers : servers.toReversed()) {
          for (const user of round < 2 ? users : users.toReversed()) {
            const reply = yield* send(...asked(reader, user))
            assert.strictEqual(reply.body, user, reply.cacheStatus)
          }
        }
      }
    }))

  it.effect.each(readers)("$name, at the same time", (reader) =>
    Effect.gen(function*() {
      const { start } = yield* makeProcesses
      const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const servers = []
      for (const gate of gates) {
        const { run } = text((request) => Effect.andThen(Deferred.await(gate), reader.read(request)))
        const routes = Layer.merge(Forwarded, get("/page", cached(run, { varyBy: "nothing" })))
        servers.push(yield* serve(routes, yield* start))
      }
      const [one, other] = [servers[0]!, servers[1]!]
      const ask = ({ send }: typeof one, user: string) =>
        Effect.forkChild(send(...asked(reader, user)), { startImmediately: true })
      const first = yield* ask(one, "ada")
      yield* one.next("Miss")
      // Nothing is noted yet when the other process starts to compute, and all of it before that ends.
      const second = yield* ask(other, "bob")
      yield* other.next("Miss")
      yield* Deferred.succeed(gates[0]!, undefined)
      assert.strictEqual((yield* Fiber.join(first)).body, "ada")
      const third = yield* ask(other, "ada")
      yield* Deferred.succeed(gates[1]!, undefined)
      assert.strictEqual((yield* Fiber.join(second)).body, "bob")
      assert.strictEqual((yield* Fiber.join(third)).body, "ada")
      for (const { send } of servers) {
        for (const user of users) assert.strictEqual((yield* send(...asked(reader, user))).body, user)
      }
    }))

  it.effect("where the note was lost", () =>
    Effect.gen(function*() {
      const { note, start, store } = yield* makeProcesses
      const handler = text(byUser)
      const routes = get("/page", cached(handler.run))
      const servers = [yield* serve(routes, yield* start), yield* serve(routes, yield* start)]
      for (const { send } of servers) {
        for (const user of users) assert.strictEqual((yield* as(send, user)).body, user)
        yield* store.remove(base)
      }
      // Whoever finds none learns by computing, finds the variants, and notes it again.
      const third = yield* serve(routes, yield* start)
      for (const user of users) assert.strictEqual((yield* as(third.send, user)).body, user)
      assert.strictEqual(yield* note, "[\"header:x-user\"]")
    }))

  it.effect("where the note cannot be read or written", () =>
    Effect.gen(function*() {
      const { faults, start } = yield* makeProcesses
      const { send } = yield* serve(get("/page", cached(text(byUser).run)), yield* start)
      yield* faults.become("failing")
      for (const user of [...users, ...users]) assert.strictEqual((yield* as(send, user)).body, user)
      yield* faults.become("healthy")
      for (const user of [...users, ...users]) assert.strictEqual((yield* as(send, user)).body, user)
    }))

  it.effect.each([
    "",
    "[",
    "null",
    "{}",
    "[1]",
    "[null]",
    "\"header:x-user\"",
    "[\"x-user\"]",
    "[[\"header:x-user\"]]",
    "[\"header:x-user\",7]",
    JSON.stringify(Array.from({ length: 33 }, (_, n) => `header:x-${n}`)),
    `["header:${"x".repeat(20_000)}"]`,
    "[]",
    "[\"header:x-other\",\"cookie:session\"]",
    "[\"header:x-other\\r\\nset-cookie: a=b\"]",
    "[\"header:__proto__\",\"query:constructor\",\"cookie:toString\"]",
    "[\"url\"]",
    "[\"header:x-user\",\"header:x-user\"]"
  ])("where the note is not theirs: %s", (text_) =>
    Effect.gen(function*() {
      const { start } = yield* makeProcesses
      const routes = get("/page", cached(text(byUser).run))
      const one = yield* start
      yield* one.cache.notes.write(base, text_, [])
      const servers = [yield* serve(routes, one), yield* serve(routes, yield* start)]
      for (const { send } of servers) {
        for (const user of [...users, ...users]) {
          const reply = yield* as(send, user)
          assert.strictEqual(reply.status, 200)
          assert.strictEqual(reply.body, user)
          assert.include(reply.headers["vary"], "x-user")
        }
        assert.strictEqual((yield* as(send, "ada")).cacheStatus, hit)
      }
    }))

  it.effect("where a note comes that names less than this process knows", () =>
    Effect.gen(function*() {
      const { faults, start } = yield* makeProcesses
      const routes = get("/page", cached(text(byUser).run))
      const process = yield* start
      const { next, send } = yield* serve(routes, process)
      yield* faults.become("slow")
      const first = yield* Effect.forkChild(as(send, "ada"), { startImmediately: true })
      const second = yield* Effect.forkChild(as(send, "bob"), { startImmediately: true })
      yield* faults.become("healthy")
      yield* faults.release
      assert.strictEqual((yield* Fiber.join(first)).body, "ada")
      assert.strictEqual((yield* Fiber.join(second)).body, "bob")
      yield* process.cache.notes.write(base, "[]", [])
      for (const user of [...users, ...users]) assert.strictEqual((yield* as(send, user)).body, user)
      yield* next("Hit")
    }))
})

describe("the number of variants", () => {
  it.effect("is bounded: past the bound the least recently used one is removed, and it is told", () =>
    Effect.gen(function*() {
      const { start, variants } = yield* makeProcesses
      const process = yield* start
      const handler = text(byUser)
      const { send } = yield* serve(get("/page", cached(handler.run, { maxVariants: 2 })), process)
      for (const user of ["ada", "bob"]) yield* as(send, user)
      assert.deepStrictEqual(process.exceeded(), [])
      // Used again, so it is not the first to go.
      assert.strictEqual((yield* as(send, "ada")).cacheStatus, hit)
      yield* as(send, "cat")
      assert.deepStrictEqual(process.exceeded(), [keyOf("bob")])
      assert.deepStrictEqual(yield* variants, [keyOf("ada"), keyOf("cat")])
      assert.strictEqual((yield* as(send, "ada")).cacheStatus, hit)
      assert.strictEqual((yield* as(send, "bob")).body, "bob")
      assert.deepStrictEqual(process.exceeded(), [keyOf("bob"), keyOf("cat")])
      for (let n = 0; n < 50; n++) assert.strictEqual((yield* as(send, `user-${n}`)).body, `user-${n}`)
      assert.strictEqual((yield* variants).length, 2)
      assert.strictEqual(process.exceeded().length, 52)
    }))

  it.effect("counts for each path by itself, and is 100 by default", () =>
    Effect.gen(function*() {
      const { start, variants } = yield* makeProcesses
      const process = yield* start
      const handler = text(byUser)
      const { send } = yield* serve(get("/:page", cached(handler.run)), process)
      for (let n = 0; n < 100; n++) {
        for (const path of ["/a", "/b"]) yield* send(path, { headers: { "x-user": `${n}` } })
      }
      assert.deepStrictEqual(process.exceeded(), [])
      assert.strictEqual((yield* variants).length, 200)
      yield* send("/a", { headers: { "x-user": "one more" } })
      assert.strictEqual(process.exceeded().length, 1)
      assert.strictEqual((yield* variants).length, 200)
    }))

  it.effect("does not count those that are over", () =>
    Effect.gen(function*() {
      const { start } = yield* makeProcesses
      const process = yield* start
      const { send } = yield* serve(
        get("/page", cached(text(byUser).run, { maxVariants: 2, timeToLive: "10 seconds" })),
        process
      )
      for (const user of ["ada", "bob"]) yield* as(send, user)
      yield* TestClock.adjust("10 seconds")
      for (const user of ["cat", "dan"]) yield* as(send, user)
      assert.deepStrictEqual(process.exceeded(), [])
      yield* as(send, "eve")
      assert.deepStrictEqual(process.exceeded(), [keyOf("cat")])
    }))

  it.effect("counts what another process has stored once it is served here", () =>
    Effect.gen(function*() {
      const { start, variants } = yield* makeProcesses
      const routes = get("/page", cached(text(byUser).run, { maxVariants: 2 }))
      const first = yield* serve(routes, yield* start)
      const process = yield* start
      const second = yield* serve(routes, process)
      for (const user of ["ada", "bob"]) yield* as(first.send, user)
      for (const user of ["ada", "bob"]) assert.strictEqual((yield* as(second.send, user)).cacheStatus, hit)
      yield* as(second.send, "cat")
      assert.deepStrictEqual(process.exceeded(), [keyOf("ada")])
      assert.deepStrictEqual(yield* variants, [keyOf("bob"), keyOf("cat")])
    }))

  it.effect.each([0, -1, 1.5, NaN, Infinity])("cannot be bounded by %s", (maxVariants) =>
    Effect.gen(function*() {
      const { send } = yield* serve(get("/page", cached(text(byUser).run, { maxVariants })))
      assert.strictEqual((yield* send("/page")).status, 500)
    }))

  it.effect("of the names that a response depends on is bounded, too: past it, requests go past the cache", () =>
    Effect.gen(function*() {
      const handler = text(sync(({ headers }) => {
        for (let n = 0; n < 40; n++) void headers[`x-${n}`]
        return headers["x-user"]
      }))
      const { send } = yield* serve(get("/page", cached(handler.run)))
      assert.strictEqual((yield* as(send, "ada")).cacheStatus, "effect-cached; fwd=miss; detail=response")
      for (const user of users) {
        const reply = yield* as(send, user)
        assert.strictEqual(reply.body, user)
        assert.strictEqual(reply.cacheStatus, bypass("request"))
      }
    }))

  it.effect("does not matter where there is one only", () =>
    Effect.gen(function*() {
      const { start } = yield* makeProcesses
      const process = yield* start
      let value = 0
      const handler = Effect.sync(() => HttpServerResponse.text(`${++value}`))
      const { send } = yield* serve(get("/page", cached(handler, { maxVariants: 1, deps: ["page"] })), process)
      assert.strictEqual((yield* send("/page")).cacheStatus, "effect-cached; fwd=miss")
      yield* process.cache.invalidate(["page"])
      assert.strictEqual((yield* send("/page")).body, "2")
      assert.deepStrictEqual(process.exceeded(), [])
      assert.notStrictEqual((yield* send("/page")).cacheStatus, miss)
    }))
})
