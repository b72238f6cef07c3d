/**
 * A store in one JSON file that people can read, edit and commit, and the invalidation log that goes with it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { createHash, randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { basename, dirname, resolve } from "node:path"
import * as Broadcaster from "./Broadcaster.ts"
import * as CacheEntry from "./CacheEntry.ts"
import * as CacheError from "./CacheError.ts"
import { fileError, logError, storeError } from "./internal/errors.ts"
import { renderDocument } from "./internal/jsonFile/document.ts"
import { type Kept, sealOf } from "./internal/jsonFile/entryText.ts"
import { type FileLog, makeFileLog } from "./internal/jsonFile/fileLog.ts"
import { type Files, makeFiles, type Version } from "./internal/jsonFile/files.ts"
import { makeJournalFile } from "./internal/jsonFile/journalFile.ts"
import { journalOf, load, readDisk, reportProblems, setAside, tagOfKey, whereIs } from "./internal/jsonFile/load.ts"
import { type Lock, takeLock } from "./internal/jsonFile/lock.ts"
import { makeMemoryStore, type MemoryStore } from "./internal/memoryStore.ts"
import { millis, size } from "./internal/settings.ts"
import * as Store from "./Store.ts"

/**
 * Options of a store in a file.
 *
 * **Details**
 *
 * - `path`: the file. It is made when the first result is kept, and its folder at once.
 * - `access`: `"write"` (the default) fails while another process writes to the file; `"read"` serves what is in it, keeps
 *   other results in memory, and cannot invalidate; `"write-or-read"` writes if nobody else does.
 * - `watch`: whether edits are picked up as the file is saved, default `false`. Without it they are picked up when the file is
 *   about to be written, and at the next start.
 * - `foldEvery`: how often the store looks whether there is enough in the journal to write the file anew, default 10 seconds.
 * - `maxEntries`: default no bound. `maxBytes`: default 256 MiB, and not more: a file has to be read as one text.
 *   `sweepEvery`: as for `Store.layerMemory`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Store.MemoryOptions {
  readonly path: string
  readonly access?: "write" | "read" | "write-or-read" | undefined
  readonly watch?: boolean | undefined
  readonly foldEvery?: Duration.Input | undefined
}

/**
 * What keeps results in a file.
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonFile {
  readonly store: Store.Store["Service"]
  readonly log: Broadcaster.Broadcaster["Service"]
  /** Writes what is in the journal into the file. Done at intervals and at the end without being asked. */
  readonly fold: Effect.Effect<void, CacheError.CacheError>
  /** Takes over what people have changed in the file. Done before the file is written, and where it is watched. */
  readonly pull: Effect.Effect<void, CacheError.CacheError>
}

/**
 * Opens a file, with what it takes to keep results in it until the scope closes. Options and errors as for {@link layer}.
 *
 * **Example** (Writing the file at a time of one's own choice)
 *
 * ```ts import.meta.vitest
 * import { NodeServices } from "@effect/platform-node"
 * import { Effect, FileSystem, Layer, Schema } from "effect"
 * import { Broadcaster, Cached, DependencyGraph, ResultCache, Store } from "effect-cached"
 * import * as JsonFileStore from "effect-cached/JsonFileStore"
 *
 * const program = Effect.gen(function*() {
 *   const fs = yield* FileSystem.FileSystem
 *   const path = `${yield* fs.makeTempDirectoryScoped()}/results.json`
 *   const file = yield* JsonFileStore.make({ path })
 *   const cache = ResultCache.layer().pipe(Layer.provide([
 *     Layer.succeed(Store.Store, file.store),
 *     Layer.succeed(Broadcaster.Broadcaster, file.log),
 *     DependencyGraph.layer()
 *   ]))
 *   return yield* Effect.gen(function*() {
 *     const one = yield* Cached.make("one", { success: Schema.Number }, () => Effect.succeed(1))
 *     yield* one()
 *     yield* file.fold
 *     return JSON.parse(yield* fs.readFileString(path)).functions.one["()"].value
 *   }).pipe(Effect.provide(cache))
 * }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
 *
 * await Effect.runPromise(program) // => 1
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<JsonFile, CacheError.CacheError, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const foldEvery = yield* millis("JsonFileStore.foldEvery", options.foldEvery ?? "10 seconds")
  const memory = yield* makeMemoryStore({
    maxEntries: options.maxEntries ?? Infinity,
    maxBytes: yield* size("JsonFileStore.maxBytes", options.maxBytes ?? mostBytes, mostBytes),
    sweepEvery: options.sweepEvery
  })
  const path = yield* Effect.orElseSucceed(fs.realPath(options.path), () => resolve(options.path))
  const opened: Opened = { fs, files: makeFiles(fs, makeHash), path, memory, log: makeFileLog(now), now }
  const lock = yield* lockFor(opened, options.access ?? "write")
  const file = yield* lock === undefined ? read(opened) : write(opened, lock, foldEvery)
  if (options.watch === true) yield* watch(opened, file.pull)
  return file
})

const mostBytes = 256 * 1024 * 1024

/** A file that is open, and what is known of it in this process. */
interface Opened {
  readonly fs: FileSystem.FileSystem
  readonly files: Files
  readonly path: string
  readonly memory: MemoryStore
  readonly log: FileLog
  readonly now: () => number
}

const makeHash = () => {
  const hash = createHash("sha256")
  return { update: (bytes: Uint8Array) => hash.update(bytes), digest: () => hash.digest("hex") }
}

const lockFor = Effect.fnUntraced(function*(
  { files, fs, log, now, path }: Opened,
  access: NonNullable<Options["access"]>
): Effect.fn.Return<Lock | undefined, CacheError.CacheError, Scope.Scope> {
  if (access === "read") return undefined
  yield* files.makeFolder(path)
  const self = { ...(yield* identity(fs)), pid: process.pid, token: randomUUID(), since: now() }
  const onLost = (error: CacheError.CacheError) => log.tell({ _tag: "Lost", error })
  const taken = takeLock(fs, files, path, { self, isRunning, onLost })
  if (access === "write") return yield* taken
  return yield* Effect.catchReason(taken, "CacheError", "FileError", (reason, error) =>
    reason.problem === "held"
      ? Effect.as(Effect.logInfo(`${error.message}. It is opened for reading`), undefined)
      : Effect.fail(error))
})

// Containers may share a host's name, and each has a process 1. Linux tells them apart; elsewhere a name and an id have to do.
const identity = Effect.fnUntraced(function*(fs: FileSystem.FileSystem) {
  const boot = yield* Effect.orElseSucceed(fs.readFileString("/proc/sys/kernel/random/boot_id"), none)
  const namespace = yield* Effect.orElseSucceed(fs.readLink("/proc/self/ns/pid"), none)
  const status = yield* Effect.orElseSucceed(fs.readFileString("/proc/self/stat"), none)
  // The 22nd field is when the process was started. The second, its name, may have anything in its brackets.
  const started = status.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? ""
  return { host: hostname(), system: `${boot.trim()} ${namespace}`.trim(), started }
})

const none = () => ""

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // It runs, and belongs to someone else.
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

// Everything in the file is valid now, and nothing of it is served before its function has checked it.
const keep = ({ now, path }: Opened, entry: Kept, position: number): CacheEntry.CacheEntry => {
  // Of two results of one position the newer one counts: none is newer than what is computed now.
  const kept = new CacheEntry.CacheEntry({ ...entry, createdAt: Math.min(entry.createdAt, now()), position })
  kept.unchecked = whereIs(path, entry.key)
  return kept
}

// Returns how many of them there was no room for.
const keepAll = (opened: Opened, entries: Iterable<Kept>): number => {
  const { log, memory } = opened
  const now = opened.now()
  let lost = 0
  const count = () => void lost++
  memory.listeners.add(count)
  for (const entry of entries) {
    if (entry.expiresAt > now && memory.set(keep(opened, entry, log.position())) === "too-large") lost++
  }
  memory.listeners.delete(count)
  return lost
}

// What a store in memory does in one step, this one does, too; what is to be kept has to be written besides.
const storeOf = (
  memory: MemoryStore,
  { clear, flush, remove, set }: Pick<Store.Store["Service"], "set" | "remove" | "flush" | "clear">
): Store.Store["Service"] =>
  Store.Store.of({
    // `get` finds the same as `peek`, but who peeks does not check what was found.
    remote: true,
    peek: memory.peek,
    get: (key) => Effect.sync(() => memory.peek(key)),
    entries: Stream.suspend(() => Stream.fromIterable(memory.entries())),
    onRemoval: (listener) =>
      Effect.acquireRelease(
        Effect.sync(() => memory.listeners.add(listener)),
        () => Effect.sync(() => memory.listeners.delete(listener))
      ),
    set,
    remove,
    flush,
    clear
  })

const read = Effect.fnUntraced(function*(opened: Opened) {
  const { files, log, memory, now, path } = opened
  // While its writer folds the journal into the file, the two may not fit together.
  const settled = Effect.gen(function*() {
    for (let tries = 0; tries < 5; tries++) {
      const found = yield* load(files, path, now(), () => Effect.undefined)
      if (found.belongs && (yield* files.version(path)) === found.disk.version) return found
    }
    return yield* load(files, path, now(), () => Effect.undefined)
  })
  const found = yield* settled
  let { disk } = found
  keepAll(opened, found.entries)

  return {
    store: storeOf(memory, {
      set: (entry) => Effect.sync(() => memory.set(entry)),
      remove: (key) => Effect.sync(() => memory.remove(key)),
      flush: Effect.void,
      clear: Effect.sync(memory.clear)
    }),
    log: Broadcaster.Broadcaster.of({
      append: () =>
        Effect.fail(logError(
          `${path} is open for reading: invalidate in the process that writes to it, or use a log that both follow`,
          fileError(path, "read-only", "it is open for reading")
        )),
      follow: log.follow
    }),
    fold: Effect.void,
    // What the writer has dropped is not known: nothing that was held before is served any more.
    pull: Effect.gen(function*() {
      if ((yield* files.version(path)) === disk.version) return
      const changed = yield* settled
      disk = changed.disk
      const { position } = log.record([])
      memory.clear()
      keepAll(opened, changed.entries)
      log.tell({ _tag: "Record", tags: [], position })
    })
  }
})

const write = Effect.fnUntraced(function*(opened: Opened, lock: Lock, foldEvery: number) {
  const { files, log, memory, now, path } = opened
  // Closed last: writing goes on while all else closes.
  const writing = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Scope.close(writing, exit))
  const aside = setAside(files, path)
  const found = yield* load(files, path, now(), aside)
  let { disk } = found
  const lost = keepAll(opened, found.entries)
  if (lost > 0) {
    const bytes = (yield* files.read(path)) ?? new Uint8Array()
    yield* Effect.logWarning(
      `${path} has ${lost} entries more than \`maxEntries\` and \`maxBytes\` allow: they are dropped, and ${yield* aside(
        bytes,
        disk.digest
      )} is the file as it was found`
    )
  }
  const journal = makeJournalFile(files, journalOf(path), writing, lock, () => disk.digest, found.journal)
  yield* Effect.addFinalizer(() => journal.close)
  const alone = Semaphore.makeUnsafe(1)
  const keeping = Semaphore.makeUnsafe(1)
  const edits = new Set(found.entries.flatMap(({ edited, key }) => edited ? [key] : []))
  if (found.edit !== undefined) yield* journal.enqueueUnsafe({ edit: found.edit }, { flush: true })

  const append = (tags: ReadonlyArray<string>): Effect.Effect<number, CacheError.CacheError> =>
    Effect.suspend(() => {
      const record = log.record(tags)
      const onWritten = () => log.tell({ _tag: "Record", ...record })
      return Effect.as(journal.enqueueUnsafe({ invalidate: record.tags }, { flush: true, onWritten }), record.position)
    })

  // Memory and journal change in one step, so that the journal has the same order.
  const put = (entry: CacheEntry.CacheEntry): Effect.Effect<Store.SetResult, CacheError.CacheError> =>
    Effect.suspend(() => {
      // The journal says that it was invalidated, and must not say after that that it was stored.
      if (!log.isValid(entry)) return Effect.succeed("superseded")
      const result = memory.set(entry)
      if (result !== "stored") return Effect.succeed(result)
      // It is served all the same, and written with the next fold.
      const onFailed = () => {
        entry.unsaved = true
        unsaved.add(entry)
      }
      return Effect.as(journal.enqueueUnsafe({ set: entry }, { onFailed }), result)
    })

  // What people have edited is not replaced by what another version of the function makes of it without a trace.
  const set = (entry: CacheEntry.CacheEntry): Effect.Effect<Store.SetResult, CacheError.CacheError> =>
    Effect.suspend(() => {
      const { fingerprint = "", unchecked } = memory.peek(entry.key) ?? {}
      const isEdit = unchecked !== undefined && edits.has(entry.key)
      const isOutdated = fingerprint !== "" && fingerprint !== entry.fingerprint
      return isEdit && isOutdated ? Effect.andThen(keepAside, put(entry)) : put(entry)
    })

  const remove = (key: string) =>
    Effect.uninterruptible(Effect.suspend(() => {
      const entry = memory.peek(key)
      // It cannot be used as it is. Who has written it shall find it again.
      const kept = entry?.unchecked !== undefined && log.isValid(entry) ? keepAside : Effect.void
      return Effect.andThen(
        kept,
        Effect.suspend(() => {
          // Who has mended it meanwhile keeps it.
          if (memory.peek(key) !== entry) return Effect.void
          memory.remove(key)
          return Effect.asVoid(journal.enqueueUnsafe({ remove: key }))
        })
      )
    }))

  // Once for each state of the file, however many of its entries cannot be used.
  let keptAside: Version
  const keepAside = keeping.withPermit(Effect.gen(function*() {
    const version = yield* files.version(path)
    if (version === keptAside) return
    const bytes = yield* files.read(path)
    if (bytes === undefined) return
    yield* Effect.logWarning(`${yield* aside(bytes, files.digestOf(bytes))} is ${path} as it was found`)
    keptAside = version
  }))

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
    // Before anyone hears of the record, so that nobody computes what was edited.
    const onWritten = () => {
      disk = changed
      for (const key of gone) memory.remove(key)
      for (const entry of edited) {
        edits.add(entry.key)
        memory.set(keep(opened, entry, record.position))
      }
      log.tell({ _tag: "Record", ...record })
    }
    const edit = { base: changed.digest, tags, set: edited, gone }
    // If it cannot be written now it will be tried again. Until then all agree that what was edited has ended.
    const onFailed = () => log.tell({ _tag: "Record", ...record })
    yield* journal.enqueueUnsafe({ edit }, { flush: true, onWritten, onFailed })
    yield* Effect.logInfo(`${path} was edited: ${edited.length} entries are new or changed, ${gone.length} are gone`)
  })

  const unsaved = new Set<CacheEntry.CacheEntry>()
  let folded = 0
  let closing = false
  const sizeAtOpen = disk.size
  const foldOnce = Effect.gen(function*() {
    yield* pull
    // Someone is about to write into it.
    if (disk.size === 0 && disk.version !== undefined && !closing) return true
    // The mark first: what is stored after it stays in the journal, whether it is in the file or not.
    const marked = journal.markUnsafe()
    const kept = memory.entries().filter(log.isValid)
    const retried = Array.from(unsaved)
    const through = yield* marked
    if (through === 0 && unsaved.size === 0) return true
    const temporary = `${path}.tmp`
    const written = yield* files.write(temporary, renderDocument(kept), path)
    const version = yield* files.version(temporary)
    yield* journal.enqueueUnsafe({ fold: { file: written.digest, through } }, { flush: true })
    yield* lock.confirm
    if ((yield* files.version(path)) !== disk.version) return false
    yield* files.replace(temporary, path)
    disk = { ...written, version, entries: new Map(kept.map((entry) => [entry.key, entry])) }
    for (const entry of retried) {
      entry.unsaved = false
      unsaved.delete(entry)
    }
    yield* journal.cut(written.digest)
    folded += written.size + journal.size()
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
    const isWorthIt = (isQuiet && cost <= smallFile) || folded + cost <= 1.1 * (sizeAtOpen + journal.written())
    return (size > 0 || unsaved.size > 0) && isWorthIt ? reported(path, fold) : Effect.void
  })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closing = true
      return reported(path, fold)
    })
  )
  yield* Effect.forkScoped(Effect.repeat(foldWhenWorthIt, Schedule.spaced(foldEvery)))

  return {
    store: storeOf(memory, {
      set: (entry) => inStore("set", set(entry)),
      remove: (key) => inStore("remove", remove(key)),
      flush: fold,
      clear: inStore("clear", clear)
    }),
    log: Broadcaster.Broadcaster.of({
      append: (tags) =>
        Effect.mapError(append(tags), (error) => logError(`The record could not be kept: ${error.message}`, error)),
      follow: log.follow
    }),
    fold,
    pull: alone.withPermit(Effect.uninterruptible(pull))
  }
})

// In bytes. Up to this size writing a file anew costs next to nothing.
const smallFile = 1024 * 1024

const inStore = <A>(
  operation: CacheError.StoreError["operation"],
  effect: Effect.Effect<A, CacheError.CacheError>
): Effect.Effect<A, CacheError.CacheError> => Effect.mapError(effect, (error) => storeError(operation, error))

const reported = (path: string, effect: Effect.Effect<void, CacheError.CacheError>): Effect.Effect<void> =>
  Effect.catch(
    effect,
    (error) => Effect.logWarning(`${error.message}. What is not in ${path} yet stays in ${journalOf(path)}`)
  )

// Editors save by writing into a file or by giving its name to another: only its folder sees both.
const watch = Effect.fnUntraced(function*(
  { fs, path }: Opened,
  pull: Effect.Effect<void, CacheError.CacheError>
) {
  const ready = yield* Deferred.make<void, CacheError.CacheError>()
  const changes = fs.watch(dirname(path), { onReady: () => Deferred.doneUnsafe(ready, Exit.void) })
  const pulled = Effect.catch(pull, (error) => Effect.logWarning(error.message))
  yield* changes.pipe(
    Stream.filter((change) => basename(change.path) === basename(path)),
    Stream.debounce("50 millis"),
    Stream.runForEach(() => pulled),
    Effect.mapError((cause) => fileError(path, "unreadable", "its folder cannot be watched", cause)),
    Effect.tapError((error) => Deferred.fail(ready, error)),
    Effect.ignore,
    Effect.forkScoped
  )
  yield* Deferred.await(ready)
  yield* pulled
})

/**
 * Results in one JSON file that people can read, edit, compare and commit, and the log that goes with it.
 *
 * **When to use**
 *
 * Use for results that are worth keeping over restarts, and few enough to be in memory: all of them are. Together with
 * `Precompute` it makes a table that was computed once and can be corrected by hand.
 *
 * **Details**
 *
 * A result is acknowledged when it is in the journal, `path` with `.journal`; the journal is folded into the file from time to
 * time and when the scope closes. A process that is killed loses nothing that was acknowledged, and an invalidation is
 * acknowledged only when it is on the disk. Of what was edited each entry is decoded by the schema of its function before it
 * is served; one that does not fit is reported with its place, and computed again. The file as people left it is kept beside
 * the new one whenever something in it could not be used, with `.aside-` and a digest at the end of its name.
 *
 * Fails with a `CacheError` of reason `FileError`: when another process writes to the file, which the message names; for a file
 * that is something else, of a newer version, or cannot be read, which is left as it is. Of reason `DefinitionError` for
 * options as `Store.layerMemory` does.
 *
 * **Example** (Computed once, also over restarts)
 *
 * ```ts import.meta.vitest
 * import { NodeServices } from "@effect/platform-node"
 * import { Effect, FileSystem, Layer, Schema } from "effect"
 * import { Cached, DependencyGraph, ResultCache } from "effect-cached"
 * import * as JsonFileStore from "effect-cached/JsonFileStore"
 *
 * let executions = 0
 * const oneRun = (path: string) =>
 *   Effect.gen(function*() {
 *     const square = yield* Cached.make(
 *       "square",
 *       { input: { n: Schema.Int }, success: Schema.Int },
 *       ({ n }) => Effect.sync(() => {
 *         executions++
 *         return n * n
 *       })
 *     )
 *     return yield* square({ n: 12 })
 *   }).pipe(Effect.provide(
 *     ResultCache.layer().pipe(Layer.provide([JsonFileStore.layer({ path }), DependencyGraph.layer()])),
 *     { local: true }
 *   ))
 *
 * const program = Effect.gen(function*() {
 *   const fs = yield* FileSystem.FileSystem
 *   const path = `${yield* fs.makeTempDirectoryScoped()}/results.json`
 *   return [yield* oneRun(path), yield* oneRun(path), executions]
 * }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
 *
 * await Effect.runPromise(program) // => [144, 144, 1]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<Store.Store | Broadcaster.Broadcaster, CacheError.CacheError, FileSystem.FileSystem> =>
  Layer.effectContext(
    Effect.map(
      make(options),
      ({ log, store }) => Context.make(Store.Store, store).pipe(Context.add(Broadcaster.Broadcaster, log))
    )
  )
