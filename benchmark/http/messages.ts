/**
 * What the benchmark, its server and its load generator tell each other.
 */
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
