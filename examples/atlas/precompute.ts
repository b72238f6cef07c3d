/**
 * What the atlas computes ahead of time, and where it is kept: in `reports.json`, beside this file. It is there to be read,
 * edited and committed; `git diff` shows what has changed. With `REDIS_URL` it is kept in Redis, for many processes.
 *
 * `main.ts` makes it complete at each start. `npx effect-cached precompute examples/atlas/precompute.ts` does the same
 * without a server: the command takes the functions, the `layer` and the `options` that a module exports.
 */
import { NodeServices } from "@effect/platform-node"
import { Config, Effect, Layer, Option } from "effect"
import { Broadcaster, DependencyGraph, Precompute, ResultCache, Store } from "effect-cached"
import * as JsonFileStore from "effect-cached/JsonFileStore"
import { join } from "node:path"
import { Atlas } from "./Atlas.ts"
import * as Reports from "./reports.ts"

export const standings = Reports.Standings

/** Of the limits, those that are asked for most. */
export const rankings = Precompute.over(Reports.Rankings, { values: { limit: [3, 10] } })

export const populationReports = Reports.PopulationReports

/**
 * Two caches: one for the reports, in the file at `path`, and one in memory for all else. The cities near a point are not
 * worth keeping, and there is no end of points.
 *
 * Both follow one log, that of the file, so an invalidation ends results in both, and those in the file for good.
 */
export const cachesAt = (path: string) => {
  const file = JsonFileStore.layer({ path })
  const log = Layer.effect(Broadcaster.Broadcaster)(Broadcaster.Broadcaster).pipe(Layer.provide(file))
  const cacheInFile = ResultCache.layer().pipe(Layer.provide([file, DependencyGraph.layer()]))
  const cacheInMemory = ResultCache.layer().pipe(Layer.provide([Store.layerMemory(), log, DependencyGraph.layer()]))
  return Layer.merge(Reports.layer.pipe(Layer.provide(cacheInFile)), cacheInMemory)
}

/**
 * One cache for all, in the Redis at `url`, with memory in front. Every process that uses it hears of the invalidations of
 * all others, and what one has computed, or is computing, none of the others computes.
 */
export const cachesIn = (url: string) =>
  Reports.layer.pipe(Layer.provideMerge(ResultCache.layerRedis({ url, namespace: "atlas" })))

/** The caches: in Redis with `REDIS_URL`, and otherwise with the committed file. */
export const caches = Layer.unwrap(Effect.gen(function*() {
  const url = yield* Config.option(Config.String("REDIS_URL"))
  return Option.isSome(url) ? cachesIn(url.value) : cachesAt(join(import.meta.dirname, "reports.json"))
}))

/** The same over an atlas of its own: what the command uses. */
export const layer = caches.pipe(Layer.provide([Atlas.layerConfig, NodeServices.layer]))
