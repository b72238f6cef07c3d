/**
 * What the headers of a hit cost: ETag, Vary, Cache-Status and all others there are, against a hit without them, and against
 * prebuilt responses with the very same headers. And what it costs to find a response that depends on what its request says.
 */
import { check, type Settings } from "../fixtures.ts"
import { computed, cookie, headers, routes, type Subject, subjects, urls } from "../http/hits.ts"
import { atOnce, type Headers, local } from "../http/local.ts"
import { type Done, type Load, requestText, type ServerState } from "../http/messages.ts"
import { beyond, distribution, paired, ratio, type Samples } from "../paired.ts"
import { ask, start } from "../processes.ts"
import { cells, type Report, row, type Table, time, times } from "../report.ts"

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const here = await local(routes, headers)

  // Every entry there is, and what the client of a 304 has.
  const validators: Array<string> = []
  for (const subject of subjects) {
    for (const url of urls(subject)) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, so that each is computed once
      const { headers } = await here.ask(url, ofSubject(subject))
      if (subject === "not modified") validators.push(headers["etag"]!)
    }
  }
  const headersOf = (subject: Subject, index: number): Headers | undefined => ofSubject(subject, validators[index])
  const executions = computed()
  await checkResponses(here, headersOf)

  const requests = Object.fromEntries(
    subjects.map((subject) => [
      subject,
      urls(subject).map((url, index) => ({
        url,
        headers: headersOf(subject, index),
        request: here.requestOf(url, headersOf(subject, index))
      }))
    ])
  )
  const count = smoke ? 64 : quick ? 320 : 3200
  const of = (subject: Subject, index: number) => {
    const all = requests[subject]!
    return all[index % all.length]!
  }
  const alone = await paired(
    Object.fromEntries(
      subjects.map((subject) => [
        subject,
        atOnce(count, (index) => void here.throughRouter(of(subject, index).request))
      ])
    ),
    { rounds: quick ? 60 : 80, warmups: 12, millis: quick ? 1500 : 4000 }
  )
  const node = await paired(
    Object.fromEntries(
      subjects.map((subject) => [
        subject,
        atOnce(count, (index) => {
          const { headers, url } = of(subject, index)
          check(here.throughNode(url, headers).writableEnded, `${subject} has to answer at once`)
        })
      ])
    ),
    { rounds: quick ? 60 : 80, warmups: 12, millis: quick ? 2000 : 4000 }
  )
  check(computed() === executions, "nothing may be computed while hits are measured")
  await here.close()
  const sockets = await overSockets({ quick, smoke }, headersOf)

  return {
    tables: [
      ...tables("through the router alone, the response is thrown away", alone),
      ...tables("through node's objects and the router, without sockets", node),
      ...tables("CPU time of the server per request, real sockets, 32 connections", sockets)
    ],
    goals: [],
    notes: [
      "\"of prebuilt\" is against a prebuilt response with the same headers. ETag, Vary and Cache-Status of a hit are made once for each\n" +
      "  second of its age; after that they cost what node takes to check and write them, which a prebuilt response pays, too."
    ]
  }
}

const ofSubject = (subject: Subject, validator?: string): Headers | undefined => {
  if (subject === "whole response, of a cookie") return { ...headers, cookie }
  return subject === "not modified" && validator !== undefined ? { ...headers, "if-none-match": validator } : undefined
}

// Each has the headers that its name says, is a hit, and its control has the same headers.
const checkResponses = async (
  here: Awaited<ReturnType<typeof local>>,
  headersOf: (subject: Subject, index: number) => Headers | undefined
): Promise<void> => {
  const answer = async (subject: Subject) => {
    const { headers, status } = await here.ask(urls(subject)[7]!, headersOf(subject, 7))
    return { headers, status, names: Object.keys(headers).toSorted().join(" ") }
  }
  for (const subject of subjects) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { headers, names, status } = await answer(subject)
    const control = controls[subject]
    check(status === (subject === "not modified" ? 304 : 200), `${subject} has status ${status}`)
    if (subject.startsWith("prebuilt")) continue
    const named = headers["cache-status"]?.startsWith("effect-cached; hit") === true
    check(named, `${subject} has to be a hit: ${headers["cache-status"]}`)
    check((headers["etag"] !== undefined) === (subject !== "hit without ETag and Vary"), `${subject}: ETag`)
    check((headers["vary"] !== undefined) === varies.has(subject), `${subject}: Vary`)
    if (control === undefined) continue
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const same = await answer(control)
    check(names === same.names, `${subject} has the headers ${names}, its control ${same.names}`)
    const difference = JSON.stringify(headers).length - JSON.stringify(same.headers).length
    check(Math.abs(difference) < 10, `the headers of ${subject} are ${difference} characters longer than its control's`)
  }
}

const varies = new Set<Subject>([
  "hit, with Vary",
  "hit, with all headers",
  "not modified",
  "whole response, of a header",
  "whole response, of a cookie"
])

// The prebuilt response with the same headers.
const controls: { readonly [K in Subject]?: Subject } = {
  "hit without ETag and Vary": "prebuilt, with the headers of the hit without",
  hit: "prebuilt, with the headers of a hit",
  "hit, with all headers": "prebuilt, with all headers",
  "whole response": "prebuilt, with the headers of a hit"
}

// CPU time, as nanoseconds per request.
const overSockets = async (
  { quick, smoke }: Settings,
  headersOf: (subject: Subject, index: number) => Headers | undefined
): Promise<Samples> => {
  const server = start(new URL("../http/server.ts", import.meta.url), ["hits"])
  const load = start(new URL("../http/load.ts", import.meta.url))
  const requestsOf = (subject: Subject): ReadonlyArray<string> =>
    urls(subject).map((url, index) => requestText(url, headersOf(subject, index) ?? headers))
  try {
    const { port } = await ask<ServerState>(server, "state")
    const send = (requests: ReadonlyArray<string>, status: 200 | 304, millis: number): Promise<Done> =>
      ask<Done>(load, { port, requests, status, connections: 32, pipelined: 1, millis } satisfies Load)
    // The server computes everything, and its code is compiled, before anything is measured.
    await send(
      subjects.filter((subject) => subject !== "not modified").flatMap(requestsOf),
      200,
      smoke ? 100 : quick ? 1000 : 2000
    )
    const cpuOf = (subject: Subject) => async (): Promise<number> => {
      const before = await ask<ServerState>(server, "state")
      const done = await send(
        requestsOf(subject),
        subject === "not modified" ? 304 : 200,
        smoke ? 20 : quick ? 60 : 150
      )
      const after = await ask<ServerState>(server, "state")
      return (after.cpu - before.cpu) * 1000 / done.allRequests
    }
    return await paired(
      Object.fromEntries(ofSockets.map((subject) => [subject, cpuOf(subject)])),
      { rounds: quick ? 20 : 60, warmups: quick ? 1 : 5, millis: quick ? 2500 : 5000 }
    )
  } finally {
    server.kill()
    load.kill()
  }
}

// Of the others, node's objects tell as much.
const ofSockets = [
  "prebuilt, with all headers",
  "hit without ETag and Vary",
  "hit",
  "hit, with all headers",
  "not modified",
  "whole response",
  "whole response, of a header"
] as const

const tables = (title: string, samples: Samples): ReadonlyArray<Table> => {
  const table = (what: string, rows: ReadonlyArray<Subject>, control: Subject): Table => ({
    title: `${what}, against "${control}": ${title}`,
    columns: ["response", "median", "quartiles", "of the control", "quartiles", "added", "of prebuilt"],
    rows: rows.map((subject) => {
      const same = controls[subject]
      return row(
        subject,
        cells(distribution(samples[subject]!), time),
        cells(ratio(samples, subject, control), times),
        signed(beyond(samples, subject, control).median),
        same === undefined || !(same in samples) ? "" : times(ratio(samples, subject, same).median)
      )
    })
  })
  const measured = subjects.filter((subject) => subject in samples)
  return [
    table("Headers", measured.filter((subject) => !isWhole(subject)), "hit without ETag and Vary"),
    table("Whole responses", measured.filter(isWhole), "whole response")
  ]
}

const isWhole = (subject: Subject): boolean => subject.startsWith("whole")

const signed = (nanos: number): string => `${nanos < 0 ? "-" : "+"}${time(Math.abs(nanos))}`
