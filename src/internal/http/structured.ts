/**
 * Structured fields (RFC 9651), as far as caching needs them.
 */

/**
 * The members of a dictionary (section 4.2.2) without their parameters; `undefined` where it is none. A member without a value is
 * `true`; an inner list is given as its text.
 */
export const parseDictionary = (text: string): ReadonlyMap<string, Bare> | undefined => {
  const members = new Map<string, Bare>()
  const end = trimmedEnd(text)
  let index = 0
  while (text[index] === " ") index++
  while (index < end) {
    member.lastIndex = index
    const match = member.exec(text)
    if (match === null) return undefined
    // The last of several members of one name counts.
    members.set(match[1]!, match[2] === undefined ? true : bareOf(match[2]))
    index = member.lastIndex
    if (index === end) return members
    separator.lastIndex = index
    if (!separator.test(text)) return undefined
    index = separator.lastIndex
    // Nothing may follow the last comma.
    if (index >= end) return undefined
  }
  return members
}

/** A value. Only integers are numbers: what caching has no use for, such as a decimal, is given as its text. */
export type Bare = number | boolean | string | { readonly text: string }

const key = "[a-z*][a-z0-9_.*-]*"
const bare = [
  "-?\\d{1,12}\\.\\d{1,3}",
  "-?\\d{1,15}",
  "\"(?:[ !#-[\\]-~]|\\\\[\"\\\\])*\"",
  "[A-Za-z*][\\w!#$%&'*+.^`|~:/-]*",
  ":[A-Za-z0-9+/=]*:",
  "\\?[01]",
  "@-?\\d{1,15}",
  "%\"(?:[ !#$&-~]|%[0-9a-f]{2})*\""
].join("|")
const parameters = `(?:; *${key}(?:=(?:${bare}))?)*`
const item = `(?:${bare})${parameters}`
const list = `\\( *(?:${item}(?: +${item})* *)?\\)`
const member = new RegExp(`(${key})(?:=(${bare}|${list}))?${parameters}`, "y")
const separator = /[ \t]*,[ \t]*/y

const trimmedEnd = (text: string): number => {
  let end = text.length
  while (end > 0 && text[end - 1] === " ") end--
  return end
}

const bareOf = (text: string): Bare => {
  if (/^-?\d+$/.test(text)) return Number(text)
  if (text.startsWith("?")) return text === "?1"
  if (text.startsWith("\"")) return text.slice(1, -1).replaceAll(/\\(["\\])/g, "$1")
  return /^[A-Za-z*]/.test(text) ? text : { text }
}

/** A string (section 4.1.6). It may hold printable ASCII only, so all else is written as UTF-8 in percent-encoding, as is `%`. */
export const formatString = (text: string): string =>
  `"${text.replaceAll(/[^ !#$&-[\]-~]+/g, (characters) => Array.from(characters, escaped).join(""))}"`

const escaped = (character: string): string => {
  if (character === "\"" || character === "\\") return `\\${character}`
  return Array.from(encoder.encode(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(
    ""
  )
}

const encoder = new TextEncoder()
