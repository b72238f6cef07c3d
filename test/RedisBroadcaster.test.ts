import { afterAll, assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, ManagedRuntime, Result, Scope } from "effect"
import type { Broadcaster, CacheError } from "effect-cached"
import * as RedisBroadcaster from "effect-cached/RedisBroadcaster"
import * as RedisClient from "effect-cached/RedisClient"
import * as TcpProxy from "./processes/TcpProxy.ts"
import { makeProxy } from "./redis/proxy.ts"
import * as RedisServer from "./redis/RedisServer.ts"
import { broadcasterSuite } from "./suites/broadcasterSuite.ts"

let namespaces = 0
const newNamespace = () => `broadcaster-${++namespaces}`
const keyOf = (namespace: string) => `${namespace}:3:log:{${namespace}}`

/** A process that follows the log, and what it knows. */
interface Node {
  readonly log: Broadcaster.Broadcaster["Service"]
  readonly changes: Array<Broadcaster.Change>
  /** What it was told of records since it joined. */
  readonly told: () => ReadonlyArray<string>
  readonly has: (tag: Broadcaster.Change["_tag"]) => boolean
  /** Whether it would serve an entry with that tag and position. */
  readonly trusts: (tag: string, position: number) => boolean
  /** The position that it stamps on entries. */
  readonly position: () => number
}

const join = Effect.fnUntraced(function*(
  server: string | RedisServer.Cluster,
  { commandTimeout = 10_000, ...options }: RedisBroadcaster.Options & { readonly commandTimeout?: number }
) {
  // A connection of its own for each.
  const client = yield* Layer.build(Layer.fresh(RedisClient.layer({ ...optionsOf(server), commandTimeout })))
  const log = yield* Effect.provideContext(RedisBroadcaster.make(options), client)
  const changes: Array<Broadcaster.Change> = []
  const marks = new Map<string, number>()
  let floor = 0
  let position = 0
  yield* log.follow((change) => {
    changes.push(change)
    if (change._tag !== "Gap" && change._tag !== "Record") return
    position = Math.max(position, change.position)
    if (change._tag === "Gap" || change.tags.length === 0) floor = Math.max(floor, change.position)
    else for (const tag of change.tags) marks.set(tag, Math.max(marks.get(tag) ?? 0, change.position))
  })
  const begin = changes.length
  const node: Node = {
    log,
    changes,
    told: () =>
      changes.slice(begin).flatMap((change) =>
        change._tag === "Record" ? [change.tags.join()] : change._tag === "Gap" ? ["gap"] : []
      ),
    has: (tag) => changes.slice(begin).some((change) => change._tag === tag),
    trusts: (tag, at) => log.isCurrent() && at >= floor && at >= (marks.get(tag) ?? 0),
    position: () => position
  }
  return node
})

const optionsOf = (server: string | RedisServer.Cluster): RedisClient.Options =>
  typeof server === "string"
    ? { url: server }
    : { cluster: { nodes: server.nodes.map(({ port }) => ({ host: "127.0.0.1", port })) }, required: true }

/** Waits for a condition, looking every few milliseconds, for at most 20 seconds. */
const until = (what: string, check: () => boolean) =>
  Effect.gen(function*() {
    for (let look = 0; look < 4000; look++) {
      if (check()) return
      yield* Effect.sleep(5)
    }
    throw new Error(`still not: ${what}`)
  })

const caughtUp = ({ log }: Node) =>
  Effect.gen(function*() {
    for (let attempt = 0; attempt < 200; attempt++) {
      if (Result.isSuccess(yield* Effect.result(log.catchUp))) return
      yield* Effect.sleep(50)
    }
    throw new Error("still cannot catch up")
  })

const problemOf = (result: Result.Result<unknown, CacheError.CacheError>): string => {
  if (Result.isSuccess(result)) return "none"
  const { reason } = result.failure
  const cause = reason._tag === "LogError" ? (reason.cause as CacheError.CacheError | undefined)?.reason : undefined
  return cause?._tag === "ServerError" ? cause.problem : `${reason._tag}: ${reason.message}`
}

const blocked = (printed: string) => (printed.match(/ flags=b /g) ?? []).length === 2

const connected = (printed: string) => printed.trim().split("\n").length

// At no moment that is later than the bound after the last that could be heard is it current.
const staysWithin = (bound: number, node: Node, since: number) =>
  until("not current any more", () => {
    const late = performance.now() - since > bound
    const current = node.log.isCurrent()
    assert.isFalse(late && current)
    return !current
  })

const suiteOptions = { ownTime: false }

broadcasterSuite(
  "Redis",
  Layer.suspend(() =>
    RedisBroadcaster.layer({ namespace: newNamespace() }).pipe(
      Layer.provide(RedisClient.layer(optionsOf(process.env["REDIS_URL"]!)))
    )
  ),
  suiteOptions
)

describe("on a cluster", () => {
  const cluster = ManagedRuntime.make(RedisServer.layerCluster)
  afterAll(() => cluster.dispose())

  const running = Effect.promise(() => cluster.runPromise(RedisServer.RedisCluster))

  broadcasterSuite(
    "Redis Cluster",
    Layer.unwrap(
      Effect.map(running, (nodes) =>
        RedisBroadcaster.layer({ namespace: newNamespace(), required: true }).pipe(
          Layer.provide(RedisClient.layer(optionsOf(nodes)))
        ))
    ),
    suiteOptions
  )

  it.live("tells every process of what one appends, by waiting for it", () =>
    Effect.flatMap(running, (nodes) => propagates(nodes)))
})

// With such a bound, nobody asks in the time of a test.
const propagates = Effect.fnUntraced(function*(server: string | RedisServer.Cluster) {
  const options = { namespace: newNamespace(), maxStaleness: "1 hour" } as const
  const nodes = yield* Effect.all([join(server, options), join(server, options), join(server, options)])
  for (const [n, node] of nodes.entries()) {
    const position = yield* node.log.append([`user:${n}`])
    assert.strictEqual(node.told().at(-1), `user:${n}`)
    for (const other of nodes) {
      yield* until("told", () => other.told().length > n)
      assert.deepStrictEqual(other.told(), ["user:0", "user:1", "user:2"].slice(0, n + 1))
      assert.isFalse(other.trusts(`user:${n}`, position - 1))
      assert.isTrue(other.trusts("user:8", position - 1))
    }
  }
})

it.layer(RedisServer.layer(), { excludeTestServices: true })("RedisBroadcaster", (it) => {
  describe("propagation", () => {
    it.effect("tells every process of what one appends, by waiting for it (scenario 49)", () =>
      Effect.flatMap(RedisServer.RedisServer, ({ url }) => propagates(url)))

    it.effect("needs no question to be asked for that", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        yield* propagates(server.url)
        const calls = Array.from(
          (yield* server.cli("INFO", "commandstats")).matchAll(/cmdstat_(?:evalsha|eval):calls=(\d+)/g),
          ([, count]) => Number(count)
        ).reduce((sum, count) => sum + count, 0)
        // Three that join and three that append, and the first time the server has to be told the script.
        assert.strictEqual(calls, 7)
      }))

    it.effect("gives 1 000 records from four processes at once one order, the same for all", () =>
      Effect.gen(function*() {
        const { url } = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const nodes = yield* Effect.all(Array.from({ length: 4 }, () => join(url, { namespace })))
        const before = Math.max(...nodes.map((node) => node.position()))
        const positions = (yield* Effect.forEach(
          nodes,
          (node, n) =>
            Effect.forEach(
              Array.from({ length: 250 }, (_, index) => `n${n}:${index}`),
              (tag) =>
                Effect.map(node.log.append([tag]), (position) => {
                  // It has been told of its own record, and so of all before it, when it has the position.
                  assert.isAtLeast(node.position(), position)
                  assert.isFalse(node.trusts(tag, position - 1))
                  return position
                }),
              { concurrency: "unbounded" }
            ),
          { concurrency: "unbounded" }
        )).flat().toSorted((a, b) => a - b)
        assert.strictEqual(new Set(positions).size, 1000)
        assert.isAbove(positions[0]!, before)
        for (const node of nodes) {
          yield* caughtUp(node)
          const records = node.changes.filter((change) => change._tag === "Record" && change.tags.length > 0)
          assert.deepStrictEqual(records.map((record) => "position" in record && record.position), positions)
          assert.isFalse(node.has("Gap"))
        }
      }))

    it.effect("lets who joins later know what was invalidated before (scenario 51)", () =>
      Effect.gen(function*() {
        const { url } = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const first = yield* join(url, { namespace })
        const stamped = first.position()
        const position = yield* first.log.append(["user:7"])
        const later = yield* join(url, { namespace })
        assert.isFalse(later.trusts("user:7", stamped))
        assert.isTrue(later.trusts("user:7", position))
        assert.isTrue(later.trusts("user:8", stamped))
        // Who has more than a page to read, too.
        for (let n = 0; n < 500; n++) yield* Effect.forkScoped(first.log.append([`many:${n}`]))
        const last = yield* first.log.append(["last"])
        const much = yield* join(url, { namespace })
        assert.isFalse(much.trusts("user:7", stamped))
        assert.isFalse(much.trusts("many:0", stamped))
        assert.isFalse(much.trusts("last", last - 1))
        assert.isTrue(much.trusts("user:8", stamped))
      }))

    it.effect("does not share a log with a namespace that begins with the same letters, or has odd ones", () =>
      Effect.gen(function*() {
        const { url } = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const names = [namespace, `${namespace}:1`, `${namespace}*`, `${namespace}{a}`, `${namespace}}`]
        const nodes = yield* Effect.all(names.map((name) => join(url, { namespace: name })))
        yield* nodes[0]!.log.append(["a"])
        for (const node of nodes.slice(1)) {
          yield* caughtUp(node)
          assert.deepStrictEqual(node.told(), [])
        }
      }))
  })

  describe("a process that is cut off while others invalidate (scenario 50)", () => {
    const cutOff = Effect.fnUntraced(function*(
      meanwhile: (server: RedisServer.Server, key: string, ids: ReadonlyArray<string>) => Effect.Effect<unknown>
    ) {
      const server = yield* RedisServer.RedisServer
      const namespace = newNamespace()
      const proxy = yield* makeProxy(server.port)
      const far = yield* join(proxy.url, { namespace })
      const near = yield* join(server.url, { namespace })
      yield* near.log.append(["known"])
      yield* caughtUp(far)
      const stamped = far.position()
      yield* proxy.cut
      const positions = [yield* near.log.append(["a"]), yield* near.log.append(["b"]), yield* near.log.append(["c"])]
      yield* meanwhile(server, keyOf(namespace), positions.map((position) => `${position}-0`))
      yield* proxy.restore
      yield* caughtUp(far)
      for (const [n, tag] of ["a", "b", "c"].entries()) {
        assert.isFalse(far.trusts(tag, stamped))
        assert.isFalse(far.trusts(tag, positions[n]! - 1))
      }
      // Whoever joins now knows, too, and what comes next is told to all.
      yield* caughtUp(near)
      const late = yield* join(server.url, { namespace })
      for (const tag of ["a", "b", "c"]) assert.isFalse(late.trusts(tag, stamped))
      const next = yield* near.log.append(["next"])
      assert.isAbove(next, Math.max(...positions))
      yield* until("told", () => !far.trusts("next", next - 1))
      yield* caughtUp(far)
      assert.isTrue(far.trusts("next", next))
      return { far, near, stamped }
    })

    it.effect("is told record by record what it has missed", () =>
      Effect.gen(function*() {
        const { far, stamped } = yield* cutOff(() => Effect.void)
        assert.deepStrictEqual(far.told(), ["known", "a", "b", "c", "next"])
        assert.isTrue(far.trusts("other", stamped))
      }))

    it.effect("is told that it has missed something when the log was trimmed past its cursor", () =>
      Effect.gen(function*() {
        const { far, near, stamped } = yield* cutOff(({ cli }, key) => cli("XTRIM", key, "MAXLEN", "1"))
        assert.isTrue(far.has("Gap"))
        assert.isFalse(near.has("Gap"))
        assert.isTrue(near.trusts("other", stamped))
      }))

    it.effect("is told nothing but the records when the log was trimmed up to its cursor", () =>
      Effect.gen(function*() {
        const { far } = yield* cutOff(({ cli }, key) => cli("XTRIM", key, "MAXLEN", "3"))
        assert.deepStrictEqual(far.told(), ["known", "a", "b", "c", "next"])
      }))

    it.effect("knows when a record in the middle was deleted", () =>
      Effect.gen(function*() {
        const { far } = yield* cutOff(({ cli }, key, ids) => cli("XDEL", key, ids[1]!))
        assert.isTrue(far.has("Gap"))
      }))

    it.effect("knows when the last record was deleted", () => cutOff(({ cli }, key, ids) => cli("XDEL", key, ids[2]!)))

    it.effect("knows when all records were deleted", () => cutOff(({ cli }, key) => cli("XTRIM", key, "MAXLEN", "0")))

    it.effect("knows when the log was deleted", () => cutOff(({ cli }, key) => cli("DEL", key)))

    it.effect("knows when the log was deleted and others have begun a new one", () =>
      Effect.gen(function*() {
        const { near } = yield* cutOff(({ cli, url }, key) =>
          Effect.andThen(
            cli("DEL", key),
            Effect.flatMap(
              join(url, { namespace: key.slice(0, key.indexOf(":")) }),
              ({ log }) => Effect.orDie(log.append(["z"]))
            ).pipe(Effect.scoped, Effect.orDie)
          )
        )
        assert.isTrue(near.told().includes("gap") || near.told().includes(""))
      }))

    it.effect("knows when everything was flushed", () => cutOff(({ cli }) => cli("FLUSHALL")))

    it.effect("knows when the log was evicted", () =>
      cutOff(({ cli }, key) =>
        Effect.gen(function*() {
          yield* cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
          yield* cli("CONFIG", "SET", "maxmemory", "1")
          // A write makes room, and finds that there is not enough.
          yield* Effect.ignore(Effect.catchCause(cli("SET", "something", "new"), () => Effect.void))
          yield* cli("CONFIG", "SET", "maxmemory", "0")
          assert.strictEqual(yield* cli("EXISTS", key), "0")
        })
      ))
  })

  describe("the one that waits", () => {
    const waiting = Effect.fnUntraced(function*(server: RedisServer.Server) {
      const list = yield* server.cli("CLIENT", "LIST")
      return Array.from(list.matchAll(/^id=(\d+) .*flags=b .*cmd=xread/gm), ([, id]) => id!)
    })

    it.effect("is connected again when its connection was killed, and misses nothing", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        const namespace = newNamespace()
        const reader = yield* join(server.url, { namespace })
        const writer = yield* join(server.url, { namespace })
        for (let round = 0; round < 5; round++) {
          yield* server.until(blocked, "CLIENT", "LIST")
          for (const id of yield* waiting(server)) yield* server.cli("CLIENT", "KILL", "ID", id)
          yield* writer.log.append([`round:${round}`])
        }
        yield* until("told", () => reader.told().length === 5)
        assert.deepStrictEqual(reader.told(), ["round:0", "round:1", "round:2", "round:3", "round:4"])
        yield* server.until(blocked, "CLIENT", "LIST")
      }))

    it.effect("leaves no connection when its scope closes (scenario 58)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        const before = connected(yield* server.cli("CLIENT", "LIST"))
        const scope = yield* Scope.make()
        const node = yield* Scope.provide(join(server.url, { namespace: newNamespace() }), scope)
        yield* node.log.append(["a"])
        yield* server.until((printed) => / flags=b /.test(printed), "CLIENT", "LIST")
        yield* Scope.close(scope, Exit.void)
        yield* server.until((printed) => connected(printed) === before, "CLIENT", "LIST")
      }))
  })

  describe("a server that was started again", () => {
    for (const persistent of [false, true]) {
      it.effect(`${persistent ? "with" : "without"} its data invalidates everything once (scenario 57)`, () =>
        Effect.gen(function*() {
          const server = yield* RedisServer.start({ persistent })
          const namespace = newNamespace()
          const nodes = [yield* join(server.url, { namespace }), yield* join(server.url, { namespace })]
          const position = yield* nodes[0]!.log.append(["a"])
          yield* server.restart
          for (const node of nodes) {
            yield* caughtUp(node)
            assert.isFalse(node.trusts("other", position))
          }
          const next = yield* nodes[0]!.log.append(["a"])
          assert.isAbove(next, position)
          for (const node of nodes) {
            yield* caughtUp(node)
            assert.isTrue(node.trusts("other", next - 1))
            assert.isFalse(node.trusts("a", next - 1))
          }
          // Once, and not once for each.
          assert.deepStrictEqual(nodes[0]!.told(), ["a", persistent ? "" : "gap", "a"])
        }))
    }
  })

  describe("failing over", () => {
    it.effect("to a replica that has lost the last records invalidates everything", () =>
      Effect.gen(function*() {
        const namespace = newNamespace()
        const master = yield* RedisServer.start()
        const replication = yield* makeProxy(master.port)
        const replica = yield* RedisServer.startReplica({ ...master, port: replication.port })
        const proxy = yield* makeProxy(master.port)
        const [writer, reader] = [yield* join(proxy.url, { namespace }), yield* join(proxy.url, { namespace })]
        const before = yield* writer.log.append(["before"])
        yield* replica.until((printed) => printed === "2", "XLEN", keyOf(namespace))
        yield* replication.hold
        const lost = yield* writer.log.append(["lost"])
        yield* caughtUp(reader)
        yield* master.kill9
        yield* replication.cut
        yield* replica.promote
        assert.strictEqual(yield* replica.cli("XLEN", keyOf(namespace)), "2")
        // One that knows nothing of it is the first.
        const first = yield* join(replica.url, { namespace })
        assert.isFalse(first.trusts("lost", before))
        assert.isFalse(first.trusts("lost", lost))
        const next = yield* first.log.append(["lost"])
        assert.isAbove(next, lost)
        yield* proxy.leadTo(replica.port)
        for (const node of [writer, reader]) {
          yield* caughtUp(node)
          assert.isFalse(node.trusts("lost", before))
          assert.isFalse(node.trusts("lost", lost))
          // An entry that was stamped with the lost record is below what comes now.
          assert.isAbove(yield* node.log.append(["again"]), next)
        }
      }))

    it.effect("of what followed another branch invalidates everything again", () =>
      Effect.gen(function*() {
        const namespace = newNamespace()
        const master = yield* RedisServer.start()
        const replica = yield* RedisServer.startReplica(master)
        const proxy = yield* makeProxy(master.port)
        const apart = yield* join(proxy.url, { namespace })
        yield* apart.log.append(["before"])
        yield* replica.until((printed) => printed === "2", "XLEN", keyOf(namespace))
        // Both take writes. What is acknowledged by the one after the other has begun is in one of them only.
        yield* replica.promote
        const other = yield* join(replica.url, { namespace })
        const stamped = yield* other.log.append(["other"])
        yield* apart.log.append(["apart"])
        yield* proxy.leadTo(replica.port)
        yield* caughtUp(apart)
        yield* caughtUp(other)
        assert.isFalse(other.trusts("apart", stamped))
        const late = yield* join(replica.url, { namespace })
        assert.isFalse(late.trusts("apart", stamped))
      }))

    it.effect("that gives the same place to another record is known by who was told of the first (scenario 50)", () =>
      Effect.gen(function*() {
        const namespace = newNamespace()
        const server = yield* RedisServer.start()
        const other = yield* RedisServer.start()
        const proxy = yield* TcpProxy.start(server.port)
        const node = yield* join(proxy.url, { namespace, maxStaleness: 60_000 })
        const position = yield* node.log.append(["a"])
        yield* proxy.stall()
        // Another branch of the log, of which this server knows that it is its own.
        yield* server.cli("REPLICAOF", "127.0.0.1", `${other.port}`)
        yield* server.cli("REPLICAOF", "NO", "ONE")
        const [history] = (yield* server.cli("INFO", "replication")).match(/(?<=master_replid:)\w{16}/) ?? []
        yield* server.cli("DEL", keyOf(namespace))
        for (const [n, tags] of [[0, "[]"], [1, "[\"b\"]"], [2, "[\"c\"]"]] as const) {
          const [id, before] = [`${position - 1 + n}-0`, n === 0 ? "0-0" : `${position - 2 + n}-0`]
          yield* server.cli("XADD", keyOf(namespace), id, "p", before, "t", tags, "h", history!)
        }
        yield* proxy.heal
        yield* caughtUp(node)
        assert.isFalse(node.trusts("b", position - 1))
        assert.isTrue(node.trusts("b", yield* node.log.append(["d"])))
      }))

    it.effect("leaves nothing to a server that became a replica: it is not heard from", () =>
      Effect.gen(function*() {
        const namespace = newNamespace()
        const server = yield* RedisServer.start()
        const other = yield* RedisServer.start()
        const node = yield* join(server.url, { namespace, maxStaleness: 300 })
        yield* node.log.append(["a"])
        yield* server.cli("REPLICAOF", "127.0.0.1", `${other.port}`)
        yield* until("read-only", () => node.has("Lost"))
        assert.isFalse(node.log.isCurrent())
        assert.strictEqual(problemOf(yield* Effect.result(node.log.append(["b"]))), "read-only")
        assert.strictEqual(problemOf(yield* Effect.result(node.log.catchUp)), "read-only")
        yield* server.cli("REPLICAOF", "NO", "ONE")
        yield* caughtUp(node)
        yield* until("current", () => node.log.isCurrent())
      }))

    it.effect("is not hidden by a master that has lost its replicas and may not write without", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        const node = yield* join(server.url, { namespace: newNamespace(), maxStaleness: 300 })
        yield* server.cli("CONFIG", "SET", "min-replicas-to-write", "1")
        yield* until("lost", () => node.has("Lost"))
        assert.isFalse(node.log.isCurrent())
        assert.strictEqual(problemOf(yield* Effect.result(node.log.catchUp)), "rejected")
        yield* server.cli("CONFIG", "SET", "min-replicas-to-write", "0")
        yield* until("current", () => node.log.isCurrent())
        assert.isFalse(node.has("Gap"))
      }))
  })

  describe("the staleness bound (scenario 55)", () => {
    it.effect("is kept when the server stands still, and ends without a gap when it goes on", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        const namespace = newNamespace()
        const node = yield* join(server.url, { namespace, maxStaleness: 300, commandTimeout: 200 })
        const position = yield* node.log.append(["a"])
        yield* server.stop
        yield* staysWithin(300, node, performance.now())
        yield* until("lost", () => node.has("Lost"))
        yield* server.cont
        yield* until("current", () => node.log.isCurrent())
        assert.isFalse(node.has("Gap"))
        assert.isTrue(node.trusts("other", position - 1))
      }))

    it.effect("is kept when nothing comes through and nobody says so, and ends with the records in between", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const proxy = yield* makeProxy(server.port)
        const far = yield* join(proxy.url, { namespace, maxStaleness: 300, commandTimeout: 200 })
        const near = yield* join(server.url, { namespace })
        yield* caughtUp(far)
        yield* proxy.hold
        const held = performance.now()
        const position = yield* near.log.append(["a"])
        yield* staysWithin(300, far, held)
        yield* proxy.release
        yield* until("current", () => far.log.isCurrent())
        assert.isFalse(far.trusts("a", position - 1))
        assert.isTrue(far.trusts("other", position - 1))
        assert.deepStrictEqual(far.told(), ["a"])
      }))

    it.effect("is kept by who starts while there is no server, and joins when there is one", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        yield* server.kill9
        const namespace = newNamespace()
        const node = yield* join(server.url, { namespace, maxStaleness: 300 })
        assert.deepStrictEqual(node.changes.map(({ _tag }) => _tag), ["Lost"])
        assert.isFalse(node.log.isCurrent())
        assert.strictEqual(problemOf(yield* Effect.result(node.log.append(["a"]))), "unreachable")
        yield* server.restart
        yield* until("current", () => node.log.isCurrent())
        yield* node.log.append(["a"])
        assert.deepStrictEqual(node.told().slice(-1), ["a"])
      }))

    it.effect("makes the layer fail where the log is required and not there", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        yield* server.kill9
        const result = yield* Effect.result(join(server.url, { namespace: newNamespace(), required: true }))
        assert.strictEqual(problemOf(result), "unreachable")
      }))
  })

  describe("what somebody else has written to the log (scenario 53)", () => {
    const written = Effect.fnUntraced(function*(
      write: (cli: RedisServer.Server["cli"], key: string, position: number) => Effect.Effect<unknown>
    ) {
      const server = yield* RedisServer.RedisServer
      const namespace = newNamespace()
      const [node, other] = [yield* join(server.url, { namespace }), yield* join(server.url, { namespace })]
      const position = yield* node.log.append(["a"])
      yield* caughtUp(other)
      yield* write(server.cli, keyOf(namespace), position)
      yield* caughtUp(node)
      const next = yield* node.log.append(["b"])
      assert.isAbove(next, position)
      assert.isBelow(next, (Date.now() + 2 * 365 * 24 * 3_600_000) * 1000)
      yield* caughtUp(other)
      const late = yield* join(server.url, { namespace })
      for (const one of [node, other, late]) {
        yield* until("told", () => !one.trusts("b", next - 1))
        assert.isTrue(one.trusts("b", next))
        assert.isFalse(one.trusts("a", position - 1))
      }
      // It comes by waiting, too.
      const last = yield* other.log.append(["c"])
      yield* until("told", () => node.told().includes("c"))
      assert.isFalse(node.trusts("c", last - 1))
      return { node, late, position }
    })

    const ignored = (
      write: (cli: RedisServer.Server["cli"], key: string, position: number) => Effect.Effect<unknown>
    ) =>
      Effect.gen(function*() {
        const { late, node, position } = yield* written(write)
        assert.deepStrictEqual(node.told(), ["a", "b", "c"])
        assert.isTrue(node.trusts("other", position - 1))
        assert.isTrue(late.trusts("other", position))
      })

    it.effect("is ignored when it has other fields", () =>
      ignored((cli, key, position) => cli("XADD", key, `${position + 5}-0`, "foo", "bar")))

    it.effect("is ignored when the server has given it an id", () =>
      ignored((cli, key) => cli("XADD", key, "*", "p", "1-0")))

    it.effect("is ignored when there is a lot of it", () =>
      ignored((cli, key) =>
        Effect.forEach(Array.from({ length: 20 }), () => cli("XADD", key, "*", "foo", "x".repeat(10_000)))
      ))

    it.effect("is told to the followers, each once", () =>
      Effect.gen(function*() {
        const { url, cli } = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const node = yield* join(url, { namespace })
        yield* cli("XADD", keyOf(namespace), "*", "foo", "bar")
        yield* node.log.append(["a"])
        yield* caughtUp(node)
        const ignored = node.changes.flatMap((change) => change._tag === "Ignored" ? [change.problem] : [])
        assert.strictEqual(ignored.length, 1)
        assert.include(ignored[0], "somebody else")
      }))

    it.effect("does not hide that records are missing", () =>
      Effect.gen(function*() {
        const { node } = yield* written((cli, key) =>
          cli("EVAL", "for i = 1, 130 do redis.call('XADD', KEYS[1], '*', 'foo', 'bar') end", "1", key)
        )
        assert.isTrue(node.has("Gap") || node.told().includes(""))
      }))

    it.effect("is removed with the log when it is so far in the future that no position is left", () =>
      Effect.gen(function*() {
        for (const id of ["18446744073709551615-18446744073709551615", "9000000000000000-0"]) {
          const { node } = yield* written((cli, key) => cli("XADD", key, id, "p", "0-0", "t", "[]", "h", ""))
          assert.isTrue(node.told().includes("gap"))
        }
      }))

    it.effect("invalidates everything when it has the form of a record and cannot be read", () =>
      Effect.gen(function*() {
        for (const tags of ["[not JSON]", "[7]", "[\"a b\"]", `["${"x".repeat(60_000)}"]`]) {
          const { node } = yield* written((cli, key, position) =>
            cli("XADD", key, `${position + 5}-0`, "p", `${position}-0`, "t", tags, "h", "")
          )
          assert.isTrue(node.told().includes("") || tags.includes("xxx"))
        }
      }))
  })

  describe("the clock of the server", () => {
    it.effect("may be five minutes behind the log (scenario 52)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const [info] = (yield* server.cli("INFO", "replication")).match(/(?<=master_replid:)\w{16}/) ?? []
        const ahead = (Date.now() + 300_000) * 1000
        yield* server.cli("XADD", keyOf(namespace), `${ahead}-0`, "p", "0-0", "t", "[]", "h", info!)
        const [node, other] = [yield* join(server.url, { namespace }), yield* join(server.url, { namespace })]
        assert.isTrue(node.trusts("a", ahead))
        for (let n = 1; n <= 3; n++) {
          const position = yield* node.log.append(["a"])
          assert.strictEqual(position, ahead + n)
          yield* caughtUp(other)
          assert.isFalse(other.trusts("a", position - 1))
          assert.isTrue(other.trusts("a", position))
        }
      }))
  })

  describe("bounds", () => {
    it.effect("keeps about as many records as it is told to", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const node = yield* join(server.url, { namespace, maxLength: 100 })
        yield* Effect.forEach(Array.from({ length: 1000 }), () => node.log.append(["a"]), { concurrency: 10 })
        const length = Number(yield* server.cli("XLEN", keyOf(namespace)))
        assert.isAtLeast(length, 100)
        assert.isAtMost(length, 210)
      }))

    it.effect("invalidates everything by a record that would be too large", () =>
      Effect.gen(function*() {
        const { url } = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        const [node, other] = [yield* join(url, { namespace, maxRecordBytes: 100 }), yield* join(url, { namespace })]
        const tags = Array.from({ length: 20 }, (_, n) => `user:${n}`)
        const position = yield* node.log.append(tags)
        yield* caughtUp(other)
        for (const one of [node, other]) {
          assert.deepStrictEqual(one.told(), [""])
          assert.isFalse(one.trusts("other", position - 1))
        }
      }))

    it.effect("refuses options that cannot be used", () =>
      Effect.gen(function*() {
        const { url } = yield* RedisServer.RedisServer
        for (
          const options of [
            { namespace: "" },
            { maxStaleness: 10 },
            { maxStaleness: Infinity },
            { maxStaleness: Duration.infinity },
            { maxLength: 0 },
            { maxRecordBytes: -1 }
          ]
        ) {
          const result = yield* Effect.result(join(url, options))
          assert.isTrue(Result.isFailure(result) && result.failure.reason._tag === "DefinitionError")
        }
      }))
  })

  describe("a server that refuses", () => {
    it.effect("says that something else stands at the key of the log", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const namespace = newNamespace()
        yield* server.cli("SET", keyOf(namespace), "mine")
        const node = yield* join(server.url, { namespace })
        assert.deepStrictEqual(node.changes.map(({ _tag }) => _tag), ["Lost"])
        assert.strictEqual(problemOf(yield* Effect.result(node.log.append(["a"]))), "foreign")
        yield* server.cli("DEL", keyOf(namespace))
        yield* caughtUp(node)
        assert.isTrue(node.log.isCurrent())
      }))

    it.effect("to take more data because it is full takes records all the same: the log is bounded", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        const node = yield* join(server.url, { namespace: newNamespace() })
        yield* server.cli("CONFIG", "SET", "maxmemory", "1")
        assert.match(
          yield* Effect.sandbox(server.cli("SET", "a", "b")).pipe(
            Effect.matchCause({ onSuccess: String, onFailure: String })
          ),
          /OOM/
        )
        yield* node.log.append(["a"])
        yield* node.log.catchUp
        assert.deepStrictEqual(node.told(), ["a"])
      }))

    it.effect("to say what it is does not keep the log from working", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.start()
        const namespace = newNamespace()
        yield* server.cli("ACL", "SETUSER", "modest", "on", ">secret", "~*", "&*", "+@all", "-info")
        const url = server.url.replace("redis://", "redis://modest:secret@")
        const [modest, other] = [yield* join(url, { namespace }), yield* join(server.url, { namespace })]
        // The one who may ask has found that nobody knew, once.
        const begin = other.changes.length
        for (let n = 0; n < 3; n++) {
          yield* modest.log.append([`modest:${n}`])
          yield* other.log.append([`other:${n}`])
        }
        yield* caughtUp(other)
        const records = other.changes.slice(begin).filter((change) => change._tag !== "Heartbeat")
        assert.strictEqual(records.length, 6)
        assert.isTrue(records.every((record) => record._tag === "Record" && record.tags.length === 1))
      }))
  })

  it.effect("tells what it appended also when the answer is lost", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.RedisServer
      const namespace = newNamespace()
      const proxy = yield* makeProxy(server.port)
      const far = yield* join(proxy.url, { namespace, commandTimeout: 200 })
      yield* proxy.hold
      const appending = yield* Effect.forkChild(Effect.result(far.log.append(["a"])), { startImmediately: true })
      assert.strictEqual(problemOf(yield* Fiber.join(appending)), "timeout")
      yield* proxy.release
      // What was sent arrives all the same, or does not: then it is not in the log.
      yield* caughtUp(far)
      const node = yield* join(server.url, { namespace })
      const length = Number(yield* server.cli("XLEN", keyOf(namespace)))
      yield* until("told", () => far.told().length === length - 1)
      assert.isAtLeast(node.position(), far.position())
    }))
})
