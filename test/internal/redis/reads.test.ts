import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { serverError } from "../../../src/internal/errors.ts"
import type { Run } from "../../../src/internal/redis/commands.ts"
import { makeReads } from "../../../src/internal/redis/reads.ts"

type Got = Exit.Exit<Uint8Array | null, unknown>

// A connection whose values are their keys, and what was asked of it.
const world = (run: Run = (send) => Effect.promise(send)) =>
  Effect.map(Effect.context(), (context) => {
    const asked: Array<ReadonlyArray<string>> = []
    let begun = 0
    const reads = makeReads(
      context,
      run,
      {
        getBuffer: async (key) => {
          asked.push([key])
          return Buffer.from(key)
        },
        mgetBuffer: async (...keys) => {
          asked.push(keys)
          return keys.map((key) => key === "missing" ? null : Buffer.from(key))
        }
      },
      () => begun++
    )
    return { ...reads, asked, begun: () => begun }
  })

const down = serverError("unreachable", "down")
const failing: Run = () => Effect.fail(down)

const text = (got: Got | undefined) => got !== undefined && Exit.isSuccess(got) ? got.value?.toString() ?? null : got

describe("makeReads", () => {
  it.effect("reads what is asked for in one turn in one command, and each is given its own", () =>
    Effect.gen(function*() {
      const { asked, begun, read, send } = yield* world()
      const keys = ["a", "missing", "b"]
      const got: Array<Got> = []
      yield* Effect.callback<void>((resume) => {
        keys.forEach((key, index) =>
          read(key, (exit) => {
            got[index] = exit
            if (got.length === keys.length) resume(Effect.void)
          })
        )
        send()
      })
      assert.deepStrictEqual(asked, [keys])
      assert.strictEqual(begun(), 1)
      assert.deepStrictEqual(got.map(text), ["a", null, "b"])
    }))

  it.effect("fails all reads of a command with it", () =>
    Effect.gen(function*() {
      const { read, send } = yield* world(failing)
      const got: Array<Got> = []
      read("a", (exit) => got.push(exit))
      read("b", (exit) => got.push(exit))
      send()
      assert.deepStrictEqual(got, [Exit.fail(down), Exit.fail(down)])
    }))

  it.effect("answers the others where one throws on being answered", () =>
    Effect.gen(function*() {
      const { read, send } = yield* world(failing)
      const got: Array<string> = []
      read("a", () => {
        throw new Error("an observer")
      })
      read("b", () => got.push("b"))
      read("c", () => got.push("c"))
      assert.throws(send, "an observer")
      assert.deepStrictEqual(got, ["b", "c"])
    }))
})
