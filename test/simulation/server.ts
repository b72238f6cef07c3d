/**
 * A model of the server: the log with the meaning of the script that real servers run, entries, and leases. What is done to
 * it happens in one step, and every write is remembered for a while, so that the last ones can be lost.
 */
import { CacheEntry } from "effect-cached"
import type { Answer, Found, Place, Question } from "../../src/internal/linkedLog/remote.ts"
import type { World } from "./world.ts"

/** The id of a record, `n-m`. Records of the log have `m = 0`, and `n` is their position. */
type Id = readonly [n: number, m: number]

interface Item {
  readonly id: Id
  /** `undefined` for what someone else has written. */
  readonly fields: Fields | undefined
}

interface Fields {
  readonly previous: string
  readonly tags: ReadonlyArray<string>
  readonly history: string
}

interface Stream {
  readonly items: ReadonlyArray<Item>
  /** The newest id ever given, also when its record is gone. */
  readonly last: Id
}

interface Held {
  readonly token: string
  readonly until: number
}

interface Waiter {
  readonly after: Id
  readonly far: number
  readonly wake: (found: ReadonlyArray<Found>) => void
}

interface State {
  readonly log: Stream | undefined
  readonly entries: ReadonlyMap<string, readonly [entry: CacheEntry.Stored, until: number]>
  readonly leases: ReadonlyMap<string, Held>
}

export interface ServerOptions {
  readonly maxLength: number
  readonly page: number
  /** Whether entries are kept by a server of their own, which loses nothing when that of the log does. */
  readonly entriesApart: boolean
  /** How far the clock is off, in microseconds. */
  readonly skew: number
  /** Since when there is a log, in microseconds before now. */
  readonly age: number | undefined
}

export type Server = ReturnType<typeof makeServer>

/** Parts of the script that can be left out, to see that the simulation finds it. */
export type Broken = "lift" | "prefix" | "oldest" | "history" | "known" | "tail" | "branch" | "supersedes"

const second = 1_000_000
const hour = 3_600_000_000
const year = 365 * 24 * hour
const remembered = 16

export const text = ([n, m]: Id) => `${n}-${m}`
const parse = (id: string): Id => {
  const [n, m] = id.split("-")
  return [Number(n), Number(m)]
}
const isAfter = (a: Id, b: Id) => a[0] > b[0] || (a[0] === b[0] && a[1] > b[1])

// Records that are no more than a year ahead of who knows the time.
const isRecord = ({ fields, id }: Item, far: number) => fields !== undefined && id[1] === 0 && id[0] <= far

const foundOf = (item: Item, far: number): Found => {
  const { fields, id } = item
  return isRecord(item, far)
    ? { id: text(id), previous: fields!.previous, history: fields!.history, position: id[0], tags: fields!.tags }
    : { id: text(id), problem: "not a record" }
}

export const makeServer = (
  world: World,
  { age, entriesApart, maxLength, page, skew }: ServerOptions,
  broken: ReadonlySet<Broken> = new Set()
) => {
  let offset = skew
  let era = 1
  let state: State = { log: undefined, entries: new Map(), leases: new Map() }
  let past: Array<State> = []
  const waiters = new Set<Waiter>()
  const listeners = new Set<(key: string, token: string, ending: "stored" | "nothing") => void>()
  let tokens = 0

  const time = () => world.now() + offset
  const history = () => `history ${era}`

  const become = (next: Partial<State>) => {
    past.push(state)
    if (past.length > remembered) past.shift()
    state = { ...state, ...next }
  }

  const after = (id: Id, far: number): ReadonlyArray<Found> =>
    (state.log?.items ?? []).filter((item) => isAfter(item.id, id)).slice(0, page).map((item) => foundOf(item, far))

  const write = (item: Item) => {
    const items = [...state.log?.items ?? [], item]
    become({ log: { items, last: item.id } })
    for (const waiter of waiters) {
      if (!isAfter(item.id, waiter.after)) continue
      waiters.delete(waiter)
      waiter.wake(after(waiter.after, waiter.far))
    }
  }

  // The newest record: what lies behind it and is none hides nothing.
  const newest = (far: number) => state.log?.items.findLast((item) => isRecord(item, far))

  const append = (position: number, tags: ReadonlyArray<string>, before: Item | undefined) =>
    write({
      id: [position, 0],
      fields: { previous: text(before?.id ?? state.log?.last ?? [0, 0]), tags, history: history() }
    })

  const trim = (length: number) => {
    const { log } = state
    if (log === undefined || log.items.length <= length) return
    become({ log: { ...log, items: log.items.slice(log.items.length - length) } })
  }

  // As in src/internal/redis/logScript.ts.
  const ask = ({ append: tags, cursor, known }: Question, askedAt: number): Answer => {
    trim(maxLength)
    const now = time()
    const far = Math.max(now, askedAt) + year
    let highest = state.log?.last[0] ?? 0
    if (highest > far) {
      highest = state.log!.items.findLast(({ id }) => id[0] <= far)?.id[0] ?? 0
      become({ log: undefined })
    }
    const { items, last } = state.log ?? { items: [], last: [0, 0] as const }
    const [first] = items
    const lastEntry = items.at(-1)
    const isWhole = lastEntry !== undefined && (broken.has("tail") || text(lastEntry.id) === text(last))
    const before = isWhole ? newest(far) : undefined
    const isIntact = ({ history, id, previous }: Place): boolean => {
      const there = items.find((item) => text(item.id) === id && item.fields !== undefined)?.fields
      if (there !== undefined) return previous === "" || (there.previous === previous && there.history === history)
      const next = first?.fields
      return !broken.has("oldest") && next?.previous === id &&
        (previous === "" || next.history === history || next.tags.length === 0)
    }
    const intact = cursor !== undefined && (broken.has("prefix") || isIntact(cursor))
    const diverged = cursor !== undefined && !intact && first !== undefined && isAfter(parse(cursor.id), first.id)
    const ahead = known <= far && known > highest && !broken.has("known")
    const moved = before !== undefined && before.fields!.history !== history() && !broken.has("history")
    if (before === undefined || moved || ahead || (diverged && !broken.has("branch"))) {
      const root = Math.max(highest + second, now + hour, ahead ? known + second : 0)
      append(broken.has("lift") ? Math.max(highest + 1, now) : root, [], before)
    }
    if (tags !== undefined) append(Math.max(state.log!.last[0] + 1, now), tags, newest(far))
    const end = newest(far)!
    const { history: taken, previous } = end.fields!
    const own = tags !== undefined && cursor?.id === previous
    return {
      time: now,
      intact,
      end: { id: text(end.id), previous, history: taken, position: end.id[0] },
      appended: tags === undefined ? undefined : end.id[0],
      records: cursor === undefined
        ? after([0, 0], far)
        : intact && cursor.id !== text(end.id) && !own
        ? after(parse(cursor.id), far)
        : []
    }
  }

  // Who holds a lease, and for how many milliseconds more.
  const holder = (key: string) => {
    const held = state.leases.get(key)
    return held === undefined || held.until <= world.now()
      ? undefined
      : { token: held.token, left: (held.until - world.now()) / 1000 }
  }

  if (age !== undefined) {
    const at = time() - age
    for (let record = 0; record < 3; record++) append(at + record * 1000, record === 0 ? [] : ["old"], newest(Infinity))
    past = []
  }

  return {
    ask,
    /** Answers when there is something, or after so many milliseconds with nothing; the result stops waiting. */
    wait: (
      from: string,
      millis: number,
      askedAt: number,
      wake: (found: ReadonlyArray<Found>) => void
    ): () => void => {
      const far = askedAt + year
      const found = after(parse(from), far)
      if (found.length > 0) {
        wake(found)
        return () => {}
      }
      const stop = world.after(millis * 1000, () => {
        if (waiters.delete(waiter)) wake([])
      })
      const waiter = {
        after: parse(from),
        far,
        wake: (later: ReadonlyArray<Found>) => {
          stop()
          wake(later)
        }
      }
      waiters.add(waiter)
      return () => {
        stop()
        waiters.delete(waiter)
      }
    },
    get: (key: string): readonly [entry: CacheEntry.Stored, until: number] | undefined => {
      const kept = state.entries.get(key)
      return kept === undefined || kept[1] <= world.now() ? undefined : kept
    },
    set: (entry: CacheEntry.Stored, until: number): "stored" | "superseded" => {
      const kept = state.entries.get(entry.key)
      if (
        !broken.has("supersedes") && kept !== undefined && (kept[0].position > entry.position ||
          (kept[0].position === entry.position && kept[0].createdAt > entry.createdAt && kept[1] > world.now()))
      ) return "superseded"
      become({ entries: new Map(state.entries).set(entry.key, [new CacheEntry.CacheEntry(entry), until]) })
      return "stored"
    },
    remove: (key: string) => {
      const entries = new Map(state.entries)
      if (entries.delete(key)) become({ entries })
    },
    clear: () => become({ entries: new Map() }),

    take: (key: string, micros: number) => {
      const taken = holder(key)
      if (taken !== undefined) return { ...taken, held: false }
      const token = `lease ${++tokens}`
      become({ leases: new Map(state.leases).set(key, { token, until: world.now() + micros }) })
      return { token, left: micros / 1000, held: true }
    },
    holder,
    renew: (key: string, token: string, micros: number): boolean => {
      if (holder(key)?.token !== token) return false
      become({ leases: new Map(state.leases).set(key, { token, until: world.now() + micros }) })
      return true
    },
    release: (key: string, token: string, ending: "stored" | "nothing") => {
      const leases = new Map(state.leases)
      if (leases.get(key)?.token !== token) return
      leases.delete(key)
      become({ leases })
      for (const listener of listeners) listener(key, token, ending)
    },
    listen: (listener: (key: string, token: string, ending: "stored" | "nothing") => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    /** Another server takes over, or this one starts again: without the last writes, and with another clock. */
    failOver: (writes: number, skew: number) => {
      const before = state
      if (writes > 0 && past.length > 0) {
        state = past[Math.max(0, past.length - writes)]!
        past = past.slice(0, Math.max(0, past.length - writes))
        if (entriesApart) state = { ...state, entries: before.entries }
      }
      era++
      offset = skew
      waiters.clear()
      listeners.clear()
    },
    jump: (micros: number) => {
      offset += micros
    },
    skew: () => offset,
    /** Everything is gone: `FLUSHALL`. */
    flush: () => become({ log: undefined, entries: entriesApart ? state.entries : new Map(), leases: new Map() }),
    /** The log alone is gone: evicted, or deleted by someone. */
    evictLog: () => become({ log: undefined }),
    evictEntries: () => become({ entries: new Map() }),
    trim,
    /** Deletes the record that so many others follow. */
    removeRecord: (fromEnd: number) => {
      const { log } = state
      if (log === undefined) return
      const items = log.items.filter((_, index) => index !== log.items.length - 1 - fromEnd)
      become({ log: { ...log, items } })
    },
    /** Someone else writes to the log. */
    intrude: (how: "auto" | "odd" | "ahead" | "far ahead") => {
      const last = state.log?.last[0] ?? 0
      const now = time()
      switch (how) {
        case "auto":
          // As XADD with `*` would: the time in milliseconds, but never below the newest id.
          return write({
            id: state.log === undefined ? [Math.floor(now / 1000), 0] : [last, state.log.last[1] + 1],
            fields: undefined
          })
        case "odd":
          return write({ id: [Math.max(last + 1, now), 0], fields: undefined })
        case "ahead":
          return write({ id: [Math.max(last + 1, now) + 24 * hour, 0], fields: undefined })
        case "far ahead":
          return write({ id: [Math.max(last + 1, now) + 3 * year, 0], fields: undefined })
      }
    },
    positions: () => (state.log?.items ?? []).map(({ id }) => text(id)),
    waiting: () => waiters.size + listeners.size
  }
}
