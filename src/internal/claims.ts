/**
 * Names of cached functions: one holder at a time, because results are stored under them.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type * as CacheError from "../CacheError.ts"
import { definitionError } from "./errors.ts"
import { functionTag } from "./tagText.ts"

/** The right to store results under a name. */
export interface Claim {
  /** The scope of the claim has closed: the name may be someone else's. */
  readonly released: boolean
  /** Nobody has had the name before: all computations under it are of this holder. */
  readonly isFirst: boolean
}

export const makeClaims = (forget: (tags: ReadonlyArray<string>) => Effect.Effect<void, CacheError.CacheError>) => {
  const claims = new Map<string, Claim>()

  return Effect.fnUntraced(function*(
    name: string,
    scope: Scope.Scope | undefined
  ): Effect.fn.Return<Claim, CacheError.CacheError> {
    const isFirst = !claims.has(name)
    // What the previous holder stored must not be taken for ours.
    for (let before = claims.get(name); before !== undefined; before = claims.get(name)) {
      if (!before.released) {
        return yield* definitionError(
          `cached function ${JSON.stringify(name)}`,
          "another cached function has this name, and results are stored under it: give one of them another name"
        )
      }
      yield* forget([functionTag(name)])
      if (claims.get(name) === before) claims.delete(name)
    }
    const claim = { released: false, isFirst }
    claims.set(name, claim)
    if (scope !== undefined) {
      yield* Scope.addFinalizer(
        scope,
        Effect.sync(() => {
          claim.released = true
        })
      )
    }
    return claim
  })
}
