/**
 * What a run has to tell: counted and emitted in one synchronous step, so that no interruption comes between.
 */
import type { Handled, Target } from "./input.ts"
import type { Keys } from "./outside.ts"
import {
  Computed,
  type Counts,
  Different,
  Failed,
  Finished,
  Outside,
  Present,
  type Progress,
  type Summary
} from "./progress.ts"
import { type Kind, Tally } from "./tally.ts"

/** A function, and the inputs to compute it for. */
export interface Task extends Target {
  readonly domain: Iterable<unknown> & { readonly size: number }
  /** Its input is that of the domain: `Precompute.over` has checked it. */
  readonly filter: ((input: any) => boolean) | undefined
}

/** How many inputs there are. */
export const sizeOf = (tasks: ReadonlyArray<Task>): number =>
  tasks.reduce((total, { domain }) => total + domain.size, 0)

/** A task while it runs. */
export interface Part {
  readonly task: Task
  readonly tally: Tally
  /** The stored keys of the function that no input had so far. */
  readonly unseen: Set<string> | undefined
  /** Every input was taken. */
  exhausted: boolean
  /** An input has no key: any of the stored ones may be its own. */
  keyless: boolean
}

/** Starts to count. `emit` and `watch` have to take whatever they are given, at once. */
export const makeReport = (
  tasks: ReadonlyArray<Task>,
  keys: Keys,
  now: () => number,
  emit: (progress: Progress) => void,
  watch: (counts: Counts) => void
) => {
  const overall = new Tally(sizeOf(tasks))
  const parts = tasks.map((task): Part => ({
    task,
    tally: new Tally(task.domain.size),
    unseen: keys.get(task.fn),
    exhausted: false,
    keyless: false
  }))
  overall.start(now())

  const count = ({ tally }: Part, kind: Kind) => {
    const at = now()
    tally.count(kind, at)
    overall.count(kind, at)
    const counts = overall.counts(at)
    watch(counts)
    return counts
  }

  return {
    parts,
    excluded: (part: Part): void => void count(part, "excluded"),
    handled: (part: Part, input: unknown, outcome: Handled): void => {
      const name = part.task.fn.name
      switch (outcome._tag) {
        case "Computed":
          part.tally.because[outcome.because]++
          return emit(
            Computed({ function: name, input, because: outcome.because, counts: count(part, "computed") })
          )
        case "Failed":
          return emit(Failed({ function: name, input, cause: outcome.cause, counts: count(part, "failed") }))
        case "Present": {
          emit(Present({ function: name, input, counts: count(part, "present") }))
          if (outcome.difference === undefined) return
          part.tally.different++
          overall.different++
          return emit(Different({ function: name, input, ...outcome.difference, counts: overall.counts(now()) }))
        }
      }
    },
    outside: ({ tally, task }: Part, key: string, removed: boolean): void => {
      tally.outside++
      overall.outside++
      emit(Outside({ function: task.fn.name, key, removed, counts: overall.counts(now()) }))
    },
    finished: (stopped: Summary["stopped"]): void =>
      emit(Finished({
        summary: {
          complete: stopped === undefined,
          stopped,
          counts: overall.summary(now()),
          functions: parts.map(({ tally, task }) => ({
            name: task.fn.name,
            counts: tally.summary(),
            because: tally.because
          }))
        }
      }))
  }
}
