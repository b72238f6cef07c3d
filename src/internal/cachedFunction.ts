/**
 * What cached functions and cached routes have in common: from a definition and a function to lookups and results.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as Scope from "effect/Scope"
import * as CacheEntry from "../CacheEntry.ts"
import * as CacheError from "../CacheError.ts"
import type * as CachePolicy from "../CachePolicy.ts"
import { copyOfRecord } from "./copy.ts"
import { successOf } from "./eager.ts"
import { codecError, definitionError, describe, inputError, resultError } from "./errors.ts"
import { described, fingerprintOf } from "./fingerprint.ts"
import { Flight } from "./flight.ts"
import { freezeDeep } from "./freeze.ts"
import { type Encoded, isPlain, makeInputKey } from "./inputKey.ts"
import { type JsonForm, makeJsonForm } from "./jsonForm.ts"
import type { Answer, Checked, Computed, Lookup } from "./lookup.ts"
import { resolvePolicy } from "./policy.ts"
import { functionTag, keyTag } from "./tagText.ts"

/** A definition, its types erased: `Cached` and `HttpCached` have checked them. */
export interface AnyDefinition {
  readonly input?: Schema.Struct.Fields | undefined
  readonly success: Schema.Top
  // Its input is what the fields of `input` decode to.
  readonly deps?: ((input: any) => Iterable<string>) | undefined
  readonly error?: Schema.Top | undefined
  readonly timeToLive?: CachePolicy.TimeToLive<any, any, any> | undefined
  readonly policy?: CachePolicy.CachePolicy<any, any, any> | undefined
  readonly consistency?: CachePolicy.Consistency | undefined
  readonly version?: string | undefined
}

interface Keyed {
  readonly key: string
  readonly encoded: Encoded
}

export type CachedFunction = Effect.Success<ReturnType<typeof makeCachedFunction>>

/**
 * Checks a definition. The types of `f` are those of the definition, and erased with them. Fails with a `CacheError` of reason `DefinitionError` for a name or a duration that cannot be
 * used.
 */
export const makeCachedFunction = Effect.fnUntraced(function*(
  name: string,
  definition: AnyDefinition,
  f: (input: any, varied: any) => Effect.Effect<unknown, unknown, any>,
  services: Context.Context<never>,
  defaults: CachePolicy.CachePolicy<any, any, any> | undefined
) {
  const where = `cached function ${JSON.stringify(name)}`
  if (name.length === 0 || name.length > maxNameLength || controlCharacter.test(name)) {
    return yield* definitionError(where, `a name has 1 to ${maxNameLength} characters and no control characters`)
  }
  const { errorTimeToLive, policy, timeToLive: millisOf } = yield* resolvePolicy(where, definition, defaults)
  // A name has no control characters, and neither have canonical texts: no two keys are alike.
  const prefix = `${name}\t`
  const input = makeInputKey(prefix, definition.input ?? {})
  const results = makeJsonForm(definition.success)
  const errors = makeJsonForm(definition.error ?? Schema.Never)
  const tag = functionTag(name)

  // Schemas run with the services of the definition, whoever calls.
  const provide = <A, E>(effect: Effect.Effect<A, E, any>): Effect.Effect<A, E> =>
    // What the schemas need is not known here, and was taken with the definition's services.
    Effect.provideContext(effect, services as Context.Context<any>)

  const unreadable = (entry: CacheEntry.CacheEntry, cause: unknown) =>
    codecError(
      "malformed",
      `The stored result of ${JSON.stringify(name)}${
        entry.unchecked === undefined ? "" : ` (${entry.unchecked})`
      } does not fit its schema: ${
        // Where a number is expected, only the texts that stand for numbers without a JSON form are named.
        describe(cause).replaceAll("\"Infinity\" |", "number | \"Infinity\" |")}`,
      cause
    )

  // At once, where the schema needs no services: the operators that are called eager run nothing that has ended already.
  const decodeEntry = (
    entry: CacheEntry.CacheEntry,
    options?: SchemaAST.ParseOptions
  ): Effect.Effect<unknown, CacheError.CacheError> => {
    let json: unknown
    try {
      json = JSON.parse(CacheEntry.text(entry))
    } catch (cause) {
      return codecError("malformed", `The stored result of ${JSON.stringify(name)} is not JSON`, cause)
    }
    try {
      const decoded = provide((entry.failed ? errors : results).decode(json, options))
      return successOf(decoded) ?? Effect.mapError(
        Effect.catchDefect(decoded, (defect) => Effect.fail(defect)),
        (cause) => unreadable(entry, cause)
      )
    } catch (defect) {
      return unreadable(entry, defect)
    }
  }

  // What is stored of a value, or of the error of a failure. Whatever the schema does with it, even throw, the caller gets it.
  const produce = (
    form: JsonForm,
    value: unknown,
    millis: Effect.Effect<number, CacheError.CacheError>,
    failure?: Exit.Exit<never, unknown>
  ): Effect.Effect<Computed, never, any> => {
    const unusable = (cause: unknown): Computed => ({
      value,
      body: undefined,
      failure,
      timeToLive: 0,
      rejected: "result",
      error: resultError(name, cause)
    })
    try {
      const produced = Effect.flatMapEager(
        form.write(value),
        (body) =>
          Effect.flatMapEager(form.comesBack(value, body), (comesBack) => {
            if (!comesBack) {
              const error = resultError(name, "its JSON form is that of another value of the schema")
              return Effect.succeed<Computed>({ value, body, failure, timeToLive: 0, rejected: "result", error })
            }
            return Effect.matchEager(millis, {
              onFailure: (error): Computed => ({ value, body, failure, timeToLive: 0, rejected: "policy", error }),
              onSuccess: (timeToLive): Computed => ({ value, body, failure, timeToLive })
            })
          })
      )
      return successOf(produced) ??
        Effect.catchCause(produced, (cause) => Effect.succeed(unusable(Cause.squash(cause))))
    } catch (thrown) {
      return Effect.succeed(unusable(thrown))
    }
  }

  // A typed failure is stored as long as its policy says. Those of this library have no form in any schema.
  const produceFailure = (cause: Cause.Cause<unknown>, decoded: unknown): Effect.Effect<Computed, unknown, any> => {
    const error = Cause.hasDies(cause) || Cause.hasInterrupts(cause) ? Option.none() : Cause.findErrorOption(cause)
    if (errorTimeToLive === undefined || Option.isNone(error) || error.value instanceof CacheError.CacheError) {
      return Effect.failCause(cause)
    }
    const failure = Exit.failCause(cause)
    return produce(errors, error.value, errorTimeToLive(failure, decoded), failure)
  }

  const addDeps = (flight: Flight, decoded: unknown) => {
    if (definition.deps === undefined) return
    try {
      for (const tag of definition.deps(decoded)) flight.addTag(tag)
    } catch (defect) {
      flight.problem ??= definitionError(`${where}, deps`, `the function threw ${describe(defect)}`)
    }
  }

  return {
    name,
    fields: definition.input ?? {},
    /** Runs an effect of the schemas with the services of the definition. */
    provide,
    tag,
    input,
    /** Whether nothing may be served before the log was asked. */
    strong: definition.consistency === "strong",
    /** How long results live, and what may be served after that. */
    policy,
    fingerprint: fingerprint(definition),
    tagOf: (key: string) => keyTag(tag, key.slice(prefix.length)),
    /**
     * The key of an input, and the input as its schema encodes it, out of its owner's reach: who changes it later changes
     * neither. Fails with a `CacheError` of reason `InputError`.
     */
    keyed: (value: unknown): Effect.Effect<Keyed, CacheError.CacheError> =>
      Effect.flatMapEager(
        Effect.mapErrorEager(provide(input.encode(value)), (cause) => inputError(name, cause)),
        (encoded) => {
          try {
            return Effect.succeed({ key: input.ofEncodedUnsafe(encoded), encoded: copyOfRecord(encoded) })
          } catch (cause) {
            return inputError(name, cause)
          }
        }
      ),
    /** The input that the values of a request are. Fails with a `CacheError` of reason `InputError`. */
    decodeRequest: (values: Encoded) =>
      Effect.mapError(provide(input.decodeRequest(values)), (cause) => inputError(name, cause)),
    /** What a lookup computes. */
    compute: (flight: Flight, { encoded, key, varied }: Lookup): Effect.Effect<Computed, unknown, Scope.Scope> =>
      Effect.flatMapEager(
        Effect.mapErrorEager(input.decode(encoded), (cause) => inputError(name, cause)),
        (decoded) => {
          flight.addTags([tag, keyTag(tag, key.slice(prefix.length))])
          addDeps(flight, decoded)
          return Effect.matchCauseEffect(f(decoded, varied), {
            onFailure: (cause) => produceFailure(cause, decoded),
            onSuccess: (value) => produce(results, value, millisOf(Exit.succeed(value), decoded))
          })
        }
      ) as Effect.Effect<Computed, unknown, Scope.Scope>,
    /**
     * What the function would have written for what people may have written. Fails with a `CacheError` of reason
     * `CodecError` where that does not fit the schema or has more than it.
     */
    check: (
      entry: CacheEntry.CacheEntry,
      { encoded, key }: Lookup
    ): Effect.Effect<Checked, CacheError.CacheError> =>
      entry.head !== undefined ? Effect.fail(unreadable(entry, "a result has no \"head\"")) : Effect.mapError(
        Effect.gen(function*() {
          const { write } = entry.failed ? errors : results
          const body = yield* provide(write(yield* decodeEntry(entry, strictly)))
          // A flight that nobody sees, for the tags that are known beforehand.
          const flight = new Flight({}, key, 0, 0, undefined)
          flight.addTags([tag, keyTag(tag, key.slice(prefix.length))])
          addDeps(flight, yield* provide(input.decode(encoded)))
          if (flight.problem !== undefined) return yield* flight.problem
          return { body, tags: flight.tags }
        }),
        (cause) => cause instanceof CacheError.CacheError ? cause : unreadable(entry, cause)
      ),
    /** The function itself, past the cache. */
    bypass: (decoded: unknown, varied: unknown) => f(decoded, varied),
    encodeBody: (value: unknown) => Effect.mapError(provide(results.write(value)), (cause) => resultError(name, cause)),
    /**
     * The typed result of an answer. An entry that cannot be decoded is discarded, and `again` is asked for another
     * answer, once.
     */
    resultOf: (
      answer: Answer,
      again: (entry: CacheEntry.CacheEntry, error: CacheError.CacheError) => Effect.Effect<unknown, unknown, any>
    ) => {
      const { entry, exit, rejected } = answer
      if (exit !== undefined && (entry === undefined || rejected === "result" || Exit.isFailure(exit))) return exit
      if (entry!.value !== undefined) return entry!.value
      const parsed = results.parse(entry!)
      if (parsed !== undefined) return entry!.value = Exit.succeed(parsed.value)
      // In the fiber that asks, and not in the one that answers: what a schema does belongs to it.
      return Effect.suspend(() => {
        if (entry!.value !== undefined) return entry!.value
        const decoding = decodeEntry(entry!)
        const decoded = successOf(decoding)
        return decoded !== undefined ? keep(entry!, decoded.value) : Effect.matchEffect(decoding, {
          onFailure: (error) => exit ?? again(entry!, error),
          onSuccess: (value) => keep(entry!, value)
        })
      })
    }
  }
})

// What everyone is given who asks for an entry's result, and the entry keeps where nobody can change it.
const keep = (entry: CacheEntry.CacheEntry, value: unknown): Exit.Exit<unknown, unknown> => {
  // An error is made anew for each that it is given to: whoever handles it may add to it.
  if (entry.failed) return Exit.fail(value)
  const result = Exit.succeed(value)
  if (freezeDeep(value)) entry.value = result
  return result
}

const strictly: SchemaAST.ParseOptions = { onExcessProperty: "error", errors: "all" }

const maxNameLength = 200
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f]/

// Schemas as data: what keys and bodies are, what they decode to, and what the function was told about its version.
const fingerprint = ({ error, input = {}, success, version }: AnyDefinition): string => {
  // A field that is decoded as it is stands in the key: what other values it may have changes no result.
  const decoded = Object.fromEntries(Object.entries(input).filter(([, { ast }]) => !isPlain(ast)))
  const results = error === undefined ? [success] : [success, error]
  const schemas = [Schema.Struct(decoded), ...results.map((schema) => Schema.toCodecJson(schema))]
  return fingerprintOf([...schemas.flatMap(described), version ?? ""])
}
