/**
 * How one cache takes part in the invalidation log: it follows what others append, and appends itself.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { logError } from "./errors.ts"
import { covers } from "./tagText.ts"

interface Record {
  readonly tags: ReadonlyArray<string>
  readonly position: number
}

interface Graph {
  readonly apply: (record: Record) => void
  readonly gap: (position: number) => void
  readonly lose: () => void
  readonly resume: () => void
  readonly position: () => number
  readonly hold: (tags: ReadonlyArray<string>) => { readonly release: () => void }
}

type Change =
  | { readonly _tag: "Record" } & Record
  | { readonly _tag: "Gap" | "Heartbeat"; readonly position: number }
  | { readonly _tag: "Lost"; readonly error: CacheError.CacheError }

interface Log {
  readonly append: (tags: ReadonlyArray<string>) => Effect.Effect<number, CacheError.CacheError>
  readonly follow: (follower: (change: Change) => void) => Effect.Effect<void, never, Scope.Scope>
}

type Tell = (event: CacheEvent.CacheEvent) => void

/** Keeps the graph up to date until the scope closes. */
export const follow = (log: Log, graph: Graph, tell: Tell): Effect.Effect<void, never, Scope.Scope> => {
  let state: "starting" | "following" | "lost" = "starting"
  return log.follow((change) => {
    switch (change._tag) {
      case "Record":
        return graph.apply(change)
      case "Gap":
        graph.gap(change.position)
        if (state === "following") tell(CacheEvent.LogGap({ position: change.position }))
        if (state === "lost") tell(CacheEvent.CaughtUp({ position: change.position }))
        state = "following"
        return
      case "Lost":
        graph.lose()
        state = "lost"
        return tell(CacheEvent.LogFailed({ error: change.error }))
      case "Heartbeat":
        graph.resume()
        if (state !== "lost") return
        state = "following"
        return tell(CacheEvent.CaughtUp({ position: change.position }))
    }
  })
}

const maxUntaken = 10_000

/** Tags that are held because the log did not take their record, from when it stood at `after`. */
interface Untaken {
  readonly tags: ReadonlyArray<string>
  readonly after: number
  readonly release: () => void
}

/**
 * Makes the operation that invalidates: locally first, then in the log.
 *
 * It runs in the cache's scope and is not interrupted with its caller: nobody could tell whether the record is in the log.
 * Tags whose record the log did not take stay invalid here until a later record covers them.
 */
export const makeForget = (log: Log, graph: Graph, scope: Scope.Scope, tell: Tell) => {
  const untaken = new Map<string, Untaken>()

  // A record that the graph knew of before a hold was placed says nothing about what the hold is for.
  const taken = (tags: ReadonlyArray<string>, position: number) => {
    for (const [name, held] of untaken) {
      if (held.after >= position) continue
      if (tags.length > 0 && (held.tags.length === 0 || !held.tags.every((tag) => tags.some((t) => covers(t, tag))))) {
        continue
      }
      held.release()
      untaken.delete(name)
    }
  }

  const notTaken = (tags: ReadonlyArray<string>, after: number, release: () => void) => {
    const name = tags.join("\n")
    const before = untaken.get(name)
    untaken.set(name, { tags, after, release })
    before?.release()
    if (untaken.size <= maxUntaken) return
    const everything = graph.hold([])
    for (const held of untaken.values()) held.release()
    untaken.clear()
    untaken.set("", { tags: [], after, release: everything.release })
  }

  const append = (tags: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      const after = graph.position()
      const { release } = graph.hold(tags)
      return Effect.matchCauseEffect(Effect.suspend(() => log.append(tags)), {
        onSuccess: (position) =>
          Effect.sync(() => {
            // The graph has been told by the log.
            release()
            taken(tags, position)
            tell(CacheEvent.Invalidated({ tags, position }))
          }),
        onFailure: (cause) => {
          notTaken(tags, after, release)
          return Effect.failCause(cause)
        }
      })
    })

  return (tags: ReadonlyArray<string>): Effect.Effect<void, CacheError.CacheError> =>
    Effect.suspend(() => {
      if (scope.state._tag === "Closed") return Effect.fail(logError("The cache is closed: its layer was released"))
      // A copy that nobody can change: the graph goes on looking at it.
      const record = Object.freeze(Array.from(new Set(tags)))
      return Effect.flatMap(Effect.forkIn(append(record), scope, { startImmediately: true }), Fiber.join)
    })
}
