/**
 * One entry as people write it.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type * as CacheEntry from "../../CacheEntry.ts"
import { tagProblem } from "../tagText.ts"
import { keyOf, type Loaded, ownTags, type Place } from "./kept.ts"
import { sealOf } from "./seal.ts"
import { durationNames, forever, readTerms, timeNames, type WrittenTerms } from "./terms.ts"

/** Why an entry cannot be used: in which of its fields, if in one. */
export interface Unusable {
  readonly field: string | undefined
  readonly message: string
}

const fieldNames = [
  "value",
  "text",
  "base64",
  "failed",
  "head",
  "tags",
  "implicit",
  "createdAt",
  "expiresAt",
  ...timeNames,
  ...durationNames,
  "fingerprint",
  "seal"
] as const
const known: ReadonlySet<string> = new Set(fieldNames)
const bodies = ["value", "text", "base64"] as const

type Fields = { readonly [K in (typeof fieldNames)[number]]?: unknown }

/** Reads an entry. Only what it is the result of has to be there: people add entries by hand. */
export const readEntry = (place: Place, json: unknown, now: number): Result.Result<Loaded, Unusable> => {
  if (!isRecord(json)) return unusable(undefined, "expected an entry, an object", json)
  const stranger = Object.keys(json).find((name) => !known.has(name))
  if (stranger !== undefined) {
    const message = `expected the fields ${fieldNames.join(", ")}, found ${JSON.stringify(stranger)}`
    return Result.fail({ field: stranger, message })
  }
  const fields: Fields = json
  const body = readBody(fields)
  if (Result.isFailure(body)) return Result.fail(body.failure)
  const head = readHead(fields.head)
  if (Result.isFailure(head)) return Result.fail(head.failure)
  const tags = readTags(fields.tags)
  if (Result.isFailure(tags)) return Result.fail(tags.failure)
  const createdAt = readTime("createdAt", fields.createdAt, now)
  if (Result.isFailure(createdAt)) return Result.fail(createdAt.failure)
  const expiresAt = readTime("expiresAt", fields.expiresAt, Infinity)
  if (Result.isFailure(expiresAt)) return Result.fail(expiresAt.failure)
  const times = { createdAt: createdAt.success, expiresAt: expiresAt.success }
  const terms = readWritten(fields)
  if (Result.isFailure(terms)) return Result.fail(terms.failure)
  const { failed = false, fingerprint = "", implicit = true } = fields
  if (typeof failed !== "boolean") return unusable("failed", "expected true or false", failed)
  if (typeof fingerprint !== "string") return unusable("fingerprint", "expected a text", fingerprint)
  if (typeof implicit !== "boolean") return unusable("implicit", "expected true or false", implicit)
  const key = keyOf(place)
  const entry = {
    key,
    fingerprint,
    body: body.success,
    head: head.success,
    tags: inOrder(implicit ? [...ownTags(key), ...tags.success] : tags.success),
    ...times,
    failed,
    terms: readTerms(times, terms.success),
    edited: false
  }
  entry.edited = fields.seal !== sealOf(entry)
  // Whoever edits an entry uses it.
  if (entry.edited && entry.terms !== undefined) entry.terms = { ...entry.terms, usedAt: now }
  const problem = entry.edited && entry.head !== undefined ? headProblem(entry.head) : undefined
  if (problem !== undefined && Result.isFailure(problem)) return Result.fail(problem.failure)
  return Result.succeed(entry)
}

// Without those that are there twice.
const inOrder = (tags: ReadonlyArray<string>): ReadonlyArray<string> =>
  tags.toSorted().filter((tag, index) => index === 0 || tag !== tags[index - 1])

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
  if (typeof status !== "number" || !Number.isInteger(status)) {
    return unusable("head", "expected a status, a whole number", status)
  }
  if (!isRecord(headers)) return unusable("head", "expected headers, an object of texts", headers)
  const wrong = Object.values(headers).find((value) => typeof value !== "string")
  if (wrong !== undefined) return unusable("head", "expected headers that are texts", wrong)
  return Result.succeed({ status, headers: headers as Readonly<Record<string, string>> })
}

// What no server could send. What the library wrote itself came from a response.
const headProblem = ({ headers, status }: CacheEntry.ResponseHead): Result.Result<void, Unusable> => {
  if (status < 200 || status > 599) return unusable("head", "expected a status from 200 to 599", status)
  const wrong = Object.entries(headers).find(([name, value]) => !headerName.test(name) || !headerValue.test(value))
  return wrong === undefined
    ? Result.succeed(undefined)
    : unusable("head", "expected headers that HTTP allows", wrong.join(": "))
}

// As they are stored, in lower case (RFC 9110, sections 5.1 and 5.5).
const headerName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/

const readTags = (tags: unknown = []): Result.Result<ReadonlyArray<string>, Unusable> => {
  if (!Array.isArray(tags)) return unusable("tags", "expected a list of tags", tags)
  for (const tag of tags) {
    if (typeof tag !== "string") return unusable("tags", "expected tags that are texts", tag)
    const problem = plainTag.test(tag) || implicitTag.test(tag) ? undefined : tagProblem(tag)
    if (problem !== undefined) return unusable("tags", `expected a tag, but ${problem}`, tag)
  }
  return Result.succeed(tags)
}

// Most tags: short, of few segments, without escapes.
const plainTag = /^(?=.{1,100}$)[\w.-]+(?::[\w.-]+){0,7}$/

// Tags that results get from the cached functions which they called.
const implicitTag = /^%fn(?::(?:(?:[\w.-]|%[0-9A-F]{2})+|%sha[0-9a-f]{32})){1,2}$/

const readWritten = (fields: Fields): Result.Result<WrittenTerms, Unusable> => {
  const written: { -readonly [K in keyof WrittenTerms]: WrittenTerms[K] } = {}
  for (const name of timeNames) {
    if (fields[name] === undefined) continue
    const time = fields[name] === forever ? Result.succeed(Infinity) : readTime(name, fields[name], Infinity)
    if (Result.isFailure(time)) return Result.fail(time.failure)
    written[name] = time.success
  }
  for (const name of durationNames) {
    const duration = fields[name]
    if (duration === undefined) continue
    if (typeof duration !== "number" || !Number.isFinite(duration) || duration < 0) {
      return unusable(name, "expected milliseconds, a number from 0", duration)
    }
    written[name] = duration
  }
  return Result.succeed(written)
}

const readTime = (
  field: "createdAt" | "expiresAt" | (typeof timeNames)[number],
  time: unknown,
  otherwise: number
): Result.Result<number, Unusable> => {
  if (time === undefined) return Result.succeed(otherwise)
  if (typeof time === "number" && Number.isFinite(time)) return Result.succeed(time)
  const millis = typeof time === "string" && isoTime.test(time) ? Date.parse(time) : NaN
  const others = field === "createdAt" || field === "expiresAt" ? " or milliseconds" : ", milliseconds or \"forever\""
  return Number.isNaN(millis)
    ? unusable(field, `expected a time such as "2026-01-31T12:00:00.000Z"${others}`, time)
    : Result.succeed(millis)
}

const isoTime = /^(?:\d{4}|[+-]\d{6})-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/
