/**
 * A request that records what a handler reads of it.
 *
 * Invariant: a handler that was given the recorded services and did not touch anything `unshareable` computed its
 * response from the recorded parts of the request only.
 */
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import { NodeInspectSymbol } from "effect/Inspectable"

/**
 * What was read: `header:accept`, `cookie:theme`, `query:page`, `protocol`, or `url` for all of the query at once. Of what is unshareable
 * these are the parts that were read before it turned out to be.
 */
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
  recorded(request, recording, {
    get: (property) => {
      if (typeof property === "symbol" || property.startsWith("~")) return Reflect.get(request, property, request)
      switch (property) {
        case "headers":
          return recordedRecord(request.headers, "header:", recording)
        case "cookies":
          return recordedRecord(request.cookies, "cookie:", recording)
        case "url":
        case "originalUrl":
          note(recording, "url")
          return request[property]
        case "protocol":
          note(recording, "protocol")
          return request.protocol
        case "method":
          // HEAD is answered from the entry of GET.
          return request.method === "HEAD" ? "GET" : request.method
        default: {
          recording.unshareable = true
          const value: unknown = Reflect.get(request, property, request)
          return typeof value === "function" ? value.bind(request) : value
        }
      }
    },
    // Whether a request has a property says nothing of who sent it.
    asked: () => {},
    described: () => {
      recording.unshareable = true
    }
  })

// What is read after something that no key can hold does not matter any more.
const note = (recording: Recording, part: string): void => {
  if (!recording.unshareable) recording.parts.add(part)
}

// By these effect knows its records of headers. No header has such a name: it holds no `/` (RFC 9110, section 5.1). Cookies and
// parameters may, and effect knows their records by nothing.
const isTypeId = (prefix: string, property: string): boolean => prefix === "header:" && property.startsWith("~effect/")

/** A record of which each property that is read or asked for is a part of the recording. */
export const recordedRecord = <A extends object>(record: A, prefix: string, recording: Recording): A => {
  const asked = (property: string | symbol) => {
    if (typeof property === "string" && !isTypeId(prefix, property)) note(recording, prefix + property)
  }
  return recorded(record, recording, {
    get: (property) => {
      asked(property)
      const value: unknown = Reflect.get(record, property, record)
      // A copy: the key is made of the values after the handler ran.
      return Array.isArray(value) ? value.slice() : value
    },
    asked,
    described: asked
  })
}

interface Reading {
  readonly get: (property: string | symbol) => unknown
  readonly asked: (property: string | symbol) => void
  readonly described: (property: string | symbol) => void
}

// Stands for an object. The target of the proxy is another one: Node inspects the target of a proxy and asks no trap. What it
// shows then is the object, and that is all of it. Whoever changes the object has something else than what was sent.
const recorded = <A extends object>(object: A, recording: Recording, { asked, described, get }: Reading): A => {
  const unshareable = (): A => {
    recording.unshareable = true
    return object
  }
  const target = Object.create(Reflect.getPrototypeOf(object), {
    [NodeInspectSymbol]: { value: unshareable, configurable: true }
  }) as A
  return new Proxy(target, {
    get: (_, property) => get(property),
    has: (_, property) => {
      asked(property)
      return Reflect.has(object, property)
    },
    getOwnPropertyDescriptor: (_, property) => {
      described(property)
      const descriptor = Reflect.getOwnPropertyDescriptor(object, property)
      // What the target does not have, a proxy may only describe as something that can be changed.
      return descriptor === undefined ? undefined : { ...descriptor, configurable: true }
    },
    ownKeys: () => Reflect.ownKeys(unshareable()),
    set: (_, property, value) => Reflect.set(unshareable(), property, value),
    defineProperty: (_, property, descriptor) => Reflect.defineProperty(unshareable(), property, descriptor),
    deleteProperty: (_, property) => Reflect.deleteProperty(unshareable(), property)
  })
}

/** Reads a recorded part of a request. */
export type Reader = (
  request: HttpServerRequest.HttpServerRequest,
  search: Search
) => string | ReadonlyArray<string> | undefined

/** What reads a recorded part: its name is taken apart once, not for every request. */
export const readerOf = (part: string): Reader => {
  // Middleware may have rewritten the URL.
  if (part === "url") return (request) => [request.originalUrl, request.url]
  if (part === "protocol") return (request) => request.protocol
  const colon = part.indexOf(":")
  const name = part.slice(colon + 1)
  switch (part.slice(0, colon)) {
    case "header":
      return ({ headers }) => own(headers, name)
    case "cookie":
      return ({ cookies }) => own(cookies, name)
    default:
      return (_, search) => own(search, name)
  }
}

/** Whether a text can be the name of a part. */
export const isPart = (text: string): boolean =>
  text === "url" || text === "protocol" || /^(?:header|cookie|query):/.test(text)

const own = <A>(record: Readonly<Record<string, A>>, name: string): A | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined
