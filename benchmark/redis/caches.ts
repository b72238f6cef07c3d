/**
 * What the sections about Redis measure: caches, values, and many callers at once.
 */
import { Effect, Layer } from "effect"
import { DependencyGraph, ResultCache, Store } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import * as RedisBroadcaster from "effect-cached/RedisBroadcaster"
import * as RedisCache from "effect-cached/RedisCache"
import * as RedisClient from "effect-cached/RedisClient"
import * as RedisLease from "effect-cached/RedisLease"
import * as RedisStore from "effect-cached/RedisStore"
import { type Article, article, loop } from "../fixtures.ts"

/** A cache that holds nothing in memory: every hit comes from Redis. Beside it, its store and its codec. */
export const onlyRedis = (url: string, namespace: string) =>
  Layer.mergeAll(
    RedisCache.layer({ namespace, memory: false }),
    RedisStore.layer({ namespace }).pipe(Layer.provideMerge(MsgPackCodec.layer()))
  ).pipe(Layer.provide(RedisClient.layer({ url })))

/** A cache as one of many processes has it: `RedisCache.layer`, and its log. */
export const sharing = (url: string, namespace: string) => {
  const store = Store.layerTiered({ near: Store.layerMemory(), far: RedisStore.layer({ namespace }) })
  return ResultCache.layer().pipe(
    Layer.provide([store, DependencyGraph.layer(), RedisLease.layer({ namespace })]),
    Layer.provideMerge(RedisBroadcaster.layer({ namespace })),
    Layer.provide([RedisClient.layer({ url }), MsgPackCodec.layer()])
  )
}

/** An article with a text of about so many bytes, which compress to about half of them, as texts do. */
export const longArticle = (id: number, bytes: number): Article => {
  let state = id + 1
  const letters = (count: number) => {
    let word = ""
    for (let index = 0; index < count; index++) {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31
      word += alphabet[(state >>> 16) % alphabet.length]!
    }
    return word
  }
  const words = Array.from({ length: 200 }, (_, index) => letters(2 + index % 9))
  let text = ""
  while (text.length < bytes) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    text += `${words[(state >>> 16) % words.length]!} `
  }
  return { ...article(id), text }
}

const alphabet = "eeeettttaaaooiinnsshhrrdlucmfwypvbgk"

/** How many keys each of the concurrent callers goes through: keys of its own, so that nobody waits with another. */
export const keysPerCaller = 15

/** Operations per second of callers that each wait for one answer after the other, in fibers. */
export const inFibers = <R>(
  callers: number,
  count: number,
  operation: (key: number) => Effect.Effect<unknown, unknown, R>
): Effect.Effect<number, unknown, R> =>
  Effect.gen(function*() {
    const start = performance.now()
    yield* Effect.forEach(
      Array.from({ length: callers }, (_, caller) => caller * keysPerCaller),
      (first) => loop(Math.ceil(count / callers), (index) => operation(first + index % keysPerCaller)),
      { concurrency: "unbounded", discard: true }
    )
    return Math.ceil(count / callers) * callers / (performance.now() - start) * 1000
  })

/** The same with promises. */
export const inPromises = async (
  callers: number,
  count: number,
  operation: (key: number) => Promise<unknown>
): Promise<number> => {
  const each = Math.ceil(count / callers)
  const start = performance.now()
  await Promise.all(Array.from({ length: callers }, async (_, caller) => {
    for (let index = 0; index < each; index++) {
      // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
      await operation(caller * keysPerCaller + index % keysPerCaller)
    }
  }))
  return each * callers / (performance.now() - start) * 1000
}
