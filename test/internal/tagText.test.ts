import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import {
  covering,
  coversAny,
  escapeSegment,
  functionTag,
  keyTag,
  maxTagBytes,
  maxTagSegments,
  tagProblem
} from "../../src/internal/tagText.ts"

const Text = Schema.String.check(Schema.isMaxLength(20))
const Tricky = Schema.Array(Schema.Literals(["", ":", "%", "%00", "\0", "a", "é", "😀", "\ud800", "\udc00", "~", " "]))
const tricky = Arbitrary.map(Arbitrary.schema(Tricky.check(Schema.isMaxLength(4))), (parts) => parts.join(""))

const bytes = (text: string) => new TextEncoder().encode(text).length

describe("escapeSegment", () => {
  it.prop("gives exactly one well-formed segment for any text (scenario 12)", [Text], ([text]) => {
    assert.match(escapeSegment(text), /^(?:[A-Za-z0-9_.-]|%[0-9A-F]{2})+$/)
  }, { arbitrary: { runs: 1000 } })

  it.prop("gives exactly one well-formed segment for separators, NUL and lone surrogates", [tricky], ([text]) => {
    assert.match(escapeSegment(text), /^(?:[A-Za-z0-9_.-]|%[0-9A-F]{2})+$/)
  }, { arbitrary: { runs: 1000 } })

  it.prop("gives two texts the same segment iff they are equal", [tricky, tricky], ([a, b]) => {
    assert.strictEqual(escapeSegment(a) === escapeSegment(b), a === b)
  }, { arbitrary: { runs: 2000 } })

  it.prop("is undone by percent-decoding where there is no NUL", [Text], ([text]) => {
    const safe = `a${text.toWellFormed().replaceAll("\0", "")}`
    assert.strictEqual(decodeURIComponent(escapeSegment(safe)), safe)
  })

  it.each([
    ["", "%00"],
    ["\0", "%00%00"],
    ["a:b", "a%3Ab"],
    ["%3A", "%253A"],
    ["ada@example.org", "ada%40example.org"],
    ["6f1b7c3e-0000-4000-8000-1234567890ab", "6f1b7c3e-0000-4000-8000-1234567890ab"],
    ["é", "%C3%A9"],
    ["!'()*~", "%21%27%28%29%2A%7E"],
    ["a\nb", "a%0Ab"]
  ])("writes %j as %j", (text, segment) => {
    assert.strictEqual(escapeSegment(text), segment)
  })
})

describe("tagProblem", () => {
  const deepest = Array.from({ length: maxTagSegments }, () => "a").join(":")
  it.each(["a", "user:7", "user:7:orders", "A_b.c-9", "a%3Ab", "%00", "x".repeat(maxTagBytes), deepest])(
    "finds nothing wrong with %j",
    (tag) => {
      assert.isUndefined(tagProblem(tag))
    }
  )

  it.each([
    ["an empty text", "", "empty"],
    ["a leading separator", ":a", "starts with ':'"],
    ["a trailing separator", "a:", "ends with ':'"],
    ["a doubled separator", "a::b", "'::'"],
    ["only a separator", ":", "':'"],
    ["one byte too many", "x".repeat(maxTagBytes + 1), "257 bytes, the most is 256"],
    ["one segment too many", `${deepest}:a`, "18 segments, the most is 17"],
    ["a space", "a b", "\" \" at index 1"],
    ["a slash", "a/b", "\"/\" at index 1"],
    ["a line feed at the end", "a\n", "\"\\n\" at index 1"],
    ["a letter outside ASCII", "é", "\"é\" at index 0"],
    ["a character outside the basic plane", "a😀", "\"😀\" at index 1"],
    ["a percent sign that escapes nothing", "100%", "\"%\" at index 3"],
    ["a percent sign before one digit", "a%4", "\"%\" at index 1"],
    ["an escape in lower case", "a%3a", "\"%\" at index 1"],
    ["a brace", "a}b", "\"}\" at index 1"],
    ["braces, as in a template whose dollar sign was forgotten", "user:{id}", "\"{\" at index 5"]
  ])("says what is wrong with %s (scenario 11)", (_, tag, reason) => {
    assert.include(tagProblem(tag), reason)
  })

  it.prop("finds nothing wrong exactly with segments of allowed characters within the bounds", [
    Arbitrary.map(
      Arbitrary.schema(Schema.Array(Schema.Literals(["a", "Z", "0", "_", ".", "-", ":", "%3A", "%", "é", " ", "}"]))),
      (parts) => parts.join("")
    )
  ], ([text]) => {
    const segments = text.split(":")
    const wellFormed = bytes(text) <= 256 && segments.length <= 17 &&
      segments.every((segment) => /^([A-Za-z0-9_.-]|%[0-9A-F][0-9A-F])+$/.test(segment))
    assert.strictEqual(tagProblem(text) === undefined, wellFormed)
  }, { arbitrary: { runs: 2000 } })
})

// Few letters and short segments, so that one tag is often the start of another.
const Segment = Schema.Literals(["a", "b", "aa", "a.", "a-", "1", "10", "_"])
const aTag = Arbitrary.map(
  Arbitrary.schema(Schema.Array(Segment).check(Schema.isMinLength(1), Schema.isMaxLength(4))),
  (segments) => segments.join(":")
)

const naive = (ancestor: string, tag: string) => {
  const above = ancestor.split(":")
  const segments = tag.split(":")
  return above.length <= segments.length && above.every((segment, index) => segment === segments[index])
}

describe("covering", () => {
  it.prop("holds iff the segments of the one are the first segments of the other", [aTag, aTag], ([ancestor, tag]) => {
    assert.strictEqual(covering([ancestor])(tag), naive(ancestor, tag))
  }, { arbitrary: { runs: 2000 } })

  it("does not take a common beginning for an ancestor (scenario 17)", () => {
    assert.isTrue(covering(["user:1"])("user:1"))
    assert.isTrue(covering(["user:1"])("user:1:orders"))
    assert.isFalse(covering(["user:1"])("user:10"))
    assert.isFalse(covering(["user:1:orders"])("user:1"))
  })

  it("asks all of them, and none stands for everything", () => {
    assert.isTrue(covering(["a", "user"])("user:1"))
    assert.isFalse(covering(["a", "user:1"])("user"))
    assert.isTrue(covering([])("user"))
  })
})

describe("coversAny", () => {
  it.prop("holds iff one of the tags is covered", [aTag, Arbitrary.array(aTag)], ([ancestor, tags]) => {
    const sorted = Array.from(new Set(tags)).toSorted()
    assert.strictEqual(coversAny(ancestor, sorted), tags.some((tag) => naive(ancestor, tag)))
  }, { arbitrary: { runs: 2000, size: 30 } })

  it("finds a descendant behind tags that sort between it and its ancestor", () => {
    assert.isTrue(coversAny("a", ["a-", "a.", "a:b"]))
    assert.isFalse(coversAny("a", ["a-", "a.", "aa", "b"]))
    assert.isFalse(coversAny("a", []))
  })
})

describe("functionTag and keyTag", () => {
  const names = ["a", "a b", "GET /users/:id", "x".repeat(96), "x".repeat(97), "x".repeat(200), "%sha", ""]

  it("give tags that nobody can write", () => {
    for (const name of names) {
      const tag = functionTag(name)
      assert.isDefined(tagProblem(tag))
      assert.isDefined(tagProblem(keyTag(tag, "{}")))
    }
  })

  it("give every function and every key a tag of its own, below that of its function", () => {
    const keys = ["{}", "{\"a\":1}", "x".repeat(96), "x".repeat(97), `${"x".repeat(96)}y`, "x".repeat(10_000)]
    const tags = names.flatMap((name) => [functionTag(name), ...keys.map((key) => keyTag(functionTag(name), key))])
    assert.strictEqual(new Set(tags).size, tags.length)
    for (const name of names) {
      for (const key of keys) assert.isTrue(covering([functionTag(name)])(keyTag(functionTag(name), key)))
    }
    for (const name of names) {
      for (const other of names) assert.strictEqual(covering([functionTag(name)])(functionTag(other)), name === other)
    }
  })

  it("do not grow with the key", () => {
    assert.isBelow(keyTag(functionTag("f".repeat(200)), "k".repeat(100_000)).length, maxTagBytes)
  })

  it("do not mistake a short text for the digest of a long one", () => {
    const long = functionTag("x".repeat(100))
    const digest = long.slice(long.indexOf(":") + 1)
    assert.notStrictEqual(functionTag(digest), long)
  })
})
