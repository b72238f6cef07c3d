/**
 * A store on a Redis server, shared by many processes.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as CacheEntry from "./CacheEntry.ts"
import type * as CacheError from "./CacheError.ts"
import { Codec, formatVersion } from "./Codec.ts"
import { isDone } from "./internal/eager.ts"
import { codecError, definitionError, storeError } from "./internal/errors.ts"
import { getOf, readerOf } from "./internal/reader.ts"
import { defaultNamespace, names as makeNames } from "./internal/redis/names.ts"
import {
  createdAtOf,
  headerBytes,
  makeHeader,
  setEntry,
  touchEntry,
  valueProblem
} from "./internal/redis/storedEntry.ts"
import { millis } from "./internal/settings.ts"
import { RedisClient } from "./RedisClient.ts"
import { Store } from "./Store.ts"

/**
 * Options of a store on Redis.
 *
 * **Details**
 *
 * - `namespace`: what all its keys start with, default `"effect-cached"`. Caches of one namespace share their entries; those
 *   of others never meet, whatever the names are.
 * - `maxLifetime`: the longest that Redis keeps an entry that nobody stores again, default 7 days. Entries that live longer,
 *   or without an end, are computed again after it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly namespace?: string | undefined
  readonly maxLifetime?: Duration.Input | undefined
}

/**
 * Makes a store that keeps entries on a Redis server.
 *
 * **Details**
 *
 * `get` and `set` are one command each, and what is read in one turn shares a few commands. Entries are the bytes of the
 * `Codec`, and Redis itself removes them when their time is over. Their times are kept by the clock of the server and given
 * back by that of this process, so that the clocks of the processes need not agree.
 *
 * Failures are `CacheError`s of reason `StoreError` with the `ServerError` as their cause, and of reason `CodecError` for a
 * value that is no entry, which the next `set` replaces. Fails with reason `DefinitionError` for an empty namespace, or a
 * lifetime that is not a duration of at least a millisecond with an end.
 *
 * **Gotchas**
 *
 * `onRemoval` is never called: Redis does not tell what it removes. `entries` may list an entry twice while Redis resizes its
 * tables, and passes over what is no entry.
 *
 * **Example** (Two processes, one store)
 *
 * ```ts import.meta.vitest
 * import { Config, Effect, Layer } from "effect"
 * import { CacheEntry, Store } from "effect-cached"
 * import * as MsgPackCodec from "effect-cached/MsgPackCodec"
 * import * as RedisClient from "effect-cached/RedisClient"
 * import * as RedisStore from "effect-cached/RedisStore"
 *
 * const layer = Layer.effect(Store.Store)(RedisStore.make({ namespace: "example of make" })).pipe(
 *   Layer.provide([RedisClient.layerConfig({ url: Config.Redacted("REDIS_URL") }), MsgPackCodec.layer()])
 * )
 * const entry = new CacheEntry.CacheEntry({
 *   key: "greeting",
 *   fingerprint: "f",
 *   body: "\"hello\"",
 *   head: undefined,
 *   tags: [],
 *   position: 1,
 *   createdAt: 0,
 *   expiresAt: Infinity
 * })
 *
 * const writing = Effect.flatMap(Store.Store, (store) => store.set(entry)).pipe(Effect.provide(layer))
 * const reading = Effect.flatMap(Store.Store, (store) => store.get("greeting")).pipe(Effect.provide(layer))
 *
 * await Effect.runPromise(writing) // => "stored"
 * await Effect.runPromise(Effect.map(reading, (entry) => entry && CacheEntry.text(entry))) // => "\"hello\""
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options?: Options
): Effect.fn.Return<Store["Service"], CacheError.CacheError, RedisClient | Codec> {
  const client = yield* RedisClient
  const codec = yield* Codec
  const clock = yield* Clock.Clock
  const names = yield* makeNames("RedisStore.namespace", options?.namespace ?? defaultNamespace, formatVersion)
  const maxLifetime = yield* checkedLifetime(options?.maxLifetime ?? "7 days")

  // The time of creation in the header of what this process has read or written: what it calls that time itself moves with what
  // it knows of the clock of the server. Only for what can be touched: a weak map costs more than the rest of a read.
  const times = new WeakMap<CacheEntry.CacheEntry, number>()

  // What is decoded at once goes on in the same step.
  const decode = (
    value: Uint8Array | null
  ): Effect.Effect<CacheEntry.CacheEntry | undefined, CacheError.CacheError> => {
    if (value === null) return nothing
    const problem = valueProblem(value)
    if (problem !== undefined) {
      return Exit.fail(codecError(problem, "What stands at the key of an entry is none"))
    }
    const decoded = codec.decode(value.subarray(headerBytes))
    const given = (entry: CacheEntry.CacheEntry) => {
      const found = shifted(entry, -client.clockOffset())
      noteTime(found, value)
      return found
    }
    return isDone(decoded) ? Exit.map(decoded, given) : Effect.map(decoded, given)
  }

  // Long keys share a name when their digests are equal.
  const entryOf = (key: string, got: Effect.Effect<Uint8Array | null, CacheError.CacheError>) =>
    Effect.flatMapEager(
      Effect.mapErrorEager(got, (error) => storeError("get", error)),
      (value) => Effect.mapEager(attempted(() => decode(value)), (entry) => entry?.key === key ? entry : undefined)
    )

  // A client that somebody wraps is asked in the fiber that asks.
  const read = readerOf(client.get)

  const noteTime = (entry: CacheEntry.CacheEntry, value: Uint8Array) => {
    if (entry.terms !== undefined) times.set(entry, createdAtOf(value))
  }

  const write = (script: typeof setEntry, entry: CacheEntry.CacheEntry, created?: number) =>
    Effect.suspend(() => {
      const shared = CacheEntry.stored(shifted(entry, client.clockOffset()))
      const createdAt = created ?? shared.createdAt
      if (entry.terms !== undefined) times.set(entry, createdAt)
      return Effect.flatMap(codec.encode(shared), (bytes) => {
        const value = Buffer.concat([makeHeader({ ...shared, createdAt }), bytes])
        return Effect.mapError(
          client.run((redis) => {
            const left = Math.min(Math.ceil(CacheEntry.endsAt(entry) - clock.currentTimeMillisUnsafe()), maxLifetime)
            return script(redis, [names.entry(entry.key)], [value, Math.max(1, left)])
          }),
          (error) => storeError("set", error)
        )
      })
    })

  // One page at a time, when it is asked for: what is not read is not scanned.
  const scan = (
    operation: CacheError.StoreError["operation"]
  ): Stream.Stream<Buffer, CacheError.CacheError> =>
    Stream.mapError(
      Stream.flatMap(Stream.unwrap(Effect.map(client.masters, Stream.fromIterable)), (master) =>
        Stream.paginate("0", (cursor: string) =>
          Effect.map(
            client.run(() =>
              master.scanBuffer(cursor, "MATCH", names.entryPattern, "COUNT", pageSize)
            ),
            ([next, page]) => [page, next.toString() === "0" ? Option.none() : Option.some(next.toString())]
          ))),
      (error) => storeError(operation, error)
    )

  const listed = Effect.fnUntraced(function*(bytes: Buffer) {
    const name = bytes.toString()
    const value = yield* client.get(name)
    const entry = yield* decode(value)
    const isOurs = entry !== undefined && names.entry(entry.key) === name
    return isOurs && CacheEntry.endsAt(entry) > clock.currentTimeMillisUnsafe() ? [entry] : []
  }, Effect.catchIf(isNoEntry, () => Effect.succeed([])))

  return Store.of({
    remote: true,
    peek: () => undefined,
    get: read === undefined
      ? (key) => Effect.suspend(() => entryOf(key, client.get(names.entry(key))))
      : getOf((key, done) => read(names.entry(key), (got) => done(entryOf(key, got)))),
    set: (entry) => Effect.map(write(setEntry, entry), (stored) => stored === 1 ? "stored" : "superseded"),
    touch: (entry) => Effect.suspend(() => Effect.asVoid(write(touchEntry, entry, times.get(entry)))),
    remove: (key) =>
      Effect.asVoid(Effect.mapError(
        client.run((redis) => redis.unlink(names.entry(key))),
        (error) => storeError("remove", error)
      )),
    flush: Effect.void,
    entries: scan("entries").pipe(
      Stream.mapEffect((name) => Effect.mapError(listed(name), (error) => storeError("entries", error)), {
        concurrency: valuesAtOnce
      }),
      Stream.flattenIterable
    ),
    clear: Stream.runForEachArray(scan("clear"), (page) =>
      Effect.mapError(
        // One by one, because no two of them need be on one node of a Cluster.
        client.run((redis) => Promise.all(page.map((name) => redis.unlink(name)))),
        (error) => storeError("clear", error)
      )),
    onRemoval: () => Effect.void
  })
})

// What one `SCAN` looks at, which is how long it keeps the server from others.
const pageSize = 500

// Values may be large: all that are asked for together are in memory together.
const valuesAtOnce = 32

const nothing = Exit.succeed(undefined)

// A codec may throw, which is a defect in a fiber.
const attempted = <A, E>(effect: () => Effect.Effect<A, E>): Effect.Effect<A, E> => {
  try {
    return effect()
  } catch (defect) {
    return Exit.die(defect)
  }
}

const isNoEntry = ({ reason }: CacheError.CacheError): boolean =>
  reason._tag === "CodecError" || (reason._tag === "ServerError" && reason.problem === "foreign")

const checkedLifetime = (input: Duration.Input): Effect.Effect<number, CacheError.CacheError> =>
  Effect.flatMap(
    millis("RedisStore.maxLifetime", input),
    (value) =>
      value >= 1 && Number.isSafeInteger(Math.floor(value))
        ? Effect.succeed(Math.floor(value))
        : Effect.fail(definitionError("RedisStore.maxLifetime", "it must be at least a millisecond, and have an end"))
  )

// The same entry by a clock that is so many milliseconds ahead.
const shifted = (entry: CacheEntry.CacheEntry, ahead: number): CacheEntry.CacheEntry => {
  const by = Math.round(ahead)
  if (by === 0) return entry
  const stored = CacheEntry.stored(entry)
  const { createdAt, expiresAt, terms } = stored
  const moved = new CacheEntry.CacheEntry({
    ...stored,
    createdAt: createdAt + by,
    expiresAt: expiresAt + by,
    terms: terms === undefined ? undefined : {
      ...terms,
      staleUntil: terms.staleUntil + by,
      errorUntil: terms.errorUntil + by,
      keptUntil: terms.keptUntil + by,
      usedAt: terms.usedAt + by
    }
  })
  moved.intact = entry.intact
  return moved
}

/**
 * A store on a Redis server. Options, details and errors as for {@link make}.
 *
 * **Example** (A cache whose results other processes find)
 *
 * ```ts import.meta.vitest
 * import { Config, Effect, Layer, Schema } from "effect"
 * import { Cached, DependencyGraph, ResultCache } from "effect-cached"
 * import * as MsgPackCodec from "effect-cached/MsgPackCodec"
 * import * as RedisBroadcaster from "effect-cached/RedisBroadcaster"
 * import * as RedisClient from "effect-cached/RedisClient"
 * import * as RedisStore from "effect-cached/RedisStore"
 *
 * // Who shares a store shares its log.
 * const namespace = "example of layer"
 * const cache = ResultCache.layer().pipe(
 *   Layer.provide([
 *     RedisStore.layer({ namespace, maxLifetime: "1 day" }).pipe(Layer.provide(MsgPackCodec.layer())),
 *     RedisBroadcaster.layer({ namespace }),
 *     DependencyGraph.layer()
 *   ]),
 *   Layer.provide(RedisClient.layerConfig({ url: Config.Redacted("REDIS_URL") }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   let computed = 0
 *   const squares = yield* Cached.make(
 *     "squares",
 *     { input: { upTo: Schema.Number }, success: Schema.Array(Schema.Number) },
 *     ({ upTo }) => Effect.sync(() => {
 *       computed++
 *       return Array.from({ length: upTo }, (_, n) => n * n)
 *     })
 *   )
 *   yield* squares({ upTo: 3 })
 *   return [yield* squares({ upTo: 3 }), computed]
 * }).pipe(Effect.provide(cache))
 *
 * await Effect.runPromise(program) // => [[0, 1, 4], 1]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Store, CacheError.CacheError, RedisClient | Codec> =>
  Layer.effect(Store)(make(options))
