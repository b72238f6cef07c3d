/**
 * Runs the command with the services of node.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import { run } from "./command.ts"
import * as logger from "./logger.ts"

// What a module left open, a connection perhaps, does not keep the command from ending: but all is written before.
const teardown: Runtime.Teardown = (exit, onExit) =>
  Runtime.defaultTeardown(exit, (code) => {
    process.exitCode = code
    process.stdout.write("", () => code === 0 ? process.exit() : onExit(code))
  })

// Whoever reads what is written may have had enough of it. What is done goes on to its end, and so does its exit code.
for (const output of [process.stdout, process.stderr]) {
  output.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error
  })
}

run.pipe(
  Effect.provide(Layer.provideMerge(logger.layer, NodeServices.layer)),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
