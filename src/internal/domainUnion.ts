/**
 * Unions whose members have no value in common.
 */
import * as SchemaAST from "effect/SchemaAST"
import { primitivesOf, primitivesOfUnion } from "./domainPrimitives.ts"

/**
 * Whether it can be seen that no two members accept the same value, so that each value of the union is one of exactly
 * one member.
 */
export const areDisjoint = (members: ReadonlyArray<SchemaAST.AST>): boolean =>
  areToldApart(members) ||
  members.every((one, index) => members.slice(index + 1).every((other) => differ(one, other)))

// What can be seen without comparing each with each: all of a kind have one part that is different in each of them.
const areToldApart = (members: ReadonlyArray<SchemaAST.AST>): boolean => {
  const kinds = Map.groupBy(members.flatMap(membersOf), (ast) => ast.encoding === undefined ? kindOf(ast) : undefined)
  return !kinds.has(undefined) &&
    haveNoneInCommon(kinds.get("primitive") ?? []) &&
    [kinds.get("object"), kinds.get("array")].every((ofKind) => ofKind === undefined || haveTag(ofKind))
}

const membersOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> =>
  SchemaAST.isUnion(ast) && ast.encoding === undefined ? ast.types.flatMap(membersOf) : [ast]

const haveTag = (composites: ReadonlyArray<SchemaAST.AST>): boolean => {
  const parts = composites.map(requiredPartsOf)
  return Array.from(parts[0]!.keys()).some((name) => {
    const tags = parts.map((own) => own.get(name))
    return tags.every((tag) => tag !== undefined) && haveNoneInCommon(tags)
  })
}

const differ = (one: SchemaAST.AST, other: SchemaAST.AST): boolean => {
  if (one.encoding !== undefined || other.encoding !== undefined) return false
  if (SchemaAST.isUnion(one)) return one.types.every((member) => differ(member, other))
  if (SchemaAST.isUnion(other)) return differ(other, one)
  const kind = kindOf(one)
  const otherKind = kindOf(other)
  if (kind === undefined || otherKind === undefined) return false
  if (kind !== otherKind) return true
  if (kind === "primitive") return haveNoneInCommon([one, other])
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

const haveNoneInCommon = (primitives: ReadonlyArray<SchemaAST.AST>): boolean => {
  const values = primitives.map((ast) =>
    ast.encoding === undefined && kindOf(ast) === "primitive" ? primitivesOf(ast) : primitivesOfUnion(ast)
  )
  if (values.some((own) => own === undefined)) return false
  const all = values.flat()
  return new Set(all).size === all.length
}

const requiredPartsOf = (ast: SchemaAST.AST): ReadonlyMap<PropertyKey, SchemaAST.AST> => {
  const parts = SchemaAST.isObjects(ast)
    ? ast.propertySignatures.map(({ name, type }) => [name, type] as const)
    : SchemaAST.isArrays(ast)
    ? ast.elements.map((element, index) => [index, element] as const)
    : []
  return new Map(parts.filter(([, part]) => !SchemaAST.isOptional(part)))
}
