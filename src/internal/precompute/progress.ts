/**
 * What a run tells of itself while it goes on, and at its end.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as CacheEvent from "../../CacheEvent.ts"

/** How far a run is. Inputs are counted once, in `computed`, `present`, `failed` or `excluded`. */
export interface Counts {
  /** The size of the domain. */
  readonly total: number
  /** Computed and stored now, by this run or by someone in this process whom it waited for. */
  readonly computed: number
  /** Stored already, or meanwhile by another process. */
  readonly present: number
  /** Without a stored result. */
  readonly failed: number
  /** Left out by a `filter`. */
  readonly excluded: number
  /** Of the present ones, those that were computed again with another result. */
  readonly different: number
  /** Entries outside the domain. */
  readonly outside: number
  /** Since the start, in milliseconds. */
  readonly elapsed: number
  /** Inputs per second, of late. */
  readonly rate: number
  /** Estimated from the rate, in milliseconds; `undefined` while there is none. */
  readonly remaining: number | undefined
}

/** One step of a run. */
export type Progress = Data.TaggedEnum<{
  Computed: {
    readonly function: string
    readonly input: unknown
    readonly because: CacheEvent.Because
    readonly counts: Counts
  }
  Present: { readonly function: string; readonly input: unknown; readonly counts: Counts }
  Failed: {
    readonly function: string
    readonly input: unknown
    readonly cause: Cause.Cause<unknown>
    readonly counts: Counts
  }
  Different: {
    readonly function: string
    readonly input: unknown
    readonly stored: string
    readonly computed: string
    readonly counts: Counts
  }
  Outside: { readonly function: string; readonly key: string; readonly removed: boolean; readonly counts: Counts }
  Finished: { readonly summary: Summary }
}>

/** The steps that somebody should look at. */
export type Note = Extract<Progress, { readonly _tag: "Failed" | "Different" | "Outside" }>

/** How a run ended. */
export interface Summary {
  /** Every input was handled. */
  readonly complete: boolean
  /** What ended it before: its time budget, or the first failure. */
  readonly stopped: "time" | "failure" | undefined
  readonly counts: Counts
  /** In the order in which they were given. */
  readonly functions: ReadonlyArray<FunctionSummary>
}

/** How a run ended for one function. */
export interface FunctionSummary {
  readonly name: string
  readonly counts: Counts
  /** Why what was computed was not there. */
  readonly because: Readonly<Record<CacheEvent.Because, number>>
}

/** Is told the counts of every input as it is counted: also where there is no step, and before a step is read. */
export const Watch = Context.Reference<(counts: Counts) => void>("effect-cached/Precompute/Watch", {
  defaultValue: () => () => {}
})

const constructors = Data.taggedEnum<Progress>()

export const { $match: match, Computed, Different, Failed, Finished, Outside, Present } = constructors
