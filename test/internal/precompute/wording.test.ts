import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Effect, Exit, Schema } from "effect"
import { CacheError } from "effect-cached"
import type { Counts, Summary } from "../../../src/internal/precompute/progress.ts"
import {
  barLine,
  causeText,
  duration,
  errorText,
  grouped,
  summaryTexts
} from "../../../src/internal/precompute/wording.ts"

const counts: Counts = {
  total: 1_234_567,
  computed: 1000,
  present: 200,
  failed: 30,
  excluded: 4,
  different: 0,
  outside: 0,
  elapsed: 2500,
  rate: 1234.5,
  remaining: 12_345
}

const percentage = (computed: number, total: number) =>
  barLine({ ...counts, computed, present: 0, failed: 0, excluded: 0, total }, 80).slice(0, 4)

describe("barLine", () => {
  it("leaves out the rate first, then the time, then the failures, and is cut where nothing else helps", () => {
    const parts = [200, 50, 43, 31, 20].map((columns) => barLine(counts, columns))
    assert.deepStrictEqual(parts, [
      `  0% ${"░".repeat(40)} 1,234/1,234,567 · 30 failed · 13 s left · 1,235/s`,
      "  0% 1,234/1,234,567 · 30 failed · 13 s left",
      `  0% ${"░".repeat(9)} 1,234/1,234,567 · 30 failed`,
      `  0% ${"░".repeat(9)} 1,234/1,234,567`,
      "  0% 1,234/1,234,56"
    ])
  })

  it("is full only when every input is done with", () => {
    assert.deepStrictEqual([percentage(999, 1000), percentage(1000, 1000), percentage(0, 0), percentage(0, 5)], [
      " 99%",
      "100%",
      "100%",
      "  0%"
    ])
  })
})

describe("duration", () => {
  it.each([
    [0, "0 ms"],
    [999.4, "999 ms"],
    [999.6, "1 s"],
    [1234, "1.2 s"],
    [9949, "9.9 s"],
    [9951, "10 s"],
    [59_499, "59 s"],
    [59_500, "1 min 0 s"],
    [3_599_400, "59 min 59 s"],
    [3_599_600, "1 h 0 min"],
    [86_400_000, "1 d 0 h"],
    [8_640_000_000, "100 d 0 h"]
  ])("of %d ms is %j", (millis, text) => {
    assert.strictEqual(duration(millis), text)
  })
})

describe("grouped", () => {
  it.each([[0, "0"], [999, "999"], [1000, "1,000"], [1_234_567, "1,234,567"], [1e18, "1000000000000000000"], [
    Infinity,
    "Infinity"
  ]])("of %d is %j", (n, text) => {
    assert.strictEqual(grouped(n), text)
  })
})

describe("errorText", () => {
  class Tagged extends Data.TaggedError("Tagged")<{ readonly code?: string; readonly cause?: unknown }> {}
  class Said extends Schema.TaggedError<Said>("with/a/path")("Said", { message: Schema.String }) {}

  it.each<readonly [string, unknown, string]>([
    ["a message", new Error("no route"), "no route"],
    ["a message and what kind of error it is", new TypeError("no route"), "TypeError: no route"],
    ["its name where it says nothing", new Tagged({}), "Tagged"],
    ["its fields where it has no message", new Tagged({ code: "AN" }), "Tagged: {\"code\":\"AN\"}"],
    ["its tag, not the name of its class", new Said({ message: "no route" }), "Said: no route"],
    ["what caused it", new Error("no result", { cause: new Error("no route") }), "no result: no route"],
    ["its cause once", new Error("no result: no route", { cause: new Error("no route") }), "no result: no route"],
    ["a string", "no route", "no route"],
    ["a value", { code: 1 }, "{\"code\":1}"],
    ["nothing", undefined, "undefined"]
  ])("has %s", (_, error, text) => {
    assert.strictEqual(errorText(error), text)
  })

  it("ends where an error is its own cause", () => {
    const error = new Error("round")
    error.cause = error
    assert.strictEqual(errorText(error), "round")
  })

  it("is the message of a CacheError", () => {
    const reason = new CacheError.InputError({ function: "f", message: "The input of \"f\" cannot be used" })
    assert.strictEqual(errorText(new CacheError.CacheError({ reason })), "The input of \"f\" cannot be used")
  })
})

describe("causeText", () => {
  it.effect("says what a promise was rejected with", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.tryPromise(() => Promise.reject(new Error("no route"))))
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) {
        assert.strictEqual(causeText(exit.cause), "UnknownError: An error occurred in Effect.tryPromise: no route")
      }
    }))

  it("says where a defect was thrown", () => {
    assert.match(causeText(Cause.die(new Error("a bug"))), /^Error: a bug\n +at .*wording\.test\.ts/u)
  })

  it("has each reason once", () => {
    const reasons = [Cause.fail("one"), Cause.fail("two"), Cause.fail("one")].flatMap(({ reasons }) => reasons)
    assert.strictEqual(causeText(Cause.fromReasons(reasons)), "one; two")
  })

  it("tells an interruption", () => {
    assert.strictEqual(causeText(Cause.interrupt()), "it was interrupted")
  })
})

describe("summaryTexts", () => {
  const because = { missing: 0, changed: 0, invalidated: 0, expired: 0, malformed: 0, asked: 0, early: 0 }
  const none: Counts = { ...counts, total: 10, computed: 0, present: 0, failed: 0, excluded: 0 }
  const textsOf = (summary: Partial<Summary>, own: Partial<Counts>, why: Partial<typeof because> = {}) =>
    summaryTexts({
      complete: true,
      stopped: undefined,
      counts: { ...none, ...own },
      functions: [{ name: "standings", counts: { ...none, ...own }, because: { ...because, ...why } }],
      ...summary
    })

  it("tells why inputs were computed, unless they were all missing", () => {
    assert.deepStrictEqual(textsOf({}, { computed: 5, present: 5 }, { missing: 2, changed: 3 }), [
      "standings: 5 computed (2 missing, 3 changed), 5 present",
      "Precomputed 10 inputs in 2.5 s"
    ])
    assert.deepStrictEqual(textsOf({}, { computed: 10 }, { missing: 10 })[0], "standings: 10 computed")
  })

  it("tells that the time budget was used up", () => {
    assert.deepStrictEqual(textsOf({ complete: false, stopped: "time" }, { computed: 4 }), [
      "standings: 4 computed",
      "4 of 10 inputs in 2.5 s, then the time budget was used up: the next run goes on from there"
    ])
  })

  it("tells that the first failure stopped the run", () => {
    assert.deepStrictEqual(textsOf({ complete: false, stopped: "failure" }, { computed: 3, failed: 1 }), [
      "standings: 3 computed, 1 failed",
      "4 of 10 inputs in 2.5 s, then the first failure stopped the run: the next run goes on from there"
    ])
  })

  it("tells that there was nothing to do", () => {
    assert.deepStrictEqual(textsOf({}, { total: 0, elapsed: 0 }), [
      "standings: nothing to do",
      "0 inputs in 0 ms, nothing to compute"
    ])
    assert.deepStrictEqual(textsOf({}, { present: 10 }), [
      "standings: 10 present",
      "10 inputs in 2.5 s, nothing to compute"
    ])
  })

  it("tells whether one or several are tried again", () => {
    assert.match(textsOf({}, { failed: 1 })[1]!, /1 failed: the next run tries it again$/u)
    assert.match(textsOf({}, { failed: 2 })[1]!, /2 failed: the next run tries them again$/u)
  })
})
