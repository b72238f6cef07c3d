import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DependencyGraph } from "effect-cached"
import { dependencyGraphSuite } from "./suites/dependencyGraphSuite.ts"

dependencyGraphSuite("layer", DependencyGraph.layer)

describe("DependencyGraph.layer", () => {
  it.effect("is a graph of its own wherever it is provided", () =>
    Effect.gen(function*() {
      const invalidated = Effect.gen(function*() {
        const graph = yield* DependencyGraph.DependencyGraph
        graph.gap(1)
        graph.apply({ tags: ["a"], position: 2 })
        return graph.isValid({ tags: ["a"], position: 1, revision: -1 })
      })
      const untouched = Effect.gen(function*() {
        const graph = yield* DependencyGraph.DependencyGraph
        graph.gap(1)
        return graph.isValid({ tags: ["a"], position: 1, revision: -1 })
      })
      assert.isFalse(yield* Effect.provide(invalidated, DependencyGraph.layer()))
      assert.isTrue(yield* Effect.provide(untouched, DependencyGraph.layer()))
    }))
})
