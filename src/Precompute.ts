/**
 * Computes cached functions for every input that they can have.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Cached from "./Cached.ts"
import type * as CacheError from "./CacheError.ts"
import { definitionError, domainError, releasedError, stoppedError } from "./internal/errors.ts"
import { display } from "./internal/precompute/display.ts"
import * as progress from "./internal/precompute/progress.ts"
import { sizeOf, type Task } from "./internal/precompute/report.ts"
import { runTasks, type Settings } from "./internal/precompute/run.ts"
import { Tally } from "./internal/precompute/tally.ts"
import { millis, size } from "./internal/settings.ts"
import * as SchemaDomain from "./SchemaDomain.ts"

/**
 * How far a run is. Each input is counted once: as `computed`, `present`, `failed` or `excluded`.
 *
 * **Details**
 *
 * - `total`: the size of the domain.
 * - `computed`: computed and stored now, by this run or by someone in this process whom it waited for.
 * - `present`: stored already, or meanwhile by another process.
 * - `failed`: without a stored result.
 * - `excluded`: left out by a `filter`.
 * - `different`: those of the present ones that were computed again with another result.
 * - `outside`: entries outside the domain.
 * - `elapsed`: milliseconds since the start.
 * - `rate`: inputs per second, in the last seconds; in a summary, over the whole time.
 * - `remaining`: milliseconds until the end at that rate, `undefined` where that cannot be told.
 *
 * @category models
 * @since 0.1.0
 */
export type Counts = progress.Counts

/**
 * One step of a run.
 *
 * **Details**
 *
 * - `Computed`: the result of an input was computed and stored. `because`: why it was not there.
 * - `Present`: it was stored already.
 * - `Failed`: there is no stored result of the input: its computation failed, or its result could not be stored.
 * - `Different`: after the `Present` of an input that was computed again: what is stored is another result.
 * - `Outside`: an entry of the function belongs to no input of the domain.
 * - `Finished`: the last element of every run that is not interrupted and does not fail.
 *
 * @category models
 * @since 0.1.0
 */
export type Progress = progress.Progress

/**
 * How a run ended.
 *
 * **Details**
 *
 * - `complete`: every input was handled; some may have failed.
 * - `stopped`: what ended it before: its time budget, or the first failure.
 * - `functions`: the same for each function, in the order in which they were given.
 *
 * @category models
 * @since 0.1.0
 */
export type Summary = progress.Summary

/**
 * Matches a step by its tag, exhaustively.
 *
 * **Example** (A word for each step)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Cached, CacheLive, Precompute } from "effect-cached"
 *
 * const half = Cached.make(
 *   "half",
 *   { input: { n: Schema.Literals([1, 2]) }, success: Schema.Int },
 *   ({ n }) => Effect.succeed(n / 2)
 * )
 *
 * const words = Precompute.run(half).pipe(
 *   Stream.map(Precompute.match({
 *     Computed: () => "computed",
 *     Present: () => "present",
 *     Failed: () => "failed",
 *     Different: () => "different",
 *     Outside: () => "outside",
 *     Finished: ({ summary }) => `${summary.counts.total} inputs`
 *   })),
 *   Stream.runCollect,
 *   Effect.provide(CacheLive)
 * )
 *
 * await Effect.runPromise(words) // => ["failed", "computed", "2 inputs"]
 * ```
 *
 * @category pattern matching
 * @since 0.1.0
 */
export const match = progress.match

/**
 * What can be precomputed: a cached function, an effect that gives one, such as `Cached.make` or the key of a service that
 * is one, or a plan.
 *
 * @category models
 * @since 0.1.0
 */
export type Source = Source.Function | Plan<any, any>

/**
 * What the parts of a source are.
 *
 * @since 0.1.0
 */
export declare namespace Source {
  /**
   * @category models
   * @since 0.1.0
   */
  export type Function = AnyCached | Effect.Effect<AnyCached, any, any>

  /**
   * The fields of the input.
   *
   * @category models
   * @since 0.1.0
   */
  export type Fields<S> = S extends Cached.Cached<infer F, any, any, any> ? F
    : S extends Effect.Effect<Cached.Cached<infer F, any, any, any>, any, any> ? F
    : never

  /**
   * What getting the functions fails with.
   *
   * @category models
   * @since 0.1.0
   */
  export type Error<S> = S extends ReadonlyArray<infer One> ? Error<One>
    : S extends AnyCached ? never
    : S extends Plan<infer E, any> ? E
    : S extends Effect.Effect<AnyCached, infer E, any> ? E
    : never

  /**
   * What getting the functions and their `varyBy` need.
   *
   * @category models
   * @since 0.1.0
   */
  export type Services<S> = S extends ReadonlyArray<infer One> ? Services<One>
    : S extends Cached.Cached<any, any, any, infer RV> ? RV
    : S extends Plan<any, infer R> ? R
    : S extends Effect.Effect<Cached.Cached<any, any, any, infer RV>, any, infer R> ? R | RV
    : never
}

/**
 * Nothing to say about functions whose domain is finite as far as types can tell, and a type that no function has otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export type Finite<S> = S extends ReadonlyArray<unknown> ? { readonly [I in keyof S]: Finite<S[I]> }
  : [SchemaDomain.InfiniteFields<Source.Fields<S>>] extends [never] ? unknown
  : {
    readonly [
      K in
        & SchemaDomain.InfiniteFields<Source.Fields<S>>
        & string as `the field ${K} has no finite domain: give its values with Precompute.over(…, { values: { ${K}: […] } })`
    ]: never
  }

/**
 * Where a plan keeps what it says.
 *
 * @category type ids
 * @since 0.1.0
 */
export const PlanTypeId = "~effect-cached/Precompute/Plan"

/**
 * A function together with the values of its domain.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plan<out E = never, out R = never> {
  readonly [PlanTypeId]: Planned<E, R>
}

interface Planned<out E, out R> {
  readonly source: Effect.Effect<AnyCached, E, R>
  readonly values?: Readonly<Record<string, ReadonlyArray<unknown> | undefined>> | undefined
  readonly order?: ReadonlyArray<string> | undefined
  // Its input is that of the source: `over` has checked it.
  readonly filter?: ((input: any) => boolean) | undefined
}

type AnyCached = Cached.Cached<any, any, any, any>

/**
 * What a domain consists of.
 *
 * **Details**
 *
 * - `values`: the values of fields, decoded, in the place of those that the schema has. Fields that are not finite need
 *   them.
 * - `order`: the fields in the order in which they vary, the slowest first; the others follow as they are defined.
 * - `filter`: which inputs of the domain are computed. Default: all.
 *
 * @category models
 * @since 0.1.0
 */
export type PlanOptions<F extends Schema.Struct.Fields> =
  & {
    readonly order?: ReadonlyArray<keyof F & string> | undefined
    readonly filter?: ((input: Cached.Input<F>) => boolean) | undefined
  }
  & ([SchemaDomain.InfiniteFields<F>] extends [never] ? { readonly values?: SchemaDomain.Values<F> | undefined }
    : {
      readonly values:
        & { readonly [K in SchemaDomain.InfiniteFields<F>]: ReadonlyArray<F[K]["Type"]> }
        & { readonly [K in Exclude<keyof F, SchemaDomain.InfiniteFields<F>>]?: ReadonlyArray<F[K]["Type"]> }
    })

/**
 * Says what the domain of a function consists of. Fields that are not finite need their values here.
 *
 * **Example** (Values for a page)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Cached, CacheLive, Precompute } from "effect-cached"
 *
 * const List = Cached.make(
 *   "list",
 *   { input: { of: Schema.Literals(["cities", "rivers"]), page: Schema.Int }, success: Schema.String },
 *   ({ of, page }) => Effect.succeed(`${of}, page ${page}`)
 * )
 *
 * const program = Precompute.run(Precompute.over(List, { values: { page: [1, 2, 3] } })).pipe(
 *   Stream.runCount,
 *   Effect.provide(CacheLive)
 * )
 *
 * await Effect.runPromise(program) // => 7
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const over = <const S extends Source.Function>(
  source: S,
  options: PlanOptions<Source.Fields<S>>
): Plan<Source.Error<S>, Source.Services<S>> => ({
  [PlanTypeId]: { ...options as Omit<Planned<never, never>, "source">, source: functionOf(source) }
})

// The types of the function are those of `S`.
const functionOf = (source: Source.Function): Effect.Effect<AnyCached, any, any> =>
  Effect.isEffect(source) ? source : Effect.succeed(source)

/**
 * Whether a value is a plan.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPlan = (u: unknown): u is Plan<any, any> =>
  typeof u === "object" && u !== null && Object.hasOwn(u, PlanTypeId)

/**
 * Options of a run.
 *
 * **Details**
 *
 * - `concurrency`: how many inputs at a time. Default 8.
 * - `maxSize`: the most inputs that one function may have; with more, nothing is computed. Default 100 000.
 * - `retry`: when an input that failed is tried again. It is given what its computation failed with. A result that cannot be
 *   encoded, or is not to be kept, is not tried again. Default: never.
 * - `failFast`: whether the first failure ends the run, and interrupts what else is being computed. Default `false`.
 * - `timeBudget`: after this time nothing is started; what runs is finished. Default: no end.
 * - `verify`: the share of what is present, from 0 to 1, that is computed again, past the cache, and compared. Nothing of it
 *   is stored. Default 0.
 * - `prune`: what is done about entries of the function outside its domain, once every input of it was handled. Default
 *   `"report"`. Functions with a `varyBy` are left out: their domain does not tell their keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly concurrency?: number | undefined
  readonly maxSize?: number | undefined
  readonly retry?: Schedule.Schedule<unknown> | undefined
  readonly failFast?: boolean | undefined
  readonly timeBudget?: Duration.Input | undefined
  readonly verify?: number | undefined
  readonly prune?: "keep" | "report" | "remove" | undefined
}

/**
 * Computes functions for every input of their domains, and tells of each.
 *
 * **Details**
 *
 * The domain of a function is the product of the finite domains of its fields; see `SchemaDomain`. Each input goes through
 * the same lookup as a live call: what is stored already is not computed, and who asks meanwhile waits for the same
 * computation. An element is emitted for each input, and one at the end, with the summary. An input that fails does not end
 * the run, unless `failFast` says so.
 *
 * Processes that share a store and its leases share the work of runs at the same time: what another process is computing is
 * put aside, and asked for again later. So each result is computed once in all, and each run tells of all inputs.
 *
 * Ending the stream early ends the run. What is stored stays, and the next run goes on from there. No more than 256
 * elements wait to be read; then no further input is started.
 *
 * A field that has infinitely many values does not compile where types can tell; {@link over} gives it values. Fails with a
 * `CacheError` before anything is computed: of reason `DomainError` where a domain is not finite or has more than `maxSize`
 * inputs, of reason `DefinitionError` where an option is unusable. Later it fails where a `filter` throws, and with
 * `prune: "remove"` where the store cannot be listed or changed.
 *
 * **Example** (Nothing is left to compute)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Cached, CacheLive, Precompute } from "effect-cached"
 *
 * let executions = 0
 * const program = Effect.gen(function*() {
 *   const area = yield* Cached.make(
 *     "area",
 *     { input: { shape: Schema.Literals(["circle", "square"]), size: Schema.Literals([1, 2, 3]) }, success: Schema.Number },
 *     ({ shape, size }) => Effect.sync(() => {
 *       executions++
 *       return shape === "square" ? size * size : Math.PI * size * size
 *     })
 *   )
 *   yield* Stream.runDrain(Precompute.run(area))
 *   yield* area({ shape: "square", size: 3 })
 *   return executions
 * }).pipe(Effect.provide(CacheLive))
 *
 * await Effect.runPromise(program) // => 6
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = <const S extends Source | ReadonlyArray<Source>>(
  functions: S & Finite<NoInfer<S>>,
  options?: Options
): Stream.Stream<Progress, CacheError.CacheError | Source.Error<S>, Exclude<Source.Services<S>, Scope.Scope>> =>
  Stream.unwrap(Effect.map(prepare(functions, options), ({ settings, tasks }) => runTasks(tasks, settings)))

interface Prepared {
  readonly tasks: ReadonlyArray<Task>
  readonly settings: Settings
}

// The errors and services of the sources are in the signatures of those who call this.
const prepare = Effect.fnUntraced(function*(
  functions: Source | ReadonlyArray<Source>,
  { concurrency = 8, failFast = false, maxSize = 100_000, prune = "report", retry, timeBudget, verify = 0 }: Options =
    {}
): Effect.fn.Return<Prepared, any, any> {
  if (!(verify >= 0 && verify <= 1)) {
    return yield* definitionError("Precompute.verify", `${verify} is not a number from 0 to 1`)
  }
  if (!["keep", "report", "remove"].includes(prune)) {
    return yield* definitionError("Precompute.prune", `${format(prune)} is not "keep", "report" or "remove"`)
  }
  const settings = {
    concurrency: yield* size("Precompute.concurrency", concurrency),
    timeBudget: timeBudget === undefined ? Infinity : yield* millis("Precompute.timeBudget", timeBudget),
    retry,
    failFast,
    verify,
    prune
  }
  const most = yield* size("Precompute.maxSize", maxSize)
  const sources = (Array.isArray(functions) ? functions : [functions]) as ReadonlyArray<Source>
  // One effect gives one function, in however many plans it is.
  const made = new Map<Effect.Effect<AnyCached, any, any>, AnyCached>()
  const make = Effect.fnUntraced(
    function*(source: Effect.Effect<AnyCached, any, any>): Effect.fn.Return<AnyCached, any, any> {
      const cached = made.get(source) ?? (yield* source)
      made.set(source, cached)
      return cached
    }
  )
  return { settings, tasks: yield* Effect.forEach(sources, (source) => taskOf(source, make, most)) }
})

const taskOf = Effect.fnUntraced(function*(
  source: Source,
  make: (source: Effect.Effect<AnyCached, any, any>) => Effect.Effect<AnyCached, any, any>,
  most: number
): Effect.fn.Return<Task, any, any> {
  const { filter, order, source: made, values = {} }: Planned<any, any> = isPlan(source)
    ? source[PlanTypeId]
    : { source: functionOf(source) }
  const target = (yield* make(made))[Cached.TypeId]
  const { claim, fn } = target
  if (claim.released) return yield* releasedError(fn.name)
  const domain = yield* fn.provide(SchemaDomain.fields(fn.name, fn.fields, { values, order }))
  if (domain.size <= most) return { ...target, domain, filter }
  const sizes = yield* Effect.forEach(Object.keys(fn.fields), (field) =>
    Effect.map(
      fn.provide(SchemaDomain.fields(fn.name, { [field]: fn.fields[field]! }, { values: { [field]: values[field]! } })),
      (one) => `${field}: ${one.size}`
    ))
  const found = `it has ${domain.size} inputs (${sizes.join(", ")}), more than the ${most} of \`maxSize\``
  return yield* domainError(fn.name, undefined, `${found}: raise it, or give fewer values with Precompute.over`)
})

/**
 * What a layer that precomputes tells of it.
 *
 * @category services
 * @since 0.1.0
 */
export class Warmup extends Context.Service<Warmup, {
  /** Whether the run is over, and neither its first failure nor an error ended it. For health checks. */
  readonly isReady: Effect.Effect<boolean>
  /** How far it is. */
  readonly counts: Effect.Effect<Counts>
  /**
   * Waits for the end of the run. Fails with a `CacheError`: of reason `PrecomputeError` where the first failure ended it,
   * as `failFast` says, or with what the run itself failed with.
   */
  readonly await: Effect.Effect<Summary, CacheError.CacheError>
}>()("effect-cached/Precompute/Warmup") {}

/**
 * Precomputes at the start of a program.
 *
 * **Details**
 *
 * - `mode`: with `"blocking"` the layer is built when the run is over; with `"background"` at once, and the run ends with
 *   the layer's scope. Default `"blocking"`.
 *
 * Progress is shown in the terminal where `Stdio` is there and says that stderr is one, and logged where not, with each
 * failure. Failures do not fail the
 * layer, unless `failFast` says so: then it fails with a `CacheError` of reason `PrecomputeError`. Before anything runs, also
 * in the background, it fails as {@link run} does.
 *
 * **Gotchas**
 *
 * An application has one such layer: give it all its functions. Of several, {@link Warmup} is that of the last.
 *
 * **Example** (Ready when everything is computed)
 *
 * ```ts import.meta.vitest
 * import { Context, Effect, Layer, Schema } from "effect"
 * import { Cached, CacheLive, Precompute } from "effect-cached"
 *
 * const fields = { n: Schema.Literals([1, 2, 3]) }
 *
 * class Squares extends Context.Service<Squares, Cached.Cached<typeof fields, typeof Schema.Number>>()("Squares") {
 *   static readonly layer = Layer.effect(Squares)(
 *     Cached.make("squares", { input: fields, success: Schema.Number }, ({ n }) => Effect.succeed(n * n))
 *   )
 * }
 *
 * const App = Precompute.layer(Squares).pipe(Layer.provideMerge(Squares.layer), Layer.provide(CacheLive))
 *
 * const program = Effect.gen(function*() {
 *   const warmup = yield* Precompute.Warmup
 *   return [yield* warmup.isReady, (yield* warmup.await).counts.computed]
 * }).pipe(Effect.provide(App))
 *
 * await Effect.runPromise(program) // => [true, 3]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const S extends Source | ReadonlyArray<Source>>(
  functions: S & Finite<NoInfer<S>>,
  options?: Options & { readonly mode?: "blocking" | "background" | undefined }
): Layer.Layer<Warmup, CacheError.CacheError | Source.Error<S>, Exclude<Source.Services<S>, Scope.Scope>> =>
  Layer.effect(Warmup)(Effect.gen(function*() {
    const { settings, tasks } = yield* prepare(functions, options)
    const end = yield* Deferred.make<Summary, CacheError.CacheError>()
    let counts: Counts = new Tally(sizeOf(tasks)).counts(0)
    let failure: CacheError.CacheError | undefined
    let ready = false

    const keepFailure = (step: Progress) => {
      if (step._tag !== "Failed" || !settings.failFast) return
      failure = stoppedError(step.function, format(step.input), Cause.squash(step.cause))
    }
    const keepCounts = (now: Counts) => {
      counts = now
    }
    const warming = Effect.gen(function*() {
      const steps = Stream.tap(runTasks(tasks, settings), (step) => Effect.sync(() => keepFailure(step)))
      const summary = yield* Effect.provideService(display(steps), progress.Watch, keepCounts)
      if (failure !== undefined) return yield* failure
      ready = true
      return summary
    })
    const settled = Effect.onExit(warming, (exit) => Deferred.done(end, exit))

    if (options?.mode === "background") {
      // Of the first failure the log has been told.
      // Started at once: whoever waits hears of its end, whenever the scope closes.
      yield* Effect.forkScoped(
        Effect.catchCause(settled, (cause) => failure === undefined ? Effect.logError(cause) : Effect.void),
        { startImmediately: true }
      )
    } else yield* settled
    return Warmup.of({
      isReady: Effect.sync(() => ready),
      counts: Effect.sync(() => counts),
      await: Deferred.await(end)
    })
  }))
