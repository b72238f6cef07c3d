/**
 * The JSON form of the values of a schema: what is stored, and whether that is read as the value that it was made of.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Schema from "effect/Schema"
import * as CacheEntry from "../CacheEntry.ts"
import { successOf } from "./eager.ts"
import { lossOf } from "./faithful.ts"
import { frozenJson } from "./freeze.ts"
import { isPlainJson, isPlainText } from "./plainJson.ts"

export type JsonForm = ReturnType<typeof makeJsonForm>

export const makeJsonForm = (schema: Schema.Top) => {
  const codec = Schema.toCodecJson(schema)
  const encode = Schema.encodeUnknownEffect(codec)
  const decode = Schema.decodeUnknownEffect(codec)
  const readType = Schema.decodeUnknownEffect(Schema.toType(schema))
  const loss = lossOf(schema.ast)

  const isPlain = loss === "none" && isPlainJson(schema.ast)
  const encodePlain = Schema.encodeUnknownEffect(schema)

  // A plain value is its own JSON form, unless it holds a number that has none and is a text there. So it is written as its own
  // schema encodes it, which has no other forms of each number to try, and what that refuses is refused by the codec, in its words.
  const writePlain = (value: unknown): Effect.Effect<string> | undefined => {
    const encoded = successOf(encodePlain(value))
    if (encoded === undefined) return undefined
    // There is none for what has no JSON form.
    const text: string | undefined = JSON.stringify(encoded.value)
    if (text === undefined) return undefined
    return !text.includes("null") || isFiniteJson(encoded.value) ? Effect.succeed(text) : undefined
  }

  return {
    /** The JSON text of a value. */
    write: (value: unknown): Effect.Effect<string, Schema.SchemaError, unknown> =>
      (isPlain ? writePlain(value) : undefined) ?? Effect.mapEager(encode(value), (json) => JSON.stringify(json)),
    decode,
    /** The value of an entry that is as this schema has written it, where that is what `JSON.parse` makes of it: frozen. */
    parse: (entry: CacheEntry.CacheEntry): { readonly value: unknown } | undefined => {
      if (!isPlain || !entry.intact || entry.failed) return undefined
      try {
        const text = CacheEntry.text(entry)
        return isPlainText(text) ? { value: frozenJson(JSON.parse(text)) } : undefined
      } catch {
        // `decode` says what is wrong with it.
        return undefined
      }
    },
    /**
     * Whether a value comes back from its text. What a schema does not know of a value is not a part of it, unless a union may
     * take one member for another.
     */
    comesBack: loss === "none" ? () => surely : Effect.fnUntraced(function*(value: unknown, text: string) {
      const expected = loss === "mistaken" ? value : yield* Effect.catch(readType(value), () => Effect.succeed(value))
      return Equal.equals(yield* decode(JSON.parse(text)), expected)
    })
  }
}

const surely = Effect.succeed(true)

// `JSON.stringify` writes a number that is not finite as null.
const isFiniteJson = (json: unknown): boolean =>
  typeof json === "number"
    ? Number.isFinite(json)
    : typeof json !== "object" || json === null || Object.values(json).every(isFiniteJson)
