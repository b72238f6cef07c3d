import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { documentSteps, parseDocument, renderDocument } from "../../../src/internal/jsonFile/document.ts"
import { inTurns, type Steps } from "../../../src/internal/jsonFile/steps.ts"
import { makeEntry } from "../../suites/entries.ts"

describe("inTurns", () => {
  it.effect("lets others run between the steps", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      function* work(name: string): Steps<string> {
        order.push(`${name} 1`)
        yield
        order.push(`${name} 2`)
        return name
      }
      const fibers = [yield* Effect.forkChild(inTurns(work("a"))), yield* Effect.forkChild(inTurns(work("b")))]
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), ["a", "b"])
      assert.deepStrictEqual(order, ["a 1", "b 1", "a 2", "b 2"])
    }))

  it.effect("reads a large file in several steps, and finds what is found at once", () =>
    Effect.gen(function*() {
      const entries = Array.from({ length: 1000 }, (_, n) =>
        makeEntry(`f\t{"n":${n}}`, { body: JSON.stringify("x".repeat(1000)) }))
      const text = Array.from(renderDocument(entries)).join("")
      let steps = 0
      const counted = function*() {
        const work = documentSteps(text, 0)
        for (;;) {
          const step = work.next()
          if (step.done === true) {
            return step.value
          }
          steps++
          yield
        }
      }
      assert.deepStrictEqual(yield* inTurns(counted()), parseDocument(text, 0))
      assert.isAbove(steps, 2)
    }))
})
