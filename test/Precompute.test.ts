import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Latch,
  Layer,
  Logger,
  Queue,
  Random,
  Schedule,
  Schema,
  Scope,
  Stream
} from "effect"
import {
  Broadcaster,
  Cached,
  CacheError,
  DependencyGraph,
  invalidate,
  Precompute,
  ResultCache,
  Store
} from "effect-cached"
import { CacheTest, FaultyStore } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { makeRandom } from "./random.ts"

const shapes = Schema.Literals(["circle", "square", "star"])
const sizes = Schema.Literals([1, 2, 3, 4, 5])
const fields = { shape: shapes, size: sizes }
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

// Fifteen inputs, and a count of what was executed.
const areas = Effect.fnUntraced(function*(options?: {
  readonly name?: string
  readonly version?: string
  readonly compute?: (input: Cached.Input<typeof fields>) => Effect.Effect<number, string>
}) {
  const executed: Array<string> = []
  const compute = options?.compute ?? (({ size }) => Effect.succeed(size))
  const fn = yield* Cached.make(
    options?.name ?? "area",
    { input: fields, success: Schema.Number, version: options?.version, deps: ({ shape }) => [`shape:${shape}`] },
    (input) =>
      Effect.suspend(() => {
        executed.push(`${input.shape} ${input.size}`)
        return compute(input)
      })
  )
  return { fn, executed }
})

// A function of so many numbers.
const ofNumbers = <E>(count: number, compute: (n: number) => Effect.Effect<unknown, E>) =>
  Effect.map(
    Cached.make("f", { input: { n: Schema.Number }, success: Schema.Unknown }, ({ n }) => compute(n)),
    (fn) => ({ fn, plan: Precompute.over(fn, { values: { n: numbers(count) } }) })
  )

const collect = <E, R>(run: Stream.Stream<Precompute.Progress, E, R>) =>
  Effect.map(Stream.runCollect(run), (steps) => {
    const last = steps.at(-1)
    assert(last?._tag === "Finished")
    assert.strictEqual(steps.filter(({ _tag }) => _tag === "Finished").length, 1)
    checkCounts(steps)
    return { steps, summary: last.summary, tags: steps.map(({ _tag }) => _tag) }
  })

// Every element has counted exactly itself, and at the end everything adds up.
const checkCounts = (steps: ReadonlyArray<Precompute.Progress>) => {
  const seen = { Computed: 0, Present: 0, Failed: 0, Different: 0, Outside: 0 }
  const check = (counts: Precompute.Counts) => {
    assert.strictEqual(counts.computed, seen.Computed)
    assert.strictEqual(counts.present, seen.Present)
    assert.strictEqual(counts.failed, seen.Failed)
    assert.strictEqual(counts.different, seen.Different)
    assert.strictEqual(counts.outside, seen.Outside)
  }
  for (const step of steps) {
    if (step._tag === "Finished") {
      const { complete, counts, functions } = step.summary
      check(counts)
      for (const count of ["total", "computed", "present", "failed", "excluded", "different", "outside"] as const) {
        assert.strictEqual(functions.reduce((sum, one) => sum + one.counts[count], 0), counts[count])
      }
      if (complete) {
        assert.strictEqual(counts.computed + counts.present + counts.failed + counts.excluded, counts.total)
        assert.strictEqual(counts.remaining, 0)
      }
    } else {
      seen[step._tag]++
      check(step.counts)
    }
  }
}

const only = <T extends Precompute.Progress["_tag"]>(steps: ReadonlyArray<Precompute.Progress>, tag: T) =>
  steps.filter((step): step is Extract<Precompute.Progress, { _tag: T }> => step._tag === tag)

const reasonOf = (cause: Cause.Cause<unknown>) => (Cause.squash(cause) as CacheError.CacheError).reason._tag

// A process: a cache of its own, over the store and the log that are there.
const inProcess = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(
    effect,
    Layer.fresh(ResultCache.layer().pipe(Layer.provide(DependencyGraph.layer())))
  )
const shared = Layer.mergeAll(Store.layerMemory(), Broadcaster.layerLocal)

const isDomainError = (problem: unknown): problem is { readonly reason: CacheError.DomainError } =>
  (problem as CacheError.CacheError).reason._tag === "DomainError"

const setsOf = (store: FaultyStore.FaultyStore["Service"]) =>
  Effect.map(store.operations, (operations) => operations.filter(([operation]) => operation === "set").length)

const stateOf = (warmup: Precompute.Warmup["Service"]) =>
  Effect.all({ isReady: warmup.isReady, counts: warmup.counts, summary: warmup.await })

describe("Precompute.run", () => {
  it.effect("computes every input, and live calls execute nothing any more (scenario 67)", () =>
    Effect.gen(function*() {
      const { executed, fn } = yield* areas()
      const { steps, summary } = yield* collect(Precompute.run(fn))
      assert.strictEqual(executed.length, 15)
      assert.strictEqual(new Set(executed).size, 15)
      assert.deepStrictEqual([summary.complete, summary.stopped, summary.counts.computed], [true, undefined, 15])
      assert.deepStrictEqual(summary.functions[0]?.because, {
        missing: 15,
        changed: 0,
        invalidated: 0,
        expired: 0,
        malformed: 0,
        asked: 0,
        early: 0
      })
      assert.deepStrictEqual(
        only(steps, "Computed").map((step) => [step.function, step.input]),
        ["circle", "square", "star"].flatMap((shape) => [1, 2, 3, 4, 5].map((size) => ["area", { shape, size }]))
      )
      for (const shape of ["circle", "square", "star"] as const) {
        for (const size of [1, 2, 3, 4, 5] as const) assert.strictEqual(yield* fn({ shape, size }), size)
      }
      assert.strictEqual(executed.length, 15)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("computes nothing where a process before it has stored everything (scenario 67)", () =>
    Effect.gen(function*() {
      const first = yield* inProcess(Effect.flatMap(areas(), ({ fn }) => collect(Precompute.run(fn))))
      assert.strictEqual(first.summary.counts.computed, 15)
      yield* inProcess(Effect.gen(function*() {
        const { executed, fn } = yield* areas()
        const { summary, tags } = yield* collect(Precompute.run(fn))
        assert.deepStrictEqual(executed, [])
        assert.strictEqual(summary.counts.present, 15)
        assert.deepStrictEqual(new Set(tags), new Set(["Present", "Finished"]))
      }))
    }).pipe(Effect.provide(shared)))

  it.effect("goes on where a run was interrupted, with what was stored (scenario 68)", () =>
    Effect.gen(function*() {
      const gate = yield* Latch.make(false)
      const reached = yield* Deferred.make<void>()
      const interrupted: Array<number> = []
      let open = 3
      const { executed, fn } = yield* areas({
        compute: ({ size }) =>
          open-- > 0
            ? Effect.succeed(size)
            : Effect.andThen(Deferred.succeed(reached, undefined), Effect.as(gate.await, size)).pipe(
              Effect.onInterrupt(() => Effect.sync(() => interrupted.push(size)))
            )
      })
      const steps = yield* Queue.unbounded<Precompute.Progress>()
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(Precompute.run(fn, { concurrency: 1 }), (step) => Queue.offer(steps, step))
      )
      yield* Deferred.await(reached)
      const told = yield* Queue.takeBetween(steps, 3, 15)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(interrupted, [4])
      assert.deepStrictEqual(told.map(({ _tag }) => _tag), ["Computed", "Computed", "Computed"])
      assert.strictEqual(yield* Queue.size(steps), 0)
      yield* gate.open
      const { summary } = yield* collect(Precompute.run(fn))
      assert.deepStrictEqual([summary.counts.present, summary.counts.computed], [3, 12])
      assert.strictEqual(executed.length, 16)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("lets the rest proceed where one input fails, reports it, and tries it again next time (scenario 70)", () =>
    Effect.gen(function*() {
      let broken = true
      const { executed, fn } = yield* areas({
        compute: ({ shape, size }) =>
          broken && shape === "square" && size === 2 ? Effect.fail("no such square") : Effect.succeed(size)
      })
      const first = yield* collect(Precompute.run(fn))
      assert.deepStrictEqual([first.summary.complete, first.summary.counts.computed, first.summary.counts.failed], [
        true,
        14,
        1
      ])
      const [failed] = only(first.steps, "Failed")
      assert.deepStrictEqual([failed?.function, failed?.input], ["area", { shape: "square", size: 2 }])
      assert.deepStrictEqual(failed?.cause, Cause.fail("no such square"))

      broken = false
      executed.length = 0
      const second = yield* collect(Precompute.run(fn))
      assert.deepStrictEqual(executed, ["square 2"])
      assert.deepStrictEqual([second.summary.counts.present, second.summary.counts.computed], [14, 1])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("reports a defect and a computation that interrupts itself as failures (scenario 70)", () =>
    Effect.gen(function*() {
      const { plan } = yield* ofNumbers(
        3,
        (n) => n === 0 ? Effect.die("a bug") : n === 1 ? Effect.interrupt : Effect.succeed(n)
      )
      const { steps, summary } = yield* collect(Precompute.run(plan, { concurrency: 1 }))
      const [bug, interrupted] = only(steps, "Failed")
      assert.deepStrictEqual(bug?.cause, Cause.die("a bug"))
      assert(interrupted !== undefined && Cause.hasInterruptsOnly(interrupted.cause))
      assert.deepStrictEqual([summary.counts.failed, summary.counts.computed], [2, 1])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("ends with the first failure where it is asked to, and interrupts what else runs (scenario 70)", () =>
    Effect.gen(function*() {
      const started: Array<number> = []
      const interrupted: Array<number> = []
      const allRun = yield* Latch.make(false)
      const { plan } = yield* ofNumbers(100, (n) => {
        started.push(n)
        if (n === 0) return Effect.succeed(n)
        if (n === 4) return Effect.andThen(allRun.open, Effect.fail("broken"))
        return Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(n)))
      })
      const { summary, tags } = yield* collect(Precompute.run(plan, { concurrency: 4, failFast: true }))
      assert.deepStrictEqual(tags, ["Computed", "Failed", "Finished"])
      assert.deepStrictEqual([summary.complete, summary.stopped], [false, "failure"])
      assert.deepStrictEqual(started, [0, 1, 2, 3, 4])
      assert.deepStrictEqual(interrupted, [1, 2, 3])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("says nothing more after the first failure, even of what cannot be interrupted (scenario 70)", () =>
    Effect.gen(function*() {
      const failed = yield* Latch.make(false)
      const { plan } = yield* ofNumbers(100, (n) =>
        n === 0
          ? Effect.uninterruptible(Effect.as(failed.await, n))
          : Effect.andThen(failed.open, Effect.fail("broken")))
      const live = yield* Queue.unbounded<string>()
      const { summary, tags } = yield* collect(
        Stream.tap(Precompute.run(plan, { concurrency: 2, failFast: true }), ({ _tag }) => Queue.offer(live, _tag))
      )
      assert.deepStrictEqual(tags, ["Failed", "Finished"])
      assert.deepStrictEqual([summary.counts.computed, summary.counts.failed], [0, 1])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("tries a failing input again as the schedule says, and reports it once (scenario 70)", () =>
    Effect.gen(function*() {
      const attempts: Record<number, number> = {}
      const { plan } = yield* ofNumbers(3, (n) => {
        const attempt = attempts[n] = (attempts[n] ?? 0) + 1
        return n === 0 || (n === 1 && attempt === 3) ? Effect.succeed(n) : Effect.fail(`${n} failed`)
      })
      const fiber = yield* Effect.forkChild(
        collect(Precompute.run(plan, { retry: Schedule.max([Schedule.spaced("1 second"), Schedule.recurs(3)]) }))
      )
      yield* TestClock.adjust("10 seconds")
      const { steps, summary } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(attempts, { 0: 1, 1: 3, 2: 4 })
      assert.deepStrictEqual([summary.counts.computed, summary.counts.failed, summary.counts.elapsed], [2, 1, 3000])
      assert.deepStrictEqual(only(steps, "Failed").map(({ cause }) => cause), [Cause.fail("2 failed")])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("gives the schedule what the computation failed with", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      let attempts = 0
      const { plan } = yield* ofNumbers(1, () => Effect.fail(`attempt ${++attempts}`))
      const retry = Schedule.recurs(2).pipe(Schedule.tap(({ input }) => Effect.sync(() => void seen.push(input))))
      yield* collect(Precompute.run(plan, { retry }))
      assert.deepStrictEqual(seen, ["attempt 1", "attempt 2"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("does not try again what would start after the time budget", () =>
    Effect.gen(function*() {
      let attempts = 0
      const { plan } = yield* ofNumbers(1, () => Effect.suspend(() => Effect.fail(`attempt ${++attempts}`)))
      const fiber = yield* Effect.forkChild(
        collect(Precompute.run(plan, { retry: Schedule.spaced("10 seconds"), timeBudget: "25 seconds" }))
      )
      yield* TestClock.adjust("20 seconds")
      const { summary } = yield* Fiber.join(fiber)
      assert.strictEqual(attempts, 3)
      assert.deepStrictEqual([summary.complete, summary.counts.failed], [true, 1])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("starts nothing after its time budget, and finishes what runs", () =>
    Effect.gen(function*() {
      const started: Array<number> = []
      const { plan } = yield* ofNumbers(100, (n) => {
        started.push(n)
        return Effect.delay(Effect.succeed(n), "4 seconds")
      })
      const fiber = yield* Effect.forkChild(
        collect(Precompute.run(plan, { concurrency: 2, timeBudget: "10 seconds" }))
      )
      yield* TestClock.adjust("12 seconds")
      const { summary } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(started, [0, 1, 2, 3, 4, 5])
      assert.deepStrictEqual([summary.complete, summary.stopped, summary.counts.computed], [false, "time", 6])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is complete where the time budget ends with the last input", () =>
    Effect.gen(function*() {
      const { plan } = yield* ofNumbers(2, (n) => Effect.delay(Effect.succeed(n), "10 seconds"))
      const fiber = yield* Effect.forkChild(collect(Precompute.run(plan, { timeBudget: "10 seconds" })))
      yield* TestClock.adjust("10 seconds")
      const { summary } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([summary.complete, summary.stopped], [true, undefined])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("starts nothing with a time budget of zero", () =>
    Effect.gen(function*() {
      const { executed, fn } = yield* areas()
      const { summary, tags } = yield* collect(Precompute.run(fn, { timeBudget: 0 }))
      assert.deepStrictEqual([executed.length, tags, summary.stopped], [0, ["Finished"], "time"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("leaves an input outside the domain to live calls, which coalesce and are stored (scenario 71)", () =>
    Effect.gen(function*() {
      let executions = 0
      const gate = yield* Latch.make(true)
      const { fn, plan } = yield* ofNumbers(3, (n) => {
        executions++
        return Effect.as(gate.await, n)
      })
      yield* collect(Precompute.run(plan))
      yield* gate.close
      const callers = yield* Effect.forEach(
        numbers(10),
        () => Effect.forkChild(fn({ n: 7 }), { startImmediately: true })
      )
      yield* gate.open
      assert.deepStrictEqual(yield* Effect.forEach(callers, Fiber.join), numbers(10).map(() => 7))
      assert.strictEqual(yield* fn({ n: 7 }), 7)
      assert.strictEqual(executions, 4)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("refuses a field without a finite domain before anything runs, and names it (scenario 71)", () =>
    Effect.gen(function*() {
      const { executed, fn } = yield* areas()
      // Types cannot tell what is finite among fields whose names they do not know.
      const wide: { readonly [field: string]: typeof Schema.String | typeof sizes } = {
        city: Schema.String,
        page: sizes
      }
      const cities = yield* Cached.make("cities", { input: wide, success: Schema.Number }, () => Effect.succeed(1))
      const error = yield* Effect.flip(collect(Precompute.run([fn, cities])))
      assert(isDomainError(error))
      assert.deepStrictEqual([error.reason.function, error.reason.field], ["cities", "city"])
      assert.deepStrictEqual(executed, [])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("computes ten inputs of 20 ms in 20 ms with a concurrency of ten (scenario 72)", () =>
    Effect.gen(function*() {
      const { plan } = yield* ofNumbers(10, (n) => Effect.delay(Effect.succeed(n), "20 millis"))
      const fiber = yield* Effect.forkChild(collect(Precompute.run(plan, { concurrency: 10 })))
      yield* TestClock.adjust("20 millis")
      const { summary } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([summary.counts.computed, summary.counts.elapsed], [10, 20])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("runs at most so many computations at a time, eight by default", () =>
    Effect.gen(function*() {
      let running = 0
      let most = 0
      const { fn, plan } = yield* ofNumbers(40, (n) =>
        Effect.suspend(() => {
          most = Math.max(most, ++running)
          return Effect.ensuring(Effect.as(Effect.yieldNow, n), Effect.sync(() => running--))
        }))
      yield* collect(Precompute.run(plan))
      assert.strictEqual(most, 8)
      most = 0
      yield* fn.forgetAll
      yield* collect(Precompute.run(plan, { concurrency: 3 }))
      assert.strictEqual(most, 3)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("refuses a product over the limit before anything runs, and says how large it is (scenario 72)", () =>
    Effect.gen(function*() {
      const { executed, fn } = yield* areas()
      const error = yield* Effect.flip(collect(Precompute.run(fn, { maxSize: 14 })))
      assert(isDomainError(error))
      assert.include(error.message, "15 inputs (shape: 3, size: 5), more than the 14 of `maxSize`")
      assert.deepStrictEqual(executed, [])
      assert.strictEqual((yield* collect(Precompute.run(fn, { maxSize: 15 }))).summary.counts.computed, 15)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("reports a result that cannot be encoded, and does not compute it again (scenario 73)", () =>
    Effect.gen(function*() {
      let executions = 0
      const fn = yield* Cached.make(
        "f",
        { input: { n: sizes }, success: Schema.Int },
        ({ n }) => Effect.sync(() => (executions++, n === 3 ? 0.5 : n))
      )
      const { steps, summary } = yield* collect(Precompute.run(fn, { retry: Schedule.recurs(5) }))
      assert.deepStrictEqual(only(steps, "Failed").map(({ cause, input }) => [input, reasonOf(cause)]), [
        [{ n: 3 }, "ResultError"]
      ])
      assert.deepStrictEqual([summary.counts.computed, executions], [4, 5])
      assert.strictEqual((yield* (yield* CacheTest.CacheTest).stored).length, 4)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("reports a result that is not kept for want of a lifetime or of space", () =>
    Effect.gen(function*() {
      const short = yield* Cached.make("short", { success: Schema.Number, timeToLive: 0 }, () => Effect.succeed(1))
      const large = yield* Cached.make("large", { success: Schema.String }, () => Effect.succeed("x".repeat(2000)))
      const { steps, summary } = yield* collect(Precompute.run([short, large]))
      assert.strictEqual(summary.counts.failed, 2)
      assert.deepStrictEqual(only(steps, "Failed").map(({ cause }) => reasonOf(cause)), [
        "PrecomputeError",
        "PrecomputeError"
      ])
      assert.match(
        String(Cause.squash(only(steps, "Failed")[0]!.cause)),
        /"short" was not stored: .*time to live is zero/
      )
      assert.match(String(Cause.squash(only(steps, "Failed")[1]!.cause)), /"large" was not stored: .*larger/)
    }).pipe(Effect.provide(ResultCache.layerMemory({ maxBytes: 1000 }))))

  it.effect("says why each input was computed", () =>
    Effect.gen(function*() {
      yield* inProcess(Effect.gen(function*() {
        const { fn } = yield* areas()
        yield* fn({ shape: "star", size: 1 })
      }))
      yield* inProcess(Effect.gen(function*() {
        const { fn } = yield* areas({ version: "2" })
        yield* fn({ shape: "square", size: 1 })
        yield* invalidate("shape:square")
        const { steps, summary } = yield* collect(Precompute.run(fn))
        const because = only(steps, "Computed").filter((step) => step.because !== "missing")
        assert.deepStrictEqual(because.map((step) => [step.input, step.because]), [
          [{ shape: "square", size: 1 }, "invalidated"],
          [{ shape: "star", size: 1 }, "changed"]
        ])
        assert.deepStrictEqual(summary.functions[0]?.because, {
          missing: 13,
          changed: 1,
          invalidated: 1,
          expired: 0,
          malformed: 0,
          asked: 0,
          early: 0
        })
      }))
    }).pipe(Effect.provide(shared)))

  it.effect("computes again what has expired", () =>
    Effect.gen(function*() {
      const fn = yield* Cached.make(
        "f",
        { input: { n: sizes }, success: Schema.Number, timeToLive: "1 second" },
        ({ n }) => Effect.succeed(n)
      )
      yield* collect(Precompute.run(fn))
      yield* TestClock.adjust("1 second")
      const { summary } = yield* collect(Precompute.run(fn))
      assert.deepStrictEqual([summary.counts.computed, summary.functions[0]?.because.expired], [5, 5])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("asks once more where the result was invalidated while it was computed", () =>
    Effect.gen(function*() {
      let executions = 0
      const fn = yield* Cached.make(
        "f",
        { success: Schema.Number, deps: () => ["n"] },
        () => Effect.suspend(() => Effect.as(executions++ === 0 ? invalidate("n") : Effect.void, executions))
      )
      const { summary } = yield* collect(Precompute.run(fn))
      assert.deepStrictEqual([summary.counts.computed, summary.counts.failed, executions], [1, 0, 2])
      assert.strictEqual(yield* fn(), 2)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("reports an input that is invalidated whenever it is computed", () =>
    Effect.gen(function*() {
      let executions = 0
      const fn = yield* Cached.make(
        "f",
        { success: Schema.Number, deps: () => ["n"] },
        () => Effect.suspend(() => Effect.as(invalidate("n"), ++executions))
      )
      const { steps, summary } = yield* collect(Precompute.run(fn))
      assert.deepStrictEqual([summary.counts.failed, executions], [1, 2])
      assert.match(String(Cause.squash(only(steps, "Failed")[0]!.cause)), /"f" was not stored: .*invalidated/)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("Precompute.run, over a store outside the process", () => {
  const layer = CacheTest.layerWith({ storeTimeout: "1 minute" }).pipe(
    Layer.provideMerge(FaultyStore.layer(Store.layerMemory())),
    Layer.provide([DependencyGraph.layer(), Broadcaster.layerLocal])
  )

  it.effect("counts an input as computed only once the store has it", () =>
    Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      const { plan } = yield* ofNumbers(3, (n) => Effect.as(store.become("slow"), n))
      const seen: Array<string> = []
      const fiber = yield* Effect.forkChild(
        collect(Stream.tap(Precompute.run(plan), ({ _tag }) => Effect.sync(() => seen.push(_tag))))
      )
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(yield* setsOf(store), 1)
      assert.deepStrictEqual(seen, [])
      yield* store.release
      const { summary } = yield* Fiber.join(fiber)
      assert.strictEqual(summary.counts.computed, 3)
    }).pipe(Effect.provide(layer)))

  it.effect("reports what the store did not take, and tries it again as the schedule says", () =>
    Effect.gen(function*() {
      const store = yield* FaultyStore.FaultyStore
      let executions = 0
      const { plan } = yield* ofNumbers(1, (n) => Effect.sync(() => (executions++, n)))
      yield* store.become("failing")
      const first = yield* collect(Precompute.run(plan))
      assert.strictEqual(first.summary.counts.failed, 1)
      const fiber = yield* Effect.forkChild(collect(Precompute.run(plan, { retry: Schedule.spaced("1 second") })))
      yield* TestClock.adjust("2500 millis")
      yield* store.become("healthy")
      yield* TestClock.adjust("500 millis")
      const { summary } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([summary.counts.computed, executions], [1, 5])
    }).pipe(Effect.provide(layer)))
})

describe("Precompute.run, several at once", () => {
  it.effect("serves live requests, which share the computation of the input being warmed (scenario 75)", () =>
    Effect.gen(function*() {
      const gate = yield* Latch.make(false)
      const reached = yield* Deferred.make<void>()
      const executed: Array<number> = []
      const { fn, plan } = yield* ofNumbers(4, (n) => {
        executed.push(n)
        return n === 1
          ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.as(gate.await, n))
          : Effect.succeed(n)
      })
      const run = yield* Effect.forkChild(collect(Precompute.run(plan, { concurrency: 1 })))
      yield* Deferred.await(reached)
      // One that is warm, one that nobody has asked for, and one that is being warmed.
      assert.deepStrictEqual([yield* fn({ n: 0 }), yield* fn({ n: 3 })], [0, 3])
      const live = yield* Effect.forkChild(fn({ n: 1 }), { startImmediately: true })
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(live), 1)
      const { summary } = yield* Fiber.join(run)
      assert.deepStrictEqual([summary.counts.computed, summary.counts.present], [3, 1])
      assert.deepStrictEqual(executed, [0, 1, 3, 2])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("waits for a live request that computes an input already", () =>
    Effect.gen(function*() {
      const gate = yield* Latch.make(false)
      let executions = 0
      const { fn, plan } = yield* ofNumbers(2, (n) => {
        executions++
        return Effect.as(n === 1 ? gate.await : Effect.void, n)
      })
      const live = yield* Effect.forkChild(fn({ n: 1 }), { startImmediately: true })
      const run = yield* Effect.forkChild(collect(Precompute.run(plan)), { startImmediately: true })
      yield* gate.open
      assert.strictEqual((yield* Fiber.join(run)).summary.counts.computed, 2)
      assert.deepStrictEqual([yield* Fiber.join(live), executions], [1, 2])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("executes each input once for two runs at once", () =>
    Effect.gen(function*() {
      const { executed, fn } = yield* areas({ compute: ({ size }) => Effect.as(Effect.yieldNow, size) })
      const [one, other] = yield* Effect.all([collect(Precompute.run(fn)), collect(Precompute.run(fn))], {
        concurrency: 2
      })
      assert.strictEqual(executed.length, 15)
      for (const { counts } of [one.summary, other.summary]) assert.strictEqual(counts.computed + counts.present, 15)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("leaves a computation to the live requests that wait for it where it ends", () =>
    Effect.gen(function*() {
      const gate = yield* Latch.make(false)
      const reached = yield* Deferred.make<void>()
      const { fn, plan } = yield* ofNumbers(2, (n) =>
        Effect.andThen(Deferred.succeed(reached, undefined), Effect.as(gate.await, n)))
      const run = yield* Effect.forkChild(Stream.runDrain(Precompute.run(plan, { concurrency: 1 })))
      yield* Deferred.await(reached)
      const live = yield* Effect.forkChild(fn({ n: 0 }), { startImmediately: true })
      yield* Fiber.interrupt(run)
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(live), 0)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("computes several functions in one run, in the order in which they are given", () =>
    Effect.gen(function*() {
      const one = yield* areas({ name: "one" })
      const two = yield* areas({ name: "two", compute: () => Effect.fail("broken") })
      yield* one.fn({ shape: "star", size: 5 })
      const { steps, summary } = yield* collect(Precompute.run([one.fn, two.fn], { concurrency: 1 }))
      assert.deepStrictEqual(
        steps.flatMap((step) => step._tag === "Finished" ? [] : [step.function]),
        [...numbers(15).map(() => "one"), ...numbers(15).map(() => "two")]
      )
      assert.deepStrictEqual(
        summary.functions.map((
          { counts, name }
        ) => [name, counts.total, counts.computed, counts.present, counts.failed]),
        [["one", 15, 14, 1, 0], ["two", 15, 0, 0, 15]]
      )
      assert.strictEqual(summary.counts.total, 30)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("Precompute.run, prune", () => {
  it.effect("leaves all entries alone when the key of an input could not be made", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const fn = yield* Cached.make(
        "f",
        { input: { n: Schema.Literals([0, 1, 2, 3]) }, success: Schema.Number },
        ({ n }) => n === 0 ? Effect.as(Scope.close(scope, Exit.void), n) : Effect.succeed(n)
      ).pipe(Scope.provide(scope))
      for (const n of [1, 2, 3] as const) yield* fn({ n })
      const { summary } = yield* collect(Precompute.run(fn, { prune: "remove", concurrency: 1 }))
      assert.strictEqual(summary.counts.failed, 3)
      assert.strictEqual(summary.counts.outside, 0)
    }).pipe(Effect.provide(CacheTest.layer)))

  // Six entries, of which a domain of four still has three.
  const shrunk = Effect.gen(function*() {
    const made = yield* ofNumbers(6, Effect.succeed)
    yield* collect(Precompute.run(made.plan))
    const other = yield* Cached.make("f2", { success: Schema.Number }, () => Effect.succeed(0))
    yield* other()
    return { ...made, plan: Precompute.over(made.fn, { values: { n: [0, 1, 2, 9] } }) }
  })
  const storedKeys = Effect.gen(function*() {
    const { entries } = yield* ResultCache.ResultCache
    return (yield* Stream.runCollect(entries)).map(({ key }) => key).toSorted()
  })

  it.effect("reports entries outside the domain, and leaves them there (scenario 73)", () =>
    Effect.gen(function*() {
      const { plan } = yield* shrunk
      const { steps, summary, tags } = yield* collect(Precompute.run(plan))
      assert.deepStrictEqual(tags.slice(-4), ["Outside", "Outside", "Outside", "Finished"])
      assert.deepStrictEqual(only(steps, "Outside").map((step) => [step.function, step.key, step.removed]), [
        ["f", "f\t{\"n\":3}", false],
        ["f", "f\t{\"n\":4}", false],
        ["f", "f\t{\"n\":5}", false]
      ])
      assert.deepStrictEqual([summary.counts.present, summary.counts.computed, summary.counts.outside], [3, 1, 3])
      assert.strictEqual((yield* storedKeys).length, 8)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("removes them where it is asked to, so that nobody serves them (scenario 73)", () =>
    Effect.gen(function*() {
      const { fn, plan } = yield* shrunk
      const test = yield* CacheTest.CacheTest
      const { steps } = yield* collect(Precompute.run(plan, { prune: "remove" }))
      // Others that follow the log and hold the entries hear of it, in one record.
      assert.deepStrictEqual((yield* test.invalidated).map((tags) => tags.length), [3])
      assert.deepStrictEqual(only(steps, "Outside").map(({ removed }) => removed), [true, true, true])
      assert.deepStrictEqual(
        yield* storedKeys,
        ["f\t{\"n\":0}", "f\t{\"n\":1}", "f\t{\"n\":2}", "f\t{\"n\":9}", "f2\t{}"]
      )
      yield* test.reset
      yield* fn({ n: 3 })
      assert.deepStrictEqual(yield* test.misses, ["f {\"n\":3}"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("takes them out of the store, also more than fit into one record", () =>
    Effect.gen(function*() {
      const { entries } = yield* Store.Store
      yield* inProcess(Effect.gen(function*() {
        const { fn, plan } = yield* ofNumbers(250, Effect.succeed)
        yield* collect(Precompute.run(plan))
        assert.strictEqual((yield* Stream.runCollect(entries)).length, 250)
        const none = Precompute.over(fn, { values: { n: [] } })
        const { summary } = yield* collect(Precompute.run(none, { prune: "remove" }))
        assert.deepStrictEqual([summary.counts.total, summary.counts.outside], [0, 250])
        assert.strictEqual((yield* Stream.runCollect(entries)).length, 0)
      }))
    }).pipe(Effect.provide(shared)))

  it.effect("does not look for them with keep", () =>
    Effect.gen(function*() {
      const { plan } = yield* shrunk
      assert.strictEqual((yield* collect(Precompute.run(plan, { prune: "keep" }))).summary.counts.outside, 0)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("takes an input that the filter leaves out for one of the domain", () =>
    Effect.gen(function*() {
      const { fn } = yield* ofNumbers(0, Effect.succeed)
      yield* fn({ n: 1 })
      yield* fn({ n: 7 })
      const plan = Precompute.over(fn, { values: { n: numbers(4) }, filter: ({ n }) => n % 2 === 0 })
      const { steps, summary } = yield* collect(Precompute.run(plan))
      assert.deepStrictEqual(only(steps, "Outside").map(({ key }) => key), ["f\t{\"n\":7}"])
      assert.deepStrictEqual([summary.counts.total, summary.counts.computed, summary.counts.excluded], [4, 2, 2])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("takes the domains of several plans of one function together", () =>
    Effect.gen(function*() {
      const { fn } = yield* ofNumbers(0, Effect.succeed)
      yield* Effect.forEach([0, 1, 2], (n) => fn({ n }))
      const { steps, summary } = yield* collect(Precompute.run([
        Precompute.over(fn, { values: { n: [0] } }),
        Precompute.over(fn, { values: { n: [1, 0] } })
      ]))
      assert.deepStrictEqual(only(steps, "Outside").map(({ key }) => key), ["f\t{\"n\":2}"])
      assert.deepStrictEqual([summary.counts.total, summary.counts.present], [3, 3])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("removes nothing where not every input was handled", () =>
    Effect.gen(function*() {
      const { fn, plan } = yield* shrunk
      const late = yield* collect(Precompute.run(plan, { prune: "remove", timeBudget: 0 }))
      assert.deepStrictEqual(late.tags, ["Finished"])
      const broken = yield* Cached.make("broken", { success: Schema.Number }, () => Effect.fail("broken"))
      const failed = yield* collect(Precompute.run([plan, broken], { prune: "remove", failFast: true }))
      assert.deepStrictEqual([failed.summary.stopped, failed.summary.counts.outside], ["failure", 0])
      assert.strictEqual(yield* fn({ n: 3 }), 3)
      assert.include(yield* storedKeys, "f\t{\"n\":3}")
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("computes everything where the store cannot be listed, unless it is to be removed from", () =>
    Effect.gen(function*() {
      const unlisted = Layer.effect(Store.Store)(Effect.map(Store.Store, (store) =>
        Store.Store.of({
          ...store,
          entries: Stream.fail(
            new CacheError.CacheError({
              reason: new CacheError.StoreError({ operation: "entries", message: "no list" })
            })
          )
        })))
      const logged: Array<unknown> = []
      const log = Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
      yield* inProcess(Effect.gen(function*() {
        const { fn } = yield* areas()
        const error = yield* Effect.flip(collect(Precompute.run(fn, { prune: "remove" })))
        assert(error.message.includes("no list"))
        assert.deepStrictEqual(logged, [])
        const { summary } = yield* collect(Precompute.run(fn))
        assert.deepStrictEqual([summary.complete, summary.counts.computed], [true, 15])
        assert.strictEqual(logged.length, 1)
        assert.include(logged[0] as string, "no list")
      })).pipe(Effect.provide([unlisted, log]))
    }).pipe(Effect.provide(shared)))

  it.effect("does not look at functions with a varyBy", () =>
    Effect.gen(function*() {
      let user = "ada"
      const fn = yield* Cached.make(
        "f",
        { input: { n: sizes }, success: Schema.String, varyBy: Effect.sync(() => user) },
        ({ n }, user) => Effect.succeed(`${user} ${n}`)
      )
      yield* fn({ n: 1 })
      user = "grace"
      const { summary } = yield* collect(Precompute.run(fn, { prune: "remove" }))
      assert.deepStrictEqual([summary.counts.computed, summary.counts.outside], [5, 0])
      assert.strictEqual((yield* storedKeys).length, 6)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("Precompute.run, verify", () => {
  it.effect("computes again what is present, reports what differs, and stores nothing of it", () =>
    Effect.gen(function*() {
      let add = 0
      const { executed, fn } = yield* areas({
        compute: ({ shape, size }) => Effect.succeed(shape === "star" && size === 2 ? size + add : size)
      })
      yield* collect(Precompute.run(fn))
      add = 10
      const { steps, summary, tags } = yield* collect(Precompute.run(fn, { verify: 1, concurrency: 1 }))
      assert.deepStrictEqual([summary.counts.present, summary.counts.different, summary.counts.computed], [15, 1, 0])
      assert.strictEqual(executed.length, 30)
      const [different] = only(steps, "Different")
      assert.deepStrictEqual([different?.input, different?.stored, different?.computed], [
        { shape: "star", size: 2 },
        "2",
        "12"
      ])
      assert.strictEqual(tags[tags.indexOf("Different") - 1], "Present")
      assert.strictEqual(yield* fn({ shape: "star", size: 2 }), 2)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("counts an input as failed where computing it again fails, and leaves it stored", () =>
    Effect.gen(function*() {
      let broken = false
      const { plan, fn } = yield* ofNumbers(3, (n) => broken && n === 1 ? Effect.fail("broken") : Effect.succeed(n))
      yield* collect(Precompute.run(plan))
      broken = true
      const { steps, summary } = yield* collect(Precompute.run(plan, { verify: 1 }))
      assert.deepStrictEqual(only(steps, "Failed").map(({ cause }) => cause), [Cause.fail("broken")])
      assert.deepStrictEqual([summary.counts.present, summary.counts.failed], [2, 1])
      assert.strictEqual(yield* fn({ n: 1 }), 1)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("does not take a failure for chance where the schedule tries it again", () =>
    Effect.gen(function*() {
      let broken = false
      const { plan } = yield* ofNumbers(200, (n) => broken ? Effect.fail("broken") : Effect.succeed(n))
      yield* collect(Precompute.run(plan))
      broken = true
      const run = (retry: Schedule.Schedule<unknown> | undefined) =>
        Random.withSeed(collect(Precompute.run(plan, { verify: 0.1, concurrency: 1, retry })), "seed")
      const without = yield* run(undefined)
      const again = yield* run(Schedule.recurs(3))
      assert(without.summary.counts.failed > 0)
      assert.strictEqual(again.summary.counts.failed, without.summary.counts.failed)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("computes again with the services of the definition, and closes what it opens", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      class Factor extends Context.Service<Factor, number>()("test/Factor") {}
      const fn = yield* Cached.make(
        "f",
        { input: { n: sizes }, success: Schema.Number },
        ({ n }) =>
          Effect.gen(function*() {
            yield* Effect.acquireRelease(
              Effect.sync(() => log.push(`open ${n}`)),
              () => Effect.sync(() => log.push(`close ${n}`))
            )
            return n * (yield* Factor)
          })
      ).pipe(Effect.provideService(Factor, 2))
      const plan = Precompute.over(fn, { values: { n: [3] } })
      yield* collect(Precompute.run(plan))
      const { summary } = yield* collect(Precompute.run(plan, { verify: 1 }))
      assert.deepStrictEqual([summary.counts.present, summary.counts.different], [1, 0])
      assert.deepStrictEqual(log, ["open 3", "close 3", "open 3", "close 3"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("takes properties in another order for the same", () =>
    Effect.gen(function*() {
      let turned = false
      const fn = yield* Cached.make(
        "f",
        { success: Schema.Record(Schema.String, Schema.Number) },
        () => Effect.sync(() => turned ? { b: 2, a: 1 } : { a: 1, b: 2 })
      )
      yield* fn()
      turned = true
      const { summary } = yield* collect(Precompute.run(fn, { verify: 1 }))
      assert.deepStrictEqual([summary.counts.present, summary.counts.different], [1, 0])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("computes only a share again, chosen by Random", () =>
    Effect.gen(function*() {
      let executions = 0
      const { plan } = yield* ofNumbers(1000, (n) => Effect.sync(() => (executions++, n)))
      yield* collect(Precompute.run(plan))
      executions = 0
      yield* Random.withSeed(collect(Precompute.run(plan, { verify: 0.1 })), "seed")
      assert(executions > 50 && executions < 150)
      executions = 0
      yield* collect(Precompute.run(plan, { verify: 0 }))
      assert.strictEqual(executions, 0)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("Precompute.over", () => {
  it.effect("gives values, an order and a filter", () =>
    Effect.gen(function*() {
      const { executed, fn } = yield* areas()
      const plan = Precompute.over(fn, {
        values: { shape: ["star", "circle"] },
        order: ["size"],
        filter: ({ shape, size }) => size < 3 && !(shape === "circle" && size === 1)
      })
      const { summary } = yield* collect(Precompute.run(plan, { concurrency: 1 }))
      assert.deepStrictEqual(executed, ["star 1", "star 2", "circle 2"])
      assert.deepStrictEqual([summary.counts.total, summary.counts.excluded, summary.counts.computed], [10, 7, 3])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("says which value does not fit the schema, before anything runs", () =>
    Effect.gen(function*() {
      const fn = yield* Cached.make("f", { input: { n: Schema.Int }, success: Schema.Number }, ({ n }) =>
        Effect.succeed(n))
      const error = yield* Effect.flip(collect(Precompute.run(Precompute.over(fn, { values: { n: [1, 0.5] } }))))
      assert(isDomainError(error))
      assert.deepStrictEqual([error.reason.function, error.reason.field], ["f", "n"])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("ends the run where the filter throws, and names function and input", () =>
    Effect.gen(function*() {
      const { fn } = yield* areas()
      const plan = Precompute.over(fn, {
        filter: () => {
          throw new Error("a bug")
        }
      })
      const error = yield* Effect.flip(Stream.runDrain(Precompute.run(plan)))
      assert(isDomainError(error))
      assert.strictEqual(
        error.reason.message,
        "The domain of \"area\": its filter throws for {\"shape\":\"circle\",\"size\":1}: a bug"
      )
    }).pipe(Effect.provide(CacheTest.layer)))

  it("gives what isPlan knows", () => {
    const plan = Precompute.over(Cached.make("f", { success: Schema.Number }, () => Effect.succeed(1)), {})
    assert.isTrue(Precompute.isPlan(plan))
    for (const other of [undefined, null, {}, Effect.void, () => plan]) assert.isFalse(Precompute.isPlan(other))
  })
})

describe("Precompute.run, sources", () => {
  class Doubles extends Context.Service<
    Doubles,
    Cached.Cached<{ readonly n: typeof sizes }, typeof Schema.Number>
  >()("test/Doubles") {
    static readonly layer = Layer.effect(Doubles)(
      Cached.make("doubles", { input: { n: sizes }, success: Schema.Number }, ({ n }) => Effect.succeed(2 * n))
    )
  }

  it.effect("takes the effect that makes a function, and the key of a service that is one", () =>
    Effect.gen(function*() {
      const made = Cached.make("made", { input: { n: sizes }, success: Schema.Number }, ({ n }) => Effect.succeed(n))
      const { summary } = yield* collect(Precompute.run([made, Doubles, Precompute.over(Doubles, { order: ["n"] })]))
      assert.deepStrictEqual(summary.functions.map(({ counts, name }) => [name, counts.computed, counts.present]), [
        ["made", 5, 0],
        ["doubles", 5, 0],
        ["doubles", 0, 5]
      ])
    }).pipe(Effect.scoped, Effect.provide(Doubles.layer.pipe(Layer.provideMerge(CacheTest.layer)))))

  it.effect("fails with what getting a function fails with", () =>
    Effect.gen(function*() {
      const failing: Effect.Effect<Cached.Cached<typeof fields, typeof Schema.Number>, string> = Effect.fail(
        "no function"
      )
      assert.strictEqual(yield* Effect.flip(collect(Precompute.run(failing))), "no function")
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("has nothing to do without functions, and one input where there are no fields", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* collect(Precompute.run([]))).summary.complete, true)
      const one = yield* Cached.make("one", { success: Schema.Number }, () => Effect.succeed(1))
      const { steps } = yield* collect(Precompute.run(one))
      assert.deepStrictEqual(only(steps, "Computed").map(({ input }) => input), [{}])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("refuses a function whose scope has closed, before anything runs", () =>
    Effect.gen(function*() {
      const { executed, fn } = yield* Effect.scoped(areas())
      const error = yield* Effect.flip(collect(Precompute.run(fn)))
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.deepStrictEqual(executed, [])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("stores nothing under a name that is released while it runs", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { executed, fn } = yield* areas({
        compute: ({ size }) => size === 3 ? Effect.as(Scope.close(scope, Exit.void), size) : Effect.succeed(size)
      }).pipe(Scope.provide(scope))
      const { steps, summary } = yield* collect(Precompute.run(fn, { concurrency: 1 }))
      assert.deepStrictEqual([executed.length, summary.counts.failed], [3, 12])
      assert.strictEqual(reasonOf(only(steps, "Failed")[0]!.cause), "DefinitionError")
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("does not try again what is released", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { fn } = yield* areas({
        compute: ({ size }) => size === 3 ? Effect.as(Scope.close(scope, Exit.void), size) : Effect.succeed(size)
      }).pipe(Scope.provide(scope))
      const retry = Schedule.upTo(Schedule.spaced("1 second"), { times: 10 })
      const fiber = yield* Effect.forkChild(collect(Precompute.run(fn, { concurrency: 1, retry })))
      yield* TestClock.adjust("1 hour")
      const { summary } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([summary.counts.computed, summary.counts.failed], [3, 12])
      assert.strictEqual(summary.counts.elapsed, 0)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("makes a function that is given as itself and in plans once", () =>
    Effect.gen(function*() {
      const made = Cached.make("made", { input: { n: sizes }, success: Schema.Number }, ({ n }) => Effect.succeed(n))
      const { summary } = yield* collect(
        Precompute.run([
          made,
          Precompute.over(made, { values: { n: [1, 2] } }),
          Precompute.over(made, { values: { n: [2, 3] } })
        ])
      )
      assert.deepStrictEqual(summary.functions.map(({ counts }) => [counts.computed, counts.present]), [
        [5, 0],
        [0, 2],
        [0, 2]
      ])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("refuses two functions of one name", () =>
    Effect.gen(function*() {
      const one = Cached.make("made", { success: Schema.Number }, () => Effect.succeed(1))
      const other = Cached.make("made", { success: Schema.Number }, () => Effect.succeed(2))
      const error = yield* Effect.flip(collect(Precompute.run([one, other])))
      assert.include(error.message, "another cached function has this name")
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("evaluates varyBy for each input with the services of the run, and reports where it fails", () =>
    Effect.gen(function*() {
      class User extends Context.Service<User, string>()("test/User") {}
      let asked = 0
      const fn = yield* Cached.make("f", {
        input: { n: sizes },
        success: Schema.String,
        varyBy: Effect.flatMap(User, (user) => ++asked === 2 ? Effect.fail("nobody") : Effect.succeed(user))
      }, ({ n }, user) => Effect.succeed(`${user} ${n}`))
      const { steps, summary } = yield* collect(Precompute.run(fn, { concurrency: 1 })).pipe(
        Effect.provideService(User, "ada")
      )
      assert.deepStrictEqual([summary.counts.computed, summary.counts.failed], [4, 1])
      assert.deepStrictEqual(only(steps, "Failed").map(({ cause }) => cause), [Cause.fail("nobody")])
      assert.strictEqual(yield* Effect.provideService(fn({ n: 5 }), User, "ada"), "ada 5")
      assert.strictEqual((yield* (yield* CacheTest.CacheTest).misses).length, 4)
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("Precompute.run, options", () => {
  it.effect.each<[Precompute.Options, string]>([
    [{ concurrency: 0 }, "Precompute.concurrency"],
    [{ concurrency: 1.5 }, "Precompute.concurrency"],
    [{ concurrency: Infinity }, "Precompute.concurrency"],
    [{ maxSize: 0 }, "Precompute.maxSize"],
    [{ maxSize: NaN }, "Precompute.maxSize"],
    [{ timeBudget: -1 }, "Precompute.timeBudget"],
    [{ verify: -0.1 }, "Precompute.verify"],
    [{ verify: 1.1 }, "Precompute.verify"],
    [{ verify: NaN }, "Precompute.verify"],
    [{ prune: "removed" as "remove" }, "Precompute.prune"]
  ])("are checked before anything runs: %j", ([options, where]) =>
    Effect.gen(function*() {
      const { executed, fn } = yield* areas()
      const { reason } = yield* Effect.flip(collect(Precompute.run(fn, options)))
      assert(reason._tag === "DefinitionError")
      assert.strictEqual(reason.where, where)
      assert.deepStrictEqual(executed, [])
    }).pipe(Effect.provide(CacheTest.layer)))
})

describe("Precompute.run, as a stream", () => {
  it.effect("starts nothing further while nobody reads", () =>
    Effect.gen(function*() {
      let executions = 0
      const { plan } = yield* ofNumbers(800, (n) => Effect.sync(() => (executions++, n)))
      const gate = yield* Latch.make(false)
      const reached = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        collect(
          Precompute.run(plan).pipe(
            Stream.mapArrayEffect((steps) =>
              Effect.as(Effect.andThen(Deferred.succeed(reached, undefined), gate.await), steps)
            )
          )
        )
      )
      yield* Deferred.await(reached)
      yield* TestClock.adjust("1 hour")
      // What is being read, what waits, and one for each worker.
      assert(executions <= 2 * (256 + 8), `${executions} were executed`)
      yield* gate.open
      assert.strictEqual((yield* Fiber.join(fiber)).summary.counts.computed, 800)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("takes inputs from the domain as it goes, however many there are", () =>
    Effect.gen(function*() {
      const digits = Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      let executions = 0
      const fn = yield* Cached.make("f", {
        input: { a: digits, b: digits, c: digits, d: digits, e: digits, f: digits, g: digits, h: digits, i: digits },
        success: Schema.Number
      }, ({ i }) => Effect.sync(() => (executions++, i)))
      const steps = yield* Stream.runCollect(Stream.take(Precompute.run(fn, { maxSize: 10 ** 9 }), 10))
      assert.strictEqual(steps.length, 10)
      assert.deepStrictEqual(steps[0]?._tag === "Computed" && steps[0].counts.total, 10 ** 9)
      assert(executions <= 2 * (256 + 8), `${executions} were executed`)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("interrupts what is being computed where its reader has enough", () =>
    Effect.gen(function*() {
      const interrupted: Array<number> = []
      const { plan } = yield* ofNumbers(10, (n) =>
        n === 0
          ? Effect.succeed(n)
          : Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(n))))
      yield* Stream.runDrain(Stream.take(Precompute.run(plan, { concurrency: 3 }), 1))
      assert.deepStrictEqual(interrupted, [1, 2, 3])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("can be run again, with counts of its own", () =>
    Effect.gen(function*() {
      const { fn } = yield* areas()
      const run = Precompute.run(fn)
      assert.strictEqual((yield* collect(run)).summary.counts.computed, 15)
      assert.strictEqual((yield* collect(run)).summary.counts.present, 15)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("tells how fast it is of late, and how long it will take", () =>
    Effect.gen(function*() {
      const { fn, plan } = yield* ofNumbers(
        200,
        (n) => n < 100 ? Effect.succeed(n) : Effect.delay(Effect.succeed(n), "1 second")
      )
      yield* collect(Precompute.run(Precompute.over(fn, { values: { n: numbers(100) } })))
      const steps = yield* Queue.unbounded<Precompute.Progress>()
      yield* Effect.forkChild(
        Stream.runForEach(Precompute.run(plan, { concurrency: 1 }), (step) => Queue.offer(steps, step))
      )
      const before = (yield* Queue.takeN(steps, 100)).at(-1)
      assert(before?._tag === "Present")
      assert.deepStrictEqual([before.counts.elapsed, before.counts.rate, before.counts.remaining], [0, 0, undefined])
      yield* TestClock.adjust("20 seconds")
      const step = (yield* Queue.takeN(steps, 20)).at(-1)
      assert(step?._tag === "Computed")
      assert.deepStrictEqual([step.counts.elapsed, step.counts.rate, step.counts.remaining], [20_000, 1, 80_000])
      yield* TestClock.adjust("80 seconds")
      const end = (yield* Queue.takeN(steps, 81)).at(-1)
      assert(end?._tag === "Finished")
      assert.deepStrictEqual([end.summary.counts.elapsed, end.summary.counts.rate, end.summary.counts.remaining], [
        100_000,
        2,
        0
      ])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect.each(numbers(40))(
    "adds up, whatever is present, fails, is excluded or stops it: seed %i",
    (seed) =>
      Effect.gen(function*() {
        const { below, pause } = makeRandom(seed)
        const kinds = numbers(below(30)).map(() => below(6))
        const inputsOf = (kind: number) => numbers(kinds.length).filter((n) => kinds[n] === kind)
        const executed: Array<number> = []
        const { fn } = yield* ofNumbers(0, (n) => {
          executed.push(n)
          const result = kinds[n] === 0 ? Effect.fail("broken") : Effect.succeed(n)
          return kinds[n] === 1 ? Effect.delay(result, 2) : Effect.andThen(pause, result)
        })
        yield* Effect.forEach(inputsOf(5), (n) => fn({ n }))
        executed.length = 0
        const plan = Precompute.over(fn, { values: { n: numbers(kinds.length) }, filter: ({ n }) => kinds[n] !== 4 })
        const options = {
          concurrency: 1 + below(10),
          failFast: below(3) === 0,
          timeBudget: below(2) === 0 ? below(10) : undefined
        }
        const fiber = yield* Effect.forkChild(collect(Precompute.run(plan, options)))
        for (let turn = 0; turn < 1000 && fiber.pollUnsafe() === undefined; turn++) yield* TestClock.adjust(1)
        const { steps, summary } = yield* Fiber.join(fiber)
        const inputs = steps.flatMap((step) => "input" in step ? [(step.input as { readonly n: number }).n] : [])
        assert.strictEqual(new Set(inputs).size, inputs.length)
        assert.strictEqual(new Set(executed).size, executed.length)
        assert.strictEqual(summary.complete, summary.stopped === undefined)
        if (options.failFast) assert(summary.counts.failed <= 1)
        if (!summary.complete) return
        assert.deepStrictEqual(inputs.toSorted((a, b) => a - b), numbers(kinds.length).filter((n) => kinds[n] !== 4))
        assert.deepStrictEqual(
          [summary.counts.failed, summary.counts.excluded, summary.counts.present],
          [inputsOf(0).length, inputsOf(4).length, inputsOf(5).length]
        )
      }).pipe(Effect.provide(CacheTest.layer))
  )
})

describe("Precompute.layer", () => {
  it.effect("lets nobody wait for ever when its scope closes at once", () =>
    Effect.gen(function*() {
      const { fn } = yield* areas({ compute: () => Effect.never })
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Precompute.layer(fn, { mode: "background" }), scope)
      yield* Scope.close(scope, Exit.void)
      const exit = yield* Effect.exit(Context.get(context, Precompute.Warmup).await)
      assert.isTrue(Exit.hasInterrupts(exit))
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is built when everything is computed", () =>
    Effect.gen(function*() {
      const { executed, fn } = yield* areas({ compute: ({ size }) => Effect.delay(Effect.succeed(size), "1 second") })
      const building = yield* Effect.forkChild(
        Effect.provide(Effect.flatMap(Precompute.Warmup, stateOf), Precompute.layer(fn, { concurrency: 15 }))
      )
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual([executed.length, building.pollUnsafe()], [15, undefined])
      yield* TestClock.adjust("1 millis")
      const state = yield* Fiber.join(building)
      assert.deepStrictEqual([state.isReady, state.counts.computed, state.summary.counts.computed], [true, 15, 15])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is built although inputs have failed", () =>
    Effect.gen(function*() {
      const { fn } = yield* areas({ compute: ({ size }) => size === 2 ? Effect.fail("broken") : Effect.succeed(size) })
      const state = yield* Effect.provide(Effect.flatMap(Precompute.Warmup, stateOf), Precompute.layer(fn))
      assert.deepStrictEqual([state.isReady, state.counts.failed, state.summary.complete], [true, 3, true])
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("fails with the first failure where it is asked to", () =>
    Effect.gen(function*() {
      const { fn } = yield* areas({ compute: ({ size }) => size === 2 ? Effect.fail("broken") : Effect.succeed(size) })
      const building = Layer.build(Precompute.layer(fn, { failFast: true, concurrency: 1 }))
      const { message, reason } = yield* Effect.flip(Effect.scoped(building))
      assert(reason._tag === "PrecomputeError")
      assert.deepStrictEqual([reason.function, reason.cause], ["area", "broken"])
      assert.include(message, "broken")
      assert.include(message, "circle")
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("computes in the background, where live requests share the computation that runs (scenario 75)", () =>
    Effect.gen(function*() {
      const gate = yield* Latch.make(false)
      const reached = yield* Deferred.make<void>()
      const { executed, fn } = yield* areas({
        compute: ({ shape, size }) =>
          shape === "circle" && size === 2
            ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.as(gate.await, size))
            : Effect.succeed(size)
      })
      const program = Effect.gen(function*() {
        const warmup = yield* Precompute.Warmup
        assert.deepStrictEqual([yield* warmup.isReady, (yield* warmup.counts).total], [false, 15])
        yield* Deferred.await(reached)
        const live = yield* Effect.forkChild(fn({ shape: "circle", size: 2 }), { startImmediately: true })
        assert.strictEqual(yield* fn({ shape: "star", size: 5 }), 5)
        yield* TestClock.adjust(0)
        assert.deepStrictEqual([yield* warmup.isReady, (yield* warmup.counts).computed], [false, 1])
        yield* gate.open
        assert.strictEqual(yield* Fiber.join(live), 2)
        const summary = yield* warmup.await
        assert.deepStrictEqual([summary.counts.computed, summary.counts.present], [14, 1])
        assert.deepStrictEqual([yield* warmup.isReady, executed.length], [true, 15])
      })
      yield* Effect.provide(program, Precompute.layer(fn, { mode: "background", concurrency: 1 }))
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("tells of inputs that the filter leaves out while no other is handled", () =>
    Effect.gen(function*() {
      const reached = yield* Deferred.make<void>()
      const { fn } = yield* areas({
        compute: () => Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
      })
      const plan = Precompute.over(fn, { filter: ({ shape }) => shape === "star" })
      const program = Effect.gen(function*() {
        const warmup = yield* Precompute.Warmup
        yield* Deferred.await(reached)
        assert.strictEqual((yield* warmup.counts).excluded, 10)
      })
      yield* Effect.provide(program, Precompute.layer(plan, { mode: "background" }))
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("ends in the background with the scope of the layer", () =>
    Effect.gen(function*() {
      const interrupted = yield* Deferred.make<void>()
      const reached = yield* Deferred.make<void>()
      const { fn } = yield* areas({
        compute: () =>
          Effect.andThen(Deferred.succeed(reached, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
      })
      yield* Effect.provide(Deferred.await(reached), Precompute.layer(fn, { mode: "background" }))
      assert.isTrue(yield* Deferred.isDone(interrupted))
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("is never ready in the background where the first failure ended the run", () =>
    Effect.gen(function*() {
      const { fn } = yield* areas({ compute: () => Effect.fail("broken") })
      const program = Effect.gen(function*() {
        const warmup = yield* Precompute.Warmup
        const { reason } = yield* Effect.flip(warmup.await)
        assert.deepStrictEqual([reason._tag, yield* warmup.isReady], ["PrecomputeError", false])
      })
      yield* Effect.provide(program, Precompute.layer(fn, { mode: "background", failFast: true }))
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("fails before it is built, also in the background, where a domain is too large", () =>
    Effect.gen(function*() {
      const { fn } = yield* areas()
      const building = Layer.build(Precompute.layer(fn, { mode: "background", maxSize: 3 }))
      assert(isDomainError(yield* Effect.flip(Effect.scoped(building))))
    }).pipe(Effect.provide(CacheTest.layer)))
})
