import { NodeHttpServer, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Queue, Schedule, Stream } from "effect"
import { HttpServer } from "effect/http"
import { ChildProcess, type ChildProcessSpawner } from "effect/process"
import { execFile as execFileWithCallback } from "node:child_process"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Atlas } from "../../examples/atlas/Atlas.ts"
import { cachesIn } from "../../examples/atlas/precompute.ts"
import * as Routes from "../../examples/atlas/routes.ts"
import * as RedisServer from "../redis/RedisServer.ts"

const hit = "effect-cached; hit"
const miss = "effect-cached; fwd=miss"

interface Init {
  readonly method?: string
  readonly body?: string
}

const send = (address: string, path: string, init?: Init) =>
  Effect.promise(async () => {
    const headers = { connection: "close", "content-type": "application/json" }
    const response = await fetch(address + path, { ...init, headers })
    return { cacheStatus: response.headers.get("cache-status"), body: await response.text() }
  })

const setPopulation = (address: string, id: number, population: number) =>
  send(address, `/cities/${id}`, { method: "PUT", body: JSON.stringify({ population }) })

/** Asks until the answer has a text, which is as long as an invalidation is on its way. */
const sendUntil = (address: string, path: string, text: string) =>
  Effect.repeat(send(address, path), {
    schedule: Schedule.spaced("5 millis"),
    until: ({ body }) => body.includes(text)
  })

const execFile = promisify(execFileWithCallback)

const root = fileURLToPath(new URL("../../", import.meta.url))

/** Starts `cluster.ts`, on any ports, and waits for a line. It uses the Redis at `redis`, or one of its own. */
const startCluster = Effect.fnUntraced(
  function*(options: { readonly redis: string | undefined; readonly until: string }) {
    const child = yield* ChildProcess.make(
      process.execPath,
      ["--import", `${root}test/bin/fixtures/register.ts`, `${root}examples/atlas/cluster.ts`],
      { cwd: root, env: { PORT: "0", REDIS_URL: options.redis, NO_COLOR: "1" }, extendEnv: true, stderr: "inherit" }
    )
    const lines = yield* Queue.unbounded<string, "ended">()
    yield* child.stdout.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.runForEach((line) => Queue.offer(lines, line)),
      Effect.ensuring(Queue.fail(lines, "ended")),
      Effect.forkScoped
    )
    const written: Array<string> = []
    yield* Queue.take(lines).pipe(
      Effect.tap((line) => Effect.sync(() => written.push(line))),
      Effect.repeat({ until: (line) => line.includes(options.until) }),
      Effect.catch(() => Effect.die(`It ended with: ${written.join("\n")}`))
    )
    return { child, written }
  }
)

/** Sends a signal as a terminal does, and waits for the end. */
const interrupt = (child: ChildProcessSpawner.ChildProcessHandle) =>
  Effect.andThen(Effect.sync(() => process.kill(child.pid, "SIGINT")), child.exitCode)

/** One atlas in this process, on a database that it may share. */
const serve = (redis: string, atlas: Atlas["Service"]) =>
  Routes.layer.pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
    Layer.provide(cachesIn(redis)),
    Layer.provide([Layer.succeed(Atlas, atlas), NodeServices.layer])
  )

const addressOf = (context: Context.Context<HttpServer.HttpServer>) =>
  Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)

it.layer(RedisServer.layer(), { excludeTestServices: true })("the atlas with Redis", (it) => {
  it.effect("shares what one has computed, and ends it in all", () =>
    Effect.gen(function*() {
      const redis = yield* RedisServer.RedisServer
      const atlas = Context.get(yield* Layer.build(Atlas.layer), Atlas)
      const here = yield* addressOf(yield* Layer.build(Layer.fresh(serve(redis.url, atlas))))
      const there = yield* addressOf(yield* Layer.build(Layer.fresh(serve(redis.url, atlas))))
      const cities = "/countries/LI/cities?limit=1"
      const ranking = "/rankings/EU/largest-city?limit=1"

      for (const path of [cities, ranking]) {
        assert.strictEqual((yield* send(here, path)).cacheStatus, miss)
        const queries = yield* atlas.queries
        assert.strictEqual((yield* send(there, path)).cacheStatus, hit)
        assert.deepStrictEqual(yield* atlas.queries, queries)
      }

      // Vaduz becomes the largest city of its continent.
      yield* setPopulation(there, 3042030, 20_000_000)
      for (const path of [cities, ranking]) {
        assert.include((yield* send(there, path)).body, "20000000")
        yield* sendUntil(here, path, "20000000")
      }
    }).pipe(Effect.scoped))
})

describe("cluster.ts", () => {
  it.live(
    "starts four atlases, shows all of them to see the change of one, and stops them on Ctrl-C",
    () =>
      Effect.gen(function*() {
        const redis = yield* RedisServer.start()
        const { child, written } = yield* startCluster({ redis: redis.url, until: "Ctrl-C" })
        const addresses = written.flatMap((line) => /^atlas \d is on (http:\S+)$/.exec(line)?.[1] ?? [])
        assert.strictEqual(addresses.length, 4)

        const shown = written.flatMap((line, index) =>
          /^atlas \d: /.test(line) ? [[line, ...written.slice(index + 1, index + 3).map((line) => line.trim())]] : []
        )
        const ask = "GET /countries/CH/cities?limit=1"
        assert.deepStrictEqual(shown.map(([line]) => line), [
          `atlas 1: ${ask}`,
          `atlas 2: ${ask}`,
          "atlas 3: PUT /cities/2661604",
          `atlas 1: ${ask}`,
          `atlas 2: ${ask}`,
          `atlas 3: ${ask}`,
          `atlas 4: ${ask}`
        ])
        assert.strictEqual(shown[0]![1], `Cache-Status: ${miss}`)
        assert.strictEqual(shown[1]![1], `Cache-Status: ${hit}`)
        assert.match(shown[0]![2]!, /"name":"Zürich"/)
        assert.strictEqual(shown[1]![2], shown[0]![2])
        for (const [, , body] of shown.slice(3)) assert.match(body!, /"name":"Basel"/)

        // They go on serving, and every one of them is told by every other.
        for (const [index, address] of addresses.entries()) {
          const population = 2_000_000 + index
          yield* setPopulation(address, 2657896, population)
          for (const other of addresses) yield* sendUntil(other, "/countries/CH/cities?limit=1", String(population))
        }

        yield* interrupt(child)
        for (const address of addresses) {
          const outcome = yield* Effect.exit(Effect.tryPromise(() => fetch(address)))
          assert.isTrue(Exit.isFailure(outcome), `${address} still answers`)
        }
        assert.strictEqual(yield* redis.cli("PING"), "PONG")
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live("starts a Redis of its own without REDIS_URL, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { child, written } = yield* startCluster({ redis: undefined, until: "with the Redis at" })
      const socket = /with the Redis at (\S+)\.$/.exec(written[0]!)![1]!
      const ping = Effect.promise(() => execFile("redis-cli", ["-s", socket, "PING"]))
      assert.strictEqual((yield* ping).stdout.trim(), "PONG")
      yield* interrupt(child)
      assert.isFalse(existsSync(dirname(socket)))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)), 60_000)
})
