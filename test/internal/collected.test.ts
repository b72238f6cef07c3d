import { assert, describe, it } from "@effect/vitest"
import { Collected } from "../../src/internal/collected.ts"

describe("Collected", () => {
  it("has each tag once and in code unit order, few and many", () => {
    for (const count of [0, 1, 2, 15, 16, 17, 18, 1000]) {
      const collected = new Collected()
      const tags = Array.from({ length: count }, (_, index) => `tag:${(index * 7919) % count}`)
      for (const tag of tags) assert.isTrue(collected.add(tag), tag)
      for (const tag of tags) assert.isFalse(collected.add(tag), tag)
      assert.deepStrictEqual(collected.tags, tags.toSorted())
    }
  })

  it("gives a list that nobody can change, and that does not change when more is collected", () => {
    const collected = new Collected()
    collected.add("b")
    const before = collected.tags
    assert.isTrue(Object.isFrozen(before))
    assert.strictEqual(collected.tags, before)
    collected.add("a")
    assert.deepStrictEqual([before, collected.tags], [["b"], ["a", "b"]])
  })
})
