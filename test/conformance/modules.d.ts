/**
 * The parts of `http-cache-tests` that are used: it has no types of its own.
 */
declare module "http-cache-tests/tests/index.mjs" {
  const suites: ReadonlyArray<import("./suite.ts").Suite>
  export default suites
}

declare module "http-cache-tests/client/runner.mjs" {
  /** Runs once in a process, because it keeps the results in its module. */
  export const runTests: (
    suites: ReadonlyArray<import("./suite.ts").Suite>,
    fetch: unknown,
    isBrowser: boolean,
    base: string,
    atOnce: number
  ) => Promise<void>
  export const getResults: () => Readonly<Record<string, import("./suite.ts").Result>>
}
