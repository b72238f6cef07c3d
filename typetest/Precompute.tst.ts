import { Context, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { Cached, type CacheError, Precompute, type ResultCache } from "effect-cached"
import { describe, expect, test } from "tstyche"

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}
class Users extends Context.Service<Users, { readonly count: number }>()("typetest/Users") {}
class CurrentUser extends Context.Service<CurrentUser, { readonly id: string }>()("typetest/CurrentUser") {}

const shape = Schema.Literals(["circle", "square"])
const page = Schema.Int
const finite = { shape, large: Schema.Boolean }
const infinite = { shape, page }

declare const area: Cached.Cached<typeof finite, typeof Schema.Number, Broken>
declare const mine: Cached.Cached<typeof finite, typeof Schema.Number, Broken, CurrentUser>
declare const list: Cached.Cached<typeof infinite, typeof Schema.Number>
declare const search: Cached.Cached<{ term: typeof Schema.String; page: typeof page }, typeof Schema.Number>

class Standings extends Context.Service<Standings, typeof area>()("typetest/Standings") {}
class Lists extends Context.Service<Lists, typeof list>()("typetest/Lists") {}

describe("Precompute.run", () => {
  test("gives progress, and fails with a CacheError", () => {
    expect(Precompute.run(area)).type.toBe<Stream.Stream<Precompute.Progress, CacheError.CacheError>>()
    expect(Precompute.run([area])).type.toBe<Stream.Stream<Precompute.Progress, CacheError.CacheError>>()
    expect(Precompute.run([])).type.toBe<Stream.Stream<Precompute.Progress, CacheError.CacheError>>()
  })

  test("needs what varyBy needs", () => {
    expect(Precompute.run(mine)).type.toBe<Stream.Stream<Precompute.Progress, CacheError.CacheError, CurrentUser>>()
    expect(Precompute.run([area, mine])).type.toBe<
      Stream.Stream<Precompute.Progress, CacheError.CacheError, CurrentUser>
    >()
  })

  test("needs and fails with what its sources need and fail with", () => {
    const made = Cached.make("f", { input: finite, success: Schema.Number }, () => Users.useSync(({ count }) => count))
    expect(Precompute.run(made)).type.toBe<
      Stream.Stream<Precompute.Progress, CacheError.CacheError, Users | ResultCache.ResultCache>
    >()
    expect(Precompute.run(Standings)).type.toBe<
      Stream.Stream<Precompute.Progress, CacheError.CacheError, Standings>
    >()
    const failing = Effect.andThen(Effect.fail(new Broken()), Effect.succeed(mine))
    expect(Precompute.run([Standings, failing, Precompute.over(made, { order: ["large"] })])).type.toBe<
      Stream.Stream<
        Precompute.Progress,
        CacheError.CacheError | Broken,
        Standings | CurrentUser | Users | ResultCache.ResultCache
      >
    >()
  })

  test("has a scope for its sources", () => {
    const scoped = Effect.andThen(Effect.scope, Effect.succeed(mine))
    expect(Precompute.run(scoped)).type.toBe<Stream.Stream<Precompute.Progress, CacheError.CacheError, CurrentUser>>()
  })

  test("takes literals that are only known at run time", () => {
    const codes: ReadonlyArray<string> = ["AF", "EU"]
    const input = { code: Schema.Literals(codes), shape }
    const byCode = Cached.make("f", { input, success: Schema.Number }, () => Effect.succeed(1))
    expect(Precompute.run).type.toBeCallableWith(byCode)
    expect(Precompute.over).type.toBeCallableWith(byCode, {})
  })

  test("takes a list whose length is not known", () => {
    const functions: ReadonlyArray<typeof area | typeof mine> = [area, mine]
    expect(Precompute.run(functions)).type.toBe<
      Stream.Stream<Precompute.Progress, CacheError.CacheError, CurrentUser>
    >()
  })

  test("rejects a field that is not finite, and names it", () => {
    // @ts-expect-error the field page has no finite domain: give its values with Precompute.over
    void Precompute.run(list)
    // @ts-expect-error the field page has no finite domain: give its values with Precompute.over
    void Precompute.run([area, list])
    // @ts-expect-error the field page has no finite domain: give its values with Precompute.over
    void Precompute.run(Lists)
    // @ts-expect-error the field page has no finite domain: give its values with Precompute.over
    void Precompute.run(Cached.make("f", { input: infinite, success: Schema.Number }, () => Effect.succeed(1)))
    // @ts-expect-error the field term has no finite domain: give its values with Precompute.over
    void Precompute.run(search)
  })

  test("takes fields of which types cannot tell", () => {
    const value: unknown = area
    if (Cached.isCached(value)) {
      expect(Precompute.run).type.toBeCallableWith(value)
    }
    const wide = area as unknown as Cached.Cached<Schema.Struct.Fields, typeof Schema.Number>
    expect(Precompute.run).type.toBeCallableWith(wide)
  })

  test("takes no input, and optional and encoded fields that are finite", () => {
    expect(Precompute.run).type.toBeCallableWith(
      Cached.make("f", { success: Schema.Number }, () => Effect.succeed(1))
    )
    const input = {
      at: Schema.optional(Schema.Literals(["now", "then"])),
      both: Schema.Struct({ left: Schema.Boolean, right: Schema.NullOr(shape) })
    }
    expect(Precompute.run).type.toBeCallableWith(
      Cached.make("f", { input, success: Schema.Number }, () => Effect.succeed(1))
    )
  })

  test("rejects what is not a cached function", () => {
    expect(Precompute.run).type.not.toBeCallableWith(Effect.succeed(1))
    expect(Precompute.run).type.not.toBeCallableWith(() => Effect.succeed(1))
    expect(Precompute.run).type.not.toBeCallableWith(Users)
    expect(Precompute.run).type.not.toBeCallableWith([area, 1])
    expect(Precompute.run).type.not.toBeCallableWith()
  })

  test("takes its options, and no others", () => {
    expect(Precompute.run).type.toBeCallableWith(area, {
      concurrency: 4,
      maxSize: 10,
      retry: Schedule.exponential("1 second"),
      failFast: true,
      timeBudget: "5 minutes",
      verify: 0.1,
      prune: "remove"
    })
    expect(Precompute.run).type.not.toBeCallableWith(area, { concurrency: "unbounded" })
    expect(Precompute.run).type.not.toBeCallableWith(area, { prune: "delete" })
    expect(Precompute.run).type.not.toBeCallableWith(area, { timeBudget: "soon" })
    expect(Precompute.run).type.not.toBeCallableWith(area, { mode: "blocking" })
    expect(Precompute.run).type.not.toBeCallableWith(area, { values: {} })
  })

  test("can be matched by tag", () => {
    void Stream.map(
      Precompute.run(area),
      Precompute.match({
        Computed: ({ because }) => because,
        Present: ({ input }) => String(input),
        Failed: ({ cause }) => String(cause),
        Different: ({ computed, stored }) => `${stored} ${computed}`,
        Outside: ({ key }) => key,
        Finished: ({ summary }) => String(summary.counts.total)
      })
    )
  })
})

describe("Precompute.over", () => {
  test("gives a plan with the errors and services of its source", () => {
    expect(Precompute.over(area, {})).type.toBe<Precompute.Plan>()
    expect(Precompute.over(mine, {})).type.toBe<Precompute.Plan<never, CurrentUser>>()
    expect(Precompute.over(Standings, {})).type.toBe<Precompute.Plan<never, Standings>>()
    expect(Precompute.run(Precompute.over(mine, {}))).type.toBe<
      Stream.Stream<Precompute.Progress, CacheError.CacheError, CurrentUser>
    >()
    const plan = Precompute.over(list, { values: { page: [1, 2] } })
    expect(plan).type.toBe<Precompute.Plan>()
    expect(Precompute.run).type.toBeCallableWith([plan, area])
  })

  test("gives the filter the decoded input", () => {
    void Precompute.over(list, {
      values: { page: [1] },
      filter: (input) => {
        expect(input).type.toBe<{ readonly shape: "circle" | "square"; readonly page: number }>()
        return input.page > 1
      }
    })
  })

  test("takes decoded values, of any field", () => {
    const at = Effect.map(
      Cached.make(
        "f",
        { input: { at: Schema.DateFromString, shape }, success: Schema.Number },
        () => Effect.succeed(1)
      ),
      (fn) => fn
    )
    expect(Precompute.over).type.toBeCallableWith(at, { values: { at: [new Date(0)] } })
    expect(Precompute.over).type.toBeCallableWith(at, { values: { at: [new Date(0)], shape: ["circle"] } })
    expect(Precompute.over).type.not.toBeCallableWith(at, { values: { at: ["1970-01-01"] } })
    expect(Precompute.over).type.not.toBeCallableWith(at, { values: { at: [new Date(0)], shape: ["star"] } })
  })

  test("rejects an infinite field without values, and names it", () => {
    // @ts-expect-error Property 'page' is missing
    void Precompute.over(list, { values: {} })
    // @ts-expect-error Property 'values' is missing
    void Precompute.over(list, {})
    // @ts-expect-error Property 'term' is missing
    void Precompute.over(search, { values: { page: [1] } })
    expect(Precompute.over).type.not.toBeCallableWith(list)
  })

  test("rejects fields that are not there, and other options", () => {
    // @ts-expect-error 'pages' does not exist
    void Precompute.over(list, { values: { page: [1], pages: [1] } })
    // @ts-expect-error 'pages' does not exist
    void Precompute.over(area, { values: { pages: [1] } })
    // @ts-expect-error Type '"pages"' is not assignable to type '"shape" | "large"'
    void Precompute.over(area, { order: ["pages"] })
    // @ts-expect-error 'concurrency' does not exist
    void Precompute.over(area, { concurrency: 1 })
    // @ts-expect-error Property 'pages' does not exist
    void Precompute.over(area, { filter: ({ pages }) => pages > 1 })
  })
})

describe("Precompute.layer", () => {
  test("gives a Warmup, with the errors and services of its sources", () => {
    expect(Precompute.layer(area)).type.toBe<Layer.Layer<Precompute.Warmup, CacheError.CacheError>>()
    const failing = Effect.andThen(Effect.fail(new Broken()), Effect.succeed(mine))
    expect(Precompute.layer([Standings, failing], { mode: "background" })).type.toBe<
      Layer.Layer<Precompute.Warmup, CacheError.CacheError | Broken, Standings | CurrentUser>
    >()
  })

  test("provides the Scope that making a function may need", () => {
    const scoped = Effect.andThen(Effect.addFinalizer(() => Effect.void), Effect.succeed(area))
    expect(Precompute.layer(scoped)).type.toBe<Layer.Layer<Precompute.Warmup, CacheError.CacheError>>()
  })

  test("rejects a field that is not finite, and other modes", () => {
    // @ts-expect-error the field page has no finite domain: give its values with Precompute.over
    void Precompute.layer(list)
    // @ts-expect-error the field page has no finite domain: give its values with Precompute.over
    void Precompute.layer([area, list])
    expect(Precompute.layer).type.not.toBeCallableWith(area, { mode: "later" })
  })

  test("tells of the run", () => {
    void Precompute.Warmup.use((warmup) => {
      expect(warmup.isReady).type.toBe<Effect.Effect<boolean>>()
      expect(warmup.counts).type.toBe<Effect.Effect<Precompute.Counts>>()
      expect(warmup.await).type.toBe<Effect.Effect<Precompute.Summary, CacheError.CacheError>>()
      return warmup.await
    })
  })
})
