import { assert, describe, it, type Vitest } from "@effect/vitest"
import { Clock, Effect, Exit, Layer, Schema, Stream } from "effect"
import { Cached, CacheEntry, type CacheError, type CacheEvent, Codec, ResultCache, Store } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import * as RedisClient from "effect-cached/RedisClient"
import * as RedisStore from "effect-cached/RedisStore"
import { Redis } from "ioredis"
import { names } from "../src/internal/redis/names.ts"
import { headerBytes } from "../src/internal/redis/storedEntry.ts"
import * as RedisServer from "./redis/RedisServer.ts"
import { flipped, noise } from "./suites/codecSuite.ts"
import { makeEntry, makeIdle, makeTerms, storedPart } from "./suites/entries.ts"
import { anyStoreSuite } from "./suites/storeSuite.ts"

let namespaces = 0
/** That nobody has used before. */
const newNamespace = () => `test ${namespaces++}`

interface Options extends RedisStore.Options {
  readonly commandTimeout?: number
}

const optionsOf = (server: RedisServer.Server | RedisServer.Cluster): RedisClient.Options =>
  "nodes" in server
    ? { cluster: { nodes: server.nodes.map(({ port }) => ({ host: "127.0.0.1", port })) } }
    : { url: server.url }

const layerOn = (server: RedisServer.Server | RedisServer.Cluster, { commandTimeout, ...options }: Options = {}) =>
  RedisStore.layer({ namespace: newNamespace(), ...options }).pipe(
    // On a busy machine only those tests that are about the limit meet it.
    Layer.provide([
      RedisClient.layer({ ...optionsOf(server), commandTimeout: commandTimeout ?? 30_000, required: true }),
      MsgPackCodec.layer()
    ])
  )

/** A store with a connection of its own, as another process has it. */
const storeOn = Effect.fnUntraced(function*(server: RedisServer.Server | RedisServer.Cluster, options?: Options) {
  return yield* Effect.provide(Store.Store, yield* Layer.build(Layer.fresh(layerOn(server, options))))
})

/** The server without anything of ours between. */
const direct = ({ port }: { readonly port: number }) =>
  Effect.acquireRelease(
    Effect.sync(() => new Redis({ port, host: "127.0.0.1" })),
    (redis) => Effect.sync(() => redis.disconnect())
  )

const nameOf = (namespace: string, key: string) => Effect.runSync(names("", namespace, Codec.formatVersion)).entry(key)

const listed = (store: Store.Store["Service"]) =>
  Effect.map(Stream.runCollect(store.entries), (entries) => entries.map(({ key }) => key).toSorted())

/** How often the server was asked what since it was last asked for that. */
const commandsSince = Effect.fnUntraced(function*(redis: Redis) {
  const text = yield* Effect.promise(() => redis.info("commandstats"))
  yield* Effect.promise(() => redis.config("RESETSTAT"))
  return Object.fromEntries(
    Array.from(text.matchAll(/cmdstat_([^:]+):calls=(\d+)/g), ([, name, calls]) => [name!, Number(calls)])
  )
})

/** The problem that a server had, of the error that a store made of it. */
const problemOf = Effect.fnUntraced(function*<A>(
  operation: CacheError.StoreError["operation"],
  effect: Effect.Effect<A, CacheError.CacheError>
) {
  const { reason } = yield* Effect.flip(effect)
  assert.strictEqual(reason._tag, "StoreError")
  assert.propertyVal(reason, "operation", operation)
  assert.include(reason.message, `Store.${operation}`)
  const cause = (reason as CacheError.StoreError).cause as CacheError.CacheError
  assert.strictEqual(cause.reason._tag, "ServerError")
  return (cause.reason as CacheError.ServerError).problem
})

/** Runs an effect until it gives what is expected, however long the server takes. The test has a time limit. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>, expected: (exit: Exit.Exit<A, E>) => boolean) =>
  Effect.exit(effect).pipe(
    Effect.delay(5),
    Effect.repeat({ until: expected })
  )

const until = (check: () => boolean) => eventually(Effect.sync(check), (exit) => Exit.isSuccess(exit) && exit.value)

const isNothing = (exit: Exit.Exit<CacheEntry.CacheEntry | undefined, unknown>) =>
  Exit.isSuccess(exit) && exit.value === undefined

// What is learned of the server's time is as exact as the way there is short, and this machine may be busy.
const slack = 30_000

/** The clock of a machine that is so many milliseconds ahead. */
const ahead = (by: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const millis = () => clock.currentTimeMillisUnsafe() + by
    const shifted: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis)
    })
    return Effect.provideService(effect, Clock.Clock, shifted)
  })

const suites = <R>(
  it: Vitest.MethodsNonLive<R>,
  server: Effect.Effect<RedisServer.Server | RedisServer.Cluster, never, R>
) => {
  anyStoreSuite(it, Layer.unwrap(Effect.map(server, (server) => layerOn(server))))

  it.effect("is remote, tells of no removal, and shows nothing through peek", () =>
    Effect.gen(function*() {
      const store = yield* storeOn(yield* server)
      const removals: Array<Store.Removal> = []
      yield* store.onRemoval((removal) => removals.push(removal))
      yield* store.set(makeEntry("a"))
      yield* store.flush
      yield* store.remove("a")
      assert.isTrue(store.remote)
      assert.isUndefined(store.peek("a"))
      assert.deepStrictEqual(removals, [])
    }))

  it.effect("gives what one process has stored to others", () =>
    Effect.gen(function*() {
      const namespace = newNamespace()
      const [writer, reader] = [
        yield* storeOn(yield* server, { namespace }),
        yield* storeOn(yield* server, { namespace })
      ]
      const entry = makeEntry("a", { body: noise(1_000_000), head: { status: 404, headers: { a: "ü" } } })
      yield* writer.set(entry)
      const read = (yield* reader.get("a"))!
      // Each has learned the time of the server by itself.
      assert.approximately(read.createdAt, 0, slack)
      assert.deepStrictEqual({ ...storedPart(read), createdAt: 0 }, storedPart(entry))
      yield* reader.remove("a")
      assert.isUndefined(yield* writer.get("a"))
    }))

  it.effect("never lets an older entry replace a newer one, however many processes store at once (scenario 48)", () =>
    Effect.gen(function*() {
      const namespace = newNamespace()
      const stores = yield* Effect.forEach(
        [1, 2, 3, 4],
        () => Effect.flatMap(server, (on) => storeOn(on, { namespace }))
      )
      let seen = 0
      const look = Effect.map(stores[0]!.get("k"), (entry) => {
        const position = entry?.position ?? 0
        assert.isAtLeast(position, seen)
        seen = position
      })
      yield* Effect.forEach(
        Array.from({ length: 400 }, (_, n) => (n * 149) % 400 + 1),
        (position, index) =>
          Effect.andThen(stores[index % 4]!.set(makeEntry("k", { position, body: `${position}` })), look),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(seen, 400)
      assert.strictEqual((yield* stores[3]!.get("k"))?.position, 400)
    }))

  it.effect("keeps namespaces apart, whatever their names are (scenario 57)", () =>
    Effect.gen(function*() {
      const base = newNamespace()
      const endings = [
        "",
        ":",
        ":1",
        ":1:entry",
        ":1:entry:",
        "*",
        "?",
        "[a]",
        "\\",
        "{a}",
        "%3a",
        "a",
        ":1:log:{",
        "\ud800"
      ]
      const stores = yield* Effect.forEach(
        endings,
        (ending) => Effect.flatMap(server, (on) => storeOn(on, { namespace: base + ending })),
        { concurrency: "unbounded" }
      )
      const keys = ["k", "*", ":1:entry:k", "1:entry:k", "entry:k", "{a}"]
      for (const [index, store] of stores.entries()) {
        for (const key of keys) yield* store.set(makeEntry(key, { body: `${index}` }))
      }
      for (const [index, store] of stores.entries()) {
        for (const key of keys) assert.strictEqual(CacheEntry.text((yield* store.get(key))!), `${index}`)
        assert.deepStrictEqual(yield* listed(store), keys.toSorted())
        yield* store.clear
        assert.deepStrictEqual(yield* listed(store), [])
      }
    }))

  it.effect("goes on when the server has forgotten its scripts", () =>
    Effect.gen(function*() {
      const on = yield* server
      const store = yield* storeOn(on)
      for (const node of "nodes" in on ? on.nodes : [on]) {
        const redis = yield* direct(node)
        yield* Effect.promise(() => redis.script("FLUSH"))
      }
      for (const key of ["a", "b", "c", "d", "e", "f"]) assert.strictEqual(yield* store.set(makeEntry(key)), "stored")
      assert.strictEqual(yield* store.set(makeEntry("a", { position: 1 })), "superseded")
    }))

  it.effect("lists and clears 1 000 entries of one namespace, and no other", () =>
    Effect.gen(function*() {
      const [store, other] = [yield* storeOn(yield* server), yield* storeOn(yield* server)]
      yield* other.set(makeEntry("a"))
      const keys = Array.from({ length: 1_000 }, (_, n) => `key ${n}`)
      yield* Effect.forEach(keys, (key) => store.set(makeEntry(key)), { concurrency: 100 })
      assert.deepStrictEqual(Array.from(new Set(yield* listed(store))), keys.toSorted())
      yield* store.clear
      assert.deepStrictEqual(yield* listed(store), [])
      assert.deepStrictEqual(yield* listed(other), ["a"])
    }))
}

it.layer(RedisServer.layerCluster, { excludeTestServices: true })("RedisStore on a cluster of three masters", (it) => {
  suites(it, RedisServer.RedisCluster)

  it.effect("spreads entries over all nodes", () =>
    Effect.gen(function*() {
      const cluster = yield* RedisServer.RedisCluster
      const store = yield* storeOn(cluster)
      // The same input of many functions.
      for (let n = 0; n < 50; n++) yield* store.set(makeEntry(`function ${n}\t{"id":7}`))
      for (const node of cluster.nodes) {
        const redis = yield* direct(node)
        assert.isAbove(yield* Effect.promise(() => redis.dbsize()), 0)
      }
    }))
})

it.layer(RedisServer.layer(), { excludeTestServices: true })("RedisStore", (it) => {
  suites(it, RedisServer.RedisServer)

  describe("what it asks of the server", () => {
    it.effect("is one command to get, one to set and one to tell of a read, whatever the size", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const [store, redis] = [yield* storeOn(server), yield* direct(server)]
        yield* store.set(makeEntry("first"))
        yield* store.touch(makeEntry("first"))
        yield* commandsSince(redis)
        for (let n = 0; n < 10; n++) yield* store.set(makeEntry(`k${n}`, { body: noise(n * 10_000) }))
        const ofSet = yield* commandsSince(redis)
        // Those inside the script are counted as well.
        assert.deepStrictEqual(Object.keys(ofSet).toSorted(), [
          "config|resetstat",
          "evalsha",
          "getrange",
          "set"
        ])
        assert.strictEqual(ofSet["evalsha"], 10)
        for (let n = 0; n < 10; n++) yield* store.get(`k${n}`)
        const ofGet = yield* commandsSince(redis)
        assert.deepStrictEqual(ofGet, { "config|resetstat": 1, get: 10 })
        for (let n = 0; n < 10; n++) yield* store.touch(makeEntry(`k${n}`, { body: noise(n * 10_000) }))
        const ofTouch = yield* commandsSince(redis)
        assert.deepStrictEqual(Object.keys(ofTouch).toSorted(), ["config|resetstat", "evalsha", "getrange", "set"])
        assert.strictEqual(ofTouch["evalsha"], 10)
      }))

    it.effect("is only as much of a listing as is read", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const [store, redis] = [yield* storeOn(server), yield* direct(server)]
        yield* Effect.forEach(Array.from({ length: 1_500 }, (_, n) => n), (n) => store.set(makeEntry(`key ${n}`)), {
          concurrency: 100
        })
        yield* commandsSince(redis)
        assert.strictEqual((yield* Stream.runCollect(Stream.take(store.entries, 5))).length, 5)
        const { get = 0, mget = 0, scan } = yield* commandsSince(redis)
        assert.strictEqual(scan, 1)
        assert.isAtMost(get + mget, 20)
        yield* store.clear
      }))

    it.effect("keeps nobody waiting while 10 000 entries are cleared", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const [store, redis] = [yield* storeOn(server, { namespace }), yield* direct(server)]
        const filling = redis.pipeline()
        for (let n = 0; n < 10_000; n++) filling.set(nameOf(namespace, `key ${n}`), "x")
        yield* Effect.promise(() => filling.exec())
        yield* Effect.promise(() => redis.set("of someone else", "x"))
        const before = yield* Effect.promise(() => redis.dbsize())
        yield* commandsSince(redis)
        yield* store.clear
        const { scan, unlink, ...others } = yield* commandsSince(redis)
        assert.strictEqual(unlink, 10_000)
        // In many small steps.
        assert.isAtLeast(scan!, 20)
        assert.deepStrictEqual(others, { "config|resetstat": 1 })
        assert.strictEqual(yield* Effect.promise(() => redis.dbsize()), before - 10_000)
        assert.strictEqual(yield* Effect.promise(() => redis.get("of someone else")), "x")
      }))
  })

  describe("lifetimes", () => {
    const pttl = Effect.fnUntraced(function*(entry: CacheEntry.CacheEntry, options?: RedisStore.Options) {
      const server = yield* RedisServer.RedisServer
      const namespace = newNamespace()
      const [store, redis] = [yield* storeOn(server, { namespace, ...options }), yield* direct(server)]
      assert.strictEqual(yield* store.set(entry), "stored")
      return yield* Effect.promise(() => redis.pttl(nameOf(namespace, entry.key)))
    })
    const inAMinute = Effect.map(Clock.currentTimeMillis, (now) => now + 60_000)
    const hour = 60 * 60_000

    // A store that is told what the time of the server is, and how long the server keeps its entry.
    const drifting = Effect.gen(function*() {
      const server = yield* RedisServer.RedisServer
      const namespace = newNamespace()
      let offset = 0
      const client = Layer.effect(RedisClient.RedisClient)(Effect.map(
        RedisClient.make({ ...optionsOf(server), commandTimeout: 30_000, required: true }),
        (client) => RedisClient.RedisClient.of({ ...client, clockOffset: () => offset, learnTime: () => {} })
      ))
      const context = yield* Layer.build(
        Layer.fresh(RedisStore.layer({ namespace }).pipe(Layer.provide([client, MsgPackCodec.layer()])))
      )
      const store = yield* Effect.provide(Store.Store, context)
      const redis = yield* direct(server)
      return {
        store,
        learn: (next: number) => {
          offset = next
        },
        left: Effect.promise(() => redis.pttl(nameOf(namespace, "a"))),
        touch: (entry: CacheEntry.CacheEntry, usedAt: number) => {
          CacheEntry.use(entry, usedAt)
          return store.touch(entry)
        }
      }
    })

    it.effect("are what is left to an entry", () =>
      Effect.gen(function*() {
        const left = yield* pttl(makeEntry("a", { expiresAt: yield* inAMinute }))
        assert.isAbove(left, 0)
        assert.isAtMost(left, 60_001)
      }))

    it.effect.each(
      [
        ["without an end, by default 7 days", Infinity, undefined, 7 * 24 * hour],
        ["without an end", Infinity, "1 hour", hour],
        ["that would live longer", 1e15, "1 hour", hour]
      ] as const
    )("have an end on the server for an entry %s", ([, expiresAt, maxLifetime, most]) =>
      Effect.gen(function*() {
        const left = yield* pttl(makeEntry("a", { expiresAt }), { maxLifetime })
        assert.isAtMost(left, most)
        assert.isAbove(left, most - hour / 2)
      }))

    it.effect("last as long as an entry may be served stale, or is kept (scenario 36)", () =>
      Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        for (const name of ["staleUntil", "errorUntil", "keptUntil"] as const) {
          const terms = makeTerms(now + 1000, { usedAt: now, [name]: now + hour })
          const left = yield* pttl(makeEntry("a", { createdAt: now, expiresAt: now + 1000, terms }))
          assert.isAbove(left, hour / 2)
          assert.isAtMost(left, hour + 1)
        }
        const endless = makeTerms(now + 1000, { usedAt: now, errorUntil: Infinity })
        const left = yield* pttl(makeEntry("a", { expiresAt: now + 1000, terms: endless }), { maxLifetime: "2 hours" })
        assert.isAbove(left, hour)
        assert.isAtMost(left, 2 * hour)
      }))

    it.effect("end when nobody has read an entry, and are longer when it is stored once more (scenario 35)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const [store, redis] = [yield* storeOn(server, { namespace }), yield* direct(server)]
        const now = yield* Clock.currentTimeMillis
        const left = Effect.promise(() => redis.pttl(nameOf(namespace, "a")))
        const read = (usedAt: number) => makeIdle("a", hour, usedAt, { createdAt: now - 2 * hour })
        yield* store.set(read(now - hour / 2))
        assert.isAtMost(yield* left, hour / 2 + 1)
        assert.isAbove(yield* left, hour / 4)
        yield* store.set(read(now))
        assert.isAbove(yield* left, hour * 3 / 4)
        assert.isAtMost(yield* left, hour + 1)
        yield* store.set(makeIdle("b", hour, now - hour - 1))
        yield* eventually(store.get("b"), isNothing)
        assert.deepStrictEqual(yield* listed(store), ["a"])
      }))

    it.effect.each(
      [
        ["a millisecond back", [5, 4]],
        ["a millisecond on", [5, 6]],
        ["back and on, a little each time", [0, -400, 400, -500, 500]],
        ["a second back", [12_345.6, 11_345.6]]
      ] as const
    )(
      "are longer for a read, when what is known of the time of the server moves %s (scenario 35)",
      ([, offsets]) =>
        Effect.gen(function*() {
          const { left, learn, store, touch } = yield* drifting
          const now = yield* Clock.currentTimeMillis
          const [first, ...others] = offsets
          learn(first)
          yield* store.set(makeIdle("a", hour, now - hour / 2, { createdAt: now - 2 * hour }))
          const held = (yield* store.get("a"))!
          assert.isAtMost(yield* left, hour / 2 + 1)
          const step = hour / 2 / others.length
          for (const [index, offset] of others.entries()) {
            learn(offset)
            const usedAt = now - hour / 2 + step * (index + 1)
            yield* touch(held, usedAt)
            assert.isAtLeast(yield* left, hour / 2 + step * (index + 1) - slack)
            assert.isAtMost(yield* left, hour / 2 + step * (index + 1) + 1)
            const { createdAt, usedAt: given } = (yield* store.get("a"))!
            assert.approximately(given, usedAt, 1)
            assert.approximately(createdAt, now - 2 * hour, 1)
          }
          // Nobody is told that it is newer than it is: what was computed a while after it takes its place.
          learn(first)
          const newer = makeEntry("a", { createdAt: now - 2 * hour + 1, body: "newer" })
          assert.strictEqual(yield* store.set(newer), "stored")
          assert.strictEqual(CacheEntry.text((yield* store.get("a"))!), "newer")
        })
    )

    it.effect("are those of the newer one of two results of one second, whichever is read", () =>
      Effect.gen(function*() {
        const { learn, store, touch } = yield* drifting
        const now = yield* Clock.currentTimeMillis
        learn(0)
        const older = makeIdle("a", hour, now, { createdAt: now - 500, body: "older" })
        yield* store.set(older)
        yield* store.set(makeIdle("a", hour, now, { createdAt: now - 400, body: "newer" }))
        for (const offset of [0, 100, -100]) {
          learn(offset)
          yield* touch(older, now + 20_000)
        }
        learn(0)
        const found = (yield* store.get("a"))!
        assert.deepStrictEqual([CacheEntry.text(found), found.usedAt], ["newer", now])
      }))

    it.effect("are no longer than the longest lifetime for a read either, and begin anew", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const [store, redis] = [
          yield* storeOn(server, { namespace, maxLifetime: "1 hour" }),
          yield* direct(server)
        ]
        const now = yield* Clock.currentTimeMillis
        const name = nameOf(namespace, "a")
        const entry = makeIdle("a", 24 * hour, now, { createdAt: now })
        yield* store.set(entry)
        yield* Effect.promise(() => redis.pexpire(name, hour / 2))
        yield* store.touch(entry)
        const left = yield* Effect.promise(() => redis.pttl(name))
        assert.isAbove(left, hour / 2)
        assert.isAtMost(left, hour)
      }))

    it.effect("end on the server, and with them all that they decide (scenario 42)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const [store, redis] = [yield* storeOn(server, { namespace }), yield* direct(server)]
        const now = yield* Clock.currentTimeMillis
        yield* store.set(makeEntry("soon", { position: 11, createdAt: now, expiresAt: now + 100 }))
        yield* store.set(makeEntry("over", { expiresAt: now - 1000 }))
        yield* store.set(makeEntry("later", { expiresAt: now + 60_000 }))
        yield* eventually(store.get("soon"), isNothing)
        yield* eventually(store.get("over"), isNothing)
        assert.deepStrictEqual(yield* listed(store), ["later"])
        assert.strictEqual(yield* Effect.promise(() => redis.exists(nameOf(namespace, "soon"))), 0)
        assert.strictEqual(yield* store.set(makeEntry("soon", { position: 10 })), "stored")
      }))

    it.effect("are left out of a listing when they end by the clock of the reader", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const store = yield* storeOn(server, { namespace })
        let jump = 0
        const jumping = yield* Effect.flatMap(Clock.Clock, (clock) =>
          Effect.provideService(
            storeOn(server, { namespace }),
            Clock.Clock,
            Object.assign(Object.create(clock) as Clock.Clock, {
              currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + jump
            })
          ))
        const expiresAt = yield* inAMinute
        yield* store.set(makeEntry("a", { expiresAt }))
        yield* store.set(
          makeEntry("b", { expiresAt, terms: makeTerms(expiresAt, { keptUntil: expiresAt + 2 * hour }) })
        )
        assert.deepStrictEqual(yield* listed(jumping), ["a", "b"])
        jump = 120_000
        assert.deepStrictEqual(yield* listed(jumping), ["b"])
        jump = 3 * hour
        assert.deepStrictEqual(yield* listed(jumping), [])
        assert.deepStrictEqual(yield* listed(store), ["a", "b"])
      }))

    it.effect("are the same for processes whose clocks are 5 minutes apart (scenario 52)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const redis = yield* direct(server)
        for (const [mine, others] of [[300_000, -300_000], [-300_000, 300_000], [0, 300_000]] as const) {
          const writer = yield* ahead(mine)(storeOn(server, { namespace }))
          const reader = yield* ahead(others)(storeOn(server, { namespace }))
          const now = yield* Clock.currentTimeMillis
          const key = `${mine} ${others}`
          const [createdAt, expiresAt] = [now + mine - 1000, now + mine + 60_000]
          const terms = makeTerms(expiresAt, { errorUntil: Infinity, idle: 61_000, usedAt: createdAt, eager: 7 })
          yield* writer.set(makeEntry(key, { createdAt, expiresAt, terms }))

          const own = yield* writer.get(key)
          assert.strictEqual(own?.createdAt, createdAt)
          assert.strictEqual(own?.expiresAt, expiresAt)
          assert.deepStrictEqual(own?.terms, terms)
          const read = yield* reader.get(key)
          assert.deepInclude(read!.terms, { errorUntil: Infinity, idle: 61_000, eager: 7 })
          for (const name of ["staleUntil", "keptUntil", "usedAt"] as const) {
            assert.strictEqual(read!.terms![name] - read!.createdAt, terms[name] - createdAt, name)
          }
          assert.approximately(read!.createdAt, now + others - 1000, slack)
          assert.approximately(read!.expiresAt, now + others + 60_000, slack)
          assert.include(yield* listed(reader), key)
          assert.isAtMost(yield* Effect.promise(() => redis.pttl(nameOf(namespace, key))), 60_001)
        }
      }))

    it.effect("and the order of two entries are judged by one clock (scenario 52)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const early = yield* ahead(300_000)(storeOn(server, { namespace }))
        const late = yield* ahead(-300_000)(storeOn(server, { namespace }))
        const now = yield* Clock.currentTimeMillis
        assert.strictEqual(
          yield* early.set(makeEntry("a", { createdAt: now + 300_000 - 120_000, body: "old" })),
          "stored"
        )
        assert.strictEqual(yield* late.set(makeEntry("a", { createdAt: now - 300_000, body: "new" })), "stored")
        assert.strictEqual(
          yield* early.set(makeEntry("a", { createdAt: now + 300_000 - 60_000, body: "old" })),
          "superseded"
        )
      }))
  })

  describe("what is no entry (scenario 44)", () => {
    const damaged = Effect.fnUntraced(function*(damage: (value: Buffer) => Buffer) {
      const server = yield* RedisServer.RedisServer
      const namespace = newNamespace()
      const [store, redis] = [yield* storeOn(server, { namespace }), yield* direct(server)]
      const entry = makeEntry("a", { createdAt: 1000, body: "old" })
      yield* store.set(entry)
      const name = nameOf(namespace, "a")
      const value = (yield* Effect.promise(() => redis.getBuffer(name)))!
      yield* Effect.promise(() => redis.set(name, damage(value)))
      return { store, redis, name, value, entry }
    })

    it.effect.each(
      [
        ["nothing", () => Buffer.alloc(0), "truncated"],
        ["a text", () => Buffer.from("hello"), "truncated"],
        ["other bytes", () => Buffer.from(noise(1_000)), "foreign"],
        ["a header alone", (value) => value.subarray(0, headerBytes), "truncated"],
        ["a third of it", (value) => value.subarray(0, value.length / 3), "truncated"],
        ["all but the last byte", (value) => value.subarray(0, -1), "checksum"],
        ["one byte more", (value) => Buffer.concat([value, Buffer.alloc(1)]), "checksum"],
        ["that of another layout", (value) => Buffer.concat([Buffer.from("EC2"), value.subarray(3)]), "foreign"],
        [
          "that of another codec",
          (value) => Buffer.concat([value.subarray(0, headerBytes), Buffer.from("{}")]),
          "truncated"
        ],
        ["that of a later format", (value) => {
          value[headerBytes + 3] = Codec.formatVersion + 1
          return value
        }, "version"]
      ] as ReadonlyArray<[string, (value: Buffer) => Buffer, CacheError.CodecError["problem"]]>
    )("is said, passed over in a listing, and replaced: %s", ([, damage, problem]) =>
      Effect.gen(function*() {
        const { store } = yield* damaged(damage)
        yield* store.set(makeEntry("b"))
        const { reason } = yield* Effect.flip(store.get("a"))
        assert.strictEqual(reason._tag, "CodecError")
        assert.propertyVal(reason, "problem", problem)
        assert.deepStrictEqual(yield* listed(store), ["b"])
        assert.strictEqual(yield* store.set(makeEntry("a", { createdAt: 1001, body: "new" })), "stored")
        // Its times are those of the server's clock, which is known to a millisecond.
        assert.strictEqual(CacheEntry.text((yield* store.get("a"))!), "new")
      }))

    it.effect("is never another entry, and never stays, whichever bit is flipped", () =>
      Effect.gen(function*() {
        const { entry, name, redis, store, value } = yield* damaged((value) => value)
        const later = makeEntry("a", { createdAt: 1001, body: "new" })
        for (let bit = 0; bit < value.length * 8; bit++) {
          yield* Effect.promise(() => redis.set(name, Buffer.from(flipped(value, bit))))
          const exit = yield* Effect.exit(store.get("a"))
          if (Exit.isSuccess(exit)) {
            assert.deepStrictEqual(exit.value && storedPart(exit.value), storedPart(entry), `bit ${bit}`)
            assert.isBelow(bit, headerBytes * 8, "what the codec wrote is all under its checksum")
          }
          assert.strictEqual(yield* store.set(later), "stored", `bit ${bit}`)
        }
      }))

    it.effect("is a list where a text should be: reading and storing fail, and clearing removes it", () =>
      Effect.gen(function*() {
        const { name, redis, store } = yield* damaged((value) => value)
        yield* store.set(makeEntry("b"))
        yield* Effect.promise(() => redis.del(name))
        yield* Effect.promise(() => redis.rpush(name, "x"))
        assert.strictEqual(yield* problemOf("get", store.get("a")), "foreign")
        assert.strictEqual(yield* problemOf("set", store.set(makeEntry("a"))), "foreign")
        assert.deepStrictEqual(yield* listed(store), ["b"])
        yield* store.clear
        assert.strictEqual(yield* store.set(makeEntry("a")), "stored")
      }))

    it.effect("is a list among many keys that are read at once: the others are read, and storing says so", () =>
      Effect.gen(function*() {
        const { name, redis, store } = yield* damaged((value) => value)
        const keys = Array.from({ length: 5 }, (_, n) => `k${n}`)
        for (const key of keys) yield* store.set(makeEntry(key))
        yield* Effect.promise(() => redis.del(name))
        yield* Effect.promise(() => redis.rpush(name, "x"))
        yield* commandsSince(redis)
        const read = yield* Effect.forEach(["k0", "a", ...keys.slice(1)], (key) => store.get(key), {
          concurrency: "unbounded"
        })
        assert.deepInclude(yield* commandsSince(redis), { mget: 1 })
        // `MGET` answers as if nothing was there.
        assert.deepStrictEqual(read.map((entry) => entry?.key), ["k0", undefined, "k1", "k2", "k3", "k4"])
        assert.strictEqual(yield* problemOf("set", store.set(makeEntry("a"))), "foreign")
        assert.strictEqual(yield* Effect.promise(() => redis.llen(name)), 1)
      }))

    it.effect("is a list for a cache: a miss that is computed and reported, read alone or with others", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const redis = yield* direct(server)
        const events: Array<CacheEvent.CacheEvent> = []
        const cache = yield* Layer.build(ResultCache.layerRedis({
          url: server.url,
          namespace,
          memory: false,
          commandTimeout: "30 seconds",
          storeTimeout: "30 seconds",
          onEvent: (event) => void events.push(event)
        }))
        let computed = 0
        const double = yield* Effect.provide(
          Cached.make("double", { input: { n: Schema.Number }, success: Schema.Number }, ({ n }) =>
            Effect.sync(() => {
              computed++
              return n * 2
            })),
          cache
        )
        const stored = () => events.filter(({ _tag }) => _tag === "Stored").length
        // What could not be read, and what could not be stored.
        const failed = () =>
          events.flatMap((event) =>
            event._tag === "StoreFailed" && event.error.reason._tag === "StoreError"
              ? [event.error.reason.operation]
              : []
          )
        const inputs = [0, 1, 2, 3]
        for (const n of inputs) yield* double({ n })
        yield* until(() => stored() === inputs.length)
        const name = nameOf(namespace, "double\t{\"n\":1}")
        yield* Effect.promise(() => redis.del(name))
        yield* Effect.promise(() => redis.rpush(name, "x"))
        assert.strictEqual(yield* double({ n: 1 }), 2)
        yield* until(() => failed().includes("set"))
        assert.deepStrictEqual(failed(), ["get", "set"])
        yield* commandsSince(redis)
        const values = yield* Effect.forEach(inputs, (n) => double({ n }), { concurrency: "unbounded" })
        assert.deepStrictEqual(values, [0, 2, 4, 6])
        assert.isAtLeast((yield* commandsSince(redis))["mget"] ?? 0, 1)
        // `MGET` answers as if nothing was there: storing says what is, whether or not it was read alone once more before.
        yield* until(() => failed().filter((operation) => operation === "set").length === 2)
        assert.isAtMost(failed().length, 4)
        assert.strictEqual(computed, inputs.length + 2)
        assert.strictEqual(stored(), inputs.length)
        assert.strictEqual(yield* Effect.promise(() => redis.llen(name)), 1)
      }))

    it.effect("is the entry of another key", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const [store, redis] = [yield* storeOn(server, { namespace }), yield* direct(server)]
        yield* store.set(makeEntry("a"))
        yield* Effect.promise(() => redis.copy(nameOf(namespace, "a"), nameOf(namespace, "b")))
        assert.isUndefined(yield* store.get("b"))
        assert.deepStrictEqual(yield* listed(store), ["a"])
      }))

    it.effect("is not made of an entry that cannot be encoded", () =>
      Effect.gen(function*() {
        const store = yield* storeOn(yield* RedisServer.RedisServer)
        const { reason } = yield* Effect.flip(store.set(makeEntry("a\ud800")))
        assert.strictEqual(reason._tag, "CodecError")
        assert.isUndefined(yield* store.get("a\ud800"))
      }))
  })

  describe("options", () => {
    it.effect.each(
      [
        ["namespace", ""],
        ["maxLifetime", 0],
        ["maxLifetime", 0.5],
        ["maxLifetime", -1],
        ["maxLifetime", Infinity],
        ["maxLifetime", "soon"]
      ] as const
    )("refuses %s: %s", ([option, value]) =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const error = yield* Effect.flip(storeOn(server, { [option]: value }))
        assert.strictEqual(error.reason._tag, "DefinitionError")
        assert.include(error.message, `RedisStore.${option}`)
      }))
  })
})

const operations = (store: Store.Store["Service"]): ReadonlyArray<
  readonly [CacheError.StoreError["operation"], Effect.Effect<unknown, CacheError.CacheError>]
> => [
  ["get", store.get("a")],
  ["set", store.set(makeEntry("a"))],
  ["set", store.touch(makeEntry("a"))],
  ["remove", store.remove("a")],
  ["clear", store.clear],
  ["entries", Stream.runDrain(store.entries)]
]

describe("RedisStore on a server with faults (scenario 45)", () => {
  it.live("says that the server is full, and still reads what is there", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start({ args: ["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"] })
      const store = yield* storeOn(server)
      yield* store.set(makeEntry("first"))
      const full = yield* Effect.flip(
        Effect.forEach(
          Array.from({ length: 10_000 }, (_, n) => n),
          (n) => store.set(makeEntry(`k${n}`, { body: noise(10_000) })),
          { discard: true }
        )
      )
      assert.strictEqual(yield* problemOf("set", Effect.fail(full)), "out-of-memory")
      assert.isDefined(yield* store.get("first"))
      yield* store.clear
      assert.strictEqual(yield* store.set(makeEntry("again")), "stored")
    }))

  it.live("says that the server is a replica, and still reads what is there", () =>
    Effect.gen(function*() {
      const master = yield* RedisServer.start()
      const replica = yield* RedisServer.startReplica(master)
      const namespace = newNamespace()
      const [writer, reader] = [yield* storeOn(master, { namespace }), yield* storeOn(replica, { namespace })]
      yield* writer.set(makeEntry("a"))
      yield* eventually(reader.get("a"), (exit) => Exit.isSuccess(exit) && exit.value !== undefined)
      assert.strictEqual(yield* problemOf("set", reader.set(makeEntry("a", { position: 11 }))), "read-only")
      assert.strictEqual(yield* problemOf("remove", reader.remove("a")), "read-only")
      assert.strictEqual(yield* problemOf("clear", reader.clear), "read-only")
      assert.deepStrictEqual(yield* listed(reader), ["a"])
      yield* replica.promote
      assert.strictEqual(yield* reader.set(makeEntry("a", { position: 11 })), "stored")
    }))

  it.live("fails at once while the server is gone, and goes on when it is back", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const store = yield* storeOn(server)
      yield* store.set(makeEntry("a"))
      yield* server.kill9
      for (const [operation, effect] of operations(store)) {
        assert.include(["unreachable", "circuit-open"], yield* problemOf(operation, effect))
      }
      yield* server.restart
      yield* eventually(store.get("a"), isNothing)
      yield* eventually(store.set(makeEntry("a")), Exit.isSuccess)
      assert.isDefined(yield* store.get("a"))
    }))

  it.live("waits for a server that hangs no longer than its limit, and goes on when it does", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const store = yield* storeOn(server, { commandTimeout: 200 })
      yield* eventually(store.set(makeEntry("a")), Exit.isSuccess)
      yield* server.stop
      for (const [operation, effect] of operations(store)) {
        assert.include(["timeout", "circuit-open", "unreachable"], yield* problemOf(operation, effect))
      }
      yield* server.cont
      yield* eventually(store.get("a"), (exit) => Exit.isSuccess(exit))
      yield* eventually(store.set(makeEntry("a", { position: 11 })), Exit.isSuccess)
    }))

  it.live("ends a listing with a failure when the server is gone, and never as if it were whole", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const store = yield* storeOn(server)
      yield* Effect.forEach(Array.from({ length: 2_000 }, (_, n) => n), (n) => store.set(makeEntry(`key ${n}`)), {
        concurrency: 100
      })
      let seen = 0
      const listing = Stream.runForEach(
        store.entries,
        () => Effect.suspend(() => ++seen === 1 ? server.kill9 : Effect.void)
      )
      assert.include(["unreachable", "circuit-open"], yield* problemOf("entries", listing))
      assert.isBelow(seen, 2_000)
    }))
})
