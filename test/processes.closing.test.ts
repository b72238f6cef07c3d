/**
 * Processes that close their caches: nothing of them is left, here or on the server.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import type { Settings } from "./processes/messages.ts"
import { Nodes } from "./processes/Nodes.ts"
import * as nodes from "./processes/Nodes.ts"
import { hit, makeWorld, patient } from "./processes/world.ts"
import * as RedisServer from "./redis/RedisServer.ts"

const settings = (server: RedisServer.Server): Settings => ({
  url: server.url,
  namespace: "closing",
  maxStaleness: 20_000,
  commandTimeout: 10_000,
  leaseDuration: 10_000,
  clockAhead: 0,
  timeToLive: 0,
  maxLength: 0
})

const taken = Effect.map(Nodes.use(({ take }) => take(1)), ([node]) => node!)

const clients = (printed: string) => printed.split("\n").filter((line) => line.includes("id=")).length

it.layer(Layer.merge(nodes.layer(2), RedisServer.layer()), { excludeTestServices: true })(
  "a process that closes its cache",
  (it) => {
    it.effect("has nothing open that it had not before, and no connection on the server (scenario 58)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const node = yield* taken
        const connected = clients(yield* server.cli("CLIENT", "LIST"))
        // What is opened once, as the first line to stderr does, stays.
        yield* node.cycle(settings(server), 1)
        const before = yield* node.inspect
        assert.deepStrictEqual(before.resources.filter((kind) => kind !== "PipeWrap"), [])
        yield* node.cycle(settings(server), 3)
        assert.deepStrictEqual((yield* node.inspect).resources, before.resources)
        yield* server.until((printed) => clients(printed) === connected, "CLIENT", "LIST")
      }).pipe(Effect.scoped))

    it.effect("does not grow when it opens and closes it 100 times (scenario 58)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const node = yield* taken
        yield* node.cycle(settings(server), 20)
        const before = yield* node.inspect
        yield* node.cycle(settings(server), 100)
        const after = yield* node.inspect
        assert.deepStrictEqual(after.resources, before.resources)
        // Compiled code comes and goes. A cache that is open holds more than a hundredth of this.
        assert.isBelow(after.heap - before.heap, 2_000_000)
      }).pipe(Effect.scoped))

    for (
      const [what, harm] of [
        ["while Redis serves", () => Effect.void],
        ["while Redis is gone", (server: RedisServer.Server) => server.kill9],
        ["while Redis stands still", (server: RedisServer.Server) => server.stop]
      ] as const
    ) {
      it.effect(`ends by itself, ${what} (scenario 58)`, () =>
        Effect.gen(function*() {
          const server = yield* RedisServer.start()
          const { open, source } = yield* makeWorld(server, [])
          const node = yield* taken
          const { cache } = yield* open(node, { ...patient, commandTimeout: 500 })
          yield* hit(source, cache, "k")
          yield* harm(server)
          yield* cache.read("other")
          yield* cache.invalidate("item:other")
          assert.strictEqual(yield* node.leave, 0)
        }).pipe(Effect.scoped))
    }

    it.effect("ends by itself in the middle of a computation for which others wait (scenario 58)", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const { caches: [other], open, source } = yield* makeWorld(server, [{ ...patient, leaseDuration: 1000 }])
        const node = yield* taken
        const { cache } = yield* open(node, patient)
        const held = source.hold("k")
        yield* Effect.forkChild(Effect.ignore(cache.read("k")), { startImmediately: true })
        yield* source.runs.until("the computation", (runs) => runs.find(({ key }) => key === "k"))
        const waiting = yield* Effect.forkChild(other!.read("k"), { startImmediately: true })
        yield* Effect.forkChild(Effect.ignore(cache.strong("k")), { startImmediately: true })
        assert.strictEqual(yield* node.leave, 0)
        held.release()
        assert.strictEqual((yield* Fiber.join(waiting)).version, 1)
      }).pipe(Effect.scoped))
  }
)
