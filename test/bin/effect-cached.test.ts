import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, FileSystem, Layer, Path, Stdio } from "effect"
import * as logger from "../../src/bin/logger.ts"
import { run, runHere, start } from "./command.ts"

const fixtures = "test/bin/fixtures/"

const lines = (...texts: ReadonlyArray<string>) => texts.map((text) => `${text}\n`).join("")

/** A new folder, and the files in it. */
const makeFolder = Effect.fnUntraced(function*(files: Readonly<Record<string, string>> = {}) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* fs.realPath(yield* fs.makeTempDirectoryScoped())
  for (const [name, text] of Object.entries(files)) yield* fs.writeFileString(path.join(folder, name), text)
  return (name: string) => path.join(folder, name)
})

describe("effect-cached precompute", () => {
  it.effect("computes every input and ends with 0 (scenario 67)", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("precompute", `${fixtures}standings.ts`), {
        code: 0,
        stdout: "",
        stderr: lines("standings: 6 computed", "Precomputed 6 inputs in 0 ms")
      })
    }))

  it.effect("goes on after a failure, names function, input and cause, and ends with 1 (scenario 70)", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("precompute", `${fixtures}failing.ts`), {
        code: 1,
        stdout: "",
        stderr: lines(
          "warn: standings({\"continent\":\"AN\"}) failed: NoSuchContinent: {\"continent\":\"AN\"}",
          "warn: standings: 2 computed, 1 failed",
          "warn: 3 inputs in 0 ms, 1 failed: the next run tries it again"
        )
      })
    }))

  it.effect("stops at the first failure with --fail-fast (scenario 70)", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("precompute", `${fixtures}failing.ts`, "--fail-fast"), {
        code: 1,
        stdout: "",
        stderr: lines(
          "warn: standings({\"continent\":\"AN\"}) failed: NoSuchContinent: {\"continent\":\"AN\"}",
          "warn: standings: 1 computed, 1 failed",
          "warn: 2 of 3 inputs in 0 ms, then the first failure stopped the run: the next run goes on from there"
        )
      })
    }))

  it.effect("starts nothing once its time budget is used up, and ends with 1", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("precompute", `${fixtures}standings.ts`, "--time-budget", "0 seconds"), {
        code: 1,
        stdout: "",
        stderr: lines(
          "warn: standings: nothing to do",
          "warn: 0 of 6 inputs in 0 ms, then the time budget was used up: the next run goes on from there"
        )
      })
    }))

  it.effect("takes functions from services, and plans in the place of the functions that they are about", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("precompute", `${fixtures}services.ts`), {
        code: 0,
        stdout: "",
        stderr: lines("pages: 4 computed, 2 excluded", "total: 3 computed", "Precomputed 9 inputs in 0 ms")
      })
    }))

  it.effect("takes a function that is exported twice, and made by its layer too, once", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("precompute", `${fixtures}twice.ts`), {
        code: 0,
        stdout: "",
        stderr: lines("answer: 1 computed", "Precomputed 1 input in 0 ms")
      })
    }))

  it.effect("makes a function that several plans are about once", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("precompute", `${fixtures}plans.ts`), {
        code: 0,
        stdout: "",
        stderr: lines("pages: 2 computed", "pages: 2 computed", "Precomputed 4 inputs in 0 ms")
      })
    }))

  it.effect("runs nothing where one function has no finite domain: it names function and field (scenario 71)", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* runHere("precompute", `${fixtures}infinite.ts`)
      assert.deepStrictEqual([code, stdout], [2, ""])
      assert.match(
        stderr,
        /^error: .*infinite\.ts cannot be precomputed: The domain of "greeting", field "name": String has no finite domain.*\n$/u
      )
    }))

  it.effect("takes the options of the module, and those of the command line before them (scenario 72)", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runHere("precompute", `${fixtures}limited.ts`)
      assert.strictEqual(code, 2)
      assert.match(stderr, /^error: .*limited\.ts cannot be precomputed: The domain of "standings": it has 3 inputs/u)
      assert.deepStrictEqual(yield* runHere("precompute", `${fixtures}limited.ts`, "--max-size", "3"), {
        code: 0,
        stdout: "",
        stderr: lines("standings: 3 computed", "Precomputed 3 inputs in 0 ms")
      })
    }))

  it.effect("warns that nothing lasts where there is no layer", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runHere("precompute", `${fixtures}inMemory.ts`)
      assert.strictEqual(code, 0)
      assert.match(
        stderr,
        /^warn: .*inMemory\.ts exports no "layer": results are kept in memory and are gone at the end\. Export a Layer/u
      )
    }))
})

describe("effect-cached domain", () => {
  it.effect("prints each function with its fields, their values and the number of inputs", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("domain", `${fixtures}services.ts`), {
        code: 0,
        stdout: lines(
          "pages: 6 inputs, before its filter",
          "  kind  2: \"city\", \"river\"",
          "  page  3: 1, 2, 3",
          "total: 3 inputs",
          "  large  3: (absent), false, true"
        ),
        stderr: ""
      })
    }))

  it.effect("shows the first values of a large domain", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("domain", `${fixtures}large.ts`), {
        code: 0,
        stdout: lines(
          "grid: 1,000,000 inputs",
          "  x  1,000: 0, 1, 2, 3, 4, 5, 6, 7, …",
          "  y  1,000: 0, 1, 2, 3, 4, 5, 6, 7, …"
        ),
        stderr: ""
      })
    }))

  it.effect("builds the layer where a schema asks a service of it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("domain", `${fixtures}asking.ts`), {
        code: 0,
        stdout: lines("times: 2 inputs", "  scaled  2: 10, 20"),
        stderr: ""
      })
    }))

  it.effect("needs no layer otherwise", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runHere("domain", `${fixtures}brokenLayer.ts`), {
        code: 0,
        stdout: lines("answer: 1 input"),
        stderr: ""
      })
    }))

  it.effect("ends with 1 where a function has no finite domain, and prints the others", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* runHere("domain", `${fixtures}infinite.ts`)
      assert.deepStrictEqual([code, stdout], [1, "answer: 1 input\n"])
      assert.match(stderr, /^error: The domain of "greeting", field "name": String has no finite domain.*\n$/u)
    }))
})

const refuses = (name: string, args: ReadonlyArray<string>, text: RegExp) =>
  it.effect(`ends with 2 for ${name}`, () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runHere(...args)
      assert.strictEqual(code, 2)
      assert.match(stderr, text)
    }))

describe("effect-cached, where it cannot run,", () => {
  refuses("no such file", ["precompute", "./nope.ts"], /^error: There is no file \/.*\/nope\.ts\n$/u)
  refuses(
    "a number of retries below zero",
    ["precompute", `${fixtures}empty.ts`, "--retries=-1"],
    /Expected a number of retries, 0 or more, found -1/u
  )
  refuses(
    "a folder",
    ["domain", "test/bin"],
    /^error: \/.*\/test\/bin is a folder: give the file in it that exports the functions\n$/u
  )
  refuses(
    "a module without functions",
    ["precompute", `${fixtures}empty.ts`],
    /^error: .*empty\.ts exports no cached function\..* Its other exports: answer\n$/u
  )
  refuses(
    "a layer that is none",
    ["precompute", `${fixtures}notALayer.ts`],
    /^error: The export "layer" of .*notALayer\.ts is not a Layer\n$/u
  )
  refuses(
    "options that are none",
    ["precompute", `${fixtures}notOptions.ts`],
    /^error: The export "options" of .*notOptions\.ts is not an object of options of Precompute\.run\n$/u
  )
  refuses(
    "a layer that fails",
    ["precompute", `${fixtures}brokenLayer.ts`],
    /^error: The export "layer" of .*brokenLayer\.ts cannot be built: DatabaseError: nobody listens on port 5432\n$/u
  )
  refuses(
    "a layer that lacks a service",
    ["precompute", `${fixtures}needsLayer.ts`],
    /^error: The export "layer" of .* cannot be built: "layer" has to provide the service test\/Database, which is not there\n$/u
  )
  refuses(
    "functions whose services are not provided",
    ["precompute", `${fixtures}needsCache.ts`],
    /^error: The functions of .* cannot be made: "layer" has to provide the service effect-cached\/ResultCache, which is not there\n$/u
  )
  refuses(
    "two functions of one name",
    ["precompute", `${fixtures}sameName.ts`],
    /^error: The functions of .*sameName\.ts cannot be made: two of them have the name "f": give one of them another name\n$/u
  )
  refuses(
    "a function of the name that another one of the layer has",
    ["domain", `${fixtures}sameNameOfLayer.ts`],
    /^error: The functions of .* cannot be made: two of them have the name "answer": give one of them another name\n$/u
  )
  refuses(
    "a module that throws, with the place",
    ["precompute", `${fixtures}throws.ts`],
    /^error: .*throws\.ts cannot be loaded: SyntaxError: .*\n +at [^]*throws\.ts:1/u
  )
  refuses(
    "an unusable option",
    ["precompute", `${fixtures}standings.ts`, "--concurrency", "0"],
    /^error: .*standings\.ts cannot be precomputed: Precompute\.concurrency: 0 is not a whole number/u
  )
  refuses("an unknown flag", ["precompute", `${fixtures}standings.ts`, "--parallel"], /flag: --parallel/u)
  refuses("no module", ["precompute"], /Missing required argument: module/u)
  refuses(
    "a time that is none",
    ["precompute", "m.ts", "--time-budget", "soon"],
    /Invalid value for flag --time-budget: "soon"/u
  )
})

it.effect("effect-cached clears the line on a terminal before it logs", () =>
  Effect.gen(function*() {
    const stdio = Stdio.layerTest({ stderrIsTerminal: Effect.succeed(true) })
    const written: Array<unknown> = []
    const console = { ...globalThis.console, error: (text: unknown) => void written.push(text) }
    yield* Effect.logWarning("no route", { to: "AN" }).pipe(
      Effect.andThen(Effect.logInfo("hello")),
      Effect.provide(Layer.provide(logger.layer, stdio)),
      Effect.provideService(Console.Console, console)
    )
    assert.deepStrictEqual(written, ["\r\u001b[Jwarn: no route {\"to\":\"AN\"}", "\r\u001b[Jhello"])
  }))

it.effect("effect-cached prints its help without a command", () =>
  Effect.gen(function*() {
    const { code, stderr, stdout } = yield* runHere()
    assert.deepStrictEqual([code, stderr], [0, ""])
    assert.include(stdout, "effect-cached <subcommand> [flags]")
  }))

// A process of its own takes its time.
it.layer(NodeServices.layer, { timeout: "1 minute" })("effect-cached, as a process,", (it) => {
  const test = (name: string, effect: Effect.Effect<void, unknown, NodeServices.NodeServices>) =>
    it.effect(name, () => effect, 60_000)

  test(
    "ends with 2 for an import that is not there, in one line",
    Effect.gen(function*() {
      const module = (yield* makeFolder({ "m.ts": "export * from \"./not-there.ts\"" }))("m.ts")
      const { code, stderr } = yield* run(["precompute", module])
      assert.strictEqual(code, 2)
      assert.isTrue(stderr.startsWith(`error: ${module} cannot be loaded: Cannot find module '`), stderr)
      assert.strictEqual(stderr.trimEnd().split("\n").length, 1)
    }).pipe(Effect.scoped)
  )

  test(
    "goes on to its end, and to its exit code, where nobody reads what its module writes",
    Effect.gen(function*() {
      const { code, stderr } = yield* run(["precompute", "noisy.ts"], {}, { closed: "stdout" })
      assert.strictEqual(code, 1)
      assert.match(
        stderr,
        /^warn: noisy\(\{"n":4\}\) failed: no four\nwarn: noisy: 3 computed, 1 failed\nwarn: 4 inputs in .*\nthe layer was closed\n$/u
      )
      assert.strictEqual((yield* run(["precompute", "noisy.ts"], {}, { closed: "stderr" })).code, 1)
    })
  )

  test(
    "ends with 130 when it is interrupted, and closes the layer",
    Effect.gen(function*() {
      const { ended, interrupt, says } = yield* start(["precompute", "slow.ts"])
      yield* says("the third has started")
      yield* interrupt
      const { code, stderr } = yield* ended
      assert.strictEqual(code, 130)
      assert.match(
        stderr,
        /^the third has started\nwarn: Precomputing was interrupted.*: the next run goes on from there\nthe layer was closed\n$/u
      )
    }).pipe(Effect.scoped)
  )

  test(
    "tries again what fails, as often as --retries says, and ends whatever its module has left open",
    Effect.gen(function*() {
      assert.strictEqual((yield* run(["precompute", "flaky.ts", "--retries", "2"])).code, 0)
    })
  )

  test(
    "computes only what is not there, and again what another version of the function has computed (scenario 67)",
    Effect.gen(function*() {
      const FILE = (yield* makeFolder())("standings.json")
      assert.include((yield* run(["precompute", "file.ts"], { FILE })).stderr, "standings: 3 computed\n")
      assert.include((yield* run(["precompute", "file.ts"], { FILE })).stderr, "standings: 3 present\n")
      assert.include(
        (yield* run(["precompute", "file.ts"], { FILE, VERSION: "2" })).stderr,
        "standings: 3 computed (3 changed)\n"
      )
    }).pipe(Effect.scoped)
  )

  test(
    "ends with 2 while another process writes to the file, which keeps what was done when it is interrupted (scenario 68)",
    Effect.gen(function*() {
      const FILE = (yield* makeFolder())("standings.json")
      const { ended, interrupt, says } = yield* start(["precompute", "file.ts"], { FILE, WAIT: "EU" })
      yield* says("waiting in EU")

      const other = yield* run(["precompute", "file.ts"], { FILE })
      assert.strictEqual(other.code, 2)
      assert.isTrue(other.stderr.startsWith("error: The export \"layer\" of file.ts cannot be built: "), other.stderr)
      assert.include(other.stderr, FILE)
      assert.strictEqual((yield* run(["domain", "file.ts"], { FILE })).code, 0)

      yield* interrupt
      assert.strictEqual((yield* ended).code, 130)
      const { code, stderr } = yield* run(["precompute", "file.ts"], { FILE })
      assert.strictEqual(code, 0)
      assert.include(stderr, "standings: 1 computed, 2 present\n")
    }).pipe(Effect.scoped)
  )

  test(
    "keeps an edited value, and ends with 1 where --verify finds that it differs (scenario 69)",
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const FILE = (yield* makeFolder())("standings.json")
      yield* run(["precompute", "file.ts"], { FILE })
      yield* fs.writeFileString(FILE, (yield* fs.readFileString(FILE)).replace("Standings of AN", "Penguins"))
      const { code, stderr } = yield* run(["precompute", "file.ts", "--verify", "1"], { FILE })
      assert.strictEqual(code, 1)
      assert.isTrue(
        stderr.startsWith(lines(
          "warn: standings({\"continent\":\"AN\"}) is now \"Standings of AN\"; stored is \"Penguins\"",
          "standings: 3 present, 1 of them different now"
        )),
        stderr
      )
      assert.include(yield* fs.readFileString(FILE), "Penguins")
    }).pipe(Effect.scoped)
  )
})
