/**
 * The parts of the benchmark that measure nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Measured, page } from "../benchmark/page.ts"
import { beyond, distribution, paired, ratio } from "../benchmark/paired.ts"
import { plot } from "../benchmark/plot.ts"
import { type Bar, type Figure, goal } from "../benchmark/report.ts"

describe("paired", () => {
  it("takes a sample of every subject per round, each round in the opposite order", async () => {
    const order: Array<string> = []
    const subject = (name: string) => () => order.push(name)
    const samples = await paired({ a: subject("a"), b: subject("b") }, { rounds: 3, warmups: 0, millis: 60_000 })
    assert.deepStrictEqual(order, ["a", "b", "b", "a", "a", "b"])
    assert.deepStrictEqual(samples, { a: [1, 4, 5], b: [2, 3, 6] })
  })

  it("throws the first rounds away", async () => {
    let next = 0
    const samples = await paired({ a: () => next++ }, { rounds: 2, warmups: 3, millis: 60_000 })
    assert.deepStrictEqual(samples, { a: [3, 4] })
  })

  it("measures five rounds when there is no time", async () => {
    const samples = await paired({ a: () => 1 }, { rounds: 80, warmups: 9, millis: 0 })
    assert.strictEqual(samples["a"]!.length, 5)
  })
})

describe("distribution", () => {
  it("is the median with the quartiles, between two figures where none is in the middle", () => {
    assert.deepStrictEqual(distribution([5, 1, 4, 2, 3]), { median: 3, low: 2, high: 4 })
    assert.deepStrictEqual(distribution([4, 1, 3, 2]), { median: 2.5, low: 1.75, high: 3.25 })
  })

  it("of a ratio is that of the ratios within each round", () => {
    // The machine is ten times as slow in the last round: that is no change of the ratio.
    const samples = { a: [10, 20, 300], b: [5, 10, 150] }
    assert.deepStrictEqual(ratio(samples, "a", "b"), { median: 2, low: 2, high: 2 })
    assert.deepStrictEqual(beyond(samples, "a", "b"), { median: 10, low: 7.5, high: 80 })
  })
})

describe("goal", () => {
  it("is met on its side of the limit", () => {
    const figure = { median: 1.5, low: 1.4, high: 1.7 }
    assert.isTrue(goal("", figure, { atLeast: 1.5 }).pass)
    assert.isFalse(goal("", figure, { atLeast: 1.6 }).pass)
    assert.isTrue(goal("", figure, { atMost: 1.5 }).pass)
    assert.isFalse(goal("", figure, { atMost: 1.4 }).pass)
    assert.strictEqual(goal("", figure, { atLeast: 1 }).measured, "1.50 (1.40 to 1.70)")
  })
})

const bar = (label: string, median: number, kind: Bar["kind"] = "peer"): Bar => ({
  label,
  median,
  low: median * 0.9,
  high: median * 1.1,
  kind
})

const figure = (scale: Figure["scale"], ...bars: ReadonlyArray<Bar>): Figure => ({
  title: "A hit",
  unit: "ns",
  scale,
  bars
})

const widths = (svg: string): ReadonlyArray<number> =>
  Array.from(
    svg.matchAll(/<rect class="\w+" x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="14"/g),
    ([, width]) => Number(width)
  )

describe("plot", () => {
  it("draws bars in proportion", () => {
    const [one, two] = widths(plot(figure("linear", bar("a", 100, "own"), bar("b", 200))))
    assert.closeTo(two! / one!, 2, 0.01)
  })

  it("draws powers of ten at equal distances on a logarithmic scale", () => {
    const [one, two, three] = widths(plot(figure("log", bar("a", 10), bar("b", 100), bar("c", 1000))))
    assert.closeTo(three! - two!, two! - one!, 0.2)
    assert.isAbove(one!, 0)
  })

  it("keeps everything within its width, whatever the figures", () => {
    for (const scale of ["linear", "log"] as const) {
      for (const bars of [[bar("a", 0)], [bar("a", 1e-3), bar("b", 1e9)], [{ ...bar("a", 1), p99: 400 }]]) {
        const svg = plot(figure(scale, ...bars))
        assert.notMatch(svg, /NaN|Infinity|undefined/)
        for (const [, at] of svg.matchAll(/ (?:x|x1|x2|cx)="(-?[\d.]+)"/g)) {
          assert.isAtLeast(Number(at), 0)
          assert.isAtMost(Number(at), 800)
        }
      }
    }
  })

  it("escapes what a label says", () => {
    assert.include(plot(figure("linear", bar("a < b & \"c\"", 1))), "a &lt; b &amp; &quot;c&quot;")
  })
})

describe("page", () => {
  const described = {
    hit: { title: "A hit", about: "What a hit costs.", kind: "peers" },
    gone: { title: "A miss", about: "What a miss costs.", kind: "own" }
  } as const
  const hit: Measured = {
    settings: { quick: false, smoke: false },
    seconds: 1,
    report: {
      tables: [{ title: "Small", columns: ["", "median"], rows: [["a|b", "1 ns"], ["a longer one", "12 ns"]] }],
      goals: [
        { goal: "fast", measured: "1.00", pass: true, stated: true },
        { goal: "faster", measured: "1.00", pass: false, stated: true, why: "it does more" },
        { goal: "further", measured: "1.00", pass: true }
      ],
      notes: ["two\n  lines"],
      figures: [figure("linear", bar("a", 1)), figure("linear", bar("b", 1))]
    }
  }
  const failed: Measured = { settings: { quick: false, smoke: false }, seconds: 1 }
  const text = page({ machine: "2 × CPU", versions: { node: "24.0.0" }, sections: { hit, gone: failed } }, described)

  it("has the machine, the versions, the goals, the figures, the tables and the notes", () => {
    for (
      const part of [
        "in one run on one machine: 2 × CPU",
        "Versions: node 24.0.0.",
        "1 of 2 are met.",
        "| PASS | fast   | 1.00     |",
        "| MISS | faster | 1.00     |",
        "- **faster**: it does more",
        "| PASS | further | 1.00     |",
        "### A hit\n\nWhat a hit costs.",
        "![A hit](performance/hit.svg)\n\n![A hit](performance/hit-2.svg)",
        "**Small**\n\n|              | median |\n| ------------ | ------ |\n| a\\|b         | 1 ns   |\n| a longer one | 12 ns  |",
        "- two lines"
      ]
    ) {
      assert.include(text, part)
    }
  })

  it("says what failed", () => {
    assert.include(text, "### A miss\n\nWhat a miss costs.\n\nIt failed in this run.")
  })
})
