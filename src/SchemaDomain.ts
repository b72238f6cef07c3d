/**
 * The finite values of a schema.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type * as CacheError from "./CacheError.ts"
import { structs, valuesOf, valuesOfKey, withAbsent } from "./internal/domainParts.ts"
import { given, inside, type Place } from "./internal/domainTried.ts"
import { domainError } from "./internal/errors.ts"

/**
 * The finite values of a schema: decoded, all different, lazily, and in the same order whenever one goes through them.
 *
 * **Details**
 *
 * - `size`: how many there are, known beforehand. Exact up to 2^53.
 *
 * @category models
 * @since 0.1.0
 */
export interface SchemaDomain<out A> extends Iterable<A> {
  readonly size: number
}

/**
 * Values for fields.
 *
 * @category models
 * @since 0.1.0
 */
export type Values<F extends Schema.Struct.Fields> = { readonly [K in keyof F]?: ReadonlyArray<F[K]["Type"]> }

/**
 * Whether finitely many values have this type: `false` where the type says that there are infinitely many, `true` where
 * it says otherwise or nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type IsFinite<Encoded> = IsAny<Encoded> extends true ? true
  : unknown extends Encoded ? false
  : false extends Finite<Encoded, []> ? false
  : true

type IsAny<T> = 0 extends 1 & T ? true : false

// One answer for each member. A recursive type is followed a few steps.
type Finite<T, Depth extends ReadonlyArray<0>> = Depth["length"] extends 6 ? true
  : T extends string | number | symbol ? IsPattern<T> extends true ? false : true
  : T extends bigint ? bigint extends T ? false : true
  : T extends (...args: never) => unknown ? false
  : T extends ReadonlyArray<infer Item> ? number extends T["length"] ? false : Finite<Item, [...Depth, 0]>
  : T extends object ? true extends IsPattern<keyof T> ? false : Finite<T[keyof T], [...Depth, 0]>
  : true

// Only of keys that are not single names, `string` or `${number}px`, may all be missing.
type IsPattern<K> = K extends PropertyKey ? {} extends Record<K, 0> ? true : false : never

/**
 * The names of the fields that have infinitely many values, as far as types can tell, and none given.
 *
 * @category models
 * @since 0.1.0
 */
export type InfiniteFields<F extends Schema.Struct.Fields, V = {}> = string extends keyof F ? never
  : {
    readonly [K in keyof F]-?: K extends keyof V ? never
      : F[K] extends AnyLiterals ? never
      : IsFinite<F[K]["Encoded"]> extends true ? never
      : K
  }[keyof F]

// Finite, also where the list is only known at run time. Which literals is all one: `any` takes every list of them.
type AnyLiterals =
  | Schema.Literals<any>
  | Schema.optionalKey<Schema.Literals<any>>
  | Schema.optional<Schema.Literals<any>>

/**
 * Nothing to say about fields that are finite or have values, and a type that no fields have otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export type FiniteFields<F extends Schema.Struct.Fields, V = {}> = [InfiniteFields<F, V>] extends [never] ? unknown
  : {
    readonly [
      K in InfiniteFields<F, V> & string as `the field ${K} has no finite domain: give its values in 'values'`
    ]: never
  }

/**
 * The domain of a schema.
 *
 * **Details**
 *
 * Finite are literals, enums, booleans, `null`, `undefined`, and what is made of finite parts: unions, structs, tuples,
 * optional keys, template literals, records of finite keys. So are brands of these, and transformations and classes that
 * are encoded as one of them. What is enumerated is the encoded side. What the schema refuses is not in the domain, and
 * what it decodes to the same value counts once.
 *
 * Nothing of a struct or a tuple is kept in memory. A part with checks or an encoding, and a union whose members may
 * overlap, is gone through here, once, and its values are kept: at most 100 000. Values of the domain may have parts in
 * common: do not change them.
 *
 * Fails with a `CacheError` of reason `DomainError` that names the field where the schema is not finite.
 *
 * **Example** (A struct of literals)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { SchemaDomain } from "effect-cached"
 *
 * const Filter = Schema.Struct({ kind: Schema.Literals(["city", "river"]), large: Schema.Boolean })
 * const domain = Effect.runSync(SchemaDomain.make(Filter))
 *
 * domain.size // => 4
 * Array.from(domain)[1] // => { kind: "city", large: true }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <S extends Schema.Top>(
  schema: S
): Effect.Effect<
  SchemaDomain<S["Type"]>,
  CacheError.CacheError,
  S["DecodingServices"] | S["EncodingServices"]
> =>
  valuesOf(schema.ast, {
    name: SchemaAST.resolveIdentifier(schema.ast) ?? "schema",
    path: [],
    takesValues: false,
    around: []
  })

/**
 * The domain of the input of a cached function: every combination of the values of its fields.
 *
 * **Details**
 *
 * - `values`: decoded values of a field, in the place of its own domain. An infinite field needs them. The key of an
 *   optional field may be absent all the same.
 * - `order`: the fields in the order in which they vary, the slowest first; the others follow in the order of the
 *   definition. Default: the order of the definition.
 *
 * Does not compile where types can tell that a field is infinite and has no values. Fails with a `CacheError` of reason
 * `DomainError` that names function and field where they cannot, or where a given value does not fit the schema.
 *
 * **Example** (Pages of two lists)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { SchemaDomain } from "effect-cached"
 *
 * const domain = Effect.runSync(SchemaDomain.fields(
 *   "list",
 *   { of: Schema.Literals(["cities", "rivers"]), page: Schema.Int },
 *   { values: { page: [1, 2, 3] }, order: ["page"] }
 * ))
 *
 * const [first, second, third] = domain
 *
 * domain.size // => 6
 * first // => { of: "cities", page: 1 }
 * second // => { of: "rivers", page: 1 }
 * third // => { of: "cities", page: 2 }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fields = <const F extends Schema.Struct.Fields, const V extends Values<F> = {}>(
  name: string,
  fields: F & FiniteFields<F, NoInfer<V>>,
  options?: {
    readonly values?: V | undefined
    readonly order?: ReadonlyArray<keyof F & string> | undefined
  }
): Effect.Effect<
  SchemaDomain<Schema.Struct<F>["Type"]>,
  CacheError.CacheError,
  Schema.Struct<F>["DecodingServices"] | Schema.Struct<F>["EncodingServices"]
> =>
  fieldsOf(name, fields, options?.values ?? {}, options?.order ?? []) as Effect.Effect<
    SchemaDomain<Schema.Struct<F>["Type"]>,
    CacheError.CacheError,
    Schema.Struct<F>["DecodingServices"] | Schema.Struct<F>["EncodingServices"]
  >

const fieldsOf = Effect.fnUntraced(function*(
  name: string,
  fields: Schema.Struct.Fields,
  values: Readonly<Record<string, ReadonlyArray<unknown> | undefined>>,
  order: ReadonlyArray<string>
) {
  const unknown = [...Object.keys(values), ...order].find((field) => !Object.hasOwn(fields, field))
  if (unknown !== undefined) return yield* domainError(name, unknown, "the input has no such field")
  const root: Place = { name, path: [], takesValues: true, around: [] }
  const domains = yield* Effect.forEach(
    Object.entries(fields),
    Effect.fnUntraced(function*([field, { ast }]) {
      const place = inside(root, field)
      const own = Object.hasOwn(values, field) ? values[field] : undefined
      if (own === undefined) return [field, yield* valuesOfKey(ast, place)] as const
      return [field, withAbsent(ast, yield* given(ast, own, place))] as const
    })
  )
  return structs(domains, order)
})
