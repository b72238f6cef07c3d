/**
 * Bodies in stores that keep bytes: a route serves them as they are, whatever their size, and a typed call decodes them once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Queue, Schema, SchemaTransformation, type Scope } from "effect"
import {
  Broadcaster,
  ByteStore,
  Cached,
  cached,
  type CacheEntry,
  type CacheError,
  type CacheEvent,
  Codec,
  DependencyGraph,
  ResultCache,
  Store
} from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { type HttpBody, HttpRouter, HttpServerResponse } from "effect/http"
import { Redis } from "ioredis"
import { createHash } from "node:crypto"
import { afterAll, vi } from "vitest"
import { names } from "../src/internal/redis/names.ts"
import { headerBytes } from "../src/internal/redis/storedEntry.ts"
import { hit } from "./http.ts"
import { inFolder, lives, open as openFile } from "./jsonFile.ts"
import * as RedisServer from "./redis/RedisServer.ts"
import { flipped } from "./suites/codecSuite.ts"

// What is counted has to be there before the modules that take it when they are loaded.
const work = vi.hoisted(() => {
  const crypto = process.getBuiltinModule("node:crypto")
  const calls: Array<{ readonly name: string; readonly values: ReadonlyArray<unknown> }> = []
  let isOn = false
  const watched: ReadonlyArray<readonly [object, string]> = [
    [JSON, "parse"],
    [JSON, "stringify"],
    [TextDecoder.prototype, "decode"],
    [TextEncoder.prototype, "encode"],
    [Buffer.prototype, "toString"],
    [Buffer.prototype, "utf8Slice"],
    [Buffer.prototype, "latin1Slice"],
    [crypto, "hash"]
  ]
  const restores = watched.map(([owner, name]) => {
    const original: (...args: ReadonlyArray<unknown>) => unknown = Reflect.get(owner, name)
    Reflect.set(owner, name, function(this: unknown, ...args: ReadonlyArray<unknown>) {
      const result = original.apply(this, [...args])
      if (isOn) calls.push({ name, values: [...args, result] })
      return result
    })
    return () => Reflect.set(owner, name, original)
  })
  const { syncBuiltinESMExports } = process.getBuiltinModule("node:module")
  syncBuiltinESMExports()
  return {
    begin: () => {
      calls.length = 0
      isOn = true
    },
    /** The calls since it began. */
    end: () => {
      isOn = false
      return calls.splice(0)
    },
    restore: () => {
      for (const restore of restores) restore()
      syncBuiltinESMExports()
    }
  }
})
afterAll(work.restore)

/** The codec with its two ends in view: the last bytes that it made, the last body that it gave, and damage on the way. */
const codec = vi.hoisted(() => ({
  wrote: undefined as Uint8Array | undefined,
  gave: undefined as string | Uint8Array | undefined,
  damage: undefined as ((bytes: Buffer) => Uint8Array) | undefined
}))

const isDone = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Exit<A, E> => Exit.isExit(effect)

vi.mock(import("effect-cached/MsgPackCodec"), async (load) => {
  const module = await load()
  return {
    ...module,
    layer: (options) =>
      Layer.effect(Codec.Codec)(Effect.map(Codec.Codec, ({ decode, encode }) =>
        Codec.Codec.of({
          encode: (entry) =>
            Effect.map(encode(entry), (bytes) => {
              codec.wrote = bytes
              codec.damage = undefined
              return bytes
            }),
          decode: (bytes) => {
            const decoded = decode(codec.damage === undefined ? bytes : codec.damage(Buffer.from(bytes)))
            const given = (entry: CacheEntry.CacheEntry) => {
              codec.gave = entry.body
              return entry
            }
            // What is decoded at once stays so.
            return isDone(decoded) ? Exit.map(decoded, given) : Effect.map(decoded, given)
          }
        }))).pipe(Layer.provide(module.layer(options)))
  }
})

// In each body, and in nothing else.
const mark = "neither parsed nor rebuilt"

const isMarked = (value: unknown): boolean =>
  typeof value === "string"
    ? value.includes(mark)
    // Bytes that were sent are gone.
    : value instanceof Uint8Array && value.byteLength > 0 &&
      Buffer.from(value.buffer, value.byteOffset, value.byteLength).includes(mark)

/** What was done with a body: the names of the calls that were given it, or gave it. */
const ofBody = (calls: ReturnType<typeof work.end>) =>
  calls.filter(({ values }) => values.some(isMarked)).map(({ name }) => name).toSorted()

const schema = { decoded: 0, encoded: 0 }

/** Another text in JSON than in the program, and counted. */
const Counted = Schema.String.pipe(Schema.decodeTo(
  Schema.String,
  SchemaTransformation.transform({
    decode: (text) => {
      schema.decoded++
      return `${text}!`
    },
    encode: (text) => {
      schema.encoded++
      return text.slice(0, -1)
    }
  })
))

const definition = { input: { id: Schema.String }, success: Schema.Struct({ id: Schema.String, text: Counted }) }
const plain = { input: { id: Schema.String }, success: Schema.Struct({ id: Schema.String, text: Schema.String }) }

const textOf = (length: number) => `${mark}, `.repeat(Math.ceil(length / (mark.length + 2)))
const valueOf = (id: string, length: number) => ({ id, text: `${textOf(length)}!` })
const jsonOf = (id: string, length: number) => JSON.stringify({ id, text: textOf(length) })

const etagOf = (body: string | Uint8Array) => `"${createHash("sha256").update(body).digest("hex").slice(0, 32)}"`

type Cache = Layer.Layer<ResultCache.ResultCache>

/** A process, whose events the test sees. */
const start = Effect.fnUntraced(function*(
  layer: (
    onEvent: (event: CacheEvent.CacheEvent) => void
  ) => Layer.Layer<ResultCache.ResultCache, CacheError.CacheError>
) {
  const events: Array<CacheEvent.CacheEvent> = []
  const queue = yield* Queue.unbounded<CacheEvent.CacheEvent>()
  const onEvent = (event: CacheEvent.CacheEvent) => {
    events.push(event)
    Queue.offerUnsafe(queue, event)
  }
  const context = yield* Layer.build(Layer.fresh(layer(onEvent)))
  return {
    events,
    cache: Layer.succeed(ResultCache.ResultCache)(Context.get(context, ResultCache.ResultCache)),
    /** Waits for the next event of a kind, past all others. A store outside this process is told behind the answer. */
    next: Effect.fnUntraced(function*(tag: CacheEvent.CacheEvent["_tag"]) {
      while ((yield* Queue.take(queue))._tag !== tag);
    })
  }
})

interface World {
  /** Another process over the same store. */
  readonly open: ReturnType<typeof start>
  /** Damages what the codec has made of an entry, until it is stored again. */
  readonly damage: (key: string, change: (bytes: Buffer) => Uint8Array) => Effect.Effect<void>
}

type MakeWorld = (
  compressFrom: number
) => Effect.Effect<World, CacheError.CacheError, Scope.Scope | RedisServer.RedisServer>

const inBytes: MakeWorld = Effect.fnUntraced(function*(compressFrom) {
  const store = ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer({ compressFrom })))
  const services = yield* Layer.build(
    Layer.fresh(Layer.mergeAll(store, DependencyGraph.layer(), Broadcaster.layerLocal))
  )
  return {
    open: start((onEvent) => ResultCache.layer({ onEvent }).pipe(Layer.provide(Layer.succeedContext(services)))),
    damage: (_, change) =>
      Effect.sync(() => {
        codec.damage = change
      })
  }
})

// A slow machine is no fault of the server.
const patient = { commandTimeout: "30 seconds", storeTimeout: "30 seconds", maxStaleness: "30 seconds" } as const
let namespaces = 0

const inRedis: MakeWorld = Effect.fnUntraced(function*(compressFrom) {
  const { port, url } = yield* RedisServer.RedisServer
  const namespace = `bodies ${++namespaces}`
  const redis = yield* Effect.acquireRelease(
    Effect.sync(() => new Redis({ port, host: "127.0.0.1" })),
    (redis) => Effect.sync(() => redis.disconnect())
  )
  const { entry } = yield* names("", namespace, Codec.formatVersion)
  return {
    open: start((onEvent) =>
      ResultCache.layerRedis({ ...patient, url, namespace, memory: false, compressFrom, onEvent })
    ),
    damage: (key, change) =>
      Effect.promise(async () => {
        const value = (await redis.getBuffer(entry(key)))!
        const damaged = change(Buffer.from(value.subarray(headerBytes)))
        await redis.set(entry(key), Buffer.concat([value.subarray(0, headerBytes), damaged]), "KEEPTTL")
      })
  }
})

/** Serves routes, and shows what a response was before it was sent. */
const serve = Effect.fnUntraced(function*(routes: Layer.Layer<never, any, any>, cache: Cache) {
  const answered: Array<HttpServerResponse.HttpServerResponse> = []
  const seen = HttpRouter.middleware(
    (handler) => Effect.tap(handler, (response) => Effect.sync(() => answered.push(response))),
    { global: true }
  )
  const all = Layer.mergeAll(routes, seen)
  const web = HttpRouter.toWebHandler(Layer.provideMerge(all, cache), { disableLogger: true })
  yield* Effect.addFinalizer(() => Effect.promise(web.dispose))
  const handler = web.handler as (request: Request) => Promise<Response>
  // Routes are built with the first request.
  yield* Effect.promise(() => handler(new Request("http://localhost/nothing")))
  return {
    get: (id: string, headers: Readonly<Record<string, string>> = {}) =>
      Effect.promise(async () => {
        const request = new Request(`http://localhost/texts/${id}`, { headers })
        const before = { ...schema }
        work.begin()
        const response = await handler(request)
        const calls = work.end()
        const body = answered.at(-1)!.body as HttpBody.Uint8Array
        return {
          status: response.status,
          cacheStatus: response.headers.get("cache-status"),
          etag: response.headers.get("etag"),
          /** What the response was made of. */
          source: body.body,
          bytes: Buffer.from(await response.arrayBuffer()),
          work: ofBody(calls),
          decoded: schema.decoded - before.decoded,
          encoded: schema.encoded - before.encoded
        }
      })
  }
})

const nothing = { work: [] as ReadonlyArray<string>, decoded: 0, encoded: 0 }
const workOf = ({ decoded, encoded, work }: Effect.Success<ReturnType<Served["get"]>>) => ({ work, decoded, encoded })
type Served = Effect.Success<ReturnType<typeof serve>>

/** A call of a cached function, and what it does with the body. */
const called = Effect.fnUntraced(function*<A, E>(call: Effect.Effect<A, E>) {
  const before = { ...schema }
  work.begin()
  const value = yield* call
  return {
    value,
    work: ofBody(work.end()),
    decoded: schema.decoded - before.decoded,
    encoded: schema.encoded - before.encoded
  }
})

/** A function that is counted. */
const computing = (length: number) => {
  const state = { computed: 0 }
  return {
    state,
    compute: ({ id }: { readonly id: string }) =>
      Effect.sync(() => {
        state.computed++
        return valueOf(id, length)
      })
  }
}

const lengths = [1_000, 1_000_000]
const forms: ReadonlyArray<readonly [string, number]> = [["plain", Infinity], ["compressed", 1]]
const bodies = lengths.flatMap((length) => forms.map(([form, compressFrom]) => ({ length, form, compressFrom })))

/** The routes of a process, each of them a body of a length. */
const routes: ReadonlyArray<
  readonly [string, (length: number, state: { computed: number }) => Layer.Layer<never, any, any>]
> = [
  [
    "Cached.route",
    (length, state) =>
      Cached.route("GET", "/texts/:id", definition, ({ id }) =>
        Effect.sync(() => {
          state.computed++
          return valueOf(id, length)
        }))
  ],
  [
    "cached(fn)",
    (length, state) =>
      Layer.unwrap(Effect.map(
        Cached.make("text", definition, ({ id }) =>
          Effect.sync(() => {
            state.computed++
            return valueOf(id, length)
          })),
        (fn) => HttpRouter.add("GET", "/texts/:id", cached(fn))
      ))
  ],
  [
    "cached(handler, deps), of a text",
    (length, state) =>
      HttpRouter.add(
        "GET",
        "/texts/:id",
        cached(() =>
          Effect.sync(() => {
            state.computed++
            return HttpServerResponse.text(jsonOf("7", length), { contentType: "application/json" })
          }), ["texts"])
      )
  ],
  [
    "cached(handler, deps), of bytes",
    (length, state) =>
      HttpRouter.add(
        "GET",
        "/texts/:id",
        cached(() =>
          Effect.sync(() => {
            state.computed++
            return HttpServerResponse.uint8Array(Buffer.from(jsonOf("7", length)))
          }), ["texts"])
      )
  ]
]

/** Damage to the bytes of a codec, and what it says of them. */
const damages: ReadonlyArray<readonly [string, (bytes: Buffer) => Uint8Array, CacheError.CodecError["problem"]]> = [
  ["the last byte of the body flipped", (bytes) => flipped(bytes, bytes.length * 8 - 1), "checksum"],
  ["a byte amid the body flipped", (bytes) => flipped(bytes, Math.floor(bytes.length * 0.8) * 8), "checksum"],
  ["a byte of the validator flipped", (bytes) => flipped(bytes, (bytes.indexOf("\"") + 1) * 8), "checksum"],
  ["the last byte missing", (bytes) => bytes.subarray(0, -1), "checksum"],
  ["half of it missing", (bytes) => bytes.subarray(0, bytes.length / 2), "checksum"],
  ["all but a few bytes missing", (bytes) => bytes.subarray(0, 5), "truncated"],
  ["nothing left", () => new Uint8Array(), "truncated"],
  ["another format version", (bytes) => bytes.fill(Codec.formatVersion + 1, 3, 4), "version"]
]

it.layer(RedisServer.layer(), { excludeTestServices: true })("A body in a store of bytes", (it) => {
  describe.each<readonly [string, MakeWorld]>([
    ["ByteStore", inBytes],
    ["ResultCache.layerRedis", inRedis]
  ])("%s", (_, makeWorld) => {
    describe.each(routes)("by %s", (name, routesOf) => {
      it.effect.each(bodies)(
        "is served as the codec gave it, neither read, written nor digested: $length bytes, $form",
        ({ compressFrom, form, length }) =>
          Effect.gen(function*() {
            const expected = Buffer.from(jsonOf("7", length))
            const state = { computed: 0 }
            const world = yield* makeWorld(compressFrom)
            const writer = yield* world.open
            const near = yield* serve(routesOf(length, state), writer.cache)
            const first = yield* near.get("7")
            assert.isTrue(first.bytes.equals(expected))
            // What is counted does happen where a body is made.
            assert.include(first.work, "hash")
            if (!name.startsWith("cached(handler")) {
              assert.include(first.work, "stringify")
              assert.isAbove(first.encoded, 0)
            }
            yield* writer.next("Stored")
            // One process has made the validator itself, and one has it from the store.
            const far = yield* serve(routesOf(length, state), (yield* world.open).cache)
            for (const { get } of [near, far, near, far]) {
              codec.gave = undefined
              const reply = yield* get("7")
              assert.strictEqual(reply.cacheStatus, hit)
              assert.deepStrictEqual(workOf(reply), nothing)
              assert.instanceOf(reply.source, Uint8Array)
              assert.strictEqual(reply.source, codec.gave)
              assert.isTrue(reply.bytes.equals(expected))
              assert.strictEqual(reply.etag, etagOf(expected))
              assert.strictEqual(reply.etag, first.etag)
              const unchanged = yield* get("7", { "if-none-match": reply.etag! })
              assert.deepStrictEqual([unchanged.status, unchanged.bytes.length], [304, 0])
              assert.strictEqual(unchanged.etag, first.etag)
              assert.deepStrictEqual(workOf(unchanged), nothing)
              const other = yield* get("7", { "if-none-match": etagOf("another body") })
              assert.deepStrictEqual([other.status, other.bytes.length], [200, expected.length])
            }
            assert.strictEqual(state.computed, 1)
            if (!name.startsWith("cached(handler")) {
              assert.strictEqual(codec.wrote!.length < length, form === "compressed")
            }
          }).pipe(Effect.scoped)
      )
    })

    it.effect.each(bodies)(
      "is decoded once by each typed call, from the entry that a route serves: $length bytes, $form",
      ({ compressFrom, length }) =>
        Effect.gen(function*() {
          const world = yield* makeWorld(compressFrom)
          const process = yield* world.open
          const { compute, state } = computing(length)
          const fn = yield* Effect.provide(Cached.make("text", definition, compute), process.cache)
          const { get } = yield* serve(HttpRouter.add("GET", "/texts/:id", cached(fn)), process.cache)
          yield* get("a")
          yield* process.next("Stored")
          for (let call = 0; call < 2; call++) {
            const { decoded, encoded, value, work } = yield* called(fn({ id: "a" }))
            assert.deepStrictEqual({ work, decoded, encoded }, { work: ["decode", "parse"], decoded: 1, encoded: 0 })
            assert.deepStrictEqual(value, valueOf("a", length))
          }
          yield* fn({ id: "b" })
          yield* process.next("Stored")
          const reply = yield* get("b")
          assert.deepStrictEqual([reply.cacheStatus, workOf(reply)], [hit, nothing])
          assert.isTrue(reply.bytes.equals(Buffer.from(jsonOf("b", length))))
          assert.strictEqual(reply.etag, etagOf(reply.bytes))
          assert.strictEqual(state.computed, 2)
        }).pipe(Effect.scoped)
    )

    it.effect.each(lengths)(
      "is only parsed where its schema decodes to the JSON itself: %i bytes",
      (length) =>
        Effect.gen(function*() {
          const process = yield* (yield* makeWorld(Infinity)).open
          const { compute } = computing(length)
          const fn = yield* Effect.provide(Cached.make("plain", plain, compute), process.cache)
          yield* fn({ id: "a" })
          yield* process.next("Stored")
          for (let call = 0; call < 2; call++) {
            const { value, work } = yield* called(fn({ id: "a" }))
            assert.deepStrictEqual(work, ["decode", "parse"])
            assert.deepStrictEqual(value, valueOf("a", length))
          }
        }).pipe(Effect.scoped)
    )

    it.effect("is found by a function of the definition of a route, in another process", () =>
      Effect.gen(function*() {
        const world = yield* makeWorld(Infinity)
        const [one, two] = [yield* world.open, yield* world.open]
        const { compute, state } = computing(1_000)
        const { get } = yield* serve(Cached.route("GET", "/texts/:id", definition, compute), one.cache)
        yield* get("7")
        yield* one.next("Stored")
        const fn = yield* Effect.provide(Cached.make("GET /texts/:id", definition, compute), two.cache)
        assert.deepStrictEqual(yield* fn({ id: "7" }), valueOf("7", 1_000))
        assert.strictEqual(state.computed, 1)
        assert.deepStrictEqual(two.events.map(({ _tag }) => _tag), ["Hit"])
      }).pipe(Effect.scoped))

    describe.each(damages)("with %s", (_, change, problem) => {
      it.effect.each(forms)(
        "is a miss, said and replaced, for routes and for typed calls: %s",
        ([, compressFrom]) =>
          Effect.gen(function*() {
            const world = yield* makeWorld(compressFrom)
            const process = yield* world.open
            const { compute, state } = computing(1_000)
            const fn = yield* Effect.provide(Cached.make("text", definition, compute), process.cache)
            const { get } = yield* serve(HttpRouter.add("GET", "/texts/:id", cached(fn)), process.cache)
            const expected = jsonOf("7", 1_000)
            yield* get("7")
            yield* process.next("Stored")
            const key = "text\t{\"id\":\"7\"}"

            yield* world.damage(key, change)
            const reply = yield* get("7")
            assert.match(reply.cacheStatus!, /^effect-cached; fwd=miss/)
            assert.strictEqual(reply.bytes.toString(), expected)
            assert.strictEqual(reply.etag, etagOf(expected))
            yield* process.next("Stored")
            const after = yield* get("7")
            assert.deepStrictEqual([after.cacheStatus, after.bytes.toString()], [hit, expected])

            yield* world.damage(key, change)
            assert.deepStrictEqual(yield* fn({ id: "7" }), valueOf("7", 1_000))
            yield* process.next("Stored")
            assert.deepStrictEqual(yield* fn({ id: "7" }), valueOf("7", 1_000))

            assert.strictEqual(state.computed, 3)
            const { counts } = Context.get(yield* Layer.build(process.cache), ResultCache.ResultCache)
            assert.deepInclude(yield* counts, { Undecodable: 2, Miss: 3, Stored: 3, Hit: 2, StoreFailed: 0 })
            assert.deepStrictEqual(
              process.events.flatMap((event) =>
                event._tag === "Undecodable" && event.error.reason._tag === "CodecError"
                  ? [[event.key, event.error.reason.problem]]
                  : []
              ),
              [[key, problem], [key, problem]]
            )
          }).pipe(Effect.scoped)
      )
    })

    it.effect("of another schema is a miss, and is replaced", () =>
      Effect.gen(function*() {
        const world = yield* makeWorld(Infinity)
        const [old, next] = [yield* world.open, yield* world.open]
        const before = yield* serve(
          Cached.route("GET", "/texts/:id", definition, computing(1_000).compute),
          old.cache
        )
        const first = yield* before.get("7")
        yield* old.next("Stored")
        const Later = Schema.Struct({ name: Schema.String })
        const after = yield* serve(
          Cached.route(
            "GET",
            "/texts/:id",
            { ...definition, success: Later },
            ({ id }) => Effect.succeed({ name: id })
          ),
          next.cache
        )
        const reply = yield* after.get("7", { "if-none-match": first.etag! })
        assert.match(reply.cacheStatus!, /^effect-cached; fwd=miss/)
        assert.deepStrictEqual([reply.status, reply.bytes.toString()], [200, "{\"name\":\"7\"}"])
        assert.strictEqual(reply.etag, etagOf(reply.bytes))
        const miss = next.events.find(({ _tag }) => _tag === "Miss")
        assert.propertyVal(miss, "because", "changed")
        yield* next.next("Stored")
        const again = yield* after.get("7")
        assert.deepStrictEqual([again.cacheStatus, again.bytes.toString()], [hit, "{\"name\":\"7\"}"])
        assert.strictEqual(again.etag, etagOf(again.bytes))
        // And the other way round.
        const back = yield* before.get("7")
        assert.match(back.cacheStatus!, /^effect-cached; fwd=miss/)
        assert.isTrue(back.bytes.equals(first.bytes))
        assert.strictEqual(back.etag, first.etag)
      }).pipe(Effect.scoped))
  })
})

describe("A body in a file that people edit", () => {
  const served = Effect.gen(function*() {
    const cache = Layer.succeed(ResultCache.ResultCache)(yield* ResultCache.ResultCache)
    const fn = yield* Cached.make("text", plain, ({ id }) => Effect.succeed({ id, text: "as computed" }))
    return yield* serve(HttpRouter.add("GET", "/texts/:id", cached(fn)), cache)
  })
  const [computed, edited] = ["{\"id\":\"7\",\"text\":\"as computed\"}", "{\"id\":\"7\",\"text\":\"as edited\"}"]

  const checkEdited = Effect.fnUntraced(function*({ get }: Served) {
    // Whoever has the old one is not told that it is still the same.
    const reply = yield* get("7", { "if-none-match": etagOf(computed) })
    assert.deepStrictEqual([reply.status, reply.cacheStatus, reply.bytes.toString()], [200, hit, edited])
    assert.strictEqual(reply.etag, etagOf(edited))
    assert.strictEqual((yield* get("7", { "if-none-match": etagOf(edited) })).status, 304)
  })

  it.effect("has a validator of its own after an edit while nothing runs", () =>
    inFolder(Effect.fnUntraced(function*({ edit, path }) {
      const run = <A, E, R>(body: (served: Served) => Effect.Effect<A, E, R>) =>
        lives({ path }, Effect.scoped(Effect.flatMap(served, body)))
      yield* run(({ get }) =>
        Effect.map(get("7"), (reply) => {
          assert.deepStrictEqual([reply.bytes.toString(), reply.etag], [computed, etagOf(computed)])
        })
      )
      yield* edit("as computed", "as edited")
      yield* run(checkEdited)
      yield* run(checkEdited)
    })))

  it.effect("has a validator of its own after an edit while the old one is served", () =>
    inFolder(({ edit, path }) =>
      Effect.gen(function*() {
        const file = yield* openFile({ path })
        const layer = ResultCache.layer().pipe(Layer.provide([
          Layer.succeed(Store.Store)(file.store),
          Layer.succeed(Broadcaster.Broadcaster)(file.log),
          DependencyGraph.layer()
        ]))
        yield* Effect.gen(function*() {
          const web = yield* served
          for (let n = 0; n < 2; n++) assert.strictEqual((yield* web.get("7")).etag, etagOf(computed))
          assert.strictEqual((yield* web.get("7", { "if-none-match": etagOf(computed) })).status, 304)
          yield* file.fold
          yield* edit("as computed", "as edited")
          yield* file.pull
          yield* checkEdited(web)
        }).pipe(Effect.provide(layer))
      })
    ))
})
