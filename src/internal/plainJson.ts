/**
 * Schemas whose values are what `JSON.parse` makes of their JSON form.
 *
 * Invariant: a body is only read without its schema where that schema has written it: `CacheEntry.intact`, and the fingerprint, which
 * has all of these schemas as data.
 */
import type * as SchemaAST from "effect/SchemaAST"

/** Whether every value of a schema, once encoded to JSON and parsed, is itself; apart from what `isPlainText` refuses. */
export const isPlainJson = (ast: SchemaAST.AST): boolean => check(ast, new Set())

const check = (ast: SchemaAST.AST, seen: Set<SchemaAST.AST>): boolean => {
  if (seen.has(ast)) return true
  seen.add(ast)
  if (ast.encoding !== undefined || ast.checks?.every(isDescribed) === false) return false
  if ("encodingChecks" in ast && ast.encodingChecks !== undefined) return false
  const areAll = (parts: ReadonlyArray<SchemaAST.AST>) => parts.every((part) => check(part, seen))
  switch (ast._tag) {
    case "Null":
    case "String":
    case "Boolean":
    case "Number":
    case "TemplateLiteral":
    case "Enum":
      return true
    case "Literal":
      return typeof ast.literal !== "bigint"
    case "Arrays":
      return areAll(ast.elements) && areAll(ast.rest)
    case "Objects":
      return areAll(ast.propertySignatures.map(({ type }) => type)) &&
        areAll(ast.indexSignatures.flatMap(({ parameter, type }) => [parameter, type]))
    case "Union":
      return areAll(ast.types)
    case "Suspend":
      return check(ast.thunk(), seen)
    default:
      return false
  }
}

// What a check of somebody's own asks for is not in the fingerprint: another version of it may refuse what is stored.
const isDescribed = (check: SchemaAST.Check<any>): boolean =>
  check._tag === "FilterGroup"
    ? check.checks.every(isDescribed)
    : check.annotations?.representation?.id.startsWith("effect/schema/") === true

/**
 * Whether a JSON text may be taken for what it says. Not so with numbers that have no JSON form, which are texts there, and with a key that objects
 * take for their prototype.
 */
export const isPlainText = (json: string): boolean =>
  !json.includes("Infinity\"") && !json.includes("NaN\"") && !json.includes("__proto__")
