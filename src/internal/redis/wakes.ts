/**
 * Who waits for leases, and the connection whose messages wake them.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as CacheError from "../../CacheError.ts"
import type { Driver } from "./driver.ts"
import { type Given, readWake } from "./leaseScripts.ts"

type Subscriber = Pick<Driver, "subscribe" | "on">

/** What somebody who waits is told: how the lease ended, or that messages may be missing. */
export type Signal = Given | "lost"

export interface Wakes {
  /** What is told first about the lease of this token, from now on until the scope closes. */
  readonly listen: (token: string) => Effect.Effect<Deferred.Deferred<Signal>, never, Scope.Scope>
  /** Connects where there is no connection. Where that fails, all who listen are told that messages may be lost. */
  readonly connected: Effect.Effect<void>
}

interface Connection {
  /** Its driver, `undefined` where there is none. */
  readonly opened: Deferred.Deferred<Subscriber | undefined>
  readonly fiber: Fiber.Fiber<void, unknown>
}

/** The connection is made when somebody waits, again when it was lost, and stays until the scope closes. */
export const makeWakes = Effect.fnUntraced(function*({ channel, connect, limit }: {
  readonly channel: string
  readonly connect: Effect.Effect<Subscriber, CacheError.CacheError, Scope.Scope>
  /** The longest that connecting may take, in milliseconds. */
  readonly limit: number
}): Effect.fn.Return<Wakes, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const run = Effect.runForkWith(yield* Effect.context())
  const waiting = new Map<string, Set<Deferred.Deferred<Signal>>>()
  let connection: Connection | undefined

  const tell = (token: string, signal: Signal): void => {
    for (const one of waiting.get(token) ?? []) Deferred.doneUnsafe(one, Effect.succeed(signal))
  }

  const open = (opened: Connection["opened"]) =>
    Effect.scoped(Effect.gen(function*() {
      const driver = yield* connect
      const closed = Deferred.makeUnsafe<void>()
      driver.on("message", (_channel, message: string) => {
        const wake = readWake(message)
        if (wake !== undefined) tell(wake.token, wake.given)
      })
      driver.on("close", () => void Deferred.doneUnsafe(closed, Effect.void))
      Deferred.doneUnsafe(opened, Effect.succeed(driver))
      yield* Deferred.await(closed)
    }))

  // With the services of the layer: it outlives who waits first.
  const start = (): Connection => {
    const opened = Deferred.makeUnsafe<Subscriber | undefined>()
    const started: Connection = { opened, fiber: run(Effect.ignore(open(opened))) }
    connection = started
    started.fiber.addObserver(() => {
      if (connection === started) connection = undefined
      Deferred.doneUnsafe(opened, Effect.undefined)
      for (const token of waiting.keys()) tell(token, "lost")
    })
    Fiber.runIn(started.fiber, scope)
    return started
  }

  return {
    listen: (token) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const signal = Deferred.makeUnsafe<Signal>()
          const others = waiting.get(token)
          if (others === undefined) waiting.set(token, new Set([signal]))
          else others.add(signal)
          return signal
        }),
        (signal) =>
          Effect.sync(() => {
            const all = waiting.get(token)
            if (all?.delete(signal) === true && all.size === 0) waiting.delete(token)
          })
      ),
    connected: Effect.suspend(() => {
      const { fiber, opened } = connection ?? start()
      return Deferred.await(opened).pipe(
        // Also where it is subscribed already: only an answer shows that what looks like a connection is one.
        Effect.flatMap((driver) =>
          driver === undefined ? Effect.void : Effect.tryPromise(() => driver.subscribe(channel))
        ),
        Effect.timeout(limit),
        Effect.catch(() => Fiber.interrupt(fiber))
      )
    })
  }
})
