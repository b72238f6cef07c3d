/**
 * One entry as people read it.
 */
import * as DateTime from "effect/DateTime"
import * as Base64 from "effect/encoding/Base64"
import { type Kept, ownTags, textOf } from "./kept.ts"
import { prettyJson, prettyText } from "./prettyJson.ts"
import { sealOf } from "./seal.ts"
import { durationNames, forever, timeNames, writtenTerms } from "./terms.ts"

const indent = 8

/** The lines of an entry between its braces. */
export const renderEntry = (entry: Kept): string => {
  const { own, tags } = withoutOwn(entry)
  const lines = bodyLines(entry)
  if (entry.failed === true) lines.push(line("failed", "true"))
  if (entry.head !== undefined) lines.push(line("head", prettyJson(entry.head, indent)))
  lines.push(line("tags", prettyJson(tags, indent)))
  if (!own) lines.push(line("implicit", "false"))
  lines.push(line("createdAt", timeText(entry.createdAt)))
  if (entry.expiresAt !== Infinity) lines.push(line("expiresAt", timeText(entry.expiresAt)))
  lines.push(...termLines(entry))
  lines.push(line("fingerprint", JSON.stringify(entry.fingerprint)), line("seal", `"${sealOf(entry)}"`))
  return lines.join(",\n")
}

const margin = " ".repeat(indent)

const line = (name: string, value: string): string => `${margin}"${name}": ${value}`

const termLines = (entry: Kept): ReadonlyArray<string> => {
  const written = writtenTerms(entry)
  const lines: Array<string> = []
  for (const name of timeNames) {
    const time = written[name]
    if (time !== undefined) lines.push(line(name, time === forever ? JSON.stringify(time) : timeText(time)))
  }
  for (const name of durationNames) {
    if (written[name] !== undefined) lines.push(line(name, JSON.stringify(written[name])))
  }
  return lines
}

const bodyLines = (entry: Kept): Array<string> => {
  const text = textOf(entry.body)
  if (text === undefined) return [line("base64", `"${Base64.encode(entry.body)}"`)]
  if (!isValue(entry, text)) return [line("text", JSON.stringify(text))]
  return [line("value", prettyText(text, indent, `"value": `.length + indent))]
}

// Whether a body is written as a value: its text comes back from that. Text can be nested too deep for it.
const isValue = (entry: Kept, text: string): boolean => {
  if (entry.head !== undefined) return false
  if (values.has(entry)) return true
  try {
    if (JSON.stringify(JSON.parse(text)) !== text) return false
  } catch {
    return false
  }
  values.add(entry)
  return true
}

// Entries do not change, and most are in the file each time that it is written.
const values = new WeakSet<Kept>()

// The two tags that every entry of a function has are not written: the place of the entry says them.
const withoutOwn = ({ key, tags }: Kept): { readonly own: boolean; readonly tags: ReadonlyArray<string> } => {
  const own = ownTags(key)
  return own.every((tag) => tags.includes(tag))
    ? { own: true, tags: tags.filter((tag) => !own.includes(tag)) }
    : { own: false, tags }
}

// The times that ISO text can say.
const maxTime = 8.64e15

const timeText = (millis: number): string =>
  Number.isInteger(millis) && Math.abs(millis) <= maxTime
    ? `"${DateTime.formatIso(DateTime.makeUnsafe(millis))}"`
    : JSON.stringify(millis)
