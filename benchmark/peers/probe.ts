/**
 * What a candidate guarantees, found out by trying it.
 */
import { Schema } from "effect"
import { setTimeout as sleep } from "node:timers/promises"
import { check } from "../fixtures.ts"
import type { Candidate } from "./candidates.ts"
import type { Described } from "./compare.ts"

const Probe = Schema.Struct({ id: Schema.Number, at: Schema.Date, inner: Schema.Struct({ n: Schema.Number }) })
type Probe = typeof Probe.Type

/** A candidate, and what a table should say about it. */
export interface Probed {
  readonly candidate: Candidate
  readonly about: Described
}

/**
 * Tries each candidate. With `joined`, `copies` is about callers who wait for one computation together, else about hits.
 */
export const probed = async (
  candidates: ReadonlyArray<Candidate>,
  joined = false
): Promise<ReadonlyArray<Probed>> => {
  const found: Array<Probed> = []
  for (const candidate of candidates) {
    // oxlint-disable-next-line no-await-in-loop -- what one does must not disturb the other
    const { copiesComputed, copiesHit, copiesJoined, singleFlight, tags, typed } = await probe(candidate)
    const gives = { singleFlight, tags, typed, copies: joined ? copiesJoined : copiesHit }
    check(candidate.own !== true || Object.values(gives).every((given) => given), `${candidate.name} gives all of it`)
    const seen = joined || !copiesHit
      ? []
      : !copiesComputed
      ? ["who computed a result holds the object that is kept"]
      : !copiesJoined
      ? ["callers at the same time get the same object"]
      : []
    found.push({
      candidate,
      about: {
        name: candidate.name,
        ...(candidate.own === true ? { own: true } : {}),
        gives,
        differs: [...seen, ...(candidate.differs === "" ? [] : [candidate.differs])].join("; ")
      }
    })
  }
  return found
}

const probe = async (candidate: Candidate) => {
  let executions = 0
  const world = await candidate.make<Probe>({
    schema: Probe,
    compute: (id) => (executions++, { id, at: new Date(86_400_000 * id), inner: { n: id } }),
    wait: () => sleep(2),
    tags: (id) => [`one:${id}`, "all"],
    maxEntries: 100
  })
  const joined = await world.together(10, 1)
  const singleFlight = executions === 1
  spoil(joined[0]!)
  const copiesJoined = isWhole(joined[1], 1)

  spoil(await world.get(2))
  const copiesComputed = isWhole(await world.get(2), 2)
  await world.get(3)
  const hit = await world.get(3)
  const typed = hit.at instanceof Date
  spoil(hit)
  const copiesHit = isWhole(await world.get(3), 3)
  const tags = world.invalidate !== undefined && await endsWhatItNames(world.invalidate)
  await world.close()
  return { singleFlight, tags, typed, copiesHit, copiesComputed, copiesJoined }

  async function endsWhatItNames(invalidate: (tag: string) => Promise<unknown>) {
    const after = async (tag: string) => {
      await Promise.all([4, 5].map(world.get))
      await invalidate(tag)
      const before = executions
      await Promise.all([4, 5].map(world.get))
      // An invalidation may have the time of an entry, for those that compare milliseconds.
      await sleep(2)
      return executions - before
    }
    return await after("none") === 0 && await after("one:4") === 1 && await after("all") === 2
  }
}

// What a careless caller does to a result. A frozen one throws.
const spoil = (result: Probe): void => {
  const open = result as { id: number; at: Date; inner: { n: number } }
  for (
    const change of [
      () => open.at.setTime(0),
      () => void (open.inner.n = -1),
      () => void (open.id = -1)
    ]
  ) {
    try {
      change()
    } catch {
      // It cannot be changed.
    }
  }
}

const isWhole = (result: Probe | undefined, id: number): boolean =>
  result?.id === id && result.inner.n === id && new Date(result.at).getTime() === 86_400_000 * id
