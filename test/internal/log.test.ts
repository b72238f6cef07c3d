import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { Broadcaster, type CacheError, CacheEvent, DependencyGraph } from "effect-cached"
import { TestClock } from "effect/testing"
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
  const forgetNow = makeForget(
    log,
    graph,
    scope,
    (tags, position) => events.push(CacheEvent.Invalidated({ tags, position }))
  )
  const forget = (tags: ReadonlyArray<string>) =>
    Effect.withFiber<void, CacheError.CacheError>((fiber) => forgetNow(tags, fiber))
  return {
    graph,
    scope,
    events,
    appended,
    forget,
    taken,
    /** A log that takes each record when the test says so. */
    takesSlowly: Effect.sync(() => {
      const questions: Array<Deferred.Deferred<void>> = []
      return {
        waiting: () => questions.length,
        append: (tags: ReadonlyArray<string>) =>
          Effect.suspend(() => {
            const question = Deferred.makeUnsafe<void>()
            questions.push(question)
            return Effect.andThen(Deferred.await(question), taken(tags))
          }),
        answer: Effect.suspend(() => Effect.andThen(Deferred.succeed(questions.shift()!, undefined), Effect.yieldNow))
      }
    }),
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

const many = (name: string) => Array.from({ length: 600 }, (_, n) => `${name}:${n}`)

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
    "keeps the tags held when the log %s, and asks it again until it takes their record (scenario 54)",
    ([, append]) =>
      Effect.gen(function*() {
        const { appended, does, events, forget, graph, takes } = yield* world
        const isValid = () => graph.isValid({ ...subject("a:b:d"), position: 1000 })
        does(append)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(forget(["a:b", "c"]))))
        assert.isFalse(isValid())
        yield* TestClock.adjust("10 seconds")
        assert.isFalse(isValid())
        assert.deepStrictEqual(events, [])
        takes()
        assert.isFalse(isValid())
        yield* TestClock.adjust("1 second")
        assert.isTrue(isValid())
        assert.deepStrictEqual(appended, [["a:b", "c"]])
        assert.deepStrictEqual(events.map((event) => event._tag), ["Invalidated"])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(appended, [["a:b", "c"]], "and then no more")
      })
  )

  it.effect("delivers what was not taken in its order, and before what comes later (scenario 54)", () =>
    Effect.gen(function*() {
      const { appended, fails, forget, graph, takes } = yield* world
      fails()
      for (const tag of ["a", "b", "c"]) yield* Effect.exit(forget([tag]))
      takes()
      yield* forget(["d"])
      assert.deepStrictEqual(appended, [["a", "b", "c", "d"]], "in one record")
      for (const tag of ["a", "b", "c", "d"]) assert.isTrue(graph.isValid({ ...subject(tag), position: 1000 }))
    }))

  it.effect("fails who waits behind a record that is not taken, and all of them are delivered later", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, takes } = yield* world
      fails()
      yield* Effect.exit(forget(["a"]))
      const answer = yield* Deferred.make<number, CacheError.CacheError>()
      does(() => Deferred.await(answer))
      const waiting = yield* Effect.forEach(
        ["b", "c"],
        (tag) => Effect.forkChild(Effect.flip(forget([tag])), { startImmediately: true })
      )
      yield* Deferred.fail(answer, logError("still down"))
      for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber)).message, "still down")
      takes()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(appended, [["a", "b", "c"]])
    }))

  it.effect("goes on trying for what fails just as the queue has become empty", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, takes } = yield* world
      fails()
      yield* Effect.exit(forget(["a"]))
      const answer = yield* Deferred.make<number>()
      does((tags) => tags[0] === "a" ? Deferred.await(answer) : Effect.fail(logError("down again")))
      yield* TestClock.adjust("50 millis")
      // It comes while the last record is being delivered, and fails right after that.
      const behind = yield* Effect.forkChild(Effect.flip(forget(["b"])), { startImmediately: true })
      yield* Deferred.succeed(answer, 20)
      assert.strictEqual((yield* Fiber.join(behind)).message, "down again")
      yield* TestClock.adjust("1 second")
      takes()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(appended, [["b"]])
    }))

  it.effect("does not take a record for delivered that was on its way before the change", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, graph, takes } = yield* world
      const answer = yield* Deferred.make<number>()
      does(() => Deferred.await(answer))
      // The log has taken this one already, and its answer is late.
      const clear = yield* Effect.forkChild(forget([]), { startImmediately: true })
      fails()
      yield* Effect.exit(forget(["a"]))
      graph.apply({ tags: [], position: 20 })
      yield* Deferred.succeed(answer, 20)
      yield* Fiber.join(clear)
      assert.isFalse(graph.isValid({ ...subject("a"), position: 1000 }), "a changed after the record was appended")
      takes()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(appended, [["a"]])
    }))

  it.effect("does not take a record for delivered that fails late, with a later change of the same tags behind it", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, graph, takes } = yield* world
      const answers = [yield* Deferred.make<number, CacheError.CacheError>(), yield* Deferred.make<number>()] as const
      does(() => Deferred.await(answers[0]))
      const late = yield* Effect.forkChild(Effect.flip(forget(["a:b"])), { startImmediately: true })
      fails()
      yield* Effect.exit(forget(["a"]))
      // The record of "a" is on its way when "a:b" changes again.
      does(() => Deferred.await(answers[1]))
      yield* TestClock.adjust("50 millis")
      takes()
      const again = yield* Effect.forkChild(forget(["a:b"]), { startImmediately: true })
      yield* Deferred.fail(answers[0], logError("late"))
      yield* Fiber.join(late)
      graph.apply({ tags: ["a"], position: 20 })
      yield* Deferred.succeed(answers[1], 20)
      yield* TestClock.adjust("1 second")
      assert.isDefined(again.pollUnsafe(), "who asked again is answered")
      assert.deepStrictEqual(appended, [["a:b"]], "by a record of its own")
    }))

  it.effect("takes a record that ends everything for all that stand behind it", () =>
    Effect.gen(function*() {
      const { appended, fails, forget, graph, takes } = yield* world
      fails()
      yield* Effect.exit(forget([]))
      yield* Effect.exit(forget(["a"]))
      takes()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(appended, [[]])
      assert.isTrue(graph.isValid({ ...subject("a"), position: 1000 }))
    }))

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
      const { appended, fails, forget, graph, takes } = yield* world
      fails()
      for (let n = 0; n < 10_000; n++) yield* Effect.exit(forget([`t:${n}`]))
      assert.isTrue(graph.isValid({ ...subject("other"), position: 1000 }))
      yield* Effect.exit(forget(["one:more"]))
      assert.isFalse(graph.isValid({ ...subject("other"), position: 1000 }))
      takes()
      yield* forget(["another"])
      assert.deepStrictEqual(appended, [[]])
      assert.isTrue(graph.isValid({ ...subject("other"), position: 1000 }))
    }))

  it.effect("waits for no record that stands before it for longer than the log takes to say that it does not take it", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, graph, takes } = yield* world
      fails()
      yield* Effect.exit(forget(["a"]))
      // A log that does not answer, and gives up by itself after a second.
      does(() =>
        Effect.timeoutOrElse(Effect.never, { duration: "1 second", orElse: () => Effect.fail(logError("late")) })
      )
      const waiting = yield* Effect.forEach(
        ["b", "c", "d"],
        (tag) => Effect.forkChild(Effect.flip(forget([tag])), { startImmediately: true })
      )
      yield* TestClock.adjust(999)
      assert.isTrue(waiting.every((fiber) => fiber.pollUnsafe() === undefined))
      yield* TestClock.adjust(1)
      for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber)).message, "late")
      for (const tag of ["a", "b", "c", "d"]) assert.isFalse(graph.isValid({ ...subject(tag), position: 1000 }))
      takes()
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(appended, [["a", "b", "c", "d"]])
    }))

  it.effect("delivers one record at a time, and all who came meanwhile in the next (scenario 54)", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, takesSlowly } = yield* world
      fails()
      yield* Effect.exit(forget(["t:0"]))
      const log = yield* takesSlowly
      does(log.append)
      const tags = Array.from({ length: 20 }, (_, n) => `t:${n + 1}`)
      const fibers = yield* Effect.forEach(tags, (tag) => Effect.forkChild(forget([tag]), { startImmediately: true }))
      assert.strictEqual(log.waiting(), 1)
      yield* log.answer
      assert.strictEqual(log.waiting(), 1)
      yield* log.answer
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(appended, [["t:0", "t:1"], tags.slice(1)])
    }))

  it.effect("answers each as soon as its record is taken, however many come behind it", () =>
    Effect.gen(function*() {
      const { does, fails, forget, takesSlowly } = yield* world
      fails()
      yield* Effect.exit(forget(["t:0"]))
      const log = yield* takesSlowly
      does(log.append)
      let last = yield* Effect.forkChild(forget(["t:1"]), { startImmediately: true })
      for (let n = 2; n < 50; n++) {
        const next = yield* Effect.forkChild(forget([`t:${n}`]), { startImmediately: true })
        yield* log.answer
        yield* Fiber.join(last)
        last = next
      }
    }))

  it.effect("answers each who asks for the same by the first record that was asked for after he came", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, graph, takes, takesSlowly } = yield* world
      fails()
      yield* Effect.exit(forget(["hot"]))
      const log = yield* takesSlowly
      does(log.append)
      const invalidate = Effect.forkChild(forget(["hot"]), { startImmediately: true })
      let underWay = yield* invalidate
      let behind = yield* invalidate
      for (let n = 0; n < 20; n++) {
        const next = yield* invalidate
        yield* log.answer
        if (n > 0) yield* Fiber.join(underWay)
        assert.isUndefined(next.pollUnsafe())
        ;[underWay, behind] = [behind, next]
        assert.isFalse(graph.isValid({ ...subject("hot"), position: 1000 }), "the newest is not in the log yet")
      }
      takes()
      while (log.waiting() > 0) yield* log.answer
      yield* Fiber.joinAll([underWay, behind])
      assert.isTrue(graph.isValid({ ...subject("hot"), position: 1000 }))
      assert.isAtMost(appended.length, 22)
    }))

  it.effect("delivers as many at once as one record holds, and goes on where the log failed in the middle", () =>
    Effect.gen(function*() {
      const { appended, does, events, fails, forget, taken, takes } = yield* world
      fails()
      for (const name of ["a", "b", "c"]) yield* Effect.exit(forget(many(name)))
      does((tags) => tags[0] === "b:0" ? Effect.fail(logError("down again")) : taken(tags))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(appended.map(([first]) => first), ["a:0"])
      takes()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(appended.map(([first]) => first), ["a:0", "b:0", "c:0"])
      assert.deepStrictEqual(events.map((event) => event._tag), ["Invalidated", "Invalidated", "Invalidated"])
    }))

  it.effect("goes on trying after hours, about once in a second", () =>
    Effect.gen(function*() {
      const { appended, does, forget, takes } = yield* world
      let asked = 0
      does(() =>
        Effect.suspend(() => {
          asked++
          return Effect.fail(logError("down"))
        })
      )
      yield* Effect.exit(forget(["a"]))
      yield* TestClock.adjust("2 hours")
      assert.isAtLeast(asked, 7_000)
      assert.isAtMost(asked, 7_300)
      takes()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(appended, [["a"]])
    }))

  it.effect("goes on when who asked is gone", () =>
    Effect.gen(function*() {
      const { appended, does, forget, graph, takesSlowly } = yield* world
      const log = yield* takesSlowly
      does(log.append)
      const fiber = yield* Effect.forkChild(forget(["a"]), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.isFalse(graph.isValid(subject("a")))
      yield* log.answer
      assert.deepStrictEqual(appended, [["a"]])
      assert.isTrue(graph.isValid({ ...subject("a"), position: 1000 }))
    }))

  it.effect("keeps a change that comes while the same tags are delivered, and delivers it, too", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, graph, takesSlowly } = yield* world
      fails()
      yield* Effect.exit(forget(["a"]))
      const log = yield* takesSlowly
      does(log.append)
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(log.waiting(), 1)
      const second = yield* Effect.forkChild(forget(["a"]), { startImmediately: true })
      yield* log.answer
      assert.isFalse(
        graph.isValid({ ...subject("a"), position: 1000 }),
        "the first record may be older than the change"
      )
      assert.isUndefined(second.pollUnsafe())
      yield* log.answer
      yield* Fiber.join(second)
      assert.deepStrictEqual(appended, [["a"], ["a"]])
      assert.isTrue(graph.isValid({ ...subject("a"), position: 1000 }))
    }))

  it.effect("asks the log no more once its cache is closed, and leaves nobody waiting", () =>
    Effect.gen(function*() {
      const { does, fails, forget, scope } = yield* world
      fails()
      yield* Effect.exit(forget(["a"]))
      let asked = 0
      let left = 0
      does(() =>
        Effect.suspend(() => {
          asked++
          return Effect.onInterrupt(Effect.never, () => Effect.sync(() => left++))
        })
      )
      const waiting = yield* Effect.forkChild(forget(["b"]), { startImmediately: true })
      assert.strictEqual(asked, 1)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiting)))
      assert.strictEqual(left, 1)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(asked, 1)
    }))

  it.effect("tells all who asked for the same when it is delivered", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, takesSlowly } = yield* world
      fails()
      yield* Effect.exit(forget(["a"]))
      const log = yield* takesSlowly
      does(log.append)
      const fibers = yield* Effect.forEach(
        [["b"], ["b"], ["b"]],
        (tags) => Effect.forkChild(forget(tags), { startImmediately: true })
      )
      yield* log.answer
      yield* log.answer
      for (const fiber of fibers) assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(log.waiting(), 0)
      // The first was on its way with it, before it was asked for again.
      assert.deepStrictEqual(appended, [["a", "b"], ["b"]])
    }))

  it.effect("tells all who wait when their records became one that ends everything", () =>
    Effect.gen(function*() {
      const { appended, does, fails, forget, takesSlowly } = yield* world
      fails()
      for (let n = 1; n < 10_000; n++) yield* Effect.exit(forget([`t:${n}`]))
      const log = yield* takesSlowly
      does(log.append)
      const fibers = yield* Effect.forEach(
        ["a", "b", "c"],
        (tag) => Effect.forkChild(forget([tag]), { startImmediately: true })
      )
      // The first one was on its way already. All others are the second, and the one that came after it is the third.
      for (let n = 0; n < 3; n++) if (log.waiting() > 0) yield* log.answer
      for (const fiber of fibers) assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(log.waiting(), 0)
      assert.deepStrictEqual(appended.map((tags) => tags[0]).slice(0, 2), ["t:1", undefined])
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
