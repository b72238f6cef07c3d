/**
 * A server under load, in a process of its own. The arguments say which framework, and whether its computations take time.
 */
import type { Computations, Framework, ServerState } from "./messages.ts"
import { makePages, type Pages } from "./pages.ts"

const servers: Readonly<
  Record<Framework, () => Promise<{ readonly serve: (pages: Pages) => Promise<number> }>>
> = {
  node: () => import("./bare.ts"),
  effect: () => import("./effect.ts"),
  fastify: () => import("./fastify.ts"),
  hono: () => import("./hono.ts")
}

const [framework, computations] = process.argv.slice(2) as [Framework, Computations]
const pages = makePages(computations)
const listening = servers[framework]().then(({ serve }) => serve(pages))

process.on("disconnect", () => process.exit())
process.on("message", () => {
  listening.then((port) => {
    const { system, user } = process.cpuUsage()
    process.send!({ port, cpu: system + user, computed: pages.computed } satisfies ServerState)
  }, (error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
