/**
 * The names of keys and channels on a Redis server.
 *
 * All start with `<namespace>:<format version>:`. Neither part of that can hold a `:` of its own, so that no namespace is the
 * start of another, and nothing but the log has a hash tag, so that a Cluster spreads the entries over its nodes.
 */
import * as Effect from "effect/Effect"
import type * as CacheError from "../../CacheError.ts"
import { digest } from "../digest.ts"
import { definitionError } from "../errors.ts"

/** The names of one namespace. */
export interface Names {
  /** Of the entry of a key. */
  readonly entry: (key: string) => string
  /** Of the lease of a key. */
  readonly lease: (key: string) => string
  /** Of the invalidation log. */
  readonly log: string
  /** Of the channel on which those who wait for a lease are woken. */
  readonly wake: string
  /** What exactly the names of entries match, as a glob of `SCAN`. */
  readonly entryPattern: string
}

/** The namespace of those who say none. */
export const defaultNamespace = "effect-cached"

/**
 * The names of a namespace. Fails with a `CacheError` of reason `DefinitionError` for the empty one. `where` names it in the
 * message, `version` is that of the stored form.
 */
export const names = (
  where: string,
  namespace: string,
  version: number
): Effect.Effect<Names, CacheError.CacheError> => {
  if (namespace === "") {
    return Effect.fail(definitionError(where, "it is empty: what is on the server could not be told from other keys"))
  }
  const escaped = escape(namespace, specialInNamespace)
  const start = `${escaped}:${version}:`
  const entry = `${start}entry:`
  const lease = `${start}lease:`
  return Effect.succeed({
    entry: (key) => entry + keyPart(key),
    lease: (key) => lease + keyPart(key),
    log: `${start}log:{${escaped}}`,
    wake: `${start}wake`,
    entryPattern: `${entry.replace(/[*?[\]\\]/g, String.raw`\$&`)}*`
  })
}

// Long keys cost memory on the server and time on each way there. `#` is escaped, so that no short key looks like a long one.
const keyPart = (key: string): string => {
  const escaped = escape(key, specialInKey)
  return escaped.length > 200 ? `#${digest(escaped)}` : escaped
}

// `%` comes first, because it is what the others become.
const specialInNamespace = [["%", "%25"], [":", "%3a"], ["{", "%7b"], ["}", "%7d"]] as const
const specialInKey = [["%", "%25"], ["{", "%7b"], ["#", "%23"]] as const

// One by one, because that is several times quicker than one pattern for all: this is done for each read.
const escape = (text: string, special: ReadonlyArray<readonly [character: string, escaped: string]>): string => {
  let out = text
  for (const [character, escaped] of special) {
    if (out.includes(character)) out = out.replaceAll(character, escaped)
  }
  // Half a surrogate pair has no form in UTF-8: all of them would become one character.
  return out.isWellFormed() ? out : out.replaceAll(halfPair, (half) => `%u${half.charCodeAt(0).toString(16)}`)
}

const halfPair = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
