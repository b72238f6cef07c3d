/**
 * The linked log, the dependency graph and the cache of several processes, in a world in which everything goes wrong. Each
 * seed is one run, the same each time: `SIMULATION_SEEDS=100000 SIMULATION_FROM=1 npx vitest run test/simulation`.
 */
import { assert, describe, it } from "@effect/vitest"
import { makePlan } from "./plan.ts"
import { type Counts, run } from "./run.ts"
import { type Broken, makeServer } from "./server.ts"
import { report, shrink } from "./shrink.ts"
import { epoch, makeWorld } from "./world.ts"

const seeds = Number(process.env["SIMULATION_SEEDS"] ?? 1500)
const first = Number(process.env["SIMULATION_FROM"] ?? 1)
const timeout = 120_000 + seeds * 100

const parts = Array.from({ length: 4 }, (_, part) => {
  const from = first + Math.floor(seeds * part / 4)
  return { from, to: first + Math.floor(seeds * (part + 1) / 4) - 1 }
})

describe("many processes behind one log, whatever fails", () => {
  it.each(parts)(
    "read nothing that is too old, agree in the end, compute once for each lease and leave nothing, seeds $from to $to (scenarios 49 to 58)",
    ({ from, to }) => {
      const total: Counts = { reads: 0, computed: 0, gaps: 0, failedWrites: 0, losses: 0 }
      for (let seed = from; seed <= to; seed++) {
        const plan = makePlan(seed)
        const { counts, violations } = run(plan)
        if (violations.length > 0) {
          const shortest = shrink(plan)
          assert.fail(report(shortest, run(shortest)))
        }
        for (const what of Object.keys(total) as Array<keyof Counts>) total[what] += counts[what]
      }
      // Whoever always computes is never wrong, and where nothing fails nothing is shown.
      assert.isAbove(total.reads, total.computed)
      for (const [what, count] of Object.entries(total)) assert.isAtLeast(count, (to - from) / 4, what)
    },
    timeout
  )
})

describe("the simulation", () => {
  it("is the same each time for the same seed", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { history } = run(makePlan(seed))
      assert.deepStrictEqual(run(makePlan(seed)).history, history)
    }
  })

  it("finds what goes wrong when a server takes every cursor for good, and shows it in a short history", () => {
    const broken = new Set<Broken>(["prefix"])
    // One of the first seeds that shows it.
    let plan = makePlan(840)
    for (let seed = 841; run(plan, broken).violations.length === 0; seed++) plan = makePlan(seed)
    const shortest = shrink(plan, broken, 200)
    const outcome = run(shortest, broken)
    assert.isAbove(outcome.violations.length, 0)
    assert.isAtMost(shortest.steps.length, 8)
    assert.include(report(shortest, outcome), `seed ${plan.setting.seed}: `)
  }, timeout)
})

describe("the server of the simulation", () => {
  const options = { maxLength: 3, page: 10, entriesApart: false, skew: 0, age: undefined }
  const nothing = { cursor: undefined, known: 0, append: undefined }
  const hour = 3_600_000_000

  const start = () => {
    const world = makeWorld()
    const server = makeServer(world, options)
    return {
      world,
      ask: (question: Partial<Parameters<typeof server.ask>[0]>) =>
        server.ask({ ...nothing, ...question }, world.now()),
      server
    }
  }

  it("begins with a root an hour ahead, and links what follows", () => {
    const { ask } = start()
    const root = ask({})
    assert.deepStrictEqual(root.end, {
      id: `${epoch + hour}-0`,
      previous: "0-0",
      history: "history 1",
      position: epoch + hour
    })
    const next = ask({ cursor: root.end, append: ["a"] })
    assert.deepStrictEqual([next.intact, next.appended, next.end.previous], [true, epoch + hour + 1, root.end.id])
  })

  it("knows a cursor whose record was just trimmed, and none before", () => {
    const { ask, server } = start()
    const root = ask({}).end
    const first = ask({ append: ["a"] }).end
    ask({ append: ["b"] })
    server.trim(2)
    assert.isTrue(ask({ cursor: first }).intact)
    server.trim(1)
    assert.isTrue(ask({ cursor: first }).intact)
    assert.isFalse(ask({ cursor: root }).intact)
  })

  it("begins anew, above all that is known, when the last records were lost", () => {
    const { ask, server } = start()
    ask({})
    const { end } = ask({ append: ["a"] })
    server.failOver(1, 0)
    const { end: root, intact } = ask({ cursor: end, known: end.position })
    assert.isFalse(intact)
    assert.isAbove(root.position, end.position)
  })
})
