import { assert, describe, it } from "@effect/vitest"
import { Line, Table } from "../../src/internal/passing.ts"

const members = (line: Line<string>) => {
  const values: Array<string> = []
  for (let place = line.first; place !== undefined; place = place.after) values.push(place.value)
  assert.deepStrictEqual(line.members, values)
  return values.join("")
}

describe("Line", () => {
  it("is in the order in which its members came, whoever leaves", () => {
    for (const leaving of ["a", "b", "c", "d", "ad", "da", "bc", "abcd", "dcba", "cadb"]) {
      const line = new Line<string>()
      const places = new Map(["a", "b", "c", "d"].map((name) => [name, line.join(name)]))
      for (const name of leaving) assert.isTrue(line.leave(places.get(name)!))
      const left = ["a", "b", "c", "d"].filter((name) => !leaving.includes(name)).join("")
      assert.strictEqual(members(line), left)
      line.join("e")
      assert.strictEqual(members(line), `${left}e`)
    }
  })

  it("is left once", () => {
    const line = new Line<string>()
    const first = line.join("a")
    line.join("b")
    assert.isTrue(line.leave(first))
    assert.isFalse(line.leave(first))
    assert.strictEqual(members(line), "b")
  })

  it("has no way from who has left to who is in it", () => {
    const line = new Line<string>()
    const [a, b] = [line.join("a"), line.join("b")]
    line.join("c")
    line.leave(b)
    line.leave(a)
    assert.deepStrictEqual([a.before, a.after, b.before, b.after], [undefined, undefined, undefined, undefined])
  })
})

describe("Table", () => {
  it("has what was set and not deleted, and nothing else", () => {
    const table = new Table<number>()
    for (const key of ["a", "__proto__", "constructor", "0"]) {
      assert.isUndefined(table.get(key))
      table.set(key, 1)
      table.set(key, 2)
      assert.strictEqual(table.get(key), 2)
      table.delete(key)
      assert.isUndefined(table.get(key))
    }
  })
})
