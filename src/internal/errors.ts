/**
 * Makes errors. Each message says what was wrong and where.
 */
import * as CacheError from "../CacheError.ts"
import type * as CacheEvent from "../CacheEvent.ts"

/** The error of a store operation that failed. */
export const storeError = (operation: CacheError.StoreError["operation"], cause: unknown): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.StoreError({ operation, message: `Store.${operation} failed: ${describe(cause)}`, cause })
  })

/** The error of bytes or an entry that a codec refused. */
export const codecError = (
  problem: CacheError.CodecError["problem"],
  message: string,
  cause?: unknown
): CacheError.CacheError =>
  new CacheError.CacheError({ reason: new CacheError.CodecError({ problem, message, cause }) })

/** The error of an invalidation log that failed. */
export const logError = (message: string, cause?: unknown): CacheError.CacheError =>
  new CacheError.CacheError({ reason: new CacheError.LogError({ message, cause }) })

/** The error of a malformed tag. */
export const tagError = (tag: string, problem: string): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.TagError({ tag, message: `Tag ${JSON.stringify(shorten(tag))} is malformed: ${problem}` })
  })

/** The error of an input that cannot be used. */
export const inputError = (name: string, cause: unknown): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.InputError({
      function: name,
      message: `The input of ${JSON.stringify(name)} cannot be used: ${describe(cause)}`,
      cause
    })
  })

/** The error of a result that does not fit its schema. */
export const resultError = (name: string, cause: unknown): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.ResultError({
      function: name,
      message: `The result of ${JSON.stringify(name)} does not fit its \`success\` schema: ${describe(cause)}`,
      cause
    })
  })

/** The error of a computation that waits for itself. */
export const recursionError = (key: string): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.RecursionError({
      key,
      message: `The computation of ${JSON.stringify(key)} asks for its own result: it would wait for itself forever`
    })
  })

/** The error of a result that was computed and is not kept. */
export const notStoredError = (
  name: string,
  why: CacheEvent.RejectedReason | undefined
): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.PrecomputeError({
      function: name,
      message: `The result of ${JSON.stringify(name)} was not stored: ${
        notStored[why ?? "store"] ?? "the events of the cache say why"
      }`
    })
  })

const notStored: { readonly [why: string]: string } = {
  "store": "the store did not take it",
  "invalidated": "it was invalidated while it was being computed, twice",
  "superseded": "a newer result was there, twice",
  "silent-log": "the invalidation log has not been heard from for too long",
  "no-lifetime": "its time to live is zero",
  "too-large": "it is larger than the store takes"
}

/** The error of a run that ended with its first failure. */
export const stoppedError = (name: string, input: string, cause: unknown): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.PrecomputeError({
      function: name,
      message: `Precomputing stopped, because ${JSON.stringify(name)} failed for ${input}: ${describe(cause)}`,
      cause
    })
  })

/** The error of an unusable option or definition. */
export const definitionError = (where: string, problem: string): CacheError.CacheError =>
  new CacheError.CacheError({ reason: new CacheError.DefinitionError({ where, message: `${where}: ${problem}` }) })

/** The error of a cached function that outlived its scope. */
export const releasedError = (name: string): CacheError.CacheError =>
  definitionError(
    `cached function ${JSON.stringify(name)}`,
    "the scope in which it was made has closed, and its name may be another's: make it in a scope that lives as long as it is used"
  )

/** The error of a function that cannot be computed for every input: of one field, or of all together. */
export const domainError = (name: string, field: string | undefined, problem: string): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.DomainError({
      function: name,
      field,
      message: `The domain of ${JSON.stringify(name)}${
        field === undefined ? "" : `, field ${JSON.stringify(field)}`
      }: ${problem}`
    })
  })

/** The error of a file that cannot be used. */
export const fileError = (
  path: string,
  problem: CacheError.FileError["problem"],
  message: string,
  cause?: unknown
): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.FileError({ path, problem, message: `${path}: ${message}`, cause })
  })

/** The error of a server that cannot be used. */
export const serverError = (
  problem: CacheError.ServerError["problem"],
  message: string,
  cause?: unknown
): CacheError.CacheError =>
  new CacheError.CacheError({ reason: new CacheError.ServerError({ problem, message, cause }) })

/** The error of who wanted no computation. */
export const notCachedError = (key: string): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.NotCachedError({
      key,
      message: `Nothing that may be served is stored for ${
        JSON.stringify(shorten(key))
      }, and nothing was to be computed`
    })
  })

/** The error of something that took too long. */
export const timeoutError = (operation: string, millis: number): CacheError.CacheError =>
  new CacheError.CacheError({
    reason: new CacheError.TimeoutError({
      operation,
      message: `${operation} took longer than its limit of ${millis} ms`
    })
  })

/** What is known of something that was thrown. Some of what can be thrown cannot be printed. */
export const describe = (cause: unknown): string => {
  try {
    return cause instanceof Error ? cause.message : String(cause)
  } catch {
    return "something that cannot be printed"
  }
}

/** The line about something in a file that cannot be used: where it is, and what is wrong. */
export const problemIn = (
  path: string,
  where: ReadonlyArray<string>,
  line: number | undefined,
  message: string
): string =>
  `${path}${line === undefined ? "" : `:${line}`}${
    where.map((part) => `, ${JSON.stringify(part)}`).join("")
  }: ${message}`

const shorten = (text: string): string => text.length > 300 ? `${text.slice(0, 300)}…` : text
