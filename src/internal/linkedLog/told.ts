/**
 * What the followers have been told of the log, and what an answer adds to it.
 *
 * Invariants:
 * - Everything in the log up to the cursor was told: record by record, or by a gap whose position is not below it.
 * - The cursor only moves forward. It moves to a record that names it as its predecessor, and to any other place only with a
 *   gap. So records may be given twice, late, or not at all.
 * - Only a log that was asked about the cursor can say that there is a gap. If it does not hold the cursor, it also has to know:
 *   what was acknowledged elsewhere is not in it. So nothing else moves the cursor but records that continue it.
 * - An answer may come when the cursor has moved since its question. What is behind the cursor has been told, what continues it
 *   is told, and about all the rest has to be asked again.
 * - An answer that leaves nothing to go on with is a gap. There is no other way out.
 * - Nothing yields here: whoever looks at the cursor also moves it, and the followers know at once.
 */
import { isAfter, positionOf } from "./place.ts"
import type { Answer, Found, LinkedRecord, Place, Question } from "./remote.ts"

export type News =
  | { readonly _tag: "Record"; readonly tags: ReadonlyArray<string>; readonly position: number }
  | { readonly _tag: "Gap"; readonly position: number }

export interface Told {
  /** The last record that was told, `undefined` before anything was. */
  readonly cursor: () => Place | undefined
  /** The highest position that was ever seen. */
  readonly known: () => number
  /** Where to read on: the cursor, or something foreign behind it that is not read again. */
  readonly seen: () => string
  /** Whether everything up to a place was told. */
  readonly hasTold: (id: string) => boolean
  /**
   * Applies what was read behind `seen` without asking, as long as each record continues what was told. Whether all did, and
   * all were records: what else there is only an answer can tell. (A log that holds other records than were told here has to
   * be asked before the cursor is moved, or else it would never know.)
   */
  readonly take: (found: ReadonlyArray<Found>) => boolean
  /**
   * Applies an answer. Whether everything that was in the log when it answered has been told now; otherwise there is more to
   * read.
   */
  readonly hear: (question: Question, answer: Answer) => boolean
}

/** `tell` must not throw. `ignore` is told of what is in the log and is no record. */
export const makeTold = (tell: (news: News) => void, ignore: (problem: string) => void): Told => {
  let cursor: Place | undefined
  let known = 0
  let seen = "0-0"

  const hasTold = (id: string) => cursor !== undefined && !isAfter(id, cursor.id)

  const gap = (position: number) => {
    known = Math.max(known, position)
    tell({ _tag: "Gap", position })
  }

  // The rest of what was known cannot be relied on.
  const jump = (end: Answer["end"]) => {
    gap(cursor === undefined ? end.position : Math.max(end.position, positionOf(cursor.id)))
    if (!hasTold(end.id)) cursor = end
    seen = cursor!.id
  }

  const takeRecord = (record: LinkedRecord) => {
    if (hasTold(record.id)) return
    if (record.previous !== cursor!.id) gap(record.position)
    cursor = record
    known = Math.max(known, record.position)
    if (isAfter(record.id, seen)) seen = record.id
    tell({ _tag: "Record", tags: record.tags, position: record.position })
  }

  // Applies what continues the cursor, or what was read from there. Whether nothing else was among it.
  const takeAll = (records: ReadonlyArray<Found>, fromCursor: boolean): boolean =>
    records.every((found) => {
      if ("problem" in found) {
        // Read again with a page that begins before it, it is not counted again.
        if (isAfter(found.id, seen)) {
          seen = found.id
          ignore(found.problem)
        }
        return true
      }
      if (!fromCursor && !hasTold(found.id) && !continues(found)) return false
      takeRecord(found)
      return true
    })

  // Two servers may give the same place to two records: a master that was replaced, and the one that took its place.
  const continues = ({ history, previous }: Place): boolean => previous === cursor!.id && history === cursor!.history

  // Everything after the predecessor of the oldest record is in the log.
  const join = (records: ReadonlyArray<Found>) => {
    const oldest = records.find((found) => "previous" in found)
    if (oldest === undefined) return
    cursor = { id: oldest.previous, previous: "", history: "" }
    gap(positionOf(oldest.previous))
  }

  return {
    cursor: () => cursor,
    known: () => known,
    seen: () => seen,
    hasTold,
    take: (records) => cursor !== undefined && takeAll(records, false) && records.every((found) => "previous" in found),
    hear: (question, { appended, end, intact, records }) => {
      known = Math.max(known, end.position)
      // Who asked before the cursor moved was not told whether the log holds what it moved to.
      const fromCursor = cursor?.id === question.cursor?.id
      if (question.cursor !== undefined && !intact) {
        if (fromCursor) jump(end)
        return fromCursor
      }
      if (cursor === undefined) join(records)
      if (cursor !== undefined && !takeAll(records, fromCursor)) return false
      // What was appended is the newest record, and need not be read.
      if (appended !== undefined && cursor?.id === end.previous && (fromCursor || continues(end))) {
        takeRecord({ ...end, tags: question.append! })
      }
      if (hasTold(end.id)) return true
      // What is no record is read and not told.
      const last = records.at(-1)
      if (cursor !== undefined && last !== undefined && !isAfter(end.id, last.id)) return true
      // Nothing to go on with: a page of what is no record, or an end that somebody has deleted.
      if (cursor?.id !== question.cursor?.id) return false
      jump(end)
      return true
    }
  }
}
