/**
 * A server of the log whose every answer a test gives by hand.
 */
import { Deferred, Effect, Queue } from "effect"
import { CacheError } from "effect-cached"
import type { Answer, Found, LinkedRecord, Question, Remote } from "../../../src/internal/linkedLog/remote.ts"

/** Something that was asked, and waits for its answer. */
export interface Asked<A> {
  readonly reply: (answer: A) => Effect.Effect<void>
  readonly fail: (message: string) => Effect.Effect<void>
}

export interface Scripted {
  readonly remote: Remote
  /** The next question, once it is asked. */
  readonly question: Effect.Effect<Asked<Answer> & { readonly question: Question }>
  /** The next wait, once it is there. */
  readonly wait: Effect.Effect<Asked<ReadonlyArray<Found>> & { readonly after: string }>
  /** How many questions were asked. */
  readonly asked: () => number
}

export const down = (message: string) =>
  new CacheError.CacheError({ reason: new CacheError.LogError({ message, cause: undefined }) })

export const makeScripted = Effect.gen(function*(): Effect.fn.Return<Scripted> {
  const questions = yield* Queue.unbounded<Asked<Answer> & { readonly question: Question }>()
  const waits = yield* Queue.unbounded<Asked<ReadonlyArray<Found>> & { readonly after: string }>()
  let count = 0
  const pending = <A>(offer: (asked: Asked<A>) => Effect.Effect<unknown>) =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<A, CacheError.CacheError>()
      yield* offer({
        reply: (value) => Effect.asVoid(Deferred.succeed(answer, value)),
        fail: (message) => Effect.asVoid(Deferred.fail(answer, down(message)))
      })
      return yield* Deferred.await(answer)
    })
  return {
    remote: {
      ask: (question) =>
        Effect.suspend(() => {
          count++
          return pending<Answer>((asked) => Queue.offer(questions, { ...asked, question }))
        }),
      wait: (after) => pending<ReadonlyArray<Found>>((asked) => Queue.offer(waits, { ...asked, after }))
    },
    question: Queue.take(questions),
    wait: Queue.take(waits),
    asked: () => count
  }
})

export const record = (position: number, previous: number, ...tags: ReadonlyArray<string>): LinkedRecord => ({
  id: `${position}-0`,
  previous: `${previous}-0`,
  history: "one",
  position,
  tags
})

export const answer = (end: LinkedRecord, records: ReadonlyArray<Found>, rest: Partial<Answer> = {}): Answer => ({
  time: end.position,
  intact: true,
  end: { id: end.id, position: end.position, previous: end.previous, history: end.history },
  appended: undefined,
  records,
  ...rest
})
