/**
 * Seals: they tell whether people have edited an entry.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Predicate from "effect/Predicate"
import { checksum } from "./checksum.ts"
import { type Kept, textOf } from "./kept.ts"
import { writtenTerms } from "./terms.ts"

/**
 * Changes with everything that is served or that decides for how long. Made from the content, not from how it is written.
 * The first four digits are of the key alone.
 */
export const sealOf = (entry: Kept): string => {
  let seal = seals.get(entry)
  if (seal === undefined) {
    seal = makeSeal(entry)
    seals.set(entry, seal)
  }
  return seal
}

const seals = new WeakMap<Kept, string>()

const makeSeal = (entry: Kept): string => {
  const { body, expiresAt, failed, fingerprint, head, key, tags } = entry
  const text = textOf(body)
  const headers = head === undefined ? [] : [String(head.status), ...Object.entries(head.headers).flat()]
  const content = text === undefined ? ["base64", Base64.encode(body)] : ["text", text]
  // No tag has a space. Entries without these have the seals that they had before there were any.
  const more = Object.entries(writtenTerms(entry)).map(([name, value]) => `${name} ${value}`)
  if (failed === true) more.push("failed true")
  const parts = [...content, String(headers.length), ...headers, String(expiresAt), fingerprint, ...tags, ...more]
  return keySeal(key) + checksum([key, ...parts])
}

const keySeal = (key: string): string => checksum([key]).slice(0, 4)

/** Whether an entry was written under another key than that under which it was found. */
export const isMoved = (json: unknown, key: string): boolean =>
  Predicate.hasProperty(json, "seal") && typeof json.seal === "string" && !json.seal.startsWith(keySeal(key))
