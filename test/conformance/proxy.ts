/**
 * The cache that is tested: a proxy handler behind `HttpCached.rfc9111`, as an HTTP server.
 */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer } from "effect"
import { CacheLive, HttpCached } from "effect-cached"
import {
  Headers,
  HttpClient,
  HttpClientRequest,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { createServer } from "node:http"

// What belongs to one connection (RFC 9110, section 7.6.1). `Connection` of a response is left to the cache.
const ofConnection = ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "host"]

/** Sends a request on to the origin. */
const proxy = (origin: string) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const client = yield* HttpClient.HttpClient
    const forwarded = HttpServerRequest.toClientRequest(request).pipe(
      HttpClientRequest.setUrl(origin + request.url),
      (outgoing) => ({ ...outgoing, headers: Headers.removeMany(outgoing.headers, ofConnection) })
    )
    const response = HttpServerResponse.fromClientResponse(yield* client.execute(forwarded))
    return HttpServerResponse.removeHeader(response, "transfer-encoding")
  }).pipe(Effect.provideService(HttpClient.TracerPropagationEnabled, false))

/** Serves it on a free port, until the scope closes. Succeeds with its address. */
export const start = Effect.fnUntraced(function*(origin: string) {
  const cached = HttpCached.rfc9111(proxy(origin)).pipe(
    // A gateway that gets no answer says so (RFC 9110, section 15.6.3).
    Effect.catch(() => Effect.succeed(HttpServerResponse.empty({ status: 502 })))
  )
  const server = HttpRouter.serve(HttpRouter.add("*", "/*", cached), { disableLogger: true, disableListenLog: true })
    .pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, gracefulShutdownTimeout: 0 })),
      Layer.provide(CacheLive),
      // A connection that is used again may be one that the origin closes at that moment.
      Layer.provide(NodeHttpClient.layerNodeHttpOptions({ keepAlive: false }))
    )
  const { address } = Context.get(yield* Layer.build(server), HttpServer.HttpServer)
  return `http://localhost:${(address as { readonly port: number }).port}`
})
