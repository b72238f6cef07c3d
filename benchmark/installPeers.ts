/**
 * The peers: installed when they are missing, or other than their lockfile says.
 */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

const folder = new URL("peers/", import.meta.url)

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly optional?: boolean }>>
}

const read = (path: string): Lockfile => JSON.parse(readFileSync(new URL(path, folder), "utf8")) as Lockfile

// npm writes down what it has installed, in the form of a lockfile.
const isInstalled = (): boolean => {
  try {
    const { packages: installed } = read("node_modules/.package-lock.json")
    return Object.entries(read("package-lock.json").packages).every(([path, { optional, version }]) =>
      !path.startsWith("node_modules/") || optional === true || installed[path]?.version === version
    )
  } catch {
    return false
  }
}

export const installPeers = (): void => {
  if (isInstalled()) return
  console.log("Installing the peers (npm ci in benchmark/peers)")
  const { output, status } = spawnSync("npm", ["ci", "--silent"], { cwd: folder, encoding: "utf8" })
  if (status !== 0) throw new Error(`npm ci in benchmark/peers failed:\n${output?.join("") ?? ""}`)
}

/** The names of the packages that are compared. */
export const peers = (): ReadonlyArray<string> => {
  const { dependencies } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  return Object.keys(dependencies)
}
