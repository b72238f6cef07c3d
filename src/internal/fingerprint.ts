/**
 * Fingerprints of definitions: what is stored under another one is not used.
 */
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import { digest } from "./digest.ts"

/** A schema as data: its encoded form, and what it decodes to. */
export const described = ({ ast }: Schema.Top) =>
  [ast, SchemaAST.toType(ast)].map((part) => SchemaRepresentation.toRepresentation(part))

/** The fingerprint of schemas and other data. */
export const fingerprintOf = (parts: ReadonlyArray<unknown>): string =>
  digest(JSON.stringify(parts, textOfOpaque)).slice(0, 16)

const textOfOpaque = (_: string, value: unknown): unknown =>
  typeof value === "bigint" || value instanceof RegExp ? String(value) : value
