/**
 * The page about a run, `docs/performance.md`, from what the run measured.
 */
import type { Settings } from "./fixtures.ts"
import type { Figure, Report, Table } from "./report.ts"

/** A run, as `results.json` has it. */
export interface Results {
  readonly machine: string
  readonly versions: Readonly<Record<string, string>>
  readonly sections: Readonly<Record<string, Measured>>
}

/** What one section measured, or that it failed. */
export interface Measured {
  readonly settings: Settings
  readonly seconds: number
  readonly report?: Report
}

/** What the page says about a section besides what was measured. */
export interface Described {
  readonly title: string
  readonly about: string
  readonly kind: "peers" | "own"
}

/** Where the figures of a section are, below `docs`. */
export const plotFile = (name: string, index: number): string =>
  `performance/${name}${index === 0 ? "" : `-${index + 1}`}.svg`

/** The page, formatted as the formatter leaves it. */
export const page = (results: Results, described: Readonly<Record<string, Described>>): string => {
  const names = Object.keys(described).filter((name) => name in results.sections)
  const of = (kind: Described["kind"]) =>
    names.filter((name) => described[name]!.kind === kind)
      .map((name) => section(name, described[name]!, results.sections[name]!))
  const [peers, own] = [of("peers"), of("own")]
  return [
    "# Performance",
    "What this library costs and what others cost for the same work, in one run on one machine. `npm run bench` measures all of " +
    "it and writes this page; nothing in it is written by hand. [Benchmarks](../benchmark/README.md) has the method, and says what " +
    "each section does.",
    "## How it was measured",
    list([
      `Machine: ${results.machine}.`,
      "All candidates of a table take turns within one process, one short sample each per round. What is compared is the ratio " +
      "within a round. The times stand there to see what a ratio is made of: on another machine they are others.",
      "Every table has the median, and the first and the third quartile beside it. A p99 is of single operations, one after the other.",
      "Each section runs in a process of its own, and fails when what it measures is not what it says: values, executions and " +
      "hits are checked.",
      "Every candidate is set up as its own documentation recommends for that work, and is called in its own way: this library and " +
      "effect's in a running fiber, the others with `await`.",
      "No two of them promise the same. What a candidate leaves out, and so does not pay for, stands in its row."
    ]),
    "Versions: " + Object.entries(results.versions).map(([name, version]) => `${name} ${version}`).join(", ") + ".",
    "## Goals",
    ...goals(names.map((name) => results.sections[name]!)),
    ...(peers.length === 0 ? [] : ["## Side by side", ...peers.flat()]),
    ...(own.length === 0 ? [] : ["## The library by itself", ...own.flat()])
  ].join("\n\n") + "\n"
}

const goals = (measured: ReadonlyArray<Measured>): ReadonlyArray<string> => {
  const all = measured.flatMap(({ report }) => report?.goals ?? [])
  if (all.length === 0) return ["None was measured."]
  const missed = all.filter(({ pass }) => !pass).length
  return [
    `${
      all.length - missed
    } of ${all.length} are met. The figure is a median, with the quartiles beside it; a ratio is of this library's own ` +
    "figure and the other one's, in the same round.",
    table({
      title: "",
      columns: ["", "goal", "measured"],
      rows: all.map(({ goal, measured, pass }) => [pass ? "PASS" : "MISS", goal, measured])
    })
  ]
}

const section = (name: string, { about, title }: Described, { report, settings }: Measured): ReadonlyArray<string> => [
  `### ${title}`,
  about,
  ...(report === undefined ? [`It failed in this run. \`npm run bench -- --only=${name}\` says why.`] : []),
  ...(settings.quick ? ["This is of a quick run, with short samples."] : []),
  ...(report?.figures ?? []).map((figure, index) => image(figure, plotFile(name, index))),
  ...(report?.tables ?? []).flatMap((each) => [`**${oneLine(each.title)}**`, table(each)]),
  ...(report === undefined || report.notes.length === 0 ? [] : [list(report.notes)])
]

const image = ({ title }: Figure, file: string): string => `![${oneLine(title)}](${file})`

const list = (items: ReadonlyArray<string>): string => items.map((item) => `- ${oneLine(item)}`).join("\n")

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim()

/** Cells padded to the width of their column. */
const table = ({ columns, rows }: Table): string => {
  const cells = [columns, ...rows].map((row) => row.map((cell) => oneLine(cell).replaceAll("|", "\\|")))
  const widths = columns.map((_, index) => Math.max(3, ...cells.map((row) => row[index]!.length)))
  const line = (row: ReadonlyArray<string>) =>
    `| ${row.map((cell, index) => cell.padEnd(widths[index]!)).join(" | ")} |`
  const [head, ...body] = cells.map(line)
  return [head, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body].join("\n")
}
