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

export const makeInputKey = <F extends Schema.Struct.Fields>(fields: F) => {
  const struct = Schema.Struct(fields)
  // An input from a request may hold one value where the schema wants a list.
  const lenient = Schema.toCodecArrayFromSingle(struct)
  // Data types among the encoded values, an Option for instance, as plain values.
  const toPlain = Schema.encodeUnknownSync(Schema.toCodecIso(Schema.toEncoded(struct)))
  const names = Object.keys(fields).toSorted()
  const labels = names.map((name) => `${quote(name)}:`)
  const plain = names.every((name) => isPlain(fields[name]!.ast))
  const lists = new Set(names.filter((name) => SchemaAST.isArrays(SchemaAST.toEncoded(fields[name]!.ast))))

  // Reads declared fields only; absent and undefined stay apart.
  const textOf = (input: Encoded): string => {
    let out = "{"
    for (let i = 0; i < names.length; i++) {
      const value = input[names[i]!]
      if (value === undefined && !Object.hasOwn(input, names[i]!)) continue
      out += (out === "{" ? "" : ",") + labels[i]! + canonicalUnsafe(value)
    }
    return out + "}"
  }

  return {
    names,
    lists,
    /**
     * The key of a typed input whose fields are all encoded as they are; `undefined` where a schema has to encode. No
     * entry has the key of an input that the schema refuses, so a look into the store needs no check.
     */
    ofPlain: (input: unknown): string | undefined =>
      plain && typeof input === "object" && input !== null
        ? textOfPrimitives(input as Encoded, names, labels)
        : undefined,
    /** The key of an encoded input. Throws `UnstableValue`. */
    ofEncodedUnsafe: (encoded: Encoded): string => textOf(toPlain(encoded)),
    /** The key that a request would have if its values were just as the schema encodes them. Throws `UnstableValue`. */
    ofRequestUnsafe: (values: Encoded): string => textOf(values),
    encode: Schema.encodeUnknownEffect(struct) as (
      input: unknown
    ) => Effect.Effect<Encoded, Schema.SchemaError, Schema.Struct<F>["EncodingServices"]>,
    decode: Schema.decodeUnknownEffect(struct),
    decodeRequest: Schema.decodeUnknownEffect(lenient)
  }
}

// As `textOf`, but `undefined` for anything except a primitive: then nothing that is not a plain value gets a key here.
const textOfPrimitives = (
  input: Encoded,
  names: ReadonlyArray<string>,
  labels: ReadonlyArray<string>
): string | undefined => {
  let out = "{"
  for (let i = 0; i < names.length; i++) {
    const value = input[names[i]!]
    if (value === undefined && !Object.hasOwn(input, names[i]!)) continue
    if (typeof value === "object" ? value !== null : typeof value === "symbol" || typeof value === "function") {
      return undefined
    }
    out += (out === "{" ? "" : ",") + labels[i]! + canonicalUnsafe(value)
  }
  return out + "}"
}

/** Whether a schema encodes each of its values, all primitive, as that value. */
const isPlain = (ast: SchemaAST.AST): boolean => {
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
