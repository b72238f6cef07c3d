import { assert, describe, it } from "@effect/vitest"
import { digest, digestInJavaScript } from "../../src/internal/digest.ts"

describe("digest", () => {
  it("is the first half of the SHA-256", () => {
    assert.strictEqual(digest("abc"), "ba7816bf8f01cfea414140de5dae2223")
    assert.strictEqual(digest(new Uint8Array()), "e3b0c44298fc1c149afbf4c8996fb924")
  })

  it.each([
    ["no text", ""],
    ["more than one block", "x".repeat(1000)],
    ["text outside ASCII", "é漢\u{1f600}"],
    ["halves of characters", "\ud800x\udc00"],
    ["bytes that are no text", new Uint8Array([0, 255, 128, 1])]
  ])("is the same from the platform and without one: %s", (_, data) => {
    assert.strictEqual(digest(data), digestInJavaScript(data))
  })
})
