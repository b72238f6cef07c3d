import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Cached, CacheError, invalidate, Store } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"

const broken = new Error("disk on fire")

const errors: ReadonlyArray<CacheError.CacheError> = [
  new CacheError.StoreError({ operation: "get", message: "Store.get failed", cause: broken }),
  new CacheError.CodecError({ problem: "checksum", message: "wrong checksum" }),
  new CacheError.LogError({ message: "log is down", cause: broken }),
  new CacheError.TagError({ tag: "a b", message: "malformed" }),
  new CacheError.InputError({ function: "f", message: "no such input", cause: broken }),
  new CacheError.ResultError({ function: "f", message: "no such result", cause: broken }),
  new CacheError.RecursionError({ key: "f {}", message: "waits for itself" }),
  new CacheError.DefinitionError({ where: "f", message: "name is taken" }),
  new CacheError.DomainError({ function: "f", field: "page", message: "no finite domain" }),
  new CacheError.FileError({ path: "a.json", problem: "held", message: "another process writes to it", cause: broken }),
  new CacheError.PrecomputeError({ function: "f", message: "was not stored", cause: broken }),
  new CacheError.ServerError({ problem: "unreachable", message: "no connection", cause: broken }),
  new CacheError.TimeoutError({ operation: "Store.get", message: "too slow" }),
  new CacheError.NotCachedError({ key: "k", message: "nothing is stored" })
].map((reason) => new CacheError.CacheError({ reason }))

describe("CacheError", () => {
  it.each(errors)("has the message of its reason: $reason._tag", (error) => {
    assert.instanceOf(error, Error)
    assert.strictEqual(error._tag, "CacheError")
    assert.strictEqual(error.message, error.reason.message)
  })

  it("has every reason that there is", () => {
    const tags = errors.map((error) => error.reason._tag)
    assert.deepStrictEqual(tags, CacheError.Reason.members.map((member) => member.fields._tag.schema.literal))
  })

  it("keeps the failure that it came from in its reason", () => {
    for (const { reason } of errors) {
      if ("cause" in reason && reason.cause !== undefined) assert.strictEqual(reason.cause, broken)
    }
  })

  it.effect.each(errors)("is selected by its reason with catchReason: $reason._tag", (error) =>
    Effect.gen(function*() {
      const selected = yield* Effect.fail(error).pipe(
        Effect.catchReasons("CacheError", {
          StoreError: ({ operation }) => Effect.succeed(operation),
          CodecError: ({ problem }) => Effect.succeed(problem),
          LogError: ({ _tag }) => Effect.succeed(_tag),
          TagError: ({ tag }) => Effect.succeed(tag),
          InputError: ({ function: name }) => Effect.succeed(name),
          ResultError: ({ function: name }) => Effect.succeed(name),
          RecursionError: ({ key }) => Effect.succeed(key),
          DefinitionError: ({ where }) => Effect.succeed(where),
          DomainError: ({ field }) => Effect.succeed(field),
          FileError: ({ path }) => Effect.succeed(path),
          PrecomputeError: ({ function: name }) => Effect.succeed(name),
          ServerError: ({ problem }) => Effect.succeed(problem),
          TimeoutError: ({ operation }) => Effect.succeed(operation),
          NotCachedError: ({ key }) => Effect.succeed(key)
        })
      )
      assert.include([error.reason._tag, ...Object.values(error.reason)], selected)
    }))

  it.effect("passes other reasons on", () =>
    Effect.gen(function*() {
      const error = yield* invalidate("a b").pipe(
        Effect.catchReason("CacheError", "StoreError", () => Effect.succeed("caught")),
        Effect.flip
      )
      assert.strictEqual(error.reason._tag, "TagError")
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect.each(errors)("survives its own schema: $reason._tag", (error) =>
    Effect.gen(function*() {
      const codec = Schema.toCodecJson(CacheError.CacheError)
      const json = yield* Schema.encodeEffect(codec)(error)
      const back = yield* Schema.decodeUnknownEffect(codec)(JSON.parse(JSON.stringify(json)))
      assert.strictEqual(back.message, error.message)
      assert.strictEqual(back.reason._tag, error.reason._tag)
    }))

  it.effect.each(errors)(
    "is a 400 response with its message for bad input, and a bare 504 or 500 otherwise: $reason._tag",
    (
      error
    ) =>
      Effect.gen(function*() {
        const { _tag } = error.reason
        const response = yield* HttpServerRespondable.toResponse(error)
        const web = HttpServerResponse.toWeb(response)
        const text = yield* Effect.promise(() => web.text())
        const late = _tag === "TimeoutError" || _tag === "NotCachedError"
        assert.deepStrictEqual(
          [web.status, text],
          _tag === "InputError" ? [400, "no such input"] : [late ? 504 : 500, ""]
        )
      })
  )
})

describe("messages", () => {
  it.effect("of a malformed tag name the tag and what is wrong with it", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(invalidate("a b"))
      assert.match(error.message, /^Tag "a b" is malformed: character " " at index 1 is not allowed/)
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("of an input that does not fit name the function and the field", () =>
    Effect.gen(function*() {
      const f = yield* Cached.make(
        "population",
        { input: { id: Schema.NumberFromString }, success: Schema.Number },
        () => Effect.succeed(1)
      )
      const error = yield* Effect.flip(f({ id: "x" as never }))
      assert.include(error.message, "The input of \"population\" cannot be used")
      assert.include(error.message, "[\"id\"]")
      if (error.reason._tag === "InputError") assert.strictEqual(error.reason.function, "population")
      assert.strictEqual(error.reason._tag, "InputError")
    }).pipe(Effect.provide(CacheTest.layer)))

  it.effect("of an unusable option name the option and its value", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Store.makeMemory({ maxEntries: 0 })))
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.strictEqual(error.message, "Store.maxEntries: 0 is not a whole number from 1 to 16777216")
    }))
})
