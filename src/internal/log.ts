/**
 * How one cache takes part in the invalidation log: it follows what others append, and appends itself.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { atOnceOf } from "./atOnce.ts"
import { logError } from "./errors.ts"
import type { EventBus } from "./eventBus.ts"
import { covering } from "./tagText.ts"

interface Record {
  readonly tags: ReadonlyArray<string>
  readonly position: number
}

interface Graph {
  readonly apply: (record: Record) => void
  readonly gap: (position: number) => void
  readonly lose: () => void
  readonly resume: () => void
  readonly hold: (tags: ReadonlyArray<string>) => { readonly release: () => void }
}

type Change =
  | { readonly _tag: "Record" } & Record
  | { readonly _tag: "Gap" | "Heartbeat"; readonly position: number }
  | { readonly _tag: "Ignored"; readonly problem: string }
  | { readonly _tag: "Lost"; readonly error: CacheError.CacheError }

interface Log {
  readonly append: (tags: ReadonlyArray<string>) => Effect.Effect<number, CacheError.CacheError>
  readonly follow: (follower: (change: Change) => void) => Effect.Effect<void, never, Scope.Scope>
}

type Tell = EventBus["tell"]

/** Keeps the graph up to date until the scope closes. */
export const follow = (log: Log, graph: Graph, tell: Tell): Effect.Effect<void, never, Scope.Scope> => {
  let state: "starting" | "following" | "lost" = "starting"
  let known = false
  return log.follow((change) => {
    switch (change._tag) {
      case "Record":
        return graph.apply(change)
      case "Gap":
        graph.gap(change.position)
        if (state === "following") tell(CacheEvent.LogGap({ position: change.position }))
        if (state === "lost") tell(CacheEvent.CaughtUp({ position: change.position }))
        state = "following"
        known = true
        return
      case "Lost":
        graph.lose()
        state = "lost"
        return tell(CacheEvent.LogFailed({ error: change.error }))
      case "Ignored":
        return tell(CacheEvent.LogIgnored({ problem: change.problem }))
      case "Heartbeat":
        graph.resume()
        if (state !== "lost" || !known) return
        state = "following"
        return tell(CacheEvent.CaughtUp({ position: change.position }))
    }
  })
}

const maxQueued = 10_000

/** An invalidation that the log has not taken yet. It was asked for at `turn`. */
interface Queued {
  readonly tags: ReadonlyArray<string>
  readonly turn: number
  readonly release: () => void
  /** Who waits for it to be taken, or to fail once more. */
  waiting: ReadonlyArray<Waiting>
}

interface Waiting {
  readonly turn: number
  readonly taken: Deferred.Deferred<void, CacheError.CacheError>
}

/**
 * Makes the operation that invalidates: locally first, then in the log. A fiber calls it when it runs it, so that what takes
 * one step takes no other.
 *
 * It runs in the cache's scope and is not interrupted with its caller: nobody could tell whether the record is in the log.
 * What the log does not take stays invalid here, and is queued. The queue is delivered in its order, many in one record, again and
 * again until the log has taken all of it, and whoever comes meanwhile stands at its end. If it grows too long, it becomes one
 * record that ends everything.
 */
export const makeForget = (log: Log, graph: Graph, scope: Scope.Scope, tell: EventBus["tellInvalidated"]) => {
  const queue = new Map<string, Queued>()
  let delivery: Deferred.Deferred<void, CacheError.CacheError> | undefined
  let retrying = false
  // Which was first: that an invalidation was asked for, or that a record was appended.
  let turn = 0

  const enqueue = (tags: ReadonlyArray<string>, turn: number, release: () => void): Queued => {
    const name = tags.join("\n")
    const before = queue.get(name)
    before?.release()
    const queued: Queued = { tags, turn, release, waiting: before?.waiting ?? [] }
    queue.set(name, queued)
    if (queue.size <= maxQueued) return queued
    const replaced = Array.from(queue.values())
    queue.clear()
    const everything = enqueue([], turn, graph.hold([]).release)
    for (const each of replaced) each.release()
    everything.waiting = replaced.flatMap((each) => each.waiting)
    return everything
  }

  // The graph has been told by the log. A record that was on its way to the log before an invalidation was asked for may stand
  // before the change that the invalidation is about.
  const took = (tags: ReadonlyArray<string>, position: number, asked: number) => {
    if (queue.size > 0) deliveredWith(tags, asked)
    tell(tags, position)
  }

  const deliveredWith = (tags: ReadonlyArray<string>, asked: number) => {
    const covers = covering(tags)
    for (const [name, queued] of queue) {
      if (!queued.tags.every(covers) || (queued.tags.length === 0 && tags.length > 0)) continue
      // Who asked for the same after the record was on its way stays, and keeps nobody else waiting.
      answer(queued, asked, Exit.void)
      if (queued.turn >= asked) continue
      queue.delete(name)
      queued.release()
    }
  }

  const answer = (queued: Queued, before: number, exit: Exit.Exit<void, CacheError.CacheError>) => {
    const { waiting } = queued
    queued.waiting = waiting.filter(({ turn }) => turn >= before)
    for (const { taken, turn } of waiting) if (turn < before) Deferred.doneUnsafe(taken, exit)
  }

  const append = (tags: ReadonlyArray<string>): Effect.Effect<void, CacheError.CacheError> => {
    const asked = ++turn
    const { release } = graph.hold(tags)
    if (queue.size > 0) return delivered(enqueue(tags, asked, release))
    return Effect.matchCauseEffect(Effect.suspend(() => log.append(tags)), {
      onSuccess: (position) => {
        release()
        took(tags, position, asked)
        return Effect.void
      },
      onFailure: (cause) => {
        // As if it came now: the same tags may stand there already, for a later change than the record that failed.
        enqueue(tags, ++turn, release)
        return Effect.andThen(retry, Effect.failCause(cause))
      }
    })
  }

  const delivered = (queued: Queued): Effect.Effect<void, CacheError.CacheError> => {
    const taken = Deferred.makeUnsafe<void, CacheError.CacheError>()
    queued.waiting = [...queued.waiting, { turn, taken }]
    return Effect.andThen(start, Deferred.await(taken))
  }

  // One delivery at a time, for all who wait for one.
  const start: Effect.Effect<Deferred.Deferred<void, CacheError.CacheError>> = Effect.suspend(() => {
    if (delivery !== undefined) return Effect.succeed(delivery)
    const done = Deferred.makeUnsafe<void, CacheError.CacheError>()
    delivery = done
    const run = Effect.onExit(deliverAll, (exit) => {
      delivery = undefined
      if (Exit.isFailure(exit)) { for (const queued of queue.values()) answer(queued, Infinity, exit) }
      Deferred.doneUnsafe(done, exit)
      // Someone may have come after the last look into the queue.
      return queue.size > 0 && Exit.isSuccess(exit) ? Effect.asVoid(start) : Effect.void
    })
    return Effect.as(Effect.forkIn(run, scope, { startImmediately: true }), done)
  })

  const deliverAll = Effect.gen(function*() {
    while (queue.size > 0) {
      const tags = firstOf(queue.values())
      const asked = ++turn
      took(tags, yield* Effect.suspend(() => log.append(tags)), asked)
    }
  })

  const retry = Effect.suspend(() => {
    if (retrying) return Effect.void
    retrying = true
    return Effect.forkIn(Effect.delay(untilTaken, firstDelay), scope)
  })

  const untilTaken: Effect.Effect<void> = Effect.suspend(() => {
    if (queue.size > 0) {
      return Effect.andThen(Effect.retry(Effect.sandbox(Effect.flatMap(start, Deferred.await)), backOff), untilTaken)
    }
    retrying = false
    return Effect.void
  }).pipe(Effect.orDie)

  const atOnce = atOnceOf(log.append)

  return (
    tags: ReadonlyArray<string>,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<void, CacheError.CacheError> => {
    if (scope.state._tag === "Closed") return logError("The cache is closed: its layer was released")
    // A copy that nobody can change: the graph goes on looking at it.
    const record = Object.freeze(tags.length === 1 ? [tags[0]!] : Array.from(new Set(tags)))
    if (atOnce !== undefined && queue.size === 0) {
      try {
        const asked = ++turn
        took(record, atOnce(record), asked)
        // Nobody could look between asking and this, so there was nothing to hold.
        return Effect.void
      } catch {
        // A follower has thrown: it is asked in the usual way.
      }
    }
    const appending = Effect.runForkWith(fiber.context)(append(record))
    return appending.pollUnsafe() ?? Fiber.join(Fiber.runIn(appending, scope))
  }
}

// As many from the head of the queue as one record holds. None at all stands for everything, and alone.
const firstOf = (queue: Iterable<Queued>): ReadonlyArray<string> => {
  const first = new Set<string>()
  for (const { tags } of queue) {
    if (first.size > 0 && (tags.length === 0 || first.size + tags.length > maxTags)) break
    for (const tag of tags) first.add(tag)
    if (tags.length === 0) break
  }
  return Array.from(first)
}

const maxTags = 1000

const firstDelay = "50 millis"
const backOff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("1 second")])
