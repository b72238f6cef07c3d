/**
 * What lies between a client and its server, and can be cut, held up, and led elsewhere.
 */
import { Effect, type Scope } from "effect"
import * as net from "node:net"

export interface Proxy {
  readonly port: number
  readonly url: string
  /** Closes all connections, and refuses new ones. */
  readonly cut: Effect.Effect<void>
  /** Takes connections again. */
  readonly restore: Effect.Effect<void>
  /** Lets nothing through any more, and tells nobody. */
  readonly hold: Effect.Effect<void>
  /** Lets through what was held, and what comes. */
  readonly release: Effect.Effect<void>
  /** Leads new connections to another port, and closes those that there are. */
  readonly leadTo: (port: number) => Effect.Effect<void>
}

/** Listens on a port of its own until the scope closes. */
export const makeProxy = Effect.fnUntraced(function*(to: number): Effect.fn.Return<Proxy, never, Scope.Scope> {
  let target = to
  let open = true
  let held = false
  const sockets = new Set<net.Socket>()
  const hold = (socket: net.Socket) => held ? socket.pause() : socket.resume()
  const join = (one: net.Socket, other: net.Socket) => {
    sockets.add(one)
    one.on("data", (data) => other.write(data))
    one.on("error", () => {})
    one.on("close", () => {
      sockets.delete(one)
      other.destroy()
    })
    hold(one)
  }
  const server = net.createServer((client) => {
    if (!open) return void client.destroy()
    const upstream = net.connect(target, "127.0.0.1")
    join(client, upstream)
    join(upstream, client)
  })
  const drop = () => sockets.forEach((socket) => socket.destroy())
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        drop()
      })
  )
  const { port } = server.address() as net.AddressInfo
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    cut: Effect.sync(() => {
      open = false
      drop()
    }),
    restore: Effect.sync(() => {
      open = true
    }),
    hold: Effect.sync(() => {
      held = true
      sockets.forEach(hold)
    }),
    release: Effect.sync(() => {
      held = false
      sockets.forEach(hold)
    }),
    leadTo: (next) =>
      Effect.sync(() => {
        target = next
        drop()
      })
  }
})
