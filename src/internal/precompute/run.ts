/**
 * Running through the domains: so many inputs at a time, one element of progress for each.
 *
 * Processes that are started together come to the same inputs in the same order. What another process is computing is put
 * aside, and asked for again when there is nothing else to do: so each of them goes on to what nobody computes yet.
 *
 * Invariant: what is counted is emitted, and what is emitted reaches whoever goes on reading. The queue has no bound; the
 * bound is where the next input is taken, and so is every stop.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as CacheError from "../../CacheError.ts"
import { describe, domainError } from "../errors.ts"
import { handleInput } from "./input.ts"
import { batchSize, collectKeys, type Keys, removeKeys } from "./outside.ts"
import { type Progress, type Summary, Watch } from "./progress.ts"
import { makeReport, type Part, sizeOf, type Task } from "./report.ts"

/** The options, checked, with their defaults. */
export interface Settings {
  readonly concurrency: number
  readonly retry: Schedule.Schedule<unknown> | undefined
  readonly failFast: boolean
  /** In milliseconds. */
  readonly timeBudget: number
  readonly verify: number
  readonly prune: "keep" | "report" | "remove"
}

/** The services are those of `varyBy`. */
export const runTasks = (
  tasks: ReadonlyArray<Task>,
  settings: Settings
): Stream.Stream<Progress, CacheError.CacheError, any> =>
  Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Queue.unbounded<Progress, CacheError.CacheError | Cause.Done>()
    const gate = Latch.makeUnsafe(true)
    yield* Effect.forkScoped(
      Effect.onError(conduct(tasks, settings, { queue, gate }), (cause) => Queue.failCause(queue, cause))
    )
    return Stream.fromPull(Effect.succeed(
      Effect.tap(Queue.takeAll(queue), () => Effect.sync(() => gate.openUnsafe()))
    ))
  }))

interface Outlet {
  readonly queue: Queue.Queue<Progress, CacheError.CacheError | Cause.Done>
  /** Closed while more waits in the queue than its reader should find there. */
  readonly gate: Latch.Latch
}

const maxWaiting = 256

const none: Keys = new Map()

const conduct = Effect.fnUntraced(function*(
  tasks: ReadonlyArray<Task>,
  settings: Settings,
  { gate, queue }: Outlet
): Effect.fn.Return<void, CacheError.CacheError, any> {
  const { concurrency, failFast, prune, timeBudget } = settings
  const keys = prune === "keep" ? none : yield* prune === "remove" ? collectKeys(tasks) : Effect.catch(
    collectKeys(tasks),
    (error) => Effect.as(Effect.logWarning(`Entries outside the domains cannot be told: ${error.message}`), none)
  )
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const report = makeReport(tasks, keys, now, (progress) => void Queue.offerUnsafe(queue, progress), yield* Watch)
  const { parts } = report
  const deadline = now() + timeBudget
  let stopped: Summary["stopped"] = undefined

  const untilRoom = Effect.suspend(() => {
    if (Queue.sizeUnsafe(queue) < maxWaiting) return Effect.void
    gate.closeUnsafe()
    return gate.await
  })

  // One for all workers: no input is taken twice, and none is left out.
  const inputs = inputsOf(parts)
  const aside: Array<Taken> = []
  const take = (): Taken | undefined => {
    if (stopped !== undefined) return undefined
    const next = (aside.length < maxAside ? inputs.next().value : undefined) ?? aside.shift()
    if (next === undefined) return undefined
    const at = now()
    if (at >= deadline) {
      stopped = "time"
      return undefined
    }
    next.part.tally.start(at)
    return next
  }

  const worker = Effect.gen(function*() {
    while (true) {
      yield* untilRoom
      const next = take()
      if (next === undefined) return
      const { input, part, patient } = next
      const { filter, fn } = part.task
      let keyed = false
      const passed = (key: string) => {
        keyed = true
        part.unseen?.delete(key)
      }
      if (filter !== undefined && !patient && !(yield* accepted(part.task, filter, input))) {
        if (part.unseen !== undefined) {
          yield* Effect.ignore(Effect.map(fn.keyed(input), ({ key }) => passed(key)))
          if (!keyed) part.keyless = true
        }
        report.excluded(part)
        continue
      }
      const outcome = yield* handleInput(part.task, input, { ...settings, deadline, patient }, passed)
      if (!keyed) part.keyless = true
      if (outcome._tag === "Elsewhere") {
        aside.push({ input, part, patient: true })
        continue
      }
      report.handled(part, input, outcome)
      if (failFast && outcome._tag === "Failed") {
        stopped = "failure"
        // Ends the other workers.
        return yield* Effect.fail("stopped" as const)
      }
    }
  })

  const workers = Array.from({ length: Math.max(1, Math.min(concurrency, sizeOf(tasks))) }, () => worker)
  yield* Effect.all(workers, { concurrency: "unbounded", discard: true }).pipe(
    Effect.catchIf((error) => error === "stopped", () => Effect.void)
  )

  const tellOutside = Effect.fnUntraced(function*(part: Part, outside: ReadonlyArray<string>) {
    for (let start = 0; start < outside.length; start += batchSize) {
      yield* untilRoom
      const batch = outside.slice(start, start + batchSize)
      if (prune === "remove") yield* removeKeys(part.task, batch)
      for (const key of batch) report.outside(part, key, prune === "remove")
    }
  })

  if (stopped !== "failure") {
    for (const [fn, unseen] of keys) {
      // One function may have several parts, each with inputs of its own.
      const own = parts.filter(({ task }) => task.fn === fn)
      if (own.every(({ exhausted, keyless }) => exhausted && !keyless)) {
        yield* tellOutside(own[0]!, Array.from(unseen).toSorted())
      }
    }
  }
  // The results are stored. What a store does now it would do later.
  yield* Effect.forEach(
    new Set(tasks.map(({ cache }) => cache)),
    ({ flush }) => Effect.catch(flush, (error) => Effect.logWarning(error.message))
  )
  report.finished(stopped)
  Queue.endUnsafe(queue)
})

// Its input is that of the domain: `Precompute.over` has checked it.
const accepted = ({ fn }: Task, filter: (input: any) => boolean, input: unknown) =>
  Effect.try({
    try: () => filter(input),
    catch: (cause) => domainError(fn.name, undefined, `its filter throws for ${format(input)}: ${describe(cause)}`)
  })

interface Taken {
  readonly part: Part
  readonly input: unknown
  /** Whether it was put aside, because another process was computing it: the second time, the run waits for that. */
  readonly patient: boolean
}

// So many inputs are put aside for others to compute.
const maxAside = 1024

const inputsOf = function*(parts: ReadonlyArray<Part>): Generator<Taken, void> {
  for (const part of parts) {
    for (const input of part.task.domain) yield { part, input, patient: false }
    part.exhausted = true
  }
}
