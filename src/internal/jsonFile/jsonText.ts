/**
 * Walks over JSON text without building its values.
 */

const quoteMark = 34
const backslash = 92
const newline = 10
const openBrace = 123
const closeBrace = 125
const openBracket = 91
const closeBracket = 93

/** The index after the string that starts at `from`, or -1 where it does not end. */
export const endOfString = (text: string, from: number): number => {
  for (let end = text.indexOf("\"", from + 1); end !== -1; end = text.indexOf("\"", end + 1)) {
    let before = end - 1
    while (text.charCodeAt(before) === backslash) before--
    if ((end - before) % 2 === 1) return end + 1
  }
  return -1
}

/** Goes through the members of objects, one after the other. All its steps return `false` where the text is malformed. */
export interface Cursor {
  readonly index: () => number
  /** Goes to what follows white space, and tells whether it is this character. */
  readonly isAt: (character: string) => boolean
  /** Goes over an object. `member` is called before each value, with its name and where that starts, and goes over it. */
  readonly object: (member: (name: string, at: number) => boolean) => boolean
  /** Goes over a value. Only its brackets and strings are looked at. */
  readonly skip: () => boolean
}

export const makeCursor = (text: string, from: number): Cursor => {
  let index = from
  let lineEnd = -1

  // A string ends on its line. So a quote that is missing spoils no more than one line.
  const string = (): boolean => {
    if (lineEnd < index) {
      lineEnd = text.indexOf("\n", index)
      if (lineEnd === -1) lineEnd = Infinity
    }
    const end = endOfString(text, index)
    if (end === -1 || end > lineEnd) return false
    index = end
    return true
  }

  const isAt = (character: string): boolean => {
    while (isSpace(text.charCodeAt(index))) index++
    return text[index] === character
  }

  const takes = (character: string): boolean => {
    if (!isAt(character)) return false
    index++
    return true
  }

  const object = (member: (name: string, at: number) => boolean): boolean => {
    if (!takes("{")) return false
    if (takes("}")) return true
    do {
      if (!isAt("\"")) return false
      const at = index
      if (!string()) return false
      const name = parsed(text.slice(at, index))
      if (typeof name !== "string" || !takes(":") || !member(name, at)) return false
    } while (takes(","))
    return takes("}")
  }

  const skip = (): boolean => {
    if (isAt("\"")) return string()
    const first = text.charCodeAt(index)
    if (first === openBrace || first === openBracket) return brackets()
    const start = index
    while (index < text.length && !isEndOfScalar(text.charCodeAt(index))) index++
    return index > start
  }

  const brackets = (): boolean => {
    let depth = 0
    while (index < text.length) {
      const code = text.charCodeAt(index)
      if (code === quoteMark) {
        if (!string()) return false
        continue
      }
      index++
      if (code === openBrace || code === openBracket) depth++
      else if ((code === closeBrace || code === closeBracket) && --depth === 0) return true
    }
    return false
  }

  return { index: () => index, isAt, object, skip }
}

const isSpace = (code: number): boolean => code === 32 || code === newline || code === 13 || code === 9

const isEndOfScalar = (code: number): boolean =>
  isSpace(code) || code === 44 || code === closeBrace || code === closeBracket || code === quoteMark

/** The value of a JSON text, `undefined` where it has none. */
export const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Where a text stops being JSON. */
export interface Malformed {
  readonly index: number
  readonly message: string
}

/** The first place where a text is not JSON, `undefined` where all of it is. */
export const malformedAt = (text: string): Malformed | undefined => {
  // The brackets that are open, and what may come next.
  const open: Array<"}" | "]"> = []
  let expected: "value" | "value or ]" | "name" | "name or }" | "colon" | "end" = "value"
  let index = 0
  for (;;) {
    while (isSpace(text.charCodeAt(index))) index++
    const problem = (message: string): Malformed => ({
      index,
      message: `${message}, found ${index < text.length ? found(text, index) : "the end of the file"}`
    })
    const character = text[index]
    const closes = character !== undefined && character === open.at(-1)
    if (expected === "end") {
      if (open.length === 0) return index === text.length ? undefined : problem("expected nothing after the last }")
      if (closes) open.pop()
      else if (character === ",") expected = open.at(-1) === "}" ? "name" : "value"
      else return problem(`expected , or ${open.at(-1)}`)
      index++
    } else if (expected === "colon") {
      if (character !== ":") return problem("expected : after a name")
      expected = "value"
      index++
    } else if (closes && expected.includes(" or ")) {
      open.pop()
      expected = "end"
      index++
    } else if (expected.startsWith("name") || character === "\"") {
      const end = character === "\"" ? endOfString(text, index) : -1
      if (character !== "\"") return problem("expected a name in double quotes")
      if (end === -1 || parsed(text.slice(index, end)) === undefined) {
        return problem("expected a text that ends with a double quote on its line and has no unknown escapes")
      }
      expected = expected.startsWith("name") ? "colon" : "end"
      index = end
    } else if (character === "{" || character === "[") {
      open.push(character === "{" ? "}" : "]")
      expected = character === "{" ? "name or }" : "value or ]"
      index++
    } else {
      scalar.lastIndex = index
      const match = scalar.exec(text)
      if (match === null) return problem("expected a value")
      expected = "end"
      index += match[0].length
    }
  }
}

const scalar = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y

const found = (text: string, index: number): string => {
  const rest = /^[^\r\n]{1,30}/u.exec(text.slice(index, index + 40))
  return rest === null ? "the end of the line" : JSON.stringify(rest[0])
}

/** Tells the line of an index, from 1. Quick where indices are asked for in order. */
export const makeLines = (text: string) => {
  let line = 1
  let start = 0
  let last = -1
  return (index: number): { readonly line: number; readonly column: number } => {
    if (index < start) {
      line = 1
      start = 0
      last = -1
    }
    for (let next = text.indexOf("\n", start); next !== -1 && next < index; next = text.indexOf("\n", start)) {
      line++
      start = next + 1
      last = next
    }
    return { line, column: index - last }
  }
}
