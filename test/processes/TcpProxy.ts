/**
 * A TCP proxy on loopback that delays, stalls and cuts what goes through it.
 */
import { Effect, type Scope } from "effect"
import * as net from "node:net"
import { monotonic } from "./Nodes.ts"

export interface TcpProxy {
  readonly port: number
  readonly url: string
  /** Closes every connection, and refuses new ones, until `heal`. */
  readonly cut: Effect.Effect<void>
  /**
   * Holds back what is sent, in both directions or in one, until `heal`: then all of it arrives. Connections stay open, also
   * those whose other end is gone.
   */
  readonly stall: (direction?: Direction) => Effect.Effect<void>
  /** Of what is held back, lets that arrive which was sent before a moment of `monotonic`. */
  readonly release: (before: number) => Effect.Effect<void>
  /** From now on all that is sent arrives so many milliseconds later. */
  readonly delay: (millis: number) => Effect.Effect<void>
  /** Lets everything through again, at once. */
  readonly heal: Effect.Effect<void>
  /** New connections go to this port. Those that are open are closed. */
  readonly to: (port: number) => Effect.Effect<void>
}

export type Direction = "requests" | "replies"

/** Starts a proxy of a server on loopback. */
export const start = (target: number): Effect.Effect<TcpProxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.promise(() => listen(target)), (proxy) => Effect.promise(proxy.close)),
    (proxy) => ({
      port: proxy.port,
      url: `redis://127.0.0.1:${proxy.port}`,
      cut: Effect.sync(proxy.cut),
      stall: (direction) => Effect.sync(() => proxy.stall(direction)),
      release: (before) => Effect.sync(() => proxy.release(before)),
      delay: (millis) => Effect.sync(() => proxy.delay(millis)),
      heal: Effect.sync(proxy.heal),
      to: (port) => Effect.sync(() => proxy.to(port))
    })
  )

interface Channel {
  readonly push: (step: () => void) => void
  /** Does what may be done by now. */
  readonly pump: () => void
  /** Does what was put there before a moment. */
  readonly release: (before: number) => void
  readonly close: () => void
}

const listen = async (initially: number) => {
  let target = initially
  let isCut = false
  let millis = 0
  const stalled = new Set<Direction>()
  const channels = new Set<Channel>()
  const pairs = new Set<() => void>()

  // One direction of a connection: what is sent arrives in its order.
  const makeChannel = (direction: Direction): Channel => {
    const steps: Array<{ readonly sent: number; readonly due: number; readonly step: () => void }> = []
    let timer: NodeJS.Timeout | undefined
    const pump = () => {
      clearTimeout(timer)
      timer = undefined
      while (steps.length > 0 && !stalled.has(direction)) {
        const wait = millis === 0 ? 0 : steps[0]!.due - monotonic()
        if (wait > 0) {
          timer = setTimeout(pump, wait)
          return
        }
        steps.shift()!.step()
      }
    }
    const channel = {
      push: (step: () => void) => {
        const sent = monotonic()
        steps.push({ sent, due: sent + millis, step })
        if (timer === undefined) pump()
      },
      pump,
      release: (before: number) => {
        while (steps.length > 0 && steps[0]!.sent < before) steps.shift()!.step()
      },
      close: () => {
        clearTimeout(timer)
        steps.length = 0
        channels.delete(channel)
      }
    }
    channels.add(channel)
    return channel
  }

  const server = net.createServer((client) => {
    client.on("error", () => {})
    if (isCut) {
      client.destroy()
      return
    }
    const upstream = net.connect(target, "127.0.0.1")
    upstream.on("error", () => {})
    const requests = makeChannel("requests")
    const replies = makeChannel("replies")
    const end = () => {
      pairs.delete(end)
      requests.close()
      replies.close()
      client.destroy()
      upstream.destroy()
    }
    pairs.add(end)
    client.setNoDelay(true)
    upstream.setNoDelay(true)
    client.on("data", (bytes) => requests.push(() => upstream.write(bytes)))
    upstream.on("data", (bytes) => replies.push(() => client.write(bytes)))
    client.on("close", () => requests.push(end))
    upstream.on("close", () => replies.push(end))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))

  const closeAll = () => {
    for (const end of pairs) end()
  }

  return {
    port: (server.address() as net.AddressInfo).port,
    cut: () => {
      isCut = true
      closeAll()
    },
    stall: (direction?: Direction) => {
      for (const each of direction === undefined ? ["requests", "replies"] as const : [direction]) stalled.add(each)
    },
    release: (before: number) => {
      for (const { release } of channels) release(before)
    },
    delay: (to: number) => {
      millis = to
    },
    heal: () => {
      isCut = false
      millis = 0
      stalled.clear()
      for (const { pump } of channels) pump()
    },
    to: (port: number) => {
      target = port
      closeAll()
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        closeAll()
      })
  }
}
