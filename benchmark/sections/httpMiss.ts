/**
 * What a miss adds to a handler: the same result from a handler without a cache, from a cached route, and from a response that
 * is cached whole.
 */
import { Effect, Layer, Schema } from "effect"
import { Cached, cached, ResultCache } from "effect-cached"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Article, article, articleTags, check, type Settings } from "../fixtures.ts"
import { groups, local } from "../http/local.ts"
import { beyond, distribution, paired, ratio } from "../paired.ts"
import { cells, type Report, row, time, times } from "../report.ts"

// Full from the beginning on: what is stored takes the place of something else.
const capacity = 500

const sizes = { "1 KB": 1, "8 KB": 9, "64 KB": 70 } as const
type Size = keyof typeof sizes

const kinds = ["handler", "cached route", "whole response"] as const
type Kind = typeof kinds[number]

const Articles = Schema.Struct({ id: Schema.Number, articles: Schema.Array(Article) })
const respond = HttpServerResponse.schemaJson(Articles)

const executions = { handler: 0, "cached route": 0, "whole response": 0 }

// Numbers of one length, so that no body is longer than another.
const first = 1_000_000

const pathOf = (kind: Kind, size: Size): `/${string}` => `/${kinds.indexOf(kind)}/${sizes[size]}`

const routesOf = (size: Size) => {
  const articles = Array.from({ length: sizes[size] }, (_, index) => article(index))
  const compute = (kind: Kind, id: number) => Effect.sync(() => (executions[kind]++, { id, articles }))
  const handler = (kind: Kind) =>
    Effect.flatMap(HttpRouter.params, ({ id }) => Effect.flatMap(compute(kind, Number(id)), (value) => respond(value)))
  return Layer.mergeAll(
    HttpRouter.add("GET", `${pathOf("handler", size)}/:id`, handler("handler")),
    Cached.route("GET", `${pathOf("cached route", size)}/:id`, {
      input: { id: Schema.NumberFromString },
      success: Articles,
      deps: ({ id }) => articleTags(id)
    }, ({ id }) => compute("cached route", id)),
    HttpRouter.add(
      "GET",
      `${pathOf("whole response", size)}/:id`,
      cached(handler("whole response"), { deps: ({ id }) => articleTags(id!) })
    )
  )
}

const names = Object.keys(sizes) as ReadonlyArray<Size>

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const here = await local(
    Layer.mergeAll(...names.map(routesOf) as [ReturnType<typeof routesOf>]),
    { host: "127.0.0.1:3000", accept: "application/json" },
    ResultCache.layerMemory({ maxEntries: capacity, maxBytes: 2 ** 28 })
  )
  const next = { handler: first, "cached route": first, "whole response": first }
  const urlOf = (kind: Kind, size: Size) => `${pathOf(kind, size)}/${next[kind]++}`

  const bodies: Partial<Record<Size, string | undefined>> = {}
  for (const size of names) {
    for (const kind of kinds) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { headers, status } = await here.ask(urlOf(kind, size))
      const expected = kind === "handler" ? undefined : "effect-cached; fwd=miss; stored"
      check(
        status === 200 && headers["cache-status"] === expected,
        `${kind}, ${size} answers ${headers["cache-status"]}`
      )
      check(
        (bodies[size] ??= headers["content-length"]) === headers["content-length"],
        `${kind}, ${size} has another body`
      )
    }
  }

  const counts = smoke
    ? { "1 KB": 32, "8 KB": 32, "64 KB": 32 }
    : quick
    ? { "1 KB": 256, "8 KB": 128, "64 KB": 32 }
    : { "1 KB": 1024, "8 KB": 512, "64 KB": 128 }
  const tables: Array<Report["tables"][number]> = []
  for (const size of names) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that the cache holds bodies of one size
    const samples = await paired(
      Object.fromEntries(
        kinds.map((kind) => [kind, groups(counts[size], () => here.throughNode(urlOf(kind, size)))])
      ),
      { rounds: quick ? 40 : 80, warmups: 6, millis: quick ? 1500 : 4000 }
    )
    tables.push({
      title: `${size}: ${bodies[size]} bytes of JSON, in a full cache of ${capacity} entries`,
      columns: ["answered by", "median", "quartiles", "of the handler's", "quartiles", "added", "quartiles"],
      rows: kinds.map((kind) =>
        row(
          kind,
          cells(distribution(samples[kind]!), time),
          cells(ratio(samples, kind, "handler"), times),
          kind === "handler" ? ["", ""] : cells(beyond(samples, kind, "handler"), time)
        )
      )
    })
  }
  for (const kind of kinds) {
    check(executions[kind] === next[kind] - first, `${kind}: every request has to be computed`)
  }
  await here.close()
  return {
    tables,
    goals: [],
    notes: ["All three make the same value and encode it by its schema. The handler only writes it."]
  }
}
