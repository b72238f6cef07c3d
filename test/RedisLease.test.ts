import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { type CacheError, Lease } from "effect-cached"
import * as RedisClient from "effect-cached/RedisClient"
import * as RedisLease from "effect-cached/RedisLease"
import { TestClock } from "effect/testing"
import { makeProxy } from "./redis/proxy.ts"
import * as RedisServer from "./redis/RedisServer.ts"

/** A server or a cluster, and how to connect to it. */
class Servers extends Context.Service<Servers, {
  readonly options: RedisClient.Options
  readonly nodes: ReadonlyArray<RedisServer.Server>
}>()("test/RedisLease/Servers") {}

const single = Layer.effect(Servers)(
  Effect.map(RedisServer.start(), (server) => ({ options: { url: server.url }, nodes: [server] }))
)
const cluster = Layer.effect(Servers)(
  Effect.map(RedisServer.startCluster(), ({ nodes }) => ({
    options: { cluster: { nodes: nodes.map(({ port }) => ({ host: "127.0.0.1", port })) } },
    nodes
  }))
)

// By the test's clock nothing is late that is not meant to be.
const patient = { commandTimeout: "1 hour" } as const
const hour = { duration: "1 hour", waitAtMost: "1 hour" } as const

let namespaces = 0

// A process with a connection of its own, until the scope closes.
const connect = Effect.fnUntraced(function*(options?: Partial<RedisClient.Options>) {
  const servers = yield* Servers
  return yield* RedisClient.make({ ...servers.options, ...options })
})

const leasesOf = (client: RedisClient.RedisClient["Service"], options: RedisLease.Options) =>
  Effect.provideService(RedisLease.make(options), RedisClient.RedisClient, client)

// Leases of so many processes, in a namespace of their own, and what stands at the name of a key.
const processes = Effect.fnUntraced(function*(count: number, options?: RedisLease.Options) {
  const namespace = `lease-${++namespaces}`
  const clients = yield* Effect.forEach(Array.from({ length: count }), () => connect(patient))
  const leases = yield* Effect.forEach(clients, (client) => leasesOf(client, { namespace, ...options }))
  const call = (command: string, ...args: ReadonlyArray<string>) =>
    clients[0]!.run((redis) => redis.call(command, ...args))
  return {
    clients,
    leases: leases as [Lease.Lease, ...Array<Lease.Lease>],
    second: leases.at(-1)!,
    name: (key: string) => `${namespace}:3:lease:${key}`,
    wake: `${namespace}:3:wake`,
    call,
    holder: (key: string) => call("GET", `${namespace}:3:lease:${key}`),
    lives: (key: string) => Effect.map(call("PTTL", `${namespace}:3:lease:${key}`), Number)
  }
})

// Takes a lease that has to be free, in a scope of its own.
const hold = Effect.fnUntraced(function*({ take }: Lease.Lease, key: string) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const taking = yield* Scope.provide(take(key), scope)
  assert(taking._tag === "Held")
  return {
    end: (ending: "stored" | "nothing") => {
      taking.give(ending)
      return Scope.close(scope, Exit.void)
    },
    leave: Scope.close(scope, Exit.void)
  }
})

// Asks for a lease that has to be taken, and waits in a fiber.
const wait = Effect.fnUntraced(function*({ take }: Lease.Lease, key: string) {
  const taking = yield* Effect.scoped(take(key))
  assert(taking._tag === "Taken")
  return yield* Effect.forkChild(taking.ended, { startImmediately: true })
})

const poll = Effect.fnUntraced(function*<A, E, R>(
  what: string,
  look: Effect.Effect<A, E, R>,
  isThere: (found: A) => boolean
) {
  const end = performance.now() + 30_000
  while (true) {
    const found = yield* look
    if (isThere(found)) return found
    if (performance.now() > end) throw new Error(`${what}: still ${String(found)}`)
    yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
  }
})

// How often a command was called on all nodes together.
const calls = (command: string) =>
  Effect.flatMap(Servers, ({ nodes }) =>
    Effect.map(
      Effect.forEach(nodes, (node) => node.cli("INFO", "commandstats")),
      (all) =>
        all.reduce((sum, text) => sum + Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(text)?.[1] ?? 0), 0)
    ))

const onAll = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(Servers, ({ nodes }) => Effect.forEach(nodes, (node) => node.cli(...args)))

// How many connections listen for messages.
const listeners = (channel: string) =>
  Effect.map(
    onAll("PUBSUB", "NUMSUB", channel),
    (all) => all.reduce((sum, text) => sum + Number(text.split("\n").at(-1)), 0)
  )

// Of clients that do not listen for messages, on all nodes together.
const connections = Effect.map(
  onAll("CLIENT", "LIST", "TYPE", "normal"),
  (all) => all.join("\n").split("\n").length
)

const handles = Effect.sync(() =>
  process.getActiveResourcesInfo().filter((kind) => kind === "Timeout" || /Socket|TCP/.test(kind)).length
)

const until = {
  marked: (lease: { readonly holder: (key: string) => Effect.Effect<unknown, CacheError.CacheError> }, key: string) =>
    poll("nobody waits", lease.holder(key), (token) => String(token).endsWith("+")),
  listening: (channel: string, count: number) => poll("listeners", listeners(channel), (found) => found === count),
  called: (command: string, count: number) => poll(command, calls(command), (found) => found >= count)
}

const reasonOf = (error: CacheError.CacheError) =>
  error.reason._tag === "ServerError" ? error.reason.problem : error.reason._tag

const leaseSuite = (name: string, layer: Layer.Layer<Servers>) =>
  it.layer(layer)(`RedisLease (${name})`, (it) => {
    it.effect("is held by one of many, and the others hear at once how it ended", () =>
      Effect.gen(function*() {
        for (const ending of ["stored", "nothing"] as const) {
          const { leases, wake } = yield* processes(3, hour)
          const holder = yield* hold(leases[0], "k")
          const before = yield* calls("pttl")
          const waiting = yield* Effect.forEach(
            Array.from({ length: 12 }, (_, n) => leases[n % 3]!),
            (lease) => wait(lease, "k")
          )
          // Each was told who holds it, and has asked for how long.
          yield* until.called("pttl", before + 24)
          yield* until.listening(wake, 3)
          yield* holder.end(ending)
          assert.deepStrictEqual(
            yield* Effect.forEach(waiting, Fiber.join),
            Array.from({ length: 12 }, () => ending)
          )
          yield* (yield* hold(leases[1]!, "k")).leave
        }
      }))

    it.effect("publishes nothing and listens to nothing as long as nobody waits", () =>
      Effect.gen(function*() {
        const lease = yield* processes(2, hour)
        const before = yield* Effect.all([calls("publish"), calls("subscribe")])
        yield* Effect.forEach(
          ["a", "b", "a"],
          (key) => Effect.flatMap(hold(lease.leases[0], key), ({ end }) => end("stored"))
        )
        const asked = yield* hold(lease.leases[0], "c")
        assert.strictEqual((yield* Effect.scoped(lease.second.take("c")))._tag, "Taken")
        yield* asked.end("stored")
        assert.deepStrictEqual(yield* Effect.all([calls("publish"), calls("subscribe")]), before)

        const holder = yield* hold(lease.leases[0], "c")
        const waiting = yield* wait(lease.second, "c")
        yield* until.marked(lease, "c")
        yield* holder.end("stored")
        assert.strictEqual(yield* Fiber.join(waiting), "stored")
        assert.isAbove(yield* calls("publish"), before[0])
      }))

    it.effect("is free again once its holder was not heard from for as long as it lasts (scenario 56)", () =>
      TestClock.withLive(Effect.gen(function*() {
        const lease = yield* processes(1, { duration: "1 second" })
        const namespace = lease.wake.split(":")[0]!
        // It loses its connection, and so can neither renew nor release.
        const disconnected = yield* Scope.make()
        const dead = yield* Scope.provide(connect(), disconnected)
        yield* hold(yield* leasesOf(dead, { namespace, duration: "1 second" }), "k")
        assert.isAtMost(yield* lease.lives("k"), 1000)
        yield* Scope.close(disconnected, Exit.void)
        const before = yield* lease.holder("k")
        assert.strictEqual(yield* Fiber.join(yield* wait(lease.leases[0], "k")), "expired")
        const next = yield* hold(lease.leases[0], "k")
        assert.notStrictEqual(yield* lease.holder("k"), before)
        yield* next.leave
      })))

    it.effect("is renewed as long as its holder goes on, and stays with it", () =>
      Effect.gen(function*() {
        const lease = yield* processes(2, { duration: "3 minutes", waitAtMost: "1 hour" })
        const holder = yield* hold(lease.leases[0], "k")
        for (let minute = 0; minute < 5; minute++) {
          yield* lease.call("PEXPIRE", lease.name("k"), "100000")
          yield* TestClock.adjust("1 minute")
          yield* poll("not renewed", lease.lives("k"), (left) => left > 100_000)
        }
        const waiting = yield* wait(lease.second, "k")
        yield* until.marked(lease, "k")
        yield* holder.end("nothing")
        assert.strictEqual(yield* Fiber.join(waiting), "nothing")
      }))

    it.effect("is renewed no more once it is another's, and not released by who had it before", () =>
      Effect.gen(function*() {
        const lease = yield* processes(1, { duration: "3 minutes" })
        const holder = yield* hold(lease.leases[0], "k")
        yield* lease.call("SET", lease.name("k"), "another", "PX", "100000")
        const before = yield* calls("evalsha")
        yield* TestClock.adjust("1 minute")
        yield* until.called("evalsha", before + 1)
        yield* lease.call("GET", lease.name("k"))
        yield* TestClock.adjust("1 hour")
        yield* lease.call("GET", lease.name("k"))
        assert.strictEqual(yield* calls("evalsha"), before + 1)
        yield* holder.end("stored")
        assert.strictEqual(yield* lease.holder("k"), "another")
        assert.isAtMost(yield* lease.lives("k"), 100_000)
      }))

    it.effect("is taken back by its holder after a flush, unless somebody else was faster", () =>
      Effect.gen(function*() {
        const lease = yield* processes(2, { duration: "3 minutes" })
        const holder = yield* hold(lease.leases[0], "k")
        yield* hold(lease.leases[0], "l")
        const token = yield* lease.holder("k")
        yield* onAll("FLUSHALL")
        const faster = yield* hold(lease.second, "l")
        const other = yield* lease.holder("l")
        yield* TestClock.adjust("1 minute")
        yield* poll("not renewed", lease.holder("k"), (found) => found === token)
        assert.strictEqual(yield* lease.holder("l"), other)
        yield* holder.leave
        yield* faster.leave
        assert.deepStrictEqual([yield* lease.holder("k"), yield* lease.holder("l")], [null, null])
      }))

    it.effect("is over after a flush for those who wait, unless it was renewed meanwhile", () =>
      TestClock.withLive(Effect.gen(function*() {
        const lease = yield* processes(1, { duration: "1 second" })
        yield* lease.call("SET", lease.name("k"), "gone", "PX", "1000")
        const waiting = yield* wait(lease.leases[0], "k")
        yield* until.marked(lease, "k")
        yield* onAll("FLUSHALL")
        assert.strictEqual(yield* Fiber.join(waiting), "expired")
      })))

    it.effect("is waited for no longer than was said", () =>
      Effect.gen(function*() {
        const lease = yield* processes(2, { duration: "1 hour", waitAtMost: "30 seconds" })
        const holder = yield* hold(lease.leases[0], "k")
        const token = yield* lease.holder("k")
        const waiting = yield* wait(lease.second, "k")
        yield* until.marked(lease, "k")
        yield* lease.call("GET", lease.name("k"))
        // The mark is there before its answer is.
        yield* poll("waits", TestClock.adjust("30 seconds"), () => waiting.pollUnsafe() !== undefined)
        assert.strictEqual(yield* Fiber.join(waiting), "waited")
        assert.strictEqual(yield* lease.holder("k"), `${String(token)}+`)
        yield* holder.leave
      }))

    it.effect("ends for who waits also when the connection for messages is lost meanwhile", () =>
      TestClock.withLive(Effect.gen(function*() {
        const lease = yield* processes(2, hour)
        const holder = yield* hold(lease.leases[0], "k")
        const waiting = yield* wait(lease.second, "k")
        yield* until.marked(lease, "k")
        // It connects again, and hears of the end.
        yield* onAll("CLIENT", "KILL", "TYPE", "pubsub")
        yield* until.listening(lease.wake, 1)
        assert.strictEqual(waiting.pollUnsafe(), undefined)
        yield* onAll("CLIENT", "KILL", "TYPE", "pubsub")
        yield* holder.end("stored")
        assert.include(["stored", "expired"], yield* Fiber.join(waiting))
      })))

    it.effect("does not mind messages that it has not sent", () =>
      Effect.gen(function*() {
        const lease = yield* processes(2, hour)
        const holder = yield* hold(lease.leases[0], "k")
        const token = String(yield* lease.holder("k"))
        const waiting = yield* wait(lease.second, "k")
        yield* until.listening(lease.wake, 1)
        yield* until.marked(lease, "k")
        for (
          const text of [
            "",
            "stored",
            token,
            `${token} expired`,
            `other stored`,
            `${token}  stored`,
            "\u0000".repeat(1000)
          ]
        ) {
          yield* lease.call("PUBLISH", lease.wake, text)
        }
        yield* holder.end("nothing")
        assert.strictEqual(yield* Fiber.join(waiting), "nothing")
      }))

    it.effect("fails at once where something else stands at its name, and treats a text there as held", () =>
      Effect.gen(function*() {
        const lease = yield* processes(1, { duration: "1 minute" })
        yield* lease.call("RPUSH", lease.name("list"), "1")
        const error = yield* Effect.flip(Effect.scoped(lease.leases[0].take("list")))
        assert.strictEqual(reasonOf(error), "foreign")
        // Nothing would ever end it.
        yield* lease.call("SET", lease.name("text"), "x".repeat(100))
        const waiting = yield* wait(lease.leases[0], "text")
        yield* until.marked(lease, "text")
        assert.isAbove(yield* lease.lives("text"), 0)
        yield* Fiber.interrupt(waiting)
      }))

    it.effect("is given back when its holder is interrupted, and when a take was interrupted on its way", () =>
      Effect.gen(function*() {
        const lease = yield* processes(1, hour)
        const held = yield* Deferred.make<void>()
        const holder = yield* Effect.forkChild(Effect.scoped(
          Effect.andThen(lease.leases[0].take("k"), Effect.andThen(Deferred.succeed(held, undefined), Effect.never))
        ))
        yield* Deferred.await(held)
        assert.isString(yield* lease.holder("k"))
        yield* Fiber.interrupt(holder)
        assert.strictEqual(yield* lease.holder("k"), null)

        const before = yield* calls("evalsha")
        const asking = yield* Effect.forkChild(Effect.scoped(lease.leases[0].take("k")), { startImmediately: true })
        yield* Fiber.interrupt(asking)
        yield* until.called("evalsha", before + 2)
        assert.strictEqual(yield* lease.holder("k"), null)
      }))

    it.effect("is not shared by namespaces of which one is the start of the other", () =>
      Effect.gen(function*() {
        const client = yield* connect(patient)
        const start = `lease-${++namespaces}`
        for (const namespace of [start, `${start}:1`, `${start}:3:lease`, `${start}*`, `${start}{k}`, "{"]) {
          const { take } = yield* leasesOf(client, { namespace, ...hour })
          for (const key of ["k", "1:lease:k", "lease:k", "{k}", "x".repeat(1000), "\u{1f600}\n*"]) {
            assert.strictEqual((yield* take(key))._tag, "Held")
            assert.strictEqual((yield* take(key))._tag, "Taken")
          }
        }
      }))

    it.effect("does not mind a server that has forgotten its scripts", () =>
      Effect.gen(function*() {
        const lease = yield* processes(2, hour)
        yield* onAll("SCRIPT", "FLUSH")
        const holder = yield* hold(lease.leases[0], "k")
        yield* onAll("SCRIPT", "FLUSH")
        const waiting = yield* wait(lease.second, "k")
        yield* until.marked(lease, "k")
        yield* onAll("SCRIPT", "FLUSH")
        yield* holder.end("stored")
        assert.strictEqual(yield* Fiber.join(waiting), "stored")
      }))

    it.effect("has one holder at any time, of a thousand that ask at once in several processes", () =>
      TestClock.withLive(Effect.gen(function*() {
        const { leases } = yield* processes(4)
        let holders = 0
        let held = 0
        let done = false
        const one = (lease: Lease.Lease): Effect.Effect<void, CacheError.CacheError> =>
          Effect.flatMap(
            Effect.scoped(Effect.gen(function*() {
              const taking = yield* lease.take("k")
              if (taking._tag === "Taken") return yield* taking.ended
              assert.strictEqual(++holders, 1)
              held++
              yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
              assert.strictEqual(holders--, 1)
              done ||= held === 5
              taking.give(done ? "stored" : "nothing")
              return done ? "stored" : "nothing"
            })),
            (ending) => ending === "stored" || done ? Effect.void : one(lease)
          )
        yield* Effect.forEach(Array.from({ length: 1000 }, (_, n) => leases[n % 4]!), one, { concurrency: "unbounded" })
        assert.isAtLeast(held, 5)
      })))

    it.effect("leaves nothing when its layer ends while some hold and some wait (scenario 58)", () =>
      TestClock.withLive(Effect.gen(function*() {
        const outer = yield* processes(1, hour)
        const namespace = outer.wake.split(":")[0]!
        yield* hold(outer.leases[0], "b")
        // It connects to a node of a cluster when it first asks it.
        yield* Effect.forEach(["a", "b"], outer.holder)
        const before = { clients: yield* connections, handles: yield* handles }
        const ended = yield* Effect.scoped(Effect.gen(function*() {
          const held = yield* Layer.build(
            RedisLease.layer({ namespace }).pipe(
              Layer.provide(Layer.effect(RedisClient.RedisClient)(connect()))
            )
          )
          const lease = Context.get(held, Lease.Lease)!
          yield* lease.take("a")
          const waiting = yield* wait(lease, "b")
          const left = yield* wait(lease, "b")
          yield* until.listening(outer.wake, 1)
          yield* until.marked(outer, "b")
          yield* Fiber.interrupt(left)
          return waiting
        }))
        // Without its connections it cannot tell.
        assert(Exit.isFailure(yield* Fiber.await(ended)))
        assert.strictEqual(yield* outer.holder("a"), null)
        yield* until.listening(outer.wake, 0)
        yield* poll("connections", connections, (count) => count <= before.clients)
        yield* poll("timers and sockets", handles, (count) => count <= before.handles)
      })))
  })

leaseSuite("one server", single)
leaseSuite("cluster", cluster)

// Servers that a test breaks.
describe("RedisLease", () => {
  const start = Effect.fnUntraced(function*(options?: Partial<RedisClient.Options>) {
    const server = yield* RedisServer.start()
    const client = yield* RedisClient.make({ url: server.url, ...options })
    const { take } = yield* leasesOf(client, { duration: "1 second" })
    return { server, take, client }
  })

  it.live("fails at once while the server is down, and works again afterwards", () =>
    Effect.gen(function*() {
      const { server, take } = yield* start({ commandTimeout: "20 seconds" })
      const scope = yield* Scope.fork(yield* Effect.scope)
      assert.strictEqual((yield* Scope.provide(take("held"), scope))._tag, "Held")
      const waiting = yield* wait({ take }, "held")
      yield* server.until((printed) => printed.endsWith("\n1"), "PUBSUB", "NUMSUB", "effect-cached:3:wake")
      const before = performance.now()
      yield* server.kill9
      const asked = yield* Effect.flip(Effect.scoped(take("k")))
      assert.strictEqual(reasonOf(asked), "unreachable")
      assert.strictEqual(reasonOf(yield* Effect.flip(Fiber.join(waiting))), "unreachable")
      // What is held is given back to nobody.
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(performance.now() - before, 15_000)
      yield* server.restart
      yield* poll("down", Effect.exit(Effect.scoped(take("k"))), Exit.isSuccess)
    }))

  it.live("fails within the time limit of commands while the server hangs, and leaves nothing held", () =>
    Effect.gen(function*() {
      const { server, take } = yield* start({ commandTimeout: "200 millis" })
      const scope = yield* Scope.fork(yield* Effect.scope)
      yield* Scope.provide(take("held"), scope)
      yield* server.stop
      assert.strictEqual(reasonOf(yield* Effect.flip(Effect.scoped(take("k")))), "timeout")
      yield* Scope.close(scope, Exit.void)
      yield* server.cont
      // What was sent before is done now, and undone, or over after its second.
      yield* server.until((printed) => printed === "0", "EXISTS", "effect-cached:3:lease:k")
    }))

  it.live("is given back when there is a connection again, where there was none as it ended", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const proxy = yield* makeProxy(server.port)
      const client = yield* RedisClient.make({ url: proxy.url })
      const leases = yield* leasesOf(client, hour)
      const holder = yield* hold(leases, "k")
      yield* proxy.cut
      yield* poll(
        "connected",
        Effect.exit(client.run((redis) => redis.call("PING"))),
        Exit.isFailure
      )
      const before = performance.now()
      yield* holder.end("stored")
      // Who gives it back does not wait for that.
      assert.isBelow(performance.now() - before, 15_000)
      assert.strictEqual(yield* server.cli("EXISTS", "effect-cached:3:lease:k"), "1")
      yield* proxy.restore
      yield* server.until((printed) => printed === "0", "EXISTS", "effect-cached:3:lease:k")
    }))

  it.live("is not waited for where the server does not answer any more, however long it lasts", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      const leases = yield* Effect.forEach([1, 2], () =>
        Effect.flatMap(
          RedisClient.make({ url: server.url, commandTimeout: "300 millis" }),
          (client) => leasesOf(client, hour)
        ))
      yield* hold(leases[0]!, "k")
      const waiting = yield* wait(leases[1]!, "k")
      yield* server.until((printed) => printed.endsWith("\n1"), "PUBSUB", "NUMSUB", "effect-cached:3:wake")
      yield* server.stop
      const error = yield* Effect.timeout(Effect.flip(Fiber.join(waiting)), "30 seconds")
      assert.strictEqual(reasonOf(error), "timeout")
    }))

  it.live("ends for who waits and is not let listen to messages", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.start()
      yield* server.cli("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "&*", "+@all", "-subscribe")
      const url = `redis://deaf:secret@127.0.0.1:${server.port}`
      const client = yield* RedisClient.make({ url })
      const leases = yield* leasesOf(client, hour)
      const holder = yield* hold(leases, "k")
      const waiting = yield* wait(leases, "k")
      yield* server.until((printed) => printed.endsWith("+"), "GET", "effect-cached:3:lease:k")
      yield* holder.end("stored")
      assert.strictEqual(yield* Fiber.join(waiting), "expired")
    }))

  it.effect("refuses options that make no sense", () =>
    Effect.gen(function*() {
      const client = yield* RedisClient.make({ url: "redis://127.0.0.1:1" })
      for (
        const options of [
          { namespace: "" },
          { duration: 0 },
          { duration: "25 hours" },
          { duration: Infinity },
          { duration: -1 },
          { waitAtMost: NaN }
        ] as ReadonlyArray<RedisLease.Options>
      ) {
        const error = yield* Effect.flip(leasesOf(client, options))
        assert.strictEqual(error.reason._tag, "DefinitionError")
        assert.include(error.message, `RedisLease.${Object.keys(options)[0]}`)
      }
    }))
})
