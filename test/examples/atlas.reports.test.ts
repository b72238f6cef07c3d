import { NodeHttpServer, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Logger, References, Stream } from "effect"
import { Precompute } from "effect-cached"
import { HttpServer } from "effect/http"
import { createServer } from "node:http"
import { dirname, join } from "node:path"
import { Atlas } from "../../examples/atlas/Atlas.ts"
import { cachesAt, populationReports, rankings, standings } from "../../examples/atlas/precompute.ts"
import * as Routes from "../../examples/atlas/routes.ts"

const functions = [standings, rankings, populationReports] as const
const sample = join(import.meta.dirname, "../../examples/atlas/reports.json")

/** The path of a copy of the committed file, edited. */
const copyOf = Effect.fnUntraced(function*(edit: (text: string) => string = (text) => text) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(sample)
  const path = `${yield* fs.makeTempDirectoryScoped()}/reports.json`
  yield* fs.writeFileString(path, edit(text))
  return path
})

const textOf = (path: string) => FileSystem.FileSystem.use((fs) => fs.readFileString(path))

const entryIn = (text: string, name: string, key: string): any => JSON.parse(text).functions[name][key]

/** Replaces a text within one entry, where it has to be. */
const within = (name: string, key: string, from: string, to: string) => (text: string) => {
  const start = text.indexOf(`\n      "${key}": {`, text.indexOf(`\n    "${name}": {`))
  const at = text.indexOf(from, start)
  assert.isAbove(start, 0)
  assert.isAbove(at, start)
  assert.isBelow(at, text.indexOf("\n      }", start))
  return text.slice(0, at) + to + text.slice(at + from.length)
}

const precompute = (path: string, options?: Precompute.Options) =>
  Precompute.run(functions, options).pipe(Stream.runCollect, Effect.provide(cachesAt(path)))

const summaryOf = (steps: ReadonlyArray<Precompute.Progress>) => {
  const last = steps.at(-1)
  assert(last?._tag === "Finished")
  return last.summary
}

/** The service as `main.ts` starts it, with the file at `path`. */
const serve = (path: string) =>
  Routes.layer.pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
    Layer.provideMerge(Precompute.layer(functions)),
    Layer.provide(cachesAt(path))
  )

interface Init {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

const send = (path: string, init?: Init) =>
  HttpServer.addressFormattedWith((address) =>
    Effect.promise(async () => {
      const response = await fetch(address + path, { ...init, headers: { connection: "close", ...init?.headers } })
      return { cacheStatus: response.headers.get("cache-status"), json: JSON.parse(await response.text()) }
    })
  )

const setPopulation = (id: number, population: number) =>
  send(`/cities/${id}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ population })
  })

const countsOf = Effect.flatMap(Precompute.Warmup, (warmup) => warmup.counts)

const germany = "\"name\": \"Germany\", \"value\": 84995606"
const editGermany = within(
  "standings",
  "continent=EU, measure=population",
  germany,
  "\"name\": \"Germany\", \"value\": 90000000"
)

const Live = Layer.merge(Atlas.layer, NodeServices.layer).pipe(
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "Warn"))
)

it.layer(Live, { excludeTestServices: true, timeout: "30 seconds" })("the reports of the atlas", (it) => {
  describe("the committed file", () => {
    it.effect("is complete: with it a start computes nothing, asks nothing and writes nothing (scenario 67)", () =>
      Effect.gen(function*() {
        const path = yield* copyOf()
        const before = yield* textOf(path)
        const queries = yield* (yield* Atlas).queries
        const { counts } = summaryOf(yield* precompute(path))
        assert.include(counts, { total: 119, present: 119, computed: 0, failed: 0, outside: 0 })
        assert.deepStrictEqual(yield* (yield* Atlas).queries, queries)
        assert.strictEqual(yield* textOf(path), before)
        const fs = yield* FileSystem.FileSystem
        assert.deepStrictEqual(yield* fs.readDirectory(dirname(path)), ["reports.json"])
      }))

    it.effect("holds what the atlas says", () =>
      Effect.gen(function*() {
        const steps = yield* precompute(yield* copyOf(), { verify: 1 })
        assert.deepStrictEqual(steps.filter(({ _tag }) => _tag === "Different" || _tag === "Failed"), [])
        assert.include(summaryOf(steps).counts, { present: 119, different: 0 })
      }))

    it.effect("has as many entries as there are inputs, in order, and is small enough to be read", () =>
      Effect.gen(function*() {
        const text = yield* textOf(sample)
        assert.isBelow(text.length, 200_000)
        const { functions } = JSON.parse(text)
        assert.deepStrictEqual(Object.keys(functions), ["population-report", "rankings", "standings"])
        for (const [name, size] of [["population-report", 56], ["rankings", 42], ["standings", 21]] as const) {
          const keys = Object.keys(functions[name])
          assert.strictEqual(keys.length, size)
          assert.deepStrictEqual(keys, keys.toSorted())
        }
      }))
  })

  it.effect("are served from the file, as hits, before anyone has asked (scenario 67)", () =>
    Effect.gen(function*() {
      const queries = yield* (yield* Atlas).queries
      for (
        const path of [
          "/rankings/EU/population?limit=3",
          "/rankings/EU/population",
          "/reports/population/AS/all/million"
        ]
      ) {
        assert.match((yield* send(path)).cacheStatus!, /^effect-cached; hit/)
      }
      assert.deepStrictEqual(yield* (yield* Atlas).queries, queries)
    }).pipe((effect) => Effect.flatMap(copyOf(), (path) => Effect.provide(effect, serve(path)))))

  it.effect("of other limits are computed when somebody asks, and kept (scenario 71)", () =>
    Effect.gen(function*() {
      const path = yield* copyOf()
      yield* Effect.gen(function*() {
        const { cacheStatus, json } = yield* send("/rankings/EU/population?limit=2")
        assert.match(cacheStatus!, /^effect-cached; fwd=miss/)
        assert.strictEqual(json.length, 2)
      }).pipe(Effect.provide(serve(path)))
      const { counts } = summaryOf(yield* precompute(path))
      assert.include(counts, { present: 119, computed: 0, outside: 1 })
    }))

  it.effect("are the only results in the file", () =>
    Effect.gen(function*() {
      const path = yield* copyOf()
      yield* Effect.gen(function*() {
        const cities = "/countries/LI/cities?limit=1"
        yield* send(cities)
        assert.match((yield* send(cities)).cacheStatus!, /^effect-cached; hit/)
      }).pipe(Effect.provide(serve(path)))
      assert.strictEqual(yield* textOf(path), yield* textOf(sample))
    }))

  it.effect("are the edited ones after a restart, with all that follows from the edit (scenario 69)", () =>
    Effect.gen(function*() {
      const path = yield* copyOf(editGermany)
      yield* Effect.gen(function*() {
        const queries = yield* (yield* Atlas).queries
        // Both limits of the ranking, and the eight shares of the continent. Of these only the reports ask the database.
        assert.include(yield* countsOf, { present: 109, computed: 10, failed: 0 })
        const { cacheStatus, json } = yield* send("/rankings/EU/population?limit=3")
        assert.match(cacheStatus!, /^effect-cached; hit/)
        assert.deepInclude(json[0], { name: "Germany", value: 90_000_000 })
        assert.strictEqual((yield* (yield* Atlas).queries).rankings, queries.rankings)
      }).pipe(Effect.provide(serve(path)))

      // The edit stays, and after one more start nothing is left to compute.
      assert.strictEqual(
        entryIn(yield* textOf(path), "standings", "continent=EU, measure=population").value[0].value,
        90_000_000
      )
      assert.include(summaryOf(yield* precompute(path)).counts, { present: 119, computed: 0 })
    }))

  it.effect("report a bad edit with its place, compute that entry anew and keep the rest (scenario 69)", () =>
    Effect.gen(function*() {
      const path = yield* copyOf(
        within(
          "rankings",
          "continent=EU, limit=\\\"3\\\", measure=population",
          germany,
          "\"name\": 7, \"value\": 84995606"
        )
      )
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => warnings.push(String(message)))
      const steps = yield* precompute(path).pipe(Effect.provide(Logger.layer([logger])))
      assert.include(summaryOf(steps).counts, { present: 118, computed: 1, failed: 0 })
      const warning = warnings.find((text) => text.includes(path) && text.includes("rankings"))
      assert.include(warning, "continent=EU")
      assert.include(warning, "[0][\"name\"]")
      assert.include(yield* textOf(path), germany)
    }))

  it.effect("end with the cities that they count, in the file too, and nothing is kept that the database forgets", () =>
    Effect.gen(function*() {
      const path = yield* copyOf()
      yield* Effect.gen(function*() {
        const before = yield* send("/rankings/OC/largest-city?limit=3")
        assert.deepInclude(before.json[0], { country: "AU" })
        // Apia, the capital of Samoa.
        yield* setPopulation(4035413, 50_000_000)
        const after = yield* send("/rankings/OC/largest-city?limit=3")
        assert.match(after.cacheStatus!, /^effect-cached; fwd=miss/)
        assert.deepInclude(after.json[0], { country: "WS", value: 50_000_000 })
        assert.match((yield* send("/rankings/EU/largest-city?limit=3")).cacheStatus!, /^effect-cached; hit/)
      }).pipe(Effect.provide(serve(path)))

      const text = yield* textOf(path)
      assert.notInclude(text, "50000000")
      assert.notInclude(text, "continent=OC")
      assert.include(text, "continent=EU")
      const before = yield* textOf(sample)
      // Three standings, six rankings and eight reports.
      const { counts } = summaryOf(yield* Effect.provide(precompute(path), Layer.fresh(Atlas.layer)))
      assert.include(counts, { present: 102, computed: 17 })
      assert.deepStrictEqual(valuesIn(yield* textOf(path)), valuesIn(before))
    }).pipe(Effect.provide(Layer.fresh(Atlas.layer))))
})

/** What a file holds, without the times at which it was computed. */
const valuesIn = (text: string): ReadonlyArray<unknown> =>
  Object.entries<any>(JSON.parse(text).functions).flatMap(([name, entries]) =>
    Object.entries<any>(entries).map(([key, { tags, value }]) => [name, key, tags, value])
  )
