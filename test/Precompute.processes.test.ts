/**
 * Processes that are started together and precompute the same over one Redis.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { Report, Settings } from "./fixtures/sharing.ts"
import * as RedisServer from "./redis/RedisServer.ts"

const program = fileURLToPath(new URL("fixtures/sharing.ts", import.meta.url))
const register = fileURLToPath(new URL("bin/fixtures/register.ts", import.meta.url))

// Loading is most of what these processes do.
const compiled = fs.mkdtempSync(path.join(os.tmpdir(), "effect-cached-compiled-"))
afterAll(() => fs.rmSync(compiled, { recursive: true, force: true }))

/** Starts the program. It is killed with the scope. */
const start = Effect.fnUntraced(function*(settings: Settings) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, ["--import", register, program, JSON.stringify(settings)], {
        env: { ...process.env, NODE_COMPILE_CACHE: compiled },
        stdio: "pipe"
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const ready = Deferred.makeUnsafe<void>()
  const report = Deferred.makeUnsafe<Report>()
  const busy = Deferred.makeUnsafe<void>()
  const ended = Deferred.makeUnsafe<void>()
  const runs: Array<number> = []
  let stderr = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "ready") Deferred.doneUnsafe(ready, Effect.void)
    else if (line.startsWith("report ")) {
      Deferred.doneUnsafe(report, Effect.succeed(JSON.parse(line.slice(7)) as Report))
    } else if (line.startsWith("run ")) {
      runs.push(Number(line.slice(4)))
      if (runs.length === settings.concurrency) Deferred.doneUnsafe(busy, Effect.void)
    }
  })
  child.once("close", (code, signal) => {
    if (code === 0) Deferred.doneUnsafe(ended, Effect.void)
    const died = Effect.die(new Error(`it ended with ${code ?? signal}: ${stderr}`))
    for (const one of [ready, busy, report, ended]) Deferred.doneUnsafe(one as Deferred.Deferred<unknown>, died)
  })
  return {
    /** What it computed. */
    runs,
    ready: Deferred.await(ready),
    /** It computes as many inputs as it may at a time. */
    busy: Deferred.await(busy),
    report: Deferred.await(report),
    /** It has ended by itself. */
    ended: Deferred.await(ended),
    go: Effect.sync(() => void child.stdin.write("go\n")),
    kill9: Effect.sync(() => void child.kill("SIGKILL"))
  }
})

const sorted = (numbers: Iterable<number>) => Array.from(numbers).toSorted((a, b) => a - b)
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

// Every input is told once, and the counts add up.
const checkReport = ({ complete, counts, steps }: Report, inputs: number) => {
  assert.deepStrictEqual([complete, counts.total, counts.failed, counts.remaining], [true, inputs, 0, 0])
  assert.strictEqual(counts.computed + counts.present, inputs)
  assert.deepStrictEqual(sorted(steps.map((step) => Number(step.split(" ")[1]))), upTo(inputs))
  assert.strictEqual(steps.filter((step) => step.startsWith("Computed")).length, counts.computed)
}

describe("Precompute in several processes over one Redis", () => {
  it.live("shares the work: none waits for another, and each input is computed once in all", () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer.start()
      const settings = { url, namespace: "shared", inputs: 60, concurrency: 2, leaseDuration: 60_000 }
      const processes = yield* Effect.forEach(upTo(4), () => start(settings))
      yield* Effect.forEach(processes, ({ ready }) => ready)
      yield* Effect.forEach(processes, ({ go }) => go)
      // Not one computation has ended, and each process is at work on inputs of its own.
      yield* Effect.forEach(processes, ({ busy }) => busy)
      assert.strictEqual(new Set(processes.flatMap(({ runs }) => runs)).size, 8)
      yield* Effect.forEach(processes, ({ go }) => go)
      const reports = yield* Effect.forEach(processes, ({ report }) => report)
      assert.deepStrictEqual(sorted(processes.flatMap(({ runs }) => runs)), upTo(60))
      for (const [index, report] of reports.entries()) {
        checkReport(report, 60)
        assert.strictEqual(report.counts.computed, processes[index]!.runs.length)
      }
      yield* Effect.forEach(processes, ({ ended }) => ended)
    }))

  it.live("takes over what a process was computing that was killed (scenario 56)", () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer.start()
      const settings = { url, namespace: "killed", inputs: 30, concurrency: 2, leaseDuration: 1000 }
      const [dead, ...others] = yield* Effect.forEach(upTo(3), () => start(settings))
      yield* Effect.forEach([dead!, ...others], ({ ready }) => ready)
      yield* dead!.go
      yield* dead!.busy
      yield* Effect.forEach(others, ({ go }) => go)
      yield* Effect.forEach(others, ({ busy }) => busy)
      yield* dead!.kill9
      yield* Effect.forEach(others, ({ go }) => go)
      const reports = yield* Effect.forEach(others, ({ report }) => report)
      for (const report of reports) checkReport(report, 30)
      assert.deepStrictEqual(dead!.runs, [0, 1])
      assert.deepStrictEqual(sorted(new Set(others.flatMap(({ runs }) => runs))), upTo(30))
      // It was put aside, and is the last that they came back to.
      const positions = reports.flatMap(({ steps }) =>
        steps.flatMap((step, index) => step === "Computed 0" ? [index] : [])
      )
      assert.isAbove(Math.max(...positions), 0)
    }))
})
