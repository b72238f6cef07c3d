/**
 * A part of the atlas as an `HttpApi`, for typed clients and with an OpenAPI document. Neither knows that it is cached.
 */
import { Layer } from "effect"
import { tag } from "effect-cached"
import * as HttpApiCached from "effect-cached/HttpApiCached"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Atlas, City, CityNotFound } from "./Atlas.ts"
import { Natural } from "./inputs.ts"

/** What clients are made of: `HttpApiClient.make(Api)`. */
export const Api = HttpApi.make("atlas").add(
  HttpApiGroup.make("cities").add(
    HttpApiEndpoint.get("get", "/api/cities/:id", { params: { id: Natural }, success: City, error: CityNotFound })
  )
)

// The endpoint has said what its input and its results are. What is left is what ends a result.
const Cities = HttpApiCached.group(Api, "cities", (handlers) =>
  handlers.handle(
    "get",
    HttpApiCached.handler(({ params }) => Atlas.use((atlas) => atlas.city(params.id)), {
      deps: ({ params }) => [tag`city:${params.id}`]
    })
  ))

export const layer = HttpApiBuilder.layer(Api, { openapiPath: "/api/openapi.json" }).pipe(Layer.provide(Cities))
