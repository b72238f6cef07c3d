import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { CacheEntry } from "effect-cached"
import {
  answerStatus,
  bypassStatus,
  type CacheStatus,
  cacheStatus,
  hitStatus,
  ttlOf
} from "../../../src/internal/http/cacheStatus.ts"
import type { Answer } from "../../../src/internal/lookup.ts"

const createdAt = 1_000_000_500
const entry = (lifetime: number) =>
  new CacheEntry.CacheEntry({
    key: "k",
    fingerprint: "f",
    body: "1",
    head: undefined,
    tags: [],
    position: 0,
    createdAt,
    expiresAt: createdAt + lifetime
  })

const hit: Answer = {
  how: "hit",
  stale: undefined,
  because: "missing",
  exit: undefined,
  entry: entry(60_000),
  rejected: undefined,
  error: undefined,
  stored: true
}
const stale: Answer = { ...hit, how: "stale", because: "expired" }
const computed: Answer = { ...hit, how: "miss", exit: Exit.succeed(1), stored: false }

describe("cacheStatus", () => {
  it.each<[CacheStatus, string]>([
    [{ hit: true }, "effect-cached; hit"],
    [{ hit: true, ttl: 60 }, "effect-cached; hit; ttl=60"],
    [{ hit: true, ttl: 0 }, "effect-cached; hit; ttl=0"],
    [{ hit: true, ttl: -5, detail: "revalidating" }, "effect-cached; hit; ttl=-5; detail=revalidating"],
    [{ hit: true, ttl: Infinity }, "effect-cached; hit"],
    [{ fwd: "miss", stored: false, collapsed: false, hit: false }, "effect-cached; fwd=miss"],
    [{ fwd: "miss", stored: true, collapsed: true }, "effect-cached; fwd=miss; stored; collapsed"],
    [
      { fwd: "stale", fwdStatus: 304, ttl: -412, stored: true, key: "a", detail: "x" },
      "effect-cached; fwd=stale; fwd-status=304; ttl=-412; stored; key=\"a\"; detail=x"
    ],
    [
      { hit: true, key: "user\t{\"id\":\"\u00e9\"} 5%" },
      "effect-cached; hit; key=\"user%09{\\\"id\\\":\\\"%C3%A9\\\"} 5%25\""
    ]
  ])("writes %j as %s", (status, text) => {
    assert.strictEqual(cacheStatus(status), text)
  })
})

describe("ttlOf", () => {
  it.each([
    [60_000, 0, 60],
    [60_000, 999, 60],
    [60_000, 1000, 59],
    [60_000, 59_999, 1],
    [60_000, 60_000, -1],
    [60_000, 61_000, -1],
    [1500, 1400, 0],
    [1500, 1500, -1],
    [1500, 1600, -1],
    [1500, 2000, -1],
    [Infinity, 5000, Infinity]
  ])("says of an entry that lives for %d ms and is %d ms old that it has %d s left", (lifetime, age, ttl) => {
    assert.strictEqual(ttlOf(entry(lifetime), createdAt + age), ttl)
  })
})

describe("hitStatus", () => {
  it("tells how long the entry is still fresh, where it ends", () => {
    assert.strictEqual(cacheStatus(hitStatus(entry(60_000), createdAt + 5000)), "effect-cached; hit; ttl=55")
    assert.strictEqual(cacheStatus(hitStatus(entry(Infinity), createdAt)), "effect-cached; hit")
  })
})

describe("answerStatus", () => {
  it.each<[string, Answer, string]>([
    ["a hit", hit, "hit; ttl=-10"],
    ["what a joined flight found in the store", { ...hit, how: "joined" }, "hit; ttl=-10"],
    ["stale while it is computed anew", { ...stale, stale: "revalidating" }, "hit; ttl=-10; detail=revalidating"],
    ["stale while nobody tries again", { ...stale, stale: "back-off" }, "hit; ttl=-10; detail=back-off"],
    ["stale after the soft timeout", { ...stale, stale: "slow" }, "fwd=stale; ttl=-10; detail=slow"],
    ["stale after a failure", { ...stale, stale: "error" }, "fwd=stale; ttl=-10; detail=error"],
    ["computed and stored", { ...computed, stored: true }, "fwd=miss; stored"],
    ["computed by another call", { ...computed, how: "joined", stored: true }, "fwd=miss; stored; collapsed"],
    ["computed after a change of its schema", { ...computed, because: "changed" }, "fwd=miss"],
    ["computed because what was stored is malformed", { ...computed, because: "malformed" }, "fwd=miss"],
    ["computed after its time", { ...computed, because: "expired", stored: true }, "fwd=stale; stored"],
    [
      "computed after an invalidation",
      { ...computed, because: "invalidated", stored: true },
      "fwd=miss; stored; detail=invalidated"
    ],
    ["computed because it was asked for", { ...computed, because: "asked", stored: true }, "fwd=request; stored"],
    ["computed and not stored", { ...computed, rejected: "too-large" }, "fwd=miss; detail=too-large"],
    [
      "computed after an invalidation and not stored",
      { ...computed, because: "invalidated", rejected: "opt-out" },
      "fwd=miss; detail=opt-out"
    ],
    [
      "computed without a form to store",
      { ...computed, entry: undefined, rejected: "response" },
      "fwd=miss; detail=response"
    ]
  ])("tells %s", (_, answer, text) => {
    assert.strictEqual(cacheStatus(answerStatus(answer, createdAt + 70_000)), `effect-cached; ${text}`)
  })

  it("takes what the origin answered and the key from the caller", () => {
    assert.strictEqual(
      cacheStatus({ ...answerStatus({ ...computed, because: "expired" }, createdAt), fwdStatus: 304, key: "k" }),
      "effect-cached; fwd=stale; fwd-status=304; key=\"k\""
    )
  })
})

describe("bypassStatus", () => {
  it("tells why a request went past the cache", () => {
    assert.strictEqual(cacheStatus(bypassStatus("credentials")), "effect-cached; fwd=bypass; detail=credentials")
    assert.strictEqual(cacheStatus(bypassStatus("method")), "effect-cached; fwd=method")
  })
})

describe("a key", () => {
  it("is left out where it is too long for a header", () => {
    assert.include(cacheStatus({ hit: true, key: "k".repeat(2000) }), "key=")
    assert.strictEqual(cacheStatus({ hit: true, key: "é".repeat(400) }), "effect-cached; hit")
  })
})
