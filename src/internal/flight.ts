/**
 * Flights: running computations, and who waits for them.
 *
 * Invariants:
 * - A flight is in the map before its computation runs and leaves it by identity, once.
 * - Whoever waits is in the flight's list until it is resumed or leaves. `landing` is set before the list is worked off, so
 *   whoever finds a flight without one can wait for it. Those whom `release` lets go have an answer that does not end the flight.
 * - A computation never waits for itself: an edge is added to `waitsFor` only after the edges were searched for a way
 *   back. Edges therefore never form a cycle, and the search ends.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as CacheEntry from "../CacheEntry.ts"
import * as CacheError from "../CacheError.ts"
import type * as CacheEvent from "../CacheEvent.ts"
import { Collected } from "./collected.ts"
import { tagError } from "./errors.ts"
import { type Moment, olderOf } from "./moment.ts"
import { Line, type Placed } from "./passing.ts"
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

/** Who waits for a flight. */
export interface Waiter extends Placed<Waiter> {
  /** The flight in whose computation it is, if it is in one. */
  readonly inside: Flight | undefined
  /** Whether it takes what a flight gives that goes on. */
  readonly takes: (landing: Landing) => boolean
  /** Called once, with what it has waited for, when it is in the list no more. Not called for who leaves. */
  readonly end: (flight: Flight, landing: Landing) => void
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
  /** There once it has to do more than to serve what the store has. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** Ends it while it has no fiber: while it waits for what the store has. */
  stopLooking: (() => Effect.Effect<void>) | undefined = undefined
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
  private whenFound: Array<() => void> | undefined = undefined
  /** What the computation has said about its own lifetime, in milliseconds. */
  own: OwnLifetime | undefined = undefined
  /** Why what it has said cannot be used. */
  badLifetime: CacheError.CacheError | undefined = undefined
  /** Whether the computation does not want its result to be stored. */
  optedOut = false
  /** Why the store had nothing for it. */
  because: CacheEvent.Because = "missing"
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

  private readonly waiting = new Line<Waiter>()
  private readonly collected = new Collected()
  // Most computations ask for nothing.
  private waitsFor: Map<Flight, number> | undefined = undefined

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
    return this.collected.tags
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
    for (const tag of tags) if (this.collected.add(tag)) this.untouchedAt = -1
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

  /** How many wait now. */
  get waiters(): number {
    return this.waiting.size
  }

  /** One more waits, until the flight lands. */
  board(waiter: Waiter): void {
    this.waiting.join(waiter)
    waiter.inside?.startWaitingFor(this)
  }

  /** Whether it still waits. */
  has(waiter: Waiter): boolean {
    return this.waiting.has(waiter)
  }

  /** One waits no longer. Whether it did. */
  leave(waiter: Waiter): boolean {
    if (!this.waiting.leave(waiter)) return false
    waiter.inside?.stopWaitingFor(this)
    return true
  }

  /** Completes the flight for all who wait, once. */
  land(landing: Landing): void {
    if (this.landing !== undefined) return
    this.landing = landing
    // Each is out of the list before it is resumed, and nobody comes into it any more.
    resuming((failed) => {
      while (this.waiting.first !== undefined) this.letGo(this.waiting.first, landing, failed)
    })
  }

  /** Lets those go who wait now and take what there is meanwhile. The computation goes on for its own sake. */
  release(landing: Landing): void {
    this.held = true
    // Not those who come because of that.
    resuming((failed) => {
      for (const waiter of this.waiting.members) if (waiter.takes(landing)) this.letGo(waiter, landing, failed)
    })
  }

  private letGo(waiter: Waiter, landing: Landing, failed: Array<unknown>): void {
    if (!this.leave(waiter)) return
    try {
      waiter.end(this, landing)
    } catch (thrown) {
      failed.push(thrown)
    }
  }

  startWaitingFor(other: Flight): void {
    this.waitsFor ??= new Map()
    this.waitsFor.set(other, (this.waitsFor.get(other) ?? 0) + 1)
  }

  stopWaitingFor(other: Flight): void {
    const left = this.waitsFor!.get(other)! - 1
    if (left === 0) this.waitsFor!.delete(other)
    else this.waitsFor!.set(other, left)
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
    if (this.found) return
    this.found = true
    for (const listener of this.whenFound ?? []) listener()
  }

  /** Calls `listener` when it is known what the store has. */
  onFound(listener: () => void): void {
    this.whenFound ??= []
    this.whenFound.push(listener)
  }

  private needs(other: Flight): boolean {
    return this.reached().has(other)
  }

  private reached(): ReadonlySet<Flight> {
    // A set that grows while it is walked: each flight once, however many ways lead to it.
    const reached = new Set<Flight>([this])
    for (const flight of reached) {
      if (flight.waitsFor !== undefined) { for (const next of flight.waitsFor.keys()) reached.add(next) }
    }
    return reached
  }
}

// What throws is an observer of a fiber that waited: the others are resumed all the same.
const resuming = (resume: (failed: Array<unknown>) => void): void => {
  const failed: Array<unknown> = []
  landings.depth++
  resume(failed)
  landings.depth--
  if (failed.length > 0) throw failed[0]
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
