/**
 * What is used of a connection to Redis. The clients of ioredis have it.
 *
 * `callBuffer` is left out on purpose: where pipelines are made automatically, ioredis 6.0 sends the key in the place of the
 * command. Commands with bytes in their replies are called by their own names.
 */

/** A connection, or what stands for the connections to all nodes of a cluster. */
export interface Driver {
  call(command: string, ...args: Array<string | number | Buffer>): Promise<unknown>
  getBuffer(key: string | Buffer): Promise<Buffer | null>
  scanBuffer(
    cursor: string | number | Buffer,
    match: "MATCH",
    pattern: string,
    count: "COUNT",
    size: number
  ): Promise<[cursor: Buffer, keys: Array<Buffer>]>
  unlink(...keys: Array<string | Buffer>): Promise<number>
  subscribe(...channels: Array<string>): Promise<unknown>
  /** `"message"` for who has subscribed, with the channel and the text; `"close"` when the connection is lost. */
  // The client's own listeners take what each event has.
  on(event: "message" | "close", listener: (...args: ReadonlyArray<any>) => void): unknown
  off(event: "message" | "close", listener: (...args: ReadonlyArray<any>) => void): unknown
}
