/**
 * Processes that compute together, and one of them that is killed, or stopped, while it does.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { type Cache, monotonic, Nodes, passed, type Source } from "./processes/Nodes.ts"
import * as nodes from "./processes/Nodes.ts"
import { bound, hit, makeWorld, patient, reads } from "./processes/world.ts"
import * as RedisServer from "./redis/RedisServer.ts"

const runsOf = (source: Source, key: string, count: number) =>
  source.runs.until(`${count} computations of ${key}`, (all) => {
    const runs = all.filter((run) => run.key === key)
    return runs.length >= count ? runs : undefined
  })

// Of what a process has sent to the server before this, each step has been answered by then.
const turns = (caches: ReadonlyArray<Cache>) =>
  Effect.forEach(
    caches,
    (cache) => Effect.forEach(["turn-1", "turn-2", "turn-3"], (key) => cache.strong(key)),
    { concurrency: "unbounded", discard: true }
  )

it.layer(Layer.merge(nodes.layer(4), RedisServer.layer()), { excludeTestServices: true })(
  "processes that miss one key together",
  (it) => {
    for (const count of [4, 10]) {
      it.effect(`execute once in all, where they are ${count} (scenario 56)`, () =>
        Effect.gen(function*() {
          const { caches, source } = yield* makeWorld(
            yield* RedisServer.RedisServer,
            Array.from({ length: count }, () => patient)
          )
          for (const key of ["k1", "k2"]) {
            const held = source.hold(key)
            const waiting = yield* Effect.forEach(caches, (cache) =>
              Effect.forEach([1, 2, 3], () => Effect.forkChild(cache.read(key), { startImmediately: true })))
            const [run] = yield* runsOf(source, key, 1)
            yield* turns(caches)
            held.release()
            for (const fiber of waiting.flat()) {
              assert.deepInclude(yield* Fiber.join(fiber), { version: 1, by: run!.by })
            }
            assert.strictEqual(source.count(key), 1)
          }
        }).pipe(Effect.scoped))
    }

    it.effect("execute once in all where they invalidate and ask again and again (scenario 56)", () =>
      Effect.gen(function*() {
        const { caches, source, update } = yield* makeWorld(yield* RedisServer.RedisServer, [
          patient,
          patient,
          patient,
          patient
        ])
        for (let round = 1; round <= 20; round++) {
          const { version } = yield* update(caches[round % 4]!, "k")
          const read = yield* Effect.forEach(caches, (cache) => cache.sees("k", version), { concurrency: "unbounded" })
          for (const { version: got } of read) assert.strictEqual(got, version)
        }
        // Those who had not heard of an invalidation yet may have asked for the lease before it.
        assert.isBelow(source.count("k"), 40)
      }).pipe(Effect.scoped))

    it.effect("go on within the lease time when the one that computes is killed (scenario 56)", () =>
      Effect.gen(function*() {
        const { caches, source } = yield* makeWorld(
          yield* RedisServer.RedisServer,
          Array.from({ length: 4 }, () => ({ ...patient, leaseDuration: 1000 }))
        )
        const held = source.hold("k")
        const waiting = yield* Effect.forEach(
          caches,
          (cache) =>
            Effect.map(
              Effect.forkChild(cache.read("k"), { startImmediately: true }),
              (fiber) => [cache, fiber] as const
            )
        )
        const [first] = yield* runsOf(source, "k", 1)
        yield* turns(caches)
        const holder = caches.find(({ node }) => node.name === first!.by)!
        yield* holder.node.kill9
        const killed = monotonic()
        const [, second] = yield* runsOf(source, "k", 2)
        assert.notStrictEqual(second!.by, first!.by)
        // The lease time is 1 s, and they would wait for 30 s for one who lives.
        assert.isBelow(second!.at - killed, 10_000)
        held.release()
        for (const [cache, fiber] of waiting) {
          if (cache !== holder) assert.deepInclude(yield* Fiber.join(fiber), { version: 1, by: second!.by })
        }
        assert.strictEqual(source.count("k"), 2)
      }).pipe(Effect.scoped))

    it.effect("are not harmed by what one writes that was stopped while it computed (scenario 56)", () =>
      Effect.gen(function*() {
        const { caches: [a, b, c], open, source, update } = yield* makeWorld(
          yield* RedisServer.RedisServer,
          Array.from({ length: 3 }, () => ({ leaseDuration: 500 }))
        )
        const held = source.hold("k")
        const old = yield* Effect.forkChild(a!.read("k"), { startImmediately: true })
        yield* runsOf(source, "k", 1)
        yield* a!.node.stop
        // What it asked for lies ready for when it goes on.
        held.release()
        const { ended } = yield* update(b!, "k")
        const { version } = yield* b!.read("k")
        assert.strictEqual(version, 2)
        yield* a!.node.cont
        yield* Fiber.join(old)
        yield* passed(ended + bound)
        yield* reads(a!, "k", 2)
        yield* reads(b!, "k", 2)
        yield* c!.sees("k", 2)
        const [node] = yield* Nodes.use(({ take }) => take(1))
        const { cache } = yield* open(node!)
        yield* reads(cache, "k", 2)
        for (const each of [a!, b!, c!, cache]) assert.strictEqual((yield* hit(source, each, "k")).version, 2)
      }).pipe(Effect.scoped))

    it.effect("keep the newer result when the write of an older computation comes late (scenario 48)", () =>
      Effect.gen(function*() {
        const { caches: [a, b], open, proxies: [proxy], source, update } = yield* makeWorld(
          yield* RedisServer.RedisServer,
          [{ ...patient, leaseDuration: 500 }, { ...patient, leaseDuration: 500 }]
        )
        const held = source.hold("k")
        const old = yield* Effect.forkChild(a!.read("k"), { startImmediately: true })
        yield* runsOf(source, "k", 1)
        // Only the first computation is held.
        source.hold("k").release()
        yield* proxy!.stall()
        yield* update(b!, "k")
        // When the lease has ended that the other cannot renew.
        assert.deepInclude(yield* b!.read("k"), { version: 2, by: b!.node.name })
        // It has heard of nothing, and its write is on its way.
        held.release()
        assert.strictEqual((yield* Fiber.join(old)).version, 1)
        yield* proxy!.heal
        yield* a!.strong("after that write")
        assert.strictEqual((yield* a!.sees("k", 2)).by, b!.node.name)
        const [node] = yield* Nodes.use(({ take }) => take(1))
        const { cache } = yield* open(node!, patient)
        assert.deepInclude(yield* cache.read("k"), { version: 2, by: b!.node.name })
        assert.strictEqual(source.count("k"), 2)
      }).pipe(Effect.scoped))
  }
)
