import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
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
})
