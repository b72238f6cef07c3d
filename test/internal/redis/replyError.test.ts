import { assert, describe, it } from "@effect/vitest"
import { inspect } from "node:util"
import { replyError } from "../../../src/internal/redis/replyError.ts"

const named = (name: string, message: string, more: object = {}) => Object.assign(new Error(message), { name }, more)

const problemOf = (cause: unknown) => {
  const { reason } = replyError(cause)
  return reason._tag === "ServerError" ? reason.problem : reason._tag
}

const replies = [
  ["NOAUTH Authentication required.", "unauthorized"],
  ["WRONGPASS invalid username-password pair or user is disabled.", "unauthorized"],
  ["NOPERM User a has no permissions to run the 'set' command", "unauthorized"],
  ["READONLY You can't write against a read only replica.", "read-only"],
  ["OOM command not allowed when used memory > 'maxmemory'.", "out-of-memory"],
  ["WRONGTYPE Operation against a key holding the wrong kind of value", "foreign"],
  ["LOADING Redis is loading the dataset in memory", "unreachable"],
  ["CLUSTERDOWN The cluster is down", "unreachable"],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "unreachable"],
  ["TRYAGAIN Multiple keys request during rehashing of slot", "unreachable"],
  ["MOVED 15495 127.0.0.1:6380", "rejected"],
  ["CROSSSLOT Keys in request don't hash to the same slot", "rejected"],
  ["NOREPLICAS Not enough good replicas to write.", "rejected"],
  ["MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", "rejected"],
  ["ERR value is not an integer or out of range", "rejected"],
  ["WRONGTYPE", "foreign"],
  [
    "ERR Error running script (call to f_0a): @user_script:4: -OOM command not allowed when used memory",
    "out-of-memory"
  ],
  ["ERR Error running script (call to f_0a): @user_script: 4: -READONLY You can't write", "read-only"],
  ["ERR Error running script (call to f_0a): @user_script:4: user_script:4: an OOM of ours", "rejected"]
] as const

const failures = [
  [new Error("Connection is closed."), "unreachable"],
  [new Error("Stream isn't writeable and enableOfflineQueue options is false"), "unreachable"],
  [new Error("Cluster isn't ready and enableOfflineQueue options is false"), "unreachable"],
  [new Error("None of startup nodes is available"), "unreachable"],
  [new Error("Socket timeout. Expecting data, but didn't receive any in 5000ms."), "unreachable"],
  [named("MaxRetriesPerRequestError", "Reached the max retries per request limit (which is 0)."), "unreachable"],
  [named("AbortError", "Command aborted due to connection close"), "unreachable"],
  [named("Error", "connect ECONNREFUSED 127.0.0.1:1", { code: "ECONNREFUSED", syscall: "connect" }), "unreachable"],
  [named("AggregateError", "", { code: "ECONNREFUSED" }), "unreachable"],
  [new Error("Unknown RESP type 72 \"H\". Please report this."), "unreachable"],
  [new Error("Command timed out"), "timeout"],
  [new TypeError("redis.nothing is not a function"), "rejected"],
  ["thrown", "rejected"]
] as const

describe("replyError", () => {
  for (const [message, problem] of replies) {
    it(`${problem}: ${message}`, () => {
      assert.strictEqual(problemOf(named("ReplyError", message)), problem)
      assert.include(replyError(named("ReplyError", message)).message, message)
    })
  }

  for (const [cause, problem] of failures) {
    it(`${problem}: ${String(cause)}`, () => {
      assert.strictEqual(problemOf(cause), problem)
    })
  }

  it("says of a node of a cluster, of something else than Redis and of a lost connection what it is", () => {
    assert.match(replyError(named("ReplyError", "MOVED 15495 127.0.0.1:6380")).message, /one node of a cluster/)
    assert.match(replyError(new Error("Unknown RESP type 72 \"H\". Please report this.")).message, /no Redis/)
    const lost = replyError(named(
      "MaxRetriesPerRequestError",
      "Reached the max retries per request limit (which is 0). Refer to \"maxRetriesPerRequest\" option for details."
    ))
    assert.match(lost.message, /connection to Redis was lost/)
    assert.notInclude(lost.message, "option")
  })

  it("takes the code where there is no message", () => {
    assert.include(replyError(named("AggregateError", "", { code: "ECONNREFUSED" })).message, "ECONNREFUSED")
  })

  it("says what the last node of a cluster failed with", () => {
    const lastNodeError = named("ReplyError", "WRONGPASS invalid username-password pair or user is disabled.")
    const all = named("ClusterAllFailedError", "Failed to refresh slots cache.", { lastNodeError })
    assert.strictEqual(problemOf(all), "unauthorized")
  })

  it("keeps the arguments of the command out of the error and its cause", () => {
    const command = { name: "hello", args: ["3", "AUTH", "default", "secret"] }
    for (const message of ["WRONGPASS invalid", "ERR unknown command 'a', with args beginning with: 'secret' "]) {
      assert.notInclude(inspect(replyError(named("ReplyError", message, { command })), { depth: 9 }), "secret")
    }
  })
})
