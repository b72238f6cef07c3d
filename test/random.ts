/**
 * Random choices that are the same for the same seed.
 */
import { Effect } from "effect"

export interface Random {
  /** A whole number from zero to below `bound`. */
  readonly below: (bound: number) => number
  readonly pick: <A>(from: ReadonlyArray<A>) => A
  /** Lets others run, a few times or not at all. */
  readonly pause: Effect.Effect<void>
}

export const makeRandom = (seed: number): Random => {
  let state = (seed * 0x9e3779b1 + 0x85ebca6b) | 0
  const below = (bound: number) => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) % bound
  }
  return {
    below,
    pick: (from) => from[below(from.length)]!,
    pause: Effect.suspend(() => Effect.repeat(Effect.yieldNow, { times: below(4) })).pipe(
      Effect.when(Effect.sync(() => below(4) > 0)),
      Effect.asVoid
    )
  }
}

/** Waits for an effect, with a bound on the turns of the scheduler that it may take. */
export const withinTurns = Effect.fnUntraced(
  function*<A, E, R>(turns: number, message: string, effect: Effect.Effect<A, E, R>) {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let turn = 0; turn < turns && fiber.pollUnsafe() === undefined; turn++) yield* Effect.yieldNow
    const exit = fiber.pollUnsafe()
    if (exit === undefined) throw new Error(message)
    return yield* exit
  }
)
