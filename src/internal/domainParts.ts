/**
 * From schemas to their finite values.
 *
 * What is enumerated is the encoded side. A schema that has one side only and refuses nothing is a product or a list of
 * its parts, and keeps nothing; any other is tried.
 */
import * as Effect from "effect/Effect"
import * as SchemaAST from "effect/SchemaAST"
import type * as CacheError from "../CacheError.ts"
import { primitivesOf, primitivesOfUnion } from "./domainPrimitives.ts"
import { absent, inside, type Place, placeError, tried } from "./domainTried.ts"
import { areDisjoint } from "./domainUnion.ts"
import { concat, list, map, product, type Values } from "./domainValues.ts"

// The services are those of the schema; who knows its type names them.
type Domain = Effect.Effect<Values<unknown>, CacheError.CacheError, unknown>

/** The decoded values of a schema. */
export const valuesOf = (ast: SchemaAST.AST, place: Place): Domain => valuesWith(ast, place, (_, values) => values)

/** The decoded values of a schema that belongs to a key, {@link absent} first where the key may be absent. */
export const valuesOfKey = (ast: SchemaAST.AST, place: Place): Domain => valuesWith(ast, place, withAbsent)

const valuesWith = (ast: SchemaAST.AST, place: Place, complete: typeof withAbsent): Domain => {
  if (!mustBeTried(ast)) return Effect.map(untried(ast, place), (values) => complete(ast, values))
  const encoded = SchemaAST.toEncoded(ast)
  return Effect.flatMap(untried(encoded, place), (values) => tried(ast, complete(encoded, values), place))
}

/** The values of a schema for a key, and {@link absent} where the key is optional. */
export const withAbsent = (ast: SchemaAST.AST, values: Values<unknown>): Values<unknown> =>
  SchemaAST.isOptional(ast) ? concat([list<unknown>([absent]), values]) : values

/** Whether a schema, parts aside, may refuse or change a value, or meet the same one twice. */
const mustBeTried = (ast: SchemaAST.AST): boolean => {
  if (ast.encoding !== undefined || ast.checks !== undefined) return true
  switch (ast._tag) {
    case "TemplateLiteral":
      return true
    case "Union":
      return ast.encodingChecks !== undefined || !(primitivesOfUnion(ast) !== undefined || areDisjoint(ast.types))
    case "Objects":
      return ast.encodingChecks !== undefined
    case "Arrays":
      return ast.encodingChecks !== undefined || ast.elements.some(changesLength)
    default:
      return false
  }
}

// An element that is there on one side only.
const changesLength = (element: SchemaAST.AST): boolean =>
  element.encoding !== undefined &&
  (SchemaAST.isOptional(element) || SchemaAST.isOptional(SchemaAST.toEncoded(element)))

/** As {@link valuesOf}, with parts that are tried where they have to be, but not the whole. */
const untried = (ast: SchemaAST.AST, place: Place): Domain => {
  switch (ast._tag) {
    case "TemplateLiteral":
      return Effect.map(
        Effect.forEach(ast.parts, (part) => valuesOf(part, place)),
        (parts) => map(product(parts), (values) => values.join(""))
      )
    case "Union": {
      const primitives = primitivesOfUnion(ast)
      return primitives === undefined
        ? Effect.map(Effect.forEach(ast.types, (member) => valuesOf(member, place)), concat)
        : Effect.succeed(list(primitives))
    }
    case "Arrays":
      return ast.rest.length > 0 ? notFinite("Array", place) : tuples(ast.elements, place)
    case "Objects":
      return ast.indexSignatures.length > 0 ? notFinite("Record", place) : objects(ast.propertySignatures, place)
    case "Suspend":
      return suspended(ast.thunk(), place)
    default: {
      const primitives = primitivesOf(ast)
      return primitives === undefined ? notFinite(nameOf(ast), place) : Effect.succeed(list(primitives))
    }
  }
}

const notFinite = (kind: string, place: Place) => Effect.fail(placeError(place, `${kind} has no finite domain`))

const nameOf = (ast: SchemaAST.AST): string =>
  SchemaAST.resolveIdentifier(ast) ??
    (SchemaAST.isDeclaration(ast) ? SchemaAST.resolveAt<string>("expected")(ast) : undefined) ??
    ast._tag

const tuples = (elements: ReadonlyArray<SchemaAST.AST>, place: Place): Domain => {
  const required = elements.filter((element) => !SchemaAST.isOptional(element)).length
  return Effect.map(
    Effect.forEach(elements, (element, index) => valuesOf(element, inside(place, String(index)))),
    (parts) =>
      concat(
        Array.from({ length: elements.length - required + 1 }, (_, more) => product(parts.slice(0, required + more)))
      )
  )
}

const objects = (properties: ReadonlyArray<SchemaAST.PropertySignature>, place: Place): Domain =>
  Effect.map(
    Effect.forEach(properties, ({ name, type }) =>
      typeof name === "symbol"
        ? Effect.fail(placeError(place, "a symbol as a key has no stable encoding"))
        : Effect.map(valuesOfKey(type, inside(place, String(name))), (values) => [String(name), values] as const)),
    (fields) => structs(fields)
  )

/** The objects with these fields. The fields of `order` vary slowest, in this order, then the others in theirs. */
export const structs = (
  fields: ReadonlyArray<readonly [name: string, values: Values<unknown>]>,
  order: ReadonlyArray<string> = []
): Values<object> => {
  const domains = new Map(fields)
  const varying = [...new Set([...order, ...domains.keys()])]
  const positions = fields.map(([name]) => [name, varying.indexOf(name)] as const)
  return map(
    product(varying.map((name) => domains.get(name)!)),
    (values) =>
      // Makes a property of every name, `__proto__` too.
      Object.fromEntries(
        positions.map(([name, position]) => [name, values[position]] as const).filter(([, value]) => value !== absent)
      )
  )
}

const suspended = (ast: SchemaAST.AST, place: Place): Domain =>
  place.around.includes(ast) || place.around.length === maxDepth
    ? notFinite("a recursive schema", place)
    : valuesOf(ast, { ...place, around: [...place.around, ast] })

// A schema may make its parts anew each time; no value that is nested deeper has a key.
const maxDepth = 64
