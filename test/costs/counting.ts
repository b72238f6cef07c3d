/**
 * Counts what is executed in this process. Has to be imported before what is counted, because it counts the parts of functions
 * only in what is compiled after it.
 */
import { createHook } from "node:async_hooks"
import { type Profiler, Session } from "node:inspector"

/** What a piece of work has done, per operation. */
export interface Counts {
  /** Calls of functions of this package and of its dependencies. */
  readonly calls: number
  /** The same by file. */
  readonly files: Readonly<Record<string, number>>
  /** Calls, and parts of functions that were entered: branches, and the bodies of loops. */
  readonly steps: number
  readonly fibers: number
  readonly promises: number
  readonly timers: number
  /** Calls of `JSON.parse`. */
  readonly parses: number
  /** Calls of `JSON.stringify`. */
  readonly texts: number
  /** SHA-256 digests. */
  readonly digests: number
}

const session = new Session()
session.connect()

const post = <A>(method: "Profiler.enable" | "Profiler.startPreciseCoverage" | "Profiler.takePreciseCoverage") => {
  let result: A | undefined
  let problem: Error | null = null
  // Within one thread it answers at once.
  session.post(method, { callCount: true, detailed: true }, (error, answer) => {
    problem = error
    result = answer as A
  })
  if (problem !== null) throw problem
  return result!
}

post("Profiler.enable")
post("Profiler.startPreciseCoverage")

const json = { parses: 0, texts: 0 }
const { parse, stringify } = JSON
JSON.parse = (...args) => {
  json.parses++
  return parse(...args)
}
JSON.stringify = (...args: [any, any?, any?]) => {
  json.texts++
  return stringify(...args)
}

const resources: Record<string, number> = {}
const hook = createHook({
  init: (_, type) => {
    resources[type] = (resources[type] ?? 0) + 1
  }
})

// The number of the next fiber: what is counted runs after this module.
let nextFiber = () => 0
/** Tells how to know how many fibers there were. */
export const countFibers = (next: () => number): void => {
  nextFiber = next
}

const root = new URL("../../", import.meta.url).href
const isCounted = (url: string) => url.startsWith(`${root}src/`) || url.includes("/node_modules/")
const nameOf = (url: string) => url.startsWith(root) ? url.slice(root.length) : url.slice(url.indexOf("node_modules/"))

/** Begins to count. The function that it returns ends that, for so many operations. */
export const counting = (): (times: number) => Counts => {
  const fibers = nextFiber()
  for (const type of Object.keys(resources)) delete resources[type]
  hook.enable()
  json.parses = 0
  json.texts = 0
  post("Profiler.takePreciseCoverage")
  return (times) => {
    const { result } = post<Profiler.TakePreciseCoverageReturnType>("Profiler.takePreciseCoverage")
    const { parses, texts } = json
    hook.disable()
    const started = nextFiber() - fibers - 1
    const files: Record<string, number> = {}
    let calls = 0
    let steps = 0
    let digests = 0
    for (const { functions, url } of result) {
      if (!isCounted(url)) continue
      const file = nameOf(url).replace("node_modules/", "")
      for (const { ranges } of functions) {
        const called = ranges[0]!.count
        calls += called
        steps += ranges.reduce((sum, { count }) => sum + count, 0)
        if (called > 0) files[file] = (files[file] ?? 0) + called / times
        if (file === "src/internal/digest.ts") digests += called
      }
    }
    return {
      calls: calls / times,
      files,
      steps: steps / times,
      fibers: started / times,
      promises: (resources["PROMISE"] ?? 0) / times,
      timers: ((resources["Timeout"] ?? 0) + (resources["Immediate"] ?? 0)) / times,
      parses: parses / times,
      texts: texts / times,
      digests: digests / times
    }
  }
}

/** What work has done besides its control. */
export const besides = (work: Counts, control: Counts): Counts => {
  const less = (name: Exclude<keyof Counts, "files">) => work[name] - control[name]
  const names = new Set([...Object.keys(work.files), ...Object.keys(control.files)])
  return {
    calls: less("calls"),
    files: Object.fromEntries(
      [...names].map((name) => [name, (work.files[name] ?? 0) - (control.files[name] ?? 0)] as const).filter((
        [, more]
      ) => more !== 0)
    ),
    steps: less("steps"),
    fibers: less("fibers"),
    promises: less("promises"),
    timers: less("timers"),
    parses: less("parses"),
    texts: less("texts"),
    digests: less("digests")
  }
}

/** The bytes that operations allocate, each: on the heap, and in buffers outside it. Nothing may be collected meanwhile. */
export const allocated = (times: number, run: (times: number) => void): number => {
  globalThis.gc!()
  const before = process.memoryUsage()
  run(times)
  const after = process.memoryUsage()
  return (after.heapUsed - before.heapUsed + after.external - before.external) / times
}
