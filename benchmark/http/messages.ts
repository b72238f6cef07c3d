/**
 * What the benchmark, its server and its load generator tell each other.
 */
export interface Load {
  readonly port: number
  /** Sent in turns, as they are. */
  readonly requests: ReadonlyArray<string>
  /** What every response has to have. */
  readonly status: 200 | 304
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

/** A request without a body, as it goes over the wire. */
export const requestText = (path: string, headers: Readonly<Record<string, string>>): string =>
  [`GET ${path} HTTP/1.1`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n")

/** Where the server listens, and the CPU time that it has used so far, in microseconds. */
export interface ServerState {
  readonly port: number
  readonly barePort: number
  readonly cpu: number
}
