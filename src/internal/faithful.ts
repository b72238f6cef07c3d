/**
 * Which schemas keep every value apart in their JSON form.
 */
import type * as SchemaAST from "effect/SchemaAST"

/**
 * Whether decoding the JSON form of a value surely gives an equal value. Not so where members of a union look alike in
 * JSON: `undefined` and `null`, a bigint and a text of digits, `NaN` and "NaN", two structs. Such results are compared
 * before they are stored.
 */
export const isFaithful = (ast: SchemaAST.AST): boolean => check(ast, new Set())

const check = (ast: SchemaAST.AST, seen: Set<SchemaAST.AST>): boolean => {
  if (seen.has(ast)) return true
  seen.add(ast)
  // A transformation may map two values to one.
  if (ast.encoding !== undefined) return false
  switch (ast._tag) {
    case "Any":
    case "Suspend":
      return false
    case "Declaration":
      return ast.typeParameters.every((parameter) => check(parameter, seen))
    case "Arrays":
      return [...ast.elements, ...ast.rest].every((element) => check(element, seen))
    case "Objects":
      return ast.propertySignatures.every(({ type }) => check(type, seen)) &&
        ast.indexSignatures.every(({ type }) => check(type, seen))
    case "Union":
      return ast.types.every((type) => check(type, seen)) && areDistinct(ast.types)
    default:
      return true
  }
}

const areDistinct = (types: ReadonlyArray<SchemaAST.AST>): boolean => {
  const shapes = types.flatMap(jsonShapes)
  return shapes.every((shape, index) =>
    shapes.every((other, otherIndex) =>
      index === otherIndex || (shape !== other && shape.split(" ")[0] !== other && other.split(" ")[0] !== shape)
    )
  )
}

// The kinds of JSON that values can become; a literal is its kind and its text.
const jsonShapes = (ast: SchemaAST.AST): ReadonlyArray<string> => {
  switch (ast._tag) {
    case "Null":
    case "Undefined":
    case "Void":
      return ["null"]
    case "Boolean":
      return ["boolean"]
    case "Number":
      return ["number", "string"]
    case "String":
    case "BigInt":
    case "Symbol":
    case "UniqueSymbol":
    case "TemplateLiteral":
      return ["string"]
    case "Literal":
      return [`${typeof ast.literal === "bigint" ? "string" : typeof ast.literal} ${String(ast.literal)}`]
    case "Enum":
      return ast.enums.map(([, value]) => `${typeof value} ${value}`)
    case "Union":
      return ast.types.flatMap(jsonShapes)
    case "Arrays":
      return ["array"]
    default:
      return ["null", "boolean", "number", "string", "array", "object"]
  }
}
