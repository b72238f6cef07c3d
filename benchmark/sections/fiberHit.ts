/**
 * A hit in a running fiber, against `Cache.get` of effect. One fiber does all operations of a sample.
 */
import { Cache, Effect, ManagedRuntime, Schema } from "effect"
import { Cached, CacheLive } from "effect-cached"
import { type Article, Article as ArticleSchema, article, articleTags, check, loop, nothing } from "../fixtures.ts"
import type { Settings } from "../fixtures.ts"
import { distribution, paired, ratio } from "../paired.ts"
import { cells, figure, goal, type Report, row, time, times } from "../report.ts"

const keys = 1000

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const runtime = ManagedRuntime.make(CacheLive)
  const ids = Array.from({ length: keys }, (_, index) => index)
  const names = ids.map((id) => `article-${id}`)

  const setUp = Effect.gen(function*() {
    let executions = 0
    const compute = (id: number) => Effect.sync(() => (executions++, article(id)))
    const byId = yield* Cached.make("byId", {
      input: { id: Schema.Number },
      success: ArticleSchema,
      deps: ({ id }) => articleTags(id)
    }, ({ id }) => compute(id))
    const byName = yield* Cached.make("byName", {
      input: { name: Schema.String },
      success: ArticleSchema,
      deps: ({ name }) => articleTags(name)
    }, ({ name }) => compute(name.length))
    const plainByInput = yield* Cache.make<{ readonly id: number }, Article>({
      capacity: 100_000,
      lookup: ({ id }) => compute(id)
    })
    const plainById = yield* Cache.make<number, Article>({ capacity: 100_000, lookup: compute })
    const plainByName = yield* Cache.make<string, Article>({
      capacity: 100_000,
      lookup: (name) => compute(name.length)
    })
    const operations: Record<string, (index: number) => Effect.Effect<unknown, unknown>> = {
      "loop": () => nothing,
      "cached function, { id }": (index) => byId({ id: ids[index % keys]! }),
      "Cache.get, { id }": (index) => Cache.get(plainByInput, { id: ids[index % keys]! }),
      "Cache.get, number": (index) => Cache.get(plainById, ids[index % keys]!),
      "cached function, { name }": (index) => byName({ name: names[index % keys]! }),
      "Cache.get, string": (index) => Cache.get(plainByName, names[index % keys]!)
    }
    for (const operation of Object.values(operations)) yield* loop(keys, operation)
    const before = executions
    for (const operation of Object.values(operations)) yield* loop(keys, operation)
    check(executions === before && before === 5 * keys, "every operation that is measured has to be a hit")
    return operations
  })

  const operations = await runtime.runPromise(setUp)
  const count = smoke ? 64 : quick ? 20_000 : 50_000
  const samples = await paired(
    Object.fromEntries(
      Object.entries(operations).map(([name, operation]) => [name, () => runtime.runPromise(loop(count, operation))])
    ),
    { rounds: quick ? 40 : 100, warmups: 5, millis: quick ? 1500 : 8000 }
  )
  await runtime.dispose()

  const faster = (ours: string, theirs: string) => ratio(samples, theirs, ours)
  const vsInput = faster("cached function, { id }", "Cache.get, { id }")
  const vsNumber = faster("cached function, { id }", "Cache.get, number")
  const vsString = faster("cached function, { name }", "Cache.get, string")
  const line = (name: string, against?: ReturnType<typeof faster>, control = "") =>
    row(name, cells(distribution(samples[name]!), time), against === undefined ? "" : times(against.median), control)
  return {
    tables: [{
      title: `Hit in a running fiber: 1 KB, three tags, ${keys} keys in turn`,
      columns: ["operation", "median", "quartiles", "times as fast", "as"],
      rows: [
        line("cached function, { id }", vsInput, "Cache.get, { id }"),
        line("Cache.get, { id }"),
        line("cached function, { id }", vsNumber, "Cache.get, number"),
        line("Cache.get, number"),
        line("cached function, { name }", vsString, "Cache.get, string"),
        line("Cache.get, string"),
        line("loop")
      ]
    }],
    goals: [
      goal("fiber hit, input { id }, against Cache.get with the same input: not slower", vsInput, { atLeast: 1 }),
      goal("fiber hit, input { id }, against Cache.get with the same input: 1.5 times as fast", vsInput, {
        atLeast: 1.5
      }),
      goal("fiber hit, input { id }, against Cache.get with a number: not slower", vsNumber, { atLeast: 1 }),
      goal("fiber hit, input { name }, against Cache.get with a string: not slower", vsString, { atLeast: 1 })
    ],
    figures: [
      figure(
        "Hit in a running fiber: 1 KB, three tags",
        samples,
        (name) => name.startsWith("cached function") ? "own" : name === "loop" ? "control" : "peer"
      )
    ],
    notes: [
      "Effect's cache hashes an object key by its structure for each call; with a number or a string it does not, so those are the harder controls."
    ]
  }
}
