/**
 * Bodies of responses that are streams, in whole, as long as they are not too large and not too slow.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

type Bytes = Stream.Stream<Uint8Array, unknown>

/** A body: all of it, or a stream that begins with what was read of it already. */
export type Collected =
  | { readonly bytes: Uint8Array }
  | { readonly bytes: undefined; readonly stream: Bytes }

/**
 * Reads a stream until it has ended, has more than `most` bytes, or takes longer than `limit` milliseconds. Who goes on with it
 * has to keep its scope open.
 */
export const collected = Effect.fnUntraced(function*(
  stream: Bytes,
  most: number,
  limit: number
): Effect.fn.Return<Collected, unknown, Scope.Scope> {
  const pull = yield* Stream.toPull(stream)
  const read = { chunks: new Array<Uint8Array>(), size: 0, isOver: false }
  const next = Effect.map(pull, (chunks) => {
    for (const chunk of chunks) {
      read.chunks.push(chunk)
      read.size += chunk.length
    }
    return true
  })
  const more = Pull.catchDone(next, () => Effect.succeed(false))
  // A fiber of its own: what it waits for when the time is over is not lost.
  const reading = yield* Effect.forkScoped(
    Effect.gen(function*() {
      while (read.size <= most && !read.isOver) if (!(yield* more)) return true
      return false
    }),
    { startImmediately: true }
  )
  const ended = yield* Effect.timeoutOption(Fiber.join(reading), limit)
  if (ended._tag === "Some" && ended.value) return { bytes: joined(read.chunks, read.size) }
  read.isOver = true
  const sent = read.chunks.splice(0)
  const rest = Effect.map(
    Fiber.join(reading),
    (isEnd) =>
      Stream.concat(Stream.fromArray(read.chunks), isEnd ? Stream.empty : Stream.fromPull(Effect.succeed(pull)))
  )
  return { bytes: undefined, stream: Stream.concat(Stream.fromArray(sent), Stream.unwrap(rest)) }
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
