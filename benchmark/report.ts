/**
 * What a section of the benchmark reports, and how it is printed.
 */
import { type Distribution, distribution, type Samples } from "./paired.ts"

export interface Table {
  readonly title: string
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

/** A stated goal, and what was measured for it. */
export interface Goal {
  readonly goal: string
  readonly measured: string
  readonly pass: boolean
  /** What `measured` says, as numbers. */
  readonly figure?: Distribution
  /** It is one of those that the project has set itself beside others. What is not stands further below. */
  readonly stated?: boolean
  /** Where it is missed, why. */
  readonly why?: string
}

/** One bar of a figure: median and quartiles, in the unit of its figure. */
export interface Bar {
  readonly label: string
  readonly median: number
  readonly low: number
  readonly high: number
  readonly p99?: number
  /** This library, what it is compared with, or what shows the floor. */
  readonly kind: "own" | "peer" | "control"
}

/** What a table shows, for people who would rather look: the page draws it. */
export interface Figure {
  readonly title: string
  readonly unit: "ns" | "per second" | "bytes" | "ms"
  readonly scale: "linear" | "log"
  readonly bars: ReadonlyArray<Bar>
}

export interface Report {
  readonly tables: ReadonlyArray<Table>
  readonly goals: ReadonlyArray<Goal>
  /** Sentences below the tables: what is not equal, what was left out. */
  readonly notes: ReadonlyArray<string>
  readonly figures?: ReadonlyArray<Figure>
}

/** A figure with a bar for each subject, in order. */
export const figure = (
  title: string,
  samples: Samples,
  kindOf: (name: string) => Bar["kind"],
  unit: Figure["unit"] = "ns"
): Figure => ({
  title,
  unit,
  scale: "linear",
  bars: Object.entries(samples).map(([label, figures]) => {
    const { high, low, median } = distribution(figures)
    return { label, median, low, high, kind: kindOf(label) }
  })
})

/** A goal about a ratio or another distribution: its median has to be on the right side of the limit. */
export const goal = (
  text: string,
  figure: Distribution,
  limit: { readonly atLeast: number } | { readonly atMost: number },
  show: (figure: number) => string = times
): Goal => ({
  goal: text,
  measured: `${show(figure.median)} (${show(figure.low)} to ${show(figure.high)})`,
  pass: "atLeast" in limit ? figure.median >= limit.atLeast : figure.median <= limit.atMost,
  figure
})

/** One of the goals that the project has set itself beside others, and what there is to say where it is missed. */
export const stated = (goal: Goal, why?: string): Goal => ({
  ...goal,
  stated: true,
  ...(why === undefined ? {} : { why })
})

/** `0.93`. */
export const times = (figure: number): string => figure.toFixed(2)

/** A time from nanoseconds: `420 ns`, `1.73 µs`, `12.0 ms`. */
export const time = (nanos: number): string => {
  if (nanos < 1000) return `${nanos.toFixed(0)} ns`
  if (nanos < 1e6) return `${(nanos / 1000).toPrecision(3)} µs`
  return `${(nanos / 1e6).toPrecision(3)} ms`
}

/** A whole number with thin groups: `48 200`. */
export const whole = (figure: number): string => Math.round(figure).toLocaleString("en").replaceAll(",", " ")

/** The cells of a distribution: median, then the quartiles. */
export const cells = (figure: Distribution, show: (figure: number) => string): [string, string] => [
  show(figure.median),
  `${show(figure.low)} to ${show(figure.high)}`
]

/** A row from cells and groups of cells. */
export const row = (...parts: ReadonlyArray<string | ReadonlyArray<string>>): ReadonlyArray<string> => parts.flat()

export const printTable = ({ columns, rows, title }: Table): void => {
  const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]!.length)))
  // Figures stand below each other from the right, text from the left.
  const isText = columns.map((_, index) => index === 0 || !rows.some((row) => /^[-+]?\d/.test(row[index]!)))
  const line = (row: ReadonlyArray<string>) =>
    row.map((cell, index) => isText[index]! ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!)).join("  ")
      .trimEnd()
  console.log(`\n  ${title}`)
  console.log(`  ${line(columns)}`)
  console.log(`  ${widths.map((width) => "─".repeat(width)).join("  ")}`)
  for (const row of rows) console.log(`  ${line(row)}`)
}

export const printGoals = (goals: ReadonlyArray<Goal>): void => {
  const width = Math.max(...goals.map(({ measured }) => measured.length))
  for (const { goal, measured, pass, why } of goals) {
    console.log(`  ${pass ? "PASS" : "MISS"}  ${measured.padEnd(width)}  ${goal}`)
    if (!pass && why !== undefined) console.log(`  ${" ".repeat(width + 6)}  ${why}`)
  }
}
