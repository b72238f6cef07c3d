/**
 * Long work in steps of a few milliseconds, so that it need not hold up all else.
 */
import * as Effect from "effect/Effect"

/** Work that can be left alone for a while wherever it yields. */
export type Steps<A> = Generator<void, A>

/** Does all of it at once. */
export const atOnce = <A>(steps: Steps<A>): A => {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** Lets others run between the steps. */
export const inTurns = Effect.fnUntraced(function*<A>(steps: Steps<A>): Effect.fn.Return<A> {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    yield* Effect.yieldNow
  }
})
