/**
 * The server of `http-cache-tests`: an origin that answers as each test has told it to. It listens as soon as it is imported, and
 * takes its options from the environment, so it gets a process of its own.
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { devNull } from "node:os"
import { fileURLToPath } from "node:url"

/** Starts it on a free port, until the scope closes. Succeeds with its address. */
export const start = Effect.gen(function*() {
  const server = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [fileURLToPath(import.meta.resolve("http-cache-tests/server/server.mjs"))], {
        env: { ...process.env, npm_config_protocol: "http", npm_config_port: "0", npm_config_pidfile: devNull },
        stdio: ["ignore", "pipe", "inherit"]
      })
    ),
    (server) => Effect.sync(() => server.kill("SIGKILL"))
  )
  const port = yield* Effect.callback<string>((resume) => {
    let printed = ""
    server.stdout.setEncoding("utf8").on("data", (text: string) => {
      printed += text
      const port = /^Listening on .*:(\d+)\/$/m.exec(printed)?.[1]
      if (port !== undefined) resume(Effect.succeed(port))
    })
    server.on("exit", (code) => resume(Effect.die(`the origin server ended with ${code}: ${printed}`)))
    server.on("error", (error) => resume(Effect.die(error)))
  })
  return `http://localhost:${port}`
})
