/**
 * Runs a plan: processes with the real log, graph and cache, in a world of their own, and a checker that knows what every
 * read may return.
 */
import { Cause, Clock, Context, Effect, Exit, Layer, Logger, Scheduler, Schema, Scope } from "effect"
import {
  addDeps,
  Broadcaster,
  Cached,
  type CacheError,
  DependencyGraph,
  Lease,
  ResultCache,
  Store
} from "effect-cached"
import { airborne, landings } from "../../src/internal/flight.ts"
import { makeLinkedLog } from "../../src/internal/linkedLog/linkedLog.ts"
import { makeRandom } from "../random.ts"
import { theFlight } from "./flight.ts"
import { type Link, makeHost, makeLease, makeLink, makeRemote, makeStore } from "./network.ts"
import { describeStep, keys, type Plan, type Timed, type Way } from "./plan.ts"
import { type Broken, makeServer } from "./server.ts"
import { epoch, makeProcess, makeWorld, type Process } from "./world.ts"

export interface Outcome {
  /** What should not have happened. */
  readonly violations: ReadonlyArray<string>
  /** What happened, line by line. */
  readonly history: ReadonlyArray<string>
  readonly counts: Counts
}

export interface Counts {
  reads: number
  computed: number
  gaps: number
  failedWrites: number
  losses: number
}

type Versions = Readonly<Record<string, number>>
const Versions = Schema.Record(Schema.String, Schema.Number)

interface Commit {
  readonly version: number
  readonly at: number
  readonly node: Node
  readonly ok: boolean
}

/** A process, from its start to its end. */
interface Node {
  readonly name: string
  readonly index: number
  readonly startedAt: number
  readonly process: Process
  readonly commands: Link
  readonly waiting: Link
  readonly open: Set<string>
  /** The computations that have a lease, and whether they have made use of it. */
  readonly held: Map<object, boolean>
  functions: Functions | undefined
  scope: Scope.Closeable | undefined
}

interface Functions {
  readonly read: (what: string, strong: boolean) => Effect.Effect<Versions, unknown>
  readonly invalidate: (tag: string) => Effect.Effect<void, CacheError.CacheError>
}

export const run = (plan: Plan, broken: ReadonlySet<Broken> = new Set()): Outcome => {
  // Thousands of errors are made that nobody looks at.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return runPlan(plan, broken)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

const runPlan = ({ setting, steps }: Plan, broken: ReadonlySet<Broken>): Outcome => {
  const { calm, commandTimeout, maxStaleness, seed } = setting
  const world = makeWorld()
  const host = makeHost(world)
  const server = makeServer(world, { ...setting, skew: setting.serverSkew }, broken)
  const history: Array<string> = []
  const violations: Array<string> = []
  const counts: Counts = { reads: 0, computed: 0, gaps: 0, failedWrites: 0, losses: 0 }
  let killed = false
  let finishing = false
  airborne.count = 0

  const say = (line: string) => {
    history.push(`${((world.now() - epoch) / 1000).toFixed(3).padStart(10)} ms  ${line}`)
  }
  const violated = (line: string) => {
    violations.push(line)
    say(`VIOLATION: ${line}`)
  }

  // The source of truth, and what readers have to see of it from when on.
  const versions = new Map<string, number>(keys.map((key) => [key, 1]))
  const writing = new Set<string>()
  const commits = new Map<string, Array<Commit>>(keys.map((key) => [key, []]))

  const leastFor = (key: string, node: Node, strong: boolean): number => {
    const now = world.now()
    let least = 1
    for (const { at, node: by, ok, version } of commits.get(key)!) {
      const binding = by === node || (ok && (strong || at <= node.startedAt || at + maxStaleness * 1000 <= now))
      if (binding && version > least) least = version
    }
    return least
  }

  let lives = 0
  const boot = (index: number): Node => {
    lives++
    const process = makeProcess(world, seed * 31 + lives, setting.skews[index]!)
    const makeWay = (way: number) => makeLink(world, host, process, seed * 131 + lives * 2 + way, setting.inOrder)
    const node: Node = {
      name: `node ${index}${lives > setting.skews.length ? ` (life ${lives})` : ""}`,
      index,
      startedAt: world.now(),
      process,
      commands: makeWay(0),
      waiting: makeWay(1),
      open: new Set(),
      held: new Map(),
      functions: undefined,
      scope: undefined
    }
    const random = makeRandom(seed * 57 + lives)

    const observed = (broadcaster: Broadcaster.Broadcaster["Service"]): Broadcaster.Broadcaster["Service"] => ({
      ...broadcaster,
      follow: (follower) =>
        broadcaster.follow((change) => {
          switch (change._tag) {
            case "Heartbeat":
              break
            case "Record":
              say(`${node.name} is told ${change.position}: ${change.tags.join(" ") || "everything"}`)
              break
            case "Gap":
              counts.gaps++
              say(`${node.name} is told of a gap up to ${change.position}`)
              break
            case "Lost":
              counts.losses++
              say(`${node.name} is told that the log is lost: ${change.error.message}`)
          }
          follower(change)
        })
    })

    const compute = Effect.fnUntraced(function*(name: string, key: string) {
      counts.computed++
      begins(node, `${name} ${key}`, yield* theFlight)
      const [before, after] = calm || finishing
        ? [random.below(3), random.below(3)]
        : random.pick([[0, 0], [0, 1], [1, 0], [5, 20], [2, maxStaleness / 3], [
          1,
          random.below(5) === 0 ? maxStaleness * 2 : 1
        ]])
      if (before > 0) yield* Effect.sleep(before)
      const version = versions.get(key)!
      say(`${node.name} computes ${name} ${key} = ${version}`)
      if (after > 0) yield* Effect.sleep(after)
      // Late, so that who joins meanwhile cannot know of it.
      yield* addDeps(key)
      return { [key]: version }
    })

    const start = Effect.gen(function*() {
      const scope = yield* Scope.make()
      node.scope = scope
      const log = yield* Scope.provide(
        makeLinkedLog(makeRemote(node.commands, node.waiting, server, process, commandTimeout), {
          maxStaleness,
          limit: commandTimeout
        }),
        scope
      )
      const near = Store.layerMemory({ maxEntries: setting.maxEntries })
      const far = Layer.succeed(Store.Store)(makeStore(node.commands, server, process, world, commandTimeout))
      const cache = ResultCache.layer({ storeTimeout: commandTimeout }).pipe(
        Layer.provide([
          Store.layerTiered({ near, far }),
          DependencyGraph.layer({ maxMarks: setting.maxMarks }),
          Layer.succeed(Broadcaster.Broadcaster)(observed(log))
        ])
      )
      const context = yield* Layer.buildWithScope(Layer.fresh(cache), scope)
      const { clear, invalidate } = Context.get(context, ResultCache.ResultCache)
      const make = Effect.gen(function*() {
        const definition = {
          input: { key: Schema.String },
          success: Versions,
          timeToLive: "1 hour",
          deps: ({ key }: { readonly key: string }) => key === "b:1" ? [key] : []
        } as const
        const value = yield* Cached.make("value", definition, ({ key }) => compute("value", key))
        const strong = yield* Cached.make(
          "strong",
          { ...definition, consistency: "strong" },
          ({ key }) => compute("strong", key)
        )
        const pair = yield* Cached.make(
          "pair",
          { input: { keys: Schema.String }, success: Versions, timeToLive: "1 hour" },
          ({ keys: both }) =>
            Effect.map(
              Effect.forEach(both.split("+"), (key) => value({ key }), { concurrency: "unbounded" }),
              (parts): Versions => Object.assign({}, ...parts)
            )
        )
        return { value, strong, pair }
      })
      const { pair, strong, value } = yield* Effect.provide(make, context)
      node.functions = {
        read: (what, strongly) =>
          what.includes("+") ? pair({ keys: what }) : strongly ? strong({ key: what }) : value({ key: what }),
        invalidate: (tag) => tag === "" ? clear : invalidate([tag])
      }
      say(`${node.name} has started`)
    })
    fork(node, "start", start)
    return node
  }

  const services = (node: Node) => {
    const lease = makeLease(
      node.commands,
      server,
      { duration: maxStaleness / 2, waitAtMost: maxStaleness * 2, commandTimeout },
      (flight) => node.held.set(flight, false)
    )
    return Context.make(Clock.Clock, node.process.clock).pipe(
      Context.add(Scheduler.Scheduler, node.process.scheduler),
      Context.add(Scheduler.MaxOpsBeforeYield, setting.maxOps),
      Context.add(Logger.CurrentLoggers, new Set()),
      Context.add(Lease.Lease, setting.leases ? lease : undefined)
    )
  }

  // Runs something in a process. What nobody has finished in the end is found there.
  let operations = 0
  const fork = (node: Node, what: string, effect: Effect.Effect<void, unknown>) => {
    const name = `${what} (${++operations})`
    node.open.add(name)
    node.process.enqueue(() => {
      const fiber = Effect.runForkWith(services(node))(effect)
      fiber.addObserver((exit) => {
        node.open.delete(name)
        if (Exit.isFailure(exit)) violated(`${node.name}, ${what}: ${Cause.pretty(exit.cause)}`)
      })
    })
  }

  // One execution for each lease. Where nothing fails there is none without, and none that nothing has made necessary.
  const executed = new Map<string, number>()
  const begins = (node: Node, what: string, flight: object) => {
    const used = node.held.get(flight)
    if (used === true) violated(`${node.name} computes ${what} again under the same lease`)
    if (used === false) node.held.set(flight, true)
    if (!calm || !setting.leases) return
    // Who comes after an invalidation does not stand behind a computation here that was ended by it.
    const mayDoWithout = lastInvalidated(what) + calmest >= world.now()
    if (used === undefined && !mayDoWithout) {
      violated(`${node.name} computes ${what} without a lease, and nothing fails`)
    }
    const before = executed.get(what)
    if (before !== undefined && lastInvalidated(what) + calmest < before) {
      violated(`${node.name} computes ${what} though nothing has ended what was computed before`)
    }
    executed.set(what, world.now())
  }

  // When an invalidation that a computation depends on was under way for the last time.
  const lastInvalidated = (what: string): number => {
    const about = keys.filter((key) => what.includes(key))
    return Math.max(...about.map((key) => writing.has(key) ? world.now() : commits.get(key)!.at(-1)?.at ?? 0))
  }

  const read = (node: Node, what: string, strong: boolean) => {
    const { functions } = node
    if (functions === undefined) return
    fork(
      node,
      `read ${what}`,
      Effect.suspend(() => {
        counts.reads++
        const least = what.split("+").map((key) => [key, leastFor(key, node, strong)] as const)
        const startedAt = world.now()
        return Effect.matchCauseEffect(functions.read(what, strong), {
          onFailure: (cause) => Effect.sync(() => violated(`${node.name} reads ${what}: ${Cause.pretty(cause)}`)),
          onSuccess: (found) =>
            Effect.sync(() => {
              const shown = Object.entries(found).map(([key, version]) => `${key} = ${version}`).join(", ")
              const since = ((world.now() - startedAt) / 1000).toFixed(3)
              say(`${node.name} ${strong ? "strongly " : ""}reads ${shown} (asked ${since} ms ago)`)
              for (const [key, version] of least) {
                if (found[key]! >= version) continue
                violated(
                  `${node.name} reads version ${found[key]} of ${key}, and ${version} was the least it could be given`
                )
              }
            })
        })
      })
    )
  }

  const write = (node: Node, tag: string) => {
    const { functions } = node
    if (functions === undefined) return
    fork(
      node,
      `invalidate ${tag}`,
      Effect.suspend(() => {
        const about = keys.filter((key) => key.startsWith(tag))
        for (const key of about) versions.set(key, versions.get(key)! + 1)
        const written = about.map((key) => [key, versions.get(key)!] as const)
        for (const key of about) writing.add(key)
        const shown = written.map(([key, version]) => `${key} = ${version}`).join(", ")
        say(`${node.name} has written ${shown} and invalidates ${tag || "everything"}`)
        return Effect.map(Effect.exit(functions.invalidate(tag)), (exit) => {
          const ok = Exit.isSuccess(exit)
          if (!ok) counts.failedWrites++
          for (const [key, version] of written) {
            commits.get(key)!.push({ version, at: world.now(), node, ok })
            if (versions.get(key) === version) writing.delete(key)
          }
          say(`${node.name} has ${ok ? "invalidated" : "failed to invalidate"} ${tag || "everything"} (${shown})`)
        })
      })
    )
  }

  const nodes = setting.skews.map((_, index) => boot(index))
  const apply = (step: Timed) => {
    const left = Math.max(0, setting.duration - step.at)
    const node = "node" in step ? nodes[step.node] : undefined
    if ("node" in step && node === undefined) return
    if (step.do !== "read" && step.do !== "write") say(`* ${describeStep(step)}`)
    switch (step.do) {
      case "read":
        return read(node!, step.what, step.strong)
      case "write":
        return write(node!, step.tag)
      case "pause":
        return node!.process.pause(Math.min(step.millis, left) * 1000, step.suspended)
      case "kill":
        killed = true
        node!.process.kill()
        for (const link of [node!.commands, node!.waiting]) link.close()
        return
      case "restart":
        if (node!.process.isAlive()) return
        nodes[step.node] = boot(step.node)
        return
      case "step clock":
        return node!.process.step(step.micros)
      case "cut":
        for (const link of linksOf(node!, step.way)) link.cut(Math.min(step.millis, left) * 1000, step.silent)
        return
      case "weather":
        for (const { weather } of linksOf(node!, step.way)) {
          Object.assign(weather, { delay: step.delay, loseReplies: step.loseReplies, loseRequests: step.loseRequests })
          world.after(
            Math.min(step.millis, left) * 1000,
            () => Object.assign(weather, { delay: 500, loseReplies: 0, loseRequests: 0 })
          )
        }
        return
      case "stop server":
        return host.stop(Math.min(step.millis, left) * 1000)
      case "fail over":
        host.crash(Math.min(step.millis, left) * 1000)
        return server.failOver(step.lost, step.skew)
      case "step server clock":
        return server.jump(step.micros)
      case "flush":
        return server.flush()
      case "evict log":
        return server.evictLog()
      case "evict entries":
        return server.evictEntries()
      case "trim":
        return server.trim(step.to)
      case "delete record":
        return server.removeRecord(step.fromEnd)
      case "intrude":
        return server.intrude(step.how)
    }
  }

  const pass = (millis: number) => world.runUntil(world.now() + millis * 1000)

  // Time for all to start.
  pass(commandTimeout)
  const begin = world.now()
  for (const step of steps) {
    world.runUntil(Math.max(world.now(), begin + step.at * 1000))
    apply(step)
    if (violations.length > 0) return { violations, history, counts }
  }
  world.runUntil(Math.max(world.now(), begin + setting.duration * 1000))

  say("* all is well again")
  finishing = true
  for (const [index, node] of nodes.entries()) if (!node.process.isAlive()) nodes[index] = boot(index)
  pass(maxStaleness * 3)

  const quiet = (what: string) => {
    for (const node of nodes) {
      for (const name of node.open) violated(`${node.name} has still not finished: ${name} ${what}`)
    }
  }
  quiet("when all has been well for long")

  // Everyone has heard of everything that was taken, and of what is delivered later.
  const everyoneReads = (why: string) => {
    for (const node of nodes) {
      for (const key of keys) {
        const least = Math.max(
          1,
          ...commits.get(key)!.filter(({ node: by, ok }) => ok || (retries && by.process.isAlive())).map((
            { version }
          ) => version)
        )
        const { functions } = node
        if (functions === undefined) {
          violated(`${node.name} has not started`)
          continue
        }
        fork(
          node,
          `read ${key} ${why}`,
          Effect.gen(function*() {
            const { [key]: version } = yield* functions.read(key, false)
            say(`${node.name} reads ${key} = ${version} ${why}`)
            if (version! < least) violated(`${node.name} reads version ${version} of ${key} ${why}, not ${least}`)
            const { computed } = counts
            yield* functions.read(key, false)
            if (counts.computed > computed) violated(`${node.name} computes again what it has just read`)
          })
        )
        pass(30)
      }
    }
    quiet(why)
  }
  if (violations.length === 0) {
    everyoneReads("in the end")
  }
  if (violations.length === 0) {
    for (const key of keys) write(nodes[0]!, key)
    pass(100)
    everyoneReads("after a last write")
  }

  // Nothing is left.
  for (const node of nodes) {
    if (node.scope !== undefined) fork(node, "close", Scope.close(node.scope, Exit.void))
  }
  pass(maxStaleness * 2)
  for (const node of nodes) {
    for (const name of node.open) violated(`${node.name} has not finished when its cache was closed: ${name}`)
    const left = [node.process.pending(), node.commands.pending(), node.waiting.pending()]
    if (left.some((number) => number > 0)) {
      violated(`${node.name} has left timers and tasks, commands, waits: ${left.join(", ")}`)
    }
  }
  if (!killed) {
    if (server.waiting() > 0) violated(`the server has ${server.waiting()} who wait for it`)
    if (airborne.count !== 0 || landings.depth !== 0) violated("computations still run")
  }
  airborne.count = 0
  return { violations, history, counts }
}

const linksOf = (node: Node, way: Way) => way === "both" ? [node.commands, node.waiting] : [node[way]]

/** Whether records that the log did not take are delivered later. */
const retries = true

/** How long, in microseconds, a computation and all of its messages take where nothing fails. */
const calmest = 60_000
