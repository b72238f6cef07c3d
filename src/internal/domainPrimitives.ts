/**
 * Schemas whose few values can be read off them.
 */
import type * as SchemaAST from "effect/SchemaAST"

/** The values of a schema of few primitives, its encoding aside; `undefined` for all other schemas. */
export const primitivesOf = (ast: SchemaAST.AST): ReadonlyArray<unknown> | undefined => {
  switch (ast._tag) {
    case "Never":
      return []
    case "Null":
      return [null]
    case "Undefined":
    case "Void":
      return [undefined]
    case "Boolean":
      return [false, true]
    case "Literal":
      return [ast.literal]
    case "Enum":
      return [...new Set(ast.enums.map(([, value]) => value))]
    default:
      return undefined
  }
}
