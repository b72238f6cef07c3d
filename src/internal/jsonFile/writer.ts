/**
 * A file as the process sees it that writes it.
 *
 * Invariants:
 * - Memory and journal change in one step, so that the journal has the order of memory.
 * - What is in the file and after that in the journal is at any time what was acknowledged.
 * - The file is replaced only as it was when it was last read or written.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as CacheEntry from "../../CacheEntry.ts"
import type * as CacheError from "../../CacheError.ts"
import { fileError } from "../errors.ts"
import type { MemoryStore } from "../memoryStore.ts"
import { renderDocument } from "./document.ts"
import type { Version } from "./files.ts"
import { makeJournalFile } from "./journalFile.ts"
import { journalOf, load, readDisk, reportProblems, setAside, tagOfKey } from "./load.ts"
import type { Lock } from "./lock.ts"
import { keepAll, type Opened } from "./opened.ts"
import { sealOf } from "./seal.ts"

type Result = ReturnType<MemoryStore["set"]>

/**
 * Opens a file for writing, until the scope closes. Every `foldEvery` milliseconds it looks whether the file should be written anew.
 */
export const makeWriter = Effect.fnUntraced(function*(opened: Opened, lock: Lock, foldEvery: number) {
  const { files, log, memory, now, path } = opened
  // Closed last: writing goes on while all else closes.
  const writing = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Scope.close(writing, exit))
  const aside = setAside(files, path)
  const found = yield* load(files, path, now(), aside)
  let { disk } = found
  const dropped = Effect.fnUntraced(function*(count: number) {
    if (count === 0) return
    yield* Effect.logWarning(
      `${path} has ${count} entries more than \`maxEntries\` and \`maxBytes\` allow: they are dropped`
    )
    yield* keepAside
  })

  // Once for each state of the file, however many of its entries cannot be used.
  const keeping = Semaphore.makeUnsafe(1)
  let keptAside: Version
  const keepAside = keeping.withPermit(Effect.gen(function*() {
    const version = yield* files.version(path)
    if (version === keptAside) return
    const bytes = yield* files.read(path)
    if (bytes === undefined) return
    yield* Effect.logWarning(`${yield* aside(bytes, files.digestOf(bytes))} is ${path} as it was found`)
    keptAside = version
  }))

  yield* dropped(keepAll(opened, found.entries, log.position()))
  const journal = makeJournalFile(files, journalOf(path), writing, lock, () => disk.digest, found.journal)
  yield* Effect.addFinalizer(() => journal.close)
  const alone = Semaphore.makeUnsafe(1)
  const edits = new Set(found.entries.flatMap(({ edited, key }) => edited ? [key] : []))
  if (found.edit !== undefined) yield* journal.enqueueUnsafe({ edit: found.edit }, { flush: true })

  const append = (tags: ReadonlyArray<string>): Effect.Effect<number, CacheError.CacheError> =>
    Effect.suspend(() => {
      const record = log.record(tags)
      const onWritten = () => log.tell({ _tag: "Record", ...record })
      return Effect.as(journal.enqueueUnsafe({ invalidate: record.tags }, { flush: true, onWritten }), record.position)
    })

  // How often the journal did not take an entry, and how many of these are in the file by now. Such an entry is served all the
  // same, and written with the next fold.
  let failures = 0
  let mended = 0
  const countFailure = () => {
    failures++
  }

  // Memory and journal change in one step, so that the journal has the same order.
  const put = (entry: CacheEntry.CacheEntry): Effect.Effect<Result, CacheError.CacheError> =>
    Effect.suspend(() => {
      // The journal says that it was invalidated, and must not say after that that it was stored.
      if (!log.isValid(entry)) return Effect.succeed("superseded")
      const result = memory.set(entry)
      if (result !== "stored") return Effect.succeed(result)
      entry.unsaved = true
      const onWritten = () => {
        entry.unsaved = false
      }
      return Effect.as(journal.enqueueUnsafe({ set: entry }, { onWritten, onFailed: countFailure }), result)
    })

  // What people have edited is not replaced by what another version of the function makes of it without a trace.
  const set = (entry: CacheEntry.CacheEntry): Effect.Effect<Result, CacheError.CacheError> =>
    Effect.suspend(() => {
      const { fingerprint = "", unchecked } = memory.peek(entry.key) ?? {}
      const isEdit = unchecked !== undefined && edits.has(entry.key)
      const isOutdated = fingerprint !== "" && fingerprint !== entry.fingerprint
      return isEdit && isOutdated ? Effect.andThen(keepAside, put(entry)) : put(entry)
    })

  // Done to its end, whoever waits.
  const remove = (key: string) =>
    Effect.flatMap(Effect.forkIn(removal(key), writing, { startImmediately: true }), Fiber.join)

  const removal = (key: string) =>
    Effect.suspend(() => {
      const entry = memory.peek(key)
      // It cannot be used as it is. Who has written it shall find it again.
      const kept = entry?.unchecked !== undefined && log.isValid(entry)
        ? Effect.onError(keepAside, () =>
          Effect.sync(() => {
            isOwed = true
          }))
        : Effect.void
      return Effect.andThen(
        kept,
        Effect.suspend(() => {
          // Who has mended it meanwhile keeps it.
          if (memory.peek(key) !== entry) return Effect.void
          memory.remove(key)
          return Effect.asVoid(journal.enqueueUnsafe({ remove: key }))
        })
      )
    })

  const clear = Effect.suspend(() => {
    memory.clear()
    return Effect.asVoid(journal.enqueueUnsafe({ clear: true }))
  })

  // What people have made of the file. An entry that they changed is data that changed: it ends what was computed from it.
  const pull = Effect.gen(function*() {
    if ((yield* files.version(path)) === disk.version) return
    const { bytes, disk: changed, document } = yield* readDisk(files, path, now())
    if (changed.size === 0) {
      // Whoever removes the file, or is about to write into it, leaves the results as they are.
      disk = { ...changed, entries: disk.entries }
      return
    }
    if (document.broken !== undefined) {
      const problem =
        `it was edited and is not JSON any more: ${document.broken}. Until that is mended it is not written`
      return yield* fileError(path, "foreign", problem)
    }
    yield* reportProblems(path, document, aside(bytes, changed.digest))
    const edited = document.entries.filter((entry) => {
      const base = disk.entries.get(entry.key)
      return base === undefined || sealOf(base) !== sealOf(entry)
    })
    const gone = Array.from(disk.entries.keys()).filter((key) => !changed.entries.has(key))
    if (edited.length + gone.length === 0) {
      disk = changed
      if (journal.size() > 0) yield* journal.enqueueUnsafe({ base: disk.digest })
      return
    }
    const tags = [...gone, ...edited.map(({ key }) => key)].map(tagOfKey)
    const record = log.record(tags)
    let lost = 0
    // Before anyone hears of the record, so that nobody computes what was edited.
    const onWritten = () => {
      disk = changed
      for (const key of gone) memory.remove(key)
      for (const { key } of edited) edits.add(key)
      lost = keepAll(opened, edited, record.position)
      log.tell({ _tag: "Record", ...record })
    }
    const edit = { base: changed.digest, tags, set: edited, gone }
    // If it cannot be written now it will be tried again. Until then all agree that what was edited has ended.
    const onFailed = () => log.tell({ _tag: "Record", ...record })
    yield* journal.enqueueUnsafe({ edit }, { flush: true, onWritten, onFailed })
    yield* Effect.logInfo(`${path} was edited: ${edited.length} entries are new or changed, ${gone.length} are gone`)
    yield* dropped(lost)
  })

  // Whether something people wrote has still to be kept aside.
  let isOwed = false
  // The empty file that was not written over, once.
  let passedOver: Version
  let folded = 0
  let isClosing = false
  const sizeAtOpen = disk.size
  const worth = () => 1.1 * (sizeAtOpen + journal.written())
  const foldOnce = Effect.gen(function*() {
    yield* pull
    if (disk.size === 0 && disk.version !== undefined && disk.version !== passedOver && !isClosing) {
      // Someone has emptied it, and may be about to write into it.
      passedOver = disk.version
      return true
    }
    // The mark first: what is stored after it stays in the journal, whether it is in the file or not.
    const marked = journal.markUnsafe()
    const kept = memory.entries().filter(log.isValid)
    const failedBefore = failures
    const through = yield* marked
    if (through === 0 && failures === mended) {
      // One that could not be removed would be taken for news at the next start.
      if (journal.isTorn()) {
        yield* lock.confirm
        yield* journal.cut(disk.digest)
      }
      return true
    }
    const temporary = `${path}.tmp`
    const written = yield* files.write(temporary, renderDocument(kept), path)
    const version = yield* files.version(temporary)
    yield* journal.enqueueUnsafe({ fold: { file: written.digest, through } }, { flush: true })
    if (isOwed) {
      yield* keepAside
      isOwed = false
    }
    yield* lock.confirm
    if ((yield* files.version(path)) !== disk.version) return false
    yield* files.replace(temporary, path)
    disk = { ...written, version, entries: new Map(kept.map((entry) => [entry.key, entry])) }
    if (failedBefore > mended) { for (const entry of kept) entry.unsaved = false }
    mended = failedBefore
    yield* journal.cut(written.digest)
    // Folds for other reasons count no more than what they could have been made for.
    folded = Math.min(folded + written.size + journal.size(), worth())
    return true
  })

  // Who saves the file while it is being written is served first. Who does so again and again waits for the next time.
  // Neither is left halfway: what is on the disk and what is known of it would be two things.
  const fold = alone.withPermit(Effect.uninterruptible(Effect.gen(function*() {
    for (let tries = 0; tries < 3; tries++) if (yield* foldOnce) return
  })))

  // Bytes written stay in proportion to bytes kept: what folding has written is never much more than what there was to add.
  // A small file is written anew whenever nothing happens.
  let sizeBefore = 0
  const foldWhenWorthIt = Effect.suspend(() => {
    const size = journal.size()
    const isQuiet = size === sizeBefore
    sizeBefore = size
    const cost = disk.size + size
    const isWorthIt = (isQuiet && cost <= smallFile) || folded + cost <= worth() || size > largestJournal
    return (size > 0 || failures > mended) && isWorthIt ? reported(path, fold) : Effect.void
  })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      isClosing = true
      return reported(path, fold)
    })
  )
  yield* Effect.forkScoped(Effect.repeat(foldWhenWorthIt, Schedule.spaced(foldEvery)))

  // Whoever waits may leave, and it is done to its end.
  const flush = Effect.flatMap(Effect.forkIn(fold, writing), Fiber.join)

  return { set, remove, clear, append, fold, flush, pull: alone.withPermit(Effect.uninterruptible(pull)) }
})

// In bytes: what can be read at once, by far.
const largestJournal = 256 * 1024 * 1024

// In bytes. Up to this size writing a file anew costs next to nothing.
const smallFile = 1024 * 1024

const reported = (path: string, effect: Effect.Effect<void, CacheError.CacheError>): Effect.Effect<void> =>
  Effect.catch(
    effect,
    (error) => Effect.logWarning(`${error.message}. What is not in ${path} yet stays in ${journalOf(path)}`)
  )
