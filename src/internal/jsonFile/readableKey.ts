/**
 * Keys as people read and write them: `continent=AF, limit=10` for `{"continent":"AF","limit":10}`.
 *
 * Invariant: `fromReadable(toReadable(rest)) === rest` for every text. So no two keys look alike.
 */
import { canonicalUnsafe, quote } from "../canonical.ts"
import { endOfString, parsed } from "./jsonText.ts"

/**
 * The readable form of what stands in a key after the name of its function: the canonical text of an input, and of what
 * the result varies by, after tabs. Any other text is written as it is, after `=` where it could be read as an input.
 */
export const toReadable = (rest: string): string => {
  const text = readable(rest)
  if (text !== undefined && fromReadable(text) === rest) return text
  return rest !== "" && !rest.startsWith("=") && fromReadable(rest) === rest ? rest : `=${rest}`
}

const readable = (rest: string): string | undefined => {
  if (!rest.startsWith("{")) return undefined
  const fields: Array<string> = []
  let index = 1
  while (rest[index] !== "}") {
    const colon = rest[index] === "\"" ? endOfString(rest, index) : -1
    const end = colon === -1 ? -1 : endOfValue(rest, colon + 1)
    if (end === -1 || end === rest.length) return undefined
    fields.push(`${bare(rest.slice(index, colon))}=${bare(rest.slice(colon + 1, end))}`)
    index = rest[end] === "," ? end + 1 : end
  }
  const [after, ...varied] = rest.slice(index + 1).split("\t")
  if (after !== "") return undefined
  return [fields.length === 0 ? "()" : fields.join(", "), ...varied].join(" | ")
}

const word = /^[A-Za-z_][A-Za-z0-9_.-]*$/
// Words that are the canonical text of something other than a text.
const reserved = new Set(["true", "false", "null", "undefined", "NaN", "Infinity", "None"])

const bare = (canonical: string): string => {
  const text = canonical.startsWith("\"") ? canonical.slice(1, -1) : ""
  return word.test(text) && !reserved.has(text) ? text : canonical
}

// The index of the , | or closing bracket that ends the value which starts at `from`, or of the end of the text.
const endOfValue = (text: string, from: number): number => {
  let depth = 0
  for (let index = from; index < text.length; index++) {
    const character = text[index]!
    if (character === "\"") {
      index = endOfString(text, index) - 1
      if (index < 0) return -1
    } else if ("{[(".includes(character)) depth++
    else if ("}])".includes(character)) {
      if (--depth < 0) return index
    } else if (depth === 0 && (character === "," || character === "|")) return index
  }
  return depth === 0 ? text.length : -1
}

/**
 * What {@link toReadable} was given. Forgives what people write: the order of fields, more or fewer spaces, texts without
 * quotes.
 */
export const fromReadable = (text: string): string => {
  if (text.startsWith("=")) return text.slice(1)
  return canonicalKey(text) ?? text
}

const canonicalKey = (text: string): string | undefined => {
  const fields = new Map<string, string>()
  let index = skipSpace(text, 0)
  if (text.startsWith("()", index)) index = skipSpace(text, index + 2)
  else {
    for (let more = true; more; more = text[index] === ",") {
      if (fields.size > 0) index = skipSpace(text, index + 1)
      const start = index
      index = endOfName(text, start)
      const name = nameOf(text.slice(start, index))
      index = skipSpace(text, index)
      const end = text[index] === "=" ? endOfValue(text, index + 1) : -1
      const value = end === -1 ? undefined : canonicalValue(text.slice(index + 1, end).trim())
      if (name === undefined || value === undefined || fields.has(name)) return undefined
      fields.set(name, value)
      index = end
    }
  }
  const names = Array.from(fields.keys()).toSorted()
  let key = `{${names.map((name) => `${quote(name)}:${fields.get(name)}`).join(",")}}`
  while (text[index] === "|") {
    const end = endOfValue(text, index + 1)
    const varied = end === -1 ? undefined : canonicalValue(text.slice(index + 1, end).trim())
    if (varied === undefined) return undefined
    key += `\t${varied}`
    index = end
  }
  return index === text.length ? key : undefined
}

const skipSpace = (text: string, from: number): number => {
  let index = from
  while (text[index] === " ") index++
  return index
}

const endOfName = (text: string, from: number): number => {
  if (text[from] === "\"") return Math.max(endOfString(text, from), from)
  let index = from
  while (index < text.length && !" =,|".includes(text[index]!)) index++
  return index
}

const nameOf = (text: string): string | undefined => {
  const name = text.startsWith("\"") ? parsed(text) : word.test(text) ? text : undefined
  return typeof name === "string" ? name : undefined
}

const canonicalValue = (text: string): string | undefined => {
  if (text === "") return undefined
  if (reserved.has(text) || bigint.test(text) || text === "-Infinity") return text
  if (number.test(text)) return canonicalUnsafe(Number(text))
  if (!/^["[{]|^[A-Za-z]+\(/.test(text)) return text.includes("\"") ? undefined : quote(text)
  return canonicalOfJson(text) ?? text
}

const bigint = /^-?\d+n$/
const number = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i

// A value that is nested too deep has no canonical text.
const canonicalOfJson = (text: string): string | undefined => {
  const value = parsed(text)
  try {
    return value === undefined ? undefined : canonicalUnsafe(value)
  } catch {
    return undefined
  }
}
