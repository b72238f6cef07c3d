/**
 * Tags: the names of the data that results depend on.
 *
 * A tag is a text of segments joined by `:`. `user:7` is an ancestor of `user:7:orders`, and invalidating a tag ends
 * every entry that carries it or anything below it.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as CacheError from "./CacheError.ts"
import { tagError } from "./internal/errors.ts"
import { escapeSegment, tagProblem } from "./internal/tagText.ts"

/**
 * A tag, in its text form.
 *
 * **Details**
 *
 * At most 256 bytes and 17 segments; letters, digits, `_ . -` and `%XX` escapes. Every operation that takes a tag
 * checks it, so a tag that was put together by hand can be passed as a plain string.
 *
 * @category models
 * @since 0.1.0
 */
export type Tag = Brand.Branded<string, "effect-cached/Tag">

/**
 * What is accepted where a tag is expected: a {@link Tag}, or a string that is already well-formed.
 *
 * @category models
 * @since 0.1.0
 */
export type Input = Tag | string

/**
 * A value that can stand in a {@link tag} template.
 *
 * @category models
 * @since 0.1.0
 */
export type Segment = string | number | bigint | boolean

/**
 * Makes a tag from a template: the literal parts give the hierarchy, and every interpolated value becomes exactly one
 * segment, escaped.
 *
 * **Details**
 *
 * An interpolated value must be a whole segment, so that two different lists of values can never give the same tag.
 * The template itself never fails: a tag that is not well-formed is refused with a `CacheError` by the operation that
 * receives it.
 *
 * **Example** (Values that contain separators)
 *
 * ```ts import.meta.vitest
 * import { tag } from "effect-cached"
 *
 * tag`user:${7}:orders` // => "user:7:orders"
 * tag`mail:${"a:b@example.org"}` // => "mail:a%3Ab%40example.org"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const tag = (literals: TemplateStringsArray, ...values: ReadonlyArray<Segment>): Tag => {
  let out = literals[0]!
  for (let i = 0; i < values.length; i++) {
    const after = literals[i + 1]!
    const whole = (out === "" || out.endsWith(":")) &&
      (after.startsWith(":") || (after === "" && i === values.length - 1))
    out += whole
      ? escapeSegment(String(values[i]))
      : `{the value of interpolation ${i + 1} is only a part of its segment: put ':' on both sides of it}`
    out += after
  }
  return out as Tag
}

/**
 * A function from typed values to the tags of one family.
 *
 * @category models
 * @since 0.1.0
 */
export interface Family<in out Fields extends Family.Fields> {
  (values: { readonly [K in keyof Fields]: Fields[K]["Type"] }): Tag
  /** The tag above every tag of the family. */
  readonly all: Tag
}

/**
 * @since 0.1.0
 */
export declare namespace Family {
  /**
   * The fields of a family: schemas whose encoded side can stand in a tag.
   *
   * @category models
   * @since 0.1.0
   */
  export type Fields = { readonly [key: string]: Schema.Codec<any, Segment> }
}

/**
 * Makes a typed family of tags: `name`, then one segment for each field in the order in which the fields are written.
 *
 * **Example** (Orders of a user)
 *
 * ```ts import.meta.vitest
 * import { Schema } from "effect"
 * import { Tag } from "effect-cached"
 *
 * const Orders = Tag.family("user", { user: Schema.Number, order: Schema.String })
 *
 * Orders({ user: 7, order: "2026/11" }) // => "user:7:2026%2F11"
 * Orders.all // => "user"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const family = <const Fields extends Family.Fields>(name: string, fields: Fields): Family<Fields> => {
  const encoders = Object.entries(fields).map(([field, schema]) => ({
    field,
    encode: Schema.encodeUnknownResult(schema)
  }))
  const make = (values: Readonly<Record<string, unknown>>) => {
    let out = name
    for (const { encode, field } of encoders) {
      const encoded = encode(values[field])
      out += encoded._tag === "Success"
        ? ":" + escapeSegment(String(encoded.success))
        : `:{the value of field ${JSON.stringify(field)} does not fit its schema: ${oneLine(encoded.failure.message)}}`
    }
    return out as Tag
  }
  return Object.assign(make as Family<Fields>, { all: name as Tag })
}

const oneLine = (text: string): string => text.replace(/[\n{}]+\s*/g, " ")

/**
 * Checks a text that should be a tag. Fails with a `CacheError` of reason `TagError` that says what is wrong with it.
 *
 * **Example** (A doubled separator)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Tag } from "effect-cached"
 *
 * const error = Effect.runSync(Effect.flip(Tag.parse("user::7")))
 *
 * error.message // => "Tag \"user::7\" is malformed: it has an empty segment ('::')"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Effect.Effect<Tag, CacheError.CacheError> => {
  const problem = tagProblem(text)
  return problem === undefined ? Effect.succeed(text as Tag) : Effect.fail(tagError(text, problem))
}
