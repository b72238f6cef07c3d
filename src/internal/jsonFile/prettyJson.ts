/**
 * JSON text for people: what fits on a line stays on it.
 */
import { endOfString } from "./jsonText.ts"

const maxColumns = 100
// Deeper parts stay on one line, or indentation would outgrow what is indented.
const maxLevels = 40

/** The JSON text of a value, its lines after the first indented by `indent`. */
export const prettyJson = (value: unknown, indent: number): string => prettyText(JSON.stringify(value), indent, indent)

/**
 * As {@link prettyJson}, of the text that `JSON.stringify` makes. The first line starts at `column`. Nothing here calls
 * itself, so that any depth can be written.
 */
export const prettyText = (json: string, indent: number, column: number): string => {
  const containers = measure(json)
  const open: Array<Container> = []
  const out: Array<string> = []
  let at = column
  let ordinal = 0

  const write = (text: string) => {
    out.push(text)
    at += text.length
  }
  const breakLine = () => {
    const margin = " ".repeat(indent + 2 * open.length)
    out.push("\n", margin)
    at = margin.length
  }

  for (let index = 0; index < json.length;) {
    const character = json[index]!
    const inner = open.at(-1)
    if (character === "{" || character === "[") {
      const container = containers[ordinal]!
      if (at + container.width + 1 <= maxColumns || open.length === maxLevels || container.end === index + 2) {
        write(onOneLine(json, index, container.end))
        ordinal = container.next
        index = container.end
        continue
      }
      ordinal++
      write(character)
      open.push(container)
      breakLine()
    } else if (character === "}" || character === "]") {
      open.pop()
      breakLine()
      write(character)
    } else if (character === ",") {
      write(",")
      if (inner?.numeric === true && at + 2 + endOfScalar(json, index + 1) - (index + 1) <= maxColumns) write(" ")
      else breakLine()
    } else if (character === ":") write(": ")
    else {
      const end = character === "\"" ? endOfString(json, index) : endOfScalar(json, index)
      write(json.slice(index, end))
      index = end
      continue
    }
    index++
  }
  return out.join("")
}

/** An object or array: where it ends, the ordinal of what follows it, how wide it is on one line. */
interface Container {
  end: number
  next: number
  width: number
  /** An array of numbers, booleans and nulls: as many as fit stand on one line. */
  numeric: boolean
}

// All objects and arrays, in the order in which they start.
const measure = (json: string): ReadonlyArray<Container> => {
  const all: Array<Container> = []
  const open: Array<Container> = []
  let spaces = 0
  for (let index = 0; index < json.length; index++) {
    const character = json[index]!
    if (character === "{" || character === "[") {
      const parent = open.at(-1)
      if (parent !== undefined) parent.numeric = false
      // Objects have a space inside of each brace.
      if (character === "{" && json[index + 1] !== "}") spaces += 2
      const container = { end: 0, next: 0, width: -index - spaces, numeric: character === "[" }
      if (character === "{" && json[index + 1] !== "}") container.width += 2
      all.push(container)
      open.push(container)
    } else if (character === "}" || character === "]") {
      const container = open.pop()!
      container.end = index + 1
      container.next = all.length
      container.width += container.end + spaces
    } else if (character === "," || character === ":") spaces++
    else if (character === "\"") {
      const parent = open.at(-1)
      if (parent !== undefined) parent.numeric = false
      index = endOfString(json, index) - 1
    }
  }
  return all
}

const onOneLine = (json: string, from: number, to: number): string => {
  let out = ""
  let copied = from
  for (let index = from; index < to; index++) {
    const character = json[index]!
    if (character === "\"") index = endOfString(json, index) - 1
    else if (character === "," || character === ":" || (character === "{" && json[index + 1] !== "}")) {
      out += json.slice(copied, index + 1) + " "
      copied = index + 1
    } else if (character === "}" && json[index - 1] !== "{") {
      out += json.slice(copied, index) + " "
      copied = index
    }
  }
  return out + json.slice(copied, to)
}

const endOfScalar = (json: string, from: number): number => {
  let index = from
  while (index < json.length && !",]}".includes(json[index]!)) index++
  return index
}
