import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Broadcaster, Cached, clear, DependencyGraph, invalidate, Store } from "effect-cached"
import { CacheTest, FaultyBroadcaster, RecordingGraph } from "effect-cached/testing"
import { dependencyGraphSuite } from "../suites/dependencyGraphSuite.ts"

dependencyGraphSuite("RecordingGraph", (options) => RecordingGraph.layer(DependencyGraph.layer(options)))

const cache = CacheTest.layerWith().pipe(
  Layer.provideMerge([
    RecordingGraph.layer(DependencyGraph.layer()),
    FaultyBroadcaster.layer(Broadcaster.layerLocal)
  ]),
  Layer.provide(Store.layerMemory()),
  Layer.orDie
)

const told = RecordingGraph.RecordingGraph.use((graph) => graph.told)

describe("RecordingGraph", () => {
  it.effect("records what a graph is told, in order and with what it was told", () =>
    Effect.gen(function*() {
      const { apply, gap, hold, lose, resume } = yield* DependencyGraph.DependencyGraph
      gap(10)
      const { release } = hold(["a"])
      apply({ tags: ["a"], position: 11 })
      release()
      lose()
      resume()
      assert.deepStrictEqual(yield* told, [
        { _tag: "Gap", position: 10 },
        { _tag: "Held", tags: ["a"] },
        { _tag: "Applied", tags: ["a"], position: 11 },
        { _tag: "Released", tags: ["a"] },
        { _tag: "Lost" },
        { _tag: "Resumed" }
      ])
    }).pipe(Effect.provide(RecordingGraph.layer(DependencyGraph.layer()))))

  it.effect("records nothing of what a graph is asked", () =>
    Effect.gen(function*() {
      const graph = yield* DependencyGraph.DependencyGraph
      graph.gap(10)
      graph.isValid({ tags: ["a"], position: 10, revision: -1 })
      graph.isUntouched({ tags: ["a"], position: 10, since: graph.revision(), untouchedAt: -1 })
      graph.floor()
      graph.position()
      assert.strictEqual((yield* told).length, 1)
    }).pipe(Effect.provide(RecordingGraph.layer(DependencyGraph.layer()))))

  it.effect("hands out what it recorded so far, not what it goes on recording into", () =>
    Effect.gen(function*() {
      const before = yield* told
      yield* invalidate("a")
      assert.strictEqual(before.length, 1)
      assert.strictEqual((yield* told).length, 4)
    }).pipe(Effect.provide(cache)))

  it.effect("shows that an invalidation is held here before the log has it, and until it was applied", () =>
    Effect.gen(function*() {
      yield* invalidate("a", "b")
      yield* clear
      const [first, ...then] = yield* told
      assert.strictEqual(first?._tag, "Gap")
      assert.deepStrictEqual(
        then.map((one) => [one._tag, "tags" in one ? one.tags : []]),
        [
          ["Held", ["a", "b"]],
          ["Applied", ["a", "b"]],
          ["Released", ["a", "b"]],
          ["Held", []],
          ["Applied", []],
          ["Released", []]
        ]
      )
    }).pipe(Effect.provide(cache)))

  it.effect("shows that tags stay held when the log fails, until it takes their record together with a later one", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      yield* log.become("failing")
      yield* Effect.flip(invalidate("a:b"))
      const kinds = Effect.map(told, (all) => all.map(({ _tag }) => _tag))
      assert.deepStrictEqual(yield* kinds, ["Gap", "Held"])
      yield* log.become("healthy")
      yield* invalidate("a")
      assert.deepStrictEqual(yield* kinds, ["Gap", "Held", "Held", "Applied", "Released", "Released"])
    }).pipe(Effect.provide(cache)))

  it.effect("makes a cache serve nothing that it holds while the log is lost, and go on after the gap", () =>
    Effect.gen(function*() {
      const graph = yield* RecordingGraph.RecordingGraph
      const position = yield* DependencyGraph.DependencyGraph.use((graph) => Effect.sync(graph.position))
      let executions = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.sync(() => ++executions))
      assert.deepStrictEqual([yield* fn(), yield* fn()], [1, 1])
      yield* graph.lose
      assert.deepStrictEqual([yield* fn(), yield* fn()], [2, 3])
      yield* graph.gap(position + 1)
      assert.deepStrictEqual([yield* fn(), yield* fn()], [4, 4])
      assert.deepStrictEqual((yield* told).map(({ _tag }) => _tag), ["Gap", "Lost", "Gap"])
    }).pipe(Effect.provide(cache)))

  it.effect("goes on with what it holds when nothing was missed while the log was lost", () =>
    Effect.gen(function*() {
      const log = yield* FaultyBroadcaster.FaultyBroadcaster
      const graph = yield* RecordingGraph.RecordingGraph
      let executions = 0
      const fn = yield* Cached.make("fn", { success: Schema.Number }, () => Effect.sync(() => ++executions))
      assert.strictEqual(yield* fn(), 1)
      yield* graph.lose
      assert.strictEqual(yield* fn(), 2)
      yield* log.inject({ _tag: "Heartbeat", position: 0 })
      assert.strictEqual(yield* fn(), 1)
      assert.deepStrictEqual((yield* told).map(({ _tag }) => _tag), ["Gap", "Lost", "Resumed"])
    }).pipe(Effect.provide(cache)))
})
