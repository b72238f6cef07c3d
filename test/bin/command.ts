/**
 * The command: here, and as a process of its own.
 */
import { NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Queue, Runtime, Stdio } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { format } from "node:util"
import { run as command } from "../../src/bin/command.ts"
import * as logger from "../../src/bin/logger.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const fixtures = fileURLToPath(new URL("fixtures/", import.meta.url))

/** What the command wrote, and its exit code. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command in this process, in the folder of the project. What it loads is loaded once. */
export const runHere = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const written = { stdout: "", stderr: "" }
  const console = {
    ...globalThis.console,
    log: (...parts: ReadonlyArray<unknown>) => void (written.stdout += `${format(...parts)}\n`),
    error: (...parts: ReadonlyArray<unknown>) => void (written.stderr += `${format(...parts)}\n`)
  }
  const stdio = Stdio.layerTest({ args: Effect.succeed(args) })
  const code = yield* command.pipe(
    Effect.provide(Layer.provideMerge(logger.layer, Layer.merge(NodeServices.layer, stdio))),
    Effect.provideService(Console.Console, console),
    Effect.match({ onFailure: Runtime.getErrorExitCode, onSuccess: () => 0 })
  )
  return { code, ...written } satisfies Ended
})

/**
 * Starts the command in the folder of the fixtures. It ends with the scope, if it has not ended before. What is `closed` is
 * read by nobody.
 */
export const start = (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
  { closed }: { readonly closed?: "stdout" | "stderr" } = {}
) =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const lines = yield* Queue.unbounded<string>()
      const child = spawn(
        process.execPath,
        ["--import", `${fixtures}register.ts`, `${root}src/bin/effect-cached.ts`, ...args],
        { cwd: fixtures, env: { ...process.env, NO_COLOR: "1", ...env }, stdio: ["ignore", "pipe", "pipe"] }
      )
      if (closed !== undefined) child[closed].destroy()
      const written = { stdout: "", stderr: "" }
      child.stdout.setEncoding("utf8").on("data", (text: string) => void (written.stdout += text))
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        written.stderr += text
        for (const line of text.split("\n")) Queue.offerUnsafe(lines, line)
      })
      const ended = Effect.callback<Ended>((resume) => {
        const tell = () => resume(Effect.sync(() => ({ code: child.exitCode, ...written })))
        if (child.exitCode === null) child.once("close", tell)
        else tell()
      })
      return {
        ended,
        interrupt: Effect.sync(() => child.kill("SIGINT")),
        kill: Effect.sync(() => child.kill("SIGKILL")),
        /** Waits until stderr has a line with this text. */
        says: (text: string) =>
          Effect.raceFirst(
            Effect.repeat(Queue.take(lines), { until: (line) => line.includes(text) }),
            Effect.flatMap(ended, ({ stderr }) => Effect.die(`It ended without ${text}, but with ${stderr}`))
          )
      }
    }),
    ({ kill }) => kill
  )

/** Runs the command to its end. */
export const run = (...args: Parameters<typeof start>) =>
  Effect.scoped(Effect.flatMap(start(...args), ({ ended }) => ended))
