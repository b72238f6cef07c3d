/**
 * An invalidation, by how many entries Redis holds.
 */
import { Effect, ManagedRuntime, Schema } from "effect"
import { Cached, invalidate } from "effect-cached"
import { Redis } from "ioredis"
import { check, type Settings } from "../fixtures.ts"
import { distribution, paired, ratio } from "../paired.ts"
import { onlyRedis } from "../redis/caches.ts"
import { startRedis } from "../redis/server.ts"
import { cells, goal, type Report, row, time, times, whole } from "../report.ts"

// A Redis of its own for each size, with that many entries under the tag `all`.
const makeWorld = async (size: number) => {
  const redis = await startRedis()
  const runtime = ManagedRuntime.make(onlyRedis(redis.url, "benchmark"))
  let executions = 0
  const cached = await runtime.runPromise(Cached.make("numbered", {
    input: { n: Schema.Number },
    success: Schema.Number,
    deps: () => ["all"]
  }, ({ n }) => Effect.sync(() => (executions++, n))))
  await runtime.runPromise(cached({ n: 0 }))
  await runtime.runPromise(cached({ n: 0 }))
  check(executions === 1, "an entry that is in Redis has to be a hit")
  await copy(redis.url, size)

  const calls = 200
  return {
    invalidateOnce: () =>
      runtime.runPromise(Effect.gen(function*() {
        const times: Array<number> = []
        for (let call = 0; call < calls; call++) {
          const start = performance.now()
          yield* invalidate("all")
          times.push((performance.now() - start) * 1e6)
        }
        return distribution(times).median
      })),
    verify: async () => {
      await runtime.runPromise(cached({ n: 0 }))
      check(executions === 2, "after the invalidation, a read has to compute")
    },
    dispose: async () => {
      await runtime.dispose()
      await redis.stop()
    }
  }
}

// One entry is computed, and Redis copies it: a million computations would take a minute.
const copy = async (url: string, size: number): Promise<void> => {
  const redis = new Redis(url)
  const keys = await redis.keys("*")
  const original = keys.find((key) => key.includes(":entry:numbered"))!
  const [before, after] = original.split("\"n\":0") as [string, string]
  const step = 50_000
  for (let from = 1; from < size; from += step) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that no script takes long
    await redis.eval(
      `local entry = redis.call("GET", KEYS[1])
      for n = tonumber(ARGV[3]), tonumber(ARGV[4]) do redis.call("SET", ARGV[1] .. "\\"n\\":" .. n .. ARGV[2], entry) end`,
      1,
      original,
      before,
      after,
      from,
      Math.min(from + step, size) - 1
    )
  }
  check(await redis.dbsize() >= size, "the entries have to be in Redis")
  await redis.quit()
}

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const sizes = smoke ? [100, 1000] : [100, 10_000, 1_000_000]
  const worlds = new Map<string, Awaited<ReturnType<typeof makeWorld>>>()
  try {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
    for (const size of sizes) worlds.set(String(size), await makeWorld(size))
    const samples = await paired(
      Object.fromEntries(Array.from(worlds, ([size, world]) => [size, world.invalidateOnce])),
      { rounds: quick ? 15 : 100, warmups: 5, millis: quick ? 2000 : 7000 }
    )
    await Promise.all(Array.from(worlds.values(), (world) => world.verify()))
    return {
      tables: [{
        title: "invalidate(tag) over Redis, by entries under the tag",
        columns: ["entries", "median", "quartiles", "of 100 entries'"],
        rows: sizes.map((size) =>
          row(
            whole(size),
            cells(distribution(samples[size]!), time),
            times(ratio(samples, String(size), "100").median)
          )
        )
      }],
      goals: sizes.slice(1).map((size) =>
        goal(
          `invalidate with ${whole(size)} entries in Redis: flat, at most 1.3 times that with 100`,
          ratio(samples, String(size), "100"),
          { atMost: 1.3 }
        )
      ),
      notes: []
    }
  } finally {
    await Promise.all(Array.from(worlds.values(), (world) => world.dispose()))
  }
}
