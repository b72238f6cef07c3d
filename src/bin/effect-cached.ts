#!/usr/bin/env node
/**
 * The command `effect-cached`. What it is made of is loaded here, so that it can be said what is missing.
 */
try {
  await import("./main.ts")
} catch (cause) {
  if (!(cause instanceof Error) || !("code" in cause) || cause.code !== "ERR_MODULE_NOT_FOUND") throw cause
  process.stderr.write(
    `effect-cached: the command needs packages beside effect-cached: npm install effect @effect/platform-node\n(${cause.message})\n`
  )
  process.exitCode = 2
}
