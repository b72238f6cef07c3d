/**
 * Many callers of one cold key at once.
 */
import { Cache, Effect, ManagedRuntime, Schema } from "effect"
import { Cached, CacheLive } from "effect-cached"
import { type Article, Article as ArticleSchema, article, check, type Settings } from "../fixtures.ts"
import { distribution, paired, ratio } from "../paired.ts"
import { cells, type Report, row, time, times, whole } from "../report.ts"

const callers = 10_000
const computation = 50
const executions = { cached: 0, plain: 0 }
const runs = { cached: 0, plain: 0 }

const compute = (which: keyof typeof executions, id: number): Effect.Effect<Article> =>
  Effect.delay(Effect.sync(() => (executions[which]++, article(id))), `${computation} millis`)

export const run = async ({ quick }: Settings): Promise<Report> => {
  const runtime = ManagedRuntime.make(CacheLive)
  const { cached, plain } = await runtime.runPromise(Effect.gen(function*() {
    return {
      cached: yield* Cached.make("article", {
        input: { id: Schema.Number },
        success: ArticleSchema,
        deps: ({ id }) => [`article:${id}`]
      }, ({ id }) => compute("cached", id)),
      plain: yield* Cache.make({ capacity: 1000, lookup: (id: number) => compute("plain", id) })
    }
  }))

  const stampede = (which: keyof typeof runs, get: (id: number) => Effect.Effect<Article, unknown>) => () => {
    const id = runs[which]++
    return runtime.runPromise(Effect.gen(function*() {
      const start = performance.now()
      const results = yield* Effect.forEach(Array.from({ length: callers }), () => get(id), {
        concurrency: "unbounded"
      })
      const nanos = (performance.now() - start - computation) * 1e6
      check(results.length === callers && results.every((result) => result.id === id), "everyone gets the result")
      return nanos
    }))
  }
  const samples = await paired({
    "cached function": stampede("cached", (id) => cached({ id })),
    "Cache.get": stampede("plain", (id) => Cache.get(plain, id))
  }, { rounds: quick ? 10 : 40, warmups: 2, millis: quick ? 2000 : 7000 })
  await runtime.dispose()

  const perKey = (which: keyof typeof runs) => executions[which] / runs[which]
  const against = ratio(samples, "cached function", "Cache.get")
  return {
    tables: [{
      title: `${whole(callers)} callers of a cold key, computation of ${computation} ms`,
      columns: ["", "executions per key", "time beyond the computation", "quartiles", "of Cache.get's"],
      rows: [
        row(
          "cached function",
          times(perKey("cached")),
          cells(distribution(samples["cached function"]!), time),
          times(against.median)
        ),
        row("Cache.get", times(perKey("plain")), cells(distribution(samples["Cache.get"]!), time), "")
      ]
    }],
    goals: [{
      goal: `${whole(callers)} concurrent callers of a cold key: one execution`,
      measured: `${times(perKey("cached"))} executions per key, over ${runs.cached} keys`,
      pass: executions.cached === runs.cached
    }],
    notes: []
  }
}
