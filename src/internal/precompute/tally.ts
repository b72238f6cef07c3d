/**
 * Counting what a run does.
 */
import type * as CacheEvent from "../../CacheEvent.ts"
import type { Counts } from "./progress.ts"

/** What an input can be counted as: once, as one of these. */
export type Kind = "computed" | "present" | "failed" | "excluded"

export class Tally {
  readonly total: number
  computed = 0
  present = 0
  failed = 0
  excluded = 0
  different = 0
  outside = 0
  readonly because: Record<CacheEvent.Because, number> = {
    missing: 0,
    changed: 0,
    invalidated: 0,
    expired: 0,
    malformed: 0,
    asked: 0,
    early: 0
  }

  private started: number | undefined = undefined
  private last = 0
  // Two moments of late, the second later: the rate is taken since the first, so it is that of the last 5 to 10 seconds, or
  // of the last input where inputs take longer.
  private before = { at: 0, handled: 0 }
  private since = this.before

  constructor(total: number) {
    this.total = total
  }

  start(now: number): void {
    if (this.started !== undefined) return
    this.started = now
    this.last = now
    this.before = { at: now, handled: 0 }
    this.since = this.before
  }

  count(kind: Kind, now: number): void {
    this[kind]++
    this.last = now
    if (now - this.since.at < window) return
    this.before = this.since
    this.since = { at: now, handled: this.handled }
  }

  /** The counts while it goes on. */
  counts(now: number): Counts {
    const { at, handled } = this.before
    return this.snapshot(now, perSecond(this.handled - handled, now - at))
  }

  /** The counts when it is over. */
  summary(now: number = this.last): Counts {
    return this.snapshot(now, perSecond(this.handled, now - (this.started ?? now)))
  }

  private get handled(): number {
    return this.computed + this.present + this.failed
  }

  private snapshot(now: number, rate: number): Counts {
    const { computed, different, excluded, failed, outside, present, total } = this
    const left = total - this.handled - excluded
    const remaining = left === 0 ? 0 : rate === 0 ? undefined : left / rate * 1000
    const elapsed = now - (this.started ?? now)
    return { total, computed, present, failed, excluded, different, outside, elapsed, rate, remaining }
  }
}

const window = 5000

const perSecond = (handled: number, millis: number): number => millis <= 0 ? 0 : handled / millis * 1000
