/**
 * From the exports of a module to functions that can be run.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Cached from "../Cached.ts"
import { causeText } from "../internal/precompute/wording.ts"
import * as Precompute from "../Precompute.ts"
import * as ResultCache from "../ResultCache.ts"
import { cannotRun, failed, type Failure } from "./failure.ts"
import { loadModule } from "./loadModule.ts"

/** A function, and what a plan says of its domain. The types of the module are not known here. */
export interface Target {
  readonly cached: AnyCached
  readonly values: Readonly<Record<string, ReadonlyArray<unknown> | undefined>>
  readonly filtered: boolean
  readonly source: Precompute.Plan<never, any> | AnyCached
}

type AnyCached = Cached.Cached<any, any, any, any>

/** What a module has for the command. */
export interface Opened {
  readonly targets: ReadonlyArray<Target>
  readonly options: Precompute.Options
  /** What `layer` provides. */
  readonly context: Context.Context<any>
  /** Whether it has a layer of its own. */
  readonly hasLayer: boolean
}

/**
 * Imports a module, builds the layer that it exports, and gets its functions. Without its layer they are made over a cache
 * in memory, which fails where one may be a service.
 */
export const openModule = Effect.fnUntraced(function*(
  specifier: string,
  withLayer = true
): Effect.fn.Return<Opened, Failure, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const { layer, options = {}, ...others } = yield* loadModule(specifier)
  if (!Predicate.isObject(options)) {
    return yield* cannotRun(`The export "options" of ${specifier} is not an object of options of Precompute.run`)
  }
  if (layer !== undefined && !Layer.isLayer(layer)) {
    return yield* cannotRun(`The export "layer" of ${specifier} is not a Layer`)
  }
  if (!withLayer && Object.values(others).some(Context.isKey)) return yield* failed(2)
  const context = yield* orCannotRun(
    Layer.build(((withLayer ? layer : undefined) ?? ResultCache.CacheLive) as Layer.Layer<unknown, unknown>),
    `The export "layer" of ${specifier} cannot be built`
  )
  const targets = yield* Effect.provideContext(
    orCannotRun(targetsOf(Object.values(others), context), `The functions of ${specifier} cannot be made`),
    context as Context.Context<any>
  )
  if (targets.length > 0) return { targets, options, context, hasLayer: layer !== undefined }
  return yield* cannotRun(
    `${specifier} exports no cached function. Export what Cached.make or Precompute.over returns, or the Context.Service of a cached function together with a "layer" that provides it. Its other exports: ${
      namesText(Object.keys(others))
    }`
  )
})

const namesText = (names: ReadonlyArray<string>): string =>
  names.length === 0 ? "none" : names.length > 10 ? `${names.slice(0, 10).join(", ")}, …` : names.join(", ")

// Each function once, and one by itself not at all where a plan says what its domain is.
const targetsOf = Effect.fnUntraced(function*(
  exported: ReadonlyArray<unknown>,
  context: Context.Context<any>
): Effect.fn.Return<ReadonlyArray<Target>, unknown, any> {
  const functions = new Set(exported.map((value) => functionOf(value, context)).filter((value) => value !== undefined))
  // A name can be taken once: what the layer has made of an effect is not made again, nor what is made here.
  const byName = new Map(Array.from(functions, (cached) => [cached[Cached.TypeId].fn.name, cached]))
  const names = new Set<string>()
  const made = new Map<object, AnyCached>()
  const make = Effect.fnUntraced(function*(source: Effect.Effect<AnyCached, unknown, any>) {
    const known = made.get(source)
    if (known !== undefined) return known
    const name = nameOf(source)
    if (name !== undefined && names.has(name)) {
      return yield* Effect.fail(`two of them have the name ${JSON.stringify(name)}: give one of them another name`)
    }
    const cached = (name === undefined ? undefined : byName.get(name)) ?? (yield* source)
    made.set(source, cached)
    if (name === undefined) byName.set(cached[Cached.TypeId].fn.name, cached)
    else names.add(name)
    return cached
  })

  const planned: Array<Target> = []
  for (const plan of new Set(exported.filter(Precompute.isPlan))) {
    const { filter, values = {}, ...others } = plan[Precompute.PlanTypeId]
    const cached = yield* make(others.source)
    const source = { [Precompute.PlanTypeId]: { ...others, values, filter, source: Effect.succeed(cached) } }
    planned.push({ cached, values, filtered: filter !== undefined, source })
  }
  for (const source of exported.filter(Cached.isMake)) functions.add(yield* make(source))
  const bare = Array.from(functions).filter((cached) => planned.every((other) => other.cached !== cached))
  return [...planned, ...bare.map((cached) => ({ cached, values: {}, filtered: false, source: cached }))]
})

const nameOf = (source: object): string | undefined =>
  (source as { readonly [Cached.MakeTypeId]?: string })[Cached.MakeTypeId]

// What a module's layer provides is not known here: `any` in its place.
const functionOf = (value: unknown, context: Context.Context<any>): AnyCached | undefined => {
  const found: unknown = Context.isKey(value) ? Context.getOrUndefined(context, value) : value
  return Cached.isCached(found) ? found : undefined
}

/** Runs what belongs to the module. However it fails, but for an interruption, the command cannot run. */
export const orCannotRun = <A, E, R>(effect: Effect.Effect<A, E, R>, what: string): Effect.Effect<A, Failure, R> =>
  Effect.catchCause(effect, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.interrupt
      : Effect.fail(cannotRun(`${what}: ${missingService(cause) ?? causeText(cause)}`)))

// A module's own types would have said so, but here they are not known.
const missingService = (cause: Cause.Cause<unknown>): string | undefined => {
  const defect = Cause.squash(cause)
  const found = defect instanceof Error ? /^Service not found: (\S+)/.exec(defect.message) : null
  return found === null ? undefined : `"layer" has to provide the service ${found[1]}, which is not there`
}
