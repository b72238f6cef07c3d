/**
 * Keys that were made of texts of a request, found again by these texts.
 *
 * A request brings texts that V8 has never seen. To join them to a key, to copy and to hash what was joined, and to compare it
 * with the key of an entry takes longer than the rest of a hit. To look for each text in a map of its own makes nothing, and
 * ends with the very string by which the entry was looked for the last time.
 *
 * Invariant: a key is made of the steps to it, and of nothing else.
 */

/** What leads to a key: texts of a request, in an order that is always the same, and what they are read for. */
export type Step = string | undefined | object

/** What is known after some steps: by the next one, what is known after that, or the key. */
export interface Level extends Map<Step, Level | string> {}

export interface KnownKeys {
  /** What is known before the first step. */
  readonly first: () => Level
  /** Keeps a key for a while. No key may be on the way to another one. */
  readonly add: (steps: ReadonlyArray<Step>, key: string) => void
}

// Bounds what they take in memory: a few megabytes. A level for one key alone takes about as much as a short key.
const maxKeys = 4096
const maxLevels = 4 * maxKeys
const longest = 256

export const makeKnownKeys = (): KnownKeys => {
  let first: Level = new Map()
  let size = 0
  let levels = 0
  return {
    first: () => first,
    add: (steps, key) => {
      if (isLong(key) || steps.some(isLong)) return
      if (size === maxKeys || levels > maxLevels - steps.length) {
        first = new Map()
        size = 0
        levels = 0
      }
      size++
      let level = first
      for (const step of steps.slice(0, -1)) {
        const known = level.get(step) as Level | undefined
        const next: Level = known ?? new Map()
        if (known === undefined) {
          level.set(copyOf(step), next)
          levels++
        }
        level = next
      }
      level.set(copyOf(steps.at(-1)), key)
    }
  }
}

const isLong = (step: Step): boolean => typeof step === "string" && step.length > longest

/** Whether a value of a request leads to a key: lists and what bodies hold do not. */
export const isStep = (value: unknown): value is string | undefined => typeof value === "string" || value === undefined

// A part of a URL keeps all of the URL in memory. What JSON has read is a text of its own.
const copyOf = (step: Step): Step => typeof step === "string" ? JSON.parse(JSON.stringify(step)) as string : step
