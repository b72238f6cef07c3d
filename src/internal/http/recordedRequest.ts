/**
 * A request that records what a handler reads of it.
 *
 * Invariant: a handler that was given the recorded services and did not touch anything `unshareable` computed its
 * response from the recorded parts of the request only.
 */
import type * as HttpServerRequest from "effect/http/HttpServerRequest"

/** What was read: `header:accept`, `cookie:theme`, `query:page`, or `url` for all of the query at once. */
export interface Recording {
  readonly parts: Set<string>
  /** Something was read that no key can hold: the body, the peer, all headers at once. */
  unshareable: boolean
}

type Search = Readonly<Record<string, string | ReadonlyArray<string>>>

export const makeRecording = (): Recording => ({ parts: new Set(), unshareable: false })

export const recordedRequest = (
  request: HttpServerRequest.HttpServerRequest,
  recording: Recording
): HttpServerRequest.HttpServerRequest =>
  new Proxy(request, {
    get: (target, property) => {
      if (typeof property === "symbol" || property.startsWith("~")) return Reflect.get(target, property, target)
      switch (property) {
        case "headers":
          return recordedRecord(target.headers, "header:", recording)
        case "cookies":
          return recordedRecord(target.cookies, "cookie:", recording)
        case "url":
        case "originalUrl":
          recording.parts.add("url")
          return target[property]
        case "method":
          // HEAD is answered from the entry of GET.
          return target.method === "HEAD" ? "GET" : target.method
        default: {
          recording.unshareable = true
          const value: unknown = Reflect.get(target, property, target)
          return typeof value === "function" ? value.bind(target) : value
        }
      }
    },
    getOwnPropertyDescriptor: (target, property) => {
      recording.unshareable = true
      return Reflect.getOwnPropertyDescriptor(target, property)
    },
    ownKeys: (target) => {
      recording.unshareable = true
      return Reflect.ownKeys(target)
    }
  })

// By these effect knows its records of headers. No header has such a name: it holds no `/` (RFC 9110, section 5.1). Cookies and
// parameters may, and effect knows their records by nothing.
const isTypeId = (prefix: string, property: string): boolean => prefix === "header:" && property.startsWith("~effect/")

/** A record of which each property that is read or asked for is a part of the recording. */
export const recordedRecord = <A extends object>(record: A, prefix: string, recording: Recording): A => {
  const note = (property: string | symbol) => {
    if (typeof property === "string" && !isTypeId(prefix, property)) recording.parts.add(prefix + property)
  }
  return new Proxy(record, {
    get: (target, property) => {
      note(property)
      return Reflect.get(target, property, target)
    },
    has: (target, property) => {
      note(property)
      return Reflect.has(target, property)
    },
    getOwnPropertyDescriptor: (target, property) => {
      note(property)
      return Reflect.getOwnPropertyDescriptor(target, property)
    },
    ownKeys: (target) => {
      recording.unshareable = true
      return Reflect.ownKeys(target)
    }
  })
}

/** The value of a recorded part in a request. */
export const partOf = (
  part: string,
  request: HttpServerRequest.HttpServerRequest,
  search: Search
): string | ReadonlyArray<string> | undefined => {
  // Middleware may have rewritten the URL.
  if (part === "url") return [request.originalUrl, request.url]
  const colon = part.indexOf(":")
  const name = part.slice(colon + 1)
  switch (part.slice(0, colon)) {
    case "header":
      return own(request.headers, name)
    case "cookie":
      return own(request.cookies, name)
    default:
      return own(search, name)
  }
}

/** Whether a text can be the name of a part. */
export const isPart = (text: string): boolean => text === "url" || /^(?:header|cookie|query):/.test(text)

const own = <A>(record: Readonly<Record<string, A>>, name: string): A | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined
