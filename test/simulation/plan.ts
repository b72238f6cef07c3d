/**
 * What happens in a run: a world, and what is done in it at which time. A plan is data, so that parts of it can be left out.
 */
import { makeRandom, type Random } from "../random.ts"

/** What the run takes place in. Times are milliseconds, clocks are off by microseconds. */
export interface Setting {
  readonly seed: number
  readonly skews: ReadonlyArray<number>
  readonly serverSkew: number
  readonly maxStaleness: number
  readonly commandTimeout: number
  readonly duration: number
  readonly inOrder: boolean
  readonly entriesApart: boolean
  readonly age: number | undefined
  readonly maxLength: number
  readonly page: number
  readonly maxMarks: number
  readonly maxEntries: number
  readonly maxOps: number
  readonly leases: boolean
  /** Nothing fails: then more is expected. */
  readonly calm: boolean
}

export type Step =
  | { readonly do: "read"; readonly node: number; readonly what: string; readonly strong: boolean }
  | { readonly do: "write"; readonly node: number; readonly tag: string }
  | { readonly do: "pause"; readonly node: number; readonly millis: number; readonly suspended: boolean }
  | { readonly do: "kill" | "restart"; readonly node: number }
  | { readonly do: "step clock"; readonly node: number; readonly micros: number }
  | { readonly do: "cut"; readonly node: number; readonly way: Way; readonly millis: number; readonly silent: boolean }
  | {
    readonly do: "weather"
    readonly node: number
    readonly way: Way
    readonly millis: number
    readonly delay: number
    readonly loseRequests: number
    readonly loseReplies: number
  }
  | { readonly do: "stop server"; readonly millis: number }
  | { readonly do: "fail over"; readonly millis: number; readonly lost: number; readonly skew: number }
  | { readonly do: "step server clock"; readonly micros: number }
  | { readonly do: "flush" | "evict log" | "evict entries" }
  | { readonly do: "trim"; readonly to: number }
  | { readonly do: "delete record"; readonly fromEnd: number }
  | { readonly do: "intrude"; readonly how: "auto" | "odd" | "ahead" | "far ahead" }

/** Commands, and the connection that waits for records. */
export type Way = "commands" | "waiting" | "both"

export type Timed = Step & { readonly at: number }

export interface Plan {
  readonly setting: Setting
  readonly steps: ReadonlyArray<Timed>
}

export const keys = ["a:1", "a:2", "b:1"] as const
/** What is computed from two others. */
export const pairs = ["a:1+b:1", "a:2+a:1"] as const
const tags = ["a:1", "a:2", "b:1", "a:1", "b:1", "a", ""]

const minutes = 60_000_000

export const makePlan = (seed: number): Plan => {
  const random = makeRandom(seed)
  const { below, pick } = random
  const chance = (percent: number) => below(100) < percent
  const skew = () => pick([0, 0, -5, 5, -1, 1]) * minutes + below(1_000_000)
  const maxStaleness = pick([500, 1000, 1000, 2000])
  const calm = chance(8)
  const nodes = pick([1, 2, 2, 2, 2, 3, 3])
  const setting: Setting = {
    seed,
    skews: Array.from({ length: nodes }, skew),
    serverSkew: skew(),
    maxStaleness,
    commandTimeout: maxStaleness / 5,
    duration: maxStaleness * pick([3, 5, 8]),
    inOrder: chance(60),
    entriesApart: chance(30),
    // A log that was there long before, or none.
    age: chance(70) ? 24 * 60 * minutes : undefined,
    maxLength: calm ? 20_000 : pick([2, 3, 8, 20_000]),
    page: pick([2, 5, 100]),
    maxMarks: calm ? 100_000 : pick([2, 100_000, 100_000]),
    maxEntries: pick([1, 2, 100, 100]),
    maxOps: pick([3, 17, 2048, 2048]),
    leases: chance(60),
    calm
  }
  const steps = [...traffic(setting, random)]
  if (!calm) {
    const kinds = [...scenes, ...below(4) === 0 ? faults : [pick(faults), pick(faults)]]
    const number = 1 + below(5)
    const chosen = Array.from({ length: number }, () => pick(kinds))
    if (chance(10)) chosen.push(poisoned)
    for (const fault of chosen) {
      const at = below(setting.duration)
      for (const { after = 0, ...step } of fault(setting, random)) steps.push({ ...step, at: at + after })
    }
  }
  steps.sort((a, b) => a.at - b.at)
  return { setting, steps }
}

function* traffic({ calm, duration, maxStaleness, skews }: Setting, { below, pick }: Random): Generator<Timed> {
  const node = () => below(skews.length)
  const readAt = (at: number, of: number, what: string): Timed => ({
    do: "read",
    node: of,
    what,
    at: Math.max(0, at),
    strong: !what.includes("+") && below(6) === 0
  })
  const writes = 1 + below(calm ? 6 : 3)
  for (let write = 0; write < writes; write++) {
    const at = below(duration)
    const tag = pick(tags)
    const by = node()
    yield { do: "write", node: by, tag, at }
    // Where and when a value that is too old would show.
    const about = keys.filter((key) => key.startsWith(tag))
    for (const [of] of skews.entries()) {
      yield readAt(at - 1 - below(maxStaleness), of, pick(about))
      if (below(2) === 0) yield readAt(at + below(maxStaleness), of, pick(about))
      yield readAt(at + maxStaleness + below(maxStaleness / 4), of, pick(about))
    }
    yield readAt(at + below(10), by, pick(about))
  }
  const bursts = Math.ceil(duration / maxStaleness) * (calm ? 4 : 1)
  for (let burst = 0; burst < bursts; burst++) {
    const at = below(duration)
    const what = below(4) === 0 ? pick(pairs) : pick(keys)
    const readers = 1 + below(calm ? 4 : 2)
    for (let reader = 0; reader < readers; reader++) yield readAt(at + below(3), node(), what)
  }
}

type Fault = (setting: Setting, random: Random) => ReadonlyArray<Step & { readonly after?: number }>

const millisOf = ({ maxStaleness }: Setting, { below, pick }: Random) =>
  Math.ceil(pick([0.1, 0.5, 1, 2, 4]) * maxStaleness) + below(maxStaleness)

const read = (node: number, what: string, after: number) => ({ do: "read" as const, node, what, strong: false, after })

const later = (after: number, steps: ReadonlyArray<Step>) => steps.map((step) => Object.assign({ after }, step))

// Someone who has something to lose hears nothing for a while. Meanwhile others write, and something happens to the log.
const whileOneIsDeaf: Fault = (setting, random) => {
  const { below, pick } = random
  const { commandTimeout, maxStaleness, skews } = setting
  const node = below(skews.length)
  const key = pick(keys)
  const millis = pick([commandTimeout, 2 * commandTimeout, 2 * maxStaleness, 2 * maxStaleness]) + below(commandTimeout)
  const from = 40 + below(2 * commandTimeout)
  const delay = commandTimeout * pick([100, 300, 450])
  const slowly = { do: "weather", node, delay, loseRequests: 0, loseReplies: 0 } as const
  const deaf = pick<Step>([
    { do: "cut", node, way: "both", millis, silent: below(2) === 0 },
    { do: "pause", node, millis: pick([millis, below(commandTimeout)]), suspended: setting.seed % 2 === 0 },
    { ...slowly, way: "waiting", millis }
  ])
  const slow = { ...slowly, way: "both", millis: from } as const
  const number = 1 + below(5)
  const about = below(number)
  const writes = Array.from({ length: number }, (_, write) => ({
    do: "write" as const,
    node: (node + 1 + below(Math.max(1, skews.length - 1))) % skews.length,
    tag: write === about ? pick([key, key, key[0]!, ""]) : pick(tags),
    after: Math.max(20, from + write + below(commandTimeout / 2) - Math.floor(commandTimeout / 4))
  }))
  const last = Math.max(...writes.map(({ after }) => after)) + pick([1, 5, 5])
  const fault = pick<() => ReadonlyArray<Step>>([
    () => [],
    () => [{ do: "trim", to: 1 }],
    () => [{ do: "delete record", fromEnd: number - 1 - about }],
    () => pick(toTheLog)(setting, random)
  ])()
  return [
    ...skews.map((_, of) => read(of, key, 0)),
    ...below(3) === 0 ? [Object.assign({ after: 15 }, slow)] : [],
    Object.assign({ after: from }, deaf),
    ...writes,
    ...later(last, fault),
    ...setting.seed % 2 === 1 && below(2) === 0
      ? later(from + below(millis), [{ do: "step clock", node, micros: -1000 * below(maxStaleness) }])
      : [],
    // As soon as it should know better, before it hears again, and when it does.
    ...Array.from({ length: 5 }, () => read(node, key, writes[about]!.after + maxStaleness + below(commandTimeout))),
    read(node, key, from + below(millis)),
    read(node, key, from + millis + below(4)),
    // What it does itself comes after all that it has missed.
    ...below(2) === 0 ? [{ do: "write" as const, node, tag: key, after: from + millis + below(5) }] : [],
    ...Array.from({ length: 4 }, (_, turn) => read(node, key, from + millis + 3 + 2 * turn)),
    ...skews.map((_, of) => read(of, key, from + millis + maxStaleness))
  ]
}

// What was acknowledged is lost, and who comes new has only what others have stored.
const rightAfterWriting: Fault = (setting, random) => {
  const { below, pick } = random
  const { skews } = setting
  const key = pick(keys)
  const other = pick(keys)
  const [node, witness] = [below(skews.length), below(skews.length)]
  const after = 30 + pick([1, 3, 10, 10, 30])
  const restart = after + pick([0, 5, 20])
  return [
    ...skews.map((_, of) => read(of, key, 0)),
    { do: "write", node, tag: pick([key, key, key[0]!, ""]), after: 30 },
    ...below(2) === 0 ? [{ do: "write" as const, node, tag: other, after: 30 + below(5) }] : [],
    ...later(after, pick(toTheLog)(setting, random)),
    ...below(2) === 0
      ? [
        { do: "kill" as const, node: witness, after: restart },
        { do: "restart" as const, node: witness, after: restart + 1 },
        read(witness, key, restart + 10),
        read(witness, key, restart + 30)
      ]
      : [],
    ...skews.map((_, of) => read(of, key, after + setting.maxStaleness + below(100)))
  ]
}

// Who reads strongly knows at once what others have invalidated, also when nobody has told it.
const whileOneReadsStrongly: Fault = ({ commandTimeout, skews }, { below, pick }) => {
  const node = below(skews.length)
  const writer = (node + 1 + below(Math.max(1, skews.length - 1))) % skews.length
  const key = pick(keys)
  const strongly = (after: number) => ({ ...read(node, key, after), strong: true })
  const cut = { do: "cut", node, millis: 4 * commandTimeout, silent: true, after: 20 } as const
  return [
    strongly(0),
    strongly(10),
    { ...cut, way: "waiting" },
    ...below(2) === 0
      ? [{ ...cut, do: "weather" as const, way: "commands" as const, delay: 3000, loseRequests: 0, loseReplies: 0 }]
      : [],
    { do: "write", node: writer, tag: pick([key, key[0]!]), after: 30 },
    ...Array.from({ length: 8 }, (_, turn) => strongly(31 + turn)),
    ...Array.from({ length: 4 }, () => strongly(31 + below(commandTimeout))),
    ...below(2) === 0 ? [{ ...cut, way: "commands" as const, after: 32 }] : []
  ]
}

// Positions run ahead of the clock, and then the log is gone, but not what was stamped with them. Once in a run: a log that
// runs ahead again could come to where those are.
const poisoned: Fault = ({ skews }, { below, pick }) => {
  const key = pick(keys)
  return [
    { do: "intrude", how: pick(["ahead", "ahead", "far ahead"]) },
    { do: "write", node: below(skews.length), tag: pick(tags), after: 1 },
    ...skews.map((_, node) => read(node, key, 20)),
    { do: "write", node: below(skews.length), tag: key, after: 60 },
    { do: "evict log", after: 70 },
    ...skews.flatMap((_, node) => [
      { do: "kill" as const, node, after: 70 },
      { do: "restart" as const, node, after: 75 + below(5) },
      read(node, key, 90),
      read(node, key, 100)
    ])
  ]
}

const toTheLog: ReadonlyArray<Fault> = [
  (setting, random) => [{
    do: "fail over",
    millis: random.pick([0, 1, 50, millisOf(setting, random)]),
    lost: random.pick([0, 1, 1, 2, 3, 5, 10]),
    skew: random.pick([0, -5, 5]) * minutes
  }],
  () => [{ do: "flush" }],
  () => [{ do: "evict log" }],
  (_, random) => [{ do: "trim", to: random.below(4) }],
  (_, random) => [{ do: "delete record", fromEnd: random.pick([0, 0, 1, 2]) }],
  (_, random) => [{ do: "intrude", how: random.pick(["auto", "odd", "far ahead"]) }]
]

const scenes = [whileOneIsDeaf, whileOneIsDeaf, rightAfterWriting, whileOneReadsStrongly]

const faults: ReadonlyArray<Fault> = [
  (setting, random) => [{
    do: "cut",
    node: random.below(setting.skews.length),
    way: random.pick(["commands", "waiting", "both", "both"]),
    millis: millisOf(setting, random),
    silent: random.below(2) === 0
  }],
  (setting, random) => [{
    do: "weather",
    node: random.below(setting.skews.length),
    way: random.pick(["commands", "waiting", "both"]),
    millis: millisOf(setting, random),
    delay: random.pick([500, 5_000, 50_000, setting.commandTimeout * 500, setting.commandTimeout * 1200]),
    loseRequests: random.pick([0, 0, 30, 70]),
    loseReplies: random.pick([0, 0, 30, 70])
  }],
  (setting, random) => {
    const millis = millisOf(setting, random)
    return setting.skews.map((_, node) => ({
      do: "cut",
      node,
      way: "both",
      millis,
      silent: random.below(2) === 0
    }))
  },
  (setting, random) => [{ do: "stop server", millis: millisOf(setting, random) }],
  (setting, random) => {
    const node = random.below(setting.skews.length)
    return [{ do: "kill", node }, { do: "restart", node, after: random.below(setting.maxStaleness * 2) }]
  },
  (setting, random) => [{
    do: "pause",
    node: random.below(setting.skews.length),
    millis: millisOf(setting, random),
    suspended: setting.seed % 2 === 0
  }],
  // The two clocks of a process are never both wrong.
  (setting, random) =>
    setting.seed % 2 === 0
      ? []
      : [{ do: "step clock", node: random.below(setting.skews.length), micros: random.pick([-5, -1, 1, 5]) * minutes }],
  (_, random) => [{ do: "step server clock", micros: random.pick([-5, -1, 1, 5]) * minutes }],
  () => [{ do: "evict entries" }],
  ...toTheLog
]

/** What is done, as a line. */
export const describeStep = ({ do: what, ...rest }: Step): string => {
  const parts = Object.entries(rest).filter(([name]) => name !== "at").map(([name, value]) => `${name} ${value}`)
  return [what, ...parts].join(", ")
}
