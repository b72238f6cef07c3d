/**
 * Connections of a generator of load. They do as little as they can, so that the server is what limits: raw sockets that are
 * kept open, requests made beforehand, and of the responses no more is read than has to be.
 */
import { connect, type Socket } from "node:net"

const endOfHead = Buffer.from("\r\n\r\n")
const contentLength = /\r\ncontent-length: (\d+)\r\n/i
const empty = Buffer.alloc(0)

/** What is done with a response. `undefined` in the place of the status is a connection that broke. */
export type Answered = (status: number | undefined, body: Buffer) => void

/** A connection with one request at a time. */
export interface Connection {
  readonly send: (request: Buffer, answered: Answered) => void
  /** Whether it has gone. */
  readonly closed: () => boolean
}

export const open = (port: number): Connection => {
  let waiting: Answered | undefined = undefined
  let rest: Buffer = empty
  let closed = false
  const socket: Socket = connect(port, "127.0.0.1")
  socket.setNoDelay(true)
  const answer = (status: number | undefined, body: Buffer): void => {
    const answered = waiting
    waiting = undefined
    answered?.(status, body)
  }
  // `close` follows and tells who waits.
  socket.on("error", () => {})
  socket.on("close", () => {
    closed = true
    answer(undefined, empty)
  })
  socket.on("data", (chunk) => {
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const head = data.indexOf(endOfHead)
    const length = head === -1 ? undefined : contentLength.exec(data.toString("latin1", 0, head + 2))?.[1]
    const from = head + endOfHead.length
    if (head !== -1 && length === undefined) {
      socket.destroy()
      return
    }
    if (length === undefined || data.length < from + Number(length)) {
      rest = data
      return
    }
    rest = empty
    answer(Number(data.toString("latin1", 9, 12)), data.subarray(from))
  })
  return {
    closed: () => closed,
    send: (request, answered) => {
      waiting = answered
      if (closed) answer(undefined, empty)
      else socket.write(request)
    }
  }
}
