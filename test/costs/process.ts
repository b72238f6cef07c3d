/**
 * Programs that count what is done, each in a process of its own: nothing else runs there, and its flags make counts repeat.
 */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const register = fileURLToPath(new URL("../bin/fixtures/register.ts", import.meta.url))

/** Everything on one thread, and the same hashes in each process. */
const repeatable = ["--single-threaded", "--hash-seed=1", "--random-seed=1", "--expose-gc"]

/** Code is run as it is written: what the optimising compilers leave out depends on when they run. */
export const asWritten = ["--no-opt", "--no-maglev", "--no-sparkplug"]

/** So much room for new objects that none is collected while it is counted. */
export const roomy = ["--min-semi-space-size=128", "--max-semi-space-size=256"]

/** Runs a program of this folder, and reads what it prints last. */
export const counted = async <A>(
  program: string,
  flags: ReadonlyArray<string> = [],
  args: ReadonlyArray<string> = []
): Promise<A> => {
  const file = fileURLToPath(new URL(program, import.meta.url))
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...repeatable, ...flags, "--disable-warning=ExperimentalWarning", "--import", register, file, ...args],
    // What a runner of tests sets for its own processes is not for these.
    { env: { ...process.env, NODE_OPTIONS: "", NODE_V8_COVERAGE: "" }, maxBuffer: 64 * 1024 * 1024 }
  )
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as A
}
