/**
 * From a plan that fails to a short one that still does.
 */
import { describeStep, type Plan, type Setting } from "./plan.ts"
import { type Outcome, run } from "./run.ts"
import type { Broken } from "./server.ts"

/** Leaves out what is not needed for the plan to fail. */
export const shrink = (plan: Plan, broken?: ReadonlySet<Broken>, maxRuns = 2000): Plan => {
  let shortest = plan
  let runs = 0

  // What is the same already is not tried again, so that this comes to an end.
  const attempt = (shorter: Plan) => {
    if (runs >= maxRuns || JSON.stringify(shorter) === JSON.stringify(shortest)) return
    runs++
    if (run(shorter, broken).violations.length > 0) shortest = shorter
  }

  const withoutSteps = () => {
    for (let size = Math.ceil(shortest.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let from = shortest.steps.length - size; from >= 0; from -= size) {
        attempt({ ...shortest, steps: shortest.steps.toSpliced(from, size) })
      }
    }
  }

  const simpler = () => {
    const { setting } = shortest
    const settings: ReadonlyArray<Partial<Setting>> = [
      { skews: setting.skews.map(() => 0) },
      { serverSkew: 0 },
      { skews: setting.skews.slice(0, -1) },
      { skews: setting.skews.slice(0, -2) },
      { inOrder: true },
      { entriesApart: false },
      { age: setting.age ?? 86_400_000_000 },
      { maxLength: 20_000 },
      { page: 100 },
      { maxMarks: 100_000 },
      { maxEntries: 100 },
      { maxOps: 2048 },
      { leases: false }
    ]
    for (const change of settings) {
      if (change.skews?.length === 0) continue
      attempt({ ...shortest, setting: { ...shortest.setting, ...change } })
    }
  }

  const quicker = () => {
    for (const [index, step] of shortest.steps.entries()) {
      if (!("millis" in step)) continue
      attempt({
        ...shortest,
        steps: shortest.steps.with(index, { ...step, millis: Math.ceil(step.millis / 2) })
      })
    }
  }

  for (;;) {
    const before = shortest
    withoutSteps()
    simpler()
    quicker()
    if (shortest === before) return shortest
  }
}

/** What a failure says: the seed, what was done, and what happened. */
export const report = ({ setting, steps }: Plan, { history, violations }: Outcome): string =>
  [
    `seed ${setting.seed}: ${violations[0]}`,
    "",
    "the setting:",
    ...Object.entries(setting).map(([name, value]) => `  ${name} ${String(value)}`),
    "",
    "what was done, in milliseconds from when all had started:",
    ...steps.map((step) => `  ${String(step.at).padStart(6)}  ${describeStep(step)}`),
    "",
    "what happened:",
    ...history.map((line) => `  ${line}`)
  ].join("\n")
