/**
 * Readers: they ask for a key and call back, so that who asks needs no fiber for it.
 *
 * A reader is known by the function that makes the same as an effect: what somebody wraps is another function, and is run as any
 * effect.
 */
import * as Effect from "effect/Effect"
import type * as CacheError from "../CacheError.ts"

type Get<A> = (key: string) => Effect.Effect<A, CacheError.CacheError>

/**
 * Asks, and calls `done` once, which may be in the same step, with what is left to be done for the answer: an `Exit` where that is nothing. It
 * never throws, and cannot be called off: who wants no answer any more lets it come, and does not run it.
 */
export type Reader<A> = (key: string, done: (answer: Effect.Effect<A, CacheError.CacheError>) => void) => void

const known = new WeakMap<Get<any>, Reader<any>>()

/** What does as a reader does, in a fiber. From now on the reader is known by it. */
export const getOf = <A>(reader: Reader<A>): Get<A> => {
  const get: Get<A> = (key) => Effect.callback((resume) => reader(key, resume))
  known.set(get, reader)
  return get
}

/** The reader that is known by a function, if one is. */
export const readerOf = <A>(get: Get<A>): Reader<A> | undefined => known.get(get)
