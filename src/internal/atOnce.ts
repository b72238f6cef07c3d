/**
 * Logs that take a record in the very step in which they are asked.
 *
 * They are known by their `append` itself: a log that somebody wraps has another one, and is asked as any other log.
 */

type Append = (tags: ReadonlyArray<string>) => unknown

const known = new WeakMap<Append, (tags: ReadonlyArray<string>) => number>()

/** From now on `atOnce` is known to do what running `append` does. */
export const setAtOnce = (append: Append, atOnce: (tags: ReadonlyArray<string>) => number): void => {
  known.set(append, atOnce)
}

/** What does the same as running `append`, where that never waits: it returns the position. */
export const atOnceOf = (append: Append): ((tags: ReadonlyArray<string>) => number) | undefined => known.get(append)
