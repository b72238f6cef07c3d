/**
 * The sections, in the order in which they run.
 */
import type { Settings } from "./fixtures.ts"
import type { Report } from "./report.ts"

interface Section {
  readonly title: string
  readonly load: () => Promise<{ readonly run: (settings: Settings) => Promise<Report> }>
}

export const sections: Readonly<Record<string, Section>> = {
  http: { title: "A hit over HTTP", load: () => import("./sections/http.ts") },
  inProcess: { title: "A hit through the router, in process", load: () => import("./sections/inProcess.ts") },
  httpHit: { title: "The headers of a hit", load: () => import("./sections/httpHit.ts") },
  httpMiss: { title: "A miss over HTTP", load: () => import("./sections/httpMiss.ts") },
  httpApi: { title: "A hit of an HttpApi, and of a shared cache", load: () => import("./sections/httpApi.ts") },
  fiberHit: { title: "A hit in a running fiber", load: () => import("./sections/fiberHit.ts") },
  tags: { title: "A hit, by tags", load: () => import("./sections/tags.ts") },
  invalidate: { title: "Invalidation, by entries", load: () => import("./sections/invalidate.ts") },
  stampede: { title: "A cold key that everyone asks for", load: () => import("./sections/stampede.ts") },
  miss: { title: "A miss", load: () => import("./sections/miss.ts") },
  precompute: { title: "Precomputing a domain", load: () => import("./sections/precompute.ts") },
  jsonFile: { title: "A store in one JSON file", load: () => import("./sections/jsonFile.ts") },
  redisHit: { title: "A hit from Redis", load: () => import("./sections/redisHit.ts") },
  redisStrong: { title: "Strong consistency", load: () => import("./sections/redisStrong.ts") },
  redisPropagation: {
    title: "An invalidation on its way to other processes",
    load: () => import("./sections/redisPropagation.ts")
  },
  redisStampede: {
    title: "A cold key that everyone asks for, in several processes",
    load: () => import("./sections/redisStampede.ts")
  },
  redisAppend: { title: "Invalidation over Redis, by entries", load: () => import("./sections/redisAppend.ts") },
  memory: { title: "Memory", load: () => import("./sections/memory.ts") },
  parts: { title: "Building blocks", load: () => import("./sections/parts.ts") }
}
