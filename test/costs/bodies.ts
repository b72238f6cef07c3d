/**
 * What hits of a store of bytes do with a body, small and large.
 */
import { allocated, countFibers, counting, type Counts } from "./counting.ts"

// Counts only what is loaded after it.
import { Effect, Layer } from "effect"
import { Broadcaster, ByteStore, DependencyGraph, ResultCache } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { check, computed, inFiber, open, print, schema } from "./subjects.ts"

export type Bodies = Readonly<Record<"small" | "large", Body>>

interface Body {
  readonly bytes: number
  readonly routeHit: Hit
  readonly functionHit: Hit
}

interface Hit extends Counts {
  readonly decoded: number
  readonly encoded: number
  /** Allocated for one hit. */
  readonly bytes: number
}

countFibers(() => Effect.runFork(Effect.void).id)

const store = ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer()))
const layer = ResultCache.layer().pipe(Layer.provide([store, DependencyGraph.layer(), Broadcaster.layerLocal]))

const times = 20

const hitOf = (hit: (count: number) => void): Hit => {
  hit(times)
  const before = computed.count
  schema.decoded = 0
  schema.encoded = 0
  const stop = counting()
  hit(times)
  const counts = stop(times)
  const { decoded, encoded } = schema
  const perHit = allocated(times, hit)
  check(computed.count === before, "hits compute nothing")
  return { ...counts, decoded: decoded / times, encoded: encoded / times, bytes: perHit }
}

const measure = async (bytes: number): Promise<Body> => {
  const { close, request, response, toldOf } = await open(layer, bytes)
  const hits = {
    routeHit: (count: number) => {
      for (let index = 0; index < count; index++) request("cached", 7)
    },
    functionHit: inFiber(() => toldOf({ id: 7 }))
  }
  const counts = { routeHit: hitOf(hits.routeHit), functionHit: hitOf(hits.functionHit) }
  request("cached", 7)
  check(response()?.headers["cache-status"] === "effect-cached; hit", "the route is hit")
  const body = response()?.body as { readonly contentLength?: number } | undefined
  await close()
  return { bytes: body?.contentLength ?? 0, ...counts }
}

print({ small: await measure(0), large: await measure(1024 * 1024) } satisfies Bodies)
