import { assert, describe, it } from "@effect/vitest"
import * as CacheStatus from "../../../src/internal/http/cacheStatus.ts"

describe("Cache-Status", () => {
  it("tells the seconds that are left of a hit, where they end", () => {
    assert.strictEqual(CacheStatus.hit(60), "effect-cached; hit; ttl=60")
    assert.strictEqual(CacheStatus.hit(0), "effect-cached; hit; ttl=0")
    assert.strictEqual(CacheStatus.hit(Infinity), "effect-cached; hit")
  })

  it("tells why a request went past the cache", () => {
    assert.strictEqual(CacheStatus.bypass("credentials"), "effect-cached; fwd=bypass; detail=credentials")
  })
})
