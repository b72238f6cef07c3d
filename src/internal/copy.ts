/**
 * Copies of values that someone else may go on changing.
 */
import * as Chunk from "effect/Chunk"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"

/**
 * A copy of what can be changed in a value that has a canonical text. All else is returned as it is.
 */
export const copyOf = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf)
  if (value instanceof Date) return structuredClone(value)
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  if (value instanceof Map) return new Map(copiesOf(value))
  if (value instanceof Set) return new Set(Array.from(value, copyOf))
  if (value instanceof URL) return new URL(value)
  if (Option.isOption(value)) return Option.map(value, copyOf)
  if (Chunk.isChunk(value)) return Chunk.map(value, copyOf)
  if (HashMap.isHashMap(value)) return HashMap.fromIterable(copiesOf(HashMap.entries(value)))
  if (HashSet.isHashSet(value)) return HashSet.fromIterable(Array.from(value, copyOf))
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? copyOfRecord(value) : value
}

const copiesOf = (entries: Iterable<readonly [unknown, unknown]>): ReadonlyArray<readonly [unknown, unknown]> =>
  Array.from(entries, ([key, item]) => [copyOf(key), copyOf(item)])

/** A copy of a record, its values copied. */
export const copyOfRecord = (record: object): Readonly<Record<string, unknown>> => {
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(record)) {
    const item = copyOf((record as Readonly<Record<string, unknown>>)[key])
    // An assignment to this name would set the prototype.
    if (key === "__proto__") {
      Object.defineProperty(copy, key, { value: item, enumerable: true, writable: true, configurable: true })
    } else copy[key] = item
  }
  return copy
}
