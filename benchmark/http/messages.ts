/**
 * What the benchmark, its server and its load generator tell each other. Every question gets one answer.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import type { Subject } from "./app.ts"

export interface Load {
  readonly port: number
  readonly subject: Subject | "bare"
  readonly connections: number
  /** How many requests of one connection are under way at once. */
  readonly pipelined: number
  readonly millis: number
}

export interface Done {
  readonly requests: number
  readonly millis: number
  /** Together with those that were made before the time was taken. */
  readonly allRequests: number
}

/** Where the server listens, and the CPU time that it has used so far, in microseconds. */
export interface ServerState {
  readonly port: number
  readonly barePort: number
  readonly cpu: number
}

export const start = (file: string): ChildProcess =>
  fork(new URL(file, import.meta.url), { execArgv: ["--disable-warning=ExperimentalWarning"], serialization: "json" })

export const ask = async <Answer>(child: ChildProcess, question: unknown): Promise<Answer> => {
  const stop = new AbortController()
  const ended = once(child, "exit", stop).then(() => {
    throw new Error("a process of the benchmark ended too soon")
  })
  const answer = once(child, "message", stop)
  child.send(question as object)
  const [message] = await Promise.race([answer, ended]) as [Answer]
  stop.abort()
  await ended.catch(() => {})
  return message
}
