/**
 * Reading makes an entry live longer that ends when nobody reads it.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as CacheEntry from "../CacheEntry.ts"
import type { Shelf } from "./shelf.ts"

interface Parts {
  readonly store: {
    readonly remote: boolean
    readonly peek: (key: string) => CacheEntry.CacheEntry | undefined
  }
  readonly shelf: Shelf
  readonly context: Context.Context<never>
  readonly scope: Scope.Scope
  readonly now: () => number
}

/**
 * Notes that an entry was read. Other processes see that in the store, which is told each time of what it has given itself, and
 * of what this process holds only now and then.
 */
export const makeReading =
  ({ context, now, scope, shelf, store }: Parts) => (entry: CacheEntry.CacheEntry, isGiven: boolean): void => {
    const { terms } = entry
    if (terms === undefined || terms.idle === Infinity) return
    const at = now()
    CacheEntry.use(entry, at)
    if (!store.remote) return
    // What is not held is given anew each time, by a store that knows of no read but those that it is told of.
    const untold = isGiven || store.peek(entry.key) !== entry ? 0 : terms.idle / toldEach
    if (at - (entry.toldAt ?? terms.usedAt) <= untold) return
    entry.toldAt = at
    Fiber.runIn(Effect.runForkWith(context)(shelf.touch(entry)), scope)
  }

// Of the time to idle.
const toldEach = 8
