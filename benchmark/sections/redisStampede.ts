/**
 * Many callers of one cold key, in several processes at once.
 */
import { check, type Settings } from "../fixtures.ts"
import { distribution, paired } from "../paired.ts"
import { type Asked, computation, now } from "../redis/messages.ts"
import { startNodes } from "../redis/nodes.ts"
import { startRedis } from "../redis/server.ts"
import { cells, type Report, row, time, times } from "../report.ts"

const processes = 4
const callers = 250

export const run = async ({ quick }: Settings): Promise<Report> => {
  const redis = await startRedis()
  const nodes = await startNodes(redis.url, "benchmark", processes).catch(async (error: unknown) => {
    await redis.stop()
    throw error
  })
  try {
    let keys = 0
    let executions = 0
    const stampede = (size: number) => async () => {
      const id = keys++
      const at = now() + 20_000
      const answers = await nodes.all<Asked>((index) => ({ _tag: "ask", id, callers: index < size ? callers : 0, at }))
      executions = answers.reduce((sum, answer) => sum + answer.executions, 0)
      const ended = Math.max(...answers.slice(0, size).map((answer) => answer.ended))
      return (ended - at) * 1000 - computation * 1e6
    }
    const samples = await paired({
      "1 process": stampede(1),
      [`${processes} processes`]: stampede(processes)
    }, { rounds: quick ? 10 : 60, warmups: 3, millis: quick ? 2000 : 6000 })
    check(keys > 0, "something was asked for")
    return {
      tables: [{
        title: `${callers} callers in each process, one cold key, computation of ${computation} ms`,
        columns: ["", "time beyond the computation", "quartiles"],
        rows: Object.keys(samples).map((name) => row(name, cells(distribution(samples[name]!), time)))
      }],
      goals: [{
        goal: `${processes} processes × ${callers} callers of a cold key: one execution in all`,
        measured: `${times(executions / keys)} executions per key, over ${keys} keys`,
        pass: executions === keys
      }],
      notes: []
    }
  } finally {
    nodes.stop()
    await redis.stop()
  }
}
