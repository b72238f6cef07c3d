import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Broadcaster } from "effect-cached"
import { atOnceOf } from "../../src/internal/atOnce.ts"

describe("atOnceOf", () => {
  it.effect("knows the log of this process, whose position it returns when all have been told", () =>
    Effect.scoped(Effect.gen(function*() {
      const log = yield* Broadcaster.makeLocal
      const seen: Array<Broadcaster.Change> = []
      yield* log.follow((change) => seen.push(change))
      const position = atOnceOf(log.append)!(["user:7"])
      assert.deepStrictEqual(seen.at(-1), { _tag: "Record", tags: ["user:7"], position })
      assert.isAbove(yield* log.append(["user:8"]), position)
    })))

  it.effect("does not know a log that somebody has wrapped", () =>
    Effect.gen(function*() {
      const log = yield* Broadcaster.makeLocal
      const wrapped = Broadcaster.Broadcaster.of({
        ...log,
        append: (tags) => Effect.andThen(Effect.yieldNow, log.append(tags))
      })
      assert.isUndefined(atOnceOf(wrapped.append))
      // What is not wrapped is still the same.
      assert.isDefined(atOnceOf(Broadcaster.Broadcaster.of({ ...log }).append))
    }))
})
