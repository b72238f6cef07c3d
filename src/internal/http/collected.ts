/**
 * Bodies of responses that are streams, in whole, as long as they are not too large.
 */
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** A body: all of it, or a stream that begins with what was read of it already. */
export type Collected =
  | { readonly bytes: Uint8Array }
  | { readonly bytes: undefined; readonly stream: Stream.Stream<Uint8Array, unknown> }

/** Reads a stream until it has ended, or has more than `most` bytes. Who goes on with it has to keep its scope open. */
export const collected = Effect.fnUntraced(function*(
  stream: Stream.Stream<Uint8Array, unknown>,
  most: number
): Effect.fn.Return<Collected, unknown, Scope.Scope> {
  const pull = yield* Stream.toPull(stream)
  const read = { chunks: new Array<Uint8Array>(), size: 0 }
  const next = Effect.map(pull, (chunks) => {
    for (const chunk of chunks) {
      read.chunks.push(chunk)
      read.size += chunk.length
    }
    return true
  })
  const more = Pull.catchDone(next, () => Effect.succeed(false))
  while (read.size <= most) {
    if (!(yield* more)) return { bytes: joined(read.chunks, read.size) }
  }
  const rest = Stream.fromPull(Effect.succeed(pull))
  return { bytes: undefined, stream: Stream.concat(Stream.fromArray(read.chunks), rest) }
})

const joined = (chunks: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}
