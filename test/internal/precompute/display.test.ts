import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Deferred,
  Effect,
  Fiber,
  Layer,
  Logger,
  PlatformError,
  Queue,
  Sink,
  Stdio,
  Stream,
  Terminal
} from "effect"
import { TestClock } from "effect/testing"
import { display } from "../../../src/internal/precompute/display.ts"
import {
  Computed,
  type Counts,
  Different,
  Failed,
  Finished,
  Outside,
  type Progress,
  type Summary,
  Watch
} from "../../../src/internal/precompute/progress.ts"

const countsOf = (computed: number, more?: Partial<Counts>): Counts => ({
  total: 10,
  computed,
  present: 0,
  failed: 0,
  excluded: 0,
  different: 0,
  outside: 0,
  elapsed: computed * 100,
  rate: 10,
  remaining: (10 - computed) * 100,
  ...more
})

const computed = (n: number) =>
  Computed({ function: "standings", input: { n }, because: "missing", counts: countsOf(n) })

const summaryOf = (counts: Counts, more?: Partial<Summary>): Summary => ({
  complete: true,
  stopped: undefined,
  counts,
  functions: [{
    name: "standings",
    counts,
    because: { missing: counts.computed, changed: 0, invalidated: 0, expired: 0, malformed: 0, asked: 0, early: 0 }
  }],
  ...more
})

const finished = Finished({ summary: summaryOf(countsOf(10)) })

/** A terminal, and a log that is printed on it: what both wrote, in order, and what can be seen in the end. */
const makeWorld = (options: { readonly terminal: boolean; readonly columns?: number }) => {
  const written: Array<string> = []
  const logged: Array<string> = []
  const all: Array<string> = []
  const size = { columns: options.columns ?? 60 }
  const stdio = Stdio.layerTest({
    stderrIsTerminal: Effect.succeed(options.terminal),
    stderr: () =>
      Sink.forEach((text) =>
        Effect.sync(() => {
          written.push(String(text))
          all.push(String(text))
        })
      )
  })
  const terminal = Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.sync(() => size.columns),
      rows: Effect.succeed(24),
      size: Effect.die("unused"),
      readInput: Effect.die("unused"),
      readLine: Effect.die("unused"),
      display: () => Effect.die("unused")
    })
  )
  const log = Logger.layer([
    Logger.make(({ logLevel, message }) => {
      const text = `${logLevel}: ${String(message)}`
      logged.push(text)
      all.push(`${text}\n`)
    })
  ])
  return { written, logged, size, layer: Layer.mergeAll(stdio, terminal, log), screen: () => screenOf(all) }
}

/** The lines that a terminal shows after these bytes. */
const screenOf = (written: ReadonlyArray<string>): ReadonlyArray<string> => {
  const lines: Array<string> = [""]
  let row = 0
  let column = 0
  // oxlint-disable-next-line no-control-regex -- control sequences are what it looks for
  for (const part of written.join("").match(/\u001b\[[JA]|[\s\S]/gu) ?? []) {
    if (part === "\u001b[J") {
      lines.splice(row + 1)
      lines[row] = lines[row]!.slice(0, column)
    } else if (part === "\u001b[A") {
      row = Math.max(row - 1, 0)
    } else if (part === "\r") {
      column = 0
    } else if (part === "\n") {
      row++
      column = 0
      if (row === lines.length) lines.push("")
    } else {
      const line = lines[row]!.padEnd(column)
      lines[row] = line.slice(0, column) + part + line.slice(column + 1)
      column++
    }
  }
  return lines
}

/** Shows what is offered, as it is offered. */
const start = Effect.fnUntraced(function*(layer: Layer.Layer<Stdio.Stdio | Terminal.Terminal>, limit?: number) {
  const steps = yield* Queue.unbounded<Progress, Cause.Done>()
  const fiber = yield* Effect.forkChild(
    Effect.provide(display(Stream.fromQueue(steps), limit), layer),
    { startImmediately: true }
  )
  const step = (...progress: ReadonlyArray<Progress>) =>
    Effect.andThen(Queue.offerAll(steps, progress), TestClock.adjust(0))
  const end = (...progress: ReadonlyArray<Progress>) =>
    Effect.gen(function*() {
      yield* Queue.offerAll(steps, progress)
      yield* Queue.end(steps)
      return yield* Fiber.join(fiber)
    })
  return { step, end, fiber, steps }
})

describe("display, on a terminal", () => {
  it.effect("shows percentage, number, time left and rate on one line", () =>
    Effect.gen(function*() {
      const { layer, screen } = makeWorld({ terminal: true })
      const { step } = yield* start(layer)
      yield* step(computed(4))
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(screen(), ["", " 40% ████████████░░░░░░░░░░░░░░░░░░░ 4/10 · 1 s left · 10/s"])
    }))

  it.effect("says that it is there before anything is known", () =>
    Effect.gen(function*() {
      const { layer, screen } = makeWorld({ terminal: true })
      yield* start(layer)
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(screen(), ["", "precomputing…"])
    }))

  it.effect("shows the number of failures", () =>
    Effect.gen(function*() {
      const { layer, screen } = makeWorld({ terminal: true })
      const { step } = yield* start(layer)
      const counts = countsOf(4, { failed: 2 })
      yield* step(Failed({ function: "standings", input: {}, cause: Cause.fail("no such country"), counts }))
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(screen(), [
        "Warn: standings() failed: no such country",
        "",
        " 60% ████████████░░░░░░░░ 6/10 · 2 failed · 1 s left · 10/s"
      ])
    }))

  it.effect("redraws at most ten times a second, however many steps there are", () =>
    Effect.gen(function*() {
      const { layer, written } = makeWorld({ terminal: true })
      const { end, step } = yield* start(layer)
      for (let n = 0; n < 1000; n++) {
        yield* step(computed(n % 10))
        yield* TestClock.adjust("1 millis")
      }
      assert.isAtMost(written.length, 11)
      assert.isAtLeast(written.length, 10)
      yield* end(finished)
    }))

  it.effect("leaves nothing of the line behind", () =>
    Effect.gen(function*() {
      const { layer, screen } = makeWorld({ terminal: true })
      const { end, step } = yield* start(layer)
      yield* step(computed(4))
      yield* TestClock.adjust("1 second")
      yield* end(computed(10), finished)
      assert.deepStrictEqual(screen(), ["Info: standings: 10 computed", "Info: Precomputed 10 inputs in 1 s", ""])
    }))

  it.effect("is not garbled by what others log meanwhile", () =>
    Effect.gen(function*() {
      const { layer, screen } = makeWorld({ terminal: true })
      const { end, step } = yield* start(layer)
      yield* step(computed(4))
      yield* TestClock.adjust("100 millis")
      yield* Effect.provide(Effect.logInfo("hello"), layer)
      yield* TestClock.adjust("100 millis")
      const line = " 40% ████████████░░░░░░░░░░░░░░░░░░░ 4/10 · 1 s left · 10/s"
      assert.deepStrictEqual(screen(), ["Info: hello", "", line])
      yield* Effect.provide(Effect.logInfo("hello again"), layer)
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(screen(), ["Info: hello", "Info: hello again", "", line])
      yield* end(finished)
      assert.deepStrictEqual(screen().slice(0, 3), ["Info: hello", "Info: hello again", "Info: standings: 10 computed"])
    }))

  it.effect("is not garbled by several failures at once", () =>
    Effect.gen(function*() {
      const { layer, screen } = makeWorld({ terminal: true })
      const { end, step } = yield* start(layer)
      yield* step(computed(4))
      yield* TestClock.adjust("100 millis")
      const failure = Failed({ function: "f", input: {}, cause: Cause.fail("no"), counts: countsOf(4, { failed: 1 }) })
      yield* step(failure, failure, failure)
      assert.deepStrictEqual(screen(), ["Warn: f() failed: no", "Warn: f() failed: no", "Warn: f() failed: no", ""])
      yield* end(finished)
    }))

  it.effect("fits into the terminal, also when that is made narrower", () =>
    Effect.gen(function*() {
      const { layer, screen, size } = makeWorld({ terminal: true, columns: 100 })
      const { step } = yield* start(layer)
      yield* step(computed(4))
      for (const columns of [100, 60, 40, 30, 20, 10, 5, 1]) {
        size.columns = columns
        yield* TestClock.adjust("100 millis")
        assert.isBelow(screen()[1]!.length, columns)
      }
      size.columns = 0
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(screen()[1], ` 40% ${"█".repeat(16)}${"░".repeat(24)} 4/10 · 1 s left · 10/s`)
    }))

  it.effect("clears its line and says where it was when it is interrupted", () =>
    Effect.gen(function*() {
      const { layer, screen } = makeWorld({ terminal: true })
      const { fiber, step } = yield* start(layer)
      yield* step(computed(4))
      yield* TestClock.adjust("100 millis")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(screen(), [
        "Warn: Precomputing was interrupted after at least 4 of 10 inputs: the next run goes on from there",
        ""
      ])
    }))

  it.effect("clears its line when the run fails, and fails with its error", () =>
    Effect.gen(function*() {
      const { layer, screen } = makeWorld({ terminal: true })
      const failed = yield* Deferred.make<never, string>()
      const progress = Stream.concat(Stream.make(computed(4)), Stream.fromEffect(Deferred.await(failed)))
      const fiber = yield* Effect.forkChild(Effect.provide(display(progress), layer), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      assert.include(screen()[1], "40%")
      yield* Deferred.fail(failed, "no store")
      assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), "no store")
      assert.deepStrictEqual(screen(), [""])
    }))

  it.effect("goes on where stderr cannot be written", () =>
    Effect.gen(function*() {
      const gone = PlatformError.systemError({ _tag: "Unknown", module: "Stdio", method: "stderr" })
      const stdio = Stdio.layerTest({ stderrIsTerminal: Effect.succeed(true), stderr: () => Sink.fail(gone) })
      const summary = yield* display(Stream.make(computed(10), finished)).pipe(
        Effect.provide(Layer.merge(stdio, Logger.layer([])))
      )
      assert.strictEqual(summary.counts.computed, 10)
    }))
})

describe("display, in the log", () => {
  it.effect("writes nothing to stderr that is not a terminal", () =>
    Effect.gen(function*() {
      const { layer, written } = makeWorld({ terminal: false })
      const { end, step } = yield* start(layer)
      yield* step(computed(4))
      yield* TestClock.adjust("1 minute")
      yield* end(finished)
      assert.deepStrictEqual(written, [])
    }))

  it.effect("logs every ten seconds how far it is, if anything has changed", () =>
    Effect.gen(function*() {
      const { layer, logged } = makeWorld({ terminal: false })
      const { end, step } = yield* start(layer)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(logged, [])
      yield* step(computed(3), computed(4))
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(logged, [])
      yield* TestClock.adjust("1 millis")
      const line = "Info: Precomputing: 4 of 10 inputs (40%), 10 per second, 1 s left"
      assert.deepStrictEqual(logged, [line])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(logged, [line])
      yield* end(computed(10), finished)
      assert.deepStrictEqual(logged, [line, "Info: standings: 10 computed", "Info: Precomputed 10 inputs in 1 s"])
    }))

  it.effect("needs no Stdio", () =>
    Effect.gen(function*() {
      const logged: Array<unknown> = []
      const log = Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
      const summary = yield* Effect.provide(display(Stream.make(computed(10), finished)), log)
      assert.isTrue(summary.complete)
      assert.deepStrictEqual(logged, ["standings: 10 computed", "Precomputed 10 inputs in 1 s"])
    }))

  it.effect("logs each failure with function, input and cause, and beyond the limit only their number (scenario 70)", () =>
    Effect.gen(function*() {
      const { layer, logged } = makeWorld({ terminal: false })
      const { end } = yield* start(layer, 2)
      const fail = (failed: number) =>
        Failed({
          function: "standings",
          input: { continent: "AF", limit: failed },
          cause: Cause.fail(new Error("no such continent")),
          counts: countsOf(0, { failed })
        })
      const counts = countsOf(6, { failed: 4 })
      yield* end(fail(1), fail(2), fail(3), fail(4), Finished({ summary: summaryOf(counts) }))
      assert.deepStrictEqual(logged, [
        "Warn: standings({\"continent\":\"AF\",\"limit\":1}) failed: no such continent",
        "Warn: standings({\"continent\":\"AF\",\"limit\":2}) failed: no such continent",
        "Warn: and 2 more failed",
        "Warn: standings: 6 computed, 4 failed",
        "Warn: 10 inputs in 600 ms, 4 failed: the next run tries them again"
      ])
    }))

  it.effect("logs what differs, and what is outside the domain, with a limit for each (scenario 73)", () =>
    Effect.gen(function*() {
      const { layer, logged } = makeWorld({ terminal: false })
      const { end } = yield* start(layer, 1)
      const counts = countsOf(0, { present: 10, different: 2, outside: 2 })
      const different = Different({
        function: "standings",
        input: { continent: "AF" },
        stored: "[1]",
        computed: "[2]",
        counts
      })
      const outside = Outside({ function: "standings", key: "standings\t{}", removed: true, counts })
      yield* end(different, different, outside, outside, Finished({ summary: summaryOf(counts) }))
      assert.deepStrictEqual(logged, [
        "Warn: standings({\"continent\":\"AF\"}) is now [2]; stored is [1]",
        "Info: standings() was outside the domain: removed",
        "Warn: and 1 more is different now",
        "Info: and 1 more is outside the domain",
        "Info: standings: 10 present, 2 of them different now, 2 outside the domain",
        "Info: 10 inputs in 0 ms, nothing to compute"
      ])
    }))

  it.effect("says once what can be done about entries outside the domain, and lists at most 20", () =>
    Effect.gen(function*() {
      const { layer, logged } = makeWorld({ terminal: false })
      const { end } = yield* start(layer, Infinity)
      const counts = countsOf(10, { outside: 22 })
      const outside = Outside({
        function: "standings",
        key: "standings\t{\"continent\":\"AN\"}",
        removed: false,
        counts
      })
      yield* end(...Array.from({ length: 22 }, () => outside), Finished({ summary: summaryOf(counts) }))
      const text = "Info: standings({\"continent\":\"AN\"}) is stored and outside the domain"
      assert.deepStrictEqual(logged.slice(0, 20), Array.from({ length: 20 }, () => text))
      assert.deepStrictEqual(logged.slice(20), [
        "Info: and 2 more are outside the domain",
        "Info: What is outside the domain stays stored: prune \"remove\" (--prune remove) takes it out",
        "Info: standings: 10 computed, 22 outside the domain",
        "Info: Precomputed 10 inputs in 1 s"
      ])
    }))

  it.effect("lists every failure where there is no limit (scenario 70)", () =>
    Effect.gen(function*() {
      const { layer, logged } = makeWorld({ terminal: false })
      const { end } = yield* start(layer, Infinity)
      const counts = countsOf(0, { failed: 30 })
      const failure = Failed({ function: "f", input: {}, cause: Cause.fail("no"), counts })
      yield* end(...Array.from({ length: 30 }, () => failure), Finished({ summary: summaryOf(counts) }))
      assert.strictEqual(logged.filter((text) => text === "Warn: f() failed: no").length, 30)
    }))

  it.effect("moves while no input is told, and does not go back", () =>
    Effect.gen(function*() {
      const { layer, logged } = makeWorld({ terminal: false })
      const waiting = yield* Deferred.make<void>()
      const seen: Array<number> = []
      const progress = Stream.unwrap(Effect.gen(function*() {
        const tell = yield* Watch
        tell(countsOf(0, { excluded: 5 }))
        return Stream.concat(Stream.make(computed(1)), Stream.fromEffect(Effect.as(Deferred.await(waiting), finished)))
      }))
      const fiber = yield* Effect.forkChild(
        display(progress).pipe(
          Effect.provideService(Watch, ({ excluded }) => void seen.push(excluded)),
          Effect.provide(layer)
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(logged, ["Info: Precomputing: 5 of 10 inputs (50%), 10 per second, 1 s left"])
      yield* Deferred.succeed(waiting, undefined)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, [5, 5, 0])
    }))
})
