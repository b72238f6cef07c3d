/**
 * What a candidate guarantees, found out and not believed.
 */
import { Effect, Schema } from "effect"
import { Redis } from "ioredis"
import { check, type Settings } from "../fixtures.ts"
import { allGuarantees, type Guarantees } from "./compare.ts"
import type { Candidate } from "./redisPeers.ts"

const Value = Schema.Struct({ at: Schema.Date, list: Schema.mutable(Schema.Array(Schema.Number)) })
type Value = typeof Value.Type

/** What a table says about a candidate. */
export interface Probed {
  readonly gives: Guarantees
  readonly differs: string
}

/** Asks a candidate in a database that is its own for so long, and empty afterwards. */
export const probe = async (
  candidate: Candidate,
  { memory, settings, tags, url }: {
    readonly url: string
    readonly memory: boolean
    readonly tags: boolean
    readonly settings: Settings
  }
): Promise<Probed> => {
  // That is enough to show that it works.
  if (settings.smoke && candidate.own !== true) return { gives: allGuarantees, differs: "" }
  let executions = 0
  const make = () =>
    candidate.make<Value>({
      url,
      schema: Value,
      compute: (id) => (executions++, { at: new Date(id), list: [id] }),
      delay: 5,
      memory,
      tags: tags ? (id) => [`tag:${id}`] : undefined
    })
  const [instance, another] = await Promise.all([make(), make()])
  try {
    await Promise.all(Array.from({ length: 20 }, () => instance.get(1)))
    const singleFlight = executions === 1

    const first = await instance.get(1)
    try {
      first.list.push(2)
    } catch {
      // It is frozen.
    }
    const second = await instance.get(1)
    const elsewhere = await another.get(1)
    check(executions === 1 || !singleFlight, "what is in Redis has to be a hit, for another process as well")
    const gives = {
      singleFlight,
      copies: second.list.length === 1,
      typed: second.at instanceof Date && elsewhere.at instanceof Date,
      tags: instance.invalidate !== undefined && await invalidates(instance.invalidate, instance.get, () => executions)
    }
    const hears = await goesEverywhere(instance.remove, another.get, () => executions)
    return {
      gives,
      differs: [
        ...(candidate.differs === undefined ? [] : [candidate.differs]),
        ...(hears ? [] : ["another process keeps what is removed"])
      ].join("; ")
    }
  } finally {
    await Promise.all([instance.close(), another.close()])
    const redis = new Redis(url)
    await redis.flushdb()
    await redis.quit()
  }
}

const invalidates = async (
  invalidate: (tag: string) => Promise<unknown>,
  get: (id: number) => Promise<unknown>,
  executions: () => number
): Promise<boolean> => {
  await get(2)
  await get(3)
  const before = executions()
  // A cache whose tags have times of a millisecond does not end what was made in the same one.
  await Effect.runPromise(Effect.sleep(2))
  await invalidate("tag:2")
  await get(3)
  const others = executions() - before
  await get(2)
  return others === 0 && executions() === before + 1
}

// Whether the other of two processes, which has the entry, computes it anew soon after one has removed it.
const goesEverywhere = async (
  remove: (id: number) => Promise<unknown>,
  elsewhere: (id: number) => Promise<unknown>,
  executions: () => number
): Promise<boolean> => {
  await elsewhere(1)
  await Effect.runPromise(Effect.sleep(2))
  await remove(1)
  const before = executions()
  for (let turn = 0; turn < 20; turn++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
    await Effect.runPromise(Effect.sleep(2))
    // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
    await elsewhere(1)
    if (executions() > before) return true
  }
  return false
}
