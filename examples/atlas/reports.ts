/**
 * The reports of the atlas: cached functions with few inputs, which can all be computed before anyone asks.
 *
 * Every field of their inputs is finite, but for the limit of `rankings`, which takes any number. `precompute.ts` says which
 * limits are computed; the others are computed when somebody asks, as everywhere.
 */
import { Array, Context, Effect, Layer, Schema } from "effect"
import { Cached, tag } from "effect-cached"
import { Atlas, Band, Census, Continent, Measure, Places, Ranking } from "./Atlas.ts"
import { Limit } from "./inputs.ts"

const makeStandings = Cached.make(
  "standings",
  {
    input: { continent: Continent, measure: Measure },
    success: Schema.Array(Ranking),
    deps: ({ continent }) => [tag`continent:${continent}:cities`]
  },
  Effect.fnUntraced(function*({ continent, measure }) {
    return yield* (yield* Atlas).rankings(continent, measure)
  })
)

/** The whole ranking of a continent: a cached function, which other cached results are made of. */
export class Standings
  extends Context.Service<Standings, Effect.Success<typeof makeStandings>>()("effect-cached/examples/atlas/Standings")
{
  static readonly layer = Layer.effect(Standings, makeStandings)
}

// It says nothing of tags: what it reads ends it.
const makeRankings = Effect.gen(function*() {
  const standings = yield* Standings
  return yield* Cached.make("rankings", {
    input: { continent: Continent, measure: Measure, limit: Limit },
    success: Schema.Array(Ranking)
  }, ({ continent, limit, measure }) => Effect.map(standings({ continent, measure }), Array.take(limit)))
})

/** The first lines of a ranking. */
export class Rankings
  extends Context.Service<Rankings, Effect.Success<typeof makeRankings>>()("effect-cached/examples/atlas/Rankings")
{
  static readonly layer = Layer.effect(Rankings, makeRankings)
}

/** A census, and how much of the whole continent it is. */
export class PopulationReport extends Schema.Class<PopulationReport>("PopulationReport")({
  ...Census.fields,
  /** Percent of the people of all cities of the continent. */
  share: Schema.Finite
}) {}

// What ends the standings, a change of any city of the continent, ends the report.
const makePopulationReports = Effect.gen(function*() {
  const standings = yield* Standings
  return yield* Cached.make(
    "population-report",
    {
      input: { continent: Continent, places: Places, band: Band },
      success: PopulationReport
    },
    Effect.fnUntraced(function*({ band, continent, places }) {
      const lines = yield* standings({ continent, measure: "population" })
      const all = lines.reduce((sum, { value }) => sum + value, 0)
      const { cities, median, people } = yield* (yield* Atlas).census(continent, band, places)
      const share = all === 0 ? 0 : Math.round(people / all * 1000) / 10
      return new PopulationReport({ cities, people, median, share })
    })
  )
})

/** What the cities of one size are to a continent. */
export class PopulationReports extends Context.Service<
  PopulationReports,
  Effect.Success<typeof makePopulationReports>
>()("effect-cached/examples/atlas/PopulationReports") {
  static readonly layer = Layer.effect(PopulationReports, makePopulationReports)
}

/** All reports, on whatever atlas and cache they are given. */
export const layer = Layer.merge(Rankings.layer, PopulationReports.layer).pipe(Layer.provideMerge(Standings.layer))
