/**
 * The atlas as a server, on http://127.0.0.1:3000 or the port in `PORT`: `npm start`.
 *
 * Several of them share their results through the Redis at `REDIS_URL`, and their cities in the file `DATABASE`:
 * `cluster.ts` starts four.
 */
import { NodeHttpServer, NodeRuntime, NodeServices } from "@effect/platform-node"
import { Config, Console, Layer } from "effect"
import { Precompute } from "effect-cached"
import { HttpServer } from "effect/http"
import { createServer } from "node:http"
import { Atlas } from "./Atlas.ts"
import { caches, populationReports, rankings, standings } from "./precompute.ts"
import * as Routes from "./routes.ts"

// Before the server listens, every report is there. With the file as it is committed, nothing has to be computed; with
// Redis, those who start together share the work.
const Reports = Precompute.layer([standings, rankings, populationReports])

const Server = NodeHttpServer.layerConfig(createServer, {
  host: Config.succeed("127.0.0.1"),
  // Zero stands for any that is free.
  port: Config.Int("PORT").pipe(Config.withDefault(3000))
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

A hit from the start, computed ahead of time:
  curl -i "${address}/rankings/SA/population?limit=3"

Day or night in Basel, kept until the sun rises or sets:
  curl -i "${address}/cities/2661604/sun"

A page in the language that is asked for, with its tags for a CDN:
  curl -i "${address}/" -H "Accept-Language: de"

That there is no such country, remembered for a minute:
  curl -i "${address}/countries/ZZ"

An endpoint of an HttpApi:
  curl -i "${address}/api/cities/2661604"
`)
))

Welcome.pipe(
  Layer.provide(Routes.layer),
  Layer.provide(Server),
  Layer.provide(Reports),
  // No route knows where results are kept: in a file, or in the Redis at `REDIS_URL`.
  Layer.provide(caches),
  Layer.provide([Atlas.layerConfig, NodeServices.layer]),
  Layer.launch,
  NodeRuntime.runMain
)
