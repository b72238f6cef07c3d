/**
 * A chaos run: processes that read and write while things go wrong, and a checker that reads what they did.
 */
import { Effect, Scope } from "effect"
import type { Settings } from "../processes/messages.ts"
import { makeSource, monotonic, passed, start } from "../processes/Nodes.ts"
import * as TcpProxy from "../processes/TcpProxy.ts"
import { makeRandom, type Random } from "../random.ts"
import * as RedisServer from "../redis/RedisServer.ts"
import { check, type History, type Violation } from "./checker.ts"
import { type Fault, ofNodes, ofServer, type Seat, type Target } from "./faults.ts"

export interface Options {
  readonly seed: number
  readonly millis: number
  readonly nodes: number
  readonly maxStaleness: number
  readonly log: (line: string) => void
}

export interface Report {
  readonly reads: number
  /** Of reads, how many executed something. */
  readonly executions: number
  readonly invalidations: number
  readonly failedInvalidations: number
  /** In milliseconds. Its process may have been stopped meanwhile. */
  readonly longestRead: number
  /** How often each fault was done. */
  readonly faults: ReadonlyMap<string, number>
  readonly violations: ReadonlyArray<Violation>
}

const keys = ["a", "b", "c", "d", "e", "f"]
const namespace = "chaos"

/** Returns when everything is well again and each process has seen the newest version of everything. Dies if that never is. */
export const run = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Report, never, Scope.Scope> {
  const { maxStaleness, seed } = options
  const random = makeRandom(seed)
  const began = monotonic()
  const say = (line: string) => options.log(`${((monotonic() - began) / 1000).toFixed(3).padStart(9)} s  ${line}`)
  const scope = yield* Scope.Scope
  const server = yield* RedisServer.start()
  const source = makeSource()
  // Some computations take longer than the bound: what they read is old when they end.
  source.slow(() => random.below(20) === 0 ? random.below(maxStaleness * 2) : random.below(4))
  const histories: Array<History> = []

  const settings = (url: string): Settings => ({
    url,
    namespace,
    maxStaleness,
    commandTimeout: 200,
    leaseDuration: 400,
    clockAhead: random.pick([0, 0, -300_000, 300_000]),
    timeToLive: 0,
    maxLength: 50
  })

  const occupy = Effect.fnUntraced(
    function*(proxy: TcpProxy.TcpProxy) {
      const node = yield* start
      const cache = yield* node.open(source, settings(proxy.url))
      histories.push({ node: node.name, happened: cache.history })
      yield* cache.load({ seed: random.below(1_000_000), keys, readers: 6, writers: 2 })
      say(`${node.name} runs`)
      return { node, cache }
    },
    Effect.provideService(Scope.Scope, scope),
    Effect.catch(({ message }) => Effect.die(new Error(message)))
  )

  const sit = Effect.gen(function*() {
    const proxy = yield* TcpProxy.start(server.port)
    const seat: Seat = {
      ...yield* occupy(proxy),
      proxy,
      replace: Effect.suspend(() => Effect.map(occupy(proxy), (next) => void Object.assign(seat, next)))
    }
    return seat
  })
  const seats = yield* Effect.all(Array.from({ length: options.nodes }, () => sit), { concurrency: "unbounded" })

  const target: Target = { server, seats, namespace, maxStaleness, scope }
  const faults = new Map<string, number>()
  const end = monotonic() + options.millis
  // One fault of a kind at a time, each as often as the others.
  const harm = Effect.fnUntraced(function*(all: Readonly<Record<string, Fault>>, random: Random) {
    let names: Array<string> = []
    while (monotonic() < end) {
      if (names.length === 0) names = Object.keys(all)
      const [name = ""] = names.splice(random.below(names.length), 1)
      say(name)
      faults.set(name, (faults.get(name) ?? 0) + 1)
      yield* all[name]!(target, random)
      yield* passed(monotonic() + random.below(maxStaleness * 2))
    }
  })
  yield* Effect.all([harm(ofServer, makeRandom(seed + 1)), harm(ofNodes, makeRandom(seed + 2))], {
    concurrency: "unbounded",
    discard: true
  })

  say("everything is well again")
  yield* Effect.forEach(seats, ({ cache }) => cache.quiet, { concurrency: "unbounded", discard: true })
  yield* agree(seats, histories)
  say("each process has seen the newest version of everything")
  const all = histories.flatMap(({ happened }) => happened)
  const reads = all.filter(({ did }) => did === "read")
  const invalidations = all.filter((item) => item.did === "invalidate")
  return {
    reads: reads.length,
    executions: source.runs.all.length,
    invalidations: invalidations.length,
    failedInvalidations: invalidations.filter(({ ok }) => !ok).length,
    longestRead: reads.reduce((longest, { ended, started }) => Math.max(longest, ended - started), 0),
    faults,
    violations: check({ histories, maxStaleness, newest: source.version })
  }
})

// What a process could not deliver before it was killed, nobody knows of. All other invalidations arrive.
const agree = Effect.fnUntraced(function*(seats: ReadonlyArray<Seat>, histories: ReadonlyArray<History>) {
  const delivered = new Map<string, number>()
  for (const { happened, node } of histories) {
    const lives = seats.some((seat) => seat.node.name === node)
    for (const item of happened) {
      if (item.did !== "invalidate" || !(item.ok || lives)) continue
      delivered.set(item.key, Math.max(delivered.get(item.key) ?? 0, item.version))
    }
  }
  for (const { cache } of seats) {
    for (const [key, version] of delivered) yield* Effect.orDie(cache.sees(key, version))
  }
})
