import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, SchemaTransformation, Scope } from "effect"
import { Cached } from "effect-cached"
import { CacheTest, FaultyStore } from "effect-cached/testing"
import { AsyncLocalStorage } from "node:async_hooks"
import { faulty, start } from "./suites/worlds.ts"

describe("Who joins a computation", () => {
  it.effect("has its result decoded where it asks, and not where the computation ends", () =>
    Effect.gen(function*() {
      const place = new AsyncLocalStorage<string>()
      const seen: Array<string | undefined> = []
      const Stamp = Schema.Number.pipe(Schema.decodeTo(
        Schema.Date,
        SchemaTransformation.transform({
          decode: (millis: number) => {
            seen.push(place.getStore())
            return new Date(millis)
          },
          encode: (date) => date.getTime()
        })
      ))
      const gate = yield* Deferred.make<Date>()
      const fn = yield* Cached.make("fn", { success: Stamp }, () => Deferred.await(gate))
      const callers = ["a", "b", "c"].map((name) => place.run(name, () => Effect.runFork(fn())))
      yield* Deferred.succeed(gate, new Date(1))
      yield* Effect.forEach(callers, Fiber.join)
      // The one that computes it has it read once more, to see whether it comes back.
      assert.deepStrictEqual(seen, ["a", "a", "b", "c"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("does so with an input that its own schema lets through, though somebody else had the name", () =>
    Effect.gen(function*() {
      const faults = yield* FaultyStore.FaultyStore
      const scope = yield* Scope.make()
      const before = yield* Scope.provide(
        Cached.make("fn", { input: { n: Schema.Number }, success: Schema.Number }, ({ n }) => Effect.succeed(n)),
        scope
      )
      yield* faults.become("slow")
      const first = yield* start(before({ n: -1 }))
      yield* Scope.close(scope, Exit.void)
      const after = yield* Cached.make(
        "fn",
        { input: { n: Schema.Number.check(Schema.isGreaterThan(0)) }, success: Schema.String },
        ({ n }) => Effect.succeed(`new ${n}`)
      )
      const error = yield* Effect.flip(after({ n: -1 }))
      assert.strictEqual(error.reason._tag, "InputError")
      yield* faults.release
      assert.strictEqual(yield* Fiber.join(first), -1)
    }).pipe(Effect.provide(faulty())))
})

describe("A function without an input", () => {
  it.effect("sees nothing of what it is called with", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const fn = yield* Cached.make("fn", { input: {}, success: Schema.Number }, (input) => {
        seen.push(input)
        return Effect.succeed(1)
      })
      const secret = { user: 7 }
      yield* fn(secret)
      yield* fn.refresh(secret)
      assert.deepStrictEqual(seen, [{}, {}])
    }).pipe(Effect.provide(CacheTest.layer)))
})
