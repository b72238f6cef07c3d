import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Metric, Schema, Scope } from "effect"
import { Cached, CacheMetrics, ResultCache } from "effect-cached"

const count = (event: Parameters<typeof CacheMetrics.events>[0]) =>
  Effect.map(Metric.value(CacheMetrics.events(event)), ({ count }) => count)

describe("CacheMetrics.events", () => {
  it.effect("is zero where no cache is", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* count("Hit"), 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("counts for the caches of its registry, and never falls when they close", () =>
    Effect.gen(function*() {
      for (let opened = 1; opened <= 3; opened++) {
        const scope = yield* Scope.make()
        const cache = yield* Layer.buildWithScope(ResultCache.layerMemory(), scope)
        const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.succeed(1)).pipe(
          Effect.provide(cache)
        )
        yield* fn()
        yield* fn()
        assert.deepStrictEqual([yield* count("Miss"), yield* count("Hit")], [opened, opened])
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual([yield* count("Miss"), yield* count("Hit")], [opened, opened])
      }
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("has a bounded number of series, however many keys, tags and caches there are", () =>
    Effect.gen(function*() {
      for (let n = 0; n < 3; n++) {
        yield* Effect.gen(function*() {
          const fn = yield* Cached.make(
            `fn${n}`,
            { input: { n: Schema.Number }, success: Schema.Number, deps: ({ n }) => [`n:${n}`] },
            ({ n }) => Effect.succeed(n)
          )
          for (let i = 0; i < 100; i++) yield* fn({ n: i })
          yield* ResultCache.invalidate("n:1", "n:2")
        }).pipe(Effect.provide(ResultCache.layerMemory()))
      }
      const series = (yield* Metric.snapshot).filter(({ id }) => id.startsWith("effect_cached"))
      assert.strictEqual(series.length, 17)
      for (const { attributes, id, type } of series) {
        assert.strictEqual(id, "effect_cached_events")
        assert.strictEqual(type, "Counter")
        assert.deepStrictEqual(Object.keys(attributes ?? {}), ["event"])
      }
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
})
