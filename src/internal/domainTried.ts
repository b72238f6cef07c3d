/**
 * Parts of a domain that are kept as lists: values that a schema has to be asked about, one by one.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type * as CacheError from "../CacheError.ts"
import { canonicalUnsafe } from "./canonical.ts"
import { list, type Values } from "./domainValues.ts"
import { describe, domainError } from "./errors.ts"

/** Stands for the value of a key that is not there. */
export const absent: unique symbol = Symbol("absent")

/** Where in a domain a part is. */
export interface Place {
  /** The name of the function. */
  readonly name: string
  /** The field, and the fields inside it. */
  readonly path: ReadonlyArray<string>
  /** Whether values can be given for fields. */
  readonly takesValues: boolean
  /** The suspended schemas that it is inside of. */
  readonly around: ReadonlyArray<SchemaAST.AST>
}

/** A field or an element of what is at a place. */
export const inside = (place: Place, name: string): Place => ({ ...place, path: [...place.path, name] })

/** The error of a part that cannot be enumerated, which says what to do where something can be done. */
export const placeError = (place: Place, problem: string): CacheError.CacheError => {
  const advice = place.takesValues
    ? `: give its values with Precompute.over(…, { values: { ${place.path[0]}: […] } })`
    : ""
  return domainError(place.name, fieldOf(place), problem + advice)
}

const fieldOf = ({ path }: Place): string | undefined => path.length === 0 ? undefined : path.join(".")

/** The most values of a part that are tried, and kept. */
export const maxTried = 100_000

/**
 * What a schema makes of encoded values, without those that it refuses. Of those that it encodes alike one is kept.
 */
export const tried = Effect.fnUntraced(function*(ast: SchemaAST.AST, encoded: Values<unknown>, place: Place) {
  if (encoded.size > maxTried) {
    return yield* placeError(
      place,
      `its schema has to be asked about each of its values, and has more than ${maxTried} of them`
    )
  }
  const isOfKey = SchemaAST.isOptional(ast) || SchemaAST.isOptional(SchemaAST.toEncoded(ast))
  const { schema, unwrap, wrap } = isOfKey ? keyed(ast) : bare(ast)
  const decode = Schema.decodeUnknownEffect(schema)
  const encode = Schema.encodeUnknownEffect(schema)
  const kept = new Map<string, unknown>()
  for (const value of encoded) {
    const problem = (text: string) => domainError(place.name, fieldOf(place), `${textOf(value)} ${text}`)
    const decoded = yield* Effect.option(decode(wrap(value))).pipe(
      Effect.catchDefect((defect) => Effect.fail(problem(`makes its schema throw: ${describe(defect)}`)))
    )
    if (Option.isNone(decoded)) continue
    const back = yield* Effect.catchDefect(encode(decoded.value), Effect.fail).pipe(
      Effect.mapError((cause) => problem(`is decoded to a value that cannot be encoded: ${describe(cause)}`))
    )
    const key = yield* keyOf(back, place)
    kept.set(key, unwrap(decoded.value))
  }
  return list([...kept.values()])
})

/** Decoded values that were given: each has to fit the schema, and of those that it encodes alike one is kept. */
export const given = Effect.fnUntraced(function*(ast: SchemaAST.AST, values: ReadonlyArray<unknown>, place: Place) {
  // Outside a struct, so that the message names no key that is not theirs.
  const encode = Schema.encodeUnknownEffect(Schema.make<Schema.Top>(ast))
  const kept = new Map<string, unknown>()
  for (const [index, value] of values.entries()) {
    const encoded = yield* Effect.catchDefect(encode(value), Effect.fail).pipe(
      Effect.mapError((cause) =>
        domainError(place.name, fieldOf(place), `values[${index}] does not fit its schema: ${describe(cause)}`)
      )
    )
    const key = yield* keyOf(encoded, place)
    kept.set(key, value)
  }
  return list([...kept.values()])
})

interface Asked {
  readonly schema: Schema.Top
  readonly wrap: (value: unknown) => unknown
  readonly unwrap: (decoded: unknown) => unknown
}

const bare = (ast: SchemaAST.AST): Asked => ({ schema: Schema.make(ast), wrap: identity, unwrap: identity })

// Only in a struct is a schema asked about a key that is not there. Elsewhere its messages would name our key.
const keyed = (ast: SchemaAST.AST): Asked => ({
  schema: Schema.Struct({ value: Schema.make<Schema.Top>(ast) }),
  wrap: (value) => value === absent ? {} : { value },
  unwrap: (struct) => Predicate.hasProperty(struct, "value") ? struct.value : absent
})

const keyOf = (encoded: unknown, place: Place) =>
  Effect.try({
    try: () => canonicalUnsafe(encoded),
    catch: (cause) => domainError(place.name, fieldOf(place), describe(cause))
  })

const textOf = (value: unknown): string => {
  if (value === absent) return "a key that is not there"
  try {
    return canonicalUnsafe(value)
  } catch {
    return "a value"
  }
}
