import { assert, describe, it } from "@effect/vitest"
import { Equal } from "effect"
import { CacheEvent } from "effect-cached"

const key = ({ key }: { readonly key: string }) => `key ${key}`
const position = ({ position }: { readonly position: number }) => `position ${position}`

describe("CacheEvent", () => {
  it("is plain data: events of one kind with equal fields are equal", () => {
    const event = CacheEvent.Stored({ key: "k", tags: ["a"], expiresAt: 5 })
    assert.deepStrictEqual({ ...event }, { _tag: "Stored", key: "k", tags: ["a"], expiresAt: 5 })
    assert.isTrue(Equal.equals(event, CacheEvent.Stored({ key: "k", tags: ["a"], expiresAt: 5 })))
    assert.isFalse(Equal.equals(CacheEvent.Hit({ key: "k" }), CacheEvent.Miss({ key: "k", because: "missing" })))
    assert.isFalse(Equal.equals(CacheEvent.Hit({ key: "k" }), CacheEvent.Hit({ key: "l" })))
  })

  it("is matched by its tag", () => {
    const summary = CacheEvent.match({
      Hit: key,
      Stale: ({ because }) => because,
      Miss: key,
      RefreshFailed: key,
      VariantsExceeded: key,
      Joined: key,
      Stored: key,
      Evicted: key,
      Expired: key,
      Undecodable: key,
      StoreFailed: key,
      Rejected: ({ reason }) => reason,
      Invalidated: ({ tags }) => tags.join(),
      LogGap: position,
      CaughtUp: position,
      LogFailed: ({ error }) => error.message,
      LogIgnored: ({ problem }) => problem
    })
    assert.strictEqual(summary(CacheEvent.Hit({ key: "k" })), "key k")
    assert.strictEqual(summary(CacheEvent.Rejected({ key: "k", reason: "tag", error: undefined })), "tag")
    assert.strictEqual(summary(CacheEvent.Invalidated({ tags: ["a", "b"], position: 1 })), "a,b")
    assert.strictEqual(summary(CacheEvent.Stale({ key: "k", because: "slow" })), "slow")
    assert.strictEqual(summary(CacheEvent.LogGap({ position: 7 })), "position 7")
  })
})
