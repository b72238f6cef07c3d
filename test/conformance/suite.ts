/**
 * The tests of `http-cache-tests` that concern a cache in front of a handler, and what became of them.
 */
/** The suites that count. */
export const suiteIds = [
  "cc-freshness",
  "cc-parse",
  "expires",
  "expires-parse",
  "cc-response",
  "stale",
  "status",
  "vary",
  "vary-parse",
  "conditional-lm",
  "conditional-inm",
  "headers",
  "update304",
  "invalidation",
  "auth",
  "other",
  "cdn-cache-control"
]

/** `required` is what the standard demands, `optional` what makes a better cache, and `check` only tells how a cache behaves. */
export type Kind = "required" | "optional" | "check"

export const kinds: ReadonlyArray<Kind> = ["required", "optional", "check"]

/** A header field of the origin. A number is a date so many seconds from now. Default: that it arrives is checked. */
export type Header = readonly [name: string, value: string | number, isChecked?: boolean]

/** What a test asks, what the origin answers, and what is expected of that: as far as anything is written here. */
export interface Request {
  readonly response_headers?: ReadonlyArray<Header>
  readonly setup?: boolean
  readonly pause_after?: boolean
  readonly disconnect?: boolean
  readonly check_body?: boolean
  readonly expected_type?: "cached" | "not_cached"
  readonly expected_status?: number
  readonly expected_response_headers?: ReadonlyArray<Header>
  readonly expected_response_headers_missing?: ReadonlyArray<string>
}

/** A test, as the package has it. */
export interface Test {
  readonly id: string
  readonly name: string
  readonly kind?: "required" | "optimal" | "check"
  readonly depends_on?: ReadonlyArray<string>
  readonly browser_only?: boolean
  readonly requests: ReadonlyArray<Request>
}

export interface Suite {
  readonly id: string
  readonly tests: ReadonlyArray<Test>
}

export const kindOf = ({ kind }: Test): Kind => kind === "optimal" ? "optional" : kind ?? "required"

/** What the client of the package says of a test: it passed, or the name and the message of an error. */
export type Result = true | readonly [name: string, message: string]

/** The suites that count, as far as the package has them, without the tests for browsers. */
export const load = async (): Promise<ReadonlyArray<Suite>> => {
  const { default: all } = await import("http-cache-tests/tests/index.mjs")
  return suiteIds.flatMap((id) => all.filter((suite) => suite.id === id)).map(({ id, tests }) => ({
    id,
    tests: tests.filter(({ browser_only: forBrowsers }) => forBrowsers !== true)
  }))
}

/**
 * Why each test that did not pass did not. One that depends on another passes only where that one passes, as the package shows its
 * results.
 */
export const failuresOf = (
  suites: ReadonlyArray<Suite>,
  results: Readonly<Record<string, Result>>
): ReadonlyMap<string, string> => {
  const tests = new Map(suites.flatMap(({ tests }) => tests.map((test) => [test.id, test])))
  const failures = new Map<string, string>()
  const judged = new Set<string>()
  const judge = (id: string): void => {
    if (judged.has(id)) return
    judged.add(id)
    const test = tests.get(id)
    for (const other of test?.depends_on ?? []) judge(other)
    const unmet = test?.depends_on?.find((other) => failures.has(other))
    const result = results[id]
    if (test === undefined || result === undefined) failures.set(id, "it did not run")
    else if (unmet !== undefined) failures.set(id, `it depends on ${unmet}, which does not pass`)
    else if (result !== true) failures.set(id, `${result[0]}: ${result[1]}`)
  }
  for (const id of tests.keys()) judge(id)
  return failures
}
