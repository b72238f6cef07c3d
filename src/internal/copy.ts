/**
 * Copies of values that someone else may go on changing.
 */
import * as Option from "effect/Option"

/**
 * A copy of what can be changed in a plain value: lists, records, dates, bytes, maps and sets. All else is returned as
 * it is.
 */
export const copyOf = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf)
  if (value instanceof Date) return structuredClone(value)
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  if (value instanceof Map) return new Map(Array.from(value, ([key, item]) => [copyOf(key), copyOf(item)]))
  if (value instanceof Set) return new Set(Array.from(value, copyOf))
  if (Option.isOption(value)) return Option.map(value, copyOf)
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? copyOfRecord(value) : value
}

/** A copy of a record, its values copied. */
export const copyOfRecord = (record: object): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(record).map(([key, item]) => [key, copyOf(item)]))
