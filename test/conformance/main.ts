/**
 * `npm run conformance`: the suite `http-cache-tests` against `HttpCached.rfc9111`, as it is published and with the corrections of
 * `errata.ts`, which the last line counts. Ends with 1 if a test did not end as `expected.json` says.
 */
import { Effect, References } from "effect"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { correct } from "./errata.ts"
import * as Origin from "./origin.ts"
import * as Proxy from "./proxy.ts"
import { failuresOf, kindOf, kinds, load, type Suite, suiteIds } from "./suite.ts"

const expected = JSON.parse(readFileSync(new URL("expected.json", import.meta.url), "utf8")) as ReadonlyArray<{
  readonly reason: string
  readonly tests: ReadonlyArray<string>
}>
const reasons = new Map(expected.flatMap(({ reason, tests }) => tests.map((id) => [id, reason])))

const print = (line: string) => void process.stdout.write(`${line}\n`)

const published = await load()
const { corrected, toRun } = correct(published, suiteIds)

// The one that the suite is made for: it sends each line of a header as it is, and adds nothing.
const fetch: unknown = createRequire(import.meta.resolve("http-cache-tests/package.json"))("node-fetch")

// Some lifetimes are two seconds, and dates are in whole seconds: more tests at once would be too slow for some of them.
const atOnce = 40

const run = Effect.gen(function*() {
  const base = yield* Proxy.start(yield* Origin.start)
  return yield* Effect.promise(async () => {
    const { getResults, runTests } = await import("http-cache-tests/client/runner.mjs")
    await runTests(toRun, fetch, false, base, atOnce)
    return getResults()
  })
  // That something stale was served is what some tests are about.
}).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
const failures = failuresOf(toRun, await Effect.runPromise(Effect.scoped(run)))

const countOf = (suites: ReadonlyArray<Suite>) =>
  kinds.map((kind) => {
    const tests = suites.flatMap(({ tests }) => tests.filter((test) => kindOf(test) === kind))
    return `${kind} ${tests.filter(({ id }) => !failures.has(id)).length} of ${tests.length}`
  })

for (const suite of corrected) print(`${suite.id.padEnd(18)} ${countOf([suite]).join(", ")}`)

const tests = toRun.flatMap(({ tests }) => tests)
const changes = tests.flatMap(({ id, name }) => {
  const failure = failures.get(id)
  const reason = reasons.get(id)
  if ((failure === undefined) === (reason === undefined)) return []
  return [
    failure === undefined
      ? `${id} passed. It was expected to fail: ${reason}`
      : `${id} did not pass: ${failure}\n  ${name}`
  ]
})
const known = new Set(tests.map(({ id }) => id))
for (const id of reasons.keys()) {
  if (!known.has(id)) changes.push(`${id} is expected to fail, and there is no such test`)
}
for (const change of changes) print(change)
process.exitCode = changes.length === 0 ? 0 : 1
print(`as published: ${countOf(published).slice(0, 2).join(", ")}`)
print(countOf(corrected).slice(0, 2).join(", "))
