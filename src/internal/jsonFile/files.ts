/**
 * What is done with files, and what is said when it cannot be done.
 *
 * A file is never changed in place: its successor is written beside it, flushed to the disk, and given its name.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import type * as CacheError from "../../CacheError.ts"
import { fileError } from "../errors.ts"

/** Whatever makes a digest of bytes that come piece by piece. */
export interface Hash {
  readonly update: (bytes: Uint8Array) => unknown
  readonly digest: () => string
}

/** Which state of a file one has seen. */
export type Version = string | undefined

export type Files = ReturnType<typeof makeFiles>

export const makeFiles = (fs: FileSystem.FileSystem, makeHash: () => Hash) => {
  /** The bytes of a file; `undefined` where there is none. */
  const read = (path: string): Effect.Effect<Uint8Array | undefined, CacheError.CacheError> =>
    orAbsent(
      fs.readFile(path),
      (cause) => fileError(path, "unreadable", `it cannot be read: ${reasonOf(cause)}`, cause)
    )

  /** Changes with the file, as far as its time and size tell; `undefined` where there is none. */
  const version = (path: string): Effect.Effect<Version, CacheError.CacheError> =>
    orAbsent(
      Effect.map(fs.stat(path), ({ ino, mtime, size }) =>
        `${
          Option.getOrElse(ino, () => 0n)
        } ${Option.match(mtime, { onNone: () => 0, onSome: (time) => time.getTime() })} ${size}`),
      (cause) =>
        fileError(path, "unreadable", `it cannot be looked at: ${reasonOf(cause)}`, cause)
    )

  /** Writes texts to a new file, in pieces, and flushes it to the disk. Others run where a text is empty. Its mode is that of `like`, where there is such a file. */
  const write = (path: string, texts: Iterable<string>, like?: string): Effect.Effect<Written, CacheError.CacheError> =>
    Effect.mapError(
      Effect.scoped(Effect.gen(function*() {
        // Whoever else writes to a file of this name writes to one without a name.
        yield* fs.remove(path, { force: true })
        const file = yield* fs.open(path, { flag: "wx" })
        const hash = makeHash()
        let size = 0
        for (const piece of pieces(texts)) {
          if (piece === "") {
            yield* Effect.yieldNow
            continue
          }
          const bytes = encoder.encode(piece)
          hash.update(bytes)
          size += bytes.length
          yield* file.writeAll(bytes)
        }
        if (like !== undefined) {
          yield* Effect.ignore(Effect.flatMap(fs.stat(like), ({ mode }) => fs.chmod(path, mode & 0o777)))
        }
        yield* file.sync
        return { size, digest: hash.digest() }
      })),
      unwritable(path)
    )

  // A new name is on the disk only when the folder is. Some systems cannot flush a folder, and need not.
  const settleFolder = (path: string) =>
    Effect.ignore(Effect.scoped(Effect.flatMap(fs.open(folderOf(path)), (folder) => folder.sync)))

  return {
    read,
    version,
    write,
    digestOf: (bytes: Uint8Array): string => {
      const hash = makeHash()
      hash.update(bytes)
      return hash.digest()
    },
    /** Gives a file the name of another, in one step. */
    replace: (from: string, to: string): Effect.Effect<void, CacheError.CacheError> =>
      Effect.andThen(Effect.mapError(fs.rename(from, to), unwritable(to)), settleFolder(to)),
    remove: (path: string): Effect.Effect<void, CacheError.CacheError> =>
      Effect.mapError(fs.remove(path, { force: true }), unwritable(path)),
    makeFolder: (path: string): Effect.Effect<void, CacheError.CacheError> =>
      Effect.mapError(fs.makeDirectory(folderOf(path), { recursive: true }), unwritable(folderOf(path))),
    openToAppend: (path: string): Effect.Effect<FileSystem.File, CacheError.CacheError, Scope.Scope> =>
      Effect.tap(Effect.mapError(fs.open(path, { flag: "a" }), unwritable(path)), () => settleFolder(path)),
    /** Keeps bytes in a file, if there is none yet. */
    keep: (path: string, bytes: Uint8Array): Effect.Effect<void, CacheError.CacheError> => {
      const temporary = `${path}.tmp`
      const write = Effect.scoped(Effect.gen(function*() {
        if (yield* fs.exists(path)) return
        yield* fs.remove(temporary, { force: true })
        const file = yield* fs.open(temporary, { flag: "wx" })
        yield* file.writeAll(bytes)
        yield* file.sync
        yield* fs.rename(temporary, path)
        yield* settleFolder(path)
      }))
      return Effect.mapError(
        Effect.onError(write, () => Effect.ignore(fs.remove(temporary, { force: true }))),
        unwritable(path)
      )
    },
    link: (from: string, to: string): Effect.Effect<boolean, CacheError.CacheError> =>
      fs.link(from, to).pipe(
        Effect.as(true),
        Effect.catchIf((error) => error.reason._tag === "AlreadyExists", () => Effect.succeed(false)),
        Effect.mapError(unwritable(to))
      ),
    /** When a file was written last, by the clock of its disk. */
    writtenAt: (path: string): Effect.Effect<number | undefined, CacheError.CacheError> =>
      orAbsent(
        Effect.map(fs.stat(path), ({ mtime }) =>
          Option.match(mtime, { onNone: () => 0, onSome: (time) => time.getTime() })),
        (cause) =>
          fileError(path, "unreadable", `it cannot be looked at: ${reasonOf(cause)}`, cause)
      )
  }
}

export interface Written {
  readonly size: number
  readonly digest: string
}

const orAbsent = <A>(
  effect: Effect.Effect<A, PlatformError.PlatformError>,
  onError: (cause: PlatformError.PlatformError) => CacheError.CacheError
): Effect.Effect<A | undefined, CacheError.CacheError> =>
  Effect.catch(effect, (cause) => cause.reason._tag === "NotFound" ? Effect.undefined : Effect.fail(onError(cause)))

/** The error of a path that could not be written. */
export const unwritable = (path: string) => (cause: PlatformError.PlatformError): CacheError.CacheError =>
  fileError(path, "unwritable", `it cannot be written: ${reasonOf(cause)}`, cause)

const reasonOf = ({ reason }: PlatformError.PlatformError): string =>
  reason.cause instanceof Error ? reason.cause.message : reason.message

const folderOf = (path: string): string =>
  path.slice(0, Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"), 0)) || "."

// Few large writes in place of many small ones. An empty one says that others may run.
function* pieces(texts: Iterable<string>): Iterable<string> {
  let piece = ""
  for (const text of texts) {
    if (text === "") yield text
    piece += text
    if (piece.length < pieceLength) continue
    yield piece
    piece = ""
  }
  if (piece !== "") yield piece
}

const pieceLength = 256 * 1024
const encoder = new TextEncoder()
