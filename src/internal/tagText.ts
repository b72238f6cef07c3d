/**
 * The text form of tags: segments joined by `:`, other characters percent-encoded.
 */
import { digest } from "./digest.ts"

/** The most bytes a tag may have. */
export const maxTagBytes = 256

/** The most segments a tag may have. */
export const maxTagSegments = 17

const wellFormed = /^(?:[\w.-]|%[0-9A-F]{2})+(?::(?:[\w.-]|%[0-9A-F]{2})+)*$/

/**
 * Says why a text is not a tag, or `undefined` when it is one.
 */
export const tagProblem = (text: string): string | undefined =>
  text.length <= maxTagBytes && wellFormed.test(text) && countSegments(text) <= maxTagSegments
    ? undefined
    : problemOf(text)

const problemOf = (text: string): string => {
  if (text.length === 0) return "it is empty"
  const interpolation = /\{(the value of [^}]*)\}/.exec(text)
  if (interpolation !== null) return interpolation[1]!
  if (text.length > maxTagBytes) return `it has ${text.length} bytes, the most is ${maxTagBytes}`
  if (text.startsWith(":")) return "it starts with ':'"
  if (text.endsWith(":")) return "it ends with ':'"
  if (text.includes("::")) return "it has an empty segment ('::')"
  if (!wellFormed.test(text)) {
    const bad = /[^\w.:%-]|%(?![0-9A-F]{2})/u.exec(text)
    return `character ${JSON.stringify(bad === null ? text : bad[0])} at index ${bad === null ? 0 : bad.index} ` +
      "is not allowed: a tag has letters, digits and _ . : - (build tags from other text with the tag`…` template)"
  }
  return `it has ${countSegments(text)} segments, the most is ${maxTagSegments}`
}

const countSegments = (text: string): number => {
  let count = 1
  for (let index = text.indexOf(":"); index !== -1; index = text.indexOf(":", index + 1)) count++
  return count
}

/**
 * Exactly one segment for any text. Injective: two texts never give the same segment. The empty text is `%00`, and a
 * NUL character, which no longer has that form, is `%00%00`.
 */
export const escapeSegment = (text: string): string => {
  if (text.length === 0) return "%00"
  let out = ""
  let copied = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code >= escaped.length) return text.replace(/[^\w.-]/gu, escapeCharacter)
    const instead = escaped[code]
    if (instead === undefined) continue
    out += text.slice(copied, index) + instead
    copied = index + 1
  }
  return copied === 0 ? text : out + text.slice(copied)
}

const escapeCharacter = (character: string): string => escaped[character.charCodeAt(0)] ?? encodeBytes(character)

// `encodeURIComponent` leaves !'()*~ alone and refuses a lone surrogate, which has no UTF-8 form: it is written as the
// three bytes that UTF-8 would give its code point, so that different texts stay different.
const encodeBytes = (character: string): string => {
  const code = character.codePointAt(0)!
  if (code >= 0xd800 && code <= 0xdfff) {
    return percent(0xe0 | (code >> 12)) + percent(0x80 | ((code >> 6) & 0x3f)) + percent(0x80 | (code & 0x3f))
  }
  return encodeURIComponent(character)
}

const percent = (byte: number): string => "%" + byte.toString(16).toUpperCase().padStart(2, "0")

// Of ASCII, made once: the tag of every key has some of them. What stays as it is has none.
const escaped: ReadonlyArray<string | undefined> = Array.from(
  { length: 0x80 },
  (_, code) => /[\w.-]/.test(String.fromCharCode(code)) ? undefined : code === 0 ? "%00%00" : percent(code)
)

/**
 * Whether invalidating `tags` ends what carries a tag: it or one of its ancestors is among them. None at all ends everything.
 */
export const covering = (tags: ReadonlyArray<string>): (tag: string) => boolean => {
  if (tags.length === 0) return () => true
  const named = new Set(tags)
  return (tag) => {
    for (let end = tag.indexOf(":"); end !== -1; end = tag.indexOf(":", end + 1)) {
      if (named.has(tag.slice(0, end))) return true
    }
    return named.has(tag)
  }
}

/**
 * Whether invalidating `ancestor` ends something that carries one of `sorted`, a list in code unit order: two binary
 * searches, so that the number of tags hardly matters.
 */
export const coversAny = (ancestor: string, sorted: ReadonlyArray<string>): boolean => {
  const exact = lowerBound(sorted, ancestor)
  if (exact < sorted.length && sorted[exact] === ancestor) return true
  const prefix = ancestor + ":"
  const below = lowerBound(sorted, prefix)
  return below < sorted.length && sorted[below]!.startsWith(prefix)
}

const lowerBound = (sorted: ReadonlyArray<string>, text: string): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < text) low = middle + 1
    else high = middle
  }
  return low
}

// The implicit tags start with a segment that no user can write: after `%` a tag has two hexadecimal digits.
const functionRoot = "%fn:"
const longestPlainKey = 96

/** The implicit tag that every entry of a function carries. */
export const functionTag = (name: string): string => functionRoot + boundedSegment(name)

/** The implicit tag that only the entry of this function and key carries. */
export const keyTag = (functionTag: string, key: string): string => functionTag + ":" + boundedSegment(key)

// `%sha` cannot come out of `escapeSegment`, so a digest never equals a short text that looks like one.
const boundedSegment = (text: string): string =>
  text.length > longestPlainKey ? "%sha" + digest(text) : escapeSegment(text)
