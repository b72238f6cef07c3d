/**
 * The server under load, in a process of its own: effect's router, and beside it a bare handler of `node:http`. The argument
 * says which routes.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { CacheLive } from "effect-cached"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as app from "./app.ts"
import * as hits from "./hits.ts"
import type { ServerState } from "./messages.ts"

const bareBody = Buffer.from(app.body(7))
const bare = createServer((_, response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": bareBody.length })
  response.end(bareBody)
})
bare.listen(0, "127.0.0.1")

const routes = process.argv[2] === "hits" ? hits.routes : app.routes
const Main = HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
  Layer.flatMap(() =>
    Layer.effectDiscard(Effect.map(HttpServer.HttpServer, ({ address }) => {
      process.on("message", () => {
        const { system, user } = process.cpuUsage()
        const state: ServerState = {
          port: "port" in address ? address.port : 0,
          barePort: (bare.address() as AddressInfo).port,
          cpu: system + user
        }
        process.send!(state)
      })
    }))
  ),
  Layer.provide(CacheLive),
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

process.on("disconnect", () => process.exit())
Effect.runFork(Layer.launch(Main))
