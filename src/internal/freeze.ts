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
  if (typeof value === "function") return false
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return isShareable(value)
  if (!isFreezable(value)) return false
  Object.freeze(value)
  return Reflect.ownKeys(value).every((key) => freezeDeep(Reflect.get(value, key)))
}

// A frozen object may hold things that are not.
const isShareable = (value: unknown): boolean =>
  typeof value !== "object" || value === null ||
  (isFreezable(value) && Reflect.ownKeys(value).every((key) => freezeDeep(Reflect.get(value, key))))

const isFreezable = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || Array.isArray(value) || Option.isOption(value) ||
    Schema.isSchema(value.constructor)
}
