/**
 * A load generator that does as little as it can, so that the server is what limits: raw sockets that are kept open,
 * requests made beforehand, and of the responses only status and length are read.
 */
import { connect, type Socket } from "node:net"
import type { Done, Load } from "./messages.ts"

const endOfHead = Buffer.from("\r\n\r\n")
const contentLength = /\r\ncontent-length: (\d+)\r\n/i

class Client {
  requests = 0
  /** How much of a body is still to come. */
  private left = 0
  /** The beginning of a head whose end is still to come. */
  private rest: Buffer | undefined = undefined
  private next: number
  private readonly all: ReadonlyArray<Buffer>
  private readonly status: Buffer
  private readonly hasBody: boolean
  private readonly socket: Socket
  private stopped = false

  constructor(load: Load, all: ReadonlyArray<Buffer>, offset: number, fail: (error: Error) => void) {
    this.all = all
    this.next = offset
    this.status = Buffer.from(`HTTP/1.1 ${load.status}`)
    this.hasBody = load.status !== 304
    this.socket = connect(load.port, "127.0.0.1")
    this.socket.setNoDelay(true)
    this.socket.on("error", fail)
    this.socket.on("data", (chunk) => {
      try {
        this.receive(chunk)
      } catch (error) {
        fail(error as Error)
      }
    })
    this.socket.on("connect", () => this.send(load.pipelined))
  }

  stop(): void {
    this.stopped = true
    this.socket.destroy()
  }

  private send(count: number): void {
    if (count === 1) {
      this.socket.write(this.all[this.next++ % this.all.length]!)
      return
    }
    this.socket.cork()
    for (let i = 0; i < count; i++) this.socket.write(this.all[this.next++ % this.all.length]!)
    this.socket.uncork()
  }

  private receive(chunk: Buffer): void {
    if (this.stopped) return
    const data = this.rest === undefined ? chunk : Buffer.concat([this.rest, chunk])
    this.rest = undefined
    let at = Math.min(this.left, data.length)
    this.left -= at
    let ended = at > 0 && this.left === 0 ? 1 : 0
    while (at < data.length) {
      const head = data.indexOf(endOfHead, at)
      if (head === -1) {
        this.rest = data.subarray(at)
        break
      }
      if (data.compare(this.status, 0, this.status.length, at, at + this.status.length) !== 0) {
        throw new Error(`an unexpected response: ${data.toString("latin1", at, head)}`)
      }
      const length = this.hasBody ? Number(contentLength.exec(data.toString("latin1", at, head + 2))?.[1]) : 0
      const from = head + endOfHead.length
      const to = Math.min(from + length, data.length)
      this.left = from + length - to
      at = to
      if (this.left === 0) ended++
    }
    if (ended === 0) return
    this.requests += ended
    this.send(ended)
  }
}

const run = (load: Load): Promise<Done> =>
  new Promise((resolve, reject) => {
    const all = load.requests.map((request) => Buffer.from(request))
    const clients = Array.from(
      { length: load.connections },
      (_, index) => new Client(load, all, index, reject)
    )
    const count = () => clients.reduce((sum, client) => sum + client.requests, 0)
    // The first moments belong to opening the connections.
    setTimeout(() => {
      const before = count()
      const start = performance.now()
      setTimeout(() => {
        const requests = count() - before
        const millis = performance.now() - start
        for (const client of clients) client.stop()
        resolve({ requests, millis, allRequests: before + requests })
      }, load.millis)
    }, 40)
  })

process.on("disconnect", () => process.exit())
process.on("message", (load: Load) => {
  run(load).then((done) => process.send!(done), (error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
