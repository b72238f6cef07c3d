/**
 * Random requests of several users to routes of every form, one after the other and at once: each is answered exactly
 * what an uncached handler would answer to this very request.
 *
 * Each seed is one run, the same every time. A failure says its seed: put that into `seeds` alone.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scheduler, Schema, Stream } from "effect"
import { Cached, cached, invalidate } from "effect-cached"
import { CacheTest } from "effect-cached/testing"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { makeRandom, type Random } from "./random.ts"

const seeds = Array.from({ length: 14 }, (_, n) => n + 1)
const timeout = 30_000

const users = ["ada", "bob", "cat", "eve", "fay", "sid", "tom", "nobody"]

/** What a client sends, and what it must get. */
interface Asked {
  readonly path: string
  readonly user: string
  readonly theme: string
  readonly q: string | undefined
}

interface Expected {
  readonly status: number
  readonly body: string
  readonly cookie: string | null
}

const ok = (body: string): Expected => ({ status: 200, body, cookie: null })

// What a page says depends on who asks, and so does what it reads to say it.
const page = ({ q = "-", theme, user }: Asked): Expected => {
  switch (user) {
    case "ada":
      return ok(`ada in ${theme}`)
    case "bob":
      return ok(`bob in ${theme} asks ${q}`)
    case "eve":
      return { status: 403, body: "not for eve", cookie: null }
    case "fay":
      return { status: 500, body: "", cookie: null }
    case "sid":
      return { status: 200, body: "hello sid", cookie: "session=sid; Path=/" }
    default:
      return ok(`hello ${user}`)
  }
}

const pageHandler = ({ pause }: Random) =>
  Effect.gen(function*() {
    yield* pause
    const request = yield* HttpServerRequest.HttpServerRequest
    yield* pause
    const user = request.headers["x-user"] ?? "nobody"
    yield* pause
    const theme = user === "ada" || user === "bob" ? request.cookies["theme"] ?? "none" : ""
    yield* pause
    const search = user === "bob" ? yield* HttpServerRequest.ParsedSearchParams : {}
    yield* pause
    const q = search["q"]
    const { body, status } = page({ path: "", user, theme, q: typeof q === "string" ? q : undefined })
    if (user === "fay") return yield* Effect.die(new Error("fay"))
    if (user === "tom") {
      return HttpServerResponse.stream(Stream.encodeText(Stream.make(body.slice(0, 3), body.slice(3))))
    }
    const response = HttpServerResponse.text(body, { status })
    return user === "sid" ? HttpServerResponse.setCookieUnsafe(response, "session", "sid", { path: "/" }) : response
  })

const currentUser = Effect.map(
  HttpServerRequest.HttpServerRequest,
  (request) => request.headers["x-user"] ?? "nobody"
)

const routes: ReadonlyArray<{
  readonly path: string
  readonly answer: (asked: Asked) => Expected
  readonly route: (random: Random, timeToLive: "1 hour" | 0) => Layer.Layer<never, any, any>
}> = [
  {
    path: "/whole/1",
    answer: page,
    route: (random, timeToLive) =>
      HttpRouter.add(
        "GET",
        "/whole/:id",
        cached(pageHandler(random), { varyBy: "nothing", deps: ["pages"], timeToLive })
      )
  },
  {
    path: "/careful/1",
    answer: page,
    route: (random, timeToLive) =>
      HttpRouter.add("GET", "/careful/:id", cached(pageHandler(random), { deps: ["pages"], timeToLive }))
  },
  {
    path: "/varied/1",
    answer: page,
    route: (random, timeToLive) =>
      HttpRouter.add(
        "GET",
        "/varied/:id",
        cached(pageHandler(random), { varyBy: currentUser, deps: ["pages"], timeToLive })
      )
  },
  {
    path: "/value/1",
    answer: ({ q = "-", user }) => ok(JSON.stringify(`1 ${user} ${q}`)),
    route: ({ pause }, timeToLive) =>
      HttpRouter.add(
        "GET",
        "/value/:id",
        cached(
          ({ id, q = "-" }, user) => Effect.as(pause, `${id} ${user} ${q}`),
          {
            input: { id: Schema.String, q: Schema.optional(Schema.String) },
            success: Schema.String,
            varyBy: currentUser,
            deps: () => ["pages"],
            timeToLive
          }
        )
      )
  },
  {
    path: "/function/1",
    answer: ({ q = "-", user }) => ok(JSON.stringify(`1 ${user} ${q}`)),
    route: ({ pause }, timeToLive) =>
      Cached.route(
        "GET",
        "/function/:id",
        {
          input: { id: Schema.String, user: Schema.optional(Schema.String), q: Schema.optional(Schema.String) },
          headers: { user: "x-user" },
          success: Schema.String,
          deps: () => ["pages"],
          timeToLive
        },
        ({ id, q = "-", user = "nobody" }) => Effect.as(pause, `${id} ${user} ${q}`)
      )
  }
]

type Handler = (request: Request, context: Context.Context<never>) => Promise<Response>

const client = Effect.fnUntraced(function*(
  { answer, path }: (typeof routes)[number],
  { below, pause, pick }: Random,
  handler: Handler,
  context: Context.Context<never>,
  count: (cacheStatus: string) => void
) {
  const asked: Asked = { path, user: pick(users), theme: pick(["dark", "light"]), q: pick(["1", "2", undefined]) }
  const query = [
    ...(asked.q === undefined ? [] : [`q=${asked.q}`]),
    ...(below(2) === 0 ? [`unread=${below(100)}`] : [])
  ]
  const headers = {
    cookie: `theme=${asked.theme}`,
    ...(asked.user === "nobody" ? {} : { "x-user": asked.user })
  }
  const send = Effect.promise(async (signal) => {
    const url = `http://localhost${path}${query.length === 0 ? "" : `?${query.join("&")}`}`
    const response = await handler(new Request(url, { headers, signal }), context)
    return { response, body: await response.text() }
  })
  yield* pause
  const hangsUp = below(8) === 0
  const fiber = yield* Effect.forkChild(send, { startImmediately: true })
  if (hangsUp) {
    yield* pause
    yield* Fiber.interrupt(fiber)
  }
  const exit = yield* Fiber.await(fiber)
  if (hangsUp && Exit.isFailure(exit)) return
  const { body, response } = yield* exit
  const cacheStatus = response.headers.get("cache-status") ?? ""
  count(cacheStatus)
  assert.notInclude(cacheStatus, "name-taken", "each route has its name for itself")
  const got: Expected = { status: response.status, body, cookie: response.headers.get("set-cookie") }
  assert.deepStrictEqual(got, answer(asked), `${JSON.stringify(asked)}, ${cacheStatus}`)
})

const run = Effect.fnUntraced(function*(random: Random, maxOps: number, count: (cacheStatus: string) => void) {
  const cache = Layer.succeedContext(yield* Layer.build(Layer.fresh(CacheTest.layer)))
  const timeToLive = random.pick(["1 hour", "1 hour", 0] as const)
  const all = Layer.mergeAll(...routes.map(({ route }) => route(random, timeToLive)) as [Layer.Layer<never, any, any>])
  const web = HttpRouter.toWebHandler(Layer.provideMerge(all, cache), { disableLogger: true })
  yield* Effect.addFinalizer(() => Effect.promise(web.dispose))
  const context = Context.make(Scheduler.MaxOpsBeforeYield, maxOps)
  for (let round = 0; round < 5; round++) {
    const route = random.pick(routes)
    const clients = Array.from({ length: 10 }, () => client(route, random, web.handler as Handler, context, count))
    yield* Effect.all(clients, { concurrency: random.pick([1, 2, "unbounded"]), discard: true })
    if (random.below(3) === 0) yield* Effect.provide(invalidate("pages"), cache)
  }
})

describe("users at random", () => {
  it.effect("each get their own answer", () =>
    Effect.gen(function*() {
      const total = { hit: 0, collapsed: 0, stored: 0 }
      for (const seed of seeds) {
        const random = makeRandom(seed)
        const maxOps = random.pick([5, 11, 2048, 2048])
        yield* run(random, maxOps, (cacheStatus) => {
          for (const what of ["hit", "collapsed", "stored"] as const) if (cacheStatus.includes(what)) total[what]++
        }).pipe(
          Effect.scoped,
          Effect.catchDefect((defect) =>
            Effect.die(new Error(`seed ${seed}, yielding every ${maxOps}: ${String(defect)}`, { cause: defect }))
          )
        )
      }
      // Whoever never shares is never wrong.
      for (const [what, times] of Object.entries(total)) assert.isAbove(times, seeds.length, what)
    }), timeout)
})
