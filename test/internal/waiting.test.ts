import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber } from "effect"
import { CacheEntry } from "effect-cached"
import { Flight, type Landing } from "../../src/internal/flight.ts"
import { landed, settled } from "../../src/internal/landing.ts"
import type { Answer, Lookup } from "../../src/internal/lookup.ts"
import { makeWaiting } from "../../src/internal/waiting.ts"

const entry = (unsaved: boolean): CacheEntry.CacheEntry => {
  const made = new CacheEntry.CacheEntry({
    key: "k",
    fingerprint: "f",
    body: "1",
    head: undefined,
    tags: [],
    position: 1,
    createdAt: 0,
    expiresAt: Infinity
  })
  made.unsaved = unsaved
  return made
}

const request: Lookup = { key: "k", fingerprint: "f", context: Context.empty(), compute: () => Effect.never }

const answerOf = ({ because, entry, error, exit, rejected, stale, stored }: Landing): Answer => ({
  how: "joined",
  because,
  entry,
  error,
  exit,
  rejected,
  stale,
  stored
})

// A flight that runs for ever, and who waits for it.
const open = () => {
  const flight = new Flight({}, "k", 1, 1, undefined)
  flight.fiber = Effect.runFork(Effect.never)
  const waiting = makeWaiting({
    judge: { isValid: () => true },
    now: () => 0,
    retire: () => {}
  })
  const ask = (options?: Partial<Lookup>): Effect.Effect<Answer, unknown> =>
    Effect.callback((resume) =>
      waiting.await(
        flight,
        { request: { ...request, ...options }, fiber: Fiber.getCurrent()!, current: undefined, finish: Effect.succeed },
        (answering) => resume(answering as Effect.Effect<Answer>),
        (landing) => Effect.succeed(answerOf(landing))
      )
    )
  return {
    flight,
    isRunning: () => flight.fiber!.pollUnsafe() === undefined,
    ask: (options?: Partial<Lookup>) => Effect.runFork(ask(options))
  }
}

const entryOf = (fiber: Fiber.Fiber<Answer, unknown>) => {
  const exit = fiber.pollUnsafe()
  return exit?._tag === "Success" ? exit.value.entry : undefined
}

describe("Waiting", () => {
  it("ends for who wants a result stored with what was found stored, whatever becomes of the flight that replaces it", () => {
    const { ask, flight } = open()
    const durable = ask({ durable: true })
    const found = entry(false)
    flight.release(landed(found, 1))
    assert.strictEqual(entryOf(durable), found)
  })

  it("goes on for who wants a result stored that is in memory only, until it is", () => {
    const { ask, flight } = open()
    const durable = ask({ durable: true })
    flight.release(landed(entry(true), 1))
    assert.isUndefined(durable.pollUnsafe())
    flight.fiber!.interruptUnsafe()
    assert.isDefined(durable.pollUnsafe())
  })

  it("goes on for who takes nothing stale, when others are let go with that", () => {
    const { ask, flight } = open()
    const [anyone, fresh, durable] = [ask(), ask({ fresh: true }), ask({ durable: true })]
    const stale = entry(false)
    flight.release(landed(stale, 1, "revalidating"))
    assert.strictEqual(entryOf(anyone), stale)
    assert.deepStrictEqual([fresh.pollUnsafe(), durable.pollUnsafe(), flight.waiters], [undefined, undefined, 2])
    const landing = settled(flight, undefined, { entry: entry(false), stored: true })
    flight.final = landing
    flight.land(landing)
    assert.deepStrictEqual([entryOf(fresh), entryOf(durable), flight.waiters], [landing.entry, landing.entry, 0])
  })

  it("ends a flight when the last one leaves, and not before", () => {
    const { ask, flight, isRunning } = open()
    const [one, other] = [ask(), ask()]
    one.interruptUnsafe()
    assert.deepStrictEqual([flight.waiters, flight.abandoned, isRunning()], [1, false, true])
    other.interruptUnsafe()
    assert.deepStrictEqual([flight.waiters, flight.abandoned, isRunning()], [0, true, false])
  })

  it("resumes nobody who has left while others were let go", () => {
    const { ask, flight } = open()
    const first = ask()
    const second = ask({ fresh: true })
    // Who is resumed first makes the other one leave.
    first.addObserver(() => second.interruptUnsafe())
    flight.release(landed(entry(false), 1))
    assert.deepStrictEqual([second.pollUnsafe()?._tag, flight.waiters], ["Failure", 0])
  })

  it("ends no flight that has landed", () => {
    const { ask, flight, isRunning } = open()
    const [first, second] = [ask(), ask()]
    first.addObserver(() => second.interruptUnsafe())
    flight.land(landed(entry(false), 1))
    assert.deepStrictEqual([second.pollUnsafe()?._tag, isRunning()], ["Failure", true])
  })
})
