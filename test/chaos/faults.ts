/**
 * What goes wrong in a chaos run. Each fault is done, lasts for a while, and is undone.
 */
import { Effect, Scope } from "effect"
import { type Cache, monotonic, type Node, passed } from "../processes/Nodes.ts"
import type { TcpProxy } from "../processes/TcpProxy.ts"
import type { Random } from "../random.ts"
import * as RedisServer from "../redis/RedisServer.ts"

/** A place for a process: another takes it when it is killed. */
export interface Seat {
  node: Node
  cache: Cache
  readonly proxy: TcpProxy
  /** Starts another process in the place of one that is gone. */
  readonly replace: Effect.Effect<void>
}

export interface Target {
  /** Another one after a failover. */
  server: RedisServer.Server
  readonly seats: ReadonlyArray<Seat>
  readonly namespace: string
  readonly maxStaleness: number
  /** Of the servers that are started. */
  readonly scope: Scope.Scope
}

export type Fault = (target: Target, random: Random) => Effect.Effect<void>

const inOrder = (...steps: ReadonlyArray<Effect.Effect<void>>): Effect.Effect<void> =>
  Effect.forEach(steps, (step) => step, { discard: true })

// From nothing to well over the bound.
const aWhile = ({ maxStaleness }: Target, { below }: Random) =>
  Effect.suspend(() => passed(monotonic() + (below(2) === 0 ? below(100) : below(maxStaleness * 2))))

// The server may answer that it does not want to.
const onServer = (...args: ReadonlyArray<string>): Fault => ({ server }) =>
  Effect.ignore(Effect.catchDefect(server.cli(...args), Effect.fail))

const onLog = (command: string, ...args: ReadonlyArray<string>): Fault => (target, random) =>
  Effect.gen(function*() {
    const [log] = (yield* target.server.cli("KEYS", `${target.namespace}:*:log:*`)).split("\n")
    if (log !== undefined && log !== "") yield* onServer(command, log, ...args)(target, random)
  })

// One that was promoted starts again as the replica that it was started as.
const killServer: Fault = (target, random) =>
  inOrder(
    target.server.kill9,
    aWhile(target, random),
    target.server.restart,
    onServer("REPLICAOF", "NO", "ONE")(target, random)
  )

const stopServer: Fault = (target, random) => inOrder(target.server.stop, aWhile(target, random), target.server.cont)

const killClients: Fault = (target, random) =>
  inOrder(
    onServer("CLIENT", "KILL", "TYPE", "normal")(target, random),
    onServer("CLIENT", "KILL", "TYPE", "pubsub")(target, random)
  )

const deleteNewest: Fault = (target, random) =>
  Effect.gen(function*() {
    const [log] = (yield* target.server.cli("KEYS", `${target.namespace}:*:log:*`)).split("\n")
    if (log === undefined || log === "") return
    const newest = yield* target.server.cli("XREVRANGE", log, "+", "-", "COUNT", "3")
    const ids = newest.split("\n").filter((line) => /^\d+-\d+$/.test(line))
    if (ids.length > 0) yield* onServer("XDEL", log, ...ids)(target, random)
  })

const foreignRecord: Fault = (target, random) =>
  onLog(
    "XADD",
    ...random.pick([
      ["*", "something", "else"],
      ["*", "p", "0-0", "t", "{", "h", ""],
      // In the year 2126.
      ["4924000000000000-0", "p", "0-0", "t", "[]", "h", ""]
    ])
  )(target, random)

const fullServer: Fault = (target, random) =>
  inOrder(
    onServer("CONFIG", "SET", "maxmemory", "1")(target, random),
    aWhile(target, random),
    onServer("CONFIG", "SET", "maxmemory", "0")(target, random)
  )

// Its data stays. Its replication id is another when it is a master again.
const readOnlyServer: Fault = (target, random) =>
  inOrder(
    onServer("REPLICAOF", "127.0.0.1", "1")(target, random),
    aWhile(target, random),
    onServer("REPLICAOF", "NO", "ONE")(target, random)
  )

// The replica does not have what the old master takes between its promotion and its end.
const failover: Fault = (target, random) =>
  Effect.gen(function*() {
    const old = target.server
    const replica = yield* RedisServer.startReplica(old)
    yield* replica.promote
    yield* passed(monotonic() + random.below(300))
    const kill = inOrder(old.kill9, aWhile(target, random))
    const move = Effect.forEach(target.seats, ({ proxy }) => proxy.to(replica.port), { discard: true })
    yield* random.below(2) === 0 ? inOrder(kill, move) : inOrder(move, kill)
    target.server = replica
  }).pipe(Effect.provideService(Scope.Scope, target.scope))

const onSeat =
  (fault: (seat: Seat, target: Target, random: Random) => Effect.Effect<void>): Fault => (target, random) =>
    Effect.suspend(() => fault(random.pick(target.seats), target, random))

const killNode = onSeat((seat, target, random) => inOrder(seat.node.kill9, aWhile(target, random), seat.replace))

const stopNode = onSeat(({ node }, target, random) => inOrder(node.stop, aWhile(target, random), node.cont))

const onProxy = (harm: (proxy: TcpProxy, random: Random) => Effect.Effect<void>) =>
  onSeat(({ proxy }, target, random) => inOrder(harm(proxy, random), aWhile(target, random), proxy.heal))

const jumpClock = onSeat(({ cache }, _, { pick }) => cache.setClock(pick([-300_000, -1000, 0, 1000, 300_000])))

const blockThread = onSeat(({ cache }, { maxStaleness }, { below }) =>
  Effect.ignore(cache.blocked("blocked", below(maxStaleness * 2)))
)

/** Faults of the server, by name. */
export const ofServer: Readonly<Record<string, Fault>> = {
  "kill -9 of Redis": killServer,
  "SIGSTOP of Redis": stopServer,
  "CLIENT KILL": killClients,
  FLUSHALL: onServer("FLUSHALL"),
  "DEL of the log": onLog("DEL"),
  "XTRIM of the log": onLog("XTRIM", "MAXLEN", "2"),
  "XTRIM of the whole log": onLog("XTRIM", "MAXLEN", "0"),
  "XDEL of the newest records": deleteNewest,
  "a foreign record": foreignRecord,
  "Redis is full": fullServer,
  "Redis is read-only": readOnlyServer,
  "a replica is promoted": failover
}

/** Faults of one process, by name. */
export const ofNodes: Readonly<Record<string, Fault>> = {
  "kill -9 of a node": killNode,
  "SIGSTOP of a node": stopNode,
  "a node is cut off": onProxy(({ cut }) => cut),
  "a node hears nothing": onProxy(({ stall }) => stall()),
  "requests of a node are late": onProxy(({ stall }) => stall("requests")),
  "replies to a node are late": onProxy(({ stall }) => stall("replies")),
  "a node has a slow network": onProxy(({ delay }, { below }) => delay(1 + below(80))),
  "the clock of a node jumps": jumpClock,
  "the thread of a node is blocked": blockThread
}
