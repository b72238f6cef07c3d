/**
 * Sequences of values: lazy, gone through as often as one likes, their number known without doing so.
 */

export interface Values<out A> extends Iterable<A> {
  readonly size: number
}

/** The values of a list. */
export const list = <A>(values: ReadonlyArray<A>): Values<A> => ({
  size: values.length,
  [Symbol.iterator]: () => values[Symbol.iterator]()
})

/** The values of each part, one part after the other. */
export const concat = <A>(parts: ReadonlyArray<Values<A>>): Values<A> => ({
  size: parts.reduce((size, part) => size + part.size, 0),
  *[Symbol.iterator]() {
    for (const part of parts) yield* part
  }
})

/** Each value as `f` makes it, anew each time. */
export const map = <A, B>(values: Values<A>, f: (value: A) => B): Values<B> => ({
  size: values.size,
  *[Symbol.iterator]() {
    for (const value of values) yield f(value)
  }
})

/** Each choice of one value of each part; the last part varies fastest. */
export const product = <A>(parts: ReadonlyArray<Values<A>>): Values<ReadonlyArray<A>> => {
  // The sizes of others may have grown to Infinity, and nothing times Infinity is NaN.
  const isEmpty = parts.some((part) => part.size === 0)
  return {
    size: isEmpty ? 0 : parts.reduce((size, part) => size * part.size, 1),
    *[Symbol.iterator]() {
      if (isEmpty) return
      const wheels = parts.map((part) => makeWheel(part))
      while (true) {
        yield wheels.map((wheel) => wheel.value)
        let turned = wheels.length - 1
        while (turned >= 0 && !wheels[turned]!.turn()) turned--
        if (turned < 0) return
      }
    }
  }
}

// One part of a product that runs: its value now, and the step to the next. A step over the last value leads to the
// first, and is told by `false`.
const makeWheel = <A>(part: Values<A>) => {
  let rest = part[Symbol.iterator]()
  const wheel = {
    value: rest.next().value as A,
    turn: (): boolean => {
      const next = rest.next()
      if (next.done !== true) {
        wheel.value = next.value
        return true
      }
      rest = part[Symbol.iterator]()
      wheel.value = rest.next().value as A
      return false
    }
  }
  return wheel
}
