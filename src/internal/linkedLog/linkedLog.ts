/**
 * The invalidation log that many processes share, as one of them sees it.
 *
 * Invariants:
 * - Followers are told in the order of the log, and by one function, `tell`. What is told is decided in `told.ts`.
 * - `heard` is only noted for a question whose answer was applied to its end, and counts from when it was asked. So
 *   `isCurrent` means: what was in the log at some moment within `maxStaleness` has been told.
 * - What comes by waiting makes it fast, and is never needed: it is applied by the same rules, and nothing is heard by it.
 * - A question shared by several is asked after the last of them came.
 * - `append` returns when the followers have been told of its record, and fails where that is not certain.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as CacheError from "../../CacheError.ts"
import { logError } from "../errors.ts"
import { makeTimeLimit } from "../timeLimit.ts"
import { makeHeard } from "./heard.ts"
import { positionOf } from "./place.ts"
import type { Remote } from "./remote.ts"
import { makeTold, type News } from "./told.ts"

export type Change =
  | News
  | { readonly _tag: "Heartbeat"; readonly position: number }
  | { readonly _tag: "Ignored"; readonly problem: string }
  | { readonly _tag: "Lost"; readonly error: CacheError.CacheError }

/** What `Broadcaster` is. */
export interface LinkedLog {
  readonly append: (tags: ReadonlyArray<string>) => Effect.Effect<number, CacheError.CacheError>
  readonly follow: (follower: (change: Change) => void) => Effect.Effect<void, never, Scope.Scope>
  readonly catchUp: Effect.Effect<void, CacheError.CacheError>
  readonly isCurrent: () => boolean
  readonly maxStaleness: number
}

/**
 * `maxStaleness`, and `limit`, the longest that anyone waits until all was read, are in milliseconds. A record of more than `maxRecordBytes` is one that invalidates everything, default 1 MiB.
 */
export interface Options {
  readonly maxStaleness: number
  readonly limit: number
  readonly maxRecordBytes?: number | undefined
}

type Heard = Exit.Exit<void, CacheError.CacheError>

interface Follower {
  readonly follower: (change: Change) => void
  wasTold: boolean
}

/** Follows the log until the scope closes, from when it has its first follower. */
export const makeLinkedLog = Effect.fnUntraced(function*(
  remote: Remote,
  { limit, maxRecordBytes = 1024 * 1024, maxStaleness }: Options
): Effect.fn.Return<LinkedLog, never, Scope.Scope> {
  const context = yield* Effect.context<Scope.Scope>()
  const scope = Context.get(context, Scope.Scope)
  const watch = yield* makeTimeLimit(limit)
  const heard = makeHeard(yield* Clock.Clock, maxStaleness)
  const interval = maxStaleness / heartbeatsPerBound
  const followers = new Set<Follower>()
  const followed = Latch.makeUnsafe(false)
  const joined = Latch.makeUnsafe(false)
  // Why followers may rely on nothing, until they are told that they may.
  let lost: CacheError.CacheError | undefined

  const tell = (change: Change) => {
    if (change._tag === "Gap" || change._tag === "Heartbeat") lost = undefined
    for (const one of followers) {
      if (change._tag !== "Ignored") one.wasTold = true
      one.follower(change)
    }
  }

  const told = makeTold(tell, (problem) => tell({ _tag: "Ignored", problem }))

  const lose = (error: CacheError.CacheError) => {
    if (lost !== undefined || heard.isCurrent()) return
    tell({ _tag: "Lost", error })
    lost = error
  }

  // One question. Whether everything was told that was in the log then. Without followers there is nobody to tell, and what
  // the first one has to be told is still to be asked.
  const ask = (append: ReadonlyArray<string> | undefined) =>
    Effect.suspend(() => {
      const asked = heard.now()
      const question = stranded
        ? { cursor: undefined, known: 0, append }
        : { cursor: told.cursor(), known: told.known(), append }
      return Effect.flatMap(remote.ask(question), (answer) => {
        stranded = stranded ? answer.end.position <= told.known() : answer.end.position < question.known
        if (stranded) return Effect.fail(logError(below))
        const complete = followers.size === 0 || told.hear(question, answer)
        if (complete) noteHeard(asked, answer.end.position)
        return Effect.succeed({ answer, asked, complete })
      })
    })

  // The log stands below what was told already, and nothing that it says could be told any more. Nothing more is claimed then, or
  // each question would end everything for all others.
  let stranded = false

  const noteHeard = (asked: ReturnType<typeof heard.now>, position: number) => {
    if (followers.size === 0) return
    joined.openUnsafe()
    heard.note(asked)
    if (heard.isCurrent()) tell({ _tag: "Heartbeat", position })
  }

  // Page by page, up to where the log ended for the first: those who append meanwhile do not keep it from ending.
  const readToEnd = Effect.gen(function*() {
    const first = yield* ask(undefined)
    const { end } = first.answer
    let { complete } = first
    while (!complete) {
      const next = yield* ask(undefined)
      complete = next.complete || told.hasTold(end.id)
      if (!next.complete && complete) noteHeard(first.asked, end.position)
    }
  })

  // Those who come before the question is sent share it. It is nobody's own, so that nobody who leaves takes it along.
  let unsent: Array<(exit: Heard) => void> | undefined
  const share = (done: (exit: Heard) => void): void => {
    if (unsent !== undefined) return void unsent.push(done)
    const sharing = [done]
    unsent = sharing
    const reading = Effect.suspend(() => {
      unsent = undefined
      return readToEnd
    })
    const fiber = Effect.runForkWith(context)(Effect.andThen(Effect.yieldNow, reading))
    fiber.addObserver((exit) => {
      if (unsent === sharing) unsent = undefined
      const heard = Exit.isFailure(exit) ? Exit.fail(reasonOf(exit.cause)) : Exit.void
      for (const done of sharing) done(heard)
    })
    Fiber.runIn(fiber, scope)
  }

  const readOn = Effect.callback<void, CacheError.CacheError>((resume) => share(resume))

  // Reading many pages takes longer than one question may. Who waits does not wait for that, and the reading goes on.
  const catchUp = Effect.callback<void, CacheError.CacheError>((resume) => {
    const stop = watch(() =>
      resume(Effect.fail(logError(`The invalidation log took longer than the limit of ${limit} ms to catch up with`)))
    )
    share((exit) => {
      stop()
      resume(exit)
    })
  })

  const append = Effect.fnUntraced(function*(tags: ReadonlyArray<string>) {
    const { answer, complete } = yield* ask(sizeOf(tags) > maxRecordBytes ? [] : tags)
    const position = answer.appended!
    if (!complete && !told.hasTold(answer.end.id)) yield* catchUp
    return position
  })

  const follow = Effect.fnUntraced(function*(follower: (change: Change) => void) {
    const one: Follower = { follower, wasTold: false }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        followers.add(one)
        const cursor = told.cursor()
        if (cursor === undefined) return
        // Who comes later relies on what the others were told, from where they are.
        one.wasTold = true
        follower({ _tag: "Gap", position: positionOf(cursor.id) })
        if (lost !== undefined) follower({ _tag: "Lost", error: lost })
      }),
      () => Effect.sync(() => followers.delete(one))
    )
    if (!one.wasTold) {
      const exit = yield* Effect.exit(catchUp)
      if (Exit.isFailure(exit)) lose(reasonOf(exit.cause))
      if (!one.wasTold && lost !== undefined) follower({ _tag: "Lost", error: lost })
    }
    followed.openUnsafe()
  })

  // Asks whenever nothing was heard for an interval.
  yield* Effect.forkScoped(Effect.gen(function*() {
    yield* followed.await
    while (true) {
      yield* Effect.sleep(Math.max(interval - heard.silence(), Math.min(interval / 4, longestPause)))
      if (heard.silence() < interval) continue
      const exit = yield* Effect.exit(readOn)
      lose(Exit.isFailure(exit) ? reasonOf(exit.cause) : logError(tooSlow))
    }
  }))

  // Waits for what others append.
  yield* Effect.forkScoped(Effect.gen(function*() {
    yield* joined.await
    let failures = 0
    while (true) {
      const exit = yield* Effect.exit(remote.wait(told.seen(), maxStaleness))
      const records = Exit.isSuccess(exit) ? exit.value : []
      if (told.take(records) && records.length > 0) {
        failures = 0
        continue
      }
      // Something may have been missed, or something is in the log that only the log itself can judge.
      const caughtUp = yield* Effect.exit(readOn)
      failures = Exit.isSuccess(exit) && Exit.isSuccess(caughtUp) ? 0 : failures + 1
      if (failures > 0) yield* Effect.sleep(Math.min(firstPause * 2 ** failures, interval, longestPause))
    }
  }))

  return { append, follow, catchUp, isCurrent: heard.isCurrent, maxStaleness }
})

const heartbeatsPerBound = 5

// In milliseconds.
const firstPause = 10
const longestPause = 1000

const below =
  "The invalidation log stands below what this process has been told: the clock of its server was more than a year ahead. "
  + "Start this process again"

const tooSlow = "The invalidation log answers too late: what it says is older than `maxStaleness` when it comes"

const reasonOf = (cause: Cause.Cause<CacheError.CacheError>): CacheError.CacheError =>
  Option.getOrElse(
    Cause.findErrorOption(cause),
    () =>
      logError(
        Cause.hasInterruptsOnly(cause)
          ? "The invalidation log is closed: its layer was released"
          : "The invalidation log cannot be followed",
        Cause.squash(cause)
      )
  )

// As JSON. Tags need no escaping.
const sizeOf = (tags: ReadonlyArray<string>): number => tags.reduce((size, tag) => size + tag.length + 3, 1)
