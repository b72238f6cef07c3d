/**
 * How long nobody tries again what has failed.
 */
import { LRUCache } from "lru-cache"
import type { Policy } from "./policy.ts"

interface Failing {
  /** How many times in a row. */
  readonly times: number
  /** In milliseconds since the epoch. */
  readonly until: number
}

export type BackOff = ReturnType<typeof makeBackOff>

export const makeBackOff = (now: () => number) => {
  // Who is forgotten is tried once more.
  const failing = new LRUCache<string, Failing>({ max: 10_000 })
  return {
    /** Whether a key is not to be tried at this time. */
    isWaiting: (key: string): boolean => failing.size > 0 && (failing.peek(key)?.until ?? 0) > now(),
    failed: (key: string, { backOff, maxBackOff }: Pick<Policy, "backOff" | "maxBackOff">): void => {
      const times = (failing.get(key)?.times ?? 0) + 1
      failing.set(key, { times, until: now() + Math.min(backOff * 2 ** (times - 1), Math.max(backOff, maxBackOff)) })
    },
    succeeded: (key: string): void => {
      if (failing.size > 0) failing.delete(key)
    }
  }
}
