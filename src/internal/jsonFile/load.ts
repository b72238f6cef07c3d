/**
 * From a file and its journal to entries.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as CacheError from "../../CacheError.ts"
import { fileError, problemIn } from "../errors.ts"
import { functionTag, keyTag } from "../tagText.ts"
import { type Document, documentSteps } from "./document.ts"
import type { Files, Version } from "./files.ts"
import { type Edit, readJournal, replay } from "./journal.ts"
import { type Kept, type Loaded, placeOf } from "./kept.ts"
import { inTurns } from "./steps.ts"

/** What a file holds, and how to tell whether it is still the same file. */
export interface Disk {
  readonly entries: ReadonlyMap<string, Kept>
  readonly version: Version
  readonly digest: string
  readonly size: number
}

/** What was found. */
export interface Found {
  readonly disk: Disk
  /** With what the journal says. */
  readonly entries: ReadonlyArray<Loaded>
  /** Where the journal that there is ends, whole. */
  readonly journal: { readonly lines: number; readonly size: number } | undefined
  /** Whether the journal belongs to the file. If not, someone has changed the file since. */
  readonly belongs: boolean
  /** What the journal has to say so that it belongs to the file. */
  readonly edit: Edit | undefined
}

/** Keeps a file as it was found under another name, and returns it; `undefined` where nothing may be written. */
export type Aside = (bytes: Uint8Array, digest: string) => Effect.Effect<string | undefined, CacheError.CacheError>

/** Where the journal of a file is. */
export const journalOf = (path: string): string => `${path}.journal`

/** The tag that only the entry of a key, and what was computed from it, carries. */
export const tagOfKey = (key: string): string => {
  const tab = key.indexOf("\t")
  return keyTag(functionTag(tab === -1 ? key : key.slice(0, tab)), key.slice(tab + 1))
}

/** Where people find the entry of a key. */
export const whereIs = (path: string, key: string): string => {
  const { key: readable, name } = placeOf(key)
  return `${path}, ${JSON.stringify(name)}, ${JSON.stringify(readable)}`
}

/**
 * Reads a file, and its journal on top of it. Fails with a `CacheError` of reason `FileError` for a file that is not ours or
 * cannot be read; it stays as it is. What is wrong inside a file of ours is logged, and the file is kept under another
 * name before anything is written.
 */
export const load = Effect.fnUntraced(function*(
  files: Files,
  path: string,
  now: number,
  aside: Aside
): Effect.fn.Return<Found, CacheError.CacheError> {
  const { bytes, disk, document } = yield* readDisk(files, path, now)
  yield* reportProblems(path, document, aside(bytes, disk.digest))
  const journalBytes = yield* files.read(journalOf(path))
  const current = withoutOutdated(document.entries, document.entries)
  // Something to write, so that the file is mended.
  const mend = document.broken === undefined ? undefined : { base: disk.digest, tags: [], set: [], gone: [] }
  if (journalBytes === undefined) {
    return { disk, entries: current, journal: undefined, belongs: true, edit: mend }
  }
  const { complete, damaged, lines, records } = readJournal(journalBytes)
  if (damaged > 0) {
    const name = yield* aside(bytes, disk.digest)
    yield* Effect.logWarning(
      `${journalOf(path)} has ${damaged} damaged lines. What is older than they are is computed again${
        name === undefined ? "" : `, and ${name} is the file as it was found`
      }`
    )
  }
  const { belongs, entries } = replay(current, disk.digest, records)
  const name = belongs || bytes.length === 0 ? undefined : yield* aside(bytes, disk.digest)
  if (name !== undefined) {
    yield* Effect.logWarning(
      `${path} was changed after its writer was stopped in the middle of its work. What that one had done is added to it, ` +
        `except where an entry was edited. ${name} is the file as it was found`
    )
  }
  const all = Array.from(entries.values())
  const edited = belongs ? [] : document.entries.filter((entry) => entry.edited)
  const set = edited.filter((entry) => entries.get(entry.key) === entry)
  return {
    disk,
    entries: withoutOutdated(all, edited),
    journal: { lines, size: complete },
    belongs,
    edit: belongs ? mend : { base: disk.digest, tags: edited.map(({ key }) => tagOfKey(key)), set, gone: [] }
  }
})

/** Keeps a file under another name, the same for the same content. */
export const setAside = (files: Files, path: string): Aside => (bytes, digest) => {
  const name = `${path}.aside-${digest.slice(0, 8)}`
  return Effect.as(files.keep(name, bytes), name)
}

/** What is in a file now. */
export const readDisk = Effect.fnUntraced(function*(
  files: Files,
  path: string,
  now: number
): Effect.fn.Return<
  { readonly bytes: Uint8Array; readonly disk: Disk; readonly document: Document },
  CacheError.CacheError
> {
  // The version first: whatever happens to the file after that will be seen as a change.
  const version = yield* files.version(path)
  const bytes = (yield* files.read(path)) ?? new Uint8Array()
  const document = yield* parse(path, bytes, now)
  const entries = new Map(document.entries.map((entry) => [entry.key, entry]))
  return { bytes, document, disk: { entries, version, digest: files.digestOf(bytes), size: bytes.length } }
})

const parse = Effect.fnUntraced(function*(
  path: string,
  bytes: Uint8Array,
  now: number
): Effect.fn.Return<Document, CacheError.CacheError> {
  const text = yield* Effect.try({
    try: () => decoder.decode(bytes),
    catch: (cause) =>
      bytes.length > longestText
        ? fileError(path, "unreadable", `it is too large to be read as one text: ${bytes.length} bytes`, cause)
        : refused(path, "foreign", "it is not text in UTF-8", cause)
  })
  const document = yield* inTurns(documentSteps(text, now))
  return yield* Effect.fromResult(Result.mapError(document, ({ message, problem }) => refused(path, problem, message)))
})

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
// In UTF-16 units, for V8.
const longestText = 2 ** 29 - 24

const refused = (path: string, problem: "foreign" | "version", message: string, cause?: unknown) =>
  fileError(
    path,
    problem,
    problem === "version"
      ? `${message}. Use a version of this library that can read it, or another file`
      : `it is not a file of this library, and is left as it is: ${message}. Move it away, or name another file`,
    cause
  )

/** Logs what is wrong in a file, each with its place, and keeps the file as it was found. */
export const reportProblems = Effect.fnUntraced(function*(
  path: string,
  { broken, problems }: Document,
  aside: ReturnType<Aside>
): Effect.fn.Return<void, CacheError.CacheError> {
  if (broken === undefined && problems.length === 0) return
  const name = yield* aside
  if (broken !== undefined) {
    yield* Effect.logWarning(`${path} is not JSON any more: ${broken}. The entries that can be read are used`)
  }
  for (const problem of problems.slice(0, maxReported)) {
    const where = problemIn(path, problem.path, problem.line, problem.message)
    yield* Effect.logWarning(`${where}. The entry is computed again`)
  }
  if (problems.length > maxReported) yield* Effect.logWarning(`${path}: ${problems.length - maxReported} more of these`)
  if (name !== undefined) yield* Effect.logWarning(`${name} is the file as it was found`)
})

const maxReported = 20

// What was computed from an entry that a person has edited since is not what it would be now, unless a person has edited it, too.
const withoutOutdated = (
  entries: ReadonlyArray<Loaded>,
  edited: ReadonlyArray<Loaded>
): ReadonlyArray<Loaded> => {
  const ended = new Set(edited.flatMap((entry) => entry.edited ? [tagOfKey(entry.key)] : []))
  if (ended.size === 0) return entries
  return entries.filter(({ edited, key, tags }) =>
    edited || !tags.some((tag) => ended.has(tag) && tag !== tagOfKey(key))
  )
}
