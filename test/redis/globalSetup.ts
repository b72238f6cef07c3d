/**
 * Sees to it that there is a `redis-server`, and starts the one that the examples of the documentation find in `REDIS_URL`.
 */
import { execFileSync } from "node:child_process"
import { launch } from "./serverProcess.ts"

export default async function setup(): Promise<() => Promise<void>> {
  install()
  const server = await launch({ args: ({ port }) => ["--port", String(port), "--save", ""] })
  // Workers are started with the environment of this process.
  process.env["REDIS_URL"] = `redis://127.0.0.1:${server.port}`
  return server.close
}

const install = (): void => {
  const missing = programs.filter(isMissing)
  if (missing.length === 0) return
  const packages = [...new Set(missing.map(([, , name]) => name))]
  const apt = ["-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"]
  // The package starts a server of its own unless it is told not to.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" }
  if (process.getuid?.() === 0 && runs("apt-get", "--version")) {
    // Lists that are not quite up to date do, and what is missing in the end is said below.
    for (const step of [["update"], ["install", ...apt, ...packages]]) {
      try {
        execFileSync("apt-get", step, { stdio: "ignore", env })
      } catch {
        continue
      }
    }
  }
  const still = programs.filter(isMissing).map(([program]) => program)
  if (still.length > 0) {
    throw new Error(
      `The tests need ${
        still.join(" and ")
      } on the PATH: install Redis 7 (Debian: apt-get install redis-server openssl)`
    )
  }
}

// Each program with the Debian package that has it.
const programs = [
  ["redis-server", "--version", "redis-server"],
  ["redis-cli", "--version", "redis-tools"],
  ["openssl", "version", "openssl"]
] as const

const isMissing = ([program, version]: typeof programs[number]): boolean => !runs(program, version)

const runs = (program: string, argument: string): boolean => {
  try {
    execFileSync(program, [argument], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}
