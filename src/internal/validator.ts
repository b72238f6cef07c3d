/**
 * The validator of a body.
 */
import type * as CacheEntry from "../CacheEntry.ts"
import { digest } from "./digest.ts"

/** A strong entity tag of a body: equal for equal bytes, in every process (RFC 9110, section 8.8.3). */
export const validatorOf = (body: CacheEntry.Stored["body"]): string => `"${digest(body)}"`

/**
 * The validator to store with an entry, which is made where it is written, and not for each hit. Nobody asks for that of a failure, and a response that has
 * one of its own keeps it.
 */
export const storedValidator = ({ body, etag, failed, head }: CacheEntry.Stored): string | undefined =>
  etag ?? (failed === true || head?.headers["etag"] !== undefined ? undefined : validatorOf(body))
