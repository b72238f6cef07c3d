import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Scope, Tracer } from "effect"
import { CacheEntry, type CacheError, Codec, Store } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import * as RedisClient from "effect-cached/RedisClient"
import * as RedisStore from "effect-cached/RedisStore"
import { makeHeader } from "../src/internal/redis/storedEntry.ts"
import { makeEntry } from "./suites/entries.ts"
import { start } from "./suites/worlds.ts"

const fakeClient = (get: RedisClient.RedisClient["Service"]["get"]): RedisClient.RedisClient["Service"] => ({
  run: () => Effect.never,
  get,
  dedicated: Effect.never,
  subscriber: Effect.never,
  masters: Effect.succeed([]),
  commandTimeout: 1000,
  clockOffset: () => 0,
  learnTime: () => {}
})

const storeOver = (
  client: RedisClient.RedisClient["Service"],
  codec: Layer.Layer<Codec.Codec, CacheError.CacheError> = MsgPackCodec.layer()
) => RedisStore.layer({ namespace: "x" }).pipe(Layer.provide([Layer.succeed(RedisClient.RedisClient)(client), codec]))

// What stands in Redis for an entry.
const valueOf = Effect.fnUntraced(function*(entry: CacheEntry.CacheEntry) {
  const codec = yield* Codec.Codec
  const bytes = yield* codec.encode(CacheEntry.stored(entry))
  return Buffer.concat([makeHeader(CacheEntry.stored(entry)), bytes])
}, Effect.provide(MsgPackCodec.layer()))

describe("RedisStore.get over a client or a codec of somebody's own", () => {
  it.effect("asks a client that is an instance of a class with its methods bound", () =>
    Effect.gen(function*() {
      class Client {
        readonly commandTimeout = 1000
        readonly answer = Effect.succeed(null)
        run = () => Effect.never
        dedicated = Effect.never
        subscriber = Effect.never
        masters = Effect.succeed([])
        get(_key: string) {
          return this.answer
        }
        clockOffset() {
          return 0
        }
        learnTime() {}
      }
      const store = yield* Effect.provide(Store.Store, storeOver(new Client()))
      assert.isUndefined(yield* store.get("k"))
    }))

  it.effect("interrupts what a wrapped client asks, when it is interrupted", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      let ended: Exit.Exit<unknown, unknown> | undefined
      const client = fakeClient(() =>
        Effect.onExit(Effect.andThen(Deferred.succeed(asked, undefined), Effect.never), (exit) =>
          Effect.sync(() => {
            ended = exit
          }))
      )
      const scope = yield* Scope.make()
      const store = Context.get(yield* Layer.buildWithScope(storeOver(client), scope), Store.Store)
      const reading = yield* start(store.get("k"))
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(reading)
      yield* Scope.close(scope, Exit.void)
      assert.isDefined(ended)
    }))

  it.effect("interrupts a codec that takes long, when it is interrupted", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      let ended: Exit.Exit<unknown, unknown> | undefined
      const value = yield* valueOf(makeEntry("k"))
      const codec = Layer.succeed(Codec.Codec)({
        encode: () => Effect.never,
        decode: () =>
          Effect.onExit(Effect.andThen(Deferred.succeed(asked, undefined), Effect.never), (exit) =>
            Effect.sync(() => {
              ended = exit
            }))
      })
      const scope = yield* Scope.make()
      const store = Context.get(
        yield* Layer.buildWithScope(storeOver(fakeClient(() => Effect.succeed(value)), codec), scope),
        Store.Store
      )
      const reading = yield* start(store.get("k"))
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(reading)
      yield* Scope.close(scope, Exit.void)
      assert.isDefined(ended)
    }))

  it.effect("has the spans of a wrapped client and of a codec inside those of who asks", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const entry = makeEntry("k")
      const value = yield* valueOf(entry)
      const codec = Layer.succeed(Codec.Codec)({
        encode: () => Effect.never,
        decode: () => Effect.withSpan(Effect.succeed(entry), "codec")
      })
      const client = fakeClient(() => Effect.withSpan(Effect.succeed(value), "client"))
      const store = yield* Effect.provide(Store.Store, storeOver(client, codec))
      yield* Effect.withSpan(store.get("k"), "asking").pipe(Effect.provideService(Tracer.Tracer, tracer))
      const seen = spans.map((span) =>
        `${span.name} in ${span.parent._tag === "Some" ? (span.parent.value as Tracer.Span).name : "nothing"}`
      )
      assert.deepStrictEqual(seen, ["asking in nothing", "client in asking", "codec in asking"])
    }))
})
