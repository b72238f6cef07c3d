/**
 * What hits and misses of a cache in memory execute.
 */
import { allocated, besides, countFibers, counting, type Counts } from "./counting.ts"

// Counts only what is loaded after it.
import { Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Cached, CacheLive } from "effect-cached"
import { check, computed, ids, inFiber, inTurn, open, print, schema } from "./subjects.ts"

export interface Hits {
  readonly fiberHit: Subject
  readonly routeHit: Subject
  readonly wholeHit: Subject
  readonly peek: Subject
  readonly miss: Counts
  /** Results that were decoded for hits. */
  readonly decoded: number
  readonly herd: Counts & { readonly executions: number }
}

interface Subject {
  readonly counts: Counts
  /** Allocated per operation, besides the control. */
  readonly bytes: number
}

countFibers(() => Effect.runFork(Effect.void).id)
const { articleOf, cache, close, fill, fingerprint, request, response, runtime, toldOf } = await open(CacheLive)

const inputs = Array.from({ length: ids }, (_, id) => ({ id }))
const nothing = inFiber(() => Exit.void)
const hit = inFiber((index) => articleOf(inputs[index % ids]!))
const prebuilt = inTurn((id) => request("prebuilt", id))
const routeHit = inTurn((id) => request("cached", id))
const wholeHit = inTurn((id) => request("whole", id))
const idle = inTurn(() => {})
const keys = inputs.map(({ id }) => `article\t{"id":${id}}`)
const peek = inTurn((id) => cache.peek(keys[id]!, fingerprint))

const times = 1000
const countsOf = (run: (times: number) => void): Counts => {
  run(ids)
  const stop = counting()
  run(times)
  return stop(times)
}
const subject = (work: (times: number) => void, control: (times: number) => void): Subject => ({
  counts: besides(countsOf(work), countsOf(control)),
  bytes: allocated(times, work) - allocated(times, control)
})

await fill()
check(computed.count === 3 * ids, "everything is computed once")
await Effect.runPromise(toldOf({ id: 7 }))
schema.decoded = 0
const before = computed.count
const fiberHit = subject(hit, nothing)
const ofRoute = subject(routeHit, prebuilt)
request("whole", 7)
check(response()?.headers["cache-status"] === "effect-cached; hit", "the whole response is hit")
const ofWhole = subject(wholeHit, prebuilt)
request("cached", 7)
check(response()?.headers["cache-status"] === "effect-cached; hit", "the route is hit")
check(cache.peek(keys[7]!, fingerprint) !== undefined, "there is something to peek at")
const ofPeek = subject(peek, idle)
inFiber(() => toldOf({ id: 7 }))(ids)
check(computed.count === before, "hits compute nothing")
const decoded = schema.decoded

let next = ids
const misses = inFiber(() => articleOf({ id: next++ }))
misses(ids)
const missed = computed.count
const stop = counting()
misses(100)
const miss = besides(stop(100), countsOf(nothing))
check(computed.count === missed + 100, "every miss computes")

const callers = 10_000
const herd = await runtime.runPromise(Effect.gen(function*() {
  let executions = 0
  const source = yield* Deferred.make<number>()
  const slow = yield* Cached.make("slow", { input: { id: Schema.Number }, success: Schema.Number }, () => {
    executions++
    return Deferred.await(source)
  })
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const call = slow({ id: 1 })
  const stop = counting()
  for (let caller = 0; caller < callers; caller++) {
    fibers.push(yield* Effect.forkChild(call, { startImmediately: true }))
  }
  yield* Deferred.succeed(source, 7)
  for (const fiber of fibers) yield* Fiber.join(fiber)
  const counts = stop(callers)
  return { ...counts, executions }
}))
await close()

print({ fiberHit, routeHit: ofRoute, wholeHit: ofWhole, peek: ofPeek, miss, decoded, herd } satisfies Hits)
