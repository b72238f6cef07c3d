/**
 * Four atlases behind one Redis: `npm run start-4`. They listen on the ports 3000 to 3003, or from `PORT` on; with `PORT=0`
 * on any that are free.
 *
 * It uses the Redis at `REDIS_URL`, or starts a `redis-server` of its own. It asks one atlas, changes a city on another, and
 * shows how all of them see the change. Then they serve until Ctrl-C.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Config, Console, Data, Deferred, Effect, FileSystem, Option, Random, Schedule, Stream } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { ChildProcess } from "effect/process"
import { join } from "node:path"

const size = 4

const main = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "atlas-" })
  const redis = yield* Effect.map(Config.option(Config.String("REDIS_URL")), Option.getOrUndefined)
  const url = redis ?? (yield* startRedis(folder))
  yield* Console.log(`Four atlases are starting, with the Redis at ${redis === undefined ? url : "REDIS_URL"}.`)

  const first = yield* Config.Int("PORT").pipe(Config.withDefault(3000))
  const atlases = yield* Effect.forEach(
    Array.from({ length: size }, (_, index) => index + 1),
    (number) => startAtlas(number, first === 0 ? 0 : first + number - 1, url, join(folder, "cities.sqlite")),
    { concurrency: "unbounded" }
  )
  const [one, two, three, four] = atlases as [Atlas, Atlas, Atlas, Atlas]

  yield* Console.log("\nOne computes the largest city of Switzerland, and the other finds that in Redis:\n")
  yield* show(one, largest)
  yield* show(two, largest)

  // Another number in each run, larger than that of any other city there.
  const population = yield* Random.nextIntBetween(500_000, 1_000_000)
  yield* Console.log("The third makes Basel the largest:\n")
  yield* show(three, HttpClientRequest.put("/cities/2661604").pipe(HttpClientRequest.bodyJsonUnsafe({ population })))

  yield* Console.log("All of them see that. Whoever is asked first computes it, for all:\n")
  for (const atlas of [one, two, three, four]) {
    yield* show(atlas, largest, (body) => body.includes(`"population":${population}`))
  }

  yield* Console.log("They go on until you press Ctrl-C.")
  return yield* Effect.raceAllFirst(atlases.map(({ ended }) => ended))
})

const largest = HttpClientRequest.get("/countries/CH/cities?limit=1")

interface Program {
  /** What stood in its line. */
  readonly said: string
  /** Fails when it has ended. */
  readonly ended: Effect.Effect<never, Ended>
}

interface Atlas extends Program {
  readonly name: string
}

const startAtlas = Effect.fnUntraced(function*(number: number, port: number, redis: string, database: string) {
  const name = `atlas ${number}`
  const program = yield* start(
    name,
    /The atlas is on (http:\S+)\. /,
    ChildProcess.make(process.execPath, [...process.execArgv, join(import.meta.dirname, "main.ts")], {
      env: { PORT: String(port), REDIS_URL: redis, DATABASE: database },
      extendEnv: true,
      stderr: "inherit"
    })
  )
  yield* Console.log(`${name} is on ${program.said}`)
  return { ...program, name }
})

// On a socket in the folder, because every port may be someone else's.
const startRedis = Effect.fnUntraced(function*(folder: string) {
  const socket = join(folder, "redis.sock")
  yield* start(
    "redis-server",
    /(ready to accept connections)/i,
    ChildProcess.make("redis-server", ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder], {
      stderr: "inherit"
    })
  ).pipe(Effect.catchTag("PlatformError", () => Effect.fail(new Ended({ message: noServer }))))
  return socket
})

const noServer =
  "redis-server cannot be started: install it (Debian: apt-get install redis-server), or say in REDIS_URL where one is"

class Ended extends Data.TaggedError("Ended")<{ readonly message: string }> {}

// Starts a program, which ends with the scope, and waits for a line that it writes.
const start = Effect.fnUntraced(function*(name: string, expected: RegExp, command: ChildProcess.Command) {
  const child = yield* command
  const line = yield* Deferred.make<string, Ended>()
  const end = yield* Deferred.make<never, Ended>()
  let written = ""
  yield* child.stdout.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.runForEach((text) => {
      written += `\n${text}`
      const said = expected.exec(text)?.[1]
      return said === undefined ? Effect.void : Deferred.succeed(line, said)
    }),
    Effect.ignore,
    Effect.andThen(Effect.suspend(() => Deferred.fail(end, new Ended({ message: `${name} has ended:${written}` })))),
    Effect.forkScoped
  )
  const program: Program = {
    ended: Deferred.await(end),
    said: yield* Effect.raceFirst(Deferred.await(line), Deferred.await(end))
  }
  return program
})

// Sends a request, again until the answer is as it should be, which takes no longer than one message through Redis.
const show = Effect.fnUntraced(function*(
  atlas: Atlas,
  request: HttpClientRequest.HttpClientRequest,
  isExpected: (body: string) => boolean = () => true
) {
  const { body, cacheStatus } = yield* HttpClient.execute(HttpClientRequest.prependUrl(request, atlas.said)).pipe(
    Effect.flatMap((response) =>
      Effect.map(response.text, (body) => ({ body, cacheStatus: response.headers["cache-status"] }))
    ),
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: ({ body }) => isExpected(body) }),
    Effect.timeout("10 seconds")
  )
  yield* Console.log(`${atlas.name}: ${request.method} ${request.url}`)
  if (cacheStatus !== undefined) yield* Console.log(`  Cache-Status: ${cacheStatus}`)
  yield* Console.log(`  ${body}\n`)
})

main.pipe(
  Effect.scoped,
  Effect.provide([NodeServices.layer, FetchHttpClient.layer]),
  NodeRuntime.runMain
)
