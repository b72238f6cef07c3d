/**
 * Virtual time, and processes that live in it. Everything that happens is an event of the world, so that a run is a function
 * of its seed and takes no real time: no timer, no promise, no turn of the event loop of the process that runs the tests.
 */
import type { Clock, Scheduler } from "effect"
import { Duration, Effect } from "effect"
import { makeRandom } from "../random.ts"

/** Times of the world are microseconds since the epoch. */
export interface World {
  readonly now: () => number
  /** Runs something later. The result cancels it. */
  readonly after: (micros: number, run: () => void) => () => void
  /** Lets time pass. */
  readonly runUntil: (time: number) => void
  /** Events that are still to come. */
  readonly planned: () => number
}

interface Event {
  readonly at: number
  readonly order: number
  run: (() => void) | undefined
}

export const epoch = 1_750_000_000_000_000

export const makeWorld = (): World => {
  let now = epoch
  let order = 0
  let planned = 0
  const heap: Array<Event> = []

  const before = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order)

  const push = (event: Event) => {
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(event, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = event
  }

  const pop = (): Event => {
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }

  return {
    now: () => now,
    after: (micros, run) => {
      const event: Event = { at: now + Math.max(0, Math.round(micros)), order: order++, run }
      push(event)
      planned++
      return () => {
        if (event.run === undefined) return
        event.run = undefined
        planned--
      }
    },
    runUntil: (time) => {
      while (heap.length > 0 && heap[0]!.at <= time) {
        const event = pop()
        if (event.run === undefined) continue
        const { run } = event
        event.run = undefined
        planned--
        now = event.at
        run()
      }
      now = time
    },
    planned: () => planned
  }
}

/** An operating-system process: one event loop, which may stand still, and a clock that may be wrong. */
export interface Process {
  readonly clock: Clock.Clock
  readonly scheduler: Scheduler.Scheduler
  readonly isAlive: () => boolean
  /** Does something in a turn of the event loop. */
  readonly enqueue: (task: () => void) => void
  /** A timer of the event loop: late while it stands still. */
  readonly after: (millis: number, run: () => void) => () => void
  /** Nothing runs for so many microseconds, and then all that should have. `suspended`: its monotonic clock stands still, too. */
  readonly pause: (micros: number, suspended: boolean) => void
  /** Moves the wall clock. */
  readonly step: (micros: number) => void
  /** It is gone, with all that it would have done. */
  readonly kill: () => void
  /** Timers that have not fired and tasks that have not run. */
  readonly pending: () => number
}

export const makeProcess = (world: World, seed: number, skew: number): Process => {
  const random = makeRandom(seed)
  let alive = true
  let pausedUntil = 0
  let suspendedFor = 0
  let offset = skew
  let timers = 0
  let tasks: Array<readonly [priority: number, task: () => void]> = []
  let turning = false

  const turn = () => {
    if (!alive) return
    if (world.now() < pausedUntil) return void world.after(pausedUntil - world.now(), turn)
    const due = tasks
    tasks = []
    // Stable: in the order in which they came, for each priority.
    if (due.some(([priority]) => priority !== 0)) due.sort((a, b) => a[0] - b[0])
    for (const [, task] of due) task()
    turning = tasks.length > 0
    if (turning) world.after(1 + random.below(20), turn)
  }

  const schedule = (task: () => void, priority: number) => {
    if (!alive) return
    tasks.push([priority, task])
    if (turning) return
    turning = true
    world.after(1 + random.below(20), turn)
  }

  const dispatcher: Scheduler.SchedulerDispatcher = {
    scheduleTask: schedule,
    flush: () => {
      throw new Error("Nobody waits synchronously in the simulation")
    }
  }

  const enqueue = (task: () => void) => schedule(task, 0)

  const after = (millis: number, run: () => void) => {
    timers++
    let done = false
    const finish = () => {
      if (done) return false
      done = true
      timers--
      return true
    }
    const cancel = world.after(millis * 1000, () =>
      enqueue(() => {
        if (finish()) run()
      }))
    return () => {
      if (finish()) cancel()
    }
  }

  const wall = () => world.now() + offset
  const currentTimeMillisUnsafe = () => Math.floor(wall() / 1000)
  const currentTimeNanosUnsafe = () => BigInt(wall()) * 1000n
  const monotonicTimeNanosUnsafe = () => BigInt(world.now() - epoch - suspendedFor + 1_000_000) * 1000n

  return {
    clock: {
      currentTimeMillisUnsafe,
      currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
      currentTimeNanosUnsafe,
      currentTimeNanos: Effect.sync(currentTimeNanosUnsafe),
      monotonicTimeNanosUnsafe,
      monotonicTimeNanos: Effect.sync(monotonicTimeNanosUnsafe),
      sleep: (duration) => {
        const millis = Duration.toMillis(duration)
        if (millis <= 0) return Effect.yieldNow
        if (millis === Infinity) return Effect.never
        return Effect.callback<void>((resume) => {
          const cancel = after(millis, () => resume(Effect.void))
          return Effect.sync(cancel)
        })
      }
    },
    scheduler: {
      executionMode: "async",
      shouldYield: (fiber) =>
        (fiber as unknown as { readonly currentOpCount: number }).currentOpCount >=
          (fiber as unknown as { readonly cache: { readonly maxOpsBeforeYield: number } }).cache.maxOpsBeforeYield,
      makeDispatcher: () => dispatcher
    },
    isAlive: () => alive,
    enqueue,
    after,
    pause: (micros, suspended) => {
      const until = world.now() + micros
      if (until <= pausedUntil) return
      if (suspended) suspendedFor += until - Math.max(pausedUntil, world.now())
      pausedUntil = until
    },
    step: (micros) => {
      offset += micros
    },
    kill: () => {
      alive = false
      tasks = []
    },
    pending: () => timers + tasks.length
  }
}
