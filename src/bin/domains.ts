/**
 * The text of domains.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Result from "effect/Result"
import * as Cached from "../Cached.ts"
import type { CachedFunction } from "../internal/cachedFunction.ts"
import { grouped } from "../internal/precompute/wording.ts"
import * as SchemaDomain from "../SchemaDomain.ts"
import { openModule, type Target } from "./openModule.ts"

/**
 * Prints each function of a module with its fields and their values. False where one has no finite domain: the log says
 * why.
 */
export const printDomains = Effect.fnUntraced(function*(module: string) {
  // Few functions need the layer for this; it may open a store, which another process may hold.
  const domains = yield* Effect.matchEffect(describeDomains(module, false), {
    onFailure: () => describeDomains(module, true),
    onSuccess: (bare) =>
      bare.every(Result.isSuccess)
        ? Effect.succeed(bare)
        : Effect.orElseSucceed(describeDomains(module, true), () => bare)
  })
  for (const domain of domains) {
    if (Result.isSuccess(domain)) yield* Console.log(domain.success)
    else yield* Effect.logError(domain.failure.message)
  }
  return domains.every(Result.isSuccess)
})

const describeDomains = (module: string, withLayer: boolean) =>
  openModule(module, withLayer).pipe(
    Effect.flatMap(({ targets }) => Effect.forEach(targets, (target) => Effect.result(describeDomain(target)))),
    Effect.scoped
  )

const describeDomain = Effect.fnUntraced(function*({ cached, filtered, values }: Target) {
  const { fn } = cached[Cached.TypeId]
  const { size } = yield* domainOf(fn, Object.keys(fn.fields), values)
  const names = Object.keys(fn.fields)
  const width = Math.max(...names.map(({ length }) => length))
  const lines = yield* Effect.forEach(names, (field) =>
    Effect.map(
      domainOf(fn, [field], values),
      (own) => `  ${field.padEnd(width)}  ${grouped(own.size)}: ${valuesText(own, field)}`
    ))
  const inputs = `${grouped(size)} ${size === 1 ? "input" : "inputs"}`
  return [`${fn.name}: ${inputs}${filtered ? ", before its filter" : ""}`, ...lines].join("\n")
})

const domainOf = (fn: CachedFunction, names: ReadonlyArray<string>, values: Target["values"]) => {
  const of = <A>(from: Readonly<Record<string, A>>) =>
    Object.fromEntries(names.flatMap((name) => Object.hasOwn(from, name) ? [[name, from[name]!]] : []))
  return fn.provide(SchemaDomain.fields(fn.name, of(fn.fields), { values: of(values) }))
}

const valuesText = (domain: Iterable<Readonly<Record<string, unknown>>>, field: string): string => {
  const texts: Array<string> = []
  for (const input of domain) {
    if (texts.length === maxValues) return `${texts.join(", ")}, …`
    texts.push(Object.hasOwn(input, field) ? shorten(Formatter.format(input[field])) : "(absent)")
  }
  return texts.join(", ")
}

const maxValues = 8

const shorten = (text: string): string => text.length > 60 ? `${text.slice(0, 60)}…` : text
