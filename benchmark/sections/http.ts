/**
 * A hit over HTTP, against a prebuilt response of the same router, on real sockets: the server in one process, the load
 * generator in another.
 */
import { check, type Settings } from "../fixtures.ts"
import { ids, paths, type Subject, subjects } from "../http/app.ts"
import { type Done, type Load, requestText, type ServerState } from "../http/messages.ts"
import { distribution, paired, ratio, type Samples } from "../paired.ts"
import { ask, start } from "../processes.ts"
import { cells, figure, goal, type Report, row, type Table, times, whole } from "../report.ts"

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const server = start(new URL("../http/server.ts", import.meta.url))
  const load = start(new URL("../http/load.ts", import.meta.url))
  try {
    const { barePort, port } = await ask<ServerState>(server, "state")
    const cpu: Record<string, Array<number>> = {}
    const sample = (subject: Subject | "bare") => async (): Promise<number> => {
      const before = await ask<ServerState>(server, "state")
      const done = await ask<Done>(
        load,
        {
          port: subject === "bare" ? barePort : port,
          requests: requestsOf(subject),
          status: 200,
          connections: 32,
          pipelined: 1,
          millis: smoke ? 30 : quick ? 60 : 200
        } satisfies Load
      )
      const after = await ask<ServerState>(server, "state")
      ;(cpu[subject] ??= []).push(done.allRequests / (after.cpu - before.cpu) * 1e6)
      return done.requests / done.millis * 1000
    }
    const samples = await paired(
      Object.fromEntries([...subjects, "bare" as const].map((subject) => [subject, sample(subject)])),
      { rounds: quick ? 20 : 80, warmups: quick ? 1 : 8, millis: quick ? 4500 : 14_000 }
    )
    const rounds = samples["hit"]!.length
    const perCpu: Samples = Object.fromEntries(
      Object.entries(cpu).map(([subject, figures]) => [subject, figures.slice(-rounds)])
    )
    const response = await fetch(`http://127.0.0.1:${port}/cached/7`)
    check(response.headers.get("cache-status") === "effect-cached; hit", "what is measured has to be a hit")

    const hitGoal = (text: string, figures: Samples, control: Subject, atLeast: number) => {
      const measured = goal(`hit over HTTP, ${text}: at least ${times(atLeast)}`, ratio(figures, "hit", control), {
        atLeast
      })
      return { ...measured, measured: measured.measured + noise(figures) }
    }
    const sameHeaders = "prebuilt, with the headers of a hit"
    return {
      tables: [
        table("Requests per second, 1 KB of JSON, 32 connections", samples),
        table("Requests per second of the server's CPU time", perCpu)
      ],
      goals: [
        hitGoal("requests per second, of a prebuilt response's", samples, "prebuilt", 0.95),
        hitGoal("requests per second of CPU, of a prebuilt response's", perCpu, "prebuilt", 0.95),
        hitGoal("requests per second of CPU, of one's with the same headers", perCpu, sameHeaders, 0.95)
      ],
      figures: [
        figure("Requests per second", samples, (name) => name === "hit" ? "own" : "control", "per second"),
        figure(
          "Requests per second of the server's CPU time",
          perCpu,
          (name) => name === "hit" ? "own" : "control",
          "per second"
        )
      ],
      notes: [
        "\"prebuilt, again\" is the control against itself: how far it is from 1 is how far noise reaches.",
        "A hit has four headers more than the prebuilt response; the route with these headers tells what they cost."
      ]
    }
  } finally {
    server.kill()
    load.kill()
  }
}

const requestsOf = (subject: Subject | "bare"): ReadonlyArray<string> =>
  Array.from({ length: ids }, (_, id) =>
    requestText(subject === "bare" ? "/" : paths[subject](id), {
      host: "127.0.0.1",
      "user-agent": "benchmark",
      accept: "application/json",
      "accept-encoding": "identity"
    }))

const table = (title: string, figures: Samples): Table => ({
  title,
  columns: ["route", "requests/s", "quartiles", "of prebuilt", "quartiles", "of bare node:http"],
  rows: [...subjects, "bare"].map((name) =>
    row(
      name === "bare" ? "bare node:http" : name,
      cells(distribution(figures[name]!), whole),
      cells(ratio(figures, name, "prebuilt"), times),
      times(ratio(figures, name, "bare").median)
    )
  )
})

const noise = (figures: Samples): string => {
  const { high, low, median } = ratio(figures, "prebuilt, again", "prebuilt")
  return `; prebuilt against itself ${times(median)} (${times(low)} to ${times(high)})`
}
