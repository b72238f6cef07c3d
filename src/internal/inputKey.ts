/**
 * From inputs to keys.
 *
 * Invariant: a computation is given `decode(encoded)`, never what the caller passed, and the key is the canonical text
 * of `encoded`. So a computation can see nothing of its input that the key does not hold.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { canonicalUnsafe, quote } from "./canonical.ts"

/** The encoded side of an input: one property for each field that is present. */
export type Encoded = Readonly<Record<string, unknown>>

/**
 * `prefix` is what every key of the function starts with.
 */
export const makeInputKey = <F extends Schema.Struct.Fields>(prefix: string, fields: F) => {
  const struct = Schema.Struct(fields)
  const declared = Object.keys(fields)
  const names = declared.toSorted()
  const labels = names.map((name) => `${quote(name)}:`)
  const start = `${prefix}{`

  // Reads declared fields only; absent and undefined stay apart.
  const keyOf = (input: Encoded): string => {
    let out = start
    for (let i = 0; i < names.length; i++) {
      if (!Object.hasOwn(input, names[i]!)) continue
      out += (out === start ? "" : ",") + labels[i]! + canonicalUnsafe(input[names[i]!])
    }
    return out + "}"
  }

  return {
    names,
    /** The fields whose encoded side is a list. */
    lists: new Set(names.filter((name) => SchemaAST.isArrays(SchemaAST.toEncoded(fields[name]!.ast)))),
    /**
     * The key of a typed input whose fields are all encoded as they are; `undefined` where a schema has to encode. No
     * entry has the key of an input that the schema refuses, so a look into the store needs no check.
     */
    ofPlain: names.every((name) => isPlain(fields[name]!.ast)) ? makePlain(names, keyOf) : () => undefined,
    /** The declared fields of such an input, in an object of their own: as the schema encodes it, unless it refuses it. */
    copyPlain: (input: Encoded): Encoded => {
      const copy: Record<string, unknown> = {}
      for (const name of declared) if (Object.hasOwn(input, name)) copy[name] = input[name]
      return copy
    },
    /** The key of an encoded input. Throws `UnstableValue`. */
    ofEncodedUnsafe: keyOf,
    /** The key of an encoded input whose fields are all primitive; `undefined` otherwise. */
    ofPrimitives: makePlain(names, keyOf),
    // A schema without fields would let everything through.
    encode: (declared.length === 0 ? () => Effect.succeed({}) : Schema.encodeUnknownEffect(struct)) as (
      input: unknown
    ) => Effect.Effect<Encoded, Schema.SchemaError, Schema.Struct<F>["EncodingServices"]>,
    decode: Schema.decodeUnknownEffect(struct),
    /** As `decode`, for values of a request, which may hold one value where the schema wants a list. */
    decodeRequest: Schema.decodeUnknownEffect(Schema.toCodecArrayFromSingle(struct))
  }
}

const maxMemo = 4096
const longestMemo = 64

const makePlain = (names: ReadonlyArray<string>, keyOf: (input: Encoded) => string) => {
  const plain = (input: unknown): string | undefined =>
    typeof input === "object" && input !== null && hasPrimitives(input as Encoded, names)
      ? keyOf(input as Encoded)
      : undefined
  if (names.length !== 1) return plain
  // Making a key costs more than finding its entry: those of one field are kept for a while. A Map cannot tell -0 from 0.
  const name = names[0]!
  const memo = new Map<unknown, string>()
  return (input: unknown): string | undefined => {
    const value = (input as Encoded | null)?.[name]
    const known = memo.get(value)
    if (known !== undefined) return known
    const key = plain(input)
    if (key === undefined || key.length > longestMemo || value === undefined || value === 0) return key
    if (memo.size >= maxMemo) memo.clear()
    memo.set(value, key)
    return key
  }
}

const hasPrimitives = (input: Encoded, names: ReadonlyArray<string>): boolean => {
  for (let i = 0; i < names.length; i++) {
    const value = input[names[i]!]
    // A schema reads what is inherited, too; `keyOf` does not.
    if (value !== undefined && !Object.hasOwn(input, names[i]!)) return false
    if (typeof value === "object" ? value !== null : typeof value === "function" || typeof value === "symbol") {
      return false
    }
  }
  return true
}

/** Whether a schema encodes each of its values, all primitive, as that value. */
export const isPlain = (ast: SchemaAST.AST): boolean => {
  if (ast.encoding !== undefined) return false
  switch (ast._tag) {
    case "String":
    case "Number":
    case "Boolean":
    case "BigInt":
    case "Literal":
    case "Enum":
    case "Null":
    case "Undefined":
    case "TemplateLiteral":
      return true
    case "Union":
      return ast.types.every(isPlain)
    default:
      return false
  }
}
