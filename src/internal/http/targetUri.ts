/**
 * The URI that a request is for (RFC 9110, section 7.1), and those that it may change.
 */
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"

type Request = HttpServerRequest.HttpServerRequest

/**
 * Whether the `Host` of a request can be an authority without user (RFC 9110, section 7.2). Anything else could be the beginning
 * of another URI.
 */
export const hasHost = ({ host }: Request["headers"]): boolean =>
  host === undefined || /^[\w.~!$&'()*+,;=%:[\]-]+$/.test(host)

/**
 * The target URI of a request: scheme and authority in lower case and without a default port, path and query as they came, since
 * that is what the handler sees.
 */
export const targetUri = ({ headers, originalUrl, protocol }: Request): string => {
  const absolute = absoluteForm.exec(originalUrl)
  const scheme = protocol ?? absolute?.[1]!.toLowerCase() ?? "http"
  const authority = (headers["host"] ?? absolute?.[2] ?? "localhost").toLowerCase()
  const path = absolute === null ? originalUrl : originalUrl.slice(absolute[0].length)
  return `${scheme}://${withoutDefaultPort(scheme, authority)}${path.startsWith("/") ? "" : "/"}${path}`
}

/**
 * What a handler sees besides the target URI, and empty where that says it: an authority in the request-target that is not that of
 * `Host` (RFC 9112, section 3.2.2), and a URL that was rewritten. One from which a router has cut the front was not.
 */
export const besideUri = ({ headers, originalUrl, protocol, url }: Request): string => {
  const [, scheme = "", authority] = absoluteForm.exec(originalUrl) ?? []
  const written = scheme.toLowerCase()
  const other = authority === undefined ? "" : withoutDefaultPort(written, authority.toLowerCase())
  const host = withoutDefaultPort(protocol ?? written, (headers["host"] ?? other).toLowerCase())
  const isRewritten = !originalUrl.endsWith(url)
  return other === "" || other === host ? isRewritten ? `\t${url}` : "" : `${other}\t${isRewritten ? url : ""}`
}

// Over HTTP/2 it is the client that says the scheme.
const absoluteForm = /^([a-z][a-z\d+.-]*):\/\/([^/?#]*)/i

const withoutDefaultPort = (scheme: string, authority: string): string => {
  const port = scheme === "https" ? ":443" : ":80"
  return authority.endsWith(port) ? authority.slice(0, -port.length) : authority
}

// The methods that are registered as safe (RFC 9110, section 16.1), but for PRI. Of others nobody knows.
const safe = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "REPORT", "SEARCH"])

/**
 * The URIs of which nothing that is stored may be used any more after a response (RFC 9111, section 4.4): for a method that is
 * not known to be safe, and a response that is no error, the target and what `Location` and `Content-Location` name of the
 * same origin.
 */
export const changedBy = (
  uri: string,
  method: string,
  { headers, status }: HttpServerResponse.HttpServerResponse
): ReadonlyArray<string> => {
  if (safe.has(method) || status < 200 || status >= 400) return []
  const uris = new Set([uri])
  for (const name of ["location", "content-location"]) {
    const named = sameOrigin(uri, headers[name])
    if (named !== undefined) uris.add(named)
  }
  return Array.from(uris)
}

const sameOrigin = (uri: string, reference: string | undefined): string | undefined => {
  if (reference === undefined || !URL.canParse(reference, uri)) return undefined
  const { origin, pathname, search } = new URL(reference, uri)
  return origin === new URL(uri).origin ? origin + pathname + search : undefined
}
