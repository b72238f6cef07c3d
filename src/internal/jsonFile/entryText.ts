/**
 * One entry as people read and write it.
 */
import * as DateTime from "effect/DateTime"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type * as CacheEntry from "../../CacheEntry.ts"
import { functionTag, keyTag, tagProblem } from "../tagText.ts"
import { checksum } from "./checksum.ts"
import { prettyJson, prettyText } from "./prettyJson.ts"
import { fromReadable, toReadable } from "./readableKey.ts"

/** What the file has of an entry. Positions belong to the log of one process. */
export type Kept = Omit<CacheEntry.Stored, "position">

/** An entry that was read. `edited` tells that a person has written or changed it. */
export interface Loaded extends Kept {
  readonly edited: boolean
}

/** Where an entry stands in the file: under the name of its function, by its readable key. */
export interface Place {
  readonly name: string
  readonly key: string
}

// No readable key is empty: that is the place of a key without a tab, which no function has.
export const placeOf = (key: string): Place => {
  const tab = key.indexOf("\t")
  return tab === -1 ? { name: key, key: "" } : { name: key.slice(0, tab), key: toReadable(key.slice(tab + 1)) }
}

const keyOf = ({ key, name }: Place): string => key === "" ? name : `${name}\t${fromReadable(key)}`

const indent = 8

/** The lines of an entry between its braces. */
export const renderEntry = (entry: Kept): string => {
  const { own, tags } = withoutOwn(entry)
  const lines = bodyLines(entry)
  if (entry.head !== undefined) lines.push(line("head", prettyJson(entry.head, indent)))
  lines.push(line("tags", prettyJson(tags, indent)))
  if (!own) lines.push(line("implicit", "false"))
  lines.push(line("createdAt", timeText(entry.createdAt)))
  if (entry.expiresAt !== Infinity) lines.push(line("expiresAt", timeText(entry.expiresAt)))
  lines.push(line("fingerprint", JSON.stringify(entry.fingerprint)), line("seal", `"${sealOf(entry)}"`))
  return lines.join(",\n")
}

const line = (name: string, value: string): string => `${" ".repeat(indent)}"${name}": ${value}`

const bodyLines = ({ body, head }: Kept): Array<string> => {
  const text = textOf(body)
  if (text === undefined) return [line("base64", `"${Base64.encode(body)}"`)]
  if (head !== undefined || !isCompact(text)) return [line("text", JSON.stringify(text))]
  return [line("value", prettyText(text, indent, `"value": `.length + indent))]
}

// The text of a body, `undefined` where it is none.
const textOf = (body: string | Uint8Array): string | undefined => {
  if (typeof body === "string") return body
  try {
    return decoder.decode(body)
  } catch {
    return undefined
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

// Whether a text comes back from the value that it stands for. Text can be nested too deep to be made from its value.
const isCompact = (text: string): boolean => {
  try {
    return JSON.stringify(JSON.parse(text)) === text
  } catch {
    return false
  }
}

// The two tags that every entry of a function has are not written: the place of the entry says them.
const withoutOwn = ({ key, tags }: Kept): { readonly own: boolean; readonly tags: ReadonlyArray<string> } => {
  const own = ownTags(key)
  return own.every((tag) => tags.includes(tag))
    ? { own: true, tags: tags.filter((tag) => !own.includes(tag)) }
    : { own: false, tags }
}

const ownTags = (key: string): ReadonlyArray<string> => {
  const tab = key.indexOf("\t")
  if (tab === -1) return []
  const tag = functionTag(key.slice(0, tab))
  return [tag, keyTag(tag, key.slice(tab + 1))]
}

// The times that ISO text can say.
const maxTime = 8.64e15

const timeText = (millis: number): string =>
  Number.isInteger(millis) && Math.abs(millis) <= maxTime
    ? `"${DateTime.formatIso(DateTime.makeUnsafe(millis))}"`
    : JSON.stringify(millis)

/**
 * Changes with everything that is served or that decides for how long. Made from the content, not from how it is written.
 * The first four digits are of the key alone.
 */
export const sealOf = ({ body, expiresAt, fingerprint, head, key, tags }: Kept): string => {
  const text = textOf(body)
  const headers = head === undefined ? [] : [String(head.status), ...Object.entries(head.headers).flat()]
  const content = text === undefined ? ["base64", Base64.encode(body)] : ["text", text]
  const parts = [...content, String(headers.length), ...headers, String(expiresAt), fingerprint, ...tags]
  return keySeal(key) + checksum([key, ...parts])
}

const keySeal = (key: string): string => checksum([key]).slice(0, 4)

/** Whether an entry was written under another key than that under which it was found. */
export const isMoved = (json: unknown, key: string): boolean =>
  isRecord(json) && typeof json["seal"] === "string" && !json["seal"].startsWith(keySeal(key))

/** Why an entry cannot be used: in which of its fields, if in one. */
export interface Unusable {
  readonly field: string | undefined
  readonly message: string
}

const known = [
  "value",
  "text",
  "base64",
  "head",
  "tags",
  "implicit",
  "createdAt",
  "expiresAt",
  "fingerprint",
  "seal"
] as const
const bodies = ["value", "text", "base64"] as const

type Fields = { readonly [K in (typeof known)[number]]?: unknown }

/** Reads an entry. Only what it is the result of has to be there: people add entries by hand. */
export const readEntry = (place: Place, json: unknown, now: number): Result.Result<Loaded, Unusable> => {
  if (!isRecord(json)) return unusable(undefined, "expected an entry, an object", json)
  const stranger = Object.keys(json).find((name) => !known.some((field) => field === name))
  if (stranger !== undefined) {
    const message = `expected the fields ${known.join(", ")}, found ${JSON.stringify(stranger)}`
    return Result.fail({ field: stranger, message })
  }
  return Result.gen(function*() {
    const key = keyOf(place)
    const fields: Fields = Object.fromEntries(Object.entries(json))
    const body = yield* readBody(fields)
    const head = yield* readHead(fields.head)
    const tags = yield* readTags(fields.tags === undefined ? [] : fields.tags)
    const createdAt = yield* readTime("createdAt", fields.createdAt, now)
    const expiresAt = yield* readTime("expiresAt", fields.expiresAt, Infinity)
    const { fingerprint = "", implicit = true } = fields
    if (typeof fingerprint !== "string") return yield* unusable("fingerprint", "expected a text", fingerprint)
    if (typeof implicit !== "boolean") return yield* unusable("implicit", "expected true or false", implicit)
    const all = new Set(implicit ? [...ownTags(key), ...tags] : tags)
    const kept: Kept = { key, fingerprint, body, head, tags: Array.from(all).toSorted(), createdAt, expiresAt }
    return { ...kept, edited: fields.seal !== sealOf(kept) }
  })
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const unusable = (field: string | undefined, expected: string, found: unknown): Result.Result<never, Unusable> =>
  Result.fail({ field, message: `${expected}, found ${shown(found)}` })

const shown = (value: unknown): string => {
  if (value === undefined) return "none"
  if (Array.isArray(value)) return "a list"
  if (typeof value === "object" && value !== null) return "an object"
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

const readBody = (fields: Fields): Result.Result<string | Uint8Array, Unusable> => {
  const [field, ...others] = bodies.filter((name) => Object.hasOwn(fields, name))
  if (field === undefined || others.length > 0) {
    const names = [field, ...others].filter((name) => name !== undefined)
    const message = `expected one of ${bodies.join(", ")}, found ${names.length === 0 ? "none" : names.join(" and ")}`
    return Result.fail({ field: others[0], message })
  }
  const content = fields[field]
  if (field === "value") {
    return Result.try({
      try: () => JSON.stringify(content),
      catch: () => ({ field, message: "expected a value that can be written, found one that is nested too deep" })
    })
  }
  if (typeof content !== "string") return unusable(field, "expected a text", content)
  if (field === "text") return Result.succeed(content)
  return Result.mapError(Base64.decode(content), () => ({ field, message: "expected bytes in Base64" }))
}

const readHead = (head: unknown): Result.Result<CacheEntry.ResponseHead | undefined, Unusable> => {
  if (head === undefined) return Result.succeed(undefined)
  if (!isRecord(head)) return unusable("head", "expected an object with status and headers", head)
  const { headers, status, ...rest } = head
  const stranger = Object.keys(rest)[0]
  if (stranger !== undefined) return unusable("head", "expected status and headers only", stranger)
  if (typeof status !== "number" || !Number.isInteger(status) || status < 100 || status > 999) {
    return unusable("head", "expected a status of three digits", status)
  }
  if (!isRecord(headers)) return unusable("head", "expected headers, an object of texts", headers)
  const wrong = Object.values(headers).find((value) => typeof value !== "string")
  if (wrong !== undefined) return unusable("head", "expected headers that are texts", wrong)
  return Result.succeed({ status, headers: headers as Readonly<Record<string, string>> })
}

const readTags = (tags: unknown): Result.Result<ReadonlyArray<string>, Unusable> => {
  if (!Array.isArray(tags)) return unusable("tags", "expected a list of tags", tags)
  for (const tag of tags) {
    if (typeof tag !== "string") return unusable("tags", "expected tags that are texts", tag)
    const problem = implicitTag.test(tag) ? undefined : tagProblem(tag)
    if (problem !== undefined) return unusable("tags", `expected a tag, but ${problem}`, tag)
  }
  return Result.succeed(tags)
}

// Tags that results get from the cached functions which they called.
const implicitTag = /^%fn(?::(?:(?:[\w.-]|%[0-9A-F]{2})+|%sha[0-9a-f]{32})){1,2}$/

const readTime = (
  field: "createdAt" | "expiresAt",
  time: unknown,
  otherwise: number
): Result.Result<number, Unusable> => {
  if (time === undefined) return Result.succeed(otherwise)
  if (typeof time === "number" && Number.isFinite(time)) return Result.succeed(time)
  const millis = typeof time === "string" && isoTime.test(time) ? Date.parse(time) : NaN
  return Number.isNaN(millis)
    ? unusable(field, "expected a time such as \"2026-01-31T12:00:00.000Z\" or milliseconds", time)
    : Result.succeed(millis)
}

const isoTime = /^(?:\d{4}|[+-]\d{6})-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/
