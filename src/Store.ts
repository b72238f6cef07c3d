/**
 * Stores: entries by key.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as CacheEntry from "./CacheEntry.ts"
import type * as CacheError from "./CacheError.ts"
import { makeMemoryStore } from "./internal/memoryStore.ts"

/**
 * What became of an entry that was to be stored: it is kept, or an entry of a later position is kept in its place, or it
 * alone is larger than the store may be.
 *
 * @category models
 * @since 0.1.0
 */
export type SetResult = "stored" | "superseded" | "too-large"

/**
 * An entry that a store removed by itself, for want of space or because its time was over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Removal {
  readonly key: string
  readonly cause: "evicted" | "expired"
}

/**
 * The service.
 *
 * **Details**
 *
 * A store does not judge: it may return entries that are expired or invalid, and whoever reads them decides. It may drop
 * an entry that is over, which it is at {@link CacheEntry.endsAt}, and not earlier: what has expired may still be served
 * stale. Failures of the medium are `CacheError`s of reason `StoreError`, bytes that are no entry are of reason `CodecError`. Operations must
 * be interruptible, or no time limit can hold them.
 *
 * @category services
 * @since 0.1.0
 */
export class Store extends Context.Service<Store, {
  /** Whether `get` can find what `peek` does not. */
  readonly remote: boolean
  /** The entry of a key, as far as this process already holds it. Counts as a use of the entry. */
  readonly peek: (key: string) => CacheEntry.CacheEntry | undefined
  /** The entry of a key, or `undefined`. */
  readonly get: (key: string) => Effect.Effect<CacheEntry.CacheEntry | undefined, CacheError.CacheError>
  /**
   * Stores an entry under its key. Never replaces an entry of a later position, or one of the same position and function
   * that was created later, unless that is over.
   */
  readonly set: (entry: CacheEntry.CacheEntry) => Effect.Effect<SetResult, CacheError.CacheError>
  /** Notes when an entry was last read, where it is still what is stored, and nothing else. */
  readonly touch: (entry: CacheEntry.CacheEntry) => Effect.Effect<void, CacheError.CacheError>
  /** Removes the entry of a key, if there is one. */
  readonly remove: (key: string) => Effect.Effect<void, CacheError.CacheError>
  /** Called when nothing more will come for a while: a good time for what takes long. */
  readonly flush: Effect.Effect<void, CacheError.CacheError>
  /** All entries that are not over, for tools. */
  readonly entries: Stream.Stream<CacheEntry.CacheEntry, CacheError.CacheError>
  /** Removes all entries of this store's namespace. */
  readonly clear: Effect.Effect<void, CacheError.CacheError>
  /** Calls `listener`, which must not throw, for every entry that the store removes by itself, until the scope closes. */
  readonly onRemoval: (listener: (removal: Removal) => void) => Effect.Effect<void, never, Scope.Scope>
}>()("effect-cached/Store") {}

/**
 * Options of a store in memory.
 *
 * **Details**
 *
 * - `maxEntries`: the most entries, default 100 000. `Infinity` leaves it to `maxBytes`.
 * - `maxBytes`: the most bytes as {@link CacheEntry.size} counts them, default 64 MiB.
 * - `sweepEvery`: how long entries that are over may stay, default one minute.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryOptions {
  readonly maxEntries?: number | undefined
  readonly maxBytes?: number | undefined
  readonly sweepEvery?: Duration.Input | undefined
}

/**
 * Makes a store that keeps entries as live values in this process. The least recently used are evicted first.
 *
 * **Details**
 *
 * Fails with a `CacheError` of reason `DefinitionError` for a bound that is not a whole number of at least one, or an
 * unusable duration.
 *
 * **Example** (The least recently used goes first)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { CacheEntry, Store } from "effect-cached"
 *
 * const entry = (key: string) =>
 *   new CacheEntry.CacheEntry({
 *     key,
 *     fingerprint: "f",
 *     body: "1",
 *     head: undefined,
 *     tags: [],
 *     position: 1,
 *     createdAt: 0,
 *     expiresAt: Infinity
 *   })
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* Store.makeMemory({ maxEntries: 2 })
 *   yield* store.set(entry("a"))
 *   yield* store.set(entry("b"))
 *   store.peek("a")
 *   yield* store.set(entry("c"))
 *   return ["a", "b", "c"].filter((key) => store.peek(key) !== undefined)
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => ["a", "c"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemory = (
  options?: MemoryOptions
): Effect.Effect<Store["Service"], CacheError.CacheError, Scope.Scope> =>
  Effect.map(makeMemoryStore(options), (memory) =>
    Store.of({
      remote: false,
      peek: memory.peek,
      get: (key) => Effect.sync(() => memory.peek(key)),
      set: (entry) => Effect.sync(() => memory.set(entry)),
      // Who reads an entry has noted it there.
      touch: () => Effect.void,
      remove: (key) => Effect.sync(() => memory.remove(key)),
      flush: Effect.void,
      entries: Stream.suspend(() => Stream.fromIterable(memory.entries())),
      clear: Effect.sync(memory.clear),
      onRemoval: (listener) =>
        Effect.acquireRelease(
          Effect.sync(() => memory.listeners.add(listener)),
          () => Effect.sync(() => memory.listeners.delete(listener))
        )
    }))

/**
 * A store that keeps entries as live values in this process. Options and errors as for {@link makeMemory}.
 *
 * **Example** (A bound of 10 MB)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { Broadcaster, Cached, DependencyGraph, ResultCache, Store } from "effect-cached"
 *
 * const cache = ResultCache.layer().pipe(
 *   Layer.provide([Store.layerMemory({ maxBytes: 10_000_000 }), DependencyGraph.layer(), Broadcaster.layerLocal])
 * )
 *
 * const program = Effect.gen(function*() {
 *   let computed = 0
 *   const squares = yield* Cached.make(
 *     "squares",
 *     { input: { upTo: Schema.Number }, success: Schema.Array(Schema.Number) },
 *     ({ upTo }) => Effect.sync(() => {
 *       computed++
 *       return Array.from({ length: upTo }, (_, n) => n * n)
 *     })
 *   )
 *   yield* squares({ upTo: 3 })
 *   return [yield* squares({ upTo: 3 }), computed]
 * }).pipe(Effect.provide(cache))
 *
 * await Effect.runPromise(program) // => [[0, 1, 4], 1]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options?: MemoryOptions): Layer.Layer<Store, CacheError.CacheError> =>
  Layer.effect(Store)(makeMemory(options))

/**
 * A small, fast store in front of a large, shared one.
 *
 * **Details**
 *
 * `peek` looks into `near`. `get` asks `far` as well, and takes what is fresh, or else what is not over yet; of two of these
 * the entry of the later position, or the newer one. It copies that to `near`. Writes and removals go to both.
 *
 * **Example** (Live values in front of bytes)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { Broadcaster, ByteStore, Cached, DependencyGraph, ResultCache, Store } from "effect-cached"
 * import * as MsgPackCodec from "effect-cached/MsgPackCodec"
 *
 * const cache = ResultCache.layer().pipe(
 *   Layer.provide([Store.layerTiered({
 *     near: Store.layerMemory({ maxEntries: 1000 }),
 *     far: ByteStore.layerMemory({ maxBytes: 256 * 1024 * 1024 }).pipe(Layer.provide(MsgPackCodec.layer()))
 *   }), DependencyGraph.layer(), Broadcaster.layerLocal])
 * )
 *
 * const program = Effect.gen(function*() {
 *   let computed = 0
 *   const squares = yield* Cached.make(
 *     "squares",
 *     { input: { upTo: Schema.Number }, success: Schema.Array(Schema.Number) },
 *     ({ upTo }) => Effect.sync(() => {
 *       computed++
 *       return Array.from({ length: upTo }, (_, n) => n * n)
 *     })
 *   )
 *   yield* squares({ upTo: 3 })
 *   return [yield* squares({ upTo: 3 }), computed]
 * }).pipe(Effect.provide(cache))
 *
 * await Effect.runPromise(program) // => [[0, 1, 4], 1]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTiered = <E1, R1, E2, R2>(tiers: {
  readonly near: Layer.Layer<Store, E1, R1>
  readonly far: Layer.Layer<Store, E2, R2>
}): Layer.Layer<Store, E1 | E2, R1 | R2> =>
  Layer.effect(Store)(Effect.gen(function*() {
    // Fresh, so that two tiers made of one layer value are two stores.
    const near = Context.get(yield* Layer.build(Layer.fresh(tiers.near)), Store)
    const far = Context.get(yield* Layer.build(Layer.fresh(tiers.far)), Store)
    return tiered(near, far, yield* Clock.Clock)
  }))

const isBetter = (one: CacheEntry.CacheEntry, other: CacheEntry.CacheEntry, now: number): boolean => {
  const more = worth(one, now) - worth(other, now)
  if (more !== 0) return more > 0
  return one.position > other.position || (one.position === other.position && one.createdAt > other.createdAt)
}

// What may be served, what may be served stale, and what is over.
const worth = (entry: CacheEntry.CacheEntry, now: number): 0 | 1 | 2 => {
  if (CacheEntry.endsAt(entry) <= now) return 0
  return entry.expiresAt <= now ? 1 : 2
}

// Each tier is tried, whatever becomes of the other.
const both = (
  near: Effect.Effect<void, CacheError.CacheError>,
  far: Effect.Effect<void, CacheError.CacheError>
): Effect.Effect<void, CacheError.CacheError> => Effect.flatMap(Effect.exit(near), (exit) => Effect.andThen(far, exit))

const tiered = (near: Store["Service"], far: Store["Service"], clock: Clock.Clock): Store["Service"] =>
  Store.of({
    remote: true,
    peek: near.peek,
    get: Effect.fnUntraced(function*(key) {
      const close = near.remote ? yield* near.get(key) : near.peek(key)
      const distant = yield* far.get(key)
      if (distant === undefined) return close
      const now = clock.currentTimeMillisUnsafe()
      if (close !== undefined && !isBetter(distant, close, now)) return close
      // Nothing that was not checked is copied: not every store can keep that.
      if (distant.unchecked === undefined) {
        // It may be of a later position, and would stay. What may still be served then stays: nobody here knows whether the other
        // is valid.
        const isOver = close !== undefined && worth(close, now) === 0
        // And what was stored while the other tier was asked is newer than both.
        const isThere = near.remote || near.peek(key) === close
        if (close !== undefined && isThere && (isOver || close.position <= distant.position)) yield* near.remove(key)
        yield* near.set(distant)
      }
      return distant
    }),
    set: Effect.fnUntraced(function*(entry) {
      const close = yield* near.set(entry)
      const distant = yield* far.set(entry)
      return close === "stored" ? close : distant
    }),
    touch: (entry) => both(near.touch(entry), far.touch(entry)),
    remove: (key) => both(near.remove(key), far.remove(key)),
    flush: both(near.flush, far.flush),
    entries: far.entries,
    clear: both(near.clear, far.clear),
    onRemoval: (listener) => Effect.andThen(near.onRemoval(listener), far.onRemoval(listener))
  })
