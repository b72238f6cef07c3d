/**
 * What a Redis stream holds, as records of the log.
 */
import { positionOf } from "../linkedLog/place.ts"
import type { Answer, Found } from "../linkedLog/remote.ts"

export interface Reading {
  /** The time in microseconds. What is more than a year ahead of it is no position of a record. */
  readonly time: number
  /** More bytes of tags than this are not read. */
  readonly maxRecordBytes: number
}

/**
 * Reads one entry of the stream. What has the form of a record, and tags that cannot be read, may have invalidated anything:
 * it is a record that invalidates everything.
 */
export const readEntry = (entry: unknown, { maxRecordBytes, time }: Reading): Found => {
  const [id, fields] = entry as [string, ReadonlyArray<string>]
  const position = positionOf(id)
  if (!id.endsWith("-0")) {
    return { id, problem: `${id} is not the id of a record: somebody else has written to the log` }
  }
  if (!(position <= time + year)) return { id, problem: `${id} is too far in the future` }
  const [p, previous, t, tags, h] = fields
  if (
    fields.length !== 6 || p !== "p" || t !== "t" || h !== "h" || !isId.test(previous!) || !isArray.test(tags!)
  ) return { id, problem: `${id} has not the fields of a record: somebody else has written to the log` }
  const record = { id, previous: previous!, history: fields[5]!, position }
  return { ...record, tags: tags!.length > maxRecordBytes ? everything : readTags(tags!) }
}

const year = 365 * 24 * 3_600_000_000
const isId = /^\d+-\d+$/
const isArray = /^\[.*\]$/s
const isTag = /^[\w.:%-]+$/
const everything: ReadonlyArray<string> = []

const readTags = (json: string): ReadonlyArray<string> => {
  try {
    const tags: ReadonlyArray<unknown> = JSON.parse(json)
    return tags.every((tag): tag is string => typeof tag === "string" && isTag.test(tag)) ? tags : everything
  } catch {
    return everything
  }
}

/** Reads what `askLog` answers: the answer, and the history of the server, which is that of the newest record. */
export const readAnswer = (reply: unknown, reading: Reading): readonly [Answer, history: string] => {
  const [time, intact, id, previous, appended, history, entries] = reply as [
    string,
    number,
    string,
    string,
    number,
    string,
    ReadonlyArray<unknown>
  ]
  const position = positionOf(id)
  // Of the two clocks, the one that is behind may have been reset.
  const then = { ...reading, time: Math.max(reading.time, Number(time)) }
  return [{
    time: Number(time),
    intact: intact === 1,
    end: { id, previous, history, position },
    appended: appended === 1 ? position : undefined,
    records: entries.map((entry) => readEntry(entry, then))
  }, history]
}

/** Reads what `XREAD` answers for one stream: `null` for nothing; the name with the entries, in a list of its own or not. */
export const readWaited = (reply: unknown, reading: Reading): ReadonlyArray<Found> => {
  if (reply === null) return []
  const [first, second] = reply as ReadonlyArray<unknown>
  // Connections with the older protocol give a list of streams, those with the newer one a map, as a list.
  const entries = Array.isArray(first) ? first[1] : second
  return (entries as ReadonlyArray<unknown>).map((entry) => readEntry(entry, reading))
}
