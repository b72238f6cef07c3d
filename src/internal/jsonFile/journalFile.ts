/**
 * The journal of a file: what changed since the file was written, one line for each change.
 *
 * Invariants:
 * - Lines are in the journal in the order in which they were given, also those that are written together.
 * - A change is acknowledged when the operating system has its line, and one that says so when the disk has it. What was
 *   not acknowledged is at most the end of the journal, and is cut off before anything follows it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as CacheError from "../../CacheError.ts"
import { fileError } from "../errors.ts"
import { type Files, unwritable } from "./files.ts"
import { journalLine, type JournalRecord } from "./journal.ts"
import type { Lock } from "./lock.ts"

interface Item {
  /** `undefined` for one that only asks where the journal stands. */
  readonly line: string | undefined
  /** Whether it is a change, and not about the journal itself. */
  readonly isChange: boolean
  readonly flush: boolean
  readonly onWritten: () => void
  readonly onFailed: () => void
  readonly deferred: Deferred.Deferred<number, CacheError.CacheError>
}

interface Open {
  readonly file: FileSystem.File
  readonly scope: Scope.Closeable
}

export type JournalFile = ReturnType<typeof makeJournalFile>

/**
 * Changes are written in `scope`, as long as the lock is held. `base` gives the digest of the file that a new journal belongs to;
 * `found` says how much of the journal that is there already is whole.
 */
export const makeJournalFile = (
  files: Files,
  path: string,
  scope: Scope.Scope,
  lock: Lock,
  base: () => string,
  found: { readonly lines: number; readonly size: number } | undefined
) => {
  const closedError = fileError(path, "unwritable", "the store is closed: its layer was released")
  const alone = Semaphore.makeUnsafe(1)
  const temporary = `${path}.tmp`
  let queue: Array<Item> = []
  let writing = false
  let closed = false
  let open: Open | undefined
  // What is in the journal and whole. All else is cut off before anything is added.
  let lines = found?.lines ?? 0
  let size = found?.size ?? 0
  let torn = found !== undefined
  let written = size
  // The changes since the last mark, until they are all that is kept.
  let tail: Array<string> | undefined

  const openToAppend = Effect.gen(function*() {
    const own = yield* Scope.make()
    return { file: yield* Scope.provide(files.openToAppend(path), own), scope: own }
  })

  const close = Effect.suspend(() => {
    const last = open
    open = undefined
    return last === undefined ? Effect.void : Scope.close(last.scope, Exit.void)
  })

  const add = (file: FileSystem.File, texts: ReadonlyArray<string>, flush: boolean) =>
    Effect.gen(function*() {
      if (torn) yield* file.truncate(size)
      torn = true
      const bytes = encoder.encode(texts.join(""))
      yield* file.writeAll(bytes)
      if (flush) yield* file.sync
      torn = false
      size += bytes.length
      written += bytes.length
      lines += texts.length
    }).pipe(Effect.mapError(unwritable(path)))

  const writeNext = Effect.gen(function*() {
    const batch = queue.slice(0, maxBatch)
    queue = queue.slice(maxBatch)
    const exit = yield* Effect.exit(Effect.gen(function*() {
      const texts = batch.flatMap(({ line }) => line === undefined ? [] : [line])
      if (texts.length === 0) return
      // Nothing is cut off that another process has written.
      yield* torn ? lock.confirm : lock.permit
      open ??= yield* openToAppend
      const whole = size === 0 ? [journalLine({ base: base() }), ...texts] : texts
      yield* add(open.file, whole, batch.some(({ flush }) => flush))
    }))
    let through = lines - batch.filter(({ line }) => line !== undefined).length
    for (const { deferred, isChange, line, onFailed, onWritten } of batch) {
      if (Exit.isFailure(exit)) {
        onFailed()
        Deferred.doneUnsafe(deferred, Exit.failCause(exit.cause))
      } else {
        if (line === undefined) tail = []
        else {
          if (isChange) tail?.push(line)
          through++
        }
        onWritten()
        Deferred.doneUnsafe(deferred, Effect.succeed(through))
      }
    }
  })

  // One at a time, and each to its end: a write that has begun cannot be called back.
  const drain = Effect.gen(function*() {
    while (queue.length > 0) yield* alone.withPermit(Effect.uninterruptible(writeNext))
    writing = false
  })

  // Started, not run: what is enqueued until then is written together.
  const started = Effect.suspend(() => {
    if (writing) return Effect.void
    writing = true
    return Effect.asVoid(Effect.forkIn(drain, scope))
  })

  const enqueueUnsafe = (
    record: JournalRecord | undefined,
    { flush = false, onFailed = nothing, onWritten = nothing }: Options = {}
  ): Effect.Effect<number, CacheError.CacheError> => {
    if (closed) return Effect.fail(closedError)
    const deferred = Deferred.makeUnsafe<number, CacheError.CacheError>()
    queue.push({
      line: record === undefined ? undefined : journalLine(record),
      isChange: record !== undefined && !("fold" in record || "base" in record),
      flush,
      onWritten,
      onFailed,
      deferred
    })
    return Effect.andThen(started, Deferred.await(deferred))
  }

  // The lines after the mark are all that the file does not hold. Where there are none, there is no journal.
  const cut = (digest: string) =>
    Effect.gen(function*() {
      const kept = tail ?? []
      if (kept.length === 0) {
        yield* close
        torn = true
        lines = 0
        size = 0
        yield* files.remove(path)
      } else {
        const texts = [journalLine({ base: digest }), ...kept]
        const written = yield* files.write(temporary, texts)
        yield* files.replace(temporary, path)
        // Opened again by whoever writes next.
        lines = texts.length
        size = written.size
        yield* close
      }
      torn = false
      tail = undefined
    })

  return {
    /** How many bytes of changes there are. */
    size: () => size,
    /** Whether there is more in it than it should have, because the disk failed. */
    isTorn: () => torn,
    /** How many bytes have been written to it so far, whatever was cut. */
    written: () => written,
    /**
     * Gives a change its place, at once. The effect waits until it is written and returns the number of lines up to it;
     * `onWritten` is called before anyone hears of it, in the order of the changes, or `onFailed` if it could not be written.
     * `flush` waits for the disk.
     */
    enqueueUnsafe: (record: JournalRecord, options?: Options) => enqueueUnsafe(record, options),
    /** Marks a place: what is enqueued from now on is what {@link cut} keeps. Returns the number of lines before it. */
    markUnsafe: () => enqueueUnsafe(undefined),
    /** Drops all lines before the last mark: they are in the file, which has this digest now. */
    cut: (digest: string) => alone.withPermit(Effect.uninterruptible(cut(digest))),
    close: Effect.suspend(() => {
      closed = true
      const left = queue
      queue = []
      for (const { deferred, onFailed } of left) {
        onFailed()
        Deferred.doneUnsafe(deferred, Effect.fail(closedError))
      }
      return alone.withPermit(close)
    })
  }
}

interface Options {
  readonly flush?: boolean | undefined
  readonly onWritten?: (() => void) | undefined
  readonly onFailed?: (() => void) | undefined
}

const nothing = () => {}
const maxBatch = 1000
const encoder = new TextEncoder()
