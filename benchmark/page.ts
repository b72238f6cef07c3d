/**
 * The page about a run, `docs/performance.md`, from what the run measured.
 */
import type { Settings } from "./fixtures.ts"
import type { Figure, Goal, Report, Table } from "./report.ts"

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
  /** Which of its figures stands at the top of the page, by its title. */
  readonly front?: string
}

/** Where the figures of a section are, below `docs`. */
export const plotFile = (name: string, index: number): string =>
  `performance/${name}${index === 0 ? "" : `-${index + 1}`}.svg`

/** The page, formatted as the formatter leaves it. */
export const page = (results: Results, described: Readonly<Record<string, Described>>): string => {
  const names = Object.keys(described).filter((name) => name in results.sections)
  const of = (kind: Described["kind"]) => names.filter((name) => described[name]!.kind === kind)
  const sections = (kind: Described["kind"]) =>
    of(kind).map((name) => section(name, described[name]!, results.sections[name]!))
  const goals = names.flatMap((name) => results.sections[name]!.report?.goals ?? [])
  const further = (kind: Described["kind"]) =>
    of(kind).flatMap((name) => results.sections[name]!.report?.goals ?? []).filter(({ stated }) => stated !== true)
  const [peers, own] = [sections("peers"), sections("own")]
  return [
    "# Performance",
    `What this library and other caches cost for the same work, in one run on one machine: ${results.machine}, node ${
      results.versions["node"]
    }. ` +
    "`npm run bench` measures it and writes this page; nothing in it is written by hand.",
    "## Goals",
    ...stated(goals.filter(({ stated }) => stated === true)),
    ...front(names, described, results),
    "## How it was measured",
    list([
      "All candidates of a table take turns within one process, one short sample each per round, and the order turns round with " +
      "each round. What is compared is the ratio within a round. The times stand there to see what a ratio is made of: on " +
      "another machine they are others.",
      "The median comes first, then the first and the third quartile. A p99 is of single operations, one after the other: the " +
      "median of the p99 of ten turns.",
      "Each section runs in a process of its own, and fails when what it measures is not what it says: values, executions and " +
      "hits are checked.",
      "Every candidate is set up as its own documentation recommends for that work, and is called in its own way: this library and " +
      "effect's in a running fiber, the others with `await`. What a call of this library by `Effect.runPromise` costs has a row of its own.",
      "No two of them promise the same. What a candidate leaves out, and so does not pay for, stands in its row under \"differs\".",
      "[Benchmarks](../benchmark/README.md) has the method, says what each section does, and how to repeat it."
    ]),
    "Versions: " + Object.entries(results.versions).map(([name, version]) => `${name} ${version}`).join(", ") + ".",
    ...(peers.length === 0 ? [] : ["## Side by side", ...lines(further("peers")), ...peers.flat()]),
    ...(own.length === 0 ? [] : ["## The library by itself", ...lines(further("own")), ...own.flat()])
  ].join("\n\n") + "\n"
}

// What the project has set itself, and why it misses what it misses.
const stated = (goals: ReadonlyArray<Goal>): ReadonlyArray<string> => {
  if (goals.length === 0) return ["None of them was measured."]
  const missed = goals.filter(({ pass }) => !pass)
  // One reason may be that of several.
  const reasons = Map.groupBy(missed.filter(({ why }) => why !== undefined), ({ why }) => why!)
  return [
    `${
      goals.length - missed.length
    } of ${goals.length} are met. A figure against another says how many times as fast this library is: ` +
    "2.00 is twice as fast, 0.50 half as fast. It is the median of the ratios within each round, with the quartiles beside it.",
    goalTable(goals),
    ...(reasons.size === 0 ? [] : [
      "Why some are missed:",
      list(Array.from(reasons, ([why, [first]]) => `**${first!.goal.replace(/ \(.*\)$/, "")}**: ${why}`))
    ])
  ]
}

// As GitHub makes it of a heading.
const anchor = (title: string): string => title.toLowerCase().replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-")

// What was looked at besides, among it the comparison with those that guarantee less.
const lines = (goals: ReadonlyArray<Goal>): ReadonlyArray<string> =>
  goals.length === 0
    ? []
    : ["Further lines, among them those against whoever is the fastest, whatever it leaves out:", goalTable(goals)]

const goalTable = (goals: ReadonlyArray<Goal>): string =>
  table({
    title: "",
    columns: ["", "goal", "measured"],
    rows: goals.map(({ goal, measured, pass }) => [pass ? "PASS" : "MISS", goal, measured])
  })

const front = (
  names: ReadonlyArray<string>,
  described: Readonly<Record<string, Described>>,
  results: Results
): ReadonlyArray<string> =>
  names.flatMap((name) => {
    const figures = results.sections[name]!.report?.figures ?? []
    const index = figures.findIndex(({ title }) => title === described[name]!.front)
    if (index === -1) return []
    const { title } = described[name]!
    return [
      image(figures[index]!, plotFile(name, index)),
      `Not all of them do the same work. What each leaves out stands in its row under [${title}](#${anchor(title)}).`
    ]
  })

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
