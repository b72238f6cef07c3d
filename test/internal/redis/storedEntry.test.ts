import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { CacheEntry } from "effect-cached"
import { Redis } from "ioredis"
import { randomUUID } from "node:crypto"
import { headerBytes, makeHeader, setEntry, touchEntry, valueProblem } from "../../../src/internal/redis/storedEntry.ts"
import { makeEntry } from "../../suites/entries.ts"

const valueOf = (options: Partial<CacheEntry.Stored> | undefined, rest: string) =>
  Buffer.concat([makeHeader(makeEntry("k", options)), Buffer.from(rest)])

const createdAt = 1_700_000_000_000
const at = (position: number) => valueOf({ position, createdAt }, `of position ${position}`)
const old = { position: 10, createdAt } as const

/** A key of the server, and the scripts on it. */
const onServer = Effect.gen(function*() {
  const redis = yield* Effect.acquireRelease(
    Effect.sync(() => new Redis(process.env["REDIS_URL"]!)),
    (redis) => Effect.sync(() => redis.disconnect())
  )
  const key = `stored entry ${randomUUID()}`
  return {
    redis,
    key,
    put: (value: Buffer) => Effect.promise(() => redis.set(key, value, "PX", 60_000)),
    value: Effect.promise(() => redis.getBuffer(key)),
    left: Effect.promise(() => redis.pttl(key)),
    set: (value: Buffer, millis = 60_000) => Effect.promise(() => setEntry(redis, [key], [value, millis])),
    touch: (value: Buffer, millis = 600_000) => Effect.promise(() => touchEntry(redis, [key], [value, millis]))
  }
})

const whole = valueOf(old, "the bytes of the codec")

// Each is not the value that a process has read, whatever else it is.
const garbage: ReadonlyArray<readonly [what: string, value: Buffer]> = [
  ["nothing", Buffer.alloc(0)],
  ["a text", Buffer.from("what somebody else has put there, and it is longer than a header")],
  ["zeros", Buffer.alloc(100)],
  ["the start of a header", Buffer.from("EC1")],
  ["a header of another version", Buffer.concat([Buffer.from("EC2"), whole.subarray(3)])],
  ...[1, 3, 11, 18, 19, 27, 34].map((length) =>
    [`the first ${length} bytes of a value`, whole.subarray(0, length)] as const
  ),
  ["a value without its first byte", whole.subarray(1)],
  ["a value whose position is no number", changed(3, Buffer.from("7ff8000000000000", "hex"))],
  ["a value whose position is without an end", changed(3, Buffer.from("7ff0000000000000", "hex"))],
  ["a value whose fingerprint is damaged", changed(20, Buffer.from("?"))]
]

function changed(at: number, by: Buffer): Buffer {
  return Buffer.concat([whole.subarray(0, at), by, whole.subarray(at + by.length)])
}

describe("touchEntry", () => {
  it.live("replaces what comes after the header, and how long that lives, and keeps the header", () =>
    Effect.scoped(Effect.gen(function*() {
      const { left, set, touch, value } = yield* onServer
      yield* set(whole)
      const later = valueOf(old, "the same, read later")
      assert.strictEqual(yield* touch(later), 1)
      assert.deepStrictEqual(
        yield* value,
        Buffer.concat([whole.subarray(0, headerBytes), later.subarray(headerBytes)])
      )
      assert.isAbove(yield* left, 500_000)
      assert.strictEqual(yield* set(valueOf({ ...old, createdAt: createdAt + 1 }, "newer")), 1)
    })))

  it.live.each(garbage)("leaves alone what is no entry: %s", ([, value]) =>
    Effect.scoped(Effect.gen(function*() {
      const { left, put, touch, value: present } = yield* onServer
      yield* put(value)
      assert.strictEqual(yield* touch(whole), 0)
      assert.deepStrictEqual(yield* present, value)
      assert.isAtMost(yield* left, 60_000)
    })))

  it.live("makes nothing where there is nothing, and fails for what is no text", () =>
    Effect.scoped(Effect.gen(function*() {
      const { key, redis, touch, value } = yield* onServer
      assert.strictEqual(yield* touch(whole), 0)
      assert.isNull(yield* value)
      yield* Effect.promise(() => redis.rpush(key, "a list"))
      const refused = Effect.tryPromise(() => touchEntry(redis, [key], [whole, 1000]))
      assert.include(String((yield* Effect.flip(refused)).cause), "WRONGTYPE")
      assert.deepStrictEqual(yield* Effect.promise(() => redis.lrange(key, 0, -1)), ["a list"])
      yield* Effect.promise(() => redis.del(key))
    })))

  it.live.each(
    [
      ["the same", {}, 1],
      ["a millisecond older", { createdAt: createdAt - 1 }, 0],
      ["a second older", { createdAt: createdAt - 1000 }, 0],
      ["a second newer", { createdAt: createdAt + 1000 }, 0],
      ["more than a second older", { createdAt: createdAt - 1001 }, 0],
      ["more than a second newer", { createdAt: createdAt + 1001 }, 0],
      ["of a later position", { position: 11 }, 0],
      ["of an earlier position", { position: 9 }, 0],
      ["of another function", { fingerprint: "another" }, 0]
    ] as const
  )("takes what is %s for what it is", ([, options, taken]) =>
    Effect.scoped(Effect.gen(function*() {
      const { set, touch, value } = yield* onServer
      yield* set(whole)
      assert.strictEqual(yield* touch(valueOf({ ...old, ...options }, "read")), taken)
      assert.strictEqual((yield* value)!.subarray(headerBytes).toString() === "read", taken === 1)
    })))

  it.live("never undoes what is stored at the same time (scenario 48)", () =>
    Effect.scoped(Effect.gen(function*() {
      const { set, touch, value } = yield* onServer
      yield* Effect.forEach(
        Array.from({ length: 200 }, (_, n) => (n * 149) % 200 + 1),
        (position) => Effect.all([set(at(position)), touch(at(position)), touch(at(position - 1))], { concurrency: 3 }),
        { concurrency: "unbounded", discard: true }
      )
      assert.deepStrictEqual(yield* value, at(200))
    })))
})

describe("setEntry", () => {
  it.live.each(garbage)("replaces what is no entry: %s", ([, value]) =>
    Effect.scoped(Effect.gen(function*() {
      const { put, set, value: present } = yield* onServer
      yield* put(value)
      const older = valueOf({ position: 1, createdAt: 1 }, "older")
      assert.strictEqual(yield* set(older), 1)
      assert.deepStrictEqual(yield* present, older)
    })))
})

describe("valueProblem", () => {
  it("tells what is too short from what is something else, and both from an entry", () => {
    assert.isUndefined(valueProblem(whole))
    assert.isUndefined(valueProblem(whole.subarray(0, headerBytes)))
    assert.strictEqual(valueProblem(whole.subarray(0, headerBytes - 1)), "truncated")
    assert.strictEqual(valueProblem(Buffer.alloc(100)), "foreign")
    assert.strictEqual(valueProblem(Buffer.alloc(0)), "truncated")
  })
})
