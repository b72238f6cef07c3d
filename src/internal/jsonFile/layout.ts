/**
 * Finds the entries of a file that is not JSON any more: cut off, with the marks of a merge conflict, with a comma too few.
 * Each is found by how its lines are indented, so that what is wrong with one does not spoil the others.
 */
import { endOfString, parsed } from "./jsonText.ts"

/** The text of one entry, not looked into. */
export interface Piece {
  /** The name of its function, `undefined` where it cannot be read. */
  readonly name: string | undefined
  readonly key: string
  /** Where its key starts. */
  readonly index: number
  /** Where its text starts. */
  readonly from: number
  readonly text: string
}

export const piecesByLayout = (text: string): ReadonlyArray<Piece> => {
  const unit = /^([ \t]+)"functions"/m.exec(text)?.[1] ?? "  "
  const functionMargin = unit.repeat(2)
  const entryMargin = unit.repeat(3)
  const pieces: Array<Piece> = []
  let name: string | undefined
  let open: Omit<Piece, "text"> | undefined

  const close = (end: number) => {
    if (open !== undefined) pieces.push({ ...open, text: withoutComma(text.slice(open.from, end)) })
    open = undefined
  }

  for (let index = 0, next = 0; index < text.length; index = next + 1) {
    next = text.indexOf("\n", index)
    if (next === -1) next = text.length
    const line = text.slice(index, next).trimEnd()
    const aFunction = memberOf(line, functionMargin)
    const entry = memberOf(line, entryMargin)
    if (isOutside(line, entryMargin)) {
      close(index)
      name = aFunction !== undefined && line.endsWith("{") ? aFunction.name : undefined
    } else if (entry !== undefined) {
      close(index)
      open = { name, key: entry.name, index: index + entryMargin.length, from: index + entry.from }
      if (parsed(withoutComma(line.slice(entry.from))) !== undefined) close(next)
    } else if (line === `${entryMargin}}` || line === `${entryMargin}},`) close(next)
  }
  close(text.length)
  return pieces
}

// Whether a line starts or ends a function, even where it cannot be read. What follows is no entry of the function before.
const isOutside = (line: string, entryMargin: string): boolean =>
  !line.startsWith(entryMargin) && /^\s*\},?$|^(?!\s*\/\/).*:\s*\{$/.test(line)

const withoutComma = (text: string): string => {
  const trimmed = text.trimEnd()
  return trimmed.endsWith(",") ? trimmed.slice(0, -1) : trimmed
}

// The member of an object that starts on a line, and where its value starts.
const memberOf = (line: string, margin: string): { readonly name: string; readonly from: number } | undefined => {
  if (!line.startsWith("\"", margin.length) || !line.startsWith(margin)) return undefined
  const end = endOfString(line, margin.length)
  const name = end === -1 ? undefined : parsed(line.slice(margin.length, end))
  const colon = /^\s*:\s*/.exec(line.slice(end))
  return typeof name === "string" && colon !== null ? { name, from: end + colon[0].length } : undefined
}
