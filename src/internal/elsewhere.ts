/**
 * How processes that share a store share one computation: one has the lease, the others wait for what it stores.
 *
 * Nothing depends on it but the number of executions. Whatever goes wrong, the computation runs here.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import { describe, serverError } from "./errors.ts"

type Taking =
  | { readonly _tag: "Held"; readonly give: (ending: "stored" | "nothing") => void }
  | {
    readonly _tag: "Taken"
    readonly ended: Effect.Effect<"stored" | "nothing" | "expired" | "waited", CacheError.CacheError>
  }

export interface Lease {
  readonly take: (key: string) => Effect.Effect<Taking, CacheError.CacheError, Scope.Scope>
}

/** What came of asking for the lease: an entry from elsewhere, the right to compute here, or neither for who did not wait. */
export type Turn =
  | { readonly _tag: "Found"; readonly entry: CacheEntry.CacheEntry }
  | { readonly _tag: "Compute"; readonly give: (ending: "stored" | "nothing") => void }
  | { readonly _tag: "Left" }

/**
 * Waits for the lease of a key, or for what its holder stores. `find` looks into the store, `leave` says whether to go rather than
 * to wait, and `onError` hears of leases that cannot be had.
 */
export const awaitTurn = Effect.fnUntraced(function*(
  lease: Lease,
  key: string,
  find: Effect.Effect<CacheEntry.CacheEntry | undefined>,
  leave: () => boolean,
  onError: (error: CacheError.CacheError) => void
): Effect.fn.Return<Turn, never, Scope.Scope> {
  for (let round = 0; round < maxRounds; round++) {
    const taking = yield* settled(() => lease.take(key))
    if (Result.isFailure(taking)) {
      onError(taking.failure)
      return alone
    }
    // Who had it before may have stored what is wanted after the store was asked.
    const held = taking.success._tag === "Held" ? taking.success : undefined
    if (taking.success._tag === "Taken") {
      if (leave()) return { _tag: "Left" }
      const { ended } = taking.success
      const ending = yield* settled(() => ended)
      if (Result.isFailure(ending)) {
        onError(ending.failure)
        return alone
      }
      if (ending.success === "waited") return alone
    }
    const entry = yield* find
    if (entry !== undefined) return { _tag: "Found", entry }
    if (held !== undefined) return { _tag: "Compute", give: held.give }
  }
  return alone
})

const settled = <A, R>(
  run: () => Effect.Effect<A, CacheError.CacheError, R>
): Effect.Effect<Result.Result<A, CacheError.CacheError>, never, R> =>
  Effect.catchDefect(
    Effect.result(Effect.suspend(run)),
    (defect) =>
      Effect.succeed(Result.fail(serverError("rejected", `The lease cannot be had: ${describe(defect)}`, defect)))
  )

// Those who waited in vain so often compute at the same time, one in each process.
const maxRounds = 3

const alone: Turn = { _tag: "Compute", give: () => {} }
