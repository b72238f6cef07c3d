/**
 * Processes whose server, or who themselves, are killed, stopped, full, empty or late.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { monotonic, Nodes, passed } from "./processes/Nodes.ts"
import * as nodes from "./processes/Nodes.ts"
import { bound, hit, makeWorld, patient, reads } from "./processes/world.ts"
import * as RedisServer from "./redis/RedisServer.ts"

it.layer(nodes.layer(4), { excludeTestServices: true })("processes that share a cache", (it) => {
  it.effect("answer while Redis is gone, and share again when it is back, without a restart (scenario 45)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], source, update } = yield* makeWorld(server, [{}, {}])
      yield* hit(source, b!, "k")
      yield* server.kill9
      const killed = monotonic()
      for (const key of ["k", "l"]) {
        assert.strictEqual((yield* a!.read(key)).version, 1)
        assert.strictEqual((yield* a!.strong(key)).version, 1)
      }
      yield* a!.tells("StoreFailed", killed)
      yield* a!.tells("LogFailed", killed)
      yield* server.restart
      yield* a!.tells("CaughtUp", killed)
      const { by, version } = yield* hit(source, a!, "l")
      assert.strictEqual(version, 1)
      assert.strictEqual((yield* hit(source, b!, "l")).by, by)
      yield* update(b!, "l")
      yield* a!.sees("l", 2)
    }).pipe(Effect.scoped))

  it.effect("answer while Redis stands still, within the limits of a few commands (scenario 45)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], source } = yield* makeWorld(server, [{}, {}])
      yield* hit(source, b!, "k")
      yield* server.stop
      for (const cache of [a!, b!]) {
        for (const read of [cache.read("k"), cache.read("new"), cache.strong("k")]) {
          const { ended, started, version } = yield* read
          assert.strictEqual(version, 1)
          // Ask the log, the store, for the lease: 300 ms each. A machine may be slow.
          assert.isBelow(ended - started, 5000)
        }
        const { ended, failure, started } = yield* cache.invalidate("item:k")
        assert.strictEqual(failure?.reason, "LogError")
        assert.isBelow(ended - started, 5000)
      }
      yield* server.cont
      const { by } = yield* hit(source, a!, "k")
      yield* b!.sees("k", 1)
      assert.include([a!.node.name, b!.node.name], by)
    }).pipe(Effect.scoped))

  it.effect("answer while Redis is full, and invalidate or say that they cannot (scenario 45)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], source } = yield* makeWorld(server, [{}, {}])
      yield* hit(source, a!, "k")
      yield* hit(source, b!, "k")
      yield* server.cli("CONFIG", "SET", "maxmemory", "1")
      assert.strictEqual((yield* a!.read("new")).version, 1)
      source.write("k")
      const { ended, failure } = yield* a!.invalidate("item:k")
      yield* reads(a!, "k", 2)
      if (failure === undefined) {
        yield* passed(ended + bound)
        yield* reads(b!, "k", 2)
      } else assert.strictEqual(failure.reason, "LogError")
      yield* server.cli("CONFIG", "SET", "maxmemory", "0")
      yield* b!.sees("k", 2)
      for (const cache of [a!, b!]) assert.strictEqual((yield* hit(source, cache, "k")).version, 2)
      yield* hit(source, a!, "new")
    }).pipe(Effect.scoped))

  it.effect("have lost nothing when one of them is killed (scenario 50)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], open, source, update } = yield* makeWorld(server, [patient, patient])
      yield* hit(source, a!, "k")
      yield* hit(source, b!, "k")
      yield* update(b!, "k")
      yield* b!.node.kill9
      yield* a!.sees("k", 2)
      const [another] = yield* Nodes.use(({ take }) => take(1))
      const { cache } = yield* open(another!, patient)
      yield* reads(cache, "k", 2)
      yield* update(cache, "k")
      yield* a!.sees("k", 3)
    }).pipe(Effect.scoped))

  it.effect("give no old value as the first thing after they stood still for longer than the bound (scenario 50)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], source, update } = yield* makeWorld(server, [{}, {}])
      for (let round = 2; round < 5; round++) {
        yield* hit(source, a!, "k")
        yield* hit(source, b!, "k")
        yield* b!.node.stop
        const { ended } = yield* update(a!, "k")
        yield* passed(ended + bound)
        // They lie ready when it goes on: nothing tells it before that time has passed.
        const waiting = yield* Effect.forkChild(reads(b!, "k", round, 10), { startImmediately: true })
        yield* b!.node.cont
        yield* Fiber.join(waiting)
      }
    }).pipe(Effect.scoped))

  it.effect("give no old value after the bound where Redis stood still meanwhile (scenario 50)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], source, update } = yield* makeWorld(server, [{}, {}])
      yield* hit(source, a!, "k")
      yield* hit(source, b!, "k")
      const { ended } = yield* update(a!, "k")
      yield* server.stop
      yield* passed(ended + bound)
      yield* reads(b!, "k", 2)
      yield* server.cont
      yield* reads(b!, "k", 2, 20)
      assert.strictEqual((yield* hit(source, b!, "k")).version, 2)
    }).pipe(Effect.scoped))

  it.effect("give no old value after a failover to a replica that did not have the last records (scenario 50)", () =>
    Effect.gen(function*() {
      const master = yield* RedisServer.start()
      const world = yield* makeWorld(master, [{}, {}, {}])
      const { caches: [a, b, c], open, proxies, source, update } = world
      for (const cache of [a!, b!, c!]) for (const key of ["k", "l"]) yield* hit(source, cache, key)
      const replica = yield* RedisServer.startReplica(master)
      yield* replica.promote
      // This one knows only what the replica knows, too: for it nothing is missing.
      yield* proxies[2]!.cut
      const { ended } = yield* update(a!, "k")
      yield* b!.sees("k", 2)
      yield* master.kill9
      for (const proxy of proxies) yield* proxy.to(replica.port)
      yield* proxies[2]!.heal
      // Nor is it for one that joins now. The replica has the old value.
      const [node] = yield* Nodes.use(({ take }) => take(1))
      const { cache: d, proxy } = yield* open(node!)
      yield* proxy.to(replica.port)
      yield* passed(ended + bound)
      for (const cache of [a!, b!, c!, d]) yield* reads(cache, "k", 2)
      for (const cache of [a!, b!, c!, d]) assert.strictEqual((yield* hit(source, cache, "k")).version, 2)
      const { ended: again, version } = yield* update(c!, "l")
      yield* passed(again + bound)
      for (const cache of [a!, b!, c!, d]) yield* reads(cache, "l", version)
    }).pipe(Effect.scoped))

  it.effect("give no old value after such a failover where all who knew of those records are gone, too (scenario 50)", () =>
    Effect.gen(function*() {
      const master = yield* RedisServer.start()
      const { caches: [a, b], open, proxies: [, proxy], source, update } = yield* makeWorld(master, [{}, {}])
      yield* hit(source, a!, "k")
      yield* hit(source, b!, "k")
      const replica = yield* RedisServer.startReplica(master)
      yield* replica.promote
      yield* proxy!.cut
      const { ended } = yield* update(a!, "k")
      yield* a!.node.kill9
      yield* master.kill9
      yield* proxy!.to(replica.port)
      yield* proxy!.heal
      const [node] = yield* Nodes.use(({ take }) => take(1))
      const { cache: c, proxy: another } = yield* open(node!)
      yield* another.to(replica.port)
      yield* passed(ended + bound)
      for (const cache of [b!, c]) {
        yield* reads(cache, "k", 2)
        assert.strictEqual((yield* hit(source, cache, "k")).version, 2)
      }
    }).pipe(Effect.scoped))

  it.effect("fail to invalidate while Redis is killed, forget at once, and deliver in order afterwards (scenario 54)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start({ persistent: true })
      const { caches: [a, b], onLog, source } = yield* makeWorld(server, [{}, {}])
      const keys = ["k1", "k2", "k3"]
      for (const key of keys) {
        yield* hit(source, a!, key)
        yield* hit(source, b!, key)
      }
      yield* server.kill9
      for (const key of keys) {
        source.write(key)
        assert.strictEqual((yield* a!.invalidate(`item:${key}`)).failure?.reason, "LogError")
        yield* reads(a!, key, 2)
      }
      yield* server.restart
      for (const key of keys) yield* b!.sees(key, 2)
      for (const cache of [a!, b!]) {
        for (const key of keys) assert.strictEqual((yield* hit(source, cache, key)).version, 2)
      }
      const log = yield* onLog("XRANGE", "-", "+")
      const places = keys.map((key) => log.indexOf(`item:${key}`))
      assert.deepStrictEqual(places.toSorted((x, y) => x - y), places)
      assert.isAbove(places[0]!, -1)
    }).pipe(Effect.scoped))

  it.effect("give nothing from memory after the bound, and with `consistency: strong` not even before (scenario 55)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], proxies: [, proxy], source, update } = yield* makeWorld(server, [{}, {}])
      yield* hit(source, b!, "k")
      yield* b!.strong("k")
      for (const harm of [proxy!.cut, proxy!.stall(), proxy!.stall("replies")]) {
        yield* harm
        const { ended, version } = yield* update(a!, "k")
        assert.strictEqual((yield* b!.strong("k")).version, version)
        yield* passed(ended + bound)
        const executed = source.count("k")
        yield* reads(b!, "k", version, 3)
        // Nothing is kept of what it cannot know to be right.
        assert.strictEqual(source.count("k"), executed + 3)
        yield* proxy!.heal
        assert.strictEqual((yield* hit(source, b!, "k")).version, version)
        assert.strictEqual((yield* b!.strong("k")).version, version)
      }
    }).pipe(Effect.scoped))

  it.effect("give with `consistency: strong` what was invalidated anywhere a moment ago (scenario 55)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      // The network of the reader is slow: it hears of nothing by itself in time.
      const { caches: [a, b], proxies: [, proxy], update } = yield* makeWorld(server, [patient, patient])
      yield* b!.strong("k")
      yield* proxy!.delay(30)
      for (let round = 0; round < 5; round++) {
        const { version } = yield* update(a!, "k")
        assert.strictEqual((yield* b!.strong("k")).version, version)
      }
    }).pipe(Effect.scoped))

  it.effect("give no old value as the first thing after their thread was blocked for longer than the bound (scenario 55)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], source, update } = yield* makeWorld(server, [{}, {}])
      for (let round = 0; round < 2; round++) {
        yield* hit(source, b!, "k")
        const blocked = yield* Effect.forkChild(b!.blocked("k", bound * 2), { startImmediately: true })
        const { ended, version } = yield* update(a!, "k")
        const read = yield* Fiber.join(blocked)
        if (read.started > ended + bound) assert.strictEqual(read.version, version)
      }
    }).pipe(Effect.scoped))

  it.effect("count what they hear from when they asked, not from when the answer came (scenario 55)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], proxies: [, proxy], source, update } = yield* makeWorld(server, [
        {},
        { commandTimeout: 10_000 }
      ])
      for (let round = 0; round < 2; round++) {
        yield* hit(source, b!, "k")
        yield* proxy!.stall("replies")
        // It has asked again by then.
        yield* passed(monotonic() + bound / 2)
        const before = monotonic()
        const { ended, version } = yield* update(a!, "k")
        yield* passed(ended + bound)
        // What was answered before the invalidation arrives, and nothing else.
        yield* proxy!.release(before)
        yield* reads(b!, "k", version, 20)
        yield* proxy!.heal
        assert.strictEqual((yield* hit(source, b!, "k")).version, version)
      }
    }).pipe(Effect.scoped))

  it.effect("do not give to who asks after the bound what is still computed from before (scenario 55)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches: [a, b], proxies: [, proxy], source, update } = yield* makeWorld(server, [{}, {}])
      for (const ask of ["read", "strong"] as const) {
        const key = `of-${ask}`
        const held = source.hold(key)
        const early = yield* Effect.forkChild(b![ask](key), { startImmediately: true })
        yield* source.runs.until("the computation", (runs) => runs.find((run) => run.key === key))
        yield* proxy!.cut
        const { ended, version } = yield* update(a!, key)
        if (ask === "read") yield* passed(ended + bound)
        const late = yield* Effect.forkChild(b![ask](key), { startImmediately: true })
        const again = source.runs.until(
          "a second computation",
          (runs) => runs.filter((run) => run.key === key).length > 1 ? true : undefined
        )
        // It either asks for itself, or waits for what is computed, until that is there.
        yield* Effect.raceFirst(again, passed(monotonic() + 3000))
        held.release()
        assert.strictEqual((yield* Fiber.join(late)).version, version)
        yield* Fiber.join(early)
        yield* proxy!.heal
        assert.strictEqual((yield* hit(source, b!, key)).version, version)
      }
    }).pipe(Effect.scoped))

  it.effect("are right while Redis comes back empty, and fast again by themselves (scenario 57)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const { caches, source, update } = yield* makeWorld(server, [{}, {}, {}])
      const [a] = caches
      for (const cache of caches) yield* hit(source, cache, "k")
      const { ended } = yield* update(a!, "k")
      yield* server.restart
      yield* passed(ended + bound)
      for (const cache of caches) yield* reads(cache, "k", 2)
      // One of them computes, and the others find it.
      yield* hit(source, a!, "k")
      const makers = new Set<string>()
      for (const cache of caches) {
        const { by, version } = yield* hit(source, cache, "k")
        assert.strictEqual(version, 2)
        makers.add(by)
      }
      const { ended: again, version } = yield* update(caches[1]!, "k")
      yield* passed(again + bound)
      for (const cache of caches) yield* reads(cache, "k", version)
      yield* hit(source, a!, "k")
    }).pipe(Effect.scoped))
})
