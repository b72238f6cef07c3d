/**
 * Routes in process: node's request and response objects, but no socket between them and a client.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { CacheLive, type ResultCache } from "effect-cached"
import { HttpClientRequest, HttpEffect, HttpRouter, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import { setImmediate as immediate } from "node:timers/promises"
import { check } from "../fixtures.ts"

/** What a request is sent with, beside its URL. */
export type Headers = Readonly<Record<string, string>>

/** How many requests are under way at once. */
const concurrent = 32

export type Routes = Layer.Layer<
  never,
  unknown,
  | HttpRouter.HttpRouter
  | ResultCache.ResultCache
  | HttpRouter.Request<"Requires", ResultCache.ResultCache>
  | HttpRouter.Request<"Error", unknown>
>

/** `headers` belong to every request, unless it has others. `cache` is under all routes. */
export const local = async (
  routes: Routes,
  headers: Headers,
  cache: Layer.Layer<ResultCache.ResultCache, unknown> = CacheLive
) => {
  const scope = Scope.makeUnsafe()
  const services = await Effect.runPromise(Layer.buildWithScope(cache, scope))
  const router = await Effect.runPromise(
    HttpRouter.toHttpEffect(routes).pipe(Effect.provideContext(Context.add(services, Scope.Scope, scope)))
  )
  const handler = await Effect.runPromise(
    NodeHttpServer.makeHandler(router, { scope }).pipe(Effect.provideContext(services))
  )

  // Nothing is read from it or written to it.
  const socket = new Socket()
  const throughNode = (url: string, own = headers): ServerResponse => {
    const request = new IncomingMessage(socket)
    request.method = "GET"
    request.url = url
    request.httpVersion = "1.1"
    request.httpVersionMajor = 1
    request.httpVersionMinor = 1
    request.headers = own
    const response = new ServerResponse(request)
    handler(request, response)
    return response
  }

  const requestOf = (url: string, own = headers): HttpServerRequest.HttpServerRequest =>
    HttpServerRequest.fromClientRequest(HttpClientRequest.get(url, { headers: own }))
  const contextOf = (request: HttpServerRequest.HttpServerRequest) =>
    Context.add(services, HttpServerRequest.HttpServerRequest, request)

  let last: HttpServerResponse.HttpServerResponse | undefined
  const handled = HttpEffect.toHandled(router, (_, response) => {
    last = response
    return Exit.void
  })

  return {
    /** Through node's objects and the router. The response may be written later. */
    throughNode,
    /** Through the router: what it answers. */
    ask: async (url: string, own?: Headers): Promise<HttpServerResponse.HttpServerResponse> => {
      await Effect.runPromise(Effect.provideContext(handled, contextOf(requestOf(url, own))))
      return last!
    },
    /** The router alone, on a request that costs nothing to make or to read. It has to answer at once. */
    throughRouter: (request: HttpServerRequest.HttpServerRequest): HttpServerResponse.HttpServerResponse => {
      const fiber = Effect.runForkWith(contextOf(request))(handled)
      check(fiber.pollUnsafe()?._tag === "Success", "the router has to answer at once")
      return last!
    },
    requestOf,
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

// Less than the clock, it depends on what else the machine does.
const cpu = (): number => {
  const { system, user } = process.cpuUsage()
  return system + user
}

/** A sample: nanoseconds of CPU time per request. Requests come in groups, and all of a group are answered before the next one. */
export const groups = (count: number, ask: (index: number) => ServerResponse) => async (): Promise<number> => {
  const start = cpu()
  for (let from = 0; from < count; from += concurrent) {
    const length = Math.min(concurrent, count - from)
    // oxlint-disable-next-line no-await-in-loop -- the loop of a server
    await written(Array.from({ length }, (_, index) => ask(from + index)))
  }
  return (cpu() - start) * 1000 / count
}

// A server goes back to its event loop between requests, where what is done with is let go of.
const written = async (responses: ReadonlyArray<ServerResponse>): Promise<void> => {
  do {
    // oxlint-disable-next-line no-await-in-loop -- until all are there
    await immediate()
  } while (responses.some((response) => !response.writableEnded))
}

/** The same for what answers at once. */
export const atOnce = (count: number, ask: (index: number) => void) => async (): Promise<number> => {
  const start = cpu()
  for (let index = 0; index < count; index++) {
    ask(index)
    // oxlint-disable-next-line no-await-in-loop -- the loop of a server
    if (index % concurrent === concurrent - 1) await immediate()
  }
  return (cpu() - start) * 1000 / count
}
