import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { type Document, parseDocument, renderDocument } from "../../../src/internal/jsonFile/document.ts"
import type { Kept } from "../../../src/internal/jsonFile/kept.ts"
import { functionTag, keyTag } from "../../../src/internal/tagText.ts"
import { makeRandom } from "../../random.ts"
import { anyEntry, makeTerms, storedPart } from "../../suites/entries.ts"
import { asInFile } from "./asInFile.ts"

const now = 1_000_000

const ownTags = (key: string): ReadonlyArray<string> => {
  const tag = functionTag(key.slice(0, key.indexOf("\t")))
  return [tag, keyTag(tag, key.slice(key.indexOf("\t") + 1))]
}

const entryOf = (name: string, input: string, options?: Partial<Kept>): Kept => {
  const key = `${name}\t${input}`
  return {
    key,
    fingerprint: "0123456789abcdef",
    body: "[{\"city\":\"Algiers\",\"rank\":1}]",
    head: undefined,
    createdAt: Date.UTC(2026, 10, 22, 5, 57, 12, 123),
    expiresAt: Infinity,
    ...options,
    tags: [...ownTags(key), ...options?.tags ?? []].toSorted()
  }
}

const cities = entryOf("standings", "{\"continent\":\"AF\",\"measure\":\"cities\"}", { tags: ["country:DZ:cities"] })
const area = entryOf("standings", "{\"continent\":\"AF\",\"measure\":\"area\"}", { body: "42" })
const report = entryOf("report", "{}", { expiresAt: Date.UTC(2027, 0, 1) })
const failure = entryOf("f", "{}", {
  failed: true,
  expiresAt: Date.UTC(2027, 0, 1),
  terms: makeTerms(Date.UTC(2027, 0, 1), {
    staleUntil: Date.UTC(2027, 0, 2),
    errorUntil: Infinity,
    keptUntil: Date.UTC(2027, 0, 3),
    idle: 60_000,
    eager: 12.5,
    usedAt: Date.UTC(2026, 11, 31)
  })
})

const sealIn = (text: string) => /"seal": "([0-9a-f]+)"/.exec(text)?.[1]
const textOf = (...entries: ReadonlyArray<Kept>): string => Array.from(renderDocument(entries)).join("")
const read = (text: string): Document => Result.getOrThrow(parseDocument(text, now))
const refused = (text: string) => Result.getOrThrow(Result.flip(parseDocument(text, now)))

const part = (entry: Kept) => storedPart(asInFile({ ...entry, position: 0 }))
const byKey = (one: Kept, other: Kept) => one.key < other.key ? -1 : 1
const assertEntries = (document: Document, expected: ReadonlyArray<Kept>) => {
  assert.deepStrictEqual(document.entries.toSorted(byKey).map(part), expected.toSorted(byKey).map(part))
}
const assertWhole = (document: Document) => {
  assert.deepStrictEqual(document.problems, [])
  assert.strictEqual(document.broken, undefined)
}

const sample = textOf(cities, report, area)

describe("renderDocument", () => {
  it("writes functions and keys in order, with value, tags and time", () => {
    const seals = Array.from(sample.matchAll(/"seal": "([0-9a-f]{12})"/g), (match) => match[1])
    assert.strictEqual(
      sample,
      `{
  "effect-cached": 1,
  "functions": {
    "report": {
      "()": {
        "value": [{ "city": "Algiers", "rank": 1 }],
        "tags": [],
        "createdAt": "2026-11-22T05:57:12.123Z",
        "expiresAt": "2027-01-01T00:00:00.000Z",
        "fingerprint": "0123456789abcdef",
        "seal": "${seals[0]}"
      }
    },
    "standings": {
      "continent=AF, measure=area": {
        "value": 42,
        "tags": [],
        "createdAt": "2026-11-22T05:57:12.123Z",
        "fingerprint": "0123456789abcdef",
        "seal": "${seals[1]}"
      },
      "continent=AF, measure=cities": {
        "value": [{ "city": "Algiers", "rank": 1 }],
        "tags": ["country:DZ:cities"],
        "createdAt": "2026-11-22T05:57:12.123Z",
        "fingerprint": "0123456789abcdef",
        "seal": "${seals[2]}"
      }
    }
  }
}
`
    )
    assert.strictEqual(new Set(seals).size, 3)
  })

  it("writes a file without entries, which is read as one", () => {
    assert.strictEqual(textOf(), "{\n  \"effect-cached\": 1,\n  \"functions\": {}\n}\n")
    assertWhole(read(textOf()))
    assertEntries(read(textOf()), [])
  })

  it("writes the same text whatever the order of the entries", () => {
    assert.strictEqual(textOf(area, cities, report), sample)
    assert.strictEqual(textOf(...read(sample).entries), sample)
  })

  it("writes one piece or so for each entry", () => {
    const entries = Array.from(
      { length: 100 },
      (_, n) => entryOf("f", `{"n":${n}}`, { body: JSON.stringify("x".repeat(1000)) })
    )
    const pieces = Array.from(renderDocument(entries))
    assert.isAtLeast(pieces.length, 100)
    for (const piece of pieces) assert.isBelow(piece.length, 1500)
  })

  it.prop("comes back as it was, and unedited, for any entries", [Arbitrary.array(anyEntry)], ([entries]) => {
    const unique = new Map(entries.map((entry) => [entry.key, entry]))
    const keyed = entries.map((entry, index) => ({
      ...storedPart(entry),
      head: entry.head,
      body: entry.body,
      key: `f${index % 3}\t${entry.key}${index}`,
      tags: index % 2 === 0 ? entry.tags : [...ownTags(`f${index % 3}\t${entry.key}${index}`), ...entry.tags].toSorted()
    }))
    const all = [...unique.values(), ...keyed]
    const text = textOf(...all)
    const document = read(text)
    assertWhole(document)
    assertEntries(document, all)
    assert.isTrue(document.entries.every((entry) => !entry.edited))
    assert.strictEqual(textOf(...document.entries), text)
  }, { arbitrary: { runs: 200 } })

  it.prop("keeps every JSON body as it is", [Schema.Json], ([value]) => {
    const entry = entryOf("f", "{}", { body: JSON.stringify({ value, "__proto__": value, "10": 1 }) })
    const document = read(textOf(entry))
    assertEntries(document, [entry])
    assert.isFalse(document.entries[0]!.edited)
  }, { arbitrary: { runs: 500 } })

  it.each([
    ["a value", "{\"b\":1,\"a\":[]}", undefined, "\"value\": { \"b\": 1, \"a\": [] }"],
    ["a value that has lost its format", "{ \"a\": 1 }", undefined, "\"text\": \"{ \\\"a\\\": 1 }\""],
    ["a number that JSON writes otherwise", "1.0", undefined, "\"text\": \"1.0\""],
    ["fields that JSON puts in another order", "{\"b\":1,\"1\":2}", undefined, "\"text\": "],
    ["a field twice", "{\"a\":1,\"a\":2}", undefined, "\"text\": "],
    ["what is no JSON", "<p>ü</p>", undefined, "\"text\": \"<p>ü</p>\""],
    ["nothing", "", undefined, "\"text\": \"\""],
    ["a lone surrogate", "\ud800", undefined, "\"text\": \"\\ud800\""],
    ["nesting that is too deep", "[".repeat(100_000) + "]".repeat(100_000), undefined, "\"text\": "],
    ["bytes that are a value", new TextEncoder().encode("[1]"), undefined, "\"value\": [1]"],
    ["bytes that are text", new TextEncoder().encode("\ufeffa"), undefined, "\"text\": \"\ufeffa\""],
    ["bytes that are no text", Uint8Array.of(255, 0), undefined, "\"base64\": \"/wA=\""],
    ["a response", "[1]", { status: 200, headers: { a: "b" } }, "\"text\": \"[1]\""]
  ])("writes %s so that it comes back", (_, body, head, expected) => {
    const entry = entryOf("f", "{}", { body, head })
    const text = textOf(entry)
    assert.include(text, `        ${expected}`)
    assertWhole(read(text))
    assertEntries(read(text), [entry])
    assert.isFalse(read(text).entries[0]!.edited)
  })

  it("writes the tags of inner functions, and says where the own tags are missing", () => {
    const inner = entryOf("f", "{}", { tags: ["%fn:g", "%fn:g:%7B%7D", ...ownTags(`g\t{"a":"${"x".repeat(200)}"}`)] })
    const without = { ...inner, tags: ["a", ...ownTags(inner.key).slice(0, 1)].toSorted() }
    for (const entry of [inner, without]) {
      assertWhole(read(textOf(entry)))
      assertEntries(read(textOf(entry)), [{ ...entry, tags: Array.from(new Set(entry.tags)) }])
    }
    assert.include(textOf(without), "\"implicit\": false")
    assert.notInclude(textOf(inner), "implicit")
    assert.notInclude(textOf(inner), "%fn:f")
  })

  it("keeps names and keys that objects have of themselves, and keys of no function", () => {
    const names = ["__proto__", "constructor", "toString", "", "hasOwnProperty"]
    const entries = names.flatMap((name) => [
      entryOf(name, "__proto__"),
      entryOf(name, ""),
      entryOf(name, "{\"__proto__\":1}", { body: "{\"__proto__\":{\"a\":1}}" }),
      { ...entryOf(name, "{}"), key: `${name}!`, tags: [] },
      { ...entryOf(name, "{}"), key: name, tags: ["a"] }
    ])
    const document = read(textOf(...entries))
    assertWhole(document)
    assertEntries(document, entries)
  })

  it("writes a failure, and what its policy says of its time, for people to read", () => {
    const text = textOf(failure)
    assert.include(
      text,
      `        "value": [{ "city": "Algiers", "rank": 1 }],
        "failed": true,
        "tags": [],
        "createdAt": "2026-11-22T05:57:12.123Z",
        "expiresAt": "2027-01-01T00:00:00.000Z",
        "staleUntil": "2027-01-02T00:00:00.000Z",
        "errorUntil": "forever",
        "keptUntil": "2027-01-03T00:00:00.000Z",
        "idle": 60000,
        "eager": 12.5,
        "fingerprint": "0123456789abcdef",
        "seal": "`
    )
    assertWhole(read(text))
    assertEntries(read(text), [failure])
    assert.isFalse(read(text).entries[0]!.edited)
    assert.strictEqual(
      read(text).entries[0]!.terms?.usedAt,
      failure.createdAt,
      "when it was last read is not in the file"
    )
    assert.strictEqual(textOf(...read(text).entries), text)
  })

  it("writes no terms that say nothing, and not when an entry was last read", () => {
    const { expiresAt } = report
    for (
      const entry of [
        { ...report, failed: false, terms: makeTerms(expiresAt) },
        { ...report, terms: makeTerms(expiresAt, { usedAt: 5 }) },
        { ...report, terms: makeTerms(0) }
      ]
    ) {
      assert.strictEqual(textOf(area, entry, cities), sample)
    }
  })

  it.each([
    ["a failure", { failed: true }],
    ["the end of staleness", { terms: makeTerms(report.expiresAt, { staleUntil: report.expiresAt + 1 }) }],
    ["the end after an error", { terms: makeTerms(report.expiresAt, { errorUntil: report.expiresAt + 1 }) }],
    ["the end of being kept", { terms: makeTerms(report.expiresAt, { keptUntil: report.expiresAt + 1 }) }],
    ["no end of staleness", { terms: makeTerms(report.expiresAt, { staleUntil: Infinity }) }],
    ["the time it lives unread", { terms: makeTerms(report.expiresAt, { idle: 1 }) }],
    ["the time of an early refresh", { terms: makeTerms(report.expiresAt, { eager: 1 }) }]
  ])("seals %s with the entry", (_, more) => {
    assert.notStrictEqual(sealIn(textOf({ ...report, ...more })), sealIn(textOf(report)))
  })

  it("gives entries without terms the seals that they had before there were any", () => {
    const seals = Array.from(sample.matchAll(/"seal": "([0-9a-f]{12})"/g), (match) => match[1])
    assert.deepStrictEqual(seals, ["24339effdcdc", "2eb9c118fb8a", "6db01e705091"])
  })

  it.each([0, -1, 8.64e15, -8.64e15, 8.64e15 + 1, 1.5, 253402300800000])("keeps the time %d", (time) => {
    const entry = entryOf("f", "{}", { createdAt: time, expiresAt: time })
    assertEntries(read(textOf(entry)), [entry])
  })
})

describe("parseDocument", () => {
  it("reads an entry that a person added: only its result has to be there (scenario 69)", () => {
    const text = `{ "effect-cached": 1, "functions": { "f": { "limit=10, city=Oran": { "value": [ 1, 2 ] } } } }`
    const document = read(text)
    assertWhole(document)
    const entry = entryOf("f", "{\"city\":\"Oran\",\"limit\":10}", {
      body: "[1,2]",
      fingerprint: "",
      createdAt: now
    })
    assertEntries(document, [entry])
    assert.isTrue(document.entries[0]!.edited)
  })

  it.each([
    ["a value", "42", "43"],
    ["a tag", "[\"country:DZ:cities\"]", "[\"country:DZ:cities\", \"b\", \"a\", \"b\"]"],
    ["an end", "\"expiresAt\": \"2027", "\"expiresAt\": \"2028"],
    ["a fingerprint", "\"fingerprint\": \"01", "\"fingerprint\": \"11"],
    ["a key", "\"continent=AF, measure=area\"", "\"continent=EU, measure=area\""],
    ["a failure", "\"value\": 42", "\"value\": 42, \"failed\": true"],
    ["the end of staleness", "\"value\": 42,", "\"value\": 42, \"expiresAt\": 1, \"staleUntil\": \"forever\","],
    ["the time it lives unread", "\"value\": 42", "\"value\": 42, \"idle\": 60000"]
  ])("tells that a person has edited %s (scenario 69)", (_, from, to) => {
    const document = read(sample.replace(from, to))
    assertWhole(document)
    assert.strictEqual(document.entries.length, 3)
    assert.strictEqual(document.entries.filter((entry) => entry.edited).length, 1)
    for (const { tags } of document.entries) assert.deepStrictEqual(tags, Array.from(new Set(tags)).toSorted())
  })

  it("takes an edit for a use of the entry, by which it lives on unread", () => {
    const text = textOf(failure).replace("\"idle\": 60000", "\"idle\": 60001")
    assert.strictEqual(read(text).entries[0]!.terms?.usedAt, now)
  })

  it("does not take another way to write the same for an edit", () => {
    const rewritten = [
      JSON.stringify(JSON.parse(sample)),
      JSON.stringify(JSON.parse(sample), undefined, "\t"),
      sample.replaceAll("\n", "\r\n"),
      `\ufeff${sample}`,
      sample.replaceAll("\"continent=AF, measure=area\"", "\"measure=area,continent=AF\""),
      sample.replaceAll("\"Algiers\"", "\"\\u0041lgiers\""),
      sample.replaceAll(/"createdAt": "[^"]*"/g, "\"createdAt\": 5")
    ]
    for (const text of rewritten) {
      const document = read(text)
      assertWhole(document)
      assert.deepStrictEqual(document.entries.map(({ body, edited }) => ({ body, edited })), [
        { body: "[{\"city\":\"Algiers\",\"rank\":1}]", edited: false },
        { body: "42", edited: false },
        { body: "[{\"city\":\"Algiers\",\"rank\":1}]", edited: false }
      ])
    }
  })

  const wrong: ReadonlyArray<
    readonly [what: string, from: string, to: string, field: string | undefined, message: string]
  > = [
    ["no result", "\"value\": 42,", "", undefined, "expected one of value, text, base64, found none"],
    ["two results", "\"value\": 42,", "\"value\": 42, \"text\": \"a\",", "text", "found value and text"],
    ["a text that is none", "\"value\": 42", "\"text\": 42", "text", "expected a text, found 42"],
    ["bytes that are none", "\"value\": 42", "\"base64\": \"?\"", "base64", "expected bytes in Base64"],
    ["an unknown field", "\"value\": 42", "\"value\": 42, \"valeu\": 1", "valeu", "found \"valeu\""],
    ["a value twice", "\"value\": 42", "\"value\": 42, \"value\": 43", "value", "found it more than once"],
    [
      "tags that are no list",
      "42,\n        \"tags\": []",
      "42, \"tags\": \"a\"",
      "tags",
      "expected a list of tags, found \"a\""
    ],
    [
      "a tag that is none",
      "42,\n        \"tags\": []",
      "42, \"tags\": [7]",
      "tags",
      "expected tags that are texts, found 7"
    ],
    [
      "a malformed tag",
      "42,\n        \"tags\": []",
      "42, \"tags\": [\"a b\"]",
      "tags",
      "\" \" at index 1 is not allowed"
    ],
    ["a time that is none", "\"value\": 42", "\"value\": 42, \"expiresAt\": \"soon\"", "expiresAt", "found \"soon\""],
    [
      "a day that is none",
      "\"value\": 42",
      "\"value\": 42, \"expiresAt\": \"2026-13-01\"",
      "expiresAt",
      "expected a time"
    ],
    [
      "a stale time that is none",
      "\"value\": 42",
      "\"value\": 42, \"staleUntil\": \"soon\"",
      "staleUntil",
      "expected a time such as \"2026-01-31T12:00:00.000Z\", milliseconds or \"forever\", found \"soon\""
    ],
    ["an end that is none", "\"value\": 42", "\"value\": 42, \"errorUntil\": null", "errorUntil", "found null"],
    ["a day that is too late", "\"value\": 42", "\"value\": 42, \"keptUntil\": 1e999", "keptUntil", "expected a time"],
    [
      "an entry that lives forever",
      "\"value\": 42",
      "\"value\": 42, \"expiresAt\": \"forever\"",
      "expiresAt",
      "or milliseconds"
    ],
    [
      "a duration that is a text",
      "\"value\": 42",
      "\"value\": 42, \"idle\": \"1 minute\"",
      "idle",
      "expected milliseconds, a number from 0, found \"1 minute\""
    ],
    ["a negative duration", "\"value\": 42", "\"value\": 42, \"eager\": -1", "eager", "found -1"],
    ["a duration without an end", "\"value\": 42", "\"value\": 42, \"idle\": 1e999", "idle", "expected milliseconds"],
    [
      "failed that is none",
      "\"value\": 42",
      "\"value\": 42, \"failed\": 1",
      "failed",
      "expected true or false, found 1"
    ],
    ["a head that is none", "\"value\": 42", "\"value\": 42, \"head\": []", "head", "found a list"],
    [
      "a status that is none",
      "\"value\": 42",
      "\"value\": 42, \"head\": { \"status\": 1, \"headers\": {} }",
      "head",
      "found 1"
    ],
    ["headers that are none", "\"value\": 42", "\"value\": 42, \"head\": { \"status\": 200 }", "head", "headers"],
    [
      "a header that is none",
      "\"value\": 42",
      "\"value\": 42, \"head\": { \"status\": 200, \"headers\": { \"a\": 1 } }",
      "head",
      "found 1"
    ],
    ["a strange head", "\"value\": 42", "\"value\": 42, \"head\": { \"body\": 1 }", "head", "found \"body\""],
    ["implicit that is none", "\"value\": 42", "\"value\": 42, \"implicit\": 1", "implicit", "expected true or false"],
    [
      "a fingerprint that is none",
      "\"value\": 42",
      "\"value\": 42, \"fingerprint\": 1, \"\": 1",
      "",
      "expected the fields"
    ]
  ]

  it.each(wrong)("reports an entry with %s, and keeps the others (scenario 69)", (_, from, to, field, message) => {
    const text = sample.replace(from, to)
    assert.notStrictEqual(text, sample)
    const { broken, entries, problems } = read(text)
    assert.strictEqual(broken, undefined)
    assertEntries({ entries, problems, broken }, [cities, report])
    assert.strictEqual(problems.length, 1)
    assert.deepStrictEqual(problems[0]!.path, [
      "standings",
      "continent=AF, measure=area",
      ...field === undefined ? [] : [field]
    ])
    assert.include(problems[0]!.message, message)
    assert.strictEqual(problems[0]!.line, 15)
  })

  it("reports an entry, a function or a field of the file that is of the wrong kind, and keeps the rest", () => {
    const text = sample
      .replace("\"report\": {", "\"sales\": [1, { \"a\": 2 }],\n    \"report\": {\n      \"a=1\": 5,")
      .replace("\"functions\"", "\"comment\": \"mine\",\n  \"functions\"")
    const document = read(text)
    assertEntries(document, [cities, report, area])
    assert.deepStrictEqual(document.problems.map(({ line, path }) => ({ line, path })), [
      { line: 3, path: ["comment"] },
      { line: 5, path: ["sales"] },
      { line: 7, path: ["report", "a=1"] }
    ])
    assert.include(document.problems[2]!.message, "expected an entry, an object, found 5")
    assert.strictEqual(document.broken, undefined)
  })

  it("uses neither of two different entries of one key, and one of two that are the same", () => {
    const copied = sample.replace("measure=cities", "measure=area")
    const document = read(copied)
    assertEntries(document, [report])
    assert.deepStrictEqual(document.problems.map(({ line, path }) => ({ line, path })), [
      { line: 22, path: ["standings", "continent=AF, measure=area"] }
    ])
    const twice = sample.replace(
      "    \"standings\": {",
      `    "report": ${
        sample.slice(sample.indexOf("\"report\": ") + 10, sample.indexOf("    \"standings\""))
      }    "standings": {`
    )
    assertWhole(read(twice))
    assertEntries(read(twice), [cities, report, area])
  })

  it.each([
    ["a comma too few", (text: string) => text.replace("      },\n", "      }\n")],
    ["a comma too many", (text: string) => text.replace("      }\n    },", "      },\n    },")],
    ["a text after the end", (text: string) => `${text}}`],
    ["no end", (text: string) => text.slice(0, -6)],
    [
      "the marks of a merge between entries",
      (text: string) => text.replace("      \"continent=AF, measure=area\"", "<<<<<<< HEAD\n=======\n>>>>>>> other\n$&")
    ],
    ["comments", (text: string) => text.replace("    \"standings\"", "    // the second function: {\n$&")]
  ])("keeps all entries of a file with %s, and says where it is broken", (_, breaks) => {
    for (const text of [breaks(sample), breaks(sample).replaceAll("\n", "\r\n")]) {
      const document = read(text)
      assertEntries(document, [cities, report, area])
      assert.deepStrictEqual(document.problems, [])
      assert.match(document.broken ?? "", /^line \d+, column \d+: expected /)
      assert.isTrue(document.entries.every((entry) => !entry.edited))
    }
  })

  it.each([
    ["a quote", (text: string) => text.replace("\"value\": 42", "\"value: 42")],
    ["a quote of its key", (text: string) => text.replace("measure=area\"", "measure=area")],
    ["a comma", (text: string) => text.replace("42,", "42")],
    ["a bracket", (text: string) => text.replace("42,", "[42,")],
    ["its end", (text: string) => text.replace("\"\n      },\n      \"continent", "\"\n      \"continent")],
    [
      "what was meant in a merge",
      (text: string) =>
        text.replace(
          "        \"value\": 42,",
          "<<<<<<< HEAD\n        \"value\": 42,\n=======\n        \"value\": 43,\n>>>>>>> b"
        )
    ]
  ])("keeps the others where an entry lacks %s", (_, breaks) => {
    const text = breaks(sample)
    assert.notStrictEqual(text, sample)
    const document = read(text)
    assertEntries(document, [cities, report])
    assert.match(document.broken ?? "", /^line (14|15|16|17|18|19|20|21), column \d+: expected /)
  })

  it("keeps an entry between two that lack a quote each", () => {
    const entries = ["1", "2", "3"].map((n) => entryOf("f", `{"n":${n}}`, { body: n }))
    const text = textOf(...entries).replace("\"value\": 1", "\"value: 1").replace("\"value\": 3", "\"value: 3")
    assertEntries(read(text), [entries[1]!])
    assert.deepStrictEqual(read(text).problems.map(({ path }) => path), [["f", "n=1"], ["f", "n=3"]])
  })

  it("finds the entries of a broken file also by other indentation, and without the line above all functions", () => {
    const tabs = JSON.stringify(JSON.parse(sample), undefined, "\t").slice(0, -1)
    assertEntries(read(tabs), [cities, report, area])
    assertEntries(read(sample.replace("\"functions\"", "\"functions")), [cities, report, area])
  })

  it("says where a broken entry is, and what was expected there", () => {
    const { broken, problems } = read(sample.replace("42,", "42;"))
    assert.strictEqual(broken, "line 16, column 20: expected , or }, found \";\"")
    assert.deepStrictEqual(problems, [{
      path: ["standings", "continent=AF, measure=area"],
      line: 15,
      message: "expected an entry in JSON; line 16, column 20: expected , or }, found \";\""
    }])
  })

  it("takes no entry for another function's where the name of its function cannot be read", () => {
    for (
      const text of [
        sample.replace("    },\n    \"standings\": {\n", ""),
        sample.replace("\"standings\"", "\"standings")
      ]
    ) {
      const { broken, entries, problems } = read(text)
      assertEntries({ entries, problems, broken }, [report])
      assert.deepStrictEqual(problems.map(({ path }) => path.at(-1)), [
        "continent=AF, measure=area",
        "continent=AF, measure=cities"
      ])
      assert.isDefined(broken)
    }
  })

  it("uses neither side of a merge that nobody resolved", () => {
    const side = sample.slice(sample.indexOf("      \"continent=AF, measure=cities"), sample.lastIndexOf("    }\n"))
    const text = sample.replace(
      side,
      `<<<<<<< HEAD\n${side}||||||| base\n=======\n${side.replace("Algiers", "Oran")}>>>>>>> other\n`
    )
    const { broken, entries, problems } = read(text)
    assert.strictEqual(broken, "line 22, column 1: expected a name in double quotes, found \"<<<<<<< HEAD\"")
    assertEntries({ entries, problems, broken }, [area, report])
    assert.deepStrictEqual(problems.map(({ line, path }) => ({ line, path })), [
      { line: 32, path: ["standings", "continent=AF, measure=cities"] }
    ])
  })

  it("keeps what was whole of a file that was cut off anywhere, and makes nothing up (scenario 68)", () => {
    const whole = new Map([cities, report, area].map((entry) => [entry.key, part(entry)]))
    const closing = Array.from(sample.matchAll(/\n {6}\}/g), (match) => match.index + match[0].length)
    for (let length = 0; length <= sample.length; length++) {
      const result = parseDocument(sample.slice(0, length), now)
      if (Result.isFailure(result)) {
        assert.isBelow(length, 22)
        continue
      }
      const { broken, entries } = result.success
      for (const entry of entries) assert.deepStrictEqual(part(entry), whole.get(entry.key))
      assert.isTrue(entries.every((entry) => !entry.edited))
      assert.strictEqual(entries.length, closing.filter((end) => end <= length).length)
      assert.strictEqual(broken === undefined, sample.slice(0, length).trim() === "" || length >= sample.length - 1)
    }
  })

  it("never throws, and keeps the entries that a damage did not touch", () => {
    const random = makeRandom(7)
    const inserts = ["\"", "{", "}", "[", "]", ",", ":", "\n", "\\", "x", "<<<<<<< a\n", "\u0000", "//", " ", "0"]
    const whole = new Map([cities, report, area].map((entry) => [entry.key, JSON.stringify(part(entry))]))
    // The lines of an entry below its key.
    const spans = Array.from(
      sample.matchAll(/(?<=^ {6}".*\{)\n[^]*?^ {6}\}/gm),
      (match) => [match.index, match.index + match[0].length]
    )
    assert.strictEqual(spans.length, 3)
    for (let round = 0; round < 3000; round++) {
      const at = 50 + random.below(sample.length - 50)
      const removed = random.below(2) * random.below(30)
      const text = sample.slice(0, at) + random.pick(inserts) + sample.slice(at + removed)
      const { broken, entries } = read(text)
      const good = entries.filter((entry) => !entry.edited && whole.get(entry.key) === JSON.stringify(part(entry)))
      const inside = spans.some(([start, end]) => start! < at && at + removed < end!)
      // Where a line between entries is damaged, some may not be found, but none is taken for another function's.
      assert.isTrue(
        inside ? good.length >= 2 : broken === undefined || entries.every(({ key }) => whole.has(key)),
        text
      )
    }
  })

  it.each([
    ["text", "hello", "line 1, column 1: expected a value, found \"hello\""],
    ["a list", "[]", "expected an object that starts with \"effect-cached\": 1"],
    ["another object", "{\"name\":\"app\"}", "found none"],
    [
      "another file that is broken",
      "{\"name\":\"app\"",
      "line 1, column 14: expected , or }, found the end of the file"
    ],
    ["no number", "{\"effect-cached\": \"1\"}", "found \"1\""],
    ["no known number", "{\"effect-cached\": 0}", "found 0"],
    ["no object of functions", "{\"effect-cached\": 1, \"functions\": []}", "expected \"functions\" to be an object"],
    ["bytes that are no text", "\u0000\ufffd\u0001", "line 1, column 1: expected a value"]
  ])("refuses what is not its file: %s (scenario 74)", (_, text, message) => {
    assert.strictEqual(refused(text).problem, "foreign")
    assert.include(refused(text).message, message)
  })

  it("refuses a file of a newer format, whole or broken (scenario 74)", () => {
    for (const text of [sample, sample.slice(0, 200)]) {
      const refusal = refused(text.replace("\"effect-cached\": 1", "\"effect-cached\": 2"))
      assert.deepStrictEqual(refusal, {
        problem: "version",
        message: "the file has format version 2, this library reads 1"
      })
    }
  })

  it("reads nothing of an empty file, and the header wherever it stands", () => {
    for (const text of ["", " \n\t\r\n", "\ufeff", "{\"effect-cached\":1}"]) {
      assertWhole(read(text))
      assertEntries(read(text), [])
    }
    const { "effect-cached": version, functions } = JSON.parse(sample)
    assertEntries(read(JSON.stringify({ functions, "effect-cached": version })), [cities, report, area])
  })

  it("reads and writes many entries without going over any of them twice", () => {
    const many = Array.from(
      { length: 100_000 },
      (_, n) => entryOf(`f${n % 7}`, `{"continent":"AF","limit":${n}}`, { tags: [`country:${n % 200}`] })
    )
    const text = textOf(...many)
    const document = read(text)
    assertWhole(document)
    assert.strictEqual(document.entries.length, many.length)
    assert.isTrue(document.entries.every((entry) => !entry.edited))
    const few = textOf(...many.slice(0, 10_000))
    const broken = read(few.slice(0, -20).replaceAll("country:7\"", "country:7"))
    assert.strictEqual(broken.entries.length, 9949)
    assert.strictEqual(broken.problems.length, 51)
  }, 120_000)
})
