import { assert, describe, it } from "@effect/vitest"
import { type Placed, WaitingList } from "../../src/internal/waitingList.ts"

interface One extends Placed<One> {
  readonly name: string
}

const one = (name: string): One => ({ name, list: undefined, before: undefined, after: undefined })

const namesIn = (list: WaitingList<One>) => list.toArray().map(({ name }) => name).join("")

describe("WaitingList", () => {
  it("keeps the order in which they came, whoever leaves", () => {
    for (const leaving of ["", "a", "b", "c", "ab", "ba", "ac", "ca", "bc", "cb", "abc", "bac", "cba"]) {
      const list = new WaitingList<One>()
      const all = ["a", "b", "c"].map(one)
      for (const each of all) list.add(each)
      for (const name of leaving) assert.isTrue(list.delete(all.find((each) => each.name === name)!))
      const left = "abc".replaceAll(new RegExp(`[${leaving}-]`, "g"), "")
      assert.deepStrictEqual([namesIn(list), list.size, list.first?.name ?? ""], [left, left.length, left.slice(0, 1)])
      list.add(one("d"))
      assert.strictEqual(namesIn(list), `${left}d`)
    }
  })

  it("lets each leave once, and only from where it is", () => {
    const list = new WaitingList<One>()
    const other = new WaitingList<One>()
    const mine = one("a")
    list.add(mine)
    assert.deepStrictEqual([list.has(mine), other.has(mine), other.delete(mine)], [true, false, false])
    assert.deepStrictEqual([list.delete(mine), list.delete(mine), list.has(mine), list.size], [true, false, false, 0])
    other.add(mine)
    assert.deepStrictEqual([list.has(mine), other.has(mine), namesIn(other)], [false, true, "a"])
  })
})
