import type { Layer } from "effect"
import {
  Broadcaster,
  ByteStore,
  type CacheError,
  CacheLive,
  Codec,
  DependencyGraph,
  ResultCache,
  Store
} from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest, FaultyBroadcaster, FaultyStore } from "effect-cached/testing"
import { describe, expect, test } from "tstyche"

describe("layers of the cache", () => {
  test("provide the same service: embedded, with options, and for tests", () => {
    expect(CacheLive).type.toBe<Layer.Layer<ResultCache.ResultCache>>()
    expect(ResultCache.layerMemory({ maxEntries: 10, maxBytes: 1000, storeTimeout: "1 second" })).type.toBe<
      Layer.Layer<ResultCache.ResultCache, CacheError.CacheError>
    >()
    expect(CacheTest.layer).type.toBe<Layer.Layer<ResultCache.ResultCache | CacheTest.CacheTest>>()
    expect(CacheTest.layer).type.toBeAssignableTo<Layer.Layer<ResultCache.ResultCache>>()
  })

  test("over services of one's own need the three that meet in it, and no codec", () => {
    expect(ResultCache.layer()).type.toBe<
      Layer.Layer<
        ResultCache.ResultCache,
        CacheError.CacheError,
        Store.Store | DependencyGraph.DependencyGraph | Broadcaster.Broadcaster
      >
    >()
    expect<Layer.Services<ReturnType<typeof CacheTest.layerWith>>>().type.toBe<
      Store.Store | DependencyGraph.DependencyGraph | Broadcaster.Broadcaster
    >()
  })

  test("reject options that they do not know", () => {
    expect(ResultCache.layerMemory).type.not.toBeCallableWith({ max: 10 })
    expect(ResultCache.layerMemory).type.not.toBeCallableWith({ maxEntries: "10" })
    expect(ResultCache.layerMemory).type.not.toBeCallableWith({ storeTimeout: "soon" })
    expect(Store.layerMemory).type.not.toBeCallableWith({ keep: "bytes" })
  })
})

describe("layers of stores", () => {
  test("that keep bytes need a codec, which takes none of the caller's", () => {
    expect(Store.layerMemory()).type.toBe<Layer.Layer<Store.Store, CacheError.CacheError>>()
    expect(ByteStore.layerMemory()).type.toBe<Layer.Layer<Store.Store, CacheError.CacheError, Codec.Codec>>()
    expect(MsgPackCodec.layer({ compressFrom: 1000 })).type.toBe<Layer.Layer<Codec.Codec, CacheError.CacheError>>()
    expect(Codec.layerJson).type.toBe<Layer.Layer<Codec.Codec>>()
  })

  test("in tiers need what their tiers need", () => {
    expect(Store.layerTiered({ near: Store.layerMemory(), far: ByteStore.layerMemory() })).type.toBe<
      Layer.Layer<Store.Store, CacheError.CacheError, Codec.Codec>
    >()
  })

  test("that are fakes stand in for what they are put before", () => {
    expect(FaultyStore.layer(Store.layerMemory())).type.toBe<
      Layer.Layer<Store.Store | FaultyStore.FaultyStore, CacheError.CacheError>
    >()
    expect(FaultyBroadcaster.layer(Broadcaster.layerLocal)).type.toBe<
      Layer.Layer<Broadcaster.Broadcaster | FaultyBroadcaster.FaultyBroadcaster>
    >()
  })
})
