import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Result, Schema, Scope } from "effect"
import { Broadcaster, Cached, type CacheError, DependencyGraph, ResultCache, Store } from "effect-cached"
import { TestClock } from "effect/testing"
import { type Change, makeLinkedLog, type Options } from "../../../src/internal/linkedLog/linkedLog.ts"
import type { Question } from "../../../src/internal/linkedLog/remote.ts"
import { answer, makeScripted, record } from "./scripted.ts"

const start = Effect.fnUntraced(function*(options?: Partial<Options>) {
  const script = yield* makeScripted
  const problems: Array<string> = []
  const log = yield* makeLinkedLog(script.remote, {
    maxStaleness: 5000,
    limit: 60_000,
    ...options
  })
  const changes: Array<string> = []
  const follow = log.follow((change) => {
    if (change._tag === "Ignored") problems.push(change.problem)
    else changes.push(print(change))
  })
  return { ...script, log, changes, follow, problems }
})

const print = (change: Change): string => {
  switch (change._tag) {
    case "Record":
      return `${change.position} ${change.tags.join()}`
    case "Lost":
      return `lost: ${change.error.message}`
    case "Ignored":
      return change.problem
    default:
      return `${change._tag.toLowerCase()} ${change.position}`
  }
}

const fork = Effect.forkChild({ startImmediately: true })

const [a, b, c, d] = [record(10, 5, "a"), record(20, 10, "b"), record(30, 20, "c"), record(40, 30, "d")] as const

/** One that has been told everything up to `b`, at time zero. */
const following = Effect.fnUntraced(function*(options?: Partial<Options>) {
  const started = yield* start(options)
  const joining = yield* fork(started.follow)
  yield* (yield* started.question).reply(answer(b, [a, b]))
  yield* Fiber.join(joining)
  started.changes.length = 0
  return started
})

describe("makeLinkedLog", () => {
  it.effect("tells its first follower the whole log, page by page, before follow returns", () =>
    Effect.gen(function*() {
      const { changes, follow, log, question } = yield* start()
      const joining = yield* fork(follow)
      const first = yield* question
      assert.deepStrictEqual(first.question, { cursor: undefined, known: 0, append: undefined })
      yield* first.reply(answer(c, [a, b]))
      const second = yield* question
      assert.deepStrictEqual(second.question, { cursor: b, known: 30, append: undefined })
      assert.isFalse(log.isCurrent())
      yield* second.reply(answer(c, [c]))
      yield* Fiber.join(joining)
      assert.isTrue(log.isCurrent())
      assert.deepStrictEqual(changes, ["gap 5", "10 a", "20 b", "30 c", "heartbeat 30"])
    }))

  it.effect("tells who comes later from where the others are", () =>
    Effect.gen(function*() {
      const { log, wait } = yield* following()
      const later: Array<string> = []
      yield* log.follow((change) => later.push(print(change)))
      assert.deepStrictEqual(later, ["gap 20"])
      yield* (yield* wait).reply([c])
      yield* wait
      assert.deepStrictEqual(later, ["gap 20", "30 c"])
    }))

  it.effect("tells that nothing can be relied on while the server cannot be reached, and joins when it can", () =>
    Effect.gen(function*() {
      const { changes, follow, log, question } = yield* start()
      const joining = yield* fork(follow)
      yield* (yield* question).fail("down")
      yield* Fiber.join(joining)
      assert.deepStrictEqual(changes, ["lost: down"])
      yield* TestClock.adjust("1 second")
      yield* (yield* question).fail("still down")
      yield* TestClock.adjust("1 second")
      const asked = yield* question
      assert.isUndefined(asked.question.cursor)
      const caughtUp = yield* fork(log.catchUp)
      yield* asked.reply(answer(b, [a, b]))
      yield* (yield* question).reply(answer(b, []))
      yield* Fiber.join(caughtUp)
      assert.deepStrictEqual(changes, ["lost: down", "gap 5", "10 a", "20 b", "heartbeat 20", "heartbeat 20"])
    }))

  it.effect("joins by appending, too", () =>
    Effect.gen(function*() {
      const { changes, follow, log, question } = yield* start()
      const joining = yield* fork(follow)
      yield* (yield* question).fail("down")
      yield* Fiber.join(joining)
      const appending = yield* fork(log.append(["c"]))
      yield* (yield* question).reply(answer(c, [a, b], { appended: 30 }))
      assert.strictEqual(yield* Fiber.join(appending), 30)
      assert.deepStrictEqual(changes, ["lost: down", "gap 5", "10 a", "20 b", "30 c", "heartbeat 30"])
    }))

  it.effect("appends where nobody follows", () =>
    Effect.gen(function*() {
      const { changes, follow, log, question } = yield* start()
      const appending = yield* fork(log.append(["c"]))
      yield* (yield* question).reply(answer(c, [a], { appended: 30 }))
      assert.strictEqual(yield* Fiber.join(appending), 30)
      assert.isFalse(log.isCurrent())
      // The first follower is told the log all the same.
      yield* fork(follow)
      assert.isUndefined((yield* question).question.cursor)
      assert.deepStrictEqual(changes, [])
    }))

  it.effect("has told its followers of a record before append returns, and only once", () =>
    Effect.gen(function*() {
      const { changes, log, question, wait } = yield* following()
      const appending = yield* fork(log.append(["c"]))
      const asked = yield* question
      assert.deepStrictEqual(asked.question, { cursor: b, known: 20, append: ["c"] })
      yield* asked.reply(answer(c, [], { appended: 30 }))
      assert.strictEqual(yield* Fiber.join(appending), 30)
      assert.deepStrictEqual(changes, ["30 c", "heartbeat 30"])
      // The one that waits hears of it afterwards.
      yield* (yield* wait).reply([c])
      assert.strictEqual((yield* wait).after, c.id)
      assert.deepStrictEqual(changes, ["30 c", "heartbeat 30"])
    }))

  it.effect("has told of it also when the one that waits is first", () =>
    Effect.gen(function*() {
      const { changes, log, question, wait } = yield* following()
      const appending = yield* fork(log.append(["c"]))
      const asked = yield* question
      yield* (yield* wait).reply([c, d])
      yield* wait
      yield* asked.reply(answer(c, [], { appended: 30 }))
      assert.strictEqual(yield* Fiber.join(appending), 30)
      assert.deepStrictEqual(changes, ["30 c", "40 d", "heartbeat 30"])
    }))

  it.effect("tells records in the order of the log when the answers of two appends change places", () =>
    Effect.gen(function*() {
      const { changes, log, question } = yield* following()
      const first = yield* fork(log.append(["c"]))
      const second = yield* fork(log.append(["d"]))
      const [askedFirst, askedSecond] = [yield* question, yield* question]
      yield* askedSecond.reply(answer(d, [c], { appended: 40 }))
      assert.strictEqual(yield* Fiber.join(second), 40)
      yield* askedFirst.reply(answer(c, [], { appended: 30 }))
      assert.strictEqual(yield* Fiber.join(first), 30)
      assert.deepStrictEqual(changes, ["30 c", "40 d", "heartbeat 40", "heartbeat 30"])
    }))

  it.effect("reads on before append returns when there is more than one page before its record", () =>
    Effect.gen(function*() {
      const { changes, log, question } = yield* following()
      const appending = yield* fork(log.append(["e"]))
      const e = record(50, 40, "e")
      yield* (yield* question).reply(answer(e, [c], { appended: 50 }))
      const more = yield* question
      assert.deepStrictEqual(more.question, { cursor: c, known: 50, append: undefined })
      assert.isUndefined(appending.pollUnsafe())
      yield* more.reply(answer(e, [d, e]))
      assert.strictEqual(yield* Fiber.join(appending), 50)
      assert.deepStrictEqual(changes, ["30 c", "40 d", "50 e", "heartbeat 50"])
    }))

  it.effect("fails where it is not known whether the log took a record, and tells of it when it did", () =>
    Effect.gen(function*() {
      const { changes, log, question, wait } = yield* following()
      const appending = yield* fork(Effect.result(log.append(["c"])))
      yield* (yield* question).fail("the reply was lost")
      const result = yield* Fiber.join(appending)
      assert.isTrue(Result.isFailure(result) && result.failure.reason._tag === "LogError")
      yield* (yield* wait).reply([c])
      yield* wait
      assert.deepStrictEqual(changes, ["30 c"])
    }))

  it.effect("fails when the rest cannot be read: its followers were not told up to its record", () =>
    Effect.gen(function*() {
      const { log, question } = yield* following()
      const appending = yield* fork(Effect.result(log.append(["e"])))
      yield* (yield* question).reply(answer(record(50, 40, "e"), [c], { appended: 50 }))
      yield* (yield* question).fail("down")
      assert.isTrue(Result.isFailure(yield* Fiber.join(appending)))
    }))

  it.effect("invalidates everything by a record that would be too large", () =>
    Effect.gen(function*() {
      const { changes, log, question } = yield* following({ maxRecordBytes: 11 })
      const small = yield* fork(log.append(["abc", "d"]))
      const first = yield* question
      assert.deepStrictEqual(first.question.append, ["abc", "d"])
      assert.strictEqual(JSON.stringify(["abc", "d"]).length, 11)
      yield* first.reply(answer(c, [], { appended: 30 }))
      yield* Fiber.join(small)
      const large = yield* fork(log.append(["abc", "de"]))
      const second = yield* question
      assert.deepStrictEqual(second.question.append, [])
      yield* second.reply(answer(d, [], { appended: 40 }))
      yield* Fiber.join(large)
      assert.deepStrictEqual(changes, ["30 abc,d", "heartbeat 30", "40 ", "heartbeat 40"])
    }))

  it.effect("tells a gap for records that are missing, and for a log that does not hold what it knows", () =>
    Effect.gen(function*() {
      const { changes, log, question, wait } = yield* following()
      yield* (yield* wait).reply([d])
      // It is asked with the cursor that the records do not continue: a log that holds others has to know.
      const asked = yield* question
      assert.strictEqual(asked.question.cursor, b)
      yield* asked.reply(answer(d, [d]))
      assert.strictEqual((yield* wait).after, d.id)
      assert.deepStrictEqual(changes, ["gap 40", "40 d", "heartbeat 40"])
      const caughtUp = yield* fork(log.catchUp)
      yield* (yield* question).reply(answer(record(90, 80), [], { intact: false }))
      yield* Fiber.join(caughtUp)
      assert.deepStrictEqual(changes, ["gap 40", "40 d", "heartbeat 40", "gap 90", "heartbeat 90"])
    }))

  it.effect("asks the log at once about what is no record, and ignores it (scenario 53)", () =>
    Effect.gen(function*() {
      const { changes, problems, question, wait } = yield* following()
      yield* (yield* wait).reply([{ id: "9999999-0", problem: "too far" }])
      // The log puts itself in order.
      yield* (yield* question).reply(answer(record(90, 0), [], { intact: false }))
      const next = yield* wait
      assert.strictEqual(next.after, "90-0")
      yield* next.reply([record(95, 90, "later")])
      yield* wait
      assert.deepStrictEqual(changes, ["gap 90", "heartbeat 90", "95 later"])
      assert.deepStrictEqual(problems, ["too far"])
    }))

  it.effect("shares one question among those who ask before it is sent, and no other", () =>
    Effect.gen(function*() {
      const { asked, log, question } = yield* following()
      const before = asked()
      const together = yield* fork(Effect.all([log.catchUp, log.catchUp, log.catchUp], { concurrency: 3 }))
      const shared = yield* question
      assert.strictEqual(asked(), before + 1)
      // What is appended now may be missing in the answer to the question that is under way.
      const late = yield* fork(log.catchUp)
      const own = yield* question
      yield* shared.reply(answer(b, []))
      yield* Fiber.join(together)
      assert.isUndefined(late.pollUnsafe())
      yield* own.reply(answer(c, [c]))
      yield* Fiber.join(late)
      assert.strictEqual(asked(), before + 2)
    }))

  it.effect("goes on asking for the others when the one who asked first leaves", () =>
    Effect.gen(function*() {
      const { changes, log, question } = yield* following()
      const first = yield* fork(log.catchUp)
      const second = yield* fork(log.catchUp)
      const asked = yield* question
      yield* Fiber.interrupt(first)
      yield* asked.reply(answer(c, [c]))
      yield* Fiber.join(second)
      assert.deepStrictEqual(changes, ["30 c", "heartbeat 30"])
    }))

  it.effect("ends a catch-up at where the log ended when it was asked, whoever appends meanwhile", () =>
    Effect.gen(function*() {
      const { log, question } = yield* following()
      const caughtUp = yield* fork(log.catchUp)
      yield* (yield* question).reply(answer(d, [c]))
      yield* TestClock.adjust("500 millis")
      yield* (yield* question).reply(answer(record(90, 80), [d]))
      yield* Fiber.join(caughtUp)
      // It was heard when the first question was asked, because that is what is known to have been told.
      yield* TestClock.adjust("4500 millis")
      assert.isTrue(log.isCurrent())
      yield* TestClock.adjust(1)
      assert.isFalse(log.isCurrent())
    }))

  it.effect("fails a catch-up that the server does not answer", () =>
    Effect.gen(function*() {
      const { log, question } = yield* following()
      const caughtUp = yield* fork(Effect.result(log.catchUp))
      yield* (yield* question).fail("down")
      const result = yield* Fiber.join(caughtUp)
      assert.isTrue(Result.isFailure(result) && result.failure.message.includes("down"))
    }))

  it.effect("asks when nothing was heard for a fifth of the bound", () =>
    Effect.gen(function*() {
      const { asked, log, question } = yield* following()
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(asked(), 1)
      const appending = yield* fork(log.append(["c"]))
      yield* (yield* question).reply(answer(c, [], { appended: 30 }))
      yield* Fiber.join(appending)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(asked(), 2)
      yield* TestClock.adjust(1)
      yield* (yield* question).reply(answer(c, []))
      assert.strictEqual(asked(), 3)
    }))

  it.effect("is not kept current by records: only an answer says that none is missing", () =>
    Effect.gen(function*() {
      const { log, wait } = yield* following()
      for (const [n, next] of [c, d, record(50, 40), record(60, 50), record(70, 60)].entries()) {
        yield* (yield* wait).reply([next])
        yield* TestClock.adjust("1 second")
        assert.isTrue(log.isCurrent(), `${n}`)
      }
      yield* TestClock.adjust(1)
      assert.isFalse(log.isCurrent())
    }))

  it.effect("is current for the bound from when it asked, not from when it was answered", () =>
    Effect.gen(function*() {
      const { log, question } = yield* following()
      yield* TestClock.adjust("1 second")
      const asked = yield* question
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(log.isCurrent())
      yield* asked.reply(answer(b, []))
      yield* TestClock.adjust("250 millis")
      yield* question
      yield* TestClock.adjust("750 millis")
      assert.isTrue(log.isCurrent())
      yield* TestClock.adjust(1)
      assert.isFalse(log.isCurrent())
    }))

  it.effect("tells once that the log is lost, and by a heartbeat that nothing was missed (scenario 55)", () =>
    Effect.gen(function*() {
      const { changes, log, question, wait } = yield* following()
      let reachable = false
      yield* fork(Effect.forever(Effect.flatMap(question, (asked) =>
        reachable
          ? asked.reply(answer(d, asked.question.cursor === b ? [c, d] : []))
          : asked.fail("cut off"))))
      yield* fork(Effect.forever(Effect.flatMap(wait, (waiting) => waiting.fail("cut off"))))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(changes, [])
      yield* TestClock.adjust("10 seconds")
      assert.isFalse(log.isCurrent())
      assert.deepStrictEqual(changes, ["lost: cut off"])
      reachable = true
      yield* log.catchUp
      assert.isTrue(log.isCurrent())
      assert.deepStrictEqual(changes, ["lost: cut off", "30 c", "40 d", "heartbeat 40"])
    }))

  it.effect("tells that it is lost when answers come, but always too late", () =>
    Effect.gen(function*() {
      const { changes, log, question } = yield* following({ maxStaleness: 1000 })
      yield* TestClock.adjust("200 millis")
      const asked = yield* question
      yield* TestClock.adjust("1500 millis")
      yield* asked.reply(answer(b, []))
      yield* TestClock.adjust("50 millis")
      yield* question
      assert.isFalse(log.isCurrent())
      assert.strictEqual(changes.length, 1)
      assert.match(changes[0]!, /^lost: .*too late/)
    }))

  it.effect("is not current after the wall clock was set back, until the log is heard from", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000_000)
      const { log, question } = yield* following()
      yield* TestClock.setTime(900_000)
      assert.isFalse(log.isCurrent())
      const caughtUp = yield* fork(log.catchUp)
      yield* (yield* question).reply(answer(b, []))
      yield* Fiber.join(caughtUp)
      assert.isTrue(log.isCurrent())
    }))

  it.effect("asks, then waits again, when waiting fails", () =>
    Effect.gen(function*() {
      const { changes, question, wait } = yield* following()
      yield* (yield* wait).fail("connection closed")
      yield* (yield* question).reply(answer(c, [c]))
      const next = yield* fork(wait)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(next)).after, c.id)
      assert.deepStrictEqual(changes, ["30 c", "heartbeat 30"])
    }))

  it.effect("ends with its scope: nothing is asked, and whoever waits fails", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { asked, log, question } = yield* Scope.provide(following(), scope)
      const waiting = yield* fork(Effect.result(log.catchUp))
      yield* question
      yield* Scope.close(scope, Exit.void)
      const result = yield* Fiber.join(waiting)
      assert.isTrue(Result.isFailure(result) && /released/.test(result.failure.message))
      const before = asked()
      assert.isTrue(Result.isFailure(yield* Effect.result(log.catchUp)))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(asked(), before)
    }))
})

const isLate = (result: Result.Result<unknown, CacheError.CacheError>) =>
  Result.isFailure(result) && result.failure.reason._tag === "LogError" &&
  /limit of 1000 ms/.test(result.failure.message)

describe("makeLinkedLog, whose log has more pages than can be read in its limit", () => {
  const limited = { limit: 1000, maxStaleness: 60_000 }
  const pages = [c, d, record(50, 40, "e"), record(60, 50, "f")]
  const end = pages.at(-1)!

  // Each answer is in time, and four are needed.
  const answerPages = Effect.fnUntraced(
    function*(started: Effect.Success<ReturnType<typeof start>>, appended?: number) {
      for (const [n, page] of pages.entries()) {
        const asked = yield* started.question
        yield* TestClock.adjust("400 millis")
        yield* asked.reply(answer(end, [page], n === 0 ? { appended } : {}))
      }
    }
  )

  it.effect("fails a catch-up in time, and reads on to the end", () =>
    Effect.gen(function*() {
      const started = yield* following(limited)
      const caughtUp = yield* fork(Effect.result(started.log.catchUp))
      const answering = yield* fork(answerPages(started))
      yield* Fiber.join(answering)
      assert.isTrue(isLate(yield* Fiber.join(caughtUp)))
      yield* Effect.yieldNow
      assert.deepStrictEqual(started.changes, ["30 c", "40 d", "50 e", "60 f", "heartbeat 60"])
      const again = yield* fork(started.log.catchUp)
      yield* (yield* started.question).reply(answer(end, []))
      yield* Fiber.join(again)
    }))

  it.effect("fails who waits for it at the limit, and not later", () =>
    Effect.gen(function*() {
      const { log, question } = yield* following(limited)
      const caughtUp = yield* fork(Effect.result(log.catchUp))
      yield* TestClock.adjust("900 millis")
      yield* (yield* question).reply(answer(end, [c]))
      yield* question
      yield* TestClock.adjust("99 millis")
      assert.isUndefined(caughtUp.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isTrue(isLate(yield* Fiber.join(caughtUp)))
    }))

  it.effect("fails an append in time whose record was taken, and tells of it when it comes to it", () =>
    Effect.gen(function*() {
      const started = yield* following(limited)
      const appending = yield* fork(Effect.result(started.log.append(["f"])))
      yield* answerPages(started, 60)
      assert.isTrue(isLate(yield* Fiber.join(appending)))
      yield* Effect.yieldNow
      assert.deepStrictEqual(started.changes, ["30 c", "40 d", "50 e", "60 f", "heartbeat 60"])
    }))

  it.effect("lets nobody wait longer who begins to follow: he relies on nothing until all was read", () =>
    Effect.gen(function*() {
      const started = yield* start(limited)
      const joining = yield* fork(started.follow)
      const answering = yield* fork(answerPages(started))
      yield* Fiber.join(answering)
      yield* Fiber.join(joining)
      yield* Effect.yieldNow
      const lost = started.changes.findIndex((change) => change.startsWith("lost: "))
      const read = started.changes.indexOf("60 f")
      assert.isTrue(lost > 0 && lost < read, started.changes.join("; "))
      assert.strictEqual(started.changes.at(-1), "heartbeat 60")
      assert.isTrue(started.log.isCurrent())
    }))
})

// The clock of the server was far ahead, and is right again: it has begun a log whose positions are lower.
describe("makeLinkedLog, whose log stands below what was told", () => {
  const below = record(7, 5, "c")

  // Answers all questions by what the log is at the time, and notes them.
  const answering = Effect.fnUntraced(function*(started: Effect.Success<ReturnType<typeof start>>) {
    const questions: Array<Question> = []
    const log = { end: below }
    yield* fork(Effect.forever(Effect.flatMap(started.question, (asked) => {
      questions.push(asked.question)
      const { append, cursor } = asked.question
      const appended = append === undefined ? undefined : log.end.position
      return asked.reply(
        answer(log.end, cursor === undefined ? [log.end] : [], { intact: cursor === undefined, appended })
      )
    })))
    return { questions, log }
  })

  it.effect("fails who appends or catches up, and tells nothing that it says", () =>
    Effect.gen(function*() {
      const started = yield* following()
      const { questions } = yield* answering(started)
      for (const asking of [started.log.append(["c"]), started.log.catchUp, started.log.append(["c"])]) {
        const error = yield* Effect.flip(Effect.asVoid(asking))
        assert.strictEqual(error.reason._tag, "LogError")
        assert.match(error.message, /clock/)
      }
      assert.deepStrictEqual(started.changes, [])
      assert.deepStrictEqual(questions[0], { cursor: b, known: 20, append: ["c"] })
    }))

  it.effect("claims to know nothing any more, so that the log does not end everything with each question", () =>
    Effect.gen(function*() {
      const started = yield* following()
      const { questions } = yield* answering(started)
      yield* TestClock.adjust("30 seconds")
      yield* Effect.flip(started.log.append(["c"]))
      assert.isAbove(questions.length, 2)
      // The first one is how it comes to know.
      for (const { cursor, known } of questions.slice(1)) {
        assert.deepStrictEqual({ cursor, known }, { cursor: undefined, known: 0 })
      }
      assert.isFalse(started.log.isCurrent())
      assert.strictEqual(started.changes.length, 1)
      assert.match(started.changes[0]!, /^lost: .*clock/)
    }))

  it.effect("goes on by itself with a gap when the log has passed it", () =>
    Effect.gen(function*() {
      const started = yield* following()
      const { log, questions } = yield* answering(started)
      yield* TestClock.adjust("10 seconds")
      started.changes.length = 0
      log.end = record(20, 7, "as far as was told")
      yield* Effect.flip(started.log.catchUp)
      assert.deepStrictEqual(started.changes, [])
      log.end = record(30, 25, "beyond")
      yield* started.log.catchUp
      assert.isTrue(started.log.isCurrent())
      assert.deepStrictEqual(started.changes, ["gap 30", "heartbeat 30"])
      assert.isDefined(questions.at(-1)!.cursor)
    }))

  it.effect("keeps a cache over it from serving what was invalidated, there or elsewhere", () =>
    Effect.gen(function*() {
      const started = yield* start()
      const joining = yield* fork(Layer.build(
        ResultCache.layer().pipe(Layer.provide([
          Store.layerMemory(),
          DependencyGraph.layer(),
          Layer.succeed(Broadcaster.Broadcaster)(Broadcaster.Broadcaster.of(started.log))
        ]))
      ))
      yield* (yield* started.question).reply(answer(b, [a, b]))
      const cache = yield* Fiber.join(joining)
      let version = 1
      const make = (name: string) =>
        Cached.make(name, { success: Schema.Number, deps: () => [name] }, () => Effect.sync(() => version))
      const here = yield* Effect.provide(make("here"), cache)
      const elsewhere = yield* Effect.provide(make("elsewhere"), cache)
      assert.deepStrictEqual([yield* here(), yield* elsewhere()], [1, 1])

      yield* answering(started)
      version = 2
      const error = yield* Effect.flip(Effect.provide(ResultCache.invalidate("here"), cache))
      assert.strictEqual(error.reason._tag, "LogError")
      assert.deepStrictEqual([yield* here(), yield* elsewhere()], [2, 1])
      // What another process has invalidated, for no longer than the bound.
      yield* TestClock.adjust("5001 millis")
      for (let n = 0; n < 3; n++) {
        assert.deepStrictEqual([yield* here(), yield* elsewhere()], [2, 2])
        yield* TestClock.adjust("1 minute")
      }
    }))
})
