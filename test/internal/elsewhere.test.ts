import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import type { CacheEntry, CacheError, Lease } from "effect-cached"
import { awaitTurn } from "../../src/internal/elsewhere.ts"
import { logError } from "../../src/internal/errors.ts"
import { makeEntry } from "../suites/entries.ts"
import { start } from "../suites/worlds.ts"

const entry = makeEntry("k")

type Ended = Effect.Effect<Lease.Ending, CacheError.CacheError>
type Step = Lease.Ending | "held" | { readonly refused: CacheError.CacheError } | { readonly ended: Ended }

// One answer of the lease for each round, and what happened in which order.
const world = (
  steps: ReadonlyArray<Step>,
  findings: ReadonlyArray<CacheEntry.CacheEntry | undefined> = [],
  leave: () => boolean = () => false
) => {
  const happened: Array<string> = []
  const errors: Array<CacheError.CacheError> = []
  let round = 0
  const lease: Lease.Lease = {
    take: (key) =>
      Effect.suspend((): Effect.Effect<Lease.Taking, CacheError.CacheError, Scope.Scope> => {
        happened.push(`take ${key}`)
        const step = steps[round++]!
        if (step === "held") {
          return Effect.as(
            Effect.acquireRelease(Effect.void, () => Effect.sync(() => happened.push("release"))),
            { _tag: "Held", give: (ending) => happened.push(`give ${ending}`) }
          )
        }
        if (typeof step === "string") return Effect.succeed({ _tag: "Taken", ended: Effect.succeed(step) })
        return "refused" in step ? Effect.fail(step.refused) : Effect.succeed({ _tag: "Taken", ended: step.ended })
      })
  }
  const find = Effect.sync(() => {
    happened.push("find")
    return findings[round - 1]
  })
  return { happened, errors, turn: awaitTurn(lease, "k", find, leave, (error) => errors.push(error)) }
}

describe("awaitTurn", () => {
  it.effect("looks into the store once more when it has the lease, and holds it until its scope closes", () =>
    Effect.gen(function*() {
      const { errors, happened, turn } = world(["held"])
      const scope = yield* Scope.make()
      const got = yield* Scope.provide(turn, scope)
      assert.deepStrictEqual(happened, ["take k", "find"])
      assert(got._tag === "Compute")
      got.give("stored")
      assert.deepStrictEqual(happened, ["take k", "find", "give stored"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(happened.at(-1), "release")
      assert.deepStrictEqual(errors, [])
    }))

  it.effect("gives what is stored by then, and does not say that it stored anything", () =>
    Effect.gen(function*() {
      const { happened, turn } = world(["held"], [entry])
      assert.deepStrictEqual(yield* Effect.scoped(turn), { _tag: "Found", entry })
      assert.deepStrictEqual(happened, ["take k", "find", "release"])
    }))

  it.effect.each(["stored", "nothing", "expired"] as const)(
    "looks into the store when another's has ended: %s",
    (ending) =>
      Effect.gen(function*() {
        const found = world([ending], [entry])
        assert.deepStrictEqual(yield* Effect.scoped(found.turn), { _tag: "Found", entry })
        assert.deepStrictEqual(found.happened, ["take k", "find"])
        const again = world([ending, "held"])
        assert.strictEqual((yield* Effect.scoped(again.turn))._tag, "Compute")
        assert.deepStrictEqual(again.happened, ["take k", "find", "take k", "find", "release"])
      })
  )

  it.effect("looks into the store no more when it has waited for long enough", () =>
    Effect.gen(function*() {
      const { happened, turn } = world(["waited"])
      const got = yield* Effect.scoped(turn)
      assert(got._tag === "Compute")
      got.give("stored")
      assert.deepStrictEqual(happened, ["take k"])
    }))

  it.effect("goes on without a lease after three rounds", () =>
    Effect.gen(function*() {
      const { happened, turn } = world(["nothing", "expired", "stored", "held"])
      assert.strictEqual((yield* Effect.scoped(turn))._tag, "Compute")
      assert.deepStrictEqual(happened, ["take k", "find", "take k", "find", "take k", "find"])
    }))

  it.effect("goes on without a lease where none can be had, and reports it", () =>
    Effect.gen(function*() {
      const error = logError("down")
      const never = world([{ refused: error }])
      assert.strictEqual((yield* Effect.scoped(never.turn))._tag, "Compute")
      assert.deepStrictEqual([never.happened, never.errors], [["take k"], [error]])
      const noMore = world([{ ended: Effect.fail(error) }])
      assert.strictEqual((yield* Effect.scoped(noMore.turn))._tag, "Compute")
      assert.deepStrictEqual([noMore.happened, noMore.errors], [["take k"], [error]])
    }))

  it.effect("asks before each wait whether to go, and never when it has the lease", () =>
    Effect.gen(function*() {
      let asked = 0
      const first = world(["nothing"], [], () => ++asked === 1)
      assert.deepStrictEqual(yield* Effect.scoped(first.turn), { _tag: "Left" })
      assert.deepStrictEqual(first.happened, ["take k"])
      asked = 0
      const second = world(["nothing", "stored"], [], () => ++asked === 2)
      assert.deepStrictEqual(yield* Effect.scoped(second.turn), { _tag: "Left" })
      const held = world(["held"], [], () => true)
      assert.strictEqual((yield* Effect.scoped(held.turn))._tag, "Compute")
    }))

  it.effect("stops waiting when it is interrupted", () =>
    Effect.gen(function*() {
      const over = yield* Deferred.make<void>()
      const { turn } = world([{ ended: Effect.onInterrupt(Effect.never, () => Deferred.succeed(over, undefined)) }])
      const fiber = yield* start(Effect.scoped(turn))
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(over)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    }))
})
