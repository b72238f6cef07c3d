/**
 * Redis for a section: a process of its own on a free port of loopback, which writes nothing to the disk.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { createInterface } from "node:readline"

export interface RedisServer {
  readonly url: string
  readonly stop: () => Promise<void>
}

export const startRedis = async (): Promise<RedisServer> => {
  const port = await freePort()
  const server = spawn(
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", tmpdir()],
    { stdio: ["ignore", "pipe", "inherit"] }
  )
  const kill = () => server.kill("SIGKILL")
  process.once("exit", kill)
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(new Error("the benchmark needs redis-server on the PATH", { cause })))
    server.once("exit", () => reject(new Error("redis-server ended before it was ready")))
    createInterface(server.stdout).on("line", (line) => {
      if (line.includes("Ready to accept connections")) resolve()
    })
  })
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      process.off("exit", kill)
      if (server.exitCode !== null || server.signalCode !== null) return
      const ended = once(server, "exit")
      kill()
      await ended
    }
  }
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}
