/**
 * Readers: they ask for a key and call back, so that who asks needs no fiber for it.
 *
 * A reader is known by the function that makes the same as an effect: what somebody wraps is another function, and is run as any
 * effect.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as CacheError from "../CacheError.ts"

type Get<A> = (key: string) => Effect.Effect<A, CacheError.CacheError>

/** Asks, and calls `done` once, which may be in the same step. It never throws, and cannot be called off: who wants no answer any more lets it come. */
export type Reader<A> = (key: string, done: (exit: Exit.Exit<A, CacheError.CacheError>) => void) => void

const known = new WeakMap<Get<any>, Reader<any>>()

/** What does as a reader does, in a fiber. From now on the reader is known by it. */
export const getOf = <A>(reader: Reader<A>): Get<A> => {
  const get: Get<A> = (key) => Effect.callback((resume) => reader(key, resume))
  known.set(get, reader)
  return get
}

/** The reader that is known by a function, if one is. */
export const readerOf = <A>(get: Get<A>): Reader<A> | undefined => known.get(get)

/** The same, or one that starts a fiber each time. */
export const anyReaderOf = <A>(get: Get<A>, context: Context.Context<never>): Reader<A> =>
  readerOf(get) ??
    ((key, done) => void Effect.runForkWith(context)(Effect.suspend(() => get(key))).addObserver(done))
