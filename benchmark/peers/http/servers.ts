/**
 * The processes of a section about HTTP: a server for each framework, and the generator of load.
 */
import type { ChildProcess } from "node:child_process"
import { ask, start } from "../../processes.ts"
import {
  type Candidate,
  type ClosedDone,
  type ClosedLoad,
  type Computations,
  type Framework,
  type Load,
  type OpenDone,
  type OpenLoad,
  type ServerState
} from "./messages.ts"

export interface Servers {
  readonly state: (candidate: Candidate) => Promise<ServerState>
  /** How often each candidate has computed, by framework and path. */
  readonly computed: () => Promise<Readonly<Record<string, Readonly<Record<string, number>>>>>
  readonly closed: (load: Omit<ClosedLoad, "kind">) => Promise<ClosedDone>
  readonly open: (load: Omit<OpenLoad, "kind">) => Promise<OpenDone>
  readonly stop: () => void
}

/** Starts the servers that these candidates need. */
export const startServers = async (
  computations: Computations,
  candidates: ReadonlyArray<Candidate>
): Promise<Servers> => {
  const frameworks = Array.from(new Set(candidates.map(({ framework }) => framework)))
  const servers = Object.fromEntries(
    frameworks.map((framework) => [framework, start(new URL("server.ts", import.meta.url), [framework, computations])])
  ) as Record<Framework, ChildProcess>
  const generator = start(new URL("load.ts", import.meta.url))
  const stop = (): void => {
    for (const child of [...Object.values(servers), generator]) child.kill()
  }
  try {
    // Until all of them listen.
    await Promise.all(frameworks.map((framework) => ask<ServerState>(servers[framework], "state")))
  } catch (error) {
    stop()
    throw error
  }
  return {
    stop,
    state: ({ framework }) => ask<ServerState>(servers[framework], "state"),
    computed: async () =>
      Object.fromEntries(
        await Promise.all(
          frameworks.map(async (framework) =>
            [framework, (await ask<ServerState>(servers[framework], "state")).computed] as const
          )
        )
      ),
    closed: (load) => ask(generator, { kind: "closed", ...load } satisfies Load),
    open: (load) => ask(generator, { kind: "open", ...load } satisfies Load)
  }
}
