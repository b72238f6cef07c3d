/**
 * A codec whose faults a test decides.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Codec } from "../Codec.ts"
import { codecError } from "../internal/errors.ts"

/**
 * The controls.
 *
 * @category services
 * @since 0.1.0
 */
export class FaultyCodec extends Context.Service<FaultyCodec, {
  /**
   * What happens from now on: `healthy` leaves the codec alone, `failing` fails both directions, `corrupting` changes
   * one bit of what it encodes.
   */
  readonly become: (mode: "healthy" | "failing" | "corrupting") => Effect.Effect<void>
  /** The keys of the entries that were encoded. */
  readonly encoded: Effect.Effect<ReadonlyArray<string>>
}>()("effect-cached/testing/FaultyCodec") {}

/**
 * Puts faults between a store and its codec.
 *
 * **Example** (A bit that has changed)
 *
 * ```ts import.meta.vitest
 * import { Effect, Result } from "effect"
 * import { CacheEntry, Codec } from "effect-cached"
 * import * as MsgPackCodec from "effect-cached/MsgPackCodec"
 * import { FaultyCodec } from "effect-cached/testing"
 *
 * const entry = new CacheEntry.CacheEntry({
 *   key: "k",
 *   fingerprint: "f",
 *   body: "1",
 *   head: undefined,
 *   tags: [],
 *   position: 1,
 *   createdAt: 0,
 *   expiresAt: Infinity
 * })
 *
 * const program = Effect.gen(function*() {
 *   const codec = yield* Codec.Codec
 *   const faults = yield* FaultyCodec.FaultyCodec
 *   yield* faults.become("corrupting")
 *   return Result.isFailure(yield* Effect.result(Effect.flatMap(codec.encode(entry), codec.decode)))
 * }).pipe(Effect.provide(FaultyCodec.layer(MsgPackCodec.layer())))
 *
 * await Effect.runPromise(program) // => true
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R>(inner: Layer.Layer<Codec, E, R>): Layer.Layer<Codec | FaultyCodec, E, R> =>
  Layer.effectContext(Effect.gen(function*() {
    const codec = Context.get(yield* Layer.build(Layer.fresh(inner)), Codec)
    const encoded: Array<string> = []
    let mode: "healthy" | "failing" | "corrupting" = "healthy"

    const faulty = Codec.of({
      encode: Effect.fnUntraced(function*(entry) {
        if (mode === "failing") return yield* codecError("encode", "the codec is broken")
        const bytes = Uint8Array.from(yield* codec.encode(entry))
        encoded.push(entry.key)
        if (mode === "corrupting") bytes[bytes.length - 1]! ^= 1
        return bytes
      }),
      decode: (bytes) =>
        Effect.suspend(() =>
          mode === "failing" ? Effect.fail(codecError("malformed", "the codec is broken")) : codec.decode(bytes)
        )
    })

    return Context.make(Codec, faulty).pipe(Context.add(
      FaultyCodec,
      FaultyCodec.of({
        become: (next) =>
          Effect.sync(() => {
            mode = next
          }),
        encoded: Effect.sync(() => [...encoded])
      })
    ))
  }))
