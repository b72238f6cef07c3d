/**
 * What the sections about HTTP and the servers of the candidates tell each other.
 */
import { difference, type Guarantees } from "../compare.ts"

/** A server process. Each framework has one of its own, so that none meets the heap and the compiled code of another. */
export type Framework = "node" | "effect" | "fastify" | "hono"

/** The argument of a server process: whether its computations take time. */
export type Computations = "free" | "slow"

/** Where a server listens, its CPU time so far, in microseconds, and how often each of its candidates has computed. */
export interface ServerState {
  readonly port: number
  readonly cpu: number
  readonly computed: Readonly<Record<string, number>>
}

/** What a generator of load is asked to do. It keeps its connections for the next time. */
export type Load = ClosedLoad | OpenLoad

/** As many requests as the server answers: each connection sends the next one when it has an answer. */
export interface ClosedLoad {
  readonly kind: "closed"
  readonly port: number
  /** Sent in turns. */
  readonly paths: ReadonlyArray<string>
  readonly connections: number
  readonly millis: number
  /** How many requests there are even if that takes longer. */
  readonly atLeast?: number | undefined
}

export interface ClosedDone {
  readonly requests: number
  /** Until the last one was answered. */
  readonly millis: number
  /** Milliseconds. */
  readonly p99: number
}

/** Requests at times that were laid down before, whatever the server does: `schedule.ts`. */
export interface OpenLoad {
  readonly kind: "open"
  readonly port: number
  readonly path: string
  readonly seed: number
  /** Requests and changes per second. */
  readonly rate: number
  readonly changes: number
  readonly keys: number
  readonly millis: number
}

export interface OpenDone {
  /** Milliseconds from the time at which a request should have been sent. */
  readonly latencies: ReadonlyArray<number>
  /** By how many milliseconds the generator sent its requests too late. */
  readonly late: ReadonlyArray<number>
  /** How many requests and changes were answered with a failure, or not at all. */
  readonly failures: number
  readonly changes: number
  /** How many responses were older than a change that was acknowledged before their request was sent. */
  readonly stale: number
}

/** A way to answer `GET /<path>/<id>`, and, if it can be told of a change, `PUT /<path>/<id>`. */
export interface Candidate {
  readonly name: string
  readonly framework: Framework
  readonly path: string
  readonly kind: "own" | "peer" | "control"
  /** What it guarantees for this work. Of `typed` nothing is told: what goes over HTTP is JSON for everybody. */
  readonly gives: Guarantees
  /** It answers with an ETag and a request that has it with 304. */
  readonly etag: boolean
  /** What else makes the comparison unequal. */
  readonly differs: string
}

const nothing: Guarantees = { singleFlight: false, tags: false, copies: true, typed: true }

const control = (name: string, framework: Framework, path: string, differs: string): Candidate => ({
  name,
  framework,
  path,
  kind: "control",
  gives: nothing,
  etag: false,
  differs
})

/** All there are, by a short name. */
export const candidates = {
  bare: control("node:http, prebuilt buffer", "node", "prebuilt", "no router, no cache"),
  prebuilt: control("effect router, prebuilt response", "effect", "prebuilt", "no cache"),
  again: control("effect router, prebuilt, again", "effect", "again", "no cache; the control against itself"),
  sameHeaders: control(
    "effect router, prebuilt, headers of a hit",
    "effect",
    "headers",
    "no cache; the four headers that a hit adds"
  ),
  uncached: control("effect router, no cache", "effect", "uncached", "computes for each request"),
  route: {
    name: "effect-cached, Cached.route",
    framework: "effect",
    path: "route",
    kind: "own",
    gives: { singleFlight: true, tags: true, copies: true, typed: true },
    etag: true,
    differs: "Cache-Control, Age, Cache-Status"
  },
  whole: {
    name: "effect-cached, cached(handler, deps)",
    framework: "effect",
    path: "whole",
    kind: "own",
    gives: { singleFlight: true, tags: true, copies: true, typed: true },
    etag: true,
    differs: "Cache-Control, Age, Cache-Status"
  },
  fastify: control("fastify, prebuilt buffer", "fastify", "prebuilt", "no cache"),
  fastifyCaching: {
    name: "fastify, @fastify/caching",
    framework: "fastify",
    path: "caching",
    kind: "peer",
    gives: { singleFlight: false, tags: false, copies: true, typed: true },
    etag: true,
    differs: "Cache-Control; encodes the value for each request, by a compiled schema"
  },
  fastifyDedupe: {
    name: "fastify, async-cache-dedupe",
    framework: "fastify",
    path: "dedupe",
    kind: "peer",
    gives: { singleFlight: true, tags: true, copies: false, typed: true },
    etag: false,
    differs: "encodes the value for each request, by a compiled schema"
  },
  fastifyDedupeText: {
    name: "fastify, async-cache-dedupe, of text",
    framework: "fastify",
    path: "dedupe-text",
    kind: "peer",
    gives: { singleFlight: true, tags: true, copies: true, typed: true },
    etag: false,
    differs: "the program keeps JSON in place of the value"
  },
  hono: control("hono, prebuilt text", "hono", "prebuilt", "no cache"),
  honoCache: {
    name: "hono, hono/cache",
    framework: "hono",
    path: "hono-cache",
    kind: "peer",
    gives: { singleFlight: false, tags: false, copies: true, typed: true },
    etag: false,
    differs: "caches nothing on node, which has no Cache API: computes for each request"
  },
  honoOcache: {
    name: "hono, ocache",
    framework: "hono",
    path: "ocache",
    kind: "peer",
    gives: { singleFlight: true, tags: false, copies: true, typed: true },
    etag: true,
    differs: "Cache-Control"
  },
  honoCacheManager: {
    name: "hono, cache-manager",
    framework: "hono",
    path: "cache-manager",
    kind: "peer",
    gives: { singleFlight: true, tags: false, copies: true, typed: true },
    etag: false,
    differs: "copies and encodes the value for each request"
  }
} as const satisfies Readonly<Record<string, Candidate>>

/** What the tables say about a candidate. */
export const differs = ({ differs, etag, gives, kind, name }: Candidate): string =>
  difference({
    name,
    control: kind === "control",
    gives,
    differs: [differs, ...(etag || kind === "control" ? [] : ["no ETag"])].join("; ")
  })
