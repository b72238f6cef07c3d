/**
 * `npm run chaos -- --minutes 10 --seed 7`: a long chaos run. Ends with 1 if a read was not allowed.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { display } from "./checker.ts"
import { run } from "./run.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string" },
    nodes: { type: "string", default: "4" },
    staleness: { type: "string", default: "500" }
  }
})

const print = (line: string) => void process.stdout.write(`${line}\n`)
const seed = Number(values.seed ?? Math.trunc(performance.timeOrigin % 1_000_000))
print(`seed ${seed}`)

const { faults, violations, ...report } = await Effect.runPromise(Effect.scoped(run({
  seed,
  millis: Number(values.minutes) * 60_000,
  nodes: Number(values.nodes),
  maxStaleness: Number(values.staleness),
  log: print
})))

for (const [name, times] of faults) print(`${String(times).padStart(6)} × ${name}`)
for (const [name, value] of Object.entries(report)) print(`${name}: ${Math.round(value)}`)
for (const violation of violations) print(display(violation))
print(`seed ${seed}: ${violations.length} reads that were not allowed`)
process.exitCode = violations.length > 0 ? 1 : 0
