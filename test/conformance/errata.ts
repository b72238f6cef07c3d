/**
 * What the suite on the web counts and the published package does not have yet: tests that ask for something that RFC 9111 does not
 * demand, that no cache can pass, or that are missing. Published tests run as they are; what is here runs besides them.
 */
import type { Header, Kind, Suite, Test } from "./suite.ts"

const updated = "304-etag-update-response-"
const mustUpdate = new Set([
  "Test-Header",
  "X-Test-Header",
  "Content-Foo",
  "X-Content-Foo",
  "Cache-Control",
  "Content-Length"
])

/** The kind that a published test has today, where that is another one; `dropped` where it is gone. */
const recounted = (id: string): Kind | "dropped" | undefined => {
  // RFC 9111, section 3.2: which fields a 304 leaves as they are is, but for some, for the cache to know.
  if (id.startsWith(updated) && !mustUpdate.has(id.slice(updated.length))) return "check"
  // RFC 9111, section 4.4: what Location and Content-Location name may end with the target.
  if (/^invalidate-.*-(?:location|cl)$/.test(id)) return "check"
  // RFC 9111, section 4.2: a date in any of the three forms is one, in any case.
  if (/^freshness-expires-(?:rfc850|ansi-c|wrong-case-\w+)$/.test(id)) return "optional"
  // RFC 9111, section 5.2: a lifetime in quotes need not be understood, and which of two counts is tested by others.
  if (/^freshness-max-age-(?:ignore-quoted-all.*|multiple-(?:line|directive))$/.test(id)) return "dropped"
  return undefined
}

// A test with two requests: the response to the first, and whether the second is answered with it.
const pair = (
  id: string,
  kind: Kind,
  because: string,
  first: ReadonlyArray<Header>,
  isReused: boolean
): Test => ({
  id,
  name: because,
  kind: kind === "optional" ? "optimal" : kind,
  requests: [
    { response_headers: first, setup: true, pause_after: true },
    { expected_type: isReused ? "cached" : "not_cached" }
  ]
})

// The same test with another expectation, and where the date was none, with one.
const judged = (test: Test, kind: "required" | "optimal", isReused: boolean, expires?: string): Test => {
  const [first, second] = test.requests
  const headers: ReadonlyArray<Header> = expires === undefined
    ? first!.response_headers!
    : [["Expires", expires, false], ["Date", 0]]
  return {
    ...test,
    kind,
    requests: [
      { ...first, response_headers: headers },
      { ...second, expected_type: isReused ? "cached" : "not_cached" }
    ]
  }
}

/** Published tests that have to be put in another way. */
const restated = (test: Test): Test | undefined => {
  const { id } = test
  // RFC 9111, section 5.3: what is no date is in the past. As published it is only told whether a cache thinks so.
  if (id.startsWith("freshness-expires-invalid-") && test.kind === "check") return judged(test, "required", false)
  // RFC 9110, section 5.6.7: as published these two lack a comma, and are no dates.
  if (id === "freshness-expires-32bit") return judged(test, "optimal", true, "Tue, 19 Jan 2038 03:14:09 GMT")
  if (id === "freshness-expires-far-future") return judged(test, "optimal", true, "Fri, 01 Jan 2500 00:00:00 GMT")
  // RFC 9111, section 4.2.4: as published, the answer of the gateway itself counts as a stored response.
  if (id.startsWith("stale-close-")) {
    const own = { disconnect: true, expected_status: 502, check_body: false }
    return {
      ...test,
      requests: [test.requests[0]!, { ...own, expected_response_headers_missing: ["Server-Request-Count"] }]
    }
  }
  // RFC 9111, section 5.2.2.3: the directive comes with no-store, for caches that do not know it.
  if (id === "status-599-must-understand") {
    const headers = [["Cache-Control", "no-store, must-understand, max-age=600"]] as const
    return { ...test, requests: [{ ...test.requests[0], response_headers: headers }, test.requests[1]!] }
  }
  return undefined
}

const inFuture = [["Expires", 600], ["Date", 0]] as const
const cdn = (value: string) => ["CDN-Cache-Control", value, false] as const
const control = (value: string) => ["Cache-Control", value] as const

const keptOld = (id: string, newer: string): Test => ({
  id,
  name: "RFC 9111, section 5.2.2.5: what says no-store does not end what is stored already",
  kind: "required",
  requests: [
    { response_headers: [control("max-age=600"), ["Version", "old"]], setup: true, pause_after: true },
    { response_headers: [control(newer), ["Version", "new"]], setup: true, pause_after: true },
    { expected_type: "cached", expected_response_headers: [["Version", "old"]] }
  ]
})

/** Tests that are missing, by suite. */
const added: Readonly<Record<string, ReadonlyArray<Test>>> = {
  "cc-freshness": [
    pair(
      "is-over",
      "required",
      "RFC 9111, section 4.2: a response is stale after its lifetime",
      [control("max-age=2")],
      false
    )
  ],
  "cc-response": [keptOld("no-store-keeps", "no-store"), keptOld("no-store-zero-keeps", "max-age=0, no-store")],
  "status": [
    pair(
      "understood",
      "optional",
      "RFC 9111, section 5.2.2.3: no-store does not count for a status that is understood",
      [
        control("no-store, must-understand, max-age=600")
      ],
      true
    )
  ],
  "stale": [
    pair("swr-serves", "optional", "RFC 5861, section 3: it may be served while it is revalidated", [
      control("max-age=1, stale-while-revalidate=600"),
      ["ETag", "\"1\""]
    ], true),
    pair("swr-ends", "required", "RFC 5861, section 3: after that it may not", [
      control("max-age=1, stale-while-revalidate=1"),
      ["ETag", "\"1\""]
    ], false)
  ],
  "other": [{
    id: "date-stays",
    name: "RFC 9111, section 4.2.3: the date is that of the origin",
    kind: "required",
    requests: [
      { response_headers: inFuture, setup: true, pause_after: true },
      { expected_type: "cached", expected_response_headers: [["Date", 0]] }
    ]
  }],
  // All: RFC 9213, section 2.2.
  "cdn-cache-control": [
    pair("cdn-fresh", "optional", "it says how long", [cdn("max-age=600")], true),
    pair("cdn-long", "optional", "for as long as a number can say", [cdn("max-age=2147483648")], true),
    pair("cdn-longer", "optional", "and longer", [cdn("max-age=12345678901")], true),
    pair("cdn-extension", "optional", "beside what nobody knows", [cdn("other=1, max-age=600")], true),
    pair("cdn-past", "optional", "over Expires", [cdn("max-age=600"), ["Expires", -600], ["Date", 0]], true),
    pair("cdn-no-date", "optional", "over what is no date", [cdn("max-age=600"), ["Expires", "never", false]], true),
    pair("cdn-over-short", "optional", "over max-age", [control("max-age=1"), cdn("max-age=600")], true),
    pair("cdn-aged", "required", "the age counts", [cdn("max-age=600"), ["Age", "601"], ["Date", 0]], false),
    pair("cdn-zero", "required", "none is none", [cdn("max-age=0")], false),
    pair("cdn-zero-future", "required", "none is none, over Expires", [cdn("max-age=0"), ...inFuture], false),
    pair("cdn-over-long", "required", "over max-age", [control("max-age=600"), cdn("max-age=1")], false),
    pair("cdn-private", "required", "for one user", [cdn("private"), control("max-age=600")], false),
    pair("cdn-no-cache", "required", "not without asking", [cdn("no-cache"), control("max-age=600")], false),
    pair("cdn-no-store", "required", "not at all", [cdn("no-store"), control("max-age=600"), ...inFuture], false),
    pair("cdn-over-no-store", "required", "over no-store", [control("no-store"), cdn("max-age=600")], true),
    pair(
      "cdn-invalid",
      "required",
      "what is invalid does not count",
      [cdn("max-age=600, ="), control("no-store")],
      false
    ),
    pair("cdn-type", "required", "what has another type does not", [cdn("max-age=?1"), control("no-store")], false)
  ]
}

const suffix = " (corrected)"

/** The suites with the corrections, and all tests that have to run for these and for the published ones. */
export const correct = (published: ReadonlyArray<Suite>, ids: ReadonlyArray<string>) => {
  const byId = new Map(published.map((suite) => [suite.id, suite.tests]))
  const corrected = ids.map((id): Suite => ({
    id,
    tests: [
      ...(byId.get(id) ?? []).flatMap((test) => {
        const other = restated(test)
        if (other !== undefined) return [{ ...structuredClone(other), id: test.id + suffix }]
        const kind = recounted(test.id)
        if (kind === "dropped") return []
        return [kind === undefined ? test : { ...test, kind: kind === "optional" ? "optimal" as const : kind }]
      }),
      ...(added[id] ?? []).map((test) => structuredClone(test))
    ]
  }))
  const known = new Set(published.flatMap(({ tests }) => tests.map((test) => test.id)))
  const more = corrected.map(({ id, tests }) => ({ id, tests: tests.filter((test) => !known.has(test.id)) }))
  return { corrected, toRun: [...published, ...more] }
}
