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
  let holes = 0
  for (let index = 0; index < items.length; index++) {
    const item = items[index]
    if (item === undefined && !(index in items)) holes++
    else if (!freezeDeep(item)) return false
  }
  // An array may have more than its items and its length.
  return Reflect.ownKeys(items).length === items.length - holes + 1 || freezeFields(items)
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
  if (isObject(json)) freezeObject(json)
  return json
}

// Most of what an object holds are texts and numbers: they are passed over without a call, and names without a list of them.
const freezeObject = (json: object): void => {
  if (Array.isArray(json)) {
    for (let index = 0; index < json.length; index++) {
      const item: unknown = json[index]
      if (isObject(item)) freezeObject(item)
    }
  } else {
    for (const key in json) {
      const field: unknown = (json as Readonly<Record<string, unknown>>)[key]
      // Whoever adds to the prototype of all objects adds to what is seen here.
      if (isObject(field) && Object.hasOwn(json, key)) freezeObject(field)
    }
  }
  Object.freeze(json)
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null
