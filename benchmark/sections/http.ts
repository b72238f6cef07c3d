/**
 * A hit over HTTP, against a prebuilt response of the same router, on real sockets: the server in one process, the load
 * generator in another.
 */
import { check, type Settings } from "../fixtures.ts"
import { type Subject, subjects } from "../http/app.ts"
import { ask, type Done, type Load, type ServerState, start } from "../http/messages.ts"
import { distribution, paired, ratio } from "../paired.ts"
import { cells, goal, type Report, row, times, whole } from "../report.ts"

export const run = async ({ quick }: Settings): Promise<Report> => {
  const server = start("./server.ts")
  const load = start("./load.ts")
  try {
    const { barePort, port } = await ask<ServerState>(server, "state")
    const cpu: Record<string, Array<number>> = {}
    const sample = (subject: Subject | "bare") => async (): Promise<number> => {
      const before = await ask<ServerState>(server, "state")
      const done = await ask<Done>(
        load,
        {
          port: subject === "bare" ? barePort : port,
          subject,
          connections: 32,
          pipelined: 1,
          millis: quick ? 120 : 300
        } satisfies Load
      )
      const after = await ask<ServerState>(server, "state")
      ;(cpu[subject] ??= []).push((after.cpu - before.cpu) / done.requests)
      return done.requests / done.millis * 1000
    }
    const warmups = quick ? 3 : 8
    const samples = await paired(
      Object.fromEntries([...subjects, "bare" as const].map((subject) => [subject, sample(subject)])),
      { rounds: quick ? 20 : 80, warmups, millis: quick ? 9000 : 240_000 }
    )
    const response = await fetch(`http://127.0.0.1:${port}/cached/7`)
    check(response.headers.get("cache-status") === "effect-cached; hit", "what is measured has to be a hit")

    const hit = ratio(samples, "hit", "prebuilt")
    return {
      tables: [{
        title: "Requests per second over HTTP, 1 KB JSON, 32 connections, and the server's CPU time per request",
        columns: ["route", "requests/s", "quartiles", "of prebuilt", "quartiles", "CPU µs", "of bare node:http"],
        rows: [...subjects, "bare"].map((name) =>
          row(
            name === "bare" ? "bare node:http" : name,
            cells(distribution(samples[name]!), whole),
            cells(ratio(samples, name, "prebuilt"), times),
            distribution(cpu[name]!.slice(warmups)).median.toFixed(1),
            times(ratio(samples, name, "bare").median)
          )
        )
      }],
      goals: [
        goal("hit over HTTP, of a prebuilt response's requests per second: at least 0.90", hit, { atLeast: 0.9 }),
        goal("hit over HTTP, of a prebuilt response's requests per second: goal 0.97", hit, { atLeast: 0.97 })
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
