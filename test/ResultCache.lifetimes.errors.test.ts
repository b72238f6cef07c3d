import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Cached, type CachePolicy, invalidate } from "effect-cached"
import { TestClock } from "effect/testing"
import {
  andSettle,
  Down,
  eventsOf,
  missBecause,
  onEveryStore,
  reasonOf,
  rejectedFor,
  staleBecause
} from "./suites/lifetimesSuite.ts"
import { settled, shared, sharing, until } from "./suites/stores.ts"
import { start } from "./suites/worlds.ts"

class NotFound extends Schema.TaggedError<NotFound>("test/NotFound")("NotFound", {
  id: Schema.Number,
  since: Schema.Date
}) {}
class Gone extends Schema.TaggedError<Gone>("test/Gone")("Gone", { reason: Schema.String }) {}
const Missing = Schema.Union([NotFound, Gone])

type Policy = CachePolicy.CachePolicy<number, NotFound | Gone, { readonly n: number }>

// A row is what a test says at the time.
const makeTable = (policy: Policy, options?: { readonly timeToLive?: Policy["timeToLive"] }) => {
  let runs = 0
  let outcome: (run: number, n: number) => Effect.Effect<number, NotFound | Gone> = Effect.succeed
  return {
    runs: () => runs,
    become: (next: typeof outcome) => {
      outcome = next
    },
    make: Cached.make(
      "find",
      {
        input: { n: Schema.Number },
        success: Schema.Number,
        error: Missing,
        deps: ({ n }) => [`row:${n}`],
        policy,
        timeToLive: options?.timeToLive
      },
      ({ n }) => Effect.suspend(() => outcome(++runs, n))
    )
  }
}

const notFound = (run: number) => Effect.fail(new NotFound({ id: run, since: new Date(run * 1000) }))

onEveryStore("A typed failure with a lifetime", (test) => {
  test("is stored, and given as an equal error of the same class, until it ends to the millisecond (scenario 39)", () =>
    Effect.gen(function*() {
      const table = makeTable({ errorTimeToLive: "5 seconds" })
      const find = yield* table.make
      table.become(notFound)
      const first = yield* andSettle(Effect.flip(find({ n: 1 })))
      yield* TestClock.adjust(4999)
      const second = yield* andSettle(Effect.flip(find({ n: 1 })))
      assert.strictEqual(table.runs(), 1)
      for (const error of [first, second]) {
        assert.instanceOf(error, NotFound)
        assert.deepStrictEqual(error, new NotFound({ id: 1, since: new Date(1000) }))
        assert.isTrue("since" in error && error.since instanceof Date)
        assert.instanceOf(error, Error)
      }
      yield* TestClock.adjust(1)
      assert.include(yield* andSettle(Effect.flip(find({ n: 1 }))), { _tag: "NotFound", id: 2 })
      assert.deepStrictEqual(yield* missBecause, ["missing", "expired"])
      assert.lengthOf(yield* eventsOf("Hit"), 1)
      assert.lengthOf(yield* eventsOf("Stored"), 2)
    }))

  test("is any member of its schema, and can be caught by its tag", () =>
    Effect.gen(function*() {
      const table = makeTable({ errorTimeToLive: "5 seconds" })
      const find = yield* table.make
      table.become((run, n) => n === 1 ? notFound(run) : Effect.fail(new Gone({ reason: `sold ${run}` })))
      const both = andSettle(Effect.forEach([1, 2], (n) =>
        find({ n }).pipe(
          Effect.catchTag("NotFound", ({ id }) => Effect.succeed(`none: ${id}`)),
          Effect.catchTag("Gone", ({ reason }) => Effect.succeed(`gone: ${reason}`))
        )))
      assert.deepStrictEqual(yield* both, ["none: 1", "gone: sold 2"])
      assert.deepStrictEqual(yield* both, ["none: 1", "gone: sold 2"])
      assert.strictEqual(table.runs(), 2)
    }))

  test("ends when its tags are invalidated (scenario 39)", () =>
    Effect.gen(function*() {
      const table = makeTable({ errorTimeToLive: "1 hour" })
      const find = yield* table.make
      for (const end of [invalidate("row:1"), find.forget({ n: 1 }), find.forgetAll]) {
        table.become(notFound)
        yield* andSettle(Effect.flip(find({ n: 1 })))
        table.become((run) => Effect.succeed(run))
        yield* andSettle(Effect.flip(find({ n: 1 })))
        yield* end
        assert.strictEqual(yield* andSettle(find({ n: 1 })), table.runs())
        yield* find.forget({ n: 1 })
      }
      assert.strictEqual(table.runs(), 6)
    }))

  test("is none of defects and interruptions", () =>
    Effect.gen(function*() {
      const table = makeTable({ errorTimeToLive: "1 hour" })
      const find = yield* table.make
      for (
        const outcome of [
          Effect.die(new Error("a bug")),
          Effect.interrupt,
          Effect.failCause(Cause.combine(Cause.fail(new Gone({ reason: "both" })), Cause.die("a bug")))
        ]
      ) {
        table.become(() => outcome)
        yield* andSettle(Effect.exit(find({ n: 1 })))
        yield* andSettle(Effect.exit(find({ n: 1 })))
      }
      assert.strictEqual(table.runs(), 6)
      assert.lengthOf(yield* eventsOf("Stored"), 0)
    }))

  test("can depend on the error and on the input (scenario 39)", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const table = makeTable({
        errorTimeToLive: (error, { n }) => {
          seen.push([error._tag, n])
          return error._tag === "Gone" ? Infinity : `${n} seconds`
        }
      })
      const find = yield* table.make
      table.become((run, n) => n === 3 ? Effect.fail(new Gone({ reason: "sold" })) : notFound(run))
      const all = andSettle(Effect.forEach([1, 2, 3], (n) => Effect.flip(find({ n }))))
      yield* all
      assert.deepStrictEqual(seen, [["NotFound", 1], ["NotFound", 2], ["Gone", 3]])
      yield* TestClock.adjust(1000)
      yield* all
      assert.strictEqual(table.runs(), 4)
      yield* TestClock.adjust(1000)
      yield* all
      assert.strictEqual(table.runs(), 6)
      yield* TestClock.adjust("100 days")
      yield* all
      assert.strictEqual(table.runs(), 8)
    }))

  test("leaves what succeeds to the time to live", () =>
    Effect.gen(function*() {
      const table = makeTable({ timeToLive: "10 seconds", errorTimeToLive: "1 second" })
      const find = yield* table.make
      table.become(notFound)
      yield* andSettle(Effect.flip(find({ n: 1 })))
      table.become((run) => Effect.succeed(run))
      yield* TestClock.adjust(1000)
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 2)
      yield* TestClock.adjust(9999)
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 2)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 3)
    }))

  test("is not stored in place of a result that may still be served stale (scenario 39)", () =>
    Effect.gen(function*() {
      const table = makeTable({
        timeToLive: "10 seconds",
        staleIfError: { upTo: "1 minute", backOff: "2 seconds" },
        errorTimeToLive: "1 hour"
      })
      const find = yield* table.make
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 1)
      table.become(notFound)
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 1)
      yield* TestClock.adjust(2000)
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 1)
      assert.strictEqual(table.runs(), 3)
      assert.deepStrictEqual(yield* staleBecause, ["error", "error"])
      assert.lengthOf(yield* eventsOf("Stored"), 1)
      yield* TestClock.adjust(58_000)
      assert.instanceOf(yield* andSettle(Effect.flip(find({ n: 1 }))), NotFound)
      assert.instanceOf(yield* andSettle(Effect.flip(find({ n: 1 }))), NotFound)
      assert.strictEqual(table.runs(), 4, "from then on it is stored")
    }))

  test("is stored over a result that was invalidated", () =>
    Effect.gen(function*() {
      const table = makeTable({ staleIfError: "1 hour", errorTimeToLive: "5 seconds" })
      const find = yield* table.make
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 1)
      table.become(notFound)
      yield* invalidate("row:1")
      for (let read = 0; read < 3; read++) {
        assert.include(yield* andSettle(Effect.flip(find({ n: 1 }))), { id: 2 })
      }
      assert.strictEqual(table.runs(), 2)
    }))

  test("is replaced when it is computed anew", () =>
    Effect.gen(function*() {
      const table = makeTable({ errorTimeToLive: "1 hour" })
      const find = yield* table.make
      table.become(notFound)
      yield* andSettle(Effect.flip(find({ n: 1 })))
      table.become((run) => Effect.succeed(run))
      assert.strictEqual(yield* andSettle(find.refresh({ n: 1 })), 2)
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 2)
      assert.strictEqual(table.runs(), 2)
    }))

  test("is given to all who wait for it", () =>
    Effect.gen(function*() {
      const table = makeTable({ errorTimeToLive: "1 hour" })
      const find = yield* table.make
      const gate = yield* Deferred.make<void>()
      table.become((run) => Effect.andThen(Deferred.await(gate), notFound(run)))
      const waiting = yield* start(
        Effect.all(Array.from({ length: 10 }, () => Effect.flip(find({ n: 1 }))), { concurrency: "unbounded" })
      )
      yield* until("it runs", () => table.runs() === 1)
      yield* Deferred.succeed(gate, undefined)
      for (const error of yield* Fiber.join(waiting)) {
        assert.instanceOf(error, NotFound)
        assert.deepStrictEqual(error, new NotFound({ id: 1, since: new Date(1000) }))
      }
      yield* settled
      assert.strictEqual(table.runs(), 1)
    }))

  test("is what a time to live that is a function says, where nothing else is said (scenario 34)", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const table = makeTable({}, {
        timeToLive: (exit, { n }) => {
          seen.push(
            Exit.match(exit, {
              onFailure: (cause) => [n, (Cause.squash(cause) as NotFound)._tag],
              onSuccess: (value) => [n, value]
            })
          )
          return Exit.isFailure(exit) ? "1 second" : "10 seconds"
        }
      })
      const find = yield* table.make
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 1)
      table.become(notFound)
      yield* andSettle(Effect.flip(find({ n: 2 })))
      assert.deepStrictEqual(seen, [[1, 1], [2, "NotFound"]])
      yield* TestClock.adjust(999)
      yield* andSettle(Effect.flip(find({ n: 2 })))
      assert.strictEqual(table.runs(), 2)
      yield* TestClock.adjust(1)
      yield* andSettle(Effect.flip(find({ n: 2 })))
      assert.strictEqual(table.runs(), 3)
      assert.strictEqual(yield* andSettle(find({ n: 1 })), 1)
    }))

  test("is none where the policy gives failures no lifetime, or one of zero", () =>
    Effect.gen(function*() {
      for (const policy of [{}, { timeToLive: "1 hour" }, { errorTimeToLive: 0 }] as const) {
        const table = makeTable(policy)
        yield* Effect.scoped(Effect.gen(function*() {
          const find = yield* table.make
          table.become(notFound)
          for (const id of [1, 2, 3]) assert.include(yield* andSettle(Effect.flip(find({ n: 1 }))), { id })
        }))
      }
      assert.lengthOf(yield* eventsOf("Stored"), 0)
    }))

  test("that is unusable costs nobody the error, and is reported", () =>
    Effect.gen(function*() {
      const unusable: ReadonlyArray<() => unknown> = [() => -1, () => "soon", () => undefined, () => {
        throw new Error("no idea")
      }]
      for (const errorTimeToLive of unusable) {
        const table = makeTable({ errorTimeToLive: errorTimeToLive as () => number })
        yield* Effect.scoped(Effect.gen(function*() {
          const find = yield* table.make
          table.become(notFound)
          for (const id of [1, 2]) assert.include(yield* andSettle(Effect.flip(find({ n: 1 }))), { id })
        }))
      }
      assert.deepStrictEqual(yield* rejectedFor, unusable.flatMap(() => ["policy", "policy"]))
      const errors = (yield* eventsOf("Rejected")).map(({ error }) => error)
      for (const error of errors) {
        assert.strictEqual(reasonOf(error), "DefinitionError")
        assert.include(error?.message, "cached function \"find\", errorTimeToLive")
      }
      assert.include(errors.at(-1)?.message, "no idea")
    }))

  test("that its schema cannot write is given to who asks, and not stored", () =>
    Effect.gen(function*() {
      let runs = 0
      class Opaque
        extends Schema.TaggedError<Opaque>("test/Opaque")("Opaque", { n: Schema.Number.check(Schema.isInt()) })
      {}
      const fn = yield* Cached.make(
        "opaque",
        { success: Schema.Number, error: Opaque, policy: { errorTimeToLive: "1 hour" } },
        () => Effect.suspend(() => Effect.fail(Object.assign(new Opaque({ n: 1 }), { n: ++runs + 0.5 })))
      )
      for (const n of [1.5, 2.5]) assert.include(yield* andSettle(Effect.flip(fn())), { n })
      assert.deepStrictEqual(yield* rejectedFor, ["result", "result"])
    }))

  test("that would come back as another one is given to who asks, and not stored", () =>
    Effect.gen(function*() {
      let runs = 0
      // A text that looks like a date is read as one.
      const fn = yield* Cached.make(
        "ambiguous",
        {
          success: Schema.Number,
          error: Schema.Union([Schema.Struct({ at: Schema.Date }), Schema.Struct({ at: Schema.String })]),
          policy: { errorTimeToLive: "1 hour" }
        },
        () =>
          Effect.suspend(() => {
            runs++
            return Effect.fail({ at: "2026-01-01T00:00:00.000Z" })
          })
      )
      for (let read = 0; read < 2; read++) {
        assert.deepStrictEqual(yield* andSettle(Effect.flip(fn())), { at: "2026-01-01T00:00:00.000Z" })
      }
      assert.strictEqual(runs, 2)
      assert.deepStrictEqual(yield* rejectedFor, ["result", "result"])
    }))

  test("is given to a computation, which then lives no longer than that", () =>
    Effect.gen(function*() {
      const table = makeTable({ errorTimeToLive: "5 seconds" })
      const find = yield* table.make
      table.become(notFound)
      const outer = yield* Cached.make("outer", { success: Schema.Number }, () =>
        find({ n: 1 }).pipe(Effect.catchTag("NotFound", ({ id }) =>
          Effect.succeed(-id))))
      assert.strictEqual(yield* andSettle(outer()), -1)
      yield* TestClock.adjust(4999)
      assert.strictEqual(yield* andSettle(outer()), -1)
      yield* invalidate("row:1")
      assert.strictEqual(yield* andSettle(outer()), -2)
      yield* TestClock.adjust(5000)
      assert.strictEqual(yield* andSettle(outer()), -3)
    }))

  test("of a computation that read a failure ends with that", () =>
    Effect.gen(function*() {
      const table = makeTable({ errorTimeToLive: "5 seconds" })
      const find = yield* table.make
      table.become(notFound)
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.Number, error: Missing, policy: { errorTimeToLive: "1 hour" } },
        () => Effect.catchTag(find({ n: 1 }), "CacheError", (error) => Effect.die(error))
      )
      assert.include(yield* andSettle(Effect.flip(outer())), { id: 1 })
      yield* TestClock.adjust(4999)
      assert.include(yield* andSettle(Effect.flip(outer())), { id: 1 })
      yield* TestClock.adjust(1)
      assert.include(yield* andSettle(Effect.flip(outer())), { id: 2 })
    }))
})

const deploy = <E extends { readonly run: number }>(
  error: Schema.Codec<E, any>,
  fail: (run: number) => E,
  state: { runs: number }
) =>
  Cached.make(
    "deployed",
    { success: Schema.Number, error, policy: { errorTimeToLive: "1 hour" } },
    () => Effect.suspend(() => Effect.fail(fail(++state.runs)))
  )
const down = (run: number) => new Down({ run })

describe.each(shared)("Processes that share a store of %s", (_, layer) => {
  it.effect("give each other failures as errors of their class (scenario 39)", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const state = { runs: 0 }
      const [here, there] = [yield* open(), yield* open()]
      const fn = yield* here.provide(deploy(Down, down, state))
      const other = yield* there.provide(deploy(Down, down, state))
      yield* andSettle(Effect.flip(fn()))
      const error = yield* andSettle(Effect.flip(other()))
      assert.instanceOf(error, Down)
      assert.deepStrictEqual(error, new Down({ run: 1 }))
      assert.strictEqual(state.runs, 1)
    }))

  it.effect("do not read failures of another schema (scenario 39)", () =>
    Effect.gen(function*() {
      const { open } = yield* sharing(layer)
      const state = { runs: 0 }
      const [here, there] = [yield* open(), yield* open()]
      const fn = yield* here.provide(deploy(Down, down, state))
      yield* andSettle(Effect.flip(fn()))
      const Later = Schema.Struct({ run: Schema.Number, at: Schema.String })
      const other = yield* there.provide(deploy(Later, (run) => ({ run, at: "later" }), state))
      assert.deepStrictEqual(yield* andSettle(Effect.flip(other())), { run: 2, at: "later" })
      assert.deepStrictEqual(yield* andSettle(Effect.flip(other())), { run: 2, at: "later" })
      assert.strictEqual(state.runs, 2)
      assert.deepStrictEqual(
        there.events.flatMap((event) => event._tag === "Miss" ? [event.because] : []),
        ["changed"]
      )
    }))
})
