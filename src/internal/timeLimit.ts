/**
 * One time limit for many who wait, without a timer for each.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"

/** Calls `end`, which must not throw, when the time is over, unless the returned function is called before. */
export type Watch = (end: () => void) => () => void

interface Waiting {
  readonly since: number
  readonly end: () => void
}

/**
 * Makes a limit, in milliseconds. One fiber wakes a few times per limit while anyone waits. So a wait may end up to an eighth
 * before its time, and not after it: no change of the clock can stretch it.
 */
export const makeTimeLimit = Effect.fnUntraced(function*(limit: number): Effect.fn.Return<Watch, never, Scope.Scope> {
  if (limit === Infinity) return () => () => {}
  const steps = Math.max(1, Math.min(8, Math.floor(limit)))
  const waiting = new Set<Waiting>()
  const busy = Latch.makeUnsafe(false)
  let now = 0

  yield* Effect.forkScoped(Effect.forever(
    Effect.gen(function*() {
      yield* busy.await
      while (waiting.size > 0) {
        yield* Effect.sleep(limit / steps)
        now++
        // Those who came first are first.
        for (const one of waiting) {
          if (now - one.since < steps) break
          waiting.delete(one)
          one.end()
        }
      }
      busy.closeUnsafe()
    }),
    { disableYield: true }
  ))

  return (end) => {
    const one = { since: now, end }
    waiting.add(one)
    if (waiting.size === 1) busy.openUnsafe()
    return () => waiting.delete(one)
  }
})
