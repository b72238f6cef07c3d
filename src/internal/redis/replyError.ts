/**
 * What the failures of a Redis client mean.
 */
import type * as CacheError from "../../CacheError.ts"
import { describe, serverError } from "../errors.ts"

/** The error for what a client rejected a command with, or could not connect for. */
export const replyError = (thrown: unknown): CacheError.CacheError => {
  const cause = ofNode(thrown)
  const text = textOf(cause)
  // The client's own error has the command in it, with its arguments: values, and passwords.
  const shown = Object.assign(new Error(text), { name: nameOf(cause) })
  const [, code] = codeOf.exec(text) ?? []
  if (nameOf(cause) === "ReplyError") {
    const known = replies[code ?? ""]
    return known === undefined
      ? serverError("rejected", `Redis refused a command: ${text}`, shown)
      : serverError(known[0], `${known[1]}: ${text}`, shown)
  }
  if (text === "Command timed out") return timedOut(shown)
  if (nameOf(cause) === "MaxRetriesPerRequestError") {
    return serverError("unreachable", "The connection to Redis was lost before there was an answer", shown)
  }
  // What its reader of answers throws has no name.
  if (text.endsWith("Please report this.")) return serverError("unreachable", "What answers there is no Redis", shown)
  return isConnectionError(cause, text)
    ? serverError("unreachable", `Redis cannot be reached: ${text}`, shown)
    : serverError("rejected", `A command could not be sent to Redis: ${text}`, shown)
}

// Before version 7, what a command in a script was refused for stands inside.
const codeOf = /^(?:ERR Error running script .*?@user_script: ?\d+: -?)?([A-Z]+)\b/

// Of a cluster that cannot be reached, what the last node failed with says more.
const ofNode = (cause: unknown): unknown =>
  cause instanceof Error && "lastNodeError" in cause && cause.lastNodeError instanceof Error
    ? cause.lastNodeError
    : cause

// Of a command that it does not know, the server repeats the arguments. A host with several addresses fails without a text.
const textOf = (cause: unknown): string => {
  const [text] = describe(cause).split(", with args beginning with")
  return text || (cause instanceof Error && "code" in cause ? String(cause.code) : "for an unknown reason")
}

const nameOf = (cause: unknown): string => cause instanceof Error ? cause.name : "Error"

const replies: { readonly [code: string]: readonly [CacheError.ServerError["problem"], string] | undefined } = {
  NOAUTH: ["unauthorized", "Redis asks for a password"],
  WRONGPASS: ["unauthorized", "Redis does not know this user, or the password is another"],
  NOPERM: ["unauthorized", "Redis does not allow this user what a cache needs"],
  READONLY: ["read-only", "Redis takes no writes, because it is a replica: connect to the master"],
  OOM: ["out-of-memory", "Redis is full and evicts nothing: set `maxmemory-policy`, or give it more memory"],
  WRONGTYPE: [
    "foreign",
    "Something else stands at one of our keys: remove it, or give the cache a namespace of its own"
  ],
  LOADING: ["unreachable", "Redis is still reading its data from the disk"],
  CLUSTERDOWN: ["unreachable", "The cluster does not serve all of its slots"],
  MASTERDOWN: ["unreachable", "Redis is a replica that has lost its master"],
  TRYAGAIN: ["unreachable", "The cluster is moving these keys to another node"],
  MOVED: ["rejected", "This is one node of a cluster: make a client of the cluster (`RedisClient.layer({ cluster })`)"],
  CROSSSLOT: [
    "rejected",
    "This is one node of a cluster: make a client of the cluster (`RedisClient.layer({ cluster })`)"
  ],
  NOREPLICAS: ["rejected", "Redis has lost too many replicas to take writes (`min-replicas-to-write`)"],
  MISCONF: ["rejected", "Redis cannot write its snapshots to the disk, and takes no writes until it can"]
}

const isConnectionError = (cause: unknown, text: string): boolean =>
  connectionErrors.test(text) ||
  (cause instanceof Error && (names.has(cause.name) || "syscall" in cause || "code" in cause))

// Those of ioredis, which have no code of their own.
const names = new Set(["MaxRetriesPerRequestError", "AbortError", "ClusterAllFailedError"])
const connectionErrors =
  /^(Connection is closed|Stream isn't writeable|Cluster isn't ready|None of startup nodes|Socket timeout|All sentinels are|Too many Cluster redirections|Failed to refresh slots cache)/

/** The error of a command that was not answered in time. */
export const timedOut = (cause?: unknown): CacheError.CacheError =>
  serverError("timeout", "Redis did not answer in time", cause)
