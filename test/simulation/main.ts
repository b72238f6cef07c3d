/**
 * Runs the simulation with as many seeds as one likes:
 *
 *     node --import ./test/bin/fixtures/register.ts test/simulation/main.ts --seeds 100000 --from 1
 */
import { parseArgs } from "node:util"
import { makePlan } from "./plan.ts"
import { run } from "./run.ts"
import { report, shrink } from "./shrink.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10000" },
    from: { type: "string", default: "1" }
  }
})
const from = Number(values.from)
const end = from + Number(values.seeds)
let failed = 0
for (let seed = from; seed < end; seed++) {
  const plan = makePlan(seed)
  if (run(plan).violations.length > 0) {
    failed++
    const shortest = shrink(plan)
    process.stdout.write(`${report(shortest, run(shortest))}\n\n`)
  }
  if ((seed - from + 1) % 1000 === 0) process.stdout.write(`${seed - from + 1} seeds, ${failed} failed\n`)
}
process.stdout.write(`seeds ${from} to ${end - 1}: ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1
