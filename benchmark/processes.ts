/**
 * Processes that a section starts, and what is said with them; and the process of a section itself.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import type { Settings } from "./fixtures.ts"
import { smokeFlag } from "./paired.ts"
import type { Report } from "./report.ts"

export const start = (file: URL, args: ReadonlyArray<string> = []): ChildProcess =>
  fork(file, args, { execArgv: ["--disable-warning=ExperimentalWarning"], serialization: "json" })

/** Every question gets one answer. */
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

/** The report of a section, or what it failed with. A section that takes longer than its limit is ended. */
export const runSection = async (name: string, settings: Settings, limit: number): Promise<Report | Error> => {
  // A group of its own, so that servers which a section leaves behind end with it.
  const child = fork(new URL("run.ts", import.meta.url), settings.smoke ? [smokeFlag] : [], {
    execArgv: ["--expose-gc", "--disable-warning=ExperimentalWarning"],
    detached: true
  })
  running.add(child)
  let late = false
  const timer = setTimeout(() => {
    late = true
    end(child)
  }, limit)
  let report: Report | undefined
  child.once("message", (message) => {
    report = message as Report
  })
  child.send({ name, settings })
  await once(child, "exit")
  clearTimeout(timer)
  end(child)
  running.delete(child)
  if (report !== undefined) return report
  return new Error(
    late ? `it took longer than ${Math.round(limit / 1000)} s` : "it ended without a report; what it said is above"
  )
}

const running = new Set<ChildProcess>()

const end = (child: ChildProcess): void => {
  try {
    process.kill(-child.pid!, "SIGKILL")
  } catch {
    // All of the group have ended already.
  }
}

/** Ends the sections that run. A group of its own is not told when the terminal interrupts this one. */
export const endSections = (): void => {
  for (const child of running) end(child)
}
