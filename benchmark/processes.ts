/**
 * Processes that a section starts, and what is said with them. Every question gets one answer.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"

export const start = (file: URL, args: ReadonlyArray<string> = []): ChildProcess =>
  fork(file, args, { execArgv: ["--disable-warning=ExperimentalWarning"], serialization: "json" })

export const ask = async <Answer>(child: ChildProcess, question: unknown): Promise<Answer> => {
  const stop = new AbortController()
  const ended = once(child, "exit", stop).then(() => {
    throw new Error("a process of the benchmark ended too soon")
  })
  const answer = once(child, "message", stop)
  child.send(question as object)
  const [message] = await Promise.race([answer, ended]) as [Answer]
  stop.abort()
  await ended.catch(() => {})
  return message
}
