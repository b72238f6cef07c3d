/**
 * The file: entries by function and readable key, sorted, for people to read, edit, compare and commit.
 */
import * as Result from "effect/Result"
import { readEntry, type Unusable } from "./entryReader.ts"
import { renderEntry } from "./entryText.ts"
import { makeCursor, makeLines, malformedAt, parsed } from "./jsonText.ts"
import { type Kept, type Loaded, type Place, placeOf } from "./kept.ts"
import { type Piece, piecesByLayout } from "./layout.ts"
import { isMoved, sealOf } from "./seal.ts"
import { atOnce, type Steps } from "./steps.ts"

/** The format of files that this library writes, and the newest that it reads. */
export const formatVersion = 1

const mark = "effect-cached"

/** The text of a file with these entries, in pieces. Some are empty: places where the work can be left alone for a while. */
export function* renderDocument(entries: Iterable<Kept>): Generator<string, void> {
  const functions = new Map<string, Array<Placed>>()
  let count = 0
  for (const entry of entries) {
    const { key, name } = placeOf(entry.key)
    const placed = functions.get(name)
    if (placed === undefined) functions.set(name, [{ key, entry }])
    else placed.push({ key, entry })
    if (++count % 1000 === 0) yield ""
  }
  yield `{\n  "${mark}": ${formatVersion},\n  "functions": {`
  let comma = ""
  for (const name of Array.from(functions.keys()).toSorted()) {
    yield `${comma}\n    ${JSON.stringify(name)}: {`
    comma = ""
    for (const { entry, key } of functions.get(name)!.toSorted((one, other) => compare(one.key, other.key))) {
      yield `${comma}\n      ${JSON.stringify(key)}: {\n${renderEntry(entry)}\n      }`
      comma = ","
    }
    yield "\n    }"
  }
  yield `${comma === "" ? "" : "\n  "}}\n}\n`
}

interface Placed {
  readonly key: string
  readonly entry: Kept
}

const compare = (one: string, other: string): number => one < other ? -1 : one > other ? 1 : 0

/** Something in a file that cannot be used, and where: function, readable key, field, as far as it is known. */
export interface Problem {
  readonly path: ReadonlyArray<string>
  /** From 1. */
  readonly line: number
  readonly message: string
}

/** What could be read of a file. */
export interface Document {
  readonly entries: ReadonlyArray<Loaded>
  readonly problems: ReadonlyArray<Problem>
  /** Where the file stops being JSON, and how. The entries are those that could be read nevertheless. */
  readonly broken: string | undefined
}

/** Why a text is not a file of this library, or not of a version that it reads. */
export interface Refusal {
  readonly problem: "foreign" | "version"
  readonly message: string
}

/** Reads a file. `now` is the time of entries that do not say theirs. An empty text is a file without entries. */
export const parseDocument = (text: string, now: number): Result.Result<Document, Refusal> =>
  atOnce(documentSteps(text, now))

/** As {@link parseDocument}, in steps. */
export function* documentSteps(text: string, now: number): Steps<Result.Result<Document, Refusal>> {
  const source = text.startsWith("\ufeff") ? text.slice(1) : text
  if (source.trim() === "") return Result.succeed({ entries: [], problems: [], broken: undefined })
  const outline = outlineOf(source)
  const version = outline === undefined ? start.exec(source)?.[1] : outline.version
  const checked = checkVersion(source, version, outline)
  if (Result.isFailure(checked)) return Result.fail(checked.failure)
  return Result.succeed(yield* read(source, outline ?? outlineByLayout(source), now))
}

/** The parts of a file, not looked into. */
interface Outline {
  /** How its pieces were found. By layout, some may be at another's place. */
  readonly by: "brackets" | "layout"
  /** The text of the version. */
  readonly version: string | undefined
  /** Whether the functions are where they should be. */
  readonly sound: boolean
  readonly pieces: ReadonlyArray<Piece>
  readonly strangers: ReadonlyArray<Stranger>
}

interface Stranger {
  readonly path: ReadonlyArray<string>
  readonly index: number
  readonly message: string
}

// `undefined` where brackets and quotes do not match, or something else than a member stands in an object.
const outlineOf = (text: string): Outline | undefined => {
  const cursor = makeCursor(text, 0)
  const pieces: Array<Piece> = []
  const strangers: Array<Stranger> = []
  let version: string | undefined
  let sound = true

  const members = (member: (name: string, at: number) => boolean) => cursor.isAt("{") && cursor.object(member)
  const entry = (place: Place, index: number): boolean => {
    cursor.isAt("{")
    const from = cursor.index()
    const whole = cursor.skip()
    pieces.push({ ...place, index, from, text: text.slice(from, cursor.index()) })
    return whole
  }
  const functions = (name: string, at: number): boolean => {
    if (cursor.isAt("{")) return members((key, index) => entry({ name, key }, index))
    strangers.push({ path: [name], index: at, message: "expected an object with the entries of the function" })
    return cursor.skip()
  }
  const root = (name: string, at: number): boolean => {
    if (name === "functions" && cursor.isAt("{")) return members(functions)
    cursor.isAt("")
    const from = cursor.index()
    const whole = cursor.skip()
    if (name === mark) version = text.slice(from, cursor.index())
    else if (name === "functions") sound = false
    else strangers.push({ path: [name], index: at, message: `expected "${mark}" and "functions" only` })
    return whole
  }

  const whole = members(root) && !cursor.isAt("") && cursor.index() === text.length
  return whole ? { by: "brackets", version, sound, pieces, strangers } : undefined
}

const start = new RegExp(`^\\s*\\{\\s*"${mark}"\\s*:\\s*([^\\s,}]*)`)

const outlineByLayout = (text: string): Outline => ({
  by: "layout",
  version: undefined,
  sound: true,
  pieces: piecesByLayout(text),
  strangers: []
})

const checkVersion = (
  text: string,
  version: string | undefined,
  outline: Outline | undefined
): Result.Result<void, Refusal> => {
  const foreign = (message: string) => Result.fail<Refusal>({ problem: "foreign", message })
  if (version === undefined) {
    const found = outline === undefined ? `; ${whereMalformed(makeLines(text), text, 0)}` : ", found none"
    return foreign(`expected an object that starts with "${mark}": ${formatVersion}${found}`)
  }
  const number = parsed(version)
  if (typeof number === "number" && number > formatVersion) {
    const message = `the file has format version ${number}, this library reads ${formatVersion}`
    return Result.fail({ problem: "version", message })
  }
  if (number !== formatVersion) return foreign(`expected "${mark}": ${formatVersion}, found ${version}`)
  return outline?.sound === false ? foreign("expected \"functions\" to be an object") : Result.succeed(undefined)
}

function* read(text: string, { by, pieces, strangers }: Outline, now: number): Steps<Document> {
  const lineOf = makeLines(text)
  const entries = new Map<string, Loaded>()
  const twice = new Set<string>()
  const problems: Array<Problem> = []
  const report = (index: number, path: ReadonlyArray<string>, message: string): void => {
    problems.push({ path, line: lineOf(index).line, message })
  }

  for (const { index, message, path } of strangers) report(index, path, message)
  let broken = by === "layout"
  let next = stepLength
  for (const { from, index, key, name, text: json } of pieces) {
    if (index > next) {
      next = index + stepLength
      yield
    }
    if (name === undefined) {
      report(index, [key], "expected the entry below the name of its function, which cannot be read")
      continue
    }
    const value = parsed(json)
    if (value === undefined) {
      broken = true
      // Asked in order: going back for each entry would take long in a large file.
      const { line } = lineOf(index)
      const message = `expected an entry in JSON; ${whereMalformed(lineOf, json, from)}`
      problems.push({ path: [name, key], line, message })
      continue
    }
    const result = checkFields(readEntry({ name, key }, value, now), json)
    if (Result.isFailure(result)) {
      const { field, message } = result.failure
      report(index, field === undefined ? [name, key] : [name, key, field], message)
      continue
    }
    const entry = result.success
    const other = entries.get(entry.key)
    if (by === "layout" && isMoved(value, entry.key)) {
      report(index, [name, key], "expected the entry at its own place, found it where another one should be")
    } else if (other === undefined) entries.set(entry.key, entry)
    else if (sealOf(other) !== sealOf(entry)) {
      twice.add(entry.key)
      report(index, [name, key], "this key has another entry above that differs: none of them is used")
    }
  }
  for (const key of twice) entries.delete(key)
  return {
    entries: Array.from(entries.values()),
    problems,
    broken: broken ? whereMalformed(lineOf, text, 0) : undefined
  }
}

// In characters: a few milliseconds.
const stepLength = 256 * 1024

// JSON takes the last of two fields of one name. Where a person wrote both, nobody knows which one was meant.
const checkFields = (entry: Result.Result<Loaded, Unusable>, json: string): Result.Result<Loaded, Unusable> => {
  if (Result.isFailure(entry) || !entry.success.edited) return entry
  const names = new Set<string>()
  let repeated: string | undefined
  const cursor = makeCursor(json, 0)
  cursor.object((name) => {
    if (names.has(name)) repeated = name
    names.add(name)
    return cursor.skip()
  })
  return repeated === undefined
    ? entry
    : Result.fail({ field: repeated, message: "expected the field once, found it more than once" })
}

// Where a part of a text that starts at `from` is not JSON.
const whereMalformed = (lineOf: ReturnType<typeof makeLines>, part: string, from: number): string => {
  const malformed = malformedAt(part)
  if (malformed === undefined) return "all of it is JSON"
  const { column, line } = lineOf(from + malformed.index)
  return `line ${line}, column ${column}: ${malformed.message}`
}
