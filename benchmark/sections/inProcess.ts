/**
 * The same routes in process: node's request and response objects, but no socket between them and a client.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Exit, Scope } from "effect"
import { HttpClientRequest, HttpEffect, HttpRouter, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import { setImmediate as immediate } from "node:timers/promises"
import { check, type Settings } from "../fixtures.ts"
import { ids, paths, routes, type Subject, subjects } from "../http/app.ts"
import { distribution, paired, ratio } from "../paired.ts"
import { cells, figure, goal, type Report, row, time, times } from "../report.ts"

// Made beforehand: node's server parses them for every request, whoever reads them, to look for `Host`.
const headers = {
  host: "127.0.0.1:3000",
  "user-agent": "benchmark",
  accept: "application/json",
  "accept-encoding": "identity"
}

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const scope = Scope.makeUnsafe()
  const router = await Effect.runPromise(Effect.provideService(HttpRouter.toHttpEffect(routes), Scope.Scope, scope))
  const handler = await Effect.runPromise(NodeHttpServer.makeHandler(router, { scope }))

  // Nothing is read from it or written to it.
  const socket = new Socket()
  const requestOf = (url: string) => {
    const request = new IncomingMessage(socket)
    request.method = "GET"
    request.url = url
    request.httpVersion = "1.1"
    request.httpVersionMajor = 1
    request.httpVersionMinor = 1
    request.headers = headers
    return request
  }
  const throughNode = (url: string): ServerResponse => {
    const request = requestOf(url)
    const response = new ServerResponse(request)
    handler(request, response)
    return response
  }
  for (const subject of subjects) {
    for (let id = 0; id < ids; id++) throughNode(paths[subject](id))
    const response = throughNode(paths[subject](7))
    check(response.writableEnded && response.statusCode === 200, `${subject} has to answer at once`)
  }

  // The router alone: from a request to a response, on requests that cost nothing to make or to read.
  let last: HttpServerResponse.HttpServerResponse | undefined
  const handled = HttpEffect.toHandled(router, (_, response) => {
    last = response
    return Exit.void
  })
  const requests = Object.fromEntries(
    subjects.map((subject) => [
      subject,
      Array.from(
        { length: ids },
        (_, id) => HttpServerRequest.fromClientRequest(HttpClientRequest.get(paths[subject](id)))
      )
    ])
  )
  const throughRouter = (subject: Subject, id: number): void => {
    const context = Context.make(HttpServerRequest.HttpServerRequest, requests[subject]![id]!)
    const fiber = Effect.runForkWith(context)(handled)
    check(fiber.pollUnsafe()?._tag === "Success", "the router has to answer at once")
  }

  throughRouter("hit", 7)
  check(last?.headers["cache-status"] === "effect-cached; hit", "what is measured has to be a hit")

  const count = smoke ? 64 : quick ? 1000 : 5000
  // A server goes back to its event loop between requests, where what is done with is let go of.
  const sample = (operation: (index: number) => void) => async () => {
    const start = performance.now()
    for (let index = 0; index < count; index++) {
      operation(index)
      // oxlint-disable-next-line no-await-in-loop -- the loop of a server
      if (index % 32 === 31) await immediate()
    }
    return (performance.now() - start) * 1e6 / count
  }
  const urls = Object.fromEntries(
    subjects.map((subject) => [subject, Array.from({ length: ids }, (_, id) => paths[subject](id))])
  )
  const options = { rounds: quick ? 40 : 80, warmups: 8, millis: quick ? 1500 : 5000 }
  const node = await paired(
    Object.fromEntries(
      subjects.map((subject) => [subject, sample((index) => void throughNode(urls[subject]![index % ids]!))])
    ),
    options
  )
  const alone = await paired(
    Object.fromEntries(subjects.map((subject) => [subject, sample((index) => throughRouter(subject, index % ids))])),
    options
  )
  await Effect.runPromise(Scope.close(scope, Exit.void))

  const table = (title: string, samples: typeof node) => ({
    title,
    columns: ["route", "median", "quartiles", "speed of prebuilt's", "quartiles"],
    rows: subjects.map((subject) =>
      row(
        subject,
        cells(distribution(samples[subject]!), time),
        cells(ratio(samples, "prebuilt", subject), times)
      )
    )
  })
  return {
    tables: [
      table("Through node's request and response objects and the router, without sockets", node),
      table("Through the router alone, the response is thrown away", alone)
    ],
    goals: [
      goal("hit in process, of a prebuilt response's speed: at least 0.90", ratio(node, "prebuilt", "hit"), {
        atLeast: 0.9
      }),
      goal(
        "hit in process, of the speed of a prebuilt response with the same headers: at least 0.90",
        ratio(node, "prebuilt, with the headers of a hit", "hit"),
        { atLeast: 0.9 }
      )
    ],
    figures: [
      figure("Through node's objects and the router", node, (name) => name === "hit" ? "own" : "control"),
      figure("Through the router alone", alone, (name) => name === "hit" ? "own" : "control")
    ],
    notes: []
  }
}
