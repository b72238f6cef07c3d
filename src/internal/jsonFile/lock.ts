/**
 * The lock of a file: one process writes to it.
 *
 * The lock is a small file beside it that says who holds it, and that a hard link makes in one step. Its holder writes it again
 * and again. A lock is free to take when its holder is known to be gone, or has not touched it for {@link patience}. Whoever
 * lost its lock all the same, because it stood still for that long, finds out before it writes the file again.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as CacheError from "../../CacheError.ts"
import { fileError } from "../errors.ts"
import { type Files, unwritable } from "./files.ts"

/** A process, as far as others can tell. */
export interface Holder {
  readonly host: string
  /** Where process ids mean something: the same for processes that can see each other, empty where that is not known. */
  readonly system: string
  readonly pid: number
  /** Tells processes with one id apart, empty where they cannot be told apart. */
  readonly started: string
  /** Different for each lock that is taken. */
  readonly token: string
  /** When it took the lock, in milliseconds since the epoch. */
  readonly since: number
}

export interface Lock {
  /** Fails with a `CacheError` of reason `FileError` when another process has taken the lock over. */
  readonly confirm: Effect.Effect<void, CacheError.CacheError>
  /** As `confirm`, and asks the disk only when the lock could have been taken over since it was last touched. */
  readonly permit: Effect.Effect<void, CacheError.CacheError>
}

/** What a lock needs to know of processes. */
export interface Processes {
  readonly self: Holder
  /** Whether a process of this host runs. */
  readonly isRunning: (pid: number) => boolean
  /** Called when the lock was found to be another's. */
  readonly onLost: (error: CacheError.CacheError) => void
}

/** How long the holder of a lock may be silent, in milliseconds. */
const patience = 20_000
const heartbeat = 5_000

/** The locks that this process holds. */
const own = new Set<string>()

/** Those that it has given back of late. One that could not be removed is still on the disk. */
const past = new Set<string>()
const maxPast = 1000

/** Takes the lock of a file until the scope closes. Fails with a `CacheError` of reason `FileError` that says who holds it. */
export const takeLock = Effect.fnUntraced(function*(
  fs: FileSystem.FileSystem,
  files: Files,
  path: string,
  { isRunning, onLost, self }: Processes
): Effect.fn.Return<Lock, CacheError.CacheError, Scope.Scope> {
  const lock = `${path}.lock`
  const mine = `${lock}-${self.token}`

  const content = encoder.encode(`${JSON.stringify(self)}\n`)
  // Written through what was opened, so that it is never another's lock that is written.
  const file = yield* Effect.mapError(fs.open(mine, { flag: "wx" }), unwritable(mine))
  const write = Effect.mapError(Effect.andThen(file.seek(0n, "start"), file.writeAll(content)), unwritable(mine))

  const holder = Effect.gen(function*() {
    const bytes = yield* files.read(lock)
    return bytes === undefined ? undefined : Option.getOrUndefined(decodeHolder(decoder.decode(bytes)))
  })

  const isFree = Effect.fnUntraced(function*(of: Holder | undefined) {
    if (of !== undefined && own.has(of.token)) return false
    if (of !== undefined && past.has(of.token)) return true
    if (of !== undefined && of.host === self.host && of.system === self.system) {
      if (of.pid === self.pid ? of.started !== self.started : !isRunning(of.pid)) return true
    }
    // Both times are those of the disk: no two clocks are compared.
    const last = yield* files.writtenAt(lock)
    const now = yield* files.writtenAt(mine)
    return last === undefined || now === undefined || now - last > patience
  })

  const held = (by: Holder | undefined) =>
    fileError(
      path,
      "held",
      by === undefined
        ? `another process writes to it, and its lock file ${lock} does not say which`
        : `the process ${by.pid} on ${by.host} writes to it since ${DateTime.formatIso(DateTime.makeUnsafe(by.since))}${
          by.token === self.token || own.has(by.token) ? ", which is this one" : ""
        }. Stop that one first, open the file with \`access: "read"\`, or give this one a file of its own`
    )

  // Whoever moves the lock away may take it, if it is the one that was found to be free.
  const moveAway = Effect.fnUntraced(function*(free: Holder | undefined) {
    const moved = `${mine}-moved`
    yield* Effect.mapError(fs.rename(lock, moved), unwritable(lock))
    const bytes = yield* files.read(moved)
    const was = bytes === undefined ? undefined : Option.getOrUndefined(decodeHolder(decoder.decode(bytes)))
    if (was?.token !== free?.token) yield* files.link(moved, lock)
    yield* files.remove(moved)
  })

  const take = Effect.gen(function*() {
    yield* write
    for (let tries = 0; tries < 3; tries++) {
      if (yield* files.link(mine, lock)) return
      const by = yield* holder
      if (!(yield* isFree(by))) return yield* held(by)
      yield* Effect.ignore(moveAway(by))
    }
    return yield* held(yield* holder)
  }).pipe(Effect.ensuring(Effect.ignore(files.remove(mine))))

  let lost: CacheError.CacheError | undefined
  const confirm = Effect.flatMap(holder, (by) => {
    if (lost !== undefined) return Effect.fail(lost)
    if (by?.token === self.token) return Effect.void
    const error = held(by)
    // One that is not there may be in the hands of someone who looks whether it is free, and puts it back. As long as it is
    // nobody's, nobody else writes.
    if (by !== undefined) {
      lost = error
      onLost(error)
    }
    return Effect.fail(error)
  })

  yield* Effect.acquireRelease(
    Effect.tap(take, () => Effect.sync(() => own.add(self.token))),
    () =>
      Effect.andThen(
        Effect.ignore(Effect.andThen(confirm, files.remove(lock))),
        Effect.sync(() => {
          own.delete(self.token)
          past.add(self.token)
          if (past.size > maxPast) past.delete(past.values().next().value!)
        })
      )
  )

  const clock = yield* Clock.Clock
  let touched = clock.currentTimeMillisUnsafe()
  const touch = Effect.suspend(() => {
    const asked = clock.currentTimeMillisUnsafe()
    return Effect.andThen(
      Effect.andThen(write, confirm),
      Effect.sync(() => {
        touched = asked
      })
    )
  })
  yield* Effect.forkScoped(Effect.repeat(Effect.ignore(touch), Schedule.spaced(heartbeat)))
  return {
    confirm,
    permit: Effect.suspend(() =>
      lost === undefined && clock.currentTimeMillisUnsafe() - touched < patience / 2 ? Effect.void : touch
    )
  }
})

const decodeHolder = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({
  host: Schema.String,
  system: Schema.String,
  pid: Schema.Int,
  started: Schema.String,
  token: Schema.String,
  since: Schema.Finite
})))

const encoder = new TextEncoder()
const decoder = new TextDecoder()
