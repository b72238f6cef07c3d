/**
 * The generator of load, in a process of its own.
 */
import { requestText } from "../../http/messages.ts"
import { type Connection, open } from "./connections.ts"
import type { ClosedDone, ClosedLoad, Load, OpenDone, OpenLoad } from "./messages.ts"
import { type Arrival, schedule } from "./schedule.ts"

const requestOf = (method: "GET" | "PUT", path: string): Buffer =>
  Buffer.from(
    requestText(path, {
      host: "127.0.0.1",
      "user-agent": "benchmark",
      accept: "application/json",
      "accept-encoding": "identity",
      ...(method === "PUT" ? { "content-length": "0" } : {})
    }).replace("GET", method)
  )

// Connections that nobody uses, by port.
const idle = new Map<number, Array<Connection>>()

const take = (port: number): Connection => {
  const free = idle.get(port)
  for (let connection = free?.pop(); connection !== undefined; connection = free?.pop()) {
    if (!connection.closed()) return connection
  }
  return open(port)
}

const release = (port: number, connection: Connection): void => {
  const free = idle.get(port)
  if (free === undefined) idle.set(port, [connection])
  else free.push(connection)
}

const runClosed = (load: ClosedLoad): Promise<ClosedDone> =>
  new Promise((resolve, reject) => {
    const requests = load.paths.map((path) => requestOf("GET", path))
    const latencies: Array<number> = []
    const start = performance.now()
    let working = load.connections
    let next = 0
    const turn = (connection: Connection): void => {
      const sent = performance.now()
      connection.send(requests[next++ % requests.length]!, (status) => {
        if (status !== 200) return reject(new Error(`an unexpected response: ${status}`))
        const now = performance.now()
        latencies.push(now - sent)
        if (now - start < load.millis || next < (load.atLeast ?? 0)) return turn(connection)
        release(load.port, connection)
        if (--working > 0) return
        const sorted = latencies.toSorted((a, b) => a - b)
        resolve({
          requests: latencies.length,
          millis: now - start,
          p99: sorted[Math.ceil(sorted.length * 0.99) - 1]!
        })
      })
    }
    for (let index = 0; index < load.connections; index++) turn(take(load.port))
  })

// What each key had to be at least, from then on when a change was acknowledged, by port and path.
const acknowledged = new Map<string, Map<number, number>>()

const version = /^\{"version":(\d+)/

const runOpen = (load: OpenLoad): Promise<OpenDone> =>
  new Promise((resolve) => {
    const { path, port } = load
    const known = acknowledged.get(`${port}/${path}`) ?? new Map<number, number>()
    acknowledged.set(`${port}/${path}`, known)
    const arrivals = schedule(load)
    const requests = arrivals.map(({ change, key }) => requestOf(change ? "PUT" : "GET", `/${path}/${key}`))
    const latencies: Array<number> = []
    const late: Array<number> = []
    const done = { failures: 0, changes: 0, stale: 0 }
    let next = 0
    let underWay = 0

    const send = ({ at, change, key }: Arrival, request: Buffer, now: number): void => {
      underWay++
      late.push(now - at)
      // Taken before the request is sent: what is acknowledged later may be unknown to who answers.
      const least = known.get(key) ?? 0
      const connection = take(port)
      connection.send(request, (status, body) => {
        underWay--
        if (status === undefined) {
          done.failures++
          return
        }
        release(port, connection)
        const found = status === 200 ? version.exec(body.toString("latin1", 0, 30))?.[1] : undefined
        if (change) {
          done.changes++
          if (found === undefined) done.failures++
          else known.set(key, Math.max(known.get(key) ?? 0, Number(found)))
          return
        }
        latencies.push(performance.now() - start - at)
        if (found === undefined) done.failures++
        else if (Number(found) < least) done.stale++
      })
    }

    const start = performance.now() + 5
    const ends = load.millis + 5000
    const turn = (): void => {
      const now = performance.now() - start
      for (; next < arrivals.length && arrivals[next]!.at <= now; next++) send(arrivals[next]!, requests[next]!, now)
      if (next < arrivals.length) {
        // Timers have milliseconds, and may be late by one.
        const wait = arrivals[next]!.at - now
        if (wait > 3) setTimeout(turn, wait - 2)
        else setImmediate(turn)
      } else if (underWay > 0 && now < ends) setTimeout(turn, 2)
      else resolve({ latencies, late, ...done, failures: done.failures + underWay })
    }
    turn()
  })

process.on("disconnect", () => process.exit())
process.on("message", (load: Load) => {
  const done: Promise<ClosedDone | OpenDone> = load.kind === "closed" ? runClosed(load) : runOpen(load)
  done.then((answer) => process.send!(answer), (error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
