/**
 * The cache of a process of the tests.
 */
import type * as CacheError from "effect-cached/CacheError"
import type * as CacheEvent from "effect-cached/CacheEvent"
import * as ResultCache from "effect-cached/ResultCache"
import type * as Layer from "effect/Layer"
import type { Settings } from "./messages.ts"

export const layerOf = (
  { commandTimeout, leaseDuration, maxLength, maxStaleness, namespace, url }: Settings,
  onEvent: (event: CacheEvent.CacheEvent) => void
): Layer.Layer<ResultCache.ResultCache, CacheError.CacheError> =>
  ResultCache.layerRedis({
    url,
    namespace,
    maxStaleness,
    commandTimeout,
    storeTimeout: commandTimeout,
    lease: { duration: leaseDuration },
    // The room for more takes time to make.
    memory: { maxEntries: 1000 },
    ...maxLength > 0 ? { maxLogLength: maxLength } : {},
    onEvent
  })
