/**
 * Unions whose members have no value in common.
 */
import * as SchemaAST from "effect/SchemaAST"
import { primitivesOf } from "./domainPrimitives.ts"

/**
 * Whether it can be seen that no two members accept the same value, so that each value of the union is one of exactly
 * one member. `false` where it cannot be seen, and where there are primitives only, which are as quickly tried.
 */
export const areDisjoint = (members: ReadonlyArray<SchemaAST.AST>): boolean =>
  members.some(isComposite) &&
  members.every((one, index) => members.slice(index + 1).every((other) => differ(one, other)))

const isComposite = (ast: SchemaAST.AST): boolean =>
  SchemaAST.isUnion(ast) ? ast.types.some(isComposite) : SchemaAST.isObjects(ast) || SchemaAST.isArrays(ast)

const differ = (one: SchemaAST.AST, other: SchemaAST.AST): boolean => {
  if (one.encoding !== undefined || other.encoding !== undefined) return false
  if (SchemaAST.isUnion(one)) return one.types.every((member) => differ(member, other))
  if (SchemaAST.isUnion(other)) return differ(other, one)
  const kind = kindOf(one)
  const otherKind = kindOf(other)
  if (kind === undefined || otherKind === undefined) return false
  if (kind !== otherKind) return true
  if (kind === "primitive") return haveNoneInCommon(primitivesOf(one)!, primitivesOf(other)!)
  const others = requiredPartsOf(other)
  return Array.from(requiredPartsOf(one)).some(([name, part]) => {
    const otherPart = others.get(name)
    return otherPart !== undefined && differ(part, otherPart)
  })
}

/** What all values of a schema without encoding are; `undefined` where it is not known. */
const kindOf = (ast: SchemaAST.AST): "object" | "array" | "primitive" | undefined => {
  switch (ast._tag) {
    case "Arrays":
      return "array"
    case "Objects":
      // Without any property it accepts primitives and arrays, too.
      return ast.propertySignatures.length === 0 ? undefined : "object"
    case "Void":
      // Accepts everything.
      return undefined
    default:
      return primitivesOf(ast) === undefined ? undefined : "primitive"
  }
}

const haveNoneInCommon = (one: ReadonlyArray<unknown>, other: ReadonlyArray<unknown>): boolean => {
  const all = new Set(other)
  return !one.some((value) => all.has(value))
}

const requiredPartsOf = (ast: SchemaAST.AST): ReadonlyMap<PropertyKey, SchemaAST.AST> => {
  const parts = SchemaAST.isObjects(ast)
    ? ast.propertySignatures.map(({ name, type }) => [name, type] as const)
    : SchemaAST.isArrays(ast)
    ? ast.elements.map((element, index) => [index, element] as const)
    : []
  return new Map(parts.filter(([, part]) => !SchemaAST.isOptional(part)))
}
