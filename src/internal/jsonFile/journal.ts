/**
 * The journal beside the file: what happened since the file was written, one line for each record.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { makeMarks } from "../marks.ts"
import { checksum } from "./checksum.ts"
import { parsed } from "./jsonText.ts"
import type { Kept, Loaded } from "./kept.ts"
import { readTerms, type WrittenTerms, writtenTerms } from "./terms.ts"

/**
 * - `base`: the digest of the file that the journal belongs to. The first line.
 * - `set`: an entry was stored.
 * - `remove`: the entry of a key was removed.
 * - `invalidate`: every entry stored earlier that carries a tag at or below one of these ended; all entries for none.
 * - `clear`: the store was emptied.
 * - `edit`: someone else changed the file, which has this digest now: these entries were set and those are gone, which ended what
 *   carries these tags. One record, so that a part of it is never taken for the whole.
 * - `fold`: the file of this digest holds what the lines before number `through` say, counted from 0.
 */
export type JournalRecord =
  | { readonly base: string }
  | { readonly set: Kept }
  | { readonly remove: string }
  | { readonly invalidate: ReadonlyArray<string> }
  | { readonly clear: true }
  | { readonly edit: Edit }
  | { readonly fold: { readonly file: string; readonly through: number } }

/** What someone else has made of the file. */
export interface Edit {
  readonly base: string
  readonly tags: ReadonlyArray<string>
  readonly set: ReadonlyArray<Kept>
  readonly gone: ReadonlyArray<string>
}

/** The line of a record, with its end. */
export const journalLine = (record: JournalRecord): string => {
  const json = JSON.stringify(
    "set" in record
      ? { set: written(record.set) }
      : "edit" in record
      ? { edit: { ...record.edit, set: record.edit.set.map(written) } }
      : record
  )
  return `${checksum([json])} ${json}\n`
}

const written = (entry: Kept) => {
  const { body, createdAt, expiresAt, failed, fingerprint, head, key, tags } = entry
  return {
    key,
    fingerprint,
    ...(typeof body === "string" ? { body } : { base64: Base64.encode(body) }),
    ...(failed === true ? { failed } : {}),
    ...(head === undefined ? {} : { head }),
    tags,
    createdAt,
    ...(expiresAt === Infinity ? {} : { expiresAt }),
    ...writtenTerms(entry)
  }
}

/** A record, and the number of its line, from 0. */
export interface Numbered {
  readonly line: number
  readonly record: JournalRecord
}

/** What could be read of a journal. */
export interface Journal {
  readonly records: ReadonlyArray<Numbered>
  /** The lines that were passed over, because they are not as they were written. */
  readonly damaged: number
  /** The lines up to the last good one, with damaged ones: the number of the next line. */
  readonly lines: number
  /** The bytes up to the end of the last good line. A writer goes on from there. */
  readonly complete: number
}

/**
 * Reads a journal. What follows the last good line was being written when the writer died, and is dropped.
 *
 * Takes bytes, because a damaged line may not be text, and then its text does not tell how many bytes it has.
 */
export const readJournal = (bytes: Uint8Array): Journal => {
  const records: Array<Numbered> = []
  let complete = 0
  let lines = 0
  let line = 0
  for (let start = 0, end = bytes.indexOf(lineEnd); end !== -1; line++) {
    const record = recordOf(bytes.subarray(start, end))
    start = end + 1
    end = bytes.indexOf(lineEnd, start)
    if (record === undefined) continue
    records.push({ line, record })
    complete = start
    lines = line + 1
  }
  return { records, damaged: lines - records.length, lines, complete }
}

const lineEnd = 10

const recordOf = (line: Uint8Array): JournalRecord | undefined => {
  const text = decoder.decode(line)
  const json = text.slice(text.indexOf(" ") + 1)
  if (text !== `${checksum([json])} ${json}`) return undefined
  const record = parsed(json)
  if (typeof record !== "object" || record === null || !kinds.some((kind) => kind in record)) return undefined
  const written = record as Written
  if ("set" in written) {
    const set = setOf(written.set)
    return set === undefined ? undefined : { set }
  }
  if (!("edit" in written)) return written
  const set = written.edit.set.flatMap((entry) => setOf(entry) ?? [])
  return set.length < written.edit.set.length ? undefined : { edit: { ...written.edit, set } }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
const kinds = ["base", "set", "remove", "invalidate", "clear", "edit", "fold"]

// The checksum tells that a line is as this library wrote it.
type Written =
  | Exclude<JournalRecord, { readonly set: Kept } | { readonly edit: Edit }>
  | { readonly set: WrittenEntry }
  | { readonly edit: Omit<Edit, "set"> & { readonly set: ReadonlyArray<WrittenEntry> } }

type WrittenEntry =
  & Partial<Kept>
  & Omit<Kept, "body" | "head" | "expiresAt" | "terms">
  & WrittenTerms
  & { readonly base64?: string }

const setOf = (set: WrittenEntry): Kept | undefined => {
  const { base64, body = base64 === undefined ? undefined : Result.getOrUndefined(Base64.decode(base64)) } = set
  const { createdAt, expiresAt = Infinity, failed, fingerprint, head, key, tags } = set
  if (body === undefined) return undefined
  const terms = readTerms({ createdAt, expiresAt }, set)
  return {
    key,
    fingerprint,
    body,
    head,
    tags,
    createdAt,
    expiresAt,
    ...(failed === true ? { failed } : {}),
    ...(terms === undefined ? {} : { terms })
  }
}

/** The entries after everything that a journal says. */
export interface Replayed {
  readonly entries: Map<string, Loaded>
  /**
   * Whether the journal belongs to this file: it started from it, or the file was written from the journal. Otherwise
   * someone has changed the file since, while nobody was watching.
   */
  readonly belongs: boolean
  /** The keys of entries that a person has edited in such a file, and that the journal says something else about. */
  readonly kept: ReadonlyArray<string>
}

/**
 * Applies the records of a journal to the entries of the file with this digest.
 *
 * **Details**
 *
 * Where the journal does not belong to the file, an entry that a person has edited stays also when the journal says something
 * else of its key, unless it was invalidated. All else is as the journal says.
 */
export const replay = (base: Iterable<Loaded>, fileDigest: string, records: ReadonlyArray<Numbered>): Replayed => {
  const { belongs, from } = startOf(fileDigest, records)
  const stored = new Map<string, Stored>()
  for (const entry of base) stored.set(entry.key, { entry, position: 0 })
  const edited = belongs ? [] : Array.from(stored.values()).filter(({ entry }) => entry.edited)

  // The newest record of each tag decides, so no record looks at entries.
  const marks = makeMarks(Infinity, 1)
  marks.gap(0)
  let expected = from
  for (const { line, record } of records) {
    if (line < from) continue
    // Lines are missing. Nobody knows what they invalidated: whatever was said before has ended.
    if (line > expected) marks.apply({ tags: [], position: line })
    expected = line + 1
    // Positions start after that of the file.
    const position = line + 1
    if ("set" in record) stored.set(record.set.key, { entry: { ...record.set, edited: false }, position })
    else if ("remove" in record) stored.delete(record.remove)
    else if ("clear" in record) stored.clear()
    else if ("invalidate" in record) marks.apply({ tags: record.invalidate, position })
    else if ("edit" in record) {
      const { gone, set, tags } = record.edit
      if (tags.length > 0) marks.apply({ tags, position })
      for (const key of gone) stored.delete(key)
      for (const entry of set) stored.set(entry.key, { entry: { ...entry, edited: false }, position })
    }
  }

  const entries = new Map<string, Loaded>()
  for (const { entry, position } of stored.values()) {
    if (marks.isValid({ tags: entry.tags, position, revision: -1 })) entries.set(entry.key, entry)
  }
  const kept = edited.filter(({ entry, position }) =>
    entries.get(entry.key) !== entry && marks.isValid({ tags: entry.tags, position, revision: -1 })
  )
  for (const { entry } of kept) entries.set(entry.key, entry)
  return { entries, belongs, kept: kept.map(({ entry }) => entry.key) }
}

interface Stored {
  readonly entry: Loaded
  readonly position: number
}

// From which line on a journal says what the file does not.
const startOf = (fileDigest: string, records: ReadonlyArray<Numbered>) => {
  let belongs = records.length === 0
  let from = 0
  for (const { record } of records) {
    if ("base" in record) belongs = record.base === fileDigest
    else if ("edit" in record) belongs = record.edit.base === fileDigest
    else if ("fold" in record && record.fold.file === fileDigest) {
      belongs = true
      from = record.fold.through
    }
  }
  return { belongs, from }
}
