import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as RedisServer from "./RedisServer.ts"

describe("RedisServer", () => {
  it.live("is killed and restarted with the same port, and keeps its data only when told to", () =>
    Effect.gen(function*() {
      for (const persistent of [false, true]) {
        const server = yield* RedisServer.start({ persistent })
        yield* server.cli("SET", "a", "1")
        const pid = yield* server.pid
        yield* server.kill9
        yield* server.restart
        assert.notStrictEqual(yield* server.pid, pid)
        assert.strictEqual(yield* server.cli("GET", "a"), persistent ? "1" : "")
        assert.strictEqual(yield* server.cli("CONFIG", "GET", "port"), `port\n${server.port}`)
      }
    }))

  it.live("stops and goes on", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      yield* server.stop
      yield* server.cont
      assert.strictEqual(yield* server.cli("PING"), "PONG")
    }))

  it.live("is promoted with what it has of its master, directly and by Sentinel", () =>
    Effect.gen(function*() {
      const master = yield* RedisServer.start()
      const replica = yield* RedisServer.startReplica(master)
      yield* master.cli("SET", "a", "1")
      yield* replica.until((printed) => printed === "1", "GET", "a")
      const sentinel = yield* RedisServer.startSentinel({ master, replicas: 1 })
      yield* sentinel.failover
      yield* replica.until((printed) => printed.startsWith("master"), "ROLE")
      const other = yield* RedisServer.startReplica(replica)
      yield* other.promote
      assert.match(yield* other.cli("ROLE"), /^master/)
    }))

  it.live("is a cluster whose nodes all serve", () =>
    Effect.gen(function*() {
      const { nodes } = yield* RedisServer.startCluster()
      for (const node of nodes) {
        assert.strictEqual((yield* node.cli("CLUSTER", "SLOTS")).match(/127\.0\.0\.1/g)?.length, 3)
      }
    }))

  it.live("asks for a password, and speaks TLS", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start({ password: "secret", tls: true })
      assert.strictEqual(yield* server.cli("PING"), "PONG")
      assert.match(server.ca ?? "", /BEGIN CERTIFICATE/)
    }))
})
