import { assert, describe, it } from "@effect/vitest"
import {
  BigDecimal,
  Clock,
  Context,
  DateTime,
  Deferred,
  Duration,
  Effect,
  Equal,
  Exit,
  Fiber,
  HashMap,
  Latch,
  Layer,
  Option,
  Schema,
  SchemaGetter
} from "effect"
import {
  addDeps,
  Broadcaster,
  ByteStore,
  Cached,
  cached,
  type CacheEvent,
  Codec,
  DependencyGraph,
  invalidate,
  ResultCache,
  Store,
  tag,
  untracked
} from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { CacheTest } from "effect-cached/testing"
import { HttpRouter } from "effect/http"
import { TestClock } from "effect/testing"

const inMsgPack = ByteStore.layerMemory().pipe(Layer.provide(MsgPackCodec.layer()))
const inJson = ByteStore.layerMemory().pipe(Layer.provide(Codec.layerJson))
const stores = [
  ["live values", Store.layerMemory()],
  ["bytes in MessagePack", inMsgPack],
  ["bytes in JSON", inJson],
  ["two tiers", Store.layerTiered({ near: Store.layerMemory(), far: inMsgPack })]
] as const

/**
 * Waits until whatever was computed is in the store, or was rejected, but for `failures` computations that failed. A
 * store of bytes is not waited for by callers.
 */
class Written extends Context.Service<Written, (failures: number) => Effect.Effect<void>>()("test/Cached/Written") {}

const written = Written.use((wait) => wait(0))

const recording = Layer.unwrap(Effect.sync(() => {
  let computing = 0
  const changed = Latch.makeUnsafe()
  const onEvent = ({ _tag }: CacheEvent.CacheEvent) => {
    if (_tag === "Miss") computing++
    if (_tag === "Stored" || _tag === "Rejected") computing--
    changed.openUnsafe()
  }
  const wait = (failures: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      changed.closeUnsafe()
      return computing <= failures ? Effect.void : Effect.andThen(changed.await, wait(failures))
    })
  return Layer.merge(CacheTest.layerWith({ onEvent }), Layer.succeed(Written)(wait))
}))

const services = (store: (typeof stores)[number][1]) =>
  Layer.mergeAll(Layer.fresh(store), Layer.fresh(DependencyGraph.layer()), Broadcaster.layerLocal)

const cacheOver = (store: (typeof stores)[number][1]) => recording.pipe(Layer.provide(services(store)))

/** The same test on every store. */
const onEachStore = (
  name: string,
  test: () => Effect.Effect<void, unknown, ResultCache.ResultCache | CacheTest.CacheTest | Written>
) => it.effect.each(stores)(`${name}, on a store of %s`, ([, store]) => Effect.provide(test(), cacheOver(store)))

const inMemory = <A, E>(
  effect: Effect.Effect<A, E, ResultCache.ResultCache | CacheTest.CacheTest | Written>
): Effect.Effect<A, unknown> => Effect.provide(effect, cacheOver(Store.layerMemory()))

const hits = CacheTest.CacheTest.use((test) => test.hits)
const misses = CacheTest.CacheTest.use((test) => test.misses)
const stored = CacheTest.CacheTest.use((test) => test.stored)
const rejected = Effect.map(
  CacheTest.CacheTest.use((test) => test.events),
  (events) => events.flatMap((event) => event._tag === "Rejected" ? [event] : [])
)

/** A cached function that returns how often it was executed. */
const counter = <const F extends Schema.Struct.Fields>(
  name: string,
  input: F,
  deps?: (input: Cached.Input<F>) => Iterable<string>
) => {
  let executions = 0
  return Cached.make(name, { input, success: Schema.Number, deps }, () => Effect.sync(() => ++executions))
}

describe("values", () => {
  onEachStore("equal inputs are one execution and give equal values (scenario 1)", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", { id: Schema.Number })
      assert.strictEqual(yield* f({ id: 1 }), 1)
      yield* written
      assert.strictEqual(yield* f({ id: 1 }), 1)
      assert.strictEqual(yield* f({ id: 1 }), 1)
      assert.deepStrictEqual([yield* misses, yield* hits], [["f {\"id\":1}"], ["f {\"id\":1}", "f {\"id\":1}"]])
    }))

  onEachStore(
    "null and undefined are results like any other, and are told apart (scenario 1)",
    () =>
      Effect.gen(function*() {
        const results: Array<string> = []
        const nothing = <S extends Schema.Top>(name: string, success: S, value: S["Type"]) =>
          Cached.make(name, { success }, () => Effect.sync(() => (results.push(name), value)))
        const nil = yield* nothing("null", Schema.NullOr(Schema.String), null)
        const undef = yield* nothing("undefined", Schema.UndefinedOr(Schema.String), undefined)
        const empty = yield* nothing("void", Schema.Void, undefined)
        for (let i = 0; i < 3; i++) {
          assert.deepStrictEqual([yield* nil(), yield* undef(), yield* empty()], [null, undefined, undefined])
          yield* written
        }
        assert.deepStrictEqual(results, ["null", "undefined", "void"])
        assert.lengthOf(yield* hits, 6)
      })
  )

  onEachStore(
    "null never comes back as undefined, nor undefined as null, where a result can be either",
    () =>
      Effect.gen(function*() {
        const f = yield* Cached.make(
          "f",
          { input: { v: Schema.NullishOr(Schema.String) }, success: Schema.NullishOr(Schema.String) },
          ({ v }) => Effect.succeed(v)
        )
        for (const v of [null, undefined, "null", null, undefined, "null"]) {
          assert.strictEqual(yield* f({ v }), v)
          yield* written
        }
      })
  )

  onEachStore("failures reach the caller as they are and are not stored", () =>
    Effect.gen(function*() {
      let executions = 0
      const f = yield* Cached.make("f", { success: Schema.Number }, () =>
        Effect.suspend(() =>
          Effect.fail(`failure ${++executions}` as const)
        ))
      assert.strictEqual(yield* Effect.flip(f()), "failure 1")
      assert.strictEqual(yield* Effect.flip(f()), "failure 2")
      assert.deepStrictEqual(yield* stored, [])
    }))

  onEachStore(
    "a result that its own schema rejects is returned, not stored and reported",
    () =>
      Effect.gen(function*() {
        let executions = 0
        const f = yield* Cached.make(
          "f",
          { success: Schema.Struct({ n: Schema.Int }) },
          () => Effect.sync(() => ({ n: ++executions + 0.5 }))
        )
        assert.deepStrictEqual(yield* f(), { n: 1.5 })
        assert.deepStrictEqual(yield* f(), { n: 2.5 })
        const [first] = yield* rejected
        assert.strictEqual(first?.reason, "result")
        assert.strictEqual(first?.error?.reason._tag, "ResultError")
        assert.include(first?.error?.message, "The result of \"f\" does not fit its `success` schema")
        assert.include(first?.error?.message, "[\"n\"]")
      })
  )

  onEachStore(
    "a result may have fields that its schema does not know: they are left out, on miss and hit",
    () =>
      Effect.gen(function*() {
        const f = yield* Cached.make(
          "f",
          { success: Schema.Struct({ at: Schema.DateFromString }) },
          () => Effect.sync((): { readonly at: Date } => Object.assign({ at: new Date(0) }, { secret: 1 }))
        )
        assert.deepStrictEqual(yield* f(), { at: new Date(0) })
        yield* written
        assert.deepStrictEqual(yield* f(), { at: new Date(0) })
        assert.lengthOf(yield* misses, 1)
      })
  )
})

class Point extends Schema.Class<Point>("Point")({ x: Schema.Number, at: Schema.Date }) {
  get double() {
    return this.x * 2
  }
}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.BigInt }) {}
interface Tree {
  readonly value: number
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  value: Schema.Number,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})
const UserId = Schema.Number.pipe(Schema.brand("UserId"))

const results: ReadonlyArray<readonly [string, Schema.Top, unknown]> = [
  ["a Date", Schema.Date, new Date(86_400_123)],
  ["a bigint", Schema.BigInt, 12345678901234567890n],
  ["a literal bigint", Schema.Literal(1n), 1n],
  ["a checked bigint", Schema.BigInt.check(Schema.isGreaterThanBigInt(0n)), 5n],
  ["a Map", Schema.ReadonlyMap(Schema.String, Schema.Date), new Map([["a", new Date(1)], ["b", new Date(2)]])],
  ["a Set", Schema.ReadonlySet(Schema.BigInt), new Set([1n, 2n])],
  ["a HashMap", Schema.HashMap(Schema.String, Schema.Option(Schema.Number)), HashMap.make(["a", Option.some(1)])],
  ["bytes", Schema.Uint8Array, new Uint8Array([0, 127, 128, 255])],
  ["no bytes", Schema.Uint8Array, new Uint8Array()],
  ["a tuple", Schema.Tuple([Schema.Number, Schema.Date, Schema.NullOr(Schema.String)]), [1, new Date(1), null]],
  ["Some", Schema.Option(Schema.Date), Option.some(new Date(1))],
  ["None", Schema.Option(Schema.Date), Option.none()],
  ["Some of undefined", Schema.Option(Schema.UndefinedOr(Schema.String)), Option.some(undefined)],
  ["an instance of a class", Point, new Point({ x: 1.5, at: new Date(1) })],
  ["an error of a class", NotFound, new NotFound({ id: 7n })],
  ["a list of instances", Schema.Array(Point), [
    new Point({ x: 1, at: new Date(1) }),
    new Point({ x: 2, at: new Date(2) })
  ]],
  ["NaN", Schema.Number, NaN],
  ["Infinity", Schema.Number, -Infinity],
  ["a number or a text: NaN", Schema.Union([Schema.Number, Schema.Literal("none")]), NaN],
  ["an absent field", Schema.Struct({ a: Schema.optional(Schema.String) }), {}],
  ["an undefined field", Schema.Struct({ a: Schema.optional(Schema.String) }), { a: undefined }],
  ["a Duration", Schema.Duration, Duration.nanos(1_234_567n)],
  ["an infinite Duration", Schema.Duration, Duration.infinity],
  ["a DateTime", Schema.DateTimeUtc, DateTime.makeUnsafe(5)],
  ["a BigDecimal", Schema.BigDecimal, BigDecimal.fromStringUnsafe("123456789.000000001")],
  ["a URL", Schema.URL, new URL("https://example.org/ä?b=c#d")],
  ["a RegExp", Schema.RegExp, /a+/gi],
  ["an Exit", Schema.Exit(Schema.Number, Schema.String, Schema.Defect()), Exit.fail("no")],
  ["a recursive value", Tree, { value: 1, children: [{ value: 2, children: [] }] }],
  ["a branded number", UserId, UserId.make(7)],
  ["an empty text", Schema.String, ""],
  ["text of all kinds", Schema.String, "\0\t\n\"\\ é 😀 \u2028 \ud800 </script>"],
  ["an empty list", Schema.Array(Schema.String), []],
  ["a record", Schema.Record(Schema.String, Schema.Number), { "": 1, "a b": 2, constructor: 3, "10": 4, "9": 5 }],
  ["a transformed struct", Schema.Struct({ n: Schema.NumberFromString, at: Schema.DateFromString }), {
    n: 1,
    at: new Date(1)
  }],
  ["ten thousand numbers", Schema.Array(Schema.Number), Array.from({ length: 10_000 }, (_, n) => n)]
]

describe("a hit equals the miss", () => {
  for (const [name, success, value] of results) {
    onEachStore(`for ${name} (scenario 10)`, () =>
      Effect.gen(function*() {
        let executions = 0
        const f: Effect.Effect<() => Effect.Effect<unknown, unknown>, unknown, ResultCache.ResultCache> = Cached.make(
          "f",
          { success: success as Schema.Codec<unknown> },
          () => Effect.sync(() => (executions++, value))
        )
        const call = yield* f
        const miss = yield* call()
        yield* written
        const hit = yield* call()
        assert.isTrue(Equal.equals(miss, value), "the miss equals what was computed")
        assert.isTrue(Equal.equals(hit, miss), "the hit equals the miss")
        assert.deepStrictEqual(hit, miss)
        assert.strictEqual(Object.prototype.toString.call(hit), Object.prototype.toString.call(value))
        if (typeof value === "object" && value !== null) {
          assert.strictEqual(Object.getPrototypeOf(hit), Object.getPrototypeOf(value))
        }
        assert.strictEqual(executions, 1)
        assert.lengthOf(yield* hits, 1)
      }))
  }

  onEachStore("and so do the values of all who joined (scenario 10)", () =>
    Effect.gen(function*() {
      const start = yield* Deferred.make<void>()
      const f = yield* Cached.make(
        "f",
        { success: Point },
        () => Effect.as(Deferred.await(start), new Point({ x: 1, at: new Date(1) }))
      )
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(f(), { startImmediately: true }))
      yield* Deferred.succeed(start, undefined)
      const points = yield* Effect.forEach(fibers, Fiber.join)
      yield* written
      for (const point of [...points, yield* f()]) {
        assert.isTrue(Equal.equals(point, new Point({ x: 1, at: new Date(1) })))
        assert.strictEqual(point.double, 2)
      }
      assert.lengthOf(yield* misses, 1)
    }))
})

const attempt = (change: () => void) => {
  try {
    change()
  } catch {
    // What is frozen refuses to be changed.
  }
}

const spoil = (value: any) => {
  attempt(() => value.list.fill(9))
  attempt(() => value.list.push(9))
  attempt(() => value.at.setFullYear(1999))
  attempt(() => value.map.set("a", 9))
  attempt(() => value.map.clear())
  attempt(() => value.bytes.fill(9))
  attempt(() => (value.point.x = 9))
  attempt(() => value.point.at.setTime(9))
  attempt(() => (value.option.value.n = 9))
  attempt(() => delete value.list)
  attempt(() => (value.more = 9))
}

describe("what a caller does with a value", () => {
  const Shape = Schema.Struct({
    list: Schema.mutable(Schema.Array(Schema.mutableKey(Schema.Number) as never as typeof Schema.Number)),
    at: Schema.Date,
    map: Schema.ReadonlyMap(Schema.String, Schema.Number),
    bytes: Schema.Uint8Array,
    point: Point,
    option: Schema.Option(Schema.Struct({ n: Schema.Number }))
  })
  const shape = () => ({
    list: [3, 1, 2],
    at: new Date(1),
    map: new Map([["a", 1]]),
    bytes: new Uint8Array([1, 2]),
    point: new Point({ x: 1, at: new Date(1) }),
    option: Option.some({ n: 1 })
  })
  onEachStore("does not change what the next reader gets (scenario 9)", () =>
    Effect.gen(function*() {
      const f = yield* Cached.make("f", { success: Shape }, () => Effect.sync(shape))
      for (let i = 0; i < 4; i++) {
        const value = yield* f()
        assert.deepStrictEqual(value, shape())
        spoil(value)
        yield* written
      }
      assert.lengthOf(yield* misses, 1)
    }))

  onEachStore("does not change what those get who waited with it (scenario 9)", () =>
    Effect.gen(function*() {
      const start = yield* Deferred.make<void>()
      const f = yield* Cached.make(
        "f",
        { success: Shape },
        () => Effect.andThen(Deferred.await(start), Effect.sync(shape))
      )
      const fibers = yield* Effect.forEach(
        [1, 2, 3],
        () =>
          Effect.forkChild(
            Effect.map(f(), (value) => {
              assert.deepStrictEqual(value, shape())
              spoil(value)
            }),
            { startImmediately: true }
          )
      )
      yield* Deferred.succeed(start, undefined)
      yield* Effect.forEach(fibers, Fiber.join)
      assert.lengthOf(yield* misses, 1)
    }))

  for (
    const [name, success, value, change] of [
      ["a struct", Schema.Struct({ n: Schema.Number }), { n: 1 }, (value: any) => (value.n = 9)],
      ["a list", Schema.Array(Schema.Number), [2, 1], (value: any) => value.fill(9)],
      ["a deep list", Schema.Array(Schema.Array(Schema.Number)), [[1]], (value: any) => value[0].push(2)],
      ["an instance", Point, new Point({ x: 1, at: new Date(1) }), (value: any) => (value.x = 9)],
      ["a record", Schema.Record(Schema.String, Schema.Number), { a: 1 }, (value: any) => (value.b = 9)],
      [
        "an Option",
        Schema.Option(Schema.Struct({ n: Schema.Number })),
        Option.some({ n: 1 }),
        (value: any) => value.value.n = 9
      ]
    ] as ReadonlyArray<readonly [string, Schema.Codec<unknown>, unknown, (value: unknown) => void]>
  ) {
    onEachStore(`cannot reach the store through ${name} (scenario 9)`, () =>
      Effect.gen(function*() {
        const f = yield* Cached.make("f", { success }, () => Effect.succeed(value))
        for (let i = 0; i < 3; i++) {
          const got = yield* f()
          assert.isTrue(Equal.equals(got, value))
          attempt(() => change(got))
          yield* written
        }
        assert.lengthOf(yield* misses, 1)
      }))
  }

  onEachStore(
    "is its own affair for the function: what it returned is neither frozen nor shared",
    () =>
      Effect.gen(function*() {
        const own = { list: [1] }
        const f = yield* Cached.make(
          "f",
          { success: Schema.Struct({ list: Schema.Array(Schema.Number) }) },
          () => Effect.sync(() => own)
        )
        yield* f()
        own.list.push(2)
        yield* written
        assert.deepStrictEqual(yield* f(), { list: [1] })
      })
  )
})

const distinct = (fields: Schema.Struct.Fields, inputs: ReadonlyArray<unknown>) =>
  Effect.gen(function*() {
    let executions = 0
    const f: (input: any) => Effect.Effect<number, unknown> = yield* Cached.make(
      "f",
      { input: fields as { readonly a: typeof Schema.String }, success: Schema.Number },
      () => Effect.sync(() => executions++)
    )
    for (const [index, input] of inputs.entries()) assert.strictEqual(yield* f(input), index)
    yield* written
    for (const [index, input] of inputs.entries()) assert.strictEqual(yield* f(input), index)
  })

describe("keys", () => {
  onEachStore(
    "do not depend on the order of fields, and are different for different values (scenario 2)",
    () =>
      Effect.gen(function*() {
        const f = yield* counter("f", {
          a: Schema.Number,
          b: Schema.optional(Schema.Struct({ x: Schema.Number, y: Schema.Number }))
        })
        assert.strictEqual(yield* f({ a: 1, b: { x: 1, y: 2 } }), 1)
        yield* written
        assert.strictEqual(yield* f({ b: { y: 2, x: 1 }, a: 1 }), 1)
        assert.strictEqual(yield* f({ a: 1, b: { x: 2, y: 1 } }), 2)
        assert.strictEqual(yield* f({ a: 1 }), 3)
        assert.strictEqual(yield* f({ a: 2 }), 4)
      })
  )

  const Anything = Schema.Union([
    Schema.String,
    Schema.Number,
    Schema.Boolean,
    Schema.Null,
    Schema.Undefined,
    Schema.BigInt
  ])
  const different = [
    ...[1, "1", true, "true", 1n, "1n", 0, -0, NaN, "NaN", null, "null", undefined, "undefined", Infinity, ""]
      .map((a) => ({ a, b: "x" })),
    ...[["a:b", "c"], ["a", "b:c"], ["a\",\"b\":\"c", "d"], ["a", "b"], ["b", "a"], ["a,b", ""], ["", "a,b"]]
      .map(([a, b]) => ({ a, b })),
    ...[["a\tb", "c"], ["a", "b\tc"], ["a\nb", "c"], ["é", "é"], ["e\u0301", "é"]].map(([a, b]) => ({ a, b }))
  ]
  onEachStore(
    "keep apart what looks alike, in fields that are plain (scenario 6)",
    () => distinct({ a: Anything, b: Anything }, different)
  )

  onEachStore(
    "keep apart what looks alike, in fields that are encoded (scenario 6)",
    () =>
      distinct({ a: Schema.Unknown, b: Anything }, [
        ...different,
        ...[[], {}, [1], ["1"], [[1]], { a: 1 }, { a: "1" }, { a: undefined }, new Date(0), new Map(), new Set()]
          .map((a) => ({ a, b: "x" }))
      ])
  )

  onEachStore(
    "keep absent fields and undefined fields apart (scenario 6)",
    () =>
      distinct({ a: Schema.optional(Schema.String), b: Schema.optional(Schema.String) }, [
        {},
        { a: undefined },
        { b: undefined },
        { a: undefined, b: undefined },
        { a: "" },
        { b: "" }
      ])
  )

  onEachStore("of any length and any text are told apart", () =>
    distinct({ a: Schema.String }, [
      { a: "x".repeat(100_000) },
      { a: `${"x".repeat(100_000)}y` },
      { a: "\ud800" },
      { a: "\udc00" },
      { a: "\ufffd" }
    ]))

  it.effect("are made of the name and the input", () =>
    Effect.gen(function*() {
      const f = yield* counter("a function", { b: Schema.String, a: Schema.Date })
      yield* f({ b: "x\"y", a: new Date(5) })
      assert.deepStrictEqual(yield* misses, ["a function {\"a\":Date(5),\"b\":\"x\\\"y\"}"])
    }).pipe(inMemory))
})

describe("inputs", () => {
  const Color = Schema.Enum({ Red: "red", Blue: "blue" })
  const sorts: ReadonlyArray<readonly [string, Schema.Top, () => unknown, () => unknown]> = [
    ["Date", Schema.Date, () => new Date(1), () => new Date(2)],
    ["Date from text", Schema.DateFromString, () => new Date(1), () => new Date(2)],
    ["branded", UserId, () => UserId.make(1), () => UserId.make(2)],
    ["enum", Color, () => "red", () => "blue"],
    ["class", Point, () => new Point({ x: 1, at: new Date(1) }), () => new Point({ x: 1, at: new Date(2) })],
    ["struct", Schema.Struct({ p: Point }), () => ({ p: new Point({ x: 1, at: new Date(1) }) }), () => ({
      p: new Point({ x: 2, at: new Date(1) })
    })],
    ["Option", Schema.Option(Schema.String), () => Option.some("a"), () => Option.some("b")],
    ["list", Schema.Array(Schema.Date), () => [new Date(1)], () => [new Date(1), new Date(1)]],
    ["bytes", Schema.Uint8Array, () => new Uint8Array([1]), () => new Uint8Array([1, 0])],
    ["Map", Schema.ReadonlyMap(Schema.String, Schema.Number), () => new Map([["a", 1]]), () => new Map([["a", 2]])],
    ["Set", Schema.ReadonlySet(Schema.String), () => new Set(["a"]), () => new Set(["b"])],
    [
      "HashMap",
      Schema.HashMap(Schema.String, Schema.Number),
      () => HashMap.make(["a", 1]),
      () => HashMap.make(["a", 2])
    ],
    ["URL", Schema.URL, () => new URL("http://a"), () => new URL("http://b")],
    ["Duration", Schema.Duration, () => Duration.seconds(1), () => Duration.seconds(2)],
    ["DateTime", Schema.DateTimeUtc, () => DateTime.makeUnsafe(1), () => DateTime.makeUnsafe(2)],
    [
      "BigDecimal",
      Schema.BigDecimal,
      () => BigDecimal.fromStringUnsafe("1.5"),
      () => BigDecimal.fromStringUnsafe("1.6")
    ]
  ]
  for (const [name, schema, one, other] of sorts) {
    onEachStore(
      `of a ${name} schema work: equal ones are one, the function gets them as they were (scenario 7)`,
      () =>
        Effect.gen(function*() {
          const seen: Array<unknown> = []
          const f: (input: { readonly v: unknown }) => Effect.Effect<number, unknown> = yield* Cached.make(
            "f",
            { input: { v: schema as Schema.Codec<unknown> }, success: Schema.Number },
            ({ v }) => Effect.sync(() => seen.push(v))
          )
          assert.strictEqual(yield* f({ v: one() }), 1)
          yield* written
          assert.strictEqual(yield* f({ v: one() }), 1)
          assert.strictEqual(yield* f({ v: other() }), 2)
          yield* written
          assert.strictEqual(yield* f({ v: one() }), 1)
          assert.strictEqual(yield* f({ v: other() }), 2)
          assert.isTrue(Equal.equals(seen, [one(), other()]))
          assert.isTrue(seen.every((v) => Object.getPrototypeOf(v) === Object.getPrototypeOf(one())))
        })
    )
  }

  onEachStore(
    "without a stable encoding are a typed error that names the function, before anything runs (scenario 3)",
    () =>
      Effect.gen(function*() {
        class Handle {
          readonly open = true
        }
        let executions = 0
        const f = yield* Cached.make(
          "reads a handle",
          { input: { v: Schema.Unknown }, success: Schema.Number, deps: () => (executions++, []) },
          () => Effect.sync(() => ++executions)
        )
        for (const v of [() => 1, Symbol("s"), new Handle(), { deep: [new Handle()] }, Promise.resolve()]) {
          for (const call of [f, f.refresh, f.forget]) {
            const error = yield* Effect.flip(call({ v }))
            assert.strictEqual(error.reason._tag, "InputError")
            assert.propertyVal(error.reason, "function", "reads a handle")
            assert.include(error.reason.message, "has no stable encoding")
          }
        }
        assert.strictEqual(executions, 0)
        assert.deepStrictEqual(yield* misses, [])
      })
  )

  onEachStore(
    "that do not fit the schema are a typed error that names function and field (scenario 3)",
    () =>
      Effect.gen(function*() {
        const f = yield* counter("f", { id: Schema.Int, at: Schema.DateFromString })
        for (const input of [{ id: 1.5, at: new Date(0) }, { id: 1 }, { id: 1, at: "today" }, 7] as Array<never>) {
          const error = yield* Effect.flip(f(input))
          assert.strictEqual((error as { readonly reason: { readonly _tag: string } }).reason._tag, "InputError")
          assert.include(String(error), "\"f\"")
        }
        assert.deepStrictEqual(yield* misses, [])
      })
  )

  onEachStore(
    "that are not valid are never answered, though they look as plain as a valid one",
    () =>
      Effect.gen(function*() {
        const f = yield* counter("f", { id: Schema.Int })
        yield* f({ id: 1 })
        const error = yield* Effect.flip(f({ id: 1.5 }))
        assert.include(String(error), "cannot be used")
      })
  )

  onEachStore("reach the function without what is not declared", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const f = yield* Cached.make(
        "f",
        { input: { a: Schema.String }, success: Schema.Number },
        (input) => Effect.sync(() => seen.push(input))
      )
      const secret = { a: "x", user: "ada" }
      assert.strictEqual(yield* f(secret), 1)
      yield* written
      assert.strictEqual(yield* f({ a: "x" }), 1)
      assert.deepStrictEqual(seen, [{ a: "x" }])
    }))

  onEachStore("reach the function as a copy: who changes theirs later changes nothing", () =>
    Effect.gen(function*() {
      const start = yield* Deferred.make<void>()
      const f = yield* Cached.make(
        "f",
        { input: { list: Schema.mutable(Schema.Array(Schema.Number)) }, success: Schema.Array(Schema.Number) },
        ({ list }) => Effect.as(Deferred.await(start), list)
      )
      const list = [1]
      const fiber = yield* Effect.forkChild(f({ list }), { startImmediately: true })
      list.push(2)
      yield* Deferred.succeed(start, undefined)
      assert.deepStrictEqual(yield* Fiber.join(fiber), [1])
      yield* written
      assert.deepStrictEqual(yield* f({ list: [1] }), [1])
      assert.deepStrictEqual(yield* f({ list: [1, 2] }), [1, 2])
    }))

  onEachStore(
    "may be instances whose fields are getters of their class: they are read as the schema reads them",
    () =>
      Effect.gen(function*() {
        class Page {
          readonly size: number
          constructor(size: number) {
            this.size = size
          }
          get limit() {
            return this.size
          }
        }
        const one = { limit: Schema.optionalKey(Schema.Number) }
        const two = Object.assign({ other: Schema.optionalKey(Schema.String) }, one)
        const inputs: ReadonlyArray<typeof one> = [one, two]
        const seen: Array<unknown> = []
        for (const [index, input] of inputs.entries()) {
          const f = yield* Cached.make(
            `f ${index}`,
            { input, success: Schema.Number },
            ({ limit }) => Effect.sync(() => (seen.push(limit), limit ?? -1))
          )
          assert.strictEqual(yield* f({}), -1)
          yield* written
          for (const size of [1, 2, 1]) assert.strictEqual(yield* f(new Page(size)), size)
        }
        assert.deepStrictEqual(seen, [undefined, 1, 2, undefined, 1, 2])
      })
  )

  onEachStore(
    "are kept as they were by who joins, and computes in the end because the result was invalidated",
    () =>
      Effect.gen(function*() {
        const start = yield* Deferred.make<void>()
        const seen: Array<number> = []
        const f = yield* Cached.make(
          "f",
          { input: { id: Schema.Number }, success: Schema.Number, deps: () => ["a"] },
          ({ id }) => Effect.as(Effect.andThen(Effect.sync(() => seen.push(id)), Deferred.await(start)), id)
        )
        const first = yield* Effect.forkChild(f({ id: 1 }), { startImmediately: true })
        const input = { id: 1 }
        const second = yield* Effect.forkChild(f(input), { startImmediately: true })
        input.id = 2
        yield* invalidate("a")
        yield* Deferred.succeed(start, undefined)
        assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [1, 1])
        assert.deepStrictEqual(seen, [1, 1])
      })
  )

  onEachStore("that are another each time they are read are one input to who would join", () =>
    Effect.gen(function*() {
      const start = yield* Deferred.make<void>()
      const f = yield* Cached.make(
        "f",
        { input: { id: Schema.Number }, success: Schema.Number, deps: () => ["a"] },
        ({ id }) => Effect.as(Deferred.await(start), id)
      )
      const first = yield* Effect.forkChild(f({ id: 1 }), { startImmediately: true })
      let reads = 0
      const changing = Object.defineProperty({ id: 0 }, "id", { enumerable: true, get: () => 1 + reads++ % 2 * 10 })
      const second = yield* Effect.forkChild(f(changing), { startImmediately: true })
      yield* invalidate("a")
      yield* Deferred.succeed(start, undefined)
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      yield* written
      assert.deepStrictEqual([yield* f({ id: 1 }), yield* f({ id: 11 })], [1, 11])
    }))

  onEachStore("can be left out where nothing is required", () =>
    Effect.gen(function*() {
      const none = yield* counter("none", {})
      const optional = yield* counter("optional", { a: Schema.optional(Schema.String) })
      assert.deepStrictEqual([yield* none(), yield* none({}), yield* none()], [1, 1, 1])
      assert.deepStrictEqual([yield* optional(), yield* optional({}), yield* optional({ a: "x" })], [1, 1, 2])
    }))
})

const factory = (name: string, factor: number) =>
  Cached.make(
    name,
    { input: { n: Schema.Number }, success: Schema.Number },
    ({ n }) => Effect.succeed(n * factor)
  )

const take = (value: number) => Cached.make("f", { success: Schema.Number }, () => Effect.succeed(value))

describe("names", () => {
  it.effect("that are taken are a typed error, and the function that has it goes on (scenario 5)", () =>
    Effect.gen(function*() {
      const first = yield* counter("population", { id: Schema.Number })
      assert.strictEqual(yield* first({ id: 1 }), 1)
      const error = yield* Effect.flip(Cached.make(
        "population",
        { input: { id: Schema.Number }, success: Schema.Number },
        () => Effect.succeed(-1)
      ))
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.include(error.message, "cached function \"population\": another cached function has this name")
      assert.strictEqual(yield* first({ id: 1 }), 1)
      assert.strictEqual(yield* first({ id: 2 }), 2)
    }).pipe(inMemory))

  it.effect("given twice by one factory are reported, so that two closures never share (scenario 5)", () =>
    Effect.gen(function*() {
      const double = yield* factory("times 2", 2)
      const triple = yield* factory("times 3", 3)
      assert.deepStrictEqual([yield* double({ n: 1 }), yield* triple({ n: 1 })], [2, 3])
      assert.deepStrictEqual([yield* double({ n: 1 }), yield* triple({ n: 1 })], [2, 3])
      assert.isTrue(Exit.isFailure(yield* Effect.exit(factory("times 2", 4))))
    }).pipe(inMemory))

  onEachStore("that begin alike are different functions (scenario 5)", () =>
    Effect.gen(function*() {
      const long = "x".repeat(190)
      const names = ["f", "f ", "f {}", "F", "f{}", "%", "%00", ":", "f:g", "ü", long, `${long}y`, `${long}z`]
      const functions = yield* Effect.forEach(names, (name) =>
        Cached.make(name, { success: Schema.String }, () => Effect.succeed(name)))
      for (const _ of [1, 2]) {
        assert.deepStrictEqual(
          yield* Effect.forEach(functions, (f) =>
            f()),
          names
        )
        yield* written
      }
      assert.lengthOf(yield* misses, names.length)
      for (const f of functions) yield* f.forgetAll
      assert.deepStrictEqual(yield* Effect.forEach(functions, (f) => f()), names)
      assert.lengthOf(yield* misses, 2 * names.length)
    }))

  it.effect.each<readonly [string, string]>([
    ["empty", ""],
    ["too long", "x".repeat(201)],
    ["with a tab", "a\tb"],
    ["with a line feed", "a\nb"],
    ["with NUL", "a\0b"]
  ])("cannot be %s", ([, name]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(counter(name, {}))
      assert.strictEqual(error.reason._tag, "DefinitionError")
      assert.include(error.message, "a name has 1 to 200 characters and no control characters")
    }).pipe(inMemory))

  it.effect("are not taken by a definition that was refused", () =>
    Effect.gen(function*() {
      yield* Effect.flip(Cached.make("f", { success: Schema.Number, timeToLive: -1 }, () => Effect.succeed(1)))
      const f = yield* counter("f", {})
      assert.strictEqual(yield* f(), 1)
    }).pipe(inMemory))

  onEachStore(
    "are free when the scope of their function closes, and whoever takes them next starts empty",
    () =>
      Effect.gen(function*() {
        const first = yield* Effect.scoped(Effect.flatMap(take(1), (f) => f()))
        yield* written
        const second = yield* Effect.scoped(Effect.flatMap(take(2), (f) => f()))
        assert.deepStrictEqual([first, second], [1, 2])
      })
  )

  it.effect("belong to one cache: another cache has its own", () =>
    Effect.gen(function*() {
      const use = Effect.suspend(() => Effect.flatMap(counter("f", {}), (f) => f()))
      assert.strictEqual(yield* inMemory(use), 1)
      assert.strictEqual(yield* inMemory(use), 1)
    }))
})

describe("the cache of a function", () => {
  it.effect("is the one that it is made under, though the function was defined before (scenario 4)", () => {
    let executions = 0
    const defined = Cached.make("f", { success: Schema.Number }, () => Effect.sync(() => ++executions))
    const twice = Effect.gen(function*() {
      const f = yield* defined
      return [yield* f(), yield* f(), (yield* hits).length]
    })
    return Effect.gen(function*() {
      assert.deepStrictEqual(yield* inMemory(twice), [1, 1, 1])
      assert.deepStrictEqual(yield* inMemory(twice), [2, 2, 1])
    })
  })

  it.effect("is, for a handler, the one of the router that it is added to (scenario 4)", () =>
    Effect.gen(function*() {
      let executions = 0
      const handler = cached(() => Effect.sync(() => ++executions), { success: Schema.Number })
      const serve = (paths: ReadonlyArray<`/${string}`>) =>
        Effect.map(
          Effect.acquireRelease(
            Effect.sync(() =>
              HttpRouter.toWebHandler(
                Layer.mergeAll(Layer.empty, ...paths.map((path) => HttpRouter.add("GET", path, handler))).pipe(
                  Layer.provideMerge(CacheTest.layer)
                ),
                { disableLogger: true }
              )
            ),
            ({ dispose }) => Effect.promise(dispose)
          ),
          ({ handler }) => (path: string) =>
            Effect.promise(() => handler(new Request(`http://localhost${path}`)).then((response) => response.text()))
        )
      const here = yield* serve(["/a", "/b"])
      const there = yield* serve(["/a"])
      assert.deepStrictEqual([yield* here("/a"), yield* here("/a")], ["1", "1"])
      assert.deepStrictEqual([yield* there("/a"), yield* there("/a")], ["2", "2"])
      assert.deepStrictEqual([yield* here("/b"), yield* here("/b")], ["3", "3"])
      assert.strictEqual(yield* here("/a"), "1")
    }))

  it.effect("keeps two handlers of one name apart: the second works past the cache (scenario 5)", () =>
    Effect.gen(function*() {
      let executions = 0
      const one = cached(() => Effect.sync(() => `one ${++executions}`), { name: "same", success: Schema.String })
      const two = cached(() => Effect.sync(() => `two ${++executions}`), { name: "same", success: Schema.String })
      const routes = Layer.mergeAll(HttpRouter.add("GET", "/one", one), HttpRouter.add("GET", "/two", two))
      const { dispose, handler } = HttpRouter.toWebHandler(Layer.provideMerge(routes, CacheTest.layer), {
        disableLogger: true
      })
      yield* Effect.addFinalizer(() => Effect.promise(dispose))
      const get = (path: `/${string}`) =>
        Effect.promise(() => handler(new Request(`http://localhost${path}`)).then((response) => response.json()))
      assert.deepStrictEqual([yield* get("/one"), yield* get("/one")], ["one 1", "one 1"])
      assert.deepStrictEqual([yield* get("/two"), yield* get("/two")], ["two 2", "two 3"])
      assert.strictEqual(yield* get("/one"), "one 1")
    }))
})

// Two caches, one after the other, over the same store and log.
const deploys = (store: (typeof stores)[number][1]) =>
  Effect.map(
    Layer.build(services(store)),
    (context) => <A, E>(effect: Effect.Effect<A, E, ResultCache.ResultCache | CacheTest.CacheTest | Written>) =>
      Effect.ensuring(effect, Effect.ignore(written)).pipe(
        Effect.provide(Layer.fresh(recording)),
        Effect.provideContext(context)
      )
  )
const call = <S extends Schema.Top>(success: S, value: S["Type"], more: { readonly version?: string } = {}) =>
  Effect.gen(function*() {
    const f: () => Effect.Effect<unknown, unknown> = yield* Cached.make(
      "f",
      { ...more, success: success as Schema.Top as Schema.Codec<unknown> },
      () => Effect.succeed<unknown>(value)
    )
    const result = yield* f()
    return [result, (yield* misses).length]
  })

const onStoreOf = (name: string, test: (store: (typeof stores)[number][1]) => Effect.Effect<void, unknown, any>) =>
  it.effect.each(stores)(`${name}, on a store of %s`, ([, store]) => Effect.scoped(test(store)))

const typeOf = <S extends Schema.Top>(schema: S, v: S["Type"]) =>
  Effect.gen(function*() {
    const f: (input: { readonly v: unknown }) => Effect.Effect<string, unknown> = yield* Cached.make(
      "f",
      { input: { v: schema as Schema.Top as Schema.Codec<unknown> }, success: Schema.String },
      ({ v }) => Effect.succeed(typeof v)
    )
    return yield* f({ v })
  })

describe("a deploy", () => {
  const V1 = Schema.Struct({ n: Schema.Number })
  onStoreOf("that changes nothing finds the old entries", (store) =>
    Effect.gen(function*() {
      const deploy = yield* deploys(store)
      assert.deepStrictEqual(yield* deploy(call(V1, { n: 1 })), [{ n: 1 }, 1])
      const Same = Schema.Struct({ n: Schema.Number })
      assert.deepStrictEqual(yield* deploy(call(Same, { n: 2 })), [{ n: 1 }, 0])
    }))

  const changes: ReadonlyArray<readonly [string, Schema.Top, unknown]> = [
    ["adds a field", Schema.Struct({ n: Schema.Number, m: Schema.Number }), { n: 2, m: 2 }],
    ["adds an optional field", Schema.Struct({ n: Schema.Number, m: Schema.optionalKey(Schema.Number) }), {
      n: 2,
      m: 2
    }],
    ["renames a field", Schema.Struct({ m: Schema.Number }), { m: 2 }],
    ["widens a field", Schema.Struct({ n: Schema.NullOr(Schema.Number) }), { n: null }],
    ["checks a field", Schema.Struct({ n: Schema.Number.check(Schema.isGreaterThan(1)) }), { n: 2 }],
    ["checks a field with a pattern", Schema.Struct({ n: Schema.String.check(Schema.isPattern(/^b/)) }), { n: "b" }],
    ["makes a class of the struct", Point, new Point({ x: 2, at: new Date(2) })],
    ["makes a list of it", Schema.Array(V1), [{ n: 2 }]],
    ["decodes a field", Schema.Struct({ n: Schema.DateFromMillis }), { n: new Date(2) }]
  ]
  for (const [name, schema, value] of changes) {
    onStoreOf(
      `that ${name} misses the old entries, and replaces them (scenario 8)`,
      (store) =>
        Effect.gen(function*() {
          const deploy = yield* deploys(store)
          yield* deploy(call(V1, { n: 1 }))
          assert.deepStrictEqual(yield* deploy(call(schema, value)), [value, 1])
          assert.deepStrictEqual(yield* deploy(call(schema, value)), [value, 0])
        })
    )
  }

  onStoreOf(
    "that changes a pattern, and nothing else, misses the old entries (scenario 8)",
    (store) =>
      Effect.gen(function*() {
        const deploy = yield* deploys(store)
        yield* deploy(call(Schema.String.check(Schema.isPattern(/^a/)), "a"))
        assert.deepStrictEqual(yield* deploy(call(Schema.String.check(Schema.isPattern(/^b/)), "b")), ["b", 1])
      })
  )

  onStoreOf("that changes the version misses the old entries (scenario 8)", (store) =>
    Effect.gen(function*() {
      const deploy = yield* deploys(store)
      assert.deepStrictEqual(yield* deploy(call(V1, { n: 1 }, { version: "1" })), [{ n: 1 }, 1])
      assert.deepStrictEqual(yield* deploy(call(V1, { n: 2 }, { version: "2" })), [{ n: 2 }, 1])
      assert.deepStrictEqual(yield* deploy(call(V1, { n: 3 }, { version: "2" })), [{ n: 2 }, 0])
    }))

  onStoreOf(
    "that reads its input in another way misses the old entries (scenario 8)",
    (store) =>
      Effect.gen(function*() {
        const deploy = yield* deploys(store)
        assert.strictEqual(yield* deploy(typeOf(Schema.String, "1")), "string")
        assert.strictEqual(yield* deploy(typeOf(Schema.NumberFromString, 1)), "number")
      })
  )

  it.effect("with another format version of the stored bytes misses the old entries, and replaces them (scenario 8)", () =>
    Effect.gen(function*() {
      const deploy = yield* deploys(
        ByteStore.layerMemory().pipe(
          // The version is the fourth byte.
          Layer.provide(
            Layer.effect(Codec.Codec)(Effect.map(Codec.Codec, (codec) => {
              let old = true
              return Codec.Codec.of({
                ...codec,
                encode: (entry) =>
                  Effect.map(codec.encode(entry), (bytes) => {
                    if (old) bytes[3] = 0
                    old = false
                    return bytes
                  })
              })
            }))
          ),
          Layer.provide(MsgPackCodec.layer())
        )
      )
      assert.deepStrictEqual(yield* deploy(call(V1, { n: 1 })), [{ n: 1 }, 1])
      const next = Effect.gen(function*() {
        const [result] = yield* call(V1, { n: 2 })
        yield* written
        const events = yield* CacheTest.CacheTest.use((test) => test.events)
        return [result, events.map(({ _tag }) => _tag)]
      })
      assert.deepStrictEqual(yield* deploy(next), [{ n: 2 }, ["Undecodable", "Miss", "Stored"]])
      assert.deepStrictEqual(yield* deploy(call(V1, { n: 3 })), [{ n: 2 }, 0])
    }))
})

describe("tags of a cached function", () => {
  onEachStore("end its entries", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", { id: Schema.Number }, ({ id }) => [tag`user:${id}`, "users"])
      assert.deepStrictEqual([yield* f({ id: 1 }), yield* f({ id: 10 })], [1, 2])
      yield* written
      yield* invalidate(tag`user:${1}`)
      assert.deepStrictEqual([yield* f({ id: 10 }), yield* f({ id: 1 })], [2, 3])
      yield* invalidate("users")
      assert.deepStrictEqual([yield* f({ id: 1 }), yield* f({ id: 10 })], [4, 5])
    }))

  onEachStore("may be any iterable", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", {}, function*() {
        yield "a"
        yield tag`b:${1}`
      })
      yield* f()
      yield* written
      yield* invalidate("b")
      assert.strictEqual(yield* f(), 2)
    }))

  onEachStore("are made of the decoded input", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", { id: Schema.NumberFromString }, ({ id }) => [tag`user:${id + 1}`])
      yield* f({ id: 1 })
      yield* written
      yield* invalidate("user:1")
      assert.strictEqual(yield* f({ id: 1 }), 1)
      yield* invalidate("user:2")
      assert.strictEqual(yield* f({ id: 1 }), 2)
    }))

  const malformed: ReadonlyArray<readonly [string, () => Iterable<string>, string]> = [
    ["a malformed tag", () => ["good", "a b"], "Tag \"a b\" is malformed"],
    ["a value that is only a part of a segment", () => [tag`user-${1}`], "only a part of its segment"],
    ["a tag that is no text", () => [7 as never], "\"f\", deps"],
    ["no list at all", () => 7 as never, "\"f\", deps"],
    ["a function that throws", () => {
      throw new Error("no tags today")
    }, "no tags today"],
    ["a generator that throws", function*() {
      yield "good"
      throw new Error("no more tags")
    }, "no more tags"]
  ]
  for (const [name, deps, reason] of malformed) {
    onEachStore(
      `that come from ${name} cost nobody the value: it is not stored, and reported (scenario 13)`,
      () =>
        Effect.gen(function*() {
          const start = yield* Deferred.make<void>()
          let executions = 0
          const f = yield* Cached.make(
            "f",
            { success: Schema.Number, deps },
            () => Effect.andThen(Deferred.await(start), Effect.sync(() => ++executions))
          )
          const leader = yield* Effect.forkChild(f(), { startImmediately: true })
          const follower = yield* Effect.forkChild(f(), { startImmediately: true })
          yield* Deferred.succeed(start, undefined)
          assert.deepStrictEqual([yield* Fiber.join(leader), yield* Fiber.join(follower)], [1, 1])
          yield* written
          assert.deepStrictEqual(yield* stored, [])
          const [first] = yield* rejected
          assert.strictEqual(first?.reason, "tag")
          assert.include(first?.error?.message, reason)
          assert.strictEqual(yield* f(), 2)
        })
    )
  }

  onEachStore(
    "that are malformed and added late cost nobody the value either (scenario 13)",
    () =>
      Effect.gen(function*() {
        let executions = 0
        const f = yield* Cached.make(
          "f",
          { success: Schema.Number },
          () => Effect.andThen(addDeps("good", ":bad"), Effect.sync(() => ++executions))
        )
        assert.deepStrictEqual([yield* f(), yield* f()], [1, 2])
        const [first] = yield* rejected
        assert.strictEqual(first?.error?.reason._tag, "TagError")
        assert.deepStrictEqual(yield* stored, [])
      })
  )

  onEachStore(
    "that are malformed keep whoever read the value from being stored, too: nobody could end it",
    () =>
      Effect.gen(function*() {
        let value = 1
        const inner = yield* Cached.make(
          "inner",
          { success: Schema.Number, deps: () => ["user 7"] },
          () => Effect.sync(() => value)
        )
        const outer = yield* Cached.make("outer", { success: Schema.Number }, () => inner())
        assert.strictEqual(yield* outer(), 1)
        yield* written
        value = 2
        assert.strictEqual(yield* outer(), 2)
      })
  )
})

describe("addDeps", () => {
  onEachStore("adds tags to the computation that runs, wherever in it (scenario 14)", () =>
    Effect.gen(function*() {
      let executions = 0
      const f = yield* Cached.make(
        "f",
        { success: Schema.Number },
        Effect.fnUntraced(function*() {
          yield* addDeps("first", tag`second:${1}`)
          yield* Effect.scoped(Effect.forEach([1, 2], (id) => addDeps(tag`each:${id}`), { concurrency: 2 }))
          const fiber = yield* Effect.forkChild(Effect.andThen(Effect.yieldNow, addDeps("child")))
          yield* Fiber.join(fiber)
          return ++executions
        })
      )
      assert.strictEqual(yield* f(), 1)
      yield* written
      yield* invalidate("other", "second:2", "each:3")
      assert.strictEqual(yield* f(), 1)
      for (const [index, ended] of ["first", "second", "each:1", "each:2", "child"].entries()) {
        yield* invalidate(ended)
        assert.strictEqual(yield* f(), index + 2, ended)
        yield* written
      }
    }))

  it.effect("does nothing outside a cached computation, be the tags well-formed or not (scenario 14)", () =>
    Effect.gen(function*() {
      yield* addDeps()
      yield* addDeps("user:7", "a b")
      const f = yield* counter("f", {})
      yield* f()
      yield* addDeps("user:7")
      yield* invalidate("user:7")
      assert.strictEqual(yield* f(), 1)
    }).pipe(inMemory))

  it.effect("needs no cache at all", () => addDeps("user:7"))

  it.effect("adds to the innermost computation", () =>
    Effect.gen(function*() {
      const inner = yield* Cached.make(
        "inner",
        { success: Schema.Number },
        () => Effect.as(addDeps("inner"), 1)
      )
      let executions = 0
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.Number },
        () => Effect.andThen(Effect.andThen(inner(), addDeps("outer")), Effect.sync(() => ++executions))
      )
      yield* outer()
      yield* invalidate("outer")
      yield* inner()
      assert.deepStrictEqual(yield* misses, ["outer {}", "inner {}"])
      yield* outer()
      assert.strictEqual(executions, 2)
    }).pipe(inMemory))

  onEachStore("adds nothing once the computation is over", () =>
    Effect.gen(function*() {
      const over = yield* Deferred.make<void>()
      const added = yield* Deferred.make<void>()
      let executions = 0
      const f = yield* Cached.make(
        "f",
        { success: Schema.Number },
        () =>
          Effect.andThen(
            Effect.forkDetach(
              Effect.andThen(Deferred.await(over), Effect.andThen(addDeps("late"), Deferred.succeed(added, undefined)))
            ),
            Effect.sync(() => ++executions)
          )
      )
      yield* f()
      yield* written
      yield* Deferred.succeed(over, undefined)
      yield* Deferred.await(added)
      yield* invalidate("late")
      assert.strictEqual(yield* f(), 1)
    }))
})

/** An inner function with a tag, and an outer one that reads it through `read`. */
const nested = (
  read: <A, E>(inner: Effect.Effect<A, E>) => Effect.Effect<A, E> = (inner) => inner,
  ttl?: Duration.Input
) =>
  Effect.gen(function*() {
    let executions = 0
    const inner = yield* Cached.make(
      "inner",
      { success: Schema.Number, deps: () => ["data"], timeToLive: ttl },
      () => Effect.sync(() => ++executions)
    )
    const outer = yield* Cached.make(
      "outer",
      { success: Schema.String },
      () => Effect.map(read(Effect.orDie(inner())), (n) => `outer ${n}`)
    )
    return { inner, outer }
  })

describe("a cached function that reads another", () => {
  onEachStore("ends with its tags, when it missed (scenario 15)", () =>
    Effect.gen(function*() {
      const { outer } = yield* nested()
      assert.strictEqual(yield* outer(), "outer 1")
      yield* written
      assert.strictEqual(yield* outer(), "outer 1")
      yield* invalidate("data")
      assert.strictEqual(yield* outer(), "outer 2")
    }))

  onEachStore("ends with its tags, when it hit (scenario 15)", () =>
    Effect.gen(function*() {
      const { inner, outer } = yield* nested()
      yield* inner()
      yield* written
      assert.strictEqual(yield* outer(), "outer 1")
      yield* written
      assert.lengthOf(yield* hits, 1)
      yield* invalidate("data")
      assert.strictEqual(yield* outer(), "outer 2")
    }))

  onEachStore(
    "ends with its tags, when it joined, also with those added late (scenario 15)",
    () =>
      Effect.gen(function*() {
        const start = yield* Deferred.make<void>()
        const reading = yield* Deferred.make<void>()
        let executions = 0
        const inner = yield* Cached.make(
          "inner",
          { success: Schema.Number },
          () =>
            Effect.andThen(
              Effect.andThen(Deferred.await(start), addDeps("late")),
              Effect.sync(() => ++executions)
            )
        )
        const outer = yield* Cached.make(
          "outer",
          { success: Schema.Number },
          () => Effect.andThen(Deferred.succeed(reading, undefined), inner())
        )
        const first = yield* Effect.forkChild(inner(), { startImmediately: true })
        const second = yield* Effect.forkChild(outer(), { startImmediately: true })
        yield* Deferred.await(reading)
        yield* Deferred.succeed(start, undefined)
        assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [1, 1])
        yield* written
        assert.lengthOf(yield* CacheTest.CacheTest.use((test) => test.joined), 1)
        assert.strictEqual(yield* outer(), 1)
        yield* invalidate("late")
        assert.strictEqual(yield* outer(), 2)
      })
  )

  onEachStore("ends with its tags, when it was read in child fibers (scenario 15)", () =>
    Effect.gen(function*() {
      const { outer } = yield* nested((inner) =>
        Effect.map(
          Effect.all([Effect.flatMap(Effect.forkChild(inner), Fiber.join), inner], { concurrency: 2 }),
          ([n]) => n
        )
      )
      assert.strictEqual(yield* outer(), "outer 1")
      yield* written
      yield* invalidate("data")
      assert.strictEqual(yield* outer(), "outer 2")
    }))

  onEachStore("ends with its tags, over many levels (scenario 15)", () =>
    Effect.gen(function*() {
      let executions = 0
      let read: () => Effect.Effect<number, unknown> = () => Effect.sync(() => ++executions)
      for (let level = 0; level < 20; level++) {
        const below = read
        read = yield* Cached.make(
          `level ${level}`,
          { success: Schema.Number, deps: () => [tag`level:${level}`] },
          () => Effect.orDie(below())
        )
      }
      assert.strictEqual(yield* read(), 1)
      for (const level of [0, 7, 19]) {
        yield* written
        yield* invalidate(tag`level:${level}`)
        yield* read()
      }
      assert.strictEqual(executions, 2)
      assert.lengthOf(yield* misses, 20 + 20 + 13 + 1)
    }))

  onEachStore("ends when the other is forgotten, by key or as a whole (scenario 15)", () =>
    Effect.gen(function*() {
      const { inner, outer } = yield* nested()
      assert.strictEqual(yield* outer(), "outer 1")
      yield* written
      yield* inner.forget()
      assert.strictEqual(yield* outer(), "outer 2")
      yield* written
      yield* inner.forgetAll
      assert.strictEqual(yield* outer(), "outer 3")
    }))

  onEachStore("ends with the tags of a failure that it recovered from", () =>
    Effect.gen(function*() {
      let found = false
      const inner = yield* Cached.make(
        "inner",
        { success: Schema.String, deps: () => ["user:7"] },
        () => Effect.suspend(() => found ? Effect.succeed("Ada") : Effect.fail("not found"))
      )
      const outer = yield* Cached.make(
        "outer",
        { success: Schema.String },
        () => Effect.catch(inner(), () => Effect.succeed("nobody"))
      )
      assert.strictEqual(yield* outer(), "nobody")
      yield* Written.use((wait) => wait(1))
      found = true
      assert.strictEqual(yield* outer(), "nobody")
      yield* invalidate("user:7")
      assert.strictEqual(yield* outer(), "Ada")
    }))

  onEachStore("does not outlive it", () =>
    Effect.gen(function*() {
      const { inner, outer } = yield* nested(undefined, "10 seconds")
      yield* inner()
      yield* written
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* outer(), "outer 1")
      yield* written
      yield* TestClock.adjust("5999 millis")
      assert.strictEqual(yield* outer(), "outer 1")
      yield* TestClock.adjust("1 milli")
      assert.strictEqual(yield* outer(), "outer 2")
    }))

  onEachStore("is not stored when the other is not, for want of a lifetime", () =>
    Effect.gen(function*() {
      const { outer } = yield* nested(undefined, 0)
      assert.deepStrictEqual([yield* outer(), yield* outer()], ["outer 1", "outer 2"])
      assert.deepStrictEqual(yield* stored, [])
    }))

  onEachStore(
    "ends without it where the read is untracked: neither by tags nor by time (scenario 15)",
    () =>
      Effect.gen(function*() {
        const { outer } = yield* nested(untracked, "10 seconds")
        assert.strictEqual(yield* outer(), "outer 1")
        yield* written
        yield* invalidate("data")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* outer(), "outer 1")
      })
  )

  onEachStore(
    "tracks again within an untracked read: the other keeps its own dependencies",
    () =>
      Effect.gen(function*() {
        let executions = 0
        const leaf = yield* counter("leaf", {}, () => ["leaf"])
        const middle = yield* Cached.make(
          "middle",
          { success: Schema.Number },
          () => Effect.andThen(Effect.orDie(leaf()), Effect.sync(() => ++executions))
        )
        const outer = yield* Cached.make("outer", { success: Schema.Number }, () => untracked(middle()))
        yield* outer()
        yield* written
        yield* invalidate("leaf")
        assert.deepStrictEqual([yield* outer(), yield* middle()], [1, 2])
      })
  )

  onEachStore("may read both ways: what is untracked once can be tracked once more", () =>
    Effect.gen(function*() {
      const { outer } = yield* nested((inner) => Effect.andThen(untracked(inner), inner))
      yield* outer()
      yield* written
      yield* invalidate("data")
      assert.strictEqual(yield* outer(), "outer 2")
    }))

  it.effect("untracked changes nothing outside a computation", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", {})
      assert.deepStrictEqual([yield* untracked(f()), yield* f()], [1, 1])
    }).pipe(inMemory))
})

/** Sorted tags that count how many of them are looked at. */
const counted = (count: number) => {
  const tags = Array.from({ length: count }, (_, n) => `user:${n}`).toSorted()
  const looks = { count: 0 }
  const watched = new Proxy(tags, {
    get: (target, name, receiver): unknown => {
      if (typeof name === "string" && /^\d+$/.test(name)) looks.count++
      return Reflect.get(target, name, receiver)
    }
  })
  return { looks, watched }
}

describe("ten thousand tags (scenario 16)", () => {
  it.effect("cost no look in an unchanged world, and few after an unrelated invalidation", () =>
    Effect.gen(function*() {
      const graph = yield* DependencyGraph.DependencyGraph
      graph.gap(1)
      const { looks, watched } = counted(10_000)
      const subject = { tags: watched, position: 1, revision: -1 }
      assert.isTrue(graph.isValid(subject))
      looks.count = 0
      assert.isTrue(graph.isValid(subject))
      assert.strictEqual(looks.count, 0)
      graph.apply({ tags: ["city:1"], position: 2 })
      assert.isTrue(graph.isValid(subject))
      assert.isBelow(looks.count, 100)
      looks.count = 0
      assert.isTrue(graph.isValid(subject))
      assert.strictEqual(looks.count, 0)
      graph.apply({ tags: ["user:77:orders", "user"], position: 3 })
      assert.isFalse(graph.isValid(subject))
      assert.isBelow(looks.count, 100)
    }).pipe(Effect.provide(DependencyGraph.layer())))

  onEachStore("end an entry like one does", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", {}, () => Array.from({ length: 10_000 }, (_, n) => tag`user:${n}`))
      yield* f()
      yield* written
      yield* invalidate("city:1", "user:10000", "user:77:orders")
      assert.strictEqual(yield* f(), 1)
      yield* invalidate("user:9999")
      assert.strictEqual(yield* f(), 2)
    }))
})

describe("refresh", () => {
  onEachStore("computes anew, stores and returns the result", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", { id: Schema.Number })
      assert.deepStrictEqual([yield* f({ id: 1 }), yield* f({ id: 2 })], [1, 2])
      yield* written
      assert.strictEqual(yield* f.refresh({ id: 1 }), 3)
      yield* written
      assert.deepStrictEqual([yield* f({ id: 1 }), yield* f({ id: 2 })], [3, 2])
    }))

  onEachStore("fills what was not there", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", {})
      assert.strictEqual(yield* f.refresh(), 1)
      yield* written
      assert.strictEqual(yield* f(), 1)
    }))

  onEachStore("that fails leaves what was there", () =>
    Effect.gen(function*() {
      let broken = false
      const f = yield* Cached.make(
        "f",
        { success: Schema.Number },
        () => Effect.suspend(() => broken ? Effect.fail("broken") : Effect.succeed(1))
      )
      yield* f()
      yield* written
      broken = true
      assert.strictEqual(yield* Effect.flip(f.refresh()), "broken")
      assert.strictEqual(yield* f(), 1)
    }))

  /** A function whose executions end when the test lets them, each with a number of its own. */
  const gated = Effect.gen(function*() {
    const gates: Array<Deferred.Deferred<void>> = []
    const f = yield* Cached.make(
      "f",
      { success: Schema.Number },
      () =>
        Effect.suspend(() => {
          const gate = Deferred.makeUnsafe<void>()
          const mine = gates.push(gate)
          return Effect.as(Deferred.await(gate), mine)
        })
    )
    return { f, open: (n: number) => Deferred.succeed(gates[n - 1]!, undefined) }
  })

  onEachStore("is what those wait for who ask meanwhile and find nothing", () =>
    Effect.gen(function*() {
      const { f, open } = yield* gated
      const refreshing = yield* Effect.forkChild(f.refresh(), { startImmediately: true })
      const asking = yield* Effect.forkChild(f(), { startImmediately: true })
      yield* open(1)
      assert.deepStrictEqual([yield* Fiber.join(refreshing), yield* Fiber.join(asking)], [1, 1])
    }))

  onEachStore(
    "is not overwritten by a computation that began before it and ends after it",
    () =>
      Effect.gen(function*() {
        const { f, open } = yield* gated
        const old = yield* Effect.forkChild(f(), { startImmediately: true })
        const refreshing = yield* Effect.forkChild(f.refresh(), { startImmediately: true })
        yield* open(2)
        assert.strictEqual(yield* Fiber.join(refreshing), 2)
        yield* open(1)
        assert.strictEqual(yield* Fiber.join(old), 1)
        yield* Effect.yieldNow
        yield* Effect.yieldNow
        const later = yield* Effect.forkChild(f(), { startImmediately: true })
        yield* Effect.yieldNow
        assert.deepStrictEqual(yield* misses, ["f {}", "f {}"])
        assert.strictEqual(yield* Fiber.join(later), 2)
      })
  )

  onEachStore("is not joined by another refresh, which wants a newer result", () =>
    Effect.gen(function*() {
      const { f, open } = yield* gated
      const first = yield* Effect.forkChild(f.refresh(), { startImmediately: true })
      const second = yield* Effect.forkChild(f.refresh(), { startImmediately: true })
      yield* open(2)
      yield* open(1)
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [1, 2])
    }))
})

describe("forget", () => {
  onEachStore("ends the entry of one input", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", { id: Schema.Number })
      const g = yield* counter("g", { id: Schema.Number })
      yield* Effect.all([f({ id: 1 }), f({ id: 2 }), g({ id: 1 })])
      yield* written
      yield* f.forget({ id: 1 })
      assert.deepStrictEqual([yield* f({ id: 2 }), yield* g({ id: 1 }), yield* f({ id: 1 })], [2, 1, 3])
    }))

  onEachStore("ends an entry whose key is long, and no other", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", { text: Schema.String })
      const long = "x".repeat(10_000)
      yield* Effect.all([f({ text: long }), f({ text: `${long}y` })])
      yield* written
      yield* f.forget({ text: long })
      assert.deepStrictEqual([yield* f({ text: `${long}y` }), yield* f({ text: long })], [2, 3])
    }))

  onEachStore("of what is not there does nothing", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", { id: Schema.Number })
      yield* f.forget({ id: 1 })
      yield* f.forgetAll
      assert.strictEqual(yield* f({ id: 1 }), 1)
    }))

  onEachStore(
    "keeps the result of a computation that runs from being retained, and from those who come later",
    () =>
      Effect.gen(function*() {
        const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        let executions = 0
        const f = yield* Cached.make(
          "f",
          { success: Schema.Number },
          () =>
            Effect.suspend(() => {
              const gate = gates[executions++]!
              return Effect.as(Deferred.await(gate), executions)
            })
        )
        const before = yield* Effect.forkChild(f(), { startImmediately: true })
        yield* f.forget()
        const after = yield* Effect.forkChild(f(), { startImmediately: true })
        yield* Deferred.succeed(gates[1]!, undefined)
        yield* Deferred.succeed(gates[0]!, undefined)
        yield* Fiber.await(before)
        assert.strictEqual(yield* Fiber.join(after), 2)
        yield* written
        assert.strictEqual(yield* f(), 2)
      })
  )

  onEachStore("ends all entries of the function with forgetAll, and no others", () =>
    Effect.gen(function*() {
      const f = yield* counter("f", { id: Schema.Number })
      const g = yield* counter("f:g", { id: Schema.Number })
      yield* Effect.all([f({ id: 1 }), f({ id: 2 }), g({ id: 1 })])
      yield* written
      yield* f.forgetAll
      assert.deepStrictEqual([yield* g({ id: 1 }), yield* f({ id: 2 }), yield* f({ id: 1 })], [1, 3, 4])
    }))
})

describe("varyBy", () => {
  class CurrentUser extends Context.Service<CurrentUser, { readonly id: string }>()("test/Cached/CurrentUser") {}
  const as = (id: string) => Effect.provideService(CurrentUser, { id })
  const greeting = Effect.gen(function*() {
    let executions = 0
    return yield* Cached.make("greeting", {
      input: { greeting: Schema.String },
      success: Schema.String,
      varyBy: Effect.map(CurrentUser, (user) => user.id)
    }, ({ greeting }, user) => Effect.sync(() => `${greeting} ${user} ${++executions}`))
  })

  onEachStore("is a part of the key and reaches the function after the input", () =>
    Effect.gen(function*() {
      const f = yield* greeting
      const hello = f({ greeting: "hello" })
      assert.strictEqual(yield* as("ada")(hello), "hello ada 1")
      yield* written
      assert.strictEqual(yield* as("bob")(hello), "hello bob 2")
      yield* written
      assert.strictEqual(yield* as("ada")(hello), "hello ada 1")
      assert.strictEqual(yield* as("bob")(hello), "hello bob 2")
      assert.strictEqual(yield* as("ada")(f({ greeting: "bye" })), "bye ada 3")
    }))

  onEachStore("keeps callers apart who ask at the same time", () =>
    Effect.gen(function*() {
      const start = yield* Deferred.make<void>()
      const f = yield* Cached.make(
        "f",
        { success: Schema.String, varyBy: Effect.map(CurrentUser, ({ id }) => id) },
        (_, user) => Effect.as(Deferred.await(start), user)
      )
      const fibers = yield* Effect.forEach(
        ["ada", "bob", "ada"],
        (id) => Effect.forkChild(as(id)(f()), { startImmediately: true })
      )
      yield* Deferred.succeed(start, undefined)
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), ["ada", "bob", "ada"])
      assert.lengthOf(yield* misses, 2)
    }))

  onEachStore(
    "is refreshed and forgotten for one value, and all values are forgotten with forgetAll",
    () =>
      Effect.gen(function*() {
        const f = yield* greeting
        const both = Effect.all([as("ada")(f({ greeting: "hi" })), as("bob")(f({ greeting: "hi" }))])
        assert.deepStrictEqual(yield* both, ["hi ada 1", "hi bob 2"])
        yield* written
        yield* as("ada")(f.refresh({ greeting: "hi" }))
        yield* written
        assert.deepStrictEqual(yield* both, ["hi ada 3", "hi bob 2"])
        yield* as("bob")(f.forget({ greeting: "hi" }))
        assert.deepStrictEqual(yield* both, ["hi ada 3", "hi bob 4"])
        yield* written
        yield* f.forgetAll
        assert.deepStrictEqual(yield* both, ["hi ada 5", "hi bob 6"])
      })
  )

  onEachStore("keeps apart what looks alike, and does not depend on the order of fields", () =>
    Effect.gen(function*() {
      const values: ReadonlyArray<Cached.KeyPart> = [
        1,
        "1",
        1n,
        true,
        "true",
        null,
        "null",
        undefined,
        "undefined",
        "",
        [],
        {},
        [1],
        ["1"],
        {
          a: 1,
          b: 2
        },
        {
          a: "1",
          b: 2
        },
        ["a", "b"],
        ["a,b"],
        "a	b"
      ]
      let current: Cached.KeyPart = undefined
      let executions = 0
      const f = yield* Cached.make(
        "f",
        { success: Schema.Number, varyBy: Effect.sync(() => current) },
        () => Effect.sync(() => executions++)
      )
      for (const _ of [1, 2]) {
        for (const [index, value] of values.entries()) {
          current = value
          assert.strictEqual(yield* f(), index)
        }
        yield* written
      }
      current = { b: 2, a: 1 }
      assert.strictEqual(yield* f(), 14)
    }))

  onEachStore("cannot be mistaken for a part of the input", () =>
    Effect.gen(function*() {
      let current = "x"
      const varied = yield* Cached.make(
        "f",
        { input: { a: Schema.String }, success: Schema.String, varyBy: Effect.sync(() => current) },
        ({ a }, x) => Effect.succeed(`${a} ${x}`)
      )
      assert.strictEqual(yield* varied({ a: "1" }), "1 x")
      current = "y"
      yield* written
      assert.strictEqual(yield* varied({ a: "1\"}\t\"x" }), "1\"}\t\"x y")
      assert.strictEqual(yield* varied({ a: "1" }), "1 y")
    }))

  onEachStore("that fails is the caller's failure, and nothing is computed", () =>
    Effect.gen(function*() {
      const f = yield* Cached.make(
        "f",
        { success: Schema.Number, varyBy: Effect.fail("not signed in" as const) },
        () => Effect.succeed(1)
      )
      assert.strictEqual(yield* Effect.flip(f()), "not signed in")
      assert.strictEqual(yield* Effect.flip(f.refresh()), "not signed in")
      assert.strictEqual(yield* Effect.flip(f.forget()), "not signed in" as never)
      assert.deepStrictEqual(yield* misses, [])
    }))

  onEachStore(
    "without a stable encoding is a typed error that names the function (scenario 3)",
    () =>
      Effect.gen(function*() {
        const f = yield* Cached.make(
          "f",
          { success: Schema.Number, varyBy: Effect.succeed((() => 1) as never) },
          () => Effect.succeed(1)
        )
        const error: unknown = yield* Effect.flip(f())
        assert.include(String(error), "The input of \"f, varyBy\" cannot be used: a function has no stable encoding")
        assert.deepStrictEqual(yield* misses, [])
      })
  )

  onEachStore("is evaluated once for each call, by the caller", () =>
    Effect.gen(function*() {
      let evaluations = 0
      const f = yield* Cached.make(
        "f",
        { success: Schema.Number, varyBy: Effect.sync(() => String(++evaluations > 0)) },
        () => Effect.succeed(1)
      )
      for (const n of [1, 2, 3]) {
        yield* f()
        yield* written
        assert.strictEqual(evaluations, n)
      }
      assert.lengthOf(yield* misses, 1)
    }))
})

describe("the services of a cached function", () => {
  class Prefix extends Context.Service<Prefix, string>()("test/Cached/Prefix") {}

  onEachStore("are taken when it is made, and nothing is taken from who calls", () =>
    Effect.gen(function*() {
      const f = yield* Cached.make(
        "f",
        { success: Schema.String },
        () => Effect.map(Prefix, (prefix) => `${prefix} made`)
      ).pipe(Effect.provideService(Prefix, "as"))
      assert.strictEqual(yield* Effect.provideService(f(), Prefix, "called by someone"), "as made")
      assert.strictEqual(yield* f.refresh(), "as made")
    }))

  onEachStore("are taken for its schemas, too, when it is made", () =>
    Effect.gen(function*() {
      const Prefixed = Schema.String.pipe(Schema.decodeTo(Schema.String, {
        decode: SchemaGetter.transformEffect((text: string) => Effect.map(Prefix, (prefix) => prefix + text)),
        encode: SchemaGetter.transformEffect((text: string) =>
          Effect.map(Prefix, (prefix) => text.slice(prefix.length))
        )
      }))
      const seen: Array<string> = []
      const f = yield* Cached.make(
        "f",
        { input: { a: Prefixed }, success: Prefixed },
        ({ a }) => Effect.sync(() => (seen.push(a), `${a}!`))
      ).pipe(Effect.provideService(Prefix, "my "))
      assert.strictEqual(yield* f({ a: "my x" }), "my x!")
      yield* written
      assert.strictEqual(yield* f({ a: "my x" }), "my x!")
      assert.strictEqual(yield* Effect.provideService(f({ a: "my x" }), Prefix, "your "), "my x!")
      assert.strictEqual(yield* f.refresh({ a: "my x" }), "my x!")
      yield* f.forget({ a: "my x" })
      assert.deepStrictEqual(seen, ["my x", "my x"])
      assert.deepStrictEqual(yield* misses, ["f {\"a\":\"x\"}", "f {\"a\":\"x\"}"])
    }))

  onEachStore("have a Scope for each computation, which closes when it ends", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const f = yield* Cached.make(
        "f",
        { input: { id: Schema.Number }, success: Schema.Number },
        Effect.fnUntraced(function*({ id }) {
          yield* Effect.acquireRelease(
            Effect.sync(() => log.push(`open ${id}`)),
            () => Effect.sync(() => log.push(`close ${id}`))
          )
          log.push(`use ${id}`)
          return id
        })
      )
      yield* f({ id: 1 })
      yield* f({ id: 2 })
      assert.deepStrictEqual(log, ["open 1", "use 1", "close 1", "open 2", "use 2", "close 2"])
    }))

  it.effect("include the clock under which it was made", () =>
    Effect.gen(function*() {
      const f = yield* Cached.make("f", { success: Schema.Number }, () => Clock.currentTimeMillis)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* f(), 5000)
    }).pipe(inMemory))
})

describe("isCached", () => {
  it.effect("tells cached functions from all else", () =>
    Effect.gen(function*() {
      assert.isTrue(Cached.isCached(yield* counter("f", {})))
      for (const value of [undefined, null, 7, {}, () => 1, Cached.make]) assert.isFalse(Cached.isCached(value))
    }).pipe(inMemory))
})
