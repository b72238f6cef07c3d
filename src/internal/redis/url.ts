/**
 * The address of a Redis server, from a URL.
 */
import * as Effect from "effect/Effect"
import type * as CacheError from "../../CacheError.ts"
import { definitionError } from "../errors.ts"

/** What a URL says. The names are those of the options of ioredis. */
export interface Address {
  readonly host?: string
  readonly port?: number
  readonly path?: string
  readonly username?: string
  readonly password?: string
  readonly db?: number
  readonly tls?: {}
}

/**
 * Reads `redis://user:password@host:port/database`, `rediss://` for TLS, and `unix:///path?db=1` or a plain path for a socket.
 * Fails with a `CacheError` of reason `DefinitionError`, whose message has nothing of the URL in it: it may be the password,
 * also where it does not look so.
 */
export const parseUrl = (where: string, text: string): Effect.Effect<Address, CacheError.CacheError> => {
  const read = text.startsWith("/") ? readUrl(`unix://${text}`) : readUrl(text)
  return typeof read === "string" ? Effect.fail(definitionError(where, read)) : Effect.succeed(read)
}

// An address, or what is wrong.
const readUrl = (text: string): Address | string => {
  const scheme = schemes.find((scheme) => text.startsWith(scheme))
  if (scheme === undefined) return "it has to start with redis://, rediss://, unix:// or /"
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.hash !== "") {
    return "it is not a URL. In a user name and a password, characters such as # / ? @ are written with a percent sign (%23)"
  }
  const username = decode(url.username)
  const password = decode(url.password)
  if (username === undefined || password === undefined) {
    return "a percent sign in it is followed by something else than a byte"
  }
  const query = [...url.searchParams]
  if (query.some(([name]) => name !== "db") || query.length > 1) {
    return "its query may have a database, as ?db=1, and nothing else"
  }
  const [, database] = query[0] ?? []
  if (scheme === "unix://") {
    const path = decode(url.pathname)
    if (url.host !== "" || path === undefined || path === "/" || path === "") {
      return "it has to have the path of a socket"
    }
    return withDatabase({ path }, database ?? "")
  }
  if (url.hostname === "") return "it has no host"
  if (url.port === "0") return "its port is 0"
  const inPath = url.pathname.slice(1)
  if (inPath !== "" && database !== undefined) return "it names the database twice"
  return withDatabase({
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 6379 : Number(url.port),
    ...(username !== "" && { username }),
    ...(password !== "" && { password }),
    ...(scheme === "rediss://" && { tls: {} })
  }, database ?? inPath)
}

const schemes = ["redis://", "rediss://", "unix://"]

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const withDatabase = (address: Address, database: string): Address | string => {
  if (database === "") return address
  return /^\d{1,6}$/.test(database) ? { ...address, db: Number(database) } : "its database is not a number"
}
