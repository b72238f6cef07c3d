import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { Broadcaster, type CacheError, type CacheEvent, DependencyGraph } from "effect-cached"
import { logError } from "../../src/internal/errors.ts"
import { follow, makeForget } from "../../src/internal/log.ts"

const subject = (...tags: ReadonlyArray<string>) => ({ tags, position: 10, revision: -1 })

// A graph that was told a gap at 10, a log in which the test says what each append does, and what was told.
const world = Effect.gen(function*() {
  const graph = yield* DependencyGraph.make()
  const scope = yield* Scope.make()
  const events: Array<CacheEvent.CacheEvent> = []
  const appended: Array<ReadonlyArray<string>> = []
  let position = 10
  let append: (tags: ReadonlyArray<string>) => Effect.Effect<number, CacheError.CacheError> = (tags) =>
    Effect.sync(() => {
      graph.apply({ tags, position: ++position })
      appended.push(tags)
      return position
    })
  const taken = append
  graph.gap(10)
  const log = { append: (tags: ReadonlyArray<string>) => append(tags), follow: () => Effect.void }
  const forget = makeForget(log, graph, scope, (event) => events.push(event))
  return {
    graph,
    scope,
    events,
    appended,
    forget,
    fails: () => {
      append = () => Effect.fail(logError("down"))
    },
    takes: () => {
      append = taken
    },
    does: (next: typeof append) => {
      append = next
    }
  }
})

describe("makeForget", () => {
  it.effect("holds the tags before the log is asked, and until it has answered", () =>
    Effect.gen(function*() {
      const { does, events, forget, graph } = yield* world
      const asked = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<void>()
      does(() =>
        Effect.sync(() => {
          assert.isFalse(graph.isValid(subject("a:b")), "held when the log is asked")
        }).pipe(
          Effect.andThen(Deferred.succeed(asked, undefined)),
          Effect.andThen(Deferred.await(answer)),
          Effect.as(20)
        )
      )
      const fiber = yield* Effect.forkChild(forget(["a"]), { startImmediately: true })
      yield* Deferred.await(asked)
      assert.isFalse(graph.isValid(subject("a:b")))
      assert.isTrue(graph.isValid(subject("b")))
      assert.deepStrictEqual(events, [])
      yield* Deferred.succeed(answer, undefined)
      yield* Fiber.join(fiber)
      // This log told the graph nothing, so all that is left to see is that the tags are held no more.
      assert.isTrue(graph.isValid(subject("a:b")))
      assert.deepStrictEqual(events.map((event) => event._tag), ["Invalidated"])
    }))

  it.effect("appends each tag once, in a list that nobody can change", () =>
    Effect.gen(function*() {
      const { appended, forget } = yield* world
      const tags = ["a", "b", "a"]
      yield* forget(tags)
      tags.push("c")
      assert.deepStrictEqual(appended, [["a", "b"]])
      assert.isTrue(Object.isFrozen(appended[0]))
    }))

  it.effect.each(
    [
      ["fails", () => Effect.fail(logError("down"))],
      ["dies", () => Effect.die("bug")],
      ["throws", () => {
        throw new Error("bug")
      }],
      ["is interrupted", () => Effect.interrupt]
    ] as const
  )(
    "keeps the tags held when the log %s, until a later record covers all of them",
    ([, append]) =>
      Effect.gen(function*() {
        const { does, events, forget, graph, takes } = yield* world
        does(append)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(forget(["a:b", "c"]))))
        assert.isFalse(graph.isValid({ ...subject("a:b:d"), position: 1000 }))
        assert.deepStrictEqual(events, [])
        takes()
        for (const insufficient of [["a:b"], ["c"], ["a:b:d", "c"], ["a:b-", "c"], ["a"]]) {
          yield* forget(insufficient)
          assert.isFalse(graph.isValid({ ...subject("a:b:d"), position: 1000 }), insufficient.join())
          assert.isFalse(graph.isValid({ ...subject("c"), position: 1000 }), insufficient.join())
        }
        yield* forget(["a", "c", "z"])
        assert.isTrue(graph.isValid({ ...subject("a:b:d"), position: 1000 }))
        assert.isTrue(graph.isValid({ ...subject("c"), position: 1000 }))
      })
  )

  it.effect("holds the same tags once, however often their record is not taken", () =>
    Effect.gen(function*() {
      const { fails, forget, graph, takes } = yield* world
      fails()
      for (let n = 0; n < 20_000; n++) yield* Effect.exit(forget(["a"]))
      assert.isTrue(graph.isValid(subject("b")), "so they never become a hold on everything")
      takes()
      yield* forget(["a"])
      assert.isTrue(graph.isValid({ ...subject("a"), position: 1000 }))
    }))

  it.effect("holds everything rather than more than 10 000 records that were not taken", () =>
    Effect.gen(function*() {
      const { fails, forget, graph, takes } = yield* world
      fails()
      for (let n = 0; n < 10_000; n++) yield* Effect.exit(forget([`t:${n}`]))
      assert.isTrue(graph.isValid({ ...subject("other"), position: 1000 }))
      yield* Effect.exit(forget(["one:more"]))
      assert.isFalse(graph.isValid({ ...subject("other"), position: 1000 }))
      takes()
      yield* forget(["t", "one", "other"])
      assert.isFalse(graph.isValid({ ...subject("other"), position: 1000 }), "only clear covers everything")
      yield* forget([])
      assert.isTrue(graph.isValid({ ...subject("other"), position: 1000 }))
    }))

  it.effect("fails once its cache is closed, and asks the log nothing", () =>
    Effect.gen(function*() {
      const { appended, forget, scope } = yield* world
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(forget(["a"]))
      assert.strictEqual(error.reason._tag, "LogError")
      assert.deepStrictEqual(appended, [])
    }))

  it.effect("leaves nothing waiting when its cache closes while the log does not answer", () =>
    Effect.gen(function*() {
      const { does, forget, scope } = yield* world
      does(() => Effect.never)
      const fiber = yield* Effect.forkChild(forget(["a"]), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    }))
})

describe("follow", () => {
  it.effect("tells the graph what the log tells, and of gaps and losses only what is news", () =>
    Effect.gen(function*() {
      const graph = yield* DependencyGraph.make()
      const events: Array<string> = []
      const followers: Array<(change: Broadcaster.Change) => void> = []
      const log = {
        append: () => Effect.succeed(0),
        follow: (follower: (change: Broadcaster.Change) => void) => Effect.sync(() => void followers.push(follower))
      }
      yield* follow(log, graph, (event) => events.push(event._tag))
      const tell = followers[0]!
      const error = logError("lost")
      tell({ _tag: "Gap", position: 10 })
      assert.deepStrictEqual(events, [], "where it begins is no news")
      tell({ _tag: "Record", tags: ["a"], position: 20 })
      tell({ _tag: "Heartbeat", position: 20 })
      assert.isFalse(graph.isValid(subject("a")))
      assert.isTrue(graph.isValid(subject("b")))
      assert.deepStrictEqual(events, [])
      tell({ _tag: "Gap", position: 30 })
      assert.deepStrictEqual(events, ["LogGap"])
      assert.strictEqual(graph.floor(), 30)
      tell({ _tag: "Lost", error })
      assert.strictEqual(graph.floor(), Infinity)
      tell({ _tag: "Gap", position: 40 })
      assert.strictEqual(graph.floor(), 40)
      assert.deepStrictEqual(events, ["LogGap", "LogFailed", "CaughtUp"])
    }))

  it.effect("begins lost where the log cannot be followed, and catches up", () =>
    Effect.gen(function*() {
      const graph = yield* DependencyGraph.make()
      const events: Array<string> = []
      const followers: Array<(change: Broadcaster.Change) => void> = []
      const log = {
        append: () => Effect.succeed(0),
        follow: (follower: (change: Broadcaster.Change) => void) =>
          Effect.sync(() => {
            followers.push(follower)
            follower({ _tag: "Lost", error: logError("not there yet") })
          })
      }
      yield* follow(log, graph, (event) => events.push(event._tag))
      assert.isFalse(graph.isValid(subject("a")))
      followers[0]!({ _tag: "Gap", position: 10 })
      assert.isTrue(graph.isValid(subject("a")))
      assert.deepStrictEqual(events, ["LogFailed", "CaughtUp"])
    }))

  it.effect("stops with its scope", () =>
    Effect.gen(function*() {
      const log = yield* Broadcaster.makeLocal
      const graph = yield* DependencyGraph.make()
      const scope = yield* Scope.make()
      yield* Scope.provide(follow(log, graph, () => {}), scope)
      yield* Scope.close(scope, Exit.void)
      const before = graph.position()
      yield* log.append(["a"])
      assert.strictEqual(graph.position(), before)
    }))
})
