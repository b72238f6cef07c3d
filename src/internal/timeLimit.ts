/**
 * One time limit for many who wait, without a timer for each.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"

/** Calls `end`, which must not throw, when the time is over, unless the returned function is called before. */
export type Watch = (end: () => void) => () => void

// A list of its own, because V8 keeps what was deleted from a `Set` in memory until its next full collection.
interface Waiting {
  readonly since: number
  end: (() => void) | undefined
  before: Waiting | undefined
  after: Waiting | undefined
}

/**
 * Makes a limit, in milliseconds. One fiber wakes a few times per limit while anyone waits. So a wait may end up to an eighth
 * before its time, and not after it: no change of the clock can stretch it.
 */
export const makeTimeLimit = Effect.fnUntraced(function*(limit: number): Effect.fn.Return<Watch, never, Scope.Scope> {
  if (limit === Infinity) return () => () => {}
  const steps = Math.max(1, Math.min(8, Math.floor(limit)))
  const busy = Latch.makeUnsafe(false)
  const line: { first: Waiting | undefined; last: Waiting | undefined } = { first: undefined, last: undefined }
  let now = 0
  let isClosed = false

  const leave = (one: Waiting): void => {
    if (one.end === undefined) return
    one.end = undefined
    if (one.before === undefined) line.first = one.after
    else one.before.after = one.after
    if (one.after === undefined) line.last = one.before
    else one.after.before = one.before
  }

  // Those who came first are first. What one of them ends may end others.
  const tick = (): void => {
    now++
    endWhere((one) => now - one.since >= steps)
  }

  const endWhere = (isOver: (one: Waiting) => boolean): void => {
    for (let one = line.first; one !== undefined && isOver(one); one = line.first) {
      const { end } = one
      leave(one)
      end?.()
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
    const one: Waiting = { since: now, end, before: line.last, after: undefined }
    if (line.last === undefined) line.first = one
    else line.last.after = one
    line.last = one
    if (line.first === one) busy.openUnsafe()
    return () => leave(one)
  }
})
