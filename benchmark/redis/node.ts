/**
 * One of many processes that share a Redis. Its url and the namespace are the arguments.
 */
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { Broadcaster, Cached, invalidate } from "effect-cached"
import { Redis } from "ioredis"
import { setTimeout } from "node:timers/promises"
import { Article, article, articleTags, check } from "../fixtures.ts"
import { sharing } from "./caches.ts"
import { type Asked, computation, type How, now, type Question, type Sent, type Told } from "./messages.ts"

const [url, namespace] = process.argv.slice(2) as [string, string]
const channel = `${namespace} channel`

let told: Record<string, number> = {}
let count = 0
let enough: { readonly count: number; readonly resolve: () => void } | undefined

const hear = (name: string): void => {
  told[name] ??= now()
  count++
  if (enough !== undefined && count >= enough.count) enough.resolve()
}

const Listening = Layer.effectDiscard(Effect.flatMap(Broadcaster.Broadcaster, (log) =>
  log.follow((change) => {
    if (change._tag === "Record" && change.tags.length > 0) hear(change.tags[0]!)
  })))

const runtime = ManagedRuntime.make(Layer.provideMerge(Listening, sharing(url, namespace)))
const publisher = new Redis(url)
const subscriber = new Redis(url)
subscriber.on("message", (_, name) => hear(name))

let executions = 0
const start = async () => {
  await subscriber.subscribe(channel)
  return runtime.runPromise(Cached.make("article", {
    input: { id: Schema.Number },
    success: Article,
    deps: ({ id }) => articleTags(id)
  }, ({ id }) => Effect.delay(Effect.sync(() => (executions++, article(id))), `${computation} millis`)))
}
const started = start()

const until = async (time: number): Promise<void> => {
  const left = time - now()
  if (left > 0) await setTimeout(left / 1000)
}

const ways: { readonly [K in How]: (name: string) => Promise<unknown> } = {
  invalidate: (name) => runtime.runPromise(invalidate(name)),
  publish: (name) => publisher.publish(channel, name)
}

const send = async ({ at, count, every, how, name }: Extract<Question, { readonly _tag: "send" }>): Promise<Sent> => {
  const sent: Record<string, number> = {}
  const acknowledged: Record<string, number> = {}
  const under: Array<Promise<unknown>> = []
  for (let n = 0; n < count; n++) {
    const message = `${name}:${n}`
    // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
    await until(at + n * every * 1000)
    sent[message] = now()
    under.push(
      ways[how](message).then(() => {
        acknowledged[message] = now()
      })
    )
  }
  await Promise.all(under)
  return { sent, acknowledged }
}

const waitFor = async (expected: number): Promise<Told> => {
  if (count < expected) {
    await Promise.race([
      new Promise<void>((resolve) => {
        enough = { count: expected, resolve }
      }),
      setTimeout(10_000)
    ])
    enough = undefined
  }
  check(count === expected, `every message has to come once, and ${count} of ${expected} came`)
  return told
}

const answer = async (question: Question): Promise<Sent | Told | Asked | true> => {
  const articleOf = await started
  switch (question._tag) {
    case "begin":
      told = {}
      count = 0
      return true
    case "send":
      return send(question)
    case "told":
      return waitFor(question.count)
    case "ask": {
      const { at, callers, id } = question
      await until(at)
      const results = await runtime.runPromise(
        Effect.forEach(Array.from({ length: callers }), () => articleOf({ id }), { concurrency: "unbounded" })
      )
      const ended = now()
      check(results.length === callers && results.every((result) => result.id === id), "everyone gets the result")
      return { executions, ended }
    }
  }
}

process.on("message", (question: Question) => {
  void answer(question).then(
    (message) => process.send!(message),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    }
  )
})
process.on("disconnect", () => process.exit())
