/**
 * What every invalidation log must do. Each test has a log of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, type Layer, Scope } from "effect"
import { Broadcaster } from "effect-cached"
import { TestClock } from "effect/testing"

export interface Options {
  /** Whether the log takes its time from the clock of this process, which a test can set. Default: it does. */
  readonly ownTime?: boolean | undefined
}

export const broadcasterSuite = <R, E>(
  name: string,
  layer: Layer.Layer<Broadcaster.Broadcaster | R, E>,
  { ownTime = true }: Options = {}
) =>
  describe(`Broadcaster (${name})`, () => {
    // What is told but signs of life, which may come at any moment.
    const listen = Effect.gen(function*() {
      const log = yield* Broadcaster.Broadcaster
      const changes: Array<Broadcaster.Change> = []
      yield* log.follow((change) => change._tag !== "Heartbeat" && changes.push(change))
      return changes
    })

    // What is told from now on.
    const listenFromNow = Effect.tap(listen, (changes) =>
      Effect.sync(() => {
        changes.length = 0
      }))

    it.effect("tells a follower where its knowledge begins before follow returns", () =>
      Effect.gen(function*() {
        const changes = yield* listen
        assert.strictEqual(changes[0]?._tag, "Gap")
        assert.isTrue(changes.every(({ _tag }, n) => n === 0 || _tag === "Record"))
      }).pipe(Effect.provide(layer)))

    it.effect("has told every follower of a record before append returns", () =>
      Effect.gen(function*() {
        const log = yield* Broadcaster.Broadcaster
        const first = yield* listenFromNow
        const second = yield* listenFromNow
        const position = yield* log.append(["user:7"])
        const record: Broadcaster.Change = { _tag: "Record", tags: ["user:7"], position }
        assert.deepStrictEqual(first, [record])
        assert.deepStrictEqual(second, [record])
      }).pipe(Effect.provide(layer)))

    it.effect("makes one record of several tags, and one of none (scenario 19)", () =>
      Effect.gen(function*() {
        const log = yield* Broadcaster.Broadcaster
        const changes = yield* listenFromNow
        const positions = [yield* log.append(["a", "b:c"]), yield* log.append([])]
        assert.deepStrictEqual(changes, [
          { _tag: "Record", tags: ["a", "b:c"], position: positions[0]! },
          { _tag: "Record", tags: [], position: positions[1]! }
        ])
      }).pipe(Effect.provide(layer)))

    it.effect("gives positions that are safe integers and only grow", () =>
      Effect.gen(function*() {
        const log = yield* Broadcaster.Broadcaster
        const positions: Array<number> = []
        for (let n = 0; n < 100; n++) positions.push(yield* log.append(["a"]))
        assert.isTrue(positions.every(Number.isSafeInteger))
        assert.isTrue(positions.every((position, n) => n === 0 || position > positions[n - 1]!))
      }).pipe(Effect.provide(layer)))

    it.effect("gives positions of at least the time in microseconds, also when the clock is set back", () =>
      Effect.gen(function*() {
        const log = yield* Broadcaster.Broadcaster
        const started = yield* ownTime ? Clock.currentTimeMillis : TestClock.withLive(Clock.currentTimeMillis)
        const first = yield* log.append(["a"])
        assert.isAtLeast(first, started * 1000)
        // The clock of this process is not that of the log: it may be anything.
        yield* TestClock.adjust("1 hour")
        const second = yield* log.append(["a"])
        assert.isAtLeast(second, 3_600_000_000)
        yield* TestClock.setTime(0)
        const third = yield* log.append(["a"])
        assert.isAbove(second, first)
        assert.isAbove(third, second)
      }).pipe(Effect.provide(layer)))

    it.effect("tells all followers the same records in the order of their positions", () =>
      Effect.gen(function*() {
        const log = yield* Broadcaster.Broadcaster
        const first = yield* listenFromNow
        const second = yield* listenFromNow
        const positions = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, n) => n),
          (n) => log.append([`a:${n}`]),
          { concurrency: "unbounded" }
        )
        const told = first.map((change) => change._tag === "Record" ? change.position : NaN)
        assert.deepStrictEqual(told, positions.toSorted((a, b) => a - b))
        assert.strictEqual(new Set(told).size, 100)
        assert.deepStrictEqual(second, first)
      }).pipe(Effect.provide(layer)))

    it.effect("lets a follower know of everything that was appended before, as a gap or record by record", () =>
      Effect.gen(function*() {
        const log = yield* Broadcaster.Broadcaster
        const before = [yield* log.append(["a"]), yield* log.append(["b"])]
        const [gap, ...records] = yield* listen
        const begin = gap?._tag === "Gap" ? gap.position : NaN
        const known = records.map((record) => record._tag === "Record" ? record.position : NaN)
        assert.isTrue(before.every((position) => position <= begin || known.includes(position)))
        assert.isAbove(yield* log.append(["a"]), Math.max(begin, ...known))
      }).pipe(Effect.provide(layer)))

    it.effect("has told everything that was appended before when catchUp returns, and is current then", () =>
      Effect.gen(function*() {
        const log = yield* Broadcaster.Broadcaster
        const changes = yield* listenFromNow
        const position = yield* log.append(["a"])
        yield* log.catchUp
        assert.isTrue(log.isCurrent())
        assert.deepStrictEqual(changes, [{ _tag: "Record", tags: ["a"], position }])
      }).pipe(Effect.provide(layer)))

    it.effect("tells nothing any more once the scope of a follower is closed", () =>
      Effect.gen(function*() {
        const log = yield* Broadcaster.Broadcaster
        const scope = yield* Scope.make()
        const gone = yield* Scope.provide(listenFromNow, scope)
        const stays = yield* listenFromNow
        yield* Scope.close(scope, Exit.void)
        yield* log.append(["a"])
        assert.strictEqual(gone.length, 0)
        assert.strictEqual(stays.length, 1)
      }).pipe(Effect.provide(layer)))
  })
