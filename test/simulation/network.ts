/**
 * What lies between the processes and the server: requests and replies take their time, get lost, or find that there is no
 * way at all.
 */
import { Deferred, Effect, Option, type Scope, Stream } from "effect"
import { CacheEntry, CacheError, type Lease, Store } from "effect-cached"
import type { Answer, Found, Remote } from "../../src/internal/linkedLog/remote.ts"
import { makeRandom } from "../random.ts"
import { theFlight } from "./flight.ts"
import type { Server } from "./server.ts"
import type { Process, World } from "./world.ts"

/** The server as it is reached: it may not listen, or not now. */
export interface Host {
  /** What it receives is dealt with in this order. */
  readonly receive: (deal: () => void) => void
  /** It stands still for so many microseconds; what arrives meanwhile waits. */
  readonly stop: (micros: number) => void
  /** It is gone for so many microseconds, with all that it has received. */
  readonly crash: (micros: number) => void
  readonly isUp: () => boolean
  /** Called when it crashes. */
  readonly links: Set<Link>
}

export const makeHost = (world: World): Host => {
  let stoppedUntil = 0
  let downUntil = 0
  let life = 0
  const links = new Set<Link>()
  return {
    receive: (deal) => {
      if (world.now() < downUntil) return
      if (world.now() >= stoppedUntil) return deal()
      const started = life
      world.after(stoppedUntil - world.now(), () => {
        if (life === started) deal()
      })
    },
    stop: (micros) => {
      stoppedUntil = Math.max(stoppedUntil, world.now() + micros)
    },
    crash: (micros) => {
      life++
      downUntil = Math.max(downUntil, world.now() + micros)
      for (const link of links) link.broke()
    },
    isUp: () => world.now() >= downUntil,
    links
  }
}

export interface Weather {
  /** Microseconds that a message takes on its way. */
  delay: number
  /** How many of a hundred requests and replies are lost. */
  loseRequests: number
  loseReplies: number
}

/** The way of one process to the server. */
export interface Link {
  readonly weather: Weather
  /** No connection for so many microseconds. `silent`: nobody is told, what is sent just does not arrive. */
  readonly cut: (micros: number, silent: boolean) => void
  /** The server has closed all connections. */
  readonly broke: () => void
  /** The process is gone. */
  readonly close: () => void
  /** Sends a request, and waits for its reply or for so many milliseconds. `deal` may return how to give up waiting. */
  readonly request: <A>(
    what: string,
    millis: number,
    deal: (reply: (answer: A) => void) => void | (() => void)
  ) => Effect.Effect<A, Unreachable>
  /** Sends something that nobody waits for. */
  readonly send: (deal: () => void) => void
  /** What the server sends by itself. */
  readonly push: (deliver: () => void) => void
  readonly pending: () => number
}

export class Unreachable {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

export const makeLink = (world: World, host: Host, process: Process, seed: number, inOrder: boolean): Link => {
  const random = makeRandom(seed)
  const weather: Weather = { delay: 500, loseRequests: 0, loseReplies: 0 }
  const pending = new Set<{ readonly breaks: () => void; readonly leave: () => void }>()
  let cutUntil = 0
  let silent = false
  let connection = 0
  const arrived = { there: 0, back: 0 }

  const isCut = () => world.now() < cutUntil
  const loses = (percent: number) => percent > 0 && random.below(100) < percent

  const travel = (way: "there" | "back", arrive: () => void) => {
    // Most are quick, and a few are not.
    const slow = random.below(20) === 0 ? 10 : 1
    const at = world.now() + Math.floor(weather.delay * slow * (50 + random.below(100)) / 100)
    arrived[way] = inOrder ? Math.max(arrived[way] + 1, at) : at
    const sent = connection
    world.after(arrived[way] - world.now(), () => {
      // What is on its way when the connection breaks may arrive or not.
      if (isCut() || (sent !== connection && (way === "back" || random.below(2) === 0))) return
      arrive()
    })
  }

  const broke = () => {
    connection++
    const broken = Array.from(pending)
    pending.clear()
    process.enqueue(() => {
      for (const { breaks } of broken) breaks()
    })
  }

  const link: Link = {
    weather,
    cut: (micros, quietly) => {
      cutUntil = Math.max(cutUntil, world.now() + micros)
      silent = quietly
      if (quietly) connection++
      else broke()
    },
    broke,
    close: () => {
      for (const { leave } of pending) leave()
      pending.clear()
      connection++
      host.links.delete(link)
    },
    request: <A>(
      what: string,
      millis: number,
      deal: (reply: (answer: A) => void) => void | (() => void)
    ) =>
      Effect.callback<A, Unreachable>((resume) => {
        let giveUp: void | (() => void) = undefined
        let over = false
        const end = () => {
          if (over) return false
          over = true
          pending.delete(waiting)
          giveUp?.()
          cancelTimer()
          return true
        }
        const fail = (why: string) => {
          if (end()) resume(Effect.fail(new Unreachable(`${what}: ${why}`)))
        }
        const waiting = { breaks: () => fail("the connection was lost"), leave: () => giveUp?.() }
        const cancelTimer = process.after(millis, () => fail(`no answer within ${millis} ms`))
        if ((isCut() && !silent) || !host.isUp()) {
          process.enqueue(() => fail("cannot be reached"))
          return Effect.sync(() => void end())
        }
        pending.add(waiting)
        if (!isCut() && !loses(weather.loseRequests)) {
          travel("there", () =>
            host.receive(() => {
              giveUp = deal((answer) => {
                if (loses(weather.loseReplies)) return
                travel("back", () =>
                  process.enqueue(() => {
                    if (end()) resume(Effect.succeed(answer))
                  }))
              })
              if (over) giveUp?.()
            }))
        }
        return Effect.sync(() => void end())
      }),
    send: (deal) => {
      if (isCut() || !host.isUp() || loses(weather.loseRequests)) return
      travel("there", () => host.receive(deal))
    },
    push: (deliver) => {
      if (isCut() || loses(weather.loseReplies)) return
      travel("back", () => process.enqueue(deliver))
    },
    pending: () => pending.size
  }
  host.links.add(link)
  return link
}

const logError = ({ message }: Unreachable) =>
  new CacheError.CacheError({ reason: new CacheError.LogError({ message, cause: undefined }) })

/** The log, as one process reaches it. */
export const makeRemote = (
  link: Link,
  waiting: Link,
  server: Server,
  process: Process,
  commandTimeout: number
): Remote => ({
  ask: (question) =>
    Effect.suspend(() => {
      const askedAt = process.clock.currentTimeMillisUnsafe() * 1000
      return link.request<Answer>("ask", commandTimeout, (reply) => reply(server.ask(question, askedAt)))
    }).pipe(Effect.mapError(logError)),
  wait: (after, millis) =>
    Effect.mapError(
      waiting.request<ReadonlyArray<Found>>("wait", millis + commandTimeout, (reply) =>
        server.wait(after, millis, process.clock.currentTimeMillisUnsafe() * 1000, reply)),
      logError
    )
})

/** The entries, as one process reaches them. */
export const makeStore = (
  link: Link,
  server: Server,
  process: Process,
  world: World,
  commandTimeout: number
): Store.Store["Service"] => {
  const now = () => process.clock.currentTimeMillisUnsafe()
  const request = <A>(operation: CacheError.StoreError["operation"], deal: () => A) =>
    Effect.mapError(
      link.request<A>(operation, commandTimeout, (reply) => reply(deal())),
      ({ message }) =>
        new CacheError.CacheError({ reason: new CacheError.StoreError({ operation, message, cause: message }) })
    )
  return Store.Store.of({
    remote: true,
    peek: () => undefined,
    get: (key) =>
      Effect.map(request("get", () => server.get(key)), (kept) =>
        kept === undefined
          ? undefined
          : new CacheEntry.CacheEntry({ ...kept[0], expiresAt: now() + (kept[1] - world.now()) / 1000 })),
    set: (entry) => {
      const micros = (entry.expiresAt - now()) * 1000
      return request("set", () => server.set(entry, world.now() + micros))
    },
    touch: () => Effect.void,
    remove: (key) => request("remove", () => server.remove(key)),
    clear: request("clear", server.clear),
    flush: Effect.void,
    entries: Stream.empty,
    onRemoval: () => Effect.void
  })
}

export interface LeaseTimes {
  readonly duration: number
  readonly waitAtMost: number
  readonly commandTimeout: number
}

/** The leases, as one process reaches them. `holds` is told of each computation that is given one. */
export const makeLease = (
  link: Link,
  server: Server,
  { commandTimeout, duration, waitAtMost }: LeaseTimes,
  holds: (flight: object) => void
): Lease.Lease => {
  const micros = duration * 1000
  const request = <A>(deal: () => A) =>
    Effect.mapError(
      link.request<A>("lease", commandTimeout, (reply) => reply(deal())),
      ({ message }) => new CacheError.CacheError({ reason: new CacheError.LogError({ message, cause: undefined }) })
    )

  const held = Effect.fnUntraced(function*(key: string, token: string) {
    let ending: "stored" | "nothing" = "nothing"
    yield* Effect.addFinalizer(() => Effect.sync(() => link.send(() => server.release(key, token, ending))))
    const renewal = Effect.sleep(duration / 3).pipe(
      Effect.andThen(Effect.catch(request(() => server.renew(key, token, micros)), () => Effect.succeed(true))),
      Effect.repeat({ while: (mine) => mine })
    )
    yield* Effect.forkScoped(renewal)
    return {
      _tag: "Held" as const,
      give: (how: "stored" | "nothing") => {
        ending = how
      }
    }
  })

  const ended = Effect.fnUntraced(function*(key: string, token: string, left: number) {
    const message = yield* Deferred.make<Lease.Ending>()
    const listen = Effect.acquireRelease(
      Effect.sync(() =>
        server.listen((about, of, ending) => {
          if (about !== key || of !== token) return
          link.push(() => Deferred.doneUnsafe(message, Effect.succeed(ending)))
        })
      ),
      (stop) => Effect.sync(stop)
    )
    yield* listen
    let waited = 0
    let next = left
    while (waited < waitAtMost) {
      const step = Math.min(next + 1, waitAtMost - waited)
      const told = yield* Effect.timeoutOption(Deferred.await(message), step)
      if (Option.isSome(told)) return told.value
      waited += step
      const holder = yield* request(() => server.holder(key))
      if (holder?.token !== token) return "expired" as const
      next = holder.left
    }
    return "waited" as const
  }, Effect.scoped)

  return {
    take: (key) =>
      Effect.flatMap(
        request(() => server.take(key, micros)),
        ({ held: mine, left, token }): Effect.Effect<Lease.Taking, never, Scope.Scope> =>
          mine
            ? Effect.andThen(Effect.map(theFlight, holds), held(key, token))
            : Effect.succeed({ _tag: "Taken", ended: ended(key, token, left) })
      )
  }
}
