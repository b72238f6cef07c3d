/**
 * Places in the log: two numbers with a `-` in between, of which the first is the position.
 */

/** The position of a place. */
export const positionOf = (id: string): number => Number(id.slice(0, id.indexOf("-")))

/** Whether a place comes after another. */
export const isAfter = (id: string, other: string): boolean => {
  const position = positionOf(id)
  const before = positionOf(other)
  return position > before || (position === before && sequenceOf(id) > sequenceOf(other))
}

const sequenceOf = (id: string): number => Number(id.slice(id.indexOf("-") + 1))
