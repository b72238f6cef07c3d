import { assert, describe, it } from "@effect/vitest"
import { HttpServerRequest } from "effect/http"
import { format, inspect } from "node:util"
import {
  isPart,
  makeRecording,
  readerOf,
  recordedRecord,
  recordedRequest
} from "../../../src/internal/http/recordedRequest.ts"

const request = (headers: Record<string, string> = {}, init?: RequestInit) =>
  HttpServerRequest.fromWeb(new Request("http://localhost/page?a=1", { headers, ...init }))

const recorded = (
  read: (request: HttpServerRequest.HttpServerRequest) => unknown,
  headers?: Record<string, string>
) => {
  const recording = makeRecording()
  const value = read(recordedRequest(request(headers), recording))
  return { value, parts: Array.from(recording.parts).toSorted(), unshareable: recording.unshareable }
}

describe("recordedRequest", () => {
  it("records the headers and cookies that are read, present or absent, and nothing else", () => {
    const headers = { accept: "text/html", cookie: "theme=dark; session=1" }
    assert.deepStrictEqual(recorded((request) => request.headers["accept"], headers), {
      value: "text/html",
      parts: ["header:accept"],
      unshareable: false
    })
    assert.deepStrictEqual(recorded((request) => request.cookies["theme"], headers), {
      value: "dark",
      parts: ["cookie:theme"],
      unshareable: false
    })
    assert.deepStrictEqual(recorded((request) => "x-none" in request.headers), {
      value: false,
      parts: ["header:x-none"],
      unshareable: false
    })
    assert.deepStrictEqual(recorded(() => undefined), { value: undefined, parts: [], unshareable: false })
  })

  it("takes HEAD for GET", () => {
    const recording = makeRecording()
    assert.strictEqual(recordedRequest(request({}, { method: "HEAD" }), recording).method, "GET")
    assert.strictEqual(recording.parts.size, 0)
  })

  it("is still a request", () => {
    assert.isTrue(recorded((request) => HttpServerRequest.TypeId in request).value)
    assert.strictEqual(recorded((request) => request.url).value, "/page?a=1")
  })

  it.each(
    [
      ["the source", (request) => request.source],
      ["the text", (request) => request.text],
      ["the stream", (request) => request.stream],
      ["the address", (request) => request.remoteAddress],
      ["the peer", (request) => request.peerAddress],
      ["a modified request", (request) => request.modify({ url: "/" })],
      ["all headers", (request) => Object.keys(request.headers)],
      ["all cookies", (request) => ({ ...request.cookies })],
      ["all headers, to be shown", (request) => inspect(request.headers)],
      ["all cookies, to be shown", (request) => inspect(request.cookies)],
      ["itself, to be shown as a proxy", (request) => inspect(request, { showProxy: true })],
      ["a header to be changed", (request) => Object.assign(request.headers, { accept: "*" })],
      ["a cookie to be removed", (request) => delete (request.cookies as any)["theme"]],
      ["itself as JSON", (request) => JSON.stringify(request)],
      ["its own properties", (request) => Object.getOwnPropertyDescriptor(request, "source")],
      ["what is unknown", (request) => (request as any).somethingNew]
    ] satisfies ReadonlyArray<readonly [string, (request: HttpServerRequest.HttpServerRequest) => unknown]>
  )("holds a request that was asked for %s to be unshareable", (_, read) => {
    assert.isTrue(recorded(read).unshareable)
  })
})

describe("recordedRecord", () => {
  it("shows nothing that is not recorded", () => {
    for (const options of [{}, { showProxy: true }, { customInspect: false }, { showHidden: true, showProxy: true }]) {
      const recording = makeRecording()
      const shown = inspect(recordedRecord({ user: "ada" }, "query:", recording), options)
      assert.isTrue(recording.unshareable || !shown.includes("ada"), shown)
    }
    const recording = makeRecording()
    assert.strictEqual(inspect(recordedRecord({ user: "ada" }, "query:", recording)), "{ user: 'ada' }")
    assert.strictEqual(format("%o", recordedRecord({}, "query:", recording)).includes("ada"), false)
  })

  it("records what was read before it turned out to be unshareable, and gives copies of lists", () => {
    const recording = makeRecording()
    const search: Record<string, Array<string>> = { a: ["2", "1"] }
    const copy = recordedRecord(search, "query:", recording)
    copy["a"]?.sort()
    assert.deepStrictEqual(search["a"], ["2", "1"])
    assert.deepStrictEqual(Object.keys(copy), ["a"])
    void copy["b"]
    assert.deepStrictEqual(Array.from(recording.parts), ["query:a"])
  })

  it("behaves as the record does", () => {
    const record: Record<string, string> = { a: "1" }
    const recording = makeRecording()
    const copy = recordedRecord(record, "query:", recording)
    assert.strictEqual(copy["a"], "1")
    assert.isTrue("a" in copy)
    assert.isTrue(Object.hasOwn(copy, "a"))
    assert.isUndefined(copy["b"])
    assert.deepStrictEqual(Array.from(recording.parts), ["query:a", "query:b"])
    assert.isFalse(recording.unshareable)
    assert.deepStrictEqual(Object.entries(copy), [["a", "1"]])
    assert.isTrue(recording.unshareable)
  })
})

describe("readerOf", () => {
  it("reads the value of a header, a cookie or a query parameter, never of a prototype", () => {
    const asked = request({ "x-user": "ada", cookie: "theme=dark" })
    const search = { page: ["1", "2"], "a:b": "c" }
    assert.strictEqual(readerOf("header:x-user")(asked, search), "ada")
    assert.strictEqual(readerOf("cookie:theme")(asked, search), "dark")
    assert.deepStrictEqual(readerOf("query:page")(asked, search), ["1", "2"])
    assert.strictEqual(readerOf("query:a:b")(asked, search), "c")
    for (const part of ["header:constructor", "cookie:toString", "query:__proto__", "query:hasOwnProperty"]) {
      assert.isUndefined(readerOf(part)(asked, search))
    }
  })
})

describe("isPart", () => {
  it("tells names of parts from other texts", () => {
    for (const part of ["url", "protocol", "header:x-user", "cookie:a b", "query:", "query:a:b"]) {
      assert.isTrue(isPart(part), part)
    }
    for (const other of ["", "x-user", "urls", "header", "Header:x", "body:x", " url"]) {
      assert.isFalse(isPart(other), other)
    }
  })
})
