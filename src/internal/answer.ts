/**
 * What a lookup ends with.
 */
import * as Exit from "effect/Exit"
import type { CurrentFlight, Landing } from "./flight.ts"
import type { Answer } from "./lookup.ts"

/** The answer that a landing is. The computation that asked is made of it. */
export const answer = (
  how: Answer["how"],
  landing: Landing,
  current: CurrentFlight["Service"] | undefined
): Answer => {
  if (current !== undefined && current.tracked) {
    const { entry, exit, problem, rejected, started, tags } = landing
    // A value without an entry has no lifetime that could be taken over: what is made of it is not stored either.
    const isLasting = entry !== undefined && rejected !== "opt-out" && rejected !== "policy"
    const expiresAt = isLasting ? entry.expiresAt : exit !== undefined && Exit.isSuccess(exit) ? -Infinity : Infinity
    current.flight.addRead(tags, expiresAt, started, problem)
  }
  const { because, entry, error, exit, rejected, stale, stored } = landing
  return { how, because, stale, exit, entry, rejected, error, stored }
}
