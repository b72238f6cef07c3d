import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { names } from "../../../src/internal/redis/names.ts"

const of = (namespace: string) => Effect.runSync(names("namespace", namespace, 1))

const text = (pieces: ReadonlyArray<string>) =>
  Arbitrary.map(
    Arbitrary.schema(Schema.Array(Schema.Literals(pieces as [string, ...Array<string>])).check(Schema.isMaxLength(5))),
    (parts) => parts.join("")
  )
const key = text([
  "",
  "a",
  "\t",
  ":",
  "{",
  "}",
  "{}",
  "%",
  "%7b",
  "%u",
  "#",
  "u",
  "d800",
  "é",
  "😀",
  "\ud800",
  "\udbff",
  "\udc00",
  "\udfff",
  "\ufffd",
  "\0",
  "x".repeat(199),
  "{".repeat(70)
])
const namespace = Arbitrary.map(
  text(["a", ":", ":1", ":1:entry:", "%3a", "%", "{", "}", "*", "?", "[", "]", "\\", "^", "-", "\ud800", "log", "#"]),
  (rest) => `n${rest}`
)

/** What the server sees. */
const bytes = (name: string) => Buffer.from(name).toString("latin1")

// The glob of Redis, as far as patterns of ours go: characters, escaped characters, and one star at the end.
const matches = (pattern: string, name: string): boolean => {
  const literal = pattern.slice(0, -1).replaceAll(/\\(.)/gs, "$1")
  assert.isFalse(/(?<!\\)(?:\\\\)*[*?[\]]/.test(pattern.slice(0, -1)), pattern)
  assert.isTrue(pattern.endsWith("*"))
  return name.startsWith(literal)
}

// As the Cluster specification has it: what stands between the first { and the first } after it, unless that is nothing.
const hashTag = (name: string): string | undefined => {
  const start = name.indexOf("{")
  const end = start === -1 ? -1 : name.indexOf("}", start)
  return end > start + 1 ? name.slice(start + 1, end) : undefined
}

describe("names", () => {
  it("are readable for plain keys", () => {
    const { entry, entryPattern, lease, log, wake } = of("shop")
    assert.deepStrictEqual([entry("user\t7"), lease("user\t7"), log, wake, entryPattern], [
      "shop:1:entry:user\t7",
      "shop:1:lease:user\t7",
      "shop:1:log:{shop}",
      "shop:1:wake",
      "shop:1:entry:*"
    ])
  })

  it.prop("of two keys are the same bytes iff the keys are equal", [key, key], ([a, b]) => {
    for (const kind of ["entry", "lease"] as const) {
      assert.strictEqual(bytes(of("n")[kind](a)) === bytes(of("n")[kind](b)), a === b)
    }
  }, { arbitrary: { runs: 3000 } })

  it.each([
    ["halves of a pair", "\ud800", "\ud801"],
    ["half a pair and the character that stands for it", "\udc00", "\ufffd"],
    ["a pair and its escaped halves", "😀", "%ud83d%ude00"],
    ["a long key and a short one that has its digest", "x".repeat(300), `#${"0".repeat(32)}`],
    ["long keys that differ in halves of pairs", `${"x".repeat(300)}\ud800`, `${"x".repeat(300)}\ud801`],
    ["long keys that differ at the end", `${"x".repeat(300)}1`, `${"x".repeat(300)}2`],
    ["escaped and not", "%7b", "{"]
  ])("keep apart %s", (_, a, b) => {
    assert.notStrictEqual(bytes(of("n").entry(a)), bytes(of("n").entry(b)))
    assert.notStrictEqual(bytes(of(a).entry("k")), bytes(of(b).entry("k")))
    assert.notStrictEqual(bytes(of(a).log), bytes(of(b).log))
  })

  it("do not hide in a short key what stands for a long one", () => {
    const long = of("n").entry("x".repeat(300))
    assert.notStrictEqual(of("n").entry(long.slice("n:1:entry:".length)), long)
  })

  it("are short for long keys, whole for others", () => {
    assert.isAtMost(of("n").entry("x".repeat(1_000_000)).length, 50)
    assert.isAtMost(of("n").entry("{".repeat(67)).length, 50)
    assert.strictEqual(of("n").entry("x".repeat(200)), `n:1:entry:${"x".repeat(200)}`)
  })

  it.prop("have no hash tag but the log, whose tag is of its namespace alone", [namespace, key], ([namespace, key]) => {
    const { entry, lease, log, wake } = of(namespace)
    for (const name of [entry(key), lease(key), wake]) assert.isUndefined(hashTag(name), name)
    assert.strictEqual(hashTag(log), log.slice(0, log.indexOf(":1:")))
  }, { arbitrary: { runs: 1000 } })

  it.prop(
    "of two namespaces are never the same, and the pattern of one matches none of the other (scenario 57)",
    [namespace, namespace, key, key],
    ([a, b, one, other]) => {
      const all = (
        { entry, lease, log, wake }: ReturnType<typeof of>,
        key: string
      ) => [entry(key), lease(key), log, wake]
      const [ours, theirs] = [of(a), of(b)]
      for (const name of all(theirs, other)) {
        if (a !== b) assert.notInclude(all(ours, one), name)
        assert.strictEqual(matches(ours.entryPattern, name), a === b && name === theirs.entry(other), name)
      }
    },
    { arbitrary: { runs: 3000 } }
  )

  it("of one namespace are never the same, whatever the key", () => {
    for (const key of ["", ":", "1:log", "log:{n}", "wake", "lease:", "entry:"]) {
      const { entry, lease, log, wake } = of("n")
      assert.strictEqual(new Set([entry(key), lease(key), log, wake]).size, 4)
    }
  })

  it("are refused for an empty namespace", () => {
    const error = Effect.runSync(Effect.flip(names("RedisStore.namespace", "", 1)))
    assert.strictEqual(error.reason._tag, "DefinitionError")
    assert.include(error.message, "RedisStore.namespace")
  })
})
