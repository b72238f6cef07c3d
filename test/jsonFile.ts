/**
 * Folders, disks and processes for the tests of `JsonFileStore`.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import { Effect, FileSystem, Layer, Logger, PlatformError, Schema, type Scope, Stream } from "effect"
import {
  type Broadcaster,
  Cached,
  CacheEntry,
  type CacheError,
  DependencyGraph,
  type ResultCache,
  Store
} from "effect-cached"
import * as JsonFileStore from "effect-cached/JsonFileStore"
import { CacheTest } from "effect-cached/testing"
import { functionTag, keyTag } from "../src/internal/tagText.ts"

/** A folder of its own for a test, and what was logged meanwhile. */
export interface Folder {
  readonly fs: FileSystem.FileSystem
  readonly folder: string
  readonly path: string
  readonly messages: Array<string>
  /** Waits until something is logged that has this in it. */
  readonly said: (text: string) => Effect.Effect<void>
  /** The names in the folder, sorted. */
  readonly names: Effect.Effect<ReadonlyArray<string>>
  readonly text: Effect.Effect<string>
  /** Saves the file as editors do: a new file gets the name of the old one. */
  readonly save: (text: string) => Effect.Effect<void>
  /** Replaces a part of the file, which must be in it. */
  readonly edit: (from: string, to: string) => Effect.Effect<void>
  /** The texts that were kept aside. */
  readonly aside: Effect.Effect<ReadonlyArray<string>>
}

export const inFolder = <A, E, R>(test: (folder: Folder) => Effect.Effect<A, E, R>) => {
  const messages: Array<string> = []
  const listeners = new Set<() => void>()
  const logger = Logger.make<unknown, void>(({ message }) => {
    messages.push(String(message))
    for (const listener of listeners) listener()
  })
  return Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* Effect.flatMap(fs.makeTempDirectoryScoped(), fs.realPath)
    const path = `${folder}/x.json`
    const text = Effect.orDie(fs.readFileString(path))
    const names = Effect.orDie(Effect.map(fs.readDirectory(folder), (all) => all.toSorted()))
    const save = (text: string) =>
      Effect.orDie(Effect.andThen(fs.writeFileString(`${path}.saved`, text), fs.rename(`${path}.saved`, path)))
    return yield* test({
      fs,
      folder,
      path,
      messages,
      said: (text) =>
        Effect.callback((resume) => {
          const listener = () => {
            if (!messages.some((message) => message.includes(text))) return
            listeners.delete(listener)
            resume(Effect.void)
          }
          listeners.add(listener)
          listener()
        }),
      names,
      text,
      save,
      edit: (from, to) =>
        Effect.flatMap(text, (before) => {
          assert.include(before, from)
          return save(before.replace(from, to))
        }),
      aside: Effect.flatMap(names, (all) =>
        Effect.forEach(
          all.filter((name) => name.startsWith("x.json.aside-")),
          (name) => Effect.orDie(fs.readFileString(`${folder}/${name}`))
        ))
    })
  }).pipe(Effect.scoped, Effect.provide([NodeFileSystem.layer, Logger.layer([logger])]))
}

/** Something that is asked of a disk, before it is done. */
export interface Operation {
  /** From 1. */
  readonly number: number
  readonly name: string
  readonly path: string
  /** Of what is written. */
  readonly bytes: number
}

/** `tear` does the first half of a write, and fails. */
export type Verdict = "do" | "fail" | "tear"

/** A disk that counts what is asked of it, and does what a test wants. Nothing is flushed: no test turns the power off. */
export const makeDisk = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const operations: Array<Operation> = []
  let decide: ((operation: Operation) => Effect.Effect<Verdict>) | undefined
  let stopped = false

  const judged = <A, R>(
    name: string,
    path: string,
    effect: Effect.Effect<A, PlatformError.PlatformError, R>,
    bytes = 0,
    torn: Effect.Effect<unknown, PlatformError.PlatformError, R> = Effect.void
  ): Effect.Effect<A, PlatformError.PlatformError, R> =>
    Effect.suspend(() => {
      const failure = Effect.fail(PlatformError.systemError({
        _tag: "Unknown",
        module: "FileSystem",
        method: name,
        pathOrDescriptor: path,
        cause: new Error("ENOSPC: no space left on device")
      }))
      if (stopped) return failure
      const operation = { number: operations.length + 1, name, path, bytes }
      operations.push(operation)
      if (decide === undefined) return effect
      return Effect.flatMap(
        decide(operation),
        (verdict) => verdict === "do" ? effect : verdict === "fail" ? failure : Effect.andThen(torn, failure)
      )
    })

  const wrapped = (path: string, file: FileSystem.File): FileSystem.File => ({
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    stat: judged("stat", path, file.stat),
    seek: (offset, from) => file.seek(offset, from),
    sync: judged("sync", path, Effect.void),
    read: (buffer, options) => judged("read", path, file.read(buffer, options)),
    readAlloc: (size, options) => judged("read", path, file.readAlloc(size, options)),
    truncate: (length) => judged("truncate", path, file.truncate(length)),
    write: (buffer) => judged("write", path, file.write(buffer), buffer.length, file.write(half(buffer))),
    writeAll: (buffer) => judged("write", path, file.writeAll(buffer), buffer.length, file.writeAll(half(buffer)))
  })

  const disk: FileSystem.FileSystem = {
    ...fs,
    realPath: (path) => judged("realPath", path, fs.realPath(path)),
    stat: (path) => judged("stat", path, fs.stat(path)),
    readFile: (path) => judged("readFile", path, fs.readFile(path)),
    writeFile: (path, data, options) =>
      judged(
        "writeFile",
        path,
        fs.writeFile(path, data, options),
        data.length,
        fs.writeFile(path, half(data), options)
      ),
    open: (path, options) =>
      judged(
        "open",
        path,
        Effect.map(fs.open(path, options), (file) => wrapped(path, file))
      ),
    link: (from, to) => judged("link", to, fs.link(from, to)),
    rename: (from, to) => judged("rename", to, fs.rename(from, to)),
    remove: (path, options) => judged("remove", path, fs.remove(path, options)),
    makeDirectory: (path, options) => judged("makeDirectory", path, fs.makeDirectory(path, options)),
    chmod: (path, mode) => judged("chmod", path, fs.chmod(path, mode)),
    utimes: (path, atime, mtime) => judged("utimes", path, fs.utimes(path, atime, mtime))
  }
  return {
    fs: disk,
    operations,
    decide: (by: (operation: Operation) => Effect.Effect<Verdict>) => {
      decide = by
    },
    /** From now on nothing reaches the disk: the process is dead. */
    stop: Effect.sync(() => {
      stopped = true
    })
  }
})

const half = (bytes: Uint8Array) => bytes.subarray(0, Math.floor(bytes.length / 2))

export type Disk = Effect.Success<typeof makeDisk>

/** What a process does with a file, until it stops as it should. */
export const open = (options: JsonFileStore.Options): Effect.Effect<
  JsonFileStore.JsonFile,
  CacheError.CacheError,
  FileSystem.FileSystem | Scope.Scope
> => JsonFileStore.make(options)

type Services =
  | ResultCache.ResultCache
  | CacheTest.CacheTest
  | Store.Store
  | Broadcaster.Broadcaster
  | DependencyGraph.DependencyGraph

/** A cache over a file. */
export const cacheIn = (
  options: JsonFileStore.Options
): Layer.Layer<Services, CacheError.CacheError, FileSystem.FileSystem> =>
  Layer.fresh(
    CacheTest.layerWith().pipe(Layer.provideMerge([JsonFileStore.layer(options), DependencyGraph.layer()]))
  )

/** A process that stops as it should. */
export const lives = <A, E, R>(options: JsonFileStore.Options, body: Effect.Effect<A, E, R>) =>
  Effect.provide(body, cacheIn(options))

/** A process that is killed at its end: nothing of what it would do then reaches the disk. */
export const killed = Effect.fnUntraced(
  function*<A, E, R>(options: JsonFileStore.Options, body: Effect.Effect<A, E, R>) {
    const disk = yield* makeDisk
    return yield* Effect.ensuring(body, disk.stop).pipe(
      Effect.provide(cacheIn(options)),
      Effect.provideService(FileSystem.FileSystem, disk.fs)
    )
  }
)

/** A cached function of a whole number, what it was executed for, and one that is computed from it. */
export const squares = Effect.fnUntraced(function*(options?: {
  readonly version?: string
  readonly timeToLive?: string
  readonly name?: string
  readonly compute?: (n: number) => number
}) {
  const executed: Array<number> = []
  const compute = options?.compute ?? ((n) => n * n)
  const square = yield* Cached.make(
    options?.name ?? "square",
    {
      input: { n: Schema.Number },
      success: Schema.Struct({ n: Schema.Number, squared: Schema.Finite }),
      deps: ({ n }) => [`n:${n}`],
      version: options?.version,
      ...(options?.timeToLive === undefined ? {} : { timeToLive: options.timeToLive as "1 hour" })
    },
    ({ n }) =>
      Effect.sync(() => {
        executed.push(n)
        return { n, squared: compute(n) }
      })
  )
  return { square: (n: number) => Effect.map(square({ n }), ({ squared }) => squared), fn: square, executed }
})

/** A function that reads another. */
export const doubles = Effect.fnUntraced(function*(square: (n: number) => Effect.Effect<number, unknown>) {
  const executed: Array<number> = []
  const double = yield* Cached.make(
    "double",
    { input: { n: Schema.Number }, success: Schema.Number },
    ({ n }) =>
      Effect.map(Effect.orDie(square(n)), (squared) => {
        executed.push(n)
        return 2 * squared
      })
  )
  return { double: (n: number) => double({ n }), executed }
})

/** The key of an input `n` of a function. */
export const keyOf = (name: string, n: number | string): string => `${name}\t{"n":${n}}`

/** The tags of an entry that a cached function has made. */
export const tagsOf = (key: string, tags: ReadonlyArray<string> = []): ReadonlyArray<string> => {
  const [name = "", rest = ""] = key.split("\t")
  return [functionTag(name), keyTag(functionTag(name), rest), ...tags].toSorted()
}

/** An entry such as a cached function makes, as the log stands now. */
export const entryOf = (
  file: Pick<JsonFileStore.JsonFile, "log">,
  key: string,
  body: unknown,
  options?: Partial<CacheEntry.Stored>
): Effect.Effect<CacheEntry.CacheEntry> =>
  Effect.map(positionOf(file), (position) =>
    new CacheEntry.CacheEntry({
      key,
      fingerprint: "0123456789abcdef",
      body: JSON.stringify(body),
      head: undefined,
      tags: tagsOf(key),
      position,
      createdAt: 0,
      expiresAt: Infinity,
      ...options
    }))

/** Where the log stands. */
export const positionOf = ({ log }: Pick<JsonFileStore.JsonFile, "log">): Effect.Effect<number> =>
  Effect.scoped(Effect.gen(function*() {
    let position = 0
    yield* log.follow((change) => {
      if ("position" in change) position = change.position
    })
    return position
  }))

/** The bodies of a file, by key. */
export const bodies = (
  { store }: Pick<JsonFileStore.JsonFile, "store">
): Effect.Effect<Readonly<Record<string, unknown>>, CacheError.CacheError> =>
  Effect.map(
    Stream.runCollect(store.entries),
    (entries) => Object.fromEntries(entries.map((entry) => [entry.key, JSON.parse(CacheEntry.text(entry))] as const))
  )

/** Waits until the store has answered for everything that was computed. */
export const settled = Effect.gen(function*() {
  const { events } = yield* CacheTest.CacheTest
  for (;;) {
    const seen = yield* events
    const count = (tag: string) => seen.filter(({ _tag }) => _tag === tag).length
    if (count("Miss") === count("Stored") + count("Rejected")) return
    yield* Effect.yieldNow
  }
})
