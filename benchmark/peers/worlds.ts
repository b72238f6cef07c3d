/**
 * One cache that is being measured, whichever way it is called: by promises or in a fiber.
 */
import { Effect, type ManagedRuntime } from "effect"
import { loop } from "../fixtures.ts"
import { awaited, awaitedLatencies } from "./compare.ts"

/** What is asked for in each turn of a loop. */
export type IdOf = (index: number) => number

export interface World<A> {
  readonly get: (id: number) => Promise<A>
  /** Nanoseconds per read, one after the other. */
  readonly reads: (count: number, idOf: IdOf) => Promise<number>
  /** Nanoseconds of single reads, one after the other. */
  readonly latencies: (count: number, idOf: IdOf) => Promise<ReadonlyArray<number>>
  /** What so many callers get that ask at once. */
  readonly together: (callers: number, id: number) => Promise<ReadonlyArray<A>>
  /** Nanoseconds of an invalidation, for those that have tags. */
  readonly invalidate?: ((tag: string) => Promise<number>) | undefined
  readonly close: () => Promise<void>
}

/** How a promise library is asked. */
export interface Promised<A> {
  readonly get: (id: number) => Promise<A>
  readonly invalidate?: ((tag: string) => Promise<unknown>) | undefined
  readonly close?: (() => Promise<unknown>) | undefined
}

export const promised = <A>({ close, get, invalidate }: Promised<A>): World<A> => ({
  get,
  reads: (count, idOf) => awaited(count, (index) => get(idOf(index)))(),
  latencies: (count, idOf) => awaitedLatencies((index) => get(idOf(index)))(count),
  together: (callers, id) => Promise.all(Array.from({ length: callers }, () => get(id))),
  invalidate: invalidate && (async (tag) => {
    const start = process.hrtime.bigint()
    await invalidate(tag)
    return Number(process.hrtime.bigint() - start)
  }),
  close: async () => void await close?.()
})

/** How a library of effects is asked, all turns of a loop in one fiber. */
export interface Fibered<A, R> {
  readonly runtime: ManagedRuntime.ManagedRuntime<R, unknown>
  readonly get: (id: number) => Effect.Effect<A, unknown, R>
  readonly invalidate?: ((tag: string) => Effect.Effect<unknown, unknown, R>) | undefined
}

export const fibered = <A, R>({ get, invalidate, runtime }: Fibered<A, R>): World<A> => ({
  get: (id) => runtime.runPromise(get(id)),
  reads: (count, idOf) => runtime.runPromise(loop(count, (index) => get(idOf(index)))),
  latencies: (count, idOf) =>
    runtime.runPromise(Effect.gen(function*() {
      const nanos: Array<number> = []
      for (let index = 0; index < count; index++) {
        const start = process.hrtime.bigint()
        yield* get(idOf(index))
        nanos.push(Number(process.hrtime.bigint() - start))
      }
      return nanos
    })),
  together: (callers, id) =>
    runtime.runPromise(
      Effect.forEach(Array.from({ length: callers }), () => get(id), { concurrency: "unbounded" })
    ),
  invalidate: invalidate && ((tag) =>
    runtime.runPromise(Effect.gen(function*() {
      const start = process.hrtime.bigint()
      yield* invalidate(tag)
      return Number(process.hrtime.bigint() - start)
    }))),
  close: () => runtime.dispose()
})
