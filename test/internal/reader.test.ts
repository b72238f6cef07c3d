import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Result, Tracer } from "effect"
import type { CacheError, CacheEvent } from "effect-cached"
import { TestClock } from "effect/testing"
import { storeError } from "../../src/internal/errors.ts"
import { makeGuard } from "../../src/internal/guard.ts"
import { getOf, readerOf } from "../../src/internal/reader.ts"

type Done = (answer: Effect.Effect<string, CacheError.CacheError>) => void

const naming = (key: string, done: Done): void => done(Exit.succeed(`of ${key}`))

// A store that answers when the test says.
const answering = () => {
  const asked: Array<Done> = []
  const get = getOf<string>((_, done) => void asked.push(done))
  return { asked, get }
}

const reading = (get: (key: string) => Effect.Effect<string, CacheError.CacheError>) =>
  Effect.gen(function*() {
    const events: Array<CacheEvent.CacheEvent> = []
    const results: Array<Result.Result<string, CacheError.CacheError>> = []
    const guarded = yield* makeGuard(true, 1000, (event) => void events.push(event))
    const context = yield* Effect.context()
    const read = guarded.reading({ get })
    return { results, events, read: () => read(context, "k", (result) => void results.push(result)) }
  })

describe("a reader", () => {
  it.effect("is known by the function that does the same in a fiber, and not by what wraps that", () =>
    Effect.gen(function*() {
      const get = getOf(naming)
      assert.strictEqual(readerOf(get), naming)
      assert.strictEqual(yield* get("k"), "of k")
      assert.isUndefined(readerOf((key: string) => get(key)))
    }))
})

describe("Guarded.reading", () => {
  it.effect("gives an answer in the step in which it comes, once", () =>
    Effect.gen(function*() {
      const { asked, get } = answering()
      const { read, results } = yield* reading(get)
      read()
      assert.deepStrictEqual(results, [])
      asked[0]!(Exit.succeed("a"))
      assert.deepStrictEqual(results, [Result.succeed("a")])
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(results.length, 1)
    }))

  it.effect("ends in time where there is no answer, and passes over one that comes later", () =>
    Effect.gen(function*() {
      const { asked, get } = answering()
      const { events, read, results } = yield* reading(get)
      read()
      yield* TestClock.adjust("1 second")
      assert.strictEqual(results.length, 1)
      assert.isTrue(Result.isFailure(results[0]!))
      assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["StoreFailed"])
      asked[0]!(Exit.succeed("late"))
      assert.strictEqual(results.length, 1)
    }))

  it.effect("takes what throws where it is asked for a failure, and reports it once", () =>
    Effect.gen(function*() {
      const { events, read, results } = yield* reading(getOf(() => {
        throw new Error("no stream")
      }))
      read()
      assert.isTrue(Result.isFailure(results[0]!))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(results.length, 1)
      assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["StoreFailed"])
    }))

  it.effect("gives nothing to who has left", () =>
    Effect.gen(function*() {
      const { asked, get } = answering()
      const { events, read, results } = yield* reading(get)
      yield* read()()
      asked[0]!(Exit.fail(storeError("get", "down")))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([results, events], [[], []])
    }))

  it.effect("runs what is left to be done for an answer, and interrupts it when who asks leaves", () =>
    Effect.gen(function*() {
      const { asked, get } = answering()
      const { read, results } = yield* reading(get)
      read()
      const gate = yield* Deferred.make<string>()
      asked[0]!(Deferred.await(gate))
      assert.deepStrictEqual(results, [])
      yield* Deferred.succeed(gate, "a")
      assert.deepStrictEqual(results, [Result.succeed("a")])
      const [started, ended] = [yield* Deferred.make<void>(), yield* Deferred.make<Exit.Exit<string, unknown>>()]
      const leave = read()
      asked[1]!(Effect.onExit(
        Effect.andThen(Deferred.succeed(started, undefined), Effect.never),
        (exit) => Deferred.succeed(ended, exit)
      ))
      yield* Deferred.await(started)
      yield* leave()
      assert.isTrue(Exit.hasInterrupts(yield* Deferred.await(ended)))
      assert.strictEqual(results.length, 1)
    }))

  it.effect("runs nothing of an answer that comes when nobody waits for it", () =>
    Effect.gen(function*() {
      const { asked, get } = answering()
      const { read } = yield* reading(get)
      yield* read()()
      read()
      yield* TestClock.adjust("1 second")
      let runs = 0
      for (const done of asked) done(Effect.sync(() => String(runs++)))
      assert.deepStrictEqual([asked.length, runs], [2, 0])
    }))

  it.effect("asks in a fiber with a span where a tracer records it", () =>
    Effect.gen(function*() {
      const spans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          spans.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      const { asked, get } = answering()
      const { results } = yield* Effect.gen(function*() {
        const world = yield* reading(get)
        world.read()
        return world
      }).pipe(Effect.provideService(Tracer.Tracer, tracer))
      assert.deepStrictEqual(spans, ["effect-cached.get"])
      asked[0]!(Exit.succeed("a"))
      assert.deepStrictEqual(results, [Result.succeed("a")])
    }))
})
