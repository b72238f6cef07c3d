/**
 * Reads values: what is asked for in one turn goes out in few commands.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as CacheError from "../../CacheError.ts"
import type { Run } from "./commands.ts"

/** What is used of a connection. */
interface Connection {
  getBuffer(key: string): Promise<Buffer | null>
  mgetBuffer(...keys: ReadonlyArray<string>): Promise<ReadonlyArray<Buffer | null>>
}

type Value = Exit.Exit<Uint8Array | null, CacheError.CacheError>

export interface Reads {
  /** Gives the value of a key, `null` where there is none. */
  readonly read: (key: string, done: (value: Value) => void) => void
  /** Sends what was asked for since it was called last. */
  readonly send: () => void
}

/**
 * Many reads in one command take a fraction of what they take in one each, here and on the server. `begin` is called for the
 * first of a turn, and has `send` called at its end.
 */
export const makeReads = (
  context: Context.Context<never>,
  run: Run,
  connection: Connection,
  begin: () => void
): Reads => {
  let keys: Array<string> = []
  let waiting: Array<(value: Value) => void> = []
  // In bytes: a moving average of what was found.
  let usual = 0

  const ask = (keys: ReadonlyArray<string>, waiting: ReadonlyArray<(value: Value) => void>): void => {
    const [key] = keys
    if (keys.length === 1) {
      const asked = Effect.runForkWith(context)(run(() => connection.getBuffer(key!)))
      asked.addObserver((exit) => {
        if (Exit.isSuccess(exit)) note(exit.value)
        waiting[0]!(exit)
      })
      return
    }
    const asked = Effect.runForkWith(context)(run(() => connection.mgetBuffer(...keys)))
    asked.addObserver((exit) => {
      if (Exit.isSuccess(exit)) exit.value.forEach(note)
      each(waiting, (index) => Exit.isSuccess(exit) ? Exit.succeed(exit.value[index]!) : Exit.failCause(exit.cause))
    })
  }

  const note = (value: Uint8Array | null): void => {
    if (value !== null) usual += (value.length - usual) / 8
  }

  return {
    read: (key, done) => {
      if (keys.length === 0) begin()
      keys.push(key)
      waiting.push(done)
    },
    send: () => {
      if (keys.length === 0) return
      const all = keys
      const everyone = waiting
      keys = []
      waiting = []
      // An answer is there as a whole, or not at all: a large one would keep the first ones waiting for the last.
      const together = Math.max(1, Math.min(most, Math.floor(largeAnswer / usual)))
      for (let at = 0; at < all.length; at += together) {
        ask(all.slice(at, at + together), everyone.slice(at, at + together))
      }
    }
  }
}

// What throws is an observer of a fiber that waited: the others are answered all the same.
const each = (waiting: ReadonlyArray<(value: Value) => void>, valueOf: (index: number) => Value): void => {
  let failed: { readonly thrown: unknown } | undefined
  for (let index = 0; index < waiting.length; index++) {
    try {
      waiting[index]!(valueOf(index))
    } catch (thrown) {
      failed ??= { thrown }
    }
  }
  if (failed !== undefined) throw failed.thrown
}

const most = 16

// In bytes: what a socket gives at once.
const largeAnswer = 64 * 1024
