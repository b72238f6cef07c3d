/**
 * Several node processes on one Redis.
 */
import type { ChildProcess } from "node:child_process"
import { ask, start } from "../processes.ts"
import type { Question } from "./messages.ts"

export interface Nodes {
  /** Asks every node something, all at once, and waits for all answers. */
  readonly all: <Answer>(question: (index: number) => Question) => Promise<ReadonlyArray<Answer>>
  readonly stop: () => void
}

/** Starts so many nodes, and waits until they have joined. */
export const startNodes = async (url: string, namespace: string, size: number): Promise<Nodes> => {
  const children: ReadonlyArray<ChildProcess> = Array.from(
    { length: size },
    () => start(new URL("node.ts", import.meta.url), [url, namespace])
  )
  const nodes: Nodes = {
    all: <Answer>(question: (index: number) => Question) =>
      Promise.all(children.map((child, index) => ask<Answer>(child, question(index)))),
    stop: () => children.forEach((child) => child.kill("SIGKILL"))
  }
  try {
    await nodes.all(() => ({ _tag: "begin" }))
    return nodes
  } catch (error) {
    nodes.stop()
    throw error
  }
}
