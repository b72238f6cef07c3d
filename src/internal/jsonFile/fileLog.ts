/**
 * The invalidation log of a file, as its process sees it.
 *
 * Whatever is in the file when it is opened is valid then: what was invalidated before is not in it any more. So the log
 * begins where the process does, and everything that was read is as if it had been computed there.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as CacheError from "../../CacheError.ts"
import { makeMarks } from "../marks.ts"

interface Record {
  readonly tags: ReadonlyArray<string>
  readonly position: number
}

type Change =
  | { readonly _tag: "Record" } & Record
  | { readonly _tag: "Gap"; readonly position: number }
  | { readonly _tag: "Lost"; readonly error: CacheError.CacheError }

export type FileLog = ReturnType<typeof makeFileLog>

/** `now` is the time in milliseconds. */
export const makeFileLog = (now: () => number) => {
  const marks = makeMarks(maxMarks, 1)
  const followers = new Set<(change: Change) => void>()
  let position = now() * 1000
  marks.gap(position)
  // What everyone was told, for those who come later: from `begin` on, nothing is missing.
  let begin = position
  // The newest record of each tag, the oldest first.
  const told = new Map<string, number>()

  const remember = ({ position, tags }: Record) => {
    for (const tag of tags) {
      told.delete(tag)
      told.set(tag, position)
    }
    if (tags.length > 0 && told.size <= maxMarks) return
    // Whatever is older is not valid for them.
    begin = position
    told.clear()
  }

  const tell = (change: Change) => {
    if (change._tag === "Record") remember(change)
    for (const follower of followers) follower(change)
  }

  return {
    /** Where the log stands. */
    position: () => position,
    /** The next record. From here on nothing older that carries its tags is valid. */
    record: (tags: ReadonlyArray<string>): Record => {
      position = Math.max(position + 1, now() * 1000)
      const record = { tags: Array.from(tags), position }
      marks.apply(record)
      return record
    },
    /** Whether nothing was invalidated since that an entry depends on. */
    isValid: ({ position, tags }: Record): boolean => marks.isValid({ tags, position, revision: -1 }),
    tell,
    follow: (follower: (change: Change) => void): Effect.Effect<void, never, Scope.Scope> =>
      Effect.acquireRelease(
        Effect.sync(() => {
          followers.add(follower)
          follower({ _tag: "Gap", position: begin })
          for (const [tag, at] of told) follower({ _tag: "Record", tags: [tag], position: at })
        }),
        () => Effect.sync(() => followers.delete(follower))
      )
  }
}

const maxMarks = 1_000_000
