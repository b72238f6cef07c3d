/**
 * Finds a module and imports it.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { errorText } from "../internal/precompute/wording.ts"
import { cannotRun, type Failure } from "./failure.ts"

/** The exports of the module in a file, relative to the working folder. */
export const loadModule = Effect.fnUntraced(function*(
  specifier: string
): Effect.fn.Return<Readonly<Record<string, unknown>>, Failure, FileSystem.FileSystem | Path.Path> {
  const path = yield* Path.Path
  const file = yield* find(specifier)
  const url = yield* Effect.orDie(path.toFileUrl(file))
  return yield* Effect.tryPromise({
    try: () => import(url.href) as Promise<Record<string, unknown>>,
    catch: (cause) => cannotRun(`${specifier} cannot be loaded: ${loadingText(cause)}`)
  })
})

const find = Effect.fnUntraced(function*(specifier: string) {
  const path = yield* Path.Path
  const { stat } = yield* FileSystem.FileSystem
  const file = path.resolve(specifier)
  const found = yield* Effect.option(stat(file))
  if (Option.isNone(found)) return yield* cannotRun(`There is no file ${file}`)
  if (found.value.type !== "Directory") return file
  return yield* cannotRun(`${file} is a folder: give the file in it that exports the functions`)
})

// An error of node's module loader says it all. What a module throws by itself is best found by its stack.
const loadingText = (cause: unknown): string =>
  cause instanceof Error && cause.stack !== undefined && !isLoaderError(cause) ? cause.stack : errorText(cause)

const isLoaderError = (cause: Error): boolean => "code" in cause && String(cause.code).startsWith("ERR_")
