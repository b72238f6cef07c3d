/**
 * What the heap holds of entries, of tags, and of what was invalidated.
 */
import { Effect, ManagedRuntime, Schema } from "effect"
import { Cached, invalidate, ResultCache } from "effect-cached"
import { setImmediate as immediate } from "node:timers/promises"
import { Article, article } from "../../benchmark/fixtures.ts"
import { check, print } from "./subjects.ts"

/** In bytes. */
export interface Memory {
  /** Of an entry with a result of so many bytes as JSON. */
  readonly entry: number
  readonly json: number
  /** Of an entry whose result is a number. */
  readonly small: number
  /** Of a tag that no other entry has, and of one that others have, too. */
  readonly tag: number
  readonly sharedTag: number
  /** Of a tag that was ever invalidated. */
  readonly invalidated: number
}

const held = async (): Promise<number> => {
  // What only a pending callback still holds is let go of first.
  for (let time = 0; time < 3; time++) {
    // oxlint-disable-next-line no-await-in-loop -- one collection after the other
    await immediate()
    globalThis.gc!()
  }
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

const entries = 2000

// What fills the cache stays reachable until the heap was measured.
const bytesOf = async (
  count: number,
  fill: Effect.Effect<unknown, unknown, ResultCache.ResultCache>
): Promise<number> => {
  const runtime = ManagedRuntime.make(ResultCache.layerMemory({ maxEntries: entries, maxBytes: 2 ** 32 }))
  await runtime.runPromise(Effect.void)
  const before = await held()
  const filled = await runtime.runPromise(fill)
  const after = await held()
  check(filled !== undefined, "what was filled is there")
  await runtime.dispose()
  return (after - before) / count
}

const filled = (deps: (id: number) => ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const articleOf = yield* Cached.make("article", {
      input: { id: Schema.Number },
      success: Article,
      deps: ({ id }) => deps(id)
    }, ({ id }) => Effect.sync(() => JSON.parse(JSON.stringify(article(id))) as typeof Article.Type))
    for (let id = 0; id < entries; id++) yield* articleOf({ id })
    return articleOf
  })

const tags = 10
const tagged = (of: (tag: number, id: number) => string) =>
  filled((id) => Array.from({ length: tags }, (_, tag) => of(tag, id)))

const numbers = Effect.gen(function*() {
  const number = { input: { id: Schema.Number }, success: Schema.Number }
  const numberOf = yield* Cached.make("number", number, ({ id }) => Effect.succeed(id))
  for (let id = 0; id < entries; id++) yield* numberOf({ id })
  return numberOf
})

const marks = 10_000
const invalidations = Effect.gen(function*() {
  for (let id = 0; id < marks; id++) yield* invalidate(`article:${id}`)
  return marks
})

// The first one also has what is compiled and made once.
await bytesOf(entries, tagged((tag, id) => `first:${(id + tag) % 100}`))
const untagged = await bytesOf(entries, filled(() => []))
const own = await bytesOf(entries, tagged((tag, id) => `article:${id}:part:${tag}`))
const shared = await bytesOf(entries, tagged((tag, id) => `group:${(id + tag) % 100}`))
print(
  {
    entry: untagged,
    json: JSON.stringify(article(1)).length,
    small: await bytesOf(entries, numbers),
    tag: (own - untagged) / tags,
    sharedTag: (shared - untagged) / tags,
    invalidated: await bytesOf(marks, invalidations)
  } satisfies Memory
)
