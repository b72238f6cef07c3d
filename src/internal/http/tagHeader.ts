/**
 * Tags in the header fields by which a cache in front can be purged.
 */
import type { TagHeader } from "../../HttpPolicy.ts"
import { formatString } from "./structured.ts"

/** What a field can hold, in bytes, and how its members stand in it. */
interface Limits {
  readonly perTag: number
  readonly total: number
  readonly count: number
  readonly separator: string
  readonly format: (tag: string) => string
}

const plain = (tag: string): string => tag

/** The limits that are documented for each field, or that every cache has to support. */
export const limits: Readonly<Record<TagHeader, Limits>> = {
  // Cloudflare, "Purge cache by cache-tags": 16 KB after the name, with the commas; 1024 characters in a call that purges.
  "Cache-Tag": { perTag: 1024, total: 16_384, count: Infinity, separator: ",", format: plain },
  // Fastly, "Surrogate-Key": 1024 bytes a key, 16 384 in all.
  "Surrogate-Key": { perTag: 1024, total: 16_384, count: Infinity, separator: " ", format: plain },
  // Varnish, parameter `http_resp_hdr_len`: a line has 8 KB unless it is set to more, with its name.
  xkey: { perTag: Infinity, total: 8192 - "xkey: ".length, count: Infinity, separator: " ", format: plain },
  // RFC 9875, section 2: 32 groups of 32 characters are what every cache supports.
  "Cache-Groups": { perTag: 32, total: Infinity, count: 32, separator: ", ", format: formatString }
}

/**
 * The name and value of the field with the tags of a response, each with its ancestors: a purge of `org:1` has to find what
 * carries `org:1:user:2`. Implicit tags are not sent. What does not fit is left out, descendants before their ancestors;
 * `undefined` where nothing is left.
 *
 * Tags have no character that would need escaping in any of the fields (`internal/tagText.ts`).
 */
export const tagHeader = (name: TagHeader, tags: ReadonlyArray<string>): readonly [string, string] | undefined => {
  const { count, format, perTag, separator, total } = limits[name]
  const members: Array<string> = []
  let bytes = -separator.length
  for (const tag of withAncestors(tags)) {
    if (members.length === count) break
    const member = format(tag)
    if (tag.length > perTag || bytes + separator.length + member.length > total) continue
    bytes += separator.length + member.length
    members.push(member)
  }
  return members.length === 0 ? undefined : [name.toLowerCase(), members.join(separator)]
}

// Ancestors of all tags come first, shortest first: what is left out is what the fewest purges name.
const withAncestors = (tags: ReadonlyArray<string>): ReadonlyArray<string> => {
  const byDepth: Array<Set<string>> = []
  for (const tag of tags) {
    if (tag.startsWith(implicit)) continue
    let depth = 0
    for (let end = tag.indexOf(":"); end !== -1; end = tag.indexOf(":", end + 1)) {
      add(byDepth, depth++, tag.slice(0, end))
    }
    add(byDepth, depth, tag)
  }
  return byDepth.flatMap((tags) => Array.from(tags))
}

const add = (byDepth: Array<Set<string>>, depth: number, tag: string): void => {
  const tags = byDepth[depth]
  if (tags === undefined) byDepth[depth] = new Set([tag])
  else tags.add(tag)
}

// No tag of a user starts with it: after `%` it would have two hexadecimal digits.
const implicit = "%fn:"
