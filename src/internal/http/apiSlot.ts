/**
 * The declared parts of a request: reading them, decoding and encoding them, writing them.
 */
import * as Effect from "effect/Effect"
import { hasBody } from "effect/http/HttpMethod"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as UrlParams from "effect/http/UrlParams"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { canonicalUnsafe, quote } from "../canonical.ts"
import type { Encoded } from "../inputKey.ts"

type Request = HttpServerRequest.HttpServerRequest

/** The content type of the payload of a request. */
export const typeOf = (request: Request): string =>
  hasBody(request.method as "POST") ? mediaType(request.headers["content-type"] ?? "application/json") : formType

const formType = "application/x-www-form-urlencoded"

const mediaType = (field: string): string => field.split(";", 1)[0]!.trim().toLowerCase()

/** One declared part of a request. */
export interface Slot {
  /** The names that are read of a request; `undefined` for all there are. */
  readonly names: ReadonlyArray<string> | undefined
  readonly pick: (source: Encoded) => Encoded
  /** The canonical text of what was picked. Throws `UnstableValue`. */
  readonly textUnsafe: (values: Encoded) => string
  readonly decode: (values: unknown) => Effect.Effect<unknown, Schema.SchemaError, any>
  readonly encode: (value: unknown) => Effect.Effect<unknown, Schema.SchemaError, any>
}

/**
 * A part with this schema, `undefined` where there is none. `fromRequest` makes the schema that reads it: a request may have one
 * value where the schema wants a list.
 */
export const slotOf = (
  schema: Schema.Top | undefined,
  options: SchemaAST.ParseOptions | undefined,
  fromRequest?: (schema: Schema.Top) => Schema.Top
): Slot | undefined => {
  if (schema === undefined) return undefined
  const encoded = SchemaAST.toEncoded(schema.ast)
  // What a schema does not name it does not see, unless it was told to look.
  const isClosed = SchemaAST.isObjects(encoded) && encoded.indexSignatures.length === 0 &&
    (options?.onExcessProperty ?? "ignore") === "ignore"
  const properties = isClosed ? encoded.propertySignatures : []
  const names = isClosed ? properties.map(({ name }) => String(name)) : undefined
  const lists = new Set(properties.filter(({ type }) => SchemaAST.isArrays(type)).map(({ name }) => String(name)))
  const sorted = names?.toSorted() ?? []
  const labels = sorted.map((name) => `${quote(name)}:`)
  return {
    names,
    textUnsafe: (values) => {
      if (names === undefined) return canonicalUnsafe(values)
      let out = ""
      for (let i = 0; i < sorted.length; i++) {
        if (!Object.hasOwn(values, sorted[i]!)) continue
        out += (out === "" ? "" : ",") + labels[i]! + canonicalUnsafe(values[sorted[i]!])
      }
      return `{${out}}`
    },
    pick: (source) => {
      if (names === undefined) return { ...source }
      const out: Record<string, unknown> = {}
      for (const name of names) {
        if (!Object.hasOwn(source, name)) continue
        const value = source[name]
        if (value !== undefined) out[name] = typeof value === "string" && lists.has(name) ? [value] : value
      }
      return out
    },
    decode: Schema.decodeUnknownEffect(fromRequest === undefined ? schema : fromRequest(schema), options),
    encode: Schema.encodeUnknownEffect(schema, options)
  }
}

/** What the body of a request says; `empty` where it is empty. */
export const bodyOf = (
  request: Request,
  encoding: string,
  empty: null | undefined
): Effect.Effect<unknown, unknown> => {
  switch (encoding) {
    case "Json":
      return Effect.flatMap(
        request.text,
        (text) => Effect.try(() => parsed(text, empty))
      )
    case "FormUrlEncoded":
      return Effect.map(request.urlParamsBody, UrlParams.toRecord)
    case "Uint8Array":
      return Effect.map(request.arrayBuffer, (buffer) => new Uint8Array(buffer))
    default:
      return request.text
  }
}

/** JSON, or `empty` for no text. */
export const parsed = (text: string, empty: null | undefined): unknown => text === "" ? empty : JSON.parse(text)

/** The JSON of a value, no text for `undefined`. */
export const jsonText = (value: unknown): string => JSON.stringify(value) ?? ""

/** The body that says this. */
export const bodyFor = (encoding: string, value: unknown): string | Uint8Array<ArrayBuffer> => {
  switch (encoding) {
    case "Json":
      return jsonText(value)
    case "FormUrlEncoded":
      return formOf(value as Encoded)
    case "Uint8Array":
      return value as Uint8Array<ArrayBuffer>
    default:
      return String(value)
  }
}

const formOf = (fields: Encoded): string =>
  new URLSearchParams(
    Object.entries(fields).flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).filter((item) => item !== undefined).map((item) => [name, String(item)])
    )
  ).toString()

/**
 * The search parameters that say both a query and a payload, for a request without a body; `undefined` where they say different
 * things of one name, so that there are none.
 */
export const searchOf = (query: Encoded = {}, payload: Encoded = {}): Encoded | undefined => {
  const isShared = (name: string) => Object.hasOwn(query, name)
  const fields = Object.entries(payload)
  const differs = fields.some(([name, value]) =>
    isShared(name) && formOf({ [name]: value }) !== formOf({ [name]: query[name] })
  )
  // One value is read as a list where that is wanted, but not the other way round.
  const added = fields.filter(([name, value]) => !isShared(name) || !Array.isArray(value))
  return differs ? undefined : { ...query, ...Object.fromEntries(added) }
}

/** The URL of a path with these parameters. */
export const urlOf = (path: string, params: Encoded = {}, search: Encoded): string => {
  const filled = path.replace(
    /:(\w+)\??/g,
    (part, name: string) => Object.hasOwn(params, name) ? encodeURIComponent(String(params[name]).toWellFormed()) : part
  )
  const query = formOf(search)
  const rooted = filled.startsWith("/") ? filled : `/${filled}`
  return query === "" ? rooted : `${rooted}?${query}`
}
