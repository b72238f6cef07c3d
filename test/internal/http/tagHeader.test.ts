import { assert, describe, it } from "@effect/vitest"
import { limits, tagHeader } from "../../../src/internal/http/tagHeader.ts"
import { escapeSegment, functionTag, keyTag, maxTagBytes } from "../../../src/internal/tagText.ts"

const many = Array.from({ length: 5000 }, (_, index) => `tag-${index}`)

describe("tagHeader", () => {
  it.each(
    [
      ["Cache-Tag", ["cache-tag", "org,team,org:1,org:1:user,org:1:user:2"]],
      ["Surrogate-Key", ["surrogate-key", "org team org:1 org:1:user org:1:user:2"]],
      ["xkey", ["xkey", "org team org:1 org:1:user org:1:user:2"]],
      ["Cache-Groups", ["cache-groups", "\"org\", \"team\", \"org:1\", \"org:1:user\", \"org:1:user:2\""]]
    ] as const
  )("sends tags and their ancestors, each once, as %s", (name, expected) => {
    assert.deepStrictEqual(tagHeader(name, ["org:1", "org:1:user:2", "team"]), expected)
  })

  it("does not send implicit tags", () => {
    const implicit = functionTag("f")
    assert.isUndefined(tagHeader("Cache-Tag", [implicit, keyTag(implicit, "f\t{}")]))
    assert.deepStrictEqual(tagHeader("Cache-Tag", [implicit, "%00", "%F0"]), ["cache-tag", "%00,%F0"])
  })

  it("sends nothing where there are no tags", () => {
    assert.isUndefined(tagHeader("xkey", []))
  })

  it("sends text of users in a form that every field can hold", () => {
    const tag = `user:${escapeSegment("a, b\"\\\n\u00e9 c:d")}`
    for (const name of ["Cache-Tag", "Surrogate-Key", "xkey", "Cache-Groups"] as const) {
      assert.match(
        tagHeader(name, ["x", tag])![1],
        /^(?:[\w.:%-]+|"[\w.:%-]+")(?:(?:, |,| )(?:[\w.:-]|%[0-9A-F]{2}|")+)*$/
      )
    }
    assert.strictEqual(tagHeader("Surrogate-Key", [tag])![1].split(" ").length, 2)
    assert.strictEqual(tagHeader("Cache-Tag", [tag])![1].split(",").length, 2)
  })

  it.each(
    [
      ["Cache-Tag", 16_384],
      ["Surrogate-Key", 16_384],
      ["xkey", 8186]
    ] as const
  )("fills %s up to its limit of %d bytes and leaves out the rest", (name, total) => {
    const value = tagHeader(name, many)![1]
    assert.isAtMost(value.length, total)
    assert.isAbove(value.length, total - 10)
    assert.isTrue(value.startsWith(["tag-0", "tag-1"].join(limits[name].separator)))
  })

  it("fills a field exactly", () => {
    const tags = Array.from({ length: 64 }, (_, index) => `${index + 100}${"x".repeat(252)}`)
    // 64 tags of 255 bytes and 63 commas are one byte less than the limit.
    assert.strictEqual(tagHeader("Cache-Tag", tags)![1].length, 16_383)
    const last = tags.pop()!
    assert.strictEqual(tagHeader("Cache-Tag", [...tags, `${last}x`])![1].length, 16_384)
    assert.strictEqual(tagHeader("Cache-Tag", [...tags, `${last}xy`])![1].length, 16_127)
  })

  it("sends what still fits after something that does not", () => {
    const tags = [...Array.from({ length: 64 }, (_, index) => `${index + 10}${"x".repeat(251)}`), "y".repeat(256), "z"]
    const sent = tagHeader("Cache-Tag", tags)![1].split(",")
    assert.strictEqual(sent.length, 65)
    assert.strictEqual(sent.at(-1), "z")
  })

  it("leaves out descendants before ancestors", () => {
    const tags = many.map((tag) => `${tag}:child`)
    const sent = tagHeader("Cache-Tag", tags)![1].split(",")
    assert.isFalse(sent.some((tag) => tag.endsWith(":child")))
  })

  it("sends at most 32 groups of 32 characters", () => {
    const fits = "a".repeat(32)
    const groups = tagHeader("Cache-Groups", [`${fits}b`, fits, ...many])![1].split(", ")
    assert.strictEqual(groups.length, 32)
    assert.strictEqual(groups[0], `"${fits}"`)
  })

  it("has room for the longest tag wherever CDNs allow it", () => {
    for (const name of ["Cache-Tag", "Surrogate-Key", "xkey"] as const) {
      assert.isAtLeast(limits[name].perTag, maxTagBytes)
    }
  })
})
