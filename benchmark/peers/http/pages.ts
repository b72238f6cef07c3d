/**
 * What all candidates serve: pages of about 1 KB of JSON, which have versions.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { type Article, article } from "../../fixtures.ts"
import type { Computations } from "./messages.ts"

export interface Page extends Article {
  /** Comes first in JSON, where the load generator looks for it. */
  readonly version: number
}

export const page = (id: number, version: number): Page => ({ version, ...article(id) })

/** What a prebuilt response has. */
export const prebuiltText = JSON.stringify(page(7, 0))

export const pageTag = (id: number | string): string => `page:${id}`

/** The tags of a page: two that are its own, and one that all pages have. */
export const pageTags = (id: number | string): ReadonlyArray<string> => [pageTag(id), "pages", `author:${id}`]

/** fastify's, in milliseconds, so that all servers keep connections alike. */
export const keepAliveTimeout = 72_000

/** What a slow computation waits, in milliseconds. */
export const waits = 20

/** The pages of each candidate of one server, and how often they were computed. */
export interface Pages {
  readonly computed: Readonly<Record<string, number>>
  /** Computes a page. A slow computation reads the version half way, as a query does at a time that nobody knows. */
  readonly find: (candidate: string, id: number) => Promise<Page>
  /** Changes a page, and returns its new version. */
  readonly change: (candidate: string, id: number) => number
}

export const makePages = (computations: Computations): Pages => {
  const computed: Record<string, number> = {}
  const versions = new Map<string, number>()
  const read = (candidate: string, id: number): Page => {
    computed[candidate] = (computed[candidate] ?? 0) + 1
    return page(id, versions.get(`${candidate}/${id}`) ?? 0)
  }
  return {
    computed,
    find: async (candidate, id) => {
      if (computations === "free") return read(candidate, id)
      await sleep(waits / 2)
      const found = read(candidate, id)
      work()
      await sleep(waits / 2)
      return found
    },
    change: (candidate, id) => {
      const version = (versions.get(`${candidate}/${id}`) ?? 0) + 1
      versions.set(`${candidate}/${id}`, version)
      return version
    }
  }
}

// About a tenth of a millisecond: rows that are read and written.
const work = (): void => {
  const rows = Array.from({ length: 12 }, (_, id) => article(id))
  JSON.parse(JSON.stringify(rows))
}
