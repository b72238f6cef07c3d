import { assert, describe, it } from "@effect/vitest"
import { makeMarks } from "../../src/internal/marks.ts"

// A list of tags that counts how often one of them is looked at.
const watched = (tags: ReadonlyArray<string>) => {
  let looks = 0
  const proxy = new Proxy(tags, {
    get: (target, property, receiver) => {
      if (typeof property === "string" && /^\d+$/.test(property)) looks++
      return Reflect.get(target, property, receiver)
    }
  })
  return { tags: proxy, looks: () => looks, reset: () => void (looks = 0) }
}

const many = (count: number) => Array.from({ length: count }, (_, n) => `user:${n}:orders`).toSorted()

describe("makeMarks", () => {
  it("looks at no tag of a subject in an unchanged world (scenario 16)", () => {
    const marks = makeMarks(100_000, 1024)
    marks.gap(10)
    for (let n = 0; n < 1000; n++) marks.apply({ tags: [`other:${n}`], position: 11 + n })
    const { looks, reset, tags } = watched(many(10_000))
    const subject = { tags, position: 2000, revision: -1 }
    assert.isTrue(marks.isValid(subject))
    reset()
    for (let n = 0; n < 1000; n++) assert.isTrue(marks.isValid(subject))
    assert.strictEqual(looks(), 0)
  })

  it("looks at a few tags of a subject with 10 000 after one unrelated record (scenario 16)", () => {
    const marks = makeMarks(100_000, 1024)
    marks.gap(10)
    for (let n = 0; n < 50_000; n++) marks.apply({ tags: [`other:${n}`], position: 11 + n })
    const { looks, reset, tags } = watched(many(10_000))
    const subject = { tags, position: 60_000, revision: -1 }
    assert.isTrue(marks.isValid(subject))
    for (let n = 0; n < 100; n++) {
      marks.apply({ tags: [`unrelated:${n}`], position: 60_001 + n })
      reset()
      assert.isTrue(marks.isValid(subject))
      assert.isAtMost(looks(), 64)
    }
    marks.apply({ tags: ["user:77"], position: 70_000 })
    assert.isFalse(marks.isValid(subject))
  })

  it("looks at few tags when a subject with 10 000 is seen first and few marks exist", () => {
    const marks = makeMarks(100_000, 1024)
    marks.gap(10)
    marks.apply({ tags: ["other"], position: 20 })
    const { looks, tags } = watched(many(10_000))
    assert.isTrue(marks.isValid({ tags, position: 15, revision: -1 }))
    assert.isAtMost(looks(), 64)
  })

  it("looks at each tag once when a subject with few tags was not seen during many records", () => {
    const marks = makeMarks(100_000, 1024)
    marks.gap(10)
    const { looks, reset, tags } = watched(["user:1:orders", "user:2"])
    const subject = { tags, position: 15, revision: -1 }
    assert.isTrue(marks.isValid(subject))
    for (let n = 0; n < 1000; n++) marks.apply({ tags: [`other:${n}`], position: 20 + n })
    reset()
    assert.isTrue(marks.isValid(subject))
    assert.isAtMost(looks(), 8)
  })

  it("remembers for a subject that it was found invalid nowhere, so that it stays invalid", () => {
    const marks = makeMarks(2, 2)
    marks.gap(10)
    const subject = { tags: ["a"], position: 15, revision: -1 }
    assert.isTrue(marks.isValid(subject))
    marks.apply({ tags: ["a"], position: 20 })
    for (let n = 0; n < 20; n++) {
      assert.isFalse(marks.isValid(subject))
      marks.apply({ tags: [`b:${n}`], position: 21 + n })
    }
    assert.isFalse(marks.isValid(subject))
  })

  it("goes back to a full check when more was recorded than it keeps, wherever in its memory that begins", () => {
    for (let recent = 1; recent <= 5; recent++) {
      for (let before = 0; before <= 7; before++) {
        for (let after = 1; after <= 7; after++) {
          const marks = makeMarks(1000, recent)
          marks.gap(10)
          for (let n = 0; n < before; n++) marks.apply({ tags: [`x:${n}`], position: 11 + n })
          const subject = { tags: many(100), position: 50, revision: -1 }
          assert.isTrue(marks.isValid(subject))
          marks.apply({ tags: ["user:42"], position: 60 })
          for (let n = 1; n < after; n++) marks.apply({ tags: [`y:${n}`], position: 60 + n })
          assert.isFalse(marks.isValid(subject), `${recent} ${before} ${after}`)
        }
      }
    }
  })
})
