/**
 * What the file has of an entry, and where.
 */
import type * as CacheEntry from "../../CacheEntry.ts"
import { functionTag, keyTag } from "../tagText.ts"
import { fromReadable, toReadable } from "./readableKey.ts"

/** What the file has of an entry. Positions belong to the log of one process. */
export type Kept = Omit<CacheEntry.Stored, "position">

/** An entry that was read. `edited` tells that a person has written or changed it. */
export interface Loaded extends Kept {
  readonly edited: boolean
}

/** Where an entry stands in the file: under the name of its function, by its readable key. */
export interface Place {
  readonly name: string
  readonly key: string
}

// No readable key is empty: that is the place of a key without a tab, which no function has.
/** Where the entry of a key stands. */
export const placeOf = (key: string): Place => {
  const tab = key.indexOf("\t")
  return tab === -1 ? { name: key, key: "" } : { name: key.slice(0, tab), key: toReadable(key.slice(tab + 1)) }
}

/** The key of an entry that stands there. */
export const keyOf = ({ key, name }: Place): string => key === "" ? name : `${name}\t${fromReadable(key)}`

/** The two tags that every entry of a function has. */
export const ownTags = (key: string): ReadonlyArray<string> => {
  const tab = key.indexOf("\t")
  if (tab === -1) return []
  const tag = functionTag(key.slice(0, tab))
  return [tag, keyTag(tag, key.slice(tab + 1))]
}

/** The text of a body, `undefined` where it is none. */
export const textOf = (body: string | Uint8Array): string | undefined => {
  if (typeof body === "string") return body
  try {
    return decoder.decode(body)
  } catch {
    return undefined
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
