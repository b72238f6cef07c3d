/**
 * What a section tells the nodes, and what they answer. Times are microseconds of the clock that all processes of a machine
 * have in common and that nobody sets.
 */
export const now = (): number => Number(process.hrtime.bigint()) / 1000

/** What a node does. Every question has an answer: of `begin` it is `true`. */
export type Question =
  /** Forget what was told before. */
  | { readonly _tag: "begin" }
  /** Send `count` messages, one every `every` milliseconds, the first at `at`. Answered by `Sent`. */
  | {
    readonly _tag: "send"
    readonly how: How
    readonly name: string
    readonly count: number
    readonly every: number
    readonly at: number
  }
  /** Wait until `count` messages have come. Answered by `Told`. */
  | { readonly _tag: "told"; readonly count: number }
  /** Ask for one key, at `at`, with so many callers at once. Answered by `Asked`. */
  | { readonly _tag: "ask"; readonly id: number; readonly callers: number; readonly at: number }

/** By an invalidation, or by a message through `PUBLISH`, which is what a network hop through Redis costs. */
export type How = "invalidate" | "publish"

/** When each message was sent and when sending it had succeeded, by its name. */
export interface Sent {
  readonly sent: Readonly<Record<string, number>>
  readonly acknowledged: Readonly<Record<string, number>>
}

/** When each message had come, by its name. */
export type Told = Readonly<Record<string, number>>

export interface Asked {
  /** How often this node has computed so far. */
  readonly executions: number
  /** When the last caller had its result. */
  readonly ended: number
}

/** How long a computation takes, in milliseconds. */
export const computation = 50
