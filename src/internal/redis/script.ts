/**
 * Lua scripts of the server: each a digest that is sent, and a text for a server that does not know it yet.
 */
import { sha1 } from "@noble/hashes/legacy.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import type { Driver } from "./driver.ts"

/** What a script takes of a connection. */
export type Caller = Pick<Driver, "call">

/** Runs a script on a connection, for keys and with arguments. The first command is sent before this returns. */
export type Script = (
  redis: Caller,
  keys: ReadonlyArray<string>,
  args: ReadonlyArray<string | number | Buffer>
) => Promise<unknown>

/** Makes a script from its text. A server that was restarted, or has taken over from another, is told it again. */
export const makeScript = (text: string): Script => {
  const sha = bytesToHex(sha1(utf8ToBytes(text)))
  return (redis, keys, args) =>
    redis.call("EVALSHA", sha, keys.length, ...keys, ...args).catch((error: unknown) => {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error
      return redis.call("EVAL", text, keys.length, ...keys, ...args)
    })
}
