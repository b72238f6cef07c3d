/**
 * Runs the benchmark: `npm run bench`, with `-- --quick`, `-- --only=http,tags`, `-- --write`, `-- --smoke` and
 * `-- --page`. README.md has the method.
 */
import { availableParallelism, loadavg } from "node:os"
import { parseArgs } from "node:util"
import type { Settings } from "./fixtures.ts"
import { installPeers } from "./installPeers.ts"
import type { Measured } from "./page.ts"
import { endSections, runSection } from "./processes.ts"
import { printGoals, printTable } from "./report.ts"
import { machine, saved, versions, write, writePage } from "./results.ts"
import { sections } from "./sections.ts"

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
    only: { type: "string" },
    write: { type: "boolean", default: false },
    page: { type: "boolean", default: false }
  }
})

if (values.page) {
  writePage(saved())
  process.exit(0)
}

const settings: Settings = { quick: values.quick || values.smoke, smoke: values.smoke }
const all = Object.keys(sections)
const asked = values.only?.split(",")
const unknown = (asked ?? []).filter((name) => !(name in sections))
if (unknown.length > 0) {
  console.error(`No section is called ${unknown.join(", ")}. There are: ${all.join(", ")}.`)
  process.exit(1)
}

const leftOut = new Map<string, string>()
const names = asked ?? all.filter((name) => {
  const out = sections[name]!.leftOut
  const isOut = !settings.smoke && (out?.of === "all" || (out?.of === "quick" && settings.quick))
  if (isOut) leftOut.set(name, out.because)
  return !isOut
})

// All of a quick run is to be done within two minutes, with the build before it, whatever the machine.
const inHaste = settings.quick && !settings.smoke && asked === undefined
const quickMillis = 110_000
const sectionMillis = settings.quick ? 60_000 : 240_000

process.on("exit", endSections)
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130))

installPeers()
const how = settings.smoke ? ", only to see that everything works" : settings.quick ? ", quick" : ""
console.log(`node ${process.version}, ${machine()}, load ${loadavg()[0]!.toFixed(2)}${how}`)

const measured: Record<string, Measured> = {}
const failures = new Map<string, string>()

const measure = async (name: string): Promise<void> => {
  const since = performance.now()
  const left = inHaste ? quickMillis - since : Infinity
  const result = left < 3000 ? undefined : await runSection(name, settings, Math.min(sectionMillis, left))
  if (result === undefined || (result instanceof Error && performance.now() > quickMillis && inHaste)) {
    leftOut.set(name, "no time was left")
    return
  }
  const seconds = Math.round((performance.now() - since) / 100) / 10
  console.log(`\n${sections[name]!.title} (${name}, ${seconds.toFixed(1)} s)`)
  if (result instanceof Error) {
    failures.set(name, result.message)
    console.log(`\n  FAILED: ${result.message}`)
    measured[name] = { settings, seconds }
    return
  }
  measured[name] = { settings, seconds, report: result }
  // What was measured by the way says nothing.
  if (settings.smoke) return
  for (const table of result.tables) printTable(table)
  for (const note of result.notes) console.log(`\n  ${note}`)
}

// One section at a time, unless nothing is measured.
const waiting = [...names]
const work = async (): Promise<void> => {
  // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await measure(name)
}
await Promise.all(Array.from({ length: settings.smoke ? availableParallelism() : 1 }, work))

const goals = names.flatMap((name) => measured[name]?.report?.goals ?? [])
if (goals.length > 0 && !settings.smoke) {
  const { further = [], stated = [] } = Object.groupBy(goals, (goal) => goal.stated === true ? "stated" : "further")
  if (stated.length > 0) {
    console.log("\nGoals: median (quartiles)\n")
    printGoals(stated)
  }
  if (further.length > 0) {
    console.log("\nFurther lines\n")
    printGoals(further)
  }
}
if (leftOut.size > 0) {
  console.log("\nleft out, and run by `--only=name`:")
  for (const [name, why] of leftOut) console.log(`  ${name}: ${why}`)
}
for (const [name, message] of failures) console.error(`\nfailed: ${name}: ${message}`)

// A run of everything is what the page is about. What only some sections measured takes the place of what they measured before.
const isFull = asked === undefined && !settings.quick
if ((values.write || isFull) && !settings.smoke) {
  const before = isFull ? {} : saved()?.sections ?? {}
  const order = all.filter((name) => name in measured || name in before)
  write({
    machine: machine(),
    versions: versions(),
    sections: Object.fromEntries(order.map((name) => [name, measured[name] ?? before[name]!]))
  })
  console.log("\nWritten: benchmark/results.json, docs/performance.md and its figures")
}
if (failures.size > 0) process.exitCode = 1
