/**
 * What is said to Redis, and what of it Redis keeps.
 */
import { quiet, type Traffic, traffic } from "./wire.ts"

// Sees only what is connected after it.
import { Deferred, Effect, Layer, ManagedRuntime, Schema } from "effect"
import { Cached, invalidate, ResultCache } from "effect-cached"
import * as RedisCache from "effect-cached/RedisCache"
import * as RedisClient from "effect-cached/RedisClient"
import { Redis } from "ioredis"
import { Article, article } from "../../benchmark/fixtures.ts"
import { check, print } from "./subjects.ts"

export interface OverRedis {
  readonly hit: Said
  readonly hitsAtOnce: Said
  readonly memoryHit: Said
  readonly strongHit: Said
  readonly strongMemoryHit: Said
  readonly miss: Said
  readonly invalidation: Said
  /** An invalidation of ten tags. */
  readonly invalidations: Said
  /** Executions of a cold key by two caches that share a server. */
  readonly executions: number
  /** Bytes that Redis keeps of a result, which is so many bytes as JSON. */
  readonly entry: { readonly bytes: number; readonly memory: number; readonly json: number }
  /** Bytes that Redis keeps of a record of one tag. */
  readonly record: number
}

/** What is sent until there is an answer, and behind that. */
export interface Said {
  readonly answered: Traffic
  readonly behind: Traffic
}

const url = process.argv[2]!

const open = async (namespace: string, memory: false | undefined) => {
  let executions = 0
  const runtime = ManagedRuntime.make(
    // So that the server is not asked while others are counted.
    RedisCache.layer({ namespace, memory, maxStaleness: "5 minutes" }).pipe(Layer.provide(RedisClient.layer({ url })))
  )
  const make = (name: string, consistency?: "strong") =>
    Cached.make(name, {
      input: { id: Schema.Number },
      success: Article,
      deps: ({ id }) => [`article:${id}`, "articles", `author:${id}`],
      ...consistency === undefined ? {} : { consistency }
    }, ({ id }) =>
      Effect.sync(() => {
        executions++
        return article(id)
      }))
  const made = await runtime.runPromise(Effect.gen(function*() {
    return { eventual: yield* make("article"), strong: yield* make("strong", "strong") }
  }))
  return { ...made, runtime, executions: () => executions }
}

type World = Awaited<ReturnType<typeof open>>

// What is sent until an effect ends, and until nothing more comes of it.
const said = async (world: World, effect: Effect.Effect<unknown, unknown, ResultCache.ResultCache>): Promise<Said> => {
  await quiet()
  traffic()
  const answered = await world.runtime.runPromise(Effect.map(effect, traffic))
  await quiet()
  const behind = traffic()
  return { answered, behind }
}

const far = await open("far", false)
const both = await open("both", undefined)

const inFar = [1, 2].map((id) => far.eventual({ id }))
// The server has to be told of each script once.
await far.runtime.runPromise(Effect.all([...inFar, far.strong({ id: 1 })]))
const miss = await said(far, far.eventual({ id: 0 }))
const many = Effect.forEach(Array.from({ length: 64 }, (_, id) => id), (id) => far.eventual({ id }), {
  concurrency: "unbounded",
  discard: true
})
await far.runtime.runPromise(many)
await both.runtime.runPromise(Effect.all([both.eventual({ id: 1 }), both.strong({ id: 1 })]))

const before = far.executions() + both.executions()
const hits = {
  hit: await said(far, far.eventual({ id: 1 })),
  hitsAtOnce: await said(far, many),
  memoryHit: await said(both, both.eventual({ id: 1 })),
  strongHit: await said(far, far.strong({ id: 1 })),
  strongMemoryHit: await said(both, both.strong({ id: 1 }))
}
check(far.executions() + both.executions() === before, "hits compute nothing")

const redis = new Redis(url)
const keys = (await redis.keys("far*")).filter((key) => key.includes("article") && key.endsWith(`"id":1}`))
check(keys.length === 1, `there is one entry: ${keys.join(", ")}`)
const entry = {
  bytes: await redis.strlen(keys[0]!),
  memory: Number(await redis.call("MEMORY", "USAGE", keys[0]!, "SAMPLES", 0)),
  json: JSON.stringify(article(1)).length
}

const invalidation = await said(both, invalidate("unrelated"))
const invalidations = await said(both, invalidate(...Array.from({ length: 10 }, (_, tag) => `unrelated:${tag}`)))

// So many records that each counts for itself.
const log = (await redis.keys("both*")).filter((key) => !key.includes("article") && !key.includes("strong"))
const sizeOfLog = async () => {
  const sizes = await Promise.all(
    log.map(async (key) =>
      await redis.type(key) === "stream" ? Number(await redis.call("MEMORY", "USAGE", key, "SAMPLES", 0)) : 0
    )
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
const records = 2000
const empty = await sizeOfLog()
await both.runtime.runPromise(
  Effect.forEach(Array.from({ length: records }, (_, id) => id), (id) => invalidate(`unrelated:${id}`), {
    discard: true,
    concurrency: 50
  })
)
const record = (await sizeOfLog() - empty) / records

// Two caches that ask for the same while it is computed.
const source = Deferred.makeUnsafe<number>()
let executions = 0
const slow = Cached.make("slow", { success: Schema.Number }, () => {
  executions++
  return Deferred.await(source)
})
const worlds = await Promise.all([open("shared", undefined), open("shared", undefined)])
const answers: Array<Promise<number>> = []
for (const { runtime } of worlds) {
  answers.push(runtime.runPromise(Effect.flatten(Effect.map(slow, (call) => call()))))
  // oxlint-disable-next-line no-await-in-loop -- the second asks while the first computes
  await quiet()
}
check(executions > 0, "it is computed")
await Effect.runPromise(Deferred.succeed(source, 7))
check((await Promise.all(answers)).every((answer) => answer === 7), "both are answered")

await redis.quit()
await Promise.all(worlds.map(({ runtime }) => runtime.dispose()))
await Promise.all([far.runtime.dispose(), both.runtime.dispose()])
print(
  { ...hits, miss, invalidation, invalidations, executions, entry, record } satisfies OverRedis
)
