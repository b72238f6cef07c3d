/**
 * The versions of what is compared, from the packages that are installed.
 */
import { readFileSync } from "node:fs"

const read = (path: string): string =>
  (JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as { readonly version: string }).version

const manifests: Readonly<Record<string, string>> = {
  "effect-cached": "../../package.json",
  "effect": "../../node_modules/effect/package.json",
  "@effect/platform-node": "../../node_modules/@effect/platform-node/package.json"
}

/** The version of a package: of the tree of this library for what it shares with the benchmark, else of the peers. */
export const version = (name: string): string => read(manifests[name] ?? `node_modules/${name}/package.json`)

/** `bentocache 1.6.1, cacheable 2.5.0`. A table is printed with it, as a note. */
export const versions = (...names: ReadonlyArray<string>): string =>
  names.map((name) => `${name} ${version(name)}`).join(", ")
