/**
 * Validators and conditional requests (RFC 9110, sections 8.8.3 and 13.1.2).
 */
import type * as CacheEntry from "../../CacheEntry.ts"
import { digest } from "../digest.ts"

/** The strong validator of an entry's body. */
export const etagOf = (entry: CacheEntry.CacheEntry): string => entry.etag ??= `"${digest(entry.body)}"`

/**
 * Whether `If-None-Match` names a validator: `*`, or a list in which one is equal by weak comparison (section 8.8.3.2).
 */
export const matches = (ifNoneMatch: string, etag: string): boolean => {
  if (ifNoneMatch.trim() === "*") return true
  const opaque = withoutWeak(etag)
  return (ifNoneMatch.match(entityTag) ?? []).some((candidate) => withoutWeak(candidate) === opaque)
}

// An opaque tag may hold commas, so a list is not split at them.
const entityTag = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

const withoutWeak = (etag: string): string => etag.startsWith("W/") ? etag.slice(2) : etag
