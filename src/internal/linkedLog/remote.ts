/**
 * What the linked log needs of the server that keeps it. Redis is one; the tests simulate another.
 *
 * Invariants of the server:
 * - The place of a record is after those of all records before it, also of those that were lost, trimmed or deleted.
 * - A record names the place of its predecessor, and its own is never given to another record of the same history. (Two servers that were
 *   one may both give it: what one of them took as a master that was replaced, the other does not have.)
 * - Where the server cannot vouch for the records that it acknowledged (it has lost the log, or has become another server),
 *   the next record that anyone gets to see invalidates everything.
 */
import type * as Effect from "effect/Effect"
import type * as CacheError from "../../CacheError.ts"

/**
 * The place of a record: its own, that of its predecessor, `"0-0"` for the first, and the history of the server that took it. Redis
 * calls places ids.
 */
export interface Place {
  readonly id: string
  readonly previous: string
  readonly history: string
}

/** A record as it stands in the log. No tags at all stands for everything. */
export interface LinkedRecord extends Place {
  readonly position: number
  readonly tags: ReadonlyArray<string>
}

/** Something in the log that is no record: it has a place, and nothing else is believed of it. */
export interface Foreign {
  readonly id: string
  readonly problem: string
}

export type Found = LinkedRecord | Foreign

/** What the log is asked, in one step that nothing comes between. */
export interface Question {
  /** The last record that the asker was told, `undefined` for one who knows nothing yet. */
  readonly cursor: Place | undefined
  /** The highest position that the asker knows of. */
  readonly known: number
  /** What to append, `undefined` for nothing. */
  readonly append: ReadonlyArray<string> | undefined
}

/** What the log answers. */
export interface Answer {
  /** The server's time, in microseconds since the epoch. */
  readonly time: number
  /** Whether everything up to the cursor stands in the log as the asker knows it, or was only trimmed behind it. */
  readonly intact: boolean
  /** The newest record, and its position. */
  readonly end: Place & { readonly position: number }
  /** The position of what was appended, `undefined` where nothing was. */
  readonly appended: number | undefined
  /**
   * The records after the cursor in their order, if it is intact; without a cursor, from the oldest on. Not more than one
   * page: where the last is not `end`, there are more.
   */
  readonly records: ReadonlyArray<Found>
}

export interface Remote {
  /**
   * Appends if there is something to append, checks the cursor, and reads. The log exists afterwards, and its server has
   * vouched for it. Fails with a `CacheError` of reason `LogError`.
   */
  readonly ask: (question: Question) => Effect.Effect<Answer, CacheError.CacheError>
  /**
   * Waits for records after a place, for at most so many milliseconds, and reads one page of them. It is enough that it
   * waits where `ask` was answered last: whether that is still the right place, the next `ask` shows.
   */
  readonly wait: (after: string, millis: number) => Effect.Effect<ReadonlyArray<Found>, CacheError.CacheError>
}
