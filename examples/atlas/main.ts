/**
 * The atlas as a server, on http://127.0.0.1:3000 or the port in `PORT`: `npm start`.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Layer } from "effect"
import { CacheLive } from "effect-cached"
import { HttpServer } from "effect/http"
import { createServer } from "node:http"
import { Atlas } from "./Atlas.ts"
import * as Routes from "./routes.ts"

// Where results are kept. No route knows, so another layer of `ResultCache`, chosen by `REDIS_URL`, is a change here only.
const Cache = CacheLive

const Server = NodeHttpServer.layerConfig(createServer, {
  host: Config.succeed("127.0.0.1"),
  port: Config.Port("PORT").pipe(Config.withDefault(3000))
})

const Welcome = Layer.effectDiscard(HttpServer.addressFormattedWith((address) =>
  Console.log(`
The atlas is on ${address}. Try, and look at Cache-Status:

A miss, and when you repeat it, a hit:
  curl -i "${address}/countries/CH/cities?limit=3"

The change of a city that is on that list:
  curl -i -X PUT "${address}/cities/2661604" -H "Content-Type: application/json" -d "{\\"population\\": 500000}"

A miss again, with the new value:
  curl -i "${address}/countries/CH/cities?limit=3"
`)
))

Welcome.pipe(
  Layer.provide(Routes.layer),
  Layer.provide([Atlas.layer, Cache, Server]),
  Layer.launch,
  NodeRuntime.runMain
)
