/**
 * The `Cache-Control` header field (RFC 9111, section 5.2), and fields that are targeted at one kind of caches (RFC 9213).
 */
import { parseDictionary } from "./structured.ts"

/** The directives by their lowercase names, each with its argument, `undefined` for one without. */
export type Directives = ReadonlyMap<string, string | undefined>

/**
 * The directives of a field value. Names are case-insensitive, an argument is a token or a quoted string (section 5.2), and
 * commas in quoted strings do not count. Unknown directives are kept (section 5.2.3). Of what is malformed `no-store`, `private`
 * and `no-cache` count wherever they stand: what is in doubt is not to be used (section 4.2.1).
 *
 * Of one that is there more than once, the most restrictive form counts (section 4.2.1): the least number of seconds, and no
 * argument before any.
 */
export const parseCacheControl = (value: string | undefined): Directives => {
  const directives = new Map<string, string | undefined>()
  if (value === undefined) return directives
  for (const member of membersOf(value)) {
    const equals = member.indexOf("=")
    const name = (equals === -1 ? member : member.slice(0, equals)).trim().toLowerCase()
    if (name === "") continue
    const argument = equals === -1 ? undefined : argumentOf(member, equals)
    directives.set(name, directives.has(name) ? stricter(name, directives.get(name), argument) : argument)
    if (!wellFormed.test(member)) {
      for (const word of wordsOf(member)) if (forbidding.has(word)) directives.set(word, undefined)
    }
  }
  return directives
}

// Other separators than commas are a usual mistake. What such a text forbids is understood, and nothing else.
const wellFormed = /^\s*(?:[\w!#$%&'*+.^`|~-]+(?:=(?:[\w!#$%&'*+.^`|~-]+|"(?:[^"\\]|\\.)*"))?\s*)?$/s
const forbidding = new Set(["no-store", "private", "no-cache"])

const wordsOf = (text: string): ReadonlyArray<string> => text.toLowerCase().match(/[\w-]+/g) ?? []

// The text between commas. A quoted string that never ends is none, so that it cannot hide what comes after it.
const membersOf = (value: string): ReadonlyArray<string> => {
  const members: Array<string> = []
  let start = 0
  let quotes = true
  for (let index = 0; index < value.length; index++) {
    if (value[index] === ",") {
      members.push(value.slice(start, index))
      start = index + 1
    } else if (value[index] === "\"" && quotes) {
      const end = endOfQuoted(value, index)
      if (end === -1) quotes = false
      else index = end
    }
  }
  members.push(value.slice(start))
  return members
}

const endOfQuoted = (value: string, start: number): number => {
  for (let index = start + 1; index < value.length; index++) {
    if (value[index] === "\"") return index
    if (value[index] === "\\") index++
  }
  return -1
}

// There is no whitespace around `=`. Where there is some it is left in the argument, so that it is no number.
const argumentOf = (member: string, equals: number): string => {
  const before = /\s$/.test(member.slice(0, equals)) ? " " : ""
  const text = before + member.slice(equals + 1).trimEnd()
  return /^"(?:[^"\\]|\\.)*"$/s.test(text) ? text.slice(1, -1).replaceAll(/\\(.)/gs, "$1") : text
}

const stricter = (name: string, one: string | undefined, other: string | undefined): string | undefined => {
  if (inSeconds.has(name)) return secondsOf(one) <= secondsOf(other) ? one : other
  return one === undefined || other === undefined ? undefined : `${one}, ${other}`
}

const inSeconds = new Set(["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"])

/** The most seconds that count (section 1.2.2). */
export const maxSeconds = 2 ** 31

const secondsOf = (argument: string | undefined): number =>
  argument !== undefined && /^\d+$/.test(argument) ? Math.min(Number(argument), maxSeconds) : 0

/**
 * The argument of a directive in seconds, `undefined` where the directive is not there. What is no number of seconds counts as
 * 0: such a response is stale (section 4.2.1). `max-stale` alone accepts any age (section 5.2.1.2): it is `Infinity`.
 */
export const deltaSeconds = (directives: Directives, name: string): number | undefined => {
  if (!directives.has(name)) return undefined
  const argument = directives.get(name)
  return name === "max-stale" && argument === undefined ? Infinity : secondsOf(argument)
}

/**
 * The directives of a targeted field such as `CDN-Cache-Control`: a dictionary (RFC 9213, section 2.1). `undefined` where it is
 * empty or invalid; then it is as if it was not there (section 2.2).
 */
export const parseTargetedControl = (value: string | undefined): Directives | undefined => {
  const members = value === undefined ? undefined : parseDictionary(value)
  if (members === undefined || members.size === 0) return undefined
  const directives = new Map<string, string | undefined>()
  for (const [name, member] of members) {
    // A value of another type makes the field invalid. One below zero has the right type, and no meaning.
    if (inSeconds.has(name) && typeof member !== "number") return undefined
    if (member !== false) directives.set(name, member === true ? undefined : textOf(member))
  }
  return directives
}

const textOf = (member: number | string | { readonly text: string }): string =>
  typeof member === "object" ? member.text : String(member)

/**
 * A field value with the directives that are `true` or have an argument, in their order. Numbers are seconds: parts of them are
 * dropped, and none is larger than {@link maxSeconds}.
 */
export const formatCacheControl = (
  directives: Readonly<Record<string, boolean | number | string | undefined>>
): string => {
  const members: Array<string> = []
  for (const name in directives) {
    const argument = directives[name]
    if (argument === true) members.push(name)
    else if (typeof argument === "number") members.push(`${name}=${toSeconds(argument)}`)
    else if (typeof argument === "string") members.push(`${name}=${isToken(argument) ? argument : quoted(argument)}`)
  }
  return members.join(", ")
}

const toSeconds = (seconds: number): number => Math.min(Math.max(0, Math.floor(seconds)), maxSeconds)

const isToken = (text: string): boolean => /^[\w!#$%&'*+.^`|~-]+$/.test(text)

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, "\\$&")}"`
