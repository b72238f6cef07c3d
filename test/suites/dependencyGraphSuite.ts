/**
 * What every dependency graph must do. Each test has a graph of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, type Layer, Schema } from "effect"
import { DependencyGraph } from "effect-cached"

type Options = { readonly maxMarks?: number; readonly maxRecent?: number }

const subject = (position: number, ...tags: ReadonlyArray<string>): DependencyGraph.Subject => ({
  tags: tags.toSorted(),
  position,
  revision: -1
})

const tag = Schema.Literals(
  // Neighbours in code unit order, so that a search that takes a prefix for an ancestor is caught.
  "a a:b a:b:c a:b:d a:c a- a-:b a.b a0 a0:b a_ a_:b aa aa:b b b:a b:a:c %fn:f %fn:f:k".split(" ")
)
const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const step = Schema.Union([
  Schema.Struct({ do: Schema.Literal("record"), tags: Schema.Array(tag), skip: small(3) }),
  Schema.Struct({ do: Schema.Literal("late"), tags: Schema.Array(tag), by: small(8) }),
  Schema.Struct({ do: Schema.Literal("again"), which: small(30) }),
  Schema.Struct({ do: Schema.Literal("clear") }),
  Schema.Struct({ do: Schema.Literal("gap"), back: small(8) }),
  Schema.Struct({ do: Schema.Literal("lose") }),
  Schema.Struct({ do: Schema.Literal("resume") }),
  Schema.Struct({ do: Schema.Literal("hold"), tags: Schema.Array(tag) }),
  Schema.Struct({ do: Schema.Literal("release"), which: small(5) }),
  Schema.Struct({ do: Schema.Literal("start"), tags: Schema.Array(tag), back: small(12) }),
  Schema.Struct({ do: Schema.Literal("look") })
])
type Step = typeof step.Type
const steps = Arbitrary.array(Arbitrary.schema(step), { maxLength: 80 })
const gapless = Arbitrary.array(
  Arbitrary.map(Arbitrary.schema(step), (it): Step => it.do === "lose" || it.do === "gap" ? { do: "look" } : it),
  { maxLength: 80 }
)

const covers = (above: string, tag: string) => tag === above || tag.startsWith(`${above}:`)

const covered = (above: ReadonlyArray<string>, tags: ReadonlyArray<string>) =>
  above.length === 0 || above.some((one) => tags.some((tag) => covers(one, tag)))

// The rule, word for word, over plain lists that nobody prunes.
const makeModel = () => {
  const records: Array<{ readonly tags: ReadonlyArray<string>; readonly position: number }> = []
  const gaps: Array<number> = []
  const held: Array<{ readonly tags: ReadonlyArray<string>; readonly since: number }> = []
  let lost = true
  return {
    records,
    gaps,
    held,
    lose: (value: boolean) => void (lost = value),
    isLost: () => lost,
    position: () => Math.max(0, ...gaps, ...records.map((record) => record.position)),
    isValid: ({ position, tags }: Pick<DependencyGraph.Subject, "position" | "tags">) =>
      !lost && gaps.every((gap) => gap <= position) && !held.some((above) => covered(above.tags, tags)) &&
      records.every((record) => record.position <= position || !covered(record.tags, tags)),
    isUntouched: ({ position, since, tags }: DependencyGraph.Started) =>
      gaps.every((gap) => gap <= position) &&
      !held.some((above) => above.since > since && covered(above.tags, tags)) &&
      records.every((record) => record.position <= position || !covered(record.tags, tags))
  }
}

// Does the same to a graph and to the lists, and compares what they say.
const follow = (
  graph: DependencyGraph.DependencyGraph["Service"],
  steps: ReadonlyArray<Step>,
  exact: boolean
) => {
  const model = makeModel()
  const releases: Array<() => void> = []
  const subjects: Array<DependencyGraph.Subject> = []
  const flights: Array<DependencyGraph.Started> = []
  let last = 10
  const gap = (position: number) => {
    graph.gap(position)
    model.gaps.push(position)
    model.lose(false)
  }
  const record = (tags: ReadonlyArray<string>, position: number) => {
    graph.apply({ tags, position })
    model.records.push({ tags, position })
  }
  gap(10)
  const look = () => {
    for (const one of subjects) {
      const remembered = graph.isValid(one)
      const fresh = graph.isValid({ ...one, revision: -1 })
      assert.strictEqual(remembered, fresh, "by difference and in full: the same answer")
      const right = model.isValid(one)
      if (remembered) assert.isTrue(right, `never valid where the list says invalid: ${JSON.stringify(one)}`)
      else if (right) {
        assert.isFalse(exact, `invalid without a reason: ${JSON.stringify(one)}`)
        assert.isBelow(one.position, graph.floor(), `only the floor may end more: ${JSON.stringify(one)}`)
      }
    }
    for (const one of flights) {
      const remembered = graph.isUntouched(one)
      assert.strictEqual(remembered, graph.isUntouched({ ...one, untouchedAt: -1 }))
      if (remembered) assert.isTrue(model.isUntouched(one), `touched: ${JSON.stringify(one)}`)
      else if (model.isValid(one)) assert.isFalse(exact, `valid, so untouched: ${JSON.stringify(one)}`)
    }
    assert.strictEqual(graph.position(), model.position())
    if (model.isLost()) assert.strictEqual(graph.floor(), Infinity)
    else assert.isAtLeast(graph.floor(), Math.max(...model.gaps))
    if (exact && !model.isLost()) {
      const roots = model.records.flatMap(({ position, tags }) => tags.length === 0 ? [position] : [])
      assert.strictEqual(graph.floor(), Math.max(...model.gaps, ...roots))
    }
  }
  for (const step of steps) {
    switch (step.do) {
      case "record":
        last += 1 + step.skip
        record(step.tags.length === 0 ? ["a"] : step.tags, last)
        break
      case "late":
        record(step.tags.length === 0 ? ["b"] : step.tags, Math.max(1, last - step.by))
        break
      case "again": {
        const old = model.records[step.which]
        if (old !== undefined) graph.apply(old)
        break
      }
      case "clear":
        record([], ++last)
        break
      case "gap":
        gap(Math.max(1, last - step.back))
        break
      case "lose":
        graph.lose()
        model.lose(true)
        break
      case "resume":
        graph.resume()
        model.lose(false)
        break
      case "hold": {
        const { release } = graph.hold(step.tags)
        const held = { tags: step.tags, since: graph.revision() }
        model.held.push(held)
        releases.push(() => {
          release()
          const index = model.held.indexOf(held)
          if (index !== -1) model.held.splice(index, 1)
        })
        break
      }
      case "release":
        releases[step.which]?.()
        break
      case "start":
        subjects.push({
          tags: Array.from(new Set(step.tags)).toSorted(),
          position: Math.max(1, last - step.back),
          revision: -1
        })
        flights.push({
          tags: Array.from(new Set(step.tags)).toSorted(),
          position: graph.position(),
          since: graph.revision(),
          untouchedAt: -1
        })
        break
      case "look":
        look()
    }
    // Some subjects are looked at after every step, the others only when the steps say so.
    if (subjects[0] !== undefined) graph.isValid(subjects[0])
    if (flights[0] !== undefined) graph.isUntouched(flights[0])
  }
  look()
}

const agrees =
  <E>(layer: Layer.Layer<DependencyGraph.DependencyGraph, E>, exact: boolean) =>
  ([steps]: readonly [ReadonlyArray<Step>]) =>
    Effect.gen(function*() {
      follow(yield* DependencyGraph.DependencyGraph, steps, exact)
    }).pipe(Effect.provide(layer))

export const dependencyGraphSuite = <E>(
  name: string,
  layer: (options?: Options) => Layer.Layer<DependencyGraph.DependencyGraph, E>
) =>
  describe(`DependencyGraph (${name})`, () => {
    // A graph whose knowledge begins at position 10.
    const graph = Effect.map(DependencyGraph.DependencyGraph, (graph) => {
      graph.gap(10)
      return graph
    })

    it.effect("holds nothing valid before it knows where its knowledge begins", () =>
      Effect.gen(function*() {
        const graph = yield* DependencyGraph.DependencyGraph
        assert.strictEqual(graph.floor(), Infinity)
        assert.isFalse(graph.isValid(subject(Number.MAX_SAFE_INTEGER, "a")))
        assert.isFalse(graph.isValid(subject(Number.MAX_SAFE_INTEGER)))
        graph.gap(10)
        assert.strictEqual(graph.floor(), 10)
        assert.strictEqual(graph.position(), 10)
        assert.isTrue(graph.isValid(subject(10, "a")))
        assert.isFalse(graph.isValid(subject(9, "a")))
        assert.isFalse(graph.isValid(subject(9)))
      }).pipe(Effect.provide(layer())))

    it.effect("ends what carries the tag or anything below it, and nothing else (scenario 17)", () =>
      Effect.gen(function*() {
        const { apply, isValid } = yield* graph
        apply({ tags: ["org:1"], position: 20 })
        for (const tag of ["org:1", "org:1:user:1", "org:1:x"]) assert.isFalse(isValid(subject(19, tag)), tag)
        for (const tag of ["org", "org:2", "org:10", "org:1-", "org:1.a", "org:1_:a", "x:org:1", "org:01"]) {
          assert.isTrue(isValid(subject(19, tag)), tag)
        }
        apply({ tags: ["user:1"], position: 21 })
        assert.isTrue(isValid(subject(19, "user:10")))
        apply({ tags: ["team:1:member:2"], position: 22 })
        assert.isTrue(isValid(subject(19, "team:1")), "a child does not end its parent")
        assert.isTrue(isValid(subject(19, "team:1:member")))
      }).pipe(Effect.provide(layer())))

    it.effect("ends an entry by any of its tags, by the leaf and by every ancestor (scenario 18)", () =>
      Effect.gen(function*() {
        const segments = Array.from({ length: 17 }, (_, n) => `s${n}`)
        const leaf = segments.join(":")
        for (let depth = 1; depth <= 17; depth++) {
          for (const others of [[], ["a", "zz"], Array.from({ length: 50 }, (_, n) => `s0:other:${n}`)]) {
            yield* Effect.gen(function*() {
              const { apply, isValid } = yield* graph
              const entry = subject(15, leaf, ...others)
              assert.isTrue(isValid(entry))
              apply({ tags: ["unrelated"], position: 19 })
              assert.isTrue(isValid(entry))
              apply({ tags: [segments.slice(0, depth).join(":")], position: 20 })
              assert.isFalse(isValid(entry))
              assert.isFalse(isValid(subject(15, leaf, ...others)))
            }).pipe(Effect.provide(layer()))
          }
        }
      }))

    it.effect("leaves valid what started at or after the record", () =>
      Effect.gen(function*() {
        const { apply, isValid, position } = yield* graph
        apply({ tags: ["a"], position: 20 })
        assert.strictEqual(position(), 20)
        assert.isFalse(isValid(subject(19, "a")))
        assert.isTrue(isValid(subject(20, "a")))
        assert.isTrue(isValid(subject(21, "a")))
      }).pipe(Effect.provide(layer())))

    it.effect("applies all tags of one record at once (scenario 19)", () =>
      Effect.gen(function*() {
        const { apply, isValid } = yield* graph
        apply({ tags: ["a", "b:c"], position: 20 })
        assert.isFalse(isValid(subject(19, "a")))
        assert.isFalse(isValid(subject(19, "b:c:d")))
        assert.isFalse(isValid(subject(19, "a", "b:c")))
        assert.isTrue(isValid(subject(19, "b")))
      }).pipe(Effect.provide(layer())))

    it.effect("ends everything before a record without tags (scenario 21)", () =>
      Effect.gen(function*() {
        const { apply, floor, isValid } = yield* graph
        apply({ tags: [], position: 20 })
        assert.isFalse(isValid(subject(19, "a")))
        assert.isFalse(isValid(subject(19)))
        assert.isTrue(isValid(subject(20, "a")))
        assert.strictEqual(floor(), 20)
      }).pipe(Effect.provide(layer())))

    it.effect("takes duplicates and records in another order as if each had come once, in order", () =>
      Effect.gen(function*() {
        const { apply, isValid, position } = yield* graph
        const entry = subject(25, "a")
        apply({ tags: ["a"], position: 30 })
        apply({ tags: ["a"], position: 20 })
        assert.isFalse(isValid(entry), "an older record that comes late does not bring it back")
        assert.strictEqual(position(), 30)
        const newer = subject(30, "a")
        assert.isTrue(isValid(newer))
        apply({ tags: ["a"], position: 30 })
        apply({ tags: ["a", "a"], position: 20 })
        assert.isTrue(isValid(newer))
      }).pipe(Effect.provide(layer())))

    it.effect("ends, after a gap, everything from before it, whatever its tags", () =>
      Effect.gen(function*() {
        const { floor, gap, isValid } = yield* graph
        const before = subject(29, "a")
        assert.isTrue(isValid(before))
        gap(30)
        assert.isFalse(isValid(before))
        assert.isTrue(isValid(subject(30, "a")))
        gap(20)
        assert.strictEqual(floor(), 30, "the floor never falls")
        assert.isFalse(isValid(before))
      }).pipe(Effect.provide(layer())))

    it.effect("holds nothing valid from the moment when the log is lost until the next gap", () =>
      Effect.gen(function*() {
        const { apply, floor, gap, isValid, lose } = yield* graph
        const entry = subject(15, "a")
        assert.isTrue(isValid(entry))
        lose()
        assert.isFalse(isValid(entry))
        assert.strictEqual(floor(), Infinity)
        apply({ tags: ["b"], position: 20 })
        apply({ tags: [], position: 21 })
        assert.isFalse(isValid(subject(30, "a")))
        gap(22)
        assert.isFalse(isValid(entry))
        assert.isTrue(isValid(subject(22, "a")))
      }).pipe(Effect.provide(layer())))

    it.effect("goes on with all that was valid when nothing was missed while the log was lost", () =>
      Effect.gen(function*() {
        const { apply, floor, hold, isValid, lose, resume } = yield* graph
        const seen = subject(15, "a")
        const unseen = subject(15, "a")
        const ended = subject(15, "b")
        for (const one of [seen, ended]) assert.isTrue(isValid(one))
        lose()
        assert.isFalse(isValid(seen))
        apply({ tags: ["b"], position: 20 })
        const { release } = hold(["c"])
        resume()
        assert.strictEqual(floor(), 10)
        assert.isTrue(isValid(seen))
        assert.isTrue(isValid(unseen))
        assert.isFalse(isValid(ended), "its record was told meanwhile")
        assert.isFalse(isValid(subject(30, "c")), "held is held")
        assert.isFalse(isValid(subject(9, "a")))
        release()
        lose()
        lose()
        apply({ tags: [], position: 21 })
        resume()
        assert.strictEqual(floor(), 21)
        assert.isFalse(isValid(seen))
        assert.isTrue(isValid(subject(21, "a")))
      }).pipe(Effect.provide(layer())))

    it.effect("ends what can be shared for the records that were told while the log was lost, and for nothing else", () =>
      Effect.gen(function*() {
        const { apply, isUntouched, lose, position, resume, revision } = yield* graph
        const start = (...tags: ReadonlyArray<string>): DependencyGraph.Started => ({
          tags,
          position: position(),
          since: revision(),
          untouchedAt: -1
        })
        const a = start("a")
        const b = start("b")
        lose()
        apply({ tags: ["b"], position: 20 })
        resume()
        assert.isTrue(isUntouched(a))
        assert.isFalse(isUntouched(b))
      }).pipe(Effect.provide(layer())))

    it.effect("knows nothing after all when it knew nothing before", () =>
      Effect.gen(function*() {
        const { apply, floor, gap, isValid, lose, resume } = yield* DependencyGraph.DependencyGraph
        resume()
        assert.strictEqual(floor(), Infinity)
        apply({ tags: ["b"], position: 20 })
        lose()
        resume()
        assert.strictEqual(floor(), Infinity)
        assert.isFalse(isValid(subject(Number.MAX_SAFE_INTEGER, "a")))
        gap(10)
        lose()
        resume()
        assert.strictEqual(floor(), 10)
        assert.isTrue(isValid(subject(10, "a")))
      }).pipe(Effect.provide(layer())))

    it.effect("changes nothing by going on when nothing was lost", () =>
      Effect.gen(function*() {
        const { isValid, resume, revision } = yield* graph
        const entry = subject(15, "a")
        isValid(entry)
        const before = revision()
        resume()
        assert.strictEqual(revision(), before)
        assert.isTrue(isValid(entry))
      }).pipe(Effect.provide(layer())))

    it.effect("keeps tags invalid whatever the position while they are held", () =>
      Effect.gen(function*() {
        const { hold, isValid } = yield* graph
        const entry = subject(15, "a:b")
        const other = subject(15, "b")
        assert.isTrue(isValid(entry))
        assert.isTrue(isValid(other))
        const first = hold(["a"])
        const second = hold(["a", "c"])
        assert.isFalse(isValid(entry))
        assert.isFalse(isValid(subject(Number.MAX_SAFE_INTEGER, "a")))
        assert.isTrue(isValid(other))
        first.release()
        first.release()
        assert.isFalse(isValid(entry), "released once, held twice")
        second.release()
        assert.isTrue(isValid(entry))
        const everything = hold([])
        assert.isFalse(isValid(other))
        assert.isFalse(isValid(subject(15)))
        everything.release()
        assert.isTrue(isValid(other))
      }).pipe(Effect.provide(layer())))

    it.effect("lets a computation be shared until something that it depends on is invalidated or held after its start", () =>
      Effect.gen(function*() {
        const { apply, hold, isUntouched, isValid, lose, position, revision } = yield* graph
        const start = (...tags: ReadonlyArray<string>): DependencyGraph.Started => ({
          tags,
          position: position(),
          since: revision(),
          untouchedAt: -1
        })
        const before = start("a:b")
        assert.isTrue(isUntouched(before))
        hold(["a"])
        const during = start("a:b")
        assert.isFalse(isUntouched(before))
        assert.isTrue(isUntouched(during), "it started after the hold")
        assert.isFalse(isValid(subject(position(), "a:b")), "but is not to be kept")
        hold(["a:b"])
        assert.isFalse(isUntouched(during))
        const other = start("c")
        apply({ tags: ["d"], position: 20 })
        assert.isTrue(isUntouched(other))
        apply({ tags: ["c"], position: 21 })
        assert.isFalse(isUntouched(other))
        const last = start("e")
        lose()
        assert.isFalse(isValid(subject(position(), "e")))
        hold([])
        assert.isFalse(isUntouched(last))
      }).pipe(Effect.provide(layer())))

    it.effect("has no revision in common with another graph, so a subject can be shown to both", () =>
      Effect.gen(function*() {
        const here = yield* graph
        const there = yield* Effect.provide(graph, layer())
        const entry = subject(15, "a")
        for (let n = 0; n < 10; n++) {
          assert.isTrue(here.isValid(entry))
          assert.isTrue(there.isValid(entry))
          here.apply({ tags: ["b"], position: 20 + n })
          there.apply({ tags: ["b"], position: 20 + n })
        }
        there.apply({ tags: ["a"], position: 40 })
        here.apply({ tags: ["b"], position: 40 })
        assert.isTrue(here.isValid(entry))
        assert.isFalse(there.isValid(entry))
        assert.isTrue(here.isValid(entry))
        assert.isFalse(there.isValid(entry))
      }).pipe(Effect.provide(layer())))

    it.effect("forgets the oldest marks by raising the floor, so nothing comes back (scenario 41)", () =>
      Effect.gen(function*() {
        const { apply, floor, isValid } = yield* graph
        const ended = subject(15, "t:0")
        const bystander = subject(15, "other")
        assert.isTrue(isValid(ended))
        for (let n = 0; n < 5; n++) apply({ tags: [`t:${n}`], position: 20 + n })
        assert.strictEqual(floor(), 21, "the records of t:0 and t:1 were forgotten")
        assert.isFalse(isValid(ended))
        assert.isFalse(isValid(bystander))
        assert.isTrue(isValid(subject(21, "other")))
        assert.isFalse(isValid(subject(21, "t:2")))
        assert.isTrue(isValid(subject(24, "t:4")))
      }).pipe(Effect.provide(layer({ maxMarks: 3 }))))

    it.effect("keeps a bounded number of marks over 1 000 000 unique tags (scenario 41)", () =>
      Effect.gen(function*() {
        const { apply, floor, isValid, position } = yield* graph
        const ended = subject(15, "t:0")
        for (let n = 0; n < 1_000_000; n++) apply({ tags: [`t:${n}`], position: 20 + n })
        assert.strictEqual(position(), 1_000_019)
        // Every mark but the newest thousand was forgotten: the floor is the position of the newest forgotten one.
        assert.strictEqual(floor(), 1_000_019 - 1_000)
        assert.isFalse(isValid(ended))
        assert.isFalse(isValid(subject(floor(), "t:999999")))
        assert.isTrue(isValid(subject(floor(), "t:0")))
      }).pipe(Effect.provide(layer({ maxMarks: 1_000 }))), 30_000)

    it.effect("keeps the mark of a tag that is invalidated often, without forgetting others for it", () =>
      Effect.gen(function*() {
        const { apply, floor, isValid } = yield* graph
        apply({ tags: ["rare"], position: 20 })
        for (let n = 0; n < 100_000; n++) apply({ tags: ["often"], position: 21 + n })
        assert.strictEqual(floor(), 10)
        assert.isFalse(isValid(subject(19, "rare")))
        assert.isTrue(isValid(subject(20, "rare")))
      }).pipe(Effect.provide(layer({ maxMarks: 2 }))))

    it.effect("forgets the mark whose newest record is the oldest, also where a tag is invalidated twice in a row", () =>
      Effect.gen(function*() {
        const { apply, floor, isValid } = yield* graph
        for (const [index, tag] of ["a", "b", "b", "a", "c"].entries()) apply({ tags: [tag], position: 20 + index })
        assert.strictEqual(floor(), 22, "b was forgotten")
        assert.isTrue(isValid(subject(22, "b")))
        assert.isFalse(isValid(subject(22, "a")))
      }).pipe(Effect.provide(layer({ maxMarks: 2 }))))

    it.effect.each(
      [
        ["maxMarks", 0],
        ["maxMarks", -1],
        ["maxMarks", NaN],
        ["maxRecent", 0],
        ["maxRecent", 1.5],
        ["maxRecent", Infinity]
      ] as const
    )("refuses the option %s: %s", ([option, value]) =>
      Effect.gen(function*() {
        const error: unknown = yield* Effect.flip(
          Effect.provide(DependencyGraph.DependencyGraph, layer({ [option]: value }))
        )
        assert.nestedPropertyVal(error, "reason._tag", "DefinitionError")
        assert.include((error as Error).message, option)
      }))

    describe("against a list of all that ever happened", () => {
      const arbitrary = { runs: 500, size: 80 }

      it.effect.prop("agrees exactly where nothing is forgotten", [gapless], agrees(layer({}), true), { arbitrary })
      it.effect.prop("agrees exactly over gaps and losses of the log", [steps], agrees(layer({}), true), { arbitrary })
      it.effect.prop(
        "agrees exactly with a memory of one or two recent records",
        [steps],
        agrees(layer({ maxRecent: 1 }), true),
        { arbitrary }
      )
      it.effect.prop(
        "agrees exactly with a short memory of recent records",
        [steps],
        agrees(layer({ maxRecent: 3 }), true),
        {
          arbitrary
        }
      )
      it.effect.prop("never calls valid what is not, with one mark", [steps], agrees(layer({ maxMarks: 1 }), false), {
        arbitrary
      })
      it.effect.prop(
        "never calls valid what is not, with a few marks and a short memory",
        [steps],
        agrees(layer({ maxMarks: 3, maxRecent: 2 }), false),
        { arbitrary }
      )
    })
  })
