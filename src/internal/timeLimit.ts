/**
 * One time limit for many who wait, without a timer for each.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { Line, Place } from "./passing.ts"

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
  const busy = Latch.makeUnsafe(false)
  const line = new Line<Place<Waiting>>()
  let now = 0
  let isClosed = false

  // Those who came first are first. What one of them ends may end others.
  const tick = (): void => {
    now++
    endWhere((one) => now - one.since >= steps)
  }

  const endWhere = (isOver: (one: Waiting) => boolean): void => {
    for (let place = line.first; place !== undefined && isOver(place.value); place = line.first) {
      line.leave(place)
      place.value.end()
    }
  }

  // Nobody would wake for those who wait then.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
      endWhere(() => true)
    })
  )

  yield* Effect.forkScoped(Effect.forever(
    Effect.gen(function*() {
      yield* busy.await
      while (line.first !== undefined) {
        yield* Effect.sleep(limit / steps)
        tick()
      }
      busy.closeUnsafe()
    }),
    { disableYield: true }
  ))

  return (end) => {
    if (isClosed) {
      end()
      return () => {}
    }
    const isFirst = line.first === undefined
    const place = new Place({ since: now, end })
    line.join(place)
    if (isFirst) busy.openUnsafe()
    return () => void line.leave(place)
  }
})
