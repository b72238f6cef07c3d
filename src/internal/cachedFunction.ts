/**
 * What cached functions and cached routes have in common: from a definition and a function to lookups and results.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import type * as Scope from "effect/Scope"
import * as CacheEntry from "../CacheEntry.ts"
import * as CacheError from "../CacheError.ts"
import type * as CachePolicy from "../CachePolicy.ts"
import { copyOfRecord } from "./copy.ts"
import { digest } from "./digest.ts"
import { codecError, definitionError, describe, inputError, resultError } from "./errors.ts"
import { lossOf } from "./faithful.ts"
import { Flight } from "./flight.ts"
import { freezeDeep } from "./freeze.ts"
import { type Encoded, isPlain, makeInputKey } from "./inputKey.ts"
import type { Answer, Checked, Computed } from "./lookup.ts"
import { lifetime } from "./settings.ts"
import { functionTag, keyTag } from "./tagText.ts"

/** A definition, its types erased: `Cached` and `HttpCached` have checked them. */
export interface AnyDefinition {
  readonly input?: Schema.Struct.Fields | undefined
  readonly success: Schema.Top
  // Its input is what the fields of `input` decode to.
  readonly deps?: ((input: any) => Iterable<string>) | undefined
  readonly timeToLive?: CachePolicy.TimeToLive<any, any, any> | undefined
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
  services: Context.Context<never>
) {
  const where = `cached function ${JSON.stringify(name)}`
  if (name.length === 0 || name.length > maxNameLength || controlCharacter.test(name)) {
    return yield* definitionError(where, `a name has 1 to ${maxNameLength} characters and no control characters`)
  }
  const millisOf = yield* lifetime(`${where}, timeToLive`, definition.timeToLive)
  // A name has no control characters, and neither have canonical texts: no two keys are alike.
  const prefix = `${name}\t`
  const input = makeInputKey(prefix, definition.input ?? {})
  const codec = Schema.toCodecJson(definition.success)
  const encodeResult = Schema.encodeUnknownEffect(codec)
  const decodeResult = Schema.decodeUnknownEffect(codec)
  const loss = lossOf(definition.success.ast)
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

  const decodeEntry = (entry: CacheEntry.CacheEntry, options?: SchemaAST.ParseOptions) =>
    Effect.flatMap(
      Effect.try({
        try: (): unknown => JSON.parse(CacheEntry.text(entry)),
        catch: (cause) => codecError("malformed", `The stored result of ${JSON.stringify(name)} is not JSON`, cause)
      }),
      (json) =>
        Effect.mapError(
          Effect.catchDefect(provide(decodeResult(json, options)), (defect) => Effect.fail(defect)),
          (cause) => unreadable(entry, cause)
        )
    )

  // Whether what is stored will be read as the value that was computed. What a schema does not know of a value is not a
  // part of it, unless a union may take one member for another.
  const readType = Schema.decodeUnknownEffect(Schema.toType(definition.success))
  const comesBack = Effect.fnUntraced(function*(value: unknown, body: string) {
    if (loss === "none") return true
    const expected = loss === "mistaken" ? value : yield* Effect.catch(readType(value), () => Effect.succeed(value))
    return Equal.equals(yield* decodeResult(JSON.parse(body)), expected)
  })

  const encode = Effect.fnUntraced(function*(value: unknown, decoded: unknown) {
    const body = JSON.stringify(yield* encodeResult(value))
    if (!(yield* comesBack(value, body))) {
      const error = resultError(name, "its JSON form is that of another value of the schema")
      return { value, body, timeToLive: 0, rejected: "result", error } satisfies Computed
    }
    return yield* Effect.match(millisOf(Exit.succeed(value), decoded), {
      onFailure: (error): Computed => ({ value, body, timeToLive: 0, rejected: "policy", error }),
      onSuccess: (timeToLive): Computed => ({ value, body, timeToLive })
    })
  })

  // Whatever the schema does with the value, even throw, the caller gets the value.
  const produce = (value: unknown, decoded: unknown): Effect.Effect<Computed, never, any> =>
    Effect.catchCause(
      encode(value, decoded),
      (cause) =>
        Effect.succeed<Computed>({
          value,
          body: undefined,
          timeToLive: 0,
          rejected: "result",
          error: resultError(name, Cause.squash(cause))
        })
    )

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
    fingerprint: fingerprint(definition),
    tagOf: (key: string) => keyTag(tag, key.slice(prefix.length)),
    /**
     * The key of an input, and the input as its schema encodes it, out of its owner's reach: who changes it later changes
     * neither. Fails with a `CacheError` of reason `InputError`.
     */
    keyed: (value: unknown): Effect.Effect<Keyed, CacheError.CacheError> =>
      Effect.flatMap(
        Effect.mapError(provide(input.encode(value)), (cause) => inputError(name, cause)),
        (encoded) =>
          Effect.try({
            try: () => ({ key: input.ofEncodedUnsafe(encoded), encoded: copyOfRecord(encoded) }),
            catch: (cause) => inputError(name, cause)
          })
      ),
    /** The input that the values of a request are. Fails with a `CacheError` of reason `InputError`. */
    decodeRequest: (values: Encoded) =>
      Effect.mapError(provide(input.decodeRequest(values)), (cause) => inputError(name, cause)),
    /** What a lookup computes. */
    compute:
      (key: string, encoded: Encoded, varied: unknown) =>
      (flight: Flight): Effect.Effect<Computed, unknown, Scope.Scope> =>
        Effect.flatMap(
          Effect.mapError(input.decode(encoded), (cause) => inputError(name, cause)),
          (decoded) => {
            flight.addTags([tag, keyTag(tag, key.slice(prefix.length))])
            addDeps(flight, decoded)
            return Effect.flatMap(f(decoded, varied), (value) => produce(value, decoded))
          }
        ) as Effect.Effect<Computed, unknown, Scope.Scope>,
    /**
     * What the function would have written for what people may have written. Fails with a `CacheError` of reason
     * `CodecError` where that does not fit the schema or has more than it.
     */
    check:
      (key: string, encoded: Encoded) =>
      (entry: CacheEntry.CacheEntry): Effect.Effect<Checked, CacheError.CacheError> =>
        entry.head !== undefined ? Effect.fail(unreadable(entry, "a result has no \"head\"")) : Effect.mapError(
          Effect.gen(function*() {
            const body = JSON.stringify(yield* provide(encodeResult(yield* decodeEntry(entry, strictly))))
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
    encodeBody: (value: unknown) =>
      Effect.map(
        Effect.mapError(provide(encodeResult(value)), (cause) => resultError(name, cause)),
        (json) => JSON.stringify(json)
      ),
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
      return Effect.matchEffect(decodeEntry(entry!), {
        onFailure: (error) => exit ?? again(entry!, error),
        onSuccess: (value) => {
          const result = Exit.succeed(value)
          if (freezeDeep(value)) entry!.value = result
          return result
        }
      })
    }
  }
})

const strictly: SchemaAST.ParseOptions = { onExcessProperty: "error", errors: "all" }

const maxNameLength = 200
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f]/

// Schemas as data: what keys and bodies are, what they decode to, and what the function was told about its version.
const fingerprint = ({ input = {}, success, version }: AnyDefinition): string => {
  // A field that is decoded as it is stands in the key: what other values it may have changes no result.
  const decoded = Object.fromEntries(Object.entries(input).filter(([, { ast }]) => !isPlain(ast)))
  const schemas = [Schema.Struct(decoded), Schema.toCodecJson(success)].flatMap((
    { ast }
  ) => [ast, SchemaAST.toType(ast)])
  const described = [...schemas.map((ast) => SchemaRepresentation.toRepresentation(ast)), version ?? ""]
  return digest(JSON.stringify(described, textOfOpaque)).slice(0, 16)
}

const textOfOpaque = (_: string, value: unknown): unknown =>
  typeof value === "bigint" || value instanceof RegExp ? String(value) : value
