/**
 * Runs the benchmark: `npm run bench`, with `-- --quick`, `-- --only=http,tags` and `-- --write`. README.md has the
 * method.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { cpus, loadavg } from "node:os"
import { parseArgs } from "node:util"
import type { Settings } from "./fixtures.ts"
import { printGoals, printTable, type Report } from "./report.ts"
import { sections } from "./sections.ts"

const { values: { only, quick, write } } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    write: { type: "boolean", default: false }
  }
})

const names = only === undefined ? Object.keys(sections) : only.split(",")
const unknown = names.filter((name) => !(name in sections))
if (unknown.length > 0) {
  console.error(`No section is called ${unknown.join(", ")}. There are: ${Object.keys(sections).join(", ")}.`)
  process.exit(1)
}

const runSection = async (name: string, settings: Settings): Promise<Report> => {
  const child = fork(new URL("run.ts", import.meta.url), { execArgv: ["--expose-gc"] })
  child.send({ name, settings })
  const ended = once(child, "exit").then(() => {
    throw new Error(`section ${name} ended without a report`)
  })
  const [report] = await Promise.race([once(child, "message"), ended]) as [Report]
  await ended.catch(() => {})
  return report
}

const machine = `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`
console.log(`${machine}, load ${loadavg()[0]!.toFixed(2)}${quick ? ", quick" : ""}`)

const reports: Record<string, Report & { readonly title: string }> = {}
for (const name of names) {
  const { title } = sections[name]!
  console.log(`\n${title} (${name})`)
  // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
  const report = await runSection(name, { quick })
  reports[name] = { title, ...report }
  for (const table of report.tables) printTable(table)
  for (const note of report.notes) console.log(`\n  ${note}`)
}

const goals = Object.values(reports).flatMap((report) => report.goals)
if (goals.length > 0) {
  console.log("\nGoals: median (quartiles)\n")
  printGoals(goals)
}

if (write) {
  const file = new URL("results.json", import.meta.url)
  writeFileSync(file, JSON.stringify({ date: new Date().toISOString(), machine, quick, reports }, undefined, 2) + "\n")
  console.log("\nWritten to benchmark/results.json")
}
