/**
 * Events: what happened in a cache, for observation only. Nothing in the library depends on anyone listening.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as CacheError from "./CacheError.ts"

/**
 * Why there was no hit.
 *
 * **Details**
 *
 * `missing`: nothing was stored. `changed`: the schemas or the version of the function are others now. `invalidated`: it was
 * computed before an invalidation. `expired`: its time was over. `malformed`: what was stored could not be used.
 *
 * @category models
 * @since 0.1.0
 */
export type Because = "missing" | "changed" | "invalidated" | "expired" | "malformed"

/**
 * Why a value that was computed is not stored.
 *
 * - `invalidated`: something it depends on changed while it was computed
 * - `silent-log`: the log has not been heard from for too long, so nobody can tell whether it is valid
 * - `superseded`: a computation that was started later stands in its place
 * - `no-lifetime`: its time to live is zero
 * - `too-large`: it alone is larger than the store may be
 * - `tag`: one of its tags is malformed
 * - `result`: it does not fit the function's own schema
 * - `response`: HTTP, or its form, forbids to store it
 * - `policy`: its time to live is unusable
 *
 * @category models
 * @since 0.1.0
 */
export type RejectedReason =
  | "invalidated"
  | "silent-log"
  | "superseded"
  | "no-lifetime"
  | "too-large"
  | "tag"
  | "result"
  | "response"
  | "policy"

/**
 * Everything that can happen in a cache.
 *
 * **Details**
 *
 * `Hit`: answered from the store. `Miss`: a computation was started. `Joined`: waited for a computation that ran
 * already. `Stored`, `Rejected`: what became of the computed value. `Invalidated`: this process appended a record to the
 * log; no tags means everything (`clear`). `Evicted`, `Expired`: removed for want of space, or of time. `Undecodable`:
 * a stored entry could not be used and counts as a miss. `StoreFailed`: the store failed or was too slow, and the
 * computation ran instead. `LogGap`: this process missed a part of the log and has forgotten what it held.
 * `LogFailed`: the log cannot be followed at the moment; nothing that is held is served. `CaughtUp`: it is followed
 * again. `LogIgnored`: something in the log is no record, and is passed over.
 *
 * @category models
 * @since 0.1.0
 */
export type CacheEvent = Data.TaggedEnum<{
  Hit: { readonly key: string }
  Miss: { readonly key: string }
  Joined: { readonly key: string }
  Stored: { readonly key: string; readonly tags: ReadonlyArray<string>; readonly expiresAt: number }
  Rejected: {
    readonly key: string
    readonly reason: RejectedReason
    readonly error: CacheError.CacheError | undefined
  }
  Invalidated: { readonly tags: ReadonlyArray<string>; readonly position: number }
  Evicted: { readonly key: string }
  Expired: { readonly key: string }
  Undecodable: { readonly key: string; readonly error: CacheError.CacheError }
  StoreFailed: { readonly key: string; readonly error: CacheError.CacheError }
  LogGap: { readonly position: number }
  LogFailed: { readonly error: CacheError.CacheError }
  LogIgnored: { readonly problem: string }
  CaughtUp: { readonly position: number }
}>

const constructors = Data.taggedEnum<CacheEvent>()

/**
 * Constructors of the events.
 *
 * @category constructors
 * @since 0.1.0
 */
export const {
  CaughtUp,
  Evicted,
  Expired,
  Hit,
  Invalidated,
  Joined,
  LogFailed,
  LogGap,
  LogIgnored,
  Miss,
  Rejected,
  Stored,
  StoreFailed,
  Undecodable
} = constructors

/**
 * Matches an event by its tag, exhaustively.
 *
 * **Example** (One line for each event)
 *
 * ```ts import.meta.vitest
 * import { CacheEvent } from "effect-cached"
 *
 * const describe = (event: CacheEvent.CacheEvent): string =>
 *   event._tag === "Rejected" ? `${event.key} was not stored: ${event.reason}` : event._tag
 *
 * describe(CacheEvent.Rejected({ key: "user", reason: "too-large", error: undefined })) // => "user was not stored: too-large"
 * ```
 *
 * @category pattern matching
 * @since 0.1.0
 */
export const match = constructors.$match
