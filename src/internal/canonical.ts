/**
 * The canonical text of a plain value. Injective: two values have the same text only if they are equal, whatever the
 * order of their fields, and no separator inside a value can be taken for one of ours.
 */

import * as BigDecimal from "effect/BigDecimal"
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"

/**
 * Thrown for a value that has no stable text: a function, a symbol, an instance of a class that is not known here.
 */
export class UnstableValue extends TypeError {}

/**
 * The canonical text of a value. Throws {@link UnstableValue} where it has none.
 */
export const canonicalUnsafe = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return quote(value)
    case "number":
      return Object.is(value, -0) ? "-0" : String(value)
    case "bigint":
      return `${value}n`
    case "object":
      return value === null ? "null" : canonicalObject(value, { depth: 0, parts: 0 })
    case "boolean":
    case "undefined":
      return String(value)
    default:
      throw new UnstableValue(`a ${typeof value} has no stable encoding`)
  }
}

const maxDepth = 64
const maxParts = 100_000

// How far a walk over a value has come. The bounds end the walk over a value that contains itself.
interface Walk {
  depth: number
  parts: number
}

// What JSON escapes, and surrogates, which only JSON.stringify tells apart from lone ones.
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const needsEscape = /["\\\u0000-\u001f\ud800-\udfff]/

/**
 * A text in quotes, as in JSON.
 */
export const quote = (text: string): string => needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`

const canonicalAt = (value: unknown, walk: Walk): string => {
  if (++walk.parts > maxParts) {
    throw new UnstableValue(`a value of more than ${maxParts} parts has no stable encoding`)
  }
  if (typeof value !== "object" || value === null) return canonicalUnsafe(value)
  if (walk.depth === maxDepth) {
    throw new UnstableValue(`a value nested deeper than ${maxDepth} levels has no stable encoding`)
  }
  walk.depth++
  const text = canonicalObject(value, walk)
  walk.depth--
  return text
}

const canonicalObject = (value: object, walk: Walk): string => {
  if (Array.isArray(value)) return canonicalArray(value, walk)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return canonicalRecord(value, walk)
  if (value instanceof Date) return `Date(${value.getTime()})`
  if (value instanceof URL) return `URL(${quote(value.href)})`
  if (value instanceof RegExp) return `RegExp(${quote(value.source)},${quote(value.flags)})`
  if (value instanceof Uint8Array) return `Bytes(${Array.from(value, hex).join("")})`
  if (value instanceof Map) return `Map(${pairs(value, walk)})`
  if (value instanceof Set) return `Set(${items(value, walk).toSorted().join(",")})`
  return canonicalData(value, walk)
}

// Keys of requests are made here, so loops take the place of iterators and copies.
const canonicalArray = (value: ReadonlyArray<unknown>, walk: Walk): string => {
  let text = "["
  for (let i = 0; i < value.length; i++) text += (i === 0 ? "" : ",") + canonicalAt(value[i], walk)
  return text + "]"
}

// The data types of effect that schemas decode to and do not encode further.
const canonicalData = (value: object, walk: Walk): string => {
  if (Option.isOption(value)) {
    return Option.isSome(value) ? `Some(${canonicalAt(value.value, walk)})` : "None"
  }
  if (DateTime.isDateTime(value)) {
    const zone = DateTime.isZoned(value) ? `,${quote(DateTime.zoneToString(value.zone))}` : ""
    return `DateTime(${DateTime.toEpochMillis(value)}${zone})`
  }
  if (Duration.isDuration(value)) {
    return `Duration(${Duration.isFinite(value) ? Duration.toNanosUnsafe(value) : Duration.toMillis(value)})`
  }
  if (BigDecimal.isBigDecimal(value)) {
    const { scale, value: digits } = BigDecimal.normalize(value)
    return `BigDecimal(${digits},${scale})`
  }
  if (HashMap.isHashMap(value)) return `HashMap(${pairs(HashMap.entries(value), walk)})`
  if (HashSet.isHashSet(value)) return `HashSet(${items(value, walk).toSorted().join(",")})`
  if (Chunk.isChunk(value)) return `Chunk(${items(value, walk).join(",")})`
  throw new UnstableValue(`an instance of ${nameOf(value)} has no stable encoding`)
}

const items = (values: Iterable<unknown>, walk: Walk): ReadonlyArray<string> =>
  Array.from(values, (item) => canonicalAt(item, walk))

const pairs = (entries: Iterable<readonly [unknown, unknown]>, walk: Walk): string =>
  Array.from(entries, ([key, value]) => `${canonicalAt(key, walk)}=>${canonicalAt(value, walk)}`)
    .toSorted().join(",")

const canonicalRecord = (value: object, walk: Walk): string => {
  if (Object.getOwnPropertySymbols(value).length > 0) {
    throw new UnstableValue("a symbol as a key has no stable encoding")
  }
  const fields: Array<string> = []
  for (const key of Object.keys(value)) {
    fields.push(`${quote(key)}:${canonicalAt((value as Readonly<Record<string, unknown>>)[key], walk)}`)
  }
  return fields.length === 1 ? `{${fields[0]!}}` : `{${fields.toSorted().join(",")}}`
}

const hex = (byte: number): string => byte.toString(16).padStart(2, "0")

const nameOf = (value: object): string => {
  const name: unknown = value.constructor?.name
  return typeof name === "string" && name !== "" ? name : "an anonymous class"
}
