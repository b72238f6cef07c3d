/**
 * Runs every example of the documentation: each fence marked `ts import.meta.vitest`, in comments of `src` and in
 * Markdown. A line `expression // => value` is an assertion.
 */
import { assert, describe, it } from "@effect/vitest"
import { Equal } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"

interface Example {
  readonly file: string
  readonly line: number
  readonly code: string
}

const root = path.resolve(import.meta.dirname, "..")
const generated = path.join(import.meta.dirname, ".docs")

const filesBelow = (directory: string, ending: string): ReadonlyArray<string> =>
  fs.readdirSync(path.join(root, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ending))
    .map((file) => path.join(directory, file))

const examplesOf = (file: string): ReadonlyArray<Example> => {
  const lines = fs.readFileSync(path.join(root, file), "utf8").split("\n")
  const prefix = file.endsWith(".ts") ? /^\s*\* ?/ : /^/
  const examples: Array<Example> = []
  let open: { readonly line: number; readonly code: Array<string> } | undefined
  lines.forEach((raw, index) => {
    const line = raw.replace(prefix, "")
    if (open === undefined) {
      if (line.trim() === "```ts import.meta.vitest") open = { line: index + 1, code: [] }
    } else if (line.trim() === "```") {
      examples.push({ file, line: open.line, code: open.code.join("\n") })
      open = undefined
    } else {
      open.code.push(line)
    }
  })
  return examples
}

const assertion = /^(\s*)(.+?)\s*\/\/ => (.+)$/

const toModule = ({ code, file, line }: Example): string => {
  const lines = code.split("\n").map((text, index) => {
    const match = assertion.exec(text)
    return match === null
      ? text
      : `${match[1]}check(${match[2]!.replace(/;$/, "")}, ${match[3]}, ${
        JSON.stringify(`${file}:${line + index + 1}`)
      })`
  })
  return `const check: (actual: unknown, expected: unknown, where: string) => void = (globalThis as any).checkExample\n${
    lines.join("\n")
  }\n`
}

const check = (actual: unknown, expected: unknown, where: string) => {
  if (!Equal.equals(actual, expected)) assert.deepStrictEqual(actual, expected, where)
}
Object.assign(globalThis, { checkExample: check })

const examples = ["README.md", ...filesBelow("docs", ".md"), ...filesBelow("src", ".ts")].flatMap(examplesOf)
fs.rmSync(generated, { recursive: true, force: true })
fs.mkdirSync(generated, { recursive: true })

describe("examples in the documentation", () => {
  for (const example of examples) {
    it(`${example.file}:${example.line} runs and shows what it says`, async () => {
      const name = `${example.file.replaceAll(/[^\w]/g, "-")}-${example.line}.ts`
      const file = path.join(generated, name)
      fs.writeFileSync(file, toModule(example))
      await import(pathToFileURL(file).href)
    })
  }

  it("has an example for every public function and layer", () => {
    const missing = filesBelow("src", ".ts")
      .filter((file) => !/internal|bin|index\.ts$/.test(file))
      .flatMap((file) => {
        const text = fs.readFileSync(path.join(root, file), "utf8")
        return Array.from(
          text.matchAll(/^export const (\w+)\b/gm),
          (match) => ({ file, name: match[1]!, at: match.index })
        )
          .filter(({ at }) => {
            const comment = text.slice(text.lastIndexOf("/**", at), at)
            return !comment.includes("import.meta.vitest") &&
              !/@category (schemas|models|accessors|guards|type ids)/.test(comment)
          })
          .map(({ name }) => `${file}: ${name}`)
      })
    assert.deepStrictEqual(missing, [])
  })
})
