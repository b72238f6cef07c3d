/**
 * What happens when in an open-loop run, from a seed: the same for each candidate.
 */

/** A request of a key, or a change of it. */
export interface Arrival {
  /** Milliseconds from the start. */
  readonly at: number
  readonly key: number
  readonly change: boolean
}

export interface Rates {
  readonly seed: number
  /** Requests per second: independent of each other, so that the times between them are exponential (a Poisson process). */
  readonly rate: number
  /** Changes per second, of the same kind. */
  readonly changes: number
  /** How many keys there are. How often one is asked for, and changed, is in proportion to 1/rank (Zipf). */
  readonly keys: number
  readonly millis: number
}

export const schedule = ({ changes, keys, millis, rate, seed }: Rates): ReadonlyArray<Arrival> => {
  const random = seeded(seed)
  const keyOf = zipf(keys, random)
  const arrivals: Array<Arrival> = []
  const fill = (perSecond: number, change: boolean): void => {
    for (let at = gap(perSecond, random); at < millis; at += gap(perSecond, random)) {
      arrivals.push({ at, key: keyOf(), change })
    }
  }
  fill(rate, false)
  fill(changes, true)
  return arrivals.toSorted((a, b) => a.at - b.at)
}

const gap = (rate: number, random: () => number): number => -Math.log(1 - random()) * 1000 / rate

const zipf = (keys: number, random: () => number): () => number => {
  const sums: Array<number> = []
  for (let rank = 1, sum = 0; rank <= keys; rank++) sums.push(sum += 1 / rank)
  return () => {
    const at = random() * sums.at(-1)!
    let low = 0
    let high = keys - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle]! < at) low = middle + 1
      else high = middle
    }
    return low
  }
}

// Mulberry32: small, and good enough for arrivals.
const seeded = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
