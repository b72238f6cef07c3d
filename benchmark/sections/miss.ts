/**
 * What a miss costs when the computation is free: all of it is the cache's own work.
 */
import { Cache, Effect, ManagedRuntime, Schema } from "effect"
import { Cached, ResultCache } from "effect-cached"
import { type Article, Article as ArticleSchema, article, articleTags, check, loop, nothing } from "../fixtures.ts"
import type { Settings } from "../fixtures.ts"
import { distribution, paired, ratio } from "../paired.ts"
import { cells, figure, type Report, row, time, times } from "../report.ts"

const capacity = 10_000

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const runtime = ManagedRuntime.make(ResultCache.layerMemory({ maxEntries: capacity }))
  let next = 0
  let executions = 0
  const made = article(1)
  const codec = Schema.toCodecJson(ArticleSchema)
  const encode = Schema.encodeUnknownEffect(codec)
  const decode = Schema.decodeUnknownEffect(codec)
  const compute = Effect.sync(() => (executions++, made))

  const operations = await runtime.runPromise(Effect.gen(function*() {
    const cached = yield* Cached.make("article", {
      input: { id: Schema.Number },
      success: ArticleSchema,
      deps: ({ id }) => articleTags(id)
    }, () => compute)
    const small = yield* Cached.make("number", {
      input: { id: Schema.Number },
      success: Schema.Number
    }, ({ id }) => Effect.sync(() => (executions++, id)))
    const plain = yield* Cache.make<number, Article>({ capacity, lookup: () => compute })
    // What encodes its results, so that they can leave the process and no caller can change them, has this to do too.
    const encoding = yield* Cache.make<number, Article, unknown>({
      capacity,
      lookup: () =>
        compute.pipe(
          Effect.flatMap(encode),
          Effect.flatMap((json) => decode(JSON.parse(JSON.stringify(json))))
        )
    })
    return {
      "loop": () => nothing,
      "cached function, 1 KB, three tags": () => cached({ id: next++ }),
      "Cache.get, encoding and decoding 1 KB": () => Cache.get(encoding, next++),
      "Cache.get, 1 KB as it is": () => Cache.get(plain, next++),
      "cached function, a number, no tags": () => small({ id: next++ })
    }
  }))
  const count = smoke ? 64 : quick ? 2000 : 5000
  const samples = await paired(
    Object.fromEntries(
      Object.entries(operations).map(([name, operation]) => [name, () => runtime.runPromise(loop(count, operation))])
    ),
    { rounds: quick ? 20 : 80, warmups: 5, millis: quick ? 1500 : 8000 }
  )
  await runtime.dispose()
  check(executions === next, "every operation has to be a miss")

  const plain = "Cache.get, 1 KB as it is"
  return {
    tables: [{
      title: `Miss with a free computation, in a full cache of ${capacity} entries`,
      columns: ["operation", "median", "quartiles", "of Cache.get's"],
      rows: Object.keys(operations).map((name) =>
        row(
          name,
          cells(distribution(samples[name]!), time),
          name === "loop" ? "" : times(ratio(samples, name, plain).median)
        )
      )
    }],
    goals: [],
    figures: [
      figure(
        "Miss with a free computation",
        samples,
        (name) => name.startsWith("cached function") ? "own" : name === "loop" ? "control" : "peer"
      )
    ],
    notes: []
  }
}
