import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Address, parseUrl } from "../../../src/internal/redis/url.ts"

const good: ReadonlyArray<readonly [string, Address]> = [
  ["redis://host", { host: "host", port: 6379 }],
  ["redis://host:7000/", { host: "host", port: 7000 }],
  ["redis://host/3", { host: "host", port: 6379, db: 3 }],
  ["redis://host?db=3", { host: "host", port: 6379, db: 3 }],
  ["redis://:secret@host", { host: "host", port: 6379, password: "secret" }],
  ["redis://user:a%23b%40c%2F@host:1/0", { host: "host", port: 1, username: "user", password: "a#b@c/", db: 0 }],
  ["redis://[::1]:7000", { host: "::1", port: 7000 }],
  ["rediss://host", { host: "host", port: 6379, tls: {} }],
  ["/run/redis.sock", { path: "/run/redis.sock" }],
  ["/run/redis%20a.sock?db=2", { path: "/run/redis a.sock", db: 2 }],
  ["unix:///run/redis.sock?db=2", { path: "/run/redis.sock", db: 2 }]
]

const bad: ReadonlyArray<readonly [string, RegExp]> = [
  ["", /has to start with/],
  ["host:6379", /has to start with/],
  ["http://:secret@host", /has to start with/],
  ["REDIS://:secret@host", /has to start with/],
  ["redis://", /has no host/],
  ["redis:///1", /has no host/],
  ["redis://:secret@", /not a URL|has no host/],
  ["redis://host:port", /not a URL/],
  ["redis://host:99999", /not a URL/],
  ["redis://host:0", /port is 0/],
  ["redis://:secret#1@host", /not a URL/],
  ["redis://user:12#secret@host", /not a URL/],
  ["redis://user:12/secret@host", /database is not a number/],
  ["redis://user:12?secret@host", /query/],
  ["redis://:sec%ret@host", /percent sign/],
  ["redis://host/one", /database is not a number/],
  ["redis://host/-1", /database is not a number/],
  ["redis://host/1/secret", /database is not a number/],
  ["redis://host/1?db=2", /twice/],
  ["redis://host?db=1&db=2", /query/],
  ["redis://host?password=secret", /query/],
  ["unix://", /path/],
  ["unix:///", /path/],
  ["unix://user:secret@/run/redis.sock", /not a URL/],
  ["unix://host/run/redis.sock", /path/],
  ["/", /path/]
]

describe("parseUrl", () => {
  for (const [text, address] of good) {
    it.effect(`reads ${text}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* parseUrl("url", text), address)
      }))
  }

  for (const [text, message] of bad) {
    it.effect(`refuses ${JSON.stringify(text)} without repeating any of it`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(parseUrl("url", text))
        assert.strictEqual(error.reason._tag, "DefinitionError")
        assert.match(error.message, message)
        assert.notMatch(error.message, /secret|sec%ret|12/)
      }))
  }
})
