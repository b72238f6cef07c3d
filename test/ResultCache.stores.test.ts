import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schema } from "effect"
import { Broadcaster, Cached, type CacheEntry, DependencyGraph, Store } from "effect-cached"
import { CacheTest } from "effect-cached/testing"

const layerOver = (store: Store.Store["Service"]) =>
  CacheTest.layerWith().pipe(
    Layer.provide([Layer.succeed(Store.Store)(store), DependencyGraph.layer(), Broadcaster.layerLocal])
  )

// Its methods need to know what they are methods of.
class OwnStore {
  readonly remote = true
  gets = 0
  private readonly inner: Store.Store["Service"]

  constructor(inner: Store.Store["Service"]) {
    this.inner = inner
  }

  get flush() {
    return this.inner.flush
  }
  get entries() {
    return this.inner.entries
  }
  get clear() {
    return this.inner.clear
  }
  peek() {
    return this.remote ? undefined : this.inner.peek("")
  }
  get(key: string) {
    this.gets++
    return this.inner.get(key)
  }
  set(entry: CacheEntry.CacheEntry) {
    return this.inner.set(entry)
  }
  touch(entry: CacheEntry.CacheEntry) {
    return this.inner.touch(entry)
  }
  remove(key: string) {
    return this.inner.remove(key)
  }
  onRemoval(listener: (removal: Store.Removal) => void) {
    return this.inner.onRemoval(listener)
  }
}

describe("A store of somebody's own", () => {
  it.effect("may be an instance of a class", () =>
    Effect.gen(function*() {
      const store = new OwnStore(yield* Store.makeMemory())
      yield* Effect.gen(function*() {
        let runs = 0
        const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.sync(() => ++runs))
        assert.deepStrictEqual([yield* fn(), yield* fn()], [1, 1])
        const kinds = (yield* (yield* CacheTest.CacheTest).events).map(({ _tag }) => _tag)
        assert.deepStrictEqual(kinds, ["Miss", "Stored", "Hit"])
        assert.strictEqual(store.gets, 2)
      }).pipe(Effect.provide(layerOver(store)))
    }))

  it.effect("keeps nobody waiting with an entry that cannot be judged", () =>
    Effect.gen(function*() {
      const inner = yield* Store.makeMemory()
      const store = {
        ...inner,
        remote: true,
        peek: () => undefined,
        get: (key: string) =>
          Effect.map(inner.get(key), (entry): CacheEntry.CacheEntry | undefined =>
            entry && Object.defineProperty(Object.create(entry), "tags", {
              get: () => {
                throw new Error("no tags")
              }
            }))
      }
      yield* Effect.gen(function*() {
        const fn = yield* Cached.make("fn", { success: Schema.Number }, () =>
          Effect.succeed(1))
        assert.strictEqual(yield* fn(), 1)
        for (const _ of [1, 2]) {
          assert.isTrue(Exit.hasDies(yield* Effect.exit(fn())))
        }
      }).pipe(Effect.provide(layerOver(store)))
    }))

  it.effect("is asked by the method that it has then", () =>
    Effect.gen(function*() {
      const store = { ...yield* Store.makeMemory(), remote: true, peek: () => undefined }
      yield* Effect.gen(function*() {
        const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.succeed(1))
        const { get } = store
        const seen: Array<string> = []
        store.get = (key) => {
          seen.push(key)
          return get(key)
        }
        yield* fn()
        assert.deepStrictEqual(seen, ["fn\t{}"])
      }).pipe(Effect.provide(layerOver(store)))
    }))
})
