/**
 * Redis servers of the tests: real processes on loopback that end with their scope, and with the process of the tests.
 *
 * `RedisServer.layer()` gives the tests of a file one server: use a namespace of its own in each test. A test that breaks
 * its server starts one with `start`.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import * as fs from "node:fs"
import { type Launch, launch, poll, selfSigned, type ServerProcess } from "./serverProcess.ts"

export interface Options {
  /** More arguments of `redis-server`, such as `["--maxmemory", "2mb"]`. */
  readonly args?: ReadonlyArray<string> | undefined
  readonly port?: number | undefined
  readonly password?: string | undefined
  readonly tls?: boolean | undefined
  /** Whether it keeps its data over `restart`: an append-only file that is synced with each write. Default `false`. */
  readonly persistent?: boolean | undefined
}

export interface Server {
  readonly port: number
  readonly url: string
  /** The path of its Unix socket. */
  readonly socket: string
  /** The certificate of a server with TLS. */
  readonly ca: string | undefined
  readonly pid: Effect.Effect<number>
  /** Kills it, and waits for its end. */
  readonly kill9: Effect.Effect<void>
  /** Stops it by `SIGSTOP`: its connections stay open, and nothing answers. */
  readonly stop: Effect.Effect<void>
  /** Lets it go on after `stop`. */
  readonly cont: Effect.Effect<void>
  /** Kills it if it runs, and starts it again with the same port. Without `persistent` it has lost everything. */
  readonly restart: Effect.Effect<void>
  /** What `redis-cli` prints for a command. An error of the server is a defect. */
  readonly cli: (...args: ReadonlyArray<string>) => Effect.Effect<string>
  /** Polls a command until what it prints, be it an error, is as it should be. Dies after 30 seconds, with what was printed last. */
  readonly until: (check: (printed: string) => boolean, ...args: ReadonlyArray<string>) => Effect.Effect<string>
}

export class RedisServer extends Context.Service<RedisServer, Server>()("test/RedisServer") {}

/** One server for as long as the layer lives. */
export const layer = (options?: Options): Layer.Layer<RedisServer> => Layer.effect(RedisServer)(start(options))

/** Starts a server. */
export const start = Effect.fnUntraced(function*(options: Options = {}): Effect.fn.Return<Server, never, Scope.Scope> {
  const certificate = options.tls === true ? yield* Effect.promise(selfSigned) : undefined
  return serverOf(
    yield* launched({
      port: options.port,
      password: options.password,
      args: ({ port }) => [
        ...common,
        ...certificate === undefined ? ["--port", `${port}`] : flags([
          "port 0",
          `tls-port ${port}`,
          "tls-auth-clients no",
          `tls-cert-file ${certificate.cert}`,
          `tls-key-file ${certificate.key}`,
          `tls-ca-cert-file ${certificate.cert}`
        ]),
        ...options.password === undefined ? [] : ["--requirepass", options.password],
        ...options.persistent === true ? ["--appendonly", "yes", "--appendfsync", "always"] : [],
        ...options.args ?? []
      ]
    }),
    options.password,
    certificate && fs.readFileSync(certificate.cert, "utf8")
  )
})

// A replica is served at once, and a long test does not write a snapshot.
const common = ["--save", "", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]

const flags = (lines: ReadonlyArray<string>): ReadonlyArray<string> => lines.flatMap((line) => `--${line}`.split(" "))

const launched = (options: Launch): Effect.Effect<ServerProcess, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.promise(() => launch(options)), (server) => Effect.promise(server.close))

const serverOf = (server: ServerProcess, password?: string, ca?: string): Server => ({
  port: server.port,
  url: `${ca === undefined ? "redis" : "rediss"}://${
    password === undefined ? "" : `:${password}@`
  }127.0.0.1:${server.port}`,
  socket: server.socket,
  ca,
  pid: Effect.sync(server.pid),
  kill9: Effect.promise(server.kill9),
  stop: Effect.promise(server.stop),
  cont: Effect.sync(server.cont),
  restart: Effect.promise(server.restart),
  cli: (...args) => Effect.promise(() => server.cli(...args)),
  until: (check, ...args) => {
    let printed = ""
    const ask = async () => {
      printed = await server.cli(...args).catch(String)
      return check(printed) ? printed : undefined
    }
    return Effect.promise(() =>
      poll(args.join(" "), ask).catch((cause: unknown) => {
        throw new Error(`${args.join(" ")} still prints: ${printed}`, { cause })
      })
    )
  }
})

export interface Replica extends Server {
  /** Makes it a master of its own (`REPLICAOF NO ONE`), with the records that it has. */
  readonly promote: Effect.Effect<void>
}

/** Starts a replica, and waits until it follows its master. */
export const startReplica = Effect.fnUntraced(function*(
  of: Server,
  options: Options = {}
): Effect.fn.Return<Replica, never, Scope.Scope> {
  const replica = yield* start({ ...options, args: ["--replicaof", "127.0.0.1", `${of.port}`, ...options.args ?? []] })
  yield* replica.until((printed) => printed.includes("master_link_status:up"), "INFO", "replication")
  return { ...replica, promote: Effect.asVoid(replica.cli("REPLICAOF", "NO", "ONE")) }
})

export interface Sentinel extends Server {
  /** The name by which it knows the master. */
  readonly name: string
  /** Makes a replica the master, and waits until Sentinel names it. Needs a replica. */
  readonly failover: Effect.Effect<void>
}

/** Starts a Sentinel that alone decides over a master, and waits until it knows so many replicas. */
export const startSentinel = Effect.fnUntraced(function*(
  options: { readonly master: Server; readonly replicas: number }
): Effect.fn.Return<Sentinel, never, Scope.Scope> {
  const name = "primary"
  const sentinel = serverOf(
    yield* launched({
      args: () => ["--sentinel"],
      config: (port) => [
        `port ${port}`,
        `sentinel monitor ${name} 127.0.0.1 ${options.master.port} 1`,
        `sentinel down-after-milliseconds ${name} 1000`,
        `sentinel failover-timeout ${name} 5000`
      ]
    })
  )
  const address = "SENTINEL GET-MASTER-ADDR-BY-NAME".split(" ")
  yield* sentinel.until(
    (printed) => printed.includes(`num-slaves\n${options.replicas}\n`),
    ..."SENTINEL MASTER".split(" "),
    name
  )
  return {
    ...sentinel,
    name,
    failover: Effect.gen(function*() {
      const before = yield* sentinel.cli(...address, name)
      // It refuses until it has heard enough of the replica.
      yield* sentinel.until((printed) => printed === "OK", "SENTINEL", "FAILOVER", name)
      yield* sentinel.until((printed) => printed !== before, ...address, name)
    })
  }
})

export interface Cluster {
  readonly nodes: ReadonlyArray<Server>
}

/** Starts a cluster of so many masters, with the slots divided among them, and waits until each serves. */
export const startCluster = Effect.fnUntraced(function*(
  masters: number = 3,
  args: ReadonlyArray<string> = []
): Effect.fn.Return<Cluster, never, Scope.Scope> {
  const processes = yield* Effect.all(
    Array.from({ length: masters }, () =>
      launched({
        args: ({ bus, port }) => [
          ...common,
          ...flags([
            `port ${port}`,
            `cluster-port ${bus}`,
            "cluster-enabled yes",
            "cluster-config-file nodes.conf",
            // Else a node does not know its own address before another has told it.
            "cluster-announce-ip 127.0.0.1",
            // A new cluster waits so long before it serves.
            "cluster-node-timeout 1000"
          ]),
          ...args
        ]
      })),
    { concurrency: "unbounded" }
  )
  const nodes = processes.map((server) => serverOf(server))
  for (const [index, node] of nodes.entries()) {
    const slot = (part: number) => `${Math.floor((part * 16_384) / masters)}`
    yield* node.cli("CLUSTER", "ADDSLOTSRANGE", slot(index), `${Number(slot(index + 1)) - 1}`)
    yield* node.cli("CLUSTER", "SET-CONFIG-EPOCH", `${index + 1}`)
  }
  for (const node of nodes.slice(1)) {
    const [first] = processes
    yield* node.cli("CLUSTER", "MEET", "127.0.0.1", `${first?.port}`, `${first?.bus}`)
  }
  for (const node of nodes) {
    yield* node.until(
      (printed) => /cluster_state:ok/.test(printed) && printed.includes(`cluster_size:${masters}`),
      "CLUSTER",
      "INFO"
    )
  }
  // A node on a busy machine is not down because it did not answer for a moment.
  for (const node of nodes) yield* node.cli("CONFIG", "SET", "cluster-node-timeout", "15000")
  return { nodes }
})

/** One cluster of three masters for as long as the layer lives. */
export class RedisCluster extends Context.Service<RedisCluster, Cluster>()("test/RedisCluster") {}

/** One cluster of three masters for as long as the layer lives. */
export const layerCluster: Layer.Layer<RedisCluster> = Layer.effect(RedisCluster)(startCluster())
