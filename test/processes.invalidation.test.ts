/**
 * Processes that hear of each other's invalidations: over a network that fails, a log that is harmed, clocks that differ.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { monotonic, Nodes, passed } from "./processes/Nodes.ts"
import * as nodes from "./processes/Nodes.ts"
import { bound, hit, makeWorld, patient, reads } from "./processes/world.ts"
import * as RedisServer from "./redis/RedisServer.ts"

const layer = Layer.merge(nodes.layer(4), RedisServer.layer())

it.layer(layer, { excludeTestServices: true })("processes that share a cache", (it) => {
  it.effect("see an invalidation on one of them by themselves, long before they would ask for it (scenario 49)", () =>
    Effect.gen(function*() {
      // Nobody asks by himself within the 12 s between two heartbeats.
      const bound = { maxStaleness: 60_000, commandTimeout: 10_000 }
      const { caches: [writer, ...others], source, update } = yield* makeWorld(
        yield* RedisServer.RedisServer,
        [bound, bound, bound, bound]
      )
      const delays: Array<number> = []
      for (let round = 0; round < 15; round++) {
        for (const cache of others) yield* hit(source, cache, "k")
        const version = source.version("k") + 1
        const seen = yield* Effect.forkChild(
          Effect.all(others.map((cache) => cache.sees("k", version)), { concurrency: "unbounded" }),
          { startImmediately: true }
        )
        const { ended } = yield* update(writer!, "k")
        for (const { started } of yield* Fiber.join(seen)) delays.push(started - ended)
      }
      const sorted = delays.toSorted((a, b) => a - b)
      assert.isBelow(sorted[Math.floor(sorted.length / 2)]!, 250)
    }).pipe(Effect.scoped))

  it.effect("share what one of them computed, and stop sharing it when it is invalidated (scenario 49)", () =>
    Effect.gen(function*() {
      const { caches, source, update } = yield* makeWorld(yield* RedisServer.RedisServer, [patient, patient, patient])
      const [a, b, c] = caches
      assert.strictEqual((yield* a!.read("k")).version, 1)
      for (const cache of caches) assert.strictEqual((yield* hit(source, cache, "k")).by, a!.node.name)
      assert.strictEqual(source.count("k"), 1)
      yield* update(b!, "k")
      yield* reads(b!, "k", 2)
      assert.strictEqual((yield* a!.sees("k", 2)).by, b!.node.name)
      assert.strictEqual((yield* c!.sees("k", 2)).by, b!.node.name)
      assert.strictEqual(source.count("k"), 2)
    }).pipe(Effect.scoped))

  const harms: ReadonlyArray<readonly [string, ReadonlyArray<ReadonlyArray<string>>]> = [
    ["nothing else happens", []],
    ["the log is trimmed past where it stood", [["XTRIM", "MAXLEN", "1"]]],
    ["the log is trimmed to nothing", [["XTRIM", "MAXLEN", "0"]]],
    ["the log is evicted", [["DEL"]]],
    ["the log is truncated", [["XDEL"]]],
    ["the server is flushed", [["FLUSHALL"]]]
  ]

  for (const [what, commands] of harms) {
    const harm = Effect.fnUntraced(function*(
      server: RedisServer.Server,
      onLog: (command: string, ...args: ReadonlyArray<string>) => Effect.Effect<string>
    ) {
      for (const [command = "", ...args] of commands) {
        if (command === "FLUSHALL") yield* server.cli(command)
        else if (command === "XDEL") {
          const newest = yield* onLog("XREVRANGE", "+", "-", "COUNT", "2")
          yield* onLog("XDEL", ...newest.split("\n").filter((line) => /^\d+-\d+$/.test(line)))
        } else yield* onLog(command, ...args)
      }
    })

    it.effect(`give no old value after the bound, nor when they are back, where one is cut off and ${what} (scenario 50)`, () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const world = yield* makeWorld(server, [{}, {}])
        const { caches: [a, b], proxies: [, proxy], source, update } = world
        yield* hit(source, a!, "k")
        yield* hit(source, b!, "k")
        yield* proxy!.cut
        const { ended } = yield* update(a!, "k")
        yield* harm(server, world.onLog)
        yield* update(a!, "other")
        yield* passed(ended + bound)
        yield* reads(b!, "k", 2)
        yield* proxy!.heal
        yield* reads(b!, "k", 2, 20)
        assert.strictEqual((yield* hit(source, b!, "k")).version, 2)
        assert.strictEqual((yield* hit(source, a!, "k")).version, 2)
      }).pipe(Effect.scoped))

    it.effect(`learn what they missed when they are back before the bound is over, where ${what} (scenario 50)`, () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const world = yield* makeWorld(server, [patient, patient])
        const { caches: [a, b], proxies: [, proxy], source, update } = world
        yield* hit(source, a!, "k")
        yield* hit(source, b!, "k")
        yield* proxy!.cut
        const { ended } = yield* update(a!, "k")
        yield* harm(server, world.onLog)
        yield* update(a!, "other")
        yield* proxy!.heal
        const { started } = yield* b!.sees("k", 2)
        assert.isBelow(started - ended, 20_000)
        yield* reads(b!, "k", 2, 20)
        yield* reads(a!, "k", 2)
      }).pipe(Effect.scoped))
  }

  it.effect("give no old value after the bound where one hears nothing on connections that stay open (scenario 50)", () =>
    Effect.gen(function*() {
      const { caches: [a, b], proxies: [, proxy], source, update } = yield* makeWorld(
        yield* RedisServer.RedisServer,
        [{}, {}]
      )
      yield* hit(source, a!, "k")
      yield* hit(source, b!, "k")
      yield* proxy!.stall()
      const { ended } = yield* update(a!, "k")
      yield* passed(ended + bound)
      yield* reads(b!, "k", 2)
      // What it asked before the invalidation is answered only now.
      yield* proxy!.heal
      yield* reads(b!, "k", 2, 20)
      assert.strictEqual((yield* hit(source, b!, "k")).version, 2)
    }).pipe(Effect.scoped))

  it.effect("invalidate and hear while their connections are killed again and again (scenario 50)", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.RedisServer
      const { caches: [a, b, c], source } = yield* makeWorld(server, [{}, {}, {}])
      let newest = 0
      for (let round = 0; round < 10; round++) {
        for (const cache of [b!, c!]) yield* cache.read("k")
        const version = source.write("k")
        const [{ ended, failure }] = yield* Effect.all([
          a!.invalidate("item:k"),
          server.cli("CLIENT", "KILL", "TYPE", round % 3 === 0 ? "pubsub" : "normal")
        ], { concurrency: "unbounded" })
        yield* reads(a!, "k", version)
        if (failure !== undefined) continue
        newest = ended
        yield* b!.strong("k").pipe(Effect.map((read) => assert.strictEqual(read.version, version)))
      }
      yield* passed(newest + bound)
      for (const cache of [b!, c!]) assert.strictEqual((yield* cache.sees("k", 11)).version, 11)
      for (const cache of [a!, b!, c!]) assert.strictEqual((yield* hit(source, cache, "k")).version, 11)
    }).pipe(Effect.scoped))

  it.effect("do not serve to one that joins what was invalidated before it joined (scenario 51)", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(yield* RedisServer.RedisServer, [patient])
      const { caches: [a], onLog, open, source, update } = world
      const [node] = yield* Nodes.use(({ take }) => take(1))
      yield* hit(source, a!, "k")
      yield* hit(source, a!, "l")
      yield* update(a!, "k")
      const first = yield* open(node!, patient)
      yield* reads(first.cache, "k", 2)
      assert.strictEqual((yield* first.cache.read("l")).by, a!.node.name)
      assert.strictEqual(source.count("l"), 1)
      // The store has what was computed before; the log no longer knows of the invalidation.
      yield* hit(source, a!, "m")
      source.write("m")
      yield* update(a!, "m")
      yield* update(a!, "other")
      yield* onLog("XTRIM", "MAXLEN", "1")
      const second = yield* open(node!, patient)
      yield* reads(second.cache, "m", source.version("m"))
    }).pipe(Effect.scoped))

  it.effect("lose no invalidation where their clocks are ten minutes apart (scenario 52)", () =>
    Effect.gen(function*() {
      const { caches, source, update } = yield* makeWorld(yield* RedisServer.RedisServer, [
        { ...patient, clockAhead: 300_000 },
        { ...patient, clockAhead: -300_000 },
        patient
      ])
      for (const writer of caches) {
        for (const cache of caches) yield* hit(source, cache, "k")
        const { version } = yield* update(writer, "k")
        yield* reads(writer, "k", version)
        for (const cache of caches) yield* cache.sees("k", version)
        for (const cache of caches) yield* reads(cache, "k", version)
      }
    }).pipe(Effect.scoped))

  it.effect("lose no invalidation where their clocks are set forward and back while they run (scenario 52)", () =>
    Effect.gen(function*() {
      const { caches, source, update } = yield* makeWorld(yield* RedisServer.RedisServer, [{}, {}, {}])
      for (const [n, cache] of caches.entries()) {
        yield* hit(source, cache, "k")
        yield* cache.setClock(n === 0 ? -300_000 : 300_000)
        const { version } = yield* update(caches[(n + 1) % 3]!, "k")
        yield* cache.sees("k", version)
        assert.strictEqual((yield* hit(source, cache, "k")).version, version)
      }
    }).pipe(Effect.scoped))

  it.effect("give results the same life on each of them where their clocks are ten minutes apart (scenario 52)", () =>
    Effect.gen(function*() {
      const timeToLive = 1500
      const { caches: [ahead, behind], source } = yield* makeWorld(yield* RedisServer.RedisServer, [
        { ...patient, timeToLive, clockAhead: 300_000 },
        { ...patient, timeToLive, clockAhead: -300_000 }
      ])
      for (const [key, writer, reader] of [["k", ahead!, behind!], ["l", behind!, ahead!]] as const) {
        yield* writer.read(key)
        const stored = monotonic()
        const shared = yield* hit(source, reader, key)
        // On a machine that stood still meanwhile it has ended.
        if (monotonic() < stored + timeToLive - 500) assert.strictEqual(shared.by, writer.node.name)
        const executed = source.count(key)
        yield* passed(monotonic() + timeToLive)
        yield* reader.read(key)
        assert.isAbove(source.count(key), executed)
      }
    }).pipe(Effect.scoped))

  const foreign: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["has other fields", ["*", "hello", "world"]],
    ["is half of one", ["*", "p", "0-0", "t", "[\"item:", "h", ""]],
    ["names malformed tags", ["*", "p", "0-0", "t", "[\"\",\"::\",7]", "h", ""]],
    ["is of the year 2126", ["4924000000000000-0", "p", "0-0", "t", "[\"x\"]", "h", ""]]
  ]

  for (const [what, args] of [...foreign, ["is larger than any", []] as const]) {
    it.effect(`go on where a record in their log ${what} (scenario 53)`, () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const { caches: [a, b, c], log, onLog, source, update } = yield* makeWorld(server, [patient, patient, patient])
        for (const cache of [a!, b!, c!]) yield* hit(source, cache, "k")
        if (args.length > 0) yield* onLog("XADD", ...args)
        else {
          const script = "return redis.call('XADD', KEYS[1], '*', 'p', '0-0', 't', string.rep('x', 3000000), 'h', '')"
          yield* server.cli("EVAL", script, "1", yield* log)
        }
        for (const writer of [a!, b!]) {
          const { version } = yield* update(writer, "k")
          yield* reads(writer, "k", version)
          for (const cache of [a!, b!, c!]) {
            yield* cache.sees("k", version)
            assert.strictEqual((yield* hit(source, cache, "k")).version, version)
          }
        }
      }).pipe(Effect.scoped))
  }

  it.effect("fail to invalidate while one is cut off, forget at once there, and deliver later in order (scenario 54)", () =>
    Effect.gen(function*() {
      const { caches: [a, b], onLog, proxies: [proxy], source } = yield* makeWorld(
        yield* RedisServer.RedisServer,
        [{}, {}]
      )
      const keys = ["k1", "k2", "k3"]
      for (const key of keys) {
        yield* hit(source, a!, key)
        yield* hit(source, b!, key)
      }
      yield* proxy!.cut
      for (const key of keys) {
        source.write(key)
        const { failure } = yield* a!.invalidate(`item:${key}`)
        assert.strictEqual(failure?.reason, "LogError")
        yield* reads(a!, key, 2)
      }
      yield* proxy!.heal
      // Nobody asks for it.
      for (const key of keys) yield* b!.sees(key, 2)
      for (const key of keys) yield* reads(a!, key, 2)
      const log = yield* onLog("XRANGE", "-", "+")
      const places = keys.map((key) => log.indexOf(`item:${key}`))
      assert.deepStrictEqual(places.toSorted((x, y) => x - y), places)
      assert.isAbove(places[0]!, -1)
    }).pipe(Effect.scoped))
})
