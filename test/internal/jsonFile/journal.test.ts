import { assert, describe, it } from "@effect/vitest"
import { checksum } from "../../../src/internal/jsonFile/checksum.ts"
import { journalLine, type JournalRecord, readJournal, replay } from "../../../src/internal/jsonFile/journal.ts"
import type { Kept, Loaded } from "../../../src/internal/jsonFile/kept.ts"
import { makeRandom } from "../../random.ts"
import { anyEntry, makeTerms, storedPart } from "../../suites/entries.ts"
import { asInFile } from "./asInFile.ts"

const bytesOf = (text: string) => new TextEncoder().encode(text)
const journalOf = (...records: ReadonlyArray<JournalRecord>) => bytesOf(records.map(journalLine).join(""))
const recordsOf = (bytes: Uint8Array) => readJournal(bytes).records.map(({ record }) => record)

const entryOf = (key: string, options?: Partial<Kept>): Kept => ({
  key,
  fingerprint: "f",
  body: JSON.stringify(key),
  head: undefined,
  tags: [],
  createdAt: 5,
  expiresAt: Infinity,
  ...options
})

const set = (key: string, ...tags: ReadonlyArray<string>): JournalRecord => ({ set: entryOf(key, { tags }) })

const every: ReadonlyArray<JournalRecord> = [
  { base: "d1" },
  set("a", "user:7"),
  { set: entryOf("ü\t{}", { body: Uint8Array.of(1, 255), head: { status: 200, headers: { a: "b" } }, expiresAt: 9 }) },
  { set: entryOf("failed", { failed: true, expiresAt: 9, terms: makeTerms(9, { errorUntil: Infinity, usedAt: 5 }) }) },
  { set: entryOf("idle", { terms: makeTerms(Infinity, { idle: 0.5, eager: 7, usedAt: 5 }) }) },
  { remove: "a\n\u2028" },
  { invalidate: ["user:7", "user:8"] },
  { invalidate: [] },
  { clear: true },
  { fold: { file: "d2", through: 3 } }
]

describe("readJournal", () => {
  it("reads every record as it was written, one on each line", () => {
    const bytes = journalOf(...every)
    const { complete, damaged, lines, records } = readJournal(bytes)
    assert.deepStrictEqual(records, every.map((record, line) => ({ line, record })))
    assert.deepStrictEqual({ complete, damaged, lines }, { complete: bytes.length, damaged: 0, lines: every.length })
    assert.strictEqual(journalLine({ remove: "a" }), "aaa10d5a {\"remove\":\"a\"}\n")
  })

  it.prop("reads any entry as it was written", [anyEntry], ([entry]) => {
    const [record] = recordsOf(journalOf({ set: entry }))
    assert.isTrue(record !== undefined && "set" in record)
    if (record === undefined || !("set" in record)) return
    assert.deepStrictEqual(storedPart({ ...record.set, position: 0 }), { ...storedPart(asInFile(entry)), position: 0 })
    const more = (entry.failed ? 1 : 0) + (asInFile(entry).terms === undefined ? 0 : 1)
    assert.deepStrictEqual(Object.keys(record.set).length, 7 + more)
  })

  it("writes an entry without terms as it always did", () => {
    const line = journalLine({ set: entryOf("a", { expiresAt: 9 }) })
    const json = `{"set":{"key":"a","fingerprint":"f","body":"\\"a\\"","tags":[],"createdAt":5,"expiresAt":9}}`
    assert.strictEqual(line.slice(9), `${json}\n`)
    const plain = entryOf("a", { expiresAt: 9, failed: false, terms: makeTerms(9, { usedAt: 7 }) })
    assert.strictEqual(journalLine({ set: plain }), line)
  })

  it("reads nothing of an empty journal", () => {
    assert.deepStrictEqual(readJournal(bytesOf("")), { records: [], damaged: 0, lines: 0, complete: 0 })
  })

  it("drops what was being written when the writer died, wherever that was (scenario 68)", () => {
    const bytes = journalOf(...every)
    const ends = Array.from(bytes.entries()).flatMap(([index, byte]) => byte === 10 ? [index + 1] : [])
    for (let length = 0; length <= bytes.length; length++) {
      const whole = ends.filter((end) => end <= length)
      const { complete, damaged, lines, records } = readJournal(bytes.subarray(0, length))
      assert.deepStrictEqual(records.map(({ record }) => record), every.slice(0, whole.length))
      assert.deepStrictEqual({ complete, damaged, lines }, {
        complete: whole.at(-1) ?? 0,
        damaged: 0,
        lines: whole.length
      })
    }
  })

  it("drops a last line that has its end but not its content, and zeros after the last", () => {
    const bytes = journalOf(...every.slice(0, 2))
    for (const rest of ["\n", "deadbeef {\"remove\":\"a\"}\n", "\u0000".repeat(100), "\u0000\u0000\n", "x\ny\n{}"]) {
      const { complete, damaged, records } = readJournal(Uint8Array.from([...bytes, ...bytesOf(rest)]))
      assert.deepStrictEqual({ complete, damaged, records: records.length }, {
        complete: bytes.length,
        damaged: 0,
        records: 2
      })
    }
  })

  it("passes over damaged lines in the middle, counts them, and keeps the numbers of the others", () => {
    const [first, second, third] = every.slice(1, 4).map((record) => Array.from(journalOf(record)))
    const damagedBytes = Uint8Array.from([
      ...first!,
      ...second!.slice(0, 20),
      255,
      254,
      ...second!.slice(20),
      10,
      ...third!
    ])
    const { complete, damaged, lines, records } = readJournal(damagedBytes)
    assert.deepStrictEqual(records.map(({ line }) => line), [0, 3])
    // Not the length of the decoded text: what is no UTF-8 decodes to longer characters.
    assert.deepStrictEqual({ complete, damaged, lines }, { complete: damagedBytes.length, damaged: 2, lines: 4 })
  })

  it("finds every change of a byte", () => {
    const bytes = journalOf(...every)
    const whole = recordsOf(bytes).map((record) => JSON.stringify(record))
    for (let index = 0; index < bytes.length; index++) {
      for (const flip of [1, 32, 128]) {
        const changed = Uint8Array.from(bytes)
        changed[index]! ^= flip
        const { records } = readJournal(changed)
        assert.isBelow(records.length, whole.length)
        assert.isAtLeast(records.length, whole.length - 2)
        assert.isTrue(records.every(({ record }) => whole.includes(JSON.stringify(record))))
      }
    }
  })

  it("passes over a record that it does not know, and bytes that are none", () => {
    const line = journalLine({ remove: "a" })
    const unknown = ["{\"set\":{\"key\":\"a\",\"tags\":[],\"base64\":\"?\"}}", "{\"merge\":1}", "[]", "5", "null", "{"]
      .map((json) => `${checksum([json])} ${json}\n`)
    assert.deepStrictEqual(recordsOf(bytesOf([line, ...unknown, line].join(""))), [{ remove: "a" }, { remove: "a" }])
  })
})

const loaded = (key: string, options?: Partial<Loaded>): Loaded => ({ ...entryOf(key), edited: false, ...options })
const numbered = (records: ReadonlyArray<JournalRecord>) => records.map((record, line) => ({ line, record }))
const keysAfter = (base: ReadonlyArray<Loaded>, ...records: ReadonlyArray<JournalRecord>) =>
  Array.from(replay(base, "d1", numbered([{ base: "d1" }, ...records])).entries.keys()).toSorted()

const plainly = (base: ReadonlyArray<Loaded>, records: ReadonlyArray<JournalRecord>): ReadonlyArray<string> => {
  const tagsOf = new Map(base.map(({ key, tags }) => [key, tags]))
  for (const record of records) {
    if ("set" in record) tagsOf.set(record.set.key, record.set.tags)
    if ("remove" in record) tagsOf.delete(record.remove)
    if ("clear" in record) tagsOf.clear()
    if (!("invalidate" in record)) continue
    for (const [key, tags] of tagsOf) {
      const ended = tags.some((tag) => record.invalidate.some((above) => `${tag}:`.startsWith(`${above}:`)))
      if (ended || record.invalidate.length === 0) tagsOf.delete(key)
    }
  }
  return Array.from(tagsOf.keys()).toSorted()
}

describe("replay", () => {
  it("puts, removes and clears in order", () => {
    assert.deepStrictEqual(keysAfter([loaded("a"), loaded("b")], set("c"), { remove: "a" }), ["b", "c"])
    assert.deepStrictEqual(keysAfter([loaded("a")], { remove: "a" }, set("a")), ["a"])
    assert.deepStrictEqual(keysAfter([loaded("a")], set("b"), { clear: true }, set("c")), ["c"])
  })

  it("takes the entry of the journal before that of the file, and the last before those above it", () => {
    const { belongs, entries, kept } = replay(
      [loaded("a", { edited: true })],
      "d1",
      numbered([{ base: "d1" }, set("a", "x"), set("a", "y")])
    )
    assert.deepStrictEqual(entries.get("a"), { ...entryOf("a", { tags: ["y"] }), edited: false })
    assert.deepStrictEqual({ belongs, kept }, { belongs: true, kept: [] })
  })

  it("ends what was stored before an invalidation of its tags, not what was stored after it", () => {
    const base = [loaded("a", { tags: ["user:7:orders"] }), loaded("b", { tags: ["user:70"] })]
    assert.deepStrictEqual(keysAfter(base, { invalidate: ["user:7"] }), ["b"])
    assert.deepStrictEqual(keysAfter(base, set("c", "user:7"), { invalidate: ["user:7", "user:70"] }), [])
    assert.deepStrictEqual(keysAfter(base, { invalidate: ["user:7"] }, set("a", "user:7")), ["a", "b"])
    assert.deepStrictEqual(keysAfter(base, set("c"), { invalidate: [] }, set("d", "user:7")), ["d"])
    assert.deepStrictEqual(keysAfter(base, { invalidate: ["user"] }, set("d", "user:7"), { invalidate: ["x"] }), ["d"])
    assert.deepStrictEqual(keysAfter(base, set("a"), { invalidate: ["user:7"] }), ["a", "b"])
  })

  it("ends entries of the file also by the first line of a journal that has lost its start", () => {
    const records = numbered([{ invalidate: ["x"] }, { invalidate: [] }]).slice(0, 1)
    assert.deepStrictEqual(Array.from(replay([loaded("a", { tags: ["x"] })], "d1", records).entries.keys()), [])
  })

  it("skips what the file already holds, and only that", () => {
    const records = numbered([
      { base: "d0" },
      set("a", "x"),
      { invalidate: ["x"] },
      { fold: { file: "d1", through: 3 } },
      set("b"),
      { fold: { file: "d2", through: 5 } },
      { remove: "c" }
    ])
    const base = [loaded("a", { tags: ["x"] }), loaded("c")]
    const after = (digest: string) => {
      const { belongs, entries } = replay(base, digest, records)
      return { belongs, keys: Array.from(entries.keys()).toSorted() }
    }
    assert.deepStrictEqual(after("d0"), { belongs: true, keys: ["b"] })
    assert.deepStrictEqual(after("d1"), { belongs: true, keys: ["a", "b"] })
    assert.deepStrictEqual(after("d2"), { belongs: true, keys: ["a"] })
    assert.deepStrictEqual(after("d3"), { belongs: false, keys: ["b"] })
  })

  it("counts damaged lines where it skips", () => {
    const written: ReadonlyArray<JournalRecord> = [
      { base: "d0" },
      set("a"),
      set("b"),
      { fold: { file: "d1", through: 3 } }
    ]
    const lines = written.map(journalLine)
    const { records } = readJournal(bytesOf(lines.with(1, "damaged\n").join("")))
    assert.deepStrictEqual(Array.from(replay([loaded("a")], "d1", records).entries.keys()), ["a"])
  })

  it("keeps the edits of a file that was changed while nobody was watching (scenario 69)", () => {
    const base = ["set", "removed", "same"].map((key) => loaded(key, { edited: true, body: "9" }))
    const ended = loaded("ended", { edited: true, tags: ["x"] })
    const records = numbered([
      { base: "d0" },
      set("set"),
      { remove: "removed" },
      { invalidate: ["x"] },
      set("new"),
      set("plain")
    ])
    const { belongs, entries, kept } = replay([...base, ended, loaded("plain", { body: "9" })], "d1", records)
    assert.isFalse(belongs)
    assert.deepStrictEqual(Array.from(kept), ["set", "removed"])
    assert.deepStrictEqual(
      new Map(Array.from(entries.values(), ({ body, key }) => [key, body])),
      new Map([
        ["set", "9"],
        ["same", "9"],
        ["new", "\"new\""],
        ["plain", "\"plain\""],
        ["removed", "9"]
      ])
    )
  })

  it("belongs to every file when it is empty, and to none when nothing says to which", () => {
    assert.isTrue(replay([], "d1", []).belongs)
    assert.isFalse(replay([], "d1", numbered([set("a")])).belongs)
  })

  it("is the same as looking at every entry for each record", () => {
    const random = makeRandom(11)
    const tags = ["a", "a:1", "a:1:x", "a:10", "b", "b:1"]
    const record = (): JournalRecord =>
      random.pick<() => JournalRecord>([
        () => set(random.pick(["k", "l", "m", "n"]), ...new Set([random.pick(tags), random.pick(tags)].toSorted())),
        () => ({ remove: random.pick(["k", "l", "m", "n"]) }),
        () => ({ invalidate: [random.pick(tags)] }),
        () => random.pick([{ clear: true }, { invalidate: [] }, { invalidate: ["a", "b:1"] }] as const)
      ])()
    for (let round = 0; round < 500; round++) {
      const records = Array.from({ length: random.below(12) }, record)
      const base = [loaded("k", { tags: ["a:1"] }), loaded("o", { tags: ["b"] })]
      assert.deepStrictEqual(keysAfter(base, ...records), plainly(base, records))
    }
  })

  it("goes through many records and entries without going over one for each of the other", () => {
    const random = makeRandom(3)
    const records: Array<JournalRecord> = [{ base: "d1" }]
    for (let n = 0; n < 100_000; n++) {
      records.push(n % 2 === 0 ? set(`k${n}`, `a:${n % 1000}`, `b:${n}`) : { invalidate: [`b:${random.below(n)}`] })
    }
    const { entries } = replay([], "d1", numbered(records))
    assert.isAbove(entries.size, 25_000)
    assert.isBelow(entries.size, 50_000)
  })
})
