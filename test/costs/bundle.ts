/**
 * What a program carries that takes two names from the package.
 */
import { rolldown } from "rolldown"

export interface Bundle {
  /** Minified, with `effect` outside. */
  readonly bytes: number
  /** Modules of the package. */
  readonly modules: ReadonlyArray<string>
  /** Modules of other packages. */
  readonly packages: ReadonlyArray<string>
  /** What it imports when it runs, without `effect`. */
  readonly imports: ReadonlyArray<string>
  /** What it loads only when it has to: chunks of their own. */
  readonly later: ReadonlyArray<string>
}

const root = new URL("../../", import.meta.url).pathname
const entry = "\0entry"

/** Bundles a program from the sources, as a bundler does with the package: it may leave out what is not used. */
export const bundle = async (program: string): Promise<Bundle> => {
  const build = await rolldown({
    input: entry,
    cwd: root,
    external: /^(effect|@effect\/[^/]+|ioredis|msgpackr|lz4-napi)(\/|$)|^node:/,
    platform: "browser",
    plugins: [{
      name: "program",
      resolveId: (id) =>
        id === entry
          ? id
          : id === "effect-cached"
          ? { id: `${root}src/index.ts`, moduleSideEffects: false }
          : undefined,
      load: (id) => id === entry ? program : undefined
    }]
  })
  try {
    const { output } = await build.generate({ format: "esm", minify: true })
    const chunks = output.filter((one) => one.type === "chunk")
    const [main] = chunks
    const held = Object.entries(main!.modules).filter(([, { renderedLength }]) => renderedLength > 0).map(([id]) => id)
    return {
      bytes: Buffer.byteLength(main!.code),
      modules: held.filter((id) => id.startsWith(`${root}src/`)).map((id) => id.slice(root.length)),
      packages: [...new Set(held.flatMap((id) => id.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []))],
      imports: main!.imports.filter((id) => !/^(@effect\/|effect($|\/))/.test(id)),
      later: chunks.slice(1).map((chunk) => chunk.name)
    }
  } finally {
    await build.close()
  }
}
