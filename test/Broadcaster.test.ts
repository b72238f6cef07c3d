import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Broadcaster } from "effect-cached"
import { FaultyBroadcaster } from "effect-cached/testing"
import { TestClock } from "effect/testing"
import { broadcasterSuite } from "./suites/broadcasterSuite.ts"

broadcasterSuite("layerLocal", Broadcaster.layerLocal)
broadcasterSuite("FaultyBroadcaster over layerLocal", FaultyBroadcaster.layer(Broadcaster.layerLocal))

describe("makeLocal", () => {
  it.effect("starts above what was stamped before it was made", () =>
    Effect.gen(function*() {
      const before = yield* Broadcaster.makeLocal
      const stamped = yield* before.append(["a"])
      yield* TestClock.adjust(1)
      const after = yield* Broadcaster.makeLocal
      const gaps: Array<number> = []
      yield* after.follow((change) => change._tag === "Gap" && gaps.push(change.position))
      assert.isAbove(gaps[0]!, stamped)
    }))

  it.effect("tells every follower of a record before one that a follower appends because of it", () =>
    Effect.scoped(Effect.gen(function*() {
      const log = yield* Broadcaster.makeLocal
      const seen: Array<readonly [string, number]> = []
      let nested = 0
      yield* log.follow((change) => {
        if (change._tag === "Record" && change.tags[0] === "a") nested = Effect.runSync(log.append(["b"]))
      })
      yield* log.follow((change) => {
        if (change._tag === "Record") seen.push([change.tags[0]!, change.position])
      })
      const position = yield* log.append(["a"])
      assert.deepStrictEqual(seen, [["a", position], ["b", nested]])
      assert.isBelow(position, nested)
    })))

  it.effect("tells of a record those who followed when it came and have not left, once, though one of them throws", () =>
    Effect.scoped(Effect.gen(function*() {
      const log = yield* Broadcaster.makeLocal
      const told: Array<string> = []
      const listen = (name: string, then = () => {}) =>
        log.follow((change) => {
          if (change._tag !== "Record") return
          told.push(`${name}: ${change.tags[0]}`)
          then()
        })
      const [before, after] = [yield* Scope.make(), yield* Scope.make()]
      yield* listen("one", () => {
        if (told.length > 1) return
        Effect.runSync(Effect.andThen(Scope.close(before, Exit.void), Scope.provide(listen("late"), after)))
        throw new Error("it must not")
      })
      yield* Scope.provide(listen("gone"), before)
      yield* listen("other")
      yield* Effect.exit(log.append(["a"]))
      assert.deepStrictEqual(told, ["one: a", "other: a"])
      yield* log.append(["b"])
      assert.deepStrictEqual(told, ["one: a", "other: a", "one: b", "other: b", "late: b"])
      yield* Scope.close(after, Exit.void)
    })))

  it.effect("tells of a record whose append has failed because a follower threw, also where a follower made it", () =>
    Effect.scoped(Effect.gen(function*() {
      const log = yield* Broadcaster.makeLocal
      const told: Array<string> = []
      const exits: Array<boolean> = []
      let isBroken = true
      yield* log.follow((change) => {
        if (change._tag !== "Record" || change.tags[0] !== "a") return
        exits.push(Exit.isSuccess(Effect.runSyncExit(log.append(["b"]))))
      })
      for (const _ of [1, 2]) {
        yield* log.follow((change) => {
          if (change._tag === "Record" && isBroken) throw new Error("it must not")
        })
      }
      yield* log.follow((change) => change._tag === "Record" && told.push(change.tags[0]!))
      for (const tag of ["a", "c", "d"]) exits.push(Exit.isSuccess(yield* Effect.exit(log.append([tag]))))
      assert.deepStrictEqual(told, ["a", "b", "c", "d"])
      isBroken = false
      yield* log.append(["e"])
      assert.deepStrictEqual(told, ["a", "b", "c", "d", "e"])
      // The one inside has told of everything, so nothing is left to go wrong in the one around it.
      assert.deepStrictEqual(exits, [false, true, false, false])
    })))
})
