/**
 * The keys of a shared cache: one for each URI, and below it one for each variant.
 */
import { type Level, makeKnownKeys } from "./knownKeys.ts"
import { type Asking, field, type Request } from "./sharedRequest.ts"
import { besideUri, targetUri } from "./targetUri.ts"
import { type Names, variantKey } from "./variants.ts"
import { normalised } from "./varyHeader.ts"

/** The key of a variant that depends on these headers. */
export const keyOf = ({ base, request }: Asking, names: ReadonlyArray<string>): string =>
  variantKey(base, names.map((name) => [name, normalised(name, field(request, name))]))

/** Keys that are known are found without taking URIs apart and without normalising headers. */
export const makeSharedKeys = (name: string) => {
  const bases = makeKnownKeys()
  const variants = makeKnownKeys()

  const ofUri = (uri: string, beside: string): string => `${name}\t${beside}${beside === "" ? "" : "\t"}${uri}`

  const makeVariant = (asking: Asking, known: Names<undefined>): string => {
    const key = keyOf(asking, known.names)
    variants.add([known, ...known.names.map((header) => field(asking.request, header))], key)
    return key
  }

  return {
    /** The key of a URI, and of what a handler sees besides it. */
    ofUri,
    /** The same of the target of a request. `besideUri` and `targetUri` read nothing else of it. */
    ofRequest: (request: Request): string => {
      const { headers: { host }, originalUrl, protocol, url } = request
      // Hosts are few.
      const level = (bases.first().get(host) as Level | undefined)?.get(protocol) as Level | undefined
      const known = (level?.get(url) as Level | undefined)?.get(originalUrl)
      if (known !== undefined) return known as string
      const base = ofUri(targetUri(request), besideUri(request))
      bases.add([host, protocol, url, originalUrl], base)
      return base
    },
    /** As {@link keyOf}. No two base keys have one `known`. */
    ofVariant: (asking: Asking, known: Names<undefined>): string => {
      let level = variants.first().get(known)
      for (const header of known.names) {
        if (level === undefined) break
        level = (level as Level).get(field(asking.request, header))
      }
      return level as string | undefined ?? makeVariant(asking, known)
    }
  }
}
