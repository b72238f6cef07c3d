/**
 * Keys that hold the value of `varyBy`.
 */
import * as Effect from "effect/Effect"
import type * as CacheError from "../CacheError.ts"
import { canonicalUnsafe } from "./canonical.ts"
import { inputError } from "./errors.ts"

/** A key, and the value of `varyBy` where there is one. Throws `UnstableValue`. */
export const withVariedUnsafe = (key: string, varied: unknown): string =>
  varied === undefined ? key : `${key}\t${canonicalUnsafe(varied)}`

/** As {@link withVariedUnsafe}. Fails with a `CacheError` of reason `InputError`. */
export const withVaried = (key: string, varied: unknown): Effect.Effect<string, CacheError.CacheError> =>
  Effect.try({
    try: () => withVariedUnsafe(key, varied),
    catch: (cause) => inputError(`${key.slice(0, key.indexOf("\t"))}, varyBy`, cause)
  })
