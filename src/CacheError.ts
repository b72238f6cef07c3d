/**
 * The one error of this library. Its `reason` says what went wrong, and is what `Effect.catchReason` selects by.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"

/**
 * The store could not be read or written.
 *
 * @category reasons
 * @since 0.1.0
 */
export class StoreError extends Schema.TaggedError<StoreError>("effect-cached/CacheError/StoreError")("StoreError", {
  operation: Schema.Literals(["get", "set", "remove", "entries", "clear"]),
  message: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {}

/**
 * Bytes are not an entry, or an entry cannot be made into bytes.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CodecError extends Schema.TaggedError<CodecError>("effect-cached/CacheError/CodecError")("CodecError", {
  problem: Schema.Literals(["encode", "truncated", "foreign", "version", "checksum", "too-large", "malformed"]),
  message: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {}

/**
 * The invalidation log did not take a record, or cannot be followed.
 *
 * @category reasons
 * @since 0.1.0
 */
export class LogError extends Schema.TaggedError<LogError>("effect-cached/CacheError/LogError")("LogError", {
  message: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {}

/**
 * A tag is malformed.
 *
 * @category reasons
 * @since 0.1.0
 */
export class TagError extends Schema.TaggedError<TagError>("effect-cached/CacheError/TagError")("TagError", {
  tag: Schema.String,
  message: Schema.String
}) {}

/**
 * The input of a cached function does not fit its schema, or has no stable encoding to make a key from. Over HTTP this
 * is a 400 response whose body is the message.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InputError extends Schema.TaggedError<InputError>("effect-cached/CacheError/InputError")("InputError", {
  function: Schema.String,
  message: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {}

/**
 * The result of a cached function does not fit its own schema.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ResultError
  extends Schema.TaggedError<ResultError>("effect-cached/CacheError/ResultError")("ResultError", {
    function: Schema.String,
    message: Schema.String,
    cause: Schema.optional(Schema.Defect())
  })
{}

/**
 * A computation asked for the very result that it is computing, directly or through others.
 *
 * @category reasons
 * @since 0.1.0
 */
export class RecursionError
  extends Schema.TaggedError<RecursionError>("effect-cached/CacheError/RecursionError")("RecursionError", {
    key: Schema.String,
    message: Schema.String
  })
{}

/**
 * An option or a part of a definition is unusable: a duration, a size, a name that is taken.
 *
 * @category reasons
 * @since 0.1.0
 */
export class DefinitionError
  extends Schema.TaggedError<DefinitionError>("effect-cached/CacheError/DefinitionError")("DefinitionError", {
    where: Schema.String,
    message: Schema.String
  })
{}

/**
 * A function cannot be computed for every input it has: a field has no finite domain, or there are too many inputs.
 *
 * @category reasons
 * @since 0.1.0
 */
export class DomainError
  extends Schema.TaggedError<DomainError>("effect-cached/CacheError/DomainError")("DomainError", {
    function: Schema.String,
    /** The field, with dots where it is inside another; `undefined` where it is about all of them. */
    field: Schema.optional(Schema.String),
    message: Schema.String
  })
{}

/**
 * A file that results are kept in cannot be used.
 *
 * **Details**
 *
 * `held`: another process writes to it. `foreign`: it is something else. `version`: a newer version of this library wrote it.
 * `unreadable`, `unwritable`: the file system says no. `read-only`: it was opened for reading.
 *
 * @category reasons
 * @since 0.1.0
 */
export class FileError extends Schema.TaggedError<FileError>("effect-cached/CacheError/FileError")("FileError", {
  path: Schema.String,
  problem: Schema.Literals(["held", "foreign", "version", "unreadable", "unwritable", "read-only"]),
  message: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {}

/**
 * A function was computed ahead of time, and there is no stored result.
 *
 * @category reasons
 * @since 0.1.0
 */
export class PrecomputeError
  extends Schema.TaggedError<PrecomputeError>("effect-cached/CacheError/PrecomputeError")("PrecomputeError", {
    function: Schema.String,
    message: Schema.String,
    cause: Schema.optional(Schema.Defect())
  })
{}

/**
 * A server that results or the log are kept on cannot be used.
 *
 * **Details**
 *
 * `unreachable`: there is no connection. `timeout`: it did not answer in time. `unauthorized`: it does not know us, or does not
 * let us. `read-only`: it takes no writes, for instance because it is a replica now. `out-of-memory`: it is full and evicts
 * nothing. `foreign`: something else stands at one of our keys. `circuit-open`: it failed too often, and is not asked for a
 * moment. `rejected`: it refused for another reason.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ServerError
  extends Schema.TaggedError<ServerError>("effect-cached/CacheError/ServerError")("ServerError", {
    problem: Schema.Literals([
      "unreachable",
      "timeout",
      "unauthorized",
      "read-only",
      "out-of-memory",
      "foreign",
      "circuit-open",
      "rejected"
    ]),
    message: Schema.String,
    cause: Schema.optional(Schema.Defect())
  })
{}

/**
 * Something took longer than its time limit.
 *
 * @category reasons
 * @since 0.1.0
 */
export class TimeoutError
  extends Schema.TaggedError<TimeoutError>("effect-cached/CacheError/TimeoutError")("TimeoutError", {
    operation: Schema.String,
    message: Schema.String
  })
{}

/**
 * Whoever asked wanted no computation, and there is no stored result. Over HTTP this is a 504 response (RFC 9111, section
 * 5.2.1.7).
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotCachedError
  extends Schema.TaggedError<NotCachedError>("effect-cached/CacheError/NotCachedError")("NotCachedError", {
    key: Schema.String,
    message: Schema.String
  })
{}

/**
 * Everything that can be the reason of a {@link CacheError}.
 *
 * @category models
 * @since 0.1.0
 */
export const Reason = Schema.Union([
  StoreError,
  CodecError,
  LogError,
  TagError,
  InputError,
  ResultError,
  RecursionError,
  DefinitionError,
  DomainError,
  FileError,
  PrecomputeError,
  ServerError,
  TimeoutError,
  NotCachedError
])

/**
 * @category models
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * The error of every operation of this library.
 *
 * **Details**
 *
 * `reason` is tagged; the failure that it came from, if there is one, is in `reason.cause`. As the failure of a route it
 * is a 400 response for an `InputError`, a 504 response for a `TimeoutError` or a `NotCachedError`, and a 500 response
 * otherwise.
 *
 * **Example** (Selecting a reason)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { CacheTest } from "effect-cached/testing"
 * import { invalidate } from "effect-cached"
 *
 * const program = invalidate("user::7").pipe(
 *   Effect.as("invalidated"),
 *   Effect.catchReason("CacheError", "TagError", (reason) => Effect.succeed(reason.tag)),
 *   Effect.provide(CacheTest.layer)
 * )
 *
 * await Effect.runPromise(program) // => "user::7"
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class CacheError extends Schema.TaggedError<CacheError>("effect-cached/CacheError")("CacheError", {
  reason: Reason
}) {
  override get message(): string {
    return this.reason.message
  }

  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    switch (this.reason._tag) {
      case "InputError":
        return Effect.succeed(HttpServerResponse.text(this.reason.message, { status: 400 }))
      case "TimeoutError":
      case "NotCachedError":
        return Effect.succeed(HttpServerResponse.empty({ status: 504 }))
      default:
        return Effect.succeed(HttpServerResponse.empty({ status: 500 }))
    }
  }
}
