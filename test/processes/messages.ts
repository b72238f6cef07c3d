/**
 * What the tests and the processes that they start tell each other. Times are milliseconds of the monotonic clock of the
 * machine, which all its processes share.
 */

/** A cache of a process. */
export interface Settings {
  readonly url: string
  readonly namespace: string
  /** All in milliseconds. */
  readonly maxStaleness: number
  readonly commandTimeout: number
  readonly leaseDuration: number
  /** By how much the clock of the cache is ahead. */
  readonly clockAhead: number
  /** Of the results, `0` for no end. */
  readonly timeToLive: number
  /** Of the log, `0` for the default. */
  readonly maxLength: number
}

/** What the source of truth held when it was asked. */
export interface Value {
  readonly version: number
  /** The name of the process that computed it. */
  readonly by: string
}

export interface Load {
  readonly seed: number
  readonly keys: ReadonlyArray<string>
  readonly readers: number
  readonly writers: number
}

/** What a process is told to do. `cache` is the name of one that it opened. */
export type Command =
  | { readonly do: "open"; readonly cache: string; readonly settings: Settings }
  | { readonly do: "close"; readonly cache: string }
  | { readonly do: "read"; readonly cache: string; readonly key: string; readonly strong: boolean }
  /** Blocks the thread, and reads before anything else gets its turn. */
  | { readonly do: "block"; readonly cache: string; readonly key: string; readonly millis: number }
  /** Reads until the version is at least this, and answers with that read. */
  | { readonly do: "await"; readonly cache: string; readonly key: string; readonly version: number }
  | { readonly do: "invalidate"; readonly cache: string; readonly tags: ReadonlyArray<string> }
  | { readonly do: "counts"; readonly cache: string }
  | { readonly do: "clock"; readonly cache: string; readonly ahead: number }
  /** Opens and closes a cache so often, each time with one read and one invalidation. */
  | { readonly do: "cycle"; readonly settings: Settings; readonly times: number }
  /** What keeps the process running, and its memory after a collection of garbage. */
  | { readonly do: "inspect" }
  /** Closes everything and leaves the process to end by itself. */
  | { readonly do: "leave" }
  | { readonly do: "load"; readonly cache: string; readonly load: Load }
  | { readonly do: "quiet"; readonly cache: string }

export interface Read extends Value {
  readonly started: number
  readonly ended: number
}

/** Whether `invalidate` succeeded, when it was called and when it returned. */
export interface Invalidated {
  readonly started: number
  readonly ended: number
  readonly failure: Failure | undefined
}

export interface Inspection {
  /** Kinds of what is open, sorted. */
  readonly resources: ReadonlyArray<string>
  readonly heap: number
}

export interface Failure {
  readonly reason: string
  readonly message: string
}

/** What happened in a cache, but for what happens all the time. */
export interface Told {
  readonly event: string
  readonly at: number
  readonly key?: string | undefined
  readonly position?: number | undefined
  readonly reason?: string | undefined
  readonly message?: string | undefined
}

/** An entry of the history that the checker reads. */
export type Happened =
  | {
    readonly did: "read"
    readonly key: string
    readonly strong: boolean
    readonly version: number
    readonly started: number
    readonly ended: number
  }
  | {
    readonly did: "invalidate"
    readonly key: string
    readonly version: number
    readonly ok: boolean
    readonly started: number
    readonly ended: number
  }

export type ToProcess =
  | { readonly to: "command"; readonly id: number; readonly command: Command }
  | { readonly to: "source"; readonly id: number; readonly version: number }

export type FromProcess =
  | { readonly from: "ready" }
  | { readonly from: "reply"; readonly id: number; readonly value?: unknown; readonly failure?: Failure }
  /** The source is read, or written: the answer is the version. */
  | {
    readonly from: "source"
    readonly id: number
    readonly cache: string
    readonly key: string
    readonly write: boolean
  }
  | { readonly from: "event"; readonly cache: string; readonly told: Told }
  | { readonly from: "history"; readonly cache: string; readonly happened: ReadonlyArray<Happened> }
