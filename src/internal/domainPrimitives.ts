/**
 * Schemas whose values can be read off them.
 */
import * as SchemaAST from "effect/SchemaAST"
import { canonicalUnsafe } from "./canonical.ts"

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

/** The values of a union of primitives that takes each for what it is, each once; `undefined` for all other schemas. */
export const primitivesOfUnion = (ast: SchemaAST.AST): ReadonlyArray<unknown> | undefined => {
  const all = SchemaAST.isUnion(ast) ? plainOf(ast) : undefined
  return all && [...new Map(all.map((value) => [canonicalUnsafe(value), value] as const)).values()]
}

const plainOf = (ast: SchemaAST.AST): ReadonlyArray<unknown> | undefined => {
  // Void takes everything, for `undefined`.
  if (ast.encoding !== undefined || ast.checks !== undefined || SchemaAST.isVoid(ast)) return undefined
  if (!SchemaAST.isUnion(ast)) return primitivesOf(ast)
  if (ast.options?.mode === "oneOf" || ast.encodingChecks !== undefined) return undefined
  const members = ast.types.map(plainOf)
  return members.every((values) => values !== undefined) ? members.flat() : undefined
}
