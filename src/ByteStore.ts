/**
 * A store in memory that keeps entries as bytes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as CacheEntry from "./CacheEntry.ts"
import type * as CacheError from "./CacheError.ts"
import { Codec } from "./Codec.ts"
import * as Store from "./Store.ts"

/**
 * A store in memory that keeps entries as the bytes of a `Codec`.
 *
 * **When to use**
 *
 * Use when many results are large and compress well: every typed hit decodes, and the memory is a fraction of what live
 * values take. Options and errors as for `Store.layerMemory`; the size of an entry is that of its bytes.
 *
 * **Example** (A cache that keeps bytes)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Schema } from "effect"
 * import { Broadcaster, ByteStore, Cached, DependencyGraph, ResultCache } from "effect-cached"
 * import * as MsgPackCodec from "effect-cached/MsgPackCodec"
 *
 * const cache = ResultCache.layer().pipe(
 *   Layer.provide([ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer())), DependencyGraph.layer(), Broadcaster.layerLocal])
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
export const layerMemory = (
  options?: Store.MemoryOptions
): Layer.Layer<Store.Store, CacheError.CacheError, Codec> =>
  Layer.effect(Store.Store)(Effect.gen(function*() {
    const codec = yield* Codec
    const memory = yield* Store.makeMemory(options)

    // Times and position stay readable, so that the memory store can expire and compare. All the rest is in the bytes.
    const pack = Effect.fnUntraced(function*(entry: CacheEntry.CacheEntry) {
      const { createdAt, expiresAt, fingerprint, key, position, terms } = entry
      const bytes = yield* codec.encode(entry)
      // A view would keep all in memory that it is a part of.
      const body = bytes.length === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
      return new CacheEntry.CacheEntry({
        key,
        fingerprint,
        body,
        head: undefined,
        tags: [],
        position,
        createdAt,
        expiresAt,
        terms
      })
    })
    const unpack = (packed: CacheEntry.CacheEntry) => codec.decode(packed.body as Uint8Array)

    return Store.Store.of({
      ...memory,
      remote: true,
      peek: () => undefined,
      get: (key) =>
        Effect.suspend(() => {
          const packed = memory.peek(key)
          return packed === undefined ? Effect.undefined : unpack(packed)
        }),
      set: (entry) => Effect.flatMap(pack(entry), memory.set),
      touch: (entry) =>
        Effect.suspend(() => {
          const packed = memory.peek(entry.key)
          if (packed === undefined || !isOf(packed, entry) || packed.usedAt >= entry.usedAt) return Effect.void
          return Effect.flatMap(
            pack(new CacheEntry.CacheEntry(CacheEntry.stored(entry))),
            (touched) => memory.peek(entry.key) === packed ? Effect.asVoid(memory.set(touched)) : Effect.void
          )
        }),
      // Bytes that are no entry are passed over: the others are there all the same.
      entries: Stream.flatMap(
        memory.entries,
        (packed) => Stream.catch(Stream.fromEffect(unpack(packed)), () => Stream.empty)
      )
    })
  }))

const isOf = (packed: CacheEntry.CacheEntry, { createdAt, fingerprint, position }: CacheEntry.CacheEntry): boolean =>
  packed.position === position && packed.createdAt === createdAt && packed.fingerprint === fingerprint
