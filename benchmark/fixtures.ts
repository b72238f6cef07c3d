/**
 * What the sections have in common: a result of about 1 KB, and loops that run inside one fiber.
 */
import { Effect, Exit, Schema } from "effect"

/** How long a section may take. */
export interface Settings {
  /** Seconds, with fewer and shorter samples. */
  readonly quick: boolean
  /** Only to show that everything works, on as little as will do. Such a run is quick as well. */
  readonly smoke: boolean
}

/** An article: about 1 KB of JSON. */
export const Article = Schema.Struct({
  id: Schema.Number,
  title: Schema.String,
  author: Schema.Struct({ id: Schema.Number, name: Schema.String }),
  keywords: Schema.Array(Schema.String),
  ratings: Schema.Array(Schema.Number),
  published: Schema.Boolean,
  text: Schema.String
})
export type Article = typeof Article.Type

const sentence = "A cache forgets what it should forget, at the moment it should forget it, and not before. "

export const article = (id: number): Article => ({
  id,
  title: `The article of number ${id}`,
  author: { id: id * 7, name: "Ada Lovelace" },
  keywords: ["cache", "effect", "invalidation", "single flight", "tags"],
  ratings: [4, 5, 5, 3, 4, 5, 2, 5],
  published: true,
  text: sentence.repeat(8)
})

/** The three tags of an article. */
export const articleTags = (id: number | string): ReadonlyArray<string> => [`article:${id}`, "articles", `author:${id}`]

/** Nanoseconds per operation of a loop in the running fiber. What an operation fails with is a defect of the benchmark. */
export const loop = <R>(
  count: number,
  operation: (index: number) => Effect.Effect<unknown, unknown, R>
): Effect.Effect<number, unknown, R> =>
  Effect.gen(function*() {
    const start = performance.now()
    for (let index = 0; index < count; index++) yield* operation(index)
    return (performance.now() - start) * 1e6 / count
  })

/** The cheapest operation there is: what the loop itself costs. */
export const nothing: Effect.Effect<void> = Exit.void

/** Fails the benchmark when what it measures is not what it says it measures. */
export const check = (holds: boolean, message: string): void => {
  if (!holds) throw new Error(`the benchmark is broken: ${message}`)
}
