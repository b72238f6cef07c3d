/**
 * The sections, in the order in which they run.
 */
import type { Settings } from "./fixtures.ts"
import type { Described } from "./page.ts"
import type { Report } from "./report.ts"

export interface Section extends Described {
  /** The module that measures it. */
  readonly file: string
  /** Which runs leave it out unless it is asked for by its name, and why. */
  readonly leftOut?: { readonly of: "quick" | "all"; readonly because: string }
}

/** Measures a section in this process. */
export const load = async ({ file }: Section): Promise<(settings: Settings) => Promise<Report>> => {
  // Not a literal: the peers are checked by a project of their own, where they are installed.
  const { run } = await import(new URL(file, import.meta.url).href) as {
    readonly run: (settings: Settings) => Promise<Report>
  }
  return run
}

const slow = { of: "quick", because: "it needs more time than a quick run has" } as const
const similar = { of: "quick", because: "the sections with peers measure nearly the same" } as const
const long = { of: "all", because: "it takes minutes" } as const

export const sections: Readonly<Record<string, Section>> = {
  peersHit: {
    kind: "peers",
    title: "A hot hit in memory",
    about:
      "A key that is cached is asked for again and again: a small value, an object of 1 KB, 100 small objects. Those that " +
      "keep JSON parse it for each hit; those that hand out the object they keep do nothing at all, and a caller who changes " +
      "it has changed it for everyone. This library hands out one object that is frozen.",
    front: "Hot hit: 1 KB, one key",
    file: "peers/hit.ts"
  },
  peersMiss: {
    kind: "peers",
    title: "A miss with a free computation",
    about:
      "Every key is asked for once, and computing it costs nothing. All that is left is what the cache itself does.",
    file: "peers/miss.ts"
  },
  peersStampede: {
    kind: "peers",
    title: "A cold key that everyone asks for",
    about:
      "1 000 and 10 000 callers ask for one key at once that nobody has. How often it is computed, and how long all of " +
      "them wait beyond the computation.",
    file: "peers/stampede.ts"
  },
  peersTags: {
    kind: "peers",
    title: "Invalidating a tag, and the next read",
    about:
      "A tag ends with 100, 10 000 and 100 000 entries under it. Some caches do the work then, others at the next read, so " +
      "both are measured.",
    file: "peers/tags.ts"
  },
  peersChurn: {
    kind: "peers",
    title: "Reads while something else is invalidated",
    about: "Hits, while 100 invalidations per second arrive that have nothing to do with what is read.",
    file: "peers/churn.ts"
  },
  peersMemory: {
    kind: "peers",
    title: "Memory per entry",
    about: "What the heap holds after a collection, with the entries less without them, divided by their number.",
    file: "peers/memory.ts"
  },
  peersRedisHit: {
    kind: "peers",
    title: "A hit from Redis",
    about: "Nothing is kept in memory: every hit asks Redis. 1, 10 and 100 KB, one caller and 64 at once.",
    file: "peers/redisHit.ts"
  },
  peersTiered: {
    kind: "peers",
    title: "A hit in memory over Redis",
    about:
      "Two tiers, as many processes use them: entries are in Redis, and in the memory of those that have read them.",
    file: "peers/redisTiered.ts"
  },
  peersRedisTags: {
    kind: "peers",
    title: "Invalidating a tag over Redis, and the next read",
    about: "The same as in memory, with the entries in Redis.",
    file: "peers/redisTags.ts"
  },
  peersRedisStampede: {
    kind: "peers",
    title: "A cold key over Redis",
    about: "Many callers ask for a key at once that is not in Redis either.",
    file: "peers/redisStampede.ts"
  },
  peersHttp: {
    kind: "peers",
    title: "A route that is a hit, over HTTP",
    about:
      "1 KB of JSON over real sockets: the same route cached by this library, by fastify and by hono with their usual caches, " +
      "and without a cache at all.",
    file: "peers/http.ts"
  },
  openLoop: {
    kind: "peers",
    title: "HTTP at a fixed rate of arrivals",
    about:
      "Requests arrive at times that are fixed beforehand, whether the server keeps up or not, and a latency counts from the moment " +
      "at which a request was meant to be sent.",
    file: "peers/openLoop.ts"
  },
  zooCache: {
    kind: "peers",
    title: "The table of ZooCache",
    about:
      "ZooCache is a cache for Python with a core in Rust, and has the same idea of tags. Its published work, done by this library " +
      "in JavaScript. Its own figures are of another machine, so they are no ratio of one run.",
    file: "peers/zooCache.ts"
  },
  http: {
    kind: "own",
    title: "A hit over HTTP",
    about: "A cached route against routes of the same router that return a response made beforehand.",
    file: "sections/http.ts",
    leftOut: similar
  },
  inProcess: {
    kind: "own",
    title: "A hit through the router, in process",
    about: "The same routes without sockets.",
    file: "sections/inProcess.ts",
    leftOut: similar
  },
  httpHit: {
    kind: "own",
    title: "The headers of a hit",
    about: "What ETag, Vary and the others cost, and a response that is cached whole.",
    file: "sections/httpHit.ts",
    leftOut: slow
  },
  httpMiss: {
    kind: "own",
    title: "A miss over HTTP",
    about: "What a miss adds to a handler that makes the same value and encodes it by the same schema.",
    file: "sections/httpMiss.ts",
    leftOut: slow
  },
  httpApi: {
    kind: "own",
    title: "A hit of an HttpApi, and of a shared cache",
    about:
      "Cached endpoints against the same endpoint without a cache; `HttpCached.rfc9111` against the handler behind it.",
    file: "sections/httpApi.ts",
    leftOut: slow
  },
  fiberHit: {
    kind: "own",
    title: "A hit in a running fiber",
    about: "A cached function with three tags, against `Cache.get` of effect.",
    file: "sections/fiberHit.ts"
  },
  tags: {
    kind: "own",
    title: "A hit, by tags",
    about: "Entries with 1 to 10 000 tags, in an unchanged world and after invalidations of other tags.",
    file: "sections/tags.ts"
  },
  invalidate: {
    kind: "own",
    title: "Invalidation, by entries",
    about: "One tag, carried by 100 to 1 000 000 entries.",
    file: "sections/invalidate.ts",
    leftOut: slow
  },
  stampede: {
    kind: "own",
    title: "Many callers of a cold key, against Cache of effect",
    about: "10 000 callers, with the times of both in turns.",
    file: "sections/stampede.ts",
    leftOut: similar
  },
  miss: {
    kind: "own",
    title: "A miss, against Cache of effect",
    about: "As it is, and with a computation that encodes and decodes its result, as a cached function does.",
    file: "sections/miss.ts",
    leftOut: similar
  },
  precompute: {
    kind: "own",
    title: "Precomputing a domain",
    about: "What a run adds to the calls that it makes, and what it holds in memory.",
    file: "sections/precompute.ts",
    leftOut: long
  },
  jsonFile: {
    kind: "own",
    title: "A store in one JSON file",
    about: "Precomputing into it, what it writes for each byte kept, and opening it.",
    file: "sections/jsonFile.ts",
    leftOut: long
  },
  redisHit: {
    kind: "own",
    title: "A hit from Redis, against getBuffer",
    about: "The store and a cached function, against the bytes alone.",
    file: "sections/redisHit.ts",
    leftOut: slow
  },
  redisStrong: {
    kind: "own",
    title: "Strong consistency",
    about: "A hit that asks the log first.",
    file: "sections/redisStrong.ts",
    leftOut: slow
  },
  redisPropagation: {
    kind: "own",
    title: "An invalidation on its way to other processes",
    about: "From `invalidate` in one process until each other has been told, against PUBLISH of Redis.",
    file: "sections/redisPropagation.ts",
    leftOut: slow
  },
  redisStampede: {
    kind: "own",
    title: "A cold key that everyone asks for, in several processes",
    about: "Four processes behind one Redis, 250 callers in each.",
    file: "sections/redisStampede.ts",
    leftOut: similar
  },
  redisAppend: {
    kind: "own",
    title: "Invalidation over Redis, by entries",
    about: "One tag, with 100 to 1 000 000 entries in Redis.",
    file: "sections/redisAppend.ts",
    leftOut: slow
  },
  memory: {
    kind: "own",
    title: "Memory, by tags",
    about: "Bytes per entry and per tag, against effect's `Cache` with the same values.",
    file: "sections/memory.ts",
    leftOut: slow
  },
  parts: {
    kind: "own",
    title: "Building blocks",
    about: "Making tags, encoding and decoding entries: orders of magnitude.",
    file: "sections/parts.ts",
    leftOut: slow
  }
}
