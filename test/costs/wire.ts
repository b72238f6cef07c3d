/**
 * Notes what goes over the sockets of this process. Has to be imported before they are made.
 */
import { Socket } from "node:net"
import { setImmediate } from "node:timers/promises"

/** What was sent, over all connections but those on which a follower of the log waits. */
export interface Traffic {
  /** Names of the commands, in their order. */
  readonly commands: ReadonlyArray<string>
  /** How often something was given to the system to send. */
  readonly writes: number
  /** How often something was sent after an answer, or at first: what is sent together is one round trip. */
  readonly roundTrips: number
}

interface Connection {
  sent: Array<string>
  writes: number
  roundTrips: number
  isAnswered: boolean
  follows: boolean
  /** How often something was written, ever. */
  total: number
}

const connections = new Map<Socket, Connection>()

const connectionOf = (socket: Socket): Connection => {
  const known = connections.get(socket)
  if (known !== undefined) return known
  const made = { sent: [], writes: 0, roundTrips: 0, isAnswered: true, follows: false, total: 0 }
  connections.set(socket, made)
  return made
}

type Chunk = string | Uint8Array

const note = (socket: Socket, chunks: ReadonlyArray<Chunk>): void => {
  if (socket.remotePort === undefined && !socket.pending) return
  const connection = connectionOf(socket)
  connection.writes++
  connection.total++
  if (connection.isAnswered) connection.roundTrips++
  connection.isAnswered = false
  const sent = chunks.map((chunk) => typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("latin1")).join("")
  connection.sent.push(sent)
  // It asks again whenever it was told something, and nobody waits for that.
  if (sent.includes("XREAD")) connection.follows = true
}

// What every socket does, with a note of it.
// oxlint-disable-next-line typescript/unbound-method -- each is called with its socket
const { _write, _writev, push } = Socket.prototype
Socket.prototype._write = function(this: Socket, chunk: any, ...rest: [any, any]) {
  note(this, [chunk as Chunk])
  return _write.call(this, chunk, ...rest)
}
Socket.prototype._writev = function(this: Socket, chunks: any, ...rest: [any]) {
  note(this, (chunks as ReadonlyArray<{ readonly chunk: Chunk }>).map(({ chunk }) => chunk))
  return _writev!.call(this, chunks, ...rest)
}
Socket.prototype.push = function(this: Socket, ...args: [any, any?]) {
  const connection = connections.get(this)
  if (connection !== undefined) connection.isAnswered = true
  return push.apply(this, args)
}

// Commands are lists of texts with their lengths: "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".
const commandsOf = (sent: string): ReadonlyArray<string> => {
  const commands: Array<string> = []
  let at = 0
  const line = () => {
    const end = sent.indexOf("\r\n", at)
    const text = sent.slice(at, end)
    at = end + 2
    return text
  }
  while (at < sent.length) {
    const count = Number(line().slice(1))
    for (let index = 0; index < count; index++) {
      const length = Number(line().slice(1))
      if (index === 0) commands.push(sent.slice(at, at + length).toUpperCase())
      at += length + 2
    }
  }
  return commands
}

/** What was sent since the last call. */
export const traffic = (): Traffic => {
  const commands: Array<string> = []
  let writes = 0
  let roundTrips = 0
  for (const connection of connections.values()) {
    const sent = commandsOf(connection.sent.join(""))
    if (!connection.follows) {
      commands.push(...sent)
      writes += connection.writes
      roundTrips += connection.roundTrips
    }
    connection.sent = []
    connection.writes = 0
    connection.roundTrips = 0
  }
  return { commands, writes, roundTrips }
}

/** Waits until all that was asked is answered, and nothing more is asked: what follows an answer is written within a few turns of the loop. */
export const quiet = async (): Promise<void> => {
  let sent = -1
  for (let turn = 0; turn < turnsAfterAnAnswer; turn++) {
    const open = [...connections].filter(([socket, connection]) => !socket.destroyed && !connection.follows)
    const total = open.reduce((sum, [, { total }]) => sum + total, 0)
    if (total !== sent || !open.every(([, { isAnswered }]) => isAnswered)) turn = 0
    sent = total
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await setImmediate()
  }
}

const turnsAfterAnAnswer = 50
