/**
 * What the library may cost, in counts that do not depend on how busy a machine is. A ceiling that something now stays far below is
 * to be lowered; docs/decisions/0032-costs-are-held-by-counts.md says how these are counted, and what to do when one is exceeded.
 */
import { assert, describe, it, vi } from "@effect/vitest"
import { Effect } from "effect"
import type { Bodies } from "./costs/bodies.ts"
import { bundle } from "./costs/bundle.ts"
import type { Counts } from "./costs/counting.ts"
import type { Hits } from "./costs/hits.ts"
import type { Invalidations } from "./costs/invalidations.ts"
import type { Memory } from "./costs/memory.ts"
import { pack } from "./costs/package.ts"
import { asWritten, counted, roomy } from "./costs/process.ts"
import type { OverRedis, Said } from "./costs/redis.ts"
import type { Warm } from "./costs/warm.ts"
import * as RedisServer from "./redis/RedisServer.ts"

// Programs that are not optimised take long where others use the machine.
vi.setConfig({ testTimeout: 240_000 })

// Where a count is exact it has no margin, else so much that no noise reaches it.
const ceilings = {
  // A call of a cached function in a fiber, its input made before.
  fiberHit: { calls: 31, steps: 34, bytes: 310, optimised: 160, fibers: 0, promises: 0, timers: 0 },
  // A request to a cached route, besides what a prebuilt response costs in the same router.
  routeHit: { calls: 44, steps: 51, bytes: 210, optimised: 60, fibers: 0, promises: 0, timers: 0 },
  // The same to a response that is cached whole, of which the handler reads the path alone.
  wholeHit: { calls: 72, steps: 104, bytes: 1050, fibers: 0, promises: 0, timers: 0 },
  // A look at what is held.
  peek: { calls: 15, steps: 15, bytes: 20, optimised: 4 },
  // A miss in memory, with a computation that costs nothing and a result of 1 KB.
  miss: { calls: 640, steps: 845, fibers: 1.1, promises: 0.1, timers: 0, parses: 1, texts: 1, digests: 0 },
  // Each of 10 000 callers of a cold key, each in a fiber of its own.
  joined: { calls: 124, steps: 200, fibers: 1.01, promises: 0.01, timers: 0.01 },
  // A hit of a store of bytes, 1 KB and 1 MB. Of a route: nothing reads what is in the body.
  storedRouteHit: { calls: 515, more: 5, bytes: 24_000, copies: 1.2, fibers: 2 },
  // The same of a function, which decodes the result once.
  storedHit: { calls: 730, more: 5, bytes: 26_000, copies: 3.2, fibers: 1.1 },
  // An invalidation of a tag, however many entries have it.
  invalidation: { calls: 40, steps: 45, fibers: 0, promises: 0, timers: 0 },
  // A look at an entry: in an unchanged world, of 1 000 tags after one record, of 3 tags after 1 000 records.
  look: { unchanged: 1, manyTags: 30, manyRecords: 12 },
  // Round trips and writes until there is an answer, and commands in all.
  redisHit: { roundTrips: 1, writes: 1, commands: 1 },
  redisHits64: { roundTrips: 1, writes: 2, commands: 8 },
  redisStrongHit: { roundTrips: 1, writes: 1, commands: 2 },
  redisStrongMemoryHit: { roundTrips: 1, writes: 1, commands: 1 },
  redisMiss: { roundTrips: 3, writes: 3, commands: 5 },
  redisInvalidation: { roundTrips: 1, writes: 1, commands: 1 },
  // Bytes besides those of the result as JSON.
  redisEntry: { bytes: 250, memory: 450 },
  redisRecord: { bytes: 85 },
  // Bytes on the heap.
  heap: { entry: 3000, small: 660, tag: 60, sharedTag: 33, invalidated: 122 },
  // Bytes of what npm publishes, and of a minified program with `cached` and `CacheLive`, without effect.
  package: { files: 930, packed: 700_000, unpacked: 3_100_000 },
  bundle: { bytes: 117_000, modules: 82 }
}

type Ceilings = typeof ceilings

// Fails with all that is above its ceiling, and where to look.
const hold = <Name extends keyof Ceilings>(name: Name, measured: Ceilings[Name], where: string): void => {
  const found = measured as Readonly<Record<string, number>>
  const above = Object.entries(ceilings[name])
    .filter(([count, ceiling]) => !(found[count]! <= ceiling))
    .map(([count, ceiling]) => `${count}: ${found[count]}, where at most ${ceiling} are allowed`)
  assert(above.length === 0, `${name} costs more than it may. ${above.join("; ")}. Look at: ${where}`)
}

// Most calls first.
const callsIn = ({ files }: Counts): string =>
  Object.entries(files)
    .toSorted(([, one], [, other]) => other - one)
    .slice(0, 25)
    .map(([file, calls]) => `${file} (${Math.round(calls * 100) / 100})`)
    .join(", ")

const once = <A>(make: () => Promise<A>): Effect.Effect<A> => {
  let made: Promise<A> | undefined
  return Effect.promise(() => made ??= make())
}

const hits = once(() => counted<Hits>("hits.ts", [...asWritten, ...roomy]))
const warm = once(() => counted<Warm>("warm.ts", roomy))
const bodies = once(() => counted<Bodies>("bodies.ts", [...asWritten, ...roomy]))
const invalidations = once(() => counted<Invalidations>("invalidations.ts", asWritten))
const memory = once(() => counted<Memory>("memory.ts"))

describe("costs in memory", () => {
  it.live("of a hit of a function: no fiber, no promise, no timer, and little besides its key", () =>
    Effect.gen(function*() {
      const { bytes, counts } = (yield* hits).fiberHit
      hold("fiberHit", { ...counts, bytes, optimised: (yield* warm).fiberHit }, callsIn(counts))
    }))

  it.live("of a hit of a route: no fiber, no promise, no timer, and little besides its headers", () =>
    Effect.gen(function*() {
      const { bytes, counts } = (yield* hits).routeHit
      hold("routeHit", { ...counts, bytes, optimised: (yield* warm).routeHit }, callsIn(counts))
    }))

  it.live("of a hit of a response that is cached whole: no fiber, no promise, no timer", () =>
    Effect.gen(function*() {
      const { bytes, counts } = (yield* hits).wholeHit
      hold("wholeHit", { ...counts, bytes }, callsIn(counts))
    }))

  it.live("of a look at what is held", () =>
    Effect.gen(function*() {
      const { bytes, counts } = (yield* hits).peek
      hold("peek", { ...counts, bytes, optimised: (yield* warm).peek }, callsIn(counts))
    }))

  it.live("of hits: nothing is decoded, parsed or hashed", () =>
    Effect.gen(function*() {
      const { decoded, fiberHit, routeHit, wholeHit } = yield* hits
      assert.strictEqual(decoded, 0)
      for (const { counts: { digests, parses, texts } } of [fiberHit, routeHit, wholeHit]) {
        assert.deepStrictEqual({ digests, parses, texts }, { digests: 0, parses: 0, texts: 0 })
      }
    }))

  it.live("of a miss", () =>
    Effect.gen(function*() {
      const { miss } = yield* hits
      hold("miss", miss, callsIn(miss))
    }))

  it.live("of 10 000 callers of a cold key: one execution, and no fiber, promise or timer for a caller", () =>
    Effect.gen(function*() {
      const { herd } = yield* hits
      assert.strictEqual(herd.executions, 1)
      hold("joined", herd, callsIn(herd))
    }))

  it.live("of entries and tags", () =>
    Effect.gen(function*() {
      const { json, ...bytes } = yield* memory
      hold(
        "heap",
        bytes,
        `CacheEntry.ts, internal/memoryStore.ts, internal/marks.ts (the result has ${json} bytes of JSON)`
      )
    }))
})

describe("costs of a store of bytes", () => {
  it.live("of a hit of a route: nothing is parsed, decoded, hashed or written anew, whatever its size", () =>
    Effect.gen(function*() {
      const { large, small } = yield* bodies
      for (const { routeHit: { decoded, digests, encoded, parses, texts } } of [small, large]) {
        assert.deepStrictEqual(
          { decoded, digests, encoded, parses, texts },
          { decoded: 0, digests: 0, encoded: 0, parses: 0, texts: 0 }
        )
      }
      const { bytes, calls, fibers } = small.routeHit
      hold("storedRouteHit", {
        calls,
        fibers,
        bytes,
        more: large.routeHit.calls - calls,
        copies: large.routeHit.bytes / large.bytes
      }, `${callsIn(small.routeHit)}; and of the large one ${callsIn(large.routeHit)}`)
    }))

  it.live("of a hit of a function: it is parsed and decoded once", () =>
    Effect.gen(function*() {
      const { large, small } = yield* bodies
      for (const { functionHit: { decoded, digests, encoded, parses, texts } } of [small, large]) {
        assert.deepStrictEqual(
          { decoded, digests, encoded, parses, texts },
          { decoded: 1, digests: 0, encoded: 0, parses: 1, texts: 0 }
        )
      }
      const { bytes, calls, fibers } = small.functionHit
      hold("storedHit", {
        calls,
        fibers,
        bytes,
        more: large.functionHit.calls - calls,
        copies: large.functionHit.bytes / large.bytes
      }, `${callsIn(small.functionHit)}; and of the large one ${callsIn(large.functionHit)}`)
    }))
})

describe("costs of invalidation", () => {
  it.live("are those of the record: the same with 10, 1 000 and 100 000 entries", () =>
    Effect.gen(function*() {
      const [few, ...more] = (yield* invalidations).invalidate
      hold("invalidation", few!.counts, callsIn(few!.counts))
      for (const { counts, entries } of more) {
        assert.deepStrictEqual(counts, few!.counts, `with ${entries} entries something is done for each of them`)
      }
    }))

  it.live("for the next look at an entry: the fewer of its tags and of the records since the last look", () =>
    Effect.gen(function*() {
      const [unchanged, manyTags, manyRecords] = (yield* invalidations).look.map(({ steps }) => steps)
      hold(
        "look",
        { unchanged: unchanged!, manyTags: manyTags!, manyRecords: manyRecords! },
        "`isValid` of src/internal/marks.ts, and `coversAny` of src/internal/tagText.ts"
      )
    }))
})

type Sent =
  | "redisHit"
  | "redisHits64"
  | "redisStrongHit"
  | "redisStrongMemoryHit"
  | "redisMiss"
  | "redisInvalidation"

it.layer(RedisServer.layer(), { excludeTestServices: true })("costs over Redis", (it) => {
  const overRedis = Effect.flatMap(
    RedisServer.RedisServer,
    ({ url }) => Effect.promise(() => counted<OverRedis>("redis.ts", [], [url]))
  )

  it.effect("in round trips, commands, executions and bytes", () =>
    Effect.gen(function*() {
      const said = yield* overRedis
      const sent = (name: Sent, { answered, behind }: Said, where: string) => {
        const commands = [...answered.commands, ...behind.commands]
        const { roundTrips, writes } = answered
        hold(
          name,
          { roundTrips, writes, commands: commands.length },
          `${where} (it sends ${commands.join(", ")})`
        )
      }
      sent("redisHit", said.hit, "src/RedisStore.ts, src/internal/shelf.ts")
      sent("redisHits64", said.hitsAtOnce, "src/internal/redis/corked.ts")
      sent(
        "redisStrongHit",
        said.strongHit,
        "`strongly` of src/internal/lookups.ts, src/internal/linkedLog/linkedLog.ts"
      )
      sent("redisStrongMemoryHit", said.strongMemoryHit, "`strongly` of src/internal/lookups.ts")
      sent("redisMiss", said.miss, "src/internal/computing.ts, src/RedisLease.ts")
      sent("redisInvalidation", said.invalidation, "src/RedisBroadcaster.ts")
      sent("redisInvalidation", said.invalidations, "src/RedisBroadcaster.ts: all tags are one record")
      assert.deepStrictEqual(said.memoryHit.answered, { commands: [], writes: 0, roundTrips: 0 })
      assert.deepStrictEqual(said.memoryHit.behind, { commands: [], writes: 0, roundTrips: 0 })
      assert.strictEqual(said.executions, 1, "two caches that ask for the same while it is computed: src/RedisLease.ts")
      const { bytes, json, memory } = said.entry
      hold("redisEntry", { bytes: bytes - json, memory: memory - json }, "src/MsgPackCodec.ts, src/RedisStore.ts")
      hold("redisRecord", { bytes: said.record }, "src/internal/redis/logScript.ts")
    }))
})

describe("sizes", () => {
  it.live("of what npm publishes", () =>
    Effect.gen(function*() {
      const { files, size, unpackedSize } = yield* Effect.promise(pack)
      const largest = files.toSorted((one, other) => other.size - one.size).slice(0, 10)
      hold(
        "package",
        { files: files.length, packed: size, unpacked: unpackedSize },
        `the largest files, ${largest.map(({ path, size }) => `${path} (${size})`).join(", ")}`
      )
    }))

  it.live("of a program that takes `cached` and `CacheLive`, which carries no driver and nothing of node", () =>
    Effect.gen(function*() {
      const program = "import { cached, CacheLive } from \"effect-cached\"\nglobalThis.used = [cached, CacheLive]\n"
      const { bytes, imports, later, modules, packages } = yield* Effect.promise(() => bundle(program))
      assert.deepStrictEqual({ imports, later }, { imports: [], later: [] })
      assert.deepStrictEqual(packages.toSorted(), ["@noble/hashes", "lru-cache"])
      hold("bundle", { bytes, modules: modules.length }, modules.join(", "))
    }))
})
