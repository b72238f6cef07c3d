/**
 * Several processes with one cache, and the source of truth that they read.
 */
import { assert } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { Server } from "../redis/RedisServer.ts"
import type { Failure, Read, Settings } from "./messages.ts"
import { type Cache, makeSource, monotonic, type Node, Nodes, type Source } from "./Nodes.ts"
import * as TcpProxy from "./TcpProxy.ts"

export interface World {
  readonly source: Source
  readonly caches: ReadonlyArray<Cache>
  /** Of each process: what it knows of the server goes through it. */
  readonly proxies: ReadonlyArray<TcpProxy.TcpProxy>
  /** Opens the cache in one more process, or once more in the same. */
  readonly open: (
    node: Node,
    settings?: Partial<Settings>
  ) => Effect.Effect<{ readonly cache: Cache; readonly proxy: TcpProxy.TcpProxy }, Failure, Scope.Scope>
  /** Changes an item, and invalidates it on one process, which must succeed. */
  readonly update: (cache: Cache, key: string) => Effect.Effect<{ readonly version: number; readonly ended: number }>
  /** The key of the log. */
  readonly log: Effect.Effect<string>
  /** What `redis-cli` prints for a command whose first argument after its name is the key of the log. */
  readonly onLog: (command: string, ...args: ReadonlyArray<string>) => Effect.Effect<string>
}

let worlds = 0

/** The staleness bound where nothing else is said, in milliseconds. */
export const bound = 500

/**
 * Long limits and a long bound for those tests in which nothing is cut off: on a machine that stands still for a moment they
 * hold all the same.
 */
export const patient: Partial<Settings> = { maxStaleness: 20_000, commandTimeout: 10_000, leaseDuration: 10_000 }

/** Opens one cache in each of so many processes. */
export const makeWorld = Effect.fnUntraced(function*(
  server: Server,
  settings: ReadonlyArray<Partial<Settings>>
): Effect.fn.Return<World, Failure, Nodes | Scope.Scope> {
  const namespace = `world-${process.pid}-${++worlds}`
  const source = makeSource()

  const open = Effect.fnUntraced(function*(node: Node, settings: Partial<Settings> = {}) {
    const proxy = yield* TcpProxy.start(server.port)
    const cache = yield* node.open(source, {
      url: proxy.url,
      namespace,
      maxStaleness: bound,
      commandTimeout: 300,
      leaseDuration: 1000,
      clockAhead: 0,
      timeToLive: 0,
      maxLength: 0,
      ...settings
    })
    return { cache, proxy }
  })

  const nodes = yield* Nodes.use(({ take }) => take(settings.length))
  const opened = yield* Effect.forEach(nodes, (node, n) => open(node, settings[n]), { concurrency: "unbounded" })
  const log = server.until((printed) => printed.includes(namespace), "KEYS", `${namespace}:*:log:*`)
  return {
    source,
    log,
    caches: opened.map(({ cache }) => cache),
    proxies: opened.map(({ proxy }) => proxy),
    open,
    update: Effect.fnUntraced(function*(cache, key) {
      const version = source.write(key)
      const { ended, failure } = yield* cache.invalidate(`item:${key}`)
      assert.strictEqual(failure, undefined)
      return { version, ended }
    }),
    onLog: (command, ...args) => Effect.flatMap(log, (key) => server.cli(command, key, ...args))
  }
})

/** Reads until the read is a hit: none that executes anything. */
export const hit = (source: Source, cache: Cache, key: string): Effect.Effect<Read, Failure> =>
  Effect.gen(function*() {
    const end = monotonic() + 30_000
    for (;;) {
      const before = source.count(key)
      const read = yield* cache.read(key)
      if (source.count(key) === before) return read
      if (monotonic() > end) throw new Error(`${cache.node.name} still computes ${key}`)
    }
  })

/** Reads so often, and asserts that each read has this version. */
export const reads = (cache: Cache, key: string, version: number, times = 5): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    for (let time = 0; time < times; time++) assert.strictEqual((yield* cache.read(key)).version, version)
  })
