/**
 * The keys of responses that are cached whole.
 */
import * as Context from "effect/Context"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import { canonicalUnsafe } from "../canonical.ts"
import { isStep, type Level, makeKnownKeys } from "./knownKeys.ts"
import type { Reader } from "./recordedRequest.ts"
import { type Names, variantKey } from "./variants.ts"
import { type Asking, type Params, partsOf } from "./wholeComputation.ts"

/** What is known of one base key, with what reads its parts. */
export type Readable = Names<{ readonly readers: ReadonlyArray<Reader> }>

/** The key of a request with these parts. */
export const keyOf = ({ base, context, request }: Asking, names: ReadonlyArray<string>): string =>
  variantKey(base, partsOf(names, request, context))

/** The same keys, kept for a while: those that are known are found without making them. */
export const makeWholeKeys = (prefix: string) => {
  const bases = makeKnownKeys()
  const variants = makeKnownKeys()

  const makeBase = (params: Params): string => {
    const base = prefix + canonicalUnsafe(params)
    const steps = Object.entries(params).flat()
    if (steps.every(isStep)) bases.add([...steps, end], base)
    return base
  }

  const makeVariant = (asking: Asking, known: Readable): string => {
    const parts = partsOf(known.names, asking.request, asking.context)
    const key = variantKey(asking.base, parts)
    const steps = parts.map(([, value]) => value)
    if (steps.every(isStep)) variants.add([known, ...steps], key)
    return key
  }

  return {
    /** What the key of a request has but for the parts that responses depend on. */
    baseOf: (params: Params): string => {
      let level: Level | string | undefined = bases.first()
      // Two steps for each parameter, and one more behind the last: a route may have fewer of them in one request than in another.
      for (const name in params) {
        level = ((level as Level).get(name) as Level | undefined)?.get(params[name])
        if (level === undefined) return makeBase(params)
      }
      return (level as Level).get(end) as string | undefined ?? makeBase(params)
    },
    /** As {@link keyOf}. No two base keys have one `known`. */
    variantOf: (asking: Asking, known: Readable): string => {
      const { readers } = known.of
      const search = Context.getUnsafe(asking.context, HttpServerRequest.ParsedSearchParams)
      let level = variants.first().get(known)
      for (let index = 0; index < readers.length && level !== undefined; index++) {
        const value = readers[index]!(asking.request, search)
        level = isStep(value) ? (level as Level).get(value) : undefined
      }
      return level as string | undefined ?? makeVariant(asking, known)
    }
  }
}

const end = {}
