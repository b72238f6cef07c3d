/**
 * Flights: running computations, and who waits for them.
 *
 * Invariants:
 * - A flight is in the map before its computation runs and leaves it by identity, once.
 * - `landing` is set together with the deferred, so whoever finds a flight without one can wait on it. Those whom `release`
 *   lets go have an answer that does not end the flight: who comes after them waits on another deferred.
 * - A computation never waits for itself: an edge is added to `waitsFor` only after the edges were searched for a way
 *   back. Edges therefore never form a cycle, and the search ends.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as CacheEntry from "../CacheEntry.ts"
import * as CacheError from "../CacheError.ts"
import type * as CacheEvent from "../CacheEvent.ts"
import { tagError } from "./errors.ts"
import { type Moment, olderOf } from "./moment.ts"
import { tagProblem } from "./tagText.ts"

/** How many computations run in this process: while there is none, no fiber runs in one. */
export const airborne = { count: 0 }

/** How many computations run that doubt. */
export const doubters = { count: 0 }

/** How many landings are on the stack: each resumes those who wait, and they may land in turn. */
export const landings = { depth: 0 }

/** How many flights were started in this process. */
export const takenOff = { count: 0 }

/** What a flight ended with. */
export interface Landing {
  /**
   * How the computation ended; `undefined` when the entry was found in the store, and also when it was left to another
   * process: then there is no entry either.
   */
  readonly exit: Exit.Exit<unknown, unknown> | undefined
  /** The entry, stored or not, where there is one. */
  readonly entry: CacheEntry.CacheEntry | undefined
  readonly rejected: CacheEvent.RejectedReason | undefined
  readonly error: CacheError.CacheError | undefined
  readonly because: CacheEvent.Because
  /** Whether the entry is known to be in the store. */
  readonly stored: boolean
  /** What the result depends on, for those who ask whether it is still valid. */
  readonly tags: ReadonlyArray<string>
  readonly problem: CacheError.CacheError | undefined
  /** Why `entry` is served after its time, where it is. */
  readonly stale: CacheEvent.StaleBecause | undefined
  /** What may be served in place of a failure, or of something as bad. */
  readonly fallback: CacheEntry.CacheEntry | undefined
  readonly position: number
  readonly since: number
  /** As of its flight; `undefined` for what was found. */
  readonly started: Moment | undefined
  untouchedAt: number
}

/** A computation because of which another one was started. It outlives its flight, so it has no more of that than its key. */
export interface Origin {
  readonly owner: object
  readonly key: string
  readonly because: Origin | undefined
}

/** What a computation says about its own lifetime, in milliseconds. */
export interface OwnLifetime {
  readonly timeToLive?: number | undefined
  readonly staleWhileRevalidate?: number | undefined
  readonly staleIfError?: number | undefined
}

export class Flight {
  /** The cache it belongs to: keys of two caches have nothing to do with each other. */
  readonly owner: object
  readonly key: string
  /** Where the log stood when the computation started; before that, when the flight did. */
  position: number
  /** The revision of the graph at that time. */
  since: number
  /**
   * How old the data may be that its result is made of: what the clocks said at that time, or when something older that it has
   * read was started. `undefined` where nobody can tell.
   */
  started: Moment | undefined
  /** Counts flights: those with a larger number were started later. */
  readonly number = ++takenOff.count
  /** Whether it may read nothing that was there before it, because the log did not say whether that is still valid. */
  readonly doubts: boolean
  /** While the log says nothing: what this computation, and those that it asks for, have computed already. */
  readonly computed: Map<string, Flight> | undefined
  readonly parent: Flight | undefined
  readonly depth: number
  /** What its starter waits on. It may have been released before that. */
  readonly first = Deferred.makeUnsafe<Landing>()
  /** What those wait on who come now. */
  deferred = this.first
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  landing: Landing | undefined = undefined
  /** As `landing`, and in it also what became of the entry in the store. */
  final: Landing | undefined = undefined
  /** What is stored and valid, but over, or soon: it may be served or revalidated, as its policy allows. Set before the computation runs. */
  stale: CacheEntry.CacheEntry | undefined = undefined
  /** Whether it goes on when nobody waits for it, as long as something stale is served for it. */
  held = false
  /** Whether nobody who waits wants its result to be stored. */
  unwanted = false
  /** The computations because of which it was started: those that it is in, or behind something stale in them. */
  readonly origin: Origin
  /** Whether it is known what the store has. */
  found = false
  private whenFound: Deferred.Deferred<void> | undefined = undefined
  /** What the computation has said about its own lifetime, in milliseconds. */
  own: OwnLifetime | undefined = undefined
  /** Why what it has said cannot be used. */
  badLifetime: CacheError.CacheError | undefined = undefined
  /** Whether the computation does not want its result to be stored. */
  optedOut = false
  /** Why the store had nothing for it. */
  because: CacheEvent.Because = "missing"
  /** Whoever starts a flight waits for it. */
  waiters = 1
  /** Whether the last one has left, and it is being interrupted. */
  abandoned = false
  /** Whether anybody but its starter ever waited. */
  joined = false
  /** The first malformed tag. */
  problem: CacheError.CacheError | undefined = undefined
  /**
   * The earliest end of a cached value that this computation read, in milliseconds since the epoch; `-Infinity` where one of them
   * must not be stored.
   */
  expiresAt = Infinity
  /** The revision at which what is known of it was last found untouched. */
  untouchedAt = -1

  private readonly collected = new Set<string>()
  private sorted: ReadonlyArray<string> | undefined = undefined
  private readonly waitsFor = new Map<Flight, number>()

  constructor(
    owner: object,
    key: string,
    position: number,
    since: number,
    parent: Flight | undefined,
    started?: Moment,
    doubts = false,
    computed?: Map<string, Flight>,
    because?: Origin
  ) {
    this.owner = owner
    this.key = key
    this.position = position
    this.since = since
    this.started = started
    this.doubts = doubts
    this.computed = computed
    this.parent = parent
    this.origin = { owner, key, because: parent?.origin ?? because }
    this.depth = parent === undefined ? 0 : parent.depth + 1
  }

  /** The computation starts only now: nothing that happened before has to be held against its result. */
  depart(position: number, since: number, started: Moment | undefined): void {
    this.position = position
    this.since = since
    this.started = started
    this.untouchedAt = -1
  }

  /** What was collected so far: unique, in code unit order. */
  get tags(): ReadonlyArray<string> {
    return this.sorted ??= Object.freeze(Array.from(this.collected).toSorted())
  }

  /** Adds what a user wrote as a tag. */
  addTag(tag: string): void {
    const problem = tagProblem(tag)
    if (problem === undefined) this.addTags([tag])
    else this.problem ??= tagError(tag, problem)
  }

  /** Adds tags that are known to be well-formed. Nothing is added once the computation is over. */
  addTags(tags: ReadonlyArray<string>): void {
    if (this.landing !== undefined) return
    for (const tag of tags) {
      if (this.collected.has(tag)) continue
      this.collected.add(tag)
      this.sorted = undefined
      this.untouchedAt = -1
    }
  }

  /**
   * Adds a cached value that the computation read: when what it is made of was started, and in `problem`, why not all of its
   * tags are known.
   */
  addRead(
    tags: ReadonlyArray<string>,
    expiresAt: number,
    started: Moment | undefined,
    problem: CacheError.CacheError | undefined
  ): void {
    this.addTags(tags)
    this.started = olderOf(this.started, started)
    this.problem ??= problem
    this.expiresAt = Math.min(this.expiresAt, expiresAt)
  }

  /** Completes the flight for all who wait, once. */
  land(landing: Landing): void {
    if (this.landing !== undefined) return
    this.landing = landing
    landings.depth++
    Deferred.doneUnsafe(this.deferred, Effect.succeed(landing))
    landings.depth--
  }

  /** Lets those go who wait now, with what there is meanwhile. The computation goes on for its own sake. */
  release(landing: Landing): void {
    const { deferred } = this
    this.held = true
    this.deferred = Deferred.makeUnsafe<Landing>()
    landings.depth++
    Deferred.doneUnsafe(deferred, Effect.succeed(landing))
    landings.depth--
  }

  startWaitingFor(other: Flight): void {
    this.waitsFor.set(other, (this.waitsFor.get(other) ?? 0) + 1)
  }

  stopWaitingFor(other: Flight): void {
    const left = this.waitsFor.get(other)! - 1
    if (left === 0) this.waitsFor.delete(other)
    else this.waitsFor.set(other, left)
  }

  /** Whether waiting for `other` would be waiting for itself: it computes the key, or `other` waits for it. */
  wouldWaitForItself(owner: object, key: string, other: Flight | undefined): boolean {
    return computes(this, owner, key) || (this.landing === undefined && other !== undefined && other.needs(this))
  }

  /** How old the data may be that its result is made of, with what the flights have read that it waits for. */
  get oldest(): Moment | undefined {
    let oldest = this.started
    for (const flight of this.reached()) oldest = olderOf(oldest, flight.started)
    return oldest
  }

  /** Whether it computes a key, or was started because of a computation that does. */
  comesFrom(owner: object, key: string): boolean {
    for (let origin: Origin | undefined = this.origin; origin !== undefined; origin = origin.because) {
      if (origin.key === key && origin.owner === owner) return true
    }
    return false
  }

  /** Whether nobody waits for it, or for one that it runs in. */
  get isAlone(): boolean {
    return this.held || this.parent?.isAlone === true
  }

  /** From now on it is known what the store has. */
  setFound(): void {
    this.found = true
    if (this.whenFound !== undefined) Deferred.doneUnsafe(this.whenFound, Effect.void)
  }

  awaitFound(): Effect.Effect<void> {
    this.whenFound ??= Deferred.makeUnsafe()
    return this.found ? Effect.void : Deferred.await(this.whenFound)
  }

  private needs(other: Flight): boolean {
    return this.reached().has(other)
  }

  private reached(): ReadonlySet<Flight> {
    // A set that grows while it is walked: each flight once, however many ways lead to it.
    const reached = new Set<Flight>([this])
    for (const flight of reached) {
      for (const next of flight.waitsFor.keys()) reached.add(next)
    }
    return reached
  }
}

// Whether a flight, or one that it runs in, computes a key.
const computes = (innermost: Flight, owner: object, key: string): boolean => {
  for (let flight: Flight | undefined = innermost; flight !== undefined; flight = flight.parent) {
    if (flight.landing === undefined && flight.key === key && flight.owner === owner) return true
  }
  return false
}

/** The flight in whose computation a fiber runs, and whether it collects what the fiber reads. */
export class CurrentFlight extends Context.Service<CurrentFlight, {
  readonly flight: Flight
  readonly tracked: boolean
}>()("effect-cached/internal/flight/CurrentFlight") {}
