/**
 * Callers that each wait for one answer after the other, many at once.
 */
import { Effect } from "effect"
import { check } from "../fixtures.ts"

/** The number of the entry that a caller asks for at its call of that number. */
export type Ids = (caller: number, index: number) => number

/** Nanoseconds per call, and of each call on its own where somebody wants to know. */
export type Run = (callers: number, count: number, ids: Ids, each?: (nanos: number) => void) => Promise<number>

/** Callers in fibers. */
export const inFibers = (
  runPromise: (effect: Effect.Effect<number, unknown>) => Promise<number>,
  get: (id: number) => Effect.Effect<unknown, unknown>
): Run =>
(callers, count, ids, each) =>
  runPromise(Effect.gen(function*() {
    const calls = Math.ceil(count / callers)
    const caller = each === undefined
      ? Effect.fnUntraced(function*(caller: number) {
        for (let index = 0; index < calls; index++) yield* get(ids(caller, index))
      })
      : Effect.fnUntraced(function*(caller: number) {
        for (let index = 0; index < calls; index++) {
          const start = performance.now()
          yield* get(ids(caller, index))
          each((performance.now() - start) * 1e6)
        }
      })
    const start = performance.now()
    yield* Effect.forEach(range(callers), caller, { concurrency: "unbounded", discard: true })
    return (performance.now() - start) * 1e6 / (calls * callers)
  }))

/** Callers in promises. */
export const inPromises = (get: (id: number) => unknown): Run => async (callers, count, ids, each) => {
  const calls = Math.ceil(count / callers)
  const caller = each === undefined
    ? async (caller: number) => {
      // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
      for (let index = 0; index < calls; index++) await get(ids(caller, index))
    }
    : async (caller: number) => {
      for (let index = 0; index < calls; index++) {
        const start = performance.now()
        // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
        await get(ids(caller, index))
        each((performance.now() - start) * 1e6)
      }
    }
  const start = performance.now()
  await Promise.all(range(callers).map(caller))
  return (performance.now() - start) * 1e6 / (calls * callers)
}

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, index) => index)

/**
 * How many calls take so many milliseconds, once the code is compiled: a multiple of `step`, which is warmed up with and
 * measured.
 */
export const calibrate = async (
  step: number,
  run: (count: number) => Promise<number>,
  millis: { readonly warmUp: number; readonly sample: number }
): Promise<number> => {
  const start = performance.now()
  let nanos = await run(step)
  // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
  while (performance.now() - start < millis.warmUp) nanos = await run(step)
  return Math.max(1, Math.round(millis.sample * 1e6 / nanos / step)) * step
}

/** Reads until nothing is computed any more, because some write in the background. */
export const untilStored = async (read: () => Promise<unknown>, executions: () => number): Promise<void> => {
  let before: number
  let passes = 0
  do {
    before = executions()
    // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
    await read()
    check(passes++ < 20, "what is computed has to be stored")
  } while (executions() > before)
}
