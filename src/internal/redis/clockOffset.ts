/**
 * How far the clock of a server is ahead of this process's.
 */

export interface ClockOffset {
  /** Server time minus own time, in milliseconds, zero until something was learned. */
  readonly current: () => number
  /** Learns from an answer: own time when it was asked for, the server's in it, and own time when it came. */
  readonly learn: (asked: number, server: number, answered: number) => void
}

/**
 * An answer says that the offset lies between two bounds, and no more. The one that is known stays while it is between them,
 * so that it does not move with each answer; else it becomes the nearest that is.
 */
export const makeClockOffset = (): ClockOffset => {
  let offset = 0
  return {
    current: () => offset,
    learn: (asked, server, answered) => {
      const least = server - answered
      const most = server - asked
      // Own time was set back in between: nothing can be said.
      if (!(least <= most)) return
      offset = Math.min(Math.max(offset, least), most)
    }
  }
}
