import { assert, describe, it } from "@effect/vitest"
import type { Answer, Found, LinkedRecord, Place, Question } from "../../../src/internal/linkedLog/remote.ts"
import { makeTold, type News } from "../../../src/internal/linkedLog/told.ts"
import { makeRandom } from "../../random.ts"

const record = (position: number, previous: number, ...tags: ReadonlyArray<string>): LinkedRecord => ({
  id: `${position}-0`,
  previous: `${previous}-0`,
  history: "one",
  position,
  tags
})

const foreign = (id: string): Found => ({ id, problem: "no record" })

const endOf = ({ history, id, position, previous }: LinkedRecord): Answer["end"] => ({
  id,
  position,
  previous,
  history
})

const answer = (end: LinkedRecord, records: ReadonlyArray<Found>, rest: Partial<Answer> = {}): Answer => ({
  time: end.position,
  intact: true,
  end: endOf(end),
  appended: undefined,
  records,
  ...rest
})

const question = (cursor: Place | undefined, append?: ReadonlyArray<string>): Question => ({ cursor, known: 0, append })

const listen = () => {
  const news: Array<string> = []
  const problems: Array<string> = []
  const told = makeTold(
    (change: News) =>
      news.push(change._tag === "Gap" ? `gap ${change.position}` : `${change.position} ${change.tags.join()}`),
    (problem) => problems.push(problem)
  )
  return { told, news, problems }
}

// The log that most tests begin with.
const [a, b, c, d] = [record(10, 5, "a"), record(20, 10, "b"), record(30, 20, "c"), record(40, 30, "d")] as const

/** One that has been told everything up to `b`. */
const following = () => {
  const listening = listen()
  assert.isTrue(listening.told.hear(question(undefined), answer(b, [a, b])))
  listening.news.length = 0
  return listening
}

describe("makeTold", () => {
  it("knows everything from the predecessor of the oldest record on", () => {
    const { news, told } = listen()
    assert.isFalse(told.hasTold("0-0"))
    assert.isTrue(told.hear(question(undefined), answer(b, [a, b])))
    assert.deepStrictEqual(news, ["gap 5", "10 a", "20 b"])
    assert.isTrue(told.hasTold(b.id))
    assert.strictEqual(told.known(), 20)
  })

  it("is told of nothing by those who wait before it has joined", () => {
    const { news, told } = listen()
    assert.isFalse(told.take([c]))
    assert.deepStrictEqual(news, [])
    assert.isUndefined(told.cursor())
  })

  it("reads page by page", () => {
    const { news, told } = listen()
    assert.isFalse(told.hear(question(undefined), answer(c, [a])))
    assert.isFalse(told.hear(question(a), answer(d, [b, c])))
    assert.isTrue(told.hear(question(c), answer(d, [d])))
    assert.deepStrictEqual(news, ["gap 5", "10 a", "20 b", "30 c", "40 d"])
  })

  it("tells nothing twice", () => {
    const { news, told } = following()
    assert.isTrue(told.take([a, b, c]))
    assert.isTrue(told.take([c]))
    assert.isTrue(told.hear(question(b), answer(c, [c])))
    assert.deepStrictEqual(news, ["30 c"])
  })

  it("tells a gap up to a record whose predecessor it has not seen", () => {
    const { news, told } = following()
    assert.isTrue(told.hear(question(b), answer(d, [d])))
    assert.deepStrictEqual(news, ["gap 40", "40 d"])
  })

  it("leaves it to the log to judge what does not continue what it knows, and stays where it is until then", () => {
    const { news, told } = following()
    assert.isFalse(told.take([d]))
    assert.isFalse(told.take([c, record(60, 50)]))
    assert.deepStrictEqual(news, ["30 c"])
    assert.strictEqual(told.cursor(), c)
    assert.strictEqual(told.seen(), c.id)
  })

  it("leaves it to the log to judge what follows the same place in another history", () => {
    const { news, told } = following()
    assert.isFalse(told.take([{ ...c, history: "another" }]))
    assert.deepStrictEqual(news, [])
    assert.strictEqual(told.cursor(), b)
    // The log knows that it follows.
    assert.isTrue(told.hear(question(b), answer(c, [{ ...c, history: "another" }])))
    assert.deepStrictEqual(news, ["30 c"])
  })

  it("tells a gap up to the end where what it knows is not in the log", () => {
    const { news, told } = following()
    assert.isTrue(told.hear(question(b), answer(d, [], { intact: false })))
    assert.deepStrictEqual(news, ["gap 40"])
    assert.isTrue(told.take([c, d, record(50, 40, "e")]))
    assert.deepStrictEqual(news, ["gap 40", "50 e"])
  })

  it("tells what it has appended without reading it", () => {
    const { news, told } = following()
    assert.isTrue(told.hear(question(b, ["mine"]), answer(c, [], { appended: 30 })))
    assert.deepStrictEqual(news, ["30 mine"])
  })

  it("tells what was appended before first, and only then its own", () => {
    const { news, told } = following()
    assert.isTrue(told.hear(question(b, ["mine"]), answer(d, [c], { appended: 40 })))
    assert.deepStrictEqual(news, ["30 c", "40 mine"])
  })

  it("does not tell its own where there is more before it than fits on a page", () => {
    const { news, told } = following()
    assert.isFalse(told.hear(question(b, ["mine"]), answer(record(50, 40), [c], { appended: 50 })))
    assert.deepStrictEqual(news, ["30 c"])
    assert.strictEqual(told.known(), 50)
  })

  it("applies answers in whatever order they come", () => {
    const { news, told } = following()
    // Both asked at `b`, the second was answered later and comes first.
    assert.isTrue(told.hear(question(b, ["d"]), answer(d, [c], { appended: 40 })))
    assert.isTrue(told.hear(question(b, ["c"]), answer(c, [], { appended: 30 })))
    assert.deepStrictEqual(news, ["30 c", "40 d"])
  })

  it("takes an answer that comes after a later record was told for what it was asked about", () => {
    const { news, told } = following()
    told.take([c, d])
    // There is more than `c` in the answer's page, and it reached its end before `d` was there.
    assert.isTrue(told.hear(question(b), answer(c, [c])))
    assert.deepStrictEqual(news, ["30 c", "40 d"])
  })

  it("asks again about what it was told since it asked, where the answer does not continue that", () => {
    for (const late of [answer(d, [], { intact: false }), answer(record(50, 40), [record(50, 40)])]) {
      const { news, told } = following()
      assert.isTrue(told.take([c]))
      assert.isFalse(told.hear(question(b), late))
      assert.deepStrictEqual(news, ["30 c"])
      assert.strictEqual(told.cursor(), c)
    }
  })

  it("tells one gap for all who asked before it", () => {
    const { news, told } = following()
    assert.isTrue(told.hear(question(b), answer(d, [], { intact: false })))
    assert.isFalse(told.hear(question(b, ["e"]), answer(record(50, 40), [], { intact: false, appended: 50 })))
    assert.isTrue(told.hear(question(d), answer(record(50, 40, "e"), [record(50, 40, "e")])))
    assert.deepStrictEqual(news, ["gap 40", "50 e"])
  })

  it("ignores and counts once what is no record", () => {
    const { news, problems, told } = following()
    assert.isFalse(told.take([foreign("20-1"), foreign("25-0")]))
    assert.isTrue(told.hear(question(b), answer(c, [foreign("20-1"), foreign("25-0"), c])))
    assert.deepStrictEqual(news, ["30 c"])
    assert.strictEqual(problems.length, 2)
    assert.strictEqual(told.seen(), c.id)
  })

  it("does not let something foreign hide that records are missing", () => {
    const { news, told } = following()
    // `c` was deleted behind its back.
    assert.isFalse(told.take([foreign("35-0"), d]))
    assert.deepStrictEqual(news, [])
    assert.isTrue(told.hear(question(b), answer(d, [foreign("35-0"), d])))
    assert.deepStrictEqual(news, ["gap 40", "40 d"])
  })

  it("has read everything where the end itself is foreign", () => {
    const { news, told } = following()
    const end = { ...record(30, 20), previous: "" }
    assert.isTrue(told.hear(question(b), answer(end, [foreign("30-0")])))
    assert.deepStrictEqual(news, [])
  })

  it("makes a gap of a page of nothing but foreign things, and of an end that is not there", () => {
    for (const records of [[foreign("20-1"), foreign("20-2")], []]) {
      const { news, told } = following()
      assert.isTrue(told.hear(question(b), answer(d, records)))
      assert.deepStrictEqual(news, ["gap 40"])
    }
    const { news, told } = listen()
    assert.isTrue(told.hear(question(undefined), answer(d, [foreign("1-0")])))
    assert.deepStrictEqual(news, ["gap 40"])
  })

  it("reads on at the end of the log after it has seen something from far in the future", () => {
    const { told } = following()
    told.take([foreign("99999-0")])
    assert.strictEqual(told.seen(), "99999-0")
    assert.isTrue(told.hear(question(b), answer(d, [], { intact: false })))
    assert.strictEqual(told.seen(), d.id)
  })

  // A log with trims, losses and lost tails; questions that are answered at some moment, and answers that come in any order.
  it("has told of everything that was in the log when it was asked, in every order of events", () => {
    for (let seed = 0; seed < 1000; seed++) {
      const random = makeRandom(seed)
      let log: Array<LinkedRecord> = [record(100, 0)]
      // All that were ever in the log, with whether their loss was told by a later root.
      const all: Array<LinkedRecord> = [...log]
      let now = 100
      const append = (tags: ReadonlyArray<string>, step = 1) => {
        now += step
        const made = record(now, log.at(-1)?.position ?? 0, ...tags)
        log.push(made)
        all.push(made)
        return made
      }
      const ask = ({ append: tags, cursor }: Question): Answer => {
        if (cursor !== undefined && Number.parseInt(cursor.id) > log.at(-1)!.position) append([], 100)
        const made = tags === undefined ? undefined : append(tags)
        const end = log.at(-1)!
        const at = log.findIndex(({ id }) => id === cursor?.id)
        const intact = at !== -1 || log[0]!.previous === cursor?.id
        const page = 1 + random.below(4)
        const records = cursor === undefined ? log : intact ? log.slice(at + 1) : []
        return answer(end, records.slice(0, page), { intact, appended: made?.position })
      }
      const marks = new Map<string, number>()
      let floor = 0
      const told = makeTold((news) => {
        if (news._tag === "Gap" || news.tags.length === 0) floor = Math.max(floor, news.position)
        else for (const tag of news.tags) marks.set(tag, Math.max(marks.get(tag) ?? 0, news.position))
      }, () => {})
      const onTheirWay: Array<() => void> = []
      let tags = 0
      for (let step = 0; step < 40; step++) {
        switch (random.below(9)) {
          case 0:
          case 1:
            append([`tag${++tags}`])
            break
          case 2:
          case 3: {
            const before = all.length
            const asked = question(told.cursor(), random.below(3) === 0 ? [`tag${++tags}`] : undefined)
            const answered = ask(asked)
            onTheirWay.push(() => {
              if (!told.hear(asked, answered)) return
              for (const { position, tags } of all.slice(0, before)) {
                assert.isTrue(
                  position <= floor || tags.every((tag) => (marks.get(tag) ?? 0) >= position),
                  `seed ${seed}, step ${step}: ${position} ${tags.join()}`
                )
              }
            })
            break
          }
          case 4: {
            const after = Number.parseInt(told.seen())
            const records = log.filter(({ position }) => position > after).slice(0, 1 + random.below(3))
            onTheirWay.push(() => told.take(records))
            break
          }
          case 5:
            log = log.slice(-1 - random.below(4))
            break
          case 6:
            // Its tail is lost, or all of it, and another server vouches for what is left.
            if (random.below(4) === 0) {
              log = log.slice(0, random.below(log.length))
              append([], 100)
            }
            break
          default:
            if (onTheirWay.length > 0) onTheirWay.splice(random.below(onTheirWay.length), 1)[0]!()
        }
      }
    }
  })
})
