/**
 * What a cache does with its store: it looks for entries, makes sure that they may be served, and puts entries there.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as CacheEntry from "../CacheEntry.ts"
import type * as CacheError from "../CacheError.ts"
import * as CacheEvent from "../CacheEvent.ts"
import { type Stage, stageOf } from "./aging.ts"
import { codecError, describe } from "./errors.ts"
import type { Guarded } from "./guard.ts"
import type { Checked, Lookup } from "./lookup.ts"

interface Store {
  readonly get: (key: string) => Effect.Effect<CacheEntry.CacheEntry | undefined, CacheError.CacheError>
  readonly set: (
    entry: CacheEntry.CacheEntry
  ) => Effect.Effect<"stored" | "superseded" | "too-large", CacheError.CacheError>
  readonly touch: (entry: CacheEntry.CacheEntry) => Effect.Effect<void, CacheError.CacheError>
  readonly remove: (key: string) => Effect.Effect<void, CacheError.CacheError>
}

/** What the rest of the cache knows. */
interface Judge {
  /** Whether nothing but its time is against an entry. */
  readonly isValid: (entry: CacheEntry.CacheEntry, fingerprint: string) => boolean
  readonly whyNot: (entry: CacheEntry.CacheEntry | undefined, request: Lookup) => CacheEvent.Because
  readonly now: () => number
  /** Whether an entry is stamped with a position that this process has not heard of. */
  readonly isAhead: (entry: CacheEntry.CacheEntry) => boolean
  /** Hears of all positions there are. */
  readonly catchUp: Effect.Effect<void, CacheError.CacheError>
}

/** What the store gave for a key. */
export type Got = Result.Result<CacheEntry.CacheEntry | undefined, CacheError.CacheError>

/** What is there for a request. */
export interface Finding {
  /** An entry that is valid, and what its time allows. */
  readonly entry: CacheEntry.CacheEntry | undefined
  readonly stage: Stage
  /** Why it is no hit, if it is none. */
  readonly because: CacheEvent.Because
  /** Whether the store answered at all. */
  readonly answered: boolean
}

export type Shelf = ReturnType<typeof makeShelf>

export const makeShelf = (
  store: Store,
  guarded: Guarded,
  { catchUp, isAhead, isValid, now, whyNot }: Judge,
  tell: (event: CacheEvent.CacheEvent) => void
) => {
  const discarded = new WeakSet<CacheEntry.CacheEntry>()

  const get = (key: string): Effect.Effect<Got> => guarded(key, "get", () => store.get(key))

  const look = guarded.reading(store)

  const judged = (request: Lookup, got: Got, draw: () => number): Finding | undefined => {
    const found = Result.getOrUndefined(got)
    const isSettled = found === undefined || found.key !== request.key ||
      (found.unchecked === undefined && !isAhead(found))
    return isSettled ? findingOf(request, Result.isSuccess(got), found, found, draw) : undefined
  }

  const find = (request: Lookup, got: Got | undefined, draw: () => number): Effect.Effect<Finding> => {
    const judge = (got: Got): Effect.Effect<Finding> => {
      const finding = judged(request, got, draw)
      return finding === undefined ? settle(request, got, draw) : Effect.succeed(finding)
    }
    return got === undefined ? Effect.flatMap(get(request.key), judge) : Effect.suspend(() => judge(got))
  }

  const settle = Effect.fnUntraced(function*(
    request: Lookup,
    got: Got,
    draw: () => number
  ): Effect.fn.Return<Finding> {
    const found = Result.getOrUndefined(got)
    const confirmed = found?.unchecked !== undefined && found.key === request.key
      ? yield* confirm(found, request)
      : found
    const entry = confirmed !== undefined && confirmed.key === request.key ? yield* reached(confirmed) : confirmed
    return findingOf(request, Result.isSuccess(got), found, entry, draw)
  })

  const findingOf = (
    request: Lookup,
    answered: boolean,
    found: CacheEntry.CacheEntry | undefined,
    entry: CacheEntry.CacheEntry | undefined,
    draw: () => number
  ): Finding => {
    if (entry === undefined || entry.key !== request.key || !isValid(entry, request.fingerprint)) {
      const because = found !== undefined && entry === undefined ? "malformed" : whyNot(entry, request)
      return { entry: undefined, stage: "over", because, answered }
    }
    const stage = stageOf(entry, now(), draw)
    // Who cannot take what is fresh and valid has started after something that ended it.
    return { entry, stage, because: stage === "fresh" ? "invalidated" : whyNot(entry, request), answered }
  }

  // An entry of which this process has not reached the position was stored by one that is ahead, or belongs to a log that was
  // lost. Its position would be worth nothing then: what was invalidated after it may stand below it.
  const reached = (entry: CacheEntry.CacheEntry): Effect.Effect<CacheEntry.CacheEntry | undefined> =>
    isAhead(entry)
      ? Effect.matchEffect(catchUp, {
        onFailure: () => Effect.succeed(entry),
        onSuccess: () =>
          isAhead(entry) ? Effect.as(discard(entry, ofAnotherLog(entry)), undefined) : Effect.succeed(entry)
      })
      : Effect.succeed(entry)

  // What people may have changed is made into what the function would have written, or is discarded. No fingerprint stands
  // for every version.
  const confirm = (
    entry: CacheEntry.CacheEntry,
    request: Lookup
  ): Effect.Effect<CacheEntry.CacheEntry | undefined> => {
    const { check, fingerprint } = request
    if (entry.fingerprint !== "" && entry.fingerprint !== fingerprint) return Effect.succeed(entry)
    const checked: Effect.Effect<Checked, CacheError.CacheError> = check === undefined ?
      Effect.succeed(entry) :
      Effect.catchDefect(
        check(entry, request),
        (defect) =>
          Effect.fail(codecError("malformed", `The stored entry makes its schema throw: ${describe(defect)}`, defect))
      )
    return Effect.matchEffect(checked, {
      onFailure: (error) => Effect.as(discard(entry, error), undefined),
      onSuccess: ({ body, tags: own }) => {
        const missing = own.some((tag) => !entry.tags.includes(tag))
        if (!missing && body === entry.body && fingerprint === entry.fingerprint) {
          entry.unchecked = undefined
          entry.intact = check !== undefined
          return Effect.succeed(entry)
        }
        const { createdAt, expiresAt, failed, head, key, position, terms } = entry
        const tags = missing ? Array.from(new Set([...entry.tags, ...own])).toSorted() : entry.tags
        const confirmed = new CacheEntry.CacheEntry({
          key,
          fingerprint,
          body,
          head,
          tags,
          position,
          createdAt,
          expiresAt,
          failed,
          terms
        })
        confirmed.intact = check !== undefined
        return Effect.as(guarded(key, "set", () => store.set(confirmed)), confirmed)
      }
    })
  }

  const put = (entry: CacheEntry.CacheEntry, durable: boolean) =>
    guarded(entry.key, "set", () => store.set(entry), durable)

  const discard = (entry: CacheEntry.CacheEntry, error: CacheError.CacheError): Effect.Effect<void> =>
    Effect.suspend(() => {
      // Once for all who were given it: whoever comes second would remove what the first has put in its place.
      if (discarded.has(entry)) return Effect.void
      discarded.add(entry)
      tell(CacheEvent.Undecodable({ key: entry.key, error }))
      return Effect.asVoid(guarded(entry.key, "remove", () => store.remove(entry.key))).pipe(
        Effect.onInterrupt(() => Effect.sync(() => discarded.delete(entry)))
      )
    })

  return {
    /** What the store gives for a key. */
    get,
    /** Asks the store for who has no fiber: as `Guarded.reading` says. */
    look,
    /** What `find` says of what was given; `undefined` where something has to be done for that. */
    judged,
    /** An entry that is valid, and its stage; `got` is what the store has given already. */
    find,
    /** Stores an entry. Who asks for it to be durable waits longer for that than others do. */
    put,
    /** Tells the store when an entry was last read. */
    touch: (entry: CacheEntry.CacheEntry) => guarded(entry.key, "set", () => store.touch(entry)),
    /** Reports that an entry could not be used, and removes it. */
    discard
  }
}

const ofAnotherLog = ({ key, position }: CacheEntry.CacheEntry) =>
  codecError(
    "foreign",
    `The stored entry of ${
      JSON.stringify(key)
    } has position ${position}, which the log has not reached: it was stored for a log that is lost`
  )
