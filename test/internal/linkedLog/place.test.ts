import { assert, describe, it } from "@effect/vitest"
import { isAfter, positionOf } from "../../../src/internal/linkedLog/place.ts"

describe("places", () => {
  it("are compared as numbers, the position first", () => {
    assert.isTrue(isAfter("10-0", "9-0"))
    assert.isTrue(isAfter("10-2", "10-1"))
    assert.isTrue(isAfter("10-10", "10-9"))
    assert.isFalse(isAfter("10-0", "10-0"))
    assert.isFalse(isAfter("9-9", "10-0"))
  })

  it("hold the position", () => {
    assert.strictEqual(positionOf("1763800000000000-0"), 1_763_800_000_000_000)
    assert.strictEqual(positionOf("0-0"), 0)
  })
})
