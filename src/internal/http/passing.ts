/**
 * What could not be stored the last time: nobody waits for the computation of another there.
 */
import { LRUCache } from "lru-cache"

interface Passing {
  /** How many hints it takes to try again, and how many of them are still missing. */
  readonly hints: number
  left: number
}

// Bounds what the keys take in memory.
const maxCharacters = 2 ** 22
const maxHints = 1024

export const makePassing = () => {
  const passing = new LRUCache<string, Passing>({
    maxSize: maxCharacters,
    sizeCalculation: (_, key) => key.length + 1
  })
  return {
    has: (key: string): boolean => (passing.get(key)?.left ?? 0) > 0,
    /** It could not be stored. It takes twice as many hints as the last time to try again. */
    add: (key: string): void => {
      const hints = Math.min(maxHints, (passing.get(key)?.hints ?? 0.5) * 2)
      passing.set(key, { hints, left: hints })
    },
    /** A 304 to the conditions of a client says that it could be stored. */
    hint: (key: string): void => {
      const known = passing.get(key)
      if (known !== undefined) known.left--
    },
    remove: (key: string): void => void passing.delete(key)
  }
}
