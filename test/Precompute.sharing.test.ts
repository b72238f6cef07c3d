import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schedule, Schema, Stream } from "effect"
import { Broadcaster, Cached, DependencyGraph, Lease, Precompute, ResultCache, Store } from "effect-cached"
import { FaultyStore } from "effect-cached/testing"
import { TestClock } from "effect/testing"

// Leases of several caches in this process. What the test holds, ends when the test says so.
const makeLeases = () => {
  const held = new Map<string, Deferred.Deferred<Lease.Ending>>()
  const waiting = Deferred.makeUnsafe<string>()
  const take = (key: string) =>
    Effect.suspend(() => {
      const other = held.get(key)
      if (other !== undefined) {
        const ended = Effect.andThen(Deferred.succeed(waiting, key), Deferred.await(other))
        return Effect.succeed<Lease.Taking>({ _tag: "Taken", ended })
      }
      let ending: Lease.Ending = "nothing"
      const end = hold(key)
      return Effect.as(Effect.addFinalizer(() => Effect.sync(() => end(ending))), {
        _tag: "Held" as const,
        give: (how: "stored" | "nothing") => {
          ending = how
        }
      })
    })
  const hold = (key: string) => {
    const ended = Deferred.makeUnsafe<Lease.Ending>()
    held.set(key, ended)
    return (ending: Lease.Ending) => {
      held.delete(key)
      Deferred.doneUnsafe(ended, Effect.succeed(ending))
    }
  }
  // The first key that somebody waits for.
  return { hold, waiting: Deferred.await(waiting), layer: Layer.succeed(Lease.Lease)({ take }) }
}

// A process: a cache of its own, over what is shared.
const inProcess = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(effect, Layer.fresh(ResultCache.layer().pipe(Layer.provide(DependencyGraph.layer()))))
const shared = (leases: ReturnType<typeof makeLeases>) =>
  Layer.mergeAll(FaultyStore.layer(Store.layerMemory()), Broadcaster.layerLocal, leases.layer)

const ofNumbers = <E>(
  count: number,
  compute: (n: number) => Effect.Effect<unknown, E>,
  filter?: (n: number) => boolean
) =>
  Effect.map(
    Cached.make("f", { input: { n: Schema.Number }, success: Schema.Unknown }, ({ n }) => compute(n)),
    (fn) => ({
      fn,
      plan: Precompute.over(fn, {
        values: { n: Array.from({ length: count }, (_, n) => n) },
        filter: filter && (({ n }) => filter(n))
      })
    })
  )

// What became of each input, in order, and the summary.
const collect = <E, R>(run: Stream.Stream<Precompute.Progress, E, R>) =>
  Effect.map(Stream.runCollect(run), (steps) => {
    const last = steps.at(-1)
    assert(last?._tag === "Finished")
    const { counts, functions } = last.summary
    const told = steps.flatMap((step) =>
      step._tag === "Computed" || step._tag === "Present" || step._tag === "Failed"
        ? [`${step._tag} ${(step.input as { readonly n: number }).n}`]
        : []
    )
    assert.strictEqual(told.length, counts.computed + counts.present + counts.failed)
    assert.deepStrictEqual(functions.map(({ counts }) => [counts.computed, counts.present, counts.failed]), [
      [counts.computed, counts.present, counts.failed]
    ])
    return { told, summary: last.summary, counts }
  })

const keyOf = (n: number) => `f\t{"n":${n}}`

describe("Precompute.run with leases", () => {
  it.effect("shares the work with the runs of other processes, each input computed once in all", () =>
    Effect.gen(function*() {
      const executed: Array<number> = []
      const process = inProcess(Effect.gen(function*() {
        const { plan } = yield* ofNumbers(
          40,
          (n) => Effect.as(Effect.andThen(Effect.sync(() => executed.push(n)), Effect.sleep("1 second")), n)
        )
        return yield* collect(Precompute.run(plan, { concurrency: 2 }))
      }))
      const fiber = yield* Effect.forkChild(
        Effect.all([process, process, process, process], { concurrency: "unbounded" })
      )
      // As long as one of them needs for a quarter of the inputs.
      for (let second = 0; second < 5; second++) yield* TestClock.adjust("1 second")
      const reports = yield* Fiber.join(fiber)
      assert.deepStrictEqual(executed.toSorted((a, b) => a - b), Array.from({ length: 40 }, (_, n) => n))
      assert.deepStrictEqual(reports.map(({ counts }) => counts.computed), [10, 10, 10, 10])
      for (const { counts, summary, told } of reports) {
        assert.deepStrictEqual([summary.complete, counts.present, counts.remaining], [true, 30, 0])
        assert.strictEqual(new Set(told.map((step) => step.split(" ")[1])).size, 40)
      }
    }).pipe(Effect.provide(shared(makeLeases()))))

  it.effect("comes back to what was being computed elsewhere, and computes it where nothing came of that", () => {
    const leases = makeLeases()
    return Effect.gen(function*() {
      const ends = [0, 2].map((n) => leases.hold(keyOf(n)))
      const executed: Array<number> = []
      const seen = yield* Deferred.make<void>()
      const filtered: Array<number> = []
      yield* inProcess(Effect.gen(function*() {
        const { fn, plan } = yield* ofNumbers(
          4,
          (n) => Effect.as(Effect.sync(() => executed.push(n)), n),
          (n) => filtered.push(n) > 0
        )
        const steps: Array<string> = []
        const fiber = yield* Effect.forkChild(collect(Stream.tap(Precompute.run(plan, { concurrency: 2 }), (step) => {
          steps.push(step._tag)
          return steps.length === 2 ? Deferred.succeed(seen, undefined) : Effect.void
        })))
        yield* Deferred.await(seen)
        assert.deepStrictEqual(executed, [1, 3])
        // One of the two gives up, of the other nothing is heard any more.
        ends[0]!("nothing")
        ends[1]!("expired")
        const { counts, summary, told } = yield* Fiber.join(fiber)
        assert.deepStrictEqual([summary.complete, counts.computed, counts.total, counts.remaining], [true, 4, 4, 0])
        assert.deepStrictEqual(told.slice(0, 2), ["Computed 1", "Computed 3"])
        assert.deepStrictEqual(told.slice(2).toSorted(), ["Computed 0", "Computed 2"])
        assert.deepStrictEqual(filtered, [0, 1, 2, 3])
        assert.strictEqual(yield* fn({ n: 2 }), 2)
        assert.strictEqual(executed.length, 4)
      }))
    }).pipe(Effect.provide(shared(leases)))
  })

  it.effect("waits for the oldest of what it has put aside once that is 1 024 inputs", () => {
    const leases = makeLeases()
    return Effect.gen(function*() {
      const count = 1200
      const ends = Array.from({ length: count }, (_, n) => leases.hold(keyOf(n)))
      const asked: Array<number> = []
      yield* inProcess(Effect.gen(function*() {
        const { plan } = yield* ofNumbers(count, Effect.succeed, (n) => asked.push(n) > 0)
        const fiber = yield* Effect.forkChild(collect(Precompute.run(plan, { concurrency: 1 })))
        assert.strictEqual(yield* leases.waiting, keyOf(0))
        assert.strictEqual(asked.length, 1024)
        for (const end of ends) end("nothing")
        const { counts, told } = yield* Fiber.join(fiber)
        assert.strictEqual(counts.computed, count)
        assert.strictEqual(told[0], "Computed 0")
        assert.strictEqual(asked.length, count)
      }))
    }).pipe(Effect.provide(shared(leases)))
  })

  it.effect("does not ask again after its time budget, and says that it is not complete", () => {
    const leases = makeLeases()
    return inProcess(Effect.gen(function*() {
      leases.hold(keyOf(0))
      const { plan } = yield* ofNumbers(2, (n) => Effect.as(Effect.sleep("1 minute"), n))
      const fiber = yield* Effect.forkChild(collect(Precompute.run(plan, { concurrency: 1, timeBudget: "1 minute" })))
      yield* TestClock.adjust("1 minute")
      const { counts, summary, told } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([summary.complete, summary.stopped], [false, "time"])
      assert.deepStrictEqual(told, ["Computed 1"])
      assert.deepStrictEqual([counts.total, counts.computed, counts.present, counts.failed], [2, 1, 0, 0])
    })).pipe(Effect.provide(shared(leases)))
  })

  it.effect("does not put aside what has failed here, and waits for it before the next input", () => {
    const leases = makeLeases()
    return inProcess(Effect.gen(function*() {
      const failed = yield* Deferred.make<void>()
      const { plan } = yield* ofNumbers(
        2,
        (n) => n === 0 && Deferred.doneUnsafe(failed, Effect.void) ? Effect.fail("not yet") : Effect.succeed(n)
      )
      const retry = Schedule.spaced("1 second")
      const fiber = yield* Effect.forkChild(collect(Precompute.run(plan, { concurrency: 1, retry })))
      yield* Deferred.await(failed)
      yield* TestClock.adjust(0)
      // Before it tries again, somebody else does.
      const end = leases.hold(keyOf(0))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* leases.waiting, keyOf(0))
      end("nothing")
      const { counts, told } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(told, ["Computed 0", "Computed 1"])
      assert.deepStrictEqual([counts.failed, counts.computed], [0, 2])
    })).pipe(Effect.provide(shared(leases)))
  })

  it.effect("tries again, as its schedule says, what was not kept because the log was silent", () =>
    Effect.gen(function*() {
      let current = false
      const log = { ...yield* Broadcaster.Broadcaster, isCurrent: () => current }
      yield* inProcess(Effect.gen(function*() {
        const { plan } = yield* ofNumbers(1, Effect.succeed)
        const once = yield* collect(Precompute.run(plan))
        assert.deepStrictEqual(once.told, ["Failed 0"])
        const fiber = yield* Effect.forkChild(collect(Precompute.run(plan, { retry: Schedule.spaced("1 second") })))
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(fiber.pollUnsafe(), undefined)
        current = true
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual((yield* Fiber.join(fiber)).told, ["Computed 0"])
      })).pipe(Effect.provideService(Broadcaster.Broadcaster, log))
    }).pipe(Effect.provide(shared(makeLeases()))))

  it.effect("does not take for outside its domain what another process has stored meanwhile", () => {
    const leases = makeLeases()
    return Effect.gen(function*() {
      const end = leases.hold(keyOf(0))
      const outside = yield* Effect.context<Store.Store | Broadcaster.Broadcaster>()
      yield* inProcess(Effect.gen(function*() {
        const { plan } = yield* ofNumbers(2, (n) =>
          n === 1
            // The other process stores its result while this one is busy.
            ? Effect.as(Effect.andThen(Effect.provide(elsewhere, outside), Effect.sync(() => end("stored"))), n)
            : Effect.die("computed twice"))
        const { counts, told } = yield* collect(Precompute.run(plan, { concurrency: 1, prune: "remove" }))
        assert.deepStrictEqual(told, ["Computed 1", "Present 0"])
        assert.deepStrictEqual([counts.outside, counts.computed, counts.present], [0, 1, 1])
      }))
    }).pipe(Effect.provide(shared(leases)))
  })
})

// Another process, which has no leases and computes 0.
const elsewhere = Effect.orDie(
  inProcess(Effect.gen(function*() {
    const { fn } = yield* ofNumbers(1, () => Effect.succeed("elsewhere"))
    yield* fn({ n: 0 })
  })).pipe(Effect.provideService(Lease.Lease, undefined))
)
