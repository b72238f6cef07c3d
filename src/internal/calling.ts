/**
 * Calls of a cached function: at once where its result is held, and otherwise by a lookup.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import type { CachedFunction } from "./cachedFunction.ts"
import type { Claim } from "./claims.ts"
import { releasedError } from "./errors.ts"
import type { Encoded } from "./inputKey.ts"
import type { Answer, Cache, Lookup, MakeLookup } from "./lookup.ts"
import { withVaried } from "./varied.ts"

interface Parts {
  readonly fn: CachedFunction
  readonly cache: Pick<Cache, "peek" | "took" | "isFlying" | "ask"> & {
    readonly discard: (entry: CacheEntry.CacheEntry, error: CacheError.CacheError) => Effect.Effect<void>
  }
  readonly claim: Claim
  readonly varyBy: Effect.Effect<unknown, unknown, any> | undefined
  readonly request: MakeLookup
}

type Options = Pick<Lookup, "fresh" | "onlyIfCached" | "noStore">

interface Keyed {
  readonly key: string
  readonly encoded: Encoded
  readonly varied: unknown
}

export const makeCalling = ({ cache, claim, fn, request, varyBy }: Parts) => {
  const { fingerprint, input, strong } = fn

  // The hit path: synchronous, one key, one look, one comparison, and the exit that the entry keeps. No fiber, no
  // promise, nothing allocated but the key.
  const call = (value: unknown) =>
    Effect.withFiber((fiber) => {
      const key = varyBy === undefined && !strong && !claim.released ? input.ofPlain(value ?? noInput) : undefined
      if (key !== undefined) {
        const entry = cache.peek(key, fingerprint, fiber)
        if (entry !== undefined && entry.value !== undefined) {
          cache.took(entry, fiber)
          return entry.value
        }
        // Who only joins encodes nothing. Whose computation it is was encoded under this very key, so no schema has to look at what
        // has the same. The key is asked of the copy: the input may change meanwhile, or each time that it is read.
        const encoded = claim.isFirst && cache.isFlying(key)
          ? input.copyPlain((value ?? noInput) as Encoded)
          : undefined
        if (encoded !== undefined && input.ofPlain(encoded) === key) {
          return cache.ask(request(key, encoded, undefined, fiber), finish)
        }
      }
      return ask(fiber, value, undefined, key)
    })

  // Eager: nothing of this needs a step of a fiber but `varyBy` and schemas with services.
  const keyOf = (value: unknown): Effect.Effect<Keyed, unknown, any> => {
    if (claim.released) return releasedError(fn.name)
    return Effect.flatMapEager(fn.keyed(value ?? noInput), ({ encoded, key }) =>
      varyBy === undefined
        ? Effect.succeed({ key, encoded, varied: undefined })
        : Effect.flatMap(varyBy, (varied) => Effect.map(withVaried(key, varied), (key) => ({ key, encoded, varied }))))
  }

  const ask = (
    fiber: Fiber.Fiber<unknown, unknown>,
    value: unknown,
    options: Options | undefined,
    direct: string | undefined
  ): Effect.Effect<unknown, unknown, any> =>
    Effect.flatMapEager(keyOf(value), ({ encoded, key, varied }) => {
      // The very string that the next call will look for: equal strings are compared by their characters.
      const plain = request(key === direct ? direct : key, encoded, varied, fiber)
      return cache.ask(options === undefined ? plain : { ...plain, ...options }, finish)
    })

  const finish = (answer: Answer, lookup: Lookup) => resultOf(answer, lookup, false)

  // A stored entry that cannot be decoded is looked up once more, together with all who found the same; if the store
  // still has it, it is computed past the store.
  const resultOf = (answer: Answer, lookup: Lookup, repeated: boolean): Effect.Effect<unknown, unknown, any> =>
    fn.resultOf(answer, (entry, error) =>
      Effect.andThen(
        cache.discard(entry, error),
        cache.ask({ ...lookup, fresh: repeated || lookup.fresh }, (next) => resultOf(next, lookup, true))
      ))

  return {
    /** The function as it is usually called. */
    call,
    /** The function for a call that wants something otherwise. */
    callWith: (options: Options) => (value: unknown) =>
      Effect.withFiber((fiber) => ask(fiber, value, options, undefined)),
    /** The key of a call. */
    keyOf: (value: unknown) => Effect.suspend(() => keyOf(value))
  }
}

const noInput = {}
