/**
 * The floor: a handler of `node:http` that looks at nothing and writes a buffer.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { keepAliveTimeout, prebuiltText } from "./pages.ts"

export const serve = (): Promise<number> => {
  const body = Buffer.from(prebuiltText)
  const server = createServer({ keepAliveTimeout }, (_, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length })
    response.end(body)
  })
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
  })
}
