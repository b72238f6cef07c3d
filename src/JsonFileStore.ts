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
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash, randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { basename, dirname, resolve } from "node:path"
import * as Broadcaster from "./Broadcaster.ts"
import type * as CacheError from "./CacheError.ts"
import { fileError, logError, storeError } from "./internal/errors.ts"
import { makeFileLog } from "./internal/jsonFile/fileLog.ts"
import { makeFiles } from "./internal/jsonFile/files.ts"
import { type Lock, takeLock } from "./internal/jsonFile/lock.ts"
import type { Opened } from "./internal/jsonFile/opened.ts"
import { makeReader } from "./internal/jsonFile/reader.ts"
import { makeWriter } from "./internal/jsonFile/writer.ts"
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
  const file = yield* lock === undefined ? openToRead(opened) : openToWrite(opened, lock, foldEvery)
  if (options.watch === true) yield* watch(opened, file.pull)
  return file
})

const mostBytes = 256 * 1024 * 1024

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
    // The file does not say when an entry was read.
    touch: () => Effect.void,
    remove,
    flush,
    clear
  })

const openToRead = Effect.fnUntraced(function*(opened: Opened): Effect.fn.Return<JsonFile, CacheError.CacheError> {
  const { log, memory, path } = opened
  const { pull } = yield* makeReader(opened)
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
      follow: log.follow,
      ...Broadcaster.inProcess
    }),
    fold: Effect.void,
    pull
  }
})

const openToWrite = Effect.fnUntraced(function*(
  opened: Opened,
  lock: Lock,
  foldEvery: number
): Effect.fn.Return<JsonFile, CacheError.CacheError, Scope.Scope> {
  const { append, clear, flush, fold, pull, remove, set } = yield* makeWriter(opened, lock, foldEvery)
  return {
    store: storeOf(opened.memory, {
      set: (entry) => inStore("set", set(entry)),
      remove: (key) => inStore("remove", remove(key)),
      flush,
      clear: inStore("clear", clear)
    }),
    log: Broadcaster.Broadcaster.of({
      append: (tags) =>
        Effect.mapError(append(tags), (error) => logError(`The record could not be kept: ${error.message}`, error)),
      follow: opened.log.follow,
      ...Broadcaster.inProcess
    }),
    fold,
    pull
  }
})

const inStore = <A>(
  operation: CacheError.StoreError["operation"],
  effect: Effect.Effect<A, CacheError.CacheError>
): Effect.Effect<A, CacheError.CacheError> => Effect.mapError(effect, (error) => storeError(operation, error))

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
