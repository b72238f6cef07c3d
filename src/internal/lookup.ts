/**
 * What a cache is asked, what a computation gives it, and what it answers.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import type * as CacheEvent from "../CacheEvent.ts"
import type * as CachePolicy from "../CachePolicy.ts"
import type { Flight } from "./flight.ts"
import type { Encoded } from "./inputKey.ts"
import type { Policy } from "./policy.ts"

/** What a computation gives to the cache. */
export interface Computed {
  /** The key to store under, where only the computation could tell it. Default: the key that was looked up. */
  readonly key?: string | undefined
  /** Handed back where it cannot be stored. */
  readonly value: unknown
  /** The encoded form, `undefined` together with a `rejected` reason where there is none. */
  readonly body: string | Uint8Array | undefined
  readonly head?: CacheEntry.ResponseHead | undefined
  /** In milliseconds, `Infinity` for no end. */
  readonly timeToLive: number
  /** How long after its end it may be served stale, and is kept: in milliseconds, in place of what the policy says. */
  readonly staleWhileRevalidate?: number | undefined
  readonly staleIfError?: number | undefined
  readonly keep?: number | undefined
  /** How old the response is already, in milliseconds: it goes into its head. Its time to live began that long ago. */
  readonly age?: number | undefined
  /** The failure of which `body` is the error. It is handed out as a failure, and stored as one. */
  readonly failure?: Exit.Exit<never, unknown> | undefined
  /** Whether what is stale is better than this, as it is better than a failure. */
  readonly unwell?: boolean | undefined
  readonly rejected?: CacheEvent.RejectedReason | undefined
  readonly error?: CacheError.CacheError | undefined
}

/** What a cache is asked for: the entry of a key, or its computation. */
export interface Lookup {
  readonly key: string
  readonly fingerprint: string
  /** What the computation runs with. It gets a `Scope` of its own. */
  readonly context: Context.Context<never>
  /** Runs at most once for all who ask, is given one of their lookups, and adds tags to the flight. */
  readonly compute: (flight: Flight, request: Lookup) => Effect.Effect<Computed, unknown, Scope.Scope>
  /** What a cached function computes with: its input, encoded, and what `varyBy` has given. */
  readonly encoded?: Encoded | undefined
  readonly varied?: unknown
  /** Skips reading the store. */
  readonly fresh?: boolean | undefined
  /** Whether the answer waits until the store has answered, too. */
  readonly durable?: boolean | undefined
  /** Whether the log is asked first, so that nothing is served that was invalidated anywhere before this lookup. */
  readonly strong?: boolean | undefined
  /** `false` for who rather does something else than wait while another process computes the same. */
  readonly patient?: boolean | undefined
  /**
   * The body as it has to be, of an entry that people may have changed, and the tags that it has in any case. Default: every
   * entry is as it has to be.
   */
  readonly check?:
    | ((entry: CacheEntry.CacheEntry, request: Lookup) => Effect.Effect<Checked, CacheError.CacheError>)
    | undefined
  /** How long results live, and what may be served after that. Default: as long as the computation says, and nothing. */
  readonly policy?: Policy | undefined
  /** Whether nothing is computed: it fails with a `CacheError` of reason `NotCachedError` where nothing may be served. */
  readonly onlyIfCached?: boolean | undefined
  /** Whether what is computed is not stored. */
  readonly noStore?: boolean | undefined
}

/** The lookup of a key, for the fiber that asks. `encoded` is the input, and `varied` what `varyBy` has given. */
export type MakeLookup = (
  key: string,
  encoded: Encoded,
  varied: unknown,
  fiber: Fiber.Fiber<unknown, unknown>
) => Lookup

/** What an entry should be. */
export interface Checked {
  readonly body: string | Uint8Array
  readonly tags: ReadonlyArray<string>
}

/** What a lookup ends with. */
export interface Answer {
  /**
   * `hit`: it was held or found in the store. `stale`: the same, after its time. `miss`: this call started the computation.
   * `joined`: it waited for one that ran already. `elsewhere`: another process computes it, and this call did not wait for that.
   */
  readonly how: "hit" | "stale" | "miss" | "joined" | "elsewhere"
  /** Why something stale was served, where it was. */
  readonly stale: CacheEvent.StaleBecause | undefined
  /** Why it is not a hit; for one that joined, why the computation was started. */
  readonly because: CacheEvent.Because
  /** How the computation ended, `undefined` for a hit and for one elsewhere. */
  readonly exit: Exit.Exit<unknown, unknown> | undefined
  /** There for a hit, and for a computed value that could be encoded. */
  readonly entry: CacheEntry.CacheEntry | undefined
  /** Why the value was not stored. */
  readonly rejected: CacheEvent.RejectedReason | undefined
  /** What was wrong with a value, its tags or its lifetime, when it was rejected for that. */
  readonly error: CacheError.CacheError | undefined
  /** Whether it is known to be stored. */
  readonly stored: boolean
}

/** What serving takes of a cache. */
export interface Cache {
  readonly peek: (
    key: string,
    fingerprint: string,
    fiber?: Fiber.Fiber<unknown, unknown>
  ) => CacheEntry.CacheEntry | undefined
  readonly took: (entry: CacheEntry.CacheEntry, fiber: Fiber.Fiber<unknown, unknown>) => void
  readonly isFlying: (key: string) => boolean
  readonly lookup: (lookup: Lookup) => Effect.Effect<Answer, CacheError.CacheError>
  readonly ask: <A, E, R>(
    lookup: Lookup,
    finish: (answer: Answer, lookup: Lookup) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | CacheError.CacheError, R>
  readonly forget: (tags: ReadonlyArray<string>) => Effect.Effect<void, CacheError.CacheError>
  readonly now: () => number
  readonly policy: CachePolicy.CachePolicy<any, any, any> | undefined
  readonly notes: {
    readonly read: (key: string) => Effect.Effect<string | undefined>
    readonly write: (key: string, text: string, tags: ReadonlyArray<string>) => Effect.Effect<void>
  }
  readonly evict: (key: string) => Effect.Effect<void>
}
