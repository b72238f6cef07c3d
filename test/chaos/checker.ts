/**
 * Reads the history of several processes, and finds every read that returned what was older than allowed.
 */
import type { Happened } from "../processes/messages.ts"

/** What happened in one cache of one process, in any order. Times are of one clock. */
export interface History {
  readonly node: string
  readonly happened: ReadonlyArray<Happened>
}

type Read = Happened & { readonly did: "read" }
type Invalidation = Happened & { readonly did: "invalidate" }

/**
 * A read that was not allowed, and the rule that it breaks:
 *
 * - `bound`: it began more than the bound after `invalidation` had succeeded, on whatever process.
 * - `own`: it began after `invalidation` had returned in the same process, where it counts at once, also if it failed.
 * - `strong`: it asked for the newest, and began after `invalidation` had succeeded.
 * - `unwritten`: the version is none that was ever written.
 */
export interface Violation {
  readonly rule: "bound" | "own" | "strong" | "unwritten"
  readonly node: string
  readonly read: Read
  readonly invalidation: Invalidation | undefined
}

export const check = (options: {
  readonly histories: ReadonlyArray<History>
  readonly maxStaleness: number
  /** The newest version that was written of a key. The first is 1. */
  readonly newest: (key: string) => number
}): ReadonlyArray<Violation> => {
  const everywhere = new Map<string, Array<Invalidation>>()
  for (const { happened } of options.histories) {
    for (const item of happened) if (item.did === "invalidate" && item.ok) add(everywhere, item)
  }
  const stairs = stairsOf(everywhere)
  return options.histories.flatMap(({ happened, node }) => {
    const here = new Map<string, Array<Invalidation>>()
    for (const item of happened) if (item.did === "invalidate") add(here, item)
    const own = stairsOf(here)
    return happened.flatMap((read): ReadonlyArray<Violation> => {
      if (read.did !== "read") return []
      const { key, started, strong, version } = read
      const violation = (rule: Violation["rule"], invalidation: Invalidation | undefined) => [
        { rule, node, read, invalidation }
      ]
      if (version < 1 || version > options.newest(key)) return violation("unwritten", undefined)
      const mine = newestBefore(own.get(key), started)
      if (mine !== undefined && mine.version > version) return violation("own", mine)
      const any = newestBefore(stairs.get(key), strong ? started : started - options.maxStaleness)
      if (any !== undefined && any.version > version) return violation(strong ? "strong" : "bound", any)
      return []
    })
  })
}

const add = (to: Map<string, Array<Invalidation>>, item: Invalidation) => {
  const list = to.get(item.key)
  if (list === undefined) to.set(item.key, [item])
  else list.push(item)
}

// Of each key, the invalidations that raised the newest version known to be invalidated, in the order of their ends.
const stairsOf = (byKey: ReadonlyMap<string, ReadonlyArray<Invalidation>>) => {
  const all = new Map<string, ReadonlyArray<Invalidation>>()
  for (const [key, list] of byKey) {
    let newest = 0
    all.set(
      key,
      list.toSorted((a, b) => a.ended - b.ended).filter(({ version }) => {
        const rises = version > newest
        newest = Math.max(newest, version)
        return rises
      })
    )
  }
  return all
}

const newestBefore = (stairs: ReadonlyArray<Invalidation> | undefined, moment: number): Invalidation | undefined => {
  if (stairs === undefined) return undefined
  let low = 0
  let high = stairs.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (stairs[middle]!.ended < moment) low = middle + 1
    else high = middle
  }
  return stairs[low - 1]
}

/** One line for people. */
export const display = ({ invalidation, node, read, rule }: Violation): string =>
  `${rule}: at ${read.started.toFixed(1)} ${node} began to read ${read.key} and got version ${read.version}` + (
    invalidation === undefined
      ? ", which was never written"
      : `, ${(read.started - invalidation.ended).toFixed(1)} ms after version ${invalidation.version} was invalidated`
  )
