/**
 * A process of the tests: it opens caches over Redis, and does what it is told over the channel to its parent. The source of
 * truth, which its computations read, is in the parent.
 */
import * as Cached from "effect-cached/Cached"
import type * as CacheError from "effect-cached/CacheError"
import type * as CacheEvent from "effect-cached/CacheEvent"
import * as ResultCache from "effect-cached/ResultCache"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { makeRandom } from "../random.ts"
import { layerOf } from "./cacheLayer.ts"
import type {
  Command,
  Failure,
  FromProcess,
  Happened,
  Inspection,
  Invalidated,
  Load,
  Read,
  Settings,
  ToProcess,
  Value
} from "./messages.ts"

const name = process.argv[2]!

const tell = (message: FromProcess) => {
  // A parent that is gone hears nothing any more.
  if (process.connected) process.send!(message, () => {})
}

const monotonic = () => Number(process.hrtime.bigint()) / 1e6

// --- the source of truth ---

const asked = new Map<number, (version: number) => void>()
let questions = 0

const source = (cache: string, key: string, write: boolean) =>
  Effect.callback<number>((resume) => {
    const id = ++questions
    asked.set(id, (version) => resume(Effect.succeed(version)))
    tell({ from: "source", id, cache, key, write })
    return Effect.sync(() => asked.delete(id))
  })

// --- caches ---

interface OpenCache {
  readonly run: <A, E>(effect: Effect.Effect<A, E, ResultCache.ResultCache>) => Effect.Effect<A, E>
  readonly read: (key: string, strong: boolean) => Effect.Effect<Value, CacheError.CacheError>
  readonly setClock: (ahead: number) => void
  readonly close: Effect.Effect<void>
}

const caches = new Map<string, OpenCache>()

const makeClock = (initially: number) => {
  let ahead = initially
  const nanos = (real: bigint) => real + BigInt(ahead) * 1_000_000n
  const wall = (): number => real.currentTimeMillisUnsafe() + ahead
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: wall,
    currentTimeMillis: Effect.sync(wall),
    currentTimeNanosUnsafe: () => nanos(real.currentTimeNanosUnsafe()),
    currentTimeNanos: Effect.sync(() => nanos(real.currentTimeNanosUnsafe())),
    monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: real.monotonicTimeNanos,
    sleep: (duration) => real.sleep(duration)
  }
  return { clock, set: (to: number) => void (ahead = to) }
}

const real = Effect.runSync(Clock.Clock)

const Answer = Schema.Struct({ version: Schema.Number, by: Schema.String })

const frequent = new Set(["Hit", "Miss", "Joined", "Stored", "Rejected", "Invalidated"])

const onEvent = (cache: string) => (event: CacheEvent.CacheEvent) => {
  if (frequent.has(event._tag)) return
  const error = "error" in event ? event.error : undefined
  tell({
    from: "event",
    cache,
    told: {
      event: event._tag,
      at: monotonic(),
      key: "key" in event ? event.key : undefined,
      position: "position" in event ? event.position : undefined,
      reason: error?.reason._tag,
      message: error?.message
    }
  })
}

const open = Effect.fnUntraced(function*(cache: string, settings: Settings) {
  const scope = yield* Scope.make()
  const { clock, set } = makeClock(settings.clockAhead)
  const layer = layerOf(settings, onEvent(cache))
  const compute = ({ key }: { readonly key: string }) =>
    Effect.map(source(cache, key, false), (version) => ({ version, by: name }))
  const definition = {
    input: { key: Schema.String },
    success: Answer,
    deps: ({ key }: { readonly key: string }) => [`item:${key}`],
    ...settings.timeToLive > 0 ? { timeToLive: settings.timeToLive } : {}
  }
  const made = yield* Effect.gen(function*() {
    const context = yield* Layer.buildWithScope(Layer.fresh(layer), scope)
    const plain = yield* Effect.provide(Cached.make("item", definition, compute), context)
    const strong = yield* Effect.provide(
      Cached.make("strong", { ...definition, consistency: "strong" }, compute),
      context
    )
    return { context, plain, strong }
  }).pipe(
    Effect.provideService(Clock.Clock, clock),
    Effect.provideService(Scope.Scope, scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
  const context = Context.add(made.context, Clock.Clock, clock)
  return {
    run: (effect) => Effect.provide(effect, context),
    read: (key, strong) =>
      Effect.provideService(strong ? made.strong({ key }) : made.plain({ key }), Clock.Clock, clock),
    setClock: set,
    close: Scope.close(scope, Exit.void)
  } satisfies OpenCache
})

const named = (cache: string): OpenCache => {
  const found = caches.get(cache)
  if (found === undefined) throw new Error(`no cache ${cache}`)
  return found
}

// --- commands ---

const read = (cache: OpenCache, key: string, strong: boolean): Effect.Effect<Read, CacheError.CacheError> =>
  Effect.suspend(() => {
    const started = monotonic()
    return Effect.map(cache.read(key, strong), (value) => ({ ...value, started, ended: monotonic() }))
  })

const invalidate = (cache: OpenCache, tags: ReadonlyArray<string>): Effect.Effect<Invalidated> =>
  Effect.suspend(() => {
    const started = monotonic()
    return Effect.matchCause(cache.run(ResultCache.invalidate(...tags)), {
      onSuccess: () => ({ started, ended: monotonic(), failure: undefined }),
      onFailure: (cause) => ({ started, ended: monotonic(), failure: failureOf(Exit.failCause(cause)) })
    })
  })

const failureOf = (exit: Exit.Exit<unknown, unknown>): Failure => {
  const found = Exit.findErrorOption(exit)
  const error = found._tag === "Some" ? found.value as CacheError.CacheError : undefined
  if (error?.reason === undefined) {
    return { reason: "Defect", message: Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "none" }
  }
  return { reason: error.reason._tag, message: error.message }
}

const collected: () => number = () => {
  for (let time = 0; time < 3; time++) globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const inspect = Effect.sync((): Inspection => ({
  resources: process.getActiveResourcesInfo().toSorted(),
  heap: collected()
}))

const closeAll = Effect.suspend(() => {
  const all = [...caches.values()]
  caches.clear()
  return Effect.forEach(all, ({ close }) => close, { discard: true, concurrency: "unbounded" })
})

const loads = new Map<string, Fiber.Fiber<unknown, unknown>>()

const run = (command: Command): Effect.Effect<unknown, unknown> => {
  switch (command.do) {
    case "open":
      return Effect.map(open(command.cache, command.settings), (cache) => void caches.set(command.cache, cache))
    case "close":
      return Effect.suspend(() => {
        const cache = caches.get(command.cache)
        caches.delete(command.cache)
        return cache?.close ?? Effect.void
      })
    case "read":
      return read(named(command.cache), command.key, command.strong)
    case "block":
      return Effect.suspend(() => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, command.millis)
        return read(named(command.cache), command.key, false)
      })
    case "await":
      return Effect.repeat(
        Effect.andThen(Effect.sleep(1), Effect.suspend(() => read(named(command.cache), command.key, false))),
        { until: ({ version }) => version >= command.version }
      )
    case "invalidate":
      return invalidate(named(command.cache), command.tags)
    case "counts":
      return named(command.cache).run(ResultCache.ResultCache.use(({ counts }) => counts))
    case "clock":
      return Effect.sync(() => named(command.cache).setClock(command.ahead))
    case "cycle":
      return Effect.repeat(cycle(command.settings), { times: command.times - 1 })
    case "inspect":
      return inspect
    case "leave":
      return closeAll
    case "load":
      return Effect.sync(() => {
        loads.set(command.cache, Effect.runFork(generate(command.cache, named(command.cache), command.load)))
      })
    case "quiet":
      return Effect.suspend(() => {
        const fiber = loads.get(command.cache)
        loads.delete(command.cache)
        if (fiber === undefined) return Effect.void
        return Effect.flatMap(
          Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)),
          (exit) => Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? exit : Effect.void
        )
      })
  }
}

const cycle = Effect.fnUntraced(function*(settings: Settings) {
  const cache = yield* open("cycle", settings)
  yield* cache.read("cycled", false)
  yield* cache.run(ResultCache.invalidate("item:cycled"))
  yield* cache.close
})

// --- load ---

// Reads and writes until it is interrupted. What a reader or writer has begun, it finishes: whoever tells this to be quiet
// learns in that way that nothing hangs.
const generate = Effect.fnUntraced(function*(label: string, cache: OpenCache, load: Load) {
  const { below, pick } = makeRandom(load.seed)
  let happened: Array<Happened> = []
  const flush = Effect.sync(() => {
    if (happened.length > 0) tell({ from: "history", cache: label, happened })
    happened = []
  })
  const reader = Effect.uninterruptible(Effect.suspend(() => {
    const key = pick(load.keys)
    const strong = below(5) === 0
    return Effect.map(
      read(cache, key, strong),
      ({ ended, started, version }) => happened.push({ did: "read", key, strong, version, started, ended })
    )
  }))
  const writer = Effect.uninterruptible(Effect.gen(function*() {
    const key = pick(load.keys)
    const version = yield* source(label, key, true)
    const { ended, failure, started } = yield* invalidate(cache, [`item:${key}`])
    happened.push({ did: "invalidate", key, version, ok: failure === undefined, started, ended })
  }))
  const forever = (each: Effect.Effect<unknown, CacheError.CacheError>, times: number, pause: number) =>
    Effect.forEach(
      Array.from({ length: times }),
      () => Effect.forever(Effect.andThen(each, Effect.suspend(() => Effect.sleep(below(pause))))),
      { concurrency: "unbounded", discard: true }
    )
  yield* Effect.all([
    forever(reader, load.readers, 10),
    forever(writer, load.writers, 800),
    Effect.forever(Effect.andThen(Effect.sleep(50), flush))
  ], { concurrency: "unbounded", discard: true }).pipe(Effect.ensuring(flush))
})

// --- the channel ---

const ToStderr = Logger.layer([
  Logger.make(({ logLevel, message }) => void process.stderr.write(`${name} ${logLevel}: ${String(message)}\n`))
])

process.on("message", (message: ToProcess) => {
  if (message.to === "source") {
    asked.get(message.id)?.(message.version)
    asked.delete(message.id)
    return
  }
  const { command, id } = message
  Effect.runFork(Effect.provide(Effect.suspend(() => run(command)), ToStderr)).addObserver((exit) => {
    tell(
      Exit.isSuccess(exit)
        ? { from: "reply", id, value: exit.value }
        : { from: "reply", id, failure: failureOf(exit) }
    )
    if (command.do !== "leave") return
    process.off("disconnect", orphaned)
    process.disconnect()
  })
})

const orphaned = () => process.exit(1)
process.on("disconnect", orphaned)

tell({ from: "ready" })
