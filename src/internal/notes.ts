/**
 * Notes: short texts in the store that are hints and nothing more, so that nobody has to ask whether they are valid.
 */
import * as CacheEntry from "../CacheEntry.ts"

const noteFingerprint = "note-1"

// In milliseconds: a day. Whoever still has use for a note writes it again.
const lifetime = 24 * 60 * 60 * 1000

/** A note as an entry. */
export const noteOf = (key: string, text: string, tags: ReadonlyArray<string>, position: number, now: number) =>
  new CacheEntry.CacheEntry({
    key,
    fingerprint: noteFingerprint,
    body: text,
    head: undefined,
    tags,
    position,
    createdAt: now,
    expiresAt: now + lifetime
  })

/** The text of a note, `undefined` where something else stands in its place. */
// Bytes that are no text are no note. That they are broken has not to be said: a note is only ever a hint.
export const textOfNote = (entry: CacheEntry.CacheEntry | undefined, key: string): string | undefined => {
  if (entry === undefined || entry.key !== key || entry.fingerprint !== noteFingerprint) return undefined
  try {
    return CacheEntry.text(entry)
  } catch {
    return undefined
  }
}
