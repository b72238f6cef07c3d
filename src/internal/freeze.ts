/**
 * Makes values safe to share.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * Freezes a value and all that it holds. Returns whether nothing of it can be changed any more: not so with a `Date`, a
 * `Map`, bytes or an instance of an unknown class, which have to be made anew for each reader.
 */
export const freezeDeep = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return typeof value !== "function"
  if (!isFreezable(value)) return false
  Object.freeze(value)
  return Array.isArray(value) ? freezeItems(value) : freezeFields(value)
}

// Loops without closures: this is done to every value of every result that is computed or read from a store.
const freezeItems = (items: ReadonlyArray<unknown>): boolean => {
  for (let index = 0; index < items.length; index++) if (!freezeDeep(items[index])) return false
  // An array may have more than its items and its length.
  return Reflect.ownKeys(items).length === items.length + 1 || freezeFields(items)
}

const freezeFields = (value: object): boolean => {
  for (const key of Reflect.ownKeys(value)) {
    if (!freezeDeep((value as Readonly<Record<PropertyKey, unknown>>)[key])) return false
  }
  return true
}

const isFreezable = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || Array.isArray(value) || Option.isOption(value) ||
    Schema.isSchema(value.constructor)
}

/** Freezes what `JSON.parse` has made, which has nothing but plain objects and lists: cheaper than to look for what else a value may hold. */
export const frozenJson = (json: unknown): unknown => {
  if (typeof json !== "object" || json === null) return json
  if (Array.isArray(json)) { for (let index = 0; index < json.length; index++) frozenJson(json[index]) }
  else for (const key of Object.keys(json)) frozenJson((json as Readonly<Record<string, unknown>>)[key])
  return Object.freeze(json)
}
