/**
 * Processes of `redis-server` on loopback, none of which outlives the process that started it.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as pause } from "node:timers/promises"

export interface Launch {
  /** The arguments of `redis-server`, or the lines of its configuration for a program that rewrites it (Sentinel). */
  readonly args: (ports: { readonly port: number; readonly bus: number }) => ReadonlyArray<string>
  readonly config?: ((port: number) => ReadonlyArray<string>) | undefined
  readonly port?: number | undefined
  readonly password?: string | undefined
}

export interface ServerProcess {
  readonly port: number
  /** The port on which the nodes of a cluster talk to each other. */
  readonly bus: number
  /** The path of its Unix socket. */
  readonly socket: string
  readonly dir: string
  readonly pid: () => number
  readonly kill9: () => Promise<void>
  readonly stop: () => Promise<void>
  readonly cont: () => void
  readonly restart: () => Promise<void>
  /** What `redis-cli` prints. Rejects where the server answers with an error. */
  readonly cli: (...args: ReadonlyArray<string>) => Promise<string>
  /** Kills the process, if it runs, and removes its folder. */
  readonly close: () => Promise<void>
}

// Below the ports from which the system picks for outgoing connections: a client that knocks at the port of a server that is
// down may otherwise be given that very port, and then it is connected with itself.
const lowestPort = 12_000
const highestPort = 32_000

export const launch = async (options: Launch): Promise<ServerProcess> => {
  const dir = fs.mkdtempSync(path.join(folder(), "server-"))
  const socket = path.join(dir, "socket")
  const pidFile = `${dir}.pid`
  let child: ChildProcess | undefined
  let exited: Promise<void> = Promise.resolve()
  let port = 0
  let bus = 0

  const start = async (): Promise<boolean> => {
    fs.rmSync(socket, { force: true })
    const output = fs.openSync(path.join(dir, "log"), "w")
    const shared = ["bind 127.0.0.1", `unixsocket ${socket}`, `dir ${dir}`, "protected-mode no", "daemonize no"]
    let args: Array<string>
    if (options.config === undefined) {
      args = [...shared.flatMap((line) => `--${line}`.split(" ")), ...options.args({ port, bus })]
    } else {
      const file = path.join(dir, "redis.conf")
      // What the program wrote into it stays over a restart.
      if (!fs.existsSync(file)) fs.writeFileSync(file, [...shared, ...options.config(port)].join("\n"))
      args = [file, ...options.args({ port, bus })]
    }
    const started = spawn("redis-server", args, { stdio: ["ignore", output, output], cwd: dir })
    fs.closeSync(output)
    started.unref()
    child = started
    let gone = false
    exited = new Promise((resolve) => {
      const end = () => {
        gone = true
        fs.rmSync(pidFile, { force: true })
        resolve()
      }
      started.once("exit", end)
      started.once("error", end)
    })
    if (started.pid !== undefined) fs.writeFileSync(pidFile, String(started.pid))
    // The port is bound before the socket in the folder is there: who answers here has the port, and is this process.
    return poll("redis-server to answer", async () => gone ? false : await answers(socket) || undefined)
  }

  const gone = async () => {
    child?.ref()
    await exited
    child?.unref()
  }

  await poll("a free port", async () => {
    port = options.port ?? await freePort()
    bus = await freePort()
    if (await start()) return true
    const log = fs.readFileSync(path.join(dir, "log"), "utf8")
    if (options.port !== undefined || !/in use|listening port/i.test(log)) {
      throw new Error(`redis-server did not start: ${log}`)
    }
    fs.rmSync(path.join(dir, "redis.conf"), { force: true })
    return undefined
  })

  const pid = () => child?.pid ?? 0
  const kill9 = async () => {
    child?.kill("SIGKILL")
    await gone()
  }
  return {
    port,
    bus,
    socket,
    dir,
    pid,
    kill9,
    stop: async () => {
      process.kill(pid(), "SIGSTOP")
      await poll(
        "the process to stop",
        async () => /^\d+ \(.*\) T/.test(fs.readFileSync(`/proc/${pid()}/stat`, "utf8")) || undefined
      )
    },
    cont: () => {
      process.kill(pid(), "SIGCONT")
    },
    restart: async () => {
      await kill9()
      if (!await start()) {
        throw new Error(`redis-server did not start again: ${fs.readFileSync(path.join(dir, "log"), "utf8")}`)
      }
    },
    cli: (...args) =>
      new Promise((resolve, reject) => {
        const password = options.password === undefined ? [] : ["--no-auth-warning", "-a", options.password]
        execFile("redis-cli", ["-e", "-s", socket, ...password, ...args], (error, output, problem) => {
          if (error === null) resolve(output.replace(/\n$/, ""))
          else reject(new Error(`redis-cli ${args.join(" ")}: ${problem}${output}`, { cause: error }))
        })
      }),
    close: async () => {
      await kill9()
      fs.rmSync(dir, { recursive: true, force: true })
    }
  }
}

/** Polls until there is an answer. Rejects after 30 seconds. */
export const poll = async <A>(
  what: string,
  ask: () => Promise<A | undefined>,
  until: number = performance.now() + 30_000
): Promise<A> => {
  const answer = await ask()
  if (answer !== undefined) return answer
  if (performance.now() > until) throw new Error(`Waited too long for ${what}`)
  await pause(5)
  return poll(what, ask, until)
}

const freePort = (): Promise<number> =>
  poll("a free port", async () => {
    const port = randomInt(lowestPort, highestPort)
    const isFree = await new Promise<boolean>((resolve) => {
      const server = net.createServer()
      server.once("error", () => resolve(false))
      server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)))
    })
    return isFree ? port : undefined
  })

const answers = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = net.connect(socket)
    const end = (answer: boolean) => {
      connection.destroy()
      resolve(answer)
    }
    connection.once("error", () => end(false))
    connection.once("close", () => end(false))
    connection.once("connect", () => connection.write("PING\r\n"))
    connection.once("data", (bytes) => end(/^(\+PONG|-NOAUTH)/.test(bytes.toString())))
  })

let made: string | undefined

// One folder for each process of tests, and a shell that waits for the end of that process, however it ends: its end closes
// the pipe. Then the shell kills the servers whose ids are in the folder, and removes it.
const folder = (): string => {
  if (made !== undefined) return made
  made = fs.mkdtempSync(path.join(os.tmpdir(), "effect-cached-redis-"))
  const script = `cat > /dev/null; for f in "$0"/*.pid; do [ -f "$f" ] && kill -9 "$(cat "$f")"; done; rm -rf "$0"`
  const guard = spawn("sh", ["-c", script, made], { stdio: ["pipe", "ignore", "ignore"], detached: true })
  guard.unref()
  if (guard.stdin instanceof net.Socket) guard.stdin.unref()
  return made
}

let certificate: { readonly cert: string; readonly key: string } | undefined

/** The files of a certificate for loopback, signed by itself. */
export const selfSigned = async (): Promise<{ readonly cert: string; readonly key: string }> => {
  if (certificate !== undefined) return certificate
  const dir = fs.mkdtempSync(path.join(folder(), "tls-"))
  const files = { cert: path.join(dir, "cert.pem"), key: path.join(dir, "key.pem") }
  const args = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
  const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
  await new Promise<void>((resolve, reject) => {
    execFile("openssl", [...args.split(" "), ...names, "-keyout", files.key, "-out", files.cert], (error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
  certificate = files
  return files
}
