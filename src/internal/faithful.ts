/**
 * Which schemas keep every value apart in their JSON form.
 */
import type * as SchemaAST from "effect/SchemaAST"

/**
 * What may happen to a value on its way to JSON and back.
 *
 * - `none`: it surely comes back as an equal value.
 * - `transformed`: a transformation may map two values to one.
 * - `mistaken`: members of a union look alike in JSON, `undefined` and `null`, a bigint and a text of digits, `NaN` and
 *   "NaN", two structs, so that one may come back as the other.
 *
 * Results that may change are compared before they are stored.
 */
export type Loss = "none" | "transformed" | "mistaken"

/** The worst that may happen to a value of a schema. */
export const lossOf = (ast: SchemaAST.AST): Loss => check(ast, new Set())

const check = (ast: SchemaAST.AST, seen: Set<SchemaAST.AST>): Loss => {
  if (seen.has(ast)) return "none"
  seen.add(ast)
  const parts = new Set(partsOf(ast).map((part) => check(part, seen)))
  if (parts.has("mistaken") || (ast._tag === "Union" && !areDistinct(ast.types))) return "mistaken"
  const opaque = ast.encoding !== undefined || ast._tag === "Any"
  return opaque || parts.has("transformed") ? "transformed" : "none"
}

const partsOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => {
  switch (ast._tag) {
    case "Declaration":
      return ast.typeParameters
    case "Arrays":
      return [...ast.elements, ...ast.rest]
    case "Objects":
      return [...ast.propertySignatures, ...ast.indexSignatures].map(({ type }) => type)
    case "Union":
      return ast.types
    case "Suspend":
      return [ast.thunk()]
    default:
      return []
  }
}

/** A kind of JSON, as far as it is known: which literal, and which literals in the fields of an object. */
interface Shape {
  readonly kind: string
  readonly literal?: string
  readonly fields?: ReadonlyMap<PropertyKey, string>
}

const areDistinct = (types: ReadonlyArray<SchemaAST.AST>): boolean => {
  const shapes = types.map(shapesOf)
  return shapes.every((mine, index) =>
    shapes.slice(index + 1).every((others) => mine.every((shape) => others.every((other) => differ(shape, other))))
  )
}

const differ = (one: Shape, other: Shape): boolean => {
  if (one.kind !== other.kind) return true
  if (one.literal !== undefined && other.literal !== undefined && one.literal !== other.literal) return true
  return Array.from(one.fields ?? []).some(([name, literal]) => {
    const others = other.fields?.get(name)
    return others !== undefined && others !== literal
  })
}

const shapesOf = (ast: SchemaAST.AST): ReadonlyArray<Shape> => {
  if (ast.encoding !== undefined) return anything
  switch (ast._tag) {
    case "Null":
    case "Undefined":
    case "Void":
      return [{ kind: "null" }]
    case "Boolean":
      return [{ kind: "boolean" }]
    case "Number":
      return [{ kind: "number" }, { kind: "string" }]
    case "String":
    case "BigInt":
    case "Symbol":
    case "UniqueSymbol":
    case "TemplateLiteral":
      return [{ kind: "string" }]
    case "Literal":
      return [literalShape(ast.literal)]
    case "Enum":
      return ast.enums.map(([, value]) => literalShape(value))
    case "Union":
      return ast.types.flatMap(shapesOf)
    case "Arrays":
      return [{ kind: "array" }]
    case "Objects":
      return [{
        kind: "object",
        fields: new Map(
          ast.propertySignatures.flatMap(({ name, type }) =>
            type._tag === "Literal" && type.context?.isOptional !== true ? [[name, String(type.literal)] as const] : []
          )
        )
      }]
    default:
      return anything
  }
}

const literalShape = (literal: SchemaAST.LiteralValue): Shape => ({
  kind: typeof literal === "bigint" ? "string" : typeof literal,
  literal: String(literal)
})

const anything: ReadonlyArray<Shape> = ["null", "boolean", "number", "string", "array", "object"].map((kind) => ({
  kind
}))
