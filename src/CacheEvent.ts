/**
 * Events: what happened in a cache, for observation only. Nothing in the library depends on anyone listening.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as CacheError from "./CacheError.ts"

/**
 * Why there was no hit.
 *
 * **Details**
 *
 * `missing`: nothing was stored. `changed`: the schemas or the version of the function are others now. `invalidated`: it was
 * computed before an invalidation. `expired`: its time was over. `malformed`: what was stored could not be used.
 * `asked`: whoever asked wanted it computed anew. `early`: its time is over soon.
 *
 * @category models
 * @since 0.1.0
 */
export type Because = "missing" | "changed" | "invalidated" | "expired" | "malformed" | "asked" | "early"

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
 * - `opt-out`: whoever asked, or the computation itself, wanted it not to be stored
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
  | "opt-out"

/**
 * Why a result was served after its time.
 *
 * - `revalidating`: it is computed anew in the background
 * - `slow`: computing it anew takes longer than the soft timeout, and goes on
 * - `error`: computing it anew failed
 * - `back-off`: computing it anew failed before, and is not tried again yet
 * - `only-if-cached`: whoever asked wanted no computation
 *
 * @category models
 * @since 0.1.0
 */
export type StaleBecause = "revalidating" | "slow" | "error" | "back-off" | "only-if-cached"

/**
 * Everything that can happen in a cache.
 *
 * **Details**
 *
 * `Hit`: answered from the store. `Stale`: answered from the store after its time, as its policy allows. `Miss`: a computation
 * was started. `RefreshFailed`: one failed whose result something stale was served for. `Joined`: waited for a computation that ran
 * already. `Stored`, `Rejected`: what became of the computed value. `Invalidated`: this process appended a record to the
 * log; no tags means everything (`clear`). `Evicted`, `Expired`: removed for want of space, or of time. `Undecodable`:
 * a stored entry could not be used and counts as a miss. `StoreFailed`: the store failed or was too slow, and the
 * computation ran instead. `LogGap`: this process missed a part of the log and has forgotten what it held.
 * `LogFailed`: the log cannot be followed at the moment; nothing that is held is served. `CaughtUp`: it is followed
 * again. `LogIgnored`: something in the log is no record, and is passed over. `VariantsExceeded`: a response has more variants
 * than are kept, and the one that was not used for the longest time was removed.
 *
 * @category models
 * @since 0.1.0
 */
export type CacheEvent = Data.TaggedEnum<{
  Hit: { readonly key: string }
  Stale: { readonly key: string; readonly because: StaleBecause }
  Miss: { readonly key: string; readonly because: Because }
  RefreshFailed: { readonly key: string; readonly cause: Cause.Cause<unknown> }
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
  VariantsExceeded: { readonly key: string }
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
  RefreshFailed,
  Rejected,
  Stale,
  Stored,
  StoreFailed,
  Undecodable,
  VariantsExceeded
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
