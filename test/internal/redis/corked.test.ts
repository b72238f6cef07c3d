import { assert, describe, it } from "@effect/vitest"
import { makeCorked } from "../../../src/internal/redis/corked.ts"

describe("makeCorked", () => {
  it("sends what is written after a turn whose socket could not be corked", () => {
    const log: Array<string> = []
    const due: Array<() => void> = []
    let isBroken = true
    const socket = {
      cork: () => {
        if (isBroken) throw new Error("no socket")
        log.push("cork")
      },
      uncork: () => log.push("uncork")
    }
    const cork = makeCorked(() => [undefined, socket], (release) => due.push(release), () => log.push("last"))
    assert.throws(cork, "no socket")
    isBroken = false
    cork()
    cork()
    assert.strictEqual(due.length, 1)
    due[0]!()
    assert.deepStrictEqual(log, ["cork", "last", "uncork"])
  })
})
