/**
 * Processes of node that share a cache: each is `node.ts`, told over a channel what to do. They are killed with their scope,
 * and end by themselves with the process of the tests.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
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
  Told,
  ToProcess
} from "./messages.ts"

/** Milliseconds of the clock that all processes of the machine share. */
export const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6

/** Waits until the shared clock has passed a moment: for bounds in time, which are real time. */
export const passed = (moment: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const rest = moment - monotonic()
    if (rest < 0) return Effect.void
    const sleep = Effect.callback<void>((resume) => {
      const timer = setTimeout(() => resume(Effect.void), rest + 1)
      return Effect.sync(() => clearTimeout(timer))
    })
    return Effect.andThen(sleep, passed(moment))
  })

/** A list of what happened, on which one can wait. */
export interface Journal<A> {
  readonly all: ReadonlyArray<A>
  readonly push: (item: A) => void
  /** Waits until `find` finds something in the list. Dies after 30 seconds. */
  readonly until: <B>(what: string, find: (all: ReadonlyArray<A>) => B | undefined) => Effect.Effect<B>
}

export const makeJournal = <A>(): Journal<A> => {
  const all: Array<A> = []
  const listeners = new Set<() => void>()
  return {
    all,
    push: (item) => {
      all.push(item)
      for (const listener of listeners) listener()
    },
    until: <B>(what: string, find: (all: ReadonlyArray<A>) => B | undefined) =>
      within(
        what,
        Effect.callback<B>((resume) => {
          const listener = () => {
            const found = find(all)
            if (found === undefined) return
            listeners.delete(listener)
            resume(Effect.succeed(found))
          }
          listeners.add(listener)
          listener()
          return Effect.sync(() => listeners.delete(listener))
        })
      )
  }
}

/** A limit for what hangs. */
export const within = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    // Not by the clock of Effect, which stands still in some tests.
    const limit = Effect.callback<never>((resume) => {
      const timer = setTimeout(() => resume(Effect.die(new Error(`waited 30 s for ${what}`))), 30_000)
      return Effect.sync(() => clearTimeout(timer))
    })
    return Effect.raceFirst(effect, limit)
  })

/** One question of a computation to the source of truth. */
export interface Run {
  readonly key: string
  /** The name of the process that asked. */
  readonly by: string
  /** What it is answered. */
  readonly version: number
  readonly at: number
}

/** Data with versions: what is cached. */
export interface Source {
  /** Changes the data of a key. Its first version is 1. */
  readonly write: (key: string) => number
  readonly version: (key: string) => number
  /** The executions of computations, in their order. */
  readonly runs: Journal<Run>
  readonly count: (key: string) => number
  /**
   * From now on who reads this key is answered what it is at that moment, but only when this is released. Another hold of the
   * key takes over for those who come later.
   */
  readonly hold: (key: string) => { readonly release: () => void }
  /** How many milliseconds an answer takes. */
  readonly slow: (delay: (run: Run) => number) => void
  readonly answer: (key: string, by: string, give: (version: number) => void) => void
}

export const makeSource = (): Source => {
  const versions = new Map<string, number>()
  const runs = makeJournal<Run>()
  const holds = new Map<string, Array<() => void>>()
  let delay: ((run: Run) => number) | undefined
  const version = (key: string) => versions.get(key) ?? 1
  return {
    write: (key) => {
      versions.set(key, version(key) + 1)
      return version(key)
    },
    version,
    runs,
    count: (key) => runs.all.filter((run) => run.key === key).length,
    hold: (key) => {
      const waiting: Array<() => void> = []
      holds.set(key, waiting)
      return {
        release: () => {
          if (holds.get(key) === waiting) holds.delete(key)
          for (const give of waiting.splice(0)) give()
        }
      }
    },
    slow: (by) => {
      delay = by
    },
    answer: (key, by, give) => {
      const run = { key, by, version: version(key), at: monotonic() }
      const millis = delay?.(run) ?? 0
      const waiting = holds.get(key)
      if (waiting !== undefined) waiting.push(() => give(run.version))
      else if (millis > 0) setTimeout(() => give(run.version), millis)
      else give(run.version)
      runs.push(run)
    }
  }
}

/** A cache of a process. */
export interface Cache {
  readonly node: Node
  readonly read: (key: string) => Effect.Effect<Read, Failure>
  readonly strong: (key: string) => Effect.Effect<Read, Failure>
  /** Reads right after its thread was blocked for so long. */
  readonly blocked: (key: string, millis: number) => Effect.Effect<Read, Failure>
  /** The first read that returns at least this version. */
  readonly sees: (key: string, version: number) => Effect.Effect<Read, Failure>
  readonly invalidate: (...tags: ReadonlyArray<string>) => Effect.Effect<Invalidated>
  readonly counts: Effect.Effect<Readonly<Record<string, number>>>
  readonly setClock: (ahead: number) => Effect.Effect<void>
  readonly events: Journal<Told>
  /** Waits for an event that is told after `after`. */
  readonly tells: (event: string, after?: number) => Effect.Effect<Told>
  readonly history: Array<Happened>
  readonly load: (load: Load) => Effect.Effect<void>
  /** Ends the load, when all that was begun has ended. */
  readonly quiet: Effect.Effect<void>
  readonly close: Effect.Effect<void>
}

/** A process. */
export interface Node {
  readonly name: string
  readonly pid: number
  /** Opens a cache until the scope closes. */
  readonly open: (source: Source, settings: Settings) => Effect.Effect<Cache, Failure, Scope.Scope>
  readonly ask: (command: Command) => Effect.Effect<unknown, Failure>
  readonly cycle: (settings: Settings, times: number) => Effect.Effect<void, Failure>
  readonly inspect: Effect.Effect<Inspection>
  /** `SIGKILL`. Returns when it is gone. */
  readonly kill9: Effect.Effect<void>
  /** `SIGSTOP`. Returns when it has stopped. */
  readonly stop: Effect.Effect<void>
  readonly cont: Effect.Effect<void>
  /** Closes its caches, and lets it end by itself. Returns its exit code. */
  readonly leave: Effect.Effect<number | null>
  readonly isRunning: () => boolean
}

const here = fileURLToPath(new URL(".", import.meta.url))
const register = fileURLToPath(new URL("../bin/fixtures/register.ts", import.meta.url))

const compiled = fileURLToPath(new URL("../../node_modules/.cache/effect-cached", import.meta.url))

let started = 0
let caches = 0

const launch = async (): Promise<Node> => {
  const name = `node-${++started}`
  const child = spawn(process.execPath, ["--expose-gc", "--import", register, `${here}node.ts`, name], {
    stdio: ["ignore", "inherit", "pipe", "ipc"],
    // Many are started, one after the other compiles the same.
    env: { ...process.env, NODE_COMPILE_CACHE: compiled }
  })
  const pid = child.pid!
  guard(pid)
  let stderr = ""
  child.stderr!.setEncoding("utf8").on("data", (text: string) => void (stderr = (stderr + text).slice(-10_000)))

  const replies = new Map<number, (message: FromProcess & { readonly from: "reply" }) => void>()
  const opened = new Map<string, { readonly source: Source; readonly cache: Cache }>()
  let questions = 0
  const ready = Promise.withResolvers<void>()

  const send = (message: ToProcess) => {
    if (child.connected) child.send(message, () => {})
  }

  child.on("message", (message: FromProcess) => {
    switch (message.from) {
      case "ready":
        return ready.resolve()
      case "reply":
        replies.get(message.id)?.(message)
        return void replies.delete(message.id)
      case "source": {
        const source = opened.get(message.cache)?.source
        const give = (version: number) => send({ to: "source", id: message.id, version })
        if (source === undefined) return give(1)
        return message.write ? give(source.write(message.key)) : source.answer(message.key, name, give)
      }
      case "event":
        return opened.get(message.cache)?.cache.events.push(message.told)
      case "history":
        return void opened.get(message.cache)?.cache.history.push(...message.happened)
    }
  })

  const exited = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => {
      for (const [id, reply] of replies) {
        reply({ from: "reply", id, failure: { reason: "Gone", message: `${name} ended with ${code}: ${stderr}` } })
      }
      replies.clear()
      ready.resolve()
      resolve(code)
    })
  })

  const ask = (command: Command): Effect.Effect<unknown, Failure> =>
    within(
      `${name} to ${command.do}`,
      Effect.callback<unknown, Failure>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) {
          return resume(Effect.fail({ reason: "Gone", message: `${name} is gone: ${stderr}` }))
        }
        const id = ++questions
        replies.set(id, ({ failure, value }) =>
          resume(failure === undefined ? Effect.succeed(value) : Effect.fail(failure)))
        send({ to: "command", id, command })
      })
    )

  const told = <A>(command: Command) => ask(command) as Effect.Effect<A, Failure>

  const isRunning = () => child.exitCode === null && child.signalCode === null
  const cont = Effect.sync(() => void (isRunning() && child.kill("SIGCONT")))

  const open = Effect.fnUntraced(function*(source: Source, settings: Settings) {
    const id = `${name}.${++caches}`
    const events = makeJournal<Told>()
    const cache: Cache = {
      node,
      read: (key) => told({ do: "read", cache: id, key, strong: false }),
      strong: (key) => told({ do: "read", cache: id, key, strong: true }),
      blocked: (key, millis) => told({ do: "block", cache: id, key, millis }),
      sees: (key, version) => told({ do: "await", cache: id, key, version }),
      invalidate: (...tags) => Effect.orDie(told<Invalidated>({ do: "invalidate", cache: id, tags })),
      counts: Effect.orDie(told<Record<string, number>>({ do: "counts", cache: id })),
      setClock: (ahead) => Effect.orDie(told<void>({ do: "clock", cache: id, ahead })),
      events,
      tells: (event, after = 0) =>
        events.until(
          `${name} to tell ${event}`,
          (all) => all.find((told) => told.event === event && told.at > after)
        ),
      history: [],
      load: (load) => Effect.orDie(told<void>({ do: "load", cache: id, load })),
      quiet: Effect.orDie(told<void>({ do: "quiet", cache: id })),
      // A process that was killed, or was left stopped, has not failed.
      close: Effect.andThen(cont, Effect.ignore(ask({ do: "close", cache: id })))
    }
    opened.set(id, { source, cache })
    yield* Effect.acquireRelease(
      told<void>({ do: "open", cache: id, settings }),
      () => Effect.andThen(cache.close, Effect.sync(() => opened.delete(id)))
    )
    return cache
  })

  const node: Node = {
    name,
    pid,
    open,
    ask,
    cycle: (settings, times) => told({ do: "cycle", settings, times }),
    inspect: Effect.orDie(told<Inspection>({ do: "inspect" })),
    kill9: Effect.promise(async () => {
      child.kill("SIGKILL")
      await exited
    }),
    stop: Effect.promise(() => stop(child)),
    cont,
    leave: within(
      `${name} to end`,
      Effect.promise(() => {
        Effect.runFork(ask({ do: "leave" }))
        return exited
      })
    ),
    isRunning
  }
  await ready.promise
  if (!isRunning()) throw new Error(`${name} did not start: ${stderr}`)
  return node
}

const stop = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    const stat = `/proc/${child.pid}/stat`
    const look = () => {
      if (fs.existsSync(stat) && !/^\d+ \(.*\) [TZ]/.test(fs.readFileSync(stat, "utf8"))) setTimeout(look, 1)
      else resolve()
    }
    child.kill("SIGSTOP")
    look()
  })

let guarding: ChildProcess | undefined

// A process whose parent is gone ends by itself, unless it was stopped. This shell sees the end of the tests, however they
// end, by its input, and lets those go on which are stopped.
const guard = (pid: number) => {
  if (guarding === undefined) {
    const script = "while read pid; do pids=\"$pids $pid\"; done; kill -CONT $pids"
    guarding = spawn("sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"], detached: true })
    guarding.unref() // So that this alone does not keep the tests running.
    ;(guarding.stdin as unknown as { readonly unref: () => void }).unref()
  }
  guarding.stdin!.write(`${pid}\n`)
}

/** Starts a process of its own. */
export const start: Effect.Effect<Node, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(launch),
  ({ kill9 }) => kill9
)

/** Processes that the tests of a file share, because it takes long to start one. */
export class Nodes extends Context.Service<Nodes, {
  /** So many processes, which are nobody else's until the scope closes. */
  readonly take: (count: number) => Effect.Effect<ReadonlyArray<Node>, never, Scope.Scope>
}>()("test/Nodes") {}

/** Starts so many processes. Where a test kills some, others are started when they are needed. */
export const layer = (count: number): Layer.Layer<Nodes> =>
  Layer.effect(Nodes)(Effect.gen(function*() {
    const idle: Array<Node> = []
    yield* Effect.addFinalizer(() => Effect.forEach(idle, ({ kill9 }) => kill9, { discard: true }))
    const launched = Effect.promise(launch)
    idle.push(...yield* Effect.all(Array.from({ length: count }, () => launched), { concurrency: "unbounded" }))
    const one = Effect.suspend(() => {
      const node = idle.pop()
      return node === undefined ? launched : Effect.succeed(node)
    })
    return Nodes.of({
      take: (count) =>
        Effect.all(
          Array.from({ length: count }, () =>
            Effect.acquireRelease(one, (node) =>
              Effect.andThen(
                node.cont,
                Effect.sync(() => void (node.isRunning() && idle.push(node)))
              ))),
          { concurrency: "unbounded" }
        )
    })
  }))
