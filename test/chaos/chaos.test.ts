/**
 * A short chaos run. `npm run chaos` makes a long one.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { display } from "./checker.ts"
import { run } from "./run.ts"

const seed = Number(process.env["CHAOS_SEED"] ?? 1)

it.live(`no read is older than allowed, whatever goes wrong (seed ${seed})`, () =>
  Effect.gen(function*() {
    const lines = [`seed ${seed}`]
    const { violations, ...report } = yield* run({
      seed,
      millis: 9000,
      nodes: 3,
      maxStaleness: 400,
      log: (line) => lines.push(line)
    }).pipe(Effect.onError(() => Effect.sync(() => process.stderr.write(lines.join("\n")))))
    assert.deepStrictEqual(violations.map(display), [], lines.join("\n"))
    // Something happened: reads of both kinds, and faults that hurt.
    assert.isAbove(report.reads, 200)
    assert.isAbove(report.reads, report.executions)
    assert.isAbove(report.invalidations, report.failedInvalidations)
    assert.isAbove(report.faults.size, 5)
  }).pipe(Effect.scoped))
