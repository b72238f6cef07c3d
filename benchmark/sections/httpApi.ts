/**
 * Endpoints of an `HttpApi` that are hits, against the same endpoint without a cache; and a hit of a shared cache (RFC 9111)
 * against the handler behind it.
 */
import { Effect, Layer, Schema } from "effect"
import { CacheLive, HttpCached } from "effect-cached"
import * as HttpApiCached from "effect-cached/HttpApiCached"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { article, check, type Settings } from "../fixtures.ts"
import { groups, local } from "../http/local.ts"
import { distribution, paired, ratio } from "../paired.ts"
import { cells, type Report, row, time, times } from "../report.ts"

const ids = 20

const Item = Schema.Struct({
  id: Schema.Finite,
  name: Schema.String,
  price: Schema.Finite,
  tags: Schema.Array(Schema.String)
})

const items = Array.from({ length: 20 }, (_, id) => ({
  id,
  name: "an item of the list",
  price: id * 1.5,
  tags: ["a", "b"]
}))

const endpoint = <const Name extends string, const Path extends `/${string}`>(name: Name, path: Path) =>
  HttpApiEndpoint.get(name, path, {
    params: { id: Schema.FiniteFromString },
    query: { page: Schema.optional(Schema.FiniteFromString) },
    success: Schema.Array(Item)
  })

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("items").add(
    endpoint("uncached", "/uncached/:id"),
    endpoint("bare", "/bare/:id"),
    endpoint("handler", "/handler/:id"),
    endpoint("annotation", "/annotation/:id").pipe(HttpApiCached.annotate({}))
  )
)

const executions = { uncached: 0, handler: 0, annotation: 0, origin: 0, shared: 0 }
const count = (name: keyof typeof executions) => () => Effect.sync(() => (executions[name]++, items))

// What `effect` does for any endpoint, whoever answers.
const prebuiltItems = HttpServerResponse.text(JSON.stringify(items), {
  contentType: "application/json",
  headers: {
    etag: `"0123456789abcdef0123456789abcdef"`,
    "cache-control": "no-cache",
    age: "7",
    "cache-status": "effect-cached; hit"
  }
})

const Items = HttpApiCached.group(Api, "items", (handlers) =>
  handlers
    .handle("uncached", count("uncached"))
    .handle("bare", () => Effect.succeed(prebuiltItems))
    .handle("handler", HttpApiCached.handler(count("handler")))
    .handle("annotation", count("annotation")))

const body = JSON.stringify(article(7))
const origin = (name: "origin" | "shared") =>
  Effect.sync(() => {
    executions[name]++
    return HttpServerResponse.text(body, {
      contentType: "application/json",
      headers: { "cache-control": "max-age=3600", vary: "accept-language", etag: `"article-7"` }
    })
  })

// What the handler makes is no work at all: these are the headers of a hit on a response that was made beforehand.
const prebuilt = HttpServerResponse.text(body, {
  contentType: "application/json",
  headers: {
    "cache-control": "max-age=3600",
    vary: "accept-language",
    etag: `"article-7"`,
    date: "Thu, 01 Jan 2026 00:00:00 GMT",
    age: "7",
    "cache-status": "effect-cached; hit; ttl=3593"
  }
})

const routes = Layer.mergeAll(
  HttpApiBuilder.layer(Api).pipe(
    Layer.provide([Items, HttpServer.layerServices]),
    Layer.provide(HttpApiCached.layer)
  ),
  HttpRouter.add("GET", "/prebuilt/:id", prebuilt),
  HttpRouter.add("GET", "/origin/:id", origin("origin")),
  HttpRouter.add("GET", "/shared/:id", HttpCached.rfc9111(origin("shared")))
)

const endpoints = {
  "endpoint without a cache": "uncached",
  "endpoint with a prebuilt response, with the headers of a hit": "bare",
  "hit, cached at its handler": "handler",
  "hit, cached where it is declared": "annotation"
} as const
const shared = {
  "handler without a cache": "origin",
  "prebuilt, with the headers of a hit": "prebuilt",
  "hit of the shared cache": "shared"
} as const
const all = { ...endpoints, ...shared }

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const here = await local(
    routes,
    { host: "127.0.0.1:3000", accept: "application/json", "accept-language": "en" },
    CacheLive
  )
  const names = Object.keys(all) as ReadonlyArray<keyof typeof all>
  const urls = Object.fromEntries(
    names.map((name) => [name, Array.from({ length: ids }, (_, id) => `/${all[name]}/${id}?page=2`)])
  )
  const shapes: Record<string, string> = {}
  for (const name of names) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that each is computed once
    for (const url of urls[name]!) await here.ask(url)
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { headers, status } = await here.ask(urls[name]![7]!)
    const isHit = headers["cache-status"]?.startsWith("effect-cached; hit") === true
    check(status === 200 && isHit === (name.includes("hit")), `${name} answers ${status}, ${headers["cache-status"]}`)
    shapes[name] = `${Object.keys(headers).toSorted().join(" ")}, ${headers["content-length"]} bytes`
  }
  check(
    shapes["hit of the shared cache"] === shapes["prebuilt, with the headers of a hit"],
    `a hit of the shared cache has ${shapes["hit of the shared cache"]}`
  )
  const before = { ...executions }

  const count = smoke ? 64 : quick ? 256 : 2048
  const samples = await paired(
    Object.fromEntries(
      names.map((name) => [name, groups(count, (index) => here.throughNode(urls[name]![index % ids]!))])
    ),
    { rounds: quick ? 60 : 80, warmups: 8, millis: quick ? 3000 : 8000 }
  )
  for (const name of ["handler", "annotation", "shared"] as const) {
    check(executions[name] === before[name] && before[name] === ids, `${name}: nothing but hits may be measured`)
  }
  for (const name of ["uncached", "origin"] as const) {
    check(
      executions[name] >= before[name] + samples["hit of the shared cache"]!.length * count,
      `${name} has to run each time`
    )
  }
  await here.close()

  const table = (title: string, subjects: Readonly<Record<string, string>>) => {
    const [control] = Object.keys(subjects)
    return {
      title,
      columns: ["answered by", "median", "quartiles", "of the first", "quartiles"],
      rows: Object.keys(subjects).map((name) =>
        row(name, cells(distribution(samples[name]!), time), cells(ratio(samples, name, control!), times))
      )
    }
  }
  return {
    tables: [
      table(
        `An endpoint of an HttpApi: ${shapes["endpoint without a cache"]!.split(", ")[1]} of JSON, 20 items`,
        endpoints
      ),
      table("A shared cache (RFC 9111), 1 KB", shared)
    ],
    goals: [],
    notes: [
      "The endpoint decodes each request and encodes each result; a hit does neither. Its computation is free: with a real one the\n" +
      "  ratio is as much smaller as that takes longer. The one that answers with a prebuilt response, with the headers of a hit,\n" +
      "  still decodes its request. The handler behind the shared cache does nothing at all but answer."
    ]
  }
}
