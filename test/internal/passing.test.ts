import { assert, describe, it } from "@effect/vitest"
import { Line, Place, Table } from "../../src/internal/passing.ts"

const namesIn = (line: Line<Place<string>>) => {
  const names: Array<string> = []
  for (let one = line.first; one !== undefined; one = one.after) names.push(one.value)
  assert.deepStrictEqual(line.members.map(({ value }) => value), names)
  assert.strictEqual(line.size, names.length)
  return names.join("")
}

describe("Line", () => {
  it("is in the order in which its members came, whoever leaves", () => {
    for (const leaving of ["", "a", "b", "c", "d", "ad", "da", "bc", "abcd", "dcba", "cadb"]) {
      const line = new Line<Place<string>>()
      const all = ["a", "b", "c", "d"].map((name) => new Place(name))
      for (const one of all) line.join(one)
      for (const name of leaving) assert.isTrue(line.leave(all.find(({ value }) => value === name)!))
      const left = ["a", "b", "c", "d"].filter((name) => !leaving.includes(name)).join("")
      assert.strictEqual(namesIn(line), left)
      line.join(new Place("e"))
      assert.strictEqual(namesIn(line), `${left}e`)
    }
  })

  it("is left once, and only by who is in it", () => {
    const [line, other] = [new Line<Place<string>>(), new Line<Place<string>>()]
    const mine = new Place("a")
    line.join(mine)
    assert.deepStrictEqual([line.has(mine), other.has(mine), other.leave(mine)], [true, false, false])
    assert.deepStrictEqual([line.leave(mine), line.leave(mine), line.has(mine), line.size], [true, false, false, 0])
    other.join(mine)
    assert.deepStrictEqual([line.has(mine), other.has(mine), namesIn(other)], [false, true, "a"])
  })

  it("has no way from who has left to who is in it", () => {
    const line = new Line<Place<string>>()
    const [a, b, c] = [new Place("a"), new Place("b"), new Place("c")]
    for (const one of [a, b, c]) line.join(one)
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
