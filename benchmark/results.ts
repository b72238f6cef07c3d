/**
 * What a run leaves behind: `results.json`, the page about it and its figures.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, totalmem } from "node:os"
import { peers } from "./installPeers.ts"
import { page, plotFile, type Results } from "./page.ts"
import { version } from "./peers/versions.ts"
import { plot } from "./plot.ts"
import { sections } from "./sections.ts"

const file = new URL("results.json", import.meta.url)
const docs = new URL("../docs/", import.meta.url)
const folder = new URL("performance/", docs)

/** `2 × AMD EPYC, 24 GB, linux x64`. */
export const machine = (): string =>
  `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? "unknown"}, ${
    Math.round(totalmem() / 1024 ** 3)
  } GB, ${process.platform} ${process.arch}`

/** Of all that takes part. */
export const versions = (): Readonly<Record<string, string>> => ({
  node: process.version.slice(1),
  "redis-server": redisVersion(),
  ...Object.fromEntries(
    ["effect", "@effect/platform-node", ...peers().filter((name) => name !== "effect-cached")].map((name) => [
      name,
      version(name)
    ])
  )
})

const redisVersion = (): string => {
  try {
    return /v=(\S+)/.exec(execFileSync("redis-server", ["--version"], { encoding: "utf8" }))?.[1] ?? "unknown"
  } catch {
    return "none"
  }
}

/** The last results that were written, if there are any. */
export const saved = (): Results | undefined => {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Results
  } catch {
    return undefined
  }
}

export const write = (results: Results): void => {
  writeFileSync(file, JSON.stringify(results, shortNumbers, 2) + "\n")
  writePage(results)
}

// Five digits are more than a measurement has.
const shortNumbers = (_: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value

/** The page and its figures alone, from what was measured before. */
export const writePage = (results: Results | undefined): void => {
  if (results === undefined) throw new Error("there is no benchmark/results.json: run the benchmark first")
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [name, { report }] of Object.entries(results.sections)) {
    for (const [index, figure] of (report?.figures ?? []).entries()) {
      writeFileSync(new URL(plotFile(name, index), docs), plot(figure))
    }
  }
  writeFileSync(new URL("performance.md", docs), page(results, sections))
}
