/**
 * What npm would publish, built from the sources as they are.
 */
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

export interface Packed {
  readonly files: ReadonlyArray<{ readonly path: string; readonly size: number }>
  /** Bytes, compressed and as they are on a disk. */
  readonly size: number
  readonly unpackedSize: number
}

const root = fileURLToPath(new URL("../../", import.meta.url))
const run = promisify(execFile)

/** Builds and packs in a folder of its own: what stands in `dist` may be old. Nothing is written by the packing. */
export const pack = async (): Promise<Packed> => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "effect-cached-package-"))
  try {
    const { files } = JSON.parse(await fs.readFile(path.join(root, "package.json"), "utf8")) as {
      readonly files: ReadonlyArray<string>
    }
    await Promise.all(
      ["package.json", ...files].filter((name) => name !== "dist").map((name) =>
        fs.cp(path.join(root, name), path.join(folder, name), { recursive: true })
      )
    )
    await run(process.execPath, [
      path.join(root, "node_modules/typescript/bin/tsc"),
      "-p",
      path.join(root, "tsconfig.build.json"),
      "--outDir",
      path.join(folder, "dist")
    ])
    const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: folder,
      maxBuffer: 64 * 1024 * 1024
    })
    const [packed] = JSON.parse(stdout) as ReadonlyArray<Packed>
    return packed!
  } finally {
    await fs.rm(folder, { recursive: true, force: true })
  }
}
